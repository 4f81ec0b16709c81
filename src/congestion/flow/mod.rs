//! XON and XOFF: flow control of one stream, where congestion control is on (prop324 §4).
//!
//! [`Incoming`] watches our buffer of a stream and decides when to send XOFF and XON. [`Outgoing`] keeps what the peer
//! has sent, and notices when no honest peer can have sent it.

mod incoming;
mod outgoing;

pub use incoming::{FlowMessage, Incoming, NotBuffered, Overflow};
pub use outgoing::{Abuse, May, Outgoing};

/// C Tor's largest rate, in units of 1000 bytes per second or in bytes per second. A larger rate means no limit.
const RATE_MAX: u32 = i32::MAX as u32;
