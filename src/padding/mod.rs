//! Padding: runs the machines of the maybenot framework on a circuit, with the timers and blocks that the framework
//! leaves to its user.
//!
//! A [`Padding`] is the padding of one circuit: its padders, one gate in front of the circuit's sender, the messages
//! that wait behind it, and the machines agreed on with the other end. Like its neighbour conflux it owns no clock, no
//! ids and no queue of instructions: time comes in as a parameter, and consequences are returned as [`PaddingEffect`]s.
//! A held message is a [`Lane`] of the engine's store, which padding does not read.
//!
//! The contract with the framework is in two places: [`table`] decides what a due padding action does, and `padder`
//! runs the timers and the block.

mod agreed;
mod bad;
mod circuit;
mod clock;
mod due;
pub mod machines;
mod negotiation;
mod padder;
mod run;
mod states;
mod step;
pub mod table;
mod unwritten;
mod watch;

pub use agreed::{decline, judge, Judgement};
pub use bad::{BadMachines, Flaw};
pub use circuit::{Outside, Padding};
pub use clock::{Generator, Key, Keys};
pub use machines::Machines;
pub use negotiation::{NotNow, Reply};
pub use padder::PadderStats;
pub use watch::{Nobody, Watch};

use crate::base::limits;
use crate::message::Lane;

/// Limits on machines that act without delays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Number of actions and timers that a machine may do at one moment; then it rests.
    pub burst: u32,
    /// Shortest rest in nanoseconds; 0 for no rests.
    pub floor: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { burst: limits::PADDING_BURST_DEFAULT, floor: limits::PADDING_FLOOR_DEFAULT }
    }
}

/// Configuration of a padder.
#[derive(Clone, Debug)]
pub struct PadderTerms {
    /// The machines; an empty list for an end that only accepts padding.
    pub machines: Machines,
    /// The hop to pad with, as the host numbers hops.
    pub hop: u8,
    /// The padder's place at the hop, 0 or 1.
    pub slot: u8,
    /// Largest part of the cells sent that may be padding, 0.0 to 1.0; 0.0 for no limit.
    pub padding_frac: f64,
    /// Largest part of the time that may be blocked, 0.0 to 1.0; 0.0 for no limit.
    pub blocking_frac: f64,
    /// Largest part of the cells received from the hop that may be padding, 0.0 to 1.0; 0.0 for no limit.
    pub inbound_frac: f64,
    /// Number of padding cells received before `inbound_frac` applies.
    pub inbound_grace: u64,
    /// While this many cells wait in the circuit's queue, no padding cell is added: a waiting cell counts as the
    /// padding. An engine replaces its `BY_PARAMETER` by the parameter of the consensus.
    pub queued_max: u32,
    /// Take down negotiated machines when all have ended, and tell the other end.
    pub stop_at_end: bool,
    /// Let waiting cells out at the end of each block, even if a machine blocks again at the same moment.
    pub opens_between: bool,
    /// The machines may run when the operator wants reduced padding.
    pub runs_reduced: bool,
}

/// A consequence of a step. A step returns them in the order in which the engine has to carry them out.
#[derive(Clone, Copy, Debug)]
pub enum PaddingEffect {
    /// Send a padding cell.
    Pad(Pad),
    /// Ask a host with a queue of its own what to do about a padding cell, by the table.
    Ask(Pad),
    /// Send a held message.
    Send {
        /// The hop that it goes to.
        hop: u8,
        /// The message, as the caller held it.
        held: Lane,
    },
    /// Let the circuit's set send exactly one message that it holds.
    Release,
    /// Tell the circuit's set that padding went out while the set holds a message.
    PassedBy,
    /// Tell a host with a queue of its own that the circuit's sender is blocked.
    Blocked {
        /// Padding with the bypass flag may pass.
        bypassable: bool,
    },
    /// Tell a host with a queue of its own that the block has ended.
    Unblocked,
    /// Tell the host that it may send again.
    MaySend,
}

/// A padding cell that a machine wants to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pad {
    /// The hop that it goes to.
    pub hop: u8,
    /// The padder's place at the hop.
    pub slot: u8,
    /// Index of the machine in its padder.
    pub machine: u32,
    /// The bypass flag of the machine's action.
    pub bypass: bool,
    /// The replace flag of the machine's action.
    pub replace: bool,
}

/// Answer of a host with a queue of its own about a padding cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The host sent or queued a padding cell.
    Sent,
    /// A cell that waited anyway counts as the padding.
    Replaced,
    /// The host let one waiting cell out.
    Released,
    /// The host did nothing.
    Refused,
}

/// Whether a message of a stream may go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// The message may go out now.
    Go,
    /// The message has to wait, and there is room to keep it.
    Hold,
    /// The message has to wait, and there is no room to keep it.
    Full,
}
