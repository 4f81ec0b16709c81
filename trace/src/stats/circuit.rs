//! What one circuit did: its windows, its edges, its streams.

use super::quantiles::{Quantiles, Spread};
use super::span::{Spans, SpansTold};
use super::Hex;
use crate::file::Entry;
use serde::Serialize;

/// A circuit, while its events are read.
#[derive(Default)]
pub struct Circuit {
    engine: u32,
    id: u64,
    cwnd: Quantiles,
    in_flight: Quantiles,
    rtt: Quantiles,
    reports: u64,
    sendmes_sent: u64,
    sendmes_received: u64,
    slow_start_ended: Option<u64>,
    was_in_slow_start: bool,
    /// The back edge, and the next one.
    edges: [Edge; 2],
    streams: [u64; 6],
}

#[derive(Default)]
struct Edge {
    waited: u64,
    waiting_peak: u64,
    paused: Spans,
    full: Spans,
}

/// What is told of a circuit.
#[derive(Serialize)]
pub struct CircuitTold {
    pub engine: u32,
    pub circuit: Hex,
    pub reports: u64,
    pub sendmes_sent: u64,
    pub sendmes_received: u64,
    /// When slow start was over first.
    pub slow_start_ended: Option<u64>,
    pub cwnd: Option<Spread>,
    pub in_flight: Option<Spread>,
    pub rtt_ns: Option<Spread>,
}

/// What is told of one of its edges.
#[derive(Serialize)]
pub struct EdgeTold {
    pub side: &'static str,
    /// Cells that waited.
    pub waited: u64,
    pub waiting_peak: u64,
    /// The source was asked to pause.
    pub paused: SpansTold,
    /// The channel took no cells.
    pub channel_full: SpansTold,
}

/// What its own streams did.
#[derive(Serialize)]
pub struct StreamsTold {
    pub opened: u64,
    pub ended: u64,
    pub xoff_sent: u64,
    pub xoff_received: u64,
    pub xon_sent: u64,
    pub xon_received: u64,
}

/// A circuit with all that belongs to it.
#[derive(Serialize)]
pub struct WholeCircuit {
    #[serde(flatten)]
    pub circuit: CircuitTold,
    pub edges: Vec<EdgeTold>,
    pub streams: StreamsTold,
}

impl Circuit {
    /// An event with a `circuit` among its fields.
    pub fn see(&mut self, entry: &Entry, circuit: u64) {
        (self.engine, self.id) = (entry.engine, circuit);
        match entry.kind.name {
            "Reported" => {
                self.reports += 1;
                self.see_window(entry);
            }
            "SendmeReceived" => {
                self.sendmes_received += 1;
                self.see_window(entry);
            }
            "SendmeSent" => self.sendmes_sent += 1,
            _ => self.see_edge(entry),
        }
    }

    /// A choice looked at it, as a leg of a set: the window and what is in flight are as true as a report's. The round
    /// trip is what the choice took for granted, and no measure.
    pub fn see_look(&mut self, entry: &Entry, circuit: u64) {
        (self.engine, self.id) = (entry.engine, circuit);
        self.see_in_flight(entry);
    }

    fn see_in_flight(&mut self, entry: &Entry) {
        self.cwnd.add(entry.get("cwnd").unwrap_or(0));
        self.in_flight.add(entry.get("in_flight").unwrap_or(0));
    }

    fn see_window(&mut self, entry: &Entry) {
        self.see_in_flight(entry);
        if let Some(rtt) = entry.get("rtt").filter(|&rtt| rtt > 0) {
            self.rtt.add(rtt);
        }
        let slow_start = entry.get("slow_start") == Some(1);
        if self.was_in_slow_start && !slow_start {
            self.slow_start_ended.get_or_insert(entry.time);
        }
        self.was_in_slow_start = slow_start;
    }

    fn see_edge(&mut self, entry: &Entry) {
        let side = entry.get("side").unwrap_or(0) as usize;
        let Some(edge) = self.edges.get_mut(side) else { return };
        edge.waiting_peak = edge.waiting_peak.max(entry.get("waiting").unwrap_or(0));
        match entry.kind.name {
            "FeedPaused" => edge.paused.begin(entry.time),
            "FeedUnpaused" => edge.paused.end(entry.time),
            "WritableChanged" if entry.get("writable") == Some(0) => edge.full.begin(entry.time),
            "WritableChanged" => edge.full.end(entry.time),
            "Waits" => edge.waited += 1,
            _ => {}
        }
    }

    /// An event of one of its streams.
    pub fn see_stream(&mut self, entry: &Entry, circuit: u64) {
        (self.engine, self.id) = (entry.engine, circuit);
        let names = ["StreamOpened", "StreamEnded", "XoffSent", "XoffReceived", "XonSent", "XonReceived"];
        if let Some(at) = names.iter().position(|name| *name == entry.kind.name) {
            self.streams[at] += 1;
        }
    }

    /// Its windows.
    pub fn told(&self) -> CircuitTold {
        CircuitTold {
            engine: self.engine,
            circuit: Hex(self.id),
            reports: self.reports,
            sendmes_sent: self.sendmes_sent,
            sendmes_received: self.sendmes_received,
            slow_start_ended: self.slow_start_ended,
            cwnd: self.cwnd.spread(),
            in_flight: self.in_flight.spread(),
            rtt_ns: self.rtt.spread(),
        }
    }

    /// All of it, where `last` is the time at which the trace ends.
    pub fn whole(&self, last: u64) -> WholeCircuit {
        let [opened, ended, xoff_sent, xoff_received, xon_sent, xon_received] = self.streams;
        let edge = |(side, edge): (&'static str, &Edge)| EdgeTold {
            side,
            waited: edge.waited,
            waiting_peak: edge.waiting_peak,
            paused: edge.paused.told(last),
            channel_full: edge.full.told(last),
        };
        WholeCircuit {
            circuit: self.told(),
            edges: ["back", "next"].into_iter().zip(&self.edges).map(edge).filter(EdgeTold::did_anything).collect(),
            streams: StreamsTold { opened, ended, xoff_sent, xoff_received, xon_sent, xon_received },
        }
    }
}

impl EdgeTold {
    fn did_anything(&self) -> bool {
        self.waited + self.waiting_peak + self.paused.count + self.channel_full.count > 0
    }
}
