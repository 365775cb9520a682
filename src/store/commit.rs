//! The group commit: many rows, one transaction.
//!
//! Rows carry absolute totals and are merged upwards by the database itself, so that a replay, a late
//! row or a commit whose outcome was never learned does no harm. A session costs one small update of
//! `radacct` while only counters and times move; its row of `tk_session` is written when something else
//! of it did, which a digest of the last committed state tells.

use std::collections::BTreeMap;
use std::future::Future;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, MySqlConnection, PgConnection, SqliteConnection};

use super::columns::{Cell, Dialect, Layout, address_text, clamped};
use super::db::{Db, Pools};
use super::error::Trouble;
use super::schema::{Schema, fitted};
use super::{Learned, Store, StoreError};
use crate::domain::{NasReload, Session, UniqueId, Write};

/// Where the writer's batches go. A trait only so that tests can make a commit fail or hang.
pub trait CommitWrites: Send + Sync {
    /// Makes all rows durable, or none, in one transaction. Rows that the database cannot hold do not
    /// keep the others out: then the rest is durable, and the error names them. Of two rows for one key
    /// the later counts.
    ///
    /// # Errors
    /// [`StoreError::Refused`] as said; [`StoreError::Unavailable`] where nothing is known to be
    /// durable: the same rows may be committed again.
    fn commit(&self, writes: &[Write]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl CommitWrites for Store {
    async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let learned = self.learned()?;
        let mut refused = Vec::new();
        let mut said = String::new();
        let mut parts = vec![(0..writes.len()).collect::<Vec<usize>>()];
        while let Some(part) = parts.pop() {
            let Err(error) = self.commit_part(&learned, writes, &part).await else { continue };
            if Trouble::of(&error) != Trouble::Data {
                return Err(StoreError::from_sql(&error, "radacct"));
            }
            let (first, second) = part.split_at(part.len() / 2);
            if first.is_empty() {
                refused.extend_from_slice(second);
                said = error.to_string();
            } else {
                parts.push(second.to_vec());
                parts.push(first.to_vec());
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(StoreError::Refused { writes: refused, reason: said }) }
    }
}

/// How often a transaction that the database undid for another's sake is tried.
const ATTEMPTS: u32 = 5;

/// More sessions than this are not remembered; forgetting costs larger updates, nothing else.
const REMEMBERED_MOST: usize = 4_000_000;

impl Store {
    /// One transaction, tried again where it was undone or where its pooled connection had died.
    async fn commit_part(
        &self,
        learned: &Learned,
        writes: &[Write],
        part: &[usize],
    ) -> Result<(), sqlx::Error> {
        let mut batch = Batch::default();
        for write in part.iter().filter_map(|place| writes.get(*place)) {
            batch.add(write);
        }
        let rows = self.sort_sessions(learned, batch);
        let mut attempt = 1;
        loop {
            let outcome = match self.db() {
                Db::Sqlite(pools) => sqlite(pools, &learned.statements, &rows).await,
                Db::Postgres(pools) => postgres(pools, &learned.statements, &rows).await,
                Db::MySql(pools) => mysql(pools, &learned.statements, &rows).await,
            };
            match outcome {
                Ok(()) => {
                    self.remember(&rows);
                    return Ok(());
                }
                Err(error) if attempt < ATTEMPTS && Trouble::of(&error) == Trouble::Busy => {}
                Err(error) if attempt == 1 && is_dead_connection(&error) => {}
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Parts the sessions into those of which only counters and times moved, and the others.
    fn sort_sessions<'a>(&self, learned: &Learned, batch: Batch<'a>) -> Rows<'a> {
        let layout = &learned.statements.layout;
        let digests: Vec<u64> = batch.sessions.values().map(|session| layout.digest(session)).collect();
        let committed = self.0.committed.lock();
        let mut rows = Rows {
            full: Vec::new(),
            brief: Vec::new(),
            closing: Vec::new(),
            fresh: Vec::new(),
            usage: batch.usage,
            used: batch.used,
            reloads: batch.reloads.into_values().collect(),
        };
        for ((id, session), digest) in batch.sessions.into_iter().zip(digests) {
            let is_known = committed.get(&id) == Some(&digest);
            if is_known && session.is_open() {
                rows.brief.push(session);
            } else if is_known && Layout::ends_plainly(session) {
                rows.closing.push(session);
            } else if self.db().pick(false, true, false)
                && !committed.contains_key(&id)
                && !session.flags.reopened
                && (session.is_open() || Layout::ends_plainly(session))
            {
                rows.fresh.push((session, digest));
            } else {
                rows.full.push((session, digest));
            }
        }
        rows
    }

    fn remember(&self, rows: &Rows<'_>) {
        let closed = rows.closing.iter().map(|session| (*session, 0));
        let whole = rows.full.iter().chain(&rows.fresh).map(|(session, digest)| (*session, *digest));
        self.remember_sessions(whole.chain(closed));
    }

    /// Notes what is in the tables of open sessions.
    pub(super) fn remember_sessions<'a>(&self, sessions: impl Iterator<Item = (&'a Session, u64)>) {
        let mut committed = self.0.committed.lock();
        for (session, digest) in sessions {
            if session.is_open() {
                if committed.len() >= REMEMBERED_MOST {
                    committed.clear();
                }
                committed.insert(session.unique_id, digest);
            } else {
                committed.remove(&session.unique_id);
            }
        }
    }
}

/// A connection that died while it lay in the pool, as after a restart of the database.
fn is_dead_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // admin_shutdown and crash_shutdown of PostgreSQL
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

/// The rows of some writes, one per key, in the order of their keys: two transactions that meet the same
/// rows meet them in the same order.
#[derive(Default)]
struct Batch<'a> {
    sessions: BTreeMap<UniqueId, &'a Session>,
    usage: BTreeMap<(i64, i32), [i64; 3]>,
    used: BTreeMap<i64, [i64; 2]>,
    reloads: BTreeMap<&'a crate::domain::NasIdentity, &'a NasReload>,
}

/// A batch, its sessions parted.
struct Rows<'a> {
    full: Vec<(&'a Session, u64)>,
    /// Open, as they were: counters and times.
    brief: Vec<&'a Session>,
    /// Open until this Stop, and else as they were.
    closing: Vec<&'a Session>,
    /// Probably without a row, since nothing is known of one. Only PostgreSQL makes use of it.
    fresh: Vec<(&'a Session, u64)>,
    usage: BTreeMap<(i64, i32), [i64; 3]>,
    used: BTreeMap<i64, [i64; 2]>,
    reloads: Vec<&'a NasReload>,
}

impl<'a> Batch<'a> {
    fn add(&mut self, write: &'a Write) {
        match write {
            Write::Session(session) => {
                self.sessions.insert(session.unique_id, session);
            }
            Write::Usage { subscriber, day, total } => {
                let row = self.usage.entry((subscriber.0, day.0)).or_default();
                for (held, new) in row.iter_mut().zip([total.seconds, total.input, total.output]) {
                    *held = clamped(new).max(*held);
                }
            }
            Write::NasReload(reload) => {
                let held = self.reloads.entry(&reload.nas).or_insert(reload);
                if reload.at > held.at {
                    *held = reload;
                }
            }
            Write::Used { subscriber, at } => {
                let [first, last] = self.used.entry(subscriber.0).or_insert([at.0, at.0]);
                *first = at.0.min(*first);
                *last = at.0.max(*last);
            }
        }
    }
}

/// How many rows one statement of SQLite or MySQL takes: the sizes that texts are prepared for.
const SIZES: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// A text for each of [`SIZES`].
struct Sized([String; 8]);

impl Sized {
    /// `head`, so many times `row`, `tail`.
    fn new(head: &str, row: &str, tail: &str, separator: &str) -> Self {
        Self(SIZES.map(|size| format!("{head}{}{tail}", vec![row; size].join(separator))))
    }

    /// Parts rows into as few statements as the sizes allow.
    fn parts<'s, T>(&'s self, mut rows: &'s [T]) -> impl Iterator<Item = (&'s str, &'s [T])> {
        std::iter::from_fn(move || {
            let (text, size) = self.0.iter().zip(SIZES).find(|(_, size)| *size <= rows.len())?;
            let (now, later) = rows.split_at_checked(size)?;
            rows = later;
            Some((text.as_str(), now))
        })
    }
}

/// The texts of a commit, made once for the columns that exist.
pub(super) struct Statements {
    pub(super) layout: Layout,
    side: Sized,
    full: Sized,
    brief: Sized,
    closing: Sized,
    /// Everything that is usual in one statement, which is its own transaction (PostgreSQL).
    at_once: String,
    usage: Sized,
    used: Sized,
    reload: String,
    nasreload: Option<String>,
    nasreload_limit: super::schema::Kind,
    /// `true` for integers: the arrays of PostgreSQL.
    side_types: Vec<bool>,
    full_types: Vec<bool>,
}

impl Statements {
    pub(super) fn new(db: &Db, schema: &Schema) -> Self {
        let layout = Layout::new(db, schema);
        let (side_names, side_types): (Vec<_>, Vec<_>) = Layout::side_columns().unzip();
        let (full_names, full_types): (Vec<_>, Vec<_>) = layout.columns().unzip();
        let brief_names = layout.brief_columns();
        let closing_names = layout.closing_columns();
        let nasreload = schema.has("nasreload", "reloadtime").then(|| {
            let inet = matches!(
                schema.column("nasreload", "nasipaddress").map(|column| column.kind),
                Some(super::schema::Kind::Inet)
            );
            let address = if inet { "?::inet" } else { "?" };
            let conflict = db.pick(
                "ON CONFLICT (nasipaddress) DO UPDATE SET reloadtime = max(nasreload.reloadtime, excluded.reloadtime)",
                "ON CONFLICT (nasipaddress) DO UPDATE
                 SET reloadtime = GREATEST(nasreload.reloadtime, excluded.reloadtime)",
                "ON DUPLICATE KEY UPDATE reloadtime = GREATEST(reloadtime, VALUES(reloadtime))",
            );
            db.sql(&format!(
                "INSERT INTO nasreload (nasipaddress, reloadtime) VALUES ({address}, {}) {conflict}",
                db.time_from()
            ))
            .into_owned()
        });
        let reload_conflict = db.pick(
            "ON CONFLICT (source, address, identifier) DO UPDATE
             SET swept_at = CASE WHEN excluded.reloaded_at > tk_nas_reload.reloaded_at THEN NULL ELSE tk_nas_reload.swept_at END,
                 reloaded_at = max(tk_nas_reload.reloaded_at, excluded.reloaded_at)",
            "ON CONFLICT (source, address, identifier) DO UPDATE
             SET swept_at = CASE WHEN excluded.reloaded_at > tk_nas_reload.reloaded_at THEN NULL ELSE tk_nas_reload.swept_at END,
                 reloaded_at = GREATEST(tk_nas_reload.reloaded_at, excluded.reloaded_at)",
            "ON DUPLICATE KEY UPDATE
                swept_at = CASE WHEN VALUES(reloaded_at) > reloaded_at THEN NULL ELSE swept_at END,
                reloaded_at = GREATEST(reloaded_at, VALUES(reloaded_at))",
        );
        let reload = db
            .sql(&format!(
                "INSERT INTO tk_nas_reload (source, address, identifier, reloaded_at) VALUES (?, ?, ?, ?) {reload_conflict}"
            ))
            .into_owned();
        let at_once = match db {
            Db::Postgres(_) => at_once(&layout, &side_names, &full_names, &side_types, &full_types),
            Db::Sqlite(_) | Db::MySql(_) => String::new(),
        };
        let texts = match db {
            Db::Postgres(_) => {
                let [side, full, brief, usage, used] =
                    postgres_texts(&layout, &side_names, &full_names, &brief_names, &side_types, &full_types);
                let assigned = layout.closing_assignments(held, proposed).join(", ");
                [side, full, brief, postgres_update(&layout, &closing_names, &assigned), usage, used]
            }
            Db::Sqlite(_) => {
                let [side, full, brief, usage, used] =
                    sqlite_texts(&layout, &side_names, &full_names, &brief_names);
                let assigned = layout.closing_assignments(held, proposed).join(", ");
                [side, full, brief, sqlite_update(&closing_names, &assigned), usage, used]
            }
            Db::MySql(_) => mysql_texts(&layout, &side_names, &full_names),
        };
        let [side, full, brief, closing, usage, used] = texts;
        Self {
            side,
            full,
            brief,
            closing,
            at_once,
            usage,
            used,
            reload,
            nasreload,
            nasreload_limit: schema
                .column("nasreload", "nasipaddress")
                .map_or(super::schema::Kind::Other, |column| column.kind),
            side_types,
            full_types,
            layout,
        }
    }

    /// `nasreload.nasipaddress`, where the address fits there.
    fn reload_address(&self, reload: &NasReload) -> Option<String> {
        let address = reload.nas.ip().to_string();
        fitted(&address, self.nasreload_limit).is_none().then_some(address)
    }
}

/// Texts of SQLite: upserts, and updates from a list of values.
fn sqlite_texts(layout: &Layout, side: &[&str], full: &[&str], brief: &[&str]) -> [Sized; 5] {
    let marks = |count: usize| format!("({})", vec!["?"; count].join(", "));
    let insert = |table: &str, names: &[&str], key: &str, merges: &str| {
        Sized::new(
            &format!("INSERT INTO {table} ({}) VALUES ", names.join(", ")),
            &marks(names.len()),
            &format!(" ON CONFLICT ({key}) DO UPDATE SET\n    {merges}"),
            ", ",
        )
    };
    [
        insert("tk_session", side, "unique_id", &Layout::side_merges(Dialect::Sqlite)),
        insert("radacct", full, "acctuniqueid", &layout.merges()),
        sqlite_update(brief, &brief_assignments(Dialect::Sqlite, brief)),
        insert(
            "tk_usage",
            &["subscriber_id", "day", "seconds", "input", "output"],
            "subscriber_id, day",
            "seconds = max(tk_usage.seconds, excluded.seconds), input = max(tk_usage.input, excluded.input),
             output = max(tk_usage.output, excluded.output)",
        ),
        Sized::new(
            "WITH n (id, first, last) AS (VALUES ",
            "(?, ?, ?)",
            ") UPDATE tk_subscriber SET first_use_at = COALESCE(first_use_at, n.first),
               real_first_use_at = COALESCE(real_first_use_at, n.first),
               last_use_at = max(COALESCE(last_use_at, n.last), n.last)
             FROM n WHERE tk_subscriber.id = n.id",
            ", ",
        ),
    ]
}

/// An update of rows of `radacct` from a list of values called `n`.
fn sqlite_update(names: &[&str], assigned: &str) -> Sized {
    Sized::new(
        &format!("WITH n ({}) AS (VALUES ", names.join(", ")),
        &format!("({})", vec!["?"; names.len()].join(", ")),
        &format!(") UPDATE radacct SET {assigned} FROM n WHERE radacct.acctuniqueid = n.acctuniqueid"),
        ", ",
    )
}

/// A column of the row that is there, in an update from `n`.
fn held(name: &str) -> String {
    format!("radacct.{name}")
}

/// A column of the row that is written, in an update from `n`.
fn proposed(name: &str) -> String {
    format!("n.{name}")
}

/// Texts of MySQL. The brief and the closing one write whole rows too, and merges little: an update by a list of values
/// would have to compare text of two collations.
fn mysql_texts(layout: &Layout, side: &[&str], full: &[&str]) -> [Sized; 6] {
    let insert = |table: &str, names: &[&str], row: &str, merges: &str| {
        Sized::new(
            &format!("INSERT INTO {table} ({}) VALUES ", names.join(", ")),
            row,
            &format!(" ON DUPLICATE KEY UPDATE\n    {merges}"),
            ", ",
        )
    };
    let marks = |count: usize| format!("({})", vec!["?"; count].join(", "));
    let placeholders: Vec<&str> = full.iter().map(|name| layout.placeholder(name)).collect();
    let row = format!("({})", placeholders.join(", "));
    [
        insert("tk_session", side, &marks(side.len()), &Layout::side_merges(Dialect::MySql)),
        insert("radacct", full, &row, &layout.merges()),
        insert("radacct", full, &row, &layout.brief_merges()),
        insert(
            "radacct",
            full,
            &row,
            &layout.closing_assignments(ToOwned::to_owned, |name| format!("VALUES({name})")).join(",\n    "),
        ),
        insert(
            "tk_usage",
            &["subscriber_id", "day", "seconds", "input", "output"],
            &marks(5),
            "seconds = GREATEST(seconds, VALUES(seconds)), input = GREATEST(input, VALUES(input)),
             output = GREATEST(output, VALUES(output))",
        ),
        Sized::new(
            "UPDATE tk_subscriber s JOIN (",
            "SELECT ? AS id, ? AS first, ? AS last",
            ") n ON s.id = n.id SET s.first_use_at = COALESCE(s.first_use_at, n.first),
               s.real_first_use_at = COALESCE(s.real_first_use_at, n.first),
               s.last_use_at = GREATEST(COALESCE(s.last_use_at, n.last), n.last)",
            " UNION ALL ",
        ),
    ]
}

/// Texts of PostgreSQL: one for every number of rows, by arrays.
fn postgres_texts(
    layout: &Layout,
    side: &[&str],
    full: &[&str],
    brief: &[&str],
    side_types: &[bool],
    full_types: &[bool],
) -> [Sized; 5] {
    let names = array_names;
    let one = |text: String| Sized::new(&text, "", "", "");
    let insert = |table: &str,
                  columns: &[&str],
                  values: &[String],
                  types: &[bool],
                  key: &str,
                  merges: &str| {
        one(format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {} AS n({}) ON CONFLICT ({key}) DO UPDATE SET\n    {merges}",
            columns.join(", "),
            values.join(", "),
            arrays(types),
            names(types.len()).join(", ")
        ))
    };
    let full_values: Vec<String> = full
        .iter()
        .zip(names(full.len()))
        .map(|(column, array)| layout.array_value(column, &array))
        .collect();
    [
        insert(
            "tk_session",
            side,
            &names(side.len()),
            side_types,
            "unique_id",
            &Layout::side_merges(Dialect::Postgres),
        ),
        insert("radacct", full, &full_values, full_types, "acctuniqueid", &layout.merges()),
        postgres_update(layout, brief, &brief_assignments(Dialect::Postgres, brief)),
        insert(
            "tk_usage",
            &["subscriber_id", "day", "seconds", "input", "output"],
            &names(5),
            &[true; 5],
            "subscriber_id, day",
            "seconds = GREATEST(tk_usage.seconds, excluded.seconds), input = GREATEST(tk_usage.input, excluded.input),
             output = GREATEST(tk_usage.output, excluded.output)",
        ),
        one(format!(
            "UPDATE tk_subscriber SET first_use_at = COALESCE(first_use_at, n.c1),
               real_first_use_at = COALESCE(real_first_use_at, n.c1), last_use_at = GREATEST(last_use_at, n.c2)
             FROM {} AS n(c0, c1, c2) WHERE tk_subscriber.id = n.c0",
            arrays(&[true; 3])
        )),
    ]
}

/// An update of rows of `radacct` from arrays called `n`.
fn postgres_update(layout: &Layout, columns: &[&str], assigned: &str) -> Sized {
    let arrays_of = array_names(columns.len());
    let values: Vec<String> = columns
        .iter()
        .zip(&arrays_of)
        .map(|(column, array)| format!("{} AS {column}", layout.array_value(column, array)))
        .collect();
    let text = format!(
        "UPDATE radacct SET {assigned} FROM (SELECT {} FROM {} AS u({})) n
         WHERE radacct.acctuniqueid = n.acctuniqueid",
        values.join(", "),
        arrays(&layout.types_of(columns)),
        arrays_of.join(", ")
    );
    Sized::new(&text, "", "", "")
}

/// One statement for all that is usual: new sessions, open ones that moved, ones that a Stop ends, usage.
/// It saves a batch six ways to the database and back. Where a row is not as expected it fails and changes
/// nothing: a new session that has a row already is a key that is taken, a known one that has none divides
/// by zero. Then the batch is written step by step.
fn at_once(
    layout: &Layout,
    side: &[&str],
    full: &[&str],
    side_types: &[bool],
    full_types: &[bool],
) -> String {
    let (brief, closing) = (layout.brief_columns(), layout.closing_columns());
    let mut first = 1;
    let mut source = |types: &[bool]| {
        let text = format!("{} AS u({})", arrays_from(first, types), array_names(types.len()).join(", "));
        first += types.len();
        text
    };
    let values = |columns: &[&str]| {
        let values: Vec<String> = columns
            .iter()
            .zip(array_names(columns.len()))
            .map(|(column, array)| format!("{} AS {column}", layout.array_value(column, &array)))
            .collect();
        values.join(", ")
    };
    let sides = source(side_types);
    let fulls = source(full_types);
    let briefs = source(&layout.types_of(&brief));
    let closings = source(&layout.types_of(&closing));
    let usages = source(&[true; 5]);
    let counts = format!("${first}::bigint[]");
    format!(
        "WITH side AS (INSERT INTO tk_session ({side_columns}) SELECT {side_values} FROM {sides}),
         fresh AS (INSERT INTO radacct ({full_columns}) SELECT {full_values} FROM {fulls}),
         moved AS (UPDATE radacct SET {brief_assigned} FROM (SELECT {brief_values} FROM {briefs}) n
             WHERE radacct.acctuniqueid = n.acctuniqueid RETURNING 1),
         ended AS (UPDATE radacct SET {closing_assigned} FROM (SELECT {closing_values} FROM {closings}) n
             WHERE radacct.acctuniqueid = n.acctuniqueid RETURNING 1),
         used AS (INSERT INTO tk_usage (subscriber_id, day, seconds, input, output)
             SELECT c0, c1, c2, c3, c4 FROM {usages} ON CONFLICT (subscriber_id, day) DO UPDATE SET
             seconds = GREATEST(tk_usage.seconds, excluded.seconds), input = GREATEST(tk_usage.input, excluded.input),
             output = GREATEST(tk_usage.output, excluded.output))
         SELECT 1 / (CASE WHEN ARRAY[(SELECT count(*) FROM moved), (SELECT count(*) FROM ended)] = {counts} THEN 1 ELSE 0 END)",
        side_columns = side.join(", "),
        side_values = array_names(side.len()).join(", "),
        full_columns = full.join(", "),
        full_values = full
            .iter()
            .zip(array_names(full.len()))
            .map(|(column, array)| layout.array_value(column, &array))
            .collect::<Vec<_>>()
            .join(", "),
        brief_assigned = brief_assignments(Dialect::Postgres, &brief),
        brief_values = values(&brief),
        closing_assigned = layout.closing_assignments(held, proposed).join(", "),
        closing_values = values(&closing),
    )
}

/// One array per column; `true` for integers.
fn arrays(types: &[bool]) -> String {
    arrays_from(1, types)
}

/// The same with placeholders from `first` on.
fn arrays_from(first: usize, types: &[bool]) -> String {
    let arrays: Vec<String> = (first..)
        .zip(types)
        .map(|(number, integer)| format!("${number}::{}[]", if *integer { "bigint" } else { "text" }))
        .collect();
    format!("UNNEST({})", arrays.join(", "))
}

fn array_names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("c{number}")).collect()
}

/// Counters and times of `radacct` from `n`.
fn brief_assignments(dialect: Dialect, brief: &[&str]) -> String {
    let has_time = brief.contains(&"acctupdatetime");
    let assigned: Vec<String> = brief
        .iter()
        .filter(|name| **name != "acctuniqueid")
        .map(|name| {
            let (old, new) = (format!("radacct.{name}"), format!("n.{name}"));
            let value = if *name == "acctinterval" && has_time {
                format!("CASE WHEN n.acctupdatetime >= radacct.acctupdatetime THEN COALESCE({new}, {old}) ELSE {old} END")
            } else if *name == "acctinterval" {
                format!("COALESCE({new}, {old})")
            } else {
                dialect.greatest(&old, &new)
            };
            format!("{name} = {value}")
        })
        .collect();
    assigned.join(", ")
}

/// Binds the values of several rows, one after the other.
macro_rules! bind_rows {
    ($query:expr, $rows:expr) => {{
        let mut query = $query;
        for cell in $rows {
            query = match cell {
                Cell::Null => query.bind(None::<i64>),
                Cell::Int(number) => query.bind(*number),
                Cell::Text(text) => query.bind(text.as_str()),
            };
        }
        query
    }};
}

/// Writes rows of cells by statements of the sizes; gives the number of rows that were touched.
macro_rules! write_sized {
    ($connection:expr, $sized:expr, $rows:expr) => {{
        let mut touched = 0;
        for (text, rows) in $sized.parts($rows) {
            let query = bind_rows!(sqlx::query(text), rows.iter().flatten());
            touched += query.execute(&mut *$connection).await?.rows_affected();
        }
        touched
    }};
}

/// What SQLite and MySQL share: everything but the sessions.
macro_rules! write_rest {
    ($connection:expr, $statements:expr, $rows:expr) => {{
        let usage: Vec<Vec<Cell>> =
            $rows.usage.iter().map(|(key, total)| usage_cells(*key, *total)).collect();
        write_sized!($connection, $statements.usage, &usage);
        let used: Vec<[Cell; 3]> =
            $rows.used.iter().map(|(id, [first, last])| [*id, *first, *last].map(Cell::Int)).collect();
        write_sized!($connection, $statements.used, &used);
        write_reloads!($connection, $statements, $rows);
    }};
}

/// Accounting-On and -Off: few, one statement each.
macro_rules! write_reloads {
    ($connection:expr, $statements:expr, $rows:expr) => {
        for reload in &$rows.reloads {
            sqlx::query(&$statements.reload)
                .bind(reload.nas.source.to_string())
                .bind(address_text(reload.nas.address).as_str())
                .bind(reload.nas.identifier.as_str())
                .bind(reload.at.0)
                .execute(&mut *$connection)
                .await?;
            if let Some(text) = &$statements.nasreload
                && let Some(address) = $statements.reload_address(reload)
            {
                sqlx::query(text).bind(address).bind(reload.at.0).execute(&mut *$connection).await?;
            }
        }
    };
}

fn usage_cells((subscriber, day): (i64, i32), [seconds, input, output]: [i64; 3]) -> Vec<Cell> {
    [subscriber, i64::from(day), seconds, input, output].map(Cell::Int).into()
}

/// A connection that goes back to its pool when its transaction came to an end, good or bad. One whose
/// commit was given up, because the database did not answer in time, would else wait in the pool for an
/// answer that may never come, and its place with it; it is closed, and the next commit connects anew.
struct Held<DB: sqlx::Database>(Option<PoolConnection<DB>>);

impl<DB: sqlx::Database> Held<DB> {
    fn give_back(mut self, outcome: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
        let is_alive = outcome.as_ref().map_or_else(|error| Trouble::of(error) != Trouble::Gone, |()| true);
        if is_alive {
            drop(self.0.take());
        }
        outcome
    }
}

impl<DB: sqlx::Database> Drop for Held<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

async fn sqlite(
    pools: &Pools<sqlx::SqlitePool>,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    // IMMEDIATE: a transaction that begins by reading could not become a writing one while another
    // process writes.
    let mut transaction = pools.commit.begin_with("BEGIN IMMEDIATE").await?;
    write_sqlite(&mut transaction, statements, rows).await?;
    transaction.commit().await
}

async fn write_sqlite(
    connection: &mut SqliteConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let layout = &statements.layout;
    let names = layout.brief_columns();
    let brief: Vec<Vec<Cell>> = rows.brief.iter().map(|session| layout.cells_of(&names, session)).collect();
    let touched = write_sized!(connection, statements.brief, &brief);
    let names = layout.closing_columns();
    let closing: Vec<Vec<Cell>> =
        rows.closing.iter().map(|session| layout.cells_of(&names, session)).collect();
    let closed = write_sized!(connection, statements.closing, &closing);
    let full = rows.written_whole(touched, closed);
    let side: Vec<Vec<Cell>> = full.iter().map(|session| layout.side_cells(session)).collect();
    write_sized!(connection, statements.side, &side);
    let cells: Vec<Vec<Cell>> = full.iter().map(|session| layout.cells(session)).collect();
    write_sized!(connection, statements.full, &cells);
    write_rest!(connection, statements, rows);
    Ok(())
}

async fn mysql(
    pools: &Pools<sqlx::MySqlPool>,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let mut held = Held(Some(pools.commit.acquire().await?));
    let connection = held.0.as_mut().expect("it was just put there");
    let outcome = async {
        let mut transaction = connection.begin().await?;
        write_mysql(&mut transaction, statements, rows).await?;
        transaction.commit().await
    };
    let outcome = outcome.await;
    held.give_back(outcome)
}

async fn write_mysql(
    connection: &mut MySqlConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let layout = &statements.layout;
    let side: Vec<Vec<Cell>> = rows.full.iter().map(|(session, _)| layout.side_cells(session)).collect();
    write_sized!(connection, statements.side, &side);
    let cells: Vec<Vec<Cell>> = rows.full.iter().map(|(session, _)| layout.cells(session)).collect();
    write_sized!(connection, statements.full, &cells);
    let brief: Vec<Vec<Cell>> = rows.brief.iter().map(|session| layout.cells(session)).collect();
    write_sized!(connection, statements.brief, &brief);
    let closing: Vec<Vec<Cell>> = rows.closing.iter().map(|session| layout.cells(session)).collect();
    write_sized!(connection, statements.closing, &closing);
    write_rest!(connection, statements, rows);
    Ok(())
}

async fn postgres(
    pools: &Pools<sqlx::PgPool>,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let mut held = Held(Some(pools.commit.acquire().await?));
    let connection = held.0.as_mut().expect("it was just put there");
    let outcome = async {
        if rows.full.is_empty() && rows.used.is_empty() && rows.reloads.is_empty() {
            match write_at_once(connection, statements, rows).await {
                Err(error) if is_unexpected_row(&error) => {}
                outcome => return outcome,
            }
        }
        let mut transaction = connection.begin().await?;
        write_postgres(&mut transaction, statements, rows).await?;
        transaction.commit().await
    };
    let outcome = outcome.await;
    held.give_back(outcome)
}

async fn write_postgres(
    connection: &mut PgConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let layout = &statements.layout;
    let names = layout.brief_columns();
    let touched = update_postgres(connection, layout, &statements.brief, &names, &rows.brief).await?;
    let names = layout.closing_columns();
    let closed = update_postgres(connection, layout, &statements.closing, &names, &rows.closing).await?;
    let full = rows.written_whole(touched, closed);
    if !full.is_empty() {
        let side: Vec<Vec<Cell>> = full.iter().map(|session| layout.side_cells(session)).collect();
        write_arrays(connection, &statements.side, &side, &statements.side_types).await?;
        let cells: Vec<Vec<Cell>> = full.iter().map(|session| layout.cells(session)).collect();
        write_arrays(connection, &statements.full, &cells, &statements.full_types).await?;
    }
    if !rows.usage.is_empty() {
        let usage: Vec<Vec<Cell>> = rows.usage.iter().map(|(key, total)| usage_cells(*key, *total)).collect();
        write_arrays(connection, &statements.usage, &usage, &[true; 5]).await?;
    }
    if !rows.used.is_empty() {
        let used: Vec<Vec<Cell>> = rows
            .used
            .iter()
            .map(|(id, [first, last])| vec![Cell::Int(*id), Cell::Int(*first), Cell::Int(*last)])
            .collect();
        write_arrays(connection, &statements.used, &used, &[true; 3]).await?;
    }
    write_reloads!(connection, statements, rows);
    Ok(())
}

/// Did [`at_once`] find a row that it did not expect?
fn is_unexpected_row(error: &sqlx::Error) -> bool {
    const DIVISION_BY_ZERO: &str = "22012";
    const UNIQUE_VIOLATION: &str = "23505";
    match error {
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some(DIVISION_BY_ZERO | UNIQUE_VIOLATION))
        }
        _ => false,
    }
}

async fn write_at_once(
    connection: &mut PgConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let layout = &statements.layout;
    let fresh = || rows.fresh.iter().map(|(session, _)| *session);
    let side: Vec<Vec<Cell>> = fresh().map(|session| layout.side_cells(session)).collect();
    let full: Vec<Vec<Cell>> = fresh().map(|session| layout.cells(session)).collect();
    let names = layout.brief_columns();
    let brief_types = layout.types_of(&names);
    let brief: Vec<Vec<Cell>> = rows.brief.iter().map(|session| layout.cells_of(&names, session)).collect();
    let names = layout.closing_columns();
    let closing_types = layout.types_of(&names);
    let closing: Vec<Vec<Cell>> =
        rows.closing.iter().map(|session| layout.cells_of(&names, session)).collect();
    let usage: Vec<Vec<Cell>> = rows.usage.iter().map(|(key, total)| usage_cells(*key, *total)).collect();
    let count = |rows: &[Vec<Cell>]| i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let counts = vec![count(&brief), count(&closing)];
    let mut query = sqlx::query(&statements.at_once);
    query = bind_arrays(query, &side, &statements.side_types);
    query = bind_arrays(query, &full, &statements.full_types);
    query = bind_arrays(query, &brief, &brief_types);
    query = bind_arrays(query, &closing, &closing_types);
    query = bind_arrays(query, &usage, &[true; 5]);
    query.bind(counts).execute(connection).await.map(drop)
}

/// Updates rows of `radacct` from some of their columns; gives the number of rows that were there.
async fn update_postgres(
    connection: &mut PgConnection,
    layout: &Layout,
    text: &Sized,
    names: &[&str],
    sessions: &[&Session],
) -> Result<u64, sqlx::Error> {
    if sessions.is_empty() {
        return Ok(0);
    }
    let cells: Vec<Vec<Cell>> = sessions.iter().map(|session| layout.cells_of(names, session)).collect();
    write_arrays(connection, text, &cells, &layout.types_of(names)).await
}

/// Binds one array per column.
async fn write_arrays(
    connection: &mut PgConnection,
    text: &Sized,
    rows: &[Vec<Cell>],
    types: &[bool],
) -> Result<u64, sqlx::Error> {
    let [text, ..] = &text.0;
    Ok(bind_arrays(sqlx::query(text), rows, types).execute(connection).await?.rows_affected())
}

fn bind_arrays<'q>(
    mut query: sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    rows: &'q [Vec<Cell>],
    types: &[bool],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    for (column, integer) in types.iter().enumerate() {
        let cells = rows.iter().map(|row| row.get(column).unwrap_or(&Cell::Null));
        if *integer {
            let values: Vec<Option<i64>> = cells
                .map(|cell| match cell {
                    Cell::Int(number) => Some(*number),
                    Cell::Null | Cell::Text(_) => None,
                })
                .collect();
            query = query.bind(values);
        } else {
            let values: Vec<Option<&str>> = cells
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text.as_str()),
                    Cell::Null | Cell::Int(_) => None,
                })
                .collect();
            query = query.bind(values);
        }
    }
    query
}

impl<'a> Rows<'a> {
    /// The sessions that are written whole: those that changed, and, where a small update did not find
    /// all its rows (somebody deleted them), those as well. In the order of their keys.
    fn written_whole(&self, touched: u64, closed: u64) -> Vec<&'a Session> {
        let mut full: Vec<&Session> =
            self.full.iter().chain(&self.fresh).map(|(session, _)| *session).collect();
        for (updated, sessions) in [(touched, &self.brief), (closed, &self.closing)] {
            if updated != u64::try_from(sessions.len()).unwrap_or(u64::MAX) {
                full.extend(sessions);
            }
        }
        full.sort_by_key(|session| session.unique_id);
        full
    }
}
