//! Payments that an operator fetches from subscribers and another one approves.

use smol_str::SmolStr;

use super::money::Amount;
use super::place::Visit;
use crate::time::UnixTime;

/// How a collection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectionStatus {
    /// The subscriber asks to be visited.
    Requested,
    /// It was visited, and nothing was paid.
    Visited,
    /// It has paid; the payment waits for approval.
    Pending,
    /// The payment was posted.
    Approved,
    /// The payment was not accepted.
    Rejected,
    /// The subscriber is gone.
    Void,
}

impl CollectionStatus {
    /// Every status with its word.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Requested, "requested"),
        (Self::Visited, "visited"),
        (Self::Pending, "pending"),
        (Self::Approved, "approved"),
        (Self::Rejected, "rejected"),
        (Self::Void, "void"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, word)| word)
    }
}

/// What a visit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCollection {
    /// How it stands by that.
    pub status: CollectionStatus,
    /// What the visitor said of it: `cashCollected` …
    pub visit: &'static str,
    /// What was paid, or would have been.
    pub amount: Option<Amount>,
    /// `cash`, `cheque` …
    pub method: &'static str,
    /// Bank of a cheque.
    pub bank: String,
    /// Number of a cheque.
    pub cheque_number: String,
    /// Date of a cheque as it was written.
    pub cheque_date: String,
    /// The last four digits of a card.
    pub card_last4: String,
    /// The note for which change is to be brought.
    pub change_for: &'static str,
    /// For people.
    pub notes: String,
}

/// A payment that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCollection {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub visit: Visit,
    /// What was paid.
    pub amount: Amount,
    /// When.
    pub at: UnixTime,
}

/// A payment as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Number of its row in the ledger.
    pub id: i64,
    /// How much.
    pub amount: Amount,
    /// How: `cash` …
    pub method: SmolStr,
    /// For people.
    pub notes: SmolStr,
    /// Who booked it.
    pub actor: SmolStr,
    /// When.
    pub at: UnixTime,
}
