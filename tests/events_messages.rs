//! Events of messages that come: in order, held, released; SWITCH. And recording changes no verdict.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitFlags, Engine, What};
use circflow::message::{Message, Token, COPY_COST};
use circflow::wire::conflux::{Link, Nonce, Switch, Ux};
use circflow::wire::Command;
use common::events::{fields, id, names, record, recorded};
use common::{circuit, config, drain, linked_set, message, receive, terms, HOPS};
use std::collections::VecDeque;

fn switch(engine: &mut Engine, now: u64, leg: Id, delta: u32) {
    let body = Switch { delta }.encode();
    let message = Message { stream_id: 0, ..message(Command::CONFLUX_SWITCH, &body, None) };
    receive(engine, now, leg, &message).unwrap();
}

#[test]
fn a_message_in_order_a_held_one_and_its_release() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    record(&mut engine);
    let data = message(Command::DATA, b"12345", None);
    receive(&mut engine, 10, legs[0], &data).unwrap();
    switch(&mut engine, 11, legs[1], 2);
    // Number 3 comes before number 2.
    receive(&mut engine, 12, legs[1], &message(Command::DATA, b"x", Some(Token { token: 9, cost: 700 }))).unwrap();
    receive(&mut engine, 13, legs[1], &message(Command::END, b"x", None)).unwrap();
    receive(&mut engine, 14, legs[0], &data).unwrap();
    engine.tick(15);
    assert_eq!(drain(&mut engine).len(), 2);
    let happened = recorded(&mut engine);
    assert_eq!(names(&happened), ["InOrder", "SwitchReceived", "Held", "Held", "InOrder", "Released", "Released"]);
    let of = |index: usize| &happened[index];
    let data = Command::DATA.0.into();
    let in_order = ["set", "leg", "number", "command"];
    assert_eq!(fields(of(0), in_order), [id(set), id(legs[0]), 1, data]);
    assert_eq!(fields(of(1), ["set", "leg", "delta", "number"]), [id(set), id(legs[1]), 2, 2]);
    let held = ["set", "leg", "number", "missing", "held", "bytes"];
    assert_eq!(fields(of(2), held), [id(set), id(legs[1]), 3, 2, 1, 700]);
    assert_eq!(fields(of(3), held), [id(set), id(legs[1]), 4, 2, 2, COPY_COST.into()]);
    assert_eq!(fields(of(4), in_order), [id(set), id(legs[0]), 2, data]);
    assert_eq!(fields(of(5), ["set", "number", "held"]), [id(set), 3, 1]);
    assert_eq!(fields(of(6), ["set", "number", "held"]), [id(set), 4, 0]);
    let times: Vec<u64> = happened.iter().map(|event| event.time).collect();
    assert_eq!(times, [10, 11, 12, 13, 14, 15, 15]);
}

/// The quick way, the long way after something was due, and the way past padding: each is the same event.
#[test]
fn every_way_of_receiving_in_order_is_an_event() {
    let (mut engine, _, legs) = linked_set(1, Ux::NoOpinion, terms(None));
    let other = engine.open_circuit(0, circuit(Role::Client, 5)).unwrap();
    engine.install_padder(0, other, &common::padding_terms(common::load(&[]), HOPS, 0)).unwrap();
    engine.install_padder(0, legs[0], &common::padding_terms(common::load(&[]), HOPS, 0)).unwrap();
    record(&mut engine);
    let data = message(Command::DATA, b"", None);
    receive(&mut engine, 5, legs[0], &data).unwrap();
    engine.remove_padder(6, legs[0], HOPS, 0).unwrap();
    receive(&mut engine, 7, legs[0], &data).unwrap();
    receive(&mut engine, 7, legs[0], &data).unwrap();
    // An earlier time, and one that is far ahead: the first step does not take them.
    receive(&mut engine, 1, legs[0], &data).unwrap();
    receive(&mut engine, 1 << 50, legs[0], &data).unwrap();
    let happened = recorded(&mut engine);
    let numbers: Vec<i128> =
        happened.iter().filter(|event| event.name == "InOrder").map(|event| event.get("number")).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

/// Messages whose turn comes as the set ends are released too, by a set that is over.
#[test]
fn what_an_ended_set_still_delivers_is_released() {
    let (mut engine, set, legs) = linked_set(3, Ux::NoOpinion, terms(None));
    switch(&mut engine, 1, legs[1], 1);
    switch(&mut engine, 1, legs[2], 3);
    record(&mut engine);
    let token = |token| Some(Token { token, cost: 600 });
    receive(&mut engine, 2, legs[1], &message(Command::DATA, b"2", token(2))).unwrap();
    receive(&mut engine, 2, legs[1], &message(Command::DATA, b"3", token(3))).unwrap();
    receive(&mut engine, 2, legs[2], &message(Command::DATA, b"4", token(4))).unwrap();
    receive(&mut engine, 3, legs[0], &message(Command::DATA, b"1", None)).unwrap();
    engine.circuit_closed(4, legs[2]).unwrap();
    let delivered = drain(&mut engine).iter().filter(|(one, _)| matches!(one.what, What::Deliver(_))).count();
    let happened = recorded(&mut engine);
    let released: Vec<_> = happened.iter().filter(|event| event.name == "Released").collect();
    assert_eq!(delivered, released.len());
    let numbers: Vec<i128> = released.iter().map(|event| event.get("number")).collect();
    assert_eq!(numbers, [2, 3, 4]);
    assert!(released.iter().all(|event| event.get("set") == id(set) && event.get("held") == 0));
    let ended = happened.iter().position(|event| event.name == "SetEnded").unwrap();
    assert!(ended < happened.iter().position(|event| event.name == "Released").unwrap());
}

/// A host that takes tokens in bulk takes messages that were held.
#[test]
fn tokens_that_are_taken_together_are_released_one_by_one() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    switch(&mut engine, 1, legs[1], 1);
    for token in 0..3 {
        receive(&mut engine, 1, legs[1], &message(Command::DATA, b"", Some(Token { token, cost: 1 }))).unwrap();
    }
    receive(&mut engine, 1, legs[0], &message(Command::DATA, b"", None)).unwrap();
    record(&mut engine);
    let mut tokens = Vec::new();
    engine.set_poll_tokens(set, 8, |token| tokens.push(token)).unwrap();
    assert_eq!(tokens, [0, 1, 2]);
    let happened = recorded(&mut engine);
    assert_eq!(names(&happened), ["Released"; 3]);
    let rows = happened.iter().map(|event| fields(event, ["set", "number", "held"]));
    assert_eq!(rows.collect::<Vec<_>>(), [[id(set), 2, 2], [id(set), 3, 1], [id(set), 4, 0]]);
}

/// An exit that circflow runs: DATA goes to its stream, on the quick way or after it was held.
#[test]
fn data_for_streams_of_a_set_is_an_event_on_every_way() {
    let mut engine = Engine::new(&config(1)).unwrap();
    engine.accept_sets(Some(terms(None)));
    let mut open = |tag| {
        let mut config = circuit(Role::Exit, tag);
        config.flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
        let id = engine.open_circuit(0, config).unwrap();
        let link = Link { nonce: Nonce::new([3; 32]), last_sent: 0, last_received: 0, ux: Ux::NoOpinion };
        let body = link.encode();
        let link = Message { command: Command::CONFLUX_LINK, hop: 0, stream_id: 0, body: &body, token: None };
        engine.receive(0, id, &link).unwrap();
        drain(&mut engine);
        let ack = Message { command: Command::CONFLUX_LINKED_ACK, body: &[], ..link };
        engine.receive(0, id, &ack).unwrap();
        id
    };
    let legs = [open(1), open(2)];
    record(&mut engine);
    let of = |command, body| Message { command, hop: 0, stream_id: 5, body, token: None };
    let mut feed = |now, leg: usize, message: &Message<'_>| engine.receive_cell(now, legs[leg], message, &[7; 20]);
    feed(1, 0, &of(Command::BEGIN, b"a:1\0")).unwrap();
    for now in 2..50 {
        // Every so often a SENDME is owed, and the long way takes the cell.
        feed(now, 0, &of(Command::DATA, b"12345")).unwrap();
    }
    let body = Switch { delta: 50 }.encode();
    feed(50, 1, &Message { stream_id: 0, ..of(Command::CONFLUX_SWITCH, &body) }).unwrap();
    feed(51, 1, &of(Command::DATA, b"12345")).unwrap();
    feed(52, 0, &of(Command::DATA, b"12345")).unwrap();
    drain(&mut engine);
    let happened = recorded(&mut engine);
    let kinds = ["InOrder", "Released"];
    let numbers: Vec<i128> =
        happened.iter().filter(|event| kinds.contains(&event.name)).map(|event| event.get("number")).collect();
    assert_eq!(numbers, (1..=51).collect::<Vec<i128>>());
    assert!(happened.iter().any(|event| event.name == "Held" && event.get("missing") == 50));
}

/// The same calls with and without a record: the same verdicts, and the same room afterwards.
#[test]
fn recording_changes_no_verdict() {
    let run = |seed: u64, is_recorded: bool| {
        let mut rng = common::Rng::new(seed);
        let (mut engine, _, legs) = linked_set(3, Ux::NoOpinion, terms(None));
        if is_recorded {
            record(&mut engine);
        }
        let (mut said, mut numbers) = (Vec::new(), Vec::new());
        // The sender takes a leg at random for each message; the network brings the legs forward as it likes.
        let (mut ways, mut sent, mut last) = ([const { VecDeque::new() }; 3], [0u32; 3], 0);
        for number in 1..=400 {
            let leg = rng.below(3) as usize;
            if leg != last && sent[leg] + 1 != number {
                ways[leg].push_back(number - 1 - sent[leg]);
            }
            ways[leg].push_back(0);
            (sent[leg], last) = (number, leg);
        }
        for now in 0.. {
            let leg = rng.below(3) as usize;
            match ways[leg].pop_front() {
                Some(0) => {
                    let token = rng.once_in(3).then_some(Token { token: now, cost: 600 });
                    said.push(format!("{:?}", engine.receive(now, legs[leg], &message(Command::DATA, b"abc", token))));
                }
                Some(delta) => switch(&mut engine, now, legs[leg], delta),
                None if ways.iter().all(VecDeque::is_empty) => break,
                None => {}
            }
            if rng.once_in(4) {
                said.push(format!("{:?}", drain(&mut engine)));
            }
        }
        said.push(format!("{:?}", drain(&mut engine)));
        if is_recorded {
            let kinds = ["InOrder", "Released"];
            let happened = recorded(&mut engine);
            numbers = happened.iter().filter(|e| kinds.contains(&e.name)).map(|e| e.get("number")).collect();
            assert_eq!(numbers, (1..=numbers.len() as i128).collect::<Vec<_>>());
        }
        (said, numbers.len())
    };
    for seed in 0..20 {
        let (plain, _) = run(seed, false);
        let (recorded, count) = run(seed, true);
        assert_eq!(plain, recorded);
        assert_eq!(count, 400);
    }
}
