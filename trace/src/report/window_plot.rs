//! Round trip, window and cells in flight, of a leg or of a hop.

use super::bucket::{Axis, Gauge};
use super::chart::{Lines, Maker, Marks, Shade};
use crate::file::Entry;

/// Fewer buckets, as those of a handshake and the first choice, are figures of the table of legs, and no line.
const LINE_MIN: usize = 4;

#[derive(Default)]
pub struct WindowPlot {
    rtt: Gauge,
    cwnd: Gauge,
    in_flight: Gauge,
}

impl WindowPlot {
    pub fn see(&mut self, axis: &Axis, entry: &Entry) {
        if let Some(rtt) = entry.get("rtt").filter(|rtt| *rtt > 0) {
            self.rtt.set(axis, entry.time, rtt);
        }
        if let Some(cwnd) = entry.get("cwnd") {
            self.cwnd.set(axis, entry.time, cwnd);
        }
        if let Some(in_flight) = entry.get("in_flight") {
            self.in_flight.set(axis, entry.time, in_flight);
        }
    }
}

/// The charts of several legs or hops, each with its name and colour.
pub fn charts(
    maker: &Maker,
    plots: &[(String, usize, &WindowPlot)],
    shades: Vec<Shade>,
    marks: Vec<Marks>,
) -> [Lines; 2] {
    let is_line = |gauge: fn(&WindowPlot) -> &Gauge| plots.iter().any(|(_, _, plot)| gauge(plot).filled() >= LINE_MIN);
    let (has_rtt, has_windows) = (is_line(|plot| &plot.rtt), is_line(|plot| &plot.cwnd));
    let rtt = plots.iter().filter(|(_, _, plot)| has_rtt && !plot.rtt.is_empty());
    let rtt = rtt.map(|(name, colour, plot)| maker.mean(name.clone(), *colour, &plot.rtt, 1000)).collect();
    let windows = plots.iter().filter(|(_, _, plot)| has_windows && !plot.cwnd.is_empty());
    let windows = windows.flat_map(|(name, colour, plot)| {
        let in_flight = maker.largest(format!("{name} in flight, largest"), *colour, &plot.in_flight);
        [maker.steps(format!("{name} window"), *colour, &plot.cwnd), in_flight]
    });
    [
        Lines {
            title: "Round trip".to_owned(),
            about: "Mean, and the band from the shortest to the longest.",
            unit: "ms",
            scale: 1e-3,
            lines: rtt,
            ..Lines::default()
        },
        Lines {
            title: "Window and cells in flight".to_owned(),
            about: "What may be under way (dashed), and the most that was. Where both meet, the window was full.",
            unit: "cells",
            scale: 1.0,
            lines: windows.collect(),
            shades,
            marks,
        },
    ]
}
