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
}

impl Backward {
    /// True when a message of a stream would neither wait nor overtake a cell that does. Control does not ask: SENDMEs,
    /// handshakes and ENDs are few, and must not wait for data.
    #[inline]
    pub fn takes_data(&self) -> bool {
        self.back.is_clear()
    }

    /// The host was refused DATA to a hop.
    pub fn wait_for(&mut self, hop: u8) {
        self.waiting |= 1 << hop.min(31);
    }

    /// The hops for which the host waits.
    pub fn waits_for(&self) -> impl Iterator<Item = u8> {
        let waiting = self.waiting;
        (0..=limits::HOPS_MAX).filter(move |hop| waiting & 1 << hop != 0)
    }

    /// The host is told that there is room, and asks again.
    pub fn resumes(&mut self) {
        self.waiting = 0;
    }
}

/// A bit for each hop.
type Waiting = u32;
