//! Quotas: `tk_quota`, `tk_term`, and the figures of `tk_plan` that bear on sessions.

use std::collections::HashMap;

use super::admin::{charge_rule, rule_columns};
use super::db::{Columns, amount, fetch, fetch_in};
use super::{Store, StoreError};
use crate::domain::plan::{Concurrency, PlanId};
use crate::domain::subscriber::POSTPAID;
use crate::domain::{
    AccountOverride, Credit, Day, Exhaustion, LoginOverride, Metric, Period, PlanLimits, Quota, QuotaRole,
    Rate, SubscriberId, SubscriberTerms, TopUp, Usage, WalletKind,
};

/// `tk_quota.origin` of what was bought on top.
pub(super) const TOP_UP: &str = "topup";

/// A row of `tk_quota` without its owner.
pub(super) const QUOTA: &str =
    "id, metric, period, origin, quota_limit, used, carry_over, on_exhaust, rate_down, rate_up, redirect,
    reset_anchor, priority, starts_at, expires_at";

pub(super) enum Row {
    Quota(Quota),
    TopUp(TopUp),
    /// A word of a later release: not ours to read.
    Unknown,
}

impl Store {
    /// What bears on the quotas of these subscribers.
    pub(super) async fn terms_of(
        &self,
        subscribers: &[i64],
    ) -> Result<HashMap<SubscriberId, SubscriberTerms>, StoreError> {
        let sql = "SELECT s.id, s.plan_id, a.time_zone, s.reset_day, s.activation_at, s.created_at,
                 t.seconds, t.input, t.output, t.cleared_day, t.day_seconds, t.day_input, t.day_output
             FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id
             LEFT JOIN tk_term t ON t.subscriber_id = s.id WHERE s.id IN ({})";
        let found = fetch_in!(self.db(), "tk_subscriber", sql, subscribers, [], |row| {
            let terms = SubscriberTerms {
                plan: row.int(1)?.map(PlanId),
                zone: row.text(2)?.unwrap_or_default(),
                reset_day: day(row.int(3)?),
                activated: row.time(4)?,
                created: row.time(5)?.unwrap_or_default(),
                before_term: Usage { seconds: count(row, 6)?, input: count(row, 7)?, output: count(row, 8)? },
                said_used: Usage { seconds: below(row, 6)?, input: below(row, 7)?, output: below(row, 8)? },
                cleared: match row.int(9)?.and_then(|day| i32::try_from(day).ok()) {
                    None => None,
                    Some(day) => {
                        let used = Usage {
                            seconds: count(row, 10)?,
                            input: count(row, 11)?,
                            output: count(row, 12)?,
                        };
                        Some((Day(day), used))
                    }
                },
                ..SubscriberTerms::default()
            };
            Ok((SubscriberId(row.number(0)?), terms))
        })?;
        let mut terms: HashMap<SubscriberId, SubscriberTerms> = found.into_iter().collect();
        let sql =
            format!("SELECT subscriber_id, {QUOTA} FROM tk_quota WHERE subscriber_id IN ({{}}) ORDER BY id");
        for (subscriber, row) in fetch_in!(self.db(), "tk_quota", &sql, subscribers, [], read)? {
            let terms = terms.entry(SubscriberId(subscriber)).or_default();
            match row {
                Row::Quota(quota) => terms.quotas.push(quota),
                Row::TopUp(bought) => terms.top_ups.push(bought),
                Row::Unknown => {}
            }
        }
        let text = self.db().pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT w.subscriber_id, CAST(w.balance AS {text}), CAST(w.spent AS {text}), CAST(w.charged AS {text}),
                 CAST(w.credit_limit AS {text})
             FROM tk_wallet w JOIN tk_subscriber s ON s.id = w.subscriber_id
             WHERE w.kind = CASE WHEN s.kind = '{POSTPAID}' THEN 'money' ELSE 'credit' END AND w.subscriber_id IN ({{}})"
        );
        let wallets = fetch_in!(self.db(), "tk_wallet", &sql, subscribers, [], |row| {
            let credit = Credit {
                wallet: WalletKind::default(),
                granted: amount(row, 1)?.saturating_plus(amount(row, 2)?),
                charged: amount(row, 3)?,
                limit: amount(row, 4)?,
            };
            Ok((SubscriberId(row.number(0)?), credit))
        })?;
        for (subscriber, credit) in wallets {
            terms.entry(subscriber).or_default().credit = Some(credit);
        }
        let sql = "SELECT subscriber_id, rate_down, rate_up, idle_timeout, places FROM tk_override
             WHERE kind IN ('account', 'bandwidth') AND subscriber_id IN ({}) ORDER BY id";
        let small =
            |number: Option<i64>| number.map(|number| u32::try_from(number.max(0)).unwrap_or(u32::MAX));
        let rows = fetch_in!(self.db(), "tk_override", sql, subscribers, [], |row| {
            let own = AccountOverride {
                rate: Rate { down: rate(row.int(1)?), up: rate(row.int(2)?) },
                idle_timeout: small(row.int(3)?),
                places: small(row.int(4)?),
            };
            Ok((SubscriberId(row.number(0)?), own))
        })?;
        let sql = "SELECT subscriber_id, id, mac, seconds, octets, rate_down, rate_up, idle_timeout, expires_at
             FROM tk_override WHERE kind = 'login' AND taken_at IS NULL AND subscriber_id IN ({}) ORDER BY id";
        let logins = fetch_in!(self.db(), "tk_override", sql, subscribers, [], |row| {
            let login = LoginOverride {
                id: row.number(1)?,
                mac: row.word(2)?,
                seconds: row.int(3)?.and_then(|number| u64::try_from(number).ok()),
                octets: row.int(4)?.and_then(|number| u64::try_from(number).ok()),
                rate: Rate { down: rate(row.int(5)?), up: rate(row.int(6)?) },
                idle_timeout: small(row.int(7)?),
                expires: row.time(8)?,
            };
            Ok((SubscriberId(row.number(0)?), login))
        })?;
        for (subscriber, login) in logins {
            terms.entry(subscriber).or_default().logins.push(login);
        }
        for (subscriber, own) in rows {
            let terms = terms.entry(subscriber).or_default();
            terms.own = terms.own.then(own);
        }
        Ok(terms)
    }

    /// What of the plans bears on sessions, all of them, by number.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn plan_limits(&self) -> Result<Vec<PlanLimits>, StoreError> {
        let sql = "SELECT id, name, groupname, rate_down, rate_up, time_seconds, quota_octets, daily_seconds,
                 daily_octets, monthly_seconds, monthly_octets, reset_day, concurrency
             FROM tk_plan ORDER BY id";
        let mut plans = fetch!(self.db(), read, "tk_plan", sql, [], |row| {
            Ok(PlanLimits {
                id: PlanId(row.number(0)?),
                name: row.word(1)?,
                group: row.word(2)?,
                rate: Rate { down: rate(row.int(3)?), up: rate(row.int(4)?) },
                time: row.int(5)?,
                volume: row.int(6)?,
                daily_time: row.int(7)?,
                daily_volume: row.int(8)?,
                monthly_time: row.int(9)?,
                monthly_volume: row.int(10)?,
                reset_day: day(row.int(11)?),
                concurrency: Concurrency::parse(&row.word(12)?),
                quotas: Vec::new(),
                charges: Vec::new(),
            })
        })?;
        let sql = format!("SELECT plan_id, {QUOTA} FROM tk_quota WHERE plan_id IS NOT NULL ORDER BY id");
        for (plan, row) in fetch!(self.db(), read, "tk_quota", &sql, [], read)? {
            if let Row::Quota(quota) = row
                && let Ok(place) = plans.binary_search_by_key(&plan, |plan| plan.id.0)
                && let Some(plan) = plans.get_mut(place)
            {
                plan.quotas.push(quota);
            }
        }
        let columns = rule_columns(self.db().pick("TEXT", "text", "CHAR"));
        let sql = format!("SELECT c.plan_id, {columns} FROM tk_charge_rule c ORDER BY c.id");
        let rules = fetch!(self.db(), read, "tk_charge_rule", &sql, [], |row| Ok((
            row.number(0)?,
            charge_rule(row, 1)?
        )))?;
        for (plan, rule) in rules {
            if let Ok(place) = plans.binary_search_by_key(&plan, |plan| plan.id.0)
                && let Some(plan) = plans.get_mut(place)
            {
                plan.charges.push(rule);
            }
        }
        Ok(plans)
    }
}

/// The number of the owner, and the row.
pub(super) fn read(row: &dyn Columns) -> Result<(i64, Row), sqlx::Error> {
    let owner = row.number(0)?;
    let (metric, period) = (Metric::parse(&row.word(2)?), Period::parse(&row.word(3)?));
    let (Some(metric), Some(period)) = (metric, period) else { return Ok((owner, Row::Unknown)) };
    let (id, limit, created) = (row.number(1)?, row.number(5)?, row.time(14)?.unwrap_or_default());
    if row.word(4)? == TOP_UP {
        let bought = TopUp {
            id,
            is_time: metric.is_time(),
            amount: u64::try_from(limit).unwrap_or(0),
            used: row.count(6)?,
            expires: row.time(15)?,
            created,
        };
        return Ok((owner, Row::TopUp(bought)));
    }
    let exhausted = match &*row.word(8)? {
        "throttle" => Exhaustion::Throttle(Rate { down: rate(row.int(9)?), up: rate(row.int(10)?) }),
        "redirect" => Exhaustion::Redirect(row.text(11)?.unwrap_or_default()),
        // A word of a later release refuses, it does not open.
        _ => Exhaustion::Refuse,
    };
    let quota = Quota {
        id,
        metric,
        period,
        limit,
        carry_over: row.number(7)? != 0,
        exhausted,
        begins: row.int(12)?.and_then(|begins| u8::try_from(begins).ok()),
        priority: i32::try_from(row.number(13)?).unwrap_or(0),
        created,
        role: QuotaRole::parse(&row.word(4)?),
    };
    Ok((owner, Row::Quota(quota)))
}

fn day(number: Option<i64>) -> Option<u8> {
    number.and_then(|day| u8::try_from(day).ok()).filter(|day| (1..=31).contains(day))
}

/// A rate of 0 is none.
fn rate(number: Option<i64>) -> Option<u64> {
    number.and_then(|rate| u64::try_from(rate).ok()).filter(|rate| *rate > 0)
}

/// How far a number is below nothing.
fn below(row: &dyn Columns, column: usize) -> Result<u64, sqlx::Error> {
    Ok(row.int(column)?.filter(|number| *number < 0).map_or(0, i64::unsigned_abs))
}

fn count(row: &dyn Columns, column: usize) -> Result<u64, sqlx::Error> {
    Ok(row.int(column)?.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
}
