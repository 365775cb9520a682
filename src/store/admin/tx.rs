//! One transaction, whatever the database.

use sqlx::{MySql, Postgres, Sqlite, Transaction};

use crate::domain::Amount;
use crate::store::StoreError;
use crate::store::db::{Columns, Db, IN_MOST, padded, read_all, with_list};

/// A transaction. Dropped without [`Tx::commit`], it leaves nothing behind.
pub(in crate::store) enum Tx<'p> {
    Sqlite(Transaction<'p, Sqlite>, &'p Db),
    Postgres(Transaction<'p, Postgres>, &'p Db),
    MySql(Transaction<'p, MySql>, &'p Db),
}

/// Rows of one INSERT: with every table's columns far below what each database takes for placeholders.
const ROWS_MOST: usize = 250;

/// A value for a placeholder.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Bind<'a> {
    Text(&'a str),
    Int(i64),
    MaybeText(Option<&'a str>),
    MaybeInt(Option<i64>),
    /// For a placeholder of [`Tx::decimal`].
    Amount(Amount),
    MaybeAmount(Option<Amount>),
}

/// A query of `$text` with all of `$binds`.
macro_rules! bound {
    ($text:expr, $binds:expr) => {{
        let mut query = sqlx::query($text);
        for bind in $binds {
            query = match *bind {
                Bind::Text(text) => query.bind(text),
                Bind::Int(number) => query.bind(number),
                Bind::MaybeText(text) => query.bind(text),
                Bind::MaybeInt(number) => query.bind(number),
                Bind::Amount(amount) => query.bind(amount.to_string()),
                Bind::MaybeAmount(amount) => query.bind(amount.map(|amount| amount.to_string())),
            };
        }
        query
    }};
}

impl<'p> Tx<'p> {
    /// Begins. SQLite is locked for writing at once: a transaction that reads first and writes later
    /// could not be continued after somebody else wrote in between.
    pub(in crate::store) async fn begin(db: &'p Db) -> Result<Self, StoreError> {
        let failed = |error: sqlx::Error| StoreError::from_sql(&error, "transaction");
        match db {
            Db::Sqlite(pools) => {
                let transaction = pools.write.begin_with("BEGIN IMMEDIATE").await;
                Ok(Self::Sqlite(transaction.map_err(failed)?, db))
            }
            Db::Postgres(pools) => {
                let transaction = pools.write.begin().await.map_err(failed)?;
                Ok(Self::Postgres(transaction, db))
            }
            Db::MySql(pools) => Ok(Self::MySql(pools.write.begin().await.map_err(failed)?, db)),
        }
    }

    /// Begins a transaction that only reads: all of it sees the tables at one moment.
    pub(in crate::store) async fn read(db: &'p Db) -> Result<Self, StoreError> {
        let failed = |error: sqlx::Error| StoreError::from_sql(&error, "transaction");
        match db {
            Db::Sqlite(pools) => Ok(Self::Sqlite(pools.read.begin().await.map_err(failed)?, db)),
            Db::Postgres(pools) => {
                let transaction = pools.read.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
                Ok(Self::Postgres(transaction.map_err(failed)?, db))
            }
            Db::MySql(pools) => Ok(Self::MySql(pools.read.begin().await.map_err(failed)?, db)),
        }
    }

    /// The database that it is on.
    pub(in crate::store) const fn db(&self) -> &'p Db {
        match self {
            Self::Sqlite(_, db) | Self::Postgres(_, db) | Self::MySql(_, db) => db,
        }
    }

    /// Makes it durable.
    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        let done = match self {
            Self::Sqlite(transaction, _) => transaction.commit().await,
            Self::Postgres(transaction, _) => transaction.commit().await,
            Self::MySql(transaction, _) => transaction.commit().await,
        };
        done.map_err(|error| StoreError::from_sql(&error, "transaction"))
    }

    /// Runs a text; gives how many rows it touched.
    pub(in crate::store) async fn run(
        &mut self,
        table: &'static str,
        sql: &str,
        binds: &[Bind<'_>],
    ) -> Result<u64, StoreError> {
        let done = match self {
            Self::Sqlite(transaction, _) => {
                bound!(sql, binds).execute(&mut **transaction).await.map(|done| done.rows_affected())
            }
            Self::Postgres(transaction, db) => {
                let text = db.sql(sql);
                bound!(&text, binds).execute(&mut **transaction).await.map(|done| done.rows_affected())
            }
            Self::MySql(transaction, _) => {
                bound!(sql, binds).execute(&mut **transaction).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| StoreError::from_sql(&error, table))
    }

    /// Runs an INSERT of one row into a table whose key is `id`; gives that.
    pub(in crate::store) async fn insert(
        &mut self,
        table: &'static str,
        sql: &str,
        binds: &[Bind<'_>],
    ) -> Result<i64, StoreError> {
        let failed = |error: sqlx::Error| StoreError::from_sql(&error, table);
        match self {
            Self::Sqlite(transaction, _) => {
                let done = bound!(sql, binds).execute(&mut **transaction).await.map_err(failed)?;
                Ok(done.last_insert_rowid())
            }
            Self::Postgres(transaction, db) => {
                let text = format!("{} RETURNING id", db.sql(sql));
                let row = bound!(&text, binds).fetch_one(&mut **transaction).await.map_err(failed)?;
                row.number(0).map_err(failed)
            }
            Self::MySql(transaction, _) => {
                let done = bound!(sql, binds).execute(&mut **transaction).await.map_err(failed)?;
                Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Fetches all rows and reads each.
    pub(in crate::store) async fn fetch<T>(
        &mut self,
        table: &'static str,
        sql: &str,
        binds: &[Bind<'_>],
        read: impl Fn(&dyn Columns) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = |error: sqlx::Error| StoreError::from_sql(&error, table);
        match self {
            Self::Sqlite(transaction, _) => {
                let rows = bound!(sql, binds).fetch_all(&mut **transaction).await.map_err(failed)?;
                read_all(rows.iter(), table, read)
            }
            Self::Postgres(transaction, db) => {
                let text = db.sql(sql);
                let rows = bound!(&text, binds).fetch_all(&mut **transaction).await.map_err(failed)?;
                read_all(rows.iter(), table, read)
            }
            Self::MySql(transaction, _) => {
                let rows = bound!(sql, binds).fetch_all(&mut **transaction).await.map_err(failed)?;
                read_all(rows.iter(), table, read)
            }
        }
    }

    /// The same for every part of a list, whose values stand for `{}` in the text.
    pub(super) async fn fetch_in<T>(
        &mut self,
        table: &'static str,
        sql: &str,
        list: &[Bind<'_>],
        read: impl Fn(&dyn Columns) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        for part in list.chunks(IN_MOST) {
            let text = with_list(sql, part.len());
            let binds: Vec<Bind<'_>> = padded(part).collect();
            found.extend(self.fetch(table, &text, &binds, &read).await?);
        }
        Ok(found)
    }

    /// Runs a text for every part of a list, likewise.
    pub(super) async fn run_in(
        &mut self,
        table: &'static str,
        sql: &str,
        list: &[Bind<'_>],
    ) -> Result<(), StoreError> {
        self.run_for(table, sql, &[], list).await
    }

    /// The same with placeholders before the list.
    pub(super) async fn run_for(
        &mut self,
        table: &'static str,
        sql: &str,
        before: &[Bind<'_>],
        list: &[Bind<'_>],
    ) -> Result<(), StoreError> {
        for part in list.chunks(IN_MOST) {
            let binds: Vec<Bind<'_>> = before.iter().copied().chain(padded(part)).collect();
            self.run(table, &with_list(sql, part.len()), &binds).await?;
        }
        Ok(())
    }

    /// Inserts rows of the same columns, many at a time. `head` is `INSERT INTO … (…)`.
    pub(super) async fn insert_rows<'a, const N: usize>(
        &mut self,
        table: &'static str,
        head: &str,
        rows: &[[Bind<'a>; N]],
    ) -> Result<(), StoreError> {
        self.put_rows(table, head, "", rows).await
    }

    /// The same; `tail` says what becomes of those that are there already.
    pub(super) async fn put_rows<'a, const N: usize>(
        &mut self,
        table: &'static str,
        head: &str,
        tail: &str,
        rows: &[[Bind<'a>; N]],
    ) -> Result<(), StoreError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let place = |bind: &Bind<'_>| match bind {
            Bind::Amount(_) | Bind::MaybeAmount(_) => self.decimal(),
            Bind::Text(_) | Bind::Int(_) | Bind::MaybeText(_) | Bind::MaybeInt(_) => "?",
        };
        let row = format!("({})", first.iter().map(place).collect::<Vec<_>>().join(", "));
        for part in rows.chunks(ROWS_MOST) {
            let text = format!("{head} VALUES {} {tail}", vec![row.as_str(); part.len()].join(", "));
            let binds: Vec<Bind<'a>> = part.iter().flatten().copied().collect();
            self.run(table, &text, &binds).await?;
        }
        Ok(())
    }

    /// One of three texts.
    pub(in crate::store) const fn pick<T: Copy>(&self, sqlite: T, postgres: T, mysql: T) -> T {
        match self {
            Self::Sqlite(..) => sqlite,
            Self::Postgres(..) => postgres,
            Self::MySql(..) => mysql,
        }
    }

    /// The placeholder of a decimal number that is bound as text.
    pub(in crate::store) const fn decimal(&self) -> &'static str {
        self.pick("?", "CAST(? AS numeric)", "?")
    }
}
