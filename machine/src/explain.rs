//! What machines do, in plain words.

use maybenot::action::{Action, Timer};
use maybenot::constants::{STATE_END, STATE_SIGNAL};
use maybenot::counter::{Counter, Operation};
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::Machine;
use std::fmt::Write;

use crate::numbered;

/// Explains each machine of a list. States in a row that differ only in their numbers are told once, unless `all`.
pub fn explain(machines: &[Machine], all: bool) -> String {
    let mut page = String::new();
    for (number, machine) in numbered(machines) {
        let gap = if number == 1 { "" } else { "\n" };
        let states = counted(machine.states.len() as u64, "state");
        let _ = writeln!(page, "{gap}machine {number} of {}: {states}; it begins in state 0", machines.len());
        let _ = writeln!(page, "  padding:  {}", padding_limit(machine));
        let _ = writeln!(page, "  blocking: {}", blocking_limit(machine));
        let told: Vec<String> = machine.states.iter().enumerate().map(|(at, state)| tell_state(at, state)).collect();
        let mut first = 0;
        while first < told.len() {
            let alike = told[first..].iter().take_while(|text| shape(text) == shape(&told[first])).count();
            let last = first + alike - 1;
            page.push_str(&told[first]);
            if all || alike < LEFT_OUT_FROM {
                page.extend(told[first + 1..=last].iter().map(String::as_str));
            } else {
                let _ = writeln!(page, "\n  states {} to {}: the same with other numbers", first + 1, last - 1);
                page.push_str(&told[last]);
            }
            first = last + 1;
        }
    }
    page
}

/// From so many states in a row that differ only in their numbers, those between the first and the last are left out.
const LEFT_OUT_FROM: usize = 4;

/// A text without its numbers and their units.
fn shape(text: &str) -> String {
    let number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let unit = |word: &&str| UNITS.iter().any(|(name, _)| word.trim_end_matches([',', ')']) == *name);
    text.split(' ').filter(|word| !number(word) && !unit(word)).collect()
}

fn counted(number: u64, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

fn percent(fraction: f64) -> String {
    format!("{} %", short(fraction * 100.0))
}

fn padding_limit(machine: &Machine) -> String {
    match (machine.max_padding_frac, machine.allowed_padding_packets) {
        (_, u64::MAX) | (0.0, _) => "no limit of its own".to_owned(),
        (most, 0) => format!("at most {} of the cells that are sent", percent(most)),
        (most, free) => {
            format!("{} are free; after them at most {} of those that are sent", counted(free, "cell"), percent(most))
        }
    }
}

fn blocking_limit(machine: &Machine) -> String {
    match (machine.max_blocking_frac, machine.allowed_blocked_microsec) {
        (_, u64::MAX) | (0.0, _) => "no limit of its own".to_owned(),
        (most, 0) => format!("at most {} of the time", percent(most)),
        (most, free) => format!("{} are free; after them at most {} of the time", time(free as f64), percent(most)),
    }
}

fn tell_state(at: usize, state: &State) -> String {
    let mut page = format!("\n  state {at}\n");
    let mut lines = state.action.map(|action| act(&action)).unwrap_or_default();
    lines.extend(state.counter.0.map(|counter| count(&counter, "A", "B")));
    lines.extend(state.counter.1.map(|counter| count(&counter, "B", "A")));
    if lines.is_empty() {
        lines.push("does nothing".to_owned());
    }
    for (event, goes) in state.get_transitions() {
        match goes[..] {
            [] => {}
            [Trans(to, 1.0)] => lines.push(format!("when {}: {}", happening(event), target(at, to))),
            _ => {
                lines.push(format!("when {}:", happening(event)));
                lines.extend(goes.iter().map(|Trans(to, share)| {
                    format!("{DETAIL}in {} of the cases {}", percent(f64::from(*share)), target(at, *to))
                }));
            }
        }
    }
    for line in lines {
        let _ = writeln!(page, "    {line}");
    }
    page
}

/// What stands before a line that belongs to the one above.
const DETAIL: &str = "    ";

fn target(at: usize, to: usize) -> String {
    match to {
        STATE_END => "the machine ends".to_owned(),
        STATE_SIGNAL => "gives the other machines a signal".to_owned(),
        same if same == at => "enters this state again".to_owned(),
        other => format!("goes to state {other}"),
    }
}

fn happening(event: Event) -> &'static str {
    match event {
        Event::NormalRecv => "a cell has come that is no padding (NormalRecv)",
        Event::PaddingRecv => "a padding cell has come (PaddingRecv)",
        Event::TunnelRecv => "any cell has come (TunnelRecv)",
        Event::NormalSent => "a cell is queued that is no padding (NormalSent)",
        Event::PaddingSent => "a padding cell is queued (PaddingSent)",
        Event::TunnelSent => "any cell has left (TunnelSent)",
        Event::BlockingBegin => "a block begins (BlockingBegin)",
        Event::BlockingEnd => "a block ends (BlockingEnd)",
        Event::LimitReached => "this state has acted as often as it may (LimitReached)",
        Event::CounterZero => "a counter has come down to 0 (CounterZero)",
        Event::TimerBegin => "the machine's own timer begins (TimerBegin)",
        Event::TimerEnd => "the machine's own timer ends (TimerEnd)",
        Event::Signal => "another machine has given a signal (Signal)",
    }
}

/// What an action does, and the details of it.
fn act(action: &Action) -> Vec<String> {
    let (does, details, limit) = match action {
        Action::Cancel { timer } => {
            let does = match timer {
                Timer::Action => "takes back what it has scheduled",
                Timer::Internal => "stops its own timer",
                Timer::All => "takes back what it has scheduled, and stops its own timer",
            };
            (does.to_owned(), vec![], None)
        }
        Action::SendPadding { bypass, replace, timeout, limit } => (
            format!("sends a padding cell {}", after(timeout)),
            vec![
                bypass.then_some("a block that lets padding pass does not hold it (bypass)"),
                replace.then_some("a cell that waits may count as it (replace)"),
            ],
            *limit,
        ),
        Action::BlockOutgoing { bypass, replace, timeout, duration, limit } => (
            format!("{} holds back what is sent, for {}", after(timeout), drawn(duration, time)),
            vec![
                Some(if *bypass { "padding may pass (bypass)" } else { "padding may not pass" }),
                replace.then_some("it takes the place of a block that is on (replace)"),
            ],
            *limit,
        ),
        Action::UpdateTimer { replace, duration, limit } => (
            format!("sets its own timer to {}", drawn(duration, time)),
            vec![Some(if *replace { "whatever it was (replace)" } else { "if it ends later then" })],
            *limit,
        ),
    };
    let limit = limit.map(|limit| {
        let times = drawn(&limit, short);
        format!("while it enters this state again and again, so many times at most: {times}")
    });
    let details = details.into_iter().flatten().map(str::to_owned).chain(limit);
    std::iter::once(does).chain(details.map(|detail| format!("{DETAIL}{detail}"))).collect()
}

fn after(timeout: &Dist) -> String {
    match constant(timeout) {
        Some(0.0) => "at once".to_owned(),
        _ => format!("after {}", drawn(timeout, time)),
    }
}

fn count(counter: &Counter, name: &str, other: &str) -> String {
    let by = match counter.dist {
        _ if counter.copy => format!("the value of counter {other}"),
        Some(dist) => drawn(&dist, short),
        None => "1".to_owned(),
    };
    match counter.operation {
        Operation::Increment => format!("adds {by} to counter {name}"),
        Operation::Decrement => format!("takes {by} from counter {name}"),
        Operation::Set => format!("sets counter {name} to {by}"),
    }
}

/// The one value that is drawn, if there is only one.
fn constant(dist: &Dist) -> Option<f64> {
    match dist.dist {
        DistType::Uniform { low, high } if low == high => {
            let value = low + dist.start;
            Some(if dist.max > 0.0 { value.min(dist.max) } else { value }.max(0.0))
        }
        _ => None,
    }
}

/// What a distribution draws. `unit` writes a value.
fn drawn(dist: &Dist, unit: fn(f64) -> String) -> String {
    if let Some(value) = constant(dist) {
        return unit(value);
    }
    let mut text = match dist.dist {
        DistType::Uniform { low, high } => format!("{} to {}, each as likely", unit(low), unit(high)),
        DistType::Normal { mean, stdev } => format!("around {} (normal, deviation {})", unit(mean), unit(stdev)),
        DistType::SkewNormal { location, scale, shape } => {
            format!("about {} (skew normal, scale {}, shape {})", unit(location), unit(scale), short(shape))
        }
        DistType::LogNormal { mu, sigma } => {
            format!(
                "{} or less in half of the cases (log-normal, mu {}, sigma {})",
                unit(mu.exp()),
                short(mu),
                short(sigma)
            )
        }
        DistType::Binomial { trials, probability } => format!(
            "{} on average (binomial, {trials} trials of {})",
            unit(trials as f64 * probability),
            percent(probability)
        ),
        DistType::Geometric { probability } => {
            format!("{} on average (geometric, {})", unit((1.0 - probability) / probability), percent(probability))
        }
        DistType::Pareto { scale, shape } => format!("{} or more (Pareto, shape {})", unit(scale), short(shape)),
        DistType::Poisson { lambda } => format!("{} on average (Poisson)", unit(lambda)),
        DistType::Weibull { scale, shape } => {
            format!("{} or less in 63 % of the cases (Weibull, shape {})", unit(scale), short(shape))
        }
        DistType::Gamma { scale, shape } => {
            format!("{} on average (gamma, scale {}, shape {})", unit(scale * shape), unit(scale), short(shape))
        }
        DistType::Beta { alpha, beta } => format!(
            "{} on average, up to {} (beta, alpha {}, beta {})",
            unit(alpha / (alpha + beta)),
            unit(1.0),
            short(alpha),
            short(beta)
        ),
    };
    if dist.start != 0.0 {
        let _ = write!(text, ", and {} more", unit(dist.start));
    }
    if dist.max > 0.0 {
        let _ = write!(text, "; what is above {} counts as that", unit(dist.max));
    }
    text
}

/// Units of time, with their microseconds.
const UNITS: [(&str, f64); 5] = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("min", 60e6), ("h", 3_600e6)];

/// Microseconds, in the unit in which they are read most easily.
fn time(micros: f64) -> String {
    let (name, size) = UNITS.into_iter().rev().find(|(_, size)| micros.abs() >= *size).unwrap_or(UNITS[0]);
    format!("{} {name}", short(micros / size))
}

/// A number with four digits that count.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e15).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
