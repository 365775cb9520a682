//! What is sold: a plan is a group of FreeRADIUS's tables with a price and limits.

use std::fmt;

use smol_str::SmolStr;

use super::money::Amount;
use super::subscriber::AttributeRow;

/// `tk_plan.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(pub i64);

/// Who gives way when all places of Simultaneous-Use are taken (DESIGN §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concurrency {
    /// The newcomer is refused.
    RejectNew,
    /// The oldest session is disconnected.
    ReplaceOldest,
    /// A session of the same device gives way, else the newcomer is refused.
    SameDevice,
}

impl Concurrency {
    /// Every choice with its word in tables and on the command line.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::RejectNew, "reject-new"),
        (Self::ReplaceOldest, "replace-oldest"),
        (Self::SameDevice, "same-device"),
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(choice, _)| *choice == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(choice, _)| *choice)
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The figures of a plan; `None` is unlimited, or not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanTerms {
    /// For people.
    pub description: SmolStr,
    /// What it costs.
    pub price: Option<Amount>,
    /// ISO 4217, empty where there is no price.
    pub currency: SmolStr,
    /// Credit that a subscriber has from the plan's beginning and after each renewal.
    pub credit: Option<Amount>,
    /// Credit that a recharge adds.
    pub recharge_credit: Option<Amount>,
    /// Charged per minute online.
    pub charge_per_minute: Option<Amount>,
    /// Charged per 1,024 octets, both directions.
    pub charge_per_kib: Option<Amount>,
    /// Seconds online.
    pub time: Option<u64>,
    /// Octets, both directions together.
    pub quota: Option<u64>,
    /// Bit/s to the subscriber.
    pub rate_down: Option<u64>,
    /// Bit/s from the subscriber.
    pub rate_up: Option<u64>,
    /// Days from the first use.
    pub validity_days: Option<u32>,
    /// Day of the month on which periodic quotas begin anew, 1 to 31.
    pub reset_day: Option<u8>,
    /// Who gives way when all places are taken.
    pub concurrency: Option<Concurrency>,
}

/// A plan as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `tk_plan.id`.
    pub id: PlanId,
    /// Its name; also the name of its group.
    pub name: SmolStr,
    /// Its figures.
    pub terms: PlanTerms,
    /// radgroupcheck.
    pub check: Vec<AttributeRow>,
    /// radgroupreply.
    pub reply: Vec<AttributeRow>,
    /// How many subscribers have it as their plan.
    pub subscribers: u64,
}
