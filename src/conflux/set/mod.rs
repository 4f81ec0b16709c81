//! A conflux set: how it comes to be, loses legs and ends. The handshake, receiving, sending, bare numbers, figures and
//! words have files of their own.

mod hold;
mod link;
mod numbers;
mod receive;
mod send;
mod stats;
mod words;

use hold::Outbox;

pub use numbers::{Contradiction, LegNumbers, Numbers};
pub use receive::Arrival;
pub use send::{Plan, Refusal};
pub use stats::{LegStats, SetStats};

use super::choice::{self, Policy};
use super::handshake::{LinkState, Role};
use super::leg::Leg;
use super::teardown::{judge, Loss, Reason};
use super::{Algorithm, Effect};
use crate::base::{Hops, Id, Nanos};
use crate::message::{Lane, Lanes, Store, NOTHING};
use crate::wire::conflux::{Nonce, Ux};
use crate::wire::fault::Cause;

/// A leg's place in its set; it stays the same while the leg is there.
pub type LegIx = u8;

/// What a set is made with.
#[derive(Clone, Debug)]
pub struct SetTerms {
    /// The host's.
    pub tag: u64,
    /// The set's secret. An exit's terms carry one that is not used.
    pub nonce: Nonce,
    /// What we ask of the peer.
    pub desired_ux: Ux,
    /// How to choose the sending leg, when not as the peer asks.
    pub algorithm: Option<Algorithm>,
    /// How long a leg may wait for its answer.
    pub link_timeout: Nanos,
    /// Cap on held bytes.
    pub held_bytes_max: u64,
    /// Cap on how far ahead a SWITCH may go.
    pub switch_ahead_max: u32,
    /// Cap on legs.
    pub legs_max: u32,
    /// Cap on launches until the set is usable.
    pub launches_max: u32,
    /// Cap on messages held for sending.
    pub held_sends_max: u32,
    /// How long a message may be held for order, 0 for as long as it takes; none for as the engine has it.
    pub held_age_max: Option<Nanos>,
}

/// One tunnel over several circuits.
#[derive(Debug)]
pub struct Set {
    /// Number of the last message delivered.
    delivered: u64,
    /// The lowest number held, [`NOTHING`] when nothing is: every arrival is compared with it.
    next_held: u64,
    /// The lane that `next_held` heads: a leg's, or [`ORPHANS`].
    next_lane: usize,
    /// Leg places in the order in which they were first taken.
    legs: Vec<Leg>,
    /// The leg that carries what we send.
    sending: Option<usize>,
    usable: bool,
    /// A SWITCH was reported as sent and no message since: the next message must go on that leg.
    bare: bool,
    /// The host was told to stop, and waits to be told to go on.
    waiting: bool,
    /// The instruction that ends the waiting is queued, and not taken yet.
    resume_queued: bool,
    /// A mark in the instruction queue stands for our ready messages.
    ready_marked: bool,
    policy: Policy,
    /// The sending leg's number at which the leg furthest behind has to be caught up with.
    catch_up_at: u64,
    /// Messages that may follow on the sending leg before the choice has to be made again: until something is reported
    /// or changes, a leg that was the best stays the best while it has room.
    settled: u64,
    /// Messages that wait to be sent.
    outbox: Outbox,
    /// DATA sent since the sending leg changed.
    since_switch: u64,
    /// The leg used last ([`NO_LEG`] for none), and when.
    last_leg: LegIx,
    last_active: Nanos,
    /// Messages of legs that have gone.
    orphans: Lanes,
    role: Role,
    /// What the legs have in common.
    hops: Hops,
    terms: SetTerms,
    peer_ux: Ux,
    launches: u32,
    zero_switches: u32,
    held: u64,
    held_peak: u64,
    held_bytes: u64,
    /// Up to so many of them others know of, or nearly; 0 when nothing is held.
    held_told: u64,
    held_bytes_peak: u64,
    switches_sent: u64,
    switches_received: u64,
}

const ORPHANS: usize = usize::MAX;

/// No leg has this place: there are at most 16.
const NO_LEG: LegIx = LegIx::MAX;

/// What is left of a set after a leg has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It goes on.
    Lives,
    /// It is over; [`Effect::Ended`] is among the effects.
    Over,
}

/// What fills a vacant place: a set that never was.
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
            next_held: NOTHING,
            next_lane: ORPHANS,
            legs: Vec::new(),
            sending: None,
            usable: false,
            bare: false,
            waiting: false,
            resume_queued: false,
            ready_marked: false,
            policy,
            catch_up_at: u64::MAX,
            settled: 0,
            outbox: Outbox::default(),
            since_switch: 0,
            last_leg: NO_LEG,
            last_active: 0,
            orphans: Lanes::NONE,
            role,
            hops: Hops::NONE,
            terms,
            peer_ux: Ux::NoOpinion,
            launches: 0,
            zero_switches: 0,
            held: 0,
            held_peak: 0,
            held_bytes: 0,
            held_told: 0,
            held_bytes_peak: 0,
            switches_sent: 0,
            switches_received: 0,
        };
        set.peer_wants(Ux::NoOpinion);
        set
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the legs have in common.
    pub fn hops(&self) -> Hops {
        self.hops
    }

    /// The hop that the legs share; at an exit 0, the client.
    #[inline]
    pub fn join_hop(&self) -> u8 {
        self.hops.last()
    }

    /// What it was made with.
    pub fn terms(&self) -> &SetTerms {
        &self.terms
    }

    /// Gives it another name of the host's.
    pub fn retag(&mut self, tag: u64) {
        self.terms.tag = tag;
    }

    /// Chooses the sending leg in another way from now on, or as the peer asks.
    pub fn choose_by(&mut self, algorithm: Option<Algorithm>, effects: &mut Vec<Effect>) {
        self.terms.algorithm = algorithm;
        self.peer_wants(self.peer_ux);
        // What waited for one leg may go on another.
        self.check_resume(effects);
    }

    /// Legs in any state.
    pub fn leg_count(&self) -> usize {
        self.live().count()
    }

    /// What the engine calls one of the legs: all have the same length and join point, so one stands for all.
    pub fn any_leg(&self) -> Option<Id> {
        self.leg_ids().next()
    }

    /// What the engine calls the legs, in any state.
    pub fn leg_ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.live().map(|(_, leg)| leg.key)
    }

    /// True when `more` launches fit the nonce's budget.
    pub fn may_launch(&self, more: usize) -> bool {
        u64::from(self.launches) + more as u64 <= u64::from(self.terms.launches_max)
    }

    /// Remembers the host's word for a leg, for plans to carry.
    pub fn set_tag(&mut self, ix: LegIx, tag: u64) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.tag = tag;
        }
    }

    /// The host's word for a leg.
    #[inline]
    pub fn tag(&self, ix: LegIx) -> u64 {
        self.legs.get(usize::from(ix)).map_or(0, |leg| leg.tag)
    }

    /// A leg has gone, or is about to. The set is judged without it (prop329 §2.4.3).
    pub fn remove(&mut self, ix: LegIx, cause: Cause, store: &mut Store, effects: &mut Vec<Effect>) -> Fate {
        let index = usize::from(ix);
        let Some(loss) = self.loss(index) else { return Fate::Lives };
        let verdict = judge(&loss);
        let Some(leg) = self.legs.get_mut(index) else { return Fate::Lives };
        Self::answered(leg, effects);
        let was_pending = leg.state.is_pending();
        let lane = leg.lane;
        *leg = Leg::new(Id::NONE, LinkState::Unlinked);
        // Linked, not copied: what goes may be long, and so may be what others have left.
        self.orphans.put(lane, store);
        if self.sending == Some(index) {
            // Only when nothing was sent: then any leg may be the first (SCH-10).
            self.sending = None;
            self.bare = false;
        }
        if self.last_leg == ix {
            self.last_leg = NO_LEG;
        }
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
                self.refresh_next_held(store);
                // Asked before a new budget, as a failure must not make room for another. A set that is not usable
                // yet misses a linked leg too, as in C Tor; one that is goes on without.
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

    /// The set is over: what it holds is handed out or back, and its legs are to close.
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

    /// Takes out what an ended set held, and from which number on its messages had their turn. A host that closes a set
    /// does not want them any more, and after a hole nobody can.
    fn rest(&mut self, cause: Cause, store: &Store) -> Option<Effect> {
        let mut lanes = std::mem::take(&mut self.orphans);
        for leg in &mut self.legs {
            lanes.put(std::mem::replace(&mut leg.lane, Lane::EMPTY), store);
        }
        // Numbers begin with 1: from 0 on nothing follows.
        let has_turn = match cause {
            Cause::Asked => false,
            Cause::Fault(fault) => !fault.ends_order(),
            Cause::LegLost | Cause::Finished => true,
        };
        let next = if has_turn { self.delivered + 1 } else { 0 };
        (!lanes.is_empty()).then_some(Effect::Rest { lanes, next })
    }

    /// A leg is linked at both ends, and nothing is held.
    pub fn is_at_rest(&self) -> bool {
        let is_linked = self.live().any(|(_, leg)| leg.state == LinkState::Linked);
        is_linked && self.held == 0 && self.outbox.len == 0
    }

    /// The last leg, if it may go on as a circuit of its own.
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

    /// Takes a vacant place, or a new one. The callers have checked that there are few enough.
    fn seat(&mut self, leg: Leg) -> LegIx {
        let index = self.legs.iter().position(|place| !place.is_live()).unwrap_or_else(|| {
            self.legs.push(Leg::new(Id::NONE, LinkState::Unlinked));
            self.legs.len() - 1
        });
        self.legs[index] = leg;
        index as LegIx
    }

    /// The last leg's wish counts, as in C Tor.
    fn peer_wants(&mut self, ux: Ux) {
        self.peer_ux = ux;
        self.settled = 0;
        self.policy = Policy::for_ux(ux);
        if let Some(algorithm) = self.terms.algorithm {
            self.policy.algorithm = algorithm;
        }
    }

    /// After a leg came, was linked or went.
    fn after_change(&mut self, effects: &mut Vec<Effect>) {
        self.settled = 0;
        if !self.usable && !self.is_pending() && self.legs.iter().any(|leg| leg.path.linked) {
            self.usable = true;
            // What follows has a budget of its own; it is not renewed by failures, so that an exit that links nothing
            // cannot make a client launch for ever.
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
            sending: self.sending == Some(index),
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

    /// What removing a leg costs does not hang on what it holds, nor on what legs that went before have left.
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
            // As long as another is ahead, legs may go.
            leg_ahead(1, 1 << 19, 1);
            for round in 0..50 {
                let looks = leg_ahead(2 + u64::from(round), 1 + round * 5_000, piled);
                assert!(looks < 64, "{looks} looks in round {round} of {piled}");
            }
            // What follows the first gap comes in order: all that was piled up.
            let ix = set.adopt(Id(100), Hops::NONE, Ux::NoOpinion, 0, &mut effects);
            assert!(matches!(set.arrive(ix, 1, &message, &mut store), Ok(Arrival::InOrder(1))));
            for number in 2..2 + piled {
                assert_eq!(set.next(&mut store, &mut []).unwrap().map(|next| next.number), Some(number));
            }
            assert!(!set.is_ready());
        }
    }
}
