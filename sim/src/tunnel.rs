//! Opens and links sets, and loses and closes sets and circuits.

use crate::cell::Cell;
use crate::grow::leads_forward;
use crate::model::*;
use crate::plan::{Kind, MS};
use crate::tally::N;
use crate::world::{trace, Event, World};
use circflow::base::Id;
use circflow::conflux::{Cause, Fault, SetTerms};
use circflow::engine::{Blocked, Error, Misuse};
use circflow::wire::conflux::Nonce;

impl World {
    pub fn terms(&self, set: usize, end: usize) -> SetTerms {
        let mut nonce = [0x5a; 32];
        nonce[0] = set as u8 + 1;
        SetTerms {
            tag: set as u64,
            nonce: Nonce::new(nonce),
            desired_ux: self.plan.ux[end],
            algorithm: self.plan.algorithm,
            link_timeout: self.plan.link_timeout,
            held_bytes_max: self.plan.set_held_max,
            switch_ahead_max: 1 << 20,
            legs_max: 8,
            launches_max: 8,
            held_sends_max: self.plan.held_sends_max,
            held_age_max: None,
            switch_run_min: self.plan.switch_run_min,
            ready_by_poll: false,
        }
    }

    /// Exits accept sets from the beginning.
    pub fn accept_sets(&mut self) {
        let terms = self.terms(200, 1);
        for node in &mut self.nodes {
            node.engine.accept_sets((!node.is_client).then(|| terms.clone()));
        }
    }

    pub fn open_set(&mut self) {
        let client = self.rng.below(self.plan.clients as u64) as usize;
        let exit = self.pick_exit();
        let (set, rend) = (self.sets.len(), self.draw_rend());
        self.tally.add(N::ServiceSets, u64::from(rend.is_some()));
        self.sets.push(SetModel {
            nodes: [client, exit],
            rend,
            legs: Vec::new(),
            ends: Default::default(),
            tainted: false,
            was_usable: false,
            lost: Default::default(),
        });
        let terms = self.terms(set, 0);
        let opened = self.retry(client, |world| {
            let now = world.clock(client);
            world.nodes[client].engine.open_set(now, terms.clone())
        });
        let id = opened.unwrap();
        self.new_id(client, id);
        self.nodes[client].sets.push((id, set));
        (self.sets[set].ends[0].id, self.sets[set].ends[0].alive) = (id, true);
        self.tally.add(N::SetsOpened, 1);
        let legs = self.rng.pick(&[1, 2, 2, 2, 3, 4]);
        self.add_legs(set, legs);
    }

    /// Makes circuits legs of a set.
    pub fn add_legs(&mut self, set: usize, count: usize) {
        if !self.sets[set].ends[0].alive || self.ending {
            return;
        }
        let [client, exit] = self.sets[set].nodes;
        let mut circs = Vec::new();
        for _ in 0..count {
            let exit = if self.plan.kind == Kind::Hub { self.pick_exit() } else { exit };
            circs.push(self.open_circuit(client, exit, self.sets[set].rend, false));
        }
        let ids: Vec<Id> = circs.iter().map(|&circ| self.circs[circ].ids[0]).collect();
        self.add_misfit(set, &ids);
        let id = self.sets[set].ends[0].id;
        let launches = self.plan.building && !self.builds.once_in(4);
        let added = self.retry(client, |world| {
            let now = world.clock(client);
            let engine = &mut world.nodes[client].engine;
            if launches {
                engine.launch_legs(now, id, &ids)
            } else {
                engine.add_legs(now, id, &ids)
            }
        });
        self.touch(client);
        trace!(self, "node {client}: set {set} gets circuits {circs:?}: {added:?}");
        match added {
            Ok(()) => {}
            Err(error) => {
                let full = matches!(
                    error,
                    Error::Misuse(Misuse::TooManyLegs | Misuse::TooManyLaunches | Misuse::StaleId) | Error::Expired
                );
                return assert!(full, "legs are taken: {error:?}");
            }
        }
        if self.sets[set].was_usable {
            self.tally.add(N::LegsLate, 1);
        }
        if launches {
            self.tally.add(N::LegsLaunched, circs.len() as u64);
            for &circ in &circs {
                self.build(circ);
            }
        }
        for circ in circs {
            self.circs[circ].set = Some(set);
            self.sets[set].legs.push(circ);
            self.sets[set].tainted |= self.circs[circ].hostile;
            if self.plan.blackholes && self.rng.once_in(4) {
                self.tally.add(N::Blackholes, 1);
                self.circs[circ].swallows = self.rng.pick(&[[true, true], [true, false], [false, true]]);
            }
        }
    }

    /// Completes the building of a circuit that is a leg already, or lets it fail.
    fn build(&mut self, circ: usize) {
        let took = self.builds.range(0, 90 * MS);
        if self.builds.once_in(6) {
            let pos = self.builds.below(self.circs[circ].last as u64 + 1) as usize;
            self.tally.add(N::LegsFailed, 1);
            return self.at(self.now + took, Event::Kill(circ, pos));
        }
        self.at(self.now + took, Event::Built(circ));
    }

    pub fn built(&mut self, circ: usize) {
        if !self.circs[circ].open[0] || self.circs[circ].closing[0] {
            return;
        }
        let (node, id) = (self.circs[circ].path[0], self.circs[circ].ids[0]);
        let built = self.retry(node, |world| {
            let now = world.clock(node);
            world.nodes[node].engine.circuit_built(now, id)
        });
        self.touch(node);
        trace!(self, "node {node}: circuit {circ} is built: {built:?}");
        match built {
            Ok(()) => self.tally.add(N::LegsBuilt, 1),
            // The instruction to close it is queued, and its host has not taken it yet.
            Err(Error::Blocked(Blocked::Gone) | Error::Expired) => {}
            Err(error) => panic!("a leg is built: {error:?}"),
        }
    }

    pub fn obey_linked(&mut self, node: usize, circ: usize, pos: usize, id: Id) {
        self.tally.add(N::InsnLinked, 1);
        if let Some(set) = self.circs[circ].misled {
            // The set had just gone, and this is another.
            return assert!(!self.sets[set].ends[1].alive, "a circuit that leads elsewhere gets into no set");
        }
        let end = usize::from(pos != 0);
        assert!(!std::mem::replace(&mut self.circs[circ].linked[end], true), "LINKED comes once");
        let set = self.circs[circ].set.expect("a leg is linked");
        if end == 1 && self.set_at(node, id).is_none() {
            self.new_id(node, id);
            self.nodes[node].sets.push((id, set));
            // The first time, or the client does not know yet that the set has ended: an open point.
            self.sets[set].tainted |= self.sets[set].ends[1].id != Id::NONE;
            self.sets[set].nodes[1] = node;
            let state = &mut self.sets[set].ends[1];
            (state.id, state.alive, state.usable, state.numbered, state.delivered) = (id, true, false, 0, 0);
        }
        self.tally.add(N::LegsAway, u64::from(self.circs[circ].path[pos] != node));
        let known = self.sets[set].ends[end].id == id;
        assert!(known || self.sets[set].tainted, "a leg belongs to its set");
    }

    pub fn obey_usable(&mut self, node: usize, id: Id) {
        self.tally.add(N::InsnUsable, 1);
        let set = self.set_at(node, id).expect("a usable set has linked legs");
        let end = usize::from(!self.nodes[node].is_client);
        let tainted = self.sets[set].tainted;
        let state = &mut self.sets[set].ends[end];
        if state.id != id {
            // A hostile peer has made two sets of one, and the model knows only the later set.
            return assert!(tainted, "a set is known by one id");
        }
        assert!(!std::mem::replace(&mut state.usable, true), "USABLE comes once");
        self.sets[set].was_usable = true;
        if !self.nodes[node].todo.contains(&Own::Set(set, end)) {
            self.nodes[node].todo.push(Own::Set(set, end));
        }
    }

    pub fn obey_want_leg(&mut self, node: usize, id: Id) {
        self.tally.add(N::InsnWantLeg, 1);
        assert!(self.nodes[node].is_client, "only a client launches legs");
        let set = self.set_at(node, id).expect("the set is known");
        if self.rng.once_in(2) {
            self.later(0, 50 * MS, Event::AddLeg(set));
        }
    }

    pub fn obey_ended(&mut self, node: usize, id: Id, cause: Cause) {
        self.tally.add(N::InsnEnded, 1);
        let end = usize::from(!self.nodes[node].is_client);
        // The host does not know a set that ended before its first leg was linked.
        let Some(set) = self.set_at(node, id) else { return assert_eq!(end, 1, "a client knows its sets") };
        self.tally.cause(format!("set ended: {cause:?}"));
        self.tally.add(N::TooLong, u64::from(cause == Cause::Fault(Fault::HeldTooLong)));
        if cause == Cause::Fault(Fault::EngineMemory) {
            self.check_victim(node, id);
        }
        if let Cause::Fault(fault) = cause {
            let leg = self.sets[set].legs.first().copied();
            leg.into_iter().for_each(|leg| self.judge(leg, fault));
        }
        if self.sets[set].ends[end].id == id {
            assert!(std::mem::replace(&mut self.sets[set].ends[end].alive, false), "a set ends once");
            self.forget_all(Own::Set(set, end));
        } else {
            // Perhaps this leg had no room.
            self.sets[set].ends[end].own.waiting = false;
        }
    }

    pub fn obey_close(&mut self, circ: usize, pos: usize, cause: Cause) {
        self.tally.add(N::InsnClose, 1);
        self.tally.cause(format!("circuit closed: {cause:?}"));
        assert!(self.circs[circ].open[pos], "CLOSE is for a circuit that is open");
        if let Cause::Fault(fault) = cause {
            self.judge(circ, fault);
        }
        self.circs[circ].closing[pos] = true;
        if self.rng.once_in(3) {
            self.later(0, 2 * MS, Event::Closed(circ, pos));
        } else {
            self.close_here(circ, pos, NOWHERE);
        }
    }

    /// Closes the circuit at one place, and tells its neighbours, but not the side that the news came from.
    pub fn close_here(&mut self, circ: usize, pos: usize, from: usize) {
        if !std::mem::replace(&mut self.circs[circ].open[pos], false) {
            return;
        }
        let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
        trace!(self, "node {node}: circuit {circ}.{pos} closed");
        let (end, last) = (usize::from(pos != 0), self.circs[circ].last);
        let is_end = pos == 0 || pos == last;
        if is_end {
            let way = &self.circs[circ].ways[last][end];
            self.circs[circ].inflight[end] =
                way.data_sent.saturating_sub(way.sendmes_got * self.circs[circ].incs[last]);
        }
        let set = self.circs[circ]
            .set
            .filter(|&set| is_end && self.circs[circ].linked[end] && self.sets[set].ends[end].alive);
        let name = set.map(|set| self.sets[set].ends[end].id);
        let lived = name.is_some_and(|name| self.nodes[node].engine.set_stats(name).is_ok());
        let now = self.clock(node);
        let closed = self.nodes[node].engine.circuit_closed(now, id);
        assert!(closed.is_ok(), "a circuit that was open is closed: {closed:?}");
        self.touch(node);
        if let (Some(name), true) = (name, lived) {
            let lives = self.nodes[node].engine.set_stats(name).is_ok();
            self.tally.add(N::LegsLost, 1);
            self.tally.add(if lives { N::LossKept } else { N::LossEnded }, 1);
        }
        for side in 0..2 {
            let waiting = std::mem::take(&mut self.circs[circ].edges[pos][side].waiting);
            let stashed = std::mem::take(&mut self.circs[circ].stash[pos][side]);
            waiting.iter().chain(&stashed).for_each(|cell| self.lose(cell));
        }
        self.forget_all(Own::Circ(circ, pos));
        for side in 0..2 {
            if self.circs[circ].links[pos][side] == NOWHERE || side == from {
                continue;
            }
            let forward = leads_forward(&self.circs[circ], pos, side);
            self.transmit(circ, pos, Cell::destroy(circ, forward));
        }
        self.circs[circ].seats[pos] = [NOWHERE; 2];
        let links = self.circs[circ].links[pos];
        for link in links.into_iter().filter(|&link| link != NOWHERE) {
            self.links[link].users.retain(|&user| user != (circ, pos));
        }
    }

    /// Closes a circuit at a host's request, through its engine.
    pub fn close_asked(&mut self, circ: usize, pos: usize) {
        if !self.circs[circ].open[pos] {
            return;
        }
        let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
        let now = self.clock(node);
        self.tally.add(N::CircsAsked, 1);
        let asked = self.nodes[node].engine.close_circuit(now, id);
        assert!(asked.is_ok() || self.is_expired(&asked), "a circuit is closed: {asked:?}");
        self.touch(node);
    }

    pub fn close_set(&mut self, set: usize, end: usize) {
        let (node, state) = (self.sets[set].nodes[end], &self.sets[set].ends[end]);
        if !state.alive {
            return;
        }
        let id = state.id;
        let now = self.clock(node);
        let closed = self.nodes[node].engine.close_set(now, id);
        self.touch(node);
        match closed {
            Ok(()) => self.tally.add(N::SetsClosed, 1),
            // The instruction about its end is queued.
            Err(_) => assert!(self.nodes[node].engine.set_stats(id).is_err(), "a set is closed: {closed:?}"),
        }
    }

    /// Starts again after the rest: the last legs of some sets go on as circuits, and all open streams carry more data.
    pub fn second_act(&mut self) -> bool {
        if self.rng.once_in(2) {
            return false;
        }
        for set in 0..self.sets.len() {
            let legs: Vec<usize> = self.sets[set].legs.clone();
            let open: Vec<usize> = legs.into_iter().filter(|&circ| self.circs[circ].is_open()).collect();
            let hung = !self.sets[set].lost[0].is_empty() || !self.sets[set].lost[1].is_empty();
            if open.len() != 1 || hung || self.sets[set].tainted || self.circs[open[0]].linked != [true; 2] {
                continue;
            }
            let away = self.circs[open[0]].path[self.circs[open[0]].last] != self.sets[set].nodes[1];
            for end in 0..2 {
                if self.sets[set].ends[end].alive && !away && self.rng.once_in(2) {
                    self.dissolve(set, end, open[0]);
                }
            }
        }
        for stream in 0..self.streams.len() {
            for end in 0..2 {
                let at = &self.streams[stream].ends[end];
                if at.open && at.may_send && self.rng.once_in(2) {
                    self.later(0, 100 * MS, Event::Chunk(stream, end));
                }
            }
        }
        true
    }

    fn dissolve(&mut self, set: usize, end: usize, circ: usize) {
        let (node, id) = (self.sets[set].nodes[end], self.sets[set].ends[end].id);
        let now = self.clock(node);
        let taken = self.nodes[node].engine.dissolve(now, id);
        let pos = end * self.circs[circ].last;
        trace!(self, "node {node}: set {set}.{end} goes on as circuit {circ}: {taken:?}");
        assert_eq!(taken, Ok(self.circs[circ].ids[pos]), "the last leg of a set at rest goes on alone");
        self.tally.add(N::TakenOut, 1);
        let state = &mut self.sets[set].ends[end];
        (state.alive, state.alone) = (false, Some(circ));
        let streams = std::mem::take(&mut state.own.streams);
        self.circs[circ].own[pos].streams.extend(streams);
        self.touch(node);
        if end == 0 && self.grows.once_in(2) {
            let at = self.now + self.grows.below(100) * MS;
            self.at(at, Event::Grow(circ));
        }
    }

    /// Ends the world: closes everything that is open, from one end or the other.
    pub fn close_all(&mut self) {
        for index in 0..self.hands.sets.len() {
            let at = self.now + self.hands.rng.below(100) * MS;
            self.at(at, Event::EndHand(index));
        }
        for set in 0..self.sets.len() {
            let end = self.rng.below(2) as usize;
            if self.rng.once_in(2) && self.sets[set].ends[end].alive {
                self.later(0, 100 * MS, Event::CloseSet(set, end));
            }
            // A set that never had a leg does not end with one.
            self.later(101 * MS, 102 * MS, Event::CloseSet(set, 0));
        }
        for circ in 0..self.circs.len() {
            let pos = self.rng.below(self.circs[circ].last as u64 + 1) as usize;
            let event = if self.rng.once_in(2) { Event::Kill(circ, pos) } else { Event::Close(circ, pos) };
            self.later(0, 100 * MS, event);
        }
    }
}
