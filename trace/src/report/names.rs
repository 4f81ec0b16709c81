//! How the page calls what is in a trace: "leg 2 of set 1" is easier to follow than an id.

use super::census::{Census, Key};
use crate::figures;
use circflow::event::{Field, Value};
use std::collections::BTreeMap;

/// The names of sets and legs. Sets count from 1 by the time of their first event.
#[derive(Default)]
pub struct Names {
    zero: u64,
    names: BTreeMap<Key, String>,
    numbers: BTreeMap<Key, usize>,
}

impl Names {
    pub fn new(census: &Census) -> Names {
        let mut sets: Vec<_> = census.sets.iter().collect();
        sets.sort_by_key(|(key, set)| (set.seen.first, **key));
        let mut names = Names { zero: census.first, ..Names::default() };
        for (at, (key, set)) in sets.into_iter().enumerate() {
            let number = at + 1;
            names.numbers.insert(*key, number);
            names.names.insert(*key, format!("set {number}"));
            for (leg, totals) in set.legs.iter().enumerate() {
                names.names.insert((key.0, totals.id), format!("leg {} of set {number}", leg + 1));
            }
        }
        names
    }

    /// The number of a set.
    pub fn number(&self, set: Key) -> usize {
        self.numbers.get(&set).copied().unwrap_or(0)
    }

    /// The name of a set, of a leg or of another circuit.
    pub fn of(&self, engine: u32, id: u64) -> String {
        self.names.get(&(engine, id)).cloned().unwrap_or_else(|| format!("circuit {id:#x}"))
    }

    /// The time since the trace began, in µs.
    pub fn micros(&self, time: u64) -> u64 {
        time.saturating_sub(self.zero) / 1000
    }

    /// What a status is called.
    pub fn status(&self, status: i64) -> String {
        match status {
            0 => "the host asked for it".to_owned(),
            _ => crate::words::status(status).map_or_else(|| format!("status {status}"), str::to_owned),
        }
    }

    /// False for a cause that is a regular end.
    pub fn is_bad(status: i64) -> bool {
        status < 0 && crate::words::status(status) != Some("ERR_SET_FINISHED")
    }

    /// A field with its value.
    pub fn field(&self, engine: u32, field: &Field, value: Value) -> String {
        let name = field.name.replace('_', " ");
        match value {
            Value::Unsigned(id) if field.is_id => format!("{name} {}", self.of(engine, id)),
            Value::Unsigned(ns) if field.unit == "ns" => format!("{name} {}", figures::time(ns)),
            Value::Unsigned(value) => format!("{name} {}", figures::number(value)),
            Value::Signed(status) => self.status(status),
        }
    }
}
