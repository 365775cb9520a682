//! Login-Time and Current-Time: the times of the week at which something holds, in UUCP's notation as
//! FreeRADIUS reads it (`Wk0800-1800,Sa|Su`).

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::time::UnixTime;

/// A set of minutes of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Minutes from Sunday 00:00, half-open, apart and in order.
    spans: Box<[(u16, u16)]>,
}

impl Window {
    /// Reads the notation. A part that means nothing lets nobody in, as in FreeRADIUS; the flag tells
    /// that there was one.
    #[must_use]
    pub fn read(text: &str) -> (Self, bool) {
        let mut minutes = vec![false; usize::from(WEEK)];
        let mut senseless = false;
        for part in text.split([',', '|']) {
            match part_of(part) {
                Some((days, first, last)) => set(&mut minutes, days, first, last),
                None => senseless |= !part.trim().is_empty() || text.trim().is_empty(),
            }
        }
        let mut spans: Vec<(u16, u16)> = Vec::new();
        for (minute, _) in (0..WEEK).zip(&minutes).filter(|(_, inside)| **inside) {
            match spans.last_mut() {
                Some((_, end)) if *end == minute => *end += 1,
                _ => spans.push((minute, minute + 1)),
            }
        }
        (Self { spans: spans.into() }, senseless)
    }

    /// Seconds until the window closes; `None` if it is closed now. A window that never closes gives
    /// [`Open::Always`].
    #[must_use]
    pub fn at(&self, now: UnixTime, zone: &TimeZone) -> Option<Open> {
        if let [(0, WEEK)] = *self.spans {
            return Some(Open::Always);
        }
        let (start, minute) = minute_of(now, zone)?;
        let mut left = self.end_of(minute)? - minute;
        // What reaches Saturday midnight may go on on Sunday.
        if minute + left == WEEK {
            left += self.end_of(0).unwrap_or(0);
        }
        // The wall clock decides when it closes, also across a change to summer time.
        let close = start.checked_add(SignedDuration::from_mins(left.into())).ok()?;
        let close = zone.to_timestamp(close).ok()?.as_second();
        Some(Open::Until(UnixTime(close.max(now.0.saturating_add(1)))))
    }

    /// When it opens next after `now`; `None` where it never does.
    #[must_use]
    pub fn opens(&self, now: UnixTime, zone: &TimeZone) -> Option<UnixTime> {
        let (start, minute) = minute_of(now, zone)?;
        let later = self.spans.iter().map(|(first, _)| *first).find(|first| *first > minute);
        let next = later.or_else(|| self.spans.first().map(|(first, _)| first + WEEK))?;
        let open = start.checked_add(SignedDuration::from_mins((next - minute).into())).ok()?;
        let open = zone.to_timestamp(open).ok()?.as_second();
        // Where the clocks were set back, the wall clock may say that it has passed already.
        Some(UnixTime(open.max(now.0.saturating_sub(now.0.rem_euclid(60)).saturating_add(60))))
    }

    fn end_of(&self, minute: u16) -> Option<u16> {
        let at = self.spans.binary_search_by(|(start, end)| match () {
            () if *start > minute => Ordering::Greater,
            () if *end <= minute => Ordering::Less,
            () => Ordering::Equal,
        });
        self.spans.get(at.ok()?).map(|(_, end)| *end)
    }
}

/// The beginning of the minute on the wall clock, and which minute of the week it is.
fn minute_of(now: UnixTime, zone: &TimeZone) -> Option<(DateTime, u16)> {
    let civil = zone.to_datetime(Timestamp::from_second(now.0).ok()?);
    let day = u16::try_from(civil.weekday().to_sunday_zero_offset()).unwrap_or(0);
    let [hour, minute] = [civil.hour(), civil.minute()].map(|part| u16::try_from(part).unwrap_or(0));
    let start = civil.with().second(0).subsec_nanosecond(0).build().ok()?;
    Some((start, day * DAY + hour * 60 + minute))
}

/// How long a window stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It covers the whole week.
    Always,
    /// It closes then, later than now.
    Until(UnixTime),
}

/// One part as days (bit 0 is Sunday) and the first and last minute of them. After days and times,
/// whatever follows is passed over.
fn part_of(part: &str) -> Option<(u8, u16, u16)> {
    let (mut days, mut rest) = days_of(part)?;
    while let Some((more, tail)) = days_of(rest) {
        days |= more;
        rest = tail;
    }
    let rest = rest.trim_start_matches(' ');
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Some((days, 0, DAY - 1));
    }
    let (first, rest) = clock(rest)?;
    let (last, _) = clock(rest.strip_prefix('-')?)?;
    Some((days, first, last))
}

/// A day, several (`Wk`, `Any`, `Al`) or a range of days, and what follows.
fn days_of(text: &str) -> Option<(u8, &str)> {
    let named = |text: &str| {
        NAMES.iter().find_map(|(name, days)| {
            let head = text.get(..name.len())?;
            head.eq_ignore_ascii_case(name).then_some((*days, name.len()))
        })
    };
    let (days, length) = named(text)?;
    let rest = text.get(length..)?;
    if let Some((last, length)) = rest.strip_prefix('-').and_then(named)
        && days.is_power_of_two()
        && last.is_power_of_two()
    {
        let mut range = days;
        let mut day = days;
        while day != last {
            day = if day == SATURDAY { SUNDAY } else { day << 1 };
            range |= day;
        }
        return Some((range, rest.get(length + 1..)?));
    }
    Some((days, rest))
}

/// `HHMM` as minutes. 2400 is midnight at the end of the day.
fn clock(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number: u16 = digits.parse().ok()?;
    let minutes = (number / 100) * 60 + number % 100;
    (minutes <= DAY).then_some((minutes, rest))
}

/// Sets the minutes from first to last, both included; where last is earlier, what is not between them.
fn set(minutes: &mut [bool], days: u8, first: u16, last: u16) {
    for day in (0..7_u16).filter(|day| days >> day & 1 == 1) {
        for minute in 0..DAY {
            let inside = if first <= last {
                (first..=last).contains(&minute)
            } else {
                minute >= first || minute <= last
            };
            if let (true, Some(flag)) = (inside, minutes.get_mut(usize::from(day * DAY + minute))) {
                *flag = true;
            }
        }
    }
}

const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;
const SUNDAY: u8 = 1;
const SATURDAY: u8 = 1 << 6;

const NAMES: [(&str, u8); 10] = [
    ("Any", 0x7f),
    ("Su", SUNDAY),
    ("Mo", 1 << 1),
    ("Tu", 1 << 2),
    ("We", 1 << 3),
    ("Th", 1 << 4),
    ("Fr", 1 << 5),
    ("Sa", SATURDAY),
    ("Wk", 0x3e),
    ("Al", 0x7f),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Wednesday 2026-11-25 15:09:00 UTC.
    const NOW: UnixTime = UnixTime(1_795_619_340);

    fn left(text: &str) -> Option<u64> {
        match Window::read(text).0.at(NOW, &TimeZone::UTC)? {
            Open::Always => Some(0),
            Open::Until(end) => Some(end.since(NOW)),
        }
    }

    /// What FreeRADIUS 3.2.1 answered at that minute, as Session-Timeout.
    #[test]
    fn windows_are_read_as_freeradius_reads_them() {
        for (text, seconds) in [
            ("Any", Some(0)),
            ("Al", Some(0)),
            ("Wk|Sa|Su", Some(0)),
            ("MoTuWeThFrSaSu0000-2359", Some(0)),
            ("Fr-Th", Some(0)),
            ("Sa We", None),
            ("SaWe", Some(31_860)),
            ("Sa|We", Some(31_860)),
            ("Mo-Th", Some(118_260)),
            ("We-Mo", Some(463_860)),
            ("Th-Tu", None),
            ("We 0000-0100", None),
            ("We 0000-2359", Some(31_860)),
            ("WeSa1400-2300", Some(28_320)),
            ("Xx", None),
            ("We25", None),
            ("We1400-2300x", Some(28_320)),
            ("We1400", None),
            ("Sa,Xx,We", Some(31_860)),
            ("We1500-0900", Some(31_860)),
            ("Any0000-0100", None),
            ("Al0000-0100,We1400-2300", Some(28_320)),
            ("Sa0000-0100We", None),
            ("we", Some(31_860)),
            ("Wednesday", Some(31_860)),
            ("We14:00-23:00", None),
            ("We2300-1530", Some(1_320)),
            ("0000-2359", None),
            ("-We", None),
            (" We", None),
            ("We ", Some(31_860)),
            ("Never", None),
            ("", None),
        ] {
            assert_eq!(left(text), seconds, "{text:?}");
        }
    }

    #[test]
    fn a_part_without_sense_is_told() {
        assert!(!Window::read("Wk0800-1800,Sa").1);
        for text in ["banana", "", "Wk,Xx", "We1400"] {
            assert!(Window::read(text).1, "{text:?}");
        }
    }

    #[test]
    fn a_window_over_saturday_midnight_goes_on_on_sunday() {
        let (window, _) = Window::read("Sa2200-2359,Su0000-0159");
        // Saturday 2026-11-28 23:00:30 UTC.
        let late = UnixTime(1_795_906_830);
        assert_eq!(window.at(late, &TimeZone::UTC), Some(Open::Until(UnixTime(1_795_917_600))));
    }

    #[test]
    fn the_zone_decides_and_summer_time_is_minded() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let (window, _) = Window::read("Su0000-0559");
        // Sunday 2026-03-29 00:30 in Berlin; clocks go from 02:00 to 03:00.
        let now = UnixTime(1_774_740_600);
        assert_eq!(window.at(now, &zone), Some(Open::Until(now.plus(4 * 3600 + 1800))));
        assert_eq!(window.at(now, &TimeZone::UTC), None);
    }

    proptest::proptest! {
        #[test]
        fn an_open_window_closes_later_than_now(text in "[A-Za-z0-9,|\\- ]{0,30}", second in 0_i64..4_000_000_000) {
            let now = UnixTime(second);
            if let Some(Open::Until(end)) = Window::read(&text).0.at(now, &TimeZone::UTC) {
                proptest::prop_assert!(end > now);
                proptest::prop_assert!(end.since(now) <= 7 * 86_400);
            }
        }
    }
}
