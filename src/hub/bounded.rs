//! A bounded channel whose both ends are in both hands, so that what is left in it never is out of reach.

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
        /// Room for `room` items, one at least: without any it would be a rendezvous, which nobody here waits for.
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

        /// Items in it, at some moment of the call.
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

    /// The same as a ring that orders less than crossbeam's: an item is seen with what came before it, and nothing
    /// more. Whoever finds the ring empty or full learns nothing about the other side.
    #[derive(Debug)]
    pub struct Bounded<T> {
        slots: Vec<Mutex<Option<T>>>,
        head: AtomicUsize,
        tail: AtomicUsize,
    }

    impl<T> Bounded<T> {
        /// Room for `room` items, one at least.
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
                // Whoever took what was here has not carried it off yet.
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
                // The tail that is seen may be the older one.
                if head >= self.tail.load(Relaxed) {
                    return None;
                }
                match self.head.compare_exchange(head, head + 1, Relaxed, Relaxed) {
                    Ok(_) => break,
                    Err(now) => head = now,
                }
            }
            loop {
                // Whoever puts something here has not laid it down yet.
                if let Some(item) = self.slots[head % self.slots.len()].lock().take() {
                    return Some(item);
                }
                yield_now();
            }
        }

        /// Items in it, at some moment of the call.
        pub fn len(&self) -> usize {
            self.tail.load(Relaxed).saturating_sub(self.head.load(Relaxed))
        }
    }
}
