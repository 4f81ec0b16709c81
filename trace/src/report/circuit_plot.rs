//! The second reading of a circuit: its padding hop by hop, its windows, its edges, and its streams.

use super::bucket::{Axis, Count, Gauge, Spans, States};
use super::chart::{Line, Lines, Maker, Place, Rows, Section, State, PADDING_COLOUR};
use super::place::{self, PadderPlace, Places};
use super::stream_plot::StreamPlot;
use super::window_plot::{self, WindowPlot};
use crate::file::Entry;
use circflow::event::Class;
use std::collections::BTreeMap;

/// More hops, or padders, of one circuit are not drawn.
pub const HOPS_MAX: usize = 4;
/// More machines of one padder are not drawn.
const MACHINES_MAX: usize = 6;
/// maybenot's state in which a machine has ended.
const STATE_END: u32 = u32::MAX;
/// Colours that a page has. States beyond take them in turn.
const COLOURS: usize = 8;

pub struct CircuitPlot {
    axis: Axis,
    /// A leg's windows are drawn with its set.
    is_leg: bool,
    windows: BTreeMap<u64, WindowPlot>,
    padders: BTreeMap<PadderPlace, PadderPlot>,
    places: Places,
    /// Back and next.
    edges: [EdgePlot; 2],
    pub streams: StreamPlot,
}

#[derive(Default)]
struct PadderPlot {
    real: [Count; 2],
    padding: [Count; 2],
    wire: Count,
    refused: Count,
    blocked: Spans,
    machines: BTreeMap<u32, States>,
    machines_left_out: u64,
}

const OUT: usize = 0;
const IN: usize = 1;

#[derive(Default)]
struct EdgePlot {
    waiting: Gauge,
    paused: Spans,
    full: Spans,
}

impl CircuitPlot {
    pub fn new(axis: Axis, is_leg: bool) -> CircuitPlot {
        CircuitPlot {
            axis,
            is_leg,
            windows: BTreeMap::new(),
            padders: BTreeMap::new(),
            places: Places::default(),
            edges: <[EdgePlot; 2]>::default(),
            streams: StreamPlot::default(),
        }
    }

    /// An event of the circuit.
    pub fn see(&mut self, entry: &Entry) {
        let (axis, hop) = (&self.axis, entry.get("hop").unwrap_or(0));
        match entry.kind.class {
            Class::Padding | Class::States => {
                let place = self.places.of(entry).filter(|place| has_room(&self.padders, *place));
                if let Some(place) = place {
                    self.padders.entry(place).or_default().see(axis, entry);
                }
            }
            Class::Windows if !self.is_leg && has_room(&self.windows, hop) => {
                self.windows.entry(hop).or_default().see(axis, entry);
            }
            Class::Edges => {
                let side = usize::try_from(entry.get("side").unwrap_or(0)).unwrap_or(usize::MAX);
                if let Some(edge) = self.edges.get_mut(side) {
                    edge.see(axis, entry);
                }
            }
            _ => {}
        }
    }

    /// Its charts.
    pub fn finish(mut self, maker: &Maker, section: &mut Section) {
        for (place, padder) in &mut self.padders {
            padder.finish(maker, section, &place::name(*place));
        }
        let windows: Vec<_> =
            self.windows.iter().enumerate().map(|(at, (hop, plot))| (format!("hop {hop}"), at, plot)).collect();
        for chart in window_plot::charts(maker, &windows, Vec::new(), Vec::new()) {
            section.lines(chart);
        }
        self.finish_edges(maker, section);
        section.rows(self.streams.chart(maker));
    }

    fn finish_edges(&mut self, maker: &Maker, section: &mut Section) {
        let names = ["back", "next"];
        let used = self.edges.iter().enumerate().filter(|(_, edge)| !edge.waiting.is_empty());
        let lines = used.map(|(side, edge)| maker.highest(names[side].to_owned(), side, &edge.waiting)).collect();
        section.lines(Lines {
            title: "Cells that wait at the edges".to_owned(),
            about: "Back is the client's side. They wait while the channel takes none.",
            unit: "cells",
            scale: 1.0,
            lines,
            ..Lines::default()
        });
        let rows = self.edges.iter_mut().zip(names).map(|(edge, name)| {
            let spans = [&mut edge.full, &mut edge.paused].map(|spans| spans.finish(&maker.axis, maker.last));
            maker.row(name.to_owned(), spans.into_iter().enumerate())
        });
        let state = |name: &str, colour, place| State { name: name.to_owned(), colour, place };
        let states = vec![
            state("the channel takes no cells", 3, Place::Upper),
            state("the source of cells is paused", 1, Place::Lower),
        ];
        let about =
            "When a channel was full, and when the source of its cells was asked to pause. The height is the part of \
                     the time.";
        section.rows(Rows { title: "Edges".to_owned(), about, states, rows: rows.collect(), left_out: 0 });
    }
}

fn has_room<K: Ord, T>(hops: &BTreeMap<K, T>, hop: K) -> bool {
    hops.len() < HOPS_MAX || hops.contains_key(&hop)
}

impl EdgePlot {
    fn see(&mut self, axis: &Axis, entry: &Entry) {
        let time = entry.time;
        if let Some(waiting) = entry.get("waiting") {
            self.waiting.set(axis, time, waiting);
        }
        match (entry.kind.name, entry.get("writable")) {
            ("FeedPaused", _) => self.paused.begin(time),
            ("FeedUnpaused", _) => self.paused.end(axis, time),
            ("WritableChanged", Some(0)) => self.full.begin(time),
            ("WritableChanged", _) => self.full.end(axis, time),
            _ => {}
        }
    }
}

impl PadderPlot {
    fn see(&mut self, axis: &Axis, entry: &Entry) {
        let time = entry.time;
        let get = |name| entry.get(name).unwrap_or(0);
        let small = |name| u32::try_from(get(name)).unwrap_or(u32::MAX);
        match (entry.kind.name, get("what")) {
            ("PaddingEvent", 1) => self.real[OUT].add(axis, time),
            ("PaddingEvent", 2) => self.real[IN].add(axis, time),
            ("PaddingEvent", 5) => self.wire.add(axis, time),
            ("PaddingSent", _) => self.padding[OUT].add(axis, time),
            ("PaddingReceived", _) => self.padding[IN].add(axis, time),
            ("PaddingRefused", _) => self.refused.add(axis, time),
            ("BlockBegan", _) => self.blocked.begin(time),
            ("BlockEnded", _) => self.blocked.end(axis, time),
            ("StateChanged", _) => self.enter(axis, time, small("machine"), Some(small("to"))),
            // Machines begin in their first state.
            ("PadderAdded", _) => (0..small("machines").min(MACHINES_MAX as u32 + 1))
                .for_each(|machine| self.enter(axis, time, machine, Some(0))),
            ("PadderRemoved", _) => {
                self.blocked.end(axis, time);
                self.machines.values_mut().for_each(|states| states.enter(axis, time, None));
            }
            _ => {}
        }
    }

    fn enter(&mut self, axis: &Axis, time: u64, machine: u32, state: Option<u32>) {
        if self.machines.len() < MACHINES_MAX || self.machines.contains_key(&machine) {
            self.machines.entry(machine).or_default().enter(axis, time, state);
        } else {
            self.machines_left_out = self.machines_left_out.max(u64::from(machine) + 1 - MACHINES_MAX as u64);
        }
    }

    fn finish(&mut self, maker: &Maker, section: &mut Section, place: &str) {
        let (out, in_) = (self.cells(maker, OUT, place), self.cells(maker, IN, place));
        section.lines(out);
        section.lines(in_);
        section.rows(self.states(maker, place));
    }

    fn cells(&mut self, maker: &Maker, way: usize, place: &str) -> Lines {
        let (real, padding) = (&self.real[way], &self.padding[way]);
        let mut lines = Vec::new();
        if real.total + padding.total > 0 {
            lines.push(Line { filled: true, ..maker.rate("real cells".to_owned(), 0, real) });
        }
        if padding.total > 0 {
            let line = maker.rate("padding".to_owned(), PADDING_COLOUR, padding);
            lines.push(Line { filled: true, stacked: true, ..line });
        }
        if way == OUT && self.wire.total > 0 {
            lines.push(Line { dashed: true, ..maker.rate("on the wire".to_owned(), 7, &self.wire) });
        }
        let is_out = way == OUT;
        let shades = maker.shade("padding blocks", &mut self.blocked).filter(|_| is_out);
        let marks = maker.marks("padding refused".to_owned(), 3, &self.refused).filter(|_| is_out);
        Lines {
            title: format!("Cells {} with padding, {place}", if is_out { "out" } else { "in" }),
            about: match is_out {
                true => "Real cells with padding on top. Shaded: a machine blocks, and cells wait.",
                false => "Real cells with padding on top.",
            },
            unit: "cells/s",
            scale: 1.0,
            lines,
            shades: shades.into_iter().collect(),
            marks: marks.into_iter().collect(),
        }
    }

    fn states(&mut self, maker: &Maker, place: &str) -> Rows {
        let mut numbers: Vec<u32> = Vec::new();
        let mut spans = Vec::new();
        for (machine, states) in &mut self.machines {
            let mut states = states.finish(&maker.axis, maker.last).clone();
            numbers.extend(states.keys());
            let drawn =
                states.iter_mut().map(|(state, spans)| (*state, spans.finish(&maker.axis, maker.last).to_vec()));
            spans.push((*machine, drawn.collect::<Vec<_>>()));
        }
        numbers.sort_unstable();
        numbers.dedup();
        let rows = spans.iter().map(|(machine, states)| {
            let at = |state: &u32| numbers.binary_search(state).unwrap_or(0);
            maker.row(format!("machine {machine}"), states.iter().map(|(state, spans)| (at(state), spans.as_slice())))
        });
        let name = |state: &u32| if *state == STATE_END { "ended".to_owned() } else { format!("state {state}") };
        let states = numbers.iter().enumerate();
        let states = states.map(|(at, state)| State { name: name(state), colour: at % COLOURS, place: Place::Full });
        Rows {
            title: format!("Machine states, {place}"),
            about: "The state of each machine. States that change faster than a point is wide lie over each other.",
            states: states.collect(),
            rows: rows.collect(),
            left_out: self.machines_left_out,
        }
    }
}
