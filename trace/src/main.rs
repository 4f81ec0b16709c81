//! `circflow-trace`: shows, counts, translates and draws what the flight recorder of circflow has written.
//!
//! A command is a module: it has its options (`Args`) and `run`. All of them read a file by [`order::InTime`] or
//! [`file::Trace`], one [`file::Entry`] after the other, and none loads it whole.

#![forbid(unsafe_code)]

mod error;
mod export;
mod figures;
mod file;
mod filter;
mod holding;
mod order;
mod output;
mod picture;
mod report;
mod show;
mod stats;
mod words;

use clap::{Parser, Subcommand};
use error::Error;
use std::process::ExitCode;

/// Shows what an engine of circflow has recorded.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Show(show::Args),
    Stats(stats::Args),
    Export(export::Args),
    Picture(picture::Args),
    Report(report::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done: Result<(), Error> = match &cli.command {
        Command::Show(args) => show::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Export(args) => export::run(args),
        Command::Picture(args) => picture::run(args),
        Command::Report(args) => report::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads us has seen enough: `circflow-trace show .. | head`.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("circflow-trace: {error}");
            ExitCode::FAILURE
        }
    }
}
