//! The picture.

use super::seen::{Seen, Stretch, COLUMNS, LEGS};
use crate::figures::number;
use crate::words::escaped;
use std::fmt::Write;

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 872.0;
/// Top and bottom of the three parts.
const RATE: (f64, f64) = (74.0, 214.0);
const SWITCH: (f64, f64) = (236.0, 262.0);
const HELD: (f64, f64) = (284.0, 344.0);
/// Bytes of a cell on the wire: a message is one.
const CELL_LEN: u64 = 514;
/// Lines of a scale, at most.
const LINES: f64 = 5.0;

const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#24292f}\
.b{fill:#fff}.t{font-size:15px;font-weight:600}.e{text-anchor:end}.m{text-anchor:middle}\
.g{stroke:#d8dee4;stroke-width:1}.q{fill:#57606a}\
.l0{fill:#2f6fb7}.l1{fill:#e0893a}.l2{fill:#3a9a63}.l3{fill:#b5527f}.s{fill:#6e7781}.h{fill:#8250df}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#0d1117}.g{stroke:#30363d}.q{fill:#9198a1}\
.l0{fill:#5b9ee6}.l1{fill:#f0a35e}.l2{fill:#5fc38d}.l3{fill:#e285ae}.s{fill:#9198a1}.h{fill:#ab7df8}}";

/// A text that grows: writing to it cannot fail.
macro_rules! say {
    ($to:expr, $($text:tt)*) => {{
        let _ = writeln!($to, $($text)*);
    }};
}

pub fn draw(seen: &Seen, title: &str) -> String {
    let mut to = String::new();
    let caption = caption(seen);
    let label = escaped(&[title, &caption[0], &caption[1]].join(" "));
    say!(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">"
    );
    say!(to, "<style>{STYLE}</style><rect class=\"b\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>");
    say!(to, "<text class=\"t\" x=\"12\" y=\"24\">{}</text>", escaped(title));
    rates(seen, &mut to);
    switches(seen, &mut to);
    held(seen, &mut to);
    seconds(seen, &mut to);
    for (line, y) in caption.iter().zip([378, 394]) {
        say!(to, "<text class=\"q\" x=\"12\" y=\"{y}\">{}</text>", escaped(line));
    }
    to.push_str("</svg>\n");
    to
}

/// Cells on each leg, one above the other.
fn rates(seen: &Seen, to: &mut String) {
    let column_s = seen.span as f64 / COLUMNS as f64 / 1e9;
    let mbit = |messages: u64| (messages * CELL_LEN * 8) as f64 / 1e6 / column_s;
    let mut sums = [const { Vec::new() }; LEGS];
    let mut below = vec![0; COLUMNS];
    for (leg, sum) in sums.iter_mut().enumerate() {
        below.iter_mut().zip(&seen.messages[leg]).for_each(|(all, more)| *all += more);
        *sum = below.iter().map(|messages| mbit(*messages)).collect::<Vec<f64>>();
    }
    let most = sums[LEGS - 1].iter().copied().fold(1.0, f64::max);
    let top = scale(RATE, most, "Mbit/s of cells", to);
    let used = (0..LEGS).filter(|leg| seen.messages[*leg].iter().any(|messages| *messages > 0));
    let used: Vec<usize> = used.collect();
    // The sum of all first: each leg hides what is not its own.
    for leg in used.iter().rev() {
        area(&sums[*leg], RATE, top, &format!("l{leg}"), to);
    }
    for (at, leg) in used.iter().enumerate() {
        let x = RIGHT - 64.0 * (used.len() - at) as f64;
        say!(to, "<rect class=\"l{leg}\" x=\"{x}\" y=\"34\" width=\"12\" height=\"12\"/>");
        say!(to, "<text x=\"{}\" y=\"44\">leg {}</text>", x + 17.0, char::from(b'A' + *leg as u8));
    }
    for stretch in &seen.stretches {
        let middle = x_of(seen, stretch.from + (stretch.until - stretch.from) / 2);
        say!(to, "<text class=\"m\" x=\"{middle:.0}\" y=\"{}\">{}</text>", RATE.0 - 8.0, summary(stretch));
    }
}

fn switches(seen: &Seen, to: &mut String) {
    let most = seen.switches.iter().copied().max().unwrap_or(0).max(1) as f64;
    say!(to, "<text class=\"q\" x=\"{LEFT}\" y=\"{}\">SWITCH: the sender changes the leg</text>", SWITCH.0 - 5.0);
    let mut path = String::new();
    for (column, count) in seen.switches.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (SWITCH.1 - SWITCH.0) * *count as f64 / most;
        let _ = write!(path, "M{:.1} {}v-{height:.1}h2v{height:.1}z", column_x(column), SWITCH.1);
    }
    say!(to, "<path class=\"s\" d=\"{path}\"/>");
    say!(to, "<path class=\"g\" d=\"M{LEFT} {}H{RIGHT}\"/>", SWITCH.1);
}

fn held(seen: &Seen, to: &mut String) {
    let values: Vec<f64> = seen.held.iter().map(|held| *held as f64).collect();
    let most = values.iter().copied().fold(1.0, f64::max);
    let top = scale(HELD, most, "messages that wait for earlier ones", to);
    area(&values, HELD, top, "h", to);
}

/// An axis from 0 to a round number above `most`, which it answers.
fn scale((top, bottom): (f64, f64), most: f64, unit: &str, to: &mut String) -> f64 {
    // A low part has room for fewer lines.
    let lines = if bottom - top < 100.0 { LINES / 2.0 } else { LINES };
    let step = round_up(most / lines).max(1.0);
    let steps = (most / step).ceil();
    say!(to, "<text class=\"q\" x=\"{LEFT}\" y=\"{}\">{unit}</text>", if top > 100.0 { top - 5.0 } else { 44.0 });
    let mut at = 0.0;
    while at <= steps {
        let y = bottom - (bottom - top) * at / steps;
        say!(to, "<path class=\"g\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
        say!(to, "<text class=\"q e\" x=\"{}\" y=\"{:.1}\">{}</text>", LEFT - 6.0, y + 4.0, at * step);
        at += 1.0;
    }
    steps * step
}

/// 1, 2 or 5 and zeros.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

fn area(values: &[f64], (top, bottom): (f64, f64), most: f64, class: &str, to: &mut String) {
    let mut path = format!("M{LEFT} {bottom}");
    let mut last = bottom;
    for (column, value) in values.iter().enumerate() {
        let y = bottom - (bottom - top) * value / most;
        if y != last {
            let _ = write!(path, "H{:.1}V{y:.1}", column_x(column));
        }
        last = y;
    }
    say!(to, "<path class=\"{class}\" d=\"{path}H{RIGHT}V{bottom}z\"/>");
}

fn seconds(seen: &Seen, to: &mut String) {
    let span = seen.span as f64 / 1e9;
    let step = round_up(span / 10.0);
    let mut at = 0.0;
    while at * step <= span {
        let x = LEFT + (RIGHT - LEFT) * at * step / span;
        let unit = if at == 0.0 { " s" } else { "" };
        // 0.30000000000000004 is what three times 0.1 is.
        let text = ((at * step * 1e6).round() / 1e6).to_string();
        say!(to, "<text class=\"q m\" x=\"{x:.0}\" y=\"{}\">{text}{unit}</text>", HELD.1 + 16.0);
        at += 1.0;
    }
}

fn column_x(column: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * column as f64 / COLUMNS as f64
}

fn x_of(seen: &Seen, time: u64) -> f64 {
    LEFT + (RIGHT - LEFT) * time as f64 / seen.span as f64
}

/// "two legs: 37.2 Mbit/s"
fn summary(stretch: &Stretch) -> String {
    let seconds = (stretch.until - stretch.from).max(1) as f64 / 1e9;
    let rate = (stretch.messages * CELL_LEN * 8) as f64 / 1e6 / seconds;
    let sets = if stretch.sets > 1 { format!("{} sets of ", stretch.sets) } else { String::new() };
    format!("{sets}{}: {rate:.1} Mbit/s for {seconds:.1} s", legs(stretch.legs))
}

fn legs(count: usize) -> String {
    match count {
        1 => "one leg".to_owned(),
        2 => "two legs".to_owned(),
        3 => "three legs".to_owned(),
        more => format!("{more} legs"),
    }
}

fn caption(seen: &Seen) -> [String; 2] {
    let sum = |of: fn(&Stretch) -> u64| seen.stretches.iter().map(of).sum::<u64>();
    let peak = seen.stretches.iter().map(|stretch| stretch.held_peak).max().unwrap_or(0);
    let verb = if seen.is_received { "came" } else { "went out" };
    let what = format!(
        "{} messages {verb} in {:.1} s; the leg was changed {} times.",
        number(sum(|stretch| stretch.messages)),
        seen.span as f64 / 1e9,
        number(sum(|stretch| stretch.switches))
    );
    let held = match (seen.is_received, peak) {
        (false, _) => "Drawn from the record of an engine of circflow, by circflow-trace.".to_owned(),
        (true, 0) => "All came in order: none had to wait.".to_owned(),
        (true, _) => {
            format!("At most {} waited at a time, as earlier ones were still on the other leg.", number(peak))
        }
    };
    [what, held]
}
