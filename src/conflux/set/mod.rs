//! A conflux set: how it comes to be, loses legs and ends. Receiving, sending and bare numbers have files of their own.

mod hold;
mod numbers;
mod receive;
mod send;

use hold::Outbox;

pub use numbers::{LegNumbers, Numbers};
pub use receive::Arrival;
pub use send::{Plan, Refusal};

use super::choice::{self, Policy};
use super::handshake::{step, Event, LinkState, Role};
use super::leg::Leg;
use super::store::{Lane, Store, NOTHING};
use super::teardown::{judge, Loss, Reason};
use super::{Algorithm, Control, Effect};
use crate::base::time::NEVER;
use crate::base::{Id, Nanos};
use crate::wire::conflux::{Link, Nonce, Ux};
use crate::wire::fault::{Cause, Fault};

/// A leg's place in its set; it stays the same while the leg is there.
pub type LegIx = u8;

/// What a set is made with.
#[derive(Clone, Debug)]
pub struct Terms {
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
}

/// Figures of a set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Legs in any state.
    pub legs: u32,
    /// Of these, not linked.
    pub legs_unlinked: u32,
    /// May carry streams.
    pub usable: bool,
    /// What the peer asked for last.
    pub peer_ux: u8,
    /// Sending leg, or the fastest before the first message.
    pub primary: Id,
    /// The leg used last.
    pub most_active: Id,
    /// When that was.
    pub last_active: Nanos,
    /// Highest number sent.
    pub sent: u64,
    /// Highest number delivered.
    pub delivered: u64,
    /// Messages held.
    pub held: u64,
    /// The most ever held.
    pub held_peak: u64,
    /// Bytes held.
    pub held_bytes: u64,
    /// The most ever held.
    pub held_bytes_peak: u64,
    /// SWITCHes sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
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
    orphans: Lane,
    role: Role,
    /// The hop that the legs share, as their host numbers hops.
    join_hop: u8,
    terms: Terms,
    peer_ux: Ux,
    launches: u32,
    zero_switches: u32,
    held: u64,
    held_peak: u64,
    held_bytes: u64,
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
        let terms = Terms {
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
        };
        Set::new(Role::Exit, terms)
    }
}

impl Set {
    /// A set without legs.
    pub fn new(role: Role, terms: Terms) -> Self {
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
            orphans: Lane::EMPTY,
            role,
            join_hop: 0,
            terms,
            peer_ux: Ux::NoOpinion,
            launches: 0,
            zero_switches: 0,
            held: 0,
            held_peak: 0,
            held_bytes: 0,
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

    /// The hop that the legs share; at an exit 0, the client.
    #[inline]
    pub fn join_hop(&self) -> u8 {
        self.join_hop
    }

    /// What it was made with.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Legs in any state.
    pub fn leg_count(&self) -> usize {
        self.live().count()
    }

    /// What the engine calls one of the legs: all have the same length and join point, so one stands for all.
    pub fn any_leg(&self) -> Option<Id> {
        self.live().next().map(|(_, leg)| leg.key)
    }

    /// True when `more` launches fit the nonce's budget.
    pub fn may_launch(&self, more: usize) -> bool {
        u64::from(self.launches) + more as u64 <= u64::from(self.terms.launches_max)
    }

    /// Client: a circuit becomes a leg, and LINK goes out on it (CFX-20). Its numbers start from zero on both sides,
    /// also in a live set (RAT-4): LINK says 0 and 0, and what LINKED says is no baseline.
    pub fn launch(&mut self, key: Id, join_hop: u8, now: Nanos, effects: &mut Vec<Effect>) -> LegIx {
        self.launches = self.launches.saturating_add(1);
        self.join_hop = join_hop;
        let ix = self.seat(Leg::new(key, LinkState::Pending));
        effects.push(Effect::Send { leg: key, control: Control::Link });
        self.await_answer(ix, now, effects);
        ix
    }

    /// Exit: a circuit that brought LINK becomes a leg (CFX-22). It receives at once, and sends from the moment
    /// LINKED is on its way ([`Set::handshake_sent`]): whatever overtook LINKED would be a violation in the peer's
    /// eyes.
    pub fn accept(
        &mut self,
        key: Id,
        now: Nanos,
        link: &Link,
        is_new: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<LegIx, Fault> {
        let state = step(self.role, LinkState::Unlinked, Event::Link)?;
        // A new set has no past (R6); a live one has sent what it has sent (prop329 §2.4.4).
        let possible =
            if is_new { link.last_sent == 0 && link.last_recv == 0 } else { link.last_recv <= self.highest_sent() };
        if !possible {
            return Err(Fault::BadLinkNumbers);
        }
        if self.leg_count() as u64 >= u64::from(self.terms.legs_max) {
            return Err(Fault::LinkLimit);
        }
        self.peer_wants(link.ux);
        let ix = self.seat(Leg::new(key, state));
        self.await_answer(ix, now, effects);
        effects.push(Effect::Linked { leg: key, rtt: 0 });
        effects.push(Effect::Send { leg: key, control: Control::Linked });
        Ok(ix)
    }

    /// A leg whose handshake the host did.
    pub fn adopt(&mut self, key: Id, join_hop: u8, ux: Ux, rtt: Nanos, effects: &mut Vec<Effect>) -> LegIx {
        self.peer_wants(ux);
        self.join_hop = join_hop;
        let ix = self.seat(Leg::new(key, LinkState::Linked));
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.measured(rtt);
        }
        self.usable = true;
        self.after_change(effects);
        ix
    }

    /// The host has taken LINK or LINKED to send it: now is when the round trip begins (CFX-20), and with LINKED the
    /// leg is as good as any other.
    pub fn handshake_sent(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) {
        let Some(leg) = self.legs.get_mut(usize::from(ix)) else { return };
        leg.asked_at = now;
        if leg.state.is_linked() {
            leg.path.linked = true;
            self.after_change(effects);
        }
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

    /// Client: LINKED came (CFX-23).
    pub fn handle_linked(
        &mut self,
        ix: LegIx,
        now: Nanos,
        link: &Link,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Fault> {
        let highest_sent = self.highest_sent();
        let role = self.role;
        let leg = self.legs.get_mut(usize::from(ix)).ok_or(Fault::UnexpectedLinked)?;
        let state = step(role, leg.state, Event::Linked)?;
        if link.nonce != self.terms.nonce {
            return Err(Fault::BadNonce);
        }
        if link.last_recv > highest_sent {
            return Err(Fault::BadLinkNumbers);
        }
        let rtt = now.saturating_sub(leg.asked_at);
        leg.enter(state);
        leg.measured(rtt);
        let key = leg.key;
        Self::answered(leg, effects);
        self.peer_wants(link.ux);
        effects.push(Effect::Send { leg: key, control: Control::LinkedAck });
        effects.push(Effect::Linked { leg: key, rtt });
        if !self.is_pending() {
            self.launches = 0;
        }
        self.after_change(effects);
        Ok(())
    }

    /// Exit: LINKED_ACK came (CFX-27).
    pub fn handle_linked_ack(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) -> Result<(), Fault> {
        let leg = self.legs.get_mut(usize::from(ix)).ok_or(Fault::UnexpectedLinkedAck)?;
        let state = step(self.role, leg.state, Event::LinkedAck)?;
        leg.enter(state);
        leg.measured(now.saturating_sub(leg.asked_at));
        Self::answered(leg, effects);
        self.after_change(effects);
        Ok(())
    }

    /// The fault of a leg whose time for an answer is over at `now`, if it is.
    pub fn expired(&self, ix: LegIx, now: Nanos) -> Option<Fault> {
        let leg = self.legs.get(usize::from(ix)).filter(|leg| leg.is_live() && leg.deadline <= now)?;
        match leg.state {
            LinkState::Pending => Some(Fault::LinkedTimeout),
            LinkState::Unacked => Some(Fault::LinkedAckTimeout),
            LinkState::Unlinked | LinkState::Linked => None,
        }
    }

    /// A leg has gone, or is about to. The set is judged without it (prop329 §2.4.3).
    pub fn remove(&mut self, ix: LegIx, cause: Cause, store: &mut Store, effects: &mut Vec<Effect>) -> Fate {
        let index = usize::from(ix);
        let Some(loss) = self.loss(index) else { return Fate::Lives };
        let verdict = judge(&loss);
        let Some(leg) = self.legs.get_mut(index) else { return Fate::Lives };
        Self::answered(leg, effects);
        let was_pending = leg.state == LinkState::Pending;
        let mut lane = leg.lane;
        *leg = Leg::new(Id::NONE, LinkState::Unlinked);
        store.merge(&mut self.orphans, &mut lane);
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
                self.end(Cause::LegLost, store, effects);
                Fate::Over
            }
            None => {
                self.refresh_next_held();
                // Asked before a new budget, as a failure must not make room for another.
                let wants_leg = was_pending && self.may_launch(1);
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
        effects.extend(self.take_outbox().map(|lane| Effect::Rest { lane, next: 0 }));
        for leg in self.legs.iter_mut().filter(|leg| leg.is_live()) {
            Self::answered(leg, effects);
            effects.push(Effect::Close { leg: leg.key, cause });
        }
        effects.push(Effect::Ended(cause));
    }

    /// Takes out what an ended set held, and from which number on its messages had their turn. A host that closes a set
    /// does not want them any more, and after a hole nobody can.
    fn rest(&mut self, cause: Cause, store: &mut Store) -> Option<Effect> {
        let mut rest = std::mem::replace(&mut self.orphans, Lane::EMPTY);
        for leg in &mut self.legs {
            store.merge(&mut rest, &mut leg.lane);
        }
        // Numbers begin with 1: from 0 on nothing follows.
        let has_turn = match cause {
            Cause::Asked => false,
            Cause::Fault(fault) => !fault.loses_a_turn(),
            Cause::LegLost => true,
        };
        let next = if has_turn { self.delivered + 1 } else { 0 };
        (!rest.is_empty()).then_some(Effect::Rest { lane: rest, next })
    }

    /// The last leg, if it may go on as a circuit of its own.
    pub fn alone(&self) -> Option<Id> {
        let mut live = self.live();
        let (_, leg) = live.next()?;
        let alone = live.next().is_none()
            && leg.state == LinkState::Linked
            && self.held == 0
            && leg.recv == self.delivered
            && self.outbox.len == 0;
        alone.then_some(leg.key)
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let key = |index: Option<usize>| index.and_then(|index| self.legs.get(index)).map_or(Id::NONE, |leg| leg.key);
        let linked = self.paths().filter(|(_, path)| path.linked);
        Stats {
            legs: self.leg_count() as u32,
            legs_unlinked: self.live().filter(|(_, leg)| !leg.state.is_linked()).count() as u32,
            usable: self.usable,
            peer_ux: self.peer_ux.to_wire(),
            primary: key(self.sending.or_else(|| choice::fastest(linked).map(|(index, _)| index))),
            most_active: key(Some(usize::from(self.last_leg))),
            last_active: self.last_active,
            sent: self.highest_sent(),
            delivered: self.delivered,
            held: self.held,
            held_peak: self.held_peak,
            held_bytes: self.held_bytes,
            held_bytes_peak: self.held_bytes_peak,
            switches_sent: self.switches_sent,
            switches_received: self.switches_received,
        }
    }

    fn live(&self) -> impl Iterator<Item = (usize, &Leg)> {
        self.legs.iter().enumerate().filter(|(_, leg)| leg.is_live())
    }

    #[inline]
    fn paths(&self) -> impl Iterator<Item = (usize, &choice::Path)> + Clone {
        self.legs.iter().enumerate().map(|(index, leg)| (index, &leg.path))
    }

    fn is_pending(&self) -> bool {
        self.legs.iter().any(|leg| leg.state == LinkState::Pending)
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

    fn await_answer(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.asked_at = now;
            leg.deadline = now.saturating_add(self.terms.link_timeout);
            effects.push(Effect::Arm { leg: leg.key, deadline: leg.deadline });
        }
    }

    fn answered(leg: &mut Leg, effects: &mut Vec<Effect>) {
        if leg.deadline != NEVER {
            effects.push(Effect::Disarm { leg: leg.key });
            leg.deadline = NEVER;
        }
    }

    /// The last leg's wish counts, as in C Tor.
    fn peer_wants(&mut self, ux: Ux) {
        self.peer_ux = ux;
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
            recv: leg.recv,
            inflight: leg.path.inflight,
            sendme_inc: u64::from(leg.sendme_inc),
            others: others().count(),
            others_sent: others().map(|leg| leg.sent).max().unwrap_or(0),
            others_recv: others().map(|leg| leg.recv).max().unwrap_or(0),
        })
    }
}
