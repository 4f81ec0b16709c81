//! OTIAS, out-of-order transmission for in-order arrival scheduling: Yang, Wang and Amer, WAINA 2014.
//!
//! For each leg it is foreseen when the next cell arrives: the wait for room, and half a round trip. The cell goes on
//! the leg where that is earliest, or waits for it. Of equal legs the first wins.
//!
//! What is adapted to Tor:
//!
//! - In the paper a cell waits in the queue of its subflow. Here one waits at most, and for any leg: numbers are given
//!   in the order of sending, so a cell that was put aside for a leg would stop all that follow it.
//! - A window opens by as many cells as one SENDME acknowledges. So the wait of a full leg is this share of its round
//!   trip: `sendme_inc / cwnd`, one round trip at most. A leg whose channel is full waits as long.
//! - A leg whose acknowledgement is so late that TCP would try again is taken only if all are: TCP takes it for failed.

use super::on_time::{Chosen, Course};
use super::seen::Seen;
use super::Path;
use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::conflux::meter::Meter;

/// The leg for the next message, or when to look again.
pub fn choose<'a>(
    now: Nanos,
    _flow: &Course,
    _sending: Option<usize>,
    _sent: u64,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Result<Chosen, Nanos> {
    let seen = legs.filter_map(move |leg| Seen::of(now, leg));
    let order = |one: &Seen| (one.late, arrives(one), one.leg);
    let Some(best) = seen.clone().min_by_key(order) else { return Err(NEVER) };
    if best.ready {
        return Ok(best.grant(u64::MAX, false));
    }
    match seen.filter(|one| one.ready).min_by_key(order) {
        None => Err(NEVER),
        // The best is late, so all are.
        Some(other) if best.late => Ok(other.grant(u64::MAX, true)),
        Some(_) => Err(best.look_again(now)),
    }
}

/// After twice this time the next cell would arrive on the leg.
fn arrives(one: &Seen) -> u128 {
    let rtt = u128::from(one.rtt);
    if one.ready {
        return rtt;
    }
    let opens_by = u128::from(one.sendme_inc.min(one.cwnd));
    rtt + 2 * rtt * opens_by / u128::from(one.cwnd)
}
