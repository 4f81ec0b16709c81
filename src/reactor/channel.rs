//! What an edge knows of a channel that it shares with the edges of other circuits: whether a cell may go now, and
//! whether the edge is in line.

use crate::base::{Id, Nanos};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

/// What a channel takes. All its edges read it. Threads do not share it: it is made of atomics only so that a whole
/// engine can move to another thread.
#[derive(Debug, Default)]
pub struct Gauge {
    /// As the host said last, less what the host was given since.
    room: AtomicU32,
    /// Cells in the instruction queue: they use up room when the host takes them.
    booked: AtomicU32,
    promised: AtomicU32,
    in_line: AtomicU32,
    waiting: AtomicU32,
    passed: AtomicU64,
}

impl Gauge {
    /// As many cells as come.
    pub const UNLIMITED: u32 = u32::MAX;

    /// Cells that the channel still takes, beside those in the instruction queue.
    pub fn room(&self) -> u32 {
        match self.room.load(Relaxed) {
            Gauge::UNLIMITED => Gauge::UNLIMITED,
            room => room.saturating_sub(self.booked.load(Relaxed)),
        }
    }

    /// It takes so many from now on.
    pub fn set_room(&self, room: u32) {
        self.room.store(room, Relaxed);
    }

    /// A cell is put into the instruction queue.
    pub fn book(&self) {
        self.booked.store(self.booked.load(Relaxed).saturating_add(1), Relaxed);
    }

    /// So many cells have left the instruction queue, or will not go to this channel.
    pub fn unbook(&self, cells: u32) {
        self.booked.store(self.booked.load(Relaxed).saturating_sub(cells), Relaxed);
    }

    /// Room that is not kept for any seat.
    #[inline]
    pub fn free(&self) -> u32 {
        self.room().saturating_sub(self.promised.load(Relaxed))
    }

    /// Cells of room that are kept for seats whose hosts were told to send.
    pub fn promised(&self) -> u32 {
        self.promised.load(Relaxed)
    }

    /// Sets [`Gauge::promised`].
    pub fn set_promised(&self, promised: u32) {
        self.promised.store(promised, Relaxed);
    }

    /// Edges in line.
    pub fn in_line(&self) -> u32 {
        self.in_line.load(Relaxed)
    }

    /// Sets [`Gauge::in_line`].
    pub fn set_in_line(&self, in_line: u32) {
        self.in_line.store(in_line, Relaxed);
    }

    /// Cells that wait at its edges.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// So many more wait.
    pub fn add_waiting(&self, more: u32) {
        self.waiting.store(self.waiting().wrapping_add(more), Relaxed);
    }

    /// So many fewer wait.
    pub fn sub_waiting(&self, fewer: u32) {
        self.waiting.store(self.waiting().wrapping_sub(fewer), Relaxed);
    }

    /// Cells that went to it.
    pub fn passed(&self) -> u64 {
        self.passed.load(Relaxed)
    }

    /// True when a cell that comes now may go: there is free room, and no seat is in line.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.in_line() == 0 && self.free() > 0
    }

    /// A cell goes to the channel. SENDMEs and the like do not ask for room, and go without.
    #[inline]
    pub fn spend(&self) {
        let room = self.room.load(Relaxed);
        if room != Gauge::UNLIMITED {
            self.set_room(room.saturating_sub(1));
        }
        self.passed.store(self.passed() + 1, Relaxed);
    }
}

/// Where an edge stands with its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It waits for nothing.
    Out,
    /// In line.
    InLine,
    /// It is the first seat in line, and one of its cells may be taken now.
    Up,
    /// The host was told that it may send, and room for one cell is kept.
    Promised,
}

/// An edge's seat at its channel.
#[derive(Debug)]
pub struct ChannelSeat {
    /// What the channel takes.
    pub gauge: Arc<Gauge>,
    /// The channel; it may have gone.
    pub channel: Id,
    /// Whether it is in line.
    pub turn: Turn,
    /// The host was refused a message of its own, and waits to be told.
    pub asks: bool,
    /// Its cells in the instruction queue.
    pub booked: u32,
    /// Since when room is kept for it.
    pub since: Nanos,
    /// The seats before and behind it in the list that it is in.
    pub links: (u32, u32),
}

impl ChannelSeat {
    /// A seat of an edge that waits for nothing.
    pub fn new(channel: Id, gauge: Arc<Gauge>) -> ChannelSeat {
        ChannelSeat { gauge, channel, turn: Turn::Out, asks: false, booked: 0, since: 0, links: (0, 0) }
    }

    /// One of its cells has left the instruction queue, if one was there: the circuit can have changed its channel
    /// since.
    pub fn unbook(&mut self) {
        let booked = self.booked.min(1);
        self.booked -= booked;
        self.gauge.unbook(booked);
    }

    /// True when a cell or a message that comes now may go.
    pub fn is_open(&self) -> bool {
        match self.turn {
            Turn::Out => self.gauge.is_open(),
            Turn::Promised => self.gauge.room() > 0,
            Turn::InLine | Turn::Up => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_those_in_line_and_for_those_who_were_told() {
        let gauge = Arc::new(Gauge::default());
        let mut seat = ChannelSeat::new(Id::NONE, gauge.clone());
        assert!(!seat.is_open(), "a new one is full");
        gauge.set_room(2);
        assert!(seat.is_open());
        gauge.set_in_line(1);
        assert!(!seat.is_open(), "a seat is in line");
        seat.turn = Turn::Promised;
        gauge.set_promised(1);
        assert!(seat.is_open(), "room is kept for it");
        gauge.set_in_line(0);
        seat.turn = Turn::Out;
        assert_eq!((gauge.free(), seat.is_open()), (1, true));
        gauge.set_promised(2);
        assert_eq!((gauge.free(), seat.is_open()), (0, false), "all is promised");
        seat.turn = Turn::Promised;
        gauge.set_room(0);
        assert!(!seat.is_open(), "full is full");
    }

    #[test]
    fn cells_in_the_queue_come_out_of_any_number() {
        let gauge = Gauge::default();
        gauge.set_room(2);
        gauge.book();
        assert_eq!((gauge.room(), gauge.passed()), (1, 0));
        gauge.set_room(1);
        assert_eq!(gauge.room(), 0);
        gauge.book();
        gauge.unbook(1);
        gauge.spend();
        assert_eq!((gauge.room(), gauge.passed()), (0, 1));
        gauge.set_room(3);
        assert_eq!(gauge.room(), 2);
        gauge.unbook(1);
        assert_eq!(gauge.room(), 3, "what is lost takes nothing");
        gauge.book();
        gauge.set_room(Gauge::UNLIMITED);
        assert_eq!(gauge.room(), Gauge::UNLIMITED);
    }

    #[test]
    fn room_without_a_number_is_not_used_up_and_none_goes_below_zero() {
        let gauge = Gauge::default();
        gauge.spend();
        assert_eq!((gauge.room(), gauge.passed()), (0, 1));
        gauge.set_room(1);
        gauge.spend();
        assert_eq!(gauge.room(), 0);
        gauge.set_room(Gauge::UNLIMITED);
        gauge.spend();
        assert_eq!((gauge.room(), gauge.passed()), (Gauge::UNLIMITED, 3));
    }
}
