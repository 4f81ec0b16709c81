//! Checks which set is closed when an engine reaches its cap on held bytes: the set with the most bytes held longest.

use crate::plan::MS;
use crate::tally::N;
use crate::world::World;
use circflow::base::limits::VICTIM_SHARE;
use circflow::base::{Id, Nanos};

/// The bytes that a set holds, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    id: Id,
    bytes: u64,
    since: Nanos,
}

/// A set that a feed has closed, and the sets that stayed.
#[derive(Debug)]
pub struct Gone {
    at: Nanos,
    who: Holder,
    others: Vec<Holder>,
}

/// Bytes of the new message, for which a set had to be closed.
const MESSAGE: u64 = 536;

impl World {
    /// The sets of a node with what they hold; empty when the cap is far away.
    pub fn who_holds(&mut self, node: usize) -> Vec<Holder> {
        if self.plan.held_max >= 256 << 20 {
            return Vec::new();
        }
        let at = &mut self.nodes[node];
        let held = at.sets.iter().filter_map(|&(id, _)| {
            let (bytes, since) = at.engine.set_total(id)?;
            Some(Holder { id, bytes, since })
        });
        held.collect()
    }

    /// Remembers which sets a feed has closed. The engine tells the reason later.
    pub fn who_went(&mut self, node: usize, before: Vec<Holder>) {
        let engine = &self.nodes[node].engine;
        let (others, gone): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|holder| engine.set_stats(holder.id).is_ok());
        let at = self.now;
        let gone = gone.into_iter().map(|who| Gone { at, who, others: others.clone() });
        self.nodes[node].gone.extend(gone);
    }

    /// Checks a set that ended because its engine holds as much as it may.
    pub fn check_victim(&mut self, node: usize, id: Id) {
        let gone = &mut self.nodes[node].gone;
        let Some(index) = gone.iter().position(|gone| gone.who.id == id) else { return };
        let Gone { at, who, others } = gone.swap_remove(index);
        let product = |bytes: u64, age: Nanos| u128::from(bytes) * u128::from(age);
        let age = |holder: &Holder| at.saturating_sub(holder.since);
        // Ages are known to about a millisecond. The bytes held are noted in steps, twice, so the compared value is at
        // least half of the real one.
        let worst = product(who.bytes + MESSAGE, age(&who) + 4 * MS) * 2;
        let holding = others.iter().filter(|other| other.bytes > 0);
        // Edges hold cells too, and make the set's share smaller.
        let share = self.plan.held_max / (VICTIM_SHARE * (holding.clone().count() as u64 + 1));
        for other in holding.clone().filter(|other| other.bytes / 2 >= share) {
            assert!(
                product(other.bytes, age(other)) <= worst,
                "who holds the most for the longest pays: {who:?}, {other:?}"
            );
        }
        self.tally.add(N::Victims, 1);
        self.tally.add(N::VictimsAmongMany, u64::from(holding.count() > 0));
    }
}
