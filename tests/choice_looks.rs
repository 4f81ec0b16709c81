//! A host may ask where a message would go, as often as it likes: that changes no choice. circflow_stream_choose() asks
//! before each message.

mod common;

use circflow::base::Id;
use circflow::conflux::choice::FAMILY;
use circflow::conflux::{Algorithm, Report, Role, Set};
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::{terms, ROUTE};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const LEGS: usize = 2;

/// Two sets that see the same. One of them is asked before each message.
struct Twins {
    algorithm: Algorithm,
    sets: [Set; 2],
    now: u64,
    cwnd: [u64; LEGS],
    inflight: [u64; LEGS],
}

impl Twins {
    fn new(algorithm: Algorithm, trips: [u64; LEGS]) -> Twins {
        let sets = [(); 2].map(|()| {
            let mut set = Set::new(Role::Client, terms(Some(algorithm)));
            for (at, trip) in trips.into_iter().enumerate() {
                set.adopt(Id(1 + at as u64), ROUTE, Ux::NoOpinion, trip, &mut Vec::new());
            }
            set
        });
        let mut twins = Twins { algorithm, sets, now: 1000 * MS, cwnd: [124; LEGS], inflight: [0; LEGS] };
        for (leg, trip) in trips.into_iter().enumerate() {
            twins.report(leg, 0, trip);
        }
        twins
    }

    fn report(&mut self, leg: usize, acked: u64, rtt: u64) {
        let acked = acked.min(self.inflight[leg]);
        self.inflight[leg] -= acked;
        self.cwnd[leg] = (self.cwnd[leg] + acked / 2).min(1000);
        let (cwnd, inflight) = (self.cwnd[leg], self.inflight[leg]);
        let report = Report { cwnd, inflight, rtt, sendme_inc: 31, slow_start: false, blocked: false };
        for set in &mut self.sets {
            set.report(leg as u8, &report, self.now, &mut Vec::new());
        }
    }

    /// Sends what there is room for, at most so many. The answers have to be the same.
    fn send(&mut self, messages: u64, ask: impl Fn(&mut Set)) {
        let now = self.now;
        self.sets.iter_mut().for_each(|set| set.observe(now));
        for _ in 0..messages {
            ask(&mut self.sets[1]);
            let sent = self.sets.each_mut().map(|set| set.send(Command::DATA, now, &mut Vec::new()));
            let legs = sent.map(|sent| sent.map(|plan| (plan.ix, plan.number)));
            assert_eq!(legs[0], legs[1], "{:?}: asked before, it is another leg", self.algorithm);
            let Ok((ix, _)) = legs[0] else { return };
            self.inflight[usize::from(ix)] += 1;
        }
    }
}

proptest! {
    #[test]
    fn a_look_changes_no_choice(
        algorithm in (0..FAMILY.len()).prop_map(|at| FAMILY[at].algorithm),
        trips in [1..400 * MS, 1..400 * MS],
        steps in prop::collection::vec((0..LEGS, 0..93u64, 1..4u64, 0..200u64, 1..4usize, 0..60u64), 1..80),
    ) {
        let mut twins = Twins::new(algorithm, trips);
        for (leg, acked, longer, messages, looks, passed) in steps {
            twins.now += passed * MS;
            twins.report(leg, acked, trips[leg] * longer);
            twins.send(messages, |set| for _ in 0..looks {
                let answer = set.look(Command::DATA);
                assert_eq!(answer.map(|plan| plan.ix), set.peek().map(|plan| plan.ix));
            });
        }
    }
}

/// A slow leg that has carried a run for the fast one is left, whatever decisions the host does not carry out.
#[test]
fn a_decision_in_vain_begins_no_run() {
    for listing in FAMILY.iter().filter(|listing| listing.measures) {
        let mut twins = Twins::new(listing.algorithm, [20 * MS, 100 * MS]);
        let in_vain = |set: &mut Set| {
            let _ = set.decide(Command::DATA);
        };
        twins.send(1000, in_vain);
        for round in 1..20 {
            // The slow leg brings 31 cells in each round, the fast one all that was sent, in pieces.
            twins.now = (1000 + round * 100) * MS;
            twins.report(0, 31, (20 + 100 * round.min(4)) * MS);
            twins.send(1000, in_vain);
            for _ in 0..twins.inflight[1].div_ceil(31) {
                twins.now += 2 * MS;
                twins.report(1, 31, 104 * MS);
                twins.send(1000, in_vain);
            }
        }
    }
}
