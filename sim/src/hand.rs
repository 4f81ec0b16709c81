//! Sets that a host runs itself: it takes held messages one by one, or many tokens at once, whenever it likes. The
//! cells on their legs are made here, so that each number and each token is known.

use crate::cell::{Cell, DATA_MAX, DATA_MIN};
use crate::node::TOKEN_COST;
use crate::plan::MS;
use crate::rng::Rng;
use crate::tally::N;
use crate::world::{trace, Event, World};
use circflow::base::{Hops, Id};
use circflow::conflux::choice::FAMILY;
use circflow::conflux::{Report, Role, SetTerms};
use circflow::congestion::PathClass;
use circflow::engine::{
    Blocked, CircuitConfig, CircuitFlags, Error, Instruction, Misuse, Outlet, Verdict, VerdictKind, What,
};
use circflow::message::{Message, Token};
use circflow::wire::conflux::{Nonce, Switch, Ux};
use circflow::wire::Command;
use std::collections::{BTreeMap, VecDeque};

/// First tag of such sets and their legs.
const TAGS: u64 = 1 << 40;
const LEGS_MAX: u64 = 5;
const STREAM: u16 = 7;

/// A set that its host runs, and the sender at its other end.
pub struct Hand {
    node: usize,
    id: Id,
    alive: bool,
    legs: Vec<HandLeg>,
    /// The leg that was used last for sending, and the number of messages sent.
    current: usize,
    sent: u64,
    /// The messages that the engine holds, by number, and the last number delivered to the host.
    waiting: BTreeMap<u64, Cell>,
    delivered: u64,
    /// A message was lost with a leg.
    lossy: bool,
    /// What the host itself sends: none if it only receives.
    out: Option<Out>,
}

/// What such a host counts of its own messages. They go nowhere.
#[derive(Default)]
struct Out {
    sent: u64,
    current: Option<usize>,
    named: Option<usize>,
    /// How often it was refused, and told that it may send.
    refusals: u64,
    resumes: u64,
}

struct HandLeg {
    id: Id,
    open: bool,
    sent: u64,
    received: u64,
    on_its_way: VecDeque<Way>,
    /// The other way: the last number sent, and the messages for which there is room.
    out: u64,
    room: u64,
}

#[derive(Clone, Copy)]
enum Way {
    Message(u64),
    Switch(u32),
}

/// True when an instruction is about a set that its host runs.
pub fn is_by_hand(instruction: &Instruction) -> bool {
    instruction.set_tag >= TAGS || instruction.circuit_tag >= TAGS
}

fn terms(index: usize, held_bytes_max: u64) -> SetTerms {
    let mut nonce = [0xa5; 32];
    nonce[0] = index as u8;
    SetTerms {
        tag: TAGS + index as u64 * LEGS_MAX * 1000,
        nonce: Nonce::new(nonce),
        desired_ux: Ux::NoOpinion,
        algorithm: None,
        link_timeout: 60_000 * MS,
        held_bytes_max,
        switch_ahead_max: 1 << 20,
        legs_max: LEGS_MAX as u32,
        launches_max: 1000,
        held_sends_max: 0,
        held_age_max: None,
        switch_run_min: 0,
        ready_by_poll: false,
    }
}

/// Message `number`, as its sender makes it.
fn message_cell(number: u64) -> Cell {
    let len = DATA_MIN + number * 37 % (DATA_MAX - DATA_MIN);
    Cell { number, stream: number as u32, len: len as u16, ..Cell::new(0, false, 0, Command::DATA, STREAM) }
}

impl World {
    pub fn draw_hands(&mut self) {
        if !self.hands.rng.once_in(3) {
            return;
        }
        self.tally.add(N::HandSeeds, 1);
        for index in 0..self.hands.rng.range(1, 3) as usize {
            self.open_by_hand(index);
            let at = self.now + self.hands.rng.below(500) * MS;
            self.at(at, Event::Hand(index, 0));
        }
    }

    fn open_by_hand(&mut self, index: usize) {
        let node = self.hands.rng.below(self.nodes.len() as u64) as usize;
        let mut terms = terms(index, self.plan.set_held_max);
        let speaks = self.hands.rng.once_in(3);
        if speaks {
            terms.algorithm = Some(self.hands.rng.pick(&FAMILY).algorithm);
        }
        let opened = self.retry(node, |world| {
            let now = world.clock(node);
            world.nodes[node].engine.open_set(now, terms.clone())
        });
        let id = opened.unwrap();
        self.new_id(node, id);
        self.touch(node);
        self.hands.sets.push(Hand {
            node,
            id,
            alive: true,
            legs: Vec::new(),
            current: 0,
            sent: 0,
            waiting: BTreeMap::new(),
            delivered: 0,
            lossy: false,
            out: speaks.then(Out::default),
        });
        (0..self.hands.rng.range(2, 3)).for_each(|_| self.add_by_hand(index));
    }

    /// Adds a leg, as if the host had linked it.
    fn add_by_hand(&mut self, index: usize) {
        let (node, set) = (self.hands.sets[index].node, self.hands.sets[index].id);
        let tag = TAGS + (index as u64 * 1000) * LEGS_MAX + self.hands.sets[index].legs.len() as u64;
        let config = CircuitConfig {
            tag,
            role: Role::Client,
            hops: Hops::new(3, 9).unwrap(),
            flags: CircuitFlags::VEGAS,
            held_sends_max: 0,
            class: PathClass::Exit,
            sendme_inc: 0,
        };
        let opened = self.retry(node, |world| {
            let now = world.clock(node);
            world.nodes[node].engine.open_circuit(now, config)
        });
        let id = opened.unwrap();
        self.new_id(node, id);
        self.touch(node);
        let adopted = self.retry(node, |world| {
            let now = world.clock(node);
            world.nodes[node].engine.adopt_leg(now, set, id, Ux::NoOpinion, 0)
        });
        let leg = HandLeg { id, open: true, sent: 0, received: 0, on_its_way: VecDeque::new(), out: 0, room: 0 };
        self.hands.sets[index].legs.push(leg);
        if adopted.is_err() {
            assert!(!self.lives_by_hand(index), "a leg joins a set that lives: {adopted:?}");
            let last = self.hands.sets[index].legs.len() - 1;
            self.close_by_hand(index, last);
        }
    }

    fn lives_by_hand(&self, index: usize) -> bool {
        let hand = &self.hands.sets[index];
        hand.alive && self.nodes[hand.node].engine.set_stats(hand.id).is_ok()
    }

    fn open_legs(&self, index: usize) -> Vec<usize> {
        let legs = &self.hands.sets[index].legs;
        (0..legs.len()).filter(|&leg| legs[leg].open).collect()
    }

    /// Sends messages, lets messages come, and takes some held messages; now and then a leg goes or joins.
    pub fn step_by_hand(&mut self, index: usize, steps: u64) {
        let legs = self.open_legs(index);
        if legs.is_empty() || !self.lives_by_hand(index) {
            return;
        }
        let rng = &mut self.hands.rng;
        let (sender, loud, last) = (rng.pick(&legs), rng.pick(&legs), steps >= 120);
        let (messages, arrivals) = (rng.below(8), rng.below(12));
        if !last {
            self.send_by_hand(index, sender, messages);
        }
        for leg in if last { legs } else { vec![loud] } {
            self.arrive_by_hand(index, leg, if last { usize::MAX } else { arrivals as usize });
        }
        self.take_by_hand(index);
        if last {
            return;
        }
        self.speak_by_hand(index);
        match self.hands.rng.below(300) {
            0 => self.close_by_hand(index, loud),
            1..=6 if self.open_legs(index).len() < LEGS_MAX as usize && self.lives_by_hand(index) => {
                self.add_by_hand(index)
            }
            _ => {}
        }
        let at = self.now + self.hands.rng.below(30) * MS;
        self.at(at, Event::Hand(index, steps + 1));
    }

    fn send_by_hand(&mut self, index: usize, leg: usize, messages: u64) {
        let hand = &mut self.hands.sets[index];
        for _ in 0..messages {
            let on = &mut hand.legs[leg];
            if leg != hand.current && hand.sent > on.sent {
                on.on_its_way.push_back(Way::Switch((hand.sent - on.sent) as u32));
                on.sent = hand.sent;
            }
            hand.current = leg;
            hand.sent += 1;
            on.sent += 1;
            on.on_its_way.push_back(Way::Message(hand.sent));
        }
    }

    fn arrive_by_hand(&mut self, index: usize, leg: usize, most: usize) {
        for _ in 0..most {
            if !self.lives_by_hand(index) {
                break;
            }
            match self.hands.sets[index].legs[leg].on_its_way.pop_front() {
                Some(Way::Message(number)) => self.message_by_hand(index, leg, number),
                Some(Way::Switch(delta)) => {
                    let cell = Cell::new(0, false, 0, Command::CONFLUX_SWITCH, 0).with_body(&Switch { delta }.encode());
                    let said = self.receive_by_hand(index, leg, &cell, None);
                    self.hands.sets[index].legs[leg].received += u64::from(delta);
                    let taken = matches!(said, Ok(Verdict { kind: VerdictKind::Consumed, .. }));
                    assert!(taken || !self.lives_by_hand(index), "a SWITCH is taken: {said:?}");
                }
                None => break,
            }
        }
    }

    fn message_by_hand(&mut self, index: usize, leg: usize, number: u64) {
        let node = self.hands.sets[index].node;
        let cell = message_cell(number);
        let token = self.hands.rng.below(4) > 0;
        let token = token.then(|| Token { token: self.next_token(node), cost: TOKEN_COST });
        let said = self.receive_by_hand(index, leg, &cell, token);
        let hand = &mut self.hands.sets[index];
        hand.legs[leg].received += 1;
        assert_eq!(hand.legs[leg].received, number, "numbers on a leg follow one another");
        match said {
            Ok(verdict) => {
                assert_eq!(verdict.number, number, "both ends count alike");
                let next = number == hand.delivered + 1;
                let kind = if next { VerdictKind::Deliver } else { VerdictKind::Held };
                assert_eq!(verdict.kind, kind, "what is next is delivered, all else held");
                if next {
                    hand.delivered = number;
                } else {
                    hand.waiting.insert(number, cell);
                    self.tally.add(N::HandHeld, 1);
                    self.keep(node, token, &cell);
                }
            }
            Err(error) => {
                assert!(!self.lives_by_hand(index), "a message of a set that lives is taken: {error:?}");
                if let Error::Fault(fault) = error {
                    self.judge_by_hand(fault);
                }
            }
        }
    }

    fn judge_by_hand(&self, fault: circflow::conflux::Fault) {
        use circflow::conflux::Fault;
        let allowed = match fault {
            Fault::EngineMemory => self.plan.held_max < 256 << 20,
            Fault::SetMemory => self.plan.set_held_max < 16 << 20,
            Fault::HeldTooLong => self.hands.sets.iter().any(|hand| hand.lossy),
            _ => false,
        };
        assert!(allowed, "an honest peer gives no reason to close: {fault:?}");
    }

    fn receive_by_hand(
        &mut self,
        index: usize,
        leg: usize,
        cell: &Cell,
        token: Option<Token>,
    ) -> Result<Verdict, Error> {
        let (node, id) = (self.hands.sets[index].node, self.hands.sets[index].legs[leg].id);
        let mut scratch = [0; 509];
        let body = cell.body(&mut scratch);
        let message = Message { command: cell.command, hop: 3, stream_id: cell.stream_id, body, token };
        let said = self.retry(node, |world| {
            let now = world.clock(node);
            let engine = &mut world.nodes[node].engine;
            engine.receive(now, id, &message)
        });
        trace!(self, "node {node}: set {index} by hand, leg {leg} <- {}", crate::receive::short(&said));
        self.touch(node);
        self.note(node, &said);
        said
    }

    /// Takes messages whose turn has come: many tokens at once, or one message, or none.
    fn take_by_hand(&mut self, index: usize) {
        let (node, id) = (self.hands.sets[index].node, self.hands.sets[index].id);
        let (how, cap) = (self.hands.rng.below(6), self.hands.rng.below(9) as usize);
        let mut tokens = Vec::new();
        match how {
            0..=3 => {
                let taken = self.nodes[node].engine.set_poll_tokens(id, cap, |token| tokens.push(token));
                assert!(taken.is_ok() || !self.lives_by_hand(index), "tokens are taken: {taken:?}");
                assert!(tokens.len() <= cap, "no more than there is room for");
            }
            4 => {
                let mut buffer = [0; 509];
                if let Ok(Some(instruction)) = self.nodes[node].engine.set_poll(id, &mut buffer) {
                    self.obey_by_hand(node, &instruction, &buffer);
                }
            }
            _ => {}
        }
        self.tally.add(N::TokensTaken, tokens.len() as u64);
        for token in tokens {
            let cell = self.give_back(node, Token { token, cost: TOKEN_COST });
            self.deliver_by_hand(index, cell.number, &cell);
        }
        self.touch(node);
        // A set whose streams circflow runs refuses this.
        let run = self.nodes[node].sets.last().map(|&(id, _)| id);
        if let Some(run) = run.filter(|&run| self.nodes[node].engine.set_stats(run).is_ok_and(|stats| stats.legs > 0)) {
            let refused = self.nodes[node].engine.set_poll_tokens(run, cap, |token| panic!("{token} is not ours"));
            assert_eq!(refused, Err(Misuse::IsRun.into()), "a set with streams is not for its host to take from");
        }
    }

    /// Reports legs, names one, and sends: what goes out keeps to the name, to the room, and to the order of numbers.
    fn speak_by_hand(&mut self, index: usize) {
        let legs = self.open_legs(index);
        if self.hands.sets[index].out.is_none() || legs.is_empty() || !self.lives_by_hand(index) {
            return;
        }
        let (node, set) = (self.hands.sets[index].node, self.hands.sets[index].id);
        self.touch(node);
        for &leg in &legs {
            if self.hands.rng.once_in(3) {
                self.report_by_hand(index, leg);
            }
        }
        if self.lives_by_hand(index) && self.hands.rng.once_in(3) {
            let leg = (!self.hands.rng.once_in(4)).then(|| self.hands.rng.pick(&legs));
            let id = leg.map_or(Id::NONE, |leg| self.hands.sets[index].legs[leg].id);
            let named = self.nodes[node].engine.name_leg(set, id);
            assert!(named.is_ok() || !self.lives_by_hand(index), "an adopted leg can be named: {named:?}");
            self.hands.sets[index].out.iter_mut().for_each(|out| out.named = leg);
        }
        for _ in 0..self.hands.rng.below(12) {
            if !self.lives_by_hand(index) || !self.say_by_hand(index) {
                break;
            }
        }
    }

    fn report_by_hand(&mut self, index: usize, leg: usize) {
        let cwnd = self.hands.rng.pick(&[0, 1, 8, 31, 124]);
        // A leg with more in flight than that ends its set when it goes.
        let inflight = self.hands.rng.below(31).min(cwnd);
        let rtt = self.hands.rng.range(1, 200) * MS;
        let report = Report { cwnd, inflight, rtt, sendme_inc: 31, slow_start: false, blocked: false };
        let (node, id) = (self.hands.sets[index].node, self.hands.sets[index].legs[leg].id);
        let now = self.clock(node);
        let told = self.nodes[node].engine.report(now, id, &report);
        assert!(told.is_ok() || !self.lives_by_hand(index), "a leg is reported: {told:?}");
        self.hands.sets[index].legs[leg].room = cwnd - inflight;
    }

    /// Sends one message. False when there is no room, or no set any more.
    fn say_by_hand(&mut self, index: usize) -> bool {
        let command = if self.hands.rng.once_in(8) { Command::END } else { Command::DATA };
        let (node, set) = (self.hands.sets[index].node, self.hands.sets[index].id);
        let message = Message { command, hop: 3, stream_id: STREAM, body: b"by hand", token: None };
        let now = self.clock(node);
        let said = self.nodes[node].engine.send_message(now, Outlet::Set(set), &message);
        if !self.lives_by_hand(index) {
            return false;
        }
        let hand = &mut self.hands.sets[index];
        let Some(out) = &mut hand.out else { return false };
        let verdict = match said {
            Ok(verdict) => verdict,
            Err(error) => {
                assert_eq!((error, command), (Error::Blocked(Blocked::NoRoom), Command::DATA), "DATA alone waits");
                assert!(out.named.is_none_or(|leg| hand.legs[leg].room == 0), "the leg that is named has room");
                out.refusals += 1;
                return false;
            }
        };
        let leg = hand.legs.iter().position(|leg| leg.id == verdict.circuit).expect("a leg is known");
        assert!(out.named.is_none_or(|named| named == leg), "what is sent goes on the leg that is named");
        let delta = if out.current == Some(leg) { 0 } else { out.sent - hand.legs[leg].out };
        assert_eq!((verdict.number, u64::from(verdict.switch_delta)), (out.sent + 1, delta), "both count alike");
        assert!(command != Command::DATA || hand.legs[leg].room > 0, "DATA goes where there is room");
        hand.legs[leg].room -= u64::from(command == Command::DATA);
        (out.sent, out.current, hand.legs[leg].out) = (verdict.number, Some(leg), verdict.number);
        let named = out.named.is_some();
        self.tally.add(N::HandSent, 1);
        self.tally.add(N::HandNamed, named.into());
        true
    }

    fn deliver_by_hand(&mut self, index: usize, number: u64, cell: &Cell) {
        let hand = &mut self.hands.sets[index];
        let first = hand.waiting.pop_first().expect("only what waits is delivered");
        assert_eq!((first.0, hand.delivered + 1), (number, number), "what was held comes in order");
        assert_eq!((first.1.stream, first.1.len), (cell.stream, cell.len), "as it was");
        hand.delivered = number;
    }

    /// Obeys an instruction about one of these sets.
    pub fn obey_by_hand(&mut self, node: usize, instruction: &Instruction, buffer: &[u8; 509]) {
        let tag = if instruction.set_tag >= TAGS { instruction.set_tag } else { instruction.circuit_tag };
        let index = ((tag - TAGS) / (1000 * LEGS_MAX)) as usize;
        assert_eq!(self.hands.sets[index].node, node, "an instruction comes where its set is");
        match instruction.what {
            What::Deliver(delivery) => {
                let cell = self.cell_of(node, &delivery, buffer, |_| message_cell(delivery.number));
                self.deliver_by_hand(index, delivery.number, &cell);
            }
            What::Discard(token) => {
                self.give_back(node, token);
            }
            What::Close(_) => {
                let legs = &self.hands.sets[index].legs;
                let leg = legs.iter().position(|leg| leg.id == instruction.circuit).expect("a leg is known");
                self.close_by_hand(index, leg);
            }
            What::Ended(cause) => {
                assert!(std::mem::take(&mut self.hands.sets[index].alive), "a set ends once");
                self.tally.cause(format!("set by hand ended: {cause:?}"));
                if let circflow::conflux::Cause::Fault(fault) = cause {
                    self.judge_by_hand(fault);
                }
            }
            What::MaySend => {
                let out = self.hands.sets[index].out.as_mut().expect("only who sends may go on");
                out.resumes += 1;
                assert!(out.resumes <= out.refusals, "MAY_SEND only after NO_ROOM, and once for each");
            }
            What::Usable | What::WantLeg | What::Linked(_) => {}
            other => panic!("nothing is sent: {other:?}"),
        }
    }

    fn close_by_hand(&mut self, index: usize, leg: usize) {
        let hand = &mut self.hands.sets[index];
        if !std::mem::take(&mut hand.legs[leg].open) {
            return;
        }
        if let Some(out) = &mut hand.out {
            out.named = out.named.filter(|&named| named != leg);
            out.current = out.current.filter(|&current| current != leg);
        }
        let lost = std::mem::take(&mut hand.legs[leg].on_its_way);
        hand.lossy |= !lost.is_empty();
        let (node, id) = (hand.node, hand.legs[leg].id);
        let now = self.clock(node);
        let closed = self.nodes[node].engine.circuit_closed(now, id);
        assert!(closed.is_ok(), "a circuit that was open is closed: {closed:?}");
        self.touch(node);
    }

    /// Checks that at rest a set that lost no message has delivered all messages sent.
    pub fn check_hands(&self) {
        for (index, hand) in self.hands.sets.iter().enumerate() {
            if !hand.lossy && self.lives_by_hand(index) {
                let open = hand.legs.iter().filter(|leg| leg.open);
                assert_eq!(open.map(|leg| leg.on_its_way.len()).sum::<usize>(), 0, "all of it came");
                assert_eq!((hand.delivered, hand.waiting.len()), (hand.sent, 0), "all that was sent was delivered");
                let stats = self.nodes[hand.node].engine.set_stats(hand.id).unwrap();
                assert_eq!((stats.held, stats.held_bytes), (0, 0), "nothing is held when all is there");
            }
        }
    }

    pub fn end_hand(&mut self, index: usize) {
        let (node, id) = (self.hands.sets[index].node, self.hands.sets[index].id);
        if self.lives_by_hand(index) {
            let now = self.clock(node);
            let closed = self.nodes[node].engine.close_set(now, id);
            assert!(closed.is_ok() || !self.lives_by_hand(index), "a set is closed: {closed:?}");
            self.touch(node);
        }
    }
}

/// All sets of a world that hosts run. They have their own random numbers, so that worlds without them do not change.
pub struct Hands {
    pub rng: Rng,
    pub sets: Vec<Hand>,
}
