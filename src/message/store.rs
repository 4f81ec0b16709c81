//! Where messages wait for their turn: pooled nodes, pooled blocks for copied bodies, and the bytes they cost.
//!
//! A [`Lane`] is a list of messages whose numbers only grow. One leg delivers in order, so each leg has a lane, and the
//! set merges the lanes' heads: no heap, no sorting, no memory for holes.

use super::{Delivery, Message, Token, TooSmall};
use crate::base::pool::{Pool, Slot};
use crate::base::{limits, Budget, Id, Nanos};
use crate::wire::{cell::CELL_BODY_LEN, Command};

/// What a copied message costs: its whole slot, however short its body.
pub const COPY_COST: u32 = size_of::<Held<Copy>>() as u32;

/// What a held token costs at least: its slot. So a cap on bytes also bounds tokens that claim to cost nothing.
pub const TOKEN_COST_MIN: u32 = size_of::<Held<Kept>>() as u32;

/// Messages in growing order of number, linked through the store.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    head: Link,
    tail: Link,
    /// Number of the first message, [`NOTHING`] when there is none.
    first: u64,
    /// Number of the last message that was ever put in.
    last: u64,
    /// What its messages cost.
    bytes: u64,
}

/// The first number of an empty lane: above all others, so that it loses every comparison.
pub const NOTHING: u64 = u64::MAX;

impl Lane {
    /// A lane with nothing in it.
    pub const EMPTY: Lane = Lane { head: Link::NONE, tail: Link::NONE, first: NOTHING, last: 0, bytes: 0 };

    /// Number of the first message, [`NOTHING`] when there is none.
    #[inline]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of the last message, or `None` when there is none.
    pub fn last(&self) -> Option<u64> {
        (self.first != NOTHING).then_some(self.last)
    }

    /// True when nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first == NOTHING
    }

    /// True when the first message is a token.
    pub fn begins_with_token(&self) -> bool {
        !self.is_empty() && self.head.is_token()
    }

    /// What its messages cost.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first message is taken; this was its header, and that its cost.
    #[inline(always)]
    fn advance(&mut self, header: &Header, cost: u32) {
        self.head = header.next;
        self.first = header.next_number;
        self.bytes -= u64::from(cost);
    }
}

/// The memory behind all lanes of an engine: one pool for messages with a copy of their body, one for those with a
/// token, which take a thirteenth of the room.
#[derive(Debug)]
pub struct Store {
    copied: Pool<Held<Copy>>,
    tokens: Pool<Held<Kept>>,
    budget: Budget,
    /// Time that has passed and does not count.
    not_counted: Nanos,
    /// Messages looked at, for tests of how much one call does.
    #[cfg(test)]
    pub looks: std::cell::Cell<u64>,
}

/// A message in its lane. Its own number is known to whoever points to it: the lane, or the message before.
#[derive(Clone, Copy, Debug, Default)]
struct Held<C> {
    header: Header,
    content: C,
}

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    /// Number of the next message of the lane, so that taking one does not touch the next.
    next_number: u64,
    next: Link,
    /// When it came, or the oldest of those behind it, in ticks of [`TICK`] of time that counts.
    at: u32,
    stream_id: u16,
    body_len: u16,
    command: u8,
}

/// The grain of arrival times, about a millisecond: whoever asks which set has waited longest needs no finer one.
const TICK: u32 = limits::HELD_GRAIN.trailing_zeros();

#[derive(Clone, Copy, Debug)]
struct Copy([u8; CELL_BODY_LEN]);

impl Default for Copy {
    fn default() -> Self {
        Copy([0; CELL_BODY_LEN])
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    token: u64,
    cost: u32,
    /// The token is ours. For [`Store::tokens`], which trusts no lane.
    in_use: bool,
}

/// Where a message is: the pool in the highest bit, the slot in the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Link(u32);

impl Link {
    const NONE: Link = Link(u32::MAX);
    const TOKEN: u32 = 1 << 31;

    #[inline]
    fn is_token(self) -> bool {
        self.0 & Link::TOKEN != 0
    }

    #[inline]
    fn slot(self) -> Slot {
        Slot::from_bits(self.0 & !Link::TOKEN)
    }
}

impl Default for Link {
    fn default() -> Self {
        Link::NONE
    }
}

impl Store {
    /// A store that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        Store {
            copied: Pool::new(),
            tokens: Pool::new(),
            budget: Budget::new(bytes_max),
            not_counted: 0,
            #[cfg(test)]
            looks: std::cell::Cell::new(0),
        }
    }

    /// What the messages held cost, and may, those on their way to other engines included.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The same, to change what is not in a lane.
    pub fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// Messages held.
    pub fn len(&self) -> usize {
        self.copied.used() + self.tokens.used()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is held costs.
    pub fn bytes(&self) -> u64 {
        self.budget.used()
    }

    /// Something else of the engine's that counts in the same budget took `before` bytes, and takes `after` now: what
    /// is more has been [asked for](Store::may_hold).
    pub fn weigh(&mut self, before: u64, after: u64) {
        self.budget.weigh(before, after);
    }

    /// Memory owned, in use or not.
    pub fn pool_bytes(&self) -> usize {
        self.copied.bytes() + self.tokens.bytes()
    }

    /// Gives unused memory back to the system.
    pub fn trim(&mut self) -> usize {
        self.copied.trim() + self.tokens.trim()
    }

    /// Every token held, in whatever lane.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.tokens.iter().map(|held| held.content).filter(|kept| kept.in_use).map(Kept::token)
    }

    /// True when something that costs `cost` can be held, and nothing has to be asked: else ask the budget first.
    #[inline(always)]
    pub fn fits(&self, cost: u32) -> bool {
        self.budget.has_room(cost.into())
    }

    /// True when something that costs `cost` can be held, asked for if need be.
    pub fn may_hold(&mut self, cost: u32) -> bool {
        self.fits(cost) || self.budget.ask(cost.into()).is_ok()
    }

    /// Puts a message for which there is room behind all others of a lane. Its number must be above theirs. False when
    /// the pools are exhausted (at 2^31 messages).
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, lane: &mut Lane, number: u64, message: &Message<'_>) -> bool {
        self.push_at(lane, number, message, 0)
    }

    /// The same for one whose time of arrival is asked for later.
    #[inline(always)]
    #[must_use]
    pub fn push_at(&mut self, lane: &mut Lane, number: u64, message: &Message<'_>, now: Nanos) -> bool {
        let header = Header {
            at: self.tick(now),
            next_number: NOTHING,
            next: Link::NONE,
            stream_id: message.stream_id,
            body_len: message.body.len() as u16,
            command: message.command.0,
        };
        let kept = match message.token {
            Some(token) => self.keep_token(header, token),
            None => self.keep_copy(header, message.body),
        };
        let Some(link) = kept else { return false };
        let cost = u64::from(cost_of(message));
        self.budget.hold(cost);
        self.append(lane, link, number);
        lane.bytes += cost;
        true
    }

    /// Puts a token in a lane that nobody holds any more: it is to be handed back.
    pub fn push_leaving(&mut self, lane: &mut Lane, number: u64, token: Token) {
        let header = Header { next_number: NOTHING, next: Link::NONE, ..Header::default() };
        let Some(link) = self.keep_token(header, token) else { return };
        let cost = u64::from(token.cost.max(TOKEN_COST_MIN));
        self.append(lane, link, number);
        lane.bytes += cost;
        self.budget.leaves_from_elsewhere(cost);
    }

    /// Nobody holds what is in some lanes any more, which costs so much: it is to be handed out, or back. From now on
    /// it is taken by [`Store::pop_leaving`] and [`Store::drop_copied`] alone.
    pub fn leave(&mut self, bytes: u64) {
        self.budget.leaves(bytes);
    }

    /// Takes the first message of a lane, with its cost; its bytes go into `buffer`.
    #[inline(always)]
    pub fn pop(&mut self, lane: &mut Lane, buffer: &mut [u8]) -> Result<Option<(Delivery, u32)>, TooSmall> {
        let taken = self.take(lane, buffer)?;
        if let Some((_, cost)) = taken {
            self.budget.let_go(cost.into());
        }
        Ok(taken)
    }

    /// The same, for a message that goes on to another engine, and is held until that takes it.
    pub fn pop_to_cross(&mut self, lane: &mut Lane, buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        let taken = self.take(lane, buffer)?;
        Ok(taken.map(|(delivery, cost)| {
            self.budget.crosses(cost.into());
            delivery
        }))
    }

    /// The same, for a lane that leaves.
    pub fn pop_leaving(&mut self, lane: &mut Lane, buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        let taken = self.take(lane, buffer)?;
        Ok(taken.map(|(delivery, cost)| {
            self.budget.left(cost.into());
            delivery
        }))
    }

    #[inline(always)]
    fn take(&mut self, lane: &mut Lane, buffer: &mut [u8]) -> Result<Option<(Delivery, u32)>, TooSmall> {
        if lane.is_empty() {
            return Ok(None);
        }
        let slot = lane.head.slot();
        let (header, token, body_len, cost);
        if lane.head.is_token() {
            let Some(held) = self.tokens.get_mut(slot) else { return Ok(None) };
            held.content.in_use = false;
            (header, token, body_len) = (held.header, Some(held.content.token()), 0);
            cost = held.content.cost.max(TOKEN_COST_MIN);
            self.tokens.put(slot);
        } else {
            let Some(held) = self.copied.get(slot) else { return Ok(None) };
            let body = held.content.0.get(..usize::from(held.header.body_len)).unwrap_or_default();
            buffer.get_mut(..body.len()).ok_or(TooSmall)?.copy_from_slice(body);
            (header, token, body_len, cost) = (held.header, None, held.header.body_len, COPY_COST);
            self.copied.put(slot);
        }
        let delivery = Delivery {
            number: lane.first,
            leg: Id::NONE,
            tag: 0,
            command: Command(header.command),
            stream_id: header.stream_id,
            body_len,
            len: header.body_len,
            token,
        };
        lane.advance(&header, cost);
        Ok(Some((delivery, cost)))
    }

    /// Takes the first message of a lane if it is a token, with its cost.
    #[inline(always)]
    pub fn pop_token(&mut self, lane: &mut Lane) -> Option<(u64, u32)> {
        if lane.is_empty() || !lane.head.is_token() {
            return None;
        }
        let slot = lane.head.slot();
        let held = self.tokens.get_mut(slot)?;
        held.content.in_use = false;
        let (header, token, cost) = (held.header, held.content.token, held.content.cost.max(TOKEN_COST_MIN));
        self.tokens.put(slot);
        lane.advance(&header, cost);
        self.budget.let_go(cost.into());
        Some((token, cost))
    }

    /// When the oldest message of a lane came, give or take a millisecond; `now` is later. Time that does not count
    /// makes it later.
    pub fn since(&self, lane: &Lane, now: Nanos) -> Option<Nanos> {
        Some(self.time_of(self.first_header(lane)?.at, now))
    }

    /// The same in ticks, which start anew every 52 days: see [`Store::time_of`] and [`Store::earlier`].
    #[inline]
    pub fn arrival(&self, lane: &Lane) -> u32 {
        self.first_header(lane).map_or(0, |header| header.at)
    }

    /// The time of a tick that is at most 26 days before `now`. One that seems to come from the future is now.
    pub fn time_of(&self, tick: u32, now: Nanos) -> Nanos {
        let ticks = (self.tick(now).wrapping_sub(tick) as i32).max(0) as u64;
        now.saturating_sub(ticks << TICK)
    }

    /// The earlier of two ticks that are at most 26 days apart.
    #[inline]
    pub fn earlier(one: u32, other: u32) -> u32 {
        if (one.wrapping_sub(other) as i32) < 0 {
            one
        } else {
            other
        }
    }

    /// So much of the time that has passed does not count, for whatever waits. (Wraps around: a clock that was set back
    /// takes some of it away again.)
    pub fn pause(&mut self, not_counted: Nanos) {
        self.not_counted = self.not_counted.wrapping_add(not_counted);
    }

    /// Time as it counts.
    #[inline]
    pub fn counted(&self, now: Nanos) -> Nanos {
        now.wrapping_sub(self.not_counted)
    }

    /// The host's time when this time as it counts will have come, if all counts from here on.
    pub fn uncounted(&self, counted: Nanos) -> Nanos {
        counted.wrapping_add(self.not_counted)
    }

    #[inline]
    fn tick(&self, now: Nanos) -> u32 {
        (self.counted(now) >> TICK) as u32
    }

    /// Command of the first message of a lane.
    pub fn command_of(&self, lane: &Lane) -> Command {
        Command(self.first_header(lane).map_or(0, |header| header.command))
    }

    #[inline]
    fn first_header(&self, lane: &Lane) -> Option<&Header> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        if lane.is_empty() {
            None
        } else if lane.head.is_token() {
            self.tokens.get(lane.head.slot()).map(|held| &held.header)
        } else {
            self.copied.get(lane.head.slot()).map(|held| &held.header)
        }
    }

    /// Drops the first message of a lane that leaves if it is a copied one. False when it is not, or there is none.
    pub fn drop_copied(&mut self, lane: &mut Lane) -> bool {
        if lane.is_empty() || lane.begins_with_token() {
            return false;
        }
        let Some(&header) = self.header_mut(lane.head).map(|header| &*header) else { return false };
        self.copied.put(lane.head.slot());
        lane.advance(&header, COPY_COST);
        self.budget.left(COPY_COST.into());
        true
    }

    /// Puts `from` behind `into`, whatever their numbers: for what will not be delivered any more.
    pub fn join(&mut self, into: &mut Lane, from: Lane) {
        if into.is_empty() {
            *into = from;
        } else if let (false, Some(tail)) = (from.is_empty(), self.header_mut(into.tail)) {
            (tail.next, tail.next_number) = (from.head, from.first);
            (into.tail, into.last) = (from.tail, from.last);
            into.bytes += from.bytes;
        }
    }

    #[inline(always)]
    fn append(&mut self, lane: &mut Lane, link: Link, number: u64) {
        if lane.is_empty() {
            lane.head = link;
            lane.first = number;
        } else if let Some(tail) = self.header_mut(lane.tail) {
            (tail.next, tail.next_number) = (link, number);
        }
        lane.tail = link;
        lane.last = number;
    }

    #[inline(always)]
    fn header_mut(&mut self, link: Link) -> Option<&mut Header> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        if link.is_token() {
            self.tokens.get_mut(link.slot()).map(|held| &mut held.header)
        } else {
            self.copied.get_mut(link.slot()).map(|held| &mut held.header)
        }
    }

    #[inline(always)]
    fn keep_token(&mut self, header: Header, token: Token) -> Option<Link> {
        let (slot, place) = self.tokens.take()?;
        *place = Held { header, content: Kept { token: token.token, cost: token.cost, in_use: true } };
        Some(Link(slot.to_bits() | Link::TOKEN))
    }

    #[inline(always)]
    fn keep_copy(&mut self, header: Header, body: &[u8]) -> Option<Link> {
        // The boundary has checked the length; asked before a slot is taken, so that none can be lost.
        if body.len() > CELL_BODY_LEN {
            return None;
        }
        let (slot, place) = self.copied.take()?;
        place.header = header;
        place.content.0.get_mut(..body.len())?.copy_from_slice(body);
        Some(Link(slot.to_bits()))
    }
}

impl Kept {
    fn token(self) -> Token {
        Token { token: self.token, cost: self.cost }
    }
}

/// What holding a message costs.
#[inline]
pub fn cost_of(message: &Message<'_>) -> u32 {
    message.token.map_or(COPY_COST, |token| token.cost.max(TOKEN_COST_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(body: &[u8]) -> Message<'_> {
        Message { command: Command::DATA, hop: 3, stream_id: 7, body, token: None }
    }

    fn token(token: u64) -> Message<'static> {
        Message { token: Some(Token { token, cost: 100 }), ..bytes(b"") }
    }

    #[test]
    fn a_copied_message_costs_at_most_540_bytes() {
        const { assert!(COPY_COST <= 540) };
    }

    #[test]
    fn a_lane_gives_back_what_went_in_and_the_books_are_even() {
        let mut store = Store::new(u64::MAX);
        let mut lane = Lane::EMPTY;
        assert!(store.push(&mut lane, 3, &bytes(b"three")));
        assert!(store.push(&mut lane, 9, &token(42)));
        assert_eq!((lane.first(), lane.last()), (3, Some(9)));
        assert_eq!(store.bytes(), u64::from(COPY_COST) + 100);
        assert_eq!(store.tokens().count(), 1);
        let mut buffer = [0; 498];
        assert_eq!(store.pop(&mut lane, &mut buffer[..4]), Err(TooSmall));
        assert_eq!(lane.first(), 3, "too small takes nothing");
        let (first, _) = store.pop(&mut lane, &mut buffer).unwrap().unwrap();
        assert_eq!((first.number, first.stream_id, &buffer[..5]), (3, 7, &b"three"[..]));
        let (second, _) = store.pop(&mut lane, &mut []).unwrap().unwrap();
        assert_eq!(second.token, Some(Token { token: 42, cost: 100 }));
        assert_eq!(store.pop(&mut lane, &mut buffer), Ok(None));
        assert_eq!((store.bytes(), store.len(), lane.last()), (0, 0, None));
    }

    #[test]
    fn what_does_not_count_is_no_age() {
        let (mut store, mut lane) = (Store::new(u64::MAX), Lane::EMPTY);
        let second = 1 << 30;
        assert!(store.push_at(&mut lane, 1, &bytes(b"x"), 3 * second));
        assert_eq!(store.since(&lane, 20 * second), Some(3 * second));
        store.pause(4 * second);
        assert_eq!(store.since(&lane, 20 * second), Some(7 * second));
        assert!(store.push_at(&mut lane, 2, &bytes(b"x"), 20 * second));
        store.pop(&mut lane, &mut [0; 1]).unwrap();
        assert_eq!(store.since(&lane, 20 * second), Some(20 * second));
        assert_eq!(store.since(&lane, 19 * second), Some(19 * second), "nothing is from the future");
        // A clock that was set back by 10 s: what waited has waited as long as before.
        store.pause((10 * second).wrapping_neg());
        assert_eq!(store.since(&lane, 11 * second), Some(10 * second));
    }

    #[test]
    fn joining_keeps_all_and_copies_are_dropped_one_by_one() {
        let mut store = Store::new(u64::MAX);
        let (mut a, mut b) = (Lane::EMPTY, Lane::EMPTY);
        for number in [2, 5] {
            assert!(store.push(&mut a, number, &token(number)));
        }
        for number in [3, 4] {
            assert!(store.push(&mut b, number, &bytes(b"x")));
        }
        store.join(&mut b, a);
        store.join(&mut b, Lane::EMPTY);
        assert!(store.push(&mut b, 6, &token(6)), "and more can follow");
        assert_eq!((store.bytes(), b.bytes()), (b.bytes(), 3 * 100 + 2 * u64::from(COPY_COST)));
        store.leave(b.bytes());
        assert_eq!((store.bytes(), store.budget().leaving()), (0, b.bytes()));
        assert!(store.drop_copied(&mut b) && store.drop_copied(&mut b) && !store.drop_copied(&mut b));
        let next = |store: &mut Store, lane: &mut Lane| store.pop_leaving(lane, &mut []).unwrap();
        let tokens: Vec<_> = std::iter::from_fn(|| next(&mut store, &mut b)).map(|message| message.number).collect();
        assert_eq!(tokens, [2, 5, 6]);
        let mut none = Lane::EMPTY;
        store.join(&mut none, b);
        assert!(none.is_empty() && !store.drop_copied(&mut none));
        assert_eq!((store.budget().leaving(), store.len()), (0, 0));
    }
}
