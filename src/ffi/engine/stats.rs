//! Figures of an engine, its memory, and what its last failure was about.

use super::circflow_engine;
use crate::engine;
use crate::ffi::door;
use crate::ffi::out::Out;
use crate::ffi::sized;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::{c_char, size_t};

/// Classes of circflow_engine_stats.lateness.
pub const CIRCFLOW_LATENESS_CLASSES: usize = 20;
const _: () = assert!(CIRCFLOW_LATENESS_CLASSES == crate::engine::Lateness::CLASSES);

/// Figures of an engine. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_engine_stats {
    /// sizeof(circflow_engine_stats) as your compiler saw it.
    pub size: size_t,
    /// Circuits open.
    pub circuits: u32,
    /// Sets alive.
    pub sets: u32,
    /// Instructions waiting. A whole run of ready messages counts as one.
    pub insns: u32,
    /// The most that ever waited.
    pub insns_peak: u32,
    /// Timers armed: one for each leg that waits for an answer, one for each circuit whose padding waits for anything,
    /// and one for each stream that its rate holds back.
    pub timers: u32,
    /// Streams open on circuits and sets that circflow runs.
    pub streams: u32,
    /// Messages held now, for order, for sending and at edges, those waiting to be discarded included.
    pub held: u64,
    /// What is held costs so much, in bytes: for order, for sending, at edges, and on the way to other engines until
    /// they take it; and, at a client, what is remembered of streams that have ended there, some 10 bytes each where
    /// ids are used in turn. Never above held_bytes_max of the engine. Without what waits to be handed back:
    /// leaving_bytes.
    pub held_bytes: u64,
    /// The most bytes ever held.
    pub held_bytes_peak: u64,
    /// Bytes of memory kept for held messages, in use or ready for use.
    pub pool_bytes: u64,
    /// Times the host named an earlier time than before.
    pub time_backwards: u64,
    /// Times that a peer broke the protocol, or a cap or a time bound was reached.
    pub peer_faults: u64,
    /// Log lines left out because there were too many.
    pub log_dropped: u64,
    /// Padding cells received, expected or not.
    pub padding_received: u64,
    /// How many timers of padding ran how late: element 0 counts those less than a microsecond after they were due,
    /// element n those less than 2^n microseconds, the last one all others.
    pub lateness: [u64; CIRCFLOW_LATENESS_CLASSES],
    /// Messages that nothing explains and that do no harm, on streams of circuits and sets that circflow runs:
    /// CONNECTED twice, RESOLVED to a BEGIN, CONNECTED or DATA to a RESOLVE. They were dropped (CONSUMED).
    pub unexplained: u64,
    /// Calls that named a time more than an hour later than the one before. One can be a machine that was suspended, or
    /// a wild time: circflow_engine_set_clock().
    pub time_leaps: u64,
    /// Of the hub's cap, what is reserved for held_bytes: at most a block (64 KiB) above it, and the same at rest, that
    /// is once the engine has been drained to the end, ticked or trimmed. Without a hub always held_bytes.
    pub reserved_bytes: u64,
    /// Of held_bytes, what is on its way to other engines of the hub, or waits for room there.
    pub crossing_bytes: u64,
    /// What is held no longer and waits for your drain to hand it out or back, as its set or circuit has ended. It has
    /// room of its own, as much as held_bytes_max; what is above that takes room from held_bytes until it is drained.
    pub leaving_bytes: u64,
    /// Padding cells that you were told to send, or answered with CIRCFLOW_ANSWER_SENT.
    pub padding_sent: u64,
    /// Other cells sent: those whose sending was decided or reported here, on all circuits; of those that only pass a
    /// relay, the ones towards the client.
    pub others_sent: u64,
    /// Padding that a budget refused (circflow_padding_budget), this engine's, the consensus's or the hub's.
    pub padding_refused: u64,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_engine_stats {}

/// Figures of the engine. Set stats->size to sizeof(circflow_engine_stats) first.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_get_stats(
    engine: *mut circflow_engine,
    stats: *mut circflow_engine_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter_to_write(engine, stats, |core| Ok(engine_stats(&core.stats()))) }
}

pub(super) fn engine_stats(stats: &engine::EngineStats) -> circflow_engine_stats {
    circflow_engine_stats {
        size: size_of::<circflow_engine_stats>(),
        circuits: stats.circuits,
        sets: stats.sets,
        insns: stats.instructions,
        insns_peak: stats.instructions_peak,
        timers: stats.timers,
        streams: stats.streams,
        held: stats.held,
        held_bytes: stats.held_bytes,
        held_bytes_peak: stats.held_bytes_peak,
        pool_bytes: stats.pool_bytes,
        time_backwards: stats.time_backwards,
        peer_faults: stats.peer_faults,
        log_dropped: stats.log_dropped,
        padding_received: stats.padding_received,
        lateness: stats.lateness.0,
        unexplained: stats.unexplained,
        time_leaps: stats.time_leaps,
        reserved_bytes: stats.reserved_bytes,
        crossing_bytes: stats.crossing_bytes,
        leaving_bytes: stats.leaving_bytes,
        padding_sent: stats.spent.padding,
        others_sent: stats.spent.other,
        padding_refused: stats.spent.refused,
    }
}

/// Gives memory that is kept for held messages and not in use back to the system. circflow never does so by itself: a
/// steady state is to allocate nothing. Call it when you are short of memory, or idle.
///
/// @param freed_out  Bytes given back. May be NULL.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_trim(
    engine: *mut circflow_engine,
    freed_out: *mut u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let freed = core.trim() as u64;
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(freed_out, freed);
            Ok(())
        })
    }
}

/// What is behind the last call on the engine, if that failed: of INVALID which argument, of NO_ROOM which leg lacks
/// what, of PEER which circuit; where there is no more to say, the sentence of circflow_status_text(). Empty after a
/// call that succeeded, so ask at once. Asking is no call in this sense. Of a poisoned engine it is what the panic
/// said. For people: do not parse it.
///
/// Inside a drain callback the callback's own calls count; after the drain, the drain. A call that names no engine
/// (circflow_cell_decode(), circflow_queue_push()) leaves no sentence here.
///
/// @param buf       Gets at most cap - 1 bytes of text and a NUL.
/// @param len_out   Length of the whole sentence without the NUL. May be NULL.
///
/// Own statuses: CIRCFLOW_ERR_REENTRANT from inside the log function.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_get_last_detail(
    engine: *mut circflow_engine,
    buf: *mut c_char,
    cap: size_t,
    len_out: *mut size_t,
) -> circflow_status {
    if buf.is_null() && cap != 0 {
        return CIRCFLOW_ERR_NULL;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    let read = unsafe {
        door::detail(engine, |text| {
            let copied = text.len().min(cap.saturating_sub(1));
            if cap != 0 {
                // SAFETY: `copied` is below `cap`, and `cap` bytes are there by the contract of this function.
                std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buf, copied);
                buf.add(copied).write(0);
            }
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(len_out, text.len());
        })
    };
    match read {
        Ok(()) => CIRCFLOW_OK,
        Err(status) => status,
    }
}
