//! The deadlines of one engine: a hierarchical timing wheel that keeps exact nanoseconds, made for a million timers of
//! which every cell moves one.
//!
//! A slot of level 0 is one nanosecond wide, a slot of level 1 is 64 ns wide, and so on: eleven levels hold every u64.
//! The highest bit in which a deadline differs from `elapsed` gives the level, and the six bits of that level give the
//! slot. So all timers of a level come before those of the levels above, the slots of a level are in order of time, and
//! the first slot in use holds the next deadline.
//!
//! This stays true because `elapsed` only grows, and only to the lower bound of the first slot, when that slot is being
//! emptied or loses its first timer. It passes no other slot's beginning, so no other timer's place changes.
//!
//! A crowded slot is emptied in steps. Until it is empty nothing else is taken out, as a timer left in it may come
//! first. New timers are filed as if it were empty already.
//!
//! A timer that moves to a later time (as one does with every cell) stays in its slot: only its deadline changes. It is
//! filed anew when the wheel comes to that slot, which costs the host at most one early wake-up.

use super::time::{Nanos, NEVER};
use std::collections::BTreeSet;

/// One deadline for each key, taken out in order of time.
///
/// Keys are small and dense (indices of an arena): memory depends on the largest key ever armed, 24 bytes for each key.
///
/// Equal deadlines fall due in the order in which they were armed; a timer that was moved to a later time gets its
/// place when the wheel comes to its old slot. The order depends on nothing but the calls, so a run can be repeated.
#[derive(Debug)]
pub struct Timers {
    /// A lower bound of all deadlines, kept as a field because every feed compares with it.
    next: Nanos,
    /// The time to which places are relative. No deadline in the wheel is earlier.
    elapsed: Nanos,
    len: usize,
    /// Bit n: level n has a slot in use.
    levels: u32,
    /// For each level, bit n: its slot n is in use.
    occupied: [u64; LEVELS],
    slots: Box<[WheelSlot; PLACES]>,
    nodes: Vec<Node>,
    /// Timers armed for a time before `elapsed`, in order. They are rare, so a tree is fast enough.
    late: BTreeSet<(Nanos, u32)>,
    /// The slot that is being emptied, or [`IDLE`].
    emptying: u16,
    /// Number of timers filed, for tests of how much one call does.
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
struct WheelSlot {
    /// A lower bound of the deadlines filed here, and itself a time of this slot. Exact until a timer moves or is
    /// cancelled.
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
            emptying: IDLE,
            #[cfg(test)]
            filed: 0,
        }
    }
}

impl Timers {
    /// When to call [`Timers::pop_due`]: never later than the earliest deadline, and [`NEVER`] when no timer is armed.
    /// It may be too early once for each timer that was moved or cancelled.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Number of armed timers.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when no timer is armed.
    #[inline]
    #[allow(dead_code, reason = "goes with len()")]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The deadline of a timer, or [`NEVER`] when it is not armed.
    #[inline]
    pub fn deadline(&self, key: u32) -> Nanos {
        self.nodes.get(key as usize).map_or(NEVER, |node| node.deadline)
    }

    /// Arms a timer, or moves it when it is armed. [`NEVER`] cancels it; a key of 2^24 or more arms nothing.
    #[inline]
    pub fn arm(&mut self, key: u32, deadline: Nanos) {
        match self.nodes.get_mut(key as usize) {
            // A timer that is not armed has the deadline `NEVER`, and no time is later.
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

    /// Takes the earliest timer that is due at `now`, with its deadline. `steps` counts down with each timer that is
    /// filed anew on the way. After `None` either [`Timers::next`] is later than `now`, so that no host spins, or the
    /// steps have run out and more may be due.
    ///
    /// Each turn of the loop takes a timer out, or files timers on a lower level or in a later slot: arming a timer
    /// pays for at most eleven of these moves.
    pub fn pop_due(&mut self, now: Nanos, steps: &mut u32) -> Option<(u32, Nanos)> {
        let now = now.min(NEVER - 1);
        while self.next <= now {
            if !self.late.is_empty() {
                return self.pop_late();
            }
            if self.emptying != IDLE {
                if *steps == 0 {
                    return None;
                }
                self.cascade(steps);
                continue;
            }
            let place = self.first()?;
            let level = place / SLOTS;
            let WheelSlot { earliest, head: key, tail } = self.slots[place as usize % PLACES];
            // At level 0 the others have the same deadline, or were moved: each is looked at when it is the first.
            if level > 0 && key != tail {
                (self.elapsed, self.emptying) = (earliest, place);
                continue;
            }
            let Node { deadline, next, .. } = *self.nodes.get(key as usize)?;
            // A deadline beyond the end of the slot was moved, and other timers may come before it.
            let is_due = deadline <= now && (deadline ^ earliest) >> (SLOT_BITS * u32::from(level)) == 0;
            if !is_due && *steps == 0 {
                return None;
            }
            self.elapsed = earliest;
            self.drop_head(place, next);
            if is_due {
                self.disarm(key);
                return Some((key, deadline));
            }
            *steps -= 1;
            self.file(key, deadline, self.place(deadline));
            self.next = self.next.min(deadline);
        }
        None
    }

    /// Bytes of memory owned.
    pub fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + size_of_val(&*self.slots)
            + self.late.len() * size_of::<(Nanos, u32)>()
    }

    /// Frees the memory of keys above the largest that is armed. Returns the bytes freed.
    pub fn trim(&mut self) -> usize {
        let before = self.bytes();
        let used = self.nodes.iter().rposition(|node| node.deadline != NEVER).map_or(0, |last| last + 1);
        self.nodes.truncate(used);
        self.nodes.shrink_to_fit();
        before - self.bytes()
    }

    /// Arms a timer that is not armed, and has a node.
    #[inline(always)]
    fn begin(&mut self, key: u32, deadline: Nanos) {
        self.len += 1;
        self.file(key, deadline, self.place(deadline));
        self.next = self.next.min(deadline);
    }

    /// Arms a timer that does not just move to a later time.
    fn place_anew(&mut self, key: u32, deadline: Nanos) {
        if deadline != NEVER && self.nodes.get(key as usize).is_some_and(|node| node.place == IDLE) {
            return self.begin(key, deadline);
        }
        self.place_elsewhere(key, deadline);
    }

    /// Cancels a timer, arms one that has no node yet, or moves one to an earlier time.
    #[inline(never)]
    fn place_elsewhere(&mut self, key: u32, deadline: Nanos) {
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
        // Right without a look at the first slot: only a deadline below its lower bound comes before it.
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

    /// Appends a node to its slot. The caller updates `next`.
    #[inline(always)]
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

    /// Takes an armed node out of its slot. Its own fields stay as they are.
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

    /// Takes the first node out of a slot; `next` comes behind it. Its own fields stay as they are.
    #[inline]
    fn drop_head(&mut self, place: u16, next: u32) {
        match self.nodes.get_mut(next as usize) {
            Some(node) => {
                node.prev = NIL;
                self.slots[place as usize % PLACES].head = next;
            }
            None => {
                self.vacate(place);
                self.refresh();
            }
        }
    }

    fn disarm(&mut self, key: u32) {
        self.nodes[key as usize] = IDLE_NODE;
        self.len -= 1;
    }

    /// Files nodes of the slot that is being emptied anew, as many as there are steps. `elapsed` is within that slot,
    /// so they go to a lower level or a later slot.
    fn cascade(&mut self, steps: &mut u32) {
        let place = self.emptying;
        let mut key = self.slots[place as usize % PLACES].head;
        while let Some(&Node { deadline, next, .. }) = self.nodes.get(key as usize).filter(|_| *steps > 0) {
            *steps -= 1;
            self.file(key, deadline, self.place(deadline));
            key = next;
        }
        self.drop_head(place, key);
    }

    /// Marks a slot as not in use.
    #[inline]
    fn vacate(&mut self, place: u16) {
        if place == self.emptying {
            self.emptying = IDLE;
        }
        self.slots[place as usize % PLACES] = EMPTY;
        let level = place / SLOTS;
        let occupied = &mut self.occupied[level as usize % LEVELS];
        *occupied &= !(1 << (place % SLOTS));
        if *occupied == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Computes `next` anew, after the first slot may have changed.
    #[inline]
    fn refresh(&mut self) {
        self.next = self.first().map_or(NEVER, |place| self.slots[place as usize % PLACES].earliest);
        if self.emptying != IDLE {
            // A timer left in that slot can be as early.
            self.next = self.elapsed;
        }
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
/// Eleven levels are used. A power of two makes the bounds check a mask.
const LEVELS: usize = 16;
const PLACES: usize = LEVELS * SLOTS as usize;
/// Keys are indices of an arena.
const KEYS_MAX: u32 = 1 << 24;
/// No key, and no index of `nodes`: the look for a neighbour at an end finds nothing.
const NIL: u32 = u32::MAX;
/// The place of a node in `late`.
const LATE: u16 = u16::MAX;
/// The place of a node that is not armed.
const IDLE: u16 = u16::MAX - 1;
const IDLE_NODE: Node = Node { deadline: NEVER, next: NIL, prev: NIL, place: IDLE };
const EMPTY: WheelSlot = WheelSlot { earliest: NEVER, head: NIL, tail: NIL };

#[cfg(test)]
mod tests;
