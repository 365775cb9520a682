//! The group commit: many rows, one transaction.
//!
//! Rows carry absolute totals and are merged upwards by the database itself, so that a replay, a late
//! row or a commit whose outcome was never learned does no harm. A session costs one small update of
//! `radacct` while only counters and times move; its row of `tk_session` is written when something else
//! of it did, which a digest of the last committed state tells.

mod arrays;
mod lists;
mod postings;

use std::collections::BTreeMap;
use std::future::Future;

use super::columns::{Cell, Dialect, Layout, clamped};
use super::db::Db;
use super::error::Trouble;
use super::ready::had_died;
use super::schema::{Kind, Schema, fitted};
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
                Db::Sqlite(pools) => lists::sqlite(self.db(), pools, &learned.statements, &rows).await,
                Db::Postgres(pools) => arrays::postgres(self.db(), pools, &learned.statements, &rows).await,
                Db::MySql(pools) => lists::mysql(self.db(), pools, &learned.statements, &rows).await,
            };
            match outcome {
                Ok(()) => {
                    self.remember(&rows);
                    return Ok(());
                }
                Err(error) if attempt < ATTEMPTS && Trouble::of(&error) == Trouble::Busy => {}
                Err(error) if attempt == 1 && had_died(&error) => {}
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
            charged: batch.sessions.values().copied().filter(|session| session.charge.is_some()).collect(),
            usage: batch.usage,
            used: batch.used,
            top_ups: batch.top_ups,
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

/// The rows of some writes, one per key, in the order of their keys: two transactions that meet the same
/// rows meet them in the same order.
#[derive(Default)]
struct Batch<'a> {
    sessions: BTreeMap<UniqueId, &'a Session>,
    usage: BTreeMap<(i64, i32), [i64; 3]>,
    used: BTreeMap<i64, [i64; 2]>,
    top_ups: BTreeMap<i64, i64>,
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
    /// Those of all of them that cost something.
    charged: Vec<&'a Session>,
    usage: BTreeMap<(i64, i32), [i64; 3]>,
    used: BTreeMap<i64, [i64; 2]>,
    top_ups: BTreeMap<i64, i64>,
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
            Write::TopUp { quota, used } => {
                let held = self.top_ups.entry(*quota).or_default();
                *held = clamped(*used).max(*held);
            }
            Write::Used { subscriber, at } => {
                let [first, last] = self.used.entry(subscriber.0).or_insert([at.0, at.0]);
                *first = at.0.min(*first);
                *last = at.0.max(*last);
            }
        }
    }
}

/// The texts of a commit, made once for the columns that exist.
pub(super) struct Statements {
    pub(super) layout: Layout,
    texts: Texts,
    reload: String,
    top_up: String,
    nasreload: Option<String>,
    nasreload_limit: Kind,
}

/// How rows reach the database.
enum Texts {
    /// SQLite and MySQL: lists of values.
    Lists(Box<lists::Lists>),
    /// PostgreSQL: an array per column.
    Arrays(Box<arrays::Arrays>),
}

impl Statements {
    pub(super) fn new(db: &Db, schema: &Schema) -> Self {
        let layout = Layout::new(db, schema);
        let texts = match db {
            Db::Sqlite(_) => Texts::Lists(Box::new(lists::Lists::sqlite(&layout))),
            Db::Postgres(_) => Texts::Arrays(Box::new(arrays::Arrays::new(&layout))),
            Db::MySql(_) => Texts::Lists(Box::new(lists::Lists::mysql(&layout))),
        };
        let nasreload_limit = schema.column("nasreload", "nasipaddress").map(|column| column.kind);
        let nasreload = nasreload_limit.filter(|_| schema.has("nasreload", "reloadtime")).map(|limit| {
            let address = if limit == Kind::Inet { "?::inet" } else { "?" };
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
        let (proposed, held, greatest) = db.pick(
            ("excluded.reloaded_at", "tk_nas_reload.reloaded_at", "max"),
            ("excluded.reloaded_at", "tk_nas_reload.reloaded_at", "GREATEST"),
            ("VALUES(reloaded_at)", "tk_nas_reload.reloaded_at", "GREATEST"),
        );
        let conflict = db.pick(
            "ON CONFLICT (source, address, identifier) DO UPDATE SET",
            "ON CONFLICT (source, address, identifier) DO UPDATE SET",
            "ON DUPLICATE KEY UPDATE",
        );
        let reload = db
            .sql(&format!(
                "INSERT INTO tk_nas_reload (source, address, identifier, reloaded_at) VALUES (?, ?, ?, ?) {conflict}
                 swept_at = CASE WHEN {proposed} > {held} THEN NULL ELSE tk_nas_reload.swept_at END,
                 reloaded_at = {greatest}({held}, {proposed})"
            ))
            .into_owned();
        let greatest = db.pick("max", "GREATEST", "GREATEST");
        let top_up =
            db.sql(&format!("UPDATE tk_quota SET used = {greatest}(used, ?) WHERE id = ?")).into_owned();
        Self {
            texts,
            reload,
            top_up,
            nasreload,
            nasreload_limit: nasreload_limit.unwrap_or(Kind::Other),
            layout,
        }
    }

    /// `nasreload.nasipaddress`, where the address fits there.
    fn reload_address(&self, reload: &NasReload) -> Option<String> {
        let address = reload.nas.ip().to_string();
        fitted(&address, self.nasreload_limit).is_none().then_some(address)
    }
}

/// A column of the row that is there, in an update from `n`.
fn held(name: &str) -> String {
    format!("radacct.{name}")
}

/// A column of the row that is written, in an update from `n`.
fn proposed(name: &str) -> String {
    format!("n.{name}")
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

/// Accounting-On and -Off, and top-ups: few, one statement each.
macro_rules! write_few {
    ($connection:expr, $statements:expr, $rows:expr) => {
        for (quota, used) in &$rows.top_ups {
            sqlx::query(&$statements.top_up).bind(*used).bind(*quota).execute(&mut *$connection).await?;
        }
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
use write_few;

fn usage_cells((subscriber, day): (i64, i32), [seconds, input, output]: [i64; 3]) -> Vec<Cell> {
    [subscriber, i64::from(day), seconds, input, output].map(Cell::Int).into()
}

impl<'a> Rows<'a> {
    /// Is there more than one statement can write?
    fn need_transaction(&self) -> bool {
        !self.reloads.is_empty() || !self.top_ups.is_empty() || !self.charged.is_empty()
    }

    /// The sessions that are written whole: those that changed or are new, and, where a small update did
    /// not find all its rows (somebody deleted them), those as well. In the order of their keys.
    fn written_whole(&self, touched: usize, closed: usize) -> Vec<&'a Session> {
        let mut full: Vec<&Session> =
            self.full.iter().chain(&self.fresh).map(|(session, _)| *session).collect();
        full.extend(self.missed(touched, closed));
        full.sort_by_key(|session| session.unique_id);
        full
    }

    /// The sessions of small updates that did not find all their rows.
    fn missed(&self, touched: usize, closed: usize) -> Vec<&'a Session> {
        let mut missed: Vec<&Session> = Vec::new();
        for (updated, sessions) in [(touched, &self.brief), (closed, &self.closing)] {
            if updated != sessions.len() {
                missed.extend(sessions);
            }
        }
        missed.sort_by_key(|session| session.unique_id);
        missed
    }
}
