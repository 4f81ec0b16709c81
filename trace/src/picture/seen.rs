//! What is drawn: the file is read once to see which sets carried the most, and once to count.

use crate::error::Error;
use crate::file::{Entry, Facts, Trace};
use std::collections::{BTreeMap, HashMap};

/// Columns of the picture.
pub const COLUMNS: usize = 272;
/// Legs of a set with a colour of their own; more are counted as the last.
pub const LEGS: usize = 4;
/// A set that carried less than this part of what the largest did is not drawn.
const SHARE: u64 = 10;

/// All that is drawn.
#[derive(Default, Debug)]
pub struct Seen {
    /// Nanoseconds of the whole picture.
    pub span: u64,
    /// What came, or what went where nothing came: messages of multiplexed commands, by leg and column.
    pub messages: [Vec<u64>; LEGS],
    pub switches: Vec<u64>,
    /// The most messages that were held at a time, in each column.
    pub held: Vec<u64>,
    /// True when it is about what came.
    pub is_received: bool,
    /// Stretches of time in which sets carried messages.
    pub stretches: Vec<Stretch>,
}

/// Sets that carried messages at the same time.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Stretch {
    /// From the beginning of the picture, in ns.
    pub from: u64,
    pub until: u64,
    pub sets: u64,
    /// The most legs that a set of it had.
    pub legs: usize,
    pub messages: u64,
    pub switches: u64,
    pub held_peak: u64,
}

/// What a set did, by the first reading.
#[derive(Default)]
struct Set {
    /// Each with its place in the order in which they were linked, or first seen.
    legs: HashMap<u64, usize>,
    ways: [Way; 2],
    held_peak: u64,
}

/// What came, or what went.
#[derive(Clone, Copy, Default)]
struct Way {
    messages: u64,
    switches: u64,
    first: u64,
    last: u64,
}

const CAME: usize = 0;
const WENT: usize = 1;

/// A message of a set, by its way.
fn message(entry: &Entry) -> Option<usize> {
    match entry.kind.name {
        "InOrder" | "Held" => Some(CAME),
        "Sent" => Some(WENT),
        _ => None,
    }
}

fn switch(entry: &Entry) -> Option<usize> {
    match entry.kind.name {
        "SwitchReceived" => Some(CAME),
        "SwitchSent" => Some(WENT),
        _ => None,
    }
}

type Sets = BTreeMap<(u32, u64), Set>;

impl Seen {
    /// Reads a trace.
    pub fn read(path: &str) -> Result<Seen, Error> {
        let mut sets = Sets::new();
        let facts = each(path, None, |entry, set| sets.entry((entry.engine, set)).or_default().see(entry))?;
        let way = if sets.values().any(|set| set.is_about(CAME)) { CAME } else { WENT };
        let most = sets.values().filter(|set| set.is_about(way)).map(|set| set.ways[way].messages).max().unwrap_or(0);
        sets.retain(|_, set| set.is_about(way) && set.ways[way].messages >= most.div_ceil(SHARE));
        if most == 0 || sets.is_empty() {
            return Err(Error::Wrong(format!("{path}: no message of a set is in the trace: nothing can be drawn")));
        }
        let begin = sets.values().map(|set| set.ways[way].first).min().unwrap_or(0);
        let mut seen = Seen {
            span: sets.values().map(|set| set.ways[way].last).max().unwrap_or(0).saturating_sub(begin).max(1),
            messages: std::array::from_fn(|_| vec![0; COLUMNS]),
            switches: vec![0; COLUMNS],
            held: vec![0; COLUMNS],
            is_received: way == CAME,
            stretches: stretches(&sets, way, begin),
        };
        each(path, Some(&facts), |entry, id| {
            if let Some(set) = sets.get(&(entry.engine, id)) {
                seen.count(set, entry, way, begin);
            }
        })?;
        Ok(seen)
    }

    fn count(&mut self, set: &Set, entry: &Entry, way: usize, begin: u64) {
        let Some(time) = entry.time.checked_sub(begin).filter(|time| *time <= self.span) else { return };
        let column = ((u128::from(time) * COLUMNS as u128 / u128::from(self.span)) as usize).min(COLUMNS - 1);
        if message(entry) == Some(way) {
            let leg = entry.get("leg").and_then(|leg| set.legs.get(&leg).copied()).unwrap_or(0);
            self.messages[leg.min(LEGS - 1)][column] += 1;
        }
        if switch(entry) == Some(way) {
            self.switches[column] += 1;
        }
        if entry.kind.name == "Held" {
            self.held[column] = self.held[column].max(entry.get("held").unwrap_or(0));
        }
    }
}

impl Set {
    fn see(&mut self, entry: &Entry) {
        if let Some(leg) = entry.get("leg") {
            let is_linked = entry.kind.name == "LegLinked" || message(entry).is_some();
            if is_linked {
                let next = self.legs.len();
                self.legs.entry(leg).or_insert(next);
            }
        }
        if let Some(way) = message(entry).map(|way| &mut self.ways[way]) {
            way.first = if way.messages == 0 { entry.time } else { way.first.min(entry.time) };
            way.messages += 1;
            way.last = way.last.max(entry.time);
        }
        if let Some(way) = switch(entry) {
            self.ways[way].switches += 1;
        }
        if entry.kind.name == "Held" {
            self.held_peak = self.held_peak.max(entry.get("held").unwrap_or(0));
        }
    }

    /// True when it carried more this way than the other.
    fn is_about(&self, way: usize) -> bool {
        self.ways[way].messages > self.ways[1 - way].messages
    }
}

/// Joins sets whose times overlap.
fn stretches(sets: &Sets, way: usize, begin: u64) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = sets
        .values()
        .map(|set| Stretch {
            from: set.ways[way].first - begin,
            until: set.ways[way].last - begin,
            sets: 1,
            legs: set.legs.len(),
            messages: set.ways[way].messages,
            switches: set.ways[way].switches,
            held_peak: set.held_peak,
        })
        .collect();
    all.sort_by_key(|stretch| stretch.from);
    let mut joined: Vec<Stretch> = Vec::new();
    for next in all {
        match joined.last_mut().filter(|last| next.from <= last.until) {
            Some(last) => {
                last.until = last.until.max(next.until);
                last.sets += 1;
                last.legs = last.legs.max(next.legs);
                last.messages += next.messages;
                last.switches += next.switches;
                last.held_peak = last.held_peak.max(next.held_peak);
            }
            None => joined.push(next),
        }
    }
    joined
}

/// All events of sets, or those that an earlier reading saw: somebody may still write the file.
fn each(path: &str, before: Option<&Facts>, mut see: impl FnMut(&Entry, u64)) -> Result<Facts, Error> {
    let mut trace = Trace::open_until(path, before.map_or(u64::MAX, |facts| facts.taken))?;
    while let Some(entry) = trace.next()? {
        if let Some(set) = entry.get("set") {
            see(&entry, set);
        }
    }
    if before.is_none() {
        trace.warn();
    }
    Ok(trace.facts().clone())
}
