//! The wheel compared with a tree, and its edge cases.

use super::*;

impl Timers {
    /// Checks what the head of timer.rs promises, for every node.
    fn check(&self) {
        let mut seen = self.late.len();
        for (index, slot) in self.slots.iter().enumerate() {
            let (level, digit) = (index / 64, index as u32 % 64);
            assert_eq!(self.occupied[level] >> digit & 1 == 1, slot.head != NIL, "{index}");
            let (mut key, mut prev) = (slot.head, NIL);
            while let Some(node) = self.nodes.get(key as usize) {
                assert_eq!((node.prev, node.place as usize), (prev, index));
                assert!(slot.earliest <= node.deadline && node.deadline != NEVER);
                let is_emptied = index == self.emptying as usize;
                assert!(is_emptied || self.place(slot.earliest) as usize == index, "the bound is within the slot");
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
        let first = if self.emptying == IDLE { first } else { self.elapsed };
        assert_eq!(self.next, self.late.first().map_or(first, |late| late.0));
    }
}

const ALL: u32 = u32::MAX;

fn drain(timers: &mut Timers, now: Nanos) -> Vec<(u32, Nanos)> {
    let due = std::iter::from_fn(|| timers.pop_due(now, &mut { ALL })).collect();
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
    assert_eq!((timers.next(), timers.pop_due(NEVER, &mut { ALL })), (NEVER, None));
    timers.arm(0, 20_000);
    timers.arm(9, 10);
    timers.arm(2, 3_000_000_000);
    timers.arm(5, NEVER);
    timers.arm(KEYS_MAX, 1);
    timers.arm(NIL, 1);
    assert_eq!((timers.next(), timers.len()), (10, 3));
    assert_eq!(timers.pop_due(9, &mut { ALL }), None);
    timers.cancel(77);
    timers.cancel(5);
    assert_eq!(drain(&mut timers, 10), [(9, 10)]);
    assert_eq!((timers.deadline(0), timers.deadline(9), timers.deadline(NIL)), (20_000, NEVER, NEVER));
    assert_eq!(drain(&mut timers, NEVER), [(0, 20_000), (2, 3_000_000_000)]);
    assert_eq!((timers.next(), timers.is_empty()), (NEVER, true));
}

/// A hundred thousand timers in one slot: no call files more of them than it was allowed, and the order stays.
#[test]
fn a_crowded_slot_is_emptied_in_steps() {
    let mut timers = Timers::default();
    for key in 0..100_000 {
        timers.arm(key, 10_000_000_000 + u64::from(key) * 7_919 % 100_000 * 50_000);
    }
    let (mut last, mut count) = (0, 0);
    while !timers.is_empty() {
        let before = timers.filed;
        if let Some((_, deadline)) = timers.pop_due(NEVER, &mut 1_000) {
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
            assert_eq!((timers.pop_due(100, &mut { ALL }), timers.next()), (None, 900_000));
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
            assert!(timers.pop_due(7_777_777_776, &mut { ALL }).is_some());
        }
    }
    assert_eq!(timers.pop_due(7_777_777_776, &mut { ALL }), None);
    assert!(drain(&mut timers, 7_777_777_777).iter().map(|due| due.0).eq((0..COUNT).rev()), "first armed, first out");
    // All are due, and each that is taken out moves another one away.
    (0..COUNT).for_each(|key| timers.arm(key, 8_000_000_000));
    let mut taken = 0;
    while let Some((key, _)) = timers.pop_due(8_000_000_000, &mut { ALL }) {
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

/// Makes the same random calls on the wheel and on a tree. Times lie from nanoseconds to hours ahead, some behind.
fn beside_a_tree(step_by: u32, seed: u64, keys: u64, start: Nanos, ops: u32) {
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
                    // A few steps at a time, or as many as it takes.
                    let mut steps = if step_by == 0 { ALL } else { step_by };
                    let due = timers.pop_due(now, &mut steps);
                    if due.is_none() && timers.next() <= now {
                        assert!(steps == 0 && first.is_none_or(|first| timers.next() <= first.0), "{op}");
                        // Others may be armed, moved and cancelled before it goes on.
                        if random.below(4) == 0 {
                            break;
                        }
                        continue;
                    }
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
        for step_by in [0, 1, 5] {
            beside_a_tree(step_by, seed, keys, 0, 30_000);
            beside_a_tree(step_by, seed + 10, keys, 1_700_000_000_000_000_000, 15_000);
            beside_a_tree(step_by, seed + 20, keys, NEVER - 5_000_000_000, 5_000);
        }
    }
}
