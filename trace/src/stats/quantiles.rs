//! The spread of many numbers, in little memory.

use serde::Serialize;

/// So many numbers are kept as they are; of more than that, only the bucket of each is kept.
const EXACT_MAX: usize = 1 << 16;
/// Buckets to a doubling: what a bucket stands for is wrong by 0.2 % at most.
const FINE: u64 = 256;

/// Numbers, of which the smallest, the largest, the mean and quantiles are wanted.
#[derive(Default)]
pub struct Quantiles {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    exact: Vec<u64>,
    buckets: Vec<u64>,
}

/// What is told of them.
#[derive(Clone, Copy, Serialize, PartialEq, Debug)]
pub struct Spread {
    pub count: u64,
    pub min: u64,
    pub median: u64,
    pub p95: u64,
    pub max: u64,
    pub mean: f64,
    pub sum: u128,
}

impl Quantiles {
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += u128::from(value);
        if !self.buckets.is_empty() {
            self.bucket(value);
        } else if self.exact.len() < EXACT_MAX {
            self.exact.push(value);
        } else {
            for kept in std::mem::take(&mut self.exact) {
                self.bucket(kept);
            }
            self.bucket(value);
        }
    }

    fn bucket(&mut self, value: u64) {
        let at = bucket_of(value);
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] += 1;
    }

    /// None without a number.
    pub fn spread(&self) -> Option<Spread> {
        if self.count == 0 {
            return None;
        }
        let mut sorted = self.exact.clone();
        sorted.sort_unstable();
        let quantile = |percent: u64| {
            // The smallest number that so many percent do not exceed.
            let rank = (self.count * percent).div_ceil(100).max(1);
            let value = match sorted.get(rank as usize - 1) {
                Some(&value) => value,
                None => self.in_buckets(rank),
            };
            value.clamp(self.min, self.max)
        };
        Some(Spread {
            count: self.count,
            min: self.min,
            median: quantile(50),
            p95: quantile(95),
            max: self.max,
            mean: self.sum as f64 / self.count as f64,
            sum: self.sum,
        })
    }

    fn in_buckets(&self, rank: u64) -> u64 {
        let mut seen = 0;
        let found = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= rank
        });
        found.map_or(self.max, middle_of)
    }
}

fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(FINE.trailing_zeros() + 1);
    (u64::from(shift) * FINE + (value >> shift)) as usize
}

/// The number in the middle of a bucket.
fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / FINE).saturating_sub(1);
    let low = (bucket - shift * FINE) << shift;
    low + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_exact() {
        let mut some = Quantiles::default();
        assert_eq!(some.spread(), None);
        for value in (1..=100).rev() {
            some.add(value);
        }
        let spread = some.spread().unwrap();
        assert_eq!((spread.count, spread.min, spread.median, spread.p95, spread.max), (100, 1, 50, 95, 100));
        assert_eq!((spread.mean, spread.sum), (50.5, 5050));
        let mut one = Quantiles::default();
        one.add(7);
        assert_eq!(one.spread().map(|spread| (spread.median, spread.p95)), Some((7, 7)));
    }

    #[test]
    fn many_numbers_are_near() {
        let mut many = Quantiles::default();
        let count = 4 * EXACT_MAX as u64;
        for value in 0..count {
            many.add(value * 1_000_003);
        }
        let spread = many.spread().unwrap();
        assert_eq!((spread.count, spread.min, spread.max), (count, 0, (count - 1) * 1_000_003));
        for (found, part) in [(spread.median, 0.5), (spread.p95, 0.95)] {
            let expected = count as f64 * part * 1_000_003.0;
            assert!((found as f64 / expected - 1.0).abs() < 0.003, "{found} {expected}");
        }
    }

    #[test]
    fn each_number_has_a_bucket_near_it() {
        for value in (0..1 << 12).chain([u64::MAX, u64::MAX / 2, 1 << 40]) {
            let middle = middle_of(bucket_of(value));
            assert!(middle.abs_diff(value) as f64 <= value as f64 / 500.0 + 0.5, "{value} {middle}");
        }
        let buckets: Vec<usize> = (0..1 << 14).map(bucket_of).collect();
        assert!(buckets.is_sorted() && buckets.windows(2).all(|pair| pair[1] - pair[0] <= 1));
    }
}
