//! The three databases: pools, one text for all of them, and rows read the same way.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use smol_str::SmolStr;
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::postgres::{PgRow, PgValueFormat, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Pool, Row as _, TypeInfo as _, ValueRef as _};

use super::StoreError;
use super::ready::Ready;
use crate::domain::Amount;
use crate::time::UnixTime;
use crate::vault::Vault;

/// A database and its pools.
pub(super) enum Db {
    /// SQLite: `commit` and `write` are the same single connection, `read` a few that only read.
    Sqlite(Pools<Sqlite>),
    /// PostgreSQL, or what speaks its protocol.
    Postgres(Pools<Postgres>),
    /// MySQL and MariaDB.
    MySql(Pools<MySql>),
}

/// Who uses which connections.
pub(super) struct Pools<DB: sqlx::Database> {
    /// The group commit, and nobody else where the database has more than one writer.
    pub(super) commit: Ready<DB>,
    /// All other writing.
    pub(super) write: Pool<DB>,
    /// Reading.
    pub(super) read: Pool<DB>,
    /// Reading by key what a packet waits for.
    pub(super) look_up: Ready<DB>,
    /// What hides passwords in the rows.
    pub(super) vault: Keys,
}

/// The keys in force; the same for every clone.
pub(super) type Keys = Arc<ArcSwap<Vault>>;

impl Db {
    /// `sql` with the placeholders of this database in place of `?`.
    pub(super) fn sql<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        match self {
            Self::Postgres(_) => Cow::Owned(numbered(sql)),
            Self::Sqlite(_) | Self::MySql(_) => Cow::Borrowed(sql),
        }
    }

    /// The keys in force.
    pub(super) const fn keys(&self) -> &Keys {
        match self {
            Self::Sqlite(pools) => &pools.vault,
            Self::Postgres(pools) => &pools.vault,
            Self::MySql(pools) => &pools.vault,
        }
    }

    /// One of three texts.
    pub(super) const fn pick<T: Copy>(&self, sqlite: T, postgres: T, mysql: T) -> T {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
            Self::MySql(_) => mysql,
        }
    }

    /// What makes seconds of a time column of FreeRADIUS's tables.
    pub(super) fn seconds_of(&self, column: &str) -> String {
        match self {
            // FreeRADIUS writes integers; text is what other tools write.
            Self::Sqlite(_) => format!(
                "CASE WHEN typeof({column}) = 'text' THEN CAST(strftime('%s', {column}) AS INTEGER) ELSE {column} END"
            ),
            Self::Postgres(_) => format!("CAST(extract(epoch FROM {column}) AS bigint)"),
            Self::MySql(_) => format!("CAST(UNIX_TIMESTAMP({column}) AS SIGNED)"),
        }
    }

    /// What makes a time column's value of a placeholder of seconds.
    pub(super) const fn time_from(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "?",
            Self::Postgres(_) => "to_timestamp(?)",
            Self::MySql(_) => "FROM_UNIXTIME(?)",
        }
    }
}

/// Runs `$body` with `$pool` being the pool of the kind `commit`, `write` or `read`.
macro_rules! on_pool {
    ($db:expr, $kind:ident, |$pool:ident| $body:expr) => {
        match $db {
            $crate::store::db::Db::Sqlite(pools) => {
                let $pool = &pools.$kind;
                $body
            }
            $crate::store::db::Db::Postgres(pools) => {
                let $pool = &pools.$kind;
                $body
            }
            $crate::store::db::Db::MySql(pools) => {
                let $pool = &pools.$kind;
                $body
            }
        }
    };
}
pub(super) use on_pool;

/// Fetches all rows of a text with `?` placeholders, and reads each with a function of `&dyn Columns`.
macro_rules! fetch {
    ($db:expr, $kind:ident, $table:literal, $sql:expr, [$($bind:expr),* $(,)?], $read:expr) => {{
        let text = $db.sql($sql);
        $crate::store::db::on_pool!($db, $kind, |pool| {
            let query = sqlx::query(&text);
            $(let query = query.bind($bind);)*
            match query.fetch_all(pool).await {
                Ok(rows) => $crate::store::db::read_all(rows.iter(), $table, $read),
                Err(error) => Err($crate::store::StoreError::from_sql(&error, $table)),
            }
        })
    }};
}
pub(super) use fetch;

/// The same with a list of values for `{}` in the text, in as many questions as the list needs.
macro_rules! fetch_in {
    ($db:expr, $table:literal, $sql:expr, $list:expr, [$($bind:expr),* $(,)?], $read:expr) => {{
        let mut found = Vec::new();
        let mut outcome = Ok(());
        for part in $list.chunks($crate::store::db::IN_MOST) {
            let text = $crate::store::db::with_list($sql, part.len());
            let text = $db.sql(&text);
            let part = $crate::store::db::on_pool!($db, read, |pool| {
                let mut query = sqlx::query(&text);
                for value in $crate::store::db::padded(part) {
                    query = query.bind(value);
                }
                $(let query = query.bind($bind);)*
                match query.fetch_all(pool).await {
                    Ok(rows) => $crate::store::db::read_all(rows.iter(), $table, $read),
                    Err(error) => Err($crate::store::StoreError::from_sql(&error, $table)),
                }
            });
            match part {
                Ok(rows) => found.extend(rows),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        outcome.map(|()| found)
    }};
}
pub(super) use fetch_in;

/// Runs a text with `?` placeholders; gives the number of rows it touched.
macro_rules! execute {
    ($db:expr, $kind:ident, $table:literal, $sql:expr, [$($bind:expr),* $(,)?]) => {{
        let text = $db.sql($sql);
        $crate::store::db::on_pool!($db, $kind, |pool| {
            let query = sqlx::query(&text);
            $(let query = query.bind($bind);)*
            match query.execute(pool).await {
                Ok(done) => Ok(done.rows_affected()),
                Err(error) => Err($crate::store::StoreError::from_sql(&error, $table)),
            }
        })
    }};
}
pub(super) use execute;

/// How many values one `IN (…)` asks for at most.
pub(super) const IN_MOST: usize = 256;

/// How long a list of that many values is made, so that few different texts are prepared.
const fn list_class(values: usize) -> usize {
    if values <= 1 {
        1
    } else if values <= 16 {
        16
    } else {
        IN_MOST
    }
}

/// The text with `{}` replaced by placeholders for so many values.
pub(super) fn with_list(sql: &str, values: usize) -> String {
    let marks = vec!["?"; list_class(values)].join(", ");
    sql.replacen("{}", &marks, 1)
}

/// The values, the last one repeated until the list is as long as its class.
pub(super) fn padded<T: Copy>(values: &[T]) -> impl Iterator<Item = T> + '_ {
    let last = values.last().copied();
    let missing = list_class(values.len()).saturating_sub(values.len());
    values.iter().copied().chain(std::iter::repeat_n(last, missing).flatten())
}

/// `?` as `$1`, `$2` …; a `?` inside quotes does not occur in our texts.
fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 32);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            text.push('$');
            text.push_str(&number.to_string());
        }
        text.push_str(part);
    }
    text
}

/// Columns of one row by place, the same for all databases: integers of any width, text whatever its
/// collation.
pub(super) trait Columns {
    /// Text; `None` is null.
    fn text(&self, column: usize) -> Result<Option<SmolStr>, sqlx::Error>;

    /// An integer; `None` is null.
    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;

    /// Text, null being empty.
    fn word(&self, column: usize) -> Result<SmolStr, sqlx::Error> {
        Ok(self.text(column)?.unwrap_or_default())
    }

    /// An integer that is never null.
    fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.int(column)?.ok_or_else(|| unreadable(column, "null"))
    }

    /// A count that is never negative; null and negative are nothing.
    fn count(&self, column: usize) -> Result<u64, sqlx::Error> {
        Ok(self.int(column)?.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
    }

    /// Seconds since 1970.
    fn time(&self, column: usize) -> Result<Option<UnixTime>, sqlx::Error> {
        Ok(self.int(column)?.map(UnixTime))
    }

    /// An address; empty is `None`.
    fn address(&self, column: usize) -> Result<Option<IpAddr>, sqlx::Error> {
        Ok(self.text(column)?.and_then(|text| text.parse().ok()))
    }
}

/// The error of a column that holds what it should not.
pub(super) fn unreadable(column: usize, what: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_string(), source: what.into() }
}

/// Money that was selected as text.
pub(super) fn amount(row: &dyn Columns, column: usize) -> Result<Amount, sqlx::Error> {
    Amount::parse(&row.word(column)?).ok_or_else(|| unreadable(column, "not an amount"))
}

impl Columns for SqliteRow {
    fn text(&self, column: usize) -> Result<Option<SmolStr>, sqlx::Error> {
        Ok(self.try_get_unchecked::<Option<&str>, _>(column)?.map(SmolStr::new))
    }

    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get_unchecked(column)
    }
}

impl Columns for PgRow {
    fn text(&self, column: usize) -> Result<Option<SmolStr>, sqlx::Error> {
        Ok(self.try_get_unchecked::<Option<&str>, _>(column)?.map(SmolStr::new))
    }

    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        let value = self.try_get_raw(column)?;
        if value.is_null() {
            return Ok(None);
        }
        let format = value.format();
        let octets = value.as_bytes().map_err(|error| unreadable(column, &error.to_string()))?;
        let number = match (format, octets) {
            (PgValueFormat::Text, text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            (PgValueFormat::Binary, octets) => octets
                .try_into()
                .map(i64::from_be_bytes)
                .or_else(|_| octets.try_into().map(|octets| i64::from(i32::from_be_bytes(octets))))
                .or_else(|_| octets.try_into().map(|octets| i64::from(i16::from_be_bytes(octets))))
                .ok(),
        };
        number.map(Some).ok_or_else(|| unreadable(column, "not an integer"))
    }
}

impl Columns for MySqlRow {
    fn text(&self, column: usize) -> Result<Option<SmolStr>, sqlx::Error> {
        // Octets, since a binary collation would make it "not text" to the driver.
        let octets = self.try_get_unchecked::<Option<&[u8]>, _>(column)?;
        Ok(octets.map(crate::domain::text::text_from_octets))
    }

    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        let unsigned = {
            let value = self.try_get_raw(column)?;
            if value.is_null() {
                return Ok(None);
            }
            value.type_info().name().ends_with("UNSIGNED")
        };
        if unsigned {
            let value: u64 = self.try_get_unchecked(column)?;
            Ok(Some(i64::try_from(value).unwrap_or(i64::MAX)))
        } else {
            self.try_get_unchecked(column).map(Some)
        }
    }
}

/// Reads every row, naming the table where one cannot be read.
pub(super) fn read_all<'r, R: Columns + 'r, T>(
    rows: impl Iterator<Item = &'r R>,
    table: &'static str,
    read: impl Fn(&dyn Columns) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, StoreError> {
    rows.map(|row| read(row).map_err(|error| StoreError::from_sql(&error, table))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_from_one() {
        assert_eq!(numbered("a = ? AND b IN (?, ?)"), "a = $1 AND b IN ($2, $3)");
        assert_eq!(numbered("nothing"), "nothing");
    }

    #[test]
    fn lists_have_few_lengths() {
        assert_eq!(with_list("x IN ({})", 1), "x IN (?)");
        assert_eq!(padded(&[1, 2, 3]).count(), 16);
        assert_eq!(padded(&[7]).collect::<Vec<_>>(), [7]);
        assert!(padded(&[1, 2, 3]).skip(3).all(|value| value == 3));
    }
}
