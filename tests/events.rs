//! Events as a whole: every kind happens in some test, and none tells what must not be kept.

mod common;

use circflow::conflux::Role;
use circflow::engine::Engine;
use circflow::event::KINDS;
use circflow::wire::conflux::Ux;
use common::events::{record, recorded};
use common::{circuit, config, linked_set, terms};

/// A test that provokes a kind names it between quotes. It is checked here that there is one for each.
#[test]
fn every_kind_is_provoked_by_a_test() {
    let mut texts = String::new();
    for entry in std::fs::read_dir("tests").unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("events")) {
            texts += &std::fs::read_to_string(path).unwrap();
        }
    }
    let missing: Vec<&str> =
        KINDS.iter().map(|kind| kind.name).filter(|name| !texts.contains(&format!("\"{name}\""))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_same_calls_give_the_same_events() {
    let run = || {
        let (mut engine, set, _) = linked_set(2, Ux::NoOpinion, terms(None));
        record(&mut engine);
        engine.close_set(9, set).unwrap();
        common::drain(&mut engine);
        recorded(&mut engine)
    };
    assert!(!run().is_empty());
    assert_eq!(run(), run());
}

#[test]
fn a_clock_that_is_wrong_is_an_event() {
    let (mut engine, _, _) = linked_set(1, Ux::NoOpinion, terms(None));
    record(&mut engine);
    engine.tick(5);
    engine.tick(7_200_000_000_000);
    engine.tick(1);
    engine.set_clock(1_000_000).unwrap();
    let happened = recorded(&mut engine);
    let names: Vec<&str> = happened.iter().map(|event| event.name).collect();
    assert_eq!(names, ["ClockLeapt", "ClockWentBack", "ClockSet"]);
    assert_eq!(happened[0].get("by"), 7_200_000_000_000 - 5);
    assert_eq!(happened[1].get("by"), 7_200_000_000_000 - 1);
    assert_eq!((happened[2].get("before"), happened[2].get("now")), (7_200_000_000_000, 1_000_000));
}

#[test]
fn totals_are_what_the_events_say() {
    let mut engine = Engine::new(&config(1)).unwrap();
    record(&mut engine);
    let set = engine.open_set(0, terms(None)).unwrap();
    for tag in 0..2 {
        let leg = engine.open_circuit(0, circuit(Role::Client, tag)).unwrap();
        engine.adopt_leg(0, set, leg, Ux::NoOpinion, 0).unwrap();
    }
    engine.close_set(1, set).unwrap();
    let happened = recorded(&mut engine);
    let count = |name: &str| happened.iter().filter(|event| event.name == name).count() as u64;
    let totals = engine.totals();
    assert_eq!((totals.sets_opened_by_host, count("SetOpened")), (1, 1));
    assert_eq!((totals.legs_linked, count("LegLinked")), (2, 2));
    assert_eq!((totals.sets_usable, count("SetUsable")), (1, 1));
    assert_eq!((totals.sets_ended[0], count("SetEnded")), (1, 1));
}
