//! Negotiates padding with the other end: PADDING_NEGOTIATE and PADDING_NEGOTIATED (padding-spec §3), both roles.

use crate::base::limits;
use crate::wire::fault::Fault;
use crate::wire::padding::{Negotiate, Negotiated, PaddingCommand, Response};

/// The machines that one circuit has negotiated.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    machines: Vec<Agreed>,
    /// Number of instances ever started on this circuit (CP-3).
    counter: u32,
    /// The relay has refused a machine: the client asks for no other (CP-8).
    failed: bool,
}

/// A machine number that runs, or is being stopped.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    number: u8,
    counter: u32,
    hop: u8,
    slot: u8,
    /// The relay has accepted the machine.
    confirmed: bool,
    /// The client has asked the relay to stop the machine.
    stopping: bool,
}

/// Consequence of a message for the padders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Nothing,
    Install,
    /// A machine that was asked to stop has stopped.
    Confirmed,
    Remove {
        hop: u8,
        slot: u8,
    },
}

/// A relay's reply about a machine that the client asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The relay pads from now on.
    Accepted,
    /// The relay does not pad.
    Refused,
    /// The relay has stopped, as the client asked.
    Stopped,
    /// The relay has stopped by itself.
    Ended,
}

impl Reply {
    /// The meaning of a valid answer that had this outcome.
    pub(super) fn of(answer: &Negotiated, outcome: Outcome) -> Reply {
        match (answer.command, answer.response, outcome) {
            (PaddingCommand::Start, Response::Ok, _) => Reply::Accepted,
            (PaddingCommand::Start, ..) => Reply::Refused,
            (PaddingCommand::Stop, _, Outcome::Confirmed) => Reply::Stopped,
            (PaddingCommand::Stop, ..) => Reply::Ended,
        }
    }
}

/// The reason why a machine cannot be started or stopped now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotNow {
    /// The machine runs already.
    Running,
    /// The machine does not run.
    NotRunning,
    /// The relay has refused a machine before.
    Refused,
    /// The circuit has as many machines as it may have.
    Full,
}

impl Negotiation {
    /// Client: asks the relay to start a machine (CP-3). Returns the message to send.
    pub fn start(&mut self, number: u8, hop: u8, slot: u8) -> Result<Negotiate, NotNow> {
        if self.failed {
            return Err(NotNow::Refused);
        }
        if self.machines.iter().any(|agreed| agreed.number == number && !agreed.stopping) {
            return Err(NotNow::Running);
        }
        if self.machines.len() >= limits::PADDERS_MAX {
            return Err(NotNow::Full);
        }
        let counter = self.next_counter();
        self.machines.push(Agreed { number, counter, hop, slot, confirmed: false, stopping: false });
        Ok(Negotiate { command: PaddingCommand::Start, machine_type: number, machine_ctr: counter })
    }

    /// Client: asks the relay to stop a machine. Returns the message to send, and hop and place of the machine's
    /// padder.
    pub fn stop(&mut self, number: u8) -> Result<(Negotiate, u8, u8), NotNow> {
        let agreed = self.running(number).ok_or(NotNow::NotRunning)?;
        agreed.stopping = true;
        let (hop, slot) = (agreed.hop, agreed.slot);
        let question = Negotiate { command: PaddingCommand::Stop, machine_type: number, machine_ctr: agreed.counter };
        Ok((question, hop, slot))
    }

    /// Client: handles the relay's answer (CP-8). An answer without a question is a violation, as it could carry a
    /// signal.
    pub fn answered(&mut self, hop: u8, answer: &Negotiated) -> Result<Outcome, Fault> {
        let same = |agreed: &Agreed| {
            let instance = answer.machine_ctr == 0 || answer.machine_ctr == agreed.counter;
            agreed.hop == hop && agreed.number == answer.machine_type && instance
        };
        let index = self.machines.iter().position(same).ok_or(Fault::BadNegotiated)?;
        let agreed = self.machines[index];
        if (answer.command, answer.response) == (PaddingCommand::Start, Response::Ok) {
            if agreed.confirmed {
                return Err(Fault::BadNegotiated);
            }
            self.machines[index].confirmed = true;
            return Ok(Outcome::Nothing);
        }
        self.failed |= answer.command == PaddingCommand::Start;
        self.machines.remove(index);
        // The padder of a machine that was asked to stop is gone already.
        Ok(if agreed.stopping { Outcome::Confirmed } else { Outcome::Remove { hop, slot: agreed.slot } })
    }

    /// Relay: handles the client's question (CP-5, CP-6). `slot` is the machine's place, none when its number is not
    /// known or the place is taken. Returns the answer to send.
    pub fn asked(&mut self, question: &Negotiate, slot: Option<u8>) -> (Option<Negotiated>, Outcome) {
        let number = question.machine_type;
        let answer = |response| Negotiated {
            command: question.command,
            response,
            machine_type: number,
            machine_ctr: question.machine_ctr,
        };
        let running = self.machines.iter().position(|agreed| agreed.number == number);
        match (question.command, running, slot) {
            // A second START changes only the number of the instance; C Tor answers it in the same way.
            (PaddingCommand::Start, Some(index), _) => {
                self.machines[index].counter = question.machine_ctr;
                (Some(answer(Response::Ok)), Outcome::Nothing)
            }
            (PaddingCommand::Start, None, None) => (Some(answer(Response::Err)), Outcome::Nothing),
            (PaddingCommand::Start, None, Some(slot)) => {
                let counter = question.machine_ctr;
                self.machines.push(Agreed { number, counter, hop: 0, slot, confirmed: true, stopping: false });
                (Some(answer(Response::Ok)), Outcome::Install)
            }
            (PaddingCommand::Stop, Some(index), _) => {
                let agreed = self.machines[index];
                if question.machine_ctr != 0 && question.machine_ctr != agreed.counter {
                    return (None, Outcome::Nothing);
                }
                self.machines.remove(index);
                (Some(answer(Response::Ok)), Outcome::Remove { hop: 0, slot: agreed.slot })
            }
            (PaddingCommand::Stop, None, _) => (None, Outcome::Nothing),
        }
    }

    /// Relay: ends a machine by itself (CP-7). Returns the message to send.
    pub fn end(&mut self, number: u8) -> Result<(Negotiated, Outcome), NotNow> {
        let index = self.machines.iter().position(|agreed| agreed.number == number).ok_or(NotNow::NotRunning)?;
        let agreed = self.machines.remove(index);
        let news = Negotiated {
            command: PaddingCommand::Stop,
            response: Response::Ok,
            machine_type: number,
            machine_ctr: agreed.counter,
        };
        Ok((news, Outcome::Remove { hop: 0, slot: agreed.slot }))
    }

    /// Returns the number of the machine that runs at a place and is not being stopped.
    pub fn number_of(&self, hop: u8, slot: u8) -> Option<u8> {
        let agreed = self.machines.iter().find(|agreed| (agreed.hop, agreed.slot) == (hop, slot) && !agreed.stopping);
        agreed.map(|agreed| agreed.number)
    }

    /// True while a negotiated machine may send padding from a hop.
    pub fn expects(&self, hop: u8) -> bool {
        self.machines.iter().any(|agreed| agreed.hop == hop && !agreed.stopping)
    }

    /// True while a relay was asked to stop a machine and has not answered.
    pub fn is_stopping(&self, hop: u8) -> bool {
        self.machines.iter().any(|agreed| agreed.hop == hop && agreed.stopping)
    }

    /// Forgets a machine whose padder could not be set up.
    pub fn forget(&mut self, number: u8) {
        self.machines.retain(|agreed| agreed.number != number || agreed.stopping);
    }

    /// Relay: forgets the machine at a place that the host has cleared, so that the client can ask for it again.
    pub fn forget_at_relay(&mut self, hop: u8, slot: u8) {
        self.machines.retain(|agreed| hop != 0 || (agreed.hop, agreed.slot) != (0, slot));
    }

    fn running(&mut self, number: u8) -> Option<&mut Agreed> {
        self.machines.iter_mut().find(|agreed| agreed.number == number && !agreed.stopping)
    }

    /// Returns the number of a new instance. 0 means "any instance", so no instance has that number.
    fn next_counter(&mut self) -> u32 {
        self.counter = self.counter.checked_add(1).unwrap_or(1);
        self.counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PaddingCommand::{Start, Stop};
    use Response::{Err as No, Ok as Yes};

    fn ask(command: PaddingCommand, number: u8, counter: u32) -> Negotiate {
        Negotiate { command, machine_type: number, machine_ctr: counter }
    }

    fn answer(command: PaddingCommand, response: Response, number: u8, counter: u32) -> Negotiated {
        Negotiated { command, response, machine_type: number, machine_ctr: counter }
    }

    #[test]
    fn the_counter_skips_zero() {
        let mut client = Negotiation { counter: u32::MAX - 1, ..Negotiation::default() };
        assert_eq!(client.start(0, 2, 0), Ok(ask(Start, 0, u32::MAX)));
        assert_eq!(client.start(1, 2, 1), Ok(ask(Start, 1, 1)));
    }

    #[test]
    fn a_client_accepts_what_it_asked_for_and_nothing_else() {
        let mut client = Negotiation::default();
        assert_eq!(client.answered(2, &answer(Start, Yes, 0, 1)), Err(Fault::BadNegotiated), "unsolicited");
        client.start(0, 2, 0).unwrap();
        assert_eq!(client.start(0, 2, 0), Err(NotNow::Running));
        for wrong in [answer(Start, Yes, 1, 1), answer(Start, Yes, 0, 2)] {
            assert_eq!(client.answered(2, &wrong), Err(Fault::BadNegotiated));
        }
        assert_eq!(client.answered(3, &answer(Start, Yes, 0, 1)), Err(Fault::BadNegotiated), "another hop");
        assert_eq!(client.answered(2, &answer(Start, Yes, 0, 1)), Ok(Outcome::Nothing));
        assert_eq!(client.answered(2, &answer(Start, Yes, 0, 1)), Err(Fault::BadNegotiated), "twice");
        assert!(client.expects(2) && !client.expects(3));
        assert_eq!(client.stop(0), Ok((ask(Stop, 0, 1), 2, 0)));
        assert_eq!(client.stop(0), Err(NotNow::NotRunning));
        assert_eq!(client.start(0, 2, 0), Ok(ask(Start, 0, 2)), "the next instance may be asked for at once");
        assert_eq!(client.answered(2, &answer(Stop, Yes, 0, 1)), Ok(Outcome::Confirmed));
        assert!(client.expects(2), "the second instance");
        assert_eq!(client.answered(2, &answer(Stop, Yes, 0, 2)), Ok(Outcome::Remove { hop: 2, slot: 0 }), "CP-7");
        assert!(!client.expects(2));
    }

    #[test]
    fn a_client_that_was_refused_asks_no_more() {
        let mut client = Negotiation::default();
        client.start(7, 2, 0).unwrap();
        assert_eq!(client.answered(2, &answer(Start, No, 7, 1)), Ok(Outcome::Remove { hop: 2, slot: 0 }));
        assert_eq!(client.start(7, 2, 0), Err(NotNow::Refused));
    }

    #[test]
    fn a_relay_answers_as_c_tor_does() {
        let mut relay = Negotiation::default();
        assert_eq!(relay.asked(&ask(Start, 9, 1), None), (Some(answer(Start, No, 9, 1)), Outcome::Nothing));
        assert_eq!(relay.asked(&ask(Stop, 9, 1), None), (None, Outcome::Nothing));
        assert_eq!(relay.asked(&ask(Start, 1, 2), Some(1)), (Some(answer(Start, Yes, 1, 2)), Outcome::Install));
        assert_eq!(relay.asked(&ask(Start, 1, 3), Some(1)), (Some(answer(Start, Yes, 1, 3)), Outcome::Nothing));
        assert_eq!(relay.asked(&ask(Stop, 1, 2), None), (None, Outcome::Nothing), "an old instance");
        let removed = Outcome::Remove { hop: 0, slot: 1 };
        assert_eq!(relay.asked(&ask(Stop, 1, 3), None), (Some(answer(Stop, Yes, 1, 3)), removed));
        relay.asked(&ask(Start, 1, 4), Some(1));
        assert_eq!(relay.asked(&ask(Stop, 1, 0), None), (Some(answer(Stop, Yes, 1, 0)), removed), "any instance");
        relay.asked(&ask(Start, 1, 5), Some(1));
        assert_eq!(relay.end(1), Ok((answer(Stop, Yes, 1, 5), removed)));
        assert_eq!(relay.end(1), Err(NotNow::NotRunning));
    }
}
