use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;

use super::*;
use crate::domain::plan::PlanId;
use crate::domain::{
    Counter, Day, Exhaustion, Metric, NasIdentity, Period, PlanLimits, Quota, QuotaRole, Rate, Session,
    SessionKey, SubscriberId, SubscriberTerms, TopUp, UniqueId, Usage, Volume,
};
use crate::sessions::{Settings, SubscriberSessions, date_of, day_of, day_of_date, day_start};
use crate::time::{Now, UnixTime};

const MB: u64 = 1 << 20;

fn at(year: i16, month: i8, day: i8, hour: i8, zone: &TimeZone) -> Now {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    let instant = Instant::now();
    let unix = zone.to_timestamp(date(year, month, day).at(hour, 0, 0, 0)).unwrap().as_second();
    Now { instant, unix: UnixTime(unix) }
}

fn days(span: &std::ops::Range<Day>) -> (Date, Date) {
    (date_of(span.start), date_of(span.end))
}

fn spanned(period: Period, today: Date, month: u8) -> (Date, Date) {
    let begins = Begins { week: Weekday::Sunday, month };
    days(&span(period, day_of_date(today), begins).unwrap())
}

#[test]
fn t10_a_month_that_begins_on_the_28th_is_the_last_one_on_the_23rd() {
    assert_eq!(spanned(Period::Monthly, date(2026, 11, 23), 28), (date(2026, 10, 28), date(2026, 11, 28)));
    assert_eq!(spanned(Period::Monthly, date(2026, 11, 27), 28), (date(2026, 10, 28), date(2026, 11, 28)));
    assert_eq!(spanned(Period::Monthly, date(2026, 11, 28), 28), (date(2026, 11, 28), date(2026, 12, 28)));
}

#[test]
fn t11_who_joined_on_the_31st_of_january_has_a_month_until_the_28th_of_february() {
    for (today, expected) in [
        (date(2026, 1, 31), (date(2026, 1, 31), date(2026, 2, 28))),
        (date(2026, 2, 27), (date(2026, 1, 31), date(2026, 2, 28))),
        (date(2026, 2, 28), (date(2026, 2, 28), date(2026, 3, 31))),
        (date(2026, 3, 30), (date(2026, 2, 28), date(2026, 3, 31))),
        (date(2026, 4, 1), (date(2026, 3, 31), date(2026, 4, 30))),
        (date(2028, 2, 28), (date(2028, 1, 31), date(2028, 2, 29))),
        (date(2026, 1, 1), (date(2025, 12, 31), date(2026, 1, 31))),
    ] {
        assert_eq!(spanned(Period::Billing, today, 31), expected, "{today}");
    }
}

#[test]
fn periods_follow_each_other_without_a_gap_through_leap_years() {
    let (first, last) = (day_of_date(date(2023, 12, 1)), day_of_date(date(2033, 2, 1)));
    for month in [1, 15, 28, 29, 30, 31] {
        for week in [Weekday::Sunday, Weekday::Monday, Weekday::Saturday] {
            let begins = Begins { week, month };
            for period in [Period::Daily, Period::Weekly, Period::Monthly, Period::Quarterly, Period::Yearly]
            {
                let mut current = span(period, first, begins).unwrap();
                for day in first.0..last.0 {
                    let found = span(period, Day(day), begins).unwrap();
                    assert!(found.contains(&Day(day)), "{period:?} of {}", date_of(Day(day)));
                    if found != current {
                        assert_eq!(found.start, current.end, "{period:?} {month}");
                        assert_eq!(calendar::span_before(period, &found, begins), Some(current));
                    }
                    let length = found.end.0 - found.start.0;
                    assert!(length <= calendar::longest(period).into(), "{period:?} {month}: {length} days");
                    current = found;
                }
                let start = date_of(current.start);
                match period {
                    Period::Weekly => assert_eq!(start.weekday(), week),
                    Period::Monthly => {
                        assert_eq!(start.day(), i8::try_from(month).unwrap().min(start.days_in_month()));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Ten years of changes of the clocks, in every zone that is known.
#[test]
fn a_day_begins_once_whatever_the_clocks_do() {
    let from = TimeZone::UTC.to_timestamp(date(2020, 1, 1).at(0, 0, 0, 0)).unwrap();
    let to = at(2030, 1, 1, 0, &TimeZone::UTC).unix;
    let mut changes = 0;
    let mut seen = std::collections::HashSet::new();
    for name in jiff::tz::db().available() {
        let zone = TimeZone::get(name.as_str()).unwrap();
        let moved: Vec<i64> = zone
            .following(from)
            .map(|change| change.timestamp().as_second())
            .take_while(|at| *at < to.0)
            .collect();
        // Links and zones that move alike are one.
        let offset = zone.to_offset(from).seconds();
        if !seen.insert((offset, moved.clone())) {
            continue;
        }
        for change in moved {
            changes += 1;
            for by in [-86_400, -7_200, -3_600, -1, 0, 1, 1_800, 3_599, 3_600, 7_200, 86_400] {
                let time = UnixTime(change + by);
                let day = day_of(time, &zone);
                let (begun, ends) = (day_start(day, &zone), day_start(Day(day.0 + 1), &zone));
                assert!(begun <= time && time < ends, "{} {time:?}: {begun:?} to {ends:?}", name.as_str());
                assert!((72_000..=100_800).contains(&ends.since(begun)), "{}", name.as_str());
            }
        }
    }
    assert!(changes > 500, "{changes} changes of the clocks");
}

/// Where midnight does not exist or comes twice.
#[test]
fn odd_midnights_are_exact() {
    let begun = |name: &str, year, month, day| {
        let zone = TimeZone::get(name).unwrap();
        let start = day_start(day_of_date(date(year, month, day)), &zone);
        let civil = zone.to_datetime(jiff::Timestamp::from_second(start.0).unwrap());
        assert_eq!(day_of(start, &zone), day_of_date(date(year, month, day)), "{name}");
        assert_ne!(day_of(start.minus(1), &zone), day_of(start, &zone), "{name}");
        civil.to_string()
    };
    assert_eq!(begun("America/Santiago", 2025, 9, 7), "2025-09-07T01:00:00", "there is no midnight");
    assert_eq!(begun("America/Havana", 2025, 11, 2), "2025-11-02T00:00:00", "the first of two");
    assert_eq!(begun("America/Sao_Paulo", 2018, 2, 18), "2018-02-18T00:00:00", "after the second hour of 23");
    assert_eq!(begun("America/St_Johns", 2010, 11, 7), "2010-11-07T00:00:00", "a minute before 23:01");
    let zone = TimeZone::get("America/St_Johns").unwrap();
    let begun = day_start(day_of_date(date(2010, 11, 7)), &zone);
    assert_eq!(
        day_of(begun.plus(1800), &zone),
        day_of_date(date(2010, 11, 7)),
        "23:30 of the 6th, once more"
    );
}

fn bucket(metric: Metric, period: Period, limit: i64) -> Bucket {
    Bucket {
        metric,
        period,
        limit,
        carry_over: false,
        exhausted: Exhaustion::Refuse,
        begins: None,
        priority: 0,
        since: UnixTime(0),
        origin: Origin::Row,
        rule: "the rule".into(),
    }
}

fn step(limit: i64, exhausted: Exhaustion) -> Bucket {
    Bucket { exhausted, ..bucket(Metric::Total, Period::Monthly, limit) }
}

fn slow(down: u64) -> Exhaustion {
    Exhaustion::Throttle(Rate { down: Some(down), up: None })
}

fn used(seconds: u64, input: u64, output: u64) -> Usage {
    Usage { seconds, input, output }
}

/// Everything that a test may set; the zone is UTC.
struct World {
    holder: Holder,
    rows: Vec<Bucket>,
    sessions: SubscriberSessions,
    session: Option<UniqueId>,
    zone: TimeZone,
    now: Now,
}

impl World {
    fn new(rows: Vec<Bucket>) -> Self {
        Self {
            holder: Holder::default(),
            rows,
            sessions: SubscriberSessions::new(Some(SubscriberId(7))),
            session: None,
            zone: TimeZone::UTC,
            now: at(2026, 11, 23, 12, &TimeZone::UTC),
        }
    }

    fn used(mut self, day: Date, usage: Usage) -> Self {
        let lifetime = self.sessions.lifetime().plus(usage);
        self.sessions.continue_usage(vec![(Day::LIFETIME, lifetime), (day_of_date(day), usage)]);
        self
    }

    /// An open session that has used so much, heard of `ago` seconds ago.
    fn open(mut self, id: u8, usage: Usage, ago: u64) -> Self {
        let counter = |total| Counter { base: 0, reported: Some(total) };
        let updated = self.now.unix.minus(ago);
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let nas = NasIdentity { source, address: None, identifier: "".into() };
        let acct_session_id = smol_str::format_smolstr!("s{id}");
        let began = updated.minus(usage.seconds);
        let session = Session {
            subscriber: Some(SubscriberId(7)),
            user_name: "bob".into(),
            updated,
            interval: 600,
            session_time: counter(usage.seconds),
            input: counter(usage.input),
            output: counter(usage.output),
            counted: usage,
            ..Session::begun(SessionKey([id; 16]), UniqueId([id; 16]), nas, acct_session_id, began)
        };
        self.sessions.restore(session, &Settings::default(), self.now);
        self
    }

    fn account(&self) -> Account<'_> {
        Account {
            holder: Some(&self.holder),
            plan: None,
            rows: &self.rows,
            enforced: true,
            sessions: Some(&self.sessions),
            session: self.session,
            zone: &self.zone,
            week_start: Weekday::Sunday,
        }
    }

    fn weigh(&self) -> Result<Allowance, Spent> {
        self.account().weigh(self.now)
    }

    fn spent(&self) -> String {
        self.weigh().expect_err("something is used up").rule.to_string()
    }

    fn seconds(&self) -> Option<u64> {
        self.weigh().unwrap().time.map(|(seconds, _)| seconds)
    }
}

const TODAY: Date = date(2026, 11, 23);

#[test]
fn what_is_left_of_a_month_bounds_the_session_and_what_is_used_up_refuses() {
    let world = World::new(vec![bucket(Metric::Total, Period::Monthly, 100)]);
    let world = world.used(date(2026, 11, 1), used(0, 10, 20)).used(date(2026, 10, 31), used(0, 500, 500));
    let allowance = world.weigh().unwrap();
    assert_eq!(allowance.volume, Volume { total: Some(70), ..Volume::default() });
    assert_eq!(allowance.until, Some(at(2026, 12, 1, 0, &TimeZone::UTC).unix), "then there is more");
    let world = world.used(TODAY, used(0, 30, 40));
    assert_eq!(world.spent(), "the rule: 100 of 100 octets used");
}

#[test]
fn nothing_and_less_than_nothing_is_nothing_left() {
    for limit in [0, -1, i64::MIN] {
        for period in Period::ALL.map(|(period, _)| period) {
            let world = World::new(vec![bucket(Metric::Time, period, limit)]);
            assert!(world.spent().starts_with(&format!("the rule: 0 of {limit} s")), "{period:?}");
        }
    }
}

#[test]
fn a_day_and_a_month_hold_side_by_side() {
    let rows = vec![bucket(Metric::Time, Period::Daily, 3600), bucket(Metric::Time, Period::Monthly, 10_000)];
    let world = World::new(rows.clone()).used(date(2026, 11, 2), used(9_000, 0, 0));
    assert_eq!(world.seconds(), Some(1000), "the month");
    let world = World::new(rows.clone()).used(TODAY, used(3_000, 0, 0));
    assert_eq!(world.seconds(), Some(600), "the day");
    let world = World::new(rows).used(TODAY, used(3_600, 0, 0));
    assert_eq!(world.spent(), "the rule: 3600 of 3600 s used");
}

#[test]
fn time_that_begins_anew_before_it_is_used_up_does_not_bound_the_session() {
    let hour = |hour, rows| World { now: at(2026, 11, 23, hour, &TimeZone::UTC), ..World::new(rows) };
    // An hour a day, at 23:00: it lasts until midnight, and then there is another hour.
    let daily = vec![bucket(Metric::Time, Period::Daily, 3600)];
    assert_eq!(hour(23, daily.clone()).seconds(), Some(7200), "exactly to midnight, and the next hour");
    assert_eq!(hour(22, daily.clone()).seconds(), Some(3600), "it is used up before");
    assert_eq!(hour(23, daily.clone()).used(TODAY, used(1, 0, 0)).seconds(), Some(3599));
    // A whole day a day never ends.
    assert_eq!(hour(23, vec![bucket(Metric::Time, Period::Daily, 86_400)]).seconds(), None);
}

#[test]
fn each_direction_is_a_limit_of_its_own() {
    let world = World::new(vec![bucket(Metric::EachDirection, Period::Daily, 100)]);
    let world = world.used(TODAY, used(0, 20, 90));
    let volume = Volume { total: None, down: Some(10), up: Some(80) };
    assert_eq!(world.weigh().unwrap().volume, volume);
    assert_eq!(world.used(TODAY, used(0, 20, 100)).spent(), "the rule: 100 of 100 octets used");
}

#[test]
fn input_is_up_and_output_is_down() {
    let rows = vec![bucket(Metric::Up, Period::Daily, 100), bucket(Metric::Down, Period::Daily, 1000)];
    let world = World::new(rows).used(TODAY, used(0, 30, 400));
    assert_eq!(world.weigh().unwrap().volume, Volume { total: None, down: Some(600), up: Some(70) });
}

#[test]
fn what_was_left_is_carried_over_once() {
    let carried = Bucket { carry_over: true, ..bucket(Metric::Total, Period::Monthly, 100) };
    let left = |world: World| world.weigh().unwrap().volume.total;
    let world = || World::new(vec![carried.clone()]);
    assert_eq!(left(world().used(date(2026, 10, 31), used(0, 0, 40))), Some(160));
    assert_eq!(left(world()), Some(200), "never more than the limit of one period before");
    assert_eq!(left(world().used(date(2026, 10, 31), used(0, 0, 400))), Some(100), "a debt is not carried");
    let mut young = world();
    young.holder.created = at(2026, 11, 5, 0, &TimeZone::UTC).unix;
    assert_eq!(left(young), Some(100), "who was not there has nothing left from then");
}

#[test]
fn midnight_is_that_of_the_holders_zone() {
    let mut world = World::new(vec![bucket(Metric::Total, Period::Daily, 100)]);
    let zone = TimeZone::get("Asia/Tehran").unwrap();
    // 23:00 UTC of the 22nd is 02:30 of the 23rd in Tehran.
    world.now = at(2026, 11, 22, 23, &TimeZone::UTC);
    let mut world = world.used(date(2026, 11, 22), used(0, 0, 100));
    assert!(world.weigh().is_err(), "it is the 22nd in UTC");
    world.holder.zone = Some(zone.clone());
    let allowance = world.weigh().unwrap();
    assert_eq!(allowance.volume.total, Some(100));
    assert_eq!(allowance.until, Some(at(2026, 11, 24, 0, &zone).unix));
}

#[test]
fn a_week_begins_on_its_day() {
    let monday = Bucket { begins: Some(1), ..bucket(Metric::Total, Period::Weekly, 100) };
    // The 23rd of November 2026 is a Monday.
    let world = World::new(vec![monday]).used(date(2026, 11, 22), used(0, 0, 100));
    assert_eq!(world.weigh().unwrap().volume.total, Some(100));
    let world = World::new(vec![bucket(Metric::Total, Period::Weekly, 100)]);
    assert!(world.used(date(2026, 11, 22), used(0, 0, 100)).weigh().is_err(), "on Sunday, unless it is said");
}

#[test]
fn billing_months_go_by_the_day_of_joining_in_the_holders_zone() {
    let mut world = World::new(vec![bucket(Metric::Total, Period::Billing, 100)]);
    world.zone = TimeZone::get("Asia/Tokyo").unwrap();
    // Still the 9th in UTC.
    world.holder.joined = Some(at(2026, 3, 10, 1, &world.zone).unix);
    let world = world.used(date(2026, 11, 9), used(0, 0, 100));
    let allowance = world.weigh().unwrap();
    assert_eq!(allowance.volume.total, Some(100));
    assert_eq!(allowance.until, Some(at(2026, 12, 10, 0, &world.zone).unix));
}

#[test]
fn a_term_counts_from_its_beginning_and_a_row_since_ever() {
    let plan = Bucket { origin: Origin::Plan, ..bucket(Metric::Total, Period::Lifetime, 100) };
    let mut world = World::new(vec![plan]).used(date(2026, 1, 1), used(0, 500, 500));
    assert!(world.weigh().is_err());
    world.holder.before_term = used(0, 500, 480);
    assert_eq!(world.weigh().unwrap().volume.total, Some(80));
    world.rows[0].origin = Origin::Row;
    assert!(world.weigh().is_err());
}

#[test]
fn what_was_cleared_counts_in_no_period_and_what_came_after_it_does() {
    for period in
        [Period::Daily, Period::Weekly, Period::Monthly, Period::Quarterly, Period::Yearly, Period::Billing]
    {
        let mut world = World::new(vec![bucket(Metric::Total, period, 100)]).used(TODAY, used(0, 90, 40));
        assert!(world.weigh().is_err(), "{period:?}");
        world.holder.cleared = Some((day_of_date(TODAY), used(0, 90, 20)));
        assert_eq!(world.weigh().unwrap().volume.total, Some(80), "{period:?}");
    }
    let week = |cleared| {
        let yesterday = TODAY.yesterday().unwrap();
        let mut world = World::new(vec![bucket(Metric::Total, Period::Weekly, 100)])
            .used(yesterday.yesterday().unwrap(), used(0, 50, 0))
            .used(yesterday, used(0, 30, 0))
            .used(TODAY, used(0, 10, 0));
        world.holder.cleared = cleared;
        world.weigh().unwrap().volume.total
    };
    assert_eq!(
        date_of(day_of_date(TODAY)).weekday(),
        Weekday::Monday,
        "so that the week has begun yesterday"
    );
    let on = |date: Date| day_of_date(date);
    assert_eq!(week(None), Some(60));
    assert_eq!(week(Some((on(TODAY.yesterday().unwrap()), used(0, 30, 0)))), Some(90));
    // A week before is over: it takes nothing from this one.
    assert_eq!(week(Some((on(TODAY.yesterday().unwrap().yesterday().unwrap()), used(0, 50, 0)))), Some(60));
}

#[test]
fn the_deepest_step_that_is_used_up_sets_the_rate() {
    let portal = Exhaustion::Redirect("http://portal/".into());
    let ladder = vec![
        step(100, slow(2_000_000)),
        step(200, slow(500_000)),
        step(300, portal),
        step(400, Exhaustion::Refuse),
    ];
    let world = |octets| World::new(ladder.clone()).used(TODAY, used(0, 0, octets));
    let told = |octets| {
        let allowance = world(octets).weigh().unwrap();
        (allowance.rate.down, allowance.redirect, allowance.volume.total)
    };
    assert_eq!(told(99), (None, None, Some(301)), "no step stops the session; the last does");
    assert_eq!(told(100), (Some(2_000_000), None, Some(300)));
    assert_eq!(told(200), (Some(500_000), None, Some(200)));
    assert_eq!(told(300), (None, Some("http://portal/".into()), Some(100)));
    assert!(world(400).weigh().is_err(), "refusal beats all");
}

#[test]
fn of_different_ladders_the_slower_rate_holds() {
    let daily = Bucket { period: Period::Daily, ..step(10, slow(64_000)) };
    let world = World::new(vec![daily, step(100, slow(2_000_000))]).used(TODAY, used(0, 0, 100));
    assert_eq!(world.weigh().unwrap().rate.down, Some(64_000));
}

#[test]
fn open_sessions_share_what_is_left() {
    let rows = vec![bucket(Metric::Total, Period::Daily, 1000), bucket(Metric::Time, Period::Daily, 9000)];
    let world =
        World::new(rows).used(TODAY, used(0, 0, 100)).open(1, used(0, 0, 60), 0).open(2, used(0, 0, 40), 0);
    let allowance = world.weigh().unwrap();
    assert_eq!(allowance.volume.total, Some(300), "a third one");
    assert_eq!(allowance.time.unwrap().0, 3000);
    let first = World { session: Some(UniqueId([1; 16])), ..world };
    assert_eq!(first.weigh().unwrap().volume.total, Some(60 + 450), "its own past, and half of what is left");
}

#[test]
fn time_runs_while_nothing_is_heard() {
    let rows = vec![bucket(Metric::Time, Period::Daily, 1000)];
    let world = |ago| World::new(rows.clone()).used(TODAY, used(300, 0, 0)).open(1, used(300, 0, 0), ago);
    assert_eq!(world(200).seconds(), Some(250), "500 are left for two");
    assert_eq!(world(700).spent(), "the rule: 1000 of 1000 s used");
    let own = World { session: Some(UniqueId([1; 16])), ..world(200) };
    assert_eq!(own.seconds(), Some(500));
}

#[test]
fn a_limit_of_the_session_knows_nothing_of_others() {
    let rows = vec![bucket(Metric::Total, Period::Session, 1000), bucket(Metric::Time, Period::Session, 600)];
    let world = World::new(rows).used(TODAY, used(9000, 9000, 9000)).open(1, used(300, 400, 500), 100);
    let allowance = world.weigh().unwrap();
    assert_eq!((allowance.volume.total, allowance.time.unwrap().0), (Some(1000), 600));
    let own = World { session: Some(UniqueId([1; 16])), ..world };
    let allowance = own.weigh().unwrap();
    assert_eq!((allowance.volume.total, allowance.time.unwrap().0), (Some(1000), 200));
}

#[test]
fn records_come_sooner_when_little_is_left() {
    let world = World::new(vec![bucket(Metric::Total, Period::Daily, i64::try_from(100 * MB).unwrap())]);
    let allowance = world.weigh().unwrap();
    let line = Rate { down: Some(8_000_000), up: None };
    assert_eq!(allowance.interim(line), Some(100 * MB / 1_000_000 / 2), "half of the time that it lasts");
    assert_eq!(allowance.interim(Rate::default()), None, "nobody knows how fast the line is");
    let world = World { session: Some(UniqueId([1; 16])), ..world.open(1, used(100, 0, 10 * MB), 0) };
    let seconds = world.weigh().unwrap().interim(Rate::default()).unwrap();
    assert!((495..=505).contains(&seconds), "1 MB a second was shown: {seconds}");
}

fn top_up(id: i64, amount: u64, expires: Option<UnixTime>) -> TopUp {
    TopUp { id, is_time: false, amount, used: 0, expires, created: UnixTime(id) }
}

fn with_top_ups(mut world: World, top_ups: Vec<TopUp>) -> World {
    let terms = SubscriberTerms { top_ups, ..SubscriberTerms::default() };
    world.holder.top_ups = Holder::new(&terms, None).0.top_ups;
    world
}

#[test]
fn a_top_up_lifts_what_is_used_up_until_it_lapses() {
    let world = World::new(vec![bucket(Metric::Total, Period::Monthly, 100)]).used(TODAY, used(0, 0, 120));
    let lapses = world.now.unix.plus(60);
    let mut world = with_top_ups(world, vec![top_up(1, 50, Some(lapses))]);
    let allowance = world.weigh().unwrap();
    assert_eq!((allowance.volume.total, allowance.until), (Some(50), Some(lapses)));
    world.sessions.charge(1, 20);
    assert_eq!(world.weigh().unwrap().volume.total, Some(30));
    world.sessions.charge(1, 50);
    assert!(world.weigh().is_err(), "it is used up");
    let mut lapsed = with_top_ups(world, vec![top_up(2, 50, Some(lapses))]);
    lapsed.now = lapsed.now.plus(std::time::Duration::from_secs(60));
    assert!(lapsed.weigh().is_err(), "it lapsed");
}

#[test]
fn a_top_up_lifts_every_step_but_not_the_limit_of_a_session() {
    let rows = vec![step(100, slow(64_000)), bucket(Metric::Total, Period::Session, 70)];
    let world = with_top_ups(World::new(rows).used(TODAY, used(0, 0, 150)), vec![top_up(1, 50, None)]);
    let allowance = world.weigh().unwrap();
    assert_eq!((allowance.rate, allowance.volume.total), (Rate::default(), Some(70)));
}

#[test]
fn what_goes_beyond_the_quotas_is_charged_to_what_lapses_first() {
    let world = World::new(vec![bucket(Metric::Total, Period::Monthly, 100)]);
    let now = world.now;
    let top_ups = vec![
        top_up(1, 50, None),
        top_up(2, 50, Some(now.unix.plus(99_000))),
        top_up(3, 50, Some(now.unix.plus(60))),
        top_up(4, 50, Some(now.unix)),
    ];
    let mut world = with_top_ups(world, top_ups);
    let mut count = |octets: u64| {
        let before = world.sessions.used_within(day_of_date(TODAY)..Day(i32::MAX));
        let after = before.plus(used(0, 0, octets));
        world.sessions.continue_usage(vec![(day_of_date(TODAY), after), (Day::LIFETIME, after)]);
        let charged = world.account().charge(&[(day_of_date(TODAY), used(0, 0, octets))], now);
        for (id, used) in &charged {
            world.sessions.charge(*id, *used);
        }
        charged.to_vec()
    };
    assert_eq!(count(90), []);
    assert_eq!(count(30), [(3, 20)], "20 of them are beyond");
    assert_eq!(count(70), [(3, 50), (2, 40)]);
    assert_eq!(count(100), [(2, 50), (1, 50)], "and 40 were never paid for");
    assert!(world.weigh().is_err());
}

#[test]
fn each_part_of_a_record_over_midnight_is_held_against_its_own_day() {
    let mut world = World::new(vec![bucket(Metric::Time, Period::Daily, 100)]);
    world.holder.top_ups = Box::new([TopUp { is_time: true, ..top_up(1, 1000, None) }]);
    let yesterday = date(2026, 11, 22);
    let parts = [(day_of_date(yesterday), used(150, 0, 0)), (day_of_date(TODAY), used(80, 0, 0))];
    let world = world.used(yesterday, used(150, 0, 0)).used(TODAY, used(80, 0, 0));
    assert_eq!(world.account().charge(&parts, world.now).to_vec(), [(1, 50)]);
}

#[test]
fn a_plan_has_its_figures_and_its_rows() {
    let quota = Quota {
        id: 5,
        metric: Metric::Down,
        period: Period::Weekly,
        limit: 9,
        carry_over: true,
        exhausted: slow(1),
        begins: Some(6),
        priority: 3,
        created: UnixTime(1),
        role: QuotaRole::Beside,
    };
    let plan = CompiledPlan::new(&PlanLimits {
        id: PlanId(3),
        name: "gold".into(),
        group: "gold".into(),
        rate: Rate { down: Some(8), up: None },
        time: Some(60),
        volume: None,
        daily_time: None,
        daily_volume: Some(70),
        monthly_time: None,
        monthly_volume: Some(80),
        reset_day: Some(31),
        concurrency: None,
        quotas: vec![quota],
        charges: Vec::new(),
    });
    let rules: Vec<_> = plan.buckets.iter().map(|bucket| bucket.rule.as_str()).collect();
    let expected = [
        "plan gold: time 60",
        "plan gold: daily quota 70",
        "plan gold: monthly quota 80",
        "tk_quota 5 of plan gold: weekly data_down 9 octets",
    ];
    assert_eq!(rules, expected);
    assert_eq!(plan.buckets[3].days(), 14, "this week's and the last one's");
    let world = World::new(Vec::new());
    let account = Account { plan: Some(&plan), ..world.account() };
    let allowance = account.weigh(world.now).unwrap();
    assert_eq!(allowance.volume, Volume { total: Some(70), down: None, up: None }, "a step does not bound");
    assert_eq!(allowance.time, Some((60, "plan gold: time 60".into())));
}
