//! The two ends: engines, and hosts that feed and drain them, with the streams between them.

use crate::link::Cell;
use crate::network::{Circ, Net};
use crate::world::{Work, MIB};
use circflow::base::limits;
use circflow::base::time::NEVER;
use circflow::base::{Hops, Id, Nanos};
use circflow::conflux::{Algorithm, Role, SetTerms};
use circflow::congestion::PathClass;
use circflow::engine::{
    CircuitConfig, CircuitFlags, Config, Engine, Error, Instruction, Outlet, StreamConfig, Verdict, VerdictKind, What,
};
use circflow::message::{Delivery, Message, Token};
use circflow::reactor::{Marks, Owner};
use circflow::wire::conflux::{Nonce, Switch, Ux};
use circflow::wire::Command;

pub const CLIENT: usize = 0;
pub const EXIT: usize = 1;

/// Bytes of a full DATA cell.
pub const DATA_MAX: u64 = 498;
/// What a message costs its receiver while it is held: a whole cell.
pub const HELD_COST: u32 = 514;
/// A receiver as a stock one: what it holds for order has no bound of its own.
const HELD_MAX: u64 = 1024 * MIB;

/// Hops of the circuits, and their last one.
const LENGTH: u8 = 3;
const JOIN: u64 = 9;

static FILL: [u8; DATA_MAX as usize] = [0x55; DATA_MAX as usize];

pub struct End {
    pub engine: Engine,
    pub set: Id,
    ticks_at: Nanos,
}

/// A stream from the client to the exit. Its id is its index and one.
#[derive(Clone, Debug)]
pub struct Stream {
    ids: [Id; 2],
    /// The circuit that it is on; none for the set.
    rival: Option<usize>,
    sender: usize,
    /// Bytes still to be sent, and whether the sender was asked for them.
    left: u64,
    asked: bool,
    sent: u64,
    got: u64,
    /// Bytes in all; none for those without an end.
    total: Option<u64>,
    /// For an interactive stream: when each message was written.
    talk: Option<Vec<Nanos>>,
}

impl End {
    pub fn new(end: usize, algorithm: Algorithm) -> End {
        let config = Config {
            seed: [14; 32],
            tag: end as u32 + 1,
            circuits_max: 64,
            sets_max: 8,
            instructions_max: limits::INSTRUCTIONS_DEFAULT,
            held_bytes_max: HELD_MAX,
            marks: Marks {
                high: limits::EDGE_HIGH_DEFAULT,
                low: limits::EDGE_LOW_DEFAULT,
                over: limits::EDGE_OVER_DEFAULT,
            },
            streams_max: limits::STREAMS_DEFAULT,
            stream_bytes_max: limits::STREAM_BUFFERED_DEFAULT,
            stream_memory: limits::STREAM_MEMORY_DEFAULT,
            pace: circflow::padding::Pace::default(),
            held_age_max: limits::HELD_AGE_DEFAULT,
        };
        let mut engine = Engine::new(&config).expect("an engine with the default limits");
        if end == EXIT {
            engine.accept_sets(Some(terms(algorithm)));
        }
        End { engine, set: Id::NONE, ticks_at: NEVER }
    }
}

fn terms(algorithm: Algorithm) -> SetTerms {
    SetTerms {
        tag: 1,
        nonce: Nonce::new([0x5a; 32]),
        desired_ux: Ux::NoOpinion,
        algorithm: Some(algorithm),
        link_timeout: limits::LINK_TIMEOUT_DEFAULT,
        held_bytes_max: HELD_MAX,
        switch_ahead_max: limits::SWITCH_AHEAD_DEFAULT,
        legs_max: limits::LEGS_DEFAULT,
        launches_max: limits::LAUNCHES_DEFAULT,
        held_sends_max: limits::HELD_SENDS_DEFAULT,
        held_age_max: None,
        switch_run_min: 0,
        ready_by_poll: false,
    }
}

fn hop(end: usize) -> u8 {
    if end == CLIENT {
        LENGTH
    } else {
        0
    }
}

/// What stands for the running digest after a cell: both ends count alike, as links keep order.
fn digest(serial: u64) -> [u8; 20] {
    let mut digest = [0x11; 20];
    digest[..8].copy_from_slice(&serial.to_le_bytes());
    digest
}

impl Net<'_> {
    pub fn open_circuit(&mut self, leg: usize, is_rival: bool) -> usize {
        let circ = self.circs.len();
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
        let ids = [(Role::Client, Hops::new(LENGTH, JOIN).unwrap_or(Hops::NONE)), (Role::Exit, Hops::NONE)];
        let ids = [0, 1].map(|end| {
            let (role, hops) = ids[end];
            let config = CircuitConfig {
                tag: circ as u64,
                role,
                hops,
                flags,
                held_sends_max: limits::HELD_SENDS_DEFAULT,
                class: PathClass::Exit,
                sendme_inc: 0,
            };
            self.ends[end].engine.open_circuit(self.now, config).expect("there is room for circuits")
        });
        self.circs.push(Circ { ids, leg, is_rival, sent: [0; 2], queued: 0, full: false });
        circ
    }

    /// Opens the set at the client. LINKs go out at once.
    pub fn open_set(&mut self) {
        let ids: Vec<Id> = self.members.iter().map(|&circ| self.circs[circ].ids[CLIENT]).collect();
        let client = &mut self.ends[CLIENT];
        client.set = client.engine.open_set(self.now, terms(self.algorithm)).expect("a set is opened");
        client.engine.add_legs(self.now, client.set, &ids).expect("it takes its legs");
        self.fed[CLIENT] = true;
    }

    /// Both ends of a circuit, one after the other, hear that it is gone.
    pub fn close(&mut self, circ: usize, end: usize) {
        let id = std::mem::replace(&mut self.circs[circ].ids[end], Id::NONE);
        if id == Id::NONE {
            return;
        }
        let closed = self.ends[end].engine.circuit_closed(self.now, id);
        assert!(closed.is_ok(), "{}: a circuit is closed: {closed:?}", self.world.name);
        self.fed[end] = true;
    }

    /// Drains both ends until nothing is left to do now.
    pub fn settle(&mut self) {
        while let Some(end) = (0..2).find(|&end| self.fed[end]) {
            self.fed[end] = false;
            let mut buffer = [0; 509];
            while let Some(instruction) = self.ends[end].engine.poll(&mut buffer).expect("the buffer is long enough") {
                self.obey(end, &instruction, &buffer);
            }
            let deadline = self.ends[end].engine.deadline();
            let at = &mut self.ends[end];
            if deadline < at.ticks_at {
                at.ticks_at = deadline;
                self.wake_at(deadline, end);
            }
        }
    }

    pub fn tick(&mut self, end: usize) {
        if self.ends[end].ticks_at > self.now {
            return;
        }
        self.ends[end].ticks_at = NEVER;
        self.ends[end].engine.tick(self.now);
        self.fed[end] = true;
    }

    fn obey(&mut self, end: usize, instruction: &Instruction, buffer: &[u8; 509]) {
        let circ = instruction.circuit_tag as usize;
        match instruction.what {
            What::Send { command, body_len, .. } => {
                let body = &buffer[..usize::from(body_len)];
                self.figures.note_control(self.is_measured(end, circ), command);
                self.put(circ, end, Cell::new(0, command, 0).with_body(body));
            }
            What::SendHeld(released) => {
                let message = released.message;
                let body = &buffer[..usize::from(message.body_len)];
                let cell = Cell::new(0, message.command, message.stream_id).with_body(body);
                let serial = self.put(circ, end, cell);
                self.give_digest(end, circ, serial, instruction.wants_digest);
            }
            What::Deliver(delivery) => {
                self.figures.note_held(self.now, end != self.sender, -1);
                self.deliver(end, &Arrived::held(&delivery), instruction.stream);
            }
            What::MaySend => self.resume(end, instruction),
            What::Linked(_) if end == EXIT => self.ends[EXIT].set = instruction.set,
            What::Ended(_) => self.figures.note_ended(self.now),
            What::Close(_) => (0..2).for_each(|end| self.close(circ, end)),
            What::Discard(_) | What::Linked(_) | What::Usable | What::WantLeg => {}
            other => panic!("{}: nobody pads, and no cell waits at an edge: {other:?}", self.world.name),
        }
    }

    fn is_measured(&self, end: usize, circ: usize) -> bool {
        end == self.sender && self.circs.get(circ).is_some_and(|circ| !circ.is_rival)
    }

    fn resume(&mut self, end: usize, instruction: &Instruction) {
        let owner = if instruction.stream != Id::NONE {
            self.owner(end, self.streams[instruction.stream_tag as usize - 1].rival)
        } else if instruction.circuit != Id::NONE {
            Owner::Circuit(instruction.circuit)
        } else {
            Owner::Set(instruction.set)
        };
        self.pump(end, owner);
    }

    fn owner(&self, end: usize, rival: Option<usize>) -> Owner {
        match rival {
            Some(circ) => Owner::Circuit(self.circs[circ].ids[end]),
            None => Owner::Set(self.ends[end].set),
        }
    }

    /// A cell arrives at an end.
    pub fn receive(&mut self, end: usize, cell: Cell) {
        let id = self.circs[cell.circ as usize].ids[end];
        if id == Id::NONE {
            return;
        }
        let is_data = cell.command == Command::DATA;
        let is_rival = self.circs[cell.circ as usize].is_rival;
        let body = if is_data { &FILL[..usize::from(cell.len)] } else { &cell.small[..usize::from(cell.len)] };
        let token = is_data.then_some(Token { token: cell.name, cost: HELD_COST });
        let message = Message { command: cell.command, hop: hop(end), stream_id: cell.stream_id, body, token };
        let engine = &mut self.ends[end].engine;
        let verdict = engine.receive_cell(self.now, id, &message, &digest(cell.serial));
        self.fed[end] = true;
        if is_data && !is_rival && end != self.sender {
            self.figures.note_arrival(self.now);
        }
        match verdict {
            Ok(Verdict { kind: VerdictKind::Deliver, stream, .. }) => self.deliver(end, &Arrived::now(&cell), stream),
            Ok(Verdict { kind: VerdictKind::Held, .. }) => {
                self.figures.note_held(self.now, end != self.sender, 1);
            }
            Ok(Verdict { kind: VerdictKind::Consumed, .. }) => {}
            // Messages that were on their way when something ended.
            Err(Error::Blocked(_) | Error::Expired) if self.figures.is_over() => {}
            other => panic!("{}: an honest peer's {:?} is taken: {other:?}", self.world.name, cell.command),
        }
    }

    fn deliver(&mut self, end: usize, arrived: &Arrived, id: Id) {
        let index = usize::from(arrived.stream_id) - 1;
        match arrived.command {
            Command::DATA => self.deliver_data(end, index, arrived),
            Command::BEGIN => {
                self.streams[index].ids[EXIT] = id;
                let tagged = self.ends[EXIT].engine.retag_stream(id, index as u64 + 1);
                assert!(tagged.is_ok(), "a stream that was opened just now is there");
                self.say(EXIT, index, Command::CONNECTED);
                self.start(index, EXIT);
            }
            Command::CONNECTED => self.start(index, CLIENT),
            other => panic!("nobody sends {other:?}"),
        }
    }

    fn deliver_data(&mut self, end: usize, index: usize, arrived: &Arrived) {
        let stream = &mut self.streams[index];
        // What makes the study worth reading: nothing is lost, and nothing changes its place.
        assert_eq!(stream.got, arrived.pos, "{}: bytes of a stream come in order, and once", self.world.name);
        stream.got += u64::from(arrived.len);
        let flushed = self.ends[end].engine.flushed(self.now, stream.ids[end], arrived.len.into());
        assert!(flushed.is_ok(), "the reader is quick: {flushed:?}");
        self.fed[end] = true;
        if stream.rival.is_some() {
            self.figures.note_rival(self.now >= self.begun, arrived.len.into());
        } else if let Some(written) = &stream.talk {
            self.figures.delays.push(self.now - written[(arrived.pos / DATA_MAX) as usize]);
        } else {
            let (got, total) = (stream.got, stream.total.unwrap_or(u64::MAX));
            assert!(got <= total, "no more comes than was sent");
            self.figures.note_bytes(self.now, arrived.len.into());
            if got == total && index == 0 {
                self.open_rest();
            }
        }
    }

    /// Opens a stream at the client and asks for it.
    fn open_stream(&mut self, rival: Option<usize>, total: Option<u64>, is_talk: bool) -> usize {
        let index = self.streams.len();
        let config = StreamConfig { tag: index as u64 + 1, stream_id: index as u16 + 1, hop: LENGTH, priority: 0 };
        let owner = self.owner(CLIENT, rival);
        let id = self.ends[CLIENT].engine.open_stream(self.now, owner, &config).expect("a stream is opened");
        let left = if is_talk { 0 } else { total.unwrap_or(u64::MAX) };
        let sender = if rival.is_some() { EXIT } else { self.sender };
        self.streams.push(Stream {
            ids: [id, Id::NONE],
            rival,
            sender,
            left,
            asked: false,
            sent: 0,
            got: 0,
            total,
            talk: is_talk.then(Vec::new),
        });
        self.say(CLIENT, index, Command::BEGIN);
        index
    }

    /// The transfer begins.
    pub fn begin(&mut self) {
        for end in 0..2 {
            let stats = self.ends[end].engine.set_stats(self.ends[end].set);
            let ready = stats.is_ok_and(|stats| stats.usable && stats.legs_unlinked == 0);
            assert!(ready, "{}: all legs are linked before it begins", self.world.name);
        }
        self.figures.begin(self.now);
        let first = self.page[0];
        self.open_stream(None, Some(first), false);
        if let Work::Interactive(_) = self.work {
            self.open_stream(None, None, true);
        }
    }

    /// The first stream of a page has told what else there is.
    fn open_rest(&mut self) {
        for index in 1..self.page.len() {
            let size = self.page[index];
            self.open_stream(None, Some(size), false);
        }
    }

    pub fn begin_rival(&mut self, circ: usize) {
        self.open_stream(Some(circ), None, false);
    }

    /// The end that has something to send on a stream may begin.
    fn start(&mut self, index: usize, end: usize) {
        let stream = &self.streams[index];
        if stream.sender != end {
            return;
        }
        if stream.talk.is_some() {
            return self.start_talk();
        }
        if stream.rival.is_none() {
            self.figures.note_asked(self.now);
        }
        self.read_from(index, end);
    }

    fn read_from(&mut self, index: usize, end: usize) {
        let (id, rival) = (self.streams[index].ids[end], self.streams[index].rival);
        self.streams[index].asked = true;
        self.tell_what_waits(end);
        if self.ends[end].engine.set_readable(id, true).is_ok() {
            self.pump(end, self.owner(end, rival));
        }
        self.fed[end] = true;
    }

    /// Tells the set how much is to be sent. What goes from then on it counts by itself.
    fn tell_what_waits(&mut self, end: usize) {
        let in_set =
            self.streams.iter().filter(|stream| stream.rival.is_none() && stream.sender == end && stream.asked);
        let messages = in_set.map(|stream| stream.left.div_ceil(DATA_MAX)).sum();
        let at = &mut self.ends[end];
        let told = at.engine.foresee(at.set, messages);
        assert!(told.is_ok() || at.engine.set_stats(at.set).is_err(), "a set is told what waits: {told:?}");
    }

    /// The interactive stream has a message to send. False when there is no such stream any more.
    pub fn talk(&mut self) -> bool {
        let now = self.now;
        let Some(index) = self.streams.iter().position(|stream| stream.talk.is_some()) else { return false };
        self.streams[index].left += DATA_MAX;
        self.streams[index].talk.iter_mut().for_each(|written| written.push(now));
        self.read_from(index, self.sender);
        true
    }

    fn say(&mut self, end: usize, index: usize, command: Command) {
        let id = self.streams[index].ids[end];
        let stream_id = index as u16 + 1;
        let message = Message { command, hop: 0, stream_id, body: &[7; 8], token: None };
        let verdict = self.ends[end].engine.send_message(self.now, Outlet::Stream(id), &message);
        self.fed[end] = true;
        match verdict {
            Ok(verdict) => self.send(end, &verdict, Cell::new(0, command, stream_id).with_body(&[7; 8])),
            Err(error) => panic!("{}: {command:?} needs no room: {error:?}", self.world.name),
        }
    }

    /// Sends all that there is room for.
    fn pump(&mut self, end: usize, owner: Owner) {
        self.fed[end] = true;
        while let Ok(Some((id, tag))) = self.ends[end].engine.next_stream(self.now, owner) {
            if !self.send_data(end, tag as usize - 1, id) {
                break;
            }
        }
    }

    fn send_data(&mut self, end: usize, index: usize, id: Id) -> bool {
        let stream = &mut self.streams[index];
        let len = stream.left.min(DATA_MAX);
        if len == 0 {
            let _ = self.ends[end].engine.set_readable(id, false);
            return true;
        }
        let stream_id = index as u16 + 1;
        let body = &FILL[..len as usize];
        let message = Message { command: Command::DATA, hop: 0, stream_id, body, token: None };
        let Ok(verdict) = self.ends[end].engine.send_message(self.now, Outlet::Stream(id), &message) else {
            return false;
        };
        let cell = Cell { len: len as u16, name: stream.sent, ..Cell::new(0, Command::DATA, stream_id) };
        stream.sent += len;
        if stream.left != u64::MAX {
            stream.left -= len;
        }
        if stream.left == 0 {
            let _ = self.ends[end].engine.set_readable(id, false);
        }
        self.send(end, &verdict, cell);
        true
    }

    /// Sends a message on the leg that the verdict names.
    fn send(&mut self, end: usize, verdict: &Verdict, cell: Cell) {
        assert_eq!(verdict.kind, VerdictKind::Send, "nothing blocks");
        let circ = verdict.circuit_tag as usize;
        let measured = self.is_measured(end, circ);
        if verdict.switch_delta != 0 {
            self.figures.note_control(measured, Command::CONFLUX_SWITCH);
            let body = Switch { delta: verdict.switch_delta }.encode();
            self.put(circ, end, Cell::new(0, Command::CONFLUX_SWITCH, 0).with_body(&body));
        }
        self.figures.note_control(measured, cell.command);
        let serial = self.put(circ, end, cell);
        self.give_digest(end, circ, serial, verdict.wants_digest);
    }

    fn give_digest(&mut self, end: usize, circ: usize, serial: u64, wanted: bool) {
        if wanted {
            let id = self.circs[circ].ids[end];
            let given = self.ends[end].engine.add_digest(id, hop(end), &digest(serial));
            assert!(given.is_ok(), "a digest that is wanted is taken: {given:?}");
        }
    }

    pub fn finish(&mut self) {
        self.figures.finish(self.now);
    }
}

/// A message in its turn.
struct Arrived {
    command: Command,
    stream_id: u16,
    len: u16,
    pos: u64,
}

impl Arrived {
    fn now(cell: &Cell) -> Arrived {
        Arrived { command: cell.command, stream_id: cell.stream_id, len: cell.len, pos: cell.name }
    }

    fn held(held: &Delivery) -> Arrived {
        let pos = held.token.map_or(0, |token| token.token);
        Arrived { command: held.command, stream_id: held.stream_id, len: held.len, pos }
    }
}
