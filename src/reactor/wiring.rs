//! How the parts of a circuit are put together: the only place that knows the graph.
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
//! An arrow is a call: a message is handed on within the feed that brought it, so between two parts there is at most
//! the one that is on its way (R4). What cannot go on waits where it came in, at the edge it is for, and the edge's
//! marks tell its source to pause.

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

/// One circuit's parts. CONTROLLER belongs to the set.
#[derive(Debug)]
pub struct Reactor {
    /// From the client on.
    pub forward: Forward,
    /// Towards the client.
    pub backward: Backward,
    /// Congestion control with the hops where streams end.
    pub ends: Ends,
    /// Streams that are no set's; none before the first BEGIN.
    pub streams: Option<Box<Streams>>,
    terms: HopTerms,
}

impl Reactor {
    /// The parts of a circuit on which nothing has happened.
    pub fn new(params: Arc<Params>, sendme_inc: Inc) -> Self {
        Reactor {
            forward: Forward::default(),
            backward: Backward::default(),
            ends: Ends::default(),
            streams: None,
            terms: HopTerms::new(params, sendme_inc),
        }
    }

    /// The edge towards one side.
    #[inline]
    pub fn edge(&mut self, side: Side) -> &mut Edge {
        match side {
            Side::Back => &mut self.backward.back,
            Side::Next => &mut self.forward.next,
        }
    }

    /// The same, to look at.
    pub fn edge_at(&self, side: Side) -> &Edge {
        match side {
            Side::Back => &self.backward.back,
            Side::Next => &self.forward.next,
        }
    }

    /// What waits at both edges costs.
    #[inline(always)]
    pub fn held_bytes(&self) -> u64 {
        self.edge_at(Side::Back).lane().bytes() + self.edge_at(Side::Next).lane().bytes()
    }

    /// Congestion control with a hop.
    #[inline]
    pub fn end(&mut self, hop: u8) -> &mut End {
        self.ends.at(hop, &self.terms)
    }

    /// The common case of DATA for a stream of the circuit itself, which is open: it is counted, and no SENDME is due.
    /// No answer means that nothing changed.
    #[inline(always)]
    pub fn take_data(&mut self, arena: &mut Arena<Stream>, now: Nanos, data: &DataHead) -> Option<Written> {
        let end = self.ends.find(data.hop).filter(|end| !end.acks.is_due_next())?;
        let (clock_broken, params) = (end.window.clock_broken(), &self.terms.of(data.hop).params);
        let written = self.streams.as_mut()?.take_data(arena, now, data, params, clock_broken)?;
        end.acks.data();
        Some(written)
    }

    /// The common case of DATA that is sent on a stream of the circuit itself: there is room in the window and on the
    /// way. Says whether its digest is wanted. No answer means that nothing changed.
    #[inline(always)]
    pub fn send_data(&mut self, hop: u8, now: Nanos) -> Option<bool> {
        let end = self.ends.find(hop).filter(|end| end.window.room() > 0)?;
        self.backward.takes_data().then(|| end.window.sent_data(now))
    }

    /// Parameters of congestion and flow control with the last hop.
    pub fn params(&self) -> &Arc<Params> {
        &self.terms.params
    }

    /// The stream side, and what it goes by at a hop.
    pub fn stream_side(&mut self, hop: u8) -> (&mut Option<Box<Streams>>, &Params) {
        (&mut self.streams, &self.terms.of(hop).params)
    }

    /// The circuit goes on behind its hop `last`, with these terms; those of the hops up to there stay.
    pub fn grow(&mut self, last: u8, params: Arc<Params>, sendme_inc: Inc) {
        self.terms.grow(last, params, sendme_inc);
    }

    /// How the leg stands that this circuit is. `blocked` by the channel, that is: what padding blocks, the set hears
    /// from padding.
    pub fn report(&mut self, join_point: u8) -> Report {
        let blocked = !self.backward.back.is_writable();
        self.end(join_point).report(blocked)
    }

    /// Room for a message of a stream, which padding can still hold back. If there is none, the host waits to be told.
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

    /// True when the host waits for room, and there is some: once.
    pub fn resumes(&mut self) -> bool {
        let ends = &mut self.ends;
        self.backward.resumes(|hop| ends.has_room(hop))
    }

    /// The stream to read next, of those whose hop has room in its window.
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

/// Marks of edges, checked.
pub fn marks(high: u32, low: u32, over: u32) -> Option<Marks> {
    let fit = high > 0 && low < high && over >= limits::EDGE_OVER_MIN;
    fit.then_some(Marks { high, low, over })
}

/// The part that a circuit plays.
pub fn part(is_client: bool, answers: bool, extended: bool) -> Part {
    match (is_client, answers, extended) {
        (true, true, _) => Part::Service,
        (true, false, _) => Part::Client,
        (false, _, true) => Part::Middle,
        (false, _, false) => Part::Exit,
    }
}
