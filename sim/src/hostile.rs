//! Peers that break the protocol: cells that arrive at the ends of their circuits are changed, lost, doubled or made
//! up. The engine there must close the circuit, and must never panic, hang, grow, or harm other circuits.

use crate::cell::{Cell, DATA_MAX};
use crate::plan::{Kind, MS};
use crate::receive::Outcome;
use crate::tally::N;
use crate::world::{trace, Event, World};
use circflow::wire::conflux::Switch;
use circflow::wire::Command;

impl World {
    /// Handles a cell that arrives on a hostile circuit.
    pub fn meddle(&mut self, pos: usize, mut cell: Cell) {
        if self.tape.is_some() {
            return self.meddle_by_tape(pos, cell);
        }
        match self.rng.below(100) {
            0 => {
                self.tally.add(N::Drops, 1);
                return self.lose(&cell);
            }
            1 => {
                self.tally.add(N::Doubles, 1);
                let _ = self.recognise(pos, cell);
            }
            2 => {
                self.tally.add(N::Mutations, 1);
                match self.rng.below(5) {
                    0 => cell.command = Command(self.rng.below(70) as u8),
                    1 => cell.stream_id = self.rng.below(200) as u16,
                    2 => cell.small[self.rng.below(24) as usize] ^= 1 << self.rng.below(8),
                    3 => cell.len = self.rng.below(DATA_MAX) as u16,
                    _ => cell.small = [self.rng.draw() as u8; 52],
                }
                // A cell that was DATA has a made-up body now.
                trace!(self, "hostile: {:?} stream {} len {}", cell.command, cell.stream_id, cell.len);
            }
            3..=5 => {
                let draws = [self.rng.draw(), self.rng.draw()];
                self.inject(pos, &cell, draws);
            }
            6 if self.rng.once_in(4) => {
                for _ in 0..self.rng.range(1, 300) {
                    self.tally.add(N::Injections, 1);
                    let _ = self.recognise(pos, cell);
                }
            }
            _ => {}
        }
        let _ = self.recognise(pos, cell);
    }

    /// Like `meddle`, with all choices from a tape: then a fuzzer is the peer.
    fn meddle_by_tape(&mut self, pos: usize, mut cell: Cell) {
        let what = self.tape_byte();
        match what % 8 {
            0 => {
                self.tally.add(N::Drops, 1);
                return self.lose(&cell);
            }
            1 => {
                self.tally.add(N::Doubles, 1);
                let _ = self.recognise(pos, cell);
            }
            2 => {
                self.tally.add(N::Mutations, 1);
                let (at, by) = (usize::from(self.tape_byte()) % cell.small.len(), self.tape_byte());
                match what / 8 % 4 {
                    0 => cell.command = Command(by),
                    1 => cell.stream_id = by.into(),
                    2 => cell.len = u16::from(by) * 2 % DATA_MAX as u16,
                    _ => cell.small[at] ^= by,
                }
                trace!(self, "hostile: {:?} stream {} len {}", cell.command, cell.stream_id, cell.len);
            }
            3 => {
                let draws = [self.tape_byte().into(), self.tape_byte().into()];
                self.inject(pos, &cell, draws);
            }
            4 => {
                let times = 1 + what / 8;
                let made = self.made_up(&cell);
                for _ in 0..times {
                    self.tally.add(N::Injections, 1);
                    let _ = self.recognise(pos, made);
                }
            }
            _ => {}
        }
        let _ = self.recognise(pos, cell);
    }

    /// A cell with every byte from the tape.
    fn made_up(&mut self, like: &Cell) -> Cell {
        let command = Command(self.tape_byte());
        let stream_id = match self.tape_byte() {
            255 => like.stream_id,
            id => id.into(),
        };
        let mut cell = Cell::new(like.circ as usize, like.forward, like.talk, command, stream_id);
        let len = usize::from(self.tape_byte()) % (cell.small.len() + 1);
        for at in 0..len {
            cell.small[at] = self.tape_byte();
        }
        cell.len = len as u16;
        if command == Command::DATA {
            cell.stream = u32::MAX;
        }
        trace!(self, "hostile: {command:?} stream {stream_id} len {len}, all made up");
        cell
    }

    /// The next byte of the tape. After its end all cells pass unchanged.
    fn tape_byte(&mut self) -> u8 {
        self.tape.as_mut().and_then(|tape| tape.next()).unwrap_or(u8::MAX)
    }

    /// Plays a client that makes an exit hold messages for order: all legs of its set but one fall silent, and that leg
    /// sends a SWITCH and then DATA: a burst, or a message a second.
    pub fn pin(&mut self, set: usize, steps: u32) {
        let legs = self.sets[set].legs.iter().copied();
        let mut legs = legs.filter(|&circ| self.circs[circ].is_open() && self.circs[circ].linked == [true; 2]);
        let Some(loud) = legs.next().filter(|_| self.sets[set].ends[1].alive) else { return };
        let last = self.circs[loud].last;
        let cell = |command, stream_id| Cell::new(loud, true, last as u8, command, stream_id);
        let mut count = 1;
        if steps == 0 {
            if legs.next().is_none() {
                return;
            }
            self.tally.add(N::Pinned, 1);
            self.sets[set].tainted = true;
            for leg in self.sets[set].legs.clone() {
                // The cells of this client are made up here.
                self.circs[leg].swallows = [true; 2];
            }
            let delta = 1 + self.builds.below(5) as u32;
            let _ = self.recognise(last, cell(Command::CONFLUX_SWITCH, 0).with_body(&Switch { delta }.encode()));
            count = self.builds.range(1, if self.plan.kind == Kind::Hub { 50 } else { 400 });
        }
        for _ in 0..count {
            let _ = self.recognise(last, Cell { stream: u32::MAX, len: 300, ..cell(Command::DATA, 3000) });
        }
        // 150 s are longer than a message may be held.
        if steps < 150 {
            self.at(self.now + 1000 * MS, Event::Pin(set, steps + 1));
        }
    }

    fn inject(&mut self, pos: usize, like: &Cell, draws: [u64; 2]) {
        let state = &self.circs[like.circ as usize];
        // From its client, a service takes what a client takes, and BEGIN and LINK. From its own relays it takes no more
        // than a client does.
        let (opener, relay) = (state.counts(pos), !state.counts(pos));
        let client = opener && (pos == 0 || usize::from(like.talk) != state.last);
        let mut sendme = [7; 23];
        (sendme[0], sendme[1], sendme[2]) = (1, 0, 20);
        let switch = |delta: u32| Switch { delta }.encode();
        let small = (draws[0] % 60) as u32;
        // First the messages that are violations in every state of a circuit.
        let list: &[(Command, u16, &[u8], bool)] = &[
            (Command::CONFLUX_SWITCH, 0, &switch(1 << 22), true),
            (Command::CONFLUX_SWITCH, 7, &switch(3), true),
            (Command::CONFLUX_SWITCH, 0, &[1], true),
            (Command::SENDME, 0, &sendme, true),
            (Command::SENDME, 0, &[], true),
            (Command::SENDME, 9, &sendme, true),
            (Command::CONFLUX_LINK, 0, &[1; 50], true),
            (Command::CONFLUX_LINKED, 0, &[1; 9], true),
            (Command::CONFLUX_LINKED_ACK, 0, &[], client),
            (Command(99), 0, &[1, 2, 3], true),
            (Command::DATA, 0, &[0; 8], true),
            (Command::BEGIN, 3000, &[0xff; 4], client),
            (Command::CONNECTED, 3000, &[0xff; 4], relay),
            (Command::EXTENDED2, 0, &[0; 20], relay),
            (Command::PADDING_NEGOTIATED, 0, &[0xee; 3], true),
            (Command::PADDING_NEGOTIATE, 0, &[0xee; 3], opener),
            (Command::RESOLVE, 3000, &[0xff; 4], opener),
            (Command::CONFLUX_SWITCH, 0, &switch(small), false),
            (Command::CONFLUX_SWITCH, 0, &switch(0), false),
            (Command::XOFF, like.stream_id, &[0], false),
            (Command::XON, like.stream_id, &[0, 0, 0, 0, 1], false),
            (Command::XON, like.stream_id, &[0, 0xff, 0xff, 0xff, 0xff], false),
            (Command::XON, like.stream_id, &[3], false),
            (Command::END, like.stream_id, &[6], false),
            (Command::DATA, 3000, &[0; 300], false),
            (Command::DROP, 0, &[], false),
            (Command::BEGIN, like.stream_id, &[0xff; 4], false),
            (Command::PADDING_NEGOTIATE, 0, &[0, 2, 7, 0, 0, 0, 0, 1], false),
            (Command::RESOLVED, like.stream_id, &[1], false),
        ];
        let (command, stream_id, body, certain) = list[(draws[1] % list.len() as u64) as usize];
        self.tally.add(N::Injections, 1);
        let mut cell = Cell::new(like.circ as usize, like.forward, like.talk, command, stream_id);
        if command == Command::DATA {
            (cell.stream, cell.len) = (u32::MAX, body.len() as u16);
        } else {
            cell = cell.with_body(body);
        }
        trace!(self, "hostile: {command:?} stream {stream_id} made up, certain {certain}");
        let outcome = self.recognise(pos, cell);
        // A set on another engine judges its SWITCHes there, a little later.
        let elsewhere = self.plan.kind == Kind::Hub && pos > 0 && command == Command::CONFLUX_SWITCH;
        if certain && !elsewhere {
            assert_ne!(outcome, Outcome::Taken, "a violation is one: {command:?} stream {stream_id} {body:?}");
            self.tally.add(N::Caught, u64::from(outcome == Outcome::Refused));
        }
    }
}
