//! The edge between event loops: a bounded channel of crossbeam, whose sender can be asked whether it is closed.
//!
//! crossbeam tells a sender so only when it sends, and a sender with a backlog must know before it has anything to
//! send. So the receiver leaves a word when it goes.

use super::{Channel, TrySend};
use crate::base::sync::atomic::{AtomicBool, Ordering};
use crate::base::sync::Arc;
use crossbeam_channel as crossbeam;

/// Makes the two ends of a channel with room for `cap` items, 0 included: then a receiver has to be waiting.
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    let (items, outlet) = crossbeam::bounded(cap);
    let closed = Arc::new(AtomicBool::new(false));
    (Sender { items, closed: closed.clone() }, Receiver { items: outlet, closed })
}

/// The sending end; a clone sends into the same channel.
#[derive(Debug)]
pub struct Sender<T> {
    items: crossbeam::Sender<T>,
    closed: Arc<AtomicBool>,
}

/// The receiving end. The channel is closed when it is dropped, and empty once all senders are gone.
#[derive(Debug)]
pub struct Receiver<T> {
    items: crossbeam::Receiver<T>,
    closed: Arc<AtomicBool>,
}

impl<T> Receiver<T> {
    /// Takes the next item, if there is one now.
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.items.try_recv().ok()
    }

    /// Closes the channel: senders hear of it at once, and what they sent before can still be taken. One that is
    /// sending at this very moment may still succeed.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { items: self.items.clone(), closed: self.closed.clone() }
    }
}

impl<T> Channel<T> for Sender<T> {
    #[inline]
    fn try_send(&mut self, item: T) -> Result<(), TrySend<T>> {
        if self.is_closed() {
            return Err(TrySend::Closed(item));
        }
        self.items.try_send(item).map_err(|refused| match refused {
            crossbeam::TrySendError::Full(item) => TrySend::Full(item),
            crossbeam::TrySendError::Disconnected(item) => TrySend::Closed(item),
        })
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// A channel without room of its own counts as full for crossbeam, and still takes what a receiver waits for.
    #[inline]
    fn may_take(&self) -> bool {
        !self.items.is_full() || self.items.capacity() == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_at_its_cap() {
        for cap in [1, 2, 5] {
            let (mut sender, mut receiver) = bounded(cap);
            for item in 0..cap {
                assert_eq!(sender.try_send(item), Ok(()));
            }
            assert_eq!(sender.try_send(99), Err(TrySend::Full(99)));
            assert_eq!(receiver.take(), Some(0));
            assert_eq!(sender.try_send(cap), Ok(()));
            assert!((1..=cap).all(|item| receiver.take() == Some(item)));
            assert_eq!(receiver.take(), None);
        }
    }

    #[test]
    fn q5_closed_is_known_without_sending() {
        let (mut sender, mut receiver) = bounded(2);
        let mut twin = sender.clone();
        assert_eq!(sender.try_send(1), Ok(()));
        assert!(!sender.is_closed() && !twin.is_closed());
        receiver.close();
        assert!(sender.is_closed() && twin.is_closed());
        assert_eq!(twin.try_send(2), Err(TrySend::Closed(2)));
        assert_eq!((receiver.take(), receiver.take()), (Some(1), None), "what was sent before is still there");
        let (mut sender, receiver) = bounded(2);
        drop(receiver);
        assert!(sender.is_closed());
        assert_eq!(sender.try_send(3), Err(TrySend::Closed(3)));
    }

    #[test]
    fn a_rendezvous_takes_nothing_when_nobody_waits() {
        let (mut sender, mut receiver) = bounded(0);
        assert_eq!(sender.try_send(1), Err(TrySend::Full(1)));
        assert_eq!(receiver.take(), None);
    }
}
