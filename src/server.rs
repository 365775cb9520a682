//! The composition root: builds everything from the settings, restores the sessions, opens the
//! sockets, and takes it all down again in the reverse order. Where the database is away and a snapshot of an
//! earlier run is there, it begins with that; `arrival` is what happens when the database answers.

mod arrival;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use self::arrival::{Arrival, Keys, Opening, Plan, Running, open_store};
use crate::config::{Settings, Unverifiable};
use crate::domain::Channel;
use crate::domain::operator::{Dialect, Rights};
use crate::engine::token::TokenKey;
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::gateway::Gateways;
use crate::net::coa::CoaSockets;
use crate::net::{self, Receivers, Sockets};
use crate::packs::{PackError, Packs};
use crate::radius::dictionary::{Dictionary, DictionaryError};
use crate::service::{self, Explainer, Front, Gateway as _, Health, ManagementGate, StandIn, fresh_key};
use crate::store::{SigningKey, SigningKeys, Snapshot, Spool, Store, StoreError};
use crate::telemetry::Metrics;
use crate::time::{Clock, UnixTime};
use crate::{coa, engine, gateway, http, sessions, store};

/// How long requests that were received may take to be answered once the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long rows that wait may take to be durable after that.
const FLUSH: Duration = Duration::from_secs(10);
/// How long HTTP requests may take to end.
const HTTP_DRAIN: Duration = Duration::from_secs(2);
/// How long the database may take to answer until the server begins without it, if it can.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);
/// What `/health` calls it.
const DATABASE: &str = "database";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("data_dir: {path}: {source}", path = path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another server runs on the same data directory.
    #[error("data_dir: {path}: another server uses it", path = path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A dictionary file of the site is wrong.
    #[error("radius.dictionaries: {0}")]
    Dictionary(#[from] DictionaryError),
    /// A vendor pack of the site is wrong.
    #[error("radius.packs: {0}")]
    Packs(#[from] PackError),
    /// The database is there and cannot be used. One that is away is done without, or waited for.
    #[error("database.url: {0}")]
    Store(#[from] StoreError),
    /// The spool in the data directory cannot be opened.
    #[error("spool: {0}")]
    Spool(StoreError),
    /// A RADIUS socket cannot be opened.
    #[error("radius: {0}")]
    Radius(#[from] net::BindError),
    /// A way for messages cannot be.
    #[error("{0}")]
    Messages(#[from] gateway::SettingsError),
    /// An HTTP listener cannot be opened.
    #[error("{0}")]
    Http(#[from] http::BindError),
    /// The system gives no more sockets or threads.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// The addresses that are open: the ready line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Access-Requests.
    pub auth: Vec<SocketAddr>,
    /// Accounting-Requests.
    pub accounting: Vec<SocketAddr>,
    /// HTTP listeners.
    pub http: http::Addresses,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: &[SocketAddr]| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            if addresses.is_empty() { "off".to_owned() } else { addresses.join(",") }
        };
        let one = |address: Option<SocketAddr>| list(&address.into_iter().collect::<Vec<_>>());
        write!(
            f,
            "ready auth={} accounting={} http={} ibsng={} antamedia={}",
            list(&self.auth),
            list(&self.accounting),
            one(self.http.http),
            one(self.http.ibsng),
            one(self.http.antamedia),
        )?;
        // Off unless it is asked for.
        self.http.xmlrpc.map_or(Ok(()), |address| write!(f, " xmlrpc={address}"))
    }
}

/// The running server.
pub struct Server {
    ready: Ready,
    receivers: Receivers,
    store: Arc<Store>,
    spool: Arc<Spool>,
    /// What there is once the database is there.
    running: Arc<Mutex<Option<Running>>>,
    arrival: Option<Arrival>,
    http: JoinHandle<()>,
    stop_http: oneshot::Sender<()>,
    certificates: http::Certificates,
    health: Arc<Health>,
    _identity: Identity,
}

/// What the server begins with.
enum First {
    /// The database, which is there.
    Database(Keys),
    /// What an earlier run has left, while the database is waited for.
    Snapshot(Box<Left>, Opening),
}

/// A snapshot.
struct Left {
    snapshot: Snapshot,
    store: Arc<Store>,
    taken: UnixTime,
}

impl Server {
    /// Connects and migrates the database, restores the sessions, opens every socket. Where the database cannot
    /// be reached, the server begins with the snapshot of an earlier run, and waits for the database where
    /// there is none.
    ///
    /// # Errors
    /// What cannot be mended by waiting.
    pub async fn start(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let started = clock.now();
        std::fs::create_dir_all(&settings.data_dir)
            .map_err(|source| StartError::DataDir { path: settings.data_dir.clone(), source })?;
        let identity = Identity::take(&settings.data_dir)?;
        let dictionary = dictionary(settings)?;
        let packs = packs(settings, &dictionary)?;
        for remark in packs.remarks() {
            tracing::warn!(%remark, "a part of a vendor pack is left out");
        }
        let gateways = Gateways::new(&settings.messages)?;
        let health = Arc::new(Health::default());
        let spool = Arc::new(Spool::open(&settings.spool()).await.map_err(StartError::Spool)?);
        let store_settings = store::Settings { server: Some(identity.number), ..settings.store() };
        let store = Arc::new(Store::lazy(&store_settings)?);
        let first = Box::pin(first(settings, &store)).await?;
        let class = match &first {
            First::Database(keys) => keys.class.clone(),
            First::Snapshot(left, _) => {
                left.store.signing_keys(SigningKey::Class, &fresh_key(&mut SystemEntropy)).await?
            }
        };
        let engine = service_settings(settings, &class, store.database()).engine;

        let sockets = Sockets::open(net_settings(settings), Arc::clone(&clock))?;
        let coa_sockets = CoaSockets::bind(coa::Settings::default().slots, None)?;
        let listeners = http::Listeners::bind(&settings.http).await?;
        let ready = Ready {
            auth: sockets.auth().to_vec(),
            accounting: sockets.accounting().to_vec(),
            http: listeners.addresses(),
        };

        let channels: Vec<Channel> =
            [Channel::Sms, Channel::Email].into_iter().filter(|channel| gateways.has(*channel)).collect();
        let gate = gate(settings, &store, engine, (&dictionary, &packs), &clock).with_gateways(channels);
        let plan = Plan {
            settings: settings.clone(),
            clock: Arc::clone(&clock),
            store: Arc::clone(&store),
            spool: Arc::clone(&spool),
            dictionary,
            packs,
            deliver: sockets.deliver(),
            sources: sockets.sources(),
            health: Arc::clone(&health),
            gate: gate.clone(),
            gateways,
            coa_sockets,
        };
        let running = Arc::new(Mutex::new(None));
        let (front, receivers, arrival) = match first {
            First::Database(keys) => {
                let service = Box::pin(plan.service(&keys)).await?;
                let front = Arc::new(Front::new(service.aaa()));
                let receivers = sockets.serve(Arc::clone(&front), Handle::current())?;
                *running.lock().await = Some(plan.run(service, &keys));
                (front, receivers, None)
            }
            First::Snapshot(left, opening) => {
                let stand_in = Box::pin(stand_in(&plan, &left, &class)).await?;
                let front = Arc::new(Front::new(stand_in.aaa()));
                let receivers = sockets.serve(Arc::clone(&front), Handle::current())?;
                let arrival =
                    Arrival::wait(plan, opening, stand_in, Arc::clone(&front), Arc::clone(&running));
                (front, receivers, Some(arrival))
            }
        };
        drop(front);
        let (stop_http, stopped) = oneshot::channel();
        let certificates = listeners.certificates();
        let shared = http::Shared {
            gate,
            throttle: http::Throttle::new(settings.http.failures_per_minute, Arc::clone(&clock)),
            guesses: http::Throttle::new(settings.http.failures_per_minute, Arc::clone(&clock)),
            dialects: Arc::new(http::Dialects {
                mfusion: settings.dialects.mfusion.clone(),
                antamedia: settings.dialects.antamedia.clone(),
                jaze: settings.dialects.jaze,
                ibsng: settings.dialects.ibsng,
            }),
            timeout: settings.http.timeout,
            health: Arc::clone(&health),
            metrics,
            clock,
            started: started.unix,
        };
        let http_settings = settings.http.clone();
        let http = tokio::spawn(async move {
            let until = async {
                // A sender that is gone means the same.
                let _ = stopped.await;
            };
            listeners.serve(&http_settings, shared, until, HTTP_DRAIN).await;
        });
        Ok(Self {
            ready,
            receivers,
            store,
            spool,
            running,
            arrival,
            http,
            stop_http,
            certificates,
            health,
            _identity: identity,
        })
    }

    /// What is open.
    #[must_use]
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What explains decisions from memory; `None` while the database is away since the start.
    pub async fn explainer(&self) -> Option<Explainer> {
        self.running.lock().await.as_ref().map(Running::explainer)
    }

    /// Puts the NAS entries of newly read settings in force, and reads certificates again. Everything else
    /// of a configuration is read at the start.
    ///
    /// # Errors
    /// The database's; the old entries stay. Certificates that cannot serve are told in the log, and the old
    /// ones stay.
    pub async fn reload(&self, settings: &Settings) -> Result<(), StoreError> {
        if let Err((key, error)) = self.certificates.reload(&settings.http) {
            tracing::error!(key, %error, "the certificate stays as it was");
        }
        self.store.replace_keys(Arc::clone(&settings.database.vault));
        self.store.settle_keys().await?;
        match &*self.running.lock().await {
            Some(running) => running.replace_nas(settings.nas.clone()).await,
            None => Err(StoreError::Unavailable { reason: "it has been away since the start".to_owned() }),
        }
    }

    /// Takes no new requests, answers those it has, makes durable what waits, and ends.
    pub async fn stop(mut self) {
        self.health.stopping();
        if !self.receivers.stop(DRAIN).await {
            tracing::warn!("some requests were not answered before the server stopped");
        }
        drop(self.receivers);
        if let Some(arrival) = self.arrival {
            arrival.stop().await;
        }
        let mut running = self.running.lock().await.take();
        if let Some(running) = &mut running {
            running.stop_beside().await;
        }
        // Before the database and the sockets that their requests need. Whoever serves may be gone already.
        let _ = self.stop_http.send(());
        let _ = self.http.await;
        match running {
            Some(running) => running.stop(FLUSH).await,
            None => {
                self.store.close().await;
                self.spool.close().await;
            }
        }
    }
}

/// Opens the database, or what an earlier run has left where it does not answer.
async fn first(settings: &Settings, store: &Arc<Store>) -> Result<First, StoreError> {
    let mut opening: Opening = Box::pin(open_store(Arc::clone(store), settings.database.shown()));
    if let Ok(keys) = tokio::time::timeout(DATABASE_PATIENCE, &mut opening).await {
        return keys.map(First::Database);
    }
    match left(settings).await {
        Ok(Some(left)) => return Ok(First::Snapshot(Box::new(left), opening)),
        Ok(None) => tracing::info!("no earlier run has left a snapshot to begin with"),
        Err(error) => tracing::warn!(%error, "the snapshot of an earlier run is of no use"),
    }
    opening.await.map(First::Database)
}

/// The snapshot of an earlier run, if there is one that can be used.
async fn left(settings: &Settings) -> Result<Option<Left>, StoreError> {
    let kept = settings.snapshot();
    if kept.every.is_zero() {
        return Ok(None);
    }
    let Some((snapshot, taken)) = Snapshot::open(&kept).await? else { return Ok(None) };
    let store = Arc::new(snapshot.store(&settings.database.vault).await?);
    Ok(Some(Left { snapshot, store, taken }))
}

/// Has the snapshot answer.
async fn stand_in(plan: &Plan, left: &Left, class: &SigningKeys) -> Result<StandIn, StoreError> {
    // Who was seen to sign is held to it.
    let _for_the_database = plan.sources.meet(left.store.signings().await?);
    let parts = plan.parts(class, Arc::clone(&left.store), None);
    let stand_in = StandIn::start(parts, &left.snapshot, &plan.store).await?;
    left.snapshot.close().await;
    let taken =
        jiff::Timestamp::from_second(left.taken.0).map_or_else(|_| String::new(), |at| at.to_string());
    tracing::warn!(taken, "the database is away: logins are answered as the snapshot of an earlier run says");
    let said = format!("away since the start; logins are answered as it was at {taken}");
    plan.health.degraded(DATABASE, &said, plan.clock.now().unix);
    Ok(stand_in)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("ready", &self.ready).finish_non_exhaustive()
    }
}

fn dictionary(settings: &Settings) -> Result<Arc<Dictionary>, DictionaryError> {
    if settings.radius.dictionaries.is_empty() {
        return Ok(Dictionary::embedded());
    }
    Dictionary::with_files(&settings.radius.dictionaries).map(Arc::new)
}

/// The packs, read with the names of the dictionary in force.
fn packs(settings: &Settings, dictionary: &Dictionary) -> Result<Arc<Packs>, PackError> {
    if settings.radius.packs.is_empty() && settings.radius.dictionaries.is_empty() {
        return Ok(Packs::embedded());
    }
    Packs::with_files(&settings.radius.packs, dictionary).map(Arc::new)
}

/// Who this server is among those that share its database; held while it runs.
struct Identity {
    /// The same at each start on one data directory.
    number: u64,
    /// The file that says it, locked: the data directory is one server's.
    _file: File,
}

impl Identity {
    /// Reads it, or makes one.
    fn take(data_dir: &Path) -> Result<Self, StartError> {
        let path = data_dir.join("server_id");
        let failed = |source| StartError::DataDir { path: path.clone(), source };
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::InUse { path: data_dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        if let Ok(number) = u64::from_str_radix(text.trim(), 16) {
            return Ok(Self { number, _file: file });
        }
        let number = SystemEntropy.number();
        let written =
            file.rewind().and_then(|()| writeln!(file, "{number:016x}")).and_then(|()| file.sync_all());
        written.map_err(failed)?;
        Ok(Self { number, _file: file })
    }
}

/// Where the operators of the APIs come in.
fn gate(
    settings: &Settings,
    store: &Store,
    engine: engine::Settings,
    (dictionary, packs): (&Arc<Dictionary>, &Arc<Packs>),
    clock: &Arc<dyn Clock>,
) -> ManagementGate {
    let antamedia = &settings.dialects.antamedia;
    // Its one passphrase does everything; passwords are shown where the settings say so.
    let rights = Rights { secrets: antamedia.reveal_passwords, ..Rights::ALL };
    let passphrase = settings.dialects.antamedia_passphrase.as_ref();
    ManagementGate::new(store.clone(), Arc::clone(dictionary), engine, Arc::clone(clock))
        .with_nases(Arc::clone(packs), settings.nas.clone())
        .with_passphrase(Dialect::Antamedia, passphrase, rights)
}

fn net_settings(settings: &Settings) -> net::Settings {
    let radius = &settings.radius;
    let defaults = net::Settings::default();
    net::Settings {
        auth: radius.auth.clone(),
        accounting: radius.accounting.clone(),
        sockets_per_port: radius.sockets_per_port,
        reject_delay: radius.reject_delay,
        logins_per_second_per_nas: radius.logins_per_second_per_nas,
        records_per_second_per_nas: radius.records_per_second_per_nas,
        duplicates: net::duplicates::Settings { lifetime: radius.duplicate_lifetime, ..defaults.duplicates },
        ..defaults
    }
}

/// Transactions beside each other: while one waits for the disk, the rows of another are written.
const COMMITS: usize = 3;

fn service_settings(settings: &Settings, keys: &SigningKeys, database: &str) -> service::Settings {
    let key = TokenKey::new(&keys.current).after(keys.previous.as_ref(), &keys.identity);
    let engine = engine::Settings {
        interim_interval: settings.sessions.interim_interval,
        week_start: settings.week_start,
        ..engine::Settings::new(key, settings.timezone.clone())
    };
    let expected = u64::from(engine.interim_interval);
    let sessions = sessions::Settings {
        zone: settings.timezone.clone(),
        expected_interval: (expected > 0).then(|| Duration::from_secs(expected)),
        stale_intervals: settings.sessions.stale_intervals,
        // Silence alone frees no place then: it may last as long as anything is believed to be open.
        stale_min: match settings.sessions.unverifiable {
            Unverifiable::Accept => settings.sessions.stale_min,
            Unverifiable::Reject => settings.sessions.stale_max,
        },
        stale_max: settings.sessions.stale_max,
        ..sessions::Settings::default()
    };
    let writer = service::writer::Settings {
        transactions: if database == "SQLite" { 1 } else { COMMITS },
        batch: usize::try_from(settings.database.batch_rows).unwrap_or(usize::MAX),
        commit_deadline: settings.database.commit_deadline,
        ..service::writer::Settings::default()
    };
    service::Settings {
        sessions,
        writer,
        login_records_per_second: settings.radius.login_records_per_second,
        login_limits: settings.radius.login_limits,
        reservation: settings.sessions.reservation,
        enforcement: settings.enforcement.clone(),
        ..service::Settings::new(engine)
    }
}
