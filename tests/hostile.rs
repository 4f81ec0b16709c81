//! Any calls in any order with any values: the engine does not panic, keeps its caps, and loses no token.

mod common;

use circflow::base::{Hops, Id};
use circflow::conflux::choice::FAMILY;
use circflow::conflux::{Algorithm, LegNumbers, LinkState, Numbers, Report, Role, SetTerms};
use circflow::congestion::PathClass;
use circflow::engine::{
    CircuitConfig, CircuitFlags, Config, Engine, Error, Growth, Outlet, StreamConfig, VerdictKind, What, NO_REPORTS,
};
use circflow::message::{Message, Token};
use circflow::reactor::{Owner, Side};
use circflow::wire::conflux::{Link, Nonce, Switch, Ux};
use circflow::wire::Command;
use common::Verdict;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One call, as numbers of which each means something else in each call.
type Act = (u8, u8, u8, u16, u64);

/// The numbers of one call, and what it is about.
#[derive(Clone, Copy)]
struct Draw {
    now: u64,
    circuit: Id,
    set: Id,
    a: u8,
    b: u8,
    c: u16,
    d: u64,
}

const CIRCUITS_MAX: u32 = 12;
const SETS_MAX: u32 = 3;
const INSTRUCTIONS_MAX: u32 = 16;
const STREAMS_MAX: u32 = 4;

/// An engine with small caps, and the books of a host that trusts nobody.
struct Host {
    engine: Engine,
    held_bytes_max: u64,
    circuits: Vec<Id>,
    sets: Vec<Id>,
    streams: Vec<Id>,
    /// Tokens that the engine has taken and not given back.
    lent: BTreeMap<u64, u32>,
    next_token: u64,
    now: u64,
}

impl Host {
    fn new(held_bytes_max: u64) -> Self {
        let engine = Engine::new(&Config {
            seed: [1; 32],
            circuits_max: CIRCUITS_MAX,
            sets_max: SETS_MAX,
            instructions_max: INSTRUCTIONS_MAX,
            held_bytes_max,
            streams_max: STREAMS_MAX,
            stream_bytes_max: 3000,
            stream_memory: 200,
            pace: circflow::padding::Pace::default(),
            held_age_max: 300,
            ..common::config(5)
        });
        Host {
            engine: engine.unwrap(),
            held_bytes_max,
            circuits: vec![Id::NONE],
            sets: vec![Id::NONE],
            streams: vec![Id::NONE],
            lent: BTreeMap::new(),
            next_token: 1,
            now: 1000,
        }
    }

    fn circuit(&self, at: u8) -> Id {
        pick(&self.circuits, at)
    }

    fn set(&self, at: u8) -> Id {
        pick(&self.sets, at)
    }

    fn act(&mut self, (kind, a, b, c, d): Act) {
        let draw = Draw { now: self.time(a, d), circuit: self.circuit(b), set: self.set(a), a, b, c, d };
        match kind % 56 {
            kind @ 0..=3 => self.open(kind, draw),
            kind @ 4..=8 => self.change_legs(kind, draw),
            kind @ (9..=11 | 17 | 19) => self.change_set(kind, draw),
            kind @ (12..=16 | 18) => self.report_or_send(kind, draw),
            kind @ 20..=22 => self.take(kind, draw),
            kind @ 32.. => self.act_run(kind, draw),
            _ => self.receive(draw),
        }
        self.check();
    }

    fn open(&mut self, kind: u8, Draw { now, a, b, c, d, .. }: Draw) {
        match kind {
            0 | 1 => {
                let role = if a % 2 == 0 { Role::Client } else { Role::Exit };
                let length = if a % 16 == 15 { b } else { 3 * u8::from(role == Role::Client) };
                let flags = CircuitFlags(match b % 4 {
                    0 => u16::from(b / 4),
                    1 => pick(&[65, 65, 69, 73, 193], b / 4),
                    _ => 1,
                });
                // What is too long the door refuses.
                let Some(hops) = Hops::new(length, u64::from(c % 16 == 0)) else { return };
                let config = CircuitConfig { role, hops, flags, held_sends_max: 4, ..common::circuit(role, d) };
                self.circuits.extend(self.engine.open_circuit(now, config));
            }
            2 => self.sets.extend(self.engine.open_set(now, any_terms(b, c, d))),
            _ => self.engine.accept_sets((b % 8 != 0).then(|| any_terms(b, c, d))),
        }
    }

    /// Legs that come, are built, grow and go.
    fn change_legs(&mut self, kind: u8, Draw { now, circuit, set, a, b, c, d }: Draw) {
        match kind {
            4 | 5 => {
                let list: Vec<Id> = (0..c % 4).map(|step| self.circuit(b.wrapping_add(step as u8))).collect();
                let launch = if kind == 4 { Engine::add_legs } else { Engine::launch_legs };
                let _ = launch(&mut self.engine, now, set, &list);
            }
            6 => {
                let _ = self.engine.adopt_leg(now, set, circuit, Ux::from_wire(c as u8), odd(d));
            }
            7 => {
                let building = |engine: &Engine| engine.leg_stats(circuit).map(|leg| leg.state);
                self.engine.tick(now);
                let before = building(&self.engine);
                let answer = self.engine.circuit_built(now, circuit);
                let is_fit = before == Ok(LinkState::Building);
                assert!(is_fit || answer.is_err(), "{answer:?} for {before:?}");
                let after = if answer.is_ok() { Ok(LinkState::Pending) } else { before };
                assert_eq!(building(&self.engine), after);
            }
            _ if c % 3 != 0 => {
                let class = pick(&[PathClass::Exit, PathClass::Onion], a);
                let length = if a % 4 == 0 { b } else { 0 };
                let flags = CircuitFlags(if b % 8 == 0 { u16::from(a) } else { 1 });
                let growth = Growth { length, join: u64::from(c % 16 == 0), flags, class, sendme_inc: a % 3 * 31 };
                let _ = self.engine.extend_circuit(now, circuit, &growth);
            }
            _ => {
                let _ = self.engine.circuit_closed(now, circuit);
            }
        }
    }

    fn change_set(&mut self, kind: u8, Draw { now, circuit, set, a, b, c, d }: Draw) {
        match kind {
            9 => {
                let _ = self.engine.close_set(now, set);
            }
            10 => match c % 4 {
                0 => drop(self.engine.retag_set(set, d)),
                1 => drop(
                    self.engine.choose_by(set, pick(&[None, Some(Algorithm::MinRtt), Some(Algorithm::CwndRtt)], b)),
                ),
                _ => drop(self.engine.dissolve(now, set)),
            },
            11 => {
                let _ = self.engine.set_circuit_flags(circuit, CircuitFlags(a.into()));
            }
            17 => {
                // What is due is done first, whatever is fed.
                self.engine.tick(now);
                let before = self.engine.export(set);
                let _ = self.engine.decide(now, set, pick(&COMMANDS, b), 3, NO_REPORTS);
                if self.engine.set_stats(set).is_ok() {
                    assert_eq!(self.engine.export(set), before);
                }
            }
            _ => {
                let rows: Vec<LegNumbers> = (0..c % 3)
                    .map(|step| LegNumbers {
                        leg: self.circuit(b.wrapping_add(step as u8)),
                        sent: odd(d),
                        received: odd(d >> 9),
                    })
                    .collect();
                let numbers = Numbers { delivered: odd(d >> 18), sending: self.circuit(c as u8) };
                let _ = self.engine.import(now, set, numbers, &rows);
            }
        }
    }

    /// Time, what the host reports of its circuits, and what it sends.
    fn report_or_send(&mut self, kind: u8, Draw { now, circuit, set, b, c, d, .. }: Draw) {
        match kind {
            12 => self.engine.tick(now),
            13 | 14 => {
                let news = Report {
                    cwnd: odd(d),
                    inflight: odd(d >> 8),
                    rtt: odd(d >> 16),
                    sendme_inc: odd(d >> 24) as u32,
                    slow_start: c % 2 == 0,
                    blocked: c % 3 == 0,
                };
                let _ = self.engine.report(now, circuit, &news);
            }
            15 | 16 => {
                let hop = if c % 16 == 0 { b } else { 3 };
                let command = pick(&COMMANDS, b);
                let short = d % 2 == 0;
                let answer =
                    if short { common::send_short } else { common::send }(&mut self.engine, now, set, command, hop);
                assert!(!matches!(answer, Ok(Verdict::Send { circuit, number: 0, .. } | Verdict::Send { circuit, .. })
                    if circuit == Id::NONE));
            }
            _ => {
                let _ = self.engine.sent(now, circuit, pick(&COMMANDS, c as u8), (c >> 8) as u8 % 5);
            }
        }
    }

    /// Takes instructions, with buffers that may be too short.
    fn take(&mut self, kind: u8, Draw { set, b, c, .. }: Draw) {
        let mut buffer = vec![0; usize::from(c % 600)];
        if kind == 20 {
            if let Ok(Some(instruction)) = self.engine.set_poll(set, &mut buffer) {
                self.obey(instruction.what);
            }
            return;
        }
        for _ in 0..b % 8 {
            match self.engine.poll(&mut buffer) {
                Ok(Some(instruction)) => self.obey(instruction.what),
                Ok(None) => assert!(!self.engine.waiting()),
                Err(error) => assert_eq!(error, Error::TOO_SMALL),
            }
        }
    }

    /// What only circuits that are run know, tried on any.
    fn act_run(&mut self, kind: u8, draw: Draw) {
        let Draw { b, c, d, .. } = draw;
        let hop = if b % 16 == 15 { c as u8 } else { pick(&[0, 3, 3, 2], (d >> 8) as u8) };
        match kind {
            32..=38 | 48 => self.run_circuit(kind, hop, draw),
            39..=47 => self.run_stream(kind, hop, draw),
            49 | 50 => self.set_up(kind, hop, draw),
            _ => self.receive_run(hop, draw),
        }
    }

    fn run_circuit(&mut self, kind: u8, hop: u8, Draw { now, circuit, b, c, d, .. }: Draw) {
        let side = pick(&[Side::Back, Side::Next], c as u8);
        match kind {
            32..=35 => {
                let token = self.token(d, b);
                let cell = Message { command: Command(b), hop: 0, stream_id: 0, body: &[b; 509], token };
                let verdict = match self.engine.pass_quick(now, circuit, side) {
                    Some(verdict) => Ok(verdict),
                    None => self.engine.pass(now, circuit, side, &cell),
                };
                self.keep(verdict.map(|verdict| verdict.kind), token);
            }
            36 | 37 => {
                let _ = self.engine.set_writable(now, circuit, side, d % 2 == 0);
            }
            38 => {
                let _ = self.engine.add_digest(circuit, hop, &[b % 3; 20][..pick(&[20, 20, 16, 5], c as u8)]);
            }
            _ => {
                let _ = self.engine.close_circuit(now, circuit);
            }
        }
    }

    fn run_stream(&mut self, kind: u8, hop: u8, Draw { now, circuit, set, b, c, d, .. }: Draw) {
        let stream = pick(&self.streams, b);
        let owner = if d % 3 == 0 { Owner::Set(set) } else { Owner::Circuit(circuit) };
        match kind {
            39 | 40 => {
                let config = StreamConfig { tag: d, stream_id: c % 6, hop, priority: b % 3 };
                self.streams.extend(self.engine.open_stream(now, owner, &config));
            }
            41..=44 => {
                let command = pick(&SAID, b / 2);
                let token = self.token(d, b);
                let body = &[b; 498][..usize::from(c % 499)];
                let message = Message { command, hop, stream_id: 9, body, token };
                let outlet = Outlet::Stream(stream);
                let verdict = if d % 5 == 0 {
                    self.engine.send_long(now, outlet, &message.head(), NO_REPORTS, || Ok(message))
                } else {
                    self.engine.send_message(now, outlet, &message)
                };
                self.keep(verdict.map(|verdict| verdict.kind), token);
            }
            45 => {
                let _ = self.engine.flushed(now, stream, if c % 8 == 0 { odd(d) as u32 } else { u32::from(c % 700) });
            }
            46 => {
                let _ = self.engine.set_readable(stream, d % 4 != 0);
                let _ = self.engine.retag_stream(stream, d);
                let _ = self.engine.set_priority(stream, b % 3);
            }
            _ => {
                let _ = self.engine.next_stream(now, owner);
            }
        }
    }

    fn set_up(&mut self, kind: u8, hop: u8, Draw { now, circuit, b, c, .. }: Draw) {
        if kind == 49 {
            let class = pick(&[PathClass::Exit, PathClass::Onion, PathClass::Sbws], b);
            let (name, value) = pick(&PARAMS, c as u8);
            let _ = self.engine.set_param(class, name, value);
            let _ = (self.engine.circuit_stats(circuit), self.engine.stream_stats(pick(&self.streams, b)));
        } else if self.engine.circuit_stats(circuit).is_ok() {
            // On circuits that are run only: the host of the other acts sends where nothing blocks.
            let text = include_bytes!("machines/gate-1-11.txt");
            let Ok(list) = self.engine.load_machines(text) else { return };
            let machines = self.engine.machines(list).unwrap();
            self.engine.drop_machines(list).unwrap();
            let terms = common::padding_terms(machines, hop, b % 2);
            let _ = self.engine.install_padder(now, circuit, &terms);
        }
    }

    fn receive_run(&mut self, hop: u8, Draw { now, circuit, b, c, d, .. }: Draw) {
        let command = pick(&HEARD, b);
        let body: &[u8] = match command {
            Command::XOFF => &[0],
            Command::XON => &[0, 0, 0, 0, b % 4],
            Command::SENDME => &[[1, 0, 20].as_slice(), &[c as u8 % 3; 20]].concat(),
            _ => &[b; 498][..usize::from(c % 499)],
        };
        let needs_stream = !matches!(command, Command::SENDME | Command::DROP);
        let stream_id = if needs_stream { 1 + c % 5 } else { 0 };
        let token = self.token(d, b);
        let message = Message { command, hop, stream_id, body, token };
        let digest = [b % 3; 20];
        let verdict = match (command, d % 5) {
            (Command::DATA, 1..) => self.engine.receive_cell(now, circuit, &message, &digest),
            _ => self.engine.receive_long(now, circuit, &message, || Ok(&digest)),
        };
        if let Ok(verdict) = verdict {
            self.streams.extend(Some(verdict.stream).filter(|&stream| stream != Id::NONE));
        }
        self.keep(verdict.map(|verdict| verdict.kind), token);
    }

    fn token(&self, d: u64, b: u8) -> Option<Token> {
        (d % 2 == 0).then_some(Token { token: self.next_token, cost: pick(&[0, 1, 90, 700, u32::MAX], b) })
    }

    /// Books a token that was taken.
    fn keep(&mut self, kind: Result<VerdictKind, Error>, token: Option<Token>) {
        if let (Ok(VerdictKind::Held), Some(token)) = (kind, token) {
            assert!(self.lent.insert(token.token, token.cost).is_none());
            self.next_token += 1;
        }
    }

    fn receive(&mut self, Draw { now, circuit, a, b, c, d, .. }: Draw) {
        let command = if a % 4 == 0 { Command(c as u8) } else { pick(&COMMANDS, a / 4) };
        let body = match command {
            Command::CONFLUX_SWITCH => {
                Switch { delta: if c % 8 == 0 { d as u32 } else { u32::from(c % 4) } }.encode().to_vec()
            }
            Command::CONFLUX_LINK | Command::CONFLUX_LINKED => {
                let nonce = Nonce::new([(c % 3) as u8; 32]);
                let zero = c % 16 != 0;
                let last = |number: u64| if zero { 0 } else { number };
                Link { nonce, last_sent: last(d), last_received: last(d % 5), ux: Ux::from_wire(b) }.encode().to_vec()
            }
            _ => vec![b; usize::from(c % 499)],
        };
        let cut = if c % 64 == 63 { body.len().min(usize::from(b)) } else { body.len() };
        let token = self.token(d, b);
        let message = Message {
            command,
            hop: if b % 16 == 15 { a } else { 3 * u8::from(b % 4 != 0) },
            stream_id: if command.is_multiplexed() == (c % 32 != 0) { 7 } else { 0 },
            body: &body[..cut],
            token,
        };
        let verdict = common::receive(&mut self.engine, now, circuit, &message);
        if let (Ok(Verdict::Held { .. }), Some(token)) = (verdict, token) {
            assert!(self.lent.insert(token.token, token.cost).is_none());
            self.next_token += 1;
        }
    }

    fn obey(&mut self, what: What) {
        match what {
            What::Discard(token) => assert_eq!(self.lent.remove(&token.token), Some(token.cost)),
            What::Deliver(delivery) | What::Write { cell: delivery, .. } => {
                if let Some(token) = delivery.token {
                    assert_eq!(self.lent.remove(&token.token), Some(token.cost));
                }
            }
            What::SendHeld(released) => {
                if let Some(token) = released.message.token {
                    assert_eq!(self.lent.remove(&token.token), Some(token.cost));
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        let stats = self.engine.stats();
        assert!(stats.held_bytes <= self.held_bytes_max);
        assert!(stats.circuits <= CIRCUITS_MAX && stats.sets <= SETS_MAX);
        assert!(stats.streams <= STREAMS_MAX * (CIRCUITS_MAX + SETS_MAX));
        let lent: BTreeMap<u64, u32> = self.engine.tokens().collect();
        assert_eq!(lent, self.lent);
        let held: u64 = self.sets.iter().filter_map(|&set| self.engine.set_stats(set).ok()).map(|set| set.held).sum();
        assert!(held <= stats.held);
    }

    /// Closes everything: whatever went before, nothing is left.
    fn close(mut self) {
        for set in self.sets.clone() {
            let _ = self.engine.close_set(self.now, set);
        }
        for circuit in self.circuits.clone() {
            let _ = self.engine.circuit_closed(self.now, circuit);
        }
        // Sets that peers have opened are known by their instructions only; without circuits they are over as well.
        for (instruction, _) in common::drain(&mut self.engine) {
            self.obey(instruction.what);
        }
        self.engine.trim();
        let stats = self.engine.stats();
        assert_eq!((stats.circuits, stats.instructions, stats.timers), (0, 0, 0));
        assert_eq!((stats.held, stats.held_bytes, stats.pool_bytes), (0, 0, 0));
        assert_eq!((self.engine.tokens().count(), self.lent.len()), (0, 0));
        assert_eq!((stats.sets, stats.streams), (0, 0));
        assert_eq!(self.engine.deadline(), u64::MAX);
    }

    /// Mostly a step forward, sometimes back, to the deadline, or to the end of time.
    fn time(&mut self, a: u8, d: u64) -> u64 {
        match a {
            0..=9 => return self.now.saturating_sub(d % 2000),
            10..=19 => self.now = self.now.max(self.engine.deadline().min(1 << 60)),
            20 if d % 4 == 0 => return u64::MAX,
            _ => self.now = self.now.saturating_add(d % 50),
        }
        self.now
    }
}

const COMMANDS: [Command; 14] = [
    Command::DATA,
    Command::DATA,
    Command::DATA,
    Command::CONFLUX_SWITCH,
    Command::END,
    Command::CONFLUX_LINKED,
    Command::CONFLUX_SWITCH,
    Command::DATA,
    Command::CONFLUX_LINK,
    Command::CONFLUX_LINKED_ACK,
    Command::SENDME,
    Command::DROP,
    Command::BEGIN_DIR,
    Command::XOFF,
];

/// What a host sends on streams, and what it must not.
const SAID: [Command; 8] = [
    Command::DATA,
    Command::DATA,
    Command::DATA,
    Command::BEGIN,
    Command::END,
    Command::CONNECTED,
    Command::BEGIN_DIR,
    Command::XOFF,
];

const HEARD: [Command; 10] = [
    Command::DATA,
    Command::BEGIN,
    Command::DATA,
    Command::XOFF,
    Command::XON,
    Command::SENDME,
    Command::END,
    Command::BEGIN_DIR,
    Command::DROP,
    Command::CONNECTED,
];

const PARAMS: [(&str, u32); 6] = [
    ("cc_sendme_inc", 1),
    ("cc_cwnd_init", 31),
    ("cc_xoff_exit", 1),
    ("cc_xoff_client", 1),
    ("cc_xon_rate", 1),
    ("cc_cwnd_max", 500),
];

fn pick<T: Copy>(from: &[T], at: u8) -> T {
    from[usize::from(at) % from.len()]
}

/// Small numbers, and those at which things break.
fn odd(raw: u64) -> u64 {
    match raw % 16 {
        15 => u64::MAX,
        14 => u64::MAX - 1,
        13 => 1 << 62,
        12 => (1 << 31) - 1,
        11 => u64::from(u32::MAX) - 1,
        small => small,
    }
}

fn any_terms(b: u8, c: u16, d: u64) -> SetTerms {
    SetTerms {
        tag: d,
        nonce: Nonce::new([(c % 3) as u8; 32]),
        desired_ux: Ux::from_wire(b),
        algorithm: [None, Some(FAMILY[usize::from(b) / 2 % FAMILY.len()].algorithm)][usize::from(b % 2)],
        link_timeout: pick(&[0, 100, 100, u64::MAX], c as u8),
        held_bytes_max: pick(&[0, 700, 5000, u64::MAX], (d >> 8) as u8),
        switch_ahead_max: pick(&[0, 4, 1 << 20, u32::MAX], (d >> 16) as u8),
        legs_max: u32::from(c % 5),
        launches_max: u32::from(c % 7),
        held_sends_max: 4,
        held_age_max: [None, Some(0), Some(100), Some(u64::MAX)][usize::from(b % 4)],
        switch_run_min: [0, 0, 1, 7, u32::MAX][usize::from(b % 5)],
        ready_by_poll: (d >> 24) % 4 == 3,
    }
}

/// A start from which the calls get somewhere: some sets with linked legs.
fn started(held_bytes_max: u64, first: u8) -> Host {
    let mut host = Host::new(held_bytes_max);
    let mut terms = any_terms(0, 2, 0x0202_0200);
    terms.legs_max = 4;
    terms.launches_max = 4;
    host.engine.accept_sets(Some(terms.clone()));
    for role in [Role::Client, Role::Exit] {
        for tag in 0..3 {
            host.circuits.push(host.engine.open_circuit(0, common::circuit(role, tag)).unwrap());
        }
    }
    for (role, flags) in [(Role::Client, 65), (Role::Exit, 65), (Role::Exit, 69)] {
        let flags = CircuitFlags(flags);
        let config = CircuitConfig { flags, held_sends_max: 4, ..common::circuit(role, 9) };
        host.circuits.push(host.engine.open_circuit(0, config).unwrap());
    }
    host.sets.push(host.engine.open_set(0, terms).unwrap());
    if first % 4 != 0 {
        for at in 1..=2 + first % 2 {
            let (set, leg) = (host.sets[1], host.circuit(at));
            host.engine.adopt_leg(0, set, leg, Ux::from_wire(first), 1).unwrap();
            host.engine.report(0, leg, &common::report(20, 0, u64::from(at))).unwrap();
        }
    }
    host
}

/// The same with circuits that are run: a set with two legs and its streams, a leg's stream of its own, an exit, and a
/// relay.
fn started_run(held_bytes_max: u64, first: u8) -> Host {
    let mut host = Host::new(held_bytes_max);
    for (name, value) in
        [("cc_xoff_client", 1), ("cc_xoff_exit", 1), ("cc_xon_rate", 1), ("cc_cwnd_init", 31), ("cc_sendme_inc", 2)]
    {
        host.engine.set_param(PathClass::Exit, name, value).unwrap();
    }
    let flags = [(Role::Client, 73), (Role::Client, 73), (Role::Exit, 65), (Role::Exit, 69), (Role::Client, 193)];
    host.circuits.clear();
    for (role, flags) in flags {
        let config = CircuitConfig { flags: CircuitFlags(flags), held_sends_max: 4, ..common::circuit(role, 9) };
        host.circuits.push(host.engine.open_circuit(0, config).unwrap());
    }
    let mut terms = any_terms(0, 2, 0x0202_0200);
    (terms.legs_max, terms.held_bytes_max) = (4, u64::MAX);
    let set = host.engine.open_set(0, terms).unwrap();
    host.sets = vec![set];
    host.streams.clear();
    for leg in 0..1 + usize::from(first % 4 != 0) {
        host.engine.adopt_leg(0, set, host.circuits[leg], Ux::from_wire(first), 1).unwrap();
    }
    for (owner, hop, stream_id) in [
        (Owner::Set(set), 3, 1),
        (Owner::Set(set), 3, 2),
        (Owner::Circuit(host.circuits[0]), 2, 1),
        (Owner::Circuit(host.circuits[2]), 0, 1),
        (Owner::Circuit(host.circuits[3]), 0, 2),
    ] {
        let config = StreamConfig { tag: 1, stream_id, hop, priority: 0 };
        host.streams.push(host.engine.open_stream(0, owner, &config).unwrap());
    }
    host
}

/// An act that is not about anything else, with hops and stream ids that fit, mostly.
fn act_of_run(host: &mut Host, (kind, a, b, c, d): Act) {
    if a % 32 == 31 {
        return host.act((kind, a, b, c, d));
    }
    // Mostly what is well formed: what is not ends the circuit.
    let now = host.time(21 + a % 64, d << 20);
    let (circuit, set) = (host.circuit(b), pick(&host.sets, a));
    let draw = Draw { now, circuit, set, a, b, c, d };
    match kind % 8 {
        0 => {
            let ids = host.sets.clone();
            let act = if a % 64 == 7 { 10 } else { 21 };
            host.act((act, 60, if act == 10 { a } else { 7 }, 509, 0));
            host.sets.truncate(ids.len());
        }
        1 | 2 => host.act_run(41, Draw { d: d | 512, ..draw }),
        3 => host.act_run(32 + a % 7, draw),
        4 => host.act_run(45 + a % 3, Draw { c: c % 500, ..draw }),
        5 if a % 16 == 1 => host.act_run(50, draw),
        _ => {
            let place = usize::from(b) % 5;
            let hop = [3, 3, 0, 0, 3][place];
            let command = pick(&WELL, (d >> 8) as u8);
            let body: Vec<u8> = match command {
                Command::CONFLUX_SWITCH => vec![0, 0, 0, 1],
                Command::XON => vec![0, 0, 0, 0, b % 2],
                Command::XOFF => vec![0],
                _ => vec![1; usize::from(c % 499)],
            };
            let of_circuit = matches!(command, Command::CONFLUX_SWITCH | Command::DROP);
            let stream_id = if of_circuit { 0 } else { 1 + u16::from(a % 2) };
            let token = host.token(d, b);
            let message = Message { command, hop, stream_id, body: &body, token };
            let Some(&circuit) = host.circuits.get(place) else { return };
            let verdict = match host.engine.receive_cell(now, circuit, &message, &[1; 20]) {
                Ok(verdict) => {
                    host.streams.extend(Some(verdict.stream).filter(|&stream| stream != Id::NONE));
                    Ok(verdict.kind)
                }
                Err(error) => Err(error),
            };
            host.keep(verdict, token);
        }
    }
    host.check();
}

const WELL: [Command; 10] = [
    Command::DATA,
    Command::DATA,
    Command::DATA,
    Command::DATA,
    Command::CONFLUX_SWITCH,
    Command::XON,
    Command::XOFF,
    Command::END,
    Command::BEGIN,
    Command::DROP,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_calls(
        held_bytes_max in prop::sample::select(vec![0, 1, 600, 20_000, u64::MAX]),
        first in any::<u8>(),
        acts in prop::collection::vec(any::<Act>(), 0..120),
    ) {
        let mut host = started(held_bytes_max, first);
        for act in acts {
            host.act(act);
        }
        host.close();
    }

    #[test]
    fn any_calls_about_circuits_that_are_run(
        held_bytes_max in prop::sample::select(vec![1100, 3000, 20_000, u64::MAX]),
        first in any::<u8>(),
        acts in prop::collection::vec(any::<Act>(), 0..150),
    ) {
        let mut host = started_run(held_bytes_max, first);
        for act in acts {
            act_of_run(&mut host, act);
        }
        host.close();
    }
}

/// What may wait when a host never drains: the cap, and what is already on its way to a close when the cap is reached.
const BOUND: u32 = INSTRUCTIONS_MAX + 4 * (CIRCUITS_MAX + SETS_MAX);

fn assert_bounded(what: &str, mut again: impl FnMut(&mut Host)) {
    let mut host = started(u64::MAX, 1);
    for round in 0..1000 {
        again(&mut host);
        let waiting = host.engine.stats().instructions;
        assert!(
            waiting <= BOUND,
            "{what}: {waiting} instructions wait after {round} rounds; the cap is {INSTRUCTIONS_MAX}"
        );
    }
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_handshakes() {
    assert_bounded("LINK", |host| {
        let circuit = host.engine.open_circuit(0, common::circuit(Role::Exit, 0));
        let body = Link { nonce: Nonce::new([9; 32]), last_sent: 0, last_received: 0, ux: Ux::NoOpinion }.encode();
        let link = Message { command: Command::CONFLUX_LINK, hop: 0, stream_id: 0, body: &body, token: None };
        if let Ok(circuit) = circuit {
            let _ = host.engine.receive(0, circuit, &link);
            host.engine.circuit_closed(0, circuit).unwrap();
        }
    });
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_resumes() {
    assert_bounded("MAY_SEND", |host| {
        let (set, legs) = (host.sets[1], [host.circuits[1], host.circuits[2], host.circuits[3]]);
        for blocked in [true, false] {
            for leg in legs {
                let _ = host.engine.report(0, leg, &Report { blocked, ..common::report(10, 0, 1) });
            }
            let _ = host.engine.decide(0, set, Command::DATA, 3, NO_REPORTS);
        }
    });
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_ends_of_sets() {
    assert_bounded("ENDED", |host| {
        if let Ok(set) = host.engine.open_set(0, any_terms(0, 1, 0)) {
            let _ = host.engine.close_set(0, set);
        }
    });
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_faults() {
    assert_bounded("CLOSE", |host| {
        if let Ok(circuit) = host.engine.open_circuit(0, common::circuit(Role::Exit, 0)) {
            let odd = Message { command: Command::CONFLUX_SWITCH, hop: 0, stream_id: 0, body: &[0; 4], token: None };
            let _ = host.engine.receive(0, circuit, &odd);
            host.engine.circuit_closed(0, circuit).unwrap();
        }
    });
}

/// The last moment there is: a message that moves a number moves it then, too.
#[test]
fn the_end_of_time_is_a_time() {
    let mut host = started(u64::MAX, 1);
    let leg = host.circuits[1];
    let data = common::message(Command::DATA, b"x", None);
    let verdict = common::receive(&mut host.engine, u64::MAX, leg, &data);
    assert_eq!(verdict, Ok(Verdict::Deliver { circuit: leg, number: 1 }));
    assert_eq!(host.engine.set_stats(host.sets[1]).unwrap().delivered, 1);
    host.close();
}

/// A clock that steps back does not take a leg's last activity back with it.
#[test]
fn an_earlier_time_is_read_as_the_latest() {
    let mut host = started(u64::MAX, 1);
    let set = host.sets[1];
    host.engine.tick(5000);
    common::send(&mut host.engine, 4000, set, Command::DATA, 3).unwrap();
    assert_eq!(host.engine.set_stats(set).unwrap().last_active, 5000);
    let leg = host.circuits[2];
    common::receive(&mut host.engine, 3000, leg, &common::message(Command::DATA, b"x", None)).unwrap();
    assert_eq!(host.engine.set_stats(set).unwrap().last_active, 5000);
    assert_eq!(host.engine.stats().time_backwards, 2);
}

/// A body longer than any relay message can be is the caller's mistake, whatever else is so; it costs nothing.
#[test]
fn a_body_that_cannot_be_leaves_nothing_behind() {
    let mut host = started(u64::MAX, 1);
    let leg = host.circuits[1];
    let switch = Message { stream_id: 0, ..common::message(Command::CONFLUX_SWITCH, &[0, 0, 0, 5], None) };
    host.engine.receive(1, leg, &switch).unwrap();
    let _ = host.engine.receive(1, leg, &common::message(Command::DATA, &[0; 4000], None));
    host.close();
}

/// A stream of an exit that circflow runs, and its circuit.
fn stream_of(host: &mut Host) -> (Id, Id) {
    let circuit = host.circuits[8];
    let begin = Message { command: Command::BEGIN, hop: 0, stream_id: 3, body: b"x", token: None };
    (circuit, host.engine.receive_long(0, circuit, &begin, || Ok(&[])).unwrap().stream)
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_resumes_of_circuits() {
    let mut opened = None;
    assert_bounded("MAY_SEND of a circuit", |host| {
        let (circuit, stream) = *opened.get_or_insert_with(|| stream_of(host));
        host.engine.set_writable(0, circuit, Side::Back, false).unwrap();
        host.engine.next_stream(0, Owner::Circuit(circuit)).unwrap_err();
        host.engine.send_on_stream(0, stream, Command::DATA, 1).unwrap_err();
        host.engine.set_writable(0, circuit, Side::Back, true).unwrap();
    });
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_resumes_of_streams() {
    let mut opened = None;
    assert_bounded("MAY_SEND of a stream", |host| {
        let (circuit, stream) = *opened.get_or_insert_with(|| {
            // A window that the test does not fill.
            host.engine.set_param(PathClass::Exit, "cc_cwnd_init", 10_000).unwrap();
            let config = CircuitConfig { flags: CircuitFlags(65), ..common::circuit(Role::Exit, 9) };
            host.circuits[8] = host.engine.open_circuit(0, config).unwrap();
            let (circuit, stream) = stream_of(host);
            let xon = Message { command: Command::XON, hop: 0, stream_id: 3, body: &[0, 0, 0, 0, 1], token: None };
            host.engine.receive_long(0, circuit, &xon, || Ok(&[])).unwrap();
            host.engine.set_readable(stream, true).unwrap();
            (circuit, stream)
        });
        host.now += 2_000_000_000;
        let now = host.now;
        while host.engine.send_on_stream(now, stream, Command::DATA, 498).is_ok() {}
        let _ = host.engine.next_stream(now, Owner::Circuit(circuit));
    });
}

#[test]
fn a_host_that_never_drains_cannot_pile_up_flow_control() {
    let mut opened = None;
    assert_bounded("XOFF, XON, SENDME, END, PAUSE_FEED", |host| {
        let (circuit, stream) = *opened.get_or_insert_with(|| stream_of(host));
        host.now += 6_000_000;
        let now = host.now;
        for command in [Command::DATA, Command::BEGIN, Command::BEGIN_DIR] {
            for stream_id in [3, 4, 5, 6, 7] {
                let message = Message { command, hop: 0, stream_id, body: &[0; 400], token: None };
                let _ = host.engine.receive_long(now, circuit, &message, || Ok(&[7; 20]));
            }
        }
        let _ = host.engine.flushed(now, stream, 400);
        let relay = host.circuits[9];
        let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &[0; 509], token: None };
        for writable in [false, true] {
            host.engine.set_writable(now, relay, Side::Next, writable).unwrap();
            let _ = host.engine.pass(now, relay, Side::Back, &cell);
        }
    });
}
