//! The reasons why circuits and sets end: what a peer can do wrong, on whatever floor it is noticed.

use std::ffi::CStr;

/// A peer's fault, or a cap that was reached, so that a circuit or a set must close. (One byte: it is part of the
/// answer of nearly every call, and wider ones made calls slower.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fault {
    /// LINK or LINKED cannot be read.
    BadLink,
    /// LINK in a state or role that does not take it.
    UnexpectedLink,
    /// LINKED in a state or role that does not take it.
    UnexpectedLinked,
    /// LINKED_ACK in a state or role that does not take it.
    UnexpectedLinkedAck,
    /// LINKED with another nonce than LINK.
    BadNonce,
    /// LINK or LINKED with impossible sequence numbers.
    BadLinkNumbers,
    /// LINK on a circuit that had streams, or that does not use Vegas.
    UnfitLink,
    /// LINK while conflux is switched off.
    ConfluxOff,
    /// A message that must come from the join point came from another hop.
    WrongHop,
    /// SWITCH cannot be read.
    BadSwitch,
    /// SWITCH on a circuit that is not linked.
    UnexpectedSwitch,
    /// SWITCH after SWITCH, with no message between them.
    SwitchRepeated,
    /// Too many SWITCHes by 0.
    SwitchZero,
    /// SWITCH that moves a leg too far ahead.
    SwitchTooFar,
    /// A sequence number beyond the largest.
    NumberOverflow,
    /// A sequence number that was delivered before.
    NumberStale,
    /// One sequence number on two legs.
    NumberTwice,
    /// A multiplexed message on a leg that is not linked.
    UnlinkedData,
    /// A stream-level SENDME on a leg.
    StreamSendme,
    /// A stream id that does not fit the command.
    BadStreamId,
    /// The set's cap on held bytes is reached.
    SetMemory,
    /// The engine's cap on held bytes is reached.
    EngineMemory,
    /// The cap on legs or sets is reached.
    LinkLimit,
    /// LINKED did not come in time.
    LinkedTimeout,
    /// LINKED_ACK did not come in time.
    LinkedAckTimeout,
    /// The set's home, on another engine, did not answer in time.
    HomeTimeout,
    /// Padding from a hop that has no reason to send it.
    PaddingUnexpected,
    /// More padding than the hop may send.
    PaddingExcess,
    /// PADDING_NEGOTIATED that cannot be read, or that answers no request.
    BadNegotiated,
    /// A command that this part of a circuit does not take.
    UnexpectedCommand,
    /// A cell that this relay does not recognise, and no other relay follows.
    Unrecognised,
    /// BEGIN for a stream that is already open.
    StreamTwice,
    /// A message for a stream that was never opened.
    UnknownStream,
    /// XOFF or XON that cannot be read.
    BadFlow,
    /// XOFF or XON more often than the data sent can cause.
    FlowAbuse,
    /// A SENDME that acknowledges nothing, or has a wrong digest.
    BadSendme,
    /// More cells than an edge takes after it asked for a pause.
    EdgeOverrun,
    /// More bytes of a stream than may be buffered.
    StreamMemory,
    /// The process's cap on held bytes is reached.
    ProcessMemory,
    /// The messages before a held one have not come for too long.
    HeldTooLong,
}

/// How far a fault on a leg reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The circuit on which it happened. The set then does what it does after any loss of a leg.
    Circuit,
    /// The whole set: its order can no longer be trusted.
    Set,
}

impl Fault {
    /// All faults, in the order of the enum.
    pub const ALL: &'static [Fault] = {
        use Fault::*;
        &[
            BadLink,
            UnexpectedLink,
            UnexpectedLinked,
            UnexpectedLinkedAck,
            BadNonce,
            BadLinkNumbers,
            UnfitLink,
            ConfluxOff,
            WrongHop,
            BadSwitch,
            UnexpectedSwitch,
            SwitchRepeated,
            SwitchZero,
            SwitchTooFar,
            NumberOverflow,
            NumberStale,
            NumberTwice,
            UnlinkedData,
            StreamSendme,
            BadStreamId,
            SetMemory,
            EngineMemory,
            LinkLimit,
            LinkedTimeout,
            LinkedAckTimeout,
            HomeTimeout,
            PaddingUnexpected,
            PaddingExcess,
            BadNegotiated,
            UnexpectedCommand,
            Unrecognised,
            StreamTwice,
            UnknownStream,
            BadFlow,
            FlowAbuse,
            BadSendme,
            EdgeOverrun,
            StreamMemory,
            ProcessMemory,
            HeldTooLong,
        ]
    };

    /// The number of its status in the C header.
    pub const fn number(self) -> i32 {
        use Fault::*;
        match self {
            BadLink => -200,
            UnexpectedLink => -201,
            UnexpectedLinked => -202,
            UnexpectedLinkedAck => -203,
            BadNonce => -204,
            BadLinkNumbers => -205,
            UnfitLink => -206,
            ConfluxOff => -207,
            WrongHop => -208,
            BadSwitch => -209,
            UnexpectedSwitch => -210,
            SwitchRepeated => -211,
            SwitchZero => -212,
            SwitchTooFar => -213,
            NumberOverflow => -214,
            NumberStale => -215,
            NumberTwice => -216,
            UnlinkedData => -217,
            StreamSendme => -218,
            BadStreamId => -219,
            SetMemory => -300,
            EngineMemory => -301,
            LinkLimit => -302,
            LinkedTimeout => -303,
            LinkedAckTimeout => -304,
            HomeTimeout => -314,
            PaddingUnexpected => -222,
            PaddingExcess => -223,
            BadNegotiated => -224,
            UnexpectedCommand => -225,
            Unrecognised => -226,
            StreamTwice => -227,
            UnknownStream => -228,
            BadFlow => -229,
            FlowAbuse => -230,
            BadSendme => -231,
            EdgeOverrun => -307,
            StreamMemory => -308,
            ProcessMemory => -309,
            HeldTooLong => -310,
        }
    }

    /// The name of its status in the C header.
    pub const fn name(self) -> &'static str {
        use Fault::*;
        match self {
            BadLink => "CIRCFLOW_ERR_BAD_LINK",
            UnexpectedLink => "CIRCFLOW_ERR_UNEXPECTED_LINK",
            UnexpectedLinked => "CIRCFLOW_ERR_UNEXPECTED_LINKED",
            UnexpectedLinkedAck => "CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK",
            BadNonce => "CIRCFLOW_ERR_BAD_NONCE",
            BadLinkNumbers => "CIRCFLOW_ERR_BAD_LINK_NUMBERS",
            UnfitLink => "CIRCFLOW_ERR_UNFIT_LINK",
            ConfluxOff => "CIRCFLOW_ERR_CONFLUX_OFF",
            WrongHop => "CIRCFLOW_ERR_WRONG_HOP",
            BadSwitch => "CIRCFLOW_ERR_BAD_SWITCH",
            UnexpectedSwitch => "CIRCFLOW_ERR_UNEXPECTED_SWITCH",
            SwitchRepeated => "CIRCFLOW_ERR_SWITCH_REPEATED",
            SwitchZero => "CIRCFLOW_ERR_SWITCH_ZERO",
            SwitchTooFar => "CIRCFLOW_ERR_SWITCH_TOO_FAR",
            NumberOverflow => "CIRCFLOW_ERR_NUMBER_OVERFLOW",
            NumberStale => "CIRCFLOW_ERR_NUMBER_STALE",
            NumberTwice => "CIRCFLOW_ERR_NUMBER_TWICE",
            UnlinkedData => "CIRCFLOW_ERR_UNLINKED_DATA",
            StreamSendme => "CIRCFLOW_ERR_STREAM_SENDME",
            BadStreamId => "CIRCFLOW_ERR_BAD_STREAM_ID",
            SetMemory => "CIRCFLOW_ERR_SET_MEMORY",
            EngineMemory => "CIRCFLOW_ERR_ENGINE_MEMORY",
            LinkLimit => "CIRCFLOW_ERR_LINK_LIMIT",
            LinkedTimeout => "CIRCFLOW_ERR_LINKED_TIMEOUT",
            LinkedAckTimeout => "CIRCFLOW_ERR_LINKED_ACK_TIMEOUT",
            HomeTimeout => "CIRCFLOW_ERR_HOME_TIMEOUT",
            PaddingUnexpected => "CIRCFLOW_ERR_PADDING_UNEXPECTED",
            PaddingExcess => "CIRCFLOW_ERR_PADDING_EXCESS",
            BadNegotiated => "CIRCFLOW_ERR_BAD_NEGOTIATED",
            UnexpectedCommand => "CIRCFLOW_ERR_UNEXPECTED_COMMAND",
            Unrecognised => "CIRCFLOW_ERR_UNRECOGNISED",
            StreamTwice => "CIRCFLOW_ERR_STREAM_TWICE",
            UnknownStream => "CIRCFLOW_ERR_UNKNOWN_STREAM",
            BadFlow => "CIRCFLOW_ERR_BAD_FLOW",
            FlowAbuse => "CIRCFLOW_ERR_FLOW_ABUSE",
            BadSendme => "CIRCFLOW_ERR_BAD_SENDME",
            EdgeOverrun => "CIRCFLOW_ERR_EDGE_OVERRUN",
            ProcessMemory => "CIRCFLOW_ERR_HUB_MEMORY",
            StreamMemory => "CIRCFLOW_ERR_STREAM_MEMORY",
            HeldTooLong => "CIRCFLOW_ERR_HELD_TOO_LONG",
        }
    }

    /// The fault in words, for logs and for `circflow_status_text()`.
    pub const fn text(self) -> &'static CStr {
        use Fault::*;
        match self {
            BadLink => c"a LINK or LINKED that cannot be read",
            UnexpectedLink => c"a LINK where none may be",
            UnexpectedLinked => c"a LINKED where none may be",
            UnexpectedLinkedAck => c"a LINKED_ACK where none may be",
            BadNonce => c"LINKED carries another nonce than LINK",
            BadLinkNumbers => c"LINK or LINKED claims numbers that cannot be",
            UnfitLink => c"LINK on a circuit that carried streams or lacks Vegas",
            ConfluxOff => c"LINK, and conflux is switched off here",
            WrongHop => c"a message from another hop than the join point",
            BadSwitch => c"a SWITCH that cannot be read",
            UnexpectedSwitch => c"a SWITCH on a circuit that is not linked",
            SwitchRepeated => c"SWITCH upon SWITCH with no message between",
            SwitchZero => c"too many SWITCHes by zero",
            SwitchTooFar => c"a SWITCH further ahead than any window reaches",
            NumberOverflow => c"a sequence number beyond the end of numbers",
            NumberStale => c"a message with a number that was delivered already",
            NumberTwice => c"two legs brought the same number",
            UnlinkedData => c"a multiplexed message on a leg that is not linked",
            StreamSendme => c"a SENDME with a stream id on a leg",
            BadStreamId => c"a stream id where none may be, or none where one is needed",
            SetMemory => c"the set holds as many bytes as it may",
            EngineMemory => c"the engine holds as many bytes as it may",
            LinkLimit => c"more legs or sets than may be",
            LinkedTimeout => c"LINKED did not come in time",
            LinkedAckTimeout => c"LINKED_ACK did not come in time",
            HomeTimeout => c"the set's engine did not take the leg in time",
            PaddingUnexpected => c"padding from a hop without a padder",
            PaddingExcess => c"more padding than the hop may send",
            BadNegotiated => c"a PADDING_NEGOTIATED that cannot be read, or that answers nothing",
            UnexpectedCommand => c"a command that this end of a circuit does not take",
            Unrecognised => c"a cell that is for nobody",
            StreamTwice => c"a second BEGIN for a stream",
            UnknownStream => c"a message for a stream that was never opened",
            BadFlow => c"an XOFF or XON that cannot be read",
            FlowAbuse => c"XOFF or XON too often",
            BadSendme => c"a SENDME that acknowledges nothing that was sent",
            EdgeOverrun => c"the source of an edge goes on after a pause",
            ProcessMemory => c"the process holds as many bytes as it may",
            HeldTooLong => c"a message was held for order for too long",
            StreamMemory => c"a stream has as many bytes waiting as it may",
        }
    }

    /// True for faults that are found when a message of a stream has its turn. That message is lost, so the messages
    /// that follow it in order are of no use any more.
    pub fn ends_order(self) -> bool {
        use Fault::*;
        matches!(self, StreamTwice | UnknownStream | BadFlow | FlowAbuse | StreamMemory)
    }

    /// True for faults of one who holds too much, or for too long.
    pub fn is_of_memory(self) -> bool {
        use Fault::*;
        matches!(self, SetMemory | EngineMemory | ProcessMemory | HeldTooLong)
    }

    /// How far the fault reaches when it happens on a leg.
    pub fn reach(self) -> Reach {
        use Fault::*;
        match self {
            BadSwitch | SwitchRepeated | SwitchZero | SwitchTooFar | NumberOverflow | NumberStale | NumberTwice
            | SetMemory | EngineMemory | ProcessMemory | HeldTooLong => Reach::Set,
            BadLink | UnexpectedLink | UnexpectedLinked | UnexpectedLinkedAck | BadNonce | BadLinkNumbers
            | UnfitLink | ConfluxOff | WrongHop | UnexpectedSwitch | UnlinkedData | StreamSendme | BadStreamId
            | LinkLimit | LinkedTimeout | LinkedAckTimeout | HomeTimeout | PaddingUnexpected | PaddingExcess
            | BadNegotiated | UnexpectedCommand | Unrecognised | StreamTwice | UnknownStream | BadFlow | FlowAbuse
            | BadSendme | EdgeOverrun | StreamMemory => Reach::Circuit,
        }
    }
}

/// The reason why a circuit is to close, or why a set has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The host asked for it.
    Asked,
    /// A leg has gone that the set cannot do without.
    LegLost,
    /// A leg that the set cannot do without, or its last leg, has gone while nothing was in flight.
    Finished,
    /// A fault.
    Fault(Fault),
}

impl Cause {
    /// The number of its status in the C header: 0 when the host asked for it.
    pub const fn number(self) -> i32 {
        match self {
            Cause::Asked => 0,
            Cause::LegLost => -306,
            Cause::Finished => -311,
            Cause::Fault(fault) => fault.number(),
        }
    }
}

/// The name in the C header of a status that is the cause of something, and its reason in words, for logs.
pub fn status_words(number: i32) -> Option<(&'static str, &'static str)> {
    if number == Cause::LegLost.number() {
        return Some(("CIRCFLOW_ERR_LEG_LOST", "a leg went that its set cannot do without"));
    }
    if number == Cause::Finished.number() {
        return Some(("CIRCFLOW_ERR_SET_FINISHED", "the set's legs went when nothing was under way"));
    }
    let fault = Fault::ALL.iter().find(|fault| fault.number() == number)?;
    Some((fault.name(), fault.text().to_str().unwrap_or_default()))
}
