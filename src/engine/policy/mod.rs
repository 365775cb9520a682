//! Attribute rows as a compiled policy, and what it gives for one request.
//!
//! Rows are read once, when a subscriber or group is loaded: values are encoded for the wire, limits
//! become types, comparisons become `Condition`s, and what means nothing becomes a [`Warning`]. How
//! the lists are merged is FreeRADIUS 3.2's way to the letter (`merge`): `radcheck` must match, then
//! `radreply` counts, then groups by priority, each with its own match, up to the first without
//! `Fall-Through = Yes`. A subscriber without conditions is merged at compile time: its login copies one
//! buffer. [`Subscriber::policy`] is the one place that says what a request gets; `access` and `explain`
//! both go through it.

mod binding;
mod condition;
mod doors;
mod items;
mod merge;
mod operator;
mod validity;
mod window;

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use jiff::tz::TimeZone;
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use self::binding::Bindings;
use self::condition::{Circumstances, Condition};
use self::doors::Doors;
use self::items::{Check, Control, FallThrough, Reader, Rows};
use self::merge::{Item, Merged, merge};
pub(crate) use self::validity::Validity;
use super::Settings;
use super::charge::Charging;
use super::password::StoredPassword;
use super::quota::{self, Account, Bucket, CompiledPlan, Holder};
use crate::domain::plan::Concurrency;
use crate::domain::subscriber::{POSTPAID, TICKET};
use crate::domain::{
    AccountOverride, Credit, Day, GroupRows, LoginTerms, NasIdentity, Rate, RejectReason, SubscriberId,
    SubscriberRows, SubscriberStatus, Tenure, UniqueId, Usage, Uses, WalletKind,
};
use crate::radius::attribute::{
    ACCT_INTERIM_INTERVAL, Attributes, IDLE_TIMEOUT, NAS_FILTER_RULE, SESSION_TIMEOUT,
};
use crate::radius::dictionary::Dictionary;
use crate::radius::value::Encoded;
use crate::radius::{Hidden, ReplyAttributes};
use crate::sessions::SubscriberSessions;
use crate::time::{Now, UnixTime};

pub use condition::Attempt;
pub use doors::Mac;
pub use items::{AuthType, Warning};
pub use operator::Operator;
pub use validity::Dates;
pub use window::{Open, Window};

/// What compiling needs to know besides the rows.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Names, types and encodings.
    pub dictionary: Arc<Dictionary>,
    /// The zone of dates that do not name one.
    pub zone: TimeZone,
}

/// A compiled subscriber.
#[derive(Debug)]
pub struct Subscriber {
    /// The one number.
    pub id: SubscriberId,
    /// The login exactly as the tables spell it.
    pub login: SmolStr,
    /// `user`, `mac`, `pin` …
    pub kind: SmolStr,
    /// Administrative status.
    pub status: SubscriberStatus,
    /// How it was used when its rows were read.
    pub uses: Uses,
    /// Expiry set in `tk_subscriber`.
    pub expires: Option<UnixTime>,
    /// Whatever ends it, it ends no earlier.
    pub grace: Option<UnixTime>,
    /// What its status or its account's has against a login.
    pub(super) barred: Option<SmolStr>,
    pub(super) validity: Validity,
    bindings: Bindings,
    /// Devices that let it in; most have none.
    doors: Option<Box<Doors>>,
    concurrency: Option<Concurrency>,
    groups: Box<[Arc<CompiledGroup>]>,
    plan: Plan,
    /// What was sold to it.
    sold: Option<Arc<CompiledPlan>>,
    /// What it has to spend.
    credit: Option<Box<Credit>>,
    /// What it has in the place of what its plan and its rows say.
    own: Option<Box<AccountOverride>>,
    /// What bears on its quotas besides; most have nothing that does.
    holder: Option<Box<Holder>>,
    /// Days of usage that its quotas need, and whether there are any.
    usage_days: u16,
    has_quotas: bool,
    warnings: Box<[Warning]>,
}

/// A compiled group, shared by its members.
#[derive(Debug, Default)]
pub struct CompiledGroup {
    /// `groupname`.
    pub name: SmolStr,
    rows: Rows,
    warnings: Box<[Warning]>,
    /// What a member without rows of its own gets, if that does not depend on the request.
    alone: Option<(Arc<Limits>, Arc<ReplyPlan>)>,
}

#[derive(Debug)]
enum Plan {
    /// Every request gets the same.
    Static { passwords: Box<[StoredPassword]>, limits: Arc<Limits>, reply: Arc<ReplyPlan> },
    /// Merged for each request.
    Conditional(Box<Rows>),
}

/// What limits a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Auth-Type with its row.
    pub auth_type: Option<(AuthType, SmolStr)>,
    /// Simultaneous-Use with its row.
    pub simultaneous_use: Option<(u32, SmolStr)>,
    /// Expiration with its row.
    pub expiration: Option<(UnixTime, SmolStr)>,
    /// Seconds after the first use, with the row that ends it first: Access-Period, Expire-After.
    pub after_first_use: Option<(u64, SmolStr)>,
    /// Login-Time with its row.
    pub login_time: Option<(Arc<Window>, SmolStr)>,
    /// Limits on time and volume.
    pub quotas: Arc<[Bucket]>,
    /// A limit that cannot be read: refused.
    pub unreadable: Option<SmolStr>,
}

/// What an Access-Accept carries, ready to be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyPlan {
    wire: Box<[u8]>,
    hidden: Box<[Hidden]>,
    /// Session-Timeout of the rows, seconds; 0 is none.
    pub session_timeout: u32,
    /// Acct-Interim-Interval of the rows, seconds.
    pub interim_interval: Option<u32>,
}

impl ReplyPlan {
    /// The attributes that must be hidden before they are sent.
    #[must_use]
    pub fn hidden(&self) -> &[Hidden] {
        &self.hidden
    }

    /// Puts an Idle-Timeout in the place of the rows'; 0 is none.
    fn set_idle_timeout(&mut self, seconds: u32) {
        let mut wire = ReplyAttributes::new();
        for attribute in self.attributes().filter(|attribute| attribute.number != IDLE_TIMEOUT) {
            wire.push(attribute.number, attribute.value);
        }
        if seconds > 0 {
            wire.push_u32(IDLE_TIMEOUT, seconds);
        }
        self.wire = wire.attributes().rest().into();
    }

    /// The attributes that are sent in the clear.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes::new(&self.wire)
    }
}

/// What the rows give one request.
#[derive(Debug)]
pub struct Policy<'a> {
    /// Stored passwords in the order of the rows.
    pub passwords: SmallVec<[&'a StoredPassword; 2]>,
    /// What limits the login.
    pub limits: Cow<'a, Limits>,
    /// What an Accept carries.
    pub reply: Cow<'a, ReplyPlan>,
    /// The check row of the subscriber's own that the request does not meet, if that refuses the login.
    pub unmet: Option<(RejectReason, SmolStr)>,
    /// The binding that the device of the request does not meet.
    pub unbound: Option<(RejectReason, SmolStr)>,
    /// When a binding ends; then the same request may get another answer.
    pub bound_until: Option<UnixTime>,
    /// Names of the groups whose rows were used, in order.
    pub groups: SmallVec<[&'a str; 4]>,
    /// It may not be what the login got: it turns on what only the login said ([`Attempt::recalled`]).
    pub doubtful: bool,
    /// Which NAS asks, where that decides what is charged.
    pub nas: Option<Box<NasIdentity>>,
}

impl Compiler {
    /// Compiles a group.
    #[must_use]
    pub fn group(&self, rows: &GroupRows) -> CompiledGroup {
        let mut reader = Reader {
            dictionary: &self.dictionary,
            zone: &self.zone,
            check_table: format_smolstr!("radgroupcheck {}", rows.name),
            of_group: true,
            reply_table: format_smolstr!("radgroupreply {}", rows.name),
            warnings: Vec::new(),
        };
        let compiled = reader.rows(&rows.check, &rows.reply);
        let warnings = reader.warnings.into();
        let alone = (!compiled.conditional()).then(|| {
            let mut merged = Lists::default();
            merged.add(&compiled);
            (Arc::new(merged.limits()), Arc::new(merged.reply()))
        });
        CompiledGroup { name: rows.name.clone(), rows: compiled, warnings, alone }
    }

    /// Compiles a subscriber. `group` gives the compiled groups by name; one that it does not have has
    /// no rows. `sold` is its plan: its figures hold beside the rows.
    #[must_use]
    pub fn subscriber(
        &self,
        rows: &SubscriberRows,
        group: &dyn Fn(&str) -> Option<Arc<CompiledGroup>>,
        sold: Option<Arc<CompiledPlan>>,
    ) -> Subscriber {
        let mut reader = Reader {
            dictionary: &self.dictionary,
            zone: &self.zone,
            check_table: SmolStr::new_static("radcheck"),
            of_group: false,
            reply_table: SmolStr::new_static("radreply"),
            warnings: Vec::new(),
        };
        let own = reader.rows(&rows.check, &rows.reply);
        let mut warnings = reader.warnings;
        if !own.checked && !own.reply.is_empty() {
            warnings.push(Warning {
                row: 0,
                rule: SmolStr::new_static("radreply"),
                why: SmolStr::new_static("without a row in radcheck, rows in radreply are not used"),
            });
        }
        let Tenure { created, activation, renewed, .. } = rows.tenure;
        let dates = Dates { created, activation, renewed };
        let days = rows.tenure.validity_days.as_ref().map(|(days, plan)| (*days, plan));
        let validity = Validity::new(dates, &rows.tenure.expiry, days, &mut warnings);
        let bindings = Bindings::new(&rows.tenure.devices, &mut warnings);
        let doors = Doors::new(&rows.tenure.devices, &rows.terms.logins, rows.tenure.autologin);
        let groups: Box<[Arc<CompiledGroup>]> = rows
            .groups
            .iter()
            .map(|name| {
                group(name).unwrap_or_else(|| {
                    Arc::new(CompiledGroup { name: name.clone(), ..CompiledGroup::default() })
                })
            })
            .collect();
        let conditional = own.conditional() || groups.iter().any(|group| group.rows.conditional());
        let said = rows.terms.own;
        let plan = if conditional { Plan::Conditional(Box::new(own)) } else { fixed(&own, &groups, &said) };
        let (holder, unknown) = Holder::new(&rows.terms, rows.first_use);
        warnings.extend(unknown.map(|zone| Warning {
            row: 0,
            rule: format_smolstr!("tk_account.time_zone {zone}"),
            why: SmolStr::new_static("no such zone: the server's is used"),
        }));
        let mut subscriber = Subscriber {
            id: rows.id,
            login: rows.login.clone(),
            kind: rows.kind.clone(),
            status: rows.status,
            uses: Uses { first: rows.first_use, last: rows.tenure.last_use },
            expires: rows.expires,
            grace: rows.tenure.grace,
            barred: barred(rows),
            validity,
            bindings,
            doors: (!doors.is_empty()).then(|| Box::new(doors)),
            concurrency: rows.concurrency,
            groups,
            plan,
            sold,
            credit: rows.terms.credit.map(Box::new),
            own: (!said.is_empty()).then(|| Box::new(said)),
            holder: None,
            usage_days: 0,
            has_quotas: false,
            warnings: warnings.into(),
        };
        subscriber.count(holder);
        subscriber
    }
}

/// What the status has against a login, in words.
fn barred(rows: &SubscriberRows) -> Option<SmolStr> {
    if rows.status != SubscriberStatus::Active {
        let (status, why) = (rows.status.as_str(), &rows.tenure.status_reason);
        return Some(if why.is_empty() {
            format_smolstr!("tk_subscriber.status {status}")
        } else {
            format_smolstr!("tk_subscriber.status {status}: {why}")
        });
    }
    let account = rows.tenure.closed_account.as_ref()?;
    Some(format_smolstr!("tk_account.enabled of {account}"))
}

/// Merges now what no request changes, sharing what is equal to what others have.
fn fixed(own: &Rows, groups: &[Arc<CompiledGroup>], said: &AccountOverride) -> Plan {
    let mut lists = Lists::default();
    lists.walk(own, groups, |_| true);
    let (mut limits, mut reply) = (lists.limits(), lists.reply());
    put_over(said, &mut limits, &mut reply);
    let alone = groups.first().and_then(|group| group.alone.as_ref()).unwrap_or_else(|| nothing());
    Plan::Static {
        passwords: lists.passwords().cloned().collect(),
        limits: if *alone.0 == limits { Arc::clone(&alone.0) } else { Arc::new(limits) },
        reply: if *alone.1 == reply { Arc::clone(&alone.1) } else { Arc::new(reply) },
    }
}

/// What an account has in the place of what the rows say, but for its rate: a NAS type may have words for
/// that of its own, so it is part of the grant.
fn put_over(said: &AccountOverride, limits: &mut Limits, reply: &mut ReplyPlan) {
    if let Some(places) = said.places {
        limits.simultaneous_use = Some((places, format_smolstr!("tk_override: {places} logins")));
    }
    if let Some(seconds) = said.idle_timeout {
        reply.set_idle_timeout(seconds);
    }
}

fn nothing() -> &'static (Arc<Limits>, Arc<ReplyPlan>) {
    static NOTHING: OnceLock<(Arc<Limits>, Arc<ReplyPlan>)> = OnceLock::new();
    NOTHING.get_or_init(Default::default)
}

impl CompiledGroup {
    /// Rows without effect, or not the one they seem to have.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl Subscriber {
    /// The primary group: the first by priority.
    #[must_use]
    pub fn group(&self) -> Option<&SmolStr> {
        self.groups.first().map(|group| &group.name)
    }

    /// What was sold to it.
    #[must_use]
    pub const fn plan(&self) -> Option<&Arc<CompiledPlan>> {
        self.sold.as_ref()
    }

    /// The row that lets a device in without the password.
    #[must_use]
    pub fn admits(&self, device: &Mac, now: UnixTime) -> Option<&SmolStr> {
        self.doors.as_ref()?.admits(device, now)
    }

    /// Is the device one that is or was let in without the password? Then its sessions are the subscriber's.
    #[must_use]
    pub fn knows_device(&self, device: &Mac) -> bool {
        self.doors.as_ref().is_some_and(|doors| doors.knows(device))
    }

    /// Is a device that has logged in with the password to be let in without it later?
    #[must_use]
    pub fn keeps_devices(&self) -> bool {
        self.doors.as_ref().is_some_and(|doors| doors.keeps)
    }

    /// What the next login of a device has, with the number of its row.
    #[must_use]
    pub fn login_terms(&self, device: &Mac, now: UnixTime) -> Option<(i64, LoginTerms)> {
        self.doors.as_ref()?.terms(device, now)
    }

    /// Does it pay afterwards? Then its quotas do not hold.
    #[must_use]
    pub fn is_postpaid(&self) -> bool {
        self.kind == POSTPAID
    }

    /// Is its login all that it proves itself with?
    #[must_use]
    pub fn is_ticket(&self) -> bool {
        self.kind == TICKET
    }

    /// How fast its sessions are, whatever the rows say.
    #[must_use]
    pub fn own_rate(&self) -> Rate {
        self.own.as_ref().map(|own| own.rate).unwrap_or_default()
    }

    /// What its plan charges, and what it has to spend; `None` where nothing is charged.
    #[must_use]
    pub fn charging(&self) -> Option<(&Charging, Credit)> {
        let charging = self.sold.as_ref()?.charging.as_ref()?;
        let wallet = if self.is_postpaid() { WalletKind::Money } else { WalletKind::Credit };
        Some((charging, Credit { wallet, ..self.credit.as_deref().copied().unwrap_or_default() }))
    }

    /// Finds out what its quotas need, and keeps the holder where anything needs it.
    fn count(&mut self, holder: Holder) {
        let plan = self.sold.as_ref().map_or(&[][..], |plan| &plan.buckets);
        let (mut days, mut any) = (0, false);
        let rows: SmallVec<[Arc<[Bucket]>; 4]> = match &self.plan {
            Plan::Static { limits, .. } => SmallVec::from_iter([Arc::clone(&limits.quotas)]),
            Plan::Conditional(own) => {
                let groups = self.groups.iter().map(|group| &group.rows);
                std::iter::once(&**own).chain(groups).map(|rows| quotas(rows.check.iter())).collect()
            }
        };
        for bucket in plan.iter().chain(&holder.buckets).chain(rows.iter().flat_map(|rows| rows.iter())) {
            days = bucket.days().max(days);
            any = true;
        }
        (self.usage_days, self.has_quotas) = (days, any && !self.is_postpaid());
        // What has no quota has no use for it, but for the zone of its days.
        self.holder = (any && holder != Holder::default() || holder.zone.is_some()).then(|| Box::new(holder));
    }

    /// The zone whose midnights part its usage, where that is not the server's, and how many days its
    /// quotas need.
    #[must_use]
    pub fn usage_days(&self) -> (Option<&TimeZone>, u16) {
        (self.holder.as_ref().and_then(|holder| holder.zone.as_ref()), self.usage_days)
    }

    /// Does what it may do depend on what it has used?
    #[must_use]
    pub const fn has_quotas(&self) -> bool {
        self.has_quotas
    }

    /// Does a top-up pay for what it uses beyond its quotas?
    #[must_use]
    pub fn has_top_ups(&self) -> bool {
        !self.is_postpaid() && self.holder.as_ref().is_some_and(|holder| !holder.top_ups.is_empty())
    }

    /// What its quotas are weighed with. `limits` are those of its policy, `session` the open session that
    /// is meant, if one is.
    #[must_use]
    pub fn account<'a>(
        &'a self,
        limits: &'a Limits,
        sessions: Option<&'a SubscriberSessions>,
        session: Option<UniqueId>,
        settings: &'a Settings,
    ) -> Account<'a> {
        Account {
            holder: self.holder.as_deref(),
            plan: self.sold.as_deref(),
            rows: &limits.quotas,
            enforced: !self.is_postpaid(),
            sessions,
            session,
            zone: &settings.zone,
            week_start: settings.week_start,
        }
    }

    /// Charges what was just counted beyond its quotas to its top-ups; gives what is used of each of
    /// which anything is, all in all. `used` is by day, and in `sessions` already.
    pub fn charge(
        &self,
        limits: &Limits,
        sessions: &mut SubscriberSessions,
        used: &[(Day, Usage)],
        settings: &Settings,
        now: Now,
    ) -> SmallVec<[(i64, u64); 2]> {
        for (top_up, used) in self.account(limits, Some(sessions), None, settings).charge(used, now) {
            sessions.charge(top_up, used);
        }
        let top_ups = self.holder.iter().flat_map(|holder| &holder.top_ups);
        top_ups.map(|bought| (bought.id, sessions.charged(bought.id))).filter(|(_, used)| *used > 0).collect()
    }

    /// May an Accept be refused for want of a place, does it depend on what was used, or does it start a
    /// clock? Then the decision is made under the subscriber's lock.
    #[must_use]
    pub fn may_be_limited(&self) -> bool {
        self.has_quotas
            || self.counts_first_use()
            || self.charging().is_some()
            || self.doors.as_ref().is_some_and(|doors| doors.has_logins())
            || match &self.plan {
                Plan::Static { limits, .. } => limits.simultaneous_use.is_some(),
                Plan::Conditional(_) => true,
            }
    }

    /// Does a login start a clock that ends the subscription?
    #[must_use]
    pub fn counts_first_use(&self) -> bool {
        self.validity.counts_first_use()
            || match &self.plan {
                Plan::Static { limits, .. } => limits.after_first_use.is_some(),
                Plan::Conditional(_) => true,
            }
    }

    /// Is it lost by not being used? Then its sessions' records count as uses.
    #[must_use]
    pub fn counts_last_use(&self) -> bool {
        self.validity.counts_last_use()
    }

    /// Who gives way when all places are taken.
    #[must_use]
    pub fn concurrency(&self) -> Concurrency {
        let plan = || self.sold.as_ref().and_then(|plan| plan.concurrency);
        self.concurrency.or_else(plan).unwrap_or(Concurrency::RejectNew)
    }

    /// The groups by priority.
    #[must_use]
    pub fn groups(&self) -> &[Arc<CompiledGroup>] {
        &self.groups
    }

    /// Rows of its own without effect, or not the one they seem to have.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What the rows give `attempt`.
    #[must_use]
    pub fn policy<'a>(&'a self, attempt: Attempt<'_>, settings: &Settings, now: Now) -> Policy<'a> {
        let (unbound, bound_until) = self.bindings.admit(attempt, now.unix);
        let minds_nas = self.charging().is_some_and(|(charging, _)| charging.minds_nas());
        let nas = minds_nas.then(|| Box::new(attempt.nas()));
        let own = match &self.plan {
            Plan::Static { passwords, limits, reply } => {
                return Policy {
                    passwords: passwords.iter().collect(),
                    limits: Cow::Borrowed(limits),
                    reply: Cow::Borrowed(reply),
                    unmet: None,
                    unbound,
                    bound_until,
                    groups: SmallVec::new(),
                    doubtful: false,
                    nas,
                };
            }
            Plan::Conditional(own) => own,
        };
        let on = Circumstances { attempt, groups: &self.groups, settings, now, doubt: Cell::new(false) };
        let mut lists = Lists::default();
        let unmet = lists.walk(own, &self.groups, |condition| condition.holds(&on));
        let mut passwords: SmallVec<[&StoredPassword; 2]> = lists.passwords().collect();
        let (mut limits, mut reply) = (lists.limits(), lists.reply());
        if let Some(said) = &self.own {
            put_over(said, &mut limits, &mut reply);
        }
        let accepts = matches!(limits.auth_type, Some((AuthType::Accept, _)));
        // As in FreeRADIUS, a group may still give a password or `Auth-Type := Accept`.
        let unmet = unmet.filter(|_| passwords.is_empty() && !accepts);
        if unmet.is_some() {
            // So that a wrong password is known as such before it is said which condition failed.
            passwords.extend(own.check.iter().filter_map(password_of));
        }
        Policy {
            passwords,
            limits: Cow::Owned(limits),
            reply: Cow::Owned(reply),
            unmet: unmet.map(|condition| (condition.reason(), condition.rule.clone())),
            unbound,
            bound_until,
            groups: lists.groups,
            doubtful: on.doubt.get(),
            nas,
        }
    }

    /// When it ends, by whatever ends it first; `None` is never. A first use that has not been yet would be
    /// now. `limits` are those of its policy.
    #[must_use]
    pub fn end(&self, limits: &Limits, uses: Uses, now: UnixTime, zone: &TimeZone) -> Option<UnixTime> {
        let rules = self.validity.ends(uses, now, zone).map(|end| end.at);
        let row = limits.expiration.as_ref().map(|(at, _)| *at);
        let first_use = uses.first.unwrap_or(now);
        let after = limits.after_first_use.as_ref().map(|(seconds, _)| first_use.plus(*seconds));
        let ends = rules.chain(self.expires).chain(row).chain(after);
        ends.min().filter(|at| at.0 < i64::MAX).map(|at| at.max(self.grace.unwrap_or(at)))
    }

    /// Does it give every request the same?
    #[must_use]
    pub const fn is_static(&self) -> bool {
        matches!(self.plan, Plan::Static { .. }) && self.bindings.is_empty()
    }
}

/// The two lists while rows are merged into them.
#[derive(Default)]
struct Lists<'a> {
    control: Merged<'a, Check>,
    reply: Merged<'a, Encoded>,
    groups: SmallVec<[&'a str; 4]>,
    /// The first date that a row was compared with, and found to be still to come.
    compared: Option<(UnixTime, &'a SmolStr)>,
}

impl<'a> Lists<'a> {
    /// Goes through the subscriber's rows and the groups as far as they reach; gives the condition of the
    /// subscriber's own that does not hold.
    fn walk(
        &mut self,
        own: &'a Rows,
        groups: &'a [Arc<CompiledGroup>],
        holds: impl Fn(&Condition) -> bool,
    ) -> Option<&'a Condition> {
        let unmet = |rows: &'a Rows| {
            rows.check
                .iter()
                .filter_map(|item| item.meaning.condition.as_ref())
                .find(|condition| !holds(condition))
        };
        let mut fall_through = FallThrough::Unsaid;
        let failed = unmet(own);
        if own.checked && failed.is_none() {
            self.add(own);
            fall_through = own.fall_through;
        }
        if fall_through == FallThrough::No {
            return failed;
        }
        for group in groups {
            if unmet(&group.rows).is_some() {
                continue;
            }
            self.add(&group.rows);
            self.groups.push(&group.name);
            if group.rows.fall_through != FallThrough::Yes {
                break;
            }
        }
        failed
    }

    fn add(&mut self, rows: &'a Rows) {
        for item in &rows.check {
            if let (Operator::Equal, Control::Expiration(date, rule)) = (item.op, &item.meaning.control)
                && self.compared.is_none_or(|(first, _)| *date < first)
            {
                self.compared = Some((*date, rule));
            }
        }
        merge(&mut self.control, &rows.check);
        merge(&mut self.reply, &rows.reply);
    }

    fn passwords(&self) -> impl Iterator<Item = &'a StoredPassword> {
        self.control.iter().copied().filter_map(password_of)
    }

    /// The first item of each kind counts; of Auth-Type a Reject if there is one, else the last. An
    /// Expiration that was compared (`==`) ends the session as well: FreeRADIUS would let it run on.
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let (mut period, mut after) = (None, None);
        for item in &self.control {
            match &item.meaning.control {
                Control::Nothing | Control::Password(_) => {}
                Control::AuthType(auth_type, rule) => {
                    if !matches!(limits.auth_type, Some((AuthType::Reject, _))) {
                        limits.auth_type = Some((*auth_type, rule.clone()));
                    }
                }
                Control::SimultaneousUse(limit, rule) => {
                    limits.simultaneous_use.get_or_insert_with(|| (*limit, rule.clone()));
                }
                Control::Expiration(date, rule) => {
                    limits.expiration.get_or_insert_with(|| (*date, rule.clone()));
                }
                Control::AccessPeriod(seconds, rule) => {
                    period.get_or_insert((*seconds, rule));
                }
                Control::ExpireAfter(seconds, rule) => {
                    after.get_or_insert((*seconds, rule));
                }
                Control::LoginTime(window, rule) => {
                    limits.login_time.get_or_insert_with(|| (Arc::clone(window), rule.clone()));
                }
                Control::Quota(..) => {}
                Control::Unreadable(rule) => {
                    limits.unreadable.get_or_insert_with(|| rule.clone());
                }
            }
        }
        limits.quotas = quotas(self.control.iter().copied());
        let first = [period, after].into_iter().flatten().min_by_key(|(seconds, _)| *seconds);
        limits.after_first_use = first.map(|(seconds, rule)| (seconds, rule.clone()));
        if let Some((date, rule)) = self.compared
            && limits.expiration.as_ref().is_none_or(|(first, _)| date < *first)
        {
            limits.expiration = Some((date, rule.clone()));
        }
        limits
    }

    /// Encoded attributes in order. Of those that may appear once the last is sent (RFC 2865 §5.44). Filter
    /// rules stand together, "individual filter rules separated by a NUL": a NAS reads them as one text,
    /// wherever an attribute of it ends (RFC 4849 §2).
    fn reply(&self) -> ReplyPlan {
        let mut plan = ReplyPlan::default();
        let mut rules = (0, Vec::new());
        let (mut wire, mut hidden) = (Vec::new(), Vec::new());
        for (place, item) in self.reply.iter().enumerate() {
            let number = standard_number(item);
            let again = || self.reply.iter().skip(place + 1).any(|later| later.id == item.id);
            if number.is_some_and(|number| ONCE.contains(&number)) && again() {
                continue;
            }
            let seconds = <[u8; 4]>::try_from(item.octets.as_slice()).map(u32::from_be_bytes);
            match (number, seconds, &item.meaning) {
                (Some(SESSION_TIMEOUT), Ok(seconds), _) => plan.session_timeout = seconds,
                (Some(ACCT_INTERIM_INTERVAL), Ok(seconds), _) => plan.interim_interval = Some(seconds),
                (Some(NAS_FILTER_RULE), _, Encoded::Wire(_)) => {
                    if rules.1.is_empty() {
                        rules.0 = wire.len();
                    } else {
                        rules.1.push(0);
                    }
                    rules.1.extend_from_slice(&item.octets);
                }
                (_, _, Encoded::Wire(octets)) => wire.extend_from_slice(octets),
                (_, _, Encoded::Hidden(value)) => hidden.push(value.clone()),
            }
        }
        let mut joined = ReplyAttributes::new();
        joined.push(NAS_FILTER_RULE, &rules.1);
        wire.splice(rules.0..rules.0, joined.attributes().rest().iter().copied());
        plan.wire = wire.into();
        plan.hidden = hidden.into();
        plan
    }
}

/// The buckets of rows, the first of each name.
fn quotas<'a>(items: impl Iterator<Item = &'a Item<Check>>) -> Arc<[Bucket]> {
    let mut first: SmallVec<[&Item<Check>; 4]> = SmallVec::new();
    for item in items.filter(|item| matches!(item.meaning.control, Control::Quota(..))) {
        if first.iter().all(|other| other.id != item.id) {
            first.push(item);
        }
    }
    if first.is_empty() {
        return Arc::default();
    }
    let quota = |item: &&'a Item<Check>| match &item.meaning.control {
        Control::Quota(what, number, rule) => Some((*what, *number, rule)),
        _ => None,
    };
    let found: SmallVec<[_; 4]> = first.iter().filter_map(quota).collect();
    quota::of_items(&found)
}

fn password_of(item: &Item<Check>) -> Option<&StoredPassword> {
    if let Control::Password(password) = &item.meaning.control { Some(password) } else { None }
}

fn standard_number<M>(item: &Item<M>) -> Option<u8> {
    match item.id.as_slice() {
        [0, number] => u8::try_from(*number).ok(),
        _ => None,
    }
}

/// Standard attributes that an Access-Accept has at most once: RFC 2865 §5.44, RFC 2869 §5.19,
/// RFC 3162 §3, RFC 4372 §2.1.
const ONCE: [u8; 30] = [
    1, 6, 7, 8, 9, 10, 12, 15, 16, 19, 20, 23, 24, 27, 28, 29, 34, 35, 36, 37, 39, 62, 63, 72, 75, 85, 88,
    89, 96, 100,
];
