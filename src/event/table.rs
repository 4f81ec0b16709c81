//! The table of events. A line is all that a new kind needs here; `docs/events.md` has a row for it.

use super::log::{LogLine, Names};
use super::record::{Field, Put};
use crate::base::{Id, Nanos};

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
    /// Padders: events, timers, blocks, cells, refusals, negotiation.
    Padding,
    /// Caps, and who was closed at one.
    Memory,
    /// Messages that cross between engines.
    Hub,
    /// Faults of peers.
    Faults,
    /// What the host does to the engine: its clock, and recording.
    Host,
    /// States of padding machines: each event that padders are told of costs thousands of instructions more.
    States,
}

impl Class {
    /// All classes, in the order of their bits.
    pub const ALL: [Class; 12] = [
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
        Class::Host,
        Class::States,
    ];

    /// The bits of all classes.
    pub const EVERY: u32 = (1 << Class::ALL.len()) - 1;

    /// What has to be asked for where these classes are wanted. Who wants states of machines hears of padders: so the
    /// quick ways ask for one class only.
    pub const fn asked_for(classes: u32) -> u32 {
        let padders = if classes & Class::States.bit() == 0 { 0 } else { Class::Padding.bit() };
        classes | padders
    }

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
    #[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
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
    #[allow(dead_code, reason = "for those who read records: circflow-trace, and tests")]
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
            #[inline(always)]
            pub const fn number(&self) -> u16 {
                match self {
                    $(Event::$name { .. } => $number,)+
                }
            }

            /// The class of its kind.
            #[inline(always)]
            pub const fn class(&self) -> Class {
                match self {
                    $(Event::$name { .. } => Class::$class,)+
                }
            }

            /// The level of its kind.
            #[inline(always)]
            pub const fn level(&self) -> Level {
                match self {
                    $(Event::$name { .. } => Level::$level,)+
                }
            }

            /// The place of its kind in the table.
            pub(super) const fn index(&self) -> usize {
                enum At { $($name),+ }
                match self {
                    $(Event::$name { .. } => At::$name as usize,)+
                }
            }

            /// Makes its log line.
            #[cold]
            #[inline(never)]
            pub(super) fn log(&self, engine: u32, names: &Names) {
                let Some(kind) = KINDS.get(self.index()) else { return };
                let mut fields = [0; super::record::FIELDS_MAX];
                self.put(&mut fields);
                let line = LogLine::new(kind, &fields, names);
                match self {
                    $(Event::$name { .. } => {
                        const LEVEL: tracing::Level = Level::$level.severity();
                        let [$($field,)* ..] = &line.told;
                        tracing::event!(
                            name: stringify!($name),
                            target: "circflow",
                            LEVEL,
                            { engine = engine $(, $field = $field.value())* },
                            "{line}"
                        );
                    })+
                }
            }

            /// Bytes that its fields take in a record: a multiple of 8.
            #[inline(always)]
            pub(super) const fn len(&self) -> usize {
                match self {
                    $(Event::$name { .. } => {
                        const { (0usize $(+ <$of as Put>::WIDTH as usize)*).next_multiple_of(8) }
                    })+
                }
            }

            /// Has it recorded. There is code for each kind, which makes each a few stores.
            pub(super) fn record(self, recorder: &mut super::Recorder, now: Nanos, engine: u32) {
                match self {
                    $(Event::$name { $($field),* } => recorder.record(now, engine, &Event::$name { $($field),* }),)+
                }
            }

            /// Writes its fields one behind the other.
            #[inline(always)]
            #[allow(unused_assignments, reason = "the last field ends, and none follows")]
            pub(super) fn put(&self, to: &mut [u8; super::record::FIELDS_MAX]) {
                let mut at = 0;
                match *self {
                    $(Event::$name { $($field),* } => {
                        $(at = $field.put(to, at);)*
                    })+
                }
            }
        }
    };
}

events! {
    /// A set was opened: by this host, or by a peer's LINK.
    1 SetOpened Sets Info { set: Id = "an id", by_peer: u8 = "0 no, 1 yes" }
    /// A leg took a step of the link handshake.
    2 LegStep Sets Debug { set: Id = "an id", leg: Id = "an id",
        step: u8 = "1 building, 2 LINK sent, 3 LINKED sent, 4 LINKED_ACK sent, 5 LINKED_ACK received, \
            6 LINK received, 7 LINKED received" }
    /// A leg is linked.
    3 LegLinked Sets Info { set: Id = "an id", leg: Id = "an id", rtt: u64 = "ns, of the handshake; 0: not measured" }
    /// A set can carry streams.
    4 SetUsable Sets Info { set: Id = "an id" }
    /// A set lost a leg.
    5 LegLost Sets Info { set: Id = "an id", leg: Id = "an id", cause: i32 = "a status; 0: the host closed it" }
    /// A set has ended.
    6 SetEnded Sets Info { set: Id = "an id", cause: i32 = "a status; 0: the host ended it" }
    /// A set that lost a leg wants another.
    7 LegWanted Sets Info { set: Id = "an id" }

    /// A message came in order on a leg, and was delivered at once.
    16 InOrder Messages Trace { set: Id = "an id", leg: Id = "an id", number: u64 = "of the message in its set",
        command: u8 = "a relay command" }
    /// A message came before its turn and is held: another has to come first. (What comes on a leg of another engine is
    /// always held first.)
    17 Held Messages Debug { set: Id = "an id", leg: Id = "an id", number: u64 = "of the message in its set",
        missing: u64 = "the number that is next in the set", held: u32 = "messages that the set holds now",
        bytes: u32 = "that the message costs" }
    /// A message that was held had its turn, and was delivered. The set may have ended meanwhile.
    18 Released Messages Trace { set: Id = "an id", number: u64 = "of the message in its set",
        held: u32 = "messages that the set still holds" }
    /// A SWITCH came: the leg leaves numbers out.
    19 SwitchReceived Messages Debug { set: Id = "an id", leg: Id = "an id", delta: u32 = "numbers left out",
        number: u64 = "that the leg's last message has now" }

    /// A leg of a set at the moment of a choice. One comes for each leg, in the set's order; the choice follows. (None
    /// while the leg of the last message stays the best and has room: then nothing is chosen.)
    32 LegLooked Choice Trace { set: Id = "an id", leg: Id = "an id", rtt: u64 = "ns; 0: not measured",
        cwnd: u32 = "cells", in_flight: u32 = "cells",
        state: u8 = "0 ready, 1 not linked, 2 window full, 3 channel full, 4 blocked by padding" }
    /// A message goes out on a leg, and is counted as sent on it.
    33 Sent Choice Trace { set: Id = "an id", leg: Id = "an id", number: u64 = "of the message in its set",
        command: u8 = "a relay command" }
    /// A SWITCH goes before the message: another leg sends from now on.
    34 SwitchSent Choice Debug { set: Id = "an id", leg: Id = "that sends now", delta: u32 = "numbers left out" }
    /// A message was refused. The host waits for MAY_SEND.
    35 Refused Choice Debug { set: Id = "an id", legs: u8 = "legs of the set",
        why: u8 = "1 no leg has room, 2 as many messages wait as may, 3 no memory to hold it" }
    /// A host that was refused is told that it may send again.
    36 MaySend Choice Debug { set: Id = "an id" }
    /// A message waits here, as padding blocks the legs.
    37 HeldForSending Choice Debug { set: Id = "an id",
        waiting: u32 = "messages of the set that wait so, or that the host has not taken yet" }

    /// A host has reported how a leg stands.
    48 Reported Windows Trace { circuit: Id = "an id", cwnd: u32 = "cells", in_flight: u32 = "cells",
        rtt: u64 = "ns; 0: as before", slow_start: u8 = "0 no, 1 yes", blocked: u8 = "0 no, 1 yes" }
    /// A SENDME came, and moved the window of its hop.
    49 SendmeReceived Windows Trace { circuit: Id = "an id", hop: u8 = "of the circuit", cwnd: u32 = "cells",
        in_flight: u32 = "cells", rtt: u64 = "ns, smoothed", slow_start: u8 = "0 no, 1 yes" }
    /// A SENDME goes out.
    50 SendmeSent Windows Trace { circuit: Id = "an id", hop: u8 = "of the circuit" }

    /// A stream is open.
    64 StreamOpened Streams Debug { owner: Id = "a circuit or a set", stream: Id = "an id",
        by_peer: u8 = "0 no, 1 yes" }
    /// A stream has ended.
    65 StreamEnded Streams Debug { owner: Id = "a circuit or a set", stream: Id = "an id",
        by: u8 = "0 the host, 1 the peer, 2 its circuit or set went" }
    /// XOFF came: the stream stops sending.
    66 XoffReceived Streams Debug { stream: Id = "an id" }
    /// XOFF goes out: too much is buffered here.
    67 XoffSent Streams Debug { stream: Id = "an id", buffered: u32 = "bytes" }
    /// XON came: the stream may send.
    68 XonReceived Streams Debug { stream: Id = "an id", rate: u32 = "kB/s; 0: no limit" }
    /// XON goes out: what was buffered here has gone.
    69 XonSent Streams Debug { stream: Id = "an id", rate: u32 = "kB/s; 0: no limit" }

    /// So many cells wait at an edge, or for the engine of the circuit's set, that their source is asked to pause. The
    /// side is where they go.
    80 FeedPaused Edges Debug { circuit: Id = "an id", side: u8 = "0 back, 1 next", waiting: u32 = "cells" }
    /// So few cells wait at an edge, or for the engine of the circuit's set, that their source may go on.
    81 FeedUnpaused Edges Debug { circuit: Id = "an id", side: u8 = "0 back, 1 next", waiting: u32 = "cells" }
    /// The host says that the channel of an edge takes no cells any more, or takes them again.
    82 WritableChanged Edges Debug { circuit: Id = "an id", side: u8 = "0 back, 1 next", writable: u8 = "0 no, 1 yes",
        waiting: u32 = "cells" }
    /// A cell waits at an edge.
    83 Waits Edges Trace { circuit: Id = "an id", side: u8 = "0 back, 1 next", waiting: u32 = "cells, with this one" }
    /// The host says how many cells a channel takes that circuits share, or its last room is used up.
    84 ChannelRoom Edges Debug { channel: Id = "an id", room: u32 = "cells; 4294967295: any number",
        waiting: u32 = "cells", in_line: u32 = "sides of circuits" }

    /// A padder runs at a hop of a circuit.
    96 PadderAdded Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machines: u8 = "of the padder" }
    /// A padder runs no longer.
    97 PadderRemoved Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop" }
    /// A step of the negotiation of padding.
    98 PaddingNegotiated Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit",
        number: u8 = "of the machine in the negotiation",
        step: u8 = "1 start sent, 2 start received, 3 agreed, 4 refused, 5 stop sent, 6 stop received, 7 stopped, \
            8 ended by the relay" }
    /// The machines of a padder were told of something.
    99 PaddingEvent Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        what: u8 = "1 normal sent, 2 normal received, 3 padding sent, 4 padding received, 5 tunnel sent, \
            6 tunnel received, 7 blocking began, 8 blocking ended, 9 timer began, 10 timer ended",
        machine: u32 = "its index; 4294967295: all or none" }
    /// An event has moved a machine from one state to another. (States that it passed on its way are not seen.)
    100 StateChanged States Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", from: u32 = "a state", to: u32 = "a state; 4294967295: ended" }
    /// A machine has set a timer, or set it anew.
    101 TimerSet Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", timer: u8 = "1 padding, 2 blocking, 3 its own", after: u64 = "ns" }
    /// The timer of a machine has ended: it pads, blocks, or is told.
    102 TimerFired Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", timer: u8 = "1 padding, 2 blocking, 3 its own", late: u64 = "ns after its time" }
    /// A machine blocks: it begins a block, or changes that of its padder, which lasts so long from now on. Padding may
    /// bypass it, or not.
    103 BlockBegan Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", turn: u8 = "0 begun, 1 changed, 2 as it was", bypass: u8 = "0 no, 1 yes",
        lasts: u64 = "ns" }
    /// The block of a padder has ended.
    104 BlockEnded Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        lasted: u64 = "ns" }
    /// A padding cell goes out. If it waited behind a block, its machine has taken it for sent before.
    105 PaddingSent Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", bypass: u8 = "0 no, 1 yes", replace: u8 = "0 no, 1 yes",
        waited: u8 = "0 no, 1 yes" }
    /// A padding cell came.
    106 PaddingReceived Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit" }
    /// Another cell goes, or went, in the place of a padding cell.
    107 PaddingReplaced Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index",
        by: u8 = "1 one not written yet, 2 one that stays held, 3 one let out of the block" }
    /// A padding cell or a block was refused. (A limit was reached, many cells wait to be written, a block holds back
    /// as many as it may, or the host has a queue of its own.)
    108 PaddingRefused Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", what: u8 = "1 a padding cell, 2 a block, 3 a held padding cell",
        why: u8 = "1 the operator's budget, 2 the consensus, 3 the budget of all engines, 4 a long queue, 5 a cap, \
            6 the host" }
    /// A timer of a machine was cancelled.
    109 TimerCancelled Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", timer: u8 = "1 padding, 2 blocking, 3 its own" }
    /// A padding cell waits behind a block. Its machine takes it for sent.
    110 PaddingHeld Padding Trace { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", waiting: u32 = "messages and padding cells, with this one" }
    /// A machine did too much without a delay, and has to rest. Its timers end no earlier.
    111 MachineRests Padding Debug { circuit: Id = "an id", hop: u8 = "of the circuit", slot: u8 = "of the hop",
        machine: u32 = "its index", lasts: u64 = "ns" }

    /// A cap on memory was reached.
    112 CapReached Memory Warn { cap: u8 = "1 the set's, 2 the engine's, 3 the hub's", wanted: u64 = "bytes",
        held: u64 = "bytes that count for this cap", who: Id = "a circuit or a set that has to hold them" }
    /// A set or circuit is closed to make room, or as what it holds is too old.
    113 Victim Memory Warn { who: Id = "a circuit or a set", held: u64 = "bytes", age: u64 = "ns" }
    /// Memory that nothing uses was given back.
    114 Trimmed Memory Debug { bytes: u64 = "given back" }

    /// A message, or a step of the link handshake, went to another engine.
    128 CrossedOut Hub Trace { leg: Id = "a circuit, as its own engine calls it", command: u8 = "a relay command" }
    /// A message, or a step of the link handshake, came from another engine.
    129 CrossedIn Hub Trace { leg: Id = "a circuit, as its own engine calls it", command: u8 = "a relay command" }

    /// A peer broke the protocol, or asked for more than may be: a circuit or a set is closed for it. The engine that
    /// finds the fault says so, once; what else it closes, on any engine, names it as its cause.
    144 Fault Faults Warn { who: Id = "a circuit or a set", status: i32 = "a status" }

    /// The host has set its clock.
    160 ClockSet Host Info { before: u64 = "ns", now: u64 = "ns" }
    /// The host's clock went back.
    161 ClockWentBack Host Warn { by: u64 = "ns" }
    /// The host's clock went ahead by more than an hour.
    162 ClockLeapt Host Warn { by: u64 = "ns" }
    /// Events are recorded at a relay. A record tells who talked when: what `docs/events.md` says of it holds.
    163 RecordedAtRelay Host Warn {}
}
