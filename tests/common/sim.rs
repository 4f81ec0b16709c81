//! Two engines, client and exit, and the legs between them, in virtual time.
//!
//! Each leg carries cells in order with a delay of its own. The two hosts have a simple congestion control: a window,
//! and one SENDME for each [`INC`] DATA cells. Every message carries its own number, to be checked at delivery.

use super::{
    check_books, check_rest, circuit, config, decide, join, peek, receive, send_short, terms, Rng, Verdict, HOPS,
};
use circflow::base::{Id, Nanos};
use circflow::conflux::choice::FAMILY;
use circflow::conflux::{Cause, Report, Role};
use circflow::engine::{Blocked, Engine, EngineHub, Error, Instruction, What};
use circflow::message::{Delivery, Message, Token};
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::Command;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub const CLIENT: usize = 0;
pub const EXIT: usize = 1;
/// DATA cells for one SENDME.
pub const INC: u64 = 4;
/// What a message costs that the host keeps.
const TOKEN_COST: u32 = 100;

pub struct Sim {
    pub now: Nanos,
    pub ends: [End; 2],
    /// What both have reserved, together.
    pub hub: EngineHub,
    pub wires: Vec<Wire>,
    pub rng: Rng,
    /// Everything the engines have said, as one number.
    pub said: u64,
    /// SWITCHes that went out alone.
    pub bare: u64,
}

pub struct End {
    pub engine: Engine,
    pub set: Id,
    pub usable: bool,
    /// A message was refused for want of room, and no MAY_SEND has come since.
    pub waiting: bool,
    pub ended: Vec<Cause>,
    pub closes: Vec<(Id, Cause)>,
    pub legs: Vec<Leg>,
    pub sent: Vec<Command>,
    pub delivered: u64,
    pub resumes: u64,
    pub refusals: u64,
    kept: BTreeMap<u64, Vec<u8>>,
    copies: u64,
    ids: BTreeSet<Id>,
    /// Inside a drain a host may feed, but not drain again.
    draining: bool,
}

/// One end of a wire, as its host sees it.
#[derive(Clone, Copy, Default)]
pub struct Leg {
    pub id: Id,
    pub open: bool,
    pub linked: bool,
    pub cwnd: u64,
    pub inflight: u64,
    pub blocked: bool,
    /// DATA cells since the last SENDME went out.
    arrived: u64,
}

pub struct Wire {
    /// What travels to each end, and when it is there.
    pub to: [VecDeque<(Nanos, Carried)>; 2],
    pub delay: Nanos,
    /// Loses everything.
    pub dead: bool,
}

#[derive(Clone, Debug)]
pub enum Carried {
    Cell {
        command: Command,
        stream_id: u16,
        body: Vec<u8>,
    },
    /// The circuit was closed at the other end.
    Gone,
    /// The circuit is open: only for its client.
    Built,
}

/// Whether a host that asked where to send does send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Queued,
    /// Nothing was queued.
    Refused,
    /// The SWITCH was queued, the message was not.
    OnlySwitch,
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let uxes = [Ux::NoOpinion, Ux::MinLatency, Ux::LowMemLatency, Ux::HighThroughput, Ux::LowMemThroughput];
        let algorithm =
            |rng: &mut Rng| rng.once_in(3).then(|| FAMILY[rng.below(FAMILY.len() as u64) as usize].algorithm);
        let mut engines = [CLIENT, EXIT].map(|end| Engine::new(&config(end as u32 + 1)).unwrap());
        let hub = join(engines.iter_mut());
        let mut end = CLIENT;
        let ends = engines.map(|mut engine| {
            let mut terms = terms(algorithm(&mut rng));
            terms.desired_ux = *rng.pick(&uxes);
            terms.launches_max = 100;
            let set = if end == CLIENT {
                engine.open_set(0, terms).unwrap()
            } else {
                engine.accept_sets(Some(terms));
                Id::NONE
            };
            end = EXIT;
            End::new(engine, set)
        });
        Sim { now: 0, ends, hub, wires: Vec::new(), rng, said: 0xcbf2_9ce4_8422_2325, bare: 0 }
    }

    /// Opens a circuit and makes it a leg, every other one while it is still being built. A dead one never answers.
    pub fn add_leg(&mut self, dead: bool) -> usize {
        let wire = self.wires.len();
        let delay = self.rng.below(40) * 1_000_000;
        for (end, role) in [(CLIENT, Role::Client), (EXIT, Role::Exit)] {
            let id = self.ends[end].engine.open_circuit(self.now, circuit(role, wire as u64)).unwrap();
            assert!(self.ends[end].ids.insert(id), "an id is given out once");
            self.ends[end].legs.push(Leg { id, open: true, ..Leg::default() });
        }
        self.wires.push(Wire { to: [VecDeque::new(), VecDeque::new()], delay, dead });
        let client = &mut self.ends[CLIENT];
        let ids = [client.legs[wire].id];
        if wire % 2 == 0 {
            client.engine.add_legs(self.now, client.set, &ids).unwrap();
        } else {
            client.engine.launch_legs(self.now, client.set, &ids).unwrap();
            self.wires[wire].to[CLIENT].push_back((self.now + delay, Carried::Built));
        }
        self.drain(CLIENT);
        wire
    }

    /// Tries to send one message. False when there is no room, or no set to send in.
    pub fn send(&mut self, end: usize, command: Command, outcome: Outcome) -> bool {
        let hop = if end == CLIENT { HOPS } else { 0 };
        let (now, set) = (self.now, self.ends[end].set);
        if set == Id::NONE {
            return false;
        }
        let at = &mut self.ends[end];
        let verdict = match outcome {
            Outcome::Queued => send_short(&mut at.engine, now, set, command, hop),
            _ => decide(&mut at.engine, now, set, command, hop),
        };
        self.note(&verdict);
        let at = &mut self.ends[end];
        let (circuit, number, delta) = match verdict {
            Ok(Verdict::Send { circuit, number, switch_delta }) => (circuit, number, switch_delta),
            Err(Error::Blocked(Blocked::NoRoom)) => {
                assert!(command == Command::DATA || at.legs.iter().all(|leg| !leg.linked), "only DATA waits");
                at.waiting = true;
                at.refusals += 1;
                return false;
            }
            Err(Error::Blocked(Blocked::NotUsable)) => {
                assert!(!at.usable);
                return false;
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(number, at.sent.len() as u64 + 1, "numbers are given out one after the other");
        let wire = at.wire_of(circuit);
        // A client's leg is linked with LINKED, and LINKED_ACK may wait to be polled; an exit's LINKED must be out.
        assert!(at.legs[wire].linked || end == CLIENT, "nothing goes on a leg that is not linked");
        if command == Command::DATA {
            let leg = at.legs[wire];
            assert!(leg.inflight < leg.cwnd && !leg.blocked, "DATA goes only where there is room");
        }
        if delta != 0 && outcome != Outcome::Refused {
            if outcome == Outcome::OnlySwitch {
                at.engine.sent(now, circuit, Command::CONFLUX_SWITCH, hop).unwrap();
                self.bare += 1;
            }
            self.carry(end, wire, Command::CONFLUX_SWITCH, 0, Switch { delta }.encode().to_vec());
        }
        if outcome == Outcome::Queued {
            let at = &mut self.ends[end];
            at.sent.push(command);
            at.legs[wire].inflight += u64::from(command == Command::DATA);
            self.carry(end, wire, command, 5, body_of(end, number));
        }
        self.after(end);
        true
    }

    /// A host says how its window stands.
    pub fn report(&mut self, end: usize, wire: usize) {
        let (now, rtt) = (self.now, self.wires[wire].delay * 2 + self.rng.below(3));
        let at = &mut self.ends[end];
        let leg = at.legs[wire];
        if leg.open {
            let news = Report {
                cwnd: leg.cwnd,
                inflight: leg.inflight,
                rtt,
                sendme_inc: INC as u32,
                slow_start: false,
                blocked: leg.blocked,
            };
            at.engine.report(now, leg.id, &news).unwrap();
            self.after(end);
        }
    }

    /// The host at one end closes a circuit.
    pub fn remove(&mut self, end: usize, wire: usize) {
        let at = &mut self.ends[end];
        if std::mem::take(&mut at.legs[wire].open) {
            at.legs[wire].linked = false;
            let id = at.legs[wire].id;
            at.engine.circuit_closed(self.now, id).unwrap();
            let due = self.now + self.wires[wire].delay;
            self.wires[wire].to[1 - end].push_back((due, Carried::Gone));
            // What was on its way to a closed circuit is lost.
            self.wires[wire].to[end].clear();
            self.after(end);
        }
    }

    /// Both hosts learn at the same moment that a circuit has gone: what one of them sent on it in between would be
    /// lost, which is what the rules about a leg that is ahead, or sends, are for.
    pub fn remove_at_once(&mut self, end: usize, wire: usize) {
        self.remove(end, wire);
        self.wires[wire].to[1 - end].clear();
        self.bring(1 - end, wire, Carried::Gone);
    }

    /// Goes on to whatever happens next; false when nothing does.
    pub fn advance(&mut self) -> bool {
        let firsts = self.wires.iter().enumerate().flat_map(|(wire, on)| {
            [CLIENT, EXIT].into_iter().filter_map(move |end| Some((on.to[end].front()?.0, wire, end)))
        });
        let next = firsts.min();
        let deadline = self.ends.iter().map(|end| end.engine.deadline()).min().unwrap_or(Nanos::MAX);
        match next {
            Some((due, wire, end)) if due <= deadline => {
                self.now = self.now.max(due);
                if let Some((_, carried)) = self.wires[wire].to[end].pop_front() {
                    self.bring(end, wire, carried);
                }
            }
            _ if deadline < Nanos::MAX => {
                self.now = deadline;
                for end in [CLIENT, EXIT] {
                    self.ends[end].engine.tick(deadline);
                    self.drain(end);
                }
            }
            _ => return false,
        }
        true
    }

    /// Lets everything arrive that is on its way.
    pub fn settle(&mut self) {
        for _ in 0..200_000 {
            // A late host may still have something to send, and that comes before any deadline.
            self.drain(CLIENT);
            self.drain(EXIT);
            if !self.advance() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Nothing is on its way: both ends must have the same numbers.
    pub fn agree(&mut self) {
        let row = |sim: &Sim, end: usize, id: Id| {
            let at = &sim.ends[end];
            let (_, rows) = at.engine.export(at.set).unwrap();
            rows.into_iter().find(|row| row.leg == id)
        };
        for wire in 0..self.wires.len() {
            let [client, exit] = [CLIENT, EXIT].map(|end| row(self, end, self.ends[end].legs[wire].id));
            match (client, exit) {
                (Some(client), Some(exit)) => {
                    assert_eq!((client.sent, client.received), (exit.received, exit.sent), "leg {wire}");
                }
                (None, None) => {}
                other => panic!("leg {wire} lives at one end only: {other:?}"),
            }
        }
        for end in [CLIENT, EXIT] {
            let (from, to) = (&self.ends[1 - end], &self.ends[end]);
            assert_eq!(to.delivered, from.sent.len() as u64, "all that was sent has been delivered");
            assert_eq!(to.engine.set_stats(to.set).unwrap().delivered, to.delivered);
            assert_eq!((to.engine.stats().held, to.engine.stats().held_bytes, to.kept.len()), (0, 0, 0));
            assert!(to.engine.tokens().next().is_none());
        }
    }

    /// Polls everything that waits at one end, and does it.
    pub fn drain(&mut self, end: usize) {
        if std::mem::replace(&mut self.ends[end].draining, true) {
            return;
        }
        let mut buffer = [0; 509];
        while let Some(instruction) = self.ends[end].engine.poll(&mut buffer).unwrap() {
            self.obey(end, instruction, &buffer);
        }
        let at = &mut self.ends[end];
        at.draining = false;
        check_rest(&at.engine);
        if at.waiting && at.ended.is_empty() {
            let peek = peek(&mut at.engine, at.set);
            let due = at.engine.deadline() <= self.now;
            assert!(due || peek == Err(Error::Blocked(Blocked::NoRoom)), "there is room, and MAY_SEND has not come");
        }
        assert_eq!(at.engine.stats().held as usize, at.kept.len() + at.copied());
    }

    fn obey(&mut self, end: usize, instruction: Instruction, body: &[u8]) {
        self.note(&instruction);
        let at = &mut self.ends[end];
        if instruction.circuit != Id::NONE && instruction.circuit_tag != at.wire_of(instruction.circuit) as u64 {
            panic!("the tag is not that of the circuit: {instruction:?}");
        }
        match instruction.what {
            What::Send { command, hop, body_len } => {
                assert_eq!(hop, if end == CLIENT { HOPS } else { 0 });
                let wire = at.wire_of(instruction.circuit);
                self.carry(end, wire, command, 0, body[..usize::from(body_len)].to_vec());
            }
            What::Deliver(delivery) => self.deliver_held(end, &delivery, body),
            What::Discard(token) => {
                assert!(token.cost == TOKEN_COST && at.engine.set_stats(at.set).is_err());
                assert!(at.kept.remove(&token.token).is_some(), "a token comes back once");
            }
            What::Close(cause) => {
                at.closes.push((instruction.circuit, cause));
                let wire = at.wire_of(instruction.circuit);
                self.remove(end, wire);
            }
            What::Write { .. } | What::PauseFeed { .. } => panic!("no circuit is run"),
            What::MaySend => {
                // Asked again while MAY_SEND waits to be polled, the engine may owe another one.
                at.waiting = false;
                at.resumes += 1;
                assert!(at.resumes <= at.refusals, "MAY_SEND only after NO_ROOM, and once for each");
            }
            What::SendHeld(_) | What::Pad { .. } | What::Block { .. } | What::Unblock | What::Negotiated { .. } => {
                panic!("nothing pads")
            }
            What::Linked(_) => {
                let wire = at.wire_of(instruction.circuit);
                at.legs[wire].linked = true;
                at.set = instruction.set;
                at.legs[wire].cwnd = 4 + self.rng.below(30);
                self.report(end, wire);
            }
            What::Usable => {
                assert!(!std::mem::replace(&mut at.usable, true), "USABLE comes once");
                assert!(at.ids.insert(instruction.set) || end == CLIENT);
                at.set = instruction.set;
            }
            What::WantLeg => assert_eq!(end, CLIENT),
            What::Ended(cause) => {
                assert_eq!(instruction.set, at.set);
                at.ended.push(cause);
            }
        }
    }

    fn bring(&mut self, end: usize, wire: usize, carried: Carried) {
        let Carried::Cell { command, stream_id, body } = carried else {
            if matches!(carried, Carried::Built) {
                let at = &mut self.ends[end];
                // Its set may have ended at this moment, and the close wait to be polled.
                match at.engine.circuit_built(self.now, at.legs[wire].id) {
                    Ok(()) => {}
                    Err(Error::Blocked(Blocked::Gone)) => assert!(!at.ended.is_empty() || at.engine.waiting()),
                    other => panic!("{other:?} for leg {wire} that is built"),
                }
                return self.after(end);
            }
            if std::mem::take(&mut self.ends[end].legs[wire].open) {
                let at = &mut self.ends[end];
                at.legs[wire].linked = false;
                let id = at.legs[wire].id;
                at.engine.circuit_closed(self.now, id).unwrap();
                self.after(end);
            }
            return;
        };
        if !self.ends[end].legs[wire].open {
            return;
        }
        let at = &mut self.ends[end];
        let leg = at.legs[wire];
        if command == Command::CONFLUX_SWITCH {
            assert_ne!(body, [0; 4], "SWITCH(0) is never sent");
        }
        let number = u64::from_be_bytes(body.get(..8).unwrap_or(&[0; 8]).try_into().unwrap());
        let token = (command.is_multiplexed() && number % 3 == 0).then_some(Token { token: number, cost: TOKEN_COST });
        let hop = if end == CLIENT { HOPS } else { 0 };
        let message = Message { command, hop, stream_id, body: &body, token };
        let verdict = receive(&mut at.engine, self.now, leg.id, &message);
        match verdict {
            Ok(Verdict::Deliver { number: 0, .. }) if command == Command::SENDME => {
                at.legs[wire].inflight = leg.inflight.saturating_sub(INC);
                self.report(end, wire);
            }
            Ok(Verdict::Deliver { circuit, number }) => {
                assert_eq!((circuit, number), (leg.id, at.delivered + 1), "no verdict overtakes what is held");
                self.deliver(end, number, command, &body);
            }
            Ok(Verdict::Held { number: given, .. }) => {
                assert_eq!(given, number, "both ends count alike");
                match token {
                    Some(token) => assert!(at.kept.insert(token.token, body).is_none()),
                    None => at.copies += 1,
                }
            }
            Ok(Verdict::Consumed { .. }) => {}
            Err(Error::Blocked(Blocked::Gone)) => return,
            other => panic!("{other:?} for {command:?} on leg {wire} at {end}"),
        }
        self.note(&verdict);
        let leg = &mut self.ends[end].legs[wire];
        leg.arrived += u64::from(command == Command::DATA);
        if leg.arrived == INC {
            leg.arrived = 0;
            self.carry(end, wire, Command::SENDME, 0, Vec::new());
        }
        self.after(end);
    }

    /// Most hosts drain after each feed, some later.
    fn after(&mut self, end: usize) {
        if !self.rng.once_in(4) {
            self.drain(end);
        }
        check_books(Some(&self.hub), self.ends.iter().map(|end| &end.engine));
        let stats = self.ends[end].engine.stats();
        assert!(stats.held_bytes <= 16 << 20 && stats.instructions < 64);
    }

    fn deliver_held(&mut self, end: usize, delivery: &Delivery, body: &[u8]) {
        let at = &mut self.ends[end];
        let body = match delivery.token {
            Some(token) => at.kept.remove(&token.token).expect("a token comes back once"),
            None => {
                at.copies -= 1;
                body[..usize::from(delivery.body_len)].to_vec()
            }
        };
        self.deliver(end, delivery.number, delivery.command, &body);
    }

    fn deliver(&mut self, end: usize, number: u64, command: Command, body: &[u8]) {
        let expected = self.ends[1 - end].sent[number as usize - 1];
        assert_eq!((command, body), (expected, &body_of(1 - end, number)[..]), "message {number}");
        let at = &mut self.ends[end];
        assert_eq!(number, at.delivered + 1, "in order, each once");
        at.delivered = number;
    }

    fn carry(&mut self, from: usize, wire: usize, command: Command, stream_id: u16, body: Vec<u8>) {
        let on = &mut self.wires[wire];
        if !on.dead && self.ends[from].legs[wire].open {
            on.to[1 - from].push_back((self.now + on.delay, Carried::Cell { command, stream_id, body }));
        }
    }

    fn note(&mut self, what: &impl std::fmt::Debug) {
        for byte in format!("{what:?}").bytes() {
            self.said = (self.said ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

impl End {
    fn new(engine: Engine, set: Id) -> Self {
        End {
            engine,
            set,
            usable: false,
            waiting: false,
            ended: Vec::new(),
            closes: Vec::new(),
            legs: Vec::new(),
            sent: Vec::new(),
            delivered: 0,
            resumes: 0,
            refusals: 0,
            kept: BTreeMap::new(),
            copies: 0,
            ids: BTreeSet::from([set]),
            draining: false,
        }
    }

    pub fn wire_of(&self, id: Id) -> usize {
        self.legs.iter().position(|leg| leg.id == id).expect("instructions name circuits that are there")
    }

    fn copied(&self) -> usize {
        // An ended set drops its copies without a word.
        if self.ended.is_empty() {
            self.copies as usize
        } else {
            self.engine.stats().held as usize - self.kept.len()
        }
    }
}

/// What message `number` of one end says: its number, and as many bytes more as it takes to tell it from others.
fn body_of(end: usize, number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.extend((0..number * 31 % 400).map(|at| (at * 7 + number + end as u64) as u8));
    body
}
