//! `circflow_machines_*`, `circflow_padding_*`: padding machines and padders. Agreeing on them with the other end is in
//! `negotiate`, what an operator allows in `budget`.

mod budget;
mod negotiate;

pub use budget::*;
pub use negotiate::*;

use super::door;
use super::engine::circflow_engine;
use super::id::*;
use super::insn::{self, circflow_insn_padding};
use super::inward::{self, Why};
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::limits;
use crate::padding::{self, Answer, Machines};
use libc::{c_char, size_t};

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
/// Own statuses: CIRCFLOW_ERR_BAD_MACHINES: see circflow_engine_get_last_detail(); CIRCFLOW_ERR_TOO_MANY: at 1024
/// lists: drop one.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_machines_load(
    engine: *mut circflow_engine,
    text: *const c_char,
    text_len: size_t,
    machines_out: *mut circflow_machines_id,
) -> circflow_status {
    // SAFETY: so much is there, by the contract of this floor.
    let (Some(text), false) = (unsafe { inward::slice(text.cast::<u8>(), text_len) }, machines_out.is_null()) else {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let id = core.load_machines(text)?;
            machines_out.write(circflow_machines_id::new(id));
            Ok(())
        })
    }
}

/// Forgets a list of machines. Padders that run it, and numbers it is registered under, keep it alive for themselves.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_machines_drop(
    engine: *mut circflow_engine,
    machines: circflow_machines_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.drop_machines(machines.id())) }
}

/// circflow_padding_config.flags: what was negotiated is stopped, and the other end told, when all its machines have
/// reached their end (padding-spec 3).
pub const CIRCFLOW_PADDER_STOP_AT_END: u8 = 1;
/// circflow_padding_config.flags: when a block ends, what waits goes out at once, before a machine can block again.
/// Without it, actions due with no delay come first, so that a machine that blocks again at the end of each block lets
/// nothing out. Some machines count on the gap: RegulaTor paces its server so.
pub const CIRCFLOW_PADDER_OPEN_BETWEEN: u8 = 2;
/// circflow_padding_config.flags: the machines may run while padding is reduced (circflow_padding_budget). Mark those
/// that cost little.
pub const CIRCFLOW_PADDER_RUNS_REDUCED: u8 = 4;

/// circflow_padding_config.queued_cells_max: what the parameter circpad_max_circ_queued_cells says.
pub const CIRCFLOW_BY_PARAMETER: u32 = u32::MAX;
const _: () = assert!(CIRCFLOW_BY_PARAMETER == crate::engine::BY_PARAMETER);

/// What a padder is made with. Fill it with circflow_padding_config_init(), then change what you want.
///
/// Fractions go from 0.0 to 1.0, and 0.0 means "no limit", as in maybenot: to forbid padding, install none. 1.0 means
/// no limit either, as soon as one other cell was sent. Each machine has limits of its own besides these, and an
/// allowance (of padding cells, and of time to block) that comes before all limits, these included: a machine with an
/// endless allowance knows none. Look at the machines you load.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_config {
    /// sizeof(circflow_padding_config) as your compiler saw it.
    pub size: size_t,
    /// From circflow_machines_load(). Zero: no machines; for an end that only expects the other to pad.
    pub machines: circflow_machines_id,
    /// Of the cells sent to or through the hop, how many may be padding. Default 0.0. Each machine's allowance comes
    /// first.
    pub padding_fraction: f64,
    /// Of the time, how much may be blocked. Default 0.0. Each machine's allowance comes first.
    pub blocking_fraction: f64,
    /// Of the cells received from or through the hop, how many may be its padding; more closes the circuit. Default
    /// 0.0.
    pub inbound_fraction: f64,
    /// Padding cells that may come before inbound_fraction counts. Default 0.
    pub inbound_grace: u64,
    /// Cells in the circuit's queue (reported as queued and not as written) from which on no padding is added:
    /// it is refused, and the machine hears that it was sent, as one of those that wait counts. Default
    /// CIRCFLOW_BY_PARAMETER: what circpad_max_circ_queued_cells says when the padder is installed or registered, 1000
    /// if that was never set.
    pub queued_cells_max: u32,
    /// The hop to pad with. Client: 1 to its number of hops; default 2. Relay: 0, the client.
    pub hop: u8,
    /// Which of the hop's two places, 0 or 1. Default 0.
    pub slot: u8,
    /// CIRCFLOW_PADDER_STOP_AT_END, CIRCFLOW_PADDER_OPEN_BETWEEN and CIRCFLOW_PADDER_RUNS_REDUCED, or-ed together.
    /// Default 0.
    pub flags: u8,
    /// Zero.
    pub reserved: u8,
}

// SAFETY: repr(C), size first, integers and floats and arrays of integers: all bit patterns are valid.
unsafe impl sized::Growing for circflow_padding_config {}

/// Fills a config with the defaults: no machines, hop 2, slot 0, no limits. Pass sizeof(circflow_padding_config).
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_config_init(
    config: *mut circflow_padding_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Sets a padder up on a circuit: from now on its machines are told what happens there, and their padding and blocking
/// is carried out. The other end is told nothing; circflow_padding_start() does that.
///
/// What your program then has to report, and when, is in docs/padding.md: every cell received, queued and written.
///
/// Own statuses: CIRCFLOW_ERR_PADDER_EXISTS: the hop's slot is taken; CIRCFLOW_ERR_INVALID: a fraction outside 0.0 to
/// 1.0 (or not a number), a slot above 1, or a hop that the circuit has not; CIRCFLOW_ERR_CLOSING: the circuit is to
/// close. An id error can be of the circuit or of the machines.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_install(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    config: *const circflow_padding_config,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    let config = match unsafe { sized::read(config, config_defaults()) } {
        Ok(config) => config,
        // SAFETY: the contract of this floor, which the caller keeps.
        Err(status) => return unsafe { door::refuse(engine, status) },
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let machines = core.machines(config.machines.id())?;
            let terms = padding_terms(&config, machines).map_err(|why| core.invalid(why))?;
            core.install_padder(core.time(now_ns), circuit.id(), &terms)
        })
    }
}

/// Takes a padder down that circflow_padding_install() set up (one that was negotiated is taken down, and the other end
/// told, by circflow_padding_stop()), with its timers, its block and its padding that still waits. What it held back
/// goes out with the next drain. Up to 1000 padding cells may still come from its hop.
///
/// @param hop   The hop that it pads with; 0 at a relay.
/// @param slot  Which of the hop's two places, 0 or 1.
///
/// Own statuses: CIRCFLOW_ERR_NO_PADDER.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_remove(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    hop: u8,
    slot: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.remove_padder(core.time(now_ns), circuit.id(), hop, slot)) }
}

/// circflow_padding_answered(): a padding cell was queued or sent.
pub const CIRCFLOW_ANSWER_SENT: u8 = 1;
/// circflow_padding_answered(): a cell that waits counts as the padding.
pub const CIRCFLOW_ANSWER_REPLACED: u8 = 2;
/// circflow_padding_answered(): one cell that waited was let out, past the block.
pub const CIRCFLOW_ANSWER_RELEASED: u8 = 3;
/// circflow_padding_answered(): nothing was done. The machine does not hear of it.
pub const CIRCFLOW_ANSWER_REFUSED: u8 = 4;

/// Answers a CIRCFLOW_INSN_PADDING with CIRCFLOW_PADDING_ASKS: says what you did, once you have done it. Each is
/// answered once; a machine can have 1024 unanswered ones, and gets no more until you answer.
///
/// @param padding  detail.padding of the instruction.
/// @param answer   CIRCFLOW_ANSWER_SENT, .._REPLACED, .._RELEASED or .._REFUSED. The machine hears of the first three
///                 that its padding was sent. It does not hear of a refusal, and one that goes on only after its own
///                 padding stands still then: where your queue is merely long, say REPLACED.
///
/// Own statuses: CIRCFLOW_ERR_NOT_ASKED: it was answered already, or never asked; CIRCFLOW_ERR_INVALID for an unknown
/// answer.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_answered(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    padding: *const circflow_insn_padding,
    answer: u8,
) -> circflow_status {
    // SAFETY: NULL or an instruction's detail, by the contract of this function.
    let Some(padding) = (unsafe { padding.as_ref() }) else {
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let answer = padding_answer(answer).map_err(|why| core.invalid(why))?;
            core.answer_padding(core.time(now_ns), circuit.id(), insn::pad_in(padding), answer)
        })
    }
}

/// Figures of a padder. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_stats {
    /// sizeof(circflow_padding_stats) as your compiler saw it.
    pub size: size_t,
    /// Machines it runs.
    pub machines: u32,
    /// Timers armed: an action and an internal one for each machine, and the end of the block.
    pub timers: u32,
    /// Cells to or through its hop that were queued and are nobody's padding for this hop. One that is held counts
    /// when it is held on a circuit, and when it is let out in a set.
    pub normal_sent: u64,
    /// Padding cells of its machines that were queued.
    pub padding_sent: u64,
    /// Padding for which a cell that waited anyway counted.
    pub replaced: u64,
    /// Padding that was not sent because the queue was long, because as many cells waited behind the block as may
    /// (held_sends_max), because a budget did not allow it (circflow_padding_budget), or because the host said so.
    pub refused: u64,
    /// Cells that are not padding, from or through its hop.
    pub normal_received: u64,
    /// Padding cells from its hop.
    pub padding_received: u64,
    /// Blocks that its machines asked for.
    pub blocks: u64,
    /// Time blocked by it so far, in nanoseconds.
    pub blocked_ns: u64,
}

// SAFETY: as above.
unsafe impl sized::Growing for circflow_padding_stats {}

/// Figures of a padder. Set stats->size to sizeof(circflow_padding_stats) first.
///
/// @param hop   The hop that it pads with; 0 at a relay.
/// @param slot  Which of the hop's two places, 0 or 1.
///
/// Own statuses: CIRCFLOW_ERR_NO_PADDER.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_get_stats(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    hop: u8,
    slot: u8,
    stats: *mut circflow_padding_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_to_write(engine, stats, |core| Ok(padding_stats(&core.padder_stats(circuit.id(), hop, slot)?)))
    }
}

pub(super) fn padding_terms(config: &circflow_padding_config, machines: Machines) -> Result<padding::PadderTerms, Why> {
    let fractions = [config.padding_fraction, config.blocking_fraction, config.inbound_fraction];
    // Both ends belong to the range, and what is not a number to none.
    if !fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)) {
        return Err("a fraction of a padder is not 0.0 to 1.0");
    }
    if config.slot >= limits::PADDER_SLOTS || config.hop > limits::HOPS_MAX {
        return Err("the slot of a padder is above 1, or its hop above 16");
    }
    let known = CIRCFLOW_PADDER_STOP_AT_END | CIRCFLOW_PADDER_OPEN_BETWEEN | CIRCFLOW_PADDER_RUNS_REDUCED;
    if config.flags & !known != 0 || config.reserved != 0 {
        return Err("a padder has an unknown flag, or its reserved field is not zero");
    }
    Ok(padding::PadderTerms {
        machines,
        hop: config.hop,
        slot: config.slot,
        padding_frac: config.padding_fraction,
        blocking_frac: config.blocking_fraction,
        inbound_frac: config.inbound_fraction,
        inbound_grace: config.inbound_grace,
        queued_max: config.queued_cells_max,
        stop_at_end: config.flags & CIRCFLOW_PADDER_STOP_AT_END != 0,
        opens_between: config.flags & CIRCFLOW_PADDER_OPEN_BETWEEN != 0,
        runs_reduced: config.flags & CIRCFLOW_PADDER_RUNS_REDUCED != 0,
    })
}

pub(super) fn padding_answer(answer: u8) -> Result<Answer, Why> {
    match answer {
        CIRCFLOW_ANSWER_SENT => Ok(Answer::Sent),
        CIRCFLOW_ANSWER_REPLACED => Ok(Answer::Replaced),
        CIRCFLOW_ANSWER_RELEASED => Ok(Answer::Released),
        CIRCFLOW_ANSWER_REFUSED => Ok(Answer::Refused),
        _ => Err("an unknown answer to a padding instruction"),
    }
}

pub(super) fn padding_stats(stats: &padding::PadderStats) -> circflow_padding_stats {
    circflow_padding_stats {
        size: size_of::<circflow_padding_stats>(),
        machines: stats.machines,
        timers: stats.timers,
        normal_sent: stats.normal_sent,
        padding_sent: stats.padding_sent,
        replaced: stats.replaced,
        refused: stats.refused,
        normal_received: stats.normal_received,
        padding_received: stats.padding_received,
        blocks: stats.blocks,
        blocked_ns: stats.blocked,
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
