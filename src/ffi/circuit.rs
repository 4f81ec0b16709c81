//! `circflow_circuit_*`: circuits, and what happens on them.

use super::convert;
use super::door;
use super::outcome;
use super::run_types::CIRCFLOW_PATH_EXIT;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::*;
use crate::base::limits;
use crate::engine::Step;
use libc::size_t;

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_circuit_config {}

/// Fills a config with the defaults: a client's circuit of three hops with Vegas congestion control. Pass
/// sizeof(circflow_circuit_config).
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_config_init(
    config: *mut circflow_circuit_config,
    size: size_t,
) -> circflow_status {
    door::alone(|| sized::init(config, size, config_defaults()))
}

/// Makes a circuit known: a client's once it is open, or when its first cell goes out if it is for
/// circflow_set_launch_legs(); an exit's once it is created. It lives until circflow_circuit_closed().
///
/// That the legs of a set share no guard and no middle is your duty: circflow does not know relays (prop329 2.2).
///
/// CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_VERSION; CIRCFLOW_ERR_INVALID for an unknown role, flag or path_class, hops that do
/// not fit the role, CIRCFLOW_CIRCUIT_SERVICE at a relay, and, with CIRCFLOW_CIRCUIT_REACTOR, for
/// CIRCFLOW_CIRCUIT_OWN_QUEUE or a sendme_inc that is not within 1 of the parameter; CIRCFLOW_ERR_FULL at circuits_max:
/// close some; CIRCFLOW_ERR_UNDRAINED: drain first.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_open(
    engine: *mut circflow_engine,
    now_ns: u64,
    config: *const circflow_circuit_config,
    circuit_out: *mut circflow_circuit_id,
) -> circflow_status {
    if circuit_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    let config = match sized::read(config, config_defaults()) {
        Ok(config) => config,
        Err(status) => return door::refuse(engine, status),
    };
    door::enter(engine, |core| {
        let config = convert::circuit_config(&config).map_err(|why| core.invalid(why))?;
        let id = core.open_circuit(core.time(now_ns), config)?;
        circuit_out.write(convert::circuit_id(id));
        Ok(())
    })
}

/// Replaces all of a circuit's flags, CIRCFLOW_CIRCUIT_*: say so when it is extended, or has carried a stream that
/// circflow did not see. When a relay follows no more (TRUNCATE, or DESTROY from the next relay), say so without
/// CIRCFLOW_CIRCUIT_EXTENDED: what waited for it is dropped, tokens come back as CIRCFLOW_INSN_DISCARD, and a source
/// that was told to pause may go on.
///
/// CIRCFLOW_ERR_INVALID for an unknown flag, for another CIRCFLOW_CIRCUIT_OWN_QUEUE once there is a padder or on a
/// circuit that circflow runs, and for another CIRCFLOW_CIRCUIT_REACTOR, or CIRCFLOW_CIRCUIT_VEGAS with it; an id
/// error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_set_flags(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    flags: u32,
) -> circflow_status {
    door::enter(engine, |core| {
        let flags = convert::circuit_flags(flags).map_err(|why| core.invalid(why))?;
        core.set_circuit_flags(convert::id(circuit.v), flags)
    })
}

/// Says that a circuit is gone, whoever closed it. Its id is stale from now on, and what was queued about it is
/// dropped.
///
/// If it was a leg, this is where its set is judged (prop329 2.4.3): the set goes on when the leg was not linked yet,
/// or when it was neither sending, nor ahead of the others in either direction, nor the last, and had less than one
/// SENDME's worth in flight. Otherwise the other legs are told to close, and CIRCFLOW_INSN_ENDED follows: with
/// CIRCFLOW_ERR_LEG_LOST, or, if nothing was under way, CIRCFLOW_ERR_SET_FINISHED. What is in
/// flight is what you reported last, and the DATA sent since: if your numbers are newer, report first how the leg
/// stands (cwnd, inflight), then say this. A set that goes on may ask for another leg, with CIRCFLOW_INSN_WANT_LEG.
///
/// These are the rules of every deployed Tor, and they leave a crack: less than one SENDME's worth of cells can be lost
/// with a leg whose set goes on, and what comes after them then waits for ever. A host that cannot have that bounds
/// how long a set may hold messages (circflow_set_get_stats()) without delivering any.
///
/// An id error. Always safe to call, also when instructions wait.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_closed(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    door::enter(engine, |core| core.circuit_closed(core.time(now_ns), convert::id(circuit.v)))
}

/// Feeds a relay message that arrived on a circuit and was recognised here. Feed every one, control included, in the
/// order of arrival; do your circuit SENDME accounting before, as it does not wait for order (prop329 2.5). What is
/// none of circflow's business (SENDME, EXTEND, ..) comes back as DELIVER, without a number.
///
/// The verdict says what to do with the message: DELIVER, HELD, CONSUMED or REFUSE. On an error the message was not
/// taken: drop it.
///
/// @param message      Read during the call only.
/// @param verdict_out  Written on CIRCFLOW_OK.
///
/// Class PEER: the peer broke the protocol, the close of the circuit (or of the whole set, where its order is lost) is
/// queued. Class LIMIT: a cap, the close is queued; CIRCFLOW_ERR_EXPIRED: the circuit's time was over.
/// CIRCFLOW_ERR_GONE: it is being closed already. CIRCFLOW_ERR_UNDRAINED: only for LINK, LINKED, LINKED_ACK and
/// PADDING_NEGOTIATE, and for all on a circuit that circflow runs; drain and feed it again. CIRCFLOW_ERR_NULL; an id
/// error; CIRCFLOW_ERR_INVALID: body_len above CIRCFLOW_BODY_MAX, whatever the form and whether the message is early or
/// next; hop above 16; and, only where the message has to be held or read, an unknown form, or a body that is NULL and
/// has a length.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_receive(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), false) = (message.as_ref(), verdict_out.is_null()) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    // Three parts, so that the first, which is all there is to most messages, needs no frame and no body.
    let step = door::try_enter(engine, |core| {
        if !convert::fits(message) {
            return None;
        }
        let command = convert::command(message.command);
        Some(core.receive_next(now_ns, convert::id(circuit.v), command, message.hop, message.stream_id))
    });
    match step {
        Some(Step::Done(verdict)) => {
            outcome::write_verdict(verdict_out, &verdict);
            CIRCFLOW_OK
        }
        Some(Step::OnLeg) => receive_on_leg(engine, circuit, message, verdict_out),
        Some(Step::Run) => receive_data(engine, now_ns, circuit, message, verdict_out),
        Some(Step::Other) => receive_other(engine, now_ns, circuit, message, verdict_out),
        None => receive_again(engine, now_ns, circuit, message, verdict_out),
    }
}

/// What did not get in. Where that was only as the last call had failed, all parts are to be tried.
#[cold]
#[inline(never)]
unsafe extern "C-unwind" fn receive_again(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    if door::reopen(engine) {
        circflow_circuit_receive(engine, now_ns, circuit, message, verdict_out)
    } else {
        receive_other(engine, now_ns, circuit, message, verdict_out)
    }
}

#[inline(never)]
unsafe extern "C-unwind" fn receive_on_leg(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    door::enter(engine, |core| {
        let message = convert::message(message).map_err(|why| core.invalid(why))?;
        let verdict = core.receive_on_leg(convert::id(circuit.v), &message)?;
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// DATA on a circuit that circflow runs, with a short way of its own.
#[inline(never)]
unsafe extern "C-unwind" fn receive_data(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    let step = match convert::data(message) {
        Some(data) => door::try_enter(engine, |core| Some(core.receive_data(convert::id(circuit.v), &data))),
        None => None,
    };
    match step {
        Some(Step::Done(verdict)) => {
            outcome::write_verdict(verdict_out, &verdict);
            door::call_out(engine);
            CIRCFLOW_OK
        }
        Some(Step::OnLeg) => receive_data_on_leg(engine, circuit, message, verdict_out),
        _ => receive_other(engine, now_ns, circuit, message, verdict_out),
    }
}

#[inline(never)]
unsafe extern "C-unwind" fn receive_data_on_leg(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    door::enter(engine, |core| {
        let tag = convert::cell_tag(message).map_err(|why| core.invalid(why))?;
        let message = convert::message(message).map_err(|why| core.invalid(why))?;
        let verdict = core.receive_data_on_leg(convert::id(circuit.v), &message, tag)?;
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

#[inline(never)]
unsafe extern "C-unwind" fn receive_other(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    message: &circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    door::enter(engine, |core| {
        let id = convert::id(circuit.v);
        let tag = || convert::cell_tag(message);
        let message = convert::message(message).map_err(|why| core.invalid(why))?;
        let verdict = core.receive_other(core.time(now_ns), id, &message, tag)?;
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// Reports how legs stand. Call it whenever your congestion control or a channel changes something: a SENDME came, a
/// channel is full or has room again. A leg that was never reported has no window and gets no DATA: report each once
/// it is linked. If the set waits for room and now has it, CIRCFLOW_INSN_RESUME is queued. Drain before you report: a
/// message that was held for padding and waits in the instruction queue is in flight for circflow, and not yet for you.
///
/// @param reports       Applied in order. The first that names no leg ends the call; those before it stand. An unknown
///                      flag in any of them refuses all.
/// @param report_count  How many.
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_INVALID for an unknown flag, CIRCFLOW_ERR_NOT_A_LEG, CIRCFLOW_ERR_IS_RUN: circflow
/// knows how it stands, CIRCFLOW_ERR_GONE, CIRCFLOW_ERR_EXPIRED, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_report(
    engine: *mut circflow_engine,
    now_ns: u64,
    reports: *const circflow_leg_report,
    report_count: size_t,
) -> circflow_status {
    let Some(reports) = convert::slice(reports, report_count) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| {
        let news = convert::reports(reports).map_err(|why| core.invalid(why))?;
        core.report_all(core.time(now_ns), news)
    })
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
/// CIRCFLOW_ERR_NOT_DECIDED: it does not fit this leg now; CIRCFLOW_ERR_IS_RUN: a stream's message, or a SWITCH, on a
/// circuit whose streams circflow knows; CIRCFLOW_ERR_INVALID: no such hop; CIRCFLOW_ERR_GONE; CIRCFLOW_ERR_EXPIRED; an
/// id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_sent(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    command: u8,
    hop: u8,
) -> circflow_status {
    // Nothing on this way logs.
    let next =
        door::try_enter(engine, |core| core.sent_next(now_ns, convert::id(circuit.v), convert::command(command), hop));
    match next {
        Some(Ok(())) => CIRCFLOW_OK,
        Some(Err(error)) => door::enter(engine, |_| Err(error)),
        None => sent_any(engine, now_ns, circuit, command, hop),
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
    door::enter(engine, |core| core.sent(core.time(now_ns), convert::id(circuit.v), convert::command(command), hop))
}

fn config_defaults() -> circflow_circuit_config {
    circflow_circuit_config {
        size: size_of::<circflow_circuit_config>(),
        tag: 0,
        join_point: 0,
        role: CIRCFLOW_ROLE_CLIENT,
        hops: 3,
        flags: CIRCFLOW_CIRCUIT_VEGAS,
        path_class: CIRCFLOW_PATH_EXIT,
        held_sends_max: limits::HELD_SENDS_DEFAULT,
        sendme_inc: 0,
        reserved: 0,
    }
}
