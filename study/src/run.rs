//! A world with each algorithm, and with each leg alone.

use crate::choices::{Choice, STOCK};
use crate::host::{DATA_MAX, HELD_COST};
use crate::link::CELL_BITS;
use crate::measure::{bound, quantile, Figures};
use crate::network::{run, Task};
use crate::row::{Row, Times};
use crate::world::{Change, Shift, Work, World, MS, SECOND};
use circflow::base::Nanos;

/// What is known of a world without any choice of legs.
struct Alone {
    /// Over each leg, with the world's own work.
    figures: Vec<Figures>,
    best: Option<usize>,
    bound: Option<Nanos>,
    told: Option<Nanos>,
}

pub fn rows(place: usize, world: &World, choices: &[Choice]) -> Vec<Row> {
    let alone = alone(world);
    choices.iter().map(|choice| row(place, world, choice, &alone)).collect()
}

fn alone(world: &World) -> Alone {
    let (mut figures, mut curves): (Vec<Figures>, Vec<(Nanos, Vec<Nanos>)>) = Default::default();
    let bulk = |total: u64| match world.work {
        Work::Upload(_) => Work::Upload(total),
        _ => Work::Download(total),
    };
    for leg in 0..world.legs.len() {
        let limit = limit_alone(world, leg);
        let legs = [leg];
        let of_leg =
            |work| run(world, &Task { algorithm: STOCK.algorithm, legs: &legs, work, limit, curve: true, looks: 0 });
        let own = of_leg(world.work);
        let full = if bulk(own.total) == world.work { own.clone() } else { of_leg(bulk(own.total)) };
        curves.push((full.asked.unwrap_or(Nanos::MAX), full.curve));
        figures.push(own);
    }
    let finished = |leg: &usize| figures[*leg].last.is_some();
    let best = (0..figures.len()).filter(finished).min_by_key(|&leg| figures[leg].last);
    let bound = bound(&curves, cells(world, figures[0].total));
    let told = bound.map(|bound| told(world, bound, &curves));
    Alone { figures, best, bound, told }
}

/// When a sender can be done who knows all but what is going to change. What was on its way when a leg got worse has to
/// arrive over that leg; what gets better is used a round trip later.
fn told(world: &World, bound: Nanos, curves: &[(Nanos, Vec<Nanos>)]) -> Nanos {
    let of_change = |change: &Change| {
        let (leg, curve) = (world.legs[change.leg], &curves[change.leg].1);
        let worse = match change.shift {
            Shift::Rate(thousandths) => thousandths < 1000,
            Shift::Trip(thousandths) => thousandths > 1000,
            Shift::Stall(_) | Shift::Die => true,
        };
        if change.at >= bound {
            return bound;
        }
        if !worse {
            return bound + leg.trip;
        }
        let there = curve.partition_point(|&at| at <= change.at);
        let in_flight = (world.rate(change.leg) * leg.trip / SECOND / CELL_BITS) as usize;
        curve.get(there + in_flight).or(curve.last()).map_or(bound, |&at| bound.max(at))
    };
    world.changes.iter().map(of_change).max().unwrap_or(bound)
}

fn cells(world: &World, bytes: u64) -> usize {
    match world.work {
        // Each stream ends with a cell of its own, and the bound need not know how full it is.
        Work::Page(_) => (bytes / DATA_MAX) as usize,
        _ => bytes.div_ceil(DATA_MAX) as usize,
    }
}

/// Ten times as long as a leg needs by its rate at first, and a minute.
fn limit_alone(world: &World, leg: usize) -> Nanos {
    let bytes = match world.work {
        Work::Download(bytes) | Work::Upload(bytes) | Work::Interactive(bytes) => bytes,
        Work::Page(streams) => streams << 17,
    };
    60 * SECOND + 10 * (bytes / DATA_MAX + 1) * (CELL_BITS * SECOND / world.rate(leg))
}

fn row(place: usize, world: &World, choice: &Choice, alone: &Alone) -> Row {
    let legs: Vec<usize> = (0..world.legs.len()).collect();
    let slowest = alone.figures.iter().filter_map(|figures| figures.last).max().unwrap_or(0);
    let task = Task {
        algorithm: choice.algorithm,
        legs: &legs,
        work: world.work,
        limit: 60 * SECOND + 10 * slowest,
        curve: false,
        looks: 0,
    };
    let figures = run(world, &task);
    let best = alone.best.map(|leg| &alone.figures[leg]);
    let near = (0..world.legs.len()).min_by_key(|&leg| world.legs[leg].trip);
    let fast = (0..world.legs.len()).max_by_key(|&leg| world.rate(leg));
    let trips = || world.legs.iter().map(|leg| leg.trip);
    let rates = || (0..world.legs.len()).map(|leg| world.rate(leg));
    let ratio = |most: Option<u64>, least: Option<u64>| most.unwrap_or(0) * 1000 / least.unwrap_or(1).max(1);
    let (peak, p95) = (figures.held.peak as u64, figures.held.quantile(95) as u64);
    Row {
        place: place as u64,
        world: world.name.clone(),
        family: world.family.name().to_owned(),
        work: world.work.name(),
        algorithm: choice.name.to_owned(),
        seed: world.seed,
        legs: world.legs.len() as u64,
        bytes: figures.total,
        rates: world.rates(),
        rate_ratio: ratio(rates().max(), rates().min()),
        trip_ratio: ratio(trips().max(), trips().min()),
        trip_us: trips().max().unwrap_or(0) / 1000,
        fast_is_near: fast.is_some_and(|leg| trips().max() != Some(world.legs[leg].trip)),
        alones_us: Times(alone.figures.iter().map(|figures| micros(figures.last)).collect()),
        alone_us: best.and_then(|best| micros(best.last)),
        alone_near_us: near.and_then(|leg| micros(alone.figures[leg].last)),
        bound_us: micros(alone.bound),
        told_us: micros(alone.told),
        first_us: micros(figures.first),
        last_us: micros(figures.last),
        died: figures.died,
        switches: figures.switches,
        data: figures.data,
        held_peak: peak,
        held_p95: p95,
        held_peak_bytes: peak * u64::from(HELD_COST),
        held_p95_bytes: p95 * u64::from(HELD_COST),
        rivals: rivals(&figures),
        rivals_alone: best.map_or(0, rivals),
        talk_p50_us: delay(&figures, 50),
        talk_p95_us: delay(&figures, 95),
        talk_alone_p95_us: best.and_then(|best| delay(best, 95)),
    }
}

/// How the legs are in a world while an algorithm runs, every so many milliseconds.
pub fn look(world: &World, choice: &Choice, every_ms: u64) -> String {
    let legs: Vec<usize> = (0..world.legs.len()).collect();
    let limit = legs.iter().map(|&leg| limit_alone(world, leg)).max().unwrap_or(0);
    let looks = every_ms.max(1) * MS;
    let task = Task { algorithm: choice.algorithm, legs: &legs, work: world.work, limit, curve: false, looks };
    let mut text = String::from("ms,got_bytes,held,leg,sent,inflight,cwnd,rtt_ms,queue\n");
    for look in run(world, &task).looks {
        for leg in &look.legs {
            let (ms, rtt) = (look.at / MS, leg.rtt as f64 / MS as f64);
            let (sent, inflight, cwnd, queue) = (leg.sent, leg.inflight, leg.cwnd, leg.queue);
            let of_leg = format!("{},{sent},{inflight},{cwnd},{rtt:.1},{queue}", leg.leg);
            text += &format!("{ms},{},{},{of_leg}\n", look.got, look.held);
        }
    }
    text
}

fn micros(time: Option<Nanos>) -> Option<u64> {
    time.map(|time| time / 1000)
}

fn rivals(figures: &Figures) -> u64 {
    let bits = u128::from(figures.rival_bytes) * 8 * u128::from(SECOND);
    (bits / u128::from(figures.took.max(1))) as u64
}

fn delay(figures: &Figures, hundredths: usize) -> Option<u64> {
    let mut delays = figures.delays.clone();
    delays.sort_unstable();
    micros(quantile(&delays, hundredths))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::CHOICES;
    use crate::worlds::{worlds, Size};

    fn world(kind: &str) -> World {
        worlds(Size::Default).into_iter().find(|world| world.name.contains(kind)).expect("there is such a world")
    }

    #[test]
    fn the_same_world_says_the_same() {
        for kind in ["row", "rivals", "cross", "near", "triple", "page", "talk", "upload", "dip", "die", "drawn/n9"] {
            let world = world(kind);
            let lines = || rows(0, &world, &CHOICES).iter().map(Row::line).collect::<Vec<_>>();
            assert_eq!(lines(), lines(), "{kind}");
        }
    }

    #[test]
    fn two_equal_legs_have_a_bound_of_about_half_the_time() {
        let world = world("static/pair/60m8000k+60m8000k/5M");
        let row = &rows(0, &world, &CHOICES[..1])[0];
        let (bound, alone) = (row.bound_us.unwrap() as f64, row.alone_us.unwrap() as f64);
        assert!((0.48..0.56).contains(&(bound / alone)), "{bound} {alone}");
        assert!(row.last_us.unwrap() as f64 >= 0.98 * bound);
    }

    #[test]
    fn one_leg_alone_is_as_quick_as_its_rate() {
        let world = world("static/row/60m10000k+300m500k/8M");
        let alone = alone(&world);
        let ideal = 8_388_608 / 498 * CELL_BITS * 100;
        let last = alone.figures[0].last.unwrap();
        assert!((ideal..ideal + ideal / 10).contains(&last), "{last} {ideal}");
    }
}
