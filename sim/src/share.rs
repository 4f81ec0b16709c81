//! Channels that circuits share and that take cells in portions; circuits move between them, and some channels close.

use crate::model::*;
use crate::plan::MS;
use crate::rng::Rng;
use crate::tally::N;
use crate::world::{trace, Event, World, SIDES};
use circflow::base::{Id, Nanos};
use circflow::engine::{Blocked, Error};

/// Channels between two nodes at most.
const PER_LINK: usize = 3;
/// A portion at most, in cells.
const PORTION_MAX: u64 = 50;
/// Longest time in which nobody in line is served although there is room: room that is kept for one that does not send
/// goes on after 10 ms, and a host may look at its deadline and its instructions this much later.
const UNSERVED_MAX: Nanos = 2_000 * MS;

/// A channel with room in portions.
pub struct Shared {
    pub id: Id,
    pub node: usize,
    pub link: usize,
    is_open: bool,
    /// Cells that it still takes, and cells that went to it, by what the host has seen.
    room: u32,
    passed: u64,
    /// Most cells of a portion, and the longest time until the next portion.
    portion: u64,
    gap: Nanos,
    /// A portion is due.
    is_due: bool,
    /// Cells that passed, and sides in line, when there was room last and somebody in line; and since when.
    unserved: Option<(u64, u32, Nanos)>,
}

pub struct Shares {
    pub rng: Rng,
    /// All shared channels of this world have room in portions.
    pub in_portions: bool,
    pub channels: Vec<Shared>,
}

impl World {
    /// Draws the moments at which circuits move to other channels, channels get other room, and channels close.
    pub fn draw_moves(&mut self) {
        if !self.shares.in_portions {
            return;
        }
        self.tally.add(N::PortionSeeds, 1);
        for _ in 0..self.shares.rng.below(40) {
            let at = self.now + self.shares.rng.range(0, self.plan.span * 2);
            let event = match self.shares.rng.below(8) {
                0 => Event::CloseChannel,
                1..4 => Event::AnyRoom,
                _ => Event::Move,
            };
            self.at(at, event);
        }
    }

    /// A side of a circuit that was opened gets its channel.
    pub fn seat(&mut self, circ: usize, pos: usize, side: usize) {
        let link = self.circs[circ].links[pos][side];
        let channel = self.pick_channel(link);
        self.sit(circ, pos, side, channel);
    }

    /// An open channel of a link, perhaps a new one.
    fn pick_channel(&mut self, link: usize) -> usize {
        let open = |on: &&usize| self.shares.channels[**on].is_open;
        let known: Vec<usize> = self.links[link].shared.iter().filter(open).copied().collect();
        let makes = known.is_empty() || (known.len() < PER_LINK && self.shares.rng.once_in(4));
        if makes {
            self.open_channel(link)
        } else {
            self.shares.rng.pick(&known)
        }
    }

    fn open_channel(&mut self, link: usize) -> usize {
        let node = self.links[link].from;
        let portion = self.shares.rng.pick(&[1, 3, 10, PORTION_MAX]);
        let gap = portion * self.shares.rng.pick(&[1_000, 50_000, 300_000]);
        let room = if self.shares.rng.once_in(3) { 0 } else { self.shares.rng.range(1, portion) as u32 };
        let id = self.nodes[node].engine.open_channel(room).unwrap();
        self.new_id(node, id);
        let (is_open, is_due, passed) = (true, false, 0);
        let shared = Shared { id, node, link, is_open, room, passed, portion, gap, is_due, unserved: None };
        self.shares.channels.push(shared);
        let channel = self.shares.channels.len() - 1;
        self.links[link].shared.push(channel);
        self.want_portion(channel);
        channel
    }

    /// Has a side write to a channel from now on, or with NOWHERE to one of its own.
    fn sit(&mut self, circ: usize, pos: usize, side: usize, channel: usize) {
        let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
        let to = self.shares.channels.get(channel).map_or(Id::NONE, |shared| shared.id);
        let moved = self.retry(node, |world| {
            let now = world.clock(node);
            world.nodes[node].engine.set_channel(now, id, SIDES[side], to)
        });
        trace!(self, "node {node}: circuit {circ}.{pos} side {side} moves to channel {channel}: {moved:?}");
        match moved {
            Ok(()) => {
                self.circs[circ].seats[pos][side] = channel;
                self.circs[circ].edges[pos][side].overtaken = 0;
            }
            Err(Error::Blocked(Blocked::Gone) | Error::Expired) => {}
            Err(other) => panic!("a side of an open circuit gets a channel: {other:?}"),
        }
        self.touch(node);
    }

    /// Moves one side of one circuit.
    pub fn move_side(&mut self) {
        let circ = self.shares.rng.below(self.circs.len() as u64) as usize;
        let pos = self.shares.rng.below(self.circs[circ].last as u64 + 1) as usize;
        let side = self.shares.rng.below(2) as usize;
        let link = self.circs[circ].links[pos][side];
        if link == NOWHERE || !self.circs[circ].open[pos] {
            return;
        }
        self.tally.add(N::ChannelMoves, 1);
        let channel = if self.shares.rng.once_in(6) { NOWHERE } else { self.pick_channel(link) };
        self.sit(circ, pos, side, channel);
    }

    fn any_channel(&mut self) -> Option<usize> {
        let open = |&on: &usize| self.shares.channels[on].is_open;
        let known: Vec<usize> = (0..self.shares.channels.len()).filter(open).collect();
        (!known.is_empty()).then(|| self.shares.rng.pick(&known))
    }

    /// A channel closes; its circuits move a little later.
    pub fn close_channel(&mut self) {
        let Some(channel) = self.any_channel() else { return };
        let Shared { node, id, .. } = self.shares.channels[channel];
        self.tally.add(N::ChannelsClosed, 1);
        self.nodes[node].engine.close_channel(id).unwrap();
        let shared = &mut self.shares.channels[channel];
        (shared.is_open, shared.room) = (false, 0);
        self.touch(node);
        let at = self.now + self.shares.rng.range(0, 30 * MS);
        self.at(at, Event::Leave(channel));
    }

    /// All circuits of a channel that has closed get another one.
    pub fn leave_channel(&mut self, channel: usize) {
        for circ in 0..self.circs.len() {
            for pos in 0..=self.circs[circ].last {
                for side in 0..2 {
                    if self.circs[circ].open[pos] && self.circs[circ].seats[pos][side] == channel {
                        self.seat(circ, pos, side);
                    }
                }
            }
        }
    }

    /// A channel gets other room, whatever it had.
    pub fn any_room(&mut self) {
        if let Some(channel) = self.any_channel() {
            self.give_room(channel);
        }
    }

    /// A portion that was due.
    pub fn portion(&mut self, channel: usize) {
        self.shares.channels[channel].is_due = false;
        if self.shares.channels[channel].is_open {
            self.give_room(channel);
        }
    }

    fn give_room(&mut self, channel: usize) {
        let Shared { node, id, portion, .. } = self.shares.channels[channel];
        let room = if self.shares.rng.once_in(6) { 0 } else { self.shares.rng.range(1, portion) as u32 };
        let now = self.clock(node);
        trace!(self, "node {node}: channel {channel} takes {room}");
        self.nodes[node].engine.set_channel_room(now, id, room).unwrap();
        self.shares.channels[channel].room = room;
        self.tally.add(N::Portions, 1);
        self.touch(node);
        self.want_portion(channel);
    }

    /// A channel that is full gets room sooner or later.
    fn want_portion(&mut self, channel: usize) {
        let shared = &mut self.shares.channels[channel];
        if shared.room == 0 && shared.is_open && !std::mem::replace(&mut shared.is_due, true) {
            let at = self.now + self.shares.rng.range(0, shared.gap);
            self.at(at, Event::Portion(channel));
        }
    }

    /// True when what is seen of channels is all that their engines count: a hostile peer's cells are not.
    fn counts_room(&self) -> bool {
        !self.plan.hostile
    }

    /// Checks that a cell that waits for room has it.
    pub fn check_room(&self, circ: usize, pos: usize, side: usize, what: &str) {
        let state = &self.circs[circ];
        assert!(state.writable[pos][side], "{what}");
        if let Some(shared) = self.shares.channels.get(state.seats[pos][side]) {
            assert!(shared.room > 0 || !self.counts_room(), "{what}");
            assert!(shared.is_open, "nothing goes to a channel that has closed");
        }
    }

    /// Checks that a cell has not overtaken those that stand in line for the same channel.
    pub fn check_turn(&mut self, circ: usize, pos: usize, side: usize) {
        let seat = self.circs[circ].seats[pos][side];
        let Some(link) = self.shares.channels.get(seat).map(|shared| shared.link) else { return };
        if self.plan.hostile {
            return;
        }
        let users = self.links[link].users.clone();
        for &(other, at) in users.iter().filter(|&&user| user != (circ, pos)) {
            let state = &mut self.circs[other];
            let on = usize::from(state.links[at][0] != link);
            let held_back = state.pads[at].is_some() || state.closing[at] || !state.open[at];
            if state.seats[at][on] != seat || state.edges[at][on].waiting.is_empty() || held_back {
                continue;
            }
            // Each of the others had a place before it, and perhaps room that was kept for one cell.
            state.edges[at][on].overtaken += 1;
            let overtaken = state.edges[at][on].overtaken;
            self.tally.most("cells of others before one's turn", overtaken.into());
            assert!(overtaken as usize <= 2 * users.len(), "each in line has its turn: {other}.{at}, {overtaken}");
        }
    }

    /// A cell goes to a link.
    pub fn spend_room(&mut self, circ: usize, pos: usize, side: usize) {
        self.circs[circ].edges[pos][side].overtaken = 0;
        let channel = self.circs[circ].seats[pos][side];
        if let Some(shared) = self.shares.channels.get_mut(channel) {
            (shared.room, shared.passed) = (shared.room.saturating_sub(1), shared.passed + 1);
            self.want_portion(channel);
        }
    }

    /// Checks the channels of a node that has nothing left to drain.
    pub fn check_channels(&mut self, node: usize) {
        let (now, counts) = (self.now, self.counts_room());
        for shared in self.shares.channels.iter_mut().filter(|shared| shared.node == node && shared.is_open) {
            let stats = self.nodes[node].engine.channel_stats(shared.id).unwrap();
            assert!(!counts || stats.room == shared.room, "room is what is left of it: {stats:?}, {}", shared.room);
            assert!(!counts || stats.passed == shared.passed, "what passed is counted: {stats:?}, {}", shared.passed);
            if stats.room == 0 || stats.in_line == 0 {
                shared.unserved = None;
                continue;
            }
            match shared.unserved {
                Some((passed, in_line, since)) if (passed, in_line) == (stats.passed, stats.in_line) => {
                    let served = now - since <= UNSERVED_MAX;
                    assert!(served, "who is in line while there is room is served: {stats:?} for {} ns", now - since);
                }
                _ => shared.unserved = Some((stats.passed, stats.in_line, now)),
            }
        }
    }

    /// Checks the channels at rest: nobody is in line.
    pub fn check_channels_at_rest(&mut self) {
        for shared in self.shares.channels.iter().filter(|shared| shared.is_open) {
            let stats = self.nodes[shared.node].engine.channel_stats(shared.id).unwrap();
            assert!(shared.room > 0, "the simulator's own fault: a channel is full for ever");
            assert_eq!((stats.in_line, stats.waiting), (0, 0), "all that stood in line were served: {stats:?}");
        }
    }
}
