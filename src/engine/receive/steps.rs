//! The steps of receiving.

use super::Step;
use crate::base::{Id, Nanos};
use crate::conflux::{Arrival, Fault, LegIx, Role, SetTerms};
use crate::engine::crossing::Up;
use crate::engine::{Admitted, Blocked, CircuitFlags, Engine, Error, Place, Verdict, VerdictKind};
use crate::message::cost_of;
use crate::message::Message;
use crate::reactor::{route, Controller, Route};
use crate::wire::command::STREAM_NEEDED;
use crate::wire::conflux::{Link, Switch};
use crate::wire::Command;

impl Engine {
    /// The first part of [`Engine::receive`], in as few instructions as can be: it needs neither body nor token, and
    /// deals with a multiplexed message that is next in order with nothing ready behind it.
    #[inline(always)]
    pub fn receive_next(&mut self, now: Nanos, id: Id, command: Command, hop: u8, stream_id: u16) -> Step {
        if !self.enter_quick(now) {
            return Step::Other;
        }
        self.receive_entered(now, id, command, hop, stream_id)
    }

    /// What is due has been done, as far as there is room in the queue.
    #[inline(always)]
    fn receive_entered(&mut self, now: Nanos, id: Id, command: Command, hop: u8, stream_id: u16) -> Step {
        let Some(circuit) = self.circuits.get(id) else { return Step::Other };
        let (Place::Leg { set, ix }, true) = (circuit.place, u16::from(hop) == circuit.config.plain_hop) else {
            let is_run = circuit.reactor.is_some() && command == Command::DATA;
            return if is_run { Step::Run } else { Step::Other };
        };
        if !command.is_multiplexed() || stream_id == 0 {
            let is_switch = command == Command::CONFLUX_SWITCH && stream_id == 0;
            return if is_switch { Step::OnLeg } else { Step::Other };
        }
        let tag = circuit.config.tag;
        match self.sets.get_mut(set).and_then(|state| state.arrive_next(ix, now)) {
            Some(number) => Step::Done(Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, tag) }),
            None => Step::OnLeg,
        }
    }

    /// The second part, for what [`Engine::receive_next`] found to be a multiplexed message or a SWITCH on a leg.
    #[inline(always)]
    pub fn receive_on_leg(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let (set, ix) = self.leg(id)?;
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        let tag = state.tag(ix);
        if message.command == Command::CONFLUX_SWITCH {
            let outcome = match Switch::decode(message.body) {
                Ok(switch) => state.handle_switch(ix, now, switch),
                Err(_) => Err(Fault::BadSwitch),
            };
            return match outcome {
                Ok(()) => Ok(Verdict::of(VerdictKind::Consumed, id, tag)),
                Err(fault) => Err(self.fault(id, fault)),
            };
        }
        let cost = cost_of(message);
        if !self.held.store.fits(cost) && !state.is_in_order(ix) {
            return self.receive_at_the_cap(id, message);
        }
        match state.arrive(ix, now, message, &mut self.held.store) {
            Ok(Arrival::Held(number)) => {
                if state.holds_more() {
                    self.holds_more(set);
                }
                Ok(Verdict { number, ..Verdict::of(VerdictKind::Held, id, tag) })
            }
            Ok(Arrival::InOrder(number)) => {
                self.filled_gap(set);
                Ok(Verdict { number, ready: true, ..Verdict::of(VerdictKind::Deliver, id, tag) })
            }
            Err(fault) => Err(self.fault(id, fault)),
        }
    }

    /// What was held behind the message that just came is next, if anything is.
    #[inline(never)]
    fn filled_gap(&mut self, set: Id) {
        if let Some(state) = self.sets.get_mut(set) {
            state.mark_ready(&mut self.out.effects);
        }
        self.apply_effects(set);
    }

    /// [`Engine::receive_on_leg`] where there is no room to hold the message: somebody goes first.
    #[cold]
    #[inline(never)]
    fn receive_at_the_cap(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let (set, _) = self.leg(id)?;
        match self.room_for(set, cost_of(message).into()) {
            Ok(()) => self.receive_on_leg(id, message),
            Err(fault) => Err(self.fault(id, fault)),
        }
    }

    /// The third part: anything else, and anything at a time when something is due, or that is past.
    /// `cell_digest` is that of the cell it came in, or what is wrong with it; only asked for on circuits that we run.
    pub fn receive_other<'t>(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
        cell_digest: impl FnOnce() -> Result<&'t [u8], &'static str>,
    ) -> Result<Verdict, Error> {
        if self.runs(id) {
            let cell_digest = cell_digest().map_err(|why| self.invalid(why))?;
            return self.receive_run(now, id, message, cell_digest);
        }
        if now >= self.stop() || now != self.time.clock.latest() {
            let now = self.enter_for_circuits(now, std::iter::once(id))?;
            return match self.receive_entered(now, id, message.command, message.hop, message.stream_id) {
                Step::Done(verdict) => Ok(verdict),
                Step::OnLeg => self.receive_on_leg(id, message),
                Step::Run | Step::Other => self.receive_rest(now, id, message),
            };
        }
        self.receive_rest(now, id, message)
    }

    fn receive_rest(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else {
            return Err(self.circuits.reason(id).into());
        };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let (position, place, tag) = (circuit.position(message.hop), circuit.place, circuit.config.tag);
        let route = match route(&position, message.command, message.stream_id) {
            Ok(route) => route,
            Err(fault) => return Err(self.fault(id, fault)),
        };
        if circuit.padding.is_some() || message.command.is_about_padding() {
            if let Admitted::Consumed(verdict) = self.receive_padding(now, id, message)? {
                return Ok(verdict);
            }
        }
        match (route, place) {
            (Route::Controller, Place::Leg { set, ix }) => self.receive_on_padded_leg(now, id, set, ix, message),
            (Route::Controller, _) => self.receive_away(id, message, false),
            (Route::Handshake, _) => self.receive_conflux(now, id, message),
            (Route::RefuseDirectory, Place::Away) if position.at_join_point => {
                self.refuse_directory_away(id, message.stream_id)
            }
            (Route::RefuseDirectory, _) => Ok(Verdict::refuse_directory(id, tag)),
            (Route::Host | Route::Streams | Route::Sendme, _) => {
                // What circflow must remember of a plain circuit is whether it may still become a leg (R9).
                let is_of_stream = message.stream_id != 0 || message.command.traits() & STREAM_NEEDED != 0;
                if place == Place::Alone && is_of_stream {
                    self.mark_streams(id);
                }
                Ok(Verdict::of(VerdictKind::Deliver, id, tag))
            }
        }
    }

    /// On a leg with padders: what the first two steps do for one without.
    fn receive_on_padded_leg(
        &mut self,
        now: Nanos,
        id: Id,
        set: Id,
        ix: LegIx,
        message: &Message<'_>,
    ) -> Result<Verdict, Error> {
        let is_switch = message.command == Command::CONFLUX_SWITCH;
        let next = self.sets.get_mut(set).filter(|_| !is_switch).and_then(|state| state.arrive_next(ix, now));
        match (next, self.circuits.get(id)) {
            (Some(number), Some(circuit)) => {
                Ok(Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, circuit.config.tag) })
            }
            _ => self.receive_on_leg(id, message),
        }
    }

    /// LINK, LINKED and LINKED_ACK from the join point, and a SWITCH on a circuit that is no leg.
    pub(in crate::engine) fn receive_conflux(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
    ) -> Result<Verdict, Error> {
        let Some(circuit) = self.circuits.get(id) else {
            return Err(self.circuits.reason(id).into());
        };
        let (place, tag) = (circuit.place, circuit.config.tag);
        if message.command != Command::CONFLUX_SWITCH {
            self.check_drained()?;
        }
        if message.stream_id != 0 {
            return Err(self.fault(id, Fault::BadStreamId));
        }
        let outcome = match (message.command, place) {
            (Command::CONFLUX_LINK, Place::Alone) => self.receive_link(now, id, message.body),
            (Command::CONFLUX_LINK, _) => Err(Fault::UnexpectedLink),
            (Command::CONFLUX_LINKED, Place::Leg { set, ix }) => self.receive_linked(now, set, ix, message.body),
            (Command::CONFLUX_LINKED_ACK, Place::Leg { set, ix }) => self.receive_linked_ack(now, set, ix),
            (Command::CONFLUX_LINKED_ACK, Place::Away) => {
                self.send_home(id, Up::LinkedAck(now))?;
                Ok(())
            }
            (command, _) => Err(match command {
                Command::CONFLUX_LINKED => Fault::UnexpectedLinked,
                Command::CONFLUX_LINKED_ACK => Fault::UnexpectedLinkedAck,
                _ => Fault::UnexpectedSwitch,
            }),
        };
        match outcome {
            Ok(()) => Ok(Verdict::of(VerdictKind::Consumed, id, tag)),
            Err(fault) => Err(self.fault(id, fault)),
        }
    }

    fn receive_linked(&mut self, now: Nanos, set: Id, ix: LegIx, body: &[u8]) -> Result<(), Fault> {
        let state = self.sets.get_mut(set).ok_or(Fault::UnexpectedLinked)?;
        let link = Link::decode(body).map_err(|_| Fault::BadLink)?;
        let now = self.time.clock.until(state.asked_at(ix), now);
        let outcome = state.handle_linked(ix, now, &link, &mut self.out.effects);
        self.apply_effects(set);
        outcome
    }

    fn receive_linked_ack(&mut self, now: Nanos, set: Id, ix: LegIx) -> Result<(), Fault> {
        let state = self.sets.get_mut(set).ok_or(Fault::UnexpectedLinkedAck)?;
        let now = self.time.clock.until(state.asked_at(ix), now);
        let outcome = state.handle_linked_ack(ix, now, &mut self.out.effects);
        self.apply_effects(set);
        outcome
    }

    /// Exit or service: LINK from the join point of a circuit in no set (CFX-21).
    fn receive_link(&mut self, now: Nanos, id: Id, body: &[u8]) -> Result<(), Fault> {
        let Some(circuit) = self.circuits.get(id) else { return Err(Fault::UnexpectedLink) };
        let flags = circuit.config.flags;
        if !circuit.answers_links() {
            return Err(Fault::UnexpectedLink);
        }
        if self.accepted().is_none() {
            return Err(Fault::ConfluxOff);
        }
        if flags.has(CircuitFlags::STREAMS) || !flags.has(CircuitFlags::VEGAS) {
            return Err(Fault::UnfitLink);
        }
        let link = Link::decode(body).map_err(|_| Fault::BadLink)?;
        self.take_link(now, id, link)
    }

    /// Finds the set of a LINK, or makes it, here or on another engine.
    pub(in crate::engine) fn take_link(&mut self, now: Nanos, id: Id, link: Link) -> Result<(), Fault> {
        let accepted = self.accepted().cloned().ok_or(Fault::ConfluxOff)?;
        let known = self.find_set(Role::Exit, &link.nonce);
        // Legs are alike in who runs them, and in what they lead to: one process can be exit and several services.
        let Some(circuit) = self.circuits.get(id) else { return Err(Fault::UnexpectedLink) };
        let (runs, hops) = (circuit.runs_streams(), circuit.config.hops);
        if known.and_then(|set| self.sets.get(set)).is_some_and(|state| !state.fits(runs, hops)) {
            return Err(Fault::UnfitLink);
        }
        let set = match known {
            Some(set) => set,
            None => match self.find_or_make(id, &link, accepted)? {
                Some(set) => set,
                None => return Ok(()),
            },
        };
        let accepted = match self.sets.get_mut(set) {
            Some(state) => state.accept(id, hops, now, &link, known.is_none(), &mut self.out.effects),
            None => Err(Fault::UnexpectedLink),
        };
        match accepted {
            Ok(ix) => self.seat(id, set, ix),
            Err(_) if known.is_none() => self.forget_set(set),
            Err(_) => {}
        }
        self.apply_effects(set);
        accepted.map(|_| ())
    }

    /// The set of a LINK that none of ours has: a new one, or none when another engine's is asked to take the circuit.
    fn find_or_make(&mut self, id: Id, link: &Link, accepted: SetTerms) -> Result<Option<Id>, Fault> {
        for _ in 0..LOOKS {
            if self.join_elsewhere(id, link)? {
                return Ok(None);
            }
            let mut terms = SetTerms { nonce: link.nonce.clone(), ..accepted.clone() };
            self.settle_set(&mut terms);
            let set = self.insert_set(Controller::new(Role::Exit, terms)).map_err(|_| Fault::LinkLimit)?;
            if self.claim(Role::Exit, set) {
                return Ok(Some(set));
            }
            // Another engine was faster by a moment.
            self.forget_set(set);
        }
        Err(Fault::LinkLimit)
    }
}

/// How often a LINK looks for its set, when engines of the hub go at that very moment.
const LOOKS: u32 = 4;
