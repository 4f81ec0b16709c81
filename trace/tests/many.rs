//! Long traces: in little memory, and fast.

mod common;

use circflow::base::Id;
use circflow::event::Event;
use common::*;
use std::process::Command;
use std::time::Instant;

/// A trace of so many events: a set with two legs that sends and receives, and holds messages now and then.
fn long(events: u64, name: &str) -> (String, u64) {
    let mut made = Made::default();
    let (mut count, mut number) = (0, 0);
    while count < events {
        if number % 400 == 0 {
            made.piece(7, 0);
        }
        number += 1;
        let time = BEGIN + number * 20_000;
        let (leg, other) = if number / 50 % 2 == 0 { (LEG_A, LEG_B) } else { (LEG_B, LEG_A) };
        let looked = |leg: Id, rtt, state| Event::LegLooked { set: SET, leg, rtt, cwnd: 500, in_flight: 450, state };
        let mut all = vec![
            looked(LEG_A, 40 * MS + number % 1000, (number % 3 / 2) as u8),
            looked(LEG_B, 60 * MS, 0),
            Event::Sent { set: SET, leg, number, command: 2 },
        ];
        if number % 50 == 0 {
            all.push(Event::SwitchSent { set: SET, leg, delta: 50 });
        }
        if number % 31 == 0 {
            let rtt = 40 * MS + number * 7919 % MS;
            let in_flight = (number % 500) as u32;
            all.push(Event::SendmeReceived { circuit: leg, hop: 3, cwnd: 500, in_flight, rtt, slow_start: 0 });
        }
        // Of ten messages, the last three come first and are held.
        match number % 10 {
            0..7 => all.push(Event::InOrder { set: SET, leg: other, number, command: 2 }),
            at => all.push(Event::Held { set: SET, leg, number, missing: 1, held: at as u32 - 6, bytes: 600 }),
        }
        if number % 10 == 9 {
            all.extend((0..3).rev().map(|held| Event::Released { set: SET, number, held }));
        }
        count += all.len() as u64;
        for event in &all {
            made.event(7, time, event);
        }
    }
    (made.file(name), count)
}

/// With no more memory than this, in KiB. True if that was enough.
fn run_within(kib: u64, args: &str) -> bool {
    let command = format!("ulimit -v {kib} && exec {} {args} >/dev/null", env!("CARGO_BIN_EXE_circflow-trace"));
    Command::new("sh").args(["-c", &command]).status().unwrap().success()
}

const EACH: [&str; 6] =
    ["show", "stats", "export --to jsonl", "export --to csv", "export --to qlog", "export --to chrome"];

/// The file alone is larger than what they may have.
#[test]
fn memory_does_not_grow_with_the_file() {
    let (file, _) = long(400_000, "many");
    assert!(std::fs::metadata(&file).unwrap().len() > 16 << 20);
    for command in EACH {
        assert!(run_within(14 << 10, &format!("{command} {file}")), "{command}");
    }
    assert!(run_within(14 << 10, &format!("export --to maybenot --circuit {:#x} {file}", LEG_A.0)));
    std::fs::remove_file(&file).unwrap();
}

/// `cargo test --release --package circflow-trace --test many -- --ignored --nocapture`
#[test]
#[ignore = "half a minute, and a file of 500 MB"]
fn ten_million_events() {
    let (file, count) = long(10_000_000, "ten_million");
    let bytes = std::fs::metadata(&file).unwrap().len();
    println!("{count} events, {bytes} bytes");
    for command in EACH {
        let begin = Instant::now();
        assert!(run_within(14 << 10, &format!("{command} {file}")), "{command}");
        println!("{command:<20} {:.2} s", begin.elapsed().as_secs_f64());
    }
    std::fs::remove_file(&file).unwrap();
}
