//! What one set did.

use super::circuit::Circuit;
use super::padding::word;
use super::quantiles::{Quantiles, Spread};
use super::rows::Rows;
use super::span::{Spans, SpansTold};
use super::Hex;
use crate::file::Entry;
use crate::holding::Holding;
use crate::words;
use serde::Serialize;
use std::collections::BTreeMap;

/// A set, while its events are read.
#[derive(Default)]
pub struct Set {
    told: SetTold,
    legs: Rows<u64, Leg>,
    depths: Quantiles,
    depth_counts: Vec<u64>,
    holds: Spans,
    holding: Holding,
    waits: Quantiles,
    blocked: Spans,
}

#[derive(Default)]
struct Leg {
    told: LegTold,
    first_sent: Option<u64>,
    last_sent: u64,
    looked_rtts: Quantiles,
}

/// What is told of a set. Times are those of the engine's clock.
#[derive(Default, Clone, Serialize)]
pub struct SetTold {
    pub engine: u32,
    pub set: Hex,
    pub opened: Option<u64>,
    pub by_peer: Option<bool>,
    pub usable: Option<u64>,
    pub ended: Option<u64>,
    pub ended_cause: Option<i64>,
    pub ended_cause_name: Option<&'static str>,
    pub legs_wanted: u64,
    pub in_order: u64,
    pub held: u64,
    pub released: u64,
    pub sent: u64,
    pub switches_sent: u64,
    pub switches_received: u64,
    /// The most messages that were held at a time.
    pub depth_peak: u64,
    pub refused: u64,
    pub refused_by: BTreeMap<String, u64>,
    pub held_for_sending: u64,
    pub held_for_sending_peak: u64,
    pub streams_opened: u64,
    pub streams_ended: u64,
    pub xoff_sent: u64,
    pub xoff_received: u64,
    pub xon_sent: u64,
    pub xon_received: u64,
}

/// What is told of a leg.
#[derive(Default, Clone, Serialize)]
pub struct LegTold {
    pub leg: Hex,
    pub linked: Option<u64>,
    pub link_rtt_ns: Option<u64>,
    pub lost: Option<u64>,
    pub lost_cause: Option<i64>,
    pub lost_cause_name: Option<&'static str>,
    /// Messages that were sent on it.
    pub sent: u64,
    /// Messages a second, from the first that was sent to the last.
    pub sent_per_second: Option<f64>,
    pub in_order: u64,
    pub held: u64,
    pub switches_to: u64,
    pub switches_received: u64,
    /// Looks at the leg that found no room, and why.
    pub window_full: u64,
    pub channel_full: u64,
    pub padding_blocked: u64,
    pub not_linked: u64,
}

/// A set with all that belongs to it.
#[derive(Serialize)]
pub struct WholeSet {
    #[serde(flatten)]
    pub set: SetTold,
    /// How many messages were held, as each came that was held too.
    pub depth: Option<Spread>,
    /// Of these, those from each power of two up to the next: 1, 2 and 3, 4 to 7, ..
    pub depth_counts: Vec<u64>,
    /// From the first message that was held until none was.
    pub holds: SpansTold,
    /// How long each message was held that had its turn.
    pub waits_ns: Option<Spread>,
    /// From a refusal until the host was told to go on.
    pub blocked: SpansTold,
    pub legs: Vec<WholeLeg>,
}

/// A leg with its round trips.
#[derive(Serialize)]
pub struct WholeLeg {
    #[serde(flatten)]
    pub leg: LegTold,
    /// Of SENDMEs and reports; where there are none, of the looks at the leg.
    pub rtt_ns: Option<Spread>,
    pub cwnd: Option<Spread>,
    pub in_flight: Option<Spread>,
    pub sendmes_sent: u64,
    pub sendmes_received: u64,
}

impl Set {
    /// An event with a `set` among its fields.
    pub fn see(&mut self, entry: &Entry, set: u64) {
        (self.told.engine, self.told.set) = (entry.engine, Hex(set));
        match entry.kind.name {
            "SetOpened" => {
                self.told.opened = Some(entry.time);
                self.told.by_peer = entry.get("by_peer").map(|by_peer| by_peer != 0);
            }
            "SetUsable" => self.told.usable = Some(entry.time),
            "SetEnded" => self.end(entry),
            "LegWanted" => self.told.legs_wanted += 1,
            "LegLinked" | "LegLost" => self.see_leg(entry),
            "InOrder" | "Held" | "Released" | "SwitchReceived" => self.see_message(entry),
            _ => self.see_choice(entry),
        }
    }

    fn end(&mut self, entry: &Entry) {
        self.told.ended = Some(entry.time);
        self.told.ended_cause = entry.signed("cause");
        self.told.ended_cause_name = self.told.ended_cause.and_then(words::status);
        self.blocked.end(entry.time);
    }

    /// The trace is over: what was held when the set ended, and had no turn, is held no longer.
    pub fn finish(&mut self) {
        if let Some(ended) = self.told.ended {
            self.holds.end(ended);
        }
    }

    fn see_leg(&mut self, entry: &Entry) {
        let Some(leg) = self.leg(entry) else { return };
        if entry.kind.name == "LegLinked" {
            leg.told.linked = Some(entry.time);
            leg.told.link_rtt_ns = entry.get("rtt").filter(|&rtt| rtt > 0);
        } else {
            leg.told.lost = Some(entry.time);
            leg.told.lost_cause = entry.signed("cause");
            leg.told.lost_cause_name = leg.told.lost_cause.and_then(words::status);
        }
    }

    fn see_message(&mut self, entry: &Entry) {
        let get = |name| entry.get(name).unwrap_or(0);
        let held = get("held");
        match entry.kind.name {
            "InOrder" => self.told.in_order += 1,
            "Held" => {
                self.told.held += 1;
                self.told.depth_peak = self.told.depth_peak.max(held);
                self.depths.add(held);
                count_depth(&mut self.depth_counts, held);
                self.holds.begin(entry.time);
                self.holding.hold(entry.time, get("number"), get("bytes"), held);
            }
            "Released" => {
                self.told.released += 1;
                if let Some(waited) = self.holding.release(entry.time, get("number"), held) {
                    self.waits.add(waited);
                }
                if held == 0 {
                    self.holds.end(entry.time);
                }
            }
            _ => self.told.switches_received += 1,
        }
        let Some(leg) = self.leg(entry) else { return };
        match entry.kind.name {
            "InOrder" => leg.told.in_order += 1,
            "Held" => leg.told.held += 1,
            _ => leg.told.switches_received += 1,
        }
    }

    fn see_choice(&mut self, entry: &Entry) {
        match entry.kind.name {
            "LegLooked" => self.look(entry),
            "Sent" => {
                self.told.sent += 1;
                self.blocked.end(entry.time);
                let Some(leg) = self.leg(entry) else { return };
                leg.told.sent += 1;
                leg.first_sent.get_or_insert(entry.time);
                leg.last_sent = entry.time;
            }
            "SwitchSent" => {
                self.told.switches_sent += 1;
                if let Some(leg) = self.leg(entry) {
                    leg.told.switches_to += 1;
                }
            }
            "Refused" => {
                self.told.refused += 1;
                *self.told.refused_by.entry(word(entry, "why").unwrap_or_default()).or_default() += 1;
                self.blocked.begin(entry.time);
            }
            "MaySend" => self.blocked.end(entry.time),
            "HeldForSending" => {
                self.told.held_for_sending += 1;
                let waiting = entry.get("waiting").unwrap_or(0);
                self.told.held_for_sending_peak = self.told.held_for_sending_peak.max(waiting);
            }
            _ => {
                self.leg(entry);
            }
        }
    }

    fn look(&mut self, entry: &Entry) {
        let (rtt, state) = (entry.get("rtt"), entry.get("state"));
        let Some(leg) = self.leg(entry) else { return };
        if let Some(rtt) = rtt.filter(|&rtt| rtt > 0) {
            leg.looked_rtts.add(rtt);
        }
        match state {
            Some(1) => leg.told.not_linked += 1,
            Some(2) => leg.told.window_full += 1,
            Some(3) => leg.told.channel_full += 1,
            Some(4) => leg.told.padding_blocked += 1,
            _ => {}
        }
    }

    /// An event of one of its streams.
    pub fn see_stream(&mut self, entry: &Entry) {
        let count = match entry.kind.name {
            "StreamOpened" => &mut self.told.streams_opened,
            "StreamEnded" => &mut self.told.streams_ended,
            "XoffSent" => &mut self.told.xoff_sent,
            "XoffReceived" => &mut self.told.xoff_received,
            "XonSent" => &mut self.told.xon_sent,
            "XonReceived" => &mut self.told.xon_received,
            _ => return,
        };
        *count += 1;
    }

    fn leg(&mut self, entry: &Entry) -> Option<&mut Leg> {
        let id = entry.get("leg")?;
        let leg = self.legs.at(id);
        leg.told.leg = Hex(id);
        Some(leg)
    }

    /// All of it, where `last` is the time at which the trace ends. `circuit` finds the circuit of a leg.
    pub fn told<'a>(&self, last: u64, circuit: impl Fn(u64) -> Option<&'a Circuit>) -> WholeSet {
        WholeSet {
            set: self.told.clone(),
            depth: self.depths.spread(),
            depth_counts: self.depth_counts.clone(),
            holds: self.holds.told(last),
            waits_ns: self.waits.spread(),
            blocked: self.blocked.told(last),
            legs: self.legs.iter().map(|(id, leg)| leg.told(circuit(*id))).collect(),
        }
    }
}

impl Leg {
    fn told(&self, circuit: Option<&Circuit>) -> WholeLeg {
        let mut leg = self.told.clone();
        leg.sent_per_second = rate(self.told.sent, self.first_sent, self.last_sent);
        let circuit = circuit.map(Circuit::told);
        WholeLeg {
            leg,
            rtt_ns: circuit.as_ref().and_then(|told| told.rtt_ns).or_else(|| self.looked_rtts.spread()),
            cwnd: circuit.as_ref().and_then(|told| told.cwnd),
            in_flight: circuit.as_ref().and_then(|told| told.in_flight),
            sendmes_sent: circuit.as_ref().map_or(0, |told| told.sendmes_sent),
            sendmes_received: circuit.as_ref().map_or(0, |told| told.sendmes_received),
        }
    }
}

/// Things a second: of `count`, the first came at the beginning, and the last at the end.
fn rate(count: u64, first: Option<u64>, last: u64) -> Option<f64> {
    let ns = last.saturating_sub(first?);
    (count > 1 && ns > 0).then(|| (count - 1) as f64 * 1e9 / ns as f64)
}

/// Counts a depth with those from its power of two up to the next.
fn count_depth(counts: &mut Vec<u64>, depth: u64) {
    let at = depth.max(1).ilog2() as usize;
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    counts[at] += 1;
}
