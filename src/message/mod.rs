//! A message, as it comes and as its turn comes, and where it waits in between: a [`Store`] of [`Lane`]s.

mod lanes;
mod store;

pub use lanes::Lanes;
pub use store::{cost_of, Lane, Store, COPY_COST, NOTHING, TOKEN_COST_MIN};

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
    /// Its bytes, copied only if it has to be held without a token.
    pub body: &'a [u8],
    /// The host keeps the message, and this is its name.
    pub token: Option<Token>,
}

/// What is known of a message before its body is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Relay command.
    pub command: Command,
    /// The hop it comes from, or goes to.
    pub hop: u8,
    /// Stream id, 0 for none.
    pub stream_id: u16,
    /// Length of its body.
    pub len: u16,
}

impl Message<'_> {
    /// All but its body.
    pub fn head(&self) -> Head {
        let &Message { command, hop, stream_id, body, .. } = self;
        Head { command, hop, stream_id, len: body.len() as u16 }
    }
}

/// A host's name for a message that stays the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// Any number.
    pub token: u64,
    /// Bytes the host says it costs to hold.
    pub cost: u32,
}

/// A message whose turn has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its absolute number.
    pub number: u64,
    /// The leg it came on, or none when that has gone.
    pub leg: Id,
    /// What the host calls the leg.
    pub tag: u64,
    /// Relay command.
    pub command: Command,
    /// Stream id.
    pub stream_id: u16,
    /// Bytes written to the buffer; 0 with a token.
    pub body_len: u16,
    /// Length of the body, wherever it is.
    pub len: u16,
    /// The host's token, the host's again.
    pub token: Option<Token>,
}

/// The buffer is too short for the message; nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooSmall;
