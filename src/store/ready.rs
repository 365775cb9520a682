//! Connections that are in use all the time: those of the group commit, and of what packets wait for.
//!
//! Between two uses they stay out of their pool, which asks each connection that comes back whether it
//! lives: a way to the database and back for every use, beside the one that the use itself is.

use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::Trouble;

/// A pool, and those of its connections that rest between two uses.
pub(super) struct Ready<DB: Database> {
    pool: Pool<DB>,
    resting: Mutex<Vec<PoolConnection<DB>>>,
    /// As many as the pool has connections: who waits for one is told when one rests again, which the
    /// pool does not see.
    places: Semaphore,
}

impl<DB: Database> Ready<DB> {
    pub(super) fn new(pool: Pool<DB>) -> Self {
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(1);
        Self { pool, resting: Mutex::default(), places: Semaphore::new(connections) }
    }

    /// The pool, for those who have no use for the rest.
    pub(super) const fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// A connection, waited for if all are in use.
    pub(super) async fn take(&self) -> Result<Held<'_, DB>, sqlx::Error> {
        let patience = self.pool.options().get_acquire_timeout();
        let place = tokio::time::timeout(patience, self.places.acquire()).await;
        let place = place.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        let resting = self.resting.lock().pop();
        let connection = match resting {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(Held { ready: self, connection: Some(connection), _place: place })
    }

    /// Closes every connection; those in use end first.
    pub(super) async fn close(&self) {
        let closed = self.pool.close();
        self.resting.lock().clear();
        closed.await;
    }
}

/// A connection in use. One whose work was given up, because the database did not answer in time, would
/// else wait for an answer that may never come, and its place with it; it is closed, and the next use
/// connects anew.
pub(super) struct Held<'r, DB: Database> {
    ready: &'r Ready<DB>,
    connection: Option<PoolConnection<DB>>,
    _place: SemaphorePermit<'r>,
}

impl<DB: Database> Held<'_, DB> {
    pub(super) fn connection(&mut self) -> &mut PoolConnection<DB> {
        self.connection.as_mut().expect("it is there until it is given back")
    }

    /// After its work came to an end, good or bad.
    pub(super) fn give_back<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let connection = match &outcome {
            Ok(_) => {
                let connection = self.connection.take();
                if !self.ready.pool.is_closed() {
                    self.ready.resting.lock().extend(connection);
                }
                return outcome;
            }
            // The database undid it and is there; the pool sees to what is left of a transaction.
            Err(error) if Trouble::of(error) != Trouble::Gone => self.connection.take(),
            // Those that rest were perhaps cut off with it. The pool looks at them.
            Err(_) => {
                self.ready.resting.lock().clear();
                None
            }
        };
        drop(connection);
        outcome
    }
}

impl<DB: Database> Drop for Held<'_, DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// The error of a connection that had died before it was used, as after a restart of the database: another
/// may serve.
pub(super) fn had_died(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // admin_shutdown and crash_shutdown of PostgreSQL
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}
