//! BACKWARD (R2): takes cells from the next relay, messages of streams and SENDMEs, and writes them towards the client.
//! At a client it writes to the first relay. It drives no stream itself: whoever has something for it asks first.

use super::edge::Edge;
use crate::base::limits;

/// The backward half of a circuit.
#[derive(Debug, Default)]
pub struct Backward {
    /// Towards the client; at a client, towards the first relay.
    pub back: Edge,
    /// Hops to which the host was refused DATA for want of room: it waits to be told to go on.
    waiting: Waiting,
    /// The instruction that ends the waiting is queued, and not taken yet.
    told: bool,
}

impl Backward {
    /// True when a message of a stream would neither wait nor overtake a cell that does. Control does not ask: SENDMEs,
    /// handshakes and ENDs are few, and must not wait for data.
    #[inline]
    pub fn takes_data(&self) -> bool {
        self.back.is_clear()
    }

    /// The host was refused DATA to a hop, whose window is full.
    pub fn wait_for(&mut self, hop: u8) {
        self.waiting |= 1 << hop.min(29);
    }

    /// The host was refused DATA, to whatever hop, for want of room at the edge.
    pub fn wait_for_edge(&mut self) {
        self.waiting |= EDGE;
    }

    /// True when the host waits for room at the edge, or for a hop for which `has_room` is true, and neither stands in
    /// the way any more. It is told then, and asks again; one telling that is still queued says it all, so that a host
    /// that never drains cannot make the queue grow.
    pub fn resumes(&mut self, mut has_room: impl FnMut(u8) -> bool) -> bool {
        let waiting = self.waiting;
        if waiting == 0 || !self.takes_data() {
            return false;
        }
        let mut hops = (0..=limits::HOPS_MAX).filter(|hop| waiting & 1 << hop != 0);
        if waiting & EDGE == 0 && !hops.any(&mut has_room) {
            return false;
        }
        self.waiting = 0;
        !std::mem::replace(&mut self.told, true)
    }

    /// The host has taken what tells it to go on.
    pub fn resumed(&mut self) {
        self.told = false;
    }
}

/// A bit for each hop.
type Waiting = u32;

/// The host waits for the edge. No circuit has a hop of this number.
const EDGE: Waiting = 1 << 30;
