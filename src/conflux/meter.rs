//! What a leg was seen to do: how long a cell takes at least, and how many it carries. It is learnt from reports alone,
//! so a stock peer at the other end is enough.

use super::choice::UNMEASURED;
use crate::base::Nanos;

/// Points from which the time for a cell is measured.
const MARKS: usize = 4;
/// Cells that a measurement needs at least: fewer say more of when they were sent than of the leg.
const CELLS_MIN: u64 = 8;
/// Acknowledgements after which the lowest round trip is looked for anew: a path may get longer.
const BASE_EPOCH: u32 = 64;
/// The same for the round trip of the empty path. A leg that is always full shows it rarely.
const EMPTY_EPOCH: u32 = 1024;

/// So many cells have arrived at the other end, the last of them then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Mark {
    at: Nanos,
    cells: u64,
}

/// The lowest round trip of the newest acknowledgements, and how many these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Epoch {
    lowest: Nanos,
    length: u32,
}

impl Epoch {
    const EMPTY: Epoch = Epoch { lowest: UNMEASURED, length: 0 };

    /// Notes a round trip, and answers the lowest of all that count.
    fn heard(&mut self, rtt: Nanos, lowest: Nanos, length: u32) -> Nanos {
        self.lowest = self.lowest.min(rtt);
        self.length += 1;
        if self.length < length {
            return lowest.min(rtt);
        }
        std::mem::replace(self, Epoch { lowest: rtt, length: 0 }).lowest
    }
}

/// What is known of one leg. All times are estimates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meter {
    /// The lowest round trip of late in nanoseconds, [`UNMEASURED`] when there is none. Of a leg that is always full it
    /// has the queue in it.
    pub base: Nanos,
    /// The lowest round trip for long: that of the path without a queue.
    pub empty: Nanos,
    /// Time for a cell in nanoseconds where the leg is narrowest, 0 when it was never measured.
    pub pace: Nanos,
    /// When the last cell that was acknowledged arrived at the other end. Those in flight arrive after it, one
    /// [`Meter::pace`] apart.
    pub anchor: Nanos,
    base_epoch: Epoch,
    empty_epoch: Epoch,
    /// Cells acknowledged in all.
    acked: u64,
    marks: [Mark; MARKS],
    marked: u8,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            base: UNMEASURED,
            empty: UNMEASURED,
            pace: 0,
            anchor: 0,
            base_epoch: Epoch::EMPTY,
            empty_epoch: Epoch::EMPTY,
            acked: 0,
            marks: [Mark::default(); MARKS],
            marked: 0,
        }
    }
}

impl Meter {
    /// Half of the lowest round trip: the way to the other end. 0 when it is not known.
    #[inline]
    pub fn half(&self) -> Nanos {
        if self.base == UNMEASURED {
            0
        } else {
            self.base / 2
        }
    }

    /// A round trip was measured.
    pub fn saw(&mut self, rtt: Nanos) {
        self.base = self.base.min(rtt);
        self.empty = self.empty.min(rtt);
    }

    /// So many cells were acknowledged, with the round trip that the leg reports now.
    pub fn heard(&mut self, now: Nanos, cells: u64, rtt: Nanos) {
        self.base = self.base_epoch.heard(rtt, self.base, BASE_EPOCH);
        self.empty = self.empty_epoch.heard(rtt, self.empty, EMPTY_EPOCH);
        self.acked += cells;
        let arrived = now.saturating_sub(self.half());
        self.anchor = self.anchor.max(arrived);
        self.measure(arrived, rtt);
        self.mark(Mark { at: arrived, cells: self.acked });
    }

    fn measure(&mut self, arrived: Nanos, rtt: Nanos) {
        let marks = self.marks.get(..usize::from(self.marked)).unwrap_or_default();
        let far = marks.iter().find(|mark| mark.cells + CELLS_MIN <= self.acked);
        let Some(mark) = far else { return };
        let sample = (arrived.saturating_sub(mark.at) / (self.acked - mark.cells)).max(1);
        // A queue on the way: the leg carries no more than this. Without one it was perhaps not given more.
        let is_full = rtt > self.base.saturating_add(self.base / 8);
        if self.pace == 0 {
            self.pace = sample;
        } else if sample < self.pace {
            self.pace -= (self.pace - sample).div_ceil(2);
        } else if is_full {
            self.pace += (sample - self.pace) / 2;
        }
    }

    fn mark(&mut self, mark: Mark) {
        if usize::from(self.marked) == MARKS {
            self.marks.copy_within(1.., 0);
            self.marked -= 1;
        }
        if let Some(place) = self.marks.get_mut(usize::from(self.marked)) {
            *place = mark;
            self.marked += 1;
        }
    }

    /// Cells are about to go out, after so many that are in flight. If all of these have arrived, the leg starts anew.
    pub fn begins(&mut self, now: Nanos, inflight: u64) {
        let first = now.saturating_add(self.half());
        // Of a leg that was never measured, nothing in flight has arrived before it says so.
        if self.arrives(inflight) <= first && (self.pace != 0 || inflight == 0 || self.marked == 0) {
            self.anchor = first.saturating_sub(inflight.saturating_mul(self.pace));
            self.marked = 0;
            self.mark(Mark { at: first, cells: self.acked + inflight });
        }
    }

    /// How long the next acknowledgement was waited for.
    #[inline]
    pub fn waited(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.anchor.saturating_add(self.half()))
    }

    /// So much later than by the lowest round trip of late a queue is empty, if that had some of the queue in it.
    #[inline]
    pub fn hidden(&self) -> Nanos {
        self.base.saturating_sub(self.empty)
    }

    /// When the last of so many cells in flight arrives at the other end.
    #[inline]
    pub fn arrives(&self, inflight: u64) -> Nanos {
        self.anchor.saturating_add(inflight.saturating_mul(self.pace))
    }

    /// True when all of so many cells in flight have arrived, and their acknowledgement would be here.
    pub fn is_idle(&self, now: Nanos, inflight: u64) -> bool {
        self.arrives(inflight).saturating_add(self.half()) < now
    }
}
