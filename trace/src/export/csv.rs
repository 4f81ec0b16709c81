//! A table with a row for each event, and a column for each field of any kind: the columns are the same in every row.

use super::Exporter;
use crate::file::Entry;
use crate::words;
use circflow::event::{Kind, KINDS};
use std::fmt::Write;

/// The columns behind time, engine, kind and class.
pub struct Columns {
    names: Vec<&'static str>,
    /// By the numbers of kinds: the columns of its fields, in the order of the columns.
    places: Vec<Vec<(usize, usize)>>,
}

impl Columns {
    /// The fields of all kinds that are taken, in the order in which the table names them first.
    pub fn new(is_taken: impl Fn(&Kind) -> bool) -> Columns {
        let mut names: Vec<&'static str> = Vec::new();
        let len = KINDS.iter().map(|kind| usize::from(kind.number) + 1).max().unwrap_or(0);
        let mut places = vec![Vec::new(); len];
        for kind in KINDS.iter().filter(|kind| is_taken(kind)) {
            let of_kind: &mut Vec<(usize, usize)> = &mut places[usize::from(kind.number)];
            for (at, field) in kind.fields.iter().enumerate() {
                let column = names.iter().position(|name| *name == field.name).unwrap_or_else(|| {
                    names.push(field.name);
                    names.len() - 1
                });
                of_kind.push((column, at));
            }
            of_kind.sort_unstable();
        }
        Columns { names, places }
    }
}

impl Exporter for Columns {
    fn begin(&mut self, to: &mut String) {
        to.push_str("time,engine,kind,class");
        for name in &self.names {
            to.push(',');
            to.push_str(name);
        }
        to.push('\n');
    }

    fn event(&mut self, entry: &Entry, time: i64, to: &mut String) {
        let _ = write!(to, "{time},{},{},{:?}", entry.engine, entry.kind.name, entry.kind.class);
        let words = words::of(entry.kind);
        // The last column was that of the class.
        let mut at = 0;
        for &(column, field) in &self.places[usize::from(entry.kind.number)] {
            commas(column + 1 - at, to);
            at = column + 1;
            // A record of an older library may lack the last fields.
            if let (Some(words), Some((_, value))) = (words.get(field), entry.values().nth(field)) {
                words.write(value, "", "", to);
            }
        }
        commas(self.names.len() - at, to);
        to.push('\n');
    }

    fn end(&mut self, _: &mut String) {}
}

fn commas(mut count: usize, to: &mut String) {
    const SOME: &str = ",,,,,,,,,,,,,,,,";
    while count > 0 {
        let now = count.min(SOME.len());
        to.push_str(&SOME[..now]);
        count -= now;
    }
}
