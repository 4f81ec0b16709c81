//! What one event of a hostile padding machine can cost, in draws: the promise of `padding::machines`, held against
//! the maybenot and the rand_distr that are really there.

use circflow::padding::Machines;
use maybenot::action::Action;
use maybenot::constants::STATE_SIGNAL;
use maybenot::counter::{Counter, Operation};
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::{Framework, Machine, MachineId, TriggerEvent};
use rand09::rngs::StdRng;
use rand09::{RngCore, SeedableRng};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The longest run seen in 300 million samples was 136 draws.
const DRAWS_MAX: u64 = 500;

struct Counting<'a>(StdRng, &'a Cell<u64>);

impl Counting<'_> {
    fn count(&mut self) -> &mut StdRng {
        self.1.set(self.1.get() + 1);
        assert!(self.1.get() <= 10_000, "this may well go on for ever");
        &mut self.0
    }
}

impl RngCore for Counting<'_> {
    fn next_u32(&mut self) -> u32 {
        self.count().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.count().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.count().fill_bytes(bytes);
    }
}

fn machine(states: Vec<State>) -> Machine {
    Machine {
        allowed_padding_packets: u64::MAX,
        max_padding_frac: 0.0,
        allowed_blocked_microsec: u64::MAX,
        max_blocking_frac: 0.0,
        states,
    }
}

#[test]
fn every_distribution_that_loads_samples_quickly() {
    let mut numbers = vec![0.0, f64::from_bits(1), f64::MIN_POSITIVE, 0.5, 1.0 - f64::EPSILON, 1.0 + f64::EPSILON];
    numbers.extend([2.0 / 3.0, 2.0, 11.9999, 12.0, 1e15, f64::MAX / 2.0, f64::MAX]);
    numbers.extend((-300..=300).step_by(75).map(|exponent| 3.7 * 10f64.powi(exponent)));
    numbers.extend((-9..18).step_by(3).map(|exponent| 10f64.powi(exponent)));
    numbers.extend(numbers.clone().iter().map(|number| -number));
    let draws = Cell::new(0);
    let mut rng = Counting(StdRng::seed_from_u64(1), &draws);
    let mut loaded = 0;
    for &a in &numbers {
        for &b in &numbers {
            for dist in [
                DistType::Uniform { low: a, high: b },
                DistType::Normal { mean: a, stdev: b },
                DistType::SkewNormal { location: 1.0, scale: a, shape: b },
                DistType::LogNormal { mu: a, sigma: b },
                DistType::Binomial { trials: a as u64, probability: b },
                DistType::Geometric { probability: a },
                DistType::Pareto { scale: a, shape: b },
                DistType::Poisson { lambda: a },
                DistType::Weibull { scale: a, shape: b },
                DistType::Gamma { scale: a, shape: b },
                DistType::Beta { alpha: a, beta: b },
            ] {
                let timeout = Dist { dist, start: 0.0, max: 0.0 };
                if timeout.validate().is_err() {
                    continue;
                }
                let mut state = State::new(Default::default());
                state.action = Some(Action::SendPadding { bypass: false, replace: false, timeout, limit: None });
                if Machines::load(machine(vec![state]).serialize().as_bytes()).is_err() {
                    continue;
                }
                loaded += 1;
                for _ in 0..20 {
                    draws.set(0);
                    assert!(timeout.sample(&mut rng).is_finite());
                    assert!(draws.get() <= DRAWS_MAX, "{dist:?}: {} draws", draws.get());
                }
            }
        }
    }
    assert!(loaded > 5_000, "only {loaded}");
}

#[test]
fn an_event_makes_a_bounded_number_of_transitions() {
    const MACHINES: usize = 5;
    // One draw a sample, so that draws tell transitions: one for the state, five for distributions.
    let dist = |high| Dist { dist: DistType::Uniform { low: 0.0, high }, start: 0.0, max: 0.0 };
    let states = (0..3).map(|this| {
        let mut to = State::new(Default::default()).get_transitions();
        for &event in Event::iter() {
            to[event] = vec![Trans((this + 1) % 3, 0.4), Trans(this, 0.3), Trans(STATE_SIGNAL, 0.3)];
        }
        let mut state = State::new(to);
        let (bypass, replace) = (true, true);
        let (timeout, duration, limit) = (dist(9.0), dist(9.0), Some(dist(3.0)));
        state.action = Some(Action::BlockOutgoing { bypass, replace, timeout, duration, limit });
        let counter = Counter::new_dist(Operation::Set, dist(1.5));
        state.counter = (Some(counter), Some(counter));
        state
    });
    let text = machine(states.collect()).serialize();
    let machines = Machines::load([text.as_str(); MACHINES].join("\n").as_bytes()).unwrap();
    let (draws, start) = (Cell::new(0), Instant::now());
    let rng = Counting(StdRng::seed_from_u64(2), &draws);
    let mut framework = Framework::new(machines, 0.0, 0.0, start, rng).unwrap();
    let mut most = 0;
    for round in 0..60_000 {
        let machine = MachineId::from_raw(round % MACHINES);
        let event = match round % 4 {
            0 => TriggerEvent::NormalSent,
            1 => TriggerEvent::BlockingBegin { machine },
            2 => TriggerEvent::PaddingSent { machine },
            _ => TriggerEvent::BlockingEnd,
        };
        draws.set(0);
        framework.trigger_events(&[event], start + Duration::from_micros(round as u64)).count();
        most = most.max(draws.get());
    }
    let bound = (MACHINES + 1 + MACHINES + 2) as u64 * 6;
    assert!(most <= bound, "{most} draws, of at most {bound}");
    assert!(most > bound / 2, "{most} draws: the machine is not as hostile as it could be");
}
