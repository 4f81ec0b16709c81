//! `circflow-machine`: makes the text of padding machines from a description, and explains such a text.

#![forbid(unsafe_code)]

mod description;
mod explain;

use circflow::padding::Machines;
use clap::{Parser, Subcommand};
use maybenot::Machine;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Makes padding machines, and explains them.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says in plain words what the machines of a text do
    Explain {
        /// The text, one machine in each line; - reads the standard input
        text: String,
        /// Tell all states, also those in a row that differ only in their numbers
        #[arg(short, long)]
        all: bool,
    },
    /// Makes the text of machines that a description describes: docs/padding.md
    Make {
        /// The description, in TOML; - reads the standard input
        description: String,
        /// Where to write the text, in place of the standard output
        #[arg(short, long)]
        output: Option<String>,
    },
    /// Gives the description of the machines of a text, to change and make them again
    Describe {
        /// The text, one machine in each line; - reads the standard input
        text: String,
        /// Where to write the description, in place of the standard output
        #[arg(short, long)]
        output: Option<String>,
    },
}

/// A failure, as a sentence for people.
type Said<T> = Result<T, String>;

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("circflow-machine: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Said<()> {
    match command {
        Command::Explain { text, all } => write(None, &explain::explain(load(text)?.as_ref(), *all)),
        Command::Make { description, output } => {
            let made = description::parse(&read_words(description)?).map_err(in_file(description))?;
            let lines: String = made.iter().map(|machine| machine.serialize() + "\n").collect();
            // What maybenot accepts can still be too large, or too slow to draw from, for an engine.
            Machines::load(lines.as_bytes())
                .map_err(|bad| format!("{description}: machine {}: {}", bad.line, bad.why))?;
            write(output.as_deref(), &lines)
        }
        Command::Describe { text, output } => write(output.as_deref(), &description::print(load(text)?.as_ref())?),
    }
}

/// Puts the name of a file before what is wrong with it.
fn in_file<W: Display>(path: &str) -> impl Fn(W) -> String + '_ {
    move |why| format!("{}: {why}", if path == "-" { "the standard input" } else { path })
}

/// Reads machines as an engine would, which says what is wrong with them. There is a machine in each line.
fn load(path: &str) -> Said<Machines> {
    Machines::load(&read(path)?).map_err(in_file(path))
}

fn read(path: &str) -> Said<Vec<u8>> {
    let mut bytes = Vec::new();
    let done = match path {
        "-" => io::stdin().read_to_end(&mut bytes).map(|_| ()),
        _ => fs::read(path).map(|all| bytes = all),
    };
    done.map_err(in_file(path))?;
    Ok(bytes)
}

fn read_words(path: &str) -> Said<String> {
    String::from_utf8(read(path)?).map_err(|_| "this is no text (not UTF-8)").map_err(in_file(path))
}

fn write(path: Option<&str>, text: &str) -> Said<()> {
    match path {
        Some(path) => fs::write(path, text).map_err(in_file(path)),
        None => match io::stdout().write_all(text.as_bytes()) {
            // Who reads us has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done.map_err(|error| format!("the standard output: {error}")),
        },
    }
}

/// The machines of a list, by number from 1, as people count lines.
fn numbered(machines: &[Machine]) -> impl Iterator<Item = (usize, &Machine)> {
    (1..).zip(machines)
}
