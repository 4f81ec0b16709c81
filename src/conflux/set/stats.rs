//! Figures of a set and of its legs.

use super::{LegIx, Set};
use crate::base::time::NEVER;
use crate::base::{Id, Nanos};
use crate::conflux::choice::{self, UNMEASURED};
use crate::conflux::handshake::{LinkState, Role};
use crate::conflux::Algorithm;
use crate::message::Store;

/// Figures of a set.
#[derive(Clone, Copy, Debug)]
pub struct SetStats {
    /// Legs in any state.
    pub legs: u32,
    /// Legs that are not linked.
    pub legs_unlinked: u32,
    /// The set may carry streams.
    pub usable: bool,
    /// The peer's last wish, as on the wire.
    pub peer_ux: u8,
    /// The sending leg; before the first message, the fastest leg.
    pub primary: Id,
    /// The leg used last.
    pub most_active: Id,
    /// When a leg was used last.
    pub last_active: Nanos,
    /// Highest number sent.
    pub sent: u64,
    /// Highest number delivered.
    pub delivered: u64,
    /// Messages held for order.
    pub held: u64,
    /// Highest value of `held` so far.
    pub held_peak: u64,
    /// Bytes held for order.
    pub held_bytes: u64,
    /// Highest value of `held_bytes` so far.
    pub held_bytes_peak: u64,
    /// SWITCHes sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
    /// Algorithm that chooses the sending leg.
    pub algorithm: Algorithm,
    /// Client: number of legs that may be launched now.
    pub launches_left: u32,
    /// Time at which the oldest message held for order came, [`NEVER`] when no message is held.
    pub held_since_ns: Nanos,
    /// Messages that wait to be sent, or for the host to take them.
    pub unsent: u32,
    /// Bytes of the messages that wait to be sent.
    pub unsent_bytes: u64,
    /// The leg that the host has named.
    pub named: Id,
}

/// Figures of a leg.
#[derive(Clone, Copy, Debug)]
pub struct LegStats {
    /// State of its handshake.
    pub state: LinkState,
    /// DATA cells that one SENDME acknowledges.
    pub sendme_inc: u32,
    /// Round-trip time, 0 when not known.
    pub rtt: Nanos,
    /// Congestion window in cells.
    pub cwnd: u64,
    /// DATA cells in flight.
    pub inflight: u64,
    /// Number of the last message sent on it.
    pub sent: u64,
    /// Number of the last message received on it.
    pub received: u64,
}

impl Set {
    /// Last number delivered.
    #[inline(always)]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Last number sent, and last received, on a leg.
    #[inline(always)]
    pub fn numbers_of(&self, ix: LegIx) -> (u64, u64) {
        self.legs.get(usize::from(ix)).map_or((0, 0), |leg| (leg.sent, leg.received))
    }

    /// Id of the leg in a place.
    pub fn leg_at(&self, ix: LegIx) -> Id {
        self.legs.get(usize::from(ix)).map_or(Id::NONE, |leg| leg.key)
    }

    /// True when the next message to go is one for which a leg is chosen, and not one that has to wait whatever the
    /// legs are like.
    #[inline(always)]
    pub fn chooses(&self) -> bool {
        self.usable && self.outbox.len == 0
    }

    /// The legs as a choice looks at them, and how many there can be.
    #[inline(always)]
    pub fn looks(&self) -> (usize, impl Iterator<Item = (Id, &choice::Path)> + Clone + '_) {
        let live = self.legs.iter().filter(|leg| leg.is_live());
        (self.legs.len(), live.map(|leg| (leg.key, &leg.path)))
    }

    /// Returns the set's figures.
    pub fn stats(&self, store: &Store, now: Nanos) -> SetStats {
        let key = |index: Option<usize>| index.and_then(|index| self.legs.get(index)).map_or(Id::NONE, |leg| leg.key);
        let linked = self.paths().filter(|(_, path)| path.linked);
        SetStats {
            legs: self.leg_count() as u32,
            legs_unlinked: self.live().filter(|(_, leg)| !leg.state.is_linked()).count() as u32,
            usable: self.usable,
            peer_ux: self.peer_ux.to_wire(),
            primary: key(self.sending().or_else(|| choice::fastest(linked).map(|(index, _)| index))),
            most_active: key(Some(self.last_leg as usize)),
            last_active: self.last_active,
            sent: self.highest_sent(),
            delivered: self.delivered,
            held: self.held,
            held_peak: self.held_peak(),
            held_bytes: self.held_bytes,
            held_bytes_peak: self.held_bytes_peak,
            switches_sent: self.switches_sent,
            switches_received: self.switches_received,
            algorithm: self.policy.algorithm,
            launches_left: self.launches_left(),
            held_since_ns: self.held_since_ns(store, now).unwrap_or(NEVER),
            unsent: self.waiting_to_go(),
            unsent_bytes: self.outbox_bytes(),
            named: self.named_leg(),
        }
    }

    /// Returns a leg's figures.
    pub fn leg_stats(&self, ix: LegIx) -> Option<LegStats> {
        let leg = self.legs.get(usize::from(ix)).filter(|leg| leg.is_live())?;
        Some(LegStats {
            state: leg.state,
            sendme_inc: leg.sendme_inc,
            rtt: if leg.path.rtt == UNMEASURED { 0 } else { leg.path.rtt },
            cwnd: leg.path.cwnd,
            inflight: leg.path.inflight,
            sent: leg.sent,
            received: leg.received,
        })
    }

    /// Number of legs that may be launched now: the launches left, as far as the cap on legs allows.
    fn launches_left(&self) -> u32 {
        let room = u64::from(self.terms.legs_max).saturating_sub(self.leg_count() as u64);
        match self.role {
            Role::Client => u64::from(self.terms.launches_max.saturating_sub(self.launches)).min(room) as u32,
            Role::Exit => 0,
        }
    }
}
