//! Circuits: how they are opened, and how they get longer, at once or while they are used. A circuit to a service is
//! two that meet at a rendezvous point, with a hop behind it at either end.

use crate::model::*;
use crate::tally::N;
use crate::world::{trace, Event, World, SIDES};
use circflow::base::limits::HOPS_MAX;
use circflow::base::{Hops, Id};
use circflow::conflux::Role;
use circflow::congestion::PathClass;
use circflow::engine::{Blocked, CircuitConfig, CircuitFlags, Error, Growth, Misuse};
use std::collections::VecDeque;

/// Hosts' numbers of services, as their clients know them and as they know themselves.
const SERVICES: u64 = 1000;
const OURSELVES: u64 = 2000;

impl World {
    /// Hops that a client and a service have up to their rendezvous point, where circuits of the world lead to services
    /// and this one is to be such.
    pub fn draw_rend(&mut self) -> Option<[usize; 2]> {
        let most = self.plan.middles.min(3) as u64;
        (self.plan.services && self.grows.once_in(2)).then(|| [0; 2].map(|_| self.grows.range(1, most) as usize))
    }

    /// Opens a circuit at all its places, as if it had just been built. One that is not to grow is as long as it ever
    /// will be, at once.
    pub fn open_circuit(&mut self, client: usize, far: usize, rend: Option<[usize; 2]>, grows: bool) -> usize {
        let circ = self.circs.len();
        let relays = match rend {
            Some(hops) => self.relays_to_service(hops),
            None => self.relays_to_exit(),
        };
        let last = relays.len() + 1;
        let mut path = [NOWHERE; PLACES];
        (path[0], path[last]) = (client, far);
        path[1..last].copy_from_slice(&relays);
        let leaky = self.plan.leaky;
        let hostile = self.plan.hostile && self.rng.once_in(2);
        let mut state = Circ {
            path,
            last,
            rend: rend.map_or(0, |[near, _]| near),
            ids: [Id::NONE; PLACES],
            open: std::array::from_fn(|pos| pos <= last),
            set: None,
            leaky,
            length: [0; 2],
            steps: Default::default(),
            grows,
            incs: [0; TALKS],
            hostile,
            defiant: self.plan.defiant && self.rng.once_in(2),
            swallows: [false; 2],
            links: [[NOWHERE; 2]; PLACES],
            writable: [[true; 2]; PLACES],
            seats: [[NOWHERE; 2]; PLACES],
            edges: Default::default(),
            stash: Default::default(),
            paused: [[false; 2]; PLACES],
            deaf: [[0; 2]; PLACES],
            ways: Default::default(),
            own: Default::default(),
            pads: [None; PLACES],
            inflight: [0; 2],
            linked: [false; 2],
            numbered: [0; 2],
            closing: [false; PLACES],
            caps: [None; TALKS],
            misled: None,
        };
        for pos in 0..last {
            let there = state.side_out(pos, true) as usize;
            state.links[pos][there] = self.link(path[pos], path[pos + 1]);
            let back = state.side_out(pos + 1, false) as usize;
            state.links[pos + 1][back] = self.link(path[pos + 1], path[pos]);
        }
        self.draw_steps(&mut state);
        self.circs.push(state);
        for pos in 0..=last {
            self.open_at(circ, pos);
        }
        if self.plan.padding && self.rng.once_in(2) {
            self.pad_circuit(circ);
        }
        if grows {
            self.draw_growth(circ);
        } else {
            self.grow_fully(circ);
        }
        circ
    }

    fn relays_to_exit(&mut self) -> Vec<usize> {
        let first = self.rng.below(self.plan.middles as u64) as usize;
        let step = 1 + self.rng.below(self.plan.middles as u64 - 1) as usize;
        vec![self.plan.clients + first, self.plan.clients + (first + step) % self.plan.middles]
    }

    /// The rendezvous point is there twice, once for each circuit. Nobody is two hops away from itself.
    fn relays_to_service(&mut self, hops: [usize; 2]) -> Vec<usize> {
        let mut halves = [Vec::new(), Vec::new()];
        let rend = self.plan.clients + self.grows.below(self.plan.middles as u64) as usize;
        for (half, hops) in halves.iter_mut().zip(hops) {
            half.push(rend);
            while half.len() < hops {
                let relay = self.plan.clients + self.grows.below(self.plan.middles as u64) as usize;
                if !half.contains(&relay) {
                    half.push(relay);
                }
            }
        }
        let [near, far] = halves;
        near.into_iter().rev().chain(far).collect()
    }

    /// In which steps a circuit gets longer at each end, and what is negotiated with whom.
    fn draw_steps(&mut self, state: &mut Circ) {
        for end in 0..if state.rend > 0 { 2 } else { 1 } {
            let pos = end * state.last;
            let whole = state.hop_of(pos, state.last);
            let mut length = 0;
            while length < whole {
                // To the other end of a rendezvous it is a step of its own.
                let most = if state.rend > 0 && length + 1 < whole { whole - 1 } else { whole };
                let to = if self.grows.once_in(2) { most } else { length + 1 };
                let inc = self.grows.pick(&self.plan.incs());
                for hop in length + 1..=to {
                    let talk = state.talk_of(pos, hop);
                    // The two of a rendezvous negotiate one for both.
                    state.incs[talk] = if talk == state.last && end == 1 { state.incs[talk] } else { inc };
                }
                let inc = state.incs[state.talk_of(pos, to)];
                state.steps[end].push_back(Step { length: to, inc });
                length = to;
            }
            // With these it is opened.
            state.length[end] = state.steps[end].pop_front().map_or(0, |step| step.length);
        }
    }

    /// It is used with the hops that it has, and gets longer now and then.
    fn draw_growth(&mut self, circ: usize) {
        let steps: usize = self.circs[circ].steps.iter().map(VecDeque::len).sum();
        for _ in 0..steps + self.grows.below(3) as usize {
            let at = self.now + self.grows.range(0, self.plan.span / 2);
            self.at(at, Event::Grow(circ));
        }
    }

    pub fn grow_fully(&mut self, circ: usize) {
        while self.circs[circ].steps.iter().any(|steps| !steps.is_empty()) {
            self.grow(circ);
        }
    }

    /// The client's or the service's circuit gets longer by a step.
    pub fn grow(&mut self, circ: usize) {
        let [near, far] = [0, 1].map(|end| self.circs[circ].steps[end].len());
        // A service answers first: to a hop that its client has, messages go at once.
        let end = match (near, far) {
            (0, 0) => return self.grow_beyond(circ),
            (0, _) => 1,
            (1, 1..) => 1,
            (_, 0) => 0,
            _ => self.grows.below(2) as usize,
        };
        self.grow_at(circ, end);
    }

    /// So far at least, at one end.
    pub fn grow_to(&mut self, circ: usize, end: usize, length: u8) {
        while self.circs[circ].length[end] < length {
            let last_step = end == 0 && self.circs[circ].steps[0].len() == 1;
            let end = if last_step && !self.circs[circ].steps[1].is_empty() { 1 } else { end };
            self.grow_at(circ, end);
        }
    }

    fn grow_at(&mut self, circ: usize, end: usize) {
        let state = &mut self.circs[circ];
        let pos = end * state.last;
        let (node, id, from) = (state.path[pos], state.ids[pos], state.length[end]);
        let Some(step) = state.steps[end].pop_front() else { return };
        let growth = Growth {
            length: if step.length == from + 1 && self.grows.once_in(2) { 0 } else { step.length },
            join: self.join_of(circ, pos, step.length),
            flags: self.flags_at(circ, pos, step.length),
            class: self.grows.pick(&[PathClass::Exit, PathClass::Onion]),
            sendme_inc: step.inc as u8,
        };
        let old = self.circs[circ].talk_of(pos, from);
        self.note_cap(circ, pos, old);
        let now = self.clock(node);
        let grown = self.nodes[node].engine.extend_circuit(now, id, &growth);
        trace!(self, "node {node}: circuit {circ}.{pos} gets longer, from {from} to {}: {grown:?}", step.length);
        self.touch(node);
        match grown {
            Ok(()) => {}
            Err(Error::Blocked(Blocked::Gone) | Error::Misuse(Misuse::StaleId) | Error::Expired) => return,
            Err(other) => panic!("a circuit gets longer: {other:?}"),
        }
        self.tally.add(N::Extended, 1);
        let state = &mut self.circs[circ];
        state.length[end] = step.length;
        // What it waited for was the window of the hop that was the last.
        state.own[pos].far = false;
        let busy = state.own[pos].streams.len() as u64;
        self.tally.add(N::ExtendedBusy, u64::from(busy > 0));
        (from..step.length).for_each(|hop| self.extend_relay(circ, pos, hop));
    }

    /// What may be in flight to a hop that is the last no more.
    fn note_cap(&mut self, circ: usize, pos: usize, talk: usize) {
        let state = &mut self.circs[circ];
        let Ok(stats) = self.nodes[state.path[pos]].engine.circuit_stats(state.ids[pos]) else { return };
        // Before the first DATA there is no window.
        let cwnd = if stats.cwnd == 0 { self.plan.cwnd } else { stats.cwnd };
        state.caps[talk] = Some((cwnd, state.way_from(pos, talk).sendmes_got));
    }

    /// A relay is not the last any more: it goes on to another, or to the other circuit of a rendezvous.
    fn extend_relay(&mut self, circ: usize, pos: usize, hop: u8) {
        let relay = self.circs[circ].taker(self.circs[circ].talk_of(pos, hop));
        if !self.circs[circ].open[relay] {
            return;
        }
        let (node, id) = (self.circs[circ].path[relay], self.circs[circ].ids[relay]);
        let flags = CircuitFlags::REACTOR.0 | CircuitFlags::VEGAS.0 | CircuitFlags::EXTENDED.0;
        self.nodes[node].engine.set_circuit_flags(id, CircuitFlags(flags)).unwrap();
        self.touch(node);
    }

    /// A hop more, to which nothing goes: for the sake of those that were there. A leg keeps the hops that it has, and
    /// no circuit has more than 16: then nothing changes.
    fn grow_beyond(&mut self, circ: usize) {
        let state = &self.circs[circ];
        let (node, id, length, last) = (state.path[0], state.ids[0], state.length[0], state.last);
        if !state.open[0] {
            return;
        }
        let alone = state.set.is_none_or(|set| self.sets[set].ends[0].alone == Some(circ));
        let to = if length == HOPS_MAX || self.grows.once_in(4) { HOPS_MAX + 1 } else { length + 1 };
        let (flags, class) = (CircuitFlags::VEGAS, PathClass::Exit);
        let growth = Growth { length: to, join: 7, flags, class, sendme_inc: 0 };
        let was_last = state.is_last(0, last);
        if alone && was_last {
            self.note_cap(circ, 0, last);
        }
        let now = self.clock(node);
        let grown = self.nodes[node].engine.extend_circuit(now, id, &growth);
        trace!(self, "node {node}: circuit {circ} gets longer than it is, to {to}: {grown:?}");
        self.touch(node);
        match grown {
            Ok(()) => {
                assert!(alone && to <= HOPS_MAX, "a leg is not extended, nor a circuit beyond 16 hops");
                let state = &mut self.circs[circ];
                (state.length[0], state.own[0].far) = (to, false);
                self.tally.add(N::Extended, 1);
                self.tally.add(N::ExtendedAlone, u64::from(state.set.is_some()));
                self.tally.add(N::ExtendedBusy, u64::from(!state.own[0].streams.is_empty()));
            }
            Err(Error::Misuse(Misuse::InSet)) => assert!(!alone, "only a leg is in a set"),
            Err(Error::Misuse(Misuse::Invalid)) => assert!(to > HOPS_MAX, "a circuit has room for 16 hops"),
            Err(Error::Blocked(Blocked::Gone) | Error::Misuse(Misuse::StaleId) | Error::Expired) => {}
            Err(other) => panic!("a circuit gets longer: {other:?}"),
        }
    }

    /// The number of the last of so many hops, as the host at one end has it.
    fn join_of(&self, circ: usize, pos: usize, length: u8) -> u64 {
        let state = &self.circs[circ];
        let talk = state.talk_of(pos, length);
        let desk = |pos: usize| self.nodes[state.path[pos]].desk as u64;
        match (state.rend > 0 && talk == state.last, pos) {
            (false, _) => desk(state.taker(talk)),
            (true, 0) => SERVICES + desk(state.last),
            (true, _) => OURSELVES + desk(state.last),
        }
    }

    /// What is so of the last of so many hops.
    fn flags_at(&self, circ: usize, pos: usize, length: u8) -> CircuitFlags {
        let serves = pos != 0 && self.circs[circ].talk_of(pos, length) == self.circs[circ].last;
        CircuitFlags(CircuitFlags::VEGAS.0 | if serves { CircuitFlags::SERVICE.0 } else { 0 })
    }

    /// How a circuit is opened at one of its places.
    fn config_at(&self, circ: usize, pos: usize) -> CircuitConfig {
        let state = &self.circs[circ];
        let mut flags = CircuitFlags::REACTOR.0;
        let (role, hops, inc) = if state.counts(pos) {
            let length = state.length[Circ::end_of(pos)];
            flags |= self.flags_at(circ, pos, length).0;
            flags |= if state.leaky { CircuitFlags::LEAKY_PIPE.0 } else { 0 };
            let hops = Hops::new(length, self.join_of(circ, pos, length)).unwrap();
            (Role::Client, hops, state.incs[state.talk_of(pos, length)])
        } else {
            let talk = state.talk_of(pos, 0);
            let opener = state.opener(talk);
            let goes_on = state.hop_of(opener, talk) < state.length[Circ::end_of(opener)];
            flags |= CircuitFlags::VEGAS.0;
            flags |= if goes_on { CircuitFlags::EXTENDED.0 } else { 0 };
            (Role::Exit, Hops::NONE, state.incs[talk])
        };
        CircuitConfig {
            tag: (circ * PLACES + pos) as u64,
            role,
            hops,
            flags: CircuitFlags(flags),
            held_sends_max: self.plan.held_sends_max,
            class: PathClass::Exit,
            sendme_inc: inc as u8,
        }
    }

    fn open_at(&mut self, circ: usize, pos: usize) {
        let (node, config) = (self.circs[circ].path[pos], self.config_at(circ, pos));
        let opened = self.retry(node, |world| {
            let now = world.clock(node);
            world.nodes[node].engine.open_circuit(now, config)
        });
        let id = opened.unwrap();
        self.new_id(node, id);
        self.circs[circ].ids[pos] = id;
        self.touch(node);
        for side in SIDES {
            let link = self.circs[circ].links[pos][side as usize];
            if link == NOWHERE {
                continue;
            }
            self.links[link].users.push((circ, pos));
            let full = self.links[link].full;
            self.circs[circ].writable[pos][side as usize] = !full;
            let now = self.clock(node);
            if self.shares.in_portions {
                self.seat(circ, pos, side as usize);
            } else if self.plan.shares {
                self.share(node, link);
                let channel = self.links[link].channel;
                self.nodes[node].engine.set_channel(now, id, side, channel).unwrap();
            } else if full {
                self.nodes[node].engine.set_writable(now, id, side, false).unwrap();
            }
        }
    }
}

impl World {
    /// Makes a link a channel of its engine.
    fn share(&mut self, node: usize, link: usize) {
        let on = &mut self.links[link];
        if on.channel == Id::NONE {
            on.channel = self.nodes[node].engine.open_channel(if on.full { 0 } else { u32::MAX }).unwrap();
        }
    }
}

/// The side of a place that a DESTROY goes to leads away from the client.
pub fn leads_forward(state: &Circ, pos: usize, side: usize) -> bool {
    pos == 0 || (pos < state.last && state.side_out(pos, true) as usize == side)
}
