//! Accounts with the values of a price plan copied to them: made by the batch, refilled, changed, told.

use std::collections::HashSet;

use smol_str::SmolStr;

use super::create::{self, NewSubscriber};
use super::credit::{self, CreditChange, CreditObstacle};
use super::limits::{self, Figure, LimitEdit};
use super::subscribers::{self, SubscriberEdit, SubscriberObstacle, column, locate};
use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::account::PricePlan;
use crate::domain::operator::Scope;
use crate::domain::plan::PlanId;
use crate::domain::text::{mac_spellings, mac_text};
use crate::domain::{Amount, LedgerAction, SubscriberId, WalletKind, Who};
use crate::store::db::{Columns, amount};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// The values of a plan that are copied to accounts. `None` is not limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanValues {
    /// Its number.
    pub id: PlanId,
    /// Its name.
    pub name: SmolStr,
    /// What it costs.
    pub price: Option<Amount>,
    /// ISO 4217.
    pub currency: SmolStr,
    /// Seconds.
    pub time: Option<u64>,
    /// Octets.
    pub quota: Option<u64>,
    /// Seconds a day.
    pub daily_time: Option<u64>,
    /// Octets a day.
    pub daily_quota: Option<u64>,
    /// Seconds a month.
    pub monthly_time: Option<u64>,
    /// Octets a month.
    pub monthly_quota: Option<u64>,
    /// Bit/s.
    pub rate_down: Option<u64>,
    /// Bit/s.
    pub rate_up: Option<u64>,
    /// Days from the first use.
    pub validity_days: Option<u64>,
    /// Is it still sold?
    pub enabled: bool,
}

/// What is the same for all accounts of a batch.
#[derive(Clone, Debug)]
pub struct NewBatch<'a> {
    /// What was asked for, without secrets.
    pub parameters: &'a str,
    /// The plan that was sold.
    pub sold: Option<&'a PlanValues>,
    /// When all of them end.
    pub expires: Option<UnixTime>,
    /// Their devices are remembered.
    pub autologin: bool,
    /// What is theirs and not their plan's.
    pub limits: &'a LimitEdit,
}

/// What shall be different about an account; all of it happens in one transaction.
#[derive(Clone, Debug, Default)]
pub struct AccountEdit {
    /// What every subscriber has.
    pub subscriber: SubscriberEdit,
    /// What is its own and not its plan's.
    pub limits: LimitEdit,
    /// Its devices are remembered.
    pub autologin: Option<bool>,
    /// It is sold now, for the price of its plan, if it was not before.
    pub sells: bool,
    /// Its money: set to, then added, then taken.
    pub money: MoneyEdit,
    /// A plan was sold on top, and is told in the ledger and among the purchases; the account is as good as
    /// new: its first use is the next one.
    pub refill: Option<PlanValues>,
    /// Facts that are only kept.
    pub facts: Vec<(&'static str, String)>,
    /// For the audit: what was asked, without secrets.
    pub summary: String,
}

/// What happens to money, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoneyEdit {
    /// It is this.
    pub set: Option<Amount>,
    /// This more.
    pub add: Option<Amount>,
    /// This less.
    pub take: Option<Amount>,
}

/// A device that is let in as an account, with what its next login has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewDeviceLogin {
    /// The digits of its MAC address.
    pub mac: [u8; 12],
    /// Seconds of the session.
    pub seconds: Option<u64>,
    /// Octets of the session, of each direction.
    pub octets: Option<u64>,
    /// Bit/s to it.
    pub rate_down: Option<u64>,
    /// Bit/s from it.
    pub rate_up: Option<u64>,
    /// Seconds; 0 is none.
    pub idle_timeout: Option<u32>,
    /// It is let in until then, and its session ends.
    pub until: Option<UnixTime>,
}

/// Why an account was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountObstacle {
    /// What stands in the way of any subscriber.
    Subscriber(SubscriberObstacle),
    /// Its money would be less than nothing.
    TooLittleMoney,
    /// Its money would have more digits than the tables hold.
    TooMuchMoney,
}

/// What `tk_subscriber` and its neighbours say of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Its plan.
    pub plan: Option<PlanId>,
    /// Days from the first use that the plan says.
    pub plan_days: Option<u64>,
    /// Are its devices remembered?
    pub autologin: bool,
    /// The first use since ever.
    pub first_use: Option<UnixTime>,
    /// Its money.
    pub money: Amount,
    /// Only at certain hours, by a row of its own or of one of its groups.
    pub has_hours: bool,
    /// Rules of its end, its own and its plan's: kind, value, unit.
    pub rules: Vec<(SmolStr, i64, SmolStr)>,
}

impl Store {
    /// The plans by number, those that are no longer sold among them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn price_plans(&self, scope: &Scope) -> Result<Vec<PricePlan>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let found = values(&mut tx, "ORDER BY p.id", &[], scope).await?;
        Ok(found
            .into_iter()
            .map(|plan| PricePlan {
                id: plan.id,
                name: plan.name,
                price: plan.price.unwrap_or_default(),
                time: plan.time,
                quota: plan.quota,
                rate_down: plan.rate_down.unwrap_or(0),
                rate_up: plan.rate_up.unwrap_or(0),
                enabled: plan.enabled,
            })
            .collect())
    }

    /// The values of a plan; `None`: there is none of that number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn plan_values(&self, plan: PlanId, scope: &Scope) -> Result<Option<PlanValues>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let found = values(&mut tx, "WHERE p.id = ?", &[Bind::Int(plan.0)], scope).await?;
        Ok(found.into_iter().next())
    }

    /// Every login in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn account_logins(&self, scope: &Scope) -> Result<Vec<SmolStr>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!(
            "SELECT s.username FROM tk_subscriber s WHERE s.username IS NOT NULL{} ORDER BY s.id",
            super::groups::within(scope)
        );
        tx.fetch("tk_subscriber", &sql, &[], |row| row.word(0)).await
    }

    /// The highest number that follows `prefix` in a login, in FreeRADIUS's tables too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn last_number(&self, prefix: &str) -> Result<Option<u64>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let pattern = format!("{}%", prefix.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
        let mut last = None;
        for table in ["tk_subscriber", "radcheck", "radusergroup"] {
            let sql = format!("SELECT username FROM {table} WHERE username LIKE ? ESCAPE '!'");
            let found = tx.fetch(table, &sql, &[Bind::Text(&pattern)], |row| row.word(0)).await?;
            let numbers = found.iter().filter_map(|login| {
                let digits = login.strip_prefix(prefix)?;
                (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
                    .then(|| digits.parse::<u64>().ok())?
            });
            last = last.max(numbers.max());
        }
        Ok(last)
    }

    /// Those of the logins that somebody has, in FreeRADIUS's tables too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn taken_logins(&self, logins: &[String]) -> Result<HashSet<SmolStr>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        create::all_taken(&mut tx, logins).await
    }

    /// Makes accounts together, all or none; gives the number of the batch, and theirs.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value, or somebody took a login meanwhile.
    pub async fn add_batch(
        &self,
        batch: &NewBatch<'_>,
        new: &mut [NewSubscriber],
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(i64, Vec<SubscriberId>), SubscriberObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let id = add_batch(&mut tx, batch.parameters, new.len(), author).await?;
        for new in &mut *new {
            new.batch = Some(id);
        }
        let ids = match create::create(&mut tx, new, scope, author).await? {
            Ok(ids) => ids,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let least = ids.iter().min().map_or(0, |id| id.0);
        let most = ids.iter().max().map_or(0, |id| id.0);
        // All of them have the same values, and numbers close to each other.
        let whose = format!("batch_id = {id} AND id BETWEEN {least} AND {most}");
        if batch.expires.is_some() || batch.autologin {
            let sql = format!("UPDATE tk_subscriber SET expires_at = ?, autologin = ? WHERE {whose}");
            let binds = [Bind::MaybeInt(batch.expires.map(|at| at.0)), Bind::Int(i64::from(batch.autologin))];
            tx.run("tk_subscriber", &sql, &binds).await?;
        }
        put_limits(&mut tx, batch.limits, &whose, author.at).await?;
        if let Some((plan, price)) = batch.sold.and_then(|plan| Some((plan, plan.price?))) {
            let sql = format!(
                "INSERT INTO tk_ledger (subscriber_id, wallet, action, before_balance, delta, after_balance, price,
                     currency, plan_id, comment, actor, dialect, remote_addr, at)
                 SELECT id, '{}', '{}', '0', '0', '0', {}, ?, {}, '', ?, ?, ?, {}
                 FROM tk_subscriber WHERE {whose} ORDER BY id",
                WalletKind::Money.as_str(),
                LedgerAction::Sale.as_str(),
                if matches!(tx, Tx::Postgres(..)) { "CAST(? AS numeric)" } else { "?" },
                plan.id.0,
                author.at.0,
            );
            let binds = [
                Bind::Amount(price),
                Bind::Text(&plan.currency),
                Bind::Text(&author.name),
                Bind::Text(author.dialect.as_str()),
                Bind::Text(&author.remote),
            ];
            tx.run("tk_ledger", &sql, &binds).await?;
        }
        tx.commit().await?;
        Ok(Ok((id, ids)))
    }

    /// What the tables say of an account beside what every subscriber has; `None`: nobody has the number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn account_row(&self, id: SubscriberId) -> Result<Option<AccountRow>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql =
            "SELECT s.plan_id, p.validity_days, s.autologin, COALESCE(s.real_first_use_at, s.first_use_at),
                 s.username
             FROM tk_subscriber s LEFT JOIN tk_plan p ON p.id = s.plan_id WHERE s.id = ?";
        let found = tx
            .fetch("tk_subscriber", sql, &[Bind::Int(id.0)], |row| {
                let account = AccountRow {
                    plan: row.int(0)?.map(PlanId),
                    plan_days: row.int(1)?.and_then(|days| u64::try_from(days).ok()),
                    autologin: row.int(2)? == Some(1),
                    first_use: row.time(3)?,
                    money: Amount::ZERO,
                    has_hours: false,
                    rules: Vec::new(),
                };
                Ok((account, row.text(4)?.unwrap_or_default()))
            })
            .await?;
        let Some((mut account, login)) = found.into_iter().next() else { return Ok(None) };
        account.money = money(&mut tx, id.0).await?;
        let sql =
            "SELECT kind, value, unit FROM tk_expiry_rule WHERE subscriber_id = ? OR plan_id = ? ORDER BY id";
        let plan = account.plan.map(|plan| plan.0);
        account.rules = tx
            .fetch("tk_expiry_rule", sql, &[Bind::Int(id.0), Bind::MaybeInt(plan)], |row| {
                Ok((row.word(0)?, row.number(1)?, row.word(2)?))
            })
            .await?;
        let sql = "SELECT COUNT(*) FROM (
                 SELECT username FROM radcheck WHERE username = ? AND attribute = 'Login-Time'
                 UNION ALL SELECT g.username FROM radusergroup g JOIN radgroupcheck c ON c.groupname = g.groupname
                     WHERE g.username = ? AND c.attribute = 'Login-Time') hours";
        let hours =
            tx.fetch("radcheck", sql, &[Bind::Text(&login), Bind::Text(&login)], |row| row.count(0)).await?;
        account.has_hours = hours.first().is_some_and(|count| *count > 0);
        Ok(Some(account))
    }

    /// Changes an account.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn change_account(
        &self,
        login: &str,
        change: &AccountEdit,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), AccountObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(mut located) = locate(&mut tx, Who::Login(login), scope, author).await? else {
            return Ok(Err(AccountObstacle::Subscriber(SubscriberObstacle::NoSubscriber)));
        };
        let id = located.id;
        let was_sold = change.sells && flag(&mut tx, "sold", id).await?;
        let edited = subscribers::edit(&mut tx, &mut located, &change.subscriber, scope, author).await?;
        if let Err(obstacle) = edited {
            return Ok(Err(AccountObstacle::Subscriber(obstacle)));
        }
        limits::write(&mut tx, id, &change.limits, author).await?;
        if let Some(autologin) = change.autologin {
            column(&mut tx, "autologin", id, Bind::Int(i64::from(autologin))).await?;
            if !autologin {
                let sql = "DELETE FROM tk_device WHERE subscriber_id = ? AND source = 'autologin'";
                tx.run("tk_device", sql, &[Bind::Int(id)]).await?;
            }
        }
        if let Err(obstacle) = move_money(&mut tx, id, change.money, author).await? {
            return Ok(Err(obstacle));
        }
        if change.sells && !was_sold {
            credit::record_sale(&mut tx, id, LedgerAction::Sale, "", author).await?;
        }
        if let Some(plan) = &change.refill {
            column(&mut tx, "first_use_at", id, Bind::MaybeInt(None)).await?;
            column(&mut tx, "renewed_at", id, Bind::Int(author.at.0)).await?;
            let told = credit::record_sale(&mut tx, id, LedgerAction::TopUp, "", author).await?;
            tell_purchase(&mut tx, id, told.map(|entry| entry.id), plan, author).await?;
        }
        put_facts(&mut tx, id, &change.facts).await?;
        let new = Some(format!("{login} {}", change.summary));
        let event = Event { object: "subscriber", id: Some(id), verb: "account", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }
}

impl Store {
    /// Lets a device in as an account. `Ok(false)`: nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_device_login(
        &self,
        login: &str,
        new: &NewDeviceLogin,
        scope: &Scope,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(located) = locate(&mut tx, Who::Login(login), scope, author).await? else {
            return Ok(false);
        };
        let text = mac_text(&new.mac);
        let (id, mac) = (Bind::Int(located.id), Bind::Text(&text));
        // A device is one account's at a time: the last one that it was logged in as.
        let spelt = mac_spellings(&new.mac);
        let earlier: Vec<Bind<'_>> = spelt.iter().map(|mac| Bind::Text(mac)).collect();
        for (table, which) in
            [("tk_device", "source IN ('loginaccount', 'autologin')"), ("tk_override", "kind = 'login'")]
        {
            let sql = format!("DELETE FROM {table} WHERE {which} AND mac IN (?, ?, ?, ?, ?, ?, ?, ?)");
            tx.run(table, &sql, &earlier).await?;
        }
        let until = Bind::MaybeInt(new.until.map(|until| until.0));
        let sql = "INSERT INTO tk_device (subscriber_id, mac, source, valid_until) VALUES (?, ?, 'loginaccount', ?)";
        tx.run("tk_device", sql, &[id, mac, until]).await?;
        let whole =
            |number: Option<u64>| Bind::MaybeInt(number.and_then(|number| i64::try_from(number).ok()));
        let sql = "INSERT INTO tk_override (subscriber_id, kind, mac, seconds, octets, rate_down, rate_up,
                 idle_timeout, expires_at, created_at)
             VALUES (?, 'login', ?, ?, ?, ?, ?, ?, ?, ?)";
        let binds = [
            id,
            mac,
            whole(new.seconds),
            whole(new.octets),
            whole(new.rate_down),
            whole(new.rate_up),
            Bind::MaybeInt(new.idle_timeout.map(i64::from)),
            until,
            Bind::Int(author.at.0),
        ];
        tx.run("tk_override", sql, &binds).await?;
        let said = Some(format!("{login} {text}"));
        let event =
            Event { object: "subscriber", id: Some(located.id), verb: "device login", old: None, new: said };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The number of a batch of subscribers that are made together.
pub(super) async fn add_batch(
    tx: &mut Tx<'_>,
    parameters: &str,
    count: usize,
    author: &Author,
) -> Result<i64, StoreError> {
    tx.insert(
        "tk_batch",
        "INSERT INTO tk_batch (at, created_by, dialect, parameters, accounts) VALUES (?, ?, ?, ?, ?)",
        &[
            Bind::Int(author.at.0),
            Bind::Text(&author.name),
            Bind::Text(author.dialect.as_str()),
            Bind::Text(parameters),
            Bind::Int(i64::try_from(count).unwrap_or(i64::MAX)),
        ],
    )
    .await
}

const VALUES: &str =
    "p.id, p.name, p.currency, p.time_seconds, p.quota_octets, p.daily_seconds, p.daily_octets,
    p.monthly_seconds, p.monthly_octets, p.rate_down, p.rate_up, p.validity_days, p.enabled, p.account_id";

/// The values of plans that the scope sees: `Main`'s, and those of its own accounts.
async fn values(
    tx: &mut Tx<'_>,
    which: &str,
    binds: &[Bind<'_>],
    scope: &Scope,
) -> Result<Vec<PlanValues>, StoreError> {
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!("SELECT {VALUES}, CAST(p.price AS {text}) FROM tk_plan p {which}");
    let found = tx
        .fetch("tk_plan", &sql, binds, |row| {
            let number =
                |column| Ok::<_, sqlx::Error>(row.int(column)?.and_then(|number| u64::try_from(number).ok()));
            let plan = PlanValues {
                id: PlanId(row.number(0)?),
                name: row.word(1)?,
                price: row.text(14)?.and_then(|text: SmolStr| Amount::parse(&text)),
                currency: row.word(2)?,
                time: number(3)?,
                quota: number(4)?,
                daily_time: number(5)?,
                daily_quota: number(6)?,
                monthly_time: number(7)?,
                monthly_quota: number(8)?,
                rate_down: number(9)?,
                rate_up: number(10)?,
                validity_days: number(11)?,
                enabled: row.int(12)? != Some(0),
            };
            Ok((plan, row.number(13)?))
        })
        .await?;
    let seen = |account: i64| account == 0 || scope.includes(account);
    Ok(found.into_iter().filter(|(_, account)| seen(*account)).map(|(plan, _)| plan).collect())
}

async fn flag(tx: &mut Tx<'_>, name: &str, id: i64) -> Result<bool, StoreError> {
    let sql = format!("SELECT {name} FROM tk_subscriber WHERE id = ?");
    let found = tx.fetch("tk_subscriber", &sql, &[Bind::Int(id)], |row| row.int(0)).await?;
    Ok(found.first() == Some(&Some(1)))
}

/// The limits of a batch. Nothing is used yet, so what is left is the limit.
async fn put_limits(tx: &mut Tx<'_>, edit: &LimitEdit, whose: &str, at: UnixTime) -> Result<(), StoreError> {
    for quota in &edit.quotas {
        let limit = match quota.figure {
            Figure::Limit(limit) | Figure::Left { left: limit, .. } => limit,
            Figure::Plans | Figure::Extra(_) => continue,
        };
        let sql = format!(
            "INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit, starts_at)
             SELECT id, '{}', '{}', '{}', {limit}, {} FROM tk_subscriber WHERE {whose} ORDER BY id",
            quota.metric.as_str(),
            quota.period.as_str(),
            if quota.lifted { "unlimited" } else { "override" },
            at.0
        );
        tx.run("tk_quota", &sql, &[]).await?;
    }
    let small = |number: Option<Option<u32>>| number.flatten().map(u64::from);
    let own = [
        ("rate_down", edit.own.rate_down.flatten()),
        ("rate_up", edit.own.rate_up.flatten()),
        ("idle_timeout", small(edit.own.idle_timeout)),
        ("places", small(edit.own.places)),
    ];
    let own: Vec<_> = own.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))).collect();
    if !own.is_empty() {
        let names: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
        let figures: Vec<&str> = own.iter().map(|(_, figure)| figure.as_str()).collect();
        let sql = format!(
            "INSERT INTO tk_override (subscriber_id, kind, created_at, {})
             SELECT id, 'account', {}, {} FROM tk_subscriber WHERE {whose} ORDER BY id",
            names.join(", "),
            at.0,
            figures.join(", ")
        );
        tx.run("tk_override", &sql, &[]).await?;
    }
    Ok(())
}

/// The money of a subscriber.
async fn money(tx: &mut Tx<'_>, id: i64) -> Result<Amount, StoreError> {
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT CAST(balance AS {text}) FROM tk_wallet WHERE subscriber_id = ? AND kind = '{}'",
        WalletKind::Money.as_str()
    );
    let found = tx.fetch("tk_wallet", &sql, &[Bind::Int(id)], |row: &dyn Columns| amount(row, 0)).await?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Sets, adds to and takes from the money of a subscriber, each with its row of the ledger.
async fn move_money(
    tx: &mut Tx<'_>,
    id: i64,
    change: MoneyEdit,
    author: &Author,
) -> Result<Result<(), AccountObstacle>, StoreError> {
    let moves = [
        (change.set.map(CreditChange::Set), LedgerAction::MoneySet),
        (change.add.map(CreditChange::Add), LedgerAction::MoneyInc),
        (change.take.map(|amount| CreditChange::Add(amount.negated())), LedgerAction::MoneyDec),
    ];
    for (change, action) in moves {
        let Some(change) = change else { continue };
        let moved = credit::move_wallet(tx, id, WalletKind::Money, change, action, "", author).await?;
        match moved {
            Ok(_) => {}
            Err(CreditObstacle::NoSubscriber | CreditObstacle::NoPlan) => {
                return Ok(Err(AccountObstacle::Subscriber(SubscriberObstacle::NoSubscriber)));
            }
            Err(CreditObstacle::BelowLimit { .. }) => return Ok(Err(AccountObstacle::TooLittleMoney)),
            Err(CreditObstacle::TooLarge) => return Ok(Err(AccountObstacle::TooMuchMoney)),
        }
    }
    Ok(Ok(()))
}

/// The row of `tk_topup` of a plan that was sold on top.
async fn tell_purchase(
    tx: &mut Tx<'_>,
    id: i64,
    ledger: Option<i64>,
    plan: &PlanValues,
    author: &Author,
) -> Result<(), StoreError> {
    let sql = "SELECT id FROM tk_quota WHERE subscriber_id = ? AND origin = 'override' ORDER BY id";
    let quota = tx.fetch("tk_quota", sql, &[Bind::Int(id)], |row| row.number(0)).await?;
    let sql = format!(
        "INSERT INTO tk_topup (subscriber_id, quota_id, ledger_id, plan_name, profiles, amount, currency, created_by,
             at)
         VALUES (?, ?, ?, ?, ?, {}, ?, ?, ?)",
        tx.decimal()
    );
    let binds = [
        Bind::Int(id),
        Bind::Int(quota.first().copied().unwrap_or(0)),
        Bind::MaybeInt(ledger),
        Bind::Text(&plan.name),
        Bind::Text(&plan.name),
        Bind::MaybeAmount(plan.price),
        Bind::Text(&plan.currency),
        Bind::Text(&author.name),
        Bind::Int(author.at.0),
    ];
    tx.run("tk_topup", &sql, &binds).await.map(drop)
}

async fn put_facts(tx: &mut Tx<'_>, id: i64, facts: &[(&'static str, String)]) -> Result<(), StoreError> {
    for (name, value) in facts {
        let sql = "DELETE FROM tk_custom_field WHERE subscriber_id = ? AND name = ?";
        tx.run("tk_custom_field", sql, &[Bind::Int(id), Bind::Text(name)]).await?;
        if !value.is_empty() {
            let sql = "INSERT INTO tk_custom_field (subscriber_id, name, value) VALUES (?, ?, ?)";
            tx.run("tk_custom_field", sql, &[Bind::Int(id), Bind::Text(name), Bind::Text(value)]).await?;
        }
    }
    Ok(())
}
