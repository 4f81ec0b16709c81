//! Events of windows: what hosts report, and SENDMEs that come and go.

mod common;

use circflow::base::Id;
use circflow::conflux::{Report, Role};
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Outlet, StreamConfig, What};
use circflow::message::Message;
use circflow::reactor::Owner;
use circflow::wire::conflux::Ux;
use circflow::wire::sendme::{Digest, Sendme};
use circflow::wire::Command;
use common::events::{record, recorded, recorded_of};
use common::{circuit, config, drain, linked_set, report, terms, HOPS};

const MS: u64 = 1_000_000;
const INC: u64 = 31;

fn run(role: Role) -> CircuitConfig {
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
    CircuitConfig { flags, ..circuit(role, 8) }
}

fn data(hop: u8) -> Message<'static> {
    Message { command: Command::DATA, hop, stream_id: 7, body: b"x", token: None }
}

#[test]
fn a_report_of_the_host_is_an_event_with_its_figures() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(None));
    record(&mut engine);
    let odd = Report { slow_start: true, blocked: true, ..report(u64::MAX, 7, 0) };
    engine.report_all(5, [(legs[1], report(100, 31, 9 * MS)), (legs[0], odd)].into_iter()).unwrap();
    let news = [(legs[0], report(50, 0, MS))].into_iter();
    engine.decide(6, set, Command::DATA, HOPS, news).unwrap();
    let fields: Vec<_> = recorded_of(&mut engine, "Reported")
        .iter()
        .map(|event| {
            let of = ["circuit", "cwnd", "in_flight", "rtt", "slow_start", "blocked"].map(|name| event.get(name));
            (event.time, of)
        })
        .collect();
    let [first, second] = [legs[0], legs[1]].map(|leg| i128::from(leg.0));
    let expected = [
        (5, [second, 100, 31, 9_000_000, 0, 0]),
        (5, [first, u32::MAX.into(), 7, 0, 1, 1]),
        (6, [first, 50, 0, 1_000_000, 0, 0]),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_report_that_is_refused_is_none() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let alone = engine.open_circuit(0, circuit(Role::Client, 1)).unwrap();
    let run = engine.open_circuit(0, run(Role::Client)).unwrap();
    record(&mut engine);
    for id in [alone, run, Id(99)] {
        engine.report(1, id, &report(1, 0, 1)).unwrap_err();
    }
    assert_eq!(recorded(&mut engine), []);
}

/// A client sends as many DATA cells as one SENDME acknowledges, and more.
fn client_that_has_sent(owner_is_set: bool) -> (Engine, Id) {
    let mut engine = Engine::new(&config(1)).unwrap();
    let id = engine.open_circuit(0, run(Role::Client)).unwrap();
    let owner = if owner_is_set {
        let set = engine.open_set(0, terms(None)).unwrap();
        engine.adopt_leg(0, set, id, Ux::NoOpinion, 0).unwrap();
        Owner::Set(set)
    } else {
        Owner::Circuit(id)
    };
    let stream = engine.open_stream(0, owner, &StreamConfig { tag: 1, stream_id: 7, hop: HOPS, priority: 0 }).unwrap();
    let begin = Message { command: Command::BEGIN, ..data(HOPS) };
    engine.send_message(0, Outlet::Stream(stream), &begin).unwrap();
    record(&mut engine);
    for sent in 1..=INC + 3 {
        let verdict = engine.send_message(sent, Outlet::Stream(stream), &data(HOPS)).unwrap();
        assert_eq!(verdict.wants_digest, sent == INC);
        if verdict.wants_digest {
            engine.add_digest(id, HOPS, &[0xd1; 20]).unwrap();
        }
    }
    assert_eq!(recorded_of(&mut engine, "SendmeReceived"), []);
    (engine, id)
}

#[test]
fn a_sendme_that_comes_tells_of_the_window_after_it() {
    for owner_is_set in [false, true] {
        let (mut engine, id) = client_that_has_sent(owner_is_set);
        let now = 40 * MS;
        let mut body = [0; Sendme::LEN_MAX];
        let body = Sendme::V1 { digest: Digest::new(&[0xd1; 20]).unwrap() }.encode(&mut body).to_vec();
        let sendme = Message { command: Command::SENDME, hop: HOPS, stream_id: 0, body: &body, token: None };
        engine.receive(now, id, &sendme).unwrap();
        let events = recorded_of(&mut engine, "SendmeReceived");
        assert_eq!(events.len(), 1);
        let stats = engine.circuit_stats(id).unwrap();
        let of = ["circuit", "hop", "cwnd", "in_flight", "rtt", "slow_start"].map(|name| events[0].get(name));
        let window = [i128::from(stats.cwnd), stats.inflight.into(), stats.rtt.into(), stats.slow_start.into()];
        assert_eq!(of[..2], [id.0.into(), i128::from(HOPS)]);
        assert_eq!(of[2..], window);
        assert_eq!((events[0].time, stats.inflight), (now, 3));
        // Vegas counts in microseconds.
        assert_eq!(of[4], i128::from((now - INC) / 1000 * 1000));
        // A second one acknowledges nothing: the peer is at fault, and no window has moved.
        engine.receive(now, id, &sendme).unwrap_err();
        assert_eq!(recorded_of(&mut engine, "SendmeReceived"), []);
    }
}

#[test]
fn a_sendme_goes_out_when_the_host_takes_it() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let id = engine.open_circuit(0, run(Role::Exit)).unwrap();
    let begin = Message { command: Command::BEGIN, body: b"x:80\0", ..data(0) };
    engine.receive(1, id, &begin).unwrap();
    record(&mut engine);
    for now in 1..=INC * 2 {
        engine.receive_cell(now, id, &data(0), &[0xd2; 20]).unwrap();
    }
    assert_eq!(recorded_of(&mut engine, "SendmeSent"), [], "both wait in the queue");
    let given = drain(&mut engine);
    let is_sendme = |what: &What| matches!(what, What::Send { command: Command::SENDME, .. });
    assert_eq!(given.iter().filter(|(instruction, _)| is_sendme(&instruction.what)).count(), 2);
    let sent: Vec<_> =
        recorded_of(&mut engine, "SendmeSent").iter().map(|event| (event.get("circuit"), event.get("hop"))).collect();
    assert_eq!(sent, [(i128::from(id.0), 0); 2]);
    // One that its circuit takes along does not go out.
    for now in 100..100 + INC {
        engine.receive_cell(now, id, &data(0), &[0xd2; 20]).unwrap();
    }
    engine.close_circuit(200, id).unwrap();
    drain(&mut engine);
    assert_eq!(recorded_of(&mut engine, "SendmeSent"), []);
}
