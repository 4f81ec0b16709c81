//! ECF, earliest completion first: Lim, Nahum, Towsley and Gibbens, "ECF: An MPTCP path scheduler to manage
//! heterogeneous paths", CoNEXT 2017.
//!
//! The fastest leg carries all while it has room. When it is full, the fastest leg with room is asked: if the fastest
//! one would finish what waits earlier, although it has to wait for room first, DATA waits for it. With `k` cells that
//! wait, round trips `f` and `s`, windows `cwnd_f` and `cwnd_s`, and `d`, the larger spread of the two, it waits if
//!
//! - `(1 + k / cwnd_f) * f < (1 + b) * (s + d)`, where `b` is 1/4 if it waited before, else 0 (this is the hysteresis),
//! - and `k / cwnd_s * s >= 2 * f + d`: the rest would keep the slow leg busy for long.
//!
//! What is adapted to Tor:
//!
//! - How much waits is known to the host alone. Where it is not known, `k` is one window of the fastest leg.
//! - The spread of a round trip is not measured. A quarter of what it is above the lowest stands for it, about that of
//!   a queue that is empty as often as full.
//! - Any message on another leg ends the hysteresis. In the paper only the first rule does.
//! - A leg whose acknowledgement is so late that TCP would try again is waited for no longer: TCP takes it for failed.

use super::on_time::{Chosen, Course};
use super::seen::{fast_and_ready, Seen};
use super::Path;
use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::conflux::meter::Meter;

/// More cells that wait count as this.
const QUEUE_MOST: u64 = 1 << 32;

/// The leg for the next message, or when to look again.
pub fn choose<'a>(
    now: Nanos,
    flow: &Course,
    _sending: Option<usize>,
    sent: u64,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Result<Chosen, Nanos> {
    let seen = legs.filter_map(move |leg| Seen::of(now, leg));
    let Some((fast, slow)) = fast_and_ready(seen) else { return Err(NEVER) };
    let known = flow.memo.queue_end.saturating_sub(sent).min(QUEUE_MOST);
    if slow.leg == fast.leg {
        return Ok(fast.grant(u64::MAX, false));
    }
    let queue = if known == 0 { fast.cwnd } else { known };
    if !fast.late && finishes_earlier(&fast, &slow, queue, flow.memo.waits) {
        return Err(fast.look_again(now));
    }
    // The less waits, the sooner the answer is another one.
    Ok(slow.grant(if known == 0 { u64::MAX } else { 1 }, true))
}

/// True when the full, fast leg would be done with so many cells before the slow one.
fn finishes_earlier(fast: &Seen, slow: &Seen, queue: u64, waited: bool) -> bool {
    let [f, s, cwnd_f, cwnd_s, k] = [fast.rtt, slow.rtt, fast.cwnd, slow.cwnd, queue].map(u128::from);
    let spread = u128::from(fast.above.max(slow.above) / 4);
    let hysteresis = 4 + u128::from(waited);
    4 * f * (cwnd_f + k) < hysteresis * (s + spread) * cwnd_f && k * s >= (2 * f + spread) * cwnd_s
}
