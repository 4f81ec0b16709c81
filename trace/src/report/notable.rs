//! The events that somebody should read one by one: lives of sets and legs, and whatever went wrong.

use super::names::Names;
use super::place;
use crate::figures;
use crate::file::Entry;
use circflow::event::Level;
use serde::Serialize;

/// So many of what went wrong are listed, and so many of the others.
const LISTED_MAX: usize = 200;

/// The kind of event that warns of what is recorded.
const RELAY: &str = "RecordedAtRelay";

/// The first of them, and how many more there were.
#[derive(Default)]
pub struct Notables {
    warnings: Vec<Entry>,
    others: Vec<Entry>,
    pub left_out: u64,
}

/// One of them, as the page has it.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct Notable {
    /// In µs since the beginning of the trace.
    pub at: u64,
    pub is_bad: bool,
    /// Nothing went wrong, and one has to know it.
    pub is_note: bool,
    pub text: String,
}

impl Notables {
    pub fn see(&mut self, entry: &Entry) {
        let list = match entry.kind.level {
            // Each relay says so, and it says nothing of a moment.
            Level::Warn if entry.kind.name == RELAY && self.warnings.iter().any(|one| one.kind.name == RELAY) => return,
            Level::Warn => &mut self.warnings,
            Level::Info => &mut self.others,
            _ if matches!(entry.kind.name, "PaddingNegotiated" | "PadderAdded" | "PadderRemoved") => &mut self.others,
            _ => return,
        };
        if list.len() < LISTED_MAX {
            list.push(*entry);
        } else {
            self.left_out += 1;
        }
    }

    /// All of them by time.
    pub fn list(&self, names: &Names) -> Vec<Notable> {
        let mut all: Vec<&Entry> = self.warnings.iter().chain(&self.others).collect();
        all.sort_by_key(|entry| entry.time);
        all.into_iter().map(|entry| notable(entry, names)).collect()
    }
}

fn notable(entry: &Entry, names: &Names) -> Notable {
    let (lost, is_ended) = (entry.kind.name == "LegLost", entry.kind.name == "SetEnded");
    let has_cause = (lost || is_ended) && entry.signed("cause").is_some_and(Names::is_bad);
    Notable {
        at: names.micros(entry.time),
        is_bad: entry.kind.level == Level::Warn && entry.kind.name != RELAY || has_cause,
        is_note: entry.kind.name == RELAY,
        text: capital(&sentence(entry, names)),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn sentence(entry: &Entry, names: &Names) -> String {
    let get = |name| entry.get(name).unwrap_or(0);
    let of = |name| names.of(entry.engine, get(name));
    let status = |name| names.status(entry.signed(name).unwrap_or(0));
    match entry.kind.name {
        "SetOpened" if get("by_peer") == 1 => format!("A peer opened {}", of("set")),
        "SetOpened" => format!("The host opened {}", of("set")),
        "LegLinked" => match get("rtt") {
            0 => format!("{} is linked", of("leg")),
            rtt => format!("{} is linked; the handshake took {}", of("leg"), figures::time(rtt)),
        },
        "SetUsable" => format!("{} can carry streams", of("set")),
        "LegLost" if entry.signed("cause").is_some_and(Names::is_bad) => {
            format!("Lost {}: {}", of("leg"), status("cause"))
        }
        "LegLost" => format!("{} has gone: {}", of("leg"), status("cause")),
        "SetEnded" => format!("{} ended: {}", of("set"), status("cause")),
        "LegWanted" => format!("{} wants another leg", of("set")),
        "CapReached" => format!(
            "{} cap on memory was reached by {}: {} wanted, and {} count for it",
            named(get("cap"), &["The set's", "The engine's", "The hub's"]),
            of("who"),
            figures::bytes(get("wanted")),
            figures::bytes(get("held"))
        ),
        "Victim" => format!(
            "{} was closed to free memory: it held {}, the oldest of it for {}",
            of("who"),
            figures::bytes(get("held")),
            figures::time(get("age"))
        ),
        RELAY => {
            "Recorded at a relay: this tells who talked when, and docs/events.md what may not be published".to_owned()
        }
        "Fault" => format!("The peer of {} broke the protocol: {}", of("who"), status("status")),
        "PadderAdded" => {
            format!("A padder of {} runs at {}", figures::count(get("machines"), "machine"), at_hop(entry, names))
        }
        "PadderRemoved" => format!("The padder at {} runs no longer", at_hop(entry, names)),
        "PaddingNegotiated" => {
            let steps = [
                "start sent",
                "start received",
                "agreed",
                "refused",
                "stop sent",
                "stop received",
                "stopped",
                "ended by the relay",
            ];
            format!("Padding at {}: {}", at_hop(entry, names), named(get("step"), &steps))
        }
        _ => general(entry, names),
    }
}

fn at_hop(entry: &Entry, names: &Names) -> String {
    let place = (entry.get("hop").unwrap_or(0), entry.get("slot").unwrap_or(0));
    format!("{} of {}", place::name(place), names.of(entry.engine, entry.get("circuit").unwrap_or(0)))
}

/// The text of a value that counts from 1.
fn named<'a>(value: u64, texts: &[&'a str]) -> &'a str {
    usize::try_from(value).ok().and_then(|value| texts.get(value.wrapping_sub(1))).unwrap_or(&"Another")
}

/// What the table says of its kind, and its fields.
fn general(entry: &Entry, names: &Names) -> String {
    let doc = entry.kind.doc.trim().trim_end_matches('.');
    let fields: Vec<String> = entry.values().map(|(field, value)| names.field(entry.engine, field, value)).collect();
    if fields.is_empty() {
        doc.to_owned()
    } else {
        format!("{doc} ({})", fields.join(", "))
    }
}
