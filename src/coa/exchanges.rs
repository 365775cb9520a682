//! The exchanges that are under way: one Disconnect- or CoA-Request each, with its retransmissions.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::identifiers::{Identifiers, Wire};
use super::request::Request;
use crate::domain::dynamic_auth::{NotSent, Outcome};
use crate::entropy::Entropy;
use crate::radius::{Code, Packet, attribute, verify_response};
use crate::time::Now;

/// How patient we are with a NAS, and how much is under way at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Wait before the first retransmission: IRT of RFC 5080 §2.2.1.
    pub first_wait: Duration,
    /// The wait doubles up to this: MRT.
    pub wait_max: Duration,
    /// Transmissions of one request, the first included: MRC.
    pub transmissions_max: u32,
    /// From the first transmission to giving up: MRD.
    pub duration_max: Duration,
    /// Source ports. Each has 256 Identifiers per NAS.
    pub slots: u8,
    /// Requests to one NAS that wait for its answer; the rest queue. A NAS answers them one after the
    /// other and its receive buffer holds some hundred.
    pub outstanding_per_nas: usize,
    /// Requests to one NAS that queue. At the pace below this many are sent within the queue limit.
    pub queued_per_nas: usize,
    /// Requests to all NASes, outstanding and queued. About 400 octets each.
    pub exchanges_max: usize,
    /// Longest time in the queue; an order that old is no longer what anybody wants.
    pub queue_limit: Duration,
    /// Time between two new requests to one NAS, once a burst is spent.
    pub pace: Duration,
    /// New requests to one NAS that may leave at once.
    pub burst: u32,
    /// An Identifier rests for this long after its exchange, so that a late reply meets nobody.
    pub identifier_rest: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(2),
            wait_max: Duration::from_secs(16),
            transmissions_max: 5,
            duration_max: Duration::from_secs(30),
            slots: 4,
            outstanding_per_nas: 256,
            queued_per_nas: 16_384,
            exchanges_max: 131_072,
            queue_limit: Duration::from_secs(60),
            pace: Duration::from_millis(2),
            burst: 64,
            identifier_rest: Duration::from_secs(5),
        }
    }
}

/// Names an exchange from its beginning to its outcome; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(u64);

/// The request is not taken: too much is under way or queued already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many exchanges of dynamic authorization are under way")]
pub struct Full;

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Which exchange it belongs to.
    pub exchange: ExchangeId,
    /// 1 for the first transmission, then 2 … of the same octets.
    pub transmission: u32,
    /// Where to.
    pub destination: SocketAddr,
    /// Which source port, from 0. A retransmission leaves from the same.
    pub slot: u8,
    /// The whole packet.
    pub payload: Arc<[u8]>,
}

/// Why a datagram was discarded. The exchange goes on as if it had not come (RFC 5176 §2.3, §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// It is no RADIUS packet.
    Malformed,
    /// No exchange with that address and port, source port and Identifier is outstanding.
    NoExchange,
    /// The code does not answer the request.
    WrongCode,
    /// The Response Authenticator or the Message-Authenticator is wrong.
    Unauthentic,
}

/// Outstanding and queued exchanges with all NASes. Pure: time and randomness come in with the calls, what
/// is to be done is asked for with `poll_…` until it answers `None`.
#[derive(Debug)]
pub struct Exchanges {
    settings: Settings,
    next: u64,
    exchanges: HashMap<ExchangeId, Exchange>,
    outstanding: HashMap<(SocketAddr, Wire), ExchangeId>,
    targets: HashMap<SocketAddr, Target>,
    timers: BTreeSet<(Instant, Timer)>,
    to_send: VecDeque<ExchangeId>,
    outcomes: VecDeque<(ExchangeId, Outcome)>,
}

#[derive(Debug)]
struct Exchange {
    target: SocketAddr,
    request: Request,
    /// Decides the jitter of every wait.
    jitter: u64,
    deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Queued,
    Outstanding(Outstanding),
}

#[derive(Debug)]
struct Outstanding {
    wire: Wire,
    payload: Arc<[u8]>,
    transmissions: u32,
    wait: Duration,
    give_up: Instant,
    /// In `to_send`.
    due: bool,
}

/// One NAS as an address and port to send to.
#[derive(Debug)]
struct Target {
    identifiers: Identifiers,
    queue: VecDeque<ExchangeId>,
    outstanding: usize,
    /// When the burst will be whole again if nothing more is sent.
    paced_until: Instant,
    wake: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Exchange(ExchangeId),
    Target(SocketAddr),
}

impl Exchanges {
    /// No exchanges yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            next: 0,
            exchanges: HashMap::new(),
            outstanding: HashMap::new(),
            targets: HashMap::new(),
            timers: BTreeSet::new(),
            to_send: VecDeque::new(),
            outcomes: VecDeque::new(),
        }
    }

    /// Begins an exchange with the NAS at `target`, at once or when its turn comes.
    ///
    /// # Errors
    /// [`Full`] if a bound of the settings is reached; nothing has changed then.
    pub fn begin(
        &mut self,
        request: Request,
        target: SocketAddr,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<ExchangeId, Full> {
        let queued = self.targets.get(&target).map_or(0, |target| target.queue.len());
        if self.exchanges.len() >= self.settings.exchanges_max || queued >= self.settings.queued_per_nas {
            return Err(Full);
        }
        let id = ExchangeId(self.next);
        self.next += 1;
        let deadline = now.instant + self.settings.queue_limit;
        let jitter = entropy.number();
        let exchange = Exchange { target, request, jitter, deadline, state: State::Queued };
        self.exchanges.insert(id, exchange);
        self.timers.insert((deadline, Timer::Exchange(id)));
        let slots = self.settings.slots;
        self.targets
            .entry(target)
            .or_insert_with(|| Target {
                identifiers: Identifiers::new(slots, entropy.number()),
                queue: VecDeque::new(),
                outstanding: 0,
                paced_until: now.instant,
                wake: None,
            })
            .queue
            .push_back(id);
        self.advance(target, now);
        Ok(id)
    }

    /// Takes a datagram that came from `from` to the source port of `slot`.
    ///
    /// # Errors
    /// Why it was discarded, for the counters.
    pub fn handle_datagram(
        &mut self,
        slot: u8,
        from: SocketAddr,
        datagram: &[u8],
        now: Now,
    ) -> Result<(), Discard> {
        let packet = Packet::decode(datagram).map_err(|_| Discard::Malformed)?;
        let header = packet.header();
        let wire = Wire { slot, identifier: header.identifier };
        let id = *self.outstanding.get(&(from, wire)).ok_or(Discard::NoExchange)?;
        let exchange = self.exchanges.get(&id).ok_or(Discard::NoExchange)?;
        let State::Outstanding(outstanding) = &exchange.state else { return Err(Discard::NoExchange) };
        let request = &exchange.request;
        if !header.code.answers(request.kind.code()) {
            return Err(Discard::WrongCode);
        }
        verify_response(&outstanding.payload, datagram, &request.secret).map_err(|_| Discard::Unauthentic)?;
        let acknowledged = matches!(header.code, Code::DisconnectAck | Code::CoaAck);
        let outcome =
            if acknowledged { Outcome::Ack } else { Outcome::Nak { error_cause: error_cause(&packet) } };
        self.finish(id, outcome, now);
        Ok(())
    }

    /// Does what is due: retransmits, gives up, lets queued requests go.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((deadline, timer)) = self.timers.first().copied()
            && deadline <= now.instant
        {
            self.timers.pop_first();
            match timer {
                Timer::Exchange(id) => self.expire(id, now),
                Timer::Target(address) => {
                    if let Some(target) = self.targets.get_mut(&address) {
                        target.wake = None;
                    }
                    self.advance(address, now);
                }
            }
        }
        debug_assert!(self.poll_timeout().is_none_or(|next| next > now.instant), "the shell would spin");
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(id) = self.to_send.pop_front() {
            // An exchange may have ended since it fell due.
            if let Some(exchange) = self.exchanges.get_mut(&id)
                && let State::Outstanding(outstanding) = &mut exchange.state
            {
                outstanding.due = false;
                return Some(Transmit {
                    exchange: id,
                    transmission: outstanding.transmissions,
                    destination: exchange.target,
                    slot: outstanding.wire.slot,
                    payload: Arc::clone(&outstanding.payload),
                });
            }
        }
        None
    }

    /// The next exchange that has ended, and how. Each ends exactly once.
    pub fn poll_outcome(&mut self) -> Option<(ExchangeId, Outcome)> {
        self.outcomes.pop_front()
    }

    /// When [`Exchanges::handle_timeout`] has to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// Requests that wait for an answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Requests that have not yet been sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.exchanges.len() - self.outstanding.len()
    }

    /// Nothing is under way, and nothing is remembered of what was.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let maps = self.exchanges.is_empty() && self.outstanding.is_empty() && self.targets.is_empty();
        maps && self.timers.is_empty() && self.to_send.is_empty() && self.outcomes.is_empty()
    }

    fn expire(&mut self, id: ExchangeId, now: Now) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let outcome = match &mut exchange.state {
            State::Queued => Outcome::NotSent(NotSent::Full),
            State::Outstanding(outstanding) => {
                let spent = outstanding.transmissions >= self.settings.transmissions_max;
                if !spent && now.instant < outstanding.give_up {
                    outstanding.transmissions += 1;
                    outstanding.wait = self.settings.next_wait(outstanding, exchange.jitter);
                    exchange.deadline = (now.instant + outstanding.wait).min(outstanding.give_up);
                    if !std::mem::replace(&mut outstanding.due, true) {
                        self.to_send.push_back(id);
                    }
                    self.timers.insert((exchange.deadline, Timer::Exchange(id)));
                    return;
                }
                Outcome::TimedOut
            }
        };
        self.finish(id, outcome, now);
    }

    fn finish(&mut self, id: ExchangeId, outcome: Outcome, now: Now) {
        let Some(exchange) = self.exchanges.remove(&id) else { return };
        self.timers.remove(&(exchange.deadline, Timer::Exchange(id)));
        if let Some(target) = self.targets.get_mut(&exchange.target) {
            match exchange.state {
                // The oldest expire first, so this looks at one element.
                State::Queued => {
                    if let Some(place) = target.queue.iter().position(|queued| *queued == id) {
                        target.queue.remove(place);
                    }
                }
                State::Outstanding(outstanding) => {
                    self.outstanding.remove(&(exchange.target, outstanding.wire));
                    target.outstanding -= 1;
                    target.identifiers.rest(outstanding.wire, now.instant + self.settings.identifier_rest);
                }
            }
        }
        self.outcomes.push_back((id, outcome));
        self.advance(exchange.target, now);
    }

    /// Sends what the target's bounds let go, and arms its timer for when they let go more; forgets a
    /// target with which nothing is under way.
    fn advance(&mut self, address: SocketAddr, now: Now) {
        let settings = &self.settings;
        let Some(target) = self.targets.get_mut(&address) else { return };
        target.identifiers.wake(now.instant);
        let mut blocked_until = None;
        while let Some(id) = target.queue.front().copied() {
            if target.outstanding >= settings.outstanding_per_nas {
                break;
            }
            blocked_until = target.paced_out(settings, now.instant);
            if blocked_until.is_some() {
                break;
            }
            let Some(wire) = target.identifiers.take() else {
                blocked_until = target.identifiers.next_rested();
                break;
            };
            target.queue.pop_front();
            let Some(exchange) = self.exchanges.get_mut(&id) else { continue };
            self.timers.remove(&(exchange.deadline, Timer::Exchange(id)));
            exchange.send_first(wire, settings, now);
            self.timers.insert((exchange.deadline, Timer::Exchange(id)));
            self.outstanding.insert((address, wire), id);
            self.to_send.push_back(id);
            target.outstanding += 1;
            target.paced_until = target.paced_until.max(now.instant) + settings.pace;
        }
        if target.queue.is_empty() && target.outstanding == 0 {
            blocked_until = target.forgettable_at(now.instant);
            if blocked_until.is_none() {
                if let Some(wake) = target.wake {
                    self.timers.remove(&(wake, Timer::Target(address)));
                }
                self.targets.remove(&address);
                return;
            }
        }
        if target.wake != blocked_until {
            if let Some(wake) = target.wake {
                self.timers.remove(&(wake, Timer::Target(address)));
            }
            if let Some(wake) = blocked_until {
                self.timers.insert((wake, Timer::Target(address)));
            }
            target.wake = blocked_until;
        }
    }
}

impl Exchange {
    fn send_first(&mut self, wire: Wire, settings: &Settings, now: Now) {
        let payload = self.request.packet(wire.identifier, now.unix);
        let wait = jittered(settings.first_wait, self.jitter);
        let give_up = now.instant + settings.duration_max;
        self.deadline = (now.instant + wait).min(give_up);
        self.state =
            State::Outstanding(Outstanding { wire, payload, transmissions: 1, wait, give_up, due: true });
    }
}

impl Target {
    /// `None` if another request may leave now, else when.
    fn paced_out(&self, settings: &Settings, now: Instant) -> Option<Instant> {
        let credit = settings.pace * settings.burst.saturating_sub(1);
        self.paced_until.checked_sub(credit).filter(|free| *free > now)
    }

    /// `None` if nothing that matters is remembered, else when that will be so.
    fn forgettable_at(&self, now: Instant) -> Option<Instant> {
        let paced = (self.paced_until > now).then_some(self.paced_until);
        self.identifiers.last_rested().max(paced)
    }
}

impl Settings {
    /// RT = 2 RTprev + RAND RTprev, at most MRT + RAND MRT (RFC 5080 §2.2.1).
    fn next_wait(&self, outstanding: &Outstanding, jitter: u64) -> Duration {
        let jitter = jitter.rotate_right(JITTER_BITS * (outstanding.transmissions - 1));
        let doubled = outstanding.wait + jittered(outstanding.wait, jitter);
        if doubled > self.wait_max { jittered(self.wait_max, jitter) } else { doubled }
    }
}

/// The wait, up to a tenth shorter or longer as the low bits of `jitter` say.
fn jittered(wait: Duration, jitter: u64) -> Duration {
    let steps = u32::try_from(jitter & ((1 << JITTER_BITS) - 1)).expect("twelve bits fit");
    wait * 9 / 10 + wait / 5 * steps / ((1 << JITTER_BITS) - 1)
}

/// Error-Cause (RFC 5176 §3.5), where it has its four octets.
fn error_cause(packet: &Packet<'_>) -> Option<u32> {
    packet.first(attribute::ERROR_CAUSE)?.try_into().ok().map(u32::from_be_bytes)
}

/// Bits of randomness for one wait.
const JITTER_BITS: u32 = 12;
