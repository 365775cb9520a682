//! What an account may use, in the place of what its plan says: figures of its own, what is left of them,
//! and how they are changed.
//!
//! A dialect copies a plan to the account and changes the copy; here the account's figure takes the place of
//! the plan's of the same kind (time or volume) and period, and what has no figure of its own is the plan's.

use std::fmt::Write as _;
use std::sync::Arc;

use smol_str::SmolStr;

use super::error::ServiceError;
use super::management::Management;
use super::plans::Plans;
use crate::domain::operator::Scope;
use crate::domain::{
    AccountOverride, Day, Exhaustion, Metric, Period, Quota, QuotaRole, Rate, SubscriberId, Usage, Who,
};
use crate::engine::policy::{Attempt, Subscriber};
use crate::engine::quota::{Account, Bucket, Origin};
use crate::engine::{CompiledGroup, Compiler};
use crate::radius::attribute::{Attributes, IDLE_TIMEOUT, VENDOR_SPECIFIC, vendor, vendor_attributes};
use crate::sessions::{self, SubscriberSessions};
use crate::store::{Figure, LimitEdit, OwnEdit, QuotaEdit};
use crate::time::{Now, UnixTime};

/// What an account may use and has used, live: the seconds that open sessions have used since their last
/// records are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    /// Whose.
    pub subscriber: SubscriberId,
    /// Of the present term: since the plan, or its last renewal, began.
    pub term: Both,
    /// Of today.
    pub daily: Both,
    /// Of the present month.
    pub monthly: Both,
    /// What was used in the term.
    pub used: Usage,
    /// What was used since ever.
    pub lifetime: Usage,
    /// How fast its sessions are where nothing is used up: its own rate, else what the rows say in
    /// WISPr's words, else the plan's.
    pub rate: Rate,
    /// Idle-Timeout, seconds.
    pub idle_timeout: Option<u32>,
    /// Simultaneous-Use.
    pub places: Option<u32>,
    /// What is its own of the three above.
    pub own: AccountOverride,
    /// Seconds that open sessions have used since their last records.
    pub pending: u64,
}

/// The limits of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Both {
    /// Seconds online.
    pub time: Limit,
    /// Octets.
    pub data: Limit,
}

/// A limit of one kind over one period: of several that hold, the one of which the least is left. What only
/// slows sessions down or redirects them is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it counts; of the account's own figure if it has one.
    pub metric: Metric,
    /// Seconds or octets, with what is on top of it in this period; `None` is unlimited.
    pub limit: Option<u64>,
    /// Seconds or octets, with top-ups; `None` is unlimited.
    pub left: Option<u64>,
    /// The figure that is kept where there is no limit, and holds again when it is no longer lifted; else
    /// the limit itself, without what is on top of it.
    pub figure: Option<u64>,
    /// What was used in the period.
    pub used: Usage,
    /// When the next one begins.
    pub ends: Option<UnixTime>,
    /// The figure is the account's own.
    pub is_own: bool,
}

impl Limit {
    /// No limit, and nothing used.
    #[must_use]
    pub const fn none(metric: Metric) -> Self {
        let used = Usage { seconds: 0, input: 0, output: 0 };
        Self { metric, limit: None, left: None, figure: None, used, ends: None, is_own: false }
    }

    /// Is there none?
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.limit.is_none()
    }
}

impl AccountLimits {
    /// Those of an account that is being made: nothing is limited or used yet.
    #[must_use]
    pub const fn of_new() -> Self {
        const BOTH: Both = Both { time: Limit::none(Metric::Time), data: Limit::none(Metric::Total) };
        let own = AccountOverride { rate: Rate { down: None, up: None }, idle_timeout: None, places: None };
        let none = Usage { seconds: 0, input: 0, output: 0 };
        Self {
            subscriber: SubscriberId(0),
            term: BOTH,
            daily: BOTH,
            monthly: BOTH,
            used: none,
            lifetime: none,
            rate: own.rate,
            idle_timeout: None,
            places: None,
            own,
            pending: 0,
        }
    }
}

/// What shall be different about the limits of an account; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitChange {
    /// Seconds of the term.
    pub term_time: Turn,
    /// Octets of the term.
    pub term_data: Turn,
    /// Seconds of a day.
    pub daily_time: Turn,
    /// Octets of a day.
    pub daily_data: Turn,
    /// Seconds of a month.
    pub monthly_time: Turn,
    /// Octets of a month.
    pub monthly_data: Turn,
    /// How octets count in figures that are given here; `None` as they do now.
    pub data_metric: Option<Metric>,
    /// So many seconds count as used in the term; what is left stays what it is.
    pub time_used: Option<u64>,
    /// Bit/s to the subscriber; `Some(None)` leaves it to the rows and the plan.
    pub rate_down: Option<Option<u64>>,
    /// Bit/s from the subscriber.
    pub rate_up: Option<Option<u64>>,
    /// When a session that does nothing ends.
    pub idle: Option<Idle>,
    /// Simultaneous-Use; `Some(None)` leaves it to the rows and the plan.
    pub places: Option<Option<u32>>,
    /// A plan begins with the same transaction, and a term with it: nothing of it is used yet, and figures
    /// that are not given are the plan's again.
    pub begins_term: bool,
}

/// What shall be different about one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The plan's figure is to hold again; the rest says nothing then.
    pub as_plan: bool,
    /// Whether there is none. A figure that is given without this word limits.
    pub unlimited: Option<bool>,
    /// Seconds or octets.
    pub limit: Option<u64>,
    /// What is left of it: of a term the limit follows, of a day or month it stays and this holds until the
    /// next one begins.
    pub left: Option<Left>,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// So much.
    Set(u64),
    /// So much more than now; what is not limited stays so.
    Add(u64),
}

/// What ends a session that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing.
    Never,
    /// What the plan and the rows say; [`IDLE_SECONDS`] where they say nothing.
    Usual,
    /// So many seconds.
    Seconds(u32),
    /// What the plan and the rows say, if anything.
    AsPlan,
}

/// Seconds after which an idle session ends where it is to end and no plan says when.
pub const IDLE_SECONDS: u32 = 600;

/// Seconds or octets beyond this are a mistake.
const FIGURE_MAX: u64 = 1 << 53;
/// Open sessions that are read of one account.
const SESSIONS_MAX: u32 = 10_000;

impl Turn {
    /// Nothing shall be different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl LimitChange {
    /// What is written for it, where `now` is how the account stands. Pure, so that a verb that does more
    /// than this can write it in a transaction of its own.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a figure that cannot be.
    pub fn edit(&self, now: &AccountLimits) -> Result<LimitEdit, ServiceError> {
        let turns = [
            ("time", Period::Lifetime, self.term_time, &now.term.time),
            ("quota", Period::Lifetime, self.term_data, &now.term.data),
            ("daily_time", Period::Daily, self.daily_time, &now.daily.time),
            ("daily_quota", Period::Daily, self.daily_data, &now.daily.data),
            ("monthly_time", Period::Monthly, self.monthly_time, &now.monthly.time),
            ("monthly_quota", Period::Monthly, self.monthly_data, &now.monthly.data),
        ];
        let (mut edit, mut said) = (LimitEdit::default(), String::new());
        for (name, period, mut turn, limit) in turns {
            for figure in [turn.limit, turn.left.map(|(Left::Set(left) | Left::Add(left))| left)] {
                if figure.is_some_and(|figure| figure > FIGURE_MAX) {
                    return Err(ServiceError::invalid(name, "is too large"));
                }
            }
            turn.tell(name, &mut said);
            let is_time = limit.metric.is_time();
            if is_time && period == Period::Lifetime && self.keeps_time_left(&turn, limit) {
                turn.left = limit.left.map(Left::Set);
            }
            let metric = if is_time { Metric::Time } else { self.data_metric.unwrap_or(limit.metric) };
            let pending = if is_time { now.pending } else { 0 };
            edit.quotas.extend(turn.edits(metric, period, limit, pending, self.begins_term));
        }
        if let Some(used) = self.time_used {
            if used > FIGURE_MAX {
                return Err(ServiceError::invalid("time_used", "is too large"));
            }
            edit.time_used = Some((used, now.pending));
            let _ = write!(said, "time_used={used} ");
        }
        for (field, rate) in [("rate_down", self.rate_down), ("rate_up", self.rate_up)] {
            if rate.flatten().is_some_and(|rate| rate == 0 || rate > FIGURE_MAX) {
                return Err(ServiceError::invalid(field, "expects bit/s, at least 1"));
            }
            if let Some(rate) = rate {
                let _ = write!(said, "{field}={} ", shown(rate));
            }
        }
        if let Some(places) = self.places {
            if places == Some(0) {
                return Err(ServiceError::invalid("places", "expects a number above 0"));
            }
            let _ = write!(said, "places={} ", shown(places.map(u64::from)));
        }
        let others = now.own.idle_timeout.is_none().then_some(now.idle_timeout).flatten();
        let idle_timeout = self.idle.map(|idle| match idle {
            Idle::Never => Some(0),
            // Not known here: what an own figure hides.
            Idle::Usual if now.own.idle_timeout.is_some_and(|own| own > 0) => now.own.idle_timeout,
            Idle::Usual => {
                if others.is_some_and(|seconds| seconds > 0) {
                    None
                } else {
                    Some(IDLE_SECONDS)
                }
            }
            Idle::Seconds(seconds) => Some(seconds),
            Idle::AsPlan => None,
        });
        if let Some(seconds) = idle_timeout {
            let _ = write!(said, "idle_timeout={} ", shown(seconds.map(u64::from)));
        }
        edit.own =
            OwnEdit { rate_down: self.rate_down, rate_up: self.rate_up, idle_timeout, places: self.places };
        edit.summary = said.trim_end().to_owned();
        Ok(edit)
    }

    /// Another figure of what is used leaves what is left as it is.
    fn keeps_time_left(&self, turn: &Turn, limit: &Limit) -> bool {
        self.time_used.is_some() && turn.is_empty() && !limit.is_unlimited() && !self.begins_term
    }
}

impl Turn {
    fn tell(&self, name: &str, said: &mut String) {
        if self.as_plan {
            let _ = write!(said, "{name}=plan ");
            return;
        }
        if let Some(limit) = self.limit {
            let _ = write!(said, "{name}={limit} ");
        }
        match self.left {
            Some(Left::Set(left)) => drop(write!(said, "{name}_left={left} ")),
            Some(Left::Add(more)) => drop(write!(said, "{name}_left=+{more} ")),
            None => {}
        }
        if let Some(unlimited) = self.unlimited {
            let _ = write!(said, "{name}_unlimited={unlimited} ");
        }
    }

    fn edits(
        self,
        metric: Metric,
        period: Period,
        now: &Limit,
        pending: u64,
        begins_term: bool,
    ) -> impl Iterator<Item = QuotaEdit> {
        let quota = |figure, lifted| QuotaEdit { metric, period, figure, lifted };
        let mut edits = Vec::new();
        let is_term = period == Period::Lifetime;
        if self.as_plan || (self.is_empty() && begins_term) {
            edits.push(quota(Figure::Plans, false));
            return edits.into_iter();
        }
        if self.is_empty() {
            return edits.into_iter();
        }
        let adds = matches!(self.left, Some(Left::Add(_))) && self.limit.is_none();
        let lifted = self.unlimited.unwrap_or_else(|| adds && now.is_unlimited());
        let kept = now.figure.unwrap_or(0);
        let left_now = now.left.unwrap_or_else(|| if is_term { now.kept_left() } else { 0 });
        let left = self.left.map(|left| match left {
            Left::Set(left) => left,
            Left::Add(more) => left_now.saturating_add(more),
        });
        if is_term {
            let figure = match (self.limit, left) {
                (_, Some(left)) => Figure::Left { left: whole(left), pending: whole(pending) },
                (Some(limit), None) => Figure::Limit(whole(limit)),
                (None, None) => Figure::Limit(whole(kept)),
            };
            edits.push(quota(figure, lifted));
            return edits.into_iter();
        }
        let limit = self.limit.unwrap_or(kept);
        let changes =
            self.limit.is_some() || self.unlimited.is_some_and(|lifted| lifted != now.is_unlimited());
        let has_limit = if changes { !lifted } else { !now.is_unlimited() };
        if changes {
            edits.push(quota(Figure::Limit(whole(limit)), lifted));
        }
        // Where nothing limits there is nothing of which something could be left.
        if let Some(left) = left.filter(|_| has_limit) {
            let used = whole(metric.of(now.used));
            edits.push(quota(
                Figure::Extra(whole(left).saturating_add(used).saturating_sub(whole(limit))),
                false,
            ));
        }
        edits.into_iter()
    }
}

impl Limit {
    /// What would be left of the figure that is kept.
    fn kept_left(&self) -> u64 {
        self.figure.unwrap_or(0).saturating_sub(self.metric.of(self.used))
    }
}

fn whole(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "plan".to_owned(), |number| number.to_string())
}

/// An account as the tables have it at one moment.
pub(super) struct Snapshot {
    pub(super) subscriber: Subscriber,
    pub(super) sessions: SubscriberSessions,
    quotas: Vec<Quota>,
    own: AccountOverride,
    /// Its own rows say how fast it is, in WISPr's words.
    rows_say_rate: bool,
}

impl Management<'_> {
    /// What an account may use, and what is left of it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has.
    pub async fn limits(&self, login: &str) -> Result<AccountLimits, ServiceError> {
        let snapshot = self.snapshot(login).await?;
        Ok(snapshot.limits(self.engine(), self.now()))
    }

    /// Changes what an account may use. Open sessions are told within a second.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`].
    pub async fn set_limits(&self, login: &str, change: &LimitChange) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let snapshot = self.snapshot_in(store, login).await?;
        let edit = change.edit(&snapshot.sold(self.engine(), self.now()))?;
        let done = store.set_limits(login, &edit, self.scope(), &author).await?;
        done.map(drop).ok_or_else(|| ServiceError::not_found("subscriber", login))
    }

    /// Reads an account with its open sessions and compiles it.
    pub(super) async fn snapshot(&self, login: &str) -> Result<Snapshot, ServiceError> {
        self.snapshot_in(self.read()?, login).await
    }

    /// The same for a verb that writes: what it must know it may read.
    pub(super) async fn snapshot_in(
        &self,
        store: &crate::store::Store,
        login: &str,
    ) -> Result<Snapshot, ServiceError> {
        let now = self.now();
        let name = SmolStr::new(login);
        if *self.scope() != Scope::Everything
            && store.person(Who::Login(login), self.scope(), &self.author()).await?.is_none()
        {
            return Err(ServiceError::not_found("subscriber", login));
        }
        let rows = store.subscribers(std::slice::from_ref(&name), Day::LIFETIME, now.unix).await?;
        let Some(mut rows) = rows.into_iter().find(|rows| rows.login == name) else {
            return Err(ServiceError::not_found("subscriber", login));
        };
        let groups = store.groups(&rows.groups).await?;
        let open = store.open_sessions_of(rows.id, &name, SESSIONS_MAX).await?;
        let settings = self.engine();
        let compiler = Compiler { dictionary: self.shared_dictionary(), zone: settings.zone.clone() };
        let compiled: Vec<Arc<CompiledGroup>> =
            groups.iter().map(|group| Arc::new(compiler.group(group))).collect();
        let plans = Plans::new(&store.plan_limits().await?);
        let subscriber = compiler.subscriber(
            &rows,
            &|name| compiled.iter().find(|group| group.name == name).map(Arc::clone),
            plans.of(&rows),
        );
        let rules = sessions::Settings { zone: settings.zone.clone(), ..sessions::Settings::default() };
        let mut sessions = SubscriberSessions::new(Some(rows.id));
        sessions.continue_usage(std::mem::take(&mut rows.usage));
        for session in open {
            sessions.restore(session, &rules, now);
        }
        let rows_say_rate = rows
            .reply
            .iter()
            .any(|row| row.attribute.to_ascii_lowercase().starts_with("wispr-bandwidth-max"));
        let (quotas, own) = (rows.terms.quotas, rows.terms.own);
        Ok(Snapshot { subscriber, sessions, quotas, own, rows_say_rate })
    }
}

impl Snapshot {
    /// The limits of the account.
    pub(super) fn limits(&self, settings: &crate::engine::Settings, now: Now) -> AccountLimits {
        self.limits_of(settings, now, |_| true)
    }

    /// The limits that come with what was sold: its plan's and groups', and its own in the place of them.
    /// What its rows say besides, in whatever dialect, holds whatever is sold; a copy of it would outlive
    /// the row.
    pub(super) fn sold(&self, settings: &crate::engine::Settings, now: Now) -> AccountLimits {
        let is_sold =
            |bucket: &Bucket| matches!(bucket.origin, Origin::Plan | Origin::Group | Origin::InPlace);
        let mut sold = self.limits_of(settings, now, is_sold);
        if self.rows_say_rate {
            sold.rate = self.own.rate;
        }
        sold
    }

    fn limits_of(
        &self,
        settings: &crate::engine::Settings,
        now: Now,
        counts: impl Fn(&Bucket) -> bool,
    ) -> AccountLimits {
        let Self { subscriber, sessions, own, .. } = self;
        let source = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let attempt = Attempt { attributes: &[], source, recalled: true };
        let policy = subscriber.policy(attempt, settings, now);
        let account = subscriber.account(&policy.limits, Some(sessions), None, settings);
        let both = |period| Both {
            time: self.limit(&account, true, period, now, &counts),
            data: self.limit(&account, false, period, now, &counts),
        };
        let sold = subscriber.plan().map(|plan| plan.rate).unwrap_or_default();
        let said = wispr_rate(policy.reply.attributes());
        let idle = policy.reply.attributes().filter(|row| row.number == IDLE_TIMEOUT).last();
        let pending = account.pending(UnixTime(i64::MIN), now);
        let mut used = account.of_term();
        used.seconds = used.seconds.saturating_add(pending);
        AccountLimits {
            subscriber: subscriber.id,
            term: both(Period::Lifetime),
            daily: both(Period::Daily),
            monthly: both(Period::Monthly),
            used,
            lifetime: sessions.lifetime(),
            rate: Rate {
                down: own.rate.down.or(said.down).or(sold.down),
                up: own.rate.up.or(said.up).or(sold.up),
            },
            idle_timeout: idle.and_then(|row| <[u8; 4]>::try_from(row.value).ok()).map(u32::from_be_bytes),
            places: policy.limits.simultaneous_use.as_ref().map(|(places, _)| *places),
            own: *own,
            pending,
        }
    }

    fn limit(
        &self,
        account: &Account<'_>,
        is_time: bool,
        period: Period,
        now: Now,
        counts: impl Fn(&Bucket) -> bool,
    ) -> Limit {
        let mine = |role| {
            let is = move |quota: &&Quota| {
                quota.role == role && quota.metric.is_time() == is_time && quota.period == period
            };
            self.quotas.iter().rfind(is)
        };
        let states = account.states(now.unix).into_iter().filter(|state| {
            let bucket = state.bucket;
            bucket.metric.is_time() == is_time
                && bucket.period == period
                && bucket.exhausted == Exhaustion::Refuse
                && counts(bucket)
        });
        let pending = |begun: Option<UnixTime>| {
            if is_time { account.pending(begun.unwrap_or(UnixTime(i64::MIN)), now) } else { 0 }
        };
        let least = states.min_by_key(|state| state.left(state.bucket.metric));
        let (kept, own) = (mine(QuotaRole::Lifted), mine(QuotaRole::InPlace));
        let usual = if is_time { Metric::Time } else { Metric::Total };
        let metric = least.as_ref().map(|state| state.bucket.metric);
        let metric = metric.or_else(|| kept.map(|kept| kept.metric)).unwrap_or(usual);
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        let (mut used, ends) = account.used_over(period, now.unix);
        let Some(state) = least else {
            used.seconds = used.seconds.saturating_add(pending(None));
            let figure = kept.map(|kept| positive(kept.limit));
            return Limit { figure, used, ends, is_own: kept.is_some(), ..Limit::none(metric) };
        };
        let waiting = pending(state.begun);
        used = state.used;
        used.seconds = used.seconds.saturating_add(waiting);
        let left = state.left(metric).saturating_sub(whole(waiting)).max(0);
        let bought = if period == Period::Lifetime { account.bought(is_time, now.unix) } else { 0 };
        Limit {
            metric,
            limit: Some(positive(state.limit)),
            left: Some(positive(left).saturating_add(bought)),
            figure: Some(positive(state.bucket.limit)),
            used,
            ends: state.ends,
            is_own: own.is_some(),
        }
    }
}

/// The rate that rows say in WISPr's words, bit/s; 0 is none.
fn wispr_rate(rows: Attributes<'_>) -> Rate {
    let mut rate = Rate::default();
    let said = rows.filter(|row| row.number == VENDOR_SPECIFIC).flat_map(|row| vendor_attributes(row.value));
    for row in said.filter(|row| row.vendor == vendor::WISPR) {
        let Ok(bits) = <[u8; 4]>::try_from(row.value).map(u32::from_be_bytes) else { continue };
        let bits = (bits > 0).then_some(u64::from(bits));
        match row.number {
            WISPR_BANDWIDTH_MAX_UP => rate.up = bits,
            WISPR_BANDWIDTH_MAX_DOWN => rate.down = bits,
            _ => {}
        }
    }
    rate
}

const WISPR_BANDWIDTH_MAX_UP: u8 = 7;
const WISPR_BANDWIDTH_MAX_DOWN: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limit: u64, used: u64, base: u64) -> Limit {
        Limit {
            limit: Some(limit),
            left: Some(limit.saturating_sub(used)),
            figure: Some(base),
            used: Usage { seconds: used, input: 0, output: 0 },
            ..Limit::none(Metric::Time)
        }
    }

    fn daily(turn: Turn, now: Limit) -> Vec<QuotaEdit> {
        turn.edits(Metric::Time, Period::Daily, &now, 0, false).collect()
    }

    fn term(turn: Turn, now: Limit) -> Vec<QuotaEdit> {
        turn.edits(Metric::Time, Period::Lifetime, &now, 7, false).collect()
    }

    fn quota(period: Period, figure: Figure, lifted: bool) -> QuotaEdit {
        QuotaEdit { metric: Metric::Time, period, figure, lifted }
    }

    #[test]
    fn what_is_left_of_a_day_holds_for_that_day() {
        let left = |left| Turn { left: Some(Left::Set(left)), ..Turn::default() };
        let extra = |amount| vec![quota(Period::Daily, Figure::Extra(amount), false)];
        assert_eq!(daily(left(600), limited(3_600, 1_000, 3_600)), extra(600 + 1_000 - 3_600));
        // What was on top of it before makes no difference.
        assert_eq!(daily(left(600), limited(5_000, 1_000, 3_600)), extra(600 + 1_000 - 3_600));
        assert_eq!(daily(left(2_600), limited(3_600, 1_000, 3_600)), extra(0));
        assert_eq!(daily(left(600), Limit::none(Metric::Time)), []);
        let both = Turn {
            limit: Some(7_200),
            left: Some(Left::Set(600)),
            unlimited: Some(false),
            ..Turn::default()
        };
        let expected = [
            quota(Period::Daily, Figure::Limit(7_200), false),
            quota(Period::Daily, Figure::Extra(-5_600), false),
        ];
        assert_eq!(daily(both, limited(3_600, 1_000, 3_600)), expected);
    }

    #[test]
    fn a_limit_that_is_lifted_is_kept_and_holds_again() {
        let flag = |unlimited| Turn { unlimited: Some(unlimited), ..Turn::default() };
        let figure = |lifted| vec![quota(Period::Daily, Figure::Limit(3_600), lifted)];
        assert_eq!(daily(flag(true), limited(3_600, 0, 3_600)), figure(true));
        let kept = Limit { figure: Some(3_600), ..Limit::none(Metric::Time) };
        assert_eq!(daily(flag(false), kept), figure(false));
        // It says what is so already: what is on top today stays.
        assert_eq!(daily(flag(false), limited(4_000, 0, 3_600)), []);
        assert_eq!(daily(flag(true), kept), []);
        // A figure limits, unless the word says otherwise.
        let limit = Turn { limit: Some(3_600), ..Turn::default() };
        assert_eq!(daily(limit, Limit::none(Metric::Time)), figure(false));
        assert_eq!(daily(Turn { unlimited: Some(true), ..limit }, Limit::none(Metric::Time)), figure(true));
    }

    #[test]
    fn a_term_has_what_is_left_of_it_or_more() {
        let left = |left| Turn { left: Some(left), ..Turn::default() };
        let edit = |left, lifted| vec![quota(Period::Lifetime, Figure::Left { left, pending: 7 }, lifted)];
        assert_eq!(term(left(Left::Set(60)), limited(3_600, 600, 3_600)), edit(60, false));
        assert_eq!(term(left(Left::Set(0)), Limit::none(Metric::Time)), edit(0, false));
        assert_eq!(term(left(Left::Add(60)), limited(3_600, 600, 3_600)), edit(3_060, false));
        assert_eq!(term(left(Left::Add(60)), limited(3_600, 9_000, 3_600)), edit(60, false));
        assert_eq!(term(left(Left::Add(60)), Limit::none(Metric::Time)), edit(60, true));
        assert_eq!(
            term(Turn { as_plan: true, ..Turn::default() }, limited(1, 0, 1)),
            [quota(Period::Lifetime, Figure::Plans, false)]
        );
        assert_eq!(term(Turn::default(), limited(1, 0, 1)), []);
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_is_asked_is_told() {
        let now = AccountLimits::of_new();
        let invalid = |change: LimitChange| match change.edit(&now) {
            Err(ServiceError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let too_much = Turn { limit: Some(u64::MAX), ..Turn::default() };
        assert_eq!(invalid(LimitChange { daily_data: too_much, ..LimitChange::default() }), "daily_quota");
        assert_eq!(invalid(LimitChange { rate_up: Some(Some(0)), ..LimitChange::default() }), "rate_up");
        assert_eq!(invalid(LimitChange { places: Some(Some(0)), ..LimitChange::default() }), "places");
        let change = LimitChange {
            term_time: Turn { left: Some(Left::Set(60)), ..Turn::default() },
            daily_data: Turn { unlimited: Some(true), ..Turn::default() },
            rate_down: Some(None),
            idle: Some(Idle::Usual),
            ..LimitChange::default()
        };
        let edit = change.edit(&now).unwrap();
        assert_eq!(edit.summary, "time_left=60 daily_quota_unlimited=true rate_down=plan idle_timeout=600");
    }
}
