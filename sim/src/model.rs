//! What the simulator knows of circuits, sets and streams, beside what the engines know.

use crate::cell::Cell;
use circflow::base::{Id, Nanos};
use circflow::reactor::Side;
use std::collections::VecDeque;

/// The places on a path: the client is 0, the last relay 3.
pub const LAST: usize = 3;
pub const NOWHERE: usize = usize::MAX;

/// The side on which a cell leaves, and comes in. A client has one channel, and calls it Back.
pub fn side_out(pos: usize, forward: bool) -> Side {
    if pos == 0 || !forward {
        Side::Back
    } else {
        Side::Next
    }
}

pub fn side_in(pos: usize, forward: bool) -> Side {
    if pos == 0 || forward {
        Side::Back
    } else {
        Side::Next
    }
}

/// What waits at an edge, as its host must be able to tell from what it was told.
#[derive(Default)]
pub struct EdgeModel {
    pub waiting: VecDeque<Cell>,
    /// By the marks, its source is to pause.
    pub pausing: bool,
}

/// Messages between the client and one relay, one way.
#[derive(Default, Clone, Copy)]
pub struct Way {
    pub sent: u32,
    pub got: u32,
    pub data_sent: u64,
    pub data_got: u64,
    /// SENDMEs for this way: sent by who gets the DATA, received by who sends it.
    pub sendmes_sent: u64,
    pub sendmes_got: u64,
    /// Running digests of what was sent and received.
    pub digest_out: u64,
    pub digest_in: u64,
    /// DATA that went down with its circuit.
    pub data_lost: u64,
}

/// Padding of one circuit at one node.
#[derive(Clone, Copy, Default)]
pub struct PadModel {
    /// It blocks for 100 ms whenever a cell comes, and lets nothing pass: until when.
    pub blocks: bool,
    pub until: Nanos,
    pub hop: u8,
    pub negotiated: bool,
    /// It was taken down, and so many cells of padding have come from its hop since.
    pub ended: bool,
    pub after_end: u32,
}

/// One who owns streams at one end.
#[derive(Default)]
pub struct OwnEnd {
    pub streams: Vec<usize>,
    /// It was refused for want of room, and has not been told to go on.
    pub waiting: bool,
    /// It waits for the window of the far end.
    pub far: bool,
    pub refusals: u64,
    pub resumes: u64,
    pub turn: usize,
}

pub struct Circ {
    pub path: [usize; 4],
    pub ids: [Id; 4],
    pub open: [bool; 4],
    pub set: Option<usize>,
    pub leaky: bool,
    /// Hops that the client has.
    pub length: u8,
    /// Somebody meddles with what arrives at its ends.
    pub hostile: bool,
    /// A host on it goes on after PAUSE_FEED.
    pub defiant: bool,
    /// The network loses what goes each way.
    pub swallows: [bool; 2],
    pub links: [[usize; 2]; 4],
    /// What the engine was told of the channel on each side.
    pub writable: [[bool; 2]; 4],
    pub edges: [[EdgeModel; 2]; 4],
    /// Cells that a host keeps because of PAUSE_FEED, by the side that they came from.
    pub stash: [[VecDeque<Cell>; 2]; 4],
    pub paused: [[bool; 2]; 4],
    /// Cells that a host still feeds in spite of PAUSE_FEED.
    pub deaf: [[u32; 2]; 4],
    pub ways: [[Way; 2]; 4],
    pub own: [OwnEnd; 4],
    pub pads: [Option<PadModel>; 4],
    /// DATA in flight at both ends when the circuit was closed there.
    pub inflight: [u64; 2],
    pub linked: [bool; 2],
    /// The last number that went out on it from each end.
    pub numbered: [u64; 2],
    /// The host was told to close it, and has not done so yet.
    pub closing: [bool; 4],
}

#[derive(Default)]
pub struct SetEnd {
    pub id: Id,
    pub alive: bool,
    pub usable: bool,
    pub own: OwnEnd,
    /// Number of the last message that went out, and of the last that came to the host.
    pub numbered: u64,
    pub delivered: u64,
    /// The leg that the last message went out on.
    pub carrier: Option<usize>,
    /// The circuit that went on alone.
    pub alone: Option<usize>,
}

pub struct SetModel {
    pub nodes: [usize; 2],
    pub legs: Vec<usize>,
    pub ends: [SetEnd; 2],
    /// Nothing is sure of it: a leg is hostile, or its nonce was used again by the exit.
    pub tainted: bool,
    pub was_usable: bool,
    /// Numbers of messages that were lost with a leg, and the leg, by direction.
    pub lost: [Vec<(u64, usize)>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamKind {
    Begin,
    Directory,
    Resolve,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    Set(usize),
    /// A circuit, and the place of the relay.
    Circ(usize, usize),
}

#[derive(Default, Clone, Copy)]
pub struct StreamEnd {
    pub id: Id,
    pub open: bool,
    /// Bytes that the application has and that did not go yet; more will come in so many chunks.
    pub ready: u64,
    pub chunks: u32,
    pub sent: u64,
    pub got: u64,
    pub buffered: u64,
    /// Bytes a millisecond that the reader takes; 0 for all at once.
    pub pace: u64,
    pub flushing: bool,
    pub rests_until: Nanos,
    /// It was told to stop, and has not been told to go on.
    pub waiting: bool,
    pub refusals: u64,
    pub resumes: u64,
    pub sent_end: bool,
    pub got_end: bool,
    pub may_send: bool,
    /// END goes out when all is sent.
    pub ends_after: bool,
    /// XOFF has come and no XON since.
    pub xoff: bool,
}

pub struct StreamModel {
    pub home: Home,
    pub stream_id: u16,
    pub kind: StreamKind,
    pub ends: [StreamEnd; 2],
    pub refused: bool,
    pub eager: bool,
    /// BEGIN could not go out for so long.
    pub tries: u32,
}

/// Who owns streams at one end: a set and which end, or a circuit and the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    Set(usize, usize),
    Circ(usize, usize),
}
