//! Legs at random for the models of choices, and what holds of each choice.

use circflow::base::time::NEVER;
use circflow::conflux::choice::on_time::{Chosen, Course};
use circflow::conflux::choice::random::DrawKey;
use circflow::conflux::choice::{choose_by_memory, Memo, Path, UNMEASURED};
use circflow::conflux::meter::Meter;
use circflow::conflux::Algorithm;
use proptest::prelude::*;

/// A leg and what is known of it.
#[derive(Clone, Debug)]
pub struct Leg {
    pub path: Path,
    pub meter: Meter,
    pub sendme_inc: u64,
}

/// What a choice is made from.
#[derive(Clone, Debug)]
pub struct Case {
    pub now: u64,
    pub flow: Course,
    pub sending: Option<usize>,
    pub sent: u64,
    pub legs: Vec<Leg>,
}

impl Case {
    pub fn choose(&self, algorithm: Algorithm) -> Result<Chosen, u64> {
        let legs = self.legs.iter().enumerate().map(|(at, leg)| (at, &leg.path, &leg.meter, leg.sendme_inc));
        choose_by_memory(algorithm, self.now, &self.flow, self.sending, self.sent, legs)
    }

    /// What holds of every algorithm.
    pub fn check(&self, algorithm: Algorithm) -> Result<Chosen, u64> {
        let answer = self.choose(algorithm);
        match answer {
            Ok(chosen) => {
                let path = &self.legs[chosen.leg].path;
                assert!(path.ready(), "{algorithm:?} chose a leg that is not ready: {self:#?}");
                assert!(
                    chosen.run >= 1 && chosen.run <= path.cwnd - path.inflight,
                    "{algorithm:?} {chosen:?} {self:#?}"
                );
            }
            Err(at) => {
                assert!(at >= self.now, "{algorithm:?} looks again in the past: {self:#?}");
                let refused = self.legs.iter().any(|leg| leg.path.ready());
                assert!(!refused || at != NEVER, "{algorithm:?} never looks again: {self:#?}");
            }
        }
        answer
    }
}

/// Legs as they are, each with its own numbers.
pub fn usual_legs() -> impl Strategy<Value = Leg> {
    let round_trips = (prop::sample::select(vec![20u64, 40, 60, 100, 300, 1000]), 0u64..400, 0u64..300);
    let window = (prop::sample::select(vec![0u64, 1, 31, 62, 124, 500]), 0u64..600);
    let rates = (prop::sample::select(vec![0u64, 40_000, 400_000, 4_000_000, 20_000_000]), 0u64..3_000);
    let flags = (0u8..100, prop::sample::select(vec![31u64, 31, 31, 1, 100]));
    (round_trips, window, rates, flags).prop_map(
        |((base, queue, jitter), (cwnd, inflight), (pace, ago), (bits, inc))| {
            let ms = 1_000_000;
            let mut meter = Meter::default();
            let known = bits % 10 != 9;
            (meter.base, meter.pace) = if known { (base * ms, pace + jitter * pace / 1000) } else { (UNMEASURED, 0) };
            meter.empty = if bits % 3 == 0 { meter.base } else { meter.base / 2 };
            meter.is_rough = bits % 5 == 0;
            meter.anchor = (NOW + 500 * ms).saturating_sub(ago * ms);
            let path = Path {
                rtt: if bits == 9 { UNMEASURED } else { (base + queue) * ms },
                cwnd,
                // Full windows are as frequent as others.
                inflight: if inflight >= 300 { cwnd } else { inflight.min(cwnd + 5) },
                linked: bits % 8 != 7,
                blocked: bits % 16 == 4,
                padded: bits % 32 == 5,
                ..Path::UNKNOWN
            };
            Leg { path, meter, sendme_inc: inc }
        },
    )
}

/// Numbers at which things break.
pub fn wild_number() -> impl Strategy<Value = u64> {
    let edges = vec![0, 1, 2, 31, 1 << 20, 1 << 32, (1 << 32) + 1, 1 << 40, 1 << 63, u64::MAX - 1, u64::MAX];
    prop_oneof![prop::sample::select(edges), any::<u64>(), 0u64..1000]
}

pub fn wild_legs() -> impl Strategy<Value = Leg> {
    let numbers = prop::array::uniform8(wild_number());
    (numbers, any::<(bool, bool, bool)>()).prop_map(|(numbers, (linked, blocked, padded))| {
        let [rtt, cwnd, inflight, base, empty, pace, anchor, sendme_inc] = numbers;
        let mut meter = Meter::default();
        (meter.base, meter.empty, meter.pace, meter.anchor) = (base, empty, pace, anchor);
        meter.is_rough = blocked;
        let (linked, blocked) = (linked || !blocked, blocked && padded);
        let path = Path { rtt, cwnd, inflight, linked, blocked, padded: padded && !linked, ..Path::UNKNOWN };
        Leg { path, meter, sendme_inc }
    })
}

/// The time of usual cases.
pub const NOW: u64 = 10_000_000_000;

fn flow() -> impl Strategy<Value = Course> {
    let counts = prop::array::uniform4(0u64..200);
    (counts, any::<(bool, bool)>(), any::<[u64; 2]>(), 0u64..13).prop_map(|(counts, (lends, waits), key, more)| {
        let [since, lent, began, until] = counts;
        let memo = Memo {
            waits,
            queue_end: if lends { 1000 + until * 3 } else { 0 },
            lambda_more: more,
            adapted_at: NOW - since * 1_000_000,
            key: DrawKey(key),
        };
        Course {
            since: NOW - since * 10_000_000,
            lent,
            lends,
            chosen_at: 1000,
            began_at: 1000 - began,
            until: 980 + until,
            memo,
        }
    })
}

/// Cases as they are.
pub fn usual_case() -> impl Strategy<Value = Case> {
    let legs = prop::collection::vec(usual_legs(), 0..5);
    (legs, flow(), prop::option::of(0usize..4)).prop_map(|(legs, flow, sending)| {
        let sending = sending.filter(|&at| at < legs.len());
        Case { now: NOW, flow, sending, sent: 1000, legs }
    })
}

/// Cases with any numbers.
pub fn wild_case() -> impl Strategy<Value = Case> {
    let legs = prop::collection::vec(wild_legs(), 0..17);
    let numbers = prop::array::uniform7(wild_number());
    (legs, flow(), prop::option::of(0usize..16), numbers).prop_map(|(legs, mut flow, sending, numbers)| {
        let [now, sent, queue_end, lambda, until, lent, since] = numbers;
        (flow.memo.queue_end, flow.memo.lambda_more, flow.memo.adapted_at) = (queue_end, lambda, until);
        (flow.until, flow.lent, flow.since, flow.began_at) = (until, lent, since, queue_end);
        Case { now: now.min(NEVER - 1), flow, sending, sent, legs }
    })
}

/// Of legs that are equal in all, the first ready one is chosen, or all wait.
pub fn first_of_equal(algorithm: Algorithm, case: &Case) {
    let Some(leg) = case.legs.first() else { return };
    for count in 1..5 {
        let alike = Case { legs: vec![leg.clone(); count], sending: None, ..case.clone() };
        let answer = alike.check(algorithm);
        assert!(answer.map_or(true, |chosen| chosen.leg == 0), "{algorithm:?}: {answer:?} of {alike:#?}");
    }
}

/// A number of the form a / b, exact.
#[derive(Clone, Copy, Debug)]
pub struct Ratio(pub u128, pub u128);

impl Ratio {
    pub fn of(number: u64) -> Ratio {
        Ratio(number.into(), 1)
    }

    pub fn plus(self, other: Ratio) -> Ratio {
        Ratio(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }

    pub fn times(self, other: Ratio) -> Ratio {
        Ratio(self.0 * other.0, self.1 * other.1)
    }

    pub fn below(self, other: Ratio) -> bool {
        self.0 * other.1 < other.0 * self.1
    }
}
