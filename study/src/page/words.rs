//! What the study says in words: the answer for each algorithm, and the table of all at a glance.

use super::{Sentence, Table};
use crate::choices::{place_of, STOCK};
use crate::cost::Cost;
use crate::group::{does_no_harm, held, is_quiet, stock_of, Group};
use crate::measure::quantile;
use crate::row::Row;
use crate::table::show;
use std::collections::BTreeSet;

/// Two legs that stay as they are, and enough to transfer that a second leg can help.
fn is_plain(row: &Row) -> bool {
    is_quiet(row) && row.legs == 2 && row.bytes >= 1 << 20
}

fn is_changing(row: &Row) -> bool {
    row.family == "changing"
}

pub fn about(rows: &[Row]) -> String {
    let worlds = rows.iter().map(|row| row.place).collect::<BTreeSet<_>>().len();
    format!(
        "{} worlds in virtual time, each with every algorithm and with each leg alone, on the library as it ships. Only \
         the sender chooses by the algorithm: in downloads that is an exit running circflow for a stock client, in \
         uploads a client running circflow for a stock exit.",
        thousands(worlds)
    )
}

/// The answer for each algorithm, from the worlds themselves.
pub fn sentences(rows: &[Row]) -> Vec<Sentence> {
    let stock = stock_of(rows);
    let plain = Group::of_each(rows, is_plain, &stock);
    let changing = Group::of_each(rows, is_changing, &stock);
    let of_changing = |name| changing.iter().find(|(changing, _)| *changing == name).map(|(_, group)| group);
    let sentence = |(algorithm, group): &(&'static str, Group)| Sentence {
        algorithm,
        colour: place_of(algorithm),
        text: plain_words(algorithm, group) + &of_changing(*algorithm).map(changing_words).unwrap_or_default() + ".",
    };
    plain.iter().map(sentence).collect()
}

fn plain_words(algorithm: &str, group: &Group) -> String {
    let harms = group.each(Row::harm);
    let worlds = group.rows.len();
    let slower = worlds - group.number(does_no_harm);
    let rule = if algorithm == STOCK.name { ", the rule as deployed" } else { "" };
    let answer = match slower {
        0 => format!(": no, in none of {} worlds", thousands(worlds)),
        _ => format!(": yes, in {} of {} worlds", share(slower, worlds), thousands(worlds)),
    };
    let times = |hundredths| match quantile(&harms, hundredths) {
        Some(harm) if harm == f64::INFINITY => "for ever".to_owned(),
        harm => format!("{} times", show(harm)),
    };
    let half = format!("half take {} as long as the best leg alone or less", times(50));
    format!("{rule}{answer}; {half}, the worst hundredth {} or more", times(99))
}

fn changing_words(group: &Group) -> String {
    let worlds = group.rows.len();
    let died = group.number(|row| row.died);
    let slower = worlds - died - group.number(|row| !row.died && does_no_harm(row));
    let [slower, died] = [slower, died].map(|part| share(part, worlds));
    format!("; where a leg changes, {slower} are slower and {died} of the sets die")
}

/// The figures that matter most, a row for each algorithm.
pub fn glance(rows: &[Row]) -> Table {
    let columns = [
        "algorithm",
        "slower than the best leg alone",
        "time ÷ alone: median",
        "95 %",
        "99 %",
        "goodput ÷ rates: median",
        "reorder memory: 95 %, messages",
        "SWITCH: 95 %",
    ];
    let stock = stock_of(rows);
    let row = |(algorithm, group): &(&'static str, Group)| {
        let worlds = group.rows.len();
        let harms = group.each(Row::harm);
        let at = |values: &[f64], hundredths| show(quantile(values, hundredths));
        let switches = group.each(|row| Some(100.0 * row.switch_share()));
        vec![
            (*algorithm).to_owned(),
            share(worlds - group.number(does_no_harm), worlds),
            at(&harms, 50),
            at(&harms, 95),
            at(&harms, 99),
            at(&group.each(Row::goodput), 50),
            at(&group.each(held), 95),
            at(&switches, 95) + " %",
        ]
    };
    let rows = Group::of_each(rows, is_plain, &stock).iter().map(row).collect();
    Table { columns: columns.map(String::from).to_vec(), rows }
}

pub fn costs(costs: &[Cost]) -> Table {
    let columns = ["algorithm", "a choice that stays", "one that is made anew"].map(String::from).to_vec();
    let row = |cost: &Cost| vec![cost.algorithm.clone(), show(Some(cost.stays)), show(Some(cost.anew))];
    Table { columns, rows: costs.iter().map(row).collect() }
}

/// In hundredths. What is there is never said to be none.
fn share(part: usize, of: usize) -> String {
    let hundredths = 100.0 * part as f64 / of.max(1) as f64;
    match part {
        0 => "0 %".to_owned(),
        _ if hundredths < 1.0 => format!("{hundredths:.2} %"),
        _ if hundredths < 10.0 => format!("{hundredths:.1} %"),
        _ => format!("{hundredths:.0} %"),
    }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    fn world(place: u64, last_us: u64) -> Row {
        Row { place, last_us: Some(last_us), alone_us: Some(1000), bytes: 1 << 20, ..row("lowrtt") }
    }

    #[test]
    fn a_sentence_says_what_the_worlds_say() {
        let mut rows = vec![world(0, 500), world(1, 900), world(2, 4000), world(3, 900)];
        rows.push(Row { family: "changing".to_owned(), ..world(4, 9000) });
        rows.push(Row { family: "changing".to_owned(), died: true, last_us: None, ..world(5, 0) });
        let told = sentences(&rows);
        assert_eq!((told.len(), told[0].algorithm), (1, "lowrtt"));
        assert_eq!(
            told[0].text,
            ", the rule as deployed: yes, in 25 % of 4 worlds; half take 0.90 times as long as the best leg alone or less, \
             the worst hundredth 4.00 times or more; where a leg changes, 50 % are slower and 50 % of the sets die."
        );
        let quick = sentences(&rows[..2]);
        assert!(quick[0].text.contains(": no, in none of 2 worlds; half"), "{}", quick[0].text);
        assert_eq!(glance(&rows).rows[0][1], "25 %");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([share(0, 9), share(1, 1000), share(1, 50), share(1, 4)], ["0 %", "0.10 %", "2.0 %", "25 %"]);
    }
}
