//! The round-trip time of a circuit, in microseconds (proposal 324 §2.1).

/// What is known of a circuit's round trip.
///
/// C Tor keeps "the clock is broken" once for the whole process. Here each estimator has its own, as there is no
/// process-wide state: a circuit learns of a broken clock from its own round trips, never from another's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// The moving average, 0 until measured.
    pub ewma: u64,
    /// The lowest average seen, 0 until measured.
    pub min: u64,
    /// The longest round trip seen.
    pub max: u64,
    /// The clock stood still, and has not been seen to go well since.
    pub clock_broken: bool,
}

/// What a round trip is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The window is in slow start: there is too little yet to compare with.
    pub slow_start: bool,
    /// Round trips the average runs over.
    pub count: u64,
    /// After slow start, the window is at its minimum; then the lowest average is renewed, so that one odd round trip
    /// cannot keep the window there. It becomes so many percent of the larger and the rest of the smaller of old
    /// lowest and average.
    pub renew_min: Option<u32>,
}

impl Rtt {
    /// Takes a round trip, unless the clock cannot be believed: then it answers `false`, and no figure changes.
    pub fn measure(&mut self, rtt: u64, terms: &Terms) -> bool {
        if self.clock_stood_or_jumped(self.ewma, rtt, terms.slow_start) {
            return false;
        }
        self.ewma = ewma(rtt, self.ewma, terms.count);
        self.max = self.max.max(rtt);
        if self.min == 0 {
            self.min = self.ewma;
        } else if let Some(pct) = terms.renew_min {
            let pct = u64::from(pct.min(100));
            let (low, high) = (self.min.min(self.ewma), self.min.max(self.ewma));
            self.min = pct.saturating_mul(high) / 100 + (100 - pct).saturating_mul(low) / 100;
        } else {
            self.min = self.min.min(self.ewma);
        }
        true
    }

    /// The clock heuristics of prop324 §2.1.1: true when the time from `old` to `new` is no round trip.
    pub fn clock_stood_or_jumped(&mut self, old: u64, new: u64, slow_start: bool) -> bool {
        if new == 0 {
            self.clock_broken = true;
            return true;
        }
        // Slow start neither judges nor clears: a first zero does not freeze the window (arti's did).
        if slow_start || self.ewma == 0 {
            return false;
        }
        if old > new.saturating_mul(JUMP) {
            // So short a round trip is a clock that just stood still, or good luck.
            return self.clock_broken;
        }
        if new > old.saturating_mul(JUMP) {
            return true;
        }
        self.clock_broken = false;
        false
    }
}

/// The moving average over `count` values; the first value starts it.
pub(super) fn ewma(new: u64, old: u64, count: u64) -> u64 {
    if old == 0 {
        return new;
    }
    // The product of two large parameters does not fit 64 bits; the quotient lies between old and new, so it does.
    let sum = 2 * u128::from(new) + u128::from(count.saturating_sub(1)) * u128::from(old);
    u64::try_from(sum / (u128::from(count) + 1)).unwrap_or(u64::MAX)
}

/// Two round trips that differ by more than this factor tell of the clock, not of the network.
const JUMP: u64 = 5000;
