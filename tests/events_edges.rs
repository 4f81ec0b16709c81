//! Events of edges: cells that wait, sources that pause, channels that are full.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Outlet, VerdictKind};
use circflow::message::Message;
use circflow::reactor::Side;
use circflow::wire::Command;
use common::events::{record, recorded, recorded_of};
use common::{circuit, config, drain};

const CELL: Message<'static> = Message { command: Command(3), hop: 0, stream_id: 0, body: &[9; 509], token: None };
const BACK: i128 = 0;
const NEXT: i128 = 1;

fn relay(engine: &mut Engine, tag: u64) -> Id {
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | CircuitFlags::EXTENDED.0);
    engine.open_circuit(0, CircuitConfig { flags, ..circuit(Role::Exit, tag) }).unwrap()
}

fn engine() -> (Engine, Id) {
    let mut engine = Engine::new(&config(1)).unwrap();
    let id = relay(&mut engine, 8);
    record(&mut engine);
    recorded(&mut engine);
    (engine, id)
}

/// As the C ABI does it: both quick ways first.
fn pass(engine: &mut Engine, id: Id, from: Side) -> VerdictKind {
    let now = 5;
    let quick = engine.pass_quick(now, id, from).or_else(|| engine.pass_waiting_quick(now, id, from, &CELL));
    quick.unwrap_or_else(|| engine.pass(now, id, from, &CELL).unwrap()).kind
}

fn values(engine: &mut Engine, name: &str, fields: &[&str]) -> Vec<Vec<i128>> {
    let of = |event: &common::events::Happened| fields.iter().map(|field| event.get(field)).collect();
    recorded_of(engine, name).iter().map(of).collect()
}

#[test]
fn a_cell_that_waits_is_an_event_and_one_that_passes_is_none() {
    for (from, side) in [(Side::Next, BACK), (Side::Back, NEXT)] {
        let (mut engine, id) = engine();
        assert_eq!(pass(&mut engine, id, from), VerdictKind::Forward);
        assert_eq!(recorded(&mut engine), []);
        engine.set_writable(0, id, from.opposite(), false).unwrap();
        for waiting in 1..8 {
            assert_eq!(pass(&mut engine, id, from), VerdictKind::Held);
            let waits = values(&mut engine, "Waits", &["circuit", "side", "waiting"]);
            assert_eq!(waits, [[id.0.into(), side, waiting]]);
        }
    }
}

#[test]
fn a_source_is_told_to_pause_and_to_go_on() {
    let (mut engine, id) = engine();
    engine.set_writable(0, id, Side::Next, false).unwrap();
    for _ in 0..20 {
        pass(&mut engine, id, Side::Back);
    }
    let happened = recorded(&mut engine);
    let names: Vec<&str> = happened.iter().map(|event| event.name).collect();
    assert_eq!(names[8..10], ["Waits", "FeedPaused"], "behind the one that changes writable");
    let paused: Vec<_> = happened.iter().filter(|event| event.name == "FeedPaused").collect();
    assert_eq!(paused.len(), 1);
    let id = i128::from(id.0);
    assert_eq!(["circuit", "side", "waiting"].map(|field| paused[0].get(field)), [id, NEXT, 8]);
    engine.set_writable(0, Id(id as u64), Side::Next, true).unwrap();
    drain(&mut engine);
    let unpaused = values(&mut engine, "FeedUnpaused", &["circuit", "side", "waiting"]);
    assert_eq!(unpaused, [[id, NEXT, 2]]);
}

#[test]
fn a_source_goes_on_when_its_channel_is_gone() {
    let (mut engine, id) = engine();
    engine.set_writable(0, id, Side::Next, false).unwrap();
    for _ in 0..8 {
        pass(&mut engine, id, Side::Back);
    }
    recorded(&mut engine);
    engine.set_circuit_flags(id, CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0)).unwrap();
    let unpaused = values(&mut engine, "FeedUnpaused", &["circuit", "side", "waiting"]);
    assert_eq!(unpaused, [[id.0.into(), NEXT, 0]]);
}

#[test]
fn a_channel_that_is_full_and_one_that_is_not() {
    let (mut engine, id) = engine();
    let mut seen = Vec::new();
    for (side, writable) in
        [(Side::Back, true), (Side::Back, false), (Side::Back, false), (Side::Next, false), (Side::Back, true)]
    {
        engine.set_writable(0, id, side, writable).unwrap();
        seen.push(values(&mut engine, "WritableChanged", &["circuit", "side", "writable", "waiting"]));
        pass(&mut engine, id, Side::Next);
        pass(&mut engine, id, Side::Back);
    }
    let id = i128::from(id.0);
    let none = Vec::new;
    let expected = [none(), vec![vec![id, BACK, 0, 0]], none(), vec![vec![id, NEXT, 0, 0]], vec![vec![id, BACK, 1, 3]]];
    assert_eq!(seen, expected, "only what changes is one");
}

#[test]
fn a_message_of_the_relay_itself_waits_behind_cells() {
    let (mut engine, id) = engine();
    engine.set_writable(0, id, Side::Back, false).unwrap();
    pass(&mut engine, id, Side::Next);
    recorded(&mut engine);
    let own = Message { command: Command::EXTENDED2, ..CELL };
    let own = Message { body: b"x", ..own };
    assert_eq!(engine.send_message(1, Outlet::Circuit(id), &own).unwrap().kind, VerdictKind::Held);
    assert_eq!(values(&mut engine, "Waits", &["circuit", "side", "waiting"]), [[id.0.into(), BACK, 2]]);
}

#[test]
fn the_room_of_a_channel_that_circuits_share() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let ids = [1, 2].map(|tag| relay(&mut engine, tag));
    let channel = engine.open_channel(0).unwrap();
    for id in ids {
        engine.set_channel(0, id, Side::Next, channel).unwrap();
    }
    record(&mut engine);
    recorded(&mut engine);
    for (id, waiting) in [(ids[0], 1), (ids[1], 1), (ids[0], 2)] {
        assert_eq!(pass(&mut engine, id, Side::Back), VerdictKind::Held);
        assert_eq!(values(&mut engine, "Waits", &["circuit", "side", "waiting"]), [[id.0.into(), NEXT, waiting]]);
    }
    let fields = ["channel", "room", "waiting", "in_line"];
    let channel_id = i128::from(channel.0);
    engine.set_channel_room(1, channel, 2).unwrap();
    assert_eq!(values(&mut engine, "ChannelRoom", &fields), [[channel_id, 2, 3, 2]]);
    drain(&mut engine);
    assert_eq!(values(&mut engine, "ChannelRoom", &fields), [[channel_id, 0, 1, 2]], "used up");
    engine.set_channel_room(2, channel, u32::MAX).unwrap();
    drain(&mut engine);
    let events = values(&mut engine, "ChannelRoom", &fields);
    assert_eq!(events, [[channel_id, u32::MAX.into(), 1, 1]], "is not used up");
    // Cells that go at once use the room up, too.
    engine.set_channel_room(3, channel, 1).unwrap();
    recorded(&mut engine);
    assert_eq!(pass(&mut engine, ids[0], Side::Back), VerdictKind::Forward);
    assert_eq!(values(&mut engine, "ChannelRoom", &fields), [[channel_id, 0, 0, 0]]);
    assert_eq!(pass(&mut engine, ids[0], Side::Back), VerdictKind::Held);
    assert_eq!(values(&mut engine, "ChannelRoom", &fields), Vec::<Vec<_>>::new());
    engine.close_channel(channel).unwrap();
    assert_eq!(values(&mut engine, "ChannelRoom", &fields).len(), 1, "one that is closed takes none");
}
