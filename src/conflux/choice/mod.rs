//! Chooses the leg to send on: a family of pure functions over plain numbers. [`FAMILY`] is the list of them.

pub mod blest;
pub mod ecf;
pub mod on_time;
pub mod otias;
pub mod random;
mod rtt;
mod seen;

pub use rtt::{choose, choose_of_two, fastest};

use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::conflux::meter::Meter;
use crate::wire::conflux::Ux;
use on_time::{Chosen, Course};

/// State of one leg, from which the choice is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Path {
    /// DATA cells in flight. May be above `cwnd`, which can shrink.
    pub inflight: u64,
    /// Congestion window in cells.
    pub cwnd: u64,
    /// Round-trip time in nanoseconds, [`UNMEASURED`] when there is none.
    pub rtt: u64,
    /// The leg is linked, and the peer has been told. A leg without this is never chosen.
    pub linked: bool,
    /// The channel takes no more cells.
    pub blocked: bool,
    /// A padding block holds back messages on this leg.
    pub padded: bool,
    /// While the block lasts, circflow keeps the messages, not the host. (In `Path`, where it costs no space: the size
    /// of `Leg` is fixed.)
    pub holds: bool,
    /// Congestion control is in slow start.
    pub slow_start: bool,
}

/// Stands for the round-trip time of a leg that was never measured: every measured leg is faster (prop329 §2.4.2 allows
/// legs without a measurement).
pub const UNMEASURED: u64 = u64::MAX;

impl Path {
    /// A leg that is not linked, or has no report yet.
    pub const UNKNOWN: Path = Path {
        rtt: UNMEASURED,
        cwnd: 0,
        inflight: 0,
        linked: false,
        blocked: false,
        padded: false,
        holds: false,
        slow_start: false,
    };

    /// The first reason why no DATA cell may go out now.
    #[inline(always)]
    pub fn lack(&self) -> Lack {
        // Backwards, so that each reason is one comparison and no jump.
        let mut lack = if self.padded { Lack::Padding } else { Lack::Nothing };
        lack = if self.blocked { Lack::Channel } else { lack };
        lack = if self.inflight < self.cwnd { lack } else { Lack::Window };
        if self.linked {
            lack
        } else {
            Lack::Link
        }
    }

    /// True when a DATA cell may go out now.
    #[inline]
    pub fn ready(&self) -> bool {
        // Two flags in one comparison.
        let held_back = u16::from_ne_bytes([self.blocked.into(), self.padded.into()]);
        self.linked && self.inflight < self.cwnd && held_back == 0
    }
}

/// What a leg lacks for the next DATA cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Lack {
    /// Nothing: the leg is ready.
    Nothing = 0,
    /// It is not linked.
    Link = 1,
    /// Its window is full.
    Window = 2,
    /// Its channel is full.
    Channel = 3,
    /// Padding blocks it.
    Padding = 4,
}

/// Algorithm that chooses the sending leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// The leg with the lowest round-trip time; while it has no room, DATA waits (prop329 §3.1).
    MinRtt,
    /// The leg with the lowest round-trip time among the legs with room (prop329 §3.2).
    LowRtt,
    /// The leg with the lowest round-trip time while it has room; then the fastest other leg on which at least one cell
    /// can go out within one round trip of the first.
    CwndRtt,
    /// The leg on which the cell arrives first; another one only if its cells are there as early as the best leg alone
    /// would have brought them (see [`on_time`]).
    OnTime,
    /// The fastest leg; another one only if the fastest would not finish the rest earlier (see [`ecf`]).
    Ecf,
    /// The fastest leg; another one only while what it carries does not block the receiver (see [`blest`]).
    Blest,
    /// The leg on which the cell is foreseen to arrive first, with the wait for room (see [`otias`]).
    Otias,
    /// A leg drawn by chance, for a run of chance length (see [`random`]).
    Random,
}

/// An algorithm, as the list of them has it.
#[allow(dead_code, reason = "for those who compare algorithms: tests")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Its name in texts.
    pub name: &'static str,
    /// Where it is described.
    pub source: &'static str,
    /// What it reads.
    pub reads: &'static str,
    /// It reads what each leg was seen to do.
    pub measures: bool,
    /// Its choice may be kept while the leg is ready and no report comes.
    pub is_kept: bool,
}

#[allow(dead_code, reason = "for those who compare algorithms: tests")]
const fn listing(algorithm: Algorithm, name: &'static str, source: &'static str, reads: &'static str) -> Listing {
    Listing { algorithm, name, source, reads, measures: algorithm.measures(), is_kept: algorithm.stays_while_ready() }
}

/// All algorithms.
#[allow(dead_code, reason = "for those who compare algorithms: tests")]
pub const FAMILY: [Listing; 8] = [
    listing(Algorithm::MinRtt, "MinRTT", "prop329 3.1", "round trip"),
    listing(Algorithm::LowRtt, "LowRTT", "prop329 3.2", "round trip, room"),
    listing(Algorithm::CwndRtt, "CwndRTT", "prop329 3.2, as C Tor has it", "round trip, window, slow start"),
    listing(Algorithm::OnTime, "OnTime", "circflow", "pace, lowest round trip, in flight, what was lent"),
    listing(Algorithm::Ecf, "ECF", "Lim et al., CoNEXT 2017", "round trip and its spread, window, what waits"),
    listing(
        Algorithm::Blest,
        "BLEST",
        "Ferlin et al., IFIP Networking 2016",
        "round trip, windows, in flight, what was late",
    ),
    listing(
        Algorithm::Otias,
        "OTIAS",
        "Yang, Wang and Amer, WAINA 2014",
        "round trip, window, what a SENDME acknowledges",
    ),
    listing(Algorithm::Random, "random", "De la Cadena et al., CCS 2020; prop329 4.3", "round trip, window, a key"),
];

impl Algorithm {
    /// True when the choice needs to know what each leg was seen to do.
    #[inline(always)]
    pub const fn measures(self) -> bool {
        matches!(self, Algorithm::OnTime | Algorithm::Ecf | Algorithm::Blest | Algorithm::Otias)
    }

    /// True when the choice needs what the set remembers from choice to choice, and says for how many messages it is
    /// meant: [`choose_by_memory`] makes it.
    #[inline(always)]
    pub const fn remembers(self) -> bool {
        self.measures() || matches!(self, Algorithm::Random)
    }

    /// True when the leg just chosen stays the choice while it is ready and no report comes: the set then does not
    /// choose again. An algorithm that also depends on the cells sent since then has to answer false.
    #[inline(always)]
    pub const fn stays_while_ready(self) -> bool {
        matches!(self, Algorithm::MinRtt | Algorithm::LowRtt)
    }
}

/// What the algorithms from papers remember from choice to choice.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Memo {
    /// ECF: DATA waits for the fastest leg although another one has room.
    pub waits: bool,
    /// Number of the last message that is known to wait to be sent. One that was sent already says that nothing is
    /// known.
    pub queue_end: u64,
    /// BLEST: how far lambda is above 1, in tenths.
    pub lambda_more: u64,
    /// BLEST: when lambda was changed last.
    pub adapted_at: Nanos,
    /// Random: nobody else can foretell what is drawn.
    pub key: random::DrawKey,
}

/// Makes the choice of an algorithm that [remembers](Algorithm::remembers).
#[inline]
pub fn choose_by_memory<'a>(
    algorithm: Algorithm,
    now: Nanos,
    flow: &Course,
    sending: Option<usize>,
    sent: u64,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Result<Chosen, Nanos> {
    match algorithm {
        Algorithm::Ecf => ecf::choose(now, flow, sending, sent, legs),
        Algorithm::Blest => blest::choose(now, flow, sending, sent, legs),
        Algorithm::Otias => otias::choose(now, flow, sending, sent, legs),
        Algorithm::Random => random::choose(now, flow, sending, sent, legs),
        Algorithm::OnTime => on_time::choose(now, flow, sending, sent, legs),
        Algorithm::MinRtt | Algorithm::LowRtt | Algorithm::CwndRtt => Err(NEVER),
    }
}

/// How a set chooses its sending leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Saves the receiver's memory: changes the leg at most once per congestion window of DATA (prop329 §3.3).
    pub saves_memory: bool,
    /// DATA messages in a row on a leg at least, while it has room. 0 leaves it to the algorithm.
    pub run_min: u32,
}

impl Policy {
    /// Returns the policy for a receiver that asked for `ux`:
    ///
    /// | wish | algorithm | SWITCHes | why |
    /// |---|---|---|---|
    /// | none | OnTime | any | as fast as the best leg alone, or faster |
    /// | latency | MinRTT | any | all go the shortest way, and hardly a message waits for order |
    /// | latency, low memory | MinRTT | one in a window | legs with like round trips do not take turns |
    /// | throughput | OnTime | any | the same |
    /// | throughput, low memory | LowRTT | one in a window | all legs are used; runs bound what is held for order |
    ///
    /// C Tor has LowRTT in place of OnTime, which is slower than one leg where legs are unequal. For the last one it
    /// has MinRTT, which gives up the throughput that was asked for.
    ///
    /// A wish is of the receiver, whose memory and delay it is about; so it is the default. The sender's host may set
    /// another algorithm, and still keeps to low memory. A host that names the leg itself is bound by neither.
    pub fn for_ux(ux: Ux) -> Policy {
        let (algorithm, saves_memory) = match ux {
            Ux::NoOpinion | Ux::HighThroughput => (Algorithm::OnTime, false),
            Ux::MinLatency => (Algorithm::MinRtt, false),
            Ux::LowMemLatency => (Algorithm::MinRtt, true),
            Ux::LowMemThroughput => (Algorithm::LowRtt, true),
        };
        Policy { algorithm, saves_memory, run_min: 0 }
    }

    /// True when the sending leg may be kept although the algorithm would change it.
    #[inline(always)]
    pub const fn keeps_leg(&self) -> bool {
        self.saves_memory || self.run_min != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_that_lacks_nothing_is_ready() {
        for bits in 0..16 {
            let [linked, full, blocked, padded] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let path = Path { cwnd: 1, inflight: full.into(), linked, blocked, padded, ..Path::UNKNOWN };
            let expected = match (linked, full, blocked, padded) {
                (false, ..) => Lack::Link,
                (_, true, ..) => Lack::Window,
                (_, _, true, _) => Lack::Channel,
                (.., true) => Lack::Padding,
                _ => Lack::Nothing,
            };
            assert_eq!((path.lack(), path.ready()), (expected, expected == Lack::Nothing));
        }
    }

    #[test]
    fn the_family_is_complete_and_in_order() {
        for (place, row) in FAMILY.iter().enumerate() {
            assert_eq!(row.algorithm as usize, place, "{}", row.name);
            assert!(!row.measures || row.algorithm.remembers());
            assert!(!(row.is_kept && row.algorithm.remembers()), "{}", row.name);
        }
        assert_eq!(FAMILY.len(), Algorithm::Random as usize + 1);
    }
}
