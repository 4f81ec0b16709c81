//! Files that somebody made to do harm, files that grow, and files that can be read only once.

mod common;

use circflow::base::Id;
use circflow::event::record::HEAD;
use circflow::event::{Event, Kind, KINDS};
use common::*;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Every command and form; the last three read a file twice.
const COMMANDS: [&[&str]; 12] = [
    &["show"],
    &["show", "--absolute"],
    &["show", "--set", "1"],
    &["stats"],
    &["stats", "--json"],
    &["export", "--to", "jsonl"],
    &["export", "--to", "csv"],
    &["export", "--to", "qlog"],
    &["export", "--to", "chrome"],
    &["export", "--to", "maybenot", "--circuit", "1", "--engine", "0"],
    &["picture"],
    &["report"],
];
const TWICE: usize = 3;

/// So that a command that hangs fails the test: far longer than any takes, also on a busy machine.
const SECONDS: &str = "300";

/// A command that is ended when it takes too long.
fn run_soon(args: &[&str]) -> Ran {
    let mut command = Command::new("timeout");
    command.args([SECONDS, env!("CARGO_BIN_EXE_circflow-trace")]).args(args).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_ne!(output.status.code(), Some(124), "{args:?} does not end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { out: text(output.stdout), err: text(output.stderr), is_ok: output.status.success() }
}

fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// A number at an end of a range, most often.
fn extreme(state: &mut u64) -> u64 {
    let ends = [0, 1, 2, u64::from(u32::MAX), u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1_000_000_000];
    match ends.get(random(state) % (ends.len() + 1)) {
        Some(end) => *end,
        None => random(state) as u64,
    }
}

/// A record of this kind. Its ids are few, and its small fields have values that mean something, so that events meet.
fn add(made: &mut Made, kind: &Kind, engine: u32, time: u64, state: &mut u64) {
    let mut fields = Vec::new();
    for field in kind.fields {
        let value = match field.width {
            8 if field.is_id => random(state) as u64 % 3,
            1 => random(state) as u64 % 5,
            _ => extreme(state),
        };
        fields.extend(&value.to_le_bytes()[..usize::from(field.width)]);
    }
    fields.resize(fields.len().next_multiple_of(8), 0);
    made.bytes.extend(kind.number.to_le_bytes());
    made.bytes.extend((((HEAD + fields.len()) / 8) as u16).to_le_bytes());
    made.bytes.extend(engine.to_le_bytes());
    made.bytes.extend(time.to_le_bytes());
    made.bytes.extend(fields);
}

/// Tests are built with overflow checks: a sum that does not fit would panic.
#[test]
fn no_number_is_too_large() {
    let mut state = 1;
    for round in 0..40 {
        let mut made = Made::default();
        for _ in 0..4 {
            // One engine in half of the rounds, so that its times go back.
            let engine = [0, 0, 1, u32::MAX][random(&mut state) % (2 + round % 2 * 2)];
            made.piece(engine, extreme(&mut state));
            for _ in 0..150 {
                let kind = &KINDS[random(&mut state) % KINDS.len()];
                let time = extreme(&mut state);
                add(&mut made, kind, engine, time, &mut state);
            }
        }
        let file = made.file("extreme");
        for command in COMMANDS {
            let ran = run_soon(&[command, &[file.as_str()][..]].concat());
            assert!(!ran.err.contains("panicked"), "{round} {command:?}: {}", ran.err);
            // There may be nothing to draw, and no cell of that circuit.
            let may_fail = ["picture", "maybenot"].iter().any(|name| command.contains(name));
            assert!(ran.is_ok || may_fail, "{round} {command:?}: {}", ran.err);
        }
    }
}

/// A kind at a time, of one set and circuit: what it adds to comes to its end soonest.
#[test]
fn no_kind_sums_up_to_too_much() {
    for kind in KINDS {
        let mut made = Made::default();
        made.piece(0, u64::MAX).piece(0, u64::MAX);
        let mut state = u64::from(kind.number);
        for number in 0..30 {
            let time = [u64::MAX, 0, 1 << 63, 5][number % 4];
            add(&mut made, kind, 0, time, &mut state);
        }
        let file = made.file("extreme_kind");
        for command in COMMANDS {
            let ran = run_soon(&[command, &[file.as_str()][..]].concat());
            assert!(!ran.err.contains("panicked"), "{} {command:?}: {}", kind.name, ran.err);
        }
    }
}

/// So many different legs and statuses are read in a second, where each was looked for among all the others before.
#[test]
fn many_different_ones_are_read() {
    const MANY: u64 = 200_000;
    let mut made = Made::default();
    made.piece(0, 0);
    for number in 0..MANY {
        made.event(0, number, &Event::InOrder { set: SET, leg: Id(number), number, command: 2 });
        made.event(0, number, &Event::Fault { who: Id(1), status: number as i32 });
    }
    let file = made.file("different");
    for command in COMMANDS.iter().filter(|command| !command.contains(&"maybenot")) {
        let ran = run_soon(&[command, &[file.as_str()][..]].concat());
        assert!(ran.is_ok || command.contains(&"--set"), "{command:?}: {}", ran.err);
    }
    let told: serde_json::Value = serde_json::from_str(&run(&["stats", "--json", &file]).out).unwrap();
    let len = |list: &serde_json::Value| list.as_array().map(Vec::len);
    assert_eq!((len(&told["sets"][0]["legs"]), len(&told["faults"])), (Some(MANY as usize), Some(MANY as usize)));
    assert_eq!((&told["sets"][0]["legs"][7]["leg"], &told["faults"][7]["count"]), (&"0x7".into(), &1.into()));
    std::fs::remove_file(&file).unwrap();
}

/// Somebody writes the file while it is read: what came behind the first reading is in neither.
#[test]
fn a_file_may_grow_while_it_is_read() {
    let mut part = small_set();
    part.piece(8, 0).event(8, BEGIN, &Event::SetUsable { set: SET });
    let mut begin = Made::default();
    (0..200).for_each(|_| begin.bytes.extend(&part.bytes));
    let file = begin.file("growing");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut more = std::fs::File::options().append(true).open(&file).unwrap();
            let mut left = 20_000;
            while !is_over.load(Ordering::Relaxed) && left > 0 {
                more.write_all(&part.bytes).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(100));
                left -= 1;
            }
        });
        let ran: Vec<Ran> = (0..10).map(|_| run_soon(&["stats", "--json", &file])).collect();
        let others: Vec<Ran> =
            COMMANDS.iter().map(|command| run_soon(&[command, &[file.as_str()][..]].concat())).collect();
        is_over.store(true, Ordering::Relaxed);
        for ran in ran {
            let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_default();
            assert_eq!(told["file"]["left_out"], 0, "{}", ran.err);
            let kinds = told["file"]["kinds"].as_array().unwrap().iter();
            let events: u64 = kinds.map(|kind| kind["events"].as_u64().unwrap()).sum();
            assert_eq!(told["file"]["events"], events);
        }
        assert!(others.iter().all(|ran| !ran.err.contains("panicked")));
    });
    std::fs::remove_file(&file).unwrap();
}

/// A pipe with a name is read as the standard input is, or refused at once by who reads twice.
#[test]
fn a_pipe_is_read_once() {
    let made = small_set();
    let name = &format!("pipe_{}", std::process::id());
    let pipe = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (once, twice) = COMMANDS.split_at(COMMANDS.len() - TWICE);
    for command in once {
        let (bytes, to) = (made.bytes.clone(), pipe.clone());
        std::thread::spawn(move || std::fs::write(to, bytes));
        let ran = run_soon(&[command, &[pipe.as_str()][..]].concat());
        let same = run_with(&[command, &["-"][..]].concat(), &made.bytes);
        assert!(ran.is_ok && ran.err.is_empty(), "{command:?}: {}", ran.err);
        // Some lines name the file.
        let of = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
        let (lines, same) = (of(&ran.out), of(&same.out));
        let is_same = |(line, other): (&String, &String)| line == other || line.contains(name);
        assert_eq!(lines.len(), same.len(), "{command:?}");
        assert!(lines.iter().zip(&same).all(is_same), "{command:?}: {lines:?}");
    }
    for command in twice {
        let ran = run_soon(&[command, &[pipe.as_str()][..]].concat());
        assert!(!ran.is_ok && ran.err.contains("reads the trace twice"), "{command:?}: {}", ran.err);
    }
    std::fs::remove_file(&pipe).unwrap();
}
