//! Group commit: rows wait here, in order, for the transaction that makes them durable; then the
//! replies that depend on them leave together (DESIGN §3).
//!
//! Rows are absolute, so a batch keeps only the last one of each key, and a batch whose fate is
//! unknown is simply written again.
//!
//! What SQL does not take in time goes into the spool and is answered from there. From then on nothing
//! goes past the spool to SQL, until it has been drained in order: so nothing newer is ever overwritten by
//! something older.

mod batch;
mod committer;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use self::batch::Batch;
use self::committer::{Committer, Meters, Said, drain_page};
use super::answer::{Deliver, Waiter};
use super::health::Health;
use crate::domain::{Effect, Write};
use crate::store::{CommitWrites, Spool, StoreError};
use crate::time::Clock;

/// How rows are gathered and committed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Transactions that may run beside each other; rows of one owner are never in two of them. 1 on
    /// SQLite, which has one writer.
    pub transactions: usize,
    /// Entries that may wait; beyond it requests are dropped in silence (DESIGN §1, 10).
    pub queue: usize,
    /// Entries taken into one transaction.
    pub batch: usize,
    /// How long replies wait for a commit. Then its rows go into the spool, and it goes on.
    pub commit_deadline: Duration,
    /// How long it may go on before it is given up.
    pub commit_patience: Duration,
    /// Rows kept in memory while neither SQL nor the spool takes them; beyond it the queue fills and
    /// requests drop.
    pub backlog: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            transactions: 1,
            queue: 65_536,
            batch: 512,
            commit_deadline: Duration::from_millis(250),
            commit_patience: Duration::from_secs(5),
            backlog: 200_000,
        }
    }
}

/// The part of the queue that is kept for what does not give way: one of so many.
const KEPT_PART: usize = 8;
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Rows of the spool that go into one transaction.
const DRAIN_ROWS: u32 = 2_000;
/// How long that one may take at first, and at most: a database may be slow and well.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
const DRAIN_PATIENCE_MAX: Duration = Duration::from_secs(60);
/// Entries that go into the spool in one go.
const KEPT_TOGETHER: usize = 2_048;

/// Fewer entries than this are not worth a transaction beside one that runs: what a transaction costs
/// beside its rows is the greater part of so few.
const WORTHWHILE: usize = 16;

/// What has to be durable, who waits for it and what follows.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Rows, in order.
    pub(super) writes: SmallVec<[Write; 2]>,
    /// The reply that may leave afterwards.
    pub(super) waiter: Option<Waiter>,
    /// What is done afterwards.
    pub(super) after: SmallVec<[Effect; 1]>,
    /// It gives way: the last places of the queue are not for it.
    pub(super) gives_way: bool,
}

/// An entry of the queue, and the hashes of whose it is.
#[derive(Debug)]
struct Entry {
    owners: SmallVec<[u64; 2]>,
    pending: Pending,
}

impl Entry {
    fn is_of_any(&self, owners: &HashSet<u64>) -> bool {
        self.owners.iter().any(|owner| owners.contains(owner))
    }
}

/// Wakes the writer once so many entries wait, while one transaction runs and another might.
#[derive(Debug)]
struct Level {
    wanted: AtomicUsize,
    reached: Notify,
}

/// Hands rows to the writer's task. Cloning shares it; the task ends when the last clone is gone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Entry>,
    level: Arc<Level>,
    hasher: RandomState,
}

impl Writer {
    /// Starts the task on the current runtime. The handle ends after the last row is durable.
    pub(super) fn start<S>(
        settings: &Settings,
        store: &Arc<S>,
        spool: &Arc<Spool>,
        deliver: &Arc<dyn Deliver>,
        effects: &mpsc::UnboundedSender<Effect>,
        clock: &Arc<dyn Clock>,
        health: &Arc<Health>,
    ) -> (Self, tokio::task::JoinHandle<()>)
    where
        S: CommitWrites + Send + Sync + 'static,
    {
        let (queue, receiver) = mpsc::channel(settings.queue);
        let level = Arc::new(Level { wanted: AtomicUsize::new(usize::MAX), reached: Notify::new() });
        let committer = Committer {
            deadline: settings.commit_deadline,
            patience: settings.commit_patience.max(settings.commit_deadline),
            store: Arc::clone(store),
            spool: Arc::clone(spool),
            deliver: Arc::clone(deliver),
            effects: effects.clone(),
            clock: Arc::clone(clock),
            health: Arc::clone(health),
            meters: Meters::new(),
            failing: AtomicBool::new(false),
            spooling: AtomicBool::new(false),
        };
        let (say, said) = mpsc::unbounded_channel();
        let line = Line {
            settings: settings.clone(),
            receiver,
            level: Arc::clone(&level),
            committer: Arc::new(committer),
            held: VecDeque::new(),
            tasks: JoinSet::new(),
            running: 0,
            say,
            said,
            busy: HashSet::new(),
            failed: Batch::default(),
            holds: false,
            draining: false,
            last_page: None,
            all: false,
            appended: false,
            pause: RETRY_MIN,
            retry: None,
            retry_failed: None,
            drain_patience: DRAIN_PATIENCE,
            closed: false,
            tried: false,
        };
        (Self { queue, level, hasher: RandomState::new() }, tokio::spawn(line.run()))
    }

    /// Queues rows behind all earlier ones of the same `owners`.
    ///
    /// # Errors
    /// Gives the entry back if the queue is full or has ended.
    pub(super) fn enqueue<const OWNERS: usize>(
        &self,
        owners: [&(impl Hash + ?Sized); OWNERS],
        pending: Pending,
    ) -> Result<(), Box<Pending>> {
        if pending.gives_way && self.queue.capacity() <= self.queue.max_capacity() / KEPT_PART {
            return Err(Box::new(pending));
        }
        let owners = owners.into_iter().map(|owner| self.hasher.hash_one(owner)).collect();
        let entry = Entry { owners, pending };
        self.queue.try_send(entry).map_err(|error| match error {
            mpsc::error::TrySendError::Full(entry) | mpsc::error::TrySendError::Closed(entry) => {
                Box::new(entry.pending)
            }
        })?;
        if self.depth() >= self.level.wanted.load(Ordering::Relaxed) {
            self.level.reached.notify_one();
        }
        Ok(())
    }

    /// Is there room for a row that nobody would retransmit?
    pub(super) fn has_room(&self) -> bool {
        self.queue.capacity() > 0
    }

    /// Entries that wait.
    pub(super) fn depth(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// The queue's end: decides what goes where, and in which order.
struct Line<S> {
    settings: Settings,
    receiver: mpsc::Receiver<Entry>,
    level: Arc<Level>,
    committer: Arc<Committer<S>>,
    /// Entries whose owner has rows in a transaction that runs, in order, and what came after them for
    /// the same owners.
    held: VecDeque<Entry>,
    /// Transactions, each until its replies have left.
    tasks: JoinSet<()>,
    /// How many of them have not come to their end, those of the spool's rows left out.
    running: usize,
    say: mpsc::UnboundedSender<Said>,
    said: mpsc::UnboundedReceiver<Said>,
    /// The owners of all transactions that run and whose rows are not in the spool either. What comes later
    /// for one of them counts on rows that are nowhere yet: it must not be durable before they are.
    busy: HashSet<u64>,
    /// Rows that are neither in SQL nor in the spool.
    failed: Batch,
    /// Rows may be in the spool: all others go behind them.
    holds: bool,
    /// A transaction of rows of the spool runs.
    draining: bool,
    /// It has all rows that the spool had: for so long new ones wait for it, so that there is an end.
    last_page: Option<Pin<Box<Sleep>>>,
    /// It has all rows that the spool had,
    all: bool,
    /// and rows have come to the spool since then.
    appended: bool,
    /// Before the next attempt at what has failed.
    pause: Duration,
    /// Until then SQL is not asked for the spool's rows.
    retry: Option<Pin<Box<Sleep>>>,
    /// Until then nothing is tried with what has failed.
    retry_failed: Option<Pin<Box<Sleep>>>,
    drain_patience: Duration,
    /// Nobody can queue anything any more.
    closed: bool,
    /// What had failed was tried once more since then.
    tried: bool,
}

impl<S: CommitWrites + Send + Sync + 'static> Line<S> {
    async fn run(mut self) {
        while !self.is_over() {
            self.level.wanted.store(self.wanted(), Ordering::Relaxed);
            if self.may_drain() {
                self.drain().await;
            } else if self.may_keep() {
                self.keep().await;
            } else if self.may_begin() {
                self.begin();
            } else {
                self.wait().await;
            }
        }
        self.tasks.join_all().await;
    }

    /// Waits until something has happened.
    async fn wait(&mut self) {
        let busy = self.running > 0 || self.draining;
        let takes = !self.closed
            && self.retry_failed.is_none()
            && if self.holds {
                self.last_page.is_none() && self.held.len() < KEPT_TOGETHER
            } else {
                self.running == 0
            };
        tokio::select! {
            Some(said) = self.said.recv(), if busy => self.hear(said),
            () = self.level.reached.notified(), if self.running > 0 && !self.holds => {}
            entry = self.receiver.recv(), if takes => match entry {
                Some(entry) => self.held.push_back(entry),
                None => self.closed = true,
            },
            () = end_of(&mut self.last_page), if self.last_page.is_some() => self.last_page = None,
            () = end_of(&mut self.retry), if self.retry.is_some() => self.retry = None,
            () = end_of(&mut self.retry_failed), if self.retry_failed.is_some() => self.retry_failed = None,
        }
    }

    fn hear(&mut self, said: Said) {
        while self.tasks.try_join_next().is_some() {}
        match said {
            Said::Late { owners } => {
                self.holds = true;
                self.is_safe(&owners);
            }
            Said::Ended { owners, kept, failed } => {
                self.running -= 1;
                self.is_safe(&owners);
                self.holds |= kept;
                match failed {
                    Some(batch) => self.has_failed(*batch),
                    // Another that ran beside it may have failed.
                    None if self.failed.is_empty() && !self.holds => self.is_well(),
                    None => {}
                }
            }
            Said::Drained(outcome) => {
                self.draining = false;
                self.last_page = None;
                let all = std::mem::take(&mut self.all);
                match outcome {
                    Ok(()) => {
                        self.pause = RETRY_MIN;
                        self.drain_patience = DRAIN_PATIENCE;
                        if all {
                            self.has_drained();
                        }
                    }
                    Err(reason) => {
                        tracing::debug!(reason, "the spool is not drained");
                        self.drain_patience = (self.drain_patience * 2).min(DRAIN_PATIENCE_MAX);
                        self.retry = Some(self.pausing());
                    }
                }
            }
        }
    }

    /// Rows of these are durable, or given back.
    fn is_safe(&mut self, owners: &[u64]) {
        for owner in owners {
            self.busy.remove(owner);
        }
    }

    fn is_well(&mut self) {
        self.pause = RETRY_MIN;
        self.committer.is_well();
    }

    /// Of what has failed for one owner before, this is the older.
    fn has_failed(&mut self, batch: Batch) {
        let newer = std::mem::replace(&mut self.failed, batch);
        self.failed.take_over(newer);
        self.tried |= self.closed;
        self.retry_failed = Some(self.pausing());
    }

    fn pausing(&mut self) -> Pin<Box<Sleep>> {
        let pause = self.pause;
        self.pause = (pause * 2).min(RETRY_MAX);
        Box::pin(tokio::time::sleep(pause))
    }

    /// Is everything durable, or as durable as it will be? Nobody waits for what has failed any more than
    /// for a retransmission, and what is in the spool is drained after the next start.
    fn is_over(&self) -> bool {
        let idle = self.running == 0 && !self.draining;
        self.closed
            && idle
            && self.held.is_empty()
            && self.receiver.is_empty()
            && (self.failed.is_empty() || self.tried)
            && (!self.holds || self.retry.is_some())
    }

    /// How many entries have to wait to be worth a transaction beside those that run: as many as one of
    /// those has. Smaller ones would have the database and the disk do the work of a commit more often.
    fn wanted(&self) -> usize {
        if self.holds
            || self.running == 0
            || self.running >= self.settings.transactions
            || self.held.len() >= self.settings.batch
            || self.committer.failing.load(Ordering::Relaxed)
        {
            return usize::MAX;
        }
        (self.busy.len() / self.running).max(WORTHWHILE).min(self.settings.batch)
    }

    fn has_entries(&self) -> bool {
        !(self.held.is_empty() && self.receiver.is_empty())
    }

    /// Is there something for a transaction of its own?
    fn may_begin(&self) -> bool {
        if self.holds || self.retry_failed.is_some() {
            false
        } else if self.running == 0 {
            self.has_entries() || !self.failed.is_empty()
        } else {
            self.receiver.len() >= self.wanted()
        }
    }

    /// Is there something to be put into the spool?
    fn may_keep(&self) -> bool {
        self.holds
            && self.retry_failed.is_none()
            && self.last_page.is_none()
            && (!self.failed.is_empty()
                || (!self.receiver.is_empty() && self.held.len() < KEPT_TOGETHER)
                || self.held.iter().any(|entry| !entry.is_of_any(&self.busy)))
    }

    /// May SQL be asked to take rows of the spool? Not while an older transaction may still write its own.
    fn may_drain(&self) -> bool {
        self.holds && !self.draining && self.running == 0 && self.retry.is_none()
    }

    /// What failed, and up to so many entries of what has come, but for those whose owners have rows in a
    /// transaction that runs.
    fn gather(&mut self, most: usize) -> Batch {
        let mut batch = std::mem::take(&mut self.failed);
        let mut blocked = HashSet::new();
        let mut waiting = std::mem::take(&mut self.held);
        let mut taken = 0;
        while taken < most && self.held.len() < most && batch.rows() < self.settings.backlog {
            let Some(entry) = waiting.pop_front().or_else(|| self.receiver.try_recv().ok()) else { break };
            if entry.is_of_any(&self.busy) || entry.is_of_any(&blocked) {
                blocked.extend(&entry.owners);
                self.held.push_back(entry);
            } else {
                batch.absorb(entry);
                taken += 1;
            }
        }
        self.held.append(&mut waiting);
        batch
    }

    /// Starts a transaction of what has come.
    fn begin(&mut self) {
        let batch = self.gather(self.settings.batch);
        if batch.is_empty() {
            return;
        }
        self.busy.extend(&batch.owners);
        self.running += 1;
        let (committer, say) = (Arc::clone(&self.committer), self.say.clone());
        self.tasks.spawn(async move { committer.commit(batch, &say).await });
    }

    /// Puts what has come into the spool, and answers.
    async fn keep(&mut self) {
        let mut batch = self.gather(KEPT_TOGETHER);
        if batch.is_empty() {
            return;
        }
        let writes = batch.take_writes();
        match self.committer.keep(&writes, "what came before is not there yet").await {
            Ok(_) => {
                self.appended = true;
                self.committer.answer(batch);
            }
            Err(_) => {
                self.committer.deliver.abandoned(&mut batch.take_waiters());
                batch.put(writes);
                self.has_failed(batch);
            }
        }
    }

    /// Starts a transaction of the oldest rows of the spool.
    async fn drain(&mut self) {
        let page = match self.committer.spool.oldest(DRAIN_ROWS).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be read");
                self.retry = Some(self.pausing());
                return;
            }
        };
        self.appended = false;
        if page.is_empty() {
            return self.has_drained();
        }
        self.draining = true;
        self.last_page = page.all.then(|| Box::pin(tokio::time::sleep(self.settings.commit_deadline)));
        self.all = page.all;
        let (committer, say) = (Arc::clone(&self.committer), self.say.clone());
        let patience = self.drain_patience;
        self.tasks.spawn(async move { committer.drain(&page, patience, &say).await });
    }

    /// The spool is empty, unless something has been put in meanwhile.
    fn has_drained(&mut self) {
        if self.appended {
            return;
        }
        self.holds = false;
        if self.failed.is_empty() {
            self.is_well();
        }
        let committer = Arc::clone(&self.committer);
        self.tasks.spawn(async move {
            if let Err(error) = committer.spool.shrink().await {
                tracing::debug!(%error, "the file of the spool stays as large as it is");
            }
        });
    }
}

/// Ends when it is time; never where there is no time.
async fn end_of(time: &mut Option<Pin<Box<Sleep>>>) {
    match time {
        Some(time) => time.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Makes durable in SQL what an earlier run has left in the spool; waits for the database.
///
/// # Errors
/// The disk's, or what cannot be mended by waiting.
pub(super) async fn drain_all(
    store: &impl CommitWrites,
    spool: &Spool,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    let (mut drained, mut pause) = (0, RETRY_MIN);
    loop {
        let page = spool.oldest(DRAIN_ROWS).await?;
        if page.is_empty() {
            break;
        }
        match drain_page(store, spool, &page, DRAIN_PATIENCE_MAX, clock.now()).await {
            Ok(refused) => drained += page.writes.len() - refused,
            Err(reason) => {
                tracing::warn!(reason, "rows of the spool wait for the database");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
    if drained > 0 {
        tracing::info!(rows = drained, "what an earlier run had acknowledged from the spool is in SQL");
        spool.shrink().await?;
    }
    Ok(())
}
