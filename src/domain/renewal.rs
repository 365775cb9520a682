//! Renewals, moves and grace periods as they are reported.

use smol_str::SmolStr;

use super::money::Amount;
use super::subscriber::SubscriberId;
use crate::time::UnixTime;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenewalKind {
    /// The subscriber was made.
    New,
    /// Its plan began anew.
    Renewal,
    /// It got another plan.
    Move,
    /// Its end was put off.
    Grace,
}

impl RenewalKind {
    /// The digit in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "1",
            Self::Renewal => "2",
            Self::Move => "3",
            Self::Grace => "4",
        }
    }
}

/// A row of `tk_renewal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub subscriber: SubscriberId,
    /// Name of its account.
    pub account: SmolStr,
    /// Who did it.
    pub actor: SmolStr,
    /// For how long: `30`, `1 months`.
    pub days: SmolStr,
    /// What it cost.
    pub amount: Option<Amount>,
    /// What the plan costs.
    pub plan_rate: Option<Amount>,
    /// Tax.
    pub tax: Option<Amount>,
    /// See [`RenewalKind`].
    pub kind: SmolStr,
    /// The plan before.
    pub previous_plan: Option<i64>,
    /// The plan after.
    pub present_plan: Option<i64>,
    /// Number of an order.
    pub order: Option<i64>,
    /// Until when that order may be paid.
    pub order_until: Option<UnixTime>,
    /// The term.
    pub since: Option<UnixTime>,
    /// The term.
    pub until: Option<UnixTime>,
    /// Taken back.
    pub deleted: bool,
    /// For people.
    pub notes: SmolStr,
    /// When.
    pub created: UnixTime,
}
