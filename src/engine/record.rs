//! What happens in an engine, for those who want to see it. Every call site says what happened; who hears of it is a
//! matter of [`Events`].

use crate::base::Id;
use crate::conflux::{LegIx, Role};
use crate::engine::{Engine, Error};
use crate::event::{Class, Event, Events};

/// A step of the link handshake: the field `step` of [`Event::LegStep`].
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkStep {
    Building = 1,
    LinkSent = 2,
    LinkedSent = 3,
    AckSent = 4,
    AckReceived = 5,
    LinkReceived = 6,
    LinkedReceived = 7,
}

impl Engine {
    /// True when anybody wants events of this class. Two instructions: quick ways ask before they make an event.
    #[inline(always)]
    pub(super) fn wants(&self, class: Class) -> bool {
        self.events.wants(class)
    }

    /// Says what has happened, and counts it.
    #[inline(always)]
    pub(super) fn note(&mut self, event: Event) {
        self.counters.hear(&event);
        self.tell(event);
    }

    /// Says what has happened.
    #[inline(always)]
    pub(super) fn tell(&mut self, event: Event) {
        if self.events.may_want(&event) {
            self.events.note(self.time.clock.latest(), event);
        }
    }

    /// [`Engine::note`] for an event that can come with each message, where the kind is known. Only for functions that
    /// stand apart.
    #[inline(always)]
    pub(super) fn note_here(&mut self, event: Event) {
        self.events.note_here(self.time.clock.latest(), event);
    }

    /// Says that a leg took a step of the link handshake.
    #[cold]
    pub(super) fn note_step(&mut self, set: Id, ix: LegIx, step: LinkStep) {
        let leg = self.sets.get(set).map_or(Id::NONE, |state| state.leg_at(ix));
        self.note(Event::LegStep { set, leg, step: step as u8 });
    }

    /// Records events of these classes in `bytes` bytes from now on; with none of either, no longer.
    pub fn record(&mut self, bytes: usize, classes: u32) -> Result<(), Error> {
        if classes & !Class::EVERY != 0 {
            return Err(self.invalid("there is no such class of events"));
        }
        if !self.events.record(bytes, classes) {
            return Err(self.invalid("bytes of the record are out of their range"));
        }
        self.update_ways();
        if self.circuits.all().any(|circuit| circuit.config.role == Role::Exit) {
            self.warn_if_recorded();
        }
        Ok(())
    }

    /// A circuit of a relay is here: says once that events are recorded, if they are.
    pub(super) fn warn_if_recorded(&mut self) {
        if self.events.warns_of_relay() {
            self.note(Event::RecordedAtRelay {});
        }
    }

    /// What the engine does with its events.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }
}
