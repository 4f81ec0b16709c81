//! Relay commands, and the one table of their properties.

use std::fmt;

/// A relay command: the byte that gives the kind of a message (tor-spec §6.1). Any byte is a `Command`; those with a
/// name here are [known](Command::is_known).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command(pub u8);

/// The rule for the stream id that stands beside a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRule {
    /// The message belongs to a stream: zero is malformed.
    Needed,
    /// The message belongs to the circuit: anything but zero is malformed.
    Forbidden,
    /// Both occur: SENDME serves circuits and (without congestion control) streams; an unknown command may do either.
    Either,
}

impl Command {
    /// All properties of this command in one byte, for callers that ask several questions: the sum of [`KNOWN`],
    /// [`MULTIPLEXED`], [`STREAM_NEEDED`], [`STREAM_FORBIDDEN`] and [`V1_STREAM_FIELD`].
    #[inline]
    pub const fn traits(self) -> u8 {
        TRAITS[self.0 as usize]
    }

    /// The roles that take this command (R12): the sum of [`CLIENT`], [`SERVICE`], [`MIDDLE`] and [`EXIT`].
    #[inline]
    pub const fn taken_by(self) -> u8 {
        TAKEN_BY[self.0 as usize]
    }

    /// Whether the message moves the sequence numbers of a conflux set and is delivered in their order (prop329 §2.8).
    ///
    /// This is a list of commands, not "has a stream id": BEGIN_DIR has one and is not sequenced, although §2.8 says
    /// that the two are the same. Both ends must agree exactly, and C Tor does it like this.
    #[inline]
    pub const fn is_multiplexed(self) -> bool {
        self.traits() & MULTIPLEXED != 0
    }

    /// Whether the message concerns a set when it comes from the join point of a leg: it moves the numbers, or is about
    /// legs.
    #[inline]
    pub fn is_about_sets(self) -> bool {
        self.is_multiplexed() || self.is_about_legs()
    }

    /// Whether this command has a name here.
    #[inline]
    pub const fn is_known(self) -> bool {
        self.traits() & KNOWN != 0
    }

    /// The rule for the stream id, whatever the cell format.
    #[inline]
    pub const fn stream_rule(self) -> StreamRule {
        let traits = self.traits();
        if traits & STREAM_NEEDED != 0 {
            StreamRule::Needed
        } else if traits & STREAM_FORBIDDEN != 0 {
            StreamRule::Forbidden
        } else {
            StreamRule::Either
        }
    }

    /// Whether the message is about the legs of a set: the handshake, or SWITCH.
    #[inline]
    pub fn is_about_legs(self) -> bool {
        (Command::CONFLUX_LINK..=Command::CONFLUX_SWITCH).contains(&self)
    }

    /// Whether the message is padding, or about padding.
    #[inline]
    pub fn is_about_padding(self) -> bool {
        matches!(self, Command::DROP | Command::PADDING_NEGOTIATE | Command::PADDING_NEGOTIATED)
    }

    /// Whether the v1 cell header has a stream id field for this command. SENDME has none: with v1 there always is
    /// congestion control, and so no SENDME of a stream.
    #[inline]
    pub const fn has_v1_stream_field(self) -> bool {
        self.traits() & V1_STREAM_FIELD != 0
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_known() {
            f.write_str(self.name())
        } else {
            write!(f, "Command({})", self.0)
        }
    }
}

/// Makes the names, the numbers, the properties and the roles from one list, so that they always agree.
macro_rules! commands {
    ($($name:ident = $number:literal, $traits:ident, $($taker:ident)|+;)*) => {
        #[allow(missing_docs)] // the names are the specification's
        #[allow(dead_code, reason = "a name for each number, whether code needs it or not")]
        impl Command {
            $(pub const $name: Self = Self($number);)*

            /// The specification's name, or `UNKNOWN`.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }
        }

        const TRAITS: [u8; 256] = {
            let mut table = [0; 256];
            $(table[$number] = $traits;)*
            table
        };

        const TAKEN_BY: [u8; 256] = {
            let mut table = [0; 256];
            $(table[$number] = $($taker)|+;)*
            table
        };
    };
}

// 16 to 18 (UDP) exist in one implementation, as an experiment, and are unknown here. 23 to 31 are unassigned.
commands! {
    BEGIN = 1, SEQUENCED, RELAY | SERVICE;
    DATA = 2, SEQUENCED, ANY;
    END = 3, SEQUENCED, ANY;
    CONNECTED = 4, SEQUENCED, ORIGIN;
    SENDME = 5, KNOWN, ANY;
    EXTEND = 6, CIRCUIT, RELAY;
    EXTENDED = 7, CIRCUIT, ORIGIN;
    TRUNCATE = 8, CIRCUIT, RELAY;
    TRUNCATED = 9, CIRCUIT, ORIGIN;
    DROP = 10, CIRCUIT, ANY;
    RESOLVE = 11, SEQUENCED, RELAY;
    RESOLVED = 12, SEQUENCED, ORIGIN;
    BEGIN_DIR = 13, STREAM, RELAY | SERVICE;
    EXTEND2 = 14, CIRCUIT, RELAY;
    EXTENDED2 = 15, CIRCUIT, ORIGIN;
    CONFLUX_LINK = 19, CIRCUIT, EXIT | SERVICE;
    CONFLUX_LINKED = 20, CIRCUIT, ORIGIN;
    CONFLUX_LINKED_ACK = 21, CIRCUIT, EXIT | SERVICE;
    CONFLUX_SWITCH = 22, CIRCUIT, EXIT | ORIGIN;
    ESTABLISH_INTRO = 32, CIRCUIT, EXIT;
    ESTABLISH_RENDEZVOUS = 33, CIRCUIT, EXIT;
    INTRODUCE1 = 34, CIRCUIT, EXIT;
    INTRODUCE2 = 35, CIRCUIT, ORIGIN;
    RENDEZVOUS1 = 36, CIRCUIT, EXIT;
    RENDEZVOUS2 = 37, CIRCUIT, ORIGIN;
    INTRO_ESTABLISHED = 38, CIRCUIT, ORIGIN;
    RENDEZVOUS_ESTABLISHED = 39, CIRCUIT, ORIGIN;
    INTRODUCE_ACK = 40, CIRCUIT, ORIGIN;
    PADDING_NEGOTIATE = 41, CIRCUIT, RELAY;
    PADDING_NEGOTIATED = 42, CIRCUIT, ORIGIN;
    XOFF = 43, SEQUENCED, ANY;
    XON = 44, SEQUENCED, ANY;
}

/// Role: the end that opened the circuit.
pub const CLIENT: u8 = 1 << 0;
/// Role: the end that opened the circuit, where the other end opens streams (an onion service).
pub const SERVICE: u8 = 1 << 1;
/// Role: a relay whose circuit goes on to another relay.
pub const MIDDLE: u8 = 1 << 2;
/// Role: the last relay of a circuit, where the legs of a set meet. Introduction and rendezvous points are last relays
/// too.
pub const EXIT: u8 = 1 << 3;
const ORIGIN: u8 = CLIENT | SERVICE;
const RELAY: u8 = MIDDLE | EXIT;
const ANY: u8 = ORIGIN | RELAY;

/// Trait: the command has a name.
pub const KNOWN: u8 = 1 << 0;
/// Trait: sequenced and reordered by conflux.
pub const MULTIPLEXED: u8 = 1 << 1;
/// Trait: the stream id must not be zero.
pub const STREAM_NEEDED: u8 = 1 << 2;
/// Trait: the stream id must be zero.
pub const STREAM_FORBIDDEN: u8 = 1 << 3;
/// Trait: the v1 header has a stream id field.
pub const V1_STREAM_FIELD: u8 = 1 << 4;

/// A command of the circuit, or of one hop.
const CIRCUIT: u8 = KNOWN | STREAM_FORBIDDEN;
/// A command of a stream.
const STREAM: u8 = KNOWN | STREAM_NEEDED | V1_STREAM_FIELD;
/// A command of a stream, whose messages conflux keeps in order.
const SEQUENCED: u8 = STREAM | MULTIPLEXED;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_eight_commands_are_multiplexed() {
        let multiplexed: Vec<u8> = (0..=255).filter(|&n| Command(n).is_multiplexed()).collect();
        assert_eq!(multiplexed, [1, 2, 3, 4, 11, 12, 43, 44]);
    }

    #[test]
    fn the_v1_field_stands_exactly_where_a_stream_is_needed() {
        for command in (0..=255).map(Command) {
            let needed = command.stream_rule() == StreamRule::Needed;
            assert_eq!(command.has_v1_stream_field(), needed, "{command:?}");
        }
    }

    #[test]
    fn every_known_command_has_a_taker_and_no_unknown_one_has() {
        for command in (0..=255).map(Command) {
            assert_eq!(command.taken_by() != 0, command.is_known(), "{command:?}");
        }
    }

    #[test]
    fn udp_and_unassigned_commands_are_unknown() {
        let known = (0..=255).filter(|&n| Command(n).is_known()).count();
        assert_eq!(known, 32);
        for n in [0, 16, 17, 18, 23, 31, 45, 200, 255] {
            assert_eq!(Command(n).traits(), 0);
            assert_eq!(Command(n).name(), "UNKNOWN");
            assert_eq!(format!("{:?}", Command(n)), format!("Command({n})"));
        }
        assert_eq!(format!("{:?}", Command(22)), "CONFLUX_SWITCH");
    }
}
