//! A stream, and the streams of one circuit or set: who they are, which were closed of late, who may be read next.
//!
//! There are none before the first BEGIN (R3). Streams of a set's join point belong to the set, whatever leg their
//! messages come on (C3).

use crate::base::{limits, Arena, Id, Nanos};
use crate::congestion::flow::{Incoming, Outgoing};
use crate::congestion::params::Edge;
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
        let edge = if flow.is_relay { Edge::Exit } else { Edge::Client };
        Stream {
            owner,
            hop,
            stream_id,
            tag: 0,
            priority: 0,
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
    /// Closed by us, and when that may be forgotten: the other end may not know yet (C14).
    closed: VecDeque<(Key, Nanos)>,
    /// Until then there may be streams that were closed here and forgotten for want of room.
    forgot_until: Nanos,
    /// Streams that can be read, by priority, each in turn.
    rounds: Vec<(u8, VecDeque<Id>)>,
    /// The host found no stream to read, or no room, and waits to be told.
    pub(super) idle: bool,
}

/// Hop and stream id in one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key(u32);

impl Key {
    #[inline]
    fn of(hop: u8, stream_id: u16) -> Key {
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
    Closed,
    /// Nothing, or no longer.
    Never,
}

impl Streams {
    /// Streams open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True when none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Streams that were closed here and are not forgotten.
    pub fn remembered(&self) -> usize {
        self.closed.len()
    }

    /// All open ones.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.open.iter().map(|&(_, id)| id)
    }

    /// An open stream.
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
        self.forget(now);
        let key = Key::of(hop, stream_id);
        // While one is missing that found no room, an unknown one may be that.
        match now < self.forgot_until || self.closed.iter().any(|&(closed, _)| closed == key) {
            true => Known::Closed,
            false => Known::Never,
        }
    }

    /// Takes a stream in. The caller has seen that its id is free.
    pub fn insert(&mut self, hop: u8, stream_id: u16, id: Id) {
        let key = Key::of(hop, stream_id);
        let at = self.open.partition_point(|&(other, _)| other < key);
        self.open.insert(at, (key, id));
        // The id is used again: what was closed under it is over.
        self.closed.retain(|&(closed, _)| closed != key);
    }

    /// Takes over the streams of another owner, which have other hops.
    pub fn absorb(&mut self, others: Streams) {
        self.open.extend(others.open);
        self.open.sort_unstable();
        self.closed.extend(others.closed);
        self.closed.make_contiguous().sort_by_key(|&(_, until)| until);
        while self.closed.len() > limits::CLOSED_STREAMS_MAX {
            self.forget_one();
        }
        self.forgot_until = self.forgot_until.max(others.forgot_until);
        for (priority, queued) in others.rounds {
            self.round(priority).extend(queued);
        }
        self.idle |= others.idle;
        self.recent = 0;
    }

    /// Remembers a stream that was closed here, or never opened, until `until`; the oldest makes room.
    pub fn remember(&mut self, hop: u8, stream_id: u16, until: Nanos) {
        if self.closed.len() >= limits::CLOSED_STREAMS_MAX {
            self.forget_one();
        }
        self.closed.push_back((Key::of(hop, stream_id), until));
    }

    /// The other end knows that a stream was closed.
    pub fn free(&mut self, hop: u8, stream_id: u16) {
        let key = Key::of(hop, stream_id);
        self.closed.retain(|&(closed, _)| closed != key);
    }

    /// Makes room.
    fn forget_one(&mut self) {
        if let Some((_, until)) = self.closed.pop_front() {
            self.forgot_until = self.forgot_until.max(until);
        }
    }

    /// A stream has gone. One that was closed here is remembered until `until`.
    pub(super) fn remove(&mut self, stream: &Stream, id: Id, until: Option<Nanos>) {
        self.open.retain(|&(_, open)| open != id);
        if stream.queued {
            self.rounds.iter_mut().for_each(|(_, round)| round.retain(|&queued| queued != id));
        }
        if let Some(until) = until {
            self.remember(stream.hop, stream.stream_id, until);
        }
    }

    /// Forgets what may be forgotten. Each is remembered for the same time, give or take, so the oldest is first.
    fn forget(&mut self, now: Nanos) {
        while self.closed.front().is_some_and(|&(_, until)| until <= now) {
            self.closed.pop_front();
        }
        if self.closed.is_empty() {
            self.closed.shrink_to_fit();
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
            streams.insert(3, stream_id, id);
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
        streams.remove(&stream, ids[0], Some(100));
        assert_eq!(streams.known(3, 5, 99), Known::Closed);
        assert_eq!(streams.known(3, 5, 100), Known::Never);
        assert_eq!(streams.remembered(), 0);
        assert_eq!(streams.known(3, 3, 0), Known::Open(ids[1]));
    }

    #[test]
    fn c14_what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let mut streams = Streams::default();
        for stream_id in 0..=limits::CLOSED_STREAMS_MAX as u16 {
            assert_eq!(streams.known(3, 9999, 0), Known::Never, "as long as there is room");
            streams.remove(&Stream { hop: 3, stream_id, ..Stream::default() }, Id(7), Some(1000));
        }
        assert_eq!(streams.remembered(), limits::CLOSED_STREAMS_MAX);
        assert_eq!(streams.known(3, 1, 0), Known::Closed);
        assert_eq!((streams.known(3, 0, 999), streams.known(3, 0, 1000)), (Known::Closed, Known::Never));
    }
}
