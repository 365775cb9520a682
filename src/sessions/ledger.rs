//! A subscriber's usage by day.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use smallvec::SmallVec;

use crate::domain::{Day, Usage};
use crate::time::UnixTime;

/// Buckets with absolute totals: everything, and the most recent days.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    lifetime: Usage,
    /// By day, no day twice.
    days: Vec<(Day, Usage)>,
}

impl Ledger {
    /// Goes on from what SQL holds, where that is more than what is known here.
    pub(super) fn continue_from(&mut self, buckets: impl IntoIterator<Item = (Day, Usage)>) {
        for (day, usage) in buckets {
            let bucket = self.bucket(day);
            *bucket = bucket.plus(usage.beyond(*bucket));
        }
    }

    /// Adds what was used between `from` and `to`. Days before `oldest` are added to it. Returns the
    /// first day that changed.
    pub(super) fn add(
        &mut self,
        used: Usage,
        from: UnixTime,
        to: UnixTime,
        oldest: Day,
        zone: &TimeZone,
    ) -> Day {
        self.lifetime = self.lifetime.plus(used);
        let mut first = Day(i32::MAX);
        for (day, part) in split(used, from, to, zone) {
            let day = day.max(oldest);
            first = first.min(day);
            let bucket = self.bucket(day);
            *bucket = bucket.plus(part);
        }
        self.days.retain(|(day, _)| *day >= oldest);
        first
    }

    /// The bucket of everything and those from `first` on.
    pub(super) fn since(&self, first: Day) -> SmallVec<[(Day, Usage); 2]> {
        let mut rows = SmallVec::new();
        rows.push((Day::LIFETIME, self.lifetime));
        rows.extend(self.days.iter().filter(|(day, _)| *day >= first).copied());
        rows
    }

    /// The bucket of everything.
    pub(super) const fn lifetime(&self) -> Usage {
        self.lifetime
    }

    /// The days, oldest first.
    pub(super) fn days(&self) -> &[(Day, Usage)] {
        &self.days
    }

    fn bucket(&mut self, day: Day) -> &mut Usage {
        if day == Day::LIFETIME {
            return &mut self.lifetime;
        }
        let place = match self.days.binary_search_by_key(&day, |(known, _)| *known) {
            Ok(place) => place,
            Err(place) => {
                if self.days.len() < 4 {
                    self.days.reserve_exact(1);
                }
                self.days.insert(place, (day, Usage::default()));
                place
            }
        };
        self.days.get_mut(place).map(|(_, usage)| usage).expect("found or just inserted")
    }
}

/// The day in `zone` that `time` is in.
#[must_use]
pub fn day_of(time: UnixTime, zone: &TimeZone) -> Day {
    let local = time.0.saturating_add(offset(time, zone));
    Day(i32::try_from(local.div_euclid(DAY)).unwrap_or(i32::MAX))
}

/// Seconds of a day without a change of the clocks.
const DAY: i64 = 86_400;

fn offset(time: UnixTime, zone: &TimeZone) -> i64 {
    zone.to_offset(timestamp(time)).seconds().into()
}

fn timestamp(time: UnixTime) -> Timestamp {
    // A day inside jiff's range, so that every zone can name it.
    let range = Timestamp::MIN.as_second() + 2 * DAY..=Timestamp::MAX.as_second() - 2 * DAY;
    Timestamp::from_second(time.0.clamp(*range.start(), *range.end())).expect("clamped to the range")
}

/// When the day after that of `time` begins.
fn next_midnight(time: UnixTime, zone: &TimeZone) -> UnixTime {
    let today = zone.to_datetime(timestamp(time)).date();
    let midnight = today
        .tomorrow()
        .and_then(|tomorrow| zone.to_timestamp(tomorrow.at(0, 0, 0, 0)))
        .map_or(time.0, Timestamp::as_second);
    // Where the clocks go back over midnight, the day seems to begin twice: never stand still.
    UnixTime(midnight.max(time.0.saturating_add(1)))
}

/// Parts `used` over the days between `from` and `to`, by time; the parts add up to `used`. Without
/// an interval all of it belongs to the day of `to`.
pub(super) fn split(
    used: Usage,
    from: UnixTime,
    to: UnixTime,
    zone: &TimeZone,
) -> SmallVec<[(Day, Usage); 2]> {
    let mut parts = SmallVec::new();
    let length = to.since(from);
    // What ends at midnight was used on the day before.
    let last = day_of(to.minus(u64::from(length > 0)), zone);
    if length == 0 || day_of(from, zone) == last {
        parts.push((last, used));
        return parts;
    }
    // What a part gets is the difference of two rounded sums, so nothing is lost to rounding.
    let until = |seconds: u64| {
        let share = |whole: u64| {
            let part = u128::from(whole) * u128::from(seconds.min(length)) / u128::from(length);
            u64::try_from(part).unwrap_or(whole)
        };
        Usage { seconds: share(used.seconds), input: share(used.input), output: share(used.output) }
    };
    let (mut begin, mut given) = (from, Usage::default());
    for _ in 0..DAYS_MAX {
        let end = next_midnight(begin, zone);
        if end >= to {
            break;
        }
        let sum = until(end.since(from));
        parts.push((day_of(begin, zone), sum.beyond(given)));
        (begin, given) = (end, sum);
    }
    parts.push((last.max(day_of(begin, zone)), used.beyond(given)));
    parts
}

/// No interval is parted into more days than this; the rest belongs to the last.
const DAYS_MAX: u32 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: i64 = 20_000 * DAY;

    fn usage(seconds: u64, input: u64, output: u64) -> Usage {
        Usage { seconds, input, output }
    }

    #[test]
    fn an_interval_over_midnight_is_split_by_time_and_the_parts_add_up() {
        let parts =
            split(usage(300, 1000, 7), UnixTime(MIDNIGHT - 100), UnixTime(MIDNIGHT + 200), &TimeZone::UTC);
        let expected = [(Day(19_999), usage(100, 333, 2)), (Day(20_000), usage(200, 667, 5))];
        assert_eq!(parts.as_slice(), expected);
    }

    #[test]
    fn what_ends_at_midnight_was_used_on_the_day_before() {
        let until_midnight = |from| split(usage(300, 1000, 7), from, UnixTime(MIDNIGHT), &TimeZone::UTC);
        assert_eq!(until_midnight(UnixTime(MIDNIGHT - 300)).as_slice(), [(Day(19_999), usage(300, 1000, 7))]);
        let two_days = until_midnight(UnixTime(MIDNIGHT - 2 * DAY));
        assert_eq!(
            two_days.as_slice(),
            [(Day(19_998), usage(150, 500, 3)), (Day(19_999), usage(150, 500, 4))]
        );
        let from_midnight =
            split(usage(300, 1000, 7), UnixTime(MIDNIGHT), UnixTime(MIDNIGHT + 300), &TimeZone::UTC);
        assert_eq!(from_midnight.as_slice(), [(Day(20_000), usage(300, 1000, 7))]);
    }

    #[test]
    fn days_begin_at_midnight_of_the_zone() {
        let zone = TimeZone::get("Asia/Tehran").unwrap();
        // 20:30 UTC is midnight in Tehran (+03:30).
        assert_eq!(day_of(UnixTime(MIDNIGHT + 20 * 3600 + 1799), &zone), Day(20_000));
        assert_eq!(day_of(UnixTime(MIDNIGHT + 20 * 3600 + 1800), &zone), Day(20_001));
    }

    #[test]
    fn a_day_of_25_hours_gets_25_hours() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // 2026-10-25: summer time ends. From the 24th 12:00 to the 26th 12:00 local are 49 hours.
        let from = zone.to_timestamp(jiff::civil::date(2026, 10, 24).at(12, 0, 0, 0)).unwrap();
        let to = zone.to_timestamp(jiff::civil::date(2026, 10, 26).at(12, 0, 0, 0)).unwrap();
        let parts =
            split(usage(49 * 3600, 49, 0), UnixTime(from.as_second()), UnixTime(to.as_second()), &zone);
        let seconds: Vec<_> = parts.iter().map(|(_, part)| (part.seconds / 3600, part.input)).collect();
        assert_eq!(seconds, [(12, 12), (25, 25), (12, 12)]);
    }

    #[test]
    fn times_at_the_end_of_the_world_do_no_harm() {
        for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MAX, i64::MAX), (-1, 0)] {
            let used = usage(u64::MAX, u64::MAX, 1);
            let parts = split(used, UnixTime(from), UnixTime(to), &TimeZone::UTC);
            let sum = parts.iter().fold(Usage::default(), |sum, (_, part)| sum.plus(*part));
            assert_eq!(sum, used);
        }
    }

    #[test]
    fn what_is_older_than_the_days_kept_is_added_to_the_oldest() {
        let mut ledger = Ledger::default();
        let first = ledger.add(
            usage(10 * 86_400, 100, 0),
            UnixTime(MIDNIGHT - 9 * DAY),
            UnixTime(MIDNIGHT + DAY - 1),
            Day(19_999),
            &TimeZone::UTC,
        );
        assert_eq!(first, Day(19_999));
        assert_eq!(ledger.days().len(), 2);
        let days = ledger.days().iter().fold(Usage::default(), |sum, (_, part)| sum.plus(*part));
        assert_eq!(days, ledger.lifetime());
    }
}
