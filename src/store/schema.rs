//! Which columns FreeRADIUS's tables have in this database: older releases and other tools differ, and
//! only columns that exist are written.

use std::collections::HashMap;

use smol_str::{SmolStr, SmolStrBuilder};

use super::StoreError;
use super::db::{Db, read_all};

/// The probed tables.
#[derive(Debug)]
pub(super) struct Schema {
    tables: HashMap<&'static str, HashMap<String, Column>>,
}

/// What one column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its kind of values.
    pub(super) kind: Kind,
    /// Does it take null?
    pub(super) nullable: bool,
}

/// Kinds of values that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text of at most so many characters, of a character set.
    Text(Option<usize>, Charset),
    /// Integers up to this one.
    Int(i64),
    /// PostgreSQL's address type.
    Inet,
    /// Dates, times and whatever else.
    Other,
}

/// Which characters a text column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// All of them.
    Unicode,
    /// MySQL's three-octet UTF-8.
    Basic,
    /// One octet each; we trust it with ASCII alone.
    Ascii,
}

/// The tables of FreeRADIUS.
pub(super) const FREERADIUS: [&str; 9] = [
    "radacct",
    "radcheck",
    "radreply",
    "radgroupcheck",
    "radgroupreply",
    "radusergroup",
    "radpostauth",
    "nas",
    "nasreload",
];

impl Schema {
    /// Asks the database for the columns of all its FreeRADIUS tables.
    pub(super) async fn probe(db: &Db) -> Result<Self, StoreError> {
        let mut tables: HashMap<&'static str, HashMap<String, Column>> = HashMap::new();
        for table in FREERADIUS {
            let columns = columns_of(db, table).await?;
            if !columns.is_empty() {
                tables.insert(table, columns);
            }
        }
        Ok(Self { tables })
    }

    /// Is the table there?
    pub(super) fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// The column, if it is there.
    pub(super) fn column(&self, table: &str, column: &str) -> Option<Column> {
        self.tables.get(table)?.get(column).copied()
    }

    /// Is the column there?
    pub(super) fn has(&self, table: &str, column: &str) -> bool {
        self.column(table, column).is_some()
    }

    /// The error of the first thing that we cannot work without and that is missing.
    pub(super) fn complete(&self) -> Result<(), StoreError> {
        let needed = [
            (
                "radacct",
                &["radacctid", "acctsessionid", "acctuniqueid", "username", "nasipaddress", "acctstarttime"]
                    [..],
            ),
            (
                "radacct",
                &[
                    "acctstoptime",
                    "acctsessiontime",
                    "acctinputoctets",
                    "acctoutputoctets",
                    "acctterminatecause",
                ],
            ),
            ("radcheck", &["id", "username", "attribute", "op", "value"]),
            ("radreply", &["id", "username", "attribute", "op", "value"]),
            ("radgroupcheck", &["id", "groupname", "attribute", "op", "value"]),
            ("radgroupreply", &["id", "groupname", "attribute", "op", "value"]),
            ("radusergroup", &["username", "groupname", "priority"]),
            ("radpostauth", &["username", "reply", "authdate"]),
            ("nas", &["id", "nasname", "shortname", "type", "secret"]),
        ];
        for (table, columns) in needed {
            if !self.has_table(table) {
                return Err(StoreError::Schema { reason: format!("there is no table {table}: run migrate") });
            }
            for column in columns {
                if !self.has(table, column) {
                    return Err(StoreError::Schema { reason: format!("{table} has no column {column}") });
                }
            }
        }
        Ok(())
    }
}

/// Names, types and limits of a table's columns; none if there is no such table.
pub(super) async fn columns_of(db: &Db, table: &'static str) -> Result<HashMap<String, Column>, StoreError> {
    let failed = |error: sqlx::Error| StoreError::from_sql(&error, table);
    let described = match db {
        Db::Sqlite(pools) => {
            let rows = sqlx::query("SELECT name, type, \"notnull\", NULL, '' FROM pragma_table_info(?)")
                .bind(table)
                .fetch_all(&pools.read)
                .await
                .map_err(failed)?;
            read_all(rows.iter(), table, |row| {
                // Declared lengths and ranges bind nobody here.
                Ok((row.word(0)?, Column { kind: Kind::Other, nullable: row.int(2)? != Some(1) }))
            })?
        }
        Db::Postgres(pools) => {
            let rows = sqlx::query(
                "SELECT a.attname::text, format_type(a.atttypid, NULL), CASE WHEN a.attnotnull THEN 1 ELSE 0 END,
                        CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN a.atttypmod - 4 END
                 FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
            )
            .bind(table)
            .fetch_all(&pools.read)
            .await
            .map_err(failed)?;
            read_all(rows.iter(), table, |row| {
                let kind = match row.word(1)?.as_str() {
                    "inet" | "cidr" => Kind::Inet,
                    "bigint" => Kind::Int(i64::MAX),
                    "integer" => Kind::Int(i64::from(i32::MAX)),
                    "text" | "character varying" | "character" => {
                        Kind::Text(row.int(3)?.and_then(|most| usize::try_from(most).ok()), Charset::Unicode)
                    }
                    _ => Kind::Other,
                };
                Ok((row.word(0)?, Column { kind, nullable: row.int(2)? != Some(1) }))
            })?
        }
        Db::MySql(pools) => {
            let rows = sqlx::query(
                "SELECT column_name, column_type, CASE WHEN is_nullable = 'YES' THEN 0 ELSE 1 END,
                        character_maximum_length, character_set_name, data_type
                 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?",
            )
            .bind(table)
            .fetch_all(&pools.read)
            .await
            .map_err(failed)?;
            read_all(rows.iter(), table, |row| {
                let unsigned = row.word(1)?.contains("unsigned");
                let kind = match row.word(5)?.as_str() {
                    "bigint" => Kind::Int(i64::MAX),
                    "int" if unsigned => Kind::Int(i64::from(u32::MAX)),
                    "int" => Kind::Int(i64::from(i32::MAX)),
                    "mediumint" => Kind::Int(8_388_607),
                    _ => match row.int(3)?.and_then(|most| usize::try_from(most).ok()) {
                        Some(most) => {
                            let charset = match row.word(4)?.as_str() {
                                "utf8mb4" | "" => Charset::Unicode,
                                "utf8" | "utf8mb3" => Charset::Basic,
                                _ => Charset::Ascii,
                            };
                            Kind::Text(Some(most), charset)
                        }
                        None => Kind::Other,
                    },
                };
                Ok((row.word(0)?, Column { kind, nullable: row.int(2)? != Some(1) }))
            })?
        }
    };
    Ok(described.into_iter().map(|(name, column)| (name.to_ascii_lowercase(), column)).collect())
}

/// The text as a column can hold it, or `None` where it is held whole: characters that the character
/// set lacks are written as `\uHHHH`, NUL as `\x00`, and what is too long is cut.
pub(super) fn fitted(text: &str, kind: Kind) -> Option<SmolStr> {
    let (most, charset) = match kind {
        Kind::Text(most, charset) => (most.unwrap_or(usize::MAX), charset),
        Kind::Int(_) | Kind::Inet | Kind::Other => (usize::MAX, Charset::Unicode),
    };
    let takes = |character: char| match charset {
        Charset::Unicode => character != '\0',
        Charset::Basic => character != '\0' && u32::from(character) <= 0xffff,
        Charset::Ascii => character != '\0' && character.is_ascii(),
    };
    // Octets bound characters from above: the usual case is settled without counting.
    let short = text.len() <= most || text.chars().count() <= most;
    if short && text.chars().all(takes) {
        return None;
    }
    let mut fitting = SmolStrBuilder::new();
    let mut left = most;
    for character in text.chars() {
        let written = if takes(character) {
            let mut octets = [0; 4];
            SmolStr::new(&*character.encode_utf8(&mut octets))
        } else if character == '\0' {
            SmolStr::new_static("\\x00")
        } else {
            smol_str::format_smolstr!("\\u{:04x}", u32::from(character))
        };
        let length = written.chars().count();
        if length > left {
            break;
        }
        left -= length;
        fitting.push_str(&written);
    }
    Some(fitting.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_fits_is_not_touched() {
        assert_eq!(fitted("o'brien", Kind::Text(Some(7), Charset::Ascii)), None);
        assert_eq!(fitted("\u{1f600}", Kind::Text(Some(1), Charset::Unicode)), None);
        assert_eq!(fitted(&"x".repeat(1000), Kind::Other), None);
    }

    #[test]
    fn text_is_made_to_fit() {
        assert_eq!(fitted("abcdef", Kind::Text(Some(4), Charset::Unicode)).as_deref(), Some("abcd"));
        assert_eq!(
            fitted("a\u{1f600}b", Kind::Text(Some(64), Charset::Basic)).as_deref(),
            Some("a\\u1f600b")
        );
        assert_eq!(fitted("\u{e9}\u{e9}", Kind::Text(Some(6), Charset::Ascii)).as_deref(), Some("\\u00e9"));
        assert_eq!(fitted("a\0b", Kind::Other).as_deref(), Some("a\\x00b"));
    }
}
