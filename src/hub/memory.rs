//! The sets and circuits that hold something, how much and for how long, as any thread may see it; and which of them to
//! close when memory runs short (B3).
//!
//! The budget ([`crate::base::budget`]) knows how many bytes are held; this file knows who holds them. Each set or
//! circuit that holds something keeps a note of it, which costs two plain stores. A circuit writes its note for each
//! message. A set writes it when it begins to hold something, when a quarter more is held for order, and when an eighth
//! more is on its way to legs on other engines.
//!
//! The victim is looked for in a book ([`Holders`]), one for each engine. An entry of the book is updated from its note
//! when the note has grown by a quarter. It is also compared with its note when a search finds it. As a result:
//!
//! - An engine looks at what its own candidate really holds before it names it.
//! - A candidate on another engine can hold three eighths more than its note says.
//! - No other holder has twice as much as the one that was named: neither in bytes, where that is about a fair share,
//!   nor in bytes times age.

use crate::base::holders::{Holder, Holders, Seat};
use crate::base::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use crate::base::sync::{Arc, Mutex};
use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use std::collections::BTreeMap;

/// The sets and circuits on one engine that hold something.
#[derive(Debug, Default)]
pub struct Ledger {
    tag: u16,
    book: Mutex<Book>,
    /// Number of holders; only the engine changes it.
    live: AtomicU32,
    /// The engine's clock.
    now: AtomicU64,
}

/// A ledger, as its engine and the hub share it.
pub type SharedLedger = Arc<Ledger>;

#[derive(Debug, Default)]
struct Book {
    holders: Holders<Id>,
    places: BTreeMap<Id, (Seat, Arc<Note>)>,
    /// Victims that other engines have named, to be closed by this one, with the bytes they held then.
    named_here: Vec<(Id, u64)>,
}

/// The figures of one set or circuit.
#[derive(Debug)]
struct Note {
    id: Id,
    /// The ledger whose book has this note, until the [`Standing`] is dropped.
    ledger: Arc<Ledger>,
    bytes: AtomicU64,
    /// Since when the oldest of it has waited; [`NEVER`] when nothing is held.
    since: AtomicU64,
    /// Above this many bytes the book has to be updated. 0 for a note that is not in the book.
    told: AtomicU64,
    /// It has been named as a victim, and is not in the book.
    named: AtomicBool,
}

/// A set or circuit that may hold something, as its engine keeps it. When dropped, it holds nothing.
#[derive(Debug)]
pub struct Standing {
    note: Arc<Note>,
}

/// A set or circuit to be closed so that there is room again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// The engine it lives on.
    pub engine: u16,
    /// The id of the set or circuit.
    pub id: Id,
    /// Bytes it holds.
    pub bytes: u64,
}

/// The possible victim on one engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Candidate {
    /// It holds enough of its share of the cap ([`limits::VICTIM_SHARE`]).
    counts: bool,
    /// Bytes times age; without `counts`, bytes.
    weight: u128,
    bytes: u64,
    id: Id,
}

impl Ledger {
    /// An empty ledger for the engine with this tag.
    pub fn open(tag: u16) -> SharedLedger {
        Arc::new(Ledger { tag, ..Ledger::default() })
    }

    /// Stores the time of the engine's clock.
    #[inline]
    pub fn at(&self, now: Nanos) {
        self.now.store(now, Relaxed);
    }

    /// Number of holders.
    pub fn live(&self) -> u32 {
        self.live.load(Relaxed)
    }

    /// The holder that has to go so that there is room under `cap`, which `holders` share. See [`Holders::worst`].
    fn candidate(&self, now: Nanos, cap: u64, holders: u32) -> Option<Candidate> {
        let share = cap / (limits::VICTIM_SHARE * u64::from(holders.max(1)));
        let mut book = self.book.lock();
        for looks in 0.. {
            // The cap in the proportion of holders in this book to all `holders`.
            let of_book = u128::from(cap) * u128::from(book.holders.len().max(1)) / u128::from(holders.max(1));
            let found = book.holders.worst(now, u64::try_from(of_book).unwrap_or(u64::MAX))?;
            let is_up_to_date = book.is_up_to_date(&found);
            // One that held nothing any more has left the book, so there is an end to these. Another may hold less now.
            let Some(found) = book.holders.get(found.seat) else { continue };
            if is_up_to_date || looks >= limits::VICTIM_LOOKS {
                let counts = found.bytes >= share;
                let age = u128::from(now.saturating_sub(found.since)) + 1;
                let weight = u128::from(found.bytes) * if counts { age } else { 1 };
                return Some(Candidate { counts, weight, bytes: found.bytes, id: found.name });
            }
        }
        None
    }

    /// Names a holder and takes it out of the book. False when it is not there any more.
    pub fn name(&self, id: Id) -> bool {
        let mut book = self.book.lock();
        let Some((seat, note)) = book.places.remove(&id) else { return false };
        book.holders.leave(seat);
        note.named.store(true, Relaxed);
        true
    }

    /// Takes the victims that other engines have named, to be closed here.
    pub fn take_victims(&self) -> Vec<(Id, u64)> {
        std::mem::take(&mut self.book.lock().named_here)
    }

    /// The holder on this engine that has to go, so that there is room under its cap.
    pub fn worst(&self, now: Nanos, cap: u64) -> Option<Victim> {
        let found = self.candidate(now, cap, self.live())?;
        Some(Victim { engine: self.tag, id: found.id, bytes: found.bytes })
    }

    /// Gives unused memory back. Returns the bytes.
    pub fn trim(&self) -> usize {
        let mut book = self.book.lock();
        book.named_here.shrink_to_fit();
        book.holders.trim()
    }
}

impl Book {
    /// True when the book's entry agrees with the note. If not, updates the entry.
    fn is_up_to_date(&mut self, found: &Holder<Id>) -> bool {
        let Some((_, note)) = self.places.get(&found.name) else {
            self.holders.leave(found.seat);
            return false;
        };
        let (bytes, since) = (note.bytes.load(Relaxed), note.since.load(Relaxed));
        if (bytes, since) == (found.bytes, found.since) {
            return true;
        }
        if bytes == 0 {
            note.told.store(0, Relaxed);
            self.places.remove(&found.name);
            self.holders.leave(found.seat);
        } else {
            note.told.store(bytes + bytes / 4, Relaxed);
            self.holders.update(found.seat, bytes, since);
        }
        false
    }

    fn file(&mut self, note: &Arc<Note>) {
        let (bytes, since) = (note.bytes.load(Relaxed), note.since.load(Relaxed));
        if note.named.load(Relaxed) {
            // A holder is not named twice for the same bytes.
            note.told.store(u64::MAX, Relaxed);
            return;
        }
        note.told.store(bytes + bytes / 4, Relaxed);
        match self.places.get(&note.id) {
            Some((seat, there)) if Arc::ptr_eq(there, note) => self.holders.update(*seat, bytes, since),
            _ => {
                let seat = self.holders.enter(note.id, bytes, since);
                if let Some((other, _)) = self.places.insert(note.id, (seat, Arc::clone(note))) {
                    self.holders.leave(other);
                }
            }
        }
    }
}

impl Standing {
    /// A standing that holds nothing yet.
    pub fn new(ledger: &SharedLedger, id: Id) -> Self {
        let (bytes, since) = (AtomicU64::new(0), AtomicU64::new(NEVER));
        let (told, named) = (AtomicU64::new(0), AtomicBool::new(false));
        Standing { note: Arc::new(Note { id, ledger: Arc::clone(ledger), bytes, since, told, named }) }
    }

    /// The set or circuit `id` holds `bytes` in all now, which is more than before. Makes its standing with the first
    /// thing held.
    #[inline(always)]
    pub fn grow(standing: &mut Option<Standing>, ledger: &SharedLedger, id: Id, bytes: u64, now: Nanos) {
        #[cold]
        #[inline(never)]
        fn begin(ledger: &SharedLedger, id: Id, bytes: u64, now: Nanos) -> Standing {
            let standing = Standing::new(ledger, id);
            standing.grew(bytes, now);
            standing
        }
        match standing {
            Some(standing) => standing.grew(bytes, now),
            None => *standing = Some(begin(ledger, id, bytes, now)),
        }
    }

    /// It holds `bytes` in all now, which is more than before.
    #[inline(always)]
    pub fn grew(&self, bytes: u64, now: Nanos) {
        let note = &*self.note;
        note.bytes.store(bytes, Relaxed);
        if note.since.load(Relaxed) == NEVER {
            note.since.store(now, Relaxed);
            self.count(1);
        }
        if bytes > note.told.load(Relaxed) {
            self.file();
        }
    }

    /// Updates the book from the note.
    #[cold]
    #[inline(never)]
    fn file(&self) {
        self.note.ledger.book.lock().file(&self.note);
    }

    /// It holds nothing any more. True when it held something before.
    #[inline]
    pub fn emptied(&self) -> bool {
        let note = &*self.note;
        if note.since.load(Relaxed) == NEVER {
            return false;
        }
        note.bytes.store(0, Relaxed);
        note.since.store(NEVER, Relaxed);
        self.count(-1);
        if note.named.load(Relaxed) {
            // The bytes for which it was named are gone, for whatever reason.
            note.named.store(false, Relaxed);
            note.told.store(0, Relaxed);
        }
        true
    }

    /// It holds `bytes` in all now, fewer than before but not none, and the oldest is not much younger than it was.
    #[inline]
    pub fn eased(&self, bytes: u64) {
        self.note.bytes.store(bytes, Relaxed);
    }

    /// It holds `bytes` in all now, and the oldest of it has waited since `since` ([`NEVER`] when nothing is held).
    pub fn settle(&self, bytes: u64, since: Nanos) {
        if bytes == 0 {
            self.emptied();
            return;
        }
        let note = &*self.note;
        if note.since.load(Relaxed) == NEVER {
            self.count(1);
        }
        note.bytes.store(bytes, Relaxed);
        note.since.store(since.min(NEVER - 1), Relaxed);
        if bytes > note.told.load(Relaxed) {
            self.file();
        }
    }

    /// Bytes held, as last written down.
    pub fn bytes(&self) -> u64 {
        self.note.bytes.load(Relaxed)
    }

    /// Since when its oldest message has waited, as last written down; [`NEVER`] when there is none.
    pub fn since(&self) -> Nanos {
        self.note.since.load(Relaxed)
    }

    /// True when it has been named as a victim.
    pub fn is_named(&self) -> bool {
        self.note.named.load(Relaxed)
    }

    /// Only the engine writes, so no atomic addition is needed.
    fn count(&self, more: i32) {
        let live = &self.note.ledger.live;
        live.store(live.load(Relaxed).saturating_add_signed(more), Relaxed);
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.settle(0, NEVER);
        let mut book = self.note.ledger.book.lock();
        // A later standing under the same id keeps its place.
        if book.places.get(&self.note.id).is_some_and(|(_, there)| Arc::ptr_eq(there, &self.note)) {
            if let Some((seat, _)) = book.places.remove(&self.note.id) {
                book.holders.leave(seat);
            }
        }
    }
}

/// The holder on any of these engines that has to go, so that there is room under their common cap.
pub(super) fn worst(ledgers: &[Arc<Ledger>], now: Nanos, cap: u64) -> Option<Victim> {
    let holders = ledgers.iter().fold(0, |sum: u32, ledger| sum.saturating_add(ledger.live()));
    let candidates = ledgers.iter().filter_map(|ledger| Some((ledger.candidate(now, cap, holders)?, ledger.tag)));
    let of_the_same_the_first =
        |(found, tag): &(Candidate, u16)| (found.counts, found.weight, std::cmp::Reverse((*tag, found.id)));
    let (found, engine) = candidates.max_by_key(of_the_same_the_first)?;
    Some(Victim { engine, id: found.id, bytes: found.bytes })
}

/// Names a victim, to be closed by its own engine. False when it is not there any more.
pub(super) fn name_for_engine(ledger: &Ledger, victim: &Victim) -> bool {
    let is_there = ledger.name(victim.id);
    if is_there {
        ledger.book.lock().named_here.push((victim.id, victim.bytes));
    }
    is_there
}

/// See [`Hub::reclaim`](super::Hub::reclaim).
pub(super) fn reclaim(ledgers: &[Arc<Ledger>], cap: u64, wanted: u64, most: usize, out: &mut Vec<Victim>) -> u64 {
    let now = ledgers.iter().map(|ledger| ledger.now.load(Relaxed)).max().unwrap_or(0);
    let (mut found, before) = (0, out.len());
    while found < wanted && out.len() - before < most {
        let Some(victim) = worst(ledgers, now, cap) else { break };
        let named = ledgers.iter().any(|ledger| ledger.tag == victim.engine && ledger.name(victim.id));
        if named {
            found = victim.bytes.saturating_add(found);
            out.push(victim);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledgers() -> [Arc<Ledger>; 2] {
        [1, 2].map(Ledger::open)
    }

    fn hold(ledger: &Arc<Ledger>, id: u64, bytes: u64, since: Nanos) -> Standing {
        let standing = Standing::new(ledger, Id(id));
        standing.grew(bytes, since);
        standing
    }

    fn victim(engine: u16, id: u64, bytes: u64) -> Victim {
        Victim { engine, id: Id(id), bytes }
    }

    #[test]
    fn who_goes_holds_nothing_and_who_came_after_keeps_the_place() {
        let [ledger, _] = ledgers();
        let [first, second] = [1, 2].map(|id| hold(&ledger, id, 10, 1));
        assert_eq!(ledger.live(), 2);
        drop(first);
        let again = hold(&ledger, 2, 20, 1);
        drop(second);
        assert_eq!((ledger.live(), ledger.book.lock().places.len()), (1, 1));
        drop(again);
        assert_eq!((ledger.live(), ledger.book.lock().places.len()), (0, 0));
        assert!(ledger.book.lock().holders.is_empty());
    }

    #[test]
    fn the_most_bytes_for_the_longest_time_are_named_first_and_once() {
        let ledgers = ledgers();
        let [one, other] = &ledgers;
        let holders = [hold(one, 1, 10, 30), hold(other, 2, 20, 10), hold(one, 3, 40, 20), hold(other, 4, 40, 20)];
        let empty = Standing::new(one, Id(5));
        one.at(40);
        let mut named = Vec::new();
        assert_eq!(reclaim(&ledgers, 100, 0, usize::MAX, &mut named), 0);
        assert!(named.is_empty(), "nothing is wanted");
        assert_eq!(reclaim(&ledgers, 100, 41, usize::MAX, &mut named), 80);
        assert_eq!(named, [victim(1, 3, 40), victim(2, 4, 40)], "until it is enough; of the same the first");
        assert_eq!(holders.each_ref().map(Standing::is_named), [false, false, true, true]);
        named.clear();
        assert_eq!(reclaim(&ledgers, 100, 31, usize::MAX, &mut named), 30, "less than wanted: there is no more");
        assert_eq!(named, [victim(2, 2, 20), victim(1, 1, 10)]);
        assert_eq!(reclaim(&ledgers, 100, 1, usize::MAX, &mut named), 0);
        drop(empty);
    }

    #[test]
    fn who_was_named_and_lived_on_can_be_named_again_once_it_held_nothing() {
        let [ledger, _] = ledgers();
        let ledgers = [Arc::clone(&ledger)];
        let standing = hold(&ledger, 1, 10, 1);
        let mut named = Vec::new();
        assert_eq!(reclaim(&ledgers, 100, 1, usize::MAX, &mut named), 10);
        standing.settle(1, 1);
        standing.grew(90, 2);
        assert_eq!(reclaim(&ledgers, 100, 1, usize::MAX, &mut named), 0, "it still holds what it was named for");
        standing.settle(0, NEVER);
        standing.grew(7, 2);
        assert_eq!(reclaim(&ledgers, 100, 1, usize::MAX, &mut named), 7);
    }

    /// Notes that were drained, or became younger, without an update of the book.
    #[test]
    fn a_candidate_is_as_its_note_says() {
        let ledgers = ledgers();
        let [one, _] = &ledgers;
        let [drained, younger, third] = [90, 80, 20].map(|bytes| hold(one, bytes, bytes, 10));
        drained.settle(0, NEVER);
        younger.settle(80, 99);
        assert_eq!(one.live(), 2);
        assert_eq!(worst(&ledgers, 100, 100), Some(victim(1, 20, 20)));
        assert_eq!(one.book.lock().places.len(), 2, "the empty one has left");
        drained.grew(5, 100);
        assert_eq!((one.live(), one.book.lock().places.len()), (3, 3));
        third.settle(19, 99);
        assert_eq!(worst(&ledgers, 100, 100), Some(victim(1, 80, 80)));
    }

    #[test]
    fn who_is_below_its_share_is_left_alone_while_a_larger_one_is_there() {
        let ledgers = ledgers();
        let [one, other] = &ledgers;
        let small: Vec<_> = (0..9).map(|id| hold(one, id + 1, 24, 0)).collect();
        assert_eq!(worst(&ledgers, 1_000_000, 1000).map(|found| found.bytes), Some(24), "all are small");
        // A tenth of the cap, quartered, is 25.
        let large = hold(other, 99, 25, 999_999);
        assert_eq!(worst(&ledgers, 1_000_000, 1000), Some(victim(2, 99, 25)));
        large.settle(24, 999_999);
        assert_eq!(worst(&ledgers, 1_000_000, 1000).map(|found| found.engine), Some(1));
        // Those that hold nothing any more take no share.
        small.iter().skip(1).for_each(|standing| standing.settle(0, NEVER));
        large.settle(200, 999_999);
        assert_eq!(worst(&ledgers, 1_000_000, 1000), Some(victim(2, 99, 200)));
    }

    #[test]
    fn the_doomed_are_told_once() {
        let [ledger, _] = ledgers();
        let standing = hold(&ledger, 1, 10, 1);
        assert!(name_for_engine(&ledger, &victim(1, 1, 10)) && !name_for_engine(&ledger, &victim(1, 1, 10)));
        assert_eq!((ledger.take_victims(), ledger.take_victims()), (vec![(Id(1), 10)], vec![]));
        assert!(standing.is_named() && ledger.worst(5, 100).is_none());
    }

    #[test]
    fn growing_tells_the_book_once_in_a_quarter() {
        let [ledger, _] = ledgers();
        let standing = Standing::new(&ledger, Id(1));
        let mut told = 0;
        for bytes in 1..=100_000 {
            let before = standing.note.told.load(Relaxed);
            standing.grew(bytes, 1);
            told += u32::from(standing.note.told.load(Relaxed) != before);
        }
        assert!(told < 60, "{told}");
        assert_eq!(ledger.worst(5, 100), Some(victim(1, 1, 100_000)));
    }
}
