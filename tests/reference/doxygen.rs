//! The header as Doxygen reads it: a group for each section and each of its parts, and comments with Doxygen's marks.
//! The code is the same.

use crate::header::{blocks, chapters, names_apart, sections, Block, Item, Kind, Section, HEADER};
use crate::man::PAGES;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Arguments that mean the same everywhere, so that the header explains them once.
const COMMON: [(&str, &str); 15] = [
    ("engine", "The engine."),
    ("hub", "The hub."),
    ("queue", "The queue."),
    ("now_ns", "Your monotonic clock, in nanoseconds."),
    ("circuit", "The circuit."),
    ("set", "The set."),
    ("stream", "The stream."),
    ("channel", "The channel."),
    ("size", "The size of the struct as your compiler saw it."),
    ("config", "The configuration."),
    ("counters", "The struct that is filled; its `size` is set."),
    ("body_len", "Bytes of the body."),
    ("stats", "The struct that is filled; its `size` is set."),
    ("userdata", "The argument of your function."),
    ("status", "The number."),
];

/// The whole header.
pub fn header() -> String {
    let mut writer = Writer { out: String::new(), known: crate::names_of_the_header() };
    writer.chapters();
    // What stands between the preamble and the first item, as it is.
    let guard = HEADER.split("\n\n").skip(1).take(2).collect::<Vec<_>>().join("\n\n");
    writer.out += &guard;
    writer.out += "\n\n";
    let sections = sections();
    for (section, (_, page, about)) in sections.iter().zip(&PAGES) {
        writer.section(section, page, about);
    }
    let end = HEADER.rfind("#ifdef __cplusplus").expect("it ends so");
    writer.out + &HEADER[end..]
}

struct Writer {
    out: String,
    known: BTreeSet<String>,
}

impl Writer {
    fn chapters(&mut self) {
        self.out += "/** @file circflow.h\n * All of circflow: @ref conventions, and the modules.\n */\n\n";
        let mut page = "@page conventions How the header is read\n\n".to_owned();
        for (index, (title, blocks)) in chapters().iter().enumerate() {
            let _ = write!(page, "@section conventions_{index} {title}\n\n{}\n", self.blocks(blocks));
        }
        self.comment(&page, "");
        self.out += "\n";
    }

    fn section(&mut self, section: &Section, page: &str, about: &str) {
        // Not the page's name, which can be that of a struct.
        let group = page.replace("circflow_", "section_");
        let text =
            format!("@addtogroup {group} {}\n@brief {}{}.\n@{{", section.title, about[..1].to_uppercase(), &about[1..]);
        self.comment(&text, "");
        self.out += "\n";
        let opens = HEADER.find("#ifdef __cplusplus\nextern").map(|at| &HEADER[at..]).expect("it has that");
        let opens = &opens[..opens.find("#endif").expect("it ends") + 6];
        for part in &section.parts {
            if !part.title.is_empty() {
                let (first, rest) = part.title.split_at(1);
                let functions = part.items.iter().filter(|item| item.kind == Kind::Function);
                let list = functions.map(|item| format!("{}()", item.name())).collect::<Vec<_>>().join(", ");
                let label = part.title.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                let title = format!("{}{rest}", first.to_uppercase());
                self.comment(&format!("@addtogroup {group}_{label} {title}\n@brief {list}\n@{{"), "");
                self.out += "\n";
            }
            for item in &part.items {
                self.item(item);
                // As in the header, it stands behind the constants of the version.
                if item.name() == "CIRCFLOW_MUST_USE" {
                    let _ = write!(self.out, "{opens}\n\n");
                }
            }
            if !part.title.is_empty() {
                self.out += "/** @} */\n\n";
            }
        }
        self.out += "/** @} */\n\n";
    }

    fn item(&mut self, item: &Item) {
        let text = match item.kind {
            Kind::Function => self.function(item),
            _ => self.blocks(&blocks(&item.comment)),
        };
        self.comment(&text, "");
        if item.names.len() > 1 {
            // Each of the macros of the version has the one comment.
            let _ = writeln!(self.out, "{}", item.code[0]);
            for line in &item.code[1..] {
                self.comment(&text, "");
                let _ = writeln!(self.out, "{line}");
            }
        } else if matches!(item.kind, Kind::Struct | Kind::Enum) {
            let _ = writeln!(self.out, "{}", item.code[0]);
            let ends = if item.kind == Kind::Enum { "," } else { ";" };
            let is_comment = |line: &&&str| ["/*", "*"].iter().any(|mark| line.trim().starts_with(mark));
            let mut code = item.code[1..].iter().filter(|line| !is_comment(line));
            for member in item.members() {
                self.comment(&self.blocks(&blocks(&member.comment)), "  ");
                let line = code.next().expect("its code");
                assert!(line.ends_with(ends));
                let _ = writeln!(self.out, "{line}");
            }
            code.for_each(|line| _ = writeln!(self.out, "{line}"));
        } else {
            item.code.iter().for_each(|line| _ = writeln!(self.out, "{line}"));
        }
        self.out += "\n";
    }

    fn function(&self, item: &Item) -> String {
        let doc = item.doc();
        let mut text = self.blocks(&doc.text) + "\n\n";
        for name in item.arguments() {
            let own = doc.params.iter().find(|(param, _)| *param == name).map(|(_, body)| self.blocks(body));
            let common = COMMON.iter().find(|(common, _)| *common == name).map(|(_, meaning)| (*meaning).to_owned());
            // Without any of these, Doxygen warns, and the comment in src/ffi wants a line.
            let written = name.ends_with("_out").then(|| "Written on #CIRCFLOW_OK.".to_owned());
            if let Some(meaning) = own.or(common).or(written) {
                let _ = writeln!(text, "@param {name} {}", meaning.trim_end());
            }
        }
        if let Some(statuses) = doc.statuses {
            let _ = writeln!(text, "\n@return #CIRCFLOW_OK, or a status. Own statuses: {}", self.inline(&statuses));
        } else if let Some(Block::Paragraph(first)) = doc.text.first() {
            // A function without statuses begins by saying what it gives.
            let given = first.strip_prefix("Gives ").unwrap_or_else(|| panic!("{}: gives what?", item.name()));
            let given = given.split_once(". ").map_or(given, |(sentence, _)| sentence).trim_end_matches('.');
            let _ = writeln!(text, "\n@return {}{}.", given[..1].to_uppercase(), self.inline(&given[1..]));
        }
        let drain = doc.inside_drain.trim_end_matches('.');
        let _ = write!(text, "\n@par Inside drain\n{drain}\n@since {}", doc.since.trim_end_matches('.'));
        text
    }

    fn comment(&mut self, text: &str, indent: &str) {
        let mut lines = text.trim_end().lines();
        let _ = write!(self.out, "{indent}/** {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = write!(self.out, "\n{indent} *{}{line}", if line.is_empty() { "" } else { " " });
        }
        self.out += " */\n";
    }

    fn blocks(&self, blocks: &[Block]) -> String {
        blocks.iter().map(|block| self.block(block)).collect::<Vec<_>>().join("\n\n")
    }

    fn block(&self, block: &Block) -> String {
        match block {
            Block::Paragraph(text) => self.inline(text),
            Block::List(items) => {
                let item = |(term, body): &(String, Vec<Block>)| {
                    format!("<tr><td>{}</td><td>{}</td></tr>\n", self.inline(term), self.blocks(body))
                };
                format!("<table class=\"terms\">\n{}</table>", items.iter().map(item).collect::<String>())
            }
            Block::Numbered(items) => {
                let item = |body: &Vec<Block>| format!("<li>{}</li>\n", self.blocks(body));
                format!("<ol>\n{}</ol>", items.iter().map(item).collect::<String>())
            }
            Block::Table(rows) => {
                let row = |(index, row): (usize, &Vec<String>)| {
                    let tag = if index == 0 { "th" } else { "td" };
                    let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", self.inline(cell)));
                    format!("<tr>{}</tr>\n", cells.collect::<String>())
                };
                format!("<table>\n{}</table>", rows.iter().enumerate().map(row).collect::<String>())
            }
            Block::Code(lines) => format!("@code{{.c}}\n{}\n@endcode", lines.join("\n").replace("*/", "*&zwj;/")),
        }
    }

    /// Text with links from names, and without what Doxygen would take for its marks.
    fn inline(&self, text: &str) -> String {
        let pieces = names_apart(text);
        let mut out = String::new();
        for (index, (piece, is_name)) in pieces.iter().enumerate() {
            let after = pieces.get(index + 1).map_or("", |(next, _)| next);
            // Doxygen follows no links inside quotation marks.
            let is_quoted = out.ends_with('"');
            if *is_name && self.known.contains(*piece) && !after.starts_with("()") && !is_quoted {
                let _ = write!(out, "@ref {piece}");
                // Only a blank or the end of a name may follow.
                if after.starts_with(['.', ':', '-']) {
                    out.truncate(out.len() - piece.len() - 5);
                    let _ = write!(out, "[{piece}](@ref {piece})");
                }
            } else if *is_name {
                out += piece;
            } else {
                out += &escaped(piece);
            }
        }
        out
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(out, "`{part}`");
            continue;
        }
        for character in part.chars() {
            match character {
                '<' => out += "&lt;",
                '>' => out += "&gt;",
                '&' => out += "&amp;",
                '*' | '_' | '@' | '#' | '%' | '\\' | '[' | ']' => out.extend(['\\', character]),
                _ => out.push(character),
            }
        }
    }
    out
}
