//! Checks the promises: after each step, after a full draining, at rest, and at the end.

use crate::model::*;
use crate::plan::{Kind, MS};
use crate::tally::N;
use crate::world::{World, SIDES};
use circflow::base::limits::HELD_BLOCK;
use circflow::base::limits::{HELD_AGE_DEFAULT, PADDING_AFTER_END_MAX};
use circflow::base::Id;
use circflow::conflux::Fault;
use circflow::engine::VerdictKind;

/// Longest delay of a host: for a deadline, and then for the instructions that it left.
const LATE_MAX: u64 = 2_000 * MS;
/// Instructions that one event may add: more than any honest event does.
const ADDED_MAX: u32 = 4_000;

impl World {
    /// Checks a node after each event in which it was fed.
    pub fn check_step(&mut self, node: usize) {
        let at = &mut self.nodes[node];
        let stats = at.engine.stats();
        assert!(stats.held_bytes <= self.plan.held_max, "held bytes have their cap: {}", stats.held_bytes);
        let by_hand = at.engine.held_by_hand();
        assert_eq!((stats.held_bytes, stats.leaving_bytes), by_hand, "the books are what sets and circuits hold");
        assert!(at.engine.channels_add_up(), "who is in line for a channel will be served");
        let spare = stats.reserved_bytes.checked_sub(stats.held_bytes);
        assert!(spare.is_some_and(|spare| spare <= HELD_BLOCK), "reserved is what is held, and a block: {stats:?}");
        let added = stats.instructions.saturating_sub(at.queued);
        assert!(added <= ADDED_MAX, "work for each call is bounded: {added} instructions");
        at.queued = stats.instructions;
        self.check_process();
        self.tally.most("instructions that waited", stats.instructions.into());
        self.tally.most("bytes held by an engine", stats.held_bytes);
        self.tally.most("instructions of one event", added.into());
    }

    /// Checks that the engines of one process have reserved as much as the process has given them.
    fn check_process(&self) {
        let Some(hub) = &self.hub else { return };
        let exits = &self.nodes[self.plan.first_exit()..];
        let reserved: u64 = exits.iter().map(|node| node.engine.stats().reserved_bytes).sum();
        assert_eq!(hub.process().reserved(), reserved, "the process has what its engines have reserved");
    }

    /// Checks a node with nothing left to drain: an owner that waits for room must have none.
    pub fn check_drained(&mut self, node: usize) {
        let stats = self.nodes[node].engine.stats();
        assert_eq!(stats.reserved_bytes, stats.held_bytes, "at rest no more is reserved than is held");
        self.check_process();
        for (circ, pos) in std::mem::take(&mut self.nodes[node].moved) {
            let state = &self.circs[circ];
            let sides = [0, 1].map(|side| (state.paused[pos][1 - side], state.edges[pos][side].pausing));
            let kept = sides.iter().all(|(told, due)| told == due);
            assert!(
                kept || !state.open[pos] || state.closing[pos],
                "PAUSE_FEED and UNPAUSE_FEED come at the marks: {circ}.{pos}"
            );
        }
        self.check_ages(node);
        self.check_channels(node);
        let mut waiting = std::mem::take(&mut self.nodes[node].waiting);
        waiting.retain(|&own| self.own_end(own).waiting);
        for &own in &waiting {
            match own {
                // The model cannot tell which of the two sets had no room.
                Own::Set(set, _) if self.goes_twice(node, set) => {}
                Own::Set(set, end) => {
                    let id = self.sets[set].ends[end].id;
                    let peek = self.nodes[node].engine.peek(id);
                    let room = matches!(peek, Ok(verdict) if verdict.kind == VerdictKind::Send);
                    // Some algorithms go on as time does: then the engine has a timer that is due.
                    let told = self.nodes[node].engine.deadline() <= self.now;
                    assert!(!room || told, "MAY_SEND comes when there is room: set {set}.{end}");
                }
                Own::Circ(circ, pos) => {
                    let far = self.circs[circ].own[pos].far && self.has_room(circ, pos);
                    assert!(!far, "MAY_SEND comes when there is room: circuit {circ}.{pos}");
                }
            }
        }
        self.nodes[node].waiting = waiting;
    }

    /// Checks that no message is held for order for too long, whatever a peer does.
    fn check_ages(&mut self, node: usize) {
        let at = &self.nodes[node];
        let held = at.sets.iter().filter_map(|&(id, _)| at.engine.set_stats(id).ok()).filter(|stats| stats.held > 0);
        if let Some(since) = held.map(|stats| stats.held_since_ns).min() {
            let age = self.now.saturating_sub(since);
            assert!(age <= HELD_AGE_DEFAULT + LATE_MAX, "nothing is held for longer than it may be: {age} ns");
            self.tally.most("milliseconds that a message was held", age / MS);
        }
    }

    /// True when an exit has two sets for one set of its client, as a hostile peer has changed a nonce.
    fn goes_twice(&self, node: usize, set: usize) -> bool {
        let at = &self.nodes[node];
        at.sets.iter().filter(|&&(id, of)| of == set && at.engine.set_stats(id).is_ok()).count() > 1
    }

    /// True when DATA to the far end could go out on a circuit, by its figures.
    fn has_room(&mut self, circ: usize, pos: usize) -> bool {
        let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
        // A hostile client may have negotiated a padder that is not in the plan.
        let engine = &self.nodes[node].engine;
        let padded = (0..PLACES).any(|hop| (0..2).any(|slot| engine.padder_stats(id, hop as u8, slot).is_ok()));
        if padded || self.circs[circ].pads[pos].is_some() || self.circs[circ].closing[pos] {
            return false;
        }
        let Ok(stats) = self.nodes[node].engine.circuit_stats(id) else { return false };
        let edge = stats.edges[0];
        edge.writable && edge.waiting == 0 && stats.inflight < stats.cwnd && self.circs[circ].open[pos]
    }

    /// Checks that the engine and the simulator count the same window with the far end.
    pub fn check_window(&mut self, circ: usize, pos: usize, talk: usize, sent: bool) {
        if !self.circs[circ].is_last(pos, talk) {
            if sent {
                self.check_earlier_window(circ, pos, talk);
            }
            return;
        }
        let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
        let Ok(stats) = self.nodes[node].engine.circuit_stats(id) else { return };
        let way = self.circs[circ].way_from(pos, talk);
        let inflight = way.data_sent.saturating_sub(way.sendmes_got * self.circs[circ].incs[talk]);
        assert!(!sent || stats.inflight <= stats.cwnd, "no DATA goes out beyond the window: {stats:?}");
        let queued = self.nodes[node].engine.stats().instructions > 0;
        let same = stats.inflight == inflight || (queued && stats.inflight > inflight);
        assert!(same, "in flight is what was sent and not acknowledged: {} for {inflight}", stats.inflight);
        self.tally.most("cwnd", stats.cwnd);
        self.tally.most("DATA in flight", stats.inflight);
    }

    /// Checks the window with a hop that was the last one before the circuit got longer: its engine has no figures of
    /// that.
    fn check_earlier_window(&mut self, circ: usize, pos: usize, talk: usize) {
        let Some((cwnd, before)) = self.circs[circ].caps[talk].filter(|_| self.circs[circ].counts(pos)) else { return };
        let (way, inc) = (self.circs[circ].way_from(pos, talk), self.circs[circ].incs[talk]);
        let inflight = way.data_sent.saturating_sub(way.sendmes_got * inc);
        // Each SENDME opens the window by less than this, but for the one with which slow start ends.
        let sendmes = way.sendmes_got - before;
        let most = cwnd + sendmes * (inc + 64) + if sendmes > 0 { 640 } else { 0 };
        assert!(inflight <= most, "the window with an earlier hop holds: {inflight}, {most} at most");
    }

    /// Checks that a peer can have caused this fault.
    pub fn judge(&mut self, circ: usize, fault: Fault) {
        let state = &self.circs[circ];
        let lost = state.set.is_some_and(|set| self.sets[set].lost.iter().any(|lost| !lost.is_empty()));
        let swallowed = |set: usize| self.sets[set].legs.iter().any(|&leg| self.circs[leg].swallows != [false; 2]);
        let swallowed = state.set.is_some_and(swallowed) || state.swallows != [false; 2];
        let allowed = self.is_tainted(circ)
            || match fault {
                Fault::EdgeOverrun => state.defiant,
                Fault::EngineMemory => self.plan.held_max < 256 << 20,
                Fault::SetMemory => self.plan.set_held_max < 16 << 20 || lost,
                // An END behind a lost message never has its turn, and the other end goes on.
                Fault::UnknownStream => lost,
                // By the deployed rules a set lives on without a leg that had less than a SENDME's worth in flight.
                Fault::HeldTooLong => lost || swallowed,
                Fault::StreamMemory => self.plan.stream_bytes_max < 32 << 20,
                // More padding was on its way than is accepted after its padder is taken down.
                Fault::PaddingUnexpected => {
                    state.pads.iter().flatten().any(|pad| pad.ended && pad.after_end == PADDING_AFTER_END_MAX)
                }
                Fault::LinkedTimeout | Fault::LinkedAckTimeout => swallowed || self.plan.link_timeout < 10_000 * MS,
                _ => false,
            };
        assert!(allowed, "an honest peer gives no reason to close: {fault:?} on circuit {circ}");
    }

    /// Checks the world at rest: nothing happens any more.
    pub fn check_rest(&mut self) {
        for node in 0..self.nodes.len() {
            self.check_tokens(node, Vec::new());
            let stats = self.nodes[node].engine.stats();
            assert_eq!(stats.instructions, 0, "everything was drained");
        }
        self.check_channels_at_rest();
        for circ in 0..self.circs.len() {
            self.check_circuit(circ);
        }
        let whole: Vec<bool> = (0..self.sets.len()).map(|set| self.check_set(set)).collect();
        self.check_hands();
        for stream in 0..self.streams.len() {
            if !matches!(self.streams[stream].home, Home::Set(set) if !whole[set]) {
                self.check_stream(stream);
            }
        }
    }

    /// Checks that an engine, if freed now, would give back each token that it has kept.
    fn check_tokens(&mut self, node: usize, mut crossing: Vec<u64>) {
        if self.nodes[node].desk != node {
            return;
        }
        let process = self.nodes.iter().filter(|other| other.desk == node);
        let mut held: Vec<u64> = process.flat_map(|node| node.engine.tokens()).map(|(token, _)| token).collect();
        held.append(&mut crossing);
        held.sort_unstable();
        let kept: Vec<u64> = self.nodes[node].tokens.keys().copied().collect();
        assert_eq!(held, kept, "an engine that is freed gives back each token once");
    }

    fn check_circuit(&mut self, circ: usize) {
        let state = &self.circs[circ];
        let refused = state.misled.is_none_or(|set| !self.sets[set].ends[1].alive || !state.open[state.last]);
        assert!(refused, "a circuit that leads elsewhere is closed: {circ}");
        assert!(state.is_open() || state.is_closed(), "a circuit is closed everywhere: {circ} {:?}", state.open);
        if !state.is_open() {
            return;
        }
        for pos in 0..=state.last {
            for side in SIDES {
                let side = side as usize;
                assert!(state.stash[pos][side].is_empty(), "what was kept in a pause was fed: {circ}.{pos}");
                assert!(state.edges[pos][side].waiting.is_empty(), "nothing waits at an open edge: {circ}.{pos}");
                assert!(state.writable[pos][side], "links are empty");
            }
        }
        if state.swallows != [false; 2] || self.is_tainted(circ) {
            return;
        }
        let last = state.last;
        for talk in state.talks() {
            let inc = self.circs[circ].incs[talk];
            for way in 0..2 {
                let on = self.circs[circ].ways[talk][way];
                assert_eq!((on.sent, on.data_sent), (on.got, on.data_got), "what was sent came: {circ} talk {talk}");
                assert_eq!(on.digest_out, on.digest_in, "and as it was sent");
                assert_eq!(on.sendmes_sent, on.data_got / inc, "each SENDME that is due was sent: {circ} talk {talk}");
                assert_eq!(on.sendmes_got, on.sendmes_sent, "and came");
            }
            for pos in self.circs[circ].ends_of(talk) {
                self.check_window(circ, pos, talk, false);
            }
        }
        for pos in 0..=last {
            let stall = self.circs[circ].own[pos].waiting && self.has_room(circ, pos);
            assert!(!stall, "nobody waits where there is room: circuit {circ}.{pos}");
        }
    }

    /// Checks that a set that lives has delivered everything. Returns false when the last messages went with a leg.
    fn check_set(&mut self, set: usize) -> bool {
        let state = &self.sets[set];
        let [client, exit] = [0, 1].map(|end| self.lives(set, end));
        if state.tainted {
            return false;
        }
        // Only the client knows a set that was never linked.
        assert!(client == exit || state.ends[1].id == Id::NONE, "a set lives at both ends or at none: {set}");
        if !client || !exit {
            return true;
        }
        let mut whole = true;
        for way in 0..2 {
            let (from, to) = (&self.sets[set].ends[way], &self.sets[set].ends[1 - way]);
            if from.alone.is_some() || to.alone.is_some() {
                continue;
            }
            let [sender, receiver] = [way, 1 - way].map(|end| {
                let node = self.sets[set].nodes[end];
                self.nodes[node].engine.set_stats(self.sets[set].ends[end].id).unwrap()
            });
            // A message that padding held on another engine goes out without its number.
            let hub = self.plan.kind == Kind::Hub && way == 1;
            assert!(sender.sent == from.numbered || hub, "what has a number has gone out: {set}.{way}");
            assert!(to.delivered <= receiver.delivered, "what was delivered was counted");
            let missing = sender.sent - receiver.delivered;
            if missing > 0 && receiver.held == 0 {
                self.check_tail(set, way, receiver.delivered + 1);
                whole = false;
                continue;
            }
            assert_eq!(missing, 0, "what was sent was delivered: set {set}, {} is missing", receiver.delivered + 1);
            assert_eq!((receiver.held, receiver.held_bytes), (0, 0), "nothing is held when all is there");
            let stall = self.sets[set].ends[way].own.waiting;
            assert!(!stall, "nobody waits where there is room: set {set}.{way}");
        }
        whole
    }

    /// The last that was sent went with a leg, and nothing came behind it that could wait. By the deployed rules the
    /// set lives on when less than a SENDME's worth was in flight on that leg.
    fn check_tail(&mut self, set: usize, way: usize, missing: u64) {
        let lost = self.sets[set].lost[way].iter().find(|&&(number, _)| number == missing);
        let Some(&(_, leg)) = lost else { panic!("what was sent was delivered: set {set}, {missing} is missing") };
        let gone = self.circs[leg].is_closed() || self.circs[leg].swallows != [false; 2];
        assert!(gone, "it was lost with a leg");
        let inflight = self.circs[leg].inflight[way];
        assert!(
            inflight < self.circs[leg].incs[self.circs[leg].last],
            "a set ends with a leg that has a SENDME's worth in flight: {inflight}"
        );
        self.tally.add(N::Tails, 1);
    }

    /// True when one end of a set lives, as a set or as the circuit that went on alone.
    fn lives(&self, set: usize, end: usize) -> bool {
        let state = &self.sets[set].ends[end];
        state.alive || state.alone.is_some_and(|circ| self.circs[circ].open[end * self.circs[circ].last])
    }

    fn check_stream(&mut self, stream: usize) {
        if self.is_lenient(stream) {
            return;
        }
        let alive = match self.streams[stream].home {
            Home::Set(set) => (0..2).all(|end| self.lives(set, end)),
            Home::Circ(circ, _) => self.circs[circ].is_open(),
        };
        if !alive {
            let over = self.streams[stream].ends.iter().all(|end| !end.open);
            return assert!(over, "streams end with their owner: {stream}");
        }
        for way in 0..2 {
            let (from, to) = (&self.streams[stream].ends[way], &self.streams[stream].ends[1 - way]);
            if to.open {
                assert_eq!(from.sent, to.got, "what was sent on a stream was delivered: {stream}.{way}");
                assert_eq!(to.buffered, 0, "readers have read");
                assert!(!from.sent_end, "END is delivered: {stream}.{way}");
            }
            if from.open && to.open && from.may_send {
                let left = (from.ready, from.waiting && from.ready > 0);
                assert_eq!(left, (0, false), "nobody waits where there is room: stream {stream}.{way}");
            }
        }
    }

    /// Checks the end of the world: everything is closed.
    pub fn check_end(&mut self) {
        for node in 0..self.nodes.len() {
            let stats = self.nodes[node].engine.stats();
            let left = [stats.circuits, stats.sets, stats.streams, stats.instructions, stats.timers];
            assert_eq!(left, [0; 5], "nothing is left at node {node}: circuits, sets, streams, instructions, timers");
            assert_eq!((stats.held, stats.held_bytes), (0, 0), "nothing is held at the end");
            assert!(self.nodes[node].tokens.is_empty(), "each token came back");
            self.check_tokens(node, Vec::new());
        }
        let reserved = self.hub.as_ref().map_or(0, |hub| hub.process().reserved());
        assert_eq!(reserved, 0, "nothing is reserved at the end");
    }

    /// Frees the engines in the middle of everything.
    pub fn drop_all(&mut self) {
        let mut crossing = vec![Vec::new(); self.nodes.len()];
        for node in &mut self.nodes {
            node.engine.drop_links(|token, _| crossing[node.desk].push(token));
        }
        for (node, crossing) in crossing.into_iter().enumerate() {
            self.check_tokens(node, crossing);
        }
        self.end_record();
        self.nodes.clear();
        let reserved = self.hub.as_ref().map_or(0, |hub| hub.process().reserved());
        assert_eq!(reserved, 0, "what engines that are freed had reserved has come back");
    }
}
