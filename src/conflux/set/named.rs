//! The host's own part in the choice: the leg that it names, and what it says that waits.

use super::{LegIx, Set};
use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use crate::conflux::choice::on_time::Chosen;
use crate::conflux::choice::{self, Path};
use crate::conflux::Effect;

/// Why a leg cannot be named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It is not linked.
    NotLinked,
    /// No SWITCH can say how far it is behind.
    TooFarBehind,
}

impl Set {
    /// Names the leg on which all messages go from now on, with none gives the choice back to the algorithm. The name
    /// holds until the leg is lost.
    pub fn name_leg(&mut self, leg: Option<LegIx>, effects: &mut Vec<Effect>) -> Result<(), Unfit> {
        if let Some(ix) = leg {
            let leg = self.legs.get(ix.into()).filter(|leg| leg.path.linked).ok_or(Unfit::NotLinked)?;
            if self.sent_last().saturating_sub(leg.sent) > limits::SWITCH_DELTA_MAX {
                return Err(Unfit::TooFarBehind);
            }
        }
        if self.named != leg {
            self.named = leg;
            self.note_rare();
            self.settled = 0;
            // What waited for one leg may now go on another.
            self.check_resume(effects);
        }
        Ok(())
    }

    /// Notes whether the algorithm chooses alone.
    pub(super) fn note_rare(&mut self) {
        self.rare = self.named.is_some() || self.policy.keeps_leg();
    }

    /// Id of the leg that the host has named, if its name counts.
    pub fn named_leg(&self) -> Id {
        self.named_after(self.sent_last()).map_or(Id::NONE, |index| self.legs[index].key)
    }

    /// Number of the last message sent.
    #[inline(always)]
    pub(super) fn sent_last(&self) -> u64 {
        self.legs.get(self.sender.into()).map_or(0, |leg| leg.sent)
    }

    /// The leg that the host has named, after so many messages. A leg that no SWITCH reaches any more does not count:
    /// what waits for it would wait for ever.
    #[inline]
    pub(super) fn named_after(&self, sent: u64) -> Option<usize> {
        let index = self.named?.into();
        let leg = self.legs.get(index).filter(|leg| leg.path.linked)?;
        (sent.saturating_sub(leg.sent) <= limits::SWITCH_DELTA_MAX).then_some(index)
    }

    /// The choice of a host that has named a leg; none without one. No algorithm is asked, so no time helps a message
    /// that waits: only a report or a change does.
    #[inline]
    pub(super) fn choose_named(&self, sent: u64) -> Option<Result<Chosen, Nanos>> {
        let leg = self.named_after(sent)?;
        let is_ready = self.legs.get(leg).is_some_and(|leg| leg.path.ready());
        Some(if is_ready { Ok(Chosen { leg, run: u64::MAX, lends: false }) } else { Err(NEVER) })
    }

    /// Returns a leg for a message that does not wait for room: the leg that the host has named; or else the sending
    /// leg, or the fastest if padding blocks the sending leg. After a SWITCH without a message only the sending leg
    /// will do.
    pub(super) fn leg_without_wait(&self) -> Option<usize> {
        // A leg whose messages the host keeps is open: the message goes into the host's queue.
        let is_open = |path: &Path| !(path.padded && path.holds);
        let open = |index: &usize| self.legs.get(*index).is_some_and(|leg| is_open(&leg.path));
        let sending = self.sending().filter(open);
        if self.bare {
            return sending;
        }
        let named = self.named_after(self.sent_last());
        if named.is_some() {
            return named.filter(open);
        }
        let fastest = || choice::fastest(self.paths().filter(|(_, path)| path.linked && is_open(path)));
        sending.or_else(|| fastest().map(|(index, _)| index))
    }

    /// So many messages of DATA are known to wait with the host; 0 when that is not known. True if this is news.
    pub fn foresee(&mut self, messages: u64, effects: &mut Vec<Effect>) -> bool {
        let end = match messages {
            0 => 0,
            _ => self.held_end().saturating_add(messages),
        };
        if self.learnt.is_none() && end != 0 {
            self.begin_to_measure();
        }
        let Some(flow) = self.flow_mut() else { return false };
        if std::mem::replace(&mut flow.memo.queue_end, end) == end {
            return false;
        }
        if self.policy.algorithm.remembers() {
            self.settled = 0;
            // The more waits, the less an algorithm waits for a better leg.
            self.check_resume(effects);
        }
        true
    }

    /// A message is held here: it is known to wait, with those before it.
    pub(super) fn expect_held(&mut self) {
        let end = self.held_end();
        if let Some(flow) = self.flow_mut() {
            flow.memo.queue_end = flow.memo.queue_end.max(end);
        }
    }

    /// The host has more to send than is held here. Nobody knows how much, unless the host has said so.
    pub(super) fn expect_more(&mut self) {
        let end = self.held_end();
        if let Some(flow) = self.flow_mut().filter(|flow| flow.memo.queue_end <= end) {
            flow.memo.queue_end = 0;
        }
    }

    /// The number that the last message held here will have.
    fn held_end(&self) -> u64 {
        self.highest_sent().saturating_add(self.held_sends())
    }
}
