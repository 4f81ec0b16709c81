//! The backlog: items that wait in order because their sink was full, up to a cap.

use super::{admit, Admit, Closed, Room, Sink, TrySend};
use crate::base::limits::{BACKLOG_KEPT, BACKLOG_USUAL};
use std::collections::vec_deque::{IntoIter, VecDeque};

/// The result of a push.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// The sink has it.
    Through,
    /// It waits in the backlog.
    Kept,
}

/// The reason why an item was refused, and the item: it is still its sender's, and nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused<T> {
    /// The backlog is at its cap.
    Full(T),
    /// The sink is closed.
    Closed(T),
}

/// Items that wait for a sink.
///
/// Memory: nothing until the first item has to wait. When the backlog becomes empty, it keeps room for
/// [`BACKLOG_KEPT`] items, or for as many as have waited twice in a row, up to [`BACKLOG_USUAL`], and gives back the
/// rest. So a steady trickle and bursts that come again allocate nothing, and an idle queue does not keep the memory of
/// its largest burst.
#[derive(Clone, Debug)]
pub struct Backlog<T> {
    items: VecDeque<T>,
    cap: usize,
    /// The most items that have waited at a time since the backlog was empty, and in the time before that.
    most: usize,
    usual: usize,
    kept: usize,
}

impl<T> Backlog<T> {
    /// A backlog of at most `cap` items; with 0, everything that a sink does not take is refused.
    pub const fn new(cap: usize) -> Self {
        Backlog { items: VecDeque::new(), cap, most: 0, usual: 0, kept: BACKLOG_KEPT }
    }

    /// Sends an item: through the sink if nothing waits, else to the end of the backlog.
    #[inline]
    pub fn push<C: Sink<T>>(&mut self, sink: &mut C, item: T) -> Result<Pushed, Refused<T>> {
        // A sink is asked for room by sending to it, so it must not be asked when the item may not pass.
        if !self.items.is_empty() {
            return self.put_unsent(sink, Room::Open, item);
        }
        match sink.try_send(item) {
            Ok(()) => Ok(Pushed::Through),
            Err(TrySend::Full(item)) => self.put_unsent(sink, Room::Full, item),
            Err(TrySend::Closed(item)) => self.put_unsent(sink, Room::Closed, item),
        }
    }

    /// Handles an item that did not go through. A sink that was full, or was not asked, may be closed as well.
    fn put_unsent<C: Sink<T>>(&mut self, sink: &C, room: Room, item: T) -> Result<Pushed, Refused<T>> {
        let room = if sink.is_closed() { Room::Closed } else { room };
        self.put(room, item, |item| item)
    }

    /// The second half of a push, for a caller that asks the sink itself: the sink has not taken the item, or was not
    /// asked because other items wait. `keep` turns the item into what is stored, and is called only for an item that
    /// waits.
    #[inline]
    pub fn put<S>(&mut self, room: Room, item: S, keep: impl FnOnce(S) -> T) -> Result<Pushed, Refused<S>> {
        match admit(self.items.len(), self.cap, room) {
            Admit::Keep => {
                self.items.push_back(keep(item));
                self.most = self.most.max(self.items.len());
                Ok(Pushed::Kept)
            }
            Admit::Closed => Err(Refused::Closed(item)),
            // `Through` does not come here: with nothing waiting, the sink has just refused.
            Admit::Full | Admit::Through => Err(Refused::Full(item)),
        }
    }

    /// Moves items into the sink, one at a time, until it is full or none waits. Returns how many were moved. The
    /// others stay, in their order.
    #[inline]
    pub fn drain<C: Sink<T>>(&mut self, sink: &mut C) -> Result<usize, Closed> {
        if sink.is_closed() {
            return Err(Closed);
        }
        let mut moved = 0;
        while let Some(item) = self.items.pop_front() {
            match sink.try_send(item) {
                Ok(()) => moved += 1,
                Err(TrySend::Full(item)) => {
                    self.items.push_front(item);
                    break;
                }
                Err(TrySend::Closed(item)) => {
                    self.items.push_front(item);
                    return Err(Closed);
                }
            }
        }
        self.release_memory();
        Ok(moved)
    }

    /// True when items wait. A loop should then wait for the sink to have room.
    #[inline]
    pub fn has_pending(&self) -> bool {
        !self.items.is_empty()
    }

    /// Number of items that wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True when no item waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items that wait, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// Takes out the first item that waits.
    pub fn take_first(&mut self) -> Option<T> {
        let first = self.items.pop_front();
        self.release_memory();
        first
    }

    /// Takes out all items that wait, in order: for a sink that has closed.
    #[must_use = "what waits would be lost"]
    pub fn take_rest(&mut self) -> IntoIter<T> {
        std::mem::take(&mut self.items).into_iter()
    }

    /// Items whose room stays while none waits.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// When none waits any more, gives back what is seldom needed.
    #[inline]
    fn release_memory(&mut self) {
        if !self.items.is_empty() || self.most == 0 {
            return;
        }
        self.kept = self.most.min(self.usual).clamp(BACKLOG_KEPT, BACKLOG_USUAL);
        self.usual = std::mem::take(&mut self.most);
        let room = self.kept.next_power_of_two();
        if self.items.capacity() > room {
            self.items.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink with room for so many items, which remembers what it took. `None` stands for closed.
    struct Script {
        room: Option<usize>,
        taken: Vec<u32>,
        tried: usize,
    }

    fn script(room: usize) -> Script {
        Script { room: Some(room), taken: Vec::new(), tried: 0 }
    }

    impl Sink<u32> for Script {
        fn try_send(&mut self, item: u32) -> Result<(), TrySend<u32>> {
            self.tried += 1;
            match &mut self.room {
                None => Err(TrySend::Closed(item)),
                Some(0) => Err(TrySend::Full(item)),
                Some(room) => {
                    *room -= 1;
                    self.taken.push(item);
                    Ok(())
                }
            }
        }

        fn is_closed(&self) -> bool {
            self.room.is_none()
        }
    }

    #[test]
    fn q1_the_sink_first_then_the_backlog() {
        let (mut backlog, mut sink) = (Backlog::new(8), script(1));
        assert_eq!(backlog.push(&mut sink, 1), Ok(Pushed::Through));
        assert_eq!(backlog.push(&mut sink, 2), Ok(Pushed::Kept));
        assert_eq!((backlog.len(), &sink.taken[..]), (1, &[1][..]));
    }

    #[test]
    fn q2_nothing_passes_what_waits() {
        let (mut backlog, mut sink) = (Backlog::new(8), script(0));
        assert_eq!(backlog.push(&mut sink, 1), Ok(Pushed::Kept));
        sink.room = Some(5);
        assert_eq!(backlog.push(&mut sink, 2), Ok(Pushed::Kept));
        assert_eq!(sink.tried, 1, "the sink was not even asked");
        assert_eq!(backlog.drain(&mut sink), Ok(2));
        assert_eq!(backlog.push(&mut sink, 3), Ok(Pushed::Through));
        assert_eq!(sink.taken, [1, 2, 3]);
    }

    #[test]
    fn q3_what_does_not_go_stays_in_front() {
        let (mut backlog, mut sink) = (Backlog::new(8), script(0));
        for item in 1..=4 {
            assert_eq!(backlog.push(&mut sink, item), Ok(Pushed::Kept));
        }
        sink.tried = 0;
        for _ in 0..3 {
            assert_eq!(backlog.drain(&mut sink), Ok(0));
        }
        assert_eq!(sink.tried, 3, "one try is enough to see that it is full");
        sink.room = Some(2);
        assert_eq!(backlog.drain(&mut sink), Ok(2));
        assert_eq!(backlog.iter().copied().collect::<Vec<_>>(), [3, 4]);
        sink.room = Some(9);
        assert_eq!(backlog.drain(&mut sink), Ok(2));
        assert_eq!(sink.taken, [1, 2, 3, 4]);
        assert_eq!(backlog.drain(&mut sink), Ok(0), "nothing waits");
    }

    #[test]
    fn q4_a_full_backlog_gives_the_item_back() {
        for cap in [1, 2, 8, 32] {
            let (mut backlog, mut sink) = (Backlog::new(cap), script(0));
            for item in 0..cap as u32 {
                assert_eq!(backlog.push(&mut sink, item), Ok(Pushed::Kept), "up to the cap");
            }
            for _ in 0..2 {
                assert_eq!(backlog.push(&mut sink, 99), Err(Refused::Full(99)), "and no further");
                assert_eq!(backlog.len(), cap);
            }
            sink.room = Some(1);
            assert_eq!(backlog.push(&mut sink, 99), Err(Refused::Full(99)), "room in the sink is for the first");
            assert_eq!(backlog.drain(&mut sink), Ok(1));
            assert_eq!(backlog.push(&mut sink, 99), Ok(Pushed::Kept));
        }
    }

    #[test]
    fn q5_closed_is_not_full_on_both_paths() {
        let (mut backlog, mut sink) = (Backlog::new(2), script(0));
        sink.room = None;
        assert_eq!(backlog.push(&mut sink, 1), Err(Refused::Closed(1)), "with an empty backlog");
        assert_eq!(backlog.drain(&mut sink), Err(Closed));
        sink.room = Some(0);
        assert_eq!(backlog.push(&mut sink, 2), Ok(Pushed::Kept));
        sink.room = None;
        sink.tried = 0;
        assert_eq!(backlog.push(&mut sink, 3), Err(Refused::Closed(3)), "before it spills");
        assert_eq!((backlog.len(), sink.tried), (1, 0));
        sink.room = Some(0);
        assert_eq!(backlog.push(&mut sink, 4), Ok(Pushed::Kept));
        sink.room = None;
        assert_eq!(backlog.push(&mut sink, 5), Err(Refused::Closed(5)), "closed comes before full");
        assert_eq!(backlog.drain(&mut sink), Err(Closed));
        assert_eq!(backlog.len(), 2);
        assert_eq!(backlog.take_rest().collect::<Vec<_>>(), [2, 4]);
        assert!(backlog.is_empty() && backlog.take_rest().next().is_none());
    }

    /// A sink that is found closed only by sending, and one that says full although it is closed.
    #[test]
    fn q5_closed_is_found_by_trying_and_by_asking() {
        struct Late(usize);
        impl Sink<u32> for Late {
            fn try_send(&mut self, item: u32) -> Result<(), TrySend<u32>> {
                self.0 = self.0.checked_sub(1).ok_or(TrySend::Closed(item))?;
                Ok(())
            }
            fn is_closed(&self) -> bool {
                false
            }
        }
        struct Both;
        impl Sink<u32> for Both {
            fn try_send(&mut self, item: u32) -> Result<(), TrySend<u32>> {
                Err(TrySend::Full(item))
            }
            fn is_closed(&self) -> bool {
                true
            }
        }
        let mut backlog = Backlog::new(8);
        assert_eq!(backlog.push(&mut Both, 1), Err(Refused::Closed(1)));
        for item in 1..=3 {
            assert_eq!(backlog.push(&mut script(0), item), Ok(Pushed::Kept));
        }
        assert_eq!(backlog.drain(&mut Late(2)), Err(Closed));
        assert_eq!(backlog.take_rest().collect::<Vec<_>>(), [3], "the item that met the closed sink included");
        assert_eq!(backlog.push(&mut Late(0), 4), Err(Refused::Closed(4)));
    }

    #[test]
    fn q6_a_cap_of_zero_is_no_backlog() {
        let (mut backlog, mut sink) = (Backlog::new(0), script(1));
        assert_eq!(backlog.push(&mut sink, 1), Ok(Pushed::Through));
        assert_eq!(backlog.push(&mut sink, 2), Err(Refused::Full(2)));
        sink.room = None;
        assert_eq!(backlog.push(&mut sink, 3), Err(Refused::Closed(3)));
        assert!(!backlog.has_pending());
    }

    #[test]
    fn q7_two_caps_with_their_reasons() {
        assert_eq!((crate::base::limits::BACKLOG_SPARSE, crate::base::limits::BACKLOG_EVENTS), (8, 32));
    }

    #[test]
    fn q8_what_waits_can_be_asked() {
        let (mut backlog, mut sink) = (Backlog::new(3), script(1));
        assert_eq!((backlog.has_pending(), backlog.len()), (false, 0));
        for (item, waiting) in [(1, 0), (2, 1), (3, 2)] {
            assert!(backlog.push(&mut sink, item).is_ok());
            assert_eq!(
                (backlog.has_pending(), backlog.len(), backlog.is_empty()),
                (waiting > 0, waiting, waiting == 0)
            );
        }
        assert_eq!(backlog.take_first(), Some(2));
        assert_eq!((backlog.len(), backlog.take_first(), backlog.take_first()), (1, Some(3), None));
        assert!(!backlog.has_pending());
    }

    #[test]
    fn memory_of_a_burst_is_given_back_and_that_of_a_trickle_kept() {
        let (mut backlog, mut sink) = (Backlog::new(1000), script(0));
        assert_eq!(backlog.items.capacity(), 0);
        for item in 0..1000 {
            assert!(backlog.push(&mut sink, item).is_ok());
        }
        sink.room = Some(1000);
        assert_eq!(backlog.drain(&mut sink), Ok(1000));
        let kept = backlog.items.capacity();
        assert_eq!(kept, BACKLOG_KEPT);
        for item in 0..1000 {
            sink.room = Some(0);
            assert!(backlog.push(&mut sink, item).is_ok());
            if item as usize % BACKLOG_KEPT == 0 {
                sink.room = Some(BACKLOG_KEPT);
                assert!(backlog.drain(&mut sink).is_ok());
            }
            assert_eq!(backlog.items.capacity(), kept);
        }
    }

    /// Bursts that come again find the room of the ones before; what comes once is given back.
    #[test]
    fn memory_of_bursts_that_come_again_is_kept() {
        let mut backlog = Backlog::new(1000);
        let capacities = [40, 40, 40, 1000, 40, 500, 500, 1, 1].map(|burst| {
            let mut sink = script(0);
            for item in 0..burst {
                assert!(backlog.push(&mut sink, item).is_ok());
            }
            let used = backlog.items.capacity();
            sink.room = Some(1000);
            assert!(backlog.drain(&mut sink).is_ok());
            (used, backlog.kept(), backlog.items.capacity())
        });
        let kept = capacities.map(|(_, kept, _)| kept);
        assert_eq!(kept, [8, 40, 40, 40, 40, 40, 64, 8, 8], "{capacities:?}");
        assert!(capacities.iter().all(|&(_, kept, capacity)| capacity == kept.next_power_of_two()), "{capacities:?}");
        assert_eq!(capacities[2].0, 64, "nothing was allocated for the third");
    }
}
