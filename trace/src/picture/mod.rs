//! `picture`: a small picture of a trace as SVG, for a page of text: how fast each leg was, when the leg was changed,
//! and how many messages waited for order. It has a light and a dark look, and takes the one that its reader prefers.

mod seen;
mod svg;

use crate::error::Error;
use crate::file::is_read_once;
use crate::output::Output;
use seen::Seen;

/// Draw a small picture of the sets of a trace, as SVG
#[derive(clap::Args)]
pub struct Args {
    /// The trace
    file: String,
    /// The picture [default: standard output]
    #[arg(short, long, value_name = "PICTURE")]
    output: Option<String>,
    /// What stands above it
    #[arg(long, default_value = "")]
    title: String,
}

pub fn run(args: &Args) -> Result<(), Error> {
    if is_read_once(&args.file) {
        return Err(Error::Wrong("picture reads the trace twice: name a file, not the standard input".to_owned()));
    }
    let seen = Seen::read(&args.file)?;
    let mut output = Output::open(args.output.as_deref())?;
    output.write(svg::draw(&seen, &args.title).as_bytes())?;
    output.finish()
}
