//! A node: an engine and its host, which drains it and obeys its instructions.

use crate::cell::Cell;
use crate::model::*;
use crate::pays::Gone;
use crate::plan::{Kind, Plan, MS};
use crate::rng::Rng;
use crate::tally::N;
use crate::world::{trace, Event, World};
use circflow::base::time::NEVER;
use circflow::base::{Id, Nanos};
use circflow::congestion::PathClass;
use circflow::engine::{Engine, Error, Instruction, What};
use circflow::message::{Delivery, Token};
use circflow::wire::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

pub struct Node {
    pub engine: Engine,
    pub is_client: bool,
    /// The node that keeps the tokens of its process.
    pub desk: usize,
    /// Another engine of the hub has news for this one.
    pub woken: Arc<AtomicBool>,
    /// Cells that the engine keeps for the host, by token.
    pub tokens: BTreeMap<u64, Cell>,
    pub ids: BTreeSet<Id>,
    /// Sets by the engine's name.
    pub sets: Vec<(Id, usize)>,
    pub is_fed: bool,
    pub drains_later: bool,
    pub style: Style,
    /// Owners that were refused for lack of room, and owners that have to send after the draining.
    pub waiting: Vec<Own>,
    pub todo: Vec<Own>,
    /// Edges that have changed since the last full draining: circuit and place.
    pub moved: Vec<(usize, usize)>,
    next_token: u64,
    ticks_at: Nanos,
    draining: bool,
    /// The latest time that its engine was given.
    pub latest: Nanos,
    /// Instructions that waited after the last step.
    pub queued: u32,
    /// Sets that have gone and whose reason is not known yet.
    pub gone: Vec<Gone>,
}

/// Habits of a host.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Number of instructions that it takes at a time; 0 for all.
    pub budget: u64,
    /// Longest wait before it takes more.
    pub nap: Nanos,
    /// Number of messages in 8 that are tokens.
    pub tokens: u64,
    /// It asks which stream to read; otherwise it sends until it is refused.
    pub asks_next: bool,
    /// It sends while it drains.
    pub sends_inside: bool,
}

pub const TOKEN_COST: u32 = 100;

impl Node {
    pub fn new(index: usize, seed: u64, plan: &Plan, rng: &mut Rng) -> Node {
        let mut engine = Engine::new(&plan.engine(index, seed)).unwrap();
        for &(name, value) in &plan.params {
            for class in [PathClass::Exit, PathClass::Onion] {
                engine.set_param(class, name, value).unwrap();
            }
        }
        let style = Style {
            nap: rng.pick(&[50_000, 200_000, 3 * MS]),
            budget: if rng.once_in(4) || plan.insns_max < 1 << 16 { rng.range(1, 4) } else { 0 },
            tokens: rng.pick(&[0, 8, 4]),
            asks_next: rng.once_in(2),
            sends_inside: rng.once_in(2),
        };
        Node {
            engine,
            is_client: index < plan.clients,
            desk: if plan.kind == Kind::Hub { index.min(plan.first_exit()) } else { index },
            woken: Arc::default(),
            tokens: BTreeMap::new(),
            ids: BTreeSet::new(),
            sets: Vec::new(),
            is_fed: false,
            drains_later: false,
            style,
            waiting: Vec::new(),
            todo: Vec::new(),
            moved: Vec::new(),
            next_token: 1,
            ticks_at: NEVER,
            draining: false,
            latest: 0,
            queued: 0,
            gone: Vec::new(),
        }
    }
}

impl World {
    /// The time that a node's host passes in: sometimes a time that it read earlier.
    pub fn clock(&mut self, node: usize) -> Nanos {
        let mut now = self.now;
        if self.plan.back_in_time && self.rng.once_in(20) {
            now -= self.rng.below(3 * MS);
            self.tally.add(N::Backwards, 1);
        }
        self.nodes[node].latest = self.nodes[node].latest.max(now);
        self.tally.add(N::Feeds, 1);
        now
    }

    /// Draws whether a message or cell is a token, and makes the token.
    pub fn token(&mut self, node: usize) -> Option<Token> {
        if self.rng.below(8) >= self.nodes[node].style.tokens {
            return None;
        }
        Some(Token { token: self.next_token(node), cost: TOKEN_COST })
    }

    /// A token that no message of the process has had.
    pub fn next_token(&mut self, node: usize) -> u64 {
        let desk = self.nodes[node].desk;
        let at = &mut self.nodes[desk];
        at.next_token += 1;
        at.next_token
    }

    /// Notes that the engine keeps a token, with its cell.
    pub fn keep(&mut self, node: usize, token: Option<Token>, cell: &Cell) {
        if let Some(token) = token {
            self.tally.add(N::TokensKept, 1);
            trace!(self, "node {node}: keeps {cell:?} as {}", token.token);
            let desk = self.nodes[node].desk;
            let twice = self.nodes[desk].tokens.insert(token.token, *cell);
            assert!(twice.is_none(), "a token is kept once");
        }
    }

    /// Notes that the engine has given a token back, and returns its cell.
    pub fn give_back(&mut self, node: usize, token: Token) -> Cell {
        assert_eq!(token.cost, TOKEN_COST, "a token's cost comes back");
        let desk = self.nodes[node].desk;
        let cell = self.nodes[desk].tokens.remove(&token.token);
        cell.unwrap_or_else(|| panic!("each token comes back once: {} came again", token.token))
    }

    /// Drains a node after an event in which it was fed.
    pub fn after(&mut self, node: usize) {
        self.check_step(node);
        let budget = self.nodes[node].style.budget;
        if budget == 0 || self.rng.once_in(30) {
            self.drain(node, u64::MAX);
        } else {
            let budget = self.rng.range(1, budget);
            self.drain(node, budget);
        }
        for own in std::mem::take(&mut self.nodes[node].todo) {
            self.pump(own);
        }
        self.set_tick(node);
        let at = &mut self.nodes[node];
        if at.engine.stats().instructions > 0 && !std::mem::replace(&mut at.drains_later, true) {
            self.tally.add(N::ShortDrains, 1);
            let nap = self.nodes[node].style.nap;
            self.later(0, nap, Event::Drain(node));
        }
    }

    fn set_tick(&mut self, node: usize) {
        let deadline = self.nodes[node].engine.deadline();
        let mut at = deadline;
        if at == NEVER {
            return;
        }
        if self.plan.lateness > 0 && self.rng.once_in(2) {
            at += self.rng.below(self.plan.lateness);
        }
        // A timer that is set already, and not much later, is good enough.
        if self.nodes[node].ticks_at > at || self.nodes[node].ticks_at < self.now {
            self.nodes[node].ticks_at = at.max(self.now);
            self.at(at, Event::Tick(node));
        }
    }

    pub fn tick(&mut self, node: usize) {
        if self.nodes[node].ticks_at > self.now {
            return;
        }
        self.nodes[node].ticks_at = NEVER;
        let deadline = self.nodes[node].engine.deadline();
        if deadline <= self.now {
            self.tally.add(N::LateTicks, u64::from(deadline < self.now));
            let now = self.clock(node);
            self.nodes[node].engine.tick(now);
        }
        self.touch(node);
    }

    /// Takes up to `budget` instructions and obeys them.
    pub fn drain(&mut self, node: usize, budget: u64) {
        if std::mem::replace(&mut self.nodes[node].draining, true) {
            return;
        }
        let mut buffer = [0; 509];
        let mut taken = 0;
        while taken < budget {
            let Some(instruction) = self.nodes[node].engine.poll(&mut buffer).unwrap() else { break };
            taken += 1;
            assert!(taken < 500_000, "the queue runs out");
            self.obey(node, &instruction, &buffer);
        }
        self.nodes[node].draining = false;
        let (drained, queued) = (taken < budget, self.nodes[node].engine.stats().instructions);
        self.nodes[node].queued = queued;
        if drained && queued == 0 {
            self.check_drained(node);
        } else if drained {
            // A call that had much to look through stops early; the host calls again at once.
            assert_eq!(self.nodes[node].engine.wakes_at(), 0, "what polled nothing has nothing queued, or wants more");
        }
    }

    fn obey(&mut self, node: usize, instruction: &Instruction, buffer: &[u8; 509]) {
        trace!(self, "node {node}: {:?}", instruction);
        self.hash_instruction(instruction, buffer);
        if crate::hand::is_by_hand(instruction) {
            return self.obey_by_hand(node, instruction, buffer);
        }
        let &Instruction { circuit, set, circuit_tag, .. } = instruction;
        let (circ, pos) = place_of(circuit_tag);
        if circuit != Id::NONE {
            assert_eq!(self.circs[circ].ids[pos], circuit, "the tag is that of the circuit");
            let at = self.circs[circ].path[pos];
            assert_eq!(self.nodes[at].desk, self.nodes[node].desk, "the circuit is one of this process");
        }
        match instruction.what {
            What::Send { command, hop, body_len } => {
                self.tally.add(N::InsnSend, 1);
                let cell = self.cell_out(circ, pos, hop, command, 0).with_body(&buffer[..usize::from(body_len)]);
                self.send_control(circ, pos, cell);
            }
            What::Write { side, cell } => self.write(node, circ, pos, side as usize, &cell, buffer),
            What::PauseFeed { side, pause } => self.obey_pause(circ, pos, side as usize, pause),
            What::SendHeld(released) => {
                self.tally.add(N::InsnSendHeld, 1);
                let (hop, message) = (released.hop, &released.message);
                let mut cell = self.cell_of(node, message, buffer, |world| {
                    world.cell_out(circ, pos, hop, message.command, message.stream_id)
                });
                cell.number = message.number;
                self.send_held(circ, pos, hop, cell, instruction.wants_digest);
            }
            What::Pad { pad, asks } => {
                assert!(!asks, "nobody has a queue of its own");
                self.tally.add(N::InsnPad, 1);
                let cell = self.cell_out(circ, pos, pad.hop, Command::DROP, 0);
                self.put(circ, pos, cell, false);
            }
            What::Block { .. } | What::Unblock => panic!("nobody has a queue of its own"),
            What::Negotiated { .. } => {}
            What::Deliver(delivery) => {
                self.tally.add(N::InsnDeliver, 1);
                let cell = self.cell_of(node, &delivery, buffer, |_| {
                    Cell::new(circ, false, 0, delivery.command, delivery.stream_id)
                });
                self.deliver_held(node, instruction, &cell, delivery.number);
            }
            What::Discard(token) => {
                self.tally.add(N::InsnDiscard, 1);
                self.give_back(node, token);
            }
            What::Close(cause) => self.obey_close(circ, pos, cause),
            What::MaySend => self.obey_resume(node, instruction),
            What::Linked(_) => self.obey_linked(node, circ, pos, set),
            What::Usable => self.obey_usable(node, set),
            What::WantLeg => self.obey_want_leg(node, set),
            What::Ended(cause) => self.obey_ended(node, set, cause),
        }
    }

    /// Makes a cell that starts here.
    pub fn cell_out(&self, circ: usize, pos: usize, hop: u8, command: Command, stream_id: u16) -> Cell {
        self.cell_in_talk(circ, pos, self.circs[circ].talk_of(pos, hop), command, stream_id)
    }

    pub fn cell_in_talk(&self, circ: usize, pos: usize, talk: usize, command: Command, stream_id: u16) -> Cell {
        Cell::new(circ, self.circs[circ].is_forward(pos, talk), talk as u8, command, stream_id)
    }

    /// Makes the cell of a message that was held, from its token or its bytes.
    pub fn cell_of(
        &mut self,
        node: usize,
        message: &Delivery,
        buffer: &[u8; 509],
        make: impl FnOnce(&World) -> Cell,
    ) -> Cell {
        match message.token {
            Some(token) => {
                let cell = self.give_back(node, token);
                assert_eq!((cell.command, cell.stream_id), (message.command, message.stream_id), "it is that message");
                assert_eq!(message.len, cell.len, "its length is kept");
                cell
            }
            None => {
                let body = &buffer[..usize::from(message.body_len)];
                let cell = make(self).with_body(body);
                let short = body.len() < crate::cell::DATA_MIN as usize;
                let same = message.command != Command::DATA || short || cell.is_data(body);
                assert!(same, "bytes are kept as they were");
                cell
            }
        }
    }

    /// Calls an engine; if it refuses because too many instructions wait, drains it and calls again.
    pub fn retry<R>(&mut self, node: usize, mut feed: impl FnMut(&mut World) -> Result<R, Error>) -> Result<R, Error> {
        for _ in 0..4 {
            match feed(self) {
                Err(Error::Blocked(circflow::engine::Blocked::Undrained)) => {
                    self.tally.add(N::Undrained, 1);
                    let queued = self.nodes[node].engine.stats().instructions;
                    assert!(queued >= self.plan.insns_max, "UNDRAINED only when much waits");
                    self.drain(node, u64::MAX);
                }
                other => return other,
            }
        }
        panic!("a host that drains gets its turn");
    }

    pub fn is_expired<T>(&self, result: &Result<T, Error>) -> bool {
        matches!(result, Err(Error::Expired))
    }

    fn hash_instruction(&mut self, instruction: &Instruction, buffer: &[u8; 509]) {
        let &Instruction { circuit, set, circuit_tag, set_tag, stream, stream_tag, wants_digest, what } = instruction;
        self.say(&[circuit.0, set.0, circuit_tag, set_tag, stream.0, stream_tag, wants_digest.into()]);
        let (words, len) = match what {
            What::Send { command, hop, body_len } => ([1, command.0.into(), hop.into(), 0], body_len),
            What::Write { side, cell } => ([2, side as u64, token_of(&cell), cell.len.into()], cell.body_len),
            What::PauseFeed { side, pause } => ([3, side as u64, pause.into(), 0], 0),
            What::SendHeld(held) => {
                let message = held.message;
                ([4, message.number, token_of(&message), message.command.0.into()], message.body_len)
            }
            What::Pad { pad, .. } => ([5, pad.hop.into(), pad.machine.into(), pad.slot.into()], 0),
            What::Deliver(held) => ([6, held.number, token_of(&held), held.command.0.into()], held.body_len),
            What::Discard(token) => ([7, token.token, 0, 0], 0),
            What::Close(cause) => ([8, cause_number(cause), 0, 0], 0),
            What::MaySend => ([9, 0, 0, 0], 0),
            What::Linked(rtt) => ([10, rtt, 0, 0], 0),
            What::Usable => ([11, 0, 0, 0], 0),
            What::WantLeg => ([12, 0, 0, 0], 0),
            What::Ended(cause) => ([13, cause_number(cause), 0, 0], 0),
            What::Block { .. } | What::Unblock => ([14, 0, 0, 0], 0),
            What::Negotiated { number, hop, reply } => ([15, number.into(), hop.into(), reply as u64], 0),
        };
        self.say(&words);
        for chunk in buffer[..usize::from(len.min(64))].chunks_exact(8) {
            self.say(&[u64::from_le_bytes(chunk.try_into().unwrap())]);
        }
    }

    /// The host's handling of an edge's instructions.
    fn obey_pause(&mut self, circ: usize, pos: usize, side: usize, pause: bool) {
        self.tally.add(if pause { N::InsnPauseFeed } else { N::InsnUnpauseFeed }, 1);
        let over = self.plan.marks.over;
        let mut deaf = 0;
        if pause && self.circs[circ].defiant {
            self.tally.add(N::PauseDefied, 1);
            deaf = u32::MAX;
        } else if pause && self.circs[circ].is_between(pos) && self.rng.once_in(3) {
            deaf = self.rng.below(u64::from(over)) as u32;
        }
        let state = &mut self.circs[circ];
        assert_ne!(state.paused[pos][side], pause, "PAUSE_FEED and UNPAUSE_FEED take turns");
        state.paused[pos][side] = pause;
        state.deaf[pos][side] = deaf;
        if !pause && !state.stash[pos][side].is_empty() {
            let now = self.now;
            self.at(now, Event::Unstash(circ, pos, side));
        }
    }

    /// Feeds the cells that were kept in a pause, until there is a new pause.
    pub fn unstash(&mut self, circ: usize, pos: usize, side: usize) {
        let state = &mut self.circs[circ];
        if !state.open[pos] || state.paused[pos][side] {
            return;
        }
        if let Some(cell) = state.stash[pos][side].pop_front() {
            self.feed(pos, cell);
            let now = self.now;
            self.at(now, Event::Unstash(circ, pos, side));
        }
    }

    /// Handles a cell that waited at an edge.
    fn write(&mut self, node: usize, circ: usize, pos: usize, side: usize, cell: &Delivery, buffer: &[u8; 509]) {
        self.tally.add(N::InsnWrite, 1);
        let kept = cell.token.map(|token| self.give_back(node, token));
        self.check_room(circ, pos, side, "nothing is written to a full channel");
        self.check_turn(circ, pos, side);
        let state = &mut self.circs[circ];
        let edge = &mut state.edges[pos][side];
        let first = edge.waiting.pop_front().expect("what is written waited");
        edge.pausing &= edge.waiting.len() as u32 > self.plan.marks.low;
        self.nodes[node].moved.push((circ, pos));
        let same = match kept {
            Some(kept) => (kept.serial, kept.talk, kept.circ) == (first.serial, first.talk, first.circ),
            None => buffer[..8] == stamp(&first).to_le_bytes(),
        };
        assert!(same, "cells leave an edge in order: {first:?} was next");
        assert_eq!(cell.len, WRITE_LEN, "whole cells");
        self.spend_room(circ, pos, side);
        self.transmit(circ, pos, first);
    }
}

/// The circuit and the place of a host's tag.
pub fn place_of(tag: u64) -> (usize, usize) {
    ((tag / PLACES as u64) as usize, (tag % PLACES as u64) as usize)
}

/// Length of a cell that a relay passes on.
pub const WRITE_LEN: u16 = 509;

/// Body of a cell that a relay passes on.
pub fn stamp(cell: &Cell) -> u64 {
    u64::from(cell.circ) << 40 | u64::from(cell.talk) << 36 | u64::from(cell.forward) << 35 | u64::from(cell.serial)
}

fn token_of(delivery: &Delivery) -> u64 {
    delivery.token.map_or(0, |token| token.token)
}

pub fn cause_number(cause: circflow::conflux::Cause) -> u64 {
    use circflow::conflux::Cause;
    match cause {
        Cause::Asked => 1,
        Cause::LegLost => 2,
        Cause::Finished => 3,
        Cause::Fault(fault) => 100 + fault as u64,
    }
}
