//! FORWARD (R1): takes cells from the client's side. A cell that is not recognised here goes on to the next relay; a
//! recognised message goes where [`super::route()`] says. A client has no next relay: all its cells are recognised
//! (R12).

use super::edge::Edge;

/// The forward half of a circuit.
#[derive(Debug, Default)]
pub struct Forward {
    /// The edge towards the next relay.
    pub next: Edge,
}
