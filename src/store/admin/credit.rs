//! Credit: wallets and the ledger, renewals, and the charge rules of plans.
//!
//! Whoever changes a wallet holds its row, and before it that of its subscriber: the group commit takes
//! them in the same order. What a wallet holds is what its ledger adds up to.

use std::collections::{BTreeMap, HashMap};

use smol_str::SmolStr;

use super::subscribers::{column, locate, touch, touch_all};
use super::tx::{Bind, Tx};
use super::{Author, Event, audit, plans};
use crate::domain::operator::Scope;
use crate::domain::subscriber::POSTPAID;
use crate::domain::{Amount, ChargeRule, LedgerAction, Price, SubscriberId, WalletKind, Who};
use crate::store::db::{Columns, amount};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A wallet of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditRecord {
    /// Whose it is.
    pub subscriber: SubscriberId,
    /// What the ledger adds up to.
    pub balance: Amount,
    /// What open sessions have cost so far.
    pub running: Amount,
    /// How far below nothing it may go.
    pub limit: Amount,
    /// What was used under each rule since the last renewal.
    pub usage: Vec<ChargeUsage>,
}

/// What a subscriber used and paid under a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeUsage {
    /// `tk_charge_rule.id`.
    pub rule: i64,
    /// Its name; empty also where the rule is gone.
    pub name: SmolStr,
    /// What was paid.
    pub credit: Amount,
    /// Seconds online.
    pub seconds: i64,
    /// Octets of both directions.
    pub bytes: i64,
}

/// How an operator changes a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditChange {
    /// By so much; what is negative takes away.
    Add(Amount),
    /// To so much.
    Set(Amount),
    /// Times so much.
    Multiply(Amount),
}

/// How a wallet is to be changed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletOrder<'a> {
    /// Which.
    pub kind: WalletKind,
    /// By how much, or to how much.
    pub change: CreditChange,
    /// What the ledger calls it.
    pub action: LedgerAction,
    /// For people.
    pub comment: &'a str,
}

impl std::fmt::Display for CreditChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Add(amount) => write!(f, "add {amount}"),
            Self::Set(amount) => write!(f, "set {amount}"),
            Self::Multiply(factor) => write!(f, "multiply {factor}"),
        }
    }
}

/// A row of `tk_ledger`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number.
    pub id: i64,
    /// What it was: `CHANGE_CREDIT`, `USAGE` …
    pub action: SmolStr,
    /// The balance before.
    pub before: Amount,
    /// What was added.
    pub delta: Amount,
    /// The balance after.
    pub after: Amount,
    /// Why, for people.
    pub comment: SmolStr,
    /// Who did it; `system` for sessions.
    pub actor: SmolStr,
    /// By which language.
    pub dialect: SmolStr,
    /// When; of a session, when it ended.
    pub at: UnixTime,
    /// The `acctuniqueid` of the session that cost it.
    pub session: Option<SmolStr>,
}

/// Why a credit was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditObstacle {
    /// There is no such subscriber.
    NoSubscriber,
    /// It has no plan that would say how much.
    NoPlan,
    /// It would be less than the limit allows.
    BelowLimit {
        /// What it would be.
        after: Amount,
        /// How far below nothing it may go.
        limit: Amount,
    },
    /// It would have more digits than the tables hold.
    TooLarge,
}

/// Why a rule was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleObstacle {
    /// There is no such plan.
    NoPlan,
    /// The plan has a rule of that name.
    Taken,
}

impl Store {
    /// A wallet of a subscriber; `None` where nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn wallet(
        &self,
        login: &str,
        kind: WalletKind,
        scope: &Scope,
        author: &Author,
    ) -> Result<Option<CreditRecord>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = find(&mut tx, login, scope, author).await? else { return Ok(None) };
        let wallet = wallet(&mut tx, id, kind, "").await?.unwrap_or_default();
        let text = tx.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT u.rule_id, COALESCE(r.name, ''), CAST(u.credit AS {text}), u.seconds, u.bytes
             FROM tk_charge_usage u LEFT JOIN tk_charge_rule r ON r.id = u.rule_id
             WHERE u.subscriber_id = ? ORDER BY u.rule_id"
        );
        let binds = [Bind::Int(id)];
        let usage = tx.fetch("tk_charge_usage", &sql, &binds, |row| {
            Ok(ChargeUsage {
                rule: row.number(0)?,
                name: row.word(1)?,
                credit: amount(row, 2)?,
                seconds: row.number(3)?,
                bytes: row.number(4)?,
            })
        });
        let usage = usage.await?;
        tx.commit().await?;
        let Wallet { balance, spent, charged, limit } = wallet;
        let running = charged.saturating_minus(spent);
        Ok(Some(CreditRecord { subscriber: SubscriberId(id), balance, running, limit, usage }))
    }

    /// Changes a wallet; gives the row of the ledger. A change that lowers it below its limit is refused, but
    /// for the money of who pays afterwards.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn change_wallet(
        &self,
        login: &str,
        order: WalletOrder<'_>,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<LedgerEntry, CreditObstacle>, StoreError> {
        let WalletOrder { kind, change, action, comment } = order;
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = find(&mut tx, login, scope, author).await? else {
            return Ok(Err(CreditObstacle::NoSubscriber));
        };
        let entry = match move_wallet(&mut tx, id, kind, change, action, comment, author).await? {
            Ok(entry) => entry,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let asked = change.to_string();
        note(&mut tx, id, login, kind.as_str(), Some(entry.before), &asked, entry.after, comment, author)
            .await?;
        tx.commit().await?;
        Ok(Ok(entry))
    }

    /// Tells the ledger that a subscriber, or more for one, was sold at its plan's price. The money does not
    /// move by it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn record_sale(
        &self,
        login: &str,
        action: LedgerAction,
        comment: &str,
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<LedgerEntry, CreditObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = find(&mut tx, login, scope, author).await? else {
            return Ok(Err(CreditObstacle::NoSubscriber));
        };
        let Some(entry) = record_sale(&mut tx, id, action, comment, author).await? else {
            return Ok(Err(CreditObstacle::NoPlan));
        };
        note(&mut tx, id, login, action.as_str(), None, "sold", entry.after, comment, author).await?;
        tx.commit().await?;
        Ok(Ok(entry))
    }

    /// Says how far below nothing a credit may go. `Ok(false)`: nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_credit_limit(
        &self,
        login: &str,
        limit: Amount,
        scope: &Scope,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some((id, wallet)) = hold(&mut tx, login, WalletKind::Credit, scope, author).await? else {
            return Ok(false);
        };
        let sql = format!(
            "UPDATE tk_wallet SET credit_limit = {}, updated_at = ? WHERE subscriber_id = ? AND kind = 'credit'",
            tx.decimal()
        );
        tx.run("tk_wallet", &sql, &[Bind::Amount(limit), Bind::Int(author.at.0), Bind::Int(id)]).await?;
        note(&mut tx, id, login, "credit_limit", Some(wallet.limit), "set", limit, "", author).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The ledger of a wallet of a subscriber, the latest first: rows before number `before`, at most `limit`. `None`:
    /// nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ledger(
        &self,
        login: &str,
        kind: WalletKind,
        before: Option<i64>,
        limit: u32,
        scope: &Scope,
        author: &Author,
    ) -> Result<Option<Vec<LedgerEntry>>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = find(&mut tx, login, scope, author).await? else { return Ok(None) };
        let text = tx.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT id, action, CAST(before_balance AS {text}), CAST(delta AS {text}), CAST(after_balance AS {text}),
                 comment, actor, dialect, at, session
             FROM tk_ledger WHERE subscriber_id = ? AND wallet = '{}' AND id < ? ORDER BY id DESC LIMIT ?",
            kind.as_str()
        );
        let binds = [Bind::Int(id), Bind::Int(before.unwrap_or(i64::MAX)), Bind::Int(i64::from(limit))];
        let entries = tx.fetch("tk_ledger", &sql, &binds, |row| {
            Ok(LedgerEntry {
                id: row.number(0)?,
                action: row.word(1)?,
                before: amount(row, 2)?,
                delta: amount(row, 3)?,
                after: amount(row, 4)?,
                comment: row.word(5)?,
                actor: row.word(6)?,
                dialect: row.word(7)?,
                at: row.time(8)?.unwrap_or_default(),
                session: row.text(9)?,
            })
        });
        let entries = entries.await?;
        tx.commit().await?;
        Ok(Some(entries))
    }

    /// The charge rules of a plan in order of their numbers; `None`: there is no such plan.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn charge_rules(&self, plan: &str) -> Result<Option<Vec<ChargeRule>>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let Some(id) = plans::find(&mut tx, plan).await? else { return Ok(None) };
        let text = tx.pick("TEXT", "text", "CHAR");
        let sql =
            format!("SELECT {} FROM tk_charge_rule c WHERE c.plan_id = ? ORDER BY c.id", rule_columns(text));
        tx.fetch("tk_charge_rule", &sql, &[Bind::Int(id)], |row| charge_rule(row, 0)).await.map(Some)
    }

    /// Adds a charge rule to a plan; gives its number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn add_charge_rule(
        &self,
        plan: &str,
        rule: &ChargeRule,
        author: &Author,
    ) -> Result<Result<i64, RuleObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(plan_id) = plans::find(&mut tx, plan).await? else { return Ok(Err(RuleObstacle::NoPlan)) };
        let sql = "SELECT id FROM tk_charge_rule WHERE plan_id = ? AND name = ?";
        let binds = [Bind::Int(plan_id), Bind::Text(&rule.name)];
        if !tx.fetch("tk_charge_rule", sql, &binds, |row| row.number(0)).await?.is_empty() {
            return Ok(Err(RuleObstacle::Taken));
        }
        let decimal = tx.decimal();
        let sql = format!(
            "INSERT INTO tk_charge_rule (plan_id, name, per_minute, per_kib, time_window, nas)
             VALUES (?, ?, {decimal}, {decimal}, ?, ?)"
        );
        let binds = [
            Bind::Int(plan_id),
            Bind::Text(&rule.name),
            Bind::Amount(rule.price.per_minute),
            Bind::Amount(rule.price.per_kib),
            Bind::Text(&rule.window),
            Bind::Text(&rule.nas),
        ];
        let id = tx.insert("tk_charge_rule", &sql, &binds).await?;
        let new = Some(format!(
            "{plan} {}: per_minute={} per_kib={} window={} nas={}",
            rule.name, rule.price.per_minute, rule.price.per_kib, rule.window, rule.nas
        ));
        audit(
            &mut tx,
            author,
            Event { object: "plan", id: Some(plan_id), verb: "charge add", old: None, new },
        )
        .await?;
        tx.commit().await?;
        Ok(Ok(id))
    }

    /// Removes a charge rule of a plan by its name. `Ok(None)`: there is no such plan; `Ok(Some(false))`:
    /// it has no such rule.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_charge_rule(
        &self,
        plan: &str,
        name: &str,
        author: &Author,
    ) -> Result<Option<bool>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(plan_id) = plans::find(&mut tx, plan).await? else { return Ok(None) };
        let sql = "DELETE FROM tk_charge_rule WHERE plan_id = ? AND name = ?";
        let gone = tx.run("tk_charge_rule", sql, &[Bind::Int(plan_id), Bind::Text(name)]).await? > 0;
        if gone {
            let old = Some(format!("{plan} {name}"));
            let event = Event { object: "plan", id: Some(plan_id), verb: "charge delete", old, new: None };
            audit(&mut tx, author, event).await?;
            tx.commit().await?;
        }
        Ok(Some(gone))
    }
}

/// Words of `tk_subscriber.service_state`.
const RECHARGED: &str = "recharged";

/// Columns of a charge rule called `c`, as [`charge_rule`] reads them.
pub(in crate::store) fn rule_columns(text: &str) -> String {
    format!("c.id, c.name, CAST(c.per_minute AS {text}), CAST(c.per_kib AS {text}), c.time_window, c.nas")
}

/// Reads [`rule_columns`], which begin at column `first`.
pub(in crate::store) fn charge_rule(row: &dyn Columns, first: usize) -> Result<ChargeRule, sqlx::Error> {
    Ok(ChargeRule {
        id: row.number(first)?,
        name: row.word(first + 1)?,
        price: Price { per_minute: amount(row, first + 2)?, per_kib: amount(row, first + 3)? },
        window: row.word(first + 4)?,
        nas: row.word(first + 5)?,
    })
}

/// Adds what the plan of a subscriber gives with a recharge; gives the credit after it.
pub(super) async fn recharge(
    tx: &mut Tx<'_>,
    id: i64,
    login: &str,
    comment: &str,
    author: &Author,
) -> Result<Result<Amount, CreditObstacle>, StoreError> {
    let Some(wallet) = hold_of(tx, id, WalletKind::Credit, author).await? else {
        return Ok(Err(CreditObstacle::NoSubscriber));
    };
    let Some(plan) = plan_of(tx, id).await? else { return Ok(Err(CreditObstacle::NoPlan)) };
    let Some(after) = wallet.balance.plus(plan.recharge) else { return Ok(Err(CreditObstacle::TooLarge)) };
    if !plan.recharge.is_zero() {
        let grant = Movement { comment, plan: Some(&plan), ..Movement::of(LedgerAction::Recharge) };
        book(tx, id, WalletKind::Credit, wallet.balance, plan.recharge, grant, author).await?;
    }
    column(tx, "service_state", id, Bind::Text(RECHARGED)).await?;
    note(tx, id, login, "recharge", Some(wallet.balance), &plan.name, after, comment, author).await?;
    Ok(Ok(after))
}

/// What a new subscriber's plan brings with it.
pub(super) async fn grant_new(
    tx: &mut Tx<'_>,
    id: i64,
    comment: &str,
    author: &Author,
) -> Result<(), StoreError> {
    let Some(plan) = plan_of(tx, id).await? else { return Ok(()) };
    if plan.credit.is_zero() {
        return Ok(());
    }
    add_wallet(tx, id, WalletKind::Credit).await?;
    let grant = Movement { comment, plan: Some(&plan), priced: true, ..Movement::of(LedgerAction::AddUser) };
    book(tx, id, WalletKind::Credit, Amount::ZERO, plan.credit, grant, author).await.map(drop)
}

/// The credit that new subscribers begin with, with a row of the ledger for each. `whose`: a condition of
/// `tk_subscriber` that they and nobody else fulfil.
pub(super) async fn open_all(
    tx: &mut Tx<'_>,
    whose: &str,
    credit: Amount,
    comment: &str,
    author: &Author,
) -> Result<(), StoreError> {
    let (decimal, kind, at) = (tx.decimal(), WalletKind::Credit.as_str(), author.at.0);
    let sql = format!(
        "INSERT INTO tk_wallet (subscriber_id, kind, balance, updated_at)
         SELECT id, '{kind}', {decimal}, {at} FROM tk_subscriber WHERE {whose}"
    );
    tx.run("tk_wallet", &sql, &[Bind::Amount(credit)]).await?;
    let sql = format!(
        "INSERT INTO tk_ledger (subscriber_id, wallet, action, before_balance, delta, after_balance, comment, actor,
             dialect, remote_addr, at)
         SELECT id, '{kind}', '{}', {decimal}, {decimal}, {decimal}, ?, ?, ?, ?, {at}
         FROM tk_subscriber WHERE {whose} ORDER BY id",
        LedgerAction::AddUser.as_str(),
    );
    let binds = [
        Bind::Amount(Amount::ZERO),
        Bind::Amount(credit),
        Bind::Amount(credit),
        Bind::Text(comment),
        Bind::Text(&author.name),
        Bind::Text(author.dialect.as_str()),
        Bind::Text(&author.remote),
    ];
    tx.run("tk_ledger", &sql, &binds).await.map(drop)
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wallet {
    pub(super) balance: Amount,
    pub(super) spent: Amount,
    pub(super) charged: Amount,
    pub(super) limit: Amount,
}

/// What a plan gives.
pub(super) struct Gift {
    id: i64,
    pub(super) name: SmolStr,
    pub(super) credit: Amount,
    pub(super) recharge: Amount,
    price: Option<Amount>,
    currency: SmolStr,
}

/// Why a wallet moves.
#[derive(Clone, Copy)]
pub(super) struct Movement<'a> {
    pub(super) action: LedgerAction,
    pub(super) comment: &'a str,
    pub(super) plan: Option<&'a Gift>,
    /// The plan's price is what it was sold for.
    pub(super) priced: bool,
    /// It was sold for this, and in this currency, whatever the plan says.
    pub(super) price: Option<(Amount, &'a str)>,
}

impl<'a> Movement<'a> {
    pub(super) const fn of(action: LedgerAction) -> Self {
        Self { action, comment: "", plan: None, priced: false, price: None }
    }

    /// What it was sold for, if it was, and in which currency.
    fn sold_for(&self) -> (Option<Amount>, &'a str) {
        let sold = self.plan.filter(|_| self.priced);
        match self.price {
            Some((price, currency)) => (Some(price), currency),
            None => (sold.and_then(|plan| plan.price), sold.map_or("", |plan| plan.currency.as_str())),
        }
    }
}

/// The number of a subscriber within a scope.
pub(super) async fn find(
    tx: &mut Tx<'_>,
    login: &str,
    scope: &Scope,
    author: &Author,
) -> Result<Option<i64>, StoreError> {
    Ok(locate(tx, Who::Login(login), scope, author).await?.map(|located| located.id))
}

/// Locks a subscriber and its wallet, which is made where there is none.
async fn hold(
    tx: &mut Tx<'_>,
    login: &str,
    kind: WalletKind,
    scope: &Scope,
    author: &Author,
) -> Result<Option<(i64, Wallet)>, StoreError> {
    let Some(id) = find(tx, login, scope, author).await? else { return Ok(None) };
    Ok(hold_of(tx, id, kind, author).await?.map(|wallet| (id, wallet)))
}

pub(super) async fn hold_of(
    tx: &mut Tx<'_>,
    id: i64,
    kind: WalletKind,
    author: &Author,
) -> Result<Option<Wallet>, StoreError> {
    touch(tx, id, author).await?;
    let locked = tx.pick("", " FOR UPDATE", " FOR UPDATE");
    if let Some(wallet) = wallet(tx, id, kind, locked).await? {
        return Ok(Some(wallet));
    }
    add_wallet(tx, id, kind).await?;
    wallet(tx, id, kind, locked).await
}

/// Locks several subscribers and their wallets of a kind, which are made where there are none.
pub(super) async fn hold_all(
    tx: &mut Tx<'_>,
    ids: &[Bind<'_>],
    kind: WalletKind,
    author: &Author,
) -> Result<HashMap<i64, Wallet>, StoreError> {
    touch_all(tx, ids, author).await?;
    let kind = kind.as_str();
    let sql = format!(
        "INSERT INTO tk_wallet (subscriber_id, kind) SELECT s.id, '{kind}' FROM tk_subscriber s
         WHERE s.id IN ({{}}) AND NOT EXISTS (SELECT 1 FROM tk_wallet w WHERE w.subscriber_id = s.id AND w.kind = '{kind}')"
    );
    tx.run_in("tk_wallet", &sql, ids).await?;
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT subscriber_id, CAST(balance AS {text}), CAST(spent AS {text}), CAST(charged AS {text}),
             CAST(credit_limit AS {text})
         FROM tk_wallet WHERE kind = '{kind}' AND subscriber_id IN ({{}}){}",
        tx.pick("", " FOR UPDATE", " FOR UPDATE")
    );
    let held = tx.fetch_in("tk_wallet", &sql, ids, |row| {
        let wallet = Wallet {
            balance: amount(row, 1)?,
            spent: amount(row, 2)?,
            charged: amount(row, 3)?,
            limit: amount(row, 4)?,
        };
        Ok((row.number(0)?, wallet))
    });
    Ok(held.await?.into_iter().collect())
}

/// Changes a wallet as part of a transaction of whoever calls: the row of the audit is the caller's. Of
/// several wallets of one subscriber the credit is moved first, so that nobody waits for each other.
pub(super) async fn move_wallet(
    tx: &mut Tx<'_>,
    id: i64,
    kind: WalletKind,
    change: CreditChange,
    action: LedgerAction,
    comment: &str,
    author: &Author,
) -> Result<Result<LedgerEntry, CreditObstacle>, StoreError> {
    let Some(wallet) = hold_of(tx, id, kind, author).await? else {
        return Ok(Err(CreditObstacle::NoSubscriber));
    };
    let after = match change {
        CreditChange::Add(amount) => wallet.balance.plus(amount),
        CreditChange::Set(amount) => Some(amount),
        CreditChange::Multiply(factor) => wallet.balance.times(factor),
    };
    let Some(after) = after else { return Ok(Err(CreditObstacle::TooLarge)) };
    // What is paid in advance is owed by the other side.
    let owes = kind == WalletKind::Due || kind == WalletKind::Money && is_postpaid(tx, id).await?;
    if after < wallet.balance && after < wallet.limit.negated() && !owes {
        return Ok(Err(CreditObstacle::BelowLimit { after, limit: wallet.limit }));
    }
    let Some(delta) = after.minus(wallet.balance) else { return Ok(Err(CreditObstacle::TooLarge)) };
    let movement = Movement { comment, ..Movement::of(action) };
    let entry = book(tx, id, kind, wallet.balance, delta, movement, author).await?;
    if kind == WalletKind::Credit && delta.is_positive() {
        column(tx, "service_state", id, Bind::Text(RECHARGED)).await?;
    }
    Ok(Ok(entry))
}

/// Tells the ledger that a subscriber, or more for one, was sold at its plan's price: a row of the wallet
/// `money`, which does not move by it. `None`: it has no plan.
pub(super) async fn record_sale(
    tx: &mut Tx<'_>,
    id: i64,
    action: LedgerAction,
    comment: &str,
    author: &Author,
) -> Result<Option<LedgerEntry>, StoreError> {
    let Some(plan) = plan_of(tx, id).await? else { return Ok(None) };
    let Some(wallet) = hold_of(tx, id, WalletKind::Money, author).await? else { return Ok(None) };
    let sale = Movement { comment, plan: Some(&plan), priced: true, ..Movement::of(action) };
    book(tx, id, WalletKind::Money, wallet.balance, Amount::ZERO, sale, author).await.map(Some)
}

/// Tells the ledger that more was sold to a subscriber for a price of its own; gives the number of the row.
pub(super) async fn record_top_up(
    tx: &mut Tx<'_>,
    id: i64,
    price: (Amount, &str),
    comment: &str,
    author: &Author,
) -> Result<Option<i64>, StoreError> {
    let Some(wallet) = hold_of(tx, id, WalletKind::Money, author).await? else { return Ok(None) };
    let sale = Movement { comment, price: Some(price), ..Movement::of(LedgerAction::TopUp) };
    let entry = book(tx, id, WalletKind::Money, wallet.balance, Amount::ZERO, sale, author).await?;
    Ok(Some(entry.id))
}

async fn is_postpaid(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = "SELECT kind FROM tk_subscriber WHERE id = ?";
    let kinds = tx.fetch("tk_subscriber", sql, &[Bind::Int(id)], |row| row.word(0)).await?;
    Ok(kinds.first().is_some_and(|kind| kind == POSTPAID))
}

async fn add_wallet(tx: &mut Tx<'_>, id: i64, kind: WalletKind) -> Result<(), StoreError> {
    let (insert, conflict) =
        tx.pick(("INSERT OR IGNORE", ""), ("INSERT", " ON CONFLICT DO NOTHING"), ("INSERT IGNORE", ""));
    let sql =
        format!("{insert} INTO tk_wallet (subscriber_id, kind) VALUES (?, '{}'){conflict}", kind.as_str());
    tx.run("tk_wallet", &sql, &[Bind::Int(id)]).await.map(drop)
}

async fn wallet(
    tx: &mut Tx<'_>,
    id: i64,
    kind: WalletKind,
    locked: &str,
) -> Result<Option<Wallet>, StoreError> {
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT CAST(balance AS {text}), CAST(spent AS {text}), CAST(charged AS {text}), CAST(credit_limit AS {text})
         FROM tk_wallet WHERE subscriber_id = ? AND kind = '{}'{locked}",
        kind.as_str()
    );
    let binds = [Bind::Int(id)];
    let found = tx.fetch("tk_wallet", &sql, &binds, |row| {
        Ok(Wallet {
            balance: amount(row, 0)?,
            spent: amount(row, 1)?,
            charged: amount(row, 2)?,
            limit: amount(row, 3)?,
        })
    });
    Ok(found.await?.into_iter().next())
}

/// The plan of a subscriber: its own, else the one of its first group.
pub(super) async fn plan_of(tx: &mut Tx<'_>, id: i64) -> Result<Option<Gift>, StoreError> {
    let columns = gift_columns(tx.pick("TEXT", "text", "CHAR"));
    let own =
        format!("SELECT {columns} FROM tk_subscriber s JOIN tk_plan p ON p.id = s.plan_id WHERE s.id = ?");
    if let Some(plan) = tx.fetch("tk_plan", &own, &[Bind::Int(id)], gift).await?.into_iter().next() {
        return Ok(Some(plan));
    }
    let first = format!(
        "SELECT {columns} FROM tk_subscriber s JOIN radusergroup g ON g.username = s.username
             JOIN tk_plan p ON p.groupname = g.groupname
         WHERE s.id = ? AND s.plan_id IS NULL ORDER BY g.priority"
    );
    Ok(tx.fetch("tk_plan", &first, &[Bind::Int(id)], gift).await?.into_iter().next())
}

/// Columns of what a plan called `p` gives, as [`gift`] reads them.
fn gift_columns(text: &str) -> String {
    format!(
        "p.id, p.name, CAST(p.credit_on_renew AS {text}), CAST(p.credit_on_recharge AS {text}),
             CAST(p.price AS {text}), p.currency"
    )
}

fn gift(row: &dyn Columns) -> Result<Gift, sqlx::Error> {
    let sum = |column| Ok::<_, sqlx::Error>(row.text(column)?.and_then(|text| Amount::parse(&text)));
    Ok(Gift {
        id: row.number(0)?,
        name: row.word(1)?,
        credit: sum(2)?.unwrap_or_default(),
        recharge: sum(3)?.unwrap_or_default(),
        price: sum(4)?,
        currency: row.word(5)?,
    })
}

/// The plans of several subscribers, as [`plan_of`].
pub(super) async fn plans_of(tx: &mut Tx<'_>, ids: &[i64]) -> Result<HashMap<i64, Gift>, StoreError> {
    let text = tx.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT {}, s.id FROM tk_subscriber s JOIN tk_plan p ON p.id = s.plan_id WHERE s.id IN ({{}})",
        gift_columns(text)
    );
    let list: Vec<Bind<'_>> = ids.iter().map(|id| Bind::Int(*id)).collect();
    let found = tx.fetch_in("tk_plan", &sql, &list, |row| Ok((row.number(6)?, gift(row)?))).await?;
    let mut plans: HashMap<i64, Gift> = found.into_iter().collect();
    for id in ids {
        if !plans.contains_key(id)
            && let Some(plan) = plan_of(tx, *id).await?
        {
            plans.insert(*id, plan);
        }
    }
    Ok(plans)
}

/// A movement of a wallet among those that [`book_all`] writes.
pub(super) struct Booking<'a> {
    pub(super) id: i64,
    pub(super) before: Amount,
    pub(super) delta: Amount,
    pub(super) movement: Movement<'a>,
}

/// Moves wallets that are held and writes why; of several movements of one wallet each begins where the one
/// before it ends.
pub(super) async fn book_all(
    tx: &mut Tx<'_>,
    kind: WalletKind,
    bookings: &[Booking<'_>],
    author: &Author,
) -> Result<(), StoreError> {
    let mut after: BTreeMap<i64, Amount> = BTreeMap::new();
    let mut entries = Vec::with_capacity(bookings.len());
    for Booking { id, before, delta, movement } in bookings {
        let sum = before.saturating_plus(*delta);
        after.insert(*id, sum);
        let (price, currency) = movement.sold_for();
        entries.push([
            Bind::Int(*id),
            Bind::Text(kind.as_str()),
            Bind::Text(movement.action.as_str()),
            Bind::Amount(*before),
            Bind::Amount(*delta),
            Bind::Amount(sum),
            Bind::MaybeAmount(price),
            Bind::Text(currency),
            Bind::MaybeInt(movement.plan.map(|plan| plan.id)),
            Bind::Text(movement.comment),
            Bind::Text(&author.name),
            Bind::Text(author.dialect.as_str()),
            Bind::Text(&author.remote),
            Bind::Int(author.at.0),
        ]);
    }
    let wallets: Vec<_> = after
        .iter()
        .map(|(id, sum)| {
            [Bind::Int(*id), Bind::Text(kind.as_str()), Bind::Amount(*sum), Bind::Int(author.at.0)]
        })
        .collect();
    let head = "INSERT INTO tk_wallet (subscriber_id, kind, balance, updated_at)";
    let standard = "ON CONFLICT (subscriber_id, kind) DO UPDATE SET balance = excluded.balance, updated_at = excluded.updated_at";
    let mysql = "ON DUPLICATE KEY UPDATE balance = VALUES(balance), updated_at = VALUES(updated_at)";
    tx.put_rows("tk_wallet", head, tx.pick(standard, standard, mysql), &wallets).await?;
    let head = "INSERT INTO tk_ledger (subscriber_id, wallet, action, before_balance, delta, after_balance, price, currency,
             plan_id, comment, actor, dialect, remote_addr, at)";
    tx.insert_rows("tk_ledger", head, &entries).await
}

/// The numbers of the last rows in the ledger of wallets that are held.
pub(super) async fn last_entries(
    tx: &mut Tx<'_>,
    kind: WalletKind,
    ids: &[Bind<'_>],
) -> Result<HashMap<i64, i64>, StoreError> {
    let sql = format!(
        "SELECT subscriber_id, MAX(id) FROM tk_ledger WHERE wallet = '{}' AND subscriber_id IN ({{}}) GROUP BY subscriber_id",
        kind.as_str()
    );
    let last = tx.fetch_in("tk_ledger", &sql, ids, |row| Ok((row.number(0)?, row.number(1)?)));
    Ok(last.await?.into_iter().collect())
}

/// Moves a wallet that is held and writes why.
pub(super) async fn book(
    tx: &mut Tx<'_>,
    id: i64,
    kind: WalletKind,
    before: Amount,
    delta: Amount,
    movement: Movement<'_>,
    author: &Author,
) -> Result<LedgerEntry, StoreError> {
    let after = before.saturating_plus(delta);
    let decimal = tx.decimal();
    let sql = format!(
        "UPDATE tk_wallet SET balance = {decimal}, updated_at = ? WHERE subscriber_id = ? AND kind = '{}'",
        kind.as_str()
    );
    tx.run("tk_wallet", &sql, &[Bind::Amount(after), Bind::Int(author.at.0), Bind::Int(id)]).await?;
    let sql = format!(
        "INSERT INTO tk_ledger (subscriber_id, wallet, action, before_balance, delta, after_balance, price, currency,
             plan_id, comment, actor, dialect, remote_addr, at)
         VALUES (?, '{}', ?, {decimal}, {decimal}, {decimal}, {decimal}, ?, ?, ?, ?, ?, ?, ?)",
        kind.as_str()
    );
    let (price, currency) = movement.sold_for();
    let entry = tx
        .insert(
            "tk_ledger",
            &sql,
            &[
                Bind::Int(id),
                Bind::Text(movement.action.as_str()),
                Bind::Amount(before),
                Bind::Amount(delta),
                Bind::Amount(after),
                Bind::MaybeAmount(price),
                Bind::Text(currency),
                Bind::MaybeInt(movement.plan.map(|plan| plan.id)),
                Bind::Text(movement.comment),
                Bind::Text(&author.name),
                Bind::Text(author.dialect.as_str()),
                Bind::Text(&author.remote),
                Bind::Int(author.at.0),
            ],
        )
        .await?;
    Ok(LedgerEntry {
        id: entry,
        action: SmolStr::new_static(movement.action.as_str()),
        before,
        delta,
        after,
        comment: movement.comment.into(),
        actor: author.name.as_str().into(),
        dialect: SmolStr::new_static(author.dialect.as_str()),
        at: author.at,
        session: None,
    })
}

/// The row of `tk_audit`.
#[expect(clippy::too_many_arguments, reason = "they are the columns of one row")]
async fn note(
    tx: &mut Tx<'_>,
    id: i64,
    login: &str,
    verb: &str,
    before: Option<Amount>,
    asked: &str,
    after: Amount,
    comment: &str,
    author: &Author,
) -> Result<(), StoreError> {
    let old = before.map(|before| before.to_string());
    let new = Some(format!("{login} {asked}: {after} {comment}").trim_end().to_owned());
    audit(tx, author, Event { object: "subscriber", id: Some(id), verb, old, new }).await
}
