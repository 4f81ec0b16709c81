//! The engine's clock and generator in the shapes that maybenot asks for.

use crate::base::Nanos;
use maybenot::time;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A point on the host's clock.
#[derive(Clone, Copy, Debug)]
pub struct Tick(pub Nanos);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Span(pub Nanos);

impl time::Instant for Tick {
    type Duration = Span;

    #[inline]
    fn saturating_duration_since(&self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl time::Duration for Span {
    #[inline]
    fn zero() -> Self {
        Span(0)
    }

    #[inline]
    fn from_micros(micros: u64) -> Self {
        Span(micros.saturating_mul(1000))
    }

    #[inline]
    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    #[inline]
    fn div_duration_f64(self, rhs: Self) -> f64 {
        self.0 as f64 / rhs.0 as f64
    }
}

impl std::ops::AddAssign for Span {
    #[inline]
    fn add_assign(&mut self, rhs: Self) {
        self.0 = self.0.saturating_add(rhs.0);
    }
}

/// What the machines of one padder draw from: a stream cipher, as whoever can tell the next delay can tell padding from
/// data, and a key of its own for each, so that one circuit's padding does not depend on what others do.
pub type Generator = ChaCha8Rng;

/// Where the keys of an engine's padders come from.
#[derive(Debug)]
pub struct Keys(Generator);

impl Keys {
    /// Keys that follow from the host's seed.
    pub fn new(seed: &[u8; 32]) -> Self {
        // The seed keys a hash elsewhere: what is drawn here shall not be.
        Keys(generator(seed.map(|byte| byte ^ 0x5a)))
    }

    /// The next one.
    pub fn draw(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.0.fill_bytes(&mut key);
        key
    }
}

/// The generator for the key.
pub fn generator(key: [u8; 32]) -> Generator {
    ChaCha8Rng::from_seed(key)
}
