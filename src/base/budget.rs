//! The bytes that an engine holds, and may hold (B3). All engines of a process share one cap. Each engine reserves its
//! part of the cap in blocks, so that holding one more message costs the engine a comparison, and other threads
//! nothing.
//!
//! True after every call: the process's figure is the sum of what its engines have reserved, and for each engine, bytes
//! held <= bytes reserved <= bytes held + one block. Held and reserved are equal at rest: when the host has drained all
//! instructions, and then ticked or trimmed. A message that crosses to another engine takes its reserved bytes along:
//! the receiving engine adopts them and tells the sending engine, and the process's figure stays as it is.

use super::limits::{HELD_BLOCK, HELD_BLOCK_SHARE, RETURNING_SHARE};
use super::sync::atomic::{AtomicU64, Ordering::*};
use super::sync::Arc;

/// The bytes that all engines of a process have reserved, and their common cap.
#[derive(Debug)]
pub struct Process {
    reserved: AtomicU64,
    peak: AtomicU64,
    /// Bytes of victims that their engines were told to close: they count as given back, up to a bound.
    returning: AtomicU64,
    cap: u64,
}

/// The cap that has been reached. Nothing was charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// The engine's own cap.
    Engine,
    /// The cap of all engines together.
    Process,
}

/// Bytes that other engines have taken of what one engine has sent them: they report it here.
#[derive(Debug, Default)]
pub struct Returns {
    taken: AtomicU64,
    process: Option<Arc<Process>>,
}

/// The bytes that one engine holds, and its cap.
#[derive(Debug)]
pub struct Budget {
    used: u64,
    /// Up to here more can be held without a reservation.
    limit: u64,
    /// Down to here nothing has to be given back to the process.
    floor: u64,
    cap: u64,
    /// The cap, less the [overhang](Budget::overhang).
    ceiling: u64,
    peak: u64,
    /// Bytes that no set or circuit holds any more, and that wait to be handed back to the host. Not part of `used`.
    leaving: u64,
    /// The part of `used` that is on its way to other engines, or waits for room on the way.
    crossing: u64,
    member: Option<Member>,
}

/// The engine's part in the budget of a process.
#[derive(Debug)]
struct Member {
    process: Arc<Process>,
    returns: Arc<Returns>,
    reserved: u64,
    /// Bytes reserved at a time, see [`Process::block`].
    block: u64,
}

impl Member {
    /// The engine's `limit` and `floor`.
    #[inline]
    fn bounds(&self, ceiling: u64) -> (u64, u64) {
        (ceiling.min(self.reserved), self.reserved.saturating_sub(self.block))
    }
}

impl Process {
    /// A process that has reserved nothing, with a cap in bytes.
    pub fn new(cap: u64) -> Self {
        Process { reserved: AtomicU64::new(0), peak: AtomicU64::new(0), returning: AtomicU64::new(0), cap }
    }

    /// Bytes that the engines have reserved.
    pub fn reserved(&self) -> u64 {
        self.reserved.load(Relaxed)
    }

    /// The most bytes that were ever reserved at a time.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// The most bytes that may be reserved.
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// Expects `bytes` back, as the engine that holds them was told to close their holder. False when so many bytes are
    /// expected already that more would not count.
    pub fn add_returning(&self, bytes: u64) -> bool {
        let most = self.cap / RETURNING_SHARE;
        let add = |returning: u64| (returning < most).then(|| returning.saturating_add(bytes));
        self.returning.fetch_update(Relaxed, Relaxed, add).is_ok()
    }

    /// Bytes that are expected back.
    #[allow(dead_code, reason = "tests look")]
    pub fn returning(&self) -> u64 {
        self.returning.load(Relaxed)
    }

    /// Expects `bytes` no longer: they have come back, or never will.
    pub fn remove_returning(&self, bytes: u64) {
        let _ = self.returning.fetch_update(Relaxed, Relaxed, |returning| Some(returning.saturating_sub(bytes)));
    }

    /// Reserves at least `least` bytes, and up to `most` where there is room. Returns the bytes reserved; `None`
    /// changes nothing.
    fn reserve(&self, least: u64, most: u64) -> Option<u64> {
        let returning = self.returning.load(Relaxed).min(self.cap / RETURNING_SHARE);
        let grant = |reserved: u64| {
            let room = self.cap.saturating_sub(reserved);
            if least <= room {
                return Some(most.min(room));
            }
            // Above the cap, because of what is expected back: only what has to be held now.
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

    /// Bytes that an engine reserves at a time: few of a small cap, so that many engines can share it.
    fn block(&self) -> u64 {
        HELD_BLOCK.min(self.cap / HELD_BLOCK_SHARE)
    }
}

impl Returns {
    /// For an engine that shares its cap with others.
    pub fn new(process: &Arc<Process>) -> Self {
        Returns { taken: AtomicU64::new(0), process: Some(Arc::clone(process)) }
    }

    /// Another engine has taken `bytes`, and has adopted them or is about to.
    pub fn report_taken(&self, bytes: u64) {
        if bytes > 0 {
            self.taken.fetch_add(bytes, Relaxed);
        }
    }

    /// Bytes reported that the sending engine has not settled yet ([`Budget::settle`]).
    pub fn unsettled(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Nobody took `bytes`, and what they were held for is gone.
    pub fn report_lost(&self, bytes: u64) {
        self.report_taken(bytes);
        self.process.iter().for_each(|process| process.give_back(bytes));
    }
}

impl Budget {
    /// An empty budget with a cap of `cap` bytes.
    pub fn new(cap: u64) -> Self {
        Budget { used: 0, limit: cap, floor: 0, cap, ceiling: cap, peak: 0, leaving: 0, crossing: 0, member: None }
    }

    /// Makes the budget a part of a process's. Other engines report to `returns` what they take.
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

    /// Bytes that other engines have taken, and that are not settled yet.
    fn pending(&self) -> u64 {
        self.member.as_ref().map_or(0, |member| member.returns.unsettled())
    }

    /// The most bytes that were ever held at a time.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// The most bytes that may be held.
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// Bytes reserved; where no other engine shares the cap, the bytes held.
    pub fn reserved(&self) -> u64 {
        self.member.as_ref().map_or(self.used, |member| member.reserved.saturating_sub(member.returns.unsettled()))
    }

    /// Bytes that all engines of the process have reserved; 0 where no other engine shares the cap.
    pub fn reserved_by_all(&self) -> u64 {
        self.member.as_ref().map_or(0, |member| member.process.reserved())
    }

    /// Bytes that wait to be handed back to the host.
    pub fn leaving(&self) -> u64 {
        self.leaving
    }

    /// Bytes on their way to other engines, or waiting for room on the way.
    pub fn crossing(&self) -> u64 {
        self.crossing.saturating_sub(self.pending())
    }

    /// True when `bytes` more can be held without a reservation.
    #[inline(always)]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used.checked_add(bytes).is_some_and(|used| used <= self.limit)
    }

    /// True when `bytes` could be held if nothing else were held.
    pub fn could_hold(&self, bytes: u64) -> bool {
        let shared = self.member.as_ref().map_or(u64::MAX, |member| member.process.cap);
        bytes <= self.cap.min(shared)
    }

    /// Makes room for `bytes` more, with a reservation where it needs one.
    #[cold]
    pub fn ask(&mut self, bytes: u64) -> Result<(), Over> {
        self.settle();
        let wanted = self.used.checked_add(bytes).filter(|&sum| sum <= self.cap.saturating_sub(self.overhang()));
        let Some(wanted) = wanted else { return Err(Over::Engine) };
        if let Some(member) = self.member.as_mut().filter(|member| member.reserved < wanted) {
            let least = wanted - member.reserved;
            // So that no more than a block is reserved beyond what will be held.
            let Some(got) = member.process.reserve(least, least + member.block / 2) else { return Err(Over::Process) };
            member.reserved += got;
        }
        self.refresh();
        debug_assert!(self.has_room(bytes));
        Ok(())
    }

    /// Holds `bytes` more. The caller has made room ([`Budget::ask`]).
    #[inline(always)]
    pub fn hold(&mut self, bytes: u64) {
        debug_assert!(self.has_room(bytes), "not above the cap");
        self.used += bytes;
        if self.used > self.peak {
            self.peak = self.used;
        }
    }

    /// Holds `bytes` less.
    #[inline(always)]
    pub fn release(&mut self, bytes: u64) {
        debug_assert!(self.used >= bytes, "less than nothing is held");
        match self.used.checked_sub(bytes) {
            Some(used) if used >= self.floor => self.used = used,
            used => self.shrink_to(used.unwrap_or(0)),
        }
    }

    /// [`Budget::release`] where nothing has to be given back to the process. None, and nothing is changed, otherwise.
    #[inline(always)]
    pub fn release_quick(&mut self, bytes: u64) -> Option<()> {
        self.used = self.used.checked_sub(bytes).filter(|&used| used >= self.floor)?;
        Some(())
    }

    /// Changes the cost of something held from `before` to `after` bytes. The caller has made room for the difference.
    pub fn weigh(&mut self, before: u64, after: u64) {
        if after > before {
            self.hold(after - before);
        } else if after < before {
            self.release(before - after);
        }
    }

    /// Moves `bytes` from held to leaving: no set or circuit holds them any more, and they wait to be handed back to
    /// the host. Bytes that leave have room of their own, as much as the cap; what exceeds it takes room of what is
    /// held.
    pub fn move_to_leaving(&mut self, bytes: u64) {
        self.leaving = self.leaving.saturating_add(bytes);
        self.release(bytes);
        self.refresh();
    }

    /// Adds `bytes` that another engine held to those that leave here. See [`Budget::move_to_leaving`].
    pub fn add_leaving(&mut self, bytes: u64) {
        self.leaving = self.leaving.saturating_add(bytes);
        self.refresh();
    }

    /// `bytes` that were leaving have been handed back to the host.
    #[inline]
    pub fn remove_leaving(&mut self, bytes: u64) {
        let overhung = self.overhang() > 0;
        self.leaving = self.leaving.saturating_sub(bytes);
        if overhung {
            self.refresh();
        }
    }

    /// Holds `bytes` more, which are to be sent to another engine. The caller has made room.
    pub fn hold_crossing(&mut self, bytes: u64) {
        self.hold(bytes);
        self.crossing += bytes;
    }

    /// Marks `bytes` that are held already as on their way to another engine.
    pub fn mark_crossing(&mut self, bytes: u64) {
        self.crossing += bytes;
    }

    /// `bytes` did not get to the other engine, and are no longer held.
    pub fn release_crossing(&mut self, bytes: u64) {
        debug_assert!(self.crossing >= bytes, "more comes back than was sent");
        self.crossing = self.crossing.saturating_sub(bytes);
        self.release(bytes);
    }

    /// Takes over `bytes` that another engine had reserved for something it sent here.
    pub fn adopt(&mut self, bytes: u64) {
        if let Some(member) = &mut self.member {
            member.reserved += bytes;
            (self.limit, self.floor) = member.bounds(self.ceiling);
        }
    }

    /// Gives back what was adopted and is not held after all, if that is more than a block.
    pub fn tidy(&mut self) {
        if self.used < self.floor {
            self.shrink();
        }
    }

    /// Counts what other engines have taken since the last call.
    #[inline]
    pub fn settle(&mut self) {
        if let Some(member) = self.member.as_ref().filter(|member| member.returns.taken.load(Relaxed) > 0) {
            let taken = member.returns.taken.swap(0, Relaxed);
            self.returned(taken);
        }
    }

    /// Other engines have taken `bytes`.
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

    /// For an engine at rest: gives back all that is reserved and not held.
    #[inline]
    pub fn rest(&mut self) {
        self.settle();
        if self.member.as_ref().is_some_and(|member| member.reserved != self.used) {
            self.give_back_unused(0);
        }
    }

    #[cold]
    fn shrink_to(&mut self, used: u64) {
        self.used = used;
        self.shrink();
    }

    /// Gives back what is reserved and not held, but for half a block.
    #[cold]
    fn shrink(&mut self) {
        self.give_back_unused(self.member.as_ref().map_or(0, |member| member.block / 2));
    }

    /// Gives back what is reserved and not held, but for `spare` bytes.
    #[cold]
    fn give_back_unused(&mut self, spare: u64) {
        if let Some(member) = &mut self.member {
            let kept = member.reserved.min(self.used + spare);
            member.process.give_back(member.reserved - kept);
            member.reserved = kept;
        }
        self.refresh();
    }

    /// Leaving bytes beyond the room of their own.
    fn overhang(&self) -> u64 {
        let shared = self.member.as_ref().map_or(u64::MAX, |member| member.process.cap);
        self.leaving.saturating_sub(self.cap.min(shared))
    }

    /// Computes `ceiling`, `limit` and `floor` anew.
    fn refresh(&mut self) {
        self.ceiling = self.cap.saturating_sub(self.overhang());
        (self.limit, self.floor) = self.member.as_ref().map_or((self.ceiling, 0), |member| member.bounds(self.ceiling));
    }
}

/// Bytes on their way to other engines stay reserved: the engines that take them adopt them.
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
            budgets[0].release(99);
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
            budgets[0].release(536);
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
        leg.hold_crossing(1000);
        let before = process.reserved();
        returns[0].report_taken(600);
        home.adopt(600);
        hold(home, 600).unwrap();
        assert_eq!(process.reserved(), before, "nobody asked the process");
        leg.settle();
        assert_eq!((leg.used(), leg.crossing(), home.used()), (400, 400, 600));
        check(&process, &budgets);
        budgets[0].release_crossing(400);
        budgets.iter_mut().for_each(Budget::rest);
        assert_eq!(process.reserved(), 600);
    }

    #[test]
    fn an_engine_that_goes_gives_back_all_but_what_is_on_its_way() {
        let (process, budgets, returns) = pair(1 << 30, 1 << 30);
        let [mut leg, mut home] = budgets;
        hold(&mut leg, 5000).unwrap();
        leg.ask(1000).unwrap();
        leg.hold_crossing(1000);
        drop(leg);
        assert_eq!(process.reserved(), 1000);
        returns[0].report_taken(700);
        home.adopt(700);
        hold(&mut home, 700).unwrap();
        assert_eq!(process.reserved(), 1000);
        returns[0].report_lost(300);
        assert_eq!(process.reserved(), 700, "nobody took it");
        drop(home);
        assert_eq!(process.reserved(), 0);
    }

    #[test]
    fn what_leaves_has_room_of_its_own_as_large_as_the_cap() {
        let mut budget = Budget::new(100);
        for round in 0..2 {
            hold(&mut budget, 100).unwrap();
            budget.move_to_leaving(100);
            assert_eq!((budget.used(), budget.leaving()), (0, 100 + 100 * round));
        }
        assert_eq!(hold(&mut budget, 1), Err(Over::Engine), "all of the cap is overhung");
        budget.remove_leaving(30);
        assert_eq!((hold(&mut budget, 30), hold(&mut budget, 1)), (Ok(()), Err(Over::Engine)));
        budget.remove_leaving(170);
        assert_eq!((hold(&mut budget, 70), budget.leaving()), (Ok(()), 0));
    }

    #[test]
    fn what_is_to_come_back_makes_room_within_a_bound() {
        let (process, mut budgets, _) = pair(800, 1 << 30);
        let [hung, busy] = &mut budgets;
        hold(hung, 800).unwrap();
        assert_eq!(hold(busy, 1), Err(Over::Process));
        assert!(process.add_returning(50), "below the bound");
        assert_eq!((hold(busy, 50), hold(busy, 1)), (Ok(()), Err(Over::Process)));
        assert!(process.add_returning(700), "beyond it only the bound counts");
        assert_eq!((hold(busy, 50), hold(busy, 1)), (Ok(()), Err(Over::Process)));
        assert!(!process.add_returning(1), "no more would count");
        assert_eq!(process.reserved(), 900);
        hung.release(750);
        hung.rest();
        process.remove_returning(750);
        assert_eq!((hold(busy, 650), hold(busy, 1)), (Ok(()), Err(Over::Process)));
    }
}
