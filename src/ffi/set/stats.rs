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
    /// Legs that are not linked yet, those included whose circuits are still being built.
    pub legs_unlinked: u32,
    /// 1 when the set may carry streams.
    pub usable: u32,
    /// The last desired_ux of the peer, CIRCFLOW_UX_*.
    pub peer_ux: u32,
    /// The sending leg; before the first message, the fastest; zero when none is linked.
    pub primary: circflow_circuit_id,
    /// The leg on which the last message came or went; zero before the first.
    pub most_active: circflow_circuit_id,
    /// The time of that message, on your clock.
    pub last_active_ns: u64,
    /// Highest sequence number sent.
    pub sent: u64,
    /// Highest sequence number delivered.
    pub delivered: u64,
    /// Messages held for order now.
    pub held: u64,
    /// The highest value of held so far: the reorder depth.
    pub held_peak: u64,
    /// Cost in bytes of the messages held for order.
    pub held_bytes: u64,
    /// The highest value of held_bytes so far.
    pub held_bytes_peak: u64,
    /// SWITCHes reported as sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
    /// How the sending leg is chosen now, CIRCFLOW_ALGORITHM_*. It is never BY_UX, but the algorithm that BY_UX has
    /// chosen.
    pub algorithm: u32,
    /// Client: legs that launches_max and legs_max allow to launch now. Exit: 0.
    pub launches_left: u32,
    /// Open streams of the set, if circflow runs it; otherwise 0.
    pub streams: u64,
    /// If circflow runs the set: the time since which no stream is open on it; at first, the time when the set was
    /// made. CIRCFLOW_NEVER while a stream is open, and if circflow does not run the set.
    pub no_streams_since_ns: u64,
    /// The time since which the oldest message held for order has waited, on your clock; CIRCFLOW_NEVER when none is
    /// held. It is exact to two milliseconds. When you did not call for longer than a second, it moves forward so that
    /// only one second of that time counts. The set ends when now - held_since_ns reaches its held_age_max_ns, unless
    /// all held messages are ready and wait for you only.
    pub held_since_ns: u64,
    /// Messages held for sending.
    pub unsent: u64,
    /// Cost in bytes of the messages held for sending.
    pub unsent_bytes: u64,
    /// Cost in bytes of all held messages: for order, for sending, and on the way to legs on other engines. At a cap of
    /// the engine or the hub, the set with the greatest product of these bytes and of the time since total_since_ns has
    /// to go, or one with at least half of it.
    pub total_bytes: u64,
    /// The time since which the oldest of these messages has waited, on your clock; CIRCFLOW_NEVER when there is none.
    pub total_since_ns: u64,
    /// The leg that you have named with circflow_set_use_leg(), while that counts; zero when the algorithm chooses.
    pub named_leg: circflow_circuit_id,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_set_stats {}

/// Tells whether a set is alive: CIRCFLOW_OK if so. It is for a host that fed something, or closed a circuit, and has
/// to know what that has done to the set before it drains. It costs much less than circflow_set_get_stats().
///
/// Own statuses: none. CIRCFLOW_ERR_STALE_ID says that the set has ended; its CIRCFLOW_INSN_ENDED may still wait.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_check(
    engine: *mut circflow_engine,
    set: circflow_set_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.check_set(set.id())) }
}

/// Gives the figures of a set. Set stats->size to sizeof(circflow_set_stats) first.
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
            Algorithm::OnTime => CIRCFLOW_ALGORITHM_ON_TIME.into(),
            Algorithm::Ecf => CIRCFLOW_ALGORITHM_ECF.into(),
            Algorithm::Blest => CIRCFLOW_ALGORITHM_BLEST.into(),
            Algorithm::Otias => CIRCFLOW_ALGORITHM_OTIAS.into(),
            Algorithm::Random => CIRCFLOW_ALGORITHM_RANDOM.into(),
        },
        launches_left: stats.launches_left,
        streams,
        no_streams_since_ns,
        held_since_ns: stats.held_since_ns,
        unsent: stats.unsent.into(),
        unsent_bytes: stats.unsent_bytes,
        total_bytes,
        total_since_ns,
        named_leg: circflow_circuit_id::new(stats.named),
    }
}
