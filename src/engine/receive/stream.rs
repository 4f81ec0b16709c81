//! Receiving for a stream, in order.

use crate::base::{Id, Nanos};
use crate::conflux::Fault;
use crate::engine::stream::{ended, side};
use crate::engine::{Engine, Error, Verdict, VerdictKind};
use crate::event::{Class, Event};
use crate::reactor::{Owner, Rules, StreamMessage, Write};
use crate::wire::Command;

impl Engine {
    /// Takes a message for a stream, in order, on circuits and sets that circflow runs.
    pub(in crate::engine) fn write_stream(
        &mut self,
        now: Nanos,
        owner: Owner,
        circuit: Id,
        message: &StreamMessage<'_>,
        verdict: Verdict,
    ) -> Result<Verdict, Error> {
        if opens(message.command) {
            match self.ensure_place(owner, message.hop, message.stream_id) {
                Ok(closed) => self.outlived(owner.id(), closed)?,
                Err(fault) => return Err(self.stream_fault(owner, circuit, fault)),
            }
        }
        match self.write_in(now, owner, message) {
            Ok(Write::Deliver { stream, tag, say }) => {
                if self.wants(Class::Streams) && opens(message.command) {
                    self.note(Event::StreamOpened { owner: owner.id(), stream, by_peer: 1 });
                }
                if let Some(say) = say {
                    self.send_own_flow(owner, stream, say, now);
                }
                Ok(Verdict { stream, stream_tag: tag, ..verdict })
            }
            Ok(Write::Last { stream, tag }) => {
                self.note(Event::StreamEnded { owner: owner.id(), stream, by: ended::BY_PEER });
                self.time.alarms.cancel_stream(stream);
                Ok(Verdict { stream_tag: tag, ..verdict })
            }
            Ok(Write::Stop { stream }) => {
                self.note(Event::XoffReceived { stream });
                self.time.alarms.cancel_stream(stream);
                // A MAY_SEND that still waits is dropped when its turn comes.
                self.streams.get_mut(stream).into_iter().for_each(|stream| stream.refused |= stream.told);
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Ok(Write::Consume { resumes }) => {
                if let Some(stream) = resumes {
                    self.note_xon(stream);
                    self.time.alarms.cancel_stream(stream);
                    self.wake_stream(stream);
                }
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Ok(Write::Drop) => {
                self.out.unexplained += 1;
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Ok(Write::Refuse { reason }) => {
                self.refuse_stream(owner, message.hop, message.stream_id, reason, now);
                Ok(Verdict { kind: VerdictKind::Consumed, ..verdict })
            }
            Err(fault) => Err(self.stream_fault(owner, circuit, fault)),
        }
    }

    fn note_xon(&mut self, id: Id) {
        let rate = self.streams.get(id).and_then(|stream| stream.outgoing.rate()).unwrap_or(0);
        self.note(Event::XonReceived { stream: id, rate });
    }

    /// Closes what the streams belong to, whichever leg brought the message.
    fn stream_fault(&mut self, owner: Owner, circuit: Id, fault: Fault) -> Error {
        match owner {
            Owner::Set(set) => self.fault_of_set(set, fault),
            Owner::Circuit(_) => self.fault(circuit, fault),
        }
    }

    /// Hands a message to STREAM WRITE, which the first message that opens a stream makes (R3).
    fn write_in(&mut self, now: Nanos, owner: Owner, message: &StreamMessage<'_>) -> Result<Write, Fault> {
        let opens = opens(message.command);
        let Some(side) = side(&mut self.sets, &mut self.circuits, owner, message.hop) else {
            return Ok(Write::Consume { resumes: None });
        };
        let rules = Rules {
            part: side.part,
            params: side.params,
            streams_max: self.settings.streams_max,
            stream_bytes_max: self.settings.stream_bytes_max,
            clock_broken: side.clock_broken,
        };
        match side.streams {
            None if !opens && rules.part.is_relay() => Ok(Write::Consume { resumes: None }),
            None if !opens => Err(Fault::UnknownStream),
            streams => {
                let streams = streams.get_or_insert_with(Box::default);
                let before = streams.ended_bytes();
                let written = streams.write(&mut self.streams, owner, &rules, now, message);
                self.held.store.weigh(before, streams.ended_bytes());
                written
            }
        }
    }

    /// [`Engine::ensure_room`] for the place in which a stream that opens will be remembered. Relays remember none.
    pub(in crate::engine) fn ensure_place(
        &mut self,
        owner: Owner,
        hop: u8,
        stream_id: u16,
    ) -> Result<Option<Fault>, Fault> {
        let Some(side) = side(&mut self.sets, &mut self.circuits, owner, hop) else { return Ok(None) };
        if side.part.is_relay() {
            return Ok(None);
        }
        let cost = side.streams.get_or_insert_with(Box::default).cost_of_memory(hop, stream_id);
        self.ensure_room(owner.id(), cost.into())
    }
}

fn opens(command: Command) -> bool {
    matches!(command, Command::BEGIN | Command::BEGIN_DIR | Command::RESOLVE)
}
