//! The policy compiler against a running FreeRADIUS on the same rows: generated tables, one login each,
//! the same decision and the same attributes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};
use tollkeeper::domain::{
    AttributeRow, GroupRows, SubscriberId, SubscriberRows, SubscriberStatus, SubscriberTerms, Tenure,
};
use tollkeeper::engine::token::TokenKey;
use tollkeeper::engine::{AccessFacts, Compiler, Settings, Standing, Verdict, access};
use tollkeeper::entropy::{Entropy as _, SeededEntropy};
use tollkeeper::packs::Packs;
use tollkeeper::radius::attribute::{
    NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_PORT, SERVICE_TYPE, USER_NAME, USER_PASSWORD,
};
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::radius::hiding::hide_user_password;
use tollkeeper::radius::{
    Attributes, Code, Packet, ReplyAttributes, Request, Secret, seal_request, value, verify_response,
};
use tollkeeper::time::{Clock as _, SystemClock};

use crate::support::programs::skip;

const FREERADIUS: &str = "/usr/sbin/freeradius";
const SQLITE_DRIVER: &str = "/usr/lib/freeradius/rlm_sql_sqlite.so";
/// Half a minute beside a running FreeRADIUS. `TOLLKEEPER_ROW_SETS` sets another number, and
/// `TOLLKEEPER_ROW_SEED` other ones.
const CASES: u64 = 10_000;

#[test]
fn rows_give_what_freeradius_gives() {
    if !Path::new(FREERADIUS).exists() || !Path::new(SQLITE_DRIVER).exists() {
        skip(&format!("{FREERADIUS} or its SQLite driver is absent (freeradius)"));
        return;
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let count = number("TOLLKEEPER_ROW_SETS").unwrap_or(CASES);
    let seed = SeededEntropy::new(number("TOLLKEEPER_ROW_SEED").unwrap_or(0x0070_11cf)).number();
    let cases: Vec<Case> = (0..count).map(|number| Case::generate(seed ^ number, number)).collect();
    let directory = tempfile::tempdir().unwrap();
    write_tables(&directory.path().join("rows.sqlite"), &cases);
    let server = FreeRadius::start(directory.path());
    let compiler = Compiler { dictionary: Dictionary::embedded(), zone: TimeZone::UTC };
    let mut different = Vec::new();
    let mut accepted = 0;
    for case in &cases {
        let (theirs, ours) = (server.ask(&case.request()), ours(case, &compiler));
        accepted += u64::from(theirs.0);
        if theirs != ours {
            different.push(format!("{case}\n  FreeRADIUS: {theirs:?}\n  we:         {ours:?}\n"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {count} cases differ, the first of them:\n{}",
        different.len(),
        different.iter().take(5).cloned().collect::<String>()
    );
    assert!((count / 5..count).contains(&accepted), "{accepted} of {count} accepted says little");
}

/// Accept or not, and the values of each attribute in order.
type Outcome = (bool, BTreeMap<String, Vec<String>>);

fn outcome(accepted: bool, attributes: Attributes<'_>) -> Outcome {
    let dictionary = Dictionary::embedded();
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for value in value::values(attributes, &dictionary) {
        let (name, text) = (value.name(&dictionary), value.print(&dictionary));
        match name.as_str() {
            "Message-Authenticator" | "Class" | "Acct-Interim-Interval" => {}
            // What is left until 2050 is counted in seconds of two clocks.
            "Session-Timeout" if text.len() > 8 => {}
            // Once at most: we send the last, FreeRADIUS all.
            "Session-Timeout" => _ = sent.insert(name, vec![text]),
            _ => sent.entry(name).or_default().push(text),
        }
    }
    (accepted, if accepted { sent } else { BTreeMap::new() })
}

fn ours(case: &Case, compiler: &Compiler) -> Outcome {
    let rows = |rows: &[Row]| {
        let row = |(id, (attribute, op, value)): (i64, &Row)| AttributeRow {
            id,
            attribute: attribute.into(),
            op: op.into(),
            value: value.into(),
        };
        (1..).zip(rows).map(row).collect::<Vec<_>>()
    };
    let groups: Vec<_> = case
        .groups
        .iter()
        .map(|(name, check, reply)| {
            Arc::new(compiler.group(&GroupRows { name: name.into(), check: rows(check), reply: rows(reply) }))
        })
        .collect();
    let subscriber = SubscriberRows {
        concurrency: None,
        id: SubscriberId(1),
        login: case.login.as_str().into(),
        status: SubscriberStatus::Active,
        kind: "user".into(),
        first_use: None,
        expires: None,
        tenure: Tenure::default(),
        check: rows(&case.check),
        reply: rows(&case.reply),
        groups: case.groups.iter().map(|(name, ..)| name.into()).collect(),
        usage: Vec::new(),
        terms: SubscriberTerms::default(),
    };
    let subscriber = compiler.subscriber(
        &subscriber,
        &|name| groups.iter().find(|group| group.name == name).cloned(),
        None,
    );
    let settings = Settings::new(TokenKey::new(&[1; 32]), TimeZone::UTC);
    let packs = Packs::embedded();
    let facts = AccessFacts {
        pack: packs.other(),
        subscriber: Some(&subscriber),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        standing: Standing::default(),
        password: None,
        held: None,
        device: None,
        settings: &settings,
    };
    let (packet, secret) = (case.request(), secret());
    let verified = Packet::decode(&packet).unwrap().verify(&secret).unwrap();
    let Request::Access(request) = verified.into_request(&secret).unwrap() else {
        panic!("an Access-Request")
    };
    match access(&request, &facts, SystemClock.now(), &mut SeededEntropy::new(1)) {
        Verdict::Decided(decided) => {
            outcome(decided.reply.code() == Code::AccessAccept, decided.reply.attributes().attributes())
        }
        Verdict::SlowPassword(_) | Verdict::GiveWay => panic!("no slow hash and no place here"),
    }
}

fn secret() -> Secret {
    Secret::new(b"testing123").unwrap()
}

/// Attribute, operator, value.
type Row = (String, String, String);

/// One subscriber with its groups, and one login.
struct Case {
    number: u64,
    login: String,
    password: &'static str,
    check: Vec<Row>,
    reply: Vec<Row>,
    groups: Vec<(String, Vec<Row>, Vec<Row>)>,
}

impl Case {
    fn generate(seed: u64, number: u64) -> Self {
        let mut dice = Dice(SeededEntropy::new(seed));
        let mut check = Vec::new();
        match dice.below(20) {
            0 => {}
            1 => check.push(row("Cleartext-Password", ":=", "other")),
            2 => check.push(row("NT-Password", ":=", "066ddfd4ef0e9cd7c256fe77191ef43c")),
            _ => check.push(row("Cleartext-Password", ":=", "hello")),
        }
        check.extend(dice.checks(3));
        let reply = dice.replies(3);
        let groups = (0..dice.below(4))
            .map(|group| {
                let (mut checks, replies) = (dice.checks(2), dice.replies(4));
                if dice.below(15) == 0 {
                    checks.push(row("Cleartext-Password", dice.one_of(&[":=", "+="]), "hello"));
                }
                (format!("g{number}-{group}"), checks, replies)
            })
            .collect();
        let password = if dice.below(10) == 0 { "wrong" } else { "hello" };
        Self { number, login: format!("u{number}"), password, check, reply, groups }
    }

    fn request(&self) -> Vec<u8> {
        let mut attributes = ReplyAttributes::new();
        attributes.push(USER_NAME, self.login.as_bytes());
        // Its own for each case, or FreeRADIUS would take one for a retransmission of another.
        let authenticator: [u8; 16] = u128::from(self.number).to_be_bytes();
        let hidden = hide_user_password(self.password.as_bytes(), &secret(), &authenticator).unwrap();
        attributes.push(USER_PASSWORD, &hidden);
        attributes.push(NAS_IDENTIFIER, b"abc");
        attributes.push_u32(NAS_PORT, 10);
        attributes.push_u32(SERVICE_TYPE, 2);
        attributes.push(NAS_IP_ADDRESS, &[10, 1, 2, 3]);
        let wire = attributes.attributes().rest();
        let length = u16::try_from(20 + wire.len()).unwrap().to_be_bytes();
        let identifier = authenticator[15];
        let mut packet = [&[1, identifier][..], &length, &authenticator, wire].concat();
        seal_request(&mut packet, &secret()).unwrap();
        packet
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = |title: &str, rows: &[Row]| {
            rows.iter().fold(String::new(), |mut text, (attribute, op, value)| {
                let _ = writeln!(text, "  {title} {attribute} {op} {value}");
                text
            })
        };
        write!(
            f,
            "{} / {}\n{}{}",
            self.login,
            self.password,
            lines("check", &self.check),
            lines("reply", &self.reply)
        )?;
        for (name, check, reply) in &self.groups {
            write!(f, "  group {name}\n{}{}", lines("  check", check), lines("  reply", reply))?;
        }
        Ok(())
    }
}

fn row(attribute: &str, op: &str, value: &str) -> Row {
    (attribute.into(), op.into(), value.into())
}

struct Dice(SeededEntropy);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.number() % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    /// Check rows, most of which the request meets.
    fn checks(&mut self, most: u64) -> Vec<Row> {
        (0..self.below(most + 1)).map(|_| self.check()).collect()
    }

    fn check(&mut self) -> Row {
        const COMPARE: [&str; 9] = ["==", "!=", ">", ">=", "<", "<=", "=*", "!*", "="];
        match self.below(14) {
            0..=2 => {
                let op = self.one_of(&["==", "!=", ">", ">=", "<", "<=", "=*", "!*", "=", "", "-="]);
                row("NAS-Identifier", op, self.one_of(&["abc", "abc", "abd", "x"]))
            }
            3 => row("NAS-Identifier", self.one_of(&["=~", "!~"]), self.one_of(&["^a", "b.$", "^x", "A"])),
            4 | 5 => row("NAS-Port", self.one_of(&COMPARE), self.one_of(&["9", "10", "10", "11"])),
            6 => row("Service-Type", self.one_of(&COMPARE), self.one_of(&["Framed-User", "Login-User", "2"])),
            7 => row("NAS-IP-Address", self.one_of(&COMPARE), self.one_of(&["10.1.2.3", "10.1.2.4"])),
            8 => row("Called-Station-Id", self.one_of(&["!*", "!*", "==", "!=", "=*"]), "hotspot"),
            9 => row(
                "Auth-Type",
                self.one_of(&[":=", "=", "+=", "==", "-="]),
                self.one_of(&["Accept", "Accept", "Reject"]),
            ),
            // What other products limit with: FreeRADIUS passes it by, and we find nothing used of it.
            12 => row(
                self.one_of(&["Max-All-Session", "Expire-After", "CS-Total-Octets", "CS-Total-Octets-Daily"]),
                self.one_of(&[":=", ":=", "+=", "=", "==", "!*"]),
                "4000000000",
            ),
            // On text alone: FreeRADIUS refuses everybody who has a pattern on anything else.
            13 => row("User-Name", self.one_of(&["=~", "!~"]), self.one_of(&["^u", "9$", "^x"])),
            10 => row(
                "Expiration",
                self.one_of(&[":=", ":=", "=", "+=", "==", "!=", ">=", "<=", ">", "<"]),
                self.one_of(&["Jan 01 2020", "Jan 01 2050", "01 Feb 2050"]),
            ),
            _ => match self.below(3) {
                0 => row("Simultaneous-Use", self.one_of(&[":=", "+=", "=", "=="]), "3"),
                1 => row("Login-Time", self.one_of(&[":=", "+="]), self.one_of(&["Al", "Any", "Never"])),
                _ => row("NAS-Port", self.one_of(&[":=", "+="]), "5"),
            },
        }
    }

    fn replies(&mut self, most: u64) -> Vec<Row> {
        (0..self.below(most + 1))
            .map(|_| {
                let op = self.one_of(&[
                    ":=", ":=", "=", "=", "+=", "+=", "-=", "==", "<=", ">=", "!*", "!=", "<", ">", "=~",
                    "!~", "=*", "",
                ]);
                match self.below(9) {
                    7 => row(self.one_of(&["Tunnel-Type", "Tunnel-Type:1", "Tunnel-Type:2"]), op, "VLAN"),
                    8 => row(
                        self.one_of(&["Tunnel-Private-Group-Id:1", "Tunnel-Private-Group-Id:2"]),
                        op,
                        self.one_of(&["20", "30"]),
                    ),
                    0 | 1 => row("Reply-Message", op, self.one_of(&["a", "b", "c"])),
                    2 => row("Filter-Id", op, self.one_of(&["f1", "f2"])),
                    3 => row("Cisco-AVPair", op, self.one_of(&["x=1", "x=2"])),
                    4 => row("Session-Timeout", op, self.one_of(&["100", "200", "300"])),
                    _ => row(
                        "Fall-Through",
                        self.one_of(&["=", ":=", "+="]),
                        self.one_of(&["Yes", "Yes", "No"]),
                    ),
                }
            })
            .collect()
    }
}

fn write_tables(file: &Path, cases: &[Case]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut connection = options.journal_mode(SqliteJournalMode::Delete).connect().await.unwrap();
        for (table, owner) in [
            ("radcheck", "username"),
            ("radreply", "username"),
            ("radgroupcheck", "groupname"),
            ("radgroupreply", "groupname"),
        ] {
            let sql = format!(
                "CREATE TABLE {table} (id integer PRIMARY KEY, {owner} text, attribute text, op text, value text);
                 CREATE INDEX {table}_owner ON {table} ({owner})"
            );
            sqlx::raw_sql(&sql).execute(&mut connection).await.unwrap();
        }
        let sql = "CREATE TABLE radusergroup (id integer PRIMARY KEY, username text, groupname text, priority integer);
             CREATE INDEX radusergroup_owner ON radusergroup (username)";
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        for case in cases {
            let mut tables = vec![("radcheck", &case.login, &case.check), ("radreply", &case.login, &case.reply)];
            for (name, check, reply) in &case.groups {
                tables.extend([("radgroupcheck", name, check), ("radgroupreply", name, reply)]);
            }
            for (table, owner, rows) in tables {
                for (attribute, op, value) in rows {
                    let sql = format!("INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?)");
                    let query = sqlx::query(&sql).bind(owner).bind(attribute).bind(op);
                    query.bind(value).execute(&mut *transaction).await.unwrap();
                }
            }
            for (priority, (name, ..)) in (1_i64..).zip(&case.groups) {
                let query = sqlx::query("INSERT INTO radusergroup VALUES (NULL, ?, ?, ?)").bind(&case.login);
                query.bind(name).bind(priority).execute(&mut *transaction).await.unwrap();
            }
        }
        transaction.commit().await.unwrap();
    });
}

/// A stock FreeRADIUS with `sql`, `expiration`, `logintime` and `pap` on a file of rows.
struct FreeRadius {
    child: Child,
    socket: UdpSocket,
    port: u16,
    log: PathBuf,
}

impl FreeRadius {
    fn start(directory: &Path) -> Self {
        // Free at this moment; nobody else asks for it by number.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = CONFIGURATION.replace("DIRECTORY", directory.to_str().unwrap());
        std::fs::write(directory.join("radiusd.conf"), configuration.replace("PORT", &port.to_string()))
            .unwrap();
        let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries/dictionary.tollkeeper");
        std::fs::write(directory.join("dictionary"), format!("$INCLUDE {}\n", names.display())).unwrap();
        let child = Command::new(FREERADIUS)
            .args(["-f", "-d"])
            .arg(directory)
            .arg("-l")
            .arg(directory.join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Self { child, socket, port, log: directory.join("log") }
    }

    /// Asks until an answer comes: at first the server is not there yet.
    fn ask(&self, request: &[u8]) -> Outcome {
        let mut buffer = [0; 4096];
        for _ in 0..100 {
            self.socket.send_to(request, ("127.0.0.1", self.port)).unwrap();
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let response = &buffer[..length];
                if let Ok(header) = verify_response(request, response, &secret()) {
                    let packet = Packet::decode(response).unwrap();
                    return outcome(header.code == Code::AccessAccept, packet.attributes());
                }
            }
        }
        panic!("FreeRADIUS does not answer: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIGURATION: &str = r#"
prefix = /usr
libdir = /usr/lib/freeradius
logdir = DIRECTORY
run_dir = DIRECTORY
max_request_time = 5
cleanup_delay = 0
max_requests = 16384
hostname_lookups = no
log {
  destination = files
  file = DIRECTORY/log
}
security {
  max_attributes = 200
  reject_delay = 0
  status_server = no
}
proxy_requests = no
client localhost {
  ipaddr = 127.0.0.1
  secret = testing123
}
thread pool {
  start_servers = 1
  max_servers = 1
  min_spare_servers = 1
  max_spare_servers = 1
  max_requests_per_server = 0
}
modules {
  pap { }
  expiration { }
  logintime { }
  sql {
    dialect = "sqlite"
    driver = "rlm_sql_sqlite"
    sqlite {
      filename = "DIRECTORY/rows.sqlite"
    }
    radius_db = "radius"
    read_groups = yes
    read_profiles = no
    read_clients = no
    group_attribute = "SQL-Group"
    sql_user_name = "%{User-Name}"
    pool {
      start = 1
      min = 1
      max = 1
      spare = 0
      uses = 0
      lifetime = 0
      idle_timeout = 0
    }
    authorize_check_query = "SELECT id, username, attribute, value, op FROM radcheck WHERE username = '%{SQL-User-Name}' ORDER BY id"
    authorize_reply_query = "SELECT id, username, attribute, value, op FROM radreply WHERE username = '%{SQL-User-Name}' ORDER BY id"
    group_membership_query = "SELECT groupname FROM radusergroup WHERE username = '%{SQL-User-Name}' ORDER BY priority"
    authorize_group_check_query = "SELECT id, groupname, attribute, value, op FROM radgroupcheck WHERE groupname = '%{SQL-Group}' ORDER BY id"
    authorize_group_reply_query = "SELECT id, groupname, attribute, value, op FROM radgroupreply WHERE groupname = '%{SQL-Group}' ORDER BY id"
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = PORT
  }
  authorize {
    sql
    expiration
    logintime
    pap
  }
  authenticate { Auth-Type PAP {
    pap
    }
  }
}
"#;
