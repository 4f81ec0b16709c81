//! Events of memory: caps that are reached, who goes for it, and what is given back.

mod common;

use circflow::base::Id;
use circflow::conflux::{Role, SetTerms};
use circflow::engine::{CircuitConfig, CircuitFlags, Config, Engine, EngineHub, Error, VerdictKind};
use circflow::hub::HubConfig;
use circflow::message::{Message, Token, COPY_COST};
use circflow::reactor::{Marks, Side};
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::fault::Fault;
use circflow::wire::Command;
use common::events::{record, recorded, recorded_of, Happened};
use common::{circuit, config, drain, message, terms};
use std::sync::Arc;

const SEC: u64 = 1_000_000_000;
const COST: u64 = COPY_COST as u64;

const SET: i128 = 1;
const ENGINE: i128 = 2;
const HUB: i128 = 3;

fn cap_of(event: &Happened) -> [i128; 4] {
    ["cap", "wanted", "held", "who"].map(|field| event.get(field))
}

fn victim_of(event: &Happened) -> [i128; 2] {
    ["who", "held"].map(|field| event.get(field))
}

/// Time is counted in small steps.
fn age_is(event: &Happened, age: u64) -> bool {
    (event.get("age") - i128::from(age)).unsigned_abs() < SEC as u128 / 100
}

/// The host calls often enough: of a long time without a call only a second counts.
fn pass_time(engine: &mut Engine, from: u64, to: u64) {
    for now in (from..=to).step_by(SEC as usize / 4) {
        engine.tick(now);
    }
}

/// A set with one leg, whose next message has not come, so that all others are held.
fn gap(engine: &mut Engine, terms: SetTerms) -> (Id, Id) {
    let set = engine.open_set(0, terms).unwrap();
    let legs = [1, 2].map(|tag| {
        let id = engine.open_circuit(0, circuit(Role::Client, tag)).unwrap();
        engine.adopt_leg(0, set, id, Ux::NoOpinion, 0).unwrap();
        id
    });
    let switch = Switch { delta: 5 }.encode();
    engine.receive(0, legs[0], &Message { stream_id: 0, ..message(Command::CONFLUX_SWITCH, &switch, None) }).unwrap();
    (set, legs[0])
}

fn hold(engine: &mut Engine, now: u64, leg: Id) -> Result<VerdictKind, Error> {
    engine.receive(now, leg, &message(Command::DATA, b"x", None)).map(|verdict| verdict.kind)
}

#[test]
fn the_cap_of_a_set() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let (set, leg) = gap(&mut engine, SetTerms { held_bytes_max: 3 * COST + 10, ..terms(None) });
    record(&mut engine);
    for now in 1..=3 {
        assert_eq!(hold(&mut engine, now, leg), Ok(VerdictKind::Held));
    }
    let mut happened = recorded(&mut engine);
    happened.retain(|event| ["CapReached", "Victim"].contains(&event.name));
    assert_eq!(happened, [], "all of it may be held");
    assert_eq!(hold(&mut engine, 10, leg), Err(Error::Fault(Fault::SetMemory)));
    let mut happened = recorded(&mut engine);
    happened.retain(|event| ["CapReached", "Victim"].contains(&event.name));
    assert_eq!(happened.iter().map(|event| event.name).collect::<Vec<_>>(), ["CapReached", "Victim"]);
    assert_eq!(cap_of(&happened[0]), [SET, COST.into(), (3 * COST).into(), set.0.into()]);
    assert_eq!(victim_of(&happened[1]), [set.0.into(), (3 * COST).into()]);
}

/// Two sets, of which the first holds more; the second has no room for the next message.
#[test]
fn the_cap_of_an_engine_has_another_set_closed() {
    let mut engine = Engine::new(&Config { held_bytes_max: 5 * COST, ..config(1) }).unwrap();
    let (large, leg) = gap(&mut engine, terms(None));
    let (small, other) =
        gap(&mut engine, SetTerms { nonce: circflow::wire::conflux::Nonce::new([1; 32]), ..terms(None) });
    record(&mut engine);
    for _ in 0..4 {
        hold(&mut engine, SEC, leg).unwrap();
    }
    pass_time(&mut engine, SEC, 3 * SEC);
    hold(&mut engine, 3 * SEC, other).unwrap();
    recorded(&mut engine);
    assert_eq!(hold(&mut engine, 3 * SEC, other), Ok(VerdictKind::Held));
    let happened = recorded(&mut engine);
    let of = |name| happened.iter().filter(|event| event.name == name).collect::<Vec<_>>();
    let (caps, victims) = (of("CapReached"), of("Victim"));
    assert_eq!((caps.len(), victims.len()), (1, 1));
    assert_eq!(cap_of(caps[0]), [ENGINE, COST.into(), (5 * COST).into(), small.0.into()]);
    assert_eq!(victim_of(victims[0]), [large.0.into(), (4 * COST).into()]);
    assert!(age_is(victims[0], 2 * SEC));
    let faults = of("Fault");
    assert_eq!((faults[0].get("who"), faults[0].get("status")), (large.0.into(), Fault::EngineMemory.number() as i128));
}

/// The one that wants room is the one that holds the most: it goes itself.
#[test]
fn the_cap_of_an_engine_has_the_holder_closed() {
    let mut engine = Engine::new(&Config { held_bytes_max: 3 * COST, ..config(1) }).unwrap();
    let (set, leg) = gap(&mut engine, terms(None));
    record(&mut engine);
    for _ in 0..3 {
        hold(&mut engine, SEC, leg).unwrap();
    }
    pass_time(&mut engine, SEC, 2 * SEC);
    recorded(&mut engine);
    hold(&mut engine, 2 * SEC, leg).unwrap_err();
    let happened = recorded(&mut engine);
    let of = |name| happened.iter().find(|event| event.name == name).unwrap();
    assert_eq!(cap_of(of("CapReached")), [ENGINE, COST.into(), (3 * COST).into(), set.0.into()]);
    assert_eq!(victim_of(of("Victim")), [set.0.into(), (3 * COST).into()]);
    assert!(age_is(of("Victim"), SEC));
}

/// A message that could never be held reaches the cap, and nobody goes for it.
#[test]
fn a_message_that_is_larger_than_the_cap() {
    let mut engine = Engine::new(&Config { held_bytes_max: 10 * COST, ..config(1) }).unwrap();
    let (set, leg) = gap(&mut engine, terms(None));
    let (quiet, _) = gap(&mut engine, SetTerms { nonce: circflow::wire::conflux::Nonce::new([1; 32]), ..terms(None) });
    record(&mut engine);
    let token = Token { token: 4, cost: 11 * COPY_COST };
    engine.receive(1, leg, &message(Command::DATA, b"x", Some(token))).unwrap_err();
    let caps = recorded_of(&mut engine, "CapReached");
    assert_eq!((caps.len(), cap_of(&caps[0])), (1, [ENGINE, (11 * COST).into(), 0, set.0.into()]));
    assert!(engine.set_stats(quiet).is_ok());
}

/// A circuit, not a set: the cells that wait at a relay's edge.
#[test]
fn a_circuit_that_goes() {
    let marks = Marks { high: 100, low: 2, over: 32 };
    let mut engine = Engine::new(&Config { held_bytes_max: 6 * COST, marks, ..config(1) }).unwrap();
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | CircuitFlags::EXTENDED.0);
    let ids = [1, 2].map(|tag| {
        let id = engine.open_circuit(0, CircuitConfig { flags, ..circuit(Role::Exit, tag) }).unwrap();
        engine.set_writable(0, id, Side::Next, false).unwrap();
        id
    });
    record(&mut engine);
    let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &[9; 509], token: None };
    for _ in 0..5 {
        engine.pass(SEC, ids[0], Side::Back, &cell).unwrap();
    }
    pass_time(&mut engine, SEC, 2 * SEC);
    engine.pass(2 * SEC, ids[1], Side::Back, &cell).unwrap();
    pass_time(&mut engine, 2 * SEC, 4 * SEC);
    recorded(&mut engine);
    engine.pass(4 * SEC, ids[1], Side::Back, &cell).unwrap();
    let happened = recorded(&mut engine);
    let of = |name| happened.iter().find(|event| event.name == name).unwrap();
    assert_eq!(cap_of(of("CapReached")), [ENGINE, COST.into(), (6 * COST).into(), ids[1].0.into()]);
    assert_eq!(victim_of(of("Victim")), [ids[0].0.into(), (5 * COST).into()]);
    assert!(age_is(of("Victim"), 3 * SEC));
    // The cell that had to wait is one that waits.
    assert_eq!(["circuit", "waiting"].map(|field| of("Waits").get(field)), [ids[1].0.into(), 2]);
}

/// The cap of a hub: the victim is on another engine, which closes it in its next call.
#[test]
fn the_cap_of_a_hub_has_a_set_on_another_engine_closed() {
    let hub = EngineHub::new(&HubConfig { seed: [3; 32], held_bytes_max: 8 * COST });
    let mut engines = [1, 2].map(|tag| {
        let mut engine = Engine::new(&config(tag)).unwrap();
        engine.join_hub(&hub, Arc::new(|_| ())).unwrap();
        engine
    });
    let (large, leg) = gap(&mut engines[0], terms(None));
    let (small, other) =
        gap(&mut engines[1], SetTerms { nonce: circflow::wire::conflux::Nonce::new([1; 32]), ..terms(None) });
    engines.iter_mut().for_each(record);
    for _ in 0..6 {
        hold(&mut engines[0], SEC, leg).unwrap();
    }
    pass_time(&mut engines[0], SEC, 3 * SEC);
    drain(&mut engines[0]);
    let mut caps = Vec::new();
    for _ in 0..8 {
        let before = hub.process().reserved();
        let answer = hold(&mut engines[1], 3 * SEC, other);
        caps = recorded_of(&mut engines[1], "CapReached");
        if let Some(cap) = caps.first() {
            assert_eq!(cap_of(cap), [HUB, COST.into(), before.into(), small.0.into()], "{answer:?}");
            break;
        }
    }
    assert_eq!(caps.len(), 1);
    assert_eq!(recorded_of(&mut engines[1], "Victim"), [], "the other engine closes its own");
    recorded(&mut engines[0]);
    pass_time(&mut engines[0], 3 * SEC, 4 * SEC);
    let happened = recorded(&mut engines[0]);
    let of = |name| happened.iter().find(|event| event.name == name).unwrap();
    assert_eq!(victim_of(of("Victim")), [large.0.into(), (6 * COST).into()]);
    assert!(age_is(of("Victim"), 2 * SEC));
    assert_eq!(of("Fault").get("status"), i128::from(Fault::ProcessMemory.number()));
    assert!(happened.iter().all(|event| event.name != "CapReached"), "it wanted nothing");
}

#[test]
fn memory_that_is_given_back() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let (set, leg) = gap(&mut engine, terms(None));
    for _ in 0..500 {
        hold(&mut engine, 1, leg).unwrap();
    }
    engine.close_set(2, set).unwrap();
    drain(&mut engine);
    engine.tick(3);
    record(&mut engine);
    let bytes = engine.trim();
    assert!(bytes > 0);
    let trimmed = recorded_of(&mut engine, "Trimmed");
    assert_eq!((trimmed.len(), trimmed[0].get("bytes")), (1, bytes as i128));
    while engine.trim() > 0 {}
    recorded(&mut engine);
    engine.trim();
    assert_eq!(recorded(&mut engine), [], "nothing is no news");
}
