//! Streams of circuits and sets that circflow runs: reading, writing, XOFF and XON.

use super::insn::Queued;
use super::words::FULL;
use super::{Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::base::{limits, Arena, Id, Nanos};
use crate::conflux::set::Refusal;
use crate::conflux::{Fault, Role};
use crate::congestion::flow::{May, Say};
use crate::congestion::Params;
use crate::message::cost_of;
use crate::message::{Lane, Message};
use crate::reactor::stream::Said;
use crate::reactor::{
    Controller, Flow, Known, Owner, Part, Past, Phase, Rules, Stream, StreamMessage, Streams, Unread, Write,
};
use crate::wire::flow::{Xoff, Xon};
use crate::wire::Command;

/// What a stream is opened with.
#[derive(Clone, Copy, Debug)]
pub struct StreamConfig {
    /// The host's.
    pub tag: u64,
    /// What the protocol calls it.
    pub stream_id: u16,
    /// The hop where it ends.
    pub hop: u8,
    /// Lower goes first.
    pub priority: u8,
}

/// Figures of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamStats {
    /// Bytes that the host has not reported as flushed.
    pub buffered: u32,
    /// How often each end has said XOFF and XON, and the most that was ever buffered.
    pub said: Said,
    /// The other end wants nothing now.
    pub stopped: bool,
}

impl Engine {
    /// Opens a stream of our own, before its BEGIN goes out.
    pub fn open_stream(&mut self, now: Nanos, owner: Owner, config: &StreamConfig) -> Result<Id, Error> {
        let now = self.enter(now);
        if config.stream_id == 0 {
            return Err(self.invalid("a stream has no id 0"));
        }
        match owner {
            Owner::Set(set) => {
                let state = self.sets.lookup(set)?;
                if state.params().is_none() {
                    return Err(Misuse::NotRun.into());
                }
                if config.hop != state.join_hop() {
                    return Err(self.invalid("a set's streams end at its join point"));
                }
            }
            Owner::Circuit(id) => {
                let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
                match circuit.place {
                    Place::Closing => return Err(Blocked::Gone.into()),
                    Place::Leg { .. } | Place::Away if circuit.config.hops.ends_at(config.hop) => {
                        return Err(Misuse::InSet.into());
                    }
                    _ if !circuit.runs_streams() => return Err(Misuse::NotRun.into()),
                    _ if !circuit.config.hops.has(config.hop) => {
                        return Err(self.invalid("the circuit has no such hop to open a stream to"));
                    }
                    _ => circuit.config.flags.add(CircuitFlags::STREAMS),
                }
            }
        }
        let Some(side) = side(&mut self.sets, &mut self.circuits, owner, config.hop) else {
            return Err(Misuse::NotRun.into());
        };
        let streams = side.streams.get_or_insert_with(Box::default);
        // One that is remembered has its id still: what is late for it is not for another.
        if streams.known(config.hop, config.stream_id, now) != Known::Never {
            return Err(Misuse::StreamExists.into());
        }
        if streams.len() >= self.settings.streams_max as usize {
            return Err(Blocked::Full.into());
        }
        let flow = Flow { params: side.params, is_relay: side.part.is_relay(), bytes_max: self.settings.stream_bytes_max };
        let mut stream = Stream::new(owner, config.hop, config.stream_id, &flow);
        (stream.tag, stream.priority) = (config.tag, config.priority);
        let before = streams.ended_bytes();
        if !side.part.is_relay() {
            // What it will be remembered by is there from the beginning: ending it must not fail.
            if !self.held.store.may_hold(streams.cost_of_memory(config.hop, config.stream_id)) {
                return Err(Blocked::Full.into());
            }
            stream.phase = Phase::Unasked;
        }
        let id = self.streams.insert(stream).map_err(|_| Blocked::Full)?;
        self.streams.get(id).into_iter().for_each(|stream| streams.insert(stream, id));
        if !side.part.is_relay() {
            streams.keep_place(config.hop, config.stream_id);
        }
        self.held.store.weigh(before, streams.ended_bytes());
        Ok(id)
    }

    /// Gives a stream another priority.
    pub fn set_priority(&mut self, id: Id, priority: u8) -> Result<(), Error> {
        let owner = self.streams.lookup(id)?.owner;
        self.with_streams(owner, |streams, arena| streams.set_priority(arena, id, priority));
        Ok(())
    }

    /// The host has something to send on a stream, or has nothing any more.
    pub fn set_readable(&mut self, id: Id, readable: bool) -> Result<(), Error> {
        let owner = self.streams.lookup(id)?.owner;
        self.with_streams(owner, |streams, arena| streams.set_readable(arena, id, readable));
        Ok(())
    }

    /// The stream that is to be read next, and what the host calls it; none when none has anything it may send.
    pub fn next_stream(&mut self, now: Nanos, owner: Owner) -> Result<Option<(Id, u64)>, Error> {
        let now = self.enter(now);
        self.check_data(owner)?;
        let mut wakes = std::mem::take(&mut self.out.wakes);
        let wake = |id, at| wakes.push((id, at));
        let found = match owner {
            Owner::Set(set) => match self.sets.get_mut(set).and_then(|state| state.streams.as_mut()) {
                // Whether a leg has room has been asked.
                Some(streams) => streams.read(&mut self.streams, now, |_| true, wake),
                None => Err(Unread::Nothing),
            },
            Owner::Circuit(id) => match self.circuits.get_mut(id).and_then(|circuit| circuit.reactor.as_mut()) {
                Some(reactor) => reactor.read(&mut self.streams, now, wake),
                None => Err(Unread::Nothing),
            },
        };
        for (id, at) in wakes.drain(..) {
            self.time.alarms.arm_stream(id, at);
        }
        self.out.wakes = wakes;
        match found {
            Ok(id) => Ok(self.streams.get(id).map(|stream| (id, stream.tag))),
            Err(Unread::Nothing) => Ok(None),
            Err(Unread::NoRoom) => Err(self.no_room(FULL)),
        }
    }

    /// Whether DATA of this owner could go out now. If not, the host is told when.
    fn check_data(&mut self, owner: Owner) -> Result<(), Error> {
        match owner {
            Owner::Set(set) => {
                let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
                if state.params().is_none() {
                    return Err(Misuse::NotRun.into());
                }
                match state.decide(Command::DATA) {
                    Ok(_) | Err(Refusal::Hold) => Ok(()),
                    Err(refusal) => Err(self.refused(set, refusal)),
                }
            }
            Owner::Circuit(id) => {
                let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
                let runs = circuit.runs_streams();
                let Some(reactor) = circuit.reactor.as_mut().filter(|_| runs) else {
                    return Err(Misuse::NotRun.into());
                };
                if reactor.backward.takes_data() {
                    return Ok(());
                }
                reactor.backward.wait_for_edge();
                Err(self.no_room(FULL))
            }
        }
    }

    /// Sends a message of a stream. No answer means that padding holds it back: [`Engine::hold_for_stream`].
    #[inline(always)]
    pub fn send_on_stream(&mut self, now: Nanos, id: Id, command: Command, len: u16) -> Result<Option<Verdict>, Error> {
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
        let verdict = match owner {
            Owner::Set(_) if command == Command::BEGIN_DIR => return Err(Misuse::NotMultiplexed.into()),
            Owner::Set(set) => self.send_in_set(set, command, hop)?,
            Owner::Circuit(circuit) => self.send_of_circuit(now, circuit, command, hop)?,
        };
        match verdict {
            Some(verdict) => {
                self.after_sending(id, owner, command, len, true, now);
                Ok(Some(Verdict { stream: id, stream_tag: tag, ..verdict }))
            }
            None => Ok(None),
        }
    }

    /// A message of a stream that is the circuit's own.
    fn send_of_circuit(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if let (Command::DATA, Some(reactor)) = (command, &mut circuit.reactor) {
            // Padding holds its own messages; what is asked here is the window and the channel.
            if circuit.place != Place::Closing && !reactor.has_room(hop) {
                return Err(self.no_room(FULL));
            }
        }
        self.send_on_circuit(now, id, command, hop)
    }

    /// Keeps a message for which [`Engine::send_on_stream`] had no answer.
    #[cold]
    pub fn hold_for_stream(&mut self, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let now = self.time.clock.latest();
        let Some(stream) = self.streams.get(id) else { return Err(self.streams.reason(id).into()) };
        let (owner, tag) = (stream.owner, stream.tag);
        let message = &Message { hop: stream.hop, stream_id: stream.stream_id, ..*message };
        let verdict = match owner {
            Owner::Set(set) => {
                self.hold_for_set(set, message)?;
                Verdict::of(VerdictKind::Held, Id::NONE, 0)
            }
            Owner::Circuit(circuit) => self.hold_for_circuit(circuit, message)?,
        };
        self.after_sending(id, owner, message.command, message.body.len() as u16, false, now);
        Ok(Verdict { stream: id, stream_tag: tag, ..verdict })
    }

    /// DATA counts for the stream's rate. BEGIN and RESOLVE open it for the other end, once they have left. END and
    /// RESOLVED are its last: it is remembered for a while, as the other end may not know yet.
    #[inline]
    fn after_sending(&mut self, id: Id, owner: Owner, command: Command, len: u16, left: bool, now: Nanos) {
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
                let until = self.remembered_until(owner, now);
                self.with_streams(owner, |streams, arena| streams.end(arena, id, left, now, until));
            }
            _ => {}
        }
    }

    /// Until when a stream that ends here now has its id still: the longest round trip counts when it is longer than
    /// what the host says. A relay takes a client's word for which ids are free.
    fn remembered_until(&self, owner: Owner, now: Nanos) -> Option<Nanos> {
        let rtt_of = |id| {
            let reactor = self.circuits.get(id).and_then(|circuit| circuit.reactor.as_ref());
            reactor.map_or(0, |reactor| reactor.ends.max_rtt())
        };
        let (is_relay, rtt) = match owner {
            Owner::Circuit(id) => (self.circuits.get(id)?.config.role == Role::Exit, rtt_of(id)),
            Owner::Set(set) => {
                let state = self.sets.get(set)?;
                (state.part().is_relay(), state.leg_ids().map(rtt_of).max().unwrap_or(0))
            }
        };
        let memory = self.settings.stream_memory.max(rtt).min(limits::STREAM_MEMORY_MAX);
        (!is_relay).then_some(now.saturating_add(memory))
    }

    /// The host has taken a message that padding held back: it leaves.
    #[inline]
    pub(super) fn left(&mut self, set: Id, circuit: Id, hop: u8, stream_id: u16, command: Command) {
        match command {
            Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE => {
                self.stream_left(set, circuit, hop, stream_id, true);
            }
            Command::END | Command::RESOLVED => self.stream_left(set, circuit, hop, stream_id, false),
            _ => {}
        }
    }

    fn stream_left(&mut self, set: Id, circuit: Id, hop: u8, stream_id: u16, opens: bool) {
        // The last leg of a set that has been taken out has its streams.
        let is_set = self.sets.get(set).is_some();
        let owner = if is_set { Owner::Set(set) } else { Owner::Circuit(circuit) };
        let now = self.time.clock.latest();
        let Some(until) = self.remembered_until(owner, now) else { return };
        self.with_streams(owner, |streams, arena| streams.left(arena, hop, stream_id, opens, now, until));
    }

    /// The host has written bytes of a stream out.
    pub fn flushed(&mut self, now: Nanos, id: Id, bytes: u32) -> Result<(), Error> {
        let now = self.enter(now);
        let Some(stream) = self.streams.get_mut(id) else { return Err(self.streams.reason(id).into()) };
        let owner = stream.owner;
        let Some(side) = side(&mut self.sets, &mut self.circuits, owner, stream.hop) else { return Ok(()) };
        let (params, broken) = (side.params, side.clock_broken);
        let Ok(say) = stream.incoming.flushed(now, bytes, params, broken) else {
            return Err(self.invalid("more was flushed than was delivered"));
        };
        if let Some(say) = say {
            self.say(owner, id, say, now);
        }
        Ok(())
    }

    /// Figures of a stream.
    pub fn stream_stats(&self, id: Id) -> Result<StreamStats, Error> {
        let stream = self.streams.lookup(id)?;
        Ok(StreamStats { buffered: stream.incoming.buffered(), said: stream.said, stopped: stream.outgoing.stopped() })
    }

    /// A message came for a stream, in order.
    pub(super) fn write_stream(
        &mut self,
        now: Nanos,
        owner: Owner,
        circuit: Id,
        message: &StreamMessage<'_>,
        verdict: Verdict,
    ) -> Result<Verdict, Error> {
        match self.write_in(now, owner, message) {
            Ok(Write::Deliver { stream, tag, say }) => {
                if let Some(say) = say {
                    self.say(owner, stream, say, now);
                }
                Ok(Verdict { stream, stream_tag: tag, ..verdict })
            }
            Ok(Write::Last { stream, tag }) => {
                self.time.alarms.cancel_stream(stream);
                Ok(Verdict { stream_tag: tag, ..verdict })
            }
            Ok(Write::Stop { stream }) => {
                self.time.alarms.cancel_stream(stream);
                // A MAY_SEND that waits is not given any more.
                self.streams.get_mut(stream).into_iter().for_each(|stream| stream.refused |= stream.told);
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Ok(Write::Consume { resumes }) => {
                if let Some(stream) = resumes {
                    self.time.alarms.cancel_stream(stream);
                    self.wake_stream(stream);
                }
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Ok(Write::Drop) => {
                self.out.unexplained += 1;
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Ok(Write::Refuse { reason }) => {
                self.refuse_stream(owner, message.hop, message.stream_id, reason, now);
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Err(fault) => Err(match owner {
                // The streams are the set's, whatever leg brought the message.
                Owner::Set(set) => self.fault_of_set(set, fault),
                Owner::Circuit(_) => self.fault(circuit, fault),
            }),
        }
    }

    /// The part of STREAM WRITE: made with the first message that opens a stream (R3).
    pub(super) fn write_in(&mut self, now: Nanos, owner: Owner, message: &StreamMessage<'_>) -> Result<Write, Fault> {
        let opens = matches!(message.command, Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE);
        let Some(side) = side(&mut self.sets, &mut self.circuits, owner, message.hop) else {
            return Ok(Write::Consume { resumes: None });
        };
        let rules = Rules {
            part: side.part,
            params: side.params,
            streams_max: self.settings.streams_max,
            stream_bytes_max: self.settings.stream_bytes_max,
            clock_broken: side.clock_broken,
        };
        match side.streams {
            None if !opens && rules.part.is_relay() => Ok(Write::Consume { resumes: None }),
            None if !opens => Err(Fault::UnknownStream),
            streams => {
                let streams = streams.get_or_insert_with(Box::default);
                let before = streams.ended_bytes();
                let cost = streams.cost_of_memory(message.hop, message.stream_id);
                if opens && !rules.part.is_relay() && !self.held.store.may_hold(cost) {
                    return Err(Fault::EngineMemory);
                }
                let written = streams.write(&mut self.streams, owner, &rules, now, message);
                self.held.store.weigh(before, streams.ended_bytes());
                written
            }
        }
    }

    /// A stream whose rate held it back may go on.
    pub(super) fn run_stream(&mut self, index: u32) {
        if let Some((id, _)) = self.streams.at(index) {
            self.wake_stream(id);
        }
    }

    fn wake_stream(&mut self, id: Id) {
        let Some(stream) = self.streams.get(id) else { return };
        let owner = stream.owner;
        let tells = self.with_streams(owner, |streams, arena| streams.wake(arena, id));
        let Some(stream) = self.streams.get_mut(id).filter(|_| tells == Some(true)) else { return };
        // One that is still queued says it all.
        if !std::mem::replace(&mut stream.told, true) {
            self.out.queue.push(Queued::MaySendStream { stream: id });
        }
    }

    /// Says XOFF or XON for a stream.
    #[cold]
    pub(super) fn say(&mut self, owner: Owner, id: Id, say: Say, now: Nanos) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (hop, stream_id) = (stream.hop, stream.stream_id);
        match say {
            Say::Xoff => {
                stream.said.xoffs_sent = stream.said.xoffs_sent.saturating_add(1);
                self.speak(owner, hop, stream_id, Command::XOFF, &Xoff.encode(), now);
            }
            Say::Xon { rate } => {
                stream.said.xons_sent = stream.said.xons_sent.saturating_add(1);
                self.speak(owner, hop, stream_id, Command::XON, &Xon { kbps: rate }.encode(), now);
            }
        }
    }

    /// A stream is not to be: END, and the other end may not know yet. (A relay deals with what it does not know.)
    pub(super) fn refuse_stream(&mut self, owner: Owner, hop: u8, stream_id: u16, reason: u8, now: Nanos) {
        if let Some(until) = self.remembered_until(owner, now) {
            let past = Past { said: true, ended: false, connected: true };
            self.with_streams(owner, |streams, _| streams.remember(hop, stream_id, past, now, until));
        }
        self.speak(owner, hop, stream_id, Command::END, &[reason], now);
    }

    /// Sends a message of our own on a stream: one like any other of its, but never refused. There are few, each an
    /// answer to something that came; where even they are too many to wait, the circuit or set closes.
    fn speak(&mut self, owner: Owner, hop: u8, stream_id: u16, command: Command, body: &[u8], now: Nanos) {
        let message = &Message { command, hop, stream_id, body, token: None };
        match owner {
            Owner::Set(set) => {
                if !self.speak_in_set(set, message, now) {
                    self.fault_of_set(set, Fault::EngineMemory);
                }
            }
            Owner::Circuit(circuit) => {
                if !self.speak_on_circuit(circuit, message, now) {
                    self.fault(circuit, Fault::EngineMemory);
                }
            }
        }
    }

    fn speak_in_set(&mut self, set: Id, message: &Message<'_>, now: Nanos) -> bool {
        let fits = self.room_for(set, cost_of(message).into()).is_ok();
        let Some(state) = self.sets.get_mut(set) else { return true };
        let most = state.terms().held_sends_max.saturating_add(limits::OWN_SENDS_MAX);
        if !fits || state.waiting_to_go() >= most {
            return false;
        }
        let mut lane = Lane::EMPTY;
        let said = match state.send_own(message.command, now, &mut self.out.effects) {
            Some(plan) => {
                state.note_own_send();
                let kept = self.held.store.push(&mut lane, 1, message);
                self.released(plan.leg, set, message.hop, plan.delta, plan.number, lane, now);
                kept
            }
            None => state.hold(message, now, &mut self.held.store, &mut self.out.effects),
        };
        self.grew(set);
        self.apply_effects(set);
        said
    }

    fn speak_on_circuit(&mut self, id: Id, message: &Message<'_>, now: Nanos) -> bool {
        let fits = self.room_for(id, cost_of(message).into()).is_ok();
        let Some(circuit) = self.circuits.get_mut(id).filter(|circuit| circuit.place != Place::Closing) else {
            return true;
        };
        let most = circuit.config.held_sends_max.saturating_add(limits::OWN_SENDS_MAX);
        let padding = circuit.padding.as_mut();
        let mut lane = Lane::EMPTY;
        if !fits || padding.is_some_and(|padding| padding.waiting_to_go() >= most) {
            return false;
        }
        if !self.held.store.push_at(&mut lane, 1, message, now) {
            return false;
        }
        if let Some(padding) = &mut circuit.padding {
            // Not admitted as a host's message is: no host waits to be told.
            if padding.is_in_the_way(message.command) {
                padding.held_bytes += lane.bytes();
                padding.hold(message.hop, lane, now);
                self.grew(id);
                self.settle_padding(id, now);
                return true;
            }
            padding.note_own_send();
        }
        self.released(id, Id::NONE, message.hop, 0, 0, lane, now);
        true
    }

    /// Streams whose owner goes.
    pub(super) fn drop_streams(&mut self, streams: &Streams) {
        for id in streams.ids() {
            self.time.alarms.cancel_stream(id);
            self.streams.remove(id);
        }
        self.held.store.weigh(streams.ended_bytes(), 0);
    }

    /// Forgets streams that ended long enough ago, on circuits and sets where nothing happens any more.
    pub(super) fn sweep_streams(&mut self) {
        let now = self.time.clock.latest();
        let of_sets = self.sets.all_mut().filter_map(|state| state.streams.as_mut());
        let reactors = self.circuits.all_mut().filter_map(|circuit| circuit.reactor.as_mut());
        for streams in of_sets.chain(reactors.filter_map(|reactor| reactor.streams.as_mut())) {
            let before = streams.ended_bytes();
            streams.sweep(now);
            self.held.store.weigh(before, streams.ended_bytes());
        }
    }

    fn with_streams<R>(
        &mut self,
        owner: Owner,
        change: impl FnOnce(&mut Streams, &mut Arena<Stream>) -> R,
    ) -> Option<R> {
        let streams = match owner {
            Owner::Set(set) => self.sets.get_mut(set)?.streams.as_mut()?,
            Owner::Circuit(id) => self.circuits.get_mut(id)?.reactor.as_mut()?.streams.as_mut()?,
        };
        let before = streams.ended_bytes();
        let changed = change(streams, &mut self.streams);
        self.held.store.weigh(before, streams.ended_bytes());
        Some(changed)
    }
}

/// The stream side of an owner, and what it goes by.
struct StreamSide<'a> {
    streams: &'a mut Option<Box<Streams>>,
    params: &'a Params,
    part: Part,
    clock_broken: bool,
}

/// Finds it; none where the streams are not ours.
#[inline]
fn side<'a>(
    sets: &'a mut Arena<Controller>,
    circuits: &'a mut Arena<Circuit>,
    owner: Owner,
    hop: u8,
) -> Option<StreamSide<'a>> {
    match owner {
        Owner::Set(set) => {
            let state = sets.get_mut(set)?;
            let part = state.part();
            let (streams, params) = state.stream_side()?;
            // Of which leg, nobody can say: a set measures rates by the host's clock alone.
            Some(StreamSide { streams, params, part, clock_broken: false })
        }
        Owner::Circuit(id) => {
            let circuit = circuits.get_mut(id)?;
            let part = circuit.position(hop).part;
            let reactor = circuit.reactor.as_mut()?;
            let clock_broken = reactor.ends.find(hop).is_some_and(|end| end.window.clock_broken());
            let (streams, params) = reactor.stream_side(hop);
            Some(StreamSide { streams, params, part, clock_broken })
        }
    }
}
