//! `stats`: figures of traces that are small enough to be counted by hand.

mod common;

use circflow::base::Id;
use circflow::event::{Event, KINDS};
use common::*;
use serde_json::{json, Value};

fn stats(made: &Made, name: &str) -> Value {
    serde_json::from_str(&out_of(&["stats", "--json", &made.file(name)])).unwrap()
}

/// A part of it, with the members that are asked for.
fn part(told: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| (name.to_string(), told[name].clone())).collect::<serde_json::Map<_, _>>().into()
}

/// A spread of durations in ms.
fn spread(count: u64, min: u64, median: u64, p95: u64, max: u64, sum: u64) -> Value {
    let [min, median, p95, max, sum] = [min, median, p95, max, sum].map(|ms| ms * MS);
    let mean = sum as f64 / count as f64;
    json!({ "count": count, "min": min, "median": median, "p95": p95, "max": max, "mean": mean, "sum": sum })
}

#[test]
fn a_set_is_counted_exactly() {
    let told = stats(&small_set(), "stats_set");
    assert_eq!(told["sets"].as_array().unwrap().len(), 1);
    let set = &told["sets"][0];
    let expected = json!({
        "engine": 7, "set": "0x1000001000001", "by_peer": false,
        "opened": BEGIN, "usable": BEGIN + 50 * MS, "ended": BEGIN + 600 * MS, "ended_cause": 0, "legs_wanted": 0,
        "in_order": 4, "held": 3, "released": 3, "sent": 4, "switches_sent": 1, "switches_received": 1,
        "depth_peak": 2, "refused": 2, "refused_by": { "no-leg-has-room": 2 }, "held_for_sending": 0,
        "streams_opened": 1, "streams_ended": 1, "xoff_sent": 1, "xoff_received": 1, "xon_sent": 0, "xon_received": 1,
    });
    let names: Vec<&str> = expected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(part(set, &names), expected);
    assert_eq!(
        set["depth"],
        json!({ "count": 3, "min": 1, "median": 1, "p95": 2, "max": 2, "mean": 4.0 / 3.0, "sum": 4 })
    );
    assert_eq!(set["depth_counts"], json!([2, 1]));
    let holds = json!({ "count": 2, "total_ns": 16 * MS, "is_open": false, "lengths_ns": spread(2, 4, 4, 12, 12, 16) });
    assert_eq!(set["holds"], holds);
    assert_eq!(set["waits_ns"], spread(3, 4, 10, 11, 11, 25), "each message, from its coming to its turn");
    let blocked =
        json!({ "count": 1, "total_ns": 40 * MS, "is_open": false, "lengths_ns": spread(1, 40, 40, 40, 40, 40) });
    assert_eq!(set["blocked"], blocked);
}

#[test]
fn legs_are_counted_exactly() {
    let told = stats(&small_set(), "stats_legs");
    let legs = told["sets"][0]["legs"].as_array().unwrap();
    let common = ["leg", "linked", "link_rtt_ns", "lost", "lost_cause", "sent", "sent_per_second", "in_order", "held"];
    let expected = json!({
        "leg": "0x2000001000001", "linked": BEGIN + 50 * MS, "link_rtt_ns": 49 * MS, "lost": null, "lost_cause": null,
        "sent": 3, "sent_per_second": 10.0, "in_order": 4, "held": 0,
    });
    assert_eq!(part(&legs[0], &common), expected);
    let expected = json!({
        "leg": "0x2000001000002", "linked": BEGIN + 80 * MS, "link_rtt_ns": 78 * MS, "lost": BEGIN + 500 * MS,
        "lost_cause": -306, "sent": 1, "sent_per_second": null, "in_order": 0, "held": 3,
    });
    assert_eq!(part(&legs[1], &common), expected);
    let windows = ["switches_to", "switches_received", "window_full", "sendmes_sent", "sendmes_received"];
    let numbers = |leg: &Value| windows.map(|name| leg[name].as_u64());
    assert_eq!(numbers(&legs[0]), [0, 0, 1, 1, 2].map(Some));
    assert_eq!(numbers(&legs[1]), [1, 1, 0, 0, 0].map(Some));
    assert_eq!(legs[0]["in_flight"]["max"], 4);
    assert_eq!(legs[0]["rtt_ns"], spread(2, 49, 49, 51, 51, 100), "of SENDMEs");
    assert_eq!(legs[1]["rtt_ns"], spread(2, 78, 78, 78, 78, 156), "of the looks at it, as there is nothing else");
    assert_eq!(legs[0]["cwnd"]["min"], 120);
    assert_eq!(legs[1]["cwnd"]["max"], 124, "of the looks");
    assert_eq!(legs[0]["in_flight"]["count"], 4, "two SENDMEs and two looks");
    let circuit = &told["circuits"][0];
    assert_eq!(circuit["circuit"], "0x2000001000001");
    assert_eq!(circuit["slow_start_ended"], BEGIN + 340 * MS);
}

#[test]
fn the_file_is_described() {
    let mut made = small_set();
    made.piece(9, 5).event(9, BEGIN - 100 * MS, &Event::SetUsable { set: Id(3) });
    let ran = run(&["stats", "--json", &made.file("stats_file")]);
    assert!(ran.is_ok && ran.err.contains("5 events were overwritten"));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let file = &told["file"];
    assert_eq!((&file["events"], &file["pieces"], &file["overwritten"]), (&json!(40), &json!(2), &json!(5)));
    assert_eq!(file["bytes"], made.bytes.len());
    assert_eq!((&file["earliest"], &file["latest"]), (&json!(BEGIN - 100 * MS), &json!(BEGIN + 600 * MS)));
    let engines = json!([
        { "engine": 7, "events": 39, "earliest": BEGIN, "latest": BEGIN + 600 * MS },
        { "engine": 9, "events": 1, "earliest": BEGIN - 100 * MS, "latest": BEGIN - 100 * MS },
    ]);
    assert_eq!(file["engines"], engines);
    let kinds = file["kinds"].as_array().unwrap();
    let of_kind = |name: &str| kinds.iter().find(|kind| kind["kind"] == name).map(|kind| kind["events"].clone());
    assert_eq!(of_kind("SetUsable"), Some(json!(2)));
    assert_eq!(of_kind("Sent"), Some(json!(4)));
    assert_eq!(of_kind("Victim"), None);
}

#[test]
fn padding_is_counted_exactly() {
    let (circuit, hop, slot) = (LEG_A, 2, 1);
    let heard = |what| Event::PaddingEvent { circuit, hop, slot, what, machine: u32::MAX };
    let sent = |machine, bypass| Event::PaddingSent { circuit, hop, slot, machine, bypass, replace: 0, waited: 0 };
    let mut events = vec![
        (1, Event::PadderAdded { circuit, hop, slot, machines: 2 }),
        (1, Event::PaddingNegotiated { circuit, hop, number: 3, step: 1 }),
        (1, Event::PaddingNegotiated { circuit, hop, number: 3, step: 3 }),
        (2, Event::StateChanged { circuit, hop, slot, machine: 0, from: 0, to: 1 }),
        (2, Event::TimerSet { circuit, hop, slot, machine: 0, timer: 1, after: MS }),
        (4, Event::TimerFired { circuit, hop, slot, machine: 0, timer: 1, late: MS }),
        (4, sent(0, 0)),
        (5, sent(1, 1)),
        (10, Event::BlockBegan { circuit, hop, slot, machine: 1, turn: 0, bypass: 0, lasts: 20 * MS }),
        (20, Event::BlockBegan { circuit, hop, slot, machine: 1, turn: 1, bypass: 0, lasts: 30 * MS }),
        (50, Event::BlockEnded { circuit, hop, slot, lasted: 40 * MS }),
        (51, Event::PaddingReplaced { circuit, hop, slot, machine: 0, by: 1 }),
        (52, Event::PaddingReplaced { circuit, hop, slot, machine: 0, by: 2 }),
        (53, Event::PaddingRefused { circuit, hop, slot, machine: 0, what: 1, why: 1 }),
        (54, Event::PaddingRefused { circuit, hop, slot, machine: 0, what: 1, why: 1 }),
        (55, Event::PaddingRefused { circuit, hop, slot, machine: 0, what: 1, why: 5 }),
        (60, Event::PaddingReceived { circuit, hop }),
        (90, Event::BlockBegan { circuit, hop, slot, machine: 1, turn: 0, bypass: 1, lasts: 20 * MS }),
        (100, Event::PaddingReceived { circuit, hop: 1 }),
    ];
    events.extend((0..8).map(|at| (60 + at, heard(1))));
    events.extend((0..4).map(|at| (70 + at, heard(2))));
    let told = stats(&Made::of(&events), "stats_padding");
    assert_eq!(told["padding"].as_array().unwrap().len(), 2, "a row for each hop");
    let expected = json!({
        "engine": 7, "circuit": "0x2000001000001", "hop": 2, "slot": 1, "machines": 2, "negotiated": "agreed",
        "added": BEGIN + MS, "removed": null, "normal_sent": 8, "normal_received": 4,
        "padding_sent": 2, "padding_received": 1, "overhead_sent_percent": 25.0, "overhead_received_percent": 25.0,
        "padding_sent_by_machine": { "0": 1, "1": 1 }, "bypassing": 1,
        "replaced_by_unwritten": 1, "replaced_by_blocked": 1,
        "refused": { "a-cap": 1, "the-operator's-budget": 2 },
        "states_changed": 1, "timers_set": 1, "timers_fired": 1, "blocks_renewed": 1,
        "blocked": { "count": 2, "total_ns": 50 * MS, "is_open": true, "lengths_ns": spread(1, 40, 40, 40, 40, 40) },
        "late_ns": spread(1, 1, 1, 1, 1, 1),
    });
    assert_eq!(told["padding"][0], expected);
    let text = out_of(&["stats", &Made::of(&events).file("stats_padding_text")]);
    assert!(text.contains("25.0 %") && text.contains("hop 2: 2 refused by the-operator's-budget"), "{text}");
}

#[test]
fn edges_memory_hub_faults_and_clock_are_counted() {
    let circuit = LEG_A;
    let told = stats(
        &Made::of(&[
            (0, Event::WritableChanged { circuit, side: 0, writable: 0, waiting: 0 }),
            (1, Event::Waits { circuit, side: 0, waiting: 1 }),
            (2, Event::Waits { circuit, side: 0, waiting: 2 }),
            (3, Event::FeedPaused { circuit, side: 0, waiting: 2 }),
            (7, Event::WritableChanged { circuit, side: 0, writable: 1, waiting: 2 }),
            (8, Event::FeedUnpaused { circuit, side: 0, waiting: 1 }),
            (9, Event::StreamOpened { owner: circuit, stream: STREAM, by_peer: 0 }),
            (9, Event::XonSent { stream: STREAM, rate: 0 }),
            (9, Event::XonSent { stream: Id(0xdead), rate: 0 }),
            (10, Event::CapReached { cap: 2, wanted: 600, held: 10_000, who: circuit }),
            (10, Event::CapReached { cap: 2, wanted: 600, held: 9_000, who: circuit }),
            (10, Event::Victim { who: circuit, held: 5_000, age: 3 * MS }),
            (11, Event::Trimmed { bytes: 4_096 }),
            (12, Event::CrossedOut { leg: LEG_B, command: 2 }),
            (12, Event::CrossedIn { leg: LEG_B, command: 2 }),
            (12, Event::CrossedIn { leg: LEG_B, command: 4 }),
            (13, Event::Fault { who: SET, status: -2 }),
            (13, Event::Fault { who: SET, status: -2 }),
            (13, Event::Fault { who: SET, status: -9_999 }),
            (14, Event::ClockWentBack { by: 5 }),
            (15, Event::RecordedAtRelay {}),
        ]),
        "stats_rest",
    );
    let edge = &told["circuits"][0]["edges"][0];
    assert_eq!((&edge["side"], &edge["waited"], &edge["waiting_peak"]), (&json!("back"), &json!(2), &json!(2)));
    assert_eq!(edge["paused"]["total_ns"], 5 * MS);
    assert_eq!(edge["channel_full"]["total_ns"], 7 * MS);
    assert_eq!(told["circuits"][0]["edges"].as_array().unwrap().len(), 1);
    assert_eq!(told["circuits"][0]["streams"]["xon_sent"], 1);
    assert_eq!(told["stream_events_without_owner"], 1);
    let memory = json!({
        "caps_reached": { "the-engine's": 2 }, "held_peak": 10_000, "victims": 1, "victims_bytes": 5_000,
        "victims_oldest_ns": 3 * MS, "trims": 1, "trimmed_bytes": 4_096,
    });
    assert_eq!(told["memory"], memory);
    let hub = json!({
        "crossed_out": 1, "crossed_in": 2, "out_by_command": { "DATA": 1 },
        "in_by_command": { "CONNECTED": 1, "DATA": 1 },
    });
    assert_eq!(told["hub"], hub);
    let faults = json!([
        { "status": -2, "name": "ERR_INVALID", "count": 2 }, { "status": -9_999, "name": null, "count": 1 },
    ]);
    assert_eq!(told["faults"], faults);
    let host = json!({ "clock_set": 0, "clock_went_back": 1, "clock_leapt": 0, "recorded_at_relay": true });
    assert_eq!(told["host"], host);
}

/// What lasts to the end of the trace counts until there; what a set's end cuts, until then.
#[test]
fn holds_and_blocks_that_do_not_end_are_counted() {
    let set = SET;
    let held = Event::Held { set, leg: LEG_A, number: 2, missing: 1, held: 1, bytes: 600 };
    let told = stats(
        &Made::of(&[(0, held), (5, Event::Refused { set, legs: 1, why: 3 }), (20, Event::LegWanted { set })]),
        "open",
    );
    let set_told = &told["sets"][0];
    assert_eq!(set_told["holds"], json!({ "count": 1, "total_ns": 20 * MS, "is_open": true, "lengths_ns": null }));
    assert_eq!(set_told["blocked"], json!({ "count": 1, "total_ns": 15 * MS, "is_open": true, "lengths_ns": null }));
    let ended = Made::of(&[(0, held), (10, Event::SetEnded { set, cause: -300 }), (50, Event::Trimmed { bytes: 1 })]);
    let told = stats(&ended, "ended");
    assert_eq!(told["sets"][0]["holds"]["total_ns"], 10 * MS);
    assert_eq!(told["sets"][0]["holds"]["is_open"], false);
    // What a set holds at its end may have its turn later.
    let later = Made::of(&[
        (0, held),
        (10, Event::SetEnded { set, cause: -300 }),
        (12, Event::Released { set, number: 2, held: 0 }),
        (50, Event::Trimmed { bytes: 1 }),
    ]);
    assert_eq!(stats(&later, "later")["sets"][0]["holds"]["total_ns"], 12 * MS);
}

#[test]
fn every_kind_is_counted_somewhere() {
    let made = one_of_each();
    let told = stats(&made, "stats_each");
    assert_eq!(told["file"]["kinds"].as_array().unwrap().len(), KINDS.len());
    assert!(!out_of(&["stats", &made.file("stats_each_text")]).is_empty());
}

#[test]
fn filters_narrow_the_figures() {
    let file = small_set().file("stats_filter");
    let told: Value = serde_json::from_str(&out_of(&["stats", "--json", "--from", "400ms", &file])).unwrap();
    assert_eq!((&told["file"]["events"], &told["file"]["left_out"]), (&json!(18), &json!(21)));
    assert_eq!((&told["sets"][0]["sent"], &told["sets"][0]["in_order"]), (&json!(0), &json!(4)));
    let text = out_of(&["stats", "--kind", "Sent", &file]);
    assert!(text.contains("35 events left out"), "{text}");
    let nothing = out_of(&["stats", "--engine", "99", &file]);
    assert!(nothing.contains("0 events in 0ns"), "{nothing}");
}

#[test]
fn the_tables_have_the_figures() {
    let text = out_of(&["stats", &small_set().file("stats_text")]);
    for line in [
        "set 0x1000001000001 of engine 7",
        "  opened here: 0ns; usable: 50.000ms; ended: 600.000ms (by the host)",
        "  received: 4 in order, 3 held, 3 released; 1 SWITCH",
        "  reorder depth: peak 2, median 1, 95 % 2; 1: 2x 2-3: 1x",
        "  waits: a message was held for 10.000ms (median), 11.000ms (95 %), 11.000ms (longest)",
        "  refused 2 times (no-leg-has-room 2); blocked: 1, 40.000ms in all; median 40.000ms, 95 % 40.000ms, longest 40.000ms",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\n{text}");
    }
}

/// The page has its own way to count: what both tell has to be the same.
#[test]
fn the_largest_in_flight_is_that_of_the_page() {
    let (set, leg, hop, rtt) = (SET, LEG_A, 3, 50 * MS);
    let look = |in_flight| Event::LegLooked { set, leg, rtt, cwnd: 700, in_flight, state: 0 };
    let made = Made::of(&[
        (0, Event::SetOpened { set, by_peer: 1 }),
        (1, look(0)),
        (2, look(635)),
        (3, Event::SendmeReceived { circuit: leg, hop, cwnd: 701, in_flight: 604, rtt, slow_start: 0 }),
    ]);
    let told = stats(&made, "stats_in_flight");
    let of_leg = &told["sets"][0]["legs"][0];
    assert_eq!((&of_leg["in_flight"]["max"], &of_leg["cwnd"]["max"]), (&json!(635), &json!(701)));
    let page = out_of(&["report", &made.file("report_in_flight")]);
    assert!(page.contains(r#"{"text":"635"}"#) && page.contains("largest in flight"));
}

#[test]
fn a_leg_of_a_set_that_has_finished_is_not_lost() {
    let (finished, lost) = (-311, -306);
    let made = Made::of(&[
        (0, Event::SetOpened { set: SET, by_peer: 1 }),
        (5, Event::LegLost { set: SET, leg: LEG_A, cause: finished }),
        (7, Event::LegLost { set: SET, leg: LEG_B, cause: lost }),
    ]);
    let text = out_of(&["stats", &made.file("stats_finished")]);
    assert!(text.contains("5.000ms (finished)") && text.contains("7.000ms (ERR_LEG_LOST)"), "{text}");
    assert!(!text.contains("ERR_SET_FINISHED"), "{text}");
}
