//! A leg on another engine of the hub: what is sent on it has left, and no room is promised on it.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, EngineHub, Outlet, VerdictKind, What};
use circflow::hub::HubConfig;
use circflow::message::Message;
use circflow::wire::conflux::{Link, Nonce, Ux};
use circflow::wire::Command;
use common::{circuit, config, drain, report, terms};
use std::sync::Arc;

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;

/// Two engines; the set of the end that answers lives on the first, and has a leg on each.
struct Pair {
    engines: Vec<Engine>,
    legs: [Id; 2],
    set: Id,
    /// The stream that was opened last.
    stream: Id,
    now: u64,
}

impl Pair {
    /// `like` is what the circuits are opened with, by `hop` the messages come.
    fn new(like: impl Fn(u64) -> CircuitConfig, hop: u8) -> Pair {
        let hub = EngineHub::new(&HubConfig { seed: [3; 32], held_bytes_max: 1 << 30 });
        let begin = |tag| {
            let mut engine = Engine::new(&config(tag)).unwrap();
            engine.join_hub(&hub, Arc::new(|_: circflow::hub::Call| {})).unwrap();
            engine.accept_sets(Some(terms(None)));
            engine
        };
        let engines = [1, 2].map(begin).into();
        let mut pair = Pair { engines, legs: [Id::NONE; 2], set: Id::NONE, stream: Id::NONE, now: 1000 * MS };
        let link = Link { nonce: Nonce::new([0x77; 32]), last_sent: 0, last_received: 0, ux: Ux::HighThroughput };
        for at in 0..2 {
            pair.legs[at] = pair.engines[at].open_circuit(pair.now, like(at as u64)).unwrap();
            pair.come(at, hop, Command::CONFLUX_LINK, 0, &link.encode());
            pair.settle(hop);
        }
        assert_ne!(pair.set, Id::NONE, "both legs are linked");
        pair
    }

    fn come(&mut self, at: usize, hop: u8, command: Command, stream_id: u16, body: &[u8]) {
        let message = Message { command, hop, stream_id, body, token: None };
        let verdict = self.engines[at].receive(self.now, self.legs[at], &message).unwrap();
        if command == Command::BEGIN && verdict.stream != Id::NONE {
            self.stream = verdict.stream;
        }
    }

    /// Lets some time pass, in which all that waits is done and answered.
    fn settle(&mut self, hop: u8) {
        for at in [0, 1, 0, 1, 0, 1] {
            self.now += MS;
            self.engines[at].tick(self.now);
            for (instruction, _) in drain(&mut self.engines[at]) {
                match instruction.what {
                    What::Send { command: Command::CONFLUX_LINKED, .. } => {
                        self.come(at, hop, Command::CONFLUX_LINKED_ACK, 0, &[]);
                    }
                    What::Linked(_) => self.set = instruction.set,
                    What::Deliver(delivery) if delivery.command == Command::BEGIN => self.stream = instruction.stream,
                    _ => {}
                }
            }
        }
    }
}

/// A service with its streams: only ends that opened the circuit remember ids of streams.
fn ids_are_forgotten(staying: usize) {
    const HOP: u8 = common::HOPS;
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | CircuitFlags::SERVICE.0);
    let mut pair = Pair::new(|tag| CircuitConfig { flags, ..circuit(Role::Client, tag) }, HOP);
    let gone = 1 - staying;
    pair.engines[gone].circuit_closed(pair.now, pair.legs[gone]).unwrap();
    pair.settle(HOP);
    pair.come(staying, HOP, Command::BEGIN, 7, b"x:80\0");
    pair.settle(HOP);
    let end = Message { command: Command::END, hop: HOP, stream_id: 7, body: &[6], token: None };
    pair.engines[0].send_message(pair.now, Outlet::Stream(pair.stream), &end).unwrap();
    pair.settle(HOP);
    pair.now += HOUR;
    pair.settle(HOP);
    pair.engines[0].trim();
    assert_eq!(pair.engines[0].stats().held_bytes, 0, "an hour later");
}

#[test]
fn the_id_of_a_stream_that_ended_is_forgotten() {
    ids_are_forgotten(0);
}

#[test]
fn the_id_of_a_stream_that_ended_on_a_leg_elsewhere_is_forgotten() {
    ids_are_forgotten(1);
}

#[test]
fn no_room_is_named_on_a_leg_elsewhere() {
    let mut pair = Pair::new(|tag| circuit(Role::Exit, tag), 0);
    // The leg here is full, the one elsewhere has room for ten.
    pair.engines[0].report(pair.now, pair.legs[0], &report(10, 10, MS)).unwrap();
    pair.engines[1].report(pair.now, pair.legs[1], &report(10, 0, 2 * MS)).unwrap();
    pair.settle(0);
    for _ in 0..3 {
        let data = Message { command: Command::DATA, hop: 0, stream_id: 5, body: b"x", token: None };
        let verdict = pair.engines[0].send_message(pair.now, Outlet::Choice(pair.set), &data).unwrap();
        assert_eq!(verdict.kind, VerdictKind::Held);
        assert_eq!(pair.engines[0].room(pair.set), Ok(0), "no host sends there");
    }
}
