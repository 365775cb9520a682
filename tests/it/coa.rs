//! Dynamic authorization through real sockets: NASes of our own that misbehave, and FreeRADIUS's.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tollkeeper::coa::{Responder, Settings, Verdict};
use tollkeeper::domain::dynamic_auth::{Attempt, Job, NotSent, Order, Outcome};
use tollkeeper::domain::{CloseGuess, Nas, NasIdentity, NasSource, Session, SessionKey, TriState, UniqueId};
use tollkeeper::net::coa::CoaSockets;
use tollkeeper::packs::Packs;
use tollkeeper::radius::{Dictionary, Secret};
use tollkeeper::service::coa::{Coa, Record, Sessions};
use tollkeeper::time::{Clock as _, SystemClock, UnixTime};

use crate::support::databases::{Kind, TestDatabase};
use crate::support::programs::skip;

const SECRET: &[u8] = b"testing123";

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn id(number: u16) -> UniqueId {
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&number.to_be_bytes());
    UniqueId(octets)
}

fn session(number: u16, nas: IpAddr) -> Session {
    let nas = NasIdentity { source: nas, address: Some(nas), identifier: SmolStr::default() };
    let acct_session_id = SmolStr::from(format!("81a0{number:04x}"));
    let (key, at) = (SessionKey(id(number).0), UnixTime(1_700_000_000));
    Session {
        user_name: "bob".into(),
        framed_ip: Some(Ipv4Addr::new(100, 64, 0, 9)),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        ..Session::begun(key, id(number), nas, acct_session_id, at)
    }
}

/// Sessions of one NAS.
struct Known {
    sessions: HashMap<UniqueId, Session>,
    nas: Arc<Nas>,
    closed: Mutex<Vec<(UniqueId, CloseGuess)>>,
}

impl Sessions for Known {
    fn session(&self, id: UniqueId) -> Option<Session> {
        self.sessions.get(&id).cloned()
    }

    fn nas(&self, _: &Session) -> Option<Arc<Nas>> {
        Some(Arc::clone(&self.nas))
    }

    fn close(&self, id: UniqueId, guess: CloseGuess) {
        self.closed.lock().push((id, guess));
    }
}

/// Hands on what is recorded.
struct Recorded(mpsc::UnboundedSender<Attempt>);

impl Record for Recorded {
    type Error = &'static str;

    async fn take_jobs(&self, _: usize, _: UnixTime) -> Result<Vec<Job>, Self::Error> {
        Ok(Vec::new())
    }

    async fn record_attempts(&self, attempts: &[Attempt]) -> Result<(), Self::Error> {
        for attempt in attempts {
            self.0.send(attempt.clone()).map_err(|_| "nobody reads the record")?;
        }
        Ok(())
    }

    fn is_temporary(_: &Self::Error) -> bool {
        false
    }
}

/// Ours, with sockets, for sessions of one NAS.
struct Ours {
    coa: Coa,
    known: Arc<Known>,
    recorded: mpsc::UnboundedReceiver<Attempt>,
    network: JoinHandle<()>,
    recorder: JoinHandle<()>,
}

impl Ours {
    fn serving(nas: SocketAddr, settings: Settings) -> Self {
        let (sender, recorded) = mpsc::unbounded_channel();
        Self { recorded, ..Self::recording_to(Recorded(sender), nas, settings) }
    }

    fn recording_to(record: impl Record + 'static, nas: SocketAddr, settings: Settings) -> Self {
        let known = Arc::new(Known {
            sessions: (0..1000).map(|number| (id(number), session(number, nas.ip()))).collect(),
            nas: Arc::new(Nas {
                name: "loopback".into(),
                network: nas.ip().into(),
                nas_type: "mikrotik".into(),
                secret: secret(),
                secret_next: None,
                identifier: None,
                pack: Packs::embedded().find("mikrotik").unwrap(),
                coa_port: Some(nas.port()),
                coa_secret: None,
                swap_octets: false,
                require_message_authenticator: TriState::Auto,
                limit_proxy_state: TriState::Auto,
                source: NasSource::Config,
            }),
            closed: Mutex::default(),
        });
        let sockets = CoaSockets::bind(settings.slots, None).unwrap();
        let (coa, recorder) = Coa::new(
            settings,
            known.clone(),
            Dictionary::embedded(),
            Packs::embedded(),
            Arc::new(SystemClock),
        );
        let network = tokio::spawn(sockets.run(coa.clone()));
        let recorder = tokio::spawn(recorder.run(record));
        let (_, recorded) = mpsc::unbounded_channel();
        Self { coa, known, recorded, network, recorder }
    }

    /// Stops as the server does: the record is whole when this returns.
    async fn stop(self) {
        self.network.abort();
        assert!(self.network.await.unwrap_err().is_cancelled());
        self.coa.stop();
        drop(self.coa);
        self.recorder.await.unwrap();
    }
}

/// Patience that a test has, too.
fn hasty() -> Settings {
    Settings {
        first_wait: Duration::from_millis(40),
        wait_max: Duration::from_millis(160),
        duration_max: Duration::from_millis(400),
        ..Settings::default()
    }
}

async fn nas_socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A NAS that decides by itself what to answer, for ever.
async fn answer_all(socket: UdpSocket, mut decide: impl FnMut(&[u8]) -> Verdict) {
    let mut nas = Responder::default();
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let datagram = &buffer[..length];
        let reply = nas.answer(from, datagram, &secret(), SystemClock.now(), |_, _| decide(datagram));
        if let Some(reply) = reply {
            socket.send_to(&reply, from).await.unwrap();
        }
    }
}

#[tokio::test]
async fn acks_and_naks_reach_the_caller_and_the_record() {
    let (socket, address) = nas_socket().await;
    let mut ours = Ours::serving(address, Settings::default());
    let causes = [401, 402, 403, 404, 405, 406, 407, 501, 502, 504, 505, 506, 507, 508, 509, 503];
    let mut verdicts = causes.into_iter().map(Verdict::Nak).chain([Verdict::Ack, Verdict::Ack]);
    let nas = tokio::spawn(answer_all(socket, move |_| verdicts.next().unwrap()));
    for cause in causes {
        let expected = Outcome::Nak { error_cause: Some(cause) };
        assert_eq!(ours.coa.disconnect(id(1)).await, expected);
        let recorded = ours.recorded.recv().await.unwrap();
        assert_eq!((recorded.session, recorded.outcome), (id(1), expected));
        assert!(recorded.sent.is_some());
    }
    assert_eq!(*ours.known.closed.lock(), [(id(1), CloseGuess::UnknownToNas)]);
    assert_eq!(ours.coa.disconnect(id(2)).await, Outcome::Ack);
    assert_eq!(ours.coa.change(id(3), vec!["Session-Timeout = 60".into()]).await, Outcome::Ack);
    nas.abort();
}

#[tokio::test]
async fn a_silent_nas_gets_the_same_octets_from_the_same_port_until_we_give_up() {
    let (socket, address) = nas_socket().await;
    let ours = Ours::serving(address, hasty());
    let nas = tokio::spawn(async move {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                datagram = socket.recv_from(&mut buffer) => {
                    let (length, from) = datagram.unwrap();
                    received.push((from, buffer[..length].to_vec()));
                }
                outcome = ours.coa.disconnect(id(1)), if received.is_empty() => panic!("{outcome:?} before anything came"),
                () = std::future::ready(()), if received.len() >= 3 => return (ours, received),
            }
        }
    });
    let (mut ours, received) = nas.await.unwrap();
    assert!(received.iter().all(|datagram| *datagram == received[0]), "{received:?}");
    // The call was dropped with its first answer; the exchange goes on, and its outcome is on record.
    assert_eq!(ours.recorded.recv().await.unwrap().outcome, Outcome::TimedOut);
}

#[tokio::test]
async fn forged_replies_do_not_end_the_wait() {
    let (socket, address) = nas_socket().await;
    let ours =
        Ours::serving(address, Settings { first_wait: Duration::from_millis(40), ..Settings::default() });
    let (stranger, _) = nas_socket().await;
    let nas = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let request = buffer[..length].to_vec();
        let answer = |secret: &[u8], verdict| {
            let secret = Secret::new(secret).unwrap();
            Responder::default().answer(from, &request, &secret, SystemClock.now(), |_, _| verdict)
        };
        let right = answer(SECRET, Verdict::Nak(501)).unwrap();
        // Right, but from another port.
        stranger.send_to(&right, from).await.unwrap();
        // An ACK with a wrong Response Authenticator, one to the other kind of request, one cut off, noise.
        let mut forged = answer(SECRET, Verdict::Ack).unwrap();
        forged[7] ^= 1;
        socket.send_to(&forged, from).await.unwrap();
        let mut other_code = answer(SECRET, Verdict::Ack).unwrap();
        other_code[0] = 44;
        socket.send_to(&other_code, from).await.unwrap();
        socket.send_to(&right[..19], from).await.unwrap();
        socket.send_to(&[0xff; 4096], from).await.unwrap();
        // It still retransmits; that is answered.
        let (length, again) = socket.recv_from(&mut buffer).await.unwrap();
        assert_eq!((again, &buffer[..length]), (from, &request[..]));
        socket.send_to(&right, from).await.unwrap();
    });
    assert_eq!(ours.coa.disconnect(id(1)).await, Outcome::Nak { error_cause: Some(501) });
    nas.await.unwrap();
}

#[tokio::test]
async fn hundreds_of_sessions_of_one_nas_end_at_once() {
    let (socket, address) = nas_socket().await;
    let settings =
        Settings { outstanding_per_nas: 700, pace: Duration::from_micros(100), ..Settings::default() };
    let mut ours = Ours::serving(address, settings);
    let nas = tokio::spawn(async move {
        // It looks at everything first, then answers the last first.
        let mut held = Vec::new();
        let mut buffer = [0; 4096];
        while held.len() < 600 {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let request = (from, buffer[..length].to_vec());
            if !held.contains(&request) {
                held.push(request);
            }
        }
        let wires: std::collections::HashSet<_> =
            held.iter().map(|(from, octets)| (*from, octets[1])).collect();
        assert_eq!(wires.len(), 600, "a port and an Identifier were used twice");
        let mut nas = Responder::default();
        for (from, request) in held.iter().rev() {
            let reply =
                nas.answer(*from, request, &secret(), SystemClock.now(), |_, _| Verdict::Ack).unwrap();
            socket.send_to(&reply, from).await.unwrap();
        }
        // What was lost on the way is asked for again.
        answer_all(socket, |_| Verdict::Ack).await;
    });
    let mut asked = JoinSet::new();
    for number in 0..600 {
        let coa = ours.coa.clone();
        asked.spawn(async move { coa.disconnect(id(number)).await });
    }
    while let Some(outcome) = asked.join_next().await {
        assert_eq!(outcome.unwrap(), Outcome::Ack);
    }
    for _ in 0..600 {
        assert_eq!(ours.recorded.recv().await.unwrap().outcome, Outcome::Ack);
    }
    nas.abort();
}

#[tokio::test]
async fn a_nas_may_be_reached_over_ipv6() {
    let Ok(socket) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await else {
        println!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let ours = Ours::serving(socket.local_addr().unwrap(), Settings::default());
    let nas = tokio::spawn(answer_all(socket, |_| Verdict::Ack));
    assert_eq!(ours.coa.disconnect(id(1)).await, Outcome::Ack);
    nas.abort();
}

/// What another process queues is carried out once, and what came of it is in its row; an order of ours
/// makes a row.
#[tokio::test]
async fn the_table_is_the_queue_and_the_record() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MySql] {
        let Some(database) = TestDatabase::create(kind).await else { continue };
        let store = database.store().await;
        let (socket, address) = nas_socket().await;
        let nas =
            tokio::spawn(answer_all(
                socket,
                |request| {
                    if request[0] == 40 { Verdict::Ack } else { Verdict::Nak(402) }
                },
            ));
        let ours = Ours::recording_to(store.clone(), address, Settings::default());
        let timeout =
            Order::ChangeOfAuthorization(vec!["Session-Timeout = 60".into(), "Filter-Id = a".into()]);
        let now = UnixTime(1_750_000_000);
        let first = store.queue_order(id(1), &Order::Disconnect, "cli", now).await.unwrap();
        let second = store.queue_order(id(2), &timeout, "cli", now).await.unwrap();
        let third = store.queue_order(UniqueId([0xff; 16]), &Order::Disconnect, "cli", now).await.unwrap();
        assert_eq!(ours.coa.take_queued(&store).await, Ok(true));
        assert_eq!(ours.coa.disconnect(id(3)).await, Outcome::Ack);
        // Nobody waits for the other two but their rows.
        for order in [first, second] {
            while store.outcome(order).await.unwrap().unwrap().outcome.is_none() {
                tokio::task::yield_now().await;
            }
        }
        ours.stop().await;

        let row = store.outcome(first).await.unwrap().unwrap();
        assert_eq!((row.outcome, row.job.queued, row.queued_by.as_str()), (Some(Outcome::Ack), now, "cli"));
        assert!(row.taken.is_some() && row.sent.is_some() && row.done.is_some(), "{row:?}");
        let row = store.outcome(second).await.unwrap().unwrap();
        assert_eq!((row.outcome, row.job.order), (Some(Outcome::Nak { error_cause: Some(402) }), timeout));
        let row = store.outcome(third).await.unwrap().unwrap();
        assert_eq!((row.outcome, row.sent), (Some(Outcome::NotSent(NotSent::NoSession)), None));
        let rows = store.orders_of(id(3), 10).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].outcome, rows[0].queued_by.as_str()), (Some(Outcome::Ack), "server"));
        assert_eq!(store.take_jobs(10, now).await.unwrap(), []);
        nas.abort();
        store.close().await;
        database.drop().await;
    }
}

/// FreeRADIUS as a Dynamic Authorization Server that looks at every attribute. Ends with the value.
struct FreeRadius {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl FreeRadius {
    /// `None`, with the reason printed, where it is not installed.
    fn start(recv_coa: &str) -> Option<Self> {
        if Command::new("freeradius").arg("-v").output().is_err() {
            skip("freeradius is not installed");
            return None;
        }
        // Another process may take the port before FreeRADIUS does: then it says so, and we try another.
        (0..5)
            .find_map(|_| Self::start_on(free_port(), recv_coa))
            .or_else(|| panic!("freeradius does not start"))
    }

    fn start_on(port: u16, recv_coa: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let configuration = format!(
            "raddbdir = {path}\nlogdir = {path}\nrun_dir = {path}\nradacctdir = {path}\nname = coa-test\n\
             security {{\n allow_core_dumps = no\n}}\n\
             client loopback {{\n ipaddr = 127.0.0.1\n secret = testing123\n}}\n\
             modules {{\n always ok {{\n rcode = ok\n }}\n always reject {{\n rcode = reject\n }}\n}}\n\
             server coa {{\n\
             listen {{\n type = coa\n ipaddr = 127.0.0.1\n port = {port}\n}}\n\
             recv-coa {{\n{recv_coa}\n}}\n\
             }}\n"
        );
        std::fs::write(folder.path().join("radiusd.conf"), configuration).unwrap();
        std::fs::write(folder.path().join("dictionary"), "$INCLUDE /usr/share/freeradius/dictionary\n")
            .unwrap();
        let mut process = Command::new("freeradius")
            .args(["-X", "-d", &path.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut last = Vec::new();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            last.push(line);
            last.last().is_some_and(|line| line.contains("Ready to process requests"))
        });
        if !ready {
            let tail = last.len().saturating_sub(10);
            println!("freeradius: {}", last[tail..].join("\n"));
            process.wait().unwrap();
            return None;
        }
        // It must not block on a full pipe; what it says is shown when a test fails.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| println!("freeradius: {line}"))
        });
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        Some(Self { process, address, _folder: folder })
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn free_port() -> u16 {
    std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What FreeRADIUS reads is what was meant, hidden values included; what it answers is understood.
#[tokio::test]
async fn freeradius_understands_us_and_we_understand_freeradius() {
    let policy = r#"
        update reply {
            Error-Cause := Missing-Attribute
        }
        if (!&Message-Authenticator || !&Event-Timestamp || &NAS-IP-Address != 127.0.0.1) {
            reject
        }
        elsif (&User-Name != "bob" || &Acct-Session-Id != "81a00001" || &Framed-IP-Address != 100.64.0.9) {
            update reply {
                Error-Cause := Session-Context-Not-Found
            }
            reject
        }
        elsif (&Packet-Type == Disconnect-Request) {
            update reply {
                Error-Cause !* ANY
            }
            ok
        }
        elsif (&Session-Timeout == 3600 && &Mikrotik-Rate-Limit == "10M/20M" \
            && &Tunnel-Password:1 == "s3cret" && &Filter-Id == "gold \"plus\"") {
            update reply {
                Error-Cause !* ANY
            }
            ok
        }
        else {
            update reply {
                Error-Cause := Invalid-Attribute-Value
            }
            reject
        }
    "#;
    let Some(freeradius) = FreeRadius::start(policy) else { return };
    let ours = Ours::serving(freeradius.address, Settings::default());
    assert_eq!(ours.coa.disconnect(id(1)).await, Outcome::Ack);
    assert_eq!(ours.coa.disconnect(id(2)).await, Outcome::Nak { error_cause: Some(503) });
    let right: [SmolStr; 4] = [
        "Session-Timeout = 3600".into(),
        "Mikrotik-Rate-Limit := 10M/20M".into(),
        "Tunnel-Password:1 = s3cret".into(),
        r#"Filter-Id = "gold \"plus\"""#.into(),
    ];
    assert_eq!(ours.coa.change(id(1), right.to_vec()).await, Outcome::Ack);
    let outcome = ours.coa.change(id(1), right[..3].to_vec()).await;
    assert_eq!(outcome, Outcome::Nak { error_cause: Some(407) });
    assert_eq!(*ours.known.closed.lock(), [(id(2), CloseGuess::UnknownToNas)]);
}
