//! Reports of the host's congestion control about legs.

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
/// circflow_leg_report.flags: the channel of the leg is full.
pub const CIRCFLOW_REPORT_CHANNEL_FULL: u32 = 2;

/// The state of a leg in your congestion control. A report replaces the one before. Until the next report, circflow
/// adds the DATA that is sent to inflight.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct circflow_leg_report {
    /// The leg.
    pub circuit: circflow_circuit_id,
    /// Congestion window, in cells.
    pub cwnd: u64,
    /// DATA cells sent and not acknowledged yet. It may be above cwnd.
    pub inflight: u64,
    /// Smoothed round-trip time, in nanoseconds. 0 keeps the one that the link handshake measured.
    pub rtt_ns: u64,
    /// DATA cells that one SENDME acknowledges. If a leg is lost while so many or more are in flight, its set ends;
    /// with 0 it always ends.
    pub sendme_inc: u32,
    /// CIRCFLOW_REPORT_*, or-ed together.
    pub flags: u32,
}

/// Reports the state of legs. Call it whenever it changes: a SENDME came, or a channel is full or has room again. A leg
/// that was never reported has no window and gets no DATA: report each leg once it is linked. If the set waits for room
/// and has it now, CIRCFLOW_INSN_MAY_SEND is queued. Drain before you report: a held message that waits as an
/// instruction is in flight for circflow, but not for you yet.
///
/// @param reports       The reports, applied in order. The first one that names no leg ends the call; those before it
///                      stay applied. An unknown flag in any report refuses all of them.
/// @param report_count  How many.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: an unknown flag. CIRCFLOW_ERR_NOT_A_LEG. CIRCFLOW_ERR_IS_RUN: circflow does
/// congestion control of this leg itself. CIRCFLOW_ERR_CLOSING.
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
pub(in crate::ffi) fn reports(reports: &[circflow_leg_report]) -> Result<impl Reports<'_>, Why> {
    if !are_known(reports) {
        return Err("a report has an unknown flag");
    }
    Ok(news_of(reports))
}

/// Reports, each with its leg, in order.
pub(in crate::ffi) trait Reports<'r>: Iterator<Item = (Id, &'r circflow_leg_report)> + Clone {}

impl<'r, I: Iterator<Item = (Id, &'r circflow_leg_report)> + Clone> Reports<'r> for I {}

/// True when no report has a flag that nobody knows.
#[inline(always)]
pub(in crate::ffi) fn are_known(reports: &[circflow_leg_report]) -> bool {
    let known = CIRCFLOW_REPORT_SLOW_START | CIRCFLOW_REPORT_CHANNEL_FULL;
    reports.iter().all(|report| report.flags & !known == 0)
}

/// [`reports`] that [are known](are_known).
#[inline(always)]
pub(in crate::ffi) fn news_of(reports: &[circflow_leg_report]) -> impl Reports<'_> {
    reports.iter().map(|report| (report.circuit.id(), report))
}

impl From<&circflow_leg_report> for Report {
    #[inline(always)]
    fn from(report: &circflow_leg_report) -> Report {
        Report {
            cwnd: report.cwnd,
            inflight: report.inflight,
            rtt: report.rtt_ns,
            sendme_inc: report.sendme_inc,
            slow_start: report.flags & CIRCFLOW_REPORT_SLOW_START != 0,
            blocked: report.flags & CIRCFLOW_REPORT_CHANNEL_FULL != 0,
        }
    }
}
