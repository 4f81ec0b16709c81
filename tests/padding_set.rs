//! Padding on the legs of a set: what blocks hold back goes out once, in order, and never past a block but by the
//! machines' own wish.

mod common;

use circflow::base::Id;
use circflow::conflux::Algorithm;
use circflow::engine::{Blocked, Engine, Error, Outlet, VerdictKind, What};
use circflow::message::Message;
use circflow::padding::PadderTerms;
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::Command;
use common::any_machines::{any_machines, tame};
use common::machines::constant_rate;
use common::{drain, linked_set, report, terms, Rng, HOPS};
use maybenot::Machine;

const MS: u64 = 1_000_000;

fn padder(machines: &[Machine]) -> PadderTerms {
    common::padding_terms(common::load(machines), HOPS, 0)
}

fn data(body: &[u8]) -> Message<'_> {
    Message { command: Command::DATA, hop: HOPS, stream_id: 5, body, token: None }
}

struct Two {
    engine: Engine,
    set: Id,
    legs: Vec<Id>,
    now: u64,
    /// Messages given to the set, and those that went out.
    given: u64,
    gone: u64,
    /// Numbers as the peer counts them.
    on_leg: [u64; 2],
    /// Padding actions for which a cell counted.
    replaced: [u64; 2],
    released: u64,
    refused: bool,
}

impl Two {
    /// Nothing to hop 1 is padded with, so asking changes nothing that padders hear of.
    fn is_blocked(&mut self, leg: usize) -> bool {
        match self.engine.send_on_circuit(self.now, self.legs[leg], Command::DATA, 1) {
            Ok(verdict) => verdict.is_none(),
            Err(error) => error == Error::Blocked(Blocked::NoRoom),
        }
    }

    fn out(&mut self, leg: usize, delta: u64, serial: u64, number: u64) {
        self.on_leg[leg] += delta + 1;
        self.gone += 1;
        assert_eq!((serial, number, self.on_leg[leg]), (self.gone, self.gone, self.gone), "in order, each once");
    }

    fn drain(&mut self) {
        let blocked = [self.is_blocked(0), self.is_blocked(1)];
        let (mut delta, mut past) = ([0, 0], [0, 0]);
        for (instruction, body) in drain(&mut self.engine) {
            let leg = self.legs.iter().position(|&leg| leg == instruction.circuit);
            match instruction.what {
                What::Send { command: Command::CONFLUX_SWITCH, .. } => {
                    delta[leg.unwrap()] = Switch::decode(&body[..4]).unwrap().delta.into();
                }
                What::SendHeld(sent) => {
                    let leg = leg.unwrap();
                    let serial = u64::from_le_bytes(body[..8].try_into().unwrap());
                    self.out(leg, std::mem::take(&mut delta[leg]), serial, sent.message.number);
                    past[leg] += u64::from(blocked[leg]);
                    self.released += 1;
                }
                What::MaySend if leg.is_some() => {}
                What::MaySend => self.refused = false,
                What::Pad { asks: false, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        for (leg, past) in past.into_iter().enumerate() {
            let replaced = self.engine.padder_stats(self.legs[leg], HOPS, 0).map_or(u64::MAX, |stats| stats.replaced);
            assert!(past <= replaced - self.replaced[leg], "past a block, and no machine wished so");
            self.replaced[leg] = replaced;
        }
    }

    fn send(&mut self) {
        let blocked = [self.is_blocked(0), self.is_blocked(1)];
        let body = (self.given + 1).to_le_bytes();
        match self.engine.send_message(self.now, Outlet::Set(self.set), &data(&body)) {
            Ok(verdict) if verdict.kind == VerdictKind::Held => self.given += 1,
            Ok(verdict) => {
                self.given += 1;
                let leg = self.legs.iter().position(|&leg| leg == verdict.circuit).unwrap();
                assert!(!blocked[leg], "sent on a blocked leg");
                self.out(leg, verdict.switch_delta.into(), self.given, verdict.number);
            }
            Err(Error::Blocked(Blocked::NoRoom)) => self.refused = true,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn pass_time(&mut self, until: u64) {
        while self.engine.deadline() <= until {
            self.now = self.engine.deadline();
            self.engine.tick(self.now);
            self.drain();
        }
        self.now = until;
    }
}

fn two(seed: u64, held_max: u32, machines: [Vec<Machine>; 2]) -> Two {
    let terms = circflow::conflux::SetTerms { held_sends_max: held_max, ..terms(Some(Algorithm::LowRtt)) };
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms);
    for (&leg, machines) in legs.iter().zip(&machines) {
        engine.install_padder(0, leg, &padder(machines)).unwrap();
        engine.report(0, leg, &report(1000, 0, 1 + seed % 2)).unwrap();
    }
    let (on_leg, replaced) = ([0; 2], [0; 2]);
    Two { engine, set, legs, now: 0, given: 0, gone: 0, on_leg, replaced, released: 0, refused: false }
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|value| value.parse().ok()).unwrap_or(300);
    let (mut released, mut gone) = (0, 0);
    for seed in 0..cases {
        let mut rng = Rng::new(seed);
        let machines = [(); 2].map(|()| any_machines(&mut rng, false).into_iter().map(tame).collect());
        let mut two = two(seed, *rng.pick(&[2, 32]), machines);
        for _ in 0..200 {
            let (leg, now) = (rng.below(2) as usize, two.now);
            match rng.below(12) {
                0 => drop(two.engine.receive(
                    now,
                    two.legs[leg],
                    &Message { command: Command::SENDME, stream_id: 0, ..data(b"") },
                )),
                1..=2 => two.engine.written(now, two.legs[leg], rng.below(9) as u32).unwrap(),
                3 => {
                    let cwnd = *rng.pick(&[0, 5, 1000, 1000]);
                    two.engine.report(now, two.legs[leg], &report(cwnd, 0, 1 + rng.below(9))).unwrap();
                    two.drain();
                }
                4..=7 => two.send(),
                _ => {
                    let step = *rng.pick(&[0, 1000, MS, 20 * MS]);
                    two.pass_time(now + rng.below(step + 1));
                }
            }
        }
        two.pass_time(two.now);
        for leg in 0..2 {
            two.engine.remove_padder(two.now, two.legs[leg], HOPS, 0).unwrap();
            two.replaced[leg] = 0;
            two.engine.report(two.now, two.legs[leg], &report(5000, 0, 1)).unwrap();
        }
        two.engine.tick(two.now);
        two.drain();
        assert_eq!((two.gone, two.refused), (two.given, false), "{seed}: all that was held is out");
        (released, gone) = (released + two.released, gone + two.gone);
    }
    eprintln!("{cases} traces, {gone} messages, {released} of them held");
    assert!(released > cases, "only {released}");
}

/// Both legs are blocked for a day and let one message out at a time: a host that was told to stop goes on.
#[test]
fn releases_make_room() {
    let mut two = two(0, 2, [vec![constant_rate(10_000.0)], vec![constant_rate(10_000.0)]]);
    for leg in [two.legs[0], two.legs[1]] {
        two.engine.sent(0, leg, Command::SENDME, HOPS).unwrap();
        two.engine.tick(0);
        two.engine.written(0, leg, 1).unwrap();
    }
    two.now = 1;
    while !two.refused {
        two.send();
    }
    assert_eq!((two.given, two.gone), (2, 0));
    for round in 1..=2 {
        two.pass_time(10 * round * MS);
        for leg in [two.legs[0], two.legs[1]] {
            two.engine.written(two.now, leg, 1).unwrap();
        }
    }
    assert_eq!((two.gone, two.refused), (2, false), "both are out, and the host hears of it");
}
