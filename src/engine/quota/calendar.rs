//! Which days a period has. A day begins at midnight of the subscriber's zone, so a period is half-open
//! and has as many seconds as its days have, whatever the clocks do.

use std::ops::Range;

use jiff::civil::{Date, Weekday, date};

use crate::domain::{Day, Period};
use crate::sessions::{date_of, day_of_date};

/// When weeks and months begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins {
    /// The first day of a week.
    pub week: Weekday,
    /// The day of the month, 1 to 31, on which a month of a quota begins; a month without that day
    /// begins on its last.
    pub month: u8,
}

/// The days of the period that `today` is in, the end not included; `None` where a period has no days:
/// a session, a lifetime.
#[must_use]
pub fn span(period: Period, today: Day, begins: Begins) -> Option<Range<Day>> {
    let day = date_of(today);
    match period {
        Period::Session | Period::Lifetime => None,
        Period::Daily => Some(today..plus(today, 1)),
        Period::Weekly => {
            let start = Day(today.0.saturating_sub(day.weekday().since(begins.week).into()));
            Some(start..plus(start, 7))
        }
        Period::Monthly | Period::Billing => {
            let this = in_month(day.year(), day.month(), begins.month);
            Some(if day >= this {
                day_of_date(this)..day_of_date(months_later(day, 1, begins.month))
            } else {
                day_of_date(months_later(day, -1, begins.month))..day_of_date(this)
            })
        }
        Period::Quarterly => {
            let start = date(day.year(), (day.month() - 1) / 3 * 3 + 1, 1);
            Some(day_of_date(start)..day_of_date(months_later(start, 3, 1)))
        }
        Period::Yearly => {
            let start = date(day.year(), 1, 1);
            Some(day_of_date(start)..day_of_date(months_later(start, 12, 1)))
        }
    }
}

/// The days of the period before.
#[must_use]
pub(super) fn span_before(period: Period, span: &Range<Day>, begins: Begins) -> Option<Range<Day>> {
    self::span(period, Day(span.start.0.saturating_sub(1)), begins)
}

/// Days that a period has at most, 0 where it has none.
#[must_use]
pub(super) const fn longest(period: Period) -> u16 {
    match period {
        Period::Session | Period::Lifetime => 0,
        Period::Daily => 1,
        Period::Weekly => 7,
        // From the 31st over February to the last day before the 31st of March.
        Period::Monthly | Period::Billing => 31,
        Period::Quarterly => 92,
        Period::Yearly => 366,
    }
}

const fn plus(day: Day, days: i32) -> Day {
    Day(day.0.saturating_add(days))
}

/// A day of a month, the last where the month has not so many.
fn in_month(year: i16, month: i8, day: u8) -> Date {
    let first = date(year, month, 1);
    let wanted = i8::try_from(day.clamp(1, 31)).unwrap_or(1);
    date(year, month, wanted.min(first.days_in_month()))
}

/// The same for the month so many months after that of `from`. At the ends of the calendar: that month.
fn months_later(from: Date, months: i32, day: u8) -> Date {
    let first = date(from.year(), from.month(), 1);
    let then = first.checked_add(jiff::Span::new().months(months)).unwrap_or(first);
    in_month(then.year(), then.month(), day)
}
