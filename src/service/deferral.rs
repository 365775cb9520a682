//! Records that cannot be judged while SQL does not answer: of a session, or a subscriber, that memory does
//! not know. They are put into the spool as they were received, acknowledged, and applied once SQL is
//! there, as if they came then: so the session they belong to is never guessed, and nothing counts twice.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::aaa::{Aaa, Recorded};
use super::answer::{Deliver, NoReply, Resolved, Waiter};
use super::health::Health;
use super::serve::Serve as _;
use super::state::State;
use crate::domain::Nas;
use crate::radius::attribute::ACCT_SESSION_ID;
use crate::radius::{Packet, Request};
use crate::store::{Spool, SpooledRecord};
use crate::telemetry::names;
use crate::time::{Clock, Now};

/// Records that may wait to be put off.
const QUEUE: usize = 32_768;
/// Records that are put into the spool in one go.
const TOGETHER: usize = 512;
/// Records that are applied at a time.
const PAGE: u32 = 512;
/// How often it is looked whether SQL answers.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the rows of a page may take to be durable before its records are applied again.
const SETTLE: Duration = Duration::from_secs(30);
/// Rounds of look-ups that one record may need.
const ROUNDS: usize = 4;
/// For so long an accepted login keeps its place while its Start is put off.
pub(super) const PLACE_KEPT: Duration = Duration::from_hours(1);
/// What `/health` calls it.
const COMPONENT: &str = "records";

/// Who is told that a record is durable.
#[derive(Debug)]
pub(super) enum Ticket {
    /// A NAS.
    Waiter(Waiter),
    /// The spool, where it has this number.
    Spooled(i64),
    /// Nobody: it is applied for the sake of what logins are held to, and kept elsewhere.
    Guess,
}

/// Takes records that are put off.
#[derive(Debug)]
pub(super) struct Deferral {
    queue: mpsc::Sender<(SpooledRecord, Waiter)>,
    settled: mpsc::UnboundedSender<i64>,
}

impl Deferral {
    /// Starts the task that puts records into the spool; it ends with the last sender. What is settled is
    /// told to the receiver.
    pub(super) fn start(
        spool: &Arc<Spool>,
        deliver: &Arc<dyn Deliver>,
        clock: &Arc<dyn Clock>,
        health: &Arc<Health>,
    ) -> (Self, tokio::task::JoinHandle<()>, mpsc::UnboundedReceiver<i64>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let (settled, numbers) = mpsc::unbounded_channel();
        let keeper = Keeper {
            spool: Arc::clone(spool),
            deliver: Arc::clone(deliver),
            clock: Arc::clone(clock),
            health: Arc::clone(health),
        };
        (Self { queue, settled }, tokio::spawn(keeper.run(receiver)), numbers)
    }

    /// Puts a record off; false where too many are on their way to the spool.
    pub(super) fn defer(&self, source: IpAddr, octets: &[u8], waiter: Waiter, now: Now) -> bool {
        let record = SpooledRecord { number: 0, source, received: now.unix, octets: octets.into() };
        self.queue.try_send((record, waiter)).is_ok()
    }

    /// The rows of a record that had been put off are durable.
    pub(super) fn settled(&self, number: i64) {
        // Nobody listens while the server stops: then it is applied again.
        let _ = self.settled.send(number);
    }
}

struct Keeper {
    spool: Arc<Spool>,
    deliver: Arc<dyn Deliver>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
}

impl Keeper {
    async fn run(self, mut receiver: mpsc::Receiver<(SpooledRecord, Waiter)>) {
        let failures = metrics::counter!(names::SPOOL_FAILURES);
        let mut taken = Vec::with_capacity(TOGETHER);
        let mut failing = false;
        while receiver.recv_many(&mut taken, TOGETHER).await > 0 {
            let (records, mut waiters): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
            match self.spool.keep_records(&records).await {
                Ok(()) => {
                    self.deliver.committed(&mut waiters);
                    if std::mem::take(&mut failing) {
                        self.health.ok(COMPONENT);
                    }
                }
                Err(error) => {
                    self.deliver.abandoned(&mut waiters);
                    failures.increment(1);
                    failing = true;
                    let said = format!("records are not acknowledged: {error}");
                    self.health.degraded(COMPONENT, &said, self.clock.now().unix);
                }
            }
        }
    }
}

/// Applies what was put off, whenever SQL answers.
pub(super) async fn apply(state: Weak<State>, spool: Arc<Spool>, mut settled: mpsc::UnboundedReceiver<i64>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        loop {
            let Some(state) = state.upgrade() else { return };
            // One first: while SQL does not answer, one question is enough.
            let more = match spool.records(0, 1).await {
                Ok(first) if first.is_empty() => false,
                Ok(first) => {
                    apply_all(&state, &spool, first, &mut settled).await
                        && match spool.records(0, PAGE).await {
                            Ok(page) => apply_all(&state, &spool, page, &mut settled).await,
                            Err(_) => false,
                        }
                }
                Err(error) => {
                    tracing::debug!(%error, "the records of the spool cannot be read");
                    false
                }
            };
            if !more {
                break;
            }
        }
    }
}

/// What became of a record.
enum Applied {
    /// Its rows are on their way.
    Pending(i64),
    /// Nobody can make a row of it.
    Unusable(i64, &'static str),
    /// Not now.
    NotNow,
}

/// Applies some records, those of one session in order, and takes away what has become durable. Was it
/// all of them?
async fn apply_all(
    state: &Arc<State>,
    spool: &Spool,
    records: Vec<SpooledRecord>,
    settled: &mut mpsc::UnboundedReceiver<i64>,
) -> bool {
    let all = records.len();
    let mut sessions: BTreeMap<u64, Vec<SpooledRecord>> = BTreeMap::new();
    for record in records {
        sessions.entry(session_of(&record)).or_default().push(record);
    }
    let mut tasks = JoinSet::new();
    for records in sessions.into_values() {
        let aaa = Aaa(Arc::clone(state));
        tasks.spawn(async move {
            let mut applied = Vec::with_capacity(records.len());
            for record in records {
                let outcome = apply_one(&aaa, &record).await;
                let goes_on = !matches!(outcome, Applied::NotNow);
                applied.push(outcome);
                if !goes_on {
                    break;
                }
            }
            applied
        });
    }
    let (mut pending, mut done) = (BTreeSet::new(), Vec::new());
    for applied in tasks.join_all().await.into_iter().flatten() {
        match applied {
            Applied::Pending(number) => drop(pending.insert(number)),
            Applied::Unusable(number, reason) => {
                tracing::error!(reason, "a record was set aside: tollkeeper spool list");
                if spool.refuse_record(number, reason).await.is_ok() {
                    done.push(number);
                }
            }
            Applied::NotNow => {}
        }
    }
    let settling = async {
        while !pending.is_empty() {
            let Some(number) = settled.recv().await else { return };
            if pending.remove(&number) {
                done.push(number);
            }
        }
    };
    let is_settled = tokio::time::timeout(SETTLE, settling).await.is_ok();
    let taken = spool.records_done(&done).await;
    is_settled && taken.is_ok() && done.len() == all
}

/// The same number for all records of a session. Those of a NAS itself have one too.
fn session_of(record: &SpooledRecord) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    record.source.hash(&mut hasher);
    Packet::decode(&record.octets).ok().and_then(|packet| packet.first(ACCT_SESSION_ID)).hash(&mut hasher);
    hasher.finish()
}

/// Applies a record that stays in the spool, as far as that is possible.
pub(super) async fn guess(aaa: &Aaa, record: &SpooledRecord) {
    let _as_good_as_it_gets = apply_as(aaa, record, || Ticket::Guess).await;
}

async fn apply_one(aaa: &Aaa, record: &SpooledRecord) -> Applied {
    apply_as(aaa, record, || Ticket::Spooled(record.number)).await
}

async fn apply_as(aaa: &Aaa, record: &SpooledRecord, ticket: impl Fn() -> Ticket) -> Applied {
    let nas: Option<Arc<Nas>> = aaa.nas_table().find(record.source).cloned();
    let Some(nas) = nas else {
        return Applied::Unusable(record.number, "no NAS entry has its source address any more");
    };
    let mut resolved = Resolved::default();
    for _ in 0..ROUNDS {
        let work = match ask(aaa, &nas, record, resolved, ticket()) {
            Recorded::Pending => return Applied::Pending(record.number),
            Recorded::Silence(NoReply::NothingToRecord) => {
                return Applied::Unusable(record.number, "nothing in it can be recorded");
            }
            Recorded::Silence(_) => return Applied::NotNow,
            Recorded::Later(work, _) => work,
        };
        match aaa.resolve(work).await {
            Ok(more) if !more.unanswered => resolved = Resolved { looked_up: true, ..Resolved::default() },
            _ => return Applied::NotNow,
        }
    }
    Applied::NotNow
}

/// The record as if it came now, but for its time.
fn ask(aaa: &Aaa, nas: &Arc<Nas>, record: &SpooledRecord, resolved: Resolved, ticket: Ticket) -> Recorded {
    let request = Packet::decode(&record.octets).ok().map(Packet::verified_before);
    let Some(Ok(Request::Accounting(request))) = request.map(|packet| packet.into_request(&nas.secret))
    else {
        return Recorded::Silence(NoReply::NothingToRecord);
    };
    let now = Now { unix: record.received, ..aaa.0.clock.now() };
    aaa.record(nas, record.source, &request, resolved, ticket, now)
}
