//! Which round trips are believed: what a clock that stands, a night asleep and a path that has changed look like.

#[path = "common/steady.rs"]
mod steady;

use circflow::congestion::Params;
use steady::{exit, steady, FREE};

/// The longest round trip there is: all of the host's time.
const LONGEST: u64 = u64::MAX / 1000;

/// The round trips that each threshold of the clock decides: at it, and beside it.
#[test]
fn a_jump_is_more_than_5000_times() {
    for (rtt, accepted) in [(500_000, true), (500_001, false)] {
        let mut vegas = steady(exit(), 31, 400);
        vegas.rtt.ewma = 100;
        vegas.handle_sendme(rtt, FREE);
        assert_eq!(vegas.rtt.max == rtt, accepted, "{rtt}");
    }
    for (rtt, broken, accepted) in [(20, true, true), (19, true, false), (19, false, true)] {
        let mut vegas = steady(exit(), 31, 400);
        (vegas.rtt.ewma, vegas.rtt.clock_broken) = (100_000, broken);
        vegas.handle_sendme(rtt, FREE);
        assert_eq!(vegas.rtt.ewma != 100_000, accepted, "{rtt}");
    }
}

/// After a jump, so many round trips, each with what is in flight then; answers which of them were believed.
fn believed(ewma: u64, rows: &[(u64, u32)]) -> Vec<bool> {
    let mut vegas = steady(exit(), 31, 5000);
    (vegas.rtt.ewma, vegas.rtt.min) = (ewma, ewma);
    let take = |&(rtt, inflight): &(u64, u32)| {
        let before = vegas.rtt.clone();
        vegas.inflight = inflight;
        vegas.handle_sendme(rtt, FREE);
        let is_believed = vegas.rtt.ewma != before.ewma;
        assert_eq!(vegas.rtt.max, if is_believed { before.max.max(rtt) } else { before.max }, "the longest believed");
        is_believed
    };
    rows.iter().map(take).collect()
}

#[test]
fn three_jumps_of_three_round_trips_that_agree_are_believed() {
    let (no, yes) = (false, true);
    for &(rtt, fast) in &[(100_000, 19), (LONGEST, 1), (500_001, 100)] {
        assert_eq!(believed(fast, &[(rtt, 31); 3]), [no, no, yes], "{rtt}");
    }
    // Within a factor of 2, whichever comes first; and beyond.
    for [a, b, c] in [[200_000, 100_000, 150_000], [100_000, 200_000, 100_000], [150_000, 200_000, 100_000]] {
        assert_eq!(believed(19, &[(a, 31), (b, 31), (c, 31)]), [no, no, yes]);
    }
    for [a, b, c] in [[200_001, 150_000, 100_000], [100_000, 150_000, 200_001], [100_000, 200_001, 150_000]] {
        assert_eq!(believed(19, &[(a, 31), (b, 31), (c, 31)]), [no; 3]);
    }
    // One that does not agree is the first of a new row.
    assert_eq!(
        believed(19, &[(100_000, 31), (100_000, 31), (900_000, 31), (900_000, 31), (900_000, 31)]),
        [no, no, no, no, yes]
    );
    // Zeros never count, and end a row; so does a round trip that is none too long.
    for other in [0, 18] {
        let rows = [100_000, 100_000, other, 100_000, 100_000, 100_000].map(|rtt| (rtt, 31));
        let answers = believed(19, &rows);
        assert_eq!((answers[3], answers[4], answers[5]), (no, no, yes), "{other}");
    }
    assert_eq!(believed(19, &[(0, 31); 100]), [no; 100]);
}

/// What was in flight when one was refused says nothing about another round trip.
#[test]
fn jumps_of_one_round_trip_are_one() {
    for (inflight, same) in [(31, 0), (61, 0), (62, 1), (93, 2), (5000, 160)] {
        let mut rows = vec![(100_000, inflight)];
        for _ in 0..2 {
            // Those still to come; they may differ as they like.
            rows.extend((0..same).map(|n| (100_000 * (1 + n % 7), inflight)));
            rows.push((110_000, inflight));
        }
        let mut wanted = vec![false; rows.len()];
        *wanted.last_mut().unwrap() = true;
        assert_eq!(believed(19, &rows), wanted, "{inflight} in flight");
    }
}

/// What a consensus has for the lowest round trip at the smallest window holds for a path that has changed, too.
#[test]
fn a_jump_that_is_believed_renews_the_lowest_round_trip() {
    for (pct, lowest) in [(0, 10), (50, 50_005), (100, 100_000)] {
        let mut vegas = steady(Params { rtt_reset_pct: pct, ewma_max: i32::MAX as u32, ..exit() }, 31, 5000);
        (vegas.rtt.ewma, vegas.rtt.min) = (10, 10);
        vegas.rtt.clock_broken = true;
        for _ in 0..3 {
            assert_eq!((vegas.rtt.ewma, vegas.rtt.min, vegas.rtt.max), (10, 10, 0));
            vegas.inflight = 31;
            vegas.handle_sendme(100_000, FREE);
        }
        let found = (vegas.rtt.ewma, vegas.rtt.min, vegas.rtt.max, vegas.rtt.clock_broken);
        assert_eq!(found, (100_000, lowest, 100_000, false), "{pct}");
    }
}

/// Each estimator has its own: nothing is shared in the process.
#[test]
fn a_broken_clock_is_the_circuits_own() {
    let (mut one, other) = (steady(exit(), 31, 400), steady(exit(), 31, 400));
    one.handle_sendme(0, FREE);
    assert!(one.rtt.clock_broken && !other.rtt.clock_broken);
}
