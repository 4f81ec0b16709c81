//! What the page draws, as its data have it: a chart is lines over time, or rows of spans.

use super::bucket::{Axis, Count, Gauge, Span, Spans};
use serde::Serialize;

/// Part of the page: a set or a circuit, with its charts, which share the cursor and the range of time.
#[derive(Serialize, Debug)]
pub struct Section {
    pub title: String,
    /// A few words each: how many legs, how it ended.
    pub facts: Vec<String>,
    /// When the first bucket begins, and the width of each, in µs.
    pub from: u64,
    pub width: u64,
    pub count: usize,
    pub charts: Vec<Chart>,
}

#[derive(Serialize, Debug)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Chart {
    Lines(Lines),
    Rows(Rows),
}

/// Lines over time.
#[derive(Serialize, Debug, Default)]
pub struct Lines {
    pub title: String,
    /// What one sees, in a sentence.
    pub about: &'static str,
    pub unit: &'static str,
    /// The unit of the values in the data, in units of the chart.
    pub scale: f64,
    pub lines: Vec<Line>,
    /// Shaded areas.
    pub shades: Vec<Shade>,
    /// Marks at the upper edge.
    pub marks: Vec<Marks>,
}

/// How a line shows several buckets at once.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Their sum, for each second.
    #[default]
    Rate,
    /// Their mean.
    Mean,
    /// The last of them; a line of steps.
    Last,
    /// The highest of them.
    Max,
}

#[derive(Serialize, Debug, Default)]
pub struct Line {
    pub name: String,
    /// Which colour of the page.
    pub colour: usize,
    pub how: How,
    #[serde(skip_serializing_if = "is_false")]
    pub dashed: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub filled: bool,
    /// Drawn on top of the line before it.
    #[serde(skip_serializing_if = "is_false")]
    pub stacked: bool,
    pub values: Vec<Option<u64>>,
    /// The band around a line of means.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub low: Vec<Option<u64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub high: Vec<Option<u64>>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Times during which something was so: from and to, in µs, and for how many percent of that.
#[derive(Serialize, Debug)]
pub struct Shade {
    pub name: String,
    pub spans: Vec<(u64, u64, u64)>,
    /// How long in all, in µs.
    pub total: u64,
}

/// Moments: how many of them in which buckets.
#[derive(Serialize, Debug)]
pub struct Marks {
    pub name: String,
    pub colour: usize,
    pub total: u64,
    pub buckets: Vec<(usize, u64)>,
}

/// Rows, of which each is in some state at each time.
#[derive(Serialize, Debug)]
pub struct Rows {
    pub title: String,
    pub about: &'static str,
    pub states: Vec<State>,
    pub rows: Vec<Row>,
    /// How many rows are not drawn.
    pub left_out: u64,
}

/// How a state is drawn.
#[derive(Serialize, Debug)]
pub struct State {
    pub name: String,
    pub colour: usize,
    pub place: Place,
}

#[derive(Serialize, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Full,
    /// As high as the part of its time for which it was so.
    Share,
    /// Two states that may be at once.
    Upper,
    Lower,
    /// A thin line behind the others.
    Thin,
}

#[derive(Serialize, Debug)]
pub struct Row {
    pub name: String,
    /// From and to, in µs, which state, and for how many percent of that.
    pub spans: Vec<(u64, u64, usize, u64)>,
}

/// Colours that do not stand for a leg, a hop or a machine.
pub const PADDING_COLOUR: usize = 1;

/// Makes parts of charts for one axis.
pub struct Maker {
    pub axis: Axis,
    zero: u64,
    /// When the last event of the section came.
    pub last: u64,
}

impl Maker {
    pub fn new(axis: Axis, zero: u64, last: u64) -> Maker {
        Maker { axis, zero, last }
    }

    /// A section without charts.
    pub fn section(&self, title: String, facts: Vec<String>) -> Section {
        let (from, width) = (self.micros(self.axis.from), self.axis.width / 1000);
        Section { title, facts, from, width, count: self.axis.count, charts: Vec::new() }
    }

    fn micros(&self, time: u64) -> u64 {
        time.saturating_sub(self.zero) / 1000
    }

    fn spans(&self, spans: &[Span]) -> Vec<(u64, u64, u64)> {
        let part = |from: u64, to: u64, whole: u64| match to.saturating_sub(from) {
            0 => 100,
            len => (u128::from(whole) * 100).div_ceil(u128::from(len)).min(100) as u64,
        };
        spans.iter().map(|(from, to, whole)| (self.micros(*from), self.micros(*to), part(*from, *to, *whole))).collect()
    }

    /// A line of how many a second.
    pub fn rate(&self, name: String, colour: usize, count: &Count) -> Line {
        Line { name, colour, how: How::Rate, values: count.values(&self.axis), ..Line::default() }
    }

    /// A line of means, and a band from the lowest to the highest.
    pub fn mean(&self, name: String, colour: usize, gauge: &Gauge, unit: u64) -> Line {
        let measures = gauge.measures(unit);
        let (values, low, high) = (measures.mean, measures.min, measures.max);
        Line { name, colour, how: How::Mean, values, low, high, ..Line::default() }
    }

    /// A line of steps.
    pub fn steps(&self, name: String, colour: usize, gauge: &Gauge) -> Line {
        Line { name, colour, how: How::Last, dashed: true, values: gauge.lasting(), ..Line::default() }
    }

    /// The largest that was measured in each bucket.
    pub fn largest(&self, name: String, colour: usize, gauge: &Gauge) -> Line {
        Line { name, colour, how: How::Max, values: gauge.measures(1).max, ..Line::default() }
    }

    /// The highest of each bucket, as an area.
    pub fn highest(&self, name: String, colour: usize, gauge: &Gauge) -> Line {
        Line { name, colour, how: How::Max, filled: true, values: gauge.highest(), ..Line::default() }
    }

    pub fn shade(&self, name: &str, spans: &mut Spans) -> Option<Shade> {
        let drawn = self.spans(spans.finish(&self.axis, self.last));
        (!drawn.is_empty()).then(|| Shade { name: name.to_owned(), spans: drawn, total: spans.total / 1000 })
    }

    pub fn marks(&self, name: String, colour: usize, count: &Count) -> Option<Marks> {
        (count.total > 0).then(|| Marks { name, colour, total: count.total, buckets: count.filled().collect() })
    }

    /// A row of the spans of several states.
    pub fn row<'a>(&self, name: String, states: impl Iterator<Item = (usize, &'a [Span])>) -> Row {
        let mut spans: Vec<_> = states
            .flat_map(|(state, spans)| {
                self.spans(spans).into_iter().map(move |(from, to, part)| (from, to, state, part))
            })
            .collect();
        spans.sort_unstable();
        Row { name, spans }
    }
}

impl Section {
    /// Adds a chart, unless it has no lines.
    pub fn lines(&mut self, lines: Lines) {
        if !lines.lines.is_empty() {
            self.charts.push(Chart::Lines(lines));
        }
    }

    /// Adds a chart, unless no row has anything.
    pub fn rows(&mut self, rows: Rows) {
        if rows.rows.iter().any(|row| !row.spans.is_empty()) {
            self.charts.push(Chart::Rows(rows));
        }
    }
}
