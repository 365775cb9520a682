//! What an Access-Request is answered.
//!
//! The order is that of the domain model: the login, its status, the password, check rows, validity,
//! places, and then the reply. [`authorize`] is the part after the password, and the same for `explain`.
//! Nothing here allocates for a subscriber without conditions who logs in by PAP.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::tz::TimeZone;
use smallvec::SmallVec;
use smol_str::SmolStr;
use zeroize::Zeroize as _;

use super::password::{Comparison, SlowCheck, StoredPassword};
use super::policy::{Attempt, AuthType, Limits, Mac, Open, Policy, ReplyPlan, Subscriber};
use super::trace::{Said, Seen, Step, Trace, Unseen, Witness};
use super::{Settings, charge};
use crate::domain::plan::Concurrency;
use crate::domain::text::text_from_octets;
use crate::domain::{
    ClassToken, Granted, LoginTerms, PostAuth, Rate, RejectReason, SubscriberId, UniqueId, Usage, Uses,
    Volume,
};
use crate::entropy::Entropy;
use crate::packs::{Pack, Past, Profile, is_changeable};
use crate::radius::attribute::{
    Attributes, CHARGEABLE_USER_IDENTITY, CLASS, IDLE_TIMEOUT, STATE, TERMINATION_ACTION, USER_NAME,
    VENDOR_SPECIFIC, microsoft, vendor, vendor_attributes,
};
use crate::radius::credentials::{
    self, Chap, Credentials, MsChap1, MsChap2, NtHash, lan_manager_key, mschap1_matches, mschap1_mppe_keys,
    mschap2_matches,
};
use crate::radius::{AccessReply, AccessRequest, Hidden, Hiding, ReplyAttributes};
use crate::sessions::{Occupancy, SubscriberSessions};
use crate::time::{Now, UnixTime};

/// What a decision needs to know besides the request.
#[derive(Clone, Copy, Debug)]
pub struct AccessFacts<'a> {
    /// Who has that login; `None` if nobody.
    pub subscriber: Option<&'a Subscriber>,
    /// Where the packet came from.
    pub source: IpAddr,
    /// What is known of the subscriber besides its rows.
    pub standing: Standing<'a>,
    /// Verdict of a [`SlowCheck`] that this request gave before.
    pub password: Option<bool>,
    /// The row by which the device is let in as the subscriber, without its password.
    pub device: Option<&'a SmolStr>,
    /// What refuses it before its password is looked at.
    pub held: Option<&'a Denial>,
    /// How the NAS is told things.
    pub pack: &'a Pack,
    /// Settings.
    pub settings: &'a Settings,
}

/// What is known of a subscriber besides its rows, read under its lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing<'a> {
    /// Places of Simultaneous-Use as the device sees them.
    pub occupancy: Occupancy,
    /// Its sessions and its usage; `None` where nothing that limits it asks for them.
    pub sessions: Option<&'a SubscriberSessions>,
    /// How it has been used so far.
    pub uses: Uses,
    /// The open session that is looked at again; `None` for one that is about to begin.
    pub session: Option<UniqueId>,
    /// What this login alone has.
    pub terms: Option<LoginTerms>,
}

impl Standing<'_> {
    /// What the session that is looked at again has used.
    fn used(&self) -> Usage {
        let session = self.session.and_then(|id| self.sessions?.session(id));
        session.map(|session| session.total()).unwrap_or_default()
    }

    /// When the session that is looked at again began.
    fn began(&self) -> Option<UnixTime> {
        Some(self.sessions?.session(self.session?)?.started)
    }
}

/// What becomes of an Access-Request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a decided login is the common case and must not allocate")]
pub enum Verdict {
    /// Accept or Reject.
    Decided(Decided),
    /// A slow hash must be verified first; then ask again with the result in [`AccessFacts::password`].
    SlowPassword(SlowCheck),
    /// The login is right and every place is taken: the oldest session has to give way first; then ask
    /// again.
    GiveWay,
}

/// A decided Access-Request.
#[derive(Debug)]
pub struct Decided {
    /// The answer.
    pub reply: AccessReply,
    /// Why it is refused; `None` is Accept.
    pub reject: Option<RejectReason>,
    /// What decided: a row in words, or a sentence. Never a secret.
    pub rule: SmolStr,
    /// How the user proved who it is.
    pub method: &'static str,
    /// Whose login it is.
    pub subscriber: Option<SubscriberId>,
    /// The token in Class of an Accept.
    pub token: Option<ClassToken>,
    /// Simultaneous-Use of an Accept: where it is set, a place is to be reserved under the same lock.
    pub places: Option<u32>,
    /// Acct-Interim-Interval of an Accept, seconds; 0 if none was sent.
    pub interim_interval: u32,
    /// What an Accept for which a place is reserved gives, as [`Granted::to_text`].
    pub granted: SmolStr,
}

impl Decided {
    /// What is kept of the attempt.
    #[must_use]
    pub fn post_auth(&self, request: &AccessRequest<'_>, source: IpAddr, at: UnixTime) -> PostAuth {
        let text = |octets: Option<&[u8]>| octets.map(text_from_octets).unwrap_or_default();
        let class = self.token.map(ClassToken::to_class);
        PostAuth {
            at,
            user_name: text(request.user_name()),
            subscriber: self.subscriber,
            reject: self.reject,
            rule: self.rule.clone(),
            method: self.method,
            nas: request.nas_ip_address().map_or(source, IpAddr::V4),
            calling_station_id: text(request.calling_station_id()),
            called_station_id: text(request.called_station_id()),
            class: text(class.as_ref().map(<[u8; 35]>::as_slice)),
        }
    }
}

/// Decides an Access-Request.
#[must_use]
pub fn access(
    request: &AccessRequest<'_>,
    facts: &AccessFacts<'_>,
    now: Now,
    entropy: &mut dyn Entropy,
) -> Verdict {
    let credentials = request.credentials();
    let method = if facts.device.is_some() { "device" } else { method(&credentials) };
    let decide = Decide { request, facts, credentials: &credentials, method };
    match decide.run(now, entropy) {
        Ok(decided) => Verdict::Decided(decided),
        Err(Stop::Slow(check)) => Verdict::SlowPassword(check),
        Err(Stop::GiveWay) => Verdict::GiveWay,
        Err(Stop::Reject(denial)) => Verdict::Decided(decide.reject(denial, entropy)),
    }
}

/// Why a login is refused, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub reason: RejectReason,
    /// The row in words, or a sentence.
    pub rule: SmolStr,
}

/// What a login is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The rows' attributes, without the two below.
    pub reply: &'a ReplyPlan,
    /// Session-Timeout: what ends the session first, seconds from now on, with what says so.
    pub session_timeout: Option<(u32, SmolStr)>,
    /// Acct-Interim-Interval, seconds; 0 is none.
    pub interim_interval: u32,
    /// Simultaneous-Use.
    pub places: Option<u32>,
    /// All of them are taken, and the oldest session has to give way first.
    pub gives_way: bool,
    /// How fast the session may be, where an exhausted quota or an override says so: whatever the rows say.
    /// `None` leaves it to them.
    pub rate: Option<Rate>,
    /// How much the session may move, octets from its beginning on, its own past included.
    pub volume: Volume,
    /// URL of the portal that it is sent to.
    pub redirect: Option<SmolStr>,
    /// When the same question may get another answer, if nothing else happens: a period begins anew, a
    /// window ends.
    pub until: Option<UnixTime>,
    /// What this login alone has; it is part of the above, but for the Idle-Timeout.
    pub terms: Option<LoginTerms>,
}

impl Grant<'_> {
    /// What is kept of it with the session: what can be changed in mid-session.
    #[must_use]
    pub fn granted(&self, now: UnixTime) -> Granted {
        let mut rows = Vec::new();
        let said = self.rows();
        for attribute in Attributes::new(&said).filter(|attribute| is_changeable(*attribute)) {
            // It came off a wire, so it fits on one.
            rows.extend([attribute.number, u8::try_from(attribute.value.len() + 2).unwrap_or(u8::MAX)]);
            rows.extend_from_slice(attribute.value);
        }
        Granted {
            ends: self.session_timeout.as_ref().map(|(seconds, _)| now.plus((*seconds).into())),
            rate: self.rate.filter(|rate| !rate.is_unlimited()),
            volume: self.volume,
            redirect: self.redirect.clone(),
            rows: rows.into(),
            login: self.terms.map(Box::new),
        }
    }

    /// The rows' attributes as they go on the wire, with the Idle-Timeout of this login.
    fn rows(&self) -> Cow<'_, [u8]> {
        let rows = self.reply.attributes();
        let Some(seconds) = self.terms.and_then(|terms| terms.idle_timeout) else {
            return Cow::Borrowed(rows.rest());
        };
        let mut own = ReplyAttributes::new();
        for attribute in rows.filter(|attribute| attribute.number != IDLE_TIMEOUT) {
            own.push(attribute.number, attribute.value);
        }
        if seconds > 0 {
            own.push_u32(IDLE_TIMEOUT, seconds);
        }
        Cow::Owned(own.attributes().rest().to_vec())
    }

    /// The attributes of the Accept, in the words of the NAS. `confidential`: hidden ones may be among them.
    #[must_use]
    pub fn attributes(&self, pack: &Pack, confidential: bool) -> ReplyAttributes {
        let mut attributes = ReplyAttributes::new();
        pack.accept(&self.profile(Past::default()), &mut attributes);
        if confidential {
            for hidden in self.reply.hidden() {
                attributes.push_hidden(hidden);
            }
        }
        attributes
    }

    /// The same in no vendor's words, for a session that has had `past`: what [`Pack::change`] makes a
    /// CoA-Request of. All that the session is given counts from its beginning.
    #[must_use]
    pub fn profile(&self, past: Past) -> Profile<'_> {
        Profile {
            rate: self.rate,
            volume: self.volume,
            redirect: self.redirect.clone(),
            session_timeout: self.session_timeout.as_ref().map(|(left, _)| left.saturating_add(past.seconds)),
            interim_interval: self.interim_interval,
            rows: self.rows(),
        }
    }
}

/// What a subscriber who has proved who it is gets, and what decides: status, check rows, bindings,
/// validity, places, reply. One function for logins, for sessions that are looked at again and for
/// [`explain`].
///
/// # Errors
/// The login is refused.
pub fn authorize<'a>(
    subscriber: &Subscriber,
    policy: &'a Policy<'_>,
    standing: Standing<'_>,
    settings: &Settings,
    now: Now,
) -> Result<Grant<'a>, Denial> {
    barred(subscriber, &policy.limits, &mut Unseen)?;
    entitle(subscriber, policy, standing, settings, now, &mut Unseen)
}

/// The password of a login that is imagined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// As it should be; nobody but the subscriber knows.
    Right,
    /// Another one.
    Wrong,
    /// None: this device asks to be let in.
    Device(Mac),
}

/// What a login would be answered, and every rule that was looked at. `held`: what refuses it before its
/// password is looked at.
pub fn explain<'a>(
    subscriber: &Subscriber,
    policy: &'a Policy<'_>,
    offer: Offer,
    held: Option<&Denial>,
    standing: Standing<'_>,
    settings: &Settings,
    now: Now,
) -> (Result<Grant<'a>, Denial>, Vec<Seen>) {
    let mut trace = Trace::new();
    let outcome = barred(subscriber, &policy.limits, &mut trace)
        .and_then(|()| {
            trace.at(Step::Credentials);
            match (held, offer) {
                (Some(held), _) => Err(held.clone()),
                (None, Offer::Device(mac)) if let_in(subscriber, &mac, now, &mut trace) => Ok(()),
                (None, offer) => proved(policy, offer, &mut trace),
            }
        })
        .and_then(|()| entitle(subscriber, policy, standing, settings, now, &mut trace));
    let seen = trace.end(&outcome);
    (outcome, seen)
}

/// Is a device let in without a password?
fn let_in(subscriber: &Subscriber, mac: &Mac, now: Now, witness: &mut impl Witness) -> bool {
    let Some(rule) = subscriber.admits(mac, now.unix) else { return false };
    witness.saw(Said::Passed, || (rule.clone(), "lets the device in without a password".to_owned()));
    true
}

/// What an imagined login proves with what is stored.
fn proved(policy: &Policy<'_>, offer: Offer, witness: &mut impl Witness) -> Result<(), Denial> {
    if let Some((AuthType::Accept, rule)) = &policy.limits.auth_type {
        witness.saw(Said::Passed, || (rule.clone(), "no password is asked".to_owned()));
        return Ok(());
    }
    let Some(stored) = policy.passwords.first() else {
        // Rows that are not met store no password either.
        return match &policy.unmet {
            Some((reason, rule)) => {
                witness.at(Step::Conditions);
                deny(*reason, rule)
            }
            None => deny(RejectReason::MethodNotServable, &NO_PASSWORD),
        };
    };
    if let Some(why) = stored.unservable() {
        return Err(Denial { reason: RejectReason::MethodNotServable, rule: why.to_string().into() });
    }
    if offer == Offer::Wrong {
        return deny(RejectReason::WrongPassword, &WRONG_PASSWORD);
    }
    witness.saw(Said::Passed, || (stored.form().into(), methods(policy)));
    Ok(())
}

/// The methods that the stored passwords and Auth-Type serve, for people.
fn methods(policy: &Policy<'_>) -> String {
    let only = policy.limits.auth_type.as_ref().map(|(auth_type, _)| *auth_type);
    let pap = policy.passwords.first().is_some_and(|stored| stored.unservable().is_none());
    let chap = policy.passwords.iter().any(|stored| stored.cleartext().is_some());
    let methods = [
        ("PAP", AuthType::Pap, pap),
        ("CHAP", AuthType::Chap, chap),
        ("MS-CHAP", AuthType::MsChap, nt_hash_of(policy).is_some()),
    ];
    let serves = |wanted: bool| {
        methods
            .iter()
            .filter(|(_, auth_type, can)| (*can && only.is_none_or(|only| only == *auth_type)) == wanted)
            .map(|(name, ..)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (serves(true), serves(false)) {
        (yes, no) if no.is_empty() => format!("serves {yes}"),
        (yes, no) if yes.is_empty() => format!("does not serve {no}"),
        (yes, no) => format!("serves {yes}; not {no}"),
    }
}

/// The status, and what no password can help against.
fn barred(subscriber: &Subscriber, limits: &Limits, witness: &mut impl Witness) -> Result<(), Denial> {
    witness.at(Step::Status);
    if let Some(rule) = &subscriber.barred {
        return deny(RejectReason::UserLocked, rule);
    }
    witness.saw(Said::Passed, || {
        (SmolStr::new_static("tk_subscriber.status"), subscriber.status.as_str().to_owned())
    });
    match &limits.auth_type {
        Some((AuthType::Reject, rule)) => deny(RejectReason::UserLocked, rule),
        Some((AuthType::Other, rule)) => deny(RejectReason::MethodNotServable, rule),
        _ => match limits.unreadable.as_ref().or(subscriber.validity.unreadable.as_ref()) {
            Some(rule) => deny(RejectReason::ConditionFailed, rule),
            None => Ok(()),
        },
    }
}

/// What follows the proof of who it is.
fn entitle<'a>(
    subscriber: &Subscriber,
    policy: &'a Policy<'_>,
    standing: Standing<'_>,
    settings: &Settings,
    now: Now,
    witness: &mut impl Witness,
) -> Result<Grant<'a>, Denial> {
    witness.at(Step::Conditions);
    if let Some((reason, rule)) = policy.unmet.as_ref().or(policy.unbound.as_ref()) {
        return deny(*reason, rule);
    }
    witness.saw(Said::Passed, || (SmolStr::new_static("check rows and bindings"), "met".to_owned()));
    let zone = subscriber.usage_days().0.unwrap_or(&settings.zone);
    let mut timeout = Timeout { now: now.unix, zone, first: None, until: policy.bound_until };
    witness.at(Step::Validity);
    valid(subscriber, &policy.limits, &standing, &mut timeout, witness)?;
    if let Some(ends) = standing.terms.and_then(|terms| terms.ends) {
        timeout.ends(ends, RejectReason::TimelyQuotaExceeded, &LOGIN_TERMS, witness)?;
    }
    witness.at(Step::Quotas);
    let mut allowance = subscriber
        .account(&policy.limits, standing.sessions, standing.session, settings)
        .weigh(now)
        .map_err(|spent| Denial {
            reason: if spent.is_time {
                RejectReason::TimelyQuotaExceeded
            } else {
                RejectReason::TrafficQuotaExceeded
            },
            rule: spent.rule,
        })?;
    if let Some((seconds, rule)) = &allowance.time {
        timeout.seconds(*seconds, rule, witness);
    }
    if let Some(octets) = standing.terms.and_then(|terms| terms.octets) {
        let used = standing.used();
        if used.input.max(used.output) >= octets {
            return deny(RejectReason::TrafficQuotaExceeded, &LOGIN_TERMS);
        }
        witness.saw(Said::Limits, || (LOGIN_TERMS, format!("{octets} octets of each direction")));
        for held in [&mut allowance.volume.down, &mut allowance.volume.up] {
            *held = Some(held.map_or(octets, |held| held.min(octets)));
        }
    }
    witness.at(Step::Credit);
    let reach = charge::reach(subscriber, policy, &standing, settings, now.unix)?;
    if let Some((seconds, rule)) = &reach.seconds {
        timeout.seconds(*seconds, rule, witness);
    }
    if let Some((octets, rule)) = &reach.octets {
        witness.saw(Said::Limits, || (rule.clone(), format!("{octets} octets of the session")));
        allowance.volume.total = Some(allowance.volume.total.map_or(*octets, |total| total.min(*octets)));
    }
    if let Some(octets) = reach.near {
        allowance.near_total(octets);
    }
    witness.at(Step::Places);
    let places = policy.limits.simultaneous_use.as_ref();
    let Occupancy { taken, own_place, may_give_way } = standing.occupancy;
    let mut gives_way = false;
    if let Some((limit, rule)) = places {
        let full = standing.session.is_none() && !own_place && taken >= *limit;
        gives_way = full && may_give_way && subscriber.concurrency() == Concurrency::ReplaceOldest;
        if *limit == 0 || (full && !gives_way) {
            return deny(RejectReason::MaxConcurrent, rule);
        }
        witness.saw(Said::Passed, || {
            let way = if gives_way { ": the oldest session gives way first" } else { "" };
            (rule.clone(), format!("{taken} other places of {limit} are taken{way}"))
        });
    }
    witness.at(Step::Reply);
    let ran = standing.began().map_or(0, |began| now.unix.since(began));
    let left = u64::from(policy.reply.session_timeout).saturating_sub(ran);
    timeout.seconds(left, &REPLY_SESSION_TIMEOUT, witness);
    // A plan's rate is among its rows; here it is what the line does, and the direction of which an exhausted
    // quota says nothing.
    let sold = subscriber.plan().map(|plan| plan.rate).unwrap_or_default();
    let (own, login) = (subscriber.own_rate(), standing.terms.map(|terms| terms.rate).unwrap_or_default());
    let own = Rate { down: login.down.or(own.down), up: login.up.or(own.up) };
    let said = slower(allowance.rate, own);
    let line = Rate { down: said.down.or(sold.down), up: said.up.or(sold.up) };
    let interim_interval = policy.reply.interim_interval.unwrap_or(settings.interim_interval);
    witness.saw(Said::Passed, || {
        let groups = if policy.groups.is_empty() { String::new() } else { policy.groups.join(", ") };
        (ACCEPTED.clone(), groups)
    });
    Ok(Grant {
        reply: &policy.reply,
        session_timeout: timeout.first,
        interim_interval: match (policy.reply.interim_interval, interim_interval) {
            (None, 0) => 0,
            (_, interval) => {
                let near = allowance.interim(line).and_then(|seconds| u32::try_from(seconds).ok());
                // RFC 2869 §5.16: never below 60 seconds.
                near.map_or(interval, |near| near.min(interval)).max(INTERIM_SECONDS_MIN)
            }
        },
        places: places.map(|(limit, _)| *limit),
        gives_way,
        rate: match (allowance.rate.is_unlimited(), said.is_unlimited()) {
            (false, _) => Some(line),
            // The rows may say the other direction.
            (true, false) => Some(said),
            (true, true) => None,
        },
        volume: allowance.volume,
        redirect: allowance.redirect,
        until: [timeout.until, allowance.until, reach.until].into_iter().flatten().min(),
        terms: standing.terms,
    })
}

/// In each direction the slower of two rates.
fn slower(one: Rate, other: Rate) -> Rate {
    let least = |one: Option<u64>, other: Option<u64>| [one, other].into_iter().flatten().min();
    Rate { down: least(one.down, other.down), up: least(one.up, other.up) }
}

/// From when, until when and at what times it may be used.
fn valid(
    subscriber: &Subscriber,
    limits: &Limits,
    standing: &Standing<'_>,
    timeout: &mut Timeout<'_>,
    witness: &mut impl Witness,
) -> Result<(), Denial> {
    let (now, zone, uses) = (timeout.now, timeout.zone, standing.uses);
    if let Some(activation) = subscriber.validity.activation().filter(|activation| *activation > now) {
        // IBSng has no key for "not yet": its operators lock such an account.
        let rule = smol_str::format_smolstr!("tk_subscriber.activation_at {}", shown(activation, zone));
        return Err(Denial { reason: RejectReason::UserLocked, rule });
    }
    let (absolute, relative) = (RejectReason::AbsExpDateReached, RejectReason::RelExpDateReached);
    // Whatever ends it, it ends no earlier than its grace period.
    let graced = |at: UnixTime| subscriber.grace.map_or(at, |grace| grace.max(at));
    // The row before the column that follows it: it is what people wrote.
    if let Some((date, rule)) = &limits.expiration {
        timeout.ends(graced(*date), absolute, rule, witness)?;
    }
    if let Some(expires) = subscriber.expires {
        timeout.ends(graced(expires), absolute, &SmolStr::new_static("tk_subscriber.expires_at"), witness)?;
    }
    for end in subscriber.validity.ends(uses, now, zone) {
        let at = graced(end.at);
        // A session is a use, also one whose NAS tells nothing meanwhile.
        if end.ends_sessions || (at <= now && standing.session.is_none()) {
            timeout.ends(at, end.reason, end.rule, witness)?;
        } else {
            witness.saw(Said::Passed, || (end.rule.clone(), format!("until {}", shown(at, zone))));
        }
    }
    if let Some((seconds, rule)) = &limits.after_first_use {
        timeout.ends(graced(uses.first.unwrap_or(now).plus(*seconds)), relative, rule, witness)?;
    }
    if let Some((window, rule)) = &limits.login_time {
        match window.at(now, zone) {
            None => return deny(RejectReason::LoginTimeDenied, rule),
            Some(Open::Always) => witness.saw(Said::Passed, || (rule.clone(), "always open".to_owned())),
            Some(Open::Until(end)) => timeout.ends(end, RejectReason::LoginTimeDenied, rule, witness)?,
        }
    }
    Ok(())
}

/// A time in a zone, for people.
fn shown(at: UnixTime, zone: &TimeZone) -> String {
    jiff::Timestamp::from_second(at.0).map_or_else(
        |_| "the end of time".to_owned(),
        |at| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
    )
}

fn deny<T>(reason: RejectReason, rule: &SmolStr) -> Result<T, Denial> {
    Err(Denial { reason, rule: rule.clone() })
}

/// The least of what ends a session.
struct Timeout<'a> {
    now: UnixTime,
    zone: &'a TimeZone,
    first: Option<(u32, SmolStr)>,
    /// When the answer may be another one.
    until: Option<UnixTime>,
}

impl Timeout<'_> {
    fn seconds(&mut self, seconds: u64, rule: &SmolStr, witness: &mut impl Witness) {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        if seconds == 0 {
            return;
        }
        witness.saw(Said::Limits, || (rule.clone(), format!("ends the session after {seconds} seconds")));
        if self.first.as_ref().is_none_or(|(least, _)| seconds < *least) {
            self.first = Some((seconds, rule.clone()));
        }
    }

    /// It ends then; refused if that is not to come, so that a Session-Timeout is never 0 (RFC 2865
    /// §5.27 gives no meaning to it, and many a NAS takes it for "no limit").
    fn ends(
        &mut self,
        at: UnixTime,
        reason: RejectReason,
        rule: &SmolStr,
        witness: &mut impl Witness,
    ) -> Result<(), Denial> {
        if at <= self.now {
            return deny(reason, rule);
        }
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
        let seconds = u32::try_from(at.since(self.now)).unwrap_or(u32::MAX);
        witness.saw(Said::Limits, || (rule.clone(), format!("until {}", shown(at, self.zone))));
        if self.first.as_ref().is_none_or(|(least, _)| seconds < *least) {
            self.first = Some((seconds, rule.clone()));
        }
        Ok(())
    }
}

/// One request on its way to a decision.
struct Decide<'a> {
    request: &'a AccessRequest<'a>,
    facts: &'a AccessFacts<'a>,
    credentials: &'a Credentials<'a>,
    method: &'static str,
}

enum Stop {
    Reject(Denial),
    Slow(SlowCheck),
    GiveWay,
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Reject(denial)
    }
}

/// What a right password earns besides the Accept.
enum Proof {
    /// Nothing.
    Plain,
    /// The success message and keys of MS-CHAPv2.
    MsChap2(Box<credentials::MsChap2Success>, u8),
    /// The keys of MS-CHAPv1.
    MsChap1([u8; 32]),
}

impl Decide<'_> {
    fn run(&self, now: Now, entropy: &mut dyn Entropy) -> Result<Decided, Stop> {
        if self.request.service_type() == Some(AUTHORIZE_ONLY) {
            // RFC 5080 §2.1.1: it must bring a State that was given for this, and none is.
            return refuse(
                RejectReason::MethodNotServable,
                "Service-Type Authorize-Only without a State of ours",
            );
        }
        match self.credentials {
            Credentials::Conflicting => {
                return refuse(RejectReason::MethodNotServable, "several kinds of credentials");
            }
            Credentials::Invalid => return refuse(RejectReason::MethodNotServable, "malformed credentials"),
            Credentials::Eap => return refuse(RejectReason::MethodNotServable, "EAP is not served"),
            Credentials::Pap(_)
            | Credentials::Chap(_)
            | Credentials::MsChap1(_)
            | Credentials::MsChap2(_)
            | Credentials::None => {}
        }
        let Some(subscriber) = self.facts.subscriber else {
            self.compute_for_nobody();
            return refuse(RejectReason::UnknownLogin, "no subscriber has this login");
        };
        let settings = self.facts.settings;
        let policy = subscriber.policy(Attempt::of(self.request, self.facts.source), settings, now);
        barred(subscriber, &policy.limits, &mut Unseen)?;
        if let Some(held) = self.facts.held {
            self.compute_for_nobody();
            return Err(held.clone().into());
        }
        let proof = if self.facts.device.is_some() { Proof::Plain } else { self.prove(&policy)? };
        let grant = entitle(subscriber, &policy, self.facts.standing, settings, now, &mut Unseen)?;
        if grant.gives_way {
            return Err(Stop::GiveWay);
        }
        Ok(self.accept(subscriber, &grant, &proof, now, entropy))
    }

    /// Does the request prove who it is?
    fn prove(&self, policy: &Policy<'_>) -> Result<Proof, Stop> {
        let auth_type = policy.limits.auth_type.as_ref().map(|(auth_type, _)| *auth_type);
        if auth_type == Some(AuthType::Accept) {
            return Ok(Proof::Plain);
        }
        if let (Some((reason, rule)), []) = (&policy.unmet, policy.passwords.as_slice()) {
            return Ok(deny(*reason, rule)?);
        }
        let asked = match self.credentials {
            Credentials::Pap(_) => AuthType::Pap,
            Credentials::Chap(_) => AuthType::Chap,
            Credentials::MsChap1(_) | Credentials::MsChap2(_) => AuthType::MsChap,
            // Some leave an empty password out.
            Credentials::None if self.is_ticket() => AuthType::Pap,
            _ => return refuse(RejectReason::MethodNotServable, "no credentials"),
        };
        if let Some((only @ (AuthType::Pap | AuthType::Chap | AuthType::MsChap), rule)) =
            &policy.limits.auth_type
            && *only != asked
        {
            return Ok(deny(RejectReason::MethodNotServable, rule)?);
        }
        if policy.passwords.is_empty() {
            return Ok(deny(RejectReason::MethodNotServable, &NO_PASSWORD)?);
        }
        match self.credentials {
            Credentials::Pap(password) => self.pap(policy, password.octets()),
            Credentials::Chap(chap) => Self::chap(policy, chap),
            Credentials::MsChap1(response) => Self::mschap1(policy, response),
            Credentials::MsChap2(response) => self.mschap2(policy, response),
            Credentials::None if self.is_ticket() => self.pap(policy, &[]),
            _ => refuse(RejectReason::MethodNotServable, "no credentials"),
        }
    }

    /// The first stored password counts, as in FreeRADIUS.
    fn pap(&self, policy: &Policy<'_>, offered: &[u8]) -> Result<Proof, Stop> {
        let Some(stored) = policy.passwords.first() else {
            return Ok(deny(RejectReason::MethodNotServable, &NO_PASSWORD)?);
        };
        if offered.is_empty() && self.is_ticket() {
            // The portal asked for the code alone, and whoever knows it has said it.
            return Ok(Proof::Plain);
        }
        match (stored.compare(offered), self.facts.password) {
            (Comparison::Right, _) | (Comparison::Slow(_), Some(true)) => Ok(Proof::Plain),
            (Comparison::Wrong, _) | (Comparison::Slow(_), Some(false)) => wrong_password(),
            (Comparison::Slow(check), None) => Err(Stop::Slow(check)),
            (Comparison::Unservable(why), _) => {
                Err(Denial { reason: RejectReason::MethodNotServable, rule: why.to_string().into() }.into())
            }
        }
    }

    fn chap(policy: &Policy<'_>, chap: &Chap<'_>) -> Result<Proof, Stop> {
        let Some(cleartext) = policy.passwords.iter().find_map(|stored| stored.cleartext()) else {
            return unservable(policy, "CHAP needs a cleartext password");
        };
        if credentials::chap_matches(chap, cleartext) { Ok(Proof::Plain) } else { wrong_password() }
    }

    fn mschap1(policy: &Policy<'_>, response: &MsChap1) -> Result<Proof, Stop> {
        let Some((hash, stored)) = nt_hash_of(policy) else {
            return unservable(policy, "MS-CHAP needs a cleartext or NT password");
        };
        if !mschap1_matches(response, &hash) {
            return wrong_password();
        }
        let cleartext = stored.cleartext().and_then(|octets| std::str::from_utf8(octets).ok());
        Ok(Proof::MsChap1(mschap1_mppe_keys(&hash, cleartext.map_or([0; 8], lan_manager_key))))
    }

    fn mschap2(&self, policy: &Policy<'_>, response: &MsChap2) -> Result<Proof, Stop> {
        let Some((hash, _)) = nt_hash_of(policy) else {
            return unservable(policy, "MS-CHAP needs a cleartext or NT password");
        };
        match mschap2_matches(response, self.user_name(), &hash) {
            Some(success) => Ok(Proof::MsChap2(Box::new(success), response.identifier)),
            None => wrong_password(),
        }
    }

    /// Is its code all that its holder has?
    fn is_ticket(&self) -> bool {
        self.facts.subscriber.is_some_and(Subscriber::is_ticket)
    }

    fn user_name(&self) -> &[u8] {
        self.request.user_name().unwrap_or_default()
    }

    /// The work that a wrong password costs, so that the time to a Reject does not tell which logins
    /// exist.
    fn compute_for_nobody(&self) {
        let right = match self.credentials {
            Credentials::Pap(password) => StoredPassword::read("Cleartext-Password", "nobody's")
                .is_some_and(|stored| matches!(stored.compare(password.octets()), Comparison::Right)),
            Credentials::Chap(chap) => credentials::chap_matches(chap, b"nobody's"),
            Credentials::MsChap1(response) => mschap1_matches(response, &NtHash::new([0; 16])),
            Credentials::MsChap2(response) => {
                mschap2_matches(response, self.user_name(), &NtHash::new([0; 16])).is_some()
            }
            _ => false,
        };
        std::hint::black_box(right);
    }

    fn accept(
        &self,
        subscriber: &Subscriber,
        grant: &Grant<'_>,
        proof: &Proof,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Decided {
        // RFC 5080 §2.1.1, RFC 2868 §5: secrets of the rows only to a request that is known to be the NAS's.
        let mut attributes = grant.attributes(self.facts.pack, self.request.packet().signed());
        push_proof(&mut attributes, proof);
        let token = self.facts.settings.token_key.issue(subscriber.id, entropy);
        attributes.push(CLASS, &token.to_class());
        self.push_asked_for(subscriber, token, &mut attributes);
        if self.facts.device.is_some() && !attributes.attributes().any(|row| row.number == USER_NAME) {
            // RFC 2865 §5.1: the NAS should name the session so, and not by the device.
            attributes.push(USER_NAME, subscriber.login.as_bytes());
        }
        Decided {
            reply: AccessReply::Accept(attributes),
            reject: None,
            rule: match (&grant.session_timeout, proof) {
                (Some((_, rule)), _) => rule.clone(),
                (None, _) => ACCEPTED.clone(),
            },
            method: self.method,
            subscriber: Some(subscriber.id),
            token: Some(token),
            places: grant.places,
            interim_interval: grant.interim_interval,
            granted: match (grant.places, grant.terms) {
                (None, None) => SmolStr::default(),
                _ => grant.granted(now.unix).to_text(),
            },
        }
    }

    /// What the request or the rows ask for and do not have: a Chargeable-User-Identity (RFC 4372 §2.1), and
    /// the State that a NAS returns when it asks again at the session's end (RFC 2865 §5.24).
    fn push_asked_for(&self, subscriber: &Subscriber, token: ClassToken, attributes: &mut ReplyAttributes) {
        let has = |number| attributes.attributes().any(|attribute| attribute.number == number);
        let renews = attributes.attributes().any(|attribute| {
            attribute.number == TERMINATION_ACTION && attribute.value == RADIUS_REQUEST.to_be_bytes()
        });
        let (needs_state, needs_identity) = (
            renews && !has(STATE),
            self.request.chargeable_user_identity().is_some() && !has(CHARGEABLE_USER_IDENTITY),
        );
        if needs_state {
            attributes.push(STATE, &token.0);
        }
        if needs_identity {
            let identity = self.facts.settings.token_key.chargeable_identity(subscriber.id);
            attributes.push(CHARGEABLE_USER_IDENTITY, identity.as_bytes());
        }
    }

    /// An Access-Reject provisions nothing (RFC 2865 §2), and looks the same whatever the reason.
    fn reject(&self, denial: Denial, entropy: &mut dyn Entropy) -> Decided {
        let mut attributes = ReplyAttributes::new();
        match self.credentials {
            Credentials::MsChap1(response) => {
                attributes.push_vendor(
                    vendor::MICROSOFT,
                    microsoft::CHAP_ERROR,
                    &[&[response.identifier], &b"E=691 R=0"[..]].concat(),
                );
            }
            Credentials::MsChap2(response) => {
                // A new challenge, as RFC 2759 §6 has it; we do not allow a retry.
                let mut challenge = [0; 16];
                entropy.fill(&mut challenge);
                let text = format!("E=691 R=0 C={} V=3", hex::encode_upper(challenge));
                let value = [&[response.identifier], text.as_bytes()].concat();
                attributes.push_vendor(vendor::MICROSOFT, microsoft::CHAP_ERROR, &value);
            }
            _ => {}
        }
        Decided {
            reply: AccessReply::Reject(attributes),
            reject: Some(denial.reason),
            rule: denial.rule,
            method: self.method,
            subscriber: self.facts.subscriber.map(|subscriber| subscriber.id),
            token: None,
            places: None,
            interim_interval: 0,
            granted: SmolStr::default(),
        }
    }
}

/// NT-Password if there is one, else the hash of the first cleartext, as in FreeRADIUS.
fn nt_hash_of<'a>(policy: &Policy<'a>) -> Option<(NtHash, &'a StoredPassword)> {
    let stored = policy.passwords.iter().find(|stored| stored.is_nt());
    let stored = stored.or_else(|| policy.passwords.iter().find(|stored| stored.cleartext().is_some()))?;
    Some((stored.nt_hash()?, stored))
}

fn unservable<T>(policy: &Policy<'_>, needs: &'static str) -> Result<T, Stop> {
    let rule = match policy.passwords.first() {
        Some(stored) => smol_str::format_smolstr!("{needs}; stored is {}", stored.form()),
        None => SmolStr::new_static(needs),
    };
    Err(Denial { reason: RejectReason::MethodNotServable, rule }.into())
}

fn wrong_password<T>() -> Result<T, Stop> {
    Ok(deny(RejectReason::WrongPassword, &WRONG_PASSWORD)?)
}

fn refuse<T>(reason: RejectReason, rule: &'static str) -> Result<T, Stop> {
    Err(Denial { reason, rule: SmolStr::new_static(rule) }.into())
}

fn push_proof(attributes: &mut ReplyAttributes, proof: &Proof) {
    match proof {
        Proof::Plain => return,
        Proof::MsChap1(keys) => {
            attributes.push_hidden(&microsoft_hidden(microsoft::CHAP_MPPE_KEYS, Hiding::UserPassword, keys));
        }
        Proof::MsChap2(success, identifier) => {
            attributes.push_vendor(vendor::MICROSOFT, microsoft::CHAP2_SUCCESS, &success.value(*identifier));
            for (number, key) in
                [(microsoft::MPPE_SEND_KEY, &success.send_key), (microsoft::MPPE_RECV_KEY, &success.recv_key)]
            {
                attributes.push_hidden(&microsoft_hidden(number, Hiding::TunnelPassword, key));
            }
        }
    }
    for (number, value) in [
        (microsoft::MPPE_ENCRYPTION_POLICY, ENCRYPTION_ALLOWED),
        (microsoft::MPPE_ENCRYPTION_TYPES, RC4_40_OR_128),
    ] {
        if !has_microsoft(attributes.attributes(), number) {
            attributes.push_vendor(vendor::MICROSOFT, number, &value.to_be_bytes());
        }
    }
}

fn has_microsoft(attributes: Attributes<'_>, number: u8) -> bool {
    attributes
        .filter(|attribute| attribute.number == VENDOR_SPECIFIC)
        .flat_map(|attribute| vendor_attributes(attribute.value))
        .any(|attribute| attribute.vendor == vendor::MICROSOFT && attribute.number == number)
}

fn microsoft_hidden(number: u8, method: Hiding, value: &[u8]) -> Hidden {
    Hidden {
        vendor: Some(vendor::MICROSOFT),
        number,
        tag: None,
        tlvs: SmallVec::new(),
        method,
        value: value.into(),
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        if let Self::MsChap1(keys) = self {
            keys.zeroize();
        }
    }
}

/// How the credentials are called in records and metrics.
fn method(credentials: &Credentials<'_>) -> &'static str {
    match credentials {
        Credentials::Pap(_) => "PAP",
        Credentials::Chap(_) => "CHAP",
        Credentials::MsChap1(_) => "MS-CHAPv1",
        Credentials::MsChap2(_) => "MS-CHAPv2",
        Credentials::Eap => "EAP",
        Credentials::None => "none",
        Credentials::Conflicting => "conflicting",
        Credentials::Invalid => "invalid",
    }
}

/// Rules that are no rows.
const ACCEPTED: SmolStr = SmolStr::new_static("accepted");
const NO_PASSWORD: SmolStr = SmolStr::new_static("no password is stored");
const WRONG_PASSWORD: SmolStr = SmolStr::new_static("the password is wrong");
const LOGIN_TERMS: SmolStr = SmolStr::new_static("tk_override of this login");
const REPLY_SESSION_TIMEOUT: SmolStr = SmolStr::new_static("reply Session-Timeout");

/// Termination-Action RADIUS-Request (RFC 2865 §5.29).
const RADIUS_REQUEST: u32 = 1;

/// Service-Type Authorize-Only (RFC 5176 §3.2).
const AUTHORIZE_ONLY: u32 = 17;

/// MS-MPPE-Encryption-Policy (RFC 2548 §2.4.4).
const ENCRYPTION_ALLOWED: u32 = 1;

/// MS-MPPE-Encryption-Types: 40 or 128 bits (RFC 2548 §2.4.5).
const RC4_40_OR_128: u32 = 6;

/// Seconds of Acct-Interim-Interval (RFC 2869 §5.16).
const INTERIM_SECONDS_MIN: u32 = 60;

#[cfg(test)]
mod tests;
