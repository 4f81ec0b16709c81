//! The edge inside an engine: one place for each sender, and nothing buffered beyond it.
//!
//! A rendezvous channel takes an item only while somebody waits at the other end, so between two parts that run on the
//! same thread it would never take any; hence this type.

use super::{Channel, Room, TrySend};

/// One item on its way from one sender to its receiver. Both ends use the same slot; either can close it.
#[derive(Clone, Debug)]
pub struct Slot<T> {
    item: Option<T>,
    closed: bool,
}

impl<T> Slot<T> {
    /// An open slot with nothing in it.
    pub const fn new() -> Self {
        Slot { item: None, closed: false }
    }

    /// The receiver's side: takes the item, which makes room for the next.
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.item.take()
    }

    /// Closes the slot, from either side, and hands back what was not taken yet. Closing twice is closing once.
    #[must_use = "what is in the slot would be lost"]
    pub fn close(&mut self) -> Option<T> {
        self.closed = true;
        self.item.take()
    }

    /// What the next item will meet.
    #[inline]
    pub fn room(&self) -> Room {
        match (self.closed, &self.item) {
            (true, _) => Room::Closed,
            (false, Some(_)) => Room::Full,
            (false, None) => Room::Open,
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Channel<T> for Slot<T> {
    #[inline]
    fn try_send(&mut self, item: T) -> Result<(), TrySend<T>> {
        match self.room() {
            Room::Open => {
                self.item = Some(item);
                Ok(())
            }
            Room::Full => Err(TrySend::Full(item)),
            Room::Closed => Err(TrySend::Closed(item)),
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.closed
    }

    #[inline]
    fn may_take(&self) -> bool {
        self.room() == Room::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_and_no_more() {
        let mut slot = Slot::default();
        assert_eq!((slot.room(), slot.may_take(), slot.take()), (Room::Open, true, None));
        assert_eq!(slot.try_send(1), Ok(()));
        assert_eq!((slot.room(), slot.may_take()), (Room::Full, false));
        assert_eq!(slot.try_send(2), Err(TrySend::Full(2)), "before the take");
        assert_eq!(slot.take(), Some(1), "the refused item did not touch it");
        assert_eq!(slot.try_send(3), Ok(()), "after the take");
        assert_eq!(slot.take(), Some(3));
        assert_eq!(slot.take(), None);
    }

    #[test]
    fn q5_closing_hands_back_what_is_inside() {
        let mut slot = Slot::new();
        assert_eq!(slot.try_send(1), Ok(()));
        assert_eq!(slot.close(), Some(1));
        assert!(slot.is_closed());
        assert_eq!(slot.try_send(2), Err(TrySend::Closed(2)));
        assert_eq!((slot.take(), slot.close()), (None, None));
        let mut empty = Slot::<u8>::new();
        assert_eq!((empty.close(), empty.room()), (None, Room::Closed));
    }
}
