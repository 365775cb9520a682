//! From a received datagram to what the service is asked, and from its answer to the reply.
//!
//! A [`Worker`] is one receiving thread with its socket. What it can answer at once it answers from
//! the buffers it owns, one batch of replies for one batch of requests; what has to wait becomes an
//! [`Errand`] on the runtime, with the octets of the request as its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admission::{ACCESS_REQUEST, Asked, Discard, Head, Port, Rate, Source, Sources, identifies};
use super::duplicates::{Key, Seen};
use super::flow::{Flow, Flows, Place, Share};
use super::metrics::{Answered, NasCounters};
use super::replies::{Listener, Outlets, Pending};
use super::udp::{BATCH, Inbound, Outbound, Receiver, Sender};
use crate::domain::{Nas, NasTable};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::radius::{
    AccessReply, AccountingResponse, Oversize, Packet, Request, Secret, StatusReply, Unauthentic, Verified,
};
use crate::service::{Acknowledgement, Answer, Resolved, Serve, Waiter, Work};
use crate::time::Now;

/// What all receiving threads and errands have in common.
pub(super) struct Shared<S> {
    pub(super) service: Arc<S>,
    pub(super) outlets: Arc<Outlets>,
    pub(super) sources: Arc<Sources>,
    pub(super) flows: Flows,
    pub(super) runtime: Handle,
    pub(super) reject_delay: Duration,
    pub(super) status_per_second: u32,
    /// Bound what waits on the runtime, logins and accounting apart.
    pub(super) logins: Arc<Semaphore>,
    pub(super) records: Arc<Semaphore>,
    pub(super) stop: Arc<AtomicBool>,
}

/// How often one request may come back for more. A login needs two: its subscriber, then a slow
/// password.
const ROUNDS_MAX: usize = 4;

/// Most source addresses that a thread remembers; then it begins anew.
const CLIENTS_MAX: usize = 16_384;

/// Most lines per second that a thread says about discarded datagrams, at level debug.
const DISCARD_LINES_PER_SECOND: u32 = 10;

/// One receiving thread.
pub(super) struct Worker<S> {
    shared: Arc<Shared<S>>,
    number: u32,
    table: Arc<NasTable>,
    clients: HashMap<IpAddr, Client, foldhash::fast::RandomState>,
    outbox: Outbox,
    lines: Rate,
}

impl<S: Serve> Worker<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, number: u32) -> Self {
        Self {
            shared,
            number,
            table: Arc::default(),
            clients: HashMap::default(),
            outbox: Outbox::default(),
            lines: Rate::new(DISCARD_LINES_PER_SECOND, DISCARD_LINES_PER_SECOND),
        }
    }

    /// Receives and answers until it is told to stop.
    pub(super) fn run(mut self) {
        let outlets = Arc::clone(&self.shared.outlets);
        let listener = outlets.listener(self.number).expect("a worker is made for a listener");
        let mut receiver = Receiver::new(&listener.socket);
        let mut sender = Sender::new(&listener.socket);
        while !self.shared.stop.load(Ordering::Relaxed) {
            // The clock is read once per batch, after the wait.
            let mut batch = None;
            let received = receiver.receive(&listener.socket, |datagram| {
                let now = *batch.get_or_insert_with(|| {
                    self.refresh();
                    outlets.clock.now()
                });
                self.serve(listener, datagram, now);
            });
            if let Err(error) = received {
                // Nothing that lasts can happen to an open socket; a shortage of memory passes.
                tracing::warn!(%error, address = %listener.address, "cannot receive");
                std::thread::park_timeout(Duration::from_millis(50));
            }
            if let Some(now) = batch {
                self.outbox.send(&outlets, listener, &mut sender, now);
            }
        }
    }

    /// Takes over a changed NAS table.
    fn refresh(&mut self) {
        let table = self.shared.service.nas_table();
        if !Arc::ptr_eq(&table, &self.table) {
            self.table = Arc::clone(&table);
            self.clients.clear();
        }
    }

    fn serve(&mut self, listener: &Listener, datagram: Inbound<'_>, now: Now) {
        let metrics = &self.shared.outlets.metrics;
        let source = datagram.peer.ip().to_canonical();
        let turn = Turn { shared: &self.shared, listener, outbox: &mut self.outbox, now };
        let served = match Head::read(datagram.octets) {
            Err(reason) => Err((reason, &metrics.unknown)),
            Ok(head) => match Client::find(&mut self.clients, &self.table, source, &self.shared) {
                None => Err((Discard::UnknownNas, &metrics.unknown)),
                Some(client) => {
                    let origin =
                        Origin { listener: self.number, peer: datagram.peer, local: datagram.local, head };
                    client.answer(turn, origin, datagram.octets).map_err(|reason| (reason, &*client.counters))
                }
            },
        };
        if let Err((reason, counters)) = served {
            counters.discard(reason);
            if tracing::enabled!(tracing::Level::DEBUG) && self.lines.admit(now) {
                tracing::debug!(peer = %datagram.peer, reason = reason.as_str(), "datagram discarded");
            }
        }
    }
}

/// What one datagram is served with.
struct Turn<'a, S> {
    shared: &'a Arc<Shared<S>>,
    listener: &'a Listener,
    outbox: &'a mut Outbox,
    now: Now,
}

/// Where a request came from, and which one it is.
#[derive(Clone, Copy)]
struct Origin {
    listener: u32,
    peer: SocketAddr,
    local: Option<IpAddr>,
    head: Head,
}

impl Origin {
    fn key(&self) -> Key {
        Key::new(self.peer, self.local, self.head.code, self.head.identifier)
    }

    fn source(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    fn waiter(&self, reply: &[u8]) -> Waiter {
        Waiter {
            listener: self.listener,
            peer: self.peer,
            local: self.local,
            identifier: self.head.identifier,
            authenticator: self.head.authenticator,
            reply: reply.into(),
        }
    }
}

/// A source address: what it belongs to, and what is remembered of it.
struct Client {
    nas: Arc<Nas>,
    counters: Arc<NasCounters>,
    seen: Arc<Source>,
    flow: Arc<Flow>,
    status: Rate,
}

impl Client {
    /// The client with that address, looked up in the table the first time.
    fn find<'a, S>(
        clients: &'a mut HashMap<IpAddr, Self, foldhash::fast::RandomState>,
        table: &NasTable,
        source: IpAddr,
        shared: &Shared<S>,
    ) -> Option<&'a mut Self> {
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&source) {
            clients.clear();
        }
        Some(match clients.entry(source) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let nas = table.find(source)?;
                new.insert(Self {
                    nas: Arc::clone(nas),
                    counters: shared.outlets.metrics.nas(&nas.name),
                    seen: Arc::default(),
                    flow: shared.flows.of(source),
                    status: Rate::new(shared.status_per_second, shared.status_per_second),
                })
            }
        })
    }

    /// The checks in order, then the question. A reply that leaves now is in the outbox afterwards.
    fn answer<S: Serve>(
        &mut self,
        turn: Turn<'_, S>,
        origin: Origin,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let asked = turn.listener.port.asked(origin.head.code).ok_or(Discard::Code)?;
        // Every Status-Server is answered anew (RFC 5997 §3): none is looked up or kept.
        if asked != Asked::Status {
            let mut duplicates = turn.listener.duplicates.lock();
            match duplicates.look(&origin.key(), &origin.head.authenticator, turn.now) {
                Seen::New => {}
                Seen::InFlight => return Err(Discard::InFlight),
                Seen::Answered(reply) => {
                    turn.outbox.next().extend_from_slice(reply);
                    turn.outbox.put(&origin, None);
                    self.counters.duplicate();
                    return Ok(());
                }
            }
        }
        let packet = Packet::decode(datagram).map_err(|_| Discard::Malformed)?;
        let (verified, next_secret) = verify(packet, &self.nas, self.seen.next_secret())?;
        let heard = Heard { origin, datagram, verified, next_secret };
        self.admit(turn.shared, asked, &heard, turn.now)?;
        self.counters.request(asked);
        if asked == Asked::Access && !heard.verified.signed() {
            self.counters.unsigned();
        }
        match asked {
            Asked::Status => self.status(turn, &heard),
            Asked::Access => self.access(turn, heard),
            Asked::Accounting => self.accounting(turn, heard),
        }
    }

    /// The rules for this NAS, once it is certain who speaks.
    fn admit<S>(
        &mut self,
        shared: &Shared<S>,
        asked: Asked,
        heard: &Heard<'_>,
        now: Now,
    ) -> Result<(), Discard> {
        let (sources, source, verified) = (&shared.sources, heard.origin.source(), &heard.verified);
        if verified.signed() || asked == Asked::Accounting {
            sources.verified(&self.nas, source, &mut self.seen, heard.next_secret);
        }
        match asked {
            Asked::Status if !self.status.admit(now) => return Err(Discard::StatusRate),
            Asked::Status => return Ok(()),
            Asked::Access => {
                if !verified.signed() && !verified.has_credentials() {
                    return Err(Discard::Credentials);
                }
                let proxied = verified.proxy_states().next().is_some();
                sources.admit(&self.nas, source, &mut self.seen, verified.signed(), proxied, now)?;
            }
            Asked::Accounting => {}
        }
        if !identifies(&self.nas, verified.nas_identifier()) {
            return Err(Discard::Identifier);
        }
        if self.flow.admits(asked, verified.signed(), now) { Ok(()) } else { Err(Discard::Rate) }
    }

    fn status<S>(&self, turn: Turn<'_, S>, heard: &Heard<'_>) -> Result<(), Discard> {
        let Turn { listener, outbox, .. } = turn;
        let reply = match listener.port {
            Port::Auth => StatusReply::Authentication,
            Port::Accounting => StatusReply::Accounting,
        };
        let encoded = reply.encode(&heard.verified, secret(&self.nas, heard.next_secret), outbox.next());
        encoded.map_err(|oversize| too_long(&self.nas, oversize))?;
        self.counters.reply(Answered::Status);
        outbox.put(&heard.origin, Some(Asked::Status));
        Ok(())
    }

    fn access<S: Serve>(&self, turn: Turn<'_, S>, heard: Heard<'_>) -> Result<(), Discard> {
        let Turn { shared, listener, outbox, now } = turn;
        let Heard { origin, datagram, verified, next_secret } = heard;
        let (key, authenticator) = (origin.key(), origin.head.authenticator);
        let out = outbox.next();
        let said =
            shared.access(self.question(&origin, next_secret), verified, Resolved::default(), now, out)?;
        let in_flight = || {
            listener.duplicates.lock().begin(key, authenticator, self.pending(None, now), now);
        };
        match said {
            Said::Reply => {
                listener.duplicates.lock().keep(key, authenticator, out, now);
                if let Some(answered) = Answered::of(out) {
                    self.counters.reply(answered);
                }
                outbox.put(&origin, Some(Asked::Access));
            }
            Said::Reject => {
                in_flight();
                shared.hold_back(origin.waiter(out), now.instant);
            }
            Said::Later(work) => {
                let room = Room::take(&shared.logins, &self.flow.logins)?;
                in_flight();
                let errand = self.errand(shared, origin, datagram, next_secret, now);
                shared.runtime.spawn(errand.login(work, room));
            }
        }
        Ok(())
    }

    fn accounting<S: Serve>(&self, turn: Turn<'_, S>, heard: Heard<'_>) -> Result<(), Discard> {
        let Turn { shared, listener, outbox, now } = turn;
        let Heard { origin, datagram, verified, next_secret } = heard;
        let (key, authenticator) = (origin.key(), origin.head.authenticator);
        // The reply depends on nothing that the service could say.
        let out = outbox.next();
        let encoded = AccountingResponse.encode(&verified, secret(&self.nas, next_secret), out);
        encoded.map_err(|oversize| too_long(&self.nas, oversize))?;
        let waiter = origin.waiter(out);
        // Before the service has it: its commit may be done before this thread goes on.
        let place = self.flow.in_flight.take().ok_or(Discard::Overloaded)?;
        listener.duplicates.lock().begin(key, authenticator, self.pending(Some(place), now), now);
        let question = self.question(&origin, next_secret);
        let recorded = match shared.accounting(question, verified, Resolved::default(), waiter, now) {
            Ok(Acknowledgement::Pending) => Ok(()),
            Ok(Acknowledgement::Later(work, waiter)) => {
                Room::take(&shared.records, &self.flow.records).map(|room| {
                    let errand = self.errand(shared, origin, datagram, next_secret, now);
                    shared.runtime.spawn(errand.record(work, waiter, room));
                })
            }
            Ok(Acknowledgement::Silence(reason)) => Err(reason.into()),
            Err(reason) => Err(reason),
        };
        if recorded.is_err() {
            listener.duplicates.lock().forget(&key, &authenticator);
            shared.outlets.settled();
        }
        recorded
    }

    fn pending(&self, place: Option<Place>, now: Now) -> Pending {
        Pending { received: now.instant, counters: Arc::clone(&self.counters), place }
    }

    fn question(&self, origin: &Origin, next_secret: bool) -> Question<'_> {
        Question { nas: &self.nas, next_secret, source: origin.source() }
    }

    fn errand<S>(
        &self,
        shared: &Arc<Shared<S>>,
        origin: Origin,
        datagram: &[u8],
        next_secret: bool,
        now: Now,
    ) -> Errand<S> {
        Errand {
            shared: Arc::clone(shared),
            origin,
            datagram: datagram.into(),
            nas: Arc::clone(&self.nas),
            counters: Arc::clone(&self.counters),
            next_secret,
            received: now.instant,
        }
    }
}

/// A datagram of a NAS that has proved what it can.
struct Heard<'a> {
    origin: Origin,
    datagram: &'a [u8],
    verified: Verified<'a>,
    /// It was the entry's next secret that verified it.
    next_secret: bool,
}

/// Who asks.
#[derive(Clone, Copy)]
struct Question<'a> {
    nas: &'a Arc<Nas>,
    next_secret: bool,
    source: IpAddr,
}

/// What became of an Access-Request; a reply is in the buffer.
enum Said {
    Reply,
    /// A reply that is to be held back.
    Reject,
    Later(Work),
}

impl<S: Serve> Shared<S> {
    /// Asks the service about a login, and encodes what it says into `out`.
    fn access(
        &self,
        question: Question<'_>,
        verified: Verified<'_>,
        resolved: Resolved,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<Said, Discard> {
        let Question { nas, next_secret, source } = question;
        let secret = secret(nas, next_secret);
        let Ok(Request::Access(request)) = verified.into_request(secret) else {
            return Err(Discard::Code);
        };
        match self.service.access(nas, source, &request, resolved, now) {
            Answer::Now(reply) => {
                let encoded = reply.encode(&request, secret, &mut SystemEntropy, out);
                encoded.map_err(|oversize| too_long(nas, oversize))?;
                let held_back = matches!(reply, AccessReply::Reject(_)) && !self.reject_delay.is_zero();
                Ok(if held_back { Said::Reject } else { Said::Reply })
            }
            Answer::Later(work) => Ok(Said::Later(work)),
            Answer::Silence(reason) => Err(reason.into()),
        }
    }

    /// Hands a record to the service.
    fn accounting(
        &self,
        question: Question<'_>,
        verified: Verified<'_>,
        resolved: Resolved,
        waiter: Waiter,
        now: Now,
    ) -> Result<Acknowledgement, Discard> {
        let Question { nas, next_secret, source } = question;
        match verified.into_request(secret(nas, next_secret)) {
            Ok(Request::Accounting(request)) => {
                Ok(self.service.accounting(nas, source, &request, resolved, waiter, now))
            }
            _ => Err(Discard::Code),
        }
    }

    /// Holds a reject back, counted from when its request was received, so that how long the
    /// decision took does not show. Up to a quarter more, by chance, keeps a guesser from telling
    /// his own delay from the network's, and a crowd of rejected devices from returning in step.
    fn hold_back(&self, reject: Waiter, received: Instant) {
        let quarter = self.reject_delay / 4;
        let [chance, ..] = SystemEntropy.number().to_le_bytes();
        let due = received + self.reject_delay + quarter * u32::from(chance) / 256;
        self.outlets.hold_back(reject, due);
    }
}

/// Room for a request that waits on the runtime: in all, and among those of its source.
struct Room {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Room {
    fn take(all: &Arc<Semaphore>, own: &Arc<Share>) -> Result<Self, Discard> {
        let place = own.take().ok_or(Discard::Overloaded)?;
        let permit = Arc::clone(all).try_acquire_owned().map_err(|_| Discard::Overloaded)?;
        Ok(Self { _permit: permit, _place: place })
    }
}

/// A request that waits for something. It owns what it needs to ask again.
struct Errand<S> {
    shared: Arc<Shared<S>>,
    origin: Origin,
    datagram: Box<[u8]>,
    nas: Arc<Nas>,
    counters: Arc<NasCounters>,
    next_secret: bool,
    received: Instant,
}

impl<S: Serve> Errand<S> {
    /// Does the work and asks about the login again, until there is an answer.
    async fn login(self, mut work: Work, room: Room) {
        let mut resolved = Resolved::default();
        for _ in 0..ROUNDS_MAX {
            match self.shared.service.resolve(work).await {
                Ok(more) => resolved = merged(resolved, more),
                Err(reason) => return self.silence(reason.into()),
            }
            match self.ask_about_login(resolved) {
                Ok(None) => return drop(room),
                Ok(Some(more)) => work = more,
                Err(reason) => return self.silence(reason),
            }
        }
        self.silence(Discard::Overloaded);
    }

    /// As [`Errand::login`], for a record.
    async fn record(self, mut work: Work, mut waiter: Waiter, room: Room) {
        let mut resolved = Resolved::default();
        for _ in 0..ROUNDS_MAX {
            match self.shared.service.resolve(work).await {
                Ok(more) => resolved = merged(resolved, more),
                Err(reason) => return self.silence(reason.into()),
            }
            let now = self.shared.outlets.clock.now();
            let recorded = self.verified().and_then(|verified| {
                self.shared.accounting(self.question(), verified, resolved, waiter, now)
            });
            match recorded {
                Ok(Acknowledgement::Pending) => return drop(room),
                Ok(Acknowledgement::Later(more, back)) => (work, waiter) = (more, back),
                Ok(Acknowledgement::Silence(reason)) => return self.silence(reason.into()),
                Err(reason) => return self.silence(reason),
            }
        }
        self.silence(Discard::Overloaded);
    }

    fn ask_about_login(&self, resolved: Resolved) -> Result<Option<Work>, Discard> {
        let mut out = Vec::new();
        let (verified, now) = (self.verified()?, self.shared.outlets.clock.now());
        match self.shared.access(self.question(), verified, resolved, now, &mut out)? {
            Said::Reply => self.shared.outlets.send(ACCESS_REQUEST, &mut [self.origin.waiter(&out)]),
            Said::Reject => self.shared.hold_back(self.origin.waiter(&out), self.received),
            Said::Later(work) => return Ok(Some(work)),
        }
        Ok(None)
    }

    fn question(&self) -> Question<'_> {
        Question { nas: &self.nas, next_secret: self.next_secret, source: self.origin.source() }
    }

    /// The request again, from its own octets.
    fn verified(&self) -> Result<Verified<'_>, Discard> {
        let packet = Packet::decode(&self.datagram).map_err(|_| Discard::Malformed)?;
        Ok(packet.verify(secret(&self.nas, self.next_secret))?)
    }

    fn silence(&self, reason: Discard) {
        self.counters.discard(reason);
        self.shared.outlets.forget(self.origin.head.code, &[self.origin.waiter(&[])]);
    }
}

/// What is known after another round.
fn merged(before: Resolved, more: Resolved) -> Resolved {
    if before.guessed != more.guessed {
        // Another serves now.
        return more;
    }
    Resolved {
        looked_up: before.looked_up || more.looked_up,
        unanswered: before.unanswered || more.unanswered,
        password: more.password.or(before.password),
        guessed: more.guessed,
    }
}

/// The secret of the entry that a request was verified with.
fn secret(nas: &Nas, next: bool) -> &Secret {
    if next { nas.secret_next.as_ref().unwrap_or(&nas.secret) } else { &nas.secret }
}

/// Tries both secrets of the entry, `next` telling which one first. True beside the packet if it was
/// the next one.
fn verify<'a>(packet: Packet<'a>, nas: &Nas, next: bool) -> Result<(Verified<'a>, bool), Unauthentic> {
    if nas.secret_next.is_none() {
        return Ok((packet.verify(&nas.secret)?, false));
    }
    match packet.clone().verify(secret(nas, next)) {
        Ok(verified) => Ok((verified, next)),
        Err(_) => Ok((packet.verify(secret(nas, !next))?, !next)),
    }
}

/// A reply over 4096 octets is not sent: what it would say cut short might be more than was decided.
fn too_long(nas: &Nas, oversize: Oversize) -> Discard {
    tracing::debug!(nas = %nas.name, %oversize, "reply not sent");
    Discard::Oversize
}

/// The replies to one batch of requests, in buffers that are used again.
#[derive(Default)]
struct Outbox {
    slots: Vec<Letter>,
    used: usize,
    spare: Vec<u8>,
}

struct Letter {
    peer: SocketAddr,
    local: Option<IpAddr>,
    octets: Vec<u8>,
    /// `None` for a reply that is sent again.
    asked: Option<Asked>,
}

impl Outbox {
    /// An empty buffer for the next reply.
    fn next(&mut self) -> &mut Vec<u8> {
        self.spare.clear();
        &mut self.spare
    }

    /// The buffer is a reply to `origin`.
    fn put(&mut self, origin: &Origin, asked: Option<Asked>) {
        match self.slots.get_mut(self.used) {
            Some(letter) => {
                std::mem::swap(&mut letter.octets, &mut self.spare);
                (letter.peer, letter.local, letter.asked) = (origin.peer, origin.local, asked);
            }
            None => {
                let octets = std::mem::take(&mut self.spare);
                self.slots.push(Letter { peer: origin.peer, local: origin.local, octets, asked });
            }
        }
        self.used += 1;
    }

    /// Sends the replies to requests that were received at `received`.
    fn send(&mut self, outlets: &Outlets, listener: &Listener, sender: &mut Sender, received: Now) {
        let letters = self.slots.get(..self.used).unwrap_or_default();
        if letters.is_empty() {
            return;
        }
        let datagrams: smallvec::SmallVec<[_; BATCH]> = letters
            .iter()
            .map(|letter| Outbound { peer: letter.peer, local: letter.local, octets: &letter.octets })
            .collect();
        let failed = sender.send(&listener.socket, &datagrams);
        outlets.metrics.send_errors.increment(u64::try_from(failed).unwrap_or(u64::MAX));
        let took = outlets.clock.now().instant.saturating_duration_since(received.instant);
        for asked in [Asked::Access, Asked::Accounting, Asked::Status] {
            match letters.iter().filter(|letter| letter.asked == Some(asked)).count() {
                0 => {}
                count => outlets.metrics.response(asked, took, count),
            }
        }
        self.used = 0;
    }
}
