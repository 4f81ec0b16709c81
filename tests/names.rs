//! The names of the header keep the grammar that its preamble states, and none can be taken for another; nor can types of
//! two floors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What a function can be about.
const NOUNS: [&str; 23] = [
    "status",
    "insn_kind",
    "verdict_kind",
    "command",
    "engine",
    "hub",
    "circuit",
    "extension",
    "set",
    "leg",
    "stream",
    "padding",
    "padding_budget",
    "machines",
    "queue",
    "cell",
    "switch",
    "link",
    "sendme",
    "xon",
    "xoff",
    "log",
    "channel",
];

/// circflow does it: the first word after the noun.
const IMPERATIVES: [&str; 41] = [
    "accept", "add", "adopt", "check", "choose", "close", "decide", "decode", "dissolve", "drain", "drop", "encode",
    "expect", "export", "extend", "free", "import", "install", "join", "launch", "load", "new", "open", "poll", "push",
    "receive", "record", "register", "relay", "remove", "retag", "send", "serve", "start", "stop", "take", "tick",
    "trim", "update", "use", "write",
];

/// The host says that it has happened: the last word.
const PARTICIPLES: [&str; 7] = ["answered", "built", "flushed", "gone", "passed", "queued", "written"];

/// A property of a plain value: all after the noun.
const PROPERTIES: [&str; 6] = ["class", "close_reason", "is_multiplexed", "name", "place", "text"];

/// The protocol's own names, and versions of a format.
const NEAR: [(&str, &str); 3] = [
    ("CIRCFLOW_CELL_V0", "CIRCFLOW_CELL_V1"),
    ("CIRCFLOW_CMD_PADDING_NEGOTIATE", "CIRCFLOW_CMD_PADDING_NEGOTIATED"),
    ("CIRCFLOW_CMD_RESOLVE", "CIRCFLOW_CMD_RESOLVED"),
];

/// Every function begins with its noun, and its verb says who does it.
#[test]
fn functions_keep_the_grammar() {
    let mut found = String::new();
    for name in functions().iter().filter(|name| *name != "circflow_version") {
        if !NOUNS.iter().any(|noun| name.strip_prefix(&format!("circflow_{noun}_")).is_some_and(is_grammar)) {
            let _ = writeln!(found, "{name}: no noun of the list, or a verb that is in none of the lists");
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// What stands behind the noun.
fn is_grammar(what: &str) -> bool {
    let first = what.split('_').next().unwrap_or_default();
    let last = what.rsplit('_').next().unwrap_or_default();
    let has_object = what.len() > first.len();
    match first {
        "get" | "set" => has_object,
        "config" | "init" => what == "config_init" || what == "init",
        _ => IMPERATIVES.contains(&first) || PARTICIPLES.contains(&last) || PROPERTIES.contains(&what),
    }
}

/// A reader, and a completion list, cannot tell them apart.
#[test]
fn no_two_names_are_a_letter_apart() {
    let mut found = String::new();
    for names in [functions(), constants()] {
        let names: Vec<String> = names.into_iter().collect();
        assert!(names.len() > 80, "found only {} names", names.len());
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                let is_pair = one.replace("_get_", "_set_") == *other || NEAR.contains(&(one.as_str(), other.as_str()));
                if is_near(one, other) && !is_pair {
                    let _ = writeln!(found, "{one} and {other}");
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// One letter more, less or other, or an ending of the past.
fn is_near(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let (short, long) = (short.as_bytes(), long.as_bytes());
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        0 => short[same + 1..] == long[same + 1..],
        1 => short[same..] == long[same + 1..],
        2 => same == short.len() && long.ends_with(b"ed"),
        _ => false,
    }
}

#[test]
fn nearness_is_what_it_says() {
    let near = [("close", "closed"), ("send", "sent"), ("answer", "answered"), ("full", "null"), ("xon", "xony")];
    assert!(near.iter().all(|(one, other)| is_near(one, other) && is_near(other, one)));
    let far = [("close", "gone"), ("xon", "xoff"), ("send", "sending"), ("get_stats", "get_room"), ("poll", "poll_it")];
    assert!(far.iter().all(|(one, other)| !is_near(one, other) && !is_near(other, one)));
    for what in ["close", "cell_queued", "get_room", "set_writable", "config_init", "class", "add_legs"] {
        assert!(is_grammar(what), "{what}");
    }
    for what in ["closed", "set", "get", "room", "config", "has_pending", "next", "last_detail"] {
        assert!(!is_grammar(what), "{what}");
    }
}

/// Lines of code, without comments.
fn code() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../include/circflow.h").lines().map(str::trim_start);
    lines.filter(|line| !line.starts_with(['/', '*']))
}

/// Words of the header with this beginning, and what stands behind each.
fn words(begins: &'static str) -> impl Iterator<Item = (String, &'static str)> {
    code().flat_map(move |line| {
        line.match_indices(begins).map(move |(at, _)| {
            let len = line[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len() - at);
            (line[at..at + len].to_owned(), &line[at + len..])
        })
    })
}

fn functions() -> BTreeSet<String> {
    words("circflow_").filter(|(_, rest)| rest.starts_with('(')).map(|(name, _)| name).collect()
}

fn constants() -> BTreeSet<String> {
    words("CIRCFLOW_").map(|(name, _)| name).collect()
}

/// A reader who meets the name of a type knows which floor it is from.
#[test]
fn types_of_two_floors_have_two_names() {
    let mut floors: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(), &mut |floor, line| {
        let rest = line.trim_start().strip_prefix("pub ").unwrap_or_default();
        if let Some((_, rest)) = rest.split_once(' ').filter(|(kind, _)| KINDS.contains(kind)) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            floors.entry(name).or_default().insert(floor.to_owned());
        }
    });
    assert!(floors.len() > 100, "found only {} types", floors.len());
    let same: Vec<_> = floors.iter().filter(|(_, floors)| floors.len() > 1).collect();
    assert!(same.is_empty(), "the same name on two floors: {same:?}");
}

const KINDS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];

/// Every line of the source with the floor it is on.
fn walk(folder: &Path, see: &mut dyn FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().to_owned();
            let floor = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            fs::read_to_string(&path).unwrap().lines().for_each(|line| see(&floor, line));
        }
    }
}
