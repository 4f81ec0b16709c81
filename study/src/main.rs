//! What leg choice costs and gains, in virtual time. See README.md.

mod choices;
mod cost;
mod group;
mod host;
mod link;
mod measure;
mod network;
mod page;
mod rng;
mod row;
mod run;
mod table;
mod world;
mod worlds;

use clap::{Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "What leg choice costs and gains, in virtual time")]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Run worlds with algorithms, and write a line for each
    Run(Run),
    /// Put files of shards together
    Merge {
        files: Vec<PathBuf>,
        /// Where to write; standard output otherwise
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Put files of shards together, and print the table
    Table {
        files: Vec<PathBuf>,
        /// Write all lines to this file, too
        #[arg(long)]
        out: Option<PathBuf>,
        /// What choices cost, from `make study-cost`
        #[arg(long)]
        costs: Option<PathBuf>,
    },
    /// Make a page of HTML with pictures, for any browser, offline
    Page {
        files: Vec<PathBuf>,
        /// The page; standard output otherwise
        #[arg(long)]
        out: Option<PathBuf>,
        /// What choices cost, from `make study-cost`
        #[arg(long)]
        costs: Option<PathBuf>,
    },
    /// List the worlds in which an algorithm does most harm
    Worst {
        files: Vec<PathBuf>,
        #[arg(long, default_value = "lowrtt")]
        algorithm: String,
        #[arg(long, default_value_t = 20)]
        count: usize,
    },
    /// Print how the legs of one world are while a transfer goes on, as the sender sees them
    Look {
        /// The name of the world, or the part of it that no other has
        world: String,
        #[arg(long, default_value = "lowrtt")]
        algorithm: String,
        /// Milliseconds between two lines of a leg
        #[arg(long, default_value_t = 100)]
        every: u64,
    },
    /// Print the names of the worlds
    Worlds {
        #[arg(long, default_value = "default")]
        size: Size,
    },
}

#[derive(clap::Args)]
struct Run {
    #[arg(long, default_value = "default")]
    size: Size,
    /// Every n-th world, from the i-th on
    #[arg(long, default_value = "1/1", value_parser = shard)]
    shard: (usize, usize),
    /// Their names, with commas; all of them otherwise
    #[arg(long, value_delimiter = ',')]
    algorithms: Vec<String>,
    /// Only worlds with this in their names
    #[arg(long, default_value = "")]
    filter: String,
    /// Threads
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Where to write; standard output otherwise
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Default,
    Full,
}

impl From<Size> for worlds::Size {
    fn from(size: Size) -> worlds::Size {
        match size {
            Size::Default => worlds::Size::Default,
            Size::Full => worlds::Size::Full,
        }
    }
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parts.filter(|&(part, of)| 1 <= part && part <= of).ok_or_else(|| "a shard is i/n, from 1/n to n/n".to_owned())
}

fn main() -> ExitCode {
    let done = match Command::parse().what {
        What::Run(run) => do_run(&run),
        What::Merge { files, out } => read(&files).and_then(|rows| write(out.as_deref(), &table::csv(&rows))),
        What::Table { files, out, costs } => do_table(&files, out.as_deref(), costs.as_deref()),
        What::Page { files, out, costs } => do_page(&files, out.as_deref(), costs.as_deref()),
        What::Worst { files, algorithm, count } => {
            read(&files).and_then(|rows| write(None, &table::worst(&rows, &algorithm, count)))
        }
        What::Look { world, algorithm, every } => do_look(&world, &algorithm, every),
        What::Worlds { size } => {
            worlds::worlds(size.into()).iter().for_each(|world| println!("{}", world.name));
            Ok(())
        }
    };
    if let Err(why) = done {
        eprintln!("circflow-study: {why}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn do_run(run: &Run) -> Result<(), String> {
    let choices = choices::choices(&run.algorithms)?;
    let worlds = worlds::worlds(run.size.into());
    let (part, of) = run.shard;
    let mine = |&(place, world): &(usize, &world::World)| place % of == part - 1 && world.name.contains(&run.filter);
    let mine: Vec<(usize, &world::World)> = worlds.iter().enumerate().filter(mine).collect();
    let done = Progress { shard: run.shard, all: mine.len(), begun: Instant::now(), state: Mutex::default() };
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&(place, world)) = mine.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.add(run::rows(place, world, &choices), &world.name);
        }
    };
    // A world that breaks a promise ends the study: the panic is handed on when its thread is joined.
    std::thread::scope(|scope| (0..run.jobs.max(1)).for_each(|_| drop(scope.spawn(work))));
    eprintln!();
    let mut rows = done.state.into_inner().map_err(|_| "a world has failed")?.rows;
    rows.sort_by_key(|row| row.place);
    write(run.out.as_deref(), &table::csv(&rows))
}

/// What is done, and the line that says so.
struct Progress {
    shard: (usize, usize),
    all: usize,
    begun: Instant,
    state: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    worlds: usize,
    rows: Vec<row::Row>,
    said: Duration,
}

/// How often the line is written anew.
const SAID_EVERY: Duration = Duration::from_millis(250);

impl Progress {
    /// Writes over the line: what is done, and how long the rest will take if it goes on like that.
    fn add(&self, rows: Vec<row::Row>, name: &str) {
        let Ok(mut done) = self.state.lock() else { return };
        done.worlds += 1;
        done.rows.extend(rows);
        let (worlds, all, took) = (done.worlds, self.all, self.begun.elapsed());
        if worlds < all && took - done.said < SAID_EVERY {
            return;
        }
        done.said = took;
        let left = took.as_secs_f64() / worlds as f64 * (all - worlds) as f64;
        let (part, of) = self.shard;
        let shard = if of > 1 { format!("shard {part}/{of}: ") } else { String::new() };
        eprint!("\r{shard}{worlds} of {all} worlds, {} s, {left:.0} s left {name:<50.50}", took.as_secs());
        let _ = std::io::stderr().flush();
    }
}

fn do_look(name: &str, algorithm: &str, every: u64) -> Result<(), String> {
    let choice = choices::choices(&[algorithm.to_owned()])?[0];
    let all = worlds::worlds(worlds::Size::Full);
    let mut named: Vec<&world::World> = all.iter().filter(|world| world.name.contains(name)).collect();
    if let Some(&exact) = named.iter().find(|world| world.name == name) {
        named = vec![exact];
    }
    match named[..] {
        [world] => write(None, &run::look(world, &choice, every)),
        _ => Err(format!("{} worlds have {name} in their names", named.len())),
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<row::Row>, String> {
    let text = |path: &PathBuf| Ok((path.display().to_string(), read_file(path)?));
    table::merge(&files.iter().map(text).collect::<Result<Vec<_>, String>>()?)
}

fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn read_costs(path: Option<&Path>) -> Result<Vec<cost::Cost>, String> {
    let Some(path) = path else { return Ok(Vec::new()) };
    cost::parse(&read_file(path)?).map_err(|why| format!("{}: {why}", path.display()))
}

fn do_table(files: &[PathBuf], out: Option<&Path>, costs: Option<&Path>) -> Result<(), String> {
    let (rows, costs) = (read(files)?, read_costs(costs)?);
    if let Some(out) = out {
        write(Some(out), &table::csv(&rows))?;
    }
    write(None, &(table::table(&rows) + &cost::table(&costs)))
}

fn do_page(files: &[PathBuf], out: Option<&Path>, costs: Option<&Path>) -> Result<(), String> {
    write(out, &page::page(&read(files)?, &read_costs(costs)?)?)
}

fn write(path: Option<&Path>, text: &str) -> Result<(), String> {
    let written = match path {
        Some(path) => std::fs::write(path, text).map_err(|why| format!("{}: {why}", path.display())),
        None => std::io::stdout().write_all(text.as_bytes()).map_err(|why| why.to_string()),
    };
    written.map_err(|why| format!("not written: {why}"))
}
