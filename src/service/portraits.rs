//! Subscribers as the Jaze API shows them: who each is, until when it may be used, what it has used in its
//! billing cycle, and how many of them are in which state.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use smol_str::SmolStr;

use super::error::ServiceError;
use super::management::Management;
use super::plans::Plans;
use crate::domain::validity::STATIC_DEVICE;
use crate::domain::{
    BandwidthTemplate, Day, Location, Period, SubscriberId, SubscriberRows, SubscriberStatus, Usage, Uses,
};
use crate::engine::policy::Attempt;
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

impl Portrait {
    /// Is it active and not expired?
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.sketch.status == SubscriberStatus::Active && !self.expired
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
        let store = self.read()?;
        let now = self.now().unix;
        match whose {
            Whose::Number(_) => {}
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

    /// The one with this number, if it is not deleted.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub(super) async fn living(&self, id: i64) -> Result<Portrait, ServiceError> {
        let found = self.portrait(id).await?;
        if found.sketch.status == SubscriberStatus::Deleted {
            return Err(ServiceError::not_found("subscriber", &id.to_string()));
        }
        Ok(found)
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
        let mut rows: HashMap<SubscriberId, SubscriberRows> =
            rows.into_iter().map(|row| (row.id, row)).collect();
        let mut names: Vec<SmolStr> = rows.values().flat_map(|row| row.groups.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let compiler = Compiler { dictionary: self.shared_dictionary(), zone: settings.zone.clone() };
        let groups = store.groups(&names).await?;
        let groups: HashMap<SmolStr, Arc<CompiledGroup>> =
            groups.iter().map(|group| (group.name.clone(), Arc::new(compiler.group(group)))).collect();
        let plans = Plans::new(&store.plan_limits().await?);
        let heads = store.plan_heads().await?;
        let templates = store.bandwidth_templates().await?;
        let mut portraits = Vec::with_capacity(sketches.len());
        for sketch in sketches {
            let zone = TimeZone::get(&sketch.zone).ok().filter(|_| !sketch.zone.is_empty());
            let zone = zone.unwrap_or_else(|| settings.zone.clone());
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
            let sold = plans.of(&row);
            let plan = sold.as_ref().map(|plan| plan.id.0);
            let subscriber = compiler.subscriber(&row, &|name| groups.get(name).map(Arc::clone), sold);
            let usage = std::mem::take(&mut row.usage);
            let cycle_days = {
                let joined = sketch.activation.filter(|at| *at <= now.unix).unwrap_or(sketch.created);
                let month = date_of(day_of(joined, &zone)).day().unsigned_abs();
                let begins = Begins { week: settings.week_start, month };
                span(Period::Billing, day_of(now.unix, &zone), begins)
            };
            let mut sessions = SubscriberSessions::new(Some(row.id));
            sessions.continue_usage(usage);
            let source = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
            let attempt = Attempt { attributes: &[], source, recalled: true };
            let policy = subscriber.policy(attempt, settings, now);
            let account = subscriber.account(&policy.limits, Some(&sessions), None, settings);
            let states = account.states(now.unix);
            let quota = states.iter().find(|state| !state.bucket.metric.is_time());
            let quota = quota.map(|state| (state.bucket.metric.of(state.used), state.limit));
            let uses = Uses { first: row.first_use, last: row.tenure.last_use };
            let expires = subscriber.end(&policy.limits, uses, now.unix, &zone);
            let cycle = cycle_days.map_or_else(Cycle::default, |days| Cycle {
                start: day_start(days.start, &zone),
                end: day_start(days.end, &zone),
                first_day: Some(days.start),
                used: sessions.used_within(days),
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

    /// The plans as groups, by number, those of one account if that is said.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn group_figures(&self) -> Result<Vec<GroupFigures>, ServiceError> {
        let store = self.read()?;
        let mut counts: HashMap<i64, (u64, u64)> = HashMap::new();
        for portrait in self.portraits(Whose::All).await? {
            if let Some((id, _)) = &portrait.plan {
                let (active, total) = counts.entry(*id).or_default();
                *active += u64::from(portrait.is_live());
                *total += 1;
            }
        }
        let online: HashMap<Option<i64>, u64> =
            store.online_by_plan(self.scope()).await?.into_iter().collect();
        let heads = store.plan_heads().await?;
        let figures = heads.into_iter().map(|head| {
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
    pub async fn status_counts(&self, account: Option<&str>) -> Result<StatusCounts, ServiceError> {
        let store = self.read()?;
        let now = self.now().unix;
        let mut counts = StatusCounts::default();
        for portrait in self.portraits(Whose::All).await? {
            let Portrait { sketch, expires, expired, .. } = &portrait;
            if account.is_some_and(|account| sketch.account.1 != account) {
                continue;
            }
            counts.total += 1;
            counts.new += u64::from(sketch.created >= now.minus(WEEK));
            let place = match (sketch.status, *expired) {
                (SubscriberStatus::Active, true) => &mut counts.expired,
                (SubscriberStatus::Active, false) => {
                    counts.expiring += u64::from(expires.is_some_and(|at| at <= now.plus(WEEK)));
                    &mut counts.active
                }
                (SubscriberStatus::Blacklisted, _) => &mut counts.blacklisted,
                (SubscriberStatus::Suspended, _) => &mut counts.suspended,
                (SubscriberStatus::Blocked, _) => &mut counts.blocked,
                (SubscriberStatus::Pending, _) => &mut counts.pending,
                _ => &mut counts.others,
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
        let (last, open) = self.read()?.last_log_off(&found.sketch.login).await?;
        Ok((last, open > 0, found.zone))
    }
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
