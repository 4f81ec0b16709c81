//! `circflow_circuit_*` for circuits that circflow runs: cells that pass, channels that fill up, SENDME tags, figures.

use super::convert;
use super::door;
use super::outcome;
use super::run_types::*;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::*;
use libc::{c_char, size_t};
use std::ffi::CStr;

// SAFETY: repr(C), size first, integers and structs of integers.
unsafe impl sized::Growing for circflow_circuit_stats {}

/// Sets a parameter by the name that a consensus gives it. What is never set has C Tor's default. Nothing that lives
/// follows, except where it says so: circuits keep the parameters they were opened with, and sets their limits.
///
/// For each path class, and for circuits that circflow runs and that are opened from now on: all of congestion and flow
/// control, "cc_cwnd_init", "cc_xoff_client" and so on (prop324 6.5). Where a consensus has a parameter for each class
/// ("cc_vegas_alpha_exit"), name it without the class ("cc_vegas_alpha"). Only cc_alg=2 is built.
///
/// For the whole engine, whichever class is given:
///
///   cfx_enabled                     At once: at 0 no LINK is taken, no set opened and no leg added; sets that live go
///                                   on.
///   cfx_max_legs_set                Sets opened from now on whose legs_max is 0; an exit's are opened by their first
///                                   LINK.
///   cfx_num_legs_set                Sets opened from now on whose launches_max is 0: they may launch so many legs, and
///   cfx_max_unlinked_leg_retry      so many more.
///   cfx_max_oooq_bytes              Sets opened from now on: the lower of this and held_bytes_max; the
///                                   largest value, the default, is no bound.
///   circpad_max_circ_queued_cells   Padders installed or registered from now on whose queued_cells_max is
///                                   CIRCFLOW_BY_PARAMETER.
///   circpad_global_allowed_cells, circpad_global_max_padding_pct, circpad_padding_disabled, circpad_padding_reduced
///                                   At once: the consensus's budget of padding, beside yours
///                                   (circflow_engine_set_padding_budget()).
///   sendme_emit_min_version         Version 1 is sent, so 0 and 1 are taken and change nothing.
///   sendme_accept_min_version       Version 1 is wanted, also at 0; so 0 and 1 are taken and change nothing.
///   cfx_send_pct, cfx_drain_pct     Only their defaults (100 and 0) are built.
///   cfx_max_linked_set, cfx_max_prebuilt_set, cfx_low_exit_threshold
///                                   How many sets a client builds is yours: kept for circflow_engine_get_param().
///
/// Of the first group, cellq_high, cellq_low, orconn_high and orconn_low are yours to follow too (when a channel counts
/// as full), and cc_bwe_min has no meaning with cc_alg=2. docs/parameters.md has one row for each.
///
/// @param path_class  CIRCFLOW_PATH_*.
/// @param name        A string.
///
/// CIRCFLOW_ERR_INVALID: no such class or name, or a value out of the parameter's range, which
/// circflow_engine_last_detail() then says. CIRCFLOW_ERR_NOT_BUILT: the value is in range, and circflow cannot do what
/// it asks for. A host that passes a whole consensus on may go on after either. CIRCFLOW_ERR_NULL.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_set_param(
    engine: *mut circflow_engine,
    path_class: u8,
    name: *const c_char,
    value: u32,
) -> circflow_status {
    if name.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    // SAFETY: not NULL, and a string by the contract of this function.
    let name = CStr::from_ptr(name).to_string_lossy();
    door::enter(engine, |core| {
        let class = convert::path_class(path_class).map_err(|why| core.invalid(why))?;
        core.set_param(class, &name, value)
    })
}

/// What a parameter is now, for circuits and sets that are opened from now on.
///
/// @param path_class  CIRCFLOW_PATH_*.
/// @param name        A string, as for circflow_engine_set_param().
/// @param value_out   Written on CIRCFLOW_OK.
///
/// CIRCFLOW_ERR_INVALID: no such class or name. CIRCFLOW_ERR_NULL.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_get_param(
    engine: *mut circflow_engine,
    path_class: u8,
    name: *const c_char,
    value_out: *mut u32,
) -> circflow_status {
    if name.is_null() || value_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    // SAFETY: not NULL, and a string by the contract of this function.
    let name = CStr::from_ptr(name).to_string_lossy();
    door::enter(engine, |core| {
        let class = convert::path_class(path_class).map_err(|why| core.invalid(why))?;
        value_out.write(core.param(class, &name)?);
        Ok(())
    })
}

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
/// When many wait, CIRCFLOW_INSN_PAUSE asks you to stop: keep this circuit's cells yourself until
/// CIRCFLOW_INSN_UNPAUSE, without stopping the channel for other circuits.
///
/// CIRCFLOW_ERR_EDGE_OVERRUN: too many cells came after the pause; the close is queued. CIRCFLOW_ERR_UNRECOGNISED: no
/// relay follows (no CIRCFLOW_CIRCUIT_EXTENDED), so the cell is for nobody; the close is queued.
/// CIRCFLOW_ERR_ENGINE_MEMORY: the close is queued. CIRCFLOW_ERR_ROLE: at a client every cell is recognised.
/// CIRCFLOW_ERR_NOT_RUN; CIRCFLOW_ERR_GONE; CIRCFLOW_ERR_UNDRAINED: drain, and feed it again; CIRCFLOW_ERR_INVALID;
/// CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_EXPIRED; an id error.
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
    let (Some(cell), false) = (cell.as_ref(), verdict_out.is_null()) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    if let (Ok(side), true) = (convert::side(from), convert::cell_fits(cell)) {
        if let Some(verdict) = door::try_enter(engine, |core| core.pass_next(now_ns, convert::id(circuit.v), side)) {
            outcome::write_verdict(verdict_out, &verdict);
            return CIRCFLOW_OK;
        }
    }
    relay_any(engine, now_ns, circuit, from, cell, verdict_out)
}

/// The long way: something is due, the edge is full, or the circuit has padding.
#[inline(never)]
unsafe extern "C-unwind" fn relay_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    from: u8,
    cell: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    door::enter(engine, |core| {
        let side = convert::side(from).map_err(|why| core.invalid(why))?;
        let cell = convert::cell(cell).map_err(|why| core.invalid(why))?;
        let verdict = core.pass(core.time(now_ns), convert::id(circuit.v), side, &cell)?;
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
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
/// CIRCFLOW_ERR_NOT_RUN, CIRCFLOW_ERR_INVALID: no such side; CIRCFLOW_ERR_EXPIRED; an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_writable(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    side: u8,
    writable: u8,
) -> circflow_status {
    door::enter(engine, |core| {
        let side = convert::side(side).map_err(|why| core.invalid(why))?;
        core.set_writable(core.time(now_ns), convert::id(circuit.v), side, writable != 0)
    })
}

/// Gives the tag of a DATA cell for which CIRCFLOW_WANTS_TAG asked: what its SENDME has to bring back (prop289). In the
/// order of sending, before anything can have come back: a SENDME for a cell whose tag was never given closes the
/// circuit. That a tag cannot be guessed is yours to see to: with tor1, some cell of each sendme_inc carries random
/// bytes after its message (prop289).
///
/// @param hop      Where the cell went.
/// @param tag      20 bytes (tor1: the running digest after this cell) or 16 (counter-galois).
///
/// CIRCFLOW_ERR_NOT_ASKED: no cell waits for its tag (harmless: a host may offer each), or it has another length.
/// CIRCFLOW_ERR_NOT_RUN, CIRCFLOW_ERR_NULL, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_tag(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    hop: u8,
    tag: *const u8,
    tag_len: size_t,
) -> circflow_status {
    let Some(tag) = convert::slice(tag, tag_len) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| core.give_tag(convert::id(circuit.v), hop, tag))
}

/// Shuts a circuit down at the host's wish: CIRCFLOW_INSN_CLOSE is queued for it, and its set is judged as after the
/// loss of any leg. Say circflow_circuit_closed() when it is done. Works on every circuit.
///
/// CIRCFLOW_ERR_EXPIRED, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_close(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    door::enter(engine, |core| core.close_circuit(core.time(now_ns), convert::id(circuit.v)))
}

/// Figures of a circuit that circflow runs. Set stats->size to sizeof(circflow_circuit_stats) first.
///
/// CIRCFLOW_ERR_NOT_RUN, CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_get_stats(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    stats: *mut circflow_circuit_stats,
) -> circflow_status {
    door::enter_to_write(engine, stats, |core| Ok(convert::circuit_stats(&core.circuit_stats(convert::id(circuit.v))?)))
}
