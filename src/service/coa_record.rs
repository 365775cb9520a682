//! The record of dynamic authorization is the store's table `tk_coa`.

use std::sync::Arc;

use super::coa::Record;
use crate::domain::dynamic_auth::{Attempt, Job};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// The store, as [`super::coa`] wants it.
#[derive(Clone, Debug)]
pub(super) struct CoaRecord(pub(super) Arc<Store>);

impl Record for CoaRecord {
    type Error = StoreError;

    async fn take_jobs(&self, limit: usize, now: UnixTime) -> Result<Vec<Job>, StoreError> {
        self.0.take_jobs(u32::try_from(limit).unwrap_or(u32::MAX), now).await
    }

    async fn record_attempts(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        for attempt in attempts {
            let id = match attempt.job {
                Some(id) => id,
                None => {
                    self.0.record_order(attempt.session, &attempt.order, "server", attempt.queued).await?
                }
            };
            self.0.record_outcome(id, attempt.outcome, attempt.sent, attempt.ended).await?;
        }
        Ok(())
    }
}
