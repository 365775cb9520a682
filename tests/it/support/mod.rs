//! What several tests need.

pub(crate) mod databases;
pub(crate) mod embedded;
pub(crate) mod freeradius;
pub(crate) mod programs;
pub(crate) mod requests;
pub(crate) mod server;

use std::time::Duration;

use tollkeeper::time::{Clock as _, SystemClock};

/// The longest wait for something that must happen: generous, because only a failure waits for its end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `look` gives something, and fails after [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = SystemClock.now().instant;
    loop {
        if let Some(found) = look() {
            return found;
        }
        let waited = SystemClock.now().instant.saturating_duration_since(began);
        assert!(waited < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
