//! A subscriber as a customer with a package: by its number, with or without a login, with its credit,
//! its expiry and what it used. And the words to ask for customers, to change them, and to look at what
//! they did.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::charge::ChargePart;
use super::contact::{Contact, ContactField};
use super::money::Amount;
use super::quota::{Metric, Period};
use super::report::Span;
use super::subscriber::{AttributeRow, SubscriberId, SubscriberStatus};
use super::validity::{DeviceRow, ExpiryKind, ExpiryRow, ExpiryUnit};
use crate::time::UnixTime;

/// What a customer's package is at the moment: `tk_subscriber.service_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// As the plan gives it.
    #[default]
    Package,
    /// Credit was added to it.
    Recharged,
    /// It goes on for a while beyond its end.
    TemporaryExtended,
}

impl ServiceState {
    /// Every state with its word in the table.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Package, "package"),
        (Self::Recharged, "recharged"),
        (Self::TemporaryExtended, "temporary_extended"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("package", |(_, word)| word)
    }

    /// Reads the word in the table; one that is unknown is the first.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == word).map_or(Self::Package, |(state, _)| *state)
    }
}

/// By what customers are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// Their numbers.
    Number,
    /// Their logins, octet for octet.
    Login,
    /// The login of a telephone service.
    Voip,
    /// The serial of a card.
    Serial,
    /// One of their telephone numbers.
    Phone,
    /// The address that an open session of theirs has.
    Address,
}

/// What was used and paid under a charge rule since the last renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUsage {
    /// `tk_charge_rule.id`.
    pub rule: i64,
    /// Its name; empty is the rule that the plan's own figures make.
    pub name: SmolStr,
    /// What was paid.
    pub credit: Amount,
    /// Seconds online.
    pub seconds: u64,
    /// Octets of both directions.
    pub octets: u64,
}

/// A limit of a customer's own over a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLimit {
    /// What it counts.
    pub metric: Metric,
    /// Over which period.
    pub period: Period,
    /// Seconds or octets.
    pub limit: i64,
    /// What was used of it, and when it begins anew; `None` where nobody asked, or nobody can use any.
    pub used: Option<(u64, UnixTime)>,
}

/// An open session as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnlineSession {
    /// `radacct.acctuniqueid`.
    pub unique_id: SmolStr,
    /// Whose; nought where nobody is known to have the login.
    pub subscriber: i64,
    /// User-Name.
    pub login: SmolStr,
    /// Address of the NAS.
    pub nas: SmolStr,
    /// Its name.
    pub nas_name: SmolStr,
    /// NAS-Port-Id or NAS-Port.
    pub port: SmolStr,
    /// Acct-Session-Id.
    pub session_id: SmolStr,
    /// When it began.
    pub started: UnixTime,
    /// When it was last heard of.
    pub updated: UnixTime,
    /// Calling-Station-Id.
    pub station: SmolStr,
    /// Framed-IP-Address.
    pub address: SmolStr,
    /// Octets from the subscriber.
    pub input: u64,
    /// Octets to the subscriber.
    pub output: u64,
}

/// A customer as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The one number.
    pub id: i64,
    /// User-Name; a customer is made without one.
    pub login: Option<SmolStr>,
    /// Number and name of its account.
    pub account: (i64, SmolStr),
    /// Number and name of its primary plan.
    pub plan: Option<(i64, SmolStr)>,
    /// When it was made.
    pub created: UnixTime,
    /// Its package.
    pub state: ServiceState,
    /// Administrative status.
    pub status: SubscriberStatus,
    /// Why it is that.
    pub status_reason: SmolStr,
    /// The date on which it ends, its own.
    pub expires: Option<UnixTime>,
    /// Whatever ends it, it ends no earlier.
    pub grace: Option<UnixTime>,
    /// Not to be used before.
    pub activation: Option<UnixTime>,
    /// First login since the last renewal.
    pub first_use: Option<UnixTime>,
    /// First login of all.
    pub real_first_use: Option<UnixTime>,
    /// Last login or record.
    pub last_use: Option<UnixTime>,
    /// The last renewal.
    pub renewed: Option<UnixTime>,
    /// When it ends, whatever says so; `None` is never, or not yet known.
    pub ends: Option<UnixTime>,
    /// For people.
    pub comments: SmolStr,
    /// Credit that is left: what open sessions cost is off it.
    pub credit: Amount,
    /// How far below nothing the credit may go.
    pub credit_limit: Amount,
    /// Cash at disposal.
    pub deposit: Amount,
    /// Cash for recharges.
    pub recharge_deposit: Amount,
    /// Who it is to people.
    pub contact: Contact,
    /// radcheck. Passwords are among them only where they were asked for and are allowed.
    pub check: Vec<AttributeRow>,
    /// radreply.
    pub reply: Vec<AttributeRow>,
    /// Its own expiry rules and its plan's.
    pub rules: Vec<ExpiryRow>,
    /// `tk_plan.validity_days`.
    pub validity_days: Option<u32>,
    /// Devices it is bound to.
    pub devices: Vec<DeviceRow>,
    /// Its own limits over a period.
    pub limits: Vec<OwnLimit>,
    /// What nothing here has a meaning for, by name.
    pub fields: Vec<(SmolStr, SmolStr)>,
    /// Serial of a card.
    pub serial: Option<SmolStr>,
    /// Login of a telephone service.
    pub voip: Option<SmolStr>,
    /// What was used since the last renewal.
    pub usage: Vec<RuleUsage>,
    /// Its open sessions.
    pub online: Vec<OnlineSession>,
}

/// A rule that ends a customer's package so long after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndsAfter {
    /// The event.
    pub kind: ExpiryKind,
    /// How many units.
    pub value: i64,
    /// Of which.
    pub unit: ExpiryUnit,
}

/// What shall be different about a customer; `None` stays as it is, `Some(None)` is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerEdit {
    /// Its login.
    pub login: Option<String>,
    /// It has none any more; its password goes with it.
    pub no_login: bool,
    /// Its password, kept readable.
    pub password: Option<String>,
    /// Name of its plan.
    pub plan: Option<String>,
    /// Name of its account.
    pub account: Option<String>,
    /// Locked, and why.
    pub lock: Option<Option<String>>,
    /// The date on which it ends.
    pub expires: Option<Option<UnixTime>>,
    /// The first login of its term.
    pub first_use: Option<Option<UnixTime>>,
    /// Rules of these kinds are replaced.
    pub ends_after: Vec<(ExpiryKind, Option<EndsAfter>)>,
    /// How far below nothing its credit may go.
    pub credit_limit: Option<Amount>,
    /// For people.
    pub comments: Option<String>,
    /// Who it is to people; an empty value clears a field.
    pub contact: Vec<(ContactField, String)>,
    /// `Name op value`, in the place of rows of the same name.
    pub attributes: Vec<String>,
    /// Names whose rows go.
    pub remove: Vec<String>,
    /// MAC addresses it is bound to.
    pub macs: Option<Vec<String>>,
    /// Addresses it is bound to.
    pub addresses: Option<Vec<IpAddr>>,
    /// Limits over a period.
    pub limits: Vec<(Metric, Period, Option<i64>)>,
    /// Serial of a card.
    pub serial: Option<Option<String>>,
    /// Login of a telephone service.
    pub voip: Option<Option<String>>,
    /// What nothing here has a meaning for, by name.
    pub fields: Vec<(String, Option<String>)>,
}

/// Why customers were not found, made or changed: the first thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerObstacle {
    /// Nobody is named so.
    Nobody(NamedBy, String),
    /// There is no such plan.
    NoPlan(String),
    /// There is no such account.
    NoAccount(String),
    /// These logins are taken.
    LoginsTaken(Vec<String>),
    /// Another customer has it.
    IdentifierTaken(String),
    /// A credit would fall below its limit.
    BelowLimit {
        /// Whose.
        id: i64,
        /// What it is.
        credit: Amount,
    },
    /// It would have more digits than the tables hold.
    TooLarge,
    /// It has no plan that says how much.
    PlanMissing(i64),
    /// It is online.
    Online(i64),
    /// Its plan has no such rule.
    NoRule(i64),
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// =
    Equal,
    /// >
    More,
    /// <
    Less,
    /// >=
    AtLeast,
    /// <=
    AtMost,
}

impl Comparison {
    /// The sign, which is the same in SQL.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::More => ">",
            Self::Less => "<",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
        }
    }

    /// Reads the sign.
    #[must_use]
    pub fn parse(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" => Self::Equal,
            ">" => Self::More,
            "<" => Self::Less,
            ">=" => Self::AtLeast,
            "<=" => Self::AtMost,
            _ => return None,
        })
    }
}

/// Rows of a report: from the one at `from`, counted from nought, to the one before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub from: u32,
    /// The first that is not wanted.
    pub to: u32,
    /// The other way round.
    pub descending: bool,
}

impl Window {
    /// How many rows.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.to.saturating_sub(self.from)
    }

    /// No rows.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What connections are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionOrder {
    /// Number of the customer.
    Customer,
    /// What it cost.
    Cost,
    /// When it began.
    Began,
    /// When it ended.
    Ended,
    /// Whether there was one: refused logins first.
    Success,
    /// Address of the NAS.
    Nas,
    /// Number of the record.
    Number,
}

/// Which connections; what is `None` or empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Of these customers.
    pub customers: Option<Vec<i64>>,
    /// User-Name at that time.
    pub login: Option<String>,
    /// Any other User-Name.
    pub not_login: Option<String>,
    /// Names of the accounts.
    pub accounts: Vec<String>,
    /// Name of the plan at that time.
    pub plans: Vec<String>,
    /// When they began.
    pub began: Span,
    /// When they ended.
    pub ended: Span,
    /// Accepted logins (`true`), or refused ones.
    pub successful: Option<bool>,
    /// Address of the NAS.
    pub nas: Option<String>,
    /// Name of the NAS.
    pub nas_name: Option<String>,
    /// Calling-Station-Id, a MAC address.
    pub mac: Option<String>,
    /// Calling-Station-Id, anything else.
    pub callers: Vec<(TextMatch, String)>,
    /// NAS-Port-Id or NAS-Port.
    pub port: Option<String>,
    /// Framed-IP-Address.
    pub address: Option<String>,
    /// What it cost.
    pub cost: Option<(Comparison, Amount)>,
    /// Seconds.
    pub seconds: Option<(Comparison, i64)>,
    /// Add all of them up.
    pub totals: bool,
}

/// A connection: a session that is over, or a login that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `radacct.radacctid`; of a refusal its number in `tk_auth_log`.
    pub id: i64,
    /// Whose; nought where nobody is known to have the login.
    pub customer: i64,
    /// User-Name.
    pub login: SmolStr,
    /// Number and name of the plan at that time.
    pub plan: Option<(i64, SmolStr)>,
    /// When it began.
    pub began: UnixTime,
    /// When it ended.
    pub ended: UnixTime,
    /// Seconds.
    pub seconds: u64,
    /// Octets from the subscriber.
    pub input: u64,
    /// Octets to the subscriber.
    pub output: u64,
    /// Address of the NAS.
    pub nas: SmolStr,
    /// Its name.
    pub nas_name: SmolStr,
    /// NAS-Port-Id or NAS-Port.
    pub port: SmolStr,
    /// NAS-Port-Type.
    pub port_type: SmolStr,
    /// Acct-Session-Id.
    pub session_id: SmolStr,
    /// Called-Station-Id.
    pub called: SmolStr,
    /// Calling-Station-Id.
    pub station: SmolStr,
    /// Framed-IP-Address.
    pub address: SmolStr,
    /// Acct-Terminate-Cause; of a refusal its key.
    pub cause: SmolStr,
    /// The login was refused.
    pub refused: bool,
    /// The credit when it began.
    pub before: Amount,
    /// What it cost.
    pub cost: Amount,
    /// By rule.
    pub parts: Vec<ChargePart>,
    /// How often it was tried.
    pub tries: u64,
}

/// What all connections of a filter add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTotals {
    /// How many.
    pub rows: u64,
    /// The rest, where it was asked for: seconds.
    pub seconds: u64,
    /// Octets from subscribers.
    pub input: u64,
    /// Octets to subscribers.
    pub output: u64,
    /// What they cost.
    pub cost: Amount,
}

/// What moved a credit, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditMove {
    /// `tk_ledger.id`.
    pub id: i64,
    /// Whose.
    pub customer: i64,
    /// The word of the action in the table.
    pub action: SmolStr,
    /// What was added.
    pub delta: Amount,
    /// Who did it.
    pub actor: SmolStr,
    /// Its number, where it is an operator that is still there.
    pub actor_id: i64,
    /// From where.
    pub remote: SmolStr,
    /// When.
    pub at: UnixTime,
    /// For people.
    pub comment: SmolStr,
    /// Number and name of the customer's account.
    pub account: (i64, SmolStr),
}

/// Which movements of credit; what is `None` or empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreditMoveFilter {
    /// Of these customers.
    pub customers: Option<Vec<i64>>,
    /// Who did it.
    pub actor: Option<String>,
    /// Words of actions in the table.
    pub actions: Option<Vec<&'static str>>,
    /// How much.
    pub delta: Option<(Comparison, Amount)>,
    /// When.
    pub at: Span,
    /// From where.
    pub remote: Option<String>,
    /// For people: it has this in it.
    pub comment: Option<String>,
    /// By how much instead of by time.
    pub by_delta: bool,
}

/// What all movements of a filter add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreditMoveTotals {
    /// How many.
    pub rows: u64,
    /// The sum.
    pub delta: Amount,
}

/// How a text is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// It is this.
    Equal,
    /// It has it in it.
    Within,
    /// The same, upper and lower case being the same.
    WithinAnyCase,
    /// It begins so.
    Prefix,
    /// It ends so.
    Suffix,
}

/// What customers are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerOrder {
    /// Number.
    Number,
    /// Login.
    Login,
    /// Number of the plan.
    Plan,
    /// When they were made.
    Created,
    /// Number of the account.
    Account,
    /// Credit.
    Credit,
    /// Cash at disposal.
    Deposit,
    /// First login.
    FirstUse,
}

/// Which customers; what is `None` or empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerFilter {
    /// Of these.
    pub customers: Option<Vec<i64>>,
    /// Logins, any of them.
    pub logins: Option<(TextMatch, Vec<String>)>,
    /// They have none.
    pub without_login: bool,
    /// Names of their plans.
    pub plans: Vec<String>,
    /// Not of these plans.
    pub not_plans: Vec<String>,
    /// Names of their accounts.
    pub accounts: Vec<String>,
    /// When they were made.
    pub created: Span,
    /// The date on which they end, or what a rule makes of it.
    pub expires: Span,
    /// First login since the renewal.
    pub first_use: Span,
    /// First login of all.
    pub real_first_use: Span,
    /// They have never logged in.
    pub never_used: bool,
    /// Locked or not.
    pub locked: Option<bool>,
    /// Credit.
    pub credit: Option<(Comparison, Amount)>,
    /// Cash at disposal.
    pub deposit: Option<(Comparison, Amount)>,
    /// What is known of them as people.
    pub contact: Vec<(ContactField, TextMatch, String)>,
    /// Comments.
    pub comments: Option<(TextMatch, String)>,
    /// They have a session that is open, or none.
    pub online: Option<bool>,
    /// Serial of a card.
    pub serial: Option<String>,
    /// Fields that nothing here has a meaning for.
    pub fields: Vec<(String, TextMatch, String)>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomersFound {
    /// How many there are.
    pub rows: u64,
    /// What their credits add up to.
    pub credit: Amount,
    /// Those of the window.
    pub ids: Vec<i64>,
}

/// A customer's number as that of a subscriber.
impl From<&Customer> for SubscriberId {
    fn from(customer: &Customer) -> Self {
        Self(customer.id)
    }
}
