//! The first reading: who is in the trace, and the exact totals of each. The second one draws only the largest.

use super::notable::Notables;
use super::place::{PadderPlace, Places};
use crate::file::Entry;
use crate::holding::Holding;
use std::collections::BTreeMap;

/// An engine and an id of it.
pub type Key = (u32, u64);

/// Sets and circuits beyond so many are counted, and have no totals of their own.
const KNOWN_MAX: usize = 1 << 16;
/// Of a set's legs, and a circuit's hops, no more have totals.
const PARTS_MAX: usize = 256;
/// A cell on the wire, in bytes: link protocol 4 and later.
const CELL_BYTES: u64 = 514;

/// What a trace has in all.
#[derive(Default)]
pub struct Census {
    pub sets: BTreeMap<Key, SetTotals>,
    pub circuits: BTreeMap<Key, CircuitTotals>,
    pub owners: BTreeMap<Key, StreamTotals>,
    /// Sets, circuits and owners of streams that came when [`KNOWN_MAX`] others were there: events of theirs.
    pub unknown: u64,
    pub events: u64,
    pub first: u64,
    pub last: u64,
    pub faults: u64,
    pub victims: u64,
    pub caps: u64,
    pub crossings: u64,
    pub notables: Notables,
    /// Which set a leg is of.
    legs: BTreeMap<Key, Key>,
    /// Whose stream it is.
    streams: BTreeMap<Key, Key>,
}

/// A figure's smallest, mean and largest.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Range {
    pub times: u64,
    pub sum: u64,
    pub min: u64,
    pub max: u64,
}

impl Range {
    pub fn add(&mut self, value: u64) {
        self.min = if self.times == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.times += 1;
        self.sum = self.sum.saturating_add(value);
    }

    pub fn mean(&self) -> u64 {
        self.sum / self.times.max(1)
    }
}

/// Whose events came, how many, and when.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    pub events: u64,
    pub first: u64,
    pub last: u64,
}

impl Seen {
    fn add(&mut self, time: u64) {
        self.first = if self.events == 0 { time } else { self.first.min(time) };
        self.last = self.last.max(time);
        self.events += 1;
    }
}

#[derive(Clone, Default, Debug)]
pub struct SetTotals {
    pub seen: Seen,
    /// In the order in which they came.
    pub legs: Vec<LegTotals>,
    pub opened: Option<u64>,
    pub usable: Option<u64>,
    pub by_peer: bool,
    /// When, and the status.
    pub ended: Option<(u64, i64)>,
    pub held: u64,
    pub depth_max: u64,
    pub memory_max: u64,
    /// How long messages were held.
    pub wait: Range,
    pub refused: u64,
    pub blocked_ns: u64,
    blocked_since: Option<u64>,
    holding: Holding,
}

#[derive(Clone, Default, Debug)]
pub struct LegTotals {
    pub id: u64,
    pub cells_in: u64,
    pub cells_out: u64,
    pub window: WindowTotals,
    /// SWITCHes to this leg that were sent, and that were received on it.
    pub switches_sent: u64,
    pub switches_received: u64,
    /// When, and the status.
    pub lost: Option<(u64, i64)>,
}

/// Round trip, window and in flight, as reports, SENDMEs and choices tell.
#[derive(Clone, Copy, Default, Debug)]
pub struct WindowTotals {
    /// Of SENDMEs and reports, in ns.
    measured: Range,
    /// Of the handshake, and of looks at the leg.
    looked: Range,
    pub cwnd_max: u64,
    pub in_flight_max: u64,
}

#[derive(Clone, Default, Debug)]
pub struct CircuitTotals {
    pub seen: Seen,
    /// Events that only a circuit's own section can draw.
    pub padding_events: u64,
    pub edge_events: u64,
    pub windows: BTreeMap<u64, WindowTotals>,
    pub padders: BTreeMap<PadderPlace, PadderTotals>,
    places: Places,
    pub waiting_max: u64,
    pub pauses: u64,
}

#[derive(Clone, Default, Debug)]
pub struct PadderTotals {
    pub real_out: u64,
    pub real_in: u64,
    pub padding_out: u64,
    pub padding_in: u64,
    pub replaced: u64,
    pub refused: u64,
    pub blocks: u64,
    pub blocked_ns: u64,
    blocked_since: Option<u64>,
    pub moves: u64,
}

#[derive(Clone, Copy, Default, Debug)]
pub struct StreamTotals {
    pub seen: Seen,
    pub opened: u64,
    pub xoff_sent: u64,
    pub xoff_received: u64,
}

/// The bytes of so many cells on the wire.
pub fn wire_bytes(cells: u64) -> u64 {
    cells.saturating_mul(CELL_BYTES)
}

impl Census {
    /// Takes an event in.
    pub fn see(&mut self, entry: &Entry) {
        self.first = if self.events == 0 { entry.time } else { self.first.min(entry.time) };
        self.last = self.last.max(entry.time);
        self.events += 1;
        self.notables.see(entry);
        match entry.kind.name {
            "Fault" => self.faults += 1,
            "Victim" => self.victims += 1,
            "CapReached" => self.caps += 1,
            "CrossedOut" | "CrossedIn" => self.crossings += 1,
            _ => {}
        }
        if let Some(set) = entry.get("set") {
            self.of_set(entry, (entry.engine, set));
        } else if let Some(circuit) = entry.get("circuit") {
            self.of_circuit(entry, (entry.engine, circuit));
        } else if let Some(stream) = entry.get("stream") {
            self.of_stream(entry, (entry.engine, stream));
        }
    }

    /// The set of which a circuit is a leg.
    pub fn set_of(&self, circuit: Key) -> Option<Key> {
        self.legs.get(&circuit).copied()
    }

    fn of_set(&mut self, entry: &Entry, key: Key) {
        if !self.sets.contains_key(&key) && self.sets.len() >= KNOWN_MAX {
            self.unknown += 1;
            return;
        }
        let set = self.sets.entry(key).or_default();
        set.see(entry);
        if let Some(leg) = entry.get("leg") {
            if set.leg(leg).is_some() {
                self.legs.entry((entry.engine, leg)).or_insert(key);
            }
        }
    }

    fn of_circuit(&mut self, entry: &Entry, key: Key) {
        let is_window = matches!(entry.kind.name, "Reported" | "SendmeReceived");
        if let Some(set) = self.legs.get(&key).filter(|_| is_window).and_then(|set| self.sets.get_mut(set)) {
            set.seen.add(entry.time);
            if let Some(leg) = set.leg(key.1) {
                leg.window.see(entry);
            }
        }
        if !self.circuits.contains_key(&key) && self.circuits.len() >= KNOWN_MAX {
            self.unknown += 1;
            return;
        }
        self.circuits.entry(key).or_default().see(entry);
    }

    fn of_stream(&mut self, entry: &Entry, stream: Key) {
        let owner = match entry.get("owner") {
            Some(owner) => (entry.engine, owner),
            None => match self.streams.get(&stream) {
                Some(owner) => *owner,
                None => return,
            },
        };
        if !self.owners.contains_key(&owner) && self.owners.len() >= KNOWN_MAX {
            self.unknown += 1;
            return;
        }
        let totals = self.owners.entry(owner).or_default();
        totals.seen.add(entry.time);
        match entry.kind.name {
            "StreamOpened" => {
                totals.opened += 1;
                if self.streams.len() < KNOWN_MAX {
                    self.streams.insert(stream, owner);
                }
            }
            "StreamEnded" => {
                self.streams.remove(&stream);
            }
            "XoffSent" => totals.xoff_sent += 1,
            "XoffReceived" => totals.xoff_received += 1,
            _ => {}
        }
    }

    /// Nothing more comes: what lasts until the end is counted.
    pub fn finish(&mut self) {
        let last = self.last;
        self.streams.clear();
        for set in self.sets.values_mut() {
            set.unblock(last);
            set.holding.clear();
        }
        for padder in self.circuits.values_mut().flat_map(|circuit| circuit.padders.values_mut()) {
            padder.unblock(last);
        }
    }
}

impl SetTotals {
    fn see(&mut self, entry: &Entry) {
        self.seen.add(entry.time);
        let get = |name| entry.get(name).unwrap_or(0);
        let cause = || (entry.time, entry.signed("cause").unwrap_or(0));
        match entry.kind.name {
            "SetOpened" => (self.opened, self.by_peer) = (Some(entry.time), get("by_peer") == 1),
            "SetUsable" => self.usable = Some(entry.time),
            "SetEnded" => {
                self.ended = Some(cause());
                self.unblock(entry.time);
            }
            "Refused" => {
                self.refused += 1;
                self.blocked_since.get_or_insert(entry.time);
            }
            "MaySend" => self.unblock(entry.time),
            "Held" => {
                self.held += 1;
                self.holding.hold(entry.time, get("number"), get("bytes"), get("held"));
                self.depth_max = self.depth_max.max(self.holding.depth);
                self.memory_max = self.memory_max.max(self.holding.bytes);
            }
            "Released" => {
                if let Some(waited) = self.holding.release(entry.time, get("number"), get("held")) {
                    self.wait.add(waited);
                }
            }
            _ => {}
        }
        let name = entry.kind.name;
        let Some(leg) = entry.get("leg").and_then(|leg| self.leg(leg)) else { return };
        match name {
            "InOrder" | "Held" => leg.cells_in += 1,
            "Sent" => leg.cells_out += 1,
            "SwitchSent" => leg.switches_sent += 1,
            "SwitchReceived" => leg.switches_received += 1,
            "LegLost" => leg.lost = Some(cause()),
            "LegLooked" | "LegLinked" => leg.window.see(entry),
            _ => {}
        }
        if name == "Sent" {
            self.unblock(entry.time);
        }
    }

    /// The leg with this id, which may be a new one. None when there are too many.
    pub fn leg(&mut self, id: u64) -> Option<&mut LegTotals> {
        match self.legs.iter().position(|leg| leg.id == id) {
            Some(at) => self.legs.get_mut(at),
            None if self.legs.len() < PARTS_MAX => {
                self.legs.push(LegTotals { id, ..LegTotals::default() });
                self.legs.last_mut()
            }
            None => None,
        }
    }

    fn unblock(&mut self, time: u64) {
        if let Some(since) = self.blocked_since.take() {
            self.blocked_ns = self.blocked_ns.saturating_add(time.saturating_sub(since));
        }
    }

    pub fn cells_in(&self) -> u64 {
        self.legs.iter().map(|leg| leg.cells_in).sum()
    }

    pub fn cells_out(&self) -> u64 {
        self.legs.iter().map(|leg| leg.cells_out).sum()
    }
}

impl WindowTotals {
    /// The round trips that were measured; where none were, those that choices took for granted.
    pub fn rtt(&self) -> Range {
        if self.measured.times > 0 {
            self.measured
        } else {
            self.looked
        }
    }

    fn see(&mut self, entry: &Entry) {
        if let Some(rtt) = entry.get("rtt").filter(|rtt| *rtt > 0) {
            match entry.kind.name {
                "LegLooked" | "LegLinked" => self.looked.add(rtt),
                _ => self.measured.add(rtt),
            }
        }
        self.cwnd_max = self.cwnd_max.max(entry.get("cwnd").unwrap_or(0));
        self.in_flight_max = self.in_flight_max.max(entry.get("in_flight").unwrap_or(0));
    }
}

impl CircuitTotals {
    fn see(&mut self, entry: &Entry) {
        use circflow::event::Class;
        self.seen.add(entry.time);
        let hop = entry.get("hop").unwrap_or(0);
        match entry.kind.class {
            Class::Padding | Class::States => {
                self.padding_events += 1;
                let Some(place) = self.places.of(entry) else { return };
                if self.padders.len() < PARTS_MAX || self.padders.contains_key(&place) {
                    self.padders.entry(place).or_default().see(entry);
                }
            }
            Class::Edges => {
                self.edge_events += 1;
                self.waiting_max = self.waiting_max.max(entry.get("waiting").unwrap_or(0));
                self.pauses += u64::from(entry.kind.name == "FeedPaused");
            }
            Class::Windows if entry.kind.name != "SendmeSent" => self.windows.entry(hop).or_default().see(entry),
            _ => {}
        }
    }
}

impl PadderTotals {
    fn see(&mut self, entry: &Entry) {
        match (entry.kind.name, entry.get("what").unwrap_or(0)) {
            ("PaddingEvent", 1) => self.real_out += 1,
            ("PaddingEvent", 2) => self.real_in += 1,
            ("PaddingSent", _) => self.padding_out += 1,
            ("PaddingReceived", _) => self.padding_in += 1,
            ("PaddingReplaced", _) => self.replaced += 1,
            ("PaddingRefused", _) => self.refused += 1,
            ("StateChanged", _) => self.moves += 1,
            ("BlockBegan", _) => {
                self.blocks += u64::from(self.blocked_since.is_none());
                self.blocked_since.get_or_insert(entry.time);
            }
            ("BlockEnded" | "PadderRemoved", _) => self.unblock(entry.time),
            _ => {}
        }
    }

    fn unblock(&mut self, time: u64) {
        if let Some(since) = self.blocked_since.take() {
            self.blocked_ns = self.blocked_ns.saturating_add(time.saturating_sub(since));
        }
    }
}
