//! Holds messages that the host sends while padding blocks the legs. Leg and number are chosen when a message is
//! released.

use super::send::{Plan, Refusal};
use super::{LegIx, Set};
use crate::base::{limits, Nanos};
use crate::conflux::Effect;
use crate::message::{cost_of, Lane, Message, Store};
use crate::wire::Command;
use std::collections::VecDeque;

/// Messages that wait to be sent, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(Command, Lane)>,
    /// Number of messages ever released.
    releases: u64,
    /// Messages that wait, and messages that were released but not yet taken by the host: nothing may overtake them.
    pub len: u32,
    /// Cost in bytes of the messages that wait.
    pub bytes: u64,
}

impl Set {
    /// Notes whether padding holds back a leg's messages, and whether circflow keeps these messages (`holds`) or the
    /// host does.
    pub fn hold_back(&mut self, ix: LegIx, padded: bool, holds: bool, effects: &mut Vec<Effect>) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            if (leg.path.padded, leg.path.holds) != (padded, holds) {
                leg.path.padded = padded;
                leg.path.holds = holds;
                self.settled = 0;
                self.check_resume(effects);
            }
        }
    }

    /// Answers for a message that has to wait for padding, or behind messages that wait: hold it, or stop the host when
    /// as many as allowed wait.
    #[cold]
    pub(super) fn hold_or_stop(&mut self) -> Refusal {
        if self.outbox.len < self.terms.held_sends_max {
            return Refusal::Hold;
        }
        self.waiting += 1;
        self.expect_more();
        Refusal::Blocked
    }

    /// True when padding blocks a linked leg, and circflow keeps the messages.
    pub(super) fn is_held_back(&self) -> bool {
        self.legs.iter().any(|leg| leg.path.linked && leg.path.padded && leg.path.holds)
    }

    /// Keeps a message for which [`Set::decide`] or [`Set::send`] answered [`Refusal::Hold`]. Returns false when there
    /// is no memory for it.
    #[must_use]
    pub fn hold(&mut self, message: &Message<'_>, now: Nanos, store: &mut Store, effects: &mut Vec<Effect>) -> bool {
        let mut lane = Lane::EMPTY;
        if !store.fits(cost_of(message)) || !store.push_at(&mut lane, 1, message, now) {
            self.found_no_room();
            return false;
        }
        self.settled = 0;
        self.outbox.bytes += lane.bytes();
        self.outbox.waiting.push_back((message.command, lane));
        self.outbox.len += 1;
        self.expect_held();
        self.check_resume(effects);
        true
    }

    /// Notes that there was no memory to keep a message: the host now waits for MAY_SEND.
    pub fn found_no_room(&mut self) {
        self.waiting += 1;
    }

    /// Messages that wait to be sent, without those that the host has yet to take.
    pub(super) fn held_sends(&self) -> u64 {
        self.outbox.waiting.len() as u64
    }

    /// Cost in bytes of the messages that wait to be sent.
    pub fn outbox_bytes(&self) -> u64 {
        self.outbox.bytes
    }

    /// Time at which the oldest message that waits to be sent came, none when no message waits.
    pub fn outbox_since(&self, store: &Store, now: Nanos) -> Option<Nanos> {
        self.outbox.waiting.front().and_then(|(_, lane)| store.since(lane, now))
    }

    /// Returns whether a message waits to be sent, and whether the first of them may go out on this leg past the block.
    ///
    /// A leg that would need a SWITCH takes no message while the sending leg lets messages out itself: the SWITCH is a
    /// cell more than padding asked for, and with a SWITCH for each message two legs carry no more than a single leg.
    pub fn held_for(&self, ix: LegIx) -> (bool, bool) {
        let Some(&(command, _)) = self.outbox.waiting.front() else { return (false, false) };
        let is_carried = |plan: &Plan| {
            let sending = self.sending().and_then(|sending| self.plan_on(sending as LegIx, command));
            let leg = self.legs.get(usize::from(ix));
            plan.delta != 0 && sending.is_some() && leg.map(|leg| leg.passed_by) != Some(self.outbox.releases)
        };
        (true, self.plan_on(ix, command).is_some_and(|plan| !is_carried(&plan)))
    }

    /// Notes that padding went out on a leg while a message waits. If no message is released before this happens again,
    /// the sending leg is stuck, and this leg takes over: [`Set::held_for`].
    pub fn passed_by(&mut self, ix: LegIx) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.passed_by = self.outbox.releases;
        }
    }

    /// True when the host was told to stop and waits for MAY_SEND.
    pub fn host_waits(&self) -> bool {
        self.waiting != 0
    }

    /// Counts a message of circflow's own that was sent and waits for the host to take it. Nothing may overtake it, as
    /// its number, and perhaps a SWITCH, are counted already.
    pub fn note_own_send(&mut self) {
        self.outbox.len += 1;
    }

    /// Number of messages that wait to be sent, or for the host to take them.
    pub fn waiting_to_go(&self) -> u32 {
        self.outbox.len
    }

    /// Takes the next message that may go out, and commits its plan.
    pub fn release(&mut self, now: Nanos, effects: &mut Vec<Effect>) -> Option<(Plan, Lane)> {
        let Some(&(command, _)) = self.outbox.waiting.front() else {
            // No message waits any more: the host may go on.
            self.check_resume(effects);
            return None;
        };
        let plan = self.plan(command).ok()?;
        self.pop_waiting(plan, now)
    }

    /// Takes the next message for a leg that padding blocks.
    pub fn release_on(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) -> Option<(Plan, Lane)> {
        let &(command, _) = self.outbox.waiting.front()?;
        let plan = self.plan_on(ix, command)?;
        let released = self.pop_waiting(plan, now);
        self.check_resume(effects);
        released
    }

    fn pop_waiting(&mut self, plan: Plan, now: Nanos) -> Option<(Plan, Lane)> {
        let (command, lane) = self.outbox.waiting.pop_front()?;
        self.outbox.releases += 1;
        self.outbox.bytes -= lane.bytes();
        self.note_plan(&plan);
        self.commit(&plan, command, now);
        Some((plan, lane))
    }

    /// Notes that the host has taken a released message, or that the message was dropped. While padding blocks and lets
    /// messages out one by one, the host hears here that there is room for another: the block may never end.
    pub fn taken(&mut self, effects: &mut Vec<Effect>) {
        self.outbox.len = self.outbox.len.saturating_sub(1);
        if self.waiting == 0 {
            return;
        }
        let has_room = self.outbox.len < self.terms.held_sends_max;
        // When no message is left, the next need not be kept, and so needs no room.
        let goes = (has_room || self.outbox.len == 0) && !self.is_holding() && self.plan(Command::DATA).is_ok();
        if goes || (has_room && self.is_held_back()) {
            self.tell_to_resume(effects);
        }
    }

    /// Takes out all messages that wait to be sent, when the set ends.
    pub(super) fn take_outbox(&mut self, store: &mut Store) -> Lane {
        let mut all = Lane::EMPTY;
        self.outbox.waiting.drain(..).for_each(|(_, lane)| store.join(&mut all, lane));
        self.outbox.bytes = 0;
        all
    }

    /// True when the first waiting message may go out.
    pub fn may_release(&self) -> bool {
        self.outbox.waiting.front().is_some_and(|&(command, _)| self.plan(command).is_ok())
    }

    /// True when a message waits to be sent.
    pub fn is_holding(&self) -> bool {
        !self.outbox.waiting.is_empty()
    }

    /// Plans a message for this leg even if padding blocks the leg. Where the host has named a leg, no other will do.
    fn plan_on(&self, ix: LegIx, command: Command) -> Option<Plan> {
        let index = usize::from(ix);
        let leg = self.legs.get(index).filter(|leg| leg.path.linked && self.usable)?;
        let has_room = command != Command::DATA || (leg.path.inflight < leg.path.cwnd && !leg.path.blocked);
        let sent = self.sent_last();
        let delta = sent.saturating_sub(leg.sent);
        let only = if self.bare { self.sending() } else { self.named_after(sent) };
        if !has_room || only.is_some_and(|only| only != index) || delta > limits::SWITCH_DELTA_MAX {
            return None;
        }
        Some(Plan { ix, leg: leg.key, tag: leg.tag, delta: delta as u32, number: sent + 1, run: 1, lends: false })
    }
}
