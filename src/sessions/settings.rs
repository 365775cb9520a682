//! What an operator may set about sessions.

use std::time::Duration;

use jiff::tz::TimeZone;

/// Settings of the session table.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A session is stale after this many of its own intervals without a sign of life.
    pub stale_intervals: u32,
    /// … but never before this.
    pub stale_min: Duration,
    /// … and always after this.
    pub stale_max: Duration,
    /// The interval of sessions that have not shown one yet: the Acct-Interim-Interval that Accepts
    /// carry. `None` where none is sent; such a session is stale after [`Self::stale_max`].
    pub expected_interval: Option<Duration>,
    /// A closed session stays this long, so that what is late or sent again finds it.
    pub tombstone: Duration,
    /// … and, once they have been closed for a minute, at most so many per subscriber, the newest.
    pub tombstones_max: usize,
    /// Usage by day is kept for so many days; what is older is added to the oldest of them.
    pub usage_days: u16,
    /// The zone whose midnights part the days of [`crate::domain::Day`].
    pub zone: TimeZone,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stale_intervals: 3,
            stale_min: Duration::from_mins(5),
            stale_max: Duration::from_hours(24),
            expected_interval: None,
            tombstone: Duration::from_mins(10),
            tombstones_max: 8,
            usage_days: 40,
            zone: TimeZone::UTC,
        }
    }
}

impl Settings {
    /// How long a session with this interval may be silent. 0 seconds: none was learned.
    pub(super) fn stale_after(&self, interval: u32) -> Duration {
        let interval = match interval {
            0 => self.expected_interval,
            seconds => Some(Duration::from_secs(seconds.into())),
        };
        match interval {
            Some(interval) => {
                interval.saturating_mul(self.stale_intervals).max(self.stale_min).min(self.stale_max)
            }
            None => self.stale_max,
        }
    }
}
