//! The congestion window against a second, naive implementation, written straight from the rules; and the sharp edges
//! of other implementations, one test each.

#[path = "common/steady.rs"]
mod steady;

use circflow::base::limits::SENDMES_PENDING_MAX;
use circflow::base::sync::Arc;
use circflow::congestion::{ChannelState, Inc, Params, PathClass, Vegas};
use proptest::prelude::*;
use steady::{exit, steady, FREE};

/// The rules in 64 bits, with a long division where products do not fit.
struct Naive {
    p: Params,
    inc: u64,
    cwnd: u64,
    inflight: u64,
    slow_start: bool,
    full: bool,
    blocked: bool,
    broken: bool,
    ewma: u64,
    min: u64,
    max: u64,
    bdp: u64,
    next_cwnd: u64,
    next_cc: u64,
    /// Jumps upwards that were refused, one after the other; and SENDMEs to come that were sent for before the last.
    jumps: Vec<u64>,
    old_ones: u64,
}

impl Naive {
    fn new(p: Params, inc: u64) -> Self {
        let cwnd = u64::from(p.cwnd_init);
        let mut naive = Naive {
            p,
            inc,
            cwnd,
            inflight: 0,
            slow_start: true,
            full: false,
            blocked: false,
            broken: false,
            ewma: 0,
            min: 0,
            max: 0,
            bdp: 0,
            next_cwnd: 0,
            next_cc: 1,
            jumps: Vec::new(),
            old_ones: 0,
        };
        naive.bounds();
        naive
    }

    /// Ours, not C Tor's: room for one SENDME at least, and for as many as are remembered at most.
    fn bounds(&mut self) {
        if self.cwnd > u64::from(self.p.cwnd_max) {
            self.cwnd = self.p.cwnd_max.into();
        }
        if self.cwnd > u64::from(SENDMES_PENDING_MAX) * self.inc {
            self.cwnd = u64::from(SENDMES_PENDING_MAX) * self.inc;
        }
        if self.cwnd < self.inc {
            self.cwnd = self.inc;
        }
    }

    fn upd(&self) -> u64 {
        let rate_inc = u64::from(self.p.cwnd_inc_rate) * self.inc;
        if self.slow_start {
            1
        } else {
            (self.cwnd + rate_inc / 2) / rate_inc
        }
    }

    fn spc(&self) -> u64 {
        (self.cwnd + self.inc / 2) / self.inc
    }

    fn stalled(&mut self, new: u64) -> bool {
        let old = self.ewma;
        if new == 0 {
            self.broken = true;
            return true;
        }
        if self.slow_start || old == 0 {
            return false;
        }
        // old > 5000 * new, without a product.
        if old / 5000 > new || (old / 5000 == new && old % 5000 > 0) {
            return self.broken;
        }
        if new / 5000 > old || (new / 5000 == old && new % 5000 > 0) {
            return true;
        }
        self.broken = false;
        false
    }

    /// Ours, not C Tor's: three jumps in a row, of three round trips, which are within a factor of 2.
    fn third_jump(&mut self, r: u64) -> bool {
        if r == 0 || r / 5000 < self.ewma {
            self.jumps.clear();
            self.old_ones = 0;
            return false;
        }
        if self.old_ones > 0 {
            self.old_ones -= 1;
            return false;
        }
        if self.jumps.iter().any(|&jump| r.max(jump) / 2 + r.max(jump) % 2 > r.min(jump)) {
            self.jumps.clear();
        }
        self.jumps.push(r);
        self.old_ones = (self.inflight / self.inc).max(1) - 1;
        self.jumps.len() == 3
    }

    fn rtt(&mut self, r: u64) -> u64 {
        let mut renew = self.cwnd == u64::from(self.p.cwnd_min) && !self.slow_start;
        if self.stalled(r) {
            if !self.third_jump(r) {
                return 0;
            }
            self.broken = false;
            self.ewma = 0;
            renew = true;
        }
        self.jumps.clear();
        self.old_ones = 0;
        let n = if self.slow_start {
            u64::from(self.p.ewma_ss)
        } else {
            (self.upd() * u64::from(self.p.ewma_cwnd_pct) / 100).min(self.p.ewma_max.into())
        };
        let n = n.max(2);
        if self.ewma == 0 {
            self.ewma = r;
        } else {
            let (q1, r1) = times_over(2, r, n + 1);
            let (q2, r2) = times_over(n - 1, self.ewma, n + 1);
            self.ewma = q1 + q2 + (r1 + r2) / (n + 1);
        }
        if r > self.max {
            self.max = r;
        }
        if self.min == 0 {
            self.min = self.ewma;
        } else if renew {
            let pct = u64::from(self.p.rtt_reset_pct);
            let (a, b) = (self.min, self.ewma);
            self.min = pct * a.max(b) / 100 + (100 - pct) * a.min(b) / 100;
        } else if self.ewma < self.min {
            self.min = self.ewma;
        }
        r
    }

    fn update_bdp(&mut self, r: u64, channel: ChannelState) -> bool {
        if self.ewma == 0 {
            self.bdp = self.cwnd;
            if channel.blocked {
                self.bdp = self.cwnd.saturating_sub(channel.queued.into()).max(self.p.cwnd_min.into());
            }
            self.blocked = channel.blocked;
            return channel.blocked;
        }
        self.bdp = times_over(self.cwnd, self.min, self.ewma).0;
        if channel.blocked != self.blocked {
            self.next_cc = 0;
            self.blocked = channel.blocked;
        }
        channel.blocked || r != 0
    }

    fn sendme(&mut self, r: u64, channel: ChannelState) {
        self.next_cc -= u64::from(self.next_cc > 0);
        self.next_cwnd -= u64::from(self.next_cwnd > 0);
        let r = self.rtt(r);
        if self.update_bdp(r, channel) {
            self.run();
        }
        self.inflight = self.inflight.saturating_sub(self.inc);
        self.bounds();
    }

    fn run(&mut self) {
        let p = self.p.clone();
        let q = self.cwnd.saturating_sub(self.bdp);
        if self.inflight + u64::from(p.cwnd_full_gap) * self.inc >= self.cwnd {
            self.full = true;
        } else if 100 * self.inflight < u64::from(p.cwnd_full_minpct) * self.cwnd {
            self.full = false;
        }
        if self.slow_start {
            if q < u64::from(p.gamma) && !self.blocked {
                if self.full {
                    let sscap = u64::from(p.sscap);
                    let k = if self.cwnd <= sscap {
                        (u64::from(p.cwnd_inc_pct_ss) * self.inc + 50) / 100
                    } else {
                        ((self.inc * sscap + self.cwnd) / (2 * self.cwnd)).max(1)
                    };
                    self.cwnd += k;
                    if k * self.spc() <= u64::from(p.cwnd_inc) * u64::from(p.cwnd_inc_rate) {
                        self.slow_start = false;
                    }
                }
            } else {
                self.cwnd = self.bdp.saturating_add(p.gamma.into());
                self.slow_start = false;
            }
            if self.cwnd >= u64::from(p.ss_max) {
                self.cwnd = p.ss_max.into();
                self.slow_start = false;
            }
        } else if self.next_cc == 0 {
            if q > u64::from(p.delta) {
                self.cwnd = (self.bdp + u64::from(p.delta)).saturating_sub(p.cwnd_inc.into());
            } else if q > u64::from(p.beta) || self.blocked {
                self.cwnd = self.cwnd.saturating_sub(p.cwnd_inc.into());
            } else if self.full && q < u64::from(p.alpha) {
                self.cwnd += u64::from(p.cwnd_inc);
            }
            self.cwnd = self.cwnd.max(p.cwnd_min.into());
        }
        if self.next_cwnd == 0 {
            self.next_cwnd = self.spc();
        }
        if self.next_cc == 0 {
            self.next_cc = self.upd();
        }
        let over = if p.cwnd_full_per_cwnd == 1 { self.next_cwnd == self.spc() } else { self.next_cc == self.upd() };
        if over {
            self.full = false;
        }
    }

    fn figures(&self) -> [u64; 12] {
        let flag = u64::from;
        let flags = flag(self.slow_start) | flag(self.full) << 1 | flag(self.blocked) << 2 | flag(self.broken) << 3;
        let bdp = self.bdp.min(u32::MAX.into());
        let (upd, spc) = (self.upd(), self.spc());
        let rest = [bdp, self.ewma, self.min, self.max, self.next_cc, self.next_cwnd, upd, spc, flags];
        let mut all = [self.cwnd, self.inflight, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        all[2..11].copy_from_slice(&rest);
        all
    }
}

fn figures(vegas: &Vegas) -> [u64; 12] {
    let flag = u64::from;
    let flags =
        flag(vegas.slow_start) | flag(vegas.full) << 1 | flag(vegas.blocked) << 2 | flag(vegas.rtt.clock_broken) << 3;
    [
        vegas.cwnd.into(),
        vegas.inflight.into(),
        vegas.bdp.into(),
        vegas.rtt.ewma,
        vegas.rtt.min,
        vegas.rtt.max,
        vegas.next_cc_event.into(),
        vegas.next_cwnd_event.into(),
        vegas.sendmes_per_update().into(),
        vegas.sendmes_per_cwnd().into(),
        flags,
        0,
    ]
}

/// Quotient and rest of `times` * `what` over `by`, bit by bit.
fn times_over(times: u64, what: u64, by: u64) -> (u64, u64) {
    let (mut quotient, mut rest) = (0u64, 0u64);
    for bit in (0..64).rev() {
        quotient = quotient.saturating_mul(2);
        rest *= 2;
        if times >> bit & 1 == 1 {
            quotient = quotient.saturating_add(what / by);
            rest += what % by;
        }
        quotient = quotient.saturating_add(rest / by);
        rest %= by;
    }
    (quotient, rest)
}

/// The longest round trip there is: all of the host's time.
const LONGEST: u64 = u64::MAX / 1000;

/// Parameters of which each is where it usually is, or at an end of its range, or anywhere.
fn any_params() -> impl Strategy<Value = Params> {
    let classes = prop_oneof![Just(PathClass::Exit), Just(PathClass::Onion), Just(PathClass::Sbws)];
    (classes, prop::collection::vec((0..8u8, any::<u32>()), Params::RANGES.len())).prop_map(|(class, changes)| {
        let mut params = Params::default_for(class);
        for (&(name, min, max), (how, random)) in Params::RANGES.iter().zip(changes) {
            if name == "cc_alg" {
                continue; // Only one is built.
            }
            let value = match how {
                0 => min,
                1 => max,
                2 => min + random % (max - min + 1),
                3 => (min + random % 1000).min(max),
                _ => continue,
            };
            params.set(name, value).unwrap();
        }
        params
    })
}

fn any_inc() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1), Just(2), Just(31), Just(32), Just(254), Just(255), 1..=255u32]
}

/// Round trips in microseconds, of networks and of clocks that stand or jump.
fn any_rtt() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => Just(0),
        1 => Just(1),
        6 => 20_000..600_000u64,
        3 => 80_000..120_000u64,
        1 => 1..50u64,
        1 => 400_000_000..700_000_000u64,
        1 => Just(LONGEST),
        1 => 0..=LONGEST,
    ]
}

#[derive(Clone, Debug)]
enum Inflight {
    Kept,
    Cwnd(i32),
    Half,
    Is(u32),
}

fn any_inflight() -> impl Strategy<Value = Inflight> {
    prop_oneof![
        Just(Inflight::Kept),
        (-300..300i32).prop_map(Inflight::Cwnd),
        Just(Inflight::Half),
        (0..3000u32).prop_map(Inflight::Is),
        Just(Inflight::Is(u32::MAX)),
    ]
}

#[derive(Clone, Debug)]
struct Step {
    rtt: u64,
    blocked: bool,
    queued: u32,
    inflight: Inflight,
    /// Ends slow start with so large a window.
    steady: Option<u32>,
}

fn any_step() -> impl Strategy<Value = Step> {
    let queued = prop_oneof![Just(0), 0..2000u32, Just(u32::MAX)];
    let steady = prop_oneof![20 => Just(None), 1 => (1..5000u32).prop_map(Some), 1 => Just(Some(124))];
    (any_rtt(), prop::bool::weighted(0.2), queued, any_inflight(), steady)
        .prop_map(|(rtt, blocked, queued, inflight, steady)| Step { rtt, blocked, queued, inflight, steady })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn vegas_is_what_the_rules_say(
        params in any_params(),
        inc in any_inc(),
        steps in prop::collection::vec((any_step(), 1..6usize), 1..60),
    ) {
        prop_assert!(Params::RANGES.iter().all(|&(name, min, max)| (min..=max).contains(&params.get(name).unwrap())));
        let mut naive = Naive::new(params.clone(), inc.into());
        let mut vegas = Vegas::new(Arc::new(params.clone()), Inc::new(inc).unwrap());
        prop_assert_eq!(figures(&vegas), naive.figures());
        for step in steps.into_iter().flat_map(|(step, times)| std::iter::repeat_n(step, times)) {
            if let Some(cwnd) = step.steady {
                naive.cwnd = cwnd.into();
                naive.slow_start = false;
                naive.bounds();
                vegas.cwnd = naive.cwnd as u32;
                vegas.slow_start = false;
            }
            let inflight = match step.inflight {
                Inflight::Kept => vegas.inflight,
                Inflight::Cwnd(off) => vegas.cwnd.saturating_add_signed(off),
                Inflight::Half => vegas.cwnd / 2,
                Inflight::Is(cells) => cells,
            };
            vegas.inflight = inflight;
            naive.inflight = inflight.into();
            let channel = ChannelState { blocked: step.blocked, queued: step.queued };
            vegas.handle_sendme(step.rtt, channel);
            naive.sendme(step.rtt, channel);
            prop_assert_eq!(figures(&vegas), naive.figures(), "after {:?}", step);
            prop_assert!(vegas.cwnd >= inc, "a window that no SENDME could open again");
            prop_assert!(vegas.cwnd <= params.cwnd_max);
            prop_assert_eq!(vegas.room(), vegas.cwnd.saturating_sub(vegas.inflight));
        }
    }
}

const BLOCKED: ChannelState = ChannelState { blocked: true, queued: 0 };

/// C Tor lets `bdp + delta - cwnd_inc`, `cwnd - cwnd_inc` and `inflight - inc` wrap.
#[test]
fn edge_c_14_differences_end_at_zero() {
    let mut vegas = steady(Params { delta: 0, cwnd_inc: 1000, ..exit() }, 31, 400);
    (vegas.rtt.ewma, vegas.rtt.min) = (1_000_000, 1000);
    vegas.handle_sendme(1_000_000, FREE);
    assert_eq!((vegas.bdp, vegas.cwnd), (0, 124), "bdp + delta - cwnd_inc");

    let mut vegas = steady(Params { cwnd_inc: 1000, ..exit() }, 31, 400);
    vegas.handle_sendme(100_000, BLOCKED);
    assert_eq!(vegas.cwnd, 124, "cwnd - cwnd_inc");

    let mut vegas = steady(exit(), 31, 400);
    vegas.inflight = 30;
    vegas.handle_sendme(100_000, FREE);
    assert_eq!((vegas.inflight, vegas.room()), (0, vegas.cwnd), "inflight - inc");
    vegas.handle_sendme(0, FREE);
    assert_eq!(vegas.inflight, 0, "also when the round trip is of no use");
}

/// C Tor keeps both counts in eight bits, where 258 is 2.
#[test]
fn edge_c_15_averages_run_over_more_than_255_round_trips() {
    let mut vegas = Vegas::new(Arc::new(Params { ewma_ss: 258, ..exit() }), Inc::new(31).unwrap());
    vegas.handle_sendme(100_000, FREE);
    vegas.handle_sendme(200_000, FREE);
    assert_eq!(vegas.rtt.ewma, (2 * 200_000 + 257 * 100_000) / 259);

    let params = Params { ewma_max: 300, ewma_cwnd_pct: 255, cwnd_inc_rate: 1, ..exit() };
    let mut vegas = steady(params, 31, 31 * 400);
    vegas.handle_sendme(100_000, FREE);
    vegas.handle_sendme(200_000, FREE);
    assert_eq!(vegas.rtt.ewma, (2 * 200_000 + 299 * 100_000) / 301);

    // The largest of all, with the longest round trip: the product needs more than 64 bits.
    let mut vegas = Vegas::new(Arc::new(Params { ewma_ss: i32::MAX as u32, ..exit() }), Inc::new(31).unwrap());
    vegas.handle_sendme(LONGEST, FREE);
    vegas.handle_sendme(LONGEST, FREE);
    assert_eq!(vegas.rtt.ewma, LONGEST);
}

/// arti computes the product in 32 bits: too small an estimate from a window of 5000 cells and 0.86 s on.
#[test]
fn edge_a_7_the_estimate_is_not_cut_short() {
    let mut vegas = steady(exit(), 31, 5000);
    vegas.handle_sendme(2_000_000, FREE);
    assert_eq!((vegas.bdp, vegas.cwnd), (5000, 5001));
    let mut vegas = steady(Params { ss_max: i32::MAX as u32, ..exit() }, 255, 4_000_000);
    vegas.handle_sendme(LONGEST, FREE);
    assert_eq!(vegas.bdp, 4_000_000);
}

/// With arti, one round trip of zero in slow start freezes the window.
#[test]
fn edge_a_8_a_zero_in_slow_start_costs_one_sendme() {
    let mut vegas = Vegas::new(Arc::new(exit()), Inc::new(31).unwrap());
    vegas.inflight = 124;
    vegas.handle_sendme(0, FREE);
    assert_eq!((vegas.cwnd, vegas.inflight, vegas.rtt.clock_broken), (124, 93, true));
    for cwnd in [155, 186, 217] {
        vegas.inflight = vegas.cwnd;
        vegas.handle_sendme(100_000, FREE);
        assert_eq!(vegas.cwnd, cwnd);
    }
}

/// arti forgets that the channel is blocked when the clock stands.
#[test]
fn edge_a_9_a_blocked_channel_is_heard_while_the_clock_stands() {
    let mut vegas = steady(exit(), 31, 400);
    vegas.handle_sendme(100_000, FREE);
    let before = vegas.cwnd;
    vegas.inflight = before;
    vegas.handle_sendme(0, BLOCKED);
    assert_eq!((vegas.cwnd, vegas.blocked), (before - 1, true));
}

/// arti's larger steps pass by the clamp.
#[test]
fn edge_a_10_every_step_is_clamped() {
    let params = Params { cwnd_max: 500, ..exit() };
    let mut vegas = Vegas::new(Arc::new(params.clone()), Inc::new(31).unwrap());
    for _ in 0..40 {
        vegas.inflight = vegas.cwnd;
        vegas.handle_sendme(100_000, FREE);
        assert!(vegas.cwnd <= 500);
    }
    assert_eq!(vegas.cwnd, 500, "slow start");

    let mut vegas = Vegas::new(Arc::new(params), Inc::new(31).unwrap());
    vegas.cwnd = 490;
    vegas.handle_sendme(100_000, BLOCKED);
    assert_eq!(vegas.cwnd, 500, "bdp + gamma");

    let mut vegas = Vegas::new(Arc::new(Params { cwnd_max: 500, cwnd_init: 10_000, ..exit() }), Inc::new(31).unwrap());
    assert_eq!(vegas.cwnd, 500, "from the start");
    vegas.handle_sendme(0, FREE);
    assert_eq!(vegas.cwnd, 500);
}

#[test]
fn cc_30_below_481_cells_every_sendme_is_an_update() {
    for (cwnd, sendmes) in [(124, 0), (480, 0), (481, 1), (1441, 1), (1442, 2)] {
        assert_eq!(steady(exit(), 31, cwnd).sendmes_per_update(), sendmes, "{cwnd}");
    }
}

#[test]
fn cc_31_the_smallest_window_is_left_again() {
    let mut vegas = steady(exit(), 31, 124);
    vegas.inflight = 0;
    vegas.handle_sendme(100_000, FREE);
    assert_eq!(vegas.cwnd, 125);
}

/// Parameters that are each in range, and with which no SENDME would ever come.
#[test]
fn a_window_holds_one_sendmes_worth_at_least() {
    let params = Params { cwnd_init: 31, cwnd_min: 31, gamma: 0, ..exit() };
    let mut vegas = Vegas::new(Arc::new(params), Inc::new(254).unwrap());
    assert_eq!(vegas.cwnd, 254);
    (vegas.inflight, vegas.rtt.ewma, vegas.rtt.min) = (254, 1_000_000, 1);
    vegas.handle_sendme(1_000_000, FREE);
    assert_eq!((vegas.bdp, vegas.cwnd), (0, 254));
}

#[test]
fn a_window_holds_as_many_sendmes_as_are_remembered_at_most() {
    let params = Params { ss_max: i32::MAX as u32, cwnd_inc: 1, ..exit() };
    for (cwnd, after) in [(16_382, 16_383), (16_383, 16_384), (16_384, 16_384)] {
        let mut vegas = steady(params.clone(), 1, cwnd);
        vegas.next_cc_event = 1;
        vegas.handle_sendme(100_000, FREE);
        assert_eq!(vegas.cwnd, after);
    }
}
