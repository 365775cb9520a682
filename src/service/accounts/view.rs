//! Telling accounts and price plans.

use smol_str::SmolStr;

use super::AccountError;
use crate::domain::account::{AccountView, PeriodLimit, PricePlan};
use crate::domain::report::{SessionFilter, SessionTotals, Span};
use crate::domain::{Kind, Paging, Person, Who};
use crate::service::error::ServiceError;
use crate::service::limits::{AccountLimits, Limit};
use crate::service::management::Management;
use crate::store::AccountRow;
use crate::time::UnixTime;

impl Management<'_> {
    /// An account as it stands now. Its password is told to whoever may see secrets.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn account(&self, login: &str) -> Result<AccountView, AccountError> {
        let store = self.read()?;
        let nobody = || ServiceError::not_found("subscriber", login);
        let person = store.person(Who::Login(login), self.scope(), &self.author()).await?;
        let person = person.ok_or_else(nobody)?;
        let row = store.account_row(person.id).await?.ok_or_else(nobody)?;
        let limits = self.limits(login).await?;
        let written = self.written_end(&person.check);
        let open =
            SessionFilter { subscriber: Some(person.login.clone()), open: true, ..SessionFilter::default() };
        let online = !self.sessions(&open, Paging::first(1)).await?.rows.is_empty();
        let mut view = view(person, &row, &limits, online, self.rights().secrets);
        // Other tools write the row alone.
        view.expires = view.expires.into_iter().chain(written).min();
        Ok(view)
    }

    /// Every login in the order in which they were made, those among them that other tools made.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn account_names(&self) -> Result<Vec<SmolStr>, ServiceError> {
        let store = self.read()?;
        store.sight_new(self.now().unix).await?;
        Ok(store.account_logins(self.scope()).await?)
    }

    /// The price plans by number, those that are no longer sold among them.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn price_plans(&self) -> Result<Vec<PricePlan>, ServiceError> {
        Ok(self.read()?.price_plans(self.scope()).await?)
    }

    /// An account as it stands now, and what its sessions add up to that began in a span.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn account_summary(
        &self,
        login: &str,
        span: Span,
    ) -> Result<(AccountView, SessionTotals), AccountError> {
        let view = self.account(login).await?;
        let totals = self.account_totals(login, span).await?;
        Ok((view, totals))
    }
}

fn view(
    person: Person,
    row: &AccountRow,
    limits: &AccountLimits,
    online: bool,
    secrets: bool,
) -> AccountView {
    let kind = Kind::parse(&person.kind).unwrap_or_default();
    let readable = person.check.iter().rev().find(|item| {
        ["Cleartext-Password", "User-Password"].iter().any(|name| name.eq_ignore_ascii_case(&item.attribute))
    });
    let password = if kind == Kind::Ticket {
        Some(SmolStr::default())
    } else {
        readable.filter(|_| secrets).map(|item| item.value.clone())
    };
    let days = |kind: &str| {
        let rule = row.rules.iter().find(|(known, _, unit)| known == kind && unit == "days");
        rule.and_then(|(_, days, _)| u64::try_from(*days).ok())
    };
    let period = |limit: &Limit| PeriodLimit {
        enabled: !limit.is_unlimited(),
        // What is on top of it today is told as what is left.
        limit: limit.figure.or(limit.limit).unwrap_or(0),
        left: limit.left.unwrap_or(0),
    };
    let expires = person.expires.or_else(|| {
        let fixed = row.rules.iter().filter(|(kind, ..)| kind == "fixed").map(|(_, at, _)| UnixTime(*at));
        fixed.min()
    });
    AccountView {
        id: person.id,
        login: person.login,
        password,
        kind,
        time_used: limits.used.seconds,
        time_left: limits.term.time.left.unwrap_or(0),
        unlimited_time: limits.term.time.is_unlimited(),
        quota_left: limits.term.data.left.unwrap_or(0),
        unlimited_quota: limits.term.data.is_unlimited(),
        plan: row.plan,
        has_hours: row.has_hours,
        expires,
        days_from_first_use: days("after_first_use").or(row.plan_days).unwrap_or(0),
        days_from_last_use: days("after_last_use").unwrap_or(0),
        daily_time: period(&limits.daily.time),
        daily_quota: period(&limits.daily.data),
        monthly_time: period(&limits.monthly.time),
        monthly_quota: period(&limits.monthly.data),
        rate_down: limits.rate.down.unwrap_or(0),
        rate_up: limits.rate.up.unwrap_or(0),
        batch: person.batch.unwrap_or(0),
        online,
        first_used: row.first_use,
        last_used: person.last_use,
        sold: person.sold,
        money: row.money,
        autologin: row.autologin,
        inactivity: limits.idle_timeout.is_some_and(|seconds| seconds > 0),
        logins: u64::from(limits.places.unwrap_or(0)),
        contact: person.contact,
    }
}
