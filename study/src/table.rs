//! Puts shards together, and makes the table of them.

use crate::choices::CHOICES;
use crate::group::{by_bound, does_no_harm, held, of, sorted, stock_of, Group, GAP_MIN, GROUPS};
use crate::measure::quantile;
use crate::rng::Rng;
use crate::row::{Row, HEAD};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How often worlds are drawn anew for an interval.
const RESAMPLES: usize = 2000;

/// Reads files of shards. A line that two of them have is an error.
pub fn merge(files: &[(String, String)]) -> Result<Vec<Row>, String> {
    let mut rows = BTreeMap::new();
    for (name, text) in files {
        let mut lines = text.lines();
        if lines.next() != Some(&HEAD.join(",")) {
            return Err(format!("{name}: not a file of this study"));
        }
        for line in lines {
            let row = Row::parse(line).map_err(|why| format!("{name}: {why}: {line}"))?;
            let key = (row.place, CHOICES.iter().position(|choice| choice.name == row.algorithm));
            if rows.insert(key, row).is_some() {
                return Err(format!("{name}: a world that was there already: {line}"));
            }
        }
    }
    Ok(rows.into_values().collect())
}

pub fn csv(rows: &[Row]) -> String {
    let mut text = HEAD.join(",") + "\n";
    rows.iter().for_each(|row| text += &(row.line() + "\n"));
    text
}

pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(WORDS);
    let stock = stock_of(rows);
    for (name, filter) in GROUPS {
        let groups = Group::of_each(rows, filter, &stock);
        let Some((_, first)) = groups.first() else { continue };
        let _ = writeln!(text, "\n## {name}: {} worlds", first.rows.len());
        text += &part_of_table(&TIMES, &groups);
        text += &part_of_table(&COSTS, &groups);
    }
    text + &demo_rows(rows)
}

fn part_of_table(columns: &[Column], groups: &[(&'static str, Group)]) -> String {
    let heads: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let mut text = format!("\n| algorithm | {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len()));
    for (name, group) in groups {
        let cells: Vec<String> = columns.iter().map(|column| column.1(group)).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

/// What the columns mean.
const WORDS: &str = "\
harm: time to the last byte ÷ that over the best leg alone. harmless: no more than 1.05, plus two of the larger base\n\
round trips. died: sets that ended before (not among the quotients). endless: not done after ten times the slowest leg\n\
alone and a minute. stock: the first algorithm. bound: all legs as when they are alone, and the best schedule. told: the\n\
same for one who learns of changes. gap closed: of the way from stock to the bound, in worlds where that is more than\n\
5 % of the bound: the median, what 95 % of worlds exceed, and by the p95s of time ÷ bound. held: messages that the\n\
receiver holds for order, at 95 % of the time. [..]: 95 % confidence of a median, from worlds drawn anew in pairs.\n\
Only the sender of a transfer chooses by the algorithm: an exit in downloads, a client in uploads. The other end is as\n\
a stock one.\n";

type Column = (&'static str, fn(&Group) -> String);

const TIMES: [Column; 15] = [
    ("harm: median", |group| with_interval(&group.each(Row::harm))),
    ("p95", |group| at(&group.each(Row::harm), 95)),
    ("p99", |group| at(&group.each(Row::harm), 99)),
    ("harmless", |group| percent(group.count(does_no_harm))),
    ("÷ nearest leg: p99", |group| at(&group.each(|row| row.by(row.alone_near_us)), 99)),
    ("÷ stock: median", |group| with_interval(&group.pairs(compare))),
    ("÷ bound: median", |group| at(&group.each(by_bound), 50)),
    ("p95", |group| at(&group.each(by_bound), 95)),
    ("÷ told: p95", |group| at(&group.each(|row| row.by(row.told_us)), 95)),
    ("gap closed: median", |group| at(&group.pairs(gap_closed), 50)),
    ("95 % exceed", |group| at(&group.pairs(gap_closed), 5)),
    ("of p95s", |group| show(group.gap_of_p95s())),
    ("first byte ms: median, p95", |group| two(&group.each(|row| row.first_us.map(|time| time as f64 / 1e3)))),
    ("last byte s: median, p95", |group| two(&group.each(|row| row.last_us.map(|time| time as f64 / 1e6)))),
    ("died, endless", |group| {
        let endless = |row: &Row| !row.died && row.last_us.is_none();
        let [died, endless] = [group.number(|row| row.died), group.number(endless)];
        format!("{died}, {endless}")
    }),
];

const COSTS: [Column; 8] = [
    ("goodput ÷ rates: median", |group| at(&group.each(Row::goodput), 50)),
    ("held: median", |group| at(&group.each(held), 50)),
    ("p95", |group| at(&group.each(held), 95)),
    ("÷ stock: median", |group| at(&group.pairs(|row, stock| part(row.held_p95, stock.held_p95)), 50)),
    ("of p95s", |group| show(group.held_of_p95s())),
    ("SWITCH share: median, p95", |group| two(&group.each(|row| Some(100.0 * row.switch_share()))) + " %"),
    ("others ÷ stock: median", |group| at(&group.pairs(|row, stock| part(row.rivals, stock.rivals)), 50)),
    ("talk p95 ÷ stock: median, p95", |group| {
        two(&group.pairs(|row, stock| part(row.talk_p95_us?, stock.talk_p95_us?)))
    }),
];

fn at(values: &[f64], hundredths: usize) -> String {
    show(quantile(values, hundredths))
}

fn two(values: &[f64]) -> String {
    format!("{}, {}", at(values, 50), at(values, 95))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The worlds in which an algorithm does most harm, worst first. Sets that died are not among them.
pub fn worst(rows: &[Row], algorithm: &str, count: usize) -> String {
    let mut harmed: Vec<(f64, &Row)> = of(rows, algorithm).filter_map(|row| Some((row.harm()?, row))).collect();
    harmed.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut text = String::from(
        "| world | harm | harmless | alone ms | bound ms | last ms | held, most | SWITCH |\n|---|--:|---|--:|--:|--:|--:|--:|\n",
    );
    for (harm, row) in harmed.into_iter().take(count) {
        let harmless = if does_no_harm(row) { "yes" } else { "no" };
        let (harm, peak, switches) = (show(Some(harm)), row.held_peak, row.switches);
        let times = [row.alone_us, row.bound_us, row.last_us].map(millis).join(" | ");
        let _ = writeln!(text, "| {} | {harm} | {harmless} | {times} | {peak} | {switches} |", row.world);
    }
    text
}

fn millis(time: Option<u64>) -> String {
    time.map_or("never".to_owned(), |time| (time / 1000).to_string())
}

/// Time to the last byte by that of the stock rule; none when a set died.
fn compare(row: &Row, stock: &Row) -> Option<f64> {
    match (row.last_us, stock.last_us) {
        _ if row.died || stock.died => None,
        (Some(last), Some(stock)) => Some(last as f64 / stock as f64),
        (None, None) => None,
        (None, Some(_)) => Some(f64::INFINITY),
        (Some(_), None) => Some(0.0),
    }
}

/// The part of the way from the stock rule's time to the bound that an algorithm goes.
fn gap_closed(row: &Row, stock: &Row) -> Option<f64> {
    let (bound, stock) = (row.bound_us? as f64, stock.last_us? as f64);
    let gap = stock - bound;
    (gap > GAP_MIN * bound && !row.died)
        .then(|| row.last_us.map_or(f64::NEG_INFINITY, |last| (stock - last as f64) / gap))
}

fn part(value: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| value as f64 / of as f64)
}

pub fn show(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value == f64::INFINITY => "never".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// The median, and between which values it is with 95 % confidence: worlds are drawn anew, with their pairs.
fn with_interval(sorted_values: &[f64]) -> String {
    let (low, high) = interval(sorted_values).map_or((None, None), |(low, high)| (Some(low), Some(high)));
    format!("{} [{}, {}]", show(quantile(sorted_values, 50)), show(low), show(high))
}

fn interval(sorted_values: &[f64]) -> Option<(f64, f64)> {
    let mut rng = Rng::new(95);
    let len = sorted_values.len() as u64;
    let medians = (0..RESAMPLES).filter_map(|_| {
        let drawn = sorted((0..len).map(|_| sorted_values[rng.below(len) as usize]));
        quantile(&drawn, 50)
    });
    let medians = sorted(medians);
    let at = |thousandths: usize| medians.get(RESAMPLES * thousandths / 1000).copied();
    Some((at(25)?, at(975)?))
}

/// The five rows of the demo, as it was first seen there: alone by two legs, and the deepest queue.
fn demo_rows(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n## rows of the demo\n\n| world | algorithm | alone ms | bound ms | two legs ms | alone / two | held, most | SWITCH |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows.iter().filter(|row| row.world.contains("/row/")) {
        let gain = row.harm().map(|harm| 1.0 / harm);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.world,
            row.algorithm,
            millis(row.alone_us),
            millis(row.bound_us),
            millis(row.last_us),
            show(gain),
            row.held_peak,
            row.switches
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_around_the_median() {
        let values: Vec<f64> = (0..101).map(f64::from).collect();
        let (low, high) = interval(&values).unwrap();
        assert!(low < 50.0 && 50.0 < high && low > 30.0 && high < 70.0, "{low} {high}");
        assert_eq!(interval(&[2.0; 9]), Some((2.0, 2.0)));
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn shards_are_put_together_in_order_and_once() {
        let line = |place: u64| {
            format!(
                "{place},static/a/b/1M,static,1M,lowrtt,7,2,1,8,2,1,6,true,\
                5,5,5,,,1,9,false,1,2,3,4,5,6,7,8,,,"
            )
        };
        let file = |places: &[u64]| {
            let lines: Vec<String> = places.iter().map(|&place| line(place)).collect();
            (String::from("shard"), format!("{}\n{}\n", HEAD.join(","), lines.join("\n")))
        };
        let rows = merge(&[file(&[1, 3]), file(&[0, 2])]).unwrap();
        assert_eq!(csv(&rows), file(&[0, 1, 2, 3]).1);
        assert!(merge(&[file(&[1]), file(&[1])]).is_err());
        assert!(merge(&[("other".to_owned(), "x\n".to_owned())]).is_err());
    }
}
