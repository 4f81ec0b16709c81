//! Verdicts: the answer of a feed about its message.

use crate::base::Id;

/// What the host does with the message that it fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The kind of a verdict.
    pub kind: VerdictKind,
    /// Held messages are ready now: drain.
    pub ready: bool,
    /// The reason for END, when the message is refused.
    pub end_reason: u8,
    /// The number in the SWITCH that goes first, 0 for no SWITCH.
    pub switch_delta: u32,
    /// The leg to send on, or the circuit that the message came on.
    pub circuit: Id,
    /// The host's tag of that circuit.
    pub circuit_tag: u64,
    /// The message's number, 0 when it has none.
    pub number: u64,
    /// The stream that it belongs to, on circuits that circflow runs.
    pub stream: Id,
    /// The host's tag of that stream.
    pub stream_tag: u64,
    /// The host has to report the digest of the cell once it is encrypted.
    pub wants_digest: bool,
}

/// The kind of a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum VerdictKind {
    /// Handle the message now.
    Deliver = 1,
    /// The message is held.
    Held,
    /// Circflow has handled the message.
    Consumed,
    /// Refuse the message: answer END.
    Refuse,
    /// Send the message on the leg or circuit.
    Send,
    /// Write the cell to the other side.
    Forward,
}

impl Verdict {
    /// A verdict about a message without a number.
    #[inline]
    pub fn of(kind: VerdictKind, circuit: Id, circuit_tag: u64) -> Verdict {
        Verdict {
            kind,
            ready: false,
            end_reason: 0,
            switch_delta: 0,
            circuit,
            circuit_tag,
            number: 0,
            stream: Id::NONE,
            stream_tag: 0,
            wants_digest: false,
        }
    }

    /// A verdict that refuses BEGIN_DIR on a leg.
    pub fn refuse_directory(circuit: Id, circuit_tag: u64) -> Verdict {
        Verdict { end_reason: END_NOT_DIRECTORY, ..Verdict::of(VerdictKind::Refuse, circuit, circuit_tag) }
    }
}

/// END_STREAM_REASON_NOTDIRECTORY (tor-spec §6.3).
pub(in crate::engine) const END_NOT_DIRECTORY: u8 = 14;
