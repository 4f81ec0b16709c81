//! What the page draws: the largest sets and circuits, with as many buckets as fit into a page of some megabytes.

use super::census::{Census, CircuitTotals, Key};
use super::circuit_plot::HOPS_MAX;
use super::set_plot::LEGS_MAX;

/// More sets are listed and not drawn.
pub const SETS_MAX: usize = 12;
/// More circuits are listed and not drawn.
pub const CIRCUITS_MAX: usize = 12;
/// The most buckets of a section: about as many as a wide screen has points.
const BUCKETS_MAX: usize = 2000;
const BUCKETS_MIN: usize = 100;
/// Values of all lines of a page. A value takes some five bytes.
const VALUES_MAX: usize = 700_000;

/// What is drawn.
pub struct Plan {
    /// In the order of the page: by their first event.
    pub sets: Vec<Key>,
    pub circuits: Vec<Key>,
    pub sets_left_out: Vec<Key>,
    pub circuits_left_out: usize,
    pub buckets: usize,
}

impl Plan {
    pub fn new(census: &Census) -> Plan {
        let mut sets: Vec<Key> = census.sets.keys().copied().collect();
        sets.sort_by_key(|key| (std::cmp::Reverse(census.sets[key].seen.events), *key));
        let sets_left_out = sets.split_off(sets.len().min(SETS_MAX));
        let mut circuits: Vec<(u64, Key)> =
            census.circuits.iter().map(|(key, totals)| (weight(census, *key, totals), *key)).collect();
        circuits.retain(|(weight, _)| *weight > 0);
        circuits.sort_by_key(|(weight, key)| (std::cmp::Reverse(*weight), *key));
        let circuits_left_out = circuits.len().saturating_sub(CIRCUITS_MAX);
        let mut circuits: Vec<Key> = circuits.into_iter().take(CIRCUITS_MAX).map(|(_, key)| key).collect();
        sets.sort_by_key(|key| (census.sets[key].seen.first, *key));
        circuits.sort_by_key(|key| (census.circuits[key].seen.first, *key));
        let lines: usize = sets.iter().map(|key| 2 + 8 * census.sets[key].legs.len().min(LEGS_MAX)).sum();
        let lines: usize = lines + circuits.iter().map(|key| lines_of(census, *key)).sum::<usize>();
        let buckets = (VALUES_MAX / lines.max(1)).clamp(BUCKETS_MIN, BUCKETS_MAX);
        Plan { sets, circuits, sets_left_out, circuits_left_out, buckets }
    }
}

/// Events that only a section of the circuit's own can draw: a leg's windows are drawn with its set.
fn weight(census: &Census, key: Key, totals: &CircuitTotals) -> u64 {
    let own = totals.padding_events + totals.edge_events;
    if census.set_of(key).is_some() {
        return own;
    }
    let windows: u64 = totals.windows.values().map(|window| window.rtt().times.max(1)).sum();
    own + windows + census.owners.get(&key).map_or(0, |streams| streams.seen.events)
}

fn lines_of(census: &Census, key: Key) -> usize {
    let totals = &census.circuits[&key];
    2 + 5 * totals.windows.len().min(HOPS_MAX) + 5 * totals.padders.len().min(HOPS_MAX)
}
