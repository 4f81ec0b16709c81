//! Everything that crosses between engines: messages of a leg whose set is elsewhere, and what that set sends.

use crate::base::{Hops, Id, Nanos};
use crate::conflux::Cause;
use crate::congestion::{Params, Reader};
use crate::hub::{Buffer, Cargo, Left, Spares, Traffic};
use crate::message::{Delivery, Message, Token, COPY_COST, TOKEN_COST_MIN};
use crate::wire::conflux::{Link, Switch};
use crate::wire::fault::Fault;
use crate::wire::Command;
use std::sync::Arc;

/// The kinds of traffic in our hub.
#[derive(Debug)]
pub struct Crossing;

impl Traffic for Crossing {
    type Join = Request;
    type ToHome = Up;
    type ToLeg = Down;
}

/// The request of a circuit that brought LINK for a set elsewhere.
#[derive(Debug)]
pub struct Request {
    /// The id of the circuit on its engine.
    pub circuit: Id,
    /// The host's tag of the circuit.
    pub tag: u64,
    /// How many hops it has, and which hop is the last.
    pub hops: Hops,
    /// The content of LINK.
    pub link: Link,
    /// Parameters of flow control, when circflow runs the circuit.
    pub params: Option<Arc<Params>>,
    /// Congestion figures of the circuit, kept up to date by its engine.
    pub mirror: Reader,
}

/// Sent from a leg to the home of its set on another engine.
#[derive(Debug)]
pub enum Up {
    /// A multiplexed message.
    Message(Crossed),
    /// SWITCH.
    Switch(Switch),
    /// The host took LINKED at this time, to send it.
    LinkedSent(Nanos),
    /// LINKED_ACK came at this time.
    LinkedAck(Nanos),
    /// BEGIN_DIR came, which a set refuses.
    Directory {
        /// The stream that it would open.
        stream_id: u16,
    },
}

/// Sent from the home of a set to a leg on another engine.
#[derive(Debug)]
pub enum Down {
    /// Send LINKED.
    Linked(Box<Link>),
    /// Send a message of the set, after a SWITCH unless `delta` is 0.
    Send {
        /// The number in the SWITCH, 0 for no SWITCH.
        delta: u32,
        /// The message's number.
        number: u64,
        /// The message.
        message: Crossed,
    },
}

/// A message on its way between engines. (Its body is in a buffer apart, so that a link with room for many messages is
/// small while it is empty.)
#[derive(Debug)]
pub struct Crossed {
    command: Command,
    stream_id: u16,
    len: u16,
    bytes: Option<Buffer>,
    token: Option<Token>,
}

impl Crossed {
    /// Packs a message to cross.
    pub fn new(message: &Message<'_>, spares: &mut Spares) -> Self {
        let &Message { command, stream_id, body, token, .. } = message;
        Crossed::pack(command, stream_id, body, token, spares)
    }

    /// [`Crossed::new`] for the parts of a message, where it is made.
    #[inline(always)]
    pub fn pack(command: Command, stream_id: u16, body: &[u8], token: Option<Token>, spares: &mut Spares) -> Self {
        let bytes = (token.is_none() && !body.is_empty()).then(|| spares.take());
        let bytes = bytes.map(|mut buffer| {
            // No body is longer than a buffer: longer ones were refused when they were fed.
            let room = buffer.get_mut(..body.len());
            room.into_iter().for_each(|room| room.copy_from_slice(body));
            buffer
        });
        Crossed { command, stream_id, len: body.len() as u16, bytes, token }
    }

    /// The message again, on the other engine. `blank` stands for the body of a message with a token: only its length
    /// counts.
    pub fn message<'a>(&'a self, hop: u8, blank: &'a [u8]) -> Message<'a> {
        let bytes = self.bytes.as_ref().map_or(blank, |bytes| bytes.as_slice());
        let body = bytes.get(..usize::from(self.len)).unwrap_or(bytes);
        Message { command: self.command, hop, stream_id: self.stream_id, body, token: self.token }
    }

    /// Its body where it lies; nothing with a token.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let bytes = self.bytes.as_ref().and_then(|bytes| bytes.get(..usize::from(self.len)));
        bytes.unwrap_or_default()
    }

    /// Stream id.
    #[inline]
    pub fn stream_id(&self) -> u16 {
        self.stream_id
    }

    /// Length of the body in bytes.
    #[inline]
    pub fn body_len(&self) -> u16 {
        self.len
    }

    /// Takes the buffer with its body out, if it has one.
    #[inline]
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        self.bytes.take()
    }

    /// The message as the host gets it, with this number.
    pub fn delivery(&self, number: u64, leg: Id, tag: u64) -> Delivery {
        let &Crossed { command, stream_id, len, token, .. } = self;
        Delivery { number, leg, tag, command, stream_id, body_len: self.bytes().len() as u16, len, token }
    }

    /// Gives the buffer back for another message, once this one has been handled.
    #[inline]
    pub fn recycle(self, spares: &mut Spares) {
        self.bytes.into_iter().for_each(|buffer| spares.give(buffer));
    }

    /// The relay command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// What it costs to hold, in bytes, on either engine.
    pub fn cost(&self) -> u64 {
        cost_with(self.token)
    }

    /// The host's token, if it has one.
    pub fn token(&self) -> Option<Token> {
        self.token
    }
}

/// What a message costs to hold, with this token or a body.
#[inline]
pub fn cost_with(token: Option<Token>) -> u64 {
    token.map_or(COPY_COST, |token| token.cost.max(TOKEN_COST_MIN)).into()
}

impl Cargo for Up {
    fn cost(&self) -> u64 {
        match self {
            Up::Message(message) => message.cost(),
            _ => TOKEN_COST_MIN.into(),
        }
    }
}

impl Cargo for Down {
    fn cost(&self) -> u64 {
        match self {
            Down::Send { message, .. } => message.cost(),
            Down::Linked(_) => TOKEN_COST_MIN.into(),
        }
    }
}

impl Up {
    /// See [`Crossed::recycle`].
    pub fn recycle(self, spares: &mut Spares) {
        if let Up::Message(message) = self {
            message.recycle(spares);
        }
    }

    /// The relay command of the message in it, or of the one that it tells of.
    pub fn command(&self) -> Command {
        match self {
            Up::Message(message) => message.command(),
            Up::Switch(_) => Command::CONFLUX_SWITCH,
            Up::LinkedSent(_) => Command::CONFLUX_LINKED,
            Up::LinkedAck(_) => Command::CONFLUX_LINKED_ACK,
            Up::Directory { .. } => Command::BEGIN_DIR,
        }
    }

    /// The token of the message in it.
    pub fn token(&self) -> Option<Token> {
        match self {
            Up::Message(message) => message.token(),
            _ => None,
        }
    }
}

impl Down {
    /// See [`Crossed::recycle`].
    pub fn recycle(self, spares: &mut Spares) {
        if let Down::Send { message, .. } = self {
            message.recycle(spares);
        }
    }

    /// The relay command of the message in it.
    pub fn command(&self) -> Command {
        match self {
            Down::Send { message, .. } => message.command(),
            Down::Linked(_) => Command::CONFLUX_LINKED,
        }
    }

    /// The token of the message in it.
    pub fn token(&self) -> Option<Token> {
        match self {
            Down::Send { message, .. } => message.token(),
            Down::Linked(_) => None,
        }
    }
}

/// The token in what is left in a link, seen from the home.
pub fn token_up(left: Left<Up, Down>) -> Option<Token> {
    match left {
        Left::Unread(up) => up.token(),
        Left::Unsent(down) => down.token(),
    }
}

/// The token in what is left in a link, seen from the leg.
pub fn token_down(left: Left<Down, Up>) -> Option<Token> {
    match left {
        Left::Unread(down) => down.token(),
        Left::Unsent(up) => up.token(),
    }
}

/// The reason for a circuit whose set ended before the circuit could join.
pub const ENDED: u32 = 2;

/// The reason of a leg that goes with messages which its engine has acknowledged: its set cannot go on.
pub const LOST: u32 = 3;

/// The number that the other end of a link reads: why this end went.
pub fn reason(cause: Cause) -> u32 {
    match cause {
        Cause::Asked => 0,
        Cause::LegLost => 1,
        Cause::Finished => FINISHED,
        // A status, which is negative: its upper bits are set.
        Cause::Fault(fault) => fault.number() as u32,
    }
}

/// The cause behind a reason; an engine that was freed leaves no reason.
pub fn cause_of(reason: Option<u32>) -> Cause {
    match reason {
        Some(0) => Cause::Asked,
        Some(FINISHED) => Cause::Finished,
        Some(reason) => {
            // ENDED and LOST, where the caller has not handled them, count as a lost leg.
            let fault = Fault::ALL.iter().find(|&&fault| fault.number() as u32 == reason);
            fault.map_or(Cause::LegLost, |&fault| Cause::Fault(fault))
        }
        None => Cause::LegLost,
    }
}

const FINISHED: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_survives_the_crossing() {
        for &fault in Fault::ALL {
            assert_eq!(cause_of(Some(reason(Cause::Fault(fault)))), Cause::Fault(fault));
        }
        for one in [Cause::Asked, Cause::LegLost, Cause::Finished] {
            assert_eq!(cause_of(Some(reason(one))), one);
        }
        assert_eq!(cause_of(None), Cause::LegLost);
        assert_eq!(cause_of(Some(u32::MAX)), Cause::LegLost);
    }
}
