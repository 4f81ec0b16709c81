//! Streams: applications that send and read, and the hosts between them and the engines.

use crate::cell::{Cell, DATA_MAX, DATA_MIN};
use crate::model::*;
use crate::plan::MS;
use crate::tally::N;
use crate::world::{Event, World};
use circflow::base::Id;
use circflow::engine::{Blocked, Error, Misuse, StreamConfig};
use circflow::message::COPY_COST;
use circflow::reactor::Owner;
use circflow::wire::Command;

/// Most bytes that a client needs to remember a stream.
const STREAM_MEMORY: u64 = 256;

impl World {
    /// Draws a stream, and when it is opened.
    pub fn draw_stream(&mut self) {
        let alone: Vec<usize> = (0..self.circs.len()).filter(|&circ| self.circs[circ].set.is_none()).collect();
        let growing: Vec<usize> = alone.iter().copied().filter(|&circ| self.circs[circ].grows).collect();
        let (leaky, early) = (self.plan.leaky && self.rng.once_in(4), !growing.is_empty() && self.rng.once_in(3));
        let home = if early {
            self.early_home(&growing)
        } else if leaky {
            let circ = self.rng.below(self.circs.len() as u64) as usize;
            let talks: Vec<usize> =
                self.circs[circ].talks().into_iter().filter(|&t| t != self.circs[circ].last).collect();
            Home::Circ(circ, self.rng.pick(&talks))
        } else if !self.sets.is_empty() && (alone.is_empty() || self.rng.below(3) > 0) {
            Home::Set(self.rng.below(self.sets.len() as u64) as usize)
        } else if !alone.is_empty() {
            let circ = self.rng.pick(&alone);
            Home::Circ(circ, self.circs[circ].last)
        } else {
            return;
        };
        // Clients do not send RESOLVE to a service.
        let to_service = match home {
            Home::Set(set) => self.sets[set].rend.is_some(),
            Home::Circ(circ, talk) => self.circs[circ].counts(self.circs[circ].taker(talk)),
        };
        let kind = match self.rng.below(12) {
            0 if !to_service => StreamKind::Resolve,
            1 if !matches!(home, Home::Set(_)) => StreamKind::Directory,
            _ => StreamKind::Begin,
        };
        let mut ends = [StreamEnd::default(); 2];
        for end in &mut ends {
            end.chunks = self.rng.below(4) as u32;
            end.pace = match self.rng.below(5) {
                0 | 4 => self.rng.range(10, 400),
                1 => self.rng.range(400, 20_000),
                _ => 0,
            };
            end.ends_after = self.rng.once_in(3);
        }
        let (stream, stream_id) = (self.streams.len(), self.draw_stream_id(home));
        self.streams.push(StreamModel {
            home,
            stream_id,
            kind,
            ends,
            refused: self.rng.once_in(12),
            eager: self.rng.once_in(2),
            tries: 0,
        });
        let span = self.plan.span;
        self.later(0, if early { span / 4 } else { span }, Event::Begin(stream));
        if self.rng.once_in(4) {
            let end = self.rng.below(2) as usize;
            self.later(span / 4, 2 * span, Event::End(stream, end));
            if self.rng.once_in(3) {
                let at = self.now + self.rng.range(span / 4, 2 * span);
                (0..2).for_each(|end| self.at(at, Event::End(stream, end)));
            }
        }
    }

    /// Most are unique. At different hops of a circuit they need not be.
    fn draw_stream_id(&mut self, home: Home) -> u16 {
        let unique = 100 + self.streams.len() as u16;
        let circ_of = |home: Home| match home {
            Home::Circ(circ, _) => (Some(circ), self.circs[circ].set),
            Home::Set(set) => (None, Some(set)),
        };
        // Legs of one set, and the set, have one home: at the join point.
        let meets = |other: Home| {
            let ((circ, set), (other, other_set)) = (circ_of(home), circ_of(other));
            (circ.is_some() && circ == other) || (set.is_some() && set == other_set)
        };
        let met: Vec<&StreamModel> = self.streams.iter().filter(|stream| meets(stream.home)).collect();
        let same = met.iter().find(|stream| {
            stream.home != home && met.iter().filter(|other| other.stream_id == stream.stream_id).count() == 1
        });
        let Some(id) = same.map(|stream| stream.stream_id) else { return unique };
        if !self.grows.once_in(2) {
            return unique;
        }
        self.tally.add(N::SameIds, 1);
        id
    }

    pub fn own(&self, stream: usize, end: usize) -> Own {
        match self.streams[stream].home {
            Home::Circ(circ, talk) => {
                let on = &self.circs[circ];
                Own::Circ(circ, if end == 0 { on.opener(talk) } else { on.taker(talk) })
            }
            Home::Set(set) => match self.sets[set].ends[end].alone {
                Some(circ) => Own::Circ(circ, end * self.circs[circ].last),
                None => Own::Set(set, end),
            },
        }
    }

    /// The end of a stream that an owner has.
    pub fn end_at(&self, stream: usize, own: Own) -> usize {
        match (own, self.streams[stream].home) {
            (Own::Circ(circ, pos), Home::Circ(_, talk)) => usize::from(self.circs[circ].opener(talk) != pos),
            (Own::Circ(_, pos), Home::Set(_)) => usize::from(pos != 0),
            (Own::Set(_, end), _) => end,
        }
    }

    /// Draws the home of a stream at the hop that is the last for now.
    fn early_home(&mut self, growing: &[usize]) -> Home {
        let circ = self.rng.pick(growing);
        let state = &self.circs[circ];
        let pos = if state.rend > 0 && self.rng.once_in(3) { state.last } else { 0 };
        Home::Circ(circ, state.talk_of(pos, state.length[Circ::end_of(pos)]))
    }

    /// Streams that an owner at a node has at most.
    pub fn streams_max(&self, node: usize) -> usize {
        self.plan.streams_max_at(node) as usize
    }

    pub fn own_end(&mut self, own: Own) -> &mut OwnEnd {
        match own {
            Own::Set(set, end) => &mut self.sets[set].ends[end].own,
            Own::Circ(circ, pos) => &mut self.circs[circ].own[pos],
        }
    }

    pub fn node_of(&self, own: Own) -> usize {
        match own {
            Own::Set(set, end) => self.sets[set].nodes[end],
            Own::Circ(circ, pos) => self.circs[circ].path[pos],
        }
    }

    fn owner(&self, own: Own) -> Owner {
        match own {
            Own::Set(set, end) => Owner::Set(self.sets[set].ends[end].id),
            Own::Circ(circ, pos) => Owner::Circuit(self.circs[circ].ids[pos]),
        }
    }

    fn is_there(&self, own: Own) -> bool {
        match own {
            Own::Set(set, end) => self.sets[set].ends[end].alive,
            Own::Circ(circ, pos) => self.circs[circ].open[pos],
        }
    }

    /// True when the streams of this owner cannot be checked, because of hostile peers.
    pub fn is_lenient(&self, stream: usize) -> bool {
        match self.streams[stream].home {
            Home::Set(set) => self.sets[set].tainted,
            // A circuit that swallows from the beginning is never linked: this is a leg whose client fell silent.
            Home::Circ(circ, _) => {
                let on = &self.circs[circ];
                on.hostile || (on.swallows == [true; 2] && on.linked == [true; 2])
            }
        }
    }

    pub fn begin(&mut self, stream: usize) {
        let own = self.own(stream, 0);
        let (node, home) = (self.node_of(own), self.streams[stream].home);
        self.streams[stream].tries += 1;
        if self.streams[stream].tries > 40 || self.ending {
            return;
        }
        let usable = match own {
            // Some hosts do not wait to be told.
            Own::Set(set, end) => self.sets[set].ends[end].usable || self.rng.once_in(3),
            // A circuit that carries streams could not be linked any more.
            Own::Circ(circ, _) => self.circs[circ].set.is_none() || self.circs[circ].linked == [true; 2],
        };
        let usable = usable && !matches!(home, Home::Circ(circ, talk) if !self.circs[circ].reaches(talk));
        if !self.is_there(own) || !usable {
            return self.later(20 * MS, 80 * MS, Event::Begin(stream));
        }
        if !self.streams[stream].ends[0].open {
            let (circ, talk) = match home {
                Home::Circ(circ, talk) => (circ, talk),
                Home::Set(set) => self.sets[set].legs.first().map_or((0, 0), |&leg| (leg, self.circs[leg].last)),
            };
            let opener = self.circs[circ].opener(talk);
            let hop = self.circs[circ].hop_of(opener, talk);
            let config = StreamConfig {
                tag: stream_tag(stream, 0),
                stream_id: self.streams[stream].stream_id,
                hop,
                priority: self.rng.below(3) as u8,
            };
            let (now, owner) = (self.clock(node), self.owner(own));
            let opened = self.nodes[node].engine.open_stream(now, owner, &config);
            self.touch(node);
            match opened {
                Ok(id) => {
                    self.new_id(node, id);
                    (self.streams[stream].ends[0].id, self.streams[stream].ends[0].open) = (id, true);
                    self.own_end(own).streams.push(stream);
                    self.tally.add(N::Begins, 1);
                    self.tally.add(N::Leaky, u64::from(talk != self.circs[circ].last));
                    self.tally.add(N::ToService, u64::from(self.circs[circ].counts(self.circs[circ].taker(talk))));
                    let streams = self.own_end(own).streams.len();
                    assert!(streams <= self.streams_max(node), "streams have their cap");
                }
                Err(Error::Blocked(Blocked::Full)) => {
                    self.tally.add(N::Full, 1);
                    let streams = self.own_end(own).streams.len();
                    // A client also needs room for what it will remember of the stream.
                    let no_room = self.nodes[node].engine.stats().held_bytes + STREAM_MEMORY > self.plan.held_max;
                    assert!(no_room || streams >= self.streams_max(node), "TOO_MANY only at a cap");
                    return self.later(20 * MS, 80 * MS, Event::Begin(stream));
                }
                // The circuit is closing, or something that was due has closed it.
                Err(Error::Blocked(Blocked::Gone) | Error::Misuse(Misuse::StaleId)) => return,
                Err(other) => panic!("a stream is opened: {other:?}"),
            }
        }
        let command = match self.streams[stream].kind {
            StreamKind::Begin => Command::BEGIN,
            StreamKind::Directory => Command::BEGIN_DIR,
            StreamKind::Resolve => Command::RESOLVE,
        };
        if self.say_on(stream, 0, command, &(stream as u32).to_le_bytes()) {
            self.streams[stream].tries = 1000;
            if self.streams[stream].eager && command != Command::RESOLVE {
                self.start(stream, 0);
            }
        } else {
            self.later(20 * MS, 80 * MS, Event::Begin(stream));
        }
    }

    /// Lets one end send from now on.
    pub fn start(&mut self, stream: usize, end: usize) {
        if std::mem::replace(&mut self.streams[stream].ends[end].may_send, true) {
            return;
        }
        let chunks = self.streams[stream].ends[end].chunks;
        for _ in 0..chunks {
            self.later(0, 400 * MS, Event::Chunk(stream, end));
        }
        self.finish(stream, end);
    }

    /// Sends the relay's answer to BEGIN or RESOLVE.
    pub fn answer(&mut self, stream: usize) {
        if !self.streams[stream].ends[1].open {
            return;
        }
        let model = &self.streams[stream];
        let (command, body): (_, &[u8]) = match model.kind {
            StreamKind::Resolve => (Command::RESOLVED, &[1, 2, 3]),
            _ if model.refused => (Command::END, &[1]),
            _ => (Command::CONNECTED, &[9; 8]),
        };
        if !self.say_on(stream, 1, command, body) {
            return self.later(10 * MS, 40 * MS, Event::Answer(stream));
        }
        match command {
            Command::CONNECTED => self.start(stream, 1),
            Command::END => self.tally.add(N::Refused, 1),
            _ => self.tally.add(N::Resolves, 1),
        }
    }

    pub fn chunk(&mut self, stream: usize, end: usize) {
        let max = self.plan.bytes_max;
        let bytes = self.rng.range(DATA_MIN, max);
        let at = &mut self.streams[stream].ends[end];
        at.chunks = at.chunks.saturating_sub(1);
        if !at.open {
            return;
        }
        at.ready += bytes;
        let id = at.id;
        let own = self.own(stream, end);
        let node = self.node_of(own);
        if self.nodes[node].style.asks_next {
            let told = self.nodes[node].engine.set_readable(id, true);
            if told.is_err() {
                return self.gone(stream, end);
            }
        }
        self.pump(own);
    }

    /// Ends a stream at one end, even if data are left to send.
    pub fn end_stream(&mut self, stream: usize, end: usize) {
        let at = self.streams[stream].ends[end];
        // A client sends BEGIN first.
        if at.open && !at.sent_end && (end == 1 || self.streams[stream].tries >= 1000) {
            let own = self.own(stream, end);
            if self.is_there(own) && !self.say_on(stream, end, Command::END, &[6]) {
                self.later(10 * MS, 40 * MS, Event::End(stream, end));
            }
        }
    }

    /// Sends END if all data are sent and the end wants to close.
    fn finish(&mut self, stream: usize, end: usize) {
        let at = &self.streams[stream].ends[end];
        if at.open && at.ends_after && at.may_send && at.ready == 0 && at.chunks == 0 {
            let now = self.now;
            self.at(now, Event::End(stream, end));
        }
    }

    /// Sends a message that is not DATA. Returns false when it has to wait.
    fn say_on(&mut self, stream: usize, end: usize, command: Command, body: &[u8]) -> bool {
        let cell = Cell::new(0, end == 0, 0, command, self.streams[stream].stream_id).with_body(body);
        match self.send_on(stream, end, cell) {
            Ok(()) => {
                if matches!(command, Command::END | Command::RESOLVED) {
                    let at = &mut self.streams[stream].ends[end];
                    at.sent_end = true;
                    let both = at.got_end || self.streams[stream].ends[1 - end].sent_end;
                    self.tally.add(N::EndsSent, 1);
                    self.tally.add(N::EndsBoth, both.into());
                    self.forget(stream, end);
                }
                true
            }
            Err(Error::Blocked(Blocked::NoRoom)) => {
                // Or as many messages as may wait are circflow's own, which the host has not taken yet.
                let own = self.own(stream, end);
                let engine = &self.nodes[self.node_of(own)].engine;
                let stats = engine.stats();
                let undrained = stats.instructions > 0;
                // Or what another engine's host has not taken yet fills the memory.
                let untaken = stats.crossing_bytes > 0 && stats.held_bytes + u64::from(COPY_COST) > self.plan.held_max;
                // Or the last leg that was linked has gone, and another waits for its answer.
                let legless = match own {
                    Own::Set(set, end) => engine
                        .set_stats(self.sets[set].ends[end].id)
                        .is_ok_and(|stats| stats.legs == stats.legs_unlinked),
                    Own::Circ(..) => false,
                };
                let may_wait = self.plan.padding || undrained || untaken || legless;
                assert!(may_wait, "only DATA waits for room, unless padding blocks");
                self.own_end(own).refusals += 1;
                false
            }
            Err(Error::Blocked(Blocked::NotUsable)) => false,
            Err(Error::Blocked(Blocked::Gone) | Error::Expired) => true,
            Err(Error::Misuse(Misuse::StaleId | Misuse::ForeignId)) => {
                self.gone(stream, end);
                true
            }
            Err(other) => panic!("{command:?} goes out: {other:?}"),
        }
    }

    /// Handles a stream that the engine no longer knows, as something that was due has closed its owner.
    fn gone(&mut self, stream: usize, end: usize) {
        let own = self.own(stream, end);
        let (owner, node) = (self.owner(own), self.node_of(own));
        let lives = match owner {
            Owner::Set(id) => self.nodes[node].engine.set_stats(id).is_ok(),
            Owner::Circuit(id) => self.nodes[node].engine.circuit_stats(id).is_ok(),
        };
        // The exit may have opened its set anew, on another engine.
        let lives = lives && !self.is_lenient(stream);
        assert!(!lives, "a stream lives as long as its owner: stream {stream} end {end}");
        self.forget(stream, end);
    }

    /// Closes one end of a stream in the model.
    pub fn forget(&mut self, stream: usize, end: usize) {
        let own = self.own(stream, end);
        self.own_end(own).streams.retain(|&other| other != stream);
        let at = &mut self.streams[stream].ends[end];
        (at.open, at.id, at.ready) = (false, Id::NONE, 0);
    }

    /// Closes all streams of an owner at one end in the model.
    pub fn forget_all(&mut self, own: Own) {
        for stream in std::mem::take(&mut self.own_end(own).streams) {
            let end = self.end_at(stream, own);
            let at = &mut self.streams[stream].ends[end];
            (at.open, at.id, at.ready) = (false, Id::NONE, 0);
        }
        self.own_end(own).waiting = false;
    }

    /// Sends as much as the engine allows.
    pub fn pump(&mut self, own: Own) {
        if !self.is_there(own) || (self.own_end(own).waiting && self.rng.below(8) > 0) {
            return;
        }
        let node = self.node_of(own);
        if self.nodes[node].style.asks_next {
            return self.pump_next(own, node);
        }
        let streams = self.own_end(own).streams.len();
        for _ in 0..streams {
            let list = self.own_end(own);
            if list.streams.is_empty() {
                return;
            }
            list.turn = (list.turn + 1) % list.streams.len();
            let stream = list.streams[list.turn];
            let end = self.end_at(stream, own);
            let at = &self.streams[stream].ends[end];
            if !at.may_send || (at.waiting && self.rng.below(8) > 0) {
                continue;
            }
            let mut burst = if self.rng.once_in(4) { self.rng.range(1, 6) } else { u64::MAX };
            while burst > 0 {
                match self.send_data(stream, end) {
                    Sent::Yes => burst -= 1,
                    Sent::No => break,
                    Sent::Stop => return,
                }
            }
            if burst == 0 && self.streams[stream].ends[end].ready > 0 {
                // The application is slow: the rest comes later.
                let now = self.now;
                self.at(now, Event::Pump(stream, end));
            }
        }
    }

    fn pump_next(&mut self, own: Own, node: usize) {
        for _ in 0..100_000 {
            let (now, owner) = (self.clock(node), self.owner(own));
            let next = self.nodes[node].engine.next_stream(now, owner);
            self.touch(node);
            match next {
                Ok(Some((id, tag))) => {
                    let (stream, end) = stream_of(tag);
                    let at = &self.streams[stream].ends[end];
                    assert!(at.id == id && at.open, "a stream that is open is read");
                    assert!(at.ready > 0, "a stream that has something is read");
                    match self.send_data(stream, end) {
                        Sent::Yes | Sent::No => {}
                        Sent::Stop => return,
                    }
                }
                Ok(None) => {
                    for index in 0..self.own_end(own).streams.len() {
                        let stream = self.own_end(own).streams[index];
                        let end = self.end_at(stream, own);
                        self.streams[stream].ends[end].refusals += 1;
                    }
                    return;
                }
                Err(Error::Blocked(Blocked::NoRoom)) => {
                    self.tally.add(N::NoRoom, 1);
                    let far = self.own_streams(own).iter().all(|&stream| self.waits_far(stream, own));
                    return self.wait(own, node, far);
                }
                Err(Error::Blocked(Blocked::NotUsable | Blocked::Gone) | Error::Expired) => return,
                Err(Error::Misuse(Misuse::StaleId)) => return,
                Err(other) => panic!("a stream is found: {other:?}"),
            }
        }
        panic!("reading comes to an end");
    }

    /// Whether what a stream waits for is the window with the last hop that its owner knows. A relay has but one.
    fn waits_far(&self, stream: usize, own: Own) -> bool {
        match (own, self.streams[stream].home) {
            (Own::Circ(circ, pos), Home::Circ(_, talk)) => self.circs[circ].is_last(pos, talk),
            _ => true,
        }
    }

    fn own_streams(&self, own: Own) -> &[usize] {
        match own {
            Own::Set(set, end) => &self.sets[set].ends[end].own.streams,
            Own::Circ(circ, pos) => &self.circs[circ].own[pos].streams,
        }
    }

    /// Notes that an owner was refused for lack of room.
    fn wait(&mut self, own: Own, node: usize, far: bool) {
        let list = self.own_end(own);
        list.far |= far;
        list.refusals += 1;
        if !std::mem::replace(&mut list.waiting, true) && !self.nodes[node].waiting.contains(&own) {
            self.nodes[node].waiting.push(own);
        }
    }

    fn send_data(&mut self, stream: usize, end: usize) -> Sent {
        let at = self.streams[stream].ends[end];
        if !at.open || at.ready == 0 || !at.may_send {
            return Sent::No;
        }
        let mut len = if self.rng.once_in(3) { self.rng.range(DATA_MIN, DATA_MAX) } else { DATA_MAX }.min(at.ready);
        if at.ready > len && at.ready - len < DATA_MIN {
            len = if at.ready <= DATA_MAX { at.ready } else { at.ready - DATA_MAX.min(at.ready - DATA_MIN) };
            len = len.clamp(DATA_MIN, DATA_MAX);
        }
        let mut cell = Cell::new(0, end == 0, 0, Command::DATA, self.streams[stream].stream_id);
        (cell.stream, cell.pos, cell.len) = (stream as u32, at.sent as u32, len as u16);
        let own = self.own(stream, end);
        let node = self.node_of(own);
        match self.send_on(stream, end, cell) {
            Ok(()) => {
                let at = &mut self.streams[stream].ends[end];
                at.sent += len;
                at.ready -= len;
                // The next message has to be long enough too.
                if (1..DATA_MIN).contains(&at.ready) {
                    at.ready = DATA_MIN;
                }
                let (id, over) = (at.id, at.ready == 0);
                self.tally.add(N::DataSent, 1);
                if over {
                    if self.nodes[node].style.asks_next {
                        let _ = self.nodes[node].engine.set_readable(id, false);
                    }
                    self.finish(stream, end);
                }
                Sent::Yes
            }
            Err(Error::Blocked(Blocked::NoRoom)) => {
                let far = self.waits_far(stream, own);
                self.wait(own, node, far);
                Sent::Stop
            }
            Err(Error::Blocked(Blocked::Stopped)) => {
                let at = &mut self.streams[stream].ends[end];
                (at.waiting, at.refusals) = (true, at.refusals + 1);
                let asleep = self.nodes[node].engine.stream_stats(at.id).is_ok_and(|stats| !stats.stopped);
                self.tally.add(N::RateWaits, asleep.into());
                Sent::No
            }
            Err(Error::Blocked(Blocked::NotUsable | Blocked::Gone) | Error::Expired) => Sent::Stop,
            Err(Error::Misuse(Misuse::StaleId | Misuse::ForeignId)) => {
                self.gone(stream, end);
                Sent::Stop
            }
            Err(other) => panic!("DATA goes out or waits: {other:?}"),
        }
    }
}

enum Sent {
    Yes,
    /// Not on this stream.
    No,
    /// Not on any.
    Stop,
}

pub fn stream_tag(stream: usize, end: usize) -> u64 {
    (stream * 2 + end + 1) as u64
}

pub fn stream_of(tag: u64) -> (usize, usize) {
    ((tag - 1) as usize / 2, (tag - 1) as usize % 2)
}
