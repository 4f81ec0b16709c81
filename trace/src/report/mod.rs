//! `report`: one page of HTML that shows a trace, and needs nothing else.
//!
//! The file is read twice. The first time says who is in it ([`census`]), and so what is worth drawing ([`plan`]). The
//! second time fills buckets ([`draw`]). Neither keeps events, but for some notable ones. The page is in `page/`; what
//! is drawn is part of it as JSON.

mod bucket;
mod census;
mod chart;
mod circuit_plot;
mod draw;
mod names;
mod notable;
mod page;
mod pairs;
mod place;
mod plan;
mod set_plot;
mod stream_plot;
mod summary;
mod window_plot;

use crate::error::Error;
use crate::figures;
use crate::file::{is_read_once, Entry, Facts, Trace};
use crate::output::Output;
use census::Census;
use circflow::event::Class;
use draw::Drawing;
use names::Names;
use plan::Plan;
use summary::Sums;

/// Makes a page of HTML with charts, for any browser, offline.
#[derive(clap::Args)]
pub struct Args {
    /// The trace
    file: String,
    /// The page [default: standard output]
    #[arg(short, long, value_name = "PAGE")]
    output: Option<String>,
    /// A sentence for the head of the page, as what was recorded
    #[arg(long, value_name = "SENTENCE", default_value = "")]
    title: String,
}

pub fn run(args: &Args) -> Result<(), Error> {
    if is_read_once(&args.file) {
        return Err(Error::Wrong("report reads the trace twice: name a file, not the standard input".to_owned()));
    }
    let mut census = Census::default();
    let facts = read(&args.file, None, |entry| census.see(entry))?;
    census.finish();
    let (names, plan) = (Names::new(&census), Plan::new(&census));
    let mut drawing = Drawing::new(&census, &names, &plan);
    read(&args.file, Some(&facts), |entry| drawing.see(entry))?;
    let sums = Sums::new(&census);
    let data = page::Data {
        file: file_name(&args.file),
        title: args.title.clone(),
        span: names.micros(census.last),
        about: about(&facts),
        warnings: warnings(&facts, &census),
        sentences: sums.sentences(&census, &names),
        tiles: sums.tiles(&census, &names),
        legs: summary::legs(&census, &names),
        padders: summary::padders(&census, &names),
        notables: census.notables.list(&names),
        notables_left_out: census.notables.left_out,
        others: summary::others(&census, &names, &plan.sets_left_out),
        circuits_left_out: plan.circuits_left_out,
        sections: drawing.finish(),
    };
    let mut output = Output::open(args.output.as_deref())?;
    output.write(page::text(&data)?.as_bytes())?;
    output.finish()
}

/// Reads the whole trace, or what an earlier reading saw of it: somebody may still write it.
fn read(path: &str, before: Option<&Facts>, mut see: impl FnMut(&Entry)) -> Result<Facts, Error> {
    let mut trace = Trace::open_until(path, before.map_or(u64::MAX, |facts| facts.taken))?;
    while let Some(entry) = trace.next()? {
        see(&entry);
    }
    if before.is_none() {
        trace.warn();
    }
    Ok(trace.facts().clone())
}

/// The page tells what is in the trace, not where somebody keeps it.
fn file_name(path: &str) -> String {
    std::path::Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn about(facts: &Facts) -> Vec<String> {
    let classes = Class::ALL.iter().filter(|class| facts.classes & class.bit() != 0);
    let classes: Vec<String> = classes.map(|class| format!("{class:?}").to_lowercase()).collect();
    let recorded = match classes.len() {
        len if len == Class::ALL.len() => "events of all classes were recorded".to_owned(),
        _ => format!("recorded: {}", classes.join(", ")),
    };
    vec![figures::count(facts.events, "event"), recorded]
}

fn warnings(facts: &Facts, census: &Census) -> Vec<String> {
    let mut warnings = facts.warnings();
    if facts.events == 0 {
        warnings.push("the trace has no events".to_owned());
    }
    if census.unknown > 0 {
        let text = "events of sets and circuits that are too many to count one by one are in no figure";
        warnings.push(format!("{} {text}", figures::number(census.unknown)));
    }
    warnings
}
