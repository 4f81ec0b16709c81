//! What a set has done in its life, as far as its numbers do not tell: for the totals of its engine.

use super::Set;
use crate::base::time::NEVER;
use crate::base::Nanos;

/// Sums that change on rare ways only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// The highest number sent on a leg that has gone.
    pub sent_before: u64,
    /// What the host's own numbers have added to those sent and delivered; wraps around when they took away.
    pub sent_outside: u64,
    pub delivered_outside: u64,
    /// The most messages held in an earlier run.
    pub held_peak: u64,
    /// When the run of held messages under way began; [`NEVER`] when none is held.
    run_since: Nanos,
    /// Refusals of earlier waits.
    refusals: u64,
    /// How long the host has waited, and since when it waits; [`NEVER`] when it does not.
    waited: Nanos,
    pub(super) waits_since: Nanos,
}

impl Tally {
    pub const NEW: Tally = Tally {
        sent_before: 0,
        sent_outside: 0,
        delivered_outside: 0,
        held_peak: 0,
        run_since: NEVER,
        refusals: 0,
        waited: 0,
        waits_since: NEVER,
    };
}

/// A run of holding, from the first message that was held until none was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldRun {
    /// The most messages held at once.
    pub depth: u64,
    /// How long it lasted.
    pub age: Nanos,
}

/// What a set has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetSums {
    /// Messages sent.
    pub sent: u64,
    /// Messages delivered as they came.
    pub in_order: u64,
    /// Messages that were held for order.
    pub held: u64,
    /// Those of them whose turn came.
    pub released: u64,
    /// SWITCHes sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
    /// Messages of the host that were refused.
    pub refusals: u64,
    /// How long the host was told to wait.
    pub waited: Nanos,
}

impl Set {
    /// The sums, to change them.
    pub(super) fn tally(&mut self) -> &mut Tally {
        self.tally.get_or_insert_with(|| Box::new(Tally::NEW))
    }

    /// The sums so far.
    pub(super) fn told_tally(&self) -> &Tally {
        self.tally.as_deref().unwrap_or(&Tally::NEW)
    }

    /// What the set has done so far.
    pub fn sums(&self, now: Nanos) -> SetSums {
        let tally = self.told_tally();
        let sent = self.highest_sent().max(tally.sent_before).wrapping_sub(tally.sent_outside);
        let released = self.kept - self.held;
        SetSums {
            sent,
            in_order: self.delivered.wrapping_sub(tally.delivered_outside).wrapping_sub(released),
            held: self.kept,
            released,
            switches_sent: self.switches_sent,
            switches_received: self.switches_received,
            refusals: tally.refusals + self.waiting,
            waited: tally.waited + now.saturating_sub(tally.waits_since),
        }
    }

    /// The most messages ever held for order.
    pub(super) fn held_peak(&self) -> u64 {
        self.told_tally().held_peak.max(self.run_peak)
    }

    /// Notes that a first message is held. Answers the run before it, if nobody has seen its end.
    pub fn begin_run(&mut self, now: Nanos) -> Option<HeldRun> {
        let before = self.end_run(now);
        self.run_peak = self.held;
        self.tally().run_since = now;
        before
    }

    /// Ends the run of held messages, as none is held any more or the set ends.
    pub fn end_run(&mut self, now: Nanos) -> Option<HeldRun> {
        let peak = self.held_peak();
        if peak == 0 {
            return None;
        }
        let tally = self.tally();
        let since = std::mem::replace(&mut tally.run_since, NEVER);
        tally.held_peak = peak;
        let depth = std::mem::take(&mut self.run_peak);
        (since != NEVER).then(|| HeldRun { depth, age: now.saturating_sub(since) })
    }

    /// Notes since when the host waits, if it does and this was not noted yet.
    pub fn begin_wait(&mut self, now: Nanos) {
        if self.waiting != 0 {
            let tally = self.tally();
            tally.waits_since = tally.waits_since.min(now);
        }
    }

    /// Notes that the host is told that it may send.
    pub fn end_wait(&mut self, now: Nanos) {
        let Some(tally) = &mut self.tally else { return };
        tally.waited += now.saturating_sub(tally.waits_since);
        tally.waits_since = NEVER;
    }

    /// The wait of the host is over.
    pub(super) fn forget_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting != 0 {
            self.tally().refusals += waiting;
        }
    }
}
