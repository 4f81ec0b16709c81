//! SplitMix64: the same numbers from the same seed, on every machine.

use circflow::base::Nanos;

#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(mix(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A value of a distribution that is given by its eleven deciles, straight lines between them.
    pub fn draw(&mut self, deciles: &[u64; 11]) -> u64 {
        let at = self.below(10_000);
        let (lower, upper) = (deciles[(at / 1000) as usize], deciles[(at / 1000) as usize + 1]);
        lower + (upper - lower) * (at % 1000) / 1000
    }
}

/// Spreads what two numbers differ in over all bits.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Noise from 0 to `most` that depends on the time alone, not on what was sent: all algorithms meet the same.
pub fn noise(seed: u64, now: Nanos, step: Nanos, most: Nanos) -> Nanos {
    if most == 0 {
        return 0;
    }
    let (step_number, into) = (now / step, now % step);
    let level = |number: u64| mix(seed ^ mix(number)) % (most + 1);
    // A straight line from one level to the next, as queues of others do not jump.
    let (from, to) = (level(step_number) as i128, level(step_number + 1) as i128);
    (from + (to - from) * i128::from(into) / i128::from(step)) as Nanos
}
