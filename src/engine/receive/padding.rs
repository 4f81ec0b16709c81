//! A message comes on a circuit with padders, or is about padding.

use crate::base::{Id, Nanos};
use crate::conflux::{Fault, Role};
use crate::engine::{Admitted, CircuitFlags, Engine, Error, Place, Verdict, VerdictKind};
use crate::message::Message;
use crate::padding::{judge, Judgement};
use crate::wire::Command;

impl Engine {
    /// A message came on a circuit with padders, or is about padding: padders hear of it before anything else does.
    pub(in crate::engine) fn receive_padding(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
    ) -> Result<Admitted, Error> {
        // What will be fed again must not be counted twice.
        let is_handshake = (Command::CONFLUX_LINK..Command::CONFLUX_SWITCH).contains(&message.command);
        if is_handshake || message.command == Command::PADDING_NEGOTIATE {
            self.check_drained()?;
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let is_drop = message.command == Command::DROP;
        if let Some(padding) = &mut circuit.padding {
            padding.received(message.hop, is_drop, now);
            self.time.alarms.arm_padding(id, padding.next());
        }
        let config = circuit.config;
        let (is_client, foreign) = (config.role == Role::Client, config.flags.has(CircuitFlags::OTHER_PADDER));
        if message.stream_id != 0 && (circuit.place.leg().is_some() || circuit.place == Place::Away) {
            // Whatever it is, it is malformed.
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
        match self.circuits.get_mut(id).and_then(|circuit| circuit.padding.as_mut()) {
            Some(padding) => padding.judge_received(hop),
            None => Ok(false),
        }
    }
}
