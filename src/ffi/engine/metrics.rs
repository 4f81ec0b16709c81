//! Totals as text in the OpenMetrics format 1.0.

use crate::conflux::{Cause, Fault};
use crate::engine::counters::{place_of, Family, FamilyKind, Row, RowLabel, Totals};
use crate::ffi::status::circflow_status;
use std::fmt::{self, Write};

/// The totals of the engine with this number.
pub(super) fn text(engine: u32, totals: &Totals) -> String {
    let mut text = String::with_capacity(LENGTH);
    // Writing to a string does not fail.
    let _ = write_all(&mut text, engine, totals);
    text
}

/// About the length of the text.
const LENGTH: usize = 24 << 10;

fn write_all(text: &mut String, engine: u32, totals: &Totals) -> fmt::Result {
    let mut done = Ok(());
    let mut before = "";
    totals.each(|family, row, numbers| {
        if done.is_ok() && family.name != before {
            done = write_head(text, family);
        }
        before = family.name;
        if done.is_ok() {
            done = write_row(text, engine, family, row, numbers);
        }
    });
    done?;
    text.write_str("# EOF\n")
}

/// What a family of metrics is called.
struct Name<'a>(&'a Family);

impl fmt::Display for Name<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Family { name, unit, .. } = self.0;
        write!(to, "circflow_{name}{}{unit}", if unit.is_empty() { "" } else { "_" })
    }
}

fn write_head(text: &mut String, family: &Family) -> fmt::Result {
    let name = Name(family);
    let kind = match family.kind {
        FamilyKind::Counter => "counter",
        FamilyKind::Gauge => "gauge",
        FamilyKind::Histogram => "histogram",
    };
    writeln!(text, "# TYPE {name} {kind}")?;
    if !family.unit.is_empty() {
        writeln!(text, "# UNIT {name} {}", family.unit)?;
    }
    writeln!(text, "# HELP {name} {}", family.help)
}

fn write_row(text: &mut String, engine: u32, family: &Family, row: &Row, numbers: &[u64]) -> fmt::Result {
    let name = Name(family);
    let adds = if family.kind == FamilyKind::Counter { "_total" } else { "" };
    let number = numbers.first().copied().unwrap_or_default();
    let is_time = row.field.ends_with("_ns");
    match row.label {
        RowLabel::Alone => writeln!(text, "{name}{adds}{{engine=\"{engine}\"}} {}", Amount(number, is_time)),
        RowLabel::Is(label, value) => {
            writeln!(text, "{name}{adds}{{engine=\"{engine}\",{label}=\"{value}\"}} {}", Amount(number, is_time))
        }
        RowLabel::Status(label) => {
            for (status, place) in statuses(label == "cause") {
                let count = numbers.get(place).copied().unwrap_or_default();
                writeln!(text, "{name}{adds}{{engine=\"{engine}\",{label}=\"{}\"}} {count}", Short(status))?;
            }
            Ok(())
        }
        RowLabel::Classes => {
            let mut sum = 0;
            for (class, number) in numbers.iter().enumerate() {
                sum += number;
                let end = End { class, is_last: class + 1 == numbers.len(), is_time: !family.unit.is_empty() };
                writeln!(text, "{name}_bucket{{engine=\"{engine}\",le=\"{end}\"}} {sum}")?;
            }
            writeln!(text, "{name}_count{{engine=\"{engine}\"}} {sum}")
        }
        RowLabel::Sum => writeln!(text, "{name}_sum{{engine=\"{engine}\"}} {}", Amount(number, is_time)),
    }
}

/// The statuses that a total can have, and the place of each. A cause is a fault, or what no peer is to blame for.
fn statuses(causes: bool) -> impl Iterator<Item = (i32, usize)> {
    let plain = [Cause::Asked, Cause::LegLost, Cause::Finished].into_iter().filter(move |_| causes);
    let numbers = plain.chain(Fault::ALL.iter().map(|&fault| Cause::Fault(fault))).map(Cause::number);
    numbers.filter_map(|number| Some((number, place_of(number)?)))
}

/// The name of a status without what all have in common: "leg-lost".
struct Short(i32);

impl fmt::Display for Short {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = circflow_status::name_of(self.0.into()).to_str().unwrap_or_default();
        let name = if self.0 == 0 { "asked" } else { name.trim_start_matches("CIRCFLOW_ERR_") };
        name.chars().try_for_each(|c| to.write_char(if c == '_' { '-' } else { c.to_ascii_lowercase() }))
    }
}

/// A number of things; or a time in nanoseconds, which OpenMetrics wants in seconds.
struct Amount(u64, bool);

impl fmt::Display for Amount {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Amount(number, false) => write!(to, "{number}"),
            Amount(ns, true) => write!(to, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000),
        }
    }
}

/// The upper end of a class, 2^class things or microseconds, in the form that OpenMetrics asks for.
struct End {
    class: usize,
    is_last: bool,
    is_time: bool,
}

impl fmt::Display for End {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = 1u64 << self.class;
        match *self {
            End { is_last: true, .. } => write!(to, "+Inf"),
            End { is_time: false, .. } => write!(to, "{end}.0"),
            _ if end < 10 => write!(to, "{end}e-06"),
            _ if end < 100 => write!(to, "{}.{}e-05", end / 10, end % 10),
            _ => write!(to, "{}.{:06}", end / 1_000_000, end % 1_000_000),
        }
    }
}
