//! Holding messages that may not go now.

use crate::base::Id;
use crate::conflux::set::Plan;
use crate::engine::out::detail::{HELD_ENOUGH, NO_MEMORY};
use crate::engine::{Blocked, CircuitFlags, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::event::Class;
use crate::message::{cost_of, Lane, Message};
use crate::padding::Padding;
use crate::reactor::{Owner, Side};
use crate::wire::StreamRule;

impl Engine {
    /// Holds a message that [`Engine::send_on_stream`] did not send, or sends it on the leg elsewhere that was planned.
    #[cold]
    pub(super) fn hold_for_stream(
        &mut self,
        id: Id,
        plan: Option<Plan>,
        message: &Message<'_>,
    ) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let Some(stream) = self.streams.get(id) else { return Err(self.streams.reason(id).into()) };
        let (owner, tag) = (stream.owner, stream.tag);
        let message = &Message { hop: stream.hop, stream_id: stream.stream_id, ..*message };
        let (verdict, has_left) = match owner {
            Owner::Set(set) => {
                let has_left = self.hold_for_set(set, plan, message)?;
                (Verdict::of(VerdictKind::Held, Id::NONE, 0), has_left)
            }
            Owner::Circuit(circuit) => (self.hold_for_circuit(circuit, message)?, false),
        };
        self.after_sending(id, owner, message.command, message.body.len() as u16, has_left, now);
        Ok(Verdict { stream: id, stream_tag: tag, ..verdict })
    }

    /// Holds a message that [`Engine::send_on_circuit`] did not send.
    #[cold]
    pub fn hold_for_circuit(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let tag = self.circuits.lookup(id)?.config.tag;
        let mut lane = Lane::EMPTY;
        let room = self.ensure_room(id, cost_of(message).into());
        self.outlived(id, room.ok().flatten())?;
        if room.is_err() || !self.held.store.push_at(&mut lane, 1, message, now) {
            self.with_padding(id, Padding::found_no_room)?;
            return Err(self.no_room(NO_MEMORY));
        }
        self.watch_padding(id, |padding, watch| padding.hold(message.hop, lane, now, watch))?;
        if message.stream_id != 0 || message.command.stream_rule() == StreamRule::Needed {
            self.mark_streams(id);
        }
        self.grew(id);
        self.settle_padding(id, now);
        Ok(Verdict::of(VerdictKind::Held, id, tag))
    }

    /// Holds a message that [`Engine::send_for_host`] did not send: behind a block, or at the edge.
    #[cold]
    pub fn hold_for_host(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        if !self.waits_at_edge(id, message.hop) {
            return self.hold_for_circuit(id, message);
        }
        let (room, now) = (self.ensure_room(id, cost_of(message).into()), self.time.clock.latest());
        self.outlived(id, room.ok().flatten())?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let (tag, most) = (circuit.config.tag, circuit.held_sends_max());
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        let edge = reactor.edge(Side::Back);
        let is_full = edge.own() >= most;
        if room.is_err() || is_full || !edge.keep_own(message, &mut self.held.store, now) {
            reactor.backward.wait_for_edge();
            return Err(self.no_room(if is_full { HELD_ENOUGH } else { NO_MEMORY }));
        }
        if message.stream_id != 0 {
            circuit.config.flags.add(CircuitFlags::STREAMS);
        }
        if self.wants(Class::Edges) {
            self.note_wait(id, Side::Back);
        }
        self.grew(id);
        self.kept_in_line(id, Side::Back);
        Ok(Verdict::of(VerdictKind::Held, id, tag))
    }

    /// Holds a message for a set whose legs are blocked, or sends it on the leg elsewhere that was planned. True when
    /// it was sent: for this engine it has left, as only the leg's engine hears when the host takes it.
    #[cold]
    pub(super) fn hold_for_set(&mut self, set: Id, plan: Option<Plan>, message: &Message<'_>) -> Result<bool, Error> {
        let room = self.ensure_room(set, cost_of(message).into());
        if let Ok(closed @ Some(_)) = room {
            self.outlived(set, closed)?;
        }
        if room.is_err() {
            self.sets.get_mut(set).into_iter().for_each(|state| state.found_no_room());
            self.note_no_memory(set);
            self.begin_wait(set);
            // A leg here takes a message without holding it, once its channel has room.
            self.ask_for_set(set);
            return Err(self.no_room(NO_MEMORY));
        }
        let plan = match plan {
            // What was closed to make room may have given room to a leg of ours, or been the planned leg.
            Some(_) if room != Ok(None) => self.plan(set, message.command)?.filter(|plan| self.is_elsewhere(plan.leg)),
            plan => plan,
        };
        if let Some(plan) = plan {
            self.send_elsewhere(set, &plan, message);
            return Ok(true);
        }
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if !state.hold(message, now, &mut self.held.store, &mut self.out.effects) {
            self.note_no_memory(set);
            self.begin_wait(set);
            self.ask_for_set(set);
            return Err(self.no_room(NO_MEMORY));
        }
        state.grew(set, &self.held.ledger, now);
        if self.wants(Class::Choice) {
            self.note_held_for_sending(set);
        }
        self.apply_effects(set);
        self.look_again(set);
        self.ask_for_set(set);
        Ok(false)
    }
}
