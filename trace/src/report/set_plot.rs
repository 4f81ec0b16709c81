//! The second reading of a set: its legs, what it holds, and its streams, bucket by bucket.

use super::bucket::{Axis, Count, Gauge, Spans, States};
use super::chart::{Lines, Maker, Place, Rows, Section, Shade, State};
use super::stream_plot::StreamPlot;
use super::window_plot::{self, WindowPlot};
use crate::file::Entry;
use crate::holding::Holding;

/// More legs of one set are not drawn.
pub const LEGS_MAX: usize = 8;

/// The states of a leg in which nothing can be sent, as the choice sees them, by their numbers.
const STATES: [(u32, &str, usize); 4] =
    [(1, "not linked", 6), (2, "window full", 1), (3, "channel full", 3), (4, "blocked by padding", 4)];
const WINDOW_FULL: u32 = 2;
const CHANNEL_FULL: u32 = 3;

/// A set that moves so many times more the other way, as a download does, has no chart of this way.
const ONE_WAY: u64 = 1000;

pub struct SetPlot {
    axis: Axis,
    legs: Vec<LegPlot>,
    holding: Holding,
    depth: Gauge,
    memory: Gauge,
    refused: Spans,
    pub streams: StreamPlot,
}

struct LegPlot {
    id: u64,
    cells_in: Count,
    cells_out: Count,
    switches_in: Count,
    switches_out: Count,
    window: WindowPlot,
    states: States,
}

impl SetPlot {
    /// Draws these legs.
    pub fn new(axis: Axis, legs: impl Iterator<Item = u64>) -> SetPlot {
        let leg = |id| LegPlot {
            id,
            cells_in: Count::default(),
            cells_out: Count::default(),
            switches_in: Count::default(),
            switches_out: Count::default(),
            window: WindowPlot::default(),
            states: States::default(),
        };
        SetPlot {
            axis,
            legs: legs.map(leg).collect(),
            holding: Holding::default(),
            depth: Gauge::default(),
            memory: Gauge::default(),
            refused: Spans::default(),
            streams: StreamPlot::default(),
        }
    }

    /// An event of the set.
    pub fn see(&mut self, entry: &Entry) {
        let (axis, time) = (&self.axis, entry.time);
        let get = |name| entry.get(name).unwrap_or(0);
        match entry.kind.name {
            "Refused" => self.refused.begin(time),
            "MaySend" | "Sent" => self.refused.end(axis, time),
            "Held" => {
                self.holding.hold(time, get("number"), get("bytes"), get("held"));
                self.keep(time);
            }
            "Released" => {
                self.holding.release(time, get("number"), get("held"));
                self.keep(time);
            }
            "SetEnded" => self.end(time),
            _ => {}
        }
        if let Some(leg) = entry.get("leg") {
            self.of_leg(leg, entry);
        }
    }

    fn of_leg(&mut self, leg: u64, entry: &Entry) {
        let (axis, time) = (&self.axis, entry.time);
        let Some(leg) = self.legs.iter_mut().find(|plot| plot.id == leg) else { return };
        match entry.kind.name {
            "InOrder" | "Held" => leg.cells_in.add(axis, time),
            "Sent" => {
                leg.cells_out.add(axis, time);
                leg.states.enter(axis, time, None);
            }
            "SwitchReceived" => leg.switches_in.add(axis, time),
            "SwitchSent" => leg.switches_out.add(axis, time),
            "LegLost" => leg.states.enter(axis, time, None),
            "LegLinked" => leg.window.see(axis, entry),
            "LegLooked" => {
                leg.window.see(axis, entry);
                let state = entry.get("state").and_then(|state| u32::try_from(state).ok());
                leg.states.enter(axis, time, state.filter(|state| *state > 0));
            }
            _ => {}
        }
    }

    /// A report or a SENDME of a leg.
    pub fn see_window(&mut self, entry: &Entry) {
        let (axis, time) = (&self.axis, entry.time);
        let leg = entry.get("circuit").and_then(|id| self.legs.iter_mut().find(|plot| plot.id == id));
        let Some(leg) = leg else { return };
        leg.window.see(axis, entry);
        let is_full = entry.get("in_flight") >= entry.get("cwnd");
        let is_blocked = entry.get("blocked");
        match leg.states.now() {
            None if is_blocked == Some(1) => leg.states.enter(axis, time, Some(CHANNEL_FULL)),
            Some(CHANNEL_FULL) if is_blocked == Some(0) => leg.states.enter(axis, time, None),
            Some(WINDOW_FULL) if !is_full => leg.states.enter(axis, time, None),
            _ => {}
        }
    }

    fn keep(&mut self, time: u64) {
        self.depth.set(&self.axis, time, self.holding.depth);
        self.memory.set(&self.axis, time, self.holding.bytes);
    }

    fn end(&mut self, time: u64) {
        self.refused.end(&self.axis, time);
        for leg in &mut self.legs {
            leg.states.enter(&self.axis, time, None);
        }
    }

    /// Its charts.
    pub fn finish(mut self, maker: &Maker, section: &mut Section) {
        let (cells_in, cells_out) = (self.rates(maker, true), self.rates(maker, false));
        section.lines(cells_in);
        section.lines(cells_out);
        let shades: Vec<Shade> = self.refused_shade(maker).into_iter().collect();
        let windows: Vec<_> = self.legs.iter().enumerate().map(|(at, leg)| (name(at), at, &leg.window)).collect();
        for chart in window_plot::charts(maker, &windows, shades, Vec::new()) {
            section.lines(chart);
        }
        section.rows(self.states(maker));
        for chart in self.held(maker) {
            section.lines(chart);
        }
        section.rows(self.streams.chart(maker));
    }

    /// Cells in, or out, of each leg.
    fn rates(&mut self, maker: &Maker, is_in: bool) -> Lines {
        let shades = if is_in { None } else { self.refused_shade(maker) };
        let count = |leg: &LegPlot| if is_in { leg.cells_in.clone() } else { leg.cells_out.clone() };
        let switches = |leg: &LegPlot| if is_in { leg.switches_in.clone() } else { leg.switches_out.clone() };
        let sum = |of: fn(&LegPlot) -> u64| self.legs.iter().map(of).sum::<u64>();
        let (all_in, all_out) = (sum(|leg| leg.cells_in.total), sum(|leg| leg.cells_out.total));
        let (own, other) = if is_in { (all_in, all_out) } else { (all_out, all_in) };
        let any = own > 0 && own * ONE_WAY >= other;
        let legs = || self.legs.iter().enumerate().filter(|_| any);
        let words = if is_in { "SWITCH received on" } else { "SWITCH sent, to" };
        Lines {
            title: if is_in { "Cells in" } else { "Cells out" }.to_owned(),
            about: match is_in {
                true => "Messages that came on each leg. Marks: the peer's SWITCHes.",
                false => "Messages that went on each leg. Marks: our SWITCHes. Shaded: sending was refused, as no leg had room.",
            },
            unit: "cells/s",
            scale: 1.0,
            lines: legs().map(|(at, leg)| maker.rate(name(at), at, &count(leg))).collect(),
            shades: shades.into_iter().collect(),
            marks: legs()
                .filter_map(|(at, leg)| maker.marks(format!("{words} {}", name(at)), at, &switches(leg)))
                .collect(),
        }
    }

    fn refused_shade(&mut self, maker: &Maker) -> Option<Shade> {
        maker.shade("sending refused", &mut self.refused)
    }

    fn states(&mut self, maker: &Maker) -> Rows {
        let place = |state| STATES.iter().position(|(number, _, _)| *number == state);
        let rows = self.legs.iter_mut().enumerate().map(|(at, leg)| {
            let mut states = leg.states.finish(&maker.axis, maker.last).clone();
            let spans: Vec<_> = states
                .iter_mut()
                .filter_map(|(state, spans)| Some((place(*state)?, spans.finish(&maker.axis, maker.last).to_vec())))
                .collect();
            maker.row(name(at), spans.iter().map(|(state, spans)| (*state, spans.as_slice())))
        });
        let mut rows: Vec<_> = rows.collect();
        let refused = self.refused.finish(&maker.axis, maker.last);
        rows.push(maker.row("the whole set".to_owned(), [(STATES.len(), refused)].into_iter()));
        let state = |name: &str, colour| State { name: name.to_owned(), colour, place: Place::Share };
        let states = STATES.iter().map(|(_, name, colour)| state(name, *colour));
        Rows {
            title: "Blocked".to_owned(),
            about: "When a leg could not take a message, as the last choice saw it; and when the set refused messages. The \
                    height is the part of the time.",
            states: states.chain([state("sending refused", 7)]).collect(),
            rows,
            left_out: 0,
        }
    }

    fn held(&self, maker: &Maker) -> [Lines; 2] {
        let chart = |title: &str, about, unit, scale, name: &str, colour, gauge: &Gauge| Lines {
            title: title.to_owned(),
            about,
            unit,
            scale,
            lines: Some(maker.highest(name.to_owned(), colour, gauge))
                .into_iter()
                .filter(|_| !gauge.is_empty())
                .collect(),
            ..Lines::default()
        };
        let (depth, memory) = ("Messages that wait for others to come first.", "What these messages cost.");
        [
            chart("Reorder depth", depth, "messages", 1.0, "held", 2, &self.depth),
            chart("Memory held for order", memory, "KiB", 1.0 / 1024.0, "memory", 5, &self.memory),
        ]
    }
}

fn name(leg: usize) -> String {
    format!("leg {}", leg + 1)
}
