//! Sending through a set: which leg, and with which SWITCH.

use crate::base::Id;
use crate::engine::{Engine, Error, Verdict};
use crate::ffi::circuit::{self, circflow_leg_report};
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward;
use crate::ffi::message::{self, *};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::wire::Command;
use libc::size_t;

/// Decides on which leg a multiplexed message goes, and changes nothing: number, window and sending leg move when
/// circflow_circuit_sent() reports the SWITCH and the message as queued. The first half of sending, for a host whose
/// queues can refuse a cell. A message that is not DATA goes out even when no leg has room (RELAY_END must not wait for
/// a window). HELD is no decision but an answer: padding blocks the
/// legs (END waits then, too), and the message was taken.
///
/// @param message       Its command counts, and its hop (the join point; at an exit 0). Its body is read, and its token
///                      taken, only when the verdict is HELD.
/// @param reports       Reports of legs to apply first, as circflow_circuit_report() does; NULL with 0. They are news,
///                      and stand whatever the answer is.
/// @param report_count  How many.
/// @param verdict_out   CIRCFLOW_VERDICT_SEND with leg, number and switch_delta, or CIRCFLOW_VERDICT_HELD: it comes
///                      back as CIRCFLOW_INSN_SEND with its leg and number, after another with a SWITCH if it needs
///                      one, and is not to be reported. Written on CIRCFLOW_OK.
///
/// Own statuses: CIRCFLOW_ERR_BLOCKED: no leg has room, held_sends_max messages wait already, or there is no memory for
/// another: stop reading streams until CIRCFLOW_INSN_RESUME; circflow_engine_last_detail() says which leg lacks what;
/// CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE; CIRCFLOW_ERR_NOT_MULTIPLEXED: send it on its own circuit;
/// CIRCFLOW_ERR_IS_RUN: circflow knows the set's streams, circflow_stream_send() it; CIRCFLOW_ERR_INVALID: not to the
/// join point, body_len above CIRCFLOW_BODY_MAX, or, where it has to be held, as for circflow_circuit_receive(); of
/// reports: CIRCFLOW_ERR_NOT_A_LEG, CIRCFLOW_ERR_GONE.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_decide(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), Some(reports), false) =
        (message.as_ref(), inward::slice(reports, report_count), verdict_out.is_null())
    else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    if !message::fits(message) {
        return refuse_long(engine);
    }
    if reports.is_empty() {
        let (set, command) = (set.id(), Command(message.command));
        if let Some(verdict) = door::try_enter(engine, |core| core.decide_next(now_ns, set, command, message.hop)) {
            message::write_verdict(verdict_out, &verdict);
            return CIRCFLOW_OK;
        }
    }
    decide_any(engine, now_ns, set, message, reports, verdict_out)
}

/// The long way: reports, another leg, no room.
#[inline(never)]
unsafe fn decide_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: &circflow_message,
    reports: &[circflow_leg_report],
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    door::enter(engine, |core| {
        if !reports.is_empty() {
            let news = circuit::reports(reports).map_err(|why| core.invalid(why))?;
            core.report_for(core.time(now_ns), set.id(), news)?;
        }
        let set = set.id();
        let verdict = match core.decide(core.time(now_ns), set, Command(message.command), message.hop)? {
            Some(verdict) => verdict,
            None => hold(core, set, message)?,
        };
        message::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// Decides and reports as queued in one call, SWITCH included: for a host whose queues never refuse a cell. Send the
/// SWITCH, if switch_delta is not 0, and the message, in this order, before anything else of this set.
///
/// message, reports, report_count and verdict_out are as for circflow_set_decide().
///
/// Own statuses: as of circflow_set_decide().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_send(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), Some(reports), false) =
        (message.as_ref(), inward::slice(reports, report_count), verdict_out.is_null())
    else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    if reports.is_empty() {
        let next = door::try_enter(engine, |core| {
            if !message::fits(message) {
                return None;
            }
            let verdict = core.send_next(now_ns, set.id(), Command(message.command), message.hop)?;
            Some((verdict, core.pads()))
        });
        if let Some((verdict, pads)) = next {
            message::write_verdict(verdict_out, &verdict);
            return if pads { note_next(engine, verdict.circuit, message.hop) } else { CIRCFLOW_OK };
        }
    }
    send_any(engine, now_ns, set, message, reports, verdict_out)
}

#[inline(never)]
unsafe extern "C-unwind" fn note_next(engine: *mut circflow_engine, leg: Id, hop: u8) -> circflow_status {
    door::enter(engine, |core| {
        core.note_next(leg, hop);
        Ok(())
    })
}

/// The long way: reports, another leg, no room.
#[inline(never)]
unsafe fn send_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: &circflow_message,
    reports: &[circflow_leg_report],
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    if !message::fits(message) {
        return refuse_long(engine);
    }
    door::enter(engine, |core| {
        if !reports.is_empty() {
            let news = circuit::reports(reports).map_err(|why| core.invalid(why))?;
            core.report_for(core.time(now_ns), set.id(), news)?;
        }
        let set = set.id();
        let verdict = match core.send(core.time(now_ns), set, Command(message.command), message.hop)? {
            Some(verdict) => verdict,
            None => hold(core, set, message)?,
        };
        message::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

#[cold]
#[inline(never)]
unsafe fn refuse_long(engine: *mut circflow_engine) -> circflow_status {
    door::enter(engine, |core| Err(core.invalid("a message has a body that is too long")))
}

/// Padding blocks the legs: the message is kept.
#[cold]
unsafe fn hold(core: &mut Engine, set: Id, message: &circflow_message) -> Result<Verdict, Error> {
    let message = message::read(message).map_err(|why| core.invalid(why))?;
    core.hold_for_set(set, &message)
}

/// Asks whether a DATA message could be sent now (SEND), and on which leg, or would be held (HELD). Changes nothing at
/// all; not even a later CIRCFLOW_INSN_RESUME comes of it.
///
/// @param verdict_out  As circflow_set_decide() would answer. Written on CIRCFLOW_OK.
///
/// Own statuses: CIRCFLOW_ERR_BLOCKED, CIRCFLOW_ERR_NOT_USABLE, as of circflow_set_decide().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_peek(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    if verdict_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    if let Some(verdict) = door::try_enter(engine, |core| core.peek_next(set.id())) {
        message::write_verdict(verdict_out, &verdict);
        return CIRCFLOW_OK;
    }
    door::enter(engine, |core| {
        let verdict = core.peek(set.id())?;
        message::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// For a host that asks with circflow_set_decide() before each cell: how many DATA messages in a row it would answer to
/// with the leg that sends now and no SWITCH, as long as nothing is reported and no leg comes or goes. So many may be
/// sent without asking; report each with circflow_circuit_sent(), which counts the number down. 0: ask.
///
/// Known after a circflow_set_decide() that named the leg that was sending, for DATA; 0 at any other time.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_room(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    messages_out: *mut u64,
) -> circflow_status {
    if messages_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter(engine, |core| {
        messages_out.write(core.room(set.id())?);
        Ok(())
    })
}
