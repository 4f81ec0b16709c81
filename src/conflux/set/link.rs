//! The link handshake of a set: turns a circuit into a leg that carries messages.

use super::{LegIx, Set};
use crate::base::time::NEVER;
use crate::base::{Hops, Id, Nanos};
use crate::conflux::handshake::{step, LinkMessage, LinkState};
use crate::conflux::leg::Leg;
use crate::conflux::{Control, Effect};
use crate::wire::conflux::{Link, Ux};
use crate::wire::fault::Fault;

impl Set {
    /// Client: adds a circuit that is still being built as a leg. It counts as launched even if it fails (prop329
    /// §4.2.2). It waits for [`Set::built`] without a limit of time.
    pub fn launch(&mut self, key: Id, hops: Hops) -> LegIx {
        self.launches = self.launches.saturating_add(1);
        self.hops = hops;
        self.seat(Leg::new(key, LinkState::Building))
    }

    /// Client: a leg's circuit is open, and LINK goes out on it (CFX-20). The leg's numbers start from 0 at both ends,
    /// also in a set that has sent already (RAT-4): LINK carries 0 and 0, and the numbers in LINKED are only checked.
    /// Returns false when the leg is not being built.
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

    /// Exit or service: adds a circuit that brought LINK as a leg (CFX-22). The leg receives at once. It sends only
    /// after LINKED has left ([`Set::handshake_sent`]): for the peer, a message before LINKED is a violation.
    pub fn accept(
        &mut self,
        key: Id,
        hops: Hops,
        now: Nanos,
        link: &Link,
        is_new: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<LegIx, Fault> {
        let state = step(self.role, LinkState::Unlinked, LinkMessage::Link)?;
        // In a new set nothing was sent or received (R6); in a live set the peer cannot have received more than was
        // sent (prop329 §2.4.4).
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

    /// Adds a leg whose handshake the host has done.
    pub fn adopt(&mut self, key: Id, hops: Hops, ux: Ux, rtt: Nanos, effects: &mut Vec<Effect>) -> LegIx {
        self.peer_wants(ux);
        self.hops = hops;
        let ix = self.seat(Leg::new(key, LinkState::Linked));
        if let Some(leg) = self.legs.get_mut(usize::from(ix)) {
            leg.measured(rtt);
        }
        self.saw(ix, rtt);
        self.usable = true;
        self.after_change(effects);
        ix
    }

    /// Notes that the host has taken LINK or LINKED to send it: the round trip begins now (CFX-20), and after LINKED
    /// the leg may be chosen for sending.
    pub fn handshake_sent(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) {
        let Some(leg) = self.legs.get_mut(usize::from(ix)) else { return };
        leg.asked = true;
        leg.asked_at = now;
        if leg.state.is_linked() {
            leg.path.linked = true;
            self.after_change(effects);
        }
    }

    /// Time at which the leg's LINK or LINKED left.
    pub fn asked_at(&self, ix: LegIx) -> Nanos {
        self.legs.get(usize::from(ix)).map_or(0, |leg| leg.asked_at)
    }

    /// Client: handles LINKED (CFX-23).
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
        let state = step(role, leg.state, LinkMessage::Linked)?;
        // A peer that knows the nonce from another leg can send LINKED before LINK has left.
        if !leg.asked {
            return Err(Fault::UnexpectedLinked);
        }
        if link.nonce != self.terms.nonce {
            return Err(Fault::BadNonce);
        }
        // An exit sends nothing before streams can be opened: what it claims to have sent is lost (prop329 §2.4.4).
        let has_lost = !self.usable && link.last_sent > 0;
        if link.last_received > highest_sent || has_lost {
            return Err(Fault::BadLinkNumbers);
        }
        let rtt = now.saturating_sub(leg.asked_at);
        leg.enter(state);
        leg.measured(rtt);
        let key = leg.key;
        Self::answered(leg, effects);
        self.saw(ix, rtt);
        self.peer_wants(link.ux);
        effects.push(Effect::Send { leg: key, control: Control::LinkedAck });
        effects.push(Effect::Linked { leg: key, rtt });
        if !self.is_pending() {
            self.launches = 0;
        }
        self.after_change(effects);
        Ok(())
    }

    /// Exit: handles LINKED_ACK (CFX-27).
    pub fn handle_linked_ack(&mut self, ix: LegIx, now: Nanos, effects: &mut Vec<Effect>) -> Result<(), Fault> {
        let leg = self.legs.get_mut(usize::from(ix)).ok_or(Fault::UnexpectedLinkedAck)?;
        let state = step(self.role, leg.state, LinkMessage::LinkedAck)?;
        leg.enter(state);
        let rtt = if leg.asked { now.saturating_sub(leg.asked_at) } else { 0 };
        leg.measured(rtt);
        Self::answered(leg, effects);
        self.saw(ix, rtt);
        self.after_change(effects);
        Ok(())
    }

    /// A leg's round trip was measured; 0 when the clock did not move.
    fn saw(&mut self, ix: LegIx, rtt: Nanos) {
        if let Some(meter) = self.meter_mut(ix).filter(|_| rtt != 0) {
            meter.saw(rtt);
        }
    }

    /// Returns the fault of a leg whose answer is overdue at `now`, none when it is not.
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
