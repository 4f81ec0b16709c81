//! BACKWARD (R2): takes cells from the next relay, messages of streams and SENDMEs, and writes them towards the client;
//! at a client it writes to the first relay. A stream asks BACKWARD for room before it sends.

use super::edge::Edge;
use crate::base::limits;

/// The backward half of a circuit.
#[derive(Debug, Default)]
pub struct Backward {
    /// The edge towards the client; at a client, towards the first relay.
    pub back: Edge,
    /// Reasons for which the host was refused DATA: windows of hops, and the edge. The host waits for an instruction.
    waiting: Waiting,
    /// The instruction that ends the waiting is queued, and the host has not taken it yet.
    told: bool,
}

impl Backward {
    /// True when a message of a stream could go out now without overtaking a waiting cell. Control messages (SENDME,
    /// handshakes, END) do not ask: they are few, and must not wait for DATA.
    #[inline]
    pub fn takes_data(&self) -> bool {
        self.back.is_clear()
    }

    /// Notes that the host was refused DATA to a hop, as the hop's window is full.
    pub fn wait_for(&mut self, hop: u8) {
        self.waiting |= 1 << hop.min(29);
    }

    /// Notes that the host was refused DATA, as the edge has no room.
    pub fn wait_for_edge(&mut self) {
        self.waiting |= EDGE;
    }

    /// The host waits for room, to whatever hop.
    pub fn host_waits(&self) -> bool {
        self.waiting != 0
    }

    /// True when the host has to be told that it may send again: the edge takes data, and the host waits for the edge
    /// or for a hop for which `has_room` is true. False while an earlier instruction is queued: a host that never
    /// drains cannot make the queue grow.
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

    /// Notes that the host has taken the instruction to go on.
    pub fn resumed(&mut self) {
        self.told = false;
    }
}

/// A bit for each hop whose window is full, and [`EDGE`].
type Waiting = u32;

/// The bit of the edge. No circuit has a hop with this number.
const EDGE: Waiting = 1 << 30;
