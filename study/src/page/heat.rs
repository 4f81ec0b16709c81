//! Harm against the ratios of round trips and rates.

use super::Table;
use crate::choices::place_of;
use crate::group::{is_quiet, stock_of, Group};
use crate::measure::quantile;
use crate::row::Row;
use crate::table::show;
use serde::Serialize;

/// The round trip of the leg with the higher rate by that of the other.
const TRIPS: [(&str, f64); 9] = [
    ("below 1/8", 1.0 / 8.0),
    ("1/8 to 1/4", 1.0 / 4.0),
    ("1/4 to 1/2", 1.0 / 2.0),
    ("1/2 to 1", 1.0 / EQUAL),
    ("equal", EQUAL),
    ("1 to 2", 2.0),
    ("2 to 4", 4.0),
    ("4 to 8", 8.0),
    ("above 8", f64::INFINITY),
];

/// The higher rate by the other.
const RATES: [(&str, f64); 6] = [
    ("equal", EQUAL),
    ("1 to 2", 2.0),
    ("2 to 4", 4.0),
    ("4 to 8", 8.0),
    ("8 to 16", 16.0),
    ("above 16", f64::INFINITY),
];

/// Values that differ by less are equal.
const EQUAL: f64 = 1.05;

/// One algorithm's picture.
#[derive(Serialize)]
pub struct Heat {
    algorithm: &'static str,
    colour: usize,
    /// Worlds that are in it.
    worlds: usize,
    across: Vec<&'static str>,
    up: Vec<&'static str>,
    cells: Vec<Cell>,
    table: Table,
}

/// Worlds whose legs have like ratios. Nothing is told of harm that never ended: it is no number.
#[derive(Serialize)]
struct Cell {
    trip: usize,
    rate: usize,
    worlds: usize,
    median: Option<f64>,
    p95: Option<f64>,
}

/// A picture for each algorithm: two legs that stay as they are, downloads of 1 MiB and more.
pub fn heats(rows: &[Row]) -> Vec<Heat> {
    let stock = stock_of(rows);
    let groups = Group::of_each(rows, |row| is_quiet(row) && row.legs == 2 && row.bytes >= 1 << 20, &stock);
    groups.iter().map(|(algorithm, group)| heat(algorithm, group)).collect()
}

fn heat(algorithm: &'static str, group: &Group) -> Heat {
    let (mut cells, mut rows) = (Vec::new(), Vec::new());
    for (rate, (rates, _)) in RATES.iter().enumerate() {
        for (trip, (trips, _)) in TRIPS.iter().enumerate() {
            let harms = group.each(|row| row.harm().filter(|_| place(row) == (trip, rate)));
            if harms.is_empty() {
                continue;
            }
            let at = |hundredths| quantile(&harms, hundredths);
            let finite = |hundredths| at(hundredths).filter(|harm| harm.is_finite());
            cells.push(Cell { trip, rate, worlds: harms.len(), median: finite(50), p95: finite(95) });
            let words = [rates, trips].map(|text| (*text).to_owned());
            rows.push([&words[..], &[harms.len().to_string(), show(at(50)), show(at(95)), show(at(100))]].concat());
        }
    }
    let columns = ["rates", "round trips", "worlds", "harm: median", "95 %", "most"].map(String::from).to_vec();
    Heat {
        algorithm,
        colour: place_of(algorithm),
        worlds: cells.iter().map(|cell| cell.worlds).sum(),
        across: TRIPS.iter().map(|(text, _)| *text).collect(),
        up: RATES.iter().map(|(text, _)| *text).collect(),
        cells,
        table: Table { columns, rows },
    }
}

/// Where a world is in the picture. Of legs with equal rates the ratio of round trips is that of the farther one.
fn place(row: &Row) -> (usize, usize) {
    let (trips, rates) = (row.trip_ratio as f64 / 1000.0, row.rate_ratio as f64 / 1000.0);
    let trips = if row.fast_is_near && rates > EQUAL { 1.0 / trips } else { trips };
    let bin = |bins: &[(&str, f64)], value: f64| bins.iter().take_while(|(_, below)| value > *below).count();
    (bin(&TRIPS, trips), bin(&RATES, rates))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    fn of(trip_ratio: u64, rate_ratio: u64, fast_is_near: bool) -> Row {
        Row { trip_ratio, rate_ratio, fast_is_near, ..row("lowrtt") }
    }

    #[test]
    fn legs_have_their_places() {
        let place = |trips, rates, near| {
            let (trip, rate) = place(&of(trips, rates, near));
            (TRIPS[trip].0, RATES[rate].0)
        };
        assert_eq!(place(1000, 1000, false), ("equal", "equal"));
        assert_eq!(place(10_000, 20_000, true), ("below 1/8", "above 16"));
        assert_eq!(place(10_000, 20_000, false), ("above 8", "above 16"));
        assert_eq!(place(2000, 2000, false), ("1 to 2", "1 to 2"));
        assert_eq!(place(2000, 2001, true), ("1/4 to 1/2", "2 to 4"));
        assert_eq!(place(5000, 1000, true), ("4 to 8", "equal"));
        assert_eq!(place(1900, 4001, true), ("1/2 to 1", "4 to 8"));
    }

    #[test]
    fn a_cell_tells_of_its_worlds() {
        let world =
            |place, last_us| Row { place, last_us, alone_us: Some(100), bytes: 1 << 20, ..of(5000, 3000, false) };
        let mut rows: Vec<Row> =
            [50, 100, 300].iter().zip(0..).map(|(&last, place)| world(place, Some(last))).collect();
        rows.push(Row { bytes: 51_200, ..world(3, Some(9000)) });
        rows.push(Row { family: "changing".to_owned(), ..world(4, Some(9000)) });
        let heats = heats(&rows);
        assert_eq!((heats.len(), heats[0].worlds, heats[0].cells.len()), (1, 3, 1));
        let cell = &heats[0].cells[0];
        assert_eq!((TRIPS[cell.trip].0, RATES[cell.rate].0), ("4 to 8", "2 to 4"));
        assert_eq!((cell.median, cell.p95), (Some(1.0), Some(3.0)));
        assert_eq!(heats[0].table.rows, [["2 to 4", "4 to 8", "3", "1.00", "3.00", "3.00"]]);
    }

    #[test]
    fn what_never_ends_is_no_number() {
        let endless = Row { last_us: None, alone_us: Some(100), bytes: 1 << 20, ..of(1000, 1000, false) };
        let heats = heats(&[endless]);
        assert!(heats[0].cells[0].median.is_none());
        assert_eq!(heats[0].table.rows[0][3], "never");
    }
}
