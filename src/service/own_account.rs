//! A subscriber's own account: what it may see of itself, and do. Nothing here takes a number.

use super::error::ServiceError;
use super::management::Management;
use super::numbered::CustomerError;
use crate::domain::ChargeRule;
use crate::domain::customer::{
    Connection, ConnectionFilter, ConnectionOrder, ConnectionTotals, CreditMove, CreditMoveFilter,
    CreditMoveTotals, Customer, CustomerObstacle, NamedBy, Window,
};
use crate::domain::plan::Plan;

/// A subscriber that has shown its password, or a session that it was given for it.
pub struct OwnAccount<'g> {
    management: Management<'g>,
    id: i64,
}

impl<'g> OwnAccount<'g> {
    /// The account of a subscriber; `management` may read and end sessions in its name.
    pub(super) const fn new(management: Management<'g>, id: i64) -> Self {
        Self { management, id }
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// The zone in which it reads dates.
    #[must_use]
    pub const fn zone(&self) -> &jiff::tz::TimeZone {
        self.management.zone()
    }

    /// What is known of it, without its password.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`]; it is gone.
    pub async fn customer(&self) -> Result<Customer, CustomerError> {
        let name = self.id.to_string();
        let found = self.management.weighed_customers(NamedBy::Number, std::slice::from_ref(&name)).await?;
        found
            .into_iter()
            .next()
            .ok_or(CustomerError::Obstacle(CustomerObstacle::Nobody(NamedBy::Number, name)))
    }

    /// Its plan.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`]; it is gone.
    pub async fn plan(&self) -> Result<Option<Plan>, CustomerError> {
        let Some((_, name)) = self.customer().await?.plan else { return Ok(None) };
        match self.management.plan(&name).await {
            Ok(plan) => Ok(Some(plan)),
            Err(ServiceError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// The charge rules of its plan.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`]; it is gone.
    pub async fn charge_rules(&self) -> Result<Vec<ChargeRule>, CustomerError> {
        let Some((_, name)) = self.customer().await?.plan else { return Ok(Vec::new()) };
        Ok(self.management.charge_rules(&name).await?)
    }

    /// Ends its open sessions.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn end_sessions(&self) -> Result<(), CustomerError> {
        self.management.end_sessions_of(&[self.id.to_string()], true).await
    }

    /// Its connections.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn connections(
        &self,
        filter: ConnectionFilter,
        order: ConnectionOrder,
        window: Window,
    ) -> Result<(Vec<Connection>, ConnectionTotals), CustomerError> {
        let filter = ConnectionFilter { customers: Some(vec![self.id]), ..filter };
        self.management.connections(&filter, order, window).await
    }

    /// What moved its credit.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn credit_moves(
        &self,
        filter: CreditMoveFilter,
        window: Window,
    ) -> Result<(Vec<CreditMove>, CreditMoveTotals), CustomerError> {
        let filter = CreditMoveFilter { customers: Some(vec![self.id]), ..filter };
        self.management.credit_moves(&filter, window).await
    }
}
