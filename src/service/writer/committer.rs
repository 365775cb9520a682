//! Makes transactions of batches, and puts into the spool what SQL does not take in time.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::batch::Batch;
use crate::domain::{Effect, UniqueId, Write};
use crate::service::answer::Deliver;
use crate::service::health::Health;
use crate::service::spooling::POISON;
use crate::store::{CommitWrites, Spool, SpoolPage, StoreError};
use crate::telemetry::names;
use crate::time::{Clock, Now};

/// What `/health` calls the writer and the spool.
const WRITER: &str = "writer";
const SPOOL: &str = "spool";

/// What a task tells the line.
pub(super) enum Said {
    /// A transaction is late; its rows are in the spool, and it goes on.
    Late {
        /// Those whose rows it has.
        owners: Vec<u64>,
    },
    /// A transaction came to its end.
    Ended {
        /// Those whose rows it had.
        owners: Vec<u64>,
        /// Its rows are in the spool, or were.
        kept: bool,
        /// Its rows, if they are neither in SQL nor in the spool.
        failed: Option<Box<Batch>>,
    },
    /// So it went with a page of the spool; why it is not in SQL.
    Drained(Result<(), String>),
}

pub(super) struct Committer<S> {
    /// How long replies wait for a transaction before their rows go into the spool.
    pub(super) deadline: Duration,
    /// How long a transaction may take before it is given up.
    pub(super) patience: Duration,
    pub(super) store: Arc<S>,
    pub(super) spool: Arc<Spool>,
    pub(super) deliver: Arc<dyn Deliver>,
    pub(super) effects: mpsc::UnboundedSender<Effect>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Arc<Health>,
    pub(super) meters: Meters,
    /// Rows are neither in SQL nor in the spool.
    pub(super) failing: AtomicBool,
    /// Rows are in the spool.
    pub(super) spooling: AtomicBool,
}

impl<S: CommitWrites + Send + Sync + 'static> Committer<S> {
    /// One transaction. Its end is told before its replies leave, so that the next need not wait for them.
    /// Where it is late or fails its rows go into the spool, which is as good. Where that fails too, they
    /// are given back for the next attempt and the waiters are let go, so that a retransmission is not
    /// taken for a duplicate in flight.
    pub(super) async fn commit(&self, mut batch: Batch, say: &mpsc::UnboundedSender<Said>) {
        let owners = batch.owners.clone();
        let started = self.clock.now();
        let writes = batch.take_writes();
        let (outcome, kept, batch) = {
            let mut sql = pin!(self.store.commit(&writes));
            match tokio::time::timeout(self.deadline, &mut sql).await {
                Ok(outcome) => (outcome, None, Some(batch)),
                Err(_) => {
                    // It goes on: what it writes is what is meant, and it comes before all that is newer.
                    let kept = self.keep(&writes, &no_answer(self.deadline)).await.ok();
                    let mut batch = Some(batch);
                    if kept.is_some() {
                        // The receiver is gone only while the server stops.
                        let _ = say.send(Said::Late { owners: owners.clone() });
                        batch.take().into_iter().for_each(|batch| self.answer(batch));
                    }
                    let rest = self.patience.saturating_sub(self.deadline);
                    let given_up = |_| Err(StoreError::Unavailable { reason: no_answer(self.patience) });
                    (tokio::time::timeout(rest, &mut sql).await.unwrap_or_else(given_up), kept, batch)
                }
            }
        };
        let failed = !matches!(outcome, Ok(()) | Err(StoreError::Refused { .. }));
        self.meters.committed(started, self.clock.now(), writes.len(), failed);
        let Some(mut batch) = batch else {
            // Its replies have left. What SQL refused is refused once more when the spool is drained.
            if let (Ok(()), Some(version)) = (&outcome, kept)
                && let Err(error) = self.spool.forget(version).await
            {
                tracing::debug!(%error, "rows are written once more");
            }
            let _ = say.send(Said::Ended { owners, kept: true, failed: None });
            return;
        };
        match outcome {
            Ok(()) => {
                let _ = say.send(Said::Ended { owners, kept: false, failed: None });
                self.answer(batch);
            }
            Err(StoreError::Refused { writes: refused, reason }) => {
                let _ = say.send(Said::Ended { owners, kept: false, failed: None });
                self.set_aside(&mut batch, &writes, &refused, &reason).await;
                self.answer(batch);
            }
            Err(error) => match self.keep(&writes, &error.to_string()).await {
                Ok(_) => {
                    let _ = say.send(Said::Ended { owners, kept: true, failed: None });
                    self.answer(batch);
                }
                Err(_) => {
                    self.deliver.abandoned(&mut batch.take_waiters());
                    batch.put(writes);
                    let _ = say.send(Said::Ended { owners, kept: false, failed: Some(Box::new(batch)) });
                }
            },
        }
    }

    /// What it says is durable: replies leave, and what follows is done.
    pub(super) fn answer(&self, mut batch: Batch) {
        self.deliver.committed(&mut batch.take_waiters());
        for effect in batch.after {
            let _ = self.effects.send(effect);
        }
    }

    /// Puts rows into the spool behind those that are there, because SQL did not take them for this `reason`.
    pub(super) async fn keep(&self, writes: &[Write], reason: &str) -> Result<i64, StoreError> {
        let now = self.clock.now().unix;
        match self.spool.keep(writes, now).await {
            Ok(version) => {
                self.meters.kept(writes.len());
                let again = self.is_acknowledged();
                if !self.spooling.swap(true, Ordering::Relaxed) || again {
                    tracing::warn!(reason, "accounting is acknowledged from the spool until SQL takes it");
                    self.health.degraded(SPOOL, &format!("SQL does not take accounting: {reason}"), now);
                }
                Ok(version)
            }
            Err(error) => {
                self.meters.spool_failures.increment(1);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(reason, %error, "accounting cannot be stored and is not acknowledged");
                }
                let said = format!("accounting is not acknowledged: {reason}; {error}");
                self.health.degraded(WRITER, &said, now);
                self.health.degraded(SPOOL, &format!("nothing can be put in: {error}"), now);
                Err(error)
            }
        }
    }

    /// Commits a page of the spool and takes it away.
    pub(super) async fn drain(
        &self,
        page: &SpoolPage,
        patience: Duration,
        say: &mpsc::UnboundedSender<Said>,
    ) {
        let started = self.clock.now();
        let outcome = drain_page(&*self.store, &self.spool, page, patience, started).await;
        self.meters.committed(started, self.clock.now(), page.writes.len(), outcome.is_err());
        if let Ok(refused) = outcome {
            self.meters.drained(page.writes.len());
            if refused > 0 {
                self.is_poisoned(refused, started);
            }
        }
        let _ = say.send(Said::Drained(outcome.map(drop)));
    }

    /// Nothing is lost any more; was anything?
    fn is_acknowledged(&self) -> bool {
        let failing = self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed);
        if failing {
            tracing::info!("accounting is acknowledged again");
            self.health.ok(WRITER);
        }
        failing
    }

    /// Nothing waits any more of what could not be written: neither here nor in the spool.
    pub(super) fn is_well(&self) {
        let was_failing = self.is_acknowledged();
        let spooling = self.spooling.load(Ordering::Relaxed) && self.spooling.swap(false, Ordering::Relaxed);
        if spooling {
            tracing::info!("the spool is empty; accounting is stored at once again");
        }
        if was_failing || spooling {
            self.health.ok(SPOOL);
        }
    }

    /// The database cannot hold some rows and never will: they keep nobody else out. They are set aside for
    /// an operator to see; if even that fails, they are not acknowledged. The rest of the batch is durable.
    async fn set_aside(&self, batch: &mut Batch, writes: &[Write], refused: &[usize], reason: &str) {
        let now = self.clock.now();
        let rows: Vec<&Write> = refused.iter().filter_map(|place| writes.get(*place)).collect();
        let Err(error) = self.spool.refuse(rows.iter().copied(), reason, now.unix).await else {
            self.is_poisoned(rows.len(), now);
            return;
        };
        tracing::error!(rows = rows.len(), reason, %error, "rows are not acknowledged: they cannot be stored");
        self.meters.refused.increment(count(rows.len()));
        let session = |row: &&Write| match row {
            Write::Session(session) => Some(session.unique_id),
            _ => None,
        };
        let sessions: HashSet<UniqueId> = rows.iter().filter_map(session).collect();
        self.deliver.abandoned(&mut batch.waiters_of(&sessions));
    }

    fn is_poisoned(&self, rows: usize, now: Now) {
        self.meters.refused.increment(count(rows));
        tracing::error!(rows, "rows that the database cannot hold were set aside: tollkeeper spool list");
        let said = "rows that the database cannot hold were set aside: tollkeeper spool list";
        self.health.degraded(POISON, said, now.unix);
    }
}

/// Commits a page of the spool and takes it away; what SQL refuses for ever is set aside. Gives how many
/// rows that were, or why the page is still there.
pub(super) async fn drain_page(
    store: &impl CommitWrites,
    spool: &Spool,
    page: &SpoolPage,
    patience: Duration,
    now: Now,
) -> Result<usize, String> {
    let (refused, reason) = match tokio::time::timeout(patience, store.commit(&page.writes)).await {
        Ok(Ok(())) => (Vec::new(), String::new()),
        Ok(Err(StoreError::Refused { writes, reason })) => (writes, reason),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(no_answer(patience)),
    };
    spool.done(page, &refused, &reason, now.unix).await.map_err(|error| error.to_string())?;
    Ok(refused.len())
}

fn no_answer(within: Duration) -> String {
    format!("no answer within {within:?}")
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

pub(super) struct Meters {
    rows: metrics::Histogram,
    seconds: metrics::Histogram,
    failures: metrics::Counter,
    refused: metrics::Counter,
    spooled_batches: metrics::Counter,
    spooled_rows: metrics::Counter,
    drained_rows: metrics::Counter,
    spool_failures: metrics::Counter,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            rows: metrics::histogram!(names::WRITER_BATCH),
            seconds: metrics::histogram!(names::COMMIT_DURATION),
            failures: metrics::counter!(names::COMMIT_FAILURES),
            refused: metrics::counter!(names::ROWS_REFUSED),
            spooled_batches: metrics::counter!(names::SPOOLED_BATCHES),
            spooled_rows: metrics::counter!(names::SPOOLED_ROWS),
            drained_rows: metrics::counter!(names::DRAINED_ROWS),
            spool_failures: metrics::counter!(names::SPOOL_FAILURES),
        }
    }

    fn committed(&self, started: Now, ended: Now, rows: usize, failed: bool) {
        self.rows.record(u32::try_from(rows).unwrap_or(u32::MAX));
        self.seconds.record(ended.instant.saturating_duration_since(started.instant));
        if failed {
            self.failures.increment(1);
        }
    }

    fn kept(&self, rows: usize) {
        self.spooled_batches.increment(1);
        self.spooled_rows.increment(count(rows));
    }

    fn drained(&self, rows: usize) {
        self.drained_rows.increment(count(rows));
    }
}
