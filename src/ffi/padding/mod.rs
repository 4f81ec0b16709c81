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

/// Loads a list of padding machines of the maybenot framework (version 2): one machine in each line, in the text form
/// that maybenot writes. They are parsed once, here, and shared by all padders that run them. All machines of a list
/// run together and can signal each other. Load machines that must not do so as separate lists.
///
/// The text is not trusted. A machine is refused if it cannot be read, if it contains a value that is not a number, if
/// drawing a random number from it could take long, or if it unpacks to more than 1 MiB.
///
/// @param text          The text. It may end with a NUL, but need not.
/// @param text_len      Bytes in text.
/// @param machines_out  The id of the list, valid until circflow_machines_drop().
///
/// Own statuses: CIRCFLOW_ERR_BAD_MACHINES: circflow_engine_get_last_detail() says which line, and why.
/// CIRCFLOW_ERR_TOO_MANY: there are 1024 lists; drop one.
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

/// Drops a list of machines. Padders that run it, and numbers under which it is registered, still keep it.
///
/// @param machines  The list.
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

/// circflow_padding_config.flags: when all machines of a negotiated padder have ended, circflow stops it and tells the
/// other end (padding-spec 3).
pub const CIRCFLOW_PADDER_STOP_AT_END: u8 = 1;
/// circflow_padding_config.flags: when a block ends, the waiting cells go out at once, before a machine can block
/// again. Without this flag, actions without a delay come first, so that a machine that blocks again at the end of each
/// block lets no cell out. Some machines need this flag: RegulaTor paces its server so.
pub const CIRCFLOW_PADDER_OPEN_BETWEEN: u8 = 2;
/// circflow_padding_config.flags: the machines may run while padding is reduced (circflow_padding_budget). Use it for
/// machines that send little.
pub const CIRCFLOW_PADDER_RUNS_REDUCED: u8 = 4;

/// circflow_padding_config.queued_cells_max: use the parameter circpad_max_circ_queued_cells.
pub const CIRCFLOW_BY_PARAMETER: u32 = u32::MAX;
const _: () = assert!(CIRCFLOW_BY_PARAMETER == crate::engine::BY_PARAMETER);

/// The configuration of a padder. Fill it with circflow_padding_config_init(), then change what you want.
///
/// Fractions go from 0.0 to 1.0. 0.0 means "no limit", as in maybenot; to forbid padding, install no padder. 1.0 means
/// "no limit", too, once one other cell was sent. Each machine also has limits of its own, and an allowance (of padding
/// cells, and of time to block). Until a machine has used up its allowance, no limit applies to it, not even these
/// fractions. So check the machines that you load.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_config {
    /// sizeof(circflow_padding_config) as your compiler saw it.
    pub size: size_t,
    /// The list of machines, from circflow_machines_load(). Zero: no machines, for an end that only expects padding
    /// from the other.
    pub machines: circflow_machines_id,
    /// The part of the cells sent to or through the hop that may be padding. Default 0.0.
    pub padding_fraction: f64,
    /// The part of the time that may be blocked. Default 0.0.
    pub blocking_fraction: f64,
    /// The part of the cells received from or through the hop that may be its padding. More closes the circuit. Default
    /// 0.0.
    pub inbound_fraction: f64,
    /// Padding cells that may come before inbound_fraction applies. Default 0.
    pub inbound_grace: u64,
    /// When so many cells are in the circuit's queue (reported as queued and not as written), padding is refused. The
    /// machine hears that it was sent, as one of the waiting cells counts for it. Default CIRCFLOW_BY_PARAMETER: the
    /// value of circpad_max_circ_queued_cells when the padder is installed or registered (1000 if you never set it).
    pub queued_cells_max: u32,
    /// The hop to exchange padding with. Client: 1 to its number of hops; default 2. Relay: 0, the client.
    pub hop: u8,
    /// The slot, 0 or 1: a hop can have two padders. Default 0.
    pub slot: u8,
    /// CIRCFLOW_PADDER_*, or-ed together. Default 0.
    pub flags: u8,
    /// Zero.
    pub reserved: u8,
}

// SAFETY: repr(C), size first, integers and floats and arrays of integers: all bit patterns are valid.
unsafe impl sized::Growing for circflow_padding_config {}

/// Fills a config with the defaults: no machines, hop 2, slot 0, no limits. Pass sizeof(circflow_padding_config) as
/// size.
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

/// Installs a padder on a circuit. From now on its machines hear of the circuit's cells, and circflow carries out their
/// padding and blocking. The other end is not told; circflow_padding_start() tells it.
///
/// From then on report every cell that is received, queued and written, as docs/padding.md describes.
///
/// Own statuses: CIRCFLOW_ERR_PADDER_EXISTS: the hop's slot is taken. CIRCFLOW_ERR_INVALID: a fraction outside 0.0 to
/// 1.0 (or not a number), a slot above 1, or a hop that the circuit does not have. CIRCFLOW_ERR_CLOSING: the circuit is
/// closing. An id error can be about the circuit or about the machines.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_install(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    config: *const circflow_padding_config,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_to_read(engine, config, config_defaults(), |core, config| {
            let machines = core.machines(config.machines.id())?;
            let terms = padding_terms(config, machines).map_err(|why| core.invalid(why))?;
            core.install_padder(core.time(now_ns), circuit.id(), &terms)
        })
    }
}

/// Removes a padder of circflow_padding_install(), with its timers, its block, and its padding cells that still wait.
/// (For a negotiated padder there is circflow_padding_stop().) Messages that it held back go out with the next drain.
/// Up to 1000 padding cells may still come from its hop.
///
/// @param hop   The hop of the padder; 0 at a relay.
/// @param slot  The slot of the padder, 0 or 1.
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

/// circflow_padding_answered(): you queued or sent a padding cell.
pub const CIRCFLOW_ANSWER_SENT: u8 = 1;
/// circflow_padding_answered(): a waiting cell counts as the padding.
pub const CIRCFLOW_ANSWER_REPLACED: u8 = 2;
/// circflow_padding_answered(): you let one waiting cell out, past the block. It was reported when it was queued. One
/// that waited in its stream is reported now, right before this answer.
pub const CIRCFLOW_ANSWER_RELEASED: u8 = 3;
/// circflow_padding_answered(): you did nothing. The machine does not hear of it.
pub const CIRCFLOW_ANSWER_REFUSED: u8 = 4;

/// Answers a CIRCFLOW_INSN_PADDING with CIRCFLOW_PADDING_ASKS: reports what you did, after you did it. Answer each
/// once. A machine can have 1024 unanswered instructions; then no more come until you answer.
///
/// @param padding  detail.padding of the instruction.
/// @param answer   CIRCFLOW_ANSWER_*. After SENT, REPLACED and RELEASED the machine hears that its padding was sent.
///                 After REFUSED it hears nothing, and a machine that waits for its own padding stops then: if your
///                 queue is only long, answer REPLACED.
///
/// Own statuses: CIRCFLOW_ERR_NOT_ASKED: it was answered already, or there was no such instruction.
/// CIRCFLOW_ERR_INVALID: an unknown answer.
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
    /// Machines that it runs.
    pub machines: u32,
    /// Timers that run: for each machine one for its next action and an internal one, and one for the end of the block.
    pub timers: u32,
    /// Cells to or through its hop that were queued and are not padding for this hop. A held message counts when it is
    /// held (on a circuit), or when it is sent (in a set).
    pub normal_sent: u64,
    /// Padding cells of its machines that were queued.
    pub padding_sent: u64,
    /// Padding cells for which a waiting cell counted.
    pub replaced: u64,
    /// Padding cells that were not sent: the queue was long, held_sends_max cells waited behind the block, a budget did
    /// not allow it (circflow_padding_budget), or you answered REFUSED.
    pub refused: u64,
    /// Cells that are not padding, from or through its hop.
    pub normal_received: u64,
    /// Padding cells from its hop.
    pub padding_received: u64,
    /// Blocks that its machines asked for.
    pub blocks: u64,
    /// Time for which it has blocked so far, in nanoseconds.
    pub blocked_ns: u64,
}

// SAFETY: as above.
unsafe impl sized::Growing for circflow_padding_stats {}

/// Gives the figures of a padder. Set stats->size to sizeof(circflow_padding_stats) first.
///
/// @param hop   The hop of the padder; 0 at a relay.
/// @param slot  The slot of the padder, 0 or 1.
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
