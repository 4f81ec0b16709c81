//! A pool of equal slots in chunks that never move: taking and giving back is a few instructions, a steady state
//! allocates nothing, and nothing goes back to the system until the owner asks ([`Pool::trim`]).

/// Where a value lives in its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Slot(u32);

impl Slot {
    /// For an owner that keeps the slot in a number.
    #[inline]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// The inverse of [`Slot::to_bits`].
    #[inline]
    pub fn from_bits(bits: u32) -> Slot {
        Slot(bits)
    }
}

/// Equal slots of `T` in chunks of 64.
#[derive(Debug)]
pub struct Pool<T> {
    chunks: Vec<Chunk<T>>,
    /// Chunks with at least one free slot.
    open: Vec<u32>,
    used: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    /// Empty once the chunk's memory was given back.
    values: Box<[T]>,
    /// One bit for each slot in use.
    used: u64,
}

impl<T: Clone + Default> Pool<T> {
    /// A pool that owns no memory yet.
    pub fn new() -> Self {
        Pool { chunks: Vec::new(), open: Vec::new(), used: 0 }
    }

    /// Slots in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes of slots this pool owns, in use or not.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| std::mem::size_of_val(&*chunk.values)).sum()
    }

    /// A slot, with whatever its last user left in it, or `None` when the pool has 2^31 of them.
    #[inline]
    pub fn take(&mut self) -> Option<(Slot, &mut T)> {
        let index = match self.open.last() {
            Some(&index) => index,
            None => self.grow()?,
        };
        let chunk = self.chunks.get_mut(index as usize)?;
        let offset = (!chunk.used).trailing_zeros() & (CHUNK as u32 - 1);
        chunk.used |= 1 << offset;
        if chunk.used == u64::MAX {
            self.open.pop();
        }
        self.used += 1;
        Some((Slot(index << CHUNK_BITS | offset), chunk.values.get_mut(offset as usize)?))
    }

    /// Gives a slot back. One that is not in use is left alone.
    #[inline]
    pub fn put(&mut self, slot: Slot) {
        let (index, offset) = (slot.0 >> CHUNK_BITS, slot.0 & (CHUNK as u32 - 1));
        if let Some(chunk) = self.chunks.get_mut(index as usize) {
            if chunk.used & (1 << offset) != 0 {
                if chunk.used == u64::MAX {
                    self.open.push(index);
                }
                chunk.used &= !(1 << offset);
                self.used -= 1;
            }
        }
    }

    /// What is in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.chunks.get((slot.0 >> CHUNK_BITS) as usize)?.values.get(slot.0 as usize & (CHUNK - 1))
    }

    /// What is in a slot, to change it.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.chunks.get_mut((slot.0 >> CHUNK_BITS) as usize)?.values.get_mut(slot.0 as usize & (CHUNK - 1))
    }

    /// Gives the memory of chunks that nobody uses back to the system, and says how many bytes that was.
    pub fn trim(&mut self) -> usize {
        let before = self.bytes();
        for chunk in &mut self.chunks {
            if chunk.used == 0 {
                chunk.values = Box::default();
            }
        }
        // The tail goes whole; a hole in the middle keeps its number, and is filled first when memory is needed again.
        while self.chunks.last().is_some_and(|chunk| chunk.values.is_empty()) {
            self.chunks.pop();
        }
        let chunks = &self.chunks;
        self.open.retain(|&index| chunks.get(index as usize).is_some_and(|chunk| !chunk.values.is_empty()));
        self.open.shrink_to_fit();
        before - self.bytes()
    }

    /// Everything in use, in order of slot.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.chunks.iter().enumerate().flat_map(|(index, chunk)| {
            chunk.values.iter().enumerate().filter_map(move |(offset, value)| {
                let slot = Slot((index << CHUNK_BITS | offset) as u32);
                (chunk.used & (1 << offset) != 0).then_some((slot, value))
            })
        })
    }

    #[cold]
    fn grow(&mut self) -> Option<u32> {
        let values = || vec![T::default(); CHUNK].into_boxed_slice();
        let hole = self.chunks.iter().position(|chunk| chunk.values.is_empty());
        let index = match hole {
            Some(index) => {
                self.chunks[index].values = values();
                index
            }
            None if self.chunks.len() < CHUNKS_MAX => {
                self.chunks.push(Chunk { values: values(), used: 0 });
                self.chunks.len() - 1
            }
            None => return None,
        };
        self.open.push(index as u32);
        Some(index as u32)
    }
}

impl<T: Clone + Default> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}

const CHUNK_BITS: u32 = 6;
const CHUNK: usize = 1 << CHUNK_BITS;
/// Slots fit into 31 bits: a user can put a mark of its own into the highest.
const CHUNKS_MAX: usize = (1 << (31 - CHUNK_BITS)) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn slots_are_distinct_and_come_back() {
        let mut pool = Pool::<u64>::new();
        let mut seen = HashSet::new();
        let slots: Vec<Slot> = (0..200)
            .map(|value| {
                let (slot, place) = pool.take().unwrap();
                *place = value;
                assert!(seen.insert(slot.to_bits()));
                slot
            })
            .collect();
        assert_eq!(pool.used(), 200);
        assert!(slots.iter().enumerate().all(|(value, &slot)| pool.get(slot) == Some(&(value as u64))));
        let bytes = pool.bytes();
        for &slot in &slots {
            pool.put(slot);
            pool.put(slot);
        }
        assert_eq!((pool.used(), pool.bytes()), (0, bytes), "nothing is given back unasked");
        for _ in 0..256 {
            pool.take().unwrap();
        }
        assert_eq!(pool.bytes(), bytes, "and what was kept is used first");
    }

    #[test]
    fn trim_frees_only_whole_unused_chunks() {
        let mut pool = Pool::<u64>::new();
        let slots: Vec<Slot> = (0..192).map(|_| pool.take().unwrap().0).collect();
        for &slot in slots.iter().take(100) {
            pool.put(slot);
        }
        assert_eq!(pool.trim(), 64 * 8, "the first chunk of three");
        assert_eq!(pool.iter().count(), 92);
        let reused: Vec<Slot> = (0..100).map(|_| pool.take().unwrap().0).collect();
        assert_eq!(pool.bytes(), 192 * 8, "a hole is filled before the pool grows");
        for slot in slots.into_iter().skip(100).chain(reused) {
            pool.put(slot);
        }
        assert_eq!(pool.trim(), 192 * 8);
        assert_eq!(pool.bytes(), 0);
        assert!(pool.take().is_some());
    }
}
