//! A turn of the host's loop: instructions, the deadline, the clock.

use super::circflow_engine;
use crate::base::Id;
use crate::ffi::door::{self, Allowed};
use crate::ffi::insn::{self, *};
use crate::ffi::inward;
use crate::ffi::message::CIRCFLOW_CELL_BODY_LEN;
use crate::ffi::out::Out;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::message::Lend;
use libc::{c_void, size_t};
use std::mem::MaybeUninit;
use std::ptr;
use zeroize::Zeroize;

/// Takes the first instruction out of the queue. Its kind is CIRCFLOW_INSN_NONE when no instruction waits. It is NONE,
/// too, when the call has freed so much memory that it leaves the rest to a later call; the deadline is 0 then.
/// Instructions come in the order of their causes. Poll until NONE, then sleep until the deadline.
///
/// @param body      The body buffer: room for the body of a SEND, DELIVER or WRITE. CIRCFLOW_CELL_BODY_LEN bytes are
///                  always enough, CIRCFLOW_BODY_MAX bytes if you do not use circflow_circuit_relay().
/// @param body_cap  Bytes of room there.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: the instruction has a longer body. It is still the first in the queue: poll
/// with a larger buffer.
/// Inside drain: no. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_poll(
    engine: *mut circflow_engine,
    body: *mut u8,
    body_cap: size_t,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    if insn_out.is_null() || (body.is_null() && body_cap != 0) {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_when(engine, Allowed::NotInsideDrain, |core| {
            // Checked first, as a loop often polls an empty queue.
            let mut out = insn::InsnOut::new(insn_out);
            if core.is_idle() || !core.poll_into(&mut inward::buffer(body, body_cap), &mut out)? {
                insn_out.write(insn::NOTHING);
            }
            Ok(())
        })
    }
}

/// Calls `fn` for each instruction, in order, until none waits or `budget` of them were taken. Feeds inside `fn` can
/// add instructions; they are taken, too. It does the same as a loop around circflow_engine_poll().
///
/// @param budget    The most calls of `fn`. It bounds the work of one turn of your loop.
/// @param more_out  1 when the budget was used up first: drain again soon. Otherwise 0. May be NULL.
/// @param fn        Called for each instruction; must not be NULL.
///
/// Own statuses: none.
/// Inside drain: no. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_drain(
    engine: *mut circflow_engine,
    budget: size_t,
    more_out: *mut u8,
    r#fn: circflow_insn_fn,
    userdata: *mut c_void,
) -> circflow_status {
    let Some(call) = r#fn else {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::drain(engine, || {
            let mut buffer = [0u8; CIRCFLOW_CELL_BODY_LEN];
            // The set whose ready messages are first. Nothing but this loop takes anything out of the queue.
            let mut in_turn = Id::NONE;
            for _ in 0..budget {
                let mut insn = MaybeUninit::uninit();
                let mut body = ptr::null();
                let mut out = insn::InsnOut::new(insn.as_mut_ptr());
                let quick = door::try_enter(engine, |core| {
                    core.give_back();
                    let mut bodies = Lend::new(&mut buffer);
                    core.take_ready_quick(in_turn, &mut bodies, &mut out)?;
                    body = bodies.lies_at();
                    Some(())
                });
                if quick.is_none() {
                    let status = door::enter(engine, |core| {
                        core.give_back();
                        let mut bodies = Lend::new(&mut buffer);
                        if core.poll_into(&mut bodies, &mut out)? {
                            body = bodies.lies_at();
                        }
                        in_turn = core.set_in_turn();
                        Ok(())
                    });
                    if status != CIRCFLOW_OK {
                        return status;
                    }
                }
                if body.is_null() {
                    break;
                }
                // SAFETY: it was written, as there is a body (which may have no bytes).
                let insn = insn.assume_init_ref();
                // SAFETY: the host's own function; the core is not borrowed while it runs. A body that is lent stays as
                // it is, whatever is fed meanwhile, until it is given back: chunks of the pool do not move, and its
                // slot is nobody else's.
                call(userdata, insn, body);
                if insn::has_nonce(insn) {
                    buffer.zeroize();
                }
            }
            super::record::pour(engine, false);
            door::enter(engine, |core| {
                core.give_back();
                // SAFETY: NULL or room, by the contract of this floor.
                Out::give(more_out, u8::from(core.waiting()));
                Ok(())
            })
        })
    }
}

/// A time that never comes: the answer of circflow_engine_get_deadline() when no timer runs.
pub const CIRCFLOW_NEVER: u64 = u64::MAX;

/// Gives the time, on your clock, at which to call circflow_engine_tick() and drain. It is the one deadline of the
/// whole engine: arm one timer with it after each drain. A deadline that is not later than now means "at once". It is
/// CIRCFLOW_NEVER when no timer runs. It is never too late, but it can be too early when a timer was put off: the tick
/// then does nothing, and the next deadline is a later one.
///
/// It is 0, which means "at once", while instructions wait, as after a drain whose budget was used up, and while work
/// is left that was too much for one call (many timers due at the same time, memory of sets that ended). Tick, drain
/// and ask again; your loop can look at its sockets in between. If you feed before a left-over timer has run, that
/// timer runs after the feed, as if it were due later.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_get_deadline(
    engine: *mut circflow_engine,
    deadline_ns_out: *mut u64,
) -> circflow_status {
    if !deadline_ns_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        if let Some(deadline) = unsafe { door::try_enter(engine, |core| core.wakes_at_quick()) } {
            // SAFETY: not NULL, and there is room by the contract of this floor.
            unsafe { deadline_ns_out.write(deadline) };
            return CIRCFLOW_OK;
        }
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { deadline_any(engine, deadline_ns_out) }
}

/// The long way: something waits or is held, the clock was set, or NULL was given.
#[inline(never)]
unsafe extern "C-unwind" fn deadline_any(engine: *mut circflow_engine, deadline_ns_out: *mut u64) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::answer(engine, deadline_ns_out, |core| Ok(core.wall(core.wakes_at()))) }
}

/// Runs the timers that are due at `now_ns`. Every feed runs them, too, before anything else; this call is for a loop
/// that was idle. To call it too early or too late is no error. Drain after it.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_tick(engine: *mut circflow_engine, now_ns: u64) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            core.tick(core.time(now_ns));
            Ok(())
        })
    }
}

/// Tells the engine that your clock was wrong, and that it is `now_ns` now. This may be earlier or later than the
/// latest time that you named. No timer runs, and no time passes: a timer with five seconds left has five seconds left
/// after it. (circflow_engine_tick() lets time pass.)
///
/// You need it in two cases. The first: by mistake you named a time far in the future. The engine then stands still
/// until that time comes, as it reads earlier times as the latest one seen. The second: your clock was set back. Both
/// cases are counted (time_leaps, time_backwards) and logged. Call it for each engine; a hub has no clock.
///
/// Timers that ended at the wrong time stay ended. Timers set since then end as much later than `now_ns` as they were
/// later than the wrong time. Round trips that have begun are not measured (rtt_ns of CIRCFLOW_INSN_LINKED is 0). Held
/// messages are as old as before. Times that circflow gives (deadlines, last_active_ns) are on the new clock from now
/// on, or 0 if they are before its beginning. After this call, every call takes some tens of machine instructions more.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: now_ns is CIRCFLOW_NEVER.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_set_clock(
    engine: *mut circflow_engine,
    now_ns: u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.set_clock(now_ns)) }
}
