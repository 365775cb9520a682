//! Credit, deposits and packages of many customers at once: all or none, one transaction, one row of the
//! audit for each.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::{Found, resolve};
use crate::domain::customer::{CustomerObstacle, NamedBy, ServiceState};
use crate::domain::operator::Scope;
use crate::domain::{Amount, LedgerAction, WalletKind};
use crate::store::admin::accounts::add_batch;
use crate::store::admin::credit::{self, Booking, Movement, Wallet};
use crate::store::admin::subscribers::{self, column, touch};
use crate::store::admin::tx::{Bind, Tx};
use crate::store::admin::{
    Author, CreditChange, CreditObstacle, PutOff, audit_added, audit_all, quotas, renewals,
};
use crate::store::{Store, StoreError};

/// Customers to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewCustomers<'a> {
    /// How many.
    pub count: u32,
    /// Name of their account.
    pub account: &'a str,
    /// Name of their plan.
    pub plan: &'a str,
    /// Credit that each begins with.
    pub credit: Amount,
    /// For people.
    pub comment: &'a str,
    /// Fields of each.
    pub fields: &'a [(String, String)],
}

/// How wallets change.
#[derive(Clone, Copy, Debug)]
pub struct WalletChange<'a> {
    /// Which.
    pub kind: WalletKind,
    /// By how much.
    pub change: CreditChange,
    /// For people.
    pub comment: &'a str,
}

/// What is done to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// It begins anew: what is left of the credit is gone, the plan's comes in its place, what was used is
    /// forgotten, the next login is the first. What the fields of a customer say about it is heeded.
    Renewal,
    /// What its plan gives with a recharge is added.
    Recharge,
}

/// Fields of a customer that say how it is renewed.
const KEEP_CREDIT: &str = "renew_do_not_reset_credit";
const FORGIVE_DEBT: &str = "reset_negative_credit_on_renew";
const DROP_DATES: &str = "renew_remove_user_exp_dates";
const NEXT_PLAN: &str = "renew_next_group";
/// Until when a package was extended.
pub(super) const EXTENDED_UNTIL: &str = "exp_date_temp_extend";

impl Store {
    /// Makes customers without a login, each with a row of the ledger; gives their numbers.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn make_customers(
        &self,
        new: &NewCustomers<'_>,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<Vec<i64>, CustomerObstacle>, StoreError> {
        let NewCustomers { count, account, plan, credit, comment, fields } = *new;
        let mut tx = Tx::begin(self.db()).await?;
        let account_id = match super::edit::account_of(&mut tx, account, scope).await? {
            Ok(id) => id,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let Some(plan_id) = super::edit::plan_of_scope(&mut tx, plan, scope).await? else {
            return Ok(Err(CustomerObstacle::NoPlan(plan.to_owned())));
        };
        let last =
            tx.fetch("tk_subscriber", "SELECT MAX(id) FROM tk_subscriber", &[], |row| row.int(0)).await?;
        let last = last.into_iter().flatten().next().unwrap_or(0);
        let said = format!("plan={plan} account={account} credit={credit} {comment}").trim_end().to_owned();
        let many = usize::try_from(count).unwrap_or(usize::MAX);
        let batch = add_batch(&mut tx, &said, many, author).await?;
        let (at, by) = (Bind::Int(author.at.0), Bind::Text(&author.name));
        let row = [Bind::Int(account_id), Bind::Int(plan_id), Bind::Int(batch), at, by, at, by];
        let head = "INSERT INTO tk_subscriber (account_id, plan_id, batch_id, created_at, created_by, updated_at, updated_by)";
        tx.insert_rows("tk_subscriber", head, &vec![row; many]).await?;
        // Behind the last number there was, so that no more is looked through than was made.
        let whose = format!("batch_id = {batch} AND id > {last}");
        let sql = format!("SELECT id FROM tk_subscriber WHERE {whose} ORDER BY id");
        let ids = tx.fetch("tk_subscriber", &sql, &[], |row| row.number(0)).await?;
        credit::open_all(&mut tx, &whose, credit, comment, author).await?;
        let added: Vec<_> = ids.iter().map(|id| (*id, format!("user {id} {said}"))).collect();
        audit_added(&mut tx, author, &added).await?;
        let rows: Vec<_> = ids
            .iter()
            .flat_map(|id| {
                fields.iter().map(|(name, value)| [Bind::Int(*id), Bind::Text(name), Bind::Text(value)])
            })
            .collect();
        tx.insert_rows("tk_custom_field", "INSERT INTO tk_custom_field (subscriber_id, name, value)", &rows)
            .await?;
        tx.commit().await?;
        Ok(Ok(ids))
    }

    /// Changes a wallet of customers; gives the numbers of the rows in the ledger, one for each. A positive
    /// change of credit makes the package one that was recharged.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn change_wallets(
        &self,
        ids: &[String],
        asked: WalletChange<'_>,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<Vec<i64>, CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = match resolve(&mut tx, NamedBy::Number, ids, scope, Some(author)).await? {
            Ok(found) => found,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let ids = binds(&found);
        let wallets = credit::hold_all(&mut tx, &ids, asked.kind, author).await?;
        let (mut bookings, mut raised, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for Found { id, login } in &found {
            let (id, held) = (*id, Held::of(wallets.get(id)));
            let after = match asked.change {
                CreditChange::Add(amount) => held.balance.plus(amount),
                // What open sessions have cost is not posted yet: the credit that is seen becomes this.
                CreditChange::Set(amount) => amount.plus(held.running),
                CreditChange::Multiply(factor) => {
                    let seen = held.balance.saturating_minus(held.running);
                    seen.times(factor).and_then(|seen| seen.plus(held.running))
                }
            };
            let Some(after) = after else { return Ok(Err(CustomerObstacle::TooLarge)) };
            let left = after.saturating_minus(held.running);
            if after < held.balance && left < held.limit.negated() {
                let credit = held.balance.saturating_minus(held.running);
                return Ok(Err(CustomerObstacle::BelowLimit { id, credit }));
            }
            let Some(delta) = after.minus(held.balance) else { return Ok(Err(CustomerObstacle::TooLarge)) };
            let action = match asked.kind {
                WalletKind::Credit => LedgerAction::ChangeCredit,
                WalletKind::Money => match asked.change {
                    CreditChange::Add(amount) if amount.is_negative() => LedgerAction::MoneyDec,
                    CreditChange::Add(_) => LedgerAction::MoneyInc,
                    CreditChange::Set(_) | CreditChange::Multiply(_) => LedgerAction::MoneySet,
                },
                WalletKind::Due if after < held.balance => LedgerAction::Payment,
                WalletKind::Due => LedgerAction::Invoice,
            };
            let movement = Movement { comment: asked.comment, ..Movement::of(action) };
            bookings.push(Booking { id, before: held.balance, delta, movement });
            if asked.kind == WalletKind::Credit && delta.is_positive() {
                raised.push(Bind::Int(id));
            }
            let said = format!("{} {after} {}", asked.kind.as_str(), asked.comment);
            notes.push(noted(id, login.as_deref(), Some(held.balance), &said));
        }
        credit::book_all(&mut tx, asked.kind, &bookings, author).await?;
        let recharged = Bind::Text(ServiceState::Recharged.as_str());
        subscribers::column_of_all(&mut tx, "service_state", &raised, recharged).await?;
        audit_all(&mut tx, author, asked.kind.as_str(), &notes).await?;
        let last = credit::last_entries(&mut tx, asked.kind, &ids).await?;
        let entries = found.iter().filter_map(|Found { id, .. }| last.get(id).copied()).collect();
        tx.commit().await?;
        Ok(Ok(entries))
    }

    /// Begins the packages of customers anew, or adds to them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn refresh_customers(
        &self,
        ids: &[String],
        how: Refresh,
        comment: &str,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = match resolve(&mut tx, NamedBy::Number, ids, scope, Some(author)).await? {
            Ok(found) => found,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let done = match how {
            Refresh::Renewal => renew(&mut tx, &found, comment, scope, author).await?.map(drop),
            Refresh::Recharge => recharge(&mut tx, &found, comment, author).await?,
        };
        if let Err(obstacle) = done {
            return Ok(Err(obstacle));
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// The same for one, by its login; gives the credit that it has then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn refresh(
        &self,
        login: &str,
        how: Refresh,
        comment: &str,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<Amount, CreditObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = credit::find(&mut tx, login, scope, author).await? else {
            return Ok(Err(CreditObstacle::NoSubscriber));
        };
        let done = match how {
            Refresh::Renewal => {
                let found = [Found { id, login: Some(login.into()) }];
                let renewed = renew(&mut tx, &found, comment, scope, author).await?;
                let left = renewed.map(|left| left.get(&id).copied().unwrap_or_default());
                left.map_err(|_| CreditObstacle::NoPlan)
            }
            Refresh::Recharge => credit::recharge(&mut tx, id, login, comment, author).await?,
        };
        if done.is_ok() {
            tx.commit().await?;
        }
        Ok(done)
    }

    /// Lets packages go on until then, whatever ends them, with so much credit more. `put`: until when, if longer
    /// than now, and how that is shown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn extend_customers(
        &self,
        ids: &[String],
        put: Option<(&PutOff<'_>, &str)>,
        credit: Amount,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = match resolve(&mut tx, NamedBy::Number, ids, scope, Some(author)).await? {
            Ok(found) => found,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        for Found { id, login } in found {
            let held = hold(&mut tx, id, WalletKind::Credit, author).await?;
            if held.balance.plus(credit).is_none() {
                return Ok(Err(CustomerObstacle::TooLarge));
            }
            if !credit.is_zero() {
                let movement = Movement::of(LedgerAction::TempExtend);
                post(&mut tx, id, WalletKind::Credit, held.balance, credit, movement, author).await?;
            }
            if let Some((put, shown)) = put {
                renewals::put_off(&mut tx, id, login.as_deref(), put).await?;
                super::edit::put_field(&mut tx, id, EXTENDED_UNTIL, shown).await?;
            }
            state(&mut tx, id, ServiceState::TemporaryExtended).await?;
            let until = put.map_or(author.at, |(put, _)| put.until);
            let said = format!("until {} credit {credit}", until.0);
            note(&mut tx, id, login.as_deref(), "extend", Some(held.balance), &said, author).await?;
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Says what packages are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_service_state(
        &self,
        ids: &[String],
        to: ServiceState,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = match resolve(&mut tx, NamedBy::Number, ids, scope, Some(author)).await? {
            Ok(found) => found,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        for Found { id, login } in found {
            state(&mut tx, id, to).await?;
            touch(&mut tx, id, author).await?;
            note(&mut tx, id, login.as_deref(), "service_state", None, to.as_str(), author).await?;
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Says what customers have used under a rule of their plan.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_rule_usage(
        &self,
        ids: &[String],
        rule: i64,
        used: (Amount, i64, i64),
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<(), CustomerObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = match resolve(&mut tx, NamedBy::Number, ids, scope, Some(author)).await? {
            Ok(found) => found,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        for Found { id, login } in found {
            let sql = "SELECT r.id FROM tk_charge_rule r JOIN tk_subscriber s ON s.plan_id = r.plan_id
                 WHERE s.id = ? AND r.id = ?";
            let known = tx
                .fetch("tk_charge_rule", sql, &[Bind::Int(id), Bind::Int(rule)], |row| row.number(0))
                .await?;
            if known.is_empty() {
                return Ok(Err(CustomerObstacle::NoRule(rule)));
            }
            let sql = "DELETE FROM tk_charge_usage WHERE subscriber_id = ? AND rule_id = ?";
            tx.run("tk_charge_usage", sql, &[Bind::Int(id), Bind::Int(rule)]).await?;
            let (credit, seconds, octets) = used;
            let sql = format!(
                "INSERT INTO tk_charge_usage (subscriber_id, rule_id, credit, seconds, bytes) VALUES (?, ?, {}, ?, ?)",
                tx.decimal()
            );
            let binds =
                [Bind::Int(id), Bind::Int(rule), Bind::Amount(credit), Bind::Int(seconds), Bind::Int(octets)];
            tx.run("tk_charge_usage", &sql, &binds).await?;
            touch(&mut tx, id, author).await?;
            let said = format!("rule {rule}: {credit} {seconds} s {octets} octets");
            note(&mut tx, id, login.as_deref(), "charge usage", None, &said, author).await?;
        }
        tx.commit().await?;
        Ok(Ok(()))
    }
}

/// What is left of the credit of a customer that goes is booked out.
pub(super) async fn close(
    tx: &mut Tx<'_>,
    id: i64,
    comment: &str,
    author: &Author,
) -> Result<(), StoreError> {
    let held = hold(tx, id, WalletKind::Credit, author).await?;
    let movement = Movement { comment, ..Movement::of(LedgerAction::DelUser) };
    post(tx, id, WalletKind::Credit, held.balance, held.balance.negated(), movement, author).await.map(drop)
}

/// Says how far below nothing a credit may go.
pub(super) async fn limit(
    tx: &mut Tx<'_>,
    id: i64,
    limit: Amount,
    author: &Author,
) -> Result<(), StoreError> {
    hold(tx, id, WalletKind::Credit, author).await?;
    let sql = format!(
        "UPDATE tk_wallet SET credit_limit = {} WHERE subscriber_id = ? AND kind = 'credit'",
        tx.decimal()
    );
    tx.run("tk_wallet", &sql, &[Bind::Amount(limit), Bind::Int(id)]).await.map(drop)
}

/// Begins packages anew: the plan of one is missing, or the one that comes next, or each has the credit that is
/// left then.
async fn renew(
    tx: &mut Tx<'_>,
    found: &[Found],
    comment: &str,
    scope: &Scope,
    author: &Author,
) -> Result<Result<HashMap<i64, Amount>, CustomerObstacle>, StoreError> {
    let ids = binds(found);
    let wallets = credit::hold_all(tx, &ids, WalletKind::Credit, author).await?;
    let sql = "SELECT subscriber_id, name, value FROM tk_custom_field WHERE subscriber_id IN ({})";
    let rows = tx
        .fetch_in("tk_custom_field", sql, &ids, |row| Ok((row.number(0)?, row.word(1)?, row.word(2)?)))
        .await?;
    let mut fields: HashMap<i64, Vec<(SmolStr, SmolStr)>> = HashMap::new();
    for (id, name, value) in rows {
        fields.entry(id).or_default().push((name, value));
    }
    let field = |id: i64, name: &str| {
        let own = fields.get(&id).into_iter().flatten();
        own.filter(|(known, _)| known == name).map(|(_, value)| value).next()
    };
    for Found { id, login } in found {
        if let Some(next) = field(*id, NEXT_PLAN)
            && !super::edit::move_plan(tx, *id, login.as_deref(), next, scope, author.at).await?
        {
            return Ok(Err(CustomerObstacle::NoPlan(next.to_string())));
        }
    }
    let numbers: Vec<i64> = found.iter().map(|found| found.id).collect();
    let plans = credit::plans_of(tx, &numbers).await?;
    let mut left_then = HashMap::with_capacity(found.len());
    let (mut bookings, mut notes, mut dateless) = (Vec::new(), Vec::new(), Vec::new());
    for Found { id, login } in found {
        let (id, held) = (*id, Held::of(wallets.get(id)));
        let Some(plan) = plans.get(&id) else { return Ok(Err(CustomerObstacle::PlanMissing(id))) };
        // What open sessions have cost is still to be paid, and comes off the credit when they end.
        let left = held.balance.saturating_minus(held.running);
        let is_set = |name: &str| field(id, name).is_some();
        let kept = is_set(KEEP_CREDIT) && !(left.is_negative() && is_set(FORGIVE_DEBT));
        let mut before = held.balance;
        if !kept && !left.is_zero() {
            let movement = Movement { comment, plan: Some(plan), ..Movement::of(LedgerAction::RenewTrash) };
            bookings.push(Booking { id, before, delta: left.negated(), movement });
            before = before.saturating_minus(left);
        }
        if !plan.credit.is_zero() {
            let movement =
                Movement { comment, plan: Some(plan), priced: true, ..Movement::of(LedgerAction::Renew) };
            bookings.push(Booking { id, before, delta: plan.credit, movement });
            before = before.saturating_plus(plan.credit);
        }
        if is_set(DROP_DATES) {
            dateless.push((id, login));
        }
        let said = format!("{} {} {comment}", plan.name, plan.credit);
        notes.push(noted(id, login.as_deref(), Some(held.balance), &said));
        left_then.insert(id, before.saturating_minus(held.running));
    }
    credit::book_all(tx, WalletKind::Credit, &bookings, author).await?;
    tx.run_in("tk_charge_usage", "DELETE FROM tk_charge_usage WHERE subscriber_id IN ({})", &ids).await?;
    quotas::begin_terms(tx, &ids, author.at).await?;
    let sql = format!(
        "UPDATE tk_subscriber SET renewed_at = {}, grace_until = NULL, first_use_at = NULL, service_state = '{}'
         WHERE id IN ({{}})",
        author.at.0,
        ServiceState::Package.as_str()
    );
    tx.run_in("tk_subscriber", &sql, &ids).await?;
    let sql = format!(
        "DELETE FROM tk_custom_field WHERE name IN ('{EXTENDED_UNTIL}', '{NEXT_PLAN}') AND subscriber_id IN ({{}})"
    );
    tx.run_in("tk_custom_field", &sql, &ids).await?;
    for (id, login) in dateless {
        column(tx, "expires_at", id, Bind::MaybeInt(None)).await?;
        let sql = "DELETE FROM tk_expiry_rule WHERE subscriber_id = ?";
        tx.run("tk_expiry_rule", sql, &[Bind::Int(id)]).await?;
        if let Some(login) = login {
            super::RADCHECK.remove(tx, login, &["Expiration"]).await?;
        }
    }
    audit_all(tx, author, "renew", &notes).await?;
    Ok(Ok(left_then))
}

/// Their numbers, for a list.
fn binds(found: &[Found]) -> Vec<Bind<'static>> {
    found.iter().map(|found| Bind::Int(found.id)).collect()
}

/// Adds to packages what their plans give with a recharge.
async fn recharge(
    tx: &mut Tx<'_>,
    found: &[Found],
    comment: &str,
    author: &Author,
) -> Result<Result<(), CustomerObstacle>, StoreError> {
    let ids = binds(found);
    let wallets = credit::hold_all(tx, &ids, WalletKind::Credit, author).await?;
    let numbers: Vec<i64> = found.iter().map(|found| found.id).collect();
    let plans = credit::plans_of(tx, &numbers).await?;
    let (mut bookings, mut notes) = (Vec::new(), Vec::new());
    for Found { id, login } in found {
        let (id, held) = (*id, Held::of(wallets.get(id)));
        let Some(plan) = plans.get(&id) else { return Ok(Err(CustomerObstacle::PlanMissing(id))) };
        if held.balance.plus(plan.recharge).is_none() {
            return Ok(Err(CustomerObstacle::TooLarge));
        }
        let movement = Movement { comment, plan: Some(plan), ..Movement::of(LedgerAction::Recharge) };
        bookings.push(Booking { id, before: held.balance, delta: plan.recharge, movement });
        let said = format!("{} {} {comment}", plan.name, plan.recharge);
        notes.push(noted(id, login.as_deref(), Some(held.balance), &said));
    }
    credit::book_all(tx, WalletKind::Credit, &bookings, author).await?;
    let recharged = Bind::Text(ServiceState::Recharged.as_str());
    subscribers::column_of_all(tx, "service_state", &ids, recharged).await?;
    audit_all(tx, author, "recharge", &notes).await.map(Ok)
}

pub(super) async fn state(tx: &mut Tx<'_>, id: i64, to: ServiceState) -> Result<(), StoreError> {
    column(tx, "service_state", id, Bind::Text(to.as_str())).await
}

/// The wallet of a customer, locked.
#[derive(Clone, Copy)]
struct Held {
    balance: Amount,
    /// What open sessions have cost so far.
    running: Amount,
    limit: Amount,
}

impl Held {
    /// What there is of a wallet; of none nothing.
    fn of(wallet: Option<&Wallet>) -> Self {
        let Wallet { balance, spent, charged, limit } = wallet.copied().unwrap_or_default();
        Self { balance, running: charged.saturating_minus(spent), limit }
    }
}

/// Locks a customer and its wallet, which is made where there is none.
async fn hold(tx: &mut Tx<'_>, id: i64, kind: WalletKind, author: &Author) -> Result<Held, StoreError> {
    Ok(Held::of(credit::hold_of(tx, id, kind, author).await?.as_ref()))
}

/// Moves a wallet that is held and writes why; gives the number of the row in the ledger.
async fn post(
    tx: &mut Tx<'_>,
    id: i64,
    kind: WalletKind,
    before: Amount,
    delta: Amount,
    movement: Movement<'_>,
    author: &Author,
) -> Result<i64, StoreError> {
    Ok(credit::book(tx, id, kind, before, delta, movement, author).await?.id)
}

/// The row of `tk_audit`.
pub(super) async fn note(
    tx: &mut Tx<'_>,
    id: i64,
    login: Option<&str>,
    verb: &str,
    before: Option<Amount>,
    said: &str,
    author: &Author,
) -> Result<(), StoreError> {
    audit_all(tx, author, verb, &[noted(id, login, before, said)]).await
}

/// The same, to be written with others: whose it is, what was, and what is.
pub(super) fn noted(
    id: i64,
    login: Option<&str>,
    before: Option<Amount>,
    said: &str,
) -> (i64, Option<String>, String) {
    let name = login.map_or_else(|| format!("user {id}"), ToOwned::to_owned);
    (id, before.map(|before| before.to_string()), format!("{name} {said}").trim_end().to_owned())
}
