//! Replies that do not leave at once: after a commit, after a delay, or after something was fetched.
//!
//! [`Outlets`] has every listening socket; whoever has a finished reply hands it over, and it is
//! sent, and kept for retransmissions, on the socket that received the request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::admission::{ACCESS_REQUEST, ACCOUNTING_REQUEST, Asked, Port};
use super::duplicates::{self, Duplicates, Key};
use super::flow::Place;
use super::metrics::{Answered, Metrics, NasCounters};
use super::udp::{Outbound, Sender, Socket};
use crate::service::{Deliver, Waiter};
use crate::time::Clock;

/// One listening socket and what has been said over it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) port: Port,
    pub(super) socket: Socket,
    pub(super) address: SocketAddr,
    pub(super) duplicates: Mutex<Duplicates<Pending>>,
}

impl Listener {
    pub(super) fn new(
        port: Port,
        socket: Socket,
        address: SocketAddr,
        settings: duplicates::Settings,
    ) -> Self {
        Self { port, socket, address, duplicates: Mutex::new(Duplicates::new(settings)) }
    }
}

/// What is kept of a request until it is answered.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) received: Instant,
    pub(super) counters: Arc<NasCounters>,
    /// Of a record, among those of its source that are in flight.
    #[expect(dead_code, reason = "it is held until the request is answered or forgotten")]
    pub(super) place: Option<Place>,
}

/// Every listening socket, for replies that do not leave from the receiving thread.
pub(super) struct Outlets {
    pub(super) listeners: Vec<Listener>,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    rejects: Mutex<Delayed>,
    rejects_changed: Condvar,
    rejects_max: usize,
    draining: AtomicBool,
    finished: Notify,
}

impl Outlets {
    pub(super) fn new(listeners: Vec<Listener>, rejects_max: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            listeners,
            metrics: Metrics::new(),
            clock,
            rejects: Mutex::default(),
            rejects_changed: Condvar::new(),
            rejects_max,
            draining: AtomicBool::new(false),
            finished: Notify::new(),
        }
    }

    pub(super) fn listener(&self, number: u32) -> Option<&Listener> {
        self.listeners.get(usize::try_from(number).ok()?)
    }

    /// Keeps finished replies to requests of `code`, and sends them, in order per socket. In this
    /// sequence a duplicate that arrives meanwhile gets the reply twice, not never.
    pub(super) fn send(&self, code: u8, waiters: &mut [Waiter]) {
        waiters.sort_by_key(|waiter| waiter.listener);
        for group in waiters.chunk_by(|one, other| one.listener == other.listener) {
            let Some(listener) = group.first().and_then(|waiter| self.listener(waiter.listener)) else {
                continue;
            };
            let answered = self.keep(listener, code, group);
            let datagrams: Vec<_> = group
                .iter()
                .map(|waiter| Outbound { peer: waiter.peer, local: waiter.local, octets: &waiter.reply })
                .collect();
            let failed = Sender::new(&listener.socket).send(&listener.socket, &datagrams);
            self.metrics.send_errors.increment(u64::try_from(failed).unwrap_or(u64::MAX));
            let asked = if code == ACCOUNTING_REQUEST { Asked::Accounting } else { Asked::Access };
            let now = self.clock.now();
            for pending in answered {
                let took = now.instant.saturating_duration_since(pending.received);
                self.metrics.response(asked, took, 1);
            }
        }
        self.settled();
    }

    /// Gives back what was kept of the requests. Another request may have taken the place of one
    /// meanwhile; then nobody will ask for the old reply again.
    fn keep(&self, listener: &Listener, code: u8, waiters: &[Waiter]) -> Vec<Pending> {
        let now = self.clock.now();
        let mut duplicates = listener.duplicates.lock();
        let mut keep = |waiter: &Waiter| {
            let key = key(code, waiter);
            let pending = duplicates.answered(&key, &waiter.authenticator, &waiter.reply, now)?;
            if let Some(answered) = Answered::of(&waiter.reply) {
                pending.counters.reply(answered);
            }
            Some(pending)
        };
        waiters.iter().filter_map(&mut keep).collect()
    }

    /// Ends requests of `code` in silence, so that a retransmission is served anew.
    pub(super) fn forget(&self, code: u8, waiters: &[Waiter]) {
        for waiter in waiters {
            if let Some(listener) = self.listener(waiter.listener) {
                listener.duplicates.lock().forget(&key(code, waiter), &waiter.authenticator);
            }
        }
        self.settled();
    }

    /// Holds an Access-Reject back until `due`. When too many are held back, the one that has the
    /// least time left is sent now: memory stays bounded, nobody who mistyped a password is left
    /// without an answer (a NAS would take that for a dead server), and a flood of guesses gets
    /// each answer later than it would without the queue. Sending the new one at once would give a
    /// guesser who fills the queue answers without delay.
    pub(super) fn hold_back(&self, reject: Waiter, due: Instant) {
        let hurried = {
            let mut rejects = self.rejects.lock();
            let due = if self.draining.load(Ordering::Acquire) { self.clock.now().instant } else { due };
            let hurried = rejects.push(reject, due, self.rejects_max);
            self.rejects_changed.notify_one();
            hurried
        };
        if let Some(hurried) = hurried {
            self.metrics.hurried_rejects.increment(1);
            self.send(ACCESS_REQUEST, &mut [hurried]);
        }
    }

    /// Sends held-back Access-Rejects when their time has come, and calls `measure` now and then,
    /// until [`Outlets::close`].
    pub(super) fn send_rejects(&self, mut measure: impl FnMut()) {
        let mut measure_next = self.clock.now().instant;
        loop {
            let mut rejects = self.rejects.lock();
            let now = self.clock.now().instant;
            let mut due = rejects.take_due(now);
            self.metrics.held_back.set(number(rejects.len()));
            if due.is_empty() {
                if rejects.closed {
                    return;
                }
                if now >= measure_next {
                    measure_next = now + MEASURE_EVERY;
                    drop(rejects);
                    measure();
                    continue;
                }
                let until = rejects.next().map_or(measure_next, |next| next.min(measure_next));
                // A time, not an instant: the clock may have been set apart from the system's.
                self.rejects_changed.wait_for(&mut rejects, until.saturating_duration_since(now));
                continue;
            }
            drop(rejects);
            self.send(ACCESS_REQUEST, &mut due);
        }
    }

    /// From now on nothing is held back.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.rejects.lock().all_due(self.clock.now().instant);
        self.rejects_changed.notify_one();
    }

    /// Lets [`Outlets::send_rejects`] return once it has sent what is due.
    pub(super) fn close(&self) {
        self.rejects.lock().closed = true;
        self.rejects_changed.notify_one();
    }

    /// Reads off what is counted per kind of port; `waiting` is how many requests wait on the runtime.
    pub(super) fn measure(&self, port: Port, waiting: usize) {
        let (mut in_flight, mut entries, mut octets, mut drops) = (0, 0, 0, None);
        for listener in self.listeners.iter().filter(|listener| listener.port == port) {
            let duplicates = listener.duplicates.lock();
            in_flight += duplicates.in_flight();
            entries += duplicates.len();
            octets += duplicates.octets();
            drop(duplicates);
            if let Some(dropped) = listener.socket.kernel_drops() {
                *drops.get_or_insert(0) += dropped;
            }
        }
        let metrics = self.metrics.port(port);
        metrics.in_flight.set(number(in_flight));
        metrics.waiting.set(number(waiting));
        metrics.cache_entries.set(number(entries));
        metrics.cache_bytes.set(number(octets));
        if let Some(drops) = drops {
            metrics.kernel_drops.absolute(drops);
        }
    }

    /// Requests that are not answered yet.
    pub(super) fn in_flight(&self, port: Port) -> usize {
        let here = self.listeners.iter().filter(|listener| listener.port == port);
        here.map(|listener| listener.duplicates.lock().in_flight()).sum()
    }

    /// Waits until nothing is in flight, at most `within`. True if that came to pass.
    pub(super) async fn idle(&self, within: Duration) -> bool {
        let wait = async {
            while self.in_flight(Port::Auth) + self.in_flight(Port::Accounting) > 0 {
                self.finished.notified().await;
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }

    /// Something is no longer in flight.
    pub(super) fn settled(&self) {
        if self.draining.load(Ordering::Acquire) {
            self.finished.notify_one();
        }
    }
}

/// How often gauges are read off.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

impl Deliver for Outlets {
    fn committed(&self, waiters: &mut Vec<Waiter>) {
        self.send(ACCOUNTING_REQUEST, waiters);
        waiters.clear();
    }

    fn abandoned(&self, waiters: &mut Vec<Waiter>) {
        self.forget(ACCOUNTING_REQUEST, waiters);
        waiters.clear();
    }
}

/// A count as a gauge shows it.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn key(code: u8, waiter: &Waiter) -> Key {
    Key::new(waiter.peer, waiter.local, code, waiter.identifier)
}

/// Access-Rejects that are held back, by the time they leave.
#[derive(Debug, Default)]
struct Delayed {
    waiting: BinaryHeap<Reverse<DelayedReject>>,
    pushed: u64,
    closed: bool,
}

#[derive(Debug)]
struct DelayedReject {
    due: Instant,
    /// Breaks ties: first come, first served.
    number: u64,
    reject: Waiter,
}

impl Delayed {
    /// Adds a reject; gives back the one that has to leave now if there are more than `max`.
    fn push(&mut self, reject: Waiter, due: Instant, max: usize) -> Option<Waiter> {
        self.pushed += 1;
        self.waiting.push(Reverse(DelayedReject { due, number: self.pushed, reject }));
        if self.waiting.len() > max { self.waiting.pop().map(|Reverse(first)| first.reject) } else { None }
    }

    fn take_due(&mut self, now: Instant) -> Vec<Waiter> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.peek_mut()
            && first.0.due <= now
        {
            due.push(std::collections::binary_heap::PeekMut::pop(first).0.reject);
        }
        due
    }

    fn all_due(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = waiting
            .into_iter()
            .map(|Reverse(reject)| Reverse(DelayedReject { due: reject.due.min(now), ..reject }))
            .collect();
    }

    fn next(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(first)| first.due)
    }

    fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl PartialEq for DelayedReject {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DelayedReject {}

impl PartialOrd for DelayedReject {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DelayedReject {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}
