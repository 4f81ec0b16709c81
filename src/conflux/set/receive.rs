//! Receiving: numbers, reordering, SWITCH.
//!
//! Per leg, numbers only grow, so what a leg brings too early goes to the end of the leg's lane, and the next message
//! is always at the head of a lane. `next_held` caches the lowest head: the common arrival costs one comparison.

use super::{LegIx, Set, ORPHANS};
use crate::base::{limits, Id, Nanos};
use crate::conflux::Effect;
use crate::message::{cost_of, Delivery, Message, Store, TooSmall, NOTHING};
use crate::wire::conflux::Switch;
use crate::wire::fault::Fault;

/// Where a multiplexed message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It is the next, and its successor may have been held: [`Set::mark_ready`].
    InOrder(u64),
    /// It was kept.
    Held(u64),
}

impl Set {
    /// What comes next on this leg is what [`Set::arrive_next`] takes.
    #[inline(always)]
    pub fn is_next(&self, ix: LegIx) -> bool {
        let Some(leg) = self.legs.get(usize::from(ix)) else { return false };
        let number = leg.received + 1;
        leg.state.is_linked() && number == self.delivered + 1 && number + 1 < self.next_held
    }

    /// The common case of [`Set::arrive`]: the message is next, and its successor is not held. No answer means that
    /// nothing changed.
    #[inline(always)]
    pub fn arrive_next(&mut self, ix: LegIx, now: Nanos) -> Option<u64> {
        let leg = self.legs.get_mut(usize::from(ix))?;
        // Cannot overflow: SWITCH keeps received below NUMBER_MAX, and nobody receives 2^62 messages.
        let number = leg.received + 1;
        if !leg.state.is_linked() || number != self.delivered + 1 || number + 1 >= self.next_held {
            return None;
        }
        leg.received = number;
        leg.bare = false;
        self.delivered = number;
        self.touch(ix, now);
        Some(number)
    }

    /// A multiplexed message came on a leg (SEQ-7).
    #[inline(always)]
    pub fn arrive(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
    ) -> Result<Arrival, Fault> {
        let Some(leg) = self.legs.get_mut(usize::from(ix)).filter(|leg| leg.state.is_linked()) else {
            return Err(Fault::UnlinkedData);
        };
        let number = leg.received + 1;
        leg.received = number;
        leg.bare = false;
        self.touch(ix, now);
        if number <= self.delivered {
            return Err(Fault::NumberStale);
        }
        if number == self.next_held {
            return Err(Fault::NumberTwice);
        }
        if number == self.delivered + 1 {
            self.delivered = number;
            return Ok(Arrival::InOrder(number));
        }
        self.keep(usize::from(ix), number, message, store, false, now)?;
        Ok(Arrival::Held(number))
    }

    /// Puts a message at the end of its leg's lane.
    #[inline(always)]
    fn keep(
        &mut self,
        index: usize,
        number: u64,
        message: &Message<'_>,
        store: &mut Store,
        is_exempt: bool,
        now: Nanos,
    ) -> Result<(), Fault> {
        let cost = cost_of(message);
        if self.held_bytes + u64::from(cost) > self.terms.held_bytes_max && !is_exempt {
            return Err(Fault::SetMemory);
        }
        let Some(leg) = self.legs.get_mut(index) else { return Err(Fault::UnlinkedData) };
        if !store.fits(cost) || !store.push_at(&mut leg.lane, number, message, now) {
            return Err(Fault::EngineMemory);
        }
        if number < self.next_held {
            self.next_held = number;
            self.next_lane = index;
        }
        self.held += 1;
        self.held_bytes += u64::from(cost);
        // Both come seldom.
        if self.held > self.held_peak {
            self.held_peak = self.held;
        }
        if self.held_bytes > self.held_bytes_peak {
            self.held_bytes_peak = self.held_bytes;
        }
        Ok(())
    }

    /// The same for a leg on another engine: what is in order is held too, as nobody waits for an answer about it, and
    /// as far as it can be on its way at all the set's cap does not count.
    pub fn arrive_from_elsewhere(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
    ) -> Result<(), Fault> {
        let index = usize::from(ix);
        let Some(leg) = self.legs.get_mut(index).filter(|leg| leg.state.is_linked()) else {
            return Err(Fault::UnlinkedData);
        };
        let number = leg.received + 1;
        leg.received = number;
        leg.bare = false;
        self.touch(ix, now);
        if number <= self.delivered {
            return Err(Fault::NumberStale);
        }
        if number == self.next_held {
            return Err(Fault::NumberTwice);
        }
        let is_near = number - self.delivered <= limits::LINK_ROOM as u64;
        self.keep(index, number, message, store, is_near, now)
    }

    /// Takes the next message that was held and whose turn has come. "Delivered" moves with it.
    #[inline(always)]
    pub fn next(&mut self, store: &mut Store, buffer: &mut [u8]) -> Result<Option<Delivery>, TooSmall> {
        if self.next_held != self.delivered + 1 {
            return Ok(None);
        }
        let (lane, leg, tag) = match self.legs.get_mut(self.next_lane) {
            Some(leg) => (&mut leg.lane, leg.key, leg.tag),
            None => match self.orphans.top() {
                Some(lane) => (lane, Id::NONE, 0),
                None => return Ok(None),
            },
        };
        let Some((delivery, cost)) = store.pop(lane, buffer)? else { return Ok(None) };
        let following = lane.first();
        self.take_out(cost, following, store);
        Ok(Some(Delivery { leg, tag, ..delivery }))
    }

    /// The same when it is a token: no answer when it is not, or when nothing has its turn.
    #[inline(always)]
    pub fn next_token(&mut self, store: &mut Store) -> Option<u64> {
        if self.next_held != self.delivered + 1 {
            return None;
        }
        let lane = match self.legs.get_mut(self.next_lane) {
            Some(leg) => &mut leg.lane,
            None => self.orphans.top()?,
        };
        let (token, cost) = store.pop_token(lane)?;
        let following = lane.first();
        self.take_out(cost, following, store);
        Some(token)
    }

    /// The next message was taken out of its lane, in which `following` is the first now.
    #[inline(always)]
    fn take_out(&mut self, cost: u32, following: u64, store: &Store) {
        self.delivered += 1;
        self.held -= 1;
        self.held_bytes -= u64::from(cost);
        if following == self.delivered + 1 {
            self.next_held = following;
        } else {
            self.refresh_next_held(store);
        }
    }

    /// The next message of this leg is the next of the set.
    pub fn is_in_order(&self, ix: LegIx) -> bool {
        self.legs.get(usize::from(ix)).is_some_and(|leg| leg.received == self.delivered)
    }

    /// The first message is held for order, or so much more than when [`Set::tell`] was called that others have to
    /// know.
    #[inline(always)]
    pub fn holds_more(&self) -> bool {
        self.held_bytes > self.held_told
    }

    /// Others know what is held; of so much more they need not.
    #[inline]
    pub fn tell(&mut self, more: u64) {
        self.held_told = if self.held == 0 { 0 } else { self.held_bytes + more };
    }

    /// What is held for order costs.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Messages held for order.
    #[inline]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Since when the message has waited that has waited longest.
    pub fn held_since_ns(&self, store: &Store, now: Nanos) -> Option<Nanos> {
        let lanes = self.legs.iter().map(|leg| &leg.lane).filter(|lane| !lane.is_empty());
        let oldest = lanes.map(|lane| store.arrival(lane)).reduce(Store::earlier);
        let of_legs = oldest.map(|tick| store.time_of(tick, now));
        of_legs.into_iter().chain(self.orphans.since(store, now)).min()
    }

    /// True when a message that was held is next.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.next_held == self.delivered + 1
    }

    /// True when two legs brought the same number: one of the two is at or below what was delivered and will never have
    /// its turn. Noticed when it comes to the head of its lane.
    #[inline]
    pub fn has_duplicate(&self) -> bool {
        self.next_held <= self.delivered
    }

    /// SWITCH came on a leg (SEQ-6, and the checks of prop329 §4.2.1).
    pub fn handle_switch(&mut self, ix: LegIx, now: Nanos, switch: Switch) -> Result<(), Fault> {
        let Some(leg) = self.legs.get_mut(usize::from(ix)).filter(|leg| leg.state.is_linked()) else {
            return Err(Fault::UnexpectedSwitch);
        };
        // One bare SWITCH for each leg also bounds a chain of them across legs by the number of legs.
        if leg.bare {
            return Err(Fault::SwitchRepeated);
        }
        if switch.delta == 0 {
            if self.zero_switches >= limits::ZERO_SWITCHES_MAX {
                return Err(Fault::SwitchZero);
            }
            self.zero_switches += 1;
        }
        let received = leg.received + u64::from(switch.delta);
        if received > limits::NUMBER_MAX {
            return Err(Fault::NumberOverflow);
        }
        if received.saturating_sub(self.delivered) > u64::from(self.terms.switch_ahead_max) {
            return Err(Fault::SwitchTooFar);
        }
        leg.received = received;
        leg.bare = true;
        self.touch(ix, now);
        self.switches_received += 1;
        Ok(())
    }

    /// Remembers which leg was used last, and when.
    #[inline(always)]
    pub(super) fn touch(&mut self, ix: LegIx, now: Nanos) {
        self.last_leg = ix;
        self.last_active = now;
    }

    /// Sees to it that the host is told of messages whose turn has come.
    pub fn mark_ready(&mut self, effects: &mut Vec<Effect>) {
        if self.next_held == self.delivered + 1 && !self.ready_marked {
            self.ready_marked = true;
            effects.push(Effect::Ready);
        }
    }

    /// The mark in the instruction queue has done its duty.
    pub fn unmark_ready(&mut self) {
        self.ready_marked = false;
    }

    /// Looks at the head of every lane.
    pub(super) fn refresh_next_held(&mut self, store: &Store) {
        if self.held == 0 {
            self.held_told = 0;
        }
        if self.next_lane == ORPHANS {
            self.orphans.settle(store);
        }
        self.next_held = self.orphans.first();
        self.next_lane = ORPHANS;
        for (index, leg) in self.legs.iter().enumerate() {
            if leg.lane.first() < self.next_held {
                self.next_held = leg.lane.first();
                self.next_lane = index;
            }
        }
        debug_assert!(self.held == 0 || self.next_held != NOTHING);
    }
}
