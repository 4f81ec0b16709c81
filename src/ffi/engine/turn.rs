//! A turn of the host's loop: instructions, the deadline, the clock.

use super::circflow_engine;
use crate::ffi::door::{self, Allowed};
use crate::ffi::insn::{self, *};
use crate::ffi::inward;
use crate::ffi::message::CIRCFLOW_CELL_BODY_LEN;
use crate::ffi::out::Out;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::{c_void, size_t};
use zeroize::Zeroize;

/// Takes the first instruction out of the queue; its kind is CIRCFLOW_INSN_NONE when nothing waits, or when the call
/// has freed so much that it leaves the rest to a later one: the deadline is 0 then. Instructions come in the order of
/// their causes. Poll until NONE before you sleep, and sleep until the deadline.
///
/// @param body      Where the body of a SEND, DELIVER or WRITE goes. Give CIRCFLOW_CELL_BODY_LEN bytes and it always
///                  fits; CIRCFLOW_BODY_MAX are enough where no cells pass.
/// @param body_cap  Bytes of room there.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: the instruction has a longer body; it is still the first in the queue.
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
            // First, as a loop asks often when there is nothing.
            if core.has_nothing() || !core.poll_into(inward::buffer(body, body_cap), &mut insn::Place::new(insn_out))? {
                insn_out.write(insn::NOTHING);
            }
            Ok(())
        })
    }
}

/// Calls `fn` for each waiting instruction, in order, those that feeds from inside `fn` add included, until none waits
/// or `budget` of them were taken. The convenient twin of circflow_engine_poll().
///
/// @param budget    At most so many calls; the bound on the work of one round of your loop.
/// @param more_out  1 when the budget ran out first: drain again soon. May be NULL.
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
            let mut body = [0u8; CIRCFLOW_CELL_BODY_LEN];
            for _ in 0..budget {
                let mut insn = insn::NOTHING;
                let status = door::enter(engine, |core| {
                    core.poll_into(&mut body, &mut insn::Place::new(&mut insn))?;
                    Ok(())
                });
                if status != CIRCFLOW_OK {
                    return status;
                }
                if insn.kind == circflow_insn_kind::CIRCFLOW_INSN_NONE as u32 {
                    break;
                }
                // SAFETY: the host's own function; the core is not borrowed while it runs.
                call(userdata, &insn, body.as_ptr());
                if insn::has_nonce(&insn) {
                    body.zeroize();
                }
            }
            door::enter(engine, |core| {
                // SAFETY: NULL or room, by the contract of this floor.
                Out::give(more_out, u8::from(core.waiting()));
                Ok(())
            })
        })
    }
}

/// The answer of circflow_engine_get_deadline() when nothing is due ever.
pub const CIRCFLOW_NEVER: u64 = u64::MAX;

/// When your loop has to come back for the engine, on your clock: then circflow_engine_tick(), and drain. 0 while
/// instructions wait, as after a drain whose budget ran out; a deadline that is not later than now means "at once".
/// CIRCFLOW_NEVER when nothing is due ever. The one deadline of the whole engine: arm one timer with it after each
/// drain. It is never later than what is due, and can be earlier, after a timer was put off: then the tick does
/// nothing, and the next deadline is a later one.
///
/// 0 means at once: one call does a bounded amount of work, and some is left (timers, where hundreds are due at a time;
/// memory of sets that ended). Tick, drain and ask again; your loop can look at its sockets in between. A feed that
/// comes before a timer that was due finds things as if that timer were so much later.
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
        if let Some(deadline) = unsafe { door::try_enter(engine, |core| core.wakes_next()) } {
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

/// Does what is due at `now_ns`. Every feed does so too, before anything else; this is for a loop that was idle. Too
/// early or too late is no error.
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

/// Says that the host's clock was wrong, and that it is `now_ns` now: earlier or later than the latest time that was
/// named. Nothing runs, and no time passes by this call: a timer that had five seconds left has them again, from now
/// on. circflow_engine_tick() is what lets time pass.
///
/// You need it after a wild time, far in the future, has come in by mistake, as until that time comes the engine stands
/// still: earlier times are read as the latest seen. And you need it after your clock was set back. Both are counted
/// (time_leaps, time_backwards) and logged. What ran out at the wild time has run out; what was set since then is due
/// as much later than `now_ns` as it was later than the wild time. Round trips under way are not measured (rtt_ns of
/// CIRCFLOW_INSN_LINKED is 0), as nobody knows when they began. What is held is as old as it was. Times that circflow
/// names (deadlines, last_active_ns) are on the new clock from now on; one before its beginning is 0. From then on each
/// call costs some tens of instructions more. Say it to each engine; a hub has no clock.
///
/// Own statuses: CIRCFLOW_ERR_INVALID for CIRCFLOW_NEVER, which is no time.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_set_clock(
    engine: *mut circflow_engine,
    now_ns: u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.set_clock(now_ns)) }
}
