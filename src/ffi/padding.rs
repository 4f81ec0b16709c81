//! `circflow_machines_*`, `circflow_padding_*`: padding machines, padders, and agreeing on padding with the other end.

use super::convert;
use super::door;
use super::hub::{self, circflow_hub};
use super::outcome;
use super::padding_types::*;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::*;
use crate::base::purse::Voice;
use libc::{c_char, size_t};

// SAFETY: repr(C), size first, integers and floats and arrays of integers: all bit patterns are valid.
unsafe impl sized::Growing for circflow_padding_config {}
// SAFETY: as above.
unsafe impl sized::Growing for circflow_padding_stats {}
// SAFETY: as above.
unsafe impl sized::Growing for circflow_padding_budget {}

/// Loads padding machines of the maybenot framework (version 2): one machine a line, in the text form that maybenot
/// writes. They are parsed once, here, and shared by all padders that run them. All machines of a list run together and
/// can signal each other; those that shall not are lists of their own.
///
/// The text is not trusted: a machine that cannot be read, has a number that is none, or could take long to draw from
/// is refused, and so is one that unpacks to more than 1 MiB.
///
/// @param text          Read during the call only; a 0 at its end is not needed, and no fault.
/// @param text_len      Bytes in text.
/// @param machines_out  Yours until circflow_machines_drop().
///
/// CIRCFLOW_ERR_BAD_MACHINES: see circflow_engine_last_detail(). CIRCFLOW_ERR_FULL: at 1024 lists. CIRCFLOW_ERR_NULL.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_machines_load(
    engine: *mut circflow_engine,
    text: *const c_char,
    text_len: size_t,
    machines_out: *mut circflow_machines_id,
) -> circflow_status {
    let (Some(text), false) = (convert::slice(text.cast::<u8>(), text_len), machines_out.is_null()) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| {
        let id = core.load_machines(text)?;
        machines_out.write(circflow_machines_id { v: id.0 });
        Ok(())
    })
}

/// Forgets a list of machines. Padders that run it, and numbers it is registered under, keep it alive for themselves.
///
/// An id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_machines_drop(
    engine: *mut circflow_engine,
    machines: circflow_machines_id,
) -> circflow_status {
    door::enter(engine, |core| core.drop_machines(convert::id(machines.v)))
}

/// Fills a budget with the defaults: everything is allowed. Pass sizeof(circflow_padding_budget).
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_budget_init(
    budget: *mut circflow_padding_budget,
    size: size_t,
) -> circflow_status {
    door::alone(|| sized::init(budget, size, budget_defaults()))
}

/// Says what the engine may spend on padding from now on, at any time; it counts what was sent before, too. The
/// parameters circpad_global_allowed_cells, circpad_global_max_padding_pct, circpad_padding_disabled and
/// circpad_padding_reduced (circflow_engine_set_param()) say the same on the consensus's behalf, and the hub's budget
/// for all its engines: padding goes out where all three allow it. circflow_engine_stats has the figures.
///
/// Of a relay with a queue of its own, a padding cell counts when it is answered with CIRCFLOW_PADDING_SENT: as many as
/// wait for an answer can come on top.
///
/// CIRCFLOW_ERR_INVALID: max_percent above 100, disabled or reduced above 1; nothing changes. CIRCFLOW_ERR_NULL;
/// CIRCFLOW_ERR_VERSION.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_set_padding_budget(
    engine: *mut circflow_engine,
    budget: *const circflow_padding_budget,
) -> circflow_status {
    let budget = match sized::read(budget, budget_defaults()) {
        Ok(budget) => budget,
        Err(status) => return door::refuse(engine, status),
    };
    door::enter(engine, |core| {
        let allowance = convert::allowance(&budget).map_err(|why| core.invalid(why))?;
        core.allow_padding(Voice::Operator, allowance);
        Ok(())
    })
}

/// Says what all engines of the hub together may spend on padding from now on, from any thread. They count what they
/// send from when they joined, and have told the hub of other cells by the time they pad or are ticked. Blocks that are
/// on where padding is disabled end with the engine's next circflow_engine_tick(). circflow_hub_stats has the figures.
///
/// CIRCFLOW_ERR_INVALID as for circflow_engine_set_padding_budget(); CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_VERSION.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_hub_set_padding_budget(
    hub: *mut circflow_hub,
    budget: *const circflow_padding_budget,
) -> circflow_status {
    door::alone(|| {
        let hub = match hub::core(hub) {
            Ok(hub) => hub,
            Err(status) => return status,
        };
        match sized::read(budget, budget_defaults()).map(|budget| convert::allowance(&budget)) {
            Ok(Ok(allowance)) => {
                hub.padding().allow(allowance);
                CIRCFLOW_OK
            }
            Ok(Err(_)) => CIRCFLOW_ERR_INVALID,
            Err(status) => status,
        }
    })
}

/// Fills a config with the defaults: no machines, hop 2, slot 0, no limits. Pass sizeof(circflow_padding_config).
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_config_init(
    config: *mut circflow_padding_config,
    size: size_t,
) -> circflow_status {
    door::alone(|| sized::init(config, size, config_defaults()))
}

/// Sets a padder up on a circuit: from now on its machines are told what happens there, and their padding and blocking
/// is carried out. The other end is told nothing; circflow_padding_start() does that.
///
/// What your program then has to report, and when, is in docs/padding.md: every cell received, queued and written.
///
/// CIRCFLOW_ERR_PADDER_EXISTS: the hop's slot is taken. CIRCFLOW_ERR_INVALID: a fraction outside 0.0 to 1.0 (or not a
/// number), a slot above 1, or a hop that the circuit has not. CIRCFLOW_ERR_GONE: the circuit is to close.
/// CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_VERSION; CIRCFLOW_ERR_EXPIRED; an id error, of the circuit or of the machines.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_install(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    config: *const circflow_padding_config,
) -> circflow_status {
    let config = match sized::read(config, config_defaults()) {
        Ok(config) => config,
        Err(status) => return door::refuse(engine, status),
    };
    door::enter(engine, |core| {
        let machines = core.machines(convert::id(config.machines.v))?;
        let terms = convert::padding_terms(&config, machines).map_err(|why| core.invalid(why))?;
        core.install_padder(core.time(now_ns), convert::id(circuit.v), &terms)
    })
}

/// Takes a padder down that circflow_padding_install() set up (one that was negotiated is taken down, and the other end
/// told, by circflow_padding_stop()), with its timers, its block and its padding that still waits. What it held back
/// goes out with the next drain. Up to 1000 padding cells may still come from its hop.
///
/// CIRCFLOW_ERR_NO_PADDER, CIRCFLOW_ERR_EXPIRED, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_remove(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    hop: u8,
    slot: u8,
) -> circflow_status {
    door::enter(engine, |core| core.remove_padder(core.time(now_ns), convert::id(circuit.v), hop, slot))
}

/// Figures of a padder. Set stats->size to sizeof(circflow_padding_stats) first.
///
/// CIRCFLOW_ERR_NO_PADDER, CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_get_stats(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    hop: u8,
    slot: u8,
    stats: *mut circflow_padding_stats,
) -> circflow_status {
    door::enter_to_write(engine, stats, |core| {
        Ok(convert::padding_stats(&core.padder_stats(convert::id(circuit.v), hop, slot)?))
    })
}

/// Answers a CIRCFLOW_INSN_PADDING with CIRCFLOW_PADDING_ASKS: says what you did, once you have done it. Each is
/// answered once; a machine can have 1024 unanswered ones, and gets no more until you answer.
///
/// @param padding  detail.padding of the instruction.
/// @param answer   CIRCFLOW_PADDING_SENT, .._REPLACED, .._RELEASED or .._REFUSED. The machine hears of the first three
///                 that its padding was sent. It does not hear of a refusal, and one that goes on only after its own
///                 padding stands still then: where your queue is merely long, say REPLACED.
///
/// CIRCFLOW_ERR_NOT_ASKED; CIRCFLOW_ERR_INVALID for an unknown answer; CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_EXPIRED; an id
/// error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_answer(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    padding: *const circflow_insn_padding,
    answer: u8,
) -> circflow_status {
    // SAFETY: NULL or an instruction's detail, by the contract of this function.
    let Some(padding) = padding.as_ref() else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| {
        let answer = convert::padding_answer(answer).map_err(|why| core.invalid(why))?;
        core.answer_padding(core.time(now_ns), convert::id(circuit.v), convert::pad_in(padding), answer)
    })
}

/// Says what a machine number of PADDING_NEGOTIATE means at one end, for all circuits of the engine from now on. The
/// two ends of a number usually run different machines: register one config for each role. Numbers 0 and 1 are Tor's;
/// take yours from 2 on.
///
/// @param role    CIRCFLOW_ROLE_CLIENT: for circflow_padding_start(). CIRCFLOW_ROLE_EXIT: for what clients ask of a
///                relay; config->hop is 0 then.
/// @param config  Copied. NULL: the number means nothing any more; what runs goes on.
///
/// CIRCFLOW_ERR_INVALID as for circflow_padding_install(), and for an unknown role; CIRCFLOW_ERR_VERSION; an id error
/// of the machines.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_register(
    engine: *mut circflow_engine,
    role: u8,
    number: u8,
    config: *const circflow_padding_config,
) -> circflow_status {
    let config = if config.is_null() {
        None
    } else {
        match sized::read(config, config_defaults()) {
            Ok(config) => Some(config),
            Err(status) => return door::refuse(engine, status),
        }
    };
    door::enter(engine, |core| {
        let role = convert::role(role).map_err(|why| core.invalid(why))?;
        let terms = match config {
            Some(config) => {
                let machines = core.machines(convert::id(config.machines.v))?;
                Some(convert::padding_terms(&config, machines).map_err(|why| core.invalid(why))?)
            }
            None => None,
        };
        core.register_padding(role, number, terms)
    })
}

/// Client: starts what is registered under a number: sets the own padder up and queues PADDING_NEGOTIATE(START) to its
/// hop (padding-spec 3). Padding may begin before the answer. Check before that the relay has the subprotocol
/// Padding=2. If the relay refuses, the own padder is taken down again, and nothing more is asked on this circuit;
/// CIRCFLOW_INSN_NEGOTIATED tells how it answered.
///
/// CIRCFLOW_ERR_UNKNOWN_PADDING; CIRCFLOW_ERR_PADDER_EXISTS: it runs, or its place is taken; CIRCFLOW_ERR_REFUSED: the
/// relay refused before; CIRCFLOW_ERR_SWITCHED_OFF: a budget lets it not run (circflow_padding_budget);
/// CIRCFLOW_ERR_GONE; CIRCFLOW_ERR_ROLE; CIRCFLOW_ERR_INVALID: no such hop; CIRCFLOW_ERR_FULL:
/// too many padders or unanswered questions; CIRCFLOW_ERR_UNDRAINED; CIRCFLOW_ERR_EXPIRED; an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_start(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    number: u8,
) -> circflow_status {
    door::enter(engine, |core| core.start_padding(core.time(now_ns), convert::id(circuit.v), number))
}

/// Stops what was negotiated under a number: takes the own padder down and queues PADDING_NEGOTIATE(STOP) (client) or
/// PADDING_NEGOTIATED(STOP) (relay).
///
/// CIRCFLOW_ERR_NO_PADDER: it does not run; CIRCFLOW_ERR_UNDRAINED; CIRCFLOW_ERR_EXPIRED; an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_stop(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    number: u8,
) -> circflow_status {
    door::enter(engine, |core| core.stop_padding(core.time(now_ns), convert::id(circuit.v), number))
}

/// Sends a relay message on a circuit that is in no set, or to another hop than the join point: asks whether padding
/// holds it back, and counts it as queued if not. Needed for messages of streams on circuits with a padder, and for all
/// messages of a relay on a circuit that circflow runs: there it goes behind the cells that wait for its channel, as
/// TRUNCATED that overtook them would make them unreadable for the client. Allowed for all.
///
/// @param verdict_out  SEND: queue the cell now; do not report it again. HELD: it was kept (the body copied, or the
///                     token taken) and comes back as CIRCFLOW_INSN_SEND: encrypt the cell then, not before. Written on
///                     CIRCFLOW_OK.
///
/// CIRCFLOW_ERR_BLOCKED: held_sends_max messages wait already, or there is no memory; CIRCFLOW_INSN_RESUME says when to
/// go on. CIRCFLOW_ERR_IN_SET: it belongs to the set, circflow_set_send() it. CIRCFLOW_ERR_IS_RUN: it belongs to a
/// stream, circflow_stream_send() it. CIRCFLOW_ERR_GONE; CIRCFLOW_ERR_EXPIRED; CIRCFLOW_ERR_INVALID as for
/// circflow_circuit_receive(), and for a hop that the circuit has not; CIRCFLOW_ERR_NULL; an id error.
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
    let (Some(message), false) = (message.as_ref(), verdict_out.is_null()) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| {
        let id = convert::id(circuit.v);
        let message = convert::message(message).map_err(|why| core.invalid(why))?;
        let verdict =
            match core.send_for_host(core.time(now_ns), id, message.command, message.hop, message.stream_id)? {
                Some(verdict) => verdict,
                None => core.hold_for_host(id, &message)?,
            };
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// Says that cells of a circuit were written to the channel, the oldest first. Needed on circuits with a padder; costs
/// next to nothing on others. Cells that were queued before there was a padder are not known and not counted.
///
/// @param cells  How many, of all that were queued on this circuit in this direction.
///
/// CIRCFLOW_ERR_EXPIRED; an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_written(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    cells: u32,
) -> circflow_status {
    if door::try_enter(engine, |core| core.is_bystander(now_ns, convert::id(circuit.v))).is_some() {
        return CIRCFLOW_OK;
    }
    written_padded(engine, now_ns, circuit, cells)
}

#[inline(never)]
unsafe extern "C-unwind" fn written_padded(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    cells: u32,
) -> circflow_status {
    door::enter(engine, |core| core.written(core.time(now_ns), convert::id(circuit.v), cells))
}

/// Relay: says that a cell came from the client that was not recognised here and goes on to the next relay. Needed on
/// circuits with a padder. (A cell in the other direction is reported with circflow_circuit_sent() once it is queued.)
///
/// CIRCFLOW_ERR_EXPIRED; an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_passing(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    if door::try_enter(engine, |core| core.is_bystander(now_ns, convert::id(circuit.v))).is_some() {
        return CIRCFLOW_OK;
    }
    passing_padded(engine, now_ns, circuit)
}

#[inline(never)]
unsafe extern "C-unwind" fn passing_padded(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    door::enter(engine, |core| core.passing(core.time(now_ns), convert::id(circuit.v)))
}

fn budget_defaults() -> circflow_padding_budget {
    circflow_padding_budget {
        size: size_of::<circflow_padding_budget>(),
        allowed_cells: 0,
        max_percent: 0,
        disabled: 0,
        reduced: 0,
    }
}

fn config_defaults() -> circflow_padding_config {
    circflow_padding_config {
        size: size_of::<circflow_padding_config>(),
        machines: circflow_machines_id { v: 0 },
        padding_fraction: 0.0,
        blocking_fraction: 0.0,
        inbound_fraction: 0.0,
        inbound_grace: 0,
        queued_cells_max: CIRCFLOW_BY_PARAMETER,
        hop: 2,
        slot: 0,
        flags: 0,
        reserved: 0,
    }
}
