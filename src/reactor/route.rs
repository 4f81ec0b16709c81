//! Finds where a recognised message goes (FORWARD, R1), or the fault in it: one table for circuits that circflow runs
//! and for circuits that the host runs. [`crate::wire::command`] has the traits of each command, and the roles that
//! take it.

use crate::wire::command::{CLIENT, EXIT, MIDDLE, MULTIPLEXED, SERVICE, STREAM_FORBIDDEN, STREAM_NEEDED};
use crate::wire::fault::Fault;
use crate::wire::Command;

/// The part this end plays on a circuit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// This end opened the circuit.
    Client,
    /// This end opened the circuit, and the other end opens streams (an onion service).
    Service,
    /// A relay from which the circuit goes on to another relay.
    Middle,
    /// The relay at which the circuit ends.
    Exit,
}

impl Part {
    /// True for a relay, whose only hop is the client.
    pub fn is_relay(self) -> bool {
        matches!(self, Part::Middle | Part::Exit)
    }

    #[inline]
    const fn bit(self) -> u8 {
        match self {
            Part::Client => CLIENT,
            Part::Service => SERVICE,
            Part::Middle => MIDDLE,
            Part::Exit => EXIT,
        }
    }
}

/// True when a message with this command may come to this part.
#[inline]
pub fn accepts(part: Part, command: Command) -> bool {
    command.taken_by() & part.bit() != 0
}

/// Destination of a recognised message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The congestion window of its hop.
    Sendme,
    /// The conflux handshake.
    Handshake,
    /// The set: for SWITCH and multiplexed messages from the join point of a leg.
    Controller,
    /// The streams of the circuit itself.
    Streams,
    /// Answer END: BEGIN_DIR is not allowed on a leg (TROVE-2026-008).
    RefuseDirectory,
    /// The host.
    Host,
}

/// The circumstances that a route depends on besides the message.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The part that this end plays.
    pub part: Part,
    /// The circuit is a leg of a set.
    pub is_leg: bool,
    /// The message comes from the join point.
    pub at_join_point: bool,
    /// Streams may end at hops other than the last.
    pub leaky_pipe: bool,
    /// circflow runs the circuit, and so knows its streams.
    pub runs_streams: bool,
    /// The host runs the circuit: off legs, the host itself decides which commands and stream ids it takes.
    pub by_host: bool,
}

/// Returns the destination of a message, or the fault in it.
#[inline]
pub fn route(position: &Position, command: Command, stream_id: u16) -> Result<Route, Fault> {
    if let Some(fault) = misplaced(position, command, stream_id) {
        return Err(fault);
    }
    let &Position { is_leg, at_join_point, runs_streams, .. } = position;
    let (on_leg, about_legs) = (is_leg && at_join_point, command.is_about_legs());
    let is_multiplexed = command.is_multiplexed();
    match command {
        _ if is_multiplexed && on_leg => Ok(Route::Controller),
        _ if is_multiplexed && runs_streams => Ok(Route::Streams),
        // Congestion control replaces the windows of streams (SEN-9).
        Command::SENDME if stream_id != 0 && (on_leg || runs_streams) => Err(Fault::StreamSendme),
        Command::SENDME if runs_streams => Ok(Route::Sendme),
        Command::CONFLUX_SWITCH if on_leg => Ok(Route::Controller),
        _ if about_legs => Ok(Route::Handshake),
        Command::BEGIN_DIR if is_leg => Ok(Route::RefuseDirectory),
        Command::BEGIN_DIR if runs_streams => Ok(Route::Streams),
        _ => Ok(Route::Host),
    }
}

/// Returns the fault of a message that may not come here. The hop is checked before the stream id.
#[inline(always)]
fn misplaced(position: &Position, command: Command, stream_id: u16) -> Option<Fault> {
    let &Position { part, is_leg, at_join_point, leaky_pipe, by_host, .. } = position;
    let (traits, about_legs) = (command.traits(), command.is_about_legs());
    // A leg that was extended no longer ends at the join point: no message of its set can come here.
    let is_past = is_leg && at_join_point && part == Part::Middle && command.is_about_sets();
    if is_past || !(by_host || accepts(part, command)) {
        return Some(Fault::UnexpectedCommand);
    }
    let is_astray = !at_join_point && (about_legs || (traits & MULTIPLEXED != 0 && is_leg && !leaky_pipe));
    if is_astray {
        return Some(Fault::WrongHop);
    }
    let malformed = match stream_id {
        0 => traits & STREAM_NEEDED != 0,
        _ => traits & STREAM_FORBIDDEN != 0,
    };
    (malformed && (is_leg || about_legs || !by_host)).then_some(Fault::BadStreamId)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Position = Position {
        part: Part::Exit,
        is_leg: false,
        at_join_point: true,
        leaky_pipe: false,
        runs_streams: true,
        by_host: false,
    };
    const LEG: Position = Position { is_leg: true, ..EXIT };
    const CLIENT_LEG: Position = Position { part: Part::Client, ..LEG };

    #[test]
    fn r1_each_message_finds_its_destination() {
        let way = route;
        assert_eq!(way(&EXIT, Command::BEGIN, 1), Ok(Route::Streams));
        assert_eq!(way(&LEG, Command::BEGIN, 1), Ok(Route::Controller));
        assert_eq!(way(&LEG, Command::CONFLUX_SWITCH, 0), Ok(Route::Controller));
        assert_eq!(way(&EXIT, Command::CONFLUX_SWITCH, 0), Ok(Route::Handshake), "which refuses it");
        assert_eq!(way(&EXIT, Command::CONFLUX_LINK, 0), Ok(Route::Handshake));
        assert_eq!(way(&LEG, Command::BEGIN_DIR, 1), Ok(Route::RefuseDirectory));
        assert_eq!(way(&EXIT, Command::BEGIN_DIR, 1), Ok(Route::Streams));
        assert_eq!(way(&EXIT, Command::SENDME, 0), Ok(Route::Sendme));
        assert_eq!(way(&EXIT, Command::EXTEND2, 0), Ok(Route::Host));
    }

    #[test]
    fn r12_a_command_that_a_role_does_not_take_is_a_violation() {
        let unexpected = Err(Fault::UnexpectedCommand);
        assert_eq!(route(&CLIENT_LEG, Command::BEGIN, 1), unexpected);
        assert_eq!(route(&EXIT, Command::CONNECTED, 1), unexpected);
        assert_eq!(route(&Position { part: Part::Middle, ..EXIT }, Command::CONFLUX_LINK, 0), unexpected);
        assert_eq!(route(&EXIT, Command(99), 0), unexpected);
        assert_eq!(route(&Position { part: Part::Middle, ..LEG }, Command::DATA, 1), unexpected);
    }

    #[test]
    fn c12_other_hops_of_a_leg_keep_their_own_streams_if_there_are_leaky_pipes() {
        let elsewhere = Position { at_join_point: false, ..CLIENT_LEG };
        assert_eq!(route(&elsewhere, Command::DATA, 1), Err(Fault::WrongHop));
        assert_eq!(route(&Position { leaky_pipe: true, ..elsewhere }, Command::DATA, 1), Ok(Route::Streams));
        assert_eq!(route(&elsewhere, Command::CONFLUX_SWITCH, 0), Err(Fault::WrongHop));
    }

    #[test]
    fn a_stream_id_is_present_exactly_when_the_command_needs_one() {
        assert_eq!(route(&EXIT, Command::DATA, 0), Err(Fault::BadStreamId));
        assert_eq!(route(&EXIT, Command::EXTEND2, 4), Err(Fault::BadStreamId));
        assert_eq!(route(&EXIT, Command::SENDME, 4), Err(Fault::StreamSendme));
        let plain = Position { runs_streams: false, ..EXIT };
        assert_eq!(route(&plain, Command::SENDME, 4), Ok(Route::Host), "the host has windows of streams");
    }

    #[test]
    fn off_legs_the_host_gets_all_commands_but_those_of_conflux() {
        for part in [Part::Client, Part::Service, Part::Middle, Part::Exit] {
            let plain = Position { part, runs_streams: false, by_host: true, ..EXIT };
            for (command, stream_id) in (0..=255).flat_map(|number| [(Command(number), 0), (Command(number), 7)]) {
                let expected = match (command.is_about_legs(), stream_id) {
                    (true, 0) => Ok(Route::Handshake),
                    (true, _) => Err(Fault::BadStreamId),
                    (false, _) => Ok(Route::Host),
                };
                assert_eq!(route(&plain, command, stream_id), expected, "{command:?} of {stream_id}, {part:?}");
            }
        }
    }

    #[test]
    fn both_kinds_of_legs_are_alike_where_a_role_takes_the_command() {
        for at_join_point in [false, true] {
            for leaky_pipe in [false, true] {
                for part in [Part::Client, Part::Service, Part::Middle, Part::Exit] {
                    let run = Position { part, at_join_point, leaky_pipe, ..LEG };
                    let host = Position { by_host: true, runs_streams: false, ..run };
                    for (command, id) in (0..=255).flat_map(|number| [(Command(number), 0), (Command(number), 7)]) {
                        let (ours, theirs) = (route(&run, command, id), route(&host, command, id));
                        let explained = match ours {
                            // The host decides which commands it takes, and has windows and streams of its own.
                            Err(Fault::UnexpectedCommand) => !accepts(part, command),
                            Err(Fault::StreamSendme) => !at_join_point && theirs == Ok(Route::Host),
                            Ok(Route::Sendme | Route::Streams) => theirs == Ok(Route::Host),
                            _ => false,
                        };
                        assert!(ours == theirs || explained, "{command:?} of {id}: {ours:?}, {theirs:?}, at {run:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_hop_comes_before_the_stream_id() {
        let elsewhere = Position { at_join_point: false, ..LEG };
        for by_host in [false, true] {
            let elsewhere = Position { by_host, ..elsewhere };
            assert_eq!(route(&elsewhere, Command::DATA, 0), Err(Fault::WrongHop));
            assert_eq!(route(&elsewhere, Command::CONFLUX_LINK, 7), Err(Fault::WrongHop));
        }
    }

    #[test]
    fn a_question_and_its_answer_go_opposite_ways() {
        let pairs = [
            (Command::EXTEND2, Command::EXTENDED2),
            (Command::TRUNCATE, Command::TRUNCATED),
            (Command::RESOLVE, Command::RESOLVED),
            (Command::CONFLUX_LINK, Command::CONFLUX_LINKED),
            (Command::PADDING_NEGOTIATE, Command::PADDING_NEGOTIATED),
            (Command::BEGIN, Command::CONNECTED),
        ];
        for (question, answer) in pairs {
            assert!(accepts(Part::Exit, question) && !accepts(Part::Client, question), "{question:?}");
            assert!(accepts(Part::Client, answer) && !accepts(Part::Exit, answer), "{answer:?}");
        }
        assert!(!accepts(Part::Middle, Command::CONFLUX_LINK), "sets meet at the last hop");
        assert!(accepts(Part::Service, Command::BEGIN));
    }
}
