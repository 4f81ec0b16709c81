//! OnTime against a naive second implementation.

mod common;

use circflow::base::time::NEVER;
use circflow::conflux::choice::on_time::Chosen;
use circflow::conflux::choice::UNMEASURED;
use circflow::conflux::Algorithm;
use common::choices::{usual_case, wild_case, Case};
use proptest::prelude::*;

const RUN: u128 = 64;
const RUN_BOTH: u128 = 500;
const AHEAD: u128 = 62;
const PROBE: u128 = 31;
const QUEUE_MOST: u128 = 248;
const LATE_SHARE: u128 = 64;
const UNKNOWN_SLOWER: u128 = 8;
const PROBE_TRIPS: u128 = 4;
const PROBE_SHARE: u128 = 6;
const PACE_GUESS: u128 = 10_000;
const LOOK_MIN: u128 = 1_000_000;
const HELD_BACK: u128 = 10_000_000;

/// What is foreseen of a leg, in numbers that do not end.
#[derive(Clone, Debug)]
struct Foreseen {
    leg: usize,
    arrives: u128,
    opens: u128,
    ready: bool,
    fresh: bool,
    is_rough: bool,
    waited: u128,
    hidden: u128,
    pace: u128,
    half: u128,
    room: u128,
    cwnd: u128,
    inflight: u128,
}

/// No time is above the last one there is.
fn time(number: u128) -> u128 {
    number.min(u64::MAX.into())
}

fn minus(one: u128, other: u128) -> u128 {
    one.saturating_sub(other)
}

fn foresee(case: &Case, leg: usize) -> Option<Foreseen> {
    let known = &case.legs[leg];
    let (path, meter, now) = (&known.path, &known.meter, u128::from(case.now));
    let [cwnd, inflight, inc, anchor] = [path.cwnd, path.inflight, known.sendme_inc, meter.anchor].map(u128::from);
    let measured = u128::from(meter.pace);
    let half = if meter.base == UNMEASURED { 0 } else { u128::from(meter.base / 2) };
    let is_idle = time(time(anchor + time(inflight * measured)) + half) < now;
    if !path.linked || path.padded || path.cwnd == 0 || (path.blocked && is_idle) {
        return None;
    }
    // The next acknowledgement is waited for. Is it very late, the leg is slower than it was.
    let waited = if anchor == 0 { 0 } else { minus(now, time(anchor + half)) };
    let late = minus(waited, time(inc * measured));
    let slack = time(time(inc * measured) + half);
    let pace = if measured > 0 && inflight >= inc && late > slack { waited / inc.max(1) } else { measured };
    let ready = inflight < cwnd && !path.blocked;
    let opens = if path.blocked {
        time(now + LOOK_MIN)
    } else if ready {
        now
    } else if late > 0 {
        time(now + late.max(LOOK_MIN))
    } else {
        time(anchor + time(inc * pace) + half).max(now)
    };
    let after_others = time(anchor + time(time(inflight + 1) * pace));
    let arrives = after_others.max(time(opens + half));
    let fresh = measured == 0;
    let hidden = u128::from(meter.base.saturating_sub(meter.empty));
    Some(Foreseen {
        leg,
        arrives,
        opens,
        ready,
        fresh,
        is_rough: meter.is_rough,
        waited,
        hidden,
        pace,
        half,
        room: minus(cwnd, inflight),
        cwnd,
        inflight,
    })
}

impl Foreseen {
    /// When a run would be there, of which the choice is the first.
    fn run_arrives(&self) -> u128 {
        time(self.arrives + time(AHEAD * self.pace))
    }

    fn queue(&self, now: u128) -> u128 {
        minus(self.arrives, time(now + self.half))
    }

    fn run_beside(&self, best: &Foreseen) -> u128 {
        if self.fresh {
            return PROBE;
        }
        match self.pace / best.pace.max(1) {
            0..=3 => RUN,
            _ if self.is_rough => RUN,
            ratio => PROBE.max(RUN_BOTH / (ratio + 1)),
        }
    }

    fn granted(&self, most: u128, lends: bool) -> Chosen {
        Chosen { leg: self.leg, run: self.room.min(most).max(1) as u64, lends }
    }
}

/// All legs, where those that were never measured are as slow as the slowest.
fn foresee_all(case: &Case) -> Vec<Foreseen> {
    let mut all: Vec<Foreseen> = (0..case.legs.len()).filter_map(|leg| foresee(case, leg)).collect();
    let measured = all.iter().filter(|one| !one.fresh);
    let slowest = measured.map(|one| one.pace).max().unwrap_or(0);
    let any_fresh = all.iter().any(|one| one.fresh);
    // A leg that has not answered yet is far away.
    let farthest = all.iter().map(|one| one.half).max().unwrap_or(0);
    for one in all.iter_mut().filter(|one| any_fresh && one.half == 0) {
        one.half = time(farthest * 2);
        one.arrives = one.arrives.max(time(one.opens + one.half));
    }
    // A first acknowledgement is waited for, too.
    let guess = slowest.max(PACE_GUESS);
    let is_silent =
        |one: &Foreseen| one.fresh && one.inflight >= PROBE && one.waited > time(time(PROBE * guess) + one.half);
    // If none was measured, the nearest goes first, and the others once it is full or silent.
    let nearest = all.iter().min_by_key(|one| (is_silent(one), one.half, one.leg));
    let nearest = nearest.filter(|_| all.iter().all(|one| one.fresh));
    let (first, others) = match nearest {
        Some(one) if !is_silent(one) && one.inflight < one.cwnd => (Some(one.leg), 0),
        one => (one.map(|one| one.leg), PROBE),
    };
    for one in all.iter_mut().filter(|one| one.fresh) {
        one.pace = if is_silent(one) { one.waited / PROBE } else { guess };
        one.arrives = time(one.arrives + time(one.inflight * one.pace));
        if first != Some(one.leg) {
            one.room = one.room.min(minus(others, one.inflight));
            if one.room == 0 {
                one.ready = false;
                one.arrives = NEVER.into();
            }
        }
    }
    // The best first.
    all.sort_by_key(|one| (one.run_arrives(), case.sending != Some(one.leg)));
    all
}

fn naive(case: &Case) -> Result<Chosen, u64> {
    let now = u128::from(case.now);
    let all = foresee_all(case);
    let best = all.first().ok_or(NEVER)?;
    let sends = |one: &&Foreseen| case.sending == Some(one.leg);
    // A run is not broken off as long as what is lost by it is no more than the rest of the run.
    let done = u128::from(case.sent.saturating_sub(case.flow.began_at));
    for current in all.iter().skip(1).filter(sends).filter(|one| one.ready) {
        let rest = minus(current.run_beside(best), done);
        let cost = time(time(rest * current.pace.max(best.pace)) * 2);
        if rest > 0 && current.arrives <= time(best.arrives + cost) {
            return Ok(current.granted(rest, case.flow.lends));
        }
    }
    let is_worth_a_run = best.room >= RUN.min(best.cwnd / 2);
    let runs_dry = time(best.queue(now) + best.hidden) < time(time(minus(RUN, best.room) * best.pace) + HELD_BACK);
    let too_much = minus(best.queue(now), time(time(QUEUE_MOST * best.pace) + HELD_BACK));
    let goes = too_much == 0 && (case.sending == Some(best.leg) || is_worth_a_run || runs_dry);
    if best.ready && (goes || all.len() == 1) {
        return Ok(best.granted(RUN, false));
    }
    let since = minus(now, case.flow.since.into());
    let saved = time(u128::from(case.flow.lent) * best.pace);
    let limit = time(best.arrives + time(since / LATE_SHARE + saved));
    for other in all.iter().skip(1).filter(|one| one.ready) {
        let run = other.run_beside(best);
        let may = if other.fresh {
            let guess = time(time(PROBE * best.pace) * UNKNOWN_SLOWER);
            let patience = time(best.half * 2 * PROBE_TRIPS).max(since / PROBE_SHARE);
            other.inflight < PROBE && !best.fresh && time(other.half + guess) <= patience
        } else {
            let last = time(other.arrives + time((run - 1) * other.pace));
            let is_worth_it = other.room >= run.min(other.cwnd / 2);
            let is_short = other.queue(now) <= time(time(run * other.pace) + HELD_BACK);
            let limit = time(limit + if other.is_rough { 6 * HELD_BACK } else { 0 });
            is_worth_it && is_short && last <= time(limit + time(run * best.pace))
        };
        if may {
            return Ok(other.granted(run, true));
        }
    }
    let soon = time(now + (best.half / 4).max(LOOK_MIN)).min(u128::from(NEVER) - 1);
    Err(best.opens.max(time(now + too_much.max(LOOK_MIN))).min(soon) as u64)
}

fn compare(case: &Case) {
    assert_eq!(case.check(Algorithm::OnTime), naive(case), "{case:#?}");
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
        common::choices::first_of_equal(Algorithm::OnTime, &usual);
        common::choices::first_of_equal(Algorithm::OnTime, &wild);
    }
}
