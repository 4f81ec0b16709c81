//! Sending: plans, which change nothing, and commits, which count the cells that were really queued.

use super::{LegIx, Set};
use crate::base::{limits, Id, Nanos};
use crate::conflux::choice::on_time::Chosen;
use crate::conflux::leg::{Leg, Report};
use crate::conflux::Effect;
use crate::wire::Command;

/// The leg and number for the next multiplexed message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The leg's place.
    pub ix: LegIx,
    /// Id of the leg.
    pub leg: Id,
    /// The host's tag of the leg.
    pub tag: u64,
    /// Relative number of the SWITCH that goes first, 0 for no SWITCH (SEQ-3: SWITCH(0) is never sent).
    pub delta: u32,
    /// Absolute number of the message.
    pub number: u64,
    /// Messages in a row, this one included, for which the choice is meant. 0 if none was made: the message waits for
    /// no room.
    pub run: u64,
    /// Another leg is better, and its window is full.
    pub lends: bool,
}

/// Why a message may not be sent, or why a report of a sent cell is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No leg has room.
    Blocked,
    /// The message has to wait for padding, and there is room to keep it: [`Set::hold`].
    Hold,
    /// The set may not carry streams yet.
    NotUsable,
    /// The reported cell does not belong on this leg.
    NotDecided,
}

impl Set {
    /// Chooses a leg for a message (SCH-1 … SCH-12) and changes nothing. DATA waits for room; other commands do not
    /// (SCH-8): an END must go out although the window is full.
    #[inline(always)]
    pub fn plan(&self, command: Command) -> Result<Plan, Refusal> {
        if !self.usable {
            return Err(Refusal::NotUsable);
        }
        let sent = self.sent_last();
        let Chosen { leg: index, run, lends } = match self.choice(sent) {
            Ok(chosen) => chosen,
            Err(_) if command == Command::DATA => return Err(Refusal::Blocked),
            // It waits for no choice, and is none.
            Err(_) => Chosen { leg: self.leg_without_wait().ok_or(Refusal::Blocked)?, run: 0, lends: false },
        };
        let leg = self.legs.get(index).ok_or(Refusal::Blocked)?;
        let delta = u32::try_from(sent.saturating_sub(leg.sent)).map_err(|_| Refusal::Blocked)?;
        Ok(Plan { ix: index as LegIx, leg: leg.key, tag: leg.tag, delta, number: sent + 1, run, lends })
    }

    /// Plans a message that the host is about to send. Changes nothing in the numbers; after [`Refusal::Blocked`] the
    /// host will hear MAY_SEND.
    #[inline(always)]
    pub fn decide(&mut self, command: Command) -> Result<Plan, Refusal> {
        self.ask::<true>(command)
    }

    /// Says whether a message could go out now, as [`Set::decide`] does, also that the host will hear MAY_SEND. What is
    /// decided next does not depend on it.
    #[inline(always)]
    pub fn look(&mut self, command: Command) -> Result<Plan, Refusal> {
        self.ask::<false>(command)
    }

    #[inline(always)]
    fn ask<const NOTES: bool>(&mut self, command: Command) -> Result<Plan, Refusal> {
        if self.outbox.len > 0 {
            return Err(self.hold_or_stop());
        }
        match self.plan(command) {
            Ok(plan) => {
                // A run begins with a decision.
                if NOTES || !self.policy.algorithm.remembers() {
                    self.settle_on(&plan, command);
                }
                Ok(plan)
            }
            Err(refusal) => Err(self.refuse(refusal)),
        }
    }

    /// Notes the choice of a plan that [`Set::plan`] has just made for a message that the host is about to send.
    #[inline(always)]
    pub fn settle_on(&mut self, plan: &Plan, command: Command) {
        self.note_plan(plan);
        // A host that decides and reports in two steps asks again for each message.
        let stays = self.sender == plan.ix && !self.bare;
        if self.settled == 0 && stays && command == Command::DATA {
            self.settle(plan.ix, plan.run);
        }
    }

    /// Notes that the host is refused. Answers what it has to do.
    #[inline]
    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        if self.policy.algorithm.remembers() {
            self.note_wait();
        }
        if refusal == Refusal::Blocked {
            if self.is_held_back() {
                return self.hold_or_stop();
            }
            self.waiting += 1;
        }
        refusal
    }

    /// The common case of [`Set::decide`]: the sending leg stays, and has room. Returns none when [`Set::decide`] has
    /// to be called.
    #[inline(always)]
    pub fn decide_quick(&self) -> Option<Plan> {
        if self.settled == 0 {
            return None;
        }
        debug_assert!(self.outbox.len == 0 && !self.bare, "nothing that waits is overtaken");
        let leg = self.legs.get(self.sender.into())?;
        Some(Plan { ix: self.sender, leg: leg.key, tag: leg.tag, delta: 0, number: leg.sent + 1, run: 1, lends: false })
    }

    /// Number of messages in a row that will go on the sending leg if no report comes.
    #[inline]
    pub fn room(&self) -> u64 {
        self.settled
    }

    /// Returns the answer of [`Set::decide`] for a DATA message, and changes nothing.
    pub fn peek(&self) -> Result<Plan, Refusal> {
        let plan = if self.outbox.len > 0 { Err(Refusal::Blocked) } else { self.plan(Command::DATA) };
        let holds = self.outbox.len > 0 || (plan == Err(Refusal::Blocked) && self.is_held_back());
        if holds && self.outbox.len < self.terms.held_sends_max {
            return Err(Refusal::Hold);
        }
        plan
    }

    /// The leg that [`Set::send_quick`] would send on, none if it would not send.
    #[inline(always)]
    pub fn settled_leg(&self) -> Option<Id> {
        self.legs.get(self.sender.into()).filter(|_| self.settled > 0).map(|leg| leg.key)
    }

    /// The common case of [`Set::send`]: the sending leg stays, and has room. Returns none, and changes nothing, in any
    /// other case.
    #[inline(always)]
    pub fn send_quick(&mut self, data: bool, now: Nanos) -> Option<Plan> {
        if self.settled == 0 {
            return None;
        }
        debug_assert!(self.outbox.len == 0 && !self.bare, "nothing that waits is overtaken");
        // Does the work of `count_sent` with one look at the leg.
        let leg = self.legs.get_mut(self.sender.into())?;
        leg.sent += 1;
        if data {
            leg.path.inflight += 1;
            self.since_switch += 1;
        }
        let plan =
            Plan { ix: self.sender, leg: leg.key, tag: leg.tag, delta: 0, number: leg.sent, run: 1, lends: false };
        self.settled -= 1;
        self.touch(plan.ix, now);
        Some(plan)
    }

    /// Plans a message, and counts it and the SWITCH before it as queued: [`Set::decide`], [`Set::commit_switch`] and
    /// [`Set::commit_message`] in one step.
    #[inline(always)]
    pub fn send(&mut self, command: Command, now: Nanos, effects: &mut Vec<Effect>) -> Result<Plan, Refusal> {
        let plan = self.decide(command)?;
        self.send_planned(&plan, command, now, effects);
        Ok(plan)
    }

    /// The second half of [`Set::send`], for a plan that [`Set::decide`] or [`Set::decide_quick`] has just made.
    #[inline(always)]
    pub fn send_planned(&mut self, plan: &Plan, command: Command, now: Nanos, effects: &mut Vec<Effect>) {
        let stays = self.settled > 0 && self.sender == plan.ix;
        if !stays || self.send_quick(command == Command::DATA, now).is_none() {
            self.carry_out(plan, command, now, effects);
        }
    }

    #[inline(always)]
    fn carry_out(&mut self, plan: &Plan, command: Command, now: Nanos, effects: &mut Vec<Effect>) {
        // Only DATA: other messages also go out on a leg that is not the choice.
        let is_ready = |leg: &Leg| leg.path.ready();
        if self.commit(plan, command, now)
            && command == Command::DATA
            && self.legs.get(usize::from(plan.ix)).is_some_and(is_ready)
        {
            self.settle(plan.ix, plan.run.saturating_sub(1));
        }
        self.check_resume(effects);
    }

    /// Like [`Set::send`], for a message of circflow's own: the host does not wait, so it will not hear MAY_SEND.
    /// Returns none when the message has to be held.
    pub fn send_own(&mut self, command: Command, now: Nanos, effects: &mut Vec<Effect>) -> Option<Plan> {
        if self.outbox.len > 0 {
            return None;
        }
        let plan = self.plan(command).ok()?;
        self.note_plan(&plan);
        self.commit(&plan, command, now);
        self.check_resume(effects);
        Some(plan)
    }

    /// Counts a plan's SWITCH and message as queued. Returns true when the plan's leg was chosen as the best leg, not
    /// as a leg far behind.
    #[inline(always)]
    pub(super) fn commit(&mut self, plan: &Plan, command: Command, now: Nanos) -> bool {
        let index = usize::from(plan.ix);
        let is_best = plan.number <= self.catch_up_at;
        self.settled = 0;
        if self.sender != plan.ix {
            self.sender = plan.ix;
            self.since_switch = 0;
            self.note_began(plan.number - 1);
            if plan.delta != 0 {
                self.switches_sent += 1;
            }
        }
        if let Some(leg) = self.legs.get_mut(index) {
            leg.count_sent(plan.number, command == Command::DATA);
        }
        self.note_sent(plan.ix, command == Command::DATA, now);
        if !is_best {
            self.refresh_catch_up();
        }
        is_best
    }

    /// Counts a SWITCH that the host has queued on a leg (SEQ-2). Returns its relative number.
    #[inline]
    pub fn commit_switch(&mut self, ix: LegIx) -> Result<u32, Refusal> {
        let index = usize::from(ix);
        let sending = self.sending().filter(|&sending| sending != index && !self.bare).ok_or(Refusal::NotDecided)?;
        let sent = self.legs.get(sending).ok_or(Refusal::NotDecided)?.sent;
        let leg = self.legs.get_mut(index).filter(|leg| leg.path.linked).ok_or(Refusal::NotDecided)?;
        if leg.sent >= sent || sent - leg.sent > limits::SWITCH_DELTA_MAX {
            return Err(Refusal::NotDecided);
        }
        let delta = (sent - leg.sent) as u32;
        leg.sent = sent;
        self.sender = ix;
        self.note_began(sent);
        self.settled = 0;
        self.bare = true;
        self.since_switch = 0;
        self.switches_sent += 1;
        Ok(delta)
    }

    /// The common case of [`Set::commit_message`]: on the sending leg, and nobody waits. None in any other case, and
    /// nothing is changed.
    #[inline(always)]
    pub fn commit_quick(&mut self, ix: LegIx, data: bool, now: Nanos) -> Option<()> {
        if self.sender != ix || !self.is_calm() {
            return None;
        }
        let leg = self.legs.get_mut(usize::from(ix)).filter(|leg| leg.path.linked && leg.sent < self.catch_up_at)?;
        leg.count_sent(leg.sent + 1, data);
        self.settled = self.settled.saturating_sub(1);
        self.note_sent(ix, data, now);
        Some(())
    }

    /// Counts a multiplexed message that the host has queued on a leg (SEQ-1).
    #[inline(always)]
    pub fn commit_message(
        &mut self,
        ix: LegIx,
        command: Command,
        now: Nanos,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let index = usize::from(ix);
        if self.sender != ix {
            self.move_without_switch(index)?;
        }
        let leg = self.legs.get_mut(index).filter(|leg| leg.path.linked).ok_or(Refusal::NotDecided)?;
        let number = leg.sent + 1;
        leg.count_sent(number, command == Command::DATA);
        let is_late = number > self.catch_up_at;
        self.note_sent(ix, command == Command::DATA, now);
        self.settled = self.settled.saturating_sub(1);
        if is_late {
            self.refresh_catch_up();
        }
        // After a SWITCH, only its leg could take this message; the next message may take any.
        self.check_resume(effects);
        Ok(())
    }

    /// Notes that a message was sent on a leg that has counted it.
    #[inline(always)]
    fn note_sent(&mut self, ix: LegIx, data: bool, now: Nanos) {
        self.bare = false;
        self.since_switch += u64::from(data);
        self.touch(ix, now);
    }

    /// Takes a report of a leg's congestion control.
    #[inline(always)]
    pub fn report(&mut self, ix: LegIx, report: &Report, now: Nanos, effects: &mut Vec<Effect>) {
        self.take_report(ix, report, now);
        self.now = now;
        self.check_resume(effects);
    }

    /// True when nothing waits to be sent, neither here nor with the host.
    #[inline(always)]
    pub fn is_calm(&self) -> bool {
        self.waiting == 0 && self.outbox.len == 0
    }

    /// [`Set::report`] while the set [is calm](Set::is_calm): nobody is to be told of room.
    #[inline(always)]
    pub fn take_report(&mut self, ix: LegIx, report: &Report, now: Nanos) {
        if self.policy.algorithm.measures() {
            self.hear(ix, report.inflight, report.rtt, now);
        }
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.report(report);
        }
        self.settled = 0;
    }

    /// Measures a leg of which a report says how many cells are in flight now.
    #[inline(never)]
    fn hear(&mut self, ix: LegIx, inflight: u64, rtt: Nanos, now: Nanos) {
        let index = usize::from(ix);
        let meter = self.learnt.as_mut().and_then(|learnt| learnt.meters.get_mut(index));
        let (Some(leg), Some(meter)) = (self.legs.get(index), meter) else { return };
        let acked = leg.path.inflight.saturating_sub(inflight);
        if acked > 0 {
            meter.heard(now, acked, if rtt == 0 { leg.path.rtt } else { rtt });
        }
    }

    /// Notes whether the channel of a leg is full. Other circuits fill it too, so the next message asks again. Answers
    /// true if this is news and the host waits: it may have waited for this very leg, so the choice is due.
    pub fn unsettle(&mut self, ix: LegIx, is_full: bool) -> bool {
        let mut was_full = is_full;
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            was_full = std::mem::replace(&mut leg.path.blocked, is_full);
        }
        self.settled = 0;
        is_full != was_full && self.waiting != 0
    }

    /// Checks for room after what the set knows of its legs has changed from outside.
    pub fn look_for_room(&mut self, effects: &mut Vec<Effect>) {
        self.check_resume(effects);
    }

    /// If a message waits to be sent, or the host does, checks whether there is room now.
    #[inline]
    pub(super) fn check_resume(&mut self, effects: &mut Vec<Effect>) {
        if self.waiting != 0 || self.outbox.len > 0 {
            self.resume_if_room(effects);
        }
    }

    #[cold]
    fn resume_if_room(&mut self, effects: &mut Vec<Effect>) {
        if self.is_holding() {
            // Waiting messages go first; the host hears MAY_SEND when all of them are out.
            if self.may_release() {
                effects.push(Effect::Release);
            }
            return;
        }
        if self.waiting != 0 && self.plan(Command::DATA).is_ok() {
            self.tell_to_resume(effects);
        }
    }

    pub(super) fn tell_to_resume(&mut self, effects: &mut Vec<Effect>) {
        self.forget_waiting();
        // One MAY_SEND in the queue is enough: a host that never drains cannot make the queue grow.
        if !self.resume_queued {
            self.resume_queued = true;
            effects.push(Effect::MaySend);
        } else {
            effects.push(Effect::WaitOver);
        }
    }

    /// Notes that the host has taken MAY_SEND.
    pub fn resumed(&mut self) {
        self.resume_queued = false;
    }

    /// Finds the number at which the set has to send on the leg furthest behind (SEQ-4). Called again only when that
    /// number is reached: as legs only move forward, an old value can only be too low.
    #[inline(never)]
    pub(super) fn refresh_catch_up(&mut self) {
        let lowest = self.legs.iter().filter(|leg| leg.path.linked).map(|leg| leg.sent).min();
        self.catch_up_at = lowest.map_or(u64::MAX, |sent| sent.saturating_add(limits::CATCH_UP_AT));
    }

    /// Keeps the leg just chosen as the sending leg until it is full, or for `run` messages. Where the choice depends
    /// on more than room, it is made for each message (CwndRTT, saving the receiver's memory, a SWITCH without its
    /// message, a leg far behind).
    #[inline(always)]
    fn settle(&mut self, ix: LegIx, run: u64) {
        let Some(leg) = self.legs.get(usize::from(ix)) else { return };
        let room = leg.path.cwnd.saturating_sub(leg.path.inflight).min(self.catch_up_at.saturating_sub(leg.sent));
        let kept = if self.policy.algorithm.remembers() {
            self.learnt.as_ref().map_or(0, |learnt| learnt.flow.until.saturating_sub(leg.sent))
        } else if self.policy.algorithm.stays_while_ready() {
            run
        } else {
            0
        };
        self.settled = room.min(if self.rare { self.kept_by_rare_rules(ix, kept) } else { kept });
    }

    /// How many messages the leg keeps by the rules that rarely apply, where it would keep so many by the algorithm.
    #[inline(never)]
    fn kept_by_rare_rules(&self, ix: LegIx, kept: u64) -> u64 {
        if let Some(named) = self.named {
            return if named == ix { u64::MAX } else { 0 };
        }
        if self.policy.saves_memory {
            return 0;
        }
        // Until then the leg is not left anyway.
        kept.max(u64::from(self.policy.run_min).saturating_sub(self.since_switch))
    }

    /// Notes a plan that is about to be carried out, if it is a choice made anew.
    #[inline(always)]
    pub(super) fn note_plan(&mut self, plan: &Plan) {
        if self.settled == 0 && plan.run > 0 && self.policy.algorithm.remembers() {
            self.note_choice(plan.ix, plan.number - 1, plan.run, plan.lends);
        }
    }

    /// Notes that DATA waits although a leg has room, for the next choice.
    #[cold]
    #[inline(never)]
    fn note_wait(&mut self) {
        let waits = self.named.is_none() && self.legs.iter().any(|leg| leg.path.ready());
        self.flow_mut().into_iter().for_each(|flow| flow.memo.waits |= waits);
    }

    /// Makes another leg the sending leg. It needs no SWITCH, as its last number is that of the old sending leg.
    #[inline(never)]
    fn move_without_switch(&mut self, index: usize) -> Result<(), Refusal> {
        let sent = self.sent_last();
        let leg = self
            .legs
            .get(index)
            .filter(|leg| self.usable && leg.path.linked && leg.sent == sent)
            .ok_or(Refusal::NotDecided)?;
        debug_assert!(leg.is_live());
        if self.bare {
            return Err(Refusal::NotDecided);
        }
        self.sender = index as LegIx;
        self.note_began(sent);
        self.settled = 0;
        self.since_switch = 0;
        Ok(())
    }
}
