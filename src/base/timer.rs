//! Deadlines of one engine: a hierarchical timing wheel that keeps exact nanoseconds, for a million timers of which
//! every cell moves one.
//!
//! A slot of level 0 is one nanosecond wide, one of level 1 64 ns, and so on: eleven levels hold every u64. The highest
//! bit in which a deadline differs from `elapsed` names the level, the six bits there name the slot. So what is filed
//! at a level comes before all that is filed above it, the slots of a level stand in order of time, and the first slot
//! in use holds the next deadline.
//!
//! What keeps it so: `elapsed` only grows, and only to the lower bound of the first slot, when that slot is being
//! emptied, or loses its first. It passes no other slot's beginning, so nobody else's place changes.
//!
//! A timer that moves to a later time (what a cell does) stays where it is filed: only its deadline changes. It is
//! filed anew when the wheel comes to its old slot, which costs the host at most one early wake-up.

use super::time::{Nanos, NEVER};
use std::collections::BTreeSet;

/// One deadline for each key, taken out in order of time.
///
/// Keys are small and dense (indices of an arena): memory goes by the largest key ever armed, 24 bytes for each.
///
/// Equal deadlines fall due first armed, first out; one that was moved to a later time takes its place when the wheel
/// comes to its old slot. The order hangs on nothing but the calls, so a run can be repeated.
#[derive(Debug)]
pub struct Timers {
    /// A lower bound of all deadlines, kept apart because every feed compares with it.
    next: Nanos,
    /// What places are relative to. No deadline in the wheel is earlier.
    elapsed: Nanos,
    len: usize,
    /// Bit n: some slot of level n is in use.
    levels: u32,
    /// For each level, bit n: its slot n is in use.
    occupied: [u64; LEVELS],
    slots: Box<[Slot; PLACES]>,
    nodes: Vec<Node>,
    /// What was armed for a time before `elapsed`, in order. It is rare, so a tree is fast enough.
    late: BTreeSet<(Nanos, u32)>,
    /// Timers filed, for tests of how much one call does.
    #[cfg(test)]
    filed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// [`NEVER`] while not armed.
    deadline: Nanos,
    next: u32,
    prev: u32,
    /// level * 64 + slot, or [`LATE`], or [`IDLE`].
    place: u16,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// A lower bound of the deadlines filed here, and a time within the slot. Exact until one moves or is cancelled.
    earliest: Nanos,
    head: u32,
    tail: u32,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            next: NEVER,
            elapsed: 0,
            len: 0,
            levels: 0,
            occupied: [0; LEVELS],
            slots: Box::new([EMPTY; PLACES]),
            nodes: Vec::new(),
            late: BTreeSet::new(),
            #[cfg(test)]
            filed: 0,
        }
    }
}

impl Timers {
    /// When to call [`Timers::pop_due`]: never later than the earliest deadline, and [`NEVER`] when nothing is armed.
    /// It may be earlier, once for each timer that was moved or cancelled.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Timers armed.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing is armed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When a timer falls due, or [`NEVER`] when it is not armed.
    #[inline]
    pub fn deadline(&self, key: u32) -> Nanos {
        self.nodes.get(key as usize).map_or(NEVER, |node| node.deadline)
    }

    /// Arms a timer, or moves it when it is armed. [`NEVER`] cancels it; a key of 2^24 or more arms nothing.
    #[inline]
    pub fn arm(&mut self, key: u32, deadline: Nanos) {
        match self.nodes.get_mut(key as usize) {
            // A timer that is not armed has no time that is later.
            Some(node) if deadline >= node.deadline && deadline != NEVER && node.place != LATE => {
                node.deadline = deadline;
            }
            _ => self.place_anew(key, deadline),
        }
    }

    /// Cancels a timer; one that is not armed is no error.
    #[inline]
    pub fn cancel(&mut self, key: u32) {
        if self.deadline(key) != NEVER {
            self.unlink(key);
            self.disarm(key);
        }
    }

    /// Takes the earliest timer that is due at `now`, with its deadline. After `None`, [`Timers::next`] is later than
    /// `now`, so that no host spins.
    ///
    /// Each turn of the loop takes a timer out, or files timers lower or in later slots: arming one pays for at most
    /// eleven of these moves.
    pub fn pop_due(&mut self, now: Nanos) -> Option<(u32, Nanos)> {
        let now = now.min(NEVER - 1);
        while self.next <= now {
            if !self.late.is_empty() {
                return self.pop_late();
            }
            let place = self.first()?;
            let level = place / SLOTS;
            let Slot { earliest, head: key, tail } = self.slots[place as usize % PLACES];
            self.elapsed = earliest;
            // At level 0 the others have the same deadline, or were moved: each is looked at when it is the first.
            if level > 0 && key != tail {
                self.cascade(place);
                continue;
            }
            let deadline = self.deadline(key);
            self.unlink(key);
            // A deadline behind the end of the slot was moved, and others may come before it.
            if deadline <= now && (deadline ^ earliest) >> (SLOT_BITS * u32::from(level)) == 0 {
                self.disarm(key);
                return Some((key, deadline));
            }
            self.file(key, deadline, self.place(deadline));
            self.next = self.next.min(deadline);
        }
        None
    }

    /// Memory owned, in bytes.
    pub fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + size_of_val(&*self.slots)
            + self.late.len() * size_of::<(Nanos, u32)>()
    }

    /// Gives back the memory of keys above the largest that is armed, and says how many bytes that was.
    pub fn trim(&mut self) -> usize {
        let before = self.bytes();
        let used = self.nodes.iter().rposition(|node| node.deadline != NEVER).map_or(0, |last| last + 1);
        self.nodes.truncate(used);
        self.nodes.shrink_to_fit();
        before - self.bytes()
    }

    /// Arming for what is more than a later deadline.
    fn place_anew(&mut self, key: u32, deadline: Nanos) {
        if deadline == NEVER || key >= KEYS_MAX {
            return self.cancel(key);
        }
        if key as usize >= self.nodes.len() {
            self.grow(key);
        }
        let place = self.place(deadline);
        let node = &mut self.nodes[key as usize];
        if node.place == place && place != LATE {
            node.deadline = deadline;
            let slot = &mut self.slots[place as usize % PLACES];
            slot.earliest = slot.earliest.min(deadline);
        } else {
            if node.place == IDLE {
                self.len += 1;
            } else {
                self.unlink(key);
            }
            self.file(key, deadline, place);
        }
        // Right without a look at the first slot: before its beginning is only what is earlier than its lower bound.
        self.next = self.next.min(deadline);
    }

    #[inline]
    fn place(&self, deadline: Nanos) -> u16 {
        if deadline < self.elapsed {
            return LATE;
        }
        let level = ((deadline ^ self.elapsed) | 1).ilog2() / SLOT_BITS;
        level as u16 * SLOTS + (deadline >> (level * SLOT_BITS)) as u16 % SLOTS
    }

    /// The first slot in use.
    #[inline]
    fn first(&self) -> Option<u16> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        Some(level as u16 * SLOTS + self.occupied[level as usize % LEVELS].trailing_zeros() as u16)
    }

    /// Puts a node at the end of its slot. Leaves `next` to the caller.
    #[inline]
    fn file(&mut self, key: u32, deadline: Nanos, place: u16) {
        #[cfg(test)]
        (self.filed += 1);
        let mut prev = NIL;
        if place == LATE {
            self.late.insert((deadline, key));
        } else {
            let slot = &mut self.slots[place as usize % PLACES];
            prev = slot.tail;
            slot.tail = key;
            slot.earliest = slot.earliest.min(deadline);
            match self.nodes.get_mut(prev as usize) {
                Some(last) => last.next = key,
                None => {
                    slot.head = key;
                    let level = place / SLOTS;
                    self.occupied[level as usize % LEVELS] |= 1 << (place % SLOTS);
                    self.levels |= 1 << level;
                }
            }
        }
        self.nodes[key as usize] = Node { deadline, next: NIL, prev, place };
    }

    /// Takes an armed node out of its slot; what the node says stays.
    #[inline]
    fn unlink(&mut self, key: u32) {
        let Node { deadline, next, prev, place } = self.nodes[key as usize];
        if place == LATE {
            self.late.remove(&(deadline, key));
            return self.refresh();
        }
        let slot = &mut self.slots[place as usize % PLACES];
        match self.nodes.get_mut(prev as usize) {
            Some(node) => node.next = next,
            None => slot.head = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.prev = prev,
            None => slot.tail = prev,
        }
        if slot.head == NIL {
            self.vacate(place);
            self.refresh();
        }
    }

    fn disarm(&mut self, key: u32) {
        self.nodes[key as usize] = IDLE_NODE;
        self.len -= 1;
    }

    /// Files all nodes of the first slot anew. `elapsed` is within the slot, so they go down, or to a later slot.
    fn cascade(&mut self, place: u16) {
        let mut key = self.slots[place as usize % PLACES].head;
        self.vacate(place);
        while let Some(&Node { deadline, next, .. }) = self.nodes.get(key as usize) {
            self.file(key, deadline, self.place(deadline));
            key = next;
        }
        self.refresh();
    }

    /// Marks a slot as not in use.
    #[inline]
    fn vacate(&mut self, place: u16) {
        self.slots[place as usize % PLACES] = EMPTY;
        let level = place / SLOTS;
        let occupied = &mut self.occupied[level as usize % LEVELS];
        *occupied &= !(1 << (place % SLOTS));
        if *occupied == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Looks for `next` again, after the first slot may have changed.
    #[inline]
    fn refresh(&mut self) {
        self.next = self.first().map_or(NEVER, |place| self.slots[place as usize % PLACES].earliest);
        if let Some(&(deadline, _)) = self.late.first() {
            self.next = deadline;
        }
    }

    #[cold]
    fn pop_late(&mut self) -> Option<(u32, Nanos)> {
        let &(deadline, key) = self.late.first()?;
        self.cancel(key);
        Some((key, deadline))
    }

    #[cold]
    fn grow(&mut self, key: u32) {
        self.nodes.resize(key as usize + 1, IDLE_NODE);
    }
}

const SLOT_BITS: u32 = 6;
const SLOTS: u16 = 1 << SLOT_BITS;
/// Eleven are used. A power of two makes the bounds check a mask.
const LEVELS: usize = 16;
const PLACES: usize = LEVELS * SLOTS as usize;
/// What an arena has indices for.
const KEYS_MAX: u32 = 1 << 24;
/// No key, and no index of `nodes`: looking for the neighbour at an end finds nothing.
const NIL: u32 = u32::MAX;
/// The place of a node in `late`.
const LATE: u16 = u16::MAX;
/// The place of a node that is not armed.
const IDLE: u16 = u16::MAX - 1;
const IDLE_NODE: Node = Node { deadline: NEVER, next: NIL, prev: NIL, place: IDLE };
const EMPTY: Slot = Slot { earliest: NEVER, head: NIL, tail: NIL };

#[cfg(test)]
mod tests {
    use super::*;

    impl Timers {
        /// What the head of this file says, for every node.
        fn check(&self) {
            let mut seen = self.late.len();
            for (index, slot) in self.slots.iter().enumerate() {
                let (level, digit) = (index / 64, index as u32 % 64);
                assert_eq!(self.occupied[level] >> digit & 1 == 1, slot.head != NIL, "{index}");
                let (mut key, mut prev) = (slot.head, NIL);
                while let Some(node) = self.nodes.get(key as usize) {
                    assert_eq!((node.prev, node.place as usize), (prev, index));
                    assert!(slot.earliest <= node.deadline && node.deadline != NEVER);
                    assert_eq!(self.place(slot.earliest) as usize, index, "the bound is within the slot");
                    (prev, key) = (key, node.next);
                    seen += 1;
                }
                assert_eq!(slot.tail, prev);
            }
            assert!((0..LEVELS).all(|level| (self.levels >> level & 1 == 1) == (self.occupied[level] != 0)));
            assert!(self.late.iter().all(|&(deadline, key)| deadline < self.elapsed && self.deadline(key) == deadline));
            assert_eq!(seen, self.len);
            assert_eq!(self.nodes.iter().filter(|node| node.deadline != NEVER).count(), self.len);
            let first = self.first().map_or(NEVER, |place| self.slots[place as usize].earliest);
            assert_eq!(self.next, self.late.first().map_or(first, |late| late.0));
        }
    }

    fn drain(timers: &mut Timers, now: Nanos) -> Vec<(u32, Nanos)> {
        let due = std::iter::from_fn(|| timers.pop_due(now)).collect();
        assert!(timers.next() > now.min(NEVER - 1));
        timers.check();
        due
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
        }
    }

    #[test]
    fn due_in_order_of_time_and_late_ticks_catch_up() {
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.pop_due(NEVER)), (NEVER, None));
        timers.arm(0, 20_000);
        timers.arm(9, 10);
        timers.arm(2, 3_000_000_000);
        timers.arm(5, NEVER);
        timers.arm(KEYS_MAX, 1);
        timers.arm(NIL, 1);
        assert_eq!((timers.next(), timers.len()), (10, 3));
        assert_eq!(timers.pop_due(9), None);
        timers.cancel(77);
        timers.cancel(5);
        assert_eq!(drain(&mut timers, 10), [(9, 10)]);
        assert_eq!((timers.deadline(0), timers.deadline(9), timers.deadline(NIL)), (20_000, NEVER, NEVER));
        assert_eq!(drain(&mut timers, NEVER), [(0, 20_000), (2, 3_000_000_000)]);
        assert_eq!((timers.next(), timers.is_empty()), (NEVER, true));
    }

    /// A hundred thousand timers in one slot: no call files more of them than it was allowed, and the order stays.
    #[test]
    #[should_panic(expected = "filed in one call")]
    fn a_crowded_slot_is_emptied_in_steps() {
        let mut timers = Timers::default();
        for key in 0..100_000 {
            timers.arm(key, 10_000_000_000 + u64::from(key) * 7_919 % 100_000 * 50_000);
        }
        let (mut last, mut count) = (0, 0);
        while !timers.is_empty() {
            let before = timers.filed;
            if let Some((_, deadline)) = timers.pop_due(NEVER) {
                assert!(deadline >= last);
                (last, count) = (deadline, count + 1);
            }
            assert!(timers.filed - before <= 1_000, "filed in one call: {}", timers.filed - before);
        }
        assert_eq!(count, 100_000);
    }

    #[test]
    fn both_ends_of_time() {
        let mut timers = Timers::default();
        let ends = [(0, NEVER - 1), (1, 0), (2, NEVER - 2), (3, 1 << 63), (4, NEVER - 1)];
        ends.iter().for_each(|&(key, deadline)| timers.arm(key, deadline));
        assert_eq!(drain(&mut timers, 0), [(1, 0)]);
        assert_eq!(drain(&mut timers, NEVER - 2), [(3, 1 << 63), (2, NEVER - 2)]);
        timers.arm(2, 5);
        assert_eq!(drain(&mut timers, NEVER), [(2, 5), (0, NEVER - 1), (4, NEVER - 1)]);
    }

    #[test]
    fn a_later_time_wakes_the_host_once_and_never_overtakes() {
        for sleeps in [false, true] {
            let mut timers = Timers::default();
            timers.arm(1, 100);
            timers.arm(1, 5_000);
            timers.arm(1, 1_000_000);
            timers.arm(2, 900_000);
            assert_eq!((timers.next(), timers.deadline(1)), (100, 1_000_000));
            if sleeps {
                assert_eq!((timers.pop_due(100), timers.next()), (None, 900_000));
            }
            assert_eq!(drain(&mut timers, 1_000_000), [(2, 900_000), (1, 1_000_000)]);
        }
    }

    #[test]
    fn an_earlier_time_counts_at_once() {
        let mut timers = Timers::default();
        timers.arm(1, 1_000_000);
        timers.arm(2, 1_000_010);
        timers.arm(2, 999_990);
        assert_eq!(timers.next(), 999_990, "within the slot");
        timers.arm(1, 40);
        assert_eq!(timers.next(), 40);
        timers.check();
        timers.arm(1, 1_000_000);
        timers.arm(1, 999_999);
        assert_eq!(drain(&mut timers, NEVER), [(2, 999_990), (1, 999_999)]);
    }

    #[test]
    fn armed_into_the_past_is_due_first_in_order() {
        let mut timers = Timers::default();
        timers.arm(0, 1_000);
        assert_eq!(drain(&mut timers, 1_000), [(0, 1_000)]);
        timers.arm(0, 1_001);
        for (key, deadline) in [(1, 700), (2, 300), (3, 700), (4, 999), (5, 1_000)] {
            timers.arm(key, deadline);
        }
        assert_eq!((timers.next(), timers.len()), (300, 6));
        timers.check();
        timers.arm(2, 800);
        timers.cancel(4);
        timers.arm(3, 1_002);
        timers.check();
        assert_eq!(drain(&mut timers, 1_001), [(1, 700), (2, 800), (5, 1_000), (0, 1_001)]);
        timers.arm(3, 0);
        assert_eq!(drain(&mut timers, 0), [(3, 0)]);
        assert_eq!(timers.next(), NEVER);
    }

    #[test]
    fn head_middle_and_tail_are_cancelled() {
        for gone in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut timers = Timers::default();
            (0..3).for_each(|key| timers.arm(key, 5_000 + u64::from(key)));
            for (left, &key) in gone.iter().enumerate() {
                assert_eq!((timers.next(), timers.len()), (5_000, 3 - left), "the bound may stay");
                timers.cancel(key);
                timers.cancel(key);
                timers.check();
            }
            assert_eq!((timers.next(), timers.len()), (NEVER, 0), "but not when nothing is armed");
        }
    }

    #[test]
    fn equal_deadlines_by_the_hundred_thousand() {
        const COUNT: u32 = 100_000;
        let mut timers = Timers::default();
        for key in (0..COUNT).rev() {
            timers.arm(key, 7_777_777_777);
            // Time moves on between the arms, and so do the places.
            if key % 1_000 == 0 {
                timers.arm(COUNT, u64::from(COUNT - key) * 77_000);
                assert!(timers.pop_due(7_777_777_776).is_some());
            }
        }
        assert_eq!(timers.pop_due(7_777_777_776), None);
        assert!(
            drain(&mut timers, 7_777_777_777).iter().map(|due| due.0).eq((0..COUNT).rev()),
            "first armed, first out"
        );
        // All due, and whoever is taken out moves another one away.
        (0..COUNT).for_each(|key| timers.arm(key, 8_000_000_000));
        let mut taken = 0;
        while let Some((key, _)) = timers.pop_due(8_000_000_000) {
            timers.arm(key + 1, 9_000_000_000);
            taken += 1;
        }
        assert_eq!(taken, COUNT / 2);
        timers.check();
        (0..=COUNT).for_each(|key| timers.arm(key, 1));
        assert_eq!(drain(&mut timers, 1).len() as u32, COUNT + 1, "in the past");
    }

    #[test]
    fn moving_owns_no_memory_and_trim_gives_back() {
        let mut timers = Timers::default();
        (0..100).for_each(|key| timers.arm(key, 1_000));
        let bytes = timers.bytes();
        for step in 0..1_000_000_u64 {
            timers.arm((step % 100) as u32, 1_000 + step % 7);
        }
        assert_eq!((timers.bytes(), timers.len()), (bytes, 100));
        (1..100).for_each(|key| timers.cancel(key));
        assert!(timers.trim() >= 99 * size_of::<Node>());
        assert_eq!((timers.trim(), size_of::<Node>()), (0, 24));
        timers.arm(50, 10);
        assert_eq!(drain(&mut timers, NEVER).len(), 2);
    }

    /// Random calls beside a tree. Times lie from nanoseconds to hours ahead, some of them behind.
    fn beside_a_tree(seed: u64, keys: u64, start: Nanos, ops: u32) {
        let mut random = Random(seed);
        let mut timers = Timers::default();
        let mut tree = BTreeSet::new();
        let mut armed = vec![NEVER; keys as usize];
        let mut now = start;
        let horizon = |random: &mut Random| {
            let unit = [1, 30, 1_000, 1_000_000, 1_000_000_000, 3_600_000_000_000][random.below(6) as usize];
            random.below(100) * unit + random.below(3)
        };
        for op in 0..ops {
            let key = random.below(keys) as u32;
            let before = armed[key as usize];
            match random.below(10) {
                0..=4 => {
                    let ahead = horizon(&mut random);
                    let deadline = match random.below(20) {
                        0 => NEVER,
                        1 => now.saturating_sub(ahead),
                        2 => NEVER - 1 - random.below(3),
                        3..=9 if before != NEVER => before.saturating_add(ahead % 100),
                        10..=12 if before != NEVER => before.saturating_sub(ahead % 100),
                        _ => now.saturating_add(ahead),
                    };
                    timers.arm(key, deadline);
                    tree.remove(&(before, key));
                    armed[key as usize] = deadline;
                    if deadline != NEVER {
                        tree.insert((deadline, key));
                    }
                }
                5 => {
                    timers.cancel(key);
                    tree.remove(&(before, key));
                    armed[key as usize] = NEVER;
                }
                _ => {
                    // Half the hosts sleep until the deadline they were told, the others are late.
                    let ahead = horizon(&mut random) / 50;
                    let told = timers.next();
                    let sleeps = random.below(2) == 0 && told.saturating_sub(now) < 1 << 60;
                    now = if sleeps { now.max(told) } else { now.saturating_add(ahead) };
                    now = now.min(NEVER - 1);
                    let mut limit = random.below(2 * keys);
                    loop {
                        let first = tree.first().copied().filter(|first| first.0 <= now);
                        let due = timers.pop_due(now);
                        assert_eq!(due.map(|due| due.1), first.map(|first| first.0), "{op}");
                        let Some((key, deadline)) = due else {
                            assert!(timers.next() > now, "{op}");
                            break;
                        };
                        assert!(tree.remove(&(deadline, key)), "{op}: armed, and for then");
                        armed[key as usize] = NEVER;
                        if limit == 0 {
                            break;
                        }
                        limit -= 1;
                    }
                }
            }
            assert_eq!((timers.len(), timers.deadline(key)), (tree.len(), armed[key as usize]), "{op}");
            assert!(timers.next() <= tree.first().map_or(NEVER, |first| first.0), "{op}");
            assert_eq!(timers.next() == NEVER, tree.is_empty(), "{op}");
            if op % 128 == 0 {
                timers.check();
            }
        }
    }

    #[test]
    fn like_a_tree() {
        for (seed, keys) in [(1, 2), (2, 7), (3, 60), (4, 1_000)] {
            beside_a_tree(seed, keys, 0, 50_000);
            beside_a_tree(seed + 10, keys, 1_700_000_000_000_000_000, 20_000);
            beside_a_tree(seed + 20, keys, NEVER - 5_000_000_000, 5_000);
        }
    }
}
