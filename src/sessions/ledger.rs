//! A subscriber's usage by day.

use jiff::Timestamp;
use jiff::civil::Date;
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

    /// Adds what was used between `from` and `to`. Days before `oldest` are added to it. Returns what
    /// was added to which day.
    pub(super) fn add(
        &mut self,
        used: Usage,
        from: UnixTime,
        to: UnixTime,
        oldest: Day,
        zone: &TimeZone,
    ) -> SmallVec<[(Day, Usage); 1]> {
        self.lifetime = self.lifetime.plus(used);
        let mut parts = split(used, from, to, zone);
        for (day, part) in &mut parts {
            *day = oldest.max(*day);
            let bucket = self.bucket(*day);
            *bucket = bucket.plus(*part);
        }
        self.days.retain(|(day, _)| *day >= oldest);
        parts
    }

    /// What was used from one day on until before another.
    pub(super) fn within(&self, days: std::ops::Range<Day>) -> Usage {
        let begun = self.days.partition_point(|(day, _)| *day < days.start);
        let within = self.days.iter().skip(begun).take_while(|(day, _)| *day < days.end);
        within.fold(Usage::default(), |sum, (_, used)| sum.plus(*used))
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

/// The day in `zone` that `time` is in: the one day that has begun ([`day_start`]) while the next has not.
#[must_use]
pub fn day_of(time: UnixTime, zone: &TimeZone) -> Day {
    let local = time.0.saturating_add(offset(time, zone));
    let day = Day(i32::try_from(local.div_euclid(DAY)).unwrap_or(i32::MAX));
    // Where the clocks are set back over midnight, the date is twice the same; the day begins once.
    let next = Day(day.0.saturating_add(1));
    if local.rem_euclid(DAY) >= DAY - CLOCKS_MOVE_MAX && day_start(next, zone) <= time {
        return next;
    }
    day
}

/// When a day begins in `zone`: the first midnight, or the end of the gap that midnight falls into.
#[must_use]
pub fn day_start(day: Day, zone: &TimeZone) -> UnixTime {
    let date = date_of(day);
    let begin = zone.to_timestamp(date.at(0, 0, 0, 0)).map(Timestamp::as_second);
    UnixTime(begin.unwrap_or_else(|_| i64::from(day.0).saturating_mul(DAY)))
}

/// The date of a day, clamped to the years -9999 to 9999.
#[must_use]
pub fn date_of(day: Day) -> Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    let edge = if day.0 < 0 { Date::MIN } else { Date::MAX };
    epoch.checked_add(jiff::Span::new().days(day.0.clamp(DAYS_LEAST, DAYS_MOST))).unwrap_or(edge)
}

/// The day of a date.
#[must_use]
pub fn day_of_date(date: Date) -> Day {
    Day(date
        .duration_since(jiff::civil::date(1970, 1, 1))
        .as_hours()
        .div_euclid(24)
        .try_into()
        .unwrap_or(i32::MAX))
}

/// Seconds of a day without a change of the clocks.
const DAY: i64 = 86_400;

/// Clocks are set back by at most so much, but for changes of the date line before 1970.
const CLOCKS_MOVE_MAX: i64 = 3 * 3_600;

/// Days that a span of jiff can hold.
const DAYS_MOST: i32 = 2_900_000;
const DAYS_LEAST: i32 = -4_300_000;

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
    let midnight = day_start(Day(day_of(time, zone).0.saturating_add(1)), zone);
    // At the ends of the calendar: never stand still.
    UnixTime(midnight.0.max(time.0.saturating_add(1)))
}

/// Parts `used` over the days between `from` and `to`, by time; the parts add up to `used`. Without
/// an interval all of it belongs to the day of `to`.
pub(super) fn split(
    used: Usage,
    from: UnixTime,
    to: UnixTime,
    zone: &TimeZone,
) -> SmallVec<[(Day, Usage); 1]> {
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
        let parts = ledger.add(
            usage(10 * 86_400, 100, 0),
            UnixTime(MIDNIGHT - 9 * DAY),
            UnixTime(MIDNIGHT + DAY - 1),
            Day(19_999),
            &TimeZone::UTC,
        );
        assert_eq!(parts.iter().map(|(day, _)| *day).min(), Some(Day(19_999)));
        assert_eq!(ledger.days().len(), 2);
        let days = ledger.days().iter().fold(Usage::default(), |sum, (_, part)| sum.plus(*part));
        assert_eq!(days, ledger.lifetime());
    }
}
