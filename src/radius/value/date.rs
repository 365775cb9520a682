//! Dates as tables and FreeRADIUS write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::time::UnixTime;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads seconds since 1970 (`1764072000`), ISO 8601 (`2026-11-25`, `2026-11-25T12:00:00+01:00`)
/// or words in any order (`Nov 25 2026`, `25 November 2026 12:00:00 UTC`). Without a zone of its
/// own the date is one of `zone`; without a time it is midnight.
#[must_use]
pub fn parse_date(text: &str, zone: &TimeZone) -> Option<UnixTime> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().ok().map(UnixTime);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(UnixTime(moment.as_second()));
    }
    if text.as_bytes().get(4) == Some(&b'-') {
        let date = text.parse::<DateTime>().ok()?;
        return in_zone(date, zone);
    }
    words(text, zone)
}

fn in_zone(date: DateTime, zone: &TimeZone) -> Option<UnixTime> {
    Some(UnixTime(zone.to_timestamp(date).ok()?.as_second()))
}

fn words(text: &str, zone: &TimeZone) -> Option<UnixTime> {
    let (mut month, mut day, mut year, mut time) = (None, None, None, None);
    let mut utc = false;
    for word in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        if word.contains(':') {
            let previous = time.replace(clock(word)?);
            if previous.is_some() {
                return None;
            }
        } else if word.bytes().all(|octet| octet.is_ascii_digit()) {
            let slot = if word.len() == 4 { &mut year } else { &mut day };
            if slot.replace(word.parse::<i16>().ok()?).is_some() {
                return None;
            }
        } else if month.is_none()
            && let Some(number) = month_number(word)
        {
            month = Some(number);
        } else if ["utc", "gmt", "z"].iter().any(|name| word.eq_ignore_ascii_case(name)) {
            utc = true;
        } else if time.is_none() || !word.bytes().all(|octet| octet.is_ascii_alphabetic()) {
            // What follows the time is the name of a zone, as FreeRADIUS prints it and passes over.
            return None;
        }
    }
    let day = i8::try_from(day?).ok()?;
    let date = civil::Date::new(year?, month?, day).ok()?;
    let date = date.to_datetime(time.unwrap_or(civil::Time::midnight()));
    if utc { in_zone(date, &TimeZone::UTC) } else { in_zone(date, zone) }
}

/// `12:00` or `12:00:00`.
fn clock(word: &str) -> Option<civil::Time> {
    let mut parts = word.split(':').map(|part| {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    parts.next().is_none().then(|| civil::Time::new(hour, minute, second, 0).ok()).flatten()
}

/// A month by its name or at least the first three letters.
fn month_number(word: &str) -> Option<i8> {
    let word = word.to_ascii_lowercase();
    let found = MONTHS.iter().zip(1_i8..).find(|(name, _)| word.len() >= 3 && name.starts_with(&word));
    found.map(|(_, number)| number)
}

/// `Nov 25 2026 12:00:00 UTC`, as FreeRADIUS prints dates on a machine set to UTC.
#[must_use]
pub fn print_date(at: UnixTime) -> String {
    match Timestamp::from_second(at.0) {
        Ok(moment) => {
            jiff::fmt::strtime::format("%b %e %Y %H:%M:%S UTC", &moment.to_zoned_datetime(TimeZone::UTC))
                .unwrap_or_else(|_| at.0.to_string())
        }
        Err(_) => at.0.to_string(),
    }
}
