//! A bounded queue that both sides can push to and pop from, so that what is left in it can always be taken out.

#[cfg(loom)]
pub use self::checked::Bounded;
#[cfg(not(loom))]
pub use self::real::Bounded;

#[cfg(not(loom))]
mod real {
    use crossbeam_channel::{bounded, Receiver, Sender};

    /// A queue with a cap, in order, for any number of threads.
    #[derive(Debug)]
    pub struct Bounded<T> {
        sender: Sender<T>,
        receiver: Receiver<T>,
    }

    impl<T> Bounded<T> {
        /// A queue for `room` items, but at least one: without room it would make its two sides wait for each other.
        pub fn new(room: usize) -> Self {
            let (sender, receiver) = bounded(room.max(1));
            Bounded { sender, receiver }
        }

        /// Puts an item behind all others, or gives it back when there is no room.
        #[inline]
        pub fn push(&self, item: T) -> Result<(), T> {
            self.sender.try_send(item).map_err(|refused| refused.into_inner())
        }

        /// Takes the first item.
        #[inline]
        pub fn pop(&self) -> Option<T> {
            self.receiver.try_recv().ok()
        }

        /// Number of items at some moment of the call.
        #[inline]
        pub fn len(&self) -> usize {
            self.receiver.len()
        }
    }
}

#[cfg(loom)]
mod checked {
    use crate::base::sync::atomic::{AtomicUsize, Ordering::*};
    use crate::base::sync::{yield_now, Mutex};

    /// The queue for loom: a ring that orders less than crossbeam's. Whoever sees an item sees what was done before
    /// it was pushed, and nothing more. A ring found empty or full tells nothing about the other side.
    #[derive(Debug)]
    pub struct Bounded<T> {
        slots: Vec<Mutex<Option<T>>>,
        head: AtomicUsize,
        tail: AtomicUsize,
    }

    impl<T> Bounded<T> {
        /// A queue for `room` items, but at least one.
        pub fn new(room: usize) -> Self {
            let slots = (0..room.max(1)).map(|_| Mutex::new(None)).collect();
            Bounded { slots, head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
        }

        /// Puts an item behind all others, or gives it back when there is no room.
        pub fn push(&self, item: T) -> Result<(), T> {
            let mut tail = self.tail.load(Relaxed);
            loop {
                if tail >= self.head.load(Relaxed) + self.slots.len() {
                    return Err(item);
                }
                match self.tail.compare_exchange(tail, tail + 1, Relaxed, Relaxed) {
                    Ok(_) => break,
                    Err(now) => tail = now,
                }
            }
            let slot = &self.slots[tail % self.slots.len()];
            loop {
                // The reader that pops the item in this slot has not finished.
                let mut place = slot.lock();
                if place.is_none() {
                    *place = Some(item);
                    return Ok(());
                }
                drop(place);
                yield_now();
            }
        }

        /// Takes the first item.
        pub fn pop(&self) -> Option<T> {
            let mut head = self.head.load(Relaxed);
            loop {
                // The tail that is read may be an older one.
                if head >= self.tail.load(Relaxed) {
                    return None;
                }
                match self.head.compare_exchange(head, head + 1, Relaxed, Relaxed) {
                    Ok(_) => break,
                    Err(now) => head = now,
                }
            }
            loop {
                // The writer that pushes to this slot has not finished.
                if let Some(item) = self.slots[head % self.slots.len()].lock().take() {
                    return Some(item);
                }
                yield_now();
            }
        }

        /// Number of items at some moment of the call.
        pub fn len(&self) -> usize {
            self.tail.load(Relaxed).saturating_sub(self.head.load(Relaxed))
        }
    }
}
