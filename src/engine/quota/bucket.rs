//! Buckets, and where they come from.

use std::sync::Arc;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use smol_str::{SmolStr, format_smolstr};

use super::calendar;
use crate::domain::plan::{Concurrency, PlanId};
use crate::domain::{
    Day, Exhaustion, Metric, Period, PlanLimits, Quota, QuotaRole, Rate, SubscriberTerms, TopUp, Usage,
};
use crate::engine::charge::Charging;
use crate::time::UnixTime;

/// A limit on one metric over one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// What it counts.
    pub metric: Metric,
    /// When it begins anew.
    pub period: Period,
    /// Seconds or octets; 0 and less is nothing left.
    pub limit: i64,
    /// What was left of the limit of the period before is added; what that had been given so is not.
    pub carry_over: bool,
    /// What happens when it is used up.
    pub exhausted: Exhaustion,
    /// A week's or month's first day of its own.
    pub begins: Option<u8>,
    /// Lower ones decide first.
    pub priority: i32,
    /// Nothing is carried over from before.
    pub since: UnixTime,
    /// Who wrote it.
    pub origin: Origin,
    /// The row in words.
    pub rule: SmolStr,
}

/// Who wrote a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A check row, as other products write them: its lifetime is the subscriber's.
    Row,
    /// The same of a group.
    Group,
    /// A figure of the plan, or a row of `tk_quota` for it: its lifetime is the present term.
    Plan,
    /// A row of `tk_quota` for the subscriber, beside the plan's figures; the same.
    Subscriber,
    /// A row of `tk_quota` for the subscriber, in the place of its plan's figures; the same.
    InPlace,
}

impl Bucket {
    /// Days of usage that it needs, 0 where it needs none.
    #[must_use]
    pub const fn days(&self) -> u16 {
        let days = calendar::longest(self.period);
        if self.carry_over { days * 2 } else { days }
    }

    fn of_quota(quota: &Quota, origin: Origin, owner: &str) -> Self {
        let owner = match origin {
            Origin::Plan => format_smolstr!("plan {owner}"),
            Origin::Row | Origin::Group | Origin::Subscriber | Origin::InPlace => {
                SmolStr::new_static("subscriber")
            }
        };
        let Quota { id, metric, period, limit, .. } = quota;
        let unit = if metric.is_time() { "s" } else { "octets" };
        Self {
            metric: *metric,
            period: *period,
            limit: *limit,
            carry_over: quota.carry_over,
            exhausted: quota.exhausted.clone(),
            begins: quota.begins,
            priority: quota.priority,
            since: quota.created,
            origin,
            rule: format_smolstr!(
                "tk_quota {id} of {owner}: {} {} {limit} {unit}",
                period.as_str(),
                metric.as_str()
            ),
        }
    }
}

/// A plan, ready for its subscribers' logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledPlan {
    /// `tk_plan.id`.
    pub id: PlanId,
    /// Its group.
    pub group: SmolStr,
    /// How fast its sessions are.
    pub rate: Rate,
    /// Day of the month on which monthly quotas begin anew.
    pub reset_day: Option<u8>,
    /// Who gives way when all places of a subscriber are taken.
    pub concurrency: Option<Concurrency>,
    /// Its quotas.
    pub buckets: Box<[Bucket]>,
    /// What its sessions cost; `None` is nothing.
    pub charging: Option<Charging>,
}

impl CompiledPlan {
    /// Compiles the figures and the rows of a plan.
    #[must_use]
    pub fn new(plan: &PlanLimits) -> Self {
        let figures = [
            (Metric::Time, Period::Lifetime, plan.time, "time"),
            (Metric::Total, Period::Lifetime, plan.volume, "quota"),
            (Metric::Time, Period::Daily, plan.daily_time, "daily time"),
            (Metric::Total, Period::Daily, plan.daily_volume, "daily quota"),
            (Metric::Time, Period::Monthly, plan.monthly_time, "monthly time"),
            (Metric::Total, Period::Monthly, plan.monthly_volume, "monthly quota"),
        ];
        let figures = figures.into_iter().filter_map(|(metric, period, limit, name)| {
            let limit = limit?;
            Some(Bucket {
                metric,
                period,
                limit,
                carry_over: false,
                exhausted: Exhaustion::Refuse,
                begins: None,
                priority: 0,
                since: UnixTime(0),
                origin: Origin::Plan,
                rule: format_smolstr!("plan {}: {name} {limit}", plan.name),
            })
        });
        let rows = plan.quotas.iter().map(|quota| Bucket::of_quota(quota, Origin::Plan, &plan.name));
        Self {
            id: plan.id,
            group: plan.group.clone(),
            rate: plan.rate,
            concurrency: plan.concurrency,
            reset_day: plan.reset_day.filter(|day| (1..=31).contains(day)),
            buckets: figures.chain(rows).collect(),
            charging: (!plan.charges.is_empty()).then(|| Charging::new(plan.id, &plan.name, &plan.charges)),
        }
    }
}

/// What bears on the quotas of one subscriber besides their buckets' limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holder {
    /// Its zone, where that is not the server's.
    pub zone: Option<TimeZone>,
    /// Day of the month on which monthly quotas begin anew.
    pub reset_day: Option<u8>,
    /// When it joined: its billing months are counted from there.
    pub joined: Option<UnixTime>,
    /// When it was made: nothing is carried over from before.
    pub created: UnixTime,
    /// Its usage since ever at the beginning of its term.
    pub before_term: Usage,
    /// What counts as used in its term though no session of it did.
    pub said_used: Usage,
    /// What it used until then counts in no period: nothing before the day, and so much of the day.
    pub cleared: Option<(Day, Usage)>,
    /// Its own buckets.
    pub buckets: Box<[Bucket]>,
    /// Of which of its plan's and groups' buckets its own are in the place, or nothing is: time or not, and
    /// the period.
    pub replaced: Box<[(bool, Period)]>,
    /// What is added to a limit in one period.
    pub extras: Box<[Extra]>,
    /// What it bought on top: what lapses first comes first, then what was bought first.
    pub top_ups: Box<[TopUp]>,
}

/// Something on top of the limits of one kind in one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Seconds, not octets.
    pub is_time: bool,
    /// Which limits.
    pub period: Period,
    /// Seconds or octets; may be less than nothing.
    pub amount: i64,
    /// When it was given: it counts in the period in which that lies.
    pub given: UnixTime,
}

impl Holder {
    /// Is the bucket one that the holder's own figures are in the place of?
    #[must_use]
    pub fn replaces(&self, bucket: &Bucket) -> bool {
        matches!(bucket.origin, Origin::Plan | Origin::Group)
            && self.replaced.contains(&(bucket.metric.is_time(), bucket.period))
    }

    /// Compiles the terms of a subscriber who used the service first at `first_use`. Also gives the name of
    /// its account's zone where nobody knows such a zone; then the server's is used.
    #[must_use]
    pub fn new(terms: &SubscriberTerms, first_use: Option<UnixTime>) -> (Self, Option<SmolStr>) {
        let created = Some(terms.created).filter(|created| created.0 > 0);
        let mut top_ups = terms.top_ups.clone();
        top_ups.sort_by_key(|bought| (bought.expires.map_or(i64::MAX, |at| at.0), bought.created, bought.id));
        let of_role = |wanted: &'static [QuotaRole]| {
            terms.quotas.iter().filter(move |quota| wanted.contains(&quota.role))
        };
        let kind = |quota: &Quota| (quota.metric.is_time(), quota.period);
        let mut holder = Self {
            zone: None,
            reset_day: terms.reset_day.filter(|day| (1..=31).contains(day)),
            joined: terms.activated.or(created).or(first_use),
            created: terms.created,
            before_term: terms.before_term,
            said_used: terms.said_used,
            cleared: terms.cleared,
            buckets: of_role(&[QuotaRole::Beside, QuotaRole::InPlace])
                .map(|quota| {
                    let beside = quota.role == QuotaRole::Beside;
                    Bucket::of_quota(quota, if beside { Origin::Subscriber } else { Origin::InPlace }, "")
                })
                .collect(),
            replaced: of_role(&[QuotaRole::InPlace, QuotaRole::Lifted]).map(kind).collect(),
            extras: of_role(&[QuotaRole::Extra])
                .map(|quota| Extra {
                    is_time: quota.metric.is_time(),
                    period: quota.period,
                    amount: quota.limit,
                    given: quota.created,
                })
                .collect(),
            top_ups: top_ups.into(),
        };
        if !terms.zone.is_empty() {
            holder.zone = TimeZone::get(&terms.zone).ok();
        }
        let unknown = (!terms.zone.is_empty() && holder.zone.is_none()).then(|| terms.zone.clone());
        (holder, unknown)
    }
}

/// What a check row of another product limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Item {
    metric: Metric,
    period: Period,
    /// Seconds or octets of one; so many 2^32 octets for the upper half of a number.
    unit: i64,
    part: Part,
    origin: Origin,
}

impl Item {
    /// The same as a row of a group.
    pub(in crate::engine) const fn of_group(self) -> Self {
        Self { origin: Origin::Group, ..self }
    }
}

/// Which part of a limit a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// The lower 32 bits, of the vendor named.
    Low(&'static str),
    /// The upper ones.
    High(&'static str),
}

/// What a check row with this name limits (domain model §3). `None`: nothing; `Some(Err)`: something
/// that is not kept, in words.
pub(in crate::engine) fn item(name: &str) -> Option<Result<Item, &'static str>> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('-').collect();
    let data = |word: &str| match word {
        "total" => Some(Metric::Total),
        // Input is what the NAS gets from the subscriber (RFC 2866 §5.3).
        "input" | "recv" | "up" => Some(Metric::Up),
        "output" | "xmit" | "down" => Some(Metric::Down),
        _ => None,
    };
    let session = |metric, unit, part| {
        Some(Ok(Item { metric, period: Period::Session, unit, part, origin: Origin::Row }))
    };
    match words.as_slice() {
        ["cs", direction, unit, rest @ ..] => {
            let metric = data(direction)?;
            let unit = match *unit {
                "octets" => 1,
                "mb" => MEGABYTE,
                _ => return None,
            };
            let period = match rest {
                [] => Period::Session,
                [period] => period_word(period)?,
                _ => return None,
            };
            Some(Ok(Item { metric, period, unit, part: Part::Whole, origin: Origin::Row }))
        }
        ["max", "hourly", "session" | "traffic"] => {
            Some(Err("usage is kept by the day: a limit by the hour is not enforced"))
        }
        ["max", period, what @ ("session" | "traffic")] => {
            let metric = if *what == "session" { Metric::Time } else { Metric::Total };
            Some(Ok(Item {
                metric,
                period: period_word(period)?,
                unit: 1,
                part: Part::Whole,
                origin: Origin::Row,
            }))
        }
        ["chillispot", "max", direction, "octets"] => session(data(direction)?, 1, Part::Low("chillispot")),
        ["chillispot", "max", direction, "gigawords"] => {
            session(data(direction)?, GIGAWORD, Part::High("chillispot"))
        }
        ["mikrotik", direction, "limit"] => session(data(direction)?, 1, Part::Low("mikrotik")),
        ["mikrotik", direction, "limit", "gigawords"] => {
            session(data(direction)?, GIGAWORD, Part::High("mikrotik"))
        }
        ["cambium", "traffic", "quota", "limit", direction] => {
            session(data(direction)?, 1, Part::Low("cambium"))
        }
        ["cambium", "traffic", "quota", "limit", direction, "gigwords"] => {
            session(data(direction)?, GIGAWORD, Part::High("cambium"))
        }
        ["pfsense", "max", "total", "octets"] => session(Metric::Total, 1, Part::Whole),
        ["huawei", "remanent", "volume"] => session(Metric::Total, KILOBYTE, Part::Whole),
        _ => None,
    }
}

fn period_word(word: &str) -> Option<Period> {
    Some(match word {
        "daily" => Period::Daily,
        "weekly" => Period::Weekly,
        "monthly" => Period::Monthly,
        "quarterly" => Period::Quarterly,
        "yearly" => Period::Yearly,
        "all" => Period::Lifetime,
        _ => return None,
    })
}

/// The buckets of merged check rows, one of each name: the two halves of a number are put together.
pub(in crate::engine) fn of_items(items: &[(Item, i64, &SmolStr)]) -> Arc<[Bucket]> {
    let half = |metric: Metric, part: Part| {
        let mut found = items.iter().filter(|(item, ..)| item.part == part && item.metric == metric);
        found.next().map(|(item, number, _)| number.saturating_mul(item.unit))
    };
    let bucket = |(item, number, rule): &(Item, i64, &SmolStr)| {
        let amount = number.saturating_mul(item.unit);
        let limit = match item.part {
            Part::Whole => amount,
            Part::Low(vendor) => amount.saturating_add(half(item.metric, Part::High(vendor)).unwrap_or(0)),
            // Where there is a lower half, that one is the bucket.
            Part::High(vendor) if half(item.metric, Part::Low(vendor)).is_some() => return None,
            Part::High(_) => amount,
        };
        Some(Bucket {
            metric: item.metric,
            period: item.period,
            limit,
            carry_over: false,
            exhausted: Exhaustion::Refuse,
            begins: None,
            priority: 0,
            since: UnixTime(0),
            origin: item.origin,
            rule: (*rule).clone(),
        })
    };
    items.iter().filter_map(bucket).collect()
}

/// 0 is Sunday, as `tk_quota.begins` counts.
pub(super) fn weekday(number: u8) -> Option<Weekday> {
    Weekday::from_sunday_zero_offset(i8::try_from(number).ok()?).ok()
}

/// "MB" of mFusion and of the operators who write it.
const MEGABYTE: i64 = 1 << 20;

const KILOBYTE: i64 = 1 << 10;

/// What one of the upper half of a number counts (RFC 2869 §5.1).
const GIGAWORD: i64 = 1 << 32;
