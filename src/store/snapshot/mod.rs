//! What a server needs to begin without its database: a SQLite file of its own in the data directory, with the
//! rows of the directory as they lie in the database (what is encrypted there is so here), the usage, and
//! the open sessions.
//!
//! The file has the tables of any database of ours on SQLite, so that a [`Store`] on it answers what logins ask.
//! Each step of what is put in is one transaction: whatever kills the server, the file is as it was after
//! one of them. What it says is a guess that grows old: nothing that is decided by it is ever written to the
//! database. `copy` brings the rows here; refuses to know when, which is the service's.

mod copy;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Database, Executor as _, QueryBuilder, Sqlite, SqliteConnection, TransactionManager as _};

use super::migrate::KNOWN;
use super::spool::{Spool, form};
use super::{Settings, Store, StoreError};
use crate::domain::{Amount, Session, SubscriberId, Write};
use crate::time::UnixTime;
use crate::vault::Vault;

use copy::Digests;

/// Where the snapshot is, and what it is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// The file.
    pub file: PathBuf,
    /// The address of the database, without anything secret: a snapshot of another is of no use.
    pub database: String,
    /// How long a change may wait until it is in the snapshot.
    pub every: Duration,
}

/// The snapshot, open. Made for one server.
#[derive(Debug)]
pub struct Snapshot {
    pool: SqlitePool,
    file: PathBuf,
    /// Of the tables that are copied whole.
    digests: Digests,
}

/// What is to be known of one owner's sessions.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose they are: the same text each time.
    pub owner: String,
    /// The open ones; all others of the owner go.
    pub sessions: Vec<Session>,
    /// Usage, top-ups and uses. They rise and never fall.
    pub rows: Vec<Write>,
    /// What all sessions of a subscriber have cost.
    pub cost: Option<(SubscriberId, Amount)>,
}

/// How this release writes: with its own tables, those of all databases, and rows as the spool has them.
fn version() -> String {
    format!("1 {KNOWN} {}", form::VERSION)
}

const TABLES: &str = "
    CREATE TABLE tk_snapshot (version TEXT NOT NULL, origin TEXT NOT NULL, taken BIGINT NOT NULL DEFAULT 0);
    CREATE TABLE tk_snapshot_session (
        unique_id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, run BIGINT NOT NULL, body TEXT NOT NULL);
    CREATE INDEX tk_snapshot_owner ON tk_snapshot_session (owner);";

/// Rows of one INSERT.
const TOGETHER: usize = 64;
/// Rows of the spool that are taken in at a time.
const PAGE: u32 = 2_000;
/// How long one process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(2);

impl Snapshot {
    /// Opens what an earlier run has left, with the time of it; `None` where no server has ever finished one.
    ///
    /// # Errors
    /// Why it is of no use: it is broken, or of another release or database.
    pub async fn open(settings: &SnapshotSettings) -> Result<Option<(Self, UnixTime)>, StoreError> {
        if !settings.file.exists() {
            return Ok(None);
        }
        let snapshot = Self::on(&settings.file).await?;
        let outcome = snapshot.examine(settings).await;
        match outcome {
            Ok(taken) if taken.0 > 0 => Ok(Some((snapshot, taken))),
            other => {
                snapshot.pool.close().await;
                other.map(|_| None)
            }
        }
    }

    /// The same to put something in: made anew where there is none, or none of use.
    ///
    /// # Errors
    /// [`StoreError`] of SQLite: the disk's.
    pub async fn make(settings: &SnapshotSettings) -> Result<Self, StoreError> {
        if settings.file.exists() {
            match Self::on(&settings.file).await {
                Ok(snapshot) => match snapshot.examine(settings).await {
                    Ok(_) => return Ok(snapshot),
                    Err(error) => {
                        tracing::warn!(%error, "the snapshot is made anew");
                        snapshot.pool.close().await;
                    }
                },
                Err(error) => tracing::warn!(%error, "the snapshot is made anew"),
            }
        }
        Self::remove(&settings.file)?;
        let failed = |error: std::io::Error| unavailable(&settings.file, &error.to_string());
        // It has every secret that the database has. What SQLite puts beside it gets the same rights.
        let mut own = std::fs::File::options();
        own.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut own, 0o600);
        own.open(&settings.file).map_err(failed)?;
        let store = Store::connect(&Settings::new(&url(&settings.file))).await?;
        store.migrate().await?;
        store.close().await;
        let snapshot = Self::on(&settings.file).await?;
        // What is copied is no news here.
        let triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
        let triggers: Vec<String> =
            sqlx::query_scalar(triggers).fetch_all(&snapshot.pool).await.map_err(broken)?;
        let mut transaction = snapshot.pool.begin().await.map_err(broken)?;
        for name in triggers {
            transaction.execute(sqlx::raw_sql(&format!("DROP TRIGGER \"{name}\""))).await.map_err(broken)?;
        }
        transaction.execute(sqlx::raw_sql(TABLES)).await.map_err(broken)?;
        let first = sqlx::query("INSERT INTO tk_snapshot (version, origin) VALUES (?, ?)");
        let first = first.bind(version()).bind(origin(&settings.database));
        first.execute(&mut *transaction).await.map_err(broken)?;
        transaction.commit().await.map_err(broken)?;
        Ok(snapshot)
    }

    /// Takes the file away, and what SQLite has put beside it.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(file: &Path) -> Result<(), StoreError> {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = file.as_os_str().to_owned();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unavailable(file, &error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn on(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut may take the last of it, and breaks nothing.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(false)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            // As in the store: a full disk ends a transaction inside SQLite, and sqlx still counts it.
            .before_acquire(|connection, _| {
                let depth = <<Sqlite as Database>::TransactionManager>::get_transaction_depth(connection);
                Box::pin(async move { Ok(depth == 0) })
            })
            .connect_with(options)
            .await
            .map_err(broken)?;
        Ok(Self { pool, file: file.to_owned(), digests: Digests::default() })
    }

    /// When it was taken; 0 where it was not finished.
    async fn examine(&self, settings: &SnapshotSettings) -> Result<UnixTime, StoreError> {
        let sound: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.pool).await.map_err(broken)?;
        if sound != "ok" {
            return Err(StoreError::Corrupt { table: NAME, reason: sound });
        }
        let marks = "SELECT version, origin, taken FROM tk_snapshot";
        let marks: (String, String, i64) =
            sqlx::query_as(marks).fetch_one(&self.pool).await.map_err(broken)?;
        let (found, from, taken) = marks;
        let known = version();
        if found != known {
            let reason = format!("{NAME} is of another release ({found}, this one writes {known})");
            return Err(StoreError::Schema { reason });
        }
        if from != origin(&settings.database) {
            return Err(StoreError::Schema { reason: format!("{NAME} is of another database") });
        }
        Ok(UnixTime(taken))
    }

    /// What answers logins from it. `vault` reveals what is encrypted.
    ///
    /// # Errors
    /// [`StoreError`] of SQLite.
    pub async fn store(&self, vault: &Arc<Vault>) -> Result<Store, StoreError> {
        // A login without a number would get one here that is somebody else's in the database.
        for table in ["radcheck", "radreply", "radusergroup"] {
            let stray = format!(
                "DELETE FROM {table} WHERE username NOT IN (SELECT username FROM tk_subscriber WHERE username IS NOT NULL)"
            );
            sqlx::raw_sql(&stray).execute(&self.pool).await.map_err(broken)?;
        }
        Store::connect(&Settings { vault: Arc::clone(vault), ..Settings::new(&url(&self.file)) }).await
    }

    /// Everything is in it that there was at this time.
    ///
    /// # Errors
    /// The disk's.
    pub async fn is_taken(&self, at: UnixTime) -> Result<(), StoreError> {
        let mark = sqlx::query("UPDATE tk_snapshot SET taken = ?").bind(at.0);
        mark.execute(&self.pool).await.map(drop).map_err(broken)
    }

    /// Puts the sessions of some owners in the place of those that they had, in one transaction. `run` tells
    /// this run of the server from the others.
    ///
    /// # Errors
    /// The disk's: nothing of it is there.
    pub async fn keep(&self, owners: &[Kept], run: i64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await.map_err(broken)?;
        let names: Vec<&str> = owners.iter().map(|kept| kept.owner.as_str()).collect();
        delete(&mut transaction, "tk_snapshot_session", "owner", &names).await?;
        let sessions: Vec<(&str, &Session)> = owners
            .iter()
            .flat_map(|kept| kept.sessions.iter().map(|session| (kept.owner.as_str(), session)))
            .collect();
        put_sessions(&mut transaction, &sessions, run).await?;
        let rows: Vec<&Write> = owners.iter().flat_map(|kept| &kept.rows).collect();
        put_rows(&mut transaction, &rows).await?;
        for (subscriber, cost) in owners.iter().filter_map(|kept| kept.cost) {
            let wallet = "UPDATE tk_wallet SET charged = ? WHERE subscriber_id = ? AND kind = (SELECT CASE WHEN kind = ?
                 THEN 'money' ELSE 'credit' END FROM tk_subscriber WHERE id = ?)";
            let wallet = sqlx::query(wallet).bind(cost.to_string()).bind(subscriber.0);
            let wallet = wallet.bind(crate::domain::subscriber::POSTPAID).bind(subscriber.0);
            wallet.execute(&mut *transaction).await.map_err(broken)?;
        }
        transaction.commit().await.map_err(broken)
    }

    /// Forgets the sessions that were there before this run and were not put in since.
    ///
    /// # Errors
    /// The disk's.
    pub async fn forget_others(&self, run: i64) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM tk_snapshot_session WHERE run <> ?").bind(run);
        delete.execute(&self.pool).await.map(drop).map_err(broken)
    }

    /// Takes in the rows that the spool holds for the database. They stay there.
    ///
    /// # Errors
    /// The disk's.
    pub async fn take_in(&self, spool: &Spool) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        loop {
            let (rows, last) = spool.rows(after, PAGE).await?;
            let Some(last) = last else { return Ok(()) };
            after = last;
            let mut transaction = self.pool.begin().await.map_err(broken)?;
            let mut ended = Vec::new();
            let mut open = Vec::new();
            for row in &rows {
                match row {
                    Write::Session(session) if session.is_open() => open.push(("", &**session)),
                    Write::Session(session) => ended.push(session.unique_id.to_text().to_string()),
                    _ => {}
                }
            }
            let ended: Vec<&str> = ended.iter().map(String::as_str).collect();
            delete(&mut transaction, "tk_snapshot_session", "unique_id", &ended).await?;
            put_sessions(&mut transaction, &open, 0).await?;
            put_rows(&mut transaction, &rows.iter().collect::<Vec<_>>()).await?;
            transaction.commit().await.map_err(broken)?;
        }
    }

    /// Open sessions behind that of `after`, by their ids, at most `most`, and where the next page begins.
    ///
    /// # Errors
    /// [`StoreError`] of SQLite.
    pub async fn sessions(
        &self,
        after: &str,
        most: u32,
    ) -> Result<(Vec<Session>, Option<String>), StoreError> {
        let sql =
            "SELECT unique_id, body FROM tk_snapshot_session WHERE unique_id > ? ORDER BY unique_id LIMIT ?";
        let rows: Vec<(String, String)> = sqlx::query_as(sql)
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(broken)?;
        let next = rows.last().map(|(id, _)| id.clone());
        let read = |(_, body): (String, String)| match form::read(&body) {
            Ok(Write::Session(session)) => Some(*session),
            _ => None,
        };
        Ok((rows.into_iter().filter_map(read).collect(), next))
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What errors call it.
const NAME: &str = "snapshot.db";

async fn put_sessions(
    connection: &mut SqliteConnection,
    sessions: &[(&str, &Session)],
    run: i64,
) -> Result<(), StoreError> {
    for sessions in sessions.chunks(TOGETHER) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT OR REPLACE INTO tk_snapshot_session (unique_id, owner, run, body) ",
        );
        insert.push_values(sessions, |mut row, (owner, session)| {
            row.push_bind(session.unique_id.to_text().to_string()).push_bind((*owner).to_owned());
            row.push_bind(run).push_bind(form::of_session(session));
        });
        insert.build().execute(&mut *connection).await.map_err(broken)?;
    }
    Ok(())
}

/// What rises and never falls.
async fn put_rows(connection: &mut SqliteConnection, rows: &[&Write]) -> Result<(), StoreError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let usage: Vec<[i64; 5]> = rows
        .iter()
        .filter_map(|row| match row {
            Write::Usage { subscriber, day, total } => {
                let [seconds, input, output] = [total.seconds, total.input, total.output].map(number);
                Some([subscriber.0, i64::from(day.0), seconds, input, output])
            }
            _ => None,
        })
        .collect();
    for usage in usage.chunks(TOGETHER) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO tk_usage (subscriber_id, day, seconds, input, output) ");
        insert.push_values(usage, |mut row, numbers| {
            for number in numbers {
                row.push_bind(*number);
            }
        });
        insert.push(
            " ON CONFLICT (subscriber_id, day) DO UPDATE SET seconds = MAX(seconds, excluded.seconds),
              input = MAX(input, excluded.input), output = MAX(output, excluded.output)",
        );
        insert.build().execute(&mut *connection).await.map_err(broken)?;
    }
    for row in rows {
        let query = match row {
            Write::TopUp { quota, used } => {
                sqlx::query("UPDATE tk_quota SET used = MAX(used, ?) WHERE id = ?")
                    .bind(number(*used))
                    .bind(*quota)
            }
            Write::Used { subscriber, at } => sqlx::query(
                "UPDATE tk_subscriber SET first_use_at = COALESCE(first_use_at, ?),
                     last_use_at = MAX(COALESCE(last_use_at, 0), ?) WHERE id = ?",
            )
            .bind(at.0)
            .bind(at.0)
            .bind(subscriber.0),
            Write::NasReload(reload) => sqlx::query(
                "INSERT INTO tk_nas_reload (source, address, identifier, reloaded_at) VALUES (?, ?, ?, ?)
                 ON CONFLICT (source, address, identifier) DO UPDATE SET
                     reloaded_at = MAX(reloaded_at, excluded.reloaded_at)",
            )
            .bind(reload.nas.source.to_string())
            .bind(super::columns::address_text(reload.nas.address).to_string())
            .bind(reload.nas.identifier.to_string())
            .bind(reload.at.0),
            Write::Session(_) | Write::Usage { .. } => continue,
        };
        query.execute(&mut *connection).await.map_err(broken)?;
    }
    Ok(())
}

/// Removes the rows that have one of these texts or numbers in a column.
async fn delete<T: Into<serde_json::Value> + Copy>(
    connection: &mut SqliteConnection,
    table: &str,
    column: &str,
    values: &[T],
) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let list = serde_json::Value::from_iter(values.iter().copied()).to_string();
    let sql = format!("DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))");
    sqlx::query(&sql).bind(list).execute(connection).await.map(drop).map_err(broken)
}

/// The file as an address of a database.
fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display().to_string().replace('%', "%25").replace('?', "%3F"))
}

fn origin(database: &str) -> String {
    hex::encode(Sha256::digest(database.as_bytes()))
}

fn unavailable(file: &Path, reason: &str) -> StoreError {
    StoreError::Unavailable { reason: format!("{}: {reason}", file.display()) }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: sqlx::Error) -> StoreError {
    match StoreError::from_sql(&error, NAME) {
        StoreError::Unavailable { .. } => StoreError::Unavailable { reason: format!("{NAME}: {error}") },
        other => other,
    }
}
