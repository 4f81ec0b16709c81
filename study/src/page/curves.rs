//! Charts of a group: how many worlds stay below a value, and the share of SWITCHes against what is gained.

use super::Table;
use crate::choices::place_of;
use crate::group::{held, sorted, Group};
use crate::measure::quantile;
use crate::row::Row;
use crate::table::show;
use serde::Serialize;

/// Values along the lower axis at which a curve is known.
const POINTS: usize = 160;

/// Of the worlds so many hundredths are better than the value in the table.
const QUANTILES: [usize; 7] = [5, 25, 50, 75, 95, 99, 100];

/// Bins of goodput ÷ rates.
const BINS: usize = 20;

#[derive(Serialize)]
pub struct Chart {
    title: &'static str,
    about: &'static str,
    /// What the axes are.
    across: &'static str,
    up: &'static str,
    /// The lower axis is logarithmic.
    log: bool,
    /// A value of the lower axis that is marked.
    mark: Option<f64>,
    /// Points are joined although some between them are missing, and each is shown.
    points: bool,
    x: Vec<f64>,
    lines: Vec<Line>,
    table: Table,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    colour: usize,
    values: Vec<Option<f64>>,
}

/// What a curve of worlds is about. A value is none where there is none to have, and infinite where it never comes.
struct Measure {
    title: &'static str,
    about: &'static str,
    across: &'static str,
    mark: Option<f64>,
    /// Smaller values are shown as this one.
    least: f64,
    value: fn(&Row) -> Option<f64>,
}

const MEASURES: [Measure; 4] = [
    Measure {
        title: "Harm: the time to the last byte by that over the best leg alone",
        about:
            "Left of 1, more legs are quicker than one. A curve is better the further left it is; what is missing to \
                100 % on the right died or did not end.",
        across: "time ÷ alone",
        mark: Some(1.0),
        least: 0.01,
        value: harm_or_never,
    },
    Measure {
        title: "Time to the last byte",
        about: "Worlds differ in their legs and sizes: compare curves, not their places.",
        across: "seconds",
        mark: None,
        least: 0.001,
        value: |row| Some(row.last_us.filter(|_| !row.died).map_or(f64::INFINITY, |time| time as f64 / 1e6)),
    },
    Measure {
        title: "Reorder memory: messages that the receiver holds for order",
        about:
            "At 95 % of the time of a transfer. Each costs its receiver up to 514 bytes. Worlds in which none is held \
                stand at 1.",
        across: "messages",
        mark: None,
        least: 1.0,
        value: held,
    },
    Measure {
        title: "Delay of messages on an interactive stream beside the transfer",
        about: "Of a message of one cell every 200 ms, at 95 % of them.",
        across: "milliseconds",
        mark: None,
        least: 0.001,
        value: |row| row.talk_p95_us.map(|delay| delay as f64 / 1e3),
    },
];

/// Sets that died have taken for ever; worlds without a leg that can do it alone are left out.
fn harm_or_never(row: &Row) -> Option<f64> {
    row.alone_us?;
    row.harm().or(Some(f64::INFINITY))
}

pub fn charts(groups: &[(&'static str, Group)]) -> Vec<Chart> {
    let mut charts: Vec<Chart> = MEASURES.iter().filter_map(|measure| of_worlds(measure, groups)).collect();
    charts.extend(switches(groups));
    charts
}

/// How many of a group's worlds stay below each value. None when no world has a value.
fn of_worlds(measure: &Measure, groups: &[(&'static str, Group)]) -> Option<Chart> {
    let values: Vec<(&str, Vec<f64>)> = groups
        .iter()
        .map(|(name, group)| (*name, group.each(measure.value)))
        .filter(|(_, values)| !values.is_empty())
        .collect();
    let finite = || values.iter().flat_map(|(_, values)| values).filter(|value| value.is_finite());
    let low = finite().copied().reduce(f64::min)?.max(measure.least);
    let high = finite().copied().reduce(f64::max)?.max(low * 1.5);
    let x = grid(low, high, measure.mark);
    let line = |(name, values): &(&'static str, Vec<f64>)| {
        let share = |&x: &f64| values.partition_point(|&value| value <= x) as f64 / values.len() as f64;
        let values = x.iter().map(|x| Some(rounded(100.0 * share(x), 1))).collect();
        Line { name, colour: place_of(name), values }
    };
    let lines = values.iter().map(line).collect();
    let mut columns = vec!["algorithm".to_owned(), "worlds".to_owned()];
    columns.extend(QUANTILES.iter().map(|hundredths| match hundredths {
        50 => "median".to_owned(),
        100 => "most".to_owned(),
        _ => format!("{hundredths} %"),
    }));
    let row = |(name, values): &(&'static str, Vec<f64>)| {
        let mut row = vec![(*name).to_owned(), values.len().to_string()];
        row.extend(QUANTILES.iter().map(|&hundredths| show(quantile(values, hundredths))));
        row
    };
    let table = Table { columns, rows: values.iter().map(row).collect() };
    let &Measure { title, about, across, mark, .. } = measure;
    Some(Chart { title, about, across, up: "% of worlds", log: true, mark, points: false, x, lines, table })
}

/// Values from the lowest to the highest, each larger than the one before by the same factor; the mark among them.
fn grid(low: f64, high: f64, mark: Option<f64>) -> Vec<f64> {
    let step = (high / low).ln() / (POINTS - 1) as f64;
    let mut x: Vec<f64> = (0..POINTS).map(|point| significant(low * (step * point as f64).exp())).collect();
    // Both ends as they are, so that all of the values lie within.
    (x[0], x[POINTS - 1]) = (low, high);
    x.extend(mark.filter(|&mark| low < mark && mark < high));
    x.sort_by(f64::total_cmp);
    x.dedup();
    x
}

/// The share of SWITCHes of those worlds that get a like part of what the legs could do.
fn switches(groups: &[(&'static str, Group)]) -> Option<Chart> {
    let binned: Vec<(&str, Vec<Vec<f64>>)> = groups.iter().map(|(name, group)| (*name, bins(group))).collect();
    let used: Vec<usize> = (0..BINS).filter(|&bin| binned.iter().any(|(_, bins)| !bins[bin].is_empty())).collect();
    if used.is_empty() {
        return None;
    }
    let middle = |bin: usize| rounded((bin as f64 + 0.5) / BINS as f64, 3);
    let line = |(name, bins): &(&'static str, Vec<Vec<f64>>)| {
        let values = used.iter().map(|&bin| quantile(&bins[bin], 50).map(|share| rounded(share, 3))).collect();
        Line { name, colour: place_of(name), values }
    };
    let mut table = Table {
        columns: ["algorithm", "goodput ÷ rates", "worlds", "SWITCH %: median", "95 %"].map(String::from).to_vec(),
        rows: Vec::new(),
    };
    for (name, bins) in &binned {
        for (bin, shares) in bins.iter().enumerate().filter(|(_, shares)| !shares.is_empty()) {
            let range = format!("{:.2} to {:.2}", bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64);
            let at = |hundredths| show(quantile(shares, hundredths));
            table.rows.push(vec![(*name).to_owned(), range, shares.len().to_string(), at(50), at(95)]);
        }
    }
    Some(Chart {
        title: "Share of SWITCH cells against goodput",
        about:
            "Worlds are sorted by the goodput of the set ÷ the sum of its legs' rates. A point is the median of those \
                worlds that come out alike in that; lower is cheaper.",
        across: "goodput ÷ rates",
        up: "% SWITCH",
        log: false,
        mark: None,
        points: true,
        x: used.iter().map(|&bin| middle(bin)).collect(),
        lines: binned.iter().map(line).collect(),
        table,
    })
}

/// Shares of SWITCHes in hundredths, sorted, by goodput ÷ rates. Worlds without an end have no goodput.
fn bins(group: &Group) -> Vec<Vec<f64>> {
    let mut bins = vec![Vec::new(); BINS];
    for row in &group.rows {
        if let Some(goodput) = row.goodput() {
            let bin = (goodput * BINS as f64) as usize;
            bins[bin.min(BINS - 1)].push(100.0 * row.switch_share());
        }
    }
    bins.into_iter().map(|shares| sorted(shares.into_iter())).collect()
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// With four digits.
fn significant(value: f64) -> f64 {
    rounded(value, 3 - value.log10().floor() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::stock_of;
    use crate::row::tests::row;

    fn chart_of(rows: &[Row], measure: &Measure) -> Option<Chart> {
        let stock = stock_of(rows);
        of_worlds(measure, &Group::of_each(rows, |_| true, &stock))
    }

    #[test]
    fn a_curve_says_how_many_worlds_stay_below() {
        let at = |place: u64, last_us| Row { place, last_us: Some(last_us), alone_us: Some(100), ..row("lowrtt") };
        let dead = Row { place: 4, died: true, last_us: None, alone_us: Some(100), ..row("lowrtt") };
        let rows = [at(0, 50), at(1, 100), at(2, 200), at(3, 400), dead];
        let chart = chart_of(&rows, &MEASURES[0]).unwrap();
        let share = |wanted: f64| {
            let at = chart.x.iter().position(|&x| x == wanted).unwrap();
            chart.lines[0].values[at].unwrap()
        };
        assert_eq!((share(0.5), share(1.0), share(4.0)), (20.0, 40.0, 80.0));
        assert_eq!(chart.table.rows[0][1..5], ["5", "1.00", "1.00", "2.00"]);
        assert_eq!(chart.table.rows[0].last().unwrap(), "never");
    }

    #[test]
    fn what_no_world_has_is_not_drawn() {
        assert!(chart_of(&[row("lowrtt")], &MEASURES[3]).is_none());
        let never = Row { last_us: None, alone_us: Some(100), ..row("lowrtt") };
        assert!(chart_of(&[never], &MEASURES[0]).is_none());
    }

    #[test]
    fn one_value_makes_a_curve_too() {
        let one = Row { last_us: Some(100), alone_us: Some(100), ..row("lowrtt") };
        let chart = chart_of(&[one], &MEASURES[0]).unwrap();
        assert!(chart.x.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(chart.lines[0].values.first(), Some(&Some(100.0)));
    }

    #[test]
    fn nothing_held_stands_at_one() {
        let rows = [0, 0, 10, 100].map(|held_p95| Row { held_p95, place: held_p95, ..row("lowrtt") });
        let chart = chart_of(&rows, &MEASURES[2]).unwrap();
        assert_eq!((chart.x[0], chart.lines[0].values[0]), (1.0, Some(50.0)));
    }

    #[test]
    fn switches_are_sorted_by_what_is_gained() {
        let at = |place: u64, last_us, switches| Row {
            place,
            last_us,
            switches,
            data: 100 - switches,
            bytes: 1_000_000,
            rates: 8_000_000,
            ..row("lowrtt")
        };
        let rows = [at(0, Some(1_000_000), 4), at(1, Some(2_000_000), 2), at(2, Some(2_010_000), 3), at(3, None, 9)];
        let stock = stock_of(&rows);
        let chart = switches(&Group::of_each(&rows, |_| true, &stock)).unwrap();
        assert_eq!(chart.x, [0.475, 0.525, 0.975]);
        assert_eq!(chart.lines[0].values, [Some(3.0), Some(2.0), Some(4.0)]);
        assert_eq!(chart.table.rows.len(), 3);
    }
}
