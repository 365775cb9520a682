//! Group commit: rows wait here, in order, for the transaction that makes them durable; then the
//! replies that depend on them leave together (DESIGN §3).
//!
//! Rows are absolute, so a batch keeps only the last one of each key, and a batch whose fate is
//! unknown is simply written again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::answer::{Deliver, Waiter};
use super::health::Health;
use crate::domain::{Day, Effect, NasReload, Session, SubscriberId, UniqueId, Usage, Write};
use crate::store::{CommitWrites, StoreError};
use crate::telemetry::names;
use crate::time::{Clock, Now, UnixTime};

/// How rows are gathered and committed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Transactions that may run beside each other; rows of one login are never in two of them. 1 on
    /// SQLite, which has one writer.
    pub transactions: usize,
    /// Entries that may wait; beyond it requests are dropped in silence (DESIGN §1, 10).
    pub queue: usize,
    /// Entries taken into one transaction.
    pub batch: usize,
    /// How long a commit may take before it is given up and tried again.
    pub commit_timeout: Duration,
    /// Rows kept for another attempt while commits fail; beyond it the queue fills and requests drop.
    pub backlog: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            transactions: 1,
            queue: 65_536,
            batch: 512,
            commit_timeout: Duration::from_secs(5),
            backlog: 200_000,
        }
    }
}

/// What `/health` calls the writer.
const COMPONENT: &str = "writer";
/// The part of the queue that is kept for what does not give way: one of so many.
const KEPT_PART: usize = 8;
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

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

/// An entry of the queue, and the hash of the login that it belongs to.
#[derive(Debug)]
struct Entry {
    login: u64,
    pending: Pending,
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
            timeout: settings.commit_timeout,
            store: Arc::clone(store),
            deliver: Arc::clone(deliver),
            effects: effects.clone(),
            clock: Arc::clone(clock),
            health: Arc::clone(health),
            meters: Meters::new(),
            failing: AtomicBool::new(false),
        };
        let (end, ended) = mpsc::unbounded_channel();
        let line = Line {
            settings: settings.clone(),
            receiver,
            level: Arc::clone(&level),
            committer: Arc::new(committer),
            held: VecDeque::new(),
            tasks: JoinSet::new(),
            running: 0,
            end,
            ended,
            busy: HashSet::new(),
            failed: Batch::default(),
        };
        (Self { queue, level, hasher: RandomState::new() }, tokio::spawn(line.run()))
    }

    /// Queues rows behind all earlier ones of the same `login`.
    ///
    /// # Errors
    /// Gives the entry back if the queue is full or has ended.
    pub(super) fn enqueue(&self, login: &str, pending: Pending) -> Result<(), Box<Pending>> {
        if pending.gives_way && self.queue.capacity() <= self.queue.max_capacity() / KEPT_PART {
            return Err(Box::new(pending));
        }
        let entry = Entry { login: self.hasher.hash_one(login), pending };
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

/// The queue's end: decides what goes into which transaction.
struct Line<S> {
    settings: Settings,
    receiver: mpsc::Receiver<Entry>,
    level: Arc<Level>,
    committer: Arc<Committer<S>>,
    /// Entries whose login has rows in a transaction that runs, in order, and what came after them for
    /// the same logins.
    held: VecDeque<Entry>,
    /// Transactions, each until its replies have left.
    tasks: JoinSet<()>,
    /// How many of them have not come to their end.
    running: usize,
    end: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    /// The logins of all transactions that run.
    busy: HashSet<u64>,
    /// Rows of commits that failed.
    failed: Batch,
}

/// A transaction that came to an end.
struct Ended {
    logins: Vec<u64>,
    /// Its rows, if nothing is known to be durable.
    failed: Option<Batch>,
}

impl<S: CommitWrites + Send + Sync + 'static> Line<S> {
    async fn run(mut self) {
        let mut pause = RETRY_MIN;
        let mut last = false;
        loop {
            self.level.wanted.store(self.wanted(), Ordering::Relaxed);
            if self.is_worthwhile() {
                self.begin();
                continue;
            }
            let idle = self.running == 0;
            if idle && !self.failed.is_empty() {
                if last {
                    // Stopping: nobody waits for these rows any more than for a retransmission.
                    break;
                }
                last = self.receiver.is_closed() && self.receiver.is_empty() && self.held.is_empty();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
                self.begin();
                continue;
            }
            tokio::select! {
                ended = self.ended.recv(), if !idle => {
                    let Some(ended) = ended else { return };
                    self.running -= 1;
                    while self.tasks.try_join_next().is_some() {}
                    for login in &ended.logins {
                        self.busy.remove(login);
                    }
                    match ended.failed {
                        Some(batch) => self.failed.take_over(batch),
                        // Another that ran beside it may have failed.
                        None if self.failed.is_empty() => {
                            pause = RETRY_MIN;
                            self.committer.is_well();
                        }
                        None => {}
                    }
                }
                () = self.level.reached.notified(), if !idle => {}
                entry = self.receiver.recv(), if idle => match entry {
                    Some(entry) => self.held.push_back(entry),
                    None => break,
                },
            }
        }
        self.tasks.join_all().await;
    }

    /// How many entries have to wait to be worth a transaction beside those that run: as many as one of
    /// those has. Smaller ones would have the database and the disk do the work of a commit more often.
    fn wanted(&self) -> usize {
        if self.running == 0
            || self.running >= self.settings.transactions
            || self.held.len() >= self.settings.batch
            || self.committer.failing.load(Ordering::Relaxed)
        {
            return usize::MAX;
        }
        (self.busy.len() / self.running).max(WORTHWHILE).min(self.settings.batch)
    }

    fn is_worthwhile(&self) -> bool {
        if self.running == 0 {
            self.failed.is_empty() && !(self.held.is_empty() && self.receiver.is_empty())
        } else {
            self.receiver.len() >= self.wanted()
        }
    }

    /// Starts a transaction of what has come, but for entries whose login has rows in one that runs. What
    /// failed goes first.
    fn begin(&mut self) {
        let mut batch = std::mem::take(&mut self.failed);
        let mut blocked = HashSet::new();
        let mut waiting = std::mem::take(&mut self.held);
        let mut taken = 0;
        while taken < self.settings.batch
            && self.held.len() < self.settings.batch
            && batch.rows() < self.settings.backlog
        {
            let Some(entry) = waiting.pop_front().or_else(|| self.receiver.try_recv().ok()) else { break };
            if self.busy.contains(&entry.login) || blocked.contains(&entry.login) {
                blocked.insert(entry.login);
                self.held.push_back(entry);
            } else {
                batch.absorb(entry);
                taken += 1;
            }
        }
        self.held.append(&mut waiting);
        if batch.is_empty() {
            return;
        }
        self.busy.extend(&batch.logins);
        self.running += 1;
        let (committer, end) = (Arc::clone(&self.committer), self.end.clone());
        self.tasks.spawn(async move { committer.commit(batch, &end).await });
    }
}

/// Makes transactions of batches.
struct Committer<S> {
    timeout: Duration,
    store: Arc<S>,
    deliver: Arc<dyn Deliver>,
    effects: mpsc::UnboundedSender<Effect>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    meters: Meters,
    /// Rows of a commit that failed are still to be written.
    failing: AtomicBool,
}

impl<S: CommitWrites + Send + Sync + 'static> Committer<S> {
    /// One transaction. Its end is told before its replies leave, so that the next need not wait for them.
    /// On failure its rows are given back for the next attempt and the waiters are let go, so that a
    /// retransmission is not taken for a duplicate in flight.
    async fn commit(&self, mut batch: Batch, end: &mpsc::UnboundedSender<Ended>) {
        let logins = batch.logins.clone();
        let started = self.clock.now();
        let writes = batch.take_writes();
        let result = tokio::time::timeout(self.timeout, self.store.commit(&writes)).await;
        let failure = match result {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::Refused { writes: refused, reason })) => {
                self.set_aside(&mut batch, &writes, &refused, &reason);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {:?}", self.timeout)),
        };
        self.meters.committed(started, self.clock.now(), writes.len(), failure.is_some());
        let Some(reason) = failure else {
            // The receiver is gone only while the server stops.
            let _ = end.send(Ended { logins, failed: None });
            self.deliver.committed(&mut batch.take_waiters());
            for effect in batch.after {
                let _ = self.effects.send(effect);
            }
            return;
        };
        self.deliver.abandoned(&mut batch.take_waiters());
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%reason, "accounting cannot be stored and is not acknowledged");
        }
        let said = format!("accounting is not acknowledged: {reason}; {} rows wait", writes.len());
        self.health.degraded(COMPONENT, &said, started.unix);
        batch.put(writes);
        let _ = end.send(Ended { logins, failed: Some(batch) });
    }

    /// Nothing waits any more of what could not be written.
    fn is_well(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("accounting is stored again");
            self.health.ok(COMPONENT);
        }
    }

    /// The database cannot hold some rows and never will: they are not acknowledged, and keep nobody else
    /// out. The rest of the batch is durable.
    fn set_aside(&self, batch: &mut Batch, writes: &[Write], refused: &[usize], reason: &str) {
        tracing::error!(
            rows = refused.len(),
            reason,
            "rows that the database cannot hold are not acknowledged"
        );
        self.meters.refused.increment(u64::try_from(refused.len()).unwrap_or(u64::MAX));
        let sessions: HashSet<UniqueId> = refused
            .iter()
            .filter_map(|place| match writes.get(*place) {
                Some(Write::Session(session)) => Some(session.unique_id),
                _ => None,
            })
            .collect();
        self.deliver.abandoned(&mut batch.waiters_of(&sessions));
    }
}

/// Rows by key, the last one of each, and who waits for them.
#[derive(Debug, Default)]
struct Batch {
    sessions: HashMap<UniqueId, Box<Session>>,
    usage: HashMap<(SubscriberId, Day), Usage>,
    /// The first and the last use.
    used: HashMap<SubscriberId, [UnixTime; 2]>,
    /// By the number of the quota.
    top_ups: BTreeMap<i64, u64>,
    reloads: Vec<NasReload>,
    /// With the session whose row each waits for, where it is one.
    waiters: Vec<(Option<UniqueId>, Waiter)>,
    after: Vec<Effect>,
    /// Of all that is here; some more than once.
    logins: Vec<u64>,
}

impl Batch {
    fn absorb(&mut self, Entry { login, pending }: Entry) {
        self.logins.push(login);
        let session = pending.writes.iter().find_map(|write| match write {
            Write::Session(session) => Some(session.unique_id),
            _ => None,
        });
        self.put(pending.writes);
        self.waiters.extend(pending.waiter.map(|waiter| (session, waiter)));
        self.after.extend(pending.after);
    }

    /// Rows, later than those that are there.
    fn put(&mut self, writes: impl IntoIterator<Item = Write>) {
        for write in writes {
            match write {
                Write::Session(session) => {
                    self.sessions.insert(session.unique_id, session);
                }
                Write::Usage { subscriber, day, total } => {
                    self.usage.insert((subscriber, day), total);
                }
                Write::NasReload(reload) => self.reloads.push(reload),
                Write::TopUp { quota, used } => {
                    let held = self.top_ups.entry(quota).or_default();
                    *held = used.max(*held);
                }
                Write::Used { subscriber, at } => {
                    let [first, last] = self.used.entry(subscriber).or_insert([at; 2]);
                    *first = at.min(*first);
                    *last = at.max(*last);
                }
            }
        }
    }

    /// Another batch, of other logins.
    fn take_over(&mut self, mut other: Self) {
        self.put(other.take_writes());
        self.waiters.append(&mut other.waiters);
        self.after.append(&mut other.after);
        self.logins.append(&mut other.logins);
    }

    fn take_waiters(&mut self) -> Vec<Waiter> {
        self.waiters.drain(..).map(|(_, waiter)| waiter).collect()
    }

    fn waiters_of(&mut self, sessions: &HashSet<UniqueId>) -> Vec<Waiter> {
        let theirs = |(session, _): &mut (Option<UniqueId>, Waiter)| {
            session.is_some_and(|session| sessions.contains(&session))
        };
        self.waiters.extract_if(.., theirs).map(|(_, waiter)| waiter).collect()
    }

    fn rows(&self) -> usize {
        self.sessions.len() + self.usage.len() + self.used.len() + self.top_ups.len() + self.reloads.len()
    }

    fn is_empty(&self) -> bool {
        self.rows() == 0 && self.waiters.is_empty() && self.after.is_empty()
    }

    /// The rows in the order of their keys, which is the same in every transaction, so that two of
    /// them cannot wait for each other.
    fn take_writes(&mut self) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.rows());
        writes.extend(self.reloads.drain(..).map(Write::NasReload));
        let mut sessions: Vec<_> = self.sessions.drain().map(|(_, session)| session).collect();
        sessions.sort_unstable_by_key(|session| session.unique_id);
        writes.extend(sessions.into_iter().map(Write::Session));
        let mut usage: Vec<_> = self.usage.drain().collect();
        usage.sort_unstable_by_key(|(key, _)| *key);
        let usage = usage.into_iter();
        writes.extend(usage.map(|((subscriber, day), total)| Write::Usage { subscriber, day, total }));
        let mut used: Vec<_> = self.used.drain().collect();
        used.sort_unstable();
        for (subscriber, [first, last]) in used {
            writes.push(Write::Used { subscriber, at: first });
            if first != last {
                writes.push(Write::Used { subscriber, at: last });
            }
        }
        let top_ups = std::mem::take(&mut self.top_ups).into_iter();
        writes.extend(top_ups.map(|(quota, used)| Write::TopUp { quota, used }));
        writes
    }
}

struct Meters {
    rows: metrics::Histogram,
    seconds: metrics::Histogram,
    failures: metrics::Counter,
    refused: metrics::Counter,
}

impl Meters {
    fn new() -> Self {
        Self {
            rows: metrics::histogram!(names::WRITER_BATCH),
            seconds: metrics::histogram!(names::COMMIT_DURATION),
            failures: metrics::counter!(names::COMMIT_FAILURES),
            refused: metrics::counter!(names::ROWS_REFUSED),
        }
    }

    fn committed(&self, started: Now, ended: Now, rows: usize, failed: bool) {
        self.rows.record(u32::try_from(rows).unwrap_or(u32::MAX));
        self.seconds.record(ended.instant.saturating_duration_since(started.instant));
        if failed {
            self.failures.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::SocketAddr;

    use parking_lot::Mutex;
    use smallvec::smallvec;

    use super::*;
    use crate::coa::tests::session;
    use crate::service::health::HealthStatus;
    use crate::time::SystemClock;

    /// What becomes of a commit.
    #[derive(Clone, Copy, PartialEq)]
    enum Fate {
        Fails,
        /// The rows are durable and nobody learns of it.
        Unknown,
        Hangs,
        /// It takes until the test says so.
        Waits,
        /// Rows of `poison` cannot be held.
        Refuses,
    }

    /// Commits as it is told to, then without fault.
    #[derive(Default)]
    struct Database {
        fates: Mutex<VecDeque<Fate>>,
        rows: Mutex<HashMap<UniqueId, Box<Session>>>,
        go_on: Notify,
    }

    impl CommitWrites for Database {
        async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
            let fate = self.fates.lock().pop_front();
            let away = Err(StoreError::Unavailable { reason: "told to".to_owned() });
            match fate {
                Some(Fate::Fails) => return away,
                Some(Fate::Hangs) => std::future::pending::<()>().await,
                Some(Fate::Waits) => self.go_on.notified().await,
                Some(Fate::Unknown | Fate::Refuses) | None => {}
            }
            let mut refused = Vec::new();
            for (place, write) in writes.iter().enumerate() {
                match write {
                    Write::Session(row) if fate == Some(Fate::Refuses) && row.user_name == "poison" => {
                        refused.push(place);
                    }
                    Write::Session(row) => {
                        self.rows.lock().insert(row.unique_id, row.clone());
                    }
                    _ => {}
                }
            }
            match fate {
                Some(Fate::Unknown) => away,
                Some(Fate::Refuses) => {
                    Err(StoreError::Refused { writes: refused, reason: "poison".to_owned() })
                }
                _ => Ok(()),
            }
        }
    }

    /// What a waiter was told.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Told {
        Abandoned(u8),
        Committed(u8),
    }

    struct Network(mpsc::UnboundedSender<Told>);

    impl Deliver for Network {
        fn committed(&self, waiters: &mut Vec<Waiter>) {
            for waiter in waiters.drain(..) {
                self.0.send(Told::Committed(waiter.identifier)).expect("the test listens");
            }
        }

        fn abandoned(&self, waiters: &mut Vec<Waiter>) {
            for waiter in waiters.drain(..) {
                self.0.send(Told::Abandoned(waiter.identifier)).expect("the test listens");
            }
        }
    }

    struct Bench {
        database: Arc<Database>,
        health: Arc<Health>,
        writer: Writer,
        told: mpsc::UnboundedReceiver<Told>,
        effects: mpsc::UnboundedReceiver<Effect>,
    }

    impl Bench {
        fn new(settings: &Settings, fates: &[Fate]) -> Self {
            let database = Arc::new(Database::default());
            database.fates.lock().extend(fates);
            let health = Arc::new(Health::default());
            let ((tell, told), (follow, effects)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
            let deliver: Arc<dyn Deliver> = Arc::new(Network(tell));
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let (writer, _) = Writer::start(settings, &database, &deliver, &follow, &clock, &health);
            Self { database, health, writer, told, effects }
        }

        /// A record of the session `number` that has run for so long; its retransmission is told apart
        /// by the Identifier.
        fn enqueue(&self, identifier: u8, number: u8, user_name: &str, seconds: u64) -> bool {
            let mut row = session();
            (row.unique_id, row.user_name) = (UniqueId([number; 16]), user_name.into());
            row.session_time.reported = Some(seconds);
            let waiter = Waiter {
                listener: 0,
                peer: SocketAddr::from(([127, 0, 0, 1], 1)),
                local: None,
                identifier,
                authenticator: [0; 16],
                reply: Box::default(),
            };
            let writes = smallvec![Write::Session(Box::new(row))];
            let pending = Pending { writes, waiter: Some(waiter), ..Pending::default() };
            self.writer.enqueue(user_name, pending).is_ok()
        }

        async fn told(&mut self) -> Told {
            self.told.recv().await.expect("the writer runs")
        }

        fn seconds(&self, number: u8) -> Option<u64> {
            let rows = self.database.rows.lock();
            rows.get(&UniqueId([number; 16])).and_then(|row| row.session_time.reported)
        }
    }

    #[tokio::test]
    async fn a_reply_leaves_after_its_row_is_durable() {
        let mut bench = Bench::new(&Settings::default(), &[]);
        assert!(bench.enqueue(1, 1, "bob", 60));
        assert_eq!(bench.told().await, Told::Committed(1));
        assert_eq!(bench.seconds(1), Some(60));
    }

    #[tokio::test]
    async fn ac_02_what_failed_is_not_acknowledged_and_is_written_in_the_end() {
        for fate in [Fate::Fails, Fate::Hangs] {
            let settings = Settings { commit_timeout: Duration::from_millis(20), ..Settings::default() };
            let mut bench = Bench::new(&settings, &[fate]);
            assert!(bench.enqueue(1, 1, "bob", 60));
            assert_eq!(bench.told().await, Told::Abandoned(1));
            assert_eq!(bench.health.report().status, HealthStatus::Degraded);
            assert!(bench.enqueue(2, 2, "ann", 30));
            assert_eq!(bench.told().await, Told::Committed(2));
            assert_eq!((bench.seconds(1), bench.seconds(2)), (Some(60), Some(30)), "the first was kept");
            // The writer says so after it has sent the replies.
            assert!(bench.enqueue(3, 2, "ann", 30));
            assert_eq!(bench.told().await, Told::Committed(3));
            assert_eq!(bench.health.report().status, HealthStatus::Ok);
        }
    }

    #[tokio::test]
    async fn fm_21_a_commit_of_unknown_fate_is_made_again_and_changes_nothing() {
        let mut bench = Bench::new(&Settings::default(), &[Fate::Unknown]);
        assert!(bench.enqueue(1, 1, "bob", 60));
        assert_eq!(bench.told().await, Told::Abandoned(1), "nobody knows that it is durable");
        assert_eq!(bench.seconds(1), Some(60));
        assert!(bench.enqueue(2, 1, "bob", 60));
        assert_eq!(bench.told().await, Told::Committed(2));
        assert_eq!((bench.seconds(1), bench.database.rows.lock().len()), (Some(60), 1));
    }

    #[tokio::test]
    async fn fm_24_a_row_that_is_refused_is_not_acknowledged_and_holds_up_no_other() {
        let mut bench = Bench::new(&Settings::default(), &[Fate::Refuses]);
        assert!(bench.enqueue(1, 1, "poison", 60) && bench.enqueue(2, 2, "bob", 30));
        let mut told = [bench.told().await, bench.told().await];
        told.sort_unstable();
        assert_eq!(told, [Told::Abandoned(1), Told::Committed(2)]);
        assert_eq!((bench.seconds(1), bench.seconds(2)), (None, Some(30)));
    }

    #[tokio::test]
    async fn of_two_rows_of_one_session_the_later_is_written_and_both_are_acknowledged() {
        let mut bench = Bench::new(&Settings::default(), &[]);
        assert!(bench.enqueue(1, 1, "bob", 60) && bench.enqueue(2, 1, "bob", 120));
        assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
        assert_eq!(bench.seconds(1), Some(120));
    }

    #[tokio::test]
    async fn a_second_transaction_runs_beside_the_first_and_has_no_row_of_its_logins() {
        let settings = Settings { transactions: 2, ..Settings::default() };
        let mut bench = Bench::new(&settings, &[Fate::Waits]);
        assert!(bench.enqueue(1, 1, "bob", 60));
        while !bench.database.fates.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(bench.enqueue(2, 1, "bob", 120) && bench.enqueue(3, 1, "bob", 180));
        let others: Vec<u8> = (4..).take(WORTHWHILE).collect();
        for number in &others {
            assert!(bench.enqueue(*number, *number, &format!("user{number}"), 30));
        }
        let mut told = Vec::new();
        for _ in &others {
            told.push(bench.told().await);
        }
        told.sort_unstable();
        assert_eq!(told, others.iter().copied().map(Told::Committed).collect::<Vec<_>>());
        assert_eq!(bench.seconds(1), None, "it runs yet");
        bench.database.go_on.notify_one();
        assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
        assert_eq!((bench.told().await, bench.seconds(1)), (Told::Committed(3), Some(180)));
    }

    #[tokio::test]
    async fn a_commit_that_is_well_does_not_speak_for_one_that_failed_beside_it() {
        let settings = Settings { transactions: 2, ..Settings::default() };
        let mut bench = Bench::new(&settings, &[Fate::Waits, Fate::Fails]);
        assert!(bench.enqueue(1, 1, "bob", 60));
        while bench.database.fates.lock().len() > 1 {
            tokio::task::yield_now().await;
        }
        for number in (2..).take(WORTHWHILE) {
            assert!(bench.enqueue(number, number, &format!("user{number}"), 30));
        }
        for _ in 0..WORTHWHILE {
            assert!(matches!(bench.told().await, Told::Abandoned(_)));
        }
        bench.database.go_on.notify_one();
        assert_eq!(bench.told().await, Told::Committed(1));
        tokio::task::yield_now().await;
        assert_eq!((bench.health.report().status, bench.seconds(2)), (HealthStatus::Degraded, None));
        // The next commit begins when it is known how the one before ended.
        for identifier in [100, 101] {
            assert!(bench.enqueue(identifier, 2, "user2", 30));
            assert_eq!(bench.told().await, Told::Committed(identifier));
        }
        assert_eq!((bench.health.report().status, bench.seconds(3)), (HealthStatus::Ok, Some(30)));
    }

    #[tokio::test]
    async fn what_failed_is_written_before_what_came_later_for_its_login() {
        let settings = Settings { transactions: 2, ..Settings::default() };
        let mut bench = Bench::new(&settings, &[Fate::Fails, Fate::Fails]);
        assert!(bench.enqueue(1, 1, "bob", 60));
        assert_eq!(bench.told().await, Told::Abandoned(1));
        assert!(bench.enqueue(2, 1, "bob", 120));
        assert_eq!(bench.told().await, Told::Abandoned(2));
        assert!(bench.enqueue(3, 2, "ann", 30));
        assert_eq!(bench.told().await, Told::Committed(3));
        assert_eq!((bench.seconds(1), bench.seconds(2)), (Some(120), Some(30)));
    }

    #[tokio::test]
    async fn fm_23_a_full_queue_takes_no_more() {
        let settings = Settings { queue: 2, ..Settings::default() };
        let mut bench = Bench::new(&settings, &[]);
        let taken = [1, 2, 3].map(|identifier| bench.enqueue(identifier, identifier, "bob", 1));
        assert_eq!((taken, bench.writer.has_room(), bench.writer.depth()), ([true, true, false], false, 2));
        assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
        assert_eq!((bench.seconds(3), bench.writer.has_room()), (None, true));
    }

    #[tokio::test]
    async fn fm_23_the_last_places_are_for_what_does_not_come_again() {
        let settings = Settings { queue: 8, ..Settings::default() };
        let mut bench = Bench::new(&settings, &[]);
        let interim = |bench: &Bench| {
            let pending = Pending { gives_way: true, ..Pending::default() };
            bench.writer.enqueue("bob", pending).is_ok()
        };
        assert!((1..=7).all(|identifier| bench.enqueue(identifier, identifier, "bob", 1)));
        assert_eq!((interim(&bench), bench.writer.depth()), (false, 7));
        assert!(bench.enqueue(8, 8, "bob", 1) && !bench.enqueue(9, 9, "bob", 1));
        assert_eq!(bench.told().await, Told::Committed(1));
        assert!(interim(&bench));
    }

    #[tokio::test]
    async fn what_follows_a_row_waits_until_it_is_durable() {
        let mut bench = Bench::new(&Settings::default(), &[Fate::Fails]);
        let reload = NasReload { nas: session().nas, at: UnixTime(1_700_000_000) };
        let pending = Pending {
            writes: smallvec![Write::NasReload(reload.clone())],
            after: smallvec![Effect::SweepNas(reload.clone())],
            ..Pending::default()
        };
        assert!(bench.writer.enqueue("", pending).is_ok());
        assert_eq!(bench.effects.recv().await, Some(Effect::SweepNas(reload)));
        assert!(bench.database.fates.lock().is_empty(), "the first commit failed, the second did not");
    }
}
