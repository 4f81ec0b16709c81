//! Totals as OpenMetrics text: a strict reader of the format reads them, and finds the numbers of the struct.

use circflow::engine::counters::{place_of, Family, FamilyKind, RowLabel, Totals, FAMILIES};
use circflow::ffi::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::ptr::{null, null_mut};

/// An engine in which something has happened, and its engine number.
struct World {
    engine: *mut circflow_engine,
}

impl Drop for World {
    fn drop(&mut self) {
        unsafe { circflow_engine_free(self.engine, None, null_mut()) };
    }
}

const NUMBER: u32 = 77;

impl World {
    fn new() -> World {
        let mut engine = null_mut();
        unsafe {
            let mut config = std::mem::zeroed();
            circflow_engine_config_init(&mut config, size_of_val(&config));
            config.engine_number = NUMBER;
            assert_eq!(circflow_engine_new(&config, &mut engine) as i32, 0);
        }
        World { engine }
    }

    fn counters(&self) -> circflow_engine_counters {
        unsafe {
            let mut counters: circflow_engine_counters = std::mem::zeroed();
            counters.size = size_of_val(&counters);
            assert_eq!(circflow_engine_get_counters(self.engine, &mut counters) as i32, 0);
            counters
        }
    }

    fn text(&self) -> String {
        let mut buffer = vec![0u8; 1 << 16];
        let mut len = 0;
        let status =
            unsafe { circflow_engine_write_metrics(self.engine, buffer.as_mut_ptr().cast(), buffer.len(), &mut len) };
        assert_eq!(status as i32, 0);
        buffer.truncate(len);
        String::from_utf8(buffer).unwrap()
    }

    /// A set whose only leg brings messages in order, one that is too early, and a fault that ends the set.
    fn stir(&self) {
        unsafe {
            let mut circuits = [circflow_circuit_id { v: 0 }; 2];
            let mut config: circflow_circuit_config = std::mem::zeroed();
            circflow_circuit_config_init(&mut config, size_of_val(&config));
            for circuit in &mut circuits {
                assert_eq!(circflow_circuit_open(self.engine, 1, &config, circuit) as i32, 0);
            }
            let mut terms: circflow_set_config = std::mem::zeroed();
            circflow_set_config_init(&mut terms, size_of_val(&terms));
            terms.nonce[0] = 1;
            let mut set = circflow_set_id { v: 0 };
            assert_eq!(circflow_set_open(self.engine, 1, &terms, &mut set) as i32, 0);
            for circuit in circuits {
                assert_eq!(circflow_set_adopt_leg(self.engine, 1, set, circuit, 0, 1000) as i32, 0);
            }
            self.feed(10, circuits[0], DATA, 1, b"x");
            self.feed(20, circuits[1], SWITCH, 0, &[0, 0, 0, 2]);
            self.feed(1_500_000_030, circuits[1], DATA, 1, b"x");
            self.feed(1_500_000_031, circuits[0], DATA, 1, b"x");
            assert_eq!(circflow_engine_drain(self.engine, 100, null_mut(), Some(obey), null_mut()) as i32, 0);
            self.feed(1_500_000_032, circuits[0], SWITCH, 0, b"");
        }
    }

    unsafe fn feed(&self, now: u64, circuit: circflow_circuit_id, command: u8, stream_id: u16, body: &[u8]) {
        unsafe {
            let mut message: circflow_message = std::mem::zeroed();
            message.command = command;
            message.hop = 3;
            message.stream_id = stream_id;
            message.body = if body.is_empty() { null() } else { body.as_ptr() };
            message.body_len = body.len() as u16;
            let mut verdict = std::mem::zeroed();
            let _ = circflow_circuit_receive(self.engine, now, circuit, &message, &mut verdict);
        }
    }
}

unsafe extern "C-unwind" fn obey(_: *mut c_void, _: *const circflow_insn, _: *const u8) {}

const DATA: u8 = 2;
const SWITCH: u8 = 22;

/// Names and values.
type Labels = Vec<(String, String)>;

/// A metric family, as a strict reader of OpenMetrics 1.0 sees it.
#[derive(Default, Debug)]
struct Read {
    kind: String,
    unit: String,
    help: String,
    /// Suffix of the name, labels but `engine`, and value, in order.
    samples: Vec<(String, Labels, String)>,
}

fn is_name(text: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(is_start) && text.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

/// Reads the whole text, and panics where it breaks a rule of the format.
fn read(text: &str) -> Vec<(String, Read)> {
    assert!(text.ends_with("# EOF\n"), "the last line");
    assert!(!text.contains('\r') && !text.contains("\n\n") && !text.contains('\t'));
    let mut families: Vec<(String, Read)> = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[..lines.len() - 1] {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !rest.is_empty(), "{line}");
            if word == "TYPE" {
                assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                assert!(families.iter().all(|(other, _)| other != name), "twice: {line}");
                assert!(!name.ends_with("_total"), "the suffix is of the sample: {line}");
                families.push((name.to_owned(), Read { kind: rest.to_owned(), ..Read::default() }));
                continue;
            }
            let (last, family) = families.last_mut().unwrap();
            assert!(last == name && family.samples.is_empty(), "the head comes first: {line}");
            match word {
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{rest}")) && family.unit.is_empty(), "{line}");
                    family.unit = rest.to_owned();
                }
                "HELP" => {
                    assert!(!rest.contains(['\\', '"']) && family.help.is_empty(), "nothing to escape: {line}");
                    family.help = rest.to_owned();
                }
                _ => panic!("no such word: {line}"),
            }
            continue;
        }
        let (name, rest) = line.split_once('{').unwrap();
        let (labels, value) = rest.split_once("} ").unwrap();
        let (family, read) = families.last_mut().unwrap();
        let suffix = name.strip_prefix(family.as_str()).expect("samples follow their family").to_owned();
        let mut found = Vec::new();
        for label in labels.split(',') {
            let (key, value) = label.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap();
            assert!(is_name(key) && !value.contains(['"', '\\']) && !value.is_empty(), "{line}");
            assert!(found.iter().all(|(other, _)| other != key), "{line}");
            found.push((key.to_owned(), value.to_owned()));
        }
        assert_eq!(found.remove(0), ("engine".to_owned(), NUMBER.to_string()), "{line}");
        assert!(value.chars().all(|c| c.is_ascii_digit() || c == '.') && value.parse::<f64>().is_ok(), "{line}");
        let allowed: &[&str] = match read.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            _ => &["_bucket", "_count", "_sum"],
        };
        assert!(allowed.contains(&suffix.as_str()), "{line}");
        let key = (&suffix, &found);
        assert!(read.samples.iter().all(|(suffix, labels, _)| (suffix, labels) != key), "twice: {line}");
        read.samples.push((suffix, found, value.to_owned()));
    }
    for (name, family) in &families {
        assert!(!family.help.is_empty() && !family.samples.is_empty(), "{name}");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
        let keys: BTreeSet<Vec<&String>> =
            family.samples.iter().map(|(_, labels, _)| labels.iter().map(|(key, _)| key).collect()).collect();
        assert!(keys.len() == 1 || family.kind == "histogram", "{name}: the same labels everywhere");
    }
    families
}

/// Buckets grow, the last is +Inf, and as large as the count; ends are numbers in the canonical form, and grow.
fn check_histogram(name: &str, family: &Read) {
    let buckets: Vec<(&str, u64)> = family
        .samples
        .iter()
        .filter(|(suffix, ..)| suffix == "_bucket")
        .map(|(_, labels, value)| {
            assert_eq!(labels.len(), 1, "{name}");
            assert_eq!(labels[0].0, "le", "{name}");
            (labels[0].1.as_str(), value.parse().unwrap())
        })
        .collect();
    assert_eq!(buckets.last().unwrap().0, "+Inf", "{name}");
    assert!(buckets.windows(2).all(|two| two[0].1 <= two[1].1), "{name}");
    let ends: Vec<f64> = buckets[..buckets.len() - 1].iter().map(|(end, _)| end.parse().unwrap()).collect();
    assert!(ends.windows(2).all(|two| two[0] * 2.0 == two[1] || (two[1] / two[0] - 2.0).abs() < 1e-9), "{name}");
    for ((text, _), end) in buckets.iter().zip(&ends) {
        assert_eq!(*text, canonical(*end), "{name}");
    }
    let one = |wanted: &str| family.samples.iter().find(|(suffix, ..)| suffix == wanted).unwrap().2.clone();
    assert_eq!(one("_count"), buckets.last().unwrap().1.to_string(), "{name}");
    assert!(one("_sum").parse::<f64>().unwrap() >= 0.0);
}

/// What OpenMetrics asks of numbers in `le`: the shortest form, with a point or an exponent of two digits.
fn canonical(number: f64) -> String {
    if number < 1e-4 {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once("e-").unwrap();
        return format!("{digits}e-{exponent:0>2}");
    }
    let text = format!("{number}");
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

fn text_name(family: &Family) -> String {
    let unit = if family.unit.is_empty() { String::new() } else { format!("_{}", family.unit) };
    format!("circflow_{}{unit}", family.name)
}

/// The numbers of the struct, by field, read from its bytes: all fields behind the size are 64 bits wide.
fn by_field(counters: &circflow_engine_counters) -> BTreeMap<&'static str, Vec<u64>> {
    let words = unsafe {
        std::slice::from_raw_parts(
            (counters as *const circflow_engine_counters).cast::<u64>(),
            size_of_val(counters) / 8,
        )
    };
    let (mut at, mut fields) = (1, BTreeMap::new());
    Totals::ZERO.each(|_, row, numbers| {
        fields.insert(row.field, words[at..at + numbers.len()].to_vec());
        at += numbers.len();
    });
    assert_eq!(at, words.len(), "the struct has the fields of the table");
    fields
}

#[test]
fn a_strict_reader_finds_every_number_of_the_struct() {
    for stirred in [false, true] {
        let world = World::new();
        if stirred {
            world.stir();
        }
        let (text, fields) = (world.text(), by_field(&world.counters()));
        let mut families = read(&text);
        for family in FAMILIES {
            let (name, mut seen) = families.remove(0);
            assert_eq!((name, seen.help.as_str()), (text_name(family), family.help));
            let kinds = [FamilyKind::Counter, FamilyKind::Gauge, FamilyKind::Histogram];
            assert_eq!(
                kinds.map(|kind| kind == family.kind),
                ["counter", "gauge", "histogram"].map(|k| k == seen.kind)
            );
            assert_eq!(seen.unit, family.unit);
            for row in family.rows {
                let numbers = &fields[row.field];
                let expected: Vec<(Labels, f64)> = match row.label {
                    RowLabel::Alone | RowLabel::Sum => vec![(vec![], numbers[0] as f64)],
                    RowLabel::Is(key, value) => vec![(vec![(key.to_owned(), value.to_owned())], numbers[0] as f64)],
                    RowLabel::Status(_) => {
                        check_statuses(&mut seen, numbers, family);
                        continue;
                    }
                    RowLabel::Classes => {
                        check_classes(&mut seen, numbers);
                        continue;
                    }
                };
                let scale = if row.field.ends_with("_ns") { 1e-9 } else { 1.0 };
                for (labels, number) in expected {
                    let (_, found, value) = seen.samples.remove(0);
                    assert_eq!((found, value.parse::<f64>().unwrap()), (labels, number * scale), "{}", row.field);
                }
            }
            assert!(seen.samples.is_empty(), "{}: more in the text than in the struct", family.name);
        }
        assert!(families.is_empty());
        let sums: u64 = fields.values().flatten().sum();
        assert_eq!(sums > 0, stirred);
    }
}

/// Each status that the struct can count is there once, with its number; together they are all that was counted.
fn check_statuses(seen: &mut Read, numbers: &[u64], family: &Family) {
    let mut sum = 0;
    for (_, labels, value) in seen.samples.drain(..) {
        let status = (-400..=0).find(|&status| short(status) == labels[0].1).expect("the name of a status");
        let place = place_of(status).unwrap();
        assert_eq!(value, numbers[place].to_string(), "{}", family.name);
        sum += numbers[place];
    }
    assert_eq!(sum, numbers.iter().sum::<u64>(), "{}: all that was counted is in the text", family.name);
}

fn short(status: i32) -> String {
    let name = unsafe { std::ffi::CStr::from_ptr(circflow_status_name(status)) }.to_str().unwrap();
    match status {
        0 => "asked".to_owned(),
        _ => name.replace("CIRCFLOW_ERR_", "").replace('_', "-").to_lowercase(),
    }
}

/// Buckets are the sums of the classes up to each.
fn check_classes(seen: &mut Read, numbers: &[u64]) {
    let mut sum = 0;
    for number in numbers {
        sum += number;
        assert_eq!(seen.samples.remove(0).2, sum.to_string());
    }
    assert_eq!((seen.samples.remove(0).0.as_str(), sum), ("_count", numbers.iter().sum()));
}

#[test]
fn what_was_stirred_is_there() {
    let world = World::new();
    world.stir();
    let text = world.text();
    for line in [
        "circflow_sets_opened_total{engine=\"77\",by=\"host\"} 1",
        "circflow_sets_ended_total{engine=\"77\",cause=\"bad-switch\"} 1",
        "circflow_faults_total{engine=\"77\",status=\"bad-switch\"} 1",
        "circflow_messages_in_order_total{engine=\"77\"} 2",
        "circflow_messages_held_total{engine=\"77\"} 1",
        "circflow_switches_total{engine=\"77\",direction=\"received\"} 1",
        "circflow_reorder_depth_bucket{engine=\"77\",le=\"1.0\"} 1",
        "circflow_reorder_age_seconds_bucket{engine=\"77\",le=\"1e-06\"} 1",
        "circflow_reorder_age_seconds_sum{engine=\"77\"} 0.000000001",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}\nis not in\n{text}");
    }
}

/// The page has a row for each field, with the words of the table.
#[test]
fn the_page_is_made_of_the_table() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let mut rows = String::new();
    for family in FAMILIES {
        for row in family.rows {
            let (name, field) = (text_name(family), row.field);
            let name = match (family.kind, row.label) {
                (FamilyKind::Counter, _) => format!("{name}_total"),
                (_, RowLabel::Classes) => format!("{name}_bucket"),
                (_, RowLabel::Sum) => format!("{name}_sum"),
                _ => name,
            };
            let label = match row.label {
                RowLabel::Is(key, value) => format!("{{{key}=\"{value}\"}}"),
                RowLabel::Status(key) => format!("{{{key}=..}}"),
                RowLabel::Classes => "{le=..}".to_owned(),
                RowLabel::Alone | RowLabel::Sum => String::new(),
            };
            rows.push_str(&format!("| `{name}{label}` | `{field}` | {} |\n", row.doc));
        }
    }
    if !page.contains(&rows) {
        panic!("docs/metrics.md: the rows of the table should be\n\n{rows}");
    }
}

/// The header says of each field what the table says.
#[test]
fn the_header_says_what_the_table_says() {
    let header = include_str!("../include/circflow.h");
    let (_, fields) = header.split_once("typedef struct circflow_engine_counters {").unwrap();
    let (fields, _) = fields.split_once('}').unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut said, mut found) = (String::new(), Vec::new());
    for line in fields.lines().map(str::trim) {
        let text = line.strip_prefix("/*").or_else(|| line.strip_prefix('*'));
        if let Some(text) = text {
            said.push_str(text.strip_suffix("*/").unwrap_or(text));
        } else if let Some(field) = line.strip_prefix("uint64_t ") {
            let field = field.split([';', '[']).next().unwrap();
            found.push((field.to_owned(), words(&std::mem::take(&mut said))));
        } else if line.starts_with("size_t") {
            said.clear();
        }
    }
    let rows: Vec<_> =
        FAMILIES.iter().flat_map(|family| family.rows).map(|row| (row.field.to_owned(), words(row.doc))).collect();
    assert_eq!(found, rows);
}
