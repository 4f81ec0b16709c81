//! Sending: a plan that changes nothing, and commits that follow what was really queued.

use super::{LegIx, Set};
use crate::base::{limits, Id, Nanos};
use crate::conflux::choice::{self, choose};
use crate::conflux::leg::Report;
use crate::conflux::Effect;
use crate::wire::Command;

/// On which leg the next multiplexed message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The leg's place.
    pub ix: LegIx,
    /// What the engine calls the leg.
    pub leg: Id,
    /// What the host calls the leg.
    pub tag: u64,
    /// The number for a SWITCH that goes first, 0 for none (SEQ-3: SWITCH(0) is never sent).
    pub delta: u32,
    /// The message's absolute number.
    pub number: u64,
}

/// Why there is no plan, or a report of a sent cell does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No leg has room.
    Blocked,
    /// Padding holds it back, and there is room to keep it: [`Set::hold`].
    Hold,
    /// The set may not carry streams yet.
    NotUsable,
    /// Nobody asked for this cell on this leg.
    NotDecided,
}

impl Set {
    /// Chooses a leg for a message (SCH-1 … SCH-12) and changes nothing. DATA waits for room; anything else does not
    /// (SCH-8): an END must get out although the window is full.
    #[inline(always)]
    pub fn plan(&self, command: Command) -> Result<Plan, Refusal> {
        if !self.usable {
            return Err(Refusal::NotUsable);
        }
        let sent = self.sending.and_then(|index| self.legs.get(index)).map_or(0, |leg| leg.sent);
        let choice = if self.bare || self.policy.sparing || sent >= self.catch_up_at {
            self.choose_with_care(sent)
        } else {
            choose(self.policy.algorithm, self.paths())
        };
        let index = match choice {
            Some(index) => index,
            None if command == Command::DATA => return Err(Refusal::Blocked),
            None => self.any_leg_open().ok_or(Refusal::Blocked)?,
        };
        let leg = self.legs.get(index).ok_or(Refusal::Blocked)?;
        let delta = u32::try_from(sent.saturating_sub(leg.sent)).map_err(|_| Refusal::Blocked)?;
        Ok(Plan { ix: index as LegIx, leg: leg.key, tag: leg.tag, delta, number: sent + 1 })
    }

    /// A plan for a message that the host is about to send. All it changes is that the host was told to stop.
    #[inline(always)]
    pub fn decide(&mut self, command: Command) -> Result<Plan, Refusal> {
        if self.outbox.len > 0 {
            return Err(self.hold_or_stop());
        }
        let plan = self.plan(command);
        match plan {
            // A host that decides and reports in two steps asks again for each message.
            Ok(plan) if self.is_sending(&plan) && command == Command::DATA => self.settle(plan.ix),
            Err(Refusal::Blocked) => {
                if self.is_held_back() {
                    return Err(self.hold_or_stop());
                }
                self.waiting = true;
            }
            _ => {}
        }
        plan
    }

    /// The leg of the plan sends already, and was chosen for being the best, and not for being far behind.
    #[inline(always)]
    fn is_sending(&self, plan: &Plan) -> bool {
        self.sending == Some(usize::from(plan.ix)) && plan.number <= self.catch_up_at
    }

    /// The common case of [`Set::decide`]: the sending leg stays, and has room. No answer means that it has to be
    /// asked.
    #[inline(always)]
    pub fn decide_next(&self) -> Option<Plan> {
        if self.settled == 0 {
            return None;
        }
        let index = self.sending?;
        let leg = self.legs.get(index)?;
        Some(Plan { ix: index as LegIx, leg: leg.key, tag: leg.tag, delta: 0, number: leg.sent + 1 })
    }

    /// Messages in a row for which [`Set::decide`] will name the leg that sends, if nothing is reported meanwhile.
    #[inline]
    pub fn room(&self) -> u64 {
        self.settled
    }

    /// What [`Set::decide`] would answer to a DATA message.
    pub fn peek(&self) -> Result<Plan, Refusal> {
        let plan = if self.outbox.len > 0 { Err(Refusal::Blocked) } else { self.plan(Command::DATA) };
        let holds = self.outbox.len > 0 || (plan == Err(Refusal::Blocked) && self.is_held_back());
        if holds && self.outbox.len < self.terms.held_sends_max {
            return Err(Refusal::Hold);
        }
        plan
    }

    /// The leg that [`Set::send_next`] would send on, if it would.
    #[inline]
    pub fn settled_leg(&self) -> Option<Id> {
        self.sending.filter(|_| self.settled > 0).and_then(|index| self.legs.get(index)).map(|leg| leg.key)
    }

    /// The common case of deciding and committing in one: the sending leg stays, and has room. No answer means that
    /// nothing changed.
    #[inline(always)]
    pub fn send_next(&mut self, data: bool, now: Nanos) -> Option<Plan> {
        if self.settled == 0 {
            return None;
        }
        let index = self.sending?;
        // What `book` does, with one look at the leg.
        let leg = self.legs.get_mut(index)?;
        leg.sent += 1;
        if data {
            leg.path.inflight += 1;
            self.since_switch += 1;
        }
        let plan = Plan { ix: index as LegIx, leg: leg.key, tag: leg.tag, delta: 0, number: leg.sent };
        self.settled -= 1;
        self.touch(plan.ix, now);
        Some(plan)
    }

    /// Decides, and counts the message and the SWITCH before it as queued: what the commits below do, without asking
    /// again what the plan has just answered.
    #[inline(always)]
    pub fn send(&mut self, command: Command, now: Nanos, effects: &mut Vec<Effect>) -> Result<Plan, Refusal> {
        let plan = self.decide(command)?;
        // Only DATA: other messages also go out on a leg that is not the choice.
        if self.commit(&plan, command, now) && command == Command::DATA {
            self.settle(plan.ix);
        }
        self.check_resume(effects);
        Ok(plan)
    }

    /// The same for a message of circflow's own: nobody waits for the answer, so no MAY_SEND is owed. No plan means
    /// that it has to be held.
    pub fn send_own(&mut self, command: Command, now: Nanos, effects: &mut Vec<Effect>) -> Option<Plan> {
        if self.outbox.len > 0 {
            return None;
        }
        let plan = self.plan(command).ok()?;
        self.commit(&plan, command, now);
        self.check_resume(effects);
        Some(plan)
    }

    /// Carries a plan out, SWITCH and message. True when its leg was chosen for being the best, and not for being far
    /// behind.
    #[inline(always)]
    pub(super) fn commit(&mut self, plan: &Plan, command: Command, now: Nanos) -> bool {
        let index = usize::from(plan.ix);
        let is_best = plan.number <= self.catch_up_at;
        self.settled = 0;
        if self.sending != Some(index) {
            self.sending = Some(index);
            self.since_switch = 0;
            if plan.delta != 0 {
                self.switches_sent += 1;
            }
        }
        self.book(index, plan.number, command == Command::DATA, now);
        if !is_best {
            self.refresh_catch_up();
        }
        is_best
    }

    /// A SWITCH was queued on a leg (SEQ-2).
    #[inline]
    pub fn commit_switch(&mut self, ix: LegIx) -> Result<(), Refusal> {
        let index = usize::from(ix);
        let sending = self.sending.filter(|&sending| sending != index && !self.bare).ok_or(Refusal::NotDecided)?;
        let sent = self.legs.get(sending).ok_or(Refusal::NotDecided)?.sent;
        let leg = self.legs.get_mut(index).filter(|leg| leg.path.linked).ok_or(Refusal::NotDecided)?;
        if leg.sent >= sent || sent - leg.sent > limits::SWITCH_DELTA_MAX {
            return Err(Refusal::NotDecided);
        }
        leg.sent = sent;
        self.sending = Some(index);
        self.settled = 0;
        self.bare = true;
        self.since_switch = 0;
        self.switches_sent += 1;
        Ok(())
    }

    /// A multiplexed message was queued on a leg (SEQ-1).
    #[inline(always)]
    pub fn commit_message(
        &mut self,
        ix: LegIx,
        command: Command,
        now: Nanos,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let index = usize::from(ix);
        if self.sending != Some(index) {
            self.move_without_switch(index)?;
        }
        let leg = self.legs.get(index).filter(|leg| leg.path.linked).ok_or(Refusal::NotDecided)?;
        let number = leg.sent + 1;
        let is_late = number > self.catch_up_at;
        self.book(index, number, command == Command::DATA, now);
        self.settled = self.settled.saturating_sub(1);
        if is_late {
            self.refresh_catch_up();
        }
        // A message ends the rule that binds the next one to the leg of a bare SWITCH.
        self.check_resume(effects);
        Ok(())
    }

    /// Writes a sent message into the books.
    #[inline(always)]
    fn book(&mut self, index: usize, number: u64, data: bool, now: Nanos) {
        if let Some(leg) = self.legs.get_mut(index) {
            leg.sent = number;
            if data {
                leg.path.inflight = leg.path.inflight.saturating_add(1);
            }
        }
        self.bare = false;
        self.since_switch += u64::from(data);
        self.touch(index as LegIx, now);
    }

    /// News of a leg from the host's congestion control.
    #[inline(always)]
    pub fn report(&mut self, ix: LegIx, report: &Report, effects: &mut Vec<Effect>) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.report(report);
        }
        self.settled = 0;
        self.check_resume(effects);
    }

    /// Tells a host that waits for room that there is some.
    #[inline]
    pub(super) fn check_resume(&mut self, effects: &mut Vec<Effect>) {
        if self.waiting || self.outbox.len > 0 {
            self.resume_if_room(effects);
        }
    }

    #[cold]
    fn resume_if_room(&mut self, effects: &mut Vec<Effect>) {
        if self.is_holding() {
            // What waits goes first; the host is told when all of it is out.
            if self.may_release() {
                effects.push(Effect::Release);
            }
            return;
        }
        if self.waiting && self.plan(Command::DATA).is_ok() {
            self.tell_to_resume(effects);
        }
    }

    pub(super) fn tell_to_resume(&mut self, effects: &mut Vec<Effect>) {
        self.waiting = false;
        // One that is still queued says it all; a host that never drains cannot make the queue grow.
        if !self.resume_queued {
            self.resume_queued = true;
            effects.push(Effect::MaySend);
        }
    }

    /// The host has taken the instruction to go on.
    pub fn resumed(&mut self) {
        self.resume_queued = false;
    }

    /// Finds the number at which the leg furthest behind has to be caught up with (SEQ-4). Only when that number is
    /// reached: as legs only move forward, one that was found earlier is too low at worst, and leads here.
    pub(super) fn refresh_catch_up(&mut self) {
        let lowest = self.legs.iter().filter(|leg| leg.path.linked).map(|leg| leg.sent).min();
        self.catch_up_at = lowest.map_or(u64::MAX, |sent| sent.saturating_add(limits::CATCH_UP_AT));
    }

    /// The sending leg was just chosen: it stays the choice until it is full. Where the choice hangs on more than that
    /// (CwndRTT, a receiver whose memory is spared, a bare SWITCH, a leg far behind), it is made anew for each message.
    #[inline(always)]
    fn settle(&mut self, ix: LegIx) {
        let Some(leg) = self.legs.get(usize::from(ix)) else { return };
        let to_catch_up = self.catch_up_at.saturating_sub(leg.sent);
        if leg.path.ready() && !self.bare && !self.policy.sparing && self.policy.algorithm.stays_while_ready() {
            self.settled = (leg.path.cwnd - leg.path.inflight).min(to_catch_up);
        }
    }

    /// The rules that are rarely in force: stay after a bare SWITCH, catch up with a leg far behind, spare the peer's
    /// memory.
    fn choose_with_care(&self, sent: u64) -> Option<usize> {
        let current = self.sending.and_then(|index| Some((index, &self.legs.get(index)?.path)));
        let stay = || current.filter(|(_, path)| path.ready()).map(|(index, _)| index);
        if self.bare {
            return stay();
        }
        let reachable = |index: usize| {
            self.legs.get(index).is_some_and(|leg| sent.saturating_sub(leg.sent) <= limits::SWITCH_DELTA_MAX)
        };
        let paths = self.paths().filter(|&(index, _)| reachable(index));
        if sent >= self.catch_up_at {
            let behind = paths.clone().find(|&(index, path)| path.ready() && self.is_far_behind(index, sent));
            if let Some((index, _)) = behind {
                return Some(index);
            }
        }
        let choice = choose(self.policy.algorithm, paths);
        match current {
            Some((index, path)) if self.policy.sparing && choice != Some(index) && self.since_switch < path.cwnd => {
                stay()
            }
            _ => choice,
        }
    }

    fn is_far_behind(&self, index: usize, sent: u64) -> bool {
        self.legs.get(index).is_some_and(|leg| sent - leg.sent.min(sent) >= limits::CATCH_UP_AT)
    }

    /// A leg for what does not wait for room: the sending leg, or the fastest where padding blocks that one. After a
    /// bare SWITCH only the sending leg will do.
    fn any_leg_open(&self) -> Option<usize> {
        // What the host keeps goes into the host's queue.
        let open = |index: &usize| self.legs.get(*index).is_some_and(|leg| !(leg.path.padded && leg.path.holds));
        let sending = self.sending.filter(open);
        if sending.is_some() || self.bare {
            return sending;
        }
        choice::fastest(self.paths().filter(|(index, path)| path.linked && open(index))).map(|(index, _)| index)
    }

    /// Another leg sends from now on, and needs no SWITCH as both stand at the same number.
    fn move_without_switch(&mut self, index: usize) -> Result<(), Refusal> {
        let sent = self.sending.and_then(|sending| self.legs.get(sending)).map_or(0, |leg| leg.sent);
        let leg = self
            .legs
            .get(index)
            .filter(|leg| self.usable && leg.path.linked && leg.sent == sent)
            .ok_or(Refusal::NotDecided)?;
        debug_assert!(leg.is_live());
        if self.bare {
            return Err(Refusal::NotDecided);
        }
        self.sending = Some(index);
        self.settled = 0;
        self.since_switch = 0;
        Ok(())
    }
}
