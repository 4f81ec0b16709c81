//! The reactors of a circuit: FORWARD, BACKWARD, the two stream sides, the controller, and how they are wired.
