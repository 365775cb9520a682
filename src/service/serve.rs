//! The face of the service that the network calls.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use super::answer::{Acknowledgement, Answer, NoReply, Resolved, Waiter, Work};
use crate::domain::{Nas, NasTable};
use crate::radius::{AccessReply, AccessRequest, AccountingRequest};
use crate::time::Now;

/// Answers requests that the network has admitted. `source` is the address a request came from,
/// IPv4-mapped IPv6 written as IPv4, and `nas` the entry it belongs to.
pub trait Serve: Send + Sync + 'static {
    /// The NAS entries that are in force.
    fn nas_table(&self) -> arc_swap::Guard<Arc<NasTable>>;

    /// Decides on an Access-Request. Never waits.
    fn access(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccessRequest<'_>,
        resolved: Resolved,
        now: Now,
    ) -> Answer<AccessReply>;

    /// Applies an Accounting-Request. `waiter` holds the encoded reply; it comes back through
    /// [`super::Deliver`] once the record is durable. Never waits.
    fn accounting(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        waiter: Waiter,
        now: Now,
    ) -> Acknowledgement;

    /// Fetches or computes what a request waits for.
    fn resolve(&self, work: Work) -> impl Future<Output = Result<Resolved, NoReply>> + Send;
}
