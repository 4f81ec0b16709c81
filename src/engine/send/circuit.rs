//! Sending on a circuit, for messages that belong to no set.

use crate::base::{Id, Nanos};
use crate::conflux::Role;
use crate::engine::out::detail::HELD_ENOUGH;
use crate::engine::slot::Kept;
use crate::engine::{Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Plain, Verdict, VerdictKind};
use crate::message::Head;
use crate::padding::Admission;
use crate::reactor::Side;
use crate::wire::{Command, StreamRule};

impl Engine {
    /// Sends a message on a circuit, unless padding blocks. None when it has to be held: [`Engine::hold_for_circuit`].
    #[inline]
    pub fn send_on_circuit(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        match circuit.place {
            Place::Closing => return Err(Blocked::Gone.into()),
            Place::Leg { .. } | Place::Away if command == Command::BEGIN_DIR && circuit.config.hops.ends_at(hop) => {
                return Err(Misuse::NotMultiplexed.into());
            }
            Place::Leg { .. } | Place::Away if command.is_multiplexed() && circuit.config.hops.ends_at(hop) => {
                return Err(Misuse::InSet.into());
            }
            _ if !circuit.config.hops.has(hop) => return Err(self.invalid("the circuit has no such hop to send to")),
            _ => {}
        }
        match circuit.padding.as_mut().map_or(Admission::Go, |padding| padding.admit(command)) {
            Admission::Go => {}
            Admission::Hold => return Ok(None),
            Admission::Full => return Err(self.no_room(HELD_ENOUGH)),
        }
        if command.stream_rule() == StreamRule::Needed {
            circuit.config.flags.add(CircuitFlags::STREAMS);
        }
        let verdict = Verdict::of(VerdictKind::Send, id, circuit.config.tag);
        self.count_sent(id, hop, now);
        let wants_digest = self.count_data(id, hop, command, now);
        Ok(Some(Verdict { wants_digest, ..verdict }))
    }

    /// The quick way of [`Engine::send_for_host`], on a circuit of the host's that is no leg and has no padder.
    #[inline(always)]
    pub(super) fn send_for_host_quick(&mut self, now: Nanos, id: Id, head: &Head) -> Option<Verdict> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        let circuit = self.circuits.get_mut(id)?;
        let Kept { hops, plain, tag, .. } = circuit.config;
        if circuit.place != Place::Alone {
            return None;
        }
        // Most messages go to the last hop.
        if !plain.is(head.hop) && (plain == Plain::NONE || !hops.has(head.hop)) {
            return None;
        }
        circuit.note_stream(head.command, head.stream_id);
        self.padding.purse.sent(1);
        Some(Verdict::of(VerdictKind::Send, id, tag))
    }

    /// Sends a message of the host on a circuit: not past streams that circflow runs, and not past cells that wait at a
    /// relay's edge. None when it has to be held: [`Engine::hold_for_host`].
    #[inline]
    pub fn send_for_host(
        &mut self,
        now: Nanos,
        id: Id,
        command: Command,
        hop: u8,
        stream_id: u16,
    ) -> Result<Option<Verdict>, Error> {
        let runs = self.circuits.get(id).is_some_and(|circuit| circuit.runs_streams());
        if runs && command.stream_rule() == StreamRule::Needed {
            return Err(Misuse::IsRun.into());
        }
        if self.waits_at_edge(id, hop) {
            // What is due comes first, and can empty the edge.
            self.enter_for_circuits(now, std::iter::once(id))?;
            if self.waits_at_edge(id, hop) {
                return Ok(None);
            }
        }
        let verdict = self.send_on_circuit(now, id, command, hop)?;
        if stream_id != 0 && verdict.is_some() {
            self.mark_streams(id);
        }
        Ok(verdict)
    }

    /// True when a message of the relay itself would overtake cells that wait.
    pub(super) fn waits_at_edge(&self, id: Id, hop: u8) -> bool {
        let Some(Circuit { reactor: Some(reactor), config, .. }) = self.circuits.get(id) else { return false };
        hop == 0 && config.role == Role::Exit && reactor.edge_at(Side::Back).waiting() > 0
    }
}
