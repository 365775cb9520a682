//! What SQL holds of some subscribers, to be compared with an account kept elsewhere: `tollkeeper torture`
//! asks. Every row as it is, nothing merged, so that a session with two rows has two.

use smol_str::SmolStr;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::db::{amount, fetch};
use super::{Store, StoreError, unreachable};
use crate::domain::{Amount, Day, Usage};

/// A row of `radacct`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAccount {
    /// User-Name.
    pub login: SmolStr,
    /// Acct-Session-Id.
    pub session: SmolStr,
    /// It has no stop time.
    pub open: bool,
    /// Its counters.
    pub used: Usage,
}

/// All that was counted for logins that begin alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// `radacct`.
    pub sessions: Vec<SessionAccount>,
    /// `tk_usage`: the daily buckets, and the lifetime's.
    pub usage: Vec<(SmolStr, Day, Usage)>,
    /// `tk_ledger`: what sessions cost, each below nothing.
    pub postings: Vec<(SmolStr, Amount)>,
    /// `tk_wallet`: the balance, what sessions that are over took, and what all have cost so far.
    pub wallets: Vec<(SmolStr, [Amount; 3])>,
}

impl Store {
    /// What was counted for all logins that begin with `prefix`, which has no `%` and no `_`.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn audit(&self, prefix: &str) -> Result<Audit, StoreError> {
        let prefix = format!("{prefix}%");
        let prefix = prefix.as_str();
        let text = self.db().pick("TEXT", "text", "CHAR");
        let sessions = "SELECT username, acctsessionid, CASE WHEN acctstoptime IS NULL THEN 1 ELSE 0 END,
                 acctsessiontime, acctinputoctets, acctoutputoctets
             FROM radacct WHERE username LIKE ?";
        let sessions = fetch!(self.db(), read, "radacct", sessions, [prefix], |row| Ok(SessionAccount {
            login: row.word(0)?,
            session: row.word(1)?,
            open: row.number(2)? == 1,
            used: Usage { seconds: row.count(3)?, input: row.count(4)?, output: row.count(5)? },
        }))?;
        let usage = "SELECT s.username, u.day, u.seconds, u.input, u.output
             FROM tk_usage u JOIN tk_subscriber s ON s.id = u.subscriber_id WHERE s.username LIKE ?";
        let usage = fetch!(self.db(), read, "tk_usage", usage, [prefix], |row| {
            let used = Usage { seconds: row.count(2)?, input: row.count(3)?, output: row.count(4)? };
            Ok((row.word(0)?, Day(i32::try_from(row.number(1)?).unwrap_or(i32::MAX)), used))
        })?;
        let postings = format!(
            "SELECT s.username, CAST(l.delta AS {text}) FROM tk_ledger l
             JOIN tk_subscriber s ON s.id = l.subscriber_id WHERE s.username LIKE ? AND l.session IS NOT NULL"
        );
        let postings = fetch!(self.db(), read, "tk_ledger", &postings, [prefix], |row| {
            Ok((row.word(0)?, amount(row, 1)?))
        })?;
        let wallets = format!(
            "SELECT s.username, CAST(w.balance AS {text}), CAST(w.spent AS {text}), CAST(w.charged AS {text})
             FROM tk_wallet w JOIN tk_subscriber s ON s.id = w.subscriber_id WHERE s.username LIKE ?"
        );
        let wallets = fetch!(self.db(), read, "tk_wallet", &wallets, [prefix], |row| {
            Ok((row.word(0)?, [amount(row, 1)?, amount(row, 2)?, amount(row, 3)?]))
        })?;
        Ok(Audit { sessions, usage, postings, wallets })
    }
}

/// A SQLite file that nobody else can write, for as long as this is held.
#[derive(Debug)]
pub struct HeldFile(SqliteConnection);

impl HeldFile {
    /// Takes the lock of the file at a `sqlite:` URL.
    ///
    /// # Errors
    /// [`StoreError`] of SQLite, also where another holds it for five seconds.
    pub async fn lock(url: &str) -> Result<Self, StoreError> {
        let options: SqliteConnectOptions = url.parse().map_err(unreachable)?;
        let options = options.busy_timeout(super::SQLITE_BUSY);
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(unreachable)?;
        connection.execute("BEGIN EXCLUSIVE").await.map_err(unreachable)?;
        Ok(Self(connection))
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`StoreError`] of SQLite.
    pub async fn unlock(mut self) -> Result<(), StoreError> {
        self.0.execute("ROLLBACK").await.map_err(unreachable)?;
        self.0.close().await.map_err(unreachable)
    }
}
