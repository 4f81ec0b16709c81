//! A ring of bytes that keeps the newest records.
//!
//! It consists of blocks. Records are written one behind the other into a block until the next might not fit; then the
//! next block is begun, and what was in it before is lost. So a record stands in one piece, and to lose some costs next
//! to nothing: no old record is looked at.

use super::record::{Header, HEAD, RECORD_MAX};
use crate::base::Nanos;

/// Bytes of a block: an eighth of a small ring.
const BLOCK_MIN: usize = Ring::BYTES_MIN / 8;
const BLOCK_MAX: usize = 1 << 12;

/// The newest records, in at most so many bytes.
#[derive(Debug)]
pub struct Ring {
    bytes: Box<[u8]>,
    /// Where the next record begins, and where its block ends.
    next: usize,
    end: usize,
    /// Records of that block that were not read.
    records: u32,
    /// Its number, and that of the block with the oldest record.
    newest: usize,
    oldest: usize,
    /// Where the oldest record begins.
    first: usize,
    block: usize,
    /// The other blocks.
    full: Box<[Full]>,
    overwritten: u64,
}

/// A block that was filled.
#[derive(Clone, Copy, Default, Debug)]
struct Full {
    /// Where its records end.
    to: usize,
    /// Records that were not read.
    records: u32,
}

impl Ring {
    /// The smallest ring, in bytes.
    pub const BYTES_MIN: usize = 1 << 12;

    /// For so many records [`Ring::make_room`] makes room at once.
    pub const AT_ONCE: usize = BLOCK_MIN / RECORD_MAX;

    /// An empty ring of at most `bytes` bytes, and nearly as many. None below [`Ring::BYTES_MIN`].
    pub fn new(bytes: usize) -> Option<Ring> {
        let block = (bytes / 8).clamp(BLOCK_MIN, BLOCK_MAX) / 8 * 8;
        let blocks = bytes / block;
        (bytes >= Ring::BYTES_MIN).then(|| Ring {
            bytes: vec![0; blocks * block].into_boxed_slice(),
            next: 0,
            end: block,
            records: 0,
            newest: 0,
            oldest: 0,
            first: 0,
            block,
            full: vec![Full::default(); blocks].into_boxed_slice(),
            overwritten: 0,
        })
    }

    /// Makes room for so many records of whatever kind, [`Ring::AT_ONCE`] at most.
    #[inline(always)]
    pub fn make_room(&mut self, records: usize) {
        if self.end - self.next < records * RECORD_MAX {
            self.begin_block();
        }
    }

    /// Room for the next record, which there always is: [`Ring::keep`] keeps a record and makes room for the next.
    #[inline(always)]
    pub fn room(&mut self) -> Option<&mut [u8; RECORD_MAX]> {
        self.bytes.get_mut(self.next..self.next + RECORD_MAX)?.first_chunk_mut()
    }

    /// Room for the records for which [`Ring::make_room`] has made room. [`Ring::keep_some`] keeps them.
    #[inline(always)]
    pub fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.next..self.end).unwrap_or_default()
    }

    /// Keeps the record that was written into the room, and is `len` bytes long.
    #[inline(always)]
    pub fn keep(&mut self, len: usize) {
        self.keep_some(len, 1);
    }

    /// Keeps records that take `len` bytes in all.
    #[inline(always)]
    pub fn keep_some(&mut self, len: usize, records: u32) {
        self.next += len;
        self.records += records;
        // The last step, so that the callers need no frame for a call that is made seldom.
        self.make_room(1);
    }

    /// Goes on to the next block.
    #[cold]
    #[inline(never)]
    fn begin_block(&mut self) {
        if let Some(full) = self.full.get_mut(self.newest) {
            *full = Full { to: self.next, records: self.records };
        }
        self.newest = self.after(self.newest);
        if self.newest == self.oldest {
            self.overwritten += self.full.get(self.oldest).map_or(0, |full| full.records.into());
            self.oldest = self.after(self.oldest);
            self.first = self.oldest * self.block;
        }
        self.next = self.newest * self.block;
        self.end = self.next + self.block;
        self.records = 0;
    }

    fn after(&self, block: usize) -> usize {
        if block + 1 < self.full.len() {
            block + 1
        } else {
            0
        }
    }

    /// Goes to the oldest record. None when there is no record.
    fn look(&mut self) -> Option<&[u8]> {
        while self.oldest != self.newest && self.full.get(self.oldest).is_none_or(|full| self.first >= full.to) {
            self.oldest = self.after(self.oldest);
            self.first = self.oldest * self.block;
        }
        if self.is_empty() {
            return None;
        }
        let len = Header::read(self.bytes.get(self.first..)?)?.len;
        self.bytes.get(self.first..self.first + len)
    }

    /// Moves the oldest records into `buffer`, as many whole ones as fit, and returns their bytes.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut at = 0;
        while let Some(record) = self.look() {
            let len = record.len();
            let Some(room) = buffer.get_mut(at..at + len) else { break };
            room.copy_from_slice(record);
            at += len;
            self.first += len;
            let unread = match self.full.get_mut(self.oldest) {
                Some(full) if self.oldest != self.newest => &mut full.records,
                _ => &mut self.records,
            };
            *unread = unread.saturating_sub(1);
        }
        at
    }

    /// Bytes in use, with those that are left over at the end of blocks.
    pub fn len(&self) -> usize {
        if self.oldest <= self.newest {
            self.next - self.first
        } else {
            self.next + self.bytes.len() - self.first
        }
    }

    /// Bytes that it has.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// True when it keeps nothing.
    pub fn is_empty(&self) -> bool {
        self.oldest == self.newest && self.first == self.next
    }

    /// Records that made room for newer ones, and were not read.
    pub fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// The time of the oldest record.
    pub fn oldest(&mut self) -> Option<Nanos> {
        Header::read(self.look()?.get(..HEAD)?).map(|header| header.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Id;
    use crate::event::record::{self, Records};
    use crate::event::Event;
    use std::collections::VecDeque;

    fn event_of(number: u64) -> Vec<u8> {
        let set = Id(number);
        let event = match number % 3 {
            0 => Event::SetUsable { set },
            1 => Event::SetEnded { set, cause: -306 },
            _ => Event::LegLinked { set, leg: Id(7), rtt: number },
        };
        let mut bytes = [0; RECORD_MAX];
        let len = record::write(&event, 1, number, &mut bytes);
        bytes[..len].to_vec()
    }

    #[test]
    fn the_newest_records_stay_and_come_out_in_order() {
        for bytes in [Ring::BYTES_MIN, Ring::BYTES_MIN + 8, 4999] {
            let mut ring = Ring::new(bytes).unwrap();
            let (mut kept, mut lost, mut used) = (VecDeque::new(), 0, 0);
            let mut random = 7u64;
            for number in 0..20_000 {
                let bytes = event_of(number);
                ring.room().unwrap()[..bytes.len()].copy_from_slice(&bytes);
                ring.keep(bytes.len());
                kept.push_back(bytes);
                let more = ring.overwritten() - lost;
                kept.drain(..more as usize);
                lost += more;
                used = used.max(ring.len());
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if random >> 56 == 0 {
                    let mut buffer = vec![0; (random >> 40 & 0xfff) as usize];
                    let read = ring.read(&mut buffer);
                    let whole: Vec<u8> = kept.iter().flatten().copied().take(read).collect();
                    assert_eq!(&buffer[..read], whole);
                    let records = Records::new(&buffer[..read]).count();
                    kept.drain(..records);
                    assert!(kept.front().is_none_or(|next| next.len() > buffer.len() - read), "as many as fit");
                }
            }
            assert!(lost > 1000 && used > Ring::BYTES_MIN - 2 * RECORD_MAX);
        }
    }

    #[test]
    fn a_ring_has_a_smallest_size() {
        assert!(Ring::new(Ring::BYTES_MIN - 1).is_none());
        let mut ring = Ring::new(Ring::BYTES_MIN).unwrap();
        assert!((ring.is_empty(), ring.oldest(), ring.overwritten()) == (true, None, 0));
    }
}
