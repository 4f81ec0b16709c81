//! The link handshake (prop329 §2.4.2, §4.2.1) as one transition table.
//!
//! ```text
//! client   Unlinked --launched--> Building --circuit open, LINK sent--> Pending --LINKED--> Linked
//! exit     Unlinked --LINK, LINKED sent--> Unacked --LINKED_ACK--> Linked
//! ```

use crate::wire::fault::Fault;

/// The end of the circuit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The client: it sends LINK.
    Client,
    /// The exit, or an onion service: it answers LINK.
    Exit,
}

/// State of a leg's handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Not in a set yet.
    Unlinked,
    /// Client: the circuit is still being built, and LINK goes out when it is open.
    Building,
    /// Client: LINK was sent, and LINKED is still to come.
    Pending,
    /// Exit: LINKED was sent, which links the leg, and LINKED_ACK is still to come.
    Unacked,
    /// Linked.
    Linked,
}

/// A message of the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkMessage {
    /// CONFLUX_LINK.
    Link,
    /// CONFLUX_LINKED.
    Linked,
    /// CONFLUX_LINKED_ACK.
    LinkedAck,
}

impl LinkState {
    /// Client: true when LINKED is still to come, whether or not LINK was sent.
    #[inline]
    pub fn is_pending(self) -> bool {
        matches!(self, LinkState::Building | LinkState::Pending)
    }

    /// True when multiplexed messages may travel on the leg.
    #[inline]
    pub fn is_linked(self) -> bool {
        matches!(self, LinkState::Unacked | LinkState::Linked)
    }
}

/// Returns the next state, or the fault. Every message that is not a step of the handshake is a violation (prop329
/// §4.2.1, MUST).
pub fn step(role: Role, state: LinkState, event: LinkMessage) -> Result<LinkState, Fault> {
    match (role, state, event) {
        (Role::Exit, LinkState::Unlinked, LinkMessage::Link) => Ok(LinkState::Unacked),
        (Role::Client, LinkState::Pending, LinkMessage::Linked) => Ok(LinkState::Linked),
        (Role::Exit, LinkState::Unacked, LinkMessage::LinkedAck) => Ok(LinkState::Linked),
        (_, _, LinkMessage::Link) => Err(Fault::UnexpectedLink),
        (_, _, LinkMessage::Linked) => Err(Fault::UnexpectedLinked),
        (_, _, LinkMessage::LinkedAck) => Err(Fault::UnexpectedLinkedAck),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_steps_and_twenty_seven_violations() {
        use LinkState::*;
        let mut steps = Vec::new();
        let mut violations = 0;
        for role in [Role::Client, Role::Exit] {
            for state in [Unlinked, Building, Pending, Unacked, Linked] {
                for event in [LinkMessage::Link, LinkMessage::Linked, LinkMessage::LinkedAck] {
                    match step(role, state, event) {
                        Ok(next) => steps.push((role, state, event, next)),
                        Err(_) => violations += 1,
                    }
                }
            }
        }
        assert_eq!(
            steps,
            [
                (Role::Client, Pending, LinkMessage::Linked, Linked),
                (Role::Exit, Unlinked, LinkMessage::Link, Unacked),
                (Role::Exit, Unacked, LinkMessage::LinkedAck, Linked),
            ]
        );
        assert_eq!(violations, 27);
    }
}
