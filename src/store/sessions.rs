//! Sessions as they are read back: all open ones at the start, single ones when a record speaks of a
//! session that memory does not know.

use std::collections::{BTreeSet, HashMap, HashSet};

use smol_str::SmolStr;
use sqlx::Postgres;
use sqlx::postgres::PgRow;

use super::columns::{Read, reader, selection, tables};
use super::db::{Db, Pools, execute, fetch, fetch_in, read_all};
use super::ready::had_died;
use super::schema::Schema;
use super::{Store, StoreError};
use crate::domain::{NasIdentity, NasReload, Session, SessionKey, SubscriberId, UniqueId};
use crate::time::UnixTime;

/// Where the next page of open sessions begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCursor {
    row: i64,
    id: SmolStr,
}

/// Some of the open sessions.
#[derive(Clone, Debug)]
pub struct OpenPage {
    /// The sessions. Those that another server wrote (`tk_session` does not know them) have the octets
    /// of their unique id as key, the address of the row as NAS and nothing counted.
    pub sessions: Vec<Session>,
    /// Rows whose `acctuniqueid` is none; they stay as they are.
    pub unreadable: usize,
    /// For the next call; `None` after the last page.
    pub next: Option<OpenCursor>,
}

/// Of several uses of a session key the latest.
const LATEST: &str = "t.epoch = (SELECT MAX(l.epoch) FROM tk_session l WHERE l.session_key = t.session_key)";

/// The rows of sessions that have one of these keys or unique ids.
async fn look_up(
    db: &Db,
    pools: &Pools<Postgres>,
    schema: &Schema,
    keys: &[String],
    ids: &[&str],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut held = pools.look_up.take().await?;
    let connection = held.connection();
    let outcome = async {
        // A session that begins is in no table: to learn that is one way there and back over two indexes,
        // and it is what a Start waits for.
        let known = "SELECT EXISTS (SELECT 1 FROM tk_session WHERE session_key = ANY ($1))
             OR EXISTS (SELECT 1 FROM radacct WHERE acctuniqueid = ANY ($2))";
        let known: bool = sqlx::query_scalar(known).bind(keys).bind(ids).fetch_one(&mut **connection).await?;
        if !known {
            return Ok(Vec::new());
        }
        let (columns, tables) = (selection(db, schema), tables(db));
        let sql = format!(
            "SELECT {columns} FROM {tables} WHERE a.acctuniqueid = ANY (ARRAY(
                 SELECT t.unique_id FROM tk_session t WHERE {LATEST} AND t.session_key = ANY ($1)
             ) || $2::text[])"
        );
        sqlx::query(&sql).bind(keys).bind(ids).fetch_all(&mut **connection).await
    };
    let outcome = outcome.await;
    held.give_back(outcome)
}

impl Store {
    /// The open sessions, `most` at a time; pages of some thousands are quickest.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn open_sessions(&self, after: Option<&OpenCursor>, most: u32) -> Result<OpenPage, StoreError> {
        let learned = self.learned()?;
        // By what each database has an index for, of open rows alone.
        let by_id = matches!(self.db(), Db::Postgres(_));
        let start = OpenCursor { row: i64::MIN, id: SmolStr::default() };
        let after = after.unwrap_or(&start);
        let columns = selection(self.db(), &learned.schema);
        let tables = tables(self.db());
        let read = reader(self.db());
        let found: Vec<Read> = if by_id {
            let sql = format!(
                "SELECT {columns} FROM {tables}
                 WHERE a.acctstoptime IS NULL AND a.acctuniqueid > ? ORDER BY a.acctuniqueid LIMIT ?"
            );
            fetch!(self.db(), read, "radacct", &sql, [after.id.as_str(), i64::from(most)], read)?
        } else {
            let sql = format!(
                "SELECT {columns} FROM {tables}
                 WHERE a.acctstoptime IS NULL AND a.radacctid > ? ORDER BY a.radacctid LIMIT ?"
            );
            fetch!(self.db(), read, "radacct", &sql, [after.row, i64::from(most)], read)?
        };
        let full = u32::try_from(found.len()).unwrap_or(u32::MAX) >= most;
        let next =
            found.last().filter(|_| full).map(|last| OpenCursor { row: last.row, id: last.id.clone() });
        let rows = found.len();
        let sessions = self.learned_from(found.into_iter())?;
        Ok(OpenPage { unreadable: rows - sessions.len(), sessions, next })
    }

    /// The open sessions of a subscriber by its login, the latest first, at most `most`. Another subscriber, who
    /// had the login before, may have some of that name.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn open_sessions_of(
        &self,
        subscriber: SubscriberId,
        login: &str,
        most: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let learned = self.learned()?;
        let sql = format!(
            "SELECT {} FROM {} WHERE a.username = ? AND a.acctstoptime IS NULL ORDER BY a.radacctid DESC LIMIT ?",
            selection(self.db(), &learned.schema),
            tables(self.db())
        );
        let read = reader(self.db());
        let found = fetch!(self.db(), read, "radacct", &sql, [login, i64::from(most)], read)?;
        let mut sessions = self.learned_from(found.into_iter())?;
        sessions.retain(|session| {
            session.user_name == login && session.subscriber.is_none_or(|owner| owner == subscriber)
        });
        Ok(sessions)
    }

    /// Sessions that closed at `since` or later, the latest first: after a restart a record that comes
    /// late still finds them.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn closed_since(&self, since: UnixTime, most: u32) -> Result<Vec<Session>, StoreError> {
        let learned = self.learned()?;
        let sql = format!(
            "SELECT {} FROM {} WHERE a.acctstoptime >= {} ORDER BY a.acctstoptime DESC LIMIT ?",
            selection(self.db(), &learned.schema),
            tables(self.db()),
            self.db().time_from(),
        );
        let read = reader(self.db());
        let found = fetch!(self.db(), read, "radacct", &sql, [since.0, i64::from(most)], read)?;
        self.learned_from(found.into_iter())
    }

    /// The sessions that have one of these keys (of several uses of a key the latest), or one of these
    /// unique ids. A row that another server wrote is found by its unique id, and gets the key it was
    /// asked with. A session may be found both ways; it is given once.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn sessions_by(&self, wanted: &[(SessionKey, UniqueId)]) -> Result<Vec<Session>, StoreError> {
        let learned = self.learned()?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let read = reader(self.db());
        let keys: Vec<String> = wanted.iter().map(|(key, _)| hex::encode(key.0)).collect();
        let ids: HashSet<SmolStr> = wanted.iter().map(|(_, id)| id.to_text()).collect();
        let found = if let Db::Postgres(pools) = self.db() {
            let ids: Vec<&str> = ids.iter().map(SmolStr::as_str).collect();
            let rows = match look_up(self.db(), pools, &learned.schema, &keys, &ids).await {
                Err(error) if had_died(&error) => {
                    look_up(self.db(), pools, &learned.schema, &keys, &ids).await
                }
                rows => rows,
            };
            let rows = rows.map_err(|error| StoreError::from_sql(&error, "radacct"))?;
            read_all(rows.iter(), "radacct", read)?
        } else {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let sql =
                format!("SELECT t.unique_id FROM tk_session t WHERE {LATEST} AND t.session_key IN ({{}})");
            let by_key = fetch_in!(self.db(), "tk_session", &sql, keys, [], |row| row.word(0))?;
            let ids: BTreeSet<SmolStr> = ids.into_iter().chain(by_key).collect();
            let ids: Vec<&str> = ids.iter().map(SmolStr::as_str).collect();
            let columns = selection(self.db(), &learned.schema);
            let tables = tables(self.db());
            let sql = format!("SELECT {columns} FROM {tables} WHERE a.acctuniqueid IN ({{}})");
            fetch_in!(self.db(), "radacct", &sql, ids, [], read)?
        };
        let asked: HashMap<UniqueId, SessionKey> = wanted.iter().map(|(key, id)| (*id, *key)).collect();
        let rekeyed = found.into_iter().map(|mut found| {
            if !found.ours
                && let Some(session) = &mut found.session
                && let Some(key) = asked.get(&session.unique_id)
            {
                session.key = *key;
            }
            found
        });
        self.learned_from(rekeyed)
    }

    /// The newest Accounting-On or -Off of every NAS: what is told of a session from before it does not
    /// open it again.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn reloads(&self) -> Result<Vec<NasReload>, StoreError> {
        self.reloads_where("1 = 1").await
    }

    /// Those whose sessions were not all closed when the server stopped.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn pending_reloads(&self) -> Result<Vec<NasReload>, StoreError> {
        self.reloads_where("swept_at IS NULL").await
    }

    async fn reloads_where(&self, condition: &str) -> Result<Vec<NasReload>, StoreError> {
        let sql =
            format!("SELECT source, address, identifier, reloaded_at FROM tk_nas_reload WHERE {condition}");
        let found = fetch!(self.db(), read, "tk_nas_reload", &sql, [], |row| {
            let Some(source) = row.address(0)? else { return Ok(None) };
            let nas = NasIdentity { source, address: row.address(1)?, identifier: row.word(2)? };
            Ok(Some(NasReload { nas, at: row.time(3)?.unwrap_or_default() }))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Notes that every session an Accounting-On or -Off ended is closed, unless a later one came.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn reload_swept(&self, reload: &NasReload, at: UnixTime) -> Result<(), StoreError> {
        let sql = "UPDATE tk_nas_reload SET swept_at = ?
             WHERE source = ? AND address = ? AND identifier = ? AND reloaded_at <= ?";
        let source = reload.nas.source.to_string();
        let address = super::columns::address_text(reload.nas.address);
        let identifier = reload.nas.identifier.as_str();
        execute!(
            self.db(),
            write,
            "tk_nas_reload",
            sql,
            [at.0, source.as_str(), address.as_str(), identifier, reload.at.0]
        )
        .map(drop)
    }

    /// Remembers what the tables hold of sessions that were read, so that their next record is a small
    /// update.
    fn learned_from(&self, found: impl Iterator<Item = Read>) -> Result<Vec<Session>, StoreError> {
        let learned = self.learned()?;
        let (sessions, ours): (Vec<Session>, Vec<bool>) =
            found.filter_map(|found| Some((found.session?, found.ours))).unzip();
        self.remember_sessions(
            sessions
                .iter()
                .zip(ours)
                .filter(|(_, ours)| *ours)
                .map(|(session, _)| (session, learned.statements.layout.digest(session))),
        );
        Ok(sessions)
    }
}
