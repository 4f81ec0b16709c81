//! Channels that circuits share: one report of room serves all circuits that write to a channel, in turn.
//!
//! A side of a circuit has a seat at its channel. The seat is put in line when cells wait at the edge, or when the host
//! was refused DATA. While the channel has room, a mark in the instruction queue stands for the line. The first seat in
//! line gives one cell, and goes to the end of the line if more cells wait. If it has no cell, the host is told that it
//! may send, and room for one cell is kept for it ([`Turn::Promised`]), for [`limits::CHANNEL_PROMISE`] if other seats
//! need it. A cell that comes later does not go before the seats in line.
//!
//! Edges read how much room a channel has ([`Gauge`]). So no circuit is visited when the channel fills up or gets
//! room, and a circuit that does not wait costs nothing.

mod line;

use crate::base::time::NEVER;
use crate::base::{limits, Arena, Id, IdError, Nanos};
use crate::conflux::Role;
use crate::engine::{Blocked, Circuit, Engine, Error, Misuse, Place, Verdict};
use crate::event::{Class, Event};
use crate::reactor::{ChannelSeat, Gauge, Side, Turn};
use std::sync::Arc;

/// Figures of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelStats {
    /// Sides of circuits that write to it.
    pub sides: u32,
    /// Of these, those in line.
    pub in_line: u32,
    /// Cells that wait.
    pub waiting: u32,
    /// Cells that it still takes.
    pub room: u32,
    /// Cells that went to it.
    pub passed: u64,
}

/// A side of a circuit: the circuit's index, and one bit.
type Seating = u32;

const NO_SEAT: Seating = u32::MAX;

/// A list of seats, in order. Each seat has links to the one before it and the one behind it.
#[derive(Debug)]
struct Line {
    first: Seating,
    last: Seating,
}

impl Default for Line {
    fn default() -> Self {
        Line { first: NO_SEAT, last: NO_SEAT }
    }
}

/// A channel.
#[derive(Debug, Default)]
struct Channel {
    gauge: Arc<Gauge>,
    line: Line,
    /// Seats for which room is kept, in the order in which their hosts were told.
    promises: Line,
    sides: u32,
    /// The mark is in the instruction queue.
    marked: bool,
}

impl Channel {
    fn list(&mut self, turn: Turn) -> Option<&mut Line> {
        match turn {
            Turn::Out => None,
            Turn::InLine | Turn::Up => Some(&mut self.line),
            Turn::Promised => Some(&mut self.promises),
        }
    }

    /// One more, or one less, is in the list of a turn.
    fn count(&self, turn: Turn, comes: bool) {
        let change = |count: u32| if comes { count + 1 } else { count.saturating_sub(1) };
        match turn {
            Turn::Out => {}
            Turn::InLine | Turn::Up => self.gauge.set_in_line(change(self.gauge.in_line())),
            Turn::Promised => self.gauge.set_promised(change(self.gauge.promised())),
        }
    }
}

/// All channels of an engine.
#[derive(Debug)]
pub(in crate::engine) struct Channels {
    known: Arena<Channel>,
    /// Sides of circuits that have a channel here: while there are none, all the work for channels is skipped.
    sides: u32,
}

/// An id has two bits for its kind, and all four kinds are taken. Channels share that of lists of machines: this bit of
/// the index tells them apart, as there are few lists.
const CHANNEL_BIT: u64 = 1 << 23;

const _: () = assert!((limits::MACHINE_LISTS_MAX as u64) < CHANNEL_BIT);
const _: () = assert!((limits::CHANNELS_MAX as u64) < CHANNEL_BIT);

fn outer(id: Id) -> Id {
    Id(id.0 | CHANNEL_BIT)
}

impl Channels {
    pub fn new(owner: u16) -> Channels {
        Channels { known: Arena::new(owner, limits::CHANNELS_MAX), sides: 0 }
    }

    /// True when some circuit writes to a channel of this engine.
    #[inline(always)]
    pub fn in_use(&self) -> bool {
        self.sides > 0
    }

    /// The channel's id in the arena.
    fn find(&self, id: Id) -> Result<Id, Error> {
        let inner = Id(id.0 & !CHANNEL_BIT);
        match self.known.lookup(inner) {
            _ if id == Id::NONE => Err(IdError::Zero.into()),
            _ if id == inner => Err(IdError::Foreign.into()),
            Ok(_) => Ok(inner),
            Err(why) => Err(why.into()),
        }
    }
}

fn seating(id: Id, side: Side) -> Seating {
    id.index() << 1 | u32::from(side == Side::Next)
}

fn seated(place: Seating) -> (u32, Side) {
    (place >> 1, if place & 1 == 0 { Side::Back } else { Side::Next })
}

impl Engine {
    /// Makes a channel known, which takes so many cells.
    pub fn open_channel(&mut self, room: u32) -> Result<Id, Error> {
        let channel = Channel::default();
        channel.gauge.set_room(room);
        self.channels.known.insert(channel).map(outer).map_err(|_| Blocked::Full.into())
    }

    /// A channel has gone. What its circuits write to it waits, as if it were full, until they go or move.
    pub fn close_channel(&mut self, id: Id) -> Result<(), Error> {
        let id = self.channels.find(id)?;
        if let Some(channel) = self.channels.known.remove(id) {
            channel.gauge.set_room(0);
            self.note_room(id, &channel.gauge);
            self.time.alarms.arm_channel(id.index(), NEVER);
        }
        Ok(())
    }

    /// A channel takes so many cells from now on.
    pub fn set_channel_room(&mut self, now: Nanos, id: Id, room: u32) -> Result<(), Error> {
        self.enter(now);
        let id = self.channels.find(id)?;
        if let Some(gauge) = self.channels.known.get(id).map(|channel| channel.gauge.clone()) {
            gauge.set_room(room);
            self.note_room(id, &gauge);
        }
        self.settle_channel(id);
        Ok(())
    }

    /// One side of a circuit writes to a channel from now on; with none, to one of its own.
    pub fn set_channel(&mut self, now: Nanos, id: Id, side: Side, channel: Id) -> Result<(), Error> {
        self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        let (is_client, is_closing) = (circuit.config.role == Role::Client, circuit.place == Place::Closing);
        let Some(reactor) = &circuit.reactor else { return Err(Misuse::NotRun.into()) };
        if is_client && side == Side::Next {
            return Err(self.invalid("a client's circuit has one channel, at its back"));
        }
        if is_closing {
            return Err(Blocked::Gone.into());
        }
        let before = reactor.edge_at(side).seat().map(|seat| seat.channel);
        let channel = if channel == Id::NONE { None } else { Some(self.channels.find(channel)?) };
        if channel != before {
            self.leave_channel(id, side);
            channel.into_iter().for_each(|channel| self.join_channel(id, side, channel));
            self.wake_edge(id, side);
            if side == Side::Back {
                self.room_changed(id);
            }
        }
        Ok(())
    }

    /// Figures of a channel.
    pub fn channel_stats(&self, id: Id) -> Result<ChannelStats, Error> {
        let Some(Channel { gauge, sides, .. }) = self.channels.known.get(self.channels.find(id)?) else {
            return Err(Misuse::StaleId.into());
        };
        Ok(ChannelStats {
            sides: *sides,
            in_line: gauge.in_line(),
            waiting: gauge.waiting(),
            room: gauge.room(),
            passed: gauge.passed(),
        })
    }

    fn join_channel(&mut self, id: Id, side: Side, channel: Id) {
        let Some(reactor) = self.circuits.get_mut(id).and_then(|circuit| circuit.reactor.as_mut()) else { return };
        let Some(known) = self.channels.known.get_mut(channel) else { return };
        known.sides += 1;
        self.channels.sides += 1;
        reactor.edge(side).sit(Some(ChannelSeat::new(channel, known.gauge.clone())));
        self.update_ways();
    }

    /// Takes a side of a circuit off its channel.
    pub(in crate::engine) fn leave_channel(&mut self, id: Id, side: Side) {
        let place = seating(id, side);
        let Some(channel) = self.seat_at(place).map(|seat| seat.channel) else { return };
        self.unlink(place);
        let seat = self.edge_of(id, side).and_then(|edge| edge.sit(None));
        seat.into_iter().for_each(|seat| seat.gauge.unbook(seat.booked));
        self.channels.sides -= 1;
        self.update_ways();
        self.channels.known.get_mut(channel).into_iter().for_each(|known| known.sides -= 1);
        self.settle_channel(channel);
    }

    /// Takes both sides of a circuit that goes off their channels.
    #[inline]
    pub(in crate::engine) fn leave_channels(&mut self, id: Id) {
        if self.channels.in_use() && self.circuits.get(id).is_some() {
            [Side::Back, Side::Next].into_iter().for_each(|side| self.leave_channel(id, side));
        }
    }

    /// A cell, or a message, goes to a channel, if that is one that is known.
    #[inline]
    pub(in crate::engine) fn spend(&mut self, id: Id, side: Side) {
        if self.channels.in_use() {
            self.spend_at(id, side);
        }
    }

    #[inline(never)]
    fn spend_at(&mut self, id: Id, side: Side) {
        if self.wants(Class::Edges) {
            return self.spend_and_tell(id, side);
        }
        self.spend_quietly(id, side);
    }

    #[inline(always)]
    fn spend_quietly(&mut self, id: Id, side: Side) {
        self.seat_of(id, side).into_iter().for_each(|seat| seat.gauge.spend());
        self.note_sent(id, side);
    }

    #[cold]
    #[inline(never)]
    fn spend_and_tell(&mut self, id: Id, side: Side) {
        self.note_room_used(id, side, 1);
        self.spend_quietly(id, side);
    }

    /// A message is put into the instruction queue. It uses up room from now on, and goes when the host takes it.
    #[inline]
    pub(in crate::engine) fn book(&mut self, id: Id) {
        if self.channels.in_use() {
            self.book_at(id);
        }
    }

    #[inline(never)]
    fn book_at(&mut self, id: Id) {
        if self.wants(Class::Edges) {
            self.note_room_used(id, Side::Back, 1);
        }
        if let Some(seat) = self.seat_of(id, Side::Back) {
            seat.booked += 1;
            seat.gauge.book();
            self.note_sent(id, Side::Back);
        }
    }

    /// The host takes a message that was put into the instruction queue.
    pub(in crate::engine) fn spend_booked(&mut self, id: Id) {
        if !self.channels.in_use() {
            return;
        }
        if let Some(seat) = self.seat_of(id, Side::Back) {
            seat.unbook();
            seat.gauge.spend();
        }
    }

    /// A message that was put into the instruction queue is dropped: its room is free again.
    pub(in crate::engine) fn unbook(&mut self, id: Id) {
        if !self.channels.in_use() {
            return;
        }
        let Some(seat) = self.seat_of(id, Side::Back) else { return };
        seat.unbook();
        let channel = seat.channel;
        self.settle_channel(channel);
    }

    /// A side has sent something: room that was kept for it is kept no longer.
    fn note_sent(&mut self, id: Id, side: Side) {
        if self.seat_of(id, side).is_some_and(|seat| seat.turn == Turn::Promised) {
            self.unlink(seating(id, side));
        }
        self.note_full(id, side);
    }

    /// Says that a channel has no room any more, once the next cell goes or, with `left` 0, the last one has gone.
    #[cold]
    #[inline(never)]
    fn note_room_used(&mut self, id: Id, side: Side, left: u32) {
        let Some(seat) = self.seat_of(id, side).filter(|seat| seat.gauge.room() == left) else { return };
        let (channel, gauge) = (seat.channel, seat.gauge.clone());
        let (waiting, in_line) = (gauge.waiting(), gauge.in_line());
        self.note(Event::ChannelRoom { channel: outer(channel), room: 0, waiting, in_line });
    }

    fn note_room(&mut self, channel: Id, gauge: &Gauge) {
        let (room, waiting, in_line) = (gauge.room(), gauge.waiting(), gauge.in_line());
        self.note(Event::ChannelRoom { channel: outer(channel), room, waiting, in_line });
    }

    /// A message of a set goes on the leg that was chosen for it, with a SWITCH before it if the verdict says so.
    #[inline]
    pub(in crate::engine) fn spend_for(&mut self, verdict: &Verdict) {
        if self.channels.in_use() {
            if verdict.switch_delta != 0 {
                self.spend_at(verdict.circuit, Side::Back);
            }
            self.spend_at(verdict.circuit, Side::Back);
        }
    }

    /// A set that has sent on a leg hears when that leg can take no more: it is not asked again for each message.
    fn note_full(&mut self, id: Id, side: Side) {
        let Some(Circuit { place: Place::Leg { set, ix }, reactor: Some(reactor), .. }) = self.circuits.get(id) else {
            return;
        };
        if side == Side::Back {
            let is_full = !reactor.edge_at(side).is_writable();
            let (set, ix) = (*set, *ix);
            if self.sets.get_mut(set).is_some_and(|state| state.unsettle(ix, is_full)) {
                self.look_again(set);
            }
        }
    }

    /// Tells a set which of its legs have full channels, before it chooses: other circuits fill them too.
    #[inline]
    pub(in crate::engine) fn look_at_channels(&mut self, set: Id) {
        if self.channels.in_use() {
            self.look_at_legs(set);
        }
    }

    #[inline(never)]
    fn look_at_legs(&mut self, set: Id) {
        for leg in self.legs_of(set) {
            let Some(Circuit { place: Place::Leg { ix, .. }, reactor: Some(reactor), .. }) = self.circuits.get(leg)
            else {
                continue;
            };
            let back = reactor.edge_at(Side::Back);
            if back.is_shared() {
                let (ix, is_full) = (*ix, !back.is_writable());
                if self.sets.get_mut(set).is_some_and(|state| state.unsettle(ix, is_full)) {
                    self.look_again(set);
                }
            }
        }
    }

    /// True when all counts of channels are right, and each seat in line will be served once there is room. Slow: for
    /// tests.
    #[allow(dead_code, reason = "tests and the simulation compare")]
    pub fn channels_add_up(&mut self) -> bool {
        if self.channels.known.is_empty() {
            return true;
        }
        let places = |circuit: &Circuit| {
            let edges = [Side::Back, Side::Next].map(|side| circuit.reactor.as_ref().map(|open| open.edge_at(side)));
            edges
                .into_iter()
                .flatten()
                .filter_map(|edge| Some((edge.seat()?.channel, edge.waiting())))
                .collect::<Vec<_>>()
        };
        let seats: Vec<(Id, u32)> = self.circuits.all().flat_map(places).collect();
        let mut adds_up = seats.len() == self.channels.sides as usize;
        let mut left = self.channels.known.len();
        for index in 0..limits::CHANNELS_MAX {
            if left == 0 {
                break;
            }
            let Some((id, channel)) = self.channels.known.at(index) else { continue };
            left -= 1;
            let (sides, marked, gauge) = (channel.sides, channel.marked, channel.gauge.clone());
            let firsts = [channel.line.first, channel.promises.first];
            let lengths = firsts.map(|first| self.length_of(id, first));
            let of_it = || seats.iter().filter(|(channel, _)| *channel == id);
            let waits = gauge.in_line() > 0 && gauge.room() > 0;
            let is_looked_at = marked || self.time.alarms.next_channel() != NEVER;
            adds_up &= of_it().count() == sides as usize
                && of_it().map(|(_, waiting)| waiting).sum::<u32>() == gauge.waiting()
                && lengths == [gauge.in_line(), gauge.promised()]
                && (is_looked_at || !waits);
        }
        adds_up
    }
}
