//! A leg as the algorithms from papers see it.

use super::on_time::Chosen;
use super::{Path, UNMEASURED};
use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::conflux::meter::Meter;

/// Larger numbers of cells count as this, so that nothing overflows.
const CELLS_MOST: u64 = 1 << 32;
/// Longer times count as this (18 minutes): also that of a leg that was never measured.
const TIME_MOST: Nanos = 1 << 40;
/// So much later than it was due an acknowledgement may come at least, and at most. The bounds that TCP has for a
/// retransmission, in whose place this stands.
const PATIENCE: (Nanos, Nanos) = (200_000_000, 60_000_000_000);
/// The same for a leg whose round trip is not known.
const PATIENCE_UNMEASURED: Nanos = 1_000_000_000;
/// When a choice that waits is looked at again: after a quarter of the round trip, within these bounds.
const LOOK: (Nanos, Nanos) = (1_000_000, 1_000_000_000);

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub leg: usize,
    /// The round trip that the leg reports, queues included. At least 1.
    pub rtt: Nanos,
    /// How far the round trip is above the lowest.
    pub above: Nanos,
    /// At least 1.
    pub cwnd: u64,
    pub inflight: u64,
    /// Cells for one SENDME, at least 1.
    pub sendme_inc: u64,
    pub ready: bool,
    /// An acknowledgement is so late that nobody should wait for it. (TCP would have tried again.)
    pub late: bool,
    /// An acknowledgement is later than it was foreseen.
    pub overdue: bool,
}

impl Seen {
    /// A leg that may be chosen or waited for. Each leg that is ready is one.
    pub fn of(now: Nanos, (leg, path, meter, sendme_inc): (usize, &Path, &Meter, u64)) -> Option<Seen> {
        // A full channel soon has room again: if all that was sent has arrived, it lasts.
        if !path.linked || path.padded || path.cwnd == 0 || (path.blocked && meter.is_idle(now, path.inflight)) {
            return None;
        }
        let sendme_inc = sendme_inc.clamp(1, CELLS_MOST);
        let rtt = path.rtt.clamp(1, TIME_MOST);
        let patience = match path.rtt {
            UNMEASURED => PATIENCE_UNMEASURED,
            _ => (2 * rtt).clamp(PATIENCE.0, PATIENCE.1),
        };
        // An acknowledgement is due only if so many are in flight; where a window holds fewer, it has to open anyway.
        let owes = path.inflight >= sendme_inc.min(path.cwnd);
        let due = meter.anchor.saturating_add(meter.half()).saturating_add(sendme_inc.saturating_mul(meter.pace));
        Some(Seen {
            leg,
            rtt,
            above: rtt.saturating_sub(meter.base),
            cwnd: path.cwnd.min(CELLS_MOST),
            inflight: path.inflight.min(CELLS_MOST),
            sendme_inc,
            ready: path.ready(),
            late: owes && now > due.saturating_add(patience),
            overdue: owes && meter.pace != 0 && now > due.saturating_add(meter.half() / 4),
        })
    }

    /// The least is the leg to send on first: the fastest of those that are not late. Of equal legs the first.
    pub fn order(&self) -> (bool, Nanos, usize) {
        (self.late, self.rtt, self.leg)
    }

    /// When a choice that waits for this leg is looked at again.
    pub fn look_again(&self, now: Nanos) -> Nanos {
        now.saturating_add((self.rtt / 4).clamp(LOOK.0, LOOK.1)).min(NEVER - 1)
    }

    /// Grants the leg for so many messages at most.
    pub fn grant(&self, run: u64, lends: bool) -> Chosen {
        let room = self.cwnd.saturating_sub(self.inflight);
        Chosen { leg: self.leg, run: room.min(run).max(1), lends }
    }
}

/// The fastest leg, and the fastest with room. The same for most messages.
pub(super) fn fast_and_ready(legs: impl Iterator<Item = Seen> + Clone) -> Option<(Seen, Seen)> {
    let fast = legs.clone().min_by_key(Seen::order)?;
    let ready = if fast.ready { fast } else { legs.filter(|one| one.ready).min_by_key(Seen::order)? };
    Some((fast, ready))
}
