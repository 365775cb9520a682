//! A server that is started while its database is away: gone, frozen, or locked by another process.

use std::time::Duration;

use tollkeeper::radius::attribute::{
    ACCT_INPUT_OCTETS, ACCT_OUTPUT_OCTETS, ACCT_SESSION_ID, ACCT_SESSION_TIME, ACCT_STATUS_TYPE,
    CALLING_STATION_ID, NAS_IP_ADDRESS, USER_NAME,
};
use tollkeeper::radius::{Code, verify_response};
use tollkeeper::time::{Clock as _, SystemClock};

use super::operation::{Proxy, degraded, healthy};
use crate::support::databases::Kind;
use crate::support::eventually;
use crate::support::programs::Radclient;
use crate::support::requests::{INTERIM, NasSocket, START, STOP, accounting, login, secret};
use crate::support::server::{Database, Server, Setup, text};

/// How the database goes away.
#[derive(Clone, Copy)]
enum Way {
    /// Nobody answers.
    Gone,
    /// Whoever answers says nothing.
    Frozen,
    /// Another process has the file.
    Locked,
}

/// A database that can be away.
struct Away {
    database: Database,
    proxy: Option<Proxy>,
    way: Way,
    url: String,
}

impl Away {
    fn create(kind: Kind, way: Way) -> Option<Self> {
        let database = Database::create(kind)?;
        let url = database.url().to_owned();
        if kind == Kind::Sqlite {
            return Some(Self { database, proxy: None, way, url });
        }
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let usual = if kind == Kind::Postgres { 5432 } else { 3306 };
        let (host, port) = server.split_once(':').unwrap_or((server, ""));
        let proxy = Proxy::reserve((host.to_owned(), port.parse().unwrap_or(usual))).listen();
        proxy.open();
        let url = format!("{before}@{}/{name}", proxy.address);
        Some(Self { database, proxy: Some(proxy), way, url })
    }

    fn goes(&mut self) {
        match (&self.proxy, self.way) {
            (Some(proxy), Way::Frozen) => proxy.mute(),
            (Some(proxy), _) => proxy.cut(),
            (None, _) => self.database.run("BEGIN EXCLUSIVE"),
        }
    }

    fn comes_back(&mut self) {
        match &self.proxy {
            Some(proxy) => {
                // Those who wait for an answer of a frozen one are cut off.
                proxy.cut();
                proxy.open();
            }
            None => self.database.run("ROLLBACK"),
        }
    }
}

/// A NAS with its Identifiers.
struct Nas {
    socket: NasSocket,
    identifier: u8,
}

impl Nas {
    fn next(&mut self) -> u8 {
        self.identifier = self.identifier.wrapping_add(1);
        self.identifier
    }

    fn login(&mut self, server: &Server, user: &str, password: &str, device: &str) -> Code {
        let request = login(self.next(), user, password, &[(CALLING_STATION_ID, device.as_bytes())]);
        self.socket.ask(server.auth, &request)
    }

    /// What is acknowledged, for a session of these seconds, with so many octets each way per second.
    fn record(&mut self, server: &Server, status: u32, [user, session, device]: [&str; 3], seconds: u32) {
        let [status, time, input, output] =
            [status, seconds, seconds * 10, seconds * 100].map(u32::to_be_bytes);
        let attributes: [(u8, &[u8]); 8] = [
            (ACCT_STATUS_TYPE, &status),
            (USER_NAME, user.as_bytes()),
            (ACCT_SESSION_ID, session.as_bytes()),
            (NAS_IP_ADDRESS, &[127, 0, 0, 1]),
            (CALLING_STATION_ID, device.as_bytes()),
            (ACCT_SESSION_TIME, &time),
            (ACCT_INPUT_OCTETS, &input),
            (ACCT_OUTPUT_OCTETS, &output),
        ];
        let request = accounting(self.next(), &attributes);
        assert_eq!(self.socket.ask(server.accounting, &request), Code::AccountingResponse);
    }
}

/// Waits until what is in force now is in the snapshot.
fn snapped(server: &Server) {
    let now = SystemClock.now().unix.0;
    eventually("the snapshot", || {
        // A round that began after this second.
        let taken = server.metric("tollkeeper_snapshot_timestamp_seconds");
        (taken > f64::from(u32::try_from(now).unwrap())).then_some(())
    });
}

const FIRST: &str = "02-00-00-00-00-01";
const SECOND: &str = "02-00-00-00-00-02";
const THIRD: &str = "02-00-00-00-00-03";

/// What any database must not keep from: one place for bob, and accounting that is exact in the end.
fn begins_without(kind: Kind, way: Way) {
    let Some(mut away) = Away::create(kind, way) else { return };
    let setup = Setup::on(&away.url).database("commit_deadline = 5\nsnapshot_interval = 0.1\n");
    let mut server = setup.start();
    away.database.subscriber("bob", &[("Cleartext-Password", "hello"), ("Simultaneous-Use", "1")]);
    away.database.subscriber("ann", &[("Cleartext-Password", "hello")]);
    away.database.run(
        "INSERT INTO radreply (username, attribute, op, value) VALUES ('ann', 'Reply-Message', ':=', 'as ever')",
    );
    let mut nas = Nas { socket: NasSocket::bind(1), identifier: 0 };
    let one = ["bob", "one", FIRST];
    assert_eq!(nas.login(&server, "bob", "hello", FIRST), Code::AccessAccept);
    nas.record(&server, START, one, 0);
    nas.record(&server, INTERIM, one, 60);
    snapped(&server);

    server.process.kill();
    away.goes();
    let mut server = setup.start();
    degraded(&server, "database");
    // Who is known is let in with what is theirs, and nobody else is.
    let request = login(nas.next(), "ann", "hello", &[(CALLING_STATION_ID, THIRD.as_bytes())]);
    nas.socket.send(server.auth, &request);
    let reply = nas.socket.receive(Duration::from_secs(20)).expect("a reply");
    assert_eq!(verify_response(&request, &reply, &secret()).unwrap().code, Code::AccessAccept);
    assert!(reply.windows(7).any(|octets| octets == b"as ever"), "{reply:?}");
    assert_eq!(nas.login(&server, "ann", "wrong", THIRD), Code::AccessReject);
    let nobody = login(nas.next(), "nobody", "hello", &[]);
    assert_eq!(nas.socket.try_ask(server.auth, &nobody, Duration::from_secs(1)), None);
    // bob's one place is taken until his session ends, and then by the next one.
    assert_eq!(nas.login(&server, "bob", "hello", SECOND), Code::AccessReject);
    nas.record(&server, INTERIM, one, 120);
    nas.record(&server, START, ["ann", "a", THIRD], 0);
    nas.record(&server, STOP, ["ann", "a", THIRD], 30);
    assert_eq!(nas.login(&server, "bob", "hello", SECOND), Code::AccessReject);
    nas.record(&server, STOP, one, 180);
    assert_eq!(nas.login(&server, "bob", "hello", SECOND), Code::AccessAccept);
    assert_eq!(nas.login(&server, "bob", "hello", FIRST), Code::AccessReject);
    let two = ["bob", "two", SECOND];
    nas.record(&server, START, two, 0);
    // The NAS has not heard all of it, and says it again.
    nas.record(&server, STOP, one, 180);
    nas.record(&server, INTERIM, two, 60);
    if kind != Kind::Sqlite {
        let output = setup.run(&["subscriber", "show", "bob"]);
        assert!(!output.status.success(), "there is nobody to ask");
    }

    // So it is after another start of the same kind: the spool has the records.
    server.process.kill();
    let server = setup.start();
    degraded(&server, "database");
    assert_eq!(nas.login(&server, "bob", "hello", FIRST), Code::AccessReject);
    nas.record(&server, INTERIM, two, 120);
    eventually("records in the spool", || {
        (server.metric("tollkeeper_spool_entries{state=\"records\"}") > 0.0).then_some(())
    });

    away.comes_back();
    healthy(&server);
    assert_eq!(nas.login(&server, "bob", "hello", FIRST), Code::AccessReject);
    nas.record(&server, STOP, two, 150);
    assert_eq!(nas.login(&server, "bob", "hello", FIRST), Code::AccessAccept);
    assert_eq!(nas.login(&server, "nobody", "hello", FIRST), Code::AccessReject);
    setup.done(&["subscriber", "add", "carol", "--password-stdin"], "hello");
    eventually("service of the new subscriber", || {
        (nas.login(&server, "carol", "hello", THIRD) == Code::AccessAccept).then_some(())
    });
    eventually("an empty spool", || {
        (server.metric("tollkeeper_spool_entries{state=\"records\"}") == 0.0).then_some(())
    });
    let sums = ["acctsessiontime", "acctinputoctets", "acctoutputoctets"].map(text).join(", ");
    let rows = away.database.rows(&format!(
        "SELECT username, acctsessionid, {sums} FROM radacct WHERE acctstoptime IS NOT NULL ORDER BY acctsessionid"
    ));
    let expected = [
        ["ann", "a", "30", "300", "3000"],
        ["bob", "one", "180", "1800", "18000"],
        ["bob", "two", "150", "1500", "15000"],
    ];
    assert_eq!(rows, expected);
    assert_eq!(away.database.rows(&format!("SELECT {} FROM radacct", text("COUNT(*)"))), [["3"]]);
    let sums = ["seconds", "input", "output"].map(|column| text(&format!("u.{column}"))).join(", ");
    let usage = away.database.rows(&format!(
        "SELECT s.username, {sums} FROM tk_usage u JOIN tk_subscriber s ON s.id = u.subscriber_id
         WHERE u.day = -1 ORDER BY s.username"
    ));
    assert_eq!(usage, [["ann", "30", "300", "3000"], ["bob", "330", "3300", "33000"]]);
    server.stop();
}

#[test]
fn fm_03_a_server_begins_while_the_file_of_its_database_is_locked() {
    begins_without(Kind::Sqlite, Way::Locked);
}

#[test]
fn fm_03_a_server_begins_while_postgresql_is_gone() {
    begins_without(Kind::Postgres, Way::Gone);
}

#[test]
fn fm_03_a_server_begins_while_postgresql_is_frozen() {
    begins_without(Kind::Postgres, Way::Frozen);
}

#[test]
fn fm_03_a_server_begins_while_mariadb_is_gone() {
    begins_without(Kind::MySql, Way::Gone);
}

#[test]
fn fm_03_a_server_begins_while_mariadb_is_frozen() {
    begins_without(Kind::MySql, Way::Frozen);
}

/// What the spool took while the database was frozen is known too, and a file of no use is no reason not to begin
/// when the database is there.
#[test]
fn what_the_spool_holds_is_known_and_a_broken_snapshot_is_passed_over() {
    let Some(mut away) = Away::create(Kind::Postgres, Way::Frozen) else { return };
    let setup = Setup::on(&away.url).database("commit_deadline = 0.1\nsnapshot_interval = 0.1\n");
    let mut server = setup.start();
    away.database.subscriber("bob", &[("Cleartext-Password", "hello"), ("Simultaneous-Use", "1")]);
    let mut nas = Nas { socket: NasSocket::bind(1), identifier: 0 };
    assert_eq!(nas.login(&server, "bob", "hello", FIRST), Code::AccessAccept);
    nas.record(&server, START, ["bob", "one", FIRST], 0);
    snapped(&server);
    away.goes();
    nas.record(&server, STOP, ["bob", "one", FIRST], 60);
    server.process.kill();
    let mut server = setup.start();
    degraded(&server, "database");
    assert_eq!(nas.login(&server, "bob", "hello", SECOND), Code::AccessAccept);
    if let Some(client) = Radclient::find() {
        let refused = client.radtest(server.auth, "bob", "wrong");
        assert!(refused.line("Received Access-Reject").is_some(), "{}", refused.text);
    }
    server.process.kill();

    let file = |name: &str| setup.file().with_file_name("data").join(name);
    // The whole of it may be in SQLite's log yet, which mends the file.
    for log in ["snapshot.db-wal", "snapshot.db-shm"] {
        let _ = std::fs::remove_file(file(log));
    }
    std::fs::write(file("snapshot.db"), "nothing of use").unwrap();
    let process = setup.spawn();
    eventually("a word about it", || process.log().contains("is of no use").then_some(()));
    assert_eq!(process.said(), None, "it waits for the database");
    away.comes_back();
    let server = process.ready();
    healthy(&server);
    assert_eq!(nas.login(&server, "bob", "hello", SECOND), Code::AccessAccept);
    snapped(&server);
    server.stop();
}
