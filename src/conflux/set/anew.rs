//! A choice that is made anew, most often on reports of legs: the quick way, while nothing waits. It does what
//! [`Set::report`], [`Set::decide`] and [`Set::send`] do one after the other, with one look at what they all need.

use super::{LegIx, Plan, Set};
use crate::base::{Id, Nanos};
use crate::conflux::choice::choose_of_two;
use crate::conflux::leg::Report;
use crate::conflux::Effect;
use crate::wire::Command;

impl Set {
    /// Takes reports of the set's legs and decides for DATA; `COUNTS` it, and the SWITCH before it, as queued, too. The
    /// set [is calm](Set::is_calm), and the host runs all its legs. None when the long way has to be taken, with all
    /// reports: whichever of them have been taken here, to take them again changes nothing.
    #[inline(always)]
    pub fn choose_anew<const COUNTS: bool>(
        &mut self,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
        now: Nanos,
        effects: &mut Vec<Effect>,
    ) -> Option<Plan> {
        self.now = now;
        if !self.is_plain() {
            return self.choose_with_care::<COUNTS>(news, now, effects);
        }
        for (id, report) in news {
            self.legs.of_mut(id)?.report(&report.into());
            self.settled = 0;
        }
        let plan = self.plan_of_two()?;
        if COUNTS {
            self.commit(&plan, Command::DATA, now);
            self.settle_plainly(&plan, plan.number);
        } else if self.sender == plan.ix {
            self.settle_plainly(&plan, plan.number - 1);
        }
        Some(plan)
    }

    /// The same for sets that have more to look at.
    #[inline(never)]
    fn choose_with_care<const COUNTS: bool>(
        &mut self,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
        now: Nanos,
        effects: &mut Vec<Effect>,
    ) -> Option<Plan> {
        let mut heard = 0;
        for (id, report) in news {
            let index = self.legs.iter().position(|leg| leg.is_live() && leg.key == id)?;
            // Of two reports of one leg, the first would be measured twice.
            if heard & (1_u32 << index) != 0 {
                return None;
            }
            heard |= 1 << index;
            self.take_report(index as LegIx, &report.into(), now);
        }
        let plan = self.plan(Command::DATA).ok()?;
        self.settle_on(&plan, Command::DATA);
        if COUNTS {
            self.send_planned(&plan, Command::DATA, now, effects);
        }
        Some(plan)
    }

    /// True when only the round trips of two legs, and their room, decide about DATA.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.usable && !self.rare && !self.bare && self.policy.algorithm.stays_while_ready()
    }

    /// [`Set::plan`] for DATA of a set that [is plain](Set::is_plain); none also where it has another answer.
    #[inline(always)]
    fn plan_of_two(&self) -> Option<Plan> {
        let pair = self.legs.pair()?;
        let sent = pair.get(usize::from(self.sender)).map_or(0, |leg| leg.sent);
        // A leg that is so far behind has a rule of its own.
        if sent >= self.catch_up_at {
            return None;
        }
        let index = choose_of_two(self.policy.algorithm, [&pair[0].path, &pair[1].path])?;
        let leg = &pair[index];
        debug_assert!(sent - leg.sent <= u64::from(u32::MAX), "it is not far behind");
        let delta = (sent - leg.sent) as u32;
        let (ix, run) = (index as LegIx, u64::MAX);
        Some(Plan { ix, leg: leg.key, tag: leg.tag, delta, number: sent + 1, run, lends: false })
    }

    /// Keeps the leg of a plan, which has sent up to a number, until it is full.
    #[inline(always)]
    fn settle_plainly(&mut self, plan: &Plan, sent: u64) {
        if let Some(leg) = self.legs.get(plan.ix.into()) {
            self.settled = leg.path.cwnd.saturating_sub(leg.path.inflight).min(self.catch_up_at - sent);
        }
    }

    /// The quick way of [`Set::peek`].
    #[inline(always)]
    pub fn peek_quick(&self) -> Option<Plan> {
        if self.outbox.len > 0 || !self.is_plain() {
            return None;
        }
        self.plan_of_two()
    }
}
