//! Status codes: one C enum in bands, and the table that says everything about each code once.

use super::names::named;
use crate::conflux::Fault;
use crate::engine::counters::{place_of, STATUSES};
use libc::c_char;
use std::ffi::CStr;

/// The answer of a call: CIRCFLOW_OK, or a negative code in one of five bands:
///
///   MISUSE     -1 to -99: the call was refused and nothing changed; mend the call
///   NOT_NOW    -100 to -199: nothing changed; try again after what the code names
///   PEER       -200 to -299: the peer broke the protocol; the close of the circuit or the set is queued. (From the
///              functions for cells and bodies, which know no circuit, the close is yours.)
///   LIMIT      -300 to -399: a cap or a time bound was reached; the close of its victim is queued
///   FATAL      -500 and below: the engine is of no use any more; only circflow_engine_free() works
///
/// circflow_status_class() gives the band of a code, circflow_status_text() a sentence about it, and
/// circflow_status_close_reason() the reason to put into DESTROY. A number is never used again for another meaning.
///
/// cbindgen:prefix-with-name=false
/// cbindgen:rename-all=None
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum circflow_status {
    /// Done.
    CIRCFLOW_OK = 0,
    /// A pointer that must not be NULL was NULL.
    CIRCFLOW_ERR_NULL = -1,
    /// An argument is out of its range; circflow_engine_get_last_detail() says which.
    CIRCFLOW_ERR_INVALID = -2,
    /// The id named a thing that is gone. This is normal for a loop that queues ids: forget the id.
    CIRCFLOW_ERR_STALE_ID = -3,
    /// The id comes from another engine, or names another kind of thing (a set where a circuit is wanted).
    CIRCFLOW_ERR_FOREIGN_ID = -4,
    /// The id is zero, which names nothing.
    CIRCFLOW_ERR_ZERO_ID = -5,
    /// The engine is inside a call already: poll, drain or free from inside a callback, or anything from inside the
    /// log function.
    CIRCFLOW_ERR_REENTRANT = -6,
    /// The buffer is too small. Nothing was taken. Call again with a buffer of the size that the function names.
    CIRCFLOW_ERR_TOO_SMALL = -7,
    /// The `size` of a struct is not one that this library knows, or the bytes after the fields that it knows are not
    /// zero. Fill the struct with its _init function.
    CIRCFLOW_ERR_VERSION = -8,
    /// The circuit is no leg of a set.
    CIRCFLOW_ERR_NOT_A_LEG = -9,
    /// The circuit is a leg already.
    CIRCFLOW_ERR_IN_SET = -10,
    /// The legs of a set must have the same length and the same join point.
    CIRCFLOW_ERR_LEG_MISMATCH = -11,
    /// The circuit has carried streams, so it cannot become a leg.
    CIRCFLOW_ERR_HAS_STREAMS = -12,
    /// A leg needs window-based (Vegas) congestion control with the join point.
    CIRCFLOW_ERR_NO_VEGAS = -13,
    /// Only multiplexed commands are sent through a set: BEGIN, DATA, END, CONNECTED, RESOLVE, RESOLVED, XOFF, XON.
    /// Send the message on its own circuit. BEGIN_DIR cannot be sent on a leg at all.
    CIRCFLOW_ERR_NOT_MULTIPLEXED = -14,
    /// The cell that was reported as queued does not fit: a message on a leg that needs a SWITCH first, a SWITCH that
    /// no decision asked for, or a second SWITCH. Call circflow_set_decide() first, then report what it told you, in
    /// that order.
    CIRCFLOW_ERR_NOT_DECIDED = -15,
    /// The list of circuits is empty.
    CIRCFLOW_ERR_NO_LEGS = -16,
    /// The imported numbers contradict what is held, or contradict each other.
    CIRCFLOW_ERR_NUMBERS = -17,
    /// The set has other legs, or the handshake of its last leg is not complete, or messages are held or missing.
    CIRCFLOW_ERR_NOT_ALONE = -18,
    /// The set would have more legs than it may have.
    CIRCFLOW_ERR_TOO_MANY_LEGS = -19,
    /// The set would launch more legs than it may (launches_max).
    CIRCFLOW_ERR_TOO_MANY_LAUNCHES = -20,
    /// A live set of this engine has this nonce. Draw new random bytes.
    CIRCFLOW_ERR_NONCE_IN_USE = -21,
    /// The circuit has the other role, or goes on to another hop.
    CIRCFLOW_ERR_ROLE = -22,
    /// A message cannot be written as a cell: an unknown command, a stream id where none may be (or none where one is
    /// needed), an empty DATA, or a body longer than the format carries.
    CIRCFLOW_ERR_UNENCODABLE = -23,
    /// The text is no list of padding machines, or one of them is broken, too large or too slow;
    /// circflow_engine_get_last_detail() says which line, and why.
    CIRCFLOW_ERR_BAD_MACHINES = -24,
    /// No padding is registered under this number. Call circflow_padding_register() first.
    CIRCFLOW_ERR_UNKNOWN_PADDING = -25,
    /// This slot of the hop has a padder already. Remove it first, or use the hop's other slot.
    CIRCFLOW_ERR_PADDER_EXISTS = -26,
    /// There is no such padder on this circuit.
    CIRCFLOW_ERR_NO_PADDER = -27,
    /// The answer belongs to no padding instruction: none was given, or it was answered already.
    CIRCFLOW_ERR_NOT_ASKED = -28,

    /// circflow does not run this circuit (it was opened without CIRCFLOW_CIRCUIT_REACTOR), or does not run its streams
    /// (it was opened without CIRCFLOW_CIRCUIT_VEGAS).
    CIRCFLOW_ERR_NOT_RUN = -29,
    /// circflow runs this circuit: send with circflow_stream_send(), and do not report for it.
    CIRCFLOW_ERR_IS_RUN = -30,
    /// A stream with this id is open on this circuit or set, or it ended only a while ago, so that late messages for it
    /// would reach the new stream. Use another id.
    CIRCFLOW_ERR_STREAM_EXISTS = -31,
    /// circflow_engine_set_param(): a consensus may have this value, but circflow cannot do what it asks for. The
    /// parameter keeps its value; circflow_engine_get_param() gives it.
    CIRCFLOW_ERR_NOT_BUILT = -32,
    /// The pointer is not the engine, queue or hub that the function takes: it is another of these kinds, or was freed.
    /// This helps to find a mistake; it is no promise. Two things are always recognised: a live handle of another kind,
    /// and a hub that was freed while engines still need it. Freed memory can hold anything, also bytes that look
    /// right, or it may not be readable at all.
    CIRCFLOW_ERR_BAD_HANDLE = -33,

    /// No leg has room, or the circuit has none. Stop reading streams until CIRCFLOW_INSN_MAY_SEND comes. It cannot
    /// come while no leg has been reported with circflow_leg_update(); circflow_engine_get_last_detail() says which leg
    /// lacks what.
    CIRCFLOW_ERR_NO_ROOM = -100,
    /// The set may not carry streams yet. Wait for CIRCFLOW_INSN_USABLE.
    CIRCFLOW_ERR_NOT_USABLE = -101,
    /// Too many instructions wait. Drain, then call again.
    CIRCFLOW_ERR_UNDRAINED = -102,
    /// The circuit is closing: its CIRCFLOW_INSN_CLOSE is queued, or you have taken it. Drop the message.
    CIRCFLOW_ERR_CLOSING = -103,
    /// The engine has as many circuits, sets or lists of machines as it may have, a hub has as many engines, or a
    /// circuit has as many padders, streams or unanswered negotiations.
    CIRCFLOW_ERR_TOO_MANY = -104,
    /// The relay has refused padding on this circuit (padding-spec 3.2). Ask on another.
    CIRCFLOW_ERR_PADDING_REFUSED = -105,
    /// The other end of the stream does not take DATA now (XOFF, or the rate of its XON). Stop reading this stream
    /// until CIRCFLOW_INSN_MAY_SEND comes with this stream.
    CIRCFLOW_ERR_STREAM_STOPPED = -108,
    /// Of sets: the parameter cfx_enabled is 0, so that no set is opened and no leg is added; live sets go on. Of
    /// padding: a budget does not let it run (circflow_padding_budget).
    CIRCFLOW_ERR_DISABLED = -109,
    /// The sink is full, and the queue holds as many items as it may. The item is still yours: keep it until there is
    /// room, or close the consumer that does not take items, or the source that does not pause.
    CIRCFLOW_ERR_QUEUE_FULL = -106,
    /// The sink is closed. The item is still yours, and so are the items that wait: take them with
    /// circflow_queue_take().
    CIRCFLOW_ERR_SINK_CLOSED = -107,

    /// A LINK or LINKED that cannot be read.
    CIRCFLOW_ERR_BAD_LINK = -200,
    /// A LINK in the wrong place: at a client that is no service, a second LINK, or on a circuit that goes on to
    /// another hop.
    CIRCFLOW_ERR_UNEXPECTED_LINK = -201,
    /// A LINKED in the wrong place: at an exit, before our LINK was taken to be sent, or a second LINKED.
    CIRCFLOW_ERR_UNEXPECTED_LINKED = -202,
    /// A LINKED_ACK in the wrong place: at a client, before our LINKED, or a second LINKED_ACK.
    CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK = -203,
    /// LINKED carries another nonce than our LINK.
    CIRCFLOW_ERR_BAD_NONCE = -204,
    /// LINK or LINKED has impossible numbers: it has received more than we sent, or a new set has sent messages before.
    CIRCFLOW_ERR_BAD_LINK_NUMBERS = -205,
    /// LINK on a circuit that has carried streams, or without Vegas congestion control, or into a set whose legs are of
    /// another kind: run by the host or by circflow, an exit's or a service's, of another length or join_point.
    CIRCFLOW_ERR_UNFIT_LINK = -206,
    /// A LINK came, and conflux is off here (no circflow_engine_accept_sets(), or cfx_enabled is 0).
    CIRCFLOW_ERR_CONFLUX_OFF = -207,
    /// A conflux or multiplexed message from another hop than the join point.
    CIRCFLOW_ERR_WRONG_HOP = -208,
    /// A SWITCH that cannot be read.
    CIRCFLOW_ERR_BAD_SWITCH = -209,
    /// A SWITCH on a circuit that is not linked.
    CIRCFLOW_ERR_UNEXPECTED_SWITCH = -210,
    /// A second SWITCH on a leg, with no multiplexed message on that leg between.
    CIRCFLOW_ERR_SWITCH_REPEATED = -211,
    /// More than sixteen SWITCHes by 0 in the life of a set. An honest peer sends one at most.
    CIRCFLOW_ERR_SWITCH_ZERO = -212,
    /// A SWITCH further ahead than switch_ahead_max allows. No honest peer goes so far.
    CIRCFLOW_ERR_SWITCH_TOO_FAR = -213,
    /// A SWITCH to a number above 2^62, the highest one.
    CIRCFLOW_ERR_NUMBER_OVERFLOW = -214,
    /// A message with a number that was delivered already.
    CIRCFLOW_ERR_NUMBER_STALE = -215,
    /// Two legs brought a message with the same number.
    CIRCFLOW_ERR_NUMBER_TWICE = -216,
    /// A multiplexed message on a leg that is not linked.
    CIRCFLOW_ERR_UNLINKED_DATA = -217,
    /// A SENDME with a stream id on a leg.
    CIRCFLOW_ERR_STREAM_SENDME = -218,
    /// A stream id with a command that has none, or no stream id with a command that needs one.
    CIRCFLOW_ERR_BAD_STREAM_ID = -219,
    /// A cell or a body that cannot be read: cut short, or a length beyond what the format carries.
    CIRCFLOW_ERR_MALFORMED = -220,
    /// A command that this cell format does not know.
    CIRCFLOW_ERR_BAD_COMMAND = -221,
    /// Client: padding came from a hop without a padder. (A relay only counts it.)
    CIRCFLOW_ERR_PADDING_UNEXPECTED = -222,
    /// More padding than inbound_fraction allows.
    CIRCFLOW_ERR_PADDING_EXCESS = -223,
    /// Client: a PADDING_NEGOTIATED that cannot be read, or that answers nothing.
    CIRCFLOW_ERR_BAD_NEGOTIATED = -224,
    /// A command that this end of a circuit does not take: one for clients at a relay, one for relays at a client, or
    /// an unknown one.
    CIRCFLOW_ERR_UNEXPECTED_COMMAND = -225,
    /// A cell that is not recognised here on a circuit without a next relay.
    CIRCFLOW_ERR_UNRECOGNISED = -226,
    /// BEGIN or RESOLVE for a stream that is open.
    CIRCFLOW_ERR_STREAM_TWICE = -227,
    /// Client: a message for a stream that was never opened. (A relay drops it: it may have forgotten the stream.)
    CIRCFLOW_ERR_UNKNOWN_STREAM = -228,
    /// XOFF or XON that cannot be read.
    CIRCFLOW_ERR_BAD_FLOW = -229,
    /// Client: XOFF or XON came more often than the DATA that was sent can explain (prop324 4.1.4).
    CIRCFLOW_ERR_FLOW_ABUSE = -230,
    /// A SENDME that acknowledges nothing, or does not bring the digest of its cell.
    CIRCFLOW_ERR_BAD_SENDME = -231,

    /// The set holds as many bytes as it may.
    CIRCFLOW_ERR_SET_MEMORY = -300,
    /// All sets of the engine together hold as many bytes as they may.
    CIRCFLOW_ERR_ENGINE_MEMORY = -301,
    /// A LINK came for a set that has as many legs as it may, or for a new set when the engine has as many sets as it
    /// may.
    CIRCFLOW_ERR_LINK_LIMIT = -302,
    /// LINKED did not come in time.
    CIRCFLOW_ERR_LINKED_TIMEOUT = -303,
    /// LINKED_ACK did not come in time.
    CIRCFLOW_ERR_LINKED_ACK_TIMEOUT = -304,
    /// A timer that was due at the time of this call has ended the circuit or set that the call names. Nothing else was
    /// done. Every feed that takes a time and an id can answer so.
    CIRCFLOW_ERR_EXPIRED = -305,
    /// A leg was lost, and its set cannot go on without it: it was the sending leg, or ahead of the others, or the last
    /// one, or had at least sendme_inc cells in flight. Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED.
    CIRCFLOW_ERR_LEG_LOST = -306,
    /// More cells came after CIRCFLOW_INSN_PAUSE_FEED than edge_over_cells allows, for a full edge or for a set whose
    /// home is another engine.
    CIRCFLOW_ERR_EDGE_OVERRUN = -307,
    /// A stream has stream_bytes_max bytes that were delivered and not flushed.
    CIRCFLOW_ERR_STREAM_MEMORY = -308,
    /// All sets of the hub together hold as many bytes as they may.
    CIRCFLOW_ERR_HUB_MEMORY = -309,
    /// A message was held for order for held_age_max_ns: a message before it was lost with a leg, or the peer does not
    /// send it. Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED.
    CIRCFLOW_ERR_HELD_TOO_LONG = -310,
    /// No failure: the set lost its last leg, or one that it needs, while no stream was open and no message was held. A
    /// set ends like this when its peer closes it after the last END. Only in CIRCFLOW_INSN_CLOSE and
    /// CIRCFLOW_INSN_ENDED, and only of sets that circflow runs: circflow does not know the streams of other sets.
    CIRCFLOW_ERR_SET_FINISHED = -311,

    /// Exit: the set's home is another engine of the hub, and that engine did not add a leg within link_timeout_ns: its
    /// loop hangs, or it is poisoned and was not freed.
    CIRCFLOW_ERR_HOME_TIMEOUT = -314,

    /// This call has met a bug in the library. The engine (or queue) that it was about is poisoned.
    /// circflow_engine_get_last_detail() gives the message, which Rust also prints to standard error. A call without an
    /// engine or queue poisons nothing.
    CIRCFLOW_ERR_PANIC = -500,
    /// An earlier call answered CIRCFLOW_ERR_PANIC, or an exception of yours left a callback;
    /// circflow_engine_get_last_detail() says which.
    CIRCFLOW_ERR_POISONED = -501,
}

use circflow_status::*;

/// The class of a status.
///
/// cbindgen:prefix-with-name=false
/// cbindgen:rename-all=None
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum circflow_class {
    /// No error.
    CIRCFLOW_CLASS_OK = 0,
    /// The call was refused; nothing changed. Mend the call.
    CIRCFLOW_CLASS_MISUSE = 1,
    /// Nothing changed. Try again after what the code names.
    CIRCFLOW_CLASS_NOT_NOW = 2,
    /// The peer broke the protocol; the close is queued. Drain.
    CIRCFLOW_CLASS_PEER = 3,
    /// A cap or a time bound was reached; the close of the victim is queued. Drain.
    CIRCFLOW_CLASS_LIMIT = 4,
    /// The engine is of no use any more. Free it.
    CIRCFLOW_CLASS_FATAL = 5,
    /// Not a status of this library.
    CIRCFLOW_CLASS_UNKNOWN = 6,
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
        CIRCFLOW_ERR_NO_ROOM,
        CIRCFLOW_ERR_NOT_USABLE,
        CIRCFLOW_ERR_UNDRAINED,
        CIRCFLOW_ERR_CLOSING,
        CIRCFLOW_ERR_TOO_MANY,
        CIRCFLOW_ERR_PADDING_REFUSED,
        CIRCFLOW_ERR_STREAM_STOPPED,
        CIRCFLOW_ERR_DISABLED,
        CIRCFLOW_ERR_QUEUE_FULL,
        CIRCFLOW_ERR_SINK_CLOSED,
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
        CIRCFLOW_ERR_HUB_MEMORY,
        CIRCFLOW_ERR_HELD_TOO_LONG,
        CIRCFLOW_ERR_SET_FINISHED,
        CIRCFLOW_ERR_HOME_TIMEOUT,
        CIRCFLOW_ERR_PANIC,
        CIRCFLOW_ERR_POISONED,
    }
);

/// Every code: its text, and the DESTROY reason (tor-spec 5.4) of a circuit closed for it, where one applies.
const TABLE: &[(circflow_status, &CStr, Option<u8>)] = &[
    (CIRCFLOW_OK, c"done", None),
    (CIRCFLOW_ERR_NULL, c"a pointer that must not be NULL was NULL", None),
    (CIRCFLOW_ERR_INVALID, c"an argument is out of its range", None),
    (CIRCFLOW_ERR_STALE_ID, c"the id named something that is gone", None),
    (CIRCFLOW_ERR_FOREIGN_ID, c"the id was given out by another engine", None),
    (CIRCFLOW_ERR_ZERO_ID, c"the id is zero, which names nothing", None),
    (CIRCFLOW_ERR_REENTRANT, c"the engine is inside a call already", None),
    (CIRCFLOW_ERR_TOO_SMALL, c"the buffer is too small; nothing was taken", None),
    (CIRCFLOW_ERR_VERSION, c"the size of a struct is unknown, or its unknown tail is not zero", None),
    (CIRCFLOW_ERR_NOT_A_LEG, c"the circuit is no leg of a set", None),
    (CIRCFLOW_ERR_IN_SET, c"the circuit is a leg already", None),
    (CIRCFLOW_ERR_LEG_MISMATCH, c"the legs differ in length or join point", None),
    (CIRCFLOW_ERR_HAS_STREAMS, c"the circuit has carried streams", None),
    (CIRCFLOW_ERR_NO_VEGAS, c"the circuit has no Vegas congestion control with the join point", None),
    (CIRCFLOW_ERR_NOT_MULTIPLEXED, c"the command is not multiplexed", None),
    (CIRCFLOW_ERR_NOT_DECIDED, c"a cell was reported that was not asked for on this leg", None),
    (CIRCFLOW_ERR_NO_LEGS, c"the list of legs is empty", None),
    (CIRCFLOW_ERR_NUMBERS, c"imported numbers contradict what is held, or each other", None),
    (CIRCFLOW_ERR_NOT_ALONE, c"not the only leg, or messages are held", None),
    (CIRCFLOW_ERR_TOO_MANY_LEGS, c"more legs than the set may have", None),
    (CIRCFLOW_ERR_TOO_MANY_LAUNCHES, c"more launches than this nonce may have", None),
    (CIRCFLOW_ERR_NONCE_IN_USE, c"a live set has this nonce", None),
    (CIRCFLOW_ERR_ROLE, c"the circuit plays the other role", None),
    (CIRCFLOW_ERR_UNENCODABLE, c"the message cannot be written in this cell format", None),
    (CIRCFLOW_ERR_BAD_MACHINES, c"the text is no list of padding machines that can be run", None),
    (CIRCFLOW_ERR_UNKNOWN_PADDING, c"no padding is registered under this number", None),
    (CIRCFLOW_ERR_PADDER_EXISTS, c"there is a padder in this place already", None),
    (CIRCFLOW_ERR_NO_PADDER, c"there is no such padder on this circuit", None),
    (CIRCFLOW_ERR_NOT_ASKED, c"a padding instruction was answered that waits for no answer", None),
    (CIRCFLOW_ERR_NOT_RUN, c"circflow does not run this circuit", None),
    (CIRCFLOW_ERR_IS_RUN, c"circflow runs this circuit", None),
    (CIRCFLOW_ERR_STREAM_EXISTS, c"a stream with this id is open, or remembered", None),
    (CIRCFLOW_ERR_NOT_BUILT, c"what this value of the parameter asks for is not built", None),
    (CIRCFLOW_ERR_BAD_HANDLE, c"the pointer is of another kind, or was freed", None),
    (CIRCFLOW_ERR_NO_ROOM, c"no leg has room", None),
    (CIRCFLOW_ERR_NOT_USABLE, c"the set may not carry streams yet", None),
    (CIRCFLOW_ERR_UNDRAINED, c"too many instructions wait", None),
    (CIRCFLOW_ERR_CLOSING, c"the circuit is being closed", None),
    (CIRCFLOW_ERR_TOO_MANY, c"as many are there as there may be", None),
    (CIRCFLOW_ERR_PADDING_REFUSED, c"the relay has refused padding on this circuit", None),
    (CIRCFLOW_ERR_STREAM_STOPPED, c"the other end of the stream wants nothing now", None),
    (CIRCFLOW_ERR_DISABLED, c"the consensus or the operator has switched it off", None),
    (CIRCFLOW_ERR_QUEUE_FULL, c"the sink is full, and its queue as well", Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_SINK_CLOSED, c"the sink is closed", None),
    (CIRCFLOW_ERR_BAD_LINK, Fault::BadLink.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNEXPECTED_LINK, Fault::UnexpectedLink.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNEXPECTED_LINKED, Fault::UnexpectedLinked.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK, Fault::UnexpectedLinkedAck.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_NONCE, Fault::BadNonce.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_LINK_NUMBERS, Fault::BadLinkNumbers.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNFIT_LINK, Fault::UnfitLink.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_CONFLUX_OFF, Fault::ConfluxOff.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_WRONG_HOP, Fault::WrongHop.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_SWITCH, Fault::BadSwitch.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNEXPECTED_SWITCH, Fault::UnexpectedSwitch.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_SWITCH_REPEATED, Fault::SwitchRepeated.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_SWITCH_ZERO, Fault::SwitchZero.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_SWITCH_TOO_FAR, Fault::SwitchTooFar.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_NUMBER_OVERFLOW, Fault::NumberOverflow.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_NUMBER_STALE, Fault::NumberStale.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_NUMBER_TWICE, Fault::NumberTwice.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNLINKED_DATA, Fault::UnlinkedData.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_STREAM_SENDME, Fault::StreamSendme.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_STREAM_ID, Fault::BadStreamId.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_MALFORMED, c"a cell or a body that cannot be read", Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_COMMAND, c"a command that this cell format cannot carry", Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_PADDING_UNEXPECTED, Fault::PaddingUnexpected.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_PADDING_EXCESS, Fault::PaddingExcess.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_NEGOTIATED, Fault::BadNegotiated.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNEXPECTED_COMMAND, Fault::UnexpectedCommand.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNRECOGNISED, Fault::Unrecognised.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_STREAM_TWICE, Fault::StreamTwice.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_UNKNOWN_STREAM, Fault::UnknownStream.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_FLOW, Fault::BadFlow.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_FLOW_ABUSE, Fault::FlowAbuse.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_BAD_SENDME, Fault::BadSendme.text(), Some(TORPROTOCOL)),
    (CIRCFLOW_ERR_SET_MEMORY, Fault::SetMemory.text(), Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_ENGINE_MEMORY, Fault::EngineMemory.text(), Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_LINK_LIMIT, Fault::LinkLimit.text(), Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_LINKED_TIMEOUT, Fault::LinkedTimeout.text(), Some(TIMEOUT)),
    (CIRCFLOW_ERR_LINKED_ACK_TIMEOUT, Fault::LinkedAckTimeout.text(), Some(TIMEOUT)),
    (CIRCFLOW_ERR_HOME_TIMEOUT, Fault::HomeTimeout.text(), Some(TIMEOUT)),
    (CIRCFLOW_ERR_EXPIRED, c"what was due ended what the call names", Some(TIMEOUT)),
    (CIRCFLOW_ERR_SET_FINISHED, c"the set's legs went when nothing was under way", Some(FINISHED)),
    (CIRCFLOW_ERR_LEG_LOST, c"a leg went that its set cannot do without", Some(FINISHED)),
    (CIRCFLOW_ERR_EDGE_OVERRUN, Fault::EdgeOverrun.text(), Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_HUB_MEMORY, Fault::ProcessMemory.text(), Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_STREAM_MEMORY, Fault::StreamMemory.text(), Some(RESOURCELIMIT)),
    (CIRCFLOW_ERR_HELD_TOO_LONG, Fault::HeldTooLong.text(), Some(TIMEOUT)),
    (CIRCFLOW_ERR_PANIC, c"a bug in the library was caught; the engine is poisoned", Some(INTERNAL)),
    (CIRCFLOW_ERR_POISONED, c"the engine is poisoned", Some(INTERNAL)),
];

/// DESTROY reasons, tor-spec 5.4.
const TORPROTOCOL: u8 = 1;
const INTERNAL: u8 = 2;
const RESOURCELIMIT: u8 = 5;
pub(super) const FINISHED: u8 = 9;
const TIMEOUT: u8 = 10;

fn row(status: i32) -> Option<&'static (circflow_status, &'static CStr, Option<u8>)> {
    TABLE.iter().find(|(code, _, _)| *code as i32 == status)
}

/// Gives the version of the linked library, in the form of CIRCFLOW_VERSION, which is the version of the header.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_version() -> u32 {
    const fn part(text: &str) -> u32 {
        match u32::from_str_radix(text, 10) {
            Ok(part) => part,
            Err(_) => panic!("Cargo.toml has a version that is no number"),
        }
    }
    const VERSION: u32 = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | part(env!("CARGO_PKG_VERSION_PATCH"));
    VERSION
}

/// Gives one sentence about a status, in English, without a full stop. The text is static and never NULL. A number that
/// is no status has a sentence of its own.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_status_text(status: i32) -> *const c_char {
    row(status).map_or(c"not a status of circflow", |(_, text, _)| text).as_ptr()
}

pub(super) fn sentence(status: circflow_status) -> &'static str {
    row(status as i32).and_then(|(_, text, _)| text.to_str().ok()).unwrap_or_default()
}

/// Gives the name of a status as in this header, such as "CIRCFLOW_ERR_NULL", for people who debug. For users there is
/// circflow_status_text(). The text is static and never NULL; for a number that is no status it is "not a status".
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_status_name(status: i32) -> *const c_char {
    circflow_status::name_of(status.into()).as_ptr()
}

/// Gives the class of a status, which says what to do next.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_status_class(status: i32) -> circflow_class {
    use circflow_class::*;
    match (row(status), status) {
        (None, _) => CIRCFLOW_CLASS_UNKNOWN,
        (_, 0) => CIRCFLOW_CLASS_OK,
        (_, -99..=-1) => CIRCFLOW_CLASS_MISUSE,
        (_, -199..=-100) => CIRCFLOW_CLASS_NOT_NOW,
        (_, -299..=-200) => CIRCFLOW_CLASS_PEER,
        (_, -399..=-300) => CIRCFLOW_CLASS_LIMIT,
        _ => CIRCFLOW_CLASS_FATAL,
    }
}

/// Gives the reason to put into DESTROY (tor-spec 5.4) when you close a circuit because of this status: a number of one
/// byte, or -1 when the status is no cause to close a circuit.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_status_close_reason(status: i32) -> i32 {
    row(status).and_then(|(_, _, reason)| *reason).map_or(-1, i32::from)
}

/// Gives the place of a status in the counts by status of circflow_engine_counters: 0 for CIRCFLOW_OK, which stands for
/// what you asked for, and another for each status of the classes PEER and LIMIT. CIRCFLOW_COUNTED_STATUSES for all
/// others, and for numbers that are no status.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_status_place(status: i32) -> u32 {
    let place = place_of(status).filter(|_| row(status).is_some());
    place.unwrap_or(STATUSES) as u32
}

pub(super) fn close_reason(status: circflow_status) -> u8 {
    // What the host itself asked to close is simply finished.
    row(status as i32).and_then(|(_, _, reason)| *reason).unwrap_or(FINISHED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflux::Cause;
    use crate::wire::fault::status_words;

    #[test]
    fn logs_name_statuses_as_the_header_does() {
        let causes = [Cause::LegLost, Cause::Finished].into_iter();
        for cause in causes.chain(Fault::ALL.iter().map(|&fault| Cause::Fault(fault))) {
            let (name, reason) = status_words(cause.number()).unwrap();
            assert_eq!(name, circflow_status::name_of(cause.number().into()).to_str().unwrap());
            let row = TABLE.iter().find(|row| row.0 as i32 == cause.number()).unwrap();
            assert_eq!(reason, row.1.to_str().unwrap());
        }
        assert_eq!(status_words(0), None);
    }
}
