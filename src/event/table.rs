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
    /// A set that lost a leg wants another.
    7 LegWanted Sets Info { set: Id = "" }

    /// A message came in order on a leg, and was delivered at once.
    16 InOrder Messages Trace { set: Id = "", leg: Id = "", number: u64 = "of the message in its set", command: u8 = "a relay command", bytes: u16 = "bytes of its body" }
    /// A message came before its turn and is held: `missing` has to come first.
    17 Held Messages Debug { set: Id = "", leg: Id = "", number: u64 = "of the message in its set", missing: u64 = "the number that is next", bytes: u16 = "bytes of its body", held: u32 = "messages that the set holds now" }
    /// A message that was held had its turn, and was delivered.
    18 Released Messages Trace { set: Id = "", leg: Id = "0: the leg has gone", number: u64 = "of the message in its set", bytes: u16 = "bytes of its body" }
    /// SWITCH came: the leg leaves numbers out.
    19 SwitchReceived Messages Debug { set: Id = "", leg: Id = "", delta: u32 = "numbers left out", number: u64 = "of the leg's last message, from now on" }

    /// One leg of those that a choice looked at, in the order of the set; the choice follows.
    32 LegLooked Choice Trace { set: Id = "", leg: Id = "", rtt: u64 = "ns; 0: not known", cwnd: u32 = "cells", in_flight: u32 = "cells", state: u8 = "0 ready, 1 not linked, 2 window full, 3 channel full, 4 blocked by padding" }
    /// A leg was chosen for a message, which is counted as sent on it.
    33 Sent Choice Trace { set: Id = "", leg: Id = "", number: u64 = "of the message in its set", command: u8 = "a relay command" }
    /// A SWITCH goes before the next message: another leg sends from now on.
    34 SwitchSent Choice Debug { set: Id = "", leg: Id = "that sends now", delta: u32 = "numbers left out" }
    /// A message was refused, as no leg has room.
    35 Refused Choice Debug { set: Id = "", legs: u8 = "legs of the set", full: u8 = "of them, those whose window is full", blocked: u8 = "of them, those that are blocked" }
    /// The host is told that it may send again, on a set or a circuit.
    36 MaySend Choice Debug { set: Id = "0: a circuit", circuit: Id = "0: a set" }
    /// A message waits, as padding blocks the legs.
    37 HeldForSending Choice Debug { set: Id = "0: a circuit", circuit: Id = "0: a set", command: u8 = "a relay command", waiting: u32 = "messages that wait so" }

    /// A host has reported how a leg stands.
    48 Reported Windows Trace { circuit: Id = "", cwnd: u32 = "cells", in_flight: u32 = "cells", rtt: u64 = "ns", flags: u8 = "1 slow start, 2 blocked" }
    /// A SENDME came, and moved the window of its hop.
    49 SendmeReceived Windows Trace { circuit: Id = "", hop: u8 = "", cwnd: u32 = "cells", in_flight: u32 = "cells", rtt: u64 = "ns, smoothed", slow_start: u8 = "0 or 1" }
    /// A SENDME is owed, and goes out.
    50 SendmeSent Windows Trace { circuit: Id = "", hop: u8 = "" }

    /// XOFF came or went: a stream stops.
    64 Xoff Streams Debug { stream: Id = "", received: u8 = "1 received, 0 sent", buffered: u32 = "bytes" }
    /// XON came or went: a stream goes on.
    65 Xon Streams Debug { stream: Id = "", received: u8 = "1 received, 0 sent", rate: u32 = "kB/s; 0: no limit" }

    /// Cells wait at a side of a circuit: its source is asked to pause.
    80 FeedPaused Edges Debug { circuit: Id = "", side: u8 = "of the source: 0 back, 1 next", waiting: u32 = "cells" }
    /// Its source may go on.
    81 FeedUnpaused Edges Debug { circuit: Id = "", side: u8 = "of the source: 0 back, 1 next", waiting: u32 = "cells" }
    /// The channel of one side is full, or takes cells again.
    82 Writable Edges Debug { circuit: Id = "", side: u8 = "0 back, 1 next", writable: u8 = "0 or 1", waiting: u32 = "cells" }

    /// A padding cell is to be sent.
    96 PaddingSent Padding Trace { circuit: Id = "", hop: u8 = "", slot: u8 = "of the padder", machine: u32 = "its index", flags: u8 = "1 bypass, 2 replace" }
    /// A padding cell came.
    97 PaddingReceived Padding Trace { circuit: Id = "", hop: u8 = "" }
    /// Padding blocks a circuit, or does so no longer.
    98 Blocked Padding Debug { circuit: Id = "", blocked: u8 = "0 or 1", bypassable: u8 = "0 or 1" }

    /// A cap on memory was reached.
    112 CapReached Memory Warn { cap: u8 = "1 the set's, 2 the engine's, 3 the hub's", wanted: u64 = "bytes", held: u64 = "bytes that the engine holds" }
    /// A set or circuit was closed to make room.
    113 Victim Memory Warn { victim: Id = "a set or a circuit", bytes: u64 = "that it held", age: u64 = "ns, of its oldest message" }

    /// A message went to a leg on another engine, or came from one.
    128 Crossed Hub Trace { leg: Id = "", came: u8 = "1 came, 0 went", number: u64 = "0: it has none yet", bytes: u16 = "bytes of its body" }

    /// A peer broke the protocol: a circuit or a set is closed for it.
    144 Fault Faults Warn { who: Id = "a circuit or a set", status: i32 = "a status" }
}
