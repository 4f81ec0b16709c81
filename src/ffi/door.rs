//! The one door: every call with an engine or a queue comes through here, and no other code follows a pointer to one.
//!
//! The order of checks: NULL, no engine, poisoned, re-entrant. Then the call runs with the engine marked busy. A panic
//! is caught here, poisons the engine and becomes a status; it never unwinds into C. Queues are treated like engines. A
//! call with neither goes through [`alone`], which catches panics only. The sentence of a failed call is kept until the
//! next call ends ([`detail`]).
//!
//! The host's functions are called where nothing is caught, as a C++ exception may come out of them: it poisons the
//! engine, and passes on to the host. So a call's work is done first, or is cut into steps with callbacks between them.

mod short;

pub(super) use short::{call_out, is_idle, reopen, try_enter, try_enter_outside_drain};

use super::handle::{self, Handle, Leave, Sign};
use super::out::Out;
use super::outside;
use super::sized::{self, Growing};
use super::status::circflow_status::*;
use super::status::{self, circflow_status};
use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, UnsafeCell};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The struct that a handle points to.
#[repr(C)]
struct House<H: Handle> {
    /// Kind and state.
    sign: Sign<Cell<u32>>,
    /// The host is inside a drain callback: it may feed, but not poll, drain or free.
    draining: Cell<bool>,
    core: UnsafeCell<H::Core>,
    left: UnsafeCell<H::Left>,
    /// The message of the panic, if there was one.
    panic_text: UnsafeCell<String>,
    /// The status of the last call that failed; none if the core has a sentence about it.
    answer: Cell<Option<circflow_status>>,
}

/// The lowest byte of a house's word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle = 1,
    /// Idle after a call that failed. The short way in is shut, and the long one forgets the failure, so a call that
    /// succeeds has nothing to clear.
    Failed = 5,
    Busy = 2,
    /// A panic was caught on the short way in, and has not been answered yet.
    Panicked = 3,
    Poisoned = 4,
}

impl State {
    /// The whole word of an `H` in this state.
    const fn word<H: Handle>(self) -> u32 {
        H::KIND | self as u32
    }
}

/// Whether a call may be made inside a drain callback.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    Always,
    NotInsideDrain,
}

pub(super) fn open<H: Handle>(core: H::Core) -> *mut H {
    let house = House::<H> {
        sign: Sign::new(Cell::new(State::Idle.word::<H>())),
        draining: Cell::new(false),
        core: UnsafeCell::new(core),
        left: UnsafeCell::default(),
        panic_text: UnsafeCell::new(String::new()),
        answer: Cell::new(None),
    };
    Box::into_raw(Box::new(house)).cast()
}

/// The house behind the pointer, in whatever state it is.
///
/// Pointer contract: NULL, or from [`open`]. A closed one, or one of another kind, is refused if its word can be read
/// and shows it.
unsafe fn find<'a, H: Handle>(engine: *mut H) -> Result<&'a House<H>, circflow_status> {
    if engine.is_null() {
        return Err(CIRCFLOW_ERR_NULL);
    }
    // SAFETY: by the contract of this function.
    if !handle::is(unsafe { handle::word(engine) }, H::KIND) {
        return Err(CIRCFLOW_ERR_BAD_HANDLE);
    }
    // SAFETY: it is one, by its word. Only shared references to a House are ever made.
    Ok(unsafe { &*engine.cast::<House<H>>().cast_const() })
}

/// As [`find`], for a call that may begin now.
#[inline(always)]
unsafe fn find_idle<'a, H: Handle>(engine: *mut H) -> Result<&'a House<H>, circflow_status> {
    // One comparison for the kind and the state.
    // SAFETY: by the contract of this function.
    if engine.is_null()
        || (unsafe { handle::word(engine) } != State::Idle.word::<H>() && !unsafe { has_failed(engine) })
    {
        // SAFETY: by the contract of this function.
        return unsafe { find_not_idle(engine) };
    }
    // SAFETY: as in `find`.
    Ok(unsafe { &*engine.cast::<House<H>>().cast_const() })
}

/// True when the last call has failed and the engine is idle otherwise. Many calls in a row may fail, as when all legs
/// are blocked.
#[inline(always)]
unsafe fn has_failed<H: Handle>(engine: *mut H) -> bool {
    // The word is read anew, so that the one comparison of a call after one that went well needs no register.
    // SAFETY: by the contract of this function.
    (unsafe { handle::word(std::hint::black_box(engine)) }) == State::Failed.word::<H>()
}

#[cold]
#[inline(never)]
unsafe fn find_not_idle<'a, H: Handle>(engine: *mut H) -> Result<&'a House<H>, circflow_status> {
    // SAFETY: by the contract of this function.
    let house = unsafe { find(engine) }?;
    house.let_in()?;
    Ok(house)
}

/// Runs `call` on the engine behind the pointer.
///
/// Pointer contract: `engine` is NULL or came from [`open`] and was not closed; one thread at a time.
#[inline]
pub(super) unsafe fn enter<H: Handle>(
    engine: *mut H,
    call: impl FnOnce(&mut H::Core) -> Result<(), H::Error>,
) -> circflow_status {
    // SAFETY: by the contract of this function.
    unsafe { enter_when(engine, Allowed::Always, call) }
}

/// Runs `call` and writes what it answers to `out`, which must not be NULL.
#[inline]
pub(super) unsafe fn answer<H: Handle, T>(
    engine: *mut H,
    out: *mut T,
    call: impl FnOnce(&mut H::Core) -> Result<T, H::Error>,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    match unsafe { Out::new(out) } {
        // SAFETY: by the contract of this function.
        Ok(out) => unsafe {
            enter(engine, |core| {
                out.write(call(core)?);
                Ok(())
            })
        },
        // SAFETY: the contract of this floor, which the caller keeps.
        Err(status) => unsafe { refuse(engine, status) },
    }
}

/// Runs `call` and writes its figures into the caller's struct.
pub(super) unsafe fn enter_to_write<H: Handle, T: Growing>(
    engine: *mut H,
    out: *mut T,
    call: impl FnOnce(&mut H::Core) -> Result<T, H::Error>,
) -> circflow_status {
    let mut answer = CIRCFLOW_OK;
    // SAFETY: by the contract of this function.
    let status = unsafe {
        enter(engine, |core| {
            answer = sized::write(out, call(core)?);
            Ok(())
        })
    };
    if answer == CIRCFLOW_OK {
        status
    } else {
        // SAFETY: the contract of this floor, which the caller keeps.
        unsafe { refuse(engine, answer) }
    }
}

/// Reads the caller's struct, then runs `call` with it.
pub(super) unsafe fn enter_to_read<H: Handle, T: Growing>(
    engine: *mut H,
    config: *const T,
    defaults: T,
    call: impl FnOnce(&mut H::Core, &T) -> Result<(), H::Error>,
) -> circflow_status {
    // SAFETY: by the contract of this function; `config` is NULL or begins with its size.
    match unsafe { sized::read(config, defaults) } {
        // SAFETY: by the contract of this function.
        Ok(config) => unsafe { enter(engine, |core| call(core, &config)) },
        // SAFETY: by the contract of this function.
        Err(status) => unsafe { refuse(engine, status) },
    }
}

/// As [`enter_to_read`], and writes what `call` answers to `out`, which must not be NULL.
pub(super) unsafe fn answer_to_read<H: Handle, C: Growing, T>(
    engine: *mut H,
    config: *const C,
    defaults: C,
    out: *mut T,
    call: impl FnOnce(&mut H::Core, &C) -> Result<T, H::Error>,
) -> circflow_status {
    // SAFETY: by the contract of this function; `out` is NULL or has room.
    match unsafe { Out::new(out) } {
        // SAFETY: by the contract of this function.
        Ok(out) => unsafe {
            enter_to_read(engine, config, defaults, |core, config| {
                out.write(call(core, config)?);
                Ok(())
            })
        },
        // SAFETY: by the contract of this function.
        Err(status) => unsafe { refuse(engine, status) },
    }
}

/// Answers this status without going in; [`detail`] is about it then.
#[cold]
#[inline(never)]
pub(super) unsafe extern "C-unwind" fn refuse<H: Handle>(engine: *mut H, status: circflow_status) -> circflow_status {
    // SAFETY: by the contract of this function.
    if let Ok(house) = unsafe { find(engine) } {
        house.failed(status);
    }
    status
}

/// As [`enter`], and says whether a drain callback may make this call.
#[inline]
pub(super) unsafe fn enter_when<H: Handle>(
    engine: *mut H,
    allowed: Allowed,
    call: impl FnOnce(&mut H::Core) -> Result<(), H::Error>,
) -> circflow_status {
    // SAFETY: by the contract of this function.
    let house = match unsafe { find_idle(engine) } {
        Ok(house) => house,
        Err(status) => return status,
    };
    if allowed == Allowed::NotInsideDrain && house.draining.get() {
        return house.failed(CIRCFLOW_ERR_REENTRANT);
    }
    house.set(State::Busy);
    // SAFETY: its state was Idle, so no other reference to the core exists, and Busy keeps any from being made.
    let core = unsafe { &mut *house.core.get() };
    match catch_unwind(AssertUnwindSafe(|| call(core))) {
        Ok(Ok(())) => {
            house.settle();
            CIRCFLOW_OK
        }
        Ok(Err(error)) => {
            let is_explained = H::explains(core, &error);
            let status = error.into();
            house.settle();
            house.answer.set(if is_explained { None } else { Some(status) });
            house.set(State::Failed);
            status
        }
        Err(payload) => {
            house.settle();
            house.poison(payload)
        }
    }
}

/// A call on a queue that calls the host in between: each step on the queue itself goes through [`Talk::step`].
pub(super) unsafe fn converse<H: Handle>(
    queue: *mut H,
    run: impl FnOnce(&Talk<'_, H>) -> Result<(), circflow_status>,
) -> circflow_status {
    // SAFETY: by the contract of this function.
    let house = match unsafe { find_idle(queue) } {
        Ok(house) => house,
        Err(status) => return status,
    };
    house.set(State::Busy);
    let answer = house.let_pass(|| run(&Talk(house)));
    if house.state() == State::Busy {
        house.set(State::Idle);
    }
    answer.err().unwrap_or(CIRCFLOW_OK)
}

/// The way to a queue that is busy with a conversation.
pub(super) struct Talk<'a, H: Handle>(&'a House<H>);

impl<H: Handle> Talk<'_, H> {
    /// One step, which calls nobody.
    pub(super) fn step<R>(&self, step: impl FnOnce(&mut H::Core) -> R) -> Result<R, circflow_status> {
        // SAFETY: `converse` has found the queue idle and made it busy, and no step calls what could come back.
        let core = unsafe { &mut *self.0.core.get() };
        catch_unwind(AssertUnwindSafe(|| step(core))).map_err(|payload| self.0.poison(payload))
    }
}

/// Marks the engine as draining while `run` runs; `run` itself comes back through [`enter`] for each step.
pub(super) unsafe fn drain<H: Handle>(engine: *mut H, run: impl FnOnce() -> circflow_status) -> circflow_status {
    // SAFETY: by the contract of this function.
    let status = unsafe { enter_when(engine, Allowed::NotInsideDrain, |_| Ok(())) };
    if status != CIRCFLOW_OK {
        return status;
    }
    // SAFETY: not NULL, as `enter_when` has just answered OK.
    let house = unsafe { &*engine.cast::<House<H>>().cast_const() };
    house.draining.set(true);
    let status = house.let_pass(run);
    house.draining.set(false);
    if status == CIRCFLOW_OK && house.state() == State::Failed {
        // A call inside the callback has failed, not the drain.
        house.set(State::Idle);
    }
    status
}

/// Ends an engine, poisoned or not, unless a call on it is under way. `before` runs first, as the callback of a drain
/// does. `last` sees the engine once more. Then `give`, if there is one, gets all items of the host's. Calls on the
/// engine from inside find it busy. When an exception comes out of either, the engine is still there, and the next call
/// goes on.
pub(super) unsafe fn close<H: Leave>(
    handle: *mut H,
    before: impl FnOnce(),
    last: impl FnOnce(&mut H::Core, &mut H::Left),
    give: Option<impl FnMut(H::Item)>,
) -> circflow_status {
    // SAFETY: by the contract of this function.
    let house = match unsafe { find(handle) } {
        Ok(house) => house,
        Err(CIRCFLOW_ERR_NULL) => return CIRCFLOW_OK,
        Err(status) => return status,
    };
    if house.state() == State::Busy || house.draining.replace(true) {
        return CIRCFLOW_ERR_REENTRANT;
    }
    house.let_pass(before);
    house.draining.set(false);
    house.set(State::Busy);
    // SAFETY (both): its state was not Busy, so no other reference exists, and Busy keeps any from being made.
    let core = unsafe { &mut *house.core.get() };
    let left = unsafe { &mut *house.left.get() };
    // A poisoned engine may panic again; its memory is freed all the same.
    let _ = catch_unwind(AssertUnwindSafe(|| last(core, left)));
    // The news for others go first: an engine that leaves its hub waits for calls that other threads are about to make,
    // and these may wait for ours if they leave at the same time.
    house.call_out();
    let _ = catch_unwind(AssertUnwindSafe(|| H::part(core)));
    house.call_out();
    if let Some(mut give) = give {
        while let Ok(Some(item)) = catch_unwind(AssertUnwindSafe(|| H::next(core, left))) {
            house.let_pass(|| give(item));
            if catch_unwind(AssertUnwindSafe(|| H::gone(core, left))).is_err() {
                break;
            }
        }
    }
    // SAFETY: by the contract of this function.
    unsafe { handle::mark_freed(handle) };
    // SAFETY: made by Box::into_raw in `open`, and no reference is left.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(handle.cast::<House<H>>()) })));
    CIRCFLOW_OK
}

/// Runs `call` on an engine that no call is inside, also when it is poisoned: for what is wanted most then. It does not
/// count as a call, so the sentence of the last failure stays.
pub(super) unsafe fn look_back<H: Handle, R>(
    engine: *mut H,
    call: impl FnOnce(&mut H::Core) -> R,
) -> Result<R, circflow_status> {
    // SAFETY: by the contract of this function.
    let house = unsafe { find(engine) }?;
    let state = house.state();
    if state == State::Busy {
        return Err(CIRCFLOW_ERR_REENTRANT);
    }
    house.set(State::Busy);
    // SAFETY: its state was not Busy, so no other reference to the core exists, and Busy keeps any from being made.
    let core = unsafe { &mut *house.core.get() };
    match catch_unwind(AssertUnwindSafe(|| call(core))) {
        Ok(answer) => {
            house.set(state);
            Ok(answer)
        }
        Err(payload) => Err(house.poison(payload)),
    }
}

/// Reads the sentence of the last call if that failed, also when the engine is poisoned; otherwise an empty one.
pub(super) unsafe fn detail<H: Handle, R>(engine: *mut H, read: impl FnOnce(&str) -> R) -> Result<R, circflow_status> {
    // SAFETY: by the contract of this function.
    let house = unsafe { find(engine) }?;
    match house.state() {
        State::Busy => Err(CIRCFLOW_ERR_REENTRANT),
        // SAFETY: no call is under way (not Busy), so nobody writes to either text.
        State::Panicked | State::Poisoned => Ok(read(unsafe { &*house.panic_text.get() })),
        State::Idle => Ok(read("")),
        State::Failed => {
            let words = match house.answer.get() {
                Some(status) => Cow::Borrowed(status::sentence(status)),
                // SAFETY: by the contract of this function.
                None => H::detail(unsafe { &*house.core.get() }),
            };
            Ok(read(&words))
        }
    }
}

/// Runs a call without an engine or queue, which calls no function of the host's. A panic becomes a status here, too,
/// and poisons nothing.
pub(super) fn alone(call: impl FnOnce() -> circflow_status) -> circflow_status {
    let call = || {
        #[cfg(feature = "test-hooks")]
        assert!(!PANIC_NEXT.with(|next| next.replace(false)), "a panic on purpose, beside all engines");
        call()
    };
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(CIRCFLOW_ERR_PANIC)
}

/// A guard where an exception of the host's may pass. When one does, it is unknown how far the call got.
struct Passing<'a, H: Handle>(&'a House<H>);

impl<H: Handle> Drop for Passing<'_, H> {
    fn drop(&mut self) {
        self.0.draining.set(false);
        self.0.poison(Box::new("an exception left a callback"));
    }
}

impl<H: Handle> House<H> {
    fn state(&self) -> State {
        let word = self.sign.word.get();
        [State::Idle, State::Failed, State::Busy, State::Panicked]
            .into_iter()
            .find(|state| state.word::<H>() == word)
            .unwrap_or(State::Poisoned)
    }

    #[inline(always)]
    fn set(&self, state: State) {
        self.sign.word.set(state.word::<H>());
    }

    /// The end of a call: the engine is idle again, after the calls to the host that this one has caused.
    #[inline(always)]
    fn settle(&self) {
        if outside::is_due() {
            self.call_out();
        }
        self.set(State::Idle);
    }

    /// Makes the calls to the host that the one under way has caused. The engine is busy.
    #[cold]
    fn call_out(&self) {
        self.let_pass(outside::make_calls);
    }

    /// Runs what calls the host, out of which an exception may come.
    #[inline]
    fn let_pass<R>(&self, run: impl FnOnce() -> R) -> R {
        let passing = Passing(self);
        let answer = run();
        std::mem::forget(passing);
        answer
    }

    /// Lets a call in, or says why not, when the engine is not just idle. It forgets an earlier failure.
    #[cold]
    fn let_in(&self) -> Result<(), circflow_status> {
        match self.state() {
            State::Idle | State::Failed => {
                self.set(State::Idle);
                Ok(())
            }
            State::Panicked => {
                self.set(State::Poisoned);
                Err(CIRCFLOW_ERR_PANIC)
            }
            State::Poisoned => Err(CIRCFLOW_ERR_POISONED),
            State::Busy => Err(CIRCFLOW_ERR_REENTRANT),
        }
    }

    /// Notes that a call has failed. Inside another call, the status of the outer one counts.
    #[cold]
    fn failed(&self, status: circflow_status) -> circflow_status {
        if matches!(self.state(), State::Idle | State::Failed) {
            self.answer.set(Some(status));
            self.set(State::Failed);
        }
        status
    }

    #[cold]
    fn poison(&self, payload: Box<dyn Any + Send>) -> circflow_status {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        // SAFETY: nobody reads it now: the state is still Busy, or it is a drain's callback that is left.
        unsafe { *self.panic_text.get() = text };
        self.set(State::Poisoned);
        CIRCFLOW_ERR_PANIC
    }
}

#[cfg(feature = "test-hooks")]
thread_local! {
    /// The next call on this thread that names no engine and no queue panics.
    static PANIC_NEXT: Cell<bool> = const { Cell::new(false) };
}

/// Makes the next call on this thread that names no engine and no queue panic, so that the tests can see what a bug
/// would do.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[no_mangle]
pub extern "C-unwind" fn circflow_test_panic_next() {
    PANIC_NEXT.with(|next| next.set(true));
}
