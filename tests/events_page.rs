//! docs/events.md: its tables are those of the source, and what it says of the bytes is so.

use circflow::base::Id;
use circflow::event::{Class, Event, Field, Recorder, KINDS};
use std::fmt::Write;
use std::process::Command;

const PAGE: &str = "docs/events.md";
const BEGIN: &str = "<!-- made by make docs-events -->\n";
const END: &str = "<!-- end -->\n";

/// The tables of the page, from the source.
fn tables() -> String {
    let mut text = String::from("\n| class | bit | in C |\n|---|---|---|\n");
    for class in Class::ALL {
        let name = format!("{class:?}");
        let _ = writeln!(text, "| {name} | {} | CIRCFLOW_RECORD_{} |", class.bit(), name.to_uppercase());
    }
    text += "\n| number | name | class | level | meaning | fields |\n|---|---|---|---|---|---|\n";
    for kind in KINDS {
        let fields: Vec<String> =
            kind.fields.iter().map(|field| format!("`{}`: {} ({})", field.name, type_of(field), field.unit)).collect();
        let level = format!("{:?}", kind.level).to_lowercase();
        let (class, doc, fields) = (kind.class, kind.doc.trim(), fields.join("<br>"));
        let _ = writeln!(text, "| {} | `{}` | {class:?} | {level} | {doc} | {fields} |", kind.number, kind.name);
    }
    text + "\n"
}

fn type_of(field: &Field) -> String {
    match (field.is_id, field.is_signed) {
        (true, _) => "id".to_owned(),
        (_, true) => format!("i{}", 8 * field.width),
        (_, false) => format!("u{}", 8 * field.width),
    }
}

/// With CIRCFLOW_WRITE_EVENTS it writes the tables, as `make docs-events` does.
#[test]
fn the_tables_are_those_of_the_source() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (old, tail) = rest.split_once(END).unwrap();
    let new = tables();
    if std::env::var_os("CIRCFLOW_WRITE_EVENTS").is_some() {
        std::fs::write(PAGE, [head, BEGIN, &new, END, tail].concat()).unwrap();
    } else if old != new {
        let differs = old.lines().zip(new.lines()).find(|(old, new)| old != new);
        panic!("{PAGE} is not what the table says; run `make docs-events`: {differs:?}");
    }
    assert!(new.lines().all(|line| line.matches(" | ").count() < 7), "a bar in a text would end its cell");
}

/// The trace of the page's example.
fn example() -> Vec<u8> {
    let (set, leg) = (Id(0x6_0000_0100_0000), Id(0x5_0000_0100_0001));
    let mut recorder = Recorder::new(4096, Class::Sets.bit()).unwrap();
    recorder.record(1_500_000_000, 7, &Event::LegLost { set, leg, cause: -310 });
    recorder.record(1_502_000_000, 7, &Event::SetEnded { set, cause: -306 });
    let mut buffer = vec![0; 4096];
    let (len, _) = recorder.read(7, &mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

/// The text between two marks of the page.
fn block<'a>(page: &'a str, from: &str) -> &'a str {
    let begin = page.find(from).unwrap_or_else(|| panic!("no {from} in {PAGE}")) + from.len();
    page[begin..].split_once("\n```").unwrap().0
}

#[test]
fn the_example_has_the_bytes_that_circflow_writes() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    // In each line: bytes in hex, two spaces, and what they are.
    let lines = block(&page, "its set ended:\n\n```text\n").lines();
    let bytes: Vec<u8> = lines
        .flat_map(|line| line.split("  ").next().unwrap_or_default().split(' '))
        .map(|byte| u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{byte}")))
        .collect();
    assert_eq!(bytes, example(), "\n{}", hex(&example()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(8).fold(String::new(), |mut text, bytes| {
        bytes.iter().for_each(|byte| _ = write!(text, "{byte:02x} "));
        text + "\n"
    })
}

#[test]
fn the_reader_in_python_reads_a_trace() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let script = block(&page, "```python\n");
    let folder = std::env::temp_dir().join(format!("circflow-events-page-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let trace = folder.join("trace");
    // Also a filler, a kind of a later version, and a field of a later version.
    let mut bytes = example();
    bytes.extend([0, 0, 2, 0]);
    bytes.extend([0; 12]);
    bytes.extend([0xff, 0x7f, 3, 0]);
    bytes.extend([9; 20]);
    bytes.extend([4, 0, 4, 0, 7, 0, 0, 0]);
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0].repeat(3));
    std::fs::write(&trace, &bytes).unwrap();
    let run = |trace| Command::new("python3").args(["-c", script, PAGE]).arg(trace).output();
    let output = match run(&trace) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let (set, leg) = (0x6_0000_0100_0000u64, 0x5_0000_0100_0001u64);
    let whole = format!(
        "1500000000 7 LegLost set={set} leg={leg} cause=-310\n1502000000 7 SetEnded set={set} cause=-306\n\
         1 7 SetUsable set=1\n"
    );
    assert_eq!(text, whole);
    std::fs::write(&trace, &bytes[..bytes.len() - 1]).unwrap();
    let cut = run(&trace).unwrap();
    assert!(!cut.status.success() && String::from_utf8_lossy(&cut.stderr).contains("cut"));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// 20 lines or so, as a stranger would write it.
#[test]
fn the_reader_is_short() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let lines = block(&page, "```python\n").lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 25, "{lines}");
}
