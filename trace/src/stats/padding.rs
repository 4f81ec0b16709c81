//! What one padder did: machines at one hop of a circuit.

use super::quantiles::{Quantiles, Spread};
use super::span::{Spans, SpansTold};
use super::Hex;
use crate::file::Entry;
use crate::words;
use serde::Serialize;
use std::collections::BTreeMap;

/// A padder, while its events are read.
#[derive(Default)]
pub struct Padder {
    told: PadderTold,
    blocks: Spans,
    late: Quantiles,
}

/// What is told of a padder.
#[derive(Default, Clone, Serialize)]
pub struct PadderTold {
    pub engine: u32,
    pub circuit: Hex,
    pub hop: u64,
    pub slot: u64,
    pub machines: Option<u64>,
    pub added: Option<u64>,
    pub removed: Option<u64>,
    /// The last step of the negotiation.
    pub negotiated: Option<String>,
    /// Cells that carry something.
    pub normal_sent: u64,
    pub normal_received: u64,
    /// Padding cells on the wire.
    pub padding_sent: u64,
    pub padding_received: u64,
    /// Padding cells to a hundred normal ones.
    pub overhead_sent_percent: Option<f64>,
    pub overhead_received_percent: Option<f64>,
    pub padding_sent_by_machine: BTreeMap<u64, u64>,
    /// Padding cells that may pass a block.
    pub bypassing: u64,
    /// Padding cells in whose place another cell went: one that is not written yet, one that the block held back.
    pub replaced_by_unwritten: u64,
    pub replaced_by_blocked: u64,
    pub refused: BTreeMap<String, u64>,
    pub states_changed: u64,
    pub timers_set: u64,
    pub timers_fired: u64,
    /// Blocks that were changed: made longer, most often.
    pub blocks_renewed: u64,
}

/// A padder with its spans.
#[derive(Serialize)]
pub struct WholePadder {
    #[serde(flatten)]
    pub padder: PadderTold,
    pub blocked: SpansTold,
    /// How late its timers were.
    pub late_ns: Option<Spread>,
}

impl Padder {
    /// An event of the classes `padding` and `states`.
    pub fn see(&mut self, entry: &Entry, circuit: u64, hop: u64, slot: u64) {
        let told = &mut self.told;
        (told.engine, told.circuit, told.hop, told.slot) = (entry.engine, Hex(circuit), hop, slot);
        match entry.kind.name {
            "PadderAdded" => (told.machines, told.added) = (entry.get("machines"), Some(entry.time)),
            "PadderRemoved" => {
                told.removed = Some(entry.time);
                self.blocks.end(entry.time);
            }
            "PaddingNegotiated" => told.negotiated = word(entry, "step"),
            "StateChanged" => told.states_changed += 1,
            "TimerSet" => told.timers_set += 1,
            "TimerFired" => {
                told.timers_fired += 1;
                self.late.add(entry.get("late").unwrap_or(0));
            }
            "BlockBegan" => {
                told.blocks_renewed += u64::from(entry.get("turn") == Some(1));
                self.blocks.begin(entry.time);
            }
            "BlockEnded" => self.blocks.end(entry.time),
            _ => told.see_cell(entry),
        }
    }

    /// All of it, where `last` is the time at which the trace ends.
    pub fn whole(&self, last: u64) -> WholePadder {
        let mut padder = self.told.clone();
        padder.overhead_sent_percent = percent(padder.padding_sent, padder.normal_sent);
        padder.overhead_received_percent = percent(padder.padding_received, padder.normal_received);
        WholePadder { padder, blocked: self.blocks.told(last), late_ns: self.late.spread() }
    }
}

impl PadderTold {
    fn see_cell(&mut self, entry: &Entry) {
        match (entry.kind.name, entry.get("what"), entry.get("by")) {
            ("PaddingEvent", Some(1), _) => self.normal_sent += 1,
            ("PaddingEvent", Some(2), _) => self.normal_received += 1,
            ("PaddingSent", ..) => {
                self.padding_sent += 1;
                *self.padding_sent_by_machine.entry(entry.get("machine").unwrap_or(0)).or_default() += 1;
                self.bypassing += entry.get("bypass").unwrap_or(0);
            }
            ("PaddingReceived", ..) => self.padding_received += 1,
            ("PaddingReplaced", _, Some(1)) => self.replaced_by_unwritten += 1,
            ("PaddingReplaced", ..) => self.replaced_by_blocked += 1,
            ("PaddingRefused", ..) => *self.refused.entry(word(entry, "why").unwrap_or_default()).or_default() += 1,
            _ => {}
        }
    }
}

fn percent(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 * 100.0 / of as f64)
}

/// The word of a field's value.
pub fn word(entry: &Entry, name: &str) -> Option<String> {
    let mut text = String::new();
    let (words, (_, value)) =
        words::of(entry.kind).iter().zip(entry.values()).find(|(words, _)| words.field.name == name)?;
    words.say(value, &mut text);
    Some(text)
}
