//! Dates in and out: gregorian and jalali ones, and so many units ago.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::fault::{Fault, texts};
use super::numbers;
use crate::time::UnixTime;

/// In which form a request wants its dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DateType {
    #[default]
    Gregorian,
    Jalali,
    Relative,
}

impl DateType {
    /// Any other word is the gregorian one.
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "jalali" => Self::Jalali,
            "relative" => Self::Relative,
            _ => Self::Gregorian,
        }
    }
}

/// How and where dates are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar<'a> {
    pub(super) kind: DateType,
    pub(super) zone: &'a TimeZone,
    pub(super) now: UnixTime,
}

/// The same with a zone of its own.
#[derive(Clone, Debug)]
pub(super) struct OwnCalendar {
    kind: DateType,
    zone: TimeZone,
    now: UnixTime,
}

impl OwnCalendar {
    /// As one that is used.
    pub(super) const fn get(&self) -> Calendar<'_> {
        Calendar { kind: self.kind, zone: &self.zone, now: self.now }
    }
}

impl Calendar<'_> {
    /// One that outlives the call.
    pub(super) fn own(&self) -> OwnCalendar {
        OwnCalendar { kind: self.kind, zone: self.zone.clone(), now: self.now }
    }

    /// `YYYY-MM-DD HH:MM:SS`.
    pub(super) fn show(&self, at: UnixTime) -> String {
        let Ok(instant) = Timestamp::from_second(at.0) else { return String::new() };
        let local = self.zone.to_datetime(instant);
        let time = local.time().strftime("%H:%M:%S");
        match self.kind {
            DateType::Gregorian => {
                format!("{:04}-{:02}-{:02} {time}", local.year(), local.month(), local.day())
            }
            DateType::Jalali => {
                let (year, month, day) = to_jalali(local.date());
                format!("{year:04}-{month:02}-{day:02} {time}")
            }
            DateType::Relative => format!("{}@{}:{}", self.distance(at), local.hour(), local.minute()),
        }
    }

    /// The same of a date that there may be; empty is none.
    pub(super) fn show_maybe(&self, at: Option<UnixTime>) -> String {
        at.map_or_else(String::new, |at| self.show(at))
    }

    fn distance(&self, at: UnixTime) -> String {
        let (mut days, word) = if at > self.now {
            (at.since(self.now) / DAY, "Later")
        } else {
            (self.now.since(at) / DAY, "Ago")
        };
        if days == 0 {
            return "Today".to_owned();
        }
        let mut parts = Vec::new();
        for (unit, length) in [("Years", 365), ("Months", 30), ("Days", 1)] {
            if days >= length {
                parts.push(format!("{} {unit}", days / length));
                days %= length;
            }
        }
        format!("{} {word}", parts.join(", "))
    }

    /// A date of a condition: one of a calendar, or so many units ago.
    pub(super) fn read(&self, text: &str, unit: &str) -> Result<UnixTime, Fault> {
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "" | "gregorian" => return self.absolute(text, DateType::Gregorian),
            "jalali" => return self.absolute(text, DateType::Jalali),
            "minutes" => 60,
            "hours" => 3_600,
            "days" => 86_400,
            "months" => 30 * 86_400,
            "years" => 365 * 86_400,
            _ => return Err(texts::INVALID_DATE_UNIT.of(&[unit])),
        };
        let wrong = || texts::INVALID_DATE.of(&[text]);
        let many = numbers::amount(text).ok_or_else(wrong)?;
        // Whole seconds; more than the calendar has is no date.
        let ago = many.units().checked_mul(i128::from(seconds)).ok_or_else(wrong)? / ONE;
        let ago = i64::try_from(ago).ok().filter(|ago| ago.abs() < SECONDS_MAX).ok_or_else(wrong)?;
        Ok(UnixTime(self.now.0.saturating_sub(ago)))
    }

    /// A date of a calendar, with or without a time.
    pub(super) fn absolute(&self, text: &str, kind: DateType) -> Result<UnixTime, Fault> {
        let wrong = || texts::INVALID_DATE.of(&[text]);
        let (date, time) = split(text).ok_or_else(wrong)?;
        let date = match kind {
            DateType::Jalali => from_jalali(date),
            DateType::Gregorian | DateType::Relative => gregorian(date),
        };
        let local = DateTime::from_parts(date.ok_or_else(wrong)?, time);
        let instant = self.zone.to_ambiguous_timestamp(local).compatible().map_err(|_| wrong())?;
        Ok(UnixTime(instant.as_second()))
    }
}

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Units of a whole amount.
const ONE: i128 = 10_i128.pow(18);
/// A thousand years.
const SECONDS_MAX: i64 = 1_000 * 365 * 86_400;
/// Years that a date may have, of either calendar.
const YEARS: std::ops::RangeInclusive<i16> = 1_200..=2_500;

/// A relative duration in seconds: `5` and `Days`. At most 20 years.
pub(super) fn duration(text: &str, unit: &str) -> Result<u64, Fault> {
    let seconds: u64 = match unit {
        "Seconds" => 1,
        "Minutes" => 60,
        "Hours" => 3_600,
        "Days" => 86_400,
        "Months" => 30 * 86_400,
        "Years" => 365 * 86_400,
        _ => return Err(texts::INVALID_REL_DATE_UNIT.of(&[unit])),
    };
    let count: u64 = text.trim().parse().map_err(|_| texts::INVALID_REL_EXP_DATE.plain())?;
    let total = count.checked_mul(seconds).filter(|total| *total <= 20 * 365 * 86_400);
    total.ok_or_else(|| texts::INVALID_REL_EXP_DATE.plain())
}

/// The unit in which a duration is shown, and how many of it there are.
pub(super) fn shown_duration(seconds: u64) -> (u64, &'static str) {
    for (length, unit) in [(365 * DAY, "Years"), (30 * DAY, "Months"), (DAY, "Days"), (3_600, "Hours")] {
        if seconds >= length && seconds.is_multiple_of(length) {
            return (seconds / length, unit);
        }
    }
    (seconds / 60, "Minutes")
}

type Parts = (i16, i8, i8);

/// `YYYY-MM-DD[ HH[:MM[:SS]]]`, `/` for `-`; parts of a second are passed over.
fn split(text: &str) -> Option<(Parts, jiff::civil::Time)> {
    let mut words = text.split_whitespace();
    let (date, time) = (words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let mut parts = date.split(['-', '/']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [year, month, day].into_iter().any(|part| !is_number(part)) {
        return None;
    }
    let date = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let mut clock = [0_i8; 3];
    if let Some(time) = time {
        let given: Vec<&str> = time.split(':').collect();
        if given.len() > clock.len() {
            return None;
        }
        for (place, (slot, part)) in clock.iter_mut().zip(&given).enumerate() {
            let part = if place == 2 { part.split('.').next()? } else { part };
            *slot = Some(part).filter(|part| is_number(part))?.parse().ok()?;
        }
    }
    let [hour, minute, second] = clock;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    YEARS.contains(&date.0).then_some((date, time))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4 && text.bytes().all(|digit| digit.is_ascii_digit())
}

fn gregorian((year, month, day): Parts) -> Option<Date> {
    Date::new(year, month, day).ok()
}

/// The day that a date of the jalali calendar names; `None` where it has no such day.
fn from_jalali(parts: Parts) -> Option<Date> {
    let (year, month, day) = (i64::from(parts.0), i64::from(parts.1), i64::from(parts.2));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year + 1_595;
    let mut days = -355_668 + 365 * year + year / 33 * 8 + (year % 33 + 3) / 4 + day;
    days += if month < 7 { (month - 1) * 31 } else { (month - 7) * 30 + 186 };
    // The first of Farvardin 1399 is day 737,869 of this count.
    let date = Date::constant(2020, 3, 20);
    let date = date.checked_add(jiff::Span::new().try_days(days - 737_869).ok()?).ok()?;
    // A day that the month has not is another day's name.
    (to_jalali(date) == parts).then_some(date)
}

/// A day as the jalali calendar names it.
fn to_jalali(date: Date) -> Parts {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (year, month, day) =
        (i64::from(date.year()), usize::from(date.month().unsigned_abs()), i64::from(date.day()));
    let leap = if month > 2 { year + 1 } else { year };
    let before = BEFORE_MONTH.get(month.saturating_sub(1)).copied().unwrap_or(0);
    let mut days =
        355_666 + 365 * year + (leap + 3) / 4 - (leap + 99) / 100 + (leap + 399) / 400 + day + before;
    let mut shown = -1_595 + 33 * (days / 12_053);
    days %= 12_053;
    shown += 4 * (days / 1_461);
    days %= 1_461;
    if days > 365 {
        shown += (days - 1) / 365;
        days = (days - 1) % 365;
    }
    let (month, day) = if days < 186 {
        (1 + days / 31, 1 + days % 31)
    } else {
        (7 + (days - 186) / 30, 1 + (days - 186) % 30)
    };
    let narrow = |number: i64| i8::try_from(number).unwrap_or(0);
    (i16::try_from(shown).unwrap_or(0), narrow(month), narrow(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    static UTC: TimeZone = TimeZone::UTC;

    fn utc(kind: DateType) -> Calendar<'static> {
        Calendar { kind, zone: &UTC, now: UnixTime(1_539_511_474) }
    }

    #[test]
    fn dates_are_shown_with_seconds() {
        assert_eq!(utc(DateType::Gregorian).show(UnixTime(1_539_510_574)), "2018-10-14 09:49:34");
        assert_eq!(utc(DateType::Jalali).show(UnixTime(1_539_510_574)), "1397-07-22 09:49:34");
        assert_eq!(utc(DateType::Relative).show(UnixTime(1_539_510_574)), "Today@9:49");
        assert_eq!(
            utc(DateType::Relative).show(UnixTime(1_539_510_574 - 86_400 * 400)),
            "1 Years, 1 Months, 5 Days Ago@9:49"
        );
        assert_eq!(utc(DateType::Gregorian).show_maybe(None), "");
    }

    #[test]
    fn dates_are_read_in_every_form() {
        let read = |text: &str, unit: &str| utc(DateType::Gregorian).read(text, unit).map(|at| at.0);
        let day = 1_539_475_200;
        assert_eq!(read("2018-10-14", "gregorian"), Ok(day));
        assert_eq!(read("2018/10/14 09", ""), Ok(day + 9 * 3_600));
        assert_eq!(read(" 2018-10-14 9:30 ", "gregorian"), Ok(day + 9 * 3_600 + 30 * 60));
        assert_eq!(read("2018-10-14 09:49:34.5", "gregorian"), Ok(day + 9 * 3_600 + 49 * 60 + 34));
        assert_eq!(read("1397-7-22", "jalali"), Ok(day));
        assert_eq!(read("2", "minutes"), Ok(1_539_511_474 - 120));
        assert_eq!(read("1.5", "Hours"), Ok(1_539_511_474 - 5_400));
        assert_eq!(read("1", "months"), Ok(1_539_511_474 - 30 * 86_400));
        assert_eq!(read("1", "years"), Ok(1_539_511_474 - 365 * 86_400));
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        let told =
            |text: &str, unit: &str| utc(DateType::Gregorian).read(text, unit).unwrap_err().to_string();
        for wrong in [
            "2018-02-30",
            "2018-13-01",
            "2018-10-14 24",
            "2018-10-14 9:60",
            "1199-01-01",
            "2501-01-01",
            "",
            "x",
            "2018-10",
            "2018-10-14 1:2:3:4",
            "2018-10-14 1 2",
            "-1-1-1",
            "2018-10-+4",
        ] {
            assert_eq!(told(wrong, "gregorian"), format!("INVALID_DATE|Invalid date format {wrong}"));
        }
        for wrong in ["1398-12-30", "1397-07-31", "1397-00-01", "1397-01-32"] {
            assert_eq!(told(wrong, "jalali"), format!("INVALID_DATE|Invalid date format {wrong}"));
        }
        assert_eq!(told("5", "weeks"), "INVALID_DATE_UNIT|Invalid date unit weeks");
        assert_eq!(told("x", "days"), "INVALID_DATE|Invalid date format x");
        assert_eq!(told("99999999999", "years"), "INVALID_DATE|Invalid date format 99999999999");
    }

    #[test]
    fn every_day_of_centuries_has_its_jalali_name() {
        let mut date = Date::new(1830, 1, 1).unwrap();
        let mut before = to_jalali(date.yesterday().unwrap());
        while date.year() < 2230 {
            let named = to_jalali(date);
            assert_eq!(from_jalali(named), Some(date), "{date}");
            assert!(named > before, "{date}");
            before = named;
            date = date.tomorrow().unwrap();
        }
        // New year's days.
        for (jalali, day) in [
            ((1399, 1, 1), Date::constant(2020, 3, 20)),
            ((1400, 1, 1), Date::constant(2021, 3, 21)),
            ((1403, 12, 30), Date::constant(2025, 3, 20)),
            ((1358, 1, 1), Date::constant(1979, 3, 21)),
        ] {
            assert_eq!(from_jalali(jalali), Some(day));
        }
    }

    #[test]
    fn durations_are_bounded_and_come_back() {
        assert_eq!(duration("1", "Months"), Ok(30 * 86_400));
        assert_eq!(shown_duration(30 * 86_400), (1, "Months"));
        assert_eq!(shown_duration(7 * 86_400), (7, "Days"));
        assert_eq!(shown_duration(90), (1, "Minutes"));
        assert_eq!(
            duration("21", "Years").unwrap_err().to_string(),
            "INVALID_REL_EXP_DATE|Relative Expiration Date is Invalid"
        );
        assert_eq!(
            duration("x", "Days").unwrap_err().to_string(),
            "INVALID_REL_EXP_DATE|Relative Expiration Date is Invalid"
        );
        assert_eq!(
            duration("1", "Weeks").unwrap_err().to_string(),
            "INVALID_REL_DATE_UNIT|Invalid Relative Date Unit Weeks"
        );
    }
}
