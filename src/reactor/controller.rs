//! CONTROLLER (R7): one for each set, between the two halves of every leg and the stream side. Numbers and order are
//! the set's ([`crate::conflux::Set`]); the streams of the join point are here (C3).

use super::commands::Part;
use super::stream::{Stream, StreamUse, Streams};
use super::stream_write::{Data, Written};
use crate::base::time::NEVER;
use crate::base::{Arena, Nanos};
use crate::conflux::store::cost_of;
use crate::conflux::{Arrival, Delivery, Fault, LegIx, Message, Role, Set, Store, Terms, TooSmall};
use crate::congestion::Params;
use crate::hub::{Over, SetMeter};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A set with its streams.
#[derive(Debug)]
pub struct Controller {
    set: Set,
    /// None before the first BEGIN.
    pub streams: Option<Box<Streams>>,
    /// Those of its legs, if they are run by reactors: then the streams are ours too. The first leg decides, as legs
    /// must be alike.
    params: Option<Arc<Params>>,
    /// What the process's budget knows of what is held.
    meter: Option<SetMeter>,
    metered: u64,
    /// The hop to which the host sends by itself, on legs of this engine; [`NO_HOP`] if the streams are ours, or
    /// legs are elsewhere. For every cell, one comparison in place of three.
    host_hop: u16,
    /// It has, or had, legs on other engines.
    is_spread: bool,
    /// When it was made.
    pub since: Nanos,
    /// The close of one of its legs may wait with the tag that the set had then.
    pub close_waits: bool,
}

/// No hop has this number.
const NO_HOP: u16 = u16::MAX;

/// What fills a vacant place.
impl Default for Controller {
    fn default() -> Self {
        Controller {
            set: Set::default(),
            streams: None,
            params: None,
            meter: None,
            metered: 0,
            host_hop: NO_HOP,
            is_spread: false,
            since: 0,
            close_waits: false,
        }
    }
}

impl Controller {
    /// A set without legs.
    pub fn new(role: Role, terms: Terms) -> Self {
        Controller {
            set: Set::new(role, terms),
            streams: None,
            params: None,
            meter: None,
            metered: 0,
            host_hop: NO_HOP,
            is_spread: false,
            since: 0,
            close_waits: false,
        }
    }

    /// A leg has come; with these parameters, if reactors run it.
    pub fn seated(&mut self, params: Option<&Arc<Params>>) {
        match params {
            Some(params) => {
                self.params.get_or_insert_with(|| Arc::clone(params));
            }
            None if !self.is_spread => self.host_hop = self.set.join_hop().into(),
            None => {}
        }
    }

    /// The same for a leg on another engine.
    pub fn seated_elsewhere(&mut self, params: Option<&Arc<Params>>) {
        self.is_spread = true;
        self.host_hop = NO_HOP;
        self.seated(params);
    }

    /// Whether the host sends to this hop by itself, and only on legs of this engine.
    #[inline]
    pub fn is_host_hop(&self, hop: u8) -> bool {
        u16::from(hop) == self.host_hop
    }

    /// Parameters of flow control, if the streams are ours.
    pub fn params(&self) -> Option<&Arc<Params>> {
        self.params.as_ref()
    }

    /// What is held counts in a budget from now on.
    pub fn meter(&mut self, meter: SetMeter) {
        self.meter = Some(meter);
    }

    /// A multiplexed message came on a leg; what has to be held is charged first, so that a refusal takes nothing.
    #[inline(always)]
    pub fn arrive(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
    ) -> Result<Arrival, Fault> {
        if self.meter.is_none() {
            return self.set.arrive(ix, now, message, store);
        }
        self.arrive_metered(ix, now, message, store)
    }

    #[inline(never)]
    fn arrive_metered(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
    ) -> Result<Arrival, Fault> {
        if self.set.is_in_order(ix) {
            return self.set.arrive(ix, now, message, store);
        }
        self.charge(cost_of(message), now)?;
        let arrival = self.set.arrive(ix, now, message, store);
        self.settle(store, now);
        arrival
    }

    /// The same on a leg of another engine, where everything is held.
    pub fn arrive_from_elsewhere(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
    ) -> Result<(), Fault> {
        self.charge(cost_of(message), now)?;
        let arrival = self.set.arrive_from_elsewhere(ix, now, message, store);
        self.settle(store, now);
        arrival
    }

    /// Takes the next message that was held and whose turn has come.
    #[inline(always)]
    pub fn next(&mut self, store: &mut Store, now: Nanos, buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        let delivery = self.set.next(store, buffer)?;
        if self.meter.is_some() && delivery.is_some() {
            self.settle(store, now);
        }
        Ok(delivery)
    }

    fn charge(&mut self, cost: u32, now: Nanos) -> Result<(), Fault> {
        if let Some(meter) = &self.meter {
            meter.hold(cost.into(), now).map_err(|Over(_)| Fault::ProcessMemory)?;
            self.metered += u64::from(cost);
        }
        Ok(())
    }

    /// Gives back what was charged and is not held.
    #[inline(never)]
    fn settle(&mut self, store: &Store, now: Nanos) {
        let Some(meter) = &self.meter else { return };
        let held = self.set.held_bytes();
        if held < self.metered {
            meter.take(self.metered - held, self.set.held_since(store, now).unwrap_or(NEVER));
            self.metered = held;
        }
    }

    /// The part that this end plays.
    pub fn part(&self) -> Part {
        match self.set.role() {
            Role::Client => Part::Client,
            Role::Exit => Part::Exit,
        }
    }

    /// The common case of DATA that [`Set::is_next`] in order on a leg: it is counted, and goes to its stream, which is
    /// open. No answer means that nothing changed.
    #[inline(always)]
    pub fn take_data(
        &mut self,
        ix: LegIx,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &Data,
    ) -> Option<(u64, Written)> {
        let written = self.write_data(arena, now, data)?;
        Some((self.set.arrive_next(ix, now).unwrap_or_default(), written))
    }

    /// DATA that had its turn goes to its stream. No answer means that nothing changed, as the stream is not open, or
    /// has no room.
    #[inline(always)]
    pub fn write_data(&mut self, arena: &mut Arena<Stream>, now: Nanos, data: &Data) -> Option<Written> {
        let (streams, params) = (self.streams.as_mut()?, self.params.as_deref()?);
        // Of which leg, nobody can say: a set measures rates by the host's clock alone.
        streams.take_data(arena, now, data, params, false)
    }

    /// Nothing is under way that could be lost, as far as we know: of streams that are the host's we do not.
    pub fn is_finished(&self) -> bool {
        self.params.is_some() && self.set.is_at_rest() && self.streams.as_ref().is_none_or(|streams| streams.is_empty())
    }

    /// How the streams stand, if they are ours.
    pub fn stream_use(&self) -> Option<StreamUse> {
        self.params.as_ref()?;
        let streams = self.streams.as_ref();
        let idle_since = streams.map_or(Some(self.since), |streams| streams.idle_since());
        Some(StreamUse { open: streams.map_or(0, |streams| streams.len() as u64), idle_since })
    }

    /// The stream side, and what it goes by.
    pub fn stream_side(&mut self) -> Option<(&mut Option<Box<Streams>>, &Params)> {
        let params = self.params.as_deref()?;
        Some((&mut self.streams, params))
    }
}

/// Most of what is asked of a controller is its set's to answer.
impl Deref for Controller {
    type Target = Set;

    fn deref(&self) -> &Set {
        &self.set
    }
}

impl DerefMut for Controller {
    fn deref_mut(&mut self) -> &mut Set {
        &mut self.set
    }
}
