//! A link from one node to another: a queue with a rate, then a delay. Cells stay in order.

use crate::cell::Cell;
use crate::rng::Rng;
use circflow::base::{Id, Nanos};
use std::collections::VecDeque;

pub struct Link {
    pub from: usize,
    pub delay: Nanos,
    /// Time to write a cell, in nanoseconds.
    pub pace: Nanos,
    /// The queue is full at `high` cells, and has room again at `low`.
    pub high: usize,
    pub low: usize,
    pub full: bool,
    /// The channel that its circuits share, or none.
    pub channel: Id,
    /// Channels with room in portions, by number.
    pub shared: Vec<usize>,
    /// Cells on their way, with the times of arrival.
    pub cells: VecDeque<(Nanos, Cell)>,
    /// Times at which the queued cells are written.
    writes: VecDeque<Nanos>,
    /// Circuits that use the link: the circuit, and the place of `from` on its path.
    pub users: Vec<(usize, usize)>,
    pub most: usize,
}

impl Link {
    pub fn new(from: usize, slow: bool, rng: &mut Rng) -> Link {
        let pace = if slow { rng.range(200_000, 1_500_000) } else { rng.range(2_000, 80_000) };
        let high = if rng.once_in(3) { rng.range(2, 12) } else { rng.range(20, 120) } as usize;
        Link {
            from,
            delay: if rng.once_in(4) { rng.range(0, 2_000_000) } else { rng.range(1_000_000, 60_000_000) },
            pace,
            high,
            low: rng.below(high as u64) as usize,
            full: false,
            channel: Id::NONE,
            shared: Vec::new(),
            cells: VecDeque::new(),
            writes: VecDeque::new(),
            users: Vec::new(),
            most: 0,
        }
    }

    /// Takes a cell. Returns true when it is the next cell to arrive.
    pub fn push(&mut self, now: Nanos, cell: Cell) -> bool {
        let written = self.writes.back().copied().unwrap_or(0).max(now) + self.pace;
        self.settle(now);
        self.writes.push_back(written);
        self.most = self.most.max(self.writes.len());
        self.cells.push_back((written + self.delay, cell));
        self.cells.len() == 1
    }

    /// Number of cells that are not written yet.
    pub fn queued(&mut self, now: Nanos) -> usize {
        self.settle(now);
        self.writes.len()
    }

    /// Time at which the queue will have fallen to the low mark.
    pub fn room_at(&self) -> Nanos {
        let over = self.writes.len().saturating_sub(self.low);
        over.checked_sub(1).and_then(|last| self.writes.get(last)).copied().unwrap_or(0)
    }

    fn settle(&mut self, now: Nanos) {
        while self.writes.front().is_some_and(|&at| at <= now) {
            self.writes.pop_front();
        }
    }
}
