//! The whole server through its sockets, on SQLite: memory of 100,000 online sessions, time to the ready
//! line with 100,000 open sessions, logins and accounting records per second, the time of an explanation.
//! Prints; judges nothing.
//!
//!     cargo bench --bench server
//!
//! `SESSIONS` sets another number of sessions. Figures are of one run on one machine: compare only what
//! was measured together.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]
#![expect(clippy::indexing_slicing, reason = "an index out of bounds ends the bench")]
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use radius::core::avp::AVP;
use radius::core::code::Code;
use radius::core::packet::Packet;
use tollkeeper::radius::Secret;
use tollkeeper::radius::seal_request;
use tollkeeper::service::Imagined;
use tollkeeper::time::{Clock as _, SystemClock};

const SECRET: &[u8] = b"testing123";
/// Requests on their way at a time.
const WINDOW: usize = 64;

struct Server {
    process: Child,
    auth: SocketAddr,
    accounting: SocketAddr,
    http: SocketAddr,
    /// From the start of the process to its ready line.
    took: Duration,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let config = folder.join("tollkeeper.toml");
        let text = format!(
            "data_dir = {folder:?}\n[radius]\nauth = [\"127.0.0.1:0\"]\naccounting = [\"127.0.0.1:0\"]\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[ibsng]\nlisten = \"127.0.0.1:0\"\n\
             [antamedia]\nlisten = \"127.0.0.1:0\"\n[[nas]]\naddress = \"127.0.0.1\"\nsecret = \"testing123\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let began = Instant::now();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tollkeeper"))
            .args(["serve", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let took = began.elapsed();
        let address = |name: &str| {
            let at = line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap();
            at.parse().unwrap()
        };
        Self {
            auth: address("auth="),
            accounting: address("accounting="),
            http: address("http="),
            process,
            took,
        }
    }

    /// Resident memory, KiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The value of a metric without labels.
    fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.split(' ').nth(1)).map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has reached a value.
    fn until(&self, name: &str, value: f64) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.metric(name) < value {
            assert!(Instant::now() < deadline, "{name} does not reach {value}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Sends every packet that `make` gives and waits for as many replies, a window at a time. Requests per
/// second.
fn exchange(to: SocketAddr, count: usize, make: impl Fn(usize, u8) -> Vec<u8>) -> f64 {
    let sockets: Vec<UdpSocket> = (0..WINDOW)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(to).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        })
        .collect();
    let began = Instant::now();
    let mut reply = [0; 4096];
    for round in 0..count.div_ceil(WINDOW) {
        let numbers = round * WINDOW..((round + 1) * WINDOW).min(count);
        let identifier = u8::try_from(round % 256).unwrap();
        for (socket, number) in sockets.iter().zip(numbers.clone()) {
            socket.send(&make(number, identifier)).unwrap();
        }
        for (socket, _) in sockets.iter().zip(numbers) {
            socket.recv(&mut reply).unwrap();
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / began.elapsed().as_secs_f64()
}

fn sealed(code: Code, identifier: u8, attributes: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut packet = Packet::new(code, SECRET);
    for (number, value) in attributes {
        packet.add(AVP::from_bytes(*number, value));
    }
    let mut octets = packet.encode().unwrap();
    octets[1] = identifier;
    seal_request(&mut octets, &Secret::new(SECRET).unwrap()).unwrap();
    octets
}

/// A Start, Interim-Update or Stop (1, 3, 2) of the session with this number.
fn record(number: usize, identifier: u8, status: u8, seconds: u32) -> Vec<u8> {
    let octets = u32::try_from(number).unwrap();
    let integer = |value: u32| value.to_be_bytes().to_vec();
    let address = u32::from(Ipv4Addr::new(100, 64, 0, 0)) + octets;
    let mut attributes = vec![
        (40, integer(u32::from(status))),
        (44, format!("{number:08X}-bench").into_bytes()),
        (1, format!("user{number}").into_bytes()),
        (4, vec![10, 0, 0, 1]),
        (5, integer(octets)),
        (61, integer(5)),
        (6, integer(2)),
        (7, integer(1)),
        (45, integer(1)),
        (8, integer(address)),
        (
            31,
            format!("02-00-00-{:02X}-{:02X}-{:02X}", number >> 16 & 255, number >> 8 & 255, number & 255)
                .into_bytes(),
        ),
        (30, b"bench-ssid".to_vec()),
    ];
    if status != 1 {
        attributes.extend([(46, integer(seconds)), (42, integer(octets * 10)), (43, integer(octets * 90))]);
    }
    sealed(Code::AccountingRequest, identifier, &attributes)
}

fn main() {
    let count: usize = std::env::var("SESSIONS").map_or(100_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    // The tables, then a subscriber for each session.
    Server::start(folder.path()).kill();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use sqlx::{ConnectOptions as _, Connection as _};
        let path = folder.path().join("tollkeeper.db");
        let mut database = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
             INSERT INTO radcheck (username, attribute, op, value)
             SELECT 'user' || i, 'Cleartext-Password', ':=', 'pass' || i FROM n",
        )
        .bind(i64::try_from(count).unwrap())
        .execute(&mut database)
        .await
        .unwrap();
        database.close().await.unwrap();
    });

    let server = Server::start(folder.path());
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    let all = count as f64;
    println!("start, {count} subscribers, no session: ready after {:?}", server.took);
    let empty = server.resident();
    server.until("tollkeeper_subscribers", all);
    let idle = server.resident();
    println!(
        "resident memory: {} KiB at the ready line, {idle} KiB with {count} subscribers in memory",
        empty
    );
    let rate = exchange(server.accounting, count, |number, identifier| record(number, identifier, 1, 0));
    server.until("tollkeeper_sessions_online", all);
    let online = server.resident();
    println!(
        "{count} Starts: {rate:.0}/s; resident memory {online} KiB, {} KiB above idle, {} octets a session",
        online.saturating_sub(idle),
        online.saturating_sub(idle) * 1024 / u64::try_from(count).unwrap()
    );
    server.kill();

    let server = Server::start(folder.path());
    println!("restart after kill with {count} open sessions: ready after {:?}", server.took);
    server.until("tollkeeper_sessions_online", all);
    let few = count.min(20_000);
    let rate = exchange(server.accounting, few, |number, identifier| record(number, identifier, 3, 600));
    println!("{few} Interim-Updates: {rate:.0}/s");
    let rate = exchange(server.accounting, few, |number, identifier| record(number, identifier, 2, 900));
    println!("{few} Stops: {rate:.0}/s");
    server.until("tollkeeper_subscribers", all);
    let login = |number: usize, identifier: u8| {
        let attributes = [(1, format!("user{number}").into_bytes()), (4, vec![10, 0, 0, 1])];
        let mut packet = Packet::new(Code::AccessRequest, SECRET);
        for (number, value) in &attributes {
            packet.add(AVP::from_bytes(*number, value));
        }
        radius::core::rfc2865::add_user_password(&mut packet, format!("pass{number}").as_bytes()).unwrap();
        let mut octets = packet.encode().unwrap();
        octets[1] = identifier;
        seal_request(&mut octets, &Secret::new(SECRET).unwrap()).unwrap();
        octets
    };
    let rate = exchange(server.auth, few, login);
    println!("{few} logins: {rate:.0}/s, the generator on the same cores");
    server.kill();
    runtime.block_on(explained(folder.path()));
}

/// What a running server says of a login from its memory, on the same tables.
async fn explained(folder: &Path) {
    const TIMES: u32 = 10_000;
    let text = format!(
        "data_dir = {folder:?}\n[radius]\nauth = [\"127.0.0.1:0\"]\naccounting = [\"127.0.0.1:0\"]\n\
         [http]\nlisten = \"\"\n[ibsng]\nlisten = \"\"\n[antamedia]\nlisten = \"\"\n"
    );
    let settings = tollkeeper::config::Settings::read(None, &text, std::iter::empty()).unwrap();
    let clock = std::sync::Arc::new(SystemClock);
    let metrics = tollkeeper::telemetry::install_metrics(clock.now().unix).unwrap();
    let server = Box::pin(tollkeeper::server::Server::start(&settings, clock, metrics)).await.unwrap();
    let explainer = server.explainer().await.expect("its database is there");
    let imagined = Imagined { login: "user0", nas: Some([127, 0, 0, 1].into()), ..Imagined::default() };
    let explanation = explainer.explain(imagined).await.unwrap();
    let began = Instant::now();
    for _ in 0..TIMES {
        explainer.explain(imagined).await.unwrap();
    }
    println!("explain: {:?} each, {} rules", began.elapsed() / TIMES, explanation.steps.len());
    server.stop().await;
}
