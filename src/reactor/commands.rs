//! Which commands each part of a circuit takes (R12): one table. Anything else is a protocol violation.

use crate::wire::Command;

/// The part this end plays on a circuit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// It opened the circuit.
    Client,
    /// It opened the circuit, and others open streams to it (an onion service).
    Service,
    /// The circuit goes on to another relay.
    Middle,
    /// The circuit ends here.
    Exit,
}

impl Part {
    /// Relays have no hops but the client.
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

/// Whether a message with this command may come to this part.
#[inline]
pub fn accepts(part: Part, command: Command) -> bool {
    TAKEN_BY[usize::from(command.0)] & part.bit() != 0
}

const CLIENT: u8 = 1 << 0;
const SERVICE: u8 = 1 << 1;
const MIDDLE: u8 = 1 << 2;
const EXIT: u8 = 1 << 3;
const ORIGIN: u8 = CLIENT | SERVICE;
const RELAY: u8 = MIDDLE | EXIT;
const ANY: u8 = ORIGIN | RELAY;

const TAKEN_BY: [u8; 256] = {
    let rows = [
        // Streams. A middle relay can be asked for one too (leaky pipe).
        (Command::BEGIN, RELAY | SERVICE),
        (Command::BEGIN_DIR, RELAY | SERVICE),
        (Command::RESOLVE, RELAY),
        (Command::CONNECTED, ORIGIN),
        (Command::RESOLVED, ORIGIN),
        (Command::DATA, ANY),
        (Command::END, ANY),
        (Command::XOFF, ANY),
        (Command::XON, ANY),
        // The circuit itself.
        (Command::SENDME, ANY),
        (Command::DROP, ANY),
        (Command::EXTEND, RELAY),
        (Command::EXTEND2, RELAY),
        (Command::TRUNCATE, RELAY),
        (Command::EXTENDED, ORIGIN),
        (Command::EXTENDED2, ORIGIN),
        (Command::TRUNCATED, ORIGIN),
        (Command::PADDING_NEGOTIATE, RELAY),
        (Command::PADDING_NEGOTIATED, ORIGIN),
        // Conflux: sets meet at the last hop. (Which of them is due is the handshake's to say.)
        (Command::CONFLUX_LINK, EXIT | SERVICE),
        (Command::CONFLUX_LINKED, ORIGIN),
        (Command::CONFLUX_LINKED_ACK, EXIT | SERVICE),
        (Command::CONFLUX_SWITCH, EXIT | ORIGIN),
        // Onion services: introduction and rendezvous points are last hops.
        (Command::ESTABLISH_INTRO, EXIT),
        (Command::ESTABLISH_RENDEZVOUS, EXIT),
        (Command::INTRODUCE1, EXIT),
        (Command::RENDEZVOUS1, EXIT),
        (Command::INTRODUCE2, ORIGIN),
        (Command::RENDEZVOUS2, ORIGIN),
        (Command::INTRO_ESTABLISHED, ORIGIN),
        (Command::RENDEZVOUS_ESTABLISHED, ORIGIN),
        (Command::INTRODUCE_ACK, ORIGIN),
    ];
    let mut table = [0; 256];
    let mut row = 0;
    while row < rows.len() {
        table[rows[row].0 .0 as usize] = rows[row].1;
        row += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_command_has_a_taker_and_no_unknown_one_has() {
        for command in (0..=255).map(Command) {
            let taken = [Part::Client, Part::Service, Part::Middle, Part::Exit].map(|part| accepts(part, command));
            assert_eq!(taken.contains(&true), command.is_known(), "{command:?}");
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
