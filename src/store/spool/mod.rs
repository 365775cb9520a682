//! What was acknowledged and is not in SQL yet: a SQLite file of its own in the data directory, fsynced
//! before anybody is answered (DESIGN §3).
//!
//! Rows lie in the order in which their keys first came here, each key once, with what was written last:
//! rows are absolute, so the later one holds all of the earlier, and a long outage costs as much disk as
//! there are sessions in it. Beside them lie records that nobody could judge without SQL, as they were
//! received, and what SQL has refused for ever. Refuses to know why anything is put here; that is the
//! writer's.

pub(super) mod form;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Database, QueryBuilder, Row as _, Sqlite, TransactionManager as _};

use super::StoreError;
use crate::domain::Write;
use crate::time::UnixTime;

/// Where the spool is and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// The file.
    pub file: PathBuf,
    /// Most octets of it. What would not fit is not kept, and so not acknowledged.
    pub max_bytes: u64,
}

/// The spool, open. Made for one server; the command line may look at it meanwhile.
#[derive(Debug)]
pub struct Spool {
    write: SqlitePool,
    read: SqlitePool,
    /// The number of the next batch.
    version: AtomicI64,
}

/// The oldest rows of the spool, to be made durable in SQL and then taken away.
#[derive(Debug, Default)]
pub struct SpoolPage {
    /// What they say.
    pub writes: Vec<Write>,
    /// There are no others.
    pub all: bool,
    /// Of each of `writes`.
    places: Vec<i64>,
    /// Those that cannot be read, and why.
    unreadable: Vec<(i64, String)>,
    /// The last place of the page.
    place: i64,
    /// The newest batch that it is of.
    version: i64,
}

impl SpoolPage {
    /// Nothing was there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.unreadable.is_empty()
    }
}

/// An Accounting-Request as it was received, for which SQL has to be asked first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledRecord {
    /// Its number in the spool; of no meaning before it is there.
    pub number: i64,
    /// Where it came from.
    pub source: IpAddr,
    /// When.
    pub received: UnixTime,
    /// The whole packet.
    pub octets: Box<[u8]>,
}

/// What SQL will never take, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// Its number.
    pub id: i64,
    /// Since when.
    pub at: UnixTime,
    /// What the database, or whoever read it, said.
    pub reason: String,
    /// The row, or the record in hexadecimal digits.
    pub body: String,
    /// The row once more, where it is one that can be read.
    pub write: Option<Write>,
}

impl Poisoned {
    /// The record once more, where it is one.
    #[must_use]
    pub fn record(&self) -> Option<SpooledRecord> {
        let (source, octets) = self.body.split_once(' ')?;
        let (source, octets) = (source.parse().ok()?, hex::decode(octets).ok()?.into());
        Some(SpooledRecord { number: 0, source, received: self.at, octets })
    }
}

/// How much is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolMeasure {
    /// Rows that are not in SQL yet.
    pub rows: u64,
    /// Records that are not rows yet.
    pub records: u64,
    /// What was set aside.
    pub poisoned: u64,
    /// Since when the oldest row or record is there.
    pub oldest: Option<UnixTime>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS spooled (
        place INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, at INTEGER NOT NULL,
        body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS record (
        number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, at INTEGER NOT NULL, octets BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS poison (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, reason TEXT NOT NULL, body TEXT NOT NULL);";

/// A row takes the place of that of its key, or leaves it there.
const REPLACES: &str = " ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body";
const GIVES_WAY: &str = " ON CONFLICT (key) DO NOTHING";

/// Rows of one INSERT.
const TOGETHER: usize = 64;
/// SQLite's page, octets.
const PAGE: u64 = 4_096;
/// How long one process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(2);

impl Spool {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] where a later release has written it; [`StoreError`] of SQLite.
    pub async fn open(settings: &SpoolSettings) -> Result<Self, StoreError> {
        let SpoolSettings { file, max_bytes } = settings;
        let options = options(file);
        let pages = (max_bytes / PAGE).max(64);
        let pool = || {
            SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(BUSY)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let limited = options.clone().pragma("max_page_count", pages.to_string());
        // As in the store: a full disk ends a transaction inside SQLite, and sqlx still counts it.
        let write = pool().before_acquire(|connection, _| {
            let depth = <<Sqlite as Database>::TransactionManager>::get_transaction_depth(connection);
            Box::pin(async move { Ok(depth == 0) })
        });
        let write = write.connect_with(limited).await.map_err(failed)?;
        let version: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&write).await.map_err(failed)?;
        if version > form::VERSION {
            return Err(StoreError::NewerSchema { found: version, known: form::VERSION });
        }
        sqlx::raw_sql(SCHEMA).execute(&write).await.map_err(failed)?;
        let mark = format!("PRAGMA user_version = {}", form::VERSION);
        if version < form::VERSION {
            sqlx::raw_sql(&mark).execute(&write).await.map_err(failed)?;
        }
        let read = pool().connect_with(options.pragma("query_only", "1")).await.map_err(failed)?;
        let version: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) + 1 FROM spooled")
            .fetch_one(&read)
            .await
            .map_err(failed)?;
        Ok(Self { write, read, version: AtomicI64::new(version) })
    }

    /// Puts rows in, which are newer than those that are there, and tells the number of the batch. They are
    /// on disk when it returns.
    ///
    /// # Errors
    /// The disk's, or that it is full: nothing was kept.
    pub async fn keep(&self, writes: &[Write], at: UnixTime) -> Result<i64, StoreError> {
        let rows: Vec<(&Write, String)> = writes.iter().map(|write| (write, form::write(write))).collect();
        let mut transaction = self.write.begin().await.map_err(failed)?;
        // There is one connection: batches have their numbers in the order in which they are there.
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        for rows in rows.chunks(TOGETHER) {
            let last = rows.iter().map(|(write, body)| (form::key(write), body));
            let mut insert = inserted(last, version, at);
            insert.push(REPLACES);
            insert.build().execute(&mut *transaction).await.map_err(failed)?;
            let first: Vec<_> =
                rows.iter().filter_map(|(write, body)| Some((form::first_key(write)?, body))).collect();
            if !first.is_empty() {
                let mut insert = inserted(first.into_iter(), version, at);
                insert.push(GIVES_WAY);
                insert.build().execute(&mut *transaction).await.map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(version)
    }

    /// A batch turned out to be in SQL: takes away those of its rows that are still its own.
    ///
    /// # Errors
    /// The disk's; they are written to SQL once more then, which changes nothing.
    pub async fn forget(&self, version: i64) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM spooled WHERE version = ?").bind(version);
        delete.execute(&self.write).await.map(drop).map_err(failed)
    }

    /// The oldest rows, at most so many.
    ///
    /// # Errors
    /// The disk's.
    pub async fn oldest(&self, most: u32) -> Result<SpoolPage, StoreError> {
        let sql = "SELECT place, version, body FROM spooled ORDER BY place LIMIT ?";
        let rows = sqlx::query(sql).bind(i64::from(most)).fetch_all(&self.read).await.map_err(failed)?;
        let mut page = SpoolPage {
            all: rows.len() < usize::try_from(most).unwrap_or(usize::MAX),
            ..SpoolPage::default()
        };
        for row in rows {
            let (place, version, body) = three(&row)?;
            (page.place, page.version) = (place, page.version.max(version));
            match form::read(&body) {
                Ok(write) => {
                    page.writes.push(write);
                    page.places.push(place);
                }
                Err(reason) => page.unreadable.push((place, reason)),
            }
        }
        Ok(page)
    }

    /// The rows behind place `after`, in order, at most so many, and the place of the last; none behind the last.
    /// What cannot be read is left out.
    ///
    /// # Errors
    /// The disk's.
    pub async fn rows(&self, after: i64, most: u32) -> Result<(Vec<Write>, Option<i64>), StoreError> {
        let sql = "SELECT place, version, body FROM spooled WHERE place > ? ORDER BY place LIMIT ?";
        let rows = sqlx::query(sql).bind(after).bind(i64::from(most)).fetch_all(&self.read).await;
        let rows = rows.map_err(failed)?.iter().map(three).collect::<Result<Vec<_>, _>>()?;
        let last = rows.last().map(|(place, ..)| *place);
        Ok((rows.iter().filter_map(|(.., body)| form::read(body).ok()).collect(), last))
    }

    /// The page is in SQL but for those of its writes that were `refused`, which are set aside. Takes away
    /// what is as it was when the page was read; what came for a key since then stays.
    ///
    /// # Errors
    /// The disk's; the page comes again then, which changes nothing.
    pub async fn done(
        &self,
        page: &SpoolPage,
        refused: &[usize],
        reason: &str,
        at: UnixTime,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await.map_err(failed)?;
        let refused =
            refused.iter().filter_map(|index| page.places.get(*index)).map(|place| (*place, reason));
        let unreadable = page.unreadable.iter().map(|(place, reason)| (*place, reason.as_str()));
        for (place, reason) in refused.chain(unreadable) {
            let aside = "INSERT INTO poison (at, reason, body) SELECT ?, ?, body FROM spooled
                 WHERE place = ? AND version <= ?";
            let aside = sqlx::query(aside).bind(at.0).bind(reason).bind(place).bind(page.version);
            aside.execute(&mut *transaction).await.map_err(failed)?;
        }
        let delete = sqlx::query("DELETE FROM spooled WHERE place <= ? AND version <= ?");
        delete.bind(page.place).bind(page.version).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Gives room back to the file system; to be called when the spool has become empty.
    ///
    /// # Errors
    /// The disk's; nothing is lost.
    pub async fn shrink(&self) -> Result<(), StoreError> {
        let shrink = "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)";
        sqlx::raw_sql(shrink).execute(&self.write).await.map(drop).map_err(failed)
    }

    /// Sets rows aside that SQL has refused for ever.
    ///
    /// # Errors
    /// The disk's, or that it is full: they are nowhere.
    pub async fn refuse(
        &self,
        writes: impl Iterator<Item = &Write>,
        reason: &str,
        at: UnixTime,
    ) -> Result<(), StoreError> {
        let bodies: Vec<String> = writes.map(form::write).collect();
        let mut transaction = self.write.begin().await.map_err(failed)?;
        for body in bodies {
            let aside = sqlx::query("INSERT INTO poison (at, reason, body) VALUES (?, ?, ?)");
            aside.bind(at.0).bind(reason).bind(body).execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Puts records in, in order. They are on disk when it returns.
    ///
    /// # Errors
    /// The disk's, or that it is full: nothing was kept.
    pub async fn keep_records(&self, records: &[SpooledRecord]) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await.map_err(failed)?;
        for records in records.chunks(TOGETHER) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO record (source, at, octets) ");
            insert.push_values(records, |mut row, record| {
                row.push_bind(record.source.to_string());
                row.push_bind(record.received.0).push_bind(&*record.octets);
            });
            insert.build().execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The records behind number `after`, in order, at most so many.
    ///
    /// # Errors
    /// The disk's.
    pub async fn records(&self, after: i64, most: u32) -> Result<Vec<SpooledRecord>, StoreError> {
        let sql = "SELECT number, source, at, octets FROM record WHERE number > ? ORDER BY number LIMIT ?";
        let rows = sqlx::query(sql).bind(after).bind(i64::from(most)).fetch_all(&self.read);
        let read = |row: &SqliteRow| {
            let source: String = row.try_get(1)?;
            let octets: Vec<u8> = row.try_get(3)?;
            Ok(SpooledRecord {
                number: row.try_get(0)?,
                // Written by us; an address of nobody is set aside by whoever looks for its NAS.
                source: source.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                received: UnixTime(row.try_get(2)?),
                octets: octets.into(),
            })
        };
        rows.await.map_err(failed)?.iter().map(|row| read(row).map_err(failed)).collect()
    }

    /// What these records say is in rows that are durable.
    ///
    /// # Errors
    /// The disk's; they are read again then, which changes nothing.
    pub async fn records_done(&self, numbers: &[i64]) -> Result<(), StoreError> {
        let numbers = serde_json::Value::from(numbers).to_string();
        let delete = sqlx::query("DELETE FROM record WHERE number IN (SELECT value FROM json_each(?))");
        delete.bind(numbers).execute(&self.write).await.map(drop).map_err(failed)
    }

    /// Sets a record aside that nobody can make a row of.
    ///
    /// # Errors
    /// The disk's.
    pub async fn refuse_record(&self, number: i64, reason: &str) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await.map_err(failed)?;
        let aside = "INSERT INTO poison (at, reason, body) SELECT at, ?, source || ' ' || lower(hex(octets))
             FROM record WHERE number = ?";
        let aside = sqlx::query(aside).bind(reason).bind(number);
        aside.execute(&mut *transaction).await.map_err(failed)?;
        let delete = sqlx::query("DELETE FROM record WHERE number = ?").bind(number);
        delete.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// How much is in it.
    ///
    /// # Errors
    /// The disk's.
    pub async fn measure(&self) -> Result<SpoolMeasure, StoreError> {
        let sql = "SELECT (SELECT COUNT(*) FROM spooled), (SELECT COUNT(*) FROM record), (SELECT COUNT(*) FROM poison),
                (SELECT at FROM spooled ORDER BY place LIMIT 1), (SELECT at FROM record ORDER BY number LIMIT 1)";
        let row = sqlx::query(sql).fetch_one(&self.read).await.map_err(failed)?;
        let count = |column: usize| {
            row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0)).map_err(failed)
        };
        let time = |column: usize| row.try_get::<Option<i64>, _>(column).map_err(failed);
        let oldest = [time(3)?, time(4)?].into_iter().flatten().min().map(UnixTime);
        Ok(SpoolMeasure { rows: count(0)?, records: count(1)?, poisoned: count(2)?, oldest })
    }

    /// What was set aside, the oldest first, at most so many.
    ///
    /// # Errors
    /// The disk's.
    pub async fn poisoned(&self, most: u32) -> Result<Vec<Poisoned>, StoreError> {
        let sql = "SELECT id, at, reason, body FROM poison ORDER BY id LIMIT ?";
        let rows = sqlx::query(sql).bind(i64::from(most)).fetch_all(&self.read).await.map_err(failed)?;
        let read = |row: &SqliteRow| {
            let body: String = row.try_get(3)?;
            let write = form::read(&body).ok();
            Ok(Poisoned {
                id: row.try_get(0)?,
                at: UnixTime(row.try_get(1)?),
                reason: row.try_get(2)?,
                body,
                write,
            })
        };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }

    /// Takes away what was set aside under this number. Was it there?
    ///
    /// # Errors
    /// The disk's.
    pub async fn delete_poisoned(&self, id: i64) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM poison WHERE id = ?").bind(id).execute(&self.write);
        Ok(delete.await.map_err(failed)?.rows_affected() > 0)
    }

    /// From now on whatever is put in fails, as on a full disk.
    #[cfg(test)]
    pub(crate) async fn take_no_more(&self) {
        self.write.close().await;
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
}

fn inserted<'a>(
    rows: impl Iterator<Item = (smol_str::SmolStr, &'a String)>,
    version: i64,
    at: UnixTime,
) -> QueryBuilder<'a, Sqlite> {
    let mut insert = QueryBuilder::new("INSERT INTO spooled (key, version, at, body) ");
    insert.push_values(rows, |mut row, (key, body)| {
        row.push_bind(key.to_string()).push_bind(version).push_bind(at.0).push_bind(body.as_str());
    });
    insert
}

fn three(row: &SqliteRow) -> Result<(i64, i64, String), StoreError> {
    let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    read().map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: sqlx::Error) -> StoreError {
    match StoreError::from_sql(&error, "spool.db") {
        StoreError::Unavailable { .. } => StoreError::Unavailable { reason: format!("spool.db: {error}") },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Day, SubscriberId, Usage};

    async fn open(folder: &Path, max_bytes: u64) -> Spool {
        Spool::open(&SpoolSettings { file: folder.join("spool.db"), max_bytes }).await.unwrap()
    }

    fn usage(subscriber: i64, seconds: u64) -> Write {
        let total = Usage { seconds, ..Usage::default() };
        Write::Usage { subscriber: SubscriberId(subscriber), day: Day(1), total }
    }

    fn used(at: i64) -> Write {
        Write::Used { subscriber: SubscriberId(1), at: UnixTime(at) }
    }

    #[tokio::test]
    async fn rows_come_back_in_order_each_key_once_and_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        spool.keep(&[usage(1, 1), usage(2, 1)], UnixTime(10)).await.unwrap();
        spool.keep(&[usage(3, 1), usage(1, 2), used(5)], UnixTime(11)).await.unwrap();
        spool.keep(&[used(6), used(7)], UnixTime(12)).await.unwrap();
        spool.close().await;
        let spool = open(folder.path(), 1 << 20).await;
        let measure = spool.measure().await.unwrap();
        assert_eq!((measure.rows, measure.oldest), (5, Some(UnixTime(10))));
        let first = spool.oldest(2).await.unwrap();
        assert_eq!((&first.writes, first.all), (&vec![usage(1, 2), usage(2, 1)], false));
        spool.done(&first, &[], "", UnixTime(13)).await.unwrap();
        let rest = spool.oldest(100).await.unwrap();
        assert_eq!((&rest.writes, rest.all), (&vec![usage(3, 1), used(7), used(5)], true));
        spool.done(&rest, &[], "", UnixTime(13)).await.unwrap();
        assert!(spool.oldest(1).await.unwrap().is_empty());
        spool.shrink().await.unwrap();
    }

    /// What a power cut leaves: all that was synced, and anything of what was written after that.
    #[tokio::test]
    async fn fm_02_a_torn_tail_is_cut_off_and_takes_nothing_acknowledged_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        let acknowledged: Vec<Write> = (1..=40).map(|subscriber| usage(subscriber, 1)).collect();
        for part in acknowledged.chunks(10) {
            spool.keep(part, UnixTime(10)).await.unwrap();
        }
        let wal = folder.path().join("spool.db-wal");
        let synced = std::fs::read(&wal).unwrap().len();
        let last: Vec<Write> = (41..=80).map(|subscriber| usage(subscriber, 1)).collect();
        spool.keep(&last, UnixTime(11)).await.unwrap();
        let (file, log) =
            (std::fs::read(folder.path().join("spool.db")).unwrap(), std::fs::read(&wal).unwrap());
        assert!(log.len() > synced + 4096, "the last one is more than a page: {synced}, {}", log.len());
        let mut whole = 0;
        for (number, cut) in (synced..=log.len()).step_by(509).chain([log.len()]).enumerate() {
            let torn = tempfile::tempdir().unwrap();
            std::fs::write(torn.path().join("spool.db"), &file).unwrap();
            let mut log = log.clone();
            match number % 3 {
                0 => log.truncate(cut),
                1 => log[cut..].fill(0),
                _ => log[cut..].iter_mut().for_each(|octet| *octet ^= 0x5a),
            }
            std::fs::write(torn.path().join("spool.db-wal"), log).unwrap();
            let kept = open(torn.path(), 1 << 20).await.oldest(1000).await.unwrap().writes;
            assert_eq!(kept[..40], acknowledged, "torn at {cut}");
            assert!(kept.len() == 40 || kept.len() == 80, "all of the last one or nothing: {}", kept.len());
            whole += usize::from(kept.len() == 80);
        }
        assert_eq!(whole, 1, "only what is whole is trusted");
    }

    #[tokio::test]
    async fn what_came_while_a_page_was_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        spool.keep(&[usage(1, 1), usage(2, 1)], UnixTime(10)).await.unwrap();
        let page = spool.oldest(100).await.unwrap();
        spool.keep(&[usage(1, 2), usage(3, 1)], UnixTime(11)).await.unwrap();
        spool.done(&page, &[], "", UnixTime(12)).await.unwrap();
        assert_eq!(spool.oldest(100).await.unwrap().writes, [usage(1, 2), usage(3, 1)]);
    }

    #[tokio::test]
    async fn a_batch_that_was_durable_after_all_is_forgotten_but_for_what_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        let late = spool.keep(&[usage(1, 1), usage(2, 1)], UnixTime(10)).await.unwrap();
        spool.keep(&[usage(1, 2)], UnixTime(11)).await.unwrap();
        spool.forget(late).await.unwrap();
        assert_eq!(spool.oldest(100).await.unwrap().writes, [usage(1, 2)]);
    }

    #[tokio::test]
    async fn of_a_first_and_a_last_use_both_stay() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        spool.keep(&[used(6), usage(1, 1)], UnixTime(10)).await.unwrap();
        let newer = spool.keep(&[usage(1, 2), used(7)], UnixTime(11)).await.unwrap();
        assert_eq!(spool.oldest(100).await.unwrap().writes, [used(7), usage(1, 2), used(6)]);
        spool.forget(newer).await.unwrap();
        assert_eq!(spool.oldest(100).await.unwrap().writes, [used(6)]);
    }

    #[tokio::test]
    async fn what_is_refused_or_unreadable_is_set_aside_and_shown() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        spool.keep(&[usage(1, 1), usage(2, 1), usage(3, 1)], UnixTime(10)).await.unwrap();
        let spoil = sqlx::query("UPDATE spooled SET body = 'spoilt' WHERE place = 1");
        spoil.execute(&spool.write).await.unwrap();
        let page = spool.oldest(100).await.unwrap();
        assert_eq!(page.writes, [usage(2, 1), usage(3, 1)]);
        spool.done(&page, &[1], "too long", UnixTime(12)).await.unwrap();
        spool.refuse([usage(4, 1)].iter(), "too wide", UnixTime(13)).await.unwrap();
        let record = SpooledRecord {
            number: 0,
            source: [127, 0, 0, 1].into(),
            received: UnixTime(14),
            octets: vec![4, 255].into(),
        };
        spool.keep_records(&[record.clone(), record.clone()]).await.unwrap();
        let records = spool.records(0, 10).await.unwrap();
        assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [1, 2]);
        spool.refuse_record(1, "no NAS").await.unwrap();
        spool.records_done(&[2]).await.unwrap();
        let aside = spool.poisoned(10).await.unwrap();
        let said: Vec<_> = aside.iter().map(|one| (one.reason.as_str(), one.write.clone())).collect();
        assert_eq!(said[0], ("too long", Some(usage(3, 1))));
        assert_eq!((&said[1].1, aside[1].body.as_str()), (&None, "spoilt"));
        assert_eq!(said[2], ("too wide", Some(usage(4, 1))));
        assert_eq!((said[3].0, aside[3].record()), ("no NAS", Some(record)));
        assert_eq!(aside[2].record(), None);
        assert!(spool.delete_poisoned(aside[0].id).await.unwrap());
        assert!(!spool.delete_poisoned(aside[0].id).await.unwrap());
        let left = SpoolMeasure { poisoned: 3, ..SpoolMeasure::default() };
        assert_eq!(spool.measure().await.unwrap(), left);
    }

    #[tokio::test]
    async fn a_full_spool_keeps_nothing_and_goes_on_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 0).await;
        let rows = |from: i64| -> Vec<Write> { (from..from + 500).map(|number| usage(number, 1)).collect() };
        let mut kept = 0;
        let full = loop {
            match spool.keep(&rows(kept), UnixTime(10)).await {
                Ok(_) => kept += 500,
                Err(error) => break error,
            }
        };
        assert!(full.is_temporary() && kept > 0 && kept < 10_000, "{full} after {kept}");
        let page = spool.oldest(100_000).await.unwrap();
        assert_eq!(i64::try_from(page.writes.len()).unwrap(), kept);
        spool.done(&page, &[], "", UnixTime(11)).await.unwrap();
        spool.keep(&rows(kept), UnixTime(12)).await.unwrap();
    }

    #[tokio::test]
    async fn fm_25_a_spool_of_a_later_release_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1 << 20).await;
        sqlx::raw_sql("PRAGMA user_version = 99").execute(&spool.write).await.unwrap();
        spool.close().await;
        let again = SpoolSettings { file: folder.path().join("spool.db"), max_bytes: 1 << 20 };
        assert!(matches!(Spool::open(&again).await, Err(StoreError::NewerSchema { found: 99, .. })));
    }
}
