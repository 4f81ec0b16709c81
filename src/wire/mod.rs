//! Translates between bytes and messages.
//!
//! This is the lowest floor that knows Tor: relay commands, the layout of a message in the 509 bytes of a cell, and the
//! bodies of the messages that this library handles itself. Nothing here keeps state, allocates, reads a clock or draws
//! randomness, and no input makes it panic.
//!
//! A cell is read in two steps, because most messages are passed on unread: [`cell::decode`] frames it, and the
//! `decode` of a message type then reads the body of that [`Relay`].
//!
//! All integers are big-endian. Bytes after the last field of a body are ignored everywhere: C Tor before 0.4.9.5 sent
//! a SWITCH with the maximum length and a tail of zeros (tor#41056), and later versions of a message may be longer.

pub mod cell;
pub mod command;
pub mod conflux;
pub mod fault;
pub mod flow;
pub mod padding;
pub mod sendme;

pub use cell::{Format, Relay, BODY_MAX, BODY_MAX_ALL, CELL_BODY_LEN};
pub use command::{Command, StreamRule};
pub use conflux::{Link, Nonce, Switch, Ux};
pub use flow::{Xoff, Xon};
pub use padding::{Negotiate, Negotiated, PaddingCommand, Response};
pub use sendme::{Digest, Sendme};

/// The reason why bytes are not a message, or why a message cannot be written.
///
/// The reasons are for logs and tests. All of them get the same answer, so nothing may depend on which of two faults in
/// one message is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The body ends inside a field.
    Short,
    /// A version byte names a layout we do not know.
    Version,
    /// A field has a value that is not allowed.
    Value,
    /// The length field exceeds what the format can carry.
    Length,
    /// Format v1: the command is unknown, and so is the place where the body begins.
    Command,
    /// The stream id is zero where one is needed, or set where none may be.
    StreamId,
    /// A DATA message without data.
    Empty,
}

/// Takes the next `N` bytes of a body. The bytes are borrowed, so that no copy of a nonce is left behind.
fn take<const N: usize>(body: &[u8]) -> Result<(&[u8; N], &[u8]), Malformed> {
    body.split_first_chunk().ok_or(Malformed::Short)
}

/// Takes the version byte that begins a body, and returns what follows it.
fn take_version(body: &[u8], known: u8) -> Result<&[u8], Malformed> {
    let (&[version], rest) = take(body)?;
    if version == known {
        Ok(rest)
    } else {
        Err(Malformed::Version)
    }
}
