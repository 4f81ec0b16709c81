//! `show`: events as text, one in a line, in the order of their times.

use crate::error::Error;
use crate::file::Entry;
use crate::filter::{Filter, Options};
use crate::order::InTime;
use crate::output::Output;
use crate::words;
use std::fmt::Write;

/// Show events as text, one in a line
#[derive(clap::Args)]
pub struct Args {
    /// The trace; - for the standard input
    file: String,
    #[command(flatten)]
    filter: Options,
}

pub fn run(args: &Args) -> Result<(), Error> {
    let mut trace = InTime::open(&args.file)?;
    let mut output = Output::open(None)?;
    let mut filter = Filter::new(&args.filter);
    let (mut line, mut lost) = (String::new(), 0);
    let read = loop {
        let entry = match trace.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        line.clear();
        if filter.takes(&entry, trace.begin()) {
            if trace.lost() > lost {
                let _ = writeln!(line, "-- {} events were overwritten here --", trace.lost() - lost);
                lost = trace.lost();
            }
            say(&entry, filter.time_of(&entry, trace.begin()), &mut line);
        }
        output.write(line.as_bytes())?;
    };
    output.finish()?;
    trace.warn();
    read
}

/// Time in seconds, engine, kind, fields.
fn say(entry: &Entry, time: i64, line: &mut String) {
    let begin = line.len();
    words::seconds(time, line);
    let missing = TIME_WIDTH.saturating_sub(line.len() - begin);
    line.insert_str(begin, &" ".repeat(missing));
    let _ = write!(line, "  {:>2}  {:<18}", entry.engine, entry.kind.name);
    for (words, (_, value)) in words::of(entry.kind).iter().zip(entry.values()) {
        line.push_str("  ");
        line.push_str(words.field.name);
        line.push('=');
        words.say(value, line);
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
}

const TIME_WIDTH: usize = 14;
