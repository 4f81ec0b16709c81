//! Remembers streams that have ended here while the other end may not know yet, and so may still send (C14).
//!
//! Each stream id has a place in a chunk, so that the time of each step does not grow with the number of streams. The
//! place is made when the stream is opened: a stream that ends never lacks memory, and is always remembered.

use super::stream::StreamKey;
use crate::base::time::NEVER;
use crate::base::Nanos;
use std::collections::BTreeMap;

/// Ids in one chunk. Clients count their ids up, so most chunks fill; ids drawn at random have a chunk each.
const IDS: usize = 16;

/// Bytes of a chunk, its place in the map included.
const CHUNK_BYTES: u32 = (size_of::<Chunk>() + size_of::<(u32, Box<Chunk>)>()) as u32;

/// Chunks swept for each stream that ends: more than one, so that old streams are forgotten faster than new ones come.
const SWEPT: usize = 2;

/// State of a stream that has ended here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past {
    /// Our BEGIN or RESOLVE has left: before that, the other end cannot send for the stream.
    pub opened: bool,
    /// Our END has left: the time for which the stream is remembered begins then.
    pub ended: bool,
    /// CONNECTED has come, or is not an answer to our message.
    pub connected: bool,
}

/// [`IDS`] stream ids in a row; each mask has a bit for each id.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    until: [Nanos; IDS],
    /// Streams that are open.
    open: u16,
    /// Streams that are remembered; the masks below are of these streams.
    known: u16,
    opened: u16,
    ended: u16,
    connected: u16,
}

/// The ended streams of one owner.
#[derive(Debug, Default)]
pub(super) struct Ended {
    chunks: BTreeMap<u32, Box<Chunk>>,
    /// Number of the chunk to sweep next.
    next: u32,
}

impl Chunk {
    const EMPTY: Chunk = Chunk { until: [0; IDS], open: 0, known: 0, opened: 0, ended: 0, connected: 0 };

    fn is_known(&self, place: usize, now: Nanos) -> bool {
        let bit = 1 << place;
        let counts = self.opened & self.ended & bit != 0;
        self.known & bit != 0 && (!counts || now < self.until[place])
    }

    /// Forgets streams whose time is over. Returns false when no stream is left.
    fn sweep(&mut self, now: Nanos) -> bool {
        let over = (0..IDS).filter(|&place| !self.is_known(place, now));
        self.known = over.fold(self.known, |known, place| known & !(1 << place));
        self.is_used()
    }

    fn is_used(&self) -> bool {
        self.known | self.open != 0
    }

    fn set(&mut self, place: usize, past: Past, until: Nanos) {
        let bit = 1 << place;
        let put = |mask: &mut u16, is: bool| *mask = if is { *mask | bit } else { *mask & !bit };
        self.open &= !bit;
        put(&mut self.known, true);
        put(&mut self.opened, past.opened);
        put(&mut self.ended, past.ended);
        put(&mut self.connected, past.connected);
        self.until[place] = until;
    }
}

impl Ended {
    /// Returns the state of a stream that is still remembered at `now`.
    pub fn look(&self, key: StreamKey, now: Nanos) -> Option<Past> {
        let (number, place) = split(key);
        let chunk = self.chunks.get(&number).filter(|chunk| chunk.is_known(place, now))?;
        let has = |mask: u16| mask & (1 << place) != 0;
        Some(Past { opened: has(chunk.opened), ended: has(chunk.ended), connected: has(chunk.connected) })
    }

    /// Bytes of memory that a place for this stream needs in addition, 0 when the chunk is there.
    pub fn cost(&self, key: StreamKey) -> u32 {
        if self.chunks.contains_key(&split(key).0) {
            0
        } else {
            CHUNK_BYTES
        }
    }

    /// Makes the place of a stream that is opened, and forgets an ended stream with its id.
    pub fn open(&mut self, key: StreamKey) {
        let (number, place) = split(key);
        let chunk = self.chunks.entry(number).or_insert_with(|| Box::new(Chunk::EMPTY));
        chunk.open |= 1 << place;
        chunk.known &= !(1 << place);
    }

    /// Remembers a stream until `until`, or replaces its state.
    pub fn remember(&mut self, key: StreamKey, past: Past, now: Nanos, until: Nanos) {
        for _ in 0..SWEPT {
            self.sweep_one(now);
        }
        let (number, place) = split(key);
        let chunk = self.chunks.entry(number).or_insert_with(|| Box::new(Chunk::EMPTY));
        chunk.set(place, past, until);
    }

    /// Forgets a stream that has ended at both ends.
    pub fn forget(&mut self, key: StreamKey) {
        let (number, place) = split(key);
        let Some(chunk) = self.chunks.get_mut(&number) else { return };
        chunk.known &= !(1 << place);
        chunk.open &= !(1 << place);
        if !chunk.is_used() {
            self.chunks.remove(&number);
        }
    }

    /// Notes that CONNECTED has come.
    pub fn connected(&mut self, key: StreamKey) {
        let (number, place) = split(key);
        self.chunks.get_mut(&number).into_iter().for_each(|chunk| chunk.connected |= 1 << place);
    }

    /// Takes over the ended streams of another owner, which have other hops.
    pub fn absorb(&mut self, mut others: Ended) {
        self.chunks.append(&mut others.chunks);
    }

    /// Forgets all streams whose time is over.
    pub fn sweep(&mut self, now: Nanos) {
        self.chunks.retain(|_, chunk| chunk.sweep(now));
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> u64 {
        self.chunks.len() as u64 * u64::from(CHUNK_BYTES)
    }

    fn sweep_one(&mut self, now: Nanos) {
        let Some((&number, chunk)) = self.chunks.range_mut(self.next..).next() else {
            self.next = 0;
            return;
        };
        self.next = number + 1;
        if !chunk.sweep(now) {
            self.chunks.remove(&number);
        }
    }
}

impl Past {
    /// How long to remember the stream: until `until` if both messages have left, else without a limit.
    pub fn until(self, until: Nanos) -> Nanos {
        if self.opened && self.ended {
            until
        } else {
            NEVER
        }
    }
}

#[inline]
fn split(StreamKey(key): StreamKey) -> (u32, usize) {
    (key / IDS as u32, key as usize % IDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Past = Past { opened: true, ended: true, connected: false };

    #[test]
    fn c14_each_stream_is_known_until_its_own_time() {
        let mut ended = Ended::default();
        for id in 1..=1000 {
            ended.remember(StreamKey::of(3, id), OVER, 0, 100 + u64::from(id));
        }
        for id in 1..=1000 {
            let until = 100 + u64::from(id);
            assert_eq!(ended.look(StreamKey::of(3, id), until - 1), Some(OVER));
            assert_eq!(ended.look(StreamKey::of(3, id), until), None);
        }
        assert_eq!((ended.look(StreamKey::of(3, 1001), 0), ended.look(StreamKey::of(2, 1), 0)), (None, None));
    }

    #[test]
    fn c14_no_id_is_forgotten_for_want_of_room_and_none_stays_for_ever() {
        let mut ended = Ended::default();
        for id in 1..=u16::MAX {
            ended.remember(StreamKey::of(3, id), OVER, 0, 1000);
        }
        assert!((1..=u16::MAX).all(|id| ended.look(StreamKey::of(3, id), 999).is_some()));
        assert!(ended.bytes() < 65536 * 12, "{} bytes", ended.bytes());
        // Each end sweeps two chunks, so half as many ends as there are chunks sweep them all.
        for id in 0..2100 {
            ended.remember(StreamKey::of(2, 1 + id % 16), OVER, 1000, 2000);
        }
        assert!(ended.chunks.len() <= 3, "{} chunks", ended.chunks.len());
        ended.sweep(2000);
        assert_eq!(ended.bytes(), 0);
    }

    #[test]
    fn c14_time_begins_when_both_messages_have_left() {
        let (mut ended, key) = (Ended::default(), StreamKey::of(3, 7));
        for past in [Past { opened: false, ..OVER }, Past { ended: false, ..OVER }] {
            ended.remember(key, past, 0, past.until(10));
            ended.sweep(1_000_000);
            assert_eq!(ended.look(key, 1_000_000), Some(past));
        }
        ended.remember(key, OVER, 20, OVER.until(30));
        assert_eq!((ended.look(key, 29), ended.look(key, 30)), (Some(OVER), None));
    }

    #[test]
    fn a_place_is_made_at_the_start_and_freed_when_the_stream_is_forgotten() {
        let (mut ended, key) = (Ended::default(), StreamKey::of(3, 7));
        assert_eq!((ended.cost(key), ended.bytes()), (CHUNK_BYTES, 0));
        ended.open(key);
        assert_eq!((ended.cost(key), ended.cost(StreamKey::of(3, 8)), ended.bytes()), (0, 0, CHUNK_BYTES.into()));
        assert_eq!(ended.cost(StreamKey::of(3, 16)), CHUNK_BYTES);
        ended.sweep(Nanos::MAX);
        assert_eq!((ended.bytes(), ended.look(key, 0)), (CHUNK_BYTES.into(), None));
        ended.remember(key, OVER, 0, 10);
        assert_eq!(ended.bytes(), CHUNK_BYTES.into());
        ended.sweep(10);
        assert_eq!(ended.bytes(), 0);
    }

    #[test]
    fn a_stream_that_is_forgotten_leaves_nothing() {
        let (mut ended, key) = (Ended::default(), StreamKey::of(3, 7));
        ended.remember(key, OVER, 0, 10);
        ended.connected(key);
        assert_eq!(ended.look(key, 0), Some(Past { connected: true, ..OVER }));
        ended.forget(key);
        assert_eq!((ended.look(key, 0), ended.bytes()), (None, 0));
        // A new stream with the id does not have the old one's state.
        ended.remember(key, OVER, 0, 10);
        assert_eq!(ended.look(key, 0), Some(OVER));
    }
}
