//! How long the first page of every list and report takes over HTTP: 10,000 subscribers, 1,000,000 sessions
//! in `radacct` and as many login attempts, on SQLite and, where it answers, PostgreSQL. Prints p50 and p99 of
//! each; judges nothing.
//!
//!     cargo bench --bench reports
//!
//! `sqlite` or `postgres` as an argument leaves out the other; `--test` makes it a trial with few rows; `ROWS`
//! sets another number of sessions, `ASKED` how often each list is asked for. `URL` measures a database that an
//! earlier run has left behind with `KEEP=1`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on should stop")]
#![expect(clippy::indexing_slicing, reason = "a missing member ends the bench")]
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _};
use tollkeeper::store::{Settings, Store};

/// Midnight, before which all sessions began; one begins every half a minute, so that a million are a year.
fn end() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs() / 86_400 * 86_400).unwrap()
}

const SECONDS_EACH: i64 = 31;
const SUBSCRIBERS: i64 = 10_000;
const PASSPHRASE: &str = "bench-passphrase";

fn main() {
    let trial = std::env::args().any(|argument| argument == "--test");
    let number = |name: &str, usual: i64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let rows = if trial { 20_000 } else { number("ROWS", 1_000_000) };
    let asked = if trial { 2 } else { number("ASKED", 200) };
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|known| known == name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut columns = Vec::new();
    if let Ok(url) = std::env::var("URL") {
        let folder = tempfile::tempdir().unwrap();
        columns.push(("as it is", measure(folder.path(), &url, rows, asked)));
        return show(&columns);
    }
    if wanted("sqlite") {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/tollkeeper.db", folder.path().display());
        runtime.block_on(fill("SQLite", &url, rows));
        columns.push(("SQLite", measure(folder.path(), &url, rows, asked)));
    }
    if wanted("postgres") {
        let server = std::env::var("TOLLKEEPER_TEST_POSTGRES")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1".to_owned());
        let admin = format!("{server}/postgres");
        match runtime.block_on(sqlx::PgConnection::connect(&admin)) {
            Err(error) => println!("PostgreSQL does not answer: {error}"),
            Ok(mut connection) => {
                let name = format!("tk_bench_reports_{}", std::process::id());
                runtime.block_on(connection.execute(format!("CREATE DATABASE {name}").as_str())).unwrap();
                let folder = tempfile::tempdir().unwrap();
                let url = format!("{server}/{name}");
                runtime.block_on(fill("PostgreSQL", &url, rows));
                columns.push(("PostgreSQL", measure(folder.path(), &url, rows, asked)));
                if std::env::var("KEEP").is_ok() {
                    println!("{url} stays");
                    return show(&columns);
                }
                runtime
                    .block_on(connection.execute(format!("DROP DATABASE {name} WITH (FORCE)").as_str()))
                    .unwrap();
            }
        }
    }
    show(&columns);
}

/// What was measured of a list.
struct Figures {
    list: String,
    p50: Duration,
    p99: Duration,
    octets: usize,
}

fn show(columns: &[(&str, Vec<Figures>)]) {
    let heads: Vec<String> = columns.iter().map(|(name, _)| format!(" {name}, p50 / p99 ms |")).collect();
    println!("| list |{} octets |\n|---|{}---|", heads.concat(), "---|".repeat(columns.len()));
    let Some((_, first)) = columns.first() else { return };
    for (place, known) in first.iter().enumerate() {
        let cells: Vec<String> = columns
            .iter()
            .filter_map(|(_, figures)| figures.get(place))
            .map(|Figures { p50, p99, .. }| {
                let slow = if *p99 >= Duration::from_millis(50) { " **slow**" } else { "" };
                format!(" {:.1} / {:.1}{slow} |", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3)
            })
            .collect();
        println!("| {} |{} {} |", known.list, cells.concat(), known.octets);
    }
}

/// Makes the tables and their rows, set by set.
async fn fill(name: &str, url: &str, rows: i64) {
    let began = Instant::now();
    let store = Store::connect(&Settings::new(url)).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let statements = statements(url.starts_with("postgres"), rows);
    if url.starts_with("postgres") {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        for statement in statements {
            connection
                .execute(statement.as_str())
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        connection.execute("VACUUM ANALYZE").await.unwrap();
    } else {
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute("PRAGMA synchronous = OFF; BEGIN").await.unwrap();
        for statement in statements {
            connection
                .execute(statement.as_str())
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        connection.execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        connection.close().await.unwrap();
    }
    println!("{name}: {rows} sessions of {SUBSCRIBERS} subscribers made in {:?}", began.elapsed());
}

/// The rows. Session `i` is one of subscriber `h`, which has one device and address; 40 NASes have about equal
/// parts, one has three in a thousand, one had some a year ago.
fn statements(postgres: bool, rows: i64) -> Vec<String> {
    let begin = end() - rows * SECONDS_EACH;
    let series = |most: i64| {
        if postgres {
            format!("(SELECT i::bigint AS i FROM generate_series(1, {most}) i)")
        } else {
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most}) SELECT i FROM n)"
            )
        }
    };
    let (time, inet) = if postgres { (["to_timestamp(", ")"], "::inet") } else { (["", ""], "") };
    let unique = |number: &str| {
        if postgres {
            format!("md5(CAST({number} AS text))")
        } else {
            format!("printf('%016x%016x', {number} * 2654435761 % 4294967296, {number})")
        }
    };
    let mac = |number: &str| {
        if postgres {
            format!(
                "'02-00-00-00-' || upper(substr(lpad(to_hex({number}), 4, '0'), 1, 2) || '-' || substr(lpad(to_hex({number}), 4, '0'), 3, 2))"
            )
        } else {
            format!("printf('02-00-00-00-%02X-%02X', ({number}) >> 8, ({number}) & 255)")
        }
    };
    let at = |seconds: &str| format!("{}{seconds}{}", time[0], time[1]);
    let local = |seconds: &str| {
        if postgres {
            format!("to_timestamp({seconds})")
        } else {
            format!("datetime({seconds}, 'unixepoch', 'localtime')")
        }
    };
    let open = rows - 10_000.min(rows / 2);
    let decimal = |number: &str| if postgres { number.to_owned() } else { format!("'{number}'") };
    vec![
        format!("INSERT INTO nas (nasname, shortname, type, secret) SELECT '10.255.0.' || (i - 1), 'site' || (i - 1), 'other', 'x' FROM {} s", series(100)),
        "INSERT INTO tk_plan (name, groupname, price, currency) VALUES ('Monthly', 'Monthly', 20, 'USD'), ('Weekly', 'Weekly', 6, 'USD')".to_owned(),
        "INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('Monthly', 'Session-Timeout', ':=', '86400'), ('Weekly', 'Session-Timeout', ':=', '3600')".to_owned(),
        format!("INSERT INTO tk_subscriber (username, plan_id, created_at, created_by) SELECT 'user' || (i - 1), 1, {begin} + i * 60, 'bench' FROM {} s", series(SUBSCRIBERS)),
        "INSERT INTO tk_contact (subscriber_id, first_name, last_name, email) SELECT id, 'First', 'Last' || id, username || '@example.net' FROM tk_subscriber".to_owned(),
        "INSERT INTO radcheck (username, attribute, op, value) SELECT username, 'Cleartext-Password', ':=', 'secret' FROM tk_subscriber".to_owned(),
        "INSERT INTO radcheck (username, attribute, op, value) SELECT username, 'Simultaneous-Use', ':=', '2' FROM tk_subscriber".to_owned(),
        "INSERT INTO radusergroup (username, groupname, priority) SELECT username, CASE WHEN id % 10 = 0 THEN 'Weekly' ELSE 'Monthly' END, 1 FROM tk_subscriber".to_owned(),
        format!(
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime, acctstoptime, acctsessiontime,
                 acctinputoctets, acctoutputoctets, calledstationid, callingstationid, acctterminatecause, framedipaddress, class)
             SELECT 'S' || i, {}, 'user' || h, ('10.255.0.' || n){inet}, {}, {}, CASE WHEN i <= {open} THEN {} END, 3600, 1000000 + i, 9000000 + i,
                 '02-AA-00-00-00-' || (10 + n) || ':Site' || n, {}, CASE WHEN i <= {open} THEN 'User-Request' ELSE '' END,
                 ('10.0.' || (h / 250) || '.' || (h % 250)){inet}, 'ai:' || {}
             FROM (SELECT i, h, CASE WHEN i <= 300 THEN 98 WHEN h % 1000 < 3 THEN 77 ELSE h % 40 END AS n, {begin} + i * {SECONDS_EACH} AS t
                   FROM (SELECT i, ((i * 2654435761) / 128 % 1000003) % {SUBSCRIBERS} AS h FROM {} s) x) y",
            unique("i"), at("t"), at("t + 3600"), at("t + 3600"), mac("h"), unique("i"), series(rows),
        ),
        format!(
            "INSERT INTO tk_session (unique_id, session_key, nas_source, nas_identifier, subscriber_id, started, updated, stop_seen)
             SELECT acctuniqueid, acctuniqueid, {host}, 'gw-' || {host}, CAST(substr(username, 5) AS bigint) + 1, 0, 0, 1 FROM radacct",
            host = if postgres { "host(nasipaddress)" } else { "nasipaddress" }
        ),
        format!(
            "INSERT INTO radpostauth (username, pass, reply, authdate) SELECT 'user' || ((i * 2654435761) / 128 % 1000003) % {SUBSCRIBERS}, '',
                 CASE WHEN i % 5000 = 0 THEN 'Access-Reject' ELSE 'Access-Accept' END, {} FROM {} s",
            local(&format!("{begin} + i * {SECONDS_EACH}")), series(rows),
        ),
        format!(
            "INSERT INTO tk_topup (subscriber_id, quota_id, username, plan_name, profiles, amount, currency, remarks, created_by, at)
             SELECT i % {SUBSCRIBERS} + 1, i, 'user' || i % {SUBSCRIBERS}, '2GB-USD$8.00', 'Monthly', {}, 'USD', 'Add Topup Quota', 'bench',
                 {begin} + i * {SECONDS_EACH} * {} FROM {} s",
            decimal("8"), (rows / 50_000).max(1), series(50_000.min(rows)),
        ),
        format!(
            "INSERT INTO tk_ledger (subscriber_id, wallet, action, before_balance, delta, after_balance, price, currency, at)
             SELECT subscriber_id, 'purchase', 'TOPUP', {0}, {0}, {0}, {1}, 'USD', at FROM tk_topup",
            decimal("0"), decimal("8"),
        ),
    ]
}

/// A list: its name, and the path of the request with this number.
struct List {
    name: &'static str,
    path: Box<dyn Fn(i64) -> String>,
    antamedia: bool,
}

fn lists(rows: i64) -> Vec<List> {
    let mut lists = Vec::new();
    let mut add = |name: &'static str, path: Box<dyn Fn(i64) -> String>| {
        let antamedia = !path(0).starts_with("/mbox");
        lists.push(List { name, path, antamedia });
    };
    macro_rules! mfusion {
        ($name:literal, $path:literal $(, |$number:ident| $value:expr)?) => {
            add($name, Box::new(|number| {
                let _ = number;
                $(let $number = number; let value = $value;)?
                format!(concat!("/mbox/api/hotspot/", $path) $(, { let $number = &value; $number })?)
            }))
        };
    }
    let day = |days: i64| date(end() - days * 86_400);
    let span = rows * SECONDS_EACH / 86_400;
    mfusion!("historical-sessions", "historical-sessions");
    mfusion!("… page 10", "historical-sessions?page=10");
    mfusion!("… of a user", "historical-sessions?username=USER{}", |n| n * 37 % SUBSCRIBERS);
    mfusion!("… of nobody", "historical-sessions?username=nobody{}", |n| n);
    mfusion!("… of a hotspot", "historical-sessions?hotspot=gw-10.255.0.{}", |n| n % 40);
    mfusion!("… of a rare hotspot", "historical-sessions?hotspot=gw-10.255.0.77");
    mfusion!("… of a hotspot long gone", "historical-sessions?hotspot=gw-10.255.0.98");
    mfusion!("… of no hotspot", "historical-sessions?hotspot=nowhere{}", |n| n);
    mfusion!("… of a NAS", "historical-sessions?nas=10.255.0.{}", |n| n % 40);
    mfusion!("… of a rare NAS", "historical-sessions?nas=10.255.0.77");
    mfusion!("… of a NAS long gone", "historical-sessions?nas=10.255.0.98");
    mfusion!("… of no NAS", "historical-sessions?nas=10.254.0.{}", |n| n % 250);
    mfusion!("… of a device", "historical-sessions?macaddress={}", |n| device(n * 41 % SUBSCRIBERS));
    mfusion!("… of no device", "historical-sessions?macaddress=06:00:00:00:00:{}", |n| 10 + n % 80);
    mfusion!("… of a Called-Station-Id", "historical-sessions?calledstationid={}", |n| {
        let site = n % 40;
        format!("02-AA-00-00-00-{}:Site{site}", 10 + site)
    });
    mfusion!("… of no Called-Station-Id", "historical-sessions?calledstationid=06-00-00-00-00-{}", |n| 10
        + n % 80);
    mfusion!("… of an address", "historical-sessions?ipaddress=10.0.{}", |n| format!(
        "{}.{}",
        n % 40,
        n % 250
    ));
    mfusion!("… of no address", "historical-sessions?ipaddress=10.9.9.{}", |n| n % 250);
    let old = span * 3 / 4;
    add(
        "… of an old day",
        Box::new(move |n| {
            let day = day(old - n % 30);
            format!("/mbox/api/hotspot/historical-sessions?startTime={day}&endTime={day}")
        }),
    );
    add(
        "… of an old month",
        Box::new(move |n| {
            format!(
                "/mbox/api/hotspot/historical-sessions?startTime={}&endTime={}",
                day(old - n % 30),
                day(old - n % 30 - 30)
            )
        }),
    );
    add(
        "… of the older half",
        Box::new(move |n| {
            format!(
                "/mbox/api/hotspot/historical-sessions?startTime={}&endTime={}",
                day(span + 1),
                day(span / 2 - n % 10)
            )
        }),
    );
    add(
        "… of all of the year",
        Box::new(move |n| {
            format!(
                "/mbox/api/hotspot/historical-sessions?startTime={}&endTime={}",
                day(span + 1 + n % 9),
                day(-1)
            )
        }),
    );
    add(
        "… of a time to come",
        Box::new(move |n| format!("/mbox/api/hotspot/historical-sessions?startTime={}", day(-10 - n % 9))),
    );
    add(
        "… of a user in the older half",
        Box::new(move |n| {
            let user = n * 37 % SUBSCRIBERS;
            format!("/mbox/api/hotspot/historical-sessions?username=user{user}&endTime={}", day(span / 2))
        }),
    );
    add(
        "… of a NAS on an old day",
        Box::new(move |n| {
            let day = day(old - n % 30);
            format!(
                "/mbox/api/hotspot/historical-sessions?nas=10.255.0.{}&startTime={day}&endTime={day}",
                n % 40
            )
        }),
    );
    add(
        "… of a NAS in the older half",
        Box::new(move |n| {
            format!("/mbox/api/hotspot/historical-sessions?nas=10.255.0.{}&endTime={}", n % 40, day(span / 2))
        }),
    );
    mfusion!("online-sessions", "online-sessions");
    mfusion!("… of a user", "online-sessions?username=user{}", |n| n * 37 % SUBSCRIBERS);
    mfusion!("… of a hotspot", "online-sessions?hotspot=gw-10.255.0.{}", |n| n % 40);
    mfusion!("… of no NAS", "online-sessions?nas=10.254.0.{}", |n| n % 250);
    mfusion!("… of a device", "online-sessions?macaddress={}", |n| device(n * 41 % SUBSCRIBERS));
    mfusion!("login-attempts", "login-attempts");
    mfusion!("… of a user", "login-attempts?username=User{}", |n| n * 37 % SUBSCRIBERS);
    mfusion!("… of nobody", "login-attempts?username=nobody{}", |n| n);
    mfusion!("… refused", "login-attempts?reply=Access-Reject");
    mfusion!("… of a user, refused", "login-attempts?reply=Access-Reject&username=user{}", |n| n * 37
        % SUBSCRIBERS);
    add(
        "… of an old day",
        Box::new(move |n| {
            let day = day(old - n % 30);
            format!("/mbox/api/hotspot/login-attempts?startTime={day}&endTime={day}")
        }),
    );
    add(
        "… of the older half",
        Box::new(move |n| format!("/mbox/api/hotspot/login-attempts?endTime={}", day(span / 2 - n % 10))),
    );
    add(
        "… refused in the older half",
        Box::new(move |n| {
            format!("/mbox/api/hotspot/login-attempts?reply=Access-Reject&endTime={}", day(span / 2 - n % 10))
        }),
    );
    mfusion!("quota-purchase-report", "quota-purchase-report");
    mfusion!("… of a user", "quota-purchase-report?username=USER{}", |n| n * 37 % SUBSCRIBERS);
    mfusion!("… of no plan", "quota-purchase-report?plan_name=none{}", |n| n);
    mfusion!("… with no such remark", "quota-purchase-report?remarks=none{}", |n| n);
    add(
        "… of an old day",
        Box::new(move |n| {
            let day = day(old - n % 30);
            format!("/mbox/api/hotspot/quota-purchase-report?startTime={day}&endTime={day}")
        }),
    );
    mfusion!("users", "users");
    mfusion!("… of a name", "users?username=USER{}", |n| n * 37 % SUBSCRIBERS);
    mfusion!("… of no name", "users?username=nobody{}", |n| n);
    mfusion!("… page 50", "users?page=50");
    mfusion!("a user", "users/{}", |n| 1 + n * 37 % SUBSCRIBERS);
    mfusion!("profiles", "profiles");
    mfusion!("users of a profile", "profiles/Monthly/users");
    mfusion!("… of a smaller one", "profiles/Weekly/users");
    mfusion!("access attributes of a user", "user-access/{}", |n| 1 + n * 37 % SUBSCRIBERS);
    let plain = |days: i64| date(end() - days * 86_400).replace('-', "");
    let pass = format!("pass={PASSPHRASE}");
    let of = |command: &'static str, rest: Box<dyn Fn(i64) -> String>| {
        let pass = pass.clone();
        Box::new(move |n| format!("/{command}?{pass}{}", rest(n)))
    };
    let account = |n: i64| format!("&account=user{}", n * 37 % SUBSCRIBERS);
    add("getaccountlist", of("getaccountlist", Box::new(|_| String::new())));
    add("getpriceplans", of("getpriceplans", Box::new(|_| String::new())));
    add("viewaccount", of("viewaccount", Box::new(account)));
    add("getaccountlog", of("getaccountlog", Box::new(account)));
    add(
        "getaccountlog of a month",
        of(
            "getaccountlog",
            Box::new(move |n| format!("{}&from={}&to={}", account(n), plain(old), plain(old - 30))),
        ),
    );
    add("getaccountsummary", of("getaccountsummary", Box::new(account)));
    add(
        "getstatistics of a day",
        of(
            "getstatistics",
            Box::new(move |n| {
                let day = plain(old - n % 30);
                format!("&from={day}&to={day}")
            }),
        ),
    );
    add(
        "getstatistics of a month",
        of(
            "getstatistics",
            Box::new(move |n| format!("&from={}&to={}", plain(old - n % 30), plain(old - n % 30 - 30))),
        ),
    );
    lists
}

fn date(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().strftime("%Y-%m-%d").to_string()
}

fn device(number: i64) -> String {
    format!("0200.0000.{number:04x}")
}

/// Asks for every list and gives its figures.
fn measure(folder: &Path, url: &str, rows: i64, asked: i64) -> Vec<Figures> {
    let config = folder.join("tollkeeper.toml");
    let text = format!(
        "data_dir = {folder:?}\ntimezone = \"UTC\"\n[database]\nurl = {url:?}\n[radius]\nauth = [\"127.0.0.1:0\"]\naccounting = [\"127.0.0.1:0\"]\n\
         [sessions]\nstale_max = 31536000\nstale_min = 86400\n[http]\nlisten = \"127.0.0.1:0\"\n[ibsng]\nlisten = \"\"\n[antamedia]\nlisten = \"127.0.0.1:0\"\npassphrase = {PASSPHRASE:?}\n"
    );
    std::fs::write(&config, text).unwrap();
    let key = Command::new(env!("CARGO_BIN_EXE_tollkeeper"))
        .args(["key", "create", "--dialect", "mfusion", "--rights", "read", "--json", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&key.stderr);
    let key: serde_json::Value = serde_json::from_slice(&key.stdout).unwrap_or_else(|_| panic!("{said}"));
    let mut server = Server::start(&config);
    let body = serde_json::json!({ "api_id": key["key_id"], "secret": key["secret"] }).to_string();
    let (status, answer) = server.http.ask("POST", "/mbox/api/hotspot/auth", &[], &body);
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let bearer = format!("Authorization: Bearer {}", answer["token"].as_str().unwrap());
    let figures = lists(rows).into_iter().map(|List { name, path, antamedia }| {
        let (mut times, mut octets) = (Vec::new(), 0);
        for number in 0..asked {
            let path = path(number);
            let at = if antamedia { &mut server.antamedia } else { &mut server.http };
            let began = Instant::now();
            let (status, answer) = at.ask("GET", &path, &[&bearer], "");
            times.push(began.elapsed());
            if status == 404 {
                println!("{path}: not there");
                break;
            }
            assert!(status == 200 && !answer.contains("\"status\":false"), "{path}: {status} {answer}");
            octets = answer.len();
        }
        // The first of a kind has its texts prepared.
        if times.len() > 20 {
            times.drain(..10);
        }
        times.sort_unstable();
        let part = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
        Figures { list: name.to_owned(), p50: part(50).unwrap(), p99: part(99).unwrap(), octets }
    });
    let figures = figures.collect();
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    figures
}

struct Server {
    process: Child,
    http: Http,
    antamedia: Http,
}

impl Server {
    fn start(config: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tollkeeper"))
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = |name: &str| -> SocketAddr {
            let at = line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap();
            at.parse().unwrap()
        };
        Self {
            http: Http { address: address("http="), stream: None },
            antamedia: Http { address: address("antamedia="), stream: None },
            process,
        }
    }
}

/// A client that keeps its connection.
struct Http {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Http {
    fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut stream = self.stream.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            BufReader::new(stream)
        });
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let (mut length, mut closes) = (0, false);
        loop {
            line.clear();
            stream.read_line(&mut line).unwrap();
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            closes |= header == "connection: close";
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        if !closes {
            self.stream = Some(stream);
        }
        (status, String::from_utf8(body).unwrap())
    }
}
