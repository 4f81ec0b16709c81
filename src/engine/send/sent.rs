//! Counting a cell that is queued on a circuit: sets, windows and padders are told.

use crate::base::{Id, Nanos};
use crate::conflux::LegIx;
use crate::engine::slot::{Circuit, Place, Plain};
use crate::engine::{Blocked, CircuitFlags, Engine, Error, Misuse, Verdict};
use crate::event::Class;
use crate::padding::Nobody;
use crate::reactor::Side;
use crate::wire::command::STREAM_NEEDED;
use crate::wire::Command;

impl Engine {
    /// Reports that a cell was queued on a circuit.
    pub fn sent(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.sent_entered(now, id, command, hop)
    }

    /// The quickest way of [`Engine::sent`]: a cell on a circuit in no set, or a message on the sending leg of one, of
    /// which nobody else has to hear. None when nothing was done.
    #[inline(always)]
    pub fn sent_in_turn(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Option<()> {
        if !self.enter_quick::<false>(now) {
            return None;
        }
        let circuit = self.circuits.get_mut(id)?;
        if !circuit.config.plain.is(hop) {
            return None;
        }
        match circuit.place {
            Place::Leg { set, ix } if command.is_multiplexed() => {
                self.sets.get_mut(set)?.commit_quick(ix, command == Command::DATA, now)?;
            }
            Place::Alone if command.traits() & STREAM_NEEDED != 0 => circuit.config.flags.add(CircuitFlags::STREAMS),
            Place::Alone => {}
            _ => return None,
        }
        self.padding.purse.sent(1);
        Some(())
    }

    /// The quick way of [`Engine::sent`], while nothing is due. None when nothing was done.
    #[inline(always)]
    pub fn sent_quick(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Option<Result<(), Error>> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        Some(self.sent_entered(now, id, command, hop))
    }

    #[inline(always)]
    fn sent_entered(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<(), Error> {
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        // One comparison, as this runs for every cell. It lets a client's hop 0 through, which reaches no padder.
        if !circuit.config.hops.reach(hop) {
            return Err(self.invalid("the circuit has no such hop to send to"));
        }
        let is_plain = circuit.config.plain != Plain::NONE;
        if !is_plain && circuit.runs_streams() && (command.traits() & STREAM_NEEDED != 0 || is_sequenced(command)) {
            // Not past the streams that circflow runs.
            return Err(Misuse::IsRun.into());
        }
        if let (Place::Leg { set, ix }, true) = (circuit.place, circuit.config.hops.ends_at(hop)) {
            self.sent_on_leg(now, set, (id, ix), command)?;
        } else if circuit.place == Place::Away && circuit.config.hops.ends_at(hop) && is_sequenced(command) {
            return Err(Misuse::NotDecided.into());
        } else if command.traits() & STREAM_NEEDED != 0 {
            self.mark_streams(id);
        }
        self.padding.purse.sent(1);
        if !is_plain {
            self.spend(id, Side::Back);
            self.tell_padders(id, hop, now);
        }
        Ok(())
    }

    /// Counts a cell of a leg in its set.
    #[inline(always)]
    fn sent_on_leg(&mut self, now: Nanos, set: Id, (id, ix): (Id, LegIx), command: Command) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(Misuse::NotALeg.into()) };
        if command.is_multiplexed() {
            state.commit_message(ix, command, now, &mut self.out.effects)?;
            if self.wants(Class::Choice) {
                self.note_queued(set, id, ix, command);
            }
        } else if command == Command::CONFLUX_SWITCH {
            let delta = state.commit_switch(ix)?;
            if self.wants(Class::Choice) {
                self.note_switch_sent(set, id, delta);
            }
        }
        if !self.out.effects.is_empty() {
            self.apply_effects(set);
        }
        Ok(())
    }

    /// Takes the digest of a DATA cell, which was asked for.
    pub fn add_digest(&mut self, id: Id, hop: u8, tag: &[u8]) -> Result<(), Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        let Some(end) = reactor.ends.find(hop) else { return Err(Misuse::NotAsked.into()) };
        end.window.add_digest(tag).map_err(|_| Misuse::NotAsked.into())
    }

    /// Counts a queued DATA cell in the window of its hop. True when its digest is wanted.
    #[inline]
    pub(in crate::engine) fn count_data(&mut self, id: Id, hop: u8, command: Command, now: Nanos) -> bool {
        if command != Command::DATA || self.running == 0 {
            return false;
        }
        match self.circuits.get_mut(id) {
            Some(circuit) if circuit.runs_streams() => {
                if let Some(away) = circuit.away_mut() {
                    away.included += 1;
                }
                circuit.reactor.as_mut().is_some_and(|reactor| reactor.end(hop).window.sent_data(now))
            }
            _ => false,
        }
    }

    /// Tells the padders of a leg of a message that is sent on it, and of the SWITCH before it.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_padders_of_verdict(&mut self, verdict: &Verdict, hop: u8) {
        let now = self.time.clock.latest();
        if verdict.switch_delta != 0 {
            self.tell_padders(verdict.circuit, hop, now);
        }
        self.tell_padders(verdict.circuit, hop, now);
    }

    /// True when others hear of a message that is sent: padders, or those who want events of it.
    #[inline(always)]
    pub fn tells_of_sent(&self) -> bool {
        self.tells
    }

    /// The last step of the quick ways, where [`Engine::tells_of_sent`], for a message that goes on a leg: makes the
    /// event, and tells the padders of the leg.
    #[inline(always)]
    pub fn tell_of_sent(&mut self, leg: Id, number: u64, command: Command) {
        let Some(&Circuit { place: Place::Leg { set, .. }, .. }) = self.circuits.get(leg) else { return };
        if self.wants(Class::Choice) {
            self.note_sent_in_place(set, leg, number, command);
        }
        if self.padding.circuits > 0 {
            self.tell_padders_of_message(set, leg);
        }
    }

    #[inline(never)]
    fn tell_padders_of_message(&mut self, set: Id, leg: Id) {
        if let Some(hop) = self.sets.get(set).map(|state| state.join_hop()) {
            self.tell_padders(leg, hop, self.time.clock.latest());
        }
    }

    /// Counts a queued cell that is not padding, and tells padders of it.
    pub(in crate::engine) fn count_sent(&mut self, id: Id, hop: u8, now: Nanos) {
        self.spend(id, Side::Back);
        self.count_for_padding(id, hop, now);
    }

    /// The same for one that is put into the instruction queue, and goes to its channel later.
    pub(in crate::engine) fn count_queued(&mut self, id: Id, hop: u8, now: Nanos) {
        self.book(id);
        self.count_for_padding(id, hop, now);
    }

    fn count_for_padding(&mut self, id: Id, hop: u8, now: Nanos) {
        self.padding.purse.sent(1);
        if self.padding.circuits > 0 {
            self.tell_padders(id, hop, now);
        }
    }

    /// Tells padders of a queued cell that has been counted.
    #[inline(always)]
    pub(in crate::engine) fn tell_padders(&mut self, id: Id, hop: u8, now: Nanos) {
        if self.watches_padders() {
            self.sent_watched(id, hop, now);
        } else {
            self.sent_unwatched(id, hop, now);
        }
    }

    #[inline(never)]
    fn sent_unwatched(&mut self, id: Id, hop: u8, now: Nanos) {
        if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
            let before = padding.next();
            padding.queued(hop);
            padding.normal_sent(hop, now, &mut Nobody);
            // Most often a timer moves later, and next(), a lower bound, stays.
            if padding.next() != before {
                self.time.alarms.arm_padding(id, padding.next());
            }
        }
    }
}

/// True for commands that have a number on a leg, or that move the number.
#[inline]
fn is_sequenced(command: Command) -> bool {
    command.is_multiplexed() || command == Command::CONFLUX_SWITCH
}
