//! Brings rows from the database into the snapshot as they lie there.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hash, RandomState};

use parking_lot::Mutex;
use smol_str::SmolStr;
use sqlx::{Executor as _, QueryBuilder, Sqlite, SqliteConnection};

use super::{Snapshot, TOGETHER, broken, delete};
use crate::domain::Day;
use crate::store::db::{fetch, fetch_in, read_all};
use crate::store::schema::FREERADIUS;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Tables of few rows, or their part that is nobody's, each copied whole where it is not what it was.
const WHOLE: [(&str, &str); 12] = [
    ("tk_account", "1 = 1"),
    ("tk_plan", "1 = 1"),
    ("tk_quota", "plan_id IS NOT NULL"),
    ("tk_expiry_rule", "plan_id IS NOT NULL"),
    ("tk_charge_rule", "1 = 1"),
    ("radgroupcheck", "1 = 1"),
    ("radgroupreply", "1 = 1"),
    ("nas", "1 = 1"),
    ("tk_nas", "1 = 1"),
    ("tk_nas_signing", "1 = 1"),
    ("tk_nas_reload", "1 = 1"),
    ("tk_setting", "name IN ('token_key', 'token_key_previous', 'token_key_identity')"),
];

/// Tables of subscribers, and the column with whose number.
const BY_NUMBER: [(&str, &str); 7] = [
    ("tk_subscriber", "id"),
    ("tk_quota", "subscriber_id"),
    ("tk_expiry_rule", "subscriber_id"),
    ("tk_term", "subscriber_id"),
    ("tk_wallet", "subscriber_id"),
    ("tk_override", "subscriber_id"),
    ("tk_device", "subscriber_id"),
];

/// Tables of logins.
const BY_LOGIN: [&str; 3] = ["radcheck", "radreply", "radusergroup"];

/// What the tables of [`WHOLE`] were like when they were copied.
#[derive(Debug, Default)]
pub(super) struct Digests {
    held: Mutex<HashMap<usize, u64>>,
    hasher: RandomState,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Cell {
    Number(Option<i64>),
    Text(Option<SmolStr>),
}

/// The columns of a table that both have: each with whether it is a number.
struct Shared(Vec<(String, bool)>);

impl Shared {
    fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The same to be selected: what is no number there either is made text.
    fn selected(&self, source: &Store) -> String {
        let text = source.db().pick("TEXT", "text", "CHAR");
        let one = |(name, number): &(String, bool)| {
            if *number { name.clone() } else { format!("CAST({name} AS {text})") }
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The values behind the first `skipped` columns.
    fn cells(&self, row: &dyn crate::store::db::Columns, skipped: usize) -> Result<Vec<Cell>, sqlx::Error> {
        (skipped..)
            .zip(&self.0)
            .map(
                |(place, (_, number))| {
                    if *number { row.int(place).map(Cell::Number) } else { row.text(place).map(Cell::Text) }
                },
            )
            .collect()
    }
}

impl Snapshot {
    /// Copies the tables of few rows that are not what they were.
    ///
    /// # Errors
    /// [`StoreError`] of the database, or of the disk.
    pub async fn copy_common(&self, source: &Store) -> Result<(), StoreError> {
        for (number, (table, part)) in WHOLE.into_iter().enumerate() {
            let shared = self.shared(source, table).await?;
            let sql = format!("SELECT {} FROM {table} WHERE {part}", shared.selected(source));
            let mut rows = fetch!(source.db(), read, "snapshot", &sql, [], |row| shared.cells(row, 0))?;
            rows.sort_unstable_by_key(|row| self.digests.hasher.hash_one(row));
            let digest = self.digests.hasher.hash_one(&rows);
            if self.digests.held.lock().get(&number) == Some(&digest) {
                continue;
            }
            let mut transaction = self.pool.begin().await.map_err(broken)?;
            let emptied = format!("DELETE FROM {table} WHERE {part}");
            transaction.execute(sqlx::raw_sql(&emptied)).await.map_err(broken)?;
            insert(&mut transaction, table, &shared, &rows).await?;
            transaction.commit().await.map_err(broken)?;
            self.digests.held.lock().insert(number, digest);
        }
        Ok(())
    }

    /// Copies what there is of these logins, with usage from `since` on; who had one of them and has another
    /// now comes with it. A login with rows and without a number gets one.
    ///
    /// # Errors
    /// [`StoreError`] of the database, or of the disk.
    pub async fn copy_logins(
        &self,
        source: &Store,
        logins: &[SmolStr],
        since: Day,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        source.sight(logins, now).await?;
        let names: Vec<&str> = logins.iter().map(SmolStr::as_str).collect();
        let sql = "SELECT id, username FROM tk_subscriber WHERE username IN ({})";
        let found =
            fetch_in!(source.db(), "snapshot", sql, names, [], |row| { Ok((row.number(0)?, row.word(1)?)) })?;
        let wanted: BTreeSet<&str> = names.iter().copied().collect();
        let mut numbers: BTreeSet<i64> = found
            .into_iter()
            .filter(|(_, login)| wanted.contains(login.as_str()))
            .map(|(id, _)| id)
            .collect();
        let list = serde_json::Value::from_iter(names.iter().copied()).to_string();
        let here = "SELECT id FROM tk_subscriber WHERE username IN (SELECT value FROM json_each(?))";
        let here: Vec<i64> =
            sqlx::query_scalar(here).bind(list).fetch_all(&self.pool).await.map_err(broken)?;
        numbers.extend(here);
        self.copy(source, &wanted, &numbers, since).await
    }

    /// Copies what there is of the next subscribers by number, `most` of them, and takes away who is gone;
    /// gives where the next page begins, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] of the database, or of the disk.
    pub async fn copy_page(
        &self,
        source: &Store,
        after: i64,
        most: u32,
        since: Day,
    ) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT id, username FROM tk_subscriber WHERE id > ? AND username IS NOT NULL ORDER BY id LIMIT ?";
        let page = fetch!(source.db(), read, "snapshot", sql, [after, i64::from(most)], |row| {
            Ok((row.number(0)?, row.word(1)?))
        })?;
        let is_full = page.len() >= usize::try_from(most).unwrap_or(usize::MAX);
        let next = page.last().filter(|_| is_full).map(|(id, _)| *id);
        let here = "SELECT id, COALESCE(username, '') FROM tk_subscriber WHERE id > ? AND id <= ?";
        let here: Vec<(i64, String)> = sqlx::query_as(here)
            .bind(after)
            .bind(next.unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(broken)?;
        let names = page.iter().map(|(_, login)| login.as_str());
        let names = names.chain(here.iter().map(|(_, login)| login.as_str())).collect();
        let numbers = page.iter().map(|(id, _)| *id).chain(here.iter().map(|(id, _)| *id)).collect();
        self.copy(source, &names, &numbers, since).await?;
        Ok(next)
    }

    /// Puts all rows of these logins and numbers in the place of those that are here, in one transaction.
    async fn copy(
        &self,
        source: &Store,
        names: &BTreeSet<&str>,
        numbers: &BTreeSet<i64>,
        since: Day,
    ) -> Result<(), StoreError> {
        let list: Vec<&str> = names.iter().copied().collect();
        let ids: Vec<i64> = numbers.iter().copied().collect();
        let mut parts = Vec::new();
        for (table, column) in BY_NUMBER {
            let shared = self.shared(source, table).await?;
            let sql = format!("SELECT {} FROM {table} WHERE {column} IN ({{}})", shared.selected(source));
            let rows = fetch_in!(source.db(), "snapshot", &sql, ids, [], |row| shared.cells(row, 0))?;
            parts.push((table, column, shared, rows));
        }
        let usage = self.shared(source, "tk_usage").await?;
        let sql = format!(
            "SELECT {} FROM tk_usage WHERE subscriber_id IN ({{}}) AND (day >= ? OR day = {})",
            usage.selected(source),
            Day::LIFETIME.0
        );
        let rows = fetch_in!(source.db(), "snapshot", &sql, ids, [i64::from(since.0)], |row| {
            usage.cells(row, 0)
        })?;
        parts.push(("tk_usage", "subscriber_id", usage, rows));
        for table in BY_LOGIN {
            let shared = self.shared(source, table).await?;
            let selected = shared.selected(source);
            let sql = format!("SELECT username, {selected} FROM {table} WHERE username IN ({{}})");
            let rows = fetch_in!(source.db(), "snapshot", &sql, list, [], |row| {
                Ok((row.word(0)?, shared.cells(row, 1)?))
            })?;
            // Of a collation that takes one login for another.
            let rows = rows.into_iter().filter(|(login, _)| names.contains(login.as_str()));
            parts.push((table, "username", shared, rows.map(|(_, row)| row).collect()));
        }
        let mut transaction = self.pool.begin().await.map_err(broken)?;
        for (table, column, shared, rows) in &parts {
            if BY_LOGIN.contains(table) {
                delete(&mut transaction, table, column, &list).await?;
            } else {
                delete(&mut transaction, table, column, &ids).await?;
            }
            insert(&mut transaction, table, shared, rows).await?;
        }
        transaction.commit().await.map_err(broken)
    }

    /// The columns that a table has here and there. FreeRADIUS's are as they were found.
    async fn shared(&self, source: &Store, table: &'static str) -> Result<Shared, StoreError> {
        let learned = source.learned()?;
        let rows = sqlx::query("SELECT name, type FROM pragma_table_info(?)").bind(table);
        let rows = rows.fetch_all(&self.pool).await.map_err(broken)?;
        let columns = read_all(rows.iter(), "snapshot", |row| Ok((row.word(0)?, row.word(1)?)))?;
        let is_there = |name: &str| !FREERADIUS.contains(&table) || learned.schema.has(table, name);
        let shared = columns.into_iter().filter(|(name, _)| is_there(name));
        Ok(Shared(
            shared
                .map(|(name, kind)| (name.to_string(), kind.to_ascii_uppercase().contains("INT")))
                .collect(),
        ))
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    table: &str,
    shared: &Shared,
    rows: &[Vec<Cell>],
) -> Result<(), StoreError> {
    for rows in rows.chunks(TOGETHER) {
        let head = format!("INSERT OR REPLACE INTO {table} ({}) ", shared.names());
        let mut insert = QueryBuilder::<Sqlite>::new(head);
        insert.push_values(rows, |mut values, row| {
            for cell in row {
                match cell {
                    Cell::Number(number) => values.push_bind(*number),
                    Cell::Text(text) => values.push_bind(text.as_deref()),
                };
            }
        });
        insert.build().execute(&mut *connection).await.map_err(broken)?;
    }
    Ok(())
}
