//! The table of events. A line is all that a new kind needs here; `docs/events.md` has a row for it.

use super::record::{Field, Put};
use crate::base::Id;

/// The classes of events: a host records some of them, or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// The life of sets and of their legs.
    Sets,
    /// Multiplexed messages that come, and what becomes of them.
    Messages,
    /// Messages that go: which leg, and why.
    Choice,
    /// Windows, round trips, SENDMEs.
    Windows,
    /// Streams: XOFF, XON, and their end.
    Streams,
    /// Cells that wait for a channel.
    Edges,
    /// Padders: events, timers, blocks, and cells.
    Padding,
    /// Caps, and who was closed at one.
    Memory,
    /// Messages that cross between engines.
    Hub,
    /// Faults of peers.
    Faults,
}

impl Class {
    /// All classes, in the order of their bits.
    pub const ALL: [Class; 10] = [
        Class::Sets,
        Class::Messages,
        Class::Choice,
        Class::Windows,
        Class::Streams,
        Class::Edges,
        Class::Padding,
        Class::Memory,
        Class::Hub,
        Class::Faults,
    ];

    /// The bit of this class among those that a host wants.
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// How much a log line of an event matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The peer is at fault, or a cap was reached.
    Warn,
    /// The life of a set or a leg.
    Info,
    /// A decision that changes something.
    Debug,
    /// One message, one cell, one report.
    Trace,
}

/// A kind of event: a row of the table.
#[derive(Debug)]
pub struct Kind {
    /// Its number in a record. A number is never used again for another kind.
    pub number: u16,
    /// Its name in the table and in every export.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// The level of its log line.
    pub level: Level,
    /// What happened, in a sentence.
    pub doc: &'static str,
    /// Its fields, in the order of a record.
    pub fields: &'static [Field],
}

macro_rules! events {
    ($(
        $(#[doc = $doc:literal])+
        $number:literal $name:ident $class:ident $level:ident { $($field:ident: $of:ty = $unit:literal),* $(,)? }
    )+) => {
        /// An event, with its fields.
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub enum Event {
            $(
                $(#[doc = $doc])+
                $name {
                    $(#[doc = $unit] $field: $of,)*
                },
            )+
        }

        /// The table.
        pub static KINDS: &[Kind] = &[$(Kind {
            number: $number,
            name: stringify!($name),
            class: Class::$class,
            level: Level::$level,
            doc: concat!($($doc),+),
            fields: &[$(Field { name: stringify!($field), width: <$of as Put>::WIDTH, is_id: <$of as Put>::IS_ID,
                is_signed: <$of as Put>::IS_SIGNED, unit: $unit }),*],
        }),+];

        impl Event {
            /// The number of its kind.
            #[inline]
            pub const fn number(&self) -> u16 {
                match self {
                    $(Event::$name { .. } => $number,)+
                }
            }

            /// The class of its kind.
            #[inline]
            pub const fn class(&self) -> Class {
                match self {
                    $(Event::$name { .. } => Class::$class,)+
                }
            }

            /// Writes its fields one behind the other, and returns how many bytes they take.
            #[inline]
            pub(super) fn put(&self, to: &mut [u8; super::record::FIELDS_MAX]) -> usize {
                #[allow(unused_mut, unused_assignments, reason = "kinds without fields")]
                let mut at = 0;
                match *self {
                    $(Event::$name { $($field),* } => {
                        $(at = $field.put(to, at);)*
                    })+
                }
                at
            }
        }
    };
}

events! {
    /// A set was opened: by this host (0), or by a peer's LINK (1).
    1 SetOpened Sets Info { set: Id = "", by_peer: u8 = "0 or 1" }
    /// A leg took a step of the link handshake.
    2 LegStep Sets Debug { set: Id = "", leg: Id = "", step: u8 = "1 building, 2 LINK sent, 3 LINKED sent, 4 acknowledged" }
    /// A leg is linked.
    3 LegLinked Sets Info { set: Id = "", leg: Id = "", rtt: u64 = "ns, of the handshake" }
    /// A set can carry streams.
    4 SetUsable Sets Info { set: Id = "" }
    /// A set lost a leg.
    5 LegLost Sets Info { set: Id = "", leg: Id = "", cause: i32 = "a status" }
    /// A set has ended.
    6 SetEnded Sets Info { set: Id = "", cause: i32 = "a status" }
}
