//! Where the network asks, whoever answers behind it.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::aaa::Aaa;
use super::answer::{Acknowledgement, Answer, NoReply, Resolved, Waiter, Work};
use super::serve::Serve;
use crate::domain::{Nas, NasTable};
use crate::radius::{AccessReply, AccessRequest, AccountingRequest};
use crate::time::Now;

/// One that answers, and can be replaced by another while requests come.
pub struct Front(ArcSwap<Aaa>);

impl Front {
    /// Has this one answer.
    #[must_use]
    pub fn new(aaa: Aaa) -> Self {
        Self(ArcSwap::from_pointee(aaa))
    }

    /// From now on this one answers, also what the one before has begun to look up.
    pub fn replace(&self, aaa: Aaa) {
        self.0.store(Arc::new(aaa));
    }
}

impl Serve for Front {
    fn nas_table(&self) -> arc_swap::Guard<Arc<NasTable>> {
        self.0.load().nas_table()
    }

    fn access(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccessRequest<'_>,
        resolved: Resolved,
        now: Now,
    ) -> Answer<AccessReply> {
        self.0.load().access(nas, source, request, resolved, now)
    }

    fn accounting(
        &self,
        nas: &Arc<Nas>,
        source: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        waiter: Waiter,
        now: Now,
    ) -> Acknowledgement {
        self.0.load().accounting(nas, source, request, resolved, waiter, now)
    }

    async fn resolve(&self, work: Work) -> Result<Resolved, NoReply> {
        let aaa = self.0.load_full();
        aaa.resolve(work).await
    }
}
