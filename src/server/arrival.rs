//! What there is only once the database answers, at the start or later.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use super::{DATABASE, FLUSH, service_settings};
use crate::coa;
use crate::config::Settings;
use crate::domain::Nas;
use crate::entropy::SystemEntropy;
use crate::gateway::Gateways;
use crate::net::admission::Sources;
use crate::net::coa::CoaSockets;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::service::{
    Aaa, Deliver, Explainer, Front, Health, ManagementGate, Parts, Serve as _, Service, StandIn, fresh_key,
};
use crate::store::{SigningKey, SigningKeys, Snapshot, SnapshotSettings, Spool, Store, StoreError};
use crate::time::Clock;

/// Pause between two attempts to reach the database.
const DATABASE_RETRY: Duration = Duration::from_secs(1);
/// How often servers tell each other who signs.
const SIGNING_EVERY: Duration = Duration::from_secs(2);

/// The keys that the database holds.
#[derive(Clone)]
pub(super) struct Keys {
    /// Of the tokens in Class.
    pub(super) class: SigningKeys,
    /// Of those that operators show.
    pub(super) api: SigningKeys,
}

/// Ends when the database can be worked with.
pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Keys, StoreError>> + Send>>;

/// Connects, waits until nothing of an earlier run goes on there, and migrates. Says once that the database is
/// away, then waits for it.
pub(super) async fn open_store(store: Arc<Store>, shown: String) -> Result<Keys, StoreError> {
    let mut told = false;
    loop {
        let opened = async {
            store.check().await?;
            store.fence().await?;
            store.migrate().await?;
            store.settle_keys().await?;
            let fresh = || fresh_key(&mut SystemEntropy);
            Ok(Keys {
                class: store.signing_keys(SigningKey::Class, &fresh()).await?,
                api: store.signing_keys(SigningKey::Api, &fresh()).await?,
            })
        };
        match opened.await {
            Err(error) if StoreError::is_temporary(&error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(database = shown, %error, "waiting for the database");
                }
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            done => return done,
        }
    }
}

/// What a service is built from, but for what the database tells.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<Store>,
    pub(super) spool: Arc<Spool>,
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) packs: Arc<Packs>,
    pub(super) deliver: Arc<dyn Deliver>,
    pub(super) sources: Arc<Sources>,
    pub(super) health: Arc<Health>,
    pub(super) gate: ManagementGate,
    pub(super) gateways: Arc<Gateways>,
    pub(super) coa_sockets: CoaSockets,
}

impl Plan {
    /// What a service is built from that reads `store`.
    pub(super) fn parts(
        &self,
        class: &SigningKeys,
        store: Arc<Store>,
        snapshot: Option<SnapshotSettings>,
    ) -> Parts {
        Parts {
            settings: service_settings(&self.settings, class, self.store.database()),
            coa: coa::Settings::default(),
            clock: Arc::clone(&self.clock),
            store,
            spool: Arc::clone(&self.spool),
            dictionary: Arc::clone(&self.dictionary),
            packs: Arc::clone(&self.packs),
            nas: self.settings.nas.clone(),
            deliver: Arc::clone(&self.deliver),
            health: Arc::clone(&self.health),
            snapshot,
        }
    }

    /// The service, with everything read that it needs.
    pub(super) async fn service(&self, keys: &Keys) -> Result<Service, StoreError> {
        let snapshot = self.settings.snapshot();
        let snapshot = if snapshot.every.is_zero() {
            // One that is not kept up would mislead whoever wants it again.
            Snapshot::remove(&snapshot.file)?;
            None
        } else {
            Some(snapshot)
        };
        // Before the first request: who was seen to sign is held to it over a restart.
        self.signing().exchange().await?;
        Service::start(self.parts(&keys.class, Arc::clone(&self.store), snapshot)).await
    }

    /// Starts what runs beside the service.
    pub(super) fn run(self, service: Service, keys: &Keys) -> Running {
        let signing = self.signing().start(service.aaa(), Arc::clone(&self.health));
        let coa_sockets = tokio::spawn(self.coa_sockets.run(service.coa().clone()));
        let gate = self.gate.with_tokens(&keys.api.current, keys.api.previous.as_ref());
        let agenda = tokio::spawn(gate.with_coa(service.coa()).run_agenda(self.gateways));
        Running { service, coa_sockets, agenda, signing }
    }

    fn signing(&self) -> Signing {
        Signing { store: Arc::clone(&self.store), sources: Arc::clone(&self.sources), task: None }
    }
}

/// What runs on the database.
pub(super) struct Running {
    service: Service,
    coa_sockets: JoinHandle<()>,
    agenda: JoinHandle<()>,
    signing: Signing,
}

impl Running {
    pub(super) fn explainer(&self) -> Explainer {
        self.service.explainer()
    }

    /// Puts other NAS entries of the configuration file in force.
    pub(super) async fn replace_nas(&self, nas: Vec<Nas>) -> Result<(), StoreError> {
        self.service.replace_nas(nas).await
    }

    /// Stops what needs no requests of anybody.
    pub(super) async fn stop_beside(&mut self) {
        self.signing.stop().await;
        self.agenda.abort();
        let _ = (&mut self.agenda).await;
    }

    /// Stops the rest, once nobody asks any more.
    pub(super) async fn stop(self, patience: Duration) {
        self.coa_sockets.abort();
        let _ = self.coa_sockets.await;
        self.service.stop(patience).await;
    }
}

/// The database is waited for while a snapshot stands in for it.
pub(super) struct Arrival {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Arrival {
    /// Has the service take over once there is one.
    pub(super) fn wait(
        plan: Plan,
        opening: Opening,
        stand_in: StandIn,
        front: Arc<Front>,
        running: Arc<Mutex<Option<Running>>>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let (keys, service) = tokio::select! {
                there = Box::pin(arrived(&plan, opening)) => there,
                _ = stopped => return stand_in.stop(FLUSH).await,
            };
            Box::pin(stand_in.hand_over(&service, &front, FLUSH)).await;
            plan.health.ok(DATABASE);
            tracing::info!("the database is there: everything is as after any start");
            *running.lock().await = Some(plan.run(service, &keys));
        });
        Self { stop, task }
    }

    /// Waits no longer; what was acknowledged is in the spool.
    pub(super) async fn stop(self) {
        // The database may have come.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Starts the service as soon as that is possible. What stands in for it is better than nothing: what would
/// have kept the server from starting is told and waited for.
async fn arrived(plan: &Plan, mut opening: Opening) -> (Keys, Service) {
    loop {
        let started = async {
            let keys = opening.await?;
            let service = plan.service(&keys).await?;
            Ok::<_, StoreError>((keys, service))
        };
        match started.await {
            Ok(there) => return there,
            Err(error) => {
                tracing::error!(%error, "the database cannot be used");
                plan.health.degraded(DATABASE, &error.to_string(), plan.clock.now().unix);
                tokio::time::sleep(DATABASE_RETRY).await;
                opening = Box::pin(open_store(Arc::clone(&plan.store), plan.settings.database.shown()));
            }
        }
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
    fn start(self, aaa: Aaa, health: Arc<Health>) -> Self {
        let Self { store, sources, .. } = self;
        let shared = Self { store: Arc::clone(&store), sources: Arc::clone(&sources), task: None };
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SIGNING_EVERY).await;
                if let Err(error) = shared.exchange().await {
                    tracing::debug!(%error, "who signs was not noted; trying again");
                }
                let table = aaa.nas_table();
                let unsigned = table.told(&shared.sources.measure(&table));
                health.notice(
                    "signing",
                    unsigned.map(|nases| {
                        format!("logins without Message-Authenticator are served (CVE-2024-3596): {nases}")
                    }),
                );
            }
        });
        Self { store, sources, task: Some(task) }
    }

    /// Notes what is new, if the database takes it at once.
    async fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let noted = tokio::time::timeout(SIGNING_EVERY, self.exchange()).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::debug!("who signed in the last seconds was not noted");
        }
    }
}
