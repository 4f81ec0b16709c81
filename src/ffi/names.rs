//! Names of constants as text, for people who debug.

use super::insn::circflow_insn_kind;
use super::message::circflow_verdict_kind;
use super::status::circflow_status;
use libc::c_char;
use std::ffi::CStr;

/// Lists an enum's values, and has each one's name as text. A value that is left out does not compile.
macro_rules! named {
    ($kind:ident, $unknown:literal, { $($value:ident),* $(,)? }) => {
        impl $kind {
            fn name(self) -> &'static CStr {
                match self {
                    $($kind::$value => terminated(concat!(stringify!($value), "\0")),)*
                }
            }

            fn name_of(number: i64) -> &'static CStr {
                [$($kind::$value),*].into_iter().find(|value| *value as i64 == number).map_or($unknown, Self::name)
            }
        }
    };
}

fn terminated(text: &'static str) -> &'static CStr {
    CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or_default()
}

named!(
    circflow_status,
    c"not a status",
    {
        CIRCFLOW_OK,
        CIRCFLOW_ERR_NULL,
        CIRCFLOW_ERR_INVALID,
        CIRCFLOW_ERR_STALE_ID,
        CIRCFLOW_ERR_FOREIGN_ID,
        CIRCFLOW_ERR_ZERO_ID,
        CIRCFLOW_ERR_REENTRANT,
        CIRCFLOW_ERR_TOO_SMALL,
        CIRCFLOW_ERR_VERSION,
        CIRCFLOW_ERR_NOT_A_LEG,
        CIRCFLOW_ERR_IN_SET,
        CIRCFLOW_ERR_LEG_MISMATCH,
        CIRCFLOW_ERR_HAS_STREAMS,
        CIRCFLOW_ERR_NO_VEGAS,
        CIRCFLOW_ERR_NOT_MULTIPLEXED,
        CIRCFLOW_ERR_NOT_DECIDED,
        CIRCFLOW_ERR_NO_LEGS,
        CIRCFLOW_ERR_NUMBERS,
        CIRCFLOW_ERR_NOT_ALONE,
        CIRCFLOW_ERR_TOO_MANY_LEGS,
        CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
        CIRCFLOW_ERR_NONCE_IN_USE,
        CIRCFLOW_ERR_ROLE,
        CIRCFLOW_ERR_UNENCODABLE,
        CIRCFLOW_ERR_BAD_MACHINES,
        CIRCFLOW_ERR_UNKNOWN_PADDING,
        CIRCFLOW_ERR_PADDER_EXISTS,
        CIRCFLOW_ERR_NO_PADDER,
        CIRCFLOW_ERR_NOT_ASKED,
        CIRCFLOW_ERR_NOT_RUN,
        CIRCFLOW_ERR_IS_RUN,
        CIRCFLOW_ERR_STREAM_EXISTS,
        CIRCFLOW_ERR_NOT_BUILT,
        CIRCFLOW_ERR_BAD_HANDLE,
        CIRCFLOW_ERR_BLOCKED,
        CIRCFLOW_ERR_NOT_USABLE,
        CIRCFLOW_ERR_UNDRAINED,
        CIRCFLOW_ERR_GONE,
        CIRCFLOW_ERR_FULL,
        CIRCFLOW_ERR_REFUSED,
        CIRCFLOW_ERR_STREAM_STOPPED,
        CIRCFLOW_ERR_SWITCHED_OFF,
        CIRCFLOW_ERR_QUEUE_FULL,
        CIRCFLOW_ERR_CHANNEL_CLOSED,
        CIRCFLOW_ERR_BAD_LINK,
        CIRCFLOW_ERR_UNEXPECTED_LINK,
        CIRCFLOW_ERR_UNEXPECTED_LINKED,
        CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
        CIRCFLOW_ERR_BAD_NONCE,
        CIRCFLOW_ERR_BAD_LINK_NUMBERS,
        CIRCFLOW_ERR_UNFIT_LINK,
        CIRCFLOW_ERR_CONFLUX_OFF,
        CIRCFLOW_ERR_WRONG_HOP,
        CIRCFLOW_ERR_BAD_SWITCH,
        CIRCFLOW_ERR_UNEXPECTED_SWITCH,
        CIRCFLOW_ERR_SWITCH_REPEATED,
        CIRCFLOW_ERR_SWITCH_ZERO,
        CIRCFLOW_ERR_SWITCH_TOO_FAR,
        CIRCFLOW_ERR_NUMBER_OVERFLOW,
        CIRCFLOW_ERR_NUMBER_STALE,
        CIRCFLOW_ERR_NUMBER_TWICE,
        CIRCFLOW_ERR_UNLINKED_DATA,
        CIRCFLOW_ERR_STREAM_SENDME,
        CIRCFLOW_ERR_BAD_STREAM_ID,
        CIRCFLOW_ERR_MALFORMED,
        CIRCFLOW_ERR_BAD_COMMAND,
        CIRCFLOW_ERR_PADDING_UNEXPECTED,
        CIRCFLOW_ERR_PADDING_EXCESS,
        CIRCFLOW_ERR_BAD_NEGOTIATED,
        CIRCFLOW_ERR_UNEXPECTED_COMMAND,
        CIRCFLOW_ERR_UNRECOGNISED,
        CIRCFLOW_ERR_STREAM_TWICE,
        CIRCFLOW_ERR_UNKNOWN_STREAM,
        CIRCFLOW_ERR_BAD_FLOW,
        CIRCFLOW_ERR_FLOW_ABUSE,
        CIRCFLOW_ERR_BAD_SENDME,
        CIRCFLOW_ERR_SET_MEMORY,
        CIRCFLOW_ERR_ENGINE_MEMORY,
        CIRCFLOW_ERR_LINK_LIMIT,
        CIRCFLOW_ERR_LINKED_TIMEOUT,
        CIRCFLOW_ERR_LINKED_ACK_TIMEOUT,
        CIRCFLOW_ERR_EXPIRED,
        CIRCFLOW_ERR_LEG_LOST,
        CIRCFLOW_ERR_EDGE_OVERRUN,
        CIRCFLOW_ERR_STREAM_MEMORY,
        CIRCFLOW_ERR_PROCESS_MEMORY,
        CIRCFLOW_ERR_HELD_TOO_LONG,
        CIRCFLOW_ERR_SET_FINISHED,
        CIRCFLOW_ERR_HOME_TIMEOUT,
        CIRCFLOW_ERR_PANIC,
        CIRCFLOW_ERR_POISONED,
    }
);

named!(
    circflow_insn_kind,
    c"not a kind of instruction",
    {
        CIRCFLOW_INSN_NONE,
        CIRCFLOW_INSN_SEND,
        CIRCFLOW_INSN_DELIVER,
        CIRCFLOW_INSN_DISCARD,
        CIRCFLOW_INSN_CLOSE,
        CIRCFLOW_INSN_RESUME,
        CIRCFLOW_INSN_LINKED,
        CIRCFLOW_INSN_USABLE,
        CIRCFLOW_INSN_WANT_LEG,
        CIRCFLOW_INSN_ENDED,
        CIRCFLOW_INSN_PADDING,
        CIRCFLOW_INSN_BLOCK,
        CIRCFLOW_INSN_UNBLOCK,
        CIRCFLOW_INSN_WRITE,
        CIRCFLOW_INSN_PAUSE,
        CIRCFLOW_INSN_UNPAUSE,
        CIRCFLOW_INSN_NEGOTIATED,
    }
);

named!(
    circflow_verdict_kind,
    c"not a kind of verdict",
    {
        CIRCFLOW_VERDICT_DELIVER,
        CIRCFLOW_VERDICT_HELD,
        CIRCFLOW_VERDICT_CONSUMED,
        CIRCFLOW_VERDICT_REFUSE,
        CIRCFLOW_VERDICT_SEND,
        CIRCFLOW_VERDICT_FORWARD,
    }
);

/// The name of a status as in this header, "CIRCFLOW_ERR_NULL" and so on, for people who debug; for users there is
/// circflow_strerror(). Static; never NULL. "not a status" for a number that is none.
#[no_mangle]
pub extern "C" fn circflow_status_name(status: i32) -> *const c_char {
    circflow_status::name_of(status.into()).as_ptr()
}

/// The name of a kind of instruction (circflow_insn.kind), "CIRCFLOW_INSN_SEND" and so on. Static; never NULL. "not a
/// kind of instruction" for a number that is none.
#[no_mangle]
pub extern "C" fn circflow_insn_kind_name(kind: u32) -> *const c_char {
    circflow_insn_kind::name_of(kind.into()).as_ptr()
}

/// The name of a kind of verdict (circflow_verdict.kind), "CIRCFLOW_VERDICT_DELIVER" and so on. Static; never NULL.
/// "not a kind of verdict" for a number that is none.
#[no_mangle]
pub extern "C" fn circflow_verdict_kind_name(kind: u32) -> *const c_char {
    circflow_verdict_kind::name_of(kind.into()).as_ptr()
}
