//! Circuits that circflow runs: what comes in is handed to the reactors' parts, and what follows is queued.

use super::insn::Queued;
use super::verdict::END_NOT_DIRECTORY;
use super::{Admitted, Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::base::{Id, Nanos};
use crate::conflux::{Arrival, Cause, Fault, Role};
use crate::congestion::ChannelState;
use crate::message::cost_of;
use crate::message::Message;
use crate::reactor::{part, route, Edge, Heed, Offer, Owner, Position, Route, Side, StreamMessage};
use crate::wire::sendme::Sendme;
use crate::wire::Command;

/// Figures of a circuit that circflow runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CircuitStats {
    /// Congestion window towards the join point, 0 before the first DATA.
    pub cwnd: u64,
    /// DATA cells in flight.
    pub inflight: u64,
    /// Smoothed round-trip time, 0 for none.
    pub rtt: Nanos,
    /// Congestion control is in slow start.
    pub slow_start: bool,
    /// Streams that are the circuit's own.
    pub streams: u32,
    /// Of the two edges, [`Side::Back`] first.
    pub edges: [EdgeStats; 2],
}

/// Figures of an edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeStats {
    /// Cells that wait.
    pub waiting: u32,
    /// The most that ever did.
    pub waiting_peak: u32,
    /// Cells that went on.
    pub passed: u64,
    /// The channel takes cells.
    pub writable: bool,
    /// The source was told to pause.
    pub paused: bool,
}

impl EdgeStats {
    fn of(edge: &Edge) -> EdgeStats {
        EdgeStats {
            waiting: edge.waiting(),
            waiting_peak: edge.waiting_peak(),
            passed: edge.passed(),
            writable: edge.is_writable(),
            paused: edge.is_paused(),
        }
    }
}

impl Circuit {
    /// Circflow runs it, and knows its streams.
    pub(super) fn runs_streams(&self) -> bool {
        self.reactor.is_some() && self.config.flags.has(CircuitFlags::VEGAS)
    }

    pub(super) fn position(&self, hop: u8) -> Position {
        let (flags, is_last) = (self.config.flags, self.config.hops.ends_at(hop));
        let extended = flags.has(CircuitFlags::EXTENDED);
        // The relays on the way to whom a service answers open nothing.
        let answers = flags.has(CircuitFlags::SERVICE) && is_last;
        Position {
            part: part(self.config.role == Role::Client, answers, extended),
            is_leg: self.place.leg().is_some() || self.place == Place::Away,
            at_join_point: is_last,
            leaky_pipe: flags.has(CircuitFlags::LEAKY_PIPE),
            runs_streams: self.runs_streams(),
            by_host: self.reactor.is_none(),
        }
    }
}

impl Engine {
    /// True for a circuit that we run.
    #[inline]
    pub fn runs(&self, id: Id) -> bool {
        self.running > 0 && self.circuits.get(id).is_some_and(|circuit| circuit.reactor.is_some())
    }

    /// A cell came that is not for us, from one side, and goes on to the other.
    #[inline]
    pub fn pass(&mut self, now: Nanos, id: Id, from: Side, cell: &Message<'_>) -> Result<Verdict, Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.pass_at(now, id, from, cell)
    }

    /// The common case of [`Engine::pass`]: nothing is due, and the cell goes through. No answer means that nothing was
    /// done.
    #[inline(always)]
    pub fn pass_next(&mut self, now: Nanos, id: Id, from: Side) -> Option<Verdict> {
        if !self.enter_quick(now) {
            return None;
        }
        let Some(Circuit { place: Place::Alone, config, padding: None, reactor: Some(reactor), .. }) =
            self.circuits.get_mut(id)
        else {
            return None;
        };
        let goes_on = config.flags.has(CircuitFlags::EXTENDED) && config.role == Role::Exit;
        if !goes_on || !reactor.edge(from.opposite()).pass_through() {
            return None;
        }
        self.padding.purse.sent(u64::from(from == Side::Next));
        Some(Verdict::of(VerdictKind::Forward, id, config.tag))
    }

    /// The other common case, after [`Engine::pass_next`]: nothing is due, and the cell has to wait, on a circuit that
    /// has held something before. No answer means that nothing was done.
    #[inline(always)]
    pub fn keep_next(&mut self, now: Nanos, id: Id, from: Side, cell: &Message<'_>) -> Option<Verdict> {
        let is_full = self.out.queue.len() >= self.settings.instructions_max || !self.held.store.fits(cost_of(cell));
        if is_full || !self.goes_on(now) {
            return None;
        }
        let Some(Circuit {
            place: Place::Alone,
            config,
            padding: None,
            reactor: Some(reactor),
            away: None,
            standing: Some(standing),
        }) = self.circuits.get_mut(id)
        else {
            return None;
        };
        let goes_on = config.flags.has(CircuitFlags::EXTENDED) && config.role == Role::Exit;
        let edge = reactor.edge(from.opposite());
        if !goes_on || !edge.keeps(&self.settings.marks) {
            return None;
        }
        let heed = edge.keep(cell, &self.settings.marks, &mut self.held.store, now)?;
        let tag = config.tag;
        standing.grew(reactor.held_bytes(), now);
        if heed != Heed::No {
            self.heed(id, from, heed);
        }
        Some(Verdict::of(VerdictKind::Held, id, tag))
    }

    #[inline(always)]
    fn pass_at(&mut self, now: Nanos, id: Id, from: Side, cell: &Message<'_>) -> Result<Verdict, Error> {
        self.check_drained()?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let (tag, flags) = (circuit.config.tag, circuit.config.flags);
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        if circuit.config.role == Role::Client {
            return Err(Misuse::Role.into());
        }
        if !flags.has(CircuitFlags::EXTENDED) {
            return Err(self.fault(id, Fault::Unrecognised));
        }
        if let Some(padding) = &mut circuit.padding {
            if from == Side::Back {
                padding.received(0, false, now);
                self.time.alarms.arm_padding(id, padding.next());
            }
        }
        let to = from.opposite();
        match reactor.edge(to).offer(&self.settings.marks) {
            Offer::Through => {
                if to == Side::Back {
                    self.note_sent(id, 0, now);
                }
                Ok(Verdict::of(VerdictKind::Forward, id, tag))
            }
            Offer::Overrun => Err(self.fault(id, Fault::EdgeOverrun)),
            Offer::Keep => {
                if !self.held.store.budget().has_room(cost_of(cell).into()) {
                    return self.make_room_at(id, to, cell, now);
                }
                let Some(heed) = reactor.edge(to).keep(cell, &self.settings.marks, &mut self.held.store, now) else {
                    return Err(self.fault(id, Fault::EngineMemory));
                };
                circuit.grew(id, &self.held.ledger, now);
                if heed != Heed::No {
                    self.heed(id, from, heed);
                }
                Ok(Verdict::of(VerdictKind::Held, id, tag))
            }
        }
    }

    /// A cell has to wait at an edge, and others have to go for it.
    #[cold]
    #[inline(never)]
    fn make_room_at(&mut self, id: Id, to: Side, cell: &Message<'_>, now: Nanos) -> Result<Verdict, Error> {
        if let Err(fault) = self.room_for(id, cost_of(cell).into()) {
            return Err(self.fault(id, fault));
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(Misuse::NotRun.into()) };
        let (tag, Some(reactor)) = (circuit.config.tag, &mut circuit.reactor) else {
            return Err(Misuse::NotRun.into());
        };
        match reactor.edge(to).keep(cell, &self.settings.marks, &mut self.held.store, now) {
            None => Err(self.fault(id, Fault::EngineMemory)),
            Some(heed) => {
                circuit.grew(id, &self.held.ledger, now);
                self.heed(id, to.opposite(), heed);
                Ok(Verdict::of(VerdictKind::Held, id, tag))
            }
        }
    }

    /// Tells the source of an edge to pause or to go on.
    pub(super) fn heed(&mut self, circuit: Id, source: Side, heed: Heed) {
        match heed {
            Heed::No => {}
            Heed::Pause => self.out.queue.push(Queued::Heed { circuit, side: source, pause: true }),
            Heed::Unpause => self.out.queue.push(Queued::Heed { circuit, side: source, pause: false }),
        }
    }

    /// The channel on one side takes cells, or none.
    pub fn set_writable(&mut self, now: Nanos, id: Id, side: Side, writable: bool) -> Result<(), Error> {
        self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let is_client = circuit.config.role == Role::Client;
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        if is_client && side == Side::Next {
            return Err(self.invalid("a client's circuit has one channel, at its back"));
        }
        if reactor.edge(side).set_full(!writable) {
            self.out.queue.push(Queued::Edge { circuit: id, side });
        }
        if side == Side::Back {
            self.room_changed(id);
        }
        Ok(())
    }

    /// No relay follows any more: what waited for it is nobody's, and its source may go on.
    #[cold]
    pub(super) fn cut_next(&mut self, id: Id) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        let (lane, heed) = reactor.edge(Side::Next).cut();
        self.leave_behind(lane);
        self.shrank(id);
        self.heed(id, Side::Back, heed);
    }

    /// Padding holds cells back on a circuit that we run, or does so no longer.
    pub(super) fn shut_edge(&mut self, id: Id, shut: bool) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.edge(Side::Back).set_shut(shut) {
            self.out.queue.push(Queued::Edge { circuit: id, side: Side::Back });
        }
        self.room_changed(id);
    }

    /// One cell that waits may pass, although padding holds cells back.
    pub(super) fn spare_edge(&mut self, id: Id) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.edge(Side::Back).spare() {
            self.out.queue.push(Queued::Edge { circuit: id, side: Side::Back });
        }
    }

    /// The window or the edge of a circuit has changed: its set, or its host, may want to know.
    pub(super) fn room_changed(&mut self, id: Id) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let (place, hop, runs) = (circuit.place, circuit.config.hops.last(), circuit.runs_streams());
        let Some(reactor) = circuit.reactor.as_mut().filter(|_| runs) else { return };
        match place {
            Place::Leg { set, ix } => {
                let report = reactor.report(hop);
                if let Some(state) = self.sets.get_mut(set) {
                    state.report(ix, &report, &mut self.out.effects);
                }
                if !self.out.effects.is_empty() {
                    self.apply_effects(set);
                }
                self.resume_circuit(id);
            }
            Place::Alone => self.resume_circuit(id),
            Place::Away => {
                self.tell_changed(id);
                self.resume_circuit(id);
            }
            Place::Closing => {}
        }
    }

    /// Tells a host that waits for room on a circuit that there is some.
    pub(super) fn resume_circuit(&mut self, id: Id) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.resumes() {
            self.out.queue.push(Queued::MaySendCircuit { circuit: id });
        }
    }

    /// The digest of a DATA cell that was wanted.
    pub fn add_digest(&mut self, id: Id, hop: u8, tag: &[u8]) -> Result<(), Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        let Some(end) = reactor.ends.find(hop) else { return Err(Misuse::NotAsked.into()) };
        end.window.add_digest(tag).map_err(|_| Misuse::NotAsked.into())
    }

    /// The host wants an end of a circuit (R13).
    pub fn close_circuit(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        let leg = circuit.place.leg();
        self.close(id, leg.map_or(Id::NONE, |(set, _)| set), Cause::Asked);
        if let Some((set, ix)) = leg {
            self.remove_leg(set, ix, Cause::LegLost);
        }
        Ok(())
    }

    /// Figures of a circuit that we run.
    pub fn circuit_stats(&mut self, id: Id) -> Result<CircuitStats, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let hop = circuit.config.hops.last();
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        let mut stats = CircuitStats {
            streams: reactor.streams.as_ref().map_or(0, |streams| streams.len() as u32),
            edges: [EdgeStats::of(reactor.edge_at(Side::Back)), EdgeStats::of(reactor.edge_at(Side::Next))],
            ..CircuitStats::default()
        };
        if let Some(end) = reactor.ends.find(hop) {
            stats.cwnd = end.window.cwnd().into();
            stats.inflight = end.window.inflight().into();
            stats.rtt = end.window.rtt().unwrap_or(0);
            stats.slow_start = end.window.in_slow_start();
        }
        Ok(stats)
    }

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
    pub(super) fn receive_sequenced_run(
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
    pub(super) fn acknowledge(&mut self, id: Id, hop: u8, tag: &[u8]) {
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

    /// A cell was queued: DATA counts in the window of its hop. True when its digest is wanted.
    #[inline]
    pub(super) fn count_data(&mut self, id: Id, hop: u8, command: Command, now: Nanos) -> bool {
        if command != Command::DATA || self.running == 0 {
            return false;
        }
        match self.circuits.get_mut(id) {
            Some(circuit) if circuit.runs_streams() => {
                if let Some(away) = &mut circuit.away {
                    away.included += 1;
                }
                circuit.reactor.as_mut().is_some_and(|reactor| reactor.end(hop).window.sent_data(now))
            }
            _ => false,
        }
    }

    /// A circuit has streams from now on (R9).
    pub(super) fn mark_streams(&mut self, id: Id) {
        if let Some(circuit) = self.circuits.get_mut(id) {
            circuit.config.flags.add(CircuitFlags::STREAMS);
        }
    }

    /// What a circuit that goes has kept at its edges, and its streams.
    pub(super) fn drop_reactor(&mut self, circuit: &mut Circuit) {
        let Some(mut reactor) = circuit.reactor.take() else { return };
        self.running -= 1;
        for side in [Side::Back, Side::Next] {
            let lane = reactor.edge(side).take_rest();
            self.leave_behind(lane);
        }
        if let Some(streams) = &reactor.streams {
            self.drop_streams(streams);
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
