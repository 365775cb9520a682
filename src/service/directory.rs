//! Subscribers compiled to policy, in memory: loaded on demand in batches and ahead of time at
//! start, kept coherent by the change feed (DESIGN §3). A login that is known is never looked up in
//! SQL again until one of its rows changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::guesses::Tries;
use super::life::{Life, Remembered};
use super::plans::Plans;
use super::table::Owner;
use crate::domain::{Day, LoginTerms, SubscriberId, SubscriberRows, Usage, Uses, Write};
use crate::engine::policy::{CompiledGroup, Compiler, Mac, Subscriber};
use crate::sessions::{Days, day_of};
use crate::store::{Attempt, Store, StoreError};
use crate::time::{Now, UnixTime};

/// How long a login that does not exist is remembered as such. The change feed ends it sooner.
const ABSENT_FOR: Duration = Duration::from_secs(60);
/// Logins remembered as absent: a stranger with a secret may try any number of names.
const ABSENT_MAX: usize = 50_000;
/// Days of usage that are kept in memory.
const USAGE_DAYS: i32 = 40;
/// How long it is known whom a device lets in, or that it lets in nobody. The change feed ends it sooner.
const DEVICE_FOR: Duration = Duration::from_secs(600);
/// Devices of which that is known: a stranger with a secret may try any number.
const DEVICES_MAX: usize = 200_000;
/// Subscribers whom one device may let in; the latest counts that its rows allow.
const OWNERS_MAX: usize = 4;
/// Devices asked for in one query, each in the usual spellings.
const DEVICE_BATCH: usize = 60;
/// Logins asked for in one query.
const LOAD_BATCH: usize = 500;

/// What the directory knows of a login, or of a number.
#[derive(Debug)]
pub(super) enum Lookup {
    /// This subscriber.
    Known(Arc<Known>),
    /// Nobody, as of a moment ago.
    Absent,
    /// Not asked yet.
    NotLoaded,
}

/// A subscriber in memory.
#[derive(Debug)]
pub(super) struct Known {
    /// Everything its rows say.
    pub(super) policy: Subscriber,
    /// What its rows do not say yet.
    life: Arc<Life>,
    /// Buckets to continue counting from, until somebody does.
    usage: Mutex<Vec<(Day, Usage)>>,
    /// The first day whose bucket would be among them.
    usage_since: Day,
}

impl Known {
    fn new(policy: Subscriber, usage: Vec<(Day, Usage)>, usage_since: Day) -> Self {
        Self { policy, life: Arc::default(), usage: Mutex::new(usage), usage_since }
    }

    /// Whose its sessions are.
    pub(super) fn owner(&self) -> Owner {
        Owner::Subscriber(self.policy.id)
    }

    /// How its usage is parted into days.
    pub(super) fn days(&self) -> Days<'_> {
        let (zone, kept) = self.policy.usage_days();
        Days { zone, kept }
    }

    /// The first day that [`Known::take_usage`] tells of.
    pub(super) const fn usage_since(&self) -> Day {
        self.usage_since
    }

    /// The buckets to continue counting from, as SQL had them when the rows were read. Only the first
    /// caller gets them: from then on memory is ahead of SQL.
    pub(super) fn take_usage(&self) -> Vec<(Day, Usage)> {
        std::mem::take(&mut self.usage.lock())
    }

    /// Takes the place of `before`, what was known of it until its rows were read anew.
    fn succeed(&mut self, before: &Self) {
        self.life = Arc::clone(&before.life);
        self.life.rows_read(before.policy.uses, self.policy.uses);
    }

    /// How it has been used so far.
    pub(super) fn uses(&self) -> Uses {
        self.life.uses(self.policy.uses)
    }

    /// What the next login of a device has, with the number of its row, unless a login has it already.
    pub(super) fn login_terms(&self, mac: &Mac, now: UnixTime) -> Option<(i64, LoginTerms)> {
        self.policy.login_terms(mac, now).filter(|(id, _)| !self.life.is_taken(*id))
    }

    /// A login has the terms of this row.
    pub(super) fn take_login(&self, id: i64) {
        self.life.take(id);
    }

    /// Notes a use; gives what SQL is to know of it.
    pub(super) fn note_use(&self, at: UnixTime) -> SmallVec<[Write; 2]> {
        self.life.note(self.policy.id, self.policy.uses, at)
    }

    /// Notes that a session goes on, which began at `started`; gives what SQL is to know of it. It is the
    /// first use where no login of the term is known: the note of that was lost, or it began elsewhere.
    pub(super) fn note_session(&self, started: Option<UnixTime>, at: UnixTime) -> SmallVec<[Write; 2]> {
        let mut writes = SmallVec::new();
        if self.uses().first.is_none() {
            writes.extend(self.note_use(started.unwrap_or(at).min(at)));
        }
        if self.policy.counts_last_use() {
            writes.extend(self.note_use(at));
        }
        writes
    }

    /// How often somebody has tried to log in of late.
    pub(super) fn tries(&self) -> &Tries {
        self.life.tries()
    }

    /// Remembers how a login was decided.
    pub(super) fn remember(&self, attempt: Remembered) {
        self.life.remember(attempt);
    }

    /// The last logins, the latest first.
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.life.attempts(&self.policy.login, self.policy.id)
    }
}

/// Whom a device lets in, if anybody.
#[derive(Debug)]
struct Owners {
    /// Those whose rows came last first.
    logins: SmallVec<[SmolStr; 1]>,
    until: Instant,
}

#[derive(Debug)]
enum Slot {
    Known(Arc<Known>),
    Absent { until: Instant },
}

impl Slot {
    fn lookup(slot: Option<&Self>, now: Instant) -> Lookup {
        match slot {
            Some(Self::Known(known)) => Lookup::Known(Arc::clone(known)),
            Some(Self::Absent { until }) if now < *until => Lookup::Absent,
            _ => Lookup::NotLoaded,
        }
    }

    fn known(&self) -> Option<&Arc<Known>> {
        match self {
            Self::Known(known) => Some(known),
            Self::Absent { .. } => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Directory {
    entries: DashMap<SmolStr, Slot>,
    /// Those of `entries` who are known, by number, and those who were deleted or have no login.
    numbers: DashMap<SubscriberId, Slot>,
    /// Everybody was read once.
    warmed: AtomicBool,
    /// Whom devices let in. What a subscriber's rows say of the device is what counts.
    devices: DashMap<Mac, Owners>,
    groups: parking_lot::RwLock<HashMap<SmolStr, Arc<CompiledGroup>>>,
    /// `None` until they are asked for.
    plans: parking_lot::RwLock<Option<Arc<Plans>>>,
    absent: AtomicUsize,
    /// Rises with every batch of the change feed: rows read before a rise may be older than it.
    generation: AtomicU64,
    compiler: Compiler,
    zone: TimeZone,
}

impl Directory {
    /// `zone` is the one whose midnights part the days of usage.
    pub(super) fn new(compiler: Compiler, zone: TimeZone) -> Self {
        Self {
            entries: DashMap::new(),
            numbers: DashMap::new(),
            warmed: AtomicBool::new(false),
            devices: DashMap::new(),
            groups: parking_lot::RwLock::default(),
            plans: parking_lot::RwLock::default(),
            absent: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            compiler,
            zone,
        }
    }

    pub(super) fn lookup(&self, login: &str, now: Instant) -> Lookup {
        Slot::lookup(self.entries.get(login).as_deref(), now)
    }

    /// Who has this number.
    pub(super) fn lookup_number(&self, subscriber: SubscriberId, now: Instant) -> Lookup {
        Slot::lookup(self.numbers.get(&subscriber).as_deref(), now)
    }

    /// Whose sessions these are.
    pub(super) fn lookup_owner(&self, owner: &Owner, now: Instant) -> Lookup {
        match owner {
            Owner::Subscriber(subscriber) => self.lookup_number(*subscriber, now),
            Owner::Login(login) => self.lookup(login, now),
        }
    }

    /// Whom a device lets in, whose rows came last first; `None` where that is not known.
    pub(super) fn device(&self, mac: &Mac, now: Instant) -> Option<SmallVec<[SmolStr; 1]>> {
        self.devices.get(mac).filter(|owners| now < owners.until).map(|owners| owners.logins.clone())
    }

    /// The change feed says that somebody has written these devices, or what is known of them turns out to be
    /// stale.
    pub(super) fn forget_devices(&self, macs: &[Mac]) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for mac in macs {
            self.devices.remove(mac);
        }
    }

    /// Reads whom devices let in. Gives the logins that are not in memory.
    pub(super) async fn load_devices(
        &self,
        store: &Store,
        devices: &[Mac],
        now: Now,
    ) -> Result<BTreeSet<SmolStr>, StoreError> {
        let mut unknown = BTreeSet::new();
        for devices in devices.chunks(DEVICE_BATCH) {
            for attempt in 1..=3 {
                let generation = self.generation();
                let found = store.device_logins(devices).await?;
                // As with the rows of subscribers.
                if attempt < 3 && generation != self.generation() {
                    continue;
                }
                if self.devices.len().saturating_add(devices.len()) > DEVICES_MAX {
                    self.devices.clear();
                }
                for mac in devices {
                    let mut logins: SmallVec<[SmolStr; 1]> = SmallVec::new();
                    for (_, login) in found.iter().filter(|(found, _)| found == mac) {
                        if logins.len() < OWNERS_MAX && !logins.contains(login) {
                            logins.push(login.clone());
                        }
                    }
                    unknown.extend(logins.iter().filter(|login| !self.entries.contains_key(*login)).cloned());
                    self.devices.insert(*mac, Owners { logins, until: now.instant + DEVICE_FOR });
                }
                break;
            }
        }
        Ok(unknown)
    }

    /// Subscribers in memory.
    pub(super) fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.absent.load(Ordering::Relaxed))
    }

    /// Reads who has these numbers, and these logins. Numbers that nobody has, or nobody with a login, become
    /// absent.
    pub(super) async fn load_numbers(
        &self,
        store: &Store,
        numbers: &[SubscriberId],
        mut logins: BTreeSet<SmolStr>,
        now: Now,
    ) -> Result<(), StoreError> {
        if !numbers.is_empty() {
            logins.extend(store.logins(numbers).await?);
        }
        let logins: Vec<_> = logins.into_iter().collect();
        self.load(store, &logins, now).await?;
        for number in numbers {
            let soon = now.instant + ABSENT_FOR;
            let mut slot = self.numbers.entry(*number).or_insert(Slot::Absent { until: soon });
            if let Slot::Absent { until } = slot.value_mut() {
                *until = soon;
            }
        }
        Ok(())
    }

    /// Reads the rows of these logins and replaces what is known of them. Those without rows become
    /// absent; who had one of them and has another login now is read by that.
    pub(super) async fn load(&self, store: &Store, logins: &[SmolStr], now: Now) -> Result<(), StoreError> {
        for logins in logins.chunks(LOAD_BATCH) {
            // A change that commits while the rows are on their way would be overwritten by them:
            // read again. The third reading stands; the change feed repairs what it missed.
            for attempt in 1..=3 {
                let generation = self.generation();
                let since = self.usage_since(now.unix);
                let mut rows = store.subscribers(logins, since, now.unix).await?;
                let renamed = self.renamed(store, logins, &rows).await?;
                if !renamed.is_empty() {
                    rows.extend(store.subscribers(&renamed, since, now.unix).await?);
                }
                let compiled = self.compile(store, rows, since, now.unix).await?;
                if attempt == 3 || generation == self.generation() {
                    self.replace(logins.iter().chain(&renamed), compiled, now.instant);
                    break;
                }
            }
        }
        Ok(())
    }

    /// The logins that those have now who are known by one of these, and are not among its rows.
    async fn renamed(
        &self,
        store: &Store,
        logins: &[SmolStr],
        rows: &[SubscriberRows],
    ) -> Result<Vec<SmolStr>, StoreError> {
        let read: BTreeSet<SubscriberId> = rows.iter().map(|row| row.id).collect();
        let number = |login| Some(self.entries.get(login)?.known()?.policy.id);
        let known = logins.iter().filter_map(number);
        let gone: Vec<SubscriberId> = known.filter(|number| !read.contains(number)).collect();
        if gone.is_empty() { Ok(Vec::new()) } else { store.logins(&gone).await }
    }

    /// Puts a page of rows in that was read ahead of time, where nothing newer is known. `generation`
    /// is [`Directory::generation`] from before the rows were read, `since` the first day of their usage.
    pub(super) async fn warm(
        &self,
        store: &Store,
        rows: Vec<SubscriberRows>,
        since: Day,
        generation: u64,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        for known in self.compile(store, rows, since, now).await? {
            if generation != self.generation() {
                break;
            }
            if let dashmap::Entry::Vacant(slot) = self.entries.entry(known.policy.login.clone()) {
                let known = Arc::new(known);
                self.numbers.insert(known.policy.id, Slot::Known(Arc::clone(&known)));
                slot.insert(Slot::Known(known));
            }
        }
        Ok(())
    }

    /// Everybody has been read.
    pub(super) fn has_warmed(&self) {
        self.warmed.store(true, Ordering::Release);
    }

    /// Has everybody been read?
    pub(super) fn is_warm(&self) -> bool {
        self.warmed.load(Ordering::Acquire)
    }

    /// Forgets everybody: each is read again when asked for. For a feed that has lost changes.
    pub(super) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.groups.write().clear();
        *self.plans.write() = None;
        self.entries.clear();
        self.numbers.clear();
        self.devices.clear();
        self.absent.store(0, Ordering::Relaxed);
    }

    /// The oldest day whose usage is read; more of those whose quotas need more.
    pub(super) fn usage_since(&self, now: UnixTime) -> Day {
        Day(day_of(now, &self.zone).0.saturating_sub(USAGE_DAYS))
    }

    /// Rises with every batch of the change feed.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The change feed says that these logins and groups, and the plans of these groups, have new rows.
    /// Gives whose sessions are concerned: of who has the logins and who had them, of the members of the groups,
    /// and of those who have the plans.
    pub(super) async fn refresh(
        &self,
        store: &Store,
        logins: &BTreeSet<SmolStr>,
        groups: &BTreeSet<SmolStr>,
        plans: &BTreeSet<SmolStr>,
        now: Now,
    ) -> Result<BTreeSet<Owner>, StoreError> {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let mut stale: BTreeSet<SmolStr> = BTreeSet::new();
        let warmed = self.warmed.load(Ordering::Acquire);
        for login in logins {
            // A login that nobody has asked for is read when somebody does. Before everybody was read once,
            // sessions of an earlier run may be its subscriber's.
            if !warmed || self.entries.contains_key(login) {
                stale.insert(login.clone());
            }
        }
        if !groups.is_empty() {
            let names: Vec<_> = groups.iter().cloned().collect();
            let rows = store.groups(&names).await?;
            {
                let mut held = self.groups.write();
                for name in groups {
                    held.remove(name);
                }
                for group in rows {
                    let compiled = self.compiler.group(&group);
                    held.insert(group.name.clone(), Arc::new(compiled));
                }
            }
            for entry in &self.entries {
                if let Slot::Known(known) = entry.value()
                    && known.policy.groups().iter().any(|group| groups.contains(&group.name))
                {
                    stale.insert(entry.key().clone());
                }
            }
        }
        if !plans.is_empty() {
            let read = Arc::new(Plans::new(&store.plan_limits().await?));
            *self.plans.write() = Some(read);
            for entry in &self.entries {
                if let Slot::Known(known) = entry.value() {
                    let plan = known.policy.plan().map(|plan| &plan.group);
                    if plan.into_iter().chain(known.policy.group()).any(|group| plans.contains(group)) {
                        stale.insert(entry.key().clone());
                    }
                }
            }
        }
        let stale: Vec<_> = stale.into_iter().collect();
        let owner = |login| match self.entries.get(login)?.value() {
            Slot::Known(known) => Some(known.owner()),
            Slot::Absent { .. } => None,
        };
        let mut owners: BTreeSet<Owner> = stale.iter().filter_map(owner).collect();
        self.load(store, &stale, now).await?;
        let logins = logins.iter().chain(&stale);
        owners.extend(logins.map(|login| owner(login).unwrap_or_else(|| Owner::Login(login.clone()))));
        Ok(owners)
    }

    async fn plans(&self, store: &Store) -> Result<Arc<Plans>, StoreError> {
        let held = self.plans.read().clone();
        if let Some(plans) = held {
            return Ok(plans);
        }
        let read = Arc::new(Plans::new(&store.plan_limits().await?));
        Ok(Arc::clone(self.plans.write().get_or_insert(read)))
    }

    /// Compiles rows whose usage was read from `since` on, and reads more of it where quotas need more.
    async fn compile(
        &self,
        store: &Store,
        rows: Vec<SubscriberRows>,
        since: Day,
        now: UnixTime,
    ) -> Result<Vec<Known>, StoreError> {
        let unknown: BTreeSet<SmolStr> = {
            let held = self.groups.read();
            rows.iter()
                .flat_map(|row| &row.groups)
                .filter(|name| !held.contains_key(*name))
                .cloned()
                .collect()
        };
        if !unknown.is_empty() {
            let names: Vec<_> = unknown.into_iter().collect();
            let found = store.groups(&names).await?;
            let mut held = self.groups.write();
            for group in found {
                let compiled = self.compiler.group(&group);
                held.insert(group.name.clone(), Arc::new(compiled));
            }
        }
        let mut plans = self.plans(store).await?;
        if rows.iter().any(|row| plans.lacks(row)) {
            // It was made a moment ago, and the feed has not come to it.
            plans = Arc::new(Plans::new(&store.plan_limits().await?));
            *self.plans.write() = Some(Arc::clone(&plans));
        }
        let mut compiled: Vec<Known> = {
            let held = self.groups.read();
            let compile = |mut row: SubscriberRows| {
                let usage = std::mem::take(&mut row.usage);
                let group = |name: &str| held.get(name).cloned();
                Known::new(self.compiler.subscriber(&row, &group, plans.of(&row)), usage, since)
            };
            rows.into_iter().map(compile).collect()
        };
        for known in &mut compiled {
            let (zone, days) = known.policy.usage_days();
            // A day more: theirs may begin before the server's.
            let needed = day_of(now, zone.unwrap_or(&self.zone)).0.saturating_sub(i32::from(days) + 1);
            if needed < since.0 {
                let since = Day(needed.max(0));
                known.usage = Mutex::new(store.usage(known.policy.id, since).await?);
                known.usage_since = since;
            }
        }
        Ok(compiled)
    }

    fn replace<'a>(&self, logins: impl Iterator<Item = &'a SmolStr>, mut compiled: Vec<Known>, now: Instant) {
        let mut missing: BTreeSet<&SmolStr> = logins.collect();
        // All of them first: two may have changed logins.
        for known in &mut compiled {
            if let Some(before) = self.numbers.get(&known.policy.id).as_deref().and_then(Slot::known) {
                known.succeed(before);
            }
        }
        for known in compiled {
            let login = known.policy.login.clone();
            missing.remove(&login);
            self.put(login, Slot::Known(Arc::new(known)));
        }
        if self.absent.load(Ordering::Relaxed) + missing.len() > ABSENT_MAX {
            self.entries.retain(|_, slot| matches!(slot, Slot::Known(_)));
            self.absent.store(0, Ordering::Relaxed);
        }
        for login in missing {
            self.put(login.clone(), Slot::Absent { until: now + ABSENT_FOR });
        }
    }

    fn put(&self, login: SmolStr, slot: Slot) {
        let absent = matches!(slot, Slot::Absent { .. });
        if let Slot::Known(known) = &slot {
            self.numbers.insert(known.policy.id, Slot::Known(Arc::clone(known)));
        }
        let former = self.entries.insert(login, slot);
        if let Some(Slot::Known(former)) = &former {
            // Unless it has been put in anew, here or under another login.
            self.numbers.remove_if(&former.policy.id, |_, slot| {
                slot.known().is_some_and(|known| Arc::ptr_eq(known, former))
            });
        }
        match (matches!(former, Some(Slot::Absent { .. })), absent) {
            (false, true) => {
                self.absent.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                self.absent.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SubscriberStatus, SubscriberTerms};
    use crate::radius::Dictionary;

    fn known(directory: &Directory, id: i64, login: &str) -> Known {
        let rows = SubscriberRows {
            concurrency: None,
            id: SubscriberId(id),
            login: login.into(),
            status: SubscriberStatus::Active,
            kind: "user".into(),
            first_use: None,
            expires: None,
            tenure: crate::domain::Tenure::default(),
            check: Vec::new(),
            reply: Vec::new(),
            groups: Vec::new(),
            usage: Vec::new(),
            terms: SubscriberTerms::default(),
        };
        Known::new(directory.compiler.subscriber(&rows, &|_| None, None), Vec::new(), Day(0))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base to count from; nothing waits for it")]
    fn a_subscriber_is_found_by_number_for_as_long_as_by_login() {
        let compiler = Compiler { dictionary: Dictionary::embedded(), zone: TimeZone::UTC };
        let (directory, now) = (Directory::new(compiler, TimeZone::UTC), Instant::now());
        let login_of = |id| match directory.lookup_number(SubscriberId(id), now) {
            Lookup::Known(known) => Some(known.policy.login.clone()),
            Lookup::Absent | Lookup::NotLoaded => None,
        };
        let load = |logins: &[&str], found: &[(i64, &str)]| {
            let logins: Vec<_> = logins.iter().map(SmolStr::new).collect();
            let found = found.iter().map(|(id, login)| known(&directory, *id, login)).collect();
            directory.replace(logins.iter(), found, now);
        };
        load(&["bob", "ann"], &[(7, "bob"), (8, "ann")]);
        assert_eq!((login_of(7).as_deref(), login_of(8).as_deref()), (Some("bob"), Some("ann")));
        // The same rows read again, then another login for the number, then nobody.
        load(&["bob"], &[(7, "bob")]);
        assert_eq!(login_of(7).as_deref(), Some("bob"));
        let begun = |id| match directory.lookup_number(SubscriberId(id), now) {
            Lookup::Known(known) => known.uses().first,
            Lookup::Absent | Lookup::NotLoaded => None,
        };
        let Lookup::Known(bob) = directory.lookup("bob", now) else { panic!("known") };
        bob.note_use(UnixTime(60));
        load(&["bob", "robert"], &[(7, "robert")]);
        assert_eq!((login_of(7).as_deref(), begun(7)), (Some("robert"), Some(UnixTime(60))));
        // Two change their logins.
        load(&["ann", "robert"], &[(7, "ann"), (8, "robert")]);
        assert_eq!((login_of(7).as_deref(), login_of(8).as_deref()), (Some("ann"), Some("robert")));
        assert_eq!((begun(7), begun(8)), (Some(UnixTime(60)), None));
        load(&["ann", "robert"], &[(8, "ann"), (7, "robert")]);
        load(&["robert"], &[]);
        assert_eq!((login_of(7), login_of(8).as_deref()), (None, Some("ann")));
        directory.forget_all();
        assert_eq!(login_of(8), None);
    }
}
