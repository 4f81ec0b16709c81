//! The table's units as words: what a value means, for people and for other programs.

use circflow::event::{Field, Kind, Value, KINDS};
use circflow::wire::Command;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

/// What a field's values are.
#[derive(Debug, PartialEq, Eq)]
pub enum Unit {
    /// An id: hexadecimal, as log lines have it.
    Id,
    /// Nanoseconds.
    Ns,
    /// No or yes.
    Truth,
    /// One of some words.
    Choice(Vec<(u64, &'static str)>),
    /// A status of the C header.
    Status,
    /// A relay command.
    Command,
    /// A number of things, with the word for them.
    Count(&'static str),
    /// A number.
    Plain,
}

/// A field of a kind, and what its values mean.
#[derive(Debug)]
pub struct Words {
    pub field: &'static Field,
    pub unit: Unit,
    /// A value that is no number of the unit, and what it stands for: 0, "not measured".
    pub special: Option<(u64, &'static str)>,
}

impl Words {
    fn new(field: &'static Field) -> Words {
        let text = field.unit;
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Words { field, unit: choice(text), special: None };
        }
        let (unit, special) = text.split_once(';').unwrap_or((text, ""));
        let unit = match unit.split([' ', ',']).next().unwrap_or_default() {
            _ if field.is_id => Unit::Id,
            "ns" => Unit::Ns,
            word @ ("cells" | "bytes" | "messages" | "kB/s") => Unit::Count(word),
            "a" if unit == "a status" => Unit::Status,
            "a" if unit == "a relay command" => Unit::Command,
            _ => Unit::Plain,
        };
        let special = special.split_once(':').and_then(|(value, word)| Some((value.trim().parse().ok()?, word.trim())));
        Words { field, unit, special }
    }

    /// The value as people read it.
    pub fn say(&self, value: Value, to: &mut String) {
        let value = match value {
            Value::Unsigned(value) => value,
            Value::Signed(value) => return self.say_signed(value, to),
        };
        // A `String` takes all that is written to it.
        let _ = match (&self.unit, self.special) {
            (_, Some((special, word))) if special == value => hyphened(word, to),
            (Unit::Id, _) => write!(to, "{value:#x}"),
            (Unit::Ns, _) => duration(value, to),
            (Unit::Truth, _) => to.write_str(["no", "yes"][usize::from(value != 0)]),
            (Unit::Choice(words), _) => match word_of(words, value) {
                Some(word) => hyphened(word, to),
                None => write!(to, "{value}"),
            },
            (Unit::Command, _) if is_known(value) => to.write_str(Command(value as u8).name()),
            (Unit::Count(word), _) => write!(to, "{value} {word}"),
            (Unit::Command | Unit::Status | Unit::Plain, _) => write!(to, "{value}"),
        };
    }

    /// The value as programs read it: a number, a word, a truth or a text for an id. Words stand between `quote`s, and
    /// `nothing` stands for a value that is none: no round trip was measured.
    #[inline]
    pub fn write(&self, value: Value, quote: &str, nothing: &str, to: &mut String) {
        let value = match value {
            Value::Unsigned(value) => value,
            Value::Signed(value) => {
                let _ = write!(to, "{value}");
                return;
            }
        };
        let _ = match (&self.unit, self.special) {
            (_, Some((special, _))) if special == value => to.write_str(nothing),
            (Unit::Id, _) => write!(to, "{quote}{value:#x}{quote}"),
            (Unit::Truth, _) => to.write_str(["false", "true"][usize::from(value != 0)]),
            (Unit::Choice(words), _) => match word_of(words, value) {
                Some(word) => write!(to, "{quote}{word}{quote}"),
                None => write!(to, "{value}"),
            },
            _ => write!(to, "{value}"),
        };
    }

    fn say_signed(&self, value: i64, to: &mut String) {
        let name = STATUSES.get(&value).copied();
        let _ = match self.special {
            Some((0, word)) if value == 0 => hyphened(word, to),
            _ if self.unit == Unit::Status => write!(to, "{value} {}", name.unwrap_or("(unknown)")),
            _ => write!(to, "{value}"),
        };
    }
}

fn is_known(command: u64) -> bool {
    u8::try_from(command).is_ok_and(|command| Command(command).is_known())
}

/// "0 ready, 1 not linked": numbers and their words.
fn choice(text: &'static str) -> Unit {
    if text == "0 no, 1 yes" {
        return Unit::Truth;
    }
    let one = |part: &'static str| {
        let (number, word) = part.trim().split_once(' ')?;
        Some((number.parse().ok()?, word))
    };
    Unit::Choice(text.split(',').filter_map(one).collect())
}

/// The word of a value, where there is one.
pub fn word_of(words: &[(u64, &'static str)], value: u64) -> Option<&'static str> {
    words.iter().find(|(number, _)| *number == value).map(|(_, word)| *word)
}

/// Words as one.
fn hyphened(words: &str, to: &mut String) -> std::fmt::Result {
    for letter in words.chars() {
        to.push(if letter == ' ' { '-' } else { letter });
    }
    Ok(())
}

/// Nanoseconds in the unit that suits them.
pub fn duration(ns: u64, to: &mut String) -> std::fmt::Result {
    match ns {
        0..1_000 => write!(to, "{ns}ns"),
        1_000..1_000_000 => write!(to, "{}.{:03}us", ns / 1_000, ns % 1_000),
        1_000_000..1_000_000_000 => write!(to, "{}.{:03}ms", ns / 1_000_000, ns / 1_000 % 1_000),
        _ => write!(to, "{}.{:06}s", ns / 1_000_000_000, ns / 1_000 % 1_000_000),
    }
}

/// Seconds with all nine digits behind the point.
pub fn seconds(ns: i64, to: &mut String) {
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    let _ = write!(to, "{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
}

/// The words of a kind's fields, in their order.
pub fn of(kind: &Kind) -> &'static [Words] {
    TABLE.get(usize::from(kind.number)).map_or(&[], Vec::as_slice)
}

static TABLE: LazyLock<Vec<Vec<Words>>> = LazyLock::new(|| {
    let len = KINDS.iter().map(|kind| usize::from(kind.number) + 1).max().unwrap_or(0);
    let mut table: Vec<Vec<Words>> = Vec::new();
    table.resize_with(len, Vec::new);
    for kind in KINDS {
        table[usize::from(kind.number)] = kind.fields.iter().map(Words::new).collect();
    }
    table
});

/// The name of a status, as the C header has it but for its first word.
pub fn status(number: i64) -> Option<&'static str> {
    STATUSES.get(&number).copied()
}

/// The statuses of the C header, by their numbers.
static STATUSES: LazyLock<BTreeMap<i64, &'static str>> = LazyLock::new(|| {
    let rows = include_str!("../../include/circflow.h").lines().filter_map(|line| {
        let (name, number) = line.trim().trim_end_matches(',').split_once(" = ")?;
        let is_status = name == "CIRCFLOW_OK" || name.starts_with("CIRCFLOW_ERR_");
        is_status.then_some((number.parse().ok()?, name.strip_prefix("CIRCFLOW_")?))
    });
    rows.collect()
});

/// Text between tags, or in a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, field: &str, value: Value) -> String {
        let kind = KINDS.iter().find(|row| row.name == kind).unwrap();
        let mut text = String::new();
        of(kind).iter().find(|words| words.field.name == field).unwrap().say(value, &mut text);
        text
    }

    #[test]
    fn units_of_the_whole_table_are_understood() {
        for words in KINDS.iter().flat_map(of) {
            let unit = words.field.unit;
            match &words.unit {
                Unit::Choice(choices) => assert_eq!(choices.len(), unit.split(',').count(), "{unit}"),
                Unit::Truth => {}
                _ => assert_eq!(words.special.is_some(), unit.contains(';'), "{unit}"),
            }
            assert_eq!(words.unit == Unit::Id, words.field.is_id);
            assert!(words.unit != Unit::Status || words.field.is_signed, "{unit}");
        }
    }

    #[test]
    fn values_are_said_with_their_units() {
        let number = Value::Unsigned;
        assert_eq!(said("LegLooked", "set", number(0x1f)), "0x1f");
        assert_eq!(said("LegLooked", "rtt", number(0)), "not-measured");
        assert_eq!(said("LegLooked", "rtt", number(12_345_678)), "12.345ms");
        assert_eq!(said("LegLooked", "cwnd", number(124)), "124 cells");
        assert_eq!(said("LegLooked", "state", number(2)), "window-full");
        assert_eq!(said("LegLooked", "state", number(99)), "99");
        assert_eq!(said("SetOpened", "by_peer", number(1)), "yes");
        assert_eq!(said("InOrder", "command", number(2)), "DATA");
        assert_eq!(said("InOrder", "command", number(255)), "255");
        assert_eq!(said("XonSent", "rate", number(0)), "no-limit");
        assert_eq!(said("SetEnded", "cause", Value::Signed(0)), "the-host-ended-it");
        assert_eq!(said("Fault", "status", Value::Signed(-2)), "-2 ERR_INVALID");
        assert_eq!(said("Fault", "status", Value::Signed(-99999)), "-99999 (unknown)");
    }

    #[test]
    fn words_need_no_escapes() {
        for words in KINDS.iter().flat_map(of) {
            assert!(words.field.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            assert!(!["time", "engine", "kind", "class"].contains(&words.field.name), "a column of its own");
            if let Unit::Choice(choices) = &words.unit {
                let is_plain = |letter: char| letter.is_ascii_alphanumeric() || " _-'".contains(letter);
                assert!(choices.iter().all(|(_, word)| word.chars().all(is_plain)), "{}", words.field.unit);
            }
        }
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        for (ns, expected) in [(0, "0ns"), (999, "999ns"), (1_000, "1.000us"), (1_500_000_000, "1.500000s")] {
            let mut text = String::new();
            duration(ns, &mut text).unwrap();
            assert_eq!(text, expected);
        }
        let mut text = String::new();
        seconds(-1_500_000_000, &mut text);
        assert_eq!(text, "-1.500000000");
    }
}
