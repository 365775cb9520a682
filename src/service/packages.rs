//! What becomes of customers' packages: credit, deposits, renewals, recharges, extensions, and when they end.

use jiff::Timestamp;

use super::error::ServiceError;
use super::management::Management;
use super::numbered::{CustomerError, check_text};
use crate::domain::customer::{Customer, ServiceState};
use crate::domain::{Amount, AttributeRow, ExpiryKind, Uses, WalletKind};
use crate::engine::{Dates, Validity};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::radius::value;
use crate::store::{CreditChange, NewAttribute, PutOff, Refresh, WalletChange};
use crate::time::UnixTime;

/// Which of a customer's wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// What sessions are paid from.
    Credit,
    /// Cash at disposal.
    Deposit,
}

/// How a wallet changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By so much.
    Add(Amount),
    /// To so much.
    Set(Amount),
    /// Times so much.
    Multiply(Amount),
}

/// The row that ends a subscription for FreeRADIUS.
const EXPIRATION: &str = "Expiration";

/// Hours for which a package may be extended: twenty years.
const EXTENSION_MAX: u32 = 20 * 365 * 24;

impl Management<'_> {
    /// Changes a wallet of customers; gives the numbers of the rows in the ledger, one for each.
    ///
    /// # Errors
    /// The first obstacle; [`ServiceError::Invalid`] for an amount that cannot be.
    pub async fn change_purses(
        &self,
        ids: &[String],
        purse: Purse,
        change: Change,
        comment: &str,
    ) -> Result<Vec<i64>, CustomerError> {
        let (store, author) = self.write()?;
        check_text("comment", comment)?;
        let change = match change {
            Change::Add(amount) => CreditChange::Add(amount),
            Change::Set(amount) => CreditChange::Set(amount),
            Change::Multiply(factor) if factor.is_negative() => {
                return Err(ServiceError::invalid("credit", "a factor must not be negative").into());
            }
            Change::Multiply(factor) => CreditChange::Multiply(factor),
        };
        let kind = match purse {
            Purse::Credit => WalletKind::Credit,
            Purse::Deposit => WalletKind::Money,
        };
        let asked = WalletChange { kind, change, comment };
        let changed = store.change_wallets(ids, asked, self.scope(), &author).await?;
        changed.map_err(CustomerError::from)
    }

    /// Begins packages anew.
    ///
    /// # Errors
    /// The first obstacle.
    pub async fn renew_customers(&self, ids: &[String], comment: &str) -> Result<(), CustomerError> {
        self.refresh_customers(ids, Refresh::Renewal, comment).await
    }

    /// Adds what plans give with a recharge.
    ///
    /// # Errors
    /// The first obstacle.
    pub async fn recharge_customers(&self, ids: &[String], comment: &str) -> Result<(), CustomerError> {
        self.refresh_customers(ids, Refresh::Recharge, comment).await
    }

    async fn refresh_customers(
        &self,
        ids: &[String],
        how: Refresh,
        comment: &str,
    ) -> Result<(), CustomerError> {
        let (store, author) = self.write()?;
        check_text("comment", comment)?;
        let done = store.refresh_customers(ids, how, comment, self.scope(), &author).await?;
        done.map_err(CustomerError::from)
    }

    /// Lets packages go on for so many hours from now, whatever ends them, with so much credit more. None that
    /// ends later ends earlier by it.
    ///
    /// # Errors
    /// The first obstacle; [`ServiceError::Invalid`] for a time or credit that cannot be.
    pub async fn extend_customers(
        &self,
        ids: &[String],
        hours: u32,
        credit: Amount,
    ) -> Result<(), CustomerError> {
        let (store, author) = self.write()?;
        if hours > EXTENSION_MAX {
            let reason = format!("expects a number up to {EXTENSION_MAX}");
            return Err(ServiceError::invalid("hours", reason).into());
        }
        if credit.is_negative() {
            return Err(ServiceError::invalid("credit", "must not be negative").into());
        }
        let until = author.at.plus(u64::from(hours) * 3_600);
        let shown = self.civil(until, "%Y-%m-%d %H:%M:%S");
        let written = self.expiration_row(until).value;
        let is_earlier = |date: &str| self.is_before(date, until);
        let put = PutOff { until, written: &written, is_earlier: &is_earlier };
        let put = (hours > 0).then_some((&put, shown.as_str()));
        let extended = store.extend_customers(ids, put, credit, self.scope(), &author).await?;
        extended.map_err(CustomerError::from)
    }

    /// Says what packages are.
    ///
    /// # Errors
    /// The first obstacle.
    pub async fn set_service_state(&self, ids: &[String], to: ServiceState) -> Result<(), CustomerError> {
        let (store, author) = self.write()?;
        let set = store.set_service_state(ids, to, self.scope(), &author).await?;
        set.map_err(CustomerError::from)
    }

    /// Says what customers have used under a rule of their plan: credit, seconds, octets.
    ///
    /// # Errors
    /// The first obstacle; [`ServiceError::Invalid`] for what is below nothing.
    pub async fn set_rule_usage(
        &self,
        ids: &[String],
        rule: i64,
        credit: Amount,
        seconds: i64,
        octets: i64,
    ) -> Result<(), CustomerError> {
        let (store, author) = self.write()?;
        if credit.is_negative() || seconds < 0 || octets < 0 {
            return Err(ServiceError::invalid("usage", "must not be negative").into());
        }
        let set = store.set_rule_usage(ids, rule, (credit, seconds, octets), self.scope(), &author).await?;
        set.map_err(CustomerError::from)
    }

    /// Keeps the end of a subscription and the row `Expiration`, which a FreeRADIUS beside us reads and other
    /// dialects show, one and the same: whichever of them is changed, the other follows. Gives the end.
    pub(super) fn ends(
        &self,
        expires: Option<Option<UnixTime>>,
        check: &mut Vec<NewAttribute>,
        remove: &mut Vec<String>,
    ) -> Option<Option<UnixTime>> {
        match expires {
            Some(Some(at)) => check.push(self.expiration_row(at)),
            Some(None) => remove.push(EXPIRATION.to_owned()),
            None => return self.end_by(check, remove.iter().map(String::as_str)),
        }
        expires
    }

    /// The end that rows put in or removed stand for; `None` where they say nothing of it. A date that cannot
    /// be read stands in its row alone.
    pub(super) fn end_by<'n>(
        &self,
        check: &[NewAttribute],
        mut remove: impl Iterator<Item = &'n str>,
    ) -> Option<Option<UnixTime>> {
        match check.iter().rev().find(|item| item.attribute.eq_ignore_ascii_case(EXPIRATION)) {
            Some(item) => Some(value::parse_date(&item.value, &self.engine().zone)),
            None => remove.any(|name| name.eq_ignore_ascii_case(EXPIRATION)).then_some(None),
        }
    }

    /// The row of radcheck that ends a subscription then, as FreeRADIUS reads it, in the server's zone.
    pub(super) fn expiration_row(&self, at: UnixTime) -> NewAttribute {
        let local = self.engine().zone.to_datetime(Timestamp::from_second(at.0).unwrap_or_default());
        NewAttribute::new(EXPIRATION, ":=", local.strftime("%d %b %Y %H:%M:%S").to_string())
    }

    /// Is the date of a row `Expiration` one that lies before?
    pub(super) fn is_before(&self, date: &str, at: UnixTime) -> bool {
        value::parse_date(date, &self.engine().zone).is_some_and(|date| date < at)
    }

    /// The end that rows of radcheck say.
    pub(super) fn written_end(&self, check: &[AttributeRow]) -> Option<UnixTime> {
        let row = check.iter().find(|row| row.attribute.eq_ignore_ascii_case(EXPIRATION))?;
        value::parse_date(&row.value, &self.engine().zone)
    }

    fn civil(&self, at: UnixTime, form: &str) -> String {
        let local = self.zone().to_datetime(Timestamp::from_second(at.0).unwrap_or_default());
        local.strftime(form).to_string()
    }

    /// When a customer's package ends; `None` is never, or counts from a login that has not been yet.
    pub(super) fn end_of(&self, customer: &Customer) -> Option<UnixTime> {
        let dates =
            Dates { created: customer.created, activation: customer.activation, renewed: customer.renewed };
        let first = customer.first_use;
        let counts = |kind: &str| kind != ExpiryKind::AfterFirstUse.as_str() || first.is_some();
        let rules: Vec<_> = customer.rules.iter().filter(|rule| counts(&rule.kind)).cloned().collect();
        let plan = customer.plan.as_ref().map(|(_, name)| name);
        let days = customer.validity_days.filter(|_| first.is_some()).zip(plan);
        let validity = Validity::new(dates, &rules, days, &mut Vec::new());
        let uses = Uses { first, last: customer.last_use };
        let ruled =
            validity.ends(uses, self.now().unix, self.zone()).map(|end| end.at).filter(|at| at.0 < i64::MAX);
        let row = self.written_end(&customer.check);
        let ends = ruled.chain(customer.expires).chain(row);
        ends.min().map(|end| end.max(customer.grace.unwrap_or(end)))
    }
}

/// Random octets without an end.
pub(super) fn random_octets() -> impl Iterator<Item = u8> + Send {
    std::iter::repeat_with(|| {
        let mut octets = [0; 64];
        SystemEntropy.fill(&mut octets);
        octets
    })
    .flatten()
}
