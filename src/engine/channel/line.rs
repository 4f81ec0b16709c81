//! The line before a channel: which circuits wait for it, and which is next.

use super::{seated, seating, Seating, NO_SEAT};
use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use crate::engine::out::insn::Queued;
use crate::engine::{Circuit, Engine, Place, Taker};
use crate::event::Class;
use crate::message::{Bodies, TooSmall};
use crate::reactor::{ChannelSeat, Edge, Side, Turn};

impl Engine {
    /// Lets the first waiting cell of an edge go, if nothing is in the way any more.
    pub(in crate::engine) fn wake_edge(&mut self, id: Id, side: Side) {
        if self.edge_of(id, side).is_some_and(|edge| edge.wakes()) {
            self.edge_woke(id, side);
        }
    }

    /// Queues a mark for an edge whose cells may go, or puts its seat in line.
    pub(in crate::engine) fn edge_woke(&mut self, circuit: Id, side: Side) {
        match self.seat_at(seating(circuit, side)) {
            None => self.out.queue.push(Queued::Edge { circuit, side }),
            Some(_) => self.line_up(seating(circuit, side)),
        }
    }

    /// Counts a cell that was kept at an edge, if the edge shares its channel.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn kept_in_line(&mut self, id: Id, side: Side) {
        if let Some(seat) = self.seat_at(seating(id, side)) {
            seat.gauge.add_waiting(1);
            self.wake_edge(id, side);
        }
    }

    /// Puts all legs of a set whose channels are full in line: the set was refused.
    #[inline(always)]
    pub(in crate::engine) fn ask_for_set(&mut self, set: Id) {
        if self.channels.in_use() {
            self.ask_for_legs(set);
        }
    }

    #[inline(never)]
    fn ask_for_legs(&mut self, set: Id) {
        self.legs_of(set).into_iter().for_each(|leg| self.ask_for_turn(leg));
    }

    pub(super) fn legs_of(&self, set: Id) -> smallvec::SmallVec<[Id; 8]> {
        self.sets.get(set).map(|state| state.leg_ids().collect()).unwrap_or_default()
    }

    /// Puts a circuit whose host was refused a message in line. The host is told when the circuit's turn comes.
    pub(in crate::engine) fn ask_for_turn(&mut self, id: Id) {
        let Some(seat) = self.seat_of(id, Side::Back).filter(|seat| !seat.is_open()) else { return };
        seat.asks = true;
        if seat.turn != Turn::Up {
            self.line_up(seating(id, Side::Back));
        }
    }

    /// Looks for room again in a set whose host or messages wait, after something has changed which leg it would
    /// choose. Then all its legs whose channels are full are put in line. Every such change has to end with this call.
    #[inline(always)]
    pub(in crate::engine) fn set_changed(&mut self, set: Id) {
        if self.channels.in_use() {
            self.look_for_room(set);
        }
        self.look_again(set);
    }

    #[inline(never)]
    fn look_for_room(&mut self, set: Id) {
        self.look_at_channels(set);
        if let Some(state) = self.sets.get_mut(set) {
            state.look_for_room(&mut self.out.effects);
        }
        self.apply_effects(set);
        self.ask_if_waiting_there(set);
    }

    /// Puts all legs of a set whose channels are full in line, if its host waits or messages wait in it.
    #[inline(always)]
    pub(in crate::engine) fn ask_if_waiting(&mut self, set: Id) {
        if self.channels.in_use() {
            self.ask_if_waiting_there(set);
        }
    }

    #[inline(never)]
    fn ask_if_waiting_there(&mut self, set: Id) {
        if self.set_waits(set) {
            self.ask_for_legs(set);
        }
    }

    /// True when the host of a set waits for room, or messages wait in it.
    fn set_waits(&self, set: Id) -> bool {
        self.sets.get(set).is_some_and(|state| state.host_waits() || state.is_holding())
    }

    /// True when the host waits for room on a circuit, or on its set, and was not told of any.
    fn still_waits(&self, id: Id) -> bool {
        let Some(Circuit { place, reactor: Some(reactor), .. }) = self.circuits.get(id) else { return false };
        match *place {
            Place::Leg { set, .. } if self.sets.get(set).is_some_and(|state| state.host_waits()) => true,
            Place::Leg { .. } | Place::Alone => reactor.backward.host_waits(),
            Place::Away | Place::Closing => false,
        }
    }

    /// If the host waits for room on a circuit, its seat is put in line: the channel may be all that it waits for.
    #[cold]
    pub(in crate::engine) fn ask_again(&mut self, id: Id) {
        let Some(Circuit { place, reactor: Some(reactor), .. }) = self.circuits.get(id) else { return };
        let waits = match *place {
            Place::Leg { set, .. } => self.set_waits(set),
            Place::Away => !reactor.edge_at(Side::Back).is_writable(),
            Place::Alone | Place::Closing => false,
        };
        if waits || reactor.backward.host_waits() {
            self.ask_for_turn(id);
        }
    }

    /// Puts a seat at the end of the line, unless it is in line.
    fn line_up(&mut self, place: Seating) {
        let Some((turn, channel)) = self.seat_at(place).map(|seat| (seat.turn, seat.channel)) else { return };
        match turn {
            Turn::InLine | Turn::Up => {}
            Turn::Out | Turn::Promised => {
                self.unlink(place);
                self.link(place, Turn::InLine);
                self.settle_channel(channel);
            }
        }
    }

    /// The first seat in line that has a cell. Seats before it leave the line; where the host waits to send, it is
    /// told. None when there is no room, no such seat, or this call has looked at as many seats as it may.
    fn next_up(&mut self, id: Id) -> Option<(Id, Side)> {
        for _ in 0..limits::CHANNEL_STEPS {
            let channel = self.channels.known.get(id).filter(|channel| channel.gauge.free() > 0)?;
            let place = channel.line.first;
            let (index, side) = seated(place);
            let (circuit, open) = self.circuits.at(index).filter(|_| place != NO_SEAT)?;
            let is_open = open.place != Place::Closing;
            let edge = open.reactor.as_mut().map(|reactor| reactor.edge(side)).filter(|_| is_open);
            if edge.as_ref().is_some_and(|edge| edge.is_ready_for_turn()) {
                return Some((circuit, side));
            }
            let asks = edge.and_then(|edge| edge.seat_mut()).is_some_and(|seat| std::mem::take(&mut seat.asks));
            self.unlink(place);
            if asks {
                self.link(place, Turn::Promised);
                self.tell_of_room(circuit);
                // The host waits for another leg, or for its window. No room is kept then, and the seat leaves the
                // line; it comes back when something changes that (`set_changed`, `room_changed`).
                if self.still_waits(circuit) && self.seat_at(place).is_some_and(|seat| seat.turn == Turn::Promised) {
                    self.unlink(place);
                }
            }
        }
        None
    }

    /// A channel's mark is first in the queue: true when a seat in line has a cell. If not, the mark is taken away.
    pub(in crate::engine) fn turn_waits(&mut self, channel: Id) -> bool {
        let waits = self.next_up(channel).is_some();
        if !waits {
            self.unmark_channel(channel);
        }
        waits
    }

    /// Takes a cell of the first seat in line that has one. True when there was one.
    pub(in crate::engine) fn take_turn(
        &mut self,
        channel: Id,
        bodies: &mut impl Bodies,
        taker: &mut impl Taker,
    ) -> Result<bool, TooSmall> {
        let Some((id, side)) = self.next_up(channel) else { return Ok(false) };
        let place = seating(id, side);
        self.seat_at(place).into_iter().for_each(|seat| seat.turn = Turn::Up);
        let taken = self.take_waiting(id, side, bodies, taker);
        let tells = self.wants(Class::Edges);
        let Some(seat) = self.seat_at(place) else { return taken };
        if taken != Ok(true) {
            seat.turn = Turn::InLine;
            return taken;
        }
        seat.gauge.spend();
        seat.gauge.sub_waiting(1);
        let (asks, is_used_up) = (seat.asks, tells && seat.gauge.room() == 0);
        if is_used_up {
            self.note_room_used(id, side, 0);
        }
        self.unlink(place);
        let goes_on = self.edge_of(id, side).is_some_and(|edge| edge.is_ready_for_turn());
        if goes_on || asks {
            self.link(place, Turn::InLine);
        }
        Ok(true)
    }

    /// The mark of a channel is taken away. If seats are left that this call may not look at any more, the engine wants
    /// to be called again at once.
    pub(in crate::engine) fn unmark_channel(&mut self, id: Id) {
        let now = self.time.clock.latest();
        let Some(channel) = self.channels.known.get_mut(id) else { return };
        channel.marked = false;
        if channel.gauge.in_line() > 0 && channel.gauge.free() > 0 {
            self.time.alarms.arm_channel(id.index(), now);
        } else {
            self.settle_channel(id);
        }
    }

    /// If there are seats in line: queues a mark when there is free room, or sets an alarm when all room is kept for
    /// other seats.
    pub(super) fn settle_channel(&mut self, id: Id) {
        let Some(channel) = self.channels.known.get_mut(id) else { return };
        let gauge = &channel.gauge;
        if gauge.in_line() == 0 || channel.marked || gauge.room() == 0 {
            return;
        }
        if gauge.free() > 0 {
            channel.marked = true;
            return self.out.queue.push(Queued::Channel { channel: id });
        }
        let first = channel.promises.first;
        let since = self.seat_at(first).map_or(0, |seat| seat.since);
        self.time.alarms.arm_channel(id.index(), since.saturating_add(limits::CHANNEL_PROMISE));
    }

    /// The alarm of a channel: room that was kept for too long is free again.
    pub(in crate::engine) fn run_channel(&mut self, index: u32, now: Nanos) {
        for _ in 0..limits::CHANNEL_STEPS {
            let Some((id, channel)) = self.channels.known.at(index) else { return };
            let gauge = &channel.gauge;
            let (is_wanted, first) = (gauge.room() > 0 && gauge.in_line() > gauge.free(), channel.promises.first);
            let since = self.seat_at(first).map_or(NEVER, |seat| seat.since);
            if !is_wanted || since.saturating_add(limits::CHANNEL_PROMISE) > now {
                return self.settle_channel(id);
            }
            self.unlink(first);
        }
        // The rest is due at once.
        self.time.alarms.arm_channel(index, now);
    }

    /// Puts a seat at the end of a list.
    fn link(&mut self, place: Seating, turn: Turn) {
        let now = self.time.clock.latest();
        let Some(channel) = self.seat_at(place).map(|seat| seat.channel) else { return };
        let Some(known) = self.channels.known.get_mut(channel) else { return };
        known.count(turn, true);
        let Some(list) = known.list(turn) else { return };
        let last = std::mem::replace(&mut list.last, place);
        if last == NO_SEAT {
            list.first = place;
        } else if let Some(seat) = self.seat_at(last) {
            seat.links.1 = place;
        }
        if let Some(seat) = self.seat_at(place) {
            (seat.turn, seat.since, seat.links) = (turn, now, (last, NO_SEAT));
        }
    }

    /// Takes a seat out of the list it is in.
    pub(super) fn unlink(&mut self, place: Seating) {
        let Some(seat) = self.seat_at(place) else { return };
        let (turn, channel, (before, after)) = (seat.turn, seat.channel, seat.links);
        seat.turn = Turn::Out;
        let Some(known) = self.channels.known.get_mut(channel) else { return };
        known.count(turn, false);
        let Some(list) = known.list(turn) else { return };
        if before == NO_SEAT {
            list.first = after;
        }
        if after == NO_SEAT {
            list.last = before;
        }
        self.seat_at(before).into_iter().for_each(|seat| seat.links.1 = after);
        self.seat_at(after).into_iter().for_each(|seat| seat.links.0 = before);
    }

    pub(super) fn seat_at(&mut self, place: Seating) -> Option<&mut ChannelSeat> {
        let (index, side) = seated(place);
        let (_, circuit) = self.circuits.at(index)?;
        circuit.reactor.as_mut()?.edge(side).seat_mut()
    }

    pub(super) fn seat_of(&mut self, id: Id, side: Side) -> Option<&mut ChannelSeat> {
        self.edge_of(id, side)?.seat_mut()
    }

    pub(in crate::engine) fn edge_of(&mut self, id: Id, side: Side) -> Option<&mut Edge> {
        Some(self.circuits.get_mut(id)?.reactor.as_mut()?.edge(side))
    }

    pub(super) fn length_of(&mut self, channel: Id, first: Seating) -> u32 {
        let (mut place, mut before, mut length) = (first, NO_SEAT, 0);
        while let Some(seat) = self.seat_at(place).filter(|seat| seat.channel == channel && seat.links.0 == before) {
            (before, place) = (place, seat.links.1);
            length += 1;
        }
        length
    }
}
