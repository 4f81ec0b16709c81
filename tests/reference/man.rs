//! The header as man pages: circflow(3), and a page for each section.

use crate::header::{chapters, names_apart, sections, Block, Item, Kind, Section};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A section's title, its page, and the words after the dash of its NAME.
pub const PAGES: [(&str, &str, &str); 14] = [
    ("Version and statuses", "circflow_status", "the answers of calls, and the version"),
    ("Ids", "circflow_id", "names of circuits, sets, streams, machines and channels"),
    ("Messages and verdicts", "circflow_message", "relay messages, and the answers about them"),
    ("Instructions", "circflow_insn", "what an engine asks of its host, and tells it"),
    ("Engines", "circflow_engine", "the circuits and sets of one event loop"),
    ("Circuits", "circflow_circuit", "circuits, and what comes and goes on them"),
    ("Channels", "circflow_channel", "links to other relays, shared by circuits"),
    ("Sets", "circflow_set", "one tunnel over several circuits (conflux)"),
    ("Streams", "circflow_stream", "the connections that a circuit or a set carries"),
    ("Hubs", "circflow_hub", "one set over several event loops"),
    ("Padding", "circflow_padding", "padding machines, and what an operator allows them"),
    ("Queues", "circflow_queue", "a small backlog before a sink that can be full"),
    ("Cells and bodies", "circflow_cell", "cells, and bodies of messages, written and read"),
    ("Log lines", "circflow_log", "lines about what happens in the engines of a process"),
];

/// Columns of text between the margins of a page on a terminal of 80.
const COLUMNS: usize = 72;
/// The same and the margins.
const PAGE_COLUMNS: usize = 78;
/// Of a line of the page's source.
const SOURCE_COLUMNS: usize = 78;
/// The widest term that stands beside its text.
const TERM_MAX: usize = 36;

/// A page without the date, which stands in its first line.
pub struct Page {
    pub name: &'static str,
    /// What `man` finds it by, and `apropos` shows.
    pub names: Vec<String>,
    pub text: String,
}

pub fn pages() -> Vec<Page> {
    let sections = sections();
    let page = |section: &Section| {
        let known = PAGES.iter().find(|(title, _, _)| *title == section.title);
        let (_, name, about) = known.unwrap_or_else(|| panic!("PAGES has no page for \"{}\"", section.title));
        let names = names(name, section);
        let text = section_page(name, about, &names, section);
        Page { name, names, text }
    };
    let mut pages: Vec<Page> = sections.iter().map(page).collect();
    pages.push(Page { name: "circflow", names: vec!["circflow".to_owned()], text: overview() });
    pages
}

/// The first lines of a page.
pub fn title(name: &str, date: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let first = format!(".TH {} 3 {date} \"circflow {version}\" \"circflow manual\"\n", name.to_uppercase());
    // Lines are not stretched, and names not broken: groff goes back to HY at each heading, others do as nh says.
    first + ".ad l\n.nh\n.nr HY 0\n"
}

/// The page's own name, then those of functions and types.
fn names(page: &str, section: &Section) -> Vec<String> {
    let of = |wanted: fn(Kind) -> bool| section.items().filter(move |item| wanted(item.kind)).map(Item::name);
    let functions = of(|kind| kind == Kind::Function);
    let types = of(|kind| !matches!(kind, Kind::Function | Kind::Constant));
    let others = functions.chain(types).filter(|name| *name != page);
    std::iter::once(page).chain(others).map(str::to_owned).collect()
}

/// A page as it is written.
struct Writer {
    out: String,
    /// Functions that are on this page: they need no "(3)".
    own: BTreeSet<String>,
    /// A heading or the like has just been written, so that no macro may begin a paragraph.
    is_fresh: bool,
}

fn section_page(page: &str, about: &str, names: &[String], section: &Section) -> String {
    let mut writer = Writer { out: String::new(), own: names.iter().cloned().collect(), is_fresh: true };
    writer.head(names, about);
    writer.synopsis(section);
    writer.heading("SH", "DESCRIPTION");
    let mut lead = about.to_owned();
    lead[..1].make_ascii_uppercase();
    writer.paragraph(&format!("{lead}. circflow(3) has the rules that hold for all functions."));
    for part in &section.parts {
        let functions: Vec<&Item> = part.items.iter().filter(|item| item.kind == Kind::Function).collect();
        if !part.title.is_empty() && !functions.is_empty() {
            writer.heading("SS", &capital(&part.title));
        }
        functions.iter().for_each(|item| writer.function(item));
    }
    let constants: Vec<&Item> = section.items().filter(|item| item.kind == Kind::Constant).collect();
    if !constants.is_empty() {
        writer.heading("SH", "CONSTANTS");
        constants.iter().for_each(|item| writer.constant(item));
    }
    let is_type = |item: &&Item| !matches!(item.kind, Kind::Function | Kind::Constant);
    if section.items().any(|item| is_type(&item)) {
        writer.heading("SH", "TYPES");
        section.items().filter(is_type).for_each(|item| writer.type_of_c(item));
    }
    if section.items().any(Item::answers_a_status) {
        writer.heading("SH", "RETURN VALUE");
        writer.paragraph(
            "A function that answers circflow_status answers CIRCFLOW_OK, or a negative code that \
             circflow_status(3) explains. \"Own statuses\" are those that a function is known for; circflow(3) lists \
             those that can come from any function.",
        );
    }
    writer.see_also(page);
    writer.out
}

/// The page about the whole library.
fn overview() -> String {
    let mut writer = Writer { out: String::new(), own: BTreeSet::new(), is_fresh: true };
    writer.head(&["circflow".to_owned()], "the flow logic of Tor circuits");
    writer.heading("SH", "SYNOPSIS");
    writer.out += ".nf\n.B #include <circflow.h>\n.PP\n\
                   .BI \"cc \" program.c \" $(pkg\\-config \\-\\-cflags \\-\\-libs circflow)\"\n\
                   .BI \"cc \" program.c \" $(pkg\\-config \\-\\-cflags \\-\\-libs circflow\\-static)\"\n.fi\n";
    writer.heading("SH", "DESCRIPTION");
    writer.paragraph(
        "circflow is a library for C programs with an event loop of their own. It has three parts, and each can be \
         used without the others: conflux (one tunnel over several circuits), circuits that run by themselves \
         (congestion control, streams, and backpressure through relays), and padding with the machines of maybenot. \
         It has no thread, socket, clock or randomness of its own.",
    );
    writer.paragraph(
        "A program includes circflow.h, and is linked with what pkg-config prints; the first line of the synopsis is \
         for the shared library, the second for the archive. A shared library below a prefix of your own is found at run \
         time with LD_LIBRARY_PATH, or with an rpath. The functions of the library are on these pages:",
    );
    let pages =
        PAGES.iter().map(|(_, page, about)| (format!("{page}(3)"), vec![Block::Paragraph((*about).to_owned())]));
    writer.blocks(&[Block::List(pages.collect())]);
    let mut chapters = chapters();
    // First how it works; the list of wishes is for those who know that.
    let wishes = chapters.remove(0);
    chapters.push(wishes);
    for (title, blocks) in chapters {
        writer.heading("SH", &title.to_uppercase());
        writer.blocks(&blocks);
    }
    writer.see_also("circflow");
    writer.out
}

impl Writer {
    fn head(&mut self, names: &[String], about: &str) {
        self.heading("SH", "NAME");
        self.fill(&format!("{} \\- {about}", names.join(", ")));
        self.heading("SH", "LIBRARY");
        self.out += "circflow\n.RI ( libcircflow ,\n.IR \\-lcircflow )\n";
    }

    fn heading(&mut self, kind: &str, title: &str) {
        let _ = writeln!(self.out, ".{kind} {title}");
        self.is_fresh = true;
    }

    fn synopsis(&mut self, section: &Section) {
        self.heading("SH", "SYNOPSIS");
        self.out += ".nf\n.B #include <circflow.h>\n";
        for part in &section.parts {
            let functions: Vec<&Item> = part.items.iter().filter(|item| item.kind == Kind::Function).collect();
            if !functions.is_empty() {
                self.out += ".PP\n";
            }
            functions.iter().for_each(|item| self.prototype(&item.declaration()));
        }
        self.out += ".fi\n";
    }

    /// A prototype, within the columns: its arguments go on further in.
    fn prototype(&mut self, code: &str) {
        let mut lines = vec![code.to_owned()];
        if code.len() > COLUMNS {
            let at = code.rfind('(').expect("a prototype") + 1;
            lines = vec![code[..at].to_owned(), "       ".to_owned()];
            for word in code[at..].split_inclusive(", ") {
                if lines.last().is_some_and(|line| line.len() + word.trim_end().len() + 1 > COLUMNS) {
                    lines.push("       ".to_owned());
                }
                let line = lines.last_mut().expect("there is one");
                let _ = write!(line, " {}", word.trim_end());
            }
        }
        for line in lines {
            let _ = writeln!(self.out, "{}", in_type(&line));
        }
    }

    fn function(&mut self, item: &Item) {
        let doc = item.doc();
        self.apart();
        let _ = writeln!(self.out, ".BR {} ()\n.RS 4", item.name());
        self.is_fresh = true;
        self.blocks(&doc.text);
        let italic = |(name, text): (String, Vec<Block>)| (format!("`{name}`"), text);
        self.list(&doc.params.into_iter().map(italic).collect::<Vec<_>>());
        let last = format!("`Inside drain:` {} `Since:` {}", doc.inside_drain, doc.since);
        match doc.statuses {
            Some(none) if none == "none." => self.paragraph(&format!("`Own statuses:` none. {last}")),
            Some(statuses) => {
                self.paragraph(&format!("`Own statuses:` {statuses}"));
                self.paragraph(&last);
            }
            None => self.paragraph(&last),
        }
        self.out += ".RE\n";
        self.is_fresh = false;
    }

    fn constant(&mut self, item: &Item) {
        for (index, name) in item.names.iter().enumerate() {
            let begin = format!("#define {name} ");
            let value = item.code.iter().find_map(|line| line.strip_prefix(begin.as_str()));
            let value = value.filter(|value| !value.starts_with("__")).map(|value| format!(" = {}", verbatim(value)));
            let _ =
                writeln!(self.out, "{}\n\\fB{name}\\fP{}", [".TP 4", ".TQ"][index.min(1)], value.unwrap_or_default());
        }
        self.inside(&crate::header::blocks(&item.comment));
    }

    fn type_of_c(&mut self, item: &Item) {
        self.heading("SS", item.name());
        if item.kind == Kind::Callback {
            self.out += ".nf\n";
            self.prototype(&item.declaration());
            self.out += ".fi\n";
            self.is_fresh = false;
        }
        self.blocks(&crate::header::blocks(&item.comment));
        if matches!(item.kind, Kind::Struct | Kind::Enum) {
            for member in item.members() {
                let _ = writeln!(self.out, ".TP 4\n{}", in_type(&member.declaration));
                self.inside(&crate::header::blocks(&member.comment));
            }
        }
    }

    fn see_also(&mut self, page: &str) {
        self.heading("SH", "SEE ALSO");
        let mut others: Vec<&str> = PAGES.iter().map(|(_, name, _)| *name).chain(["circflow"]).collect();
        others.retain(|name| *name != page);
        others.sort_unstable();
        let count = others.len();
        for (index, name) in others.iter().enumerate() {
            let _ = writeln!(self.out, ".BR {name} (3){}", if index + 1 < count { "," } else { "" });
        }
    }

    /// Begins a paragraph where that is not done.
    fn apart(&mut self) {
        if !std::mem::take(&mut self.is_fresh) {
            self.out += ".PP\n";
        }
    }

    fn paragraph(&mut self, text: &str) {
        self.apart();
        let text = self.inline(text);
        self.fill(&text);
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Paragraph(text) => self.paragraph(text),
                Block::List(items) => self.list(items),
                Block::Numbered(items) => {
                    for (index, body) in items.iter().enumerate() {
                        let _ = writeln!(self.out, ".IP {}. 4", index + 1);
                        self.inside(body);
                    }
                }
                Block::Table(rows) => self.table(rows),
                Block::Code(lines) => {
                    self.apart();
                    self.out += ".RS 4\n.EX\n";
                    lines.iter().for_each(|line| _ = writeln!(self.out, "{}", verbatim(line)));
                    self.out += ".EE\n.RE\n";
                    self.is_fresh = false;
                }
            }
        }
    }

    fn list(&mut self, items: &[(String, Vec<Block>)]) {
        let widest = items.iter().map(|(term, _)| term.replace('`', "").len()).max().unwrap_or(0);
        let is_brief = items.iter().all(|(_, body)| length(body) < 2 * (COLUMNS - TERM_MAX));
        let width = if widest <= 12 || is_brief && widest <= TERM_MAX { widest + 2 } else { 8 };
        for (term, body) in items {
            for (index, line) in tags(term).iter().enumerate() {
                let request = if index == 0 { format!(".TP {width}") } else { ".TQ".to_owned() };
                let _ = writeln!(self.out, "{request}\n{}", guarded(&self.inline(line)));
            }
            self.inside(body);
        }
    }

    /// The body of a tagged paragraph.
    fn inside(&mut self, body: &[Block]) {
        self.is_fresh = true;
        if let [Block::Paragraph(text)] = body {
            self.paragraph(text);
        } else if let Some((Block::Paragraph(first), rest)) = body.split_first() {
            self.paragraph(first);
            self.out += ".RS\n";
            self.is_fresh = true;
            // A paragraph that follows needs its distance; a list brings its own.
            if matches!(rest.first(), Some(Block::Paragraph(_) | Block::Code(_) | Block::Table(_))) {
                self.out += ".sp\n";
            }
            self.blocks(rest);
            self.out += ".RE\n";
        }
        self.is_fresh = false;
    }

    /// A table has the whole width; its last column but one is wrapped where that is not enough.
    fn table(&mut self, rows: &[Vec<String>]) {
        let count = rows[0].len();
        let wide = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let others: usize = (0..count).filter(|column| column + 2 != count).map(|column| wide(column) + 2).sum();
        let room = PAGE_COLUMNS - others;
        let wraps = |column: usize| column + 2 == count && wide(column) > room;
        let format = |column| match column + 1 == count {
            true => "l".to_owned(),
            false if wraps(column) => format!("lw({room}n)2"),
            false => "l2".to_owned(),
        };
        let formats: Vec<String> = (0..count).map(format).collect();
        let bold: Vec<String> = formats.iter().map(|format| format.replacen('l', "lb", 1)).collect();
        let _ = writeln!(self.out, ".in 0\n.TS\n{}\n{}.", bold.join(" "), formats.join(" "));
        for row in rows {
            let cell = |column: usize| match wraps(column) {
                true => format!("T{{\n{}\nT}}", row[column]),
                false => row[column].clone(),
            };
            let _ = writeln!(self.out, "{}", (0..count).map(cell).collect::<Vec<_>>().join("\t"));
        }
        self.out += ".TE\n.in\n";
        self.is_fresh = false;
    }

    /// Text with names in bold type, and what stands between backticks in italics.
    fn inline(&self, text: &str) -> String {
        let pieces = names_apart(text);
        let mut out = String::new();
        let mut is_quoted = false;
        for (index, (piece, is_name)) in pieces.iter().enumerate() {
            if *is_name {
                let is_called = pieces.get(index + 1).is_some_and(|(next, _)| next.starts_with("()"));
                let _ = write!(out, "\\fB{piece}\\fP");
                if is_called {
                    out += if self.own.contains(*piece) { "()" } else { "(3)" };
                }
                continue;
            }
            let after_name = index > 0 && pieces[index - 1].1;
            let piece = if after_name { piece.strip_prefix("()").unwrap_or(piece) } else { piece };
            for (at, part) in piece.split('`').enumerate() {
                if at > 0 {
                    is_quoted = !is_quoted;
                    out += if is_quoted { "\\fI" } else { "\\fP" };
                }
                out += &escaped(part);
            }
        }
        out.replace("circflow(3)", "\\fBcircflow\\fP(3)")
    }

    /// Each sentence begins a line, so that all ends of sentences look alike.
    fn fill(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > SOURCE_COLUMNS {
                let _ = writeln!(self.out, "{}", guarded(&std::mem::take(&mut line)));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
            if word.trim_end_matches([')', '"']).ends_with(['.', '?', '!']) && !word.ends_with("..") {
                let _ = writeln!(self.out, "{}", guarded(&std::mem::take(&mut line)));
            }
        }
        if !line.is_empty() {
            let _ = writeln!(self.out, "{}", guarded(&line));
        }
    }
}

fn length(body: &[Block]) -> usize {
    match body {
        [] => 0,
        [Block::Paragraph(text)] => text.len(),
        _ => usize::MAX,
    }
}

/// A term that is too long for a line of source, in lines.
fn tags(term: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in term.split_inclusive(", ") {
        if lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() > COLUMNS) {
            lines.push(String::new());
        }
        lines.last_mut().expect("there is one").push_str(word);
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn capital(text: &str) -> String {
    let mut text = text.to_owned();
    text[..1].make_ascii_uppercase();
    text
}

/// A line that roff would take for a request.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}

/// Text as roff wants it; a minus before a digit is a minus.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('^', "\\(ha").replace('~', "\\(ti");
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_minus = character == '-' && characters.peek().is_some_and(char::is_ascii_digit);
        if is_minus {
            out += "\\-"
        } else {
            out.push(character)
        }
    }
    out
}

fn verbatim(code: &str) -> String {
    escaped(code).replace("\\-", "-").replace('-', "\\-")
}

/// Code: types in bold type, the names of arguments and fields in italics.
fn in_type(code: &str) -> String {
    let code = verbatim(code);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::from("\\fB");
    let mut rest = code.as_str();
    while let Some(at) = rest.find(is_part) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        // A name follows a type, and nothing but its length, or the next one, follows it.
        let ends = after.is_empty() || after.starts_with([',', '[']) || after == ");";
        let is_name =
            ends && !word.starts_with(|c: char| c.is_ascii_digit()) && word != "void" && word != word.to_uppercase();
        out += before;
        if is_name {
            _ = write!(out, "\\fI{word}\\fB")
        } else {
            out += word
        }
        rest = after;
    }
    out + rest + "\\fP"
}
