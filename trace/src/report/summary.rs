//! What a reader sees first: a few sentences, a few large figures, and the legs side by side.

use super::census::{wire_bytes, Census, Key, LegTotals, PadderTotals, SetTotals};
use super::names::Names;
use super::place;
use crate::figures::{bytes, count, number, part, time};
use serde::Serialize;

/// More legs are not listed.
const LEGS_LISTED: usize = 200;

/// A large figure.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct Tile {
    pub name: &'static str,
    pub value: String,
    pub note: String,
    pub is_bad: bool,
}

/// A table of texts; a cell may have a bar behind it, as long as a part of 1.
#[derive(Serialize, Debug)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
    /// Rows that are not there.
    pub left_out: usize,
}

#[derive(Serialize, Debug)]
pub struct Cell {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar: Option<f64>,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, bar: None }
    }
}

/// What the tiles and sentences are made of.
pub struct Sums {
    cells_in: u64,
    cells_out: u64,
    padding: u64,
    sent: u64,
    received: u64,
    lost: u64,
    span: u64,
    /// Messages held at once, and which set held them.
    deepest: Option<(u64, Key)>,
    /// How long the longest message was held.
    wait_max: u64,
    /// The leg with the longest mean round trip, its set, and that round trip.
    slowest: Option<(u64, Key, u64)>,
    /// How long sending was blocked in the set where it was longest, in ns.
    blocked: Option<(u64, Key)>,
    any_choice: bool,
}

impl Sums {
    pub fn new(census: &Census) -> Sums {
        let legs = || census.sets.values().flat_map(|set| &set.legs);
        let padders = || census.circuits.values().flat_map(|circuit| circuit.padders.values());
        let of_padders =
            |figure: fn(&PadderTotals) -> u64| if census.sets.is_empty() { padders().map(figure).sum() } else { 0 };
        let slowest = census.sets.iter().flat_map(|(key, set)| {
            let timed = set.legs.iter().filter(|leg| leg.window.rtt().times > 0);
            timed.map(|leg| (leg.window.rtt().mean(), *key, leg.id))
        });
        let largest = |figure: fn(&SetTotals) -> u64| {
            let all = census.sets.iter().map(|(key, set)| (figure(set), *key));
            all.filter(|(value, _)| *value > 0).max_by_key(|(value, key)| (*value, std::cmp::Reverse(*key)))
        };
        Sums {
            cells_in: census.sets.values().map(SetTotals::cells_in).sum::<u64>() + of_padders(|padder| padder.real_in),
            cells_out: census.sets.values().map(SetTotals::cells_out).sum::<u64>()
                + of_padders(|padder| padder.real_out),
            padding: padders().map(|padder| padder.padding_out + padder.padding_in).sum(),
            sent: legs().map(|leg| leg.switches_sent).sum(),
            received: legs().map(|leg| leg.switches_received).sum(),
            lost: legs().filter(|leg| leg.lost.is_some_and(|(_, cause)| Names::is_bad(cause))).count() as u64,
            span: census.last - census.first,
            deepest: largest(|set| set.depth_max),
            wait_max: census.sets.values().map(|set| set.wait.max).max().unwrap_or(0),
            slowest: slowest.max_by_key(|(rtt, key, id)| (*rtt, std::cmp::Reverse((*key, *id)))),
            blocked: largest(|set| set.blocked_ns),
            any_choice: census.sets.values().any(|set| set.refused > 0 || set.cells_out() > 0),
        }
    }

    /// The large figures.
    pub fn tiles(&self, census: &Census, names: &Names) -> Vec<Tile> {
        let tile = |name, value, note| Tile { name, value, note, is_bad: false };
        let mut tiles = Vec::new();
        for (name, cells) in [("Cells in", self.cells_in), ("Cells out", self.cells_out)] {
            tiles.push(tile(name, number(cells), format!("{} on the wire", bytes(wire_bytes(cells)))));
        }
        if !census.sets.is_empty() {
            let note = format!("{} sent, {} received", number(self.sent), number(self.received));
            tiles.push(tile("SWITCHes", number(self.sent + self.received), note));
            let note = match self.deepest {
                Some(_) => format!("messages at once; the longest waited {}", time(self.wait_max)),
                None => "all came in order".to_owned(),
            };
            tiles.push(tile("Reorder depth", number(self.deepest.map_or(0, |(depth, _)| depth)), note));
        }
        if let Some((rtt, _, leg)) = self.slowest {
            let engine = self.slowest.map_or(0, |(_, key, _)| key.0);
            tiles.push(tile("Slowest leg", time(rtt), format!("mean round trip of {}", names.of(engine, leg))));
        }
        if self.any_choice {
            tiles.push(tile("Sending blocked", self.blocked_text(), self.blocked_note(census, names)));
        }
        if self.padding > 0 {
            let whole = self.padding + real_cells(census);
            tiles.push(tile(
                "Padding cells",
                number(self.padding),
                format!("{} of all cells there", part(self.padding, whole)),
            ));
        }
        let wrong = census.faults + census.victims + self.lost;
        tiles.push(Tile { name: "Faults", value: number(census.faults), note: self.wrong(census), is_bad: wrong > 0 });
        tiles
    }

    fn blocked_text(&self) -> String {
        self.blocked.map_or_else(|| "never".to_owned(), |(ns, _)| time(ns))
    }

    fn blocked_note(&self, census: &Census, names: &Names) -> String {
        let Some((ns, key)) = self.blocked else { return "there was always room".to_owned() };
        let seen = census.sets[&key].seen;
        format!("{} of the life of {}", part(ns, seen.last - seen.first), names.of(key.0, key.1))
    }

    fn wrong(&self, census: &Census) -> String {
        let nouns = [(self.lost, "lost leg"), (census.victims, "victim"), (census.caps, "cap reached")];
        let there = nouns.iter().filter(|(many, _)| *many > 0);
        let texts: Vec<String> = there
            .map(|(many, noun)| match *noun {
                "cap reached" => format!(
                    "a cap reached {}",
                    if *many == 1 { "once".to_owned() } else { format!("{} times", number(*many)) }
                ),
                noun => count(*many, noun),
            })
            .collect();
        if texts.is_empty() {
            "no peer broke the rules, no leg was lost".to_owned()
        } else {
            texts.join(", ")
        }
    }

    /// The trace in a few sentences.
    pub fn sentences(&self, census: &Census, names: &Names) -> Vec<String> {
        let mut all = vec![self.who(census)];
        all.extend(self.shares(census));
        if let Some((depth, key)) = self.deepest {
            let by = if census.sets.len() > 1 { format!(" in {}", names.of(key.0, key.1)) } else { String::new() };
            all.push(format!("At most {} waited{by} for others to come first.", count(depth, "message")));
        }
        if self.blocked.is_some() {
            let note = self.blocked_note(census, names);
            all.push(format!("Sending was blocked for {}: {note}.", self.blocked_text()));
        }
        all.push(match census.faults + census.victims + self.lost {
            0 => "Nothing went wrong.".to_owned(),
            _ => format!("{}; {}: see the list of events.", count(census.faults, "fault"), self.wrong(census)),
        });
        all
    }

    fn who(&self, census: &Census) -> String {
        let legs: usize = census.sets.values().map(|set| set.legs.len()).sum();
        let who = match census.sets.len() {
            0 => format!("{}, no set", count(census.circuits.len() as u64, "circuit")),
            sets => format!("{} with {}", count(sets as u64, "set"), count(legs as u64, "leg")),
        };
        let cells = format!("{} came in, {} went out", count(self.cells_in, "cell"), number(self.cells_out));
        format!("{who}, in {}: {cells}.", time(self.span))
    }

    /// How much each leg carried, where there are few.
    fn shares(&self, census: &Census) -> Option<String> {
        let set = census.sets.values().next().filter(|_| census.sets.len() == 1)?;
        let whole = set.cells_in() + set.cells_out();
        if !(2..=3).contains(&set.legs.len()) || whole == 0 {
            return None;
        }
        let each = set.legs.iter().enumerate().map(|(at, leg)| {
            let rtt = leg.window.rtt();
            let pace = if rtt.times > 0 { format!(" (round trip {})", time(rtt.mean())) } else { String::new() };
            format!("leg {} carried {}{pace}", at + 1, part(leg.cells_in + leg.cells_out, whole))
        });
        let text = each.collect::<Vec<_>>().join(", ");
        Some(format!("L{}.", &text[1..]))
    }
}

/// Cells of the padded circuits that are no padding.
fn real_cells(census: &Census) -> u64 {
    let padders = census.circuits.values().flat_map(|circuit| circuit.padders.values());
    padders.map(|padder| padder.real_out + padder.real_in).sum()
}

/// The legs side by side.
pub fn legs(census: &Census, names: &Names) -> Table {
    let mut sets: Vec<_> = census.sets.iter().collect();
    sets.sort_by_key(|(key, _)| names.number(**key));
    let all = sets.iter().flat_map(|(key, set)| set.legs.iter().map(move |leg| (**key, *set, leg)));
    let rows: Vec<Vec<Cell>> =
        all.clone().take(LEGS_LISTED).map(|(key, set, leg)| leg_row(key, set, leg, names)).collect();
    let columns = vec![
        "leg",
        "id",
        "cells in",
        "cells out",
        "round trip",
        "range",
        "largest window",
        "largest in flight",
        "SWITCHes sent",
        "SWITCHes received",
        "end",
    ];
    Table { columns, left_out: all.count() - rows.len(), rows }
}

fn leg_row(key: Key, set: &SetTotals, leg: &LegTotals, names: &Names) -> Vec<Cell> {
    let share = |cells: u64, whole: u64| match whole {
        0 => Cell::from(number(cells)),
        _ => Cell { text: format!("{} ({})", number(cells), part(cells, whole)), bar: Some(round(cells, whole)) },
    };
    let rtt = leg.window.rtt();
    let timed = |text: String| if rtt.times > 0 { text } else { String::new() };
    vec![
        names.of(key.0, leg.id).into(),
        format!("{:#x}", leg.id).into(),
        share(leg.cells_in, set.cells_in()),
        share(leg.cells_out, set.cells_out()),
        timed(time(rtt.mean())).into(),
        timed(format!("{} to {}", time(rtt.min), time(rtt.max))).into(),
        known(leg.window.cwnd_max).into(),
        known(leg.window.in_flight_max).into(),
        number(leg.switches_sent).into(),
        number(leg.switches_received).into(),
        // A leg that lasts as long as its set has no end of its own.
        leg.lost.or(set.ended).map_or_else(String::new, |(_, cause)| names.status(cause)).into(),
    ]
}

/// A figure that no event told is none, and not 0.
fn known(value: u64) -> String {
    if value == 0 {
        String::new()
    } else {
        number(value)
    }
}

fn round(of: u64, whole: u64) -> f64 {
    (of as f64 / whole as f64 * 1000.0).round() / 1000.0
}

/// The padders side by side.
pub fn padders(census: &Census, names: &Names) -> Table {
    let columns = vec![
        "padder",
        "real cells out",
        "padding out",
        "real cells in",
        "padding in",
        "padding replaced",
        "refused",
        "blocks",
        "blocked",
        "changes of state",
    ];
    let padded =
        census.circuits.iter().flat_map(|(key, circuit)| circuit.padders.iter().map(move |padder| (key, padder)));
    let rows: Vec<Vec<Cell>> = padded
        .clone()
        .take(LEGS_LISTED)
        .map(|(key, (place, padder))| {
            let share = |padding: u64, real: u64| match padding + real {
                0 => Cell::from(number(0)),
                whole => Cell {
                    text: format!("{} ({})", number(padding), part(padding, whole)),
                    bar: Some(round(padding, whole)),
                },
            };
            vec![
                format!("{} of {}", place::name(*place), names.of(key.0, key.1)).into(),
                number(padder.real_out).into(),
                share(padder.padding_out, padder.real_out),
                number(padder.real_in).into(),
                share(padder.padding_in, padder.real_in),
                number(padder.replaced).into(),
                number(padder.refused).into(),
                number(padder.blocks).into(),
                time(padder.blocked_ns).into(),
                number(padder.moves).into(),
            ]
        })
        .collect();
    Table { columns, left_out: padded.count() - rows.len(), rows }
}

/// The sets that are not drawn.
pub fn others(census: &Census, names: &Names, keys: &[Key]) -> Table {
    let rows = keys.iter().take(LEGS_LISTED).map(|key| {
        let set = &census.sets[key];
        let figures = [set.legs.len() as u64, set.cells_in(), set.cells_out(), set.depth_max, set.seen.events];
        let head = [names.of(key.0, key.1), format!("{:#x}", key.1)];
        head.into_iter().chain(figures.map(number)).map(Cell::from).collect()
    });
    let columns = vec!["set", "id", "legs", "cells in", "cells out", "reorder depth", "events"];
    Table { columns, rows: rows.collect(), left_out: keys.len().saturating_sub(LEGS_LISTED) }
}
