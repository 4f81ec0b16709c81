//! Receiving on a circuit with padders, and messages about padding.

use crate::base::{Id, Nanos};
use crate::conflux::{Fault, Role};
use crate::engine::out::insn::Queued;
use crate::engine::padding::{tell_received, Negotiating, Watcher};
use crate::engine::{CircuitFlags, Engine, Error, Place, Verdict, VerdictKind};
use crate::event::Event;
use crate::message::Message;
use crate::padding::{decline, judge, Judgement, Padding, Reply};
use crate::wire::padding::{Negotiate, Negotiated, PaddingCommand, Response};
use crate::wire::Command;

/// Whether padding has taken a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admitted {
    /// Padding does not apply; the message goes on.
    Goes,
    /// Circflow has handled the message.
    Consumed(Verdict),
}

impl Engine {
    /// Tells padders of a message before anything else sees it, and takes messages about padding.
    pub(super) fn receive_padding(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<Admitted, Error> {
        // A message that the host has to feed again must not be counted twice.
        let is_handshake = (Command::CONFLUX_LINK..Command::CONFLUX_SWITCH).contains(&message.command);
        if is_handshake || message.command == Command::PADDING_NEGOTIATE {
            self.check_drained()?;
        }
        let is_drop = message.command == Command::DROP;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if let Some(padding) = &mut circuit.padding {
            tell_received(padding, &mut self.events, (id, message.hop), is_drop, now);
            self.time.alarms.arm_padding(id, padding.next());
        }
        let config = circuit.config;
        let (is_client, foreign) = (config.role == Role::Client, config.flags.has(CircuitFlags::OTHER_PADDER));
        if message.stream_id != 0 && (circuit.place.leg().is_some() || circuit.place == Place::Away) {
            // On a leg such a message is malformed; its route says so.
            return Ok(Admitted::Goes);
        }
        let ours = match message.command {
            Command::DROP => self.receive_drop(id, message.hop),
            Command::PADDING_NEGOTIATE if !is_client => Ok(self.receive_negotiate(now, id, message, foreign)),
            Command::PADDING_NEGOTIATED if is_client => self.receive_negotiated(now, id, message),
            Command::PADDING_NEGOTIATE | Command::PADDING_NEGOTIATED => Ok(false),
            _ => return Ok(Admitted::Goes),
        };
        match judge(ours, is_client, foreign) {
            Judgement::Consume => Ok(Admitted::Consumed(Verdict::of(VerdictKind::Consumed, id, config.tag))),
            Judgement::PassOn => Ok(Admitted::Goes),
            Judgement::Close(fault) => Err(self.fault(id, fault)),
        }
    }

    fn receive_drop(&mut self, id: Id, hop: u8) -> Result<bool, Fault> {
        self.padding.received += 1;
        self.note(Event::PaddingReceived { circuit: id, hop });
        match self.circuits.get_mut(id).and_then(|circuit| circuit.padding.as_mut()) {
            Some(padding) => padding.judge_received(hop),
            None => Ok(false),
        }
    }

    /// Relay: takes PADDING_NEGOTIATE, and queues the answer. False when it is not ours; one that cannot be read is
    /// dropped, as C Tor does (CP-9).
    fn receive_negotiate(&mut self, now: Nanos, id: Id, message: &Message<'_>, foreign: bool) -> bool {
        let Ok(question) = Negotiate::decode(message.body) else { return false };
        let terms = self.padding.numbers.get(&(false, question.machine_type)).cloned();
        if terms.is_none() && foreign {
            return false;
        }
        let terms = terms.filter(|terms| self.padding.purse.lets_run(terms.runs_reduced));
        let asked = if question.command == PaddingCommand::Start {
            Negotiating::StartReceived
        } else {
            Negotiating::StopReceived
        };
        self.note_negotiated(id, message.hop, question.machine_type, asked);
        let is_padded = self.circuits.get(id).is_some_and(|circuit| circuit.padding.is_some());
        let answer = if is_padded || (terms.is_some() && question.command == PaddingCommand::Start) {
            let key = self.padding.keys.draw();
            if self.padding_of(id).is_err() {
                return false;
            }
            let asked = |padding: &mut Padding, watch: &mut Watcher<'_>| {
                padding.asked(&question, terms.as_ref(), now, key, watch)
            };
            let answer = self.watch_padding(id, asked).ok().flatten().flatten();
            self.settle_padding(id, now);
            answer
        } else {
            decline(&question)
        };
        if let Some(answer) = answer {
            let step = match (answer.command, answer.response) {
                (PaddingCommand::Start, Response::Ok) => Negotiating::Agreed,
                (PaddingCommand::Start, _) => Negotiating::Refused,
                (PaddingCommand::Stop, _) => Negotiating::Stopped,
            };
            self.note_negotiated(id, message.hop, answer.machine_type, step);
            let (command, body) = (Command::PADDING_NEGOTIATED, answer.encode());
            self.out.queue.push(Queued::Negotiation { circuit: id, hop: message.hop, command, body });
        }
        true
    }

    /// Client: takes PADDING_NEGOTIATED. A fault when nothing was asked, or it cannot be read.
    fn receive_negotiated(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<bool, Fault> {
        let answer = Negotiated::decode(message.body).map_err(|_| Fault::BadNegotiated)?;
        let heard = self.watch_padding(id, |padding, watch| padding.negotiated(message.hop, &answer, now, watch));
        self.settle_padding(id, now);
        let reply = heard.ok().flatten().unwrap_or(Err(Fault::BadNegotiated))?;
        let step = match reply {
            Reply::Accepted => Negotiating::Agreed,
            Reply::Refused => Negotiating::Refused,
            Reply::Stopped => Negotiating::Stopped,
            Reply::Ended => Negotiating::Ended,
        };
        self.note_negotiated(id, message.hop, answer.machine_type, step);
        self.out.queue.push(Queued::Negotiated { circuit: id, number: answer.machine_type, hop: message.hop, reply });
        Ok(true)
    }
}
