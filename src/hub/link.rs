//! What joins a leg to the home of its set when they live on different threads.
//!
//! A link has two [`LinkEnd`]s, one with the leg's engine and one with the set's. Each end has an inbox, which the
//! other fills: a bounded channel, a flag that says that the inbox's owner is gone, and an ear. An item is a host's
//! token or the like: each must come out exactly once, whoever dies when. So:
//!
//! 1. *Send*: is the reader gone? Then nothing is put in. Else push; fence; look at the flag again, and if it is set
//!    now, take back what is still in the channel. Else ring the reader.
//! 2. *Die*: set the own flag; fence; take out what is in the own inbox; ring the other end. What was sent before
//!    stays where it is, for the other end to read.
//! 3. *Read*: look at the other end's flag, then pop. Nothing there, and the flag was set before the look: that was
//!    all. The reader then takes back what it has sent and the dead did not take.
//! 4. *Full*: mark that the writer waits; fence; push again. The reader, when it finds its inbox empty: fence; is the
//!    mark set? Then take it away and ring the writer.
//!
//! Why nothing is lost in 1 and 2: of two fences one is first. If the writer's, the dead finds the item; if the dead's,
//! the writer finds the flag. Both may, and then the channel hands the item to one of them. Why no writer waits for
//! ever in 4: if the reader's fence is first, the second push finds the room; else the reader finds the mark. A reader
//! that stops before its inbox is empty rings for itself ([`LinkEnd::again`]), so it gets there. tests/loom.rs tries
//! all orders of this code, on a channel that orders less than the real one.
//!
//! An end that nobody has taken yet (a circuit that waits for its set's home) has no reader, so what was sent to it is
//! its writer's: who goes first says so in one step, the home that takes its end ([`LinkEnd::take`]) or the leg that
//! withdraws. So it does not matter that a home that goes drops the ends it never took, on whatever thread.
//!
//! What an item costs is counted by the engine that sent it, until it is taken: the reader writes down how much that
//! was, for the link and for the writer's engine ([`crate::base::budget::Returns`]), once for all that it reads in a
//! row ([`LinkEnd::tell`]). What nobody takes is counted out with the link.
//!
//! One thread at a time has an end. A flag needs no room, so a death is seen through a full channel
//! ([`LinkEnd::over`]).

use super::bell::{Bell, Ear};
use super::bounded::Bounded;
use crate::base::budget::Returns;
use crate::base::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering::*};
use crate::base::sync::Arc;
use crate::base::Id;
use crate::queue::{Sink, TrySend};
use std::cell::Cell;

/// One end of a link: it reads `I` and writes `O`. Dropped without [`LinkEnd::close`] it counts as closed without a
/// word, and what is in its inbox stays for the other end to take back.
pub struct LinkEnd<I: Cargo, O: Cargo> {
    // The mirror of the leg's congestion state belongs here, shared by both ends.
    inbox: Arc<Inbox<I>>,
    /// The other end's.
    outbox: Arc<Inbox<O>>,
    /// What was read cost so much, and the other end has not been told.
    read: Cell<u64>,
    closed: bool,
}

/// What crosses, and is counted.
pub trait Cargo {
    /// What it costs to hold.
    fn cost(&self) -> u64 {
        0
    }
}

/// What the owner of one end reads from, and the other end writes to.
struct Inbox<T: Cargo> {
    items: Bounded<T>,
    /// What was taken out cost so much; the reader alone changes it.
    taken: AtomicU64,
    /// Of the engine that writes here.
    returns: Arc<Returns>,
    /// From this length on down a writer that waits may go on.
    low: usize,
    /// 0 as long as the owner is there.
    gone: AtomicU64,
    /// The writer found it full and waits to be rung.
    awaited: AtomicBool,
    /// Whose the items are until there is a reader: [`OFFERED`], then [`TAKEN`] or [`WITHDRAWN`].
    reader: AtomicU64,
    ear: Arc<Ear>,
}

/// What a look into the inbox found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News<T> {
    /// The next item.
    Item(T),
    /// Nothing for now: the bell will ring.
    Nothing,
    /// Nothing ever again: the other end is gone, and this was its word, if it had one.
    Over(Option<u32>),
}

/// Why an item was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotSent<T> {
    /// There is no room; the bell rings when there is. The item is the caller's.
    Full(T),
    /// The other end is gone. The item is the caller's, or it is among what [`LinkEnd::take_back`] finds, unless the
    /// other end took it as it died.
    Gone(Option<T>),
}

/// What a closed end leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left<I, O> {
    /// It came, and was not read.
    Unread(I),
    /// It was sent, and the other end is gone.
    Unsent(O),
}

/// Both ends of a new link: the first one's owner knows it as `key`, the second one's will say (`LinkEnd::open`).
pub fn link<A: Cargo, B: Cargo>(
    room: usize,
    near: &Arc<Bell>,
    key: Id,
    far: &Arc<Bell>,
) -> (LinkEnd<A, B>, LinkEnd<B, A>) {
    let inbox = Arc::new(Inbox::new(room, Ear::new(near, key), &far.returns, TAKEN));
    let outbox = Arc::new(Inbox::new(room, Ear::closed(far), &near.returns, OFFERED));
    (LinkEnd::new(&inbox, &outbox), LinkEnd::new(&outbox, &inbox))
}

impl<I: Cargo, O: Cargo> LinkEnd<I, O> {
    fn new(inbox: &Arc<Inbox<I>>, outbox: &Arc<Inbox<O>>) -> Self {
        let (inbox, outbox) = (Arc::clone(inbox), Arc::clone(outbox));
        LinkEnd { inbox, outbox, read: Cell::new(0), closed: false }
    }

    /// Whoever holds the second end will read it, or close it. False when the first end was closed before that: it has
    /// handed out what it had sent, and there is nothing to read.
    pub fn take(&self) -> bool {
        self.inbox.reader.compare_exchange(OFFERED, TAKEN, AcqRel, Acquire) != Err(WITHDRAWN)
    }

    /// The second end has got an owner: news of it comes under this key, and some may be there already.
    pub fn open(&self, key: Id) {
        self.take();
        Ear::open(&self.inbox.ear, key);
    }

    /// Sends an item, behind all others.
    pub fn send(&self, item: O) -> Result<(), NotSent<O>> {
        let outbox = &self.outbox;
        if outbox.gone.load(Acquire) != HERE {
            return Err(NotSent::Gone(Some(item)));
        }
        if let Err(item) = outbox.items.push(item) {
            outbox.awaited.store(true, Relaxed);
            fence(SeqCst);
            if let Err(item) = outbox.items.push(item) {
                return Err(NotSent::Full(item));
            }
            outbox.awaited.store(false, Relaxed);
        }
        fence(SeqCst);
        if outbox.gone.load(Acquire) != HERE {
            return Err(NotSent::Gone(None));
        }
        Ear::ring(&outbox.ear);
        Ok(())
    }

    /// The next item from the other end.
    pub fn poll(&self) -> News<I> {
        let inbox = &self.inbox;
        let over = self.over();
        let Some(item) = inbox.items.pop() else {
            self.tell();
            fence(SeqCst);
            self.wake_writer();
            return over.map_or(News::Nothing, News::Over);
        };
        self.read.set(self.read.get() + item.cost());
        // Sooner than when it is empty, if the mark is seen: the writer fills it while the reader works.
        if inbox.awaited.load(Relaxed) && inbox.items.len() <= inbox.low {
            self.wake_writer();
        }
        News::Item(item)
    }

    /// The other end's last word, once it is gone. What it sent before can still be read.
    pub fn over(&self) -> Option<Option<u32>> {
        match self.outbox.gone.load(Acquire) {
            HERE => None,
            gone => Some(u32::try_from(gone - WORDS).ok()),
        }
    }

    /// Once the other end is gone: what was sent to it and not taken, one after the other.
    pub fn take_back(&self) -> Option<O> {
        self.over()?;
        fence(SeqCst);
        self.outbox.items.pop()
    }

    /// Of what was ever sent, what was taken cost so much, as far as the other end has told.
    pub fn taken(&self) -> u64 {
        self.outbox.taken.load(Relaxed)
    }

    /// Tells the other end, and its engine, what all that was read since the last time costs. Whoever reads has to do
    /// so before it goes on to other things; a look that finds nothing does it.
    pub fn tell(&self) {
        let read = self.read.take();
        if read > 0 {
            let taken = &self.inbox.taken;
            taken.store(taken.load(Relaxed).wrapping_add(read), Relaxed);
            self.inbox.returns.taken(read);
        }
    }

    /// Rings for this end itself: its owner has not read all, and will go on in its turn.
    pub fn again(&self) {
        Ear::ring(&self.inbox.ear);
    }

    /// Rings for the other end, of news that is not in the link.
    pub fn nudge(&self) {
        Ear::ring(&self.outbox.ear);
    }

    /// Goes, with a word for the other end, and hands out what nobody will read.
    pub fn close(mut self, word: u32, mut left: impl FnMut(Left<I, O>)) {
        self.closed = true;
        self.die(WORDS + u64::from(word));
        if self.take() {
            while let Some(item) = self.inbox.items.pop() {
                self.read.set(self.read.get() + item.cost());
                left(Left::Unread(item));
            }
        }
        self.tell();
        let withdrawn = self.withdraw();
        while let Some(item) = if withdrawn { self.outbox.items.pop() } else { self.take_back() } {
            left(Left::Unsent(item));
        }
        Ear::ring(&self.outbox.ear);
    }

    /// Nobody has taken the other end, and nobody will.
    fn withdraw(&self) -> bool {
        self.outbox.reader.compare_exchange(OFFERED, WITHDRAWN, AcqRel, Acquire).is_ok()
    }

    fn die(&self, gone: u64) {
        self.inbox.gone.store(gone, Release);
        fence(SeqCst);
    }

    fn wake_writer(&self) {
        if self.inbox.awaited.load(Relaxed) && self.inbox.awaited.swap(false, AcqRel) {
            Ear::ring(&self.outbox.ear);
        }
    }
}

/// An end is a channel that a backlog can stand before.
impl<I: Cargo, O: Cargo> Sink<O> for &LinkEnd<I, O> {
    fn try_send(&mut self, item: O) -> Result<(), TrySend<O>> {
        match self.send(item) {
            // What went as the other end died comes back with the rest that was not taken.
            Ok(()) | Err(NotSent::Gone(None)) => Ok(()),
            Err(NotSent::Full(item)) => Err(TrySend::Full(item)),
            Err(NotSent::Gone(Some(item))) => Err(TrySend::Closed(item)),
        }
    }

    fn is_closed(&self) -> bool {
        self.over().is_some()
    }
}

impl<I: Cargo, O: Cargo> Drop for LinkEnd<I, O> {
    fn drop(&mut self) {
        self.tell();
        if !self.closed {
            self.die(WORDLESS);
            Ear::ring(&self.outbox.ear);
        }
    }
}

impl<T: Cargo> Inbox<T> {
    fn new(room: usize, ear: Arc<Ear>, returns: &Arc<Returns>, reader: u64) -> Self {
        let [gone, taken, reader] = [HERE, 0, reader].map(AtomicU64::new);
        let (items, awaited, returns) = (Bounded::new(room), AtomicBool::new(false), Arc::clone(returns));
        Inbox { items, taken, returns, low: room / 2, gone, awaited, reader, ear }
    }
}

/// Both ends are gone.
impl<T: Cargo> Drop for Inbox<T> {
    fn drop(&mut self) {
        let left = std::iter::from_fn(|| self.items.pop()).map(|item| item.cost()).sum();
        self.returns.lost(left);
    }
}

/// What `gone` says: the owner is there; it went with a word, counted from `WORDS`; it went without one.
const HERE: u64 = 0;
const WORDS: u64 = 1;
const WORDLESS: u64 = WORDS + u32::MAX as u64 + 1;

/// What `reader` says: nobody reads yet; somebody does; the writer went before.
const OFFERED: u64 = 0;
const TAKEN: u64 = 1;
const WITHDRAWN: u64 = 2;

// For tests: numbers that cost nothing, and one kind that costs what it says.
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
        assert!(home.take());
        (leg, home, bells)
    }

    fn news(bell: &Bell) -> Vec<Id> {
        let mut keys = Vec::new();
        assert!(!bell.take(9, &mut keys));
        keys
    }

    #[test]
    fn full_at_the_cap_not_below_and_rung_when_there_is_room() {
        let (leg, home, [near, far]) = pair(LINK_ROOM);
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
        for word in [0, 7, u32::MAX] {
            let (leg, home, _) = pair(4);
            leg.send(1).unwrap();
            home.send(2).unwrap();
            let mut rest = Vec::new();
            leg.close(word, |left| rest.push(left));
            assert_eq!(rest, [Left::Unread(2)]);
            assert_eq!(home.over(), Some(Some(word)), "at once");
            assert_eq!(home.send(3), Err(NotSent::Gone(Some(3))));
            assert_eq!((home.poll(), home.poll()), (News::Item(1), News::Over(Some(word))));
            assert_eq!(home.take_back(), None, "the other end took it");
        }
    }

    #[test]
    fn a_dropped_end_leaves_what_it_had_not_read() {
        let (leg, home, [near, _]) = pair(1);
        leg.send(1).unwrap();
        assert_eq!(leg.take_back(), None, "not while there is someone to read it");
        drop(home);
        assert_eq!(news(&near), [Id(1)]);
        assert_eq!((leg.poll(), leg.take_back(), leg.take_back()), (News::Over(None), Some(1), None));
    }

    #[test]
    fn a_death_is_seen_through_a_full_channel() {
        let (leg, home, [_, far]) = pair(1);
        home.open(Id(2));
        leg.send(1).unwrap();
        leg.send(2).unwrap_err();
        news(&far);
        leg.close(4, |left| panic!("{left:?}"));
        assert_eq!((home.over(), news(&far)), (Some(Some(4)), vec![Id(2)]));
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
        let (leg, home) = offered();
        leg.send(1).unwrap();
        leg.close(0, |left| rest.push(left));
        assert_eq!(rest, [Left::Unsent(1)], "at once, as the home may go without having looked");
        assert!(!home.take() && home.poll() == News::Over(Some(0)));
        home.close(0, |left| panic!("{left:?}"));
        let (leg, home) = offered();
        leg.send(2).unwrap();
        assert!(home.take());
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
        home.again();
        home.again();
        assert_eq!(news(&far), [Id(2)]);
    }

    #[test]
    fn what_is_taken_is_told_once_for_all_that_was_read() {
        let bells = [bell(), bell()];
        let (leg, home) = link::<u16, u16>(4, &bells[0], Id(1), &bells[1]);
        home.open(Id(2));
        let told = |at: usize| bells[at].returns.look();
        (1..=3).for_each(|item| leg.send(10 * item).unwrap());
        assert_eq!((home.poll(), home.poll(), leg.taken(), told(0)), (News::Item(10), News::Item(20), 0, 0));
        home.tell();
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
