//! Simulated NASes: devices that log in, are accounted for and obey, over UDP like any other.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use radius::core::rfc2866;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::device::{Device, Report, classes};
use crate::coa::{Responder, Verdict};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::radius::attribute::ACCT_SESSION_ID;
use crate::radius::{Code, Secret, verify_response};
use crate::time::{Clock as _, SystemClock};

/// How often a device sends an Interim-Update: far too often for a real one, for something to be seen.
const INTERIM: Duration = Duration::from_secs(10);
/// How long an answer is waited for, and how often a request is sent.
const PATIENCE: Duration = Duration::from_secs(2);
const TRANSMISSIONS: u32 = 4;
/// RFC 5176 §3.5: Session-Context-Not-Found.
const SESSION_NOT_FOUND: u32 = 503;

/// The side of the simulated NASes that listens for Disconnect- and CoA-Requests.
pub(super) struct Nases {
    v4: Arc<UdpSocket>,
    online: Arc<Online>,
}

/// Sessions that are open, and how to end one.
type Online = Mutex<HashMap<String, mpsc::Sender<()>>>;

/// One device and its user.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    login: String,
    password: String,
    mac: String,
    /// Stays online; others come and go.
    stays: bool,
}

impl Guest {
    pub(super) fn new(login: &str, password: &str, mac: &str, stays: bool) -> Self {
        Self { login: login.to_owned(), password: password.to_owned(), mac: mac.to_owned(), stays }
    }
}

impl Nases {
    pub(super) async fn bind() -> io::Result<Self> {
        let v4 = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        Ok(Self { v4, online: Arc::default() })
    }

    pub(super) fn coa_port(&self) -> u16 {
        self.v4.local_addr().map_or(0, |address| address.port())
    }

    /// Sets everything going.
    pub(super) fn run(
        &self,
        guests: Vec<Guest>,
        auth: SocketAddr,
        accounting: SocketAddr,
        secret: &Arc<Secret>,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(obey(Arc::clone(&self.v4), Arc::clone(&self.online), Arc::clone(secret)));
        for (number, guest) in guests.into_iter().enumerate() {
            let Guest { login, password, mac, stays } = guest;
            let device = Device {
                login,
                password,
                mac,
                called: "02-00-00-00-00-FE:demo",
                nas: "demo",
                nas_address: auth.ip(),
                port: u32::try_from(number).unwrap_or(0),
                secret: Arc::clone(secret),
            };
            let nas = Nas { auth, accounting, device, stays };
            let online = Arc::clone(&self.online);
            tasks.spawn(async move {
                if let Err(error) = nas.live(&online).await {
                    tracing::warn!(%error, "a simulated device has failed");
                }
            });
        }
        tasks
    }
}

/// Answers Disconnect- and CoA-Requests as a NAS that does what it is told.
async fn obey(socket: Arc<UdpSocket>, online: Arc<Online>, secret: Arc<Secret>) {
    let mut responder = Responder::default();
    let mut buffer = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let Some(datagram) = buffer.get(..length) else { continue };
        let reply = responder.answer(from, datagram, &secret, SystemClock.now(), |kind, request| {
            let id = request.first(ACCT_SESSION_ID).map(String::from_utf8_lossy).unwrap_or_default();
            let online = online.lock();
            let Some(end) = online.get(id.as_ref()) else { return Verdict::Nak(SESSION_NOT_FOUND) };
            tracing::info!(session = %id, ?kind, "a simulated NAS obeys");
            if kind == crate::coa::Kind::Disconnect {
                // It is being ended already if there is no room.
                let _ending = end.try_send(());
            }
            Verdict::Ack
        });
        if let Some(reply) = reply {
            // Lost like any datagram; the server asks again.
            let _lost = socket.send_to(&reply, from).await;
        }
    }
}

/// A port of a simulated NAS with a device on it.
struct Nas {
    auth: SocketAddr,
    accounting: SocketAddr,
    device: Device,
    stays: bool,
}

/// A session from its Start to its Stop.
struct Session {
    id: String,
    class: Vec<Vec<u8>>,
    address: Ipv4Addr,
    seconds: u32,
    input: u32,
    output: u32,
}

impl Nas {
    /// Logs in, stays a while, leaves, comes back.
    async fn live(&self, online: &Online) -> io::Result<()> {
        let mut auth = Line::open(self.auth).await?;
        let mut accounting = Line::open(self.accounting).await?;
        // Not all at once.
        tokio::time::sleep(Duration::from_millis(u64::from(self.device.port) * 40)).await;
        loop {
            let Some(accept) = self.login(&mut auth).await? else {
                tokio::time::sleep(Duration::from_secs(15)).await;
                continue;
            };
            let class = classes(&accept, &self.device.secret);
            let octet = u8::try_from(self.device.port + 10).unwrap_or(u8::MAX);
            let id = format!("demo-{:08x}", SystemEntropy.number() >> 32);
            let (end, mut ended) = mpsc::channel(1);
            online.lock().insert(id.clone(), end);
            let mut session = Session {
                id,
                class,
                address: Ipv4Addr::new(10, 99, 0, octet),
                seconds: 0,
                input: 0,
                output: 0,
            };
            self.record(&mut accounting, &session, rfc2866::ACCT_STATUS_TYPE_START, None).await?;
            let cause = self.stay(&mut accounting, &mut session, &mut ended).await?;
            online.lock().remove(&session.id);
            self.record(&mut accounting, &session, rfc2866::ACCT_STATUS_TYPE_STOP, Some(cause)).await?;
            tokio::time::sleep(Duration::from_secs(5 + SystemEntropy.number() % 20)).await;
        }
    }

    /// Sends Interim-Updates until it is time to go, or told to; gives the cause.
    async fn stay(
        &self,
        accounting: &mut Line,
        session: &mut Session,
        ended: &mut mpsc::Receiver<()>,
    ) -> io::Result<u32> {
        let mut rounds = if self.stays { u64::MAX } else { 6 + SystemEntropy.number() % 20 };
        loop {
            tokio::select! {
                _ = ended.recv() => return Ok(rfc2866::ACCT_TERMINATE_CAUSE_ADMIN_RESET),
                () = tokio::time::sleep(INTERIM) => {}
            }
            session.seconds = session.seconds.saturating_add(10);
            let used = u32::try_from(SystemEntropy.number() % 2_000_000).unwrap_or(0);
            session.input = session.input.wrapping_add(used / 10);
            session.output = session.output.wrapping_add(used);
            rounds -= 1;
            if rounds == 0 {
                return Ok(rfc2866::ACCT_TERMINATE_CAUSE_USER_REQUEST);
            }
            self.record(accounting, session, rfc2866::ACCT_STATUS_TYPE_INTERIM_UPDATE, None).await?;
        }
    }

    /// The Accept, or `None`.
    async fn login(&self, line: &mut Line) -> io::Result<Option<Vec<u8>>> {
        let Some(octets) = self.device.login(line.next_identifier()) else { return Ok(None) };
        let reply = line.ask(&octets, &self.device.secret).await?;
        Ok(reply.filter(|(code, _)| *code == Code::AccessAccept).map(|(_, reply)| reply))
    }

    async fn record(
        &self,
        line: &mut Line,
        session: &Session,
        status: u32,
        cause: Option<u32>,
    ) -> io::Result<()> {
        let report = Report {
            status,
            session: &session.id,
            class: &session.class,
            address: session.address,
            counters: (status != rfc2866::ACCT_STATUS_TYPE_START).then_some([
                session.seconds,
                session.input,
                session.output,
            ]),
            cause,
            delay: None,
        };
        let Some(octets) = self.device.report(line.next_identifier(), &report) else { return Ok(()) };
        line.ask(&octets, &self.device.secret).await.map(drop)
    }
}

/// A socket to one port of the server: one request at a time.
struct Line {
    socket: UdpSocket,
    identifier: u8,
}

impl Line {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        let from: IpAddr = match to.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((from, 0)).await?;
        socket.connect(to).await?;
        Ok(Self { socket, identifier: 0 })
    }

    const fn next_identifier(&mut self) -> u8 {
        self.identifier = self.identifier.wrapping_add(1);
        self.identifier
    }

    /// The verified reply, or `None` where nobody answered any of the transmissions.
    async fn ask(&mut self, request: &[u8], secret: &Secret) -> io::Result<Option<(Code, Vec<u8>)>> {
        let mut buffer = vec![0; 4096];
        for _ in 0..TRANSMISSIONS {
            // Nobody listening yet is as good as a lost datagram.
            let _lost = self.socket.send(request).await;
            let answered = tokio::time::timeout(PATIENCE, async {
                loop {
                    let Ok(length) = self.socket.recv(&mut buffer).await else { continue };
                    let Some(reply) = buffer.get(..length) else { continue };
                    if let Ok(header) = verify_response(request, reply, secret) {
                        return (header.code, reply.to_vec());
                    }
                }
            });
            if let Ok(answer) = answered.await {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }
}
