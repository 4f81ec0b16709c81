//! Padding machines drawn at random: valid ones of every kind.

use super::machines::always;
use super::Rng;
use maybenot::action::Action;
use maybenot::constants::{STATE_END, STATE_SIGNAL};
use maybenot::counter::{Counter, Operation};
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::{Machine, Timer};

/// Microseconds. Without `zeros` there are none, so that no machine goes on for ever within a moment.
fn micros(rng: &mut Rng, zeros: bool) -> Dist {
    let fixed = [0.0, 0.4, 1.0, 10.0, 500.0, 10_000.0, 10_000.0, 300_000.0, 1_000_000.0, 2_500_000.0];
    let from = if zeros { 0 } else { 4 };
    let start = if zeros { 0.0 } else { 300.0 };
    let spread = *rng.pick(&[20.0, 5_000.0, 400_000.0]);
    let dist = match rng.below(14) {
        0..=5 => return always(*rng.pick(&fixed[from..])),
        6 | 7 => DistType::Uniform { low: 0.0, high: spread },
        // Below zero is zero.
        8 => DistType::Normal { mean: spread, stdev: if zeros { spread } else { spread / 50.0 } },
        9 => DistType::Poisson { lambda: spread },
        10 => DistType::Pareto { scale: spread, shape: 1.5 },
        11 => DistType::LogNormal { mu: 5.0, sigma: 2.0 },
        12 => DistType::Weibull { scale: spread, shape: 0.8 },
        _ => DistType::Gamma { scale: spread, shape: 0.7 },
    };
    Dist::new(dist, start, 3_000_000.0)
}

fn limit(rng: &mut Rng) -> Option<Dist> {
    match rng.below(6) {
        0..=2 => None,
        3 => Some(always(rng.below(4) as f64)),
        4 => Some(Dist::new(DistType::Uniform { low: 0.0, high: 9.0 }, 0.0, 0.0)),
        _ => Some(Dist::new(DistType::Geometric { probability: 0.3 }, 1.0, 0.0)),
    }
}

fn action(rng: &mut Rng, zeros: bool) -> Option<Action> {
    let (bypass, replace) = (rng.once_in(2), rng.once_in(2));
    Some(match rng.below(20) {
        0..=2 => return None,
        3..=9 => Action::SendPadding { bypass, replace, timeout: micros(rng, zeros), limit: limit(rng) },
        10..=13 => {
            let (timeout, duration) = (micros(rng, zeros), micros(rng, true));
            Action::BlockOutgoing { bypass, replace, timeout, duration, limit: limit(rng) }
        }
        14..=17 => Action::UpdateTimer { replace, duration: micros(rng, zeros), limit: limit(rng) },
        _ => Action::Cancel { timer: *rng.pick(&[Timer::Action, Timer::Internal, Timer::All]) },
    })
}

fn counter(rng: &mut Rng) -> Option<Counter> {
    if !rng.once_in(4) {
        return None;
    }
    let operation = *rng.pick(&[Operation::Increment, Operation::Decrement, Operation::Decrement, Operation::Set]);
    Some(match rng.below(4) {
        0 => Counter::new_copy(operation),
        1 => Counter::new_dist(operation, Dist::new(DistType::Binomial { trials: 4, probability: 0.5 }, 0.0, 0.0)),
        _ => Counter::new(operation),
    })
}

fn state(rng: &mut Rng, states: usize, zeros: bool) -> State {
    let mut to = State::new(Default::default()).get_transitions();
    for &event in Event::iter() {
        if !rng.once_in(2) {
            continue;
        }
        let mut targets: Vec<usize> = Vec::new();
        for _ in 0..1 + rng.below(2) {
            let target = match rng.below(40) {
                0 => STATE_END,
                1..=4 => STATE_SIGNAL,
                _ => rng.below(states as u64) as usize,
            };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        let share = *rng.pick(&[1.0, 1.0, 0.9, 0.5]) / targets.len() as f32;
        to[event] = targets.into_iter().map(|target| Trans(target, share)).collect();
    }
    let mut state = State::new(to);
    state.action = action(rng, zeros);
    state.counter = (counter(rng), counter(rng));
    state
}

/// One to four machines.
pub fn any_machines(rng: &mut Rng, zeros: bool) -> Vec<Machine> {
    let one = |rng: &mut Rng| {
        let states = 1 + rng.below(6) as usize;
        let states = (0..states).map(|_| state(rng, states, zeros)).collect();
        let allowed = [*rng.pick(&[0, 3, u64::MAX]), *rng.pick(&[0, 400_000, u64::MAX])];
        let fracs = [*rng.pick(&[0.0, 0.3, 0.9, 1.0]), *rng.pick(&[0.0, 0.1, 0.7, 1.0])];
        Machine::new(allowed[0], fracs[0], allowed[1], fracs[1], states).expect("a valid machine")
    };
    (0..1 + rng.below(4)).map(|_| one(rng)).collect()
}

/// Without what happens within a moment, a machine that sets its timer again and again: such a one is due each
/// nanosecond.
pub fn tame(mut machine: Machine) -> Machine {
    for state in &mut machine.states {
        let mut to = state.get_transitions();
        to[Event::TimerBegin].clear();
        let (action, counter) = (state.action, state.counter);
        *state = State::new(to);
        (state.action, state.counter) = (action, counter);
    }
    machine
}
