//! The link handshake of a set's legs: from a circuit to a leg that carries messages.

use super::{LegIx, Set};
use crate::base::time::NEVER;
use crate::base::{Hops, Id, Nanos};
use crate::conflux::handshake::{step, Event, LinkState};
use crate::conflux::leg::Leg;
use crate::conflux::{Control, Effect};
use crate::wire::conflux::{Link, Ux};
use crate::wire::fault::Fault;

impl Set {
    /// Client: a circuit that is still being built becomes a leg. It counts as launched from now on, as circuits that
    /// fail do (prop329 §4.2.2), and waits for [`Set::built`], however long its host lets it.
    pub fn launch(&mut self, key: Id, hops: Hops) -> LegIx {
        self.launches = self.launches.saturating_add(1);
        self.hops = hops;
        self.seat(Leg::new(key, LinkState::Building))
    }

    /// Client: a leg's circuit is open, and LINK goes out on it (CFX-20). Its numbers start from zero on both sides,
    /// also in a live set (RAT-4): LINK says 0 and 0, and what LINKED says is no baseline. False when the leg is not
    /// being built.
    pub fn built(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) -> bool {
        let building = |leg: &&mut Leg| leg.is_live() && leg.state == LinkState::Building;
        let Some(leg) = self.legs.get_mut(usize::from(ix)).filter(building) else { return false };
        leg.enter(LinkState::Pending);
        effects.push(Effect::Send { leg: leg.key, control: Control::Link });
        self.await_answer(ix, now, effects);
        true
    }

    /// True when the leg's circuit is still being built.
    pub fn is_building(&self, ix: LegIx) -> bool {
        self.legs.get(usize::from(ix)).is_some_and(|leg| leg.is_live() && leg.state == LinkState::Building)
    }

    /// Exit or service: a circuit that brought LINK becomes a leg (CFX-22). It receives at once, and sends from the
    /// moment LINKED is on its way ([`Set::handshake_sent`]): whatever overtook LINKED would be a violation in the
    /// peer's eyes.
    pub fn accept(
        &mut self,
        key: Id,
        hops: Hops,
        now: Nanos,
        link: &Link,
        is_new: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<LegIx, Fault> {
        let state = step(self.role, LinkState::Unlinked, Event::Link)?;
        // A new set has no past (R6); a live one has sent what it has sent (prop329 §2.4.4).
        let possible = if is_new {
            link.last_sent == 0 && link.last_received == 0
        } else {
            link.last_received <= self.highest_sent()
        };
        if !possible {
            return Err(Fault::BadLinkNumbers);
        }
        if self.leg_count() as u64 >= u64::from(self.terms.legs_max) {
            return Err(Fault::LinkLimit);
        }
        self.peer_wants(link.ux);
        self.hops = hops;
        let ix = self.seat(Leg::new(key, state));
        self.await_answer(ix, now, effects);
        effects.push(Effect::Linked { leg: key, rtt: 0 });
        effects.push(Effect::Send { leg: key, control: Control::Linked });
        Ok(ix)
    }

    /// A leg whose handshake the host did.
    pub fn adopt(&mut self, key: Id, hops: Hops, ux: Ux, rtt: Nanos, effects: &mut Vec<Effect>) -> LegIx {
        self.peer_wants(ux);
        self.hops = hops;
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
        leg.asked = true;
        leg.asked_at = now;
        if leg.state.is_linked() {
            leg.path.linked = true;
            self.after_change(effects);
        }
    }

    /// When the leg's round trip began.
    pub fn asked_at(&self, ix: LegIx) -> Nanos {
        self.legs.get(usize::from(ix)).map_or(0, |leg| leg.asked_at)
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
        // One that knows the nonce from another leg may answer before it is asked.
        if !leg.asked {
            return Err(Fault::UnexpectedLinked);
        }
        if link.nonce != self.terms.nonce {
            return Err(Fault::BadNonce);
        }
        // An exit has nothing to send before streams can be opened: what it says it has sent is lost (prop329 §2.4.4).
        let has_lost = !self.usable && link.last_sent > 0;
        if link.last_received > highest_sent || has_lost {
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
        leg.measured(if leg.asked { now.saturating_sub(leg.asked_at) } else { 0 });
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
            LinkState::Unlinked | LinkState::Building | LinkState::Linked => None,
        }
    }

    fn await_answer(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) {
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.deadline = now.saturating_add(self.terms.link_timeout);
            effects.push(Effect::Arm { leg: leg.key, deadline: leg.deadline });
        }
    }

    pub(super) fn answered(leg: &mut Leg, effects: &mut Vec<Effect>) {
        if leg.deadline != NEVER {
            effects.push(Effect::Disarm { leg: leg.key });
            leg.deadline = NEVER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflux::Role;

    #[test]
    fn link_goes_out_once() {
        let mut set = Set { role: Role::Client, ..Set::default() };
        let mut effects = Vec::new();
        let ix = set.launch(Id(7), Hops::NONE);
        assert!(set.is_building(ix) && effects.is_empty());
        assert!(set.built(ix, 5, &mut effects));
        assert!(matches!(effects[..], [Effect::Send { leg: Id(7), control: Control::Link }, Effect::Arm { .. }]));
        effects.clear();
        for no_leg in [ix, ix + 1] {
            assert!(!set.is_building(no_leg) && !set.built(no_leg, 6, &mut effects));
        }
        assert!(effects.is_empty());
    }
}
