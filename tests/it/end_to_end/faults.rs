//! Disks that are full, databases that are read-only, servers in pairs, orders that race with records.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tollkeeper::radius::{Code, verify_response};
use tollkeeper::time::{Clock as _, SystemClock};

use super::operation::{degraded, healthy};
use crate::support::databases::Kind;
use crate::support::programs::{program, run};
use crate::support::requests::{INTERIM, NasSocket, Record, STOP, login, secret};
use crate::support::server::{Database, Server, Setup, get, text};

/// A Stop that comes after `begin` is acknowledged only where the spool takes it, and is recorded after
/// `end`. Logins go on.
fn survives(
    database: &mut Database,
    server: &Server,
    spools: bool,
    begin: impl FnOnce(&mut Database),
    end: impl FnOnce(&mut Database),
) {
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
    assert_eq!(nas.ask(server.accounting, &Record::start("bob", "1").encode(2)), Code::AccountingResponse);
    begin(database);
    let stop = Record { status: STOP, seconds: 60, input: 7, ..Record::start("bob", "1") };
    if spools {
        assert_eq!(nas.ask(server.accounting, &stop.encode(3)), Code::AccountingResponse);
        degraded(server, "spool");
    } else {
        nas.send(server.accounting, &stop.encode(3));
        degraded(server, "writer");
        degraded(server, "spool");
        assert_eq!(nas.received(), Vec::<Vec<u8>>::new(), "what cannot be stored is not acknowledged");
        assert!(server.metric("tollkeeper_spool_failures_total") >= 1.0);
    }
    assert_eq!(nas.ask(server.auth, &login(4, "bob", "hello", &[])), Code::AccessAccept);
    end(database);
    if !spools {
        assert_eq!(nas.ask(server.accounting, &stop.encode(5)), Code::AccountingResponse);
    }
    healthy(server);
    let rows = database
        .rows("SELECT acctsessionid FROM radacct WHERE acctstoptime IS NOT NULL AND acctinputoctets = 7");
    assert_eq!(rows, [["1"]]);
}

/// No file may grow: what a full disk does to a database, but for the number of the error.
#[test]
fn fm_04_a_disk_that_takes_no_more_stops_acknowledgements_until_it_does() {
    let Some(prlimit) = program("prlimit", "util-linux") else { return };
    let mut database = Database::sqlite();
    // Whoever writes beyond the limit gets an error instead of a signal.
    let server = Setup::on(database.url()).prepared_by("trap '' XFSZ").start();
    let process = server.process.id().to_string();
    let limit = |size: &str| {
        let said = run(&prlimit, &["--pid", &process, &format!("--fsize={size}:")], "");
        assert!(said.content, "{}", said.text);
    };
    survives(&mut database, &server, false, |_| limit("1"), |_| limit("unlimited"));
    server.stop();
}

#[test]
fn fm_05_a_database_that_has_become_read_only_gives_way_to_the_spool() {
    let Some(mut database) = Database::create(Kind::Postgres) else { return };
    let server = Setup::on(database.url()).start();
    let turn = |database: &mut Database, state: &str| {
        database.run(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {state}',
             current_database()); END $$"
        ));
        // As after a failover: connections begin anew.
        database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    };
    let (on, off) =
        (|database: &mut Database| turn(database, "on"), |database: &mut Database| turn(database, "off"));
    survives(&mut database, &server, true, on, off);
    server.stop();
}

#[test]
fn fm_07_two_servers_on_one_database_take_turns_in_one_session() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MySql] {
        let Some(mut database) = Database::create(kind) else { continue };
        let setups = [Setup::on(database.url()), Setup::on(database.url())];
        let [first, second] = setups.each_ref().map(Setup::start);
        database.subscriber("bob", &[("Cleartext-Password", "hello")]);
        let nas = NasSocket::bind(1);
        let (one, two) = (first.accounting, second.accounting);
        let mut identifier = 0;
        let mut tell = |to, record: Record| {
            identifier += 1;
            assert_eq!(nas.ask(to, &record.encode(identifier)), Code::AccountingResponse, "{record:?}");
        };
        let at = |status, seconds| {
            let (input, output) = (seconds * 10, seconds * 100);
            Record { status, seconds, input, output, ..Record::start("bob", "pair") }
        };
        let again = |record: Record| Record { delay: Some(5), ..record };
        tell(one, Record::start("bob", "pair"));
        tell(two, again(Record::start("bob", "pair")));
        tell(two, at(INTERIM, 60));
        tell(one, at(INTERIM, 120));
        tell(two, again(at(INTERIM, 120)));
        tell(two, at(STOP, 180));
        tell(one, again(at(STOP, 180)));
        tell(one, again(at(INTERIM, 120)));
        let sums = ["acctsessiontime", "acctinputoctets", "acctoutputoctets"].map(text).join(", ");
        let rows = database.rows(&format!("SELECT {sums} FROM radacct WHERE acctstoptime IS NOT NULL"));
        assert_eq!(rows, [["180", "1800", "18000"]], "{kind:?}");
        assert_eq!(database.rows("SELECT acctsessionid FROM radacct"), [["pair"]], "{kind:?}");
        let sums = ["seconds", "input", "output"].map(text).join(", ");
        let rows = database.rows(&format!("SELECT {sums} FROM tk_usage WHERE day = -1"));
        assert_eq!(rows, [["180", "1800", "18000"]], "{kind:?}");
        first.stop();
        second.stop();
    }
}

/// Sessions of each of the NASes that account while the operator acts.
const SESSIONS: u32 = 40;
/// NASes that do.
const NASES: u32 = 3;

#[test]
fn fm_27_what_an_operator_does_meanwhile_loses_no_record() {
    let mut database = Database::sqlite();
    let setup = Setup::on(database.url());
    let server = setup.start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let (to, done) = (server.accounting, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let accounting: Vec<_> = (0..NASES).map(|number| scope.spawn(move || account(to, number))).collect();
        let operator = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                let plan = format!("plan{rounds}");
                // His sessions are ended by orders to a NAS that does not listen.
                setup.done(&["subscriber", "delete", "bob"], "");
                setup.done(&["subscriber", "add", "bob", "--password-stdin"], "hello");
                setup.done(&["plan", "add", &plan, "--rate-down", "1000000"], "");
                setup.done(&["subscriber", "set", "bob", "--plan", &plan], "");
                rounds += 1;
            }
        });
        for nas in accounting {
            nas.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        operator.join().unwrap();
    });
    let sums = ["count(*)", "sum(acctsessiontime)", "sum(acctinputoctets)", "sum(acctoutputoctets)"];
    let sums = sums.map(text).join(", ");
    let rows = database.rows(&format!("SELECT {sums} FROM radacct WHERE acctstoptime IS NOT NULL"));
    let each = NASES * SESSIONS;
    assert_eq!(rows, [[each, each * 90, each * 1000, each * 100].map(|sum| sum.to_string())]);
    server.stop();
}

/// One session after the other, each record until it is acknowledged.
fn account(to: std::net::SocketAddr, number: u32) {
    let nas = NasSocket::bind(1);
    let mut identifiers = (0..=255_u8).cycle();
    for session in 0..SESSIONS {
        let start = Record::start("bob", &format!("{number}-{session}"));
        let interim = Record { status: INTERIM, seconds: 60, input: 500, output: 50, ..start.clone() };
        let stop = Record { status: STOP, seconds: 90, input: 1000, output: 100, ..start.clone() };
        for (record, identifier) in [start, interim, stop].into_iter().zip(&mut identifiers) {
            assert_eq!(nas.ask(to, &record.encode(identifier)), Code::AccountingResponse);
        }
    }
}

#[test]
fn ht_23_a_flood_of_one_kind_does_not_stop_the_other() {
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &login(0, "bob", "hello", &[])), Code::AccessAccept);
    let (auth, http, done) = (server.auth, server.http, AtomicBool::new(false));
    // Connections that say nothing, and some that ask for the most expensive page all the time.
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(http).unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(get(http, "/metrics").0, 200);
                }
            });
        }
        let answered = (1..=100)
            .filter(|identifier| {
                let request = login(*identifier, "bob", "hello", &[]);
                nas.try_ask(auth, &request, Duration::from_secs(3)) == Some(Code::AccessAccept)
            })
            .count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(answered, 100, "at the first try");
    });
    drop(silent);
    done.store(false, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for number in 0..2_u8 {
            let done = &done;
            scope.spawn(move || {
                let (stranger, nas) = (NasSocket::bind(66), NasSocket::bind(1));
                let request = login(number, "bob", "wrong", &[]);
                while !done.load(Ordering::Relaxed) {
                    stranger.send(auth, &request);
                    nas.send(auth, &request);
                }
            });
        }
        let healthy = (0..20).filter(|_| get(http, "/health").0 == 200).count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(healthy, 20);
    });
    server.stop();
}

/// Logins of each kind whose times are compared.
const TIMED: u8 = 60;

#[test]
fn pa_12_the_time_to_a_reject_does_not_tell_who_exists() {
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).radius("reject_delay = 1.0\nfailures_per_minute = 0\n").start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    database.subscriber("slow", &[("Crypt-Password", super::SHA_CRYPT)]);
    let nas = NasSocket::bind(1);
    for (identifier, name) in [(250, "bob"), (251, "slow")] {
        assert_eq!(nas.ask(server.auth, &login(identifier, name, "hello", &[])), Code::AccessAccept);
    }
    let names = ["bob", "slow", "nobody"];
    let sockets = names.map(|_| NasSocket::bind(1));
    let mut sent: Vec<Vec<(Vec<u8>, Instant)>> = vec![Vec::new(); names.len()];
    for identifier in 0..TIMED {
        // Turn and turn about, so that whatever the machine is busy with delays all alike.
        for ((name, socket), sent) in names.iter().zip(&sockets).zip(&mut sent) {
            let request = login(identifier, name, "wrong", &[]);
            sent.push((request.clone(), SystemClock.now().instant));
            socket.send(server.auth, &request);
        }
    }
    let median = |socket: &NasSocket, sent: &[(Vec<u8>, Instant)]| {
        let mut times: Vec<Duration> = Vec::new();
        while times.len() < sent.len() {
            let reply = socket.receive(Duration::from_secs(10)).expect("a reply");
            let (request, at) = &sent[usize::from(reply[1])];
            assert_eq!(verify_response(request, &reply, &secret()).unwrap().code, Code::AccessReject);
            times.push(SystemClock.now().instant.saturating_duration_since(*at));
        }
        times.sort_unstable();
        times[times.len() / 2]
    };
    let medians: Vec<Duration> = std::thread::scope(|scope| {
        let waiting: Vec<_> = sockets
            .iter()
            .zip(&sent)
            .map(|(socket, sent)| scope.spawn(move || median(socket, sent)))
            .collect();
        waiting.into_iter().map(|median| median.join().unwrap()).collect()
    });
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most - *least < Duration::from_millis(150), "{medians:?}");
    assert!(*least >= Duration::from_secs(1), "{medians:?}");
    server.stop();
}
