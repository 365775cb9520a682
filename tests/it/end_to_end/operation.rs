//! Configuration, signals, databases that come and go, NASes that come and go, health and metrics.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tollkeeper::radius::attribute::{
    ACCT_INPUT_GIGAWORDS, ACCT_INPUT_OCTETS, ACCT_SESSION_ID, ACCT_STATUS_TYPE, USER_NAME,
};
use tollkeeper::radius::{Code, Secret, verify_response};
use tollkeeper::time::{Clock as _, SystemClock};

use crate::support::databases::Kind;
use crate::support::eventually;
use crate::support::programs::{program, run};
use crate::support::requests::{
    INTERIM, NasSocket, Record, STOP, accounting, login, secret, status, unsigned_login,
};
use crate::support::server::{Database, Server, Setup, get};

#[test]
fn the_ready_line_names_every_socket_and_is_all_that_is_printed() {
    let database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    for http in [server.http, server.ibsng, server.antamedia] {
        let (code, body) = get(http, "/health");
        assert_eq!(code, 200);
        assert!(body.contains(r#""status":"ok""#) && body.contains(r#""reasons":[]"#), "{body}");
    }
    let ports =
        [server.auth, server.accounting, server.http, server.ibsng, server.antamedia].map(|at| at.port());
    assert!(ports.iter().all(|port| *port != 0), "{ports:?}");
    if let Some(curl) = program("curl", "curl") {
        let url = format!("http://{}/health", server.http);
        let said = run(&curl, &["--silent", "--show-error", "--fail", &url], "");
        assert!(said.content && said.text.contains(r#""status":"ok""#), "{}", said.text);
    }
    // Server::stop wants exit code 0 and no other line.
    server.stop();
}

#[test]
fn every_mistake_of_a_configuration_is_named_and_nothing_runs() {
    let setup = Setup::on("sqlite:unused.db");
    setup.write_text(
        "data_dir = \"data\"\n[database]\nurl = \"oracle://x\"\n[radius]\nauht = [\"127.0.0.1:0\"]\nreject_delay = \"soon\"\n\
         [[nas]]\naddress = \"10.0.0.1/8\"\nsecret = \"s\"\n[colour]\nred = 1\n",
    );
    let file = setup.file().display().to_string();
    for command in ["serve", "check"] {
        let output = setup.run(&[command]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{command}: {said}");
        assert_eq!(output.stdout, b"", "{command}");
        for (line, key, reason) in [
            (3, "database.url", "expects sqlite:PATH"),
            (5, "radius.auht", "no such key; did you mean radius.auth?"),
            (6, "radius.reject_delay", "expects seconds"),
            (8, "nas[1].address", "10.0.0.1/8 has host bits"),
            (11, "colour.red", "no such key"),
        ] {
            let beginning = format!("{file}:{line}: {key}: {reason}");
            assert!(said.lines().any(|line| line.starts_with(&beginning)), "{command}: {beginning}\n{said}");
        }
        assert_eq!(said.lines().count(), 5, "{said}");
    }
    setup.write_text("data_dir = \n");
    let output = setup.run(&["serve"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.starts_with(&format!("{file}:1: ")), "{said}");
    std::fs::remove_file(setup.file()).unwrap();
    let output = setup.run(&["serve"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("{file}: no such file\n"));
}

#[test]
fn the_environment_overrides_the_file() {
    let mut database = Database::sqlite();
    // What the file names could not even be opened.
    let server = Setup::on("sqlite:/proc/no/such/folder.db")
        .variable("TOLLKEEPER_DATABASE__URL", database.url())
        .variable("TOLLKEEPER_RADIUS__COLOUR", "red")
        .start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    assert_eq!(NasSocket::bind(1).ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
    let log = server.process.log();
    let warned =
        " WARN tollkeeper::cli::serve: environment TOLLKEEPER_RADIUS__COLOUR: radius.colour: ignored";
    assert!(log.lines().any(|line| line.contains(warned)), "{log}");
    server.stop();
}

#[test]
fn a_file_that_cannot_be_opened_is_waited_for_until_the_server_is_told_to_stop() {
    let mut process = Setup::on("sqlite:/proc/no/such/folder.db").spawn();
    let log = eventually("a line about the database", || {
        Some(process.log()).filter(|log| log.contains("waiting for the database"))
    });
    assert!(log.contains("/proc/no/such"), "{log}");
    process.signal("TERM");
    let (status, said) = process.ended();
    assert_eq!((status.code(), said), (Some(0), Vec::new()));
}

#[test]
fn a_database_of_a_later_release_is_refused() {
    let mut database = Database::sqlite();
    let setup = Setup::on(database.url());
    setup.start().stop();
    database.run("INSERT INTO tk_schema (version, name, applied_at) VALUES (9999, 'later', 0)");
    let output = setup.run(&["serve"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(69), &b""[..]), "{said}");
    assert!(said.lines().any(|line| line.starts_with("database.url: ") && line.contains("9999")), "{said}");
}

#[test]
fn terminating_answers_what_was_received() {
    const SOCKETS: usize = 4;
    const RECORDS: u8 = 200;
    const LOGINS: u8 = 20;
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).radius("reject_delay = 10\n").start();
    let refused = NasSocket::bind(1);
    let logins: Vec<_> = (0..LOGINS).map(|identifier| login(identifier, "bob", "wrong", &[])).collect();
    for request in &logins {
        refused.send(server.auth, request);
    }
    let received = "tollkeeper_requests_total{code=\"access_request\",nas=\"127.0.0.1\"}";
    eventually("the logins' arrival", || (server.metric(received) >= f64::from(LOGINS)).then_some(()));

    let nases: Vec<_> = (0..SOCKETS).map(|_| NasSocket::bind(1)).collect();
    let record = |socket: usize, identifier: u8| {
        Record { status: STOP, seconds: 60, ..Record::start("bob", &format!("{socket}-{identifier}")) }
            .encode(identifier)
    };
    let first = nases[0].try_ask(server.accounting, &record(0, RECORDS), Duration::from_secs(20));
    assert_eq!(first, Some(Code::AccountingResponse));
    for (socket, nas) in nases.iter().enumerate() {
        for identifier in 0..RECORDS {
            nas.send(server.accounting, &record(socket, identifier));
        }
    }
    let Server { mut process, .. } = server;
    process.signal("TERM");
    let (status, said) = process.ended();
    assert_eq!((status.code(), said), (Some(0), Vec::new()));

    let stored: Vec<String> =
        database.rows("SELECT acctsessionid FROM radacct").into_iter().flatten().collect();
    let mut answered = 0;
    for (socket, nas) in nases.iter().enumerate() {
        for reply in nas.received() {
            assert!(verify_response(&record(socket, reply[1]), &reply, &secret()).is_ok());
            let session = format!("{socket}-{}", reply[1]);
            let rows = stored.iter().filter(|stored| **stored == session).count();
            assert_eq!(rows, 1, "{session} was acknowledged");
            answered += 1;
        }
    }
    // Nothing is received and then forgotten: a row without its answer would be one.
    assert_eq!(stored.len(), answered + 1);
    // Rejects that were held back for ten seconds are not lost and not waited for.
    let rejects: Vec<_> = refused.received();
    assert_eq!(rejects.len(), usize::from(LOGINS));
    for reply in rejects {
        let header = verify_response(&logins[usize::from(reply[1])], &reply, &secret()).unwrap();
        assert_eq!(header.code, Code::AccessReject);
    }
}

#[test]
fn a_hangup_reads_the_nas_entries_again_and_a_broken_file_changes_nothing() {
    let database = Database::sqlite();
    let mut setup = Setup::on(database.url());
    let server = setup.start();
    let [known, other] = [1, 2].map(NasSocket::bind);
    let other_secret = Secret::new(b"another secret").unwrap();
    let serves = |nas: &NasSocket, secret: &Secret| {
        let code = nas.try_ask_with(server.auth, &status(1, secret), secret, Duration::from_millis(200));
        code == Some(Code::AccessAccept)
    };
    assert!(!serves(&other, &other_secret));

    setup.add_nas("address = \"127.0.0.2\"\nsecret = \"another secret\"\n");
    setup.write();
    server.process.signal("HUP");
    eventually("service of the new NAS", || serves(&other, &other_secret).then_some(()));

    let broken =
        std::fs::read_to_string(setup.file()).unwrap().replace("another secret\"", "x\"\ncolour = 1");
    setup.write_text(&broken);
    server.process.signal("HUP");
    let log = eventually("the mistake in the log", || {
        Some(server.process.log()).filter(|log| log.contains("the old one stays in force"))
    });
    assert!(log.contains("nas[2].colour: no such key"), "{log}");
    assert!(serves(&known, &secret()) && serves(&other, &other_secret));

    let without = broken.split("[[nas]]").take(2).collect::<Vec<_>>().join("[[nas]]");
    setup.write_text(&without);
    server.process.signal("HUP");
    eventually("silence for the old NAS", || (!serves(&other, &other_secret)).then_some(()));
    assert!(serves(&known, &secret()));
    server.stop();
}

#[test]
fn rows_of_the_nas_table_are_in_force_within_a_second() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MySql] {
        let Some(mut database) = Database::create(kind) else { continue };
        let setup = Setup::on(database.url());
        let server = setup.start();
        let secret = Secret::new(b"a secret of the table").unwrap();
        let serves = |nas: &NasSocket| {
            let request = status(1, &secret);
            nas.try_ask_with(server.auth, &request, &secret, Duration::from_millis(50)).is_some()
        };
        let mut took = Vec::new();
        for number in 3..6 {
            let nas = NasSocket::bind(number);
            assert!(!serves(&nas));
            database.run(&format!(
                "INSERT INTO nas (nasname, shortname, type, secret) VALUES ('127.0.0.{number}', 'n{number}', 'other', 'a secret of the table')"
            ));
            let written = SystemClock.now().instant;
            eventually("service of the new row", || serves(&nas).then_some(()));
            took.push(SystemClock.now().instant - written);
            database.run(&format!("DELETE FROM nas WHERE nasname = '127.0.0.{number}'"));
            let removed = SystemClock.now().instant;
            eventually("silence after the removal", || (!serves(&nas)).then_some(()));
            took.push(SystemClock.now().instant - removed);
        }
        // Our own command line is a tool like any other.
        let nas = NasSocket::bind(6);
        setup.done(&["nas", "add", "127.0.0.6", "--secret", "a secret of the table"], "");
        eventually("service of the NAS that was added", || serves(&nas).then_some(()));
        // The machine may be busy with other things now and then; not each time.
        took.sort();
        assert!(took[took.len() / 2] < Duration::from_secs(1), "{kind:?}: {took:?}");
        server.stop();
    }
}

#[test]
fn metrics_are_clean_after_traffic() {
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    NasSocket::bind(66).send(server.auth, &login(1, "bob", "hello", &[]));
    assert_eq!(nas.ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
    assert_eq!(nas.ask(server.auth, &login(2, "bob", "wrong", &[])), Code::AccessReject);
    assert_eq!(nas.ask(server.auth, &status(3, &secret())), Code::AccessAccept);
    assert_eq!(nas.ask(server.accounting, &Record::start("bob", "1").encode(4)), Code::AccountingResponse);
    assert_eq!(nas.ask(server.accounting, &Record::start("bob", "2").encode(5)), Code::AccountingResponse);
    let stop = Record { status: STOP, seconds: 60, ..Record::start("bob", "1") };
    assert_eq!(nas.ask(server.accounting, &stop.encode(6)), Code::AccountingResponse);
    for (series, value) in [
        ("tollkeeper_requests_total{code=\"accounting_request\",nas=\"127.0.0.1\"}", 3.0),
        ("tollkeeper_replies_total{code=\"accounting_response\",nas=\"127.0.0.1\"}", 3.0),
        ("tollkeeper_replies_total{code=\"access_accept\",nas=\"127.0.0.1\"}", 1.0),
        ("tollkeeper_replies_total{code=\"access_reject\",nas=\"127.0.0.1\"}", 1.0),
        ("tollkeeper_rejects_total{reason=\"WRONG_PASSWORD\"}", 1.0),
        ("tollkeeper_sessions_opened_total", 2.0),
        ("tollkeeper_sessions_closed_total{cause=\"stop\"}", 1.0),
        ("tollkeeper_sessions_online", 1.0),
    ] {
        eventually(series, || (server.metric(series) >= value).then_some(()));
        assert_eq!(server.metric(series), value, "{series}");
    }
    let (code, text) = server.get("/metrics");
    assert_eq!(code, 200);
    if let Some(promtool) = program("promtool", "prometheus") {
        let said = run(&promtool, &["check", "metrics"], &text);
        assert!(said.content && said.text.is_empty(), "{}", said.text);
    }
    server.stop();
}

#[test]
fn a_database_that_cannot_be_written_degrades_health_and_the_spool_takes_its_place() {
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).database("").start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
    assert_eq!(nas.ask(server.accounting, &Record::start("bob", "1").encode(2)), Code::AccountingResponse);

    let stopped = "SELECT acctsessionid FROM radacct WHERE acctstoptime IS NOT NULL AND acctinputoctets = 7";
    database.run("BEGIN IMMEDIATE");
    let stop = Record { status: STOP, seconds: 60, input: 7, ..Record::start("bob", "1") };
    assert_eq!(nas.ask(server.accounting, &stop.encode(3)), Code::AccountingResponse);
    degraded(&server, "spool");
    assert_eq!(database.rows(stopped), Vec::<Vec<String>>::new());
    assert_eq!(nas.ask(server.auth, &login(4, "bob", "hello", &[])), Code::AccessAccept);
    eventually("the rows in the metrics", || {
        (server.metric("tollkeeper_spool_entries{state=\"rows\"}") > 0.0).then_some(())
    });
    database.run("ROLLBACK");

    healthy(&server);
    assert_eq!(database.rows(stopped), [["1"]]);
    assert_eq!(nas.ask(server.accounting, &stop.encode(5)), Code::AccountingResponse);
    assert!(server.metric("tollkeeper_spooled_rows_total") >= 1.0);
    let rows = database
        .rows("SELECT acctsessionid FROM radacct WHERE acctstoptime IS NOT NULL AND acctinputoctets = 7");
    assert_eq!(rows, [["1"]]);
    server.stop();
}

#[test]
fn a_database_server_is_waited_for_at_the_start_and_may_go_away_and_come_back() {
    let Some(mut database) = Database::create(Kind::Postgres) else { return };
    let real: PgConnectOptions = database.url().parse().unwrap();
    let proxy = Proxy::reserve((real.get_host().to_owned(), real.get_port()));
    let address = real.host("127.0.0.1").port(proxy.address.port()).to_url_lossy();
    let process = Setup::on(address.as_str()).spawn();
    let waiting = "waiting for the database";
    eventually("a line about the database", || process.log().contains(waiting).then_some(()));

    // First nobody listens, then whoever listens hangs up; told once.
    let proxy = proxy.listen();
    eventually("further attempts", || (proxy.refused.load(Ordering::Relaxed) >= 3).then_some(()));
    assert_eq!(process.said(), None);
    proxy.open();
    let server = process.ready();
    let log = server.process.log();
    assert_eq!(log.lines().filter(|line| line.contains(waiting)).count(), 1, "{log}");

    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
    assert_eq!(nas.ask(server.accounting, &Record::start("bob", "1").encode(2)), Code::AccountingResponse);
    proxy.cut();
    let stop = Record { status: STOP, seconds: 60, input: 7, ..Record::start("bob", "1") };
    assert_eq!(nas.ask(server.accounting, &stop.encode(3)), Code::AccountingResponse);
    degraded(&server, "spool");
    assert_eq!(nas.ask(server.auth, &login(4, "bob", "hello", &[])), Code::AccessAccept);
    proxy.open();
    healthy(&server);
    assert_eq!(nas.ask(server.accounting, &stop.encode(5)), Code::AccountingResponse);
    let rows = database
        .rows("SELECT acctsessionid FROM radacct WHERE acctstoptime IS NOT NULL AND acctinputoctets = 7");
    assert_eq!(rows, [["1"]]);
    server.stop();
}

#[test]
fn what_a_nas_does_to_weaken_a_promise_is_told_and_is_no_trouble_of_ours() {
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    let notice = |topic: &str| {
        let report: serde_json::Value = serde_json::from_str(&server.get("/health").1).unwrap();
        assert_eq!(report["status"], "ok", "{report}");
        let notices = report["notices"].as_array().unwrap().clone();
        notices.into_iter().find(|notice| notice.as_str().unwrap().starts_with(topic))
    };
    assert_eq!((notice("signing"), notice("counters")), (None, None));

    assert_eq!(nas.ask(server.auth, &unsigned_login(1, "bob", "hello", &[])), Code::AccessAccept);
    let said = eventually("a notice about the login", || notice("signing"));
    assert!(said.as_str().unwrap().ends_with("(127.0.0.1)"), "{said}");

    let start = Record::start("bob", "1");
    let interim = |seconds, input| Record { status: INTERIM, seconds, input, ..start.clone() };
    let records = [start.clone(), interim(60, 4_294_967_000), interim(120, 5_000)];
    for (identifier, record) in (2..).zip(records) {
        assert_eq!(nas.ask(server.accounting, &record.encode(identifier)), Code::AccountingResponse);
    }
    let said = notice("counters").expect("it was told with the record");
    assert!(said.as_str().unwrap().ends_with("(127.0.0.1)"), "{said}");
    let name = said.as_str().unwrap().rsplit(": ").next().unwrap().replace(" (127.0.0.1)", "");
    let series = format!("tollkeeper_nas_narrow_counters{{nas=\"{name}\"}}");
    assert_eq!(server.metric(&series), 1.0);

    // From its first Gigawords on it counts in 64 bits, and from its first signature on it has to sign.
    let wide = [
        (USER_NAME, &b"bob"[..]),
        (ACCT_SESSION_ID, b"2"),
        (ACCT_STATUS_TYPE, &INTERIM.to_be_bytes()),
        (ACCT_INPUT_OCTETS, &[0, 0, 0, 1]),
        (ACCT_INPUT_GIGAWORDS, &[0, 0, 0, 1]),
    ];
    assert_eq!(nas.ask(server.accounting, &accounting(9, &wide)), Code::AccountingResponse);
    assert_eq!((notice("counters"), server.metric(&series)), (None, 0.0));
    assert_eq!(nas.ask(server.auth, &login(10, "bob", "hello", &[])), Code::AccessAccept);
    eventually("no notice any more", || notice("signing").is_none().then_some(()));
    server.stop();
}

/// Waits until `/health` says that a component is degraded, and why.
pub(super) fn degraded(server: &Server, component: &str) {
    let body = eventually("degraded health", || {
        let (code, body) = server.get("/health");
        // Degraded is still serving.
        assert_eq!(code, 200, "{body}");
        let report: serde_json::Value = serde_json::from_str(&body).unwrap();
        let reasons = report["reasons"].as_array().unwrap();
        let named = reasons.iter().any(|reason| {
            reason.as_str().unwrap().strip_prefix(component).is_some_and(|reason| reason.len() > ": ".len())
        });
        (report["status"] == "degraded" && named).then_some(body)
    });
    let series = format!("tollkeeper_degraded{{component=\"{component}\"}}");
    assert_eq!(server.metric(&series), 1.0, "{body}");
}

pub(super) fn healthy(server: &Server) {
    // Components that are well say "ok" even while others are not.
    eventually("good health", || {
        let report: serde_json::Value = serde_json::from_str(&server.get("/health").1).unwrap();
        (report["status"] == "ok").then_some(())
    });
}

/// Between the server and its database: closed at first, then open, cut, and open again.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    socket: Option<Socket>,
    real: (String, u16),
    door: Arc<Mutex<Door>>,
    /// Connections that were turned away.
    refused: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Door {
    open: bool,
    /// While it is not open: whoever comes is let in and hears nothing.
    mute: bool,
    streams: Vec<TcpStream>,
}

impl Proxy {
    /// A port that is ours and refuses connections, as nobody listens yet.
    pub(super) fn reserve(real: (String, u16)) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, socket: Some(socket), real, door: Arc::default(), refused: Arc::default() }
    }

    /// Takes connections, and hangs up on all of them until [`Proxy::open`].
    pub(super) fn listen(mut self) -> Self {
        let socket = self.socket.take().unwrap();
        socket.listen(64).unwrap();
        let listener = TcpListener::from(socket);
        let (real, door, refused) = (self.real.clone(), Arc::clone(&self.door), Arc::clone(&self.refused));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut door = door.lock();
                if !door.open {
                    if door.mute {
                        door.streams.push(client);
                    } else {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    continue;
                }
                let server = TcpStream::connect((real.0.as_str(), real.1)).unwrap();
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || pump(from, to));
                }
                door.streams.extend([client, server]);
            }
        });
        self
    }

    pub(super) fn open(&self) {
        self.door.lock().open = true;
    }

    /// As [`Proxy::cut`], but those who come now wait for an answer.
    pub(super) fn mute(&self) {
        self.cut();
        self.door.lock().mute = true;
    }

    /// Ends every connection and takes no new ones.
    pub(super) fn cut(&self) {
        let mut door = self.door.lock();
        door.open = false;
        for stream in door.streams.drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16_384];
    let mut copy = || -> io::Result<()> {
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(()),
                length => to.write_all(&buffer[..length])?,
            }
        }
    };
    // Whichever side ends the connection, the other side learns of it.
    let _ = copy();
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
