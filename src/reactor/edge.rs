//! An edge: the place where cells leave a circuit for a channel, and wait while the channel takes none (R4, R5).
//!
//! A cell that goes straight through is only counted here. The number of waiting cells is bounded: at the high mark the
//! source is told to pause, at the low mark to go on, and a source that ignores the pause overruns the edge.

use super::channel::{ChannelSeat, Turn};
use crate::base::Nanos;
use crate::message::{Bodies, Delivery, Lane, Message, Store, TooSmall};
use crate::queue::{admit, Admit, Room};

/// One of the two channels on which a circuit runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// At a relay the channel towards the client, at a client the channel to its first relay: FORWARD reads from it,
    /// BACKWARD writes to it.
    Back,
    /// The channel to the next relay: FORWARD writes to it, BACKWARD reads from it.
    Next,
}

impl Side {
    /// The side to which cells from this side go.
    pub fn opposite(self) -> Side {
        match self {
            Side::Back => Side::Next,
            Side::Next => Side::Back,
        }
    }
}

/// Limits on the cells that wait at an edge, in cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// The source pauses when this many cells wait.
    pub high: u32,
    /// The source goes on when no more than this many cells wait.
    pub low: u32,
    /// Cells taken above `high`, which were on their way when the source was told to pause.
    pub over: u32,
}

impl Marks {
    /// Largest number of cells that may wait.
    pub fn cap(&self) -> usize {
        self.high.saturating_add(self.over) as usize
    }
}

/// The edge's answer to a cell that comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// The cell goes on at once.
    Through,
    /// The cell has to wait.
    Keep,
    /// There is no room: the source has ignored the pause.
    Overrun,
}

/// A pause or its end, which the source of the cells has to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedChange {
    /// No change.
    Unchanged,
    /// Pause the source.
    Pause,
    /// Let the source go on.
    Unpause,
}

/// One edge.
#[derive(Debug)]
pub struct Edge {
    lane: Lane,
    /// Cells that wait, and messages of circflow's own that do.
    waiting: u32,
    /// Number of own messages in `waiting`.
    own: u32,
    waiting_peak: u32,
    passed: u64,
    /// The reasons why a cell may have to wait: [`FULL`], [`SHARED`], [`SHUT`]. One comparison shows that there is
    /// none.
    barriers: u8,
    /// Number of waiting cells that may go out although padding holds cells back.
    let_out: u32,
    /// The source was told to pause.
    paused: bool,
    /// A mark for the waiting cells is in the instruction queue.
    marked: bool,
    /// Its seat at the channel that it shares with others, while [`SHARED`] is set.
    seat: Option<Box<ChannelSeat>>,
}

/// The channel takes no more cells of this circuit.
const FULL: u8 = 1;
/// Other circuits use the channel too, so a cell has to ask for room: the quick ways are closed.
const SHARED: u8 = 2;
/// Padding holds cells back.
const SHUT: u8 = 4;
/// What concerns the channel alone.
const CHANNEL: u8 = FULL | SHARED;

impl Default for Edge {
    fn default() -> Self {
        Edge {
            lane: Lane::EMPTY,
            waiting: 0,
            own: 0,
            waiting_peak: 0,
            passed: 0,
            barriers: 0,
            let_out: 0,
            paused: false,
            marked: false,
            seat: None,
        }
    }
}

impl Edge {
    /// True when the channel takes cells.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.barriers & CHANNEL == 0 || self.is_open()
    }

    /// [`Edge::is_writable`] for a channel that is full or shared.
    #[cold]
    fn is_open(&self) -> bool {
        self.barriers & CHANNEL == SHARED && self.seat.as_ref().is_some_and(|seat| seat.is_open())
    }

    /// True when a cell can go straight through: the channel and padding let it, and no cell waits.
    #[inline]
    pub fn is_clear(&self) -> bool {
        !self.is_shut() && self.waiting == 0 && self.is_writable()
    }

    /// [`Edge::is_clear`] for a channel that is not shared: no other circuit has to be asked.
    #[inline(always)]
    pub fn is_clear_alone(&self) -> bool {
        self.barriers == 0 && self.waiting == 0
    }

    #[inline(always)]
    fn is_shut(&self) -> bool {
        self.barriers & SHUT != 0
    }

    /// True when a message sent now would overtake cells that wait only for the channel or the host, not for padding.
    #[inline]
    pub fn overtakes(&self) -> bool {
        self.waiting > 0 && !self.is_shut()
    }

    /// Number of cells that wait, own messages included.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Number of circflow's own messages that wait.
    pub fn own(&self) -> u32 {
        self.own
    }

    /// Highest value of [`Edge::waiting`] so far.
    pub fn waiting_peak(&self) -> u32 {
        self.waiting_peak
    }

    /// Number of cells that went on, at once or after a wait. Own messages do not count.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// True when the source was told to pause.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The host has said that the channel takes no cells.
    pub fn is_full(&self) -> bool {
        self.barriers & FULL != 0
    }

    /// The common case of [`Edge::offer`]: counts a cell that goes straight through. Returns false, and changes
    /// nothing, in any other case.
    #[inline(always)]
    pub fn pass_through(&mut self) -> bool {
        if !self.is_clear_alone() {
            return false;
        }
        self.passed += 1;
        true
    }

    /// Decides on a cell that comes now, and counts it if it goes straight through.
    #[inline]
    pub fn offer(&mut self, marks: &Marks) -> Offer {
        let room = if self.is_shut() || self.own > 0 || !self.is_writable() { Room::Full } else { Room::Open };
        match admit((self.waiting - self.own) as usize, marks.cap(), room) {
            Admit::Through => {
                self.passed += 1;
                Offer::Through
            }
            Admit::Keep => Offer::Keep,
            Admit::Full | Admit::Closed => Offer::Overrun,
        }
    }

    /// True when [`Edge::offer`] would answer [`Offer::Keep`] to a cell that comes now, on a channel of the edge's own.
    #[inline(always)]
    pub fn keeps(&self, marks: &Marks) -> bool {
        let waits = self.barriers & SHARED == 0 && !self.is_clear_alone();
        waits && ((self.waiting - self.own) as usize) < marks.cap()
    }

    /// The cells that wait.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Keeps a cell that came at `now`. Returns none when there is no memory for it.
    pub fn keep(&mut self, cell: &Message<'_>, marks: &Marks, store: &mut Store, now: Nanos) -> Option<FeedChange> {
        if !self.append(cell, store, now, false) {
            return None;
        }
        if self.waiting - self.own >= marks.high && !self.paused {
            self.paused = true;
            return Some(FeedChange::Pause);
        }
        Some(FeedChange::Unchanged)
    }

    /// Keeps a message of circflow's own, which goes out in its turn. It takes no room from cells, and does not pause
    /// the source. Returns false when there is no memory for it.
    #[must_use]
    pub fn keep_own(&mut self, message: &Message<'_>, store: &mut Store, now: Nanos) -> bool {
        let kept = self.append(message, store, now, true);
        self.own += u32::from(kept);
        kept
    }

    #[inline(always)]
    fn append(&mut self, message: &Message<'_>, store: &mut Store, now: Nanos, own: bool) -> bool {
        // The lowest bit marks an own message.
        let number = ((self.lane.last().unwrap_or(0) >> 1) + 1) << 1 | u64::from(own);
        let kept = store.push_at(&mut self.lane, number, message, now);
        self.waiting += u32::from(kept);
        self.waiting_peak = self.waiting_peak.max(self.waiting);
        kept
    }

    /// True when [`Edge::take`] has returned a message of circflow's own.
    #[inline]
    pub fn is_own(taken: &Delivery) -> bool {
        taken.number & 1 == 1
    }

    /// Notes whether the channel is full. Returns true when the caller has to queue a mark, as waiting cells may go
    /// out.
    pub fn set_full(&mut self, full: bool) -> bool {
        self.set_barrier(FULL, full);
        self.needs_mark()
    }

    /// Notes whether padding holds cells back. Returns true when the caller has to queue a mark, as waiting cells may
    /// go out.
    pub fn set_shut(&mut self, shut: bool) -> bool {
        self.set_barrier(SHUT, shut);
        self.needs_mark()
    }

    fn set_barrier(&mut self, barrier: u8, stands: bool) {
        self.barriers = if stands { self.barriers | barrier } else { self.barriers & !barrier };
    }

    /// Lets one more waiting cell out although padding holds cells back. Returns true when the caller has to queue a
    /// mark, as the cell may go out.
    pub fn let_one_out(&mut self) -> bool {
        self.let_out = self.let_out.saturating_add(1).min(self.waiting);
        self.needs_mark()
    }

    /// True when waiting cells may go out and no mark is queued yet; the mark then counts as queued.
    fn needs_mark(&mut self) -> bool {
        if self.is_shared() {
            return self.wants_turn();
        }
        let needs = self.is_ready() && !self.marked;
        self.marked |= needs;
        needs
    }

    /// True when [`Edge::take`] has a cell.
    pub fn is_ready(&self) -> bool {
        (self.barriers & CHANNEL == 0 || self.is_up()) && self.may_go()
    }

    /// True when a cell waits that padding does not hold back.
    fn may_go(&self) -> bool {
        (!self.is_shut() || self.let_out > 0) && self.waiting > 0
    }

    /// True when it is this edge's turn at its channel.
    #[cold]
    fn is_up(&self) -> bool {
        self.barriers & CHANNEL == SHARED && self.seat.as_ref().is_some_and(|seat| seat.turn == Turn::Up)
    }

    /// True when a cell could be taken if it were this edge's turn at its channel.
    pub fn is_ready_for_turn(&self) -> bool {
        self.barriers & CHANNEL == SHARED && self.may_go()
    }

    /// True when the edge has a cell for its turn, and is not in line yet.
    fn wants_turn(&self) -> bool {
        let in_line = self.seat.as_ref().is_some_and(|seat| seat.turn == Turn::InLine);
        self.is_ready_for_turn() && !in_line
    }

    /// True when other circuits use the channel too.
    #[inline(always)]
    pub fn is_shared(&self) -> bool {
        self.barriers & SHARED != 0
    }

    /// The edge's seat at a shared channel.
    pub fn seat(&self) -> Option<&ChannelSeat> {
        self.seat.as_deref()
    }

    /// [`Edge::seat`], to change.
    pub fn seat_mut(&mut self) -> Option<&mut ChannelSeat> {
        self.seat.as_deref_mut()
    }

    /// Gives it a seat at a channel, or takes its seat away. Cells that wait stay. Returns the seat that it had, which
    /// has to be out of all lists.
    pub fn sit(&mut self, seat: Option<ChannelSeat>) -> Option<ChannelSeat> {
        self.set_barrier(SHARED, seat.is_some());
        let seat = seat.map(Box::new);
        seat.iter().for_each(|seat| seat.gauge.add_waiting(self.waiting));
        let before = std::mem::replace(&mut self.seat, seat);
        before.iter().for_each(|seat| seat.gauge.sub_waiting(self.waiting));
        before.map(|seat| *seat)
    }

    /// True when waiting cells may go out and nothing is queued for them yet: a mark is needed, or a place in line.
    pub fn wakes(&mut self) -> bool {
        self.needs_mark()
    }

    /// Takes the next waiting cell, none when no cell may go out.
    #[inline(always)]
    pub fn take(&mut self, marks: &Marks, store: &mut Store, bodies: &mut impl Bodies) -> Result<Taken, TooSmall> {
        if !self.is_ready() {
            return Ok(None);
        }
        let Some((cell, _)) = store.pop(&mut self.lane, bodies)? else { return Ok(None) };
        let own = u32::from(Edge::is_own(&cell));
        self.waiting -= 1;
        self.own -= own;
        self.let_out = if self.is_shut() { self.let_out.saturating_sub(1) } else { 0 };
        self.passed += u64::from(1 - own);
        let resumes = self.paused && self.waiting - self.own <= marks.low;
        self.paused &= !resumes;
        Ok(Some((cell, if resumes { FeedChange::Unpause } else { FeedChange::Unchanged })))
    }

    /// Notes that the mark has left the instruction queue.
    pub fn unmark(&mut self) {
        self.marked = false;
    }

    /// Handles the end of the channel: takes out the waiting cells for the host, and makes the edge writable for the
    /// next channel.
    pub fn lose_channel(&mut self) -> (Lane, FeedChange) {
        let change = if std::mem::take(&mut self.paused) { FeedChange::Unpause } else { FeedChange::Unchanged };
        self.set_barrier(FULL, false);
        (self.take_rest(), change)
    }

    /// Takes out all waiting cells, to return them to the host.
    pub fn take_rest(&mut self) -> Lane {
        self.seat.iter().for_each(|seat| seat.gauge.sub_waiting(self.waiting));
        (self.waiting, self.own) = (0, 0);
        std::mem::replace(&mut self.lane, Lane::EMPTY)
    }
}

/// A cell that waited, and the pause or its end for the source.
pub type Taken = Option<(Delivery, FeedChange)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Command;

    const MARKS: Marks = Marks { high: 3, low: 1, over: 2 };

    fn cell() -> Message<'static> {
        Message { command: Command(3), hop: 0, stream_id: 0, body: &[7; 509], token: None }
    }

    #[test]
    fn pause_and_unpause_come_once_each_and_the_overrun_after_the_stated_number() {
        let (mut edge, mut store) = (Edge::default(), Store::new(u64::MAX));
        assert_eq!(edge.offer(&MARKS), Offer::Through);
        assert!(!edge.set_full(true));
        let mut changes = Vec::new();
        for _ in 0..5 {
            assert_eq!(edge.offer(&MARKS), Offer::Keep);
            changes.push(edge.keep(&cell(), &MARKS, &mut store, 1).unwrap());
        }
        assert_eq!(
            changes,
            [
                FeedChange::Unchanged,
                FeedChange::Unchanged,
                FeedChange::Pause,
                FeedChange::Unchanged,
                FeedChange::Unchanged
            ]
        );
        assert_eq!(edge.offer(&MARKS), Offer::Overrun);
        assert!(edge.set_full(false) && !edge.set_full(false), "marked once");
        assert_eq!(edge.offer(&MARKS), Offer::Overrun, "nothing overtakes");
        let mut buffer = [0; 509];
        let mut changes = Vec::new();
        while let Some((cell, change)) = edge.take(&MARKS, &mut store, &mut buffer.as_mut_slice()).unwrap() {
            assert_eq!((cell.body_len, buffer[508]), (509, 7));
            changes.push(change);
        }
        assert_eq!(
            changes,
            [
                FeedChange::Unchanged,
                FeedChange::Unchanged,
                FeedChange::Unchanged,
                FeedChange::Unpause,
                FeedChange::Unchanged
            ]
        );
        edge.unmark();
        assert!(edge.is_clear() && store.is_empty());
        assert_eq!(edge.passed(), 6);
    }

    #[test]
    fn keeps_is_true_just_when_offer_answers_keep() {
        let mut kept = 0;
        for case in 0..4 * 7 * 7 {
            let (full, shut, cells, own) = (case & 1 != 0, case & 2 != 0, case / 4 % 7, case / 28);
            let mut edge = Edge { waiting: cells + own, own, ..Edge::default() };
            edge.set_barrier(FULL, full);
            edge.set_barrier(SHUT, shut);
            let keeps = edge.keeps(&MARKS);
            assert_eq!(keeps, edge.offer(&MARKS) == Offer::Keep, "{edge:?}");
            kept += u32::from(keeps);
        }
        assert_eq!(kept, 4 * 7 * 5 - 1, "all below the cap but those that go through");
    }

    #[test]
    fn a_channel_that_is_full_again_gets_no_more_cells() {
        let (mut edge, mut store) = (Edge::default(), Store::new(u64::MAX));
        edge.set_full(true);
        for _ in 0..2 {
            edge.keep(&cell(), &MARKS, &mut store, 1);
        }
        edge.set_full(false);
        let mut buffer = [0; 509];
        assert!(edge.take(&MARKS, &mut store, &mut buffer.as_mut_slice()).unwrap().is_some());
        edge.set_full(true);
        assert!(edge.take(&MARKS, &mut store, &mut buffer.as_mut_slice()).unwrap().is_none());
        edge.unmark();
        assert!(edge.set_full(false), "a new mark");
    }
}
