//! The header in include/ is the one that the source gives, its contents lead to what is there, and each of its functions
//! says what a caller has to know.

use std::fmt::Write;

const HEADER: &str = include_str!("../include/circflow.h");

/// Where names begin in a line of the contents and of the wishes.
const NAMES_AT: usize = 42;

/// Arguments that mean the same everywhere; the preamble says what. All others are named where they are taken.
const COMMON: [&str; 13] = [
    "engine", "hub", "queue", "now_ns", "circuit", "set", "stream", "size", "config", "stats", "userdata", "body_len",
    "status",
];

/// With the feature `header`, as `make check` runs it.
#[cfg(feature = "header")]
#[test]
fn the_committed_header_is_the_generated_one() {
    let generated = include_str!(env!("CIRCFLOW_GENERATED_HEADER"));
    let differ = HEADER.lines().zip(generated.lines()).position(|(ours, theirs)| ours != theirs);
    let line = differ.unwrap_or_else(|| HEADER.lines().count().min(generated.lines().count())) + 1;
    assert!(
        HEADER == generated,
        "include/circflow.h:{line}: not what src/ffi gives; run `make header`\n  in include/:  {}\n  from source: {}",
        HEADER.lines().nth(line - 1).unwrap_or("(end of file)"),
        generated.lines().nth(line - 1).unwrap_or("(end of file)"),
    );
}

#[test]
fn contents_name_every_section_and_every_function() {
    let mut found = String::new();
    let contents = contents();
    let sections = sections();
    let titles = |all: &[Section]| all.iter().map(|section| section.title.clone()).collect::<Vec<_>>();
    assert_eq!(titles(&contents), titles(&sections), "the titles, in their order");
    for (listed, section) in contents.iter().zip(&sections) {
        for name in &section.functions {
            let is_listed = |word: &String| name == word || name.ends_with(&format!("_{word}"));
            if listed.functions.iter().filter(|word| is_listed(word)).count() == 0 {
                let _ = writeln!(found, "{} is not in the contents of \"{}\"", name, section.title);
            }
        }
        if listed.functions.len() != section.functions.len() {
            let _ = writeln!(found, "\"{}\" lists {:?}", section.title, listed.functions);
        }
    }
    let count: usize = sections.iter().map(|section| section.functions.len()).sum();
    assert_eq!(count, functions().len(), "functions outside of sections");
    assert!(found.is_empty(), "\n{found}");
}

/// "I want to .." leads to what is there, and to each section that has functions of an engine.
#[test]
fn wishes_name_what_the_header_has() {
    let mut found = String::new();
    let (_, after) = HEADER.split_once(" * I want to ..").expect("it has a list of wishes");
    let (head, list) = after.split_once(" *\n").expect("a list follows");
    assert_eq!(head.trim(), "Look for");
    let list = list.split(" *\n").next().unwrap_or_default();
    let (_, body) = HEADER.split_once("#ifndef CIRCFLOW_H").expect("the code follows");
    let mut wishes = 0;
    for line in list.lines() {
        let (wish, names) = line.split_at_checked(NAMES_AT).unwrap_or((line, ""));
        wishes += 1;
        if wish.trim_start_matches(" *").trim().is_empty() || names.trim().is_empty() {
            let _ = writeln!(found, "no wish, or no name: {line}");
        }
        for name in names.split_whitespace().filter(|name| !has_word(body, name)) {
            let _ = writeln!(found, "the header has no {name}");
        }
    }
    assert!((15..=32).contains(&wishes), "{wishes} wishes");
    for section in sections().iter().filter(|section| section.functions.len() > 3) {
        let (number, title) = section.title.split_once(". ").unwrap_or_default();
        if !section.functions.iter().any(|name| has_word(list, name)) {
            let _ = writeln!(found, "no wish leads to {number}. {title}");
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// About a screen, of which a look is enough.
#[test]
fn contents_are_short() {
    let lines = contents_text().lines().count();
    assert!((20..=45).contains(&lines), "{lines} lines");
}

#[test]
fn every_function_says_what_a_caller_needs() {
    let mut found = String::new();
    for function in functions() {
        let name = &function.name;
        let doc = function.doc.join("\n");
        let (last, above) = function.doc.split_last().expect("a function has a comment");
        if !(last.starts_with("Inside drain: yes. Since: ") || last.starts_with("Inside drain: no. Since: ")) {
            let _ = writeln!(found, "{name}: its last line is not \"Inside drain: yes|no. Since: ..\"");
        }
        let since = last.rsplit("Since: ").next().unwrap_or_default().trim_end_matches('.');
        let is_version = since.split('.').count() == 2 && since.split('.').all(|part| part.parse::<u16>().is_ok());
        if !is_version {
            let _ = writeln!(found, "{name}: since \"{since}\"");
        }
        let statuses = doc.split_once("Own statuses: ").map(|(_, statuses)| statuses);
        if function.answers_a_status != statuses.is_some() {
            let _ = writeln!(found, "{name}: \"Own statuses\" belongs to what answers a status, and nowhere else");
        }
        if statuses.is_some_and(|text| {
            !text.starts_with("none") && !text.contains("CIRCFLOW_ERR_") && !text.starts_with("as of")
        }) {
            let _ = writeln!(found, "{name}: its statuses name none");
        }
        if above.first().is_none_or(|first| first.len() < 10 || first.starts_with("Own statuses")) {
            let _ = writeln!(found, "{name}: it does not say what it does");
        }
        for argument in &function.arguments {
            let common = COMMON.contains(&argument.as_str()) || argument.ends_with("_out");
            if !common && !has_word(&doc, argument) {
                let _ = writeln!(found, "{name}: nothing is said of {argument}");
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn comments_are_those_of_c89() {
    let mut inside = false;
    for (index, line) in HEADER.lines().enumerate() {
        let mut rest = line;
        while let Some(at) = rest.find(if inside { "*/" } else { "/" }) {
            let (mark, after) = rest[at..].split_at(2.min(rest.len() - at));
            let opens = !inside && mark == "/*";
            assert!(inside || opens, "include/circflow.h:{}: {line}", index + 1);
            if opens && after.split("*/").next().is_some_and(|words| words.contains("/*")) {
                panic!("include/circflow.h:{}: a comment in a comment", index + 1);
            }
            inside = opens;
            rest = after;
        }
        assert!(!inside || !rest.contains("/*"), "include/circflow.h:{}: a comment in a comment", index + 1);
    }
    assert!(!inside);
}

struct Section {
    title: String,
    functions: Vec<String>,
}

struct Function {
    name: String,
    doc: Vec<String>,
    arguments: Vec<String>,
    answers_a_status: bool,
}

/// From the line after "Contents" to the next empty one.
fn contents_text() -> &'static str {
    let (_, after) = HEADER.split_once(" * Contents").expect("it has contents");
    let (_, list) = after.split_once(" *\n").expect("a list follows");
    list.split(" *\n").next().unwrap_or_default()
}

fn contents() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in contents_text().lines() {
        let (words, names) = line.split_at_checked(NAMES_AT).unwrap_or((line, ""));
        let words = words.trim_start_matches(" *").trim();
        if words.starts_with(|c: char| c.is_ascii_digit()) {
            let title = words.split(',').next().unwrap_or(words).trim().to_owned();
            sections.push(Section { title, functions: Vec::new() });
        }
        let last = sections.last_mut().expect("a section comes first");
        last.functions.extend(names.split_whitespace().map(str::to_owned));
    }
    sections
}

fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let lines: Vec<&str> = HEADER.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(title) = line.strip_prefix(" * ").filter(|_| index > 0 && lines[index - 1].starts_with("/****"))
        else {
            if let (Some(name), Some(section)) = (declared(line), sections.last_mut()) {
                section.functions.push(name);
            }
            continue;
        };
        sections.push(Section { title: title.to_owned(), functions: Vec::new() });
    }
    sections
}

/// The function that a line begins to declare.
fn declared(line: &str) -> Option<String> {
    let (before, _) = line.split_once('(')?;
    let name = before.rsplit([' ', '*']).next()?;
    let is_code = !line.starts_with([' ', '/', '*', '#']) && !line.starts_with("typedef");
    (is_code && name.starts_with("circflow_")).then(|| name.to_owned())
}

fn functions() -> Vec<Function> {
    let mut functions = Vec::new();
    let mut doc: Vec<String> = Vec::new();
    let mut in_comment = false;
    let mut lines = HEADER.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("/*") {
            doc.clear();
            in_comment = true;
        }
        if in_comment {
            in_comment = !line.ends_with("*/");
            let words = line.trim_start_matches("/*").trim_start_matches(" *").trim_end_matches("*/");
            doc.push(words.trim().to_owned());
        } else if let Some(name) = declared(line) {
            let mut text = line.to_owned();
            while !text.ends_with(';') {
                text.push_str(lines.next().expect("a declaration ends"));
            }
            let (_, arguments) = text.split_once('(').expect("it is a function");
            let arguments = arguments.trim_end_matches(");").split(',').filter(|one| one.trim() != "void");
            let arguments = arguments.filter_map(|one| one.rsplit([' ', '*']).next()).map(str::to_owned).collect();
            let answers_a_status = line.contains("enum circflow_status ");
            functions.push(Function { name, doc: std::mem::take(&mut doc), arguments, answers_a_status });
        }
    }
    assert!(functions.len() > 80, "found only {} functions", functions.len());
    functions
}

fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}
