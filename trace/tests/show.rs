//! `show`: what a line says, which lines there are, and what is said of a file that is not whole.

mod common;

use circflow::event::{Event, KINDS};
use common::*;

fn lines(args: &[&str]) -> Vec<String> {
    out_of(args).lines().map(str::to_owned).collect()
}

#[test]
fn a_line_has_time_engine_kind_and_fields() {
    let file = small_set().file("show_line");
    let all = lines(&["show", &file]);
    assert_eq!(all.len(), 39);
    assert_eq!(all[0], "   0.000000000   7  SetOpened           set=0x1000001000001  by_peer=no");
    let linked = "   0.050000000   7  LegLinked           set=0x1000001000001  leg=0x2000001000001  rtt=49.000ms";
    assert_eq!(all[3], linked);
    assert!(all[12].ends_with("cwnd=124 cells  in_flight=0 cells  state=window-full"), "{}", all[12]);
    assert!(all[37].contains("cause=-306 ERR_"), "{}", all[37]);
    assert!(all[38].ends_with("cause=the-host-ended-it"));
    let absolute = lines(&["show", &file, "--absolute"]);
    assert!(absolute[3].starts_with("   5.050000000   7  LegLinked "));
}

#[test]
fn every_kind_has_its_line_with_all_its_fields() {
    let all = lines(&["show", &one_of_each().file("show_each")]);
    assert_eq!(all.len(), KINDS.len());
    for (line, kind) in all.iter().zip(KINDS) {
        assert!(line.contains(&format!("  {:<18}", kind.name)) || line.ends_with(kind.name), "{line}");
        let fields: Vec<&str> = line.split("  ").map(str::trim).filter(|part| part.contains('=')).collect();
        assert_eq!(fields.len(), kind.fields.len(), "{line}");
        for (text, field) in fields.iter().zip(kind.fields) {
            assert!(text.starts_with(&format!("{}=", field.name)), "{line}");
        }
    }
}

#[test]
fn filters_leave_events_out() {
    let mut made = small_set();
    let other = circflow::base::Id(0x1_0000_0100_0099);
    made.piece(8, 0);
    made.event(8, BEGIN + 700 * MS, &Event::SetOpened { set: other, by_peer: 1 });
    made.event(8, BEGIN + 701 * MS, &Event::SendmeSent { circuit: circflow::base::Id(0x99), hop: 1 });
    let file = made.file("show_filters");
    let count = |args: &[&str]| {
        let mut all = vec!["show", file.as_str()];
        all.extend(args);
        lines(&all).len()
    };
    assert_eq!(count(&[]), 41);
    assert_eq!(count(&["--set", "0x1000001000001"]), 39, "with the windows of its legs, and its stream");
    assert_eq!(count(&["--set", "281474993487873"]), 39, "an id may be decimal");
    assert_eq!(count(&["--set", "0x1000001000099"]), 1);
    assert_eq!(count(&["--set", "0x1000001000001", "--set", "0x1000001000099"]), 40);
    assert_eq!(count(&["--circuit", "0x2000001000002"]), count(&["--leg", "0x2000001000002"]));
    assert_eq!(count(&["--leg", "0x2000001000002"]), 11);
    assert_eq!(count(&["--leg", "0x2000001000001", "--class", "windows"]), 3);
    assert_eq!(count(&["--set", "0x1000001000001", "--leg", "0x2000001000001", "--class", "windows"]), 3);
    assert_eq!(count(&["--class", "sets"]), 9);
    assert_eq!(count(&["--class", "sets", "--class", "Hub", "--engine", "7"]), 8);
    assert_eq!(count(&["--kind", "leg-linked"]), 2);
    assert_eq!(count(&["--kind", "LegLinked", "--kind", "Held"]), 5);
    assert_eq!(count(&["--engine", "8"]), 2);
    assert_eq!(count(&["--from", "400ms", "--until", "0.42s", "--engine", "7"]), 5, "both ends are in");
    assert_eq!(count(&["--from", "5.4s", "--until", "5420000000", "--absolute"]), 5);
    assert_eq!(count(&["--from", "2m"]), 0);
}

#[test]
fn wrong_options_are_told_what_is_right() {
    let file = small_set().file("show_wrong");
    for (args, hint) in [
        (["--set", "xyz"], "0x1a2b"),
        (["--class", "nothing"], "sets, messages, choice"),
        (["--kind", "Nothing"], "SetOpened, LegStep"),
        (["--from", "soon"], "ns, us, ms, s or m"),
    ] {
        let ran = run(&["show", &file, args[0], args[1]]);
        assert!(!ran.is_ok && ran.err.contains(hint), "{}", ran.err);
    }
}

#[test]
fn what_was_overwritten_is_marked_where_it_was() {
    let mut made = small_set();
    made.piece(7, 12);
    made.event(7, BEGIN, &Event::SetUsable { set: SET });
    let ran = run(&["show", &made.file("show_overwritten")]);
    let all: Vec<&str> = ran.out.lines().collect();
    assert_eq!(all[39], "-- 12 events were overwritten here --");
    assert_eq!(all.len(), 41);
    assert!(ran.is_ok && ran.err.contains("12 events were overwritten before they were read"), "{}", ran.err);
}

#[test]
fn standard_input_is_read() {
    let ran = run_with(&["show", "-"], &small_set().bytes);
    assert!(ran.is_ok && ran.out.lines().count() == 39);
}

/// Engines write their pieces when they like. Read as one, their events are in the order of their times.
#[test]
fn events_of_several_engines_are_put_in_order() {
    let mut made = Made::default();
    let usable = Event::SetUsable { set: SET };
    made.piece(7, 0).event(7, BEGIN + 10 * MS, &usable).event(7, BEGIN + 30 * MS, &usable);
    made.piece(9, 4).event(9, BEGIN, &usable).event(9, BEGIN + 40 * MS, &usable);
    made.piece(7, 2).event(7, BEGIN + 50 * MS, &usable);
    made.piece(3, 0).event(3, BEGIN + 20 * MS, &usable).event(3, BEGIN + 30 * MS, &usable);
    let file = made.file("show_engines");
    let ran = run(&["show", &file]);
    let words = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>().join(" ");
    let said: Vec<String> = ran.out.lines().map(words).collect();
    let expected = [
        "-- 4",
        "0.000000000 9",
        "0.010000000 7",
        "0.020000000 3",
        "0.030000000 3",
        "0.030000000 7",
        "0.040000000 9",
        "-- 2",
        "0.050000000 7",
    ];
    assert_eq!(said, expected);
    assert!(ran.is_ok && ran.err.contains("6 events were overwritten before they were read"), "{}", ran.err);
    assert_eq!(lines_of(&["show", &file, "--from", "20ms", "--until", "30ms"]), 1 + 3, "times begin with the earliest");
    // Damage at the end is told of once, behind all that is good.
    made.bytes.extend([0; 16]);
    let ran = run(&["show", &made.file("show_engines_damaged")]);
    assert!(!ran.is_ok && ran.out.lines().count() == 9 && ran.err.matches("is damaged").count() == 1, "{}", ran.err);
    // What cannot be read twice comes as it is.
    let ran = run_with(&["show", "-"], &made.bytes);
    assert!(ran.out.starts_with("   0.000000000   7") && ran.out.contains("  -0.010000000   9"), "{}", ran.out);
}

fn lines_of(args: &[&str]) -> usize {
    run(args).out.lines().count()
}
