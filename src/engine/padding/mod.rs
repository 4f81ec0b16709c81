//! Padding in the engine: calls of a host about padders, padding that is due, and the instructions that follow.

mod allowed;
mod negotiation;
mod watch;

use crate::base::time::NEVER;
use crate::base::{Id, Nanos};
use crate::conflux::Role;
use crate::engine::out::insn::Queued;
use crate::engine::{Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Plain};
use crate::message::Lane;
use crate::padding::{Answer, Machines, Nobody, Outside, Pad, PadderStats, PadderTerms, Padding, PaddingEffect};
use crate::reactor::{Controller, Side};
pub(super) use negotiation::Negotiating;
pub(super) use watch::{tell_received, Watcher};

impl Engine {
    /// Loads a list of machines from its text.
    pub fn load_machines(&mut self, text: &[u8]) -> Result<Id, Error> {
        match Machines::load(text) {
            Ok(machines) => self.padding.machines.insert(machines).map_err(|_| Blocked::Full.into()),
            Err(bad) => Err(self.explain(Misuse::BadMachines.into(), bad.to_string())),
        }
    }

    /// Forgets a list. Padders that run it keep it.
    pub fn drop_machines(&mut self, id: Id) -> Result<(), Error> {
        self.padding.machines.remove(id).map(|_| ()).ok_or_else(|| self.padding.machines.reason(id).into())
    }

    /// The list of machines with this id; an empty list for no id.
    pub fn machines(&self, id: Id) -> Result<Machines, Error> {
        if id == Id::NONE {
            return Ok(Machines::default());
        }
        Ok(self.padding.machines.lookup(id)?.clone())
    }

    /// Installs a padder on a circuit.
    pub fn install_padder(&mut self, now: Nanos, id: Id, terms: &PadderTerms) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.check_hop(id, terms.hop)?;
        let key = self.padding.keys.draw();
        let mut terms = terms.clone();
        self.fill_padder_terms(&mut terms);
        if self.padding_of(id)?.has(terms.hop, terms.slot) {
            return Err(Misuse::PadderExists.into());
        }
        match self.watch_padding(id, |padding, watch| padding.install(&terms, now, key, watch))? {
            Some(true) => Ok(()),
            _ => Err(Blocked::Full.into()),
        }
    }

    /// Removes a padder from a circuit.
    pub fn remove_padder(&mut self, now: Nanos, id: Id, hop: u8, slot: u8) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let circuit = self.circuits.lookup(id)?;
        let negotiated = circuit.padding.as_ref().is_some_and(|padding| padding.is_negotiated(hop, slot));
        if circuit.config.role == Role::Client && negotiated {
            return Err(self.invalid("what was negotiated is stopped, not removed"));
        }
        let found = self.watch_padding(id, |padding, watch| padding.remove(hop, slot, now, false, watch))?;
        if found == Some(true) {
            self.settle_padding(id, now);
            Ok(())
        } else {
            Err(Misuse::NoPadder.into())
        }
    }

    /// Figures of a padder.
    pub fn padder_stats(&self, id: Id, hop: u8, slot: u8) -> Result<PadderStats, Error> {
        let circuit = self.circuits.lookup(id)?;
        let stats = circuit.padding.as_ref().and_then(|padding| padding.stats(hop, slot, self.time.clock.latest()));
        stats.ok_or_else(|| Misuse::NoPadder.into())
    }

    /// Takes the answer of a host with a queue of its own about a padding cell.
    pub fn answer_padding(&mut self, now: Nanos, id: Id, pad: Pad, answer: Answer) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let mut watch = Watcher { events: &mut self.events, circuit: id, now };
        let asked =
            |padding: &mut Box<Padding>| padding.answered(pad, answer, now, &mut self.padding.purse, &mut watch);
        if !circuit.padding.as_mut().is_some_and(asked) {
            return Err(Misuse::NotAsked.into());
        }
        if let Some(padding) = &circuit.padding {
            self.time.alarms.arm_padding(id, padding.next());
        }
        Ok(())
    }

    /// The quick way of [`Engine::written`] and [`Engine::passing`], on a circuit without padding. None when nothing
    /// was done.
    #[inline(always)]
    pub fn written_or_passing_quick(&mut self, now: Nanos, id: Id) -> Option<()> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        self.circuits.get(id).filter(|circuit| circuit.padding.is_none()).map(|_| ())
    }

    /// Reports that cells of a circuit were written to its channel.
    #[inline]
    pub fn written(&mut self, now: Nanos, id: Id, cells: u32) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        match self.circuits.get(id) {
            Some(circuit) if circuit.padding.is_none() => Ok(()),
            Some(_) if self.watches_padders() => {
                self.written_watched(id, cells, now);
                Ok(())
            }
            Some(_) => self.with_padding(id, |padding| padding.written(cells, now, &mut Nobody)).map(|_| ()),
            None => Err(self.circuits.reason(id).into()),
        }
    }

    /// Reports that a cell came which is not for us and goes on.
    #[inline]
    pub fn passing(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        match self.circuits.get(id) {
            Some(circuit) if circuit.padding.is_none() => Ok(()),
            Some(_) if self.watches_padders() => {
                self.watch_padding(id, |padding, watch| padding.received(0, false, now, watch)).map(|_| ())
            }
            Some(_) => self.with_padding(id, |padding| padding.received(0, false, now, &mut Nobody)).map(|_| ()),
            None => Err(self.circuits.reason(id).into()),
        }
    }

    /// The quick way of [`Engine::run_padding`], on a circuit that is no leg and that the host runs. None when nothing
    /// was done.
    #[inline(always)]
    fn run_padding_quick(&mut self, index: u32, now: Nanos) -> Option<()> {
        if self.watches_padders() {
            return None;
        }
        let (id, circuit) = self.circuits.at(index)?;
        let Circuit { place: Place::Alone, reactor: None, padding: Some(padding), .. } = circuit else { return None };
        let (pad, late) = padding.pad_quick(now, self.time.round, &mut self.padding.purse)?;
        self.time.lateness.count(late);
        self.time.alarms.arm_padding_anew(id, padding.next());
        self.out.queue.push(Queued::Pad { circuit: id, pad, asks: false });
        Some(())
    }

    /// Does the first thing that is due on the circuit in this place.
    #[inline]
    pub(in crate::engine) fn run_padding(&mut self, index: u32, now: Nanos) {
        if self.run_padding_quick(index, now).is_none() {
            self.run_padding_long(index, now);
        }
    }

    #[inline(never)]
    fn run_padding_long(&mut self, index: u32, now: Nanos) {
        let watched = self.watches_padders();
        let Some((id, circuit)) = self.circuits.at(index) else { return };
        // Nothing is sent any more on a circuit that the host was told to close.
        let Some(padding) = circuit.padding.as_mut().filter(|_| circuit.place != Place::Closing) else { return };
        let held_in_set = |(set, ix)| self.sets.get(set).map(|state: &Controller| state.held_for(ix));
        let (mut held, mut releasable) = circuit.place.leg().and_then(held_in_set).unwrap_or((false, false));
        if let (false, Some(reactor)) = (held, &circuit.reactor) {
            // Cells that pass through wait at the edge.
            let edge = reactor.edge_at(Side::Back);
            (held, releasable) = (edge.waiting() > 0, edge.waiting() > 0 && edge.is_writable());
        }
        let outside = Outside { held, releasable };
        let late = if watched {
            self.step_watched(id, now, outside)
        } else {
            let (purse, effects) = (&mut self.padding.purse, &mut self.padding.effects);
            padding.step(now, self.time.round, outside, purse, effects, &mut Nobody)
        };
        if let Some(late) = late {
            self.time.lateness.count(late);
        }
        self.apply_padding(id, now);
    }

    /// Does what follows from a change of a circuit's padders.
    pub(in crate::engine) fn settle_padding(&mut self, id: Id, now: Nanos) {
        if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
            let mut watch = Watcher { events: &mut self.events, circuit: id, now };
            padding.settle(&mut self.padding.purse, &mut self.padding.effects, &mut watch);
            self.apply_padding(id, now);
        }
    }

    /// Turns what follows from a step of a circuit's padding into instructions.
    fn apply_padding(&mut self, id: Id, now: Nanos) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let (place, is_run) = (circuit.place, circuit.reactor.is_some());
        let Some(padding) = &mut circuit.padding else { return };
        self.time.alarms.arm_padding(id, padding.next());
        let (blocked, holds, over) = (padding.is_blocked(), !padding.asks(), padding.ended());
        if let Some((set, ix)) = place.leg() {
            if let Some(state) = self.sets.get_mut(set) {
                state.hold_back(ix, blocked, holds, &mut self.out.effects);
            }
        }
        // Taken out first, as what is carried out may be followed by effects on another circuit.
        let mut effects = std::mem::take(&mut self.padding.effects);
        effects.drain(..).for_each(|effect| self.carry_out(id, effect, now));
        self.padding.effects = effects;
        if is_run {
            self.block_edge(id, blocked);
        }
        if place == Place::Away {
            self.publish_and_wake(id);
            self.resume_home_link(id);
        }
        if let Some((set, _)) = place.leg() {
            if !self.out.effects.is_empty() {
                self.apply_effects(set);
            }
            self.look_again(set);
        }
        if let Some(number) = over {
            // The machines have ended already, so a failure to tell the other end changes nothing here.
            let _ = self.end_padding(id, number, now);
        }
    }

    /// Carries out one thing that follows from a step of a circuit's padding.
    #[inline(always)]
    fn carry_out(&mut self, id: Id, effect: PaddingEffect, now: Nanos) {
        match effect {
            PaddingEffect::Pad(pad) => self.out.queue.push(Queued::Pad { circuit: id, pad, asks: false }),
            PaddingEffect::Ask(pad) => self.out.queue.push(Queued::Pad { circuit: id, pad, asks: true }),
            PaddingEffect::Send { hop, held } => self.send_held_by_padding(id, hop, held, now),
            PaddingEffect::Release => self.release_past_block(id),
            PaddingEffect::PassedBy => {
                if let Ok((set, ix)) = self.leg(id) {
                    self.sets.get_mut(set).into_iter().for_each(|state| state.passed_by(ix));
                }
            }
            PaddingEffect::Blocked { bypassable } => {
                self.out.queue.push(Queued::Gate { circuit: id, blocked: true, bypassable });
            }
            PaddingEffect::Unblocked => {
                self.out.queue.push(Queued::Gate { circuit: id, blocked: false, bypassable: false });
            }
            PaddingEffect::MaySend => self.out.queue.push(Queued::MaySendCircuit { circuit: id }),
        }
    }

    /// Gives up the padding of a circuit that goes; messages held for sending are handed back.
    pub(in crate::engine) fn drop_padding(&mut self, id: Id, padding: Option<Box<Padding>>) {
        let Some(mut padding) = padding else { return };
        self.time.alarms.arm_padding(id, NEVER);
        self.padding.circuits -= 1;
        self.update_ways();
        let now = self.time.clock.latest();
        padding.note_end(now, &mut Watcher { events: &mut self.events, circuit: id, now });
        let mut all = Lane::EMPTY;
        padding.take_held().for_each(|lane| self.held.store.join(&mut all, lane));
        self.leave_behind(all);
    }

    /// The padding of a circuit, made with the first call.
    pub(in crate::engine) fn padding_of(&mut self, id: Id) -> Result<&mut Padding, Error> {
        if self.circuits.lookup(id)?.padding.is_none() {
            self.padding.circuits += 1;
            self.update_ways();
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(Misuse::StaleId.into()) };
        let pace = self.padding.pace;
        let (asks, outbox_max) = (circuit.config.flags.has(CircuitFlags::OWN_QUEUE), circuit.held_sends_max());
        circuit.config.plain = Plain::NONE;
        Ok(circuit.padding.get_or_insert_with(|| Box::new(Padding::new(asks, outbox_max, pace))))
    }

    /// Changes a circuit's padding, if it has any, and sets its timer.
    #[inline]
    pub(in crate::engine) fn with_padding<R>(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Padding) -> R,
    ) -> Result<Option<R>, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let Some(padding) = &mut circuit.padding else { return Ok(None) };
        let before = padding.next();
        let answer = change(padding);
        if padding.next() != before {
            self.time.alarms.arm_padding(id, padding.next());
        }
        Ok(Some(answer))
    }

    fn check_hop(&mut self, id: Id, hop: u8) -> Result<(), Error> {
        let circuit = self.circuits.lookup(id)?;
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        if !circuit.config.hops.has(hop) {
            return Err(self.invalid("the circuit has no such hop to pad with"));
        }
        Ok(())
    }
}
