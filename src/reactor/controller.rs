//! CONTROLLER (R7): one for each set, between its legs and its streams. [`crate::conflux::Set`] keeps numbers and
//! order; the controller adds the streams of the join point (C3), and the note of how much the set holds.

use super::route::Part;
use super::stream::{Stream, StreamUse, Streams};
use super::stream_write::{DataHead, Written};
use crate::base::time::NEVER;
use crate::base::{limits, Arena, Hops, Id, Nanos, LAYOUT_IS_KNOWN, LINE, NEAR};
use crate::conflux::choice::Path;
use crate::conflux::set::{
    Contradiction, Fate, HeldRun, LegNumbers, LegStats, Numbers, Plan, Refusal, SetStats, SetSums, Unfit,
};
use crate::conflux::{Algorithm, Arrival, Cause, Effect, Fault, InTurn, LegIx, Recipient, Report, Role, Set, SetTerms};
use crate::congestion::Params;
use crate::hub::{SharedLedger, Standing};
use crate::message::{Bodies, Delivery, Lane, Message, Store, TooSmall};
use crate::wire::conflux::{Link, Switch, Ux};
use crate::wire::Command;
use std::mem::offset_of;
use std::sync::Arc;

/// A set with its streams. What a cell needs comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Controller {
    /// The join point's hop, if the host sends to it by itself and all legs are on this engine; else [`NO_HOP`]. For
    /// every cell, one comparison instead of three.
    host_hop: u16,
    /// The set has, or had, legs on other engines.
    is_spread: bool,
    /// An instruction to close a leg is queued, and carries the tag that the set had then.
    pub close_waits: bool,
    /// A bit for each leg elsewhere whose link has a message that was next when it was found there. It is read when
    /// the READY mark of the set has its turn.
    unread: u16,
    set: Set,
    /// The streams of the join point; none before the first BEGIN.
    pub streams: Option<Box<Streams>>,
    /// Parameters of the legs, if circflow runs them: then it runs the streams too. The first leg sets them, as all
    /// legs are alike.
    params: Option<Arc<Params>>,
    /// The note of how much the set holds, which other engines read; none before the set first held a message.
    standing: Option<Standing>,
    /// Cost in bytes of the messages on their way to legs elsewhere, when that was last looked up.
    crossing: u64,
    /// Time since which the oldest of these messages has waited.
    crossing_since: Nanos,
    /// Earliest time at which the age of the held messages is looked up again.
    age_lookup_at: Nanos,
    /// When the set was made.
    pub since: Nanos,
}

/// The legs of each set begin a line of the processor's cache, if the first slot does.
const _: () = {
    const SET: usize = Arena::<Controller>::AFTER_ID + offset_of!(Controller, set);
    assert!(!LAYOUT_IS_KNOWN || (SET + Set::LEGS == LINE && SET + Set::NEEDED <= NEAR));
    assert!(!LAYOUT_IS_KNOWN || Arena::<Controller>::SLOT % LINE == 0);
};

/// Growth that the note need not show: a quarter of the bytes held.
fn step(bytes: u64) -> u64 {
    bytes / 4
}

/// The bit of a leg in `unread`.
fn bit(ix: LegIx) -> u16 {
    1 << (ix % 16)
}

const _: () = assert!(limits::LEGS_MAX <= 16);

/// No hop has this number.
const NO_HOP: u16 = u16::MAX;

/// An empty set, for a vacant place of the engine's table.
impl Default for Controller {
    fn default() -> Self {
        Controller::of(Set::default())
    }
}

impl Controller {
    /// A set without legs.
    pub fn new(role: Role, terms: SetTerms) -> Self {
        Controller::of(Set::new(role, terms))
    }

    fn of(set: Set) -> Self {
        Controller {
            host_hop: NO_HOP,
            is_spread: false,
            close_waits: false,
            unread: 0,
            set,
            streams: None,
            params: None,
            standing: None,
            crossing: 0,
            crossing_since: NEVER,
            age_lookup_at: 0,
            since: 0,
        }
    }

    /// Notes that a leg was added; `params` are its parameters, if circflow runs it.
    pub fn seated(&mut self, params: Option<&Arc<Params>>) {
        match params {
            Some(params) => {
                self.params.get_or_insert_with(|| Arc::clone(params));
            }
            None if !self.is_spread => self.host_hop = self.set.join_hop().into(),
            None => {}
        }
    }

    /// Notes that a leg on another engine was added.
    pub fn seated_elsewhere(&mut self, params: Option<&Arc<Params>>) {
        self.is_spread = true;
        self.host_hop = NO_HOP;
        self.seated(params);
    }

    /// True when the host sends to this hop by itself, and all legs are on this engine.
    #[inline]
    pub fn is_host_hop(&self, hop: u8) -> bool {
        u16::from(hop) == self.host_hop
    }

    /// True when a circuit that brings LINK is like the legs: run by circflow or by the host, length, join point.
    pub fn fits(&self, runs: bool, hops: Hops) -> bool {
        self.params.is_some() == runs && self.set.hops().fit(hops)
    }

    /// Parameters of flow control, if circflow runs the streams.
    pub fn params(&self) -> Option<&Arc<Params>> {
        self.params.as_ref()
    }

    /// Writes into the note that the set holds more than before, messages on their way to legs elsewhere included.
    pub fn grew(&mut self, id: Id, ledger: &SharedLedger, now: Nanos) {
        let bytes = self.bytes();
        Standing::grow(&mut self.standing, ledger, id, bytes, now);
        self.set.tell(step(bytes));
    }

    /// True when the note says that the set holds messages.
    #[inline]
    pub fn is_noted(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.bytes() != 0)
    }

    /// Renews the note when no more held messages have their turn. The age of the oldest is looked up only now and
    /// then: that costs more than taking a message.
    #[inline]
    pub fn ran_out(&mut self, store: &Store, now: Nanos) {
        let (bytes, Some(standing)) = (self.bytes(), &self.standing) else { return };
        if bytes == 0 {
            standing.emptied();
            return;
        }
        if now < self.age_lookup_at {
            standing.eased(bytes);
            return self.set.tell(step(bytes));
        }
        self.age_lookup_at = now.saturating_add(limits::AGE_GRAIN);
        self.shrank(store, now);
    }

    /// Writes into the note that the set holds less than before. Returns true when the note has changed.
    pub fn shrank(&mut self, store: &Store, now: Nanos) -> bool {
        let Some(standing) = &self.standing else { return false };
        let bytes = self.bytes();
        if bytes == 0 {
            return standing.emptied();
        }
        let since = self.since_when(store, now);
        let known = (standing.bytes(), standing.since());
        standing.settle(bytes, since);
        self.set.tell(step(bytes));
        known != (standing.bytes(), standing.since())
    }

    /// Cost in bytes of all messages held: for order, for sending, and on their way to legs elsewhere.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.set.held_bytes() + self.set.outbox_bytes() + self.crossing
    }

    /// Time since which the oldest of all messages held has waited, [`NEVER`] when no message is held.
    pub fn since_when(&self, store: &Store, now: Nanos) -> Nanos {
        let since = [self.set.held_since_ns(store, now), self.set.outbox_since(store, now)];
        since.into_iter().flatten().chain([self.crossing_since]).min().unwrap_or(NEVER)
    }

    /// True when the set was named to be closed, as a cap on memory was reached.
    pub fn is_named(&self) -> bool {
        self.standing.as_ref().is_some_and(Standing::is_named)
    }

    /// Sets the cost of the messages on their way to legs elsewhere, and the time since which the oldest has waited.
    pub fn crosses(&mut self, bytes: u64, since: Nanos) {
        (self.crossing, self.crossing_since) = (bytes, if bytes == 0 { NEVER } else { since });
    }

    /// Notes that the message which comes next lies in the link to this leg. True when the caller has to put a READY
    /// mark into the instruction queue.
    pub fn mark_unread(&mut self, ix: LegIx) -> bool {
        self.unread |= bit(ix);
        self.set.claim_mark()
    }

    /// Notes that the link to this leg is being read.
    pub fn note_read(&mut self, ix: LegIx) {
        self.unread &= !bit(ix);
    }

    /// True when the link to this leg is to be read when the READY mark has its turn.
    pub fn is_unread(&self, ix: LegIx) -> bool {
        self.unread & bit(ix) != 0
    }

    /// True when a link is to be read when the READY mark has its turn.
    #[inline(always)]
    pub fn has_unread(&self) -> bool {
        self.unread != 0
    }

    /// The leg whose link is to be read first.
    #[inline]
    pub fn unread_leg(&self) -> Option<LegIx> {
        let first = self.unread.trailing_zeros() as LegIx;
        if self.unread & (self.unread.wrapping_sub(1)) == 0 {
            return (self.unread != 0).then_some(first);
        }
        let is_next = |&ix: &LegIx| self.is_unread(ix) && self.set.is_in_order(ix);
        (first..limits::LEGS_MAX as LegIx).find(is_next).or(Some(first))
    }

    /// See [`Set::next`].
    #[inline(always)]
    pub fn next(&mut self, store: &mut Store, bodies: &mut impl Bodies) -> Result<Option<Delivery>, TooSmall> {
        self.set.next(store, bodies)
    }

    /// See [`Set::next_token`].
    #[inline(always)]
    pub fn next_token(&mut self, store: &mut Store) -> Option<u64> {
        self.set.next_token(store)
    }

    /// See [`Set::choose_anew`].
    #[inline(always)]
    pub fn choose_anew<const COUNTS: bool>(
        &mut self,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
        now: Nanos,
        effects: &mut Effects,
    ) -> Option<Plan> {
        self.set.choose_anew::<COUNTS>(news, now, effects)
    }

    /// The part that this end plays.
    pub fn part(&self) -> Part {
        match self.set.role() {
            Role::Client => Part::Client,
            // The legs have counted hops, so this end opened them: it is an onion service, with the client at the end.
            Role::Exit if self.set.hops().are_counted() => Part::Service,
            Role::Exit => Part::Exit,
        }
    }

    /// The common case of DATA whose turn on its leg has come ([`Set::turn`]): counts it when its stream is open and
    /// has room; for `USUAL` see [`Streams::take_data`]. Returns none, and changes nothing, in any other case.
    #[inline(always)]
    pub fn take_data<const USUAL: bool>(
        &mut self,
        turn: InTurn,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &DataHead,
    ) -> Option<(u64, Written)> {
        let written = self.write_data::<USUAL>(arena, now, data)?;
        Some((self.set.arrive_in_turn(turn, now), written))
    }

    /// Counts DATA whose turn has come at its stream. Returns none, and changes nothing, when the stream is not open or
    /// has no room.
    #[inline(always)]
    pub fn write_data<const USUAL: bool>(
        &mut self,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &DataHead,
    ) -> Option<Written> {
        let (streams, params) = (self.streams.as_mut()?, self.params.as_deref()?);
        // The leg is not known here, so the clock of its window is not either: the host's clock is trusted.
        streams.take_data::<USUAL>(arena, now, data, params, false)
    }

    /// True when no message and no stream would be lost with the set. False when the host runs the streams, as circflow
    /// does not know them.
    pub fn is_finished(&self) -> bool {
        self.params.is_some() && self.set.is_at_rest() && self.streams.as_ref().is_none_or(|streams| streams.is_empty())
    }

    /// Whether the streams are in use, if circflow runs them.
    pub fn stream_use(&self) -> Option<StreamUse> {
        self.params.as_ref()?;
        let streams = self.streams.as_ref();
        let idle_since = streams.map_or(Some(self.since), |streams| streams.idle_since());
        Some(StreamUse { open: streams.map_or(0, |streams| streams.len() as u64), idle_since })
    }

    /// The streams and the parameters of flow control, if circflow runs the streams.
    pub fn stream_side(&mut self) -> Option<(&mut Option<Box<Streams>>, &Params)> {
        let params = self.params.as_deref()?;
        Some((&mut self.streams, params))
    }
}

/// Passes calls on to the set. Each is listed by name, so that no call that changes the bytes held misses the note.
macro_rules! delegate_to_set {
    ($(fn $name:ident($($self:ident)+ $(, $arg:ident: $of:ty)*) $(-> $answer:ty)?;)*) => {
        impl Controller {
            $(delegate_to_set!(@one $name [$($self)+] ($($arg: $of),*) ($($answer)?));)*
        }
    };
    (@one $name:ident [look] ($($arg:ident: $of:ty),*) ($($answer:ty)?)) => {
        #[doc = concat!("See [`Set::", stringify!($name), "`].")]
        #[inline(always)]
        pub fn $name(&self $(, $arg: $of)*) $(-> $answer)? {
            self.set.$name($($arg),*)
        }
    };
    (@one $name:ident [change] ($($arg:ident: $of:ty),*) ($($answer:ty)?)) => {
        #[doc = concat!("See [`Set::", stringify!($name), "`].")]
        #[inline(always)]
        pub fn $name(&mut self $(, $arg: $of)*) $(-> $answer)? {
            self.set.$name($($arg),*)
        }
    };
}

type Effects = Vec<Effect>;

delegate_to_set! {
    fn delivered(look) -> u64;
    fn numbers_of(look, ix: LegIx) -> (u64, u64);
    fn leg_at(look, ix: LegIx) -> Id;
    fn chooses(look) -> bool;
    fn looks(look) -> (usize, impl Iterator<Item = (Id, &Path)> + Clone + '_);
    fn may_release(look) -> bool;
    fn role(look) -> Role;
    fn join_hop(look) -> u8;
    fn terms(look) -> &SetTerms;
    fn leg_count(look) -> usize;
    fn any_leg(look) -> Option<Id>;
    fn leg_ids(look) -> impl Iterator<Item = Id> + '_;
    fn may_launch(look, more: usize) -> bool;
    fn tag(look, ix: LegIx) -> u64;
    fn alone(look) -> Option<Id>;
    fn export(look) -> (Numbers, Vec<LegNumbers>);
    fn turn(look, ix: LegIx) -> Option<InTurn>;
    fn is_in_order(look, ix: LegIx) -> bool;
    fn is_ready(look) -> bool;
    fn holds_more(look) -> bool;
    fn has_duplicate(look) -> bool;
    fn is_building(look, ix: LegIx) -> bool;
    fn asked_at(look, ix: LegIx) -> Nanos;
    fn expired(look, ix: LegIx, now: Nanos) -> Option<Fault>;
    fn held(look) -> u64;
    fn held_bytes(look) -> u64;
    fn held_since_ns(look, store: &Store, now: Nanos) -> Option<Nanos>;
    fn held_for(look, ix: LegIx) -> (bool, bool);
    fn why_blocked(look, is_reported: bool) -> String;
    fn host_waits(look) -> bool;
    fn is_holding(look) -> bool;
    fn waiting_to_go(look) -> u32;
    fn outbox_bytes(look) -> u64;
    fn decide_quick(look) -> Option<Plan>;
    fn room(look) -> u64;
    fn peek(look) -> Result<Plan, Refusal>;
    fn peek_quick(look) -> Option<Plan>;
    fn settled_leg(look) -> Option<Id>;
    fn stats(look, store: &Store, now: Nanos) -> SetStats;
    fn sums(look, now: Nanos) -> SetSums;
    fn leg_stats(look, ix: LegIx) -> Option<LegStats>;
    fn unsettle(change, ix: LegIx, is_full: bool) -> bool;
    fn retag(change, tag: u64);
    fn choose_by(change, algorithm: Option<Algorithm>, effects: &mut Effects);
    fn name_leg(change, leg: Option<LegIx>, effects: &mut Effects) -> Result<(), Unfit>;
    fn foresee(change, messages: u64, effects: &mut Effects) -> bool;
    fn set_tag(change, ix: LegIx, tag: u64);
    fn remove(change, ix: LegIx, cause: Cause, store: &mut Store, effects: &mut Effects) -> Fate;
    fn end(change, cause: Cause, store: &mut Store, effects: &mut Effects);
    fn import(
        change, numbers: &Numbers, rows: &[(LegIx, LegNumbers)], effects: &mut Effects
    ) -> Result<(), Contradiction>;
    fn launch(change, key: Id, hops: Hops) -> LegIx;
    fn built(change, ix: LegIx, now: Nanos, effects: &mut Effects) -> bool;
    fn accept(
        change,
        key: Id,
        hops: Hops,
        now: Nanos,
        link: &Link,
        is_first: bool,
        effects: &mut Effects
    ) -> Result<LegIx, Fault>;
    fn adopt(change, key: Id, hops: Hops, ux: Ux, rtt: Nanos, effects: &mut Effects) -> LegIx;
    fn handshake_sent(change, ix: LegIx, now: Nanos, effects: &mut Effects);
    fn handle_linked(change, ix: LegIx, now: Nanos, link: &Link, effects: &mut Effects) -> Result<(), Fault>;
    fn handle_linked_ack(change, ix: LegIx, now: Nanos, effects: &mut Effects) -> Result<(), Fault>;
    fn hold_quick(
        change,
        ix: LegIx,
        now: Nanos,
        message: &Message<'_>,
        store: &mut Store,
        answer: impl FnOnce(u64, u64)
    ) -> Option<()>;
    fn arrive(change, ix: LegIx, now: Nanos, message: &Message<'_>, store: &mut Store) -> Result<Arrival, Fault>;
    fn arrive_quick(change, ix: LegIx, now: Nanos) -> Option<(u64, u64)>;
    fn arrive_first(change, ix: LegIx, now: Nanos) -> Option<(u64, u64)>;
    fn arrive_rest(change, ix: LegIx, now: Nanos) -> Option<(u64, u64)>;
    fn switch_quick(change, ix: LegIx, now: Nanos, switch: Switch) -> Option<u64>;
    fn comes_next(look, ix: LegIx) -> bool;
    fn arrive_next(change, ix: LegIx, now: Nanos) -> u64;
    fn arrive_from_elsewhere(
        change, ix: LegIx, now: Nanos, message: &Message<'_>, store: &mut Store
    ) -> Result<(), Fault>;
    fn next_quick(change, store: &mut Store, bodies: &mut impl Bodies, recipient: impl Recipient) -> Option<()>;
    fn handle_switch(change, ix: LegIx, now: Nanos, switch: Switch) -> Result<(), Fault>;
    fn mark_ready(change, effects: &mut Effects);
    fn needs_mark(change) -> bool;
    fn unmark_ready(change);
    fn hold_back(change, ix: LegIx, padded: bool, holds: bool, effects: &mut Effects);
    fn hold(change, message: &Message<'_>, now: Nanos, store: &mut Store, effects: &mut Effects) -> bool;
    fn found_no_room(change);
    fn passed_by(change, ix: LegIx);
    fn note_own_send(change);
    fn release(change, now: Nanos, effects: &mut Effects) -> Option<(Plan, Lane)>;
    fn release_on(change, ix: LegIx, now: Nanos, effects: &mut Effects) -> Option<(Plan, Lane)>;
    fn taken(change, effects: &mut Effects);
    fn decide(change, command: Command) -> Result<Plan, Refusal>;
    fn look(change, command: Command) -> Result<Plan, Refusal>;
    fn send_quick(change, data: bool, now: Nanos) -> Option<Plan>;
    fn send(change, command: Command, now: Nanos, effects: &mut Effects) -> Result<Plan, Refusal>;
    fn look_for_room(change, effects: &mut Effects);
    fn send_planned(change, plan: &Plan, command: Command, now: Nanos, effects: &mut Effects);
    fn send_own(change, command: Command, now: Nanos, effects: &mut Effects) -> Option<Plan>;
    fn commit_quick(change, ix: LegIx, data: bool, now: Nanos) -> Option<()>;
    fn commit_switch(change, ix: LegIx) -> Result<u32, Refusal>;
    fn commit_message(
        change, ix: LegIx, command: Command, now: Nanos, effects: &mut Effects
    ) -> Result<(), Refusal>;
    fn report(change, ix: LegIx, report: &Report, now: Nanos, effects: &mut Effects);
    fn is_calm(look) -> bool;
    fn may_choose_again(look) -> bool;
    fn choose_again_at(look) -> Nanos;
    fn choose_again(change, now: Nanos, effects: &mut Effects);
    fn observe(change, now: Nanos);
    fn resumed(change);
    fn begin_run(change, now: Nanos) -> Option<HeldRun>;
    fn end_run(change, now: Nanos) -> Option<HeldRun>;
    fn begin_wait(change, now: Nanos);
    fn end_wait(change, now: Nanos);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Ledger;
    use crate::message::COPY_COST;
    use crate::wire::conflux::Nonce;

    fn terms() -> SetTerms {
        SetTerms {
            tag: 0,
            nonce: Nonce::default(),
            desired_ux: Ux::NoOpinion,
            algorithm: None,
            link_timeout: 1,
            held_bytes_max: u64::MAX,
            switch_ahead_max: 1000,
            legs_max: 2,
            launches_max: 2,
            held_sends_max: 0,
            held_age_max: None,
            switch_run_min: 0,
            ready_by_poll: false,
        }
    }

    #[test]
    fn the_note_shows_what_a_set_holds_to_a_quarter_and_is_seldom_renewed() {
        let (ledger, id) = (Ledger::open(1), Id(7));
        let (mut state, mut store, mut effects) = (Controller::new(Role::Exit, terms()), Store::new(u64::MAX), vec![]);
        let legs = [1, 2].map(|key| state.adopt(Id(key), Hops::NONE, Ux::NoOpinion, 0, &mut effects));
        let message = Message { command: Command::DATA, hop: 0, stream_id: 1, body: b"", token: None };
        for round in 1..4 {
            let mut told = 0;
            state.handle_switch(legs[0], round, Switch { delta: 1 }).unwrap();
            for held in 1..=500 {
                assert!(matches!(state.arrive(legs[0], round, &message, &mut store), Ok(Arrival::Held(_))));
                if state.holds_more() {
                    state.grew(id, &ledger, round);
                    told += 1;
                }
                let (noted, bytes) = (state.standing.as_ref().unwrap().bytes(), held * u64::from(COPY_COST));
                assert!(noted <= bytes && bytes <= noted + noted / 4, "{noted} of {bytes}");
                assert!(ledger.worst(round, u64::MAX).is_some_and(|worst| worst.bytes == noted));
            }
            assert!(told < 30, "{told}");
            // The missing message comes on the other leg.
            let delta = u32::from(round > 1) * 500;
            if delta > 0 {
                state.handle_switch(legs[1], round, Switch { delta }).unwrap();
            }
            assert!(matches!(state.arrive(legs[1], round, &message, &mut store), Ok(Arrival::InOrder(_))));
            while state.next(&mut store, &mut [0; 509].as_mut_slice()).unwrap().is_some() {}
            assert_eq!((state.held(), state.holds_more()), (0, false));
            state.ran_out(&store, round);
            assert!(!state.is_noted() && ledger.live() == 0);
        }
    }
}
