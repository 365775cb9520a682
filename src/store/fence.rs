//! What a server that was killed has left in the database: a transaction that nobody was answered for may go
//! on there, and end after the next server has read what was used. So every connection of the group commit
//! holds a lock with the number of its server, and the next start of that server waits until nobody has it.
//! Servers that share a database have numbers of their own, and do not wait for each other.

use std::time::Duration;

use sqlx::mysql::MySqlRow;

use super::db::{Columns as _, Db};
use super::{Store, StoreError};

/// How long the connections of the server before may take to end, once they were told to.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Locks of one server on MySQL, where nobody shares one: those of the connections that commit, and of those
/// that were given up and have not ended.
const PLACES: usize = 48;

/// What makes a connection to PostgreSQL one of this server.
pub(super) fn shared_on_postgres(server: u64) -> String {
    format!("SELECT pg_advisory_lock_shared({})", server.cast_signed())
}

/// The same on MySQL: takes the first lock that is free, and tells which.
pub(super) fn taken_on_mysql(server: u64) -> String {
    let places: Vec<String> = (0..PLACES)
        .map(|place| format!("WHEN GET_LOCK('{}', 0) = 1 THEN {place}", name(server, place)))
        .collect();
    format!("SELECT CASE {} END", places.join(" "))
}

/// Did it take one?
pub(super) fn is_taken(row: &MySqlRow) -> Result<(), sqlx::Error> {
    // All taken: they are freed as connections end.
    row.int(0)?.map(drop).ok_or(sqlx::Error::PoolTimedOut)
}

fn name(server: u64, place: usize) -> String {
    format!("tollkeeper {server:016x} {place}")
}

impl Store {
    /// Ends what an earlier run of this server has left in the database. To be called before anything is read
    /// that it may still change. Where the settings name no server, and on SQLite, whose transactions end
    /// with their process, there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it does not end within ten seconds.
    pub async fn fence(&self) -> Result<(), StoreError> {
        let Some(server) = self.0.server else { return Ok(()) };
        let ended = async {
            while !self.try_fence(server).await.map_err(|error| StoreError::from_sql(&error, "locks"))? {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| {
            let reason = "a transaction of the server that ran here before has not ended".to_owned();
            Err(StoreError::Unavailable { reason })
        })
    }

    /// Tells connections of that server to end; were there none?
    async fn try_fence(&self, server: u64) -> Result<bool, sqlx::Error> {
        match self.db() {
            Db::Sqlite(_) => Ok(true),
            Db::Postgres(pools) => {
                // An advisory lock of 64 bits is shown in two halves.
                let sql = "SELECT l.pid, pg_terminate_backend(l.pid) FROM pg_locks l
                     JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                     WHERE l.locktype = 'advisory' AND l.objsubid = 1
                       AND l.classid::bigint = $1 AND l.objid::bigint = $2";
                let halves = [server >> 32, server & 0xffff_ffff].map(u64::cast_signed);
                let told = sqlx::query(sql).bind(halves[0]).bind(halves[1]).fetch_all(&pools.read).await?;
                Ok(told.is_empty())
            }
            Db::MySql(pools) => {
                let asked: Vec<String> =
                    (0..PLACES).map(|place| format!("IS_USED_LOCK('{}')", name(server, place))).collect();
                let sql = format!("SELECT {}", asked.join(", "));
                let row = sqlx::query(&sql).fetch_one(&pools.read).await?;
                let mut none = true;
                for connection in (0..PLACES).filter_map(|place| row.int(place).transpose()) {
                    none = false;
                    // It may have ended a moment ago.
                    let _gone = sqlx::raw_sql(&format!("KILL {}", connection?)).execute(&pools.read).await;
                }
                Ok(none)
            }
        }
    }
}
