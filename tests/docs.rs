//! What the pages say of the project is so: paths, functions, constants, commands of make and codes of rules exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Families of codes that docs/rules.md explains: with a dash, and without.
const DASHED: [&str; 12] = ["CFX", "RAT", "SEQ", "SCH", "RX", "CLS", "CC", "SEN", "FC", "MB", "CP", "BUF"];
const PLAIN: [char; 5] = ['B', 'C', 'P', 'Q', 'R'];

/// Words of these forms that are no codes: a standard of C.
const NO_CODES: [&str; 4] = ["C11", "C17", "C89", "C99"];

/// Written by a build, so not in a fresh clone.
const MADE: [&str; 4] = ["target/", "build/", "fuzz/found", "mine.c"];

/// Pages that tell what was: their names need not exist any more.
const HISTORY: [&str; 1] = ["CHANGELOG.md"];

/// Folders in which somebody looks for rules by their code.
const WITH_CODES: [&str; 7] = ["src", "tests", "c-tests", "sim", "fuzz", "integration", "docs"];

#[test]
fn pages_name_files_that_exist() {
    let mut found = String::new();
    for page in pages() {
        for (number, line) in numbered(&page) {
            for link in links(line) {
                let target = link.split('#').next().unwrap_or_default();
                let from = root().join(&page);
                if !target.is_empty() && !target.contains("://") && !from.parent().unwrap().join(target).exists() {
                    found += &format!("{page}:{number}: no file {link}\n");
                }
            }
            for word in quoted(line).into_iter().filter(|word| looks_like_a_path(word)) {
                if !path_exists(&page, word) {
                    found += &format!("{page}:{number}: no file {word}\n");
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn pages_name_functions_and_constants_that_exist() {
    let header = read("include/circflow.h");
    let known: BTreeSet<&str> = words(&header).collect();
    // Variables of the environment that tests and fuzzers read, and files of tor's adapter.
    let ours =
        ["tests", "fuzz", "integration"].iter().flat_map(|at| files(at, &[".rs", ".c", ".h", ".mk", ".py", ".sh"]));
    let variables: String = ours.map(|path| read(&path)).collect();
    let variables: BTreeSet<&str> = words(&variables).filter(|word| word.starts_with("CIRCFLOW_")).collect();
    let adapter = files("integration/tor/adapter", &[".h"]).join("\n");
    let adapter: BTreeSet<&str> = words(&adapter).collect();
    let (mut found, mut seen) = (String::new(), 0);
    for page in pages() {
        for (number, line) in numbered(&page) {
            let ours = words(line).filter(|word| word.starts_with("circflow_") || word.starts_with("CIRCFLOW_"));
            for word in ours {
                seen += 1;
                // `circflow_queue_*` and "CIRCFLOW_ERR_.." stand for all that begin so.
                let is_there = known.contains(word)
                    || variables.contains(word)
                    || adapter.contains(word)
                    || is_metric(word)
                    || word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
                if !is_there {
                    found += &format!("{page}:{number}: there is no {word}\n");
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
    assert!(found.is_empty(), "\n{found}");
}

/// True for a name in the text of the totals.
fn is_metric(word: &str) -> bool {
    let names = circflow::engine::counters::FAMILIES.iter().map(|family| format!("circflow_{}", family.name));
    let rest = names.filter_map(|name| word.strip_prefix(&name).map(str::to_owned)).min_by_key(String::len);
    const ENDS: [&str; 5] = ["", "_total", "_bucket", "_count", "_sum"];
    rest.is_some_and(|rest| {
        ENDS.iter().any(|end| ["", "_seconds", "_bytes"].iter().any(|unit| rest == format!("{unit}{end}")))
    })
}

#[test]
fn pages_name_commands_that_make_has() {
    let mut targets = BTreeSet::new();
    for makefile in files("", &["Makefile", ".mk"]) {
        for line in read(&makefile).lines().filter(|line| !line.starts_with(['\t', '#', ' '])) {
            if let Some((names, _)) = line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')) {
                targets.extend(names.split_whitespace().map(str::to_owned));
            }
        }
    }
    let (mut found, mut seen) = (String::new(), 0);
    for page in pages() {
        let mut is_code = false;
        for (number, line) in numbered(&page) {
            if line.starts_with("```") {
                is_code = !is_code;
            }
            let commands = if is_code { vec![line] } else { quoted(line) };
            for command in commands.iter().flat_map(|line| line.split("&&")).map(|line| line.trim_start_matches("$ ")) {
                let Some(rest) = command.trim().strip_prefix("make ") else { continue };
                let named = rest.split('#').next().unwrap_or_default().split_whitespace();
                // Until the first that is a variable or an option of make, or no name at all.
                let is_name =
                    |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
                for target in named.take_while(is_name) {
                    seen += 1;
                    if !targets.contains(target) {
                        found += &format!("{page}:{number}: make has no {target}\n");
                    }
                }
            }
        }
    }
    assert!(seen > 30, "{seen}");
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn every_code_of_a_rule_has_its_line() {
    let key = read("docs/rules.md");
    let rows: Vec<&str> = key
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|code| is_code(code))
        .collect();
    let explained: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(rows.len(), explained.len(), "each stands once");
    let (mut found, mut used) = (String::new(), BTreeSet::new());
    for folder in WITH_CODES {
        for path in files(folder, &[".rs", ".c", ".h", ".py", ".md"]) {
            if path == "docs/rules.md" {
                continue;
            }
            for (number, line) in read(&path).lines().enumerate() {
                for code in codes(line) {
                    if !explained.contains(code.as_str()) {
                        found += &format!("{path}:{}: docs/rules.md does not explain {code}\n", number + 1);
                    }
                    used.insert(code);
                }
            }
        }
    }
    for code in explained.iter().filter(|code| !used.contains(**code)) {
        found += &format!("docs/rules.md: nothing goes by {code} any more\n");
    }
    assert!(explained.len() > 80);
    assert!(found.is_empty(), "\n{found}");
}

/// ARCHITECTURE's table of folders is a map: it has every file and folder of a floor, and of a folder with a row.
#[test]
fn the_map_has_every_module() {
    let map = read("ARCHITECTURE.md");
    let (mut found, mut seen) = (String::new(), 0);
    let floors = fs::read_dir(root().join("src")).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let mut folders: Vec<String> = floors.map(|floor| floor.file_name().into_string().unwrap()).collect();
    while let Some(folder) = folders.pop() {
        let row = map.lines().find(|line| line.starts_with(&format!("| `src/{folder}` |")));
        let named: BTreeSet<&str> =
            quoted(row.unwrap_or_default()).into_iter().map(|name| name.trim_end_matches('/')).collect();
        for entry in fs::read_dir(root().join("src").join(&folder)).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let module = name.trim_end_matches(".rs");
            let inner = format!("{folder}/{name}");
            if entry.path().is_dir() && map.contains(&format!("| `src/{inner}` |")) {
                folders.push(inner);
            }
            let is_module = name.ends_with(".rs") || entry.path().is_dir();
            if is_module && !["mod", "tests"].contains(&module) {
                seen += 1;
                if !named.contains(module) {
                    found += &format!("ARCHITECTURE.md: the row of src/{folder} has no {module}\n");
                }
            }
        }
    }
    assert!(seen > 110, "{seen}");
    assert!(found.is_empty(), "\n{found}");
}

/// A bench that is added has no figure on the page before `make bench-page` was run.
#[test]
fn the_page_on_speed_has_every_bench() {
    let page = read("docs/performance.md");
    // {"name", "title", .., as the benches list them.
    let row = |line: &str| line.trim().strip_prefix("{\"").map(|rest| rest.split('"').nth(2).unwrap_or("").to_owned());
    for source in ["benches/workloads.c", "benches/circuits.c"] {
        let titles: Vec<String> = read(source).lines().filter_map(row).collect();
        assert!(titles.len() > 8, "{source} lists its benches");
        for title in titles {
            let rows = page.lines().filter(|line| line.starts_with(&format!("| {title} "))).count();
            assert_eq!(rows, 1, "{source}: {title}");
        }
    }
}

#[test]
fn the_front_page_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines: it is one screen of what and why, and one example");
}

/// A row of a table has to be one line; everything else is wrapped.
#[test]
fn lines_have_at_most_120_columns() {
    let mut found = String::new();
    for page in files("", &[".md"]) {
        for (number, line) in numbered(&page) {
            let columns = line.chars().count();
            if columns > 120 && !line.trim_start().starts_with('|') {
                found += &format!("{page}:{number}: {columns} columns\n");
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// Codes in a comment or a string; a span like "R1–R13" counts as its ends.
fn codes(line: &str) -> Vec<String> {
    let Some(at) = ["//", "/*", "* ", "#", "\""].iter().filter_map(|mark| line.find(mark)).min() else {
        return if line.starts_with("| ") { codes_in(line) } else { Vec::new() };
    };
    codes_in(&line[at..])
}

fn codes_in(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(|c| !is_part(c)).filter(|word| is_code(word)).map(str::to_owned).collect()
}

fn is_code(word: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((family, number)) = word.split_once('-') {
        return DASHED.contains(&family) && is_number(number);
    }
    let mut chars = word.chars();
    chars.next().is_some_and(|first| PLAIN.contains(&first)) && is_number(chars.as_str()) && !NO_CODES.contains(&word)
}

fn looks_like_a_path(word: &str) -> bool {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let is_file = [".rs", ".c", ".h", ".md", ".py", ".toml", ".mk", ".sh", ".txt", ".out", ".in", ".cc"]
        .iter()
        .any(|end| word.ends_with(end));
    is_plain && !word.starts_with('/') && (is_file || word.contains('/') && first_is_ours(word))
}

fn first_is_ours(word: &str) -> bool {
    word.split('/').next().is_some_and(|first| root().join(first).is_dir())
}

/// Beside the page, from the root of the repository, or a module of src without its ending. Of tor's files, which are
/// not here, only the names are known.
fn path_exists(page: &str, word: &str) -> bool {
    let word = word.trim_end_matches('/');
    let beside = root().join(page).parent().unwrap().join(word);
    MADE.iter().any(|made| word.starts_with(made))
        || beside.exists()
        || root().join(word).exists()
        || root().join("src").join(word).exists()
        || root().join("src").join(word).with_extension("rs").exists()
        || root().join(word).with_extension("rs").exists()
        || root().join(page).parent().unwrap().join("src").join(word).exists()
        || root().join("include").join(word).exists()
        || of_others(page, word)
}

/// Pages about C Tor, and about maybenot's simulator, name files of those.
fn of_others(page: &str, word: &str) -> bool {
    let about_tor = ["docs/guide.md", "docs/integrating-with-tor.md", "docs/two-hosts.md", "integration/tor/README.md"];
    let is_tors = ["src/core/", "src/test/", "src/lib/"].iter().any(|folder| word.starts_with(folder));
    let name = word.rsplit('/').next().unwrap_or(word);
    about_tor.contains(&page) && (is_tors || TORS.contains(&name))
        || page == "docs/defences.md" && MAYBENOTS.contains(&word)
}

/// Files of tor that pages name without their folder.
const TORS: [&str; 15] = [
    "conflux.c",
    "conflux_pool.c",
    "conflux_cell.c",
    "conflux.h",
    "conflux_pool.h",
    "relay.c",
    "sendme.c",
    "connection_edge.c",
    "circuituse.c",
    "circuitpadding.c",
    "circuitmux.c",
    "circuitlist.c",
    "circuitbuild.c",
    "conflux_util.c",
    "entrynodes.c",
];

/// Those of maybenot's simulator.
const MAYBENOTS: [&str; 2] = ["action.rs", "queue.rs"];

/// What stands between backticks.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).map(|word| word.trim_end_matches("()")).collect()
}

/// Targets of Markdown's links.
fn links(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn numbered(page: &str) -> Vec<(usize, &'static str)> {
    let text: &'static str = read(page).leak();
    (1..).zip(text.lines()).collect()
}

fn pages() -> Vec<String> {
    let pages = files("", &[".md"]);
    assert!(pages.len() > 15);
    pages.into_iter().filter(|page| !HISTORY.contains(&page.as_str())).collect()
}

/// Files that are part of the repository, below a folder.
fn files(folder: &str, ends: &[&str]) -> Vec<String> {
    fn walk(folder: &Path, ends: &[&str], out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                let is_ours = !["target", "build", "cache", ".git", "corpus", "found"].contains(&name.as_str());
                if is_ours && !path.join(".git").exists() {
                    walk(&path, ends, out);
                }
            } else if ends.iter().any(|end| name.ends_with(end)) {
                out.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join(folder), ends, &mut out);
    out.sort();
    out
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
