//! The simulator's own model of circuits, sets and streams.

use crate::cell::Cell;
use circflow::base::{Id, Nanos};
use circflow::reactor::Side;
use std::collections::VecDeque;

/// Places on a path at most: a client, its relays up to the rendezvous point, that point's other circuit, the service's
/// relays, and the service.
pub const PLACES: usize = 8;
/// Talks on a circuit at most: of the client with each place, and of the service with each.
pub const TALKS: usize = 2 * PLACES;
pub const NOWHERE: usize = usize::MAX;

/// The cells that wait at an edge, as its host can tell from the engine's answers.
#[derive(Default)]
pub struct EdgeModel {
    pub waiting: VecDeque<Cell>,
    /// By the marks, the source has to pause.
    pub pausing: bool,
    /// Cells of others that went to the same channel while it had some that wait.
    pub overtaken: u32,
}

/// Messages between the client and one relay, one way.
#[derive(Default, Clone, Copy)]
pub struct Way {
    pub sent: u32,
    pub got: u32,
    pub data_sent: u64,
    pub data_got: u64,
    /// SENDMEs for this direction: the receiver of the DATA sends them, its sender receives them.
    pub sendmes_sent: u64,
    pub sendmes_got: u64,
    /// Running digests of the cells sent and received.
    pub digest_out: u64,
    pub digest_in: u64,
    /// DATA that went down with its circuit.
    pub data_lost: u64,
}

/// Padding of one circuit at one node.
#[derive(Clone, Copy, Default)]
pub struct PadModel {
    /// The machine blocks all cells for 100 ms whenever a cell comes; `until` is the end of the block.
    pub blocks: bool,
    pub until: Nanos,
    pub hop: u8,
    pub negotiated: bool,
    /// The padder was taken down, and this many padding cells have come from its hop since.
    pub ended: bool,
    pub after_end: u32,
}

/// State of an owner of streams at one end.
#[derive(Default)]
pub struct OwnEnd {
    pub streams: Vec<usize>,
    /// The owner was refused for lack of room, and waits for MAY_SEND.
    pub waiting: bool,
    /// The owner waits for the window of the far end.
    pub far: bool,
    pub refusals: u64,
    pub resumes: u64,
    pub turn: usize,
}

/// A step by which a circuit gets longer at one end: the hops that it has then, and what is negotiated with the new
/// ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub length: u8,
    pub inc: u64,
}

/// One that leads to an exit, or two that meet at a rendezvous point. Place 0 is the client. To its far end the client
/// counts one hop for each place, and the two ends of a rendezvous one behind the rendezvous point.
pub struct Circ {
    pub path: [usize; PLACES],
    /// The place of the far end: an exit, or a service.
    pub last: usize,
    /// The place of the rendezvous point on the client's circuit, which has the next place on the service's, too; 0 for
    /// none.
    pub rend: usize,
    pub ids: [Id; PLACES],
    pub open: [bool; PLACES],
    pub set: Option<usize>,
    pub leaky: bool,
    /// Hops that the client and the service have.
    pub length: [u8; 2],
    /// The steps by which it still gets longer.
    pub steps: [VecDeque<Step>; 2],
    /// The steps come one by one, while streams are open at the hops that are there.
    pub grows: bool,
    /// DATA cells that one SENDME acknowledges, by talk.
    pub incs: [u64; TALKS],
    /// A hostile peer changes the cells that arrive at its ends.
    pub hostile: bool,
    /// A host on it ignores PAUSE_FEED.
    pub defiant: bool,
    /// The network loses all cells of a direction.
    pub swallows: [bool; 2],
    pub links: [[usize; 2]; PLACES],
    /// Whether the channel of each side takes cells, as the engine was told.
    pub writable: [[bool; 2]; PLACES],
    /// The channel of each side that has room in portions, by number.
    pub seats: [[usize; 2]; PLACES],
    pub edges: [[EdgeModel; 2]; PLACES],
    /// Cells that a host keeps because of PAUSE_FEED, by the side that they came from.
    pub stash: [[VecDeque<Cell>; 2]; PLACES],
    pub paused: [[bool; 2]; PLACES],
    /// Cells that a host still feeds in spite of PAUSE_FEED.
    pub deaf: [[u32; 2]; PLACES],
    pub ways: [[Way; 2]; TALKS],
    pub own: [OwnEnd; PLACES],
    pub pads: [Option<PadModel>; PLACES],
    /// DATA in flight at both ends when the circuit was closed there.
    pub inflight: [u64; 2],
    pub linked: [bool; 2],
    /// The last number that went out on it from each end.
    pub numbered: [u64; 2],
    /// The host was told to close the circuit, and has not done so yet.
    pub closing: [bool; PLACES],
    /// DATA in flight to a hop that was the last is this at most, beside what so many SENDMEs before it opened.
    pub caps: [Option<(u64, u64)>; TALKS],
    /// The set that somebody has brought it to, in which it does not fit.
    pub misled: Option<usize>,
}

/// Who talks with whom: 1 to 7 is the client with that place, and 8 more is the service with one of its own relays.
impl Circ {
    pub fn is_open(&self) -> bool {
        self.open[..=self.last].iter().all(|&open| open)
    }

    pub fn is_closed(&self) -> bool {
        self.open == [false; PLACES]
    }

    /// True when a place opened its circuit, and so counts hops.
    pub fn counts(&self, pos: usize) -> bool {
        pos == 0 || (self.rend > 0 && pos == self.last)
    }

    /// A relay with cells to pass on.
    pub fn is_between(&self, pos: usize) -> bool {
        (1..self.last).contains(&pos)
    }

    /// True when a relay is on the service's circuit.
    fn is_beyond(&self, pos: usize) -> bool {
        self.rend > 0 && pos > self.rend
    }

    /// All possible talks.
    pub fn talks(&self) -> Vec<usize> {
        let near = if self.rend > 0 { self.rend } else { self.last - 1 };
        (1..=near).chain([self.last]).chain((near + 1..self.last).map(|pos| PLACES + pos)).collect()
    }

    /// The places that talk, the one nearer to the client first.
    pub fn ends_of(&self, talk: usize) -> [usize; 2] {
        if talk < PLACES {
            [0, talk]
        } else {
            [talk - PLACES, self.last]
        }
    }

    /// The place that opened the circuit of a talk, and the other place.
    pub fn opener(&self, talk: usize) -> usize {
        if talk < PLACES {
            0
        } else {
            self.last
        }
    }

    pub fn taker(&self, talk: usize) -> usize {
        talk % PLACES
    }

    /// The hop number of the other end of a talk, in the engine at a place.
    pub fn hop_of(&self, pos: usize, talk: usize) -> u8 {
        let hop = match (self.counts(pos), pos) {
            (false, _) => 0,
            (true, 0) if self.rend > 0 && talk == self.last => self.rend + 1,
            (true, 0) => talk,
            (true, _) if talk == self.last => self.last - self.rend,
            (true, _) => self.last - (talk - PLACES),
        };
        hop as u8
    }

    pub fn talk_of(&self, pos: usize, hop: u8) -> usize {
        let hop = usize::from(hop);
        match (self.counts(pos), pos) {
            (false, _) if self.is_beyond(pos) => PLACES + pos,
            (false, _) => pos,
            (true, 0) if self.rend > 0 && hop == self.rend + 1 => self.last,
            (true, 0) => hop,
            (true, _) if hop == self.last - self.rend => self.last,
            (true, _) => PLACES + self.last - hop,
        }
    }

    /// The end of a circuit that counts: 0 for the client, 1 for the service.
    pub fn end_of(pos: usize) -> usize {
        usize::from(pos != 0)
    }

    /// Whether a talk is the one with the last hop there is, as a place sees it.
    pub fn is_last(&self, pos: usize, talk: usize) -> bool {
        !self.counts(pos) || self.hop_of(pos, talk) == self.length[Circ::end_of(pos)]
    }

    /// True when both ends of a talk know it.
    pub fn reaches(&self, talk: usize) -> bool {
        let knows = |pos| !self.counts(pos) || self.hop_of(pos, talk) <= self.length[Circ::end_of(pos)];
        self.ends_of(talk).into_iter().all(knows)
    }

    /// True when the cells that a place sends in a talk go away from the client.
    pub fn is_forward(&self, pos: usize, talk: usize) -> bool {
        self.ends_of(talk)[0] == pos
    }

    /// What a place says in a talk.
    pub fn way_from(&self, pos: usize, talk: usize) -> Way {
        self.ways[talk][usize::from(!self.is_forward(pos, talk))]
    }

    /// The side on which a cell leaves, and comes in. Who opened the circuit has one channel, and calls it Back.
    pub fn side_out(&self, pos: usize, forward: bool) -> Side {
        if self.is_between(pos) && self.is_beyond(pos) != forward {
            Side::Next
        } else {
            Side::Back
        }
    }

    pub fn side_in(&self, pos: usize, forward: bool) -> Side {
        self.side_out(pos, !forward)
    }
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
    /// It leads to a service: hops of the client and of the service up to the rendezvous point.
    pub rend: Option<[usize; 2]>,
    pub legs: Vec<usize>,
    pub ends: [SetEnd; 2],
    /// The set cannot be checked: a leg is hostile, or the exit has used its nonce again.
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
    /// A circuit, and the talk.
    Circ(usize, usize),
}

/// A stream; its end 0 has opened it.
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
    /// The end was told to stop, and waits for an instruction to go on.
    pub waiting: bool,
    pub refusals: u64,
    pub resumes: u64,
    pub sent_end: bool,
    pub got_end: bool,
    pub may_send: bool,
    /// END goes out when all data are sent.
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

/// An owner of streams at one end: a set and its end, or a circuit and the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    Set(usize, usize),
    Circ(usize, usize),
}
