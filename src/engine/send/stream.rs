//! Sending on a stream that circflow runs.

use crate::base::{Id, Nanos};
use crate::congestion::flow::May;
use crate::engine::out::detail::FULL;
use crate::engine::send::{Going, Sent};
use crate::engine::stream::ended;
use crate::engine::{Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::event::Event;
use crate::reactor::Owner;
use crate::wire::Command;

impl Engine {
    /// The quick way of [`Engine::send_on_stream`], for DATA when there is room, in a set on the leg that sends now. It
    /// logs nothing and wakes no other engine. `USUAL`: only if no SENDME will acknowledge just this cell, as then no
    /// function has to be called. None when nothing was done.
    #[inline(always)]
    pub fn send_on_stream_quick<const USUAL: bool>(&mut self, now: Nanos, id: Id, len: u16) -> Option<Sent> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        let stream = self.streams.get_mut(id)?;
        if !stream.outgoing.may_send_now(now) {
            return None;
        }
        let (hop, stream_tag) = (stream.hop, stream.tag);
        let (circuit, circuit_tag, number, wants_digest, tells) = match stream.owner {
            Owner::Circuit(circuit) => {
                let Some(Circuit { place: Place::Alone, config, padding: None, reactor: Some(reactor), .. }) =
                    self.circuits.get_mut(circuit)
                else {
                    return None;
                };
                let wants_digest = reactor.send_data::<USUAL>(hop, now)?;
                config.flags.add(CircuitFlags::STREAMS);
                (circuit, config.tag, 0, wants_digest, false)
            }
            Owner::Set(set) => {
                let state = self.sets.get_mut(set)?;
                // On a leg elsewhere the body is needed, and that way is another.
                let Circuit { reactor: Some(reactor), .. } = self.circuits.get_mut(state.settled_leg()?)? else {
                    return None;
                };
                let window = reactor.ends.window::<USUAL>(hop)?;
                let plan = state.send_quick(true, now)?;
                (plan.leg, plan.tag, plan.number, window.sent::<USUAL>(now), self.tells)
            }
        };
        stream.outgoing.sent(now, len.into());
        self.padding.purse.sent(1);
        let verdict = Verdict::of(VerdictKind::Send, circuit, circuit_tag);
        Some(Sent { verdict: Verdict { number, stream: id, stream_tag, wants_digest, ..verdict }, tells })
    }

    /// Sends a message of a stream. [`Engine::send_long`] holds it when it may not go now.
    #[inline(always)]
    pub fn send_on_stream(&mut self, now: Nanos, id: Id, command: Command, len: u16) -> Result<Going, Error> {
        let now = self.enter(now);
        let Some(stream) = self.streams.get_mut(id) else { return Err(self.streams.reason(id).into()) };
        let (owner, hop, tag) = (stream.owner, stream.hop, stream.tag);
        match command {
            Command::DATA => match stream.outgoing.may_send(now) {
                May::Now => {}
                stopped => {
                    stream.refused = true;
                    if let May::At(time) = stopped {
                        self.time.alarms.arm_stream(id, time);
                    }
                    return Err(Blocked::Stopped.into());
                }
            },
            Command::BEGIN
            | Command::BEGIN_DIR
            | Command::END
            | Command::CONNECTED
            | Command::RESOLVE
            | Command::RESOLVED => {}
            _ => return Err(self.invalid("no message for a host to send on a stream")),
        }
        let going = match owner {
            Owner::Set(_) if command == Command::BEGIN_DIR => return Err(Misuse::NotMultiplexed.into()),
            Owner::Set(set) => self.send_stream_in_set(set, command, hop)?,
            Owner::Circuit(circuit) => {
                self.send_stream_on_circuit(now, circuit, command, hop)?.map_or(Going::Later, Going::Out)
            }
        };
        let Going::Out(verdict) = going else { return Ok(going) };
        self.after_sending(id, owner, command, len, true, now);
        Ok(Going::Out(Verdict { stream: id, stream_tag: tag, ..verdict }))
    }

    /// Sends a message of a stream of a circuit, not of a set.
    fn send_stream_on_circuit(
        &mut self,
        now: Nanos,
        id: Id,
        command: Command,
        hop: u8,
    ) -> Result<Option<Verdict>, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if let (Command::DATA, Some(reactor)) = (command, &mut circuit.reactor) {
            // This asks the window and the channel; padding is asked below.
            if circuit.place != Place::Closing && !reactor.has_room(hop) {
                self.ask_again(id);
                return Err(self.no_room(FULL));
            }
        }
        self.send_on_circuit(now, id, command, hop)
    }

    /// Updates a stream after a message of it. DATA counts for its rate. BEGIN and RESOLVE open it for the other end,
    /// once they have left. END and RESOLVED end it: its id is remembered for a while, as the other end may not know
    /// yet.
    #[inline]
    pub(super) fn after_sending(&mut self, id: Id, owner: Owner, command: Command, len: u16, left: bool, now: Nanos) {
        match command {
            Command::DATA => {
                let stream = self.streams.get_mut(id);
                stream.into_iter().for_each(|stream| stream.outgoing.sent(now, len.into()));
            }
            Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE => {
                let resolves = command == Command::RESOLVE;
                self.with_streams(owner, |streams, arena| streams.ask(arena, id, resolves, left));
            }
            Command::END | Command::RESOLVED => {
                self.time.alarms.cancel_stream(id);
                if self.streams.get(id).is_some() {
                    self.note(Event::StreamEnded { owner: owner.id(), stream: id, by: ended::BY_HOST });
                }
                let until = self.remembered_until(owner, now);
                self.with_streams(owner, |streams, arena| streams.end(arena, id, left, now, until));
            }
            _ => {}
        }
    }

    /// Updates the stream of a message that was held and that the host has taken now.
    #[inline]
    pub(in crate::engine) fn note_left(&mut self, set: Id, circuit: Id, hop: u8, stream_id: u16, command: Command) {
        match command {
            Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE => {
                self.stream_left(set, circuit, hop, stream_id, true);
            }
            Command::END | Command::RESOLVED => self.stream_left(set, circuit, hop, stream_id, false),
            _ => {}
        }
    }

    fn stream_left(&mut self, set: Id, circuit: Id, hop: u8, stream_id: u16, opens: bool) {
        // When the set was dissolved, its last leg has the streams.
        let is_set = self.sets.get(set).is_some();
        let owner = if is_set { Owner::Set(set) } else { Owner::Circuit(circuit) };
        let now = self.time.clock.latest();
        let Some(until) = self.remembered_until(owner, now) else { return };
        self.with_streams(owner, |streams, arena| streams.left(arena, hop, stream_id, opens, now, until));
    }
}
