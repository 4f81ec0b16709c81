//! XON and XOFF: flow control of one stream, where congestion control is on (prop324 §4).
//!
//! [`Incoming`] watches our buffer of a stream and says when the peer is to be told; [`Outgoing`] keeps what the peer
//! has told us, and notices when it cannot be true.

mod incoming;
mod outgoing;

pub use incoming::{Incoming, NotBuffered, Overflow, Say};
pub use outgoing::{Abuse, May, Outgoing};

/// C Tor's largest rate, in units of 1000 bytes per second or in bytes per second: beyond it is no limit at all.
const RATE_MAX: u32 = i32::MAX as u32;
