//! `report`: the numbers of the page, that it needs nothing else, and that it stays small. What a browser makes of it is
//! looked at by trace/browser.

mod common;

use circflow::base::Id;
use circflow::event::Event;
use common::{one_of_each, out_of, run, run_with, small_set, Made, BEGIN, LEG_A, LEG_B, MS, SET};
use serde_json::{json, Value};

/// The page of a trace.
fn page_of(made: &Made, name: &str) -> String {
    out_of(&["report", &made.file(name)])
}

/// What the page draws.
fn data_of(page: &str) -> Value {
    let (_, behind) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(behind.split_once("</script>").unwrap().0).unwrap()
}

fn chart<'a>(section: &'a Value, title: &str) -> &'a Value {
    section["charts"].as_array().unwrap().iter().find(|chart| chart["title"] == title).unwrap()
}

/// The buckets of a line that have anything, by the ms of their beginning.
fn filled(section: &Value, line: &Value) -> Vec<(u64, u64)> {
    let (from, width) = (section["from"].as_u64().unwrap(), section["width"].as_u64().unwrap());
    let values = line.as_array().unwrap().iter().enumerate();
    let there = values.filter_map(|(at, value)| Some((at as u64, value.as_u64().filter(|value| *value > 0)?)));
    there.map(|(at, value)| ((from + at * width) / 1000, value)).collect()
}

#[test]
fn the_summary_has_the_figures_of_the_trace() {
    let data = data_of(&page_of(&small_set(), "report-small"));
    let tiles = data["tiles"].as_array().unwrap().iter();
    let tiles: Vec<_> =
        tiles.map(|tile| format!("{}: {}; {}", tile["name"], tile["value"], tile["note"]).replace('"', "")).collect();
    assert_eq!(
        tiles,
        [
            "Cells in: 7; 3.51 KiB on the wire",
            "Cells out: 4; 2.01 KiB on the wire",
            "SWITCHes: 2; 1 sent, 1 received",
            "Reorder depth: 2; messages at once; the longest waited 11.0 ms",
            "Slowest leg: 78.0 ms; mean round trip of leg 2 of set 1",
            "Sending blocked: 40.0 ms; 6.7 % of the life of set 1",
            "Faults: 0; 1 lost leg",
        ]
    );
    let sentences: Vec<_> = data["sentences"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(
        sentences,
        [
            "1 set with 2 legs, in 600 ms: 7 cells came in, 4 went out.",
            "Leg 1 carried 64 % (round trip 50.0 ms), leg 2 carried 36 % (round trip 78.0 ms).",
            "At most 2 messages waited for others to come first.",
            "Sending was blocked for 40.0 ms: 6.7 % of the life of set 1.",
            "0 faults; 1 lost leg: see the list of events.",
        ]
    );
    let legs = data["legs"]["rows"].as_array().unwrap().iter();
    let legs: Vec<Vec<&str>> =
        legs.map(|row| row.as_array().unwrap().iter().map(|cell| cell["text"].as_str().unwrap()).collect()).collect();
    let first =
        ["leg 1 of set 1", "0x2000001000001", "4 (57 %)", "3 (75 %)", "50.0 ms", "49.0 ms to 51.0 ms", "124", "4"];
    assert_eq!(legs[0], [&first[..], &["0", "0", "the host asked for it"]].concat(), "its end is that of its set");
    let second =
        ["leg 2 of set 1", "0x2000001000002", "3 (43 %)", "1 (25 %)", "78.0 ms", "78.0 ms to 78.0 ms", "124", ""];
    assert_eq!(legs[1], [&second[..], &["1", "1", "ERR_LEG_LOST"]].concat());
}

#[test]
fn the_charts_of_a_set_have_its_figures() {
    let data = data_of(&page_of(&small_set(), "report-charts"));
    let set = &data["sections"][0];
    assert_eq!((&set["title"], &set["from"], &set["width"]), (&json!("Set 1"), &json!(0), &json!(500)));
    let cells_in = chart(set, "Cells in");
    assert_eq!(filled(set, &cells_in["lines"][0]["values"]), [(400, 1), (420, 1), (421, 2)]);
    assert_eq!(filled(set, &cells_in["lines"][1]["values"]), [(410, 1), (412, 1), (430, 1)]);
    assert_eq!(cells_in["marks"][0]["buckets"], json!([[820, 1]]), "a SWITCH on leg 2 at 410 ms");
    let cells_out = chart(set, "Cells out");
    assert_eq!(filled(set, &cells_out["lines"][0]["values"]), [(100, 1), (200, 1), (300, 1)]);
    assert_eq!(cells_out["shades"][0]["spans"], json!([[300_000, 340_000, 100]]));
    let rtt = chart(set, "Round trip");
    let measured = [(50, 49_000), (100, 49_000), (200, 49_000), (210, 49_000), (340, 51_000)];
    assert_eq!(filled(set, &rtt["lines"][0]["values"]), measured);
    let windows = &chart(set, "Window and cells in flight")["lines"];
    assert_eq!((&windows[1]["name"], &windows[1]["how"]), (&json!("leg 1 in flight, largest"), &json!("max")));
    assert_eq!(filled(set, &windows[1]["values"]), [(200, 2), (340, 4)], "what was measured, and nothing between");
    let depth = filled(set, &chart(set, "Reorder depth")["lines"][0]["values"]);
    assert_eq!(depth.iter().map(|(_, depth)| *depth).max(), Some(2));
    assert!(
        depth.contains(&(411, 1))
            && depth.contains(&(412, 2))
            && depth.contains(&(433, 1))
            && !depth.contains(&(425, 0))
    );
    let memory = filled(set, &chart(set, "Memory held for order")["lines"][0]["values"]);
    assert_eq!(memory.iter().map(|(_, bytes)| *bytes).max(), Some(1200));
    let streams = chart(set, "Streams");
    let spans = json!([[100_000, 490_000, 0, 100], [450_000, 470_000, 1, 100], [480_000, 490_000, 2, 100]]);
    assert_eq!(streams["rows"][0]["spans"], spans);
}

#[test]
fn the_charts_of_padding_have_its_figures() {
    let (circuit, hop, slot, machine) = (LEG_A, 2, 0, 0);
    let padded = |what| Event::PaddingEvent { circuit, hop, slot, what, machine: u32::MAX };
    let made = Made::of(&[
        (0, Event::PadderAdded { circuit, hop, slot, machines: 1 }),
        (10, padded(1)),
        (20, padded(2)),
        (30, Event::PaddingSent { circuit, hop, slot, machine, bypass: 0, replace: 0, waited: 0 }),
        (30, Event::PaddingSent { circuit, hop, slot, machine, bypass: 0, replace: 0, waited: 0 }),
        (30, padded(5)),
        (40, Event::PaddingReceived { circuit, hop }),
        (50, Event::StateChanged { circuit, hop, slot, machine, from: 0, to: 7 }),
        (60, Event::BlockBegan { circuit, hop, slot, machine, turn: 0, bypass: 1, lasts: 9 * MS }),
        (69, Event::BlockEnded { circuit, hop, slot, lasted: 9 * MS }),
        (80, Event::StateChanged { circuit, hop, slot, machine, from: 7, to: u32::MAX }),
        (90, Event::PaddingRefused { circuit, hop, slot, machine, what: 1, why: 1 }),
    ]);
    let data = data_of(&page_of(&made, "report-padding"));
    let section = &data["sections"][0];
    assert_eq!(section["title"], "Circuit 0x2000001000001");
    let out = chart(section, "Cells out with padding, hop 2");
    let lines = out["lines"].as_array().unwrap().iter().map(|line| filled(section, &line["values"]));
    assert_eq!(lines.collect::<Vec<_>>(), [vec![(10, 1)], vec![(30, 2)], vec![(30, 1)]]);
    assert_eq!(out["shades"][0]["spans"], json!([[60_000, 69_000, 100]]));
    assert_eq!(out["marks"][0]["total"], 1);
    let lines = chart(section, "Cells in with padding, hop 2")["lines"].as_array().unwrap().iter();
    assert_eq!(lines.map(|line| filled(section, &line["values"])).collect::<Vec<_>>(), [[(20, 1)], [(40, 1)]]);
    let states = chart(section, "Machine states, hop 2");
    assert_eq!(
        states["states"].as_array().unwrap().iter().map(|state| &state["name"]).collect::<Vec<_>>(),
        ["state 0", "state 7", "ended"]
    );
    assert_eq!(
        states["rows"][0]["spans"],
        json!([[0, 50_000, 0, 100], [50_000, 80_000, 1, 100], [80_000, 90_000, 2, 100]])
    );
    let row: Vec<_> =
        data["padders"]["rows"][0].as_array().unwrap().iter().map(|cell| cell["text"].as_str().unwrap()).collect();
    let name = "hop 2 of circuit 0x2000001000001";
    assert_eq!(row, [name, "1", "2 (67 %)", "1", "1 (50 %)", "0", "1", "1", "9.00 ms", "2"]);
}

#[test]
fn every_kind_of_event_is_taken_and_the_bad_ones_are_told() {
    let data = data_of(&page_of(&one_of_each(), "report-kinds"));
    let notables = data["notables"].as_array().unwrap();
    let bad: Vec<&str> =
        notables.iter().filter(|one| one["is_bad"] == true).map(|one| one["text"].as_str().unwrap()).collect();
    for words in ["cap on memory was reached", "was closed to free memory", "broke the protocol", "clock went back"] {
        assert!(bad.iter().any(|text| text.contains(words)), "{words}: {bad:#?}");
    }
    let notes: Vec<&str> =
        notables.iter().filter(|one| one["is_note"] == true).map(|one| one["text"].as_str().unwrap()).collect();
    assert!(notes.len() == 1 && notes[0].starts_with("Recorded at a relay"), "to be known, and no fault: {notes:?}");
    assert!(!bad.contains(&notes[0]));
}

#[test]
fn the_page_asks_for_nothing_and_says_no_markup_of_others() {
    let name = "report-<img src=x onerror=alert(1)>&'";
    let page = page_of(&small_set(), name);
    assert!(!page.contains("<img"), "the file's name is text");
    assert_eq!(data_of(&page)["file"], name);
    assert!(page.contains(
        "content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\""
    ));
    for asks in
        ["src=", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket", "import(", "sendBeacon", "href=\"http"]
    {
        let ours = page.replace("report-&lt;img src=x", "").replace("report-\\u003cimg src=x", "");
        assert!(!ours.contains(asks), "the page says {asks}");
    }
    assert!(page.contains("Leon Sorokin") && page.contains("Permission is hereby granted"), "the licence goes with it");
    assert!(!page.contains(env!("CARGO_TARGET_TMPDIR")), "nobody has to know where the trace was");
}

#[test]
fn the_same_trace_makes_the_same_page() {
    assert!(page_of(&small_set(), "report-same") == page_of(&small_set(), "report-same"));
}

/// A set with so many legs, which has something in every bucket.
fn busy(made: &mut Made, set: u64, legs: u64, rounds: u64) {
    let (id, leg) = (Id(SET.0 + set), |leg: u64| Id(LEG_B.0 + 100 * set + leg));
    for at in 0..rounds {
        let time = BEGIN + at * MS;
        for at_leg in 0..legs {
            let (leg, odd) = (leg(at_leg), at * 7919 + at_leg * 104_729 + set);
            for rtt in [odd % 900_001, odd % 700_001] {
                let (rtt, cwnd) = ((100_000 + rtt) * 1000, 1000 + (odd % 9000) as u32);
                let state = u8::from(odd % 3 == 0) * 2;
                made.event(
                    7,
                    time,
                    &Event::LegLooked { set: id, leg, rtt, cwnd, in_flight: cwnd - (odd % 999) as u32, state },
                );
            }
            made.event(7, time, &Event::Sent { set: id, leg, number: at * legs + at_leg, command: 2 });
            made.event(7, time, &Event::InOrder { set: id, leg, number: at * legs + at_leg, command: 2 });
        }
    }
}

#[test]
fn the_largest_sets_are_drawn_and_the_others_listed() {
    let mut made = Made::default();
    made.piece(7, 0);
    for set in 0..14 {
        busy(&mut made, set, 2, if set == 3 { 1 } else { 20 + set });
    }
    let data = data_of(&page_of(&made, "report-many"));
    assert_eq!(data["sections"].as_array().unwrap().len(), 12);
    assert_eq!(data["others"]["rows"].as_array().unwrap().len(), 2);
    assert_eq!(data["others"]["rows"][1][0]["text"], "set 4", "the smallest comes last");
    assert_eq!(data["legs"]["rows"].as_array().unwrap().len(), 28, "the table has all of them");
}

#[test]
fn a_page_at_its_caps_stays_below_five_megabytes() {
    let mut made = Made::default();
    made.piece(7, 0);
    (0..12).for_each(|set| busy(&mut made, set, 9, 2000));
    let page = page_of(&made, "report-caps");
    let data = data_of(&page);
    let section = &data["sections"][0];
    assert!(section["facts"].as_array().unwrap().contains(&json!("the first 8 legs are drawn")));
    assert_eq!(chart(section, "Cells in")["lines"].as_array().unwrap().len(), 8);
    assert!(section["count"].as_u64().unwrap() > 300, "{} buckets", section["count"]);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}

#[test]
fn what_is_missing_is_said_on_the_page() {
    let mut made = small_set();
    made.piece(7, 12);
    made.bytes.truncate(made.bytes.len() - 8);
    let ran = run(&["report", &made.file("report-cut")]);
    assert!(ran.is_ok && ran.err.contains("cut"), "{}", ran.err);
    assert!(data_of(&ran.out)["warnings"][0].as_str().unwrap().contains("cut"));
    let mut made = Made::default();
    made.piece(7, 12);
    let data = data_of(&run(&["report", &made.file("report-empty")]).out);
    assert_eq!(
        data["warnings"],
        json!(["12 events were overwritten before they were read", "the trace has no events"])
    );
}

#[test]
fn a_trace_that_cannot_be_read_leaves_no_page() {
    let page = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-none.html");
    let page = page.to_str().unwrap();
    let _ = std::fs::remove_file(page);
    let foreign = Made { bytes: b"PNG and so on, for some bytes".to_vec() }.file("report-foreign");
    for file in [foreign.as_str(), "/nowhere/trace"] {
        let ran = run(&["report", file, "-o", page]);
        assert!(!ran.is_ok && !ran.err.is_empty(), "{file}");
    }
    let ran = run_with(&["report", "-", "-o", page], &small_set().bytes);
    assert!(!ran.is_ok && ran.err.contains("twice"), "{}", ran.err);
    assert!(!std::path::Path::new(page).exists());
}

#[test]
fn padders_at_one_hop_are_told_apart() {
    let (circuit, hop) = (LEG_A, 2);
    let told = |slot, what| Event::PaddingEvent { circuit, hop, slot, what, machine: u32::MAX };
    let made = Made::of(&[
        (0, Event::PaddingNegotiated { circuit, hop, number: 1, step: 3 }),
        (1, Event::PadderAdded { circuit, hop, slot: 1, machines: 1 }),
        (2, Event::PadderAdded { circuit, hop, slot: 2, machines: 1 }),
        (10, told(1, 1)),
        (10, told(2, 1)),
        (20, Event::PaddingReceived { circuit, hop }),
    ]);
    let data = data_of(&page_of(&made, "report-slots"));
    let rows = data["padders"]["rows"].as_array().unwrap().iter();
    let rows: Vec<Vec<&str>> = rows.map(|row| [0, 1, 4].map(|at| row[at]["text"].as_str().unwrap()).to_vec()).collect();
    let names = ["hop 2, slot 1 of circuit 0x2000001000001", "hop 2, slot 2 of circuit 0x2000001000001"];
    assert_eq!(rows, [vec![names[0], "1", "1 (100 %)"], vec![names[1], "1", "0"]]);
}

#[test]
fn relays_warn_once() {
    let made =
        Made::of(&[(0, Event::RecordedAtRelay {}), (1, Event::RecordedAtRelay {}), (2, Event::ClockLeapt { by: MS })]);
    let data = data_of(&page_of(&made, "report-relays"));
    assert_eq!(data["notables"].as_array().unwrap().len(), 2);
    assert!(data["notables"][0]["text"].as_str().unwrap().starts_with("Recorded at a relay"));
}

/// A trace of sets: the engine, the set, when it was opened, when it was usable, when it ended, and whether by a peer.
fn lives(sets: &[(u32, u64, [u64; 3], u8)]) -> Made {
    let mut made = Made::default();
    for (engine, set, [opened, usable, ended], by_peer) in sets {
        let set = Id(*set);
        made.piece(*engine, 0);
        made.event(*engine, BEGIN + opened * MS, &Event::SetOpened { set, by_peer: *by_peer });
        made.event(*engine, BEGIN + usable * MS, &Event::SetUsable { set });
        made.event(*engine, BEGIN + ended * MS, &Event::SetEnded { set, cause: 0 });
    }
    made
}

fn titles_of(made: &Made, name: &str) -> Vec<String> {
    let data = data_of(&page_of(made, name));
    data["sections"].as_array().unwrap().iter().map(|section| section["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_two_ends_of_one_tunnel_are_named() {
    let first = [(11, 1, [0, 40, 900], 0), (12, 2, [20, 20, 901], 1)];
    let second = [(21, 1, [1000, 1040, 3000], 0), (22, 2, [1020, 1020, 2990], 1)];
    let both = lives(&[first, second].concat());
    let named = [
        "Set 1 of engine 11, client end",
        "Set 2 of engine 12, exit end",
        "Set 3 of engine 21, client end",
        "Set 4 of engine 22, exit end",
    ];
    assert_eq!(titles_of(&both, "report-ends"), named);
    let data = data_of(&page_of(&both, "report-ends-facts"));
    for (section, other) in [(0, "the other end is set 2"), (3, "the other end is set 3")] {
        assert!(data["sections"][section]["facts"].as_array().unwrap().contains(&json!(other)), "{other}");
    }
}

#[test]
fn ends_that_nobody_can_tell_apart_are_not_named() {
    let (client, exit) = ((11, 1, [0, 40, 900], 0), (12, 2, [20, 20, 900], 1));
    let unnamed = |sets: &[_], name| {
        let titles = titles_of(&lives(sets), name);
        assert!(titles.len() == sets.len() && titles.iter().all(|title| title.len() == 5), "{name}: {titles:?}");
    };
    unnamed(&[client, exit, (12, 3, [30, 30, 900], 1)], "report-two-accepted");
    unnamed(&[client, exit, (13, 3, [10, 60, 900], 0)], "report-two-linking");
    unnamed(&[client, (11, 2, [20, 20, 900], 1)], "report-one-engine");
    unnamed(&[client, (12, 2, [41, 41, 900], 1)], "report-late");
    unnamed(&[client, (12, 2, [20, 20, 2901], 1)], "report-other-end");
    unnamed(&[client, (12, 2, [20, 20, 900], 0)], "report-both-opened");
}

#[test]
fn the_page_says_what_its_maker_says() {
    let file = small_set().file("report-title");
    let page = out_of(&["report", &file, "--title", "two legs <b>7.4 s</b>"]);
    assert_eq!(data_of(&page)["title"], "two legs <b>7.4 s</b>");
    assert!(!page.contains("<b>"), "it is text");
    assert_eq!(data_of(&out_of(&["report", &file]))["title"], "");
}
