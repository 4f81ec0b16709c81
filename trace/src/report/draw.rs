//! The second reading: the buckets of the sets and circuits that are drawn.

use super::bucket::Axis;
use super::census::{Census, Key, SetTotals};
use super::chart::{Maker, Section};
use super::circuit_plot::CircuitPlot;
use super::names::Names;
use super::pairs;
use super::plan::Plan;
use super::set_plot::{SetPlot, LEGS_MAX};
use crate::figures::{count, time};
use crate::file::Entry;
use std::collections::BTreeMap;

/// More streams are not followed at a time.
const STREAMS_MAX: usize = 1 << 16;

pub struct Drawing<'a> {
    census: &'a Census,
    names: &'a Names,
    plan: &'a Plan,
    /// The other end of a set.
    pairs: BTreeMap<Key, Key>,
    sets: BTreeMap<Key, (Maker, SetPlot)>,
    circuits: BTreeMap<Key, (Maker, CircuitPlot)>,
    /// Whose stream it is.
    streams: BTreeMap<Key, Key>,
}

impl<'a> Drawing<'a> {
    pub fn new(census: &'a Census, names: &'a Names, plan: &'a Plan) -> Drawing<'a> {
        let axis = |first, last| Axis::new(census.first, first, last, plan.buckets);
        let sets = plan.sets.iter().map(|key| {
            let set = &census.sets[key];
            let axis = axis(set.seen.first, set.seen.last);
            let legs = set.legs.iter().take(LEGS_MAX).map(|leg| leg.id);
            (*key, (Maker::new(axis, census.first, set.seen.last), SetPlot::new(axis, legs)))
        });
        let circuits = plan.circuits.iter().map(|key| {
            let seen = census.circuits[key].seen;
            let axis = axis(seen.first, seen.last);
            let plot = CircuitPlot::new(axis, census.set_of(*key).is_some());
            (*key, (Maker::new(axis, census.first, seen.last), plot))
        });
        Drawing {
            census,
            names,
            plan,
            pairs: pairs::pairs(census),
            sets: sets.collect(),
            circuits: circuits.collect(),
            streams: BTreeMap::new(),
        }
    }

    /// Takes an event in.
    pub fn see(&mut self, entry: &Entry) {
        let key = |id| (entry.engine, id);
        if let Some(set) = entry.get("set") {
            if let Some((_, plot)) = self.sets.get_mut(&key(set)) {
                plot.see(entry);
            }
        } else if let Some(circuit) = entry.get("circuit").map(key) {
            let is_window = matches!(entry.kind.name, "Reported" | "SendmeReceived");
            let set = self.census.set_of(circuit).filter(|_| is_window);
            if let Some((_, plot)) = set.and_then(|set| self.sets.get_mut(&set)) {
                plot.see_window(entry);
            }
            if let Some((_, plot)) = self.circuits.get_mut(&circuit) {
                plot.see(entry);
            }
        } else if let Some(stream) = entry.get("stream").map(key) {
            self.of_stream(entry, stream);
        }
    }

    fn of_stream(&mut self, entry: &Entry, stream: Key) {
        let owner = entry.get("owner").map(|owner| (entry.engine, owner));
        let Some(owner) = owner.or_else(|| self.streams.get(&stream).copied()) else { return };
        let plot = match (self.sets.get_mut(&owner), self.circuits.get_mut(&owner)) {
            (Some((maker, plot)), _) => Some((maker.axis, &mut plot.streams)),
            (_, Some((maker, plot))) => Some((maker.axis, &mut plot.streams)),
            _ => None,
        };
        let Some((axis, plot)) = plot else { return };
        plot.see(&axis, entry);
        match entry.kind.name {
            "StreamOpened" if self.streams.len() < STREAMS_MAX => drop(self.streams.insert(stream, owner)),
            "StreamEnded" => drop(self.streams.remove(&stream)),
            _ => {}
        }
    }

    /// The sections of the page: sets, then circuits.
    pub fn finish(mut self) -> Vec<Section> {
        let mut sections = Vec::new();
        for key in &self.plan.sets {
            let Some((maker, plot)) = self.sets.remove(key) else { continue };
            let mut section = maker.section(self.set_title(*key), self.set_facts(*key));
            plot.finish(&maker, &mut section);
            sections.push(section);
        }
        for key in &self.plan.circuits {
            let Some((maker, plot)) = self.circuits.remove(key) else { continue };
            let mut section = maker.section(self.circuit_title(*key), self.circuit_facts(*key));
            plot.finish(&maker, &mut section);
            sections.push(section);
        }
        sections
    }

    fn set_title(&self, key: Key) -> String {
        let number = self.names.number(key);
        match (self.pairs.get(&key), self.census.sets[&key].by_peer) {
            (None, _) => format!("Set {number}"),
            (Some(_), false) => format!("Set {number} of engine {}, client end", key.0),
            (Some(_), true) => format!("Set {number} of engine {}, exit end", key.0),
        }
    }

    fn set_facts(&self, key: Key) -> Vec<String> {
        let set: &SetTotals = &self.census.sets[&key];
        let mut facts = vec![
            format!("id {:#x}, engine {}", key.1, key.0),
            count(set.legs.len() as u64, "leg"),
            format!("{} in", count(set.cells_in(), "cell")),
            format!("{} out", count(set.cells_out(), "cell")),
        ];
        if set.opened.is_some() {
            facts.push(if set.by_peer { "opened by a peer" } else { "opened by the host" }.to_owned());
        }
        if let Some(other) = self.pairs.get(&key) {
            facts.push(format!("the other end is set {}", self.names.number(*other)));
        }
        if let Some(streams) = self.census.owners.get(&key) {
            facts.push(count(streams.opened, "stream"));
        }
        if set.blocked_ns > 0 {
            facts.push(format!("blocked for {}", time(set.blocked_ns)));
        }
        if let Some((_, cause)) = set.ended {
            facts.push(format!("ended: {}", self.names.status(cause)));
        }
        if set.legs.len() > LEGS_MAX {
            facts.push(format!("the first {LEGS_MAX} legs are drawn"));
        }
        facts
    }

    fn circuit_title(&self, key: Key) -> String {
        let name = self.names.of(key.0, key.1);
        match self.census.set_of(key) {
            Some(_) => format!("Circuit {:#x}, {name}", key.1),
            None => format!("Circuit {:#x}", key.1),
        }
    }

    fn circuit_facts(&self, key: Key) -> Vec<String> {
        let circuit = &self.census.circuits[&key];
        let mut facts = vec![format!("engine {}", key.0)];
        if !circuit.padders.is_empty() {
            facts.push(format!("padders at {}", count(circuit.padders.len() as u64, "hop")));
        }
        if circuit.edge_events > 0 {
            facts.push(format!(
                "at most {} waited, {}",
                count(circuit.waiting_max, "cell"),
                count(circuit.pauses, "pause")
            ));
        }
        facts
    }
}
