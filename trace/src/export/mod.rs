//! `export`: a trace in the forms that other programs read.

mod chrome;
mod csv;
mod json;
mod maybenot;

use crate::error::Error;
use crate::file::Entry;
use crate::filter::{Filter, Options};
use crate::order::InTime;
use crate::output::Output;

/// Write a trace in a form that another program reads
#[derive(clap::Args)]
pub struct Args {
    /// The form
    #[arg(long, value_enum)]
    to: Form,
    /// The trace; - for the standard input
    file: String,
    /// The file to write; the standard output without it
    #[arg(short, long, value_name = "OUT")]
    output: Option<String>,
    /// With --to maybenot: the hop whose padder's events are taken. The first that has one, without it
    #[arg(long)]
    hop: Option<u64>,
    #[command(flatten)]
    filter: Options,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// JSON, an object in each line
    Jsonl,
    /// A table with a column for each field, as pandas and R read it
    Csv,
    /// qlog as a JSON text sequence (RFC 7464), with event names of our own
    Qlog,
    /// JSON for Perfetto (ui.perfetto.dev) and chrome://tracing
    Chrome,
    /// What maybenot-simulator reads: when one circuit sent and received, --circuit
    Maybenot,
}

/// Writes events in some form, one after the other.
trait Exporter {
    /// What stands before the first event.
    fn begin(&mut self, to: &mut String);
    /// An event, at a time in ns.
    fn event(&mut self, entry: &Entry, time: i64, to: &mut String);
    /// What stands behind the last event.
    fn end(&mut self, to: &mut String);
}

pub fn run(args: &Args) -> Result<(), Error> {
    let filter = Filter::new(&args.filter);
    match args.to {
        Form::Jsonl => write(args, filter, json::Lines),
        Form::Csv => {
            let columns = csv::Columns::new(|kind| filter.takes_kind(kind));
            write(args, filter, columns)
        }
        Form::Qlog => write(args, filter, json::Qlog::new(&args.file)),
        Form::Chrome => write(args, filter, chrome::Chrome::new()),
        Form::Maybenot => maybenot::run(&args.file, args.output.as_deref(), &args.filter, args.hop),
    }
}

fn write(args: &Args, mut filter: Filter, mut exporter: impl Exporter) -> Result<(), Error> {
    if args.hop.is_some() {
        return Err(Error::Wrong("--hop is for --to maybenot".to_owned()));
    }
    let mut trace = InTime::open(&args.file)?;
    let mut output = Output::open(args.output.as_deref())?;
    let mut text = String::new();
    exporter.begin(&mut text);
    let read = loop {
        let entry = match trace.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let first = trace.begin();
        if filter.takes(&entry, first) {
            exporter.event(&entry, filter.time_of(&entry, first), &mut text);
            output.write(text.as_bytes())?;
            text.clear();
        }
    };
    exporter.end(&mut text);
    output.write(text.as_bytes())?;
    output.finish()?;
    trace.warn();
    read
}
