//! Buffers for bodies that cross, used again: an engine fills a buffer that another engine has emptied.
//!
//! One engine fills and another empties them, so each keeps a few, and a common store evens out the difference, a batch
//! under one lock. In the steady state nothing is allocated, and no thread frees memory that another thread has
//! allocated, for which allocators take locks of their own.

use crate::base::limits::{SPARES_BATCH, SPARES_MAX};
use crate::base::sync::{Arc, Mutex};
use crate::wire::cell::CELL_BODY_LEN;

/// Room for the body of one message.
pub type Buffer = Box<[u8; CELL_BODY_LEN]>;

/// The store that the engines of a hub share.
#[derive(Debug, Default)]
pub(super) struct Depot {
    buffers: Mutex<Vec<Buffer>>,
}

/// An engine's own buffers, and its access to the store.
#[derive(Debug, Default)]
pub struct Spares {
    own: Vec<Buffer>,
    depot: Arc<Depot>,
}

impl Spares {
    pub(super) fn new(depot: &Arc<Depot>) -> Self {
        Spares { own: Vec::new(), depot: Arc::clone(depot) }
    }

    /// A buffer, which holds what its last user left in it.
    #[inline]
    pub fn take(&mut self) -> Buffer {
        match self.own.pop() {
            Some(buffer) => buffer,
            None => self.fetch(),
        }
    }

    /// Gives back a buffer that is not needed any more.
    #[inline]
    pub fn give(&mut self, buffer: Buffer) {
        if self.own.len() >= 2 * SPARES_BATCH {
            self.hand_in();
        }
        self.own.push(buffer);
    }

    /// Frees the own buffers and those in the store. Returns the bytes.
    pub fn trim(&mut self) -> usize {
        let own = std::mem::take(&mut self.own);
        let shared = std::mem::take(&mut *self.depot.buffers.lock());
        (own.len() + shared.len()) * CELL_BODY_LEN
    }

    #[cold]
    fn fetch(&mut self) -> Buffer {
        {
            let mut shared = self.depot.buffers.lock();
            let from = shared.len().saturating_sub(SPARES_BATCH);
            self.own.extend(shared.drain(from..));
        }
        self.own.pop().unwrap_or_else(|| Box::new([0; CELL_BODY_LEN]))
    }

    #[cold]
    fn hand_in(&mut self) {
        let rest = self.own.len().saturating_sub(SPARES_BATCH);
        let mut shared = self.depot.buffers.lock();
        if shared.len() + SPARES_BATCH <= SPARES_MAX {
            shared.extend(self.own.drain(rest..));
            return;
        }
        // Freed outside of the lock.
        drop(shared);
        self.own.truncate(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_engine_has_emptied_another_fills() {
        let depot = Arc::new(Depot::default());
        let [mut fills, mut empties] = [Spares::new(&depot), Spares::new(&depot)];
        let mut under_way: Vec<_> = (0..4 * SPARES_BATCH).map(|_| fills.take()).collect();
        let known: Vec<_> = under_way.iter().map(|buffer| buffer.as_ptr()).collect();
        under_way.drain(..).for_each(|buffer| empties.give(buffer));
        assert_eq!(empties.own.len(), 2 * SPARES_BATCH, "no more than two batches at hand");
        for _ in 0..2 * SPARES_BATCH {
            let buffer = fills.take();
            assert!(known.contains(&buffer.as_ptr()));
            under_way.push(buffer);
        }
        let new = fills.take();
        assert!(!known.contains(&new.as_ptr()), "all others are in use, or at the other's hand");
    }

    #[test]
    fn the_store_has_a_cap() {
        let depot = Arc::new(Depot::default());
        let mut spares = Spares::new(&depot);
        let give = |spares: &mut Spares, count| (0..count).for_each(|_| spares.give(Box::new([0; CELL_BODY_LEN])));
        give(&mut spares, SPARES_MAX + SPARES_BATCH);
        assert_eq!(depot.buffers.lock().len(), SPARES_MAX - SPARES_BATCH, "below");
        give(&mut spares, SPARES_BATCH + 1);
        assert_eq!(depot.buffers.lock().len(), SPARES_MAX, "at the cap");
        give(&mut spares, 4 * SPARES_BATCH);
        assert_eq!(depot.buffers.lock().len(), SPARES_MAX, "above");
        assert!(spares.own.len() <= 2 * SPARES_BATCH);
        let held = depot.buffers.lock().len() + spares.own.len();
        assert_eq!((spares.trim(), spares.trim()), (held * CELL_BODY_LEN, 0));
    }
}
