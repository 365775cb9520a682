//! How often something happens in a minute.

use std::time::{Duration, Instant};

/// How often something has happened in the minute after the first time. Then it begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    since: Option<Instant>,
    count: u32,
}

/// The time that is counted over.
const MINUTE: Duration = Duration::from_mins(1);

impl Tally {
    /// It has happened once more.
    pub fn add(&mut self, now: Instant) {
        if self.is_over(now) {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }

    /// How often it has happened; 0 once the minute is over.
    #[must_use]
    pub fn count(&self, now: Instant) -> u32 {
        if self.is_over(now) { 0 } else { self.count }
    }

    /// Is there nothing to remember any more?
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Clock as _, SystemClock};

    #[test]
    fn a_minute_begins_with_the_first_and_ends_for_all() {
        let start = SystemClock.now().instant;
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut tally = Tally::default();
        assert_eq!((tally.count(start), tally.is_over(start)), (0, true));
        tally.add(start);
        tally.add(after(59));
        assert_eq!((tally.count(after(59)), tally.count(after(60))), (2, 0));
        tally.add(after(61));
        assert_eq!((tally.count(after(61)), tally.is_over(after(120))), (1, false));
    }
}
