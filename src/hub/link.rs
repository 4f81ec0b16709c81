//! The link between a leg and the home of its set, when they live on different threads.
//!
//! A link has two [`LinkEnd`]s, one with the leg's engine and one with the set's. Each end has an inbox, which the
//! other end fills: items, a word that says that the inbox's owner is gone, and a ringer. An item is a host's token or
//! the like, and must come out exactly once, whichever end dies when. A lock guards the items of an inbox. It is held
//! for a few steps, none of which calls anybody. A writer takes it for each item. A reader takes it once for all items
//! that are there: they become its batch, which is its own.
//!
//! 1. *Send*: if the reader is gone, nothing is put in. Else push, and ring if there was nothing to read.
//! 2. *Die*: mark the own inbox, take out what is in it, ring the other end. What this end sent before stays there for
//!    the other end to read. An end that is dropped puts its batch back, for the other end.
//! 3. *Read*: look at the other end's mark, then take the next item. If nothing is there, and the mark was set before,
//!    nothing more will come. The reader then takes back what it has sent and the dead end did not take.
//! 4. *Full*: what is in the batch takes room until the reader has said that it is read, which it does when half of the
//!    room is left of it, at its end, and whenever it goes on to other things. A writer that finds no room says that it
//!    waits. It is rung when no more than half of the room is taken.
//!
//! One ring for a batch is enough, as a reader that was rung reads until nothing is there. If it stops before, it rings
//! for itself ([`LinkEnd::ring_self`]), so it goes on. tests/loom.rs tries all orders of this code.
//!
//! An end that nobody has taken yet (its circuit waits for the set's home) has no reader, so what was sent to it
//! belongs to the writer. Two can end this state: the home that takes its end ([`LinkEnd::mark_taken`]), or the leg
//! that withdraws. One atomic step decides which was first. So a home that goes may drop the ends it never took, on any
//! thread.
//!
//! The engine that sent an item counts what it costs until the item is taken. The reader reports the cost of what it
//! reads to the link, and to the writer's engine ([`crate::base::budget::Returns`]), once for all items that it reads
//! in a row ([`LinkEnd::report_read`]). What nobody takes is reported when the link is dropped.
//!
//! Only one thread at a time uses an end. A death is seen when there is no room as well ([`LinkEnd::peer_gone`]).

use super::bell::{Bell, Ringer};
use crate::base::budget::Returns;
use crate::base::sync::atomic::{AtomicU64, Ordering::*};
use crate::base::sync::{Arc, Locked, Mutex};
use crate::base::Id;
use crate::queue::{Sink, TrySend};
use std::collections::VecDeque;

/// One end of a link: it reads `I` and writes `O`. If it is dropped without [`LinkEnd::close`], it counts as closed
/// without a reason, and what it has not read stays for the other end to take back.
pub struct LinkEnd<I: Cargo, O: Cargo> {
    inbox: Arc<Inbox<I>>,
    /// The other end's inbox.
    outbox: Arc<Inbox<O>>,
    /// Items that were taken out of the inbox, and are still to be read.
    batch: VecDeque<I>,
    /// So many of them are still to be read, as far as the writer knows.
    said: usize,
    /// The cost of what was read, as far as the other end has not been told.
    read: u64,
    closed: bool,
}

/// An item that crosses, and whose cost is counted.
pub trait Cargo {
    /// Bytes that it costs to hold.
    fn cost(&self) -> u64 {
        0
    }
}

/// The items that one end reads and the other end writes.
struct Inbox<T: Cargo> {
    items: Mutex<Items<T>>,
    /// As many items may wait to be read.
    room: usize,
    /// The cost of all items taken out so far; only the reader changes it.
    taken: AtomicU64,
    /// The account of the engine that writes here.
    returns: Arc<Returns>,
    /// [`HERE`] as long as the owner is there, else its reason for going. It changes under the lock of `items`.
    gone: AtomicU64,
    /// Whether there is a reader: [`OFFERED`], as long as there is none, then [`TAKEN`] or [`WITHDRAWN`].
    reader: AtomicU64,
    ringer: Arc<Ringer>,
}

/// What is in an inbox.
struct Items<T> {
    waiting: VecDeque<T>,
    /// Items in the reader's batch, as far as it has said.
    taken: usize,
    /// The writer found no room and waits to be rung.
    awaited: bool,
}

/// The result of a look into the inbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News<T> {
    /// The next item.
    Item(T),
    /// Nothing for now. The bell will ring.
    Nothing,
    /// Nothing ever again: the other end is gone, for this reason, if it gave one.
    Over(Option<u32>),
}

/// The reason why an item was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotSent<T> {
    /// There is no room. The bell rings when there is. The item is the caller's.
    Full(T),
    /// The other end is gone. The item is the caller's.
    Gone(T),
}

/// An item that a closed end leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left<I, O> {
    /// It came, and was not read.
    Unread(I),
    /// It was sent, and the other end is gone.
    Unsent(O),
}

/// Makes a link and returns its two ends. The owner of the first knows it as `key`; that of the second gives its key
/// later ([`LinkEnd::open`]).
pub fn link<A: Cargo, B: Cargo>(
    room: usize,
    near: &Arc<Bell>,
    key: Id,
    far: &Arc<Bell>,
) -> (LinkEnd<A, B>, LinkEnd<B, A>) {
    let inbox = Arc::new(Inbox::new(room, Ringer::new(near, key), &far.returns, TAKEN));
    let outbox = Arc::new(Inbox::new(room, Ringer::closed(far), &near.returns, OFFERED));
    (LinkEnd::new(&inbox, &outbox), LinkEnd::new(&outbox, &inbox))
}

impl<I: Cargo, O: Cargo> LinkEnd<I, O> {
    fn new(inbox: &Arc<Inbox<I>>, outbox: &Arc<Inbox<O>>) -> Self {
        let (inbox, outbox) = (Arc::clone(inbox), Arc::clone(outbox));
        LinkEnd { inbox, outbox, batch: VecDeque::new(), said: 0, read: 0, closed: false }
    }

    /// Takes the second end, whose holder will read it or close it. False when the first end was closed before: it has
    /// handed out what it had sent, and there is nothing to read.
    pub fn mark_taken(&self) -> bool {
        self.inbox.reader.compare_exchange(OFFERED, TAKEN, AcqRel, Acquire) != Err(WITHDRAWN)
    }

    /// Takes the second end and gives it the owner's key, under which its news comes. There may be news already.
    pub fn open(&self, key: Id) {
        self.mark_taken();
        Ringer::open(&self.inbox.ringer, key);
    }

    /// Sends an item, behind all others.
    #[inline]
    pub fn send(&self, item: O) -> Result<(), NotSent<O>> {
        let outbox = &*self.outbox;
        let mut items = outbox.items.lock();
        if outbox.gone.load(Relaxed) != HERE {
            return Err(NotSent::Gone(item));
        }
        let before = items.waiting.len();
        if before + items.taken >= outbox.room {
            items.awaited = true;
            return Err(NotSent::Full(item));
        }
        items.waiting.push_back(item);
        drop(items);
        if before == 0 {
            Ringer::ring(&outbox.ringer);
        }
        Ok(())
    }

    /// The next item from the other end.
    #[inline]
    pub fn poll(&mut self) -> News<I> {
        if self.batch.is_empty() {
            let over = self.peer_gone();
            if !self.fetch() {
                self.report_read();
                return over.map_or(News::Nothing, News::Over);
            }
        }
        let Some(item) = self.batch.pop_front() else { return News::Nothing };
        self.read += item.cost();
        // Before the batch is read: then the writer goes on while the reader works.
        if self.batch.len() == self.inbox.room / 2 {
            self.say_read();
        }
        News::Item(item)
    }

    /// The item that [`LinkEnd::poll`] would return next, if there is one.
    #[inline]
    pub fn peek_mut(&mut self) -> Option<&mut I> {
        if self.batch.is_empty() {
            self.fetch();
        }
        self.batch.front_mut()
    }

    /// Drops the item that [`LinkEnd::peek_mut`] has found, as it was handled there. See [`LinkEnd::take_next`].
    #[inline(always)]
    pub fn drop_next(&mut self, cost: u64) -> bool {
        self.take_next(cost).1
    }

    /// Takes the item that [`LinkEnd::peek_mut`] has found. True when half of the room is left to be read: a good
    /// moment to [report](LinkEnd::report_read).
    #[inline(always)]
    pub fn take_next(&mut self, cost: u64) -> (Option<I>, bool) {
        let item = self.batch.pop_front();
        self.read += cost;
        let is_half = self.batch.len() == self.inbox.room / 2;
        if is_half {
            self.say_read();
        }
        (item, is_half)
    }

    /// Takes all that waits into the batch, which has been read. False when nothing does.
    #[inline(never)]
    fn fetch(&mut self) -> bool {
        let mut items = self.inbox.items.lock();
        std::mem::swap(&mut items.waiting, &mut self.batch);
        self.said = self.batch.len();
        self.make_room(items)
    }

    /// Says how much of the batch is still to be read.
    #[cold]
    #[inline(never)]
    fn say_read(&mut self) {
        self.said = self.batch.len();
        let items = self.inbox.items.lock();
        self.make_room(items);
    }

    /// Says how much of the batch is still to be read, and wakes a writer that may go on. False when that is nothing.
    #[inline(always)]
    fn make_room(&self, mut items: Locked<'_, Items<I>>) -> bool {
        items.taken = self.batch.len();
        let has_room = items.waiting.len() + items.taken <= self.inbox.room / 2;
        let wakes = has_room && std::mem::take(&mut items.awaited);
        drop(items);
        if wakes {
            Ringer::ring(&self.outbox.ringer);
        }
        !self.batch.is_empty()
    }

    /// The other end's reason for going, once it is gone; the inner `None` when it gave no reason. What it sent before
    /// can still be read.
    pub fn peer_gone(&self) -> Option<Option<u32>> {
        match self.outbox.gone.load(Acquire) {
            HERE => None,
            gone => Some(u32::try_from(gone - REASONS).ok()),
        }
    }

    /// Takes back, once the other end is gone, the next item that was sent to it and not taken.
    pub fn take_back(&self) -> Option<O> {
        self.peer_gone()?;
        self.outbox.pop()
    }

    /// The cost of all items that the other end has taken so far, as far as it has told.
    pub fn taken(&self) -> u64 {
        self.outbox.taken.load(Relaxed)
    }

    /// The cost of what was read, as far as the other end has not been told.
    pub fn unreported(&self) -> u64 {
        self.read
    }

    /// Tells the other end, and its engine, what was read since the last call: there is room for as many, and they cost
    /// the writer's engine nothing any more. A reader has to call it before it goes on to other things. A
    /// [`LinkEnd::poll`] that finds nothing does it too.
    pub fn report_read(&mut self) {
        let read = std::mem::take(&mut self.read);
        if read > 0 {
            let taken = &self.inbox.taken;
            taken.store(taken.load(Relaxed).wrapping_add(read), Relaxed);
            self.inbox.returns.report_taken(read);
        }
        if self.said != self.batch.len() {
            self.say_read();
        }
    }

    /// Rings for this end itself: its owner has not read all items, and will go on when it is called again.
    pub fn ring_self(&self) {
        Ringer::ring(&self.inbox.ringer);
    }

    /// Rings for the other end, for news that is not in the link.
    pub fn ring_peer(&self) {
        Ringer::ring(&self.outbox.ringer);
    }

    /// Closes this end, with a reason for the other end, and hands out what nobody will read.
    pub fn close(mut self, reason: u32, mut left: impl FnMut(Left<I, O>)) {
        self.closed = true;
        self.die(REASONS + u64::from(reason), VecDeque::new());
        let (batch, is_reader) = (std::mem::take(&mut self.batch), self.mark_taken());
        let waiting = std::iter::from_fn(|| if is_reader { self.inbox.pop() } else { None });
        for item in batch.into_iter().chain(waiting) {
            self.read += item.cost();
            left(Left::Unread(item));
        }
        self.report_read();
        let withdrawn = self.withdraw();
        while let Some(item) = if withdrawn { self.outbox.pop() } else { self.take_back() } {
            left(Left::Unsent(item));
        }
        Ringer::ring(&self.outbox.ringer);
    }

    /// Takes away the other end if nobody has taken it yet. True on success.
    fn withdraw(&self) -> bool {
        self.outbox.reader.compare_exchange(OFFERED, WITHDRAWN, AcqRel, Acquire).is_ok()
    }

    /// Marks the own inbox, in which `batch` comes first again.
    fn die(&self, gone: u64, mut batch: VecDeque<I>) {
        let mut items = self.inbox.items.lock();
        batch.append(&mut items.waiting);
        items.waiting = batch;
        self.inbox.gone.store(gone, Release);
    }
}

/// An end is a sink that a backlog can stand before.
impl<I: Cargo, O: Cargo> Sink<O> for &LinkEnd<I, O> {
    #[inline]
    fn try_send(&mut self, item: O) -> Result<(), TrySend<O>> {
        match self.send(item) {
            Ok(()) => Ok(()),
            Err(NotSent::Full(item)) => Err(TrySend::Full(item)),
            Err(NotSent::Gone(item)) => Err(TrySend::Closed(item)),
        }
    }

    fn is_closed(&self) -> bool {
        self.peer_gone().is_some()
    }
}

impl<I: Cargo, O: Cargo> Drop for LinkEnd<I, O> {
    fn drop(&mut self) {
        self.report_read();
        if !self.closed {
            let batch = std::mem::take(&mut self.batch);
            self.die(NO_REASON, batch);
            Ringer::ring(&self.outbox.ringer);
        }
    }
}

impl<T: Cargo> Inbox<T> {
    fn new(room: usize, ringer: Arc<Ringer>, returns: &Arc<Returns>, reader: u64) -> Self {
        let [gone, taken, reader] = [HERE, 0, reader].map(AtomicU64::new);
        let items = Mutex::new(Items { waiting: VecDeque::new(), taken: 0, awaited: false });
        // Without room it would make its two sides wait for each other.
        Inbox { items, room: room.max(1), taken, returns: Arc::clone(returns), gone, reader, ringer }
    }

    fn pop(&self) -> Option<T> {
        self.items.lock().waiting.pop_front()
    }
}

/// Both ends are gone: reports what nobody took.
impl<T: Cargo> Drop for Inbox<T> {
    fn drop(&mut self) {
        let left = std::iter::from_fn(|| self.pop()).map(|item| item.cost()).sum();
        self.returns.report_lost(left);
    }
}

/// Values of `gone`: the owner is there; it went with a reason, which is added to `REASONS`; it went without one.
const HERE: u64 = 0;
const REASONS: u64 = 1;
const NO_REASON: u64 = REASONS + u32::MAX as u64 + 1;

/// Values of `reader`: there is none yet; there is one; the writer went before there was one.
const OFFERED: u64 = 0;
const TAKEN: u64 = 1;
const WITHDRAWN: u64 = 2;

// For tests: numbers that cost nothing, and numbers that cost their value.
impl Cargo for u8 {}
impl Cargo for u32 {}
impl Cargo for u16 {
    fn cost(&self) -> u64 {
        (*self).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::LINK_ROOM;

    fn bell() -> Arc<Bell> {
        Arc::new(Bell::new(std::sync::Arc::new(|_| {})))
    }

    type End = LinkEnd<u8, u8>;

    fn pair(room: usize) -> (End, End, [Arc<Bell>; 2]) {
        let bells = [bell(), bell()];
        let (leg, home) = link(room, &bells[0], Id(1), &bells[1]);
        assert!(home.mark_taken());
        (leg, home, bells)
    }

    fn news(bell: &Bell) -> Vec<Id> {
        let mut keys = Vec::new();
        assert!(!bell.take_rung(9, &mut keys));
        keys
    }

    #[test]
    fn full_at_the_cap_not_below_and_rung_when_there_is_room() {
        let (leg, mut home, [near, far]) = pair(LINK_ROOM);
        home.open(Id(2));
        for item in 0..LINK_ROOM as u8 {
            assert_eq!(leg.send(item), Ok(()));
        }
        assert_eq!(leg.send(99), Err(NotSent::Full(99)), "and the item is the caller's");
        assert_eq!((news(&far), news(&near)), (vec![Id(2)], vec![]), "one ring for all of them");
        for item in 0..LINK_ROOM as u8 / 2 {
            assert!(news(&near).is_empty(), "no ring for every place that is free");
            assert_eq!(home.poll(), News::Item(item));
        }
        assert_eq!(news(&near), [Id(1)]);
        assert_eq!(leg.send(99), Ok(()));
        while home.poll() != News::Nothing {}
        assert!(news(&near).is_empty(), "nobody waits any more");
    }

    #[test]
    fn what_was_sent_is_read_before_it_is_over() {
        for reason in [0, 7, u32::MAX] {
            let (leg, mut home, _) = pair(4);
            leg.send(1).unwrap();
            home.send(2).unwrap();
            let mut rest = Vec::new();
            leg.close(reason, |left| rest.push(left));
            assert_eq!(rest, [Left::Unread(2)]);
            assert_eq!(home.peer_gone(), Some(Some(reason)), "at once");
            assert_eq!(home.send(3), Err(NotSent::Gone(3)));
            assert_eq!((home.poll(), home.poll()), (News::Item(1), News::Over(Some(reason))));
            assert_eq!(home.take_back(), None, "the other end took it");
        }
    }

    #[test]
    fn a_dropped_end_leaves_what_it_had_not_read() {
        let (mut leg, home, [near, _]) = pair(1);
        leg.send(1).unwrap();
        assert_eq!(leg.take_back(), None, "not while there is someone to read it");
        drop(home);
        assert_eq!(news(&near), [Id(1)]);
        assert_eq!((leg.poll(), leg.take_back(), leg.take_back()), (News::Over(None), Some(1), None));
    }

    #[test]
    fn a_death_is_seen_through_a_full_queue() {
        let (leg, mut home, [_, far]) = pair(1);
        home.open(Id(2));
        leg.send(1).unwrap();
        leg.send(2).unwrap_err();
        news(&far);
        leg.close(4, |left| panic!("{left:?}"));
        assert_eq!((home.peer_gone(), news(&far)), (Some(Some(4)), vec![Id(2)]));
        assert_eq!(home.poll(), News::Item(1));
        let mut rest = Vec::new();
        home.close(0, |left| rest.push(left));
        assert_eq!(rest, []);
    }

    #[test]
    fn the_last_to_go_hands_out_what_both_left() {
        let (leg, home, _) = pair(2);
        leg.send(1).unwrap();
        home.send(2).unwrap();
        drop(leg);
        let mut rest = Vec::new();
        home.close(0, |left| rest.push(left));
        assert_eq!(rest, [Left::Unread(1), Left::Unsent(2)]);
    }

    #[test]
    fn what_was_sent_to_an_end_that_nobody_took_is_its_writers() {
        let offered = || link::<u8, u8>(2, &bell(), Id(1), &bell());
        let mut rest = Vec::new();
        let (leg, mut home) = offered();
        leg.send(1).unwrap();
        leg.close(0, |left| rest.push(left));
        assert_eq!(rest, [Left::Unsent(1)], "at once, as the home may go without having looked");
        assert!(!home.mark_taken() && home.poll() == News::Over(Some(0)));
        home.close(0, |left| panic!("{left:?}"));
        let (leg, home) = offered();
        leg.send(2).unwrap();
        assert!(home.mark_taken());
        leg.close(0, |left| panic!("it will be read: {left:?}"));
        home.close(0, |left| rest.push(left));
        assert_eq!(rest[1], Left::Unread(2));
        let (leg, home) = offered();
        leg.send(3).unwrap();
        drop(home);
        leg.close(0, |left| rest.push(left));
        assert_eq!(rest[2], Left::Unsent(3));
    }

    #[test]
    fn an_owner_that_has_not_read_all_has_its_turn_again() {
        let (leg, home, [_, far]) = pair(2);
        home.open(Id(2));
        leg.send(1).unwrap();
        assert_eq!(news(&far), [Id(2)]);
        home.ring_self();
        home.ring_self();
        assert_eq!(news(&far), [Id(2)]);
    }

    #[test]
    fn what_is_taken_is_told_once_for_all_that_was_read() {
        let bells = [bell(), bell()];
        let (leg, mut home) = link::<u16, u16>(4, &bells[0], Id(1), &bells[1]);
        home.open(Id(2));
        let told = |at: usize| bells[at].returns.unsettled();
        (1..=3).for_each(|item| leg.send(10 * item).unwrap());
        assert_eq!((home.poll(), home.poll(), leg.taken(), told(0)), (News::Item(10), News::Item(20), 0, 0));
        home.report_read();
        assert_eq!((leg.taken(), told(0)), (30, 30));
        assert_eq!((home.poll(), home.poll(), leg.taken(), told(0)), (News::Item(30), News::Nothing, 60, 60));
        (1..=2).for_each(|item| leg.send(item).unwrap());
        home.send(5).unwrap();
        let mut left = Vec::new();
        home.close(0, |item| left.push(item));
        assert_eq!((left, told(0), leg.taken()), (vec![Left::Unread(1), Left::Unread(2)], 63, 63));
        drop(leg);
        assert_eq!(told(1), 5, "nobody took it: counted out with the link");
    }
}
