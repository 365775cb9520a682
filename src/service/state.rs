//! What the server knows, shared by its faces: NASes, subscribers, sessions, the writer.
//!
//! The lock is the subscriber's: an entry of [`State::subscribers`]. Inside it only pure code and
//! queueing run; nothing awaits and no other entry of that map is touched. Indexes are updated under it
//! and read without it.

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
use super::health::Health;
use super::index::Index;
use super::keepsakes::Keepsakes;
use super::loader::Loader;
use super::memo::Memo;
use super::meters::Meters;
use super::reconciler::Reconciler;
use super::recorder::Recorder;
use super::silent::Silent;
use super::writer::{self, Pending, Writer};
use crate::coa::agenda;
use crate::domain::{
    AccountingRecord, CloseGuess, Nas, NasIdentity, NasReload, NasTable, PackId, Session, SessionKey,
    UniqueId,
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
    pub(super) subscribers: DashMap<SmolStr, SubscriberSessions>,
    pub(super) index: Index,
    pub(super) writer: Writer,
    pub(super) recorder: Recorder,
    pub(super) keepsakes: Keepsakes,
    pub(super) loader: Loader,
    pub(super) deferral: Deferral,
    pub(super) memo: Memo,
    pub(super) reconciler: Reconciler,
    pub(super) silent: Silent,
    pub(super) slow_passwords: Arc<Semaphore>,
    pub(super) health: Arc<Health>,
    pub(super) meters: Meters,
    pub(super) nas: ArcSwap<NasTable>,
    pub(super) configured: Mutex<Vec<Nas>>,
    /// Accounting-On and -Off by source address, the newest of each NAS.
    pub(super) reloads: DashMap<IpAddr, Vec<NasReload>>,
    /// NASes that have sent Gigawords: their counters have 64 bits.
    pub(super) wide_counters: DashMap<NasIdentity, ()>,
}

impl State {
    /// Runs `act` under the lock of a login, whose sessions belong to `known` if anybody has the
    /// login. Usage is continued from SQL before anything is counted.
    pub(super) fn with_login<T>(
        &self,
        login: &SmolStr,
        known: Option<&Known>,
        now: Now,
        act: impl FnOnce(&mut SubscriberSessions) -> T,
    ) -> T {
        let mut entry = match self.subscribers.get_mut(login.as_str()) {
            Some(entry) => entry,
            None => self.subscribers.entry(login.clone()).or_default(),
        };
        if let Some(known) = known {
            let (days, settings) = (known.days(), &self.settings.sessions);
            if entry.subscriber() != Some(known.policy.id) {
                let change = entry.claim(known.policy.id, known.take_usage(), days, settings, now);
                if days.kept > settings.usage_days {
                    entry.know_since(known.usage_since());
                }
                // What this counts is counted again after a restart, if there is no room for it now.
                let _ = self.keep(login, change);
            } else if days.kept > settings.usage_days && entry.known_since() > days.oldest(settings, now) {
                // A quota over a longer period than any that was known when the sessions were.
                entry.continue_usage(known.take_usage());
                entry.know_since(known.usage_since());
            }
        }
        if let Some((_, credit)) = known.and_then(|known| known.policy.charging()) {
            entry.continue_cost(credit.charged);
        }
        act(&mut entry)
    }

    /// Queues the rows of a change that nobody waits for and updates the indexes. Under the lock of
    /// `login`.
    pub(super) fn keep(&self, login: &SmolStr, change: Change) -> Result<(), Box<Pending>> {
        if change.is_empty() {
            return Ok(());
        }
        self.note(login, &change);
        for guess in change.rows.iter().filter_map(|row| row.closed.as_ref()?.guess) {
            self.meters.guess(guess);
        }
        let writes = change.into_writes();
        if writes.is_empty() {
            return Ok(());
        }
        self.writer.enqueue(login, Pending { writes, ..Pending::default() })
    }

    /// Updates the indexes with what changed. Under the lock of `login`.
    pub(super) fn note(&self, login: &SmolStr, change: &Change) {
        for (number, row) in change.rows.iter().enumerate() {
            self.index.put(login, row, change.moved_from.as_ref().filter(|_| number == 0));
            if !row.is_open() {
                // What was flagged ends flagged.
                let _ = self.reconciler.settled(row.unique_id);
            }
        }
        for session in &change.forgotten {
            self.index.remove(login, session);
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
        let keys = self.index.by_nas(&reload.nas).into_iter().filter_map(|unique| self.index.key(&unique));
        for login in keys.flat_map(|key| self.index.logins(&key)) {
            self.room().await;
            let now = self.clock.now();
            if let Some(mut entry) = self.subscribers.get_mut(login.as_str()) {
                let change = entry.nas_rebooted(reload, &self.settings.sessions, now);
                // Room was there a moment ago; what is lost is closed again after a restart.
                let _ = self.keep(&login, change);
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
        for mut entry in self.subscribers.iter_mut() {
            let login = entry.key().clone();
            let sessions = entry.value_mut();
            if sessions.poll_timeout().is_some_and(|due| due <= now.instant) && self.writer.has_room() {
                for nas in sessions.lapsing(now) {
                    self.hears_nothing_of(nas.source);
                }
                let change = sessions.handle_timeout(&self.settings.sessions, now);
                let _ = self.keep(&login, change);
            }
            if sessions.review_at().is_some_and(|at| at <= now.unix) {
                sessions.set_review(None);
                self.reconciler.look_at(&login);
            }
            open += sessions.open_count();
            reserved += sessions.reservations();
        }
        (open, reserved)
    }

    /// Has all sessions looked at within a minute: nobody knows what has changed.
    pub(super) fn review_all(&self, now: Now) {
        for (place, mut entry) in (0..).zip(self.subscribers.iter_mut()) {
            if entry.open_count() > 0 {
                entry.review_by(now.unix.plus(place % REVIEW_SPREAD));
            }
        }
    }

    /// Takes in sessions that were read back from SQL.
    pub(super) fn restore(&self, sessions: impl IntoIterator<Item = Session>, now: Now) {
        for session in sessions {
            let login = session.user_name.clone();
            let mut entry = match self.subscribers.get_mut(login.as_str()) {
                Some(entry) => entry,
                None => self.subscribers.entry(login.clone()).or_default(),
            };
            if entry.session(session.unique_id).is_none() {
                if session.flags.gigawords {
                    self.remember_wide_counters(&session.nas);
                }
                self.index.put(&login, &session, None);
                if session.is_open() {
                    // What changed while no server ran; not all in one moment.
                    let [first, ..] = session.unique_id.0;
                    entry.review_by(now.unix.plus(u64::from(first) % REVIEW_SPREAD));
                }
                entry.restore(session, &self.settings.sessions, now);
            }
        }
    }

    /// Fetches the rows of these logins.
    pub(super) async fn load_subscribers(&self, logins: &[SmolStr]) -> Result<(), StoreError> {
        self.directory.load(&self.store, logins, self.clock.now()).await
    }

    /// Does nobody have the login, as far as memory knows?
    pub(super) fn is_absent(&self, login: &str) -> bool {
        matches!(self.directory.lookup(login, self.clock.now().instant), Lookup::Absent)
    }

    /// Fetches whom these devices let in, and the rows of those.
    pub(super) async fn load_devices(&self, devices: Vec<Mac>) -> Result<(), StoreError> {
        let unknown = self.directory.load_devices(&self.store, &devices, self.clock.now()).await?;
        if unknown.is_empty() { Ok(()) } else { self.load_subscribers(&unknown).await }
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
        let logins = self.index.logins(&self.index.key(&unique)?);
        logins.iter().find_map(|login| self.subscribers.get(login.as_str())?.session(unique))
    }

    /// Whose session a record speaks of that names `user_name`. `None`: of none that memory knows.
    ///
    /// A NAS may have rewritten the name since the session opened: it stays where it is. But where the
    /// record shows that another subscriber got the Acct-Session-Id of an earlier session, that one is
    /// over.
    pub(super) fn owner(&self, record: &AccountingRecord, user_name: &SmolStr, now: Now) -> Option<SmolStr> {
        let mut logins = self.index.logins(&record.key);
        if logins.is_empty() {
            logins = self.index.logins(&record.nas_key);
        }
        if user_name.is_empty() {
            return logins.pop();
        }
        // Of a session whose records carry our token only now and then it is found by its subscriber.
        let own = logins.contains(user_name)
            || self.subscribers.get(user_name.as_str()).is_some_and(|entry| entry.find(record).is_some());
        for login in logins.iter().rev().filter(|login| *login != user_name) {
            let Some(mut entry) = self.subscribers.get_mut(login.as_str()) else { continue };
            if !own && entry.find_renamed(record).is_some() {
                return Some(login.clone());
            }
            if let Some(reused) = entry.reused_by(record) {
                let guess = CloseGuess::SessionIdReused;
                let change = entry.close_guess(reused, guess, &self.settings.sessions, now);
                // Without room it is closed by the next record of the session that has its id.
                let _ = self.keep(login, change);
            }
        }
        own.then(|| user_name.clone())
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

    fn unknown_to_nas(&self, id: UniqueId) {
        let now = self.clock.now();
        for login in self.index.key(&id).map(|key| self.index.logins(&key)).into_iter().flatten() {
            if let Some(mut entry) = self.subscribers.get_mut(login.as_str()) {
                let change = entry.close_guess(id, CloseGuess::UnknownToNas, &self.settings.sessions, now);
                let _ = self.keep(&login, change);
            }
        }
    }
}
