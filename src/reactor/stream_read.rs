//! STREAM READ (R3): which stream may be read, and whether a message of one may go out now.

use super::stream::{Stream, Streams, Turn};
use crate::base::{Arena, Id, Nanos};
use crate::congestion::flow::May;

/// Why no stream is to be read now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unread {
    /// None has anything to send that it may send.
    Nothing,
    /// Some have, and the windows of their hops are full.
    NoRoom,
}

impl Streams {
    /// The stream whose turn it is, of those for whose hop `has_room` is true. `wake` hears of those whose rate lets
    /// them go on only later.
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
                return Turn::Leaves;
            }
            match stream.outgoing.may_send(now) {
                May::Now if has_room(stream.hop) => Turn::Reads,
                May::Now => {
                    why = Unread::NoRoom;
                    Turn::Stays
                }
                May::Stopped => Turn::Leaves,
                May::At(time) => {
                    stream.refused = true;
                    wake(id, time);
                    Turn::Leaves
                }
            }
        });
        self.idle = turn.is_none();
        turn.ok_or(why)
    }

    /// The host has something to send on a stream, or has nothing any more.
    pub fn set_readable(&mut self, arena: &mut Arena<Stream>, id: Id, readable: bool) {
        let Some(stream) = arena.get_mut(id) else { return };
        stream.readable = readable;
        if readable {
            self.enqueue(id, stream);
        } else {
            self.dequeue(id, stream);
        }
    }

    /// Moves a stream to another priority, 0 first.
    pub fn set_priority(&mut self, arena: &mut Arena<Stream>, id: Id, priority: u8) {
        let Some(stream) = arena.get_mut(id) else { return };
        let was_queued = stream.queued;
        self.dequeue(id, stream);
        stream.priority = priority;
        if was_queued {
            self.enqueue(id, stream);
        }
    }

    /// A stream may send again, after XON or when its rate lets it. True when the host is to hear of it: not while XOFF
    /// stops the stream, whatever its rate says.
    pub fn wake(&mut self, arena: &mut Arena<Stream>, id: Id) -> bool {
        let Some(stream) = arena.get_mut(id).filter(|stream| !stream.outgoing.stopped()) else { return false };
        let refused = std::mem::take(&mut stream.refused);
        if stream.readable {
            self.enqueue(id, stream);
            return std::mem::take(&mut self.idle) || refused;
        }
        refused
    }
}
