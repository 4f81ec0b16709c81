//! Instructions, and the queue that they wait in.

use crate::base::{Id, Nanos};
use crate::conflux::{Cause, Control};
use crate::engine::out::leftover::Leftover;
use crate::message::{Delivery, Lane, Token};
use crate::padding::{Pad, Reply};
use crate::reactor::Side;
use crate::wire::Command;
use std::collections::VecDeque;

/// Something that the host has to do or to know.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    /// The circuit that it is about, or none.
    pub circuit: Id,
    /// The set that it is about, or none.
    pub set: Id,
    /// The host's tag of the circuit.
    pub circuit_tag: u64,
    /// The host's tag of the set.
    pub set_tag: u64,
    /// The stream that it is about, or none.
    pub stream: Id,
    /// The host's tag of the stream.
    pub stream_tag: u64,
    /// The host has to report the digest of the cell once it is encrypted.
    pub wants_digest: bool,
    /// The kind of an instruction, with its details.
    pub what: What,
}

impl Instruction {
    /// An instruction about no stream.
    #[inline]
    pub(in crate::engine) fn about(circuit: Id, circuit_tag: u64, set: Id, set_tag: u64, what: What) -> Instruction {
        Instruction { circuit, set, circuit_tag, set_tag, stream: Id::NONE, stream_tag: 0, wants_digest: false, what }
    }
}

/// Receives an instruction as it is made, so that none has to be built and then copied.
pub trait Taker {
    /// Takes the instruction.
    fn take(&mut self, instruction: Instruction);
}

impl Taker for Option<Instruction> {
    #[inline(always)]
    fn take(&mut self, instruction: Instruction) {
        *self = Some(instruction);
    }
}

/// The kind of an instruction, with its details.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Send a control message whose body is in the buffer.
    Send {
        /// Relay command.
        command: Command,
        /// The hop to send to.
        hop: u8,
        /// Length of the body, in bytes.
        body_len: u16,
    },
    /// Write a cell that waited at an edge.
    Write {
        /// The side to write to.
        side: Side,
        /// The cell, whose command is a cell command.
        cell: Delivery,
    },
    /// Take no more cells of the circuit from this side, or take them again.
    PauseFeed {
        /// The side that the cells come from.
        side: Side,
        /// Stop.
        pause: bool,
    },
    /// Send a message that was held. Its body is in the buffer, or its token is handed back.
    SendHeld(Released),
    /// Send a padding cell, or decide about it.
    Pad {
        /// The padder, and what the cell may pass or replace.
        pad: Pad,
        /// The host decides, and reports its answer.
        asks: bool,
    },
    /// The circuit's sender is blocked now.
    Block {
        /// Padding that asks for it may pass.
        bypassable: bool,
    },
    /// The circuit's sender is not blocked any more.
    Unblock,
    /// A relay has answered PADDING_NEGOTIATE.
    Negotiated {
        /// The machine's number.
        number: u8,
        /// The hop of the relay.
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
    /// The host may send again.
    MaySend,
    /// A leg is linked.
    Linked(Nanos),
    /// The set may carry streams.
    Usable,
    /// Another leg is welcome.
    WantLeg,
    /// The set has ended.
    Ended(Cause),
}

/// A message that was held for sending.
#[derive(Clone, Copy, Debug)]
pub struct Released {
    /// The hop to send to.
    pub hop: u8,
    /// The message, with its number in the set, 0 outside a set.
    pub message: Delivery,
}

/// An entry of the queue, of which an instruction is made when the host takes it. Every entry but a leftover is dropped
/// when the circuit, set or stream that it is about has gone.
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
    /// News about a set.
    Set {
        set: Id,
        news: SetNews,
    },
    /// A mark: stands for all messages of the set whose turn has come.
    Ready {
        set: Id,
    },
    /// Stands for the first [`Leftover`] of the queue.
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
    /// A mark: stands for all cells that wait at an edge and may go.
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
    /// A mark: stands for all messages of a set elsewhere that lie in the link to this circuit.
    FromHome {
        circuit: Id,
    },
}

/// News about a set without details.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum SetNews {
    Usable,
    MaySend,
    WantLeg,
}

/// The one queue of all instructions, in order.
#[derive(Debug, Default)]
pub(in crate::engine) struct Queue {
    waiting: VecDeque<Queued>,
    /// One for each [`Queued::Leftover`] in the queue, in its order.
    leftovers: VecDeque<Leftover>,
    peak: usize,
}

impl Queue {
    pub fn push(&mut self, queued: Queued) {
        self.waiting.push_back(queued);
        self.peak = self.peak.max(self.waiting.len());
    }

    /// Gives unused memory back. Returns the bytes.
    pub fn trim(&mut self) -> usize {
        let before = self.bytes();
        self.waiting.shrink_to_fit();
        self.leftovers.shrink_to_fit();
        before.saturating_sub(self.bytes())
    }

    fn bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<Queued>() + self.leftovers.capacity() * size_of::<Leftover>()
    }

    pub fn first(&mut self) -> Option<&mut Queued> {
        self.waiting.front_mut()
    }

    #[inline]
    pub fn drop_first(&mut self) {
        if let Some(Queued::Leftover) = self.waiting.pop_front() {
            self.leftovers.pop_front();
        }
    }

    pub fn push_leftover(&mut self, rest: Leftover) {
        self.leftovers.push_back(rest);
        self.push(Queued::Leftover);
    }

    /// The leftover that is first in the queue, if a leftover is first.
    pub fn first_leftover(&mut self) -> Option<&mut Leftover> {
        match self.waiting.front() {
            Some(Queued::Leftover) => self.leftovers.front_mut(),
            _ => None,
        }
    }

    /// Puts a leftover in the place of the first entry, which is no leftover itself.
    pub fn replace_first(&mut self, rest: Leftover) {
        if let Some(first) = self.waiting.front_mut() {
            *first = Queued::Leftover;
            self.leftovers.push_front(rest);
        }
    }

    /// Sets the tag of a set in the closes of its legs, the only entries of a living set that carry the tag.
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

    /// Bytes of messages that wait to be sent on a chosen leg.
    pub fn released_bytes(&self) -> u64 {
        let cost = |queued: &Queued| match queued {
            Queued::Released { lane, .. } => lane.bytes(),
            _ => 0,
        };
        self.waiting.iter().map(cost).sum()
    }

    /// Bytes of all leftovers.
    pub fn leaving_bytes(&self) -> u64 {
        self.leftovers.iter().map(|rest| rest.lanes.bytes()).sum()
    }

    pub fn peak(&self) -> usize {
        self.peak
    }
}
