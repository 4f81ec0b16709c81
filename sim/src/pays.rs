//! Who pays when an engine holds as much as it may: of its sets the one that holds the most bytes for the longest time.

use crate::plan::MS;
use crate::tally::N;
use crate::world::World;
use circflow::base::limits::VICTIM_SHARE;
use circflow::base::{Id, Nanos};

/// What a set holds.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    id: Id,
    bytes: u64,
    since: Nanos,
}

/// A set that went with a feed, and those that stayed.
#[derive(Debug)]
pub struct Gone {
    at: Nanos,
    who: Holder,
    others: Vec<Holder>,
}

/// A message more, for whose sake somebody had to go.
const MESSAGE: u64 = 536;

impl World {
    /// Sets of a node and what they hold, where a cap is in reach.
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

    /// Remembers which of them went with a feed. Why, the engine has yet to say.
    pub fn who_went(&mut self, node: usize, before: Vec<Holder>) {
        let engine = &self.nodes[node].engine;
        let (others, gone): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|holder| engine.set_stats(holder.id).is_ok());
        let at = self.now;
        let gone = gone.into_iter().map(|who| Gone { at, who, others: others.clone() });
        self.nodes[node].gone.extend(gone);
    }

    /// A set ended as its engine holds as much as it may.
    pub fn check_victim(&mut self, node: usize, id: Id) {
        let gone = &mut self.nodes[node].gone;
        let Some(index) = gone.iter().position(|gone| gone.who.id == id) else { return };
        let Gone { at, who, others } = gone.swap_remove(index);
        let product = |bytes: u64, age: Nanos| u128::from(bytes) * u128::from(age);
        let age = |holder: &Holder| at.saturating_sub(holder.since);
        // Ages are known to a millisecond or so. Sets tell of what they hold in steps, and the book of sets, too: what
        // was compared is half of it at least.
        let worst = product(who.bytes + MESSAGE, age(&who) + 4 * MS) * 2;
        let holding = others.iter().filter(|other| other.bytes > 0);
        // Edges hold too, and make the share smaller.
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
