//! What happens in an engine, for those who want to see it. Every call site says what happened; who hears of it is a
//! matter of [`Events`].

use crate::engine::{Engine, Error};
use crate::event::{Class, Event, Events};

impl Engine {
    /// True when anybody wants events of this class. Two instructions: quick ways ask before they make an event.
    #[inline(always)]
    #[allow(dead_code, reason = "the call sites come one after the other")]
    pub(super) fn wants(&self, class: Class) -> bool {
        self.events.wants(class)
    }

    /// Says what has happened.
    #[inline(always)]
    pub(super) fn note(&mut self, event: Event) {
        if self.events.wants(event.class()) {
            self.events.note(self.time.clock.latest(), event);
        }
    }

    /// Records events of these classes in `bytes` bytes from now on; with none of either, no longer.
    pub fn record(&mut self, bytes: usize, classes: u32) -> Result<(), Error> {
        if classes & !Class::EVERY != 0 {
            return Err(self.invalid("there is no such class of events"));
        }
        if !self.events.record(bytes, classes) {
            return Err(self.invalid("bytes of the record are out of their range"));
        }
        Ok(())
    }

    /// What the engine does with its events.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }
}
