//! Changing accounts and selling them more.

use std::fmt::Write as _;

use super::{AccountError, Refilled, idle};
use crate::domain::account::{AccountChange, BatchOrder, GivenLimits, Password, PeriodChange};
use crate::domain::plan::PlanId;
use crate::domain::{Kind, Metric, SubscriberStatus, Who};
use crate::service::error::ServiceError;
use crate::service::limits::{AccountLimits, Left, Limit, LimitChange, Turn};
use crate::service::management::{Management, Proof, SubscriberChange};
use crate::store::{AccountEdit, MoneyEdit};

impl Management<'_> {
    /// Sells a plan on top: its time and volume are added to what is left, the rest becomes the plan's. Who
    /// does not exist is made, with that plan.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for the plan.
    pub async fn refill_account(&self, login: &str, plan: PlanId) -> Result<Refilled, AccountError> {
        let (store, author) = self.write()?;
        let plan = self.plan_values(plan).await?;
        let Some(person) = store.person(Who::Login(login), self.scope(), &author).await? else {
            let order = BatchOrder {
                name: login.to_owned(),
                count: 1,
                kind: Kind::Prepaid,
                plan: Some(plan.id),
                sold: true,
                ..BatchOrder::default()
            };
            let made = self.generate_accounts(&order).await?;
            let made = made.into_iter().next().ok_or_else(|| ServiceError::not_found("subscriber", login))?;
            return Ok(Refilled::Generated(Box::new(made)));
        };
        let now = self.limits_for_change(login).await?;
        let moves = person.plan.as_ref() != Some(&plan.name);
        let more = |amount: Option<u64>| match amount {
            Some(amount) => Turn { left: Some(Left::Add(amount)), ..Turn::default() },
            None => Turn { unlimited: Some(true), ..Turn::default() },
        };
        let plans = Turn { as_plan: true, ..Turn::default() };
        let change = LimitChange {
            term_time: more(plan.time),
            term_data: more(plan.quota),
            daily_time: plans,
            daily_data: plans,
            monthly_time: plans,
            monthly_data: plans,
            data_metric: Some(Metric::EachDirection),
            rate_down: Some(plan.rate_down),
            rate_up: Some(plan.rate_up),
            begins_term: moves,
            ..LimitChange::default()
        };
        let limits = change.edit(&now)?;
        let summary = format!("refill plan={} {}", plan.name, limits.summary);
        let subscriber = self.subscriber_edit(&SubscriberChange {
            plan: moves.then(|| Some(plan.name.to_string())),
            status: (person.status != SubscriberStatus::Active)
                .then(|| (SubscriberStatus::Active, String::new())),
            expires: Some(None),
            ..SubscriberChange::default()
        })?;
        let edit = AccountEdit { subscriber, limits, refill: Some(plan), summary, ..AccountEdit::default() };
        self.change(login, &edit).await?;
        Ok(Refilled::Refilled)
    }

    /// Changes an account: all that is asked, or nothing.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it or the plan, [`ServiceError::Invalid`].
    pub async fn update_account(&self, login: &str, change: &AccountChange) -> Result<(), AccountError> {
        let now = self.limits_for_change(login).await?;
        let plan = match change.plan {
            Some(id) => Some(self.plan_values(id).await?),
            None => None,
        };
        let moves = match &plan {
            Some(plan) => {
                let (store, author) = self.write()?;
                let person = store.person(Who::Login(login), self.scope(), &author).await?;
                person.is_some_and(|person| person.plan.as_ref() != Some(&plan.name))
            }
            None => false,
        };
        let limits = asked(change, &now, moves).edit(&now)?;
        let logins = change.logins.map(|logins| format!("Simultaneous-Use := {logins}"));
        let password = change.password.as_ref().map(|Password(password)| Proof::Password(password.clone()));
        let subscriber = self.subscriber_edit(&SubscriberChange {
            password,
            kind: change.kind,
            plan: plan.filter(|_| moves).map(|plan| Some(plan.name.to_string())),
            expires: change.expires,
            contact: change.contact.clone(),
            sold: change.sold,
            attributes: logins.into_iter().collect(),
            ..SubscriberChange::default()
        })?;
        let edit = AccountEdit {
            summary: summary(change, &subscriber.summary, &limits.summary),
            subscriber,
            limits,
            autologin: change.autologin,
            sells: change.sold == Some(true),
            money: MoneyEdit { set: change.money, add: change.money_added, take: change.money_taken },
            facts: change.facts.clone(),
            ..AccountEdit::default()
        };
        self.change(login, &edit).await
    }
}

/// What an update asks of the limits. A plan that changes leaves the account what it has: what was the
/// former plan's becomes its own.
fn asked(change: &AccountChange, now: &AccountLimits, moves: bool) -> LimitChange {
    let mut asked = if moves { kept(now) } else { LimitChange::default() };
    let GivenLimits { time_left, unlimited_time, quota_left, unlimited_quota, rate_down, rate_up } =
        change.limits;
    let term = |kept: Turn, left: Option<u64>, unlimited: Option<bool>| match (left, unlimited) {
        (None, None) => kept,
        (None, Some(_)) => Turn { unlimited, ..kept },
        (Some(left), _) => Turn { left: Some(Left::Set(left)), unlimited, ..Turn::default() },
    };
    asked.term_time = term(asked.term_time, time_left, unlimited_time);
    asked.term_data = term(asked.term_data, quota_left, unlimited_quota);
    asked.daily_time = period(asked.daily_time, change.daily_time);
    asked.daily_data = period(asked.daily_data, change.daily_quota);
    if quota_left.is_some() || change.daily_quota != PeriodChange::default() {
        asked.data_metric = Some(Metric::EachDirection);
    }
    asked.time_used = change.time_used.or(asked.time_used);
    // No rate is the plan's.
    let rate = |rate: Option<u64>| rate.map(|rate| Some(rate).filter(|rate| *rate > 0));
    asked.rate_down = rate(rate_down).or(asked.rate_down);
    asked.rate_up = rate(rate_up).or(asked.rate_up);
    asked.idle = change.inactivity.map(idle).or(asked.idle);
    asked
}

fn period(kept: Turn, change: PeriodChange) -> Turn {
    if change == PeriodChange::default() {
        return kept;
    }
    Turn {
        unlimited: change.enabled.map(|enabled| !enabled),
        limit: change.limit.or(kept.limit),
        left: change.left.map(Left::Set),
        as_plan: false,
    }
}

/// The account as it is, as figures of its own, in a term that begins.
fn kept(now: &AccountLimits) -> LimitChange {
    let term = |limit: &Limit| Turn {
        unlimited: Some(limit.is_unlimited()),
        left: Some(Left::Set(limit.left.unwrap_or(0))),
        ..Turn::default()
    };
    let each_period = |limit: &Limit| Turn {
        unlimited: Some(limit.is_unlimited()),
        limit: Some(limit.figure.or(limit.limit).unwrap_or(0)),
        ..Turn::default()
    };
    let rate = |rate: Option<u64>| rate.filter(|rate| *rate > 0).map(Some);
    LimitChange {
        term_time: term(&now.term.time),
        term_data: term(&now.term.data),
        daily_time: each_period(&now.daily.time),
        daily_data: each_period(&now.daily.data),
        monthly_time: each_period(&now.monthly.time),
        monthly_data: each_period(&now.monthly.data),
        time_used: Some(now.used.seconds),
        rate_down: rate(now.rate.down),
        rate_up: rate(now.rate.up),
        begins_term: true,
        ..LimitChange::default()
    }
}

/// What was asked, for the audit. Neither a password nor what is known of a person is in it.
fn summary(change: &AccountChange, subscriber: &str, limits: &str) -> String {
    let mut said = subscriber.to_owned();
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _fits = write!(said, "; {name}={value}");
        }
    };
    say("money", change.money.map(|amount| amount.to_string()));
    say("moneyinc", change.money_added.map(|amount| amount.to_string()));
    say("moneydec", change.money_taken.map(|amount| amount.to_string()));
    say("autologin", change.autologin.map(|flag| flag.to_string()));
    for (name, value) in &change.facts {
        say(name, Some(value.clone()));
    }
    if !limits.is_empty() {
        say("limits", Some(limits.to_owned()));
    }
    said.trim_start_matches("; ").to_owned()
}
