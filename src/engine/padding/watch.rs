//! Padders as events: what padders do is noted where anybody wants to know it.

use crate::base::{Id, Nanos};
use crate::engine::{Circuit, Engine, Error};
use crate::event::{Class, Event, Events};
use crate::padding::{Nobody, Outside, Padding, Watch};

/// Hands on what the padders of one circuit do.
pub(in crate::engine) struct Watcher<'a> {
    /// Those who want to know.
    pub events: &'a mut Events,
    pub circuit: Id,
    pub now: Nanos,
}

impl Watch for Watcher<'_> {
    const LOOKS: bool = true;

    #[inline(always)]
    fn wants_events(&self) -> bool {
        self.events.wants(Class::Padding)
    }

    #[inline(always)]
    fn wants_states(&self) -> bool {
        self.events.wants(Class::States)
    }

    #[inline(always)]
    fn circuit(&self) -> Id {
        self.circuit
    }

    #[inline]
    fn take(&mut self, event: Event) {
        self.events.note(self.now, event);
    }

    #[inline(always)]
    fn take_often(&mut self, event: Event) {
        self.events.note_here(self.now, event);
    }
}

/// Tells the padders of a circuit that a cell came.
#[inline]
pub(in crate::engine) fn tell_received(
    padding: &mut Padding,
    events: &mut Events,
    (circuit, hop): (Id, u8),
    is_padding: bool,
    now: Nanos,
) {
    if events.wants(Class::Padding) {
        received_watched(padding, &mut Watcher { events, circuit, now }, hop, is_padding, now);
    } else {
        padding.received(hop, is_padding, now, &mut Nobody);
    }
}

#[inline(never)]
fn received_watched(padding: &mut Padding, watch: &mut Watcher<'_>, hop: u8, is_padding: bool, now: Nanos) {
    padding.received(hop, is_padding, now, watch);
}

impl Engine {
    /// True when anybody wants to see what padders do. Quick ways ask, and run without a [`Watcher`] if not.
    #[inline(always)]
    pub(in crate::engine) fn watches_padders(&self) -> bool {
        self.wants(Class::Padding)
    }

    /// As [`Engine::with_padding`], for those who want to see what the padders do.
    #[inline]
    pub(in crate::engine) fn watch_padding<R>(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Padding, &mut Watcher<'_>) -> R,
    ) -> Result<Option<R>, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let Some(padding) = &mut circuit.padding else { return Ok(None) };
        let mut watch = Watcher { events: &mut self.events, circuit: id, now: self.time.clock.latest() };
        let before = padding.next();
        let answer = change(padding, &mut watch);
        if padding.next() != before {
            self.time.alarms.arm_padding(id, padding.next());
        }
        Ok(Some(answer))
    }

    /// Tells the padders of a circuit that a cell was queued, while somebody watches.
    #[inline(never)]
    pub(in crate::engine) fn sent_watched(&mut self, id: Id, hop: u8, now: Nanos) {
        // A circuit that there is not has no padders.
        let _ = self.watch_padding(id, |padding, watch| {
            padding.queued(hop);
            padding.normal_sent(hop, now, watch);
        });
    }

    /// Tells the padders of a circuit that cells were written, while somebody watches.
    #[inline(never)]
    pub(super) fn written_watched(&mut self, id: Id, cells: u32, now: Nanos) {
        // As above.
        let _ = self.watch_padding(id, |padding, watch| padding.written(cells, now, watch));
    }

    /// Does the first thing that is due on a circuit, while somebody watches. Returns how late it was.
    #[inline(never)]
    pub(super) fn step_watched(&mut self, id: Id, now: Nanos, outside: Outside) -> Option<Nanos> {
        let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) else { return None };
        let mut watch = Watcher { events: &mut self.events, circuit: id, now: self.time.clock.latest() };
        let (purse, effects) = (&mut self.padding.purse, &mut self.padding.effects);
        padding.step(now, self.time.round, outside, purse, effects, &mut watch)
    }
}
