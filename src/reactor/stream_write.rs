//! STREAM WRITE (R3): what a message does to its stream before the host writes it there. It comes in order: in a set,
//! after the controller.

use super::commands::Part;
use super::stream::{Flow, Known, Owner, Stream, Streams};
use crate::base::{Arena, Id, Nanos};
use crate::congestion::flow::Say;
use crate::congestion::Params;
use crate::wire::fault::Fault;
use crate::wire::flow::{Xoff, Xon};
use crate::wire::Command;

/// What becomes of a message of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// The host writes it to the stream, and we have something to say to the other end.
    Deliver {
        /// The stream.
        stream: Id,
        /// What the host calls it.
        tag: u64,
        /// XOFF.
        say: Option<Say>,
    },
    /// It was the last message of the stream.
    Last {
        /// The stream that was.
        stream: Id,
        /// What the host called the stream.
        tag: u64,
    },
    /// It was flow control, or of a stream that we have closed. True when the stream may send again.
    Consume {
        /// The stream that may be read again, if one may.
        resumes: Option<Id>,
    },
    /// A stream is not to be: answer END with this reason.
    Refuse {
        /// END reason (tor-spec §6.3).
        reason: u8,
    },
}

/// What STREAM WRITE needs to know besides the message.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The part we play.
    pub part: Part,
    /// Parameters of flow control.
    pub params: &'a Params,
    /// Cap on streams of this owner.
    pub streams_max: u32,
    /// Cap on bytes in the host's buffer of a stream.
    pub stream_bytes_max: u32,
    /// The clock of the circuit's window has stood still: no rate is measured.
    pub clock_broken: bool,
}

impl Rules<'_> {
    fn flow(&self) -> Flow<'_> {
        Flow { params: self.params, is_relay: self.part.is_relay(), bytes_max: self.stream_bytes_max }
    }
}

/// A message of a stream, of which only XON needs the body.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Relay command.
    pub command: Command,
    /// Stream id.
    pub stream_id: u16,
    /// The hop it came from.
    pub hop: u8,
    /// Length of its body.
    pub len: u16,
    /// Its body, when there is one at hand.
    pub body: &'a [u8],
}

/// DATA, of which nothing else counts.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// The hop it came from.
    pub hop: u8,
    /// Stream id.
    pub stream_id: u16,
    /// Length of its body.
    pub len: u16,
}

/// DATA for the host to write to an open stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The stream.
    pub stream: Id,
    /// What the host calls it.
    pub tag: u64,
    /// What follows for the other end.
    pub say: Option<Say>,
}

/// REASON_RESOURCELIMIT of END (tor-spec §6.3), which is not that of DESTROY.
const END_RESOURCELIMIT: u8 = 11;

impl Streams {
    /// A message came for a stream.
    pub fn write(
        &mut self,
        arena: &mut Arena<Stream>,
        owner: Owner,
        rules: &Rules<'_>,
        now: Nanos,
        message: &Incoming<'_>,
    ) -> Result<Write, Fault> {
        let opens = matches!(message.command, Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE);
        let id = match self.known(message.hop, message.stream_id, now) {
            Known::Open(_) if opens => return Err(Fault::StreamTwice),
            Known::Open(id) => id,
            Known::Closed | Known::Never if opens => return Ok(self.open(arena, owner, rules, message)),
            // The other end did not know yet. Its own END is its last word.
            Known::Closed => {
                if matches!(message.command, Command::END | Command::RESOLVED) {
                    self.free(message.hop, message.stream_id);
                }
                return Ok(Write::Consume { resumes: None });
            }
            // A relay may have forgotten what a slow client still sends; a client knows its own streams.
            Known::Never if rules.part.is_relay() => return Ok(Write::Consume { resumes: None }),
            Known::Never => return Err(Fault::UnknownStream),
        };
        match message.command {
            Command::DATA => Self::data(arena, id, rules, now, message.len),
            Command::XOFF => {
                Xoff::decode(message.body).map_err(|_| Fault::BadFlow)?;
                let Some(stream) = arena.get_mut(id) else { return Err(Fault::UnknownStream) };
                stream.said.xoffs_received = stream.said.xoffs_received.saturating_add(1);
                judge(stream.outgoing.handle_xoff(), rules.part)?;
                Ok(Write::Consume { resumes: None })
            }
            Command::XON => {
                let xon = Xon::decode(message.body).map_err(|_| Fault::BadFlow)?;
                let Some(stream) = arena.get_mut(id) else { return Err(Fault::UnknownStream) };
                stream.said.xons_received = stream.said.xons_received.saturating_add(1);
                judge(stream.outgoing.handle_xon(now, xon.kbps), rules.part)?;
                Ok(Write::Consume { resumes: Some(id) })
            }
            Command::END | Command::RESOLVED => {
                let tag = self.close(arena, id, None).map_or(0, |stream| stream.tag);
                Ok(Write::Last { stream: id, tag })
            }
            _ => {
                let tag = arena.get(id).map_or(0, |stream| stream.tag);
                Ok(Write::Deliver { stream: id, tag, say: None })
            }
        }
    }

    /// A stream has ended here (`until`: how long to remember it) or at the other end (no need to).
    pub fn close(&mut self, arena: &mut Arena<Stream>, id: Id, until: Option<Nanos>) -> Option<Stream> {
        let stream = arena.remove(id)?;
        self.remove(&stream, id, until);
        Some(stream)
    }

    /// The common case of DATA: its stream is open, and there is room in the host's buffer. No answer means that
    /// nothing changed.
    #[inline(always)]
    pub fn take_data(
        &mut self,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &Data,
        params: &Params,
        clock_broken: bool,
    ) -> Option<Written> {
        let id = self.find(data.hop, data.stream_id)?;
        let stream = arena.get_mut(id)?;
        let say = stream.incoming.delivered(now, data.len.into(), params, clock_broken).ok()?;
        stream.said.buffered_peak = stream.said.buffered_peak.max(stream.incoming.buffered());
        Some(Written { stream: id, tag: stream.tag, say })
    }

    fn data(arena: &mut Arena<Stream>, id: Id, rules: &Rules<'_>, now: Nanos, len: u16) -> Result<Write, Fault> {
        let Some(stream) = arena.get_mut(id) else { return Err(Fault::UnknownStream) };
        let said = stream.incoming.delivered(now, u32::from(len), rules.params, rules.clock_broken);
        let say = said.map_err(|_| Fault::StreamMemory)?;
        stream.said.buffered_peak = stream.said.buffered_peak.max(stream.incoming.buffered());
        Ok(Write::Deliver { stream: id, tag: stream.tag, say })
    }

    fn open(&mut self, arena: &mut Arena<Stream>, owner: Owner, rules: &Rules<'_>, message: &Incoming<'_>) -> Write {
        if self.len() >= rules.streams_max as usize {
            return Write::Refuse { reason: END_RESOURCELIMIT };
        }
        match arena.insert(Stream::new(owner, message.hop, message.stream_id, &rules.flow())) {
            Ok(id) => {
                self.insert(message.hop, message.stream_id, id);
                Write::Deliver { stream: id, tag: 0, say: None }
            }
            Err(_) => Write::Refuse { reason: END_RESOURCELIMIT },
        }
    }
}

/// Limits on XOFF and XON protect a client from an exit that would mark its traffic (prop324 §4.1.4). A relay has
/// nobody to protect, and clients of other makes may be less exact.
fn judge<E>(heard: Result<(), E>, part: Part) -> Result<(), Fault> {
    match heard {
        Err(_) if !part.is_relay() => Err(Fault::FlowAbuse),
        _ => Ok(()),
    }
}
