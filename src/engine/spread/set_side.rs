//! Legs on other engines of our sets: messages that came on them, messages that we send on them, and how they end.

use crate::base::{limits, Id, Nanos};
use crate::conflux::set::Plan;
use crate::conflux::{Cause, Fault, LegIx, Report};
use crate::engine::out::insn::Queued;
use crate::engine::out::verdict::END_NOT_DIRECTORY;
use crate::engine::spread::leg_side::note_in;
use crate::engine::spread::membership::BLANK;
use crate::engine::spread::message::{cause_of, cost_with, reason, token_up, Crossed, Down, Up, LOST};
use crate::engine::spread::places::HomeLeg;
use crate::engine::{Engine, LinkStep, Verdict, VerdictKind};
use crate::event::{Class, Event};
use crate::hub::{Cargo, Left, News, NotSent};
use crate::message::{Lane, Message};
use crate::queue::{Pushed, Refused};
use crate::reactor::Owner;
use crate::wire::fault::Reach;
use crate::wire::Command;

impl Engine {
    /// Closes the link to a leg elsewhere, which its set has lost or closes.
    pub(in crate::engine) fn drop_leg_elsewhere(&mut self, id: Id, why: Cause) {
        let Some((place, leg)) = self.spread.home_legs.remove(id) else { return };
        self.update_ways();
        self.time.alarms.cancel_elsewhere(place);
        let HomeLeg { end, mut backlog, set, ix, reading, .. } = leg;
        self.sets.get_mut(set).into_iter().for_each(|state| state.note_read(ix));
        self.held.store.budget_mut().adopt(reading.unadopted(&end));
        let mut left = Vec::new();
        end.close(reason(why), |one| left.push(one));
        left.extend(backlog.take_rest().map(Left::Unsent));
        self.take_back(left, token_up);
    }

    /// The common case of a message that crosses, in one look at each part: DATA of a stream whose set stays on a leg
    /// elsewhere, while there is room and nobody watches. None, and nothing is changed, in any other case.
    #[inline(always)]
    pub fn send_across(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Option<Verdict> {
        if message.command != Command::DATA || !self.has_legs_elsewhere() || !self.enter_quick::<false>(now) {
            return None;
        }
        let stream = self.streams.get_mut(id)?;
        let Owner::Set(set) = stream.owner else { return None };
        if !stream.outgoing.may_send_now(now) {
            return None;
        }
        let state = self.sets.get_mut(set)?;
        let plan = state.decide_quick().filter(|plan| !self.circuits.is_ours(plan.leg))?;
        let (_, leg) = self.spread.home_legs.find(plan.leg)?;
        let (cost, budget) = (cost_with(message.token), self.held.store.budget_mut());
        if !budget.has_room(cost) || leg.backlog.has_pending() || self.events.wants(Class::Hub) {
            return None;
        }
        let &Message { command, body, token, .. } = message;
        let message = Crossed::pack(command, stream.stream_id, body, token, &mut self.spread.spares);
        let down = Down::Send { delta: 0, number: plan.number, message };
        if let Err(NotSent::Full(down) | NotSent::Gone(down)) = leg.end.send(down) {
            down.recycle(&mut self.spread.spares);
            return None;
        }
        state.send_quick(true, now);
        budget.hold_crossing(cost);
        leg.committed += 1;
        leg.way.look(leg.end.taken(), now);
        leg.way.put(cost, now);
        stream.outgoing.sent(now, body.len() as u32);
        let stream_tag = stream.tag;
        if leg.way.is_more() {
            self.note_crossing(plan.leg);
        }
        Some(Verdict { stream: id, stream_tag, ..Verdict::of(VerdictKind::Held, Id::NONE, 0) })
    }

    /// Sends a message on the leg elsewhere that was planned. The caller has made room for it.
    pub(in crate::engine) fn send_elsewhere(&mut self, set: Id, plan: &Plan, message: &Message<'_>) {
        let Some(state) = self.sets.get_mut(set) else { return };
        let now = self.time.clock.latest();
        state.send_planned(plan, message.command, now, &mut self.out.effects);
        if self.wants(Class::Choice) {
            self.note_sent_plan(set, plan, message.command);
        }
        let crossed = Crossed::new(message, &mut self.spread.spares);
        self.held.store.budget_mut().hold_crossing(crossed.cost());
        self.cross(plan.leg, plan.delta, plan.number, crossed);
        self.apply_effects(set);
        self.set_changed(set);
    }

    /// Puts a message of a set on the way to a leg elsewhere. It has been counted as sent, and as crossing.
    #[inline(always)]
    fn cross(&mut self, id: Id, delta: u32, number: u64, message: Crossed) {
        let (command, cost) = (message.command(), message.cost());
        let down = Down::Send { delta, number, message };
        let now = self.time.clock.latest();
        let Some((_, leg)) = self.spread.home_legs.find(id) else {
            return self.take_back([Left::Unsent(down)], token_up);
        };
        leg.committed += u64::from(command == Command::DATA);
        leg.way.look(leg.end.taken(), now);
        leg.way.put(cost, now);
        match leg.backlog.push(&mut &leg.end, down) {
            Ok(pushed) => {
                let is_more = leg.way.is_more();
                if self.wants(Class::Hub) {
                    self.note_out(id, command);
                }
                if is_more {
                    self.note_crossing(id);
                }
                // The leg counts as blocked from now on, so few messages can follow.
                if pushed == Pushed::Kept {
                    self.report_leg_elsewhere(id);
                }
            }
            // The leg is gone; the news of that comes after everything that it has sent.
            Err(Refused::Closed(down)) => {
                leg.way.undo(cost);
                self.take_back([Left::Unsent(down)], token_up);
            }
            Err(Refused::Full(down)) => {
                leg.way.undo(cost);
                self.take_back([Left::Unsent(down)], token_up);
                self.lose_leg(id, Cause::LegLost);
            }
        }
    }

    /// Says that something went to another engine.
    #[cold]
    #[inline(never)]
    fn note_out(&mut self, leg: Id, command: Command) {
        self.note_here(Event::CrossedOut { leg, command: command.0 });
    }

    /// Tells a set that more is on the way to a leg elsewhere than it knows of.
    #[inline(never)]
    fn note_crossing(&mut self, leg: Id) {
        let Some(leg) = self.spread.home_legs.look(leg) else { return };
        let set = leg.set;
        self.count_crossing(set);
        self.grew(set);
    }

    /// Puts a message that was held in the set on the way to a leg elsewhere.
    pub(in crate::engine) fn cross_lane(&mut self, id: Id, set: Id, delta: u32, number: u64, mut lane: Lane) {
        let mut buffer = BLANK;
        if let Ok(Some(delivery)) = self.held.store.pop_to_cross(&mut lane, &mut buffer) {
            let (command, stream_id, token) = (delivery.command, delivery.stream_id, delivery.token);
            let body = buffer.get(..usize::from(delivery.len)).unwrap_or_default();
            let message = Message { command, hop: 0, stream_id, body, token };
            let crossed = Crossed::new(&message, &mut self.spread.spares);
            self.cross(id, delta, number, crossed);
            if let Some(hop) = self.sets.get(set).map(|state| state.join_hop()) {
                self.note_left(set, id, hop, stream_id, command);
            }
        }
        // No host takes it here, so it counts as taken now.
        if let Some(state) = self.sets.get_mut(set) {
            state.taken(&mut self.out.effects);
        }
    }

    /// Sends LINKED on a leg elsewhere.
    pub(in crate::engine) fn send_linked(&mut self, id: Id, set: Id) {
        let Some(terms) = self.sets.get(set).map(|state| state.terms()) else { return };
        let linked = Down::Linked(Box::new(terms.link()));
        let (cost, now) = (linked.cost(), self.time.clock.latest());
        if let Err(fault) = self.ensure_room(set, cost) {
            return self.fault_elsewhere(id, fault);
        }
        let Some((_, leg)) = self.spread.home_legs.find(id) else { return };
        self.held.store.budget_mut().hold_crossing(cost);
        leg.way.put(cost, now);
        if leg.backlog.push(&mut &leg.end, linked).is_err() {
            leg.way.undo(cost);
            self.held.store.budget_mut().release_crossing(cost);
            return;
        }
        if self.wants(Class::Hub) {
            self.note_out(id, Command::CONFLUX_LINKED);
        }
    }

    /// Sets or cancels the timer of a leg elsewhere that waits for LINKED_ACK.
    pub(in crate::engine) fn arm_elsewhere(&mut self, id: Id, deadline: Option<Nanos>) {
        let Some((place, _)) = self.spread.home_legs.find(id) else { return };
        match deadline {
            Some(deadline) => self.time.alarms.arm_elsewhere(place, deadline),
            None => self.time.alarms.cancel_elsewhere(place),
        }
    }

    /// Closes the leg elsewhere in this place when LINKED_ACK has not come in time.
    pub(in crate::engine) fn expire_elsewhere(&mut self, place: u32, now: Nanos) {
        let Some(leg) = self.spread.home_legs.at(place) else { return };
        let (id, set, ix) = (leg.id, leg.set, leg.ix);
        if let Some(fault) = self.sets.get(set).and_then(|state| state.expired(ix, now)) {
            self.fault_elsewhere(id, fault);
        }
    }

    /// Handles news of a leg elsewhere. Reads what has come, and holds it. Reading stops at a message that comes next
    /// in its set, if it may go `straight` to the host: it stays in the link until the set's READY mark has its turn.
    pub(super) fn take_leg_news(&mut self, id: Id, now: Nanos, straight: bool) {
        let Some((_, leg)) = self.spread.home_legs.find(id) else { return };
        leg.reading.turns = limits::LINK_ROOM as u32;
        let (set, ix) = (leg.set, leg.ix);
        let Some(state) = self.sets.get_mut(set) else { return self.read_leg(id, now) };
        if straight && state.is_unread(ix) {
            return self.drain_leg(id);
        }
        state.note_read(ix);
        if straight && !state.terms().ready_by_poll {
            self.read_leg_until_next(id, now);
        } else {
            self.read_leg(id, now);
        }
    }

    /// Reads the link to a leg elsewhere, and holds the messages.
    pub(super) fn read_leg(&mut self, id: Id, now: Nanos) {
        while self.read_on(id, now) {}
    }

    /// Reads the link of a leg whose set is about to end, as far as there is room, up to the first fault. Nobody hears
    /// of that fault, and no other set makes room: the set has its reason to end already.
    pub(super) fn read_leg_before_end(&mut self, id: Id, now: Nanos) {
        while self.has_room_for_next(id) && self.read_item(id, now) == Ok(true) {}
    }

    fn has_room_for_next(&mut self, id: Id) -> bool {
        let Some((_, leg)) = self.spread.home_legs.find(id) else { return false };
        match leg.end.peek_mut() {
            Some(Up::Message(message)) => self.held.store.budget().has_room(message.cost()),
            Some(_) => true,
            None => false,
        }
    }

    /// [`Engine::read_leg`] until a message comes next, which is left for the READY mark.
    pub(super) fn read_leg_until_next(&mut self, id: Id, now: Nanos) {
        loop {
            let Some((_, leg)) = self.spread.home_legs.find(id) else { return };
            let (set, ix) = (leg.set, leg.ix);
            if let (Some(Up::Message(_)), Some(state)) = (leg.end.peek_mut(), self.sets.get_mut(set)) {
                if state.comes_next(ix) && leg.reading.turns > 0 {
                    leg.reading.settle(&mut leg.end, self.held.store.budget_mut());
                    if state.mark_unread(ix) {
                        self.out.queue.push(Queued::Ready { set });
                    }
                    return;
                }
            }
            if !self.read_on(id, now) {
                return;
            }
        }
    }

    /// Reads one item of the link to a leg elsewhere, which a fault closes. False when reading ends.
    fn read_on(&mut self, id: Id, now: Nanos) -> bool {
        self.read_item(id, now).unwrap_or_else(|fault| {
            self.fault_elsewhere(id, fault);
            false
        })
    }

    /// Reads one item of the link to a leg elsewhere. False when there was none, or others have their turn first.
    fn read_item(&mut self, id: Id, now: Nanos) -> Result<bool, Fault> {
        let Some((_, leg)) = self.spread.home_legs.find(id) else { return Ok(false) };
        if leg.reading.turns == 0 {
            // There may be more news: its turn comes again.
            leg.end.ring_self();
            self.drain_leg(id);
            return Ok(false);
        }
        leg.reading.turns -= 1;
        leg.reading.adopt(leg.reading.unadopted(&leg.end), self.held.store.budget_mut());
        let (set, ix) = (leg.set, leg.ix);
        let up = match leg.end.poll() {
            News::Item(up) => up,
            News::Nothing => {
                self.drain_leg(id);
                return Ok(false);
            }
            News::Over(reason) => {
                self.leg_gone(id, reason);
                return Ok(false);
            }
        };
        leg.reading.adopt(up.cost(), self.held.store.budget_mut());
        if self.wants(Class::Hub) {
            note_in(&mut self.events, self.time.clock.latest(), id, up.command());
        }
        self.take_up(set, ix, up, now).map(|()| true)
    }

    fn take_up(&mut self, set: Id, ix: LegIx, up: Up, now: Nanos) -> Result<(), Fault> {
        let up = match up {
            Up::Message(message) => return self.take_leg_message(set, ix, message, now),
            other => other,
        };
        let Some(state) = self.sets.get_mut(set) else { return Ok(()) };
        let heard = match up {
            Up::Message(_) => Ok(()),
            Up::Switch(switch) => {
                let heard = state.handle_switch(ix, now, switch);
                if heard.is_ok() && self.wants(Class::Messages) {
                    self.note_switch_received(set, ix, switch);
                }
                heard
            }
            Up::LinkedSent(at) => {
                state.handshake_sent(ix, at, &mut self.out.effects);
                self.note_step(set, ix, LinkStep::LinkedSent);
                Ok(())
            }
            Up::LinkedAck(at) => {
                let heard = state.handle_linked_ack(ix, at, &mut self.out.effects);
                if heard.is_ok() {
                    self.note_step(set, ix, LinkStep::AckReceived);
                }
                heard
            }
            Up::Directory { stream_id } => {
                let hop = state.join_hop();
                self.refuse_stream(Owner::Set(set), hop, stream_id, END_NOT_DIRECTORY, now);
                Ok(())
            }
        };
        if !self.out.effects.is_empty() {
            self.apply_effects(set);
        }
        heard
    }

    /// Takes a message that came on a leg elsewhere. It is held even if it is next: no host waits for its verdict.
    fn take_leg_message(&mut self, set: Id, ix: LegIx, message: Crossed, now: Nanos) -> Result<(), Fault> {
        let room = self.ensure_room(set, message.cost());
        let held = match self.sets.get_mut(set) {
            // The set has ended, while the message crossed or just now.
            None => Err(None),
            Some(state) => room
                .and_then(|_| state.arrive_from_elsewhere(ix, now, &message.message(0, &BLANK), &mut self.held.store))
                .map_err(Some),
        };
        match held {
            Ok(()) => {
                if self.wants(Class::Messages) {
                    self.note_held_from_elsewhere(set, ix, &message.message(0, &BLANK));
                }
                if let Some(state) = self.sets.get_mut(set) {
                    state.mark_ready(&mut self.out.effects);
                    if state.holds_more() {
                        self.note_held_in_set(set);
                    }
                }
            }
            Err(fault) => {
                if fault == Some(Fault::SetMemory) {
                    self.note_set_cap(set, message.cost());
                }
                self.held.store.budget_mut().tidy();
                self.discard(message.token());
            }
        }
        message.recycle(&mut self.spread.spares);
        if !self.out.effects.is_empty() {
            self.apply_effects(set);
        }
        held.or_else(|fault| fault.map_or(Ok(()), Err))
    }

    /// Sends what waits for a leg elsewhere, as the link may have room, and reports the leg to its set.
    fn drain_leg(&mut self, id: Id) {
        if let Some((_, leg)) = self.spread.home_legs.find(id) {
            leg.reading.settle(&mut leg.end, self.held.store.budget_mut());
            let _ = leg.backlog.drain(&mut &leg.end);
            let set = leg.set;
            self.shrank(set);
        }
        self.report_leg_elsewhere(id);
    }

    /// Reports a leg elsewhere to its set: the figures that its engine shows, and what was sent since.
    pub(super) fn report_leg_elsewhere(&mut self, id: Id) {
        let Some((_, leg)) = self.spread.home_legs.find(id) else { return };
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
            state.report(ix, &report, self.time.clock.latest(), &mut self.out.effects);
        }
        self.apply_effects(set);
        self.set_changed(set);
    }

    /// Closes a leg elsewhere whose peer has broken the protocol, or whose time is over; or its set.
    pub(in crate::engine) fn fault_elsewhere(&mut self, id: Id, fault: Fault) {
        let Some(leg) = self.spread.home_legs.look(id) else { return };
        let set = leg.set;
        if fault.reach() == Reach::Set {
            self.fault_of_set(set, fault);
        } else {
            self.report_fault(fault, "leg", id);
            self.lose_leg(id, Cause::Fault(fault));
        }
    }

    /// Handles the end of a leg elsewhere that its engine has closed. That engine has counted the fault.
    fn leg_gone(&mut self, id: Id, reason: Option<u32>) {
        let Some(leg) = self.spread.home_legs.look(id) else { return };
        let why = cause_of(reason);
        match why {
            // Messages that were acknowledged and did not reach us will not be sent again. When an engine went without
            // a reason, the same may be so.
            _ if matches!(reason, Some(LOST) | None) => self.end_set(leg.set, Cause::LegLost),
            Cause::Fault(fault) if fault.reach() == Reach::Set => self.end_set(leg.set, why),
            Cause::Fault(_) => self.lose_leg(id, why),
            Cause::Asked | Cause::LegLost | Cause::Finished => self.lose_leg(id, Cause::LegLost),
        }
    }

    /// Takes a leg elsewhere out of its set, which may end with it.
    fn lose_leg(&mut self, id: Id, why: Cause) {
        let Some(leg) = self.spread.home_legs.look(id) else { return };
        self.keep_unread(leg.set);
        let Some(leg) = self.spread.home_legs.look(id) else { return };
        let (set, ix) = (leg.set, leg.ix);
        self.drop_leg_elsewhere(id, why);
        self.remove_leg(set, ix, why);
    }
}
