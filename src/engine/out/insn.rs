//! Instructions, and the queue they wait in.

use crate::base::{Id, Nanos};
use crate::conflux::{Cause, Control};
use crate::engine::out::leftover::Leftover;
use crate::message::{Delivery, Lane, Token};
use crate::padding::{Pad, Reply};
use crate::reactor::Side;
use crate::wire::Command;
use std::collections::VecDeque;

/// One thing for the host to do.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    /// The circuit it is about, or none.
    pub circuit: Id,
    /// The set it is about, or none.
    pub set: Id,
    /// The host's word for the circuit.
    pub circuit_tag: u64,
    /// The host's word for the set.
    pub set_tag: u64,
    /// The stream it is about, or none.
    pub stream: Id,
    /// The host's word for the stream.
    pub stream_tag: u64,
    /// The digest of the cell is wanted once it is encrypted.
    pub wants_digest: bool,
    /// What to do.
    pub what: What,
}

impl Instruction {
    /// An instruction about no stream.
    #[inline]
    pub(in crate::engine) fn about(circuit: Id, circuit_tag: u64, set: Id, set_tag: u64, what: What) -> Instruction {
        Instruction { circuit, set, circuit_tag, set_tag, stream: Id::NONE, stream_tag: 0, wants_digest: false, what }
    }
}

/// Where an instruction goes as it is made: so it need not be put together and then taken apart.
pub trait Taker {
    /// Takes it.
    fn take(&mut self, instruction: Instruction);
}

impl Taker for Option<Instruction> {
    #[inline(always)]
    fn take(&mut self, instruction: Instruction) {
        *self = Some(instruction);
    }
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Send a control message whose body is in the buffer.
    Send {
        /// Relay command.
        command: Command,
        /// Where to.
        hop: u8,
        /// Bytes in the buffer.
        body_len: u16,
    },
    /// Write a cell that waited at an edge.
    Write {
        /// To this side.
        side: Side,
        /// The cell; its command is that of the cell.
        cell: Delivery,
    },
    /// Take no more cells of the circuit from this side, or take them again.
    PauseFeed {
        /// The side that is the source.
        side: Side,
        /// Stop.
        pause: bool,
    },
    /// Send a message that was held, and is in the buffer, or the host's again.
    SendHeld(Released),
    /// Send a padding cell, or decide about one.
    Pad {
        /// Whose.
        pad: Pad,
        /// The host decides, and answers.
        asks: bool,
    },
    /// The circuit's sender is blocked now.
    Block {
        /// Padding that asks for it may pass.
        bypassable: bool,
    },
    /// It is no longer.
    Unblock,
    /// A relay has answered what it was asked about padding.
    Negotiated {
        /// The machine's number.
        number: u8,
        /// The relay.
        hop: u8,
        /// Its answer.
        reply: Reply,
    },
    /// Handle a message that was held.
    Deliver(Delivery),
    /// Take a token back.
    Discard(Token),
    /// Close the circuit.
    Close(Cause),
    /// Read streams again.
    MaySend,
    /// A leg is linked.
    Linked(Nanos),
    /// The set may carry streams.
    Usable,
    /// Another leg is welcome.
    WantLeg,
    /// The set is gone.
    Ended(Cause),
}

/// A message that was held for sending.
#[derive(Clone, Copy, Debug)]
pub struct Released {
    /// Where to.
    pub hop: u8,
    /// The message; its number is the set's, 0 outside a set.
    pub message: Delivery,
}

/// What waits. Anything but the rest of a set is dropped when what it is about has gone.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Queued {
    Send {
        circuit: Id,
        hop: u8,
        set: Id,
        control: Control,
    },
    Close {
        circuit: Id,
        set: Id,
        set_tag: u64,
        cause: Cause,
    },
    Linked {
        circuit: Id,
        set: Id,
        rtt: Nanos,
    },
    /// News of a set.
    Set {
        set: Id,
        news: News,
    },
    /// Stands for all messages of the set whose turn has come.
    Ready {
        set: Id,
    },
    /// Stands for what something has left behind: the first [`Leftover`] of the queue's.
    Leftover,
    Ended {
        set: Id,
        set_tag: u64,
        cause: Cause,
    },
    /// A message of the padding negotiation.
    Negotiation {
        circuit: Id,
        hop: u8,
        command: Command,
        body: [u8; 8],
    },
    Pad {
        circuit: Id,
        pad: Pad,
        asks: bool,
    },
    Gate {
        circuit: Id,
        blocked: bool,
        bypassable: bool,
    },
    MaySendCircuit {
        circuit: Id,
    },
    /// A message that was held for sending, after a SWITCH unless `delta` is 0.
    Released {
        circuit: Id,
        set: Id,
        hop: u8,
        lane: Lane,
        delta: u32,
        number: u64,
        wants_digest: bool,
    },
    /// A SENDME that is owed.
    Sendme {
        circuit: Id,
        hop: u8,
        digest: [u8; 20],
        len: u8,
    },
    /// Stands for all cells that wait at an edge and may go.
    Edge {
        circuit: Id,
        side: Side,
    },
    /// Stands for all who are in line for a channel.
    Channel {
        channel: Id,
    },
    /// The source of an edge is to pause, or to go on.
    PauseFeed {
        circuit: Id,
        side: Side,
        pause: bool,
    },
    MaySendStream {
        stream: Id,
    },
    /// A relay has answered.
    Negotiated {
        circuit: Id,
        number: u8,
        hop: u8,
        reply: Reply,
    },
    /// LINKED of a set elsewhere.
    LinkedAway {
        circuit: Id,
    },
}

/// News of a set without details.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum News {
    Usable,
    MaySend,
    WantLeg,
}

/// The one ordered queue.
#[derive(Debug, Default)]
pub(in crate::engine) struct Queue {
    waiting: VecDeque<Queued>,
    /// One for each [`Queued::Leftover`], in the same order.
    leftovers: VecDeque<Leftover>,
    peak: usize,
}

impl Queue {
    pub fn push(&mut self, queued: Queued) {
        self.waiting.push_back(queued);
        self.peak = self.peak.max(self.waiting.len());
    }

    pub fn first(&mut self) -> Option<&mut Queued> {
        self.waiting.front_mut()
    }

    pub fn drop_first(&mut self) {
        if let Some(Queued::Leftover) = self.waiting.pop_front() {
            self.leftovers.pop_front();
        }
    }

    pub fn push_leftover(&mut self, rest: Leftover) {
        self.leftovers.push_back(rest);
        self.push(Queued::Leftover);
    }

    /// The rest that is first in the queue, if that is one.
    pub fn first_leftover(&mut self) -> Option<&mut Leftover> {
        match self.waiting.front() {
            Some(Queued::Leftover) => self.leftovers.front_mut(),
            _ => None,
        }
    }

    /// Puts a rest in the place of what is first, which is none.
    pub fn replace_first(&mut self, rest: Leftover) {
        if let Some(first) = self.waiting.front_mut() {
            *first = Queued::Leftover;
            self.leftovers.push_front(rest);
        }
    }

    /// A set that lives has another name from now on. Only the closes of its legs have it with them.
    pub fn retag(&mut self, id: Id, tag: u64) {
        for queued in &mut self.waiting {
            match queued {
                Queued::Close { set, set_tag, .. } if *set == id => *set_tag = tag,
                _ => {}
            }
        }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What messages cost that wait to be sent, on a leg that is chosen.
    pub fn released_bytes(&self) -> u64 {
        let cost = |queued: &Queued| match queued {
            Queued::Released { lane, .. } => lane.bytes(),
            _ => 0,
        };
        self.waiting.iter().map(cost).sum()
    }

    /// What waits to be handed out or back costs so much.
    pub fn leaving_bytes(&self) -> u64 {
        self.leftovers.iter().map(|rest| rest.lanes.bytes()).sum()
    }

    pub fn peak(&self) -> usize {
        self.peak
    }
}
