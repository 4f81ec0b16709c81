//! Messages that come on a circuit.

use crate::base::Id;
use crate::conflux::LegIx;
use crate::engine::{self, receive, receive_from, Engine, LegSeat, Receiving, Step, Verdict, VerdictKind};
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::message::{self, *};
use crate::ffi::out::Out;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::wire::Command;
use libc::size_t;

/// Feeds a relay message that arrived on a circuit and was recognised here. Feed every message, control included, in
/// the order of arrival. If you do congestion control yourself, count the cell for your SENDMEs before, as that does
/// not wait for order (prop329 2.5). A message that circflow does not handle (SENDME, EXTEND and others) gets the
/// verdict DELIVER, without a number.
///
/// The verdict says what to do with the message: DELIVER, HELD, CONSUMED or REFUSE. On an error circflow has not taken
/// the message: drop it. Then drain.
///
/// @param message      Read during the call only.
/// @param verdict_out  Written on CIRCFLOW_OK.
///
/// Own statuses: class PEER: the peer broke the protocol; the close of the circuit, or of the whole set if its order is
/// lost, is queued. Class LIMIT: a cap was reached; the close is queued. CIRCFLOW_ERR_CLOSING: the circuit is closing
/// already. CIRCFLOW_ERR_UNDRAINED: drain, and feed the message again; only for LINK, LINKED, LINKED_ACK and
/// PADDING_NEGOTIATE, and for every message on a circuit that circflow runs. CIRCFLOW_ERR_INVALID: body_len above
/// CIRCFLOW_BODY_MAX; hop above 16; or, if the message has to be held or read, an unknown form, or a body that is NULL
/// and has a length.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_receive(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), false) = (unsafe { message.as_ref() }, verdict_out.is_null()) else {
        return unsafe { receive_again(engine, now_ns, circuit, message, verdict_out) };
    };
    receive(Received::<false> { engine, now_ns, circuit, message, verdict_out })
}

/// A message that came, and what becomes of it: one of many for circflow_circuit_receive_many().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct circflow_arrival {
    /// The circuit that it came on.
    pub circuit: circflow_circuit_id,
    /// The message.
    pub message: circflow_message,
    /// Written by circflow: what to do with the message.
    pub verdict: circflow_verdict,
}

/// Feeds many messages at once, in the order of the array, which is that of their arrival: all that a read of a channel
/// has brought, of one circuit or several. It does the same as circflow_circuit_receive() for each, and costs less. (As
/// you drain only after it, a message that makes others ready comes before them, and those behind it are held until
/// they are taken. If most messages come in disorder, feed one by one and drain in between.)
///
/// It ends at the first message that circflow does not take, and answers as circflow_circuit_receive() does about that
/// one. Those before it have their verdicts: act on them first. Then act on the status, and call again with the rest:
/// from the message behind it, or, after CIRCFLOW_ERR_UNDRAINED, from that message on, when you have drained.
///
/// @param arrivals   Bodies are read during the call only. The verdict of each message that is taken is written.
/// @param count      Messages there. With 0 nothing happens.
/// @param taken_out  Messages that were taken: `count` when the answer is CIRCFLOW_OK, otherwise the index of the one
///                   that was not.
///
/// Own statuses: those of circflow_circuit_receive(), about the message at the index *taken_out. CIRCFLOW_ERR_NULL:
/// taken_out, or arrivals with a count; nothing was fed.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_receive_many(
    engine: *mut circflow_engine,
    now_ns: u64,
    arrivals: *mut circflow_arrival,
    count: size_t,
    taken_out: *mut size_t,
) -> circflow_status {
    if taken_out.is_null() || (arrivals.is_null() && count != 0) {
        // SAFETY: NULL or room; the contract of this floor, which the caller keeps.
        return unsafe {
            Out::give(taken_out, 0);
            door::refuse(engine, CIRCFLOW_ERR_NULL)
        };
    }
    if count == 0 {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::answer(engine, taken_out, |_| Ok(0)) };
    }
    // SAFETY: not NULL, and so many are there by the contract of this function.
    let arrivals = unsafe { std::slice::from_raw_parts_mut(arrivals, count) };
    let (mut taken, mut status) = (0, CIRCFLOW_OK);
    while taken < count && status == CIRCFLOW_OK {
        // SAFETY: the contract of this floor, which the caller keeps.
        let step = unsafe { receive_row(engine, now_ns, arrivals, &mut taken) };
        let Some(arrival) = arrivals.get_mut(taken) else { break };
        let circflow_arrival { circuit, message, verdict: verdict_out } = arrival;
        status = receive_from(step, Received::<false> { engine, now_ns, circuit: *circuit, message, verdict_out });
        taken += usize::from(status == CIRCFLOW_OK);
    }
    // SAFETY: not NULL, and there is room by the contract of this function.
    unsafe { taken_out.write(taken) };
    status
}

/// Takes messages from the `taken`th on, through the door once for all, as long as the first step is all they need.
/// Answers what that step says of the first that needs more; none when it could not be entered.
#[inline(never)]
unsafe fn receive_row(
    engine: *mut circflow_engine,
    now: u64,
    arrivals: &mut [circflow_arrival],
    taken: &mut usize,
) -> Option<Step> {
    let mut at = *taken;
    let row = |core: &mut Engine| {
        // Once for all, as these steps arm no timer and queue nothing.
        if let Err(step) = core.enter_receive::<false>(now) {
            return Some(step);
        }
        while let Some(circflow_arrival { circuit, message, verdict }) = arrivals.get_mut(at) {
            message::fits(message).then_some(())?;
            let step = core.receive_entered::<false>(now, circuit.id(), message);
            let Step::Done(done) = step else { return Some(step) };
            // SAFETY: a verdict of the caller's.
            unsafe { message::write_verdict(verdict, &done) };
            at += 1;
            // SAFETY: verdicts of the caller's.
            at += unsafe { receive_same(core, now, *circuit, message.hop, arrivals.get_mut(at..)?) };
        }
        None
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    let step = unsafe { door::try_enter(engine, row) };
    *taken = at;
    step
}

/// Takes messages of a leg as long as they are next in order, of this circuit and from this hop. Answers how many.
#[inline(always)]
unsafe fn receive_same(
    core: &mut Engine,
    now: u64,
    circuit: circflow_circuit_id,
    hop: u8,
    arrivals: &mut [circflow_arrival],
) -> usize {
    let is_same = |arrival: &circflow_arrival| {
        let head = message::head(&arrival.message);
        let is_data = head.command == Command::DATA && head.stream_id != 0;
        arrival.circuit.v == circuit.v && is_data && head.hop == hop && message::fits(&arrival.message)
    };
    let Some(true) = arrivals.first().map(is_same) else { return 0 };
    let Some((state, ix)) = core.same_leg(circuit.id(), hop) else { return 0 };
    let mut taken = 0;
    for arrival in arrivals.iter_mut().take_while(|arrival| is_same(arrival)) {
        let Some((number, tag)) = state.arrive_quick(ix, now) else { break };
        let verdict = Verdict { number, ..Verdict::of(VerdictKind::Deliver, circuit.id(), tag) };
        // SAFETY: a verdict of the caller's.
        unsafe { message::write_verdict(&mut arrival.verdict, &verdict) };
        taken += 1;
    }
    taken
}

/// A message that was fed, each step of which goes through the door for itself: the first, which is all there is to
/// most messages, needs no frame and no body.
struct Received<'m, const WATCHED: bool> {
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &'m circflow_message,
    verdict_out: *mut circflow_verdict,
}

// SAFETY (of all that is here): made by circflow_circuit_receive() and circflow_circuit_receive_many() only, for one
// message, by the contract of which the engine is NULL or one, the message can be read and the verdict written.
impl<const WATCHED: bool> Receiving for Received<'_, WATCHED> {
    type Answer = circflow_status;

    #[inline(always)]
    fn quick(&mut self) -> Option<Step> {
        let &mut Received { engine, now_ns, circuit, message, .. } = self;
        let next = move |core: &mut Engine| {
            if !message::fits(message) {
                return None;
            }
            Some(core.receive_quick::<WATCHED>(now_ns, circuit.id(), message))
        };
        // SAFETY: see above.
        unsafe { door::try_enter(engine, next) }
    }

    #[inline(always)]
    fn data_quick<const USUAL: bool>(&mut self) -> Option<Step> {
        let &mut Received { engine, circuit, message, .. } = self;
        let data = message::data(message)?;
        // SAFETY: see above.
        let digest = || unsafe { message::cell_digest(message) }.ok();
        let take = |core: &mut Engine| Some(core.receive_data_quick::<WATCHED, USUAL>(circuit.id(), &data, digest));
        // SAFETY: see above.
        unsafe { door::try_enter(engine, take) }
    }

    #[inline(always)]
    fn early_quick(&mut self, seat: LegSeat) -> Option<circflow_status> {
        let &mut Received { engine, circuit, message, verdict_out, .. } = self;
        let early = move |core: &mut Engine| {
            // SAFETY: see above.
            let message = unsafe { message::read(message) }.ok()?;
            core.receive_early_quick::<WATCHED>(circuit.id(), seat, &message, |verdict| {
                // SAFETY: see above.
                unsafe { message::write_verdict(verdict_out, verdict) };
            })
        };
        // SAFETY: see above.
        unsafe { door::try_enter(engine, early) }?;
        if WATCHED {
            // SAFETY: see above.
            unsafe { door::call_out(engine) };
        }
        Some(CIRCFLOW_OK)
    }

    #[inline(always)]
    fn switch_quick(&mut self, seat: LegSeat) -> Option<Verdict> {
        let &mut Received { engine, circuit, message, .. } = self;
        let switch = move |core: &mut Engine| {
            // SAFETY: see above.
            let switch = unsafe { message::switch(message) }?;
            core.receive_switch_quick::<WATCHED>(circuit.id(), seat, switch)
        };
        // SAFETY: see above.
        unsafe { door::try_enter(engine, switch) }
    }

    #[inline(always)]
    fn other_quick(&mut self) -> Option<Verdict> {
        let &mut Received { engine, now_ns, circuit, message, .. } = self;
        let other = move |core: &mut Engine| core.receive_other_quick::<WATCHED>(now_ns, circuit.id(), message);
        // SAFETY: see above.
        unsafe { door::try_enter(engine, other) }
    }

    #[inline(always)]
    fn done(self, verdict: &Verdict) -> circflow_status {
        // SAFETY: see above.
        unsafe { message::write_verdict(self.verdict_out, verdict) };
        if WATCHED {
            // SAFETY: see above.
            unsafe { door::call_out(self.engine) };
        }
        CIRCFLOW_OK
    }

    #[inline(always)]
    fn data_done(self, verdict: &Verdict) -> circflow_status {
        // SAFETY: see above.
        unsafe {
            message::write_verdict(self.verdict_out, verdict);
            door::call_out(self.engine);
        }
        CIRCFLOW_OK
    }

    #[inline(always)]
    fn watched(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_watched(self.engine, self.now_ns, self.circuit, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn on_leg(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_on_leg::<WATCHED>(self.engine, self.circuit, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn early(self, seat: LegSeat) -> circflow_status {
        let Received { engine, circuit, message, verdict_out, .. } = self;
        // SAFETY: see above.
        unsafe { receive_early::<WATCHED>(engine, circuit, message, verdict_out, seat.set, seat.ix.into()) }
    }

    #[inline(always)]
    fn switch(self, seat: LegSeat) -> circflow_status {
        let Received { engine, circuit, message, verdict_out, .. } = self;
        // SAFETY: see above.
        unsafe { receive_switch::<WATCHED>(engine, circuit, message, verdict_out, seat.set, seat.ix.into()) }
    }

    #[inline(always)]
    fn run(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_run::<WATCHED>(self.engine, self.now_ns, self.circuit, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn run_unusual(self) -> circflow_status {
        let Received { engine, now_ns, circuit, message, verdict_out } = self;
        // SAFETY: see above.
        unsafe { receive_unusual::<WATCHED>(engine, now_ns, circuit, message, verdict_out) }
    }

    #[inline(always)]
    fn other(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_rest::<WATCHED>(self.engine, self.now_ns, self.circuit, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn data_on_leg(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_data_on_leg::<WATCHED>(self.engine, self.circuit, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn long(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_long(self.engine, self.now_ns, self.circuit, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn shut(self) -> circflow_status {
        // SAFETY: see above.
        unsafe { receive_again(self.engine, self.now_ns, self.circuit, self.message, self.verdict_out) }
    }
}

/// A message that comes while somebody watches each.
#[inline(never)]
unsafe extern "C-unwind" fn receive_watched(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    receive(Received::<true> { engine, now_ns, circuit, message, verdict_out })
}

/// A message that did not get in on the short way, or none. If only the failure of the last call shut it, all parts are
/// tried.
#[cold]
#[inline(never)]
unsafe extern "C-unwind" fn receive_again(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), false) = (unsafe { message.as_ref() }, verdict_out.is_null()) else {
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    if unsafe { door::reopen(engine) } {
        // SAFETY: the contract of this floor, which the caller keeps.
        unsafe { circflow_circuit_receive(engine, now_ns, circuit, message, verdict_out) }
    } else {
        // SAFETY: the contract of this floor, which the caller keeps.
        unsafe { receive_long(engine, now_ns, circuit, message, verdict_out) }
    }
}

#[inline(never)]
unsafe extern "C-unwind" fn receive_on_leg<const WATCHED: bool>(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let message = message::read(message).map_err(|why| core.invalid(why))?;
            let verdict = core.receive_on_leg::<WATCHED>(circuit.id(), &message)?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// A step with a function of its own. Its arguments come in registers, and the steps before keep nothing for it.
macro_rules! step_apart {
    ($(#[$what:meta])* $name:ident, $step:path) => {
        $(#[$what])*
        #[inline(never)]
        unsafe extern "C-unwind" fn $name<const WATCHED: bool>(
            engine: *mut circflow_engine,
            now_ns: u64,
            circuit: circflow_circuit_id,
            message: &circflow_message,
            verdict_out: *mut circflow_verdict,
        ) -> circflow_status {
            $step(Received::<WATCHED> { engine, now_ns, circuit, message, verdict_out })
        }
    };
}

/// As `step_apart`, for a step on the leg in a seat. No step after it asks for the time.
macro_rules! step_on_leg {
    ($(#[$what:meta])* $name:ident, $step:path) => {
        $(#[$what])*
        #[inline(never)]
        unsafe extern "C-unwind" fn $name<const WATCHED: bool>(
            engine: *mut circflow_engine,
            circuit: circflow_circuit_id,
            message: &circflow_message,
            verdict_out: *mut circflow_verdict,
            set: Id,
            ix: u32,
        ) -> circflow_status {
            let seat = LegSeat { set, ix: ix as LegIx };
            $step(Received::<WATCHED> { engine, now_ns: 0, circuit, message, verdict_out }, seat)
        }
    };
}

step_on_leg! {
    /// A multiplexed message on a leg that is not just the next one.
    receive_early, engine::receive_early
}

step_on_leg! {
    /// A SWITCH on a leg.
    receive_switch, engine::receive_switch
}

step_apart! {
    /// DATA on a circuit that circflow runs, as it comes nearly always.
    receive_run, engine::receive_data::<_, true>
}

step_apart! {
    /// The same, of another stream than before, or when much is buffered.
    receive_unusual, engine::receive_data::<_, false>
}

step_apart! {
    /// A message that is not on a leg.
    receive_rest, engine::receive_other
}

#[inline(never)]
unsafe extern "C-unwind" fn receive_data_on_leg<const WATCHED: bool>(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let tag = message::cell_digest(message).map_err(|why| core.invalid(why))?;
            let message = message::read(message).map_err(|why| core.invalid(why))?;
            let verdict = core.receive_data_on_leg::<WATCHED>(circuit.id(), &message, tag)?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

#[inline(never)]
unsafe extern "C-unwind" fn receive_long(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let id = circuit.id();
            let tag = || message::cell_digest(message);
            let message = message::read(message).map_err(|why| core.invalid(why))?;
            let verdict = core.receive_long(core.time(now_ns), id, &message, tag)?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}
