//! Messages that the host sends on a circuit, and its reports of what is queued and written.

use crate::engine::Outlet;
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward;
use crate::ffi::message::{self, *};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::wire::Command;
use libc::size_t;

/// Sends a relay message on a circuit that is in no set, or to another hop than the join point: asks whether padding
/// holds it back, and counts it as queued if not. Needed for messages of streams on circuits with a padder, and for all
/// messages of a relay on a circuit that circflow runs: there it goes behind the cells that wait for its channel, as
/// TRUNCATED that overtook them would make them unreadable for the client. Allowed for all.
///
/// @param verdict_out  SEND: queue the cell now; do not report it again. HELD: it was kept (the body copied, or the
///                     token taken) and comes back as CIRCFLOW_INSN_SEND: encrypt the cell then, not before. Written on
///                     CIRCFLOW_OK.
///
/// Own statuses: CIRCFLOW_ERR_NO_ROOM: held_sends_max messages wait already, or there is no memory;
/// CIRCFLOW_INSN_MAY_SEND says when to go on; CIRCFLOW_ERR_IN_SET: it belongs to the set, circflow_set_send() it;
/// CIRCFLOW_ERR_IS_RUN: it belongs to a stream, circflow_stream_send() it; CIRCFLOW_ERR_CLOSING; CIRCFLOW_ERR_INVALID
/// as for circflow_circuit_receive(), and for a hop that the circuit has not.
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
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let message = message::read(message).map_err(|why| core.invalid(why))?;
            let outlet = Outlet::Circuit(circuit.id());
            let verdict = core.send_long(core.time(now_ns), outlet, &message.head(), || Ok(message))?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// Says that a relay cell is queued on a circuit.
///
/// On a leg this is the second half of sending: report what circflow_set_decide() asked for, the SWITCH first, then the
/// message, each when it is really queued. A cell that is never reported leaves no trace. What is checked is that the
/// numbers allow it, not that it was decided: a message needs no decision where it needs no SWITCH.
///
/// On a circuit with a padder, report every other cell too, also those that only pass (at a relay: hop 0, command 0).
/// Only what circflow knows already is not reported again: what circflow_set_send() or circflow_circuit_send()
/// answered with SEND, and what an instruction told you to send.
///
/// @param command  CIRCFLOW_CMD_SWITCH, the command of the message, or any other.
/// @param hop      Where it goes: 1 to the number of hops, or 0 at a relay.
///
/// Own statuses: CIRCFLOW_ERR_NOT_DECIDED: it does not fit this leg now: decide, and report what you were told;
/// CIRCFLOW_ERR_IS_RUN: a stream's message, or a SWITCH, on a circuit whose streams circflow knows;
/// CIRCFLOW_ERR_INVALID: no such hop; CIRCFLOW_ERR_CLOSING.
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
    // Nothing on this way logs.
    // SAFETY: the contract of this floor, which the caller keeps.
    let next = unsafe { door::try_enter(engine, |core| core.sent_next(now_ns, circuit.id(), Command(command), hop)) };
    match next {
        Some(Ok(())) => CIRCFLOW_OK,
        // SAFETY: the contract of this floor, which the caller keeps.
        Some(Err(error)) => unsafe { door::enter(engine, |_| Err(error)) },
        // SAFETY: the contract of this floor, which the caller keeps.
        None => unsafe { sent_any(engine, now_ns, circuit, command, hop) },
    }
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

/// Gives the digest of a DATA cell for which CIRCFLOW_WANTS_DIGEST asked: what its SENDME has to bring back (prop289).
/// In the order of sending, before anything can have come back: a SENDME for a cell whose digest was never given closes
/// the circuit. That a digest cannot be guessed is yours to see to: with tor1, some cell of each sendme_inc carries
/// random bytes after its message (prop289).
///
/// @param hop      Where the cell went.
/// @param digest   Of the cell. tor1: the running digest after it.
/// @param digest_len  20 bytes (tor1) or 16 (counter-galois).
///
/// Own statuses: CIRCFLOW_ERR_NOT_ASKED: no cell waits for its digest (harmless: a host may offer each), or it has
/// another length; CIRCFLOW_ERR_NOT_RUN.
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

/// Says that cells of a circuit were written to the channel, the oldest first. Needed on circuits with a padder; costs
/// next to nothing on others. Cells that were queued before there was a padder are not known and not counted.
///
/// @param cells  How many, of all that were queued on this circuit in this direction.
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
    if unsafe { door::try_enter(engine, |core| core.is_bystander(now_ns, circuit.id())) }.is_some() {
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
