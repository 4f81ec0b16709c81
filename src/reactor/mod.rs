//! The reactors of a circuit (R1–R13): the parts that run a circuit when the host leaves that to circflow.
//!
//! FORWARD ([`forward`]) and BACKWARD ([`backward`]) are the two directions; STREAM WRITE ([`stream_write`]) and STREAM
//! READ ([`stream_read`]) are the two sides of its streams; CONTROLLER ([`controller`]) is a set with its streams.
//! [`wiring`] shows the graph. They own no clock, no ids and no instructions: the engine moves messages between them
//! and the host.

pub mod backward;
pub mod channel;
pub mod controller;
pub mod edge;
pub mod ended;
pub mod ends;
pub mod forward;
pub mod route;
pub mod stream;
pub mod stream_read;
pub mod stream_write;
pub mod wiring;

pub use channel::{ChannelSeat, Gauge, Turn};
pub use controller::Controller;
pub use edge::{Edge, FeedChange, Marks, Offer, Side};
pub use ended::Past;
pub use route::{route, Part, Position, Route};
pub use stream::{Flow, Known, Owner, Phase, Stream, StreamUse, Streams};
pub use stream_read::Unread;
pub use stream_write::{DataHead, Rules, StreamMessage, Write, Written};
pub use wiring::{marks, part, Reactor};
