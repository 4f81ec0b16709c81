//! What maybenot-simulator reads: a line for each cell, with its time in ns and `s` for sent or `r` for received.
//!
//! Where machines pad the circuit, they were told of each normal cell, and these are the lines. Where none does, the
//! lines are made of what a leg of a set sent and received: messages, SWITCH, SENDME, and the link handshake. The file
//! is read twice: first to find the circuit and its kind of events, then to write them.

use crate::error::Error;
use crate::file::{is_read_once, Entry};
use crate::filter::{Filter, Options};
use crate::order::InTime;
use crate::output::Output;
use std::collections::BTreeMap;
use std::fmt::Write;

/// So many circuits are named to who has to choose.
const NAMED_MAX: usize = 20;

/// Cells of a circuit.
#[derive(Default)]
struct Seen {
    /// Those that padders were told of, by hop: the first padder there, and how many.
    by_hop: BTreeMap<u64, (u64, u64)>,
    others: u64,
}

/// Which events are taken.
struct Chosen {
    engine: u32,
    circuit: u64,
    /// Hop and slot of the padder that is listened to; None where there is no padder.
    hop: Option<Place>,
}

pub fn run(path: &str, output: Option<&str>, options: &Options, hop: Option<u64>) -> Result<(), Error> {
    if is_read_once(path) {
        return Err(Error::Wrong("--to maybenot reads the trace twice: it has to be a file".to_owned()));
    }
    let mut seen: BTreeMap<(u32, u64), Seen> = BTreeMap::new();
    // A file that is damaged behind some events is told of at the end of the second reading.
    let mut trace = InTime::open(path)?;
    let first = each(&mut trace, options, |entry, _| {
        if let Some((circuit, hop, _)) = cell(entry) {
            let seen = seen.entry((entry.engine, circuit)).or_default();
            match hop {
                Some((hop, slot)) => {
                    let (first, count) = seen.by_hop.entry(hop).or_insert((slot, 0));
                    *count += u64::from(*first == slot);
                }
                None => seen.others += 1,
            }
        }
        Ok(())
    });
    if seen.is_empty() {
        first?;
    }
    let chosen = choose(&seen, options, hop)?;
    let mut output = Output::open(output)?;
    let (mut line, mut begin) = (String::new(), None);
    // Somebody may still write the file.
    let mut trace = InTime::open_until(path, trace.facts().taken)?;
    let read = each(&mut trace, options, |entry, time| {
        let Some((circuit, hop, direction)) = cell(entry) else { return Ok(()) };
        if (entry.engine, circuit, hop) != (chosen.engine, chosen.circuit, chosen.hop) {
            return Ok(());
        }
        line.clear();
        let _ = writeln!(line, "{},{direction}", time.saturating_sub(*begin.get_or_insert(time)));
        output.write(line.as_bytes())
    });
    output.finish()?;
    if read.is_ok() {
        trace.warn();
    }
    read
}

/// Reads all events that the options take.
fn each(
    trace: &mut InTime,
    options: &Options,
    mut see: impl FnMut(&Entry, i64) -> Result<(), Error>,
) -> Result<(), Error> {
    // Which circuit it is, is decided here: events of a leg name it in several ways.
    let options = Options { circuit: Vec::new(), leg: Vec::new(), ..options.clone() };
    let mut filter = Filter::new(&options);
    while let Some(entry) = trace.next()? {
        let first = trace.begin();
        if filter.takes(&entry, first) {
            see(&entry, filter.time_of(&entry, first))?;
        }
    }
    Ok(())
}

/// A padder's hop, and its slot there.
type Place = (u64, u64);

/// The circuit of a cell, hop and slot of the padder that was told of it, and whether it was sent or received.
fn cell(entry: &Entry) -> Option<(u64, Option<Place>, char)> {
    let (name, direction) = match entry.kind.name {
        "PaddingEvent" => {
            let direction = match entry.get("what")? {
                1 => 's',
                2 => 'r',
                _ => return None,
            };
            return Some((entry.get("circuit")?, Some((entry.get("hop")?, entry.get("slot")?)), direction));
        }
        "Sent" | "SwitchSent" => ("leg", 's'),
        "InOrder" | "Held" | "SwitchReceived" => ("leg", 'r'),
        "SendmeSent" => ("circuit", 's'),
        "SendmeReceived" => ("circuit", 'r'),
        "LegStep" => match entry.get("step")? {
            2..=4 => ("leg", 's'),
            5..=7 => ("leg", 'r'),
            _ => return None,
        },
        _ => return None,
    };
    Some((entry.get(name)?, None, direction))
}

fn choose(seen: &BTreeMap<(u32, u64), Seen>, options: &Options, hop: Option<u64>) -> Result<Chosen, Error> {
    let named: Vec<u64> = options.circuit.iter().chain(&options.leg).copied().collect();
    let found: Vec<_> = seen.iter().filter(|((_, id), _)| named.is_empty() || named.contains(id)).collect();
    let [((engine, circuit), cells)] = found[..] else { return Err(Error::Wrong(which(seen, found.len(), &named))) };
    let hop = match hop {
        Some(hop) if !cells.by_hop.contains_key(&hop) => {
            let text = format!("circuit {circuit:#x}: no padder of hop {hop} was told of a cell");
            return Err(Error::Wrong(text));
        }
        Some(hop) => Some(hop),
        None => cells.by_hop.keys().next().copied(),
    };
    let hop = hop.and_then(|hop| Some((hop, cells.by_hop.get(&hop)?.0)));
    Ok(Chosen { engine: *engine, circuit: *circuit, hop })
}

/// What to say to who has to choose.
fn which(seen: &BTreeMap<(u32, u64), Seen>, found: usize, named: &[u64]) -> String {
    let mut text = match (found, named) {
        (_, []) if seen.is_empty() => return "no cell of any circuit is in the trace".to_owned(),
        (0, _) => "no cell of that circuit is in the trace".to_owned(),
        (_, []) => "more than one circuit is in the trace: say --circuit ID".to_owned(),
        (..) => "more than one circuit is named so: give one --circuit, and --engine".to_owned(),
    };
    text.push_str("\n  circuit             engine  cells");
    for ((engine, circuit), cells) in seen.iter().take(NAMED_MAX) {
        let count = cells.by_hop.values().next().map_or(cells.others, |&(_, count)| count);
        let _ = write!(text, "\n  {:<18}  {engine:>6}  {count:>5}", format!("{circuit:#x}"));
    }
    if seen.len() > NAMED_MAX {
        let _ = write!(text, "\n  and {} more", seen.len() - NAMED_MAX);
    }
    text
}
