//! One relay message in the 509 bytes of a cell body.

use super::{Command, Malformed, StreamRule};
use std::fmt;

/// The layout of a cell body. The two ends agree on one when the circuit is extended to a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// command 1 · recognized 2 · stream id 2 · digest 4 · length 2 · body (tor-spec §6.1).
    V0,
    /// tag 16 · command 1 · length 2 · stream id 2, for some commands only · body (Counter Galois Onion).
    V1,
}

/// A framed relay message. Its body has not been read yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Relay<'a> {
    /// The kind of message.
    pub command: Command,
    /// The stream it belongs to; 0 for the circuit itself.
    pub stream_id: u16,
    /// The payload, as long as the length field says.
    pub body: &'a [u8],
}

/// Frames the message in a decrypted cell.
///
/// `recognized`, digest and tag are not looked at: the crypto layer has checked them before. The stream id is checked
/// against the command in both formats. Other decoders leave that check in v0 to their caller; then a LINK that names a
/// stream, or a DATA that names none, reaches code that does not expect it.
///
/// In v0 the caller handles a command that is unknown here. In v1 such a command makes the cell unreadable, as only the
/// command tells whether a stream id stands before the body.
#[inline]
pub fn decode(format: Format, cell: &[u8; CELL_BODY_LEN]) -> Result<Relay<'_>, Malformed> {
    let (command, stream_id, length, room): (_, _, _, &[u8]) = match format {
        Format::V0 => {
            let [command, _, _, s0, s1, _, _, _, _, l0, l1, room @ ..] = cell;
            (Command(*command), [*s0, *s1], [*l0, *l1], room)
        }
        Format::V1 => {
            let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, command, l0, l1, rest @ ..] = cell;
            let command = Command(*command);
            if command.has_v1_stream_field() {
                let [s0, s1, room @ ..] = rest;
                (command, [*s0, *s1], [*l0, *l1], room)
            } else {
                (command, [0, 0], [*l0, *l1], rest)
            }
        }
    };
    let stream_id = u16::from_be_bytes(stream_id);
    let body_len = usize::from(u16::from_be_bytes(length));
    check(format, command, stream_id, body_len)?;
    let body = room.get(..body_len).ok_or(Malformed::Length)?;
    Ok(Relay { command, stream_id, body })
}

/// Writes a message into a cell, which the crypto layer completes: `recognized`, digest and tag are zeroed.
///
/// Returns the offset at which the caller's random padding begins. Four zero bytes follow the body, or as many as fit
/// (tor-spec §6.1). From the offset on `out` is left as it was, as this library has no randomness of its own. The
/// padding must be random: it makes the tag of a SENDME impossible to compute without the cell (prop289).
///
/// On an error, `out` is unchanged.
#[inline]
pub fn encode(format: Format, msg: &Relay<'_>, out: &mut [u8; CELL_BODY_LEN]) -> Result<usize, Malformed> {
    check(format, msg.command, msg.stream_id, msg.body.len())?;
    let (body, rest) = put_header(format, msg, out)
        .and_then(|room| room.split_at_mut_checked(msg.body.len()))
        .ok_or(Malformed::Length)?;
    body.copy_from_slice(msg.body);
    let zeros = rest.len().min(ZEROS_AFTER_BODY);
    rest.iter_mut().take(zeros).for_each(|byte| *byte = 0);
    Ok(CELL_BODY_LEN - rest.len() + zeros)
}

impl Format {
    /// The longest body of a message with this command, in bytes.
    #[inline]
    pub const fn body_max(self, command: Command) -> usize {
        CELL_BODY_LEN - self.header_len(command)
    }

    /// The offset of the body of a message with this command, in bytes.
    #[inline]
    pub const fn header_len(self, command: Command) -> usize {
        match self {
            Self::V0 => 11,
            Self::V1 if command.has_v1_stream_field() => 21,
            Self::V1 => 19,
        }
    }
}

/// Shows the length of the body, not its bytes: they may be a nonce, or a user's data.
impl fmt::Debug for Relay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("command", &self.command)
            .field("stream_id", &self.stream_id)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Checks the rules for both directions: we refuse to write what we would refuse to read.
#[inline]
fn check(format: Format, command: Command, stream_id: u16, body_len: usize) -> Result<(), Malformed> {
    let has_field = match format {
        Format::V0 => true,
        Format::V1 if !command.is_known() => return Err(Malformed::Command),
        Format::V1 => command.has_v1_stream_field(),
    };
    let stream_id_fits = match command.stream_rule() {
        StreamRule::Needed => stream_id != 0,
        StreamRule::Forbidden => stream_id == 0,
        StreamRule::Either => stream_id == 0 || has_field,
    };
    if !stream_id_fits {
        return Err(Malformed::StreamId);
    }
    if body_len > format.body_max(command) {
        return Err(Malformed::Length);
    }
    // It would take a number and a place in a window but carry nothing: of use only to waste our time.
    if command == Command::DATA && body_len == 0 {
        return Err(Malformed::Empty);
    }
    Ok(())
}

/// Writes the header and returns the room behind it. `None` cannot happen: a cell is longer than any header.
#[inline]
fn put_header<'o>(format: Format, msg: &Relay<'_>, out: &'o mut [u8; CELL_BODY_LEN]) -> Option<&'o mut [u8]> {
    let command = msg.command.0;
    let [s0, s1] = msg.stream_id.to_be_bytes();
    let [.., l0, l1] = msg.body.len().to_be_bytes(); // `check` has seen that it fits
    match format {
        Format::V0 => {
            let (header, room) = out.split_first_chunk_mut()?;
            *header = [command, 0, 0, s0, s1, 0, 0, 0, 0, l0, l1];
            Some(room)
        }
        Format::V1 => {
            let (tag, rest) = out.split_first_chunk_mut()?;
            *tag = [0; 16];
            let (header, rest) = rest.split_first_chunk_mut()?;
            *header = [command, l0, l1];
            if !msg.command.has_v1_stream_field() {
                return Some(rest);
            }
            let (stream_id, room) = rest.split_first_chunk_mut()?;
            *stream_id = [s0, s1];
            Some(room)
        }
    }
}

/// The length of a cell's body in bytes. One relay message fills it.
pub const CELL_BODY_LEN: usize = 509;

/// The longest body in any format: that of v0. A buffer of this size holds every message.
pub const BODY_MAX: usize = Format::V0.body_max(Command::DATA);

/// The longest body that fits in all formats. DATA is cut to it, and flow control counts in it (prop324 §4.1).
pub const BODY_MAX_ALL: usize = Format::V1.body_max(Command::DATA);

/// Zero bytes between the body and the random padding, which leave room for an extension of the format.
const ZEROS_AFTER_BODY: usize = 4;

const _: () = assert!(BODY_MAX == 498 && BODY_MAX_ALL == 488);

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(command: Command, stream_id: u16, body: &[u8]) -> Relay<'_> {
        Relay { command, stream_id, body }
    }

    #[test]
    fn an_error_changes_nothing() {
        let long = [7; BODY_MAX + 1];
        let refused = [
            (Format::V0, relay(Command::DROP, 0, &long), Malformed::Length),
            (Format::V0, relay(Command::DATA, 1, b""), Malformed::Empty),
            (Format::V0, relay(Command::DATA, 0, b"x"), Malformed::StreamId),
            (Format::V0, relay(Command::CONFLUX_LINK, 9, b"x"), Malformed::StreamId),
            (Format::V1, relay(Command::DATA, 1, &long[..489]), Malformed::Length),
            (Format::V1, relay(Command::DROP, 0, &long[..491]), Malformed::Length),
            (Format::V1, relay(Command::SENDME, 42, b""), Malformed::StreamId),
            (Format::V1, relay(Command(16), 1, b""), Malformed::Command),
        ];
        for (format, msg, why) in refused {
            let mut out = [0xaa; CELL_BODY_LEN];
            assert_eq!(encode(format, &msg, &mut out), Err(why), "{msg:?}");
            assert_eq!(out, [0xaa; CELL_BODY_LEN], "{msg:?}");
        }
    }

    #[test]
    fn zeros_follow_the_body_as_far_as_they_fit() {
        let body = [7; BODY_MAX];
        for len in BODY_MAX - 5..=BODY_MAX {
            let mut out = [0xaa; CELL_BODY_LEN];
            let padding = encode(Format::V0, &relay(Command::DROP, 0, &body[..len]), &mut out);
            assert_eq!(padding, Ok((11 + len + 4).min(CELL_BODY_LEN)));
            assert_eq!(out.iter().filter(|&&byte| byte == 0xaa).count(), (BODY_MAX - len).saturating_sub(4));
        }
    }

    #[test]
    fn debug_does_not_show_the_body() {
        let shown = format!("{:?}", relay(Command::CONFLUX_LINK, 0, &[0xcd; 50]));
        assert_eq!(shown, "Relay { command: CONFLUX_LINK, stream_id: 0, body_len: 50 }");
    }
}
