//! Events of faults, wherever one closes something; and that recording at a relay is said.

mod common;

use circflow::base::Id;
use circflow::conflux::{Cause, Role, SetTerms};
use circflow::engine::{CircuitConfig, CircuitFlags, Config, Engine, Error, What};
use circflow::event::Class;
use circflow::message::{Message, COPY_COST};
use circflow::reactor::Side;
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::fault::Fault;
use circflow::wire::Command;
use common::events::{record, recorded, recorded_of};
use common::{circuit, config, drain, linked_set, message, terms, HOPS};

const MS: u64 = 1_000_000;
const SEC: u64 = 1_000 * MS;

/// Who was at fault, and the status.
fn faults(engine: &mut Engine) -> Vec<(i128, i128)> {
    recorded_of(engine, "Fault").iter().map(|event| (event.get("who"), event.get("status"))).collect()
}

fn fault(who: Id, fault: Fault) -> Vec<(i128, i128)> {
    vec![(who.0.into(), fault.number() as i128)]
}

#[test]
fn a_fault_that_closes_a_circuit() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let id = engine.open_circuit(0, circuit(Role::Exit, 1)).unwrap();
    record(&mut engine);
    engine.receive(1, id, &Message { hop: 0, ..message(Command::CONFLUX_LINKED_ACK, &[], None) }).unwrap_err();
    // The message has a stream id, which comes first.
    assert_eq!(faults(&mut engine), fault(id, Fault::BadStreamId));
    assert_eq!(engine.stats().peer_faults, 1);
}

#[test]
fn a_fault_that_closes_a_set_is_the_sets() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    record(&mut engine);
    let body = Switch { delta: u32::MAX }.encode();
    let switch = Message { stream_id: 0, ..message(Command::CONFLUX_SWITCH, &body, None) };
    assert_eq!(engine.receive(1, legs[1], &switch), Err(Error::Fault(Fault::SwitchTooFar)));
    assert_eq!(faults(&mut engine), fault(set, Fault::SwitchTooFar));
}

#[test]
fn a_fault_that_closes_a_leg_is_the_legs() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    record(&mut engine);
    engine.receive(1, legs[1], &message(Command::CONFLUX_SWITCH, b"", None)).unwrap_err();
    assert_eq!(faults(&mut engine), fault(legs[1], Fault::BadStreamId));
    assert!(engine.set_stats(set).is_ok(), "the set goes on");
}

#[test]
fn a_handshake_that_takes_too_long() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let set = engine.open_set(0, terms(None)).unwrap();
    let id = engine.open_circuit(0, circuit(Role::Client, 1)).unwrap();
    engine.add_legs(0, set, &[id]).unwrap();
    drain(&mut engine);
    record(&mut engine);
    engine.tick(61 * SEC);
    assert_eq!(faults(&mut engine), fault(id, Fault::LinkedTimeout));
}

#[test]
fn a_source_that_does_not_pause() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | CircuitFlags::EXTENDED.0);
    let id = engine.open_circuit(0, CircuitConfig { flags, ..circuit(Role::Exit, 8) }).unwrap();
    record(&mut engine);
    engine.set_writable(0, id, Side::Next, false).unwrap();
    let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &[9; 509], token: None };
    while engine.pass(0, id, Side::Back, &cell).is_ok() {}
    assert_eq!(faults(&mut engine), fault(id, Fault::EdgeOverrun));
}

/// The only way to close a set that does not pass by [`Engine::fault`].
#[test]
fn messages_that_are_held_for_too_long() {
    let mut engine = Engine::new(&Config { held_age_max: 10 * SEC, ..config(1) }).unwrap();
    let set = engine.open_set(0, SetTerms { held_age_max: Some(10 * SEC), ..terms(None) }).unwrap();
    let ids = [1, 2].map(|tag| {
        let id = engine.open_circuit(0, circuit(Role::Client, tag)).unwrap();
        engine.adopt_leg(0, set, id, Ux::NoOpinion, 0).unwrap();
        id
    });
    record(&mut engine);
    let switch = Switch { delta: 5 }.encode();
    engine.receive(1, ids[0], &Message { stream_id: 0, ..message(Command::CONFLUX_SWITCH, &switch, None) }).unwrap();
    engine.receive(1, ids[0], &message(Command::DATA, b"x", None)).unwrap();
    recorded(&mut engine);
    let mut now = 0;
    while engine.set_stats(set).is_ok() {
        now += SEC / 4;
        assert!(now < 20 * SEC);
        engine.tick(now);
    }
    let happened = recorded(&mut engine);
    let of = |name| happened.iter().find(|event| event.name == name).unwrap();
    let status = i128::from(Fault::HeldTooLong.number());
    assert_eq!((of("Fault").get("who"), of("Fault").get("status")), (set.0.into(), status));
    assert_eq!(of("Victim").get("who"), set.0.into(), "it went for what it held");
    assert_eq!(of("Victim").get("held"), COPY_COST.into());
    assert!((9 * i128::from(SEC)..11 * i128::from(SEC)).contains(&of("Victim").get("age")));
    assert_eq!(of("SetEnded").get("cause"), status);
}

/// Whatever is closed for a fault, there was the event of it: the instructions name no other status.
#[test]
fn each_close_for_a_fault_follows_its_event() {
    let mut closed = 0;
    for seed in 0..300 {
        let mut rng = common::Rng::new(seed);
        let mut engine = Engine::new(&config(1)).unwrap();
        engine.accept_sets(Some(terms(None)));
        let roles = [Role::Exit, Role::Client];
        let ids: Vec<Id> = (0..6)
            .map(|tag| {
                let run = CircuitFlags(CircuitFlags::VEGAS.0 | (CircuitFlags::REACTOR.0 * (tag as u16 % 2)));
                let like = circuit(roles[tag as usize / 3], tag);
                engine.open_circuit(0, CircuitConfig { flags: run, ..like }).unwrap()
            })
            .collect();
        let set = engine.open_set(0, terms(None)).unwrap();
        engine.add_legs(0, set, &[ids[4]]).unwrap();
        drain(&mut engine);
        record(&mut engine);
        recorded(&mut engine);
        let mut now = 0;
        let mut seen = Vec::new();
        for _ in 0..60 {
            now += rng.below(2 * SEC);
            let at = rng.below(6) as usize;
            let hop = if at < 3 { 0 } else { HOPS };
            let command = Command(rng.below(44) as u8);
            let body: Vec<u8> = (0..rng.below(60)).map(|_| rng.next() as u8).collect();
            let (stream_id, body) = (rng.below(3) as u16, &body[..]);
            let _ =
                engine.receive_cell(now, ids[at], &Message { command, hop, stream_id, body, token: None }, &[1; 20]);
            seen.extend(faults(&mut engine).iter().map(|&(_, status)| status));
            for (instruction, _) in drain(&mut engine) {
                if let What::Close(Cause::Fault(fault)) | What::Ended(Cause::Fault(fault)) = instruction.what {
                    assert!(seen.contains(&fault.number().into()), "seed {seed}: {fault:?}");
                    closed += 1;
                }
            }
        }
        assert_eq!(seen.len() as u64, engine.stats().peer_faults);
    }
    assert!(closed > 300, "{closed}");
}

#[test]
fn recording_at_a_relay_is_said_once() {
    let said = |engine: &mut Engine| recorded_of(engine, "RecordedAtRelay").len();
    // The circuit is there before.
    let mut engine = Engine::new(&config(1)).unwrap();
    engine.open_circuit(0, circuit(Role::Exit, 1)).unwrap();
    record(&mut engine);
    assert_eq!(said(&mut engine), 1);
    engine.open_circuit(0, circuit(Role::Exit, 1)).unwrap();
    record(&mut engine);
    assert_eq!(said(&mut engine), 0, "it was said");
    // The circuit comes later.
    let mut engine = Engine::new(&config(1)).unwrap();
    record(&mut engine);
    engine.open_circuit(0, circuit(Role::Client, 1)).unwrap();
    assert_eq!(said(&mut engine), 0);
    for expected in [1, 0] {
        engine.open_circuit(0, circuit(Role::Exit, 1)).unwrap();
        assert_eq!(said(&mut engine), expected);
    }
}

#[test]
fn recording_at_a_client_is_not_said() {
    let mut engine = Engine::new(&config(1)).unwrap();
    for _ in 0..3 {
        let id = engine.open_circuit(0, circuit(Role::Client, 1)).unwrap();
        record(&mut engine);
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::SERVICE.0);
        engine.open_circuit(0, CircuitConfig { flags, ..circuit(Role::Client, 1) }).unwrap();
        assert_eq!(recorded_of(&mut engine, "RecordedAtRelay"), []);
        engine.circuit_closed(1, id).unwrap();
    }
    // Nothing is recorded any more when the relay's circuit comes.
    engine.record(0, 0).unwrap();
    engine.open_circuit(0, circuit(Role::Exit, 1)).unwrap();
    engine.record(1 << 12, Class::Host.bit()).unwrap();
    assert_eq!(recorded_of(&mut engine, "RecordedAtRelay").len(), 1);
}
