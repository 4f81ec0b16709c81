//! What a feed answers about the message it was fed.

use crate::base::Id;

/// What the host shall do with the message it fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What to do.
    pub kind: VerdictKind,
    /// Messages that were held are ready now.
    pub ready: bool,
    /// For END, when the message is refused.
    pub end_reason: u8,
    /// For a SWITCH that goes first, 0 for none.
    pub switch_delta: u32,
    /// The leg to send on, or the circuit that the message came on.
    pub circuit: Id,
    /// The host's word for that circuit.
    pub circuit_tag: u64,
    /// The message's number, 0 when it has none.
    pub number: u64,
    /// The stream it belongs to, on circuits that we run.
    pub stream: Id,
    /// The host's word for that stream.
    pub stream_tag: u64,
    /// The digest of the cell is wanted once it is encrypted.
    pub wants_digest: bool,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum VerdictKind {
    /// Handle it now.
    Deliver = 1,
    /// It was kept.
    Held,
    /// It was dealt with.
    Consumed,
    /// Not to be honoured: answer END.
    Refuse,
    /// Send it on the leg.
    Send,
    /// Write it to the other side.
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

    /// BEGIN_DIR on a leg is not to be honoured.
    pub fn refuse_directory(circuit: Id, circuit_tag: u64) -> Verdict {
        Verdict { end_reason: END_NOT_DIRECTORY, ..Verdict::of(VerdictKind::Refuse, circuit, circuit_tag) }
    }
}

/// END_STREAM_REASON_NOTDIRECTORY (tor-spec §6.3).
pub(in crate::engine) const END_NOT_DIRECTORY: u8 = 14;

/// What padding says to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admitted {
    /// It is none of its business.
    Goes,
    /// It was dealt with.
    Consumed(Verdict),
}
