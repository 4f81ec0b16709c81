//! Errors of an engine.

use crate::base::IdError;
use crate::conflux::{Fault, Refusal};

/// The error of a call. The boundary to C makes one status of each variant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The caller's mistake; nothing changed.
    Misuse(Misuse),
    /// The call cannot be done now; nothing changed.
    Blocked(Blocked),
    /// The peer's mistake, or a cap was reached; the close is queued.
    Fault(Fault),
    /// Something that was due has closed what the call names.
    Expired,
}

/// The caller's mistakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// An argument is out of its range.
    Invalid,
    /// The id is 0.
    ZeroId,
    /// The id belongs to another engine.
    ForeignId,
    /// The id names something that has gone.
    StaleId,
    /// The buffer is too small.
    TooSmall,
    /// The circuit is not a leg.
    NotALeg,
    /// The circuit is a leg already.
    InSet,
    /// Another length or join point than the other legs.
    LegMismatch,
    /// The circuit has carried streams.
    HasStreams,
    /// Vegas was not negotiated with the join point.
    NoVegas,
    /// The command is not multiplexed.
    NotMultiplexed,
    /// No decision chose this cell for this leg.
    NotDecided,
    /// The list of legs is empty.
    NoLegs,
    /// Sequence numbers that contradict each other.
    Numbers,
    /// The set does not have exactly one leg, on this engine.
    NotAlone,
    /// The set would have too many legs.
    TooManyLegs,
    /// The set has launched as many legs as it may.
    TooManyLaunches,
    /// The nonce is in use.
    NonceInUse,
    /// The circuit or set has the wrong role for this call.
    Role,
    /// The text is no list of padding machines.
    BadMachines,
    /// No machine is registered under this number.
    UnknownPadding,
    /// A padder has this place at the hop already.
    PadderExists,
    /// There is no such padder.
    NoPadder,
    /// Nothing asked for this answer.
    NotAsked,
    /// Circflow does not run the circuit.
    NotRun,
    /// Circflow runs the circuit, so the host may not do this.
    IsRun,
    /// A stream with this id is open, or remembered.
    StreamExists,
    /// A consensus may set this value, but circflow has not built what it asks for.
    NotBuilt,
}

/// Why a call cannot be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// No leg has room.
    NoRoom,
    /// The set is not usable yet.
    NotUsable,
    /// The host has to drain first.
    Undrained,
    /// The circuit is closing.
    Gone,
    /// A cap on circuits, sets, streams or padders is reached.
    Full,
    /// The relay has refused padding on this circuit.
    Refused,
    /// The other end of the stream has sent XOFF, or its rate allows nothing now.
    Stopped,
    /// The consensus has switched it off.
    SwitchedOff,
}

impl Error {
    /// Shorthand for the boundary.
    pub const TOO_SMALL: Error = Error::Misuse(Misuse::TooSmall);
    /// Shorthand for the boundary.
    pub const INVALID: Error = Error::Misuse(Misuse::Invalid);
    /// Shorthand for the boundary.
    pub const TOO_MANY_LEGS: Error = Error::Misuse(Misuse::TooManyLegs);
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Error::Misuse(misuse)
    }
}

impl From<Blocked> for Error {
    fn from(blocked: Blocked) -> Self {
        Error::Blocked(blocked)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Blocked | Refusal::Hold => Error::Blocked(Blocked::NoRoom),
            Refusal::NotUsable => Error::Blocked(Blocked::NotUsable),
            Refusal::NotDecided => Error::Misuse(Misuse::NotDecided),
        }
    }
}

impl From<IdError> for Error {
    fn from(error: IdError) -> Self {
        Error::Misuse(match error {
            IdError::Zero => Misuse::ZeroId,
            IdError::Foreign => Misuse::ForeignId,
            IdError::Stale => Misuse::StaleId,
        })
    }
}
