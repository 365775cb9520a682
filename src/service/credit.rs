//! Credit and charge rules as operators see them, and the rating of sessions as their records come.

use jiff::tz::TimeZone;

use super::error::ServiceError;
use super::management::{Management, check_name, taken};
use crate::domain::{Amount, ChargeRule, LedgerAction, Price, WalletKind};
use crate::engine::{Subscriber, charge};
use crate::sessions::{Change, SubscriberSessions};
use crate::store::{
    CreditChange, CreditObstacle, CreditRecord, LedgerEntry, Refresh, RuleObstacle, WalletOrder,
};

/// Rates what a record has added to its session, under the subscriber's lock. What is charged nothing is
/// only looked at.
pub(super) fn rate(
    sessions: &mut SubscriberSessions,
    change: &mut Change,
    subscriber: Option<&Subscriber>,
    zone: &TimeZone,
) {
    let before = change.before;
    if let Some((charging, credit)) = subscriber.and_then(Subscriber::charging) {
        let zone = subscriber.and_then(|subscriber| subscriber.usage_days().0).unwrap_or(zone);
        sessions.rate(change, |session, charged| {
            let left = credit.granted.saturating_minus(charged);
            charging.rate(session, before, (credit.wallet, left), zone)
        });
    } else if change.session().is_some_and(|session| session.charge.is_some()) {
        // Its plan charged when it began, and does no longer.
        sessions.rate(change, |session, _| {
            charge::pass(session);
            Amount::ZERO
        });
    }
}

/// A charge rule to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChargeRuleOrder {
    /// Its name, unique among those of its plan.
    pub name: String,
    /// What it charges.
    pub price: Price,
    /// When it applies, in the notation of Login-Time; empty is always.
    pub window: String,
    /// On which NASes: addresses, networks and NAS-Identifiers, joined by commas; empty is all.
    pub nas: String,
}

/// Characters of a comment.
const COMMENT_MAX: usize = 1_000;

/// Credit.
impl Management<'_> {
    /// The credit of a subscriber.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn credit(&self, login: &str) -> Result<CreditRecord, ServiceError> {
        self.wallet(login, WalletKind::Credit).await
    }

    /// A wallet of a subscriber: nothing where it never had any.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn wallet(&self, login: &str, kind: WalletKind) -> Result<CreditRecord, ServiceError> {
        let found = self.read()?.wallet(login, kind, self.scope(), &self.author()).await?;
        found.ok_or_else(|| ServiceError::not_found("subscriber", login))
    }

    /// Changes a credit. Gives the row of the ledger.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where it would fall below its limit;
    /// [`ServiceError::Invalid`] for an amount that cannot be.
    pub async fn change_credit(
        &self,
        login: &str,
        change: CreditChange,
        comment: &str,
    ) -> Result<LedgerEntry, ServiceError> {
        self.change_wallet(login, WalletKind::Credit, change, LedgerAction::ChangeCredit, comment).await
    }

    /// Changes a wallet, for the reason that `action` names. Gives the row of the ledger. The money of who pays
    /// afterwards may be less than nothing; any other wallet may not fall below its limit.
    ///
    /// # Errors
    /// As [`Management::change_credit`].
    pub async fn change_wallet(
        &self,
        login: &str,
        kind: WalletKind,
        change: CreditChange,
        action: LedgerAction,
        comment: &str,
    ) -> Result<LedgerEntry, ServiceError> {
        let (store, author) = self.write()?;
        check_comment(comment)?;
        if matches!(change, CreditChange::Multiply(factor) if factor.is_negative()) {
            return Err(ServiceError::invalid("credit", "a factor must not be negative"));
        }
        let order = WalletOrder { kind, change, action, comment };
        let changed = store.change_wallet(login, order, self.scope(), &author).await?;
        changed.map_err(|obstacle| obstacle_error(obstacle, login))
    }

    /// Tells the ledger that a subscriber ([`LedgerAction::Sale`]), or more for one ([`LedgerAction::TopUp`]), was
    /// sold at its plan's price. Its money does not move by it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where it has no plan.
    pub async fn record_sale(
        &self,
        login: &str,
        action: LedgerAction,
        comment: &str,
    ) -> Result<LedgerEntry, ServiceError> {
        let (store, author) = self.write()?;
        check_comment(comment)?;
        let sold = store.record_sale(login, action, comment, self.scope(), &author).await?;
        sold.map_err(|obstacle| obstacle_error(obstacle, login))
    }

    /// Says how far below nothing a credit may go.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`].
    pub async fn set_credit_limit(&self, login: &str, limit: Amount) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        if limit.is_negative() {
            return Err(ServiceError::invalid("limit", "must not be negative"));
        }
        if store.set_credit_limit(login, limit, self.scope(), &author).await? {
            Ok(())
        } else {
            Err(ServiceError::not_found("subscriber", login))
        }
    }

    /// Begins a subscriber's plan anew: what is left of its credit is gone, the plan's comes in its place,
    /// its next login is its first. Gives the credit.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where it has no plan.
    pub async fn renew(&self, login: &str, comment: &str) -> Result<Amount, ServiceError> {
        self.refresh(login, Refresh::Renewal, comment).await
    }

    /// Adds what the plan gives with a recharge. Gives the credit after it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where it has no plan.
    pub async fn recharge(&self, login: &str, comment: &str) -> Result<Amount, ServiceError> {
        self.refresh(login, Refresh::Recharge, comment).await
    }

    async fn refresh(&self, login: &str, how: Refresh, comment: &str) -> Result<Amount, ServiceError> {
        let (store, author) = self.write()?;
        check_comment(comment)?;
        let done = store.refresh(login, how, comment, self.scope(), &author).await?;
        done.map_err(|obstacle| obstacle_error(obstacle, login))
    }

    /// What moved a credit, the latest first: rows before number `before`, at most `limit`.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn ledger(
        &self,
        login: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, ServiceError> {
        self.ledger_of(login, WalletKind::Credit, before, limit).await
    }

    /// What moved a wallet, as [`Management::ledger`].
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn ledger_of(
        &self,
        login: &str,
        kind: WalletKind,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, ServiceError> {
        let found = self.read()?.ledger(login, kind, before, limit, self.scope(), &self.author()).await?;
        found.ok_or_else(|| ServiceError::not_found("subscriber", login))
    }
}

/// Charge rules.
impl Management<'_> {
    /// The charge rules of a plan.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn charge_rules(&self, plan: &str) -> Result<Vec<ChargeRule>, ServiceError> {
        let found = self.read()?.charge_rules(plan).await?;
        found.ok_or_else(|| ServiceError::not_found("plan", plan))
    }

    /// Adds a charge rule to a plan; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the plan, [`ServiceError::Conflict`] for the name,
    /// [`ServiceError::Invalid`] for a window or a list of NASes that cannot be read.
    pub async fn add_charge_rule(&self, plan: &str, order: &ChargeRuleOrder) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        check_name("name", &order.name)?;
        let rule = ChargeRule {
            id: 0,
            name: order.name.as_str().into(),
            price: order.price,
            window: order.window.trim().into(),
            nas: order.nas.trim().into(),
        };
        charge::check(&rule).map_err(|why| ServiceError::invalid("rule", why.to_string()))?;
        match store.add_charge_rule(plan, &rule, &author).await? {
            Ok(id) => Ok(id),
            Err(RuleObstacle::NoPlan) => Err(ServiceError::not_found("plan", plan)),
            Err(RuleObstacle::Taken) => Err(taken("charge rule", &order.name)),
        }
    }

    /// Removes a charge rule of a plan. The one that the plan's own figures make goes with them.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn delete_charge_rule(&self, plan: &str, name: &str) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        check_name("name", name)?;
        match store.delete_charge_rule(plan, name, &author).await? {
            None => Err(ServiceError::not_found("plan", plan)),
            Some(false) => Err(ServiceError::not_found("charge rule", name)),
            Some(true) => Ok(()),
        }
    }
}

fn check_comment(comment: &str) -> Result<(), ServiceError> {
    if comment.chars().count() > COMMENT_MAX {
        return Err(ServiceError::invalid("comment", format!("has at most {COMMENT_MAX} characters")));
    }
    if comment.contains('\0') {
        return Err(ServiceError::invalid("comment", "must not contain NUL"));
    }
    Ok(())
}

fn obstacle_error(obstacle: CreditObstacle, login: &str) -> ServiceError {
    match obstacle {
        CreditObstacle::NoSubscriber => ServiceError::not_found("subscriber", login),
        CreditObstacle::NoPlan => {
            ServiceError::Conflict { reason: format!("subscriber {login} has no plan that says how much") }
        }
        CreditObstacle::BelowLimit { after, limit } => ServiceError::Conflict {
            reason: format!("the credit would be {after}, and may not be less than {}", limit.negated()),
        },
        CreditObstacle::TooLarge => {
            ServiceError::invalid("credit", "has more digits than the 12 before the point that are kept")
        }
    }
}
