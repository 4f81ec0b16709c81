//! Time is the host's: monotonic nanoseconds that come in with every feed.

use super::limits::{CLOCK_LEAP, CLOCK_LEAP_MAX};

/// Nanoseconds on the host's monotonic clock, from any origin.
pub type Nanos = u64;

/// The time that never comes: no deadline.
pub const NEVER: Nanos = Nanos::MAX;

/// The latest time the host has named, and the difference between the host's clock and the engine's.
///
/// A host may name the same time twice (a coarse or cached clock does). An earlier time is read as the latest one seen,
/// and counted, so that a clock that steps back can neither undo a deadline nor make a round trip negative.
///
/// The engine's own time never goes back. A host whose clock was wrong sets it ([`Clock::set`]). From then on every
/// time is moved by the difference on its way in ([`Clock::inside`]), and back on its way out ([`Clock::outside`]), so
/// that nothing that was armed or noted has to change.
#[derive(Debug, Default)]
pub struct Clock {
    latest: Nanos,
    backwards: u64,
    leaps: u64,
    /// True when the two clocks differ.
    moved: bool,
    /// The engine's time is the host's plus this ..
    ahead: Nanos,
    /// .. less this. One of the two is 0.
    behind: Nanos,
    /// A measurement that began before this time began on another clock, or before a leap.
    since: Nanos,
}

impl Clock {
    /// The engine's time for a time of the host.
    #[inline(always)]
    pub fn inside(&self, wall: Nanos) -> Nanos {
        if self.moved {
            self.moved_inside(wall)
        } else {
            wall
        }
    }

    #[cold]
    fn moved_inside(&self, wall: Nanos) -> Nanos {
        wall.saturating_add(self.ahead).saturating_sub(self.behind)
    }

    /// The host's time for a time of the engine. [`NEVER`] and 0 (at once, or not yet) stay as they are.
    pub fn outside(&self, time: Nanos) -> Nanos {
        if !self.moved || time == NEVER || time == 0 {
            return time;
        }
        time.saturating_sub(self.ahead).saturating_add(self.behind).min(NEVER - 1)
    }

    /// Sets the host's clock, which was wrong, to `wall`. The engine's time stays.
    pub fn set(&mut self, wall: Nanos) {
        self.ahead = self.latest.saturating_sub(wall);
        self.behind = wall.saturating_sub(self.latest);
        self.moved = self.ahead != self.behind;
        self.since = self.latest + 1;
    }

    /// True when the two clocks differ.
    pub fn is_moved(&self) -> bool {
        self.moved
    }

    /// True when the time from `before` to `now` counts as a leap ([`CLOCK_LEAP`]).
    pub fn is_leap(&self, before: Nanos, now: Nanos) -> bool {
        // The first time is from any origin.
        before != 0 && now.saturating_sub(before) > CLOCK_LEAP
    }

    /// Handles a leap of the host's clock from `before` to the latest time. The engine's time goes on by
    /// [`CLOCK_LEAP_MAX`] at most, so that no leap can use it up. Returns the engine's time.
    pub fn leap(&mut self, before: Nanos) -> Nanos {
        self.leaps += 1;
        let too_far = (self.latest - before).saturating_sub(CLOCK_LEAP_MAX);
        if too_far > 0 {
            // A time beyond the end was cut to the last one on its way in.
            let wall = if self.latest == NEVER - 1 { NEVER - 1 } else { self.outside(self.latest) };
            self.latest -= too_far;
            self.set(wall);
        }
        self.since = self.latest + 1;
        self.latest
    }

    /// When a measurement ends that began at `began`: `now`, or `began` if that was on another clock or before a leap,
    /// so that no time is measured.
    pub fn until(&self, began: Nanos, now: Nanos) -> Nanos {
        if began < self.since {
            began
        } else {
            now
        }
    }

    /// Number of leaps of the host's clock.
    pub fn leaps(&self) -> u64 {
        self.leaps
    }

    /// Takes a time of the host and returns the time to go by.
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

    /// Takes a time that is not before the latest. False for any other, which [`Clock::observe`] has to count.
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

    /// Number of times that were earlier than the latest.
    pub fn backwards(&self) -> u64 {
        self.backwards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Clock {
        fn new(now: Nanos) -> Self {
            Clock { latest: now, ..Clock::default() }
        }
    }

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

    #[test]
    fn both_ways_through_every_move() {
        let ends = [0, 1, 100, 1 << 40, 1 << 62, NEVER - 2, NEVER - 1];
        for latest in ends {
            for wall in ends {
                let mut clock = Clock::new(latest);
                clock.set(wall);
                assert_eq!((clock.inside(wall), clock.latest()), (latest, latest), "no time passes");
                if latest != 0 {
                    assert_eq!(clock.outside(latest), wall);
                }
                assert_eq!((clock.outside(NEVER), clock.outside(0)), (NEVER, 0));
                clock.set(latest);
                assert_eq!(clock.inside(latest), latest);
            }
        }
    }

    #[test]
    fn a_leap_uses_up_a_year_at_most() {
        let mut clock = Clock::new(100);
        for round in 1..=500 {
            let before = clock.latest();
            let now = clock.observe(clock.inside(NEVER));
            assert!(clock.is_leap(before, now));
            let now = clock.leap(before);
            assert_eq!((now - before, clock.leaps()), (CLOCK_LEAP_MAX, round));
            assert_eq!(clock.observe(clock.inside(NEVER - 1)), now, "the host's time is the wild one");
            assert_eq!((clock.until(now, now + 9), clock.until(now + 1, now + 9)), (now, now + 9));
            clock.set(100);
            assert_eq!(clock.inside(105), now + 5);
        }
        assert!(!Clock::new(0).is_leap(0, NEVER - 1), "the first time has any origin");
        assert!(!clock.is_leap(1, 1 + CLOCK_LEAP) && clock.is_leap(1, 2 + CLOCK_LEAP));
    }
}
