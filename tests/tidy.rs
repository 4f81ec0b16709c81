//! Style as a test: what the house rules say and a machine can see, with file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Which floors a floor may name. Neighbours (conflux, padding, congestion, queue) never name each other.
const FLOORS: [(&str, &[&str]); 12] = [
    ("base", &[]),
    ("event", &["base"]),
    ("wire", &["base"]),
    ("message", &["wire", "event", "base"]),
    ("conflux", &["message", "wire", "event", "base"]),
    ("padding", &["message", "wire", "event", "base"]),
    ("congestion", &["message", "wire", "event", "base"]),
    ("queue", &["message", "wire", "event", "base"]),
    ("hub", &["conflux", "congestion", "queue", "message", "wire", "event", "base"]),
    ("reactor", &["hub", "conflux", "padding", "congestion", "queue", "message", "wire", "event", "base"]),
    ("engine", &["hub", "reactor", "conflux", "padding", "congestion", "queue", "message", "wire", "event", "base"]),
    (
        "ffi",
        &["engine", "hub", "reactor", "conflux", "padding", "congestion", "queue", "message", "wire", "event", "base"],
    ),
];

/// What a library without clock, randomness, output and surprises does not say.
const BANNED: [(&str, &str); 15] = [
    ("Instant::now", "time is the host's"),
    ("SystemTime", "time is the host's"),
    ("thread_rng", "randomness is the host's"),
    ("getrandom", "randomness is the host's"),
    ("OsRng", "randomness is the host's"),
    ("HashMap", "its order differs from run to run"),
    ("HashSet", "its order differs from run to run"),
    ("todo!", "unfinished"),
    ("unimplemented!", "unfinished"),
    ("dbg!", "a library does not print"),
    ("println!", "a library does not print"),
    ("eprintln!", "a library does not print"),
    ("thread::spawn", "threads are the host's"),
    (".unwrap()", "a panic poisons the host's engine"),
    (".expect(", "a panic poisons the host's engine"),
];

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 120;
/// No function is longer than this, and of a hundred one is longer than that.
const FUNCTION_MAX: usize = 80;
const FUNCTION_P99: usize = 45;
/// Ways through a function: branches, loops, conditions, early returns, and arms of a match that do more than name a
/// value. A table is not counted.
const WAYS_MAX: usize = 20;
/// A SAFETY comment stands at most so many lines above the unsafe code it is about.
const SAFETY_ABOVE: usize = 4;

struct Source {
    path: String,
    lines: Vec<Line>,
}

struct Line {
    number: usize,
    text: String,
    /// Without comments and what strings say.
    code: String,
    is_test: bool,
}

#[test]
fn floors_name_only_what_is_below() {
    let mut found = String::new();
    for source in sources() {
        let floor = floor_of(&source.path);
        let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == floor) else {
            if floor != "lib" {
                let _ = writeln!(
                    found,
                    "{}:1: {floor} is a floor that the table in tests/tidy.rs does not know",
                    source.path
                );
            }
            continue;
        };
        // A path of `super`s that is longer than the module is deep leaves the floor.
        let depth = source.path.split('/').count() - 2 - usize::from(source.path.ends_with("/mod.rs"));
        for line in &source.lines {
            for named in floors_named(&line.code) {
                let known = FLOORS.iter().any(|(name, _)| *name == named);
                if named != floor && (!known || !below.contains(&named.as_str())) {
                    let _ = writeln!(
                        found,
                        "{}:{}: {floor} names {named}, which is not below it",
                        source.path, line.number
                    );
                }
            }
            let supers = line.code.matches("super::").count();
            let inner = usize::from(line.is_test);
            if line.code.contains(&"super::".repeat(depth + inner + 1)) && supers > depth + inner {
                let _ = writeln!(found, "{}:{}: super leads out of the floor: say crate::", source.path, line.number);
            }
            if line.code.contains("crate::{") {
                let _ = writeln!(found, "{}:{}: one `use crate::floor` for each floor", source.path, line.number);
            }
        }
    }
    report(&found);
}

#[test]
fn unsafe_code_lives_in_ffi_and_says_why() {
    let mut found = String::new();
    for source in sources() {
        let in_ffi = floor_of(&source.path) == "ffi";
        let mut contract_until = 0;
        for (index, line) in source.lines.iter().enumerate() {
            if !has_word(&line.code, "unsafe") {
                continue;
            }
            if !in_ffi {
                let _ = writeln!(found, "{}:{}: unsafe outside src/ffi", source.path, line.number);
                continue;
            }
            // An unsafe fn hands the duty to its caller; src/ffi/mod.rs states what every C caller promises.
            if line.code.contains("unsafe extern \"") || line.code.contains("unsafe fn") {
                contract_until = contract_until.max(index + 1);
                continue;
            }
            if line.code.contains("unsafe trait") {
                let documented =
                    index > 0 && source.lines[..index].iter().rev().take(6).any(|above| above.text.contains("///"));
                if !documented {
                    let _ =
                        writeln!(found, "{}:{}: an unsafe trait says what an impl promises", source.path, line.number);
                }
                continue;
            }
            let first = index.saturating_sub(SAFETY_ABOVE);
            let reason = source.lines[first..=index].iter().any(|above| above.text.contains("SAFETY"));
            if !reason {
                let _ = writeln!(
                    found,
                    "{}:{}: no SAFETY comment within {SAFETY_ABOVE} lines above",
                    source.path, line.number
                );
            }
        }
    }
    let contract = fs::read_to_string(root().join("src/ffi/mod.rs")).unwrap();
    if !contract.contains("#![deny(unsafe_op_in_unsafe_fn)]") {
        found.push_str("src/ffi/mod.rs:1: unsafe operations in unsafe functions need a block each, and its reason\n");
    }
    for promise in ["NULL", "valid", "has not been freed", "one thread at a time", "Nothing behind a pointer is"] {
        if !contract.replace("\n//! ", " ").contains(promise) {
            let _ = writeln!(found, "src/ffi/mod.rs:1: the contract of the floor does not say \"{promise}\"");
        }
    }
    report(&found);
}

/// A file or folder of src/ffi imports others of them, and none of these leads back to it.
#[test]
fn no_noun_of_ffi_imports_itself_by_way_of_others() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| source.path.starts_with("src/ffi/")) {
        let mut parts = source.path["src/ffi/".len()..].trim_end_matches(".rs").split('/');
        let (noun, inner) = (parts.next().unwrap_or_default(), parts.next());
        if noun == "mod" {
            continue;
        }
        // In a folder, `super` is the folder itself.
        let from =
            if inner.is_none_or(|inner| inner == "mod") { ["super::", "crate::ffi::"] } else { ["crate::ffi::"; 2] };
        for line in source.lines.iter().filter(|line| !line.is_test) {
            for named in from.iter().flat_map(|from| line.code.split(from).skip(1)) {
                let named: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if named != noun && !named.is_empty() {
                    imports.entry(noun.to_owned()).or_default().insert(named);
                }
            }
        }
    }
    assert!(imports.len() > 15, "found only {} files and folders", imports.len());
    // Take away what imports nothing that is left, until nothing is left, or a circle.
    loop {
        let before = imports.len();
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        imports.retain(|_, named| named.iter().any(|named| left.contains(named)));
        if imports.len() == before {
            break;
        }
    }
    assert!(imports.is_empty(), "circles of imports are among these: {imports:?}");
}

/// A reader who meets a type's name knows the type: no two rooms have one of the same name.
#[test]
fn no_two_types_share_a_name() {
    let mut rooms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for line in source.lines.iter().filter(|line| !line.is_test && line.code.starts_with("pub")) {
            let mut words = line.code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
            if words.any(|word| ["struct", "enum", "trait", "type"].contains(&word)) {
                let name = words.next().unwrap_or_default().to_owned();
                rooms.entry(name).or_default().push(format!("{}:{}", source.path, line.number));
            }
        }
    }
    assert!(rooms.len() > 250, "found only {} types", rooms.len());
    let shared: Vec<_> = rooms.iter().filter(|(_, rooms)| rooms.len() > 1).collect();
    assert!(shared.is_empty(), "these names stand for more than one type: {shared:#?}");
}

/// An exception of the host's may pass through whatever can call the host; all but the functions of these files can.
#[test]
fn exceptions_of_the_host_may_pass() {
    let mut found = String::new();
    for source in sources() {
        if ["src/ffi/wire.rs", "src/ffi/status.rs", "src/ffi/insn.rs", "src/ffi/message.rs"]
            .contains(&source.path.as_str())
        {
            continue;
        }
        for line in source.lines.iter().filter(|line| line.text.contains("extern \"C\" fn")) {
            let _ = writeln!(found, "{}:{}: say extern \"C-unwind\"", source.path, line.number);
        }
    }
    report(&found);
}

#[test]
fn nothing_banned_is_said() {
    let mut found = String::new();
    for source in sources() {
        for line in source.lines.iter().filter(|line| !line.is_test) {
            for (word, why) in BANNED {
                let bounded = !word.starts_with(char::is_alphabetic) || has_word(&line.code, word);
                if line.code.contains(word) && bounded {
                    let _ = writeln!(found, "{}:{}: {word}: {why}", source.path, line.number);
                }
            }
        }
    }
    report(&found);
}

/// A nonce is a secret: no log line says it, and no format string has it as an argument.
#[test]
fn nonces_are_never_logged() {
    let mut found = String::new();
    let logs = ["tracing::", "event!", "info!", "debug!", "trace!", "warn!", "error!", "format!", "write!"];
    for source in sources() {
        let mut open = 0i32;
        for line in source.lines.iter().filter(|line| !line.is_test) {
            let starts = logs.iter().any(|log| line.code.contains(log)) && !line.code.trim_start().starts_with("use ");
            if starts || open > 0 {
                let code = line.code.to_lowercase();
                // Strings are blanked in `code`; inline arguments stand in them.
                if code.contains("nonce") || line.text.to_lowercase().contains("{nonce") {
                    let _ = writeln!(found, "{}:{}: a nonce in a log line", source.path, line.number);
                }
                let count = |bracket: char| line.code.matches(bracket).count() as i32;
                open += count('(') - count(')');
                open = open.max(0);
            }
        }
    }
    let conflux = fs::read_to_string(root().join("src/wire/conflux.rs")).unwrap();
    let derives = conflux.lines().zip(conflux.lines().skip(1)).find(|(_, next)| next.starts_with("pub struct Nonce"));
    if derives.is_none_or(|(above, _)| above.contains("Debug")) {
        found.push_str("src/wire/conflux.rs: Nonce must not derive Debug\n");
    }
    report(&found);
}

#[test]
fn files_and_lines_are_short() {
    let mut found = String::new();
    for path in files("src", &["rs", "h"]) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            let _ = writeln!(found, "{path}:{LINES_MAX}: {lines} lines, of at most {LINES_MAX}");
        }
        for (index, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                let _ = writeln!(found, "{path}:{}: {columns} columns, of at most {COLUMNS_MAX}", index + 1);
            }
            if line.ends_with(' ') || line.contains('\t') {
                let _ = writeln!(found, "{path}:{}: a tab, or a space at the end", index + 1);
            }
        }
    }
    report(&found);
}

/// Examples that are read from the first line to the last.
#[test]
fn examples_keep_their_size() {
    let mut found = String::new();
    for (path, most) in [("examples/hello.c", 60), ("examples/tunnel.c", 370)] {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let (lines, columns) = (text.lines().count(), text.lines().map(|line| line.chars().count()).max().unwrap_or(0));
        if lines > most || columns > COLUMNS_MAX {
            let _ = writeln!(found, "{path}: {lines} lines of {columns} columns; at most {most} of {COLUMNS_MAX}");
        }
    }
    report(&found);
}

/// Every function that C can call: documented, in the header, and called by a C test.
#[test]
fn functions_are_short_and_plain() {
    let (mut found, mut lengths) = (String::new(), Vec::new());
    for source in sources().iter().filter(|source| !source.path.ends_with("/tests.rs")) {
        let lines: Vec<&Line> = source.lines.iter().take_while(|line| !line.is_test).collect();
        for (first, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(&line.code)) {
            // The end stands as far in as the beginning.
            let indent = line.code.len() - line.code.trim_start().len();
            let end = format!("{}}}", " ".repeat(indent));
            let body: Vec<&str> = lines[first..].iter().map(|line| line.code.as_str()).collect();
            let is_over = |(at, code): (usize, &&str)| {
                (at > 0 && code.trim_end() == end) || (at == 0 && code.trim_end().ends_with([';', '}']))
            };
            let Some(last) = body.iter().enumerate().position(is_over) else { continue };
            let (length, ways) = (last + 1, ways_through(&body[..=last]));
            lengths.push(length);
            if length > FUNCTION_MAX || ways > WAYS_MAX {
                let _ = writeln!(found, "{}:{}: {length} lines, {ways} ways", source.path, line.number);
            }
        }
    }
    lengths.sort_unstable();
    assert!(lengths.len() > 1000, "found only {}", lengths.len());
    let p99 = lengths[lengths.len() * 99 / 100];
    if p99 > FUNCTION_P99 {
        let _ = writeln!(found, "one function of a hundred has more than {p99} lines");
    }
    report(&found);
}

fn begins_function(code: &str) -> bool {
    let mut words = code.split_whitespace();
    let of_kind = |word: &&str| {
        ["const", "unsafe", "extern", "default", "\"\""].contains(word)
            || word.starts_with("pub")
            || word.starts_with('"')
    };
    words.find(|word| !of_kind(word)) == Some("fn")
}

fn ways_through(body: &[&str]) -> usize {
    let ways = |code: &&str| {
        let words = ["if", "while"]
            .iter()
            .map(|word| code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|found| found == word).count());
        let loops = usize::from(code.trim_start().starts_with("for "));
        let marks = ["&& ", " || ", "=> {", "?;", "?)", "?.", "? "].iter().map(|mark| code.matches(mark).count());
        words.sum::<usize>() + loops + marks.sum::<usize>()
    };
    1 + body.iter().map(ways).sum::<usize>()
}

#[test]
fn exports_are_documented_declared_and_tested() {
    let header = fs::read_to_string(root().join("include/circflow.h")).unwrap();
    let c_tests: Vec<String> =
        files("c-tests", &["c"]).iter().map(|path| fs::read_to_string(root().join(path)).unwrap()).collect();
    let mut found = String::new();
    if c_tests.is_empty() {
        found.push_str("c-tests/: no .c file at all: the exports are not tested from C\n");
    }
    let mut exports = 0;
    for source in sources() {
        for (index, line) in source.lines.iter().enumerate() {
            if !line.code.contains("no_mangle") {
                continue;
            }
            exports += 1;
            let Some(name) = source.lines[index..].iter().find_map(|below| name_of_fn(&below.code)) else {
                let _ = writeln!(found, "{}:{}: no_mangle without a function", source.path, line.number);
                continue;
            };
            let attributes = source.lines[..index].iter().rev().take_while(|above| above.code.trim().starts_with("#["));
            let doc = source.lines[..index - attributes.count()].last().map_or("", |above| above.text.trim());
            if !doc.starts_with("///") || doc.len() < 8 {
                let _ = writeln!(found, "{}:{}: {name} has no doc comment", source.path, line.number);
            }
            // The hook for tests is not there in a release, and not in the header.
            let hook = name.starts_with("circflow_test_");
            if header.contains(&format!("{name}(")) == hook {
                let _ = writeln!(found, "{}:{}: {name} and include/circflow.h do not fit", source.path, line.number);
            }
            if !c_tests.is_empty() && !c_tests.iter().any(|test| calls(test, &name)) {
                let _ = writeln!(found, "{}:{}: no file in c-tests/ calls {name}", source.path, line.number);
            }
        }
    }
    assert!(exports > 20, "found only {exports} exports");
    report(&found);
}

/// In the engine, receiving stands in one folder and sending in another. A set or circuit of another engine is sent to
/// by what is in spread/.
#[test]
fn receiving_and_sending_stand_in_their_folders() {
    const ROOMS: [(&str, &[&str]); 3] = [
        ("receive", &["src/engine/receive/"]),
        ("send", &["src/engine/send/", "src/engine/spread/"]),
        ("hold", &["src/engine/send/"]),
    ];
    let (mut found, mut functions) = (String::new(), 0);
    for source in sources().iter().filter(|source| source.path.starts_with("src/engine/")) {
        for line in source.lines.iter().filter(|line| !line.is_test && begins_function(&line.code)) {
            let Some((_, name)) = line.code.split_once("fn ") else { continue };
            let name = name.split(['(', '<']).next().unwrap_or_default();
            let room = ROOMS.iter().find(|(verb, _)| name.split('_').next() == Some(*verb));
            let Some((_, folders)) = room else { continue };
            functions += 1;
            if !folders.iter().any(|folder| source.path.starts_with(folder)) {
                let _ = writeln!(found, "{}:{}: {name} belongs in {}", source.path, line.number, folders.join(" or "));
            }
        }
    }
    assert!(functions > 30, "found only {functions} functions");
    report(&found);
}

/// A function that fuzz/abi does not call is one that no fuzzer sees.
#[test]
fn the_fuzzed_host_calls_every_function() {
    let header = fs::read_to_string(root().join("include/circflow.h")).unwrap();
    let host: String =
        files("fuzz/abi", &["c"]).iter().map(|path| fs::read_to_string(root().join(path)).unwrap()).collect();
    let mut found = String::new();
    let mut functions = 0;
    for line in header.lines().filter(|line| !line.trim_start().starts_with(['/', '*', '#']) && !line.contains("(*")) {
        let Some((before, _)) = line.split_once('(') else { continue };
        let name = before.rsplit([' ', '*']).next().unwrap_or_default();
        if name.starts_with("circflow_") {
            functions += 1;
            if !calls(&host, name) {
                let _ = writeln!(found, "fuzz/abi/: no call of {name}: add one to calls.c");
            }
        }
    }
    assert!(functions > 80, "found only {functions} functions");
    report(&found);
}

/// What an example or the header calls `circflow_name()` is a function that the header declares.
#[test]
fn functions_that_comments_name_exist() {
    let header = fs::read_to_string(root().join("include/circflow.h")).unwrap();
    let declared = |name: &str| header.lines().any(|line| !line.trim_start().starts_with("//") && calls(line, name));
    let mut pages = files("examples", &["c", "h"]);
    pages.push("include/circflow.h".to_owned());
    let mut found = String::new();
    for path in pages {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        for (index, line) in text.lines().enumerate() {
            for (at, _) in line.match_indices("circflow_") {
                let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
                let name: String = line[at..].chars().take_while(is_part).collect();
                let is_called = line[at + name.len()..].starts_with('(');
                if is_called && !line[..at].ends_with(|c| is_part(&c)) && !declared(&name) {
                    let _ = writeln!(found, "{path}:{}: {name}() is not in include/circflow.h", index + 1);
                }
            }
        }
    }
    report(&found);
}

#[test]
fn the_six_rules_are_the_same_everywhere() {
    let header = six_rules("src/ffi/preamble.h").expect("src/ffi/preamble.h has six rules");
    let mut found = String::new();
    for path in ["docs/guide.md", "ARCHITECTURE.md"] {
        if !root().join(path).exists() {
            continue;
        }
        match six_rules(path) {
            None => {
                let _ = writeln!(found, "{path}:1: no list of six rules");
            }
            Some(rules) => {
                for (number, (ours, theirs)) in header.iter().zip(&rules).enumerate() {
                    if ours != theirs {
                        let number = number + 1;
                        let _ = writeln!(found, "{path}: rule {number} differs\n  header: {ours}\n  {path}: {theirs}");
                    }
                }
            }
        }
    }
    report(&found);
}

#[test]
fn every_dependency_gives_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut found = String::new();
    let (mut section, mut dependencies) = (String::new(), 0);
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line.to_owned();
        } else if section.ends_with("dependencies]") && line.contains('=') && !line.starts_with('#') {
            dependencies += 1;
            let reason = line.rsplit_once('#').map_or("", |(_, reason)| reason.trim());
            if reason.len() < 10 {
                let _ = writeln!(found, "Cargo.toml:{}: a dependency without its reason", index + 1);
            }
        }
    }
    assert!(dependencies > 5);
    report(&found);
}

/// Every file is part of the crate.
#[test]
fn no_file_is_dead() {
    let mut found = String::new();
    for source in sources().iter().filter(|source| source.path != "src/lib.rs") {
        let path = Path::new(&source.path);
        let module = if path.ends_with("mod.rs") { path.parent().unwrap() } else { path };
        let name = module.file_stem().unwrap().to_str().unwrap().to_owned();
        let parents = [
            module.with_file_name("mod.rs"),
            module.with_file_name("lib.rs"),
            module.parent().unwrap().with_extension("rs"),
        ];
        let declared = parents.iter().filter_map(|parent| fs::read_to_string(root().join(parent)).ok()).any(|text| {
            text.lines()
                .any(|line| line.trim_start_matches("pub(super) ").trim_start_matches("pub ") == format!("mod {name};"))
        });
        if !declared {
            let _ = writeln!(found, "{}:1: no `mod {name};` makes this a part of the crate", source.path);
        }
    }
    report(&found);
}

fn report(found: &str) {
    assert!(found.is_empty(), "\n{found}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Paths below `folder`, from the root, in order.
fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).into_iter().flatten().flatten() {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&path, extensions));
        } else if Path::new(&path).extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let found: Vec<Source> = files("src", &["rs"])
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            Source { lines: lines(&text), path }
        })
        .collect();
    assert!(found.len() > 20, "the source is in src/");
    found
}

/// Test modules stand at the foot of their file, or in a file `tests.rs` of their own.
fn lines(text: &str) -> Vec<Line> {
    let mut is_test = false;
    let mut number = 0;
    text.lines()
        .map(|text| {
            number += 1;
            is_test |= text.trim() == "#[cfg(test)]";
            Line { number, text: text.to_owned(), code: code_of(text), is_test }
        })
        .collect()
}

/// A line without its comment, and with its strings blank. Block comments and strings of several lines are not told
/// apart; the source has none that matters.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut in_string = false;
    let mut before = ' ';
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => {
                characters.next();
            }
            '"' if before != '\'' => {
                in_string = !in_string;
                code.push('"');
            }
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if !in_string => code.push(character),
            _ => {}
        }
        before = character;
    }
    code
}

fn floor_of(path: &str) -> String {
    path.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Floors after `crate::`; `crate::macro!` and the like count as floors that nobody knows.
fn floors_named(code: &str) -> Vec<String> {
    let after = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with('$'));
    let names = after
        .map(|(at, word)| code[at + word.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
    names.filter(|name: &String| !name.is_empty()).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part) && (word.ends_with('!') || !after.is_some_and(part))
    })
}

fn name_of_fn(code: &str) -> Option<String> {
    let (_, rest) = code.split_once("fn circflow_")?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    Some(format!("circflow_{name}"))
}

/// True when C code has the name followed by an opening parenthesis, outside of a longer name.
fn calls(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && code[at + name.len()..].trim_start().starts_with('(')
    })
}

/// The numbered list of six, each as one line of plain words.
fn six_rules(path: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(root().join(path)).ok()?;
    let mut rules: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches(" *").trim();
        let next = rules.len() + 1;
        if let Some(rest) = line.strip_prefix(&format!("{next}. ")) {
            rules.push(rest.to_owned());
        } else if line.starts_with("1. ") && rules.len() < 6 {
            rules = vec![line[3..].to_owned()];
        } else if rules.len() == 6 && line.is_empty() {
            break;
        } else if let Some(last) = rules.last_mut().filter(|_| !line.is_empty()) {
            last.push(' ');
            last.push_str(line);
        }
    }
    let plain = |text: String| text.replace(['*', '_', '`'], "").split_whitespace().collect::<Vec<_>>().join(" ");
    (rules.len() == 6).then(|| rules.into_iter().map(plain).collect())
}
