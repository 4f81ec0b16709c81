//! One leg of a set, seen from this end.

use super::choice::{Path, UNMEASURED};
use super::handshake::LinkState;
use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use crate::message::Lane;

/// How a leg stands, from the host's congestion control.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Congestion window in cells.
    pub cwnd: u64,
    /// DATA cells in flight.
    pub inflight: u64,
    /// Smoothed round-trip time in nanoseconds, 0 to keep what is known.
    pub rtt: Nanos,
    /// DATA cells that one SENDME acknowledges.
    pub sendme_inc: u32,
    /// Congestion control is in slow start.
    pub slow_start: bool,
    /// The channel takes no more cells.
    pub blocked: bool,
}

/// A leg. A vacant place has no key and is never linked.
#[derive(Debug)]
pub(super) struct Leg {
    /// What the engine calls it; [`Id::NONE`] for a vacant place.
    pub key: Id,
    /// What the host calls it.
    pub tag: u64,
    pub state: LinkState,
    /// A SWITCH came and no message since.
    pub bare: bool,
    pub path: Path,
    /// Releases of the set when padding went out here past a message that another leg will carry; [`NOT_PASSED`] the
    /// first time. (Not an Option: legs of 128 bytes are found by a shift, for every cell.)
    pub passed_by: u64,
    /// The handshake's message has left; before, no answer can come. (Not an Option below: every cell steps over legs.)
    pub asked: bool,
    /// The host, or a reactor, has said how it stands.
    pub is_reported: bool,
    /// Absolute number of the last message sent on it.
    pub sent: u64,
    /// Absolute number of the last message received on it.
    pub received: u64,
    pub lane: Lane,
    pub sendme_inc: u32,
    /// When the handshake runs out of time.
    pub deadline: Nanos,
    /// When the handshake's message left, for the first round-trip time.
    pub asked_at: Nanos,
}

/// A leg is found by a shift.
const _: () = assert!(size_of::<Leg>() == 128);

/// No set releases so much.
pub(super) const NOT_PASSED: u64 = u64::MAX;

impl Leg {
    pub fn new(key: Id, state: LinkState) -> Self {
        let path = Path { linked: state == LinkState::Linked, ..Path::UNKNOWN };
        Leg {
            key,
            tag: 0,
            state,
            bare: false,
            path,
            passed_by: NOT_PASSED,
            asked: false,
            is_reported: false,
            sent: 0,
            received: 0,
            lane: Lane::EMPTY,
            sendme_inc: limits::SENDME_INC_DEFAULT,
            deadline: NEVER,
            asked_at: 0,
        }
    }

    pub fn is_live(&self) -> bool {
        self.key != Id::NONE
    }

    pub fn enter(&mut self, state: LinkState) {
        self.state = state;
        self.path.linked |= state == LinkState::Linked;
    }

    /// The first round-trip time. A clock that stood still measured nothing, and a report that came before knows
    /// better.
    pub fn measured(&mut self, rtt: Nanos) {
        if self.path.rtt == UNMEASURED && rtt != 0 {
            self.path.rtt = rtt;
        }
    }

    pub fn report(&mut self, report: &Report) {
        self.is_reported = true;
        self.path.cwnd = report.cwnd;
        self.path.inflight = report.inflight;
        self.path.blocked = report.blocked;
        self.path.slow_start = report.slow_start;
        self.sendme_inc = report.sendme_inc;
        if report.rtt != 0 {
            self.path.rtt = report.rtt;
        }
    }
}
