//! A stream, and the streams of one circuit or set: who they are, which were closed of late, who may be read next.
//!
//! There are none before the first BEGIN (R3). Streams of a set's join point belong to the set, whatever leg their
//! messages come on (C3).

use super::ended::{Ended, Past};
use crate::base::{Arena, Id, Nanos};
use crate::congestion::flow::{Incoming, Outgoing};
use crate::congestion::params::StreamEdge;
use crate::congestion::Params;
use std::collections::VecDeque;

/// Whose a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A circuit in no set, or another hop of a leg.
    Circuit(Id),
    /// A set.
    Set(Id),
}

/// One stream, at one end.
#[derive(Debug)]
pub struct Stream {
    /// Whose it is.
    pub owner: Owner,
    /// The hop where the other end is.
    pub hop: u8,
    /// What the protocol calls it.
    pub stream_id: u16,
    /// What the host calls it.
    pub tag: u64,
    /// Lower goes first.
    pub priority: u8,
    /// How far it has come.
    pub phase: Phase,
    /// The host has something to send.
    pub readable: bool,
    /// The host was refused a message, and waits to be told to go on.
    pub refused: bool,
    /// The instruction that ends the waiting is queued, and not taken yet.
    pub told: bool,
    /// It stands in its owner's round.
    pub(super) queued: bool,
    /// What we keep for it, and the XOFF and XON that follow from it.
    pub incoming: Incoming,
    /// What the other end said of its own buffer.
    pub outgoing: Outgoing,
    /// XOFFs and XONs so far.
    pub said: Said,
}

/// How far a stream has come: what may come for it follows from that, at a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The other end has opened it, or we are a relay: it is not asked.
    Theirs,
    /// We have opened it, and said nothing yet.
    Unasked,
    /// BEGIN waits behind padding: the other end knows nothing of it.
    BeginHeld,
    /// The same for RESOLVE.
    ResolveHeld,
    /// BEGIN has left.
    Begun,
    /// RESOLVE has left.
    Resolving,
    /// CONNECTED has come.
    Connected,
}

impl Phase {
    /// The other end may send DATA.
    fn takes_data(self) -> bool {
        matches!(self, Phase::Theirs | Phase::Begun | Phase::Connected)
    }

    /// Whatever opens it has left.
    pub fn is_said(self) -> bool {
        !matches!(self, Phase::Unasked | Phase::BeginHeld | Phase::ResolveHeld)
    }

    /// What is left of a stream that ends in this phase, and whether our END has left. Of one that we have said nothing
    /// of, nothing.
    pub fn past(self, ended: bool) -> Option<Past> {
        let connected = !matches!(self, Phase::BeginHeld | Phase::Begun);
        (self != Phase::Unasked).then_some(Past { said: self.is_said(), ended, connected })
    }
}

/// How often each end of a stream has said XOFF and XON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// By us.
    pub xoffs_sent: u32,
    /// By us.
    pub xons_sent: u32,
    /// By the other end.
    pub xoffs_received: u32,
    /// By the other end.
    pub xons_received: u32,
    /// The most bytes that waited for the host.
    pub buffered_peak: u32,
}

/// What a stream is made with besides its names.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Parameters of flow control.
    pub params: &'a Params,
    /// We are the relay.
    pub is_relay: bool,
    /// Cap on bytes in the host's buffer.
    pub bytes_max: u32,
}

/// What fills a vacant place.
impl Default for Stream {
    fn default() -> Self {
        let params = Params::default_for(crate::congestion::PathClass::Exit);
        Stream::new(Owner::Circuit(Id::NONE), 0, 0, &Flow { params: &params, is_relay: true, bytes_max: 0 })
    }
}

impl Stream {
    /// A stream that has carried nothing.
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
            said: Said::default(),
        }
    }
}

/// The streams of one owner.
#[derive(Debug, Default)]
pub struct Streams {
    /// Sorted by key, as there are few, and looked up for each message.
    open: Vec<(Key, Id)>,
    /// Where the last look-up ended: messages come in runs.
    recent: usize,
    /// The same for those for which no DATA may come: they are out of its way.
    apart: Vec<(Key, Id)>,
    /// Closed by us: the other end may not know yet (C14).
    ended: Ended,
    /// Since when there is none.
    idle_since: Nanos,
    /// Streams that can be read, by priority, each in turn.
    rounds: Vec<(u8, VecDeque<Id>)>,
    /// The host found no stream to read, or no room, and waits to be told.
    pub(super) idle: bool,
}

/// How the streams of an owner stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamUse {
    /// How many are open.
    pub open: u64,
    /// Since when none is; none while one is.
    pub idle_since: Option<Nanos>,
}

/// Hop and stream id in one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(pub(super) u32);

impl Key {
    #[inline]
    pub fn of(hop: u8, stream_id: u16) -> Key {
        Key(u32::from(hop) << 16 | u32::from(stream_id))
    }
}

/// What becomes of a stream in its round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It is read, and goes to the end.
    Reads,
    /// It has something to send, and not now: it goes to the end.
    Stays,
    /// It leaves the round until something of its own changes.
    Leaves,
}

/// What is known of a stream id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// It is open.
    Open(Id),
    /// It was closed here a while ago.
    Ended(Past),
    /// Nothing, or no longer.
    Never,
}

impl Streams {
    /// Streams open.
    pub fn len(&self) -> usize {
        self.open.len() + self.apart.len()
    }

    /// True when none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.apart.is_empty()
    }

    /// Since when none is open; none while one is.
    pub fn idle_since(&self) -> Option<Nanos> {
        self.is_empty().then_some(self.idle_since)
    }

    /// Bytes of memory that those take which were closed here.
    pub fn ended_bytes(&self) -> u64 {
        self.ended.bytes()
    }

    /// Forgets those that were closed here long enough ago.
    pub fn sweep(&mut self, now: Nanos) {
        self.ended.sweep(now);
    }

    /// All open ones.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.open.iter().chain(&self.apart).map(|&(_, id)| id)
    }

    /// An open stream for which DATA may come.
    #[inline(always)]
    pub fn find(&mut self, hop: u8, stream_id: u16) -> Option<Id> {
        let key = Key::of(hop, stream_id);
        if let Some(&(found, id)) = self.open.get(self.recent) {
            if found == key {
                return Some(id);
            }
        }
        self.search(key)
    }

    #[inline(never)]
    fn search(&mut self, key: Key) -> Option<Id> {
        self.recent = self.open.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        self.open.get(self.recent).map(|&(_, id)| id)
    }

    /// What is known of a stream id at `now`.
    pub fn known(&mut self, hop: u8, stream_id: u16, now: Nanos) -> Known {
        if let Some(id) = self.find(hop, stream_id) {
            return Known::Open(id);
        }
        let key = Key::of(hop, stream_id);
        if let Ok(at) = self.apart.binary_search_by_key(&key, |&(key, _)| key) {
            return Known::Open(self.apart[at].1);
        }
        self.ended.look(key, now).map_or(Known::Never, Known::Ended)
    }

    /// Takes a stream in. The caller has seen that its id is free.
    pub fn insert(&mut self, stream: &Stream, id: Id) {
        let key = Key::of(stream.hop, stream.stream_id);
        let list = if stream.phase.takes_data() { &mut self.open } else { &mut self.apart };
        let at = list.partition_point(|&(other, _)| other < key);
        list.insert(at, (key, id));
    }

    /// Bytes that are needed to remember a stream once it has ended here.
    pub fn cost_of_memory(&self, hop: u8, stream_id: u16) -> u32 {
        self.ended.cost(Key::of(hop, stream_id))
    }

    /// A stream that is opened will be remembered once it has ended here: there is a place for it. What was closed
    /// under its id is over.
    pub fn keep_place(&mut self, hop: u8, stream_id: u16) {
        self.ended.open(Key::of(hop, stream_id));
    }

    /// A stream of ours is in another phase now.
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
        let key = Key::of(stream.hop, stream.stream_id);
        let list = if stream.phase.takes_data() { &mut self.open } else { &mut self.apart };
        if let Ok(at) = list.binary_search(&(key, id)) {
            list.remove(at);
        }
    }

    /// Takes over the streams of another owner, which have other hops.
    pub fn absorb(&mut self, others: Streams) {
        self.open.extend(others.open);
        self.open.sort_unstable();
        self.apart.extend(others.apart);
        self.apart.sort_unstable();
        self.ended.absorb(others.ended);
        self.idle_since = self.idle_since.max(others.idle_since);
        for (priority, queued) in others.rounds {
            self.round(priority).extend(queued);
        }
        self.idle |= others.idle;
        self.recent = 0;
    }

    /// Remembers a stream that was closed here, or is not to be, until `until`. There is a place for it.
    pub fn remember(&mut self, hop: u8, stream_id: u16, past: Past, now: Nanos, until: Nanos) {
        self.ended.remember(Key::of(hop, stream_id), past, now, past.until(until));
    }

    /// A stream is over for both ends.
    pub(super) fn free(&mut self, hop: u8, stream_id: u16) {
        self.ended.forget(Key::of(hop, stream_id));
    }

    /// CONNECTED came for a stream that was closed here.
    pub(super) fn late_connected(&mut self, hop: u8, stream_id: u16) {
        self.ended.connected(Key::of(hop, stream_id));
    }

    /// A stream has gone.
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

    /// The stream whose turn it is: of the lowest priority number, the one that was read longest ago. `ask` says
    /// what becomes of each.
    pub(super) fn turn(
        &mut self,
        streams: &mut Arena<Stream>,
        mut ask: impl FnMut(Id, &mut Stream) -> Turn,
    ) -> Option<Id> {
        for (_, round) in &mut self.rounds {
            // Each is looked at once at most.
            for _ in 0..round.len() {
                let Some(id) = round.pop_front() else { break };
                let Some(stream) = streams.get_mut(id) else { continue };
                match ask(id, stream) {
                    Turn::Reads => {
                        round.push_back(id);
                        return Some(id);
                    }
                    Turn::Stays => round.push_back(id),
                    Turn::Leaves => stream.queued = false,
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
            first.push(streams.turn(&mut arena, |_, _| Turn::Reads).unwrap());
        }
        assert_eq!(first, [ids[2]; 3], "priority 0 as long as it can be read");
        let mut order = Vec::new();
        for _ in 0..4 {
            let ask = |_, stream: &mut Stream| if stream.stream_id == 9 { Turn::Leaves } else { Turn::Reads };
            order.push(streams.turn(&mut arena, ask).unwrap());
        }
        assert_eq!(order, [ids[0], ids[1], ids[0], ids[1]]);
    }

    #[test]
    fn c14_closed_streams_are_known_for_a_while_and_then_forgotten() {
        let (mut arena, mut streams, ids) = three();
        let stream = arena.remove(ids[0]).unwrap();
        let past = Past { said: true, ended: true, connected: false };
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
