//! Chooses the leg to send on: pure functions over plain numbers.

use crate::wire::conflux::Ux;

/// State of one leg, from which the choice is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// Round-trip time in nanoseconds, [`UNMEASURED`] when there is none.
    pub rtt: u64,
    /// Congestion window in cells.
    pub cwnd: u64,
    /// DATA cells in flight. May be above `cwnd`, which can shrink.
    pub inflight: u64,
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
        self.linked && self.inflight < self.cwnd && !self.blocked && !self.padded
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
}

impl Algorithm {
    /// True when the leg just chosen stays the choice while it is ready and no report comes: the set then does not
    /// choose again. An algorithm that also depends on the cells sent since then has to answer false.
    #[inline(always)]
    pub const fn stays_while_ready(self) -> bool {
        match self {
            Algorithm::MinRtt | Algorithm::LowRtt => true,
            Algorithm::CwndRtt => false,
        }
    }
}

/// How a set chooses its sending leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Saves the receiver's memory: changes the leg at most once per congestion window of DATA (prop329 §3.3).
    pub saves_memory: bool,
}

impl Policy {
    /// Returns the policy for a receiver that asked for `ux`. C Tor maps both low-memory values to MinRTT; circflow
    /// keeps the wish for latency or throughput, and limits the changes of leg, which limits the receiver's queue.
    pub fn for_ux(ux: Ux) -> Policy {
        let (algorithm, saves_memory) = match ux {
            Ux::NoOpinion | Ux::HighThroughput => (Algorithm::LowRtt, false),
            Ux::MinLatency => (Algorithm::MinRtt, false),
            Ux::LowMemLatency => (Algorithm::MinRtt, true),
            Ux::LowMemThroughput => (Algorithm::LowRtt, true),
        };
        Policy { algorithm, saves_memory }
    }
}

/// Returns the leg for a DATA cell, or none when the cell has to wait. Of equal legs the first wins.
#[inline(always)]
pub fn choose<'a>(algorithm: Algorithm, paths: impl Iterator<Item = (usize, &'a Path)> + Clone) -> Option<usize> {
    match algorithm {
        Algorithm::LowRtt => fastest(paths.filter(|(_, path)| path.ready())).map(|(index, _)| index),
        Algorithm::MinRtt => {
            fastest(paths.filter(|(_, path)| path.linked)).filter(|(_, path)| path.ready()).map(|(index, _)| index)
        }
        Algorithm::CwndRtt => cwnd_rtt(paths),
    }
}

/// Returns the leg with the lowest round-trip time, with or without room. Of equal legs the first wins.
#[inline(always)]
pub fn fastest<'a>(paths: impl Iterator<Item = (usize, &'a Path)>) -> Option<(usize, &'a Path)> {
    // A loop, not min_by_key: this runs for every cell.
    let mut best: Option<(usize, &Path)> = None;
    for (index, path) in paths {
        if best.is_none_or(|(_, winner)| path.rtt < winner.rtt) {
            best = Some((index, path));
        }
    }
    best
}

fn cwnd_rtt<'a>(paths: impl Iterator<Item = (usize, &'a Path)> + Clone) -> Option<usize> {
    let (index, minimum) = fastest(paths.clone().filter(|(_, path)| path.linked))?;
    if minimum.ready() {
        return Some(index);
    }
    fastest(paths.filter(|(_, path)| path.ready() && sendable(path, minimum.rtt) > 0)).map(|(index, _)| index)
}

/// Number of cells that can go out on `path` within one round trip of the fastest leg.
fn sendable(path: &Path, min_rtt: u64) -> u64 {
    let room = path.cwnd.saturating_sub(path.inflight);
    if path.slow_start || path.rtt == UNMEASURED || min_rtt == UNMEASURED || path.rtt == 0 {
        return room;
    }
    let scaled = u128::from(room) * u128::from(min_rtt) / u128::from(path.rtt);
    path.cwnd.min(u64::try_from(scaled).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True when the choice between these legs changes as DATA goes out, although the chosen leg is still ready.
    fn changes_early(algorithm: Algorithm, paths: [Path; 2]) -> bool {
        let mut paths = paths;
        let Some(first) = choose(algorithm, paths.iter().enumerate()) else { return false };
        while paths[first].ready() {
            if choose(algorithm, paths.iter().enumerate()) != Some(first) {
                return true;
            }
            paths[first].inflight += 1;
        }
        false
    }

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
    fn stays_while_ready_is_true_of_just_the_algorithms_that_never_change_early() {
        let mut legs = Vec::new();
        for rtt in [1, 3, 10, UNMEASURED] {
            for (cwnd, inflight) in [(0, 0), (4, 0), (4, 4), (9, 2)] {
                for slow_start in [false, true] {
                    legs.push(Path { rtt, cwnd, inflight, linked: true, slow_start, ..Path::UNKNOWN });
                }
            }
        }
        for algorithm in [Algorithm::MinRtt, Algorithm::LowRtt, Algorithm::CwndRtt] {
            let changes = legs.iter().any(|&one| legs.iter().any(|&other| changes_early(algorithm, [one, other])));
            assert_eq!(changes, !algorithm.stays_while_ready(), "{algorithm:?}");
        }
    }
}
