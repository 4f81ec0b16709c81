//! A relay's edges, and the flow control of one stream, against models that know no instruction queue, no pools and no
//! timers: lists, flags and the text of prop324.

mod common;

use circflow::base::Id;
use circflow::conflux::{Fault, Role};
use circflow::congestion::PathClass;
use circflow::engine::{CircuitConfig, CircuitFlags, Config, Engine, Error, Instruction, Outlet, VerdictKind, What};
use circflow::message::{Message, Token};
use circflow::reactor::{Marks, Owner, Side};
use circflow::wire::Command;
use proptest::prelude::*;
use std::collections::VecDeque;

const MARKS: Marks = Marks { high: 5, low: 2, over: 32 };

/// What comes to an edge, and what becomes of it.
#[derive(Default)]
struct NaiveEdge {
    full: bool,
    waiting: VecDeque<u32>,
    passed: u64,
    peak: usize,
    paused: bool,
    /// Pauses (true) and their ends that the source has not heard of.
    unheard: VecDeque<bool>,
}

impl NaiveEdge {
    fn offer(&mut self, cell: u32) -> Result<VerdictKind, Fault> {
        if !self.full && self.waiting.is_empty() {
            self.passed += 1;
            return Ok(VerdictKind::Forward);
        }
        if self.waiting.len() == (MARKS.high + MARKS.over) as usize {
            return Err(Fault::EdgeOverrun);
        }
        self.waiting.push_back(cell);
        self.peak = self.peak.max(self.waiting.len());
        if self.waiting.len() == MARKS.high as usize && !self.paused {
            self.paused = true;
            self.unheard.push_back(true);
        }
        Ok(VerdictKind::Held)
    }

    fn write(&mut self) -> Option<u32> {
        assert!(!self.full, "a full channel is given nothing");
        let cell = self.waiting.pop_front();
        self.passed += 1;
        if self.paused && self.waiting.len() <= MARKS.low as usize {
            self.paused = false;
            self.unheard.push_back(false);
        }
        cell
    }
}

const SIDES: [Side; 2] = [Side::Back, Side::Next];

fn place(side: Side) -> usize {
    SIDES.iter().position(|&other| other == side).unwrap()
}

fn obey(edges: &mut [NaiveEdge; 2], id: Id, instruction: &Instruction, buffer: &[u8]) {
    assert_eq!(instruction.circuit, id);
    match instruction.what {
        What::Write { side, cell } => {
            let read = || u32::from_be_bytes(buffer[..4].try_into().unwrap());
            let number = cell.token.map_or_else(read, |token| token.token as u32);
            assert_eq!((cell.len, cell.token.is_some()), (509, number % 3 == 0));
            assert_eq!(edges[place(side)].write(), Some(number));
        }
        What::Heed { side, pause } => {
            // The source of an edge is on the other side.
            assert_eq!(edges[place(side.opposite())].unheard.pop_front(), Some(pause));
        }
        other => panic!("{other:?}"),
    }
}

/// The first number is the act, the second the side, the third how often.
fn play_relay(acts: &[(u8, bool, u8)]) {
    let mut engine = Engine::new(&Config { marks: MARKS, ..common::config(3) }).unwrap();
    let hub = common::join(std::iter::once(&mut engine));
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | CircuitFlags::EXTENDED.0);
    let id = engine.open_circuit(0, CircuitConfig { flags, ..common::circuit(Role::Exit, 8) }).unwrap();
    let mut edges = [NaiveEdge::default(), NaiveEdge::default()];
    let (mut number, mut buffer) = (0u32, [0; 509]);
    for &(act, back, times) in acts {
        let from = if back { Side::Back } else { Side::Next };
        let edge = place(from.opposite());
        match act % 8 {
            0..=3 => {
                for _ in 0..times % 8 {
                    number += 1;
                    let mut body = [number as u8; 509];
                    body[..4].copy_from_slice(&number.to_be_bytes());
                    let token = (number % 3 == 0).then_some(Token { token: number.into(), cost: 600 });
                    let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &body, token };
                    let want = edges[edge].offer(number);
                    let said = match engine.pass_next(0, id, from) {
                        Some(verdict) => Ok(verdict),
                        None => engine.pass(0, id, from, &cell),
                    };
                    assert_eq!(said.map(|verdict| verdict.kind), want.map_err(Error::Fault));
                    if want.is_err() {
                        return;
                    }
                }
            }
            4 | 5 => {
                edges[edge].full = times % 2 == 0;
                engine.set_writable(0, id, from.opposite(), times % 2 != 0).unwrap();
            }
            6 => {
                for _ in 0..times % 8 {
                    let Some(instruction) = engine.poll(&mut buffer).unwrap() else { break };
                    obey(&mut edges, id, &instruction, &buffer);
                }
            }
            _ => {
                while let Some(instruction) = engine.poll(&mut buffer).unwrap() {
                    obey(&mut edges, id, &instruction, &buffer);
                }
                common::check_rest(&engine);
                for edge in &edges {
                    assert!(edge.full || edge.waiting.is_empty(), "an open edge keeps nothing");
                    assert!(edge.unheard.is_empty(), "the source has heard it");
                }
            }
        }
        common::check_books(Some(&hub), std::iter::once(&engine));
        let stats = engine.circuit_stats(id).unwrap();
        for (said, edge) in stats.edges.iter().zip(&edges) {
            assert_eq!(said.waiting as usize, edge.waiting.len());
            assert_eq!(said.waiting_peak as usize, edge.peak);
            assert_eq!((said.passed, said.paused, said.writable), (edge.passed, edge.paused, !edge.full));
        }
    }
}

/// What prop324 §4 says of one stream, without rates of our own: `cc_xon_rate` is more than these tests carry.
struct NaiveStream {
    is_client: bool,
    buffered: u64,
    stopped_them: bool,
    over_since: Option<u64>,
    stopped_us: bool,
    sent_for_xoff: u64,
    sent_for_xon: u64,
    /// Bytes in a second, 0 for no limit; and what is in the bucket, in billionths of a byte.
    rate: i128,
    bucket: i128,
    filled_at: u64,
    waits: bool,
    wake_at: Option<u64>,
}

const LIMIT: u64 = 10 * 488;
const BUFFERED_MAX: u64 = 60_000;
const GRACE: u64 = 5_000_000;
const BILLION: i128 = 1_000_000_000;

impl NaiveStream {
    fn deliver(&mut self, now: u64, bytes: u64) -> Result<Option<Command>, Fault> {
        if self.buffered + bytes > BUFFERED_MAX {
            return Err(Fault::StreamMemory);
        }
        self.buffered += bytes;
        if self.buffered <= LIMIT {
            self.over_since = None;
        } else if !self.stopped_them && now - *self.over_since.get_or_insert(now) > GRACE {
            (self.stopped_them, self.over_since) = (true, None);
            return Ok(Some(Command::XOFF));
        }
        Ok(None)
    }

    fn flush(&mut self, bytes: u64) -> Option<Command> {
        self.buffered -= bytes;
        if self.buffered <= LIMIT {
            self.over_since = None;
        }
        let says = self.stopped_them && self.buffered == 0;
        self.stopped_them &= !says;
        says.then_some(Command::XON)
    }

    fn xoff(&mut self) -> Result<(), Fault> {
        let early = self.sent_for_xoff < LIMIT / 2;
        if self.is_client && (self.stopped_us || early) {
            return Err(Fault::FlowAbuse);
        }
        if self.is_client {
            self.sent_for_xoff -= LIMIT / 2;
        }
        self.stopped_us = true;
        Ok(())
    }

    fn xon(&mut self, now: u64, kilobytes: u32) -> Result<(), Fault> {
        if self.is_client && !self.stopped_us {
            self.sent_for_xon = self.sent_for_xon.checked_sub(LIMIT / 2).ok_or(Fault::FlowAbuse)?;
        }
        self.stopped_us = false;
        self.fill(now);
        let had_none = self.rate == 0;
        self.rate = i128::from(kilobytes) * 1000;
        self.bucket = if had_none { self.rate * BILLION } else { self.bucket.min(self.rate * BILLION) };
        Ok(())
    }

    fn fill(&mut self, now: u64) {
        let since = i128::from(now - self.filled_at);
        self.filled_at = now;
        self.bucket = (self.bucket + since * self.rate).min(self.rate * BILLION);
    }

    /// None: it goes. Otherwise when to come back, if ever by itself.
    fn send(&mut self, now: u64, bytes: u64) -> Option<Option<u64>> {
        if self.stopped_us {
            self.waits = true;
            return Some(None);
        }
        if self.rate != 0 {
            self.fill(now);
            if self.bucket <= 0 {
                // The first nanosecond at which a thousandth of a thousandth of a byte is there.
                let wait = (1000 - self.bucket + self.rate - 1) / self.rate;
                self.waits = true;
                self.wake_at = Some(now + wait as u64);
                return Some(self.wake_at);
            }
            self.bucket -= i128::from(bytes) * BILLION;
        }
        self.sent_for_xoff += bytes;
        self.sent_for_xon += bytes;
        None
    }

    /// True when the host is to be told to go on.
    fn time_passes(&mut self, now: u64) -> bool {
        if self.wake_at.is_none_or(|at| at > now) {
            return false;
        }
        self.wake_at = None;
        std::mem::take(&mut self.waits)
    }
}

/// Drains, and counts MAY_SENDs of the stream and XOFFs and XONs of ours; SENDMEs are another matter.
fn said(engine: &mut Engine, stream: Id) -> (u32, Vec<Command>) {
    let (mut resumes, mut said) = (0, Vec::new());
    for (instruction, _) in common::drain(engine) {
        match instruction.what {
            What::MaySend => {
                assert_eq!(instruction.stream, stream);
                resumes += 1;
            }
            What::SendHeld(released) => said.push(released.message.command),
            What::Send { command: Command::SENDME, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    (resumes, said)
}

fn play_stream(is_client: bool, acts: &[(u8, u16)]) {
    let mut engine = Engine::new(&Config { stream_bytes_max: BUFFERED_MAX as u32, ..common::config(3) }).unwrap();
    let hub = common::join(std::iter::once(&mut engine));
    for (name, value) in [("cc_xoff_client", 10), ("cc_xoff_exit", 10), ("cc_xon_rate", 5000), ("cc_cwnd_init", 10_000)]
    {
        engine.set_param(PathClass::Exit, name, value).unwrap();
    }
    let (role, hop) = if is_client { (Role::Client, 3) } else { (Role::Exit, 0) };
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
    let id = engine.open_circuit(0, CircuitConfig { flags, ..common::circuit(role, 8) }).unwrap();
    let config = circflow::engine::StreamConfig { tag: 1, stream_id: 9, hop, priority: 0 };
    let stream = engine.open_stream(0, Owner::Circuit(id), &config).unwrap();
    engine.send_on_stream(0, stream, Command::BEGIN, 8).unwrap();
    let mut naive = NaiveStream {
        is_client,
        buffered: 0,
        stopped_them: false,
        over_since: None,
        stopped_us: false,
        sent_for_xoff: 0,
        sent_for_xon: 0,
        rate: 0,
        bucket: 0,
        filled_at: 0,
        waits: false,
        wake_at: None,
    };
    let mut now = 1;
    for &(act, amount) in acts {
        now += u64::from(amount % 5) * [0, 1, 1_000_000, 2_500_000][usize::from(act / 64)];
        if act % 16 == 15 {
            // The very moment that was promised, or the one before.
            now = now.max(naive.wake_at.unwrap_or(now) - u64::from(amount % 2));
        }
        let mut resumes = u32::from(naive.time_passes(now));
        let mut want = Vec::new();
        let bytes = u64::from(amount % 499);
        let heard = |command, body: &[u8], engine: &mut Engine| {
            let message = Message { command, hop, stream_id: 9, body, token: None };
            engine.receive_other(now, id, &message, || Ok(&[1; 20])).map(|verdict| verdict.kind)
        };
        // What ends the stream comes, but not in every second act.
        let lives = !is_client || amount % 8 == 0;
        let act = match act % 16 {
            12 if !lives && (naive.stopped_us || naive.sent_for_xoff < LIMIT / 2) => 8,
            13 if !lives && !naive.stopped_us && naive.sent_for_xon < LIMIT / 2 => 8,
            same => same,
        };
        match act {
            0..=5 => {
                let model = naive.deliver(now, bytes);
                let got = heard(Command::DATA, &vec![0; bytes as usize], &mut engine);
                assert_eq!(got, model.map(|_| VerdictKind::Deliver).map_err(Error::Fault));
                let Ok(says) = model else { return };
                want.extend(says);
            }
            6 | 7 => {
                let bytes = if amount % 3 == 0 { naive.buffered } else { (bytes * 7).min(naive.buffered) };
                want.extend(naive.flush(bytes));
                engine.flushed(now, stream, bytes as u32).unwrap();
            }
            8..=11 => {
                let model = naive.send(now, bytes);
                let body = &[0; 498][..bytes as usize];
                let message = Message { command: Command::DATA, hop, stream_id: 9, body, token: None };
                let got = if amount % 2 == 0 {
                    engine.send_message(now, Outlet::Stream(stream), &message).is_ok()
                } else {
                    engine.send_on_stream(now, stream, Command::DATA, bytes as u16).is_ok()
                };
                assert_eq!(got, model.is_none());
                if let Some(Some(at)) = model {
                    assert!(engine.deadline() <= at);
                }
            }
            12 => {
                let model = naive.xoff();
                let got = heard(Command::XOFF, &[0], &mut engine);
                assert_eq!(got, model.map(|()| VerdictKind::Consumed).map_err(Error::Fault));
                if model.is_err() {
                    return;
                }
                // What its rate allows does not count before XON: the alarm is down, and what it said is not given.
                naive.wake_at = None;
                naive.waits |= std::mem::take(&mut resumes) > 0;
            }
            13 => {
                let kilobytes = u32::from(amount % 4) * u32::from(amount % 3);
                let model = naive.xon(now, kilobytes);
                let mut body = [0; 5];
                body[1..].copy_from_slice(&kilobytes.to_be_bytes());
                let got = heard(Command::XON, &body, &mut engine);
                assert_eq!(got, model.map(|()| VerdictKind::Consumed).map_err(Error::Fault));
                if model.is_err() {
                    return;
                }
                resumes += u32::from(std::mem::take(&mut naive.waits));
                naive.wake_at = None;
            }
            _ => engine.tick(now),
        }
        assert_eq!(said(&mut engine, stream), (resumes, want));
        common::check_books(Some(&hub), std::iter::once(&engine));
        common::check_rest(&engine);
        let stats = engine.stream_stats(stream).unwrap();
        assert_eq!((u64::from(stats.buffered), stats.stopped), (naive.buffered, naive.stopped_us));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edges_are_as_the_model_has_them(acts in prop::collection::vec(any::<(u8, bool, u8)>(), 0..80)) {
        play_relay(&acts);
    }

    #[test]
    fn flow_control_is_as_the_model_has_it(
        is_client in any::<bool>(),
        acts in prop::collection::vec(any::<(u8, u16)>(), 0..200),
    ) {
        play_stream(is_client, &acts);
    }
}
