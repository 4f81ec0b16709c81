//! Messages that the host sends on a circuit, and its reports of what is queued and written.

use crate::base::Id;
use crate::engine::{send, Engine, Outlet, Sending, Sent, NO_REPORTS};
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward;
use crate::ffi::message::{self, *};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::wire::Command;
use libc::size_t;

/// Sends a relay message on a circuit that is in no set, or to another hop than the join point. It asks whether padding
/// holds the message back, and counts it as queued if not. You need it for messages of streams on circuits with a
/// padder. You also need it for all messages of a relay on a circuit that circflow runs: there the message goes behind
/// the cells that wait for the channel (a TRUNCATED before them would make them unreadable for the client). You may use
/// it for other messages, too.
///
/// @param message      The message, with the hop that it goes to.
/// @param verdict_out  SEND: queue the cell now; do not report it with circflow_circuit_cell_queued(). HELD: circflow
///                     keeps the message, and it comes back as CIRCFLOW_INSN_SEND; encrypt the cell then, not before.
///
/// Own statuses: CIRCFLOW_ERR_NO_ROOM: held_sends_max messages wait already, or held_bytes_max is reached; wait for
/// CIRCFLOW_INSN_MAY_SEND. CIRCFLOW_ERR_IN_SET: the message belongs to the set; use circflow_set_send().
/// CIRCFLOW_ERR_IS_RUN: the message belongs to a stream; use circflow_stream_send(). CIRCFLOW_ERR_CLOSING.
/// CIRCFLOW_ERR_INVALID: as for circflow_circuit_receive(), or the circuit has no such hop.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_send(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), false) = (unsafe { message.as_ref() }, verdict_out.is_null()) else {
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    send(ForCircuit { engine, now_ns, circuit, message, verdict_out })
}

/// A message for a circuit; each step of it goes through the door for itself.
struct ForCircuit<'m> {
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &'m circflow_message,
    verdict_out: *mut circflow_verdict,
}

// SAFETY (of all that is here): made by circflow_circuit_send() only, for one call, by the contract of which the engine
// is NULL or one, the message can be read and the verdict written.
impl Sending for ForCircuit<'_> {
    type Answer = circflow_status;

    #[inline(always)]
    fn quick(&mut self) -> Option<Sent> {
        let &mut ForCircuit { engine, now_ns, circuit, message, .. } = self;
        let quick = move |core: &mut Engine| {
            // SAFETY: see above.
            let head = unsafe { message::read(message) }.ok()?.head();
            core.send_quick(now_ns, Outlet::Circuit(circuit.id()), &head)
        };
        // SAFETY: see above.
        unsafe { door::try_enter(engine, quick) }
    }

    #[inline(always)]
    fn done(&mut self, sent: &Sent) -> circflow_status {
        // SAFETY: see above.
        unsafe { message::write_verdict(self.verdict_out, &sent.verdict) };
        CIRCFLOW_OK
    }

    #[inline(always)]
    fn long(&mut self) -> circflow_status {
        let &mut ForCircuit { engine, now_ns, circuit, message, verdict_out } = self;
        // SAFETY: see above.
        unsafe { send_long(engine, now_ns, circuit, message, verdict_out) }
    }
}

/// The long way: legs, padders, and circuits that circflow runs.
#[inline(never)]
unsafe fn send_long(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let message = message::read(message).map_err(|why| core.invalid(why))?;
            let outlet = Outlet::Circuit(circuit.id());
            let verdict = core.send_long(core.time(now_ns), outlet, &message.head(), NO_REPORTS, || Ok(message))?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// Reports that you have queued a relay cell on a circuit.
///
/// On a leg this is the second half of sending. Report what circflow_set_decide() asked for: the SWITCH first, then the
/// message, each when it is queued. A cell that you never report changes nothing. circflow checks that the sequence
/// numbers allow the cell, not that it was decided: a message that needs no SWITCH needs no decision.
///
/// On a circuit with a padder, report every other cell too, also those that pass (at a relay: hop 0, command 0). Do not
/// report a cell that circflow knows already: one that circflow_set_send() or circflow_circuit_send() answered with
/// SEND, or that an instruction told you to send.
///
/// @param command  CIRCFLOW_CMD_SWITCH, the command of the message, or any other.
/// @param hop      Where it goes: 1 to the number of hops, or 0 at a relay.
///
/// Own statuses: CIRCFLOW_ERR_NOT_DECIDED: the cell does not fit this leg now; call circflow_set_decide(), and report
/// what it tells you. CIRCFLOW_ERR_IS_RUN: a stream's message, or a SWITCH, on a circuit whose streams circflow knows.
/// CIRCFLOW_ERR_INVALID: no such hop. CIRCFLOW_ERR_CLOSING.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_cell_queued(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    command: u8,
    hop: u8,
) -> circflow_status {
    let in_turn = |core: &mut Engine| core.sent_in_turn(now_ns, circuit.id(), Command(command), hop);
    // SAFETY: the contract of this floor, which the caller keeps.
    match unsafe { door::try_enter(engine, in_turn) } {
        Some(()) => CIRCFLOW_OK,
        // SAFETY: the contract of this floor, which the caller keeps.
        None => unsafe { cell_queued(engine, now_ns, circuit, command, hop) },
    }
}

/// Any cell, while nothing is due.
#[inline(never)]
unsafe extern "C-unwind" fn cell_queued(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    command: u8,
    hop: u8,
) -> circflow_status {
    let quick = |core: &mut Engine| core.sent_quick(now_ns, circuit.id(), Command(command), hop);
    // SAFETY: the contract of this floor, which the caller keeps.
    match unsafe { door::try_enter(engine, quick) } {
        Some(Ok(())) => {
            // Padders and messages that go on now can log, and wake another engine.
            // SAFETY: the contract of this floor, which the caller keeps.
            unsafe { door::call_out(engine) };
            CIRCFLOW_OK
        }
        // SAFETY: the contract of this floor, which the caller keeps.
        Some(Err(error)) => unsafe { door::enter(engine, |_| Err(error)) },
        // SAFETY: the contract of this floor, which the caller keeps.
        None => unsafe { sent_any(engine, now_ns, circuit, command, hop) },
    }
}

/// The last step of sending on a leg the quick way: tells those who want to hear of it.
#[inline(never)]
pub(in crate::ffi) unsafe extern "C-unwind" fn tell_of_sent(
    engine: *mut circflow_engine,
    leg: Id,
    number: u64,
    command: u8,
) -> circflow_status {
    let tell = |core: &mut Engine| {
        core.tell_of_sent(leg, number, Command(command));
        Some(())
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        // Not entered any more: the door has caught a panic, and the next call answers for it.
        let _ = door::try_enter(engine, tell);
        door::call_out(engine);
    }
    CIRCFLOW_OK
}

#[inline(never)]
unsafe extern "C-unwind" fn sent_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    command: u8,
    hop: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.sent(core.time(now_ns), circuit.id(), Command(command), hop)) }
}

/// Gives the digest of a DATA cell for which CIRCFLOW_WANTS_DIGEST asked. The SENDME for the cell has to bring it back
/// (prop289). Give the digests in the order of sending, and before an answer can arrive: a SENDME for a cell whose
/// digest you never gave closes the circuit. You have to make the digest impossible to guess: with tor1, at least one
/// of sendme_inc cells needs random bytes after its message (prop289).
///
/// @param hop      The hop that the cell went to; 0 at a relay.
/// @param digest   The digest of the cell. tor1: the running digest after it.
/// @param digest_len  Bytes in digest: 20 (tor1) or 16 (counter-galois).
///
/// Own statuses: CIRCFLOW_ERR_NOT_ASKED: no cell waits for its digest (harmless: you may offer the digest of every
/// cell), or the length is wrong. CIRCFLOW_ERR_NOT_RUN.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_add_digest(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    hop: u8,
    digest: *const u8,
    digest_len: size_t,
) -> circflow_status {
    // SAFETY: so much is there, by the contract of this floor.
    let Some(digest) = (unsafe { inward::slice(digest, digest_len) }) else {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.add_digest(circuit.id(), hop, digest)) }
}

/// Reports that you have written cells of a circuit to the channel, the oldest first. Circuits with a padder need it;
/// on others it does nothing. Cells that were queued before there was a padder do not count.
///
/// @param cells  Number of cells, of all that were queued on this circuit: at a client towards the first relay, at a
///               relay towards the client.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_cells_written(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    cells: u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    if unsafe { door::try_enter(engine, |core| core.written_or_passing_quick(now_ns, circuit.id())) }.is_some() {
        return CIRCFLOW_OK;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { written_padded(engine, now_ns, circuit, cells) }
}

#[inline(never)]
unsafe extern "C-unwind" fn written_padded(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    cells: u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.written(core.time(now_ns), circuit.id(), cells)) }
}
