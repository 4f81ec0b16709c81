//! Client and exit in virtual time, from a seed: legs of different speed that come and go, windows, channels that
//! block, messages that fail to be queued, hosts that drain late. What the ends say to each other is checked each time.
//!
//! CIRCFLOW_SEED=n runs one seed.

mod common;

use circflow::wire::Command;
use common::sim::{Outcome, Sim, CLIENT, EXIT};

const SEEDS: u64 = 300;
const STEPS: u64 = 1000;

#[test]
fn every_seed_keeps_order() {
    let mut total = Story::default();
    if !common::each_seed(SEEDS, "two_engines every_seed_keeps_order", run, |story| total.add(&story)) {
        return;
    }
    // What the seeds have to bring about for the checks to mean something.
    println!("{total:?}");
    assert!(total.messages > 60_000 && total.held > 2_000 && total.switches > 2_000, "{total:?}");
    assert!(total.blocked > 1_000 && total.resumes > 1_000, "{total:?}");
    assert!(total.removed > 500 && total.dead > 200 && total.bare > 50, "{total:?}");
}

#[test]
fn the_same_seed_says_the_same() {
    for seed in (0..SEEDS).step_by(10) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1).said, run(2).said);
}

/// What happened in a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Story {
    said: u64,
    messages: u64,
    held: u64,
    switches: u64,
    blocked: u64,
    resumes: u64,
    removed: u64,
    dead: u64,
    bare: u64,
}

impl Story {
    fn add(&mut self, other: &Story) {
        self.messages += other.messages;
        self.held += other.held;
        self.switches += other.switches;
        self.blocked += other.blocked;
        self.resumes += other.resumes;
        self.removed += other.removed;
        self.dead += other.dead;
        self.bare += other.bare;
    }
}

fn run(seed: u64) -> Story {
    let mut sim = Sim::new(seed);
    let mut story = Story::default();
    for _ in 0..2 + sim.rng.below(4) {
        sim.add_leg(false);
    }
    for _ in 0..STEPS {
        step(&mut sim, &mut story);
    }
    wind_up(&mut sim, &mut story);
    story
}

fn step(sim: &mut Sim, story: &mut Story) {
    let end = sim.rng.below(2) as usize;
    let wire = sim.rng.below(sim.wires.len() as u64) as usize;
    match sim.rng.below(64) {
        0..=27 => {
            for _ in 0..1 + sim.rng.below(3) {
                send(sim, end, story);
            }
        }
        28..=31 => {
            let leg = &mut sim.ends[end].legs[wire];
            leg.blocked = !leg.blocked;
            if leg.linked {
                sim.report(end, wire);
            }
        }
        32..=35 => {
            sim.ends[end].legs[wire].cwnd = sim.rng.below(24);
            if sim.ends[end].legs[wire].linked {
                sim.report(end, wire);
            }
        }
        36 => {
            if sim.ends[CLIENT].legs.iter().filter(|leg| leg.open).count() < 6 {
                let dead = sim.rng.once_in(3);
                sim.add_leg(dead);
                story.dead += u64::from(dead);
            }
        }
        37 | 38 => remove(sim, end, wire, story),
        _ => {
            // A dead leg's timeout waits until the traffic has stopped.
            if sim.wires.iter().any(|on| on.to.iter().any(|lane| !lane.is_empty())) {
                sim.advance();
            }
        }
    }
}

fn send(sim: &mut Sim, end: usize, story: &mut Story) {
    let command = *sim.rng.pick(&[
        Command::DATA,
        Command::DATA,
        Command::DATA,
        Command::DATA,
        Command::DATA,
        Command::END,
        Command::XON,
        Command::BEGIN,
    ]);
    let outcome = match sim.rng.below(12) {
        0 => Outcome::Refused,
        1 => Outcome::OnlySwitch,
        _ => Outcome::Queued,
    };
    let waiting = sim.ends[end].waiting;
    sim.send(end, command, outcome);
    story.blocked += u64::from(sim.ends[end].waiting && !waiting);
}

/// Takes a leg away when nothing is under way on it and neither end needs it.
fn remove(sim: &mut Sim, end: usize, wire: usize, story: &mut Story) {
    let quiet = sim.wires[wire].to.iter().all(|lane| lane.is_empty());
    let linked = [CLIENT, EXIT].iter().all(|&end| sim.ends[end].legs[wire].linked);
    if !quiet || !linked || ![CLIENT, EXIT].iter().all(|&end| can_go(sim, end, wire)) {
        return;
    }
    sim.remove_at_once(end, wire);
    story.removed += 1;
}

fn can_go(sim: &Sim, end: usize, wire: usize) -> bool {
    let at = &sim.ends[end];
    let id = at.legs[wire].id;
    let Ok((numbers, rows)) = at.engine.export(at.set) else { return false };
    let Some(row) = rows.iter().find(|row| row.leg == id) else { return false };
    let others = || rows.iter().filter(|row| row.leg != id);
    let ahead = others().all(|other| other.sent < row.sent) || others().all(|other| other.received < row.received);
    !ahead
        && (numbers.sending != id || row.sent == 0 && others().all(|other| other.sent == 0))
        && at.legs[wire].inflight < common::sim::INC
        && others().any(|other| at.legs[at.wire_of(other.leg)].linked)
}

/// Opens all windows, lets everything arrive, and compares the two ends.
fn wind_up(sim: &mut Sim, story: &mut Story) {
    for end in [CLIENT, EXIT] {
        sim.drain(end);
        for wire in 0..sim.wires.len() {
            let leg = &mut sim.ends[end].legs[wire];
            (leg.cwnd, leg.blocked) = (1000, false);
            if leg.linked {
                sim.report(end, wire);
            }
        }
        // A SWITCH that went out alone is of no use to anyone without a message.
        sim.send(end, Command::END, Outcome::Queued);
    }
    sim.settle();
    for end in [CLIENT, EXIT] {
        sim.send(end, Command::DATA, Outcome::Queued);
    }
    sim.settle();
    assert!(sim.ends.iter().all(|end| end.ended.is_empty() && !end.waiting));
    sim.agree();
    for end in &sim.ends {
        let stats = end.engine.set_stats(end.set).unwrap();
        assert_eq!((end.engine.stats().timers, stats.legs_unlinked), (0, 0), "dead legs have timed out");
        story.messages += end.delivered;
        story.held += stats.held_peak;
        story.switches += stats.switches_sent;
        story.resumes += end.resumes;
    }
    story.said = sim.said;
    story.bare = sim.bare;
}
