//! Padding against a naive model of the contract with maybenot: random machines, random traces of one circuit.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{Blocked, CircuitConfig, CircuitFlags, Config, Engine, Error, VerdictKind, What};
use circflow::message::Message;
use circflow::padding::{Answer, Keys, Pace, Pad, PadderTerms};
use circflow::wire::Command;
use common::any_machines::{any_machines, tame};
use common::naive_padding::{Made, Naive, Out};
use common::{circuit, config, load, Rng, HOPS};
use maybenot::Machine;

/// What a circuit's host is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Client,
    ClientWithQueue,
    Relay,
}

fn opened_as(kind: Kind, room: u32, tag: u64) -> CircuitConfig {
    let role = if kind == Kind::Relay { Role::Exit } else { Role::Client };
    let flags = if kind == Kind::ClientWithQueue { CircuitFlags::OWN_QUEUE } else { CircuitFlags::default() };
    CircuitConfig { flags, held_sends_max: room, ..circuit(role, tag) }
}

fn seeded(seed: u64) -> Config {
    // Machines that rest are compared in tests/defences.rs, with those that do not.
    let pace = Pace { floor: 0, ..Pace::default() };
    Config { seed: [seed as u8; 32], pace, ..config(1) }
}

fn terms((hop, slot): (u8, u8), machines: &[Machine], fracs: (f64, f64), queued_max: usize) -> PadderTerms {
    let plain = common::padding_terms(load(machines), hop, slot);
    PadderTerms { padding_frac: fracs.0, blocking_frac: fracs.1, queued_max: queued_max as u32, ..plain }
}

fn message(command: Command, hop: u8, body: &[u8]) -> Message<'_> {
    Message { command, hop, stream_id: 5, body, token: None }
}

fn out_of(engine: &mut Engine) -> Vec<Out> {
    let drained = common::drain(engine).into_iter();
    drained
        .map(|(instruction, body)| match instruction.what {
            What::Pad { pad, asks } => Out::Pad { pad, asks },
            What::SendHeld(sent) => {
                assert_eq!((sent.message.body_len, sent.message.number), (8, 0));
                Out::Held { hop: sent.hop, serial: u64::from_le_bytes(body[..8].try_into().unwrap()) }
            }
            What::Block { bypassable } => Out::Block { bypassable },
            What::Unblock => Out::Unblock,
            What::MaySend => Out::Resume,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// What all traces together have seen.
#[derive(Default, Debug)]
struct Seen {
    calls: u64,
    events: u64,
    timers: u64,
    outs: u64,
    held: u64,
    resumed: u64,
    capped: u64,
    late: u64,
    overrun: u64,
}

struct Pair {
    engine: Engine,
    id: Id,
    kind: Kind,
    naive: Naive,
    keys: Keys,
    rng: Rng,
    zeros: bool,
    /// Padders come and go.
    restless: bool,
    now: u64,
    /// Things done when they were due, by the engine's own count.
    done: u64,
    serial: u64,
    open: Vec<Pad>,
    /// The cap on steps has left something to do.
    capped: bool,
    /// It was due a nanosecond later.
    rests_until: u64,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        let mut rng = Rng::new(seed);
        let kind = *rng.pick(&[Kind::Client, Kind::Client, Kind::ClientWithQueue, Kind::Relay]);
        let room = *rng.pick(&[1, 3, 32]);
        let config = seeded(seed);
        let mut engine = Engine::new(&config).unwrap();
        let now = rng.below(3) * 1_234_567;
        let id = engine.open_circuit(now, opened_as(kind, room, 1)).unwrap();
        let naive = Naive::new(kind == Kind::ClientWithQueue, room as usize);
        let (zeros, restless) = (rng.once_in(3), rng.once_in(4));
        let keys = Keys::new(&config.seed, config.tag);
        let (done, serial, open) = (0, 0, Vec::new());
        let mut pair = Pair {
            engine,
            id,
            kind,
            naive,
            keys,
            rng,
            zeros,
            restless,
            now,
            done,
            serial,
            open,
            capped: false,
            rests_until: 0,
        };
        for _ in 0..1 + pair.rng.below(3) {
            pair.install();
        }
        pair
    }

    fn any_hop(&mut self) -> u8 {
        if self.kind == Kind::Relay {
            0
        } else {
            1 + self.rng.below(u64::from(HOPS)) as u8
        }
    }

    fn install(&mut self) {
        let place = (self.any_hop(), self.rng.below(2) as u8);
        let machines = any_machines(&mut self.rng, self.zeros);
        let fracs = (*self.rng.pick(&[0.0, 0.0, 0.4, 1.0]), *self.rng.pick(&[0.0, 0.0, 0.3, 1.0]));
        let queued_max = *self.rng.pick(&[2, 9, 1000]);
        let said = self.engine.install_padder(self.now, self.id, &terms(place, &machines, fracs, queued_max));
        self.caught_up();
        let key = self.keys.draw();
        let is_new = !self.naive.places().contains(&place);
        assert_eq!(said.is_ok(), is_new);
        if is_new {
            self.naive.install(Made { place, machines, fracs, queued_max }, key, self.now);
        }
    }

    /// What was due came first in the call that was just made.
    fn caught_up(&mut self) {
        let done: u64 = self.engine.stats().lateness.0.iter().sum();
        let most = done - self.done;
        self.done = done;
        let steps = self.naive.run(self.now, most);
        if steps != most {
            self.naive.show();
        }
        assert_eq!(steps, most, "timers that were dealt with");
        self.capped = self.naive.next().is_some_and(|next| next <= self.now);
        // A wake-up for a timer that was moved counts as well.
        let rests = self.now < self.rests_until;
        assert!(most <= 64 && (!self.capped || most >= 62 || rests), "{most} steps, and more was due");
        if self.capped {
            self.rests_until = self.now + 1;
        }
    }

    fn call(&mut self) {
        let (now, id, hop) = (self.now, self.id, self.any_hop());
        match self.rng.below(32) {
            0..=4 => {
                self.engine.tick(now);
                self.caught_up();
                assert!(self.engine.deadline() > now, "no host spins");
            }
            5..=9 => {
                let padded: Vec<u8> = self.naive.places().iter().map(|place| place.0).collect();
                let is_padding = self.rng.once_in(2) && padded.contains(&hop);
                let command = if is_padding { Command::DROP } else { *self.rng.pick(&[Command::DATA, Command::END]) };
                let verdict = self.engine.receive(now, id, &message(command, hop, b"")).unwrap();
                assert_eq!(verdict.kind, if is_padding { VerdictKind::Consumed } else { VerdictKind::Deliver });
                self.caught_up();
                self.naive.received(hop, is_padding, now);
            }
            10 if self.kind == Kind::Relay => {
                self.engine.passing(now, id).unwrap();
                self.caught_up();
                self.naive.received(0, false, now);
            }
            10..=12 => {
                self.engine.sent(now, id, Command::SENDME, hop).unwrap();
                self.caught_up();
                self.naive.sent(hop, now);
            }
            13..=17 => {
                let cells = self.rng.below(4) + 40 * u64::from(self.rng.once_in(20));
                self.engine.written(now, id, cells as u32).unwrap();
                self.caught_up();
                self.naive.written(cells as usize, now);
            }
            18..=25 => self.send(hop),
            26 => {
                let control = self.engine.send_on_circuit(now, id, Command::SENDME, hop).unwrap();
                assert!(control.is_some(), "no block holds control back");
                self.caught_up();
                self.naive.sent(hop, now);
            }
            27 if self.restless => self.install(),
            28 if self.restless => {
                let place = (hop, self.rng.below(2) as u8);
                let said = self.engine.remove_padder(now, id, place.0, place.1);
                self.caught_up();
                assert_eq!(said.is_ok(), self.naive.places().contains(&place));
                if said.is_ok() {
                    self.naive.remove(place, now);
                    self.naive.run(now, 0);
                }
            }
            _ => self.answer(),
        }
    }

    fn send(&mut self, hop: u8) {
        self.serial += 1;
        let body = self.serial.to_le_bytes();
        let said = self.engine.send_on_circuit(self.now, self.id, Command::DATA, hop);
        let said = match said {
            Ok(Some(verdict)) => {
                assert_eq!(verdict.kind, VerdictKind::Send);
                Some(true)
            }
            Ok(None) => {
                let verdict = self.engine.hold_for_circuit(self.id, &message(Command::DATA, hop, &body)).unwrap();
                assert_eq!(verdict.kind, VerdictKind::Held);
                Some(false)
            }
            Err(Error::Blocked(Blocked::NoRoom)) => None,
            Err(other) => panic!("{other:?}"),
        };
        self.caught_up();
        assert_eq!(said, self.naive.send(hop, self.serial, self.now));
    }

    fn answer(&mut self) {
        let answer = *self.rng.pick(&[Answer::Sent, Answer::Sent, Answer::Replaced, Answer::Released, Answer::Refused]);
        let pad = if self.open.is_empty() || self.rng.once_in(10) {
            Pad { hop: self.any_hop(), slot: 0, machine: 0, bypass: false, replace: false }
        } else {
            let which = self.rng.below(self.open.len() as u64) as usize;
            self.open.swap_remove(which)
        };
        let said = self.engine.answer_padding(self.now, self.id, pad, answer);
        self.caught_up();
        assert_eq!(said.is_ok(), self.naive.answered(pad, answer, self.now));
    }

    fn pass_time(&mut self, seen: &mut Seen) {
        let next = self.naive.next();
        let step = match self.rng.below(16) {
            0..=3 => 0,
            // On time, and late by a little.
            4..=10 => next.map_or(0, |next| next.saturating_sub(self.now)),
            11 => next.map_or(0, |next| next.saturating_sub(self.now)) + self.rng.below(50_000_000),
            12 => self.rng.below(2000),
            13 => self.rng.below(1_000_000),
            14 => self.rng.below(100_000_000),
            _ => self.rng.below(4_000_000_000),
        };
        self.now += step;
        seen.late += u64::from(next.is_some_and(|next| next < self.now));
    }

    fn compare(&mut self) {
        let deadline = self.engine.deadline();
        if let Some(next) = self.naive.next() {
            let latest = if self.capped { self.now + 1 } else { self.now };
            assert!(deadline <= next.max(latest), "the host would sleep until {deadline}, but {next} is due");
        }
        for place in self.naive.places() {
            let stats = self.engine.padder_stats(self.id, place.0, place.1).unwrap();
            let expected = self.naive.stats(place, self.now);
            if stats != expected {
                self.naive.show();
            }
            assert_eq!(stats, expected, "{place:?} at {}, capped {}", self.now, self.capped);
        }
    }
}

fn run_trace(seed: u64, calls: u64, seen: &mut Seen) {
    let mut pair = Pair::new(seed);
    for call in 0..calls {
        pair.pass_time(seen);
        pair.call();
        if pair.naive.overrun {
            seen.overrun += 1;
            break;
        }
        pair.compare();
        seen.capped += u64::from(pair.capped);
        if pair.rng.once_in(2) || pair.naive.out.len() > 1000 || call + 1 == calls {
            let expected = pair.naive.take_out();
            let outs = out_of(&mut pair.engine);
            let differ = outs.iter().zip(&expected).position(|(out, other)| out != other);
            if outs != expected {
                pair.naive.show();
                let from = differ.unwrap_or(outs.len().min(expected.len()));
                panic!("call {call}: {:#?}, not {:#?}", outs.get(from), expected.get(from));
            }
            seen.outs += outs.len() as u64;
            for out in &outs {
                match *out {
                    Out::Pad { pad, asks: true } => pair.open.push(pad),
                    Out::Held { .. } => seen.held += 1,
                    Out::Resume => seen.resumed += 1,
                    _ => {}
                }
            }
        }
    }
    seen.calls += calls;
    seen.timers += pair.done;
    seen.events += pair.naive.events;
}

/// `PROPTEST_CASES` asks for more, `PADDING_SEED` for one.
#[test]
fn any_machines_on_one_circuit() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("PADDING_SEED");
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => 0..number("PROPTEST_CASES").unwrap_or(100),
    };
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        let mut in_this = Seen::default();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_trace(seed, 300, &mut in_this)));
        if let Err(panic) = outcome {
            eprintln!("PADDING_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
        for (all, this) in [
            (&mut seen.calls, in_this.calls),
            (&mut seen.events, in_this.events),
            (&mut seen.timers, in_this.timers),
            (&mut seen.outs, in_this.outs),
            (&mut seen.held, in_this.held),
            (&mut seen.resumed, in_this.resumed),
            (&mut seen.capped, in_this.capped),
            (&mut seen.late, in_this.late),
            (&mut seen.overrun, in_this.overrun),
        ] {
            *all += this;
        }
    }
    eprintln!("{seeds:?}: {seen:?}");
}

/// A circuit with padders in an engine that it may share, driven by numbers of its own.
struct Alone {
    id: Id,
    rng: Rng,
    outs: Vec<Out>,
}

impl Alone {
    fn act(&mut self, engine: &mut Engine, now: u64) {
        let (rng, id, hop) = (&mut self.rng, self.id, HOPS);
        match rng.below(5) {
            0 => drop(engine.receive(now, id, &message(Command::DATA, hop, b"")).unwrap()),
            1 => engine.sent(now, id, Command::SENDME, hop).unwrap(),
            2 => engine.written(now, id, rng.below(4) as u32).unwrap(),
            3 => engine.tick(now),
            _ => {
                if let Ok(None) = engine.send_on_circuit(now, id, Command::DATA, hop) {
                    engine.hold_for_circuit(id, &message(Command::DATA, hop, &[0; 8])).unwrap();
                }
            }
        }
    }
}

/// Runs circuits 0 to 2 of a seed, of those only the ones in `which` with anything happening on them; answers with the
/// stream of each. All have their padders, as keys are drawn in the order in which these are installed.
fn streams(seed: u64, which: &[usize]) -> Vec<Vec<Out>> {
    let mut engine = Engine::new(&seeded(seed)).unwrap();
    let mut circuits: Vec<Alone> = (0..3)
        .map(|tag| {
            let mut rng = Rng::new(seed * 3 + tag);
            let id = engine.open_circuit(0, opened_as(Kind::Client, 32, tag)).unwrap();
            for hop in [2, HOPS] {
                let machines: Vec<Machine> = any_machines(&mut rng, false).into_iter().map(tame).collect();
                engine.install_padder(0, id, &terms((hop, 0), &machines, (0.0, 0.0), 1000)).unwrap();
            }
            Alone { id, rng, outs: Vec::new() }
        })
        .collect();
    let mut clock = Rng::new(seed);
    let mut now = 0;
    for _ in 0..200 {
        now += clock.below(40_000_000);
        // On time, so that the streams do not hang on the calls that other circuits cause.
        while engine.deadline() <= now {
            let deadline = engine.deadline();
            engine.tick(deadline);
        }
        for &index in which {
            circuits[index].act(&mut engine, now);
        }
        for (instruction, _) in common::drain(&mut engine) {
            let about = circuits.iter_mut().find(|circuit| circuit.id == instruction.circuit).unwrap();
            about.outs.push(match instruction.what {
                What::Pad { pad, asks } => Out::Pad { pad, asks },
                What::SendHeld(sent) => Out::Held { hop: sent.hop, serial: now },
                What::MaySend => Out::Resume,
                other => panic!("{other:?}"),
            });
        }
    }
    circuits.into_iter().map(|circuit| circuit.outs).collect()
}

/// Same seed, same calls, same instructions; and a circuit's padding does not depend on the others'.
#[test]
fn padding_is_determined_and_each_circuits_own() {
    let mut seen = 0;
    for seed in 0..20 {
        let together = streams(seed, &[0, 1, 2]);
        assert_eq!(together, streams(seed, &[0, 1, 2]), "{seed}");
        for (index, in_company) in together.iter().enumerate() {
            assert_eq!(streams(seed, &[index])[index], *in_company, "{seed}: circuit {index} alone");
        }
        seen += together.iter().map(Vec::len).sum::<usize>();
    }
    assert!(seen > 1000, "only {seen}");
}
