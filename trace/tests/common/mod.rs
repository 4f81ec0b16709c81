//! Traces that are made here, and the command that reads them.

#![allow(dead_code, reason = "each test file uses what it needs")]

use circflow::base::Id;
use circflow::event::record::{self, Piece, PIECE, RECORD_MAX};
use circflow::event::{Class, Event, KINDS, VERSION};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub const SET: Id = Id(0x1_0000_0100_0001);
pub const LEG_A: Id = Id(0x2_0000_0100_0001);
pub const LEG_B: Id = Id(0x2_0000_0100_0002);
pub const STREAM: Id = Id(0x3_0000_0100_0001);
/// The first event's time in most traces: what is relative begins here.
pub const BEGIN: u64 = 5_000_000_000;
pub const MS: u64 = 1_000_000;

/// A trace that grows.
#[derive(Default, Clone)]
pub struct Made {
    pub bytes: Vec<u8>,
}

impl Made {
    /// A piece of engine 7 with events at so many ms behind [`BEGIN`].
    pub fn of(events: &[(u64, Event)]) -> Made {
        let mut made = Made::default();
        made.piece(7, 0);
        for (ms, event) in events {
            made.event(7, BEGIN + ms * MS, event);
        }
        made
    }

    pub fn piece(&mut self, engine: u32, overwritten: u64) -> &mut Made {
        self.piece_of(VERSION, engine, overwritten)
    }

    pub fn piece_of(&mut self, version: u16, engine: u32, overwritten: u64) -> &mut Made {
        let mut head = [0; PIECE];
        Piece { version, classes: Class::EVERY, overwritten }.write(engine, 0, &mut head);
        self.bytes.extend(head);
        self
    }

    pub fn event(&mut self, engine: u32, time: u64, event: &Event) -> &mut Made {
        let mut bytes = [0; RECORD_MAX];
        let len = record::write(event, engine, time, &mut bytes);
        self.bytes.extend(&bytes[..len]);
        self
    }

    /// A record of a kind that nobody knows yet, with a field of 8 bytes.
    pub fn unknown(&mut self, number: u16) -> &mut Made {
        self.bytes.extend(number.to_le_bytes());
        self.bytes.extend([3, 0, 7, 0, 0, 0]);
        self.bytes.extend([9; 16]);
        self
    }

    /// Writes it to a file of this name, below the tests' folder.
    pub fn file(&self, name: &str) -> String {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, &self.bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// What a command wrote, and whether it succeeded.
pub struct Ran {
    pub out: String,
    pub err: String,
    pub is_ok: bool,
}

pub fn run(args: &[&str]) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_circflow-trace")).args(args).output().unwrap())
}

/// With bytes on its standard input.
pub fn run_with(args: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circflow-trace"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut stdin, &input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ran(output)
}

fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { out: text(output.stdout), err: text(output.stderr), is_ok: output.status.success() }
}

/// What the command wrote, after it succeeded without a word on stderr.
pub fn out_of(args: &[&str]) -> String {
    let ran = run(args);
    assert!(ran.is_ok && ran.err.is_empty(), "{args:?}: {}", ran.err);
    ran.out
}

/// A trace with one event of each kind of the table, made of bytes that count up, so that no field is 0.
pub fn one_of_each() -> Made {
    let mut made = Made::default();
    made.piece(7, 0);
    for kind in KINDS {
        let fields: usize = kind.fields.iter().map(|field| usize::from(field.width)).sum();
        let len = record::HEAD + fields.next_multiple_of(8);
        made.bytes.extend(kind.number.to_le_bytes());
        made.bytes.extend((len as u16 / 8).to_le_bytes());
        made.bytes.extend(7u32.to_le_bytes());
        made.bytes.extend((BEGIN + u64::from(kind.number) * MS).to_le_bytes());
        let values = (1..=fields as u8).chain(std::iter::repeat(0)).take(len - record::HEAD);
        made.bytes.extend(values);
    }
    made
}

/// What a client does with two legs: 4 messages sent, 6 received of which 3 were held, a refusal, and some windows.
pub fn small_set() -> Made {
    let (set, leg) = (SET, LEG_A);
    Made::of(&[
        (0, Event::SetOpened { set, by_peer: 0 }),
        (1, Event::LegStep { set, leg, step: 2 }),
        (2, Event::LegStep { set, leg: LEG_B, step: 2 }),
        (50, Event::LegLinked { set, leg, rtt: 49 * MS }),
        (50, Event::SetUsable { set }),
        (80, Event::LegLinked { set, leg: LEG_B, rtt: 78 * MS }),
        (100, Event::StreamOpened { owner: SET, stream: STREAM, by_peer: 0 }),
        (100, looked(LEG_A, 49, 0)),
        (100, looked(LEG_B, 78, 0)),
        (100, Event::Sent { set, leg, number: 1, command: 1 }),
        (200, Event::Sent { set, leg, number: 2, command: 2 }),
        (200, Event::SendmeReceived { circuit: LEG_A, hop: 3, cwnd: 124, in_flight: 2, rtt: 49 * MS, slow_start: 1 }),
        (210, looked(LEG_A, 49, 2)),
        (210, looked(LEG_B, 78, 0)),
        (210, Event::SwitchSent { set, leg: LEG_B, delta: 2 }),
        (210, Event::Sent { set, leg: LEG_B, number: 3, command: 2 }),
        (300, Event::Sent { set, leg, number: 4, command: 2 }),
        (300, Event::Refused { set, legs: 2, why: 1 }),
        (310, Event::Refused { set, legs: 2, why: 1 }),
        (340, Event::SendmeReceived { circuit: LEG_A, hop: 3, cwnd: 120, in_flight: 4, rtt: 51 * MS, slow_start: 0 }),
        (340, Event::MaySend { set }),
        (400, Event::InOrder { set, leg, number: 1, command: 4 }),
        (410, Event::SwitchReceived { set, leg: LEG_B, delta: 3, number: 4 }),
        (410, Event::Held { set, leg: LEG_B, number: 5, missing: 2, held: 1, bytes: 600 }),
        (412, Event::Held { set, leg: LEG_B, number: 6, missing: 2, held: 2, bytes: 600 }),
        (420, Event::InOrder { set, leg, number: 2, command: 2 }),
        (421, Event::InOrder { set, leg, number: 3, command: 2 }),
        (421, Event::InOrder { set, leg, number: 4, command: 2 }),
        (421, Event::Released { set, number: 5, held: 1 }),
        (422, Event::Released { set, number: 6, held: 0 }),
        (430, Event::Held { set, leg: LEG_B, number: 8, missing: 7, held: 1, bytes: 600 }),
        (434, Event::Released { set, number: 8, held: 0 }),
        (440, Event::SendmeSent { circuit: LEG_A, hop: 3 }),
        (450, Event::XoffReceived { stream: STREAM }),
        (470, Event::XonReceived { stream: STREAM, rate: 100 }),
        (480, Event::XoffSent { stream: STREAM, buffered: 500_000 }),
        (490, Event::StreamEnded { owner: SET, stream: STREAM, by: 1 }),
        (500, Event::LegLost { set, leg: LEG_B, cause: -306 }),
        (600, Event::SetEnded { set, cause: 0 }),
    ])
}

fn looked(leg: Id, rtt_ms: u64, state: u8) -> Event {
    Event::LegLooked { set: SET, leg, rtt: rtt_ms * MS, cwnd: 124, in_flight: 0, state }
}
