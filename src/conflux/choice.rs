//! Which leg to send on: pure functions over plain numbers.

use crate::wire::conflux::Ux;

/// What is known of one leg's path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// Round-trip time in nanoseconds, [`UNMEASURED`] when there is none.
    pub rtt: u64,
    /// Congestion window in cells.
    pub cwnd: u64,
    /// DATA cells in flight. May be above `cwnd`, which can shrink.
    pub inflight: u64,
    /// The leg is linked, and the peer has been told: without that nothing else counts.
    pub linked: bool,
    /// The channel takes no more cells.
    pub blocked: bool,
    /// Padding holds back what would be sent.
    pub padded: bool,
    /// While it does, messages are kept here, not by the host. (Here, as this leaves no gap: see `Leg`.)
    pub holds: bool,
    /// Congestion control is in slow start.
    pub slow_start: bool,
}

/// The round-trip time of a leg that has none: it loses against every other (prop329 §2.4.2 allows such legs).
pub const UNMEASURED: u64 = u64::MAX;

impl Path {
    /// A leg that is not linked, or of which nothing was reported yet.
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

    /// True when a DATA cell may go out now.
    #[inline]
    pub fn ready(&self) -> bool {
        self.linked && self.inflight < self.cwnd && !self.blocked && !self.padded
    }
}

/// How to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// The leg with the lowest round-trip time, or wait for it (prop329 §3.1).
    MinRtt,
    /// The leg with the lowest round-trip time of those with room (prop329 §3.2).
    LowRtt,
    /// The leg with the lowest round-trip time while it has room; then the fastest other leg on which a cell, sent now,
    /// is not later than one that waits.
    CwndRtt,
}

impl Algorithm {
    /// Whether the leg that it has just chosen stays its choice for as long as that leg is ready and no report comes.
    /// Nobody asks again before then: an algorithm that also weighs what has been sent since has to say no.
    #[inline(always)]
    pub const fn stays_while_ready(self) -> bool {
        match self {
            Algorithm::MinRtt | Algorithm::LowRtt => true,
            Algorithm::CwndRtt => false,
        }
    }
}

/// An algorithm, and whether the receiver's memory is to be spared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How to choose.
    pub algorithm: Algorithm,
    /// At most one switch in a congestion window of DATA (prop329 §3.3).
    pub sparing: bool,
}

impl Policy {
    /// What a sender does for a receiver that asked for `ux`. C Tor maps both low-memory values to MinRTT; we keep the
    /// half of the wish that is about speed, and bound the switches, which is what bounds the receiver's queue.
    pub fn for_ux(ux: Ux) -> Policy {
        let (algorithm, sparing) = match ux {
            Ux::NoOpinion | Ux::HighThroughput => (Algorithm::LowRtt, false),
            Ux::MinLatency => (Algorithm::MinRtt, false),
            Ux::LowMemLatency => (Algorithm::MinRtt, true),
            Ux::LowMemThroughput => (Algorithm::LowRtt, true),
        };
        Policy { algorithm, sparing }
    }
}

/// The leg for a DATA cell, or none when it has to wait. Of equal legs the first wins.
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

/// The fastest leg, with room or without.
#[inline(always)]
pub fn fastest<'a>(paths: impl Iterator<Item = (usize, &'a Path)>) -> Option<(usize, &'a Path)> {
    // A loop, not min_by_key: it is what runs for every cell.
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

/// Cells that can go out on `path` before one round trip of the fastest leg is over.
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

    /// Whether some choice between these legs changes as DATA goes out on it, although the leg is ready still.
    fn wavers(algorithm: Algorithm, paths: [Path; 2]) -> bool {
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
    fn what_stays_while_ready_stays_and_what_does_not_wavers_somewhere() {
        let mut legs = Vec::new();
        for rtt in [1, 3, 10, UNMEASURED] {
            for (cwnd, inflight) in [(0, 0), (4, 0), (4, 4), (9, 2)] {
                for slow_start in [false, true] {
                    legs.push(Path { rtt, cwnd, inflight, linked: true, slow_start, ..Path::UNKNOWN });
                }
            }
        }
        for algorithm in [Algorithm::MinRtt, Algorithm::LowRtt, Algorithm::CwndRtt] {
            let wavers = legs.iter().any(|&one| legs.iter().any(|&other| wavers(algorithm, [one, other])));
            assert_eq!(wavers, !algorithm.stays_while_ready(), "{algorithm:?}");
        }
    }
}
