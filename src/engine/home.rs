//! Legs elsewhere of our sets: what their engines heard on them, what we send on them, and how they end.

use super::crossing::{cause, word, Crossed, Down, Sender, Up, LOST};
use super::elsewhere::HomeLeg;
use super::poll::our_link;
use super::remote::BLANK;
use super::verdict::END_NOT_DIRECTORY;
use super::{Engine, Error};
use crate::base::{limits, Id, Nanos};
use crate::conflux::set::Refusal;
use crate::conflux::{Cause, Fault, Lane, Message, Report};
use crate::hub::{Left, News};
use crate::queue::{Pushed, Refused};
use crate::reactor::Owner;
use crate::wire::fault::Reach;
use crate::wire::Command;

impl Engine {
    /// A set of ours has lost a leg elsewhere, or wants it closed.
    pub(super) fn send_off(&mut self, id: Id, why: Cause) {
        let Some((place, leg)) = self.home_legs.remove(id) else { return };
        self.alarms.cancel_elsewhere(place);
        let HomeLeg { end, mut backlog, .. } = leg;
        let mut tokens = Vec::new();
        end.close(word(why), |left| match left {
            Left::Unread(up) => tokens.extend(up.token()),
            Left::Unsent(down) => tokens.extend(down.token()),
        });
        tokens.extend(backlog.take_rest().filter_map(|down| down.token()));
        self.discard(tokens);
    }

    /// True when a message would go on a leg elsewhere: then it is taken along ([`Engine::hold_for_set`]), not sent
    /// here.
    #[inline(always)]
    pub(super) fn crosses(&mut self, set: Id, command: Command) -> Result<bool, Error> {
        if !self.has_legs_elsewhere() {
            return Ok(false);
        }
        self.chooses_elsewhere(set, command)
    }

    #[inline(never)]
    fn chooses_elsewhere(&mut self, set: Id, command: Command) -> Result<bool, Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        // Most often the leg stays, and then nothing has to be chosen.
        if let Some(leg) = state.settled_leg() {
            return Ok(self.is_elsewhere(leg));
        }
        match state.decide(command) {
            Ok(plan) => Ok(self.is_elsewhere(plan.leg)),
            Err(Refusal::Hold) => Ok(true),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Sends a message on the leg elsewhere that was just chosen for it. False when none was.
    pub(super) fn take_along(&mut self, set: Id, message: &Message<'_>) -> bool {
        let Some(state) = self.sets.get_mut(set) else { return false };
        let now = self.clock.latest();
        let stays = state.settled_leg().is_some_and(|leg| !self.circuits.is_ours(leg));
        if let Some(plan) = stays.then(|| state.send_next(message.command == Command::DATA, now)).flatten() {
            let message = Crossed::new(message, &mut self.spares);
            self.cross(plan.leg, plan.delta, plan.number, message);
            return true;
        }
        let Ok(plan) = state.plan(message.command) else { return false };
        if self.home_legs.look(plan.leg).is_none() || state.is_holding() {
            return false;
        }
        match state.send(message.command, now, &mut self.effects) {
            Ok(plan) => {
                let message = Crossed::new(message, &mut self.spares);
                self.cross(plan.leg, plan.delta, plan.number, message);
                self.apply_effects(set);
                true
            }
            Err(_) => false,
        }
    }

    /// Sends a message of a set on a leg elsewhere. It has been counted as sent.
    fn cross(&mut self, id: Id, delta: u32, number: u64, message: Crossed) {
        let is_data = message.command() == Command::DATA;
        let Some((_, leg)) = self.home_legs.find(id) else {
            self.discard(message.token().into_iter().collect());
            return;
        };
        leg.committed += u64::from(is_data);
        match leg.backlog.push(&mut Sender(&leg.end), Down::Send { delta, number, message }) {
            Ok(Pushed::Through) => {}
            // From here on the leg counts as blocked, so little can follow.
            Ok(Pushed::Kept) => self.look_at(id),
            // It is gone, which is news that comes after all that it has brought.
            Err(Refused::Closed(down)) => self.discard(down.token().into_iter().collect()),
            Err(Refused::Full(down)) => {
                self.discard(down.token().into_iter().collect());
                self.lose(id, Cause::LegLost);
            }
        }
    }

    /// The same for a message that waited in the set.
    pub(super) fn cross_lane(&mut self, id: Id, set: Id, delta: u32, number: u64, mut lane: Lane) {
        let mut buffer = BLANK;
        if let Ok(Some((delivery, _))) = self.store.pop(&mut lane, &mut buffer) {
            let (command, stream_id, token) = (delivery.command, delivery.stream_id, delivery.token);
            let body = buffer.get(..usize::from(delivery.len)).unwrap_or_default();
            let message = Message { command, hop: 0, stream_id, body, token };
            let crossed = Crossed::new(&message, &mut self.spares);
            self.cross(id, delta, number, crossed);
        }
        // Nobody here takes it any more.
        if let Some(state) = self.sets.get_mut(set) {
            state.taken(&mut self.effects);
        }
    }

    /// Sends LINKED on a leg elsewhere.
    pub(super) fn send_linked(&mut self, id: Id, set: Id) {
        let Some(terms) = self.sets.get(set).map(|state| state.terms()) else { return };
        let linked = Box::new(our_link(terms));
        if let Some((_, leg)) = self.home_legs.find(id) {
            let _ = leg.backlog.push(&mut Sender(&leg.end), Down::Linked(linked));
        }
    }

    /// Wakes a leg elsewhere that waits for LINKED_ACK.
    pub(super) fn arm_elsewhere(&mut self, id: Id, deadline: Option<Nanos>) {
        let Some((place, _)) = self.home_legs.find(id) else { return };
        match deadline {
            Some(deadline) => self.alarms.arm_elsewhere(place, deadline),
            None => self.alarms.cancel_elsewhere(place),
        }
    }

    /// A leg elsewhere has waited long enough.
    pub(super) fn expire_elsewhere(&mut self, place: u32, now: Nanos) {
        let Some(leg) = self.home_legs.at(place) else { return };
        let (id, set, ix) = (leg.id, leg.set, leg.ix);
        if let Some(fault) = self.sets.get(set).and_then(|state| state.expired(ix, now)) {
            self.fault_elsewhere(id, fault);
        }
    }

    /// News of a leg elsewhere.
    pub(super) fn hear_leg(&mut self, id: Id, now: Nanos) {
        for _ in 0..limits::LINK_ROOM {
            let Some((_, leg)) = self.home_legs.find(id) else { return };
            let (set, ix) = (leg.set, leg.ix);
            let up = match leg.end.poll() {
                News::Item(up) => up,
                News::Nothing => return self.drain_leg(id),
                News::Over(word) => return self.leg_gone(id, word),
            };
            if let Err(fault) = self.hear_up(set, ix, up, now) {
                self.fault_elsewhere(id, fault);
                return;
            }
        }
        self.drain_leg(id);
        // There may be more: in its turn.
        if let Some(leg) = self.home_legs.look(id) {
            leg.end.again();
        }
    }

    fn hear_up(&mut self, set: Id, ix: crate::conflux::LegIx, up: Up, now: Nanos) -> Result<(), Fault> {
        let Some(state) = self.sets.get_mut(set) else {
            self.discard(up.token().into_iter().collect());
            return Ok(());
        };
        let heard = match up {
            Up::Message(message) => {
                let held = state.arrive_from_elsewhere(ix, now, &message.message(0, &BLANK), &mut self.store);
                if held.is_err() {
                    self.discard(message.token().into_iter().collect());
                } else {
                    state.mark_ready(&mut self.effects);
                }
                message.recycle(&mut self.spares);
                held
            }
            Up::Switch(switch) => state.handle_switch(ix, now, switch),
            Up::LinkedSent(at) => {
                state.handshake_sent(ix, at, &mut self.effects);
                Ok(())
            }
            Up::LinkedAck(at) => state.handle_linked_ack(ix, at, &mut self.effects),
            Up::Directory { stream_id } => {
                let hop = state.join_hop();
                self.refuse_stream(Owner::Set(set), hop, stream_id, END_NOT_DIRECTORY, now);
                Ok(())
            }
        };
        if self.sets.get(set).is_some_and(|state| state.held() == 1) {
            self.watch_age(set, now);
        }
        if !self.effects.is_empty() {
            self.apply_effects(set);
        }
        heard
    }

    /// There may be room for what waits on the way to a leg elsewhere, and it may stand otherwise than before.
    fn drain_leg(&mut self, id: Id) {
        if let Some((_, leg)) = self.home_legs.find(id) {
            let _ = leg.backlog.drain(&mut Sender(&leg.end));
        }
        self.look_at(id);
    }

    /// Tells a set how a leg elsewhere stands: what its engine shows, and what has been sent since.
    pub(super) fn look_at(&mut self, id: Id) {
        let Some((_, leg)) = self.home_legs.find(id) else { return };
        let Some(shown) = leg.reader.read() else { return };
        let report = Report {
            cwnd: shown.cwnd.into(),
            inflight: u64::from(shown.inflight) + leg.committed.saturating_sub(shown.included),
            rtt: shown.rtt,
            sendme_inc: shown.sendme_inc.into(),
            slow_start: shown.slow_start,
            blocked: shown.blocked || leg.backlog.has_pending(),
        };
        let (set, ix) = (leg.set, leg.ix);
        if let Some(state) = self.sets.get_mut(set) {
            state.report(ix, &report, &mut self.effects);
        }
        self.apply_effects(set);
    }

    /// A leg elsewhere has broken the protocol, or its time is over.
    pub(super) fn fault_elsewhere(&mut self, id: Id, fault: Fault) {
        let Some(leg) = self.home_legs.look(id) else { return };
        let set = leg.set;
        if fault.reach() == Reach::Set {
            self.fault_of_set(set, fault);
        } else {
            self.note(fault, "leg", id);
            self.lose(id, Cause::Fault(fault));
        }
    }

    /// The engine of a leg elsewhere has closed it, and has counted why.
    fn leg_gone(&mut self, id: Id, word: Option<u32>) {
        let Some(leg) = self.home_legs.look(id) else { return };
        let why = cause(word);
        match why {
            // What it brought and we never saw was acknowledged: nobody will send it again. Nor is anything known of
            // one that went without a word.
            _ if matches!(word, Some(LOST) | None) => self.end_set(leg.set, Cause::LegLost),
            Cause::Fault(fault) if fault.reach() == Reach::Set => self.end_set(leg.set, why),
            Cause::Fault(_) => self.lose(id, why),
            Cause::Asked | Cause::LegLost | Cause::Finished => self.lose(id, Cause::LegLost),
        }
    }

    /// A leg elsewhere goes: its set is judged.
    fn lose(&mut self, id: Id, why: Cause) {
        let Some(leg) = self.home_legs.look(id) else { return };
        let (set, ix) = (leg.set, leg.ix);
        self.send_off(id, why);
        self.remove_leg(set, ix, why);
    }
}
