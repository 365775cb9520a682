//! Sessions of `radacct`, whoever wrote them.

use smol_str::{SmolStr, format_smolstr};

use super::clause::{Clause, Value};
use super::log::{Log, Wanted};
use super::{like, login_like, of_accounts};
use crate::domain::report::{Pattern, SessionFilter, SessionRow, Span, address, station};
use crate::domain::{Page, Paging};
use crate::store::admin::tx::Tx;
use crate::store::db::{Columns, Db, fetch_in};
use crate::store::schema::{Kind, Schema};
use crate::store::{Store, StoreError};

/// The part of a Called-Station-Id, or of a Calling-Station-Id, that is compared: [`station`] in SQL. Indexes
/// of migration 0011 are of this very expression.
pub(super) fn station_of(db: &Db, column: &str) -> String {
    match db {
        Db::Postgres(_) => format!("upper(translate({column}, '-:. ', ''))"),
        Db::Sqlite(_) | Db::MySql(_) => {
            format!("upper(replace(replace(replace(replace({column}, '-', ''), ':', ''), '.', ''), ' ', ''))")
        }
    }
}

/// `radacct` as a table that grows with time.
pub(super) async fn radacct(tx: &mut Tx<'_>, db: &Db, span: Span) -> Result<Log, StoreError> {
    // We and FreeRADIUS write numbers there on SQLite; other tools may have written texts.
    let mixed = matches!(db, Db::Sqlite(_)) && !span.is_everything() && {
        let texts = "SELECT EXISTS (SELECT 1 FROM radacct WHERE acctstarttime >= '')";
        Clause::new(texts, []).number(tx, "radacct").await? == Some(1)
    };
    let value = db.time_from();
    let columns = "radacctid, acctuniqueid, username, nasipaddress, acctstarttime, acctstoptime, callingstationid, calledstationid, framedipaddress";
    Ok(Log { table: "radacct", id: "radacctid", time: "acctstarttime", mixed, value, columns })
}

impl Store {
    /// Sessions, the newest first; of subscribers of these accounts only, if any are named.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn session_rows(
        &self,
        filter: &SessionFilter,
        accounts: Option<&[i64]>,
        paging: Paging,
    ) -> Result<Page<SessionRow>, StoreError> {
        let learned = self.learned()?;
        let db = self.db();
        let mut tx = Tx::read(db).await?;
        let log = radacct(&mut tx, db, filter.began).await?;
        let wanted = wanted(&mut tx, db, &learned.schema, filter, accounts).await?;
        let ids = if filter.open {
            log.open(&mut tx, db, wanted, paging).await?
        } else {
            log.page(&mut tx, db, wanted, paging).await?
        };
        tx.commit().await?;
        let mut rows = self.sessions_numbered(&learned.schema, &ids).await?;
        if filter.ascending {
            rows.sort_unstable_by_key(|row| row.id);
        } else {
            rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        }
        rows.dedup_by_key(|row| row.id);
        Ok(Page::of(rows, paging))
    }

    async fn sessions_numbered(&self, schema: &Schema, ids: &[i64]) -> Result<Vec<SessionRow>, StoreError> {
        let db = self.db();
        let host = |column: &str| text_of(db, schema, column);
        let sql = format!(
            "SELECT a.radacctid, a.acctuniqueid, {}, a.username, a.callingstationid, a.calledstationid, {}, {},
                    {}, {}, a.acctsessiontime, a.acctinputoctets, a.acctoutputoctets, a.acctterminatecause,
                    c.first_name, c.last_name
             FROM radacct a LEFT JOIN tk_subscriber s ON s.username = a.username
                            LEFT JOIN tk_contact c ON c.subscriber_id = s.id
             WHERE a.radacctid IN ({{}})",
            hotspot(db, schema),
            host("framedipaddress"),
            host("nasipaddress"),
            db.seconds_of("a.acctstarttime"),
            db.seconds_of("a.acctstoptime"),
        );
        fetch_in!(db, "radacct", &sql, ids, [], read)
    }
}

fn read(row: &dyn Columns) -> Result<SessionRow, sqlx::Error> {
    let (first, last) = (row.word(14)?, row.word(15)?);
    Ok(SessionRow {
        id: row.number(0)?,
        unique_id: row.word(1)?,
        hotspot: row.word(2)?,
        login: row.word(3)?,
        device: row.word(4)?,
        called: row.word(5)?,
        framed: row.word(6)?,
        nas: row.word(7)?,
        started: row.time(8)?,
        stopped: row.time(9)?,
        seconds: row.count(10)?,
        input: row.count(11)?,
        output: row.count(12)?,
        cause: row.word(13)?,
        name: SmolStr::new(format_smolstr!("{first} {last}").trim()),
    })
}

/// The login of `a`, octet for octet.
pub(super) fn of_login(db: &Db, login: &str) -> Clause {
    let login = || Value::Text(login.to_owned());
    match db {
        // The index is of names in lower case.
        Db::Postgres(_) => Clause::new("lower(a.username) = lower(?) AND a.username = ?", [login(), login()]),
        Db::Sqlite(_) => Clause::new("a.username = ?", [login()]),
        // The index takes Bob for bob.
        Db::MySql(_) => Clause::new(
            "a.username = ? AND CAST(CONVERT(a.username USING utf8mb4) AS BINARY) = CAST(? AS BINARY)",
            [login(), login()],
        ),
    }
}

/// `a` is no session of another subscriber, who had the login before.
pub(super) fn not_of_another(db: &Db, login: &str) -> Clause {
    let sql = format!(
        "NOT EXISTS (SELECT 1 FROM tk_session t WHERE t.unique_id = {} AND t.subscriber_id NOT IN
             (SELECT s.id FROM tk_subscriber s WHERE s.username = ?))",
        unique_id(db)
    );
    Clause::new(sql, [Value::Text(login.to_owned())])
}

/// An address as text.
fn text_of(db: &Db, schema: &Schema, column: &str) -> String {
    if is_inet(db, schema, column) { format!("host(a.{column})") } else { format!("a.{column}") }
}

fn is_inet(db: &Db, schema: &Schema, column: &str) -> bool {
    let kind = schema.column("radacct", column).map(|column| column.kind);
    matches!(db, Db::Postgres(_)) && matches!(kind, Some(Kind::Inet))
}

/// The unique id of a row as `tk_session` has it.
fn unique_id(db: &Db) -> &'static str {
    db.pick(
        "a.acctuniqueid",
        "a.acctuniqueid",
        "CAST(a.acctuniqueid AS CHAR CHARACTER SET ascii) COLLATE ascii_bin",
    )
}

/// The NAS-Identifier of a session, else the name of its NAS, else nothing.
fn hotspot(db: &Db, schema: &Schema) -> String {
    let (id, address) = (unique_id(db), text_of(db, schema, "nasipaddress"));
    format!(
        "COALESCE((SELECT NULLIF(t.nas_identifier, '') FROM tk_session t WHERE t.unique_id = {id}),
                  (SELECT MIN(n.shortname) FROM nas n WHERE n.nasname = {address}), '')"
    )
}

async fn wanted(
    tx: &mut Tx<'_>,
    db: &Db,
    schema: &Schema,
    filter: &SessionFilter,
    accounts: Option<&[i64]>,
) -> Result<Wanted, StoreError> {
    let mut found = Found { indexed: None, rest: Clause::always() };
    if let Some(login) = &filter.subscriber {
        found.add(of_login(db, login), true);
        found.add(not_of_another(db, login), false);
    }
    if let Some(login) = &filter.login {
        let (clause, indexed) = login_like(tx, db, "radacct", login).await?;
        found.add(clause, indexed);
    }
    for (column, pattern) in [("callingstationid", &filter.device), ("calledstationid", &filter.called)] {
        let Some(pattern) = pattern else { continue };
        let (pattern, value) = (pattern.with(station), station_of(db, &format!("a.{column}")));
        match &pattern {
            Pattern::Exact(text) => {
                found.add(Clause::new(format!("{value} = ?"), [Value::Text(text.clone())]), true);
            }
            Pattern::Prefix(_) | Pattern::Suffix(_) | Pattern::Within(_) => {
                found.add(like(db, &value, &pattern), false);
            }
        }
    }
    for (column, pattern) in [("framedipaddress", &filter.framed), ("nasipaddress", &filter.nas)] {
        let Some(pattern) = pattern else { continue };
        match (pattern, address(pattern)) {
            (_, Some(address)) => {
                let value = if is_inet(db, schema, column) { "CAST(? AS inet)" } else { "?" };
                found.add(
                    Clause::new(format!("a.{column} = {value}"), [Value::Text(address.to_string())]),
                    true,
                );
            }
            (Pattern::Exact(_), None) => found.add(Clause::never(), true),
            (_, None) => found.add(like(db, &text_of(db, schema, column), pattern), false),
        }
    }
    if let Some(pattern) = &filter.hotspot {
        let value = hotspot(db, schema);
        if let Pattern::Exact(name) = pattern {
            let at = addresses(tx, db, name).await?;
            let at = if is_inet(db, schema, "nasipaddress") {
                let marks = vec!["CAST(? AS inet)"; at.len().max(1)].join(", ");
                if at.is_empty() {
                    Clause::never()
                } else {
                    Clause::new(format!("a.nasipaddress IN ({marks})"), at.into_iter().map(Value::Text))
                }
            } else {
                Clause::one_of("a.nasipaddress", &at)
            };
            found.add(at, true);
        }
        found.add(like(db, &value, pattern), false);
    }
    if let Some(accounts) = accounts {
        found.add(of_accounts("a.username", accounts), false);
    }
    let Found { indexed, rest } = found;
    Ok(Wanted { indexed, rest, span: filter.began, ascending: filter.ascending })
}

/// Conditions, those that an index finds apart from the others.
struct Found {
    indexed: Option<Clause>,
    rest: Clause,
}

impl Found {
    fn add(&mut self, clause: Clause, indexed: bool) {
        if indexed {
            self.indexed = Some(self.indexed.take().unwrap_or_default().and(clause));
        } else {
            self.rest = std::mem::take(&mut self.rest).and(clause);
        }
    }
}

/// The addresses of NASes that have this name, or have said it of themselves.
async fn addresses(tx: &mut Tx<'_>, db: &Db, hotspot: &str) -> Result<Vec<String>, StoreError> {
    let name = || Value::Text(hotspot.to_owned());
    let named = Clause::new("SELECT nasname FROM nas WHERE lower(shortname) = lower(?)", [name()]);
    let mut found = named.fetch(tx, "nas", |row| row.word(0).map(String::from)).await?;
    if matches!(db, Db::MySql(_)) {
        let said = "SELECT DISTINCT COALESCE(nas_address, nas_source) FROM tk_session
             WHERE nas_identifier <> '' AND lower(nas_identifier) = lower(?)";
        let said = Clause::new(said, [name()]);
        found.extend(said.fetch(tx, "tk_session", |row| row.word(0).map(String::from)).await?);
    } else {
        // From one address to the next: a NAS has few, and a million sessions.
        let of = db.pick("nas_identifier COLLATE NOCASE = ?", "lower(nas_identifier) = lower(?)", "");
        let from = "COALESCE(nas_address, nas_source)";
        let next = |after: &str| {
            format!(
                "SELECT MIN({from}) FROM tk_session WHERE nas_identifier <> '' AND {of} AND {from} > {after}"
            )
        };
        let said = format!(
            "WITH RECURSIVE said(address) AS (
                 {} UNION ALL SELECT ({}) FROM said WHERE said.address IS NOT NULL
             ) SELECT address FROM said WHERE address IS NOT NULL",
            next("''"),
            next("said.address")
        );
        let said = Clause::new(said, [name(), name()]);
        found.extend(said.fetch(tx, "tk_session", |row| row.word(0).map(String::from)).await?);
    }
    found.retain(|address| address.parse::<std::net::IpAddr>().is_ok());
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
