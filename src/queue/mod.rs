//! The backpressure queue: a sink that can be full, and the small backlog before it.
//!
//! Try the sink first. What it has no room for waits in the backlog, and while anything waits there, every new item
//! goes behind it. [`admit`] is that rule as a function of three plain values, for floors that store their items
//! themselves (as the edges of circuits do). [`Backlog`] is the rule with items, and stands before the links between
//! event loops. [`Packed`] is a backlog of a host's items. They all send into a [`Sink`].

pub mod backlog;
pub mod packed;

pub use backlog::{Backlog, Pushed, Refused};
pub use packed::{Item, Packed};

/// Takes items one at a time. It can be full for a while, or closed for good.
pub trait Sink<T> {
    /// Hands the item over, or hands it back with the reason.
    fn try_send(&mut self, item: T) -> Result<(), TrySend<T>>;

    /// True when the sink will never take an item again.
    fn is_closed(&self) -> bool;
}

/// The reason why a sink did not take an item, and the item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrySend<T> {
    /// No room now.
    Full(T),
    /// No room ever again.
    Closed(T),
}

/// The sink is closed. Items that wait stay in the backlog until they are taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

/// The state of a sink, as far as it is known before an item is offered to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// It takes one more item, as far as is known.
    Open,
    /// It takes none for now.
    Full,
    /// It takes none ever again.
    Closed,
}

/// The decision on an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admit {
    /// It goes into the sink.
    Through,
    /// It goes to the end of the backlog.
    Keep,
    /// The backlog is at its cap, which is a stall. The item stays its sender's.
    Full,
    /// The sink is closed. The item stays its sender's.
    Closed,
}

/// Decides on one item, with `waiting` items in a backlog of at most `cap`. This rule stands nowhere else.
///
/// A closed sink comes first, as an item put behind it can only come back. An item passes the backlog only when that is
/// empty, so that the order is kept.
#[inline(always)]
pub fn admit(waiting: usize, cap: usize, room: Room) -> Admit {
    match room {
        Room::Closed => Admit::Closed,
        Room::Open if waiting == 0 => Admit::Through,
        Room::Open | Room::Full if waiting < cap => Admit::Keep,
        Room::Open | Room::Full => Admit::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination that can be told apart, written out.
    #[test]
    fn q1_q2_q4_q5_q6_the_rule_as_a_table() {
        let table = [
            // Q1: through when there is room and nothing waits; kept when there is none.
            (0, 8, Room::Open, Admit::Through),
            (0, 8, Room::Full, Admit::Keep),
            // Q2: behind what waits, also when the sink has room.
            (1, 8, Room::Open, Admit::Keep),
            (1, 8, Room::Full, Admit::Keep),
            // Q4: below the cap, at it, above it.
            (7, 8, Room::Open, Admit::Keep),
            (7, 8, Room::Full, Admit::Keep),
            (8, 8, Room::Open, Admit::Full),
            (8, 8, Room::Full, Admit::Full),
            (9, 8, Room::Open, Admit::Full),
            (usize::MAX, usize::MAX, Room::Full, Admit::Full),
            // Q5: closed is another answer than full, and comes first.
            (0, 8, Room::Closed, Admit::Closed),
            (1, 8, Room::Closed, Admit::Closed),
            (8, 8, Room::Closed, Admit::Closed),
            // Q6: no backlog at all.
            (0, 0, Room::Open, Admit::Through),
            (0, 0, Room::Full, Admit::Full),
            (0, 0, Room::Closed, Admit::Closed),
        ];
        for (waiting, cap, room, want) in table {
            assert_eq!(admit(waiting, cap, room), want, "{waiting} of {cap}, {room:?}");
        }
    }
}
