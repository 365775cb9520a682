//! What a subscriber gets in place of what its plan says: below a limit one thing, above it another
//! ("fair usage policy").

use smol_str::SmolStr;

use super::quota::{Metric, Period};
use crate::time::UnixTime;

/// Rates with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandwidthTemplate {
    /// Its number.
    pub id: i64,
    /// Its name; that of the plan it belongs to.
    pub name: SmolStr,
    /// The plan it belongs to.
    pub plan: Option<i64>,
    /// Bit/s to the subscriber.
    pub down: Option<u64>,
    /// Bit/s from the subscriber.
    pub up: Option<u64>,
}

/// Until when the first of two things counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FupLimit {
    /// What is counted.
    pub metric: Metric,
    /// Octets.
    pub octets: i64,
    /// When counting begins anew.
    pub period: Period,
    /// A week's first day (0 is Sunday) or a month's.
    pub begins: Option<u8>,
    /// What is left is added to the next period.
    pub carry_over: bool,
}

/// Which attributes, with FreeRADIUS's operator, and whether they are compared or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FupAttribute {
    /// A row of radcheck, not of radreply.
    pub is_check: bool,
    /// Name.
    pub attribute: String,
    /// FreeRADIUS's operator.
    pub op: String,
    /// Value.
    pub value: String,
}

/// An override as it is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewFup {
    /// Numbers of templates.
    Bandwidth {
        /// Below the limit.
        below: i64,
        /// The limit, and the template above it.
        above: Option<(FupLimit, i64)>,
    },
    /// Attributes.
    Attributes {
        /// Below the limit.
        below: Vec<FupAttribute>,
        /// The limit, and the attributes above it.
        above: Option<(FupLimit, Vec<FupAttribute>)>,
    },
}

/// Which kind of override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FupKind {
    /// Of rates.
    Bandwidth,
    /// Of attributes.
    Attributes,
}

impl FupKind {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::Attributes => "vendor_attributes",
        }
    }
}

/// An override of attributes with a limit, as it stands: which side of the limit is in force is to be
/// looked at again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedFup {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub login: SmolStr,
    /// The quota that counts for it.
    pub quota: i64,
    /// What is above the limit is in force.
    pub above: bool,
    /// When it was made.
    pub created: UnixTime,
}
