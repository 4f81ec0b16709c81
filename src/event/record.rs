//! The bytes of an event. A record is a head of 16 bytes and the fields behind one another, as they stand in the table,
//! each in little-endian order; zeros fill it up to a multiple of 8 bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 0, 1 | the number of the kind; 0 for a filler, which says nothing |
//! | 2, 3 | the length of the record in units of 8 bytes, the head included |
//! | 4 to 7 | the engine's number |
//! | 8 to 15 | the time, in ns of the engine's clock |
//!
//! Records come in pieces, each of which begins with a [`Piece`]. A reader skips a kind that it does not know by its
//! length. So a new kind, or a new field at the end of a kind, needs no new version.

use super::table::{Event, Kind, KINDS};
use crate::base::{Id, Nanos};

/// The version of the layout. It changes when the head of a record, or the meaning of a kind, does.
pub const VERSION: u16 = 1;
/// The head of a record, in bytes.
pub const HEAD: usize = 16;
/// The most that the fields of one event take, in bytes.
pub const FIELDS_MAX: usize = 64;
/// The longest record, in bytes.
pub const RECORD_MAX: usize = HEAD + FIELDS_MAX;

/// A field of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Bytes that it takes: 1, 2, 4 or 8.
    pub width: u8,
    /// An id of the engine.
    pub is_id: bool,
    /// A number below 0 is possible.
    pub is_signed: bool,
    /// Its unit, or what its values mean.
    pub unit: &'static str,
}

/// A value of a field.
pub(super) trait Put: Copy {
    const WIDTH: u8;
    const IS_ID: bool = false;
    const IS_SIGNED: bool = false;
    /// Writes it at `at`, and returns where it ends.
    fn put(self, to: &mut [u8; FIELDS_MAX], at: usize) -> usize;
}

macro_rules! numbers {
    ($($of:ty: $width:literal, $signed:literal;)+) => {$(
        impl Put for $of {
            const WIDTH: u8 = $width;
            const IS_SIGNED: bool = $signed;
            #[inline(always)]
            fn put(self, to: &mut [u8; FIELDS_MAX], at: usize) -> usize {
                if let Some(room) = to.get_mut(at..at + $width) {
                    room.copy_from_slice(&self.to_le_bytes());
                }
                at + $width
            }
        }
    )+};
}

numbers! {
    u8: 1, false;
    u16: 2, false;
    u32: 4, false;
    u64: 8, false;
    i32: 4, true;
}

impl Put for Id {
    const WIDTH: u8 = 8;
    const IS_ID: bool = true;
    #[inline(always)]
    fn put(self, to: &mut [u8; FIELDS_MAX], at: usize) -> usize {
        self.0.put(to, at)
    }
}

/// Lays an event out at the beginning of `to`, and returns the bytes of the record. Where the kind is known, this is a
/// store for each field and two for the head.
#[inline(always)]
pub fn write(event: &Event, engine: u32, now: Nanos, to: &mut [u8; RECORD_MAX]) -> usize {
    let Some((head, fields)) = to.split_first_chunk_mut::<HEAD>() else { return 0 };
    let Some(fields) = fields.first_chunk_mut::<FIELDS_MAX>() else { return 0 };
    // The last field is filled up with zeros to a multiple of 8 bytes: only the last word can be short.
    let len = event.len();
    if let Some(last) = len.checked_sub(8).and_then(|at| fields.get_mut(at..len)) {
        last.fill(0);
    }
    event.put(fields);
    write_head(head, event.number(), HEAD + len, engine, now);
    HEAD + len
}

#[inline(always)]
fn write_head(head: &mut [u8; HEAD], number: u16, len: usize, engine: u32, now: Nanos) {
    head[..4].copy_from_slice(&(u32::from(number) | (len as u32 / 8) << 16).to_le_bytes());
    head[4..8].copy_from_slice(&engine.to_le_bytes());
    head[8..].copy_from_slice(&now.to_le_bytes());
}

/// The record with which each piece begins. So any run of pieces, one behind the other in a file, explains itself.
///
/// | bytes | what |
/// |---|---|
/// | 0 to 15 | a head; its kind is the two letters `CF`, and its time that of the piece's oldest record |
/// | 16 to 23 | the letters `CIRCFLOW` |
/// | 24, 25 | the [`VERSION`] |
/// | 26, 27 | zeros |
/// | 28 to 31 | the classes that were recorded, as bits |
/// | 32 to 39 | how many records were overwritten since the piece before |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The version of the layout.
    pub version: u16,
    /// The classes that were recorded, as bits.
    pub classes: u32,
    /// Records that were overwritten since the piece before, as nobody had read them.
    pub overwritten: u64,
}

/// The number that stands in the place of a kind at the beginning of a piece.
pub const PIECE_NUMBER: u16 = u16::from_le_bytes(*b"CF");
/// Bytes of the beginning of a piece.
pub const PIECE: usize = 40;
const MAGIC: &[u8; 8] = b"CIRCFLOW";

impl Piece {
    /// Writes it into the first [`PIECE`] bytes of `to`, with the engine's number and the time of the first record.
    pub fn write(&self, engine: u32, oldest: Nanos, to: &mut [u8]) {
        let Some((head, rest)) = to.split_first_chunk_mut::<HEAD>() else { return };
        write_head(head, PIECE_NUMBER, PIECE, engine, oldest);
        let Some(rest) = rest.first_chunk_mut::<{ PIECE - HEAD }>() else { return };
        rest[..8].copy_from_slice(MAGIC);
        rest[8..10].copy_from_slice(&self.version.to_le_bytes());
        rest[10..12].fill(0);
        rest[12..16].copy_from_slice(&self.classes.to_le_bytes());
        rest[16..].copy_from_slice(&self.overwritten.to_le_bytes());
    }

    /// Reads what stands behind the head of a record whose number is [`PIECE_NUMBER`]. None when it is not ours.
    #[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
    pub fn read(fields: &[u8]) -> Option<Piece> {
        let fields = fields.first_chunk::<{ PIECE - HEAD }>()?;
        let version = u16::from_le_bytes([fields[8], fields[9]]);
        let classes = u32::from_le_bytes(*fields.get(12..16)?.first_chunk()?);
        let overwritten = u64::from_le_bytes(*fields.get(16..24)?.first_chunk()?);
        (&fields[..8] == MAGIC).then_some(Piece { version, classes, overwritten })
    }
}

/// The head of a record that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The number of its kind; 0 for a filler.
    pub number: u16,
    /// Bytes of the record, the head included.
    pub len: usize,
    /// The engine's number.
    pub engine: u32,
    /// The time, in ns of the engine's clock.
    pub time: Nanos,
}

impl Header {
    /// Reads the head at the beginning of `bytes`. None where they end before it does, or its length is none.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let two = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let len = usize::from(two(2)?) * 8;
        let engine = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
        let time = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        (len >= HEAD).then_some(Header { number: two(0)?, len, engine, time })
    }

    /// The row of its kind; none for a filler, and for a kind of a later version.
    #[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
    pub fn kind(&self) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.number == self.number)
    }
}

/// A value that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
pub enum Value {
    /// A number, or an id.
    Unsigned(u64),
    /// A number that may be below 0.
    Signed(i64),
}

/// Reads the records of a piece one after the other.
#[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
pub struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Begins with the first byte of a record.
    #[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
    pub fn new(bytes: &'a [u8]) -> Records<'a> {
        Records { bytes }
    }

    /// Bytes that are left: some, when the last record is cut or the bytes are none of ours.
    #[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::read(self.bytes)?;
        let (record, rest) = self.bytes.split_at_checked(header.len)?;
        self.bytes = rest;
        Some((header, record.get(HEAD..).unwrap_or_default()))
    }
}

/// The values of a record's fields, as far as it has them.
#[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
pub fn values<'a>(kind: &'static Kind, fields: &'a [u8]) -> impl Iterator<Item = (&'static Field, Value)> + 'a {
    let mut at = 0;
    kind.fields.iter().map_while(move |field| {
        let width = usize::from(field.width);
        let bytes = fields.get(at..at + width)?;
        at += width;
        let mut whole = [0; 8];
        whole[..width].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(whole);
        let shift = 64 - 8 * u32::from(field.width);
        Some((
            field,
            if field.is_signed {
                Value::Signed((unsigned << shift) as i64 >> shift)
            } else {
                Value::Unsigned(unsigned)
            },
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_number_and_fits() {
        let mut numbers: Vec<u16> = KINDS.iter().map(|kind| kind.number).collect();
        assert!(numbers.is_sorted() && !numbers.contains(&0));
        numbers.dedup();
        assert_eq!(numbers.len(), KINDS.len());
        for kind in KINDS {
            let len: usize = kind.fields.iter().map(|field| usize::from(field.width)).sum();
            assert!(len <= FIELDS_MAX, "{}", kind.name);
        }
    }

    #[test]
    fn an_event_reads_back_as_it_was() {
        let event = Event::LegLost { set: Id(1 << 40), leg: Id(3), cause: -306 };
        let mut bytes = [255; RECORD_MAX];
        let len = write(&event, 9, 1234, &mut bytes);
        let mut reader = Records::new(&bytes[..len]);
        let (header, fields) = reader.next().unwrap();
        assert_eq!((header.number, header.len, header.engine, header.time), (event.number(), 40, 9, 1234));
        let kind = header.kind().unwrap();
        let read: Vec<_> = values(kind, fields).map(|(field, value)| (field.name, value)).collect();
        let expected = [("set", Value::Unsigned(1 << 40)), ("leg", Value::Unsigned(3)), ("cause", Value::Signed(-306))];
        assert_eq!(read, expected);
        assert!(reader.next().is_none() && reader.rest().is_empty());
    }

    #[test]
    fn a_piece_reads_back_and_foreign_ones_do_not() {
        let mut bytes = [255; PIECE];
        let piece = Piece { version: VERSION, classes: 0x8001, overwritten: 1 << 40 };
        piece.write(3, 77, &mut bytes);
        assert_eq!(&bytes[..2], b"CF");
        let (header, fields) = Records::new(&bytes).next().unwrap();
        assert_eq!((header.number, header.engine, header.time), (PIECE_NUMBER, 3, 77));
        assert_eq!(Piece::read(fields), Some(piece));
        bytes[HEAD] = b'X';
        assert_eq!(Piece::read(&bytes[HEAD..]), None);
        assert_eq!(Piece::read(&bytes[HEAD + 1..]), None);
    }

    #[test]
    fn what_was_in_the_room_before_does_not_stay_in_a_record() {
        let mut bytes = [255; RECORD_MAX];
        let len = write(&Event::LegStep { set: Id(1), leg: Id(2), step: 3 }, 1, 1, &mut bytes);
        assert_eq!(&bytes[HEAD + 16..len], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[len], 255, "and nothing behind it is touched");
    }

    #[test]
    fn cut_and_foreign_bytes_end_the_reading() {
        let mut bytes = [255; RECORD_MAX];
        let whole = write(&Event::SetUsable { set: Id(5) }, 1, 1, &mut bytes);
        for len in 0..whole {
            assert!(Records::new(&bytes[..len]).next().is_none(), "{len}");
        }
        assert!(Records::new(&[0; 64]).next().is_none(), "a record of no length");
        assert!(Records::new(&[255; 64]).next().is_none());
    }
}
