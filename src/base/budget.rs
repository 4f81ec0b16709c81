//! What an engine holds, and what it may (B3). All engines of a process share one cap: each reserves its part of that
//! in blocks, so that holding one more message costs an engine a comparison, and other threads nothing.
//!
//! What is true after every call: the process's figure is the sum of what its engines have reserved; what an engine
//! holds <= what it has reserved <= what it holds and one block; and both are equal at rest, which is when its host has
//! drained all instructions, ticked or trimmed. A message that crosses to another engine takes its part along: whoever
//! takes it in adopts it, and tells the one who sent it, both without a word to the process.

use super::limits::{HELD_BLOCK, HELD_BLOCK_SHARE, RETURNING_SHARE};
use super::sync::atomic::{AtomicU64, Ordering::*};
use super::sync::Arc;

/// What all engines of a process have reserved, and may.
#[derive(Debug)]
pub struct Process {
    reserved: AtomicU64,
    peak: AtomicU64,
    /// What engines have been told to close: it counts as coming back, within bounds.
    returning: AtomicU64,
    cap: u64,
}

/// A cap has been reached, on this level. Nothing was charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// The engine's own.
    Engine,
    /// That of all engines together.
    Process,
}

/// What came back of what an engine has sent to others: whoever took it tells it here.
#[derive(Debug, Default)]
pub struct Returns {
    taken: AtomicU64,
    process: Option<Arc<Process>>,
}

/// What one engine holds.
#[derive(Debug)]
pub struct Budget {
    used: u64,
    /// As far as nothing has to be asked.
    limit: u64,
    /// Down to here nothing has to be given back.
    floor: u64,
    cap: u64,
    /// The cap, less what leaves and has no room of its own.
    ceiling: u64,
    peak: u64,
    /// What nobody holds any more and waits to be handed back to the host. Not part of `used`.
    leaving: u64,
    /// Of `used`, what is on its way to other engines, or waits for room there.
    crossing: u64,
    member: Option<Member>,
}

#[derive(Debug)]
struct Member {
    process: Arc<Process>,
    returns: Arc<Returns>,
    reserved: u64,
    block: u64,
}

impl Member {
    /// As far as nothing has to be asked, and down to where nothing has to be given back.
    #[inline]
    fn bounds(&self, ceiling: u64) -> (u64, u64) {
        (ceiling.min(self.reserved), self.reserved.saturating_sub(self.block))
    }
}

impl Process {
    /// Nothing is reserved yet.
    pub fn new(cap: u64) -> Self {
        Process { reserved: AtomicU64::new(0), peak: AtomicU64::new(0), returning: AtomicU64::new(0), cap }
    }

    /// Bytes that engines have reserved.
    pub fn reserved(&self) -> u64 {
        self.reserved.load(Relaxed)
    }

    /// The most they ever had.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// Bytes that may be reserved.
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// So much is to come back soon, as an engine was told to close who holds it. False when so much is outstanding
    /// already that it would not count.
    pub fn awaits(&self, bytes: u64) -> bool {
        let most = self.cap / RETURNING_SHARE;
        let add = |returning: u64| (returning < most).then(|| returning.saturating_add(bytes));
        self.returning.fetch_update(Relaxed, Relaxed, add).is_ok()
    }

    /// What is to come back.
    #[allow(dead_code, reason = "tests look")]
    pub fn returning(&self) -> u64 {
        self.returning.load(Relaxed)
    }

    /// It has come back, or will not.
    pub fn awaits_no_more(&self, bytes: u64) {
        let _ = self.returning.fetch_update(Relaxed, Relaxed, |returning| Some(returning.saturating_sub(bytes)));
    }

    /// Reserves `least` bytes at least, and up to `most` where they are there.
    fn reserve(&self, least: u64, most: u64) -> Option<u64> {
        let returning = self.returning.load(Relaxed).min(self.cap / RETURNING_SHARE);
        let grant = |reserved: u64| {
            let room = self.cap.saturating_sub(reserved);
            if least <= room {
                return Some(most.min(room));
            }
            // Above the cap, but for what is to come back: no more than has to be held now.
            (least <= self.cap.saturating_add(returning).saturating_sub(reserved)).then_some(least)
        };
        let add = |reserved: u64| grant(reserved).map(|granted| reserved + granted);
        let before = self.reserved.fetch_update(Relaxed, Relaxed, add).ok()?;
        let granted = grant(before)?;
        if before + granted > self.peak.load(Relaxed) {
            self.peak.fetch_max(before + granted, Relaxed);
        }
        Some(granted)
    }

    fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            let before = self.reserved.fetch_sub(bytes, Relaxed);
            debug_assert!(before >= bytes, "more comes back than was reserved");
        }
    }

    /// What an engine reserves at a time: little of a small cap, so that many engines can share it.
    fn block(&self) -> u64 {
        HELD_BLOCK.min(self.cap / HELD_BLOCK_SHARE)
    }
}

impl Returns {
    /// For an engine that shares a cap with others.
    pub fn new(process: &Arc<Process>) -> Self {
        Returns { taken: AtomicU64::new(0), process: Some(Arc::clone(process)) }
    }

    /// Another engine has taken it, and has adopted it, or is about to.
    pub fn taken(&self, bytes: u64) {
        if bytes > 0 {
            self.taken.fetch_add(bytes, Relaxed);
        }
    }

    /// What was told, and the engine has not looked at yet.
    pub fn look(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Nobody took it, and it is gone.
    pub fn lost(&self, bytes: u64) {
        self.taken(bytes);
        self.process.iter().for_each(|process| process.give_back(bytes));
    }
}

impl Budget {
    /// Nothing is held; as much as `cap` may be.
    pub fn new(cap: u64) -> Self {
        Budget { used: 0, limit: cap, floor: 0, cap, ceiling: cap, peak: 0, leaving: 0, crossing: 0, member: None }
    }

    /// From now on it counts in a process's budget. What comes back of what was sent to others is told there.
    pub fn join(&mut self, process: &Arc<Process>, returns: &Arc<Returns>) {
        debug_assert!(self.used == 0, "before anything is held");
        let (process, returns) = (Arc::clone(process), Arc::clone(returns));
        self.member = Some(Member { block: process.block(), process, returns, reserved: 0 });
        self.refresh();
    }

    /// Bytes held.
    pub fn used(&self) -> u64 {
        self.used.saturating_sub(self.pending())
    }

    /// What has come back from other engines, and was not looked at yet.
    fn pending(&self) -> u64 {
        self.member.as_ref().map_or(0, |member| member.returns.look())
    }

    /// The most ever held.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// What may be held.
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// What has been reserved for it: all it may hold, where no other engine shares the cap.
    pub fn reserved(&self) -> u64 {
        self.member.as_ref().map_or(self.used, |member| member.reserved.saturating_sub(member.returns.look()))
    }

    /// What waits to be handed back to the host.
    pub fn leaving(&self) -> u64 {
        self.leaving
    }

    /// What is on its way to other engines, or waits for room there.
    pub fn crossing(&self) -> u64 {
        self.crossing.saturating_sub(self.pending())
    }

    /// True when so much more can be held, and nothing has to be asked.
    #[inline(always)]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used.checked_add(bytes).is_some_and(|used| used <= self.limit)
    }

    /// True when so much could be held if nothing else were.
    pub fn could_hold(&self, bytes: u64) -> bool {
        let shared = self.member.as_ref().map_or(u64::MAX, |member| member.process.cap);
        bytes <= self.cap.min(shared)
    }

    /// Sees to it that so much more can be held.
    #[cold]
    pub fn ask(&mut self, bytes: u64) -> Result<(), Over> {
        self.settle();
        let wanted = self.used.checked_add(bytes).filter(|&sum| sum <= self.cap.saturating_sub(self.overhang()));
        let Some(wanted) = wanted else { return Err(Over::Engine) };
        if let Some(member) = self.member.as_mut().filter(|member| member.reserved < wanted) {
            let least = wanted - member.reserved;
            // Not more than a block above what is held then.
            let Some(got) = member.process.reserve(least, least + member.block / 2) else { return Err(Over::Process) };
            member.reserved += got;
        }
        self.refresh();
        debug_assert!(self.has_room(bytes));
        Ok(())
    }

    /// So much more is held. There is room: it was asked for.
    #[inline(always)]
    pub fn hold(&mut self, bytes: u64) {
        debug_assert!(self.has_room(bytes), "not above the cap");
        self.used += bytes;
        if self.used > self.peak {
            self.peak = self.used;
        }
    }

    /// So much is no longer held.
    #[inline(always)]
    pub fn let_go(&mut self, bytes: u64) {
        debug_assert!(self.used >= bytes, "less than nothing is held");
        match self.used.checked_sub(bytes) {
            Some(used) if used >= self.floor => self.used = used,
            used => self.shrink_to(used.unwrap_or(0)),
        }
    }

    /// Something that took `before` bytes takes `after` now. What is more was asked for.
    pub fn weigh(&mut self, before: u64, after: u64) {
        if after > before {
            self.hold(after - before);
        } else if after < before {
            self.let_go(before - after);
        }
    }

    /// So much is no longer held by anyone, and waits to be handed back: it has room of its own, as much as the cap.
    /// What is above that counts as held, until the host takes it back.
    pub fn leaves(&mut self, bytes: u64) {
        self.leaving = self.leaving.saturating_add(bytes);
        self.let_go(bytes);
        self.refresh();
    }

    /// The same for what another engine had held.
    pub fn leaves_from_elsewhere(&mut self, bytes: u64) {
        self.leaving = self.leaving.saturating_add(bytes);
        self.refresh();
    }

    /// It has been handed back.
    #[inline]
    pub fn left(&mut self, bytes: u64) {
        let overhung = self.overhang() > 0;
        self.leaving = self.leaving.saturating_sub(bytes);
        if overhung {
            self.refresh();
        }
    }

    /// So much is held to be sent to another engine. There is room: it was asked for.
    pub fn cross(&mut self, bytes: u64) {
        self.hold(bytes);
        self.crossing += bytes;
    }

    /// What is held already is to be sent to another engine.
    pub fn crosses(&mut self, bytes: u64) {
        self.crossing += bytes;
    }

    /// It did not get there, and is ours again.
    pub fn uncross(&mut self, bytes: u64) {
        debug_assert!(self.crossing >= bytes, "more comes back than was sent");
        self.crossing = self.crossing.saturating_sub(bytes);
        self.let_go(bytes);
    }

    /// Takes over what another engine had reserved for something that it sent here.
    pub fn adopt(&mut self, bytes: u64) {
        if let Some(member) = &mut self.member {
            member.reserved += bytes;
            (self.limit, self.floor) = member.bounds(self.ceiling);
        }
    }

    /// Gives back what was adopted, and is not held after all, where it is more than a block.
    pub fn tidy(&mut self) {
        if self.used < self.floor {
            self.shrink();
        }
    }

    /// Looks at what has come back from other engines.
    #[inline]
    pub fn settle(&mut self) {
        if let Some(member) = self.member.as_ref().filter(|member| member.returns.taken.load(Relaxed) > 0) {
            let taken = member.returns.taken.swap(0, Relaxed);
            self.returned(taken);
        }
    }

    #[cold]
    fn returned(&mut self, bytes: u64) {
        debug_assert!(self.crossing >= bytes, "more was taken than was sent");
        if let Some(member) = &mut self.member {
            member.reserved = member.reserved.saturating_sub(bytes);
        }
        self.crossing = self.crossing.saturating_sub(bytes);
        self.used = self.used.saturating_sub(bytes);
        self.refresh();
    }

    /// Nothing is under way: gives back what is reserved and not used.
    #[inline]
    pub fn rest(&mut self) {
        self.settle();
        if self.member.as_ref().is_some_and(|member| member.reserved != self.used) {
            self.keep(0);
        }
    }

    #[cold]
    fn shrink_to(&mut self, used: u64) {
        self.used = used;
        self.shrink();
    }

    /// There is much more reserved than used.
    #[cold]
    fn shrink(&mut self) {
        self.keep(self.member.as_ref().map_or(0, |member| member.block / 2));
    }

    /// Gives back what is reserved and not used, but for `spare`.
    #[cold]
    fn keep(&mut self, spare: u64) {
        if let Some(member) = &mut self.member {
            let kept = member.reserved.min(self.used + spare);
            member.process.give_back(member.reserved - kept);
            member.reserved = kept;
        }
        self.refresh();
    }

    /// What leaves, and has no room of its own any more.
    fn overhang(&self) -> u64 {
        let shared = self.member.as_ref().map_or(u64::MAX, |member| member.process.cap);
        self.leaving.saturating_sub(self.cap.min(shared))
    }

    fn refresh(&mut self) {
        self.ceiling = self.cap.saturating_sub(self.overhang());
        (self.limit, self.floor) = self.member.as_ref().map_or((self.ceiling, 0), |member| member.bounds(self.ceiling));
    }
}

/// What is still on its way to others stays reserved: whoever takes it adopts it.
impl Drop for Budget {
    fn drop(&mut self) {
        self.settle();
        if let Some(member) = &self.member {
            member.process.give_back(member.reserved.saturating_sub(self.crossing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(process: u64, engine: u64) -> (Arc<Process>, [Budget; 2], [Arc<Returns>; 2]) {
        let process = Arc::new(Process::new(process));
        let returns = [0, 1].map(|_| Arc::new(Returns::new(&process)));
        let budgets = returns.each_ref().map(|returns| {
            let mut budget = Budget::new(engine);
            budget.join(&process, returns);
            budget
        });
        (process, budgets, returns)
    }

    fn hold(budget: &mut Budget, bytes: u64) -> Result<(), Over> {
        if !budget.has_room(bytes) {
            budget.ask(bytes)?;
        }
        budget.hold(bytes);
        Ok(())
    }

    fn check(process: &Process, budgets: &[Budget]) {
        assert_eq!(process.reserved(), budgets.iter().map(Budget::reserved).sum());
        for budget in budgets {
            let block = process.block();
            let (used, reserved) = (budget.used(), budget.reserved());
            assert!(used <= reserved && reserved <= used + block, "{budget:?}");
        }
    }

    #[test]
    fn each_level_has_its_cap_and_a_refusal_changes_nothing() {
        for (caps, over) in [([100, 99], Over::Engine), ([99, 100], Over::Process)] {
            let (process, mut budgets, _) = pair(caps[0], caps[1]);
            assert_eq!(hold(&mut budgets[0], 98), Ok(()), "below");
            assert_eq!(hold(&mut budgets[0], 2), Err(over), "above");
            assert_eq!(hold(&mut budgets[0], u64::MAX), Err(Over::Engine), "and no sum overflows");
            check(&process, &budgets);
            assert_eq!(hold(&mut budgets[0], 1), Ok(()), "at the cap");
            assert_eq!((process.reserved(), process.peak(), budgets[0].peak()), (99, 99, 99));
            if over == Over::Process {
                assert_eq!(hold(&mut budgets[1], 1), Err(over), "of all together");
            }
            budgets[0].let_go(99);
            budgets[0].rest();
            check(&process, &budgets);
            assert_eq!(process.reserved(), 0);
        }
        let mut alone = Budget::new(99);
        assert_eq!((hold(&mut alone, 99), hold(&mut alone, 1)), (Ok(()), Err(Over::Engine)));
        assert_eq!((alone.reserved(), hold(&mut Budget::new(0), 1)), (99, Err(Over::Engine)));
    }

    #[test]
    fn blocks_are_reserved_and_given_back_and_all_is_equal_at_rest() {
        let (process, mut budgets, _) = pair(1 << 30, 1 << 30);
        let mut changes = 0;
        for _ in 0..10_000 {
            let before = process.reserved();
            hold(&mut budgets[0], 536).unwrap();
            changes += u32::from(process.reserved() != before);
            check(&process, &budgets);
        }
        assert!(changes <= 10_000 * 536 / (HELD_BLOCK / 2) as u32 + 1, "{changes}");
        budgets[0].rest();
        assert_eq!(process.reserved(), 5_360_000);
        for _ in 0..10_000 {
            budgets[0].let_go(536);
            check(&process, &budgets);
        }
        assert!(process.reserved() <= HELD_BLOCK);
        budgets[0].rest();
        assert_eq!(process.reserved(), 0);
    }

    #[test]
    fn what_crosses_takes_its_part_along() {
        let (process, mut budgets, returns) = pair(1 << 30, 1 << 30);
        let [leg, home] = &mut budgets;
        leg.ask(1000).unwrap();
        leg.cross(1000);
        let before = process.reserved();
        returns[0].taken(600);
        home.adopt(600);
        hold(home, 600).unwrap();
        assert_eq!(process.reserved(), before, "nobody asked the process");
        leg.settle();
        assert_eq!((leg.used(), leg.crossing(), home.used()), (400, 400, 600));
        check(&process, &budgets);
        budgets[0].uncross(400);
        budgets.iter_mut().for_each(Budget::rest);
        assert_eq!(process.reserved(), 600);
    }

    #[test]
    fn an_engine_that_goes_gives_back_all_but_what_is_on_its_way() {
        let (process, budgets, returns) = pair(1 << 30, 1 << 30);
        let [mut leg, mut home] = budgets;
        hold(&mut leg, 5000).unwrap();
        leg.ask(1000).unwrap();
        leg.cross(1000);
        drop(leg);
        assert_eq!(process.reserved(), 1000);
        returns[0].taken(700);
        home.adopt(700);
        hold(&mut home, 700).unwrap();
        assert_eq!(process.reserved(), 1000);
        returns[0].lost(300);
        assert_eq!(process.reserved(), 700, "nobody took it");
        drop(home);
        assert_eq!(process.reserved(), 0);
    }

    #[test]
    fn what_leaves_has_room_of_its_own_as_large_as_the_cap() {
        let mut budget = Budget::new(100);
        for round in 0..2 {
            hold(&mut budget, 100).unwrap();
            budget.leaves(100);
            assert_eq!((budget.used(), budget.leaving()), (0, 100 + 100 * round));
        }
        assert_eq!(hold(&mut budget, 1), Err(Over::Engine), "all of the cap is overhung");
        budget.left(30);
        assert_eq!((hold(&mut budget, 30), hold(&mut budget, 1)), (Ok(()), Err(Over::Engine)));
        budget.left(170);
        assert_eq!((hold(&mut budget, 70), budget.leaving()), (Ok(()), 0));
    }

    #[test]
    fn what_is_to_come_back_makes_room_within_a_bound() {
        let (process, mut budgets, _) = pair(800, 1 << 30);
        let [hung, busy] = &mut budgets;
        hold(hung, 800).unwrap();
        assert_eq!(hold(busy, 1), Err(Over::Process));
        assert!(process.awaits(50), "below the bound");
        assert_eq!((hold(busy, 50), hold(busy, 1)), (Ok(()), Err(Over::Process)));
        assert!(process.awaits(700), "beyond it only the bound counts");
        assert_eq!((hold(busy, 50), hold(busy, 1)), (Ok(()), Err(Over::Process)));
        assert!(!process.awaits(1), "no more would count");
        assert_eq!(process.reserved(), 900);
        hung.let_go(750);
        hung.rest();
        process.awaits_no_more(750);
        assert_eq!((hold(busy, 650), hold(busy, 1)), (Ok(()), Err(Over::Process)));
    }
}
