//! `stats`: what a trace comes to, as tables or as JSON.

mod circuit;
mod collect;
mod padding;
mod quantiles;
mod rows;
mod set;
mod span;
mod text;

use crate::error::Error;

use crate::filter::{Filter, Options};
use crate::order::InTime;
use crate::output::Output;
use collect::Collector;
use serde::{Serialize, Serializer};

/// Show what a trace comes to, as tables: of the file, each set, each circuit, each padder, and the rest
#[derive(clap::Args)]
pub struct Args {
    /// The trace; - for the standard input
    file: String,
    /// Write JSON: times and durations in ns, ids as hexadecimal text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Options,
}

/// An id, written as log lines have it: JSON's numbers are too short for it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Hex(pub u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:#x}", self.0))
    }
}

pub fn run(args: &Args) -> Result<(), Error> {
    let mut trace = InTime::open(&args.file)?;
    let mut filter = Filter::new(&args.filter);
    let mut collector = Collector::new();
    let read = loop {
        match trace.next() {
            Ok(Some(entry)) if filter.takes(&entry, trace.begin()) => collector.see(&entry),
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let told = collector.told(&args.file, trace.facts());
    let mut output = Output::open(None)?;
    if args.json {
        let wrong = |error: serde_json::Error| Error::Wrong(error.to_string());
        output.write(&serde_json::to_vec_pretty(&told).map_err(wrong)?)?;
        output.write(b"\n")?;
    } else {
        output.write(text::page(&told).as_bytes())?;
    }
    output.finish()?;
    trace.warn();
    read
}
