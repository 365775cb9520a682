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
