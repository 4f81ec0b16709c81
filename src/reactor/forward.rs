//! FORWARD (R1): takes cells from the client's side. What it cannot recognise goes on to the next relay; what is for us
//! goes where [`super::route()`] says. At a client it has no next relay, and everything is for us (R12).

use super::edge::Edge;

/// The forward half of a circuit.
#[derive(Debug, Default)]
pub struct Forward {
    /// Towards the next relay.
    pub next: Edge,
}
