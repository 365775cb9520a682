//! What answers where the database is away when the server starts: the directory, the usage and the sessions of
//! the snapshot of an earlier run, and what the spool holds beyond them.
//!
//! All of that is a guess, since nobody knows what was committed after it. So it decides about logins, and about
//! nothing that lasts: each record is applied here, so that the places and the usage that logins are held to are
//! as good as can be, and its rows are given up; the record itself goes into the spool as it was received
//! and is acknowledged from there. Once the database answers, a [`Service`] starts as any does and applies
//! it as the truth; then it takes over, with the places that are held for logins.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::aaa::Aaa;
use super::deferral::{self, PLACE_KEPT};
use super::front::Front;
use super::state::State;
use super::{Beside, Parts, RESTORE_PAGE, Service, build, flush, follow_effects, reap, spooling, warm};
use crate::domain::{ClassToken, Session, Write};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::sessions::{Device, Reservation};
use crate::store::{CommitWrites, Snapshot, Spool, Store, StoreError};
use crate::time::Now;

/// Records of the spool that are looked at at a time.
const RECORDS: u32 = 512;
/// How long what the spool holds may take to be applied before the service takes over all the same.
const APPLY_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stands in for a [`Service`].
pub struct StandIn {
    state: Arc<State>,
    spool: Arc<Spool>,
    tasks: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
}

/// Where rows go that follow from a guess.
struct Nowhere;

impl CommitWrites for Nowhere {
    async fn commit(&self, _: &[Write]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl StandIn {
    /// Reads what the snapshot and the spool have. The store of `parts` is that of the snapshot; the log of
    /// logins goes to `log`, when that answers.
    ///
    /// # Errors
    /// Those of the snapshot or the spool.
    pub async fn start(parts: Parts, snapshot: &Snapshot, log: &Arc<Store>) -> Result<Self, StoreError> {
        snapshot.take_in(&parts.spool).await?;
        let (state, beside) = build(&parts, &Arc::new(Nowhere), log, true);
        // What is settled is told to nobody.
        let Beside { committing, mut recorders, rounds, follow, settled: _ } = beside;
        let weak = Arc::downgrade(&state);
        let background = vec![
            tokio::spawn(rounds.run(weak.clone())),
            tokio::spawn(follow_effects(weak.clone(), None, follow)),
            tokio::spawn(reap(weak.clone())),
            tokio::spawn(warm(weak)),
            tokio::spawn(spooling::measure(
                Arc::clone(&parts.spool),
                Arc::clone(&parts.clock),
                Arc::clone(&parts.health),
            )),
        ];
        recorders.push(committing);
        let stand_in = Self { state, spool: parts.spool, tasks: recorders, background };
        stand_in.restore(snapshot).await?;
        Ok(stand_in)
    }

    async fn restore(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let state = &self.state;
        state.load_nases().await?;
        for reload in state.store.reloads().await? {
            state.remember_reload(&reload);
        }
        let mut after = String::new();
        loop {
            let (sessions, next) = snapshot.sessions(&after, RESTORE_PAGE).await?;
            state.restore(sessions, state.clock.now());
            match next {
                Some(next) => after = next,
                None => break,
            }
        }
        for reload in state.store.pending_reloads().await? {
            state.sweep(&reload).await;
        }
        let (aaa, mut after) = (self.aaa(), 0);
        loop {
            let records = self.spool.records(after, RECORDS).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = last.number;
            for record in &records {
                deferral::guess(&aaa, record).await;
            }
        }
    }

    /// The face of RADIUS.
    #[must_use]
    pub fn aaa(&self) -> Aaa {
        Aaa(Arc::clone(&self.state))
    }

    /// Has the service answer in its place, once that has applied what was acknowledged here. What is on its
    /// way to the spool still gets there, within `patience`.
    pub async fn hand_over(self, service: &Service, front: &Front, patience: Duration) {
        if tokio::time::timeout(APPLY_PATIENCE, self.applied()).await.is_err() {
            tracing::debug!("records of the spool are applied while others come");
        }
        // Twice: a login may come in between.
        let mut handed = HashSet::new();
        self.hand_places(&service.state, &mut handed);
        front.replace(service.aaa());
        self.hand_places(&service.state, &mut handed);
        self.stop(patience).await;
    }

    /// Waits until the service has applied the records that are in the spool now.
    async fn applied(&self) {
        let mut newest = 0;
        while let Ok(records) = self.spool.records(newest, RECORDS).await
            && let Some(last) = records.last()
        {
            newest = last.number;
        }
        while let Ok(oldest) = self.spool.records(0, 1).await
            && oldest.first().is_some_and(|record| record.number <= newest)
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Holds the places there that are held here and were not `handed` yet, and those of sessions whose records
    /// are not applied there.
    fn hand_places(&self, there: &State, handed: &mut HashSet<ClassToken>) {
        let now = self.state.clock.now();
        for owner in self.state.table.owners() {
            let (places, sessions) = {
                let Some(entry) = self.state.table.get(&owner) else { continue };
                let places = entry.reserved().iter().filter(|place| place.until > now.instant);
                let places = places.filter(|place| handed.insert(place.token)).cloned();
                let sessions: Vec<Session> = entry.sessions().filter(Session::is_open).collect();
                (places.collect::<Vec<_>>(), sessions)
            };
            if places.is_empty() && sessions.is_empty() {
                continue;
            }
            let mut entry = there.table.entry(&owner);
            for session in sessions.iter().filter(|session| !entry.has(session.unique_id)).collect::<Vec<_>>()
            {
                entry.reserve(place_of(session, now));
            }
            for place in places {
                entry.reserve(place);
            }
        }
    }

    /// Stops, with everything that was acknowledged in the spool.
    pub async fn stop(self, patience: Duration) {
        for task in self.background {
            task.abort();
            // Aborted or ended: either is fine.
            let _ = task.await;
        }
        let store = Arc::clone(&self.state.store);
        drop(self.state);
        flush(self.tasks.into_iter(), patience).await;
        store.close().await;
    }
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandIn").field("remembered", &self.state.index.len()).finish_non_exhaustive()
    }
}

/// The place of a session, as if its login had been accepted now.
fn place_of(session: &Session, now: Now) -> Reservation {
    let mut token = [0; 16];
    SystemEntropy.fill(&mut token);
    // Where it has no Calling-Station-Id it is told from others by its id.
    let device = Device::of(&session.calling_station_id, &session.nas, &session.acct_session_id);
    Reservation {
        token: session.token.unwrap_or(ClassToken(token)),
        device,
        nas: session.nas.clone(),
        until: now.instant + PLACE_KEPT,
        interim_interval: session.interval,
        granted: session.details.granted.clone(),
    }
}
