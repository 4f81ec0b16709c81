//! The long way of receiving: the table of routes is asked, and the message goes where it says.

use crate::base::{Id, Nanos};
use crate::conflux::{Arrival, Fault, LegIx};
use crate::congestion::ChannelState;
use crate::engine::out::insn::Queued;
use crate::engine::out::verdict::END_NOT_DIRECTORY;
use crate::engine::receive::Step;
use crate::engine::{Admitted, Blocked, Circuit, Engine, Error, Place, Verdict, VerdictKind};
use crate::message::{cost_of, Message};
use crate::reactor::{route, Owner, Route, StreamMessage};
use crate::wire::command::STREAM_NEEDED;
use crate::wire::sendme::Sendme;
use crate::wire::Command;

impl Engine {
    /// A message was recognised on a circuit that we run. `digest` is that of its cell.
    pub fn receive_run(&mut self, now: Nanos, id: Id, message: &Message<'_>, tag: &[u8]) -> Result<Verdict, Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.check_drained()?;
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        if !circuit.config.hops.has(message.hop) {
            return Err(self.invalid("the circuit has no such hop to receive from"));
        }
        let (position, host_tag, place) = (circuit.position(message.hop), circuit.config.tag, circuit.place);
        let route = match route(&position, message.command, message.stream_id) {
            Ok(route) => route,
            Err(fault) => return Err(self.fault(id, fault)),
        };
        if circuit.padding.is_some() || Command::is_about_padding(message.command) {
            if let Admitted::Consumed(verdict) = self.receive_padding(now, id, message)? {
                return Ok(verdict);
            }
        }
        if message.command == Command::DATA && position.runs_streams {
            self.acknowledge(id, message.hop, tag);
        }
        let deliver = Verdict::of(VerdictKind::Deliver, id, host_tag);
        self.follow(route, now, &deliver, message, place, position.at_join_point)
    }

    /// Takes a message the way that was found for it.
    #[inline]
    fn follow(
        &mut self,
        route: Route,
        now: Nanos,
        deliver: &Verdict,
        message: &Message<'_>,
        place: Place,
        at_join_point: bool,
    ) -> Result<Verdict, Error> {
        let (id, verdict) = (deliver.circuit, *deliver);
        match route {
            Route::Controller if place == Place::Away => {
                let is_ours = matches!(message.command, Command::XOFF | Command::XON);
                self.receive_away(id, message, is_ours)
            }
            Route::Controller if message.command == Command::CONFLUX_SWITCH => self.receive_on_leg(id, message),
            Route::Controller => self.receive_sequenced_run(now, id, message),
            Route::Streams => {
                self.mark_streams(id);
                let incoming = incoming(message);
                self.write_stream(now, Owner::Circuit(id), id, &incoming, verdict)
            }
            Route::Sendme => match self.receive_sendme(now, id, message) {
                Ok(()) => Ok(Verdict { kind: VerdictKind::Consumed, ..verdict }),
                Err(fault) => Err(self.fault(id, fault)),
            },
            Route::Handshake => self.receive_conflux(now, id, message),
            Route::RefuseDirectory if place == Place::Away && at_join_point => {
                self.refuse_directory_away(id, message.stream_id)
            }
            Route::RefuseDirectory => {
                let owner = match place {
                    Place::Leg { set, .. } if at_join_point => Owner::Set(set),
                    _ => Owner::Circuit(id),
                };
                self.refuse_stream(owner, message.hop, message.stream_id, END_NOT_DIRECTORY, now);
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Route::Host => {
                if message.stream_id != 0 {
                    self.mark_streams(id);
                }
                Ok(verdict)
            }
        }
    }

    /// A multiplexed message on a leg: to the controller, and from there, in order, to its stream.
    pub(in crate::engine) fn receive_sequenced_run(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
    ) -> Result<Verdict, Error> {
        let (set, ix) = self.leg(id)?;
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        // What only we read is kept by us, not by the host.
        let is_flow = matches!(message.command, Command::XOFF | Command::XON);
        let message = &Message { token: message.token.filter(|_| !is_flow), ..*message };
        let tag = state.tag(ix);
        let verdict = match state.arrive_next(ix, now) {
            Some(number) => Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, tag) },
            None if !self.held.store.fits(cost_of(message)) && !state.is_in_order(ix) => {
                // Somebody goes first.
                return match self.room_for(set, cost_of(message).into()) {
                    Ok(()) => self.receive_sequenced_run(now, id, message),
                    Err(fault) => Err(self.fault(id, fault)),
                };
            }
            None => match state.arrive(ix, now, message, &mut self.held.store) {
                Ok(Arrival::Held(number)) => {
                    if state.holds_more() {
                        self.holds_more(set);
                    }
                    let kind = if is_flow { VerdictKind::Consumed } else { VerdictKind::Held };
                    return Ok(Verdict { number, ..Verdict::of(kind, id, tag) });
                }
                Ok(Arrival::InOrder(number)) => {
                    state.mark_ready(&mut self.out.effects);
                    self.apply_effects(set);
                    Verdict { number, ready: true, ..Verdict::of(VerdictKind::Deliver, id, tag) }
                }
                Err(fault) => return Err(self.fault(id, fault)),
            },
        };
        self.write_stream(now, Owner::Set(set), id, &incoming(message), verdict)
    }

    /// DATA came: every so often a SENDME is owed, at once and on the same leg (SEN-1).
    pub(in crate::engine) fn acknowledge(&mut self, id: Id, hop: u8, tag: &[u8]) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.end(hop).acks.data() {
            let mut kept = [0; 20];
            let len = tag.len().min(kept.len());
            kept[..len].copy_from_slice(&tag[..len]);
            self.out.queue.push(Queued::Sendme { circuit: id, hop, digest: kept, len: len as u8 });
        }
    }

    /// SENDME came for one of our windows.
    fn receive_sendme(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<(), Fault> {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return Ok(()) };
        let sendme = Sendme::decode(message.body).map_err(|_| Fault::BadSendme)?;
        let edge = &reactor.backward.back;
        let channel = ChannelState { blocked: !edge.is_writable(), queued: edge.waiting() };
        let end = reactor.ends.find(message.hop).ok_or(Fault::BadSendme)?;
        let now = self.time.clock.until(end.window.oldest_sent_at().unwrap_or(now), now);
        end.window.handle_sendme(now, &sendme, channel).map_err(|_| Fault::BadSendme)?;
        self.room_changed(id);
        Ok(())
    }

    /// The third part: anything else, and anything at a time when something is due, or that is past.
    /// `cell_digest` is that of the cell it came in, or what is wrong with it; only asked for on circuits that we run.
    pub fn receive_other<'t>(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
        cell_digest: impl FnOnce() -> Result<&'t [u8], &'static str>,
    ) -> Result<Verdict, Error> {
        if self.runs(id) {
            let cell_digest = cell_digest().map_err(|why| self.invalid(why))?;
            return self.receive_run(now, id, message, cell_digest);
        }
        if now >= self.stop() || now != self.time.clock.latest() {
            let now = self.enter_for_circuits(now, std::iter::once(id))?;
            return match self.receive_entered(now, id, message.command, message.hop, message.stream_id) {
                Step::Done(verdict) => Ok(verdict),
                Step::OnLeg => self.receive_on_leg(id, message),
                Step::Run | Step::Other => self.receive_rest(now, id, message),
            };
        }
        self.receive_rest(now, id, message)
    }

    fn receive_rest(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else {
            return Err(self.circuits.reason(id).into());
        };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let (position, place, tag) = (circuit.position(message.hop), circuit.place, circuit.config.tag);
        let route = match route(&position, message.command, message.stream_id) {
            Ok(route) => route,
            Err(fault) => return Err(self.fault(id, fault)),
        };
        if circuit.padding.is_some() || message.command.is_about_padding() {
            if let Admitted::Consumed(verdict) = self.receive_padding(now, id, message)? {
                return Ok(verdict);
            }
        }
        match (route, place) {
            (Route::Controller, Place::Leg { set, ix }) => self.receive_on_padded_leg(now, id, set, ix, message),
            (Route::Controller, _) => self.receive_away(id, message, false),
            (Route::Handshake, _) => self.receive_conflux(now, id, message),
            (Route::RefuseDirectory, Place::Away) if position.at_join_point => {
                self.refuse_directory_away(id, message.stream_id)
            }
            (Route::RefuseDirectory, _) => Ok(Verdict::refuse_directory(id, tag)),
            (Route::Host | Route::Streams | Route::Sendme, _) => {
                // What circflow must remember of a plain circuit is whether it may still become a leg (R9).
                let is_of_stream = message.stream_id != 0 || message.command.traits() & STREAM_NEEDED != 0;
                if place == Place::Alone && is_of_stream {
                    self.mark_streams(id);
                }
                Ok(Verdict::of(VerdictKind::Deliver, id, tag))
            }
        }
    }

    /// On a leg with padders: what the first two steps do for one without.
    fn receive_on_padded_leg(
        &mut self,
        now: Nanos,
        id: Id,
        set: Id,
        ix: LegIx,
        message: &Message<'_>,
    ) -> Result<Verdict, Error> {
        let is_switch = message.command == Command::CONFLUX_SWITCH;
        let next = self.sets.get_mut(set).filter(|_| !is_switch).and_then(|state| state.arrive_next(ix, now));
        match (next, self.circuits.get(id)) {
            (Some(number), Some(circuit)) => {
                Ok(Verdict { number, ..Verdict::of(VerdictKind::Deliver, id, circuit.config.tag) })
            }
            _ => self.receive_on_leg(id, message),
        }
    }
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
