//! A host's clock that was wrong: it steps back, leaps ahead, or is set anew.

use crate::base::limits::CLOCK_BACK;
use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::engine::{Engine, Error};
use crate::event::Event;

impl Engine {
    /// The host's time on our clock, which every function of the engine takes except the quick ways (see
    /// `Engine::stop`).
    #[inline(always)]
    pub fn time(&self, wall: Nanos) -> Nanos {
        self.time.clock.inside(wall)
    }

    /// A time of our clock on the host's clock.
    pub fn wall(&self, time: Nanos) -> Nanos {
        self.time.clock.outside(time)
    }

    /// The time up to which nothing is due and the clock need not be looked at. The quick ways take the host's time as
    /// it is, so they are closed once the host has set its clock.
    #[inline]
    pub(super) fn stop(&self) -> Nanos {
        self.time.alarms.stop()
    }

    /// True when somebody watches what happens with each message, and so the quick ways are closed but for those that
    /// make events.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        self.time.alarms.is_watched()
    }

    /// Reports that the host's clock was wrong, and says `wall` now.
    pub fn set_clock(&mut self, wall: Nanos) -> Result<(), Error> {
        if wall == NEVER {
            return Err(self.invalid("no clock says CIRCFLOW_NEVER"));
        }
        let before = self.time.clock.outside(self.time.clock.latest());
        self.time.clock.set(wall);
        self.time.alarms.set_moved(self.time.clock.is_moved());
        self.note(Event::ClockSet { before, now: wall });
        Ok(())
    }

    /// Looks at a clock that has passed its horizon: either an hour has gone by, or the clock leaps.
    #[cold]
    pub(super) fn pass_horizon(&mut self, before: Nanos, mut now: Nanos) -> Nanos {
        if self.time.clock.is_leap(before, now) {
            now = self.time.clock.leap(before);
            self.time.alarms.set_moved(self.time.clock.is_moved());
            self.note(Event::ClockLeapt { by: now - before });
        }
        self.time.alarms.set_horizon(now);
        now
    }

    /// Notes that the host has named an earlier time than the latest one.
    #[cold]
    pub(super) fn step_back(&mut self, named: Nanos) {
        let latest = self.time.clock.latest();
        // Once, until time has gone on.
        if latest - named > CLOCK_BACK && self.time.step_back_logged != latest {
            self.time.step_back_logged = latest;
            self.note(Event::ClockWentBack { by: latest - named });
        }
    }
}
