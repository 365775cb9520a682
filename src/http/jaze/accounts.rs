//! Accounts, operators, and the counters of the server: E36 and what clients need besides.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Fail, Outcome, bare, data};
use super::call::Call;
use super::statistics::{Counters, Kind, lines};
use crate::service::{Denial, Management, ServiceError};

/// The caller as one of an account, which has to be its own or one below it.
pub(super) async fn within<'a>(operator: &'a Management<'_>, account: &str) -> Result<Management<'a>, Fail> {
    operator.within(account).await.map_err(|error| match error {
        ServiceError::NotFound { .. } | ServiceError::Denied(Denial::Disabled) => {
            Fail::new(403, "The account is not permitted")
        }
        other => other.into(),
    })
}

/// E36: what the server has counted.
pub(super) async fn get_radius_statistics(call: &Call<'_>) -> Outcome {
    static IDENTIFIER: AtomicU8 = AtomicU8::new(0);
    let kind = match call.needed_number("type", 0)? {
        1 => Kind::Authentication,
        2 => Kind::Accounting,
        _ => return Err(Fail::unknown_word("type", &["1", "2"])),
    };
    call.operator.may_read()?;
    let counters = Counters::read(&call.shared.metrics.render());
    bare(&lines(kind, &counters, IDENTIFIER.fetch_add(1, Ordering::Relaxed)))
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Account)]
pub(super) struct Account {
    account_id: String,
    name: String,
    parent_id: Option<String>,
    timezone: String,
    currency: String,
    status: &'static str,
}

/// Tier 2: the accounts of the caller.
pub(super) async fn get_account_details(call: &Call<'_>) -> Outcome {
    let wanted = call.segment(0);
    let mut known = call.operator.accounts_in_scope().await?;
    if let Some(name) = wanted {
        known.retain(|account| account.name == name);
        if known.is_empty() {
            return Err(Fail::not_found("Account"));
        }
    }
    let shown = known.iter().map(|account| Account {
        account_id: account.name.to_string(),
        name: account.title.to_string(),
        parent_id: account.parent.as_ref().map(ToString::to_string),
        timezone: account.zone.to_string(),
        currency: account.currency.to_string(),
        status: if account.enabled { "active" } else { "disabled" },
    });
    data(&shown.collect::<Vec<_>>())
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Admin)]
pub(super) struct Admin {
    id: String,
    username: String,
    account_id: String,
    status: &'static str,
}

/// Tier 2: the operators of the caller's accounts.
pub(super) async fn get_all_admins(call: &Call<'_>) -> Outcome {
    let found = call.operator.operators_in_scope().await?;
    let shown = found.iter().map(|operator| Admin {
        id: operator.id.to_string(),
        username: operator.login.to_string(),
        account_id: operator.account.to_string(),
        status: if operator.locked { "locked" } else { "active" },
    });
    data(&shown.collect::<Vec<_>>())
}
