//! A ring of bytes that keeps the newest records.

use super::record::{Header, HEAD, RECORD_MAX};
use crate::base::Nanos;

/// The newest records, in at most so many bytes. A record is never torn: it stands in one piece.
#[derive(Debug)]
pub struct Ring {
    bytes: Box<[u8]>,
    /// Where the oldest record begins, and where the next will.
    first: usize,
    next: usize,
    /// Bytes from `first` on that are in use; fillers are.
    used: usize,
    overwritten: u64,
    /// For a room that cannot be missing.
    spare: [u8; RECORD_MAX],
}

impl Ring {
    /// The smallest ring, in bytes.
    pub const BYTES_MIN: usize = 1 << 12;

    /// An empty ring of `bytes` bytes, rounded down to a multiple of 8. None below [`Ring::BYTES_MIN`].
    pub fn new(bytes: usize) -> Option<Ring> {
        (bytes >= Ring::BYTES_MIN).then(|| Ring {
            bytes: vec![0; bytes / 8 * 8].into_boxed_slice(),
            first: 0,
            next: 0,
            used: 0,
            overwritten: 0,
            spare: [0; RECORD_MAX],
        })
    }

    /// Room for the next record, of whatever kind. The oldest records make room for it. [`Ring::keep`] keeps it.
    #[inline]
    pub fn room(&mut self) -> &mut [u8; RECORD_MAX] {
        let end = self.bytes.len() - self.next;
        if end < RECORD_MAX {
            self.wrap(end);
        }
        while self.bytes.len() - self.used < RECORD_MAX {
            self.drop_first();
        }
        // There is room, as no ring is smaller than `BYTES_MIN`.
        match self.bytes.get_mut(self.next..).and_then(|room| room.first_chunk_mut()) {
            Some(room) => room,
            None => &mut self.spare,
        }
    }

    /// Keeps the record that was written into the room, and is `len` bytes long.
    #[inline]
    pub fn keep(&mut self, len: usize) {
        self.used += len;
        self.next += len;
        if self.next == self.bytes.len() {
            self.next = 0;
        }
    }

    /// Leaves out the last `end` bytes, as the next record does not fit there.
    #[cold]
    fn wrap(&mut self, end: usize) {
        while self.bytes.len() - self.used < end {
            self.drop_first();
        }
        self.used += end;
        let filler = [0, 0, (end / 8) as u8, (end / 8 / 256) as u8];
        if let Some(room) = self.bytes.get_mut(self.next..self.next + 4) {
            room.copy_from_slice(&filler);
        }
        self.next = 0;
    }

    /// The length of what begins at `at`, and whether it is a record and not a filler.
    fn look(&self, at: usize) -> (usize, bool) {
        let head = self.bytes.get(at..at + 4).unwrap_or(&[0; 4]);
        let len = usize::from(u16::from_le_bytes([head[2], head[3]])) * 8;
        (len.max(8), head[..2] != [0, 0])
    }

    fn drop_first(&mut self) {
        let (len, is_record) = self.look(self.first);
        self.overwritten += u64::from(is_record);
        self.pass(len);
    }

    fn pass(&mut self, len: usize) {
        self.used = self.used.saturating_sub(len);
        self.first = (self.first + len) % self.bytes.len();
        if self.used == 0 {
            (self.first, self.next) = (0, 0);
        }
    }

    /// Moves the oldest records into `buffer`, as many whole ones as fit, and returns their bytes.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut at = 0;
        while self.used > 0 {
            let (len, is_record) = self.look(self.first);
            if is_record {
                let Some(room) = buffer.get_mut(at..at + len) else { break };
                room.copy_from_slice(self.bytes.get(self.first..self.first + len).unwrap_or_default());
                at += len;
            }
            self.pass(len);
        }
        at
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Bytes that it has.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// True when it keeps nothing.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Records that made room for newer ones, and were not read.
    pub fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// The time of the oldest record.
    pub fn oldest(&self) -> Option<Nanos> {
        if self.used == 0 {
            return None;
        }
        let at = if self.look(self.first).1 { self.first } else { 0 };
        let head = self.bytes.get(at..at + HEAD)?;
        Header::read(head).map(|header| header.time)
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
                ring.room()[..bytes.len()].copy_from_slice(&bytes);
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
        let ring = Ring::new(Ring::BYTES_MIN).unwrap();
        assert!((ring.is_empty(), ring.oldest(), ring.overwritten()) == (true, None, 0));
    }
}
