//! Does the database keep what it acknowledges?

use super::db::{Db, read_all};
use super::{Store, StoreError};

impl Store {
    /// Refuses settings with which a crash or a power cut loses committed rows: `synchronous_commit`
    /// and `fsync` of PostgreSQL, `innodb_flush_log_at_trx_commit` and MyISAM tables of MySQL,
    /// `synchronous` and `journal_mode` of SQLite. Does nothing where the settings allow them.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`] names the setting and its value.
    pub async fn durability(&self) -> Result<(), StoreError> {
        if self.0.allow_unsafe_durability {
            return Ok(());
        }
        self.durability_settings().await?.iter().try_for_each(|(name, value)| judge(name, value))
    }

    /// The settings that [`Store::durability`] judges, with their values.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where they cannot be read.
    pub async fn durability_settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        let failed = |error: sqlx::Error| StoreError::from_sql(&error, "settings");
        let pair = |row: &dyn super::db::Columns| Ok((row.word(0)?.to_string(), row.word(1)?.to_string()));
        match self.db() {
            Db::Sqlite(pools) => {
                let rows = sqlx::query(
                    "SELECT 'synchronous', CAST(synchronous AS TEXT) FROM pragma_synchronous
                     UNION ALL SELECT 'journal_mode', journal_mode FROM pragma_journal_mode",
                )
                .fetch_all(&pools.write)
                .await
                .map_err(failed)?;
                read_all(rows.iter(), "settings", pair)
            }
            Db::Postgres(pools) => {
                let rows = sqlx::query(
                    "SELECT name, setting FROM pg_settings WHERE name IN ('synchronous_commit', 'fsync') ORDER BY name DESC",
                )
                .fetch_all(&pools.read)
                .await
                .map_err(failed)?;
                read_all(rows.iter(), "settings", pair)
            }
            Db::MySql(pools) => {
                let rows = sqlx::query(
                    "SELECT 'innodb_flush_log_at_trx_commit', CAST(@@innodb_flush_log_at_trx_commit AS CHAR)
                     UNION ALL SELECT CONCAT('engine of ', table_name), engine FROM information_schema.tables
                     WHERE table_schema = DATABASE() AND table_name IN ('radacct', 'tk_session')",
                )
                .fetch_all(&pools.read)
                .await
                .map_err(failed)?;
                read_all(rows.iter(), "settings", pair)
            }
        }
    }
}

/// Is the setting one that keeps what was acknowledged?
fn judge(setting: &str, value: &str) -> Result<(), StoreError> {
    let safe = match setting {
        // 2 FULL, 3 EXTRA
        "synchronous" => matches!(value, "2" | "3"),
        "journal_mode" => matches!(value, "wal" | "delete" | "truncate" | "persist"),
        "fsync" => value == "on",
        // All others wait for the local disk.
        "synchronous_commit" => value != "off",
        "innodb_flush_log_at_trx_commit" => value == "1",
        engine if engine.starts_with("engine of ") => !value.eq_ignore_ascii_case("MyISAM"),
        _ => true,
    };
    if safe {
        Ok(())
    } else {
        Err(StoreError::Unsafe { setting: setting.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_acknowledged_rows_is_named() {
        for (setting, value) in [
            ("synchronous", "1"),
            ("journal_mode", "memory"),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("innodb_flush_log_at_trx_commit", "2"),
            ("engine of radacct", "MyISAM"),
        ] {
            let error = judge(setting, value).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{setting} is {value}")), "{error}");
        }
        for (setting, value) in [
            ("synchronous", "2"),
            ("journal_mode", "wal"),
            ("fsync", "on"),
            ("synchronous_commit", "remote_apply"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("engine of radacct", "InnoDB"),
        ] {
            assert_eq!(judge(setting, value), Ok(()));
        }
    }
}
