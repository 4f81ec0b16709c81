//! Time cut into buckets, and what is counted or measured in each: constant memory, whatever the number of events.

use std::collections::BTreeMap;

/// No bucket is shorter, in ns: pages have times in µs.
const WIDTH_MIN: u64 = 1000;

/// The buckets of one section of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axis {
    /// When the first bucket begins, in ns of the engine's clock.
    pub from: u64,
    /// The width of each, in ns: 1, 2 or 5 times a power of ten.
    pub width: u64,
    pub count: usize,
}

impl Axis {
    /// At most `most` buckets from `first` to `last`. They begin at multiples of their width after `zero`.
    pub fn new(zero: u64, first: u64, last: u64, most: usize) -> Axis {
        let (most, mut width) = (most.max(1), WIDTH_MIN);
        let mut factors = [2, 5, 10].into_iter().cycle();
        loop {
            let axis = Axis::of_width(zero, first, last, width);
            if axis.count <= most || width == u64::MAX {
                return Axis { count: axis.count.min(most), ..axis };
            }
            width = 10u64.saturating_pow(width.ilog10()).saturating_mul(factors.next().unwrap_or(10));
        }
    }

    fn of_width(zero: u64, first: u64, last: u64, width: u64) -> Axis {
        let from = zero + (first.saturating_sub(zero) / width) * width;
        let count = last.saturating_sub(from) / width + 1;
        Axis { from, width, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    /// The bucket of a time. One outside belongs to the nearest.
    #[inline]
    pub fn index(&self, time: u64) -> usize {
        ((time.saturating_sub(self.from) / self.width) as usize).min(self.count - 1)
    }
}

/// How many, in each bucket.
#[derive(Clone, Default, Debug)]
pub struct Count {
    buckets: Vec<u64>,
    pub total: u64,
}

impl Count {
    #[inline]
    pub fn add(&mut self, axis: &Axis, time: u64) {
        if self.buckets.is_empty() {
            self.buckets = vec![0; axis.count];
        }
        self.buckets[axis.index(time)] += 1;
        self.total += 1;
    }

    pub fn values(&self, axis: &Axis) -> Vec<Option<u64>> {
        (0..axis.count).map(|at| Some(self.buckets.get(at).copied().unwrap_or(0))).collect()
    }

    /// The buckets that have any, with how many.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.buckets.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }
}

/// A figure that goes up and down: smallest, largest, mean and last of each bucket.
#[derive(Clone, Default, Debug)]
pub struct Gauge {
    buckets: Vec<Measured>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Measured {
    times: u64,
    sum: u64,
    min: u64,
    max: u64,
    last: u64,
}

/// What the buckets of a gauge have. None where nothing was measured.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Measures {
    pub mean: Vec<Option<u64>>,
    pub min: Vec<Option<u64>>,
    pub max: Vec<Option<u64>>,
    pub last: Vec<Option<u64>>,
}

impl Gauge {
    #[inline]
    pub fn set(&mut self, axis: &Axis, time: u64, value: u64) {
        if self.buckets.is_empty() {
            self.buckets = vec![Measured::default(); axis.count];
        }
        let bucket = &mut self.buckets[axis.index(time)];
        let is_first = bucket.times == 0;
        bucket.times += 1;
        bucket.sum = bucket.sum.saturating_add(value);
        bucket.min = if is_first { value } else { bucket.min.min(value) };
        bucket.max = bucket.max.max(value);
        bucket.last = value;
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How many buckets have anything.
    pub fn filled(&self) -> usize {
        self.buckets.iter().filter(|bucket| bucket.times > 0).count()
    }

    /// The figures, each divided by `unit`.
    pub fn measures(&self, unit: u64) -> Measures {
        let of = |value: &dyn Fn(&Measured) -> u64| {
            self.buckets.iter().map(|bucket| (bucket.times > 0).then(|| value(bucket) / unit)).collect()
        };
        Measures {
            mean: of(&|bucket| bucket.sum / bucket.times),
            min: of(&|bucket| bucket.min),
            max: of(&|bucket| bucket.max),
            last: of(&|bucket| bucket.last),
        }
    }

    /// The largest of each bucket, of a figure that stays as it is until it is set again.
    pub fn highest(&self) -> Vec<Option<u64>> {
        let mut before = None;
        let values = self.buckets.iter().map(|bucket| {
            let highest = if bucket.times > 0 { Some(bucket.max.max(before.unwrap_or(0))) } else { before };
            before = if bucket.times > 0 { Some(bucket.last) } else { before };
            highest
        });
        values.collect()
    }

    /// The last of each bucket, of such a figure.
    pub fn lasting(&self) -> Vec<Option<u64>> {
        let mut before = None;
        let values = self.buckets.iter().map(|bucket| {
            before = if bucket.times > 0 { Some(bucket.last) } else { before };
            before
        });
        values.collect()
    }
}

/// From, to, and for how long of that it was so, in ns.
pub type Span = (u64, u64, u64);

/// Short spans that follow each other are drawn as one, up to so many buckets.
const JOINED_MAX: u64 = 10;

/// Times during which something is so. Those nearer to each other than a bucket are drawn as one, which knows how much of
/// it was so; the total is exact.
#[derive(Clone, Default, Debug)]
pub struct Spans {
    since: Option<u64>,
    list: Vec<Span>,
    /// How long in all, in ns.
    pub total: u64,
    /// How often.
    pub times: u64,
}

impl Spans {
    /// It is so from now on. Nothing changes when it was so before.
    pub fn begin(&mut self, time: u64) {
        if self.since.is_none() {
            self.since = Some(time);
            self.times += 1;
        }
    }

    pub fn end(&mut self, axis: &Axis, time: u64) {
        let Some(since) = self.since.take() else { return };
        let until = time.max(since);
        self.total = self.total.saturating_add(until - since);
        match self.list.last_mut() {
            Some((first, last, whole))
                if since < last.saturating_add(axis.width)
                    && until.saturating_sub(*first) <= JOINED_MAX.saturating_mul(axis.width) =>
            {
                (*last, *whole) = (until.max(*last), whole.saturating_add(until - since));
            }
            _ => self.list.push((since, until, until - since)),
        }
    }

    /// All of them, when nothing more comes.
    pub fn finish(&mut self, axis: &Axis, time: u64) -> &[Span] {
        self.end(axis, time);
        &self.list
    }
}

/// What something is in turn: of some states always one at most.
#[derive(Clone, Default, Debug)]
pub struct States {
    now: Option<u32>,
    states: BTreeMap<u32, Spans>,
}

/// More states than this are not told apart.
const STATES_MAX: usize = 64;

impl States {
    /// It is in this state from now on; None: in none worth drawing.
    pub fn enter(&mut self, axis: &Axis, time: u64, state: Option<u32>) {
        if self.now == state {
            return;
        }
        if let Some(before) = self.now.and_then(|now| self.states.get_mut(&now)) {
            before.end(axis, time);
        }
        self.now = state;
        if let Some(state) = state {
            if self.states.len() < STATES_MAX || self.states.contains_key(&state) {
                self.states.entry(state).or_default().begin(time);
            }
        }
    }

    /// The state now.
    pub fn now(&self) -> Option<u32> {
        self.now
    }

    /// Spans by state, when nothing more comes.
    pub fn finish(&mut self, axis: &Axis, time: u64) -> &BTreeMap<u32, Spans> {
        self.enter(axis, time, None);
        &self.states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the last bucket ends.
    fn end(axis: &Axis) -> u64 {
        axis.from.saturating_add(axis.width.saturating_mul(axis.count as u64))
    }

    #[test]
    fn an_axis_has_round_buckets_and_never_too_many() {
        let axis = Axis::new(100, 100, 100, 2000);
        assert_eq!(axis, Axis { from: 100, width: 1000, count: 1 });
        let axis = Axis::new(0, 0, 10_000_000_000, 2000);
        assert_eq!(axis, Axis { from: 0, width: 10_000_000, count: 1001 });
        let axis = Axis::new(7, 1_000_000_007, 3_000_000_006, 2000);
        assert_eq!(axis, Axis { from: 1_000_000_007, width: 1_000_000, count: 2000 });
        assert_eq!(end(&axis), 3_000_000_007);
        for most in [1, 2, 3, 10, 1999] {
            let axis = Axis::new(5, 123, u64::MAX / 3, most);
            assert!(axis.count <= most && axis.from <= 123 && end(&axis) > u64::MAX / 3, "{most}: {axis:?}");
        }
        assert!(Axis::new(0, 0, u64::MAX, 1).count <= 1);
    }

    #[test]
    fn a_time_falls_into_its_bucket_and_one_outside_into_the_nearest() {
        let axis = Axis { from: 1000, width: 100, count: 3 };
        let expected = [(0, 0), (1000, 0), (1099, 0), (1100, 1), (1299, 2), (1300, 2), (u64::MAX, 2)];
        for (time, index) in expected {
            assert_eq!(axis.index(time), index, "{time}");
        }
    }

    #[test]
    fn counts_and_gauges_have_the_figures_of_each_bucket() {
        let axis = Axis { from: 0, width: 10, count: 4 };
        let (mut count, mut gauge) = (Count::default(), Gauge::default());
        assert_eq!(count.values(&axis), [Some(0); 4]);
        for (time, value) in [(0, 5), (9, 1), (9, 3), (31, 7)] {
            count.add(&axis, time);
            gauge.set(&axis, time, value);
        }
        assert_eq!(count.values(&axis), [Some(3), Some(0), Some(0), Some(1)]);
        assert_eq!(count.filled().collect::<Vec<_>>(), [(0, 3), (3, 1)]);
        let measures = gauge.measures(1);
        assert_eq!(measures.mean, [Some(3), None, None, Some(7)]);
        assert_eq!(measures.min, [Some(1), None, None, Some(7)]);
        assert_eq!(measures.max, [Some(5), None, None, Some(7)]);
        assert_eq!(measures.last, [Some(3), None, None, Some(7)]);
        assert_eq!(gauge.filled(), 2);
        assert_eq!(gauge.highest(), [Some(5), Some(3), Some(3), Some(7)]);
        assert_eq!(gauge.lasting(), [Some(3), Some(3), Some(3), Some(7)]);
    }

    #[test]
    fn spans_that_are_near_are_drawn_as_one_and_counted_apart() {
        let axis = Axis { from: 0, width: 100, count: 10 };
        let mut spans = Spans::default();
        for (from, to) in [(10, 20), (119, 130), (230, 240), (900, 900)] {
            spans.begin(from);
            spans.begin(from + 1);
            spans.end(&axis, to);
            spans.end(&axis, to + 1);
        }
        spans.begin(950);
        assert_eq!(spans.finish(&axis, 1000), [(10, 130, 21), (230, 240, 10), (900, 1000, 50)]);
        assert_eq!((spans.total, spans.times), (10 + 11 + 10 + 50, 5));
    }

    #[test]
    fn many_short_spans_are_few_to_draw() {
        let axis = Axis { from: 0, width: 100, count: 100 };
        let mut spans = Spans::default();
        for at in 0..10_000 {
            spans.begin(at);
            spans.end(&axis, at + at % 2);
        }
        let drawn = spans.finish(&axis, 10_000).to_vec();
        assert_eq!((drawn.len(), drawn[0]), (10, (0, 1000, 500)));
        assert_eq!(drawn.iter().map(|(_, _, whole)| whole).sum::<u64>(), spans.total);
    }

    #[test]
    fn states_take_turns() {
        let axis = Axis { from: 0, width: 1, count: 100 };
        let mut states = States::default();
        for (time, state) in [(5, Some(1)), (7, Some(1)), (10, Some(2)), (20, None), (30, Some(1))] {
            states.enter(&axis, time, state);
        }
        assert_eq!(states.now(), Some(1));
        let spans = states.finish(&axis, 40);
        assert_eq!(spans[&1].list, [(5, 10, 5), (30, 40, 10)]);
        assert_eq!(spans[&2].list, [(10, 20, 10)]);
    }
}
