//! How many rows a second the group commit makes durable: batches of 64 Starts, Interim-Updates, Stops.
//!
//! `cargo bench --bench store`. SQLite always; PostgreSQL and MySQL where they answer (the addresses of
//! the tests: `TOLLKEEPER_TEST_POSTGRES`, `TOLLKEEPER_TEST_MYSQL`). `--test` makes it a trial of few rows;
//! `sqlite`, `postgres` or `mysql` as an argument leaves out the others.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use std::time::Instant;

use sqlx::{Connection as _, Executor as _};
use tollkeeper::domain::session::SessionDetails;
use tollkeeper::domain::{
    Closed, Day, NasIdentity, Session, SessionKey, SubscriberId, UniqueId, Usage, Write,
};
use tollkeeper::store::{CommitWrites as _, Settings, Store};
use tollkeeper::time::UnixTime;

/// Rows of one commit, as the writer makes them under load.
const BATCH: usize = 64;

fn main() {
    let trial = std::env::args().any(|argument| argument == "--test");
    let sessions = if trial { 64 } else { 20_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        if wanted("sqlite") {
            run("SQLite", &format!("sqlite:{}/bench.db", folder.path().display()), sessions).await;
        }
        let name = format!("tk_bench_{}", std::process::id());
        let (create, drop) = (format!("CREATE DATABASE {name}"), format!("DROP DATABASE {name}"));
        let server = std::env::var("TOLLKEEPER_TEST_POSTGRES")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1".to_owned());
        match sqlx::PgConnection::connect(&format!("{server}/postgres")).await {
            Ok(mut connection) if wanted("postgres") => {
                connection.execute(create.as_str()).await.unwrap();
                run("PostgreSQL", &format!("{server}/{name}"), sessions).await;
                connection.execute(drop.as_str()).await.unwrap();
            }
            Ok(_) => {}
            Err(error) => println!("PostgreSQL does not answer: {error}"),
        }
        let server =
            std::env::var("TOLLKEEPER_TEST_MYSQL").unwrap_or_else(|_| "mysql://root@127.0.0.1".to_owned());
        match sqlx::MySqlConnection::connect(&server).await {
            Ok(mut connection) if wanted("mysql") => {
                connection.execute(create.as_str()).await.unwrap();
                run("MySQL", &format!("{server}/{name}"), sessions).await;
                connection.execute(drop.as_str()).await.unwrap();
            }
            Ok(_) => {}
            Err(error) => println!("MySQL does not answer: {error}"),
        }
    });
}

/// Is the database named on the command line, or none?
fn wanted(database: &str) -> bool {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    named.is_empty() || named.iter().any(|name| name == database)
}

async fn run(name: &str, url: &str, sessions: u32) {
    let store = Store::connect(&Settings::new(url)).await.unwrap();
    store.migrate().await.unwrap();
    let rows = |change: &dyn Fn(&mut Session)| -> Vec<Write> {
        (0..sessions)
            .map(|number| {
                let mut session = session(number);
                change(&mut session);
                Write::Session(Box::new(session))
            })
            .collect()
    };
    let started = rows(&|_| {}).into_iter().zip(0_i64..).flat_map(|(write, number)| {
        [write, Write::Used { subscriber: SubscriberId(number), at: UnixTime(1_700_000_000) }]
    });
    measure(name, "Starts with a stamp of use each", &store, started.collect()).await;
    for interim in 1..=3 {
        let rows = rows(&|session| ran(session, 300 * interim));
        measure(name, "Interim-Updates", &store, rows).await;
    }
    let with_usage = rows(&|session| ran(session, 1500));
    let with_usage = with_usage.into_iter().zip(0_i64..).flat_map(|(write, number)| {
        let bucket = |day| Write::Usage {
            subscriber: SubscriberId(number),
            day,
            total: Usage { seconds: 1500, input: 1, output: 2 },
        };
        [write, bucket(Day::LIFETIME), bucket(Day(19_000))]
    });
    measure(name, "Interim-Updates with two buckets of usage each", &store, with_usage.collect()).await;
    let (began, spent) = (Instant::now(), cpu_seconds());
    let mut after = None;
    let mut read = 0;
    loop {
        let page = store.open_sessions(after.as_ref(), 5_000).await.unwrap();
        read += page.sessions.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    println!(
        "{name}: {read} open sessions read in {:.2} s; {:.1} µs of our own CPU a row",
        began.elapsed().as_secs_f64(),
        (cpu_seconds() - spent) * 1e6 / f64::from(sessions),
    );
    let stops = rows(&|session| {
        ran(session, 1800);
        session.closed = Some(Closed { at: session.updated, cause: "User-Request".into(), guess: None });
    });
    measure(name, "Stops", &store, stops).await;
    store.close().await;
}

async fn measure(database: &str, what: &str, store: &Store, rows: Vec<Write>) {
    let mut times = Vec::new();
    let spent = cpu_seconds();
    let began = Instant::now();
    for batch in rows.chunks(BATCH) {
        let one = Instant::now();
        store.commit(batch).await.unwrap();
        times.push(one.elapsed());
    }
    let took = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).unwrap().as_secs_f64() * 1000.0;
    let spent = cpu_seconds() - spent;
    println!(
        "{database}: {what}: {:.0} rows/s, a commit p50 {:.2} ms, p99 {:.2} ms; {:.1} µs of our own CPU a row",
        rows.len() as f64 / took,
        at(50),
        at(99),
        spent * 1e6 / rows.len() as f64,
    );
}

/// What this process has used of the processors; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn ran(session: &mut Session, seconds: u64) {
    session.updated = session.started.plus(seconds);
    session.interval = 300;
    session.session_time.reported = Some(seconds);
    session.input.reported = Some(seconds * 1_000);
    session.output.reported = Some(seconds * 10_000);
    session.counted = session.total();
}

fn session(number: u32) -> Session {
    // Digests come in no order.
    let scattered = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    let mut id = [7; 16];
    id[..4].copy_from_slice(&scattered);
    let nas = NasIdentity {
        source: "192.0.2.1".parse().unwrap(),
        address: Some("10.0.0.1".parse().unwrap()),
        identifier: "bras-1".into(),
    };
    let (acct_session_id, began) = (format!("{number:08x}").into(), 1_700_000_000 + i64::from(number / 50));
    Session {
        subscriber: Some(SubscriberId(i64::from(number))),
        user_name: format!("subscriber{number}").into(),
        group: "gold".into(),
        interval: 300,
        framed_ip: Some((0x6440_0000 + number).into()),
        calling_station_id: format!(
            "AA-BB-{:02X}-{:02X}-{:02X}-{:02X}",
            scattered[0], scattered[1], scattered[2], scattered[3]
        )
        .into(),
        called_station_id: "hotspot1".into(),
        nas_port_id: "ether1".into(),
        details: Box::new(SessionDetails {
            nas_port_type: "Ethernet".into(),
            service_type: "Framed-User".into(),
            framed_protocol: "PPP".into(),
            authentic: "RADIUS".into(),
            ..SessionDetails::default()
        }),
        ..Session::begun(SessionKey(id), UniqueId(id), nas, acct_session_id, UnixTime(began))
    }
}
