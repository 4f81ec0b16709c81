//! One leg of a set, as this end sees it.

use super::choice::{Path, UNMEASURED};
use super::handshake::LinkState;
use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos, LAYOUT_IS_KNOWN, NEAR};
use crate::message::Lane;
use std::mem::offset_of;

/// State of a leg's congestion control, reported by the host or by the circuit's reactor.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Congestion window in cells.
    pub cwnd: u64,
    /// DATA cells in flight.
    pub inflight: u64,
    /// Smoothed round-trip time in nanoseconds, 0 to keep the last value.
    pub rtt: Nanos,
    /// DATA cells that one SENDME acknowledges.
    pub sendme_inc: u32,
    /// Congestion control is in slow start.
    pub slow_start: bool,
    /// The channel takes no more cells.
    pub blocked: bool,
}

/// A leg. A vacant place has no key and is never linked. What each cell needs comes first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Leg {
    /// Absolute number of the last message received on the leg.
    pub received: u64,
    /// Absolute number of the last message sent on the leg.
    pub sent: u64,
    /// Id of the circuit in the engine; [`Id::NONE`] for a vacant place.
    pub key: Id,
    /// The host's tag of the circuit.
    pub tag: u64,
    pub state: LinkState,
    /// A SWITCH came on the leg, and no message after it.
    pub bare: bool,
    /// LINK or LINKED has left; before that no answer can come. (Not an Option in `asked_at`, for the leg's size.)
    pub asked: bool,
    /// At least one report came.
    pub is_reported: bool,
    pub sendme_inc: u32,
    pub path: Path,
    pub lane: Lane,
    /// Number of messages the set had released when padding last went out here while a message waited for another leg;
    /// [`NOT_PASSED`] before the first time. (Not an Option: that would make the leg larger than 128 bytes.)
    pub passed_by: u64,
    /// When the handshake has to be complete; [`NEVER`] without a limit.
    pub deadline: Nanos,
    /// When LINK or LINKED left: the start of the first round trip.
    pub asked_at: Nanos,
}

/// A power of two, so that a leg's address is found by a shift, for every cell.
const _: () = assert!(!LAYOUT_IS_KNOWN || (size_of::<Leg>() == 128 && offset_of!(Leg, path.cwnd) <= NEAR));

/// `passed_by` of a leg on which padding has passed no message: no set releases that many.
pub(super) const NOT_PASSED: u64 = u64::MAX;

impl Leg {
    /// A place without a leg.
    pub const VACANT: Leg = Leg {
        received: 0,
        sent: 0,
        key: Id::NONE,
        tag: 0,
        state: LinkState::Unlinked,
        bare: false,
        asked: false,
        is_reported: false,
        sendme_inc: limits::SENDME_INC_DEFAULT,
        path: Path::UNKNOWN,
        lane: Lane::EMPTY,
        passed_by: NOT_PASSED,
        deadline: NEVER,
        asked_at: 0,
    };

    pub fn new(key: Id, state: LinkState) -> Self {
        let path = Path { linked: state == LinkState::Linked, ..Path::UNKNOWN };
        Leg { key, state, path, ..Leg::VACANT }
    }

    pub fn is_live(&self) -> bool {
        self.key != Id::NONE
    }

    pub fn enter(&mut self, state: LinkState) {
        self.state = state;
        self.path.linked |= state == LinkState::Linked;
    }

    /// Sets the first round-trip time. A value of 0 (the clock did not move) is ignored, and a value that was reported
    /// before is kept.
    pub fn measured(&mut self, rtt: Nanos) {
        if self.path.rtt == UNMEASURED && rtt != 0 {
            self.path.rtt = rtt;
        }
    }

    /// The number of the next message on the leg, when its turn has come and its successor is not held.
    #[inline(always)]
    pub fn turn(&self, delivered: u64, before_held: u64) -> Option<u64> {
        // Cannot overflow: SWITCH keeps received below NUMBER_MAX, and nobody receives 2^62 messages.
        if !self.state.is_linked() || self.received != delivered {
            return None;
        }
        let number = self.received + 1;
        (number < before_held).then_some(number)
    }

    /// Counts a message that came on the leg.
    #[inline(always)]
    pub fn count_received(&mut self, number: u64) {
        self.received = number;
        self.bare = false;
    }

    /// Counts a SWITCH that came on the leg: `received` is the number of its last message now.
    #[inline(always)]
    pub fn count_switch(&mut self, received: u64) {
        self.received = received;
        self.bare = true;
    }

    /// Counts a message sent on the leg.
    #[inline(always)]
    pub fn count_sent(&mut self, number: u64, data: bool) {
        self.sent = number;
        self.path.inflight = self.path.inflight.saturating_add(data.into());
    }

    #[inline(always)]
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
