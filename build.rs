//! Makes circflow.h from src/ffi, into the build folder. `make header` puts it into include/, and a test compares the two.
//!
//! cbindgen turns each item of src/ffi into C. Here they are put in order: a section for each noun, and in it the flags,
//! structs and functions as they stand in the noun's files; before all of them, what is in which section.

#![cfg_attr(not(feature = "header"), allow(dead_code, unused_imports))]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// A section of the header: its title, what the names of its functions begin with, and its parts.
type Section = (&'static str, &'static str, &'static [Part]);
/// A part of a section: what it is about, and the file below src/ffi.
type Part = (&'static str, &'static str);

/// What C reads has to be declared before it is used, so the order is also that of dependence.
const SECTIONS: &[Section] = &[
    ("Version and statuses", "circflow_", &[("", "status.rs")]),
    ("Ids", "circflow_", &[("", "id.rs")]),
    ("Messages and verdicts", "circflow_", &[("", "message.rs")]),
    ("Instructions", "circflow_", &[("", "insn.rs")]),
    (
        "Engines",
        "circflow_engine_",
        &[
            ("life", "engine/mod.rs"),
            ("turns of your loop", "engine/turn.rs"),
            ("parameters of a consensus", "engine/param.rs"),
            ("figures", "engine/stats.rs"),
            ("totals", "engine/counters.rs"),
            ("memory", "engine/memory.rs"),
            ("what happened", "engine/record.rs"),
        ],
    ),
    (
        "Circuits",
        "circflow_circuit_",
        &[
            ("life", "circuit/mod.rs"),
            ("getting longer", "circuit/extend.rs"),
            ("messages that come", "circuit/receive.rs"),
            ("messages that go", "circuit/send.rs"),
            ("cells that pass, channels", "circuit/relay.rs"),
            ("your congestion control", "circuit/report.rs"),
            ("figures", "circuit/stats.rs"),
        ],
    ),
    ("Channels", "circflow_channel_", &[("", "channel.rs")]),
    (
        "Sets",
        "circflow_set_",
        &[
            ("life", "set/mod.rs"),
            ("legs", "set/legs.rs"),
            ("messages that go", "set/send.rs"),
            ("messages that are ready", "set/next.rs"),
            ("figures", "set/stats.rs"),
            ("numbers, if you keep your own", "set/numbers.rs"),
        ],
    ),
    ("Streams", "circflow_stream_", &[("", "stream.rs")]),
    ("Hubs", "circflow_hub_", &[("", "hub.rs")]),
    (
        "Padding",
        "circflow_padding_",
        &[
            ("machines and padders", "padding/mod.rs"),
            ("agreed on with the other end", "padding/negotiate.rs"),
            ("what an operator allows", "padding/budget.rs"),
        ],
    ),
    ("Queues", "circflow_queue_", &[("", "queue.rs")]),
    ("Cells and bodies", "circflow_", &[("", "wire.rs")]),
    ("Log lines", "circflow_", &[("", "log.rs")]),
];

const COLUMNS: usize = 118;
/// Where the names begin in a line of the contents.
const NAMES_AT: usize = 42;

/// Who only builds the library takes the header that is in include/.
#[cfg(not(feature = "header"))]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}

#[cfg(feature = "header")]
fn main() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=build.rs");

    let root = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let header = PathBuf::from(var("OUT_DIR")).join("circflow.h");
    let mut items = items(&generated(&root));
    let (mut contents, mut body) = (String::new(), String::new());
    for (index, (title, prefix, parts)) in SECTIONS.iter().enumerate() {
        let number = index + 1;
        let stars = "*".repeat(COLUMNS - 2);
        let _ = write!(body, "/{stars}\n * {number}. {title}\n {stars}/\n\n");
        let mut heading = format!(" *  {number:2}. {title}");
        if *prefix != "circflow_" {
            let _ = write!(heading, ", {prefix}*");
        }
        for (part, file) in *parts {
            if !part.is_empty() {
                let _ = write!(body, "/* ---- {title}: {part} ---- */\n\n");
            }
            let source = fs::read_to_string(root.join("src/ffi").join(file)).expect("a file of src/ffi");
            let mut functions = Vec::new();
            for name in source.lines().filter_map(exported) {
                let Some(item) = items.remove(name) else { continue };
                let _ = write!(body, "{item}\n\n");
                if item.ends_with(");") && !item.contains("\ntypedef ") {
                    functions.push(name.strip_prefix(prefix).unwrap_or(name));
                }
            }
            let first = if part.is_empty() { std::mem::take(&mut heading) } else { format!(" *        {part}") };
            if !heading.is_empty() {
                let _ = writeln!(contents, "{}", std::mem::take(&mut heading));
            }
            list(&mut contents, first, &functions);
        }
    }
    let left: Vec<_> = items.keys().collect();
    assert!(left.is_empty(), "no section has {left:?}: a `pub` item that stands in no file of SECTIONS");
    fs::write(&header, whole(&contents, &body)).expect("the build folder can be written to");
    println!("cargo:rustc-env=CIRCFLOW_GENERATED_HEADER={}", header.display());
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// What cbindgen makes of src/ffi, in an order of its own.
#[cfg(feature = "header")]
fn generated(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is readable");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // cbindgen goes from a mod.rs to the files beside it.
    for (_, file) in SECTIONS.iter().flat_map(|(_, _, parts)| parts.iter().take(1)) {
        builder = builder.with_src(root.join("src/ffi").join(file));
    }
    let mut text = Vec::new();
    builder.generate().expect("src/ffi can be read").write(&mut text);
    String::from_utf8(text).expect("the header is text")
}

/// The items of C by name, each with its comment.
fn items(text: &str) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for item in text.split("\n\n").map(str::trim).filter(|item| !item.is_empty()) {
        let name = name(after_comment(item));
        assert!(items.insert(name.to_owned(), compact(item)).is_none(), "cbindgen gives {name} twice");
    }
    items
}

/// An item without the comment before it.
fn after_comment(item: &str) -> &str {
    match item.strip_prefix("/**").and_then(|rest| rest.split_once("*/\n")) {
        Some((_, code)) => code,
        None => item,
    }
}

/// What an item of C declares.
fn name(code: &str) -> &str {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let at = if let Some((before, _)) = code.split_once("(*circflow_") {
        before.len() + 2
    } else if code.starts_with("typedef") || code.starts_with("#define") {
        code.find("circflow_").or_else(|| code.find("CIRCFLOW_")).expect("all names begin so")
    } else {
        let before = code.split_once('(').unwrap_or_else(|| panic!("no item of C: {code}")).0;
        before.rfind("circflow_").expect("all names begin so")
    };
    &code[at..at + word(&code[at..])]
}

/// The name that a line of src/ffi exports.
fn exported(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?.trim_start_matches("unsafe ");
    let rest = match rest.strip_prefix("extern \"") {
        Some(function) => function.split_once("fn ")?.1,
        None => rest.split_once(' ').filter(|(word, _)| ["const", "struct", "enum", "union", "type"].contains(word))?.1,
    };
    Some(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(rest))
}

/// Comments begin and end with their words: three lines of `/**`, text, `*/` are one.
fn compact(item: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut opens = false;
    for line in item.lines() {
        let trimmed = line.trim_start();
        let indent = &line[..line.len() - trimmed.len()];
        if trimmed == "/**" {
            opens = true;
            continue;
        }
        match trimmed {
            "*/" if lines.last().is_some_and(|last| last.trim() == "*") => {
                lines.last_mut().expect("there is a comment").push('/');
            }
            "*/" if lines.last().is_some_and(|last| last.len() + 3 <= COLUMNS) => {
                lines.last_mut().expect("there is a comment").push_str(" */");
            }
            _ if opens => lines.push(format!("{}/{trimmed}", &indent[1..])),
            _ => lines.push(line.trim_end().to_owned()),
        }
        opens = false;
    }
    lines.join("\n")
}

/// Lines of the contents for one part, of which the first begins as given.
fn list(contents: &mut String, mut line: String, functions: &[&str]) {
    for name in functions {
        if line.len().max(NAMES_AT) + name.len() + 1 > COLUMNS {
            let _ = writeln!(contents, "{line}");
            line = " *".to_owned();
        }
        let _ = write!(line, "{:width$} {name}", "", width = NAMES_AT.saturating_sub(line.len()));
    }
    let _ = writeln!(contents, "{line}");
}

/// The header around its items.
fn whole(contents: &str, body: &str) -> String {
    let part = |name: &str| var(&format!("CARGO_PKG_VERSION_{name}"));
    let (major, minor, patch) = (part("MAJOR"), part("MINOR"), part("PATCH"));
    let preamble = PREAMBLE.replace(" *  (contents)\n", contents);
    format!(
        "{preamble}
#ifndef CIRCFLOW_H
#define CIRCFLOW_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header, in its three numbers. circflow_version() is that of the library. */
#define CIRCFLOW_VERSION_MAJOR {major}
#define CIRCFLOW_VERSION_MINOR {minor}
#define CIRCFLOW_VERSION_PATCH {patch}

/* The same in one number, for comparisons: major << 16 | minor << 8 | patch. */
#define CIRCFLOW_VERSION ((CIRCFLOW_VERSION_MAJOR << 16) | (CIRCFLOW_VERSION_MINOR << 8) | CIRCFLOW_VERSION_PATCH)

/* Marks functions whose answer has to be looked at; the compiler warns where it is not. */
#if defined(__GNUC__)
#define CIRCFLOW_MUST_USE __attribute__((warn_unused_result))
#else
#define CIRCFLOW_MUST_USE
#endif

#ifdef __cplusplus
extern \"C\" {{
#endif

{body}#ifdef __cplusplus
}}
#endif

#endif
"
    )
}

const PREAMBLE: &str = include_str!("src/ffi/preamble.h");
