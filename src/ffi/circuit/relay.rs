//! Cells that pass a circuit, and the channels on its sides.

use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::message::{self, *};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;

/// Feeds a cell that is not for this relay, and goes on to the other side: with CIRCFLOW_SIDE_BACK one that came from
/// the client's side and was not recognised, with CIRCFLOW_SIDE_NEXT any that came from the next relay.
///
/// @param from         The side it came from.
/// @param cell         body: CIRCFLOW_CELL_BODY_LEN bytes, or less. command: the cell's (RELAY or RELAY_EARLY), or what
///                     you like; it comes back. form, token and cost as for any message. Other fields are not looked
///                     at.
/// @param verdict_out  FORWARD: write the cell you hold to the other side, now. HELD: that side is full, and the cell
///                     was kept (the bytes copied, or the token taken); it comes back as CIRCFLOW_INSN_WRITE. Written
///                     on CIRCFLOW_OK.
///
/// Add this relay's layer to a cell towards the client when it leaves, at FORWARD or at CIRCFLOW_INSN_WRITE, not when
/// it is fed: the layer is a running cipher, and what circflow says itself (SENDME, for instance) can leave before
/// cells that wait.
///
/// How many RELAY_EARLY a circuit may carry is yours to count. A rendezvous point joins two circuits: give both
/// CIRCFLOW_CIRCUIT_EXTENDED. The next side of each is then the channel of the other, and a cell that is not recognised
/// is fed to the circuit it came on, from CIRCFLOW_SIDE_BACK.
///
/// When many wait, CIRCFLOW_INSN_PAUSE_FEED asks you to stop: keep this circuit's cells yourself until
/// CIRCFLOW_INSN_UNPAUSE_FEED, without stopping the channel for other circuits.
///
/// Own statuses: CIRCFLOW_ERR_EDGE_OVERRUN: too many cells came after the pause; CIRCFLOW_ERR_UNRECOGNISED: no relay
/// follows (no CIRCFLOW_CIRCUIT_EXTENDED), so the cell is for nobody; CIRCFLOW_ERR_ENGINE_MEMORY: of these three the
/// close is queued: drain; CIRCFLOW_ERR_ROLE: at a client every cell is recognised; CIRCFLOW_ERR_NOT_RUN;
/// CIRCFLOW_ERR_CLOSING: drop the cell; CIRCFLOW_ERR_UNDRAINED: drain, and feed it again; CIRCFLOW_ERR_INVALID: no such
/// side, or the cell is too long, NULL or of an unknown form.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_relay(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    from: u8,
    cell: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let fitting = unsafe { cell.as_ref() }.filter(|cell| message::cell_fits(cell));
    if let (Some(_), false, Ok(side)) = (fitting, verdict_out.is_null(), message::side(from)) {
        // SAFETY: the contract of this floor, which the caller keeps.
        if let Some(verdict) = unsafe { door::try_enter(engine, |core| core.pass_next(now_ns, circuit.id(), side)) } {
            // SAFETY: not NULL, and there is room by the contract of this floor.
            unsafe { message::write_verdict(verdict_out, &verdict) };
            return CIRCFLOW_OK;
        }
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { relay_any(engine, now_ns, circuit, from, cell, verdict_out) }
}

/// A cell that has to wait; and the long way: something is due, the circuit has padding, or NULL was given.
#[inline(never)]
unsafe extern "C-unwind" fn relay_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    from: u8,
    cell: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: as in the only caller.
    let (Some(cell), false) = (unsafe { cell.as_ref() }, verdict_out.is_null()) else {
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    let (side, cell) = (message::side(from), unsafe { message::cell(cell) });
    if let (Ok(side), Ok(cell)) = (side, &cell) {
        // SAFETY: the contract of this floor, which the caller keeps.
        let kept = unsafe { door::try_enter(engine, |core| core.keep_next(now_ns, circuit.id(), side, cell)) };
        if let Some(verdict) = kept {
            // SAFETY: not NULL, and there is room by the contract of this floor.
            unsafe { message::write_verdict(verdict_out, &verdict) };
            return CIRCFLOW_OK;
        }
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let side = side.map_err(|why| core.invalid(why))?;
            let cell = cell.map_err(|why| core.invalid(why))?;
            let verdict = core.pass(core.time(now_ns), circuit.id(), side, &cell)?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// Says whether the channel on one side of a circuit takes cells (1) or is full (0). Channels begin as writable. While
/// one is full, cells for it wait here, DATA is not sent on it, and congestion control sees that it is blocked; control
/// (SENDME, handshakes, END) is still yours to send, as there is little of it.
///
/// What waits comes as CIRCFLOW_INSN_WRITE, and a relay's own messages among it as CIRCFLOW_INSN_SEND, one at a time:
/// encrypt each when it comes, in that order. A channel that fills up again while you drain says so again, and what is
/// left goes on waiting.
///
/// @param side  At a client CIRCFLOW_SIDE_BACK, its one channel. At the last hop what is said of the other changes
///              nothing.
///
/// Own statuses: CIRCFLOW_ERR_NOT_RUN; CIRCFLOW_ERR_INVALID: no such side.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_set_writable(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    side: u8,
    writable: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let side = message::side(side).map_err(|why| core.invalid(why))?;
            core.set_writable(core.time(now_ns), circuit.id(), side, writable != 0)
        })
    }
}

/// Relay: says that a cell came from the client that was not recognised here and goes on to the next relay. Needed on
/// circuits with a padder. (A cell in the other direction is reported with circflow_circuit_cell_queued() once it is
/// queued.)
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_cell_passed(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    if unsafe { door::try_enter(engine, |core| core.is_bystander(now_ns, circuit.id())) }.is_some() {
        return CIRCFLOW_OK;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { passing_padded(engine, now_ns, circuit) }
}

#[inline(never)]
unsafe extern "C-unwind" fn passing_padded(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.passing(core.time(now_ns), circuit.id())) }
}
