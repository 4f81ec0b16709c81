//! Events of the life of sets and legs: opened, each step of the link handshake, linked, usable, lost, wanted, ended.

mod common;

use circflow::base::Id;
use circflow::conflux::{Cause, Fault, Role};
use circflow::engine::{Engine, Outlet, What};
use circflow::message::Message;
use circflow::wire::conflux::{Link, Nonce, Switch, Ux};
use circflow::wire::Command;
use common::events::{fields, id, record, recorded, recorded_of, Happened};
use common::{circuit, config, drain, engines_of_a_hub, linked_set, message, receive, report, send_short, terms, HOPS};

const CLIENT: usize = 0;
const EXIT: usize = 1;

/// A client and an exit, and the circuits between them.
struct Pair {
    engines: [Engine; 2],
    /// The circuits, with their ids at both ends.
    wires: Vec<[Id; 2]>,
    now: u64,
}

impl Pair {
    fn new() -> Pair {
        let mut engines = [CLIENT, EXIT].map(|end| Engine::new(&config(end as u32 + 1)).unwrap());
        engines[EXIT].accept_sets(Some(terms(None)));
        engines.iter_mut().for_each(record);
        Pair { engines, wires: Vec::new(), now: 100 }
    }

    fn open(&mut self) -> Id {
        let tag = self.wires.len() as u64;
        let open = |engine: &mut Engine, role| engine.open_circuit(100, circuit(role, tag)).unwrap();
        let ids = [open(&mut self.engines[CLIENT], Role::Client), open(&mut self.engines[EXIT], Role::Exit)];
        self.wires.push(ids);
        ids[CLIENT]
    }

    /// Carries everything that one end says to the other, 10 ns later.
    fn carry(&mut self, from: usize) -> usize {
        let said = drain(&mut self.engines[from]);
        self.now += 10;
        let mut carried = 0;
        for (instruction, body) in said {
            let What::Send { command, body_len, .. } = instruction.what else { continue };
            let wire = self.wires.iter().find(|wire| wire[from] == instruction.circuit).unwrap();
            let hop = if from == EXIT { HOPS } else { 0 };
            let message = Message { command, hop, stream_id: 0, body: &body[..usize::from(body_len)], token: None };
            self.engines[1 - from].receive(self.now, wire[1 - from], &message).unwrap();
            carried += 1;
        }
        carried
    }
}

/// What happened, as names with the last field.
fn story(engine: &mut Engine) -> Vec<(&'static str, i128)> {
    let kinds = ["SetOpened", "LegStep", "LegLinked", "SetUsable", "LegLost", "SetEnded", "LegWanted"];
    let mut happened = recorded(engine);
    happened.retain(|event| kinds.contains(&event.name));
    happened.iter().map(|event| (event.name, event.fields.last().unwrap().1)).collect()
}

#[test]
fn the_handshake_is_told_step_by_step_at_both_ends() {
    let mut pair = Pair::new();
    let built = pair.open();
    let launched = pair.open();
    let set = pair.engines[CLIENT].open_set(100, terms(None)).unwrap();
    pair.engines[CLIENT].add_legs(100, set, &[built]).unwrap();
    pair.engines[CLIENT].launch_legs(100, set, &[launched]).unwrap();
    let happened = recorded(&mut pair.engines[CLIENT]);
    assert_eq!(fields(&happened[0], ["set", "by_peer"]), [id(set), 0]);
    assert_eq!(fields(&happened[1], ["set", "leg", "step"]), [id(set), id(launched), 1]);
    assert_eq!(happened.len(), 2, "LINK has not left yet: {happened:?}");
    pair.engines[CLIENT].circuit_built(100, launched).unwrap();
    while pair.carry(CLIENT) + pair.carry(EXIT) > 0 {}
    let happened = recorded(&mut pair.engines[CLIENT]);
    let of = |leg: Id, events: &[Happened]| -> Vec<(&str, i128)> {
        let kinds = ["LegStep", "LegLinked"];
        let mine = events.iter().filter(|event| kinds.contains(&event.name) && event.get("leg") == id(leg));
        mine.map(|event| (event.name, event.fields[2].1)).collect()
    };
    for leg in [built, launched] {
        let expected = [("LegStep", 2), ("LegStep", 7), ("LegLinked", 20), ("LegStep", 4)];
        assert_eq!(of(leg, &happened), expected);
    }
    assert_eq!(happened.iter().filter(|event| event.name == "SetUsable").count(), 1);
    let mut happened = recorded(&mut pair.engines[EXIT]);
    happened.retain(|event| event.name != "RecordedAtRelay");
    assert_eq!((happened[0].name, happened[0].get("by_peer")), ("SetOpened", 1));
    let at_exit = happened[0].get("set");
    for wire in &pair.wires {
        let expected = [("LegStep", 6), ("LegLinked", 0), ("LegStep", 3), ("LegStep", 5)];
        assert_eq!(of(wire[EXIT], &happened), expected);
    }
    assert!(happened.iter().filter(|event| event.name == "LegStep").all(|event| event.get("set") == at_exit));
}

#[test]
fn a_leg_that_the_host_has_linked_is_linked() {
    let mut engine = Engine::new(&config(1)).unwrap();
    record(&mut engine);
    let set = engine.open_set(1, terms(None)).unwrap();
    let leg = engine.open_circuit(1, circuit(Role::Client, 1)).unwrap();
    engine.adopt_leg(1, set, leg, Ux::NoOpinion, 77).unwrap();
    let happened = recorded(&mut engine);
    let names: Vec<&str> = happened.iter().map(|event| event.name).collect();
    assert_eq!(names, ["SetOpened", "LegLinked", "SetUsable"]);
    assert_eq!(fields(&happened[1], ["set", "leg", "rtt"]), [id(set), id(leg), 77]);
    assert_eq!(fields(&happened[2], ["set"]), [id(set)]);
}

#[test]
fn a_leg_is_lost_and_another_wanted() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let set = engine.open_set(0, terms(None)).unwrap();
    let legs = [0, 1, 2].map(|tag| engine.open_circuit(0, circuit(Role::Client, tag)).unwrap());
    engine.add_legs(0, set, &legs).unwrap();
    drain(&mut engine);
    record(&mut engine);
    engine.circuit_closed(1, legs[0]).unwrap();
    let happened = recorded(&mut engine);
    assert_eq!(happened[0].name, "LegLost");
    let cause = Cause::LegLost.number().into();
    assert_eq!(fields(&happened[0], ["set", "leg", "cause"]), [id(set), id(legs[0]), cause]);
    assert_eq!(fields(&happened[1], ["set"]), [id(set)]);
    assert_eq!((happened[1].name, happened.len()), ("LegWanted", 2));
    // A leg whose peer breaks the protocol.
    let linked = Message { stream_id: 0, ..message(Command::CONFLUX_LINKED, b"no", None) };
    receive(&mut engine, 2, legs[1], &linked).unwrap_err();
    let lost = recorded_of(&mut engine, "LegLost");
    assert_eq!(lost[0].get("cause"), Fault::BadLink.number() as i128);
    // The last one.
    engine.circuit_closed(3, legs[2]).unwrap();
    assert_eq!(story(&mut engine), [("LegLost", cause), ("SetEnded", cause)]);
}

#[test]
fn a_set_ends_with_its_cause() {
    // The host closes it.
    let (mut engine, set, _) = linked_set(2, Ux::NoOpinion, terms(None));
    record(&mut engine);
    engine.close_set(1, set).unwrap();
    let happened = recorded(&mut engine);
    assert_eq!((happened[0].name, happened.len()), ("SetEnded", 1));
    assert_eq!(fields(&happened[0], ["set", "cause"]), [id(set), Cause::Asked.number().into()]);
    // The host dissolves it: the leg goes on.
    let (mut engine, set, _) = linked_set(1, Ux::NoOpinion, terms(None));
    record(&mut engine);
    engine.dissolve(1, set).unwrap();
    assert_eq!(story(&mut engine), [("SetEnded", 0)]);
    // A peer's fault that breaks the order.
    let (mut engine, _, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    record(&mut engine);
    let switch = Message { stream_id: 0, ..message(Command::CONFLUX_SWITCH, b"no", None) };
    receive(&mut engine, 1, legs[0], &switch).unwrap_err();
    let cause = Fault::BadSwitch.number() as i128;
    let said = story(&mut engine);
    assert_eq!(said.last(), Some(&("SetEnded", cause)), "{said:?}");
    // The sending leg is lost, and the set with it.
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    engine.report(1, legs[0], &report(9, 0, 5)).unwrap();
    send_short(&mut engine, 1, set, Command::DATA, HOPS).unwrap();
    record(&mut engine);
    engine.circuit_closed(2, legs[0]).unwrap();
    let cause = Cause::LegLost.number().into();
    assert_eq!(story(&mut engine), [("LegLost", cause), ("SetEnded", cause)]);
}

/// A set whose second leg is on another engine: its home tells of both legs alike.
#[test]
fn a_leg_on_another_engine_is_told_of_at_home() {
    let (_hub, mut engines) = engines_of_a_hub([config(1), config(2)], &terms(None));
    engines.iter_mut().for_each(record);
    let mut now = 100;
    let mut settle = |engines: &mut [Engine; 2]| {
        for at in [0, 1, 0, 1, 0, 1] {
            now += 1;
            engines[at].tick(now);
            drain(&mut engines[at]);
        }
        now
    };
    let link = Link { nonce: Nonce::new([7; 32]), last_sent: 0, last_received: 0, ux: Ux::HighThroughput };
    let of = |command, stream_id, body| Message { command, hop: 0, stream_id, body, token: None };
    let body = link.encode();
    let legs = [0, 1].map(|at: usize| {
        let leg = engines[at].open_circuit(100, circuit(Role::Exit, at as u64)).unwrap();
        engines[at].receive(100, leg, &of(Command::CONFLUX_LINK, 0, &body)).unwrap();
        let now = settle(&mut engines);
        engines[at].receive(now, leg, &of(Command::CONFLUX_LINKED_ACK, 0, &[])).unwrap();
        settle(&mut engines);
        leg
    });
    let happened = recorded(&mut engines[0]);
    let set = happened.iter().find(|event| event.name == "SetOpened").unwrap().get("set");
    let of_leg = |events: &[Happened]| -> Vec<(&str, i128)> {
        let kinds = ["LegStep", "LegLinked"];
        let there = events.iter().filter(|event| kinds.contains(&event.name) && event.get("leg") == id(legs[1]));
        there.map(|event| (event.name, event.fields[2].1)).collect()
    };
    assert_eq!(of_leg(&happened), [("LegStep", 6), ("LegLinked", 0), ("LegStep", 3), ("LegStep", 5)]);
    assert!(of_leg(&recorded(&mut engines[1])).is_empty(), "only the home knows the set");

    // What comes there and is next goes straight to the host, what is early is held; a SWITCH counts at home.
    let now = settle(&mut engines);
    engines[1].receive(now, legs[1], &of(Command::DATA, 5, b"x")).unwrap();
    let body = Switch { delta: 2 }.encode();
    engines[1].receive(now, legs[1], &of(Command::CONFLUX_SWITCH, 0, &body)).unwrap();
    engines[1].receive(now, legs[1], &of(Command::DATA, 5, b"x")).unwrap();
    settle(&mut engines);
    let mut happened = recorded(&mut engines[0]);
    happened.retain(|event| ["InOrder", "Held", "Released", "SwitchReceived"].contains(&event.name));
    let names: Vec<&str> = happened.iter().map(|event| event.name).collect();
    assert_eq!(names, ["InOrder", "SwitchReceived", "Held"]);
    assert_eq!(fields(&happened[0], ["set", "leg", "number", "command"]), [set, id(legs[1]), 1, 2]);
    assert_eq!(fields(&happened[1], ["set", "leg", "delta", "number"]), [set, id(legs[1]), 2, 3]);
    assert_eq!(happened[2].fields[..4], [("set", set), ("leg", id(legs[1])), ("number", 4), ("missing", 2)]);

    // What goes there is sent, also by a host that only asks where.
    let set_id = Id(set as u64);
    engines[1].report(now, legs[1], &report(10, 0, 5)).unwrap();
    let now = settle(&mut engines);
    let data = of(Command::DATA, 5, b"x");
    engines[0].send_message(now, Outlet::Set(set_id), &data).unwrap();
    engines[0].send_message(now, Outlet::Choice(set_id), &data).unwrap();
    let mut happened = recorded(&mut engines[0]);
    happened.retain(|event| ["LegLooked", "Sent"].contains(&event.name));
    let names: Vec<&str> = happened.iter().map(|event| event.name).collect();
    assert_eq!(names[..3], ["LegLooked", "LegLooked", "Sent"]);
    let sent: Vec<_> = happened.iter().filter(|event| event.name == "Sent").collect();
    for (number, event) in (1..).zip(&sent) {
        assert_eq!(event.fields[..3], [("set", set), ("leg", id(legs[1])), ("number", number)]);
    }
    assert_eq!(sent.len(), 2);

    // The leg is lost there, and at home.
    engines[1].circuit_closed(now, legs[1]).unwrap();
    settle(&mut engines);
    let lost = recorded_of(&mut engines[0], "LegLost");
    assert_eq!((lost.len(), lost[0].get("leg")), (1, id(legs[1])));
}
