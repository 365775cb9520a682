//! What can go wrong in SQL, without the driver's types.

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The configured address cannot be one of a database.
    #[error("not a database address: {reason}")]
    Address {
        /// What is wrong with it; never the address itself, which may hold a password.
        reason: String,
    },
    /// Nobody's mistake: the database is away, full, read-only or too slow. Worth another try.
    #[error("the database cannot be used now: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// What a table holds cannot be read as what it should be.
    #[error("{table} holds what cannot be read: {reason}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// For the log.
        reason: String,
    },
    /// The database was migrated by a later release than this.
    #[error("the database has schema {found}, this release knows {known}: use the newer release")]
    NewerSchema {
        /// Version in the database.
        found: i64,
        /// Newest version we know.
        known: i64,
    },
    /// A setting of the database lets it lose what it has acknowledged.
    #[error("{setting} is {value}: what was acknowledged could be lost")]
    Unsafe {
        /// Name of the setting as the database spells it.
        setting: String,
        /// What it is set to.
        value: String,
    },
    /// The tables are not what we can work with: not migrated, a column or a right is missing.
    #[error("the tables cannot be used: {reason}")]
    Schema {
        /// What is missing and where.
        reason: String,
    },
    /// Some rows of a commit cannot be held by the database; all others are durable.
    #[error("{} of the rows cannot be stored: {reason}", writes.len())]
    Refused {
        /// Their places in the slice that was to be committed, ascending.
        writes: Vec<usize>,
        /// What the database said of the last of them.
        reason: String,
    },
    /// A value that has to be unique is taken, or a row that is referred to is missing.
    #[error("it conflicts with what is there: {reason}")]
    Conflict {
        /// What the database said.
        reason: String,
    },
}

impl StoreError {
    /// May the same call succeed later without anybody changing anything here?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The error of a statement on `table`.
    pub(super) fn from_sql(error: &sqlx::Error, table: &'static str) -> Self {
        let reason = error.to_string();
        match Trouble::of(error) {
            Trouble::Busy | Trouble::Gone => Self::Unavailable { reason },
            Trouble::Data => Self::Conflict { reason },
            Trouble::Unreadable => Self::Corrupt { table, reason },
            Trouble::Tables => Self::Schema { reason },
            Trouble::Address => Self::Address { reason },
        }
    }
}

/// What a driver's error means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Deadlock, serialization failure, locked: the transaction is undone and may be tried again.
    Busy,
    /// No connection, or nothing can be written.
    Gone,
    /// A value or a constraint: trying again changes nothing.
    Data,
    /// A value of a type that cannot be.
    Unreadable,
    /// A table, column or right is missing.
    Tables,
    /// The address is malformed.
    Address,
}

impl Trouble {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let error = error.as_ref();
                if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    Self::of_postgres(error.code())
                } else if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                    Self::of_mysql(error.number())
                } else {
                    Self::of_sqlite(error.code().and_then(|code| code.parse().ok()).unwrap_or(1))
                }
            }
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::TypeNotFound { .. } => Self::Unreadable,
            sqlx::Error::Encode(_) => Self::Data,
            sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => Self::Address,
            _ => Self::Gone,
        }
    }

    /// Classes of SQLSTATE.
    fn of_postgres(code: &str) -> Self {
        match code {
            "40001" | "40P01" | "55P03" => Self::Busy,
            "25006" => Self::Gone,
            _ => match code.get(..2) {
                Some("22" | "23" | "44") => Self::Data,
                Some("42" | "3F" | "0A") => Self::Tables,
                _ => Self::Gone,
            },
        }
    }

    /// Error numbers of MySQL and MariaDB.
    const fn of_mysql(number: u16) -> Self {
        match number {
            1213 | 1205 | 1020 => Self::Busy,
            // null, duplicate, out of range, cut, wrong value or character, too long, foreign keys,
            // checks, invalid character string, incorrect string value
            1048 | 1062 | 1216 | 1217 | 1264 | 1265 | 1292 | 1300 | 1364 | 1366 | 1367 | 1406 | 1451
            | 1452 | 1586 | 3140 | 3819 | 4025 => Self::Data,
            // no such database, table or column, syntax, rights
            1044 | 1054 | 1064 | 1142 | 1143 | 1146 | 1227 | 1267 | 1305 | 1370 | 1419 | 1932 => Self::Tables,
            _ => Self::Gone,
        }
    }

    /// Result codes of SQLite; the low octet is the primary one.
    const fn of_sqlite(code: i32) -> Self {
        match code & 0xff {
            5 | 6 => Self::Busy,
            18..=20 | 25 => Self::Data,
            11 | 26 => Self::Unreadable,
            1 | 17 => Self::Tables,
            _ => Self::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_says_is_told_apart() {
        assert_eq!(Trouble::of_postgres("40P01"), Trouble::Busy);
        assert_eq!(Trouble::of_postgres("22001"), Trouble::Data);
        assert_eq!(Trouble::of_postgres("57P01"), Trouble::Gone);
        assert_eq!(Trouble::of_mysql(1213), Trouble::Busy);
        assert_eq!(Trouble::of_mysql(1406), Trouble::Data);
        assert_eq!(Trouble::of_mysql(2006), Trouble::Gone);
        assert_eq!(Trouble::of_sqlite(2067), Trouble::Data);
        assert_eq!(Trouble::of_sqlite(517), Trouble::Busy);
        assert_eq!(Trouble::of_sqlite(13), Trouble::Gone);
    }
}
