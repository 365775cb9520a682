//! Quotas, top-ups and the figures of a plan as the tables hold them. `engine::quota` compiles and
//! balances them.

use smol_str::SmolStr;

use super::charge::{ChargeRule, Credit};
use super::overrides::{AccountOverride, LoginOverride};
use super::plan::{Concurrency, PlanId};
use super::profile::Rate;
use super::usage::{Day, Usage};
use crate::time::UnixTime;

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Seconds online.
    Time,
    /// Octets of both directions together.
    Total,
    /// Octets to the subscriber.
    Down,
    /// Octets from the subscriber.
    Up,
    /// Octets, each direction for itself: it is spent when either is.
    EachDirection,
}

impl Metric {
    /// Every metric with the word that `tk_quota.metric` holds.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Time, "time"),
        (Self::Total, "data_total"),
        (Self::Down, "data_down"),
        (Self::Up, "data_up"),
        (Self::EachDirection, "data_each_direction"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(metric, _)| *metric == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(metric, _)| *metric)
    }

    /// Seconds, not octets.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Time)
    }

    /// What it counts of `usage`; of each direction for itself the larger.
    #[must_use]
    pub const fn of(self, usage: Usage) -> u64 {
        match self {
            Self::Time => usage.seconds,
            Self::Total => usage.input.saturating_add(usage.output),
            Self::Down => usage.output,
            Self::Up => usage.input,
            Self::EachDirection => {
                if usage.input > usage.output {
                    usage.input
                } else {
                    usage.output
                }
            }
        }
    }
}

/// When a quota begins anew: at a midnight of the subscriber's zone, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// With every session.
    Session,
    /// Every day.
    Daily,
    /// Every week, on a chosen day.
    Weekly,
    /// Every month, on a chosen day; a month without that day begins on its last.
    Monthly,
    /// On 1 January, April, July and October.
    Quarterly,
    /// On 1 January.
    Yearly,
    /// Every month, on the day of the month on which the subscriber joined.
    Billing,
    /// Never.
    Lifetime,
}

impl Period {
    /// Every period with the word that `tk_quota.period` holds.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Session, "session"),
        (Self::Daily, "daily"),
        (Self::Weekly, "weekly"),
        (Self::Monthly, "monthly"),
        (Self::Quarterly, "quarterly"),
        (Self::Yearly, "yearly"),
        (Self::Billing, "billing"),
        (Self::Lifetime, "lifetime"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(period, _)| *period == self).map_or("", |(_, word)| word)
    }

    /// Reads the word; `none`, a period that is never over, is a lifetime.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = if word == "none" { "lifetime" } else { word };
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(period, _)| *period)
    }
}

/// What happens when a quota is used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Exhaustion {
    /// No login, and no session goes on.
    #[default]
    Refuse,
    /// Sessions get this rate until the quota begins anew.
    Throttle(Rate),
    /// Sessions are sent to this URL.
    Redirect(SmolStr),
}

impl Exhaustion {
    /// The word that `tk_quota.on_exhaust` holds.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Throttle(_) => "throttle",
            Self::Redirect(_) => "redirect",
        }
    }
}

/// What a row of `tk_quota` is to the other quotas of its kind (time or volume) and period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuotaRole {
    /// It holds beside them.
    #[default]
    Beside,
    /// A subscriber's, in the place of its plan's.
    InPlace,
    /// In the place of its plan's there is none; the limit is what it was, or is to be again.
    Lifted,
    /// Its limit, which may be less than nothing, is added to theirs in the period in which it was made.
    Extra,
}

impl QuotaRole {
    /// Every role of a subscriber's quota with the word that `tk_quota.origin` holds.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Beside, "user"),
        (Self::InPlace, "override"),
        (Self::Lifted, "unlimited"),
        (Self::Extra, "granted"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, word)| word)
    }

    /// Reads the word; any other is that of a quota that holds beside the others.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == word).map_or(Self::Beside, |(role, _)| *role)
    }
}

/// A row of `tk_quota` that is no top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// `tk_quota.id`.
    pub id: i64,
    /// What it counts.
    pub metric: Metric,
    /// When it begins anew.
    pub period: Period,
    /// Seconds or octets; 0 and less is nothing left.
    pub limit: i64,
    /// What was left of the limit of the period before is added.
    pub carry_over: bool,
    /// What happens when it is used up.
    pub exhausted: Exhaustion,
    /// A week's first day (0 is Sunday) or a month's (1 to 31), where it is not the subscriber's or the
    /// plan's.
    pub begins: Option<u8>,
    /// Lower ones decide first.
    pub priority: i32,
    /// When it was made: nothing is carried over from before.
    pub created: UnixTime,
    /// What it is to the others.
    pub role: QuotaRole,
}

/// A row of `tk_quota` that was bought on top: used once the quotas proper are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// `tk_quota.id`.
    pub id: i64,
    /// Seconds, not octets.
    pub is_time: bool,
    /// Seconds or octets of both directions.
    pub amount: u64,
    /// How much of it was used. Never falls.
    pub used: u64,
    /// When it lapses.
    pub expires: Option<UnixTime>,
    /// When it was bought.
    pub created: UnixTime,
}

/// What of a subscriber's own row in `tk_subscriber`, and of its rows in `tk_quota`, bears on its quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberTerms {
    /// Its plan.
    pub plan: Option<PlanId>,
    /// IANA name of its account's zone; empty is the server's.
    pub zone: SmolStr,
    /// Day of the month on which monthly quotas begin anew, 1 to 31.
    pub reset_day: Option<u8>,
    /// When its service began.
    pub activated: Option<UnixTime>,
    /// When it was made.
    pub created: UnixTime,
    /// Its usage since ever at the beginning of its present term: quotas without a period count from
    /// there.
    pub before_term: Usage,
    /// What counts as used in the term though no session of the term did: an operator said so.
    pub said_used: Usage,
    /// What it used until then counts in no period: nothing before the day, and so much of the day.
    pub cleared: Option<(Day, Usage)>,
    /// Its own quotas.
    pub quotas: Vec<Quota>,
    /// What it bought on top, whether used up or not.
    pub top_ups: Vec<TopUp>,
    /// What it has to spend on sessions, where it ever had anything.
    pub credit: Option<Credit>,
    /// What it has in the place of what its plan and its rows say.
    pub own: AccountOverride,
    /// What the next logins of devices have.
    pub logins: Vec<LoginOverride>,
}

/// What of a plan bears on the sessions of its subscribers. Limits: seconds or octets; `None` is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLimits {
    /// `tk_plan.id`.
    pub id: PlanId,
    /// Its name.
    pub name: SmolStr,
    /// Its group: whoever has no plan of its own has that of its first group.
    pub group: SmolStr,
    /// How fast its sessions are.
    pub rate: Rate,
    /// Seconds of a term.
    pub time: Option<i64>,
    /// Octets of a term, both directions.
    pub volume: Option<i64>,
    /// Seconds of a day.
    pub daily_time: Option<i64>,
    /// Octets of a day, both directions.
    pub daily_volume: Option<i64>,
    /// Seconds of a month.
    pub monthly_time: Option<i64>,
    /// Octets of a month, both directions.
    pub monthly_volume: Option<i64>,
    /// Day of the month on which monthly quotas begin anew, 1 to 31.
    pub reset_day: Option<u8>,
    /// Who gives way when all places of a subscriber are taken.
    pub concurrency: Option<Concurrency>,
    /// Its rows of `tk_quota`.
    pub quotas: Vec<Quota>,
    /// Its rows of `tk_charge_rule`: where there are any, sessions cost something.
    pub charges: Vec<ChargeRule>,
}
