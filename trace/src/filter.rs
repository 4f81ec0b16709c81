//! Which events a command looks at.

use crate::file::Entry;
use circflow::event::{Class, Kind, Value, KINDS};
use std::collections::BTreeSet;

/// Options that leave events out. An event has to satisfy all that are given; of an option that is given more than
/// once, one is enough.
#[derive(clap::Args, Clone, Default)]
pub struct Options {
    /// Events of this set, of its legs and of its streams
    #[arg(long, value_name = "ID", value_parser = id)]
    pub set: Vec<u64>,
    /// Events of this leg: a leg is a circuit, so it is the same as --circuit
    #[arg(long, value_name = "ID", value_parser = id)]
    pub leg: Vec<u64>,
    /// Events of this circuit and of its streams
    #[arg(long, value_name = "ID", value_parser = id)]
    pub circuit: Vec<u64>,
    /// Events of this engine
    #[arg(long, value_name = "NUMBER")]
    pub engine: Vec<u32>,
    /// Events of this class: sets, messages, choice, windows, ..
    #[arg(long, value_name = "NAME", value_parser = class)]
    pub class: Vec<Class>,
    /// Events of this kind: Held, leg-lost, ..
    #[arg(long, value_name = "NAME", value_parser = kind)]
    pub kind: Vec<&'static Kind>,
    /// Events from this time on: 1.5s, 300ms, or ns
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<i64>,
    /// Events until this time, which is still in
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<i64>,
    /// Times are those of the engine's clock, and do not begin with 0 at the first event
    #[arg(long)]
    pub absolute: bool,
}

/// Options, with what was learnt of whose legs and streams are whose.
pub struct Filter {
    options: Options,
    /// Legs and streams of the sets, and streams of the circuits, that are wanted; each with its engine.
    of_sets: BTreeSet<(u32, u64)>,
    of_circuits: BTreeSet<(u32, u64)>,
    by_set: bool,
    by_circuit: bool,
    classes: u32,
}

impl Filter {
    pub fn new(options: &Options) -> Filter {
        let by_set = !options.set.is_empty();
        let by_circuit = !options.leg.is_empty() || !options.circuit.is_empty();
        let classes = options.class.iter().fold(0, |bits, class| bits | class.bit());
        Filter {
            options: options.clone(),
            of_sets: BTreeSet::new(),
            of_circuits: BTreeSet::new(),
            by_set,
            by_circuit,
            classes,
        }
    }

    /// True when events of this kind may pass.
    pub fn takes_kind(&self, kind: &Kind) -> bool {
        let by_class = self.classes == 0 || self.classes & kind.class.bit() != 0;
        let by_kind =
            self.options.kind.is_empty() || self.options.kind.iter().any(|wanted| wanted.number == kind.number);
        by_class && by_kind
    }

    /// The time of an event as the options count it.
    pub fn time_of(&self, entry: &Entry, first: u64) -> i64 {
        let begin = if self.options.absolute { 0 } else { first };
        entry.time.wrapping_sub(begin) as i64
    }

    /// True when the event passes. It has to be asked about every event, in their order: an earlier one tells whose leg
    /// a circuit is.
    pub fn takes(&mut self, entry: &Entry, first: u64) -> bool {
        let by_name = !(self.by_set || self.by_circuit) || self.is_about_wanted(entry);
        let time = self.time_of(entry, first);
        by_name
            && self.takes_kind(entry.kind)
            && (self.options.engine.is_empty() || self.options.engine.contains(&entry.engine))
            && self.options.from.is_none_or(|from| time >= from)
            && self.options.until.is_none_or(|until| time <= until)
    }

    fn is_about_wanted(&mut self, entry: &Entry) -> bool {
        let (mut is_set, mut is_circuit) = (!self.by_set, !self.by_circuit);
        for (field, value) in entry.values() {
            let Value::Unsigned(id) = value else { continue };
            if !field.is_id {
                continue;
            }
            is_set |= self.options.set.contains(&id) || self.of_sets.contains(&(entry.engine, id));
            let is_named = self.options.leg.contains(&id) || self.options.circuit.contains(&id);
            is_circuit |= is_named || self.of_circuits.contains(&(entry.engine, id));
        }
        if self.by_set && is_set {
            learn(&mut self.of_sets, entry, &["leg", "stream"]);
        }
        if self.by_circuit && is_circuit {
            learn(&mut self.of_circuits, entry, &["stream"]);
        }
        is_set && is_circuit
    }
}

/// The legs of a set that is wanted, and the streams of what is wanted, are wanted themselves.
fn learn(known: &mut BTreeSet<(u32, u64)>, entry: &Entry, names: &[&str]) {
    for id in names.iter().filter_map(|name| entry.get(name)) {
        if entry.kind.name == "StreamEnded" {
            known.remove(&(entry.engine, id));
        } else {
            known.insert((entry.engine, id));
        }
    }
}

/// An id as log lines and `show` have it, or decimal.
pub fn id(text: &str) -> Result<u64, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|_| "an id is a number: 0x1a2b (as in the log), or decimal".to_owned())
}

fn plain(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase()
}

fn class(text: &str) -> Result<Class, String> {
    let found = Class::ALL.into_iter().find(|class| plain(&format!("{class:?}")) == plain(text));
    let names = || Class::ALL.map(|class| format!("{class:?}").to_lowercase()).join(", ");
    found.ok_or_else(|| format!("the classes are {}", names()))
}

fn kind(text: &str) -> Result<&'static Kind, String> {
    let found = KINDS.iter().find(|kind| plain(kind.name) == plain(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        format!("the kinds are {}", names.join(", "))
    })
}

/// "1.5s", "300ms", "20us", "7ns", "2m" or a number of ns, exactly.
pub fn time(text: &str) -> Result<i64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: i64 = match &text[digits.len()..] {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        _ => return Err("a time is a number with ns, us, ms, s or m".to_owned()),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
    let wrong = || format!("{text:?} is no time: 1.5s, 300ms, or ns");
    if !is_number {
        return Err(wrong());
    }
    let mut ns = whole.parse::<i64>().ok().and_then(|whole| whole.checked_mul(unit)).ok_or_else(wrong)?;
    let mut worth = unit;
    for digit in part.bytes() {
        worth /= 10;
        ns = ns.checked_add(i64::from(digit - b'0') * worth).ok_or_else(wrong)?;
    }
    Ok(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_exactly() {
        let good = [("0", 0), ("7", 7), ("7ns", 7), ("20us", 20_000), ("300ms", 300_000_000), ("1.5s", 1_500_000_000)];
        for (text, ns) in
            good.into_iter().chain([("0.000000001s", 1), ("2m", 120_000_000_000), ("0.25m", 15_000_000_000)])
        {
            assert_eq!(time(text), Ok(ns), "{text}");
        }
        for text in ["", "s", ".5s", "1h", "-1s", "1.5.5s", "99999999999999999999", "9999999999999s", "1 s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_found_however_they_are_spelt() {
        for text in ["LegLost", "leg-lost", "leg_lost", "LEGLOST"] {
            assert_eq!(kind(text).unwrap().name, "LegLost");
        }
        assert!(kind("leg").unwrap_err().contains("LegLost"));
        assert_eq!(class("Sets"), Ok(Class::Sets));
        assert_eq!(class("hub"), Ok(Class::Hub));
        assert!(class("set").unwrap_err().contains("sets, messages"));
    }

    #[test]
    fn ids_are_hexadecimal_with_a_mark_only() {
        assert_eq!((id("0x1f"), id("31")), (Ok(31), Ok(31)));
        assert!(id("1f").is_err() && id("0x").is_err() && id("-1").is_err());
    }
}
