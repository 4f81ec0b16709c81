//! Time is the host's: monotonic nanoseconds that come in with every feed.

/// Nanoseconds on the host's monotonic clock, from any origin.
pub type Nanos = u64;

/// "No deadline."
pub const NEVER: Nanos = Nanos::MAX;

/// The latest time the host has named.
///
/// A host may name the same time twice (a coarse or cached clock does). An earlier time is read as the latest one
/// seen, and counted, so that a clock that steps back can neither undo a deadline nor make a round trip negative.
#[derive(Debug, Default)]
pub struct Clock {
    latest: Nanos,
    backwards: u64,
}

impl Clock {
    /// A clock that starts at `now`.
    pub fn new(now: Nanos) -> Self {
        Clock { latest: now, backwards: 0 }
    }

    /// Takes the host's time and answers with the time to go by.
    #[inline]
    pub fn observe(&mut self, now: Nanos) -> Nanos {
        // The last nanosecond stands for "never", and never comes.
        let now = now.min(NEVER - 1);
        if now >= self.latest {
            self.latest = now;
        } else {
            self.backwards += 1;
        }
        self.latest
    }

    /// Takes a time that is not before the latest; any other is left for [`Clock::observe`] to count.
    #[inline]
    pub fn advance(&mut self, now: Nanos) -> bool {
        let forward = now >= self.latest;
        if forward {
            self.latest = now;
        }
        forward
    }

    /// The latest time seen.
    #[inline]
    pub fn latest(&self) -> Nanos {
        self.latest
    }

    /// How often an earlier time than the latest was named.
    pub fn backwards(&self) -> u64 {
        self.backwards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_time_is_read_as_the_latest_and_counted() {
        let mut clock = Clock::new(10);
        assert_eq!(clock.observe(10), 10);
        assert_eq!(clock.backwards(), 0, "equal time is normal");
        assert_eq!(clock.observe(15), 15);
        assert_eq!(clock.observe(12), 15);
        assert_eq!(clock.backwards(), 1);
        assert_eq!(clock.latest(), 15);
    }
}
