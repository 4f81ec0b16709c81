//! A pool of equal slots in chunks that never move. Taking and giving back costs a few instructions, a steady state
//! allocates nothing, and memory goes back to the system only when the owner asks ([`Pool::trim`]).

/// The place of a value in its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Slot(u32);

impl Slot {
    /// The slot as a number below 2^31.
    #[inline]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// The slot for a number from [`Slot::to_bits`].
    #[inline]
    pub fn from_bits(bits: u32) -> Slot {
        Slot(bits)
    }
}

/// Equal slots of `T` in chunks of 64.
#[derive(Debug)]
pub struct Pool<T> {
    /// A chunk whose memory was given back leaves `None`, so that the others keep their numbers.
    chunks: Vec<Option<Box<[T; CHUNK]>>>,
    /// Free slots; the last is given out next. Has room for all slots, so that giving one back never allocates.
    free: Vec<u32>,
    holes: usize,
}

impl<T: Clone + Default> Pool<T> {
    /// A pool that owns no memory yet.
    pub fn new() -> Self {
        Pool { chunks: Vec::new(), free: Vec::new(), holes: 0 }
    }

    /// Number of slots in use.
    pub fn used(&self) -> usize {
        self.slots() - self.free.len()
    }

    /// Number of slots that this pool owns, in use or not.
    fn slots(&self) -> usize {
        (self.chunks.len() - self.holes) << CHUNK_BITS
    }

    /// Bytes of all slots this pool owns, in use or not.
    pub fn bytes(&self) -> usize {
        self.slots() * size_of::<T>()
    }

    /// Takes a slot, which holds what its last user left there. `None` when the pool has 2^31 slots.
    #[inline(always)]
    pub fn take(&mut self) -> Option<(Slot, &mut T)> {
        let slot = match self.take_free() {
            Some(slot) => slot,
            None => Slot(self.grow()?),
        };
        Some((slot, self.get_mut(slot)?))
    }

    /// Takes a slot that is free already. `None` when the pool has to grow first.
    #[inline(always)]
    pub fn take_free(&mut self) -> Option<Slot> {
        self.free.pop().map(Slot)
    }

    /// Gives back a slot, once for each time it was taken.
    #[inline]
    pub fn put(&mut self, slot: Slot) {
        put(&mut self.free, slot);
    }

    /// Gives back a slot if `wanted` says so of its value, which stays as it is until the slot is taken again.
    #[inline(always)]
    pub fn put_if(&mut self, slot: Slot, wanted: impl FnOnce(&T) -> Option<()>) -> Option<&T> {
        let value = &self.chunks.get((slot.0 >> CHUNK_BITS) as usize)?.as_deref()?[slot.0 as usize % CHUNK];
        wanted(value)?;
        put(&mut self.free, slot);
        Some(value)
    }

    /// The value in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        Some(&self.chunks.get((slot.0 >> CHUNK_BITS) as usize)?.as_deref()?[slot.0 as usize % CHUNK])
    }

    /// The value in a slot, mutable.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        Some(&mut self.chunks.get_mut((slot.0 >> CHUNK_BITS) as usize)?.as_deref_mut()?[slot.0 as usize % CHUNK])
    }

    /// Gives the memory of unused chunks back to the system. Returns the bytes freed.
    pub fn trim(&mut self) -> usize {
        let before = self.bytes();
        let mut free_in = vec![0; self.chunks.len()];
        for &slot in &self.free {
            free_in[(slot >> CHUNK_BITS) as usize] += 1;
        }
        self.free.retain(|&slot| free_in[(slot >> CHUNK_BITS) as usize] < CHUNK);
        for (chunk, _) in self.chunks.iter_mut().zip(free_in).filter(|&(_, free)| free == CHUNK) {
            *chunk = None;
        }
        while self.chunks.last().is_some_and(Option::is_none) {
            self.chunks.pop();
        }
        self.holes = self.chunks.iter().filter(|chunk| chunk.is_none()).count();
        self.free.shrink_to(self.slots());
        before - self.bytes()
    }

    /// The values of all slots, in use or not.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().flat_map(|chunk| chunk.iter())
    }

    /// Adds a chunk, in a hole if there is one. Returns its first slot; its other slots are free.
    #[cold]
    fn grow(&mut self) -> Option<u32> {
        let hole = if self.holes > 0 { self.chunks.iter().position(Option::is_none) } else { None };
        let index = hole.unwrap_or(self.chunks.len());
        if index >= CHUNKS_MAX {
            return None;
        }
        if index == self.chunks.len() {
            self.chunks.push(None);
        } else {
            self.holes -= 1;
        }
        self.chunks[index] = vec![T::default(); CHUNK].into_boxed_slice().try_into().ok();
        let first = (index << CHUNK_BITS) as u32;
        self.free.reserve(self.slots());
        self.free.extend((first + 1..first + CHUNK as u32).rev());
        Some(first)
    }
}

/// Notes that a slot is free. There is room; said here, no code to get some is made, and little is kept meanwhile.
#[inline(always)]
fn put(free: &mut Vec<u32>, slot: Slot) {
    debug_assert!(free.len() < free.capacity(), "no slot is given back twice");
    if free.len() < free.capacity() {
        free.push(slot.0);
    }
}

impl<T: Clone + Default> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}

const CHUNK_BITS: u32 = 6;
const CHUNK: usize = 1 << CHUNK_BITS;
/// Slots fit into 31 bits, so that a user can put a mark into the highest.
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
        assert_eq!((pool.used(), pool.iter().count()), (92, 128));
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
