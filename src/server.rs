//! The composition root: builds everything from the settings, restores the sessions, opens the
//! sockets, and takes it all down again in the reverse order.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{Settings, Unverifiable};
use crate::domain::Channel;
use crate::domain::operator::{Dialect, Rights};
use crate::engine::token::TokenKey;
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::gateway::Gateways;
use crate::net::admission::Sources;
use crate::net::coa::CoaSockets;
use crate::net::{self, Receivers, Sockets};
use crate::packs::{PackError, Packs};
use crate::radius::dictionary::{Dictionary, DictionaryError};
use crate::service::{
    self, Aaa, Gateway as _, Health, ManagementGate, Parts, Serve as _, Service, fresh_key,
};
use crate::store::{SigningKey, Spool, Store, StoreError};
use crate::telemetry::Metrics;
use crate::time::Clock;
use crate::{coa, engine, gateway, http, sessions, store};

/// How long requests that were received may take to be answered once the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long rows that wait may take to be durable after that.
const FLUSH: Duration = Duration::from_secs(10);
/// How long HTTP requests may take to end.
const HTTP_DRAIN: Duration = Duration::from_secs(2);
/// Pause between two attempts to reach the database at the start.
const DATABASE_RETRY: Duration = Duration::from_secs(1);
/// How often servers tell each other who signs.
const SIGNING_EVERY: Duration = Duration::from_secs(2);

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
    /// The database is there and cannot be used. One that is away is waited for.
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
    service: Service,
    coa_sockets: JoinHandle<()>,
    http: JoinHandle<()>,
    agenda: JoinHandle<()>,
    signing: Signing,
    stop_http: oneshot::Sender<()>,
    certificates: http::Certificates,
    health: Arc<Health>,
    _identity: Identity,
}

impl Server {
    /// Connects and migrates the database, restores the sessions, opens every socket. A database that
    /// cannot be reached is waited for.
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
        let store = open_store(settings, identity.number).await?;
        let keys = store.signing_keys(SigningKey::Class, &fresh_key(&mut SystemEntropy)).await?;
        let key = TokenKey::new(&keys.current).after(keys.previous.as_ref(), &keys.identity);
        let service_settings = service_settings(settings, key, store.database());
        let coa_settings = coa::Settings::default();

        let sockets = Sockets::open(net_settings(settings), Arc::clone(&clock))?;
        let coa_sockets = CoaSockets::bind(coa_settings.slots, None)?;
        let listeners = http::Listeners::bind(&settings.http).await?;
        let ready = Ready {
            auth: sockets.auth().to_vec(),
            accounting: sockets.accounting().to_vec(),
            http: listeners.addresses(),
        };

        let gate = gate(settings, &store, &service_settings, (&dictionary, &packs), &clock).await?;
        let signing = Signing { store: Arc::clone(&store), sources: sockets.sources(), task: None };
        // Before the first request: who was seen to sign is held to it over a restart.
        signing.exchange().await?;
        let service = Service::start(Parts {
            settings: service_settings,
            coa: coa_settings,
            clock: Arc::clone(&clock),
            store,
            spool,
            dictionary,
            packs,
            nas: settings.nas.clone(),
            deliver: sockets.deliver(),
            health: Arc::clone(&health),
        })
        .await?;
        let receivers = sockets.serve(Arc::new(service.aaa()), Handle::current())?;
        let signing = signing.start(service.aaa());
        let coa_sockets = tokio::spawn(coa_sockets.run(service.coa().clone()));
        let (stop_http, stopped) = oneshot::channel();
        let certificates = listeners.certificates();
        let channels: Vec<Channel> =
            [Channel::Sms, Channel::Email].into_iter().filter(|channel| gateways.has(*channel)).collect();
        let shared = http::Shared {
            gate: gate.with_coa(service.coa()).with_gateways(channels),
            throttle: http::Throttle::new(settings.http.failures_per_minute, Arc::clone(&clock)),
            guesses: http::Throttle::new(settings.http.failures_per_minute, Arc::clone(&clock)),
            dialects: Arc::new(http::Dialects {
                mfusion: settings.dialects.mfusion.clone(),
                antamedia: settings.dialects.antamedia.clone(),
                jaze: settings.dialects.jaze,
            }),
            timeout: settings.http.timeout,
            health: Arc::clone(&health),
            metrics,
            clock,
            started: started.unix,
        };
        let agenda = tokio::spawn(shared.gate.clone().run_agenda(gateways));
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
            service,
            coa_sockets,
            http,
            agenda,
            signing,
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

    /// The service, for what runs in the same process.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
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
        self.signing.store.replace_keys(Arc::clone(&settings.database.vault));
        self.signing.store.settle_keys().await?;
        self.service.replace_nas(settings.nas.clone()).await
    }

    /// Takes no new requests, answers those it has, makes durable what waits, and ends.
    pub async fn stop(mut self) {
        self.health.stopping();
        if !self.receivers.stop(DRAIN).await {
            tracing::warn!("some requests were not answered before the server stopped");
        }
        drop(self.receivers);
        self.signing.stop().await;
        self.agenda.abort();
        let _ = self.agenda.await;
        // Before the database and the sockets that their requests need. Whoever serves may be gone already.
        let _ = self.stop_http.send(());
        let _ = self.http.await;
        self.coa_sockets.abort();
        let _ = self.coa_sockets.await;
        self.service.stop(FLUSH).await;
    }
}

/// Shares what is known of who signs with SQL, and so with other servers and with the next start.
struct Signing {
    store: Arc<Store>,
    sources: Arc<Sources>,
    task: Option<JoinHandle<()>>,
}

impl Signing {
    async fn exchange(&self) -> Result<(), StoreError> {
        for (seen, known) in self.sources.meet(self.store.signings().await?) {
            self.store.note_signing(&seen, known).await?;
            self.sources.noted(&seen);
        }
        Ok(())
    }

    /// Goes on every few seconds.
    fn start(self, aaa: Aaa) -> Self {
        let Self { store, sources, .. } = self;
        let shared = Self { store: Arc::clone(&store), sources: Arc::clone(&sources), task: None };
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SIGNING_EVERY).await;
                if let Err(error) = shared.exchange().await {
                    tracing::debug!(%error, "who signs was not noted; trying again");
                }
                shared.sources.measure(&aaa.nas_table());
            }
        });
        Self { store, sources, task: Some(task) }
    }

    /// Notes what is new, if the database takes it at once.
    async fn stop(self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let noted = tokio::time::timeout(SIGNING_EVERY, self.exchange()).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::debug!("who signed in the last seconds was not noted");
        }
    }
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

/// Connects, waits until nothing of an earlier run goes on there, and migrates. Says once that the database is
/// away, then waits for it.
async fn open_store(settings: &Settings, server: u64) -> Result<Arc<Store>, StoreError> {
    let store_settings = store::Settings { server: Some(server), ..settings.store() };
    let mut told = false;
    loop {
        let opened = async {
            let store = Store::connect(&store_settings).await?;
            store.fence().await?;
            store.migrate().await?;
            store.settle_keys().await?;
            Ok(store)
        };
        match opened.await {
            Ok(store) => return Ok(Arc::new(store)),
            Err(error) if StoreError::is_temporary(&error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(database = settings.database.shown(), %error, "waiting for the database");
                }
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Where the operators of the APIs come in.
async fn gate(
    settings: &Settings,
    store: &Store,
    service: &service::Settings,
    (dictionary, packs): (&Arc<Dictionary>, &Arc<Packs>),
    clock: &Arc<dyn Clock>,
) -> Result<ManagementGate, StoreError> {
    let tokens = store.signing_keys(SigningKey::Api, &fresh_key(&mut SystemEntropy)).await?;
    let antamedia = &settings.dialects.antamedia;
    // Its one passphrase does everything; passwords are shown where the settings say so.
    let rights = Rights { secrets: antamedia.reveal_passwords, ..Rights::ALL };
    let passphrase = settings.dialects.antamedia_passphrase.as_ref();
    let gate =
        ManagementGate::new(store.clone(), Arc::clone(dictionary), service.engine.clone(), Arc::clone(clock));
    Ok(gate
        .with_nases(Arc::clone(packs), settings.nas.clone())
        .with_tokens(&tokens.current, tokens.previous.as_ref())
        .with_passphrase(Dialect::Antamedia, passphrase, rights))
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

fn service_settings(settings: &Settings, key: TokenKey, database: &str) -> service::Settings {
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
