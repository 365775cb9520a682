//! Subscribers and groups as the tables hold them. `engine::policy` compiles them.

use smol_str::SmolStr;

use super::plan::Concurrency;
use super::validity::{DeviceRow, ExpiryRow};
use crate::time::UnixTime;

/// `tk_subscriber.id`: the one number by which every dialect knows a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub i64);

/// `tk_subscriber.kind` of a subscriber whose code is login and password: the portal asks for the code alone.
pub const TICKET: &str = "ticket";

/// `tk_subscriber.kind` of a subscriber who pays afterwards: time and quota do not hold, and what its sessions
/// cost is charged to its money.
pub const POSTPAID: &str = "postpaid";

/// Administrative status (domain model §5). `expired` and `online` are derived, never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubscriberStatus {
    /// May log in.
    #[default]
    Active,
    /// Not yet released.
    Pending,
    /// Waits for approval.
    PendingApproval,
    /// Was not approved.
    Rejected,
    /// Disabled by an operator.
    Suspended,
    /// Blocked by an operator.
    Blocked,
    /// Never again.
    Blacklisted,
    /// Contract ended.
    Terminated,
    /// Removed; the login is free for another.
    Deleted,
}

impl SubscriberStatus {
    /// Every status with the word that `tk_subscriber.status` holds.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Active, "active"),
        (Self::Pending, "pending"),
        (Self::PendingApproval, "pending_approval"),
        (Self::Rejected, "rejected"),
        (Self::Suspended, "suspended"),
        (Self::Blocked, "blocked"),
        (Self::Blacklisted, "blacklisted"),
        (Self::Terminated, "terminated"),
        (Self::Deleted, "deleted"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("active", |(_, word)| word)
    }

    /// Reads the word in the table.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(status, _)| *status)
    }
}

/// One row of radcheck, radreply, radgroupcheck or radgroupreply, as text. Order is by `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeRow {
    /// Primary key of the row.
    pub id: i64,
    /// Attribute name as written in the table.
    pub attribute: SmolStr,
    /// FreeRADIUS operator (`:=`, `==`, `+=` …).
    pub op: SmolStr,
    /// Value as written in the table.
    pub value: SmolStr,
}

/// All rows of one subscriber. A login with rows in radcheck, radreply or radusergroup alone is a
/// subscriber: the store gives it a `tk_subscriber` row on first sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberRows {
    /// The one number.
    pub id: SubscriberId,
    /// The login exactly as the tables spell it (compared octet by octet, whatever the collation).
    pub login: SmolStr,
    /// Administrative status.
    pub status: SubscriberStatus,
    /// `user`, `mac`, `pin` …
    pub kind: SmolStr,
    /// First successful login of the present term.
    pub first_use: Option<UnixTime>,
    /// Expiry set in `tk_subscriber`.
    pub expires: Option<UnixTime>,
    /// From when, until when and from where it may be used.
    pub tenure: Tenure,
    /// radcheck.
    pub check: Vec<AttributeRow>,
    /// radreply.
    pub reply: Vec<AttributeRow>,
    /// radusergroup: group names by priority, then id.
    pub groups: Vec<SmolStr>,
    /// Who gives way when all its places are taken, if it is not what its plan says.
    pub concurrency: Option<Concurrency>,
    /// Usage buckets to continue counting from: [`super::Day::LIFETIME`] and the most recent days.
    pub usage: Vec<(super::Day, super::Usage)>,
    /// What bears on its quotas.
    pub terms: super::SubscriberTerms,
}

/// What `tk_subscriber`, its account, its plan, `tk_expiry_rule` and `tk_device` say of from when, until
/// when and from where a subscriber may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    /// Why it has its status, for people.
    pub status_reason: SmolStr,
    /// Its account, where that is not enabled.
    pub closed_account: Option<SmolStr>,
    /// When it was made; nought is unknown.
    pub created: UnixTime,
    /// Not to be used before.
    pub activation: Option<UnixTime>,
    /// The last renewal.
    pub renewed: Option<UnixTime>,
    /// Whatever ends it, it ends no earlier.
    pub grace: Option<UnixTime>,
    /// When it was last seen.
    pub last_use: Option<UnixTime>,
    /// `tk_plan.validity_days` with the name of the plan: days from the first use.
    pub validity_days: Option<(u32, SmolStr)>,
    /// `tk_expiry_rule`: its own and its plan's.
    pub expiry: Vec<ExpiryRow>,
    /// `tk_device`.
    pub devices: Vec<DeviceRow>,
    /// A device that has logged in with the password logs in by itself later.
    pub autologin: bool,
}

/// All rows of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRows {
    /// `groupname`.
    pub name: SmolStr,
    /// radgroupcheck.
    pub check: Vec<AttributeRow>,
    /// radgroupreply.
    pub reply: Vec<AttributeRow>,
}
