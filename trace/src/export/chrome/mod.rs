//! JSON for Perfetto and chrome://tracing. A set is a process with tracks for its holds, its blocks and each leg;
//! circuits that are no legs share a process for each engine. Windows, round trips and depths are counters.

mod tracks;

use super::json;
use super::Exporter;
use crate::file::Entry;
use circflow::event::Class;
use std::collections::HashMap;
use tracks::{Track, Tracks};

/// What is remembered of the events so far.
pub struct Chrome {
    tracks: Tracks,
    /// Processes: of sets, of each engine's circuits, and of its other things.
    sets: HashMap<(u32, u64), u32>,
    engines: HashMap<(u32, &'static str), u32>,
    circuits: HashMap<(u32, u64), Circuit>,
    /// The process of a stream's owner.
    streams: HashMap<(u32, u64), u32>,
    latest: i64,
}

/// What was written last of a circuit.
#[derive(Clone, Default)]
struct Circuit {
    pid: u32,
    /// "leg 0x..", or "circuit 0x..".
    name: String,
    is_leg: bool,
    window: Option<(u64, u64)>,
    rtt: u64,
    padding_sent: u64,
    padding_received: u64,
}

impl Chrome {
    pub fn new() -> Chrome {
        Chrome {
            tracks: Tracks::default(),
            sets: HashMap::new(),
            engines: HashMap::new(),
            circuits: HashMap::new(),
            streams: HashMap::new(),
            latest: 0,
        }
    }

    fn set(&mut self, engine: u32, set: u64, to: &mut String) -> u32 {
        let tracks = &mut self.tracks;
        let name = || format!("set {set:#x} of engine {engine}");
        *self.sets.entry((engine, set)).or_insert_with(|| tracks.process(&name(), to))
    }

    fn engine(&mut self, engine: u32, what: &'static str, to: &mut String) -> u32 {
        let tracks = &mut self.tracks;
        let name = || format!("{what} of engine {engine}");
        *self.engines.entry((engine, what)).or_insert_with(|| tracks.process(&name(), to))
    }

    fn circuit(&mut self, engine: u32, circuit: u64, to: &mut String) -> &mut Circuit {
        if !self.circuits.contains_key(&(engine, circuit)) {
            let pid = self.engine(engine, "circuits", to);
            let new = Circuit { pid, name: format!("circuit {circuit:#x}"), ..Circuit::default() };
            self.circuits.insert((engine, circuit), new);
        }
        self.circuits.entry((engine, circuit)).or_default()
    }

    /// A leg belongs to the process of its set, from the first event on that names both.
    fn join(&mut self, engine: u32, leg: u64, pid: u32) {
        let circuit = self.circuits.entry((engine, leg)).or_default();
        if !circuit.is_leg || circuit.pid != pid {
            *circuit = Circuit { pid, name: format!("leg {leg:#x}"), is_leg: true, ..circuit.clone() };
            circuit.window = None;
        }
    }

    fn see_set(&mut self, entry: &Entry, time: i64, to: &mut String) {
        let Some(set) = entry.get("set") else { return };
        let pid = self.set(entry.engine, set, to);
        let leg = entry.get("leg").inspect(|&leg| self.join(entry.engine, leg, pid));
        match (entry.kind.name, leg) {
            ("InOrder", _) => {}
            ("Sent" | "MaySend", _) => self.end_on(pid, "blocked", time, to),
            ("Refused", _) => self.begin_on(pid, "blocked", time, to),
            ("Held" | "Released", _) => self.see_held(entry, pid, time, to),
            ("HeldForSending", _) => {
                let waiting = entry.get("waiting").unwrap_or(0);
                self.tracks.count(pid, "held back by padding", time, &[("messages", waiting)], to);
            }
            ("LegLooked", Some(leg)) => self.see_window(entry, leg, time, to),
            (name, Some(leg)) => {
                let delta = || entry.get("delta").unwrap_or(0);
                let name = match name {
                    "SwitchSent" => format!("SWITCH sent, {}", delta()),
                    "SwitchReceived" => format!("SWITCH received, {}", delta()),
                    _ => name.to_owned(),
                };
                let track = self.tracks.track(pid, &format!("leg {leg:#x}"), to);
                self.moment(track, &name, entry, time, to);
            }
            (name, None) => {
                if name == "SetEnded" {
                    self.end_on(pid, "blocked", time, to);
                    self.end_on(pid, "held", time, to);
                }
                let track = self.tracks.track(pid, "set", to);
                self.moment(track, name, entry, time, to);
            }
        }
    }

    fn see_held(&mut self, entry: &Entry, pid: u32, time: i64, to: &mut String) {
        let held = entry.get("held").unwrap_or(0);
        self.tracks.count(pid, "held", time, &[("messages", held)], to);
        if entry.kind.name == "Held" {
            self.begin_on(pid, "held", time, to);
        } else if held == 0 {
            self.end_on(pid, "held", time, to);
        }
    }

    /// The counters of a window, where they have changed.
    fn see_window(&mut self, entry: &Entry, circuit: u64, time: i64, to: &mut String) {
        let window = (entry.get("cwnd").unwrap_or(0), entry.get("in_flight").unwrap_or(0));
        let rtt = entry.get("rtt").unwrap_or(0);
        let circuit = self.circuit(entry.engine, circuit, to);
        let (is_new_window, is_new_rtt) = (circuit.window != Some(window), rtt > 0 && circuit.rtt != rtt);
        circuit.window = Some(window);
        if rtt > 0 {
            circuit.rtt = rtt;
        }
        let (pid, name) = (circuit.pid, circuit.name.clone());
        if is_new_window {
            let values = [("cwnd", window.0), ("in_flight", window.1)];
            self.tracks.count(pid, &format!("{name} window"), time, &values, to);
        }
        if is_new_rtt {
            self.tracks.count(pid, &format!("{name} rtt"), time, &[("us", rtt / 1_000)], to);
        }
    }

    fn see_circuit(&mut self, entry: &Entry, time: i64, to: &mut String) {
        let Some(id) = entry.get("circuit") else { return };
        let hop = match (entry.get("hop").unwrap_or(0), entry.get("slot")) {
            (hop, None | Some(0)) => hop.to_string(),
            (hop, Some(slot)) => format!("{hop}.{slot}"),
        };
        match entry.kind.name {
            "Reported" | "SendmeReceived" => return self.see_window(entry, id, time, to),
            "SendmeSent" | "PaddingEvent" | "TimerSet" | "TimerFired" | "TimerCancelled" => return,
            "FeedPaused" | "FeedUnpaused" | "WritableChanged" | "Waits" => return self.see_edge(entry, id, time, to),
            _ => {}
        }
        let circuit = self.circuit(entry.engine, id, to);
        let (pid, name) = (circuit.pid, circuit.name.clone());
        match entry.kind.name {
            "PaddingSent" | "PaddingReceived" => {
                *(if entry.kind.name == "PaddingSent" {
                    &mut circuit.padding_sent
                } else {
                    &mut circuit.padding_received
                }) += 1;
                let values = [("sent", circuit.padding_sent), ("received", circuit.padding_received)];
                self.tracks.count(pid, &format!("{name} padding"), time, &values, to);
            }
            "BlockBegan" => self.begin_on(pid, &format!("{name} hop {hop} blocked by padding"), time, to),
            "BlockEnded" => self.end_on(pid, &format!("{name} hop {hop} blocked by padding"), time, to),
            "StateChanged" => {
                let (machine, state) = (entry.get("machine").unwrap_or(0), entry.get("to").unwrap_or(0));
                let track = self.tracks.track(pid, &format!("{name} hop {hop} machine {machine}"), to);
                self.tracks.end(track, time, to);
                self.tracks.begin(track, &format!("state {state}"), time);
            }
            other => {
                let track = self.tracks.track(pid, &name, to);
                self.moment(track, other, entry, time, to);
            }
        }
    }

    fn see_edge(&mut self, entry: &Entry, id: u64, time: i64, to: &mut String) {
        let side = ["back", "next"][usize::from(entry.get("side") == Some(1))];
        let circuit = self.circuit(entry.engine, id, to);
        let (pid, name) = (circuit.pid, circuit.name.clone());
        let waiting = entry.get("waiting").unwrap_or(0);
        self.tracks.count(pid, &format!("{name} {side} edge"), time, &[("waiting", waiting)], to);
        match (entry.kind.name, entry.get("writable")) {
            ("FeedPaused", _) => self.begin_on(pid, &format!("{name} {side} edge, source paused"), time, to),
            ("FeedUnpaused", _) => self.end_on(pid, &format!("{name} {side} edge, source paused"), time, to),
            (_, Some(0)) => self.begin_on(pid, &format!("{name} {side} edge, channel full"), time, to),
            (_, Some(_)) => self.end_on(pid, &format!("{name} {side} edge, channel full"), time, to),
            _ => {}
        }
    }

    fn see_stream(&mut self, entry: &Entry, time: i64, to: &mut String) {
        let Some(stream) = entry.get("stream") else { return };
        let pid = match entry.get("owner") {
            Some(owner) => match self.sets.get(&(entry.engine, owner)) {
                Some(&pid) => pid,
                None => self.circuit(entry.engine, owner, to).pid,
            },
            None => match self.streams.get(&(entry.engine, stream)) {
                Some(&pid) => pid,
                None => self.engine(entry.engine, "circuits", to),
            },
        };
        if entry.kind.name == "StreamEnded" {
            self.streams.remove(&(entry.engine, stream));
        } else {
            self.streams.insert((entry.engine, stream), pid);
        }
        let track = self.tracks.track(pid, "streams", to);
        self.moment(track, entry.kind.name, entry, time, to);
    }

    fn begin_on(&mut self, pid: u32, name: &str, time: i64, to: &mut String) {
        let track = self.tracks.track(pid, name, to);
        self.tracks.begin(track, name, time);
    }

    fn end_on(&mut self, pid: u32, name: &str, time: i64, to: &mut String) {
        if let Some(track) = self.tracks.lasting(pid, name) {
            self.tracks.end(track, time, to);
        }
    }

    fn moment(&mut self, track: Track, name: &str, entry: &Entry, time: i64, to: &mut String) {
        let mut args = String::new();
        json::fields(entry, "", &mut args);
        self.tracks.moment(track, name, time, &args, to);
    }
}

impl Exporter for Chrome {
    fn begin(&mut self, to: &mut String) {
        to.push_str("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    }

    fn event(&mut self, entry: &Entry, time: i64, to: &mut String) {
        self.latest = self.latest.max(time);
        match entry.kind.class {
            Class::Sets | Class::Messages | Class::Choice => self.see_set(entry, time, to),
            Class::Windows | Class::Edges | Class::Padding | Class::States => self.see_circuit(entry, time, to),
            Class::Streams => self.see_stream(entry, time, to),
            Class::Hub => {}
            Class::Memory | Class::Faults | Class::Host => {
                let pid = self.engine(entry.engine, "faults, memory and clock", to);
                let track = self.tracks.track(pid, "moments", to);
                self.moment(track, entry.kind.name, entry, time, to);
            }
        }
    }

    fn end(&mut self, to: &mut String) {
        self.tracks.end_all(self.latest, to);
        to.push_str("\n]}\n");
    }
}
