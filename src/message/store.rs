//! The place where messages wait for their turn: pooled slots with copied bodies or tokens, and the count of the bytes
//! that they cost.
//!
//! A [`Lane`] is a list of messages whose numbers only grow. A leg delivers in order, so each leg has one lane, and the
//! set merges the first messages of its lanes: no heap, no sorting, no memory for gaps.

mod ages;
mod quick;

pub use quick::HeldPlace;

use super::{Bodies, Delivery, Message, Token, TooSmall};
use crate::base::pool::{Pool, Slot};
use crate::base::{Budget, Id, Nanos};
use crate::wire::{cell::CELL_BODY_LEN, Command};

/// The cost of a copied message in bytes: its whole slot, however short its body.
pub const COPY_COST: u32 = size_of::<Held<CopiedBody>>() as u32;

/// The least cost of a held token in bytes: its slot. So a cap on bytes also bounds tokens that claim to cost nothing.
pub const TOKEN_COST_MIN: u32 = size_of::<Held<HeldToken>>() as u32;

/// Messages in growing order of number, linked through the store.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    head: HeldRef,
    tail: HeldRef,
    /// Number of the first message, [`NOTHING`] when there is none.
    first: u64,
    /// Number of the last message that was ever added.
    last: u64,
    /// Bytes that its messages cost.
    bytes: u64,
}

/// The first number of an empty lane: above all others, so that it loses every comparison.
pub const NOTHING: u64 = u64::MAX;

impl Lane {
    /// A lane without messages.
    pub const EMPTY: Lane = Lane { head: HeldRef::NONE, tail: HeldRef::NONE, first: NOTHING, last: 0, bytes: 0 };

    /// Number of the first message, [`NOTHING`] when there is none.
    #[inline]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of the last message, or `None` when there is none.
    pub fn last(&self) -> Option<u64> {
        (self.first != NOTHING).then_some(self.last)
    }

    /// True when no message waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first == NOTHING
    }

    /// True when the first message is a token.
    pub fn begins_with_token(&self) -> bool {
        !self.is_empty() && self.head.is_token()
    }

    /// Like [`Lane::begins_with_token`], for a lane that is not empty.
    #[inline(always)]
    pub fn is_token_first(&self) -> bool {
        self.head.is_token()
    }

    /// Bytes that its messages cost.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Removes the first message, which had this header and this cost in bytes.
    #[inline(always)]
    fn advance(&mut self, header: &Header, cost: u32) {
        self.head = header.next;
        self.first = header.next_number;
        self.bytes -= u64::from(cost);
    }
}

/// The memory behind all lanes of an engine: one pool for messages with a copied body, and one for messages with a
/// token, which take a thirteenth of the room.
#[derive(Debug)]
pub struct Store {
    copied: Pool<Held<CopiedBody>>,
    tokens: Pool<Held<HeldToken>>,
    /// The slot of a message that was taken, and whose body is still read where it lies: see [`Store::lent`].
    lent: Option<Slot>,
    budget: Budget,
    /// Nanoseconds that have passed and do not count for any age; they wrap around.
    not_counted: Nanos,
    /// Number of looks at messages, for tests of how much one call does.
    #[cfg(test)]
    pub looks: std::cell::Cell<u64>,
}

/// A message in its lane. Its own number is kept by the message before it, or by the lane if it is the first.
#[derive(Clone, Copy, Debug, Default)]
struct Held<C> {
    header: Header,
    content: C,
}

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    /// Number of the next message in the lane, so that taking one message does not touch the next.
    next_number: u64,
    next: HeldRef,
    /// Time of arrival, in ticks of time that counts: see [`Store::time_of`].
    at: u32,
    stream_id: u16,
    body_len: u16,
    command: u8,
}

#[derive(Clone, Copy, Debug)]
struct CopiedBody([u8; CELL_BODY_LEN]);

impl Default for CopiedBody {
    fn default() -> Self {
        CopiedBody([0; CELL_BODY_LEN])
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct HeldToken {
    token: u64,
    cost: u32,
    /// The slot is in use. For [`Store::tokens`], which looks at all slots.
    in_use: bool,
}

/// The place of a message: the pool in the highest bit, the slot in the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct HeldRef(u32);

impl HeldRef {
    const NONE: HeldRef = HeldRef(u32::MAX);
    const TOKEN: u32 = 1 << 31;

    #[inline]
    fn is_token(self) -> bool {
        self.0 & HeldRef::TOKEN != 0
    }

    #[inline]
    fn slot(self) -> Slot {
        Slot::from_bits(self.0 & !HeldRef::TOKEN)
    }
}

impl Default for HeldRef {
    fn default() -> Self {
        HeldRef::NONE
    }
}

impl Store {
    /// A store that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        Store {
            copied: Pool::new(),
            tokens: Pool::new(),
            lent: None,
            budget: Budget::new(bytes_max),
            not_counted: 0,
            #[cfg(test)]
            looks: std::cell::Cell::new(0),
        }
    }

    /// The bytes that held messages cost, including those on their way to other engines, and their cap.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Like [`Store::budget`], to change what is not in a lane.
    pub fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// Number of messages held.
    pub fn len(&self) -> usize {
        self.copied.used() + self.tokens.used() - usize::from(self.lent.is_some())
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that all held messages cost.
    pub fn bytes(&self) -> u64 {
        self.budget.used()
    }

    /// Something else of the engine's that counts in the same budget took `before` bytes, and takes `after` now. The
    /// caller has made room for the difference (`Engine::ensure_place`).
    pub fn weigh(&mut self, before: u64, after: u64) {
        self.budget.weigh(before, after);
    }

    /// Bytes of memory owned, in use or not.
    pub fn pool_bytes(&self) -> usize {
        self.copied.bytes() + self.tokens.bytes()
    }

    /// Gives unused memory back to the system. Returns the bytes.
    pub fn trim(&mut self) -> usize {
        self.copied.trim() + self.tokens.trim()
    }

    /// All tokens held, in any lane.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.tokens.iter().map(|held| held.content).filter(|kept| kept.in_use).map(HeldToken::token)
    }

    /// True when `cost` bytes more can be held without asking the budget.
    #[inline(always)]
    pub fn fits(&self, cost: u32) -> bool {
        self.budget.has_room(cost.into())
    }

    /// Adds a message to the end of a lane. The caller has made room for it, and its number is above all others of the
    /// lane. False when the pools are exhausted (at 2^31 messages).
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, lane: &mut Lane, number: u64, message: &Message<'_>) -> bool {
        self.push_at(lane, number, message, 0)
    }

    /// Like [`Store::push`], for a message whose time of arrival will be asked for.
    #[inline(always)]
    #[must_use]
    pub fn push_at(&mut self, lane: &mut Lane, number: u64, message: &Message<'_>, now: Nanos) -> bool {
        let header = Header {
            at: self.tick(now),
            next_number: NOTHING,
            next: HeldRef::NONE,
            stream_id: message.stream_id,
            body_len: message.body.len() as u16,
            command: message.command.0,
        };
        let kept = match message.token {
            Some(token) => self.keep_token(header, token),
            None => self.keep_copy(header, message.body),
        };
        let Some(held_ref) = kept else { return false };
        let cost = u64::from(cost_of(message));
        self.budget.hold(cost);
        self.append(lane, held_ref, number);
        lane.bytes += cost;
        true
    }

    /// Adds a token to a lane that leaves (see [`Store::leave`]): it is to be handed back to the host.
    pub fn push_leaving(&mut self, lane: &mut Lane, number: u64, token: Token) {
        let header = Header { next_number: NOTHING, next: HeldRef::NONE, ..Header::default() };
        let Some(held_ref) = self.keep_token(header, token) else { return };
        let cost = u64::from(token.cost.max(TOKEN_COST_MIN));
        self.append(lane, held_ref, number);
        lane.bytes += cost;
        self.budget.add_leaving(cost);
    }

    /// The set or circuit that held some lanes, of `bytes` in all, is gone: the lanes leave. Copied messages are freed
    /// and tokens handed back to the host, by [`Store::pop_leaving`] and [`Store::drop_copied`] only.
    pub fn leave(&mut self, bytes: u64) {
        self.budget.move_to_leaving(bytes);
    }

    /// Takes the first message of a lane, with its cost, and its body in the way that `bodies` says.
    #[inline(always)]
    pub fn pop(&mut self, lane: &mut Lane, bodies: &mut impl Bodies) -> Result<Option<(Delivery, u32)>, TooSmall> {
        let taken = self.remove_first(lane, bodies)?;
        if let Some((_, cost)) = taken {
            self.budget.release(cost.into());
        }
        Ok(taken)
    }

    /// Like [`Store::pop`], for a message that goes to another engine: it counts as held until that engine takes it.
    pub fn pop_to_cross(&mut self, lane: &mut Lane, mut buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        let taken = self.remove_first(lane, &mut buffer)?;
        Ok(taken.map(|(delivery, cost)| {
            self.budget.mark_crossing(cost.into());
            delivery
        }))
    }

    /// The body that is [lent](super::Lend), or nothing. It neither moves nor changes until [`Store::give_back`],
    /// whatever else is done with the store.
    #[inline(always)]
    pub fn lent(&self) -> &[u8] {
        let held = self.lent.and_then(|slot| self.copied.get(slot));
        held.and_then(|held| held.content.0.get(..usize::from(held.header.body_len))).unwrap_or_default()
    }

    /// Nobody reads the body any more that is lent: its slot is free.
    #[inline(always)]
    pub fn give_back(&mut self) {
        if let Some(slot) = self.lent.take() {
            self.copied.put(slot);
        }
    }

    /// Takes the first message of a lane that leaves, and writes its body into `buffer`.
    pub fn pop_leaving(&mut self, lane: &mut Lane, mut buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        let taken = self.remove_first(lane, &mut buffer)?;
        Ok(taken.map(|(delivery, cost)| {
            self.budget.remove_leaving(cost.into());
            delivery
        }))
    }

    #[inline(always)]
    fn remove_first(&mut self, lane: &mut Lane, bodies: &mut impl Bodies) -> Result<Option<(Delivery, u32)>, TooSmall> {
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
            let Some(body) = held.content.0.get(..usize::from(held.header.body_len)) else { return Ok(None) };
            let is_read = bodies.take(body)?;
            (header, token, body_len, cost) = (held.header, None, held.header.body_len, COPY_COST);
            if is_read {
                self.lent = Some(slot);
            } else {
                self.copied.put(slot);
            }
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
        self.budget.release(cost.into());
        Some((token, cost))
    }

    /// Command of the first message of a lane.
    pub fn command_of(&self, lane: &Lane) -> Command {
        Command(self.first_header(lane).map_or(0, |header| header.command))
    }

    /// Command and stream id of the first message of a lane.
    pub fn first_of(&self, lane: &Lane) -> Option<(Command, u16)> {
        self.first_header(lane).map(|header| (Command(header.command), header.stream_id))
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

    /// Drops the first message of a lane that leaves, if it is a copied one. False for a token, and for an empty lane.
    pub fn drop_copied(&mut self, lane: &mut Lane) -> bool {
        if lane.is_empty() || lane.begins_with_token() {
            return false;
        }
        let Some(&header) = self.header_mut(lane.head).map(|header| &*header) else { return false };
        self.copied.put(lane.head.slot());
        lane.advance(&header, COPY_COST);
        self.budget.remove_leaving(COPY_COST.into());
        true
    }

    /// Adds all messages of `from` to the end of `into`, whatever their numbers: for messages that will not be
    /// delivered any more.
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
    fn append(&mut self, lane: &mut Lane, held_ref: HeldRef, number: u64) {
        if lane.is_empty() {
            lane.head = held_ref;
            lane.first = number;
        } else if let Some(tail) = self.header_mut(lane.tail) {
            (tail.next, tail.next_number) = (held_ref, number);
        }
        lane.tail = held_ref;
        lane.last = number;
    }

    #[inline(always)]
    fn header_mut(&mut self, held_ref: HeldRef) -> Option<&mut Header> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        if held_ref.is_token() {
            self.tokens.get_mut(held_ref.slot()).map(|held| &mut held.header)
        } else {
            self.copied.get_mut(held_ref.slot()).map(|held| &mut held.header)
        }
    }

    #[inline(always)]
    fn keep_token(&mut self, header: Header, token: Token) -> Option<HeldRef> {
        let (slot, place) = self.tokens.take()?;
        *place = Held { header, content: HeldToken { token: token.token, cost: token.cost, in_use: true } };
        Some(HeldRef(slot.to_bits() | HeldRef::TOKEN))
    }

    #[inline(always)]
    fn keep_copy(&mut self, header: Header, body: &[u8]) -> Option<HeldRef> {
        // The C ABI has checked the length. Checked here before a slot is taken, so that no slot can be lost.
        if body.len() > CELL_BODY_LEN {
            return None;
        }
        let (slot, place) = self.copied.take()?;
        place.header = header;
        place.content.0.get_mut(..body.len())?.copy_from_slice(body);
        Some(HeldRef(slot.to_bits()))
    }
}

impl HeldToken {
    fn token(self) -> Token {
        Token { token: self.token, cost: self.cost }
    }
}

/// Bytes that a message costs while it is held.
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
        assert_eq!(store.pop(&mut lane, &mut &mut buffer[..4]), Err(TooSmall));
        assert_eq!(lane.first(), 3, "too small takes nothing");
        let (first, _) = store.pop(&mut lane, &mut buffer.as_mut_slice()).unwrap().unwrap();
        assert_eq!((first.number, first.stream_id, &buffer[..5]), (3, 7, &b"three"[..]));
        let (second, _) = store.pop(&mut lane, &mut [].as_mut_slice()).unwrap().unwrap();
        assert_eq!(second.token, Some(Token { token: 42, cost: 100 }));
        assert_eq!(store.pop(&mut lane, &mut buffer.as_mut_slice()), Ok(None));
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
        store.pop(&mut lane, &mut [0; 1].as_mut_slice()).unwrap();
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
