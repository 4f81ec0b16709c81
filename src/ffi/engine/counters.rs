//! Totals of an engine that outlive its sets and circuits: as a struct, and as text for a monitor.

use super::circflow_engine;
use crate::engine::counters::table::totals;
use crate::engine::counters::{self, Totals};
use crate::ffi::door;
use crate::ffi::engine::metrics;
use crate::ffi::out::Out;
use crate::ffi::sized;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::{c_char, size_t};

/// Places of a count by status in circflow_engine_counters: see circflow_status_place().
pub const CIRCFLOW_COUNTED_STATUSES: usize = 64;
const _: () = assert!(CIRCFLOW_COUNTED_STATUSES == counters::STATUSES);

/// Classes of circflow_engine_counters.reorder_depth.
pub const CIRCFLOW_DEPTH_CLASSES: usize = 20;
const _: () = assert!(CIRCFLOW_DEPTH_CLASSES == counters::DEPTHS);

/// Classes of circflow_engine_counters.reorder_age.
pub const CIRCFLOW_AGE_CLASSES: usize = 28;
const _: () = assert!(CIRCFLOW_AGE_CLASSES == counters::AGES);

/// Totals of an engine since it was made, which stay when sets and circuits go, and some figures of the moment. They
/// are about the whole engine, never about one circuit or set, so that they may leave a relay. Set size to sizeof
/// before each call.
///
/// The names are those of the text of circflow_engine_write_metrics(). docs/metrics.md has a row for each.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_engine_counters {
    /// sizeof(circflow_engine_counters) as your compiler saw it.
    pub size: size_t,
    /// Circuits open now.
    pub circuits: u64,
    /// Sets alive now.
    pub sets: u64,
    /// Streams open now, on circuits and sets that circflow runs.
    pub streams: u64,
    /// Sets that you opened.
    pub sets_opened_by_host: u64,
    /// Sets that a peer opened with LINK.
    pub sets_opened_by_peer: u64,
    /// Sets that became usable.
    pub sets_usable: u64,
    /// Sets that became a circuit without a set (circflow_set_dissolve()).
    pub sets_dissolved: u64,
    /// Sets that ended, by the status that their ENDED has.
    pub sets_ended: [u64; CIRCFLOW_COUNTED_STATUSES],
    /// Legs that were linked, or adopted.
    pub legs_linked: u64,
    /// Legs that sets lost, by cause. Legs that are closed as their set ends are not in it, but the leg is whose loss
    /// ended the set.
    pub legs_lost: [u64; CIRCFLOW_COUNTED_STATUSES],
    /// Multiplexed messages sent in sets.
    pub messages_sent: u64,
    /// Multiplexed messages that came in order.
    pub messages_in_order: u64,
    /// Multiplexed messages that were held for order. Those that came on a leg of another engine are all in it: they
    /// are held until you drain.
    pub messages_held: u64,
    /// Those of them that have had their turn.
    pub messages_released: u64,
    /// Messages held, for order, for sending or at an edge, that went to nobody, as their set or circuit had ended.
    /// They count when you drain.
    pub messages_discarded: u64,
    /// Runs of holding, each from the first message that a set holds until it holds none, by the most messages held at
    /// once. Class n counts those of up to 2^n messages (and in no class before), the last class all others.
    pub reorder_depth: [u64; CIRCFLOW_DEPTH_CLASSES],
    /// The sum of these numbers of messages.
    pub reorder_depth_sum: u64,
    /// The same runs by how long they lasted: class n counts those of up to 2^n microseconds, the last class all
    /// others.
    pub reorder_age: [u64; CIRCFLOW_AGE_CLASSES],
    /// The sum of these times, in nanoseconds.
    pub reorder_age_sum_ns: u64,
    /// SWITCHes sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
    /// Messages in sets that were refused with NO_ROOM.
    pub refusals: u64,
    /// How long sets waited, from the first refusal until MAY_SEND was queued, in nanoseconds. Waits that still last
    /// are in it.
    pub blocked_ns: u64,
    /// XOFFs that circflow sent.
    pub xoffs_sent: u64,
    /// XOFFs that circflow took.
    pub xoffs_received: u64,
    /// XONs that circflow sent.
    pub xons_sent: u64,
    /// XONs that circflow took.
    pub xons_received: u64,
    /// SENDMEs that circflow sent.
    pub sendmes_sent: u64,
    /// SENDMEs that circflow took.
    pub sendmes_received: u64,
    /// Padding cells sent.
    pub padding_sent: u64,
    /// Other cells sent, as in circflow_engine_stats.
    pub others_sent: u64,
    /// Padding cells received, expected or not.
    pub padding_received: u64,
    /// Padding cells that a budget refused.
    pub padding_refused: u64,
    /// Padding cells in whose place another cell went.
    pub padding_replaced: u64,
    /// Times that padding began to block a circuit.
    pub padding_blocks: u64,
    /// Cost in bytes of the messages held now for order.
    pub order_bytes: u64,
    /// The same for messages held for sending.
    pub sending_bytes: u64,
    /// The same for cells that wait at edges.
    pub edge_bytes: u64,
    /// The same for messages on the way to other engines.
    pub crossing_bytes: u64,
    /// The same for messages that wait to be handed back.
    pub leaving_bytes: u64,
    /// Bytes for the memory of ended streams.
    pub stream_bytes: u64,
    /// Sets that were closed at their own cap (CIRCFLOW_ERR_SET_MEMORY).
    pub reclaims_set: u64,
    /// Sets and circuits closed at the engine's cap (CIRCFLOW_ERR_ENGINE_MEMORY).
    pub reclaims_engine: u64,
    /// Sets and circuits of this engine closed at the hub's cap (CIRCFLOW_ERR_HUB_MEMORY).
    pub reclaims_hub: u64,
    /// Sets that held a message for too long (CIRCFLOW_ERR_HELD_TOO_LONG).
    pub reclaims_age: u64,
    /// How often a peer broke the protocol, or a cap or time bound was reached, by status. Their sum is peer_faults of
    /// circflow_engine_stats.
    pub faults: [u64; CIRCFLOW_COUNTED_STATUSES],
    /// Messages dropped that made no sense on their stream, as in circflow_engine_stats.
    pub unexplained: u64,
    /// Calls that named an earlier time than the call before.
    pub clock_steps_back: u64,
    /// Calls that named a time more than an hour later.
    pub clock_steps_ahead: u64,
    /// Log lines left out because there were too many.
    pub log_lines_left_out: u64,
    /// Recorded events that were overwritten before you read them.
    pub events_overwritten: u64,
}

// SAFETY: repr(C), size first, integers and arrays of them.
unsafe impl sized::Growing for circflow_engine_counters {}

/// Gives the totals of an engine. Set counters->size to sizeof(circflow_engine_counters) first. It looks at each set
/// and each circuit: ask once in some seconds.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_get_counters(
    engine: *mut circflow_engine,
    counters: *mut circflow_engine_counters,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter_to_write(engine, counters, |core| Ok(engine_counters(&core.totals()))) }
}

/// Writes the same totals as text in the OpenMetrics format, which Prometheus and others read. Each has the label
/// `engine` with the engine's number. Serve it with the content type
/// "application/openmetrics-text; version=1.0.0; charset=utf-8", as examples/metrics.c does.
///
/// @param buf      Gets the text, and a NUL. It may be NULL when buf_cap is 0, to ask for the length, which changes
///                 little from call to call: 32 KiB are enough.
/// @param buf_cap  Bytes of room there.
/// @param len_out  Length of the text in bytes, without the NUL; also when there is no room for it. May be NULL.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: buf_cap is not above the length. Nothing was written to buf.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_write_metrics(
    engine: *mut circflow_engine,
    buf: *mut c_char,
    buf_cap: size_t,
    len_out: *mut size_t,
) -> circflow_status {
    if buf.is_null() && buf_cap != 0 {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let text = metrics::text(core.number(), &core.totals());
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(len_out, text.len());
            if text.len() >= buf_cap {
                return Err(crate::engine::Error::TOO_SMALL);
            }
            // SAFETY: `buf_cap` bytes are there by the contract of this function, and the text and a NUL are no more.
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buf, text.len());
            buf.add(text.len()).write(0);
            Ok(())
        })
    }
}

/// Copies field by field. A row of the table without a field does not compile, nor does a field without a row.
macro_rules! copy {
    ($($kind:ident $name:ident $unit:literal $help:literal {
        $(($($label:tt)*) $field:ident: $of:ident $($doc:literal)+)+
    })+) => {
        fn engine_counters(totals: &Totals) -> circflow_engine_counters {
            circflow_engine_counters {
                size: size_of::<circflow_engine_counters>(),
                $($($field: totals.$field,)+)+
            }
        }
    };
}

totals!(copy);
