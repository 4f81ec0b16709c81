//! Conflux (proposal 329): one tunnel over several circuits.
//!
//! [`Set`] is the state of one tunnel: its legs, the numbers of what was sent, received and delivered, and the messages
//! that came too early. It owns no clock, no queue of instructions and no ids but opaque keys: what follows from a call
//! comes back as [`Effect`]s, and the engine turns them into instructions.

pub mod choice;
pub mod handshake;
mod leg;
pub mod manager;
pub mod set;
pub mod teardown;

pub use choice::{Algorithm, Policy};
pub use handshake::{LinkState, Role};
pub use leg::Report;
pub use manager::Manager;
pub use set::{Arrival, LegIx, LegNumbers, LegStats, Numbers, Plan, Refusal, Set, SetStats, SetTerms};

pub use crate::wire::fault::{Cause, Fault, Reach};

use crate::base::{Id, Nanos};
use crate::message::Lanes;

/// What follows from a call, in the order of causes.
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
    /// The set may carry streams.
    Usable,
    /// Another leg is welcome.
    WantLeg,
    /// There is room to send again.
    MaySend,
    /// There is room for messages that were held for sending: [`Set::release`].
    Release,
    /// Held messages are next in order.
    Ready,
    /// A leg is to close.
    Close {
        /// The leg.
        leg: Id,
        /// Why.
        cause: Cause,
    },
    /// What an ended set held: messages that follow one another from `next` on had their turn and are handed out, the
    /// others are handed back.
    Rest {
        /// All of them.
        lanes: Lanes,
        /// The number that is next.
        next: u64,
    },
    /// The set is over.
    Ended(Cause),
    /// Wake the leg at this time.
    Arm {
        /// The leg.
        leg: Id,
        /// When.
        deadline: Nanos,
    },
    /// No longer.
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
