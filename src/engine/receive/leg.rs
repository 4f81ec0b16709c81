//! Receiving on a leg: in order, too early, and SWITCH.

use crate::base::{Id, Nanos};
use crate::conflux::{Arrival, Fault, LegIx};
use crate::engine::out::insn::Queued;
use crate::engine::receive::{LegSeat, Step};
use crate::engine::{Circuit, CircuitFlags, Engine, Error, Place, Verdict, VerdictKind};
use crate::event::Class;
use crate::message::{cost_of, Fields, Message};
use crate::reactor::Controller;
use crate::wire::conflux::Switch;
use crate::wire::Command;

/// The number that a message has got, its set, and the host's tag of its leg.
pub(super) struct Arrived {
    pub arrival: Arrival,
    pub set: Id,
    pub tag: u64,
}

/// The first step for DATA of a stream on a circuit that is no leg.
#[cold]
fn receive_on_no_leg(circuit: &mut Circuit, id: Id) -> Step {
    if circuit.place != Place::Alone {
        return Step::Other;
    }
    circuit.config.flags.add(CircuitFlags::STREAMS);
    Step::Done(Verdict::of(VerdictKind::Deliver, id, circuit.config.tag))
}

/// The first step for what is not DATA of a stream from the plain hop.
#[inline(always)]
fn step_unusual(circuit: &Circuit, message: &impl Fields) -> Step {
    // Nearly all are DATA: others are looked up in the table of commands by the second step.
    match circuit.place {
        _ if message.command() == Command::DATA && circuit.reactor.is_some() => Step::Run,
        Place::Leg { set, ix }
            if message.command() == Command::CONFLUX_SWITCH
                && message.stream_id() == 0
                && circuit.config.plain.is(message.hop()) =>
        {
            Step::Switch(LegSeat { set, ix })
        }
        _ => Step::Other,
    }
}

impl Engine {
    /// The first step of receiving, in as few instructions as possible. It needs neither body nor token, and takes
    /// DATA: on a leg if it is next in order and no held message is next behind it, and on a circuit of the host's that
    /// is no leg and has no padder.
    #[inline(always)]
    pub fn receive_quick<const WATCHED: bool>(&mut self, now: Nanos, id: Id, message: &impl Fields) -> Step {
        match self.enter_receive::<WATCHED>(now) {
            Ok(()) => self.receive_entered::<WATCHED>(now, id, message),
            Err(step) => step,
        }
    }

    /// Before the first step, or before those of many messages that come at the same time: an error when it cannot be
    /// taken, as something is due, or somebody watches.
    #[inline(always)]
    pub fn enter_receive<const WATCHED: bool>(&mut self, now: Nanos) -> Result<(), Step> {
        if self.enter_quick::<WATCHED>(now) {
            return Ok(());
        }
        Err(if !WATCHED && self.is_watched() { Step::Watched } else { Step::Other })
    }

    /// The first step of receiving, once what is due has been done as far as the queue has room.
    #[inline(always)]
    pub fn receive_entered<const WATCHED: bool>(&mut self, now: Nanos, id: Id, message: &impl Fields) -> Step {
        let Some(circuit) = self.circuits.get_mut(id) else { return Step::Other };
        if !circuit.config.plain.is_data(message) || message.stream_id() == 0 {
            return step_unusual(circuit, message);
        }
        let Place::Leg { set, ix } = circuit.place else {
            return receive_on_no_leg(circuit, id);
        };
        match self.sets.living_mut(set).and_then(|state| state.arrive_first(ix, now)) {
            Some((number, tag)) => {
                if WATCHED && self.wants(Class::Messages) {
                    self.note_in_order_here(set, id, number, Command::DATA);
                }
                Step::Done(Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, tag) })
            }
            None => Step::OnLeg(LegSeat { set, ix }),
        }
    }

    /// The leg that a circuit is, for more of its messages from this hop once the first step has taken one: each is one
    /// [`Controller::arrive_quick`].
    #[inline(always)]
    pub fn same_leg(&mut self, id: Id, hop: u8) -> Option<(&mut Controller, LegIx)> {
        let circuit = self.circuits.get(id).filter(|circuit| circuit.config.plain.is(hop))?;
        let (set, ix) = circuit.place.leg()?;
        Some((self.sets.living_mut(set)?, ix))
    }

    /// The second step for a multiplexed message on a leg, in the seat that the first step has found: takes it if it
    /// only has to be held, and tells `answer` the verdict. Otherwise none, and nothing is changed.
    #[inline(always)]
    pub fn receive_early_quick<const WATCHED: bool>(
        &mut self,
        id: Id,
        seat: LegSeat,
        message: &Message<'_>,
        answer: impl FnOnce(&Verdict),
    ) -> Option<()> {
        let (now, LegSeat { set, ix }) = (self.time.clock.latest(), seat);
        let state = self.sets.living_mut(set)?;
        // The first step looks at the first two legs only.
        if let Some((number, tag)) = state.arrive_rest(ix, now) {
            answer(&Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, tag) });
            if WATCHED && self.wants(Class::Messages) {
                self.note_in_order_here(set, id, number, message.command);
            }
            return Some(());
        }
        let mut held = 0;
        let told = |number, tag| {
            held = number;
            answer(&Verdict { number, ..Verdict::of(VerdictKind::Held, id, tag) });
        };
        state.hold_quick(ix, now, message, &mut self.held.store, told)?;
        if WATCHED && self.wants(Class::Messages) {
            self.note_arrival(set, id, Arrival::Held(held), message);
        }
        Some(())
    }

    /// The second step for a SWITCH on a leg. None when something is wrong with it, and nothing is changed.
    #[inline(always)]
    pub fn receive_switch_quick<const WATCHED: bool>(
        &mut self,
        id: Id,
        seat: LegSeat,
        switch: Switch,
    ) -> Option<Verdict> {
        let (now, LegSeat { set, ix }) = (self.time.clock.latest(), seat);
        let tag = self.sets.living_mut(set)?.switch_quick(ix, now, switch)?;
        if WATCHED && self.wants(Class::Messages) {
            self.note_switch_received(set, ix, switch);
        }
        Some(Verdict::of(VerdictKind::Consumed, id, tag))
    }

    /// Takes a SWITCH on a leg. A fault changes nothing.
    fn take_switch<const WATCHED: bool>(
        &mut self,
        id: Id,
        seat: LegSeat,
        switch: Switch,
    ) -> Result<Result<Verdict, Fault>, Error> {
        let (now, LegSeat { set, ix }) = (self.time.clock.latest(), seat);
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        let tag = state.tag(ix);
        if let Err(fault) = state.handle_switch(ix, now, switch) {
            return Ok(Err(fault));
        }
        if WATCHED && self.wants(Class::Messages) {
            self.note_switch_received(set, ix, switch);
        }
        Ok(Ok(Verdict::of(VerdictKind::Consumed, id, tag)))
    }

    /// Takes a multiplexed message or a SWITCH on a leg that the steps before have not taken.
    #[inline(always)]
    pub fn receive_on_leg<const WATCHED: bool>(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        if message.command == Command::CONFLUX_SWITCH {
            let (set, ix) = self.leg(id)?;
            let outcome = match Switch::decode(message.body) {
                Ok(switch) => self.take_switch::<WATCHED>(id, LegSeat { set, ix }, switch)?,
                Err(_) => Err(Fault::BadSwitch),
            };
            return outcome.map_err(|fault| self.fault(id, fault));
        }
        Ok(match self.arrive::<WATCHED>(id, message)? {
            Arrived { arrival: Arrival::Held(number), tag, .. } => {
                Verdict { number, ..Verdict::of(VerdictKind::Held, id, tag) }
            }
            Arrived { arrival: Arrival::InOrder(number), tag, .. } => {
                Verdict { number, ready: true, ..Verdict::of(VerdictKind::Deliver, id, tag) }
            }
        })
    }

    /// Gives a multiplexed message on a leg its number: it is next, or it is held.
    #[inline(always)]
    pub(super) fn arrive<const WATCHED: bool>(&mut self, id: Id, message: &Message<'_>) -> Result<Arrived, Error> {
        let now = self.time.clock.latest();
        let (set, ix) = self.leg(id)?;
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        let (tag, cost) = (state.tag(ix), cost_of(message));
        if !self.held.store.fits(cost) && !state.is_in_order(ix) {
            return self.arrive_at_cap(id, *message);
        }
        match state.arrive(ix, now, message, &mut self.held.store) {
            Ok(arrival) => {
                match arrival {
                    Arrival::Held(_) if state.holds_more() => self.note_held_in_set(set),
                    Arrival::Held(_) => {}
                    Arrival::InOrder(_) if state.needs_mark() => self.out.queue.push(Queued::Ready { set }),
                    Arrival::InOrder(_) => {}
                }
                if WATCHED && self.wants(Class::Messages) {
                    self.note_arrival(set, id, arrival, message);
                }
                Ok(Arrived { arrival, set, tag })
            }
            Err(fault) => Err(self.fault_of_message(id, cost, fault)),
        }
    }

    #[cold]
    #[inline(never)]
    fn fault_of_message(&mut self, id: Id, cost: u32, fault: Fault) -> Error {
        if let (Fault::SetMemory, Ok((set, _))) = (fault, self.leg(id)) {
            self.note_set_cap(set, cost.into());
        }
        self.fault(id, fault)
    }

    /// [`Engine::arrive`] after making room to hold the message, which can close other circuits and sets.
    #[cold]
    #[inline(never)]
    fn arrive_at_cap(&mut self, id: Id, message: Message<'_>) -> Result<Arrived, Error> {
        let (set, _) = self.leg(id)?;
        match self.ensure_room(set, cost_of(&message).into()) {
            Ok(closed) => {
                self.outlived(id, closed)?;
                self.arrive::<true>(id, &message)
            }
            Err(fault) => Err(self.fault(id, fault)),
        }
    }
}
