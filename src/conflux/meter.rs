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

/// Acknowledgements that come within this part of the lowest round trip are one batch: relays and hosts hold them back
/// and let them go together, and the times between them say nothing of the leg.
const BATCH_SHARE: u64 = 8;

/// A relay of C Tor hands cells on once in so many nanoseconds (KIST). A queue that is shorter may be none.
pub const HELD_BACK: Nanos = 10_000_000;
/// The same for three relays, there and back: so long can they hold back a cell and its acknowledgement.
pub const HELD_BACK_ALL: Nanos = 6 * HELD_BACK;

/// Times at which cells went out, of which so many are kept.
const DEPARTURES: usize = 12;

/// An acknowledgement that takes so many times as long as it should is not waited for any more.
const SILENT: u64 = 4;

/// So many cells were acknowledged, the last of them then. Or it starts: so many were about to go out then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Mark {
    /// When the batch began.
    began: Nanos,
    at: Nanos,
    cells: u64,
    /// Nothing was in flight before: the time for these cells has their way in it.
    starts: bool,
}

/// When so many cells had been sent: the next ones went out then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Departure {
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

/// What was seen of late of a leg that sends.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Past {
    marks: [Mark; MARKS],
    marked: u8,
    departures: [Departure; DEPARTURES],
    departed: u8,
}

/// What is known of one leg. All times are estimates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meter {
    /// The lowest round trip of late in nanoseconds, [`UNMEASURED`] when there is none. Of a leg that is always full it
    /// has the queue in it.
    pub base: Nanos,
    /// The lowest round trip for long: that of the path without a queue.
    pub empty: Nanos,
    /// Time for a cell in nanoseconds where the leg is narrowest, 0 when it was never measured.
    pub pace: Nanos,
    /// When the last cell that was acknowledged arrived at the other end. Those in flight arrive after it, one
    /// [`Meter::pace`] apart. 0 if nothing was seen to go out.
    pub anchor: Nanos,
    base_epoch: Epoch,
    empty_epoch: Epoch,
    /// Cells acknowledged in all.
    acked: u64,
    /// Made with the first cell: most legs of an exit's sets, and nearly all of a client's, never send much.
    past: Option<Box<Past>>,
    /// The pace comes from starts alone: that cells were late by chance may be a part of it.
    pub is_rough: bool,
}

impl Past {
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

    /// Cells go out after so many, and not in the moment of the ones before.
    fn depart(&mut self, now: Nanos, cells: u64, apart: Nanos) {
        let kept = usize::from(self.departed);
        let last = self.departures.get(..kept).and_then(|all| all.last());
        if last.is_some_and(|last| now.saturating_sub(last.at) < apart) {
            return;
        }
        if kept == DEPARTURES {
            self.departures.copy_within(1.., 0);
            self.departed -= 1;
        }
        if let Some(place) = self.departures.get_mut(usize::from(self.departed)) {
            *place = Departure { at: now, cells };
            self.departed += 1;
        }
    }
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
            past: None,
            is_rough: false,
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

    /// A meter that knows no more than a round trip.
    pub fn of(rtt: Nanos) -> Meter {
        Meter { base: rtt, empty: rtt, ..Meter::default() }
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
        self.acked = self.acked.saturating_add(cells);
        self.anchor = self.anchor.max(now.saturating_sub(self.half()));
        self.measure(now, rtt);
        self.note(now);
    }

    fn measure(&mut self, now: Nanos, rtt: Nanos) {
        let newest = Mark { began: now, at: now, cells: self.acked, starts: false };
        if let Some((sample, from)) = self.sample(&newest) {
            self.is_rough = (self.pace == 0 || self.is_rough) && from.starts;
            if self.pace == 0 || sample < self.pace {
                self.pace = sample;
            } else if from.starts {
                return;
            }
        }
        // Slower only by batches that are whole: the first of a batch was held back the longest.
        let last = self.marks().last();
        let Some(&last) = last.filter(|last| !last.starts && !self.is_going_on(now, last)) else { return };
        let slower = self.sample(&last).filter(|&(sample, from)| sample > self.pace && !from.starts);
        if let Some((sample, _)) = slower.filter(|(_, from)| self.was_full(from, &last, rtt)) {
            self.pace += (sample - self.pace) / 2;
        }
    }

    /// True when the leg was given more than it carried between these marks: otherwise its cells came as slowly as they
    /// went out, and say nothing of the leg.
    fn was_full(&self, from: &Mark, until: &Mark, rtt: Nanos) -> bool {
        let queue = rtt.saturating_sub(self.base.saturating_add(self.base / 8));
        let departed = self.departed_at(from.cells).zip(self.departed_at(until.cells));
        let was_given = |(from_at, until_at): (Nanos, Nanos)| {
            until_at.saturating_sub(from_at) <= until.at.saturating_sub(from.at) / 2
        };
        // Relays that hold cells back look like a short queue.
        queue > HELD_BACK_ALL || queue > 0 && departed.is_some_and(was_given)
    }

    /// Time for a cell until this mark, and since which mark.
    fn sample(&self, until: &Mark) -> Option<(Nanos, Mark)> {
        let marks = self.marks();
        let enough =
            |mark: &&Mark| until.cells.saturating_sub(mark.cells) >= CELLS_MIN && !self.is_going_on(until.at, mark);
        let far = marks.iter().filter(|mark| !mark.starts).find(enough).or_else(|| marks.iter().find(enough))?;
        // In the time from a start is the way of the first cell.
        let way = if far.starts { self.empty } else { 0 };
        let time = until.at.saturating_sub(far.at).saturating_sub(way);
        // From a start, no time at all says that the leg has no narrow place. Otherwise it says nothing.
        let sample = (time / (until.cells - far.cells)).max(far.starts.into());
        Some((sample, *far)).filter(|&(sample, _)| sample > 0)
    }

    /// An acknowledgement that comes now is of the batch of this mark.
    fn is_going_on(&self, now: Nanos, mark: &Mark) -> bool {
        !mark.starts && now.saturating_sub(mark.began) < self.base / BATCH_SHARE
    }

    /// Notes that all acknowledged cells have arrived, in the batch or as the first of a new one.
    fn note(&mut self, now: Nanos) {
        let (cells, last) = (self.acked, self.marks().last().copied());
        let going_on = last.filter(|last| self.is_going_on(now, last));
        let past = self.past.get_or_insert_default();
        if let Some(last) = going_on {
            past.marked -= 1;
            past.mark(Mark { at: now, cells, ..last });
        } else {
            past.mark(Mark { began: now, at: now, cells, starts: false });
        }
    }

    fn marks(&self) -> &[Mark] {
        self.past.as_ref().and_then(|past| past.marks.get(..usize::from(past.marked))).unwrap_or_default()
    }

    /// Cells are about to go out, after so many that are in flight. If all of these have arrived, the leg starts anew.
    /// `acked` cells make an acknowledgement.
    pub fn begins(&mut self, now: Nanos, inflight: u64, acked: u64) {
        self.goes_on(now, inflight);
        let cells = self.acked.saturating_add(inflight);
        let first = now.saturating_add(self.half());
        // Of a leg that was never measured, nothing in flight has arrived before it says so. An acknowledgement that is
        // late says that something has not.
        let is_known = self.pace != 0 || inflight == 0 || self.marks().is_empty();
        if self.arrives(inflight) <= first && is_known && !self.is_late(now, inflight, acked) {
            self.anchor = first.saturating_sub(inflight.saturating_mul(self.pace));
            let past = self.past.get_or_insert_default();
            past.marked = 0;
            past.mark(Mark { began: now, at: now, cells, starts: true });
        }
    }

    /// [`Meter::begins`] for a leg that [is busy](Meter::is_busy).
    #[inline]
    pub fn goes_on(&mut self, now: Nanos, inflight: u64) {
        let cells = self.acked.saturating_add(inflight);
        let apart = self.base / BATCH_SHARE;
        self.past.get_or_insert_default().depart(now, cells, apart);
    }

    /// True when a cell that goes out now finds others before it: the leg neither rests nor starts anew.
    #[inline]
    pub fn is_busy(&self, now: Nanos, inflight: u64) -> bool {
        self.arrives(inflight) > now.saturating_add(self.half())
    }

    /// When this cell went out, unless that is too long ago.
    fn departed_at(&self, cell: u64) -> Option<Nanos> {
        let past = self.past.as_ref()?;
        let all = past.departures.get(..usize::from(past.departed)).unwrap_or_default();
        all.iter().rev().find(|one| one.cells < cell).map(|one| one.at)
    }

    /// How long the next acknowledgement was waited for. 0 if nobody knows since when.
    #[inline]
    pub fn waited(&self, now: Nanos) -> Nanos {
        if self.anchor == 0 {
            return 0;
        }
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

    /// True when an acknowledgement, for `acked` cells each, would be here if the estimates were right.
    fn is_late(&self, now: Nanos, inflight: u64, acked: u64) -> bool {
        inflight >= acked && self.waited(now) > acked.saturating_mul(self.pace)
    }

    /// True when nothing is on its way: not even an acknowledgement that is late, unless the leg is silent.
    pub fn rests(&self, now: Nanos, inflight: u64, acked: u64) -> bool {
        let due = acked.saturating_mul(self.pace).saturating_add(self.half().saturating_mul(2));
        self.is_idle(now, inflight)
            && (!self.is_late(now, inflight, acked) || self.waited(now) > due.saturating_mul(SILENT))
    }

    /// True when all of so many cells in flight have arrived, and their acknowledgement would be here.
    pub fn is_idle(&self, now: Nanos, inflight: u64) -> bool {
        self.arrives(inflight).saturating_add(self.half()) < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wild() -> impl Strategy<Value = u64> {
        prop_oneof![prop::sample::select(vec![0, 1, 31, 1 << 40, u64::MAX - 1, u64::MAX]), any::<u64>(), 0u64..1000]
    }

    proptest! {
        /// Numbers come from hosts, and times from their clocks.
        #[test]
        fn any_reports_are_taken(reports in prop::collection::vec((wild(), wild(), wild(), any::<bool>()), 1..50)) {
            let mut meter = Meter::default();
            for (now, cells, rtt, begins) in reports {
                if begins {
                    meter.begins(now, cells, 31);
                } else {
                    meter.heard(now, cells.max(1), rtt);
                    prop_assert!(meter.empty <= meter.base && meter.base <= rtt);
                }
                let _ = (meter.waited(now), meter.hidden(), meter.is_idle(now, cells));
            }
        }
    }

    #[test]
    fn the_round_trip_without_a_queue_is_remembered_longer() {
        let mut meter = Meter::default();
        meter.heard(1_000, 31, 100);
        for at in 1..2 * u64::from(BASE_EPOCH) {
            meter.heard(1_000 + at * 10, 31, 300);
        }
        assert_eq!((meter.base, meter.empty, meter.hidden()), (300, 100, 200));
    }

    /// A leg whose cells take 10 each, with round trips of 1,000 and more, and `batch` SENDMEs that come at once: what
    /// it is measured to take after each of them.
    fn paces(batch: u64, trips: impl Iterator<Item = Nanos>) -> Vec<Nanos> {
        let mut meter = Meter::default();
        meter.saw(1_000);
        meter.begins(10_000, 0, 31);
        let mut last = Vec::new();
        for (at, trip) in (1..).zip(trips) {
            let now = 11_000 + at * batch * 310;
            for one in 0..batch {
                meter.heard(now + one, 31, trip);
            }
            last.push(meter.pace);
        }
        last
    }

    #[test]
    fn acknowledgements_that_come_at_once_do_not_make_a_leg_fast() {
        for batch in [1, 2, 4, 10] {
            for (at, pace) in paces(batch, std::iter::repeat_n(1_500, 40)).into_iter().enumerate() {
                assert!((9..=10).contains(&pace), "{batch} {at}: {pace}");
            }
        }
    }

    #[test]
    fn a_round_trip_that_grows_does_not_make_a_leg_fast() {
        // All that is heard for long has a queue in it, so this is the lowest round trip of late.
        let trips = |at: u64| if at < 3 { 1_000 } else { 4_000 };
        for (at, pace) in paces(1, (0..300).map(trips)).into_iter().enumerate() {
            assert!((9..=10).contains(&pace), "{at}: {pace}");
        }
        let mut meter = Meter { base: 4_000, empty: 1_000, ..Meter::default() };
        meter.begins(10_000, 0, 31);
        // The queue has gone, and a cell takes 10.
        meter.heard(10_000 + 1_000 + 310, 31, 4_000);
        assert_eq!(meter.pace, 10);
    }

    #[test]
    fn a_pace_from_starts_is_rough() {
        let mut meter = Meter::default();
        meter.saw(1_000);
        meter.begins(10_000, 0, 31);
        // Relays have held the first cells back.
        meter.heard(10_000 + 1_000 + 3_100, 31, 4_100);
        assert_eq!((meter.pace, meter.is_rough), (100, true));
        meter.begins(100_000, 0, 31);
        meter.heard(100_000 + 1_000 + 310, 31, 1_310);
        // That was a start, too.
        assert_eq!((meter.pace, meter.is_rough), (10, true));
        meter.heard(100_000 + 1_000 + 620, 31, 1_310);
        assert_eq!((meter.pace, meter.is_rough), (10, false));
    }

    /// Were the leg taken to be idle, its pace would be measured from a new start each time, and never be right again.
    #[test]
    fn a_leg_does_not_rest_while_an_acknowledgement_is_late() {
        let mut meter = Meter::default();
        meter.saw(1_000);
        meter.begins(10_000, 0, 31);
        // By chance a cell seems to take 1, and takes 10.
        meter.heard(10_000 + 1_000 + 31, 31, 1_031);
        assert_eq!(meter.pace, 1);
        assert!(meter.rests(20_000, 30, 31) && meter.rests(20_000, 62, 31));
        let mut now = 11_031;
        for _ in 0..20 {
            now += 310;
            assert!(!meter.rests(now - 1, 200, 31));
            meter.begins(now - 1, 200, 31);
            meter.heard(now, 31, 3_000);
        }
        assert!((9..=10).contains(&meter.pace), "{}", meter.pace);
    }

    #[test]
    fn a_leg_without_a_narrow_place_is_measured() {
        let mut meter = Meter::default();
        meter.begins(10_000, 0, 31);
        for _ in 0..100 {
            meter.heard(10_000, 31, 0);
            assert_eq!(meter.pace, 1);
        }
    }

    /// The pace of a leg that carries a cell in 10,000 and was measured so, gets 31 of them each 3 ms, and acknowledges
    /// them after `trip`.
    fn pace_if_given_little(trip: Nanos) -> Nanos {
        const APART: Nanos = 3_000_000;
        let mut meter = Meter::default();
        meter.saw(1_000_000);
        meter.begins(10_000_000, 0, 31);
        meter.heard(11_310_000, 31, 1_310_000);
        for at in 0..100 {
            let now = 20_000_000 + at * APART;
            let answered = (now - 20_000_000).saturating_sub(trip) / APART;
            if now > 20_000_000 + trip {
                meter.heard(now, 31, trip);
            }
            meter.begins(now, (at - answered) * 31, 31);
        }
        meter.pace
    }

    #[test]
    fn a_leg_that_is_given_little_does_not_become_slow() {
        // Relays hold acknowledgements back, and that looks like a queue.
        for trip in [2_000_000, 9_000_000, 30_000_000, HELD_BACK_ALL] {
            assert_eq!(pace_if_given_little(trip), 10_000, "{trip}");
        }
        // Relays hold back no cell for so long: this is a queue, and what comes is all that the leg carries.
        assert!(pace_if_given_little(HELD_BACK_ALL + 9_000_000) > 90_000);
    }

    #[test]
    fn cells_of_a_start_do_not_make_a_leg_slow() {
        let mut meter = Meter::default();
        meter.saw(1_000);
        meter.begins(10_000, 0, 31);
        // A cell takes 10.
        meter.heard(10_000 + 1_000 + 310, 31, 1_310);
        assert_eq!(meter.pace, 10);
        // It was idle, and what goes out then is late for another reason.
        meter.begins(100_000, 0, 31);
        meter.heard(100_000 + 1_000 + 5_000, 31, 6_000);
        assert_eq!(meter.pace, 10);
        // It is full, and acknowledgements are further apart: it has become slow.
        meter.heard(106_000 + 3_100, 31, 9_000);
        meter.heard(106_000 + 6_200, 31, 9_000);
        assert!(meter.pace > 10);
    }
}
