//! A call that makes room by closing what it is about itself: its answer says so.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{
    Blocked, CircuitConfig, CircuitFlags, Config, Engine, Error, Outlet, StreamConfig, VerdictKind,
};
use circflow::message::{Message, Token};
use circflow::reactor::Owner;
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::fault::Fault;
use circflow::wire::Command;
use common::machines::{block, upon};
use common::{circuit, config, drain, report, terms, HOPS};
use maybenot::event::Event;

const SEC: u64 = 1_000_000_000;

fn message(command: Command, hop: u8, stream_id: u16, token: u64, cost: u32) -> Message<'static> {
    Message { command, hop, stream_id, body: b"x", token: Some(Token { token, cost }) }
}

/// A set of `count` legs, of which the last one blocks and holds a message of its own, nearly as large as the cap.
fn set_with_a_large_leg(count: u64) -> (Engine, Id, Vec<Id>, u64) {
    let mut engine = Engine::new(&Config { held_bytes_max: 20_000, ..config(1) }).unwrap();
    let set = engine.open_set(0, terms(None)).unwrap();
    let adopt = |tag| {
        let id = engine.open_circuit(0, circuit(Role::Client, tag)).unwrap();
        engine.adopt_leg(0, set, id, Ux::NoOpinion, 0).unwrap();
        engine.report(0, id, &report(100, 0, 1000)).unwrap();
        id
    };
    let legs: Vec<Id> = (0..count).map(adopt).collect();
    let large = legs[legs.len() - 1];
    let machine = upon(Event::NormalRecv, block(0.0, 1e12, false, false));
    engine.install_padder(0, large, &common::padding_terms(common::load(&[machine]), HOPS, 0)).unwrap();
    engine.receive(1, large, &Message { token: None, ..message(Command::EXTENDED2, HOPS, 0, 0, 0) }).unwrap();
    engine.tick(SEC);
    drain(&mut engine);
    let own = message(Command::DATA, 1, 3, 9, 18_000);
    assert_eq!(engine.send_message(SEC, Outlet::Circuit(large), &own).unwrap().kind, VerdictKind::Held);
    (engine, set, legs, 2 * SEC)
}

fn says_why(mut engine: Engine, answer: Error) {
    assert_eq!(answer, Error::Fault(Fault::EngineMemory));
    assert!(engine.explains(answer) && engine.detail().contains("circuit"), "{}", engine.detail());
    assert!(drain(&mut engine).len() > 1, "the close, and the token");
}

#[test]
fn a_message_that_came_on_the_leg_that_went() {
    let (mut engine, _, legs, now) = set_with_a_large_leg(2);
    let switch = Switch { delta: 5 }.encode();
    let switch = Message { command: Command::CONFLUX_SWITCH, hop: HOPS, stream_id: 0, body: &switch, token: None };
    engine.receive(now, legs[1], &switch).unwrap();
    let answer = engine.receive(now, legs[1], &message(Command::DATA, HOPS, 5, 10, 4_000)).unwrap_err();
    says_why(engine, answer);
}

#[test]
fn a_message_for_the_set_that_went() {
    let (mut engine, set, _, now) = set_with_a_large_leg(1);
    let answer = engine.send_message(now, Outlet::Set(set), &message(Command::DATA, HOPS, 5, 10, 4_000)).unwrap_err();
    assert_ne!(answer, Blocked::NoRoom.into());
    says_why(engine, answer);
}

/// A stream that opens needs a place in the memory of ended streams: the circuit that holds the most goes for it.
#[test]
fn a_stream_that_opens_at_a_service_has_the_largest_holder_closed() {
    let mut engine = Engine::new(&Config { held_bytes_max: 20_000, ..config(1) }).unwrap();
    let large = engine.open_circuit(0, circuit(Role::Client, 1)).unwrap();
    let machine = upon(Event::NormalRecv, block(0.0, 1e12, false, false));
    engine.install_padder(0, large, &common::padding_terms(common::load(&[machine]), HOPS, 0)).unwrap();
    engine.receive(1, large, &Message { token: None, ..message(Command::EXTENDED2, HOPS, 0, 0, 0) }).unwrap();
    engine.tick(SEC);
    drain(&mut engine);
    let own = message(Command::DATA, HOPS, 3, 9, 19_990);
    assert_eq!(engine.send_message(SEC, Outlet::Circuit(large), &own).unwrap().kind, VerdictKind::Held);
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | CircuitFlags::SERVICE.0);
    let service = CircuitConfig { flags, ..circuit(Role::Client, 2) };
    let service = engine.open_circuit(2 * SEC, service).unwrap();
    let begin = Message { command: Command::BEGIN, hop: HOPS, stream_id: 7, body: b"x:80\0", token: None };
    let verdict = engine.receive(2 * SEC, service, &begin).unwrap();
    assert!(verdict.kind == VerdictKind::Deliver && verdict.stream != Id::NONE, "{verdict:?}");
    let closed: Vec<Id> = drain(&mut engine).iter().map(|(instruction, _)| instruction.circuit).collect();
    assert_eq!(closed[0], large);
}

fn stream(stream_id: u16, hop: u8) -> StreamConfig {
    StreamConfig { tag: 1, stream_id, hop, priority: 0 }
}

/// A set whose only leg holds a message of a stream of its own, as large as the cap lets it be: the set goes with it.
fn set_that_runs_streams(flag: CircuitFlags) -> (Engine, Id, Id) {
    let mut engine = Engine::new(&Config { held_bytes_max: 20_000, ..config(1) }).unwrap();
    let set = engine.open_set(0, terms(None)).unwrap();
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | flag.0);
    let leg = engine.open_circuit(0, CircuitConfig { flags, ..circuit(Role::Client, 1) }).unwrap();
    engine.adopt_leg(0, set, leg, Ux::NoOpinion, 0).unwrap();
    let leaky = engine.open_stream(0, Owner::Circuit(leg), &stream(3, 1)).unwrap();
    let machine = upon(Event::NormalRecv, block(0.0, 1e12, false, false));
    engine.install_padder(0, leg, &common::padding_terms(common::load(&[machine]), HOPS, 0)).unwrap();
    engine.receive(1, leg, &Message { token: None, ..message(Command::EXTENDED2, HOPS, 0, 0, 0) }).unwrap();
    engine.tick(SEC);
    drain(&mut engine);
    let room = 20_000 - engine.stats().held_bytes as u32;
    let own = message(Command::DATA, 1, 3, 9, room - 10);
    assert_eq!(engine.send_message(SEC, Outlet::Stream(leaky), &own).unwrap().kind, VerdictKind::Held);
    (engine, set, leg)
}

// The memory of ended streams grows in steps: the first stream that needs a step has the largest holder closed.

#[test]
fn a_stream_for_the_set_that_went() {
    let (mut engine, set, _) = set_that_runs_streams(CircuitFlags(0));
    let open = |stream_id| engine.open_stream(2 * SEC, Owner::Set(set), &stream(stream_id, HOPS)).err();
    let answer = (7..500).find_map(open).unwrap();
    says_why(engine, answer);
}

#[test]
fn a_begin_in_the_set_that_went() {
    let (mut engine, _, leg) = set_that_runs_streams(CircuitFlags::SERVICE);
    let begin = Message { command: Command::BEGIN, hop: HOPS, stream_id: 0, body: b"x:80\0", token: None };
    let receive = |stream_id| engine.receive(2 * SEC, leg, &Message { stream_id, ..begin }).err();
    let answer = (7..500).find_map(receive).unwrap();
    says_why(engine, answer);
}
