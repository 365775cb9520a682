//! All buckets of a subscriber weighed at one moment.

use std::ops::Range;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use super::bucket::{Bucket, CompiledPlan, Holder, Origin, weekday};
use super::calendar::{self, Begins};
use crate::domain::{Day, Exhaustion, Metric, Period, Rate, Session, UniqueId, Usage, Volume};
use crate::sessions::{SubscriberSessions, date_of, day_of, day_start};
use crate::time::{Now, UnixTime};

/// Everything that a balance is made of.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Whose it is; `None` is somebody of whom nothing is said.
    pub holder: Option<&'a Holder>,
    /// Its plan.
    pub plan: Option<&'a CompiledPlan>,
    /// Buckets of its rows.
    pub rows: &'a [Bucket],
    /// Its limits hold; else they are only told.
    pub enforced: bool,
    /// What it used. `None`: nothing.
    pub sessions: Option<&'a SubscriberSessions>,
    /// The open session that is weighed; `None` for one that is about to begin.
    pub session: Option<UniqueId>,
    /// The zone of holders without one.
    pub zone: &'a TimeZone,
    /// The first day of weeks that do not say.
    pub week_start: Weekday,
}

/// What is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Seconds from now on, and what says so.
    pub time: Option<(u64, SmolStr)>,
    /// Octets from the session's beginning on.
    pub volume: Volume,
    /// The rate of what is used up, where that slows sessions down.
    pub rate: Rate,
    /// The URL of what is used up, where that redirects sessions.
    pub redirect: Option<SmolStr>,
    /// When another answer is due, if nothing else happens.
    pub until: Option<UnixTime>,
    /// Octets that the session may move until something is used up: total, down, up.
    near: Volume,
    /// The mean rate of the session, bit/s: what a line without a rate is believed to do.
    shown: Rate,
}

/// A bucket is used up, and nothing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Seconds, not octets.
    pub is_time: bool,
    /// The bucket in words, with its figures.
    pub rule: SmolStr,
}

/// A bucket at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// Which.
    pub bucket: &'a Bucket,
    /// When its period began.
    pub begun: Option<UnixTime>,
    /// When it begins anew.
    pub ends: Option<UnixTime>,
    /// Seconds or octets of the period, with what was carried over.
    pub limit: i64,
    /// What was counted in the period.
    pub used: Usage,
}

impl State<'_> {
    /// What is left of one metric; below 0 where more was used than there was.
    #[must_use]
    pub fn left(&self, metric: Metric) -> i64 {
        self.limit.saturating_sub(i64::try_from(metric.of(self.used)).unwrap_or(i64::MAX))
    }
}

impl<'a> Account<'a> {
    /// The buckets, those that decide first in front: priority, then the rows', the plan's, its own.
    pub fn buckets(&self) -> SmallVec<[&'a Bucket; 8]> {
        let plan = self.plan.map_or(&[][..], |plan| &plan.buckets);
        let own = self.holder.map_or(&[][..], |holder| &holder.buckets);
        let stays = |bucket: &&Bucket| !self.holder.is_some_and(|holder| holder.replaces(bucket));
        let mut buckets: SmallVec<[&Bucket; 8]> =
            self.rows.iter().chain(plan).filter(stays).chain(own).collect();
        buckets.sort_by_key(|bucket| bucket.priority);
        buckets
    }

    /// Every bucket as it stands, a session's as it is for one that is about to begin.
    #[must_use]
    pub fn states(&self, now: UnixTime) -> Vec<State<'a>> {
        let today = day_of(now, self.zone());
        self.buckets().into_iter().map(|bucket| self.state(bucket, today, Usage::default())).collect()
    }

    /// What was used today.
    #[must_use]
    pub fn today(&self, now: UnixTime) -> Usage {
        let today = day_of(now, self.zone());
        self.within(today..Day(today.0.saturating_add(1)))
    }

    /// The zone whose midnights count.
    #[must_use]
    pub fn zone(&self) -> &'a TimeZone {
        self.holder.and_then(|holder| holder.zone.as_ref()).unwrap_or(self.zone)
    }

    /// A bucket on a day. `own` is the usage of the session that is weighed.
    pub(super) fn state(&self, bucket: &'a Bucket, today: Day, own: Usage) -> State<'a> {
        let begins = self.begins(bucket);
        let Some(span) = calendar::span(bucket.period, today, begins) else {
            let used = match (bucket.period, bucket.origin) {
                (Period::Session, _) => own,
                (_, Origin::Row | Origin::Group) => self.lifetime(),
                (_, Origin::Plan | Origin::Subscriber | Origin::InPlace) => self.of_term(),
            };
            return State { bucket, begun: None, ends: None, limit: bucket.limit, used };
        };
        let zone = self.zone();
        let begun = day_start(span.start, zone);
        State {
            bucket,
            begun: Some(begun),
            ends: Some(day_start(span.end, zone)),
            limit: bucket
                .limit
                .saturating_add(self.carried(bucket, &span, begun, begins))
                .saturating_add(self.extra(bucket, begun, day_start(span.end, zone))),
            used: self.within(span),
        }
    }

    /// What is on top of the limit in this period.
    fn extra(&self, bucket: &Bucket, begun: UnixTime, ends: UnixTime) -> i64 {
        let extras = self.holder.map_or(&[][..], |holder| &holder.extras);
        extras
            .iter()
            .filter(|extra| (extra.is_time, extra.period) == (bucket.metric.is_time(), bucket.period))
            .filter(|extra| begun <= extra.given && extra.given < ends)
            .fold(0, |sum: i64, extra| sum.saturating_add(extra.amount))
    }

    /// Seconds that open sessions have used since their last signs of life, and since `begun`.
    #[must_use]
    pub fn pending(&self, begun: UnixTime, now: Now) -> u64 {
        let alive = self.sessions.into_iter().flat_map(|sessions| sessions.alive(now));
        alive.fold(0, |sum: u64, (_, updated)| sum.saturating_add(now.unix.since(begun.max(updated))))
    }

    /// What was used in the period that a day lies in, a term's for one that is never over, and when the
    /// next one begins.
    #[must_use]
    pub fn used_over(&self, period: Period, now: UnixTime) -> (Usage, Option<UnixTime>) {
        let month = self.holder.and_then(|holder| holder.reset_day).or_else(|| self.plan?.reset_day);
        let begins = Begins { week: self.week_start, month: month.unwrap_or(1) };
        match calendar::span(period, day_of(now, self.zone()), begins) {
            Some(span) => {
                let ends = day_start(span.end, self.zone());
                (self.within(span), Some(ends))
            }
            None => (self.of_term(), None),
        }
    }

    /// What is left of top-ups, seconds or octets.
    #[must_use]
    pub fn bought(&self, is_time: bool, now: UnixTime) -> u64 {
        self.topped(is_time, now).map_or(0, |topped| topped.left.max(0).unsigned_abs())
    }

    /// What was used in the present term.
    #[must_use]
    pub fn of_term(&self) -> Usage {
        let (before, said) =
            self.holder.map(|holder| (holder.before_term, holder.said_used)).unwrap_or_default();
        self.lifetime().beyond(before).plus(said)
    }

    /// What was left of the limit of the period before.
    fn carried(&self, bucket: &Bucket, span: &Range<Day>, begun: UnixTime, begins: Begins) -> i64 {
        let since = self.holder.map_or(bucket.since, |holder| holder.created.max(bucket.since));
        if !bucket.carry_over || begun <= since {
            return 0;
        }
        let Some(before) = calendar::span_before(bucket.period, span, begins) else { return 0 };
        let used = i64::try_from(bucket.metric.of(self.within(before))).unwrap_or(i64::MAX);
        bucket.limit.saturating_sub(used).max(0)
    }

    fn begins(&self, bucket: &Bucket) -> Begins {
        let own = bucket.begins.filter(|_| bucket.period == Period::Monthly);
        let month = if bucket.period == Period::Billing {
            let joined = self.holder.and_then(|holder| holder.joined);
            joined.map(|at| date_of(day_of(at, self.zone())).day().unsigned_abs())
        } else {
            own.or_else(|| self.holder?.reset_day).or_else(|| self.plan?.reset_day)
        };
        let week = bucket.begins.filter(|_| bucket.period == Period::Weekly).and_then(weekday);
        Begins { week: week.unwrap_or(self.week_start), month: month.unwrap_or(1) }
    }

    /// What was used on some days, as far as it counts: of those with the day on which an operator cleared it
    /// in them, what was used since.
    #[must_use]
    pub fn within(&self, days: Range<Day>) -> Usage {
        let Some(sessions) = self.sessions else { return Usage::default() };
        match self.holder.and_then(|holder| holder.cleared) {
            Some((day, used)) if days.contains(&day) => sessions.used_within(day..days.end).beyond(used),
            _ => sessions.used_within(days),
        }
    }

    fn lifetime(&self) -> Usage {
        self.sessions.map(SubscriberSessions::lifetime).unwrap_or_default()
    }

    /// Weighs all buckets. What is left is parted among the sessions that are open and the one that is
    /// weighed, so that together they use it up and no more, as long as each learns when another one
    /// comes: until then they can use up to a share more.
    ///
    /// # Errors
    /// A bucket that refuses is used up.
    pub fn weigh(&self, now: Now) -> Result<Allowance, Spent> {
        let buckets = self.buckets();
        if buckets.is_empty() || !self.enforced {
            return Ok(Allowance::default());
        }
        let alive: SmallVec<[(UniqueId, UnixTime); 4]> =
            self.sessions.map(|sessions| sessions.alive(now).collect()).unwrap_or_default();
        let own = self.session.and_then(|id| self.sessions?.session(id));
        let others = alive.iter().filter(|(id, _)| Some(*id) != self.session).count();
        let scale = Scale {
            account: self,
            now: now.unix,
            today: day_of(now.unix, self.zone()),
            alive,
            shares: i64::try_from(others).unwrap_or(i64::MAX).saturating_add(1),
            used: own.as_ref().map(Session::total).unwrap_or_default(),
            updated: own.as_ref().map(|own| own.updated),
        };
        scale.weigh(&buckets)
    }
}

/// An account at one moment.
struct Scale<'s, 'a> {
    account: &'s Account<'a>,
    now: UnixTime,
    today: Day,
    /// Sessions that use something at this moment, and since when that is not known.
    alive: SmallVec<[(UniqueId, UnixTime); 4]>,
    /// Among how many sessions a balance is parted.
    shares: i64,
    /// What the session that is weighed has used.
    used: Usage,
    updated: Option<UnixTime>,
}

impl Scale<'_, '_> {
    fn weigh(&self, buckets: &[&Bucket]) -> Result<Allowance, Spent> {
        let mut allowance = Allowance { shown: self.shown(), ..Allowance::default() };
        let mut empty: SmallVec<[&Bucket; 4]> = SmallVec::new();
        let (time, data) = (self.account.topped(true, self.now), self.account.topped(false, self.now));
        for bucket in buckets {
            let state = self.account.state(bucket, self.today, self.used);
            allowance.at(state.ends);
            let bought = if bucket.metric.is_time() { &time } else { &data };
            // A session's own limit is no balance that could be filled up.
            let bought = bought.as_ref().filter(|_| bucket.period != Period::Session);
            let pending = self.pending(&state);
            let counted = state.left(bucket.metric);
            if let Some(bought) = bought
                && counted <= 0
            {
                allowance.at(bought.expires);
            }
            let reach = |left: i64| {
                left.max(0).saturating_add(bought.map_or(0, |bought| bought.left)).saturating_sub(pending)
            };
            if reach(counted) <= 0 {
                match bucket.exhausted {
                    Exhaustion::Refuse => return Err(spent(&state, pending)),
                    Exhaustion::Throttle(_) | Exhaustion::Redirect(_) => empty.push(bucket),
                }
                continue;
            }
            let refuses = bucket.exhausted == Exhaustion::Refuse;
            if bucket.metric.is_time() {
                self.time(&mut allowance, &state, reach(counted), refuses);
            } else {
                self.volume(&mut allowance, &state, reach, refuses);
            }
        }
        allowance.slow_down(&empty);
        Ok(allowance)
    }

    /// Seconds that open sessions have used since their last sign of life.
    fn pending(&self, state: &State<'_>) -> i64 {
        if !state.bucket.metric.is_time() {
            return 0;
        }
        let begun = state.begun.unwrap_or(UnixTime(i64::MIN));
        let since = |at: UnixTime| i64::try_from(self.now.since(begun.max(at))).unwrap_or(i64::MAX);
        if state.bucket.period == Period::Session {
            return self.updated.map_or(0, since);
        }
        self.alive.iter().fold(0, |sum: i64, (_, updated)| sum.saturating_add(since(*updated)))
    }

    fn share(&self, state: &State<'_>, left: i64) -> u64 {
        let shares = if state.bucket.period == Period::Session { 1 } else { self.shares };
        // Rounded up: a share is never nothing while something is left.
        let share = left.saturating_add(shares - 1) / shares;
        share.max(1).unsigned_abs()
    }

    /// Bounds the time of the session. What begins anew before it is used up does not bound it, but what
    /// it begins anew with may.
    fn time(&self, allowance: &mut Allowance, state: &State<'_>, reach: i64, refuses: bool) {
        let mut seconds = self.share(state, reach);
        if let Some(ends) = state.ends {
            let before = ends.since(self.now);
            if before <= seconds {
                let bucket = state.bucket;
                let begins = self.account.begins(bucket);
                let next = day_of(ends, self.account.zone());
                let Some(span) = calendar::span(bucket.period, next, begins) else { return };
                let drained = i64::try_from(before).unwrap_or(i64::MAX).saturating_mul(self.shares);
                let unused = reach.min(state.bucket.limit.max(0)).saturating_sub(drained).max(0);
                let carried = if bucket.carry_over { unused } else { 0 };
                let anew = self.share(state, bucket.limit.max(0).saturating_add(carried));
                if day_start(span.end, self.account.zone()).since(ends) <= anew {
                    return;
                }
                seconds = before.saturating_add(anew);
            }
        }
        if !refuses {
            allowance.at(Some(self.now.plus(seconds)));
        } else if allowance.time.as_ref().is_none_or(|(least, _)| seconds < *least) {
            allowance.time = Some((seconds, state.bucket.rule.clone()));
        }
    }

    fn volume(
        &self,
        allowance: &mut Allowance,
        state: &State<'_>,
        reach: impl Fn(i64) -> i64,
        refuses: bool,
    ) {
        let metrics = match state.bucket.metric {
            Metric::EachDirection => &[Metric::Down, Metric::Up][..],
            Metric::Total => &[Metric::Total],
            Metric::Down => &[Metric::Down],
            Metric::Up => &[Metric::Up],
            Metric::Time => &[],
        };
        for metric in metrics {
            let share = self.share(state, reach(state.left(*metric)));
            least(&mut allowance.near, *metric, share);
            if refuses {
                least(&mut allowance.volume, *metric, metric.of(self.used).saturating_add(share));
            }
        }
    }

    fn shown(&self) -> Rate {
        let rate = |octets: u64| {
            let rate = octets.saturating_mul(8).checked_div(self.used.seconds)?;
            (rate > 0).then_some(rate)
        };
        Rate { down: rate(self.used.output), up: rate(self.used.input) }
    }
}

impl Allowance {
    /// The longest wait for the next record of the session, seconds, so that it moves at most twice what
    /// it does in that time before it is looked at again: half of the time in which the line, or what the
    /// session has shown, could use up what is left. `None`: nothing is near.
    #[must_use]
    pub fn interim(&self, rate: Rate) -> Option<u64> {
        let down = rate.down.or(self.shown.down);
        let up = rate.up.or(self.shown.up);
        let both = match (down, up) {
            (Some(down), Some(up)) => Some(down.saturating_add(up)),
            (one, other) => one.or(other),
        };
        let seconds = |octets: Option<u64>, rate: Option<u64>| octets?.saturating_mul(8).checked_div(rate?);
        let all = [seconds(self.near.total, both), seconds(self.near.down, down), seconds(self.near.up, up)];
        all.into_iter().flatten().min().map(|seconds| seconds / 2)
    }

    /// Something else than a quota, such as a credit, reaches no further than so many octets of both
    /// directions from now on.
    pub fn near_total(&mut self, octets: u64) {
        least(&mut self.near, Metric::Total, octets);
    }

    fn at(&mut self, time: Option<UnixTime>) {
        self.until = [self.until, time].into_iter().flatten().min();
    }

    /// Of the steps of one ladder (one metric, one period) the deepest counts; of different ladders the
    /// slower rate.
    fn slow_down(&mut self, empty: &[&Bucket]) {
        for (place, bucket) in empty.iter().enumerate() {
            let is_deeper = |(other_place, other): (usize, &&Bucket)| {
                (other.metric, other.period) == (bucket.metric, bucket.period)
                    && (other.limit, other_place) > (bucket.limit, place)
            };
            if empty.iter().enumerate().any(is_deeper) {
                continue;
            }
            match &bucket.exhausted {
                Exhaustion::Refuse => {}
                Exhaustion::Throttle(rate) => {
                    self.rate.down = [self.rate.down, rate.down].into_iter().flatten().min();
                    self.rate.up = [self.rate.up, rate.up].into_iter().flatten().min();
                }
                Exhaustion::Redirect(url) => {
                    self.redirect.get_or_insert_with(|| url.clone());
                }
            }
        }
    }
}

fn least(volume: &mut Volume, metric: Metric, octets: u64) {
    let held = match metric {
        Metric::Down => &mut volume.down,
        Metric::Up => &mut volume.up,
        _ => &mut volume.total,
    };
    *held = Some(held.map_or(octets, |held| held.min(octets)));
}

fn spent(state: &State<'_>, pending: i64) -> Spent {
    let metric = state.bucket.metric;
    let used = metric.of(state.used).saturating_add(pending.unsigned_abs());
    let unit = if metric.is_time() { "s" } else { "octets" };
    let rule = format_smolstr!("{}: {used} of {} {unit} used", state.bucket.rule, state.limit);
    Spent { is_time: metric.is_time(), rule }
}
