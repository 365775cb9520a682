//! Remembers slow password checks that succeeded, so that a subscriber who logs in again costs no
//! second bcrypt. Holds keyed digests of what was stored and what was offered, never either of them;
//! a changed password has another digest. Failures are not remembered.

use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::engine::password::SlowCheck;
use crate::entropy::Entropy;

/// How long a success counts.
const LIFETIME: Duration = Duration::from_secs(600);
/// Successes remembered.
const MOST: usize = 100_000;

pub(super) struct Memo {
    key: [u8; 32],
    until: DashMap<[u8; 32], Instant>,
}

impl Memo {
    pub(super) fn new(entropy: &mut dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self { key, until: DashMap::new() }
    }

    /// Has this very check succeeded of late?
    pub(super) fn knows(&self, check: &SlowCheck, now: Instant) -> bool {
        self.until.get(&check.fingerprint(&self.key)).is_some_and(|until| now < *until)
    }

    /// Notes a success.
    pub(super) fn learn(&self, check: &SlowCheck, now: Instant) {
        if self.until.len() >= MOST {
            self.until.retain(|_, until| now < *until);
            if self.until.len() >= MOST {
                return;
            }
        }
        self.until.insert(check.fingerprint(&self.key), now + LIFETIME);
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").field("known", &self.until.len()).finish_non_exhaustive()
    }
}
