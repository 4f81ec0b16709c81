//! Hands each event to those who count it.

use super::circuit::{Circuit, WholeCircuit};
use super::padding::{Padder, WholePadder};
use super::rows::Rows;
use super::set::{Set, WholeSet};
use crate::file::{Entry, Facts};
use crate::words;
use circflow::event::{Class, KINDS};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What has been seen so far.
pub struct Collector {
    events: u64,
    first: u64,
    latest: u64,
    by_kind: Vec<u64>,
    engines: BTreeMap<u32, EngineTold>,
    sets: Rows<(u32, u64), Set>,
    circuits: Rows<(u32, u64), Circuit>,
    padders: Rows<(u32, u64, u64, u64), Padder>,
    /// The first padder at a hop, which gets what has to do with the hop alone.
    first_slots: HashMap<(u32, u64, u64), u64>,
    /// Sets, for a stream's owner may be one.
    known_sets: BTreeSet<(u32, u64)>,
    owners: HashMap<(u32, u64), u64>,
    rest: RestTold,
}

/// What a trace comes to.
#[derive(Serialize)]
pub struct Told {
    pub file: FileTold,
    pub sets: Vec<WholeSet>,
    pub circuits: Vec<WholeCircuit>,
    pub padding: Vec<WholePadder>,
    #[serde(flatten)]
    pub rest: RestTold,
}

/// What the file is.
#[derive(Serialize)]
pub struct FileTold {
    pub path: String,
    pub bytes: u64,
    pub pieces: u64,
    /// Events that are counted here, and those that the filter left out.
    pub events: u64,
    pub left_out: u64,
    pub overwritten: u64,
    pub unknown: BTreeMap<u16, u64>,
    pub cut_at: Option<u64>,
    /// The classes that were recorded.
    pub classes: Vec<String>,
    pub earliest: u64,
    pub latest: u64,
    pub engines: Vec<EngineTold>,
    /// Events by kind, in the order of the table.
    pub kinds: Vec<KindTold>,
}

/// What one engine recorded.
#[derive(Clone, Serialize)]
pub struct EngineTold {
    pub engine: u32,
    pub events: u64,
    pub earliest: u64,
    pub latest: u64,
}

/// How many events of a kind there are.
#[derive(Serialize)]
pub struct KindTold {
    pub kind: &'static str,
    pub class: String,
    pub events: u64,
}

/// What is of no set, circuit or padder.
#[derive(Default, Clone, Serialize)]
pub struct RestTold {
    pub memory: MemoryTold,
    pub hub: HubTold,
    pub faults: Vec<FaultTold>,
    /// Where the fault of a status is among them.
    #[serde(skip)]
    fault_at: HashMap<i64, usize>,
    pub host: HostTold,
    /// Of streams whose beginning is not in the trace.
    pub stream_events_without_owner: u64,
}

#[derive(Default, Clone, Serialize)]
pub struct MemoryTold {
    /// By whose cap it was.
    pub caps_reached: BTreeMap<String, u64>,
    /// The most bytes that an engine held when a cap was reached.
    pub held_peak: u64,
    pub victims: u64,
    pub victims_bytes: u64,
    pub victims_oldest_ns: u64,
    pub trims: u64,
    pub trimmed_bytes: u64,
}

#[derive(Default, Clone, Serialize)]
pub struct HubTold {
    pub crossed_out: u64,
    pub crossed_in: u64,
    pub out_by_command: BTreeMap<String, u64>,
    pub in_by_command: BTreeMap<String, u64>,
}

#[derive(Clone, Serialize)]
pub struct FaultTold {
    pub status: i64,
    pub name: Option<&'static str>,
    pub count: u64,
}

#[derive(Default, Clone, Serialize)]
pub struct HostTold {
    pub clock_set: u64,
    pub clock_went_back: u64,
    pub clock_leapt: u64,
    pub recorded_at_relay: bool,
}

impl Collector {
    pub fn new() -> Collector {
        let kinds = KINDS.iter().map(|kind| usize::from(kind.number) + 1).max().unwrap_or(0);
        Collector {
            events: 0,
            first: u64::MAX,
            latest: 0,
            by_kind: vec![0; kinds],
            engines: BTreeMap::new(),
            sets: Rows::new(),
            circuits: Rows::new(),
            padders: Rows::new(),
            first_slots: HashMap::new(),
            known_sets: BTreeSet::new(),
            owners: HashMap::new(),
            rest: RestTold::default(),
        }
    }

    /// Counts an event.
    pub fn see(&mut self, entry: &Entry) {
        self.see_head(entry);
        match entry.kind.class {
            Class::Sets | Class::Messages | Class::Choice => {
                let Some(set) = entry.get("set") else { return };
                if entry.kind.class == Class::Sets {
                    self.known_sets.insert((entry.engine, set));
                }
                self.sets.at((entry.engine, set)).see(entry, set);
                if let Some(leg) = entry.get("leg").filter(|_| entry.kind.name == "LegLooked") {
                    self.circuits.at((entry.engine, leg)).see_look(entry, leg);
                }
            }
            Class::Windows | Class::Edges => {
                let Some(circuit) = entry.get("circuit") else { return };
                self.circuits.at((entry.engine, circuit)).see(entry, circuit);
            }
            Class::Padding | Class::States => {
                let Some(circuit) = entry.get("circuit") else { return };
                let hop = entry.get("hop").unwrap_or(0);
                let place = (entry.engine, circuit, hop);
                let slot = match entry.get("slot") {
                    Some(slot) => {
                        self.first_slots.entry(place).or_insert(slot);
                        slot
                    }
                    None => self.first_slots.get(&place).copied().unwrap_or(0),
                };
                self.padders.at((entry.engine, circuit, hop, slot)).see(entry, circuit, hop, slot);
            }
            Class::Streams => self.see_stream(entry),
            Class::Memory | Class::Hub | Class::Faults | Class::Host => self.rest.see(entry),
        }
    }

    fn see_head(&mut self, entry: &Entry) {
        self.events += 1;
        self.first = self.first.min(entry.time);
        self.latest = self.latest.max(entry.time);
        self.by_kind[usize::from(entry.kind.number)] += 1;
        let (number, time) = (entry.engine, entry.time);
        let new = EngineTold { engine: number, events: 0, earliest: time, latest: time };
        let engine = self.engines.entry(number).or_insert(new);
        engine.events += 1;
        engine.earliest = engine.earliest.min(time);
        engine.latest = engine.latest.max(time);
    }

    fn see_stream(&mut self, entry: &Entry) {
        let Some(stream) = entry.get("stream").map(|stream| (entry.engine, stream)) else { return };
        let owner = match entry.kind.name {
            "StreamOpened" => entry.get("owner").inspect(|&owner| {
                self.owners.insert(stream, owner);
            }),
            "StreamEnded" => self.owners.remove(&stream).or(entry.get("owner")),
            _ => self.owners.get(&stream).copied(),
        };
        let Some(owner) = owner else {
            self.rest.stream_events_without_owner += 1;
            return;
        };
        // Sets and circuits have ids that differ.
        if self.known_sets.contains(&(entry.engine, owner)) || self.sets.get((entry.engine, owner)).is_some() {
            self.sets.at((entry.engine, owner)).see_stream(entry);
        } else {
            self.circuits.at((entry.engine, owner)).see_stream(entry, owner);
        }
    }

    /// What it all comes to.
    pub fn told(mut self, path: &str, facts: &Facts) -> Told {
        self.sets.values_mut().for_each(Set::finish);
        let latest = self.latest;
        let circuits = &self.circuits;
        let set = |((engine, _), set): &((u32, u64), Set)| set.told(latest, |leg| circuits.get((*engine, leg)));
        Told {
            file: self.file_told(path, facts),
            sets: self.sets.iter().map(set).collect(),
            circuits: self.circuits.iter().map(|(_, circuit)| circuit.whole(latest)).collect(),
            padding: self.padders.iter().map(|(_, padder)| padder.whole(latest)).collect(),
            rest: self.rest.clone(),
        }
    }

    fn file_told(&self, path: &str, facts: &Facts) -> FileTold {
        let kinds = KINDS.iter().map(|kind| KindTold {
            kind: kind.name,
            class: format!("{:?}", kind.class),
            events: self.by_kind[usize::from(kind.number)],
        });
        let classes = Class::ALL.iter().filter(|class| facts.classes & class.bit() != 0);
        FileTold {
            path: path.to_owned(),
            bytes: facts.bytes,
            pieces: facts.pieces,
            events: self.events,
            left_out: facts.events.saturating_sub(self.events),
            overwritten: facts.overwritten,
            unknown: facts.unknown.clone(),
            cut_at: facts.cut,
            classes: classes.map(|class| format!("{class:?}")).collect(),
            earliest: self.first.min(self.latest),
            latest: self.latest,
            engines: self.engines.values().cloned().collect(),
            kinds: kinds.filter(|kind| kind.events > 0).collect(),
        }
    }
}

impl RestTold {
    fn see(&mut self, entry: &Entry) {
        let number = |name| entry.get(name).unwrap_or(0);
        match entry.kind.name {
            "CapReached" => {
                *self.memory.caps_reached.entry(word(entry, "cap")).or_default() += 1;
                self.memory.held_peak = self.memory.held_peak.max(number("held"));
            }
            "Victim" => {
                self.memory.victims += 1;
                self.memory.victims_bytes = self.memory.victims_bytes.saturating_add(number("held"));
                self.memory.victims_oldest_ns = self.memory.victims_oldest_ns.max(number("age"));
            }
            "Trimmed" => {
                self.memory.trims += 1;
                self.memory.trimmed_bytes = self.memory.trimmed_bytes.saturating_add(number("bytes"));
            }
            "CrossedOut" => {
                self.hub.crossed_out += 1;
                *self.hub.out_by_command.entry(word(entry, "command")).or_default() += 1;
            }
            "CrossedIn" => {
                self.hub.crossed_in += 1;
                *self.hub.in_by_command.entry(word(entry, "command")).or_default() += 1;
            }
            "Fault" => self.see_fault(entry.signed("status").unwrap_or(0)),
            "ClockSet" => self.host.clock_set += 1,
            "ClockWentBack" => self.host.clock_went_back += 1,
            "ClockLeapt" => self.host.clock_leapt += 1,
            "RecordedAtRelay" => self.host.recorded_at_relay = true,
            _ => {}
        }
    }

    fn see_fault(&mut self, status: i64) {
        let at = *self.fault_at.entry(status).or_insert(self.faults.len());
        if at == self.faults.len() {
            self.faults.push(FaultTold { status, name: words::status(status), count: 0 });
        }
        self.faults[at].count += 1;
    }
}

fn word(entry: &Entry, name: &str) -> String {
    super::padding::word(entry, name).unwrap_or_default()
}
