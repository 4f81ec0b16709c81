//! An edge: where cells leave a circuit for a channel, and wait when the channel takes none (R4, R5).
//!
//! Cells that go straight through are never here. What waits is bounded: at the high mark the source is told to pause,
//! at the low mark to resume, and a source that goes on in between overruns the edge.

use crate::base::Nanos;
use crate::message::{Delivery, Lane, Message, Store, TooSmall};
use crate::queue::{admit, Admit, Room};

/// Where a circuit ends on this side: the channels it runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// At a relay the channel towards the client, at a client the channel to its first relay: FORWARD reads from it,
    /// BACKWARD writes to it.
    Back,
    /// The channel to the next relay: FORWARD writes to it, BACKWARD reads from it.
    Next,
}

impl Side {
    /// The side that cells from this one go to.
    pub fn opposite(self) -> Side {
        match self {
            Side::Back => Side::Next,
            Side::Next => Side::Back,
        }
    }
}

/// How many cells may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// From so many on, the source pauses.
    pub high: u32,
    /// From so many down, it resumes.
    pub low: u32,
    /// So many more are taken after the pause.
    pub over: u32,
}

impl Marks {
    /// So many are taken at all.
    pub fn cap(&self) -> usize {
        self.high.saturating_add(self.over) as usize
    }
}

/// What becomes of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It goes on at once.
    Through,
    /// It has to wait.
    Keep,
    /// The source has paid no heed to the pause.
    Overrun,
}

/// A pause or its end, for the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heed {
    /// Nothing to say.
    No,
    /// Stop.
    Pause,
    /// Go on.
    Unpause,
}

/// One edge.
#[derive(Debug)]
pub struct Edge {
    lane: Lane,
    /// Cells and messages of our own that wait.
    waiting: u32,
    /// Of these, the messages.
    own: u32,
    waiting_peak: u32,
    passed: u64,
    /// The channel takes no more.
    full: bool,
    /// Padding holds cells back.
    shut: bool,
    /// Cells that may pass although padding holds them back.
    spared: u32,
    paused: bool,
    /// A mark in the instruction queue stands for what waits.
    marked: bool,
}

impl Default for Edge {
    fn default() -> Self {
        Edge {
            lane: Lane::EMPTY,
            waiting: 0,
            own: 0,
            waiting_peak: 0,
            passed: 0,
            full: false,
            shut: false,
            spared: 0,
            paused: false,
            marked: false,
        }
    }
}

impl Edge {
    /// The channel takes cells.
    #[inline]
    pub fn is_writable(&self) -> bool {
        !self.full
    }

    /// A message of our own would neither wait nor overtake.
    #[inline]
    pub fn is_clear(&self) -> bool {
        !self.full && !self.shut && self.waiting == 0
    }

    /// A message of our own would overtake cells that wait for nothing but the host.
    #[inline]
    pub fn overtakes(&self) -> bool {
        self.waiting > 0 && !self.shut
    }

    /// Cells that wait, with messages of our own.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Messages of our own that wait.
    pub fn own(&self) -> u32 {
        self.own
    }

    /// The most that ever waited.
    pub fn waiting_peak(&self) -> u32 {
        self.waiting_peak
    }

    /// Cells that went on, at once or after a wait.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// The source was told to pause.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The common case of [`Edge::offer`]: nothing is in the way.
    #[inline(always)]
    pub fn pass_through(&mut self) -> bool {
        if !self.is_clear() {
            return false;
        }
        self.passed += 1;
        true
    }

    /// What becomes of a cell that comes now. One that goes through is counted.
    #[inline]
    pub fn offer(&mut self, marks: &Marks) -> Offer {
        let room = if self.full || self.shut || self.own > 0 { Room::Full } else { Room::Open };
        match admit((self.waiting - self.own) as usize, marks.cap(), room) {
            Admit::Through => {
                self.passed += 1;
                Offer::Through
            }
            Admit::Keep => Offer::Keep,
            Admit::Full | Admit::Closed => Offer::Overrun,
        }
    }

    /// True when [`Edge::offer`] would answer [`Offer::Keep`] to a cell that comes now.
    #[inline(always)]
    pub fn keeps(&self, marks: &Marks) -> bool {
        !self.is_clear() && ((self.waiting - self.own) as usize) < marks.cap()
    }

    /// The cells that wait.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Keeps a cell that has come at `now`; no answer when there is no memory for it.
    pub fn keep(&mut self, cell: &Message<'_>, marks: &Marks, store: &mut Store, now: Nanos) -> Option<Heed> {
        if !self.append(cell, store, now, false) {
            return None;
        }
        if self.waiting - self.own >= marks.high && !self.paused {
            self.paused = true;
            return Some(Heed::Pause);
        }
        Some(Heed::No)
    }

    /// Keeps a message of our own, which goes in its turn. It takes no room from cells, and pauses nobody. False when
    /// there is no memory for it.
    #[must_use]
    pub fn keep_own(&mut self, message: &Message<'_>, store: &mut Store, now: Nanos) -> bool {
        let kept = self.append(message, store, now, true);
        self.own += u32::from(kept);
        kept
    }

    #[inline(always)]
    fn append(&mut self, message: &Message<'_>, store: &mut Store, now: Nanos, own: bool) -> bool {
        // The lowest bit says whose it is.
        let number = ((self.lane.last().unwrap_or(0) >> 1) + 1) << 1 | u64::from(own);
        let kept = store.push_at(&mut self.lane, number, message, now);
        self.waiting += u32::from(kept);
        self.waiting_peak = self.waiting_peak.max(self.waiting);
        kept
    }

    /// True for a message of our own among what [`Edge::take`] gave.
    #[inline]
    pub fn is_own(taken: &Delivery) -> bool {
        taken.number & 1 == 1
    }

    /// The channel takes cells, or none. True when what waits may go now.
    pub fn set_full(&mut self, full: bool) -> bool {
        self.full = full;
        self.wants_mark()
    }

    /// Padding holds cells back, or does so no longer. True when what waits may go now.
    pub fn set_shut(&mut self, shut: bool) -> bool {
        self.shut = shut;
        self.wants_mark()
    }

    /// One more cell that waits may pass although padding holds it back. True when it may go now.
    pub fn spare(&mut self) -> bool {
        self.spared = self.spared.saturating_add(1).min(self.waiting);
        self.wants_mark()
    }

    fn wants_mark(&mut self) -> bool {
        let wants = self.is_ready() && !self.marked;
        self.marked |= wants;
        wants
    }

    /// A cell can be taken.
    pub fn is_ready(&self) -> bool {
        !self.full && (!self.shut || self.spared > 0) && self.waiting > 0
    }

    /// Takes the next cell that waited, if the edge is open.
    #[inline(always)]
    pub fn take(&mut self, marks: &Marks, store: &mut Store, buffer: &mut [u8]) -> Result<Taken, TooSmall> {
        if !self.is_ready() {
            return Ok(None);
        }
        let Some((cell, _)) = store.pop(&mut self.lane, buffer)? else { return Ok(None) };
        let own = u32::from(Edge::is_own(&cell));
        self.waiting -= 1;
        self.own -= own;
        self.spared = if self.shut { self.spared.saturating_sub(1) } else { 0 };
        self.passed += u64::from(1 - own);
        let resumes = self.paused && self.waiting - self.own <= marks.low;
        self.paused &= !resumes;
        Ok(Some((cell, if resumes { Heed::Unpause } else { Heed::No })))
    }

    /// The mark in the instruction queue has done its duty.
    pub fn unmark(&mut self) {
        self.marked = false;
    }

    /// The channel is gone, and the next one begins as writable. What waits is handed back.
    pub fn cut(&mut self) -> (Lane, Heed) {
        let heed = if std::mem::take(&mut self.paused) { Heed::Unpause } else { Heed::No };
        self.full = false;
        (self.take_rest(), heed)
    }

    /// All that waits, to hand it back.
    pub fn take_rest(&mut self) -> Lane {
        (self.waiting, self.own) = (0, 0);
        std::mem::replace(&mut self.lane, Lane::EMPTY)
    }
}

/// A cell, and what its source is to heed.
pub type Taken = Option<(Delivery, Heed)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Command;

    const MARKS: Marks = Marks { high: 3, low: 1, over: 2 };

    fn cell() -> Message<'static> {
        Message { command: Command(3), hop: 0, stream_id: 0, body: &[7; 509], token: None }
    }

    #[test]
    fn pause_and_resume_come_once_each_and_the_overrun_after_the_stated_number() {
        let (mut edge, mut store) = (Edge::default(), Store::new(u64::MAX));
        assert_eq!(edge.offer(&MARKS), Offer::Through);
        assert!(!edge.set_full(true));
        let mut heeds = Vec::new();
        for _ in 0..5 {
            assert_eq!(edge.offer(&MARKS), Offer::Keep);
            heeds.push(edge.keep(&cell(), &MARKS, &mut store, 1).unwrap());
        }
        assert_eq!(heeds, [Heed::No, Heed::No, Heed::Pause, Heed::No, Heed::No]);
        assert_eq!(edge.offer(&MARKS), Offer::Overrun);
        assert!(edge.set_full(false) && !edge.set_full(false), "marked once");
        assert_eq!(edge.offer(&MARKS), Offer::Overrun, "nothing overtakes");
        let mut buffer = [0; 509];
        let mut heeds = Vec::new();
        while let Some((cell, heed)) = edge.take(&MARKS, &mut store, &mut buffer).unwrap() {
            assert_eq!((cell.body_len, buffer[508]), (509, 7));
            heeds.push(heed);
        }
        assert_eq!(heeds, [Heed::No, Heed::No, Heed::No, Heed::Unpause, Heed::No]);
        edge.unmark();
        assert!(edge.is_clear() && store.is_empty());
        assert_eq!(edge.passed(), 6);
    }

    #[test]
    fn the_short_question_has_the_answer_of_the_long_one() {
        let mut kept = 0;
        for case in 0..4 * 7 * 7 {
            let (full, shut, cells, own) = (case & 1 != 0, case & 2 != 0, case / 4 % 7, case / 28);
            let mut edge = Edge { full, shut, waiting: cells + own, own, ..Edge::default() };
            let keeps = edge.keeps(&MARKS);
            assert_eq!(keeps, edge.offer(&MARKS) == Offer::Keep, "{edge:?}");
            kept += u32::from(keeps);
        }
        assert_eq!(kept, 4 * 7 * 5 - 1, "all below the cap but those that go through");
    }

    #[test]
    fn an_edge_that_fills_up_again_gives_no_more() {
        let (mut edge, mut store) = (Edge::default(), Store::new(u64::MAX));
        edge.set_full(true);
        for _ in 0..2 {
            edge.keep(&cell(), &MARKS, &mut store, 1);
        }
        edge.set_full(false);
        let mut buffer = [0; 509];
        assert!(edge.take(&MARKS, &mut store, &mut buffer).unwrap().is_some());
        edge.set_full(true);
        assert!(edge.take(&MARKS, &mut store, &mut buffer).unwrap().is_none());
        edge.unmark();
        assert!(edge.set_full(false), "a new mark");
    }
}
