//! A stream, and the streams of one circuit or set: finds them by id, remembers closed ones, chooses the next to read.
//!
//! [`Streams`] is made with the first BEGIN (R3). Streams of a set's join point belong to the set, whichever leg their
//! messages come on (C3).

use super::ended::{Ended, Past};
use crate::base::{Arena, Id, Nanos};
use crate::congestion::flow::{Incoming, Outgoing};
use crate::congestion::params::StreamEdge;
use crate::congestion::Params;
use std::collections::VecDeque;

/// The circuit or set to which a stream belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A circuit that is not in a set, or a leg with a stream at a hop before the join point.
    Circuit(Id),
    /// A set.
    Set(Id),
}

impl Owner {
    /// The id of the circuit or set.
    pub fn id(self) -> Id {
        let (Owner::Circuit(id) | Owner::Set(id)) = self;
        id
    }
}

/// One end of a stream.
#[derive(Debug)]
pub struct Stream {
    /// The circuit or set to which the stream belongs.
    pub owner: Owner,
    /// The hop where the other end is.
    pub hop: u8,
    /// Id in the protocol.
    pub stream_id: u16,
    /// The host's tag.
    pub tag: u64,
    /// Priority: the lowest number is read first.
    pub priority: u8,
    /// Progress of the stream.
    pub phase: Phase,
    /// The host has data to send on the stream.
    pub readable: bool,
    /// The host was refused a message, and waits for an instruction to go on.
    pub refused: bool,
    /// That instruction is queued, and the host has not taken it yet.
    pub told: bool,
    /// The stream is in its owner's round.
    pub(super) queued: bool,
    /// The host's buffer for the stream, and the XOFF and XON that it leads to.
    pub incoming: Incoming,
    /// The limits that the other end's XOFF and XON set.
    pub outgoing: Outgoing,
    /// XOFFs and XONs of each end so far, and the most bytes buffered.
    pub flow_stats: FlowStats,
}

/// Progress of a stream. At a client, the messages that may come depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The other end has opened the stream, or we are a relay.
    Theirs,
    /// We have opened the stream, and sent nothing yet.
    Unasked,
    /// BEGIN waits behind padding: the other end does not know the stream.
    BeginHeld,
    /// RESOLVE waits behind padding: the other end does not know the stream.
    ResolveHeld,
    /// BEGIN has left.
    Begun,
    /// RESOLVE has left.
    Resolving,
    /// CONNECTED has come.
    Connected,
}

impl Phase {
    /// True when the other end may send DATA.
    fn takes_data(self) -> bool {
        matches!(self, Phase::Theirs | Phase::Begun | Phase::Connected)
    }

    /// True when the other end can know the stream: BEGIN or RESOLVE has left, or the other end opened it.
    pub fn is_opened(self) -> bool {
        !matches!(self, Phase::Unasked | Phase::BeginHeld | Phase::ResolveHeld)
    }

    /// The state to remember of a stream that ends in this phase; `ended` is true when our END has left. None for a
    /// stream on which we have sent nothing.
    pub fn past(self, ended: bool) -> Option<Past> {
        let connected = !matches!(self, Phase::BeginHeld | Phase::Begun);
        (self != Phase::Unasked).then_some(Past { opened: self.is_opened(), ended, connected })
    }
}

/// Figures of a stream's flow control.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowStats {
    /// XOFFs sent by this end.
    pub xoffs_sent: u32,
    /// XONs sent by this end.
    pub xons_sent: u32,
    /// XOFFs that came from the other end.
    pub xoffs_received: u32,
    /// XONs that came from the other end.
    pub xons_received: u32,
    /// The most bytes that the host's buffer ever held.
    pub buffered_peak: u32,
}

/// Configuration of a stream's flow control.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Parameters of flow control.
    pub params: &'a Params,
    /// This end is a relay.
    pub is_relay: bool,
    /// Cap on bytes in the host's buffer.
    pub bytes_max: u32,
}

/// An empty stream, for a vacant place of the engine's table.
impl Default for Stream {
    fn default() -> Self {
        let params = Params::default_for(crate::congestion::PathClass::Exit);
        Stream::new(Owner::Circuit(Id::NONE), 0, 0, &Flow { params: &params, is_relay: true, bytes_max: 0 })
    }
}

impl Stream {
    /// A new stream.
    pub fn new(owner: Owner, hop: u8, stream_id: u16, flow: &Flow<'_>) -> Self {
        let edge = if flow.is_relay { StreamEdge::Exit } else { StreamEdge::Client };
        Stream {
            owner,
            hop,
            stream_id,
            tag: 0,
            priority: 0,
            phase: Phase::Theirs,
            readable: false,
            refused: false,
            told: false,
            queued: false,
            incoming: Incoming::new(edge, flow.bytes_max),
            outgoing: Outgoing::new(flow.params, !flow.is_relay),
            flow_stats: FlowStats::default(),
        }
    }
}

/// The streams of one owner.
#[derive(Debug, Default)]
pub struct Streams {
    /// Open streams for which DATA may come, sorted by key: there are few, and each message looks its stream up.
    open: Vec<(StreamKey, Id)>,
    /// Index in `open` where the last look-up ended: messages come in runs.
    recent: usize,
    /// Open streams for which no DATA may come, sorted by key.
    without_data: Vec<(StreamKey, Id)>,
    /// Streams that ended here while the other end may not know yet (C14).
    ended: Ended,
    /// Time since which no stream is open.
    idle_since: Nanos,
    /// Streams to read, by priority; streams of equal priority take turns.
    rounds: Vec<(u8, VecDeque<Id>)>,
    /// The host found no stream to read, or no room, and waits for an instruction.
    pub(super) idle: bool,
}

/// Whether an owner's streams are in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamUse {
    /// Number of open streams.
    pub open: u64,
    /// Time since which no stream is open; none while a stream is open.
    pub idle_since: Option<Nanos>,
}

/// Hop and stream id in one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct StreamKey(pub(super) u32);

impl StreamKey {
    #[inline]
    pub fn of(hop: u8, stream_id: u16) -> StreamKey {
        StreamKey(u32::from(hop) << 16 | u32::from(stream_id))
    }
}

/// Result of a stream's turn in the round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamTurn {
    /// The stream is read, and goes to the end of the round.
    Reads,
    /// The stream cannot send now, as its hop has no room, and goes to the end of the round.
    Stays,
    /// The stream leaves the round until its own state changes.
    Leaves,
}

/// State of a stream id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// A stream with this id is open.
    Open(Id),
    /// The last stream with this id ended here, and is still remembered.
    Ended(Past),
    /// No stream with this id is known.
    Never,
}

impl Streams {
    /// Number of open streams.
    pub fn len(&self) -> usize {
        self.open.len() + self.without_data.len()
    }

    /// True when no stream is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.without_data.is_empty()
    }

    /// Time since which no stream is open; none while a stream is open.
    pub fn idle_since(&self) -> Option<Nanos> {
        self.is_empty().then_some(self.idle_since)
    }

    /// Bytes of memory for streams that ended here.
    pub fn ended_bytes(&self) -> u64 {
        self.ended.bytes()
    }

    /// Forgets ended streams whose time is over.
    pub fn sweep(&mut self, now: Nanos) {
        self.ended.sweep(now);
    }

    /// Ids of all open streams.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.open.iter().chain(&self.without_data).map(|&(_, id)| id)
    }

    /// Finds an open stream for which DATA may come.
    #[inline(always)]
    pub fn find(&mut self, hop: u8, stream_id: u16) -> Option<Id> {
        self.recent(hop, stream_id).or_else(|| self.search(StreamKey::of(hop, stream_id)))
    }

    /// The same, if it is the one that was found last.
    #[inline(always)]
    pub fn recent(&self, hop: u8, stream_id: u16) -> Option<Id> {
        self.open.get(self.recent).filter(|(key, _)| *key == StreamKey::of(hop, stream_id)).map(|&(_, id)| id)
    }

    #[inline(never)]
    fn search(&mut self, key: StreamKey) -> Option<Id> {
        self.recent = self.open.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        self.open.get(self.recent).map(|&(_, id)| id)
    }

    /// Returns the state of a stream id at `now`.
    pub fn known(&mut self, hop: u8, stream_id: u16, now: Nanos) -> Known {
        if let Some(id) = self.find(hop, stream_id) {
            return Known::Open(id);
        }
        let key = StreamKey::of(hop, stream_id);
        if let Ok(at) = self.without_data.binary_search_by_key(&key, |&(key, _)| key) {
            return Known::Open(self.without_data[at].1);
        }
        self.ended.look(key, now).map_or(Known::Never, Known::Ended)
    }

    /// True while the stream has neither ended nor been ended.
    pub fn is_open(&mut self, hop: u8, stream_id: u16) -> bool {
        let key = StreamKey::of(hop, stream_id);
        self.find(hop, stream_id).is_some() || self.without_data.binary_search_by_key(&key, |&(key, _)| key).is_ok()
    }

    /// Adds a stream. The caller has checked that its id is free.
    pub fn insert(&mut self, stream: &Stream, id: Id) {
        let key = StreamKey::of(stream.hop, stream.stream_id);
        let list = if stream.phase.takes_data() { &mut self.open } else { &mut self.without_data };
        let at = list.partition_point(|&(other, _)| other < key);
        list.insert(at, (key, id));
    }

    /// Bytes of memory needed so that the stream can be remembered when it ends here.
    pub fn cost_of_memory(&self, hop: u8, stream_id: u16) -> u32 {
        self.ended.cost(StreamKey::of(hop, stream_id))
    }

    /// Makes a place to remember a stream that is opened, for when it ends here, and forgets an ended stream with its
    /// id.
    pub fn keep_place(&mut self, hop: u8, stream_id: u16) {
        self.ended.open(StreamKey::of(hop, stream_id));
    }

    /// Moves a stream to another phase.
    pub(super) fn enter(&mut self, stream: &mut Stream, id: Id, phase: Phase) {
        let moves = stream.phase.takes_data() != phase.takes_data();
        if moves {
            self.take_out(stream, id);
        }
        stream.phase = phase;
        if moves {
            self.insert(stream, id);
        }
    }

    fn take_out(&mut self, stream: &Stream, id: Id) {
        let key = StreamKey::of(stream.hop, stream.stream_id);
        let list = if stream.phase.takes_data() { &mut self.open } else { &mut self.without_data };
        if let Ok(at) = list.binary_search(&(key, id)) {
            list.remove(at);
        }
    }

    /// Takes over the streams of another owner, which have other hops.
    pub fn absorb(&mut self, others: Streams) {
        self.open.extend(others.open);
        self.open.sort_unstable();
        self.without_data.extend(others.without_data);
        self.without_data.sort_unstable();
        self.ended.absorb(others.ended);
        self.idle_since = self.idle_since.max(others.idle_since);
        for (priority, queued) in others.rounds {
            self.round(priority).extend(queued);
        }
        self.idle |= others.idle;
        self.recent = 0;
    }

    /// Remembers until `until` a stream that was closed or refused here. Its place is there already.
    pub fn remember(&mut self, hop: u8, stream_id: u16, past: Past, now: Nanos, until: Nanos) {
        self.ended.remember(StreamKey::of(hop, stream_id), past, now, past.until(until));
    }

    /// Frees the id of a stream that has ended at both ends.
    pub(super) fn free(&mut self, hop: u8, stream_id: u16) {
        self.ended.forget(StreamKey::of(hop, stream_id));
    }

    /// Notes that CONNECTED came for a stream that had ended here.
    pub(super) fn late_connected(&mut self, hop: u8, stream_id: u16) {
        self.ended.connected(StreamKey::of(hop, stream_id));
    }

    /// Removes a stream that has ended.
    pub(super) fn remove(&mut self, stream: &Stream, id: Id, now: Nanos) {
        self.take_out(stream, id);
        if stream.queued {
            self.rounds.iter_mut().for_each(|(_, round)| round.retain(|&queued| queued != id));
        }
        if self.is_empty() {
            self.idle_since = now;
        }
    }

    /// Puts a stream at the end of its round.
    pub(super) fn enqueue(&mut self, id: Id, stream: &mut Stream) {
        if std::mem::replace(&mut stream.queued, true) {
            return;
        }
        self.round(stream.priority).push_back(id);
    }

    fn round(&mut self, priority: u8) -> &mut VecDeque<Id> {
        let at = match self.rounds.binary_search_by_key(&priority, |&(priority, _)| priority) {
            Ok(at) => at,
            Err(at) => {
                self.rounds.insert(at, (priority, VecDeque::new()));
                at
            }
        };
        &mut self.rounds[at].1
    }

    /// Takes a stream out of its round, before its priority changes or it goes.
    pub(super) fn dequeue(&mut self, id: Id, stream: &mut Stream) {
        if std::mem::replace(&mut stream.queued, false) {
            self.rounds.iter_mut().for_each(|(_, round)| round.retain(|&queued| queued != id));
        }
    }

    /// Returns the stream whose turn it is: among the streams with the lowest priority number, the stream that was read
    /// longest ago. `ask` decides for each stream whether it takes its turn.
    pub(super) fn turn(
        &mut self,
        streams: &mut Arena<Stream>,
        mut ask: impl FnMut(Id, &mut Stream) -> StreamTurn,
    ) -> Option<Id> {
        for (_, round) in &mut self.rounds {
            // Looks at each stream once at most.
            for _ in 0..round.len() {
                let Some(id) = round.pop_front() else { break };
                let Some(stream) = streams.get_mut(id) else { continue };
                match ask(id, stream) {
                    StreamTurn::Reads => {
                        round.push_back(id);
                        return Some(id);
                    }
                    StreamTurn::Stays => round.push_back(id),
                    StreamTurn::Leaves => stream.queued = false,
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Arena<Stream>, Streams, Vec<Id>) {
        let (mut arena, mut streams) = (Arena::new(1, 10), Streams::default());
        let mut ids = Vec::new();
        for (stream_id, priority) in [(5, 1), (3, 1), (9, 0)] {
            let stream = Stream { priority, hop: 3, stream_id, ..Stream::default() };
            let id = arena.insert(stream).unwrap();
            streams.insert(arena.get(id).unwrap(), id);
            ids.push(id);
        }
        (arena, streams, ids)
    }

    #[test]
    fn streams_are_found_by_hop_and_id() {
        let (_, mut streams, ids) = three();
        assert_eq!(streams.find(3, 5), Some(ids[0]));
        assert_eq!(streams.find(3, 9), Some(ids[2]));
        assert_eq!((streams.find(2, 9), streams.find(3, 4)), (None, None));
    }

    #[test]
    fn r3_priority_first_and_equals_in_turn() {
        let (mut arena, mut streams, ids) = three();
        for &id in &ids {
            streams.enqueue(id, arena.get_mut(id).unwrap());
        }
        let mut first = Vec::new();
        for _ in 0..3 {
            first.push(streams.turn(&mut arena, |_, _| StreamTurn::Reads).unwrap());
        }
        assert_eq!(first, [ids[2]; 3], "priority 0 as long as it can be read");
        let mut order = Vec::new();
        for _ in 0..4 {
            let ask =
                |_, stream: &mut Stream| if stream.stream_id == 9 { StreamTurn::Leaves } else { StreamTurn::Reads };
            order.push(streams.turn(&mut arena, ask).unwrap());
        }
        assert_eq!(order, [ids[0], ids[1], ids[0], ids[1]]);
    }

    #[test]
    fn c14_closed_streams_are_known_for_a_while_and_then_forgotten() {
        let (mut arena, mut streams, ids) = three();
        let stream = arena.remove(ids[0]).unwrap();
        let past = Past { opened: true, ended: true, connected: false };
        streams.remove(&stream, ids[0], 0);
        streams.remember(3, 5, past, 0, 100);
        assert_eq!(streams.known(3, 5, 99), Known::Ended(past));
        assert_eq!(streams.known(3, 5, 100), Known::Never);
        streams.sweep(100);
        assert_eq!(streams.ended_bytes(), 0);
        assert_eq!(streams.known(3, 3, 0), Known::Open(ids[1]));
    }

    #[test]
    fn a_stream_is_found_for_data_only_when_data_may_come() {
        let (mut arena, mut streams, _) = three();
        let stream = Stream { hop: 3, stream_id: 7, phase: Phase::Unasked, ..Stream::default() };
        let id = arena.insert(stream).unwrap();
        streams.insert(arena.get(id).unwrap(), id);
        for phase in [Phase::BeginHeld, Phase::Begun, Phase::Resolving, Phase::Connected] {
            streams.enter(arena.get_mut(id).unwrap(), id, phase);
            assert_eq!(streams.find(3, 7).is_some(), matches!(phase, Phase::Begun | Phase::Connected));
            assert_eq!((streams.known(3, 7, 0), streams.len()), (Known::Open(id), 4));
        }
        streams.remove(arena.get(id).unwrap(), id, 0);
        assert_eq!((streams.known(3, 7, 0), streams.len()), (Known::Never, 3));
    }

    #[test]
    fn since_when_there_is_no_stream() {
        let (mut arena, mut streams, ids) = three();
        for (now, id) in (5..).zip(ids) {
            assert_eq!(streams.idle_since(), None);
            let stream = arena.remove(id).unwrap();
            streams.remove(&stream, id, now);
        }
        assert_eq!(streams.idle_since(), Some(7));
    }
}
