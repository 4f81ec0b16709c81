//! What a world is: legs, what becomes of them, what is transferred, and a seed.

use circflow::base::Nanos;

pub const MS: Nanos = 1_000_000;
pub const SECOND: Nanos = 1_000 * MS;
pub const KIB: u64 = 1024;
pub const MIB: u64 = 1024 * KIB;

/// Bits a second.
pub const fn kbit(kilobits: u64) -> u64 {
    kilobits * 1000
}

/// Where the worlds of a family come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// Legs keep their rates and round trips.
    Static,
    /// A leg gets worse, better, stalls or dies.
    Changing,
    /// Legs are drawn from distributions.
    Drawn,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Family::Static => "static",
            Family::Changing => "changing",
            Family::Drawn => "drawn",
        }
    }
}

/// One leg: a path with one bottleneck in each direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// Round trip with empty queues.
    pub trip: Nanos,
    /// Bits a second towards the client.
    pub down: u64,
    /// Bits a second towards the exit.
    pub up: u64,
    /// The most that a cell is late each way. It changes slowly, and cells stay in order.
    pub jitter: Nanos,
    /// Other circuits with an endless download through the same bottleneck.
    pub rivals: u32,
    /// Cross traffic at the bottleneck, towards the client.
    pub cross: Option<Cross>,
    /// The bottleneck is the exit's own channel: the exit sees that it is full. Otherwise it is behind it.
    pub near: bool,
}

/// Traffic that comes and goes and does not yield.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cross {
    /// Its part of the rate while it is on, in thousandths.
    pub share: u64,
    /// Mean times on and off.
    pub on: Nanos,
    pub off: Nanos,
}

impl Leg {
    /// A leg with this round trip in milliseconds, and the same rate in kbit/s both ways.
    pub const fn new(trip: u64, rate: u64) -> Leg {
        let bits = kbit(rate);
        Leg { trip: trip * MS, down: bits, up: bits, jitter: 0, rivals: 0, cross: None, near: false }
    }
}

/// What becomes of a leg at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Time since the transfer began.
    pub at: Nanos,
    pub leg: usize,
    pub shift: Shift,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shift {
    /// The rate is this many thousandths of what it was at first.
    Rate(u64),
    /// The same for the round trip.
    Trip(u64),
    /// Nothing passes for so long.
    Stall(Nanos),
    /// Nothing passes any more, and both ends hear of it one round trip later.
    Die,
}

/// What is transferred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// So many bytes to the client.
    Download(u64),
    /// So many bytes to the exit.
    Upload(u64),
    /// A first stream, then so many at once, of sizes drawn from the seed.
    Page(u64),
    /// A download, and on a stream beside it a message of one cell every 200 ms.
    Interactive(u64),
}

impl Work {
    /// A short name: what and how much.
    pub fn name(self) -> String {
        let size = |bytes: u64| match bytes {
            _ if bytes % MIB == 0 => format!("{}M", bytes / MIB),
            _ => format!("{}K", bytes / KIB),
        };
        match self {
            Work::Download(bytes) => size(bytes),
            Work::Upload(bytes) => format!("up{}", size(bytes)),
            Work::Page(streams) => format!("page{streams}"),
            Work::Interactive(bytes) => format!("talk{}", size(bytes)),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct World {
    pub name: String,
    pub family: Family,
    pub legs: Vec<Leg>,
    pub changes: Vec<Change>,
    pub work: Work,
    pub seed: u64,
}

impl World {
    /// Sum of the rates at first, in the direction of the transfer.
    pub fn rates(&self) -> u64 {
        (0..self.legs.len()).map(|leg| self.rate(leg)).sum()
    }

    /// When the set is opened: other traffic has found its pace, so that the handshakes of legs meet it.
    pub fn opens(&self) -> Nanos {
        let busy = self.legs.iter().any(|leg| leg.rivals > 0 || leg.cross.is_some());
        if busy {
            5 * SECOND
        } else {
            0
        }
    }

    /// When the transfer begins: all legs are linked, even where the handshake has to wait behind the cells of others.
    pub fn start(&self) -> Nanos {
        let trips: Nanos = self.legs.iter().map(|leg| leg.trip).max().unwrap_or(0);
        let rivals: u64 = self.legs.iter().map(|leg| u64::from(leg.rivals)).sum();
        self.opens() + SECOND + 4 * trips + if rivals > 0 { 15 * SECOND } else { 0 }
    }

    /// The rate of a leg at first, in the direction of the transfer.
    pub fn rate(&self, leg: usize) -> u64 {
        match self.work {
            Work::Upload(_) => self.legs[leg].up,
            _ => self.legs[leg].down,
        }
    }
}
