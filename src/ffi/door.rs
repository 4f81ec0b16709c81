//! The one door: every call that names an engine or a queue comes through here, and nothing else looks behind a pointer
//! to one.
//!
//! In this order: NULL, poisoned, re-entrant, then the call itself with the engine marked busy. A panic is caught here,
//! poisons the engine and is turned into a status; it never unwinds into C. What is said of engines holds for queues.

use super::queue::circflow_queue;
use super::sized::{self, Growing};
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::circflow_engine;
use crate::engine::{Engine, Error};
use crate::queue::Packed;
use std::cell::{Cell, UnsafeCell};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// An opaque type of the header, and what stands behind it.
pub(super) trait Handle {
    type Core;
    type Error: Into<circflow_status>;
}

impl Handle for circflow_engine {
    type Core = Engine;
    type Error = Error;
}

impl Handle for circflow_queue {
    type Core = Packed;
    type Error = circflow_status;
}

/// What a handle really points to.
struct House<T> {
    state: Cell<State>,
    /// The host is inside a drain callback: it may feed, but not poll, drain or free.
    draining: Cell<bool>,
    core: UnsafeCell<T>,
    /// What the panic said, once there was one.
    panic_text: UnsafeCell<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Busy,
    /// A panic was caught on the short way in, and has not been answered yet.
    Panicked,
    Poisoned,
}

/// Which calls a drain callback may make.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    Always,
    NotInsideDrain,
}

pub(super) fn open<H: Handle>(core: H::Core) -> *mut H {
    let house = House {
        state: Cell::new(State::Idle),
        draining: Cell::new(false),
        core: UnsafeCell::new(core),
        panic_text: UnsafeCell::new(String::new()),
    };
    Box::into_raw(Box::new(house)).cast()
}

/// Runs `call` on the engine behind the pointer.
///
/// Pointer contract: `engine` is NULL or came from [`open`] and was not closed; one thread at a time.
#[inline]
pub(super) unsafe fn enter<H: Handle>(
    engine: *mut H,
    call: impl FnOnce(&mut H::Core) -> Result<(), H::Error>,
) -> circflow_status {
    enter_when(engine, Allowed::Always, call)
}

/// Runs `call` and writes its figures into the caller's struct.
pub(super) unsafe fn enter_to_write<T: Growing>(
    engine: *mut circflow_engine,
    out: *mut T,
    call: impl FnOnce(&mut Engine) -> Result<T, Error>,
) -> circflow_status {
    let mut answer = CIRCFLOW_OK;
    let status = enter(engine, |core| {
        answer = sized::write(out, call(core)?);
        Ok(())
    });
    if status == CIRCFLOW_OK {
        answer
    } else {
        status
    }
}

/// The short way in, for calls that are made for every cell: no answer means that the long way has to be taken. `call`
/// must not log: the engine is not marked busy, as nothing but a callback could come back to it.
#[inline]
pub(super) unsafe fn try_enter<R>(
    engine: *mut circflow_engine,
    call: impl FnOnce(&mut Engine) -> Option<R>,
) -> Option<R> {
    // SAFETY: as in `enter_when`.
    let house = engine.cast::<House<Engine>>().cast_const().as_ref()?;
    if house.state.get() != State::Idle {
        return None;
    }
    // SAFETY: `state` is Idle, so no other reference to the core exists, and `call` makes no callback.
    let core = &mut *house.core.get();
    match catch_unwind(AssertUnwindSafe(|| call(core))) {
        Ok(answer) => answer,
        Err(payload) => {
            // The caller goes on to the long way, which answers for it.
            house.state.set(State::Busy);
            house.poison(payload);
            house.state.set(State::Panicked);
            None
        }
    }
}

/// As [`enter`], and says whether a drain callback may make this call.
#[inline]
pub(super) unsafe fn enter_when<H: Handle>(
    engine: *mut H,
    allowed: Allowed,
    call: impl FnOnce(&mut H::Core) -> Result<(), H::Error>,
) -> circflow_status {
    // SAFETY: NULL or alive by the pointer contract. Only shared references to a House are ever made.
    let Some(house) = engine.cast::<House<H::Core>>().cast_const().as_ref() else {
        return CIRCFLOW_ERR_NULL;
    };
    if house.state.get() != State::Idle {
        return house.unavailable();
    }
    if allowed == Allowed::NotInsideDrain && house.draining.get() {
        return CIRCFLOW_ERR_REENTRANT;
    }
    house.state.set(State::Busy);
    // SAFETY: `state` was Idle, so no other reference to the core exists, and Busy keeps any from being made.
    let core = &mut *house.core.get();
    match catch_unwind(AssertUnwindSafe(|| call(core))) {
        Ok(Ok(())) => {
            house.state.set(State::Idle);
            CIRCFLOW_OK
        }
        Ok(Err(error)) => {
            house.state.set(State::Idle);
            error.into()
        }
        Err(payload) => house.poison(payload),
    }
}

/// Marks the engine as draining while `run` runs; `run` itself comes back through [`enter`] for each step.
pub(super) unsafe fn drain(engine: *mut circflow_engine, run: impl FnOnce() -> circflow_status) -> circflow_status {
    let status = enter_when(engine, Allowed::NotInsideDrain, |_| Ok(()));
    if status != CIRCFLOW_OK {
        return status;
    }
    // SAFETY: not NULL, as `enter_when` has just answered OK.
    let house = &*engine.cast::<House<Engine>>().cast_const();
    house.draining.set(true);
    let status = run();
    house.draining.set(false);
    status
}

/// Ends an engine, poisoned or not, unless a call on it is under way. `last` sees it once more, and what `last` calls
/// back finds it busy.
pub(super) unsafe fn close<H: Handle>(engine: *mut H, last: impl FnOnce(&mut H::Core)) -> circflow_status {
    // SAFETY: NULL or alive by the pointer contract.
    let Some(house) = engine.cast::<House<H::Core>>().cast_const().as_ref() else {
        return CIRCFLOW_OK;
    };
    if house.state.get() == State::Busy || house.draining.get() {
        return CIRCFLOW_ERR_REENTRANT;
    }
    house.state.set(State::Busy);
    // SAFETY: `state` was not Busy, so no other reference to the core exists, and Busy keeps any from being made.
    let core = &mut *house.core.get();
    // What is poisoned may panic again; the memory goes all the same.
    let _ = catch_unwind(AssertUnwindSafe(|| last(core)));
    // SAFETY: made by Box::into_raw in `open`, and no reference is left.
    drop(Box::from_raw(engine.cast::<House<H::Core>>()));
    CIRCFLOW_OK
}

/// The sentence behind the last error, also when the engine is poisoned.
pub(super) unsafe fn detail<R>(
    engine: *mut circflow_engine,
    read: impl FnOnce(&str) -> R,
) -> Result<R, circflow_status> {
    // SAFETY: NULL or alive by the pointer contract.
    let Some(house) = engine.cast::<House<Engine>>().cast_const().as_ref() else {
        return Err(CIRCFLOW_ERR_NULL);
    };
    match house.state.get() {
        State::Busy => Err(CIRCFLOW_ERR_REENTRANT),
        // SAFETY: no call is under way (not Busy), so nobody writes to either text.
        State::Panicked | State::Poisoned => Ok(read(&*house.panic_text.get())),
        State::Idle => Ok(read((*house.core.get()).detail())),
    }
}

impl<T> House<T> {
    #[cold]
    fn unavailable(&self) -> circflow_status {
        match self.state.get() {
            State::Panicked => {
                self.state.set(State::Poisoned);
                CIRCFLOW_ERR_PANIC
            }
            State::Poisoned => CIRCFLOW_ERR_POISONED,
            State::Busy | State::Idle => CIRCFLOW_ERR_REENTRANT,
        }
    }

    #[cold]
    fn poison(&self, payload: Box<dyn std::any::Any + Send>) -> circflow_status {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        // SAFETY: the state is still Busy, so `detail` does not read it now.
        unsafe { *self.panic_text.get() = text };
        self.state.set(State::Poisoned);
        CIRCFLOW_ERR_PANIC
    }
}
