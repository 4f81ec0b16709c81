//! Channels that circuits share, against a model with a number, a line and a list of those who were told: whose turn it
//! is, whatever happens to those in line.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Config, Engine, Instruction, StreamConfig, VerdictKind, What};
use circflow::message::Message;
use circflow::reactor::{Marks, Owner, Side};
use circflow::wire::Command;
use proptest::prelude::*;
use std::collections::VecDeque;

const MARKS: Marks = Marks { high: 1000, low: 2, over: 32 };
const SIDES: [Side; 2] = [Side::Back, Side::Next];
const MIDDLES: usize = 4;
const EXITS: usize = 3;
const PROMISE: u64 = 10_000_000;

/// A side of a circuit, by their numbers.
type Who = (usize, usize);

#[derive(Default)]
struct NaiveSide {
    channel: Option<usize>,
    full: bool,
    waiting: VecDeque<u32>,
    /// A mark of a channel of its own is in the queue.
    marked: bool,
    /// The host was refused.
    refused: bool,
    /// It is to be told in its turn.
    asks: bool,
    /// It is in the queue that it is told.
    told: bool,
}

#[derive(Default)]
struct NaiveChannel {
    room: u32,
    passed: u64,
    line: VecDeque<Who>,
    promises: VecDeque<(Who, u64)>,
    marked: bool,
    is_open: bool,
    /// When somebody looks at those who were told.
    looks_at: Option<u64>,
}

impl NaiveChannel {
    fn free(&self) -> u32 {
        self.room.saturating_sub(self.promises.len() as u32)
    }

    fn spend(&mut self, who: Who) {
        self.promises.retain(|(promised, _)| *promised != who);
        if self.room != u32::MAX {
            self.room = self.room.saturating_sub(1);
        }
        self.passed += 1;
    }

    fn takes(&self, who: Who) -> bool {
        let is_promised = self.promises.iter().any(|(promised, _)| *promised == who);
        if is_promised {
            self.room > 0
        } else {
            self.line.is_empty() && self.free() > 0
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Edge(Who),
    Channel(usize),
    MaySend(Who),
}

/// What is handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Out {
    Write(Who, u32),
    MaySend(Who),
}

#[derive(Default)]
struct Naive {
    now: u64,
    sides: Vec<[NaiveSide; 2]>,
    gone: Vec<bool>,
    channels: Vec<NaiveChannel>,
    queue: VecDeque<Mark>,
}

impl Naive {
    fn side(&mut self, who: Who) -> &mut NaiveSide {
        &mut self.sides[who.0][who.1]
    }

    fn settle(&mut self, channel: usize) {
        let known = &mut self.channels[channel];
        if !known.is_open || known.line.is_empty() || known.marked || known.room == 0 {
            return;
        }
        if known.free() > 0 {
            known.marked = true;
            self.queue.push_back(Mark::Channel(channel));
        } else {
            known.looks_at = known.promises.front().map(|(_, since)| since + PROMISE);
        }
    }

    fn line_up(&mut self, who: Who) {
        let Some(channel) = self.side(who).channel else { return };
        let known = &mut self.channels[channel];
        if !known.is_open || known.line.contains(&who) {
            return;
        }
        known.promises.retain(|(promised, _)| *promised != who);
        known.line.push_back(who);
        self.settle(channel);
    }

    fn is_clear(&mut self, who: Who) -> bool {
        let side = self.side(who);
        let (alone, channel) = (!side.full && side.waiting.is_empty(), side.channel);
        alone && channel.is_none_or(|channel| self.channels[channel].is_open && self.channels[channel].takes(who))
    }

    fn spend(&mut self, who: Who) {
        if let Some(channel) = self.side(who).channel {
            self.channels[channel].spend(who);
        }
    }

    /// What waits may go.
    fn wake(&mut self, who: Who) {
        let side = self.side(who);
        if side.full || side.waiting.is_empty() {
            return;
        }
        if side.channel.is_some() {
            self.line_up(who);
        } else if !std::mem::replace(&mut side.marked, true) {
            self.queue.push_back(Mark::Edge(who));
        }
    }

    /// A host that was refused may be told.
    fn room_changed(&mut self, who: Who) {
        if !self.side(who).refused {
            return;
        }
        if self.is_clear(who) {
            self.side(who).refused = false;
            if !std::mem::replace(&mut self.side(who).told, true) {
                self.queue.push_back(Mark::MaySend(who));
            }
        } else {
            self.ask(who);
        }
    }

    fn ask(&mut self, who: Who) {
        if let Some(channel) = self.side(who).channel {
            if !self.channels[channel].takes(who) || !self.channels[channel].is_open {
                self.side(who).asks = true;
                self.line_up(who);
            }
        }
    }

    fn cell(&mut self, who: Who, number: u32) -> VerdictKind {
        if self.is_clear(who) {
            self.spend(who);
            return VerdictKind::Forward;
        }
        self.side(who).waiting.push_back(number);
        self.wake(who);
        VerdictKind::Held
    }

    fn send(&mut self, who: Who) -> bool {
        if self.is_clear(who) {
            self.spend(who);
            return true;
        }
        self.side(who).refused = true;
        self.ask(who);
        false
    }

    fn leave(&mut self, who: Who) {
        let side = self.side(who);
        side.asks = false;
        if let Some(channel) = side.channel.take() {
            let known = &mut self.channels[channel];
            known.line.retain(|other| *other != who);
            known.promises.retain(|(other, _)| *other != who);
            self.settle(channel);
        }
    }

    fn sit(&mut self, who: Who, channel: Option<usize>) {
        if self.side(who).channel == channel {
            return;
        }
        self.leave(who);
        self.side(who).channel = channel;
        self.wake(who);
        if who.1 == 0 {
            self.room_changed(who);
        }
    }

    fn tick(&mut self) {
        for index in 0..self.channels.len() {
            let (now, known) = (self.now, &mut self.channels[index]);
            if !known.is_open || known.looks_at.is_none_or(|at| at > now) {
                continue;
            }
            known.looks_at = None;
            while known.room > 0
                && known.line.len() > known.free() as usize
                && known.promises.front().is_some_and(|(_, since)| since + PROMISE <= now)
            {
                known.promises.pop_front();
            }
            self.settle(index);
        }
    }

    fn poll(&mut self) -> Option<Out> {
        loop {
            match *self.queue.front()? {
                Mark::Edge(who) => {
                    let side = self.side(who);
                    let goes = !side.full && side.channel.is_none();
                    if let Some(number) = side.waiting.front().copied().filter(|_| goes) {
                        side.waiting.pop_front();
                        if side.waiting.is_empty() && who.1 == 0 {
                            self.room_changed(who);
                        }
                        return Some(Out::Write(who, number));
                    }
                    self.side(who).marked = false;
                    self.queue.pop_front();
                }
                Mark::Channel(channel) => match self.turn(channel) {
                    Some(out) => return Some(out),
                    None => {
                        self.channels[channel].marked = false;
                        self.queue.pop_front();
                        self.settle(channel);
                    }
                },
                Mark::MaySend(who) => {
                    self.queue.pop_front();
                    self.side(who).told = false;
                    if !self.gone[who.0] {
                        return Some(Out::MaySend(who));
                    }
                }
            }
        }
    }

    fn turn(&mut self, channel: usize) -> Option<Out> {
        loop {
            let known = &mut self.channels[channel];
            if !known.is_open || known.free() == 0 {
                return None;
            }
            let who = known.line.pop_front()?;
            let side = self.side(who);
            let full = side.full;
            if let Some(number) = side.waiting.front().copied().filter(|_| !full) {
                side.waiting.pop_front();
                let more = !side.waiting.is_empty();
                if !more && who.1 == 0 && side.refused {
                    side.asks = true;
                }
                let asks = self.side(who).asks;
                let known = &mut self.channels[channel];
                known.spend(who);
                if more || asks {
                    known.line.push_back(who);
                }
                return Some(Out::Write(who, number));
            }
            if std::mem::take(&mut side.asks) {
                let now = self.now;
                self.channels[channel].promises.push_back((who, now));
                self.room_changed(who);
            }
        }
    }
}

struct Real {
    engine: Engine,
    circuits: Vec<Id>,
    streams: Vec<Id>,
    channels: Vec<Id>,
    sent: u32,
}

fn begin() -> (Real, Naive) {
    let mut engine = Engine::new(&Config { marks: MARKS, ..common::config(3) }).unwrap();
    let mut naive = Naive::default();
    let run = CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0;
    let (mut circuits, mut streams) = (Vec::new(), Vec::new());
    for index in 0..MIDDLES + EXITS {
        let flags = CircuitFlags(if index < MIDDLES { run | CircuitFlags::EXTENDED.0 } else { run });
        let circuit = CircuitConfig { flags, ..common::circuit(Role::Exit, index as u64 + 1) };
        circuits.push(engine.open_circuit(0, circuit).unwrap());
        naive.sides.push(Default::default());
        naive.gone.push(false);
    }
    for &circuit in &circuits[MIDDLES..] {
        let config = StreamConfig { tag: 1, stream_id: 9, hop: 0, priority: 0 };
        let stream = engine.open_stream(0, Owner::Circuit(circuit), &config).unwrap();
        engine.send_on_stream(0, stream, Command::DATA, 8).unwrap();
        streams.push(stream);
    }
    let channels = (0..2).map(|_| engine.open_channel(0).unwrap()).collect();
    naive.channels.extend((0..2).map(|_| NaiveChannel { is_open: true, ..NaiveChannel::default() }));
    (Real { engine, circuits, streams, channels, sent: 0 }, naive)
}

impl Real {
    fn who(&self, instruction: &Instruction, side: usize) -> Who {
        (self.circuits.iter().position(|&id| id == instruction.circuit).unwrap(), side)
    }

    fn poll(&mut self) -> Option<Out> {
        let mut buffer = [0; 509];
        let instruction = self.engine.poll(&mut buffer).unwrap()?;
        Some(match instruction.what {
            What::Write { side, .. } => {
                let side = SIDES.iter().position(|&other| other == side).unwrap();
                Out::Write(self.who(&instruction, side), u32::from_be_bytes(buffer[..4].try_into().unwrap()))
            }
            What::MaySend => Out::MaySend(self.who(&instruction, 0)),
            other => panic!("{other:?}"),
        })
    }
}

/// What is done, to whom, and how much of it.
type Act = (u8, u8, u8);

fn play(acts: &[Act]) {
    let (mut real, mut naive) = begin();
    let mut number = 0;
    for &(act, which, amount) in acts {
        let (index, side, channel) =
            (usize::from(which) % (MIDDLES + EXITS), usize::from(which / 128), usize::from(amount % 2));
        let (middle, who) = (index < MIDDLES, (index, side));
        let (id, now) = (real.circuits[index], naive.now);
        // All but taking what is there looks at the clock first.
        if act % 16 < 14 {
            naive.tick();
            real.engine.tick(now);
        }
        match act % 16 {
            0..=5 if !naive.gone[index] => {
                for _ in 0..amount % 4 {
                    naive.tick();
                    if middle {
                        number += 1;
                        let mut body = [0; 509];
                        body[..4].copy_from_slice(&u32::to_be_bytes(number));
                        let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &body, token: None };
                        let from = SIDES[1 - side];
                        let engine = &mut real.engine;
                        let said = engine
                            .pass_quick(now, id, from)
                            .or_else(|| engine.pass_waiting_quick(now, id, from, &cell));
                        let said = said.map_or_else(|| engine.pass(now, id, from, &cell), Ok);
                        assert_eq!(said.unwrap().kind, naive.cell(who, number), "{who:?}");
                    } else if real.sent < 100 {
                        let stream = real.streams[index - MIDDLES];
                        let body = &[7; 100];
                        let data = Message { command: Command::DATA, hop: 0, stream_id: 9, body, token: None };
                        let outlet = circflow::engine::Outlet::Stream(stream);
                        let goes = real.engine.send_message(now, outlet, &data).is_ok();
                        assert_eq!(goes, naive.send((index, 0)), "{index}");
                        real.sent += u32::from(goes);
                    }
                }
            }
            6 | 7 => {
                let room = if amount > 250 { u32::MAX } else { u32::from(amount / 2 % 8) };
                let is_open = naive.channels[channel].is_open;
                let said = real.engine.set_channel_room(now, real.channels[channel], room);
                assert_eq!(said.is_ok(), is_open);
                if is_open {
                    naive.channels[channel].room = room;
                    naive.settle(channel);
                }
            }
            8 if !naive.gone[index] && middle => {
                naive.side(who).full = amount % 2 == 0;
                real.engine.set_writable(now, id, SIDES[side], amount % 2 != 0).unwrap();
                naive.wake(who);
            }
            9 | 10 if !naive.gone[index] => {
                // Only one channel has streams: which of two is due first at the same time, the model does not know.
                let (who, channel) = if middle { (who, channel) } else { ((index, 0), 1) };
                let to = (amount % 4 < 2).then_some(channel).filter(|&channel| naive.channels[channel].is_open);
                let name = to.map_or(Id::NONE, |channel| real.channels[channel]);
                real.engine.set_channel(now, id, SIDES[who.1], name).unwrap();
                naive.sit(who, to);
            }
            11 if amount > 200 && !naive.gone[index] => {
                real.engine.circuit_closed(now, id).unwrap();
                naive.gone[index] = true;
                for side in 0..2 {
                    naive.leave((index, side));
                    naive.side((index, side)).waiting.clear();
                }
            }
            12 if amount > 230 && naive.channels[channel].is_open => {
                real.engine.close_channel(real.channels[channel]).unwrap();
                let known = &mut naive.channels[channel];
                known.is_open = false;
                known.line.clear();
                known.promises.clear();
            }
            13 => {
                naive.now += u64::from(amount % 3) * PROMISE / 2;
                real.engine.tick(naive.now);
                naive.tick();
            }
            _ => {
                for _ in 0..amount % 16 {
                    let said = real.poll();
                    assert_eq!(said, naive.poll());
                    if said.is_none() {
                        break;
                    }
                }
            }
        }
        check(&mut real, &naive);
    }
    drain(&mut real, &mut naive);
}

fn check(real: &mut Real, naive: &Naive) {
    assert!(real.engine.channels_add_up());
    common::check_books(None, std::iter::once(&real.engine));
    for (&id, known) in real.channels.iter().zip(&naive.channels).filter(|(_, known)| known.is_open) {
        let stats = real.engine.channel_stats(id).unwrap();
        assert_eq!((stats.room, stats.passed), (known.room, known.passed));
        assert_eq!(stats.in_line as usize, known.line.len());
    }
}

/// Room for all, and those who were told send nothing: in the end nobody waits.
fn drain(real: &mut Real, naive: &mut Naive) {
    for channel in 0..2 {
        if naive.channels[channel].is_open {
            real.engine.set_channel_room(naive.now, real.channels[channel], 1).unwrap();
            naive.tick();
            naive.channels[channel].room = 1;
            naive.settle(channel);
        }
    }
    for _ in 0..1000 {
        loop {
            let said = real.poll();
            assert_eq!(said, naive.poll());
            if said.is_none() {
                break;
            }
        }
        check(real, naive);
        for channel in 0..2 {
            if naive.channels[channel].is_open && naive.channels[channel].room == 0 {
                real.engine.set_channel_room(naive.now, real.channels[channel], 1).unwrap();
                naive.tick();
                naive.channels[channel].room = 1;
                naive.settle(channel);
            }
        }
        if real.engine.wakes_at() == u64::MAX {
            break;
        }
        naive.now = naive.now.max(real.engine.wakes_at());
        real.engine.tick(naive.now);
        naive.tick();
    }
    assert!(naive.channels.iter().all(|known| known.line.is_empty()), "somebody waits for ever");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn turns_are_as_the_model_has_them(acts in prop::collection::vec(any::<Act>(), 0..150)) {
        play(&acts);
    }
}
