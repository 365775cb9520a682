//! Dates as the original reads and writes them, in the zone of the account.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::answer::Fail;
use crate::time::UnixTime;

/// What stands for "never".
pub(super) const NEVER: &str = "2999-12-31 23:59:59";

/// A date, and the time where one was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    date: Date,
    time: Option<Time>,
}

impl Moment {
    /// Reads `yyyy-mm-dd` or `dd-mm-yyyy`, with ` HH:MM[:SS]` or without.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Fail> {
        read(text.trim()).ok_or_else(|| Fail::wrong(field, "must be a date (yyyy-mm-dd)"))
    }

    /// The first second that is meant.
    pub(super) fn begin(self, zone: &TimeZone) -> UnixTime {
        instant(DateTime::from_parts(self.date, self.time.unwrap_or(Time::midnight())), zone)
    }

    /// The first second after what is meant: after the day, where no time was said.
    pub(super) fn end(self, zone: &TimeZone) -> UnixTime {
        match self.time {
            Some(time) => instant(DateTime::from_parts(self.date, time), zone).plus(1),
            None => {
                let next = self.date.checked_add(1.day()).unwrap_or(Date::MAX);
                instant(DateTime::from_parts(next, Time::midnight()), zone)
            }
        }
    }

    /// What stands for "never".
    pub(super) fn is_never(self) -> bool {
        self.date.year() >= 2999
    }
}

fn instant(civil: DateTime, zone: &TimeZone) -> UnixTime {
    zone.to_timestamp(civil).map_or(UnixTime(i64::MAX / 4), |at| UnixTime(at.as_second()))
}

fn read(text: &str) -> Option<Moment> {
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time.trim())),
        None => (text, None),
    };
    let mut parts = date.split(['-', '/']);
    let (one, two, three) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // The four-digit year decides.
    let (year, month, day) = match (one.len(), three.len()) {
        (4, 1..=2) => (one, two, three),
        (1..=2, 4) => (three, two, one),
        _ => return None,
    };
    let date = Date::new(digits(year)?, i8::try_from(digits(month)?).ok()?, i8::try_from(digits(day)?).ok()?);
    let time = match time.filter(|time| !time.is_empty()) {
        None => None,
        Some(time) => {
            let mut parts = time.split(':').map(|part| digits(part).and_then(|part| i8::try_from(part).ok()));
            let (hour, minute) = (parts.next()??, parts.next()??);
            let second = match parts.next() {
                None => 0,
                Some(second) => second?,
            };
            if parts.next().is_some() {
                return None;
            }
            Some(Time::new(hour, minute, second, 0).ok()?)
        }
    };
    Some(Moment { date: date.ok()?, time })
}

fn digits(text: &str) -> Option<i16> {
    let all = (1..=4).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn civil(at: UnixTime, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_second(at.0).ok()?))
}

/// `2016-03-06 00:00:30`.
pub(super) fn show(at: UnixTime, zone: &TimeZone) -> String {
    civil(at, zone).map_or_else(String::new, |civil| civil.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The same; empty where there is none.
pub(super) fn show_some(at: Option<UnixTime>, zone: &TimeZone) -> String {
    at.map(|at| show(at, zone)).unwrap_or_default()
}

/// An end; what has none, or one that no calendar has, is never.
pub(super) fn show_end(at: Option<UnixTime>, zone: &TimeZone) -> String {
    let shown = show_some(at, zone);
    // Later than "never" would be earlier as text.
    if shown.is_empty() || shown.len() > NEVER.len() || shown.as_str() > NEVER {
        NEVER.to_owned()
    } else {
        shown
    }
}

/// `12-09-2018 15:21:20`.
pub(super) fn show_reversed(at: Option<UnixTime>, zone: &TimeZone) -> String {
    let civil = at.and_then(|at| civil(at, zone));
    civil.map_or_else(String::new, |civil| civil.strftime("%d-%m-%Y %H:%M:%S").to_string())
}

/// `2019-01-25`.
pub(super) fn show_day(at: UnixTime, zone: &TimeZone) -> String {
    civil(at, zone).map_or_else(String::new, |civil| civil.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kolkata() -> TimeZone {
        TimeZone::get("Asia/Kolkata").unwrap()
    }

    #[test]
    fn both_orders_are_read() {
        let zone = TimeZone::UTC;
        let at = |text| Moment::parse("toDate", text).map(|moment| moment.begin(&zone).0);
        assert_eq!(at("2016-04-18"), Ok(1_460_937_600));
        assert_eq!(at("18-04-2016"), at("2016-04-18"));
        assert_eq!(at("18-4-2016 5:30"), Ok(1_460_937_600 + 19_800));
        assert_eq!(at(" 2016-04-18 05:30:01 "), Ok(1_460_937_600 + 19_801));
        assert_eq!(at("2016-04-18T00:00:01"), Ok(1_460_937_601));
        for wrong in [
            "",
            "2016-02-30",
            "30-02-2016",
            "2016-13-01",
            "16-04-18",
            "2016",
            "2016-04-18 25:00",
            "2016-04-18 1",
            "x",
            "2016-04-18-01",
            "+016-04-18",
            "2016-04-18 1:2:3:4",
        ] {
            assert_eq!(at(wrong).map_err(|fail| fail.code), Err(400), "{wrong}");
        }
    }

    #[test]
    fn a_day_ends_with_the_next_one() {
        let day = Moment::parse("x", "2024-02-29").unwrap();
        let zone = kolkata();
        assert_eq!(show(day.begin(&zone), &zone), "2024-02-29 00:00:00");
        assert_eq!(show(day.end(&zone), &zone), "2024-03-01 00:00:00");
        let moment = Moment::parse("x", "2024-02-29 10:00").unwrap();
        assert_eq!(show(moment.end(&zone), &zone), "2024-02-29 10:00:01");
    }

    #[test]
    fn dates_are_written_in_the_zone() {
        let at = UnixTime(1_460_937_600);
        assert_eq!(show(at, &kolkata()), "2016-04-18 05:30:00");
        assert_eq!(show_reversed(Some(at), &kolkata()), "18-04-2016 05:30:00");
        assert_eq!(show_reversed(None, &kolkata()), "");
        assert_eq!(show_end(None, &kolkata()), NEVER);
        assert_eq!(show_end(Some(UnixTime(i64::MAX)), &kolkata()), NEVER);
        assert_eq!(show_end(Some(UnixTime(253_402_300_000)), &kolkata()), NEVER);
        assert_eq!(show_day(at, &kolkata()), "2016-04-18");
        assert!(Moment::parse("x", NEVER).unwrap().is_never());
    }
}
