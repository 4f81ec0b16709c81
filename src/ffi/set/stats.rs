//! Figures of a set.

use super::*;
use crate::conflux::set;
use crate::ffi::engine::CIRCFLOW_NEVER;
use crate::reactor::StreamUse;

/// Figures of a set. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_set_stats {
    /// sizeof(circflow_set_stats) as your compiler saw it.
    pub size: size_t,
    /// Legs, in any state.
    pub legs: u32,
    /// Of these, legs that are not linked yet, those included whose circuits are still being built.
    pub legs_unlinked: u32,
    /// 1 when the set may carry streams.
    pub usable: u32,
    /// The UX the peer asked for last, CIRCFLOW_UX_*.
    pub peer_ux: u32,
    /// The sending leg; before the first message, the fastest; zero when none is linked.
    pub primary: circflow_circuit_id,
    /// The leg that a message came or went on last; zero when none ever did.
    pub most_active: circflow_circuit_id,
    /// When that was.
    pub last_active_ns: u64,
    /// Highest number sent.
    pub sent: u64,
    /// Highest number delivered.
    pub delivered: u64,
    /// Messages held now.
    pub held: u64,
    /// The most ever held: the reorder depth.
    pub held_peak: u64,
    /// What is held costs, in bytes.
    pub held_bytes: u64,
    /// The most it ever cost.
    pub held_bytes_peak: u64,
    /// SWITCHes reported as sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
    /// How the sending leg is chosen now, CIRCFLOW_ALGORITHM_*; never BY_UX, but what came of it.
    pub algorithm: u32,
    /// Client: legs that may be launched now, by launches_max and by legs_max. Exit: 0.
    pub launches_left: u32,
    /// Streams open on the set, if circflow runs it; else 0, as they are yours.
    pub streams: u64,
    /// If circflow runs the set: since when no stream is open on it, at first since when the set is there;
    /// CIRCFLOW_NEVER while one is. Else CIRCFLOW_NEVER.
    pub no_streams_since_ns: u64,
    /// Since when the oldest of the messages that are held for order has waited, in nanoseconds on your clock;
    /// CIRCFLOW_NEVER when none is held. Right to two milliseconds. Of a time in which you did not call, one second
    /// counts: so much later it is. The set ends when now - held_since_ns reaches its held_age_max_ns, unless it is
    /// only you who has to take what is held.
    pub held_since_ns: u64,
    /// Messages that wait to be sent.
    pub unsent: u64,
    /// What those cost, in bytes.
    pub unsent_bytes: u64,
    /// All that counts when a cap of the engine or the hub is reached and a set has to go: what is held for order, what
    /// waits to be sent, and what is on its way to legs on other engines, in bytes. The set with the greatest product
    /// of these and of the time since total_since_ns goes, or one that has at least half of it.
    pub total_bytes: u64,
    /// Since when the oldest of that has waited, in nanoseconds on your clock; CIRCFLOW_NEVER when it is nothing.
    pub total_since_ns: u64,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_set_stats {}

/// Figures of a set. Set stats->size to sizeof(circflow_set_stats) first.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_get_stats(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    stats: *mut circflow_set_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_to_write(engine, stats, |core| {
            let set = set.id();
            let total = core.set_total(set).unwrap_or((0, CIRCFLOW_NEVER));
            let mut stats = set_stats(&core.set_stats(set)?, core.set_streams(set), total);
            let circflow_set_stats { last_active_ns, no_streams_since_ns, held_since_ns, total_since_ns, .. } =
                &mut stats;
            for time in [last_active_ns, no_streams_since_ns, held_since_ns, total_since_ns] {
                *time = core.wall(*time);
            }
            Ok(stats)
        })
    }
}

pub(super) fn set_stats(
    stats: &set::SetStats,
    streams: Option<StreamUse>,
    (total_bytes, total_since_ns): (u64, u64),
) -> circflow_set_stats {
    let no_streams_since_ns = streams.and_then(|streams| streams.idle_since).unwrap_or(CIRCFLOW_NEVER);
    let streams = streams.map_or(0, |streams| streams.open);
    circflow_set_stats {
        size: size_of::<circflow_set_stats>(),
        legs: stats.legs,
        legs_unlinked: stats.legs_unlinked,
        usable: u32::from(stats.usable),
        peer_ux: u32::from(stats.peer_ux),
        primary: circflow_circuit_id::new(stats.primary),
        most_active: circflow_circuit_id::new(stats.most_active),
        last_active_ns: stats.last_active,
        sent: stats.sent,
        delivered: stats.delivered,
        held: stats.held,
        held_peak: stats.held_peak,
        held_bytes: stats.held_bytes,
        held_bytes_peak: stats.held_bytes_peak,
        switches_sent: stats.switches_sent,
        switches_received: stats.switches_received,
        algorithm: match stats.algorithm {
            Algorithm::MinRtt => CIRCFLOW_ALGORITHM_MIN_RTT.into(),
            Algorithm::LowRtt => CIRCFLOW_ALGORITHM_LOW_RTT.into(),
            Algorithm::CwndRtt => CIRCFLOW_ALGORITHM_CWND_RTT.into(),
        },
        launches_left: stats.launches_left,
        streams,
        no_streams_since_ns,
        held_since_ns: stats.held_since_ns,
        unsent: stats.unsent.into(),
        unsent_bytes: stats.unsent_bytes,
        total_bytes,
        total_since_ns,
    }
}
