//! Padding: the machines of the maybenot framework on one circuit, and all that the framework leaves to its user.
//!
//! A [`Padding`] is what one circuit has of it: a padder for each hop that is padded with, one block over the whole
//! circuit's sender, what waits behind it, and what was agreed on with the other end. Like its neighbour conflux it
//! owns no clock, no ids and no queue of instructions: time comes in, and what follows comes back as
//! [`PaddingEffect`]s. What it holds for a host is a [`Lane`] of the engine's store, at which it does not look.
//!
//! The contract with the framework is in two places: [`table`] says what a due padding action does, `padder` what the
//! timers and the block do.

mod agreed;
mod bad;
mod circuit;
mod clock;
mod due;
pub mod machines;
mod negotiation;
mod padder;
pub mod table;
mod unwritten;

pub use agreed::{decline, judge, Judgement};
pub use bad::{BadMachines, Why};
pub use circuit::{Outside, Padding};
pub use clock::{Generator, Key, Keys};
pub use machines::Machines;
pub use negotiation::{NotNow, Word};
pub use padder::PadderStats;

use crate::base::limits;
use crate::message::Lane;

/// How much machines do without waiting, and how long they rest then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// What one machine may do at one time.
    pub burst: u32,
    /// How long it rests at least, in nanoseconds; 0 for never.
    pub floor: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { burst: limits::PADDING_BURST_DEFAULT, floor: limits::PADDING_FLOOR_DEFAULT }
    }
}

/// What a padder is made with.
#[derive(Clone, Debug)]
pub struct PadderTerms {
    /// What runs; may be an empty list, for an end that only listens.
    pub machines: Machines,
    /// The hop to pad with, as the host numbers hops.
    pub hop: u8,
    /// Which of the hop's two places.
    pub slot: u8,
    /// Of the cells sent, how many may be padding; 0.0 for no limit.
    pub padding_frac: f64,
    /// Of the time, how much may be blocked; 0.0 for no limit.
    pub blocking_frac: f64,
    /// Of the cells received, how many may be padding from the hop; 0.0 for no limit.
    pub inbound_frac: f64,
    /// Padding cells received before that counts.
    pub inbound_grace: u64,
    /// Cells in the circuit's queue from which on they count as the padding. An engine reads its `BY_PARAMETER` as what
    /// the consensus says.
    pub queued_max: u32,
    /// Negotiated machines that have all ended are taken down, and the other end is told.
    pub stop_at_end: bool,
    /// What waits goes out at the end of each block, also when a machine blocks again at the same moment.
    pub opens_between: bool,
    /// They may run when the operator wants reduced padding.
    pub runs_reduced: bool,
}

/// What follows from a step, in the order of causes.
#[derive(Clone, Copy, Debug)]
pub enum PaddingEffect {
    /// Send a padding cell.
    Pad(Pad),
    /// A host with a queue of its own decides what to do, by the table.
    Ask(Pad),
    /// A held message goes out.
    Send {
        /// Where to.
        hop: u8,
        /// What the caller held.
        held: Lane,
    },
    /// Exactly one message that is held elsewhere for this circuit goes out.
    Release,
    /// Padding went out, although something was held elsewhere.
    PassedBy,
    /// For a host with a queue of its own: the circuit's sender is blocked.
    Blocked {
        /// Padding that asks for it may pass.
        bypassable: bool,
    },
    /// For a host with a queue of its own: not any more.
    Unblocked,
    /// There is room to send again.
    MaySend,
}

/// A padding cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pad {
    /// Where to.
    pub hop: u8,
    /// The padder's place at the hop.
    pub slot: u8,
    /// The machine of the padder.
    pub machine: u32,
    /// The action's flag.
    pub bypass: bool,
    /// The action's flag.
    pub replace: bool,
}

/// What a host with a queue of its own did about a padding cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A padding cell was queued or sent.
    Sent,
    /// A cell that waited counts.
    Replaced,
    /// One cell that waited was let out.
    Released,
    /// Nothing.
    Refused,
}

/// Whether a stream message may go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Now.
    Go,
    /// Later, and there is room to keep it.
    Hold,
    /// Later, and there is no room.
    Full,
}
