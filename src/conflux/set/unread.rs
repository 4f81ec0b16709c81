//! Messages of legs on other engines that are next in order: they go to the host straight from the link.

use super::{InTurn, LegIx, Set};
use crate::base::Nanos;

impl Set {
    /// True when the next message on this leg is the next of the set, and no other leg has brought its number.
    #[inline(always)]
    pub fn comes_next(&self, ix: LegIx) -> bool {
        let next = |received| received == self.delivered && self.before_held != received;
        self.legs.get(usize::from(ix)).is_some_and(|leg| leg.state.is_linked() && next(leg.received))
    }

    /// Counts the message on this leg that [comes next](Set::comes_next), and returns its number. Its successor may be
    /// held already.
    #[inline(always)]
    pub fn arrive_next(&mut self, ix: LegIx, now: Nanos) -> u64 {
        debug_assert!(self.comes_next(ix));
        self.arrive_in_turn(InTurn { ix, number: self.delivered + 1 }, now)
    }

    /// True when no READY mark is in the instruction queue. The caller puts it there.
    pub fn claim_mark(&mut self) -> bool {
        !std::mem::replace(&mut self.ready_marked, true)
    }
}
