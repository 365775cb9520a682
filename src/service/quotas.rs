//! Commands about quotas: limits of plans and subscribers, top-ups, and what is left.

use std::sync::Arc;

use smol_str::SmolStr;

use super::error::ServiceError;
use super::management::{Management, check_currency};
use super::plans::Plans;
use crate::domain::{Amount, Day, Exhaustion, Metric, Period, Quota, Rate, TopUp, Usage};
use crate::engine::policy::Attempt;
use crate::engine::{CompiledGroup, Compiler};
use crate::sessions::SubscriberSessions;
use crate::store::{NewQuota, NewTopUp, QuotaOwner, Sale};
use crate::time::UnixTime;

/// A quota and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The row in words.
    pub rule: SmolStr,
    /// What it counts.
    pub metric: Metric,
    /// When it begins anew.
    pub period: Period,
    /// When its period began.
    pub begun: Option<UnixTime>,
    /// When the next one begins.
    pub ends: Option<UnixTime>,
    /// Seconds or octets, with what was carried over.
    pub limit: i64,
    /// Seconds or octets; of each direction for itself the larger.
    pub used: u64,
    /// Below 0 where more was used than there was.
    pub left: i64,
    /// What happens when it is used up.
    pub exhausted: Exhaustion,
}

/// What a subscriber has used, and what is left to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// Since ever.
    pub lifetime: Usage,
    /// Today, in the zone of its account.
    pub today: Usage,
    /// Its quotas, those that decide first in front.
    pub balances: Vec<Balance>,
    /// What it bought on top: what is used first comes first.
    pub top_ups: Vec<TopUp>,
}

/// When a top-up lapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse<'a> {
    /// Never.
    Never,
    /// After so many days of 24 hours.
    Days(u32),
    /// At a date in the zone of the server.
    At(&'a str),
}

/// Quotas.
impl Management<'_> {
    /// Makes a quota; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the owner, [`ServiceError::Invalid`].
    pub async fn add_quota(&self, owner: QuotaOwner<'_>, new: &NewQuota) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        check(new)?;
        store.add_quota(owner, new, &author).await?.ok_or_else(|| nobody(owner))
    }

    /// The quotas of an owner and, of a subscriber, its top-ups.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the owner.
    pub async fn quotas(&self, owner: QuotaOwner<'_>) -> Result<(Vec<Quota>, Vec<TopUp>), ServiceError> {
        self.read()?.quotas(owner, &self.author()).await?.ok_or_else(|| nobody(owner))
    }

    /// Removes a quota or a top-up.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_quota(&self, owner: QuotaOwner<'_>, id: i64) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        if store.delete_quota(owner, id, &author).await? {
            Ok(())
        } else {
            let (QuotaOwner::Plan(name) | QuotaOwner::Subscriber(name)) = owner;
            Err(ServiceError::not_found("quota", &format!("{id} of {name}")))
        }
    }

    /// Sells a top-up of seconds or octets; gives the number of its quota. What it cost is a row of the
    /// ledger, the sale one of the list of purchases. A bar that it lifts is lifted within a second.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the login, [`ServiceError::Invalid`].
    pub async fn top_up(
        &self,
        login: &str,
        is_time: bool,
        amount: u64,
        lapse: Lapse<'_>,
        sale: &Sale,
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        check_sale(sale)?;
        let field = if is_time { "seconds" } else { "octets" };
        if amount == 0 || i64::try_from(amount).is_err() {
            return Err(ServiceError::invalid(field, "expects a number above 0"));
        }
        let expires = match lapse {
            Lapse::Never => None,
            Lapse::Days(days) => Some(author.at.plus(u64::from(days) * 86_400)),
            Lapse::At(date) => {
                let at = crate::radius::value::parse_date(date, &self.engine().zone);
                Some(at.ok_or_else(|| ServiceError::invalid("expires", "expects a date such as 2026-12-31"))?)
            }
        };
        if expires.is_some_and(|at| at <= author.at) {
            return Err(ServiceError::invalid("expires", "lies in the past"));
        }
        let new = NewTopUp { is_time, amount, expires };
        let made = store.add_top_up(login, new, sale, &author).await?;
        made.ok_or_else(|| ServiceError::not_found("subscriber", login))
    }

    /// What a subscriber has used and what is left to it, as the tables have it: what open sessions have
    /// used since their last record is not in it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has.
    pub async fn usage(&self, login: &str) -> Result<UsageReport, ServiceError> {
        let store = self.read()?;
        let now = self.now();
        let name = SmolStr::new(login);
        let rows = store.subscribers(std::slice::from_ref(&name), Day::LIFETIME, now.unix).await?;
        let Some(mut rows) = rows.into_iter().find(|rows| rows.login == name) else {
            return Err(ServiceError::not_found("subscriber", login));
        };
        let groups = store.groups(&rows.groups).await?;
        let plans = Plans::new(&store.plan_limits().await?);
        let settings = self.engine();
        let compiler = Compiler { dictionary: self.shared_dictionary(), zone: settings.zone.clone() };
        let compiled: Vec<Arc<CompiledGroup>> =
            groups.iter().map(|group| Arc::new(compiler.group(group))).collect();
        let subscriber = compiler.subscriber(
            &rows,
            &|name| compiled.iter().find(|group| group.name == name).map(Arc::clone),
            plans.of(&rows),
        );
        let mut sessions = SubscriberSessions::new(Some(rows.id));
        sessions.continue_usage(std::mem::take(&mut rows.usage));
        let source = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let attempt = Attempt { attributes: &[], source, recalled: true };
        let policy = subscriber.policy(attempt, settings, now);
        let account = subscriber.account(&policy.limits, Some(&sessions), None, settings);
        let balances = account.states(now.unix).into_iter().map(|state| Balance {
            rule: state.bucket.rule.clone(),
            metric: state.bucket.metric,
            period: state.bucket.period,
            begun: state.begun,
            ends: state.ends,
            limit: state.limit,
            used: state.bucket.metric.of(state.used),
            left: state.left(state.bucket.metric),
            exhausted: state.bucket.exhausted.clone(),
        });
        Ok(UsageReport {
            lifetime: sessions.lifetime(),
            today: account.today(now.unix),
            balances: balances.collect(),
            top_ups: account.holder.map(|holder| holder.top_ups.to_vec()).unwrap_or_default(),
        })
    }
}

fn check_sale(sale: &Sale) -> Result<(), ServiceError> {
    for (field, text, most) in [
        ("plan_name", &sale.plan_name, PLAN_NAME_MAX),
        ("remarks", &sale.remarks, REMARKS_MAX),
        ("sold_by", &sale.sold_by, PLAN_NAME_MAX),
    ] {
        if text.chars().count() > most {
            return Err(ServiceError::invalid(field, format!("has at most {most} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(ServiceError::invalid(field, "must not contain control characters"));
        }
    }
    if sale.price.is_some_and(Amount::is_negative) {
        return Err(ServiceError::invalid("price", "must not be negative"));
    }
    check_currency(&sale.currency)
}

/// Characters of a name of what is sold, and of who sells it.
const PLAN_NAME_MAX: usize = 190;
/// Characters of remarks.
const REMARKS_MAX: usize = 1_000;

fn nobody(owner: QuotaOwner<'_>) -> ServiceError {
    match owner {
        QuotaOwner::Plan(name) => ServiceError::not_found("plan", name),
        QuotaOwner::Subscriber(login) => ServiceError::not_found("subscriber", login),
    }
}

fn check(new: &NewQuota) -> Result<(), ServiceError> {
    match (new.begins, new.period) {
        (None, _) | (Some(0..=6), Period::Weekly) | (Some(1..=31), Period::Monthly) => {}
        (Some(_), Period::Weekly) => {
            return Err(ServiceError::invalid("week_start", "expects a day of the week"));
        }
        (Some(_), Period::Monthly) => {
            return Err(ServiceError::invalid("day", "expects a day of the month, 1 to 31"));
        }
        (Some(_), _) => {
            return Err(ServiceError::invalid("period", "begins on a day of its own if weekly or monthly"));
        }
    }
    if new.carry_over && matches!(new.period, Period::Session | Period::Lifetime) {
        return Err(ServiceError::invalid("carry_over", "needs a period that begins anew"));
    }
    match &new.exhausted {
        Exhaustion::Throttle(Rate { down, up }) => {
            let rates = [("rate_down", *down), ("rate_up", *up)];
            for (field, rate) in rates {
                if rate.is_some_and(|rate| rate == 0 || i64::try_from(rate).is_err()) {
                    return Err(ServiceError::invalid(field, "expects bit/s, at least 1"));
                }
            }
            if down.is_none() && up.is_none() {
                return Err(ServiceError::invalid("rate_down", "is needed to throttle, or rate_up"));
            }
        }
        Exhaustion::Redirect(url) if url.is_empty() || url.len() > URL_OCTETS_MAX => {
            return Err(ServiceError::invalid("redirect", "expects a URL of at most 247 octets"));
        }
        Exhaustion::Redirect(_) | Exhaustion::Refuse => {}
    }
    Ok(())
}

/// What fits into a vendor's attribute.
const URL_OCTETS_MAX: usize = 247;
