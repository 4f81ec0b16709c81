//! JSON: an object in each line, and qlog's JSON text sequence.

use super::Exporter;
use crate::file::Entry;
use crate::words;
use circflow::event::{Kind, KINDS};
use serde_json::json;
use std::fmt::Write;

/// An object in each line: time, engine, kind, class, and the fields.
pub struct Lines;

impl Exporter for Lines {
    fn begin(&mut self, _: &mut String) {}

    fn event(&mut self, entry: &Entry, time: i64, to: &mut String) {
        let (engine, kind) = (entry.engine, entry.kind);
        let _ = write!(
            to,
            "{{\"time\":{time},\"engine\":{engine},\"kind\":\"{}\",\"class\":\"{:?}\"",
            kind.name, kind.class
        );
        fields(entry, ",", to);
        to.push_str("}\n");
    }

    fn end(&mut self, _: &mut String) {}
}

/// The fields as members of an object, of which the first stands behind `before`.
pub(super) fn fields(entry: &Entry, before: &str, to: &mut String) {
    let mut before = before;
    for (words, (_, value)) in words::of(entry.kind).iter().zip(entry.values()) {
        to.push_str(before);
        to.push('"');
        to.push_str(words.field.name);
        to.push_str("\":");
        words.write(value, "\"", "null", to);
        before = ",";
    }
}

/// qlog (draft-ietf-quic-qlog-main-schema) as a JSON text sequence: a record separator before each text, a line feed
/// behind it. The first text is the head of the file.
pub struct Qlog {
    title: String,
    /// By the numbers of kinds.
    names: Vec<String>,
}

const RECORD_SEPARATOR: char = '\u{1e}';

impl Qlog {
    pub fn new(title: &str) -> Qlog {
        let len = KINDS.iter().map(|kind| usize::from(kind.number) + 1).max().unwrap_or(0);
        let mut names = vec![String::new(); len];
        for kind in KINDS {
            names[usize::from(kind.number)] = snake(kind);
        }
        Qlog { title: title.to_owned(), names }
    }
}

/// "InOrder" as "in_order".
fn snake(kind: &Kind) -> String {
    let mut name = String::new();
    for (at, letter) in kind.name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

impl Exporter for Qlog {
    fn begin(&mut self, to: &mut String) {
        let head = json!({
            "file_schema": "urn:ietf:params:qlog:file:sequential",
            "serialization_format": "application/qlog+json-seq",
            "title": self.title,
            "trace": {
                "title": self.title,
                "common_fields": {
                    "time_format": "relative_to_epoch",
                    "reference_time": { "clock_type": "monotonic", "epoch": "unknown" },
                },
                "vantage_point": { "name": "circflow", "type": "unknown" },
                "event_schemas": ["urn:circflow:qlog:events:1"],
            },
        });
        let _ = writeln!(to, "{RECORD_SEPARATOR}{head}");
    }

    fn event(&mut self, entry: &Entry, time: i64, to: &mut String) {
        to.push(RECORD_SEPARATOR);
        to.push_str("{\"time\":");
        millis(time, to);
        let _ = write!(to, ",\"name\":\"circflow:{}\"", self.names[usize::from(entry.kind.number)]);
        // Events of one set, or of one circuit that is in none, belong together.
        if let Some(group) = ["set", "circuit", "owner", "who"].iter().find_map(|name| entry.get(name)) {
            let _ = write!(to, ",\"group_id\":\"{group:#x}\"");
        }
        let _ = write!(to, ",\"engine\":{},\"data\":{{", entry.engine);
        fields(entry, "", to);
        to.push_str("}}\n");
    }

    fn end(&mut self, _: &mut String) {}
}

/// Milliseconds with all that is behind the point.
fn millis(ns: i64, to: &mut String) {
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    let _ = write!(to, "{sign}{}.{:06}", ns / 1_000_000, ns % 1_000_000);
}
