//! What the model tests share: small numbers from a seed, all small inputs in turn, and an engine with linked legs.

#![allow(dead_code)] // each test binary uses a part

pub mod any_machines;
pub mod choices;
pub mod events;
pub mod legs;
pub mod machines;
pub mod naive_padding;
pub mod padding_net;
pub mod receiver;
pub mod sim;

use circflow::base::limits::HELD_BLOCK;
use circflow::base::{Hops, Id};
use circflow::conflux::{Algorithm, Report, Role, SetTerms};
use circflow::congestion::PathClass;
use circflow::engine::{
    CircuitConfig, CircuitFlags, Config, Engine, EngineHub, Error, Instruction, Outlet, VerdictKind, NO_REPORTS,
};
use circflow::hub::HubConfig;
use circflow::message::{Message, Token};
use circflow::reactor::Marks;
use circflow::wire::conflux::{Nonce, Ux};
use circflow::wire::Command;
use std::sync::Arc;

/// The books of engines that share a hub, or of one without: what each holds is what its sets and circuits hold, and
/// what the process has is what they have reserved, which is at most a block more.
pub fn check_books<'a>(hub: Option<&EngineHub>, engines: impl Iterator<Item = &'a Engine>) {
    let mut reserved = 0;
    for engine in engines {
        let stats = engine.stats();
        assert_eq!((stats.held_bytes, stats.leaving_bytes), engine.held_by_hand());
        assert!(stats.held_bytes <= stats.reserved_bytes && stats.crossing_bytes <= stats.held_bytes);
        assert!(stats.reserved_bytes <= stats.held_bytes + HELD_BLOCK, "{stats:?}");
        reserved += stats.reserved_bytes;
    }
    if let Some(hub) = hub {
        assert_eq!(hub.process().reserved(), reserved);
    }
}

/// A hub for an engine, or for several, that has nothing yet.
pub fn join<'a>(engines: impl Iterator<Item = &'a mut Engine>) -> EngineHub {
    let hub = EngineHub::new(&circflow::hub::HubConfig { seed: [1; 32], held_bytes_max: 1 << 30 });
    for engine in engines {
        engine.join_hub(&hub, std::sync::Arc::new(|_| ())).unwrap();
    }
    hub
}

/// Nothing is left to poll: an engine has reserved what it holds.
pub fn check_rest(engine: &Engine) {
    let stats = engine.stats();
    assert_eq!(stats.reserved_bytes, stats.held_bytes, "equal at rest");
}

/// A hop count that fits a client's circuit.
pub const HOPS: u8 = 3;
pub const ROUTE: Hops = match Hops::new(HOPS, 9) {
    Some(hops) => hops,
    None => Hops::NONE,
};

/// Runs a test's seeds and hands on what each brought about; with CIRCFLOW_SEED=n it only prints that of seed n, and
/// answers false. `name` is how cargo finds the test.
pub fn each_seed<S: std::fmt::Debug>(seeds: u64, name: &str, run: fn(u64) -> S, mut add: impl FnMut(S)) -> bool {
    if let Ok(seed) = std::env::var("CIRCFLOW_SEED") {
        println!("{:?}", run(seed.parse().expect("CIRCFLOW_SEED is a number")));
        return false;
    }
    for seed in 0..seeds {
        let Ok(story) = std::panic::catch_unwind(|| run(seed)) else {
            panic!("again: CIRCFLOW_SEED={seed} cargo test --test {name} -- --nocapture");
        };
        add(story);
    }
    true
}

/// SplitMix64: the same numbers from the same seed, on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `many` times.
    pub fn once_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// All small inputs in turn: a loop asks for numbers as it would ask a random source, and gets each combination once.
///
/// The questions of one round may depend on the answers before them.
#[derive(Debug, Default)]
pub struct Exhaust {
    answers: Vec<(usize, usize)>,
    asked: usize,
    started: bool,
}

impl Exhaust {
    /// Goes on to the next combination; false when there is none.
    pub fn round(&mut self) -> bool {
        self.asked = 0;
        if !std::mem::replace(&mut self.started, true) {
            return true;
        }
        while let Some((answer, bound)) = self.answers.pop() {
            if answer + 1 < bound {
                self.answers.push((answer + 1, bound));
                return true;
            }
        }
        false
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        if self.asked == self.answers.len() {
            self.answers.push((0, bound));
        }
        let (answer, same) = self.answers[self.asked];
        assert_eq!(bound, same, "the same answers must lead to the same question");
        self.asked += 1;
        answer
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[test]
fn exhaust_gives_every_combination_once() {
    let mut seen = Vec::new();
    let mut exhaust = Exhaust::default();
    while exhaust.round() {
        let first = exhaust.below(3);
        seen.push((first, if first == 1 { 9 } else { exhaust.below(2) }));
    }
    assert_eq!(seen, [(0, 0), (0, 1), (1, 9), (2, 0), (2, 1)]);
}

pub fn config(tag: u32) -> Config {
    Config {
        seed: [7; 32],
        tag,
        circuits_max: 1 << 10,
        sets_max: 1 << 8,
        instructions_max: 1 << 12,
        held_bytes_max: 256 << 20,
        marks: Marks { high: 8, low: 2, over: 32 },
        streams_max: 64,
        stream_bytes_max: 1 << 20,
        stream_memory: 60_000_000_000,
        pace: circflow::padding::Pace::default(),
        held_age_max: 120_000_000_000,
    }
}

pub fn terms(algorithm: Option<Algorithm>) -> SetTerms {
    SetTerms {
        tag: 77,
        nonce: Nonce::new([0x5a; 32]),
        desired_ux: Ux::NoOpinion,
        algorithm,
        link_timeout: 60_000_000_000,
        held_bytes_max: 16 << 20,
        switch_ahead_max: 1 << 20,
        legs_max: 16,
        launches_max: 5,
        held_sends_max: 32,
        held_age_max: None,
        switch_run_min: 0,
        ready_by_poll: false,
    }
}

pub fn circuit(role: Role, tag: u64) -> CircuitConfig {
    CircuitConfig {
        tag,
        role,
        hops: if role == Role::Client { ROUTE } else { Hops::NONE },
        flags: CircuitFlags::VEGAS,
        held_sends_max: 32,
        class: PathClass::Exit,
        sendme_inc: 0,
    }
}

pub fn report(cwnd: u64, inflight: u64, rtt: u64) -> Report {
    Report { cwnd, inflight, rtt, sendme_inc: 31, slow_start: false, blocked: false }
}

/// Machines as they are loaded: as text, none for an empty list.
pub fn load(machines: &[maybenot::Machine]) -> circflow::padding::Machines {
    let text: String = machines.iter().map(|machine| machine.serialize() + "\n").collect();
    if text.is_empty() {
        return circflow::padding::Machines::default();
    }
    circflow::padding::Machines::load(text.as_bytes()).unwrap()
}

/// A padder without limits.
pub fn padding_terms(machines: circflow::padding::Machines, hop: u8, slot: u8) -> circflow::padding::PadderTerms {
    circflow::padding::PadderTerms {
        machines,
        hop,
        slot,
        padding_frac: 0.0,
        blocking_frac: 0.0,
        inbound_frac: 0.0,
        inbound_grace: 0,
        queued_max: 1000,
        stop_at_end: false,
        opens_between: false,
        runs_reduced: false,
    }
}

/// An engine with one usable set: its legs are linked, have no round-trip time and no window yet.
pub fn linked_set(legs: usize, ux: Ux, terms: SetTerms) -> (Engine, Id, Vec<Id>) {
    let mut engine = Engine::new(&config(1)).unwrap();
    let set = engine.open_set(0, terms).unwrap();
    let ids: Vec<Id> = (0..legs)
        .map(|index| {
            let id = engine.open_circuit(0, circuit(Role::Client, index as u64)).unwrap();
            engine.adopt_leg(0, set, id, ux, 0).unwrap();
            id
        })
        .collect();
    (engine, set, ids)
}

/// A message from the join point of a client's circuit.
pub fn message(command: Command, body: &[u8], token: Option<Token>) -> Message<'_> {
    Message { command, hop: HOPS, stream_id: 5, body, token }
}

/// Engines of one hub, each of which accepts sets on these terms.
pub fn engines_of_a_hub<const N: usize>(configs: [Config; N], terms: &SetTerms) -> (EngineHub, [Engine; N]) {
    let hub = EngineHub::new(&HubConfig { seed: [3; 32], held_bytes_max: 1 << 30 });
    let begin = |config| {
        let mut engine = Engine::new(&config).unwrap();
        engine.join_hub(&hub, Arc::new(|_: circflow::hub::Call| {})).unwrap();
        engine.accept_sets(Some(terms.clone()));
        engine
    };
    let engines = configs.map(begin);
    (hub, engines)
}

/// Everything that waits, each with its body.
pub fn drain(engine: &mut Engine) -> Vec<(Instruction, Vec<u8>)> {
    let mut buffer = [0; 509];
    let mut all = Vec::new();
    while let Some(instruction) = engine.poll(&mut buffer).unwrap() {
        all.push((instruction, buffer.to_vec()));
        assert!(all.len() < 100_000, "the queue does not run out");
    }
    all
}

/// A verdict as the tests compare it: with what its kind says, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Deliver { circuit: Id, number: u64 },
    Held { circuit: Id, number: u64 },
    Consumed { circuit: Id },
    Refuse { circuit: Id, end_reason: u8 },
    Send { circuit: Id, number: u64, switch_delta: u32 },
}

impl From<circflow::engine::Verdict> for Verdict {
    fn from(said: circflow::engine::Verdict) -> Self {
        let circflow::engine::Verdict { circuit, number, switch_delta, end_reason, .. } = said;
        match said.kind {
            VerdictKind::Deliver => Verdict::Deliver { circuit, number },
            VerdictKind::Held => Verdict::Held { circuit, number },
            VerdictKind::Consumed => Verdict::Consumed { circuit },
            VerdictKind::Refuse => Verdict::Refuse { circuit, end_reason },
            VerdictKind::Send => Verdict::Send { circuit, number, switch_delta },
            VerdictKind::Forward => panic!("no cell passes in these tests"),
        }
    }
}

pub type Answer = Result<Verdict, Error>;

pub fn receive(engine: &mut Engine, now: u64, id: Id, message: &Message<'_>) -> Answer {
    engine.receive(now, id, message).map(Verdict::from)
}

pub fn decide(engine: &mut Engine, now: u64, set: Id, command: Command, hop: u8) -> Answer {
    engine
        .decide(now, set, command, hop, NO_REPORTS)
        .map(|verdict| Verdict::from(verdict.out().expect("nothing blocks")))
}

pub fn send(engine: &mut Engine, now: u64, set: Id, command: Command, hop: u8) -> Answer {
    engine
        .send_in_set(now, set, command, hop, NO_REPORTS)
        .map(|verdict| Verdict::from(verdict.out().expect("nothing blocks")))
}

/// The quick way first, as the C ABI does it.
pub fn send_short(engine: &mut Engine, now: u64, set: Id, command: Command, hop: u8) -> Answer {
    let message = Message { command, hop, stream_id: 5, body: &[], token: None };
    engine.send_message(now, Outlet::Set(set), &message).map(Verdict::from)
}

pub fn peek(engine: &mut Engine, set: Id) -> Answer {
    engine.peek(set).map(Verdict::from)
}
