//! One set over several engines: who is a member of the hub, a leg's side, the set's side, and what crosses between them.

pub(super) mod leg_side;
pub(super) mod membership;
pub(super) mod message;
pub(super) mod places;
pub(super) mod set_side;
