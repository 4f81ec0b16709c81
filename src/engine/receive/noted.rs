//! Events of messages that come. The callers have asked whether anybody wants them.

use crate::base::Id;
use crate::conflux::{Arrival, LegIx};
use crate::engine::Engine;
use crate::event::Event;
use crate::message::{cost_of, Message};
use crate::wire::conflux::Switch;
use crate::wire::Command;

impl Engine {
    /// A message came in order, and goes to the host or to its stream.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn note_in_order(&mut self, set: Id, leg: Id, number: u64, command: Command) {
        self.note_in_order_here(set, leg, number, command);
    }

    /// [`Engine::note_in_order`] in place.
    #[inline(always)]
    pub(super) fn note_in_order_here(&mut self, set: Id, leg: Id, number: u64, command: Command) {
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::InOrder { set, leg, number, command: command.0 });
    }

    /// A message got its number, and is held or fills the gap before held ones.
    #[cold]
    #[inline(never)]
    pub(super) fn note_arrival(&mut self, set: Id, leg: Id, arrival: Arrival, message: &Message<'_>) {
        match arrival {
            Arrival::InOrder(number) => self.note_in_order(set, leg, number, message.command),
            Arrival::Held(number) => self.note_held(set, leg, number, cost_of(message)),
        }
    }

    /// A message is held in its set until its turn comes.
    #[cold]
    #[inline(always)]
    fn note_held(&mut self, set: Id, leg: Id, number: u64, bytes: u32) {
        let Some(state) = self.sets.get(set) else { return };
        let (missing, held) = (state.delivered() + 1, state.held() as u32);
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::Held { set, leg, number, missing, held, bytes });
    }

    /// A message came on a leg of another engine, and is held.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn note_held_from_elsewhere(&mut self, set: Id, ix: LegIx, message: &Message<'_>) {
        let Some(state) = self.sets.get(set) else { return };
        let (leg, (_, number)) = (state.leg_at(ix), state.numbers_of(ix));
        self.note_held(set, leg, number, cost_of(message));
    }

    /// A SWITCH came on a leg.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn note_switch_received(&mut self, set: Id, ix: LegIx, switch: Switch) {
        let Some(state) = self.sets.get(set) else { return };
        let (leg, (_, number)) = (state.leg_at(ix), state.numbers_of(ix));
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::SwitchReceived { set, leg, delta: switch.delta, number });
    }
}
