//! Configuration of engines and circuits, and figures of an engine.

use crate::base::purse::Spent;
use crate::base::{Hops, Nanos};
use crate::conflux::Role;
use crate::congestion::PathClass;
use crate::padding::Pace;
use crate::reactor::Marks;

/// Configuration of an engine.
#[derive(Clone)]
pub struct Config {
    /// Random bytes from the host.
    pub seed: [u8; 32],
    /// The engine's number, a part of every id: 1 to 16,383.
    pub tag: u32,
    /// Cap on circuits.
    pub circuits_max: u32,
    /// Cap on sets.
    pub sets_max: u32,
    /// Cap on waiting instructions, beyond which feeds that queue more are refused.
    pub instructions_max: u32,
    /// Cap on held bytes.
    pub held_bytes_max: u64,
    /// How many cells may wait at an edge, and when its source pauses.
    pub marks: Marks,
    /// Cap on streams of one circuit or set.
    pub streams_max: u32,
    /// Cap on bytes of one stream in the host's buffer.
    pub stream_bytes_max: u32,
    /// How long an ended stream stays known, in nanoseconds, up to [`crate::base::limits::STREAM_MEMORY_MAX`].
    pub stream_memory: Nanos,
    /// How often the machines of a padder may act.
    pub pace: Pace,
    /// How long a message may be held for order, in nanoseconds, in sets without a bound of their own; 0 for no bound.
    pub held_age_max: Nanos,
}

/// Configuration of a circuit.
#[derive(Clone, Copy, Debug)]
pub struct CircuitConfig {
    /// The host's tag of the circuit.
    pub tag: u64,
    /// Client or exit: which end of the circuit this is.
    pub role: Role,
    /// How many hops it has, and which hop is the last.
    pub hops: Hops,
    /// Its flags when it is opened.
    pub flags: CircuitFlags,
    /// Cap on messages held for sending while padding blocks.
    pub held_sends_max: u32,
    /// The class whose parameters of congestion control hold.
    pub class: PathClass,
    /// DATA cells that one SENDME acknowledges, as negotiated; 0 for the parameter.
    pub sendme_inc: u8,
}

/// Flags of a circuit, or-ed together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CircuitFlags(pub u16);

impl CircuitFlags {
    /// Vegas was negotiated with the join point.
    pub const VEGAS: CircuitFlags = CircuitFlags(1);
    /// It has carried streams.
    pub const STREAMS: CircuitFlags = CircuitFlags(2);
    /// It goes on to another hop.
    pub const EXTENDED: CircuitFlags = CircuitFlags(4);
    /// Streams may end at other hops.
    pub const LEAKY_PIPE: CircuitFlags = CircuitFlags(8);
    /// A padder that is not circflow's runs on it too.
    pub const OTHER_PADDER: CircuitFlags = CircuitFlags(16);
    /// The host keeps the messages that a block holds back.
    pub const OWN_QUEUE: CircuitFlags = CircuitFlags(32);
    /// Circflow runs it.
    pub const REACTOR: CircuitFlags = CircuitFlags(64);
    /// Streams may be opened to this client.
    pub const SERVICE: CircuitFlags = CircuitFlags(128);
    /// The flags of the last hop, which may change when a circuit gets longer.
    pub const LAST_HOP: CircuitFlags = CircuitFlags(Self::VEGAS.0 | Self::SERVICE.0);
    /// Every bit that means something.
    pub const ALL: CircuitFlags = CircuitFlags(255);

    /// True when all of `flags` are set.
    pub fn has(self, flags: CircuitFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    pub(super) fn replace(&mut self, which: CircuitFlags, flags: CircuitFlags) {
        self.0 = self.0 & !which.0 | flags.0 & which.0;
    }

    pub(super) fn add(&mut self, flags: CircuitFlags) {
        self.0 |= flags.0;
    }
}

/// Figures of an engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineStats {
    /// Circuits open.
    pub circuits: u32,
    /// Streams open on circuits and sets that circflow runs.
    pub streams: u32,
    /// Sets alive.
    pub sets: u32,
    /// Instructions waiting.
    pub instructions: u32,
    /// The most instructions that ever waited.
    pub instructions_peak: u32,
    /// Timers armed.
    pub timers: u32,
    /// Messages held.
    pub held: u64,
    /// Bytes held.
    pub held_bytes: u64,
    /// The most bytes ever held.
    pub held_bytes_peak: u64,
    /// Bytes reserved for them from the cap of the process.
    pub reserved_bytes: u64,
    /// Bytes on the way to other engines, a part of the bytes held.
    pub crossing_bytes: u64,
    /// Bytes that are not held any more and wait to be handed back.
    pub leaving_bytes: u64,
    /// Bytes of memory that the store owns.
    pub pool_bytes: u64,
    /// Times the clock went back.
    pub time_backwards: u64,
    /// Times the clock went ahead by more than an hour.
    pub time_leaps: u64,
    /// Faults of peers.
    pub peer_faults: u64,
    /// Log lines left out.
    pub log_dropped: u64,
    /// Padding cells received.
    pub padding_received: u64,
    /// Cells sent, and padding that was not allowed.
    pub spent: Spent,
    /// How late the timers of padding were.
    pub lateness: Lateness,
    /// Messages that came for no stream that is known, and were dropped.
    pub unexplained: u64,
}

/// How many timers ran how late: the first class counts those less than a microsecond late, each following one those up
/// to twice as late as the one before, and the last all others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lateness(pub [u64; Lateness::CLASSES]);

impl Lateness {
    /// Classes: the last begins at 2^18 microseconds, a quarter of a second.
    pub const CLASSES: usize = 20;

    pub(super) fn count(&mut self, late: Nanos) {
        let class = (64 - (late / 1000).leading_zeros() as usize).min(Self::CLASSES - 1);
        self.0[class] += 1;
    }
}
