//! Quotas, top-ups and terms: `tk_quota`, `tk_topup`, `tk_term`.

use smol_str::SmolStr;

use super::credit::record_top_up;
use super::groups::DISABLED_GROUP;
use super::tx::{Bind, Tx};
use super::{Author, Event, audit, plans, subscribers};
use crate::domain::{Amount, Day, Exhaustion, Metric, Period, Quota, TopUp};
use crate::store::db::Columns;
use crate::store::quotas::{QUOTA, Row, TOP_UP, read};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Whose a quota is.
#[derive(Clone, Copy, Debug)]
pub enum QuotaOwner<'a> {
    /// Every subscriber's who has this plan.
    Plan(&'a str),
    /// This login's.
    Subscriber(&'a str),
}

/// A quota to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQuota {
    /// What it counts.
    pub metric: Metric,
    /// When it begins anew.
    pub period: Period,
    /// Seconds or octets.
    pub limit: i64,
    /// What is left is added to the next period.
    pub carry_over: bool,
    /// What happens when it is used up.
    pub exhausted: Exhaustion,
    /// A week's first day (0 is Sunday) or a month's.
    pub begins: Option<u8>,
    /// Lower ones decide first.
    pub priority: i32,
}

/// What is written down of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// What was bought, for people.
    pub plan_name: String,
    /// What it cost; `None` was given.
    pub price: Option<Amount>,
    /// ISO 4217; empty is not said.
    pub currency: String,
    /// For people.
    pub remarks: String,
    /// Who sold it; empty is whoever asks.
    pub sold_by: String,
}

/// A top-up to be sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTopUp {
    /// Seconds, not octets.
    pub is_time: bool,
    /// Seconds or octets of both directions.
    pub amount: u64,
    /// When it lapses.
    pub expires: Option<UnixTime>,
}

impl Store {
    /// Makes a quota; gives its number. `Ok(None)`: there is no such owner.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_quota(
        &self,
        owner: QuotaOwner<'_>,
        new: &NewQuota,
        author: &Author,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some((subscriber, plan)) = owner.find(&mut tx, author).await? else { return Ok(None) };
        let (rate, url) = match &new.exhausted {
            Exhaustion::Refuse => (None, None),
            Exhaustion::Throttle(rate) => (Some(rate), None),
            Exhaustion::Redirect(url) => (None, Some(url.as_str())),
        };
        let whole = |rate: Option<u64>| Bind::MaybeInt(rate.and_then(|rate| i64::try_from(rate).ok()));
        let origin = if plan.is_some() { "plan" } else { "user" };
        let id = tx
            .insert(
                "tk_quota",
                "INSERT INTO tk_quota (subscriber_id, plan_id, metric, period, origin, quota_limit, carry_over,
                     on_exhaust, rate_down, rate_up, redirect, reset_anchor, priority, starts_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                &[
                    Bind::MaybeInt(subscriber),
                    Bind::MaybeInt(plan),
                    Bind::Text(new.metric.as_str()),
                    Bind::Text(new.period.as_str()),
                    Bind::Text(origin),
                    Bind::Int(new.limit),
                    Bind::Int(new.carry_over.into()),
                    Bind::Text(new.exhausted.as_str()),
                    whole(rate.and_then(|rate| rate.down)),
                    whole(rate.and_then(|rate| rate.up)),
                    Bind::MaybeText(url),
                    Bind::MaybeInt(new.begins.map(i64::from)),
                    Bind::Int(new.priority.into()),
                    Bind::Int(author.at.0),
                ],
            )
            .await?;
        let said = format!("{} {} {} {}", owner.name(), new.period.as_str(), new.metric.as_str(), new.limit);
        let event = Event { object: "quota", id: Some(id), verb: "add", old: None, new: Some(said) };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// The quotas of an owner and, of a subscriber, its top-ups, by number. `Ok(None)`: there is no such
    /// owner.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn quotas(
        &self,
        owner: QuotaOwner<'_>,
        author: &Author,
    ) -> Result<Option<(Vec<Quota>, Vec<TopUp>)>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some((subscriber, plan)) = owner.find(&mut tx, author).await? else { return Ok(None) };
        let sql = format!(
            "SELECT 0, {QUOTA} FROM tk_quota WHERE {} = ? ORDER BY id",
            if plan.is_some() { "plan_id" } else { "subscriber_id" }
        );
        let id = plan.or(subscriber).unwrap_or(0);
        let rows = tx.fetch("tk_quota", &sql, &[Bind::Int(id)], read).await?;
        tx.commit().await?;
        let (mut quotas, mut top_ups) = (Vec::new(), Vec::new());
        for (_, row) in rows {
            match row {
                Row::Quota(quota) => quotas.push(quota),
                Row::TopUp(bought) => top_ups.push(bought),
                Row::Unknown => {}
            }
        }
        Ok(Some((quotas, top_ups)))
    }

    /// Removes a quota or top-up of an owner. `Ok(false)`: it has none with this number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_quota(
        &self,
        owner: QuotaOwner<'_>,
        id: i64,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some((subscriber, plan)) = owner.find(&mut tx, author).await? else { return Ok(false) };
        let column = if plan.is_some() { "plan_id" } else { "subscriber_id" };
        let sql = format!("DELETE FROM tk_quota WHERE id = ? AND {column} = ?");
        let binds = [Bind::Int(id), Bind::Int(plan.or(subscriber).unwrap_or(0))];
        if tx.run("tk_quota", &sql, &binds).await? == 0 {
            return Ok(false);
        }
        let old = Some(owner.name().to_owned());
        audit(&mut tx, author, Event { object: "quota", id: Some(id), verb: "delete", old, new: None })
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Sells a top-up; gives the number of its quota. `Ok(None)`: nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_top_up(
        &self,
        login: &str,
        new: NewTopUp,
        sale: &Sale,
        author: &Author,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(subscriber) = subscribers::seen(&mut tx, login, author).await? else { return Ok(None) };
        let metric = if new.is_time { Metric::Time } else { Metric::Total };
        let id = tx
            .insert(
                "tk_quota",
                "INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit, starts_at, expires_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
                &[
                    Bind::Int(subscriber),
                    Bind::Text(metric.as_str()),
                    Bind::Text(Period::Lifetime.as_str()),
                    Bind::Text(TOP_UP),
                    Bind::Int(i64::try_from(new.amount).unwrap_or(i64::MAX)),
                    Bind::Int(author.at.0),
                    Bind::MaybeInt(new.expires.map(|at| at.0)),
                ],
            )
            .await?;
        let ledger = match sale.price {
            Some(price) => {
                record_top_up(&mut tx, subscriber, (price, &sale.currency), &sale.remarks, author).await?
            }
            None => None,
        };
        let profiles = groups_of(&mut tx, login).await?.join(", ");
        let profiles: String = profiles.chars().take(PROFILES_MOST).collect();
        let sold_by = if sale.sold_by.is_empty() { &author.name } else { &sale.sold_by };
        let sql = format!(
            "INSERT INTO tk_topup (subscriber_id, quota_id, ledger_id, username, plan_name, profiles, amount, currency,
                 remarks, created_by, at)
             VALUES (?, ?, ?, ?, ?, ?, {}, ?, ?, ?, ?)",
            tx.decimal()
        );
        tx.run(
            "tk_topup",
            &sql,
            &[
                Bind::Int(subscriber),
                Bind::Int(id),
                Bind::MaybeInt(ledger),
                Bind::Text(login),
                Bind::Text(&sale.plan_name),
                Bind::Text(&profiles),
                Bind::MaybeAmount(sale.price),
                Bind::Text(&sale.currency),
                Bind::Text(&sale.remarks),
                Bind::Text(sold_by),
                Bind::Int(author.at.0),
            ],
        )
        .await?;
        let said = Some(format!("{login} {} {}", metric.as_str(), new.amount));
        audit(&mut tx, author, Event { object: "quota", id: Some(id), verb: "top-up", old: None, new: said })
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }
}

/// Characters that `tk_topup.profiles` holds.
const PROFILES_MOST: usize = 1_000;

/// The groups of a login, the reserved one left out.
async fn groups_of(tx: &mut Tx<'_>, login: &str) -> Result<Vec<SmolStr>, StoreError> {
    let sql = "SELECT username, groupname FROM radusergroup WHERE username = ? ORDER BY priority";
    let read = |row: &dyn Columns| Ok((row.word(0)?, row.word(1)?));
    let rows = tx.fetch("radusergroup", sql, &[Bind::Text(login)], read).await?;
    let own = rows.into_iter().filter(|(username, group)| username == login && group != DISABLED_GROUP);
    Ok(own.map(|(_, group)| group).collect())
}

impl QuotaOwner<'_> {
    /// Login or name of the plan.
    const fn name(&self) -> &str {
        match self {
            Self::Plan(name) | Self::Subscriber(name) => name,
        }
    }

    /// The number of the subscriber, or that of the plan.
    async fn find(
        &self,
        tx: &mut Tx<'_>,
        author: &Author,
    ) -> Result<Option<(Option<i64>, Option<i64>)>, StoreError> {
        Ok(match self {
            Self::Plan(name) => plans::find(tx, name).await?.map(|id| (None, Some(id))),
            Self::Subscriber(login) => subscribers::seen(tx, login, author).await?.map(|id| (Some(id), None)),
        })
    }
}

/// A subscriber's term begins: what its plan gives for a term, it gives once more. What was used until now
/// is taken from `tk_usage`; the record of an open session that is on its way counts for the new term.
pub(super) async fn begin_term(tx: &mut Tx<'_>, subscriber: i64, at: UnixTime) -> Result<(), StoreError> {
    begin_terms(tx, &[Bind::Int(subscriber)], at).await
}

/// The same of several.
pub(super) async fn begin_terms(
    tx: &mut Tx<'_>,
    subscribers: &[Bind<'_>],
    at: UnixTime,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO tk_term (subscriber_id, began_at, seconds, input, output)
         SELECT s.id, {}, COALESCE(u.seconds, 0), COALESCE(u.input, 0), COALESCE(u.output, 0)
         FROM tk_subscriber s LEFT JOIN tk_usage u ON u.subscriber_id = s.id AND u.day = {} WHERE s.id IN ({{}}) {}",
        at.0,
        Day::LIFETIME.0,
        anew(tx)
    );
    tx.run_in("tk_term", &sql, subscribers).await
}

/// A subscriber's term began then, and had used so much (seconds, input, output) since ever by then.
pub(super) async fn put_term(
    tx: &mut Tx<'_>,
    subscriber: i64,
    began: UnixTime,
    used: [i64; 3],
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO tk_term (subscriber_id, began_at, seconds, input, output) VALUES (?, ?, ?, ?, ?) {}",
        anew(tx)
    );
    let [seconds, input, output] = used;
    let binds = [subscriber, began.0, seconds, input, output].map(Bind::Int);
    tx.run("tk_term", &sql, &binds).await.map(drop)
}

/// What becomes of the row of a term that is there already. What was cleared in its periods stays so.
const fn anew(tx: &Tx<'_>) -> &'static str {
    let standard =
        "ON CONFLICT (subscriber_id) DO UPDATE SET began_at = excluded.began_at, seconds = excluded.seconds,
        input = excluded.input, output = excluded.output";
    let mysql = "ON DUPLICATE KEY UPDATE began_at = VALUES(began_at), seconds = VALUES(seconds), input = VALUES(input),
        output = VALUES(output)";
    tx.pick(standard, standard, mysql)
}

/// A subscriber's term begins, and its days, weeks and months count from now on, too. `today`: in its zone.
pub(super) async fn clear_usage(
    tx: &mut Tx<'_>,
    subscriber: i64,
    today: Day,
    at: UnixTime,
) -> Result<(), StoreError> {
    begin_term(tx, subscriber, at).await?;
    let sql = "SELECT seconds, input, output FROM tk_usage WHERE subscriber_id = ? AND day = ?";
    let binds = [Bind::Int(subscriber), Bind::Int(today.0.into())];
    let used = tx.fetch("tk_usage", sql, &binds, |row| Ok([row.number(0)?, row.number(1)?, row.number(2)?]));
    let [seconds, input, output] = used.await?.into_iter().next().unwrap_or_default();
    let sql = "UPDATE tk_term SET cleared_day = ?, day_seconds = ?, day_input = ?, day_output = ? WHERE subscriber_id = ?";
    let binds = [today.0.into(), seconds, input, output, subscriber].map(Bind::Int);
    tx.run("tk_term", sql, &binds).await.map(drop)
}
