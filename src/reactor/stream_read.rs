//! STREAM READ (R3): chooses the stream that the host reads next.

use super::stream::{Stream, StreamTurn, Streams};
use crate::base::{Arena, Id, Nanos};
use crate::congestion::flow::May;

/// Reason why no stream is read now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unread {
    /// No stream has data that it may send.
    Nothing,
    /// Streams have data, but the windows of their hops are full.
    NoRoom,
}

impl Streams {
    /// Returns the stream whose turn it is, among the streams for whose hop `has_room` is true. Calls `wake` for each
    /// stream that has to wait because of its rate, with the time when it may go on.
    pub fn read(
        &mut self,
        arena: &mut Arena<Stream>,
        now: Nanos,
        mut has_room: impl FnMut(u8) -> bool,
        mut wake: impl FnMut(Id, Nanos),
    ) -> Result<Id, Unread> {
        let mut why = Unread::Nothing;
        let turn = self.turn(arena, |id, stream| {
            if !stream.readable {
                return StreamTurn::Leaves;
            }
            match stream.outgoing.may_send(now) {
                May::Now if has_room(stream.hop) => StreamTurn::Reads,
                May::Now => {
                    why = Unread::NoRoom;
                    StreamTurn::Stays
                }
                May::Stopped => StreamTurn::Leaves,
                May::At(time) => {
                    stream.refused = true;
                    wake(id, time);
                    StreamTurn::Leaves
                }
            }
        });
        self.idle = turn.is_none();
        turn.ok_or(why)
    }

    /// Notes whether the host has data to send on a stream.
    pub fn set_readable(&mut self, arena: &mut Arena<Stream>, id: Id, readable: bool) {
        let Some(stream) = arena.get_mut(id) else { return };
        stream.readable = readable;
        if readable {
            self.enqueue(id, stream);
        } else {
            self.dequeue(id, stream);
        }
    }

    /// Sets a stream's priority; 0 is read first.
    pub fn set_priority(&mut self, arena: &mut Arena<Stream>, id: Id, priority: u8) {
        let Some(stream) = arena.get_mut(id) else { return };
        let was_queued = stream.queued;
        self.dequeue(id, stream);
        stream.priority = priority;
        if was_queued {
            self.enqueue(id, stream);
        }
    }

    /// The host has taken MAY_SEND of a stream. Before that the stream may end or stop, and another has to be named.
    pub fn is_told(&mut self) {
        self.idle = false;
    }

    /// Lets a stream send again, after XON or when its rate allows. Does nothing while XOFF stops the stream. Returns
    /// true when the host has to be told.
    pub fn wake(&mut self, arena: &mut Arena<Stream>, id: Id) -> bool {
        let Some(stream) = arena.get_mut(id).filter(|stream| !stream.outgoing.stopped()) else { return false };
        let refused = std::mem::take(&mut stream.refused);
        if stream.readable {
            self.enqueue(id, stream);
            return self.idle || refused;
        }
        refused
    }
}
