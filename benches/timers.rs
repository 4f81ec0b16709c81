//! bench-timers WORKLOAD[-empty] ARMED ROUNDS: the engine's timers alone. Prints nanoseconds per operation.
//!
//! `later`: a timer is put off, as each cell of a padded circuit does; `random`: a timer is moved to a time within ten
//! seconds; `set`: one that is not armed is set to such a time; `mixed`: by turns a timer is moved, set, and ends. The
//! empty loop runs the same random generator.

use circflow::base::Timers;
use std::hint::black_box;
use std::time::Instant;

const HORIZON: u64 = 10_000_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [name, armed, rounds] = &arguments[..] else {
        // `cargo test` and `cargo bench` run every target without arguments.
        return;
    };
    let (armed, rounds): (u32, u64) = (armed.parse().expect("a number"), rounds.parse().expect("a number"));
    let empty = name.ends_with("-empty");
    let mut timers = Timers::default();
    let mut random = Random(1);
    for key in 0..armed {
        timers.arm(key, 1 + random.below(HORIZON));
    }
    if name.starts_with("set") {
        // The timers that are set later have been armed before: no memory is needed for them.
        (armed..armed + rounds as u32).for_each(|key| timers.arm(key, HORIZON));
        (armed..armed + rounds as u32).for_each(|key| timers.cancel(key));
    }
    let start = Instant::now();
    match name.trim_end_matches("-empty") {
        "later" => {
            for round in 0..rounds {
                let key = random.below(u64::from(armed)) as u32;
                let at = 2 * HORIZON + round;
                if !black_box(empty) {
                    timers.arm(key, at);
                }
            }
        }
        "random" => {
            for _ in 0..rounds {
                let key = random.below(u64::from(armed)) as u32;
                let at = 1 + random.below(HORIZON);
                if !black_box(empty) {
                    timers.arm(key, at);
                }
            }
        }
        "set" => {
            for key in armed..armed + rounds as u32 {
                let at = 1 + random.below(HORIZON);
                if !black_box(empty) {
                    timers.arm(key, at);
                }
            }
        }
        "mixed" => mixed(&mut timers, &mut random, armed, rounds, empty),
        other => panic!("no workload {other}"),
    }
    println!("{:.1}", start.elapsed().as_nanos() as f64 / rounds as f64);
    black_box(&timers);
}

/// Each third operation ends the earliest timer; as many timers are set as end.
fn mixed(timers: &mut Timers, random: &mut Random, armed: u32, rounds: u64, empty: bool) {
    let (mut now, mut free) = (0, 0);
    for round in 0..rounds {
        let key = random.below(u64::from(armed)) as u32;
        let at = now + 1 + random.below(HORIZON);
        if black_box(empty) {
            continue;
        }
        match round % 3 {
            0 => {
                while timers.next() > now || timers.is_empty() {
                    now = timers.next();
                    if let Some((key, _)) = timers.pop_due(now, &mut { u32::MAX }) {
                        free = key;
                        break;
                    }
                }
            }
            1 => timers.arm(free, at),
            _ => timers.arm(key, at),
        }
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(bound)) >> 64) as u64
    }
}
