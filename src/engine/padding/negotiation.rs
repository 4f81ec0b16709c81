//! Negotiating padding with the other end: calls of a host. (receive/padding takes the messages.)

use crate::base::{Id, Nanos};
use crate::conflux::Role;
use crate::engine::out::insn::Queued;
use crate::engine::{Blocked, Engine, Error, Misuse};
use crate::event::Event;
use crate::padding::{NotNow, PadderTerms};
use crate::wire::Command;

impl Engine {
    /// Sets which padder a number of the negotiation stands for at one end; none for no padder.
    pub fn register_padding(&mut self, role: Role, number: u8, terms: Option<PadderTerms>) -> Result<(), Error> {
        if terms.as_ref().is_some_and(|terms| (terms.hop == 0) == (role == Role::Client)) {
            return Err(self.invalid("a client pads with hop 1 and up, a relay with hop 0"));
        }
        let key = (role == Role::Client, number);
        match terms {
            Some(mut terms) => {
                self.fill_padder_terms(&mut terms);
                self.padding.numbers.insert(key, terms)
            }
            None => self.padding.numbers.remove(&key),
        };
        Ok(())
    }

    /// Client: starts the padder with this number, and asks its relay to start too.
    pub fn start_padding(&mut self, now: Nanos, id: Id, number: u8) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.check_drained()?;
        if self.circuits.lookup(id)?.config.role != Role::Client {
            return Err(Misuse::Role.into());
        }
        let terms = self.padding.numbers.get(&(true, number)).cloned().ok_or(Misuse::UnknownPadding)?;
        if !self.padding.purse.lets_run(terms.runs_reduced) {
            return Err(Blocked::SwitchedOff.into());
        }
        self.check_hop(id, terms.hop)?;
        let key = self.padding.keys.draw();
        self.padding_of(id)?;
        let started = self.watch_padding(id, |padding, watch| padding.start(number, &terms, now, key, watch))?;
        let question = started.unwrap_or(Err(NotNow::NotRunning)).map_err(not_now)?;
        self.note_negotiated(id, terms.hop, number, Negotiating::StartSent);
        self.settle_padding(id, now);
        self.out.queue.push(Queued::Negotiation {
            circuit: id,
            hop: terms.hop,
            command: Command::PADDING_NEGOTIATE,
            body: question.encode(),
        });
        Ok(())
    }

    /// Stops the padder with this number, from either end.
    pub fn stop_padding(&mut self, now: Nanos, id: Id, number: u8) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.check_drained()?;
        self.circuits.lookup(id)?;
        self.end_padding(id, number, now)
    }

    pub(super) fn end_padding(&mut self, id: Id, number: u8, now: Nanos) -> Result<(), Error> {
        let is_client = self.circuits.get(id).is_some_and(|circuit| circuit.config.role == Role::Client);
        let news = self.watch_padding(id, |padding, watch| {
            if is_client {
                let (question, hop) = padding.stop(number, now, watch)?;
                Ok((Command::PADDING_NEGOTIATE, hop, question.encode()))
            } else {
                padding.end(number, now, watch).map(|news| (Command::PADDING_NEGOTIATED, 0, news.encode()))
            }
        })?;
        let (command, hop, body) = news.unwrap_or(Err(NotNow::NotRunning)).map_err(not_now)?;
        self.note_negotiated(id, hop, number, if is_client { Negotiating::StopSent } else { Negotiating::Ended });
        self.settle_padding(id, now);
        self.out.queue.push(Queued::Negotiation { circuit: id, hop, command, body });
        Ok(())
    }
}

/// Steps of the negotiation, as events number them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::engine) enum Negotiating {
    StartSent = 1,
    StartReceived = 2,
    Agreed = 3,
    Refused = 4,
    StopSent = 5,
    StopReceived = 6,
    Stopped = 7,
    Ended = 8,
}

impl Engine {
    /// Notes a step of the negotiation.
    pub(in crate::engine) fn note_negotiated(&mut self, circuit: Id, hop: u8, number: u8, step: Negotiating) {
        self.note(Event::PaddingNegotiated { circuit, hop, number, step: step as u8 });
    }
}

fn not_now(why: NotNow) -> Error {
    match why {
        NotNow::Running => Misuse::PadderExists.into(),
        NotNow::NotRunning => Misuse::NoPadder.into(),
        NotNow::Refused => Blocked::Refused.into(),
        NotNow::Full => Blocked::Full.into(),
    }
}
