//! Limits on padding: a number of free cells, then a percentage of all cells sent; and whether all machines, only
//! marked ones, or none may run. There are limits for one engine, and for all engines of a process.

use crate::base::limits;
use crate::base::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::base::sync::Arc;

/// Limits on padding. The default allows everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowance {
    /// Padding cells that may be sent before the percentage counts.
    pub cells: u32,
    /// Of a hundred cells sent, how many may be padding; 0 for no limit.
    pub percent: u8,
    /// True when no machine may run.
    pub disabled: bool,
    /// True when only machines marked for reduced padding may run.
    pub reduced: bool,
}

impl Allowance {
    /// An allowance, or `None` when `percent` is above [`limits::PADDING_PERCENT_MAX`].
    pub fn new(cells: u32, percent: u32, disabled: bool, reduced: bool) -> Option<Allowance> {
        let percent = u8::try_from(percent).ok().filter(|&percent| percent <= limits::PADDING_PERCENT_MAX)?;
        Some(Allowance { cells, percent, disabled, reduced })
    }

    /// Whether one more padding cell may follow after so many padding cells and others.
    fn permits(self, padding: u64, other: u64) -> bool {
        let (sent, all) = (u128::from(padding), u128::from(padding) + u128::from(other));
        self.percent == 0 || padding < self.cells.into() || sent * 100 <= all * u128::from(self.percent)
    }

    fn lets_run(self, marked: bool) -> bool {
        !self.disabled && (marked || !self.reduced)
    }

    /// Packs all fields into one number, so that they are replaced together.
    fn pack(self) -> u64 {
        let flags = u64::from(self.disabled) | u64::from(self.reduced) << 1;
        u64::from(self.cells) << 32 | u64::from(self.percent) << 8 | flags
    }

    fn unpack(word: u64) -> Allowance {
        Allowance {
            cells: (word >> 32) as u32,
            percent: (word >> 8) as u8,
            disabled: word & 1 != 0,
            reduced: word & 2 != 0,
        }
    }
}

/// Cells sent, and padding cells refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    /// Padding cells sent.
    pub padding: u64,
    /// Other cells sent.
    pub other: u64,
    /// Padding actions that an allowance refused.
    pub refused: u64,
}

/// The limits and counts that the engines of a process share.
#[derive(Debug, Default)]
pub struct Common {
    allowance: AtomicU64,
    padding: AtomicU64,
    other: AtomicU64,
    refused: AtomicU64,
}

impl Common {
    /// Replaces the limits. True when machines may not run any more that might before.
    pub fn allow(&self, allowance: Allowance) -> bool {
        let before = Allowance::unpack(self.allowance.swap(allowance.pack(), Relaxed));
        [false, true].into_iter().any(|marked| before.lets_run(marked) && !allowance.lets_run(marked))
    }

    /// The counts, as far as the engines have reported them.
    pub fn spent(&self) -> Spent {
        Spent {
            padding: self.padding.load(Relaxed),
            other: self.other.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }

    fn allowance(&self) -> Allowance {
        Allowance::unpack(self.allowance.load(Relaxed))
    }

    fn permits(&self) -> bool {
        self.allowance().permits(self.padding.load(Relaxed), self.other.load(Relaxed))
    }

    /// Counts a padding cell, if it is allowed. Engines that ask at the same time get no more than is allowed together.
    fn spend(&self) -> bool {
        let (allowance, other) = (self.allowance(), self.other.load(Relaxed));
        let add = |padding: u64| allowance.permits(padding, other).then_some(padding + 1);
        self.padding.fetch_update(Relaxed, Relaxed, add).is_ok()
    }
}

/// The two that set limits for an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitSource {
    /// The operator, who runs the host.
    Operator,
    /// The consensus.
    Consensus,
}

/// Whose limit stands in the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Objector {
    /// The operator, for this engine.
    Operator,
    /// The consensus.
    Consensus,
    /// The operator, for all engines of the process together.
    Process,
}

/// The limits and counts of one engine. What one of its limits forbids is forbidden.
#[derive(Debug, Default)]
pub struct Purse {
    allowances: [Allowance; 2],
    spent: Spent,
    replaced: u64,
    blocks: u64,
    common: Option<Arc<Common>>,
    /// False while everything is allowed and the engine shares no counts: then no cell needs a look at the limits.
    is_limited: bool,
    /// The part of `spent.other` that the process knows of.
    told: u64,
    /// Whether unmarked machines, and marked ones, might run when that was last asked.
    running: Option<[bool; 2]>,
}

impl Purse {
    /// Replaces the limits that `source` has set.
    pub fn allow(&mut self, source: LimitSource, allowance: Allowance) {
        self.allowances[source as usize] = allowance;
        self.is_limited = self.common.is_some() || self.allowances != [Allowance::default(); 2];
    }

    /// Makes the engine one of those that share `common`.
    pub fn join(&mut self, common: &Arc<Common>) {
        self.common = Some(Arc::clone(common));
        self.is_limited = true;
        common.padding.fetch_add(self.spent.padding, Relaxed);
        common.refused.fetch_add(self.spent.refused, Relaxed);
        self.tell();
    }

    /// Cells that this engine has sent, and padding cells refused.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Counts cells sent that are not padding.
    #[inline(always)]
    pub fn sent(&mut self, cells: u64) {
        self.spent.other += cells;
    }

    /// Reports the other cells sent since the last call to the process.
    pub fn tell(&mut self) {
        if let Some(common) = &self.common {
            common.other.fetch_add(self.spent.other - self.told, Relaxed);
            self.told = self.spent.other;
        }
    }

    /// Whether machines may run: those that are `marked` for reduced padding, or those that are not.
    pub fn lets_run(&self, marked: bool) -> bool {
        let process = self.common.as_ref().map(|common| common.allowance());
        self.allowances.into_iter().chain(process).all(|allowance| allowance.lets_run(marked))
    }

    /// Who keeps machines from running: the first whose limit does.
    pub fn who_stops(&self, marked: bool) -> Objector {
        self.objector(|allowance| !allowance.lets_run(marked))
    }

    /// Who forbids one more padding cell: the first whose limit does.
    pub fn who_refuses(&self, marked: bool) -> Objector {
        let Spent { padding, other, .. } = self.spent;
        self.objector(|allowance| !allowance.lets_run(marked) || !allowance.permits(padding, other))
    }

    fn objector(&self, objects: impl Fn(Allowance) -> bool) -> Objector {
        match self.allowances.map(objects) {
            [true, _] => Objector::Operator,
            [false, true] => Objector::Consensus,
            [false, false] => Objector::Process,
        }
    }

    /// True when machines may not run any more that might when this was last asked.
    pub fn has_stopped(&mut self) -> bool {
        let now = [false, true].map(|marked| self.lets_run(marked));
        let before = self.running.replace(now).unwrap_or([true; 2]);
        before.iter().zip(now).any(|(&before, now)| before && !now)
    }

    /// False while everything is allowed, and no other engine counts on what this one sends.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Whether a padding cell may be sent now. Counts a refusal.
    #[inline]
    pub fn permits(&mut self, marked: bool) -> bool {
        !self.is_limited || self.permits_when_limited(marked)
    }

    fn permits_when_limited(&mut self, marked: bool) -> bool {
        let may = self.own_permits(marked) && self.common.as_ref().is_none_or(|common| common.permits());
        self.answer(may)
    }

    /// Counts a padding cell if it may be sent now, else a refusal. True when it may.
    #[inline]
    pub fn spend(&mut self, marked: bool) -> bool {
        if self.is_limited {
            return self.spend_when_limited(marked);
        }
        self.spent.padding += 1;
        true
    }

    fn spend_when_limited(&mut self, marked: bool) -> bool {
        let may = self.own_permits(marked) && self.common.as_ref().is_none_or(|common| common.spend());
        self.spent.padding += u64::from(may);
        self.answer(may)
    }

    /// Counts a padding cell in whose place another cell went.
    pub fn replace(&mut self) {
        self.replaced += 1;
    }

    /// Padding cells in whose place another cell went.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Counts a circuit that is blocked from now on.
    pub fn block(&mut self) {
        self.blocks += 1;
    }

    /// How often circuits were blocked.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Counts a padding cell that was sent, whether it was allowed or not.
    pub fn spend_anyway(&mut self) {
        self.tell();
        self.spent.padding += 1;
        if let Some(common) = &self.common {
            common.padding.fetch_add(1, Relaxed);
        }
    }

    fn own_permits(&mut self, marked: bool) -> bool {
        self.tell();
        let Spent { padding, other, .. } = self.spent;
        self.lets_run(marked) && self.allowances.iter().all(|allowance| allowance.permits(padding, other))
    }

    fn answer(&mut self, may: bool) -> bool {
        if !may {
            self.spent.refused += 1;
            if let Some(common) = &self.common {
                common.refused.fetch_add(1, Relaxed);
            }
        }
        may
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(cells: u32, percent: u32) -> Allowance {
        Allowance::new(cells, percent, false, false).unwrap()
    }

    #[test]
    fn a_percentage_counts_from_the_cells_that_are_free() {
        for (cells, percent, other, sent) in [(3, 50, 0, 3), (0, 50, 4, 5), (7, 50, 4, 7), (0, 1, 99, 2), (0, 25, 9, 4)]
        {
            let mut purse = Purse::default();
            purse.allow(LimitSource::Operator, allowance(cells, percent));
            purse.sent(other);
            let count = (0..100).filter(|_| purse.spend(true)).count() as u64;
            assert_eq!(count, sent, "{cells} free, {percent} %, {other} others");
            assert_eq!(purse.spent(), Spent { padding: sent, other, refused: 100 - sent });
        }
        assert!(allowance(0, 0).permits(u64::MAX, 0) && allowance(0, 100).permits(u64::MAX, 0));
        assert!(!allowance(u32::MAX, 1).permits(u64::MAX, u64::MAX), "no product overflows");
        assert_eq!(Allowance::new(0, 101, false, false), None);
    }

    #[test]
    fn the_strictest_voice_is_heard() {
        let common = Arc::new(Common::default());
        let mut purse = Purse::default();
        purse.join(&common);
        assert!(purse.spend(false) && !purse.has_stopped());
        let off = |disabled, reduced| Allowance { disabled, reduced, ..Allowance::default() };
        purse.allow(LimitSource::Consensus, off(false, true));
        assert!(purse.has_stopped() && !purse.has_stopped());
        assert_eq!((purse.spend(false), purse.spend(true)), (false, true));
        assert!(common.allow(off(true, false)) && !common.allow(off(true, true)));
        common.allow(off(true, false));
        assert_eq!((purse.spend(false), purse.spend(true), purse.has_stopped()), (false, false, true));
        assert!(!common.allow(off(false, false)), "more is allowed");
        purse.allow(LimitSource::Consensus, off(false, false));
        purse.allow(LimitSource::Operator, off(true, true));
        assert!(!purse.lets_run(true));
        assert_eq!(common.spent(), Spent { padding: 2, other: 0, refused: 3 });
    }

    #[test]
    fn a_word_holds_it_all() {
        for word in [allowance(0, 0), allowance(u32::MAX, 100), allowance(1, 7)] {
            for (disabled, reduced) in [(false, false), (true, false), (false, true), (true, true)] {
                let word = Allowance { disabled, reduced, ..word };
                assert_eq!(Allowance::unpack(word.pack()), word);
            }
        }
    }

    #[test]
    fn engines_spend_what_the_process_has() {
        let common = Arc::new(Common::default());
        assert!(!common.allow(allowance(2, 10)), "nobody has to stop");
        let mut purses = [Purse::default(), Purse::default()];
        purses.iter_mut().for_each(|purse| purse.join(&common));
        let spend = |purses: &mut [Purse; 2]| purses.iter_mut().map(|purse| u32::from(purse.spend(true))).sum::<u32>();
        assert_eq!((spend(&mut purses), spend(&mut purses)), (2, 0));
        purses[0].sent(18);
        assert_eq!(spend(&mut purses), 1, "at the percentage, one more");
        assert_eq!(spend(&mut purses), 0);
        let [first, second] = purses;
        assert_eq!(common.spent(), Spent { padding: 3, other: 18, refused: 5 });
        let mut second = second;
        second.sent(5);
        drop((first, second));
        assert_eq!(common.spent().other, 23, "what an engine has not told, it tells when it goes");
    }
}
