//! Events of messages that go. The callers have asked whether anybody wants them.

use crate::base::Id;
use crate::conflux::choice::{Path, UNMEASURED};
use crate::conflux::set::{Plan, Refusal};
use crate::conflux::LegIx;
use crate::engine::Engine;
use crate::event::{Class, Event};
use crate::message::Lane;
use crate::wire::Command;

impl Engine {
    /// A leg is about to be chosen: tells how each stands.
    #[cold]
    #[inline(never)]
    pub(super) fn note_looks(&mut self, set: Id) {
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get(set).filter(|state| state.chooses()) else { return };
        let (most, looks) = state.looks();
        self.events.note_each(now, Class::Choice, most, looks.map(|(leg, path)| look(set, leg, path)));
    }

    /// Held messages are about to go: tells how each leg stands.
    #[cold]
    #[inline(never)]
    pub(super) fn note_looks_to_release(&mut self, set: Id) {
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get(set).filter(|state| state.may_release()) else { return };
        let (most, looks) = state.looks();
        self.events.note_each(now, Class::Choice, most, looks.map(|(leg, path)| look(set, leg, path)));
    }

    /// A message was counted as sent on a leg, and the SWITCH before it.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn note_sent_plan(&mut self, set: Id, plan: &Plan, command: Command) {
        if plan.delta != 0 {
            self.note_switch_sent(set, plan.leg, plan.delta);
        }
        self.note_sent_on(set, plan.leg, plan.number, command);
    }

    /// A message was counted as sent on a leg.
    #[cold]
    #[inline(never)]
    pub(super) fn note_sent_on(&mut self, set: Id, leg: Id, number: u64, command: Command) {
        self.note_sent_in_place(set, leg, number, command);
    }

    /// [`Engine::note_sent_on`] in place.
    #[inline(always)]
    pub(super) fn note_sent_in_place(&mut self, set: Id, leg: Id, number: u64, command: Command) {
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::Sent { set, leg, number, command: command.0 });
    }

    /// A SWITCH was counted as sent on a leg.
    #[cold]
    #[inline(never)]
    pub(super) fn note_switch_sent(&mut self, set: Id, leg: Id, delta: u32) {
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::SwitchSent { set, leg, delta });
    }

    /// A message that was held was counted as sent on a leg.
    pub(super) fn note_sent_held(&mut self, set: Id, plan: &Plan, lane: &Lane) {
        if self.wants(Class::Choice) {
            self.note_sent_plan(set, plan, self.held.store.command_of(lane));
        }
    }

    /// The host has queued a message on a leg.
    #[cold]
    #[inline(never)]
    pub(super) fn note_queued(&mut self, set: Id, leg: Id, ix: LegIx, command: Command) {
        let Some(state) = self.sets.get(set) else { return };
        self.note_sent_on(set, leg, state.numbers_of(ix).0, command);
    }

    /// A set has refused a message.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn note_refused(&mut self, set: Id, refusal: Refusal) {
        let Some(state) = self.sets.get(set).filter(|_| refusal == Refusal::Blocked) else { return };
        let (legs, why) = (state.leg_count() as u8, if state.chooses() { NO_ROOM } else { TOO_MANY_WAIT });
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::Refused { set, legs, why });
    }

    /// There was no memory to hold a message of a set.
    pub(super) fn note_no_memory(&mut self, set: Id) {
        let legs = self.sets.get(set).map_or(0, |state| state.leg_count() as u8);
        self.note(Event::Refused { set, legs, why: NO_MEMORY });
    }

    /// A message of a set waits to be sent.
    #[cold]
    #[inline(never)]
    pub(super) fn note_held_for_sending(&mut self, set: Id) {
        let waiting = self.sets.get(set).map_or(0, |state| state.waiting_to_go());
        self.note(Event::HeldForSending { set, waiting });
    }
}

/// Why a message was refused: the field `why` of [`Event::Refused`].
const NO_ROOM: u8 = 1;
const TOO_MANY_WAIT: u8 = 2;
const NO_MEMORY: u8 = 3;

#[inline(always)]
fn look(set: Id, leg: Id, path: &Path) -> Event {
    let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
    Event::LegLooked {
        set,
        leg,
        rtt: if path.rtt == UNMEASURED { 0 } else { path.rtt },
        cwnd: narrow(path.cwnd),
        in_flight: narrow(path.inflight),
        state: path.lack() as u8,
    }
}
