//! What charged sessions cost: their accounts, the wallets and the ledger, in the transaction of their
//! rows.
//!
//! A session's row carries what it has cost so far, whole. What of it was posted is in its account, read
//! under the lock of the wallet, and only the difference is posted: a row that is written again, after a
//! commit of unknown fate or a restart or by another server, posts nothing. A session is posted when it is
//! closed; one that was closed on a guess and goes on has the rest posted when it closes again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{MySqlConnection, PgConnection, SqliteConnection};

use crate::domain::{Amount, LedgerAction, Session, UniqueId, WalletKind};
use crate::store::charges;
use crate::store::columns::{Cell, clamped};
use crate::store::db::{Columns, Db, amount, padded, unreadable, with_list};

/// A connection in the middle of a transaction.
pub(super) enum Within<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
    MySql(&'c mut MySqlConnection),
}

/// Sessions that are posted together: as many as one `IN (…)` takes.
const TOGETHER: usize = 256;
/// Rows that one INSERT takes: few sizes, so that the texts stay prepared.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// Writes the accounts of charged sessions, and posts those that are closed.
pub(super) async fn post(
    db: &Db,
    connection: &mut Within<'_>,
    sessions: &[&Session],
) -> Result<(), sqlx::Error> {
    for sessions in sessions.chunks(TOGETHER) {
        let subscribers: BTreeSet<i64> =
            sessions.iter().filter_map(|session| session.subscriber).map(|id| id.0).collect();
        let subscribers: Vec<i64> = subscribers.into_iter().collect();
        let mut desk = Desk::default();
        // The credits before the monies: whoever locks both does it in this order.
        for (kind, _) in WalletKind::ALL {
            let owners: BTreeSet<i64> = sessions
                .iter()
                .filter(|session| session.charge.as_ref().is_some_and(|charge| charge.wallet == kind))
                .filter_map(|session| session.subscriber)
                .map(|id| id.0)
                .collect();
            if owners.is_empty() {
                continue;
            }
            let owners: Vec<i64> = owners.into_iter().collect();
            let locked = lock_wallets(db, connection, kind, &owners).await?;
            desk.wallets.extend(locked.into_iter().map(|(id, wallet)| ((kind, id), wallet)));
        }
        desk.accounts = accounts(db, connection, sessions).await?;
        if sessions.iter().any(|session| !session.is_open()) {
            desk.usage = usage(db, connection, &subscribers).await?;
        }
        for session in sessions {
            desk.take(session);
        }
        desk.write(db, connection).await?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wallet {
    balance: Amount,
    spent: Amount,
    charged: Amount,
    updated: i64,
}

/// What `tk_cdr` holds of a session.
#[derive(Clone, Debug, Default)]
struct Account {
    used: Amount,
    posted: Amount,
    postings: i64,
    by_rule: BTreeMap<i64, Paid>,
}

/// What was paid under a rule, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Paid {
    credit: Amount,
    seconds: i64,
    bytes: i64,
}

/// The rows as they are, and as they shall be.
#[derive(Default)]
struct Desk {
    wallets: BTreeMap<(WalletKind, i64), Wallet>,
    accounts: HashMap<UniqueId, Account>,
    usage: BTreeMap<(i64, i64), Paid>,
    account_rows: Vec<Vec<Cell>>,
    ledger_rows: Vec<Vec<Cell>>,
    /// Keys of `usage` that changed.
    used: BTreeSet<(i64, i64)>,
}

impl Desk {
    fn take(&mut self, session: &Session) {
        let (Some(charge), Some(subscriber)) = (&session.charge, session.subscriber) else { return };
        let Some(wallet) = self.wallets.get_mut(&(charge.wallet, subscriber.0)) else { return };
        let account = self.accounts.entry(session.unique_id).or_default();
        let cost = charge.cost();
        if cost < account.used {
            // A row from before the one that is there: costs never fall.
            return;
        }
        wallet.charged = wallet.charged.saturating_plus(cost.saturating_minus(account.used));
        wallet.updated = wallet.updated.max(session.updated.0);
        account.used = cost;
        if let Some(closed) = &session.closed {
            let delta = account.posted.saturating_minus(cost);
            if !delta.is_zero() {
                let before = wallet.balance;
                wallet.balance = before.saturating_plus(delta);
                wallet.spent = wallet.spent.saturating_minus(delta);
                account.posted = cost;
                account.postings += 1;
                self.ledger_rows.push(vec![
                    Cell::Int(subscriber.0),
                    word(charge.wallet.as_str()),
                    word(LedgerAction::Usage.as_str()),
                    money(before),
                    money(wallet.balance.saturating_minus(before)),
                    money(wallet.balance),
                    Cell::Int(charge.plan.0),
                    word("system"),
                    word("system"),
                    Cell::Int(closed.at.0),
                    Cell::Text(session.unique_id.to_text()),
                    Cell::Int(account.postings),
                ]);
            }
            let mut by_rule: BTreeMap<i64, Paid> = BTreeMap::new();
            for part in &charge.parts {
                let paid = by_rule.entry(part.rule).or_default();
                paid.credit = paid.credit.saturating_plus(part.cost());
                paid.seconds = paid.seconds.saturating_add(clamped(part.used.seconds));
                let bytes = part.used.input.saturating_add(part.used.output);
                paid.bytes = paid.bytes.saturating_add(clamped(bytes));
            }
            for (rule, paid) in &by_rule {
                let known = account.by_rule.get(rule).copied().unwrap_or_default();
                if *paid != known {
                    let key = (subscriber.0, *rule);
                    let sum = self.usage.entry(key).or_default();
                    sum.credit = sum.credit.saturating_plus(paid.credit.saturating_minus(known.credit));
                    sum.seconds =
                        sum.seconds.saturating_add(paid.seconds.saturating_sub(known.seconds).max(0));
                    sum.bytes = sum.bytes.saturating_add(paid.bytes.saturating_sub(known.bytes).max(0));
                    self.used.insert(key);
                }
            }
            account.by_rule = by_rule;
        }
        self.account_rows.push(vec![
            Cell::Text(session.unique_id.to_text()),
            Cell::Int(subscriber.0),
            Cell::Int(charge.plan.0),
            Cell::Text(charge.plan_name.clone()),
            money(charge.before),
            money(account.used),
            Cell::Text(charges::to_json(charge).into()),
            money(account.posted),
            Cell::Int(account.postings),
            Cell::Text(by_rule_json(&account.by_rule).into()),
        ]);
    }

    async fn write(&self, db: &Db, connection: &mut Within<'_>) -> Result<(), sqlx::Error> {
        connection.insert(db, &ACCOUNTS, &self.account_rows).await?;
        connection.insert(db, &LEDGER, &self.ledger_rows).await?;
        let wallets: Vec<Vec<Cell>> = self
            .wallets
            .iter()
            .map(|((kind, subscriber), wallet)| {
                let Wallet { balance, spent, charged, updated } = *wallet;
                let ints = [Cell::Int(*subscriber), word(kind.as_str())];
                let sums = [money(balance), money(spent), money(charged), Cell::Int(updated)];
                ints.into_iter().chain(sums).collect()
            })
            .collect();
        connection.insert(db, &WALLETS, &wallets).await?;
        let usage: Vec<Vec<Cell>> = self
            .used
            .iter()
            .filter_map(|key| Some((key, self.usage.get(key)?)))
            .map(|((subscriber, rule), paid)| {
                let key = [*subscriber, *rule].map(Cell::Int);
                let sums = [money(paid.credit), Cell::Int(paid.seconds), Cell::Int(paid.bytes)];
                key.into_iter().chain(sums).collect()
            })
            .collect();
        connection.insert(db, &USAGE, &usage).await
    }
}

fn word(word: &'static str) -> Cell {
    Cell::Text(smol_str::SmolStr::new_static(word))
}

fn money(amount: Amount) -> Cell {
    Cell::Text(smol_str::ToSmolStr::to_smolstr(&amount))
}

/// `[[rule, credit, seconds, bytes], …]`.
fn by_rule_json(by_rule: &BTreeMap<i64, Paid>) -> String {
    let rows: Vec<_> = by_rule
        .iter()
        .map(|(rule, paid)| serde_json::json!([rule, paid.credit.to_string(), paid.seconds, paid.bytes]))
        .collect();
    serde_json::Value::from(rows).to_string()
}

fn by_rule(text: &str) -> Option<BTreeMap<i64, Paid>> {
    let rows: Vec<(i64, String, i64, i64)> = serde_json::from_str(text).ok()?;
    rows.into_iter()
        .map(|(rule, credit, seconds, bytes)| {
            Some((rule, Paid { credit: Amount::parse(&credit)?, seconds, bytes }))
        })
        .collect()
}

/// A table that rows are put into: those with the same key take their place.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    /// Which of the columns are money.
    money: &'static [&'static str],
    /// How many columns, from the first on, are the key; none where rows are only added.
    key: usize,
}

const ACCOUNTS: Table = Table {
    name: "tk_cdr",
    columns: &[
        "unique_id",
        "subscriber_id",
        "plan_id",
        "plan_name",
        "before_credit",
        "credit_used",
        "charges",
        "posted",
        "postings",
        "posted_charges",
    ],
    money: &["before_credit", "credit_used", "posted"],
    key: 1,
};

const LEDGER: Table = Table {
    name: "tk_ledger",
    columns: &[
        "subscriber_id",
        "wallet",
        "action",
        "before_balance",
        "delta",
        "after_balance",
        "plan_id",
        "actor",
        "dialect",
        "at",
        "session",
        "sequence",
    ],
    money: &["before_balance", "delta", "after_balance"],
    key: 0,
};

const WALLETS: Table = Table {
    name: "tk_wallet",
    columns: &["subscriber_id", "kind", "balance", "spent", "charged", "updated_at"],
    money: &["balance", "spent", "charged"],
    key: 2,
};

const USAGE: Table = Table {
    name: "tk_charge_usage",
    columns: &["subscriber_id", "rule_id", "credit", "seconds", "bytes"],
    money: &["credit"],
    key: 2,
};

impl Table {
    fn text(&self, db: &Db, rows: usize) -> String {
        let decimal = db.pick("?", "CAST(? AS numeric)", "?");
        let marks: Vec<&str> =
            self.columns.iter().map(|name| if self.money.contains(name) { decimal } else { "?" }).collect();
        let row = format!("({})", marks.join(", "));
        let (key, others) = self.columns.split_at(self.key);
        let assigned = |proposed: fn(&str) -> String| {
            let assigned: Vec<String> =
                others.iter().map(|name| format!("{name} = {}", proposed(name))).collect();
            assigned.join(", ")
        };
        let conflict = match db {
            _ if key.is_empty() => String::new(),
            Db::Sqlite(_) | Db::Postgres(_) => format!(
                " ON CONFLICT ({}) DO UPDATE SET {}",
                key.join(", "),
                assigned(|name| format!("excluded.{name}"))
            ),
            Db::MySql(_) => {
                format!(" ON DUPLICATE KEY UPDATE {}", assigned(|name| format!("VALUES({name})")))
            }
        };
        format!(
            "INSERT INTO {} ({}) VALUES {}{conflict}",
            self.name,
            self.columns.join(", "),
            vec![row; rows].join(", ")
        )
    }
}

/// The wallets of these subscribers, locked in the order of their numbers; those that were not there are
/// made.
async fn lock_wallets(
    db: &Db,
    connection: &mut Within<'_>,
    kind: WalletKind,
    subscribers: &[i64],
) -> Result<BTreeMap<i64, Wallet>, sqlx::Error> {
    let kind = kind.as_str();
    let ids: Vec<Cell> = subscribers.iter().copied().map(Cell::Int).collect();
    let text = db.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT subscriber_id, CAST(balance AS {text}), CAST(spent AS {text}), CAST(charged AS {text}), updated_at
         FROM tk_wallet WHERE kind = '{kind}' AND subscriber_id IN ({{}}) ORDER BY subscriber_id{}",
        locking(db)
    );
    let read = |row: &dyn Columns| {
        let wallet = Wallet {
            balance: amount(row, 1)?,
            spent: amount(row, 2)?,
            charged: amount(row, 3)?,
            updated: row.number(4)?,
        };
        Ok((row.number(0)?, wallet))
    };
    let found: BTreeMap<i64, Wallet> = connection.select(db, &sql, &ids, read).await?.into_iter().collect();
    if found.len() == subscribers.len() {
        return Ok(found);
    }
    let (insert, conflict) =
        db.pick(("INSERT OR IGNORE", ""), ("INSERT", " ON CONFLICT DO NOTHING"), ("INSERT IGNORE", ""));
    let add = format!("{insert} INTO tk_wallet (subscriber_id, kind) VALUES (?, '{kind}'){conflict}");
    for id in ids.iter().zip(subscribers).filter(|(_, id)| !found.contains_key(id)).map(|(cell, _)| cell) {
        connection.run(db, &add, std::slice::from_ref(id)).await?;
    }
    Ok(connection.select(db, &sql, &ids, read).await?.into_iter().collect())
}

/// What `tk_cdr` holds of these sessions.
async fn accounts(
    db: &Db,
    connection: &mut Within<'_>,
    sessions: &[&Session],
) -> Result<HashMap<UniqueId, Account>, sqlx::Error> {
    let ids: Vec<Cell> = sessions.iter().map(|session| Cell::Text(session.unique_id.to_text())).collect();
    let text = db.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT unique_id, CAST(credit_used AS {text}), CAST(posted AS {text}), postings, posted_charges FROM tk_cdr
         WHERE unique_id IN ({{}}) ORDER BY unique_id{}",
        locking(db)
    );
    let found = connection.select(db, &sql, &ids, |row| {
        let account = Account {
            used: amount(row, 1)?,
            posted: amount(row, 2)?,
            postings: row.number(3)?,
            by_rule: by_rule(&row.word(4)?).ok_or_else(|| unreadable(4, "not what was posted by rule"))?,
        };
        Ok((UniqueId::parse(&row.word(0)?).ok_or_else(|| unreadable(0, "not a unique id"))?, account))
    });
    Ok(found.await?.into_iter().collect())
}

async fn usage(
    db: &Db,
    connection: &mut Within<'_>,
    subscribers: &[i64],
) -> Result<BTreeMap<(i64, i64), Paid>, sqlx::Error> {
    let ids: Vec<Cell> = subscribers.iter().copied().map(Cell::Int).collect();
    let text = db.pick("TEXT", "text", "CHAR");
    let sql = format!(
        "SELECT subscriber_id, rule_id, CAST(credit AS {text}), seconds, bytes FROM tk_charge_usage
         WHERE subscriber_id IN ({{}}){}",
        locking(db)
    );
    let found = connection.select(db, &sql, &ids, |row| {
        let paid = Paid { credit: amount(row, 2)?, seconds: row.number(3)?, bytes: row.number(4)? };
        Ok(((row.number(0)?, row.number(1)?), paid))
    });
    Ok(found.await?.into_iter().collect())
}

/// MySQL would else read the tables as they were when the transaction began. SQLite has one writer.
fn locking(db: &Db) -> &'static str {
    db.pick("", " FOR UPDATE", " FOR UPDATE")
}

macro_rules! bound {
    ($text:expr, $cells:expr) => {{
        let mut query = sqlx::query($text);
        for cell in $cells {
            query = match cell {
                Cell::Null => query.bind(None::<i64>),
                Cell::Int(number) => query.bind(*number),
                Cell::Text(text) => query.bind(text.as_str()),
            };
        }
        query
    }};
}

impl Within<'_> {
    async fn run<'q>(
        &mut self,
        db: &Db,
        sql: &str,
        cells: impl IntoIterator<Item = &'q Cell>,
    ) -> Result<(), sqlx::Error> {
        let text = db.sql(sql);
        match self {
            Self::Sqlite(connection) => bound!(&text, cells).execute(&mut **connection).await.map(drop),
            Self::Postgres(connection) => bound!(&text, cells).execute(&mut **connection).await.map(drop),
            Self::MySql(connection) => bound!(&text, cells).execute(&mut **connection).await.map(drop),
        }
    }

    async fn insert(&mut self, db: &Db, table: &Table, mut rows: &[Vec<Cell>]) -> Result<(), sqlx::Error> {
        while let Some(size) = SIZES.into_iter().find(|size| *size <= rows.len()) {
            let Some((now, later)) = rows.split_at_checked(size) else { break };
            self.run(db, &table.text(db, size), now.iter().flatten()).await?;
            rows = later;
        }
        Ok(())
    }

    /// Fetches the rows of a list of values for `{}` in the text.
    async fn select<T>(
        &mut self,
        db: &Db,
        sql: &str,
        list: &[Cell],
        read: impl Fn(&dyn Columns) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let text = with_list(sql, list.len());
        let text = db.sql(&text);
        let cells: Vec<&Cell> = list.iter().collect();
        let cells = padded(&cells);
        match self {
            Self::Sqlite(connection) => {
                let rows = bound!(&text, cells).fetch_all(&mut **connection).await?;
                rows.iter().map(|row| read(row)).collect()
            }
            Self::Postgres(connection) => {
                let rows = bound!(&text, cells).fetch_all(&mut **connection).await?;
                rows.iter().map(|row| read(row)).collect()
            }
            Self::MySql(connection) => {
                let rows = bound!(&text, cells).fetch_all(&mut **connection).await?;
                rows.iter().map(|row| read(row)).collect()
            }
        }
    }
}
