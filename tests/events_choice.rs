//! Events of messages that go: how each leg stood, the leg that was chosen, SWITCH, and what has to wait.

mod common;

use circflow::base::Id;
use circflow::conflux::{Report, Role, SetTerms};
use circflow::engine::{Engine, Outlet};
use circflow::message::Message;
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::events::{fields, id, names, record, recorded, recorded_of, Happened};
use common::machines::{self, upon};
use common::{circuit, config, drain, linked_set, load, message, padding_terms, report, send_short, terms, HOPS};

const MS: u64 = 1_000_000;

const LOOKED: [&str; 6] = ["set", "leg", "rtt", "cwnd", "in_flight", "state"];
const SENT: [&str; 4] = ["set", "leg", "number", "command"];

/// Two legs with windows of two cells, of which the first is faster.
fn two_legs() -> (Engine, Id, Vec<Id>) {
    let (mut engine, set, legs) = linked_set(2, Ux::HighThroughput, terms(None));
    engine.report(1, legs[0], &report(2, 0, 10 * MS)).unwrap();
    engine.report(1, legs[1], &report(2, 0, 50 * MS)).unwrap();
    (engine, set, legs)
}

/// The events of sending, without those of other classes.
fn sent(engine: &mut Engine) -> Vec<Happened> {
    let kinds = ["LegLooked", "Sent", "SwitchSent", "Refused", "MaySend", "HeldForSending"];
    let mut happened = recorded(engine);
    happened.retain(|event| kinds.contains(&event.name));
    happened
}

#[test]
fn a_choice_tells_how_each_leg_stood() {
    let (mut engine, set, legs) = two_legs();
    record(&mut engine);
    for now in 2..6 {
        send_short(&mut engine, now, set, Command::DATA, HOPS).unwrap();
    }
    send_short(&mut engine, 6, set, Command::DATA, HOPS).unwrap_err();
    let happened = sent(&mut engine);
    assert_eq!(
        names(&happened),
        [
            "LegLooked",
            "LegLooked",
            "Sent",
            "Sent", // the second is sent where the first was
            "LegLooked",
            "LegLooked",
            "SwitchSent",
            "Sent",
            "Sent",
            "LegLooked",
            "LegLooked",
            "Refused",
        ]
    );
    let of = |index: usize| &happened[index];
    let (set, first, second) = (id(set), id(legs[0]), id(legs[1]));
    let (fast, slow) = (i128::from(10 * MS), i128::from(50 * MS));
    let data = Command::DATA.0.into();
    assert_eq!(fields(of(0), LOOKED), [set, first, fast, 2, 0, 0]);
    assert_eq!(fields(of(1), LOOKED), [set, second, slow, 2, 0, 0]);
    assert_eq!(fields(of(2), SENT), [set, first, 1, data]);
    assert_eq!(fields(of(3), SENT), [set, first, 2, data]);
    assert_eq!(fields(of(4), LOOKED), [set, first, fast, 2, 2, 2], "its window is full");
    assert_eq!(fields(of(5), LOOKED), [set, second, slow, 2, 0, 0]);
    assert_eq!(fields(of(6), ["set", "leg", "delta"]), [set, second, 2]);
    assert_eq!(fields(of(7), SENT), [set, second, 3, data]);
    assert_eq!(fields(of(8), SENT), [set, second, 4, data]);
    assert_eq!(fields(of(11), ["set", "legs", "why"]), [set, 2, 1]);
    // A report makes room, and the host hears of it.
    engine.report(7, legs[0], &report(2, 1, 0)).unwrap();
    let happened = sent(&mut engine);
    assert_eq!(names(&happened), ["MaySend"]);
    assert_eq!(fields(&happened[0], ["set"]), [set]);
}

#[test]
fn every_lack_of_a_leg_has_a_word() {
    let (mut engine, set, legs) = linked_set(4, Ux::HighThroughput, terms(None));
    let building = engine.open_circuit(0, circuit(Role::Client, 9)).unwrap();
    engine.launch_legs(0, set, &[building]).unwrap();
    engine.report(1, legs[0], &report(5, 0, 0)).unwrap();
    engine.report(1, legs[1], &report(u64::MAX, u64::MAX, 1)).unwrap();
    engine.report(1, legs[2], &Report { blocked: true, ..report(5, 0, 1) }).unwrap();
    engine.report(1, legs[3], &report(5, 0, 1)).unwrap();
    block(&mut engine, 1, legs[3]);
    record(&mut engine);
    send_short(&mut engine, 2, set, Command::DATA, HOPS).unwrap();
    let rows: Vec<_> = sent(&mut engine).iter().take(5).map(|event| fields(event, LOOKED)).collect();
    let (set, most) = (id(set), i128::from(u32::MAX));
    assert_eq!(rows[0], [set, id(legs[0]), 0, 5, 0, 0], "never measured");
    assert_eq!(rows[1], [set, id(legs[1]), 1, most, most, 2]);
    assert_eq!(rows[2], [set, id(legs[2]), 1, 5, 0, 3]);
    assert_eq!(rows[3], [set, id(legs[3]), 1, 5, 0, 4]);
    assert_eq!(rows[4], [set, id(building), 0, 0, 0, 1]);
}

/// Padding blocks a leg for a minute.
fn block(engine: &mut Engine, now: u64, leg: Id) {
    let machine = upon(maybenot::event::Event::NormalSent, machines::block(0.0, 60e6, false, false));
    engine.install_padder(now, leg, &padding_terms(load(&[machine]), HOPS, 0)).unwrap();
    engine.sent(now, leg, Command::DROP, HOPS).unwrap();
    engine.tick(now);
    drain(engine);
}

#[test]
fn messages_that_wait_for_padding_are_held_refused_and_sent() {
    let (mut engine, set, legs) = linked_set(1, Ux::HighThroughput, SetTerms { held_sends_max: 2, ..terms(None) });
    engine.report(1, legs[0], &report(9, 0, MS)).unwrap();
    block(&mut engine, 1, legs[0]);
    record(&mut engine);
    let send = |engine: &mut Engine, now, command| send_short(engine, now, set, command, HOPS);
    assert_eq!(send(&mut engine, 2, Command::DATA), Ok(common::Verdict::Held { circuit: Id::NONE, number: 0 }));
    send(&mut engine, 3, Command::END).unwrap();
    send(&mut engine, 4, Command::DATA).unwrap_err();
    let happened = sent(&mut engine);
    assert_eq!(names(&happened), ["LegLooked", "HeldForSending", "HeldForSending", "Refused"]);
    let set_id = id(set);
    assert_eq!(happened[0].get("state"), 4);
    assert_eq!(fields(&happened[1], ["set", "waiting"]), [set_id, 1]);
    assert_eq!(fields(&happened[2], ["set", "waiting"]), [set_id, 2]);
    assert_eq!(fields(&happened[3], ["set", "legs", "why"]), [set_id, 1, 2]);
    engine.remove_padder(5, legs[0], HOPS, 0).unwrap();
    drain(&mut engine);
    let happened = sent(&mut engine);
    assert_eq!(names(&happened), ["LegLooked", "Sent", "LegLooked", "Sent", "MaySend"]);
    assert_eq!(fields(&happened[1], SENT), [set_id, id(legs[0]), 1, Command::DATA.0.into()]);
    assert_eq!(fields(&happened[3], SENT), [set_id, id(legs[0]), 2, Command::END.0.into()]);
}

/// Padding lets one held message past its block, on the leg of its own choice.
#[test]
fn a_message_that_replaces_padding_is_sent() {
    let (mut engine, set, legs) = two_legs();
    send_short(&mut engine, 1, set, Command::DATA, HOPS).unwrap();
    for &leg in &legs {
        let terms = padding_terms(load(&[machines::constant_rate(1000.0)]), HOPS, 0);
        engine.install_padder(2, leg, &terms).unwrap();
        engine.sent(2, leg, Command::DROP, HOPS).unwrap();
        engine.written(2, leg, 9).unwrap();
    }
    engine.tick(2);
    drain(&mut engine);
    record(&mut engine);
    send_short(&mut engine, 3, set, Command::DATA, HOPS).unwrap();
    engine.tick(5 * MS);
    drain(&mut engine);
    let happened = sent(&mut engine);
    assert_eq!(names(&happened), ["LegLooked", "LegLooked", "HeldForSending", "Sent"]);
    assert_eq!(fields(&happened[3], SENT), [id(set), id(legs[0]), 2, Command::DATA.0.into()]);
}

#[test]
fn without_memory_a_message_is_refused() {
    let mut config = config(1);
    config.held_bytes_max = 0;
    let mut engine = Engine::new(&config).unwrap();
    let set = engine.open_set(0, terms(None)).unwrap();
    let leg = engine.open_circuit(0, circuit(Role::Client, 1)).unwrap();
    engine.adopt_leg(0, set, leg, Ux::NoOpinion, 0).unwrap();
    engine.report(1, leg, &report(9, 0, MS)).unwrap();
    block(&mut engine, 1, leg);
    record(&mut engine);
    send_short(&mut engine, 2, set, Command::DATA, HOPS).unwrap_err();
    let happened = sent(&mut engine);
    assert_eq!(names(&happened), ["LegLooked", "Refused"]);
    assert_eq!(happened[1].get("why"), 3);
}

/// A host that only asks where to send counts the message when it has queued it.
#[test]
fn what_a_host_queues_is_sent_when_it_says_so() {
    let (mut engine, set, legs) = two_legs();
    record(&mut engine);
    let ask = |engine: &mut Engine| {
        let verdict = engine.send_message(2, Outlet::Choice(set), &message(Command::DATA, b"", None)).unwrap();
        (verdict.circuit, verdict.switch_delta)
    };
    assert_eq!(ask(&mut engine), (legs[0], 0));
    assert_eq!(names(&sent(&mut engine)), ["LegLooked", "LegLooked"]);
    engine.sent(2, legs[0], Command::DATA, HOPS).unwrap();
    engine.sent(2, legs[0], Command::DATA, HOPS).unwrap();
    assert_eq!(names(&sent(&mut engine)), ["Sent", "Sent"]);
    assert_eq!(ask(&mut engine), (legs[1], 2));
    engine.sent(3, legs[1], Command::CONFLUX_SWITCH, HOPS).unwrap();
    engine.sent(3, legs[1], Command::DATA, HOPS).unwrap();
    // A padding cell, and a message of the circuit itself, have no number.
    engine.sent(3, legs[1], Command::DROP, HOPS).unwrap();
    let happened = sent(&mut engine);
    assert_eq!(names(&happened), ["LegLooked", "LegLooked", "SwitchSent", "Sent"]);
    assert_eq!(fields(&happened[2], ["set", "leg", "delta"]), [id(set), id(legs[1]), 2]);
    assert_eq!(fields(&happened[3], SENT), [id(set), id(legs[1]), 3, Command::DATA.0.into()]);
    // What is refused was not sent.
    engine.sent(4, legs[0], Command::DATA, HOPS).unwrap_err();
    assert!(sent(&mut engine).is_empty());
}

/// The same calls with and without a record: the same verdicts, legs, numbers and room.
#[test]
fn recording_changes_no_choice() {
    let run = |seed: u64, is_recorded: bool| {
        let mut rng = common::Rng::new(seed);
        let ux = *rng.pick(&[Ux::NoOpinion, Ux::MinLatency, Ux::LowMemThroughput]);
        let (mut engine, set, legs) = linked_set(3, ux, terms(None));
        if is_recorded {
            record(&mut engine);
        }
        let mut said = Vec::new();
        for now in 0..500 {
            let leg = *rng.pick(&legs);
            let command = if rng.once_in(10) { Command::END } else { Command::DATA };
            let message: Message<'_> = message(command, b"", None);
            match rng.below(8) {
                0 => {
                    let report = report(rng.below(20), rng.below(10), rng.below(5) * MS);
                    said.push(format!("{:?}", engine.report(now, leg, &report)));
                }
                1 => {
                    let verdict = engine.send_message(now, Outlet::Choice(set), &message);
                    if let Ok(verdict) = verdict {
                        if verdict.switch_delta != 0 {
                            engine.sent(now, verdict.circuit, Command::CONFLUX_SWITCH, HOPS).unwrap();
                        }
                        engine.sent(now, verdict.circuit, command, HOPS).unwrap();
                    }
                    said.push(format!("{verdict:?}"));
                }
                2 => said.push(format!("{:?}", engine.peek(set))),
                _ => said.push(format!("{:?}", engine.send_message(now, Outlet::Set(set), &message))),
            }
            said.push(format!("{:?} {:?}", engine.room(set), drain(&mut engine)));
        }
        let mut numbers = 0;
        if is_recorded {
            let sent = recorded_of(&mut engine, "Sent");
            let all: Vec<i128> = sent.iter().map(|event| event.get("number")).collect();
            numbers = all.len();
            assert_eq!(all, (1..=numbers as i128).collect::<Vec<_>>());
        }
        let stats = engine.set_stats(set).unwrap();
        assert!(!is_recorded || stats.sent == numbers as u64);
        said.push(format!("{stats:?}"));
        said
    };
    for seed in 0..40 {
        assert_eq!(run(seed, false), run(seed, true), "{seed}");
    }
}
