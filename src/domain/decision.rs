//! What a pure decision hands to the service: what must be durable first, what is answered, what
//! may wait (RFC 2866 §4.1 as a type).

use std::net::IpAddr;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::dynamic_auth::Order;
use super::nas::NasIdentity;
use super::session::{Session, UniqueId};
use super::subscriber::SubscriberId;
use super::usage::{Day, Usage};
use crate::time::UnixTime;

/// A decision about one request.
#[derive(Clone, Debug)]
pub struct Decision<R> {
    /// Durable before the reply may leave.
    pub before: SmallVec<[Write; 2]>,
    /// The answer; `None` is silence.
    pub reply: Option<R>,
    /// Done once the reply is on its way.
    pub after: SmallVec<[Effect; 1]>,
}

impl<R> Decision<R> {
    /// An answer that needs nothing durable and has no consequences.
    #[must_use]
    pub fn reply(reply: R) -> Self {
        Self { before: SmallVec::new(), reply: Some(reply), after: SmallVec::new() }
    }
}

/// A row with absolute content: writing it twice is harmless, and of two for one key the later holds
/// all of the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// `radacct` and `tk_session`, merged upwards.
    Session(Box<Session>),
    /// A bucket of `tk_usage`, merged upwards.
    Usage {
        /// Whose.
        subscriber: SubscriberId,
        /// Which bucket.
        day: Day,
        /// Its whole content.
        total: Usage,
    },
    /// `nasreload` and `tk_nas_reload`: sessions of that NAS older than this are over.
    NasReload(NasReload),
    /// `tk_quota.used` of a top-up, merged upwards.
    TopUp {
        /// `tk_quota.id`.
        quota: i64,
        /// How much of it was used, all in all: seconds or octets.
        used: u64,
    },
    /// `tk_subscriber.first_use_at` (only where it is still null) and `last_use_at`.
    Used {
        /// Whose.
        subscriber: SubscriberId,
        /// When.
        at: UnixTime,
    },
}

/// An Accounting-On or -Off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NasReload {
    /// Which NAS.
    pub nas: NasIdentity,
    /// Event time: sessions whose last record is later are not meant.
    pub at: UnixTime,
}

/// What may wait until the reply is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Close the sessions of a NAS that rebooted.
    SweepNas(NasReload),
    /// Ask the NAS of a session for something.
    DynamicAuth {
        /// Which session.
        session: UniqueId,
        /// What is asked.
        order: Order,
    },
    /// A record that had been put off, by its number in the spool, is in rows that are durable.
    Settled(i64),
    /// Keep the login attempt: `radpostauth`, `tk_auth_log`.
    Record(Box<PostAuth>),
}

/// One login attempt and how it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostAuth {
    /// When.
    pub at: UnixTime,
    /// User-Name.
    pub user_name: SmolStr,
    /// Whose it is, if anybody's.
    pub subscriber: Option<SubscriberId>,
    /// `None` is Accept.
    pub reject: Option<RejectReason>,
    /// What decided: the rule or row in words (`radcheck Simultaneous-Use := 3`), never a secret.
    pub rule: SmolStr,
    /// `PAP`, `CHAP`, `MS-CHAPv2` …
    pub method: &'static str,
    /// NAS address.
    pub nas: IpAddr,
    /// Calling-Station-Id.
    pub calling_station_id: SmolStr,
    /// Called-Station-Id.
    pub called_station_id: SmolStr,
    /// Class that was sent.
    pub class: SmolStr,
}

/// Why an Access-Request is rejected: a closed list. The keys are IBSng's (`apis/ibsng.md` §5) and
/// six of ours (DESIGN §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// No subscriber has that login.
    UnknownLogin,
    /// The password or response is wrong, or there is none.
    WrongPassword,
    /// `Auth-Type := Reject`, or a status other than active.
    UserLocked,
    /// `Expiration` or another fixed date has passed.
    AbsExpDateReached,
    /// A period counted from an event has passed.
    RelExpDateReached,
    /// Every place of Simultaneous-Use is taken.
    MaxConcurrent,
    /// Credit is spent.
    CreditFinished,
    /// The plan charges, but no rule says how.
    NoChargeDefined,
    /// No charge rule applies here and now.
    NoApplicableRule,
    /// A time quota is spent.
    TimelyQuotaExceeded,
    /// A data quota is spent.
    TrafficQuotaExceeded,
    /// The device is not the bound one, by MAC address.
    MacDenied,
    /// The address is not the bound one.
    IpDenied,
    /// Calling-Station-Id is not the bound one.
    CallerIdDenied,
    /// Outside the Login-Time window.
    LoginTimeDenied,
    /// This NAS is not allowed for the subscriber.
    NasDenied,
    /// A check item does not match the request.
    ConditionFailed,
    /// What the request offers cannot be checked: no credentials, several kinds at once, a method
    /// we do not speak, or one that the stored form of the password cannot serve.
    MethodNotServable,
    /// Too many wrong passwords within a minute: it is not looked at.
    TooManyFailures,
    /// The subscriber has logged in too often within a minute.
    TooManyLogins,
}

impl RejectReason {
    /// Every reason with its key.
    pub const ALL: [(Self, &'static str); 20] = [
        (Self::UnknownLogin, "NORMAL_USERNAME_DOESNT_EXISTS"),
        (Self::WrongPassword, "WRONG_PASSWORD"),
        (Self::UserLocked, "USER_LOCKED"),
        (Self::AbsExpDateReached, "ABS_EXP_DATE_REACHED"),
        (Self::RelExpDateReached, "REL_EXP_DATE_REACHED"),
        (Self::MaxConcurrent, "MAX_CONCURRENT"),
        (Self::CreditFinished, "CREDIT_FINISHED"),
        (Self::NoChargeDefined, "NO_CHARGE_DEFINED"),
        (Self::NoApplicableRule, "NO_APPLICABLE_RULE"),
        (Self::TimelyQuotaExceeded, "TIMELY_QUOTA_EXCEEDED"),
        (Self::TrafficQuotaExceeded, "TRAFFIC_QUOTA_EXCEEDED"),
        (Self::MacDenied, "LOGIN_FROM_THIS_MAC_DENIED"),
        (Self::IpDenied, "LOGIN_FROM_THIS_IP_DENIED"),
        (Self::CallerIdDenied, "LOGIN_FROM_THIS_CALLER_ID_DENIED"),
        (Self::LoginTimeDenied, "LOGIN_TIME_DENIED"),
        (Self::NasDenied, "NAS_DENIED"),
        (Self::ConditionFailed, "CONDITION_FAILED"),
        (Self::MethodNotServable, "METHOD_NOT_SERVABLE"),
        (Self::TooManyFailures, "TOO_MANY_FAILURES"),
        (Self::TooManyLogins, "TOO_MANY_LOGINS"),
    ];

    /// The key that logs, metrics, `explain` and the APIs show.
    #[must_use]
    pub fn key(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("", |(_, key)| key)
    }
}
