//! STREAM WRITE (R3): handles a message of a stream before the host writes it there. Messages come in order: in a set,
//! the controller has ordered them.

use super::ended::Past;
use super::route::Part;
use super::stream::{Flow, Known, Owner, Phase, Stream, Streams};
use crate::base::{Arena, Id, Nanos};
use crate::congestion::flow::FlowMessage;
use crate::congestion::Params;
use crate::wire::fault::Fault;
use crate::wire::flow::{Xoff, Xon};
use crate::wire::Command;

/// Decision about a message of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// The host writes the message to the stream.
    Deliver {
        /// The stream.
        stream: Id,
        /// The host's tag of the stream.
        tag: u64,
        /// XOFF to send to the other end, if one is due.
        say: Option<FlowMessage>,
    },
    /// The host gets the message, which was the stream's last.
    Last {
        /// The stream, which is gone.
        stream: Id,
        /// The host's tag of the stream.
        tag: u64,
    },
    /// The message was XON, or belongs to a stream that has ended here: the host does not get it.
    Consume {
        /// The stream that may be read again, after XON.
        resumes: Option<Id>,
    },
    /// The message was XOFF: the stream sends no DATA before XON.
    Stop {
        /// The stream.
        stream: Id,
    },
    /// The message has no meaning in the stream's phase, and does no harm: drop it.
    Drop,
    /// The stream is refused: answer END.
    Refuse {
        /// END reason (tor-spec §6.3).
        reason: u8,
    },
}

/// The rules by which STREAM WRITE handles a message.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The part that this end plays.
    pub part: Part,
    /// Parameters of flow control.
    pub params: &'a Params,
    /// Cap on streams of this owner.
    pub streams_max: u32,
    /// Cap on bytes in the host's buffer of a stream.
    pub stream_bytes_max: u32,
    /// The clock of the circuit's window stood still: no rate is measured.
    pub clock_broken: bool,
}

impl Rules<'_> {
    fn flow(&self) -> Flow<'_> {
        Flow { params: self.params, is_relay: self.part.is_relay(), bytes_max: self.stream_bytes_max }
    }
}

/// A message of a stream. Only XOFF and XON need the body.
#[derive(Clone, Copy, Debug)]
pub struct StreamMessage<'a> {
    /// Relay command.
    pub command: Command,
    /// Stream id.
    pub stream_id: u16,
    /// The hop it came from.
    pub hop: u8,
    /// Length of its body in bytes.
    pub len: u16,
    /// Its body; may be empty when the host keeps it as a token.
    pub body: &'a [u8],
}

/// The parts of a DATA message that flow control needs.
#[derive(Clone, Copy, Debug)]
pub struct DataHead {
    /// The hop it came from.
    pub hop: u8,
    /// Stream id.
    pub stream_id: u16,
    /// Length of its body in bytes.
    pub len: u16,
}

/// DATA that the host has to write to an open stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The stream.
    pub stream: Id,
    /// The host's tag of the stream.
    pub tag: u64,
    /// XOFF to send to the other end, if one is due.
    pub say: Option<FlowMessage>,
}

/// REASON_RESOURCELIMIT of END (tor-spec §6.3); DESTROY has another number for it.
const END_RESOURCELIMIT: u8 = 11;

impl Streams {
    /// Handles a message that came for a stream.
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
            // A relay does not remember closed streams, and a slow client may still send; a client knows its streams.
            Known::Never if rules.part.is_relay() => return Ok(Write::Consume { resumes: None }),
            Known::Never => return Err(Fault::UnknownStream),
        };
        let Some(stream) = arena.get_mut(id) else { return Err(Fault::UnknownStream) };
        match (message.command, stream.phase) {
            // The other end cannot know the stream yet.
            (_, phase) if !phase.is_opened() => Err(Fault::UnknownStream),
            (Command::DATA, Phase::Resolving) => Ok(Write::Drop),
            (Command::DATA, _) => Self::data(stream, id, rules, now, message.len),
            (Command::XOFF, _) => {
                Xoff::decode(message.body).map_err(|_| Fault::BadFlow)?;
                stream.flow_stats.xoffs_received = stream.flow_stats.xoffs_received.saturating_add(1);
                judge(stream.outgoing.handle_xoff(), rules.part)?;
                Ok(Write::Stop { stream: id })
            }
            (Command::XON, _) => {
                let xon = Xon::decode(message.body).map_err(|_| Fault::BadFlow)?;
                stream.flow_stats.xons_received = stream.flow_stats.xons_received.saturating_add(1);
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
            // A second CONNECTED, CONNECTED to RESOLVE, or RESOLVED to BEGIN.
            _ => Ok(Write::Drop),
        }
    }

    /// Handles a message for a stream that has ended here, at a client. END and RESOLVED are the other end's last
    /// messages: then the stream is forgotten.
    fn late(&mut self, past: Past, message: &StreamMessage<'_>) -> Result<Write, Fault> {
        match message.command {
            _ if !past.opened => return Err(Fault::UnknownStream),
            Command::DATA => {}
            Command::XOFF => Xoff::decode(message.body).map(|_| ()).map_err(|_| Fault::BadFlow)?,
            Command::XON => Xon::decode(message.body).map(|_| ()).map_err(|_| Fault::BadFlow)?,
            Command::CONNECTED if !past.connected => self.late_connected(message.hop, message.stream_id),
            Command::END | Command::RESOLVED => self.free(message.hop, message.stream_id),
            _ => return Err(Fault::UnknownStream),
        }
        Ok(Write::Consume { resumes: None })
    }

    /// Notes that the host sends BEGIN or RESOLVE (`resolves`) on a stream that it has opened. The message has left, or
    /// waits behind padding.
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

    /// Notes that a message that waited behind padding has left: BEGIN or RESOLVE (`opens`), or our END.
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
                let past = Past { opened: past.opened || opens, ended: past.ended || !opens, ..past };
                self.remember(hop, stream_id, past, now, until);
            }
            _ => {}
        }
    }

    /// Removes a stream that the other end has ended.
    fn close(&mut self, arena: &mut Arena<Stream>, id: Id, now: Nanos) -> Option<Stream> {
        let stream = arena.remove(id)?;
        self.remove(&stream, id, now);
        self.free(stream.hop, stream.stream_id);
        Some(stream)
    }

    /// Removes a stream that has ended here. Our END has left, or waits behind padding. If the other end may know the
    /// stream, it is remembered until `until`; none does not remember it.
    pub fn end(&mut self, arena: &mut Arena<Stream>, id: Id, left: bool, now: Nanos, until: Option<Nanos>) {
        let Some(stream) = arena.remove(id) else { return };
        self.remove(&stream, id, now);
        match (until, stream.phase.past(left)) {
            (Some(until), Some(past)) => self.remember(stream.hop, stream.stream_id, past, now, until),
            _ => self.free(stream.hop, stream.stream_id),
        }
    }

    /// The common case of DATA: counts it when its stream is open and the host's buffer has room. `USUAL`: only when
    /// the stream had the last DATA, too, and its buffer holds less than comes in one burst, for which no function has
    /// to be called. Returns none, and changes nothing, in any other case.
    #[inline(always)]
    pub fn take_data<const USUAL: bool>(
        &mut self,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &DataHead,
        params: &Params,
        clock_broken: bool,
    ) -> Option<Written> {
        let (hop, stream_id, len) = (data.hop, data.stream_id, data.len.into());
        let id = if USUAL { self.recent(hop, stream_id) } else { self.find(hop, stream_id) }?;
        let stream = arena.get_mut(id)?;
        let say = if USUAL {
            stream.incoming.deliver_few(len, params).then_some(None)?
        } else {
            stream.incoming.delivered(now, len, params, clock_broken).ok()?
        };
        stream.flow_stats.buffered_peak = stream.flow_stats.buffered_peak.max(stream.incoming.buffered());
        Some(Written { stream: id, tag: stream.tag, say })
    }

    fn data(stream: &mut Stream, id: Id, rules: &Rules<'_>, now: Nanos, len: u16) -> Result<Write, Fault> {
        let delivered = stream.incoming.delivered(now, u32::from(len), rules.params, rules.clock_broken);
        let say = delivered.map_err(|_| Fault::StreamMemory)?;
        stream.flow_stats.buffered_peak = stream.flow_stats.buffered_peak.max(stream.incoming.buffered());
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

/// Returns the fault of an XOFF or XON that breaks the limits. The limits protect a client from an exit that marks its
/// traffic (prop324 §4.1.4); a relay does not enforce them, as other clients may be less exact.
fn judge<E>(heard: Result<(), E>, part: Part) -> Result<(), Fault> {
    match heard {
        Err(_) if !part.is_relay() => Err(Fault::FlowAbuse),
        _ => Ok(()),
    }
}
