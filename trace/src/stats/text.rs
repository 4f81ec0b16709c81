//! The figures as text.

use super::collect::{FileTold, RestTold, Told};
use super::padding::WholePadder;
use super::quantiles::Spread;
use super::set::{LegTold, WholeLeg, WholeSet};
use super::span::SpansTold;
use crate::words;
use std::collections::BTreeSet;
use std::fmt::Write;

/// A text that grows: writing to it cannot fail.
macro_rules! say {
    ($to:expr, $($text:tt)*) => {{
        let _ = writeln!($to, $($text)*);
    }};
}

/// All of it.
pub fn page(told: &Told) -> String {
    let mut page = String::new();
    file(&told.file, &mut page);
    for set in &told.sets {
        set_told(set, told.file.earliest, &mut page);
    }
    circuits(told, &mut page);
    padding(&told.padding, &mut page);
    rest(&told.rest, &mut page);
    page
}

fn file(file: &FileTold, page: &mut String) {
    say!(page, "{}", file.path);
    say!(
        page,
        "  {} events in {}, {} bytes in {} pieces",
        file.events,
        time(file.latest - file.earliest),
        file.bytes,
        file.pieces
    );
    if file.left_out > 0 {
        say!(page, "  {} events left out, as they were not asked for", file.left_out);
    }
    say!(page, "  {} events overwritten before they were read", file.overwritten);
    say!(page, "  recorded: {}", file.classes.join(", "));
    for engine in &file.engines {
        let span = time(engine.latest - engine.earliest);
        let at = time(engine.earliest - file.earliest);
        say!(page, "  engine {}: {} events in {span}, from {at} on", engine.engine, engine.events);
    }
    let mut table = Table::new(&["events by kind", "class", "events"]);
    for kind in &file.kinds {
        table.row(vec![kind.kind.to_owned(), kind.class.clone(), kind.events.to_string()]);
    }
    table.write(page);
}

fn set_told(whole: &WholeSet, begin: u64, page: &mut String) {
    let set = &whole.set;
    say!(page, "\nset {:#x} of engine {}", set.set.0, set.engine);
    let at = |moment: Option<u64>| moment.map_or("not in the trace".to_owned(), |at| time(at.saturating_sub(begin)));
    let by = match set.by_peer {
        Some(true) => " by the peer",
        Some(false) => " here",
        None => "",
    };
    say!(
        page,
        "  opened{by}: {}; usable: {}; ended: {}{}",
        at(set.opened),
        at(set.usable),
        at(set.ended),
        cause(set.ended_cause, set.ended_cause_name)
    );
    say!(
        page,
        "  received: {} in order, {} held, {} released; {} SWITCH",
        set.in_order,
        set.held,
        set.released,
        set.switches_received
    );
    say!(page, "  sent: {}; {} SWITCH", set.sent, set.switches_sent);
    say!(page, "  reorder depth: peak {}{}", set.depth_peak, depth(whole));
    say!(page, "  holds: {}", spans(&whole.holds));
    if let Some(waits) = whole.waits_ns {
        let [median, p95, max] = [waits.median, waits.p95, waits.max].map(time);
        say!(page, "  waits: a message was held for {median} (median), {p95} (95 %), {max} (longest)");
    }
    let reasons: Vec<String> = set.refused_by.iter().map(|(why, count)| format!("{why} {count}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    say!(page, "  refused {} times{reasons}; blocked: {}", set.refused, spans(&whole.blocked));
    if set.held_for_sending > 0 {
        say!(
            page,
            "  held back by padding: {} messages, {} at a time",
            set.held_for_sending,
            set.held_for_sending_peak
        );
    }
    say!(
        page,
        "  streams: {} opened, {} ended; XOFF {} sent, {} received; XON {} sent, {} received",
        set.streams_opened,
        set.streams_ended,
        set.xoff_sent,
        set.xoff_received,
        set.xon_sent,
        set.xon_received
    );
    legs(&whole.legs, begin, page);
}

fn depth(whole: &WholeSet) -> String {
    let Some(spread) = whole.depth else { return String::new() };
    let mut text = format!(", median {}, 95 % {};", spread.median, spread.p95);
    for (power, count) in whole.depth_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (from, to) = (1u64 << power, (2u64 << power) - 1);
        let range = if from == to { from.to_string() } else { format!("{from}-{to}") };
        let _ = write!(text, " {range}: {count}x");
    }
    text
}

fn legs(legs: &[WholeLeg], begin: u64, page: &mut String) {
    let mut cells =
        Table::new(&["leg", "linked", "lost", "sent", "per second", "in order", "held", "SWITCH to", "from"]);
    let mut windows = Table::new(&WINDOWS);
    let mut looks =
        Table::new(&["not ready when looked at", "not linked", "window full", "channel full", "by padding"]);
    let at = |moment: Option<u64>| moment.map_or("-".to_owned(), |at| time(at.saturating_sub(begin)));
    for whole in legs {
        let leg = &whole.leg;
        let id = format!("{:#x}", leg.leg.0);
        let lost = format!("{}{}", at(leg.lost), end_of_leg(leg));
        let rate = leg.sent_per_second.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
        let mut row = vec![id.clone(), at(leg.linked), lost, leg.sent.to_string(), rate];
        let received = [leg.in_order, leg.held, leg.switches_to, leg.switches_received];
        row.extend(received.map(|count| count.to_string()));
        cells.row(row);
        let sendmes = [whole.sendmes_sent, whole.sendmes_received];
        windows.row(window_row(id.clone(), whole.rtt_ns, whole.cwnd, whole.in_flight, sendmes));
        let counts = [leg.not_linked, leg.window_full, leg.channel_full, leg.padding_blocked];
        if counts.iter().any(|count| *count > 0) {
            looks.row([id].into_iter().chain(counts.map(|count| count.to_string())).collect());
        }
    }
    cells.write(page);
    windows.write(page);
    looks.write(page);
}

/// Of these, cwnd and cells in flight are the least, the median and the most.
const WINDOWS: [&str; 9] =
    ["round trips", "least", "median", "95 %", "longest", "cwnd", "in flight", "SENDME sent", "received"];

fn window_row(
    id: String,
    rtt: Option<Spread>,
    cwnd: Option<Spread>,
    in_flight: Option<Spread>,
    sendmes: [u64; 2],
) -> Vec<String> {
    let mut row = vec![id];
    row.extend(spread_times(rtt));
    row.extend([range(cwnd), range(in_flight)]);
    row.extend(sendmes.map(|count| count.to_string()));
    row
}

/// Windows and streams of circuits that are no legs, and the edges of all.
fn circuits(told: &Told, page: &mut String) {
    let of_set = |set: &WholeSet| {
        let engine = set.set.engine;
        set.legs.iter().map(move |leg| (engine, leg.leg.leg.0)).collect::<Vec<_>>()
    };
    let legs: BTreeSet<(u32, u64)> = told.sets.iter().flat_map(of_set).collect();
    let mut windows = Table::new(&WINDOWS);
    let mut streams = Table::new(&["streams", "opened", "XOFF sent", "received", "XON sent", "received"]);
    let mut edges =
        Table::new(&["edges", "side", "cells that waited", "at a time", "paused", "for", "channel full", "for"]);
    for whole in &told.circuits {
        let (circuit, own) = (&whole.circuit, &whole.streams);
        let id = format!("{:#x} of engine {}", circuit.circuit.0, circuit.engine);
        if !legs.contains(&(circuit.engine, circuit.circuit.0)) {
            let sendmes = [circuit.sendmes_sent, circuit.sendmes_received];
            if circuit.cwnd.is_some() || sendmes != [0; 2] {
                windows.row(window_row(id.clone(), circuit.rtt_ns, circuit.cwnd, circuit.in_flight, sendmes));
            }
        }
        let counts = [own.opened, own.xoff_sent, own.xoff_received, own.xon_sent, own.xon_received];
        if counts != [0; 5] {
            streams.row([id.clone()].into_iter().chain(counts.map(|count| count.to_string())).collect());
        }
        for edge in &whole.edges {
            let [paused, full] =
                [&edge.paused, &edge.channel_full].map(|spans| [spans.count.to_string(), total(spans)]);
            let counts = [edge.waited, edge.waiting_peak].map(|count| count.to_string());
            let named = [id.clone(), edge.side.to_owned()];
            edges.row(named.into_iter().chain(counts).chain(paused).chain(full).collect());
        }
    }
    if [&windows, &streams, &edges].iter().any(|table| !table.is_empty()) {
        say!(page, "\ncircuits");
    }
    windows.write(page);
    streams.write(page);
    edges.write(page);
}

fn padding(all: &[WholePadder], page: &mut String) {
    if all.is_empty() {
        return;
    }
    say!(page, "\npadding");
    let mut cells = Table::new(&[
        "circuit",
        "engine",
        "hop",
        "slot",
        "normal out",
        "padding out",
        "overhead",
        "normal in",
        "padding in",
        "overhead",
        "replaced",
        "refused",
        "blocks",
        "blocked for",
        "longest",
        "states",
        "timers",
        "late 95 %",
    ]);
    let share = |percent: Option<f64>| percent.map_or("-".to_owned(), |percent| format!("{percent:.1} %"));
    for whole in all {
        let padder = &whole.padder;
        let mut row = vec![format!("{:#x}", padder.circuit.0), padder.engine.to_string()];
        row.extend([padder.hop, padder.slot].map(|place| place.to_string()));
        row.extend([padder.normal_sent, padder.padding_sent].map(|count| count.to_string()));
        row.push(share(padder.overhead_sent_percent));
        row.extend([padder.normal_received, padder.padding_received].map(|count| count.to_string()));
        row.push(share(padder.overhead_received_percent));
        let replaced = padder.replaced_by_unwritten + padder.replaced_by_blocked;
        row.extend([replaced, padder.refused.values().sum(), whole.blocked.count].map(|count| count.to_string()));
        row.push(total(&whole.blocked));
        row.push(whole.blocked.lengths_ns.map_or("-".to_owned(), |spread| time(spread.max)));
        row.extend([padder.states_changed, padder.timers_fired].map(|count| count.to_string()));
        row.push(whole.late_ns.map_or("-".to_owned(), |spread| time(spread.p95)));
        cells.row(row);
    }
    cells.write(page);
    for whole in all {
        for (why, count) in &whole.padder.refused {
            say!(page, "  circuit {:#x}, hop {}: {count} refused by {why}", whole.padder.circuit.0, whole.padder.hop);
        }
    }
}

fn rest(rest: &RestTold, page: &mut String) {
    let memory = &rest.memory;
    if !memory.caps_reached.is_empty() || memory.victims + memory.trims > 0 {
        let caps: Vec<String> = memory.caps_reached.iter().map(|(cap, count)| format!("{cap} {count} times")).collect();
        say!(page, "\nmemory");
        say!(page, "  caps reached: {}; {} bytes held then at most", or_none(caps), memory.held_peak);
        let oldest = time(memory.victims_oldest_ns);
        say!(
            page,
            "  closed to make room: {}, which held {} bytes, the oldest for {oldest}",
            memory.victims,
            memory.victims_bytes
        );
        say!(page, "  given back: {} bytes, {} times", memory.trimmed_bytes, memory.trims);
    }
    if rest.hub.crossed_out + rest.hub.crossed_in > 0 {
        say!(page, "\nhub: {} went to another engine, {} came from one", rest.hub.crossed_out, rest.hub.crossed_in);
    }
    if !rest.faults.is_empty() {
        say!(page, "\nfaults of peers");
        let mut table = Table::new(&["status", "name", "times"]);
        for fault in &rest.faults {
            table.row(vec![fault.status.to_string(), fault.name.unwrap_or("?").to_owned(), fault.count.to_string()]);
        }
        table.write(page);
    }
    let host = &rest.host;
    if host.clock_set + host.clock_went_back + host.clock_leapt > 0 {
        say!(
            page,
            "\nclock: set {} times, went back {}, leapt {}",
            host.clock_set,
            host.clock_went_back,
            host.clock_leapt
        );
    }
    if host.recorded_at_relay {
        say!(page, "\nrecorded at a relay: it tells who talked when, so publish nothing of it");
    }
}

fn or_none(parts: Vec<String>) -> String {
    if parts.is_empty() {
        return "none".to_owned();
    }
    parts.join(", ")
}

/// Why a leg went. A set that has finished has lost none.
fn end_of_leg(leg: &LegTold) -> String {
    match leg.lost_cause_name {
        Some("ERR_SET_FINISHED") => " (finished)".to_owned(),
        name => cause(leg.lost_cause, name),
    }
}

fn cause(number: Option<i64>, name: Option<&str>) -> String {
    match number {
        None => String::new(),
        Some(0) => " (by the host)".to_owned(),
        Some(number) => format!(" ({})", name.map_or(number.to_string(), str::to_owned)),
    }
}

fn time(ns: u64) -> String {
    let mut text = String::new();
    let _ = words::duration(ns, &mut text);
    text
}

fn total(spans: &SpansTold) -> String {
    time(u64::try_from(spans.total_ns).unwrap_or(u64::MAX))
}

fn spans(spans: &SpansTold) -> String {
    let mut text = format!("{}, {} in all", spans.count, total(spans));
    if let Some(spread) = spans.lengths_ns {
        let [median, p95, max] = [spread.median, spread.p95, spread.max].map(time);
        let _ = write!(text, "; median {median}, 95 % {p95}, longest {max}");
    }
    text + if spans.is_open { "; one lasts to the end of the trace" } else { "" }
}

fn spread_times(spread: Option<Spread>) -> [String; 4] {
    match spread {
        Some(spread) => [spread.min, spread.median, spread.p95, spread.max].map(time),
        None => ["-"; 4].map(str::to_owned),
    }
}

fn range(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |spread| format!("{}..{}..{}", spread.min, spread.median, spread.max))
}

/// Columns, each as wide as its widest text: the first to the left, the others to the right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|name| (*name).to_owned()).collect()] }
    }

    fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Nothing is written of a table that has only its head.
    fn write(&self, page: &mut String) {
        if self.is_empty() {
            return;
        }
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for row in &self.rows {
            for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
                let _ = match column {
                    0 => write!(page, "  {text:<width$}"),
                    _ => write!(page, "  {text:>width$}"),
                };
            }
            page.push('\n');
        }
    }
}
