//! What a set remembers of its choices.

use super::{LegIx, Set};
use crate::conflux::choice::on_time::Course;
use crate::conflux::choice::{blest, Algorithm};

impl Set {
    /// From now on it counts what legs are seen to do. What was seen before is old: nobody has kept it up.
    pub(super) fn begin_to_measure(&mut self) {
        for meter in &mut self.meters {
            *meter = meter.anew();
        }
        let (sent, memo) = (self.highest_sent(), self.flow.memo);
        self.flow = Course { since: self.now, chosen_at: sent, began_at: sent, memo, ..Course::default() };
    }

    /// Notes what was chosen, for the next choice.
    #[inline(never)]
    pub(super) fn note_choice(&mut self, ix: LegIx, sent: u64, run: u64, lends: bool) {
        let index = usize::from(ix);
        let now = self.now;
        match (self.legs.get(index), self.meters.get_mut(index)) {
            (Some(leg), Some(meter)) if meter.is_busy(now, leg.path.inflight) => meter.goes_on(now, leg.path.inflight),
            _ => self.note_start(index, sent),
        }
        if self.flow.lends {
            self.flow.lent += sent.saturating_sub(self.flow.chosen_at);
        }
        (self.flow.chosen_at, self.flow.lends) = (sent, lends);
        self.flow.until = sent.saturating_add(run);
        self.flow.memo.waits &= !lends;
        if self.policy.algorithm == Algorithm::Blest {
            self.flow.memo = blest::adapt(now, &self.flow.memo, self.measured_legs());
        }
    }

    /// Notes that a leg is about to send on which nothing may be on its way, and whether that is so of all legs: then
    /// the set begins to send after a rest.
    #[inline(never)]
    fn note_start(&mut self, index: usize, sent: u64) {
        let now = self.now;
        if self.measured_legs().all(|(_, path, meter, acked)| meter.rests(now, path.inflight, acked)) {
            let memo = self.flow.memo;
            self.flow = Course { since: now, chosen_at: sent, began_at: sent, memo, ..Course::default() };
        }
        if let (Some(leg), Some(meter)) = (self.legs.get(index), self.meters.get_mut(index)) {
            meter.begins(now, leg.path.inflight, leg.sendme_inc.into());
        }
    }
}
