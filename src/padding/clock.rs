//! Time and random numbers with the traits that maybenot asks for.

use crate::base::Nanos;
use maybenot::time;
use rand_core::RngCore;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// A point on the host's clock.
#[derive(Clone, Copy)]
pub struct Tick(pub Nanos);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
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

/// The random generator of one padder: a keyed hash over a counter. It is cryptographic, as an attacker who can predict
/// the next delay can tell padding from data. Each padder has its own key, so that the padding of a circuit does not
/// depend on other circuits. It takes 48 bytes; the buffer of a stream cipher would take half of a padder.
#[derive(Clone)]
pub struct Generator {
    key: Key,
    /// The counter: number of hashes made.
    hashed: u64,
    /// The bits of the last hash that were not drawn yet, lowest first.
    rest: u128,
    /// Number of 32-bit words in `rest`.
    words: u8,
}

/// The key of a generator.
pub type Key = [u64; 2];

/// Words of 32 bits in a hash.
const WORDS: u8 = 4;

impl Generator {
    /// A generator with a key.
    pub fn new(key: Key) -> Self {
        Generator { key, hashed: 0, rest: 0, words: 0 }
    }

    #[cold]
    #[inline(never)]
    fn hash(&mut self) {
        let [first, second] = self.key;
        let mut hash = SipHasher13::new_with_keys(first, second);
        hash.write_u64(self.hashed);
        self.hashed = self.hashed.wrapping_add(1);
        self.rest = hash.finish128().as_u128();
        self.words = WORDS;
    }
}

impl RngCore for Generator {
    #[inline]
    fn next_u32(&mut self) -> u32 {
        if self.words == 0 {
            self.hash();
        }
        let word = self.rest as u32;
        self.rest >>= 32;
        self.words -= 1;
        word
    }

    #[inline]
    fn next_u64(&mut self) -> u64 {
        if self.words < 2 {
            self.hash();
        }
        let word = self.rest as u64;
        self.rest >>= 64;
        self.words -= 2;
        word
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

/// Makes the keys of an engine's padders.
#[derive(Debug)]
pub struct Keys(Generator);

impl Keys {
    /// Derives the keys from the host's seed and the engine's number.
    pub fn new(seed: &[u8; 32], engine: u32) -> Self {
        // The first half of the seed also keys the hash of nonces, so a label keeps the two uses apart.
        let word = |at: usize| seed[at..].iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte));
        let mut hash = SipHasher13::new_with_keys(word(0), word(8));
        hash.write(&seed[16..]);
        hash.write(b"padding");
        hash.write(&engine.to_le_bytes());
        let both = hash.finish128();
        Keys(Generator::new([both.h1, both.h2]))
    }

    /// Returns the next key.
    pub fn draw(&mut self) -> Key {
        [self.0.next_u64(), self.0.next_u64()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_draws_each_bit_once_and_its_key_decides() {
        let (mut words, mut pairs) = (Generator::new([1, 2]), Generator::new([1, 2]));
        for _ in 0..9 {
            let (low, high) = (words.next_u32(), words.next_u32());
            assert_eq!(pairs.next_u64(), u64::from(high) << 32 | u64::from(low));
        }
        let mut bytes = [0; 13];
        words.fill_bytes(&mut bytes);
        assert_eq!(bytes[..8], pairs.next_u64().to_le_bytes());
        assert_eq!(bytes[8..], pairs.next_u64().to_le_bytes()[..5]);
        assert_ne!(Generator::new([1, 2]).next_u64(), Generator::new([1, 3]).next_u64());
    }

    #[test]
    fn bits_are_even_and_do_not_repeat() {
        let mut generator = Generator::new([7, 9]);
        let mut ones = [0_u32; 64];
        let drawn: std::collections::BTreeSet<u64> = (0..10_000)
            .map(|_| {
                let word = generator.next_u64();
                ones.iter_mut().enumerate().for_each(|(bit, count)| *count += (word >> bit & 1) as u32);
                word
            })
            .collect();
        assert_eq!(drawn.len(), 10_000);
        // Six standard deviations of a fair coin.
        assert!(ones.iter().all(|count| (4_700..5_300).contains(count)), "{ones:?}");
    }

    #[test]
    fn keys_follow_from_the_whole_seed() {
        let mut keys = Keys::new(&[0; 32], 1);
        let mut drawn = vec![keys.draw(), keys.draw(), Keys::new(&[0; 32], 2).draw()];
        for at in 0..32 {
            let mut seed = [0; 32];
            seed[at] = 1;
            drawn.push(Keys::new(&seed, 1).draw());
        }
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 35);
    }
}
