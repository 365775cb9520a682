//! Accounts as prepaid products know them: one login with the values of a price plan copied to it, which
//! are then its own. Times are seconds, volumes octets, rates bit/s.

use smol_str::SmolStr;

use super::contact::Contact;
use super::money::Amount;
use super::person::Kind;
use super::plan::PlanId;
use super::subscriber::SubscriberId;
use crate::time::UnixTime;

/// A limit of an account that begins anew with every day or month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodLimit {
    /// Is there one?
    pub enabled: bool,
    /// Seconds or octets of a period.
    pub limit: u64,
    /// What is left of it now.
    pub left: u64,
}

/// An account as it stands now, its open sessions included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// `tk_subscriber.id`.
    pub id: SubscriberId,
    /// Login, or code of a ticket.
    pub login: SmolStr,
    /// The password where it can be read; empty for a ticket, whose code it is.
    pub password: Option<SmolStr>,
    /// How it is paid for.
    pub kind: Kind,
    /// Seconds used.
    pub time_used: u64,
    /// Seconds left; 0 where they are not limited.
    pub time_left: u64,
    /// No limit on time.
    pub unlimited_time: bool,
    /// Octets left of each direction; 0 where they are not limited.
    pub quota_left: u64,
    /// No limit on octets.
    pub unlimited_quota: bool,
    /// Its plan.
    pub plan: Option<PlanId>,
    /// Only at certain hours.
    pub has_hours: bool,
    /// The date it ends on, if it has one of its own.
    pub expires: Option<UnixTime>,
    /// Days from the first use; 0 is no such rule.
    pub days_from_first_use: u64,
    /// Days from the last use; 0 is no such rule.
    pub days_from_last_use: u64,
    /// Seconds a day.
    pub daily_time: PeriodLimit,
    /// Octets a day.
    pub daily_quota: PeriodLimit,
    /// Seconds a month.
    pub monthly_time: PeriodLimit,
    /// Octets a month.
    pub monthly_quota: PeriodLimit,
    /// Bit/s to it; 0 is not limited.
    pub rate_down: u64,
    /// Bit/s from it; 0 is not limited.
    pub rate_up: u64,
    /// The batch that it was made with; 0 is none.
    pub batch: i64,
    /// Has it an open session?
    pub online: bool,
    /// First login.
    pub first_used: Option<UnixTime>,
    /// Last login.
    pub last_used: Option<UnixTime>,
    /// Was it sold? Bookkeeping alone.
    pub sold: bool,
    /// Balance of its money wallet.
    pub money: Amount,
    /// Are its devices remembered?
    pub autologin: bool,
    /// Does silence end its sessions?
    pub inactivity: bool,
    /// Sessions at a time; 0 is not limited.
    pub logins: u64,
    /// Who it is.
    pub contact: Contact,
}

/// A price plan as it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricePlan {
    /// Its number.
    pub id: PlanId,
    /// Its name.
    pub name: SmolStr,
    /// What it costs; nothing where it says no price.
    pub price: Amount,
    /// Seconds online; `None` is not limited.
    pub time: Option<u64>,
    /// Octets; `None` is not limited.
    pub quota: Option<u64>,
    /// Bit/s to the subscriber; 0 is not limited.
    pub rate_down: u64,
    /// Bit/s from the subscriber; 0 is not limited.
    pub rate_up: u64,
    /// Is it still sold?
    pub enabled: bool,
}

/// Values that are given to an account in the place of its plan's; `None` is as the plan, or as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenLimits {
    /// Seconds left from now.
    pub time_left: Option<u64>,
    /// No limit on time.
    pub unlimited_time: Option<bool>,
    /// Octets left from now, of each direction.
    pub quota_left: Option<u64>,
    /// No limit on octets.
    pub unlimited_quota: Option<bool>,
    /// Bit/s to it; 0 is not limited.
    pub rate_down: Option<u64>,
    /// Bit/s from it; 0 is not limited.
    pub rate_up: Option<u64>,
}

/// Accounts that are to be made together.
#[derive(Clone, Debug, Default)]
pub struct BatchOrder {
    /// The name of the only one; the prefix of several, and of tickets always. Empty is none.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Number of the plan whose values are copied.
    pub plan: Option<PlanId>,
    /// How they are paid for.
    pub kind: Kind,
    /// Remember their devices.
    pub autologin: Option<bool>,
    /// Let silence end their sessions.
    pub inactivity: Option<bool>,
    /// They are sold now.
    pub sold: bool,
    /// When all of them end.
    pub expires: Option<UnixTime>,
    /// In the place of the plan's values.
    pub limits: GivenLimits,
    /// Characters of a code.
    pub length: Option<usize>,
    /// Characters of a random password.
    pub password_length: Option<usize>,
    /// The same password for all.
    pub password: Option<Password>,
    /// The number after the prefix of the first.
    pub first_number: Option<u64>,
    /// What else was asked for, for the record (`print`, `preview`).
    pub remarks: String,
}

/// A password that nothing shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A limit of a period that is to be changed; `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodChange {
    /// Shall there be one?
    pub enabled: Option<bool>,
    /// Seconds or octets of a period.
    pub limit: Option<u64>,
    /// What shall be left of this one.
    pub left: Option<u64>,
}

/// What shall be different about an account; `None` stays. All of it happens, or nothing.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Another password.
    pub password: Option<Password>,
    /// Another plan; its values are not copied.
    pub plan: Option<PlanId>,
    /// Paid for in another way.
    pub kind: Option<Kind>,
    /// The money it has.
    pub money: Option<Amount>,
    /// Added to its money, after that.
    pub money_added: Option<Amount>,
    /// Taken from its money, after that.
    pub money_taken: Option<Amount>,
    /// Time, volume and rates.
    pub limits: GivenLimits,
    /// Seconds that count as used.
    pub time_used: Option<u64>,
    /// Seconds a day.
    pub daily_time: PeriodChange,
    /// Octets a day.
    pub daily_quota: PeriodChange,
    /// Remember its devices.
    pub autologin: Option<bool>,
    /// Let silence end its sessions.
    pub inactivity: Option<bool>,
    /// Sold or not.
    pub sold: Option<bool>,
    /// The date it ends on; `Some(None)` is none.
    pub expires: Option<Option<UnixTime>>,
    /// Sessions at a time.
    pub logins: Option<u64>,
    /// What is known of the person.
    pub contact: Vec<(super::contact::ContactField, String)>,
    /// Facts that are only kept (`software`, `printedcolor`, `printedbw`): name and value.
    pub facts: Vec<(&'static str, String)>,
}

/// A device that is let in as an account, with what holds for its next login.
#[derive(Clone, Debug, Default)]
pub struct DeviceLogin {
    /// Its MAC address, as it was written.
    pub mac: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// Seconds, volume and rates of the login.
    pub limits: GivenLimits,
    /// Let silence end it.
    pub inactivity: Option<bool>,
    /// Let in until then.
    pub until: Option<UnixTime>,
}

/// Which sessions are to be ended: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogoutOrder {
    /// Of this account.
    pub login: Option<String>,
    /// With this address.
    pub ip: Option<String>,
    /// Of this device.
    pub mac: Option<String>,
}
