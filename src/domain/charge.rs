//! What sessions cost: the rules of a plan, and the running account of a session that is charged.
//!
//! `engine::charge` applies the rules; the store posts what comes of it, once, when a session is closed.

use smol_str::SmolStr;

use super::money::{Amount, Price};
use super::plan::PlanId;
use super::usage::Usage;
use crate::time::UnixTime;

/// A row of `tk_charge_rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRule {
    /// `tk_charge_rule.id`. Of several rules that apply the one with the lowest counts.
    pub id: i64,
    /// Its name; empty is the one that the plan's own figures make, which counts where no other applies.
    pub name: SmolStr,
    /// What it charges.
    pub price: Price,
    /// When it applies, in the notation of Login-Time; empty is always.
    pub window: SmolStr,
    /// On which NASes it applies: addresses, networks and NAS-Identifiers, joined by commas; empty is all.
    pub nas: SmolStr,
}

/// Which wallet of a subscriber (domain model §7). They are not convertible into each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WalletKind {
    /// Units of service, which sessions use up.
    #[default]
    Credit,
    /// Cash at disposal; what a postpaid subscriber's sessions cost is charged to it.
    Money,
    /// What is owed: a payment takes away from it, and what was paid too much is below nothing.
    Due,
}

impl WalletKind {
    /// Every kind with the word that `tk_wallet.kind` and `tk_ledger.wallet` hold.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Credit, "credit"), (Self::Money, "money"), (Self::Due, "due")];

    /// The word in the tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

/// The wallet from which a subscriber's sessions are paid, so that nothing in it moves while sessions run and
/// are posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Which wallet it is.
    pub wallet: WalletKind,
    /// Everything that was ever granted and taken back, but for what sessions cost.
    pub granted: Amount,
    /// What all sessions have cost so far, open ones included.
    pub charged: Amount,
    /// How far below nothing it may go.
    pub limit: Amount,
}

/// What a session costs and why: part of its row, absolute like the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The plan when it began.
    pub plan: PlanId,
    /// Its name then.
    pub plan_name: SmolStr,
    /// The wallet that it is posted to.
    pub wallet: WalletKind,
    /// The credit when it began.
    pub before: Amount,
    /// What of the session's use has been rated.
    pub rated: Usage,
    /// Until when.
    pub until: UnixTime,
    /// By rule and price, in the order in which they first applied.
    pub parts: Vec<ChargePart>,
}

/// What was used of a session under one rule at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargePart {
    /// `tk_charge_rule.id`.
    pub rule: i64,
    /// Its name.
    pub name: SmolStr,
    /// Its price at that time.
    pub price: Price,
    /// When it first applied.
    pub start: UnixTime,
    /// When it last did.
    pub end: UnixTime,
    /// What the session had used when it first applied.
    pub before: Usage,
    /// What was used under it.
    pub used: Usage,
}

impl ChargePart {
    /// What it costs.
    #[must_use]
    pub fn cost(&self) -> Amount {
        self.price.of(self.used.seconds, self.used.input.saturating_add(self.used.output))
    }
}

impl Charge {
    /// What the session has cost so far. Never falls.
    #[must_use]
    pub fn cost(&self) -> Amount {
        self.parts.iter().fold(Amount::ZERO, |sum, part| sum.saturating_plus(part.cost()))
    }
}

/// What moves a wallet: the word in `tk_ledger.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerAction {
    /// A new subscriber's plan came with it.
    AddUser,
    /// An operator changed it.
    ChangeCredit,
    /// What was left at a renewal is gone.
    RenewTrash,
    /// The plan gave it with a renewal.
    Renew,
    /// The plan gave it with a recharge.
    Recharge,
    /// A session cost it.
    Usage,
    /// A subscriber was sold: the price is told, the wallet does not move.
    Sale,
    /// An operator said how much money it is.
    MoneySet,
    /// Money was paid in.
    MoneyInc,
    /// Money was taken out.
    MoneyDec,
    /// More was sold to a subscriber: the price is told, the wallet does not move.
    TopUp,
    /// A plan began anew, and its price is due.
    Invoice,
    /// Something of what is due was paid.
    Payment,
    /// The same, fetched by a collector and approved.
    Collection,
    /// What was due is not any more.
    Reversal,
    /// What was left went with its owner.
    DelUser,
    /// An operator gave it with an extension.
    TempExtend,
}

impl LedgerAction {
    /// Every action with its word.
    pub const ALL: [(Self, &'static str); 17] = [
        (Self::AddUser, "ADD_USER"),
        (Self::ChangeCredit, "CHANGE_CREDIT"),
        (Self::RenewTrash, "RENEW_TRASH"),
        (Self::Renew, "RENEW"),
        (Self::Recharge, "RECHARGE"),
        (Self::Usage, "USAGE"),
        (Self::Sale, "SALE"),
        (Self::MoneySet, "MONEY_SET"),
        (Self::MoneyInc, "MONEY_INC"),
        (Self::MoneyDec, "MONEY_DEC"),
        (Self::TopUp, "TOPUP"),
        (Self::Invoice, "INVOICE"),
        (Self::Payment, "PAYMENT"),
        (Self::Collection, "COLLECTION"),
        (Self::Reversal, "REVERSAL"),
        (Self::DelUser, "DEL_USER"),
        (Self::TempExtend, "TEMP_EXTEND"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, word)| word)
    }
}
