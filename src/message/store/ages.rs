//! When held messages came, and since when they wait: time that does not count makes them younger.

use super::{Lane, Store};
use crate::base::{limits, Nanos};

/// A tick of arrival times is 2^`TICK` nanoseconds, about a millisecond: fine enough to find the set that has waited
/// longest.
const TICK: u32 = limits::HELD_GRAIN.trailing_zeros();

impl Store {
    /// When the first message of a lane came, to about a millisecond; `now` must not be earlier. Time that does not
    /// count makes it later.
    pub fn since(&self, lane: &Lane, now: Nanos) -> Option<Nanos> {
        Some(self.time_of(self.first_header(lane)?.at, now))
    }

    /// When the first message of a lane came, in ticks, which wrap around after 52 days: see [`Store::time_of`] and
    /// [`Store::earlier`].
    #[inline]
    pub fn arrival(&self, lane: &Lane) -> u32 {
        self.first_header(lane).map_or(0, |header| header.at)
    }

    /// The time of a tick that is at most 26 days before `now`. A tick after `now` is read as `now`.
    pub fn time_of(&self, tick: u32, now: Nanos) -> Nanos {
        let ticks = (self.tick(now).wrapping_sub(tick) as i32).max(0) as u64;
        now.saturating_sub(ticks << TICK)
    }

    /// The earlier of two ticks that are at most 26 days apart.
    #[inline]
    pub fn earlier(one: u32, other: u32) -> u32 {
        if (one.wrapping_sub(other) as i32) < 0 {
            one
        } else {
            other
        }
    }

    /// Leaves `not_counted` nanoseconds of the time that has passed out of the age of all messages. (Wraps around: a
    /// clock that was set back adds some of them again.)
    pub fn pause(&mut self, not_counted: Nanos) {
        self.not_counted = self.not_counted.wrapping_add(not_counted);
    }

    /// The time that counts, at `now` of the host's time.
    #[inline]
    pub fn counted(&self, now: Nanos) -> Nanos {
        now.wrapping_sub(self.not_counted)
    }

    /// The host's time for a time that counts, if all time counts from here on.
    pub fn uncounted(&self, counted: Nanos) -> Nanos {
        counted.wrapping_add(self.not_counted)
    }

    #[inline]
    pub(super) fn tick(&self, now: Nanos) -> u32 {
        (self.counted(now) >> TICK) as u32
    }
}
