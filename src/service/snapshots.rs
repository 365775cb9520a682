//! Keeps the snapshot that the next start needs where the database is away then: what has changed, every
//! so often, and once more when the server stops.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Weak};
use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::Mutex;

use super::directory::Lookup;
use super::state::State;
use super::table::Owner;
use crate::domain::{Day, Session, UniqueId, Usage, Write};
use crate::sessions::{SubscriberSessions, day_of};
use crate::store::{ChangeCursor, Changes, Kept, Snapshot, SnapshotSettings, StoreError};
use crate::telemetry::names;

/// Subscribers that are copied at a time.
const PAGE: u32 = 1_000;
/// Changes that are read at a time.
const CHANGES: u32 = 5_000;
/// Logins that are copied at a time.
const LOGINS: usize = 500;
/// Owners whose sessions are looked at between two writes.
const OWNERS: usize = 500;
/// Usage of so many days may still change.
const OPEN_DAYS: i32 = 3;
/// How often it is looked whether everybody has been read, which goes first.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Keeps the snapshot of one run.
pub(super) struct Keeper {
    settings: SnapshotSettings,
    snapshot: Option<Snapshot>,
    /// How far the rows of the directory are here; `None` until all of them were copied.
    cursor: Option<ChangeCursor>,
    /// What each owner's sessions were like when they were put in.
    digests: HashMap<Owner, u64>,
    hasher: RandomState,
    /// Tells this run from those before.
    run: i64,
    /// The sessions of earlier runs are out.
    cleared: bool,
    failing: bool,
}

/// What of a session makes it worth to be put in again.
type Mark = (UniqueId, i64, [u64; 3], SmolStr);

impl Keeper {
    pub(super) fn new(settings: SnapshotSettings, run: i64) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            settings,
            snapshot: None,
            cursor: None,
            digests: HashMap::new(),
            hasher: RandomState::new(),
            run,
            cleared: false,
            failing: false,
        }))
    }

    /// Goes on until the state is gone.
    pub(super) async fn run(keeper: Arc<Mutex<Self>>, state: Weak<State>) {
        while state.upgrade().is_some_and(|state| !state.directory.is_warm()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        loop {
            let Some(state) = state.upgrade() else { return };
            let mut held = keeper.lock().await;
            held.round(&state).await;
            let pause = held.settings.every;
            drop((held, state));
            tokio::time::sleep(pause).await;
        }
    }

    /// Puts in what has changed. What the database does not tell now comes with another round.
    pub(super) async fn round(&mut self, state: &State) {
        let outcome = self.try_round(state).await;
        if let Err(error) = &outcome
            && !self.failing
        {
            tracing::warn!(%error, "the snapshot for a start without the database is not brought up to date");
        }
        self.failing = outcome.is_err();
    }

    async fn try_round(&mut self, state: &State) -> Result<(), StoreError> {
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => Snapshot::make(&self.settings).await?,
        };
        let snapshot = self.snapshot.insert(snapshot);
        let began = state.clock.now().unix;
        keep_sessions(state, snapshot, &mut self.digests, &self.hasher, self.run).await?;
        if !self.cleared {
            snapshot.forget_others(self.run).await?;
            self.cleared = true;
        }
        follow(state, snapshot, &mut self.cursor).await?;
        snapshot.copy_common(&state.store).await?;
        snapshot.is_taken(began).await?;
        metrics::gauge!(names::SNAPSHOT).set(f64::from(u32::try_from(began.0).unwrap_or(u32::MAX)));
        Ok(())
    }
}

/// Brings in the rows of the directory that have changed; all of them where nobody knows which.
async fn follow(
    state: &State,
    snapshot: &Snapshot,
    held: &mut Option<ChangeCursor>,
) -> Result<(), StoreError> {
    let (store, now) = (&state.store, state.clock.now().unix);
    let since = state.directory.usage_since(now);
    // It moves only once what it has passed is here.
    while let Some(mut cursor) = held.clone() {
        let page = store.changes_since(&mut cursor, CHANGES, now).await?;
        let Some(logins) = logins_of(&page) else {
            *held = None;
            break;
        };
        for logins in logins.chunks(LOGINS) {
            snapshot.copy_logins(store, logins, since, now).await?;
        }
        *held = Some(cursor);
        if !page.more {
            return Ok(());
        }
    }
    let cursor = store.change_cursor(now).await?;
    store.sight_all(now).await?;
    let mut after = i64::MIN;
    loop {
        let began = state.clock.now().instant;
        let Some(next) = snapshot.copy_page(store, after, PAGE, since).await? else { break };
        after = next;
        // Others want the database and the processor as well.
        tokio::time::sleep(state.clock.now().instant.saturating_duration_since(began)).await;
    }
    *held = Some(cursor);
    Ok(())
}

/// Whose rows changes are about; `None`: everybody's, for all that is known. What is no subscriber's is copied
/// whole anyway.
fn logins_of(changes: &Changes) -> Option<Vec<SmolStr>> {
    let mut logins = BTreeSet::new();
    for change in &changes.changes {
        match change.table.as_str() {
            "radcheck" | "radreply" | "radusergroup" | "tk_subscriber" | "tk_wallet" | "tk_quota"
            | "tk_term" => {
                if change.key.is_empty() {
                    return None;
                }
                logins.insert(change.key.clone());
            }
            _ => {}
        }
    }
    (!changes.lost).then(|| logins.into_iter().collect())
}

/// Puts the sessions and the usage of those in for whom something has changed.
async fn keep_sessions(
    state: &State,
    snapshot: &Snapshot,
    digests: &mut HashMap<Owner, u64>,
    hasher: &RandomState,
    run: i64,
) -> Result<(), StoreError> {
    let now = state.clock.now().unix;
    let recent = Day(day_of(now, &state.settings.sessions.zone).0.saturating_sub(OPEN_DAYS));
    for owners in state.table.owners().chunks(OWNERS) {
        let (mut changed, mut news) = (Vec::new(), Vec::new());
        for owner in owners {
            let Some(entry) = state.table.get(owner) else { continue };
            let sessions: Vec<Session> = entry.sessions().filter(Session::is_open).collect();
            let marks: Vec<Mark> = sessions.iter().map(mark).collect();
            let used = entry.lifetime();
            let digest = hasher.hash_one((marks, three(used), entry.cost().to_string()));
            if digests.get(owner) != Some(&digest) {
                changed.push((owner, kept(owner, sessions, &entry, recent)));
                news.push((owner.clone(), digest));
            }
        }
        for (owner, kept) in &mut changed {
            kept.rows.extend(uses(state, owner));
        }
        if !changed.is_empty() {
            let changed: Vec<Kept> = changed.into_iter().map(|(_, kept)| kept).collect();
            snapshot.keep(&changed, run).await?;
            digests.extend(news);
        }
    }
    Ok(())
}

fn mark(session: &Session) -> Mark {
    (session.unique_id, session.updated.0, three(session.total()), session.details.granted.clone())
}

const fn three(usage: Usage) -> [u64; 3] {
    [usage.seconds, usage.input, usage.output]
}

fn kept(owner: &Owner, sessions: Vec<Session>, entry: &SubscriberSessions, recent: Day) -> Kept {
    let mut rows = Vec::new();
    let mut cost = None;
    // Before somebody has claimed them, nobody knows what was used before.
    if let Some(subscriber) = entry.subscriber() {
        let days = entry.days().iter().filter(|(day, _)| *day >= recent).copied();
        let buckets = days.chain([(Day::LIFETIME, entry.lifetime())]);
        rows.extend(buckets.map(|(day, total)| Write::Usage { subscriber, day, total }));
        rows.extend(entry.top_ups().map(|(quota, used)| Write::TopUp { quota, used }));
        cost = (!entry.cost().is_zero()).then(|| (subscriber, entry.cost()));
    }
    Kept { owner: name(owner), sessions, rows, cost }
}

/// When the subscription was first and last used, which the change feed says nothing of.
fn uses(state: &State, owner: &Owner) -> Vec<Write> {
    let now = state.clock.now().instant;
    let Lookup::Known(known) = state.directory.lookup_owner(owner, now) else {
        return Vec::new();
    };
    let uses = known.uses();
    // A term that nobody has used yet has no last use.
    let at = uses.first.into_iter().flat_map(|first| [first, uses.last.unwrap_or(first)]);
    at.map(|at| Write::Used { subscriber: known.policy.id, at }).collect()
}

fn name(owner: &Owner) -> String {
    match owner {
        Owner::Subscriber(subscriber) => format!("s{}", subscriber.0),
        Owner::Login(login) => format!("l{login}"),
    }
}
