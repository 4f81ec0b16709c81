//! Messages that circflow sends itself on a stream: XOFF, XON and END.

use crate::base::{limits, Id, Nanos};
use crate::conflux::Fault;
use crate::congestion::flow::FlowMessage;
use crate::engine::padding::Watcher;
use crate::engine::{Engine, Place};
use crate::event::{Class, Event};
use crate::message::{cost_of, Lane, Message};
use crate::reactor::{Owner, Past};
use crate::wire::flow::{Xoff, Xon};
use crate::wire::Command;

impl Engine {
    /// Sends XOFF or XON for a stream.
    #[cold]
    pub(in crate::engine) fn send_own_flow(&mut self, owner: Owner, id: Id, say: FlowMessage, now: Nanos) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (hop, stream_id) = (stream.hop, stream.stream_id);
        match say {
            FlowMessage::Xoff => {
                stream.flow_stats.xoffs_sent = stream.flow_stats.xoffs_sent.saturating_add(1);
                let buffered = stream.incoming.buffered();
                self.note(Event::XoffSent { stream: id, buffered });
                self.send_own(owner, hop, stream_id, Command::XOFF, &Xoff.encode(), now);
            }
            FlowMessage::Xon { rate } => {
                stream.flow_stats.xons_sent = stream.flow_stats.xons_sent.saturating_add(1);
                self.note(Event::XonSent { stream: id, rate });
                self.send_own(owner, hop, stream_id, Command::XON, &Xon { kbps: rate }.encode(), now);
            }
        }
    }

    /// Refuses a stream with END, and remembers its id, as the other end may not know yet. (A relay need not remember:
    /// it drops messages for streams that it does not know.)
    pub(in crate::engine) fn refuse_stream(&mut self, owner: Owner, hop: u8, stream_id: u16, reason: u8, now: Nanos) {
        if let Some(until) = self.remembered_until(owner, now) {
            let past = Past { opened: true, ended: false, connected: true };
            self.with_streams(owner, |streams, _| streams.remember(hop, stream_id, past, now, until));
        }
        self.send_own(owner, hop, stream_id, Command::END, &[reason], now);
    }

    /// Sends a message of our own on a stream. It goes or waits like others of the stream, but is never refused: there
    /// are few, each an answer to something that came. If even these are too many to wait, the circuit or set closes.
    fn send_own(&mut self, owner: Owner, hop: u8, stream_id: u16, command: Command, body: &[u8], now: Nanos) {
        let message = &Message { command, hop, stream_id, body, token: None };
        match owner {
            Owner::Set(set) => {
                if !self.send_own_in_set(set, message, now) {
                    self.fault_of_set(set, Fault::EngineMemory);
                }
            }
            Owner::Circuit(circuit) => {
                if !self.send_own_on_circuit(circuit, message, now) {
                    self.fault(circuit, Fault::EngineMemory);
                }
            }
        }
    }

    fn send_own_in_set(&mut self, set: Id, message: &Message<'_>, now: Nanos) -> bool {
        let fits = self.ensure_room(set, cost_of(message).into()).is_ok();
        let Some(state) = self.sets.get_mut(set) else { return true };
        let most = state.terms().held_sends_max.saturating_add(limits::OWN_SENDS_MAX);
        if !fits || state.waiting_to_go() >= most {
            return false;
        }
        let mut lane = Lane::EMPTY;
        if self.wants(Class::Choice) {
            self.note_looks(set);
        }
        let Some(state) = self.sets.get_mut(set) else { return true };
        let said = match state.send_own(message.command, now, &mut self.out.effects) {
            Some(plan) => {
                state.note_own_send();
                if self.wants(Class::Choice) {
                    self.note_sent_plan(set, &plan, message.command);
                }
                let kept = self.held.store.push(&mut lane, 1, message);
                self.queue_released(plan.leg, set, message.hop, plan.delta, plan.number, lane, now);
                kept
            }
            None => {
                let said = state.hold(message, now, &mut self.held.store, &mut self.out.effects);
                if said {
                    self.note_held_for_sending(set);
                }
                said
            }
        };
        self.grew(set);
        self.apply_effects(set);
        self.set_changed(set);
        said
    }

    fn send_own_on_circuit(&mut self, id: Id, message: &Message<'_>, now: Nanos) -> bool {
        let fits = self.ensure_room(id, cost_of(message).into()).is_ok();
        let Some(circuit) = self.circuits.get_mut(id).filter(|circuit| circuit.place != Place::Closing) else {
            return true;
        };
        let most = circuit.held_sends_max().saturating_add(limits::OWN_SENDS_MAX);
        let padding = circuit.padding.as_mut();
        let mut lane = Lane::EMPTY;
        if !fits || padding.is_some_and(|padding| padding.waiting_to_go() >= most) {
            return false;
        }
        if !self.held.store.push_at(&mut lane, 1, message, now) {
            return false;
        }
        if let Some(padding) = &mut circuit.padding {
            // Padding is not asked to admit it, as no host waits to be told of room.
            if padding.is_in_the_way(message.command) {
                let events = &mut self.events;
                padding.hold(message.hop, lane, now, &mut Watcher { events, circuit: id, now });
                self.grew(id);
                self.settle_padding(id, now);
                return true;
            }
            padding.note_own_send();
        }
        self.queue_released(id, Id::NONE, message.hop, 0, 0, lane, now);
        true
    }
}
