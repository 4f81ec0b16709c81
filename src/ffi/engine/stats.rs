//! Figures of an engine, and the sentence about its last failure.

use super::circflow_engine;
use crate::engine;
use crate::ffi::door;
use crate::ffi::out::Out;
use crate::ffi::sized;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::{c_char, size_t};

/// Number of classes in circflow_engine_stats.lateness.
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
    /// Instructions that wait. A run of ready messages counts as one.
    pub insns: u32,
    /// The most instructions that ever waited.
    pub insns_peak: u32,
    /// Timers that run: one for each leg that waits for an answer, one for each circuit whose padding has a timer, and
    /// one for each stream that its XON rate stops.
    pub timers: u32,
    /// Streams open on circuits and sets that circflow runs.
    pub streams: u32,
    /// Messages held now: for order, for sending, at edges, and those that wait to be discarded.
    pub held: u64,
    /// Cost in bytes of the messages held for order, for sending, at edges, and on the way to other engines until they
    /// take them. At a client it has the memory for ended streams, too, some 10 bytes each when ids are used in turn.
    /// Never above held_bytes_max of the engine. Messages that wait to be handed back are not in it: see leaving_bytes.
    pub held_bytes: u64,
    /// The highest value of held_bytes so far.
    pub held_bytes_peak: u64,
    /// Bytes of memory kept for held messages, used or free.
    pub pool_bytes: u64,
    /// Calls that named an earlier time than the call before.
    pub time_backwards: u64,
    /// How often a peer broke the protocol, or a cap or time bound was reached.
    pub peer_faults: u64,
    /// Log lines left out because there were too many.
    pub log_dropped: u64,
    /// Padding cells received, expected or not.
    pub padding_received: u64,
    /// Timers of padding by how late they ran: class 0 counts those less than 1 microsecond late, class n those less
    /// than 2^n microseconds late (and in no class before), the last class all others.
    pub lateness: [u64; CIRCFLOW_LATENESS_CLASSES],
    /// Messages that were dropped (CONSUMED) as they make no sense on their stream and do no harm: a second CONNECTED,
    /// RESOLVED after BEGIN, CONNECTED or DATA after RESOLVE. Only on circuits and sets that circflow runs.
    pub unexplained: u64,
    /// Calls that named a time more than an hour later than the call before. The computer was suspended, or the time
    /// was wrong: see circflow_engine_set_clock().
    pub time_leaps: u64,
    /// Bytes of the hub's cap that are reserved for held_bytes: at most one block (64 KiB) more than held_bytes. They
    /// are equal once the engine has been drained to the end, ticked or trimmed. Without a hub they are always equal.
    pub reserved_bytes: u64,
    /// The part of held_bytes that is on the way to other engines of the hub, or waits for room there.
    pub crossing_bytes: u64,
    /// Cost in bytes of messages whose set or circuit has ended, and that wait for your drain to hand them out or back.
    /// They have room of their own, as much as held_bytes_max. Above that they take room from held_bytes until they are
    /// drained.
    pub leaving_bytes: u64,
    /// Padding cells that circflow told you to send, or that you answered with CIRCFLOW_ANSWER_SENT.
    pub padding_sent: u64,
    /// Other cells sent, on all circuits: those that circflow decided to send or that you reported. Of cells that pass
    /// a relay, only those towards the client count.
    pub others_sent: u64,
    /// Padding cells that a budget refused (circflow_padding_budget): this engine's, the consensus's or the hub's.
    pub padding_refused: u64,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_engine_stats {}

/// Gives the figures of an engine. Set stats->size to sizeof(circflow_engine_stats) first.
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

/// Gives a sentence about the last call on the engine, if that failed: for INVALID which argument is wrong, for NO_ROOM
/// which leg lacks what, for PEER which circuit. If there is no more to say, it is the text of circflow_status_text().
/// It is empty after a call that succeeded, so ask at once. This function itself does not count as a call. For a
/// poisoned engine it gives the message of the panic. The sentence is for people: do not parse it.
///
/// Inside a drain callback it is about the last call of the callback; after the drain it is about the drain. Calls
/// without an engine, such as circflow_cell_decode() and circflow_queue_push(), leave no sentence.
///
/// @param buf       Gets at most buf_cap - 1 bytes of text, and a NUL. It may be NULL when buf_cap is 0.
/// @param buf_cap   Bytes of room there.
/// @param len_out   Length of the whole sentence in bytes, without the NUL. May be NULL.
///
/// Own statuses: CIRCFLOW_ERR_REENTRANT from inside the log function.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_get_last_detail(
    engine: *mut circflow_engine,
    buf: *mut c_char,
    buf_cap: size_t,
    len_out: *mut size_t,
) -> circflow_status {
    if buf.is_null() && buf_cap != 0 {
        return CIRCFLOW_ERR_NULL;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    let read = unsafe {
        door::detail(engine, |text| {
            let copied = text.len().min(buf_cap.saturating_sub(1));
            if buf_cap != 0 {
                // SAFETY: `copied` is below `buf_cap`, and `buf_cap` bytes are there by the contract of this function.
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
