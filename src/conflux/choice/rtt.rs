//! The choices of proposal 329, by round-trip time: MinRTT, LowRTT and CwndRTT.

use super::{Algorithm, Path, UNMEASURED};

/// Returns the leg for a DATA cell, or none when the cell has to wait. Of equal legs the first wins.
#[inline(always)]
pub fn choose<'a>(algorithm: Algorithm, paths: impl Iterator<Item = (usize, &'a Path)> + Clone) -> Option<usize> {
    match algorithm {
        Algorithm::LowRtt => fastest(paths.filter(|(_, path)| path.ready())).map(|(index, _)| index),
        Algorithm::MinRtt => {
            fastest(paths.filter(|(_, path)| path.linked)).filter(|(_, path)| path.ready()).map(|(index, _)| index)
        }
        Algorithm::CwndRtt => cwnd_rtt(paths),
        // Made with what the set remembers: `choose_by_memory`.
        _ => None,
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

/// [`choose`] between two legs, for MinRTT and LowRTT.
#[inline(always)]
pub fn choose_of_two(algorithm: Algorithm, [first, second]: [&Path; 2]) -> Option<usize> {
    let is_faster = second.rtt < first.rtt;
    if algorithm == Algorithm::MinRtt {
        let (index, path) = if second.linked && (is_faster || !first.linked) { (1, second) } else { (0, first) };
        return path.ready().then_some(index);
    }
    if first.ready() {
        Some(usize::from(is_faster && second.ready()))
    } else {
        second.ready().then_some(1)
    }
}

#[inline(never)]
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
    fn a_choice_is_kept_by_just_the_algorithms_that_never_change_early() {
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

    #[test]
    fn between_two_legs_the_choice_is_that_between_any_number() {
        let mut legs = vec![Path::UNKNOWN];
        for rtt in [1, 3, UNMEASURED] {
            for (cwnd, inflight) in [(0, 0), (4, 0), (4, 4), (4, 5)] {
                for flags in 0..8 {
                    let [linked, blocked, padded] = [1, 2, 4].map(|flag| flags & flag != 0);
                    legs.push(Path { rtt, cwnd, inflight, linked, blocked, padded, holds: padded, slow_start: false });
                }
            }
        }
        for algorithm in [Algorithm::MinRtt, Algorithm::LowRtt] {
            for pair in legs.iter().flat_map(|one| legs.iter().map(move |other| [*one, *other])) {
                let any = choose(algorithm, pair.iter().enumerate());
                assert_eq!(choose_of_two(algorithm, [&pair[0], &pair[1]]), any, "{algorithm:?}: {pair:?}");
            }
        }
    }
}
