//! Which legs a set can do without, against the deployed rules (CLS-1, CLS-2) written down once more, and what happens
//! on both ends when a leg goes.

mod common;

use circflow::base::Id;
use circflow::conflux::teardown::{judge, Loss};
use circflow::conflux::Cause;
use circflow::engine::What;
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::sim::{Outcome, Sim, CLIENT, EXIT, INC};
use common::{drain, linked_set, report, terms, Exhaust, Rng};

/// The four deployed rules: (a) a SENDME's worth of DATA in flight, (b) ahead of all others in either direction,
/// (c) the sending leg, once anything has been sent, (d) the last one, unlinked legs counted. An unlinked leg can go.
fn must_end(loss: &Loss) -> bool {
    if loss.others == 0 {
        return true;
    }
    if !loss.linked {
        return false;
    }
    let a = loss.inflight >= loss.sendme_inc;
    let b = loss.sent > loss.others_sent || loss.received > loss.others_recv;
    let c = loss.sending && (loss.sent > 0 || loss.others_sent > 0);
    a || b || c
}

#[test]
fn every_loss_of_a_small_grid() {
    let mut exhaust = Exhaust::default();
    let mut ended = 0;
    let mut all = 0;
    while exhaust.round() {
        let others = exhaust.below(3);
        let of_others = |exhaust: &mut Exhaust| if others == 0 { 0 } else { exhaust.below(3) as u64 };
        let loss = Loss {
            linked: exhaust.below(2) == 1,
            sending: exhaust.below(2) == 1,
            sent: exhaust.below(3) as u64,
            received: exhaust.below(3) as u64,
            inflight: exhaust.below(4) as u64,
            sendme_inc: exhaust.below(4) as u64,
            others,
            others_sent: of_others(&mut exhaust),
            others_recv: of_others(&mut exhaust),
        };
        assert_eq!(judge(&loss).is_some(), must_end(&loss), "{loss:?} {:?}", judge(&loss));
        ended += usize::from(must_end(&loss));
        all += 1;
    }
    assert!(ended > 1000 && all - ended > 1000, "both answers occur: {ended} of {all}");
}

/// What one end knows of a leg, from what its host can read.
fn loss_of(sim: &Sim, end: usize, wire: usize) -> Loss {
    let at = &sim.ends[end];
    let leg = at.legs[wire];
    let (numbers, rows) = at.engine.export(at.set).unwrap();
    let of = |id: Id| *rows.iter().find(|row| row.leg == id).unwrap();
    let others: Vec<_> = rows.iter().filter(|row| row.leg != leg.id).collect();
    Loss {
        linked: leg.linked,
        sending: numbers.sending == leg.id,
        sent: of(leg.id).sent,
        received: of(leg.id).received,
        inflight: leg.inflight,
        sendme_inc: INC,
        others: others.len(),
        others_sent: others.iter().map(|row| row.sent).max().unwrap_or(0),
        others_recv: others.iter().map(|row| row.received).max().unwrap_or(0),
    }
}

/// A small set after some random traffic.
fn some_set(seed: u64) -> Sim {
    let mut sim = Sim::new(seed);
    for _ in 0..1 + sim.rng.below(4) {
        sim.add_leg(false);
    }
    sim.settle();
    for _ in 0..sim.rng.below(60) {
        match sim.rng.below(5) {
            0 | 1 => {
                let end = sim.rng.below(2) as usize;
                let command = if sim.rng.once_in(3) { Command::END } else { Command::DATA };
                sim.send(end, command, Outcome::Queued);
            }
            2 => {
                let (end, wire) = (sim.rng.below(2) as usize, sim.rng.below(sim.wires.len() as u64) as usize);
                sim.ends[end].legs[wire].blocked = sim.rng.once_in(2);
                sim.report(end, wire);
            }
            _ => {
                sim.advance();
            }
        }
    }
    sim
}

#[test]
fn any_leg_at_any_moment() {
    let (mut lived, mut ended) = (0, 0);
    for seed in 0..400 {
        let legs = some_set(seed).wires.len();
        for wire in 0..legs {
            // The same traffic again, and now this leg goes.
            let mut sim = some_set(seed);
            let end = (seed % 2) as usize;
            sim.drain(end);
            let expected = must_end(&loss_of(&sim, end, wire));
            sim.remove(end, wire);
            sim.drain(end);
            let at = &sim.ends[end];
            let mut closed: Vec<Id> = at.closes.iter().map(|&(id, _)| id).collect();
            closed.sort();
            if expected {
                let others: Vec<Id> = (0..legs).filter(|&other| other != wire).map(|other| at.legs[other].id).collect();
                assert_eq!(closed, others, "seed {seed}: each other leg once, and not the one that has gone");
                let cause = Cause::LegLost;
                assert_eq!(at.ended, [cause]);
                assert!(at.closes.iter().all(|&(_, said)| said == cause));
                assert!(at.engine.export(at.set).is_err(), "the set is stale");
                // The other end loses one leg after the other, and must come to the same.
                sim.settle();
                assert_eq!(sim.ends[1 - end].ended.len(), 1);
                ended += 1;
            } else {
                assert_eq!((closed.len(), at.ended.len()), (0, 0), "seed {seed} leg {wire}");
                lived += 1;
            }
            for at in &sim.ends {
                if !at.ended.is_empty() {
                    let stats = at.engine.stats();
                    assert_eq!((stats.sets, stats.held, stats.held_bytes, stats.timers), (0, 0, 0, 0));
                }
            }
        }
    }
    assert!(lived > 20 && ended > 200, "{lived} {ended}");
}

/// When nothing is under way on the leg that goes, both ends judge alike and the rest goes on.
#[test]
fn after_a_leg_that_could_go_all_is_delivered() {
    let mut lived = 0;
    for seed in 0..300 {
        let mut sim = some_set(seed);
        sim.settle();
        let wire = sim.rng.below(sim.wires.len() as u64) as usize;
        let end = sim.rng.below(2) as usize;
        if must_end(&loss_of(&sim, CLIENT, wire)) || must_end(&loss_of(&sim, EXIT, wire)) {
            continue;
        }
        sim.remove_at_once(end, wire);
        for end in [CLIENT, EXIT] {
            for other in 0..sim.wires.len() {
                sim.ends[end].legs[other].blocked = false;
                sim.ends[end].legs[other].cwnd += 8;
                sim.report(end, other);
            }
        }
        for round in 0..40 {
            sim.send(round % 2, if round % 5 == 0 { Command::END } else { Command::DATA }, Outcome::Queued);
            sim.advance();
        }
        sim.settle();
        sim.agree();
        assert!(sim.ends[CLIENT].delivered > 0 && sim.ends[EXIT].delivered > 0);
        lived += 1;
    }
    assert!(lived > 20, "{lived}");
}

/// The messages of a leg that has gone keep their place, and name no leg.
#[test]
fn orphans_are_delivered_in_their_turn() {
    let mut rng = Rng::new(3);
    for _ in 0..50 {
        let (mut engine, set, legs) = linked_set(4, Ux::NoOpinion, terms(None));
        for &leg in &legs {
            engine.report(0, leg, &report(10, 0, 5)).unwrap();
        }
        // Messages 2 to 61, shared out at random over the legs but the first; the last goes to the last leg.
        let mut received = [0u64; 4];
        for number in 2..=61 {
            let leg = if number == 61 { 3 } else { 1 + rng.below(3) as usize };
            if received[leg] + 1 != number {
                let delta = (number - 1 - received[leg]) as u32;
                let switch = circflow::wire::conflux::Switch { delta }.encode();
                let mut cell = common::message(Command::CONFLUX_SWITCH, &switch, None);
                cell.stream_id = 0;
                engine.receive(0, legs[leg], &cell).unwrap();
            }
            received[leg] = number;
            engine.receive(0, legs[leg], &common::message(Command::DATA, &number.to_be_bytes(), None)).unwrap();
        }
        engine.circuit_closed(0, legs[1]).unwrap();
        engine.circuit_closed(0, legs[2]).unwrap();
        assert!(drain(&mut engine).is_empty(), "nobody has to be told");
        engine.receive(0, legs[0], &common::message(Command::DATA, &[], None)).unwrap();
        let mut expected = 2u64;
        for (instruction, body) in drain(&mut engine) {
            let What::Deliver(delivery) = instruction.what else { panic!("{instruction:?}") };
            assert_eq!((delivery.number, &body[..8]), (expected, &expected.to_be_bytes()[..]));
            assert!(delivery.leg == legs[3] || delivery.leg == Id::NONE);
            expected += 1;
        }
        assert_eq!(expected, 62);
        assert_eq!(engine.set_stats(set).unwrap().held_bytes, 0);
    }
}

/// CLS-2 (a) speaks of DATA in flight. A leg that has carried nothing has none, also before the first report says how
/// many cells a SENDME acknowledges.
#[test]
fn a_leg_that_was_never_used_nor_reported_can_go() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    engine.report(0, legs[0], &report(10, 0, 5)).unwrap();
    engine.circuit_closed(0, legs[1]).unwrap();
    assert!(engine.set_stats(set).is_ok(), "the set has ended");
}
