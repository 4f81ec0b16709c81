//! The padding machines that the C tests and the demo load, as text: `tests/machines/*.txt` for the tests and
//! `examples/machines/*.txt` for people. They are made here, with maybenot's own types, and what is committed must be
//! what this makes. `make machines` writes them anew.

mod common;

use base64::prelude::{Engine as _, BASE64_STANDARD};
use circflow::engine::{Engine, Error, Misuse};
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::Compression;
use maybenot::action::Action;
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::Machine;
use std::io::{Read, Write};

use common::machines;
use std::fs;
use std::path::Path;

#[test]
fn the_committed_texts_are_the_generated_ones() {
    let write = std::env::var_os("CIRCFLOW_WRITE_MACHINES").is_some();
    let mut wrong = Vec::new();
    for (path, text) in machines::texts() {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        if write {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, &text).unwrap();
        } else if fs::read_to_string(&full).ok().as_deref() != Some(&text) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "not what tests/common/machines.rs gives; run `make machines`: {wrong:?}");
}

#[test]
fn all_of_them_load() {
    for (path, text) in machines::texts() {
        let loaded = circflow::padding::Machines::load(text.as_bytes());
        assert!(loaded.is_ok(), "{path}: {loaded:?}");
    }
}

/// What an engine says of a text that is no list of machines.
fn said(text: &[u8]) -> String {
    let mut engine = Engine::new(&common::config(1)).unwrap();
    assert_eq!(engine.load_machines(text), Err(Error::Misuse(Misuse::BadMachines)), "{:?}", text.get(..40));
    engine.detail().into_owned()
}

fn pack(unpacked: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(unpacked).unwrap();
    zlib.finish().unwrap()
}

fn armour(packed: &[u8]) -> String {
    format!("02{}", BASE64_STANDARD.encode(packed))
}

fn machine_text(states: usize, timeout: DistType, to: usize) -> String {
    let timeout = Dist { dist: timeout, start: 0.0, max: 0.0 };
    let state = || {
        let mut transitions = State::new(Default::default()).get_transitions();
        transitions[Event::NormalSent] = vec![Trans(to, 1.0)];
        let mut state = State::new(transitions);
        state.action = Some(Action::SendPadding { bypass: false, replace: false, timeout, limit: None });
        state
    };
    serialized((0..states).map(|_| state()).collect())
}

fn serialized(states: Vec<State>) -> String {
    let machine = Machine {
        allowed_padding_packets: 0,
        max_padding_frac: 0.0,
        allowed_blocked_microsec: 0,
        max_blocking_frac: 0.0,
        states,
    };
    machine.serialize()
}

/// The line, what is wrong, and the version or limit that is wanted.
#[test]
fn each_fault_has_a_sentence_of_its_own() {
    let uniform = DistType::Uniform { low: 1.0, high: 2.0 };
    let good = machine_text(1, uniform, 0);
    let zlib = BASE64_STANDARD.decode(&good[2..]).unwrap();
    let mut bytes = Vec::new();
    ZlibDecoder::new(&zlib[..]).read_to_end(&mut bytes).unwrap();
    let mut damaged = zlib.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let with = |more: &[u8]| pack(&[&bytes[..], more].concat());
    let cases: Vec<(String, &[&str])> = vec![
        ("\n \n".into(), &["no machine"]),
        ("\n\nhello".into(), &["line 3", "two digits", "02"]),
        (format!("\n01{}", &good[2..]), &["line 2", "version 1", "version 2"]),
        (format!("02{}*{}", &good[2..10], &good[10..]), &["line 1", "base64", "'*'", "column 11"]),
        (good[..good.len() - 1].into(), &["line 1", "base64", "cut"]),
        (armour(b"hello, world"), &["line 1", "not zlib"]),
        (armour(&zlib[..zlib.len() - 5]), &["line 1", "zlib data end too early"]),
        (armour(&[&zlib[..], b"x"].concat()), &["line 1", "1 byte too many", "zlib"]),
        (armour(&damaged), &["line 1", "damaged"]),
        (armour(&pack(&bytes[..bytes.len() - 1])), &["line 1", "fields"]),
        (armour(&with(b"more")), &["line 1", "4 bytes too many", "last field"]),
        (armour(&pack(&vec![0; (1 << 20) + 1])), &["line 1", "unpacks", "1048576"]),
        ("02".to_owned() + &"A".repeat(1 << 21), &["line 1", "2097154", "1572864"]),
        (serialized(vec![State::new(Default::default()); 40_000]), &["line 1", "40000 states", "16777216"]),
        (vec![&good[..]; 65].join("\n"), &["line 65", "64"]),
        (machine_text(1, DistType::Normal { mean: f64::NAN, stdev: 1.0 }, 0), &["line 1", "state 0", "NaN"]),
        (machine_text(2, DistType::Poisson { lambda: 1e18 }, 0), &["line 1", "state 0", "1e18", "1e15"]),
        (machine_text(1, uniform, 7), &["line 1", "maybenot", "7"]),
        (format!("{}\0{}", &good[..9], &good[9..]), &["line 1", "base64", "0x00", "column 10"]),
    ];
    let mut all = Vec::new();
    for (text, words) in cases {
        let said = said(text.as_bytes());
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said:?}");
        }
        assert!(!all.contains(&said), "twice: {said}");
        all.push(said);
    }
}

/// As `sizeof` of a literal in C counts it.
#[test]
fn the_nul_at_the_end_of_a_literal_is_no_fault() {
    let good = machine_text(1, DistType::Uniform { low: 1.0, high: 2.0 }, 0);
    for end in ["\0", "\n\0", "\n"] {
        let mut engine = Engine::new(&common::config(1)).unwrap();
        engine.load_machines(format!("{good}{end}").as_bytes()).unwrap();
    }
}
