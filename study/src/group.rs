//! Groups of worlds, and what is reckoned of an algorithm's rows in each.

use crate::choices::{Choice, CHOICES, STOCK};
use crate::measure::quantile;
use crate::row::Row;
use std::collections::BTreeMap;

pub type Filter = fn(&Row) -> bool;

/// A gap between the stock rule and the bound that is smaller than this part of the bound is none.
pub const GAP_MIN: f64 = 0.05;

/// The groups of worlds, each with what it is called. The first two are the two directions apart: the sender runs
/// circflow with the algorithm, and the other end is as a stock one.
pub const GROUPS: [(&str, Filter); 21] = [
    ("an exit running circflow for a stock client (downloads, 1M)", |row| is_quiet(row) && row.work == "1M"),
    ("a client running circflow for a stock exit (uploads)", |row| row.work.starts_with("up")),
    ("static, all downloads", is_static),
    ("static, 1M and more", is_bulk),
    ("static, 50K", |row| is_static(row) && row.work == "50K"),
    ("static, 1M", |row| is_static(row) && row.work == "1M"),
    ("static, 5M", |row| is_static(row) && row.work == "5M"),
    ("static, 50M", |row| is_static(row) && row.work == "50M"),
    ("static, equal legs, 1M and more", |row| is_bulk(row) && is_equal(row)),
    ("static, equal legs, 50M", |row| is_bulk(row) && is_equal(row) && row.work == "50M"),
    ("static, unequal legs, 50M", |row| is_bulk(row) && !is_equal(row) && row.work == "50M"),
    ("static, rates differ by 4 and more, 1M and more", |row| is_bulk(row) && row.rate_ratio >= 4000),
    ("static, three legs", |row| is_static(row) && row.legs == 3),
    ("static, bottleneck at the exit", |row| is_static(row) && row.world.contains("/near")),
    ("shared with other circuits", |row| row.world.contains("/rivals")),
    ("cross traffic", |row| row.world.contains("/cross")),
    ("pages", |row| row.work.starts_with("page")),
    ("interactive beside 5M", |row| row.work.starts_with("talk")),
    ("changing", |row| row.family == "changing" && !row.world.contains("/die")),
    ("changing, a leg dies", |row| row.world.contains("/die")),
    ("drawn, downloads", |row| is_drawn(row) && row.world.contains("/n")),
];

/// Downloads over legs that stay as they are.
pub fn is_quiet(row: &Row) -> bool {
    row.family != "changing" && is_download(row)
}

fn is_drawn(row: &Row) -> bool {
    row.family == "drawn" && is_download(row)
}

fn is_static(row: &Row) -> bool {
    row.family == "static" && is_download(row)
}

fn is_bulk(row: &Row) -> bool {
    is_static(row) && row.bytes >= 1 << 20
}

fn is_equal(row: &Row) -> bool {
    row.rate_ratio == 1000 && row.trip_ratio == 1000
}

fn is_download(row: &Row) -> bool {
    !["up", "page", "talk"].iter().any(|kind| row.work.starts_with(kind))
}

/// One algorithm's rows of a group, and those of the stock rule.
pub struct Group<'r> {
    pub rows: Vec<&'r Row>,
    stock: &'r Stock<'r>,
}

/// The rows of the stock rule, by their places.
pub type Stock<'r> = BTreeMap<u64, &'r Row>;

pub fn stock_of(rows: &[Row]) -> Stock<'_> {
    of(rows, STOCK.name).map(|row| (row.place, row)).collect()
}

impl<'r> Group<'r> {
    /// A group's rows of each algorithm that has any.
    pub fn of_each(rows: &'r [Row], filter: Filter, stock: &'r Stock<'r>) -> Vec<(&'static str, Group<'r>)> {
        let members = |choice: &Choice| of(rows, choice.name).filter(|row| filter(row)).collect();
        CHOICES
            .iter()
            .map(|choice| (choice.name, Group { rows: members(choice), stock }))
            .filter(|(_, group)| !group.rows.is_empty())
            .collect()
    }

    pub fn each(&self, value: impl Fn(&Row) -> Option<f64>) -> Vec<f64> {
        sorted(self.rows.iter().filter_map(|row| value(row)))
    }

    /// With the stock rule's row of the same world.
    pub fn pairs(&self, value: impl Fn(&Row, &Row) -> Option<f64>) -> Vec<f64> {
        sorted(self.rows.iter().filter_map(|row| value(row, self.stock.get(&row.place)?)))
    }

    pub fn number(&self, is: impl Fn(&Row) -> bool) -> usize {
        self.rows.iter().filter(|row| is(row)).count()
    }

    pub fn count(&self, is: impl Fn(&Row) -> bool) -> f64 {
        self.number(is) as f64 / self.rows.len() as f64
    }

    pub fn gap_of_p95s(&self) -> Option<f64> {
        let stock = quantile(&self.pairs(|_, stock| by_bound(stock)), 95)?;
        let own = quantile(&self.each(by_bound), 95)?;
        (stock > 1.0 + GAP_MIN).then(|| (stock - own) / (stock - 1.0))
    }

    pub fn held_of_p95s(&self) -> Option<f64> {
        let stock = quantile(&self.pairs(|_, stock| held(stock)), 95).filter(|&stock| stock > 0.0)?;
        Some(quantile(&self.each(held), 95)? / stock)
    }
}

pub fn by_bound(row: &Row) -> Option<f64> {
    row.by(row.bound_us)
}

pub fn held(row: &Row) -> Option<f64> {
    Some(row.held_p95 as f64)
}

pub fn of<'r>(rows: &'r [Row], algorithm: &'r str) -> impl Iterator<Item = &'r Row> {
    rows.iter().filter(move |row| row.algorithm == algorithm)
}

/// No later than 1.05 times the best leg alone, and two of the larger base round trips.
pub fn does_no_harm(row: &Row) -> bool {
    let (Some(last), Some(alone)) = (row.last_us, row.alone_us) else { return row.alone_us.is_none() };
    last as f64 <= 1.05 * alone as f64 + 2.0 * row.trip_us as f64
}

pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
