//! The long way of receiving: the table of routes is asked, and the message goes where it says.

use crate::base::{Id, Nanos};
use crate::conflux::{Arrival, Fault};
use crate::congestion::{ChannelState, Window};
use crate::engine::out::insn::Queued;
use crate::engine::out::verdict::END_NOT_DIRECTORY;
use crate::engine::receive::leg::Arrived;
use crate::engine::receive::padding::Admitted;
use crate::engine::receive::Step;
use crate::engine::{Blocked, Circuit, Engine, Error, Place, Verdict, VerdictKind};
use crate::event::{Class, Event, Events};
use crate::message::{Fields, Message};
use crate::reactor::{route, Owner, Position, Route, StreamMessage};
use crate::wire::sendme::Sendme;
use crate::wire::Command;

/// The circuit and the position in which a message has come.
struct Spot {
    id: Id,
    tag: u64,
    place: Place,
    position: Position,
}

impl Engine {
    /// The second step for a message of a stream that is not DATA, where the first step would take DATA. None when
    /// nothing was done.
    #[inline(always)]
    pub fn receive_other_quick<const WATCHED: bool>(
        &mut self,
        now: Nanos,
        id: Id,
        message: &impl Fields,
    ) -> Option<Verdict> {
        if !self.enter_quick::<WATCHED>(now) {
            return None;
        }
        let (command, stream_id) = (message.command(), message.stream_id());
        let circuit = self.circuits.get_mut(id)?;
        if !circuit.config.plain.is(message.hop()) || !command.is_multiplexed() {
            return None;
        }
        let verdict = Verdict::of(VerdictKind::Deliver, id, circuit.config.tag);
        match circuit.place {
            Place::Alone => {
                circuit.note_stream(command, stream_id);
                Some(verdict)
            }
            Place::Leg { set, ix } if stream_id != 0 => {
                let (number, _) = self.sets.get_mut(set)?.arrive_quick(ix, now)?;
                if WATCHED && self.wants(Class::Messages) {
                    self.note_in_order_here(set, id, number, command);
                }
                Some(Verdict { number, ..verdict })
            }
            Place::Leg { .. } | Place::Away | Place::Closing => None,
        }
    }

    /// The last step of receiving, for all other messages, and for any message when something is due or the time is not
    /// the latest. `cell_digest` gives the digest of the message's cell, or why there is none; it is called only on
    /// circuits that circflow runs.
    pub fn receive_long<'t>(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
        cell_digest: impl FnOnce() -> Result<&'t [u8], &'static str>,
    ) -> Result<Verdict, Error> {
        if self.runs(id) {
            let cell_digest = cell_digest().map_err(|why| self.invalid(why))?;
            self.enter_for_circuits(now, std::iter::once(id))?;
            self.check_drained()?;
            return self.receive_by_route(id, message, cell_digest);
        }
        if now >= self.time.alarms.stop_unwatched() || now != self.time.clock.latest() {
            let now = self.enter_for_circuits(now, std::iter::once(id))?;
            // Perhaps only what was due kept the first two steps from taking the message.
            match self.receive_entered::<true>(now, id, message) {
                Step::Done(verdict) => return Ok(verdict),
                Step::OnLeg(_) => return self.receive_sequenced(id, message, true),
                Step::Switch(_) => return self.receive_on_leg::<true>(id, message),
                Step::Run | Step::Watched | Step::DataOnLeg | Step::Other => {}
            }
        }
        self.receive_by_route(id, message, &[])
    }

    /// Finds the route of a message, tells padders of the message, and takes it along the route.
    fn receive_by_route(&mut self, id: Id, message: &Message<'_>, cell_digest: &[u8]) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let position = circuit.position(message.hop);
        if !position.by_host && !circuit.config.hops.has(message.hop) {
            return Err(self.invalid("the circuit has no such hop to receive from"));
        }
        let spot = Spot { id, tag: circuit.config.tag, place: circuit.place, position };
        let route = match route(&position, message.command, message.stream_id) {
            Ok(route) => route,
            Err(fault) => return Err(self.fault(id, fault)),
        };
        if circuit.padding.is_some() || message.command.is_about_padding() {
            if let Admitted::Consumed(verdict) = self.receive_padding(now, id, message)? {
                return Ok(verdict);
            }
        }
        if message.command == Command::DATA && position.runs_streams {
            self.acknowledge(id, message.hop, cell_digest);
        }
        self.follow(route, now, &spot, message)
    }

    /// Takes a message along its route.
    #[inline]
    fn follow(&mut self, route: Route, now: Nanos, spot: &Spot, message: &Message<'_>) -> Result<Verdict, Error> {
        let &Spot { id, tag, place, position } = spot;
        let verdict = Verdict::of(VerdictKind::Deliver, id, tag);
        match (route, place) {
            (Route::Controller, Place::Leg { .. }) if message.command == Command::CONFLUX_SWITCH => {
                self.receive_on_leg::<true>(id, message)
            }
            (Route::Controller, Place::Leg { .. }) => self.receive_sequenced(id, message, position.by_host),
            (Route::Controller, _) => self.cross_to_home(id, message, !position.by_host && is_flow(message.command)),
            (Route::Handshake, _) => self.receive_conflux(now, id, message),
            (Route::Streams, _) => {
                self.mark_streams(id);
                self.write_stream(now, Owner::Circuit(id), id, &incoming(message), verdict)
            }
            (Route::Sendme, _) => match self.receive_sendme(now, id, message) {
                Ok(()) => Ok(Verdict { kind: VerdictKind::Consumed, ..verdict }),
                Err(fault) => Err(self.fault(id, fault)),
            },
            (Route::RefuseDirectory, Place::Away) if position.at_join_point => {
                self.refuse_directory_away(id, message.stream_id)
            }
            (Route::RefuseDirectory, _) if position.by_host => Ok(Verdict::refuse_directory(id, tag)),
            (Route::RefuseDirectory, _) => {
                let owner = match place {
                    Place::Leg { set, .. } if position.at_join_point => Owner::Set(set),
                    _ => Owner::Circuit(id),
                };
                self.refuse_stream(owner, message.hop, message.stream_id, END_NOT_DIRECTORY, now);
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            (Route::Host, _) => {
                if let (Place::Alone, Some(circuit)) = (place, self.circuits.get_mut(id)) {
                    circuit.note_stream(message.command, message.stream_id);
                }
                Ok(verdict)
            }
        }
    }

    /// Takes a multiplexed message on a leg that the first two steps have not looked at.
    fn receive_sequenced(&mut self, id: Id, message: &Message<'_>, by_host: bool) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let (set, ix) = self.leg(id)?;
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        let Some((number, tag)) = state.arrive_quick(ix, now) else {
            return if by_host {
                self.receive_on_leg::<true>(id, message)
            } else {
                self.arrive_with_streams::<true>(id, message)
            };
        };
        let verdict = Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, tag) };
        if self.wants(Class::Messages) {
            self.note_in_order(set, id, number, message.command);
        }
        if by_host {
            return Ok(verdict);
        }
        self.write_stream(now, Owner::Set(set), id, &incoming(message), verdict)
    }

    /// [`Engine::arrive`] on a leg that circflow runs: a message whose turn has come goes to its stream.
    pub(super) fn arrive_with_streams<const WATCHED: bool>(
        &mut self,
        id: Id,
        message: &Message<'_>,
    ) -> Result<Verdict, Error> {
        // A message that only circflow reads is no token of the host's.
        let is_ours = is_flow(message.command);
        let message = &Message { token: message.token.filter(|_| !is_ours), ..*message };
        let Arrived { arrival, set, tag } = self.arrive::<WATCHED>(id, message)?;
        match arrival {
            Arrival::Held(number) => {
                let kind = if is_ours { VerdictKind::Consumed } else { VerdictKind::Held };
                Ok(Verdict { number, ..Verdict::of(kind, id, tag) })
            }
            Arrival::InOrder(number) => {
                let verdict = Verdict { number, ready: true, ..Verdict::of(VerdictKind::Deliver, id, tag) };
                self.write_stream(self.time.clock.latest(), Owner::Set(set), id, &incoming(message), verdict)
            }
        }
    }

    /// Counts DATA that came; when a SENDME is due, queues it at once and on the same leg (SEN-1).
    pub(super) fn acknowledge(&mut self, id: Id, hop: u8, tag: &[u8]) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.end(hop).acks.data() {
            self.queue_sendme(id, hop, tag);
        }
    }

    /// Queues a SENDME that acknowledges the cell with this digest.
    pub(super) fn queue_sendme(&mut self, circuit: Id, hop: u8, digest: &[u8]) {
        let mut kept = [0; 20];
        let len = digest.len().min(kept.len());
        kept[..len].copy_from_slice(&digest[..len]);
        self.out.queue.push(Queued::Sendme { circuit, hop, digest: kept, len: len as u8 });
    }

    /// Takes a SENDME for one of our windows.
    fn receive_sendme(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<(), Fault> {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return Ok(()) };
        let sendme = Sendme::decode(message.body).map_err(|_| Fault::BadSendme)?;
        let edge = &reactor.backward.back;
        let channel = ChannelState { blocked: !edge.is_writable(), queued: edge.waiting() };
        let end = reactor.ends.find(message.hop).ok_or(Fault::BadSendme)?;
        let now = self.time.clock.until(end.window.oldest_sent_at().unwrap_or(now), now);
        end.window.handle_sendme(now, &sendme, channel).map_err(|_| Fault::BadSendme)?;
        if self.events.wants(Class::Windows) {
            note_sendme(&mut self.events, self.time.clock.latest(), id, message.hop, &end.window);
        }
        self.counters.totals.sendmes_received += 1;
        self.room_changed(id);
        Ok(())
    }
}

#[cold]
#[inline(never)]
fn note_sendme(events: &mut Events, now: Nanos, circuit: Id, hop: u8, window: &Window) {
    events.note_here(
        now,
        Event::SendmeReceived {
            circuit,
            hop,
            cwnd: window.cwnd(),
            in_flight: window.inflight(),
            rtt: window.rtt().unwrap_or(0),
            slow_start: window.in_slow_start().into(),
        },
    );
}

/// True for XOFF and XON, which only circflow reads on circuits that it runs.
fn is_flow(command: Command) -> bool {
    matches!(command, Command::XOFF | Command::XON)
}

fn incoming<'a>(message: &Message<'a>) -> StreamMessage<'a> {
    StreamMessage {
        command: message.command,
        stream_id: message.stream_id,
        hop: message.hop,
        len: message.body.len() as u16,
        body: message.body,
    }
}
