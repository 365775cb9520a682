//! The state of the server and its faces: RADIUS ([`Aaa`]), dynamic authorization ([`coa::Coa`]),
//! management.
//!
//! Owns what is shared and in which order things happen: facts, decision, commit, reply, effects.
//! Refuses to know sockets and HTTP. Read [`answer`](Answer) for how it answers, then `aaa.rs`, then
//! `state.rs` and `writer.rs`.

mod aaa;
mod accounts;
mod agenda;
mod answer;
mod attributes;
pub mod coa;
mod credit;
mod customers;
mod deferral;
mod directory;
mod error;
mod explain;
mod feed;
mod front;
mod fups;
mod gate;
mod guesses;
mod health;
mod index;
mod keepsakes;
mod keys;
mod life;
mod limits;
mod loader;
mod management;
mod memo;
mod messages;
mod meters;
mod moves;
mod narrow;
mod numbered;
mod online;
mod own_account;
mod packages;
mod places;
mod plans;
mod portraits;
mod quotas;
mod reconciler;
mod recorder;
mod reports;
mod serve;
mod silent;
mod snapshots;
mod spooling;
mod stand_in;
mod state;
mod subscribers;
mod table;
mod tenure;
mod visitors;
mod warnings;
pub mod writer;

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

pub use crate::store::Whose;
pub use aaa::Aaa;
pub use accounts::{AccountError, Refilled};
pub use agenda::{Gateway, GatewayError, NoGateway};
pub use answer::{Acknowledgement, Answer, Deliver, NoReply, Resolved, Waiter, Wanted, Work};
pub use attributes::{MASK, is_secret, shown};
pub use credit::ChargeRuleOrder;
pub use customers::CustomerOrder;
pub use error::{Denial, ServiceError};
pub use explain::{Explainer, Explanation, Imagined};
pub use front::Front;
pub use gate::{Issued, ManagementGate, OperatorCredential};
pub use guesses::LoginLimits;
pub use health::{ComponentHealth, Health, HealthReport, HealthStatus};
pub use keys::{MadeKey, fresh_key, random_secret};
pub use limits::{AccountLimits, Both, IDLE_SECONDS, Idle, Left, Limit, LimitChange, Turn};
pub use management::{Management, PlanChange, Proof, SubscriberChange, SubscriberOrder};
pub use messages::{MessageOrder, MessageTemplate};
pub use moves::{MoveOptions, MoveWhen, Release, RenewFrom};
pub use numbered::{CUSTOMERS_MAX, CustomerError, CustomersOrder, Letters, MadeUp, RandomWords};
pub use own_account::OwnAccount;
pub use packages::{Change, Purse};
pub use portraits::{Binding, Cycle, GroupFigures, Portrait, Stand, StatusCounts};
pub use quotas::{Balance, Lapse, UsageReport};
pub use serve::Serve;
pub use stand_in::StandIn;
pub use state::Settings;
pub use subscribers::{AttributeOrder, AttributeOutcome};
pub use visitors::{Resumed, VisitError, Visiting, Visitor};
pub use warnings::{RowWarnings, row_warnings};

use self::coa::Coa;
use self::deferral::Deferral;
use self::directory::Directory;
use self::feed::Feed;
use self::guesses::Guesses;
use self::index::Index;
use self::keepsakes::Keepsakes;
use self::loader::{Loader, Rounds};
use self::memo::Memo;
use self::meters::Meters;
use self::narrow::Narrow;
use self::reconciler::Reconciler;
use self::recorder::Recorder;
use self::silent::Silent;
use self::snapshots::Keeper;
use self::state::State;
use self::table::Table;
use self::writer::Writer;
use crate::domain::{Effect, Nas, NasTable};
use crate::engine::Compiler;
use crate::entropy::SystemEntropy;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::store::{CommitWrites, SnapshotSettings, Spool, Store, StoreError};
use crate::telemetry::names;
use crate::time::Clock;

/// What the service is built from.
pub struct Parts {
    /// How it behaves.
    pub settings: Settings,
    /// How dynamic authorization behaves.
    pub coa: crate::coa::Settings,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The database, migrated.
    pub store: Arc<Store>,
    /// What was acknowledged and is not in the database yet.
    pub spool: Arc<Spool>,
    /// Names and types of attributes.
    pub dictionary: Arc<Dictionary>,
    /// What each NAS type calls things.
    pub packs: Arc<Packs>,
    /// NAS entries of the configuration file.
    pub nas: Vec<Nas>,
    /// Sends the replies that wait for commits.
    pub deliver: Arc<dyn Deliver>,
    /// Where troubles are told.
    pub health: Arc<Health>,
    /// Where the snapshot is kept from which a server starts without its database; `None`: nowhere.
    pub snapshot: Option<SnapshotSettings>,
}

/// Rows of one page at the start.
const RESTORE_PAGE: u32 = 5_000;
/// Subscribers of one page of warming.
const WARM_PAGE: u32 = 1_000;
/// How often deadlines of sessions are looked at.
const REAP_EVERY: Duration = Duration::from_secs(2);
/// Closed sessions that are taken back into memory at the start, at most.
const TOMBSTONES_RESTORED: u32 = 100_000;
/// How long the last round of the snapshot may take while the server stops.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which nobody works on an order any more that some server took.
const ORDER_PATIENCE: u64 = 300;
/// The running service.
pub struct Service {
    state: Arc<State>,
    spool: Arc<Spool>,
    coa: Coa,
    committing: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    recorders: Vec<JoinHandle<()>>,
    keeper: Option<Arc<tokio::sync::Mutex<Keeper>>>,
}

impl Service {
    /// Restores the sessions from SQL and starts everything that runs beside the packets. Subscribers
    /// are read ahead of time in the background; until then they are read when they log in.
    ///
    /// # Errors
    /// The database's.
    pub async fn start(parts: Parts) -> Result<Self, StoreError> {
        let now = parts.clock.now();
        // Before anything is read: what is restored is all that was acknowledged.
        writer::drain_all(&*parts.store, &parts.spool, &*parts.clock).await?;
        parts.health.ok("spool");
        let cursor = parts.store.change_cursor(now.unix).await?;
        let (state, beside) = build(&parts, &parts.store, &parts.store, false);
        let Beside { committing, mut recorders, rounds, settled, follow } = beside;
        state.load_nases().await?;
        // What a server took before a crash was perhaps sent; nobody knows what came of it.
        state.store.give_up_jobs(now.unix.minus(ORDER_PATIENCE), now.unix).await?;
        let reloads = restore(&state).await?;
        let sessions: Arc<dyn coa::Sessions> = Arc::clone(&state) as Arc<dyn coa::Sessions>;
        let (coa, coa_recorder) =
            Coa::new(parts.coa, sessions, parts.dictionary, parts.packs, Arc::clone(&parts.clock));
        recorders.push(tokio::spawn(coa_recorder.run(Store::clone(&state.store))));
        let weak = Arc::downgrade(&state);
        for reload in reloads {
            // After a crash between the durable row and the sweep.
            let state = Arc::clone(&state);
            tokio::spawn(async move { sweep(&state, &reload).await });
        }
        let keeper = parts.snapshot.map(|settings| Keeper::new(settings, now.unix.0));
        let mut background = vec![
            tokio::spawn(rounds.run(weak.clone())),
            tokio::spawn(Feed::new(cursor, coa.clone(), now.unix).run(weak.clone())),
            tokio::spawn(follow_effects(weak.clone(), Some(coa.clone()), follow)),
            tokio::spawn(reap(weak.clone())),
            tokio::spawn(reconciler::run(weak.clone(), coa.clone())),
            tokio::spawn(deferral::apply(weak.clone(), Arc::clone(&parts.spool), settled)),
            tokio::spawn(warm(weak.clone())),
            tokio::spawn(spooling::measure(
                Arc::clone(&parts.spool),
                Arc::clone(&parts.clock),
                Arc::clone(&parts.health),
            )),
        ];
        if let Some(keeper) = &keeper {
            background.push(tokio::spawn(Keeper::run(Arc::clone(keeper), weak)));
        }
        Ok(Self { state, spool: parts.spool, coa, committing, background, recorders, keeper })
    }

    /// The face of RADIUS.
    #[must_use]
    pub fn aaa(&self) -> Aaa {
        Aaa(Arc::clone(&self.state))
    }

    /// What explains decisions from memory.
    #[must_use]
    pub fn explainer(&self) -> Explainer {
        Explainer(Arc::clone(&self.state))
    }

    /// The face of dynamic authorization.
    #[must_use]
    pub const fn coa(&self) -> &Coa {
        &self.coa
    }

    /// Puts other NAS entries of the configuration file in force, beside those of the table.
    ///
    /// # Errors
    /// The database's; the old entries stay in force.
    pub async fn replace_nas(&self, nas: Vec<Nas>) -> Result<(), StoreError> {
        *self.state.configured.lock() = nas;
        self.state.load_nases().await
    }

    /// Stops what runs beside the packets and makes durable what waits. To be called once nothing is
    /// received any more; every [`Aaa`] must be gone within `patience`, or its rows are given up.
    pub async fn stop(self, patience: Duration) {
        self.coa.stop();
        for task in self.background {
            task.abort();
            // Aborted or ended: either is fine.
            let _ = task.await;
        }
        drop(self.coa);
        if let Some(keeper) = self.keeper {
            let round = async { keeper.lock().await.round(&self.state).await };
            if tokio::time::timeout(SNAPSHOT_PATIENCE, round).await.is_err() {
                tracing::debug!("the snapshot is as it was a while ago");
            }
        }
        let store = Arc::clone(&self.state.store);
        drop(self.state);
        flush(std::iter::once(self.committing).chain(self.recorders), patience).await;
        store.close().await;
        self.spool.close().await;
    }
}

/// Waits for what makes rows durable; every sender must be gone.
async fn flush(tasks: impl Iterator<Item = JoinHandle<()>>, patience: Duration) {
    let flushed = async {
        for task in tasks {
            let _ = task.await;
        }
    };
    if tokio::time::timeout(patience, flushed).await.is_err() {
        tracing::warn!("rows wait in the spool for the database, or were not acknowledged");
    }
}

/// What runs beside a state, or waits to.
struct Beside {
    committing: JoinHandle<()>,
    recorders: Vec<JoinHandle<()>>,
    rounds: Rounds,
    settled: mpsc::UnboundedReceiver<i64>,
    follow: mpsc::UnboundedReceiver<Effect>,
}

/// An empty state whose rows go to `sql`, and what is a log to `log`. `guesses`: see [`StandIn`].
fn build<S>(parts: &Parts, sql: &Arc<S>, log: &Arc<Store>, guesses: bool) -> (Arc<State>, Beside)
where
    S: CommitWrites + Send + Sync + 'static,
{
    let settings = &parts.settings;
    let (effects, follow) = mpsc::unbounded_channel();
    let (writer, committing) = Writer::start(
        &settings.writer,
        sql,
        &parts.spool,
        &parts.deliver,
        &effects,
        &parts.clock,
        &parts.health,
    );
    // The writer holds the senders from here on.
    drop(effects);
    let (recorder, recorder_task) = Recorder::start(Arc::clone(log), settings.login_records_per_second);
    let (keepsakes, keeping) = Keepsakes::start(Arc::clone(log));
    let (loader, rounds) = Loader::new();
    let (deferral, deferral_task, settled) =
        Deferral::start(&parts.spool, &parts.deliver, &parts.clock, &parts.health);
    let compiler = Compiler { dictionary: Arc::clone(&parts.dictionary), zone: settings.engine.zone.clone() };
    let state = Arc::new(State {
        slow_passwords: Arc::new(Semaphore::new(settings.slow_passwords.max(1))),
        directory: Directory::new(compiler, settings.sessions.zone.clone()),
        guesses: Guesses::new(settings.login_limits),
        clock: Arc::clone(&parts.clock),
        store: Arc::clone(&parts.store),
        dictionary: Arc::clone(&parts.dictionary),
        packs: Arc::clone(&parts.packs),
        table: Table::default(),
        index: Index::default(),
        writer,
        recorder,
        keepsakes,
        loader,
        deferral,
        memo: Memo::new(&mut SystemEntropy),
        reconciler: Reconciler::new(settings.enforcement.clone()),
        silent: Silent::default(),
        narrow: Narrow::default(),
        health: Arc::clone(&parts.health),
        meters: Meters::new(),
        nas: ArcSwap::from_pointee(NasTable::default()),
        configured: Mutex::new(parts.nas.clone()),
        reloads: DashMap::new(),
        wide_counters: DashMap::new(),
        stands_in: guesses,
        settings: settings.clone(),
    });
    let recorders = vec![recorder_task, keeping, deferral_task];
    (state, Beside { committing, recorders, rounds, settled, follow })
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("remembered", &self.state.index.len()).finish_non_exhaustive()
    }
}

/// Takes the open sessions, those that closed a moment ago and the reboots back into memory. Gives the
/// reboots whose sessions are still to be closed.
async fn restore(state: &State) -> Result<Vec<crate::domain::NasReload>, StoreError> {
    let now = state.clock.now();
    let pending = state.store.pending_reloads().await?;
    for reload in state.store.reloads().await? {
        state.remember_reload(&reload);
    }
    let mut after = None;
    loop {
        let page = state.store.open_sessions(after.as_ref(), RESTORE_PAGE).await?;
        if page.unreadable > 0 {
            tracing::warn!(rows = page.unreadable, "open rows of radacct have no usable acctuniqueid");
        }
        state.restore(page.sessions, now);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let since = now.unix.minus(state.settings.sessions.tombstone.as_secs());
    state.restore(state.store.closed_since(since, TOMBSTONES_RESTORED).await?, now);
    Ok(pending)
}

/// Reads every subscriber ahead of time.
async fn warm(state: Weak<State>) {
    let mut after = None;
    let mut sighted = false;
    loop {
        let Some(state) = state.upgrade() else { return };
        let step = async {
            if !sighted {
                state.store.sight_all(state.clock.now().unix).await?;
                sighted = true;
            }
            let generation = state.directory.generation();
            let now = state.clock.now().unix;
            let since = state.directory.usage_since(now);
            let rows = state.store.subscriber_page(after, WARM_PAGE, since).await?;
            let last = rows.last().map(|row| row.id);
            state.directory.warm(&state.store, rows, since, generation, now).await?;
            Ok::<_, StoreError>(last)
        };
        match step.await {
            Ok(Some(last)) => after = Some(last),
            Ok(None) => {
                state.directory.has_warmed();
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "subscribers are not read ahead of time; trying again");
                drop(state);
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }
}

/// Does what may wait until a reply is on its way.
async fn follow_effects(state: Weak<State>, coa: Option<Coa>, mut effects: mpsc::UnboundedReceiver<Effect>) {
    while let Some(effect) = effects.recv().await {
        let Some(state) = state.upgrade() else { return };
        match effect {
            Effect::SweepNas(reload) => {
                tokio::spawn(async move { sweep(&state, &reload).await });
            }
            Effect::DynamicAuth { session, order } => {
                if let Some(coa) = &coa {
                    coa.order(session, order);
                }
            }
            Effect::Settled(number) => state.deferral.settled(number),
            Effect::Record(attempt) => state.recorder.record(state.clock.now(), || *attempt),
        }
    }
}

async fn sweep(state: &State, reload: &crate::domain::NasReload) {
    state.sweep(reload).await;
    if let Err(error) = state.store.reload_swept(reload, state.clock.now().unix).await {
        // It is swept again after the next start, which changes nothing.
        tracing::debug!(%error, "the end of a sweep was not noted");
    }
}

/// Looks at the deadlines of sessions and tells how many there are.
async fn reap(state: Weak<State>) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        let Some(state) = state.upgrade() else { return };
        let (open, reserved) = state.reap(state.clock.now());
        let gauge = |name: &'static str, value: usize| {
            metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        };
        gauge(names::SESSIONS_ONLINE, open);
        gauge(names::RESERVATIONS, reserved);
        gauge(names::SUBSCRIBERS, state.directory.len());
        metrics::gauge!(names::QUEUE_DEPTH, "queue" => "writer")
            .set(f64::from(u32::try_from(state.writer.depth()).unwrap_or(u32::MAX)));
    }
}
