//! Sending through a set: which leg, and with which SWITCH.

use crate::engine::{send, send_rest, Engine, Outlet, Sending, Sent};
use crate::ffi::circuit::{self, circflow_leg_report};
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward;
use crate::ffi::message::{self, *};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::size_t;

/// Decides on which leg a multiplexed message goes, and changes nothing. It is the first half of sending, for a host
/// whose queues can refuse a cell. Number, window and sending leg change when you report the SWITCH and the message
/// with circflow_circuit_cell_queued(). A message that is not DATA goes out even when no leg has room, as an END must
/// not wait for a window. The verdict HELD is final: padding blocks the legs (an END waits then, too), and circflow
/// keeps the message.
///
/// @param message       The message. Its command is read, and its hop (the join point; 0 at an exit). Its body is read,
///                      and its token kept, only when the verdict is HELD.
/// @param reports       Reports of legs to apply first, as circflow_leg_update() does; NULL with 0. They stay applied
///                      whatever the answer is.
/// @param report_count  How many.
/// @param verdict_out   CIRCFLOW_VERDICT_SEND with leg, number and switch_delta; or CIRCFLOW_VERDICT_HELD: the message
///                      comes back as CIRCFLOW_INSN_SEND with its leg and number, after another CIRCFLOW_INSN_SEND with
///                      a SWITCH if it needs one. Do not report these two.
///
/// Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, held_sends_max messages wait already, or held_bytes_max is
/// reached; stop reading streams until CIRCFLOW_INSN_MAY_SEND. circflow_engine_get_last_detail() says which leg lacks
/// what. CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE. CIRCFLOW_ERR_NOT_MULTIPLEXED: send the message on its
/// own circuit. CIRCFLOW_ERR_IS_RUN: circflow knows the set's streams; use circflow_stream_send().
/// CIRCFLOW_ERR_INVALID: another hop than the join point; body_len above CIRCFLOW_BODY_MAX; or, if the message has to
/// be held, as for circflow_circuit_receive(). From the reports: CIRCFLOW_ERR_NOT_A_LEG, CIRCFLOW_ERR_CLOSING.
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
    // SAFETY: by the contract of this function, which is that of the other.
    unsafe { for_set::<true>(engine, now_ns, set, message, reports, report_count, verdict_out) }
}

/// Decides on which leg a multiplexed message goes, and counts it as queued, SWITCH included. It is for a host whose
/// queues never refuse a cell. If the verdict is SEND, queue the SWITCH (if switch_delta is not 0), then the message,
/// before any other message of this set.
///
/// @param message       As for circflow_set_decide().
/// @param reports       Reports of legs to apply first; NULL with 0.
/// @param report_count  How many.
/// @param verdict_out   CIRCFLOW_VERDICT_SEND or CIRCFLOW_VERDICT_HELD.
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
    // SAFETY: by the contract of this function, which is that of the other.
    unsafe { for_set::<false>(engine, now_ns, set, message, reports, report_count, verdict_out) }
}

/// The common part of both: the set chooses a leg, and counts the message as queued unless the host reports it.
#[inline(always)]
unsafe fn for_set<const CHOOSES: bool>(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY (of both): by the contract of this function, which is theirs.
    if report_count == 0 {
        unsafe { without_reports::<CHOOSES>(engine, now_ns, set, message, reports, report_count, verdict_out) }
    } else {
        unsafe { rest_for_set::<CHOOSES>(engine, now_ns, set, message, reports, report_count, verdict_out) }
    }
}

/// All steps. Each of these functions has the arguments of the call, so that they stay where they are.
#[inline(never)]
unsafe extern "C-unwind" fn without_reports<const CHOOSES: bool>(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    send(ForSet::<CHOOSES> { engine, now_ns, set, message, reports, report_count, verdict_out })
}

/// A message for a set, which only chooses or counts too; each step of it goes through the door for itself, and checks
/// what it needs.
struct ForSet<const CHOOSES: bool> {
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
}

// SAFETY (of all that is here): made by circflow_set_decide() and circflow_set_send() only, for one call, by the
// contract of which the engine is NULL or one, the message and the reports are NULL or can be read, and the verdict is
// NULL or can be written.
impl<const CHOOSES: bool> Sending for ForSet<CHOOSES> {
    type Answer = circflow_status;

    #[inline(always)]
    fn quick(&mut self) -> Option<Sent> {
        // SAFETY: see above.
        let message = unsafe { self.message() }?;
        let (now, outlet) = (self.now_ns, self.outlet());
        let quick = move |core: &mut Engine| {
            if !message::fits(message) {
                return None;
            }
            core.send_quick(now, outlet, &message::head(message))
        };
        // SAFETY: see above.
        unsafe { door::try_enter(self.engine, quick) }
    }

    #[inline(always)]
    fn done(&mut self, sent: &Sent) -> circflow_status {
        // SAFETY: see above.
        unsafe {
            message::write_verdict(self.verdict_out, &sent.verdict);
            if sent.tells {
                circuit::tell_of_sent(self.engine, sent.verdict.circuit, sent.verdict.number, (*self.message).command)
            } else {
                CIRCFLOW_OK
            }
        }
    }

    #[inline(always)]
    fn anew(&mut self) -> Option<Sent> {
        // SAFETY: see above.
        let (message, reports) = unsafe { (self.message()?, inward::slice(self.reports, self.report_count)?) };
        let (now, outlet) = (self.now_ns, self.outlet());
        let anew = move |core: &mut Engine| {
            if !message::fits(message) || !circuit::are_known(reports) {
                return None;
            }
            core.send_anew(now, outlet, &message::head(message), circuit::news_of(reports))
        };
        // SAFETY: see above.
        unsafe { door::try_enter(self.engine, anew) }
    }

    #[inline(always)]
    fn rest(&mut self) -> circflow_status {
        let &mut ForSet { engine, now_ns, set, message, reports, report_count, verdict_out } = self;
        // After a call that has failed, only the long way is open.
        // SAFETY (of all): see above.
        if unsafe { door::is_idle(engine) } {
            unsafe { rest_for_set::<CHOOSES>(engine, now_ns, set, message, reports, report_count, verdict_out) }
        } else {
            unsafe { send_long::<CHOOSES>(engine, now_ns, set, message, reports, report_count, verdict_out) }
        }
    }

    #[inline(always)]
    fn long(&mut self) -> circflow_status {
        let &mut ForSet { engine, now_ns, set, message, reports, report_count, verdict_out } = self;
        // SAFETY: see above.
        unsafe { send_long::<CHOOSES>(engine, now_ns, set, message, reports, report_count, verdict_out) }
    }
}

impl<const CHOOSES: bool> ForSet<CHOOSES> {
    /// The message, if there is room for the verdict, too.
    #[inline(always)]
    unsafe fn message<'m>(&self) -> Option<&'m circflow_message> {
        // SAFETY: NULL or a message, by the contract of this floor.
        unsafe { self.message.as_ref() }.filter(|_| !self.verdict_out.is_null())
    }

    #[inline(always)]
    fn outlet(&self) -> Outlet {
        if CHOOSES {
            Outlet::Choice(self.set.id())
        } else {
            Outlet::Set(self.set.id())
        }
    }
}

/// The steps after the quick one, for reports, or another leg.
#[inline(never)]
unsafe extern "C-unwind" fn rest_for_set<const CHOOSES: bool>(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    send_rest(&mut ForSet::<CHOOSES> { engine, now_ns, set, message, reports, report_count, verdict_out })
}

/// The long way: no room, or something is due, or more than the set has to see the message.
#[inline(never)]
unsafe extern "C-unwind" fn send_long<const CHOOSES: bool>(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    let call = ForSet::<CHOOSES> { engine, now_ns, set, message, reports, report_count, verdict_out };
    // SAFETY: the contract of this floor, which the caller keeps.
    let (Some(message), Some(reports)) = (unsafe { call.message() }, unsafe { inward::slice(reports, report_count) })
    else {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            if !message::fits(message) {
                return Err(core.invalid("a message has a body that is too long"));
            }
            let news = circuit::reports(reports).map_err(|why| core.invalid(why))?;
            let (now, head) = (core.time(now_ns), message::head(message));
            let verdict = core.send_long(now, call.outlet(), &head, news, || message::kept(message))?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// Tells whether a DATA message could be sent now, and on which leg (SEND), or would be held (HELD). It changes
/// nothing; after CIRCFLOW_ERR_NO_ROOM from this function, no CIRCFLOW_INSN_MAY_SEND comes.
///
/// @param verdict_out  The answer that circflow_set_decide() would give.
///
/// Own statuses: CIRCFLOW_ERR_NO_ROOM, CIRCFLOW_ERR_NOT_USABLE: as of circflow_set_decide().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_get_decision(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    if verdict_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    if let Some(verdict) = unsafe { door::try_enter(engine, |core| core.peek_quick(set.id())) } {
        // SAFETY: not NULL, and there is room by the contract of this floor.
        unsafe { message::write_verdict(verdict_out, &verdict) };
        return CIRCFLOW_OK;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let verdict = core.peek(set.id())?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// Gives a number of DATA messages that you may send on the sending leg without a SWITCH, and without
/// circflow_set_decide() for each. Report each with circflow_circuit_cell_queued(), which lowers the number by one. The
/// number is valid until a report comes, or a leg comes or goes. 0: call circflow_set_decide().
///
/// It is above 0 only after a circflow_set_decide() for DATA that named the leg that was sending already.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_get_room(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    messages_out: *mut u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::answer(engine, messages_out, |core| core.room(set.id())) }
}

/// Names the leg on which the messages of a set go, from the next one on, in place of the algorithm: your own leg
/// choice. It holds until you name another leg, or until this one is lost. Call it before each message, if you like;
/// docs/guide.md has a recipe. Numbers, SWITCHes and all checks stay as they are, and you send as before: with
/// circflow_set_decide() or circflow_set_send(), or on the streams of a set that circflow runs. An earlier answer of
/// circflow_set_get_room() is no longer valid. If you wait for room and this leg has it, CIRCFLOW_INSN_MAY_SEND is
/// queued.
///
/// While the leg has no room, DATA waits for it, even if another leg has room: CIRCFLOW_ERR_NO_ROOM, and
/// CIRCFLOW_INSN_MAY_SEND when this leg has room. (To do without waiting, ask circflow_set_get_decision(), and name
/// another leg.) A message that is not DATA goes on it at once. While padding blocks it, messages are held for it.
/// Limits on SWITCHes do not count: neither switch_run_min, nor a peer's wish for low memory, which
/// circflow_set_get_stats() gives as peer_ux. Two things come first: after a SWITCH without a message, that goes on the
/// SWITCH's leg; and when a leg with room is 2^31 messages behind, one message goes there, so that a SWITCH can still
/// reach it.
///
/// When the leg is lost, and when it has no room for so long that no SWITCH can reach it, the algorithm chooses again.
/// You have closed the leg then, with circflow_circuit_close() or circflow_circuit_gone(), or got CIRCFLOW_INSN_CLOSE
/// for it; circflow_set_get_stats() gives what counts now as named_leg.
///
/// @param leg  A leg of the set that is linked, on this engine or, if the set has legs on other engines of a hub, on
///             any of them. Zero gives the choice back to the algorithm.
///
/// Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is no leg of this set. CIRCFLOW_ERR_NOT_USABLE: the leg is not linked; wait
/// for CIRCFLOW_INSN_LINKED. CIRCFLOW_ERR_CLOSING: it is closing. CIRCFLOW_ERR_INVALID: it is too far behind for a
/// SWITCH. After each of them the choice is as before.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_use_leg(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    leg: circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.name_leg(set.id(), leg.id())) }
}

/// Tells a set how much you have to send: a hint. An algorithm that knows how much waits can leave a slow leg alone at
/// the end of a download, and use it in the middle of one. CIRCFLOW_ALGORITHM_ECF reads the hint; the others do not, so
/// far. Without it, ECF assumes that one window of the fastest leg waits.
///
/// Call it when something new waits, before you send it. Each message that goes on lowers the number by itself, so you
/// need not call it for each; calling it each time is cheap if you count right. Messages that circflow holds for you
/// count as well, you need not add them. On a set that circflow runs, bytes that wait wait in your sockets: there, too,
/// only you know how many.
///
/// @param messages  Relay messages of DATA that wait with you, on all streams of the set: bytes divided by
///                  CIRCFLOW_DATA_MAX, rounded up. 0 takes the hint back: you do not know.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_expect(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    messages: u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.foresee(set.id(), messages)) }
}
