//! What the demo says of itself is what `stats` makes of its record, to the cell.
//!
//! `make check-demo` runs these: they need the demo, which CIRCFLOW_DEMO names, and real time.

mod common;

use common::out_of;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A row of the demo's table.
#[derive(Debug, PartialEq)]
struct Row {
    cells: [u64; 2],
    switches: u64,
    depth: u64,
}

/// What a run of the demo printed, and its record.
struct Demo {
    said: String,
    record: String,
    told: Value,
}

/// The numbers of engines of a transfer over so many legs: docs/demo.md.
const fn client(legs: u64) -> u64 {
    legs * 10 + 1
}

const fn exits(legs: u64) -> [u64; 2] {
    [legs * 10 + 2, legs * 10 + 3]
}

impl Demo {
    fn run(name: &str, options: &[&str]) -> Demo {
        let demo = std::env::var("CIRCFLOW_DEMO").expect("make check-demo names the demo");
        let record = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{name}.trace"));
        let record = record.to_str().unwrap();
        let ran = Command::new(demo).args(options).args(["--record", record]).output().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success() && said.contains("demo: OK"), "{said}");
        let told = serde_json::from_str(&out_of(&["stats", "--json", record])).unwrap();
        Demo { said, record: record.to_owned(), told }
    }

    /// The demo's own figures.
    fn row(&self, title: &str) -> Row {
        let line = self.said.lines().find(|line| line.starts_with(title) && !line.contains(':')).unwrap();
        let words: Vec<&str> = line[title.len()..].split_whitespace().collect();
        let number = |at: usize| words[at].parse().unwrap();
        Row { cells: [number(2), number(3)], switches: number(4), depth: number(5) }
    }

    /// The sets of one end.
    fn sets(&self, engines: &[u64]) -> impl Iterator<Item = &Value> {
        let engines = engines.to_vec();
        let sets = self.told["sets"].as_array().unwrap().iter();
        sets.filter(move |set| engines.contains(&set["engine"].as_u64().unwrap()))
    }

    /// The same figures by the record.
    fn recorded(&self, legs: u64) -> Row {
        let mut cells = [0; 2];
        for set in self.sets(&[client(legs)]) {
            let mut all: Vec<&Value> = set["legs"].as_array().unwrap().iter().collect();
            // Ids count up, and leg A is opened first.
            all.sort_by_key(|leg| leg["leg"].as_str().unwrap().to_owned());
            for (sum, leg) in cells.iter_mut().zip(all) {
                *sum += cells_of(leg);
            }
        }
        let depth = self.sets(&[client(legs)]).map(|set| number(set, "depth_peak")).max().unwrap_or(0);
        let [came, went] = [("switches_received", vec![client(legs)]), ("switches_sent", exits(legs).to_vec())]
            .map(|(name, engines)| self.sets(&engines).map(|set| number(set, name)).sum::<u64>());
        assert_eq!(came, went, "each SWITCH that the exit sent came");
        Row { cells, switches: went, depth }
    }

    fn sum(&self, engines: &[u64], name: &str) -> u64 {
        self.sets(engines).map(|set| number(set, name)).sum()
    }
}

/// Every cell that a client of the demo gets is a message, SWITCH, SENDME, or LINKED.
fn cells_of(leg: &Value) -> u64 {
    let counted = ["in_order", "held", "switches_received", "sendmes_received"].map(|name| number(leg, name));
    counted.iter().sum::<u64>() + u64::from(!leg["linked"].is_null())
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"))
}

#[test]
#[ignore = "make check-demo"]
fn one_leg_and_two() {
    let demo = Demo::run("two", &["--size-mib", "4", "--leg-a", "20 20", "--leg-b", "20 60", "--ratio", "1"]);
    let (one, two) = (demo.row("one leg"), demo.row("two legs"));
    assert_eq!(demo.recorded(1), one, "{}", demo.said);
    assert_eq!(demo.recorded(2), two, "{}", demo.said);
    assert_eq!((one.cells[1], one.switches, one.depth), (0, 0, 0));
    assert!(one.cells[0] > 8000 && two.cells.iter().all(|cells| *cells > 1000), "{one:?} {two:?}");
    assert!(two.switches > 10 && two.depth > 10, "{two:?}");
    assert_eq!(demo.told["file"]["overwritten"], 0);
}

#[test]
#[ignore = "make check-demo"]
fn many_sets_at_an_exit_of_two_threads() {
    let demo = Demo::run("many", &["--size-mib", "2", "--circuits", "5", "--threads", "2"]);
    let two = demo.row("two legs");
    assert_eq!(demo.recorded(2), two, "{}", demo.said);
    assert_eq!(demo.sets(&[client(2)]).count(), 5);
}

#[test]
#[ignore = "make check-demo"]
fn a_slow_reader() {
    let demo = Demo::run("slow", &["--slow-reader", "--size-mib", "2", "--leg-a", "10 20", "--leg-b", "10 40"]);
    assert_eq!(demo.recorded(2), demo.row("two legs"), "{}", demo.said);
    let line = demo.said.lines().find(|line| line.starts_with("flow control:")).unwrap();
    let said: Vec<u64> = line.split_whitespace().filter_map(|word| word.trim_end_matches(';').parse().ok()).collect();
    let names = [
        ("xoff_sent", client(2)),
        ("xon_sent", client(2)),
        ("xoff_received", exits(2)[0]),
        ("xon_received", exits(2)[0]),
    ];
    let recorded = names.map(|(name, engine)| demo.sum(&[engine], name));
    assert_eq!(recorded[..], said[..], "{line}");
    assert!(said[0] > 0, "{line}");
}

/// What the demo once wrote by itself is an export now: leg A of the transfer over one leg, as the client saw it.
#[test]
#[ignore = "make check-demo"]
fn the_cells_of_a_circuit() {
    let demo = Demo::run("cells", &["--size-mib", "1", "--leg-a", "20 20", "--leg-b", "20 20"]);
    let leg = demo.sets(&[client(1)]).next().unwrap()["legs"][0]["leg"].as_str().unwrap().to_owned();
    let cells = out_of(&["export", "--to", "maybenot", "--circuit", &leg, &demo.record]);
    let count = |direction| cells.lines().filter(|line| line.split(',').nth(1) == Some(direction)).count() as u64;
    assert_eq!(count("r"), demo.row("one leg").cells[0], "{}", demo.said);
    // LINK, LINKED_ACK, BEGIN, and a SENDME for each 31 messages.
    assert!(count("s") > 3 + count("r") / 40 && count("s") < 3 + count("r") / 20, "{}", count("s"));
}
