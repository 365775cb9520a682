//! How long a subscription lasts: rules that count from its creation, its first use, its last use or the
//! beginning of its term, on the calendar of the subscriber's zone.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};
use smol_str::{SmolStr, ToSmolStr as _};

use super::Warning;
use crate::domain::{ExpiryKind, ExpiryRow, ExpiryUnit, RejectReason, Uses};
use crate::time::UnixTime;

/// The dates of a subscriber that rules count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// When it was made; nought is unknown.
    pub created: UnixTime,
    /// Not to be used before.
    pub activation: Option<UnixTime>,
    /// The last renewal.
    pub renewed: Option<UnixTime>,
}

impl Dates {
    /// When the present term began; `None` is unknown.
    fn term(self) -> Option<UnixTime> {
        let created = Some(self.created).filter(|created| created.0 > 0);
        self.renewed.or(self.activation).or(created)
    }
}

/// The compiled rules.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    dates: Dates,
    rules: Box<[Rule]>,
    /// A rule that cannot be read: nobody gets in, rather than everybody.
    pub(crate) unreadable: Option<SmolStr>,
}

#[derive(Debug)]
struct Rule {
    term: Term,
    /// The row, for people.
    rule: SmolStr,
}

#[derive(Clone, Copy, Debug)]
enum Term {
    Fixed(UnixTime),
    After(Event, i64, ExpiryUnit),
    DayOfMonth(i8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Creation,
    FirstUse,
    LastUse,
    Renewal,
}

/// When a rule ends the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End<'a> {
    pub(crate) at: UnixTime,
    /// The key of a login that comes too late.
    pub(crate) reason: RejectReason,
    pub(crate) rule: &'a SmolStr,
    /// Whether it ends a session that runs at that time. One that counts from the last use does not: the
    /// session is a use.
    pub(crate) ends_sessions: bool,
}

impl Validity {
    /// Compiles rows; what cannot be read is among the warnings.
    pub(crate) fn new(
        dates: Dates,
        rows: &[ExpiryRow],
        validity_days: Option<(u32, &SmolStr)>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let mut rules = Vec::new();
        let mut unreadable = None;
        for row in rows {
            let rule = row.to_smolstr();
            match Term::read(row) {
                Ok(term) => rules.push(Rule { term, rule }),
                Err(why) => {
                    warnings.push(Warning {
                        row: row.id,
                        rule: rule.clone(),
                        why: smol_str::format_smolstr!("{why}: the subscriber cannot log in"),
                    });
                    unreadable.get_or_insert(rule);
                }
            }
        }
        if let Some((days, plan)) = validity_days {
            rules.push(Rule {
                term: Term::After(Event::FirstUse, days.into(), ExpiryUnit::Days),
                rule: smol_str::format_smolstr!("plan {plan}: validity_days {days}"),
            });
        }
        Self { dates, rules: rules.into(), unreadable }
    }

    /// The date before which it may not be used.
    pub(crate) const fn activation(&self) -> Option<UnixTime> {
        self.dates.activation
    }

    /// Does a login start a clock here?
    pub(crate) fn counts_first_use(&self) -> bool {
        self.counts(Event::FirstUse)
    }

    /// Is it lost by not being used?
    pub(crate) fn counts_last_use(&self) -> bool {
        self.counts(Event::LastUse)
    }

    fn counts(&self, wanted: Event) -> bool {
        self.rules.iter().any(|rule| matches!(rule.term, Term::After(event, ..) if event == wanted))
    }

    /// When each rule ends the subscription. A first use that has not been yet would be now.
    pub(crate) fn ends<'a>(
        &'a self,
        uses: Uses,
        now: UnixTime,
        zone: &'a TimeZone,
    ) -> impl Iterator<Item = End<'a>> {
        self.rules.iter().filter_map(move |Rule { term, rule }| {
            let dates = self.dates;
            let (at, reason) = match *term {
                Term::Fixed(at) => (at, RejectReason::AbsExpDateReached),
                Term::After(event, value, unit) => {
                    let from = match event {
                        Event::Creation => Some(dates.created).filter(|created| created.0 > 0)?,
                        Event::FirstUse => uses.first.unwrap_or(now),
                        Event::LastUse => uses.last.or(uses.first)?,
                        Event::Renewal => dates.term().or(uses.first).unwrap_or(now),
                    };
                    (after(from, value, unit, zone), RejectReason::RelExpDateReached)
                }
                Term::DayOfMonth(day) => {
                    let from = dates.term().or(uses.first).unwrap_or(now);
                    (day_of_month_after(from, day, zone), RejectReason::AbsExpDateReached)
                }
            };
            let ends_sessions = !matches!(term, Term::After(Event::LastUse, ..));
            Some(End { at, reason, rule, ends_sessions })
        })
    }
}

impl Term {
    fn read(row: &ExpiryRow) -> Result<Self, &'static str> {
        let kind = ExpiryKind::parse(&row.kind).ok_or("unknown kind")?;
        let event = match kind {
            ExpiryKind::Fixed => return Ok(Self::Fixed(UnixTime(row.value))),
            ExpiryKind::DayOfMonth => {
                let day = i8::try_from(row.value).ok().filter(|day| (1..=31).contains(day));
                return day.map(Self::DayOfMonth).ok_or("not a day of the month, 1 to 31");
            }
            ExpiryKind::AfterCreation => Event::Creation,
            ExpiryKind::AfterFirstUse => Event::FirstUse,
            ExpiryKind::AfterLastUse => Event::LastUse,
            ExpiryKind::AfterRenew => Event::Renewal,
        };
        let unit = ExpiryUnit::parse(&row.unit).ok_or("unknown unit")?;
        if row.value < 0 {
            return Err("a negative period");
        }
        Ok(Self::After(event, row.value, unit))
    }
}

/// So much later, on the calendar of the zone. What no calendar holds is never.
pub(crate) fn after(from: UnixTime, value: i64, unit: ExpiryUnit, zone: &TimeZone) -> UnixTime {
    let seconds = |each: i64| UnixTime(from.0.saturating_add(value.saturating_mul(each)));
    let span = match unit {
        ExpiryUnit::Minutes => return seconds(60),
        ExpiryUnit::Hours => return seconds(3_600),
        ExpiryUnit::Days => Span::new().try_days(value),
        ExpiryUnit::Months => Span::new().try_months(value),
        ExpiryUnit::Years => Span::new().try_years(value),
    };
    let later = || instant(civil(from, zone)?.checked_add(span.ok()?).ok()?, zone);
    later().unwrap_or(NEVER)
}

/// The first midnight that begins the day of a month after `from`; in a shorter month its last day.
fn day_of_month_after(from: UnixTime, day: i8, zone: &TimeZone) -> UnixTime {
    let in_month = |first: DateTime| {
        let midnight = first.start_of_day().with().day(day.min(first.days_in_month())).build().ok()?;
        instant(midnight, zone)
    };
    let find = || {
        let first = civil(from, zone)?.first_of_month();
        match in_month(first)? {
            at if at > from => Some(at),
            _ => in_month(first.checked_add(1.month()).ok()?),
        }
    };
    find().unwrap_or(NEVER)
}

fn civil(at: UnixTime, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_second(at.0).ok()?))
}

/// A time that the clocks pass over is as much later.
fn instant(civil: DateTime, zone: &TimeZone) -> Option<UnixTime> {
    Some(UnixTime(zone.to_timestamp(civil).ok()?.as_second()))
}

const NEVER: UnixTime = UnixTime(i64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixTime {
        UnixTime(text.parse::<jiff::ZonedDateTime>().unwrap().timestamp().as_second())
    }

    fn row(kind: &str, value: i64, unit: &str) -> ExpiryRow {
        ExpiryRow { id: 7, plan: None, kind: kind.into(), value, unit: unit.into() }
    }

    fn end(
        dates: Dates,
        row: &ExpiryRow,
        uses: Uses,
        now: UnixTime,
        zone: &str,
    ) -> Option<(UnixTime, RejectReason)> {
        let mut warnings = Vec::new();
        let validity = Validity::new(dates, std::slice::from_ref(row), None, &mut warnings);
        assert_eq!(warnings, []);
        let zone = TimeZone::get(zone).unwrap();
        validity.ends(uses, now, &zone).next().map(|end| (end.at, end.reason))
    }

    #[test]
    fn months_and_years_are_the_calendars() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (from, value, unit, to) in [
            ("2026-01-31T12:00[Europe/Berlin]", 1, ExpiryUnit::Months, "2026-02-28T12:00[Europe/Berlin]"),
            ("2028-01-31T12:00[Europe/Berlin]", 1, ExpiryUnit::Months, "2028-02-29T12:00[Europe/Berlin]"),
            ("2026-01-31T12:00[Europe/Berlin]", 3, ExpiryUnit::Months, "2026-04-30T12:00[Europe/Berlin]"),
            ("2028-02-29T12:00[Europe/Berlin]", 1, ExpiryUnit::Years, "2029-02-28T12:00[Europe/Berlin]"),
            ("2028-02-29T12:00[Europe/Berlin]", 4, ExpiryUnit::Years, "2032-02-29T12:00[Europe/Berlin]"),
            // The same time of day after the clocks have changed: 23 hours later.
            ("2026-03-28T12:00[Europe/Berlin]", 1, ExpiryUnit::Days, "2026-03-29T12:00[Europe/Berlin]"),
            ("2026-03-28T12:00[Europe/Berlin]", 24, ExpiryUnit::Hours, "2026-03-29T13:00[Europe/Berlin]"),
            ("2026-03-28T12:00[Europe/Berlin]", 90, ExpiryUnit::Minutes, "2026-03-28T13:30[Europe/Berlin]"),
            // A time that the clocks pass over is an hour later.
            ("2026-02-28T02:30[Europe/Berlin]", 29, ExpiryUnit::Days, "2026-03-29T03:30[Europe/Berlin]"),
        ] {
            assert_eq!(after(at(from), value, unit, &zone), at(to), "{from} + {value} {unit:?}");
        }
    }

    #[test]
    fn what_no_calendar_holds_is_never() {
        for unit in ExpiryUnit::ALL.map(|(unit, _)| unit) {
            assert!(
                after(UnixTime(1_795_619_340), i64::MAX, unit, &TimeZone::UTC).0 > 200_000_000_000,
                "{unit:?}"
            );
        }
    }

    #[test]
    fn each_kind_counts_from_its_own_event() {
        let now = at("2026-11-25T15:00[UTC]");
        let dates = Dates {
            created: at("2026-01-01T00:00[UTC]"),
            activation: Some(at("2026-02-01T00:00[UTC]")),
            renewed: Some(at("2026-11-01T08:00[UTC]")),
        };
        let uses = Uses { first: Some(at("2026-03-01T10:00[UTC]")), last: Some(at("2026-11-20T20:00[UTC]")) };
        let (abs, rel) = (RejectReason::AbsExpDateReached, RejectReason::RelExpDateReached);
        for (row, to, reason) in [
            (row("fixed", 1_800_000_000, ""), "2027-01-15T08:00[UTC]", abs),
            (row("after_creation", 10, "days"), "2026-01-11T00:00[UTC]", rel),
            (row("after_first_use", 2, "months"), "2026-05-01T10:00[UTC]", rel),
            (row("after_last_use", 10, "days"), "2026-11-30T20:00[UTC]", rel),
            (row("after_renew", 1, "month"), "2026-12-01T08:00[UTC]", rel),
            (row("day_of_month", 15, ""), "2026-11-15T00:00[UTC]", abs),
            (row("day_of_month", 1, ""), "2026-12-01T00:00[UTC]", abs),
        ] {
            assert_eq!(end(dates, &row, uses, now, "UTC"), Some((at(to), reason)), "{row}");
        }
        // Before the first renewal the term began with the activation, else with the creation.
        let renew = row("after_renew", 1, "days");
        let activated = Dates { renewed: None, ..dates };
        assert_eq!(end(activated, &renew, uses, now, "UTC").unwrap().0, at("2026-02-02T00:00[UTC]"));
        let created = Dates { activation: None, ..activated };
        assert_eq!(end(created, &renew, uses, now, "UTC").unwrap().0, at("2026-01-02T00:00[UTC]"));
    }

    #[test]
    fn the_first_use_starts_the_clock_and_no_use_loses_nothing() {
        let now = at("2026-11-25T15:00[UTC]");
        let never = Uses::default();
        let first = row("after_first_use", 1, "days");
        assert_eq!(
            end(Dates::default(), &first, never, now, "UTC"),
            Some((at("2026-11-26T15:00[UTC]"), RejectReason::RelExpDateReached))
        );
        assert_eq!(end(Dates::default(), &row("after_last_use", 1, "days"), never, now, "UTC"), None);
        assert_eq!(end(Dates::default(), &row("after_creation", 1, "days"), never, now, "UTC"), None);
    }

    #[test]
    fn the_day_of_a_short_month_is_its_last() {
        let dates = |renewed| Dates { renewed: Some(at(renewed)), ..Dates::default() };
        for (renewed, day, to) in [
            ("2026-01-31T00:00[Asia/Tehran]", 31, "2026-02-28T00:00[Asia/Tehran]"),
            ("2026-02-28T00:00[Asia/Tehran]", 31, "2026-03-31T00:00[Asia/Tehran]"),
            ("2026-02-27T23:59[Asia/Tehran]", 31, "2026-02-28T00:00[Asia/Tehran]"),
            ("2026-12-05T12:00[Asia/Tehran]", 5, "2027-01-05T00:00[Asia/Tehran]"),
            // Midnight is passed over there on that day.
            ("2026-09-01T12:00[America/Santiago]", 6, "2026-09-06T01:00[America/Santiago]"),
        ] {
            let zone = renewed.split(['[', ']']).nth(1).unwrap();
            let found =
                end(dates(renewed), &row("day_of_month", day, ""), Uses::default(), at(renewed), zone);
            assert_eq!(found.map(|(found, _)| found), Some(at(to)), "{renewed} {day}");
        }
    }

    #[test]
    fn a_session_is_a_use() {
        let mut warnings = Vec::new();
        let rows = [row("after_last_use", 1, "hours"), row("after_first_use", 1, "hours")];
        let validity = Validity::new(Dates::default(), &rows, None, &mut warnings);
        let uses = Uses { first: Some(UnixTime(5)), last: Some(UnixTime(5)) };
        let ends: Vec<_> =
            validity.ends(uses, UnixTime(9), &TimeZone::UTC).map(|end| end.ends_sessions).collect();
        assert_eq!(ends, [false, true]);
        assert!(validity.counts_first_use() && validity.counts_last_use());
    }

    #[test]
    fn a_rule_that_cannot_be_read_locks() {
        for (row, why) in [
            (row("after_lunch", 1, "days"), "unknown kind: the subscriber cannot log in"),
            (row("after_first_use", 1, "weeks"), "unknown unit: the subscriber cannot log in"),
            (row("after_first_use", -1, "days"), "a negative period: the subscriber cannot log in"),
            (row("day_of_month", 32, ""), "not a day of the month, 1 to 31: the subscriber cannot log in"),
        ] {
            let mut warnings = Vec::new();
            let validity = Validity::new(Dates::default(), std::slice::from_ref(&row), None, &mut warnings);
            assert_eq!(validity.unreadable, Some(row.to_smolstr()));
            assert_eq!(warnings, [Warning { row: 7, rule: row.to_smolstr(), why: why.into() }]);
        }
    }

    proptest::proptest! {
        #[test]
        fn the_day_of_the_month_is_after_and_within_a_month(second in 0_i64..4_000_000_000, day in 1_i8..=31) {
            let zone = TimeZone::get("America/Sao_Paulo").unwrap();
            let found = day_of_month_after(UnixTime(second), day, &zone);
            proptest::prop_assert!(found.0 > second && found.0 - second <= 31 * 86_400 + 7_200);
            let date = civil(found, &zone).unwrap().date();
            proptest::prop_assert_eq!(date.day(), day.min(date.days_in_month()));
        }
    }
}
