//! The change feed: what anybody wrote into the tables that the directory is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;

use super::db::{Db, execute, fetch};
use super::{Store, StoreError};
use crate::time::UnixTime;

/// One entry of `tk_changes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `tk_changes.id`.
    pub id: i64,
    /// Which table: `radcheck`, `nas`, `tk_subscriber` …
    pub table: SmolStr,
    /// Its key: a login, a group name, an id as digits. Empty means every key of the table.
    pub key: SmolStr,
    /// When.
    pub at: UnixTime,
}

/// How far a reader has come. Numbers are drawn before transactions end, so that a lower one may appear
/// after a higher one: the cursor knows which are missing and asks for them again for a while.
#[derive(Clone, Debug)]
pub struct ChangeCursor {
    last: i64,
    missing: BTreeMap<i64, UnixTime>,
}

/// Some entries, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The entries.
    pub changes: Vec<Change>,
    /// Entries were pruned before they were read: everything that was loaded has to be loaded anew.
    pub lost: bool,
    /// There may be more: ask again at once.
    pub more: bool,
}

/// A transaction that stays open longer than this after it wrote is not seen through the feed.
const MISSING_SECONDS: u64 = 900;

/// More missing numbers than this are not waited for; the oldest go first.
const MISSING_MOST: usize = 1000;

/// How often databases without notifications are asked.
const POLL: Duration = Duration::from_millis(250);

impl Store {
    /// A cursor at the present end of the feed. What is loaded after this call and kept coherent by the
    /// cursor misses nothing.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn change_cursor(&self, now: UnixTime) -> Result<ChangeCursor, StoreError> {
        let last = self.last_change().await?;
        let first = last.saturating_sub(i64::try_from(MISSING_MOST).unwrap_or(0));
        let sql = "SELECT id FROM tk_changes WHERE id > ? AND id <= ? ORDER BY id";
        let found = fetch!(self.db(), read, "tk_changes", sql, [first, last], |row| row.number(0))?;
        // Of numbers before the first that is left nothing is known: they were pruned.
        let mut cursor =
            ChangeCursor { last: found.first().map_or(last, |first| first - 1), missing: BTreeMap::new() };
        cursor.pass(&found, now);
        cursor.last = last;
        Ok(cursor)
    }

    /// The highest number in the feed; 0 if it is empty.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        let sql = "SELECT MAX(id) FROM tk_changes";
        let found = fetch!(self.db(), read, "tk_changes", sql, [], |row| row.int(0))?;
        Ok(found.into_iter().flatten().next().unwrap_or(0))
    }

    /// The next entries after the cursor, at most `most`, and moves it.
    ///
    /// # Errors
    /// [`StoreError`] of the database; the cursor stays.
    pub async fn changes_since(
        &self,
        cursor: &mut ChangeCursor,
        most: u32,
        now: UnixTime,
    ) -> Result<Changes, StoreError> {
        let mut changes = self.missed(cursor).await?;
        let sql = "SELECT id, tbl, k, at FROM tk_changes WHERE id > ? ORDER BY id LIMIT ?";
        let found = fetch!(self.db(), read, "tk_changes", sql, [cursor.last, i64::from(most)], read)?;
        // Pruning takes whole stretches of old entries. If the oldest that is left lies beyond a gap, the
        // gap was pruned unless it is young.
        let lost = match found.first() {
            Some(first) if first.id > cursor.last + 1 => self.pruned_between(cursor.last, first.id).await?,
            _ => false,
        };
        let more = found.len() >= usize::try_from(most).unwrap_or(usize::MAX);
        let ids: Vec<i64> = found.iter().map(|change| change.id).collect();
        cursor.missing.retain(|_, since| now.since(*since) < MISSING_SECONDS);
        cursor.pass(&ids, now);
        changes.extend(found);
        Ok(Changes { changes, lost, more })
    }

    /// Removes the entries of before `before`; how many went. Readers that are further behind learn
    /// that they lost some.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn prune_changes(&self, before: UnixTime) -> Result<u64, StoreError> {
        // The last entry stays, so that numbers go on and a reader can tell that it is behind.
        let last = self.last_change().await?;
        let sql = "DELETE FROM tk_changes WHERE at < ? AND id < ?";
        execute!(self.db(), write, "tk_changes", sql, [before.0, last])
    }

    /// Returns when something may have been written, or after `timeout`. On PostgreSQL a notification
    /// ends the wait; other databases are asked four times a second.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn wait_for_change(&self, cursor: &ChangeCursor, timeout: Duration) -> Result<(), StoreError> {
        let wait = async {
            match self.db() {
                Db::Postgres(_) => self.notified(cursor).await,
                Db::Sqlite(_) | Db::MySql(_) => loop {
                    if self.last_change().await? > cursor.last {
                        return Ok(());
                    }
                    tokio::time::sleep(POLL).await;
                },
            }
        };
        tokio::time::timeout(timeout, wait).await.unwrap_or(Ok(()))
    }

    async fn notified(&self, cursor: &ChangeCursor) -> Result<(), StoreError> {
        let Db::Postgres(pools) = self.db() else { return Ok(()) };
        let failed = |error: sqlx::Error| StoreError::from_sql(&error, "tk_changes");
        let mut held = self.0.listener.lock().await;
        if held.is_none() {
            let mut listener = sqlx::postgres::PgListener::connect_with(&pools.read).await.map_err(failed)?;
            listener.listen("tk_changes").await.map_err(failed)?;
            *held = Some(listener);
        }
        // What was written before we listened sent its notification to nobody.
        if self.last_change().await? > cursor.last {
            return Ok(());
        }
        let Some(listener) = held.as_mut() else { return Ok(()) };
        // A wait that is given up loses nothing: what was read of a message stays in the listener.
        let outcome = listener.try_recv().await.map(drop).map_err(failed);
        if outcome.is_err() {
            *held = None;
        }
        outcome
    }

    /// Entries that were missing and have appeared.
    async fn missed(&self, cursor: &mut ChangeCursor) -> Result<Vec<Change>, StoreError> {
        if cursor.missing.is_empty() {
            return Ok(Vec::new());
        }
        let missing: Vec<i64> = cursor.missing.keys().copied().collect();
        let sql = "SELECT id, tbl, k, at FROM tk_changes WHERE id IN ({}) ORDER BY id";
        let found = super::db::fetch_in!(self.db(), "tk_changes", sql, missing, [], read)?;
        for change in &found {
            cursor.missing.remove(&change.id);
        }
        Ok(found)
    }

    /// Is nothing left of the feed up to `from`, so that what followed it may have been pruned too?
    async fn pruned_between(&self, from: i64, to: i64) -> Result<bool, StoreError> {
        if from == 0 {
            return Ok(false);
        }
        let sql = "SELECT COUNT(*) FROM tk_changes WHERE id >= ? AND id < ?";
        let first = from.saturating_sub(i64::try_from(MISSING_MOST).unwrap_or(0));
        let found = fetch!(self.db(), read, "tk_changes", sql, [first, to], |row| row.number(0))?;
        Ok(found.first() == Some(&0))
    }
}

impl ChangeCursor {
    /// Moves past these numbers; those between them are missing.
    fn pass(&mut self, ids: &[i64], now: UnixTime) {
        for id in ids {
            let gap = (self.last + 1)..*id;
            // A stretch that is longer than we would wait for: its end is the younger part.
            let skipped = gap.clone().count().saturating_sub(MISSING_MOST);
            self.missing.extend(gap.skip(skipped).map(|missing| (missing, now)));
            self.last = self.last.max(*id);
        }
        while self.missing.len() > MISSING_MOST {
            self.missing.pop_first();
        }
    }
}

fn read(row: &dyn super::db::Columns) -> Result<Change, sqlx::Error> {
    Ok(Change {
        id: row.number(0)?,
        table: row.word(1)?,
        key: row.word(2)?,
        at: row.time(3)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_between_are_missing_and_bounded() {
        let mut cursor = ChangeCursor { last: 10, missing: BTreeMap::new() };
        cursor.pass(&[11, 13, 16], UnixTime(5));
        assert_eq!(cursor.last, 16);
        assert_eq!(cursor.missing.keys().copied().collect::<Vec<_>>(), [12, 14, 15]);
        cursor.pass(&[1_000_000_000_016], UnixTime(6));
        assert_eq!(cursor.missing.len(), MISSING_MOST);
        assert_eq!(cursor.missing.last_key_value().map(|(id, _)| *id), Some(1_000_000_000_015));
    }
}
