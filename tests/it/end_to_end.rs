//! The real binary and other people's clients: what an operator sees on the first day and on a bad one.

mod away;
mod crashes;
mod faults;
mod freeradius;
mod hostile;
mod http;
mod ibsng;
mod operation;
mod soak;

use std::collections::HashMap;
use std::time::Duration;

use tollkeeper::radius::attribute::CALLING_STATION_ID;
use tollkeeper::radius::{Code, verify_response};

use crate::support::eventually;
use crate::support::programs::{Radclient, program, run};
use crate::support::requests::{NasSocket, Record, login, secret, status};
use crate::support::server::{Database, Setup, text};

/// `hello` as SHA-512-crypt of few rounds, and as bcrypt of the lowest cost.
const SHA_CRYPT: &str = "$6$rounds=1000$tollkeeper$24Muflxa3H0W6hiNnYSYbzeji0w.6UXgR7LMVCW9kL8jzPwhxIZ6wjPT7r0pmhuGlUrdU7Yl0R08P4N5.m3WR0";
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey";

#[test]
fn radtest_logs_a_subscriber_in_by_every_method_and_stored_form() {
    let Some(client) = Radclient::find() else { return };
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    database.subscriber("sha", &[("Crypt-Password", SHA_CRYPT)]);
    database.subscriber("bcrypt", &[("Crypt-Password", BCRYPT)]);
    database.subscriber("00-11-22-33-44-55", &[("Auth-Type", "Accept")]);
    database.subscriber("locked", &[("Cleartext-Password", "hello"), ("Auth-Type", "Reject")]);

    for user in ["bob", "sha", "bcrypt"] {
        let right = client.radtest(server.auth, user, "hello");
        assert!(right.content && right.line("Received Access-Accept").is_some(), "{user}: {}", right.text);
        let wrong = client.radtest(server.auth, user, "wrong");
        assert!(!wrong.content && wrong.line("Received Access-Reject").is_some(), "{user}: {}", wrong.text);
    }
    for method in ["chap", "mschap"] {
        let right = client.radtest_by(method, server.auth, "bob", "hello");
        assert!(right.content, "{method}: {}", right.text);
        let keys = right.line("MS-CHAP-MPPE-Keys = 0x").is_some();
        assert_eq!(keys, method == "mschap", "{}", right.text);
        assert!(!client.radtest_by(method, server.auth, "bob", "wrong").content, "{method}");
        let unservable = client.radtest_by(method, server.auth, "sha", "hello");
        assert!(unservable.line("Received Access-Reject").is_some(), "{method}: {}", unservable.text);
    }
    let mac = client.radtest(server.auth, "00-11-22-33-44-55", "00-11-22-33-44-55");
    assert!(mac.content, "{}", mac.text);
    for (user, password) in [("locked", "hello"), ("nobody", "hello"), ("bob", "")] {
        let refused = client.radtest(server.auth, user, password);
        assert!(refused.line("Received Access-Reject").is_some(), "{user}: {}", refused.text);
    }
    // What clients without Message-Authenticator get from a NAS that has been seen to sign: silence.
    let unsigned = client.send_once(server.auth, "auth", "User-Name = bob, User-Password = hello");
    assert!(unsigned.line("Received").is_none(), "{}", unsigned.text);
    server.stop();
}

#[test]
fn radclient_opens_updates_and_closes_a_session() {
    let Some(client) = Radclient::find() else { return };
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let row = |database: &mut Database| {
        let sql = format!(
            "SELECT acctsessionid, username, nasipaddress, framedipaddress, callingstationid, acctterminatecause,
                    {}, {}, {}, CASE WHEN acctstoptime IS NULL THEN 'open' ELSE 'closed' END FROM radacct",
            text("coalesce(acctsessiontime, 0)"),
            text("coalesce(acctinputoctets, 0)"),
            text("coalesce(acctoutputoctets, 0)"),
        );
        database.rows(&sql)
    };
    let record = |status: &str, counters: &str| {
        let request = format!(
            "User-Name = bob\nAcct-Session-Id = \"81a00001\"\nAcct-Status-Type = {status}\nNAS-IP-Address = 127.0.0.1\n\
             NAS-Port = 7\nFramed-IP-Address = 100.64.0.9\nCalling-Station-Id = \"AA-BB-CC-00-11-22\"\n{counters}"
        );
        let said = client.send(server.accounting, "acct", &request);
        assert!(said.content && said.line("Received Accounting-Response").is_some(), "{}", said.text);
    };
    let expected = |counters: [&str; 5]| {
        let [cause, seconds, input, output, state] = counters;
        let fixed = ["81a00001", "bob", "127.0.0.1", "100.64.0.9", "AA-BB-CC-00-11-22"];
        vec![
            fixed
                .into_iter()
                .chain([cause, seconds, input, output, state])
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        ]
    };
    record("Start", "");
    assert_eq!(row(&mut database), expected(["", "0", "0", "0", "open"]));
    record("Interim-Update", "Acct-Session-Time = 60\nAcct-Input-Octets = 1000\nAcct-Output-Octets = 9000");
    assert_eq!(row(&mut database), expected(["", "60", "1000", "9000", "open"]));
    record(
        "Stop",
        "Acct-Session-Time = 90\nAcct-Input-Octets = 1500\nAcct-Output-Octets = 5\nAcct-Output-Gigawords = 1\n\
         Acct-Terminate-Cause = User-Request",
    );
    assert_eq!(row(&mut database), expected(["User-Request", "90", "1500", "4294967301", "closed"]));
    if let Some(sqlite3) = program("sqlite3", "sqlite3") {
        let sql =
            "SELECT username, acctsessiontime, acctoutputoctets FROM radacct WHERE acctstoptime IS NOT NULL";
        let said = run(&sqlite3, &["-readonly", database.file(), sql], "");
        assert_eq!((said.content, said.text.trim()), (true, "bob|90|4294967301"));
    }
    server.stop();
}

#[test]
fn status_server_is_answered_on_both_ports_and_strangers_are_not() {
    let database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    let stranger = NasSocket::bind(66);
    for port in [server.auth, server.accounting] {
        stranger.send(port, &status(1, &secret()));
        stranger.send(port, &login(2, "bob", "hello", &[]));
        stranger.send(port, &Record::start("bob", "1").encode(3));
    }
    let unknown = "tollkeeper_discards_total{reason=\"unknown_nas\",nas=\"\"}";
    eventually("six discards", || (server.metric(unknown) >= 6.0).then_some(()));
    assert_eq!(stranger.received(), Vec::<Vec<u8>>::new());

    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &status(1, &secret())), Code::AccessAccept);
    assert_eq!(nas.ask(server.accounting, &status(2, &secret())), Code::AccountingResponse);
    if let Some(client) = Radclient::find() {
        let asked = "Message-Authenticator = 0x00";
        let auth = client.send(server.auth, "status", asked);
        assert!(auth.line("Received Access-Accept").is_some(), "{}", auth.text);
        let accounting = client.send(server.accounting, "status", asked);
        assert!(accounting.line("Received Accounting-Response").is_some(), "{}", accounting.text);
        let from_elsewhere = format!("{asked}\nPacket-Src-IP-Address = 127.0.0.66");
        let silence = client.send_once(server.auth, "status", &from_elsewhere);
        assert!(silence.line("Received").is_none() && !silence.content, "{}", silence.text);
    }
    server.stop();
}

/// How many sockets the logins come from, and how many logins there are in all.
const LOGIN_SOCKETS: usize = 16;
const LOGINS: usize = 1000;

#[test]
fn of_a_thousand_parallel_logins_three_are_admitted() {
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).start();
    for user in ["anonymous", "devices"] {
        database.subscriber(user, &[("Cleartext-Password", "hello"), ("Simultaneous-Use", "3")]);
    }
    for user in ["anonymous", "devices"] {
        let codes: HashMap<Code, usize> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..LOGIN_SOCKETS)
                .map(|number| scope.spawn(move || logins(server.auth, user, number)))
                .collect();
            let mut codes = HashMap::new();
            for code in senders.into_iter().flat_map(|sender| sender.join().unwrap()) {
                *codes.entry(code).or_default() += 1;
            }
            codes
        });
        assert_eq!(
            codes,
            HashMap::from([(Code::AccessAccept, 3), (Code::AccessReject, LOGINS - 3)]),
            "{user}"
        );
    }
    assert_eq!(server.metric("tollkeeper_rejects_total{reason=\"MAX_CONCURRENT\"}"), 1994.0);
    server.stop();
}

/// One socket's share of the logins, all of them on the way at once; what was lost is sent again.
fn logins(to: std::net::SocketAddr, user: &str, number: usize) -> Vec<Code> {
    let socket = NasSocket::bind(1);
    let share = (number..LOGINS).step_by(LOGIN_SOCKETS);
    let mut waiting: HashMap<u8, Vec<u8>> = (0_u8..)
        .zip(share)
        .map(|(identifier, login_number)| {
            let station = format!("02-00-00-00-{:02X}-{:02X}", login_number / 256, login_number % 256);
            let attributes = [(CALLING_STATION_ID, station.as_bytes())];
            // Without Calling-Station-Id nobody is the same device as anybody.
            let attributes = if user == "devices" { &attributes[..] } else { &[] };
            (identifier, login(identifier, user, "hello", attributes))
        })
        .collect();
    let mut codes = Vec::new();
    eventually("every login's answer", || {
        for request in waiting.values() {
            socket.send(to, request);
        }
        while let Some(reply) = socket.receive(Duration::from_secs(1)) {
            if let Some(request) = reply.get(1).and_then(|identifier| waiting.remove(identifier)) {
                codes.push(verify_response(&request, &reply, &secret()).unwrap().code);
            }
            if waiting.is_empty() {
                break;
            }
        }
        waiting.is_empty().then_some(())
    });
    codes
}
