//! Fetches rows that a request needs and that are not in memory: everything that was asked for while
//! one query ran goes into the next one.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use smallvec::SmallVec;
use smol_str::SmolStr;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::answer::{NoReply, Wanted};
use super::state::State;
use crate::domain::text::mac_digits;
use crate::domain::{SessionKey, SubscriberId, UniqueId};
use crate::engine::policy::Mac;
use crate::store::StoreError;

/// Requests that may wait to be fetched for.
const QUEUE: usize = 32_768;
/// Requests served by one round of queries.
const BATCH: usize = 512;
/// Rounds that may run beside each other.
const ROUNDS: usize = 1;
/// A round that takes longer is given up: the NAS has sent its request again by then.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a request waits for its turn and its round. A NAS repeats itself after three seconds or so:
/// what comes later answers nobody, and only keeps the others waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct Request {
    who: Option<Wanted>,
    sessions: SmallVec<[(SessionKey, UniqueId); 2]>,
    done: oneshot::Sender<bool>,
}

#[derive(Debug)]
pub(super) struct Loader(mpsc::Sender<Request>);

/// The loader's end that does the work; started once the state it fills exists.
#[derive(Debug)]
pub(super) struct Rounds(mpsc::Receiver<Request>);

impl Loader {
    pub(super) fn new() -> (Self, Rounds) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), Rounds(receiver))
    }

    /// Resolves once everything asked for is in memory or known to be nowhere.
    pub(super) async fn load(
        &self,
        who: Option<Wanted>,
        sessions: SmallVec<[(SessionKey, UniqueId); 2]>,
    ) -> Result<(), NoReply> {
        let (done, loaded) = oneshot::channel();
        self.0.try_send(Request { who, sessions, done }).map_err(|_| NoReply::Overloaded)?;
        match tokio::time::timeout(PATIENCE, loaded).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(NoReply::StoreUnavailable),
        }
    }
}

impl Rounds {
    /// Serves until the state is gone.
    pub(super) async fn run(mut self, state: Weak<State>) {
        let permits = Arc::new(Semaphore::new(ROUNDS));
        let mut taken = Vec::with_capacity(BATCH);
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            if self.0.recv_many(&mut taken, BATCH).await == 0 {
                return;
            }
            let mut requests = std::mem::take(&mut taken);
            still_wanted(&mut requests);
            let Some(state) = state.upgrade() else { return };
            tokio::spawn(async move {
                let loaded = tokio::time::timeout(DEADLINE, round(&state, &requests)).await;
                let loaded = match loaded {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "rows were not loaded");
                        false
                    }
                    Err(_) => false,
                };
                for request in requests {
                    // Whoever asked may have given up.
                    let _ = request.done.send(loaded);
                }
                drop(permit);
            });
        }
    }
}

/// Leaves out what nobody waits for any more.
fn still_wanted(requests: &mut Vec<Request>) {
    requests.retain(|request| !request.done.is_closed());
}

async fn round(state: &State, requests: &[Request]) -> Result<(), StoreError> {
    let mut logins: BTreeSet<SmolStr> = BTreeSet::new();
    let mut numbers: BTreeSet<SubscriberId> = BTreeSet::new();
    let mut devices: BTreeSet<Mac> = BTreeSet::new();
    for wanted in requests.iter().filter_map(|request| request.who.as_ref()) {
        match wanted {
            Wanted::Login(login) => {
                logins.insert(login.clone());
            }
            Wanted::Subscriber(number) => {
                numbers.insert(*number);
            }
            Wanted::Device(mac) => {
                devices.insert(*mac);
            }
        }
    }
    let sessions: BTreeSet<_> =
        requests.iter().flat_map(|request| request.sessions.iter().copied()).collect();
    let numbers: Vec<_> = numbers.into_iter().collect();
    let sessions: Vec<_> = sessions.into_iter().collect();
    let subscribers = async {
        if !logins.is_empty() || !numbers.is_empty() {
            state.load_subscribers(&numbers, logins.clone()).await?;
        }
        // A login that nobody has may be a device that lets somebody in.
        let nobodys = logins.iter().filter_map(|login| {
            let mac = mac_digits(login.as_bytes())?;
            state.is_absent(login).then_some(mac)
        });
        devices.extend(nobodys);
        state.load_devices(devices.into_iter().collect()).await
    };
    let restored = async { if sessions.is_empty() { Ok(()) } else { state.load_sessions(&sessions).await } };
    tokio::try_join!(subscribers, restored).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ds_07_a_request_that_nobody_waits_for_any_more_is_not_fetched_for() {
        let (loader, mut rounds) = Loader::new();
        let loader = Arc::new(loader);
        let ask = |login: &'static str| {
            let loader = Arc::clone(&loader);
            let who = Some(Wanted::Login(login.into()));
            tokio::spawn(async move { loader.load(who, SmallVec::new()).await })
        };
        let (gone, _waits) = (ask("gone"), ask("waits"));
        let mut taken = Vec::new();
        while taken.len() < 2 {
            rounds.0.recv_many(&mut taken, BATCH).await;
        }
        gone.abort();
        assert!(gone.await.is_err());
        still_wanted(&mut taken);
        let wanted: Vec<_> = taken.into_iter().filter_map(|request| request.who).collect();
        assert_eq!(wanted, [Wanted::Login("waits".into())]);
    }
}
