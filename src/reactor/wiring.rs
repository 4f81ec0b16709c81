//! Puts the parts of a circuit together: the only file that knows the graph.
//!
//! ```text
//!            client's side                                            next relay
//!
//!   cells ──────────────► FORWARD ───────────────── not ours ─────────► Next edge
//!                          │   │ └─ SENDME ─► window of its hop ──┐
//!              on a leg,   │   │ streams of the circuit           │ room
//!              sequenced   │   ▼                                  ▼
//!             CONTROLLER ◄─┘  STREAM WRITE ─► host         STREAM READ ◄─ host
//!                  │ in order  ▲                                  │
//!                  └───────────┘                  leg and number  │ CONTROLLER, if there is a set
//!                                                                 ▼
//!   Back edge ◄──────────── BACKWARD ◄── SENDMEs owed, XOFF, XON, messages of streams
//!                              ▲
//!                              └──────────────────── not ours ◄──────── cells
//! ```
//!
//! An arrow is a call: a message is passed on within the feed that brought it, so between two parts there is at most
//! one message (R4). A cell that cannot go on waits at the edge it goes to, and the edge tells its source to pause.

use super::backward::Backward;
use super::edge::{Edge, Marks, Side};
use super::ends::{End, Ends, HopTerms};
use super::forward::Forward;
use super::route::Part;
use super::stream::{Stream, Streams};
use super::stream_read::Unread;
use super::stream_write::{DataHead, Written};
use crate::base::{limits, Arena, Id, Nanos};
use crate::conflux::Report;
use crate::congestion::{Inc, Params};
use std::sync::Arc;

/// The parts of one circuit. CONTROLLER belongs to the set.
#[derive(Debug)]
pub struct Reactor {
    /// The direction away from the client.
    pub forward: Forward,
    /// The direction towards the client.
    pub backward: Backward,
    /// Congestion control with the hops where streams end.
    pub ends: Ends,
    /// Streams that belong to no set; none before the first BEGIN.
    pub streams: Option<Box<Streams>>,
    terms: HopTerms,
}

impl Reactor {
    /// The parts of a new circuit.
    pub fn new(params: Arc<Params>, sendme_inc: Inc) -> Self {
        Reactor {
            forward: Forward::default(),
            backward: Backward::default(),
            ends: Ends::default(),
            streams: None,
            terms: HopTerms::new(params, sendme_inc),
        }
    }

    /// The edge of one side.
    #[inline]
    pub fn edge(&mut self, side: Side) -> &mut Edge {
        match side {
            Side::Back => &mut self.backward.back,
            Side::Next => &mut self.forward.next,
        }
    }

    /// The edge of one side, read-only.
    pub fn edge_at(&self, side: Side) -> &Edge {
        match side {
            Side::Back => &self.backward.back,
            Side::Next => &self.forward.next,
        }
    }

    /// Cost in bytes of the cells that wait at both edges.
    #[inline(always)]
    pub fn held_bytes(&self) -> u64 {
        self.edge_at(Side::Back).lane().bytes() + self.edge_at(Side::Next).lane().bytes()
    }

    /// Congestion control with a hop, made on first use.
    #[inline]
    pub fn end(&mut self, hop: u8) -> &mut End {
        self.ends.at(hop, &self.terms)
    }

    /// The common case of DATA for a stream of the circuit itself: counts it when the stream is open. `USUAL`: only
    /// when no SENDME is due, and see [`Streams::take_data`]. Returns none, and changes nothing, in any other case.
    #[inline(always)]
    pub fn take_data<const USUAL: bool>(
        &mut self,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &DataHead,
    ) -> Option<Written> {
        let end = self.ends.look::<USUAL>(data.hop).filter(|end| !USUAL || !end.acks.is_due_next())?;
        let (clock_broken, params) = (end.window.clock_broken(), &self.terms.of(data.hop).params);
        let written = self.streams.as_mut()?.take_data::<USUAL>(arena, now, data, params, clock_broken)?;
        end.acks.data();
        Some(written)
    }

    /// The common case of DATA sent on a stream of the circuit itself: counts it when window and edge have room, and
    /// returns whether the host has to report its digest. `USUAL`: only if it has not. Returns none, and changes
    /// nothing, in any other case.
    #[inline(always)]
    pub fn send_data<const USUAL: bool>(&mut self, hop: u8, now: Nanos) -> Option<bool> {
        let window = self.ends.window::<USUAL>(hop).filter(|window| window.room() > 0)?;
        self.backward.back.is_clear_alone().then(|| window.sent::<USUAL>(now))
    }

    /// Parameters of congestion and flow control with the last hop.
    pub fn params(&self) -> &Arc<Params> {
        &self.terms.params
    }

    /// The streams of the circuit itself, and the parameters of flow control with a hop.
    pub fn stream_side(&mut self, hop: u8) -> (&mut Option<Box<Streams>>, &Params) {
        (&mut self.streams, &self.terms.of(hop).params)
    }

    /// Extends the circuit behind its hop `last`: hops behind `last` have these terms, the others keep theirs.
    pub fn grow(&mut self, last: u8, params: Arc<Params>, sendme_inc: Inc) {
        self.terms.grow(last, params, sendme_inc);
    }

    /// Reports this circuit as a leg of a set. `blocked` speaks of the channel only: the set learns from padding itself
    /// whether padding blocks the leg.
    pub fn report(&mut self, join_point: u8) -> Report {
        let blocked = !self.backward.back.is_writable();
        self.end(join_point).report(blocked)
    }

    /// True when there is room for a message of a stream, which padding may still hold back. If false, the host is told
    /// later when there is room.
    #[inline]
    pub fn has_room(&mut self, hop: u8) -> bool {
        let back = &self.backward.back;
        if !back.is_writable() || back.overtakes() {
            self.backward.wait_for_edge();
            return false;
        }
        if self.end(hop).window.room() == 0 {
            self.backward.wait_for(hop);
            return false;
        }
        true
    }

    /// True when the host has to be told that there is room again.
    pub fn resumes(&mut self) -> bool {
        let ends = &mut self.ends;
        self.backward.resumes(|hop| ends.has_room(hop))
    }

    /// Returns the stream to read next, among the streams whose hop has room in its window.
    pub fn read(&mut self, arena: &mut Arena<Stream>, now: Nanos, wake: impl FnMut(Id, Nanos)) -> Result<Id, Unread> {
        let Some(streams) = &mut self.streams else { return Err(Unread::Nothing) };
        let (ends, mut full) = (&mut self.ends, [false; limits::HOPS_MAX as usize + 1]);
        let has_room = |hop: u8| {
            let has_room = ends.has_room(hop);
            full.get_mut(usize::from(hop)).into_iter().for_each(|full| *full |= !has_room);
            has_room
        };
        let found = streams.read(arena, now, has_room, wake);
        if found == Err(Unread::NoRoom) {
            (0..).zip(full).filter(|&(_, full)| full).for_each(|(hop, _)| self.backward.wait_for(hop));
        }
        found
    }
}

/// Returns the marks of edges, none when they are not valid.
pub fn marks(high: u32, low: u32, over: u32) -> Option<Marks> {
    let fit = high > 0 && low < high && over >= limits::EDGE_OVER_MIN;
    fit.then_some(Marks { high, low, over })
}

/// The part that this end plays on a circuit.
pub fn part(is_client: bool, answers: bool, extended: bool) -> Part {
    match (is_client, answers, extended) {
        (true, true, _) => Part::Service,
        (true, false, _) => Part::Client,
        (false, _, true) => Part::Middle,
        (false, _, false) => Part::Exit,
    }
}
