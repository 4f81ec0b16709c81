//! One padded circuit, run twice: by two engines on a link in virtual time, and by maybenot-simulator.
//!
//! Both runs are told when the applications send, and both answer with an [`Outcome`]: what went on the wire, and when.

use super::{circuit, config, load, padding_terms, HOPS};
use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{Engine, VerdictKind, What};
use circflow::message::Message;
use circflow::padding::{Pace, PadderTerms};
use circflow::wire::Command;
use maybenot::{Machine, TriggerEvent};
use maybenot_simulator::network::Network;
use maybenot_simulator::{parse_trace, sim_advanced, SimEvent, SimulatorArgs};
use std::collections::VecDeque;
use std::time::Duration;

/// The two ends, as indices.
pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// What one run is made with.
pub struct Case<'a> {
    /// Each way, nanoseconds.
    pub delay: u64,
    /// What runs at the client and at the server.
    pub machines: [&'a [Machine]; 2],
    /// What the machines draw from.
    pub seed: u64,
    /// A block of no duration ends blocking; see [`blocked`].
    pub ends_short: bool,
    /// How much machines do at a time; circflow only.
    pub pace: Pace,
}

/// When each end's application sends, nanoseconds.
pub type Emissions = [Vec<u64>; 2];

/// What happened at one end until the last normal cell of both directions had arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// When the application sent each cell.
    pub emitted: Vec<u64>,
    /// When that cell went on the wire.
    pub sent: Vec<u64>,
    /// When padding cells went on the wire.
    pub padding: Vec<u64>,
    /// Padding actions for which a cell that waited counted.
    pub replaced: u64,
    /// Time blocked.
    pub blocked: u64,
}

impl End {
    /// What the block added to each normal cell, sorted.
    pub fn delays(&self) -> Vec<u64> {
        assert_eq!(self.emitted.len(), self.sent.len());
        let mut delays: Vec<u64> = self.emitted.iter().zip(&self.sent).map(|(from, to)| to - from).collect();
        delays.sort_unstable();
        delays
    }

    /// The wire as an observer sees it: times of cells, whatever they are.
    pub fn wire(&self) -> Vec<u64> {
        let mut times = [&self.sent[..], &self.padding].concat();
        times.sort_unstable();
        times
    }
}

/// Both ends, and when the last normal cell arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub ends: [End; 2],
    pub finish: u64,
}

/// When the applications send so that the client sees the trace, if nothing pads.
pub fn emissions(trace: &str, delay: u64) -> Emissions {
    let mut emissions = Emissions::default();
    for line in trace.lines() {
        let mut fields = line.split(',');
        let at: u64 = fields.next().unwrap().parse().unwrap();
        match fields.next() {
            Some("s") => emissions[CLIENT].push(at),
            Some("r") => emissions[SERVER].push(at - delay),
            other => panic!("{other:?} in a trace"),
        }
    }
    emissions
}

// ---- circflow ----

struct Host {
    engine: Engine,
    id: Id,
    hop: u8,
    delay: u64,
    /// On their way to this end: when, and which normal cell.
    incoming: VecDeque<(u64, Option<u64>)>,
    arrived: u64,
    log: End,
}

impl Host {
    fn new(end: usize, case: &Case<'_>) -> Host {
        let mut config = config(1 + end as u32);
        config.seed[..8].copy_from_slice(&(2 * case.seed + end as u64).to_le_bytes());
        config.pace = case.pace;
        let mut engine = Engine::new(&config).unwrap();
        let (role, hop) = if end == CLIENT { (Role::Client, HOPS) } else { (Role::Exit, 0) };
        let mut circuit = circuit(role, 0);
        circuit.held_sends_max = 1 << 20;
        let id = engine.open_circuit(0, circuit).unwrap();
        // The gap at the end of a block is as the simulator has it, and RegulaTor needs.
        let plain = padding_terms(load(case.machines[end]), hop, 0);
        let terms = PadderTerms { queued_max: 1 << 20, opens_between: true, ..plain };
        engine.install_padder(0, id, &terms).unwrap();
        Host { engine, id, hop, delay: case.delay, incoming: VecDeque::new(), arrived: 0, log: End::default() }
    }

    fn next(&self, emissions: &[u64]) -> u64 {
        let app = emissions.get(self.log.emitted.len()).copied().unwrap_or(u64::MAX);
        let link = self.incoming.front().map_or(u64::MAX, |&(at, _)| at);
        app.min(link).min(self.engine.deadline())
    }

    /// What is for this end to do at `now`, one thing of each kind.
    fn step(&mut self, now: u64, emissions: &[u64], out: &mut VecDeque<(u64, Option<u64>)>) {
        if emissions.get(self.log.emitted.len()) == Some(&now) {
            let number = self.log.emitted.len() as u64;
            self.log.emitted.push(now);
            match self.engine.send_on_circuit(now, self.id, Command::DATA, self.hop).unwrap() {
                // What is due may have let something out that goes first.
                Some(verdict) => {
                    assert_eq!(verdict.kind, VerdictKind::Send);
                    self.drain(now, out);
                    self.put(now, Some(number), out);
                }
                None => {
                    let body = number.to_le_bytes();
                    let message =
                        Message { command: Command::DATA, hop: self.hop, stream_id: 5, body: &body, token: None };
                    self.engine.hold_for_circuit(self.id, &message).unwrap();
                }
            }
            self.drain(now, out);
        }
        if self.incoming.front().is_some_and(|&(at, _)| at == now) {
            let (_, cell) = self.incoming.pop_front().unwrap();
            let (command, stream_id) = if cell.is_some() { (Command::DATA, 5) } else { (Command::DROP, 0) };
            let message = Message { command, hop: self.hop, stream_id, body: &[], token: None };
            let verdict = self.engine.receive(now, self.id, &message).unwrap();
            match cell {
                Some(number) => {
                    assert_eq!(verdict.kind, VerdictKind::Deliver);
                    assert_eq!(number, self.arrived, "each cell arrives once, and in order");
                    self.arrived += 1;
                }
                None => assert_eq!(verdict.kind, VerdictKind::Consumed),
            }
            self.drain(now, out);
        }
        if self.engine.deadline() <= now {
            self.engine.tick(now);
            self.drain(now, out);
        }
    }

    /// A cell goes on the link, and is written at once.
    fn put(&mut self, now: u64, cell: Option<u64>, out: &mut VecDeque<(u64, Option<u64>)>) {
        out.push_back((now + self.delay, cell));
        match cell {
            Some(_) => self.log.sent.push(now),
            None => self.log.padding.push(now),
        }
        self.engine.written(now, self.id, 1).unwrap();
    }

    fn drain(&mut self, now: u64, out: &mut VecDeque<(u64, Option<u64>)>) {
        let mut body = [0; 509];
        while let Some(instruction) = self.engine.poll(&mut body).unwrap() {
            match instruction.what {
                What::Pad { asks: false, .. } => self.put(now, None, out),
                What::SendHeld(_) => {
                    let number = u64::from_le_bytes(body[..8].try_into().unwrap());
                    self.put(now, Some(number), out);
                }
                What::MaySend => {}
                other => panic!("not expected: {other:?}"),
            }
        }
    }
}

/// Two engines and a link.
pub fn run_circflow(case: &Case<'_>, emissions: &Emissions) -> Outcome {
    let [mut client, mut server] = [CLIENT, SERVER].map(|end| Host::new(end, case));
    let done = |client: &Host, server: &Host| {
        client.arrived == emissions[SERVER].len() as u64 && server.arrived == emissions[CLIENT].len() as u64
    };
    let mut finish = 0;
    loop {
        let now = client.next(&emissions[CLIENT]).min(server.next(&emissions[SERVER]));
        // Everything of the last moment still counts.
        if done(&client, &server) && now > finish {
            break;
        }
        finish = now;
        client.step(now, &emissions[CLIENT], &mut server.incoming);
        server.step(now, &emissions[SERVER], &mut client.incoming);
    }
    let ends = [client, server].map(|mut host| {
        host.engine.tick(finish);
        let stats = host.engine.padder_stats(host.id, host.hop, 0).unwrap();
        assert_eq!(stats.refused, 0);
        assert_eq!(stats.padding_sent, host.log.padding.len() as u64);
        assert_eq!(stats.normal_sent, host.log.emitted.len() as u64);
        host.log.replaced = stats.replaced;
        host.log.blocked = stats.blocked;
        host.log
    });
    Outcome { ends, finish }
}

// ---- maybenot-simulator ----

/// The simulator, given the same. The times in `emitted` are those at which it let the applications send: it puts them
/// off when a block has held cells back.
pub fn run_simulator(case: &Case<'_>, emissions: &Emissions) -> Outcome {
    // More cells a second than there can be: no bottleneck.
    let network = Network::new(Duration::from_nanos(case.delay), Some(1_000_000_000));
    let queue = parse_trace(&trace(emissions, case.delay), network);
    let cells = queue.len();
    let mut args = SimulatorArgs::new(network, 0, false);
    args.insecure_rng_seed = Some(case.seed);
    // Some machines never end, so neither would it: as many events as it takes.
    args.max_sim_iterations = 20 * cells;
    let events = loop {
        let events = sim_advanced(case.machines[CLIENT], case.machines[SERVER], &mut queue.clone(), &args);
        let normal = |event: &&SimEvent| event.event == TriggerEvent::TunnelRecv && !event.contains_padding;
        if events.iter().filter(normal).count() == cells {
            break events;
        }
        assert!(args.max_sim_iterations < 10_000 * cells, "cells that never arrive");
        args.max_sim_iterations *= 2;
    };
    outcome_of(&events, case.ends_short)
}

/// The trace that the client sees when nothing pads.
fn trace(emissions: &Emissions, delay: u64) -> String {
    let sent = emissions[CLIENT].iter().map(|&at| (at, 's'));
    let received = emissions[SERVER].iter().map(|&at| (at + delay, 'r'));
    let mut lines: Vec<(u64, char)> = sent.chain(received).collect();
    lines.sort_by_key(|&(at, _)| at);
    lines.iter().map(|(at, direction)| format!("{at},{direction}\n")).collect()
}

fn outcome_of(events: &[SimEvent], ends_short: bool) -> Outcome {
    let start = events[0].time;
    let at = |event: &SimEvent| (event.time - start).as_nanos() as u64;
    let last = events.iter().rposition(|event| event.event == TriggerEvent::TunnelRecv && !event.contains_padding);
    let finish = at(&events[last.unwrap()]);
    let ends = [true, false].map(|client| {
        let mut end = End::default();
        let mut paddings = 0;
        let own = || events.iter().filter(|event| event.client == client && at(event) <= finish);
        for event in own() {
            match event.event {
                TriggerEvent::NormalSent => end.emitted.push(at(event)),
                TriggerEvent::PaddingSent { .. } => paddings += 1,
                TriggerEvent::TunnelSent if event.contains_padding => end.padding.push(at(event)),
                TriggerEvent::TunnelSent => end.sent.push(at(event)),
                _ => {}
            }
        }
        end.replaced = paddings - end.padding.len() as u64;
        end.blocked = blocked(own().map(|event| (at(event), &event.event)), finish, ends_short);
        end
    });
    Outcome { ends, finish }
}

/// How long a block was on, as its events tell. A block of duration 0 is reported by the simulator as BlockingEnd and
/// then BlockingBegin, which is also how a block looks that follows another at once: `ends_short` says which it is.
fn blocked<'a>(events: impl Iterator<Item = (u64, &'a TriggerEvent)>, finish: u64, ends_short: bool) -> u64 {
    let (mut sum, mut since, mut ended) = (0, None, None);
    for (at, event) in events {
        match event {
            TriggerEvent::BlockingBegin { .. } if since.is_none() && !(ends_short && ended == Some(at)) => {
                since = Some(at);
            }
            TriggerEvent::BlockingEnd => {
                sum += at - since.take().unwrap_or(at);
                ended = Some(at);
            }
            _ => {}
        }
    }
    sum + since.map_or(0, |since| finish - since)
}
