//! Calls of a host about streams, on circuits and sets that circflow runs.

use crate::base::{limits, Arena, Id, Nanos};
use crate::conflux::Role;
use crate::congestion::Params;
use crate::engine::out::detail::FULL;
use crate::engine::out::insn::Queued;
use crate::engine::{Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place};
use crate::event::Event;
use crate::reactor::stream::FlowStats;
use crate::reactor::{Controller, Flow, Known, Owner, Part, Phase, Stream, Streams, Unread};

/// Configuration of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamConfig {
    /// The host's tag of the stream.
    pub tag: u64,
    /// The stream id in relay messages, not 0.
    pub stream_id: u16,
    /// The hop where the stream ends.
    pub hop: u8,
    /// A stream with a lower number is read first.
    pub priority: u8,
}

/// Figures of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamStats {
    /// Bytes handed to the host that it has not reported as flushed.
    pub buffered: u32,
    /// XOFFs and XONs of each end, and the most bytes that were ever buffered.
    pub flow_stats: FlowStats,
    /// The other end has sent XOFF.
    pub stopped: bool,
}

impl Engine {
    /// Opens a stream from this end, before its BEGIN goes out.
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
        // A stream that is remembered keeps its id: late messages for it must not reach another stream.
        if streams.known(config.hop, config.stream_id, now) != Known::Never {
            return Err(Misuse::StreamExists.into());
        }
        if streams.len() >= self.settings.streams_max as usize {
            return Err(Blocked::Full.into());
        }
        // The place to remember the stream in is taken now, so that ending the stream cannot fail.
        let closed = self.ensure_place(owner, config.hop, config.stream_id).map_err(|_| Blocked::Full)?;
        self.outlived(owner.id(), closed)?;
        let Some(side) = self::side(&mut self.sets, &mut self.circuits, owner, config.hop) else {
            return Err(Misuse::NotRun.into());
        };
        let streams = side.streams.get_or_insert_with(Box::default);
        let flow =
            Flow { params: side.params, is_relay: side.part.is_relay(), bytes_max: self.settings.stream_bytes_max };
        let mut stream = Stream::new(owner, config.hop, config.stream_id, &flow);
        (stream.tag, stream.priority) = (config.tag, config.priority);
        let before = streams.ended_bytes();
        if !side.part.is_relay() {
            stream.phase = Phase::Unasked;
        }
        let id = self.streams.insert(stream).map_err(|_| Blocked::Full)?;
        self.streams.get(id).into_iter().for_each(|stream| streams.insert(stream, id));
        if !side.part.is_relay() {
            streams.keep_place(config.hop, config.stream_id);
        }
        self.held.store.weigh(before, streams.ended_bytes());
        self.note(Event::StreamOpened { owner: owner.id(), stream: id, by_peer: 0 });
        Ok(id)
    }

    /// Sets the priority of a stream: lower is read first.
    pub fn set_priority(&mut self, id: Id, priority: u8) -> Result<(), Error> {
        let owner = self.streams.lookup(id)?.owner;
        self.with_streams(owner, |streams, arena| streams.set_priority(arena, id, priority));
        Ok(())
    }

    /// Sets the host's tag of a stream.
    pub fn retag_stream(&mut self, id: Id, tag: u64) -> Result<(), Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Err(self.streams.reason(id).into()) };
        stream.tag = tag;
        Ok(())
    }

    /// Reports whether the host has something to send on a stream.
    pub fn set_readable(&mut self, id: Id, readable: bool) -> Result<(), Error> {
        let owner = self.streams.lookup(id)?.owner;
        self.with_streams(owner, |streams, arena| streams.set_readable(arena, id, readable));
        Ok(())
    }

    /// The stream that the host reads next, and its tag; none when no stream has anything that it may send.
    pub fn next_stream(&mut self, now: Nanos, owner: Owner) -> Result<Option<(Id, u64)>, Error> {
        let now = self.enter(now);
        self.check_data(owner)?;
        let mut wakes = std::mem::take(&mut self.out.wakes);
        let wake = |id, at| wakes.push((id, at));
        let found = match owner {
            Owner::Set(set) => match self.sets.get_mut(set).and_then(|state| state.streams.as_mut()) {
                // check_data() has seen that a leg has room.
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

    /// Checks that DATA of this owner could go out now. If not, MAY_SEND is queued when it can.
    fn check_data(&mut self, owner: Owner) -> Result<(), Error> {
        match owner {
            Owner::Set(set) => {
                let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
                if state.params().is_none() {
                    return Err(Misuse::NotRun.into());
                }
                self.look_at_room(set)
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
                self.ask_for_turn(id);
                Err(self.no_room(FULL))
            }
        }
    }

    /// Until when a stream that ends now keeps its id: for the time that the host has set, or the longest round trip if
    /// that is longer. None at a relay, which lets the client decide which ids are free.
    pub(super) fn remembered_until(&self, owner: Owner, now: Nanos) -> Option<Nanos> {
        let rtt_of = |id| {
            let reactor = self.circuits.get(id).and_then(|circuit| circuit.reactor.as_ref());
            reactor.map_or(0, |reactor| reactor.ends.max_rtt())
        };
        let (is_relay, rtt) = match owner {
            Owner::Circuit(id) => (self.circuits.get(id)?.config.role == Role::Exit, rtt_of(id)),
            Owner::Set(set) => {
                let state = self.sets.get(set)?;
                // When a message leaves on a leg elsewhere, and with which delay, only that leg's engine knows.
                let rtt_of_leg = |id| if self.is_elsewhere(id) { limits::STREAM_MEMORY_MAX } else { rtt_of(id) };
                (state.part().is_relay(), state.leg_ids().map(rtt_of_leg).max().unwrap_or(0))
            }
        };
        let memory = self.settings.stream_memory.max(rtt).min(limits::STREAM_MEMORY_MAX);
        (!is_relay).then_some(now.saturating_add(memory))
    }

    /// Reports that the host has written bytes of a stream out. XON may follow.
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
            self.send_own_flow(owner, id, say, now);
        }
        Ok(())
    }

    /// Figures of a stream.
    pub fn stream_stats(&self, id: Id) -> Result<StreamStats, Error> {
        let stream = self.streams.lookup(id)?;
        Ok(StreamStats {
            buffered: stream.incoming.buffered(),
            flow_stats: stream.flow_stats,
            stopped: stream.outgoing.stopped(),
        })
    }

    /// True once a circuit or set has its streams' part, which its first BEGIN makes (R3).
    #[allow(dead_code, reason = "tests look")]
    pub fn has_stream_side(&self, owner: Owner) -> bool {
        match owner {
            Owner::Set(set) => self.sets.get(set).is_some_and(|state| state.streams.is_some()),
            Owner::Circuit(id) => {
                let reactor = self.circuits.get(id).and_then(|circuit| circuit.reactor.as_ref());
                reactor.is_some_and(|reactor| reactor.streams.is_some())
            }
        }
    }

    /// Wakes the stream in this place of the arena, whose rate has held it back.
    pub(super) fn run_stream(&mut self, index: u32) {
        if let Some((id, _)) = self.streams.at(index) {
            self.wake_stream(id);
        }
    }

    pub(super) fn wake_stream(&mut self, id: Id) {
        let Some(stream) = self.streams.get(id) else { return };
        let owner = stream.owner;
        let tells = self.with_streams(owner, |streams, arena| streams.wake(arena, id));
        let Some(stream) = self.streams.get_mut(id).filter(|_| tells == Some(true)) else { return };
        // A MAY_SEND that is still queued is enough.
        if !std::mem::replace(&mut stream.told, true) {
            self.out.queue.push(Queued::MaySendStream { stream: id });
        }
    }

    /// MAY_SEND of a stream had its turn. It was taken, unless the stream has ended or was stopped.
    pub(super) fn told_of_stream(&mut self, id: Id) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.told = false;
        let (owner, is_stopped) = (stream.owner, stream.outgoing.stopped());
        if is_stopped {
            return;
        }
        self.with_streams(owner, |streams, _| streams.is_told());
    }

    /// Forgets all streams of an owner that goes.
    pub(super) fn drop_streams(&mut self, streams: &Streams) {
        for id in streams.ids() {
            self.time.alarms.cancel_stream(id);
            if let Some(Stream { owner, .. }) = self.streams.remove(id) {
                self.note(Event::StreamEnded { owner: owner.id(), stream: id, by: ended::WITH_OWNER });
            }
        }
        self.held.store.weigh(streams.ended_bytes(), 0);
    }

    /// Forgets ended streams whose ids are free again, also on circuits and sets where nothing comes any more.
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

    pub(super) fn with_streams<R>(
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

/// Who has ended a stream, as events say it.
pub(super) mod ended {
    pub const BY_HOST: u8 = 0;
    pub const BY_PEER: u8 = 1;
    pub const WITH_OWNER: u8 = 2;
}

/// The streams of a circuit or set, with the parameters and the role that hold for them.
pub(super) struct StreamSide<'a> {
    pub streams: &'a mut Option<Box<Streams>>,
    pub params: &'a Params,
    pub part: Part,
    pub clock_broken: bool,
}

/// The streams of an owner at a hop; none when circflow does not run them.
#[inline]
pub(super) fn side<'a>(
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
            // No single leg counts here: a set measures rates by the host's clock alone.
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
