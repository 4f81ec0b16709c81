//! Pages made from include/circflow.h: the man pages in docs/man, and what Doxygen reads. `make man` and `make docs`.

mod doxygen;
mod header;
mod man;

use header::{blocks, Block};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const FOLDER: &str = "docs/man/man3";
/// For each name that `man` shall find, the page with it; `make install-man` makes the links.
const LINKS: &str = "docs/man/links";

/// With CIRCFLOW_WRITE_MAN it writes the pages, as `make man` does. A page keeps its date as long as it stays as it is.
#[test]
fn man_pages_are_those_of_the_header() {
    let is_writing = std::env::var_os("CIRCFLOW_WRITE_MAN").is_some();
    let mut wanted = BTreeMap::new();
    for page in man::pages() {
        let path = format!("{FOLDER}/{}.3", page.name);
        let old = fs::read_to_string(&path).unwrap_or_default();
        let date = old.lines().nth(1).and_then(|line| line.split(' ').nth(3)).unwrap_or_default().to_owned();
        let text = |date: &str| ["'\\\" t\n", &man::title(page.name, date), &page.text].concat();
        let date = if is_writing && text(&date) != old { today() } else { date };
        wanted.insert(path, text(&date));
    }
    wanted.insert(LINKS.to_owned(), links());
    if is_writing {
        fs::create_dir_all(FOLDER).unwrap();
        wanted.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
    }
    for (path, text) in &wanted {
        let old = fs::read_to_string(path).unwrap_or_default();
        let differ = old.lines().zip(text.lines()).find(|(old, new)| old != new);
        assert!(old == *text, "{path} is not what the header says; run `make man`: {differ:?}");
    }
    let there = fs::read_dir(FOLDER).unwrap().flatten().map(|entry| entry.path().to_string_lossy().into_owned());
    let more: Vec<String> = there.filter(|path| !wanted.contains_key(path)).collect();
    assert!(more.is_empty(), "no section has these pages: {more:?}");
}

/// One line for each name that is no page itself: the name, and its page.
fn links() -> String {
    let of = |page: man::Page| {
        page.names.into_iter().skip(1).map(|name| format!("{name} {}\n", page.name)).collect::<String>()
    };
    man::pages().into_iter().map(of).collect()
}

/// The day in Greenwich, from the days since 1970-01-01 (a year begins in March here, so that a leap day ends one).
fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86400;
    date(days)
}

fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", 400 * era + year + after)
}

#[test]
fn days_become_dates() {
    let known = [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (19_782, "2024-02-29")];
    for (days, expected) in known.into_iter().chain([(20_453, "2025-12-31"), (20_454, "2026-01-01")]) {
        assert_eq!(date(days), expected);
    }
}

/// Names found without the reader of the header: after `#define`, before `(`, and as names of types and values.
fn names_of_the_header() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |word: &str| _ = names.insert(word.trim_end_matches([',', ';', ' ']).to_owned());
    for line in header::HEADER.lines().skip_while(|line| !line.starts_with("#ifndef")) {
        if let Some(rest) = line.strip_prefix("#define ") {
            add(rest.split(' ').next().unwrap());
        } else if line.starts_with("} circflow_") {
            add(&line[2..]);
        } else if let Some((_, rest)) = line.split_once("(*circflow_").filter(|_| line.starts_with("typedef")) {
            add(&format!("circflow_{}", rest.split(')').next().unwrap()));
        } else if line.starts_with("typedef struct") && line.ends_with(';') {
            add(line.rsplit(' ').next().unwrap());
        } else if line.starts_with("  CIRCFLOW_") && line.contains(" = ") {
            add(line.trim().split(' ').next().unwrap());
        } else if line.starts_with(|c: char| c.is_ascii_alphabetic()) && line.contains('(') {
            add(line.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap());
        }
    }
    names.remove("CIRCFLOW_H");
    assert!(names.len() > 400, "{}", names.len());
    names
}

/// A function stands above its text, a type is a heading, and a constant or a value is a tag.
#[test]
fn each_name_stands_on_exactly_one_page() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in man::pages() {
        let mut before = "";
        for line in page.text.lines() {
            let is_tag = before.starts_with(".TP") || before == ".TQ";
            let word = line.trim_start_matches("\\fB").split([' ', '\\']).next().unwrap_or_default();
            let name = match line.strip_prefix(".BR ").and_then(|rest| rest.strip_suffix(" ()")) {
                Some(function) => Some(function),
                None if line.starts_with(".SS circflow_") => line.strip_prefix(".SS "),
                None => Some(word).filter(|word| is_tag && word.starts_with("CIRCFLOW_")),
            };
            if let Some(name) = name {
                found.entry(name.to_owned()).or_default().push(page.name.to_owned());
            }
            before = line;
        }
    }
    let twice: Vec<_> = found.iter().filter(|(_, pages)| pages.len() != 1).collect();
    assert!(twice.is_empty(), "on several pages, or twice on one: {twice:?}");
    let found: BTreeSet<String> = found.into_keys().collect();
    let wanted = names_of_the_header();
    let differ: Vec<_> = wanted.symmetric_difference(&found).collect();
    assert!(differ.is_empty(), "in the header or on a page only: {differ:?}");
}

/// With CIRCFLOW_WRITE_DOXYGEN it also writes the header as Doxygen reads it, into the file that this names.
#[test]
fn doxygen_reads_the_header() {
    let text = doxygen::header();
    let code = |text: &str| {
        let mut is_comment = false;
        let mut kept = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            is_comment |= line.starts_with("/*");
            if !is_comment {
                kept.push(line.to_owned());
            }
            is_comment &= !line.ends_with("*/");
        }
        kept
    };
    assert_eq!(code(&text), code(header::HEADER), "its code is the header's");
    let begins = |mark: &str| text.matches(mark).count();
    let sections = header::sections();
    let parts = sections.iter().flat_map(|section| &section.parts).filter(|part| !part.title.is_empty()).count();
    assert_eq!(begins("@addtogroup"), man::PAGES.len() + parts);
    assert_eq!(begins("@{"), begins("@}"));
    if let Some(path) = std::env::var_os("CIRCFLOW_WRITE_DOXYGEN") {
        fs::write(path, text).unwrap();
    }
}

fn read(text: &str) -> Vec<Block> {
    blocks(&text.lines().map(str::to_owned).collect::<Vec<_>>())
}

fn paragraph(text: &str) -> Block {
    Block::Paragraph(text.to_owned())
}

#[test]
fn comments_are_read_as_what_they_look_like() {
    assert_eq!(read("One\ntwo.\n\nThree."), [paragraph("One two."), paragraph("Three.")]);
    let inner = Block::List(vec![("c".to_owned(), vec![paragraph("d e")])]);
    let list = vec![("a".to_owned(), vec![paragraph("b"), inner]), ("f, g".to_owned(), vec![paragraph("h")])];
    assert_eq!(read("See:\n  a  b\n       c  d\n          e\n  f, g\n     h"), [paragraph("See:"), Block::List(list)]);
    let numbered = vec![vec![paragraph("One two")], vec![paragraph("Three")]];
    assert_eq!(read(" 1. One\n    two\n 2. Three"), [Block::Numbered(numbered)]);
    let rows = [["a", "b c", "d"], ["e", "f", "g"]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
    assert_eq!(read("  a  b c  d\n  e  f    g"), [Block::Table(rows)]);
    let code = ["call(it);", "", "for (;;) {", "   x;", "}"].map(str::to_owned).to_vec();
    assert_eq!(read("  call(it);\n\n  for (;;) {\n     x;\n  }"), [Block::Code(code)]);
}
