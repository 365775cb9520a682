//! Brings the tables up to this release.
//!
//! A runner of our own, since sqlx's cannot do what is needed here: leave out statements where
//! FreeRADIUS's tables exist already, run a file again after MySQL stopped in the middle of it (its DDL
//! commits by itself), keep its record in a `tk_` table, and say "newer than this release" as such.

use sqlx::Executor as _;

use super::db::{Columns as _, Db, read_all};
use super::schema::Schema;
use super::{Store, StoreError};

/// One step, and its text for each database. Steps are only ever added.
struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    mysql: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
            mysql: include_str!(concat!("../../migrations/mysql/", $name, ".sql")),
        }
    };
}

/// How many steps this release knows.
pub(super) const KNOWN: usize = 17;

/// All steps; a step's version is its place, counted from one.
const MIGRATIONS: [Migration; KNOWN] = [
    migration!("0001_freeradius"),
    migration!("0002_tollkeeper"),
    migration!("0003_changes"),
    migration!("0004_settings"),
    migration!("0005_charges"),
    migration!("0006_quotas"),
    migration!("0007_credit"),
    migration!("0009_validity"),
    migration!("0010_contacts"),
    migration!("0011_reports"),
    migration!("0013_limits"),
    migration!("0014_batches"),
    migration!("0015_isp"),
    migration!("0016_customers"),
    migration!("0017_spans"),
    migration!("0018_signing"),
    migration!("0019_cleared"),
];

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS tk_schema (
    version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, applied_at BIGINT NOT NULL)";

/// Two servers that start at once migrate one after the other: a number for PostgreSQL's lock.
const LOCK: i64 = 0x746f_6c6c_6b65_6570;

impl Store {
    /// Creates what is missing and gives the names of the steps that were taken; none where the
    /// database was up to date. FreeRADIUS's tables are taken as they are where they exist.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] where a later release was here; [`StoreError::Schema`] where a
    /// right is missing, or where `radacct.acctuniqueid` is not unique and cannot be made so.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, StoreError> {
        let before = Schema::probe(self.db()).await?;
        let taken = match self.db() {
            Db::Sqlite(pools) => {
                let mut connection = pools.write.acquire().await.map_err(failed)?;
                (&mut *connection).execute(sqlx::raw_sql("BEGIN IMMEDIATE")).await.map_err(failed)?;
                let taken =
                    steps!(&mut *connection, &before, sqlite, "?, ?, CAST(strftime('%s', 'now') AS INTEGER)");
                let end = if taken.is_ok() { "COMMIT" } else { "ROLLBACK" };
                (&mut *connection).execute(sqlx::raw_sql(end)).await.map_err(failed)?;
                taken?
            }
            Db::Postgres(pools) => {
                let mut transaction = pools.write.begin().await.map_err(failed)?;
                sqlx::query("SELECT pg_advisory_xact_lock($1)")
                    .bind(LOCK)
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed)?;
                (&mut *transaction)
                    .execute(sqlx::raw_sql("SET LOCAL client_min_messages = warning"))
                    .await
                    .map_err(failed)?;
                let taken = steps!(
                    &mut *transaction,
                    &before,
                    postgres,
                    "$1, $2, CAST(extract(epoch FROM now()) AS bigint)"
                )?;
                transaction.commit().await.map_err(failed)?;
                taken
            }
            Db::MySql(pools) => {
                let mut connection = pools.write.acquire().await.map_err(failed)?;
                const NAME: &str = "CONCAT('tollkeeper ', LEFT(MD5(DATABASE()), 32))";
                let locked = sqlx::query(&format!("SELECT GET_LOCK({NAME}, 60)"))
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(failed)?;
                if locked.int(0).map_err(failed)? != Some(1) {
                    return Err(StoreError::Unavailable { reason: "another server is migrating".to_owned() });
                }
                let taken = steps!(&mut *connection, &before, mysql, "?, ?, UNIX_TIMESTAMP()");
                sqlx::query(&format!("SELECT RELEASE_LOCK({NAME})"))
                    .execute(&mut *connection)
                    .await
                    .map_err(failed)?;
                taken?
            }
        };
        self.learn_schema().await?;
        Ok(taken)
    }

    /// How many steps this release knows.
    #[must_use]
    pub const fn known_migrations(&self) -> usize {
        MIGRATIONS.len()
    }

    /// The steps that [`Store::migrate`] would take.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn pending_migrations(&self) -> Result<Vec<&'static str>, StoreError> {
        let present = match self.db() {
            Db::Sqlite(pools) => sqlx::query("SELECT name FROM sqlite_master WHERE name = 'tk_schema'")
                .fetch_optional(&pools.read)
                .await
                .map(|row| row.is_some()),
            Db::Postgres(pools) => sqlx::query("SELECT 1 WHERE to_regclass('tk_schema') IS NOT NULL")
                .fetch_optional(&pools.read)
                .await
                .map(|row| row.is_some()),
            Db::MySql(pools) => sqlx::query(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'tk_schema'",
            )
            .fetch_optional(&pools.read)
            .await
            .map(|row| row.is_some()),
        }
        .map_err(failed)?;
        let found = if present {
            super::db::fetch!(
                self.db(),
                read,
                "tk_schema",
                "SELECT MAX(version) FROM tk_schema",
                [],
                |row| row.int(0)
            )?
            .pop()
            .flatten()
            .unwrap_or(0)
        } else {
            0
        };
        Ok(pending(found)?.iter().map(|(_, migration)| migration.name).collect())
    }
}

/// The steps after `found`, with their versions.
fn pending(found: i64) -> Result<Vec<(i64, &'static Migration)>, StoreError> {
    let all: Vec<(i64, &Migration)> = (1..).zip(&MIGRATIONS).collect();
    let known = all.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok(all.into_iter().filter(|(version, _)| *version > found).collect())
}

/// Takes the steps on one connection, whatever its type.
macro_rules! steps {
    ($connection:expr, $before:expr, $texts:ident, $values:literal) => {
        async {
            let connection = $connection;
            (&mut *connection).execute(sqlx::raw_sql(VERSIONS)).await.map_err(failed)?;
            let found = sqlx::query("SELECT MAX(version) FROM tk_schema")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
            let found = read_all(found.iter(), "tk_schema", |row| row.int(0))?.pop().flatten().unwrap_or(0);
            let mut taken = Vec::new();
            for (version, migration) in pending(found)? {
                for statement in statements(migration.$texts, $before) {
                    (&mut *connection)
                        .execute(sqlx::raw_sql(statement))
                        .await
                        .map_err(|error| within(migration.name, &error))?;
                }
                if version == 1 {
                    unique_sessions!(connection, $texts);
                }
                sqlx::query(concat!(
                    "INSERT INTO tk_schema (version, name, applied_at) VALUES (",
                    $values,
                    ")"
                ))
                .bind(version)
                .bind(migration.name)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
                taken.push(migration.name);
            }
            Ok::<_, StoreError>(taken)
        }
        .await
    };
}
use steps;

/// The upsert of sessions needs one row per `acctuniqueid`. Old schemas have an index there that is
/// not unique; adding one changes no column and no row.
macro_rules! unique_sessions {
    ($connection:expr, $database:ident) => {
        let unique = sqlx::query(uniqueness::$database)
            .fetch_all(&mut *$connection)
            .await
            .map_err(failed)?;
        if unique.is_empty() {
            let twice = sqlx::query(
                "SELECT acctuniqueid FROM radacct GROUP BY acctuniqueid HAVING COUNT(*) > 1 LIMIT 1",
            )
            .fetch_all(&mut *$connection)
            .await
            .map_err(failed)?;
            if let Some(id) = read_all(twice.iter(), "radacct", |row| row.word(0))?.pop() {
                return Err(StoreError::Schema {
                    reason: format!(
                        "radacct has several rows with acctuniqueid '{id}': keep one of each, then migrate again"
                    ),
                });
            }
            (&mut *$connection).execute(sqlx::raw_sql("CREATE UNIQUE INDEX tk_radacct_unique ON radacct (acctuniqueid)"))
                .await
                .map_err(failed)?;
        }
    };
}
use unique_sessions;

/// Questions that give a row where a unique index on `radacct.acctuniqueid` alone exists.
#[expect(non_upper_case_globals, reason = "named as the folders of migrations are")]
mod uniqueness {
    pub(super) const sqlite: &str = "SELECT 1 FROM pragma_index_list('radacct') l
        WHERE l.\"unique\" = 1 AND l.partial = 0
          AND (SELECT COUNT(*) FROM pragma_index_info(l.name)) = 1
          AND (SELECT LOWER(name) FROM pragma_index_info(l.name)) = 'acctuniqueid'";
    pub(super) const postgres: &str = "SELECT 1 FROM pg_index i JOIN pg_attribute a
        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = to_regclass('radacct') AND i.indisunique AND i.indnkeyatts = 1
          AND i.indpred IS NULL AND a.attname = 'acctuniqueid'";
    pub(super) const mysql: &str = "SELECT index_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = 'radacct' AND non_unique = 0
        GROUP BY index_name HAVING COUNT(*) = 1 AND LOWER(MAX(column_name)) = 'acctuniqueid'";
}

/// The paragraphs of a file that are to be run: all but those under `-- unless TABLE` where the table
/// was there before.
fn statements<'a>(text: &'a str, before: &'a Schema) -> impl Iterator<Item = &'a str> {
    text.split("\n\n").map(str::trim).filter(|paragraph| {
        let mut lines = paragraph.lines();
        let unless = lines.clone().find_map(|line| line.strip_prefix("-- unless "));
        let is_comment = lines.all(|line| line.starts_with("--"));
        !is_comment && !unless.is_some_and(|table| before.has_table(table))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands the error over")]
fn failed(error: sqlx::Error) -> StoreError {
    StoreError::from_sql(&error, "tk_schema")
}

/// A statement of ours that fails says which step it belongs to, and is never a reason to try again.
fn within(name: &str, error: &sqlx::Error) -> StoreError {
    match StoreError::from_sql(error, "tk_schema") {
        StoreError::Unavailable { reason } => StoreError::Unavailable { reason },
        _ => StoreError::Schema { reason: format!("{name}: {error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_migrations_is_a_step() {
        for database in ["sqlite", "postgres", "mysql"] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/");
            let mut files: Vec<String> = std::fs::read_dir(format!("{folder}{database}"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let steps: Vec<String> = MIGRATIONS.iter().map(|step| format!("{}.sql", step.name)).collect();
            assert_eq!(files, steps, "{database}");
        }
    }

    #[test]
    fn a_later_schema_is_refused() {
        let known = i64::try_from(MIGRATIONS.len()).unwrap();
        assert_eq!(pending(known + 1).err(), Some(StoreError::NewerSchema { found: known + 1, known }));
        assert_eq!(pending(known).unwrap().len(), 0);
        assert_eq!(pending(0).unwrap().len(), MIGRATIONS.len());
    }
}
