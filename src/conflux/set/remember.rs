//! What a set remembers of its choices.

use super::send::Plan;
use super::Set;
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
    pub(super) fn note_choice(&mut self, plan: &Plan) {
        let (index, sent) = (usize::from(plan.ix), plan.number - 1);
        let now = self.now;
        if self.measured_legs().all(|(_, path, meter, acked)| meter.rests(now, path.inflight, acked)) {
            let memo = self.flow.memo;
            self.flow = Course { since: now, chosen_at: sent, began_at: sent, memo, ..Course::default() };
        }
        if self.flow.lends {
            self.flow.lent += sent.saturating_sub(self.flow.chosen_at);
        }
        (self.flow.chosen_at, self.flow.lends) = (sent, plan.lends);
        self.flow.until = sent.saturating_add(plan.run);
        if let (Some(leg), Some(meter)) = (self.legs.get(index), self.meters.get_mut(index)) {
            meter.begins(now, leg.path.inflight, leg.sendme_inc.into());
        }
        self.flow.memo.waits &= !plan.lends;
        if self.policy.algorithm == Algorithm::Blest {
            self.flow.memo = blest::adapt(now, &self.flow.memo, self.measured_legs());
        }
    }
}
