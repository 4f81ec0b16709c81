//! Sends messages, handles messages of streams, and goes on after MAY_SEND.

use crate::cell::{sendme_digest, Cell};
use crate::model::*;
use crate::node::place_of;
use crate::plan::{Kind, MS};
use crate::rng::mix;
use crate::stream::{stream_of, stream_tag};
use crate::tally::N;
use crate::world::{is_data, trace, Event, World};
use circflow::base::Id;
use circflow::engine::{Error, Instruction, Misuse, Outlet, Verdict, VerdictKind};
use circflow::message::Message;
use circflow::wire::conflux::Switch;
use circflow::wire::Command;

impl World {
    /// Sends a message of a stream.
    pub fn send_on(&mut self, stream: usize, end: usize, cell: Cell) -> Result<(), Error> {
        let own = self.own(stream, end);
        let (node, id) = (self.node_of(own), self.streams[stream].ends[end].id);
        let stopped = is_data(&cell) && self.nodes[node].engine.stream_stats(id).is_ok_and(|stats| stats.stopped);
        let (token, now) = (self.token(node), self.clock(node));
        let mut scratch = [0; 509];
        let (body, command, stream_id) = (cell.body(&mut scratch), cell.command, cell.stream_id);
        let message = Message { command, hop: 0, stream_id, body, token };
        let verdict = self.nodes[node].engine.send_message(now, Outlet::Stream(id), &message);
        trace!(
            self,
            "node {node}: stream {stream}.{end} -> {:?} pos {} len {}: {}",
            cell.command,
            cell.pos,
            cell.len,
            crate::receive::short(&verdict)
        );
        self.touch(node);
        self.note(node, &verdict);
        let verdict = verdict?;
        let stopped = stopped || (is_data(&cell) && self.streams[stream].ends[end].xoff);
        assert!(!stopped, "nothing of a stream goes out after XOFF");
        match verdict.kind {
            VerdictKind::Send => self.sent(stream, end, &verdict, cell),
            VerdictKind::Held => {
                self.tally.add(N::SendHeldBack, 1);
                self.keep(node, token, &cell);
            }
            other => panic!("no answer to a message that is sent: {other:?}"),
        }
        Ok(())
    }

    /// Sends a message on the leg that the verdict names.
    fn sent(&mut self, stream: usize, end: usize, verdict: &Verdict, mut cell: Cell) {
        let (circ, pos) = place_of(verdict.circuit_tag);
        assert_eq!(self.circs[circ].ids[pos], verdict.circuit, "the tag is that of the circuit");
        let talk = match self.streams[stream].home {
            Home::Set(set) => {
                let is_leg = self.circs[circ].set == Some(set);
                assert!(is_leg && (pos == 0) == (end == 0), "a message goes out on a leg of its set");
                self.check_named(set, end, verdict);
                self.circs[circ].last
            }
            Home::Circ(home, talk) => {
                assert_eq!(home, circ, "a message goes out on its circuit");
                talk
            }
        };
        if is_data(&cell) {
            self.check_room(circ, pos, 0, "no DATA goes out on a full channel");
            self.check_turn(circ, pos, 0);
        }
        if verdict.switch_delta != 0 {
            self.tally.add(N::Switches, 1);
            self.spite(circ, usize::from(pos != 0));
            let switch = self.cell_in_talk(circ, pos, talk, Command::CONFLUX_SWITCH, 0);
            self.put(circ, pos, switch.with_body(&Switch { delta: verdict.switch_delta }.encode()), false);
        }
        if verdict.number != 0 && self.nodes[self.circs[circ].path[pos]].engine.stats().instructions > 0 {
            self.tally.add(N::SendUndrained, 1);
        }
        let like = self.cell_in_talk(circ, pos, talk, cell.command, cell.stream_id);
        (cell.circ, cell.forward, cell.talk, cell.number) = (like.circ, like.forward, like.talk, verdict.number);
        if let Some(pad) = self.circs[circ].pads[pos].filter(|pad| pad.blocks && self.plan.insns_max > 1000) {
            let latest = self.nodes[self.circs[circ].path[pos]].latest;
            assert!(latest >= pad.until, "nothing of a stream goes out while padding blocks");
        }
        self.put(circ, pos, cell, verdict.wants_digest);
        if is_data(&cell) {
            self.check_window(circ, pos, talk, true);
        }
    }

    /// Breaks the old sending leg just after a SWITCH, with little in flight.
    fn spite(&mut self, circ: usize, way: usize) {
        let Some(set) = self.circs[circ].set.filter(|_| self.plan.spite && !self.ending) else { return };
        let left = self.sets[set].ends[way].carrier;
        let Some(left) = left.filter(|&left| left != circ && self.rng.once_in(2)) else { return };
        let last = self.circs[left].last;
        let (on, inc) = (&self.circs[left].ways[last][way], self.circs[left].incs[last]);
        if on.data_sent - on.sendmes_got * inc < inc {
            self.tally.add(N::SpiteKills, 1);
            let pos = self.rng.range(1, last as u64 - 1) as usize;
            self.later(0, 80 * MS, Event::Kill(left, pos));
        }
    }

    /// A cell starts here.
    pub fn put(&mut self, circ: usize, pos: usize, mut cell: Cell, wants_digest: bool) {
        let (way, talk) = (usize::from(!cell.forward), usize::from(cell.talk));
        let inc = self.circs[circ].incs[talk];
        let on = &mut self.circs[circ].ways[talk][way];
        cell.serial = on.sent;
        on.sent += 1;
        on.digest_out = mix(on.digest_out ^ cell.print());
        on.data_sent += u64::from(is_data(&cell));
        let (digest, wanted) = (on.digest_out, is_data(&cell) && on.data_sent.is_multiple_of(inc));
        assert_eq!(wants_digest, wanted, "the digest of each cell that a SENDME acknowledges is wanted, and no other");
        if wants_digest {
            self.tally.add(N::Digests, 1);
            let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
            let hop = self.circs[circ].hop_of(pos, talk);
            let given = self.nodes[node].engine.add_digest(id, hop, &sendme_digest(digest));
            assert!(given.is_ok(), "a digest that is wanted is taken: {given:?}");
        }
        if let (Some(set), true) = (self.circs[circ].set, cell.number != 0) {
            let state = &mut self.sets[set];
            let next = state.ends[way].numbered + 1;
            // A message that crosses to another engine can be overtaken by a message on a leg of the set's own engine.
            let in_order = cell.number == next || (self.plan.kind == Kind::Hub && way == 1);
            assert!(state.tainted || in_order, "numbers go out one after the other: {} for {next}", cell.number);
            let last = std::mem::replace(&mut self.circs[circ].numbered[way], cell.number);
            assert!(state.tainted || cell.number > last, "numbers of a leg grow: {} after {last}", cell.number);
            state.ends[way].carrier = Some(circ);
            state.ends[way].numbered = state.ends[way].numbered.max(cell.number);
        }
        // Padding would count when the host reports it, which this one does not.
        if cell.command != Command::DROP {
            self.spend_room(circ, pos, 0);
        }
        self.transmit(circ, pos, cell);
    }

    /// Sends a message of circflow's own.
    pub fn send_control(&mut self, circ: usize, pos: usize, cell: Cell) {
        match cell.command {
            Command::SENDME => {
                self.tally.add(N::Sendmes, 1);
                // A SENDME is about the other direction.
                let inc = self.circs[circ].incs[usize::from(cell.talk)];
                let on = &mut self.circs[circ].ways[usize::from(cell.talk)][usize::from(cell.forward)];
                on.sendmes_sent += 1;
                assert!(on.sendmes_sent * inc <= on.data_got, "a SENDME is not sent before its time");
            }
            Command::CONFLUX_SWITCH => self.tally.add(N::Switches, 1),
            _ => {}
        }
        self.put(circ, pos, cell, false);
    }

    /// Sends a message that was held, or a message of circflow's own on a stream.
    pub fn send_held(&mut self, circ: usize, pos: usize, hop: u8, mut cell: Cell, wants_digest: bool) {
        let like = self.cell_out(circ, pos, hop, cell.command, cell.stream_id);
        (cell.circ, cell.forward, cell.talk) = (like.circ, like.forward, like.talk);
        match cell.command {
            Command::XOFF => self.tally.add(N::Xoffs, 1),
            Command::XON => self.tally.add(N::Xons, 1),
            _ => {}
        }
        let spoken = matches!(cell.command, Command::XON | Command::XOFF);
        self.tally.add(N::InsnSpoken, spoken.into());
        self.tally.add(N::SpokenInSet, (spoken && cell.number != 0).into());
        if cell.command == Command::END && cell.small[0] == 5 {
            self.tally.add(N::RefusedFull, 1);
        }
        self.put(circ, pos, cell, wants_digest);
        if is_data(&cell) {
            self.check_window(circ, pos, usize::from(cell.talk), false);
        }
    }

    /// The stream of a message on this circuit, if there is one.
    pub fn stream_at(&self, circ: usize, pos: usize, stream_id: u16, talk: usize) -> Option<(usize, usize)> {
        let is_it = |model: &StreamModel| model.stream_id == stream_id && model.home == Home::Circ(circ, talk);
        let stream = self.streams.iter().position(is_it)?;
        let end = self.end_at(stream, Own::Circ(circ, pos));
        self.streams[stream].ends[end].open.then_some((stream, end))
    }

    /// A message comes to its stream, in order.
    pub fn deliver(&mut self, node: usize, (circ, pos): (usize, usize), cell: &Cell, id: Id, name: u64) {
        trace!(self, "node {node}: delivered {:?} stream {} pos {}", cell.command, cell.stream_id, cell.pos);
        match cell.command {
            Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE => return self.begun(node, (circ, pos), cell, id),
            Command::DATA | Command::CONNECTED | Command::END | Command::RESOLVED => {}
            // A message that the host of a hostile peer has to handle.
            _ => return assert!(self.is_tainted(circ), "no honest peer sends {:?}", cell.command),
        }
        if name == 0 {
            // The stream was made up by a hostile peer.
            return assert!(self.is_tainted(circ), "the stream of a message is known: {cell:?}");
        }
        let (stream, end) = stream_of(name);
        let lenient = self.is_lenient(stream);
        let at = &mut self.streams[stream].ends[end];
        if lenient && !at.open {
            return;
        }
        assert!(at.open && (at.id == id || id == Id::NONE), "what comes belongs to an open stream: {cell:?}");
        match cell.command {
            Command::DATA if lenient => {
                at.buffered += u64::from(cell.len);
                self.read(stream, end);
            }
            Command::DATA => {
                assert_eq!(cell.stream as usize, stream, "bytes come to their stream");
                assert_eq!(u64::from(cell.pos), at.got, "bytes of a stream come in order, and once");
                at.got += u64::from(cell.len);
                at.buffered += u64::from(cell.len);
                let most = at.buffered;
                self.tally.most("bytes a reader let wait", most);
                self.tally.add(N::DataDelivered, 1);
                self.tally.add(N::BytesDelivered, cell.len.into());
                self.read(stream, end);
            }
            Command::CONNECTED => {
                assert!(lenient || end == 0, "CONNECTED is for who has opened the stream");
                self.start(stream, end);
            }
            _ => {
                at.got_end = true;
                let (got, sent) = (at.got, self.streams[stream].ends[1 - end].sent);
                assert!(lenient || got == sent, "all that was sent comes before END: {got} of {sent}");
                self.forget(stream, end);
            }
        }
    }

    /// The other end has opened a stream.
    fn begun(&mut self, node: usize, (circ, pos): (usize, usize), cell: &Cell, id: Id) {
        self.new_id(node, id);
        let stream = u32::from_le_bytes([cell.small[0], cell.small[1], cell.small[2], cell.small[3]]) as usize;
        let known = self.streams.get(stream).is_some_and(|model| {
            let home = match model.home {
                Home::Set(set) => self.circs[circ].set == Some(set) && pos == self.circs[circ].last,
                Home::Circ(home, talk) => home == circ && self.circs[circ].taker(talk) == pos,
            };
            home && !model.ends[1].open && !model.ends[1].sent_end && model.stream_id == cell.stream_id
        });
        if !known {
            return assert!(self.is_tainted(circ), "a stream is opened once: {cell:?}");
        }
        let own = self.own(stream, 1);
        let at = &mut self.streams[stream].ends[1];
        (at.id, at.open) = (id, true);
        self.own_end(own).streams.push(stream);
        let streams = self.own_end(own).streams.len();
        assert!(streams <= self.streams_max(node), "streams have their cap");
        let priority = self.rng.below(3) as u8;
        self.nodes[node].engine.retag_stream(id, stream_tag(stream, 1)).unwrap();
        self.nodes[node].engine.set_priority(id, priority).unwrap();
        self.later(0, 30 * MS, Event::Answer(stream));
    }

    /// Notes that a stream has data for its reader.
    fn read(&mut self, stream: usize, end: usize) {
        let at = &mut self.streams[stream].ends[end];
        if at.pace == 0 && at.rests_until <= self.now {
            if self.rng.once_in(2000) {
                let rest = self.rng.range(20, 1500) * MS;
                self.streams[stream].ends[end].rests_until = self.now + rest;
            } else if self.rng.once_in(2) {
                return self.flush(stream, end);
            }
        }
        let at = &mut self.streams[stream].ends[end];
        if !std::mem::replace(&mut at.flushing, true) {
            let wait = (498 * MS).checked_div(at.pace).unwrap_or_else(|| self.rng.below(3 * MS));
            let due = (self.now + wait).max(at.rests_until);
            self.at(due, Event::Flush(stream, end));
        }
    }

    /// Lets a reader take bytes.
    pub fn flush(&mut self, stream: usize, end: usize) {
        let own = self.own(stream, end);
        let node = self.node_of(own);
        let at = &mut self.streams[stream].ends[end];
        at.flushing = false;
        if !at.open || at.buffered == 0 {
            return;
        }
        let bytes = if at.pace == 0 { at.buffered } else { at.buffered.min(1 + self.rng.below(498 * 2)) };
        at.buffered -= bytes;
        let (id, left, pace, rests) = (at.id, at.buffered, at.pace, at.rests_until);
        let now = self.clock(node);
        let told = self.nodes[node].engine.flushed(now, id, bytes as u32);
        self.touch(node);
        match told {
            Ok(()) => {}
            Err(Error::Misuse(Misuse::StaleId)) => return,
            // A hostile peer has opened its set anew on another engine, and the model knows one exit.
            Err(Error::Misuse(Misuse::ForeignId)) if self.is_lenient(stream) => return,
            Err(other) => panic!("a flush is heard: {other:?}"),
        }
        if left > 0 && !self.streams[stream].ends[end].flushing {
            self.streams[stream].ends[end].flushing = true;
            let due = (self.now + 1 + bytes * MS / pace.max(1)).max(rests);
            self.at(due, Event::Flush(stream, end));
        }
    }

    /// Lets an owner that waited go on.
    pub fn obey_resume(&mut self, node: usize, instruction: &Instruction) {
        let own = if instruction.stream != Id::NONE {
            self.tally.add(N::InsnMaySendStream, 1);
            let (stream, end) = stream_of(instruction.stream_tag);
            let at = &mut self.streams[stream].ends[end];
            assert_eq!(at.id, instruction.stream, "a stream that is open goes on");
            (at.waiting, at.resumes) = (false, at.resumes + 1);
            let asks = self.nodes[node].style.asks_next;
            // A host that asks which stream to read is not told which streams have to wait because of their rate.
            assert!(asks || at.resumes <= at.refusals, "MAY_SEND of a stream only after it was stopped");
            self.own(stream, end)
        } else if instruction.circuit != Id::NONE {
            self.tally.add(N::InsnMaySendCirc, 1);
            let (circ, pos) = place_of(instruction.circuit_tag);
            Own::Circ(circ, pos)
        } else {
            self.tally.add(N::InsnMaySendSet, 1);
            let set = self.set_at(node, instruction.set).expect("a set that goes on is known");
            Own::Set(set, usize::from(!self.nodes[node].is_client))
        };
        if instruction.stream == Id::NONE {
            let list = self.own_end(own);
            (list.waiting, list.far, list.resumes) = (false, false, list.resumes + 1);
            assert!(list.resumes <= list.refusals, "MAY_SEND only after NO_ROOM, and once for each: {own:?}");
        }
        if self.nodes[node].style.sends_inside {
            self.pump(own);
        } else if !self.nodes[node].todo.contains(&own) {
            self.nodes[node].todo.push(own);
            self.touch(node);
        }
    }
}
