//! Feeds cells to engines, and handles the answers.

use crate::cell::{sendme_digest, Cell};
use crate::node::{stamp, WRITE_LEN};
use crate::plan::Kind;
use crate::rng::mix;
use crate::tally::N;
use crate::world::{is_data, trace, World};
use circflow::base::{Id, Nanos};
use circflow::conflux::Fault;
use circflow::engine::{Blocked, Error, Instruction, Misuse, Verdict, VerdictKind};
use circflow::message::Message;
use circflow::wire::Command;

/// Outcome of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Taken,
    /// The engine closes something because of it.
    Refused,
    /// The circuit was closing already.
    Lost,
}

impl World {
    /// Feeds a cell at its place, where it is recognised or passed on.
    pub fn feed(&mut self, pos: usize, cell: Cell) {
        let ends = self.circs[cell.circ as usize].ends_of(cell.talk.into());
        if ends[usize::from(cell.forward)] != pos {
            return self.pass(pos, cell);
        }
        if self.circs[cell.circ as usize].hostile && self.is_under_way() {
            return self.meddle(pos, cell);
        }
        let _ = self.recognise(pos, cell);
    }

    fn is_under_way(&self) -> bool {
        !self.ending
    }

    fn pass(&mut self, pos: usize, cell: Cell) {
        let circ = cell.circ as usize;
        let (from, node) = (self.circs[circ].side_in(pos, cell.forward), self.circs[circ].path[pos]);
        let to = 1 - from as usize;
        let marks = self.plan.marks;
        let waiting = self.circs[circ].edges[pos][to].waiting.len() as u32;
        // A host that drains only a part would hear of the pause too late, so it drains everything here.
        if waiting + 8 >= marks.high && self.nodes[node].queued > 0 && !self.circs[circ].defiant {
            self.drain(node, u64::MAX);
            if !self.circs[circ].open[pos] {
                return self.lose(&cell);
            }
            if self.circs[circ].paused[pos][from as usize] && self.circs[circ].deaf[pos][from as usize] == 0 {
                return self.circs[circ].stash[pos][from as usize].push_back(cell);
            }
        }
        let token = self.token(node);
        let mut body = [0; WRITE_LEN as usize];
        body[..8].copy_from_slice(&stamp(&cell).to_le_bytes());
        let message = Message { command: Command(3), hop: 0, stream_id: 0, body: &body, token };
        let verdict = self.retry(node, |world| {
            let now = world.clock(node);
            let (id, engine) = (world.circs[circ].ids[pos], &mut world.nodes[node].engine);
            match engine.pass_quick(now, id, from) {
                Some(verdict) => Ok(verdict),
                None => engine.pass(now, id, from, &message),
            }
        });
        self.touch(node);
        self.note(node, &verdict);
        if from as usize == 0 && verdict.is_ok() {
            self.note_block(circ, pos, u8::MAX);
        }
        let state = &mut self.circs[circ];
        let edge = &mut state.edges[pos][to];
        let waiting = edge.waiting.len() as u32;
        match verdict {
            Ok(Verdict { kind: VerdictKind::Forward, .. }) => {
                assert_eq!(waiting, 0, "no cell overtakes those that wait");
                self.check_room(circ, pos, to, "nothing is passed to a full channel");
                self.check_turn(circ, pos, to);
                self.spend_room(circ, pos, to);
                self.transmit(circ, pos, cell);
            }
            Ok(Verdict { kind: VerdictKind::Held, .. }) => {
                edge.waiting.push_back(cell);
                let waiting = waiting + 1;
                edge.pausing |= waiting >= marks.high;
                self.nodes[node].moved.push((circ, pos));
                assert!(waiting <= marks.high + marks.over, "an edge has its cap: {waiting}");
                self.tally.most("cells at an edge", waiting.into());
                self.tally.add(N::EdgeHeld, 1);
                self.keep(node, token, &cell);
            }
            Err(Error::Fault(Fault::EdgeOverrun)) => {
                assert_eq!(waiting, marks.high + marks.over, "an edge takes what it has promised to take");
                self.tally.add(N::Overruns, 1);
                self.judge(circ, Fault::EdgeOverrun);
                self.lose(&cell);
            }
            Err(Error::Fault(fault)) => {
                self.judge(circ, fault);
                self.lose(&cell);
            }
            Err(Error::Blocked(Blocked::Gone) | Error::Expired) => self.lose(&cell),
            Err(Error::Misuse(Misuse::StaleId)) if !self.circs[circ].open[pos] => self.lose(&cell),
            other => panic!("a cell passes, waits or closes its circuit: {other:?}"),
        }
    }

    /// Feeds a message that is for this end of the circuit.
    pub fn recognise(&mut self, pos: usize, cell: Cell) -> Outcome {
        let circ = cell.circ as usize;
        if !self.circs[circ].open[pos] {
            self.lose(&cell);
            return Outcome::Lost;
        }
        let (node, way, talk) = (self.circs[circ].path[pos], usize::from(!cell.forward), usize::from(cell.talk));
        let hop = self.circs[circ].hop_of(pos, talk);
        let tainted = self.is_tainted(circ);
        let token = self.token(node);
        let mut scratch = [0; 509];
        let body = cell.body(&mut scratch);
        let message = Message { command: cell.command, hop, stream_id: cell.stream_id, body, token };
        let on = &mut self.circs[circ].ways[talk][way];
        assert!(tainted || on.got == cell.serial, "links keep order: the simulator's own fault");
        on.got = cell.serial + 1;
        on.digest_in = mix(on.digest_in ^ cell.print());
        let digest = sendme_digest(on.digest_in);
        let before = self.who_holds(node);
        let verdict = self.retry(node, |world| {
            let now = world.clock(node);
            let (id, engine) = (world.circs[circ].ids[pos], &mut world.nodes[node].engine);
            engine.receive_cell(now, id, &message, &digest)
        });
        trace!(
            self,
            "node {node}: circuit {circ}.{pos} <- {:?} stream {} len {} number {}: {}",
            cell.command,
            cell.stream_id,
            cell.len,
            cell.number,
            short(&verdict)
        );
        self.who_went(node, before);
        self.touch(node);
        self.note(node, &verdict);
        if verdict.is_ok() {
            self.note_block(circ, pos, hop);
        }
        let on = &mut self.circs[circ].ways[talk][way];
        // A message for a set that has just ended in its engine was acknowledged before.
        let gone = matches!(verdict, Err(Error::Blocked(_))) && self.plan.kind != Kind::Hub;
        let counts = !gone && !matches!(verdict, Err(Error::Expired | Error::Misuse(_)));
        on.data_got += u64::from(is_data(&cell) && counts);
        match verdict {
            Ok(verdict) => {
                self.took(node, circ, pos, &cell, &verdict, token);
                Outcome::Taken
            }
            Err(Error::Fault(fault)) => {
                self.judge(circ, fault);
                self.lose(&cell);
                Outcome::Refused
            }
            Err(Error::Blocked(Blocked::Gone) | Error::Expired) => {
                self.lose(&cell);
                Outcome::Lost
            }
            Err(Error::Misuse(Misuse::StaleId)) if !self.circs[circ].open[pos] => {
                self.lose(&cell);
                Outcome::Lost
            }
            Err(other) => panic!("a message is dealt with or closes its circuit: {other:?} for {cell:?}"),
        }
    }

    fn took(
        &mut self,
        node: usize,
        circ: usize,
        pos: usize,
        cell: &Cell,
        verdict: &Verdict,
        token: Option<circflow::message::Token>,
    ) {
        assert_eq!(verdict.circuit, self.circs[circ].ids[pos], "the verdict is about this circuit");
        // When the set goes on as a circuit at one end, only the other end counts.
        if !self.is_tainted(circ) && verdict.number != 0 && cell.number != 0 {
            assert_eq!(verdict.number, cell.number, "both ends count alike");
        }
        match verdict.kind {
            VerdictKind::Deliver => {
                if verdict.number != 0 {
                    self.deliver_number(circ, pos, verdict.number);
                }
                self.deliver(node, (circ, pos), cell, verdict.stream, verdict.stream_tag);
            }
            VerdictKind::Held => {
                self.keep(node, token, cell);
                self.tally.most("reorder depth", verdict.number.saturating_sub(self.delivered_at(circ, pos)));
            }
            VerdictKind::Consumed => self.consumed(circ, pos, cell),
            other => panic!("no answer to a message that comes: {other:?}"),
        }
    }

    /// Handles a control message that the engine has consumed.
    fn consumed(&mut self, circ: usize, pos: usize, cell: &Cell) {
        let (talk, way) = (usize::from(cell.talk), usize::from(cell.forward));
        let (counts, hop) = (self.circs[circ].counts(pos), self.circs[circ].hop_of(pos, talk));
        if let (Command::DROP, true, Some(pad)) = (cell.command, counts, &mut self.circs[circ].pads[pos]) {
            pad.after_end += u32::from(pad.ended && pad.hop == hop);
        }
        match cell.command {
            Command::SENDME => {
                // A SENDME is about the other direction.
                let inc = self.circs[circ].incs[talk];
                let on = &mut self.circs[circ].ways[talk][way];
                on.sendmes_got += 1;
                let done = on.sendmes_got * inc;
                let sent = on.data_sent;
                assert!(self.is_tainted(circ) || done <= sent, "a SENDME acknowledges what was sent");
                self.check_window(circ, pos, talk, false);
            }
            Command::XOFF | Command::XON if self.circs[circ].set.is_none() => {
                if let Some((stream, end)) = self.stream_at(circ, pos, cell.stream_id, talk) {
                    self.streams[stream].ends[end].xoff = cell.command == Command::XOFF;
                }
            }
            _ => {}
        }
    }

    /// Handles a held message that is delivered in order.
    pub fn deliver_held(&mut self, node: usize, instruction: &Instruction, cell: &Cell, number: u64) {
        let Some(set) = self.set_at(node, instruction.set) else {
            // The message had its turn when its set ended: the streams are gone.
            assert!(self.nodes[node].engine.set_stats(instruction.set).is_err(), "a set that lives is known");
            return;
        };
        let end = usize::from(!self.nodes[node].is_client);
        if self.nodes[node].engine.set_stats(instruction.set).is_err() && instruction.stream_tag == 0 {
            return;
        }
        let state = &mut self.sets[set].ends[end];
        assert!(number > state.delivered, "numbers are delivered in order: {number} after {}", state.delivered);
        state.delivered = number;
        let from = self.sets[set].legs[0];
        let pos = end * self.circs[from].last;
        self.deliver(node, (from, pos), cell, instruction.stream, instruction.stream_tag);
    }

    fn deliver_number(&mut self, circ: usize, pos: usize, number: u64) {
        let Some(set) = self.circs[circ].set else { panic!("numbers are for sets") };
        let state = &mut self.sets[set].ends[usize::from(pos != 0)];
        assert!(number > state.delivered, "numbers are delivered in order: {number} after {}", state.delivered);
        state.delivered = number;
    }

    fn delivered_at(&self, circ: usize, pos: usize) -> u64 {
        self.circs[circ].set.map_or(0, |set| self.sets[set].ends[usize::from(pos != 0)].delivered)
    }

    /// Notes that a machine that blocks when a cell comes will block from the next call on.
    fn note_block(&mut self, circ: usize, pos: usize, from: u8) {
        let latest = self.nodes[self.circs[circ].path[pos]].latest;
        if let Some(pad) = &mut self.circs[circ].pads[pos] {
            if pad.blocks && from >= pad.hop {
                pad.until = latest + BLOCK;
            }
        }
    }

    /// Counts an engine's answer, and adds it to the hash of all answers.
    pub fn note(&mut self, node: usize, verdict: &Result<Verdict, Error>) {
        let what = match verdict {
            Ok(verdict) => match verdict.kind {
                VerdictKind::Deliver => N::Deliver,
                VerdictKind::Held => N::Held,
                VerdictKind::Consumed | VerdictKind::Refuse => N::Consumed,
                VerdictKind::Send => N::Send,
                VerdictKind::Forward => N::Forward,
            },
            Err(Error::Blocked(Blocked::Gone)) => N::Gone,
            Err(Error::Blocked(Blocked::NoRoom)) => N::NoRoom,
            Err(Error::Blocked(Blocked::Stopped)) => N::Stopped,
            Err(Error::Blocked(Blocked::NotUsable)) => N::NotUsable,
            Err(Error::Blocked(Blocked::Full)) => N::Full,
            Err(Error::Blocked(Blocked::Undrained)) => N::Undrained,
            Err(Error::Expired) => N::Expired,
            Err(_) => N::Events,
        };
        if what != N::Events {
            self.tally.add(what, 1);
        }
        let words = match verdict {
            Ok(v) => {
                let flags = v.kind as u64 | u64::from(v.ready) << 8 | u64::from(v.wants_digest) << 9;
                let place = v.circuit.0 ^ v.circuit_tag.rotate_left(32);
                [1, flags | u64::from(v.switch_delta) << 16, place, v.number, v.stream.0 ^ v.stream_tag.rotate_left(32)]
            }
            Err(Error::Misuse(misuse)) => [2, *misuse as u64, 0, 0, 0],
            Err(Error::Blocked(blocked)) => [3, *blocked as u64, 0, 0, 0],
            Err(Error::Fault(fault)) => [4, *fault as u64, 0, 0, 0],
            Err(Error::Expired) => [5, 0, 0, 0, 0],
        };
        self.say(&[node as u64]);
        self.say(&words);
    }

    /// The set with this id at a node.
    pub fn set_at(&self, node: usize, id: Id) -> Option<usize> {
        self.nodes[node].sets.iter().find(|&&(name, _)| name == id).map(|&(_, set)| set)
    }

    pub fn is_tainted(&self, circ: usize) -> bool {
        let state = &self.circs[circ];
        state.hostile || state.set.is_some_and(|set| self.sets[set].tainted)
    }
}

/// Duration of a block by the machines that the simulator models.
pub const BLOCK: Nanos = 100_000_000;

pub fn short(verdict: &Result<Verdict, Error>) -> String {
    match verdict {
        Ok(v) => format!(
            "{:?} circuit {} number {} switch {} stream {}{}",
            v.kind,
            v.circuit_tag,
            v.number,
            v.switch_delta,
            v.stream_tag,
            if v.wants_digest { ", wants digest" } else { "" }
        ),
        Err(error) => format!("{error:?}"),
    }
}
