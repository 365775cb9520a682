//! Group commit: rows wait here, in order, for the transaction that makes them durable; then the
//! replies that depend on them leave together (DESIGN §3).
//!
//! Rows are absolute, so a batch keeps only the last one of each key, and a batch whose fate is
//! unknown is simply written again.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use super::answer::{Deliver, Waiter};
use super::health::Health;
use crate::domain::{Day, Effect, NasReload, Session, SubscriberId, UniqueId, Usage, Write};
use crate::store::{CommitWrites, StoreError};
use crate::telemetry::names;
use crate::time::{Clock, Now, UnixTime};

/// How rows are gathered and committed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Transactions that may run beside each other; rows of one subscriber always go through the
    /// same one. 1 on SQLite, which has one writer.
    pub lanes: usize,
    /// Entries that may wait in one lane; beyond it requests are dropped in silence (DESIGN §1, 10).
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
        Self { lanes: 1, queue: 65_536, batch: 512, commit_timeout: Duration::from_secs(5), backlog: 200_000 }
    }
}

/// What `/health` calls the writer.
const COMPONENT: &str = "writer";
/// The part of a lane that is kept for what does not give way: one of so many.
const KEPT_PART: usize = 8;
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What has to be durable, who waits for it and what follows.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Rows, in order.
    pub(super) writes: SmallVec<[Write; 2]>,
    /// The reply that may leave afterwards.
    pub(super) waiter: Option<Waiter>,
    /// What is done afterwards.
    pub(super) after: SmallVec<[Effect; 1]>,
    /// It gives way: the last places of a lane are not for it.
    pub(super) gives_way: bool,
}

/// Hands rows to the lanes. Cloning shares them; the lanes end when the last clone is gone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    lanes: Arc<[mpsc::Sender<Pending>]>,
    hasher: RandomState,
}

impl Writer {
    /// Starts the lanes on the current runtime. The handles end after the last row is durable.
    pub(super) fn start<S>(
        settings: &Settings,
        store: &Arc<S>,
        deliver: &Arc<dyn Deliver>,
        effects: &mpsc::UnboundedSender<Effect>,
        clock: &Arc<dyn Clock>,
        health: &Arc<Health>,
    ) -> (Self, Vec<tokio::task::JoinHandle<()>>)
    where
        S: CommitWrites + Send + Sync + 'static,
    {
        let mut lanes = Vec::new();
        let mut tasks = Vec::new();
        let troubles = Arc::new(Troubles { lanes: Mutex::default(), health: Arc::clone(health) });
        for number in 0..settings.lanes.max(1) {
            let (sender, receiver) = mpsc::channel(settings.queue);
            let lane = Lane {
                number,
                settings: settings.clone(),
                receiver,
                store: Arc::clone(store),
                deliver: Arc::clone(deliver),
                effects: effects.clone(),
                clock: Arc::clone(clock),
                troubles: Arc::clone(&troubles),
                meters: Meters::new(),
                batch: Batch::default(),
                failing: false,
            };
            lanes.push(sender);
            tasks.push(tokio::spawn(lane.run()));
        }
        (Self { lanes: lanes.into(), hasher: RandomState::new() }, tasks)
    }

    /// Queues rows behind all earlier ones of the same `login`.
    ///
    /// # Errors
    /// Gives the entry back if the lane is full or has ended.
    pub(super) fn enqueue(&self, login: &str, pending: Pending) -> Result<(), Box<Pending>> {
        let lane = self.lane(login);
        if pending.gives_way && lane.capacity() <= lane.max_capacity() / KEPT_PART {
            return Err(Box::new(pending));
        }
        lane.try_send(pending).map_err(|error| match error {
            mpsc::error::TrySendError::Full(pending) | mpsc::error::TrySendError::Closed(pending) => {
                Box::new(pending)
            }
        })
    }

    /// Is there room for a row that nobody would retransmit?
    pub(super) fn has_room(&self, login: &str) -> bool {
        self.lane(login).capacity() > 0
    }

    /// Entries that wait, over all lanes.
    pub(super) fn depth(&self) -> usize {
        self.lanes.iter().map(|lane| lane.max_capacity() - lane.capacity()).sum()
    }

    fn lane(&self, login: &str) -> &mpsc::Sender<Pending> {
        let lanes = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        let number = usize::try_from(self.hasher.hash_one(login) % lanes).unwrap_or(0);
        self.lanes.get(number).expect("the remainder is below the number of lanes")
    }
}

/// Which lanes cannot commit, and why: `/health` speaks of one writer, which is well once all of them are.
struct Troubles {
    lanes: Mutex<BTreeMap<usize, String>>,
    health: Arc<Health>,
}

impl Troubles {
    fn fails(&self, lane: usize, reason: String, now: UnixTime) {
        let mut lanes = self.lanes.lock();
        lanes.insert(lane, reason);
        self.tell(&lanes, now);
    }

    fn is_well(&self, lane: usize, now: UnixTime) {
        let mut lanes = self.lanes.lock();
        lanes.remove(&lane);
        self.tell(&lanes, now);
    }

    fn tell(&self, lanes: &BTreeMap<usize, String>, now: UnixTime) {
        match lanes.values().next() {
            Some(reason) => self.health.degraded(COMPONENT, reason, now),
            None => self.health.ok(COMPONENT),
        }
    }
}

struct Lane<S> {
    number: usize,
    settings: Settings,
    receiver: mpsc::Receiver<Pending>,
    store: Arc<S>,
    deliver: Arc<dyn Deliver>,
    effects: mpsc::UnboundedSender<Effect>,
    clock: Arc<dyn Clock>,
    troubles: Arc<Troubles>,
    meters: Meters,
    batch: Batch,
    /// The last commit failed.
    failing: bool,
}

impl<S: CommitWrites + Send + Sync + 'static> Lane<S> {
    async fn run(mut self) {
        let mut taken = Vec::with_capacity(self.settings.batch);
        let mut open = true;
        let mut pause = RETRY_MIN;
        while open || !self.batch.is_empty() {
            if self.batch.is_empty() {
                open = self.receiver.recv_many(&mut taken, self.settings.batch).await > 0;
            } else {
                // After a failure: what has come meanwhile joins what is still to be written.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
                while taken.len() < self.settings.batch && self.batch.rows() < self.settings.backlog {
                    match self.receiver.try_recv() {
                        Ok(pending) => taken.push(pending),
                        Err(mpsc::error::TryRecvError::Empty) => break,
                        Err(mpsc::error::TryRecvError::Disconnected) => {
                            open = false;
                            break;
                        }
                    }
                }
            }
            for pending in taken.drain(..) {
                self.batch.absorb(pending);
            }
            if self.batch.is_empty() {
                continue;
            }
            if self.commit().await {
                pause = RETRY_MIN;
            } else if !open {
                // Stopping: nobody waits for these rows any more than for a retransmission.
                break;
            }
        }
    }

    /// One transaction. On failure the rows stay for the next attempt and the waiters are let go, so
    /// that a retransmission is not taken for a duplicate in flight.
    async fn commit(&mut self) -> bool {
        let started = self.clock.now();
        let writes = self.batch.writes();
        let result = tokio::time::timeout(self.settings.commit_timeout, self.store.commit(&writes)).await;
        let failure = match result {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::Refused { writes: refused, reason })) => {
                self.set_aside(&writes, &refused, &reason);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {:?}", self.settings.commit_timeout)),
        };
        self.meters.committed(started, self.clock.now(), writes.len(), failure.is_some());
        match failure {
            None => {
                let mut waiters = self.batch.take_waiters();
                self.deliver.committed(&mut waiters);
                for effect in self.batch.after.drain(..) {
                    // The receiver is gone only while the server stops.
                    let _ = self.effects.send(effect);
                }
                self.batch.clear_rows();
                if std::mem::take(&mut self.failing) {
                    tracing::info!("accounting is stored again");
                    self.troubles.is_well(self.number, started.unix);
                }
                true
            }
            Some(reason) => {
                let mut waiters = self.batch.take_waiters();
                self.deliver.abandoned(&mut waiters);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%reason, "accounting cannot be stored and is not acknowledged");
                }
                let said =
                    format!("accounting is not acknowledged: {reason}; {} rows wait", self.batch.rows());
                self.troubles.fails(self.number, said, started.unix);
                false
            }
        }
    }
}

impl<S> Lane<S> {
    /// The database cannot hold some rows and never will: they are not acknowledged, and keep nobody else
    /// out. The rest of the batch is durable.
    fn set_aside(&mut self, writes: &[Write], refused: &[usize], reason: &str) {
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
        let mut abandoned = self.batch.waiters_of(&sessions);
        self.deliver.abandoned(&mut abandoned);
    }
}

/// Rows by key, the last one of each, and who waits for them.
#[derive(Debug, Default)]
struct Batch {
    sessions: HashMap<UniqueId, Box<Session>>,
    usage: HashMap<(SubscriberId, Day), Usage>,
    used: HashMap<SubscriberId, UnixTime>,
    reloads: Vec<NasReload>,
    /// With the session whose row each waits for, where it is one.
    waiters: Vec<(Option<UniqueId>, Waiter)>,
    after: Vec<Effect>,
}

impl Batch {
    fn absorb(&mut self, pending: Pending) {
        let session = pending.writes.iter().find_map(|write| match write {
            Write::Session(session) => Some(session.unique_id),
            _ => None,
        });
        for write in pending.writes {
            match write {
                Write::Session(session) => {
                    self.sessions.insert(session.unique_id, session);
                }
                Write::Usage { subscriber, day, total } => {
                    self.usage.insert((subscriber, day), total);
                }
                Write::NasReload(reload) => self.reloads.push(reload),
                Write::Used { subscriber, at } => match self.used.entry(subscriber) {
                    Entry::Occupied(mut held) => {
                        let latest = (*held.get()).max(at);
                        held.insert(latest);
                    }
                    Entry::Vacant(slot) => {
                        slot.insert(at);
                    }
                },
            }
        }
        self.waiters.extend(pending.waiter.map(|waiter| (session, waiter)));
        self.after.extend(pending.after);
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
        self.sessions.len() + self.usage.len() + self.used.len() + self.reloads.len()
    }

    fn is_empty(&self) -> bool {
        self.rows() == 0 && self.waiters.is_empty() && self.after.is_empty()
    }

    /// The rows in the order of their keys, which is the same in every transaction, so that two of
    /// them cannot wait for each other.
    fn writes(&self) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.rows());
        writes.extend(self.reloads.iter().cloned().map(Write::NasReload));
        let mut sessions: Vec<_> = self.sessions.values().collect();
        sessions.sort_unstable_by_key(|session| session.unique_id);
        writes.extend(sessions.into_iter().cloned().map(Write::Session));
        let mut usage: Vec<_> = self.usage.iter().collect();
        usage.sort_unstable_by_key(|(key, _)| **key);
        writes.extend(usage.into_iter().map(|((subscriber, day), total)| Write::Usage {
            subscriber: *subscriber,
            day: *day,
            total: *total,
        }));
        let mut used: Vec<_> = self.used.iter().collect();
        used.sort_unstable();
        writes.extend(
            used.into_iter().map(|(subscriber, at)| Write::Used { subscriber: *subscriber, at: *at }),
        );
        writes
    }

    fn clear_rows(&mut self) {
        self.sessions.clear();
        self.usage.clear();
        self.used.clear();
        self.reloads.clear();
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

    use smallvec::smallvec;
    use smol_str::SmolStr;

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
        /// Rows of `poison` cannot be held.
        Refuses,
    }

    /// Commits as it is told to, then without fault.
    #[derive(Default)]
    struct Database {
        fates: Mutex<VecDeque<Fate>>,
        /// Whose rows cannot be committed for now.
        barred: Mutex<HashSet<SmolStr>>,
        rows: Mutex<HashMap<UniqueId, Box<Session>>>,
    }

    impl CommitWrites for Database {
        async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
            let fate = self.fates.lock().pop_front();
            let away = Err(StoreError::Unavailable { reason: "told to".to_owned() });
            let barred = |write: &Write| match write {
                Write::Session(row) => self.barred.lock().contains(&row.user_name),
                _ => false,
            };
            if writes.iter().any(barred) {
                return away;
            }
            match fate {
                Some(Fate::Fails) => return away,
                Some(Fate::Hangs) => std::future::pending::<()>().await,
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
            // The lane says so after it has sent the replies.
            assert!(bench.enqueue(3, 2, "ann", 30));
            assert_eq!(bench.told().await, Told::Committed(3));
            assert_eq!(bench.health.report().status, HealthStatus::Ok);
        }
    }

    #[tokio::test]
    async fn a_lane_that_is_well_again_does_not_speak_for_one_that_is_not() {
        let mut bench = Bench::new(&Settings { lanes: 2, ..Settings::default() }, &[]);
        let elsewhere = |name: &String| !bench.writer.lane(name).same_channel(bench.writer.lane("bob"));
        let ann = (0..).map(|number| format!("ann{number}")).find(elsewhere).expect("there are two lanes");
        bench.database.barred.lock().extend([SmolStr::new_static("bob"), SmolStr::new(&ann)]);
        assert!(bench.enqueue(1, 1, "bob", 60));
        assert_eq!(bench.told().await, Told::Abandoned(1));
        assert!(bench.enqueue(2, 2, &ann, 60));
        assert_eq!(bench.told().await, Told::Abandoned(2));
        // A lane says how it is after it has sent the replies: the second one shows that it has.
        for (name, number, health) in
            [("bob", 1, HealthStatus::Degraded), (ann.as_str(), 2, HealthStatus::Ok)]
        {
            bench.database.barred.lock().remove(name);
            for identifier in [3, 4] {
                assert!(bench.enqueue(identifier, number, name, 90));
                assert_eq!(bench.told().await, Told::Committed(identifier));
            }
            assert_eq!(bench.health.report().status, health, "{name}");
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
    async fn fm_23_a_full_lane_takes_no_more() {
        let settings = Settings { queue: 2, ..Settings::default() };
        let mut bench = Bench::new(&settings, &[]);
        let taken = [1, 2, 3].map(|identifier| bench.enqueue(identifier, identifier, "bob", 1));
        assert_eq!(
            (taken, bench.writer.has_room("bob"), bench.writer.depth()),
            ([true, true, false], false, 2)
        );
        assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
        assert_eq!((bench.seconds(3), bench.writer.has_room("bob")), (None, true));
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
