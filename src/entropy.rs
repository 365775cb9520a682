//! Randomness as the rest of the crate sees it: State, challenges, salts, Request Authenticators.

use rand::{Rng as _, SeedableRng as _};

/// A source of octets that an attacker cannot predict. Tests use [`SeededEntropy`].
pub trait Entropy {
    /// Fills the whole of `out`.
    fn fill(&mut self, out: &mut [u8]);

    /// Eight octets as a number.
    fn number(&mut self) -> u64 {
        let mut octets = [0; 8];
        self.fill(&mut octets);
        u64::from_le_bytes(octets)
    }
}

/// A ChaCha generator of this thread, seeded and reseeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        rand::rng().fill_bytes(out);
    }
}

/// Repeatable octets for tests and simulation; a failing run prints its seed.
#[derive(Debug)]
pub struct SeededEntropy(rand::rngs::StdRng);

impl SeededEntropy {
    /// The generator that always gives the same octets for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(rand::rngs::StdRng::seed_from_u64(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sa_14_octets_of_the_system_do_not_repeat_and_lean_nowhere() {
        const DRAWS: u32 = 10_000;
        let mut seen = HashSet::new();
        let mut ones = [0_u32; 128];
        for _ in 0..DRAWS {
            let mut octets = [0; 16];
            SystemEntropy.fill(&mut octets);
            let number = u128::from_be_bytes(octets);
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from((number >> bit) & 1 == 1);
            }
            assert!(seen.insert(octets), "{octets:?} twice");
        }
        // Half of them, within eight standard deviations of 50.
        for (bit, count) in ones.iter().enumerate() {
            assert!(count.abs_diff(DRAWS / 2) < 400, "bit {bit} was set {count} times");
        }
    }

    #[test]
    fn a_seed_gives_the_same_octets_again() {
        let draw = |seed| SeededEntropy::new(seed).number();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
