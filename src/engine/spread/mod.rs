//! One set over several engines: membership of the hub, the side of a leg, the side of the set, and what crosses.

pub(super) mod leg_side;
pub(super) mod membership;
pub(super) mod message;
pub(super) mod places;
pub(super) mod set_side;
pub(super) mod straight;
