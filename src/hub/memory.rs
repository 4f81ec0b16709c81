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

    /// Counts bytes that are about to be held, here and in all parents, or nowhere when that would be above a cap. At
    /// no time does a meter read more than its cap; one that reads more than is held has a refusal under way below it.
    pub fn charge(&self, bytes: u64) -> Result<(), Over> {
        if let Some(parent) = &self.parent {
            parent.charge(bytes)?;
        }
        let add = |held: u64| held.checked_add(bytes).filter(|&sum| sum <= self.cap);
        let Ok(before) = self.bytes.fetch_update(Relaxed, Relaxed, add) else {
            if let Some(parent) = &self.parent {
                parent.credit(bytes);
            }
            return Err(Over(self.level));
        };
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
