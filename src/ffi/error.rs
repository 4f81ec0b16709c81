//! Errors of the floors below, as statuses.

use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::conflux::Fault;
use crate::engine::{Blocked, Error, Misuse};

impl From<Error> for circflow_status {
    // One function for all calls: none of them is to grow by the table.
    #[inline(never)]
    fn from(error: Error) -> circflow_status {
        match error {
            Error::Misuse(misuse) => misuse_status(misuse),
            Error::Blocked(blocked) => match blocked {
                Blocked::NoRoom => CIRCFLOW_ERR_NO_ROOM,
                Blocked::NotUsable => CIRCFLOW_ERR_NOT_USABLE,
                Blocked::Undrained => CIRCFLOW_ERR_UNDRAINED,
                Blocked::Gone => CIRCFLOW_ERR_CLOSING,
                Blocked::Full => CIRCFLOW_ERR_TOO_MANY,
                Blocked::Refused => CIRCFLOW_ERR_PADDING_REFUSED,
                Blocked::Stopped => CIRCFLOW_ERR_STREAM_STOPPED,
                Blocked::SwitchedOff => CIRCFLOW_ERR_DISABLED,
            },
            Error::Fault(fault) => fault_status(fault),
            Error::Expired => CIRCFLOW_ERR_EXPIRED,
        }
    }
}

fn misuse_status(misuse: Misuse) -> circflow_status {
    match misuse {
        Misuse::Invalid => CIRCFLOW_ERR_INVALID,
        Misuse::ZeroId => CIRCFLOW_ERR_ZERO_ID,
        Misuse::ForeignId => CIRCFLOW_ERR_FOREIGN_ID,
        Misuse::StaleId => CIRCFLOW_ERR_STALE_ID,
        Misuse::TooSmall => CIRCFLOW_ERR_TOO_SMALL,
        Misuse::NotALeg => CIRCFLOW_ERR_NOT_A_LEG,
        Misuse::InSet => CIRCFLOW_ERR_IN_SET,
        Misuse::LegMismatch => CIRCFLOW_ERR_LEG_MISMATCH,
        Misuse::HasStreams => CIRCFLOW_ERR_HAS_STREAMS,
        Misuse::NoVegas => CIRCFLOW_ERR_NO_VEGAS,
        Misuse::NotMultiplexed => CIRCFLOW_ERR_NOT_MULTIPLEXED,
        Misuse::NotDecided => CIRCFLOW_ERR_NOT_DECIDED,
        Misuse::NoLegs => CIRCFLOW_ERR_NO_LEGS,
        Misuse::Numbers => CIRCFLOW_ERR_NUMBERS,
        Misuse::NotAlone => CIRCFLOW_ERR_NOT_ALONE,
        Misuse::TooManyLegs => CIRCFLOW_ERR_TOO_MANY_LEGS,
        Misuse::TooManyLaunches => CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
        Misuse::NonceInUse => CIRCFLOW_ERR_NONCE_IN_USE,
        Misuse::Role => CIRCFLOW_ERR_ROLE,
        Misuse::BadMachines => CIRCFLOW_ERR_BAD_MACHINES,
        Misuse::UnknownPadding => CIRCFLOW_ERR_UNKNOWN_PADDING,
        Misuse::PadderExists => CIRCFLOW_ERR_PADDER_EXISTS,
        Misuse::NoPadder => CIRCFLOW_ERR_NO_PADDER,
        Misuse::NotAsked => CIRCFLOW_ERR_NOT_ASKED,
        Misuse::NotRun => CIRCFLOW_ERR_NOT_RUN,
        Misuse::IsRun => CIRCFLOW_ERR_IS_RUN,
        Misuse::StreamExists => CIRCFLOW_ERR_STREAM_EXISTS,
        Misuse::NotBuilt => CIRCFLOW_ERR_NOT_BUILT,
    }
}

pub(super) fn fault_status(fault: Fault) -> circflow_status {
    match fault {
        Fault::BadLink => CIRCFLOW_ERR_BAD_LINK,
        Fault::UnexpectedLink => CIRCFLOW_ERR_UNEXPECTED_LINK,
        Fault::UnexpectedLinked => CIRCFLOW_ERR_UNEXPECTED_LINKED,
        Fault::UnexpectedLinkedAck => CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
        Fault::BadNonce => CIRCFLOW_ERR_BAD_NONCE,
        Fault::BadLinkNumbers => CIRCFLOW_ERR_BAD_LINK_NUMBERS,
        Fault::UnfitLink => CIRCFLOW_ERR_UNFIT_LINK,
        Fault::ConfluxOff => CIRCFLOW_ERR_CONFLUX_OFF,
        Fault::WrongHop => CIRCFLOW_ERR_WRONG_HOP,
        Fault::BadSwitch => CIRCFLOW_ERR_BAD_SWITCH,
        Fault::UnexpectedSwitch => CIRCFLOW_ERR_UNEXPECTED_SWITCH,
        Fault::SwitchRepeated => CIRCFLOW_ERR_SWITCH_REPEATED,
        Fault::SwitchZero => CIRCFLOW_ERR_SWITCH_ZERO,
        Fault::SwitchTooFar => CIRCFLOW_ERR_SWITCH_TOO_FAR,
        Fault::NumberOverflow => CIRCFLOW_ERR_NUMBER_OVERFLOW,
        Fault::NumberStale => CIRCFLOW_ERR_NUMBER_STALE,
        Fault::NumberTwice => CIRCFLOW_ERR_NUMBER_TWICE,
        Fault::UnlinkedData => CIRCFLOW_ERR_UNLINKED_DATA,
        Fault::StreamSendme => CIRCFLOW_ERR_STREAM_SENDME,
        Fault::BadStreamId => CIRCFLOW_ERR_BAD_STREAM_ID,
        Fault::SetMemory => CIRCFLOW_ERR_SET_MEMORY,
        Fault::EngineMemory => CIRCFLOW_ERR_ENGINE_MEMORY,
        Fault::LinkLimit => CIRCFLOW_ERR_LINK_LIMIT,
        Fault::LinkedTimeout => CIRCFLOW_ERR_LINKED_TIMEOUT,
        Fault::LinkedAckTimeout => CIRCFLOW_ERR_LINKED_ACK_TIMEOUT,
        Fault::HomeTimeout => CIRCFLOW_ERR_HOME_TIMEOUT,
        Fault::PaddingUnexpected => CIRCFLOW_ERR_PADDING_UNEXPECTED,
        Fault::PaddingExcess => CIRCFLOW_ERR_PADDING_EXCESS,
        Fault::BadNegotiated => CIRCFLOW_ERR_BAD_NEGOTIATED,
        Fault::UnexpectedCommand => CIRCFLOW_ERR_UNEXPECTED_COMMAND,
        Fault::Unrecognised => CIRCFLOW_ERR_UNRECOGNISED,
        Fault::StreamTwice => CIRCFLOW_ERR_STREAM_TWICE,
        Fault::UnknownStream => CIRCFLOW_ERR_UNKNOWN_STREAM,
        Fault::BadFlow => CIRCFLOW_ERR_BAD_FLOW,
        Fault::FlowAbuse => CIRCFLOW_ERR_FLOW_ABUSE,
        Fault::BadSendme => CIRCFLOW_ERR_BAD_SENDME,
        Fault::EdgeOverrun => CIRCFLOW_ERR_EDGE_OVERRUN,
        Fault::ProcessMemory => CIRCFLOW_ERR_HUB_MEMORY,
        Fault::StreamMemory => CIRCFLOW_ERR_STREAM_MEMORY,
        Fault::HeldTooLong => CIRCFLOW_ERR_HELD_TOO_LONG,
    }
}
