//! Dynamic authorization as the rest of the server sees it: orders go in, outcomes come out, and every
//! one is a row of `tk_coa`.
//!
//! Orders come from three places: decisions ([`Coa::order`]), rows that other processes queue
//! ([`Coa::take_queued`]), and management calls that wait for the outcome ([`Coa::disconnect`],
//! [`Coa::change`]). The network drives the exchanges with the verbs that begin with `handle_` and `next_`.
//! A CoA-ACK or Disconnect-ACK changes nothing here: the session's Stop closes it, or the reaper
//! (RFC 5176 §3). Only a NAS that does not know the session ends it, as a guess.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smallvec::SmallVec;
use smol_str::SmolStr;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::coa::{self, Discard, ExchangeId, Exchanges, Full, Kind, Request, Transmit};
use crate::domain::dynamic_auth::{Attempt, Job, NotSent, Order, Outcome, error_cause_name};
use crate::domain::text::text_from_octets;
use crate::domain::{CloseGuess, Nas, Session, UniqueId};
use crate::entropy::SystemEntropy;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::store::{Store, StoreError};
use crate::telemetry::names;
use crate::time::{Clock, Now, UnixTime};

/// What dynamic authorization has to know and to say about sessions. The state that holds them implements
/// it; no call waits.
pub trait Sessions: Send + Sync {
    /// The session with that id, open or closed.
    fn session(&self, id: UniqueId) -> Option<Session>;

    /// The configured NAS that serves it now.
    fn nas(&self, session: &Session) -> Option<Arc<Nas>>;

    /// Closes it without a Stop.
    fn close(&self, id: UniqueId, guess: CloseGuess);
}

/// The record: the table `tk_coa`, which is both the queue of other processes and the history.
pub trait Record: Send + Sync {
    /// Why the database did not do it.
    type Error: fmt::Display + Send;

    /// Takes up to `limit` queued rows, oldest first; no other server gets them too.
    fn take_jobs(
        &self,
        limit: usize,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<Job>, Self::Error>> + Send;

    /// Writes what came of orders: into the row of the job, or into a new one. All or none.
    fn record_attempts(&self, attempts: &[Attempt]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// May the same write succeed later? Otherwise the database refuses what it is given.
    fn is_temporary(_error: &Self::Error) -> bool {
        true
    }
}

impl Record for Store {
    type Error = StoreError;

    async fn take_jobs(&self, limit: usize, now: UnixTime) -> Result<Vec<Job>, StoreError> {
        Self::take_jobs(self, u32::try_from(limit).unwrap_or(u32::MAX), now).await
    }

    async fn record_attempts(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        Self::record_attempts(self, attempts).await
    }

    fn is_temporary(error: &StoreError) -> bool {
        // A table that is missing is an operator's to mend, and then all fits.
        error.is_temporary() || matches!(error, StoreError::Schema { .. })
    }
}

/// The face: cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Coa {
    shared: Arc<Shared>,
}

struct Shared {
    desk: Mutex<Desk>,
    /// There is something to send, or the next deadline is another one.
    changed: Notify,
    records: mpsc::Sender<Attempt>,
    sessions: Arc<dyn Sessions>,
    dictionary: Arc<Dictionary>,
    packs: Arc<Packs>,
    clock: Arc<dyn Clock>,
    exchanges_max: usize,
}

struct Desk {
    exchanges: Exchanges,
    pending: HashMap<ExchangeId, Pending>,
    /// A session that is being disconnected is not asked twice.
    disconnecting: HashMap<UniqueId, ExchangeId>,
    stopped: bool,
}

/// What an exchange is for.
struct Pending {
    session: UniqueId,
    order: Order,
    sent: Option<UnixTime>,
    askers: SmallVec<[Asker; 1]>,
}

/// Who is told the outcome. It holds a place in the queue of records, so that nothing is sent whose
/// outcome could not be written down.
struct Asker {
    job: Option<i64>,
    by: SmolStr,
    queued: UnixTime,
    waiter: Option<oneshot::Sender<Outcome>>,
    record: mpsc::OwnedPermit<Attempt>,
}

/// Writes the record. Orders are refused while it does not keep up.
pub struct Recorder {
    records: mpsc::Receiver<Attempt>,
    /// Pause after a failure; it doubles.
    retry_min: Duration,
}

/// The face, for those who must not keep the server from stopping.
#[derive(Clone)]
pub struct WeakCoa(Weak<Shared>);

impl WeakCoa {
    /// The face, while the server runs.
    #[must_use]
    pub fn upgrade(&self) -> Option<Coa> {
        self.0.upgrade().map(|shared| Coa { shared })
    }
}

impl Coa {
    /// The same without keeping it alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakCoa {
        WeakCoa(Arc::downgrade(&self.shared))
    }

    /// The face, and the recorder that has to run beside it.
    #[must_use]
    pub fn new(
        settings: coa::Settings,
        sessions: Arc<dyn Sessions>,
        dictionary: Arc<Dictionary>,
        packs: Arc<Packs>,
        clock: Arc<dyn Clock>,
    ) -> (Self, Recorder) {
        let (records, receiver) = mpsc::channel(RECORDS_MAX);
        let exchanges_max = settings.exchanges_max;
        let desk = Desk {
            exchanges: Exchanges::new(settings),
            pending: HashMap::new(),
            disconnecting: HashMap::new(),
            stopped: false,
        };
        let shared = Shared {
            desk: Mutex::new(desk),
            changed: Notify::new(),
            records,
            sessions,
            dictionary,
            packs,
            clock,
            exchanges_max,
        };
        (Self { shared: Arc::new(shared) }, Recorder { records: receiver, retry_min: RETRY_MIN })
    }

    /// Carries out what a decision ordered. Asks [`Sessions`], so never under a session's lock.
    pub fn order(&self, session: UniqueId, order: Order) {
        // Refused is counted, and there is nobody to tell.
        let _ = self.ask(session, order, SERVER, None);
    }

    /// Asks the NAS to end the session, and waits for the outcome: as long as the settings have patience,
    /// 30 s unless the queue is long.
    pub async fn disconnect(&self, session: UniqueId) -> Outcome {
        self.enforce(session, Order::Disconnect, SERVER).await
    }

    /// Asks the NAS to change the session by attributes as `Name = value`, and waits for the outcome.
    pub async fn change(&self, session: UniqueId, attributes: Vec<SmolStr>) -> Outcome {
        self.enforce(session, Order::ChangeOfAuthorization(attributes), SERVER).await
    }

    /// Closes the session here and asks no NAS; one that its NAS goes on with is open again with its next record.
    pub fn clear(&self, session: UniqueId) {
        self.shared.sessions.close(session, CloseGuess::Cleared);
    }

    /// Carries out an order of `by`, which the record will name, and waits for the outcome.
    pub async fn enforce(&self, session: UniqueId, order: Order, by: SmolStr) -> Outcome {
        let (waiter, outcome) = oneshot::channel();
        match self.ask(session, order, by, Some(waiter)) {
            // The other end goes away untold only with the whole face.
            Ok(()) => outcome.await.unwrap_or(Outcome::TimedOut),
            Err(Full) => Outcome::NotSent(NotSent::Full),
        }
    }

    /// Takes the rows that wait in `tk_coa` and carries them out; to be called when the change feed tells
    /// of new ones, and once at the start. Takes no more than there is room for: `false` says that rows may
    /// be left, to be taken in a second or so.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_queued<R: Record>(&self, record: &R) -> Result<bool, R::Error> {
        loop {
            let room = self.room().min(JOBS_AT_ONCE);
            if room == 0 {
                return Ok(false);
            }
            let jobs = record.take_jobs(room, self.shared.clock.now().unix).await?;
            // A row that asks for nothing known is taken too and not given, so fewer is not the end.
            let last = jobs.is_empty();
            for Job { id, session, order, queued } in jobs {
                // Taken rows are not given back, so this waits for its place in the record.
                let Ok(record) = self.shared.records.clone().reserve_owned().await else { return Ok(false) };
                let asker = Asker { job: Some(id), by: SmolStr::default(), queued, waiter: None, record };
                self.begin(session, order, asker);
            }
            if last {
                return Ok(true);
            }
        }
    }

    /// Ends what is under way, so that everybody is told and the record is whole; for a server that stops.
    /// Orders are refused from now on. The record is written when the last clone of the face is gone.
    pub fn stop(&self) {
        let pending: Vec<_> = {
            let mut desk = self.shared.desk.lock();
            desk.stopped = true;
            desk.disconnecting.clear();
            desk.pending.drain().map(|(_, pending)| pending).collect()
        };
        for pending in pending {
            let sent = pending.sent.is_some();
            self.conclude(pending, if sent { Outcome::TimedOut } else { Outcome::NotSent(NotSent::Full) });
        }
    }

    fn room(&self) -> usize {
        let desk = self.shared.desk.lock();
        if desk.stopped {
            return 0;
        }
        self.shared.exchanges_max.saturating_sub(desk.exchanges.outstanding() + desk.exchanges.queued())
    }

    fn ask(
        &self,
        session: UniqueId,
        order: Order,
        by: SmolStr,
        waiter: Option<oneshot::Sender<Outcome>>,
    ) -> Result<(), Full> {
        let Ok(record) = self.shared.records.clone().try_reserve_owned() else {
            count_outcome(Kind::of(&order), Outcome::NotSent(NotSent::Full));
            return Err(Full);
        };
        let queued = self.shared.clock.now().unix;
        self.begin(session, recordable(order), Asker { job: None, by, queued, waiter, record });
        Ok(())
    }

    fn begin(&self, session: UniqueId, order: Order, asker: Asker) {
        let pending = Pending { session, order, sent: None, askers: SmallVec::from_iter([asker]) };
        match self.try_begin(pending) {
            Ok(()) => self.shared.changed.notify_one(),
            Err((pending, reason)) => self.conclude(*pending, Outcome::NotSent(reason)),
        }
    }

    fn try_begin(&self, mut pending: Pending) -> Result<(), (Box<Pending>, NotSent)> {
        let shared = &*self.shared;
        let Some(session) = shared.sessions.session(pending.session).filter(may_still_be_served) else {
            return Err((Box::new(pending), NotSent::NoSession));
        };
        let Some(nas) = shared.sessions.nas(&session) else {
            return Err((Box::new(pending), NotSent::NoNas));
        };
        let pack = shared.packs.get(nas.pack);
        let request = match &pending.order {
            Order::Disconnect => Request::disconnect(&session, &nas, pack),
            Order::ChangeOfAuthorization(lines) => {
                Request::change(&session, &nas, pack, lines, &shared.dictionary, &mut SystemEntropy)
            }
        };
        let request = match request {
            Ok(request) => request,
            Err(reason) => return Err((Box::new(pending), reason)),
        };
        let target = SocketAddr::new(session.nas.source, nas.coa_port.unwrap_or_else(|| pack.coa_port()));
        let mut desk = shared.desk.lock();
        if desk.stopped {
            return Err((Box::new(pending), NotSent::Full));
        }
        if pending.order == Order::Disconnect
            && let Some(id) = desk.disconnecting.get(&pending.session).copied()
            && let Some(under_way) = desk.pending.get_mut(&id)
        {
            under_way.askers.append(&mut pending.askers);
            return Ok(());
        }
        // Read under the lock, so that the exchanges see time run forwards.
        let now = shared.clock.now();
        let Ok(id) = desk.exchanges.begin(request, target, now, &mut SystemEntropy) else {
            return Err((Box::new(pending), NotSent::Full));
        };
        if pending.order == Order::Disconnect {
            desk.disconnecting.insert(pending.session, id);
        }
        desk.pending.insert(id, pending);
        Ok(())
    }

    /// Tells everybody who asked, and the record.
    fn conclude(&self, pending: Pending, outcome: Outcome) {
        let ended = self.shared.clock.now().unix;
        if outcome == (Outcome::Nak { error_cause: Some(SESSION_CONTEXT_NOT_FOUND) }) {
            self.shared.sessions.close(pending.session, CloseGuess::UnknownToNas);
        }
        count_outcome(Kind::of(&pending.order), outcome);
        for asker in pending.askers {
            asker.record.send(Attempt {
                job: asker.job,
                session: pending.session,
                order: pending.order.clone(),
                queued: asker.queued,
                by: asker.by,
                sent: pending.sent,
                ended,
                outcome,
            });
            if let Some(waiter) = asker.waiter {
                // Whoever asked may have gone.
                let _ = waiter.send(outcome);
            }
        }
    }
}

/// What the network calls.
impl Coa {
    /// Takes a datagram that came from `from` to the source port of `slot`.
    pub fn handle_datagram(&self, slot: u8, from: SocketAddr, datagram: &[u8]) {
        match self.on_exchanges(|exchanges, now| exchanges.handle_datagram(slot, from, datagram, now)) {
            // A place is free: something that waited may leave.
            Ok(()) => self.shared.changed.notify_one(),
            Err(discard) => {
                metrics::counter!(names::COA_DISCARDS, "reason" => discard_name(discard)).increment(1);
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&self) {
        self.on_exchanges(Exchanges::handle_timeout);
    }

    /// The next datagram to send; `None` until [`Coa::changed`].
    #[must_use]
    pub fn next_transmit(&self) -> Option<Transmit> {
        let mut desk = self.shared.desk.lock();
        let transmit = desk.exchanges.poll_transmit()?;
        if transmit.transmission > 1 {
            metrics::counter!(names::COA_RETRANSMISSIONS).increment(1);
        } else if let Some(pending) = desk.pending.get_mut(&transmit.exchange) {
            pending.sent = Some(self.shared.clock.now().unix);
        }
        Some(transmit)
    }

    /// When [`Coa::handle_timeout`] has to be called, unless something changes before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.shared.desk.lock().exchanges.poll_timeout()
    }

    /// How long until then, by the clock of the exchanges.
    #[must_use]
    pub fn next_pause(&self) -> Option<Duration> {
        let deadline = self.next_deadline()?;
        Some(deadline.saturating_duration_since(self.shared.clock.now().instant))
    }

    /// Waits until there may be something to send or another deadline. For one waiter.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    fn on_exchanges<T>(&self, act: impl FnOnce(&mut Exchanges, Now) -> T) -> T {
        let mut ended = SmallVec::<[(Pending, Outcome); 4]>::new();
        let result = {
            let mut desk = self.shared.desk.lock();
            let result = act(&mut desk.exchanges, self.shared.clock.now());
            while let Some((id, outcome)) = desk.exchanges.poll_outcome() {
                if let Some(pending) = desk.pending.remove(&id) {
                    if pending.order == Order::Disconnect {
                        desk.disconnecting.remove(&pending.session);
                    }
                    ended.push((pending, outcome));
                }
            }
            gauge(&desk.exchanges);
            result
        };
        // Outside the lock: the state behind `Sessions` has its own.
        for (pending, outcome) in ended {
            self.conclude(pending, outcome);
        }
        result
    }
}

impl Recorder {
    /// Writes until the last [`Coa`] is gone and all is written. While the database is away it tries again.
    pub async fn run<R: Record>(mut self, record: R) {
        let mut batch = Vec::with_capacity(RECORDS_AT_ONCE);
        while self.records.recv_many(&mut batch, RECORDS_AT_ONCE).await > 0 {
            if let Err(error) = self.write(&record, &batch).await {
                // One of them is refused; the others shall not suffer for it.
                tracing::warn!(%error, "outcomes of dynamic authorization are written one by one");
                for attempt in batch.chunks(1) {
                    if let Err(error) = self.write(&record, attempt).await {
                        tracing::error!(%error, ?attempt, "an outcome of dynamic authorization cannot be recorded");
                    }
                }
            }
            batch.clear();
        }
    }

    async fn write<R: Record>(&self, record: &R, attempts: &[Attempt]) -> Result<(), R::Error> {
        let mut pause = self.retry_min;
        loop {
            let Err(error) = record.record_attempts(attempts).await else { return Ok(()) };
            metrics::counter!(names::COA_RECORD_FAILURES).increment(1);
            if !R::is_temporary(&error) {
                return Err(error);
            }
            tracing::warn!(%error, "outcomes of dynamic authorization wait for the database");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}

/// The order as a database can hold it: attributes without NUL, which none can have, and none at all where
/// they are more than any packet holds. Either is refused as a bad attribute.
fn recordable(order: Order) -> Order {
    let Order::ChangeOfAuthorization(mut lines) = order else { return order };
    if lines.iter().map(|line| line.len()).sum::<usize>() > ORDER_LENGTH_MAX {
        lines.clear();
    }
    for line in lines.iter_mut().filter(|line| line.contains('\0')) {
        *line = text_from_octets(line.as_bytes());
    }
    Order::ChangeOfAuthorization(lines)
}

/// May the NAS still have it? A Stop or a reboot says no, an id that is in use again means another session;
/// other guesses are only ours.
fn may_still_be_served(session: &Session) -> bool {
    match &session.closed {
        None => true,
        Some(closed) => {
            matches!(closed.guess, Some(CloseGuess::Stale | CloseGuess::Replaced | CloseGuess::Cleared))
        }
    }
}

fn count_outcome(kind: Kind, outcome: Outcome) {
    let kind = match kind {
        Kind::Disconnect => "disconnect",
        Kind::ChangeOfAuthorization => "coa",
    };
    metrics::counter!(
        names::COA_OUTCOMES,
        "kind" => kind, "outcome" => outcome.as_str(), "error_cause" => error_cause_label(outcome)
    )
    .increment(1);
}

/// The name of the Error-Cause: one of a closed list, whatever a NAS sends.
const fn error_cause_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Nak { error_cause: Some(value) } => error_cause_name(value),
        _ => "",
    }
}

const fn discard_name(discard: Discard) -> &'static str {
    match discard {
        Discard::Malformed => "malformed",
        Discard::NoExchange => "no-exchange",
        Discard::WrongCode => "wrong-code",
        Discard::Unauthentic => "unauthentic",
    }
}

fn gauge(exchanges: &Exchanges) {
    let size = |number: usize| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    metrics::gauge!(names::COA_EXCHANGES, "state" => "outstanding").set(size(exchanges.outstanding()));
    metrics::gauge!(names::COA_EXCHANGES, "state" => "queued").set(size(exchanges.queued()));
}

/// Who orders by [`Coa::order`], [`Coa::disconnect`] and [`Coa::change`].
const SERVER: SmolStr = SmolStr::new_static("server");
/// "Session Context Not Found" (RFC 5176 §3.5).
const SESSION_CONTEXT_NOT_FOUND: u32 = 503;
/// Records that are reserved or wait; about 150 octets each.
const RECORDS_MAX: usize = 65_536;
/// Rows of one transaction.
const RECORDS_AT_ONCE: usize = 256;
const JOBS_AT_ONCE: usize = 256;
/// Octets of all lines of one order: four times what a packet holds, since hexadecimal takes two for one.
const ORDER_LENGTH_MAX: usize = 16_384;
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::coa::tests::{SECRET, nas, session};
    use crate::coa::{Responder, Settings, Verdict};
    use crate::domain::Closed;
    use crate::radius::Secret;
    use crate::time::SystemClock;

    const ID: UniqueId = UniqueId([2; 16]);

    #[derive(Default)]
    struct Known {
        sessions: Mutex<HashMap<UniqueId, Session>>,
        nas: Mutex<Option<Arc<Nas>>>,
        closed: Mutex<Vec<(UniqueId, CloseGuess)>>,
    }

    impl Sessions for Known {
        fn session(&self, id: UniqueId) -> Option<Session> {
            self.sessions.lock().get(&id).cloned()
        }

        fn nas(&self, _: &Session) -> Option<Arc<Nas>> {
            self.nas.lock().clone()
        }

        fn close(&self, id: UniqueId, guess: CloseGuess) {
            self.closed.lock().push((id, guess));
        }
    }

    struct HandClock(Mutex<Now>);

    impl Clock for HandClock {
        fn now(&self) -> Now {
            *self.0.lock()
        }
    }

    /// The face with one session, a clock moved by hand, and a NAS that answers when told to.
    struct Bench {
        coa: Coa,
        recorder: Recorder,
        known: Arc<Known>,
        clock: Arc<HandClock>,
        nas: Responder,
    }

    impl Bench {
        fn new(settings: Settings) -> Self {
            let known = Arc::new(Known::default());
            known.sessions.lock().insert(ID, session());
            *known.nas.lock() = Some(Arc::new(nas()));
            let now = Now { instant: SystemClock.now().instant, unix: UnixTime(1_750_000_000) };
            let clock = Arc::new(HandClock(Mutex::new(now)));
            let (coa, recorder) =
                Coa::new(settings, known.clone(), Dictionary::embedded(), Packs::embedded(), clock.clone());
            Self { coa, recorder, known, clock, nas: Responder::default() }
        }

        /// Begins to wait for an outcome; the order has been begun when this returns.
        async fn ask(&self, order: Order) -> tokio::task::JoinHandle<Outcome> {
            let coa = self.coa.clone();
            let asked = tokio::spawn(async move {
                match order {
                    Order::Disconnect => coa.disconnect(ID).await,
                    Order::ChangeOfAuthorization(lines) => coa.change(ID, lines).await,
                }
            });
            tokio::task::yield_now().await;
            asked
        }

        /// The NAS receives everything that was sent, and answers.
        fn answer(&mut self, verdict: Verdict) -> usize {
            let mut received = 0;
            while let Some(sent) = self.coa.next_transmit() {
                received += 1;
                let (now, secret) = (self.clock.now(), Secret::new(SECRET).unwrap());
                if let Some(reply) =
                    self.nas.answer(sent.destination, &sent.payload, &secret, now, |_, _| verdict)
                {
                    self.coa.handle_datagram(sent.slot, sent.destination, &reply);
                }
            }
            received
        }

        fn pass(&self, by: Duration) {
            let mut now = self.clock.0.lock();
            *now = now.plus(by);
            drop(now);
            self.coa.handle_timeout();
        }

        fn recorded(&mut self) -> Vec<Attempt> {
            std::iter::from_fn(|| self.recorder.records.try_recv().ok()).collect()
        }
    }

    #[tokio::test]
    async fn an_ack_is_told_and_recorded_and_leaves_the_session_open() {
        let mut bench = Bench::new(Settings::default());
        let asked = bench.ask(Order::Disconnect).await;
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.answer(Verdict::Ack), 1);
        assert_eq!(asked.await.unwrap(), Outcome::Ack);
        assert_eq!(
            bench.recorded(),
            [Attempt {
                job: None,
                session: ID,
                order: Order::Disconnect,
                queued: UnixTime(1_750_000_000),
                by: "server".into(),
                sent: Some(UnixTime(1_750_000_001)),
                ended: UnixTime(1_750_000_001),
                outcome: Outcome::Ack,
            }]
        );
        assert!(bench.known.closed.lock().is_empty());
    }

    #[tokio::test]
    async fn a_nas_that_does_not_know_the_session_ends_it() {
        for order in [Order::Disconnect, Order::ChangeOfAuthorization(vec!["Session-Timeout = 60".into()])] {
            let mut bench = Bench::new(Settings::default());
            let asked = bench.ask(order).await;
            bench.answer(Verdict::Nak(503));
            assert_eq!(asked.await.unwrap(), Outcome::Nak { error_cause: Some(503) });
            assert_eq!(*bench.known.closed.lock(), [(ID, CloseGuess::UnknownToNas)]);
        }
    }

    #[tokio::test]
    async fn any_other_nak_changes_nothing() {
        for cause in (401..=407).chain([501, 502]).chain(504..=509) {
            let mut bench = Bench::new(Settings::default());
            let asked = bench.ask(Order::ChangeOfAuthorization(vec!["Session-Timeout = 60".into()])).await;
            bench.answer(Verdict::Nak(cause));
            assert_eq!(asked.await.unwrap(), Outcome::Nak { error_cause: Some(cause) });
            assert_eq!(bench.recorded()[0].outcome, Outcome::Nak { error_cause: Some(cause) });
            assert!(bench.known.closed.lock().is_empty());
        }
    }

    #[tokio::test]
    async fn silence_is_told_in_the_end() {
        let mut bench = Bench::new(Settings::default());
        let asked = bench.ask(Order::Disconnect).await;
        let mut sent = bench.answer(Verdict::Silence);
        while !asked.is_finished() {
            let deadline = bench.coa.next_deadline().unwrap();
            bench.pass(deadline - bench.clock.now().instant);
            sent += bench.answer(Verdict::Silence);
            tokio::task::yield_now().await;
        }
        assert!((4..=5).contains(&sent), "{sent} transmissions");
        assert_eq!(asked.await.unwrap(), Outcome::TimedOut);
        let attempt = &bench.recorded()[0];
        assert_eq!(attempt.outcome, Outcome::TimedOut);
        assert_eq!((attempt.sent, attempt.queued), (Some(attempt.queued), UnixTime(1_750_000_000)));
        assert_eq!(attempt.ended, bench.clock.now().unix);
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_told_at_once_and_recorded() {
        let mut bench = Bench::new(Settings::default());
        let unknown = bench.coa.disconnect(UniqueId([9; 16])).await;
        assert_eq!(unknown, Outcome::NotSent(NotSent::NoSession));
        let bad = bench.coa.change(ID, vec!["No-Such-Attribute = 1".into()]).await;
        assert_eq!(bad, Outcome::NotSent(NotSent::BadAttribute));
        *bench.known.nas.lock() = None;
        assert_eq!(bench.coa.disconnect(ID).await, Outcome::NotSent(NotSent::NoNas));
        let recorded: Vec<_> = bench.recorded().into_iter().map(|it| (it.sent, it.outcome)).collect();
        assert_eq!(recorded, [(None, unknown), (None, bad), (None, Outcome::NotSent(NotSent::NoNas))]);
        assert_eq!(bench.coa.next_transmit(), None);
    }

    #[tokio::test]
    async fn a_session_that_we_only_believe_closed_is_still_asked_for() {
        for (guess, asked_for) in [
            (None, false),
            (Some(CloseGuess::Stale), true),
            (Some(CloseGuess::Replaced), true),
            (Some(CloseGuess::NasReboot), false),
            (Some(CloseGuess::SessionIdReused), false),
            (Some(CloseGuess::UnknownToNas), false),
        ] {
            let bench = Bench::new(Settings::default());
            bench.known.sessions.lock().get_mut(&ID).unwrap().closed =
                Some(Closed { at: UnixTime(0), cause: "x".into(), guess });
            bench.coa.order(ID, Order::Disconnect);
            assert_eq!(bench.coa.next_transmit().is_some(), asked_for, "{guess:?}");
        }
    }

    #[tokio::test]
    async fn the_request_goes_to_where_the_nas_sends_from_and_its_port() {
        let bench = Bench::new(Settings::default());
        *bench.known.nas.lock() = Some(Arc::new(Nas { coa_port: Some(1700), ..nas() }));
        for source in ["10.0.0.7", "2001:db8::7"] {
            let source: IpAddr = source.parse().unwrap();
            bench.known.sessions.lock().get_mut(&ID).unwrap().nas.source = source;
            bench.coa.order(ID, Order::ChangeOfAuthorization(vec!["Session-Timeout = 1".into()]));
            assert_eq!(bench.coa.next_transmit().unwrap().destination, SocketAddr::new(source, 1700));
        }
    }

    #[tokio::test]
    async fn a_session_is_not_asked_twice_to_end_at_once() {
        let mut bench = Bench::new(Settings::default());
        let first = bench.ask(Order::Disconnect).await;
        let second = bench.ask(Order::Disconnect).await;
        bench.coa.order(ID, Order::Disconnect);
        assert_eq!(bench.answer(Verdict::Ack), 1);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Outcome::Ack, Outcome::Ack));
        assert_eq!(bench.recorded().len(), 3);
        // Later it is asked again.
        bench.coa.order(ID, Order::Disconnect);
        assert_eq!(bench.answer(Verdict::Nak(503)), 1);
    }

    #[tokio::test]
    async fn an_order_whose_outcome_could_not_be_recorded_is_not_taken() {
        let mut bench = Bench::new(Settings::default());
        let (records, receiver) = mpsc::channel(1);
        Arc::get_mut(&mut bench.coa.shared).unwrap().records = records;
        bench.recorder.records = receiver;
        let first = bench.ask(Order::Disconnect).await;
        assert_eq!(bench.coa.disconnect(ID).await, Outcome::NotSent(NotSent::Full));
        bench.answer(Verdict::Ack);
        assert_eq!(first.await.unwrap(), Outcome::Ack);
        assert_eq!(bench.coa.disconnect(ID).await, Outcome::NotSent(NotSent::Full));
        assert_eq!(bench.recorded().len(), 1);
        assert!(!bench.ask(Order::Disconnect).await.is_finished());
    }

    #[tokio::test]
    async fn when_the_server_stops_everybody_is_told() {
        let mut bench = Bench::new(Settings { outstanding_per_nas: 1, ..Settings::default() });
        let sent = bench.ask(Order::Disconnect).await;
        let queued = bench.ask(Order::ChangeOfAuthorization(vec!["Session-Timeout = 1".into()])).await;
        bench.answer(Verdict::Silence);
        bench.coa.stop();
        assert_eq!(sent.await.unwrap(), Outcome::TimedOut);
        assert_eq!(queued.await.unwrap(), Outcome::NotSent(NotSent::Full));
        assert_eq!(bench.coa.disconnect(ID).await, Outcome::NotSent(NotSent::Full));
        assert_eq!(bench.recorded().len(), 3);
    }

    /// A queue and a record in memory, whose first writes fail, and which refuses one job.
    #[derive(Default)]
    struct Table {
        jobs: Mutex<Vec<Job>>,
        attempts: Mutex<Vec<Attempt>>,
        failures: Mutex<u32>,
        refuses: Option<i64>,
    }

    #[derive(Debug, PartialEq, Eq, thiserror::Error)]
    enum Failure {
        #[error("away")]
        Away,
        #[error("refused")]
        Refused,
    }

    impl Record for Arc<Table> {
        type Error = Failure;

        async fn take_jobs(&self, limit: usize, _: UnixTime) -> Result<Vec<Job>, Self::Error> {
            let mut jobs = self.jobs.lock();
            let taken = jobs.len().min(limit);
            Ok(jobs.drain(..taken).collect())
        }

        async fn record_attempts(&self, attempts: &[Attempt]) -> Result<(), Self::Error> {
            let mut failures = self.failures.lock();
            if *failures > 0 {
                *failures -= 1;
                return Err(Failure::Away);
            }
            if attempts.iter().any(|attempt| attempt.job.is_some() && attempt.job == self.refuses) {
                return Err(Failure::Refused);
            }
            self.attempts.lock().extend_from_slice(attempts);
            Ok(())
        }

        fn is_temporary(error: &Failure) -> bool {
            *error == Failure::Away
        }
    }

    fn job(id: i64) -> Job {
        let order = Order::ChangeOfAuthorization(vec!["Session-Timeout = 60".into()]);
        Job { id, session: ID, order, queued: UnixTime(1_749_999_000) }
    }

    #[tokio::test]
    async fn queued_rows_are_carried_out_as_there_is_room() {
        let mut bench = Bench::new(Settings { exchanges_max: 300, burst: 1000, ..Settings::default() });
        let table = Arc::new(Table::default());
        table.jobs.lock().extend((0..400).map(job));
        assert_eq!(bench.coa.take_queued(&table).await, Ok(false));
        assert_eq!(table.jobs.lock().len(), 100, "what there is no room for stays a row");
        assert_eq!(bench.answer(Verdict::Ack), 300);
        assert_eq!(bench.coa.take_queued(&table).await, Ok(true));
        assert_eq!(bench.answer(Verdict::Ack), 100);
        let recorded = bench.recorded();
        let jobs: std::collections::BTreeSet<_> =
            recorded.iter().map(|attempt| attempt.job.unwrap()).collect();
        assert_eq!((recorded.len(), jobs.len()), (400, 400));
        assert_eq!(recorded[0].queued, UnixTime(1_749_999_000));
    }

    #[tokio::test]
    async fn the_record_survives_a_database_that_is_away() {
        let mut bench = Bench::new(Settings::default());
        let table = Arc::new(Table { failures: Mutex::new(3), ..Table::default() });
        table.jobs.lock().push(job(7));
        bench.coa.take_queued(&table).await.unwrap();
        bench.answer(Verdict::Ack);
        drop(bench.coa);
        bench.recorder.retry_min = Duration::ZERO;
        bench.recorder.run(Arc::clone(&table)).await;
        let attempts = table.attempts.lock();
        assert_eq!((attempts.len(), attempts[0].job, attempts[0].outcome), (1, Some(7), Outcome::Ack));
    }

    #[tokio::test]
    async fn one_record_that_is_refused_holds_up_no_other() {
        let mut bench = Bench::new(Settings::default());
        let table = Arc::new(Table { refuses: Some(2), ..Table::default() });
        table.jobs.lock().extend((1..=3).map(job));
        bench.coa.take_queued(&table).await.unwrap();
        bench.answer(Verdict::Ack);
        drop(bench.coa);
        bench.recorder.run(Arc::clone(&table)).await;
        let jobs: Vec<_> = table.attempts.lock().iter().map(|attempt| attempt.job).collect();
        assert_eq!(jobs, [Some(1), Some(3)]);
    }

    #[tokio::test]
    async fn what_a_database_cannot_hold_is_not_recorded_as_it_came() {
        let mut bench = Bench::new(Settings::default());
        let bad = Outcome::NotSent(NotSent::BadAttribute);
        assert_eq!(bench.coa.change(ID, vec!["No-Such = a\0b".into()]).await, bad);
        assert_eq!(bench.coa.change(ID, vec!["Filter-Id = x".into(); 2000]).await, bad);
        let orders: Vec<_> = bench.recorded().into_iter().map(|attempt| attempt.order).collect();
        let escaped = Order::ChangeOfAuthorization(vec!["No-Such = a\\x00b".into()]);
        assert_eq!(orders, [escaped, Order::ChangeOfAuthorization(Vec::new())]);
    }

    #[test]
    fn labels_are_a_closed_list() {
        assert_eq!(error_cause_label(Outcome::Nak { error_cause: Some(503) }), "Session-Context-Not-Found");
        assert_eq!(error_cause_label(Outcome::Nak { error_cause: Some(u32::MAX) }), "Unknown");
        assert_eq!(error_cause_label(Outcome::Nak { error_cause: None }), "");
        assert_eq!(error_cause_label(Outcome::Ack), "");
        assert_eq!(discard_name(Discard::WrongCode), "wrong-code");
    }
}
