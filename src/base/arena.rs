//! Generational ids: each names one thing inside an engine. An id whose thing is gone is recognised as stale, and an id
//! that another engine gave out as foreign.
//!
//! An id is 64 bits: index (24) · generation (24) · owner (16). Generations start at 1, so no id is 0. A slot whose
//! generation would wrap is retired, so an engine never gives out the same id twice.

use std::mem::offset_of;

/// An id as it crosses the C ABI, packed into 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Id(pub u64);

impl Id {
    /// The id that names nothing.
    pub const NONE: Id = Id(0);

    /// The index of the slot, for an owner that has just checked the id.
    #[inline]
    pub fn index(self) -> u32 {
        (self.0 as u32) & INDEX_MASK
    }

    /// The arena, and so the engine, that gave the id out.
    pub fn owner(self) -> u16 {
        (self.0 >> 48) as u16
    }

    fn generation(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32 & GENERATION_MAX
    }

    #[inline]
    fn pack(owner: u16, generation: u32, index: u32) -> Id {
        Id(u64::from(owner) << 48 | u64::from(generation) << INDEX_BITS | u64::from(index))
    }
}

/// The reason why an id names nothing in an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdError {
    /// The id is 0.
    Zero,
    /// Another owner gave it out.
    Foreign,
    /// It named something that is gone.
    Stale,
}

/// Things of one kind, named by ids.
///
/// ```
/// use circflow::base::{Arena, IdError};
/// let mut arena = Arena::new(7, 10);
/// let id = arena.insert("a leg").unwrap();
/// assert_eq!(arena.lookup(id), Ok(&"a leg"));
/// arena.remove(id);
/// assert_eq!(arena.lookup(id), Err(IdError::Stale));
/// ```
#[derive(Debug)]
pub struct Arena<T> {
    slots: Vec<Entry<T>>,
    vacant: Vec<u32>,
    /// The last generations of slots that were trimmed, that of the next slot last: no id is given out twice.
    trimmed: Vec<u32>,
    len: u32,
    cap: u32,
    owner: u16,
}

/// What comes first in a thing stands beside its id. (No alignment to a line: then a table could not grow in place.)
#[derive(Debug)]
#[repr(C)]
struct Entry<T> {
    /// The whole id of the thing in this slot: one comparison tells living, stale and foreign ids apart. A vacant slot
    /// keeps the last id, but with the index of another slot, so that no look-up matches it.
    id: u64,
    /// The default while vacant, so that a look-up needs nothing but the id.
    value: T,
}

/// Where pointers are shorter, or loom's types are larger, nothing is promised of how things lie in memory.
pub const LAYOUT_IS_KNOWN: bool = cfg!(all(not(loom), target_pointer_width = "64"));
/// Bytes in a line of the processor's cache.
pub const LINE: usize = 64;
/// Bytes that stand in one line also where a table begins 16 bytes behind a line's beginning: so large blocks of glibc
/// do.
pub const NEAR: usize = 48;

impl<T> Arena<T> {
    /// Bytes of a slot.
    pub const SLOT: usize = size_of::<Entry<T>>();
    /// Where in its slot a thing begins, after its id.
    pub const AFTER_ID: usize = offset_of!(Entry<T>, value);
}

impl<T: Default> Arena<T> {
    /// An arena whose ids carry `owner`, for at most `cap` things at a time (and never more than 2^24).
    pub fn new(owner: u16, cap: u32) -> Self {
        let (slots, vacant, trimmed) = (Vec::new(), Vec::new(), Vec::new());
        Arena { slots, vacant, trimmed, len: 0, cap: cap.min(1 << INDEX_BITS), owner }
    }

    /// Number of things in the arena.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// True when the arena holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True when [`Arena::insert`] would refuse.
    pub fn is_full(&self) -> bool {
        self.len >= self.cap || (self.vacant.is_empty() && self.slots.len() >= 1 << INDEX_BITS)
    }

    /// Stores a thing and returns its id, or gives the thing back when the arena is full.
    pub fn insert(&mut self, value: T) -> Result<Id, T> {
        if self.is_full() {
            return Err(value);
        }
        let index = match self.vacant.pop() {
            Some(index) => index,
            None => {
                let index = self.slots.len() as u32;
                let generation = self.trimmed.pop().unwrap_or(0);
                self.grow();
                self.slots.push(Entry { id: vacant(Id::pack(self.owner, generation, index)), value: T::default() });
                index
            }
        };
        let slot = &mut self.slots[index as usize];
        let id = Id::pack(self.owner, Id(slot.id).generation() + 1, index);
        slot.id = id.0;
        slot.value = value;
        self.len += 1;
        Ok(id)
    }

    /// Makes room for one more slot, and for a sixteenth more than there are: less of it stays empty than by doubling,
    /// and for each slot that is added, some sixteen are moved at most, taken all in all.
    fn grow(&mut self) {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact((self.slots.len() / 16).max(4));
        }
    }

    /// Takes a thing out; its id is stale from now on. `None` when the id names nothing.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slots.get_mut(id.index() as usize).filter(|slot| slot.id == id.0)?;
        slot.id = vacant(id);
        let value = std::mem::take(&mut slot.value);
        self.len -= 1;
        if id.generation() < GENERATION_MAX {
            self.vacant.push(id.index());
        }
        Some(value)
    }

    /// Gives the slots behind the last thing back, but for 4 bytes each. Returns the bytes freed.
    pub fn trim(&mut self) -> usize {
        let before = self.capacity();
        while let Some(slot) = self.slots.last() {
            let (id, index) = (Id(slot.id), self.slots.len() as u32 - 1);
            // A retired slot has no generation left.
            if id.index() == index || id.generation() == GENERATION_MAX {
                break;
            }
            self.trimmed.push(id.generation());
            self.slots.pop();
        }
        let kept = self.slots.len() as u32;
        self.vacant.retain(|&index| index < kept);
        self.slots.shrink_to_fit();
        self.vacant.shrink_to_fit();
        before.saturating_sub(self.capacity())
    }

    fn capacity(&self) -> usize {
        let numbers = self.vacant.capacity() + self.trimmed.capacity();
        self.slots.capacity() * size_of::<Entry<T>>() + numbers * size_of::<u32>()
    }

    /// The thing an id names.
    #[inline]
    pub fn get(&self, id: Id) -> Option<&T> {
        match self.slots.get(id.index() as usize) {
            Some(slot) if slot.id == id.0 => Some(&slot.value),
            _ => None,
        }
    }

    /// The thing an id names, mutable.
    #[inline]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.slots.get_mut(id.index() as usize) {
            Some(slot) if slot.id == id.0 => Some(&mut slot.value),
            _ => None,
        }
    }

    /// The thing of an id that is known to be alive, found without another comparison of ids.
    #[inline(always)]
    pub fn living_mut(&mut self, id: Id) -> Option<&mut T> {
        debug_assert!(self.get(id).is_some(), "{id:?} is alive");
        self.slots.get_mut(id.index() as usize).map(|slot| &mut slot.value)
    }

    /// True for an id that this arena gave out, alive or stale.
    #[inline]
    pub fn is_ours(&self, id: Id) -> bool {
        (id.0 >> 48) as u16 == self.owner
    }

    /// The values of all slots: the things, and the defaults in vacant slots.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.value)
    }

    /// Like [`Arena::all`], mutable.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().map(|slot| &mut slot.value)
    }

    /// The thing in slot `index`, with its id. `None` when the slot is vacant.
    pub fn at(&mut self, index: u32) -> Option<(Id, &mut T)> {
        let slot = self.slots.get_mut(index as usize)?;
        let id = Id(slot.id);
        (id.index() == index).then_some((id, &mut slot.value))
    }

    /// Like [`Arena::get`], with the reason when the id names nothing.
    pub fn lookup(&self, id: Id) -> Result<&T, IdError> {
        self.get(id).ok_or_else(|| self.reason(id))
    }

    /// The reason why an id names nothing. Only for an id whose look-up has failed.
    #[cold]
    pub fn reason(&self, id: Id) -> IdError {
        if id == Id::NONE {
            IdError::Zero
        } else if !self.is_ours(id) {
            IdError::Foreign
        } else {
            IdError::Stale
        }
    }
}

/// The id that a vacant slot keeps: the last one, with the index of another slot.
fn vacant(id: Id) -> u64 {
    id.0 ^ 1
}

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MAX: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_foreign_and_stale_are_told_apart() {
        let mut ours = Arena::new(1, 4);
        let mut theirs = Arena::new(2, 4);
        let a = ours.insert('a').unwrap();
        let b = theirs.insert('b').unwrap();
        assert_eq!(ours.lookup(Id::NONE), Err(IdError::Zero));
        assert_eq!(ours.lookup(b), Err(IdError::Foreign));
        assert_eq!(ours.remove(a), Some('a'));
        assert_eq!(ours.remove(a), None, "gone is gone");
        let again = ours.insert('c').unwrap();
        assert_eq!(again.index(), a.index(), "the slot is used again");
        assert_ne!(again, a, "under another name");
        assert_eq!(ours.lookup(a), Err(IdError::Stale));
        assert_eq!(ours.lookup(again), Ok(&'c'));
        assert!(ours.get(Id::NONE).is_none() && ours.remove(Id::NONE).is_none());
    }

    #[test]
    fn a_vacant_slot_is_not_found_by_id_zero() {
        let mut arena = Arena::new(0, 4);
        let id = arena.insert(1).unwrap();
        arena.remove(id);
        assert_eq!(arena.get(Id::NONE), None);
        assert_eq!(arena.get_mut(Id::NONE), None);
        assert_eq!(arena.len(), 0, "and removing it twice does not count twice");
    }

    #[test]
    fn full_at_the_cap_not_below() {
        let mut arena = Arena::new(1, 2);
        let a = arena.insert(1).unwrap();
        assert!(!arena.is_full());
        arena.insert(2).unwrap();
        assert_eq!(arena.insert(3), Err(3));
        arena.remove(a);
        assert!(arena.insert(3).is_ok());
    }

    #[test]
    fn no_id_comes_twice_although_slots_are_trimmed() {
        let mut arena = Arena::new(1, 1000);
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..5 {
            let ids: Vec<Id> = (0..100).map(|n| arena.insert([n; 16]).unwrap()).collect();
            assert!(ids.iter().all(|&id| seen.insert(id)), "{round}");
            // The thing in the middle stays, and is found.
            for &id in ids.iter().filter(|id| id.index() != 50) {
                arena.remove(id);
            }
            assert!(arena.trim() > 0);
            assert_eq!((arena.slots.len(), arena.len()), (51, 1));
            assert!(ids.iter().filter(|id| id.index() != 50).all(|&id| arena.lookup(id) == Err(IdError::Stale)));
            let middle = Id(arena.slots[50].id);
            assert!(arena.remove(middle).is_some());
            arena.trim();
            assert!(arena.slots.is_empty() && arena.capacity() <= 4 * 128, "{}", arena.capacity());
        }
        assert_eq!(arena.trim(), 0);
    }

    #[test]
    fn a_slot_whose_generation_would_wrap_is_retired() {
        let mut arena = Arena::new(1, 4);
        let first = arena.insert(0).unwrap();
        arena.remove(first);
        arena.slots[0].id = vacant(Id::pack(1, GENERATION_MAX - 1, 0));
        let last = arena.insert(1).unwrap();
        assert_eq!(last.index(), 0);
        arena.remove(last);
        let next = arena.insert(2).unwrap();
        assert_eq!(next.index(), 1, "slot 0 has no names left");
        arena.remove(next);
        arena.trim();
        assert_eq!(arena.slots.len(), 1, "and is not forgotten");
        assert_eq!(arena.insert(3).unwrap().index(), 1);
    }
}
