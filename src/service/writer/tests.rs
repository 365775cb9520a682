//! What becomes of rows, in whatever way SQL and the spool fail.

use std::collections::HashMap;
use std::net::SocketAddr;

use parking_lot::Mutex;
use smallvec::smallvec;

use super::*;
use crate::coa::tests::session;
use crate::domain::{NasReload, Session, UniqueId};
use crate::service::health::HealthStatus;
use crate::store::SpoolSettings;
use crate::time::{SystemClock, UnixTime};

/// What becomes of a commit.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fails,
    /// The rows are durable and nobody learns of it.
    Unknown,
    Hangs,
    /// It takes until the test says so.
    Waits,
    /// It fails when the test says so.
    FailsLater,
    /// Rows of `poison` cannot be held.
    Refuses,
}

/// Commits as it is told to, then without fault.
#[derive(Default)]
struct Database {
    fates: Mutex<VecDeque<Fate>>,
    rows: Mutex<HashMap<UniqueId, Box<Session>>>,
    /// The seconds of each row, in the order in which they were written.
    written: Mutex<Vec<u64>>,
    go_on: Notify,
    fail: Notify,
}

impl CommitWrites for Database {
    async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let fate = self.fates.lock().pop_front();
        let away = Err(StoreError::Unavailable { reason: "told to".to_owned() });
        match fate {
            Some(Fate::Fails) => return away,
            Some(Fate::Hangs) => std::future::pending::<()>().await,
            Some(Fate::Waits) => self.go_on.notified().await,
            Some(Fate::FailsLater) => {
                self.fail.notified().await;
                return away;
            }
            Some(Fate::Unknown | Fate::Refuses) | None => {}
        }
        let mut refused = Vec::new();
        for (place, write) in writes.iter().enumerate() {
            match write {
                Write::Session(row) if fate == Some(Fate::Refuses) && row.user_name == "poison" => {
                    refused.push(place);
                }
                Write::Session(row) => {
                    self.written.lock().extend(row.session_time.reported);
                    self.rows.lock().insert(row.unique_id, row.clone());
                }
                _ => {}
            }
        }
        match fate {
            Some(Fate::Unknown) => away,
            Some(Fate::Refuses) => Err(StoreError::Refused { writes: refused, reason: "poison".to_owned() }),
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
    spool: Arc<Spool>,
    health: Arc<Health>,
    writer: Writer,
    told: mpsc::UnboundedReceiver<Told>,
    effects: mpsc::UnboundedReceiver<Effect>,
    _folder: tempfile::TempDir,
}

/// Nothing is late.
fn patient() -> Settings {
    Settings { commit_deadline: Duration::from_secs(60), ..Settings::default() }
}

/// Everything is late soon, and given up a little later.
fn impatient() -> Settings {
    Settings {
        commit_deadline: Duration::from_millis(10),
        commit_patience: Duration::from_millis(20),
        ..Settings::default()
    }
}

impl Bench {
    async fn new(settings: &Settings, fates: &[Fate]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spool.db");
        let spool = Arc::new(Spool::open(&SpoolSettings { file, max_bytes: 1 << 30 }).await.unwrap());
        let database = Arc::new(Database::default());
        database.fates.lock().extend(fates);
        let health = Arc::new(Health::default());
        let ((tell, told), (follow, effects)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let deliver: Arc<dyn Deliver> = Arc::new(Network(tell));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (writer, _) = Writer::start(settings, &database, &spool, &deliver, &follow, &clock, &health);
        Self { database, spool, health, writer, told, effects, _folder: folder }
    }

    /// The same with a spool that takes nothing.
    async fn without_spool(settings: &Settings, fates: &[Fate]) -> Self {
        let bench = Self::new(settings, fates).await;
        bench.spool.take_no_more().await;
        bench
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        while !what(self) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn is_well(&self) -> bool {
        self.health.report().status == HealthStatus::Ok
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
        self.writer.enqueue([user_name], pending).is_ok()
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
    let mut bench = Bench::new(&patient(), &[]).await;
    assert!(bench.enqueue(1, 1, "bob", 60));
    assert_eq!(bench.told().await, Told::Committed(1));
    assert_eq!(bench.seconds(1), Some(60));
}

#[tokio::test]
async fn fm_03_what_sql_does_not_take_is_acknowledged_from_the_spool_and_drained_in_order() {
    let mut bench = Bench::new(&impatient(), &[Fate::Fails, Fate::Hangs, Fate::Fails]).await;
    assert!(bench.enqueue(1, 1, "bob", 60));
    assert_eq!(bench.told().await, Told::Committed(1));
    let report = bench.health.report();
    assert_eq!(report.status, HealthStatus::Degraded);
    let said = report.components.iter().find(|component| component.name == "spool").unwrap();
    assert!(said.trouble.as_ref().unwrap().0.contains("told to"), "{said:?}");
    assert_eq!(bench.spool.measure().await.unwrap().rows, 1);
    for (identifier, seconds) in [(2, 120), (3, 180)] {
        assert!(bench.enqueue(identifier, 1, "bob", seconds));
        assert_eq!(bench.told().await, Told::Committed(identifier));
    }
    bench.until(Bench::is_well).await;
    assert_eq!(bench.spool.measure().await.unwrap().rows, 0);
    assert!(bench.database.written.lock().is_sorted(), "{:?}", bench.database.written);
    assert_eq!(bench.seconds(1), Some(180));
    // From then on it is SQL's again.
    assert!(bench.enqueue(4, 1, "bob", 240));
    assert_eq!(bench.told().await, Told::Committed(4));
    assert_eq!((bench.seconds(1), bench.spool.measure().await.unwrap().rows), (Some(240), 0));
}

#[tokio::test]
async fn a_late_transaction_goes_on_and_is_overtaken_by_nothing() {
    let settings = Settings { commit_patience: Duration::from_secs(60), transactions: 3, ..impatient() };
    let mut bench = Bench::new(&settings, &[Fate::Waits]).await;
    assert!(bench.enqueue(1, 1, "bob", 60));
    assert_eq!(bench.told().await, Told::Committed(1));
    for (identifier, number, seconds) in [(2, 1, 120), (3, 2, 30)] {
        assert!(bench.enqueue(identifier, number, "bob", seconds));
        assert_eq!(bench.told().await, Told::Committed(identifier));
    }
    assert_eq!((bench.seconds(1), bench.seconds(2)), (None, None));
    bench.database.go_on.notify_one();
    bench.until(Bench::is_well).await;
    assert_eq!((bench.seconds(1), bench.seconds(2)), (Some(120), Some(30)));
    // What was late is not written again.
    assert_eq!(bench.database.written.lock().iter().filter(|seconds| **seconds == 60).count(), 1);
    assert_eq!(bench.database.written.lock()[0], 60);
}

#[tokio::test]
async fn what_fails_after_something_newer_is_in_the_spool_does_not_overwrite_it() {
    let settings = Settings {
        transactions: 2,
        commit_deadline: Duration::from_millis(200),
        commit_patience: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut bench = Bench::new(&settings, &[Fate::Waits, Fate::FailsLater]).await;
    assert!(bench.enqueue(1, 1, "ann", 60));
    bench.until(|bench| bench.database.fates.lock().len() < 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for number in (2..).take(WORTHWHILE) {
        assert!(bench.enqueue(number, number, &format!("user{number}"), 60));
    }
    bench.until(|bench| bench.database.fates.lock().is_empty()).await;
    // The first is late: from now on everything goes into the spool, while the second runs.
    assert_eq!(bench.told().await, Told::Committed(1));
    assert!(bench.enqueue(100, 2, "user2", 120));
    while bench.told().await != Told::Committed(100) {}
    bench.database.fail.notify_one();
    bench.database.go_on.notify_one();
    bench.until(Bench::is_well).await;
    assert_eq!((bench.seconds(2), bench.seconds(3)), (Some(120), Some(60)));
}

#[tokio::test]
async fn what_is_newer_is_not_durable_before_the_row_that_it_counts_on() {
    let settings = Settings {
        transactions: 2,
        commit_deadline: Duration::from_millis(200),
        commit_patience: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut bench = Bench::new(&settings, &[Fate::Waits, Fate::Waits]).await;
    assert!(bench.enqueue(1, 1, "ann", 60));
    bench.until(|bench| bench.database.fates.lock().len() < 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let others: Vec<u8> = (2..).take(WORTHWHILE).collect();
    for number in &others {
        assert!(bench.enqueue(*number, *number, &format!("user{number}"), 60));
    }
    bench.until(|bench| bench.database.fates.lock().is_empty()).await;
    assert_eq!(bench.told().await, Told::Committed(1));
    // Another session of somebody whose usage is in the transaction that is not late yet: a server that is
    // killed now must not have this one's usage, in which the other's is, without the other.
    assert!(bench.enqueue(100, 100, "user2", 30) && bench.enqueue(101, 101, "carl", 30));
    assert_eq!(bench.told().await, Told::Committed(101), "who has no row there does not wait");
    let mut told = Vec::new();
    while told.last() != Some(&Told::Committed(100)) {
        told.push(bench.told().await);
    }
    assert!(others.iter().all(|number| told.contains(&Told::Committed(*number))), "{told:?}");
    bench.database.go_on.notify_waiters();
    bench.until(Bench::is_well).await;
    assert_eq!((bench.seconds(2), bench.seconds(100)), (Some(60), Some(30)));
}

#[tokio::test]
async fn however_many_wait_for_one_transaction_it_comes_to_its_end() {
    let settings = Settings {
        transactions: 2,
        commit_deadline: Duration::from_millis(200),
        commit_patience: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut bench = Bench::new(&settings, &[Fate::Waits, Fate::Waits]).await;
    assert!(bench.enqueue(1, 1, "ann", 60));
    bench.until(|bench| bench.database.fates.lock().len() < 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for number in (2..).take(WORTHWHILE) {
        assert!(bench.enqueue(number, number, &format!("user{number}"), 60));
    }
    bench.until(|bench| bench.database.fates.lock().is_empty()).await;
    assert_eq!(bench.told().await, Told::Committed(1));
    for _ in 0..2 * KEPT_TOGETHER {
        assert!(bench.enqueue(100, 100, "user2", 30));
    }
    for _ in 0..WORTHWHILE + 2 * KEPT_TOGETHER {
        assert!(matches!(bench.told().await, Told::Committed(_)));
    }
    bench.database.go_on.notify_waiters();
    bench.until(Bench::is_well).await;
    assert_eq!((bench.seconds(2), bench.seconds(100)), (Some(60), Some(30)));
}

#[tokio::test]
async fn records_that_come_all_the_time_do_not_keep_the_spool_from_being_drained() {
    let mut bench = Bench::new(&impatient(), &[Fate::Fails]).await;
    let mut seconds = 0;
    while seconds == 0 || !bench.is_well() {
        seconds += 1;
        assert!(bench.enqueue(1, 1, "bob", seconds));
        assert_eq!(bench.told().await, Told::Committed(1));
    }
    bench.until(|bench| bench.seconds(1) == Some(seconds)).await;
}

#[tokio::test]
async fn ac_02_what_nobody_takes_is_not_acknowledged_and_is_written_in_the_end() {
    for fate in [Fate::Fails, Fate::Hangs] {
        let mut bench = Bench::without_spool(&impatient(), &[fate]).await;
        assert!(bench.enqueue(1, 1, "bob", 60));
        assert_eq!(bench.told().await, Told::Abandoned(1));
        assert_eq!(bench.health.report().status, HealthStatus::Degraded);
        assert!(bench.enqueue(2, 2, "ann", 30));
        assert_eq!(bench.told().await, Told::Committed(2));
        assert_eq!((bench.seconds(1), bench.seconds(2)), (Some(60), Some(30)), "the first was kept");
        bench.until(Bench::is_well).await;
    }
}

#[tokio::test]
async fn what_is_late_and_finds_no_spool_is_acknowledged_once_it_is_durable() {
    let settings = Settings { commit_patience: Duration::from_secs(60), ..impatient() };
    let mut bench = Bench::without_spool(&settings, &[Fate::Waits]).await;
    assert!(bench.enqueue(1, 1, "bob", 60));
    bench.until(|bench| !bench.is_well()).await;
    bench.database.go_on.notify_one();
    assert_eq!(bench.told().await, Told::Committed(1));
    assert_eq!(bench.seconds(1), Some(60));
    bench.until(Bench::is_well).await;
}

#[tokio::test]
async fn fm_21_a_commit_of_unknown_fate_is_made_again_and_changes_nothing() {
    let mut bench = Bench::without_spool(&patient(), &[Fate::Unknown]).await;
    assert!(bench.enqueue(1, 1, "bob", 60));
    assert_eq!(bench.told().await, Told::Abandoned(1), "nobody knows that it is durable");
    assert_eq!(bench.seconds(1), Some(60));
    assert!(bench.enqueue(2, 1, "bob", 60));
    assert_eq!(bench.told().await, Told::Committed(2));
    assert_eq!((bench.seconds(1), bench.database.rows.lock().len()), (Some(60), 1));
    let mut bench = Bench::new(&patient(), &[Fate::Unknown]).await;
    assert!(bench.enqueue(1, 1, "bob", 60));
    assert_eq!(bench.told().await, Told::Committed(1));
    bench.until(Bench::is_well).await;
    assert_eq!((bench.seconds(1), bench.database.rows.lock().len()), (Some(60), 1));
}

#[tokio::test]
async fn fm_24_a_row_that_is_refused_is_set_aside_and_holds_up_no_other() {
    let mut bench = Bench::new(&patient(), &[Fate::Refuses]).await;
    assert!(bench.enqueue(1, 1, "poison", 60) && bench.enqueue(2, 2, "bob", 30));
    assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
    assert_eq!((bench.seconds(1), bench.seconds(2)), (None, Some(30)));
    let aside = bench.spool.poisoned(10).await.unwrap();
    let [Write::Session(row)] = &aside.iter().filter_map(|one| one.write.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("{aside:?}")
    };
    assert_eq!((row.user_name.as_str(), row.session_time.reported), ("poison", Some(60)));
    assert_eq!(bench.health.report().status, HealthStatus::Degraded);
}

#[tokio::test]
async fn fm_24_so_it_is_where_it_comes_to_sql_from_the_spool() {
    let mut bench = Bench::new(&patient(), &[Fate::Fails, Fate::Refuses]).await;
    assert!(bench.enqueue(1, 1, "poison", 60) && bench.enqueue(2, 2, "bob", 30));
    assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
    bench.until(|bench| bench.seconds(2) == Some(30)).await;
    while bench.spool.measure().await.unwrap().rows > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((bench.seconds(1), bench.spool.measure().await.unwrap().poisoned), (None, 1));
}

#[tokio::test]
async fn fm_24_a_row_that_cannot_even_be_set_aside_is_not_acknowledged() {
    let mut bench = Bench::without_spool(&patient(), &[Fate::Refuses]).await;
    assert!(bench.enqueue(1, 1, "poison", 60) && bench.enqueue(2, 2, "bob", 30));
    let mut told = [bench.told().await, bench.told().await];
    told.sort_unstable();
    assert_eq!(told, [Told::Abandoned(1), Told::Committed(2)]);
    assert_eq!((bench.seconds(1), bench.seconds(2)), (None, Some(30)));
}

#[tokio::test]
async fn fm_01_what_was_left_in_the_spool_is_drained_at_the_next_start() {
    let settings = Settings { commit_patience: Duration::from_millis(30), ..impatient() };
    let hangs = vec![Fate::Hangs; 100];
    let mut bench = Bench::new(&settings, &hangs).await;
    for identifier in 1..=3 {
        assert!(bench.enqueue(identifier, identifier, "bob", 60));
        assert_eq!(bench.told().await, Told::Committed(identifier));
    }
    let Bench { database, spool, writer, .. } = bench;
    drop(writer);
    assert!(database.rows.lock().is_empty());
    database.fates.lock().clear();
    drain_all(&*database, &spool, &SystemClock).await.unwrap();
    let left = spool.measure().await.unwrap().rows;
    assert_eq!((database.rows.lock().len(), left), (3, 0));
}

#[tokio::test]
async fn of_two_rows_of_one_session_the_later_is_written_and_both_are_acknowledged() {
    let mut bench = Bench::new(&patient(), &[]).await;
    assert!(bench.enqueue(1, 1, "bob", 60) && bench.enqueue(2, 1, "bob", 120));
    assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
    assert_eq!(bench.seconds(1), Some(120));
}

#[tokio::test]
async fn a_second_transaction_runs_beside_the_first_and_has_no_row_of_its_logins() {
    let settings = Settings { transactions: 2, ..patient() };
    let mut bench = Bench::new(&settings, &[Fate::Waits]).await;
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
    let settings = Settings { transactions: 2, ..patient() };
    let mut bench = Bench::without_spool(&settings, &[Fate::Waits, Fate::Fails]).await;
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
    let settings = Settings { transactions: 2, ..patient() };
    let mut bench = Bench::without_spool(&settings, &[Fate::Fails, Fate::Fails]).await;
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
    let settings = Settings { queue: 2, ..patient() };
    let mut bench = Bench::new(&settings, &[]).await;
    let taken = [1, 2, 3].map(|identifier| bench.enqueue(identifier, identifier, "bob", 1));
    assert_eq!((taken, bench.writer.has_room(), bench.writer.depth()), ([true, true, false], false, 2));
    assert_eq!([bench.told().await, bench.told().await], [Told::Committed(1), Told::Committed(2)]);
    assert_eq!((bench.seconds(3), bench.writer.has_room()), (None, true));
}

#[tokio::test]
async fn fm_23_five_times_the_capacity_is_served_at_capacity_and_what_was_acknowledged_is_stored() {
    const BATCH: usize = 16;
    const ROUNDS: usize = 60;
    let settings = Settings { queue: 4 * BATCH, batch: BATCH, ..patient() };
    let mut bench = Bench::new(&settings, &[Fate::Waits; ROUNDS]).await;
    let (mut offered, mut refused) = (0_u64, 0);
    let mut taken: VecDeque<(u8, u64)> = VecDeque::new();
    for round in 0..ROUNDS {
        for _ in 0..5 * BATCH {
            offered += 1;
            let number = u8::try_from(offered % 251).unwrap();
            if bench.enqueue(number, number, "bob", offered) {
                taken.push_back((number, offered));
            } else {
                refused += 1;
            }
        }
        assert!(bench.writer.depth() <= settings.queue, "round {round}");
        bench.database.go_on.notify_one();
        // As many as a commit takes, whatever else is asked for: nothing of the capacity is lost.
        for _ in 0..BATCH {
            let (number, seconds) = taken.pop_front().unwrap();
            assert_eq!(bench.told().await, Told::Committed(number), "round {round}");
            assert!(bench.seconds(number) >= Some(seconds), "it was acknowledged");
        }
    }
    assert!(refused > offered * 7 / 10, "{refused} of {offered} found no room, and will come again");
    for (number, seconds) in taken {
        assert_eq!(bench.told().await, Told::Committed(number));
        assert!(bench.seconds(number) >= Some(seconds));
    }
}

#[tokio::test]
async fn fm_23_the_last_places_are_for_what_does_not_come_again() {
    let settings = Settings { queue: 8, ..patient() };
    let mut bench = Bench::new(&settings, &[]).await;
    let interim = |bench: &Bench| {
        let pending = Pending { gives_way: true, ..Pending::default() };
        bench.writer.enqueue(["bob"], pending).is_ok()
    };
    assert!((1..=7).all(|identifier| bench.enqueue(identifier, identifier, "bob", 1)));
    assert_eq!((interim(&bench), bench.writer.depth()), (false, 7));
    assert!(bench.enqueue(8, 8, "bob", 1) && !bench.enqueue(9, 9, "bob", 1));
    assert_eq!(bench.told().await, Told::Committed(1));
    assert!(interim(&bench));
}

#[tokio::test]
async fn what_follows_a_row_waits_until_it_is_durable() {
    let mut bench = Bench::without_spool(&patient(), &[Fate::Fails]).await;
    let reload = NasReload { nas: session().nas, at: UnixTime(1_700_000_000) };
    let pending = Pending {
        writes: smallvec![Write::NasReload(reload.clone())],
        after: smallvec![Effect::SweepNas(reload.clone())],
        ..Pending::default()
    };
    assert!(bench.writer.enqueue([""], pending).is_ok());
    assert_eq!(bench.effects.recv().await, Some(Effect::SweepNas(reload)));
    assert!(bench.database.fates.lock().is_empty(), "the first commit failed, the second did not");
}
