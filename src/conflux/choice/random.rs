//! Random: legs are drawn, each for a run. This is for research on traffic analysis (prop329 §4.3), not for speed.
//!
//! An observer of one leg sees a part of the traffic that it cannot foretell. The idea of runs is that of the batched
//! weighted random of De la Cadena et al., "TrafficSliver: Fighting website fingerprinting attacks with traffic
//! splitting", CCS 2020: 50 to 70 cells on a leg, so that each leg has few cells of a site. There the weights are drawn
//! too. Here the weight of a leg is its window divided by its round trip, the rate that it can have, so that a leg is
//! not asked for more than it carries.
//!
//! A run ends early when its leg is not ready. Only a leg that is ready is drawn, so DATA waits only while none is.
//! What is drawn depends on a key and the number of the message alone: the same set asked twice gives the same answer.

use super::on_time::{Chosen, Course};
use super::Path;
use crate::base::time::NEVER;
use crate::base::Nanos;
use crate::conflux::meter::Meter;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fmt;
use std::hash::Hasher;

/// Messages in a run, at least and at most.
const RUN: (u64, u64) = (50, 70);
/// Larger windows count as this.
const CELLS_MOST: u64 = 1 << 32;
/// Weights are so much larger than cells in a nanosecond, which is less than one. The sum of 16 of them has 64 bits.
const SCALE: u32 = 28;

/// The key of what is drawn. It is not shown.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawKey(pub [u64; 2]);

impl fmt::Debug for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawKey(..)")
    }
}

impl DrawKey {
    /// A key made from a secret, another one for each end.
    pub fn of(secret: &[u8], end: u8) -> DrawKey {
        let mut hash = SipHasher13::new();
        hash.write(secret);
        hash.write_u8(end);
        let hash = hash.finish128();
        DrawKey([hash.h1, hash.h2])
    }

    /// Two numbers drawn for a message.
    fn draw(self, message: u64) -> (u64, u64) {
        let DrawKey([first, second]) = self;
        let mut hash = SipHasher13::new_with_keys(first, second);
        hash.write_u64(message);
        let hash = hash.finish128();
        (hash.h1, hash.h2)
    }
}

/// The leg for the next message, or when to look again: only if no leg is ready, when a report will come.
pub fn choose<'a>(
    _now: Nanos,
    flow: &Course,
    sending: Option<usize>,
    sent: u64,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Result<Chosen, Nanos> {
    let ready = legs.filter(|(_, path, ..)| path.ready()).map(|(leg, path, ..)| (leg, path));
    // A longer rest is none of ours: another algorithm chose, or there was no choice.
    let rest = Some(flow.until.saturating_sub(sent)).filter(|rest| (1..RUN.1).contains(rest));
    if let Some(rest) = rest {
        if let Some((leg, path)) = ready.clone().find(|&(leg, _)| sending == Some(leg)) {
            return Ok(grant(leg, path, rest));
        }
    }
    let (place, length) = flow.memo.key.draw(sent);
    let sum: u64 = ready.clone().map(|(_, path)| weight(path)).fold(0, u64::saturating_add);
    // As many of the weights as the number is of all numbers: below `sum`.
    let mut place = ((u128::from(place) * u128::from(sum)) >> 64) as u64;
    let mut drawn = None;
    for (leg, path) in ready {
        drawn = Some((leg, path));
        match place.checked_sub(weight(path)) {
            Some(rest) => place = rest,
            None => break,
        }
    }
    let (leg, path) = drawn.ok_or(NEVER)?;
    Ok(grant(leg, path, RUN.0 + length % (RUN.1 - RUN.0 + 1)))
}

fn weight(path: &Path) -> u64 {
    ((path.cwnd.min(CELLS_MOST) << SCALE) / path.rtt.max(1)).max(1)
}

fn grant(leg: usize, path: &Path, run: u64) -> Chosen {
    Chosen { leg, run: run.min(path.cwnd - path.inflight), lends: false }
}
