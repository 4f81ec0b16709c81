//! Files that are no traces, or not whole ones: each command says what is wrong, and reads what there is.

mod common;

use circflow::event::{Event, VERSION};
use common::*;

const COMMANDS: [&[&str]; 6] = [
    &["show"],
    &["stats"],
    &["stats", "--json"],
    &["export", "--to", "jsonl"],
    &["export", "--to", "csv"],
    &["export", "--to", "maybenot"],
];

/// Every command on this file.
fn each(file: &str) -> Vec<Ran> {
    COMMANDS.iter().map(|command| run(&[command, &[file][..]].concat())).collect()
}

#[test]
fn foreign_files_are_refused() {
    let texts: [&[u8]; 6] = [
        b"a text that somebody wrote, and no trace at all",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"x",
        &[0; 4096],
        &[255; 4096],
        b"CF\x05\0aaaabbbbbbbbCIRCFLOX\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ];
    for (number, bytes) in texts.into_iter().enumerate() {
        let file = Made { bytes: bytes.to_vec() }.file(&format!("foreign_{number}"));
        for ran in each(&file) {
            assert!(!ran.is_ok && ran.out.is_empty(), "{number}");
            assert!(ran.err.contains("this is not a trace of circflow"), "{number}: {}", ran.err);
        }
    }
}

#[test]
fn empty_missing_and_newer_files_are_refused() {
    let empty = Made::default().file("empty");
    for ran in each(&empty) {
        assert!(!ran.is_ok && ran.err.contains("the file is empty: nothing was recorded"), "{}", ran.err);
    }
    for ran in each("/no/such/file") {
        assert!(!ran.is_ok && ran.err.contains("/no/such/file: "), "{}", ran.err);
    }
    for ran in each(env!("CARGO_TARGET_TMPDIR")) {
        assert!(!ran.is_ok && ran.err.contains("directory"), "{}", ran.err);
    }
    let mut newer = Made::default();
    newer.piece_of(VERSION + 1, 1, 0).event(1, 1, &Event::SetUsable { set: SET });
    for ran in each(&newer.file("newer")) {
        assert!(!ran.is_ok && ran.err.contains("byte 0 has version 2 of the layout"), "{}", ran.err);
    }
}

#[test]
fn a_newer_piece_behind_others_ends_the_reading_there() {
    let mut made = small_set();
    let at = made.bytes.len();
    made.piece_of(VERSION + 1, 7, 0).event(7, BEGIN, &Event::SetUsable { set: SET });
    let ran = run(&["show", &made.file("newer_behind")]);
    assert!(!ran.is_ok && ran.out.lines().count() == 39);
    assert!(ran.err.contains(&format!("the piece at byte {at} has version 2")), "{}", ran.err);
}

#[test]
fn of_a_cut_file_all_that_is_whole_is_read() {
    let whole = small_set();
    // Where records begin, and how many events end before.
    let mut begins = Vec::new();
    let mut at = 0;
    for (header, _) in circflow::event::Records::new(&whole.bytes) {
        begins.push(at);
        at += header.len;
    }
    for len in (1..whole.bytes.len()).filter(|len| len % 7 == 0 || *len < 100) {
        let file = Made { bytes: whole.bytes[..len].to_vec() }.file("cut");
        let ran = run(&["show", &file]);
        let last = *begins.iter().rfind(|begin| **begin <= len).unwrap();
        let events = begins.iter().filter(|begin| **begin < last).count().saturating_sub(1);
        assert!(ran.is_ok, "{len}: {}", ran.err);
        assert_eq!(ran.out.lines().count(), events, "{len}");
        let said = format!("the file is cut: the record at byte {last} is not complete");
        assert_eq!(ran.err.contains(&said), last != len, "{len}: {}", ran.err);
    }
}

#[test]
fn damage_is_told_with_its_place() {
    for (number, damage) in [[0u8; 24], [7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        .into_iter()
        .chain([*b"CF\x05\0aaaabbbbbbbbCIRCFLOX"])
        .enumerate()
    {
        let mut made = small_set();
        let at = made.bytes.len();
        made.bytes.extend(damage);
        made.bytes.extend(small_set().bytes);
        let ran = run(&["show", &made.file(&format!("damaged_{number}"))]);
        assert!(!ran.is_ok && ran.out.lines().count() == 39, "{number}");
        assert!(ran.err.contains(&format!("no record begins at byte {at}")), "{number}: {}", ran.err);
    }
}

#[test]
fn unknown_kinds_are_skipped_and_counted() {
    let mut made = small_set();
    made.unknown(999).unknown(999).unknown(65_000);
    made.event(7, BEGIN + 700 * MS, &Event::SetUsable { set: SET });
    let file = made.file("unknown");
    let ran = run(&["show", &file]);
    assert!(ran.is_ok && ran.out.lines().count() == 40);
    assert!(ran.err.contains("3 events of kinds that are not known here were skipped: 999, 65000"), "{}", ran.err);
    let told: serde_json::Value = serde_json::from_str(&run(&["stats", "--json", &file]).out).unwrap();
    assert_eq!(told["file"]["unknown"], serde_json::json!({ "999": 2, "65000": 1 }));
    assert_eq!(told["file"]["events"], 40);
}

/// A later library may add fields at the end of a kind; an older one lacks those that are new here.
#[test]
fn longer_and_shorter_records_are_read() {
    let mut made = Made::default();
    made.piece(7, 0);
    let mut add = |number: u16, fields: &[u8]| {
        made.bytes.extend(number.to_le_bytes());
        made.bytes.extend((2 + fields.len() as u16 / 8).to_le_bytes());
        made.bytes.extend(7u32.to_le_bytes());
        made.bytes.extend(BEGIN.to_le_bytes());
        made.bytes.extend(fields);
    };
    // SetUsable with much more than its set, and InOrder with its set alone.
    add(4, &[5; 8 * 500]);
    add(16, &[6; 8]);
    let file = made.file("lengths");
    let all = out_of(&["show", &file]);
    let all: Vec<&str> = all.lines().collect();
    assert!(all[0].ends_with("SetUsable           set=0x505050505050505"), "{}", all[0]);
    assert!(all[1].ends_with("InOrder             set=0x606060606060606"), "{}", all[1]);
    for command in COMMANDS.iter().filter(|command| !command.contains(&"maybenot")) {
        out_of(&[command, &[file.as_str()][..]].concat());
    }
}

/// Random bytes behind a good beginning: no command panics, whatever they are.
#[test]
fn no_bytes_make_a_command_panic() {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..30 {
        let mut made = one_of_each();
        made.bytes.extend(small_set().bytes);
        for _ in 0..20 {
            let at = 40 + random() % (made.bytes.len() - 40);
            made.bytes[at] = random() as u8;
        }
        let file = made.file("random");
        for command in COMMANDS.iter().chain([&["export", "--to", "chrome"][..], &["export", "--to", "qlog"]].iter()) {
            let ran = run(&[command, &[file.as_str()][..]].concat());
            assert!(!ran.err.contains("panicked"), "{command:?}: {}", ran.err);
        }
    }
}
