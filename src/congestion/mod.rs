//! Congestion control and flow control (proposal 324): round trips, windows, SENDMEs, XON and XOFF.
//!
//! Each end of a circuit has, for the hop it talks to, a [`Window`] for what it sends and [`Acks`] for what it
//! receives; each stream has an [`Incoming`] and an [`Outgoing`]. A [`Publisher`] shows the figures of a window to
//! another thread.
//!
//! Only DATA counts (CC-5): the caller decides which cells are DATA, and nothing here looks at a cell.

pub mod acks;
pub mod flow;
pub mod mirror;
pub mod params;
pub mod rtt;
pub mod vegas;
pub mod window;

pub use acks::Acks;
pub use flow::{Abuse, FlowMessage, Incoming, May, Outgoing, Overflow};
pub use mirror::{mirror, Publisher, Reader, Snapshot};
pub use params::{Inc, Params, PathClass, StreamEdge};
pub use rtt::Rtt;
pub use vegas::{ChannelState, Vegas};
pub use window::{NotAsked, SendmeFault, Window};
