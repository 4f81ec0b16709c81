//! The round-trip time of a circuit, in microseconds (proposal 324 §2.1).

/// The round-trip times of one circuit, in microseconds.
///
/// C Tor has one "the clock is broken" for the whole process. Here each circuit has its own, as there is no
/// process-wide state: it learns of a broken clock from its own round trips only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// The moving average, 0 until measured.
    pub ewma: u64,
    /// The lowest average seen, 0 until measured.
    pub min: u64,
    /// The longest round trip seen.
    pub max: u64,
    /// The clock stood still, and no good round trip has been measured since.
    pub clock_broken: bool,
    jumps: Jumps,
}

/// Jumps upwards that were refused one after the other, each in a separate round trip. When enough of them agree, the
/// path has changed, not the clock. Otherwise a circuit that was very fast once would refuse every round trip for ever
/// (the rest of TROVE-2022-001).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Jumps {
    /// The shortest and the longest of them.
    low: u64,
    high: u64,
    count: u32,
    /// SENDMEs still to come for DATA that was sent before the last refusal. They measure the same time as the refused
    /// one, such as a night asleep with a full window in flight, so they are no further witnesses.
    same_time: u32,
}

/// The state of the window that a round trip is judged by.
#[derive(Clone, Copy, Debug)]
pub struct RttTerms {
    /// The window is in slow start: there are too few round trips to compare with.
    pub slow_start: bool,
    /// Round trips the average runs over.
    pub count: u64,
    /// After slow start, the window is at its minimum: the lowest average is renewed, so that one odd round trip
    /// cannot keep the window there.
    pub at_minimum: bool,
    /// What a renewed lowest average is made of: so many percent of the larger of old lowest and average, and the rest
    /// of the smaller.
    pub reset_pct: u32,
    /// SENDMEs still to come for DATA that was sent.
    pub pending: u32,
}

impl Rtt {
    /// Takes a round trip in microseconds. Returns false, and changes no figure, when the clock cannot be believed.
    ///
    /// A jump upwards is believed once it is the last of `WITNESSES` that agree. Then average and lowest average
    /// start again from the path as it is now.
    pub fn measure(&mut self, rtt: u64, terms: &RttTerms) -> bool {
        let mut renew = terms.at_minimum;
        if self.clock_stood_or_jumped(self.ewma, rtt, terms.slow_start) {
            let jumped = rtt > self.ewma.saturating_mul(JUMP);
            if !jumped {
                self.jumps = Jumps::default();
                return false;
            }
            if !self.jumps.count_jump(rtt, terms.pending) {
                return false;
            }
            self.clock_broken = false;
            self.ewma = 0;
            renew = true;
        }
        self.jumps = Jumps::default();
        self.ewma = ewma(rtt, self.ewma, terms.count);
        self.max = self.max.max(rtt);
        if self.min == 0 {
            self.min = self.ewma;
        } else if renew {
            let pct = u64::from(terms.reset_pct.min(100));
            let (low, high) = (self.min.min(self.ewma), self.min.max(self.ewma));
            self.min = pct.saturating_mul(high) / 100 + (100 - pct).saturating_mul(low) / 100;
        } else {
            self.min = self.min.min(self.ewma);
        }
        true
    }

    /// The clock heuristics of prop324 §2.1.1: true when `new` is no round trip, where the one before was `old`.
    pub fn clock_stood_or_jumped(&mut self, old: u64, new: u64, slow_start: bool) -> bool {
        if new == 0 {
            self.clock_broken = true;
            return true;
        }
        // Slow start neither judges nor clears the flag, so that a first zero does not freeze the window (as it did in
        // arti).
        if slow_start || self.ewma == 0 {
            return false;
        }
        if old > new.saturating_mul(JUMP) {
            // So short a round trip is luck, or the clock stood still until just now.
            return self.clock_broken;
        }
        if new > old.saturating_mul(JUMP) {
            return true;
        }
        self.clock_broken = false;
        false
    }
}

impl Jumps {
    /// Takes a jump that is refused. True when no more witnesses are needed.
    fn count_jump(&mut self, rtt: u64, pending: u32) -> bool {
        if self.same_time > 0 {
            self.same_time -= 1;
            return false;
        }
        let (low, high) = (self.low.min(rtt), self.high.max(rtt));
        let agree = self.count > 0 && high <= low.saturating_mul(AGREE);
        let (low, high, count) = if agree { (low, high, self.count + 1) } else { (rtt, rtt, 1) };
        *self = Jumps { low, high, count, same_time: pending };
        count == WITNESSES
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

/// A round trip that differs by more than this factor shows a wrong clock, not the network.
const JUMP: u64 = 5000;

/// Jumps upwards that have to agree before they are believed.
const WITNESSES: u32 = 3;

/// Jumps agree when none is longer than so many times another.
const AGREE: u64 = 2;
