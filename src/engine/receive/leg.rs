//! Receiving on a leg: in order, too early, and SWITCH.

use crate::base::{Id, Nanos};
use crate::conflux::{Arrival, Fault};
use crate::engine::out::insn::Queued;
use crate::engine::receive::{Seat, Step};
use crate::engine::{Engine, Error, Place, Verdict, VerdictKind};
use crate::event::Class;
use crate::message::{cost_of, Message};
use crate::wire::conflux::Switch;
use crate::wire::Command;

/// The number that a message has got, its set, and the host's tag of its leg.
pub(super) struct Arrived {
    pub arrival: Arrival,
    pub set: Id,
    pub tag: u64,
}

impl Engine {
    /// The first step of receiving, in as few instructions as possible. It needs neither body nor token, and takes a
    /// multiplexed message that is next in order when no held message is next behind it.
    #[inline(always)]
    pub fn receive_quick<const WATCHED: bool>(
        &mut self,
        now: Nanos,
        id: Id,
        command: Command,
        hop: u8,
        stream_id: u16,
    ) -> Step {
        match self.enter_receive::<WATCHED>(now) {
            Ok(()) => self.receive_entered::<WATCHED>(now, id, command, hop, stream_id),
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
    pub fn receive_entered<const WATCHED: bool>(
        &mut self,
        now: Nanos,
        id: Id,
        command: Command,
        hop: u8,
        stream_id: u16,
    ) -> Step {
        let Some(circuit) = self.circuits.get(id) else { return Step::Other };
        let (Place::Leg { set, ix }, true) = (circuit.place, u16::from(hop) == circuit.config.plain_hop) else {
            let is_run = circuit.reactor.is_some() && command == Command::DATA;
            return if is_run { Step::Run } else { Step::Other };
        };
        // Nearly all are DATA, which is not looked up in the table.
        if !(command == Command::DATA || command.is_multiplexed()) || stream_id == 0 {
            let is_switch = command == Command::CONFLUX_SWITCH && stream_id == 0;
            return if is_switch { Step::Switch } else { Step::Other };
        }
        let tag = circuit.config.tag;
        match self.sets.living_mut(set).and_then(|state| state.arrive_quick(ix, now)) {
            Some(number) => {
                if WATCHED && self.wants(Class::Messages) {
                    self.note_in_order_here(set, id, number, command);
                }
                Step::Done(Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, tag) })
            }
            None => Step::OnLeg(Seat { set, ix }),
        }
    }

    /// The second step for a multiplexed message on a leg, in the seat that the first step has found: takes it if it
    /// only has to be held, and tells `answer` the verdict. Otherwise none, and nothing is changed.
    #[inline(always)]
    pub fn receive_early_quick<const WATCHED: bool>(
        &mut self,
        id: Id,
        seat: Seat,
        message: &Message<'_>,
        answer: impl FnOnce(&Verdict),
    ) -> Option<()> {
        let (now, Seat { set, ix }) = (self.time.clock.latest(), seat);
        let mut held = 0;
        let told = |number, tag| {
            held = number;
            answer(&Verdict { number, ..Verdict::of(VerdictKind::Held, id, tag) });
        };
        self.sets.living_mut(set)?.hold_quick(ix, now, message, &mut self.held.store, told)?;
        if WATCHED && self.wants(Class::Messages) {
            self.note_arrival(set, id, Arrival::Held(held), message);
        }
        Some(())
    }

    /// The second step for a SWITCH on a leg. None when something is wrong with it, and nothing is changed.
    #[inline(always)]
    pub fn receive_switch_quick<const WATCHED: bool>(&mut self, id: Id, switch: Switch) -> Option<Verdict> {
        self.take_switch::<WATCHED>(id, switch).ok()?.ok()
    }

    /// Takes a SWITCH on a leg. A fault changes nothing.
    #[inline(always)]
    fn take_switch<const WATCHED: bool>(&mut self, id: Id, switch: Switch) -> Result<Result<Verdict, Fault>, Error> {
        let now = self.time.clock.latest();
        let (set, ix) = self.leg(id)?;
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
            let outcome = match Switch::decode(message.body) {
                Ok(switch) => self.take_switch::<WATCHED>(id, switch)?,
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
