//! The receiving side of a set against a naive model: a sorted map that gives numbers and delivers in order.
//!
//! Everything runs twice: on the set with its store, and through an engine.

mod common;

use circflow::base::Id;
use circflow::conflux::{Fault, Role, Set};
use circflow::message::{Store, Token};
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::Command;
use common::receiver::{Content, OnEngine, OnSet, Pair, Subject};
use common::{drain, message, terms, Exhaust, Rng, ROUTE};
use proptest::prelude::*;
use std::collections::VecDeque;

/// A step of what the network brings.
#[derive(Clone, Copy, Debug)]
enum Step {
    Message(u64),
    Switch(u32),
}

/// What a sender puts on each leg when message n goes on leg `schedule[n]`.
fn lanes(legs: usize, schedule: &[usize]) -> Vec<Vec<Step>> {
    let mut lanes = vec![Vec::new(); legs];
    let mut sent = vec![0; legs];
    let mut current = schedule[0];
    for (serial, &leg) in schedule.iter().enumerate() {
        if leg != current {
            lanes[leg].push(Step::Switch((sent[current] - sent[leg]) as u32));
            sent[leg] = sent[current];
            current = leg;
        }
        sent[leg] += 1;
        lanes[leg].push(Step::Message(serial as u64));
    }
    lanes
}

/// All ways to send `messages` messages over `legs` legs, and all ways in which they can arrive.
fn exhaust<S: Subject>(legs: usize, messages: usize, switch_apart: bool, drain_at_once: bool) -> usize {
    let mut exhaust = Exhaust::default();
    let mut runs = 0;
    while exhaust.round() {
        let schedule: Vec<usize> = (0..messages).map(|_| exhaust.below(legs)).collect();
        let lanes = lanes(legs, &schedule);
        let mut at = vec![0; legs];
        let mut pair = Pair::<S>::new(legs);
        loop {
            let open: Vec<usize> = (0..legs).filter(|&leg| at[leg] < lanes[leg].len()).collect();
            if open.is_empty() {
                break;
            }
            let leg = *exhaust.pick(&open);
            loop {
                let step = lanes[leg][at[leg]];
                at[leg] += 1;
                match step {
                    Step::Message(serial) => pair.arrive(leg, &Content::of(serial)),
                    Step::Switch(delta) => pair.switch(leg, delta),
                }
                if switch_apart || matches!(step, Step::Message(_)) {
                    break;
                }
            }
            if drain_at_once {
                pair.drain(usize::MAX);
            }
        }
        pair.drain(usize::MAX);
        assert_eq!((pair.model.delivered, pair.model.waiting.len()), (messages as u64, 0), "{schedule:?}");
        runs += 1;
    }
    runs
}

#[test]
fn every_order_of_a_few_messages_on_a_set() {
    for drain_at_once in [false, true] {
        exhaust::<OnSet>(3, 5, false, drain_at_once);
        exhaust::<OnSet>(2, 6, false, drain_at_once);
        exhaust::<OnSet>(3, 4, true, drain_at_once);
    }
}

#[test]
fn every_order_of_six_messages_on_three_legs_of_a_set() {
    assert!([false, true].map(|at_once| exhaust::<OnSet>(3, 6, false, at_once)).iter().all(|&runs| runs > 15_000));
}

#[test]
fn every_order_of_a_few_messages_through_an_engine() {
    for drain_at_once in [false, true] {
        exhaust::<OnEngine>(3, 5, false, drain_at_once);
        exhaust::<OnEngine>(2, 6, false, drain_at_once);
        exhaust::<OnEngine>(3, 4, true, drain_at_once);
    }
}

/// A peer that puts any numbers on any leg: what is delivered is 1, 2, 3 … whatever it does, a number of the past is
/// noticed at once, and one that came twice is noticed when its turn is over, if not before.
fn dishonest<S: Subject>(legs: usize, steps: usize) {
    let mut exhaust = Exhaust::default();
    while exhaust.round() {
        let mut pair = Pair::<S>::new(legs);
        let mut trace = Vec::new();
        let drain_at_once = exhaust.below(2) == 1;
        let mut over = false;
        for serial in 0..steps {
            let leg = exhaust.below(legs);
            let delta = exhaust.below(4) as u32;
            if delta > 0 {
                trace.push((leg, Step::Switch(delta)));
                pair.switch(leg, delta);
            }
            trace.push((leg, Step::Message(serial as u64)));
            let ended = hostile_arrival(&mut pair, leg, &Content::of(serial as u64), &trace);
            over = ended || (drain_at_once && hostile_drain(&mut pair, &trace));
            if over {
                break;
            }
        }
        if !over {
            hostile_drain(&mut pair, &trace);
        }
    }
}

/// True when the set has ended.
fn hostile_arrival<S: Subject>(pair: &mut Pair<S>, leg: usize, content: &Content, trace: &[(usize, Step)]) -> bool {
    let ours = pair.subject.arrive(leg, content);
    let theirs = pair.model.arrive(leg, content);
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            assert_eq!(ours, theirs, "{trace:?}");
            false
        }
        (Err(Fault::NumberStale), None) => true,
        (Err(Fault::NumberTwice), Some(_)) if pair.model.twice.is_some() => true,
        other => panic!("{other:?} after {trace:?}"),
    }
}

/// True when the set has ended.
fn hostile_drain<S: Subject>(pair: &mut Pair<S>, trace: &[(usize, Step)]) -> bool {
    while let Some(ours) = pair.subject.take() {
        let theirs = pair.model.take().expect("only what waits is delivered");
        // Of two messages with one number, either may be the first.
        assert!(theirs == ours || (theirs.0 == ours.0 && pair.model.twice == Some(ours.0)), "{trace:?}");
        // Noticed at the end of a run of messages that follow one another, if not before, and never without cause.
        if pair.subject.has_duplicate() {
            assert!(pair.model.twice.is_some_and(|number| number <= pair.model.delivered), "{trace:?}");
            return true;
        }
    }
    assert!(pair.model.twice.is_none_or(|number| number > pair.model.delivered), "not noticed: {trace:?}");
    false
}

#[test]
fn every_lie_of_a_few_steps_is_found_out() {
    dishonest::<OnSet>(2, 5);
    dishonest::<OnSet>(3, 4);
    dishonest::<OnEngine>(2, 4);
    dishonest::<OnEngine>(3, 4);
}

/// The same where legs go between the lies, and others take their places: what two legs claim is found out although
/// either, or both, have gone. What is ahead of all others goes with its set.
fn dishonest_and_gone<S: Subject>(legs: usize, steps: usize) -> (usize, usize) {
    let mut exhaust = Exhaust::default();
    let (mut runs, mut torn) = (0, 0);
    'runs: while exhaust.round() {
        let mut pair = Pair::<S>::new(legs);
        let mut trace = Vec::new();
        runs += 1;
        for serial in 0..steps {
            let leg = exhaust.below(legs);
            let delta = exhaust.below(3) as u32;
            if delta > 0 {
                trace.push((leg, Step::Switch(delta)));
                pair.switch(leg, delta);
            }
            trace.push((leg, Step::Message(serial as u64)));
            if hostile_arrival(&mut pair, leg, &Content::of(serial as u64), &trace) {
                torn += 1;
                continue 'runs;
            }
            if exhaust.below(2) == 1 {
                if !pair.subject.remove(leg) {
                    continue 'runs;
                }
                if pair.subject.has_duplicate() {
                    assert!(pair.model.twice.is_some_and(|number| number <= pair.model.delivered), "{trace:?}");
                    torn += 1;
                    continue 'runs;
                }
                pair.join(leg);
            }
        }
        torn += usize::from(hostile_drain(&mut pair, &trace));
    }
    (runs, torn)
}

#[test]
fn every_lie_is_found_out_when_legs_have_gone() {
    for (runs, torn) in [dishonest_and_gone::<OnSet>(3, 4), dishonest_and_gone::<OnEngine>(3, 3)] {
        assert!(runs > 1_000 && torn > 100, "{runs} {torn}");
    }
}

/// One step of a long run; what makes no sense at the moment is left out.
type Act = (u8, u8, u8);

/// Says how many legs were removed.
fn long_run<S: Subject>(legs: usize, acts: &[Act]) -> usize {
    let mut removed = 0;
    let mut pair = Pair::<S>::new(legs);
    let mut network = vec![VecDeque::new(); legs];
    let (mut sent, mut gone, mut current, mut serial) = (vec![0u64; legs], vec![false; legs], 0, 0);
    for &(act, a, b) in acts {
        let leg = usize::from(a) % legs;
        match act % 16 {
            0..=5 if !gone[leg] => {
                if leg != current && sent[current] > 0 {
                    network[leg].push_back(Step::Switch((sent[current] - sent[leg]) as u32));
                    sent[leg] = sent[current];
                }
                current = leg;
                for _ in 0..b % 4 + 1 {
                    sent[leg] += 1;
                    network[leg].push_back(Step::Message(serial));
                    serial += 1;
                }
            }
            6..=11 => bring(&mut pair, &mut network[leg], leg, usize::from(b % 8) + 1),
            12 | 13 => {
                pair.drain(usize::from(b % 16));
            }
            14 if !gone[leg] && leg != current && network[leg].is_empty() => {
                let rest = (0..legs).filter(|&other| other != leg && !gone[other]);
                let ahead = rest
                    .map(|other| pair.model.received[other])
                    .max()
                    .is_none_or(|most| most < pair.model.received[leg]);
                if !ahead {
                    assert!(pair.subject.remove(leg), "the set can do without leg {leg}");
                    pair.check();
                    gone[leg] = true;
                    removed += 1;
                }
            }
            // Another takes the place of one that went, and starts from nothing.
            15 if gone[leg] => {
                pair.join(leg);
                (sent[leg], gone[leg]) = (0, false);
            }
            _ => {}
        }
    }
    for (leg, lane) in network.iter_mut().enumerate() {
        bring(&mut pair, lane, leg, usize::MAX);
    }
    pair.drain(usize::MAX);
    assert_eq!((pair.model.delivered, pair.model.waiting.len()), (serial, 0));
    removed
}

/// Legs come and go much more often than messages have their turn, so that dozens have left something behind.
#[test]
fn long_runs_in_which_most_legs_go() {
    for seed in 0..30 {
        let mut rng = Rng::new(seed);
        let acts: Vec<Act> = (0..4_000)
            .map(|_| {
                let act = *rng.pick(&[0, 6, 6, 6, 6, 14, 14, 14, 15]);
                // What leg 0 has to bring comes late.
                let leg = if act == 6 && !rng.once_in(50) { 1 + rng.below(5) } else { rng.below(6) };
                (act, leg as u8, 3 + rng.below(2) as u8)
            })
            .collect();
        let removed = [long_run::<OnSet>(6, &acts), long_run::<OnEngine>(6, &acts)];
        assert!(removed[0] == removed[1] && removed[0] > 100, "{removed:?}");
    }
}

fn bring<S: Subject>(pair: &mut Pair<S>, lane: &mut VecDeque<Step>, leg: usize, most: usize) {
    for _ in 0..most {
        match lane.pop_front() {
            Some(Step::Message(serial)) => pair.arrive(leg, &Content::of(serial)),
            Some(Step::Switch(delta)) => pair.switch(leg, delta),
            None => return,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_runs_on_a_set(legs in 1usize..=8, acts in prop::collection::vec(any::<Act>(), 0..420)) {
        long_run::<OnSet>(legs, &acts);
    }

    #[test]
    fn long_runs_through_an_engine(legs in 1usize..=8, acts in prop::collection::vec(any::<Act>(), 0..420)) {
        long_run::<OnEngine>(legs, &acts);
    }
}

/// Leg, what comes on it, how often.
type Arrival = (usize, Step, usize);

/// VECTORS part F, receiver side.
fn arrivals(steps: &[Arrival]) -> Result<(u64, u64, u64), Fault> {
    let mut subject = OnSet::with_legs(3);
    let mut delivered = 0;
    for &(leg, step, times) in steps {
        for _ in 0..times {
            match step {
                Step::Message(_) => delivered += u64::from(subject.arrive(leg, &Content::of(0))?),
                Step::Switch(delta) => subject.switch(leg, delta)?,
            }
            delivered += std::iter::from_fn(|| subject.take()).count() as u64;
        }
    }
    let stats = subject.set.stats(&subject.store, 1);
    assert_eq!(stats.delivered, delivered);
    Ok((delivered, stats.held, stats.held_peak))
}

#[test]
fn receiver_vectors() {
    use Step::Switch;
    const M: Step = Step::Message(0);
    let (a, b, c) = (0, 1, 2);
    let cases: [(&str, &[Arrival], _); 11] = [
        ("RX-1", &[(a, M, 10), (b, Switch(10), 1), (b, M, 21), (a, Switch(21), 1), (a, M, 1)], Ok((32, 0, 0))),
        ("RX-2", &[(b, Switch(10), 1), (b, M, 21), (a, M, 10)], Ok((31, 0, 21))),
        (
            "RX-3",
            &[(a, M, 10), (a, Switch(21), 1), (a, M, 1), (b, Switch(10), 1), (b, M, 20), (b, M, 1)],
            Ok((32, 0, 1)),
        ),
        (
            "RX-4",
            &[(c, Switch(2), 1), (c, M, 1), (b, Switch(1), 1), (b, M, 1), (a, M, 1), (a, Switch(2), 1), (a, M, 1)],
            Ok((4, 0, 2)),
        ),
        ("RX-5", &[(a, Switch(5), 1), (a, M, 1)], Ok((0, 1, 1))),
        ("RX-6, strict", &[(a, Switch(2), 1), (a, Switch(3), 1)], Err(Fault::SwitchRepeated)),
        ("RX-7", &[(a, M, 3), (b, M, 1)], Err(Fault::NumberStale)),
        ("RX-8", &[(a, Switch(4), 1), (a, M, 1), (b, Switch(4), 1), (b, M, 1)], Err(Fault::NumberTwice)),
        ("RX-9", &[(a, M, 2), (b, Switch(3), 1), (b, M, 5)], Ok((2, 5, 5))),
        ("RX-10, strict", &[(a, Switch(u32::MAX), 1), (a, M, 1)], Err(Fault::SwitchTooFar)),
        ("RX-12", &[(a, M, 40), (c, Switch(40), 1), (c, M, 2)], Ok((42, 0, 0))),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(arrivals(steps), expected, "{name}");
    }
}

/// Caps at the last byte that fits and at the first that does not.
#[test]
fn a_cap_holds_to_the_byte() {
    for (over_set, over_engine, expected) in
        [(0, 0, None), (1, 0, Some(Fault::SetMemory)), (0, 1, Some(Fault::EngineMemory))]
    {
        let mut capped = terms(None);
        capped.held_bytes_max = 300 - over_set;
        let mut set = Set::new(Role::Client, capped);
        let mut store = Store::new(300 - over_engine);
        let mut effects = Vec::new();
        let ix = set.adopt(Id(1), ROUTE, Ux::NoOpinion, 0, &mut effects);
        set.handle_switch(ix, 1, Switch { delta: 9 }).unwrap();
        let outcome = (0..3).find_map(|token| {
            let message = message(Command::DATA, &[], Some(Token { token, cost: 100 }));
            set.arrive(ix, 1, &message, &mut store).err()
        });
        assert_eq!(outcome, expected);
        assert_eq!(store.bytes(), if expected.is_none() { 300 } else { 200 });
    }
}

/// What a SWITCH may do, at each bound and one step past it.
#[test]
fn bounds_of_a_switch() {
    let outcome = |deltas: &[u32], ahead_max: u32| {
        let mut bounded = terms(None);
        bounded.switch_ahead_max = ahead_max;
        let mut set = Set::new(Role::Client, bounded);
        let (mut store, mut effects) = (Store::new(u64::MAX), Vec::new());
        let ix = set.adopt(Id(1), ROUTE, Ux::NoOpinion, 0, &mut effects);
        deltas.iter().try_for_each(|&delta| {
            set.handle_switch(ix, 1, Switch { delta })?;
            set.arrive(ix, 1, &message(Command::DATA, &[], None), &mut store).map(|_| ())
        })
    };
    assert_eq!(outcome(&[100], 100), Ok(()));
    assert_eq!(outcome(&[101], 100), Err(Fault::SwitchTooFar));
    assert_eq!(outcome(&[50, 49], 100), Ok(()), "what came between counts as well");
    assert_eq!(outcome(&[50, 50], 100), Err(Fault::SwitchTooFar));
    assert_eq!(outcome(&[0; 16], 100), Ok(()));
    assert_eq!(outcome(&[0; 17], 100), Err(Fault::SwitchZero));
}

/// A message that is next and closes the gap before held ones leaves one mark, however many follow.
#[test]
fn one_mark_stands_for_all_that_are_ready() {
    let mut subject = OnEngine::with_legs(2);
    subject.switch(1, 1).unwrap();
    for serial in 1..20 {
        assert_eq!(subject.arrive(1, &Content::of(serial)), Ok(false));
    }
    assert!(!subject.engine.waiting());
    assert_eq!(subject.arrive(0, &Content::of(0)), Ok(true));
    assert_eq!(subject.engine.stats().instructions, 1);
    assert_eq!(drain(&mut subject.engine).len(), 19);
}
