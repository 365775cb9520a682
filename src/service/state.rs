//! What the server knows, shared by its faces: NASes, subscribers, sessions, the writer.
//!
//! The lock is the subscriber's: an entry of [`State::table`]. Inside it only pure code and
//! queueing run; nothing awaits and no other subscriber's entry is touched. Indexes are updated under it
//! and read without it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Semaphore;

use super::deferral::Deferral;
use super::directory::{Directory, Known, Lookup};
use super::guesses::{Guesses, LoginLimits};
use super::health::Health;
use super::index::Index;
use super::keepsakes::Keepsakes;
use super::loader::Loader;
use super::memo::Memo;
use super::meters::Meters;
use super::narrow::Narrow;
use super::reconciler::Reconciler;
use super::recorder::Recorder;
use super::silent::Silent;
use super::table::{Owner, Table};
use super::writer::{self, Pending, Writer};
use crate::coa::agenda;
use crate::domain::{
    AccountingRecord, CloseGuess, Nas, NasIdentity, NasReload, NasTable, PackId, Session, SessionKey,
    SubscriberId, UniqueId,
};
use crate::engine;
use crate::engine::policy::Mac;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::sessions::{self, Change, RecordFacts, SubscriberSessions};
use crate::store::{Store, StoreError};
use crate::time::{Clock, Now};

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rules of the session table.
    pub sessions: sessions::Settings,
    /// Rules of decisions.
    pub engine: engine::Settings,
    /// Group commit.
    pub writer: writer::Settings,
    /// Login attempts kept per second; the rest are counted only.
    pub login_records_per_second: u32,
    /// How often somebody may try to log in.
    pub login_limits: LoginLimits,
    /// How long a place is kept for the Start of an accepted login.
    pub reservation: Duration,
    /// Slow password hashes computed at one time; others wait.
    pub slow_passwords: usize,
    /// How running sessions are brought into line.
    pub enforcement: agenda::Settings,
}

impl Settings {
    /// The defaults around the rules of decisions.
    #[must_use]
    pub fn new(engine: engine::Settings) -> Self {
        Self {
            sessions: sessions::Settings { zone: engine.zone.clone(), ..sessions::Settings::default() },
            engine,
            writer: writer::Settings::default(),
            login_records_per_second: 2_000,
            login_limits: LoginLimits::default(),
            reservation: Duration::from_secs(60),
            slow_passwords: 2,
            enforcement: agenda::Settings::default(),
        }
    }
}

/// Seconds in which all sessions are looked at after a start, or after the change feed has lost changes.
const REVIEW_SPREAD: u64 = 60;
/// NAS sources whose reboots and counters are remembered.
const NAS_MEMORY_MAX: usize = 100_000;

/// Everything that the faces share.
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<Store>,
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) packs: Arc<Packs>,
    pub(super) directory: Directory,
    pub(super) table: Table,
    pub(super) index: Index,
    pub(super) writer: Writer,
    pub(super) recorder: Recorder,
    pub(super) keepsakes: Keepsakes,
    pub(super) loader: Loader,
    pub(super) deferral: Deferral,
    pub(super) guesses: Guesses,
    pub(super) memo: Memo,
    pub(super) reconciler: Reconciler,
    pub(super) silent: Silent,
    pub(super) narrow: Narrow,
    pub(super) slow_passwords: Arc<Semaphore>,
    pub(super) health: Arc<Health>,
    pub(super) meters: Meters,
    pub(super) nas: ArcSwap<NasTable>,
    pub(super) configured: Mutex<Vec<Nas>>,
    /// Accounting-On and -Off by source address, the newest of each NAS.
    pub(super) reloads: DashMap<IpAddr, Vec<NasReload>>,
    /// NASes that have sent Gigawords: their counters have 64 bits.
    pub(super) wide_counters: DashMap<NasIdentity, ()>,
    /// It stands in for one that has a database: what it knows is a guess, and none of its rows are written.
    pub(super) stands_in: bool,
}

impl State {
    /// Runs `act` under the lock of an owner, who is `known` where that is a subscriber that somebody has read.
    /// Usage is continued from SQL before anything is counted; sessions that nobody had become the
    /// subscriber's, if they go by its login.
    pub(super) fn with_sessions<T>(
        &self,
        owner: &Owner,
        known: Option<&Known>,
        now: Now,
        act: impl FnOnce(&mut SubscriberSessions) -> T,
    ) -> T {
        let Some(known) = known else { return act(&mut self.table.entry(owner)) };
        let nobodys = self.table.nobodys(&known.policy.login);
        let mut entry = self.table.entry(owner);
        let (days, settings) = (known.days(), &self.settings.sessions);
        if entry.subscriber().is_none() {
            let change = entry.claim(known.policy.id, known.take_usage(), days, settings, now);
            if days.kept > settings.usage_days {
                entry.know_since(known.usage_since());
            }
            // What this counts is counted again after a restart, if there is no room for it now.
            let _ = self.keep(owner, change);
        } else if days.kept > settings.usage_days && entry.known_since() > days.oldest(settings, now) {
            // A quota over a longer period than any that was known when the sessions were.
            entry.continue_usage(known.take_usage());
            entry.know_since(known.usage_since());
        }
        if let Some(nobodys) = nobodys {
            let login = nobodys.key().clone();
            for session in nobodys.get().sessions() {
                self.index.pass(&login, owner, &session);
            }
            let change = entry.adopt(nobodys.remove(), days, settings, now);
            self.note(owner, &change);
            // Behind what is queued of the same sessions, and of the same usage.
            let _ = self.enqueue([&login, owner], change);
        }
        if let Some((_, credit)) = known.policy.charging() {
            entry.continue_cost(credit.charged);
        }
        act(&mut entry)
    }

    /// Queues the rows of a change that nobody waits for and updates the indexes. Under the lock of
    /// `owner`.
    pub(super) fn keep(&self, owner: &Owner, change: Change) -> Result<(), Box<Pending>> {
        if change.is_empty() {
            return Ok(());
        }
        self.note(owner, &change);
        for guess in change.rows.iter().filter_map(|row| row.closed.as_ref()?.guess) {
            self.meters.guess(guess);
        }
        self.enqueue([owner], change)
    }

    fn enqueue<const OWNERS: usize>(
        &self,
        owners: [&Owner; OWNERS],
        change: Change,
    ) -> Result<(), Box<Pending>> {
        let writes = change.into_writes();
        if writes.is_empty() {
            return Ok(());
        }
        self.writer.enqueue(owners, Pending { writes, ..Pending::default() })
    }

    /// Updates the indexes with what changed. Under the lock of `owner`.
    pub(super) fn note(&self, owner: &Owner, change: &Change) {
        for (number, row) in change.rows.iter().enumerate() {
            self.index.put(owner, row, change.moved_from.as_ref().filter(|_| number == 0));
            if !row.is_open() {
                // What was flagged ends flagged.
                let _ = self.reconciler.settled(row.unique_id);
            }
        }
        for session in &change.forgotten {
            self.index.remove(owner, session);
        }
    }

    /// What the session table has to know of the NAS and the subscriber of a record.
    pub(super) fn record_facts<'a>(&self, nas: &NasIdentity, known: Option<&'a Known>) -> RecordFacts<'a> {
        let nas_reloaded = self.reloads.get(&nas.source).and_then(|reloads| {
            reloads.iter().filter(|reload| reload.nas.covers(nas)).map(|reload| reload.at).max()
        });
        RecordFacts {
            group: known.and_then(|known| known.policy.group()).map_or("", SmolStr::as_str),
            nas_sends_gigawords: self.wide_counters.contains_key(nas),
            nas_reloaded,
            id_is_taken: false,
            spooled: false,
            days: known.map(Known::days).unwrap_or_default(),
        }
    }

    /// Remembers an Accounting-On or -Off. From now on every record is judged by it.
    pub(super) fn remember_reload(&self, reload: &NasReload) {
        if self.reloads.len() >= NAS_MEMORY_MAX && !self.reloads.contains_key(&reload.nas.source) {
            return;
        }
        let mut reloads = self.reloads.entry(reload.nas.source).or_default();
        match reloads.iter_mut().find(|known| known.nas == reload.nas) {
            Some(known) => known.at = known.at.max(reload.at),
            None => reloads.push(reload.clone()),
        }
    }

    /// Remembers that a NAS has 64-bit counters.
    pub(super) fn remember_wide_counters(&self, nas: &NasIdentity) {
        if !self.wide_counters.contains_key(nas) && self.wide_counters.len() < NAS_MEMORY_MAX {
            self.wide_counters.insert(nas.clone(), ());
        }
    }

    /// Closes the sessions that an Accounting-On or -Off ends. Runs after it is durable; until it has
    /// come to a session, a record of that session is judged by [`State::record_facts`].
    pub(super) async fn sweep(&self, reload: &NasReload) {
        let sessions = self.index.by_nas(&reload.nas).into_iter();
        for owner in sessions.flat_map(|unique| self.index.owners_of(&unique)) {
            self.room().await;
            let now = self.clock.now();
            if let Some(mut entry) = self.table.get_mut(&owner) {
                let change = entry.nas_rebooted(reload, &self.settings.sessions, now);
                // Room was there a moment ago; what is lost is closed again after a restart.
                let _ = self.keep(&owner, change);
            }
        }
    }

    /// Waits until the writer has room for rows that nobody would send again.
    pub(super) async fn room(&self) {
        while !self.writer.has_room() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Closes what is stale, lets reservations lapse, forgets what was closed long enough ago. Gives
    /// the sessions that are open and the places that are reserved.
    pub(super) fn reap(&self, now: Now) -> (usize, usize) {
        let (mut open, mut reserved) = (0, 0);
        for mut entry in self.table.iter_mut() {
            let owner = entry.key().clone();
            let sessions = entry.value_mut();
            if sessions.poll_timeout().is_some_and(|due| due <= now.instant) && self.writer.has_room() {
                for nas in sessions.lapsing(now) {
                    self.hears_nothing_of(nas.source);
                }
                let change = sessions.handle_timeout(&self.settings.sessions, now);
                let _ = self.keep(&owner, change);
            }
            if sessions.review_at().is_some_and(|at| at <= now.unix) {
                sessions.set_review(None);
                self.reconciler.look_at(&owner);
            }
            open += sessions.open_count();
            reserved += sessions.reservations();
        }
        (open, reserved)
    }

    /// Has all sessions looked at within a minute: nobody knows what has changed.
    pub(super) fn review_all(&self, now: Now) {
        for (place, mut entry) in (0..).zip(self.table.iter_mut()) {
            if entry.open_count() > 0 {
                entry.review_by(now.unix.plus(place % REVIEW_SPREAD));
            }
        }
    }

    /// Takes in sessions that were read back from SQL.
    pub(super) fn restore(&self, sessions: impl IntoIterator<Item = Session>, now: Now) {
        for session in sessions {
            let owner = match session.subscriber {
                Some(subscriber) => Owner::Subscriber(subscriber),
                None => match self.directory.lookup(&session.user_name, now.instant) {
                    Lookup::Known(known) => known.owner(),
                    Lookup::Absent | Lookup::NotLoaded => Owner::Login(session.user_name.clone()),
                },
            };
            let mut entry = self.table.entry(&owner);
            if entry.session(session.unique_id).is_none() {
                if session.flags.gigawords {
                    self.remember_wide_counters(&session.nas);
                }
                self.index.put(&owner, &session, None);
                if session.is_open() {
                    // What changed while no server ran; not all in one moment.
                    let [first, ..] = session.unique_id.0;
                    entry.review_by(now.unix.plus(u64::from(first) % REVIEW_SPREAD));
                }
                entry.restore(session, &self.settings.sessions, now);
            }
        }
    }

    /// Fetches the rows of those who have these numbers, and these logins.
    pub(super) async fn load_subscribers(
        &self,
        numbers: &[SubscriberId],
        logins: BTreeSet<SmolStr>,
    ) -> Result<(), StoreError> {
        self.directory.load_numbers(&self.store, numbers, logins, self.clock.now()).await
    }

    /// Does nobody have the login, as far as memory knows?
    pub(super) fn is_absent(&self, login: &str) -> bool {
        matches!(self.directory.lookup(login, self.clock.now().instant), Lookup::Absent)
    }

    /// Fetches whom these devices let in, and the rows of those.
    pub(super) async fn load_devices(&self, devices: Vec<Mac>) -> Result<(), StoreError> {
        let unknown = self.directory.load_devices(&self.store, &devices, self.clock.now()).await?;
        if unknown.is_empty() { Ok(()) } else { self.load_subscribers(&[], unknown).await }
    }

    /// Fetches what SQL knows of sessions with these keys or rows.
    pub(super) async fn load_sessions(&self, wanted: &[(SessionKey, UniqueId)]) -> Result<(), StoreError> {
        let found = self.store.sessions_by(wanted).await?;
        self.restore(found, self.clock.now());
        Ok(())
    }

    /// Reads the `nas` table and puts it in force beside the configuration's entries.
    pub(super) async fn load_nases(&self) -> Result<(), StoreError> {
        let rows = self.store.nas_rows().await?;
        let mut entries = self.configured.lock().clone();
        entries.extend(rows.usable);
        for nas in &mut entries {
            nas.pack = self.packs.find(&nas.nas_type).unwrap_or_else(|| {
                tracing::warn!(nas = %nas.name, nas_type = %nas.nas_type, "no pack has this NAS type; it is served as `other`");
                PackId::OTHER
            });
        }
        let unusable: Vec<String> = rows
            .unusable
            .iter()
            .map(|row| format!("row {} of nas ({}): {}", row.id, row.name, row.reason))
            .collect();
        if unusable.is_empty() {
            self.health.ok("nas table");
        } else {
            for reason in &unusable {
                tracing::warn!(%reason, "a NAS cannot be served");
            }
            self.health.degraded("nas table", &unusable.join("; "), self.clock.now().unix);
        }
        self.nas.store(Arc::new(NasTable::new(entries)));
        Ok(())
    }

    /// A copy of the session with this row.
    pub(super) fn session(&self, unique: UniqueId) -> Option<Session> {
        self.index.owners_of(&unique).iter().find_map(|owner| self.table.get(owner)?.session(unique))
    }

    /// Is the row that of a session of somebody else?
    pub(super) fn is_of_another(&self, unique: UniqueId, owner: &Owner) -> bool {
        let has = |other: &Owner| self.table.get(other).is_some_and(|entry| entry.has(unique));
        self.index.owners_of(&unique).iter().filter(|other| *other != owner).any(has)
    }

    /// Whose session a record speaks of that names `own`. `None`: of none that memory knows.
    ///
    /// A NAS may have rewritten the name since the session opened, and its subscriber may have another login,
    /// and somebody else that one: it stays where it is. But where the record shows that another subscriber got the
    /// Acct-Session-Id of an earlier session, that one is over.
    pub(super) fn owner(&self, record: &AccountingRecord, own: &Owner, now: Now) -> Option<Owner> {
        let mut owners = self.index.owners(&record.nas_key);
        if record.user_name.is_empty() {
            return owners.pop();
        }
        // Of a session that has moved to another NAS it is found by our token.
        let finds = || self.table.get(own).is_some_and(|entry| entry.find(record).is_some());
        let is_own = if record.token.is_some() { finds() } else { owners.contains(own) || finds() };
        if is_own && record.token.is_some() {
            return Some(own.clone());
        }
        for owner in owners.iter().rev().filter(|owner| *owner != own) {
            let Some(mut entry) = self.table.get_mut(owner) else { continue };
            if !is_own && entry.find_renamed(record).is_some() {
                return Some(owner.clone());
            }
            if let Some(reused) = entry.reused_by(record) {
                let guess = CloseGuess::SessionIdReused;
                let change = entry.close_guess(reused, guess, &self.settings.sessions, now);
                // Without room it is closed by the next record of the session that has its id.
                let _ = self.keep(owner, change);
            }
        }
        is_own.then(|| own.clone())
    }
}

/// What dynamic authorization asks of the sessions.
impl super::coa::Sessions for State {
    fn session(&self, id: UniqueId) -> Option<Session> {
        Self::session(self, id)
    }

    fn nas(&self, session: &Session) -> Option<Arc<Nas>> {
        self.nas.load().find(session.nas.source).cloned()
    }

    fn close(&self, id: UniqueId, guess: CloseGuess) {
        let now = self.clock.now();
        for owner in self.index.owners_of(&id) {
            if let Some(mut entry) = self.table.get_mut(&owner) {
                let change = entry.close_guess(id, guess, &self.settings.sessions, now);
                let _ = self.keep(&owner, change);
            }
        }
    }
}
