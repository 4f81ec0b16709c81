//! What an engine answers when it does not do what it was asked.

use crate::base::IdError;
use crate::conflux::{Fault, Refusal};

/// One family for the boundary to map: every variant is one status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The caller's mistake; nothing changed.
    Misuse(Misuse),
    /// Not now; nothing changed.
    Blocked(Blocked),
    /// The peer's mistake or a limit; the close is queued.
    Fault(Fault),
    /// What was due ended what the call names.
    Expired,
}

/// The caller's mistakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// An argument is out of its range.
    Invalid,
    /// The id is 0.
    ZeroId,
    /// The id is another engine's.
    ForeignId,
    /// The id names something gone.
    StaleId,
    /// The buffer is too small.
    TooSmall,
    /// The circuit is no leg.
    NotALeg,
    /// The circuit is a leg already.
    InSet,
    /// Another length or join point than the other legs.
    LegMismatch,
    /// The circuit has carried streams.
    HasStreams,
    /// No Vegas with the join point.
    NoVegas,
    /// The command is not multiplexed.
    NotMultiplexed,
    /// Nobody asked for this cell.
    NotDecided,
    /// An empty list of legs.
    NoLegs,
    /// Numbers that contradict.
    Numbers,
    /// Not the only leg.
    NotAlone,
    /// Too many legs.
    TooManyLegs,
    /// Too many launches.
    TooManyLaunches,
    /// The nonce is in use.
    NonceInUse,
    /// The wrong role.
    Role,
    /// Text that is no list of padding machines.
    BadMachines,
    /// No machine is registered under this number.
    UnknownPadding,
    /// The place at the hop is taken.
    PadderExists,
    /// There is no such padder.
    NoPadder,
    /// Nobody asked for this answer.
    NotAsked,
    /// Circflow does not run this circuit.
    NotRun,
    /// Circflow runs this circuit.
    IsRun,
    /// A stream with this id is open, or remembered.
    StreamExists,
    /// The consensus may say so, and it is not built.
    NotBuilt,
}

/// Why it does not go now.
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
    /// The engine is full.
    Full,
    /// The relay has refused padding on this circuit.
    Refused,
    /// The other end of the stream wants nothing now.
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
