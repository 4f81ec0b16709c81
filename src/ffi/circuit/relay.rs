//! Cells that pass a circuit, and the channels on its sides.

use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::message::{self, *};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;

/// Feeds a cell that passes this relay to the other side of the circuit: a cell from the client's side that was not
/// recognised (CIRCFLOW_SIDE_BACK), or any cell from the next relay (CIRCFLOW_SIDE_NEXT).
///
/// @param from         The side that it came from, CIRCFLOW_SIDE_*.
/// @param cell         body: CIRCFLOW_CELL_BODY_LEN bytes, or fewer. command: the cell's command (RELAY or
///                     RELAY_EARLY), or any number of yours; it comes back. form, token and cost_bytes: as for any
///                     message. Other fields are not read.
/// @param verdict_out  FORWARD: write the cell to the other side now. HELD: that side is full; circflow keeps the cell,
///                     and it comes back as CIRCFLOW_INSN_WRITE.
///
/// Encrypt a cell towards the client when it leaves (at FORWARD or at CIRCFLOW_INSN_WRITE), not when you feed it: the
/// layer of this relay is a running cipher, and a message of circflow's own, such as a SENDME, can leave before cells
/// that wait.
///
/// circflow does not count RELAY_EARLY cells: do so yourself. A rendezvous point joins two circuits: give both
/// CIRCFLOW_CIRCUIT_EXTENDED. CIRCFLOW_SIDE_NEXT of each is then the channel of the other. Feed a cell that is not
/// recognised to the circuit that it came on, from CIRCFLOW_SIDE_BACK.
///
/// When many cells wait, CIRCFLOW_INSN_PAUSE_FEED comes: keep this circuit's cells yourself until
/// CIRCFLOW_INSN_UNPAUSE_FEED, and go on reading the channel for other circuits.
///
/// Own statuses: CIRCFLOW_ERR_EDGE_OVERRUN: too many cells came after CIRCFLOW_INSN_PAUSE_FEED.
/// CIRCFLOW_ERR_UNRECOGNISED: there is no next relay (no CIRCFLOW_CIRCUIT_EXTENDED), so the cell is for nobody.
/// CIRCFLOW_ERR_ENGINE_MEMORY. After each of these three the close is queued: drain. CIRCFLOW_ERR_ROLE: a client
/// recognises every cell. CIRCFLOW_ERR_NOT_RUN. CIRCFLOW_ERR_CLOSING: drop the cell. CIRCFLOW_ERR_UNDRAINED: drain, and
/// feed the cell again. CIRCFLOW_ERR_INVALID: no such side; or the cell is too long, is NULL, or has an unknown form.
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
        if let Some(verdict) = unsafe { door::try_enter(engine, |core| core.pass_quick(now_ns, circuit.id(), side)) } {
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
        let kept = unsafe { door::try_enter(engine, |core| core.pass_waiting_quick(now_ns, circuit.id(), side, cell)) };
        if let Some(verdict) = kept {
            // SAFETY: not NULL, and there is room by the contract of this floor.
            unsafe {
                message::write_verdict(verdict_out, &verdict);
                door::call_out(engine);
            }
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

/// Reports whether the channel on one side of a circuit takes cells (1) or is full (0). At first it counts as taking
/// cells. While it is full, circflow holds cells for it, sends no DATA on it, and tells congestion control that it is
/// blocked. Control (SENDME, handshakes, END) still goes out, as there is little of it.
///
/// When the channel takes cells again, the held cells come as CIRCFLOW_INSN_WRITE, and a relay's own messages among
/// them as CIRCFLOW_INSN_SEND, one at a time. Encrypt each when it comes, in that order. If the channel fills up again
/// while you drain, call this function with 0; the rest goes on waiting. Call it for each circuit on the channel.
///
/// @param side      The side, CIRCFLOW_SIDE_*. A client has one channel, CIRCFLOW_SIDE_BACK. At the last hop,
///                  CIRCFLOW_SIDE_NEXT has no effect.
/// @param writable  1 when the channel takes cells, 0 when it is full.
///
/// Own statuses: CIRCFLOW_ERR_NOT_RUN. CIRCFLOW_ERR_INVALID: no such side.
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

/// Names the channel that one side of a circuit writes to. Whether the side can write is then reported once for the
/// whole channel: circflow_channel_set_room(). Cells that wait at this side stay, and are in line at the channel.
/// Both sides of a circuit may write to one channel. A next side that you cut with circflow_circuit_set_flags() has
/// none any more.
///
/// circflow_circuit_set_writable() still works for this side: it writes while neither the circuit nor the channel is
/// full.
///
/// @param side  CIRCFLOW_SIDE_*. At a client only CIRCFLOW_SIDE_BACK: it has one channel.
///
/// @param channel  A channel of this engine. Zero takes the side off its channel: it can write then, unless you have
///                 reported with circflow_circuit_set_writable() that this circuit is full.
///
/// Own statuses: CIRCFLOW_ERR_NOT_RUN. CIRCFLOW_ERR_CLOSING. CIRCFLOW_ERR_INVALID: no such side. An id error can be
/// about the circuit or the channel.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_set_channel(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    side: u8,
    channel: circflow_channel_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let side = message::side(side).map_err(|why| core.invalid(why))?;
            core.set_channel(core.time(now_ns), circuit.id(), side, channel.id())
        })
    }
}

/// Relay: reports a cell from the client that was not recognised here and goes on to the next relay. Circuits with a
/// padder need it. (Report a cell in the other direction with circflow_circuit_cell_queued() when you queue it.)
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
    if unsafe { door::try_enter(engine, |core| core.written_or_passing_quick(now_ns, circuit.id())) }.is_some() {
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
