//! Figures of a circuit that circflow runs.

use crate::engine::{CircuitStats, EdgeStats};
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::sized;
use crate::ffi::status::circflow_status;
use libc::size_t;

/// Figures of one edge of a circuit: the place where cells leave it for a channel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_edge_stats {
    /// Cells that left, at once or after a wait.
    pub passed: u64,
    /// Cells that wait now.
    pub waiting: u32,
    /// The most cells that ever waited.
    pub waiting_peak: u32,
    /// 1 when its channel takes cells.
    pub writable: u32,
    /// 1 between CIRCFLOW_INSN_PAUSE_FEED and CIRCFLOW_INSN_UNPAUSE_FEED.
    pub paused: u32,
}

/// Figures of a circuit that circflow runs. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_circuit_stats {
    /// sizeof(circflow_circuit_stats) as your compiler saw it.
    pub size: size_t,
    /// Congestion window towards the join point, in cells; 0 before the first DATA.
    pub cwnd: u64,
    /// DATA cells sent and not acknowledged.
    pub inflight: u64,
    /// Smoothed round-trip time in nanoseconds; 0 before the first was measured.
    pub rtt_ns: u64,
    /// 1 in slow start.
    pub slow_start: u32,
    /// Open streams of the circuit itself; those of its set do not count.
    pub streams: u32,
    /// The edge towards the client; at a client, towards the first relay.
    pub back: circflow_edge_stats,
    /// The edge towards the next relay.
    pub next: circflow_edge_stats,
}

// SAFETY: repr(C), size first, integers and structs of integers.
unsafe impl sized::Growing for circflow_circuit_stats {}

/// Gives the figures of a circuit that circflow runs. Set stats->size to sizeof(circflow_circuit_stats) first.
///
/// Own statuses: CIRCFLOW_ERR_NOT_RUN: circflow does not run it; for a leg use circflow_leg_get_stats().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_get_stats(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    stats: *mut circflow_circuit_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter_to_write(engine, stats, |core| Ok(circuit_stats(&core.circuit_stats(circuit.id())?))) }
}

pub(super) fn circuit_stats(stats: &CircuitStats) -> circflow_circuit_stats {
    circflow_circuit_stats {
        size: size_of::<circflow_circuit_stats>(),
        cwnd: stats.cwnd,
        inflight: stats.inflight,
        rtt_ns: stats.rtt,
        slow_start: u32::from(stats.slow_start),
        streams: stats.streams,
        back: edge_stats(&stats.edges[0]),
        next: edge_stats(&stats.edges[1]),
    }
}

fn edge_stats(stats: &EdgeStats) -> circflow_edge_stats {
    circflow_edge_stats {
        passed: stats.passed,
        waiting: stats.waiting,
        waiting_peak: stats.waiting_peak,
        writable: u32::from(stats.writable),
        paused: u32::from(stats.paused),
    }
}
