//! A relay's edges, and the flow control of one stream, against models that know no instruction queue, no pools and no
//! timers: lists, flags and the text of prop324.

mod common;

use circflow::base::Id;
use circflow::conflux::{Fault, Role};
use circflow::congestion::PathClass;
use circflow::engine::{
    CircuitConfig, CircuitFlags, Config, Engine, EngineHub, Error, Instruction, Outlet, StreamConfig, VerdictKind, What,
};
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
        What::PauseFeed { side, pause } => {
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
                    let said = match engine.pass_quick(0, id, from) {
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
    fn new(is_client: bool) -> Self {
        NaiveStream {
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
        }
    }

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

/// One stream of one circuit, and its model.
struct StreamPlay {
    engine: Engine,
    hub: EngineHub,
    circuit: Id,
    hop: u8,
    stream: Id,
    naive: NaiveStream,
    now: u64,
    /// What the engine must say after this act: how often to go on, and which commands go out.
    resumes: u32,
    want: Vec<Command>,
}

const STREAM_ID: u16 = 9;

impl StreamPlay {
    fn new(is_client: bool) -> Self {
        let mut engine = Engine::new(&Config { stream_bytes_max: BUFFERED_MAX as u32, ..common::config(3) }).unwrap();
        let hub = common::join(std::iter::once(&mut engine));
        let params = [("cc_xoff_client", 10), ("cc_xoff_exit", 10), ("cc_xon_rate", 5000), ("cc_cwnd_init", 10_000)];
        for (name, value) in params {
            engine.set_param(PathClass::Exit, name, value).unwrap();
        }
        let (role, hop) = if is_client { (Role::Client, 3) } else { (Role::Exit, 0) };
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
        let circuit = engine.open_circuit(0, CircuitConfig { flags, ..common::circuit(role, 8) }).unwrap();
        let config = StreamConfig { tag: 1, stream_id: STREAM_ID, hop, priority: 0 };
        let stream = engine.open_stream(0, Owner::Circuit(circuit), &config).unwrap();
        engine.send_on_stream(0, stream, Command::BEGIN, 8).unwrap();
        let naive = NaiveStream::new(is_client);
        StreamPlay { engine, hub, circuit, hop, stream, naive, now: 1, resumes: 0, want: Vec::new() }
    }

    fn message<'a>(&self, command: Command, body: &'a [u8]) -> Message<'a> {
        Message { command, hop: self.hop, stream_id: STREAM_ID, body, token: None }
    }

    /// The other end's message comes, and is answered as the model answers it.
    fn hear(&mut self, command: Command, body: &[u8], model: Result<VerdictKind, Fault>) {
        let message = self.message(command, body);
        let got = self.engine.receive_long(self.now, self.circuit, &message, || Ok(&[1; 20]));
        assert_eq!(got.map(|verdict| verdict.kind), model.map_err(Error::Fault));
    }

    /// The stream lives on, unless a fault of the other end's has ended it.
    fn act(&mut self, act: u8, amount: u16) -> Result<(), Fault> {
        self.now += u64::from(amount % 5) * [0, 1, 1_000_000, 2_500_000][usize::from(act / 64)];
        if act % 16 == 15 {
            // The very moment that was promised, or the one before.
            self.now = self.now.max(self.naive.wake_at.unwrap_or(self.now) - u64::from(amount % 2));
        }
        (self.resumes, self.want) = (u32::from(self.naive.time_passes(self.now)), Vec::new());
        let bytes = u64::from(amount % 499);
        // What ends the stream comes, but not in every second act.
        let lives = !self.naive.is_client || amount % 8 == 0;
        match act % 16 {
            12 if !lives && (self.naive.stopped_us || self.naive.sent_for_xoff < LIMIT / 2) => self.send(amount),
            13 if !lives && !self.naive.stopped_us && self.naive.sent_for_xon < LIMIT / 2 => self.send(amount),
            0..=5 => {
                let model = self.naive.deliver(self.now, bytes);
                self.hear(Command::DATA, &vec![0; bytes as usize], model.map(|_| VerdictKind::Deliver));
                self.want.extend(model?);
            }
            6 | 7 => {
                let level = self.naive.buffered;
                let bytes = if amount % 3 == 0 { level } else { (bytes * 7).min(level) };
                self.want.extend(self.naive.flush(bytes));
                self.engine.flushed(self.now, self.stream, bytes as u32).unwrap();
            }
            8..=11 => self.send(amount),
            12 => self.xoff()?,
            13 => self.xon(u32::from(amount % 4) * u32::from(amount % 3))?,
            _ => self.engine.tick(self.now),
        }
        Ok(())
    }

    fn send(&mut self, amount: u16) {
        let bytes = amount % 499;
        let model = self.naive.send(self.now, bytes.into());
        let got = if amount % 2 == 0 {
            let message = self.message(Command::DATA, &[0; 498][..usize::from(bytes)]);
            self.engine.send_message(self.now, Outlet::Stream(self.stream), &message).is_ok()
        } else {
            self.engine.send_on_stream(self.now, self.stream, Command::DATA, bytes).is_ok()
        };
        assert_eq!(got, model.is_none());
        if let Some(Some(at)) = model {
            assert!(self.engine.deadline() <= at);
        }
    }

    fn xoff(&mut self) -> Result<(), Fault> {
        let model = self.naive.xoff();
        self.hear(Command::XOFF, &[0], model.map(|()| VerdictKind::Consumed));
        model?;
        // What its rate allows does not count before XON: the alarm is down, and what it said is not given.
        self.naive.wake_at = None;
        self.naive.waits |= std::mem::take(&mut self.resumes) > 0;
        Ok(())
    }

    fn xon(&mut self, kilobytes: u32) -> Result<(), Fault> {
        let model = self.naive.xon(self.now, kilobytes);
        let mut body = [0; 5];
        body[1..].copy_from_slice(&kilobytes.to_be_bytes());
        self.hear(Command::XON, &body, model.map(|()| VerdictKind::Consumed));
        model?;
        self.resumes += u32::from(std::mem::take(&mut self.naive.waits));
        self.naive.wake_at = None;
        Ok(())
    }

    fn check(&mut self) {
        let want = (self.resumes, std::mem::take(&mut self.want));
        assert_eq!(said(&mut self.engine, self.stream), want);
        common::check_books(Some(&self.hub), std::iter::once(&self.engine));
        common::check_rest(&self.engine);
        let stats = self.engine.stream_stats(self.stream).unwrap();
        assert_eq!((u64::from(stats.buffered), stats.stopped), (self.naive.buffered, self.naive.stopped_us));
    }
}

fn play_stream(is_client: bool, acts: &[(u8, u16)]) {
    let mut play = StreamPlay::new(is_client);
    for &(act, amount) in acts {
        if play.act(act, amount).is_err() {
            return;
        }
        play.check();
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
