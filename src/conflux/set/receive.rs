//! Receiving: numbers, reordering, SWITCH.
//!
//! On each leg numbers only grow. So a message that comes too early goes to the end of the leg's lane, and the next
//! message is always at the head of a lane. `before_held` caches the lowest head: most arrivals cost one comparison.

use super::{Leg, LegIx, Set, ORPHANS};
use crate::base::{limits, Id, Nanos};
use crate::conflux::Effect;
use crate::message::{cost_of, Bodies, Delivery, Message, Store, TooSmall, NOTHING};
use crate::wire::conflux::Switch;
use crate::wire::fault::Fault;

/// Result of the arrival of a multiplexed message, with its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The message was next in order. Its successor may be held already: [`Set::mark_ready`].
    InOrder(u64),
    /// The message came too early and is held.
    Held(u64),
}

/// The turn of the next message on a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InTurn {
    pub(super) ix: LegIx,
    pub(super) number: u64,
}

/// Who gets a message that [`Set::next_quick`] takes. (No closure, as it stands in place for each form.)
pub trait Recipient {
    /// Gets the message, with the host's tag of the set.
    fn take(&mut self, delivery: Delivery, set_tag: u64);
}

impl Set {
    /// The turn of the next message on this leg, when it has come and its successor is not held.
    #[inline(always)]
    pub fn turn(&self, ix: LegIx) -> Option<InTurn> {
        let number = self.legs.get(usize::from(ix))?.turn(self.delivered, self.before_held)?;
        Some(InTurn { ix, number })
    }

    /// The common case of [`Set::arrive`]: the message whose turn it is has come. Returns its number.
    #[inline(always)]
    pub fn arrive_in_turn(&mut self, InTurn { ix, number }: InTurn, now: Nanos) -> u64 {
        debug_assert_eq!(number, self.delivered + 1, "nothing has come meanwhile");
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.count_received(number);
        }
        self.delivered = number;
        self.touch(ix, now);
        number
    }

    /// [`Set::turn`] and [`Set::arrive_in_turn`] in one step. Returns the number of the message and the leg's tag, or
    /// none and changes nothing when its turn has not come.
    #[inline(always)]
    pub fn arrive_quick(&mut self, ix: LegIx, now: Nanos) -> Option<(u64, u64)> {
        self.arrive_first(ix, now).or_else(|| self.arrive_rest(ix, now))
    }

    /// [`Set::arrive_quick`] on one of the first two legs: as these stand in the set itself, in fewer registers.
    #[inline(always)]
    pub fn arrive_first(&mut self, ix: LegIx, now: Nanos) -> Option<(u64, u64)> {
        self.arrive_at::<true>(ix, now)
    }

    /// [`Set::arrive_quick`] on any other leg.
    #[inline(always)]
    pub fn arrive_rest(&mut self, ix: LegIx, now: Nanos) -> Option<(u64, u64)> {
        self.arrive_at::<false>(ix, now)
    }

    #[inline(always)]
    fn arrive_at<const FIRST: bool>(&mut self, ix: LegIx, now: Nanos) -> Option<(u64, u64)> {
        let leg = if FIRST { self.legs.first_mut(ix.into()) } else { self.legs.rest_mut(ix.into()) }?;
        let number = leg.turn(self.delivered, self.before_held)?;
        leg.count_received(number);
        let tag = leg.tag;
        self.delivered = number;
        self.touch(ix, now);
        Some((number, tag))
    }

    /// The common case of holding: the message came too early, nothing is wrong with it, and neither a cap is reached
    /// nor the note for other engines out of date, and no memory has to be asked for. Tells `answer` its number and the
    /// tag of the leg before the body is copied. None, and nothing is changed, in any other case.
    #[inline(always)]
    pub fn hold_quick(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
        answer: impl FnOnce(u64, u64),
    ) -> Option<()> {
        // Each form has code of its own: the cost of a copy is known beforehand.
        match message.token {
            None => self.hold_form(ix, now, &Message { token: None, ..*message }, store, answer),
            token => self.hold_form(ix, now, &Message { token, ..*message }, store, answer),
        }
    }

    #[inline(always)]
    fn hold_form(
        &mut self,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
        answer: impl FnOnce(u64, u64),
    ) -> Option<()> {
        let index = usize::from(ix);
        let leg = self.legs.get_mut(index)?;
        let number = leg.received + 1;
        if !leg.state.is_linked() || number <= self.delivered + 1 || number == self.before_held + 1 {
            return None;
        }
        let cost = cost_of(message);
        let held_bytes = self.held_bytes + u64::from(cost);
        // No note allows more bytes than the set's cap.
        if held_bytes > self.held_told || !store.fits(cost) {
            return None;
        }
        let place = store.push_quick(&mut leg.lane, number, message, now)?;
        leg.count_received(number);
        let tag = leg.tag;
        self.touch(ix, now);
        self.count_kept(index, number, held_bytes);
        answer(number, tag);
        // Last, so that nothing else is kept meanwhile.
        place.fill(message);
        Some(())
    }

    /// Counts a multiplexed message that came on a leg, and holds it if it came too early (SEQ-7).
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
        leg.count_received(number);
        self.touch(ix, now);
        if number <= self.delivered {
            return Err(Fault::NumberStale);
        }
        if number == self.before_held + 1 {
            return Err(Fault::NumberTwice);
        }
        if number == self.delivered + 1 {
            self.delivered = number;
            return Ok(Arrival::InOrder(number));
        }
        self.keep(usize::from(ix), number, message, store, false, now)?;
        Ok(Arrival::Held(number))
    }

    /// Puts a message at the end of its leg's lane. `is_exempt` ignores the set's cap on bytes.
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
        let held_bytes = self.held_bytes + u64::from(cost);
        if held_bytes > self.terms.held_bytes_max && !is_exempt {
            return Err(Fault::SetMemory);
        }
        let Some(leg) = self.legs.get_mut(index) else { return Err(Fault::UnlinkedData) };
        if !store.fits(cost) || !store.push_at(&mut leg.lane, number, message, now) {
            return Err(Fault::EngineMemory);
        }
        self.count_kept(index, number, held_bytes);
        Ok(())
    }

    /// Counts a message that was put at the end of its leg's lane. `held_bytes` is what all held messages cost now.
    #[inline(always)]
    fn count_kept(&mut self, index: usize, number: u64, held_bytes: u64) {
        if number <= self.before_held {
            self.before_held = number - 1;
            self.next_lane = index as LegIx;
        }
        self.held += 1;
        self.kept += 1;
        self.held_bytes = held_bytes;
        if self.held > self.run_peak {
            self.run_peak = self.held;
        }
        // New peaks are rare.
        if held_bytes > self.held_bytes_peak {
            self.held_bytes_peak = held_bytes;
        }
    }

    /// Like [`Set::arrive`], for a leg on another engine. A message in order is held too, as no call waits for its
    /// verdict; for as many messages as the link between two engines can carry, the set's cap on bytes is ignored.
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
        leg.count_received(number);
        self.touch(ix, now);
        if number <= self.delivered {
            return Err(Fault::NumberStale);
        }
        if number == self.before_held + 1 {
            return Err(Fault::NumberTwice);
        }
        let is_near = number - self.delivered <= limits::LINK_ROOM as u64;
        self.keep(index, number, message, store, is_near, now)
    }

    /// Takes the next held message whose turn has come, and counts it as delivered.
    #[inline(always)]
    pub fn next(&mut self, store: &mut Store, bodies: &mut impl Bodies) -> Result<Option<Delivery>, TooSmall> {
        if !self.is_ready() {
            return Ok(None);
        }
        let (lane, leg, tag) = match self.legs.get_mut(self.next_lane.into()) {
            Some(leg) => (&mut leg.lane, leg.key, leg.tag),
            None => match self.orphans.top() {
                Some(lane) => (lane, Id::NONE, 0),
                None => return Ok(None),
            },
        };
        let Some((delivery, cost)) = store.pop(lane, bodies)? else { return Ok(None) };
        let following = lane.first();
        self.take_out(cost, following, store);
        Ok(Some(Delivery { leg, tag, ..delivery }))
    }

    /// The common case of [`Set::next`]: the message came on a leg, and the next one of the leg is the next of the set,
    /// too. Gives it to `recipient` before `bodies` take the body. None, and nothing is changed, in any other case.
    #[inline(always)]
    pub fn next_quick(
        &mut self,
        store: &mut Store,
        bodies: &mut impl Bodies,
        mut recipient: impl Recipient,
    ) -> Option<()> {
        let (number, set_tag) = (self.before_held + 1, self.terms.tag);
        if !self.is_ready() {
            return None;
        }
        let Leg { key, tag, lane, .. } = self.legs.get_mut(self.next_lane.into())?;
        let (leg, tag) = (*key, *tag);
        // Each form has code of its own.
        if lane.is_token_first() {
            let (delivery, cost, _) = store.pop_quick::<true>(lane, number, bodies)?;
            self.count_taken(number, cost);
            recipient.take(Delivery { leg, tag, ..delivery }, set_tag);
        } else {
            let (delivery, cost, body) = store.pop_quick::<false>(lane, number, bodies)?;
            self.count_taken(number, cost);
            recipient.take(Delivery { leg, tag, ..delivery }, set_tag);
            // Last, so that nothing else is kept meanwhile.
            bodies.take(body).ok()?;
        }
        Some(())
    }

    /// Counts a message that was taken, whose successor is ready.
    #[inline(always)]
    fn count_taken(&mut self, number: u64, cost: u32) {
        self.delivered = number;
        self.before_held = number;
        self.held -= 1;
        self.held_bytes -= u64::from(cost);
    }

    /// Like [`Set::next`], for a message held as a token. Returns none, and changes nothing, in any other case.
    #[inline(always)]
    pub fn next_token(&mut self, store: &mut Store) -> Option<u64> {
        if !self.is_ready() {
            return None;
        }
        let lane = match self.legs.get_mut(self.next_lane.into()) {
            Some(leg) => &mut leg.lane,
            None => self.orphans.top()?,
        };
        let (token, cost) = store.pop_token(lane)?;
        let following = lane.first();
        self.take_out(cost, following, store);
        Some(token)
    }

    /// Counts a message that was taken out of its lane; `following` is now the first number there.
    #[inline(always)]
    fn take_out(&mut self, cost: u32, following: u64, store: &Store) {
        self.delivered += 1;
        self.held -= 1;
        self.held_bytes -= u64::from(cost);
        if following == self.delivered + 1 {
            self.before_held = self.delivered;
        } else {
            self.find_lowest_held(store);
        }
    }

    /// True when the next message on this leg is the next of the set.
    pub fn is_in_order(&self, ix: LegIx) -> bool {
        self.legs.get(usize::from(ix)).is_some_and(|leg| leg.received == self.delivered)
    }

    /// True when the note for other engines is out of date, as more bytes are held than [`Set::tell`] allowed.
    #[inline(always)]
    pub fn holds_more(&self) -> bool {
        self.held_bytes > self.held_told
    }

    /// Notes that other engines know how much is held, and need no new note until `more` bytes are added. Above the
    /// set's cap they always need one, so that [`Set::hold_quick`] looks at one bound for both.
    #[inline]
    pub fn tell(&mut self, more: u64) {
        self.held_told = if self.held == 0 { 0 } else { (self.held_bytes + more).min(self.terms.held_bytes_max) };
    }

    /// Cost in bytes of the messages held for order.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Number of messages held for order.
    #[inline]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Time at which the oldest message held for order came, none when no message is held.
    pub fn held_since_ns(&self, store: &Store, now: Nanos) -> Option<Nanos> {
        let lanes = self.legs.iter().map(|leg| &leg.lane).filter(|lane| !lane.is_empty());
        let oldest = lanes.map(|lane| store.arrival(lane)).reduce(Store::earlier);
        let of_legs = oldest.map(|tick| store.time_of(tick, now));
        of_legs.into_iter().chain(self.orphans.since(store, now)).min()
    }

    /// True when a held message has its turn.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.before_held == self.delivered
    }

    /// True when two legs brought the same number. The second message will never have its turn; it shows when it comes
    /// to the head of its lane.
    #[inline]
    pub fn has_duplicate(&self) -> bool {
        self.before_held < self.delivered
    }

    /// The common case of [`Set::handle_switch`]: numbers go up, and nothing is wrong. Returns the leg's tag.
    #[inline(always)]
    pub fn switch_quick(&mut self, ix: LegIx, now: Nanos, switch: Switch) -> Option<u64> {
        let leg = self.legs.get_mut(usize::from(ix))?;
        if !leg.state.is_linked() || leg.bare || switch.delta == 0 {
            return None;
        }
        let received = leg.received + u64::from(switch.delta);
        if received > limits::NUMBER_MAX || received > self.delivered + u64::from(self.terms.switch_ahead_max) {
            return None;
        }
        leg.count_switch(received);
        let tag = leg.tag;
        self.switches_received += 1;
        self.touch(ix, now);
        Some(tag)
    }

    /// Handles a SWITCH that came on a leg (SEQ-6, and the checks of prop329 §4.2.1). An error changes nothing.
    pub fn handle_switch(&mut self, ix: LegIx, now: Nanos, switch: Switch) -> Result<(), Fault> {
        let Some(leg) = self.legs.get_mut(usize::from(ix)).filter(|leg| leg.state.is_linked()) else {
            return Err(Fault::UnexpectedSwitch);
        };
        // A leg may have one SWITCH without a message, so a chain of such SWITCHes is no longer than there are legs.
        if leg.bare {
            return Err(Fault::SwitchRepeated);
        }
        if switch.delta == 0 && self.zero_switches >= limits::ZERO_SWITCHES_MAX {
            return Err(Fault::SwitchZero);
        }
        let received = leg.received + u64::from(switch.delta);
        if received > limits::NUMBER_MAX {
            return Err(Fault::NumberOverflow);
        }
        if received > self.delivered + u64::from(self.terms.switch_ahead_max) {
            return Err(Fault::SwitchTooFar);
        }
        leg.count_switch(received);
        self.zero_switches += u32::from(switch.delta == 0);
        self.switches_received += 1;
        self.touch(ix, now);
        Ok(())
    }

    /// Remembers which leg was used last, and when.
    #[inline(always)]
    pub(super) fn touch(&mut self, ix: LegIx, now: Nanos) {
        self.last_leg = ix.into();
        self.last_active = now;
    }

    /// Asks for a READY mark in the instruction queue if one is needed.
    pub fn mark_ready(&mut self, effects: &mut Vec<Effect>) {
        if self.needs_mark() {
            effects.push(Effect::Ready);
        }
    }

    /// True when held messages have their turn and no READY mark is in the instruction queue. The caller puts it there.
    #[inline]
    pub fn needs_mark(&mut self) -> bool {
        self.is_ready() && self.claim_mark()
    }

    /// Notes that the READY mark has left the instruction queue.
    pub fn unmark_ready(&mut self) {
        self.ready_marked = false;
    }

    /// Finds the lowest number at the head of any lane.
    pub(super) fn find_lowest_held(&mut self, store: &Store) {
        if self.held == 0 {
            self.held_told = 0;
        }
        if self.next_lane == ORPHANS {
            self.orphans.settle(store);
        }
        let mut lowest = self.orphans.first();
        self.next_lane = ORPHANS;
        for (index, leg) in self.legs.iter().enumerate() {
            if leg.lane.first() < lowest {
                lowest = leg.lane.first();
                self.next_lane = index as LegIx;
            }
        }
        debug_assert!(self.held == 0 || lowest != NOTHING);
        self.before_held = lowest - 1;
    }
}
