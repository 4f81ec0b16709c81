//! The short way in, for calls that are made for every cell.

use super::{find, House, State};
use crate::ffi::handle::{self, Handle};
use crate::ffi::outside;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The short way in, for calls that are made for every cell. No answer means that the caller has to take the long way.
/// `call` may log or wake another engine only if [`call_out`] follows an answer; the long way does that itself.
#[inline(always)]
pub(in crate::ffi) unsafe fn try_enter<H: Handle, R>(
    engine: *mut H,
    call: impl FnOnce(&mut H::Core) -> Option<R>,
) -> Option<R> {
    // SAFETY: by the contract of this function.
    unsafe { try_enter_if(engine, |_| true, call) }
}

/// As [`try_enter`], if the house lets the call in.
#[inline(always)]
unsafe fn try_enter_if<H: Handle, R>(
    engine: *mut H,
    lets_in: impl FnOnce(&House<H>) -> bool,
    call: impl FnOnce(&mut H::Core) -> Option<R>,
) -> Option<R> {
    // SAFETY: by the contract of this function.
    if !unsafe { is_idle(engine) } {
        return None;
    }
    // SAFETY: as in `find`.
    let house = Some(unsafe { &*engine.cast::<House<H>>().cast_const() }).filter(|house| lets_in(house))?;
    // SAFETY: its state is Idle, so no other reference to the core exists, and `call` makes no callback.
    let core = unsafe { &mut *house.core.get() };
    match catch_unwind(AssertUnwindSafe(|| call(core))) {
        Ok(answer) => answer,
        Err(payload) => {
            // The caller goes on to the long way, which answers for it.
            house.set(State::Busy);
            house.poison(payload);
            house.set(State::Panicked);
            // SAFETY: by the contract of this function.
            unsafe { call_out(engine) };
            None
        }
    }
}

/// True when the short way in is open.
#[inline(always)]
pub(in crate::ffi) unsafe fn is_idle<H: Handle>(engine: *mut H) -> bool {
    // SAFETY: by the contract of this function.
    !engine.is_null() && unsafe { handle::word(engine) } == State::Idle.word::<H>()
}

/// As [`try_enter`], for a call that a drain callback may not make.
#[inline(always)]
pub(in crate::ffi) unsafe fn try_enter_outside_drain<H: Handle, R>(
    engine: *mut H,
    call: impl FnOnce(&mut H::Core) -> Option<R>,
) -> Option<R> {
    // SAFETY: by the contract of this function.
    unsafe { try_enter_if(engine, |house| !house.draining.get(), call) }
}

/// True when the short way in was shut only because a call had failed. It is open now.
#[cold]
pub(in crate::ffi) unsafe fn reopen<H: Handle>(engine: *mut H) -> bool {
    // SAFETY: by the contract of this function.
    let Ok(house) = (unsafe { find(engine) }) else { return false };
    house.state() == State::Failed && house.let_in().is_ok()
}

/// Makes the calls to the host that an answer of [`try_enter`] has caused. It comes after that answer is written, so
/// that the answer need not be kept meanwhile.
#[inline(always)]
pub(in crate::ffi) unsafe fn call_out<H: Handle>(engine: *mut H) {
    if outside::is_due() {
        // SAFETY: by the contract of this function.
        unsafe { call_out_after(engine) };
    }
}

#[cold]
unsafe fn call_out_after<H: Handle>(engine: *mut H) {
    // SAFETY: by the contract of this function.
    let Ok(house) = (unsafe { find(engine) }) else { return };
    let state = house.state();
    if matches!(state, State::Idle | State::Failed | State::Panicked) {
        house.set(State::Busy);
        house.call_out();
        house.set(state);
    }
}
