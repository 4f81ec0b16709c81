//! FORWARD (R1): takes cells from the client's side. What it cannot recognise goes on to the next relay; what is for us
//! goes where its command says. At a client it has no next relay, and everything is for us (R12).

use super::commands::{accepts, Part};
use super::edge::Edge;
use crate::wire::command::{MULTIPLEXED, STREAM_FORBIDDEN, STREAM_NEEDED};
use crate::wire::fault::Fault;
use crate::wire::Command;

/// The forward half of a circuit.
#[derive(Debug, Default)]
pub struct Forward {
    /// Towards the next relay.
    pub next: Edge,
}

/// Where a recognised message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// To the congestion window of its hop.
    Sendme,
    /// To the conflux handshake.
    Handshake,
    /// To the set: SWITCH, and what is multiplexed, from the join point of a leg.
    Controller,
    /// To the streams of the circuit itself.
    Streams,
    /// BEGIN_DIR on a leg: not to be honoured (TROVE-2026-008).
    RefuseDirectory,
    /// To the host.
    Host,
}

/// What a route depends on besides the message.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The part we play.
    pub part: Part,
    /// The circuit is a leg of a set.
    pub is_leg: bool,
    /// The message comes from the hop where sets meet.
    pub at_join_point: bool,
    /// Streams may end at other hops.
    pub leaky_pipe: bool,
    /// We do congestion control, and so know the streams.
    pub runs_streams: bool,
}

impl Forward {
    /// Finds the way of a message, or what is wrong with it.
    #[inline]
    pub fn route(position: &Position, command: Command, stream_id: u16) -> Result<Route, Fault> {
        let on_leg = position.is_leg && position.at_join_point;
        // A leg that was extended is at the join point no more: nothing of its set can come from there.
        let is_past = on_leg && position.part == Part::Middle && command.is_of_sets();
        if is_past || !accepts(position.part, command) {
            return Err(Fault::UnexpectedCommand);
        }
        let traits = command.traits();
        let malformed = match stream_id {
            0 => traits & STREAM_NEEDED != 0,
            _ => traits & STREAM_FORBIDDEN != 0,
        };
        if malformed {
            return Err(Fault::BadStreamId);
        }
        if traits & MULTIPLEXED != 0 {
            return match (on_leg, position.is_leg && !position.leaky_pipe, position.runs_streams) {
                (true, ..) => Ok(Route::Controller),
                (false, true, _) => Err(Fault::WrongHop),
                (false, false, true) => Ok(Route::Streams),
                (false, false, false) => Ok(Route::Host),
            };
        }
        match command {
            // With congestion control there are no windows of streams (SEN-9).
            Command::SENDME if stream_id != 0 && (on_leg || position.runs_streams) => Err(Fault::StreamSendme),
            Command::SENDME if position.runs_streams => Ok(Route::Sendme),
            Command::CONFLUX_SWITCH if on_leg => Ok(Route::Controller),
            _ if (Command::CONFLUX_LINK..=Command::CONFLUX_SWITCH).contains(&command) => {
                if position.at_join_point {
                    Ok(Route::Handshake)
                } else {
                    Err(Fault::WrongHop)
                }
            }
            Command::BEGIN_DIR if position.is_leg => Ok(Route::RefuseDirectory),
            Command::BEGIN_DIR if position.runs_streams => Ok(Route::Streams),
            _ => Ok(Route::Host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Position =
        Position { part: Part::Exit, is_leg: false, at_join_point: true, leaky_pipe: false, runs_streams: true };
    const LEG: Position = Position { is_leg: true, ..EXIT };
    const CLIENT_LEG: Position = Position { part: Part::Client, ..LEG };

    #[test]
    fn r1_each_message_finds_its_room() {
        let way = |position: &Position, command, stream_id| Forward::route(position, command, stream_id);
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
    fn r12_what_a_role_does_not_take_is_a_violation() {
        let unexpected = Err(Fault::UnexpectedCommand);
        assert_eq!(Forward::route(&CLIENT_LEG, Command::BEGIN, 1), unexpected);
        assert_eq!(Forward::route(&EXIT, Command::CONNECTED, 1), unexpected);
        assert_eq!(Forward::route(&Position { part: Part::Middle, ..EXIT }, Command::CONFLUX_LINK, 0), unexpected);
        assert_eq!(Forward::route(&EXIT, Command(99), 0), unexpected);
        assert_eq!(Forward::route(&Position { part: Part::Middle, ..LEG }, Command::DATA, 1), unexpected);
    }

    #[test]
    fn c12_other_hops_of_a_leg_keep_their_own_streams_if_there_are_leaky_pipes() {
        let elsewhere = Position { at_join_point: false, ..CLIENT_LEG };
        assert_eq!(Forward::route(&elsewhere, Command::DATA, 1), Err(Fault::WrongHop));
        assert_eq!(Forward::route(&Position { leaky_pipe: true, ..elsewhere }, Command::DATA, 1), Ok(Route::Streams));
        assert_eq!(Forward::route(&elsewhere, Command::CONFLUX_SWITCH, 0), Err(Fault::WrongHop));
    }

    #[test]
    fn stream_ids_are_there_when_needed_and_only_then() {
        assert_eq!(Forward::route(&EXIT, Command::DATA, 0), Err(Fault::BadStreamId));
        assert_eq!(Forward::route(&EXIT, Command::EXTEND2, 4), Err(Fault::BadStreamId));
        assert_eq!(Forward::route(&EXIT, Command::SENDME, 4), Err(Fault::StreamSendme));
        let plain = Position { runs_streams: false, ..EXIT };
        assert_eq!(Forward::route(&plain, Command::SENDME, 4), Ok(Route::Host), "windows of streams are the host's");
    }
}
