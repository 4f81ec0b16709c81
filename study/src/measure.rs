//! What a run shows: times, cells, and what the receiver held for order.

use circflow::base::Nanos;
use circflow::wire::Command;

#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Bytes of the transfer.
    pub total: u64,
    pub got: u64,
    begun: Nanos,
    has_begun: bool,
    over: bool,
    /// Since the transfer began: when its sender may begin, and the first and last byte in order.
    pub asked: Option<Nanos>,
    pub first: Option<Nanos>,
    pub last: Option<Nanos>,
    /// The set has ended before.
    pub died: bool,
    pub switches: u64,
    pub data: u64,
    pub held: Held,
    /// Bytes of other circuits in that time.
    pub rival_bytes: u64,
    /// How long that was.
    pub took: Nanos,
    /// Delays of the messages of an interactive stream.
    pub delays: Vec<Nanos>,
    /// When each DATA cell came, in order or not.
    pub curve: Vec<Nanos>,
    keeps_curve: bool,
    pub looks: Vec<Look>,
}

/// How things are at a time since the transfer began.
#[derive(Clone, Debug)]
pub struct Look {
    pub at: Nanos,
    /// Bytes in order, and messages held for order.
    pub got: u64,
    pub held: usize,
    pub legs: Vec<LegLook>,
}

/// A leg, as its sender sees it. Windows are in cells.
#[derive(Clone, Debug)]
pub struct LegLook {
    pub leg: usize,
    pub cwnd: u64,
    pub inflight: u64,
    pub rtt: Nanos,
    /// Cells before the bottleneck.
    pub queue: usize,
    /// Cells that were sent on it.
    pub sent: u64,
}

/// Messages that the receiver held, over time.
#[derive(Clone, Debug, Default)]
pub struct Held {
    now: usize,
    pub peak: usize,
    since: Nanos,
    /// How long so many were held.
    times: Vec<Nanos>,
}

impl Held {
    fn change(&mut self, now: Nanos, by: isize) {
        self.weigh(now);
        self.now = self.now.saturating_add_signed(by);
        self.peak = self.peak.max(self.now);
    }

    fn weigh(&mut self, now: Nanos) {
        if self.times.len() <= self.now {
            self.times.resize(self.now + 1, 0);
        }
        self.times[self.now] += now - self.since;
        self.since = now;
    }

    /// So many or fewer were held for this part of the time, in hundredths.
    pub fn quantile(&self, hundredths: u64) -> usize {
        let total: Nanos = self.times.iter().sum();
        let mut sum = 0;
        self.times
            .iter()
            .position(|&time| {
                sum += time;
                u128::from(sum) * 100 >= u128::from(total) * u128::from(hundredths)
            })
            .unwrap_or(0)
    }
}

impl Figures {
    pub fn new(keeps_curve: bool) -> Figures {
        Figures { keeps_curve, ..Figures::default() }
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn begin(&mut self, now: Nanos) {
        (self.begun, self.has_begun) = (now, true);
        self.held.since = now;
    }

    pub fn note_asked(&mut self, now: Nanos) {
        self.asked = self.asked.or(Some(now - self.begun));
    }

    pub fn note_bytes(&mut self, now: Nanos, bytes: u64) {
        let since = now - self.begun;
        self.got += bytes;
        self.first = self.first.or(Some(since));
        if self.got == self.total {
            self.last = Some(since);
            self.over = true;
        }
    }

    pub fn note_arrival(&mut self, now: Nanos) {
        if self.keeps_curve {
            self.curve.push(now - self.begun);
        }
    }

    pub fn note_look(&mut self, now: Nanos, legs: Vec<LegLook>) {
        self.looks.push(Look { at: now - self.begun, got: self.got, held: self.held.now, legs });
    }

    pub fn note_control(&mut self, measured: bool, command: Command) {
        if measured && self.has_begun {
            self.switches += u64::from(command == Command::CONFLUX_SWITCH);
            self.data += u64::from(command == Command::DATA);
        }
    }

    pub fn note_held(&mut self, now: Nanos, measured: bool, by: isize) {
        if measured && self.has_begun {
            self.held.change(now, by);
        }
    }

    pub fn note_rival(&mut self, counts: bool, bytes: u64) {
        self.rival_bytes += if counts { bytes } else { 0 };
    }

    pub fn note_ended(&mut self, _now: Nanos) {
        self.died |= !self.over;
        self.over = true;
    }

    pub fn finish(&mut self, now: Nanos) {
        if self.has_begun {
            self.held.weigh(now.max(self.held.since));
            self.took = now.saturating_sub(self.begun);
        }
    }
}

/// Of sorted values the one below which this part of them lies, in hundredths.
pub fn quantile<T: Copy>(sorted: &[T], hundredths: usize) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * hundredths).div_ceil(100)).copied()
}

/// The earliest time by which legs can have delivered so many cells together, if each goes on as when it was alone.
/// `asked` is when each leg's sender could begin: with all legs, it can as soon as the first request has come.
pub fn bound(curves: &[(Nanos, Vec<Nanos>)], cells: usize) -> Option<Nanos> {
    let asked = curves.iter().map(|&(asked, _)| asked).min()?;
    let ahead =
        |(begun, curve): &(Nanos, Vec<Nanos>)| -> Vec<Nanos> { curve.iter().map(|&at| at - begun + asked).collect() };
    let mut all: Vec<Nanos> = curves.iter().flat_map(ahead).collect();
    all.sort_unstable();
    all.get(cells.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_equal_legs_halve_the_time_that_cells_take() {
        let curve: Vec<Nanos> = (1..=1000).map(|cell| 100 + cell * 10).collect();
        let legs = [(100, curve.clone()), (100, curve.clone())];
        assert_eq!(bound(&legs, 1000), Some(100 + 5000));
        assert_eq!(bound(&legs[..1], 1000), Some(100 + 10_000));
        // A leg over which the request comes later is as good as the other, once it has come.
        assert_eq!(bound(&[(100, curve.clone()), (300, curve.iter().map(|at| at + 200).collect())], 1000), Some(5100));
        assert_eq!(bound(&legs, 5000), None);
    }

    #[test]
    fn what_is_held_is_weighed_by_time() {
        let mut held = Held::default();
        held.change(0, 1);
        held.change(90, 9);
        held.change(100, -10);
        assert_eq!((held.peak, held.quantile(50), held.quantile(90), held.quantile(95)), (10, 1, 1, 10));
    }
}
