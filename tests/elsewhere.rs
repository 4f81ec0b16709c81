//! A leg on another engine of the hub: what is sent on it has left, and no room is promised on it.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, EngineHub, Outlet, Released, VerdictKind, What};
use circflow::event::Class;
use circflow::message::{Message, Token};
use circflow::wire::conflux::{Link, Nonce, Switch, Ux};
use circflow::wire::Command;
use common::{circuit, config, drain, engines_of_a_hub, load, padding_terms, report, terms, Rng};

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;

/// Two engines; the set of the end that answers lives on the first, and has a leg on each.
struct Pair {
    hub: EngineHub,
    engines: [Engine; 2],
    legs: [Id; 2],
    set: Id,
    /// The stream that was opened last.
    stream: Id,
    now: u64,
}

impl Pair {
    /// `like` is what the circuits are opened with, by `hop` the messages come.
    fn new(like: impl Fn(u64) -> CircuitConfig, hop: u8) -> Pair {
        let (hub, engines) = engines_of_a_hub([config(1), config(2)], &terms(None));
        let mut pair = Pair { hub, engines, legs: [Id::NONE; 2], set: Id::NONE, stream: Id::NONE, now: 1000 * MS };
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

/// How messages of a set go on a leg elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// On the short ways, at both engines.
    Short,
    /// On the long ways: the home's engine records, and the leg has a padder, which does nothing.
    Long,
    /// The padder and the recording come and go.
    Mixed,
}

/// What came out of both engines for the peer: leg, command, body or token.
type Sent = Vec<(usize, Command, Vec<u8>)>;

struct Back {
    pair: Pair,
    /// What has gone on each leg.
    sent: [Sent; 2],
    padded: bool,
}

impl Back {
    fn new() -> Back {
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
        let mut pair = Pair::new(|tag| CircuitConfig { flags, ..circuit(Role::Exit, tag) }, 0);
        pair.come(0, 0, Command::BEGIN, 7, b"x:80\0");
        pair.settle(0);
        assert_ne!(pair.stream, Id::NONE);
        Back { pair, sent: [vec![], vec![]], padded: false }
    }

    fn pad(&mut self, padded: bool) {
        let (engine, leg, now) = (&mut self.pair.engines[1], self.pair.legs[1], self.pair.now);
        match (std::mem::replace(&mut self.padded, padded), padded) {
            (false, true) => engine.install_padder(now, leg, &padding_terms(load(&[]), 0, 0)).unwrap(),
            (true, false) => engine.remove_padder(now, leg, 0, 0).unwrap(),
            _ => {}
        }
    }

    fn record(&mut self, records: bool) {
        self.pair.engines[0].record(if records { 1 << 16 } else { 0 }, Class::EVERY).unwrap();
    }

    /// Sends a message that ends with its number. False when there is no room.
    fn send(&mut self, number: u8, len: usize, token: bool) -> bool {
        let mut body = vec![0; len];
        body[len - 1] = number;
        let token = token.then_some(Token { token: number.into(), cost: 100 });
        let data = Message { command: Command::DATA, hop: 0, stream_id: 0, body: &body, token };
        let verdict = self.pair.engines[0].send_message(self.pair.now, Outlet::Stream(self.pair.stream), &data);
        let Ok(verdict) = verdict else { return false };
        assert_eq!((verdict.stream, verdict.stream_tag), (self.pair.stream, 0));
        if verdict.kind == VerdictKind::Send {
            if verdict.switch_delta != 0 {
                let switch = Switch { delta: verdict.switch_delta }.encode();
                self.sent[0].push((0, Command::CONFLUX_SWITCH, switch.to_vec()));
            }
            self.sent[0].push((0, Command::DATA, if token.is_some() { vec![number] } else { body }));
        }
        true
    }

    /// Takes up to so many instructions.
    fn take(&mut self, at: usize, most: u64) {
        let mut buffer = [0; 509];
        for _ in 0..most {
            let Some(instruction) = self.pair.engines[at].poll(&mut buffer).unwrap() else { break };
            match instruction.what {
                What::Send { command, body_len, .. } => {
                    assert_eq!(instruction.circuit, self.pair.legs[at]);
                    self.sent[at].push((at, command, buffer[..body_len.into()].to_vec()));
                }
                What::SendHeld(Released { hop, message }) => {
                    // A SWITCH that padding held comes like this, too.
                    let stream_id = if message.command == Command::DATA { 7 } else { 0 };
                    let of = (0, self.pair.legs[at], stream_id);
                    assert_eq!((hop, instruction.circuit, message.stream_id), of);
                    let token = message.token.map(|token| vec![token.token as u8]);
                    let body = token.unwrap_or_else(|| buffer[..message.body_len.into()].to_vec());
                    self.sent[at].push((at, message.command, body));
                }
                _ => {}
            }
        }
    }

    /// The numbers in the order in which the peer puts them, from the numbers of its two legs.
    fn in_order(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for sent in &self.sent {
            let mut number = 0;
            for (_, command, body) in sent {
                match *command {
                    Command::CONFLUX_SWITCH => number += u32::from_be_bytes(body[..4].try_into().unwrap()),
                    Command::DATA => {
                        number += 1;
                        all.push((number, *body.last().unwrap()));
                    }
                    _ => {}
                }
            }
        }
        all.sort_unstable();
        assert!(all.iter().zip(1..).all(|((number, _), expected)| *number == expected), "each number once: {all:?}");
        all.into_iter().map(|(_, sent)| sent).collect()
    }
}

/// Sends by chance on both legs, with the host of the leg's engine in any state of its drain. `fills`: the link may be
/// full, and then there is room at other times on other ways. Answers what went out, and what the engines counted.
fn back_by_chance(seed: u64, way: Way, fills: bool) -> ([Sent; 2], [String; 2]) {
    let (mut rng, mut switches, mut back) = (Rng::new(seed), Rng::new(seed ^ 1), Back::new());
    back.pad(way == Way::Long);
    back.record(way == Way::Long);
    let mut count = 0;
    for _ in 0..400 {
        back.pair.now += 1000;
        let (what, most) = (rng.below(20), rng.below(6));
        match what {
            0 => {
                let leg = back.pair.legs[rng.below(2) as usize];
                back.pair.engines[0].name_leg(back.pair.set, leg).unwrap();
            }
            1..=2 => back.pair.engines[1].tick(back.pair.now),
            3..=4 => back.take(1, most),
            5 => {
                back.pair.engines[0].tick(back.pair.now);
                back.take(0, 100);
            }
            _ => {
                let (len, token) = (1 + rng.below(498) as usize, rng.once_in(4));
                count += u8::from(count < 200 && back.send(count, len, token));
                if count % 40 == 0 && !fills {
                    back.pair.engines[1].tick(back.pair.now);
                    back.take(1, 1000);
                }
            }
        }
        if way == Way::Mixed && switches.once_in(3) {
            back.pad(switches.once_in(2));
            back.record(switches.once_in(2));
        }
        common::check_books(Some(&back.pair.hub), back.pair.engines.iter());
    }
    for _ in 0..4 {
        back.pair.now += MS;
        for at in 0..2 {
            back.pair.engines[at].tick(back.pair.now);
            back.take(at, 1000);
        }
    }
    back.pair.engines.iter_mut().for_each(|engine| engine.tick(back.pair.now));
    assert_eq!(back.in_order(), (0..count).collect::<Vec<_>>(), "each message once, in its place");
    for engine in &back.pair.engines {
        assert_eq!(engine.stats().held_bytes, 0, "nothing is held any more");
        common::check_rest(engine);
    }
    let counted = [0, 1].map(|at| &back.pair.engines[at]).map(|e| format!("{:?} {:?}", e.stats().spent, e.totals()));
    (back.sent, counted)
}

#[test]
fn the_short_way_back_does_what_the_long_ones_do() {
    let mut crossed = 0;
    for seed in 0..150 {
        let short = back_by_chance(seed, Way::Short, false);
        assert!(short == back_by_chance(seed, Way::Long, false), "seed {seed}");
        assert!(short == back_by_chance(seed, Way::Mixed, false), "seed {seed}, mixed");
        back_by_chance(seed, Way::Short, true);
        back_by_chance(seed, Way::Mixed, true);
        crossed += short.0[1].len();
    }
    assert!(crossed > 150 * 40, "{crossed}");
}

/// The queue does not grow while a host ticks and does not drain; and a padder that comes meanwhile changes no order.
#[test]
fn one_mark_stands_for_all_that_lies_in_the_link() {
    let mut back = Back::new();
    back.pair.engines[0].name_leg(back.pair.set, back.pair.legs[1]).unwrap();
    for number in 0..20 {
        back.pad(number == 10);
        assert!(back.send(number, 1, false));
        back.pair.engines[1].tick(back.pair.now);
        assert_eq!(back.pair.engines[1].stats().instructions, 1);
    }
    back.take(1, 100);
    assert_eq!(back.in_order(), (0..20).collect::<Vec<_>>());
}
