//! The worlds, in a fixed order with fixed seeds. They were written down before any new algorithm was measured; the
//! first of them, with the grid, before anything was.
//!
//! A world is never changed to suit an algorithm; others may be added at the end of a list.

use crate::rng::{mix, Rng};
use crate::world::{kbit, Change, Cross, Family, Leg, Shift, Work, World, KIB, MIB, MS, SECOND};
use circflow::base::Nanos;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// Some ten seconds for each algorithm at the most.
    Default,
    /// What the figures in the docs are made from.
    Full,
}

/// All worlds of a size. Those of the default one are a part of the full one, under the same names and seeds.
pub fn worlds(size: Size) -> Vec<World> {
    let mut list = List { worlds: Vec::new() };
    list.rows_of_the_demo();
    list.grid(size);
    list.small_and_large();
    list.triples();
    list.shared();
    list.other_work();
    list.changing();
    list.drawn(size);
    list.drawn_busy(size);
    list.drawn_changing(size);
    list.worlds
}

struct List {
    worlds: Vec<World>,
}

/// Round trips of two legs, in milliseconds.
const TRIPS: [(u64, u64); 4] = [(60, 60), (60, 300), (300, 60), (100, 800)];
const MORE_TRIPS: [(u64, u64); 6] = [(20, 20), (20, 1000), (1000, 20), (200, 200), (40, 120), (120, 40)];

/// Rates of two legs, in kbit/s: four classes of the faster one, and ratios of 1, 2, 4, and 16.
const RATES: [(u64, u64); 12] = [
    (40_000, 40_000),
    (40_000, 20_000),
    (40_000, 10_000),
    (40_000, 2_500),
    (8_000, 8_000),
    (8_000, 4_000),
    (8_000, 2_000),
    (8_000, 500),
    (2_000, 2_000),
    (2_000, 1_000),
    (2_000, 500),
    (2_000, 200),
];
const MORE_RATES: [(u64, u64); 8] = [
    (100_000, 100_000),
    (100_000, 25_000),
    (100_000, 5_000),
    (100_000, 1_000),
    (20_000, 15_000),
    (20_000, 400),
    (500, 500),
    (500, 200),
];

/// Deciles of the round trips of exit circuits, in milliseconds. The shape is approximate: from the second decile to
/// the ninth it is that of the 87 values which tornettools publishes for a small network that it has made after the
/// live one and run in Shadow (github.com/shadow/tornettools, .github/workflows/run_all_steps_output/tornet.plot.data/
/// round_trip_time.exit.json, 2d4744b8: 127 to 528 ms, median 350 ms). Both ends are wider here, by our own choice. The
/// live figures, to put in their place: metrics.torproject.org/onionperf-latencies.html.
const LIVE_TRIPS: [u64; 11] = [60, 164, 222, 291, 336, 350, 363, 383, 411, 466, 1000];

/// Deciles of what a circuit gets at its bottleneck, in kbit/s. Our own guess of the shape, without a source: the
/// median is of the order of the four values for 5 MiB in perfclient_goodput_5MiB.exit.json beside the above (4.7 to
/// 6.9 Mbit/s), and the ends are those of the grid. Live figures: metrics.torproject.org/onionperf-throughput.html.
const LIVE_RATES: [u64; 11] = [300, 1_200, 2_200, 3_400, 4_700, 6_500, 9_000, 13_000, 20_000, 36_000, 100_000];

impl List {
    fn add(&mut self, family: Family, kind: &str, legs: Vec<Leg>, changes: Vec<Change>, work: Work) {
        let of_legs: Vec<String> =
            legs.iter().map(|leg| format!("{}m{}k", leg.trip / MS, leg.down / kbit(1))).collect();
        let name = format!("{}/{kind}/{}/{}", family.name(), of_legs.join("+"), work.name());
        let seed = name.bytes().fold(14, |seed, byte| mix(seed ^ u64::from(byte)));
        assert!(self.worlds.iter().all(|world| world.name != name), "{name} is there twice");
        self.worlds.push(World { name, family, legs, changes, work, seed });
    }

    fn add_static(&mut self, kind: &str, legs: &[Leg], work: Work) {
        self.add(Family::Static, kind, legs.to_vec(), Vec::new(), work);
    }

    /// The five rows in which the demo was seen to be slower with two legs than with one.
    fn rows_of_the_demo(&mut self) {
        let rows = [
            (1, (20_000, 40), (1_000, 400)),
            (4, (20_000, 40), (1_000, 400)),
            (2, (20_000, 40), (2_000, 800)),
            (8, (10_000, 60), (500, 300)),
            (1, (50_000, 100), (1_000, 20)),
        ];
        for (size, (rate_a, trip_a), (rate_b, trip_b)) in rows {
            let legs = [Leg::new(trip_a, rate_a), Leg::new(trip_b, rate_b)];
            self.add_static("row", &legs, Work::Download(size * MIB));
        }
    }

    /// Each pair of round trips with each pair of rates.
    fn grid(&mut self, size: Size) {
        let downloads = [50 * KIB, MIB, 5 * MIB].map(Work::Download);
        let other = [Work::Upload(MIB), Work::Page(20), Work::Interactive(5 * MIB)];
        for (trips, rates) in [(&TRIPS[..], &RATES[..]), (&MORE_TRIPS, &RATES), (&TRIPS, &MORE_RATES)] {
            self.grid_of("pair", trips, rates, &downloads);
        }
        self.grid_of("pair", &MORE_TRIPS, &MORE_RATES, &downloads);
        self.grid_of("pair", &TRIPS, &RATES, &[Work::Download(50 * MIB)]);
        self.grid_of("other", &TRIPS, &RATES, &other);
        if size == Size::Full {
            let more = [&other[..], &[Work::Download(50 * MIB)]].concat();
            self.grid_of("other", &MORE_TRIPS, &RATES, &more);
            self.grid_of("other", &TRIPS, &MORE_RATES, &more);
        }
    }

    fn grid_of(&mut self, kind: &str, trips: &[(u64, u64)], rates: &[(u64, u64)], works: &[Work]) {
        for (at, &(trip_a, trip_b)) in trips.iter().enumerate() {
            for (row, &(rate_a, rate_b)) in rates.iter().enumerate() {
                let jitter = if (at + row) % 3 == 0 { trip_a.min(trip_b) * MS / 10 } else { 0 };
                let legs = [(trip_a, rate_a), (trip_b, rate_b)];
                let legs = legs.map(|(trip, rate)| Leg { jitter, ..Leg::new(trip, rate) });
                works.iter().for_each(|&work| self.add_static(kind, &legs, work));
            }
        }
    }

    fn small_and_large(&mut self) {
        let pairs = [
            [Leg::new(60, 20_000), Leg::new(60, 20_000)],
            [Leg::new(60, 20_000), Leg::new(300, 2_000)],
            [Leg::new(300, 20_000), Leg::new(60, 1_000)],
            [Leg::new(500, 5_000), Leg::new(100, 5_000)],
            [Leg::new(40, 2_000), Leg::new(800, 50_000)],
            [Leg::new(150, 1_000), Leg::new(250, 500)],
        ];
        for legs in &pairs {
            self.add_static("small", legs, Work::Download(50 * KIB));
            self.add_static("large", legs, Work::Download(50 * MIB));
        }
    }

    fn triples(&mut self) {
        for (trips, rates) in [
            ([80, 80, 80], [8_000, 8_000, 8_000]),
            ([40, 150, 600], [20_000, 8_000, 2_000]),
            ([600, 150, 40], [20_000, 8_000, 2_000]),
            ([100, 100, 400], [10_000, 10_000, 500]),
            ([50, 300, 300], [1_000, 10_000, 10_000]),
            ([200, 250, 300], [4_000, 3_000, 400]),
        ] {
            let leg = |index: usize| Leg::new(trips[index], rates[index]);
            let legs = [leg(0), leg(1), leg(2)];
            self.add_static("triple", &legs, Work::Download(MIB));
            self.add_static("triple", &legs, Work::Download(5 * MIB));
        }
    }

    /// Bottlenecks that other circuits share, that cross traffic fills now and then, and at the exit's own channel.
    fn shared(&mut self) {
        let cross = |share, on, off| Some(Cross { share, on: on * MS, off: off * MS });
        let rivals = |rivals, leg: Leg| Leg { rivals, ..leg };
        let crossed = |share, leg: Leg| Leg { cross: cross(share, 800, 1200), ..leg };
        let near = |leg: Leg| Leg { near: true, ..leg };
        let (quick, slow, far) = (Leg::new(60, 20_000), Leg::new(200, 4_000), Leg::new(600, 8_000));
        for (kind, legs) in [
            ("rivals", [rivals(1, quick), quick]),
            ("rivals", [rivals(2, quick), rivals(2, slow)]),
            ("rivals", [quick, rivals(3, slow)]),
            ("rivals", [rivals(3, quick), far]),
            ("cross", [crossed(600, quick), quick]),
            ("cross", [crossed(800, quick), crossed(500, slow)]),
            ("cross", [quick, crossed(900, slow)]),
            ("cross", [crossed(700, far), slow]),
            ("near", [near(quick), near(quick)]),
            ("near", [near(quick), near(slow)]),
            ("near", [near(slow), far]),
            ("near", [near(rivals(2, quick)), near(slow)]),
        ] {
            let number = self.worlds.iter().filter(|world| world.name.contains(kind)).count();
            self.add_static(&format!("{kind}{number}"), &legs, Work::Download(5 * MIB));
        }
    }

    fn other_work(&mut self) {
        let pairs = [
            [Leg::new(80, 10_000), Leg::new(80, 10_000)],
            [Leg::new(60, 20_000), Leg::new(400, 1_000)],
            [Leg::new(300, 10_000), Leg::new(80, 2_000)],
            [Leg::new(250, 3_000), Leg::new(350, 6_000)],
        ];
        for legs in &pairs {
            self.add_static("upload", legs, Work::Upload(MIB));
            self.add_static("page", legs, Work::Page(20));
            self.add_static("talk", legs, Work::Interactive(5 * MIB));
        }
        // Access links whose way up is slow.
        let legs = [(60, 20_000, 1_000), (120, 10_000, 500)]
            .map(|(trip, down, up)| Leg { up: kbit(up), ..Leg::new(trip, down) });
        self.add_static("thin-up", &legs, Work::Download(5 * MIB));
        self.add_static("thin-up", &legs, Work::Upload(MIB));
    }

    fn changing(&mut self) {
        let pairs = [
            [Leg::new(80, 10_000), Leg::new(80, 10_000)],
            [Leg::new(60, 20_000), Leg::new(300, 5_000)],
            [Leg::new(250, 8_000), Leg::new(120, 4_000)],
        ];
        let shifts: [(&str, usize, Shift); 10] = [
            ("slower", 0, Shift::Rate(100)),
            ("slower", 1, Shift::Rate(100)),
            ("faster", 1, Shift::Rate(4_000)),
            ("halved", 0, Shift::Rate(500)),
            ("farther", 0, Shift::Trip(4_000)),
            ("nearer", 1, Shift::Trip(300)),
            ("stall", 0, Shift::Stall(2 * SECOND)),
            ("stall", 1, Shift::Stall(4 * SECOND)),
            ("die", 0, Shift::Die),
            ("die", 1, Shift::Die),
        ];
        for legs in &pairs {
            for &(kind, leg, shift) in &shifts {
                // In the first half of a transfer over both legs at their full rates.
                let first = [Change { at: 900 * MS, leg, shift }];
                self.add_change(&format!("{kind}{leg}"), legs, &first, Work::Download(5 * MIB));
                let early = [Change { at: 250 * MS, leg, shift }];
                self.add_change(&format!("{kind}{leg}-early"), legs, &early, Work::Download(5 * MIB));
                self.add_change(&format!("{kind}{leg}-small"), legs, &early, Work::Download(MIB));
            }
            self.add_change("dip0", legs, &dip(0, 700 * MS, 2 * SECOND), Work::Download(5 * MIB));
            self.add_change("dip1", legs, &dip(1, 700 * MS, 2 * SECOND), Work::Download(5 * MIB));
            let cross_over: Vec<Change> = [(0, 150), (1, 2_500)]
                .map(|(leg, rate)| Change { at: 800 * MS, leg, shift: Shift::Rate(rate) })
                .to_vec();
            self.add_change("swap", legs, &cross_over, Work::Download(5 * MIB));
        }
    }

    fn add_change(&mut self, kind: &str, legs: &[Leg], changes: &[Change], work: Work) {
        self.add(Family::Changing, kind, legs.to_vec(), changes.to_vec(), work);
    }

    fn drawn(&mut self, size: Size) {
        let count = if size == Size::Full { 4000 } else { 400 };
        for number in 0..count {
            let mut rng = Rng::new(0xd0a7 + number);
            let legs = if number % 10 == 9 { 3 } else { 2 };
            let legs: Vec<Leg> = (0..legs).map(|_| draw_leg(&mut rng)).collect();
            let size = if number % 2 == 0 { MIB } else { 5 * MIB };
            self.add(Family::Drawn, &format!("n{number}"), legs, Vec::new(), Work::Download(size));
        }
    }

    /// Drawn legs that are shared, and other work on drawn legs.
    fn drawn_busy(&mut self, size: Size) {
        for number in 0..if size == Size::Full { 1200 } else { 120 } {
            let mut rng = Rng::new(0xb5e9 + number);
            let (kind, work) = match number % 6 {
                0 => ("rivals", Work::Download(MIB)),
                1 => ("rivals", Work::Download(5 * MIB)),
                2 => ("cross", Work::Download(5 * MIB)),
                3 => ("work", Work::Upload(MIB)),
                4 => ("work", Work::Page(rng.range(8, 40))),
                _ => ("work", Work::Interactive(5 * MIB)),
            };
            let mut legs = [draw_leg(&mut rng), draw_leg(&mut rng)];
            for leg in &mut legs {
                match kind {
                    "rivals" => leg.rivals = rng.below(4) as u32,
                    "cross" => leg.cross = draw_cross(&mut rng),
                    _ => {}
                }
            }
            self.add(Family::Drawn, &format!("{kind}{number}"), legs.to_vec(), Vec::new(), work);
        }
    }

    /// Drawn legs of which one changes while the transfer goes on.
    fn drawn_changing(&mut self, size: Size) {
        for number in 0..if size == Size::Full { 1500 } else { 150 } {
            let mut rng = Rng::new(0xc4a6 + number);
            let legs = [draw_leg(&mut rng), draw_leg(&mut rng)];
            let bytes = if number % 3 == 0 { MIB } else { 5 * MIB };
            let rates: u64 = legs.iter().map(|leg| leg.down).sum();
            let long = bytes * 8 * 1000 / (rates / 1000) * MS / 1000 + legs[0].trip + legs[1].trip;
            let (at, leg) = (rng.range(long / 10, long * 8 / 10), rng.below(2) as usize);
            let (kind, shift) = match number % 7 {
                0 | 1 => ("slower", Shift::Rate(rng.range(50, 600))),
                2 => ("faster", Shift::Rate(rng.range(1_500, 8_000))),
                3 => ("farther", Shift::Trip(rng.range(1_500, 5_000))),
                4 => ("nearer", Shift::Trip(rng.range(200, 700))),
                5 => ("stall", Shift::Stall(rng.range(300, 5_000) * MS)),
                _ => ("die", Shift::Die),
            };
            self.add_change(&format!("{kind}-n{number}"), &legs, &[Change { at, leg, shift }], Work::Download(bytes));
        }
    }
}

/// A leg is slow for a while.
fn dip(leg: usize, from: Nanos, long: Nanos) -> [Change; 2] {
    [(from, 100), (from + long, 1000)].map(|(at, rate)| Change { at, leg, shift: Shift::Rate(rate) })
}

fn draw_leg(rng: &mut Rng) -> Leg {
    let (trip, rate) = (rng.draw(&LIVE_TRIPS), rng.draw(&LIVE_RATES));
    let jitter = rng.below(trip / 8 + 1) * MS;
    Leg { jitter, ..Leg::new(trip, rate) }
}

/// None now and then.
fn draw_cross(rng: &mut Rng) -> Option<Cross> {
    let drawn = Cross { share: rng.range(200, 900), on: rng.range(200, 2_000) * MS, off: rng.range(200, 3_000) * MS };
    (rng.below(3) > 0).then_some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_of_the_default_size_are_among_the_full_ones() {
        let full = worlds(Size::Full);
        let few = worlds(Size::Default);
        assert!((900..2000).contains(&few.len()), "{}", few.len());
        assert!(few.iter().all(|world| full.contains(world)));
    }

    #[test]
    fn each_world_has_a_seed_of_its_own() {
        let all = worlds(Size::Full);
        let mut seeds: Vec<u64> = all.iter().map(|world| world.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), all.len());
    }
}
