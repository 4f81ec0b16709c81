//! The flight recorder: the newest events of an engine, handed out in pieces that explain themselves.

use super::record::{self, Piece, PIECE, RECORD_MAX, VERSION};
use super::ring::Ring;
use super::table::{Class, Event};
use crate::base::{limits, Nanos};

/// The newest events of some classes.
#[derive(Debug)]
pub struct Recorder {
    ring: Ring,
    classes: u32,
    /// Records overwritten before the last piece was read.
    told: u64,
}

impl Recorder {
    /// The smallest buffer that [`Recorder::read`] takes: a piece with one record of the longest kind.
    pub const READ_MIN: usize = PIECE + RECORD_MAX;

    /// Keeps events of these classes in `bytes` bytes. None when there can be no ring of that size.
    pub fn new(bytes: usize, classes: u32) -> Option<Recorder> {
        let ring = Ring::new(bytes).filter(|_| bytes <= limits::RECORD_BYTES_LIMIT)?;
        Some(Recorder { ring, classes: classes & Class::EVERY, told: 0 })
    }

    /// The classes that are kept, as bits.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// Keeps an event, if its class is kept.
    #[inline(always)]
    pub fn record(&mut self, now: Nanos, engine: u32, event: &Event) {
        if self.classes & event.class().bit() != 0 {
            self.write(now, engine, event);
        }
    }

    /// Keeps an event of a class that is kept.
    #[inline(always)]
    pub fn write(&mut self, now: Nanos, engine: u32, event: &Event) {
        let len = self.put(now, engine, event);
        self.ring.keep(len);
    }

    /// Keeps events of one class, `most` of them, if the class is kept.
    #[inline(always)]
    pub fn record_each(
        &mut self,
        now: Nanos,
        engine: u32,
        class: Class,
        most: usize,
        events: impl Iterator<Item = Event>,
    ) {
        if self.classes & class.bit() == 0 {
            return;
        }
        if most > Ring::AT_ONCE {
            for event in events {
                let len = self.put(now, engine, &event);
                self.ring.keep(len);
            }
            return;
        }
        self.ring.make_room(most);
        let (mut room, mut len, mut records) = (self.ring.rest(), 0, 0);
        for event in events {
            let Some(first) = room.first_chunk_mut() else { break };
            let more = record::write(&event, engine, now, first);
            (len, records) = (len + more, records + 1);
            room = room.get_mut(more..).unwrap_or_default();
        }
        self.ring.keep_some(len, records);
    }

    #[inline(always)]
    fn put(&mut self, now: Nanos, engine: u32, event: &Event) -> usize {
        match self.ring.room() {
            Some(room) => record::write(event, engine, now, room),
            None => 0,
        }
    }

    /// How many records were ever overwritten.
    pub fn overwritten(&self) -> u64 {
        self.ring.overwritten()
    }

    /// True when half of the ring is in use: time to read, as later records would overwrite some.
    pub fn is_half_full(&self) -> bool {
        self.ring.len() * 2 >= self.ring.capacity()
    }

    /// Moves the oldest records into `buffer`, as many as fit, as one piece. Answers its bytes, 0 when nothing is
    /// there, and how many records were overwritten since the last piece. None when the buffer is too small for a piece
    /// with one record.
    pub fn read(&mut self, engine: u32, buffer: &mut [u8]) -> Option<(usize, u64)> {
        if buffer.len() < Self::READ_MIN {
            return None;
        }
        let Some(oldest) = self.ring.oldest() else { return Some((0, 0)) };
        let lost = self.ring.overwritten() - self.told;
        self.told = self.ring.overwritten();
        let (head, rest) = buffer.split_at_mut(PIECE);
        Piece { version: VERSION, classes: self.classes, overwritten: lost }.write(engine, oldest, head);
        Some((PIECE + self.ring.read(rest), lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Id;
    use crate::event::record::{Records, PIECE_NUMBER};

    const SETS: u32 = Class::Sets.bit();

    #[test]
    fn a_piece_says_what_was_lost_before_it() {
        let mut recorder = Recorder::new(Ring::BYTES_MIN, SETS | 1 << 31).unwrap();
        assert_eq!(recorder.classes(), SETS, "a class that there is not is not kept");
        let mut buffer = vec![0; 4096];
        assert_eq!(recorder.read(1, &mut buffer), Some((0, 0)), "nothing yet, and so no piece");
        for number in 0..1000 {
            recorder.record(number, 1, &Event::SetUsable { set: Id(number) });
            recorder.record(number, 1, &Event::SendmeSent { circuit: Id(number), hop: 1 });
        }
        assert!(recorder.is_half_full());
        assert_eq!(recorder.read(1, &mut buffer[..Recorder::READ_MIN - 1]), None);
        let (mut pieces, mut records, mut lost) = (0, 0, 0);
        let mut next = 0;
        for len in [Recorder::READ_MIN, 4096] {
            let (written, lost_now) = recorder.read(1, &mut buffer[..len]).unwrap();
            for (header, fields) in Records::new(&buffer[..written]) {
                if header.number == PIECE_NUMBER {
                    assert_eq!(Piece::read(fields).unwrap().overwritten, lost_now);
                    (pieces, lost) = (pieces + 1, lost + lost_now);
                    next += lost_now;
                } else {
                    assert_eq!(header.time, next);
                    (records, next) = (records + 1, next + 1);
                }
            }
        }
        assert_eq!((pieces, records + lost), (2, 1000));
        assert_eq!(recorder.read(1, &mut buffer), Some((0, 0)));
    }

    #[test]
    fn a_recorder_has_a_smallest_and_a_largest_size() {
        for (bytes, there) in [(0, false), (Ring::BYTES_MIN - 1, false), (Ring::BYTES_MIN, true)] {
            assert_eq!(Recorder::new(bytes, SETS).is_some(), there, "{bytes}");
        }
        let limit = limits::RECORD_BYTES_LIMIT;
        for (bytes, there) in [(limit - 8, true), (limit, true), (limit + 1, false)] {
            assert_eq!(Recorder::new(bytes, SETS).is_some(), there, "{bytes}");
        }
    }
}
