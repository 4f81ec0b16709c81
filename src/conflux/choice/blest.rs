//! BLEST, the blocking estimation scheduler: Ferlin, Alay, Mehani and Boreli, "BLEST: Blocking estimation-based MPTCP
//! scheduler for heterogeneous networks", IFIP Networking 2016.
//!
//! The fastest leg carries all while it has room. When it is full, a cell may go on the fastest leg with room only if
//! it blocks nothing until it is acknowledged, a round trip `s` later. In this time the fastest leg, with the round
//! trip `f` and a window that grows by one each time, carries `x = (cwnd_f + (s / f - 1) / 2) * s / f` cells. (If `s`
//! is the shorter one, nothing grows.) The cell goes if `lambda * x <= m - (inflight_s + 1)`, where `m` is the room for
//! what is not in order yet.
//!
//! What is adapted to Tor:
//!
//! - TCP's `m` is the send window that all subflows share. Tor has none: the receiver holds what comes too early, and
//!   does not say how much it may hold. The sum of the windows of all legs stands for it. It is all that can be in
//!   flight, and so the most that a receiver should ever have to hold.
//! - TCP sees that the window blocks, and raises `lambda`. Here an acknowledgement of another leg than the fastest that
//!   is later than it was foreseen does so: as long as it is late, the receiver holds what the fastest leg brings.
//!   `lambda` begins with 1 and goes up to 2; each round trip of the fastest leg changes it by a tenth, up if something
//!   is late, else down.
//! - A leg whose acknowledgement is so late that TCP would try again is waited for no longer: TCP takes it for failed.

use super::on_time::{Chosen, Course};
use super::seen::{fast_and_ready, Seen};
use super::{Memo, Path};
use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::conflux::meter::Meter;

/// Lambda is at most so many tenths above 1.
const LAMBDA_MORE_MOST: u64 = 10;

/// The leg for the next message, or when to look again.
pub fn choose<'a>(
    now: Nanos,
    flow: &Course,
    _sending: Option<usize>,
    _sent: u64,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Result<Chosen, Nanos> {
    let seen = legs.filter_map(move |leg| Seen::of(now, leg));
    let Some((fast, slow)) = fast_and_ready(seen.clone()) else { return Err(NEVER) };
    if slow.leg == fast.leg {
        return Ok(fast.grant(u64::MAX, false));
    }
    if fast.late {
        return Ok(slow.grant(u64::MAX, true));
    }
    let room: u64 = seen.map(|one| one.cwnd).sum();
    match room.saturating_sub(slow.inflight).saturating_sub(carries(&fast, &slow, flow.memo.lambda_more)) {
        0 => Err(fast.look_again(now)),
        run => Ok(slow.grant(run, true)),
    }
}

/// Cells that the fast leg carries in a round trip of the slow one, times lambda, rounded up.
fn carries(fast: &Seen, slow: &Seen, lambda_more: u64) -> u64 {
    let [f, s, cwnd] = [fast.rtt, slow.rtt, fast.cwnd].map(u128::from);
    let lambda = u128::from(10 + lambda_more.min(LAMBDA_MORE_MOST));
    // The slow leg is faster only if it is late.
    let cells = s * (2 * f * cwnd + s.saturating_sub(f)) * lambda;
    u64::try_from(cells.div_ceil(20 * f * f)).unwrap_or(u64::MAX)
}

/// Changes lambda by what was seen in the last round trip of the fastest leg.
pub fn adapt<'a>(
    now: Nanos,
    memo: &Memo,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Memo {
    let seen = legs.filter_map(move |leg| Seen::of(now, leg));
    let Some(fast) = seen.clone().min_by_key(Seen::order) else { return *memo };
    if now < memo.adapted_at.saturating_add(fast.rtt) {
        return *memo;
    }
    let is_blocked = seen.clone().any(|one| one.leg != fast.leg && one.overdue);
    let more = memo.lambda_more.min(LAMBDA_MORE_MOST);
    let lambda_more = if is_blocked { (more + 1).min(LAMBDA_MORE_MOST) } else { more.saturating_sub(1) };
    Memo { lambda_more, adapted_at: now, ..*memo }
}
