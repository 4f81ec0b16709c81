//! Hosts that choose legs themselves: on sets that circflow runs they name one leg after the other, and none in the end.

use crate::plan::MS;
use crate::tally::N;
use crate::world::{trace, Event, World};
use circflow::base::Id;
use circflow::engine::{Blocked, Error, Misuse, Verdict};

/// How often a host names a leg at most. Then it gives the choice back, so that the world comes to rest.
const STEPS: u64 = 24;

impl World {
    pub fn draw_names(&mut self) {
        if !self.names.once_in(4) {
            return;
        }
        self.tally.add(N::NameSeeds, 1);
        for set in 0..self.sets.len() {
            for end in 0..2 {
                let at = self.now + self.names.range(50, 800) * MS;
                let steps = self.names.below(STEPS);
                self.at(at, Event::Name(set, end, steps));
            }
        }
    }

    /// One end of a set names some leg of it, which may not be linked yet, or be gone.
    pub fn name_leg(&mut self, set: usize, end: usize, steps: u64) {
        let (id, node) = (self.sets[set].ends[end].id, self.sets[set].nodes[end]);
        let legs = self.sets[set].legs.clone();
        if id != Id::NONE && !legs.is_empty() {
            let circ = self.names.pick(&legs);
            let state = &self.circs[circ];
            let leg = state.ids[if end == 0 { 0 } else { state.last }];
            let given_back = steps == 0 || self.names.once_in(6);
            self.name_one(node, id, if given_back { Id::NONE } else { leg });
        }
        if steps > 0 {
            let at = self.now + self.names.range(1, 120) * MS;
            self.at(at, Event::Name(set, end, steps - 1));
        }
    }

    fn name_one(&mut self, node: usize, id: Id, leg: Id) {
        let engine = &mut self.nodes[node].engine;
        let named = |stats: circflow::conflux::SetStats| stats.named;
        let before = engine.set_stats(id).map(named);
        let said = engine.name_leg(id, leg);
        let after = engine.set_stats(id).map(named);
        trace!(self, "node {node}: set {id:?} names {leg:?}: {said:?}");
        self.touch(node);
        match said {
            Ok(()) => {
                assert_eq!(after, Ok(leg), "the leg that is named counts");
                self.tally.add(N::LegsNamed, u64::from(leg != Id::NONE));
            }
            Err(
                Error::Blocked(Blocked::NotUsable | Blocked::Gone)
                | Error::Misuse(Misuse::StaleId | Misuse::ForeignId | Misuse::NotALeg),
            ) => {
                assert_eq!(after, before, "a leg that is refused changes nothing");
                self.tally.add(N::NamesRefused, 1);
            }
            Err(other) => panic!("a leg is named, or is no linked leg of the set: {other:?}"),
        }
    }

    /// Checks that a message of a set went on the leg that its host has named.
    pub fn check_named(&mut self, set: usize, end: usize, verdict: &Verdict) {
        let (id, node) = (self.sets[set].ends[end].id, self.sets[set].nodes[end]);
        let Ok(stats) = self.nodes[node].engine.set_stats(id) else { return };
        if stats.named != Id::NONE {
            assert_eq!(stats.named, verdict.circuit, "a message goes on the leg that is named");
            self.tally.add(N::SentNamed, 1);
        }
    }
}
