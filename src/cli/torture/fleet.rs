//! The simulated NASes: subscribers who log in, stay and leave, one after the other on each port, and what
//! was acknowledged of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use radius::core::rfc2866;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::device::{Device, Report, classes};
use crate::cli::histogram::Histogram;
use crate::entropy::{Entropy as _, SeededEntropy};
use crate::radius::{Code, Header, Secret, verify_response};
use crate::time::{Clock as _, SystemClock};

/// Ports with a device on each, by subscriber: their sessions run beside each other.
const PORTS_EACH: u32 = 4;
/// Interim-Updates of a session, at most.
const INTERIMS: u64 = 4;
/// Sessions of a port of which something is sent once more after a restart.
const REPEATED: usize = 3;
/// One of so many records is sent once more after its acknowledgement, as if that had been lost.
const ANSWER_LOST: u64 = 8;
/// How long an answer is waited for at first, and at most.
const RESEND_MIN: Duration = Duration::from_millis(400);
const RESEND_MAX: Duration = Duration::from_secs(2);
/// Every so manieth transmission is a request of its own: a new Identifier, and Acct-Delay-Time.
const ANEW: u32 = 3;
/// A request that nobody has answered by then is a promise broken.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the ports are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Run,
    /// Say what was not acknowledged, and again some of what was; begin nothing.
    Recover,
    /// Leave: every session ends.
    Leave,
    /// Begin nothing more; what is on its way is waited for.
    Finish,
    /// Nobody answers any more: fall silent.
    Halt,
}

/// A record of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) status: u32,
    /// Seconds, octets in and out.
    pub(super) counters: [u32; 3],
    /// When: what is said again says so, or a late Start would begin another session.
    made: Instant,
}

impl Record {
    pub(super) const fn is_stop(&self) -> bool {
        self.status == rfc2866::ACCT_STATUS_TYPE_STOP
    }
}

/// A session as its NAS knows it.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// Acct-Session-Id.
    pub(super) id: String,
    class: Vec<Vec<u8>>,
    /// The record that is on its way, if there is one.
    pub(super) pending: Option<Record>,
    /// The last that was acknowledged.
    pub(super) acknowledged: Option<Record>,
    /// The one before it.
    before: Option<Record>,
    /// Seconds between two records, octets from one to the next.
    steps: [u32; 3],
}

impl Life {
    fn is_over(&self) -> bool {
        self.pending.is_none() && self.acknowledged.is_some_and(|record| record.is_stop())
    }
}

/// What was sent, and how long the answers took.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) logins: Histogram,
    pub(super) records: Histogram,
    pub(super) sent_again: u64,
    pub(super) sent_anew: u64,
    pub(super) sessions: u64,
}

impl Tally {
    pub(super) fn merge(&mut self, other: &Self) {
        self.logins.merge(&other.logins);
        self.records.merge(&other.records);
        self.sent_again += other.sent_again;
        self.sent_anew += other.sent_anew;
        self.sessions += other.sessions;
    }
}

/// A port of a NAS.
pub(super) struct Port {
    device: Device,
    /// Its NAS sends Class back.
    echoes: bool,
    auth: UdpSocket,
    accounting: UdpSocket,
    identifier: u8,
    entropy: SeededEntropy,
    pub(super) lives: Vec<Life>,
    pace: Option<Duration>,
    tally: Tally,
}

/// Why a port stops in the middle.
enum Stopped {
    /// It was told to.
    Halted,
    /// A promise was broken.
    Broken(String),
}

/// All ports.
pub(super) struct Fleet {
    pub(super) ports: Vec<Port>,
    order: watch::Sender<Order>,
    running: JoinSet<(Port, Result<(), String>)>,
    acknowledged: Arc<AtomicU64>,
}

impl Fleet {
    /// Binds the sockets. Logins are `prefix` and a number; each has its login for a password.
    pub(super) async fn bind(
        prefix: &str,
        subscribers: u32,
        secret: &Arc<Secret>,
        seed: u64,
    ) -> std::io::Result<Self> {
        let mut ports = Vec::new();
        for port in 0..subscribers * PORTS_EACH {
            let login = format!("{prefix}{}", port % subscribers);
            let [.., a, b] = port.to_be_bytes();
            let device = Device {
                password: login.clone(),
                login,
                mac: format!("02-00-00-0D-{a:02X}-{b:02X}"),
                called: "02-00-00-00-00-FE:torture",
                nas: "torture",
                nas_address: Ipv4Addr::LOCALHOST.into(),
                port,
                secret: Arc::clone(secret),
            };
            ports.push(Port {
                device,
                echoes: port.is_multiple_of(2),
                auth: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?,
                accounting: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?,
                identifier: 0,
                entropy: SeededEntropy::new(seed ^ u64::from(port)),
                lives: Vec::new(),
                pace: None,
                tally: Tally::default(),
            });
        }
        let (order, _) = watch::channel(Order::Halt);
        Ok(Self { ports, order, running: JoinSet::new(), acknowledged: Arc::default() })
    }

    /// So many requests per second, all together; `None` is as fast as answers come.
    pub(super) fn pace(&mut self, rate: Option<f64>) {
        let ports = f64::from(u32::try_from(self.ports.len()).unwrap_or(u32::MAX));
        for port in &mut self.ports {
            port.pace = rate.and_then(|rate| Duration::try_from_secs_f64(ports / rate).ok());
        }
    }

    /// Sets every port going.
    pub(super) fn start(&mut self, to: [SocketAddr; 2], order: Order) {
        self.order.send_replace(order);
        for port in self.ports.drain(..) {
            let (orders, acknowledged) = (self.order.subscribe(), Arc::clone(&self.acknowledged));
            self.running.spawn(port.run(to, orders, acknowledged));
        }
    }

    /// Tells every port the same.
    pub(super) fn tell(&self, order: Order) {
        self.order.send_replace(order);
    }

    /// Answers so far.
    pub(super) fn answers(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until every port has stopped; gives what came of it since the last time.
    ///
    /// # Errors
    /// Which promise was broken.
    pub(super) async fn gather(&mut self) -> Result<Tally, String> {
        let (mut tally, mut outcome) = (Tally::default(), Ok(()));
        while let Some(joined) = self.running.join_next().await {
            let Ok((mut port, ended)) = joined else { return Err("a simulated NAS has failed".to_owned()) };
            tally.merge(&std::mem::take(&mut port.tally));
            outcome = outcome.and(ended);
            self.ports.push(port);
        }
        self.ports.sort_by_key(|port| port.device.port);
        outcome.map(|()| tally)
    }
}

impl Port {
    pub(super) fn login(&self) -> &str {
        &self.device.login
    }

    async fn run(
        mut self,
        to: [SocketAddr; 2],
        mut orders: watch::Receiver<Order>,
        acknowledged: Arc<AtomicU64>,
    ) -> (Self, Result<(), String>) {
        let outcome = loop {
            let order = *orders.borrow_and_update();
            let step = match order {
                Order::Run => self.step(to, &mut orders, &acknowledged).await,
                Order::Recover => match self.recover(to, &mut orders, &acknowledged).await {
                    Ok(()) => break Ok(()),
                    Err(stopped) => Err(stopped),
                },
                Order::Leave if self.lives.last().is_none_or(Life::is_over) => break Ok(()),
                Order::Leave => self.say(to, true, &mut orders, &acknowledged).await,
                Order::Finish | Order::Halt => break Ok(()),
            };
            match step {
                Ok(()) => {}
                Err(Stopped::Halted) => break Ok(()),
                Err(Stopped::Broken(promise)) => break Err(promise),
            }
        };
        (self, outcome)
    }

    /// Something of the present session, or a login.
    async fn step(
        &mut self,
        to: [SocketAddr; 2],
        orders: &mut watch::Receiver<Order>,
        acknowledged: &AtomicU64,
    ) -> Result<(), Stopped> {
        let began = SystemClock.now().instant;
        if self.lives.last().is_none_or(Life::is_over) {
            self.log_in(to, orders, acknowledged).await?;
        } else {
            self.say(to, false, orders, acknowledged).await?;
            if self.entropy.number().is_multiple_of(ANSWER_LOST) {
                self.repeat(to, self.lives.len() - 1, orders, acknowledged).await?;
            }
        }
        if let Some(pace) = self.pace {
            let took = SystemClock.now().instant.saturating_duration_since(began);
            tokio::select! {
                () = tokio::time::sleep(pace.saturating_sub(took)) => {}
                _ = orders.changed() => {}
            }
        }
        Ok(())
    }

    /// Logs in; the session begins with what is said next.
    async fn log_in(
        &mut self,
        to: [SocketAddr; 2],
        orders: &mut watch::Receiver<Order>,
        acknowledged: &AtomicU64,
    ) -> Result<(), Stopped> {
        let (header, reply) = self.ask(to[0], None, orders, acknowledged).await?;
        if header.code != Code::AccessAccept {
            return Err(Stopped::Broken(format!("{} was answered with {:?}", self.login(), header.code)));
        }
        let class = if self.echoes { classes(&reply, &self.device.secret) } else { Vec::new() };
        let id = format!("{}-{}-{:05}", self.device.login, self.device.port, self.lives.len());
        let mut some = |most: u64| u32::try_from(1 + self.entropy.number() % most).unwrap_or(1);
        let steps = [some(120), some(10_000), some(1_000_000)];
        let made = SystemClock.now().instant;
        let start = Record { status: rfc2866::ACCT_STATUS_TYPE_START, counters: [0; 3], made };
        self.lives.push(Life { id, class, pending: Some(start), acknowledged: None, before: None, steps });
        self.tally.sessions += 1;
        Ok(())
    }

    /// The record that is on its way, or else the next one, until it is acknowledged.
    async fn say(
        &mut self,
        to: [SocketAddr; 2],
        leaves: bool,
        orders: &mut watch::Receiver<Order>,
        acknowledged: &AtomicU64,
    ) -> Result<(), Stopped> {
        let ends = leaves || self.entropy.number().is_multiple_of(INTERIMS);
        let Some(life) = self.lives.last_mut() else { return Ok(()) };
        let (pending, last) = (life.pending, life.acknowledged);
        let record = pending.unwrap_or_else(|| {
            let mut counters = last.map_or([0; 3], |record| record.counters);
            for (counter, step) in counters.iter_mut().zip(life.steps) {
                *counter += step;
            }
            let status =
                if ends { rfc2866::ACCT_STATUS_TYPE_STOP } else { rfc2866::ACCT_STATUS_TYPE_INTERIM_UPDATE };
            Record { status, counters, made: SystemClock.now().instant }
        });
        life.pending = Some(record);
        let place = self.lives.len() - 1;
        self.ask(to[1], Some((place, record)), orders, acknowledged).await?;
        if let Some(life) = self.lives.last_mut() {
            life.pending = None;
            life.before = life.acknowledged.replace(record);
        }
        Ok(())
    }

    /// What was acknowledged once more, as if the answer had been lost, and what came before it, as if it had
    /// been late.
    async fn repeat(
        &mut self,
        to: [SocketAddr; 2],
        place: usize,
        orders: &mut watch::Receiver<Order>,
        acknowledged: &AtomicU64,
    ) -> Result<(), Stopped> {
        let said = self.lives.get(place).map(|life| [life.acknowledged, life.before]);
        for record in said.into_iter().flatten().flatten() {
            self.ask(to[1], Some((place, record)), orders, acknowledged).await?;
        }
        Ok(())
    }

    async fn recover(
        &mut self,
        to: [SocketAddr; 2],
        orders: &mut watch::Receiver<Order>,
        acknowledged: &AtomicU64,
    ) -> Result<(), Stopped> {
        for place in (0..self.lives.len()).rev().take(REPEATED) {
            self.repeat(to, place, orders, acknowledged).await?;
        }
        if self.lives.last().is_some_and(|life| life.pending.is_some()) {
            self.say(to, false, orders, acknowledged).await?;
        }
        Ok(())
    }

    /// Asks until it is answered: a login, or a record of the session in that place.
    async fn ask(
        &mut self,
        to: SocketAddr,
        said: Option<(usize, Record)>,
        orders: &mut watch::Receiver<Order>,
        acknowledged: &AtomicU64,
    ) -> Result<(Header, Vec<u8>), Stopped> {
        let began = SystemClock.now().instant;
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let (mut tries, mut wait, mut buffer) = (0_u32, RESEND_MIN, vec![0; 4096]);
        loop {
            let waited = SystemClock.now().instant.saturating_duration_since(began);
            if waited > PATIENCE {
                return Err(Stopped::Broken(format!("{} was not answered for {waited:?}", self.login())));
            }
            if tries.is_multiple_of(ANEW) {
                self.identifier = self.identifier.wrapping_add(1);
                sent.push(self.request(said)?);
                self.tally.sent_anew += u64::from(tries > 0);
            } else {
                self.tally.sent_again += 1;
            }
            tries += 1;
            let socket = if said.is_some() { &self.accounting } else { &self.auth };
            if let Some(request) = sent.last() {
                // Nobody listening yet is as good as a lost datagram.
                let _lost = socket.send_to(request, to).await;
            }
            let answered = async {
                loop {
                    let Ok(length) = socket.recv(&mut buffer).await else { continue };
                    let Some(reply) = buffer.get(..length) else { continue };
                    // What answers an earlier request of this port says nothing any more.
                    let of = |request: &Vec<u8>| verify_response(request, reply, &self.device.secret).ok();
                    if let Some(header) = sent.iter().find_map(of) {
                        return (header, reply.to_vec());
                    }
                }
            };
            tokio::select! {
                answer = answered => {
                    let took = SystemClock.now().instant.saturating_duration_since(began);
                    let tally = &mut self.tally;
                    if said.is_some() { tally.records.record(took) } else { tally.logins.record(took) }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    return Ok(answer);
                }
                () = halted(orders) => return Err(Stopped::Halted),
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(RESEND_MAX),
            }
        }
    }

    fn request(&self, said: Option<(usize, Record)>) -> Result<Vec<u8>, Stopped> {
        let request = match said {
            None => self.device.login(self.identifier),
            Some((place, record)) => self.lives.get(place).and_then(|life| {
                let [.., a, b] = self.device.port.to_be_bytes();
                let late = SystemClock.now().instant.saturating_duration_since(record.made);
                let report = Report {
                    status: record.status,
                    session: &life.id,
                    class: &life.class,
                    address: Ipv4Addr::new(10, 98, a, b),
                    counters: (record.status != rfc2866::ACCT_STATUS_TYPE_START).then_some(record.counters),
                    cause: record.is_stop().then_some(rfc2866::ACCT_TERMINATE_CAUSE_USER_REQUEST),
                    delay: u32::try_from(late.as_secs()).ok().filter(|delay| *delay > 0),
                };
                self.device.report(self.identifier, &report)
            }),
        };
        request.ok_or_else(|| Stopped::Broken("a request cannot be made".to_owned()))
    }
}

async fn halted(orders: &mut watch::Receiver<Order>) {
    // A sender that is gone means the same.
    let _gone = orders.wait_for(|order| *order == Order::Halt).await;
}

#[cfg(test)]
impl Port {
    /// One whose session was acknowledged at so many seconds and octets, and has more on its way.
    pub(super) async fn of_test(login: &str, acknowledged: u32, pending: u32) -> Self {
        let secret = Arc::new(Secret::new(b"s").unwrap());
        let mut fleet = Fleet::bind(login.trim_end_matches('0'), 1, &secret, 1).await.unwrap();
        let mut port = fleet.ports.swap_remove(0);
        let made = SystemClock.now().instant;
        let at = |counter| Record {
            status: rfc2866::ACCT_STATUS_TYPE_INTERIM_UPDATE,
            counters: [counter; 3],
            made,
        };
        port.lives.push(Life {
            id: "t0-0-00000".to_owned(),
            class: Vec::new(),
            pending: Some(at(pending)),
            acknowledged: Some(at(acknowledged)),
            before: None,
            steps: [1; 3],
        });
        port
    }
}
