//! Conflux (proposal 329): one tunnel over several circuits.
//!
//! [`Set`] is the state of one tunnel: its legs, the numbers of what was sent, received and delivered, and the messages
//! that came too early. It owns no clock, no queue of instructions and no ids but opaque keys: the consequences of a
//! call are returned as [`Effect`]s, and the engine turns them into instructions.

pub mod choice;
pub mod handshake;
mod leg;
mod legs;
pub mod manager;
pub mod meter;
pub mod set;
pub mod teardown;

pub use choice::{Algorithm, Policy};
pub use handshake::{LinkState, Role};
pub use leg::Report;
pub use manager::Manager;
pub use set::{Arrival, InTurn, LegIx, LegNumbers, LegStats, Numbers, Plan, Recipient, Refusal};
pub use set::{Set, SetStats, SetTerms, Unfit};

pub use crate::wire::fault::{Cause, Fault, Reach};

use crate::base::{Id, Nanos};
use crate::message::Lanes;

/// A consequence of a call to a set. A call returns them in the order in which the engine has to carry them out.
#[derive(Debug)]
pub enum Effect {
    /// Send a message of the link handshake on a leg.
    Send {
        /// The leg.
        leg: Id,
        /// The message.
        control: Control,
    },
    /// A leg is linked.
    Linked {
        /// The leg.
        leg: Id,
        /// Round-trip time of the handshake, 0 when unknown.
        rtt: Nanos,
    },
    /// The set may carry streams from now on.
    Usable,
    /// A leg was lost that is worth replacing: the host may launch another.
    WantLeg,
    /// The host, which was told to stop, may send again.
    MaySend,
    /// The same, and the host has not heard of the last time yet: it need not hear again.
    WaitOver,
    /// Messages that were held for sending may go out: [`Set::release`].
    Release,
    /// Held messages have their turn: [`Set::next`].
    Ready,
    /// Close a leg.
    Close {
        /// The leg.
        leg: Id,
        /// The reason.
        cause: Cause,
    },
    /// Messages that an ended set still held. The unbroken run of numbers from `next` on is delivered to the host, the
    /// others are returned to it.
    Rest {
        /// All messages left.
        lanes: Lanes,
        /// The first number to deliver; 0 delivers none.
        next: u64,
    },
    /// The set has ended.
    Ended(Cause),
    /// Start the timer of a leg's handshake.
    Arm {
        /// The leg.
        leg: Id,
        /// When the handshake has to be complete.
        deadline: Nanos,
    },
    /// Stop the timer of a leg's handshake.
    Disarm {
        /// The leg.
        leg: Id,
    },
}

/// A message of the link handshake that the set sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// CONFLUX_LINK.
    Link,
    /// CONFLUX_LINKED.
    Linked,
    /// CONFLUX_LINKED_ACK.
    LinkedAck,
}
