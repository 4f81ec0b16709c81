//! A conflux set: how it is made, loses legs and ends. The handshake, receiving, sending, the leg that a host names,
//! imported numbers, figures and texts have files of their own.

mod anew;
mod choose;
mod hold;
mod link;
mod named;
mod numbers;
mod receive;
mod remember;
mod send;
mod stats;
mod tally;
mod unread;
mod words;

use hold::Outbox;
use remember::Learnt;
use tally::Tally;

pub use named::Unfit;
pub use numbers::{Contradiction, LegNumbers, Numbers};
pub use receive::{Arrival, InTurn, Recipient};
pub use send::{Plan, Refusal};
pub use stats::{LegStats, SetStats};
pub use tally::{HeldRun, SetSums};

use super::choice::{self, Policy};
use super::handshake::{LinkState, Role};
use super::leg::Leg;
use super::legs::Legs;
use super::teardown::{judge, Loss, Reason};
use super::{Algorithm, Effect};
use crate::base::{Hops, Id, Nanos};
use crate::message::{Lane, Lanes, Store, NOTHING};
use crate::wire::conflux::{Link, Nonce, Ux};
use crate::wire::fault::Cause;
use std::mem::offset_of;

/// A leg's place in its set; it stays the same while the leg is there.
pub type LegIx = u8;

/// Configuration of a set.
#[derive(Clone, Debug)]
pub struct SetTerms {
    /// The host's tag of the set.
    pub tag: u64,
    /// The set's secret; not used at an exit.
    pub nonce: Nonce,
    /// The wish that LINK or LINKED sends to the peer.
    pub desired_ux: Ux,
    /// Algorithm that chooses the sending leg; none to follow the peer's wish.
    pub algorithm: Option<Algorithm>,
    /// How long a leg may wait for LINKED or LINKED_ACK.
    pub link_timeout: Nanos,
    /// Cap on bytes held for order.
    pub held_bytes_max: u64,
    /// Cap on the distance of a SWITCH from the last number delivered, in messages.
    pub switch_ahead_max: u32,
    /// Cap on legs.
    pub legs_max: u32,
    /// Cap on launches; the count starts again when no handshake is pending any more.
    pub launches_max: u32,
    /// Cap on messages held for sending.
    pub held_sends_max: u32,
    /// How long a message may be held for order, 0 for no limit; none for the engine's limit.
    pub held_age_max: Option<Nanos>,
    /// DATA messages in a row on a leg at least, while it has room; 0 leaves it to the algorithm.
    pub switch_run_min: u32,
    /// The host asks for ready messages by itself: no READY mark goes into the instruction queue.
    pub ready_by_poll: bool,
}

impl SetTerms {
    /// The content of the LINK or LINKED that this end sends. Numbers are 0 (RAT-4): both ends begin a leg from zero.
    pub fn link(&self) -> Link {
        Link { nonce: self.nonce.clone(), last_sent: 0, last_received: 0, ux: self.desired_ux }
    }
}

/// One tunnel over several circuits. What each cell needs comes first, near the set's id, and then the legs, which
/// begin a line of the processor's cache.
#[derive(Debug)]
#[repr(C)]
pub struct Set {
    /// Number of the last message delivered.
    delivered: u64,
    /// The number before the lowest one held, [`NOTHING`] - 1 when none is held: every arrival is compared with it.
    before_held: u64,
    /// When a leg was used last.
    last_active: Nanos,
    /// The leg used last, [`NO_LEG`] for none. (As wide as its look-up needs, so that each cell widens it once.)
    last_leg: u32,
    /// The leg that sends, [`NO_LEG`] for none.
    sender: LegIx,
    /// The algorithm does not choose alone: the host has named a leg, or the policy keeps legs.
    rare: bool,
    usable: bool,
    /// A SWITCH was sent on the sending leg, and no message after it: the next message must go on that leg.
    bare: bool,
    /// Messages that may follow on the sending leg before the choice is made again: until a report or change, the best
    /// leg stays the best while it has room.
    settled: u64,
    /// DATA sent since the sending leg changed.
    since_switch: u64,
    legs: Legs,
    /// The lane of the lowest number held: a leg's, or [`ORPHANS`].
    next_lane: LegIx,
    /// The leg that the host has named.
    named: Option<LegIx>,
    peer_ux: Ux,
    /// MAY_SEND is queued, and the host has not taken it yet.
    resume_queued: bool,
    /// A READY mark for this set is in the instruction queue.
    ready_marked: bool,
    role: Role,
    zero_switches: u32,
    launches: u32,
    /// How often the host was refused since it could send last: while it is not 0, the host waits for MAY_SEND.
    waiting: u64,
    policy: Policy,
    /// What is remembered from choice to choice, and what is known of each leg; none while nobody reads it.
    learnt: Option<Box<Learnt>>,
    /// The time of the call that runs.
    now: Nanos,
    /// Number at which the set has to send on the leg furthest behind, so that a SWITCH can still reach it.
    catch_up_at: u64,
    /// Messages that wait to be sent.
    outbox: Outbox,
    /// Held messages of legs that have gone.
    orphans: Lanes,
    /// Length and join point, which all legs share.
    hops: Hops,
    terms: SetTerms,
    held: u64,
    /// The most messages held since none was held.
    run_peak: u64,
    /// Messages that were ever held.
    kept: u64,
    held_bytes: u64,
    /// Value of `held_bytes` above which the note for other engines is out of date; 0 when no message is held.
    held_told: u64,
    held_bytes_peak: u64,
    switches_sent: u64,
    switches_received: u64,
    /// Made with the first thing in it.
    tally: Option<Box<Tally>>,
}

/// Value of `next_lane` for the messages in `orphans`.
const ORPHANS: LegIx = NO_LEG;

impl Set {
    /// Where the legs begin.
    pub const LEGS: usize = offset_of!(Set, legs);
    /// Where that ends which each cell needs.
    pub const NEEDED: usize = offset_of!(Set, settled);
}

/// No leg has this place: there are at most 16.
const NO_LEG: LegIx = LegIx::MAX;

/// Whether a set goes on after it lost a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The set goes on.
    Lives,
    /// The set has ended; [`Effect::Ended`] is among the effects.
    Over,
}

/// An empty set, for a vacant place of the engine's table.
impl Default for Set {
    fn default() -> Self {
        let terms = SetTerms {
            tag: 0,
            nonce: Nonce::default(),
            desired_ux: Ux::NoOpinion,
            algorithm: None,
            link_timeout: 0,
            held_bytes_max: 0,
            switch_ahead_max: 0,
            legs_max: 0,
            launches_max: 0,
            held_sends_max: 0,
            held_age_max: None,
            switch_run_min: 0,
            ready_by_poll: false,
        };
        Set::new(Role::Exit, terms)
    }
}

impl Set {
    /// A set without legs.
    pub fn new(role: Role, terms: SetTerms) -> Self {
        let policy = Policy::for_ux(Ux::NoOpinion);
        let mut set = Set {
            delivered: 0,
            before_held: NOTHING - 1,
            sender: NO_LEG,
            legs: Legs::NONE,
            next_lane: ORPHANS,
            named: None,
            rare: false,
            usable: false,
            bare: false,
            waiting: 0,
            resume_queued: false,
            // A mark that is never taken away is never queued.
            ready_marked: terms.ready_by_poll,
            policy,
            learnt: None,
            now: 0,
            catch_up_at: u64::MAX,
            settled: 0,
            outbox: Outbox::default(),
            since_switch: 0,
            last_leg: NO_LEG.into(),
            last_active: 0,
            orphans: Lanes::NONE,
            role,
            hops: Hops::NONE,
            terms,
            peer_ux: Ux::NoOpinion,
            launches: 0,
            zero_switches: 0,
            held: 0,
            run_peak: 0,
            kept: 0,
            held_bytes: 0,
            held_told: 0,
            held_bytes_peak: 0,
            switches_sent: 0,
            switches_received: 0,
            tally: None,
        };
        set.peer_wants(Ux::NoOpinion);
        set
    }

    /// The role of this end.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Length and join point, which all legs share.
    pub fn hops(&self) -> Hops {
        self.hops
    }

    /// The join point's hop; at an exit 0, the client.
    #[inline]
    pub fn join_hop(&self) -> u8 {
        self.hops.last()
    }

    /// The set's configuration.
    pub fn terms(&self) -> &SetTerms {
        &self.terms
    }

    /// Replaces the host's tag of the set.
    pub fn retag(&mut self, tag: u64) {
        self.terms.tag = tag;
    }

    /// Replaces the algorithm that chooses the sending leg; none follows the peer's wish.
    pub fn choose_by(&mut self, algorithm: Option<Algorithm>, effects: &mut Vec<Effect>) {
        self.terms.algorithm = algorithm;
        self.peer_wants(self.peer_ux);
        // A message that waited for one leg may now go on another.
        self.check_resume(effects);
    }

    /// Number of legs in any state.
    pub fn leg_count(&self) -> usize {
        self.live().count()
    }

    /// Id of the first leg. Any leg will do where length and join point are asked: all legs share them.
    pub fn any_leg(&self) -> Option<Id> {
        self.leg_ids().next()
    }

    /// Ids of the legs, in any state.
    pub fn leg_ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.live().map(|(_, leg)| leg.key)
    }

    /// True when `more` legs may still be launched with this nonce.
    pub fn may_launch(&self, more: usize) -> bool {
        u64::from(self.launches) + more as u64 <= u64::from(self.terms.launches_max)
    }

    /// Sets the host's tag of a leg, which plans carry.
    pub fn set_tag(&mut self, ix: LegIx, tag: u64) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.tag = tag;
        }
    }

    /// The host's tag of a leg.
    #[inline]
    pub fn tag(&self, ix: LegIx) -> u64 {
        self.legs.get(usize::from(ix)).map_or(0, |leg| leg.tag)
    }

    /// Removes a leg that has gone or is about to go, and decides whether the set goes on without it (prop329 §2.4.3).
    pub fn remove(&mut self, ix: LegIx, cause: Cause, store: &mut Store, effects: &mut Vec<Effect>) -> Fate {
        let index = usize::from(ix);
        let Some(loss) = self.loss(index) else { return Fate::Lives };
        let verdict = judge(&loss);
        let Some(leg) = self.legs.get_mut(index) else { return Fate::Lives };
        Self::answered(leg, effects);
        let was_pending = leg.state.is_pending();
        let lane = leg.lane;
        let sent = leg.sent;
        *leg = Leg::VACANT;
        if sent > 0 {
            let tally = self.tally();
            tally.sent_before = tally.sent_before.max(sent);
        }
        // The lane is linked, not copied: it may be long, and so may the lanes of legs that went before.
        self.orphans.put(lane, store);
        if self.sender == ix {
            // The set goes on only if nothing was sent: then any leg may send first (SCH-10).
            self.sender = NO_LEG;
            self.bare = false;
        }
        if self.last_leg == ix.into() {
            self.last_leg = NO_LEG.into();
        }
        self.named = self.named.filter(|&named| named != ix);
        self.note_rare();
        match verdict {
            Some(Reason::Last) => {
                self.end(cause, store, effects);
                Fate::Over
            }
            Some(_) => {
                let cause = if cause == Cause::Finished { cause } else { Cause::LegLost };
                self.end(cause, store, effects);
                Fate::Over
            }
            None => {
                self.find_lowest_held(store);
                // Looked up before `after_change` may renew the budget: a failure must not pay for its replacement. A
                // set that is not usable yet replaces linked legs too, as C Tor does; a usable set goes on without.
                let is_missed = was_pending || (self.role == Role::Client && !self.usable);
                let wants_leg = is_missed && self.may_launch(1);
                self.after_change(effects);
                if wants_leg {
                    effects.push(Effect::WantLeg);
                }
                Fate::Lives
            }
        }
    }

    /// Ends the set: delivers or returns the messages it holds, and closes its legs.
    pub fn end(&mut self, cause: Cause, store: &mut Store, effects: &mut Vec<Effect>) {
        effects.extend(self.rest(cause, store));
        let unsent = self.take_outbox(store);
        if !unsent.is_empty() {
            effects.push(Effect::Rest { lanes: Lanes::of(unsent, store), next: 0 });
        }
        for leg in self.legs.iter_mut().filter(|leg| leg.is_live()) {
            Self::answered(leg, effects);
            effects.push(Effect::Close { leg: leg.key, cause });
        }
        effects.push(Effect::Ended(cause));
    }

    /// Takes out the messages that an ended set held for order, with the first number to deliver. None is delivered
    /// when the host itself closed the set, or when a fault broke the order.
    fn rest(&mut self, cause: Cause, store: &Store) -> Option<Effect> {
        let mut lanes = std::mem::take(&mut self.orphans);
        for leg in self.legs.iter_mut() {
            lanes.put(std::mem::replace(&mut leg.lane, Lane::EMPTY), store);
        }
        // Numbers begin with 1, so 0 delivers none.
        let has_turn = match cause {
            Cause::Asked => false,
            Cause::Fault(fault) => !fault.ends_order(),
            Cause::LegLost | Cause::Finished => true,
        };
        let next = if has_turn { self.delivered + 1 } else { 0 };
        (!lanes.is_empty()).then_some(Effect::Rest { lanes, next })
    }

    /// True when a leg is linked at both ends, and no message is held, for order or for sending.
    pub fn is_at_rest(&self) -> bool {
        let is_linked = self.live().any(|(_, leg)| leg.state == LinkState::Linked);
        is_linked && self.held == 0 && self.outbox.len == 0
    }

    /// Returns the only leg left, if it may go on as a circuit without a set.
    pub fn alone(&self) -> Option<Id> {
        let mut live = self.live();
        let (_, leg) = live.next()?;
        let alone = live.next().is_none()
            && leg.state == LinkState::Linked
            && self.held == 0
            && leg.received == self.delivered
            && self.outbox.len == 0;
        alone.then_some(leg.key)
    }

    fn live(&self) -> impl Iterator<Item = (usize, &Leg)> {
        self.legs.iter().enumerate().filter(|(_, leg)| leg.is_live())
    }

    #[inline]
    fn paths(&self) -> impl Iterator<Item = (usize, &choice::Path)> + Clone {
        self.legs.iter().enumerate().map(|(index, leg)| (index, &leg.path))
    }

    fn is_pending(&self) -> bool {
        self.legs.iter().any(|leg| leg.state.is_pending())
    }

    fn highest_sent(&self) -> u64 {
        self.legs.iter().map(|leg| leg.sent).max().unwrap_or(0)
    }

    /// Puts a leg into a vacant place, or a new one. The callers have checked the cap on legs.
    fn seat(&mut self, leg: Leg) -> LegIx {
        let ix = self.legs.seat(leg);
        self.learn_of_leg(ix);
        ix
    }

    /// The leg that sends.
    #[inline(always)]
    fn sending(&self) -> Option<usize> {
        (self.sender != NO_LEG).then_some(self.sender.into())
    }

    /// Sets the peer's wish. The wish that came last counts, as in C Tor.
    fn peer_wants(&mut self, ux: Ux) {
        self.peer_ux = ux;
        self.settled = 0;
        let measured = self.policy.algorithm.measures();
        self.policy = Policy { run_min: self.terms.switch_run_min, ..Policy::for_ux(ux) };
        if let Some(algorithm) = self.terms.algorithm {
            self.policy.algorithm = algorithm;
        }
        self.learn(measured);
        self.note_rare();
    }

    /// Brings the set up to date after a leg came, was linked or went.
    fn after_change(&mut self, effects: &mut Vec<Effect>) {
        self.settled = 0;
        if !self.usable && !self.is_pending() && self.legs.iter().any(|leg| leg.path.linked) {
            self.usable = true;
            // A usable set has a new budget of launches. Failures do not renew it: an exit that never links could make
            // a client launch for ever.
            self.launches = 0;
            effects.push(Effect::Usable);
        }
        self.refresh_catch_up();
        self.check_resume(effects);
    }

    fn loss(&self, index: usize) -> Option<Loss> {
        let leg = self.legs.get(index).filter(|leg| leg.is_live())?;
        let others = || self.live().filter(move |&(other, _)| other != index).map(|(_, leg)| leg);
        Some(Loss {
            linked: leg.state.is_linked(),
            sending: self.sending() == Some(index),
            sent: leg.sent,
            received: leg.received,
            inflight: leg.path.inflight,
            sendme_inc: u64::from(leg.sendme_inc),
            others: others().count(),
            others_sent: others().map(|leg| leg.sent).max().unwrap_or(0),
            others_recv: others().map(|leg| leg.received).max().unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, Token};
    use crate::wire::conflux::Switch;
    use crate::wire::Command;

    /// The cost of removing a leg depends neither on its messages nor on the messages of legs that went before.
    #[test]
    fn removing_a_leg_looks_at_a_few_messages_only() {
        let token = Some(Token { token: 1, cost: 0 });
        let message = Message { command: Command::DATA, hop: 0, stream_id: 1, body: b"", token };
        for piled in [1, 100, 4_000] {
            let (mut set, mut store, mut effects) = (Set::default(), Store::new(u64::MAX), Vec::new());
            (set.terms.held_bytes_max, set.terms.switch_ahead_max) = (u64::MAX, 1 << 20);
            let mut leg_ahead = |key, delta, messages| {
                let ix = set.adopt(Id(key), Hops::NONE, Ux::NoOpinion, 0, &mut effects);
                set.handle_switch(ix, 1, Switch { delta }).unwrap();
                (0..messages).for_each(|_| assert!(set.arrive(ix, 1, &message, &mut store).is_ok()));
                let before = store.looks.get();
                if messages > 1 || key > 1 {
                    assert_eq!(set.remove(ix, Cause::LegLost, &mut store, &mut effects), Fate::Lives);
                }
                store.looks.get() - before
            };
            // The set goes on without a leg while another leg is ahead.
            leg_ahead(1, 1 << 19, 1);
            for round in 0..50 {
                let looks = leg_ahead(2 + u64::from(round), 1 + round * 5_000, piled);
                assert!(looks < 64, "{looks} looks in round {round} of {piled}");
            }
            // The missing message comes, and the messages of the first removed leg follow in order.
            let ix = set.adopt(Id(100), Hops::NONE, Ux::NoOpinion, 0, &mut effects);
            assert!(matches!(set.arrive(ix, 1, &message, &mut store), Ok(Arrival::InOrder(1))));
            for number in 2..2 + piled {
                assert_eq!(set.next(&mut store, &mut [].as_mut_slice()).unwrap().map(|next| next.number), Some(number));
            }
            assert!(!set.is_ready());
        }
    }
}
