//! Lanes that are merged by the number of their first message: those of legs that have gone, and those of ended sets.
//!
//! The lanes stand in a heap. Adding a lane costs a few comparisons, however long the lane is, and a run of messages
//! from one lane is taken without a look at the others. Each node also knows the oldest message in its subtree, so that
//! the age of a set is found without a look at every lane.

use super::{Delivery, Lane, Store, TooSmall, NOTHING};
use crate::base::Nanos;

/// Lanes, none of them empty. Only the first may have changed since it was put in its place: see [`Lanes::settle`].
#[derive(Debug, Default)]
pub struct Lanes(Vec<Node>);

#[derive(Clone, Copy, Debug)]
struct Node {
    lane: Lane,
    /// Arrival of the first message of the lane, as from [`Store::arrival`]. May be out of date for the first node.
    at: u32,
    /// The earliest `at` in this node's subtree. Not kept for the first node.
    oldest: u32,
}

impl Lanes {
    /// No lanes, and no memory.
    pub const NONE: Lanes = Lanes(Vec::new());

    /// One lane, or no lanes when that one is empty.
    pub fn of(lane: Lane, store: &Store) -> Lanes {
        let mut lanes = Lanes::NONE;
        lanes.put(lane, store);
        lanes
    }

    /// True when no message waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first() == NOTHING
    }

    /// The lowest number of all messages, [`NOTHING`] when there is none.
    #[inline]
    pub fn first(&self) -> u64 {
        self.0.first().map_or(NOTHING, |node| node.lane.first())
    }

    /// The lane with the lowest number. After taking messages from it, the caller calls [`Lanes::settle`]; before that
    /// it may only take further messages of the same run.
    #[inline]
    pub fn top(&mut self) -> Option<&mut Lane> {
        self.0.first_mut().map(|node| &mut node.lane)
    }

    /// Adds a lane.
    pub fn put(&mut self, lane: Lane, store: &Store) {
        self.settle(store);
        if lane.is_empty() {
            return;
        }
        let at = store.arrival(&lane);
        self.0.push(Node { lane, at, oldest: at });
        let mut index = self.0.len() - 1;
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.0[index].lane.first() < self.0[parent].lane.first() {
                self.0.swap(index, parent);
                self.update_oldest(index);
            }
            self.update_oldest(parent);
            index = parent;
        }
    }

    /// Puts the first lane in its place, after messages were taken out of it.
    pub fn settle(&mut self, store: &Store) {
        let Some(first) = self.0.first_mut() else { return };
        if first.lane.is_empty() {
            self.0.swap_remove(0);
            if self.0.is_empty() {
                // A set that lost a leg once does not keep room for a thousand.
                *self = Lanes::NONE;
                return;
            }
            self.update_oldest_above(self.0.len());
        } else {
            first.at = store.arrival(&first.lane);
        }
        let mut index = 0;
        loop {
            let children = (2 * index + 1..2 * index + 3).filter(|&child| child < self.0.len());
            let Some(least) = children.min_by_key(|&child| self.0[child].lane.first()) else { break };
            if self.0[index].lane.first() <= self.0[least].lane.first() {
                break;
            }
            self.0.swap(index, least);
            index = least;
        }
        self.update_oldest(index);
        self.update_oldest_above(index);
    }

    /// Bytes that the messages in all lanes cost.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|node| node.lane.bytes()).sum()
    }

    /// Takes the first message of lanes that [leave](Store::leave), and writes its body into `buffer`.
    pub fn pop(&mut self, store: &mut Store, buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        let Some(lane) = self.top() else { return Ok(None) };
        let taken = store.pop_leaving(lane, buffer)?;
        self.settle(store);
        Ok(taken)
    }

    /// Drops copied messages of lanes that leave, until a token is first or `budget` runs out. Each message counts
    /// `budget` down.
    pub fn free(&mut self, store: &mut Store, budget: &mut u32) {
        while let Some(lane) = self.top().filter(|lane| *budget > 0 && !lane.begins_with_token()) {
            while *budget > 0 && store.drop_copied(lane) {
                *budget -= 1;
            }
            self.settle(store);
        }
    }

    /// True when the first message is a token.
    pub fn begins_with_token(&self) -> bool {
        self.0.first().is_some_and(|node| node.lane.begins_with_token())
    }

    /// When the oldest message came; `now` must not be earlier.
    pub fn since(&self, store: &Store, now: Nanos) -> Option<Nanos> {
        let first = self.0.first().and_then(|node| store.since(&node.lane, now));
        let others = self.0.iter().skip(1).take(2).map(|node| store.time_of(node.oldest, now));
        first.into_iter().chain(others).min()
    }

    fn update_oldest_above(&mut self, mut index: usize) {
        while index > 0 {
            index = (index - 1) / 2;
            self.update_oldest(index);
        }
    }

    /// Computes the oldest arrival in a subtree anew.
    fn update_oldest(&mut self, index: usize) {
        let own = self.0[index].at;
        let children = (2 * index + 1..2 * index + 3).filter_map(|child| self.0.get(child));
        let oldest = children.map(|child| child.oldest).fold(own, Store::earlier);
        self.0[index].oldest = oldest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, Token};
    use crate::wire::Command;

    /// Lanes compared with a plain list of all messages in them.
    #[test]
    fn like_a_list_that_is_searched() {
        let mut random = 1_u64;
        let mut below = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        let (mut store, mut lanes, mut list) = (Store::new(u64::MAX), Lanes::NONE, Vec::new());
        for round in 1..4_000_u64 {
            // Mostly growing for a while, then mostly shrinking.
            if below(10) < if round % 1_000 < 400 { 6 } else { 2 } {
                // No two are equal.
                let (mut lane, mut number, mut at) = (Lane::EMPTY, below(1_000) * 4_096 + round, below(1 << 40));
                for _ in 0..below(6) {
                    (number, at) = (number + 4_096 * below(9) + 4_096, at + (below(50) << 20));
                    let token = (below(2) == 0).then_some(Token { token: number, cost: 1 });
                    let message = Message { command: Command::DATA, hop: 0, stream_id: 0, body: b"", token };
                    assert!(store.push_at(&mut lane, number, &message, at));
                    list.push((number, at >> 20 << 20));
                }
                lanes.put(lane, &store);
            } else {
                let taken = lanes.pop(&mut store, &mut []).unwrap().map(|delivery| delivery.number);
                let least = list.iter().map(|&(number, _)| number).min();
                assert_eq!(taken, least);
                assert_eq!(lanes.is_empty(), list.len() <= 1);
                list.retain(|&(number, _)| Some(number) != least);
            }
            let oldest = list.iter().map(|&(_, at)| at).min();
            assert_eq!(lanes.since(&store, 1 << 41), oldest, "round {round}");
        }
        assert!(lanes.0.len() < list.len() + 1);
        let mut budget = u32::MAX;
        while !lanes.is_empty() {
            lanes.free(&mut store, &mut budget);
            lanes.pop(&mut store, &mut []).unwrap();
        }
        assert_eq!((store.len(), lanes.0.capacity()), (0, 0));
    }

    #[test]
    fn freeing_stops_at_its_budget_and_before_a_token() {
        let (mut store, mut lanes) = (Store::new(u64::MAX), Lanes::NONE);
        let copy = Message { command: Command::DATA, hop: 0, stream_id: 0, body: b"x", token: None };
        for first in [10, 20] {
            let mut lane = Lane::EMPTY;
            for number in first..first + 5 {
                assert!(store.push(&mut lane, number, &copy));
            }
            let token = Message { token: Some(Token { token: first, cost: 0 }), ..copy };
            assert!(store.push(&mut lane, first + 5, &token));
            lanes.put(lane, &store);
        }
        let mut budget = 3;
        lanes.free(&mut store, &mut budget);
        assert_eq!((budget, store.len(), lanes.begins_with_token()), (0, 9, false));
        budget = 9;
        lanes.free(&mut store, &mut budget);
        assert_eq!((budget, store.len(), lanes.begins_with_token()), (7, 7, true));
    }
}
