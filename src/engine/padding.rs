//! Padding's part of the engine: who is told what, and what follows from what is due.

use super::insn::Queued;
use super::{Admitted, Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Verdict, VerdictKind, NO_HOP};
use crate::base::time::NEVER;
use crate::base::{Id, Nanos};
use crate::conflux::{Fault, Role};
use crate::message::cost_of;
use crate::message::{Lane, Message};
use crate::padding::{
    judge, Admission, Answer, Judgement, Machines, Outside, Pad, PadderStats, PadderTerms, Padding, PaddingEffect,
};
use crate::reactor::{Controller, Side};
use crate::wire::{Command, StreamRule};

/// Why a message is not held.
const HELD_ENOUGH: &str = "the circuit has no room: held_sends_max messages wait on it already";
const NO_MEMORY: &str = "there is no memory to hold the message";

impl Engine {
    /// Takes a list of machines in.
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

    /// A list of machines; none is an empty one.
    pub fn machines(&self, id: Id) -> Result<Machines, Error> {
        if id == Id::NONE {
            return Ok(Machines::default());
        }
        Ok(self.padding.machines.lookup(id)?.clone())
    }

    /// Sets a padder up on a circuit.
    pub fn install_padder(&mut self, now: Nanos, id: Id, terms: &PadderTerms) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.check_hop(id, terms.hop)?;
        let key = self.padding.keys.draw();
        let mut terms = terms.clone();
        self.settle_padder(&mut terms);
        let padding = self.padding_of(id)?;
        if padding.has(terms.hop, terms.slot) {
            return Err(Misuse::PadderExists.into());
        }
        if !padding.install(&terms, now, key) {
            return Err(Blocked::Full.into());
        }
        Ok(())
    }

    /// Takes a padder down.
    pub fn remove_padder(&mut self, now: Nanos, id: Id, hop: u8, slot: u8) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let circuit = self.circuits.lookup(id)?;
        let negotiated = circuit.padding.as_ref().is_some_and(|padding| padding.is_negotiated(hop, slot));
        if circuit.config.role == Role::Client && negotiated {
            return Err(self.invalid("what was negotiated is stopped, not removed"));
        }
        let found = self.with_padding(id, |padding| padding.remove(hop, slot, now, false))?;
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

    /// What a host with a queue of its own did about a padding cell.
    pub fn answer_padding(&mut self, now: Nanos, id: Id, pad: Pad, answer: Answer) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let asked = |padding: &mut Box<Padding>| padding.answered(pad, answer, now, &mut self.padding.purse);
        if !circuit.padding.as_mut().is_some_and(asked) {
            return Err(Misuse::NotAsked.into());
        }
        if let Some(padding) = &circuit.padding {
            self.time.alarms.arm_padding(id, padding.next());
        }
        Ok(())
    }

    /// The common case of [`Engine::written`] and [`Engine::passing`] on a circuit without padding.
    #[inline(always)]
    pub fn is_bystander(&mut self, now: Nanos, id: Id) -> Option<()> {
        if !self.enter_quick(now) {
            return None;
        }
        self.circuits.get(id).filter(|circuit| circuit.padding.is_none()).map(|_| ())
    }

    /// Cells of a circuit were written.
    #[inline]
    pub fn written(&mut self, now: Nanos, id: Id, cells: u32) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        match self.circuits.get(id) {
            Some(circuit) if circuit.padding.is_none() => Ok(()),
            Some(_) => self.with_padding(id, |padding| padding.written(cells, now)).map(|_| ()),
            None => Err(self.circuits.reason(id).into()),
        }
    }

    /// A cell came that is not for us and goes on.
    #[inline]
    pub fn passing(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        match self.circuits.get(id) {
            Some(circuit) if circuit.padding.is_none() => Ok(()),
            Some(_) => self.with_padding(id, |padding| padding.received(0, false, now)).map(|_| ()),
            None => Err(self.circuits.reason(id).into()),
        }
    }

    /// Sends a message on a circuit, past no block. No answer means that it is to be held:
    /// [`Engine::hold_for_circuit`].
    #[inline]
    pub fn send_on_circuit(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        match circuit.place {
            Place::Closing => return Err(Blocked::Gone.into()),
            Place::Leg { .. } | Place::Away if command == Command::BEGIN_DIR && circuit.config.hops.ends_at(hop) => {
                return Err(Misuse::NotMultiplexed.into());
            }
            Place::Leg { .. } | Place::Away if command.is_multiplexed() && circuit.config.hops.ends_at(hop) => {
                return Err(Misuse::InSet.into());
            }
            _ if !circuit.config.hops.has(hop) => return Err(self.invalid("the circuit has no such hop to send to")),
            _ => {}
        }
        match circuit.padding.as_mut().map_or(Admission::Go, |padding| padding.admit(command)) {
            Admission::Go => {}
            Admission::Hold => return Ok(None),
            Admission::Full => return Err(self.no_room(HELD_ENOUGH)),
        }
        if command.stream_rule() == StreamRule::Needed {
            circuit.config.flags.add(CircuitFlags::STREAMS);
        }
        let verdict = Verdict::of(VerdictKind::Send, id, circuit.config.tag);
        self.note_sent(id, hop, now);
        let wants_digest = self.count_data(id, hop, command, now);
        Ok(Some(Verdict { wants_digest, ..verdict }))
    }

    /// The same for a host: it does not send past streams that we know, nor past cells that wait at a relay's edge. No
    /// answer means that it is to be held: [`Engine::hold_for_host`].
    #[inline]
    pub fn send_for_host(
        &mut self,
        now: Nanos,
        id: Id,
        command: Command,
        hop: u8,
        stream_id: u16,
    ) -> Result<Option<Verdict>, Error> {
        let runs = self.circuits.get(id).is_some_and(|circuit| circuit.runs_streams());
        if runs && command.stream_rule() == StreamRule::Needed {
            return Err(Misuse::IsRun.into());
        }
        if self.waits_at_edge(id, hop) {
            // What is due comes first, as everywhere.
            self.enter_for_circuits(now, std::iter::once(id))?;
            if self.waits_at_edge(id, hop) {
                return Ok(None);
            }
        }
        let verdict = self.send_on_circuit(now, id, command, hop)?;
        if stream_id != 0 && verdict.is_some() {
            self.mark_streams(id);
        }
        Ok(verdict)
    }

    /// Keeps a message for which [`Engine::send_on_circuit`] had no answer.
    #[cold]
    pub fn hold_for_circuit(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let tag = self.circuits.lookup(id)?.config.tag;
        let mut lane = Lane::EMPTY;
        let room = self.room_for(id, cost_of(message).into());
        if room.is_err() || !self.held.store.push_at(&mut lane, 1, message, now) {
            self.with_padding(id, Padding::held_none)?;
            return Err(self.no_room(NO_MEMORY));
        }
        self.with_padding(id, |padding| {
            padding.held_bytes += lane.bytes();
            padding.hold(message.hop, lane, now);
        })?;
        if message.stream_id != 0 || message.command.stream_rule() == StreamRule::Needed {
            self.mark_streams(id);
        }
        self.grew(id);
        self.settle_padding(id, now);
        Ok(Verdict::of(VerdictKind::Held, id, tag))
    }

    /// Keeps a message for which [`Engine::send_for_host`] had no answer.
    #[cold]
    pub fn hold_for_host(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        if !self.waits_at_edge(id, message.hop) {
            return self.hold_for_circuit(id, message);
        }
        let (fits, now) = (self.room_for(id, cost_of(message).into()).is_ok(), self.time.clock.latest());
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let (tag, most) = (circuit.config.tag, circuit.config.held_sends_max);
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        let edge = reactor.edge(Side::Back);
        let is_full = edge.own() >= most;
        if !fits || is_full || !edge.keep_own(message, &mut self.held.store, now) {
            reactor.backward.wait_for_edge();
            return Err(self.no_room(if is_full { HELD_ENOUGH } else { NO_MEMORY }));
        }
        if message.stream_id != 0 {
            circuit.config.flags.add(CircuitFlags::STREAMS);
        }
        self.grew(id);
        Ok(Verdict::of(VerdictKind::Held, id, tag))
    }

    /// True when a message of a relay's own would overtake cells that wait.
    fn waits_at_edge(&self, id: Id, hop: u8) -> bool {
        let Some(Circuit { reactor: Some(reactor), config, .. }) = self.circuits.get(id) else { return false };
        hop == 0 && config.role == Role::Exit && reactor.edge_at(Side::Back).waiting() > 0
    }

    /// Keeps a message for a set whose legs are blocked.
    #[cold]
    pub fn hold_for_set(&mut self, set: Id, message: &Message<'_>) -> Result<(), Error> {
        if self.room_for(set, cost_of(message).into()).is_err() {
            self.sets.get_mut(set).into_iter().for_each(|state| state.found_no_room());
            return Err(self.no_room(NO_MEMORY));
        }
        if self.take_along(set, message) {
            return Ok(());
        }
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if !state.hold(message, now, &mut self.held.store, &mut self.out.effects) {
            return Err(self.no_room(NO_MEMORY));
        }
        state.grew(set, &self.held.ledger, now);
        self.apply_effects(set);
        Ok(())
    }

    /// A cell that is not padding was queued on a circuit.
    pub(super) fn note_sent(&mut self, id: Id, hop: u8, now: Nanos) {
        self.padding.purse.sent(1);
        if self.padding.circuits > 0 {
            self.tell_sent(id, hop, now);
        }
    }

    /// Padders hear of a cell that was queued, and has been counted.
    #[inline(never)]
    pub(super) fn tell_sent(&mut self, id: Id, hop: u8, now: Nanos) {
        if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
            let before = padding.next();
            padding.queued(hop);
            padding.normal_sent(hop, now);
            // Most often a timer moves later, which the deadline need not follow at once.
            if padding.next() != before {
                self.time.alarms.arm_padding(id, padding.next());
            }
        }
    }

    /// A message came on a circuit with padders, or is about padding: padders hear of it before anything else does.
    pub(super) fn receive_padding(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<Admitted, Error> {
        // What will be fed again must not be counted twice.
        let is_handshake = (Command::CONFLUX_LINK..Command::CONFLUX_SWITCH).contains(&message.command);
        if is_handshake || message.command == Command::PADDING_NEGOTIATE {
            self.check_drained()?;
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let is_drop = message.command == Command::DROP;
        if let Some(padding) = &mut circuit.padding {
            padding.received(message.hop, is_drop, now);
            self.time.alarms.arm_padding(id, padding.next());
        }
        let config = circuit.config;
        let (is_client, foreign) = (config.role == Role::Client, config.flags.has(CircuitFlags::OTHER_PADDER));
        if message.stream_id != 0 && (circuit.place.leg().is_some() || circuit.place == Place::Away) {
            // Whatever it is, it is malformed.
            return Ok(Admitted::Goes);
        }
        let ours = match message.command {
            Command::DROP => self.receive_drop(id, message.hop),
            Command::PADDING_NEGOTIATE if !is_client => Ok(self.receive_negotiate(now, id, message, foreign)),
            Command::PADDING_NEGOTIATED if is_client => self.receive_negotiated(now, id, message),
            Command::PADDING_NEGOTIATE | Command::PADDING_NEGOTIATED => Ok(false),
            _ => return Ok(Admitted::Goes),
        };
        match judge(ours, is_client, foreign) {
            Judgement::Consume => Ok(Admitted::Consumed(Verdict::of(VerdictKind::Consumed, id, config.tag))),
            Judgement::PassOn => Ok(Admitted::Goes),
            Judgement::Close(fault) => Err(self.fault(id, fault)),
        }
    }

    fn receive_drop(&mut self, id: Id, hop: u8) -> Result<bool, Fault> {
        self.padding.received += 1;
        match self.circuits.get_mut(id).and_then(|circuit| circuit.padding.as_mut()) {
            Some(padding) => padding.judge_received(hop),
            None => Ok(false),
        }
    }

    /// Does the first thing that is due on the circuit in this place.
    pub(super) fn run_padding(&mut self, index: u32, now: Nanos) {
        let Some((id, circuit)) = self.circuits.at(index) else { return };
        // Nothing is sent any more on a circuit that the host was told to close.
        let Some(padding) = circuit.padding.as_mut().filter(|_| circuit.place != Place::Closing) else { return };
        let held_in_set = |(set, ix)| self.sets.get(set).map(|state: &Controller| state.held_for(ix));
        let (mut held, mut releasable) = circuit.place.leg().and_then(held_in_set).unwrap_or((false, false));
        if let (false, Some(reactor)) = (held, &circuit.reactor) {
            // Cells that only pass wait at the edge.
            let edge = reactor.edge_at(Side::Back);
            (held, releasable) = (edge.waiting() > 0, edge.waiting() > 0 && edge.is_writable());
        }
        let outside = Outside { held, releasable };
        let late = padding.step(now, self.time.round, outside, &mut self.padding.purse, &mut self.padding.effects);
        if let Some(late) = late {
            self.time.lateness.count(late);
        }
        self.apply_padding(id, now);
    }

    /// Carries out what a change of a circuit's padders has left to do.
    pub(super) fn settle_padding(&mut self, id: Id, now: Nanos) {
        if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
            padding.settle(&mut self.padding.purse, &mut self.padding.effects);
            self.apply_padding(id, now);
        }
    }

    /// Turns what follows from a step of a circuit's padding into instructions.
    fn apply_padding(&mut self, id: Id, now: Nanos) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let (place, hop) = (circuit.place, circuit.config.hops.last());
        let Some(padding) = &mut circuit.padding else { return };
        self.time.alarms.arm_padding(id, padding.next());
        let (blocked, holds, over, at) = (padding.is_blocked(), !padding.asks(), padding.ended(), padding.latest());
        let mut effects = std::mem::take(&mut self.padding.effects);
        if let Some((set, ix)) = place.leg() {
            if let Some(state) = self.sets.get_mut(set) {
                state.hold_back(ix, blocked, holds, &mut self.out.effects);
            }
        }
        for effect in effects.drain(..) {
            match effect {
                PaddingEffect::Pad(pad) => self.out.queue.push(Queued::Pad { circuit: id, pad, asks: false }),
                PaddingEffect::Ask(pad) => self.out.queue.push(Queued::Pad { circuit: id, pad, asks: true }),
                PaddingEffect::Send { hop, held } => {
                    if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
                        padding.held_bytes -= held.bytes();
                    }
                    self.padding.purse.sent(1);
                    let data = self.held.store.command_of(&held);
                    let wants_digest = self.count_data(id, hop, data, now);
                    self.out.queue.push(Queued::Released {
                        circuit: id,
                        set: Id::NONE,
                        hop,
                        lane: held,
                        delta: 0,
                        number: 0,
                        wants_digest,
                    });
                }
                PaddingEffect::Release => self.release_on(id, place, hop, at),
                PaddingEffect::PassedBy => {
                    if let Some((state, ix)) = place.leg().and_then(|(set, ix)| Some((self.sets.get_mut(set)?, ix))) {
                        state.passed_by(ix);
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
        self.padding.effects = effects;
        self.shut_edge(id, blocked);
        if place == Place::Away {
            self.tell_changed(id);
        }
        if let (Some((set, _)), false) = (place.leg(), self.out.effects.is_empty()) {
            self.apply_effects(set);
        }
        if let Some(number) = over {
            // Nothing is lost when it cannot be said: the machines have ended.
            let _ = self.end_padding(id, number, now);
        }
    }

    /// Lets one message of the set out on this leg, past the block.
    fn release_on(&mut self, id: Id, place: Place, hop: u8, now: Nanos) {
        let Some((set, ix)) = place.leg() else { return self.spare_edge(id) };
        let Some(state) = self.sets.get_mut(set) else { return };
        match state.release_on(ix, now, &mut self.out.effects) {
            Some((plan, lane)) => self.released(id, set, hop, plan.delta, plan.number, lane, now),
            None => self.spare_edge(id),
        }
    }

    /// Lets out all messages of a set for which there is room.
    pub(super) fn release_held(&mut self, set: Id) {
        let now = self.time.clock.latest();
        while let Some(state) = self.sets.get_mut(set) {
            let hop = state.join_hop();
            let Some((plan, lane)) = state.release(now, &mut self.out.effects) else { return };
            self.released(plan.leg, set, hop, plan.delta, plan.number, lane, now);
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn released(&mut self, id: Id, set: Id, hop: u8, delta: u32, number: u64, lane: Lane, now: Nanos) {
        if self.is_elsewhere(id) {
            return self.cross_lane(id, set, delta, number, lane);
        }
        let wants_digest = self.count_data(id, hop, self.held.store.command_of(&lane), now);
        if delta != 0 {
            self.note_sent(id, hop, now);
        }
        self.note_sent(id, hop, now);
        self.out.queue.push(Queued::Released { circuit: id, set, hop, lane, delta, number, wants_digest });
    }

    /// The host has taken a message that was held on a circuit in no set.
    #[cold]
    pub(super) fn taken_on_circuit(&mut self, id: Id) {
        if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
            if padding.taken() {
                self.out.queue.push(Queued::MaySendCircuit { circuit: id });
            }
        }
        self.read_on(id);
    }

    /// What a circuit that goes held for sending.
    pub(super) fn drop_padding(&mut self, id: Id, padding: Option<Box<Padding>>) {
        let Some(mut padding) = padding else { return };
        self.time.alarms.arm_padding(id, NEVER);
        self.padding.circuits -= 1;
        let mut all = Lane::EMPTY;
        padding.take_held().for_each(|lane| self.held.store.join(&mut all, lane));
        self.leave_behind(all);
    }

    /// A circuit's padding, made when there is none.
    pub(super) fn padding_of(&mut self, id: Id) -> Result<&mut Padding, Error> {
        self.circuits.lookup(id)?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(Misuse::StaleId.into()) };
        let pace = self.padding.pace;
        let (asks, outbox_max) = (circuit.config.flags.has(CircuitFlags::OWN_QUEUE), circuit.config.held_sends_max);
        if circuit.padding.is_none() {
            self.padding.circuits += 1;
        }
        circuit.config.plain_hop = NO_HOP;
        Ok(circuit.padding.get_or_insert_with(|| Box::new(Padding::new(asks, outbox_max, pace))))
    }

    /// Changes a circuit's padding, if it has any, and sees to it that it is woken in time.
    #[inline]
    pub(super) fn with_padding<R>(
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

    pub(super) fn check_hop(&mut self, id: Id, hop: u8) -> Result<(), Error> {
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
