//! One thread of load: sends what is due, checks what comes back, sends again what was not answered.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::traffic::{Journey, Plan};
use crate::cli::histogram::Histogram;
use crate::radius::{Code, verify_response};
use crate::time::{Clock as _, SystemClock};

/// What one worker does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) auth: SocketAddr,
    pub(super) accounting: SocketAddr,
    /// Requests outstanding at a time.
    pub(super) inflight: usize,
    /// Journeys per second that begin; `None` as fast as replies come.
    pub(super) rate: Option<f64>,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    /// No journey begins after this.
    pub(super) until: Instant,
    /// Journeys in all, all workers together.
    pub(super) count: u64,
}

/// What is told while it runs.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) begun: AtomicU64,
    pub(super) answered: AtomicU64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) accepts: u64,
    pub(super) rejects: u64,
    pub(super) challenges: u64,
    pub(super) responses: u64,
    /// Replies that failed a check.
    pub(super) bad: u64,
    /// Replies to nothing that is outstanding: answered before, or given up.
    pub(super) late: u64,
    pub(super) retransmits: u64,
    /// Requests never answered.
    pub(super) lost: u64,
    pub(super) logins: Histogram,
    pub(super) records: Histogram,
}

impl Tally {
    pub(super) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.accepts += other.accepts;
        self.rejects += other.rejects;
        self.challenges += other.challenges;
        self.responses += other.responses;
        self.bad += other.bad;
        self.late += other.late;
        self.retransmits += other.retransmits;
        self.lost += other.lost;
        self.logins.merge(&other.logins);
        self.records.merge(&other.records);
    }

    pub(super) const fn answered(&self) -> u64 {
        self.accepts + self.rejects + self.challenges + self.responses
    }
}

/// A socket and what waits for a reply on it, by Identifier.
#[derive(Debug)]
struct Lane {
    socket: UdpSocket,
    login: bool,
    waiting: Vec<Option<Waiting>>,
    free: usize,
    next: u8,
}

#[derive(Debug)]
struct Waiting {
    journey: Journey,
    request: Vec<u8>,
    /// From when its latency counts.
    since: Instant,
    tries: u32,
    /// Tells it from another that has the same Identifier later.
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    at: Instant,
    lane: usize,
    identifier: u8,
    serial: u64,
}

/// Few requests share a socket, so that a server that spreads them by port gets something to spread.
const LANE_TARGET: usize = 32;
const LANES_MIN: usize = 4;

pub(super) struct Worker<'a> {
    plan: &'a Plan,
    task: Task,
    progress: &'a Progress,
    lanes: Vec<Lane>,
    timers: VecDeque<Timer>,
    /// Journeys that go on.
    ready: VecDeque<(Journey, Instant)>,
    outstanding: usize,
    serial: u64,
    begun: u64,
    started: Instant,
    tally: Tally,
}

impl<'a> Worker<'a> {
    pub(super) fn new(plan: &'a Plan, task: Task, progress: &'a Progress) -> io::Result<Self> {
        let mut lanes = Vec::new();
        for (login, target) in [(true, task.auth), (false, task.accounting)] {
            for _ in 0..task.inflight.div_ceil(LANE_TARGET).max(LANES_MIN) {
                lanes.push(Lane::new(login, target)?);
            }
        }
        Ok(Self {
            plan,
            task,
            progress,
            lanes,
            timers: VecDeque::new(),
            ready: VecDeque::new(),
            outstanding: 0,
            serial: 0,
            begun: 0,
            started: SystemClock.now().instant,
            tally: Tally::default(),
        })
    }

    /// Runs until nothing may begin any more and nothing is outstanding.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        loop {
            let now = SystemClock.now().instant;
            let next = self.send_due(now);
            if self.outstanding == 0 && self.ready.is_empty() && next.is_none() {
                return Ok(self.tally);
            }
            self.wait(now, next)?;
            let now = SystemClock.now().instant;
            for lane in 0..self.lanes.len() {
                self.receive(lane, now);
            }
            self.retransmit(now);
        }
    }

    /// Sends what may be sent now; gives the time at which more will be due, if ever.
    fn send_due(&mut self, now: Instant) -> Option<Instant> {
        while self.outstanding < self.task.inflight {
            let (journey, since) = match self.ready.pop_front() {
                Some(ready) => ready,
                None => {
                    let due = self.next_due();
                    if now >= self.task.until {
                        return None;
                    }
                    if due > now {
                        return Some(due);
                    }
                    if self.progress.begun.fetch_add(1, Ordering::Relaxed) >= self.task.count {
                        self.task.until = now;
                        return None;
                    }
                    self.begun += 1;
                    (self.plan.embark(), if self.task.rate.is_some() { due } else { now })
                }
            };
            if let Err(journey) = self.send(journey, since, now) {
                self.ready.push_front((journey, since));
                return Some(now + Duration::from_millis(1));
            }
        }
        (now < self.task.until).then_some(now + self.task.timeout)
    }

    fn next_due(&self) -> Instant {
        let Some(rate) = self.task.rate else { return self.started };
        let begun = f64::from(u32::try_from(self.begun).unwrap_or(u32::MAX));
        Duration::try_from_secs_f64(begun / rate).map_or(self.task.until, |after| self.started + after)
    }

    /// Sends the request of the journey's step, or gives it back where no Identifier is free.
    fn send(&mut self, journey: Journey, since: Instant, now: Instant) -> Result<(), Journey> {
        let login = self.plan.step(&journey).is_login();
        let lane = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| lane.login == login)
            .max_by_key(|(_, lane)| lane.free)
            .filter(|(_, lane)| lane.free > 0);
        let Some((index, _)) = lane else { return Err(journey) };
        let Some(lane) = self.lanes.get_mut(index) else { return Err(journey) };
        let Some(identifier) = lane.take_identifier() else { return Err(journey) };
        let request = self.plan.request(&journey, identifier);
        // A datagram that the system does not take is one that was lost: it is sent again.
        let _lost = lane.socket.send(&request);
        self.serial += 1;
        let waiting = Waiting { journey, request, since, tries: 0, serial: self.serial };
        if let Some(place) = lane.waiting.get_mut(usize::from(identifier)) {
            *place = Some(waiting);
        }
        self.timers.push_back(Timer {
            at: now + self.task.timeout,
            lane: index,
            identifier,
            serial: self.serial,
        });
        self.outstanding += 1;
        self.tally.sent += 1;
        Ok(())
    }

    /// Sleeps until a reply can be read, a timer is due or more may be sent.
    fn wait(&self, now: Instant, next: Option<Instant>) -> io::Result<()> {
        let timer = self.timers.front().map(|timer| timer.at);
        let until = [timer, next].into_iter().flatten().min().unwrap_or(now + self.task.timeout);
        let wait = until.saturating_duration_since(now).min(Duration::from_millis(500));
        // Whole milliseconds, rounded down, so that a due time is approached by looking, not slept past.
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        let mut fds: Vec<_> =
            self.lanes.iter().map(|lane| PollFd::new(lane.socket.as_fd(), PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self, index: usize, now: Instant) {
        let mut buffer = [0; 4096];
        loop {
            let Some(lane) = self.lanes.get_mut(index) else { return };
            let length = match lane.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            let Some(reply) = buffer.get(..length) else { return };
            let identifier = reply.get(1).copied().unwrap_or_default();
            let Some(place) = lane.waiting.get_mut(usize::from(identifier)) else { return };
            let Some(waiting) = place.as_ref() else {
                self.tally.late += 1;
                continue;
            };
            let Ok(header) = verify_response(&waiting.request, reply, &self.plan.secret) else {
                self.tally.bad += 1;
                continue;
            };
            let Some(waiting) = place.take() else { return };
            lane.free += 1;
            self.outstanding -= 1;
            self.count(
                header.code,
                now.saturating_duration_since(waiting.since),
                lane_login(&self.lanes, index),
            );
            if let Some(journey) = self.plan.proceed(waiting.journey, header.code, reply) {
                self.ready.push_back((journey, now));
            }
        }
    }

    fn count(&mut self, code: Code, took: Duration, login: bool) {
        match code {
            Code::AccessAccept => self.tally.accepts += 1,
            Code::AccessReject => self.tally.rejects += 1,
            Code::AccessChallenge => self.tally.challenges += 1,
            _ => self.tally.responses += 1,
        }
        let histogram = if login { &mut self.tally.logins } else { &mut self.tally.records };
        histogram.record(took);
        self.progress.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn retransmit(&mut self, now: Instant) {
        while let Some(timer) = self.timers.front().copied().filter(|timer| timer.at <= now) {
            self.timers.pop_front();
            let Some(lane) = self.lanes.get_mut(timer.lane) else { continue };
            let Some(place) = lane.waiting.get_mut(usize::from(timer.identifier)) else { continue };
            let Some(waiting) = place.as_mut().filter(|waiting| waiting.serial == timer.serial) else {
                continue;
            };
            if waiting.tries >= self.task.retries {
                *place = None;
                lane.free += 1;
                self.outstanding -= 1;
                self.tally.lost += 1;
                continue;
            }
            waiting.tries += 1;
            let _lost = lane.socket.send(&waiting.request);
            self.tally.retransmits += 1;
            self.timers.push_back(Timer { at: now + self.task.timeout, ..timer });
        }
    }
}

fn lane_login(lanes: &[Lane], index: usize) -> bool {
    lanes.get(index).is_some_and(|lane| lane.login)
}

impl Lane {
    fn new(login: bool, target: SocketAddr) -> io::Result<Self> {
        let local: SocketAddr = if target.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
        let socket = UdpSocket::bind(local)?;
        socket.connect(target)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, login, waiting: (0..=u8::MAX).map(|_| None).collect(), free: 256, next: 0 })
    }

    /// The free Identifier that was used longest ago.
    fn take_identifier(&mut self) -> Option<u8> {
        for _ in 0..=u8::MAX {
            let identifier = self.next;
            self.next = self.next.wrapping_add(1);
            if self.waiting.get(usize::from(identifier)).is_some_and(Option::is_none) {
                self.free -= 1;
                return Some(identifier);
            }
        }
        None
    }
}
