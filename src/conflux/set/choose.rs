//! The choice of a leg: the rules that come before the algorithm's, and when a choice that waits is made again.

use super::Set;
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};
use crate::conflux::choice::on_time::Chosen;
use crate::conflux::choice::{self, choose, choose_of_two, Algorithm};
use crate::conflux::Effect;

/// A choice that waits is looked at again after this share of the time that it has waited, at the earliest.
const LOOK_SHARE: u64 = 32;

impl Set {
    /// Chooses a leg for DATA, or says when to look again: [`NEVER`] if only a report or change can help.
    #[inline(always)]
    pub(super) fn choice(&self, sent: u64) -> Result<Chosen, Nanos> {
        if self.bare || self.rare || sent >= self.catch_up_at {
            self.choose_by_rare_rules(sent)
        } else if self.policy.algorithm.remembers() {
            self.choose_by_memory(sent)
        } else {
            self.choose_by_round_trip().map(any_run).ok_or(NEVER)
        }
    }

    #[inline(always)]
    fn choose_by_round_trip(&self) -> Option<usize> {
        match self.legs.pair() {
            Some([first, second]) if self.policy.algorithm.stays_while_ready() => {
                choose_of_two(self.policy.algorithm, [&first.path, &second.path])
            }
            _ => self.choose_of_more(),
        }
    }

    #[inline(never)]
    fn choose_of_more(&self) -> Option<usize> {
        choose(self.policy.algorithm, self.paths())
    }

    /// Chooses by the rules that rarely apply: stay on the leg of a SWITCH that has no message yet, send on a leg far
    /// behind, on the leg that the host has named, save the peer's memory, leave a leg only after a run.
    #[inline(never)]
    fn choose_by_rare_rules(&self, sent: u64) -> Result<Chosen, Nanos> {
        let current = self.sending().and_then(|index| Some((index, &self.legs.get(index)?.path)));
        let stay = |run| {
            let current = current.filter(|(_, path)| path.ready());
            current.map(|(leg, _)| Chosen { leg, run, lends: false }).ok_or(NEVER)
        };
        if self.bare {
            return stay(1);
        }
        let reachable = |index: usize| {
            self.legs.get(index).is_some_and(|leg| sent.saturating_sub(leg.sent) <= limits::SWITCH_DELTA_MAX)
        };
        let paths = self.paths().filter(|&(index, _)| reachable(index));
        if sent >= self.catch_up_at {
            let behind = paths.clone().find(|&(index, path)| path.ready() && self.is_far_behind(index, sent));
            if let Some((index, _)) = behind {
                return Ok(any_run(index));
            }
        }
        if let Some(choice) = self.choose_named(sent) {
            return choice;
        }
        let choice = match self.policy.algorithm {
            algorithm if !algorithm.remembers() => choose(algorithm, paths).map(any_run).ok_or(NEVER),
            _ if self.paths().all(|(index, _)| reachable(index)) => self.choose_by_memory(sent),
            // A SWITCH cannot reach every leg: too rare for code of its own in each algorithm.
            _ => choose(Algorithm::LowRtt, paths).map(any_run).ok_or(NEVER),
        };
        let Some((_, path)) = current.filter(|&(index, _)| choice.map(|chosen| chosen.leg) != Ok(index)) else {
            return choice;
        };
        if self.policy.saves_memory && self.since_switch < path.cwnd {
            return stay(1);
        }
        match u64::from(self.policy.run_min).saturating_sub(self.since_switch) {
            0 => choice,
            rest => stay(rest).or(choice),
        }
    }

    /// Chooses by what is remembered.
    #[inline(never)]
    fn choose_by_memory(&self, sent: u64) -> Result<Chosen, Nanos> {
        if self.settled > 0 {
            // By whichever way a message comes, the choice is kept for its run.
            let (run, lends) = (self.settled, self.learnt.as_ref().is_some_and(|learnt| learnt.flow.lends));
            return self.sending().map(|leg| Chosen { leg, run, lends }).ok_or(NEVER);
        }
        // Where no leg has room, no algorithm finds any.
        if !self.legs.iter().any(|leg| leg.path.ready()) {
            return Err(NEVER);
        }
        let flow = &self.learnt.as_ref().ok_or(NEVER)?.flow;
        choice::choose_by_memory(self.policy.algorithm, self.now, flow, self.sending(), sent, self.measured_legs())
            .or_else(|at| self.choose_after_silence().ok_or(at))
    }

    /// Whatever an algorithm waits for, it has not come for too long: any leg that has room will do.
    #[cold]
    #[inline(never)]
    fn choose_after_silence(&self) -> Option<Chosen> {
        if self.silence() < limits::CHOICE_WAIT {
            return None;
        }
        choose(Algorithm::LowRtt, self.paths()).map(any_run)
    }

    /// How long the host waits, or else the messages that padding held back.
    fn silence(&self) -> Nanos {
        let since = if self.waiting == 0 { self.last_active } else { self.told_tally().waits_since };
        self.now.saturating_sub(since)
    }

    /// When the choice has to be made again although no report has come: a message waits, or the host does, for a leg
    /// that is full, and another leg has room. [`NEVER`] if that is not so.
    pub fn choose_again_at(&self) -> Nanos {
        if !self.may_choose_again() || !self.usable || !self.legs.iter().any(|leg| leg.path.ready()) {
            return NEVER;
        }
        // By the same rules as a plan: were it refused for another reason, this would be looked at without end.
        let sent = self.sent_last();
        match self.choice(sent) {
            Ok(_) => self.now,
            // The longer it waits, the rarer the looks: peers may be silent for ever.
            Err(at) => at.max(self.now.saturating_add(self.silence() / LOOK_SHARE)),
        }
    }

    /// True when something waits to be sent, and time may bring another choice. Rarely so, and cheap to ask.
    #[inline(always)]
    pub fn may_choose_again(&self) -> bool {
        self.policy.algorithm.measures() && (self.waiting != 0 || self.is_holding())
    }

    /// The time has come at which a choice is made again.
    pub fn choose_again(&mut self, now: Nanos, effects: &mut Vec<Effect>) {
        self.now = now;
        self.check_resume(effects);
    }

    /// The time of the call that runs, for what depends on it. While the host waits, only a report or the choice's own
    /// timer moves it: they say MAY_SEND, and nothing would say it for a choice that has changed in between.
    #[inline]
    pub fn observe(&mut self, now: Nanos) {
        if self.waiting == 0 {
            self.now = now;
        }
    }

    fn is_far_behind(&self, index: usize, sent: u64) -> bool {
        self.legs.get(index).is_some_and(|leg| sent - leg.sent.min(sent) >= limits::CATCH_UP_AT)
    }
}

/// A leg that was not chosen for a number of messages.
fn any_run(leg: usize) -> Chosen {
    Chosen { leg, run: u64::MAX, lends: false }
}
