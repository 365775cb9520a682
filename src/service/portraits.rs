//! Subscribers as the Jaze API shows them: who each is, until when it may be used, what it has used in its
//! billing cycle, and how many of them are in which state.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use jiff::tz::TimeZone;
use smol_str::SmolStr;

use super::error::ServiceError;
use super::management::Management;
use super::plans::Plans;
use crate::domain::customer::Customer;
use crate::domain::validity::STATIC_DEVICE;
use crate::domain::{
    BandwidthTemplate, Day, Location, Period, SubscriberId, SubscriberRows, SubscriberStatus, Usage, Uses,
};
use crate::engine::policy::{Attempt, Subscriber};
use crate::engine::quota::{Begins, span};
use crate::engine::{CompiledGroup, Compiler};
use crate::sessions::{SubscriberSessions, date_of, day_of, day_start};
use crate::store::{PlanHead, Sketch, Store, Whose};
use crate::time::UnixTime;

/// A subscriber.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// What its own row says.
    pub sketch: Sketch,
    /// Number and name of its plan.
    pub plan: Option<(i64, SmolStr)>,
    /// When it ends; `None` is never.
    pub expires: Option<UnixTime>,
    /// The end has come.
    pub expired: bool,
    /// To what addresses and devices it is bound.
    pub bindings: Vec<Binding>,
    /// Its present billing cycle.
    pub cycle: Cycle,
    /// The zone of its account.
    pub zone: TimeZone,
    /// What its plan and overrides say of its rate.
    pub template: Option<BandwidthTemplate>,
}

/// An address or device that a subscriber is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Address; empty is any.
    pub ip: SmolStr,
    /// MAC address; `None` is any.
    pub mac: Option<SmolStr>,
    /// `tk_device.id`; `None` is rows of radreply and radcheck.
    pub device: Option<i64>,
}

/// A billing cycle and what was used in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Its first second.
    pub start: UnixTime,
    /// The first second of the next one.
    pub end: UnixTime,
    /// Its first day.
    pub first_day: Option<Day>,
    /// What was used in it.
    pub used: Usage,
    /// Octets used and allowed of the quota that decides first, if it has one.
    pub quota: Option<(u64, i64)>,
}

/// How a subscriber stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It is active, and its end has come.
    Expired,
    /// As its status says.
    As(SubscriberStatus),
}

const fn stand(status: SubscriberStatus, expired: bool) -> Stand {
    match status {
        SubscriberStatus::Active if expired => Stand::Expired,
        status => Stand::As(status),
    }
}

/// What counts need of a subscriber.
struct Standing {
    id: SubscriberId,
    stand: Stand,
    plan: Option<i64>,
    created: UnixTime,
    /// Of who is active.
    expires: Option<UnixTime>,
}

impl Portrait {
    /// How it stands.
    #[must_use]
    pub const fn stand(&self) -> Stand {
        stand(self.sketch.status, self.expired)
    }

    /// Is it active and not expired?
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stand() == Stand::As(SubscriberStatus::Active)
    }
}

/// A plan as a group of the Jaze API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFigures {
    /// What it is.
    pub head: PlanHead,
    /// Those who may log in.
    pub active: u64,
    /// Those who are not deleted.
    pub total: u64,
    /// Those who are online.
    pub online: u64,
}

/// How many subscribers are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// All that follow but `online`, `expiring`, `new` and `churned`, which count some of them again.
    pub total: u64,
    /// May log in.
    pub active: u64,
    /// Are online.
    pub online: u64,
    /// Their end has come.
    pub expired: u64,
    /// Their end comes within seven days.
    pub expiring: u64,
    /// Were made within seven days.
    pub new: u64,
    /// As their status says.
    pub blacklisted: u64,
    /// As their status says.
    pub suspended: u64,
    /// As their status says.
    pub blocked: u64,
    /// As their status says.
    pub pending: u64,
    /// Went within thirty days.
    pub churned: u64,
    /// In any other state.
    pub others: u64,
}

/// Subscribers that are read at a time.
const PAGE: u32 = 500;
/// The same of what only tells how they stand.
const STANDINGS: u32 = 2_000;
const WEEK: u64 = 7 * 86_400;
const MONTH: u64 = 30 * 86_400;

impl Management<'_> {
    /// The subscribers that are meant, by number.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn portraits(&self, whose: Whose<'_>) -> Result<Vec<Portrait>, ServiceError> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = self.portrait_page(whose, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            let more = page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = last.sketch.id.0;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Some of them: those with a number above `after`, at most `limit`. The first page gives numbers to
    /// logins that other tools have written since.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn portrait_page(
        &self,
        whose: Whose<'_>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Portrait>, ServiceError> {
        self.read()?;
        self.found(whose, after, limit).await
    }

    async fn found(&self, whose: Whose<'_>, after: i64, limit: u32) -> Result<Vec<Portrait>, ServiceError> {
        let store = &self.gate.inner().store;
        let now = self.now().unix;
        match whose {
            Whose::Number(_) | Whose::Numbers(_) => {}
            Whose::Login(login) => drop(store.find_subscriber(login, &self.author()).await?),
            _ if after > 0 => {}
            _ => drop(store.sight_new(now).await?),
        }
        let sketches = store.sketches(whose, after, limit, self.scope()).await?;
        self.paint(store, sketches).await
    }

    /// The one with this number, deleted or not.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn portrait(&self, id: i64) -> Result<Portrait, ServiceError> {
        let found = self.portrait_page(Whose::Number(id), i64::MIN, 1).await?;
        found.into_iter().next().ok_or_else(|| ServiceError::not_found("subscriber", &id.to_string()))
    }

    /// The one with this number, if it is not deleted. Who may change it but not see it needs it too: what
    /// is told of it is for the caller to decide.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub(super) async fn living(&self, id: i64) -> Result<Portrait, ServiceError> {
        let found = self.found(Whose::Number(id), i64::MIN, 1).await?.into_iter().next();
        let living = found.filter(|found| found.sketch.status != SubscriberStatus::Deleted);
        living.ok_or_else(|| ServiceError::not_found("subscriber", &id.to_string()))
    }

    /// Where a subscriber lives.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn location(&self, subscriber: SubscriberId) -> Result<Location, ServiceError> {
        Ok(self.read()?.location(subscriber).await?)
    }

    async fn paint(&self, store: &Store, sketches: Vec<Sketch>) -> Result<Vec<Portrait>, ServiceError> {
        if sketches.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let settings = self.engine();
        let living = sketches.iter().filter(|sketch| sketch.status != SubscriberStatus::Deleted);
        let logins: Vec<SmolStr> = living.map(|sketch| sketch.login.clone()).collect();
        // Two months: the cycle may have begun yesterday a month ago, and a quota may look back once more.
        let since = Day(day_of(now.unix, &settings.zone).0.saturating_sub(2 * 32));
        let rows = store.subscribers(&logins, since, now.unix).await?;
        let mut easel = Easel::new(self, store).await?;
        easel.learn(store, &rows).await?;
        let mut rows: HashMap<SubscriberId, SubscriberRows> =
            rows.into_iter().map(|row| (row.id, row)).collect();
        let heads = store.plan_heads().await?;
        let templates = store.bandwidth_templates().await?;
        let mut portraits = Vec::with_capacity(sketches.len());
        for sketch in sketches {
            let zone = easel.zone(&sketch.zone);
            let Some(mut row) = rows.remove(&sketch.id) else {
                portraits.push(Portrait {
                    plan: None,
                    expires: None,
                    expired: false,
                    bindings: Vec::new(),
                    cycle: Cycle::default(),
                    template: None,
                    zone,
                    sketch,
                });
                continue;
            };
            let (subscriber, plan) = easel.compile(&row);
            let usage = std::mem::take(&mut row.usage);
            let cycle_days = {
                let joined = sketch.activation.filter(|at| *at <= now.unix).unwrap_or(sketch.created);
                let month = date_of(day_of(joined, &zone)).day().unsigned_abs();
                let begins = Begins { week: settings.week_start, month };
                span(Period::Billing, day_of(now.unix, &zone), begins)
            };
            let mut sessions = SubscriberSessions::new(Some(row.id));
            sessions.continue_usage(usage);
            let policy = subscriber.policy(ANYWHERE, settings, now);
            let account = subscriber.account(&policy.limits, Some(&sessions), None, settings);
            let states = account.states(now.unix);
            let quota = states.iter().find(|state| !state.bucket.metric.is_time());
            let quota = quota.map(|state| (state.bucket.metric.of(state.used), state.limit));
            let expires = subscriber.end(&policy.limits, uses(&row), now.unix, &zone);
            let cycle = cycle_days.map_or_else(Cycle::default, |days| Cycle {
                start: day_start(days.start, &zone),
                end: day_start(days.end, &zone),
                first_day: Some(days.start),
                used: account.within(days),
                quota,
            });
            let template = match sketch.template {
                Some(id) => templates.iter().find(|template| template.id == id),
                None => templates.iter().find(|template| plan.is_some() && template.plan == plan),
            };
            portraits.push(Portrait {
                plan: plan.and_then(|id| {
                    heads.iter().find(|head| head.id == id).map(|head| (head.id, head.name.clone()))
                }),
                expires,
                expired: expires.is_some_and(|at| at <= now.unix),
                bindings: bindings(&row),
                cycle,
                template: template.cloned(),
                zone,
                sketch,
            });
        }
        Ok(portraits)
    }

    /// Fills in what customers, who are in the order of their numbers, have used of their own limits, and when
    /// these begin anew.
    pub(super) async fn weigh_limits(&self, customers: &mut [Customer]) -> Result<(), ServiceError> {
        let limited = customers.iter().filter(|customer| !customer.limits.is_empty());
        let logins: Vec<SmolStr> = limited.filter_map(|customer| customer.login.clone()).collect();
        if logins.is_empty() {
            return Ok(());
        }
        let store = &self.gate.inner().store;
        let now = self.now();
        let settings = self.engine();
        // A month, and a day more in another zone.
        let since = Day(day_of(now.unix, &settings.zone).0.saturating_sub(32));
        let rows = store.subscribers(&logins, since, now.unix).await?;
        let mut easel = Easel::new(self, store).await?;
        easel.learn(store, &rows).await?;
        for mut row in rows {
            let Ok(place) = customers.binary_search_by_key(&row.id.0, |customer| customer.id) else {
                continue;
            };
            let Some(customer) = customers.get_mut(place) else { continue };
            let (subscriber, _) = easel.compile(&row);
            let mut sessions = SubscriberSessions::new(Some(row.id));
            sessions.continue_usage(std::mem::take(&mut row.usage));
            let policy = subscriber.policy(ANYWHERE, settings, now);
            let account = subscriber.account(&policy.limits, Some(&sessions), None, settings);
            for limit in &mut customer.limits {
                let (used, ends) = account.used_over(limit.period, now.unix);
                limit.used = ends.map(|ends| (limit.metric.of(used), ends));
            }
        }
        Ok(())
    }

    /// How everybody stands who has a login, by number. An end is computed and not stored, and so each is
    /// looked at, but at nothing of it besides.
    async fn standings(&self) -> Result<Vec<Standing>, ServiceError> {
        let store = self.read()?;
        let now = self.now();
        let settings = self.engine();
        store.sight_new(now.unix).await?;
        let mut easel = Easel::new(self, store).await?;
        let mut all = Vec::new();
        let mut after = SubscriberId(i64::MIN);
        loop {
            let page = store.standing_page(after, STANDINGS, self.scope()).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.id;
            easel.learn(store, &page).await?;
            all.extend(page.iter().map(|row| {
                let mut standing = Standing {
                    id: row.id,
                    stand: Stand::As(row.status),
                    plan: easel.plans.of(row).map(|plan| plan.id.0),
                    created: row.tenure.created,
                    expires: None,
                };
                if row.status == SubscriberStatus::Active {
                    let (subscriber, _) = easel.compile(row);
                    let policy = subscriber.policy(ANYWHERE, settings, now);
                    let zone = easel.zone(&row.terms.zone);
                    standing.expires = subscriber.end(&policy.limits, uses(row), now.unix, &zone);
                    standing.stand = stand(row.status, standing.expires.is_some_and(|at| at <= now.unix));
                }
                standing
            }));
        }
    }

    /// The numbers of those who have a login.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn subscriber_numbers(&self) -> Result<Vec<i64>, ServiceError> {
        let store = self.read()?;
        store.sight_new(self.now().unix).await?;
        Ok(store.subscriber_numbers(false, self.scope()).await?)
    }

    /// Some of those who stand so, or of all who are not deleted, by number, and how many there are.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn portraits_of(
        &self,
        wanted: Option<Stand>,
        skipped: usize,
        most: usize,
    ) -> Result<(Vec<Portrait>, usize), ServiceError> {
        let store = self.read()?;
        let numbers = match wanted {
            None => self.subscriber_numbers().await?,
            Some(Stand::As(SubscriberStatus::Deleted)) => {
                store.subscriber_numbers(true, self.scope()).await?
            }
            Some(wanted) => {
                let all = self.standings().await?.into_iter();
                all.filter(|standing| standing.stand == wanted).map(|standing| standing.id.0).collect()
            }
        };
        let page: Vec<i64> = numbers.iter().skip(skipped).take(most).copied().collect();
        Ok((self.portraits(Whose::Numbers(&page)).await?, numbers.len()))
    }

    /// The plans as groups, by number.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn group_figures(&self) -> Result<Vec<GroupFigures>, ServiceError> {
        let store = self.read()?;
        let mut counts: HashMap<i64, (u64, u64)> = HashMap::new();
        for standing in self.standings().await? {
            if let Some(id) = standing.plan {
                let (active, total) = counts.entry(id).or_default();
                *active += u64::from(standing.stand == Stand::As(SubscriberStatus::Active));
                *total += 1;
            }
        }
        let online: HashMap<Option<i64>, u64> =
            store.online_by_plan(self.scope()).await?.into_iter().collect();
        let figures = self.plan_heads().await?.into_iter().map(|head| {
            let (active, total) = counts.get(&head.id).copied().unwrap_or_default();
            let online = online.get(&Some(head.id)).copied().unwrap_or(0);
            GroupFigures { head, active, total, online }
        });
        Ok(figures.collect())
    }

    /// How many subscribers are in which state.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn status_counts(&self) -> Result<StatusCounts, ServiceError> {
        let store = self.read()?;
        let now = self.now().unix;
        let mut counts = StatusCounts::default();
        for Standing { stand, created, expires, .. } in self.standings().await? {
            counts.total += 1;
            counts.new += u64::from(created >= now.minus(WEEK));
            let place = match stand {
                Stand::Expired => &mut counts.expired,
                Stand::As(SubscriberStatus::Active) => {
                    counts.expiring += u64::from(expires.is_some_and(|at| at <= now.plus(WEEK)));
                    &mut counts.active
                }
                Stand::As(SubscriberStatus::Blacklisted) => &mut counts.blacklisted,
                Stand::As(SubscriberStatus::Suspended) => &mut counts.suspended,
                Stand::As(SubscriberStatus::Blocked) => &mut counts.blocked,
                Stand::As(SubscriberStatus::Pending) => &mut counts.pending,
                Stand::As(
                    SubscriberStatus::PendingApproval
                    | SubscriberStatus::Rejected
                    | SubscriberStatus::Terminated
                    | SubscriberStatus::Deleted,
                ) => &mut counts.others,
            };
            *place += 1;
        }
        counts.online = store.online_by_plan(self.scope()).await?.iter().map(|(_, online)| online).sum();
        counts.churned = store.churned(now.minus(MONTH), self.scope()).await?;
        Ok(counts)
    }

    /// When the last session of a subscriber ended, and whether one is open.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn last_log_off(&self, id: i64) -> Result<(Option<UnixTime>, bool, TimeZone), ServiceError> {
        let found = self.living(id).await?;
        let (last, open) = self.read()?.last_log_off(found.sketch.id, &found.sketch.login).await?;
        Ok((last, open > 0, found.zone))
    }
}

/// What turns rows into subscribers: the plans, and the groups that were met so far.
struct Easel {
    compiler: Compiler,
    groups: HashMap<SmolStr, Arc<CompiledGroup>>,
    plans: Plans,
    zones: HashMap<SmolStr, TimeZone>,
}

impl Easel {
    async fn new(of: &Management<'_>, store: &Store) -> Result<Self, ServiceError> {
        Ok(Self {
            compiler: Compiler { dictionary: of.shared_dictionary(), zone: of.engine().zone.clone() },
            groups: HashMap::new(),
            plans: Plans::new(&store.plan_limits().await?),
            zones: HashMap::new(),
        })
    }

    /// Reads the groups that these have and that were not met yet.
    async fn learn(&mut self, store: &Store, rows: &[SubscriberRows]) -> Result<(), ServiceError> {
        let names = rows.iter().flat_map(|row| &row.groups);
        let mut new: Vec<SmolStr> = names.filter(|name| !self.groups.contains_key(*name)).cloned().collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        for group in store.groups(&new).await? {
            self.groups.insert(group.name.clone(), Arc::new(self.compiler.group(&group)));
        }
        Ok(())
    }

    /// The subscriber, and the number of its plan.
    fn compile(&self, row: &SubscriberRows) -> (Subscriber, Option<i64>) {
        let sold = self.plans.of(row);
        let plan = sold.as_ref().map(|plan| plan.id.0);
        (self.compiler.subscriber(row, &|name| self.groups.get(name).map(Arc::clone), sold), plan)
    }

    /// The zone of an account, else the server's.
    fn zone(&mut self, name: &SmolStr) -> TimeZone {
        let own = || TimeZone::get(name).ok().filter(|_| !name.is_empty());
        let known = self.zones.entry(name.clone());
        known.or_insert_with(|| own().unwrap_or_else(|| self.compiler.zone.clone())).clone()
    }
}

/// A login of anybody's, from nowhere: for what does not depend on that.
const ANYWHERE: Attempt<'static> =
    Attempt { attributes: &[], source: IpAddr::V4(Ipv4Addr::UNSPECIFIED), recalled: true };

fn uses(row: &SubscriberRows) -> Uses {
    Uses { first: row.first_use, last: row.tenure.last_use }
}

/// Static devices, then what rows bind to.
fn bindings(row: &SubscriberRows) -> Vec<Binding> {
    let devices = row.tenure.devices.iter().filter(|device| device.source == STATIC_DEVICE);
    let mut found: Vec<Binding> = devices
        .map(|device| Binding {
            ip: device.ip.clone(),
            mac: Some(device.mac.clone()).filter(|mac| !mac.is_empty()),
            device: Some(device.id),
        })
        .collect();
    let ip = row.reply.iter().find(|item| item.attribute.eq_ignore_ascii_case("Framed-IP-Address"));
    let mac = row
        .check
        .iter()
        .find(|item| item.attribute.eq_ignore_ascii_case("Calling-Station-Id") && item.op == "==");
    if ip.is_some() || mac.is_some() {
        found.push(Binding {
            ip: ip.map(|item| item.value.clone()).unwrap_or_default(),
            mac: mac.map(|item| item.value.clone()),
            device: None,
        });
    }
    found
}
