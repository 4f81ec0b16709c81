//! include/circflow.h as sections, parts and items, and its comments as paragraphs, lists, tables and code.

use std::iter::once;

/// What stands above a constant, in the whole header and on each page.
pub const HEADER: &str = include_str!("../../include/circflow.h");

/// The header's chapters before its code: what a paragraph begins with, and the title that it gets on a page.
const CHAPTERS: [(&str, &str); 9] = [
    ("I want to ..", "I want to .."),
    ("You make one engine", "How it works"),
    ("Words, for readers", "Words"),
    ("Six rules hold", "Six rules"),
    ("A loop looks like this", "The order of calls"),
    ("A function is named", "How names are made"),
    ("A callback has to return", "Callbacks and exceptions"),
    ("When malloc fails", "When memory runs out"),
    ("The comment of each function", "What is said of each function"),
];

pub struct Section {
    pub title: String,
    pub parts: Vec<Part>,
}

/// A part of a section; the title is empty where a section has only one.
pub struct Part {
    pub title: String,
    pub items: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Constant,
    Struct,
    Enum,
    Callback,
    Opaque,
    Function,
}

pub struct Item {
    pub kind: Kind,
    /// One, except for the macros of the version.
    pub names: Vec<String>,
    pub comment: Vec<String>,
    pub code: Vec<&'static str>,
}

/// A field of a struct, or a value of an enum.
pub struct Member {
    pub declaration: String,
    pub comment: Vec<String>,
}

/// The comment of a function.
pub struct Doc {
    pub text: Vec<Block>,
    pub params: Vec<(String, Vec<Block>)>,
    /// After "Own statuses:".
    pub statuses: Option<String>,
    pub inside_drain: String,
    pub since: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Block {
    Paragraph(String),
    /// Terms with what is said of them.
    List(Vec<(String, Vec<Block>)>),
    Numbered(Vec<Vec<Block>>),
    /// Rows; the first has the titles.
    Table(Vec<Vec<String>>),
    Code(Vec<String>),
}

impl Section {
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.parts.iter().flat_map(|part| &part.items)
    }
}

impl Item {
    pub fn name(&self) -> &str {
        &self.names[0]
    }

    /// The code in one line, without the words that C++ and our typedefs make needless.
    pub fn declaration(&self) -> String {
        let lines = self.code.iter().map(|line| line.trim()).filter(|line| *line != "CIRCFLOW_MUST_USE");
        plain_types(&lines.collect::<Vec<_>>().join(" "))
    }

    pub fn answers_a_status(&self) -> bool {
        self.kind == Kind::Function && self.declaration().starts_with("circflow_status ")
    }

    /// Names of a function's arguments.
    pub fn arguments(&self) -> Vec<String> {
        let declaration = self.declaration();
        let (_, arguments) = declaration.split_once('(').expect("it is a function");
        let arguments = arguments.trim_end_matches(");").split(',').filter(|one| *one != "void");
        arguments.filter_map(|one| one.rsplit([' ', '*']).next()).map(str::to_owned).collect()
    }

    /// The fields of a struct, the values of an enum.
    pub fn members(&self) -> Vec<Member> {
        let (mut members, mut comment, mut is_comment) = (Vec::new(), Vec::new(), false);
        let inner = self.code.iter().skip(1).map(|line| line.trim()).filter(|line| !line.starts_with('}'));
        for line in inner {
            is_comment |= line.starts_with("/*");
            if is_comment {
                comment.push(line);
                is_comment = !line.ends_with("*/");
            } else {
                let declaration = plain_types(line.trim_end_matches([',', ';']));
                members.push(Member { declaration, comment: words(&std::mem::take(&mut comment)) });
            }
        }
        members
    }

    pub fn doc(&self) -> Doc {
        let at = |mark: &str| self.comment.iter().position(|line| line.starts_with(mark));
        let last = at("Inside drain: ").unwrap_or_else(|| panic!("{}: no line \"Inside drain\"", self.name()));
        let statuses = at("Own statuses: ");
        let text = &self.comment[..statuses.unwrap_or(last)];
        let begin = text.iter().position(|line| line.starts_with("@param ")).unwrap_or(text.len());
        let (before, params) = text.split_at(begin);
        let (params, after) = params.split_at(params.iter().position(String::is_empty).unwrap_or(params.len()));
        let (inside_drain, since) = self.comment[last].split_once(" Since: ").expect("a version");
        Doc {
            text: blocks(&[before, after].concat()),
            params: self.params(params),
            statuses: statuses.map(|at| self.comment[at..last].join(" ").replace("Own statuses: ", "")),
            inside_drain: inside_drain.replace("Inside drain: ", ""),
            since: since.to_owned(),
        }
    }

    fn params(&self, lines: &[String]) -> Vec<(String, Vec<Block>)> {
        let mark = "@param ".len();
        // The space before each makes a list of them.
        let lines = lines.iter().map(|line| format!(" {}", &line[mark..]));
        match blocks(&lines.collect::<Vec<_>>()).pop() {
            Some(Block::List(params)) => params,
            None => Vec::new(),
            other => panic!("{}: arguments that are no list: {other:?}", self.name()),
        }
    }
}

fn plain_types(code: &str) -> String {
    code.replace("enum circflow_", "circflow_")
        .replace("struct circflow_", "circflow_")
        .replace("union circflow_", "circflow_")
}

/// The sections of the header. What stands before the first, such as the version, belongs to it.
pub fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut before = Vec::new();
    // The first chunk is the preamble, the second the guard.
    for chunk in HEADER.split("\n\n").skip(2).map(str::trim).filter(|chunk| !chunk.is_empty()) {
        if chunk.starts_with("/****") {
            let title = chunk.lines().nth(1).and_then(|line| line.split_once(". ")).expect("a title").1.to_owned();
            let parts = vec![Part { title: String::new(), items: std::mem::take(&mut before) }];
            sections.push(Section { title, parts });
        } else if let Some(title) = chunk.strip_prefix("/* ---- ") {
            let title = title.split_once(": ").expect("section: part").1.trim_end_matches(" ---- */").to_owned();
            sections.last_mut().expect("a section").parts.push(Part { title, items: Vec::new() });
        } else if let Some(item) = item(chunk) {
            let items = sections.last_mut().and_then(|section| section.parts.last_mut()).map(|part| &mut part.items);
            items.unwrap_or(&mut before).push(item);
        }
    }
    sections.iter_mut().for_each(|section| section.parts.retain(|part| !part.items.is_empty()));
    sections
}

/// None for includes, and for what C++ needs.
fn item(chunk: &'static str) -> Option<Item> {
    let lines: Vec<&'static str> = chunk.lines().collect();
    let end = lines.iter().position(|line| !line.starts_with("/*") && !line.starts_with(" *"))?;
    let (comment, code) = lines.split_at(end);
    let first = code[0];
    if ["#include", "#ifdef __cplusplus", "#endif"].iter().any(|begin| first.starts_with(begin)) {
        return None;
    }
    let kind = match first {
        _ if first.starts_with('#') => Kind::Constant,
        _ if first.starts_with("typedef enum") => Kind::Enum,
        _ if first.contains("(*circflow_") => Kind::Callback,
        _ if first.starts_with("typedef") && first.ends_with(';') => Kind::Opaque,
        _ if first.starts_with("typedef") => Kind::Struct,
        _ => Kind::Function,
    };
    let names = if kind == Kind::Constant { constants(code) } else { vec![declared(first, code)] };
    Some(Item { kind, names, comment: words(comment), code: code.to_vec() })
}

fn constants(code: &[&str]) -> Vec<String> {
    let names = code.iter().filter_map(|line| line.strip_prefix("#define ")?.split(' ').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.dedup();
    names
}

/// The name of a type or a function.
fn declared(first: &str, code: &[&str]) -> String {
    let text = match first.split_once("(*") {
        Some((_, rest)) => rest,
        None if first.starts_with("typedef") => first.rsplit("circflow_").next().expect("all names begin so"),
        None => code.iter().find(|line| line.contains('(')).expect("a function"),
    };
    let text = text.split('(').next().unwrap_or(text).split(')').next().unwrap_or(text);
    let name = text.trim_end_matches([' ', '{', ';']).rsplit([' ', '*']).next().expect("a word");
    if name.starts_with("circflow_") {
        name.to_owned()
    } else {
        format!("circflow_{name}")
    }
}

/// A comment without its stars.
fn words(comment: &[&str]) -> Vec<String> {
    let text = |line: &&str| {
        let line = line.trim().trim_end_matches("*/");
        let line = line.strip_prefix("/*").or_else(|| line.strip_prefix('*')).unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
    };
    let mut lines: Vec<String> = comment.iter().map(text).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

/// The chapters of the comment at the head of the header; its contents are left out, as pages have their own.
pub fn chapters() -> Vec<(&'static str, Vec<Block>)> {
    let lines: Vec<&str> = HEADER.lines().take_while(|line| line.starts_with("/*") || line.starts_with(" *")).collect();
    let lines = words(&lines);
    let at = |begin: &str| {
        lines
            .iter()
            .position(|line| line.starts_with(begin))
            .unwrap_or_else(|| panic!("no \"{begin}\" in the preamble"))
    };
    let begins: Vec<usize> = CHAPTERS.iter().map(|(begin, _)| at(begin)).collect();
    let ends = begins.iter().copied().skip(1).chain(once(lines.len()));
    let chapter = |((begin, end), (_, title)): ((usize, usize), &(&'static str, &'static str))| {
        let mut found = blocks(&lines[begin..end]);
        if *title == CHAPTERS[0].1 {
            // Its first line is the head of a table, in which blanks stand between names.
            found.remove(0);
            found.iter_mut().for_each(with_commas);
        }
        (*title, found)
    };
    begins.iter().copied().zip(ends).zip(&CHAPTERS).map(chapter).collect()
}

fn with_commas(block: &mut Block) {
    let Block::List(items) = block else { panic!("not the list of wishes") };
    for text in items.iter_mut().flat_map(|(_, body)| body) {
        let Block::Paragraph(names) = text else { panic!("not a line of names") };
        *names = names.split(' ').collect::<Vec<_>>().join(", ");
    }
}

/// Lines of a comment as what they are: text at the left edge, and lists, tables or code further in.
pub fn blocks(lines: &[String]) -> Vec<Block> {
    let mut found = Vec::new();
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let is_in = first.starts_with(' ');
        // An empty line inside code is part of it.
        let goes_on = |at: usize| match rest[at].is_empty() {
            true => is_in && is_code(first) && rest.get(at + 1).is_some_and(|next| next.starts_with(' ')),
            false => rest[at].starts_with(' ') == is_in,
        };
        let end = (0..rest.len()).find(|at| !goes_on(*at)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end.max(1));
        match first.as_str() {
            "" => {}
            _ if is_in => found.push(inner(&dedented(run, margin(first)))),
            _ => found.push(Block::Paragraph(run.join(" "))),
        }
        rest = after;
    }
    found
}

fn is_code(line: &str) -> bool {
    line.ends_with([';', '{', '}'])
}

fn margin(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn dedented(lines: &[String], by: usize) -> Vec<String> {
    lines.iter().map(|line| line[by.min(margin(line))..].to_owned()).collect()
}

/// A run of lines that stood further in; the first is at the left edge now.
fn inner(lines: &[String]) -> Block {
    if is_code(&lines[0]) {
        return Block::Code(lines.to_vec());
    }
    let rows: Vec<Vec<String>> = lines.iter().map(|line| columns(line)).collect();
    if rows.len() > 1 && rows.iter().all(|row| row.len() > 2) {
        return Block::Table(rows);
    }
    let is_numbered = lines[0].starts_with("1. ");
    let mut items: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        let body = if line.starts_with(' ') {
            line.clone()
        } else {
            let (term, text) = line.split_once(if is_numbered { ". " } else { "  " }).unwrap_or((line, ""));
            let at = line.len() - text.trim_start().len();
            items.push((term.trim_end().to_owned(), Vec::new()));
            format!("{:at$}{}", "", text.trim_start())
        };
        items.last_mut().expect("the first begins one").1.push(body);
    }
    let items = items.into_iter().map(|(term, body)| {
        let body: Vec<String> = body.into_iter().filter(|line| !line.trim().is_empty()).collect();
        let edge = body.first().map_or(0, |line| margin(line));
        (term, blocks(&dedented(&body, edge)))
    });
    match is_numbered {
        true => Block::Numbered(items.map(|(_, body)| body).collect()),
        false => Block::List(items.collect()),
    }
}

/// What two spaces or more keep apart.
fn columns(line: &str) -> Vec<String> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

/// Text cut at the names of the header: each piece with whether it is a name.
pub fn names_apart(text: &str) -> Vec<(&str, bool)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = ["circflow_", "CIRCFLOW_"].iter().filter_map(|begin| rest.find(begin)).min() {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        pieces.push((before, false));
        pieces.push((&from[..end], true));
        rest = &from[end..];
    }
    pieces.push((rest, false));
    pieces.retain(|(piece, _)| !piece.is_empty());
    pieces
}
