//! Receiving LINK, LINKED and LINKED_ACK.

use crate::base::{Id, Nanos};
use crate::conflux::{Fault, LegIx, Role, SetTerms};
use crate::engine::spread::message::Up;
use crate::engine::{CircuitFlags, Engine, Error, LinkStep, Place, Verdict, VerdictKind};
use crate::event::Event;
use crate::message::Message;
use crate::reactor::Controller;
use crate::wire::conflux::Link;
use crate::wire::Command;

impl Engine {
    /// Takes LINK, LINKED and LINKED_ACK from the join point, and a SWITCH on a circuit that is no leg.
    pub(super) fn receive_conflux(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
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
        if outcome.is_ok() {
            self.note_step(set, ix, LinkStep::LinkedReceived);
        }
        self.apply_effects(set);
        outcome
    }

    fn receive_linked_ack(&mut self, now: Nanos, set: Id, ix: LegIx) -> Result<(), Fault> {
        let state = self.sets.get_mut(set).ok_or(Fault::UnexpectedLinkedAck)?;
        let now = self.time.clock.until(state.asked_at(ix), now);
        let outcome = state.handle_linked_ack(ix, now, &mut self.out.effects);
        if outcome.is_ok() {
            self.note_step(set, ix, LinkStep::AckReceived);
        }
        self.apply_effects(set);
        outcome
    }

    /// Exit or service: takes LINK from the join point of a circuit in no set (CFX-21).
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
        // All legs of a set are run by the same side and have the same hops: one process can be an exit and several
        // services.
        let Some(circuit) = self.circuits.get(id) else { return Err(Fault::UnexpectedLink) };
        let (runs, hops) = (circuit.runs_streams(), circuit.hops());
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
            Ok(ix) => {
                if known.is_none() {
                    self.note(Event::SetOpened { set, by_peer: 1 });
                }
                self.note_step(set, ix, LinkStep::LinkReceived);
                self.make_leg(id, set, ix);
            }
            Err(_) if known.is_none() => self.forget_set(set),
            Err(_) => {}
        }
        self.apply_effects(set);
        accepted.map(|_| ())
    }

    /// Makes a set for a LINK whose nonce none of our sets has. None when a set of another engine has it, and was asked
    /// to take the circuit.
    fn find_or_make(&mut self, id: Id, link: &Link, accepted: SetTerms) -> Result<Option<Id>, Fault> {
        for _ in 0..LOOKS {
            if self.join_elsewhere(id, link)? {
                return Ok(None);
            }
            let mut terms = SetTerms { nonce: link.nonce.clone(), ..accepted.clone() };
            self.fill_set_terms(&mut terms);
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

/// How often a LINK looks for its set, when engines leave the hub at that very moment.
const LOOKS: u32 = 4;
