//! Accounts as prepaid products know them: made by the batch with a price plan's values copied to them,
//! refilled, changed, told, logged in by their device and out again.
//!
//! [`batch`] makes them, [`change`] changes and refills them, [`view`] tells them, [`devices`] logs them in and out.

mod batch;
mod change;
mod devices;
mod view;

use super::error::ServiceError;
use super::limits::{AccountLimits, Idle};
use super::management::Management;
use super::subscribers::obstacle_error;
use crate::domain::Who;
use crate::domain::account::AccountView;
use crate::domain::plan::PlanId;
use crate::store::{AccountEdit, AccountObstacle, PlanValues, StoreError};

/// Why a command about an account is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// What stands in the way of any command.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// No session of it is open.
    #[error("the account is not logged in")]
    NotLoggedIn,
    /// Its status is other than active.
    #[error("the account is disabled")]
    Disabled,
    /// It has ended, or nothing is left of what it was sold.
    #[error("no time or quota is left")]
    NothingLeft,
    /// A NAS said no, or nothing.
    #[error("{0}")]
    Nas(String),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// What came of a refill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refilled {
    /// The account has more now.
    Refilled,
    /// There was no such account, and is now.
    Generated(Box<AccountView>),
}

impl Management<'_> {
    pub(super) async fn plan_values(&self, plan: PlanId) -> Result<PlanValues, ServiceError> {
        let found = self.read()?.plan_values(plan, self.scope()).await?;
        found.ok_or_else(|| ServiceError::not_found("plan", &plan.0.to_string()))
    }

    /// How an account stands before it is changed, if it is one of the operator's.
    pub(super) async fn limits_for_change(&self, login: &str) -> Result<AccountLimits, ServiceError> {
        let (store, author) = self.write()?;
        if store.person(Who::Login(login), self.scope(), &author).await?.is_none() {
            return Err(ServiceError::not_found("subscriber", login));
        }
        let snapshot = self.snapshot_in(store, login).await?;
        Ok(snapshot.sold(self.engine(), self.now()))
    }

    pub(super) async fn change(&self, login: &str, edit: &AccountEdit) -> Result<(), AccountError> {
        let (store, author) = self.write()?;
        match store.change_account(login, edit, self.scope(), &author).await? {
            Ok(()) => Ok(()),
            Err(AccountObstacle::Subscriber(obstacle)) => Err(obstacle_error(obstacle, "").into()),
            Err(AccountObstacle::TooLittleMoney) => {
                Err(ServiceError::invalid("moneydec", "would leave less than nothing").into())
            }
            Err(AccountObstacle::TooMuchMoney) => {
                Err(ServiceError::invalid("moneyinc", "has too many digits").into())
            }
        }
    }
}

const fn idle(on: bool) -> Idle {
    if on { Idle::Usual } else { Idle::Never }
}
