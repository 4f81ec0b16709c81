//! Relay messages as they come and as they are delivered, and the [`Store`] of [`Lane`]s where they wait in between.

mod bodies;
mod lanes;
mod store;

pub use bodies::{Bodies, Lend};
pub use lanes::Lanes;
pub use store::{cost_of, HeldPlace, Lane, Store, COPY_COST, NOTHING, TOKEN_COST_MIN};

use crate::base::Id;
use crate::wire::Command;

/// A relay message as the host feeds it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Relay command.
    pub command: Command,
    /// The hop it came from.
    pub hop: u8,
    /// Stream id, 0 for none.
    pub stream_id: u16,
    /// Its body. Copied only if the message has to be held and has no token.
    pub body: &'a [u8],
    /// The host's token, if the host keeps the message.
    pub token: Option<Token>,
}

/// A message without its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Relay command.
    pub command: Command,
    /// The hop it comes from, or goes to.
    pub hop: u8,
    /// Stream id, 0 for none.
    pub stream_id: u16,
    /// Length of the body in bytes.
    pub len: u16,
}

/// The fields that the first step of receiving looks at. It reads each where it needs it, and keeps none of them.
pub trait Fields {
    /// Relay command.
    fn command(&self) -> Command;
    /// The hop it came from.
    fn hop(&self) -> u8;
    /// Command and hop, as [`kind_of`] puts them together.
    #[inline(always)]
    fn kind(&self) -> u16 {
        kind_of(self.command(), self.hop())
    }
    /// Stream id, 0 for none.
    fn stream_id(&self) -> u16;
}

/// A command in the first byte, a hop in the second.
#[inline(always)]
pub const fn kind_of(command: Command, hop: u8) -> u16 {
    u16::from_ne_bytes([command.0, hop])
}

impl Fields for Message<'_> {
    fn command(&self) -> Command {
        self.command
    }

    fn hop(&self) -> u8 {
        self.hop
    }

    fn stream_id(&self) -> u16 {
        self.stream_id
    }
}

impl Message<'_> {
    /// The message without its body.
    pub fn head(&self) -> Head {
        let &Message { command, hop, stream_id, body, .. } = self;
        Head { command, hop, stream_id, len: body.len() as u16 }
    }
}

/// The host's name for a message that the host keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// The name: any number.
    pub token: u64,
    /// Bytes that the message costs while it is held, as the host says.
    pub cost: u32,
}

/// A message whose turn has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its absolute sequence number.
    pub number: u64,
    /// The leg it came on, or [`Id::NONE`] when that leg has gone.
    pub leg: Id,
    /// The host's tag of the leg.
    pub tag: u64,
    /// Relay command.
    pub command: Command,
    /// Stream id.
    pub stream_id: u16,
    /// Bytes of the body written to the buffer; 0 with a token.
    pub body_len: u16,
    /// Length of the body in bytes, whether written or not.
    pub len: u16,
    /// The host's token, which is handed back with this.
    pub token: Option<Token>,
}

/// The buffer is shorter than the body. Nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooSmall;
