//! Time as the rest of the crate sees it. Pure code receives a [`Now`]; only [`SystemClock`]
//! reads the clocks, and `clippy.toml` bans the calls elsewhere.

use std::time::{Duration, Instant};

/// Seconds since 1970-01-01 00:00 UTC, leap seconds not counted. For records, never for deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// This time moved `seconds` later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(seconds))
    }

    /// This time moved `seconds` earlier.
    #[must_use]
    pub const fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(seconds))
    }

    /// Seconds from `earlier` to this time; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        let seconds = self.0.saturating_sub(earlier.0);
        if seconds > 0 { seconds.unsigned_abs() } else { 0 }
    }
}

/// One reading of both clocks: `instant` for deadlines, `unix` for records. Never subtract one kind
/// from the other.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic: deadlines, latencies.
    pub instant: Instant,
    /// Wall clock: what is written down.
    pub unix: UnixTime,
}

impl Now {
    /// The same reading `by` later on both clocks; tests move time with it.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self { instant: self.instant + by, unix: self.unix.plus(by.as_secs()) }
    }
}

/// Where a shell gets its [`Now`] from.
pub trait Clock: Send + Sync {
    /// Reads both clocks once.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    fn now(&self) -> Now {
        let unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        Now { instant: Instant::now(), unix: UnixTime(unix) }
    }
}
