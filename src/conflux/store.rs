//! Where messages wait for their turn: pooled nodes, pooled blocks for copied bodies, and the bytes they cost.
//!
//! A [`Lane`] is a list of messages whose numbers only grow. One leg delivers in order, so each leg has a lane, and the
//! set merges the lanes' heads: no heap, no sorting, no memory for holes.

use crate::base::pool::{Pool, Slot};
use crate::base::Id;
use crate::wire::{cell::BODY_MAX, Command};

/// What a copied message costs: a node and a whole block.
pub const COPY_COST: u32 = (size_of::<Node>() + size_of::<Block>()) as u32;

/// A relay message as the host feeds it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Relay command.
    pub command: Command,
    /// The hop it came from.
    pub hop: u8,
    /// Stream id, 0 for none.
    pub stream_id: u16,
    /// Its bytes, copied only if it has to be held without a token.
    pub body: &'a [u8],
    /// The host keeps the message, and this is its name.
    pub token: Option<Token>,
}

/// A host's name for a message that stays the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// Any number.
    pub token: u64,
    /// Bytes the host says it costs to hold.
    pub cost: u32,
}

/// A message whose turn has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its absolute number.
    pub number: u64,
    /// The leg it came on, or none when that has gone.
    pub leg: Id,
    /// Relay command.
    pub command: Command,
    /// Stream id.
    pub stream_id: u16,
    /// Bytes written to the buffer; 0 with a token.
    pub body_len: u16,
    /// The host's token, the host's again.
    pub token: Option<Token>,
}

/// The buffer is too short for the message; nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooSmall;

/// Messages in growing order of number, linked through the store.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    head: Slot,
    tail: Slot,
    /// Number of the first message, [`NOTHING`] when there is none.
    first: u64,
    /// Number of the last message that was ever put in.
    last: u64,
}

/// The first number of an empty lane: above all others, so that it loses every comparison.
pub const NOTHING: u64 = u64::MAX;

impl Lane {
    /// A lane with nothing in it.
    pub const EMPTY: Lane = Lane { head: Slot::NONE, tail: Slot::NONE, first: NOTHING, last: 0 };

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
    pub fn is_empty(&self) -> bool {
        self.first == NOTHING
    }
}

/// The memory behind all lanes of an engine.
#[derive(Debug)]
pub struct Store {
    nodes: Pool<Node>,
    blocks: Pool<Block>,
    bytes: u64,
    bytes_peak: u64,
    bytes_max: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    number: u64,
    /// The token, or the block's slot.
    payload: u64,
    next: u32,
    cost: u32,
    stream_id: u16,
    body_len: u16,
    command: u8,
    is_token: bool,
}

#[derive(Clone, Copy, Debug)]
struct Block([u8; BODY_MAX]);

impl Default for Block {
    fn default() -> Self {
        Block([0; BODY_MAX])
    }
}

impl Store {
    /// A store that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        Store { nodes: Pool::new(), blocks: Pool::new(), bytes: 0, bytes_peak: 0, bytes_max }
    }

    /// Messages held.
    pub fn len(&self) -> usize {
        self.nodes.used()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is held costs.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The most it ever cost.
    pub fn bytes_peak(&self) -> u64 {
        self.bytes_peak
    }

    /// Memory owned, in use or not.
    pub fn pool_bytes(&self) -> usize {
        self.nodes.bytes() + self.blocks.bytes()
    }

    /// Gives unused memory back to the system.
    pub fn trim(&mut self) -> usize {
        self.nodes.trim() + self.blocks.trim()
    }

    /// Every token held, in whatever lane.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.nodes
            .iter()
            .filter(|(_, node)| node.is_token)
            .map(|(_, node)| Token { token: node.payload, cost: node.cost })
    }

    /// True when something that costs `cost` fits under the cap.
    #[inline]
    pub fn fits(&self, cost: u32) -> bool {
        self.bytes + u64::from(cost) <= self.bytes_max
    }

    /// Puts a message behind all others of a lane. Its number must be above theirs. False when the pools are exhausted
    /// (at 2^32 messages).
    #[inline]
    #[must_use]
    pub fn push(&mut self, lane: &mut Lane, number: u64, message: &Message<'_>) -> bool {
        let Some((payload, body_len)) = self.keep(message) else { return false };
        let Some((slot, node)) = self.nodes.take() else {
            if message.token.is_none() {
                self.blocks.put(Slot::from_bits(payload as u32));
            }
            return false;
        };
        *node = Node {
            number,
            payload,
            next: Slot::NONE.to_bits(),
            cost: cost_of(message),
            stream_id: message.stream_id,
            body_len,
            command: message.command.0,
            is_token: message.token.is_some(),
        };
        self.bytes += u64::from(cost_of(message));
        self.bytes_peak = self.bytes_peak.max(self.bytes);
        if lane.is_empty() {
            lane.head = slot;
            lane.first = number;
        } else if let Some(tail) = self.nodes.get_mut(lane.tail) {
            tail.next = slot.to_bits();
        }
        lane.tail = slot;
        lane.last = number;
        true
    }

    /// Takes the first message of a lane, with its cost; its bytes go into `buffer`.
    #[inline]
    pub fn pop(&mut self, lane: &mut Lane, buffer: &mut [u8]) -> Result<Option<(Delivery, u32)>, TooSmall> {
        if lane.is_empty() {
            return Ok(None);
        }
        let Some(&node) = self.nodes.get(lane.head) else { return Ok(None) };
        let mut body_len = 0;
        let token = if node.is_token {
            Some(Token { token: node.payload, cost: node.cost })
        } else {
            let slot = Slot::from_bits(node.payload as u32);
            let kept =
                self.blocks.get(slot).and_then(|block| block.0.get(..usize::from(node.body_len))).unwrap_or_default();
            buffer.get_mut(..kept.len()).ok_or(TooSmall)?.copy_from_slice(kept);
            body_len = node.body_len;
            self.blocks.put(slot);
            None
        };
        self.unlink_head(lane, &node);
        let delivery = Delivery {
            number: node.number,
            leg: Id::NONE,
            command: Command(node.command),
            stream_id: node.stream_id,
            body_len,
            token,
        };
        Ok(Some((delivery, node.cost)))
    }

    /// Takes the first token of a lane that will never be delivered; copied messages on the way are dropped.
    pub fn discard(&mut self, lane: &mut Lane) -> Option<Token> {
        while let Some(&node) = self.nodes.get(lane.head).filter(|_| !lane.is_empty()) {
            if !node.is_token {
                self.blocks.put(Slot::from_bits(node.payload as u32));
            }
            self.unlink_head(lane, &node);
            if node.is_token {
                return Some(Token { token: node.payload, cost: node.cost });
            }
        }
        None
    }

    /// Merges `from` into `into`, in order of number; of equal numbers, both stay.
    pub fn merge(&mut self, into: &mut Lane, from: &mut Lane) {
        let mut merged = Lane::EMPTY;
        while let Some(source) =
            [&mut *into, &mut *from].into_iter().min_by_key(|lane| lane.first).filter(|lane| !lane.is_empty())
        {
            let slot = source.head;
            let Some(&node) = self.nodes.get(slot) else { break };
            self.advance(source, &node);
            if merged.is_empty() {
                merged.head = slot;
                merged.first = node.number;
            } else if let Some(tail) = self.nodes.get_mut(merged.tail) {
                tail.next = slot.to_bits();
            }
            merged.tail = slot;
            merged.last = node.number;
        }
        if let Some(tail) = self.nodes.get_mut(merged.tail) {
            tail.next = Slot::NONE.to_bits();
        }
        *into = merged;
        *from = Lane::EMPTY;
    }

    #[inline]
    fn keep(&mut self, message: &Message<'_>) -> Option<(u64, u16)> {
        if let Some(token) = message.token {
            return Some((token.token, 0));
        }
        let (slot, block) = self.blocks.take()?;
        let body = message.body;
        block.0.get_mut(..body.len())?.copy_from_slice(body);
        Some((u64::from(slot.to_bits()), body.len() as u16))
    }

    #[inline]
    fn unlink_head(&mut self, lane: &mut Lane, node: &Node) {
        self.nodes.put(lane.head);
        self.advance(lane, node);
        self.bytes -= u64::from(node.cost);
    }

    #[inline]
    fn advance(&self, lane: &mut Lane, node: &Node) {
        lane.head = Slot::from_bits(node.next);
        // Numbers in a lane mostly follow one another, but need not: ask the next node.
        lane.first = self.nodes.get(lane.head).map_or(NOTHING, |next| next.number);
        if lane.first == NOTHING {
            *lane = Lane::EMPTY;
        }
    }
}

/// What holding a message costs.
#[inline]
pub fn cost_of(message: &Message<'_>) -> u32 {
    message.token.map_or(COPY_COST, |token| token.cost)
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
        assert!(COPY_COST <= 540, "{COPY_COST}");
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
    fn merging_keeps_order_and_discarding_hands_back_tokens_only() {
        let mut store = Store::new(u64::MAX);
        let (mut a, mut b) = (Lane::EMPTY, Lane::EMPTY);
        for number in [2, 5, 6] {
            assert!(store.push(&mut a, number, &token(number)));
        }
        for number in [3, 4, 9] {
            assert!(store.push(&mut b, number, &bytes(b"x")));
        }
        store.merge(&mut a, &mut b);
        assert!(b.is_empty());
        let mut numbers = Vec::new();
        let mut copy = a;
        while let Some(node) = store.nodes.get(copy.head).copied() {
            numbers.push(node.number);
            store.advance(&mut copy, &node);
        }
        assert_eq!(numbers, [2, 3, 4, 5, 6, 9]);
        assert_eq!(a.last(), Some(9));
        let handed_back: Vec<u64> = std::iter::from_fn(|| store.discard(&mut a)).map(|token| token.token).collect();
        assert_eq!(handed_back, [2, 5, 6]);
        assert_eq!((store.bytes(), store.len()), (0, 0));
        store.merge(&mut a, &mut b);
        assert!(a.is_empty(), "merging nothing with nothing");
    }
}
