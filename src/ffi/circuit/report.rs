//! How legs stand, as the host's congestion control knows.

use crate::base::Id;
use crate::conflux::Report;
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward::{self, Why};
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::size_t;

/// circflow_leg_report.flags: congestion control is in slow start.
pub const CIRCFLOW_REPORT_SLOW_START: u32 = 1;
/// circflow_leg_report.flags: the channel under the leg takes no more cells for now.
pub const CIRCFLOW_REPORT_CHANNEL_FULL: u32 = 2;

/// How a leg stands, from the host's congestion control. It replaces all that was known; until the next report circflow
/// counts the DATA it is told was sent on top of inflight.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct circflow_leg_report {
    /// The leg.
    pub circuit: circflow_circuit_id,
    /// Congestion window, in cells.
    pub cwnd: u64,
    /// DATA cells sent and not yet acknowledged. Any number; it may be above cwnd.
    pub inflight: u64,
    /// Smoothed round-trip time, in nanoseconds; 0 keeps the one the link handshake measured.
    pub rtt_ns: u64,
    /// DATA cells that one SENDME acknowledges. With so many in flight or more, a leg that goes takes its set with it;
    /// so with 0, each does.
    pub sendme_inc: u32,
    /// CIRCFLOW_REPORT_*, or-ed together.
    pub flags: u32,
}

/// Reports how legs stand. Call it whenever your congestion control or a channel changes something: a SENDME came, a
/// channel is full or has room again. A leg that was never reported has no window and gets no DATA: report each once
/// it is linked. If the set waits for room and now has it, CIRCFLOW_INSN_MAY_SEND is queued. Drain before you report: a
/// message that was held for padding and waits in the instruction queue is in flight for circflow, and not yet for you.
///
/// @param reports       Applied in order. The first that names no leg ends the call; those before it stand. An unknown
///                      flag in any of them refuses all.
/// @param report_count  How many.
///
/// Own statuses: CIRCFLOW_ERR_INVALID for an unknown flag; CIRCFLOW_ERR_NOT_A_LEG; CIRCFLOW_ERR_IS_RUN: circflow knows
/// how it stands; CIRCFLOW_ERR_CLOSING.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_leg_update(
    engine: *mut circflow_engine,
    now_ns: u64,
    reports: *const circflow_leg_report,
    report_count: size_t,
) -> circflow_status {
    // SAFETY: so much is there, by the contract of this floor.
    let Some(reports) = (unsafe { inward::slice(reports, report_count) }) else {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let news = self::reports(reports).map_err(|why| core.invalid(why))?;
            core.report_all(core.time(now_ns), news)
        })
    }
}

/// Reports, if none has a flag that nobody knows.
#[inline(always)]
pub(in crate::ffi) fn reports(
    reports: &[circflow_leg_report],
) -> Result<impl Iterator<Item = (Id, Report)> + Clone + '_, Why> {
    let known = CIRCFLOW_REPORT_SLOW_START | CIRCFLOW_REPORT_CHANNEL_FULL;
    if reports.iter().any(|report| report.flags & !known != 0) {
        return Err("a report has an unknown flag");
    }
    Ok(reports.iter().map(|report| (report.circuit.id(), news(report))))
}

#[inline(always)]
fn news(report: &circflow_leg_report) -> Report {
    Report {
        cwnd: report.cwnd,
        inflight: report.inflight,
        rtt: report.rtt_ns,
        sendme_inc: report.sendme_inc,
        slow_start: report.flags & CIRCFLOW_REPORT_SLOW_START != 0,
        blocked: report.flags & CIRCFLOW_REPORT_CHANNEL_FULL != 0,
    }
}
