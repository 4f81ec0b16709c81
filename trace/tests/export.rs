//! `export`: each form is read back by what reads it.

mod common;

use circflow::base::Id;
use circflow::event::{Event, KINDS};
use common::*;
use maybenot_simulator::network::Network;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::time::Duration;

fn export(form: &str, made: &Made, options: &[&str]) -> String {
    let file = made.file(&format!("export_{form}_{}", std::thread::current().name().unwrap_or_default()));
    out_of(&[&["export", "--to", form, file.as_str()][..], options].concat())
}

fn jsonl(made: &Made, options: &[&str]) -> Vec<Value> {
    export("jsonl", made, options).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_lines_have_every_field() {
    let all = jsonl(&small_set(), &[]);
    assert_eq!(all.len(), 39);
    let first = json!({
        "time": 0, "engine": 7, "kind": "SetOpened", "class": "Sets", "set": "0x1000001000001", "by_peer": false,
    });
    assert_eq!(all[0], first);
    let looked = json!({
        "time": 210 * MS, "engine": 7, "kind": "LegLooked", "class": "Choice", "set": "0x1000001000001",
        "leg": "0x2000001000001", "rtt": 49 * MS, "cwnd": 124, "in_flight": 0, "state": "window full",
    });
    assert_eq!(all[12], looked);
    assert_eq!(all[37]["cause"], -306);
    for (event, kind) in jsonl(&one_of_each(), &["--absolute"]).iter().zip(KINDS) {
        let names: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = kind.fields.iter().map(|field| field.name).chain(["time", "engine", "kind", "class"]);
        assert_eq!(names, expected.collect());
        assert_eq!(event["time"], BEGIN + u64::from(kind.number) * MS);
    }
}

#[test]
fn what_was_not_measured_is_no_number() {
    let made = Made::of(&[
        (0, Event::LegLinked { set: SET, leg: LEG_A, rtt: 0 }),
        (0, Event::XonSent { stream: STREAM, rate: 0 }),
        (0, Event::PaddingEvent { circuit: LEG_A, hop: 1, slot: 0, what: 1, machine: u32::MAX }),
        (0, Event::SetEnded { set: SET, cause: 0 }),
        (0, Event::StateChanged { circuit: LEG_A, hop: 1, slot: 0, machine: 0, from: 0, to: u32::MAX }),
    ]);
    let all = jsonl(&made, &[]);
    let values = [&all[0]["rtt"], &all[1]["rate"], &all[2]["machine"], &all[3]["cause"], &all[4]["machine"]];
    assert_eq!(values, [&Value::Null, &Value::Null, &Value::Null, &json!(0), &json!(0)]);
}

#[test]
fn the_table_has_the_same_columns_in_every_row() {
    let made = one_of_each();
    let text = export("csv", &made, &[]);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let head = &rows[0];
    assert_eq!(rows.len(), KINDS.len() + 1);
    assert_eq!(head[..4], ["time", "engine", "kind", "class"]);
    assert_eq!(head.iter().collect::<BTreeSet<_>>().len(), head.len(), "no column stands there twice");
    // Each row says what the line of JSON says.
    for (row, event) in rows[1..].iter().zip(jsonl(&made, &[])) {
        assert_eq!(row.len(), head.len());
        for (name, text) in head.iter().zip(row) {
            let expected = match &event[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(*text, expected, "{name} of {}", event["kind"]);
        }
    }
}

#[test]
fn the_table_of_one_kind_has_its_columns_only() {
    let text = export("csv", &small_set(), &["--kind", "Sent"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "time,engine,kind,class,set,leg,number,command");
    assert_eq!(lines[1], "100000000,7,Sent,Choice,0x1000001000001,0x2000001000001,1,1");
    assert_eq!(lines.len(), 5);
    let none = export("csv", &Made::of(&[(3, Event::RecordedAtRelay {})]), &["--kind", "recorded-at-relay"]);
    assert_eq!(none, "time,engine,kind,class\n0,7,RecordedAtRelay,Host\n");
}

#[test]
fn qlog_is_a_sequence_of_texts() {
    let text = export("qlog", &one_of_each(), &[]);
    assert!(text.starts_with('\u{1e}') && text.ends_with('\n'));
    let texts: Vec<&str> = text[1..].split('\u{1e}').collect();
    assert!(texts.iter().all(|text| text.ends_with('\n') && text.matches('\n').count() == 1));
    let all: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(all.len(), KINDS.len() + 1);
    let head = &all[0];
    assert_eq!(head["file_schema"], "urn:ietf:params:qlog:file:sequential");
    assert_eq!(head["serialization_format"], "application/qlog+json-seq");
    assert_eq!(head["trace"]["common_fields"]["time_format"], "relative_to_epoch");
    assert!(head["trace"]["event_schemas"].as_array().is_some_and(|schemas| !schemas.is_empty()));
    assert_eq!(all[1]["name"], "circflow:set_opened");
    for (event, kind) in all[1..].iter().zip(KINDS) {
        let name = event["name"].as_str().unwrap().strip_prefix("circflow:").unwrap();
        assert_eq!(name.replace('_', ""), kind.name.to_lowercase());
        assert_eq!(event["time"], json!(f64::from(kind.number - 1)), "in ms");
        assert_eq!(event["data"].as_object().unwrap().len(), kind.fields.len());
    }
    let linked = &all[3];
    assert_eq!(linked["group_id"], linked["data"]["set"]);
}

/// Each process and thread has its name before it is used, each span lasts for some time, and counters have numbers.
#[test]
fn chrome_json_has_tracks_counters_and_spans() {
    for made in [small_set(), one_of_each()] {
        let told: Value = serde_json::from_str(&export("chrome", &made, &[])).unwrap();
        let (mut processes, mut threads) = (BTreeSet::new(), BTreeSet::new());
        for event in told["traceEvents"].as_array().unwrap() {
            let (pid, tid) = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            match (event["ph"].as_str().unwrap(), event["name"].as_str().unwrap()) {
                ("M", "process_name") => assert!(processes.insert(pid)),
                ("M", "thread_name") => assert!(threads.insert((pid, tid))),
                ("C", _) => {
                    let values = event["args"].as_object().unwrap();
                    assert!(!values.is_empty() && values.values().all(Value::is_u64), "{event}");
                }
                ("X", _) => assert!(event["dur"].as_f64().unwrap() >= 0.0 && threads.contains(&(pid, tid))),
                ("i", _) => assert!(threads.contains(&(pid, tid)) && event["args"].is_object()),
                other => panic!("{other:?}"),
            }
            assert!(processes.contains(&pid), "{event}");
            assert!(event["ph"] == "M" || event["ts"].is_f64());
        }
    }
}

#[test]
fn chrome_json_has_the_numbers_of_the_trace() {
    let mut made = small_set();
    let (circuit, hop) = (Id(0x55), 1);
    let (slot, machine) = (0, 0);
    let block = Event::BlockBegan { circuit, hop, slot, machine, turn: 0, bypass: 0, lasts: 20 * MS };
    made.event(7, BEGIN + 610 * MS, &block);
    made.event(7, BEGIN + 630 * MS, &Event::BlockEnded { circuit, hop, slot, lasted: 20 * MS });
    made.event(7, BEGIN + 640 * MS, &Event::StateChanged { circuit, hop, slot, machine, from: 0, to: 4 });
    made.event(7, BEGIN + 650 * MS, &Event::SendmeSent { circuit, hop });
    let told: Value = serde_json::from_str(&export("chrome", &made, &[])).unwrap();
    let all = told["traceEvents"].as_array().unwrap();
    let spans: Vec<_> = all.iter().filter(|event| event["ph"] == "X").collect();
    let times: Vec<_> =
        spans.iter().map(|span| (span["name"].as_str(), span["ts"].as_f64(), span["dur"].as_f64())).collect();
    let expected = [
        ("blocked", 300_000.0, 40_000.0),
        ("held", 410_000.0, 12_000.0),
        ("held", 430_000.0, 4_000.0),
        ("circuit 0x55 hop 1 blocked by padding", 610_000.0, 20_000.0),
        ("state 4", 640_000.0, 10_000.0),
    ];
    assert_eq!(times, expected.map(|(name, begin, length)| (Some(name), Some(begin), Some(length))));
    let moments: Vec<_> =
        all.iter().filter(|event| event["ph"] == "i").filter_map(|event| event["name"].as_str()).collect();
    assert!(moments.contains(&"SWITCH sent, 2") && moments.contains(&"SWITCH received, 3"));
    let held: Vec<_> = all.iter().filter(|event| event["name"] == "held" && event["ph"] == "C").collect();
    let depths: Vec<_> = held.iter().map(|event| event["args"]["messages"].as_u64().unwrap()).collect();
    assert_eq!(depths, [1, 2, 1, 0, 1, 0]);
    let windows = all.iter().filter(|event| event["name"] == "leg 0x2000001000001 window");
    let windows: Vec<_> =
        windows.map(|event| (event["args"]["cwnd"].clone(), event["args"]["in_flight"].clone())).collect();
    assert_eq!(windows, [(124, 0), (124, 2), (124, 0), (120, 4)].map(|(cwnd, flight)| (json!(cwnd), json!(flight))));
}

/// What the simulator makes of a text, without a machine: when the client sends (`s`) and gets (`r`) a normal cell, in
/// ms behind the first.
fn simulated(text: &str) -> Vec<(u64, char)> {
    let network = Network::new(Duration::from_millis(1), None);
    let mut queue = maybenot_simulator::parse_trace(text, network);
    let trace = maybenot_simulator::sim(&[], &[], &mut queue, network.delay, 1000, true);
    let tunnel = trace.iter().filter(|event| event.client);
    let cells = tunnel.filter_map(|event| match format!("{:?}", event.event).as_str() {
        "TunnelSent" => Some((event.time, 's')),
        "TunnelRecv" => Some((event.time, 'r')),
        _ => None,
    });
    let cells: Vec<_> = cells.collect();
    let begin = cells.first().map(|(time, _)| *time);
    cells.iter().map(|(time, direction)| ((*time - begin.unwrap()).as_millis() as u64, *direction)).collect()
}

#[test]
fn the_simulator_reads_what_padders_were_told_of() {
    let heard = |hop, what| Event::PaddingEvent { circuit: LEG_A, hop, slot: 0, what, machine: u32::MAX };
    let made = Made::of(&[
        (3, heard(2, 1)),
        (3, heard(1, 1)),
        (3, Event::Sent { set: SET, leg: LEG_A, number: 1, command: 2 }),
        (4, heard(1, 3)),
        (5, heard(1, 5)),
        (10, heard(1, 2)),
        (20, heard(2, 2)),
        (25, heard(1, 1)),
        (26, Event::PaddingEvent { circuit: LEG_B, hop: 1, slot: 0, what: 1, machine: u32::MAX }),
    ]);
    let circuit = ["--circuit", "0x2000001000001"];
    let text = export("maybenot", &made, &circuit);
    assert_eq!(text, "0,s\n7000000,r\n22000000,s\n", "of the first hop, from the first cell on");
    assert_eq!(simulated(&text), [(0, 's'), (7, 'r'), (22, 's')]);
    assert_eq!(export("maybenot", &made, &[&circuit[..], &["--hop", "2"]].concat()), "0,s\n17000000,r\n");
    assert_eq!(export("maybenot", &made, &["--circuit", "0x2000001000002"]), "0,s\n");
    let file = made.file("maybenot_wrong");
    for (options, expected) in [
        (&[][..], "more than one circuit is in the trace: say --circuit ID"),
        (&["--circuit", "0x99"], "no cell of that circuit is in the trace"),
        (&["--circuit", "0x2000001000001", "--hop", "9"], "no padder of hop 9 was told of a cell"),
        (&["--engine", "9"], "no cell of any circuit is in the trace"),
    ] {
        let ran = run(&[&["export", "--to", "maybenot", file.as_str()][..], options].concat());
        assert!(!ran.is_ok && ran.err.contains(expected), "{}", ran.err);
    }
}

#[test]
fn the_simulator_reads_what_a_leg_carried() {
    let text = export("maybenot", &small_set(), &["--leg", "0x2000001000002"]);
    let expected = [(2, 's'), (210, 's'), (210, 's'), (410, 'r'), (410, 'r'), (412, 'r'), (430, 'r')];
    let lines: Vec<String> = expected.map(|(ms, way)| format!("{},{way}\n", (ms - 2) * MS)).into();
    assert_eq!(text, lines.concat());
    assert_eq!(simulated(&text).len(), expected.len());
    // One circuit needs no name.
    let made = Made::of(&[(5, Event::SendmeSent { circuit: LEG_A, hop: 1 })]);
    assert_eq!(export("maybenot", &made, &[]), "0,s\n");
}

#[test]
fn output_goes_to_a_file() {
    let out = format!("{}/export_out.jsonl", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_file(&out);
    let file = small_set().file("export_file");
    assert_eq!(out_of(&["export", "--to", "jsonl", &file, "-o", &out]), "");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), export("jsonl", &small_set(), &[]));
    let ran = run(&["export", "--to", "jsonl", &file, "-o", "/no/such/folder/file"]);
    assert!(!ran.is_ok && ran.err.contains("/no/such/folder/file"), "{}", ran.err);
    let ran = run(&["export", "--to", "jsonl", "--hop", "1", &file]);
    assert!(!ran.is_ok && ran.err.contains("--hop is for --to maybenot"));
    let ran = run(&["export", "--to", "word", &file]);
    assert!(!ran.is_ok && ran.err.contains("jsonl, csv, qlog, chrome, maybenot"), "{}", ran.err);
}
