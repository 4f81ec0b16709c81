//! What a set remembers of its choices.

use super::{LegIx, Set};
use crate::conflux::choice::on_time::Course;
use crate::conflux::choice::random::DrawKey;
use crate::conflux::choice::{blest, Algorithm, Memo, Path};
use crate::conflux::meter::Meter;
use crate::conflux::Role;

/// What an algorithm that [remembers](Algorithm::remembers) reads.
#[derive(Debug)]
pub(super) struct Learnt {
    /// What is remembered from choice to choice.
    pub flow: Course,
    /// What is known of each leg, one for each place.
    pub meters: Vec<Meter>,
}

impl Set {
    /// Keeps what the algorithm reads once there is a leg, and nothing for one that reads nothing. Before it, legs were
    /// `measured` or not.
    pub(super) fn learn(&mut self, measured: bool) {
        let begins = self.policy.algorithm.measures() && !measured;
        match &self.learnt {
            Some(_) if begins => self.begin_to_measure(),
            None if self.policy.algorithm.remembers() && self.any_leg().is_some() => self.begin_to_measure(),
            // What the host has said to wait may be of use to the next algorithm.
            Some(learnt) if !self.policy.algorithm.remembers() && learnt.flow.memo.queue_end == 0 => self.learnt = None,
            _ => {}
        }
    }

    /// From now on it counts what legs are seen to do. What was seen before is old: nobody has kept it up.
    pub(super) fn begin_to_measure(&mut self) {
        let key = || DrawKey::of(self.terms.nonce.as_bytes(), u8::from(self.role == Role::Client));
        let fresh = || Memo { key: key(), ..Memo::default() };
        let memo = self.learnt.as_ref().map_or_else(fresh, |learnt| learnt.flow.memo);
        let sent = self.highest_sent();
        let flow = Course { since: self.now, chosen_at: sent, began_at: sent, memo, ..Course::default() };
        let meters = self.legs.iter().map(|leg| Meter::of(leg.path.rtt)).collect();
        self.learnt = Some(Box::new(Learnt { flow, meters }));
    }

    /// Notes what was chosen, for the next choice.
    #[inline(never)]
    pub(super) fn note_choice(&mut self, ix: LegIx, sent: u64, run: u64, lends: bool) {
        let (index, now) = (usize::from(ix), self.now);
        let leg = self.legs.get(index);
        let meter = self.learnt.as_mut().and_then(|learnt| learnt.meters.get_mut(index));
        match (leg, meter) {
            (Some(leg), Some(meter)) if meter.is_busy(now, leg.path.inflight) => meter.goes_on(now, leg.path.inflight),
            _ => self.note_start(index, sent),
        }
        let Some(flow) = self.flow_mut() else { return };
        if flow.lends {
            flow.lent += sent.saturating_sub(flow.chosen_at);
        }
        (flow.chosen_at, flow.lends) = (sent, lends);
        flow.until = sent.saturating_add(run);
        flow.memo.waits &= !lends;
        if self.policy.algorithm == Algorithm::Blest {
            self.note_blest();
        }
    }

    /// BLEST adapts what it remembers.
    fn note_blest(&mut self) {
        let Some(memo) = self.flow_mut().map(|flow| flow.memo) else { return };
        let memo = blest::adapt(self.now, &memo, self.measured_legs());
        self.flow_mut().into_iter().for_each(|flow| flow.memo = memo);
    }

    /// Notes that a leg is about to send on which nothing may be on its way, and whether that is so of all legs: then
    /// the set begins to send after a rest.
    #[inline(never)]
    fn note_start(&mut self, index: usize, sent: u64) {
        let now = self.now;
        let all_rest = self.measured_legs().all(|(_, path, meter, acked)| meter.rests(now, path.inflight, acked));
        let Some(Learnt { flow, meters }) = self.learnt.as_deref_mut() else { return };
        if all_rest {
            *flow = Course { since: now, chosen_at: sent, began_at: sent, memo: flow.memo, ..Course::default() };
        }
        if let (Some(leg), Some(meter)) = (self.legs.get(index), meters.get_mut(index)) {
            meter.begins(now, leg.path.inflight, leg.sendme_inc.into());
        }
    }

    /// What is remembered from choice to choice, if anything is.
    #[inline]
    pub(super) fn flow_mut(&mut self) -> Option<&mut Course> {
        self.learnt.as_mut().map(|learnt| &mut learnt.flow)
    }

    /// Notes that another leg begins to send after the message of this number.
    #[inline]
    pub(super) fn note_began(&mut self, sent: u64) {
        if let Some(flow) = self.flow_mut() {
            flow.began_at = sent;
        }
    }

    /// The meter of a leg, if meters are kept.
    #[inline]
    pub(super) fn meter_mut(&mut self, ix: LegIx) -> Option<&mut Meter> {
        self.learnt.as_mut()?.meters.get_mut(usize::from(ix))
    }

    /// Another leg has a place now, of which nothing is known.
    pub(super) fn learn_of_leg(&mut self, ix: LegIx) {
        let places = self.legs.len();
        match &mut self.learnt {
            Some(learnt) => {
                learnt.meters.resize(places, Meter::default());
                learnt.meters[usize::from(ix)] = Meter::default();
            }
            None => self.learn(true),
        }
    }

    /// The legs as an algorithm that measures sees them.
    pub(super) fn measured_legs(&self) -> impl Iterator<Item = (usize, &Path, &Meter, u64)> + Clone {
        let meters = self.learnt.as_ref().map_or(&[][..], |learnt| &learnt.meters);
        let legs = self.legs.iter().zip(meters).enumerate();
        legs.map(|(index, (leg, meter))| (index, &leg.path, meter, u64::from(leg.sendme_inc)))
    }
}
