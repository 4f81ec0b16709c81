//! Which two sets are the ends of one tunnel, as far as their times tell.

use super::census::{Census, Key, SetTotals};
use std::collections::BTreeMap;

/// One end learns of the end of the other when what is on its way has come: so much later at most, in ns.
const ENDS_APART_MAX: u64 = 2_000_000_000;

/// The other end of each set that has a known one.
///
/// A set that a peer opened is the other end of one that a host opened if its LINK came while that one, and no other,
/// was linking, and no other LINK came then; and if both end together. Of many sets that link at once, nobody can tell.
pub fn pairs(census: &Census) -> BTreeMap<Key, Key> {
    let mut accepted: Vec<(u64, Key)> = opened(census, true).collect();
    accepted.sort_unstable();
    let before = |time: u64| accepted.partition_point(|(at, _)| *at < time);
    let linking = opened(census, false).filter_map(|(from, key)| {
        let usable = census.sets[&key].usable?;
        Some((key, before(from)..before(usable.saturating_add(1))))
    });
    let linking: Vec<_> = linking.filter(|(_, there)| !there.is_empty()).collect();
    // For each LINK that came, how many were linking then: so many more from here on, and so many fewer.
    let mut changes = vec![0i64; accepted.len() + 1];
    for (_, there) in &linking {
        changes[there.start] += 1;
        changes[there.end] -= 1;
    }
    let mut now = 0;
    let claims: Vec<i64> = changes
        .iter()
        .map(|change| {
            now += change;
            now
        })
        .collect();
    let alone = linking.iter().filter(|(_, there)| there.len() == 1 && claims[there.start] == 1);
    let found = alone.map(|(key, there)| (*key, accepted[there.start].1));
    let is_pair = |(key, other): &(Key, Key)| {
        let [one, two] = [key, other].map(|key| end(&census.sets[key]));
        key.0 != other.0 && one.abs_diff(two) <= ENDS_APART_MAX
    };
    found.filter(is_pair).flat_map(|(key, other)| [(key, other), (other, key)]).collect()
}

/// When each set was opened, of those by a peer or by the host.
fn opened(census: &Census, by_peer: bool) -> impl Iterator<Item = (u64, Key)> + '_ {
    let sets = census.sets.iter().filter(move |(_, set)| set.by_peer == by_peer);
    sets.filter_map(|(key, set)| Some((set.opened?, *key)))
}

fn end(set: &SetTotals) -> u64 {
    set.ended.map_or(set.seen.last, |(time, _)| time)
}
