//! Keeps login attempts: `radpostauth` and `tk_auth_log`, in batches, beside the login path. A log, not
//! a promise: beyond its rate or while SQL is away attempts are counted, not kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::PostAuth;
use crate::store::Store;
use crate::telemetry::names;
use crate::time::{Now, UnixTime};

/// Attempts that may wait.
const QUEUE: usize = 16_384;
/// Attempts in one transaction.
const BATCH: usize = 500;
/// Pause between transactions: gathers attempts, so that the log costs few commits.
const PAUSE: Duration = Duration::from_millis(50);
/// Bits of [`Recorder::window`] that count; the rest are the second.
const COUNT_BITS: u32 = 32;

#[derive(Debug)]
pub(super) struct Recorder {
    sender: mpsc::Sender<Box<PostAuth>>,
    per_second: u32,
    /// The second in the upper half, attempts kept in it in the lower.
    window: AtomicU64,
    dropped: metrics::Counter,
}

impl Recorder {
    /// Starts the task; it ends with the last sender.
    pub(super) fn start(store: Arc<Store>, per_second: u32) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let dropped = metrics::counter!(names::LOGIN_RECORDS_SKIPPED);
        let task = tokio::spawn(run(receiver, store, dropped.clone()));
        (Self { sender, per_second, window: AtomicU64::new(0), dropped }, task)
    }

    /// Keeps the attempt that `attempt` describes, unless there are too many.
    pub(super) fn record(&self, now: Now, attempt: impl FnOnce() -> PostAuth) {
        // The attempt is made only where it will be kept: a flood of logins costs nothing here.
        let kept = self.admits(now.unix)
            && self.sender.capacity() > 0
            && self.sender.try_send(Box::new(attempt())).is_ok();
        if !kept {
            self.dropped.increment(1);
        }
    }

    fn admits(&self, at: UnixTime) -> bool {
        let second = u64::from(u32::try_from(at.0 & i64::from(u32::MAX)).unwrap_or(0)) << COUNT_BITS;
        let kept = self.window.load(Ordering::Relaxed);
        if kept & !u64::from(u32::MAX) != second {
            // Two threads may both begin the second: one attempt more or less does not matter.
            self.window.store(second | 1, Ordering::Relaxed);
            return self.per_second > 0;
        }
        let count = self.window.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX);
        count < u64::from(self.per_second)
    }
}

async fn run(mut receiver: mpsc::Receiver<Box<PostAuth>>, store: Arc<Store>, dropped: metrics::Counter) {
    let mut taken = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut taken, BATCH).await > 0 {
        let attempts: Vec<PostAuth> = taken.drain(..).map(|attempt| *attempt).collect();
        if let Err(error) = store.post_auth(&attempts).await {
            dropped.increment(u64::try_from(attempts.len()).unwrap_or(0));
            tracing::debug!(%error, "login attempts were not recorded");
        }
        if !receiver.is_closed() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
