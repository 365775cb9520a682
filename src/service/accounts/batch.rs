//! Making accounts: their names or codes, their passwords, and the plan's values copied to them.

use std::collections::HashSet;

use smol_str::SmolStr;

use super::{AccountError, idle};
use crate::domain::account::{AccountView, BatchOrder, GivenLimits, Password, PeriodLimit};
use crate::domain::{Amount, Contact, Kind, Metric, SubscriberId};
use crate::engine::codes;
use crate::entropy::SystemEntropy;
use crate::service::error::ServiceError;
use crate::service::limits::{AccountLimits, Left, LimitChange, Turn};
use crate::service::management::{Management, Proof, SubscriberOrder, check_name, taken};
use crate::service::subscribers::obstacle_error;
use crate::store::{NewBatch, PlanValues, SubscriberObstacle};

/// Characters of a code where nobody says how many.
const CODE_LENGTH: usize = 9;
/// Characters of a password where nobody says how many.
const PASSWORD_LENGTH: usize = 6;
/// Columns of FreeRADIUS's tables hold names of so many characters.
const LOGIN_CHARACTERS_MAX: usize = 64;
/// Codes that are taken are drawn anew so often: where nearly all short ones are taken, that is said.
const DRAWS_MAX: usize = 40;

impl Management<'_> {
    /// Makes accounts together, all or none, in the order of their names or codes. Their passwords are told
    /// this once, whatever the rights.
    ///
    /// # Errors
    /// [`ServiceError::Exists`] where a name is taken; [`ServiceError::NotFound`] for the plan;
    /// [`ServiceError::Invalid`] for a name or length that cannot be.
    pub async fn generate_accounts(&self, order: &BatchOrder) -> Result<Vec<AccountView>, AccountError> {
        let (store, author) = self.write()?;
        let plan = match order.plan {
            Some(id) => Some(self.plan_values(id).await?),
            None => None,
        };
        let copied = copied(plan.as_ref(), order);
        let limits = copied.edit(&AccountLimits::of_new())?;
        let parameters = parameters(order, &limits.summary);
        let batch = NewBatch {
            parameters: &parameters,
            sold: plan.as_ref().filter(|_| order.sold),
            expires: order.expires,
            autologin: order.autologin.unwrap_or(false),
            limits: &limits,
        };
        let naming = Naming::of(order);
        let mut logins = self.names(&naming, order).await?;
        for _ in 0..DRAWS_MAX {
            let passwords: Vec<String> = logins.iter().map(|login| password(order, login)).collect();
            let mut new = Vec::with_capacity(logins.len());
            for (login, password) in logins.iter().zip(&passwords) {
                new.push(self.new_subscriber(&SubscriberOrder {
                    login: login.clone(),
                    kind: Some(order.kind),
                    proof: Proof::Password(password.clone()),
                    plan: plan.as_ref().map(|plan| plan.name.to_string()),
                    sold: order.sold,
                    expires: order.expires,
                    ..SubscriberOrder::default()
                })?);
            }
            match store.add_batch(&batch, &mut new, self.scope(), &author).await {
                Ok(Ok((batch, ids))) => {
                    let told = logins.iter().zip(&passwords).zip(ids).map(|((login, password), id)| {
                        let mut view = fresh(order, plan.as_ref(), &copied);
                        view.id = id;
                        view.batch = batch;
                        view.login = login.into();
                        view.password = Some(if order.kind == Kind::Ticket && order.password.is_none() {
                            SmolStr::default()
                        } else {
                            password.into()
                        });
                        view
                    });
                    return Ok(told.collect());
                }
                // Somebody was given the same code, or number, in the same moment.
                Ok(Err(SubscriberObstacle::Taken(_))) if !matches!(naming, Naming::Given(_)) => {
                    logins = self.names(&naming, order).await?;
                }
                Ok(Err(obstacle)) => return Err(obstacle_error(obstacle, "").into()),
                Err(error) => {
                    if store.taken_logins(&logins).await?.is_empty() {
                        return Err(ServiceError::from(error).into());
                    }
                    logins = self.names(&naming, order).await?;
                }
            }
        }
        Err(ServiceError::invalid("length", "leaves too few free codes").into())
    }

    /// Free names, as many as are ordered.
    async fn names(&self, naming: &Naming<'_>, order: &BatchOrder) -> Result<Vec<String>, ServiceError> {
        let store = self.read()?;
        let count = usize::try_from(order.count.max(1)).unwrap_or(1);
        match naming {
            Naming::Given(name) => {
                check_name("account", name)?;
                if !store.taken_logins(std::slice::from_ref(&(*name).to_owned())).await?.is_empty() {
                    return Err(taken("subscriber", name));
                }
                Ok(vec![(*name).to_owned()])
            }
            Naming::Numbered { prefix, first } => {
                check_name("account", prefix)?;
                let first = match first {
                    Some(first) => *first,
                    None => store.last_number(prefix).await?.map_or(1, |last| last.saturating_add(1)),
                };
                let numbers = (first..).take(count);
                let logins: Vec<String> = numbers.map(|number| format!("{prefix}{number}")).collect();
                if logins.iter().any(|login| login.chars().count() > LOGIN_CHARACTERS_MAX) {
                    return Err(ServiceError::invalid("account", "is too long"));
                }
                if let Some(login) = store.taken_logins(&logins).await?.into_iter().next() {
                    return Err(taken("subscriber", &login));
                }
                Ok(logins)
            }
            Naming::Codes { prefix, length } => {
                if !prefix.is_empty() {
                    check_name("account", prefix)?;
                }
                if prefix.chars().count() + codes::RANDOM_MIN > LOGIN_CHARACTERS_MAX {
                    return Err(ServiceError::invalid("account", "is too long"));
                }
                self.codes(prefix, *length, count).await
            }
        }
    }

    /// Codes that nobody has.
    async fn codes(&self, prefix: &str, length: usize, count: usize) -> Result<Vec<String>, ServiceError> {
        let store = self.read()?;
        let mut found: Vec<String> = Vec::with_capacity(count);
        let mut known: HashSet<String> = HashSet::new();
        for _ in 0..DRAWS_MAX {
            let missing = count.saturating_sub(found.len());
            let mut drawn = Vec::with_capacity(missing);
            for _ in 0..missing {
                let code = codes::with_prefix(prefix, length, &mut SystemEntropy);
                if known.insert(code.clone()) {
                    drawn.push(code);
                }
            }
            let taken = store.taken_logins(&drawn).await?;
            found.extend(drawn.into_iter().filter(|code| !taken.contains(code.as_str())));
            if found.len() >= count {
                return Ok(found);
            }
        }
        Err(ServiceError::invalid("length", "leaves too few free codes"))
    }
}

/// How accounts are called (antamedia.md §4).
enum Naming<'a> {
    Given(&'a str),
    Numbered { prefix: &'a str, first: Option<u64> },
    Codes { prefix: &'a str, length: usize },
}

impl<'a> Naming<'a> {
    fn of(order: &'a BatchOrder) -> Self {
        let name = order.name.as_str();
        match order.kind {
            Kind::Ticket => {
                let length = order.length.or(order.password_length).unwrap_or(CODE_LENGTH);
                Self::Codes { prefix: name, length }
            }
            _ if name.is_empty() => Self::Codes { prefix: "", length: order.length.unwrap_or(CODE_LENGTH) },
            _ if order.count <= 1 => Self::Given(name),
            _ => Self::Numbered { prefix: name, first: order.first_number },
        }
    }
}

/// A ticket's code is its password, and it is accepted without one too.
fn password(order: &BatchOrder, login: &str) -> String {
    match (&order.password, order.kind) {
        (Some(Password(password)), _) => password.clone(),
        (None, Kind::Ticket) => login.to_owned(),
        (None, _) => codes::random(order.password_length.unwrap_or(PASSWORD_LENGTH), &mut SystemEntropy),
    }
}

/// What was asked for, for the record. No password is in it.
fn parameters(order: &BatchOrder, limits: &str) -> String {
    let mut said = format!("number={} kind={}", order.count, order.kind.as_str());
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            said.push_str(&format!(" {name}={value}"));
        }
    };
    say("account", Some(order.name.clone()).filter(|name| !name.is_empty()));
    say("plan", order.plan.map(|plan| plan.0.to_string()));
    say("expires", order.expires.map(|at| at.0.to_string()));
    say("autologin", order.autologin.map(|flag| flag.to_string()));
    say("sold", order.sold.then(|| "true".to_owned()));
    said.push(' ');
    said.push_str(limits);
    said.push(' ');
    said.push_str(&order.remarks);
    said.trim_end().to_owned()
}

/// The values of a plan, those that are given in their place.
fn copied(plan: Option<&PlanValues>, order: &BatchOrder) -> LimitChange {
    let GivenLimits { time_left, unlimited_time, quota_left, unlimited_quota, rate_down, rate_up } =
        order.limits;
    let turn = |given: Option<u64>, planned: Option<u64>, unlimited: Option<bool>| {
        let left = given.or(planned);
        match (left, unlimited) {
            (_, Some(true)) => {
                Turn { unlimited, left: Some(Left::Set(left.unwrap_or(0))), ..Turn::default() }
            }
            (Some(left), _) => Turn { left: Some(Left::Set(left)), ..Turn::default() },
            (None, _) => Turn::default(),
        }
    };
    let each_period = |limit: Option<u64>| Turn { limit, ..Turn::default() };
    let rate =
        |given: Option<u64>, planned: Option<u64>| given.or(planned).filter(|rate| *rate > 0).map(Some);
    LimitChange {
        term_time: turn(time_left, plan.and_then(|plan| plan.time), unlimited_time),
        term_data: turn(quota_left, plan.and_then(|plan| plan.quota), unlimited_quota),
        daily_time: each_period(plan.and_then(|plan| plan.daily_time)),
        daily_data: each_period(plan.and_then(|plan| plan.daily_quota)),
        monthly_time: each_period(plan.and_then(|plan| plan.monthly_time)),
        monthly_data: each_period(plan.and_then(|plan| plan.monthly_quota)),
        data_metric: Some(Metric::EachDirection),
        rate_down: rate(rate_down, plan.and_then(|plan| plan.rate_down)),
        rate_up: rate(rate_up, plan.and_then(|plan| plan.rate_up)),
        idle: order.inactivity.map(idle),
        ..LimitChange::default()
    }
}

/// An account that was made this moment; name, number and password are the caller's to fill in.
fn fresh(order: &BatchOrder, plan: Option<&PlanValues>, copied: &LimitChange) -> AccountView {
    let unlimited = |turn: &Turn| turn.left.is_none() || turn.unlimited == Some(true);
    let left = |turn: &Turn| match turn.left {
        Some(Left::Set(left) | Left::Add(left)) if !unlimited(turn) => left,
        _ => 0,
    };
    let period = |turn: &Turn| PeriodLimit {
        enabled: turn.limit.is_some(),
        limit: turn.limit.unwrap_or(0),
        left: turn.limit.unwrap_or(0),
    };
    AccountView {
        id: SubscriberId(0),
        login: SmolStr::default(),
        password: None,
        kind: order.kind,
        time_used: 0,
        time_left: left(&copied.term_time),
        unlimited_time: unlimited(&copied.term_time),
        quota_left: left(&copied.term_data),
        unlimited_quota: unlimited(&copied.term_data),
        plan: plan.map(|plan| plan.id),
        has_hours: false,
        expires: order.expires,
        days_from_first_use: plan.and_then(|plan| plan.validity_days).unwrap_or(0),
        days_from_last_use: 0,
        daily_time: period(&copied.daily_time),
        daily_quota: period(&copied.daily_data),
        monthly_time: period(&copied.monthly_time),
        monthly_quota: period(&copied.monthly_data),
        rate_down: copied.rate_down.flatten().unwrap_or(0),
        rate_up: copied.rate_up.flatten().unwrap_or(0),
        batch: 0,
        online: false,
        first_used: None,
        last_used: None,
        sold: order.sold,
        money: Amount::ZERO,
        autologin: order.autologin.unwrap_or(false),
        inactivity: order.inactivity.unwrap_or(false),
        logins: 0,
        contact: Contact::default(),
    }
}
