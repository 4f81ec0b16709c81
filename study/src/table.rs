//! Puts shards together, and makes the table of them.

use crate::choices::{CHOICES, STOCK};
use crate::measure::quantile;
use crate::rng::Rng;
use crate::row::{Row, HEAD};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How often worlds are drawn anew for an interval.
const RESAMPLES: usize = 2000;

/// A gap between the stock rule and the bound that is smaller than this part of the bound is none.
const GAP_MIN: f64 = 0.05;

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

type Filter = fn(&Row) -> bool;

/// The groups of worlds, each with what it is called.
const GROUPS: [(&str, Filter); 20] = [
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
    ("uploads", |row| row.work.starts_with("up")),
    ("pages", |row| row.work.starts_with("page")),
    ("interactive beside 5M", |row| row.work.starts_with("talk")),
    ("changing", |row| row.family == "changing" && !row.world.contains("/die")),
    ("changing, a leg dies", |row| row.world.contains("/die")),
    ("drawn, downloads", |row| row.family == "drawn" && is_download(row) && row.world.contains("/n")),
];

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

pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(WORDS);
    let stock: BTreeMap<u64, &Row> = of(rows, STOCK.name).map(|row| (row.place, row)).collect();
    for (name, filter) in GROUPS {
        let group: Vec<&Row> = rows.iter().filter(|row| filter(row)).collect();
        if group.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{name}\n{LEGEND}");
        for choice in &CHOICES {
            let of_it: Vec<&Row> = group.iter().copied().filter(|row| row.algorithm == choice.name).collect();
            if !of_it.is_empty() {
                text += &line(choice.name, &of_it, &stock);
            }
        }
    }
    text + &demo_rows(rows)
}

const LEGEND: &str =
    "| algorithm | worlds | harm: median [95 %] | p95 | p99 | ÷ nearest leg: p99 | harmless | died | endless \
    | ÷ stock: median [95 %] | ÷ bound: median | p95 | ÷ told: p95 | gap closed: median | p5 | goodput / rates \
    | held p95 ÷ stock: median | p95s | SWITCH share | others ÷ stock | talk p95 ÷ stock |\n\
    |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// What the columns mean.
const WORDS: &str = "\
harm: time to the last byte ÷ that over the best leg alone. harmless: no more than 1.05, plus two of the larger base\n\
round trips. died: sets that ended before (not among the quotients). endless: not done after ten times the slowest leg\n\
alone and a minute. stock: the first algorithm. bound: all legs as when they are alone, and the best schedule. told: the\n\
same for one who learns of changes. gap closed: of the way from stock to the bound, where that is more than 5 % of the\n\
bound; p5 is what 95 % of worlds exceed. held p95: messages that the receiver holds for order, at 95 % of the time;\n\
p95s: the p95 over worlds, each. [..]: 95 % confidence, from worlds drawn anew with their pairs.\n";

fn of<'r>(rows: &'r [Row], algorithm: &'r str) -> impl Iterator<Item = &'r Row> {
    rows.iter().filter(move |row| row.algorithm == algorithm)
}

/// One algorithm's line of a group.
fn line(name: &str, rows: &[&Row], stock: &BTreeMap<u64, &Row>) -> String {
    let pairs = || rows.iter().filter_map(|row| Some((*row, *stock.get(&row.place)?)));
    let harms = sorted(rows.iter().filter_map(|row| row.harm()));
    let kept = rows.iter().filter(|row| does_no_harm(row)).count();
    let times = sorted(pairs().filter_map(|(row, stock)| compare(row, stock)));
    let goodputs = sorted(rows.iter().filter_map(|row| row.goodput()));
    let gaps = sorted(pairs().filter_map(|(row, stock)| gap_closed(row, stock)));
    let held = sorted(pairs().filter_map(|(row, stock)| part(row.held_p95, stock.held_p95)));
    let switches = sorted(rows.iter().map(|row| row.switch_share()));
    let rivals = sorted(pairs().filter_map(|(row, stock)| part(row.rivals, stock.rivals)));
    let talk = sorted(pairs().filter_map(|(row, stock)| part(row.talk_p95_us?, stock.talk_p95_us?)));
    let died = rows.iter().filter(|row| row.died).count();
    let endless = rows.iter().filter(|row| !row.died && row.last_us.is_none()).count();
    let all_held = |row: fn(&(&Row, &Row)) -> u64| sorted(pairs().map(|pair| row(&pair) as f64));
    let held_all = [all_held(|pair| pair.0.held_p95), all_held(|pair| pair.1.held_p95)].map(|all| quantile(&all, 95));
    let near = sorted(rows.iter().filter_map(|row| row.by(row.alone_near_us)));
    let bounds = sorted(rows.iter().filter_map(|row| row.by(row.bound_us)));
    let tolds = sorted(rows.iter().filter_map(|row| row.by(row.told_us)));
    let at = |values: &[f64], hundredths| show(quantile(values, hundredths));
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let cells = [
        name.to_owned(),
        rows.len().to_string(),
        with_interval(&harms),
        at(&harms, 95),
        at(&harms, 99),
        at(&near, 99),
        format!("{} %", 100 * kept / rows.len()),
        died.to_string(),
        endless.to_string(),
        with_interval(&times),
        at(&bounds, 50),
        at(&bounds, 95),
        at(&tolds, 95),
        at(&gaps, 50),
        at(&gaps, 5),
        at(&goodputs, 50),
        at(&held, 50),
        show(held_all[0].zip(held_all[1]).and_then(|(own, stock)| (stock > 0.0).then_some(own / stock))),
        quantile(&switches, 50).map_or("-".to_owned(), percent),
        at(&rivals, 50),
        at(&talk, 50),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// The worlds in which an algorithm does most harm, worst first.
pub fn worst(rows: &[Row], algorithm: &str, count: usize) -> String {
    let mut harmed: Vec<(f64, &Row)> = of(rows, algorithm)
        .filter(|row| row.alone_us.is_some())
        .map(|row| (row.harm().unwrap_or(f64::INFINITY), row))
        .collect();
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

/// No later than 1.05 times the best leg alone, and two of the larger base round trips.
fn does_no_harm(row: &Row) -> bool {
    let (Some(last), Some(alone)) = (row.last_us, row.alone_us) else { return row.alone_us.is_none() };
    last as f64 <= 1.05 * alone as f64 + 2.0 * row.trip_us as f64
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

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn show(value: Option<f64>) -> String {
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
        "\nrows of the demo\n| world | algorithm | alone ms | bound ms | two legs ms | alone / two | held, most | SWITCH |\n\
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
