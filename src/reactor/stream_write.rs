//! STREAM WRITE (R3): what a message does to its stream before the host writes it there. It comes in order: in a set,
//! after the controller.

use super::ended::Past;
use super::route::Part;
use super::stream::{Flow, Known, Owner, Phase, Stream, Streams};
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
    /// It was XOFF: nothing of this stream goes out before XON.
    Stop {
        /// The stream.
        stream: Id,
    },
    /// Nothing explains it, and it does no harm: it is dropped.
    Drop,
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
pub struct StreamMessage<'a> {
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
pub struct DataHead {
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
        message: &StreamMessage<'_>,
    ) -> Result<Write, Fault> {
        let opens = matches!(message.command, Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE);
        let id = match self.known(message.hop, message.stream_id, now) {
            Known::Open(_) if opens => return Err(Fault::StreamTwice),
            Known::Open(id) => id,
            _ if opens => return Ok(self.open(arena, owner, rules, message)),
            Known::Ended(past) => return self.late(past, message),
            // A relay may have forgotten what a slow client still sends; a client knows its own streams.
            Known::Never if rules.part.is_relay() => return Ok(Write::Consume { resumes: None }),
            Known::Never => return Err(Fault::UnknownStream),
        };
        let Some(stream) = arena.get_mut(id) else { return Err(Fault::UnknownStream) };
        match (message.command, stream.phase) {
            // The other end cannot know of it.
            (_, phase) if !phase.is_said() => Err(Fault::UnknownStream),
            (Command::DATA, Phase::Resolving) => Ok(Write::Drop),
            (Command::DATA, _) => Self::data(stream, id, rules, now, message.len),
            (Command::XOFF, _) => {
                Xoff::decode(message.body).map_err(|_| Fault::BadFlow)?;
                stream.said.xoffs_received = stream.said.xoffs_received.saturating_add(1);
                judge(stream.outgoing.handle_xoff(), rules.part)?;
                Ok(Write::Stop { stream: id })
            }
            (Command::XON, _) => {
                let xon = Xon::decode(message.body).map_err(|_| Fault::BadFlow)?;
                stream.said.xons_received = stream.said.xons_received.saturating_add(1);
                judge(stream.outgoing.handle_xon(now, xon.kbps), rules.part)?;
                Ok(Write::Consume { resumes: Some(id) })
            }
            (Command::CONNECTED, Phase::Begun) => {
                let tag = stream.tag;
                self.enter(stream, id, Phase::Connected);
                Ok(Write::Deliver { stream: id, tag, say: None })
            }
            (Command::END, _) | (Command::RESOLVED, Phase::Resolving) => {
                let tag = self.close(arena, id, now).map_or(0, |stream| stream.tag);
                Ok(Write::Last { stream: id, tag })
            }
            // CONNECTED twice, or to RESOLVE; RESOLVED to BEGIN.
            _ => Ok(Write::Drop),
        }
    }

    /// A message came for a stream that has ended here, at a client. END and RESOLVED are the other end's last word;
    /// until then it may be silent for ever.
    fn late(&mut self, past: Past, message: &StreamMessage<'_>) -> Result<Write, Fault> {
        match message.command {
            _ if !past.said => return Err(Fault::UnknownStream),
            Command::DATA => {}
            Command::XOFF => Xoff::decode(message.body).map(|_| ()).map_err(|_| Fault::BadFlow)?,
            Command::XON => Xon::decode(message.body).map(|_| ()).map_err(|_| Fault::BadFlow)?,
            Command::CONNECTED if !past.connected => self.late_connected(message.hop, message.stream_id),
            Command::END | Command::RESOLVED => self.free(message.hop, message.stream_id),
            _ => return Err(Fault::UnknownStream),
        }
        Ok(Write::Consume { resumes: None })
    }

    /// The host sends BEGIN or RESOLVE on a stream that it has opened; it has left, or waits behind padding.
    pub fn ask(&mut self, arena: &mut Arena<Stream>, id: Id, resolves: bool, left: bool) {
        let Some(stream) = arena.get_mut(id).filter(|stream| stream.phase == Phase::Unasked) else { return };
        let phase = match (resolves, left) {
            (false, false) => Phase::BeginHeld,
            (true, false) => Phase::ResolveHeld,
            (false, true) => Phase::Begun,
            (true, true) => Phase::Resolving,
        };
        self.enter(stream, id, phase);
    }

    /// A message that waited behind padding has left: BEGIN or RESOLVE (`opens`), or our END.
    pub fn left(&mut self, arena: &mut Arena<Stream>, hop: u8, stream_id: u16, opens: bool, now: Nanos, until: Nanos) {
        match self.known(hop, stream_id, now) {
            Known::Open(id) if opens => {
                let Some(stream) = arena.get_mut(id) else { return };
                match stream.phase {
                    Phase::BeginHeld => self.enter(stream, id, Phase::Begun),
                    Phase::ResolveHeld => self.enter(stream, id, Phase::Resolving),
                    _ => {}
                }
            }
            Known::Ended(past) => {
                let past = Past { said: past.said || opens, ended: past.ended || !opens, ..past };
                self.remember(hop, stream_id, past, now, until);
            }
            _ => {}
        }
    }

    /// A stream has ended at the other end, and so here.
    fn close(&mut self, arena: &mut Arena<Stream>, id: Id, now: Nanos) -> Option<Stream> {
        let stream = arena.remove(id)?;
        self.remove(&stream, id, now);
        self.free(stream.hop, stream.stream_id);
        Some(stream)
    }

    /// A stream has ended here. Our END has left, or waits behind padding; with a time, the stream is remembered until
    /// then, if the other end may know of it.
    pub fn end(&mut self, arena: &mut Arena<Stream>, id: Id, left: bool, now: Nanos, until: Option<Nanos>) {
        let Some(stream) = arena.remove(id) else { return };
        self.remove(&stream, id, now);
        match (until, stream.phase.past(left)) {
            (Some(until), Some(past)) => self.remember(stream.hop, stream.stream_id, past, now, until),
            _ => self.free(stream.hop, stream.stream_id),
        }
    }

    /// The common case of DATA: its stream is open, and there is room in the host's buffer. No answer means that
    /// nothing changed.
    #[inline(always)]
    pub fn take_data(
        &mut self,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &DataHead,
        params: &Params,
        clock_broken: bool,
    ) -> Option<Written> {
        let id = self.find(data.hop, data.stream_id)?;
        let stream = arena.get_mut(id)?;
        let say = stream.incoming.delivered(now, data.len.into(), params, clock_broken).ok()?;
        stream.said.buffered_peak = stream.said.buffered_peak.max(stream.incoming.buffered());
        Some(Written { stream: id, tag: stream.tag, say })
    }

    fn data(stream: &mut Stream, id: Id, rules: &Rules<'_>, now: Nanos, len: u16) -> Result<Write, Fault> {
        let said = stream.incoming.delivered(now, u32::from(len), rules.params, rules.clock_broken);
        let say = said.map_err(|_| Fault::StreamMemory)?;
        stream.said.buffered_peak = stream.said.buffered_peak.max(stream.incoming.buffered());
        Ok(Write::Deliver { stream: id, tag: stream.tag, say })
    }

    fn open(
        &mut self,
        arena: &mut Arena<Stream>,
        owner: Owner,
        rules: &Rules<'_>,
        message: &StreamMessage<'_>,
    ) -> Write {
        if !rules.part.is_relay() {
            self.keep_place(message.hop, message.stream_id);
        }
        if self.len() >= rules.streams_max as usize {
            return Write::Refuse { reason: END_RESOURCELIMIT };
        }
        match arena.insert(Stream::new(owner, message.hop, message.stream_id, &rules.flow())) {
            Ok(id) => {
                arena.get(id).into_iter().for_each(|stream| self.insert(stream, id));
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
