//! ECF, BLEST, OTIAS and random, each against a naive second implementation, made from the descriptions.

mod common;

use circflow::base::time::NEVER;
use circflow::conflux::choice::blest;
use circflow::conflux::choice::on_time::Chosen;
use circflow::conflux::choice::{Memo, Path, UNMEASURED};
use circflow::conflux::Algorithm;
use common::choices::{first_of_equal, usual_case, wild_case, Case, Leg, Ratio};
use proptest::prelude::*;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

type Naive = fn(&Case) -> Result<Chosen, u64>;

const PAPERS: [(Algorithm, Naive); 4] = [
    (Algorithm::Ecf, naive_ecf),
    (Algorithm::Blest, naive_blest),
    (Algorithm::Otias, naive_otias),
    (Algorithm::Random, naive_random),
];
const MS: u128 = 1_000_000;

fn half(leg: &Leg) -> u128 {
    if leg.meter.base == UNMEASURED {
        0
    } else {
        u128::from(leg.meter.base / 2)
    }
}

/// When an acknowledgement is due.
fn due(leg: &Leg) -> u128 {
    let inc = u128::from(leg.sendme_inc.clamp(1, 1 << 32));
    u128::from(leg.meter.anchor) + half(leg) + inc * u128::from(leg.meter.pace)
}

fn owes(leg: &Leg) -> bool {
    leg.path.inflight >= leg.sendme_inc.clamp(1, 1 << 32) || leg.path.inflight >= leg.path.cwnd
}

fn rtt(leg: &Leg) -> u64 {
    leg.path.rtt.clamp(1, 1 << 40)
}

fn cwnd(leg: &Leg) -> u64 {
    leg.path.cwnd.min(1 << 32)
}

fn late(now: u64, leg: &Leg) -> bool {
    let patience = match leg.path.rtt {
        UNMEASURED => 1000 * MS,
        _ => (2 * u128::from(rtt(leg))).clamp(200 * MS, 60_000 * MS),
    };
    owes(leg) && u128::from(now) > due(leg) + patience
}

/// Places of the legs that can be thought of.
fn thinkable(case: &Case) -> Vec<usize> {
    let lasts = |leg: &Leg| {
        let arrived = u128::from(leg.meter.anchor) + u128::from(leg.path.inflight) * u128::from(leg.meter.pace);
        leg.path.blocked && arrived + half(leg) < u128::from(case.now)
    };
    let fits = |leg: &Leg| leg.path.linked && !leg.path.padded && leg.path.cwnd > 0 && !lasts(leg);
    (0..case.legs.len()).filter(|&at| fits(&case.legs[at])).collect()
}

/// Those, the fastest first.
fn by_speed(case: &Case) -> Vec<usize> {
    let mut order = thinkable(case);
    order.sort_by_key(|&at| (late(case.now, &case.legs[at]), rtt(&case.legs[at])));
    order
}

fn ready(path: &Path) -> bool {
    path.linked && !path.blocked && !path.padded && path.cwnd > path.inflight
}

fn look(now: u64, leg: &Leg) -> u64 {
    let wait = (u128::from(rtt(leg)) / 4).clamp(MS, 1000 * MS);
    (u128::from(now) + wait).min(u128::from(NEVER) - 1) as u64
}

fn grant(case: &Case, at: usize, run: u64, lends: bool) -> Result<Chosen, u64> {
    let leg = &case.legs[at];
    let room = cwnd(leg).saturating_sub(leg.path.inflight.min(1 << 32));
    Ok(Chosen { leg: at, run: room.min(run).max(1), lends })
}

fn naive_ecf(case: &Case) -> Result<Chosen, u64> {
    let order = by_speed(case);
    let at_fast = *order.first().ok_or(NEVER)?;
    if ready(&case.legs[at_fast].path) {
        return grant(case, at_fast, u64::MAX, false);
    }
    let at_slow = *order.iter().find(|&&at| ready(&case.legs[at].path)).ok_or(NEVER)?;
    let (fast, slow) = (&case.legs[at_fast], &case.legs[at_slow]);
    let known = case.flow.memo.queue_end.saturating_sub(case.sent).min(1 << 32);
    let k = Ratio::of(if known > 0 { known } else { cwnd(fast) });
    let above = |leg: &Leg| rtt(leg).saturating_sub(leg.meter.base);
    let d = Ratio::of(above(fast).max(above(slow)) / 4);
    let (f, s) = (Ratio::of(rtt(fast)), Ratio::of(rtt(slow)));
    let per = |leg: &Leg| Ratio(1, cwnd(leg).into());
    let b = if case.flow.memo.waits { Ratio(5, 4) } else { Ratio(1, 1) };
    let first = Ratio::of(1).plus(k.times(per(fast))).times(f).below(b.times(s.plus(d)));
    let second = !k.times(per(slow)).times(s).below(Ratio::of(2).times(f).plus(d));
    if first && second && !late(case.now, fast) {
        return Err(look(case.now, fast));
    }
    grant(case, at_slow, if known > 0 { 1 } else { u64::MAX }, true)
}

fn naive_blest(case: &Case) -> Result<Chosen, u64> {
    let order = by_speed(case);
    let at_fast = *order.first().ok_or(NEVER)?;
    if ready(&case.legs[at_fast].path) {
        return grant(case, at_fast, u64::MAX, false);
    }
    let at_slow = *order.iter().find(|&&at| ready(&case.legs[at].path)).ok_or(NEVER)?;
    let (fast, slow) = (&case.legs[at_fast], &case.legs[at_slow]);
    if late(case.now, fast) {
        return grant(case, at_slow, u64::MAX, true);
    }
    let m: u64 = order.iter().map(|&at| cwnd(&case.legs[at])).sum();
    let (f, s) = (rtt(fast), rtt(slow));
    // (cwnd + (s / f - 1) / 2) * s / f; the window does not grow while nothing comes back.
    let window = Ratio::of(cwnd(fast)).plus(Ratio(s.saturating_sub(f).into(), 2 * u128::from(f)));
    let window = Ratio(window.0 * u128::from(s), window.1 * u128::from(f));
    let lambda = Ratio(10 + u128::from(case.flow.memo.lambda_more.min(10)), 10);
    let x = window.times(lambda);
    let inflight = slow.path.inflight.min(1 << 32);
    let goes = |more: u64| m.checked_sub(inflight + more).is_some_and(|left| !Ratio::of(left).below(x));
    if !goes(1) {
        return Err(look(case.now, fast));
    }
    let room = cwnd(slow) - inflight;
    // The most that goes, found by halving.
    let (mut least, mut most) = (1, room + 1);
    while most - least > 1 {
        let middle = least + (most - least) / 2;
        if goes(middle) {
            least = middle;
        } else {
            most = middle;
        }
    }
    grant(case, at_slow, least, true)
}

fn naive_adapt(case: &Case) -> Memo {
    let memo = case.flow.memo;
    let order = by_speed(case);
    let Some(&fast) = order.first() else { return memo };
    if u128::from(case.now) < u128::from(memo.adapted_at) + u128::from(rtt(&case.legs[fast])) {
        return memo;
    }
    let overdue = order.iter().filter(|&&at| at != fast).any(|&at| {
        let leg = &case.legs[at];
        owes(leg) && leg.meter.pace > 0 && u128::from(case.now) > due(leg) + half(leg) / 4
    });
    let tenths = memo.lambda_more.min(10);
    let lambda_more = match (overdue, tenths) {
        (true, 10) => 10,
        (true, less) => less + 1,
        (false, 0) => 0,
        (false, more) => more - 1,
    };
    Memo { lambda_more, adapted_at: case.now, ..memo }
}

fn naive_otias(case: &Case) -> Result<Chosen, u64> {
    // Twice the time until the next cell arrives, whole nanoseconds.
    let arrives = |at: usize| {
        let leg = &case.legs[at];
        let opens = u128::from(leg.sendme_inc.clamp(1, 1 << 32)).min(cwnd(leg).into());
        let wait = if ready(&leg.path) { 0 } else { 2 * u128::from(rtt(leg)) * opens / u128::from(cwnd(leg)) };
        u128::from(rtt(leg)) + wait
    };
    let mut order = thinkable(case);
    order.sort_by_key(|&at| (late(case.now, &case.legs[at]), arrives(at)));
    let best = *order.first().ok_or(NEVER)?;
    let other = order.iter().copied().find(|&at| ready(&case.legs[at].path)).ok_or(NEVER)?;
    if other == best {
        grant(case, best, u64::MAX, false)
    } else if late(case.now, &case.legs[best]) {
        grant(case, other, u64::MAX, true)
    } else {
        Err(look(case.now, &case.legs[best]))
    }
}

fn naive_random(case: &Case) -> Result<Chosen, u64> {
    let open: Vec<usize> = (0..case.legs.len()).filter(|&at| ready(&case.legs[at].path)).collect();
    let room = |at: usize| case.legs[at].path.cwnd - case.legs[at].path.inflight;
    let rest = case.flow.until.saturating_sub(case.sent);
    if let Some(at) = case.sending.filter(|at| open.contains(at) && rest > 0 && rest < 70) {
        return Ok(Chosen { leg: at, run: rest.min(room(at)), lends: false });
    }
    let circflow::conflux::choice::random::DrawKey([one, two]) = case.flow.memo.key;
    let mut hash = SipHasher13::new_with_keys(one, two);
    hash.write_u64(case.sent);
    let drawn = hash.finish128();
    let weights: Vec<u128> = open
        .iter()
        .map(|&at| {
            let path = &case.legs[at].path;
            (u128::from(path.cwnd.min(1 << 32)) * (1 << 28) / u128::from(path.rtt.max(1))).max(1)
        })
        .collect();
    let sum = weights.iter().sum::<u128>().min(u64::MAX.into());
    // The legs lie on a line, each as long as its weight. The point drawn is on one of them.
    let point = u128::from(drawn.h1) * sum / (1 << 64);
    let ends = weights.iter().scan(0, |end, weight| {
        *end += weight;
        Some(*end)
    });
    let at = open.iter().zip(ends).find(|&(_, end)| point < end).map(|(&at, _)| at).ok_or(NEVER)?;
    Ok(Chosen { leg: at, run: room(at).min(50 + drawn.h2 % 21), lends: false })
}

fn compare(case: &Case) {
    for (algorithm, naive) in PAPERS {
        assert_eq!(case.check(algorithm), naive(case), "{algorithm:?} of {case:#?}");
    }
    let legs = case.legs.iter().enumerate().map(|(at, leg)| (at, &leg.path, &leg.meter, leg.sendme_inc));
    assert_eq!(blest::adapt(case.now, &case.flow.memo, legs), naive_adapt(case), "{case:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn usual_legs(case in usual_case()) {
        compare(&case);
    }

    #[test]
    fn legs_with_any_numbers(case in wild_case()) {
        compare(&case);
    }

    #[test]
    fn the_first_of_equal_legs(usual in usual_case(), wild in wild_case()) {
        for algorithm in [Algorithm::Ecf, Algorithm::Blest, Algorithm::Otias] {
            first_of_equal(algorithm, &usual);
            first_of_equal(algorithm, &wild);
        }
    }
}
