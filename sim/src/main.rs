//! `make sim`: whole Tor networks in virtual time, on the library as it ships. Each seed is a world of its own:
//! clients, relays and exits with an engine each, links with delay and rate, applications, and faults of all kinds.
//!
//! Arguments: SEEDS=number of seeds, FIRST=first seed, SHARD=i/n runs part i of n, JOBS=threads, SEED=a single seed,
//! with a trace, TRACE=file for what happens in its engines, STATS=1 prints how often each thing happened.

use circflow_sim::order::Order;
use circflow_sim::tally::{Tally, N};
use circflow_sim::world::World;
use std::cell::RefCell;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One seed in this many is run twice, and the results must be equal.
const TWICE: u64 = 16;
/// Failures after which no more seeds are begun.
const FAILURES_MAX: u64 = 20;

struct Options {
    first: u64,
    seeds: u64,
    shard: (u64, u64),
    jobs: usize,
    seed: Option<u64>,
    trace: Option<String>,
    stats: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("sim: {why}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|info| {
        WHY.with(|why| *why.borrow_mut() = info.to_string().replace('\n', " "));
    }));
    match options.seed {
        Some(seed) => run_one(seed, &options),
        None if options.trace.is_some() => {
            eprintln!("sim: TRACE= is for one seed: SEED=");
            ExitCode::from(2)
        }
        None => run_all(&options),
    }
}

fn options() -> Result<Options, String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { first: 1, seeds: 1000, shard: (1, 1), jobs, seed: None, trace: None, stats: false };
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').ok_or(format!("{argument}: NAME=value is expected"))?;
        if value.is_empty() {
            continue;
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{argument}: a number is expected"));
        match name {
            "FIRST" => options.first = number(value)?,
            "SEEDS" => options.seeds = number(value)?,
            "SEED" => options.seed = Some(number(value)?),
            "TRACE" => options.trace = Some(value.to_owned()),
            "JOBS" => options.jobs = number(value)?.max(1) as usize,
            "STATS" => options.stats = number(value)? != 0,
            "SHARD" => {
                let (index, count) = value.split_once('/').ok_or(format!("{argument}: i/n is expected"))?;
                options.shard = (number(index)?, number(count)?);
                if !(1..=options.shard.1).contains(&options.shard.0) {
                    return Err(format!("{argument}: 1/n to n/n"));
                }
            }
            _ => return Err(format!("{name}: unknown")),
        }
    }
    Ok(options)
}

thread_local! {
    static WHY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the last panic of this thread said.
fn why() -> String {
    WHY.with(|why| why.borrow().clone())
}

/// Runs one world. Returns its tally and the hash of all that its engines answered, or the promise that was broken.
fn run(seed: u64, trace: bool) -> Result<(Tally, u64), String> {
    run_recorded(seed, trace, None)
}

/// The same, and records what happens in its engines. If a promise is broken, what came before it is there.
fn run_recorded(seed: u64, trace: bool, record: Option<Box<dyn Write>>) -> Result<(Tally, u64), String> {
    let mut made = None;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let world = made.insert(World::new(seed, trace));
        if let Some(to) = record {
            world.record(to);
        }
        world.run();
    }));
    let ran = ran.map_err(|_| why());
    let written = catch_unwind(AssertUnwindSafe(|| made.as_mut().map(World::end_record))).map_err(|_| why());
    ran.and(written)?;
    made.map(|world| (world.tally, world.said)).ok_or_else(why)
}

/// Twice: what it says may hang neither on chance, nor on whether it is recorded.
fn run_one(seed: u64, options: &Options) -> ExitCode {
    let record = options.trace.as_ref().map(File::create).transpose();
    let record = match record {
        Ok(file) => file.map(|file| Box::new(file) as Box<dyn Write>),
        Err(error) => {
            eprintln!("sim: cannot write {}: {error}", options.trace.as_deref().unwrap_or_default());
            return ExitCode::from(2);
        }
    };
    let first = run_recorded(seed, true, record);
    match first.and_then(|(tally, said)| match run(seed, false) {
        Ok((_, again)) if again == said => Ok((tally, said)),
        Ok(_) => Err("the same seed says the same twice".into()),
        Err(why) => Err(why),
    }) {
        Ok((tally, said)) => {
            if options.stats {
                tally.print();
            }
            println!("sim: seed {seed} says {said:016x}");
            println!("sim: OK");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("sim: FAILED: seed {seed}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The state that all threads share.
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    failures: AtomicU64,
    twice: AtomicU64,
    tally: Mutex<Tally>,
    slowest: Mutex<(Duration, u64)>,
}

fn run_all(options: &Options) -> ExitCode {
    let (index, count) = options.shard;
    let mine = (0..options.seeds).filter(|seed| seed % count == index - 1).count() as u64;
    let progress = Progress {
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        failures: AtomicU64::new(0),
        twice: AtomicU64::new(0),
        tally: Mutex::new(Tally::default()),
        slowest: Mutex::new((Duration::ZERO, 0)),
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| work(options, mine, &progress));
        }
        scope.spawn(|| show(mine, &progress, begun));
    });
    let tally = progress.tally.into_inner().unwrap();
    if options.stats {
        tally.print();
    }
    let done = progress.done.load(Ordering::Relaxed);
    let spent = begun.elapsed().as_secs_f64();
    let slowest = progress.slowest.into_inner().unwrap();
    let each = spent * 1000.0 * options.jobs as f64 / done.max(1) as f64;
    println!(
        "sim: {done} seeds ({each:.1} ms each, {} ms the slowest, {}), {} events, {} cells, {} messages delivered, \
         sets closed ({}), {} legs lost, {} sets held for too long, {} hostile seeds, {} determinism checks",
        slowest.0.as_millis(),
        slowest.1,
        tally.of(N::Events),
        tally.of(N::CellArrived),
        tally.of(N::DataDelivered),
        tally.causes("set ended: "),
        tally.of(N::LegsLost),
        tally.of(N::TooLong),
        tally.of(N::HostileSeeds),
        progress.twice.load(Ordering::Relaxed),
    );
    let failures = progress.failures.load(Ordering::Relaxed);
    if failures > 0 || done < mine {
        println!("sim: FAILED: {failures} seeds");
        return ExitCode::FAILURE;
    }
    println!("sim: OK");
    ExitCode::SUCCESS
}

fn work(options: &Options, mine: u64, progress: &Progress) {
    let (index, count) = options.shard;
    let mut sum = Tally::default();
    let mut slowest = (Duration::ZERO, 0);
    loop {
        let next = progress.next.fetch_add(1, Ordering::Relaxed);
        if next >= mine || progress.failures.load(Ordering::Relaxed) >= FAILURES_MAX {
            break;
        }
        let seed = options.first + next * count + index - 1;
        let begun = Instant::now();
        let mut ran = run(seed, false);
        slowest = slowest.max((begun.elapsed(), seed));
        if let (Ok((_, said)), true) = (&ran, seed.is_multiple_of(TWICE)) {
            progress.twice.fetch_add(1, Ordering::Relaxed);
            // Recorded, which may change nothing, and held against what a record promises.
            match run_recorded(seed, false, Some(Box::new(Order::default()))) {
                Ok((_, again)) if again == *said => {}
                Ok(_) => ran = Err("the same seed says the same twice".into()),
                Err(why) => ran = Err(why),
            }
        }
        match ran {
            Ok((tally, _)) => sum.take(&tally),
            Err(why) => {
                progress.failures.fetch_add(1, Ordering::Relaxed);
                println!("sim: FAILED: seed {seed}: {why}; make sim SEED={seed}");
            }
        }
        progress.done.fetch_add(1, Ordering::Relaxed);
    }
    progress.tally.lock().unwrap().take(&sum);
    let mut most = progress.slowest.lock().unwrap();
    *most = slowest.max(*most);
}

/// Shows progress: on a terminal a line that is written over, in a log a line every ten seconds.
fn show(mine: u64, progress: &Progress, begun: Instant) {
    let terminal = std::io::stderr().is_terminal();
    let mut shown = Instant::now();
    loop {
        let (done, failures) = (progress.done.load(Ordering::Relaxed), progress.failures.load(Ordering::Relaxed));
        let over = done >= mine || failures >= FAILURES_MAX;
        if (terminal && !over) || shown.elapsed() > Duration::from_secs(10) {
            let rate = done as f64 / begun.elapsed().as_secs_f64();
            let left = (mine - done.min(mine)) as f64 / rate.max(0.001);
            let line = format!("{done} of {mine} seeds, {rate:.0}/s, {left:.0} s left, {failures} failed");
            match terminal {
                true => eprint!("\r{line}   "),
                false => eprintln!("{line}"),
            }
            let _ = std::io::stderr().flush();
            shown = Instant::now();
        }
        if over {
            if terminal {
                eprint!("\r{:60}\r", "");
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(if terminal { 200 } else { 20 }));
    }
}
