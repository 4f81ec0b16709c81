//! Who holds how many bytes (B3): a tree of meters, for the process, its engines and their sets, and whom to close when
//! memory runs short.

use crate::base::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use crate::base::sync::{Arc, Mutex};
use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What something holds, and may hold. What is charged here is charged to the parents too.
#[derive(Debug)]
pub struct Meter {
    bytes: AtomicU64,
    peak: AtomicU64,
    cap: u64,
    level: Level,
    parent: Option<Arc<Meter>>,
}

/// Where in the tree a meter stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// All engines of the hub.
    Process,
    /// One engine.
    Engine,
    /// One set.
    Set,
}

/// A cap has been reached, on this level. Nothing was charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Over(pub Level);

impl Meter {
    /// A meter that reads 0.
    pub fn new(level: Level, cap: u64, parent: Option<Arc<Meter>>) -> Self {
        Meter { bytes: AtomicU64::new(0), peak: AtomicU64::new(0), cap, level, parent }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The most ever held.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// Bytes that may be held.
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// Counts bytes that are about to be held, here and in all parents, or nowhere when that would be above a cap. No
    /// meter ever reads more than its cap. The parents come last, so that what one engine is refused is at no time
    /// counted against another.
    pub fn charge(&self, bytes: u64) -> Result<(), Over> {
        let add = |held: u64| held.checked_add(bytes).filter(|&sum| sum <= self.cap);
        let Ok(before) = self.bytes.fetch_update(Relaxed, Relaxed, add) else {
            return Err(Over(self.level));
        };
        if let Some(parent) = &self.parent {
            if let Err(over) = parent.charge(bytes) {
                self.bytes.fetch_sub(bytes, Relaxed);
                return Err(over);
            }
        }
        if before + bytes > self.peak.load(Relaxed) {
            self.peak.fetch_max(before + bytes, Relaxed);
        }
        Ok(())
    }

    /// Counts bytes that are no longer held. More than is held counts as all that is.
    pub fn credit(&self, bytes: u64) {
        let take = |held: u64| Some(held.saturating_sub(bytes));
        let (Ok(before) | Err(before)) = self.bytes.fetch_update(Relaxed, Relaxed, take);
        debug_assert!(before >= bytes, "more bytes come back than were charged");
        if let Some(parent) = &self.parent {
            parent.credit(bytes.min(before));
        }
    }
}

/// What an engine and its sets hold.
#[derive(Debug)]
pub(super) struct Ledger {
    tag: u16,
    meter: Arc<Meter>,
    accounts: Mutex<BTreeMap<Id, Arc<Account>>>,
}

/// What one set holds.
#[derive(Debug)]
struct Account {
    set: Id,
    meter: Meter,
    /// Since when its oldest held message has waited, [`NEVER`] when there is none.
    since: AtomicU64,
    /// It has been named as a victim.
    named: AtomicBool,
}

/// A set's meter, in the hands of its engine. Dropped with the set: what it still reads is no longer held.
#[derive(Debug)]
pub struct SetMeter {
    ledger: Arc<Ledger>,
    account: Arc<Account>,
}

/// A set that is to be closed so that there is room again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// The engine on which it lives.
    pub engine: u16,
    /// The set.
    pub set: Id,
    /// What it holds.
    pub bytes: u64,
}

impl Ledger {
    pub(super) fn new(tag: u16, cap: u64, process: &Arc<Meter>) -> Self {
        let meter = Arc::new(Meter::new(Level::Engine, cap, Some(Arc::clone(process))));
        Ledger { tag, meter, accounts: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Adds those that hold something and have not been named, with their age. The lock is let go every few entries.
    fn list(&self, out: &mut Vec<(Nanos, u16, Arc<Account>)>) {
        let mut after = Bound::Unbounded;
        loop {
            let accounts = self.accounts.lock();
            let mut last = None;
            for (&set, account) in accounts.range((after, Bound::Unbounded)).take(limits::SWEEP_STEP) {
                last = Some(set);
                if account.meter.bytes() > 0 && !account.named.load(Relaxed) {
                    out.push((account.since.load(Relaxed), self.tag, Arc::clone(account)));
                }
            }
            drop(accounts);
            match last {
                Some(set) => after = Bound::Excluded(set),
                None => return,
            }
        }
    }
}

impl SetMeter {
    pub(super) fn new(ledger: &Arc<Ledger>, set: Id, cap: u64) -> Self {
        let meter = Meter::new(Level::Set, cap, Some(Arc::clone(&ledger.meter)));
        let (since, named) = (AtomicU64::new(NEVER), AtomicBool::new(false));
        let account = Arc::new(Account { set, meter, since, named });
        ledger.accounts.lock().insert(set, Arc::clone(&account));
        SetMeter { ledger: Arc::clone(ledger), account }
    }

    /// A message is about to be held from `now` on.
    pub fn hold(&self, bytes: u64, now: Nanos) -> Result<(), Over> {
        self.account.meter.charge(bytes)?;
        if self.account.since.load(Relaxed) == NEVER {
            self.account.since.store(now, Relaxed);
        }
        Ok(())
    }

    /// A held message has been taken, and the oldest of those left has waited since `oldest`, [`NEVER`] when none is.
    pub fn take(&self, bytes: u64, oldest: Nanos) {
        self.account.meter.credit(bytes);
        self.account.since.store(oldest, Relaxed);
        if self.account.meter.bytes() == 0 {
            // What it was named for is gone, whoever saw to that.
            self.account.named.store(false, Relaxed);
        }
    }

    /// All that was held is gone.
    pub fn clear(&self) {
        self.take(self.account.meter.bytes(), NEVER);
    }

    /// What the set holds.
    pub fn meter(&self) -> &Meter {
        &self.account.meter
    }

    /// True when the set has been named as a victim.
    pub fn is_named(&self) -> bool {
        self.account.named.load(Relaxed)
    }
}

impl Drop for SetMeter {
    fn drop(&mut self) {
        self.clear();
        let mut accounts = self.ledger.accounts.lock();
        // A set that came after under the same id keeps its place.
        if accounts.get(&self.account.set).is_some_and(|there| Arc::ptr_eq(there, &self.account)) {
            accounts.remove(&self.account.set);
        }
    }
}

/// See [`Hub::reclaim`](super::Hub::reclaim). Time and memory grow with the number of sets that hold something.
pub(super) fn reclaim(ledgers: &[Arc<Ledger>], wanted: u64, most: usize, out: &mut Vec<Victim>) -> u64 {
    let mut found = 0;
    if wanted == 0 || most == 0 {
        return found;
    }
    let mut accounts = Vec::new();
    for ledger in ledgers {
        ledger.list(&mut accounts);
    }
    accounts.sort_unstable_by_key(|&(since, _, ref account)| (since, account.set));
    for (_, engine, account) in accounts {
        let bytes = account.meter.bytes();
        if bytes == 0 || account.named.swap(true, Relaxed) {
            continue;
        }
        out.push(Victim { engine, set: account.set, bytes });
        found = bytes.saturating_add(found);
        if found >= wanted || out.len() >= most {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(process: u64, engine: u64) -> (Arc<Meter>, Arc<Ledger>) {
        let root = Arc::new(Meter::new(Level::Process, process, None));
        let ledger = Arc::new(Ledger::new(1, engine, &root));
        (root, ledger)
    }

    #[test]
    fn every_level_has_its_cap_and_a_refusal_leaves_no_trace() {
        for (caps, level) in
            [([99, 199, 199], Level::Process), ([199, 99, 199], Level::Engine), ([199, 199, 99], Level::Set)]
        {
            let (root, ledger) = tree(caps[0], caps[1]);
            let set = SetMeter::new(&ledger, Id(1), caps[2]);
            set.hold(98, 1).unwrap();
            assert_eq!(set.hold(2, 1), Err(Over(level)), "above");
            assert_eq!([root.bytes(), ledger.meter.bytes(), set.meter().bytes()], [98; 3]);
            set.hold(1, 1).unwrap();
            assert!(set.hold(u64::MAX, 1).is_err(), "and no sum overflows");
            assert_eq!([root.bytes(), ledger.meter.bytes(), set.meter().bytes()], [99; 3], "at the cap");
            set.take(99, NEVER);
            assert_eq!([root.bytes(), root.peak()], [0, 99]);
        }
    }

    #[test]
    fn a_set_that_goes_holds_nothing() {
        let (root, ledger) = tree(100, 100);
        let sets = [SetMeter::new(&ledger, Id(1), 50), SetMeter::new(&ledger, Id(2), 50)];
        sets.iter().for_each(|set| set.hold(10, 1).unwrap());
        let [first, second] = sets;
        drop(first);
        assert_eq!((root.bytes(), ledger.accounts.lock().len()), (10, 1));
        let again = SetMeter::new(&ledger, Id(2), 50);
        drop(second);
        assert_eq!((root.bytes(), ledger.accounts.lock().len()), (0, 1), "who came after keeps the place");
        drop(again);
        assert!(ledger.accounts.lock().is_empty());
    }

    #[test]
    fn a_set_that_was_named_and_lived_on_can_be_named_again() {
        let (_, ledger) = tree(100, 100);
        let set = SetMeter::new(&ledger, Id(1), 50);
        set.hold(10, 1).unwrap();
        let ledgers = [ledger];
        let mut named = Vec::new();
        assert_eq!(reclaim(&ledgers, 1, usize::MAX, &mut named), 10);
        set.take(9, 1);
        assert_eq!(reclaim(&ledgers, 1, usize::MAX, &mut named), 0, "it still holds what it was named for");
        set.take(1, NEVER);
        set.hold(7, 2).unwrap();
        assert_eq!(reclaim(&ledgers, 1, usize::MAX, &mut named), 7);
    }

    #[test]
    fn the_oldest_are_named_first_and_once() {
        let (root, ledger) = tree(1000, 1000);
        let other = Arc::new(Ledger::new(2, 1000, &root));
        let hold = |ledger, id, bytes, now| {
            let set = SetMeter::new(ledger, Id(id), 1000);
            set.hold(bytes, now).unwrap();
            set
        };
        let sets = [hold(&ledger, 1, 10, 30), hold(&other, 2, 20, 10), hold(&ledger, 3, 40, 20)];
        let empty = SetMeter::new(&ledger, Id(4), 1000);
        let ledgers = [ledger, other];
        let mut named = Vec::new();
        assert_eq!(reclaim(&ledgers, 0, usize::MAX, &mut named), 0);
        assert!(named.is_empty(), "nothing is wanted");
        assert_eq!(reclaim(&ledgers, 21, usize::MAX, &mut named), 60);
        let victim = |engine, set, bytes| Victim { engine, set: Id(set), bytes };
        assert_eq!(named, [victim(2, 2, 20), victim(1, 3, 40)], "until it is enough");
        assert_eq!(sets.each_ref().map(SetMeter::is_named), [false, true, true]);
        assert_eq!(root.bytes(), 70, "nothing is freed by it");
        named.clear();
        assert_eq!(reclaim(&ledgers, 20, usize::MAX, &mut named), 10, "less than wanted: there is no more");
        assert_eq!((named, reclaim(&ledgers, 1, usize::MAX, &mut Vec::new())), (vec![victim(1, 1, 10)], 0));
        drop(empty);
    }

    #[test]
    fn a_set_is_as_old_as_its_oldest_message() {
        let (_, ledger) = tree(1000, 1000);
        let [old, young] = [1, 2].map(|id| SetMeter::new(&ledger, Id(id), 1000));
        let first = || {
            let mut accounts = Vec::new();
            ledger.list(&mut accounts);
            accounts.sort_by_key(|entry| entry.0);
            accounts.first().map(|(since, _, account)| (*since, account.set))
        };
        old.hold(1, 10).unwrap();
        young.hold(1, 20).unwrap();
        old.hold(1, 30).unwrap();
        assert_eq!(first(), Some((10, Id(1))));
        old.take(1, 30);
        assert_eq!(first(), Some((20, Id(2))));
        young.clear();
        assert_eq!(first(), Some((30, Id(1))));
        young.hold(1, 5).unwrap();
        assert_eq!(first(), Some((5, Id(2))), "the age of an empty set is forgotten");
    }

    #[test]
    fn more_sets_than_one_step_looks_at() {
        let (_, ledger) = tree(u64::MAX, u64::MAX);
        let count = 2 * limits::SWEEP_STEP as u64 + 1;
        let sets: Vec<_> = (0..count).map(|id| SetMeter::new(&ledger, Id(id + 1), 9)).collect();
        sets.iter().for_each(|set| set.hold(1, 1).unwrap());
        let mut named = Vec::new();
        assert_eq!(reclaim(&[ledger], u64::MAX, usize::MAX, &mut named), count);
        assert!(named.windows(2).all(|pair| pair[0].set < pair[1].set), "each once; of the same age, in order of id");
    }
}
