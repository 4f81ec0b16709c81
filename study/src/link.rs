//! One direction of a leg: a queue before a bottleneck with a rate, then a delay. Cells stay in order.

use crate::rng::noise;
use crate::world::{MS, SECOND};
use circflow::base::Nanos;
use circflow::wire::Command;
use std::collections::VecDeque;

/// Bits of a cell on the wire.
pub const CELL_BITS: u64 = 514 * 8;

/// How long the noise of a link goes straight.
const NOISE_STEP: Nanos = 40 * MS;

/// A cell on its way.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Its circuit, or [`FOREIGN`].
    pub circ: u32,
    pub command: Command,
    pub stream_id: u16,
    pub len: u16,
    /// DATA: its stream, and how many bytes went before it.
    pub name: u64,
    /// How many cells its sender has sent on the circuit before it: stands for the running digest.
    pub serial: u64,
    /// The body of a cell that is not DATA.
    pub small: [u8; 56],
}

/// Cross traffic: it fills the queue and arrives nowhere.
pub const FOREIGN: u32 = u32::MAX;

impl Cell {
    pub fn new(circ: u32, command: Command, stream_id: u16) -> Cell {
        Cell { circ, command, stream_id, len: 0, name: 0, serial: 0, small: [0; 56] }
    }

    pub fn with_body(mut self, body: &[u8]) -> Cell {
        self.len = body.len() as u16;
        self.small[..body.len()].copy_from_slice(body);
        self
    }
}

#[derive(Debug)]
pub struct Link {
    /// Bits a second now, and at first.
    rate: u64,
    first_rate: u64,
    /// One way, now and at first.
    delay: Nanos,
    first_delay: Nanos,
    jitter: Nanos,
    seed: u64,
    stalled_until: Nanos,
    dead: bool,
    /// Cells before the bottleneck; the first is being sent if `busy`.
    queue: VecDeque<Cell>,
    busy: bool,
    /// Cells behind it, with the times of their arrival.
    flying: VecDeque<(Nanos, Cell)>,
    last_arrival: Nanos,
}

impl Link {
    pub fn new(rate: u64, delay: Nanos, jitter: Nanos, seed: u64) -> Link {
        Link {
            rate,
            first_rate: rate,
            delay,
            first_delay: delay,
            jitter,
            seed,
            stalled_until: 0,
            dead: false,
            queue: VecDeque::new(),
            busy: false,
            flying: VecDeque::new(),
            last_arrival: 0,
        }
    }

    /// Takes a cell. When it is the first one, answers when it will have been sent.
    pub fn push(&mut self, now: Nanos, cell: Cell) -> Option<Nanos> {
        if self.dead {
            return None;
        }
        self.queue.push_back(cell);
        self.begin(now)
    }

    fn begin(&mut self, now: Nanos) -> Option<Nanos> {
        if self.busy || self.queue.is_empty() {
            return None;
        }
        self.busy = true;
        Some(now.max(self.stalled_until) + CELL_BITS * SECOND / self.rate)
    }

    /// The first cell has been sent. Answers it, when the next one will have been, and when this one arrives if no
    /// other arrives before it.
    pub fn sent(&mut self, now: Nanos) -> (Option<Cell>, Option<Nanos>, Option<Nanos>) {
        let Some(cell) = self.queue.pop_front() else { return (None, None, None) };
        self.busy = false;
        let next = self.begin(now);
        if cell.circ == FOREIGN {
            return (None, next, None);
        }
        let late = noise(self.seed, now, NOISE_STEP, self.jitter);
        self.last_arrival = self.last_arrival.max(now + self.delay + late);
        self.flying.push_back((self.last_arrival, cell));
        let arrives = (self.flying.len() == 1).then_some(self.last_arrival);
        (Some(cell), next, arrives)
    }

    /// The first cell behind the bottleneck arrives. Answers it, and when the next one will.
    pub fn arrive(&mut self) -> (Option<Cell>, Option<Nanos>) {
        let cell = self.flying.pop_front().map(|(_, cell)| cell);
        (cell, self.flying.front().map(|&(at, _)| at))
    }

    /// Cells before the bottleneck.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub fn set_rate(&mut self, thousandths: u64) {
        self.rate = (self.first_rate * thousandths / 1000).max(1);
    }

    pub fn set_trip(&mut self, thousandths: u64) {
        self.delay = self.first_delay * thousandths / 1000;
    }

    pub fn stall(&mut self, until: Nanos) {
        self.stalled_until = until;
    }

    /// Loses all cells, and those to come.
    pub fn die(&mut self) {
        self.dead = true;
        self.queue.clear();
        self.flying.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` cells at time 0 and answers when each arrives.
    fn arrivals(link: &mut Link, count: u64) -> Vec<(Nanos, u64)> {
        let mut sent_at = None;
        for serial in 0..count {
            let begins = link.push(0, Cell { serial, ..Cell::new(0, Command::DATA, 1) });
            sent_at = sent_at.or(begins);
        }
        let mut arrived = Vec::new();
        while let Some(at) = sent_at {
            sent_at = link.sent(at).1;
        }
        while let Some(&(at, _)) = link.flying.front() {
            arrived.push((at, link.arrive().0.unwrap().serial));
        }
        arrived
    }

    #[test]
    fn cells_take_their_time_and_the_delay() {
        let mut link = Link::new(CELL_BITS * 1000, 50 * MS, 0, 1);
        let expected: Vec<_> = (0..100).map(|serial| ((serial + 1) * MS + 50 * MS, serial)).collect();
        assert_eq!(arrivals(&mut link, 100), expected);
    }

    #[test]
    fn jitter_makes_late_and_keeps_order() {
        let mut link = Link::new(CELL_BITS * 1000, 50 * MS, 30 * MS, 7);
        let arrived = arrivals(&mut link, 2000);
        assert!(arrived.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1));
        let late = |(at, serial): &(Nanos, u64)| at - (serial + 1) * MS - 50 * MS;
        assert!(arrived.iter().all(|cell| late(cell) <= 30 * MS));
        assert!(arrived.iter().any(|cell| late(cell) > 20 * MS));
    }

    #[test]
    fn a_stall_a_slower_rate_and_death() {
        let mut link = Link::new(CELL_BITS * 1000, 0, 0, 1);
        link.stall(500 * MS);
        assert_eq!(link.push(0, Cell::new(0, Command::DATA, 1)), Some(501 * MS));
        link.set_rate(100);
        assert_eq!(link.push(0, Cell::new(0, Command::DATA, 1)), None);
        assert_eq!(link.sent(501 * MS).1, Some(511 * MS));
        link.die();
        assert_eq!((link.sent(511 * MS).1, link.push(600 * MS, Cell::new(0, Command::DATA, 1))), (None, None));
    }
}
