//! What an account has in the place of its plan's figures: rows of `tk_quota` and `tk_override`, and what
//! counts as used in `tk_term`.

use super::subscribers::{column, locate};
use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::operator::Scope;
use crate::domain::{AccountOverride, Day, Metric, Period, QuotaRole, Rate, SubscriberId, Usage, Who};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// What shall be different about the limits of an account; all of it happens in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitEdit {
    /// Limits on time and volume.
    pub quotas: Vec<QuotaEdit>,
    /// What counts as used of time in the present term, and the seconds that open sessions have used since
    /// their last records.
    pub time_used: Option<(u64, u64)>,
    /// What goes into `tk_override`; `Some(None)` leaves it to the rows and the plan again.
    pub own: OwnEdit,
    /// For the audit: what was asked.
    pub summary: String,
}

/// What shall be different about the limits of one kind (time or volume) and one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaEdit {
    /// What is counted; what was there for other metrics of the kind goes.
    pub metric: Metric,
    /// Which period.
    pub period: Period,
    /// The figure.
    pub figure: Figure,
    /// It is kept, and does not hold: there is no limit.
    pub lifted: bool,
}

/// A limit, in seconds or octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The plan's.
    Plans,
    /// This.
    Limit(i64),
    /// What is left of the present term: the limit is so much more than what the tables say is used of it
    /// when this is written, and than `pending`, what they do not say yet.
    Left {
        /// Seconds or octets.
        left: i64,
        /// Seconds or octets.
        pending: i64,
    },
    /// So much on top of the limit in the present period; the limit stays what it is.
    Extra(i64),
}

/// What shall be different about `tk_override`; `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnEdit {
    /// Bit/s to the subscriber.
    pub rate_down: Option<Option<u64>>,
    /// Bit/s from the subscriber.
    pub rate_up: Option<Option<u64>>,
    /// Seconds; 0 is none.
    pub idle_timeout: Option<Option<u32>>,
    /// Simultaneous-Use.
    pub places: Option<Option<u32>>,
}

impl OwnEdit {
    /// Nothing shall be different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(self, own: AccountOverride) -> AccountOverride {
        AccountOverride {
            rate: Rate {
                down: self.rate_down.unwrap_or(own.rate.down),
                up: self.rate_up.unwrap_or(own.rate.up),
            },
            idle_timeout: self.idle_timeout.unwrap_or(own.idle_timeout),
            places: self.places.unwrap_or(own.places),
        }
    }
}

impl Store {
    /// Changes the limits of an account. `Ok(None)`: nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn set_limits(
        &self,
        login: &str,
        edit: &LimitEdit,
        scope: &Scope,
        author: &Author,
    ) -> Result<Option<SubscriberId>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(located) = locate(&mut tx, Who::Login(login), scope, author).await? else {
            return Ok(None);
        };
        let id = located.id;
        write(&mut tx, id, edit, author).await?;
        column(&mut tx, "updated_at", id, Bind::Int(author.at.0)).await?;
        column(&mut tx, "updated_by", id, Bind::Text(&author.name)).await?;
        let new = Some(format!("{login} {}", edit.summary));
        audit(&mut tx, author, Event { object: "subscriber", id: Some(id), verb: "limits", old: None, new })
            .await?;
        tx.commit().await?;
        Ok(Some(SubscriberId(id)))
    }
}

/// Writes the limits of a subscriber, as part of a transaction of whoever calls: the row of the audit is
/// the caller's. A term that begins in it has begun before.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    id: i64,
    edit: &LimitEdit,
    author: &Author,
) -> Result<(), StoreError> {
    if let Some((used, pending)) = edit.time_used {
        count_from(tx, id, used, pending, author.at).await?;
    }
    for quota in &edit.quotas {
        put_quota(tx, id, *quota, author.at).await?;
    }
    if !edit.own.is_empty() {
        put_own(tx, id, edit.own, author.at).await?;
    }
    Ok(())
}

/// The limits of a subscriber who goes.
pub(super) async fn forget(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.run("tk_override", "DELETE FROM tk_override WHERE subscriber_id = ?", &[Bind::Int(id)]).await?;
    let sql =
        "DELETE FROM tk_quota WHERE subscriber_id = ? AND origin IN ('override', 'unlimited', 'granted')";
    tx.run("tk_quota", sql, &[Bind::Int(id)]).await.map(drop)
}

/// The base of the term becomes such that so much of time counts as used in it.
async fn count_from(
    tx: &mut Tx<'_>,
    id: i64,
    used: u64,
    pending: u64,
    at: UnixTime,
) -> Result<(), StoreError> {
    let (lifetime, _) = counted(tx, id).await?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    // Below nothing where more counts as used than ever was.
    let base = whole(lifetime.seconds.saturating_add(pending)).saturating_sub(whole(used));
    let sql = "UPDATE tk_term SET seconds = ? WHERE subscriber_id = ?";
    // MySQL counts rows that it changed: one that had the figure already must not be made again.
    let known = tx
        .fetch("tk_term", "SELECT seconds FROM tk_term WHERE subscriber_id = ?", &[Bind::Int(id)], |row| {
            row.number(0)
        })
        .await?;
    if !known.is_empty() {
        return tx.run("tk_term", sql, &[Bind::Int(base), Bind::Int(id)]).await.map(drop);
    }
    let sql = "INSERT INTO tk_term (subscriber_id, began_at, seconds) VALUES (?, ?, ?)";
    tx.run("tk_term", sql, &[Bind::Int(id), Bind::Int(at.0), Bind::Int(base)]).await.map(drop)
}

/// What was used since ever, and the base of the term, which may be less than nothing.
async fn counted(tx: &mut Tx<'_>, id: i64) -> Result<(Usage, [i64; 3]), StoreError> {
    let sql = "SELECT seconds, input, output FROM tk_usage WHERE subscriber_id = ? AND day = ?";
    let binds = [Bind::Int(id), Bind::Int(Day::LIFETIME.0.into())];
    let usage = tx
        .fetch("tk_usage", sql, &binds, |row| {
            Ok(Usage { seconds: row.count(0)?, input: row.count(1)?, output: row.count(2)? })
        })
        .await?;
    let sql = "SELECT seconds, input, output FROM tk_term WHERE subscriber_id = ?";
    let base = tx
        .fetch("tk_term", sql, &[Bind::Int(id)], |row| Ok([row.number(0)?, row.number(1)?, row.number(2)?]))
        .await?;
    Ok((usage.into_iter().next().unwrap_or_default(), base.into_iter().next().unwrap_or_default()))
}

/// What was used of a metric in the present term.
async fn used_of_term(tx: &mut Tx<'_>, id: i64, metric: Metric) -> Result<i64, StoreError> {
    let (lifetime, [seconds, input, output]) = counted(tx, id).await?;
    let beyond = |all: u64, base: i64| {
        let all = i64::try_from(all).unwrap_or(i64::MAX);
        all.saturating_sub(base).max(0).unsigned_abs()
    };
    let used = Usage {
        seconds: beyond(lifetime.seconds, seconds),
        input: beyond(lifetime.input, input),
        output: beyond(lifetime.output, output),
    };
    Ok(i64::try_from(metric.of(used)).unwrap_or(i64::MAX))
}

async fn put_quota(tx: &mut Tx<'_>, id: i64, edit: QuotaEdit, at: UnixTime) -> Result<(), StoreError> {
    let QuotaEdit { metric, period, figure, lifted } = edit;
    let role = match (figure, lifted) {
        (Figure::Extra(_), _) => QuotaRole::Extra,
        (_, true) => QuotaRole::Lifted,
        (_, false) => QuotaRole::InPlace,
    };
    // A limit that changes takes with it what was on top of the former one.
    let origins =
        if role == QuotaRole::Extra { "('granted')" } else { "('override', 'unlimited', 'granted')" };
    let same = if metric.is_time() { "=" } else { "<>" };
    let sql = format!(
        "DELETE FROM tk_quota WHERE subscriber_id = ? AND period = ? AND metric {same} '{}' AND origin IN {origins}",
        Metric::Time.as_str()
    );
    tx.run("tk_quota", &sql, &[Bind::Int(id), Bind::Text(period.as_str())]).await?;
    let limit = match figure {
        Figure::Plans | Figure::Extra(0) => return Ok(()),
        Figure::Limit(limit) | Figure::Extra(limit) => limit,
        Figure::Left { left, pending } => {
            used_of_term(tx, id, metric).await?.saturating_add(pending).saturating_add(left)
        }
    };
    let sql = "INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit, starts_at)
         VALUES (?, ?, ?, ?, ?, ?)";
    let binds = [
        Bind::Int(id),
        Bind::Text(metric.as_str()),
        Bind::Text(period.as_str()),
        Bind::Text(role.as_str()),
        Bind::Int(limit),
        Bind::Int(at.0),
    ];
    tx.run("tk_quota", sql, &binds).await.map(drop)
}

async fn put_own(tx: &mut Tx<'_>, id: i64, edit: OwnEdit, at: UnixTime) -> Result<(), StoreError> {
    let sql = "SELECT rate_down, rate_up, idle_timeout, places FROM tk_override
         WHERE subscriber_id = ? AND kind = 'account' ORDER BY id";
    let rows = tx
        .fetch("tk_override", sql, &[Bind::Int(id)], |row| {
            let rate =
                |column| Ok::<_, sqlx::Error>(row.int(column)?.and_then(|rate| u64::try_from(rate).ok()));
            let small =
                |column| Ok::<_, sqlx::Error>(row.int(column)?.and_then(|number| u32::try_from(number).ok()));
            Ok(AccountOverride {
                rate: Rate { down: rate(0)?, up: rate(1)? },
                idle_timeout: small(2)?,
                places: small(3)?,
            })
        })
        .await?;
    let own = edit.of(rows.into_iter().fold(AccountOverride::default(), AccountOverride::then));
    let sql = "DELETE FROM tk_override WHERE subscriber_id = ? AND kind = 'account'";
    tx.run("tk_override", sql, &[Bind::Int(id)]).await?;
    if own.is_empty() {
        return Ok(());
    }
    let sql =
        "INSERT INTO tk_override (subscriber_id, kind, rate_down, rate_up, idle_timeout, places, created_at)
         VALUES (?, 'account', ?, ?, ?, ?, ?)";
    let rate = |rate: Option<u64>| Bind::MaybeInt(rate.map(|rate| i64::try_from(rate).unwrap_or(i64::MAX)));
    let binds = [
        Bind::Int(id),
        rate(own.rate.down),
        rate(own.rate.up),
        Bind::MaybeInt(own.idle_timeout.map(i64::from)),
        Bind::MaybeInt(own.places.map(i64::from)),
        Bind::Int(at.0),
    ];
    tx.run("tk_override", sql, &binds).await.map(drop)
}
