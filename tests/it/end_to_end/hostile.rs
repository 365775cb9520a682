//! What strangers and guessers send, and what must not be seen of it: logs, metrics, tables.

use std::fmt::Write as _;

use tollkeeper::radius::Code;
use tollkeeper::radius::attribute::{
    CALLED_STATION_ID, CALLING_STATION_ID, CONNECT_INFO, FILTER_ID, NAS_IDENTIFIER, NAS_PORT_ID,
};

use crate::support::eventually;
use crate::support::programs::Radclient;
use crate::support::requests::{NasSocket, Record, STOP, login};
use crate::support::server::{Database, Setup};

/// As much as can be had, the database's own library included.
const EVERYTHING: &str = "trace,sqlx=trace";

/// What no line of a log may do: end before its end, move a cursor, ring a bell.
fn is_plain(line: &str) -> bool {
    !line.contains(|c: char| c.is_control())
}

#[test]
fn v6_hostile_names_stay_in_their_line_of_the_log() {
    const NAMES: [&str; 4] = [
        "bob\r\n2026-01-01T00:00:00Z ERROR all is lost",
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{7f}",
        "%n%s%x{}{:?}${HOME}'; DROP TABLE radacct; --",
        "\u{9b}31m\u{202e}\u{2028}nbsp\u{a0}\"quoted\" \\ \0",
    ];
    for format in ["text", "json"] {
        let mut database = Database::sqlite();
        let server = Setup::on(database.url())
            .variable("TOLLKEEPER_LOG__LEVEL", EVERYTHING)
            .variable("TOLLKEEPER_LOG__FORMAT", format)
            .start();
        // A row that cannot be served is told about at level warn, with its name.
        database.run("INSERT INTO nas (nasname, shortname, secret) VALUES ('10.0.0.0/8\n[2Jnas', 'x', 's')");
        let nas = NasSocket::bind(1);
        let stranger = NasSocket::bind(66);
        for (identifier, name) in (0..).zip(NAMES) {
            let octets = name.as_bytes();
            let attributes = [
                (CALLING_STATION_ID, octets),
                (CALLED_STATION_ID, octets),
                (NAS_IDENTIFIER, octets),
                (NAS_PORT_ID, octets),
                (CONNECT_INFO, octets),
                (FILTER_ID, octets),
            ];
            let request = login(identifier, name, name, &attributes);
            stranger.send(server.auth, &request);
            assert_eq!(nas.ask(server.auth, &request), Code::AccessReject);
            for record in
                [Record::start(name, name), Record { status: STOP, seconds: 60, ..Record::start(name, name) }]
            {
                assert_eq!(nas.ask(server.accounting, &record.encode(identifier)), Code::AccountingResponse);
            }
        }
        let path = "/%0d%0aINFO%1b[2J";
        assert_eq!(server.get(path).0, 404);
        eventually("the line about the NAS", || {
            server.process.log().contains("a NAS cannot be served").then_some(())
        });
        let log = server.process.log();
        // What `check` would say of the configuration is printed before logs begin.
        for line in log.lines().filter(|line| !line.starts_with("warning: ")) {
            assert!(is_plain(line), "{line:?}");
            if format == "json" {
                let event: serde_json::Value = serde_json::from_str(line).expect(line);
                assert!(event["level"].is_string(), "{line}");
            } else {
                assert!(line.starts_with("20") && line.contains('Z'), "a line begins with its time: {line}");
            }
        }
        assert!(log.lines().count() > 20, "everything is logged: {log}");
        server.stop();
    }
}

#[test]
fn v17_a_password_is_in_radcheck_and_nowhere_else() {
    // One for each login, and what somebody typed wrong: near enough to be as precious.
    const RIGHT: &str = "canary-Xq7-right";
    const WRONG: &str = "canary-Zt9-wrong";
    let mut database = Database::sqlite();
    let server = Setup::on(database.url()).variable("TOLLKEEPER_LOG__LEVEL", EVERYTHING).start();
    database.subscriber("bob", &[("Cleartext-Password", RIGHT), ("Simultaneous-Use", "9")]);
    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &login(1, "bob", RIGHT, &[])), Code::AccessAccept);
    assert_eq!(nas.ask(server.auth, &login(2, "bob", WRONG, &[])), Code::AccessReject);
    assert_eq!(nas.ask(server.auth, &login(3, "nobody", WRONG, &[])), Code::AccessReject);
    if let Some(client) = Radclient::find() {
        for method in ["chap", "mschap"] {
            assert!(client.radtest_by(method, server.auth, "bob", RIGHT).content, "{method}");
            assert!(!client.radtest_by(method, server.auth, "bob", WRONG).content, "{method}");
        }
        // Credentials in accounting are a mistake of the NAS, and are not kept (RFC 2866 §4.1).
        let record = format!(
            "User-Name = bob, Acct-Session-Id = leaky, Acct-Status-Type = Start, User-Password = \"{RIGHT}\",
             Tunnel-Password:1 = \"{RIGHT}\", Reply-Message = \"{WRONG}\""
        );
        assert!(client.send(server.accounting, "acct", &record).content);
    }
    assert_eq!(nas.ask(server.accounting, &Record::start("bob", "1").encode(4)), Code::AccountingResponse);
    eventually("the attempts in their table", || {
        (database.rows("SELECT username FROM radpostauth").len() >= 3).then_some(())
    });
    let mut seen = vec![("the log".to_owned(), server.process.log())];
    for path in ["/metrics", "/health"] {
        seen.push((path.to_owned(), server.get(path).1));
    }
    seen.extend(tables(&mut database));
    let (radcheck, others): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(place, _)| place == "radcheck");
    assert!(radcheck[0].1.contains(RIGHT), "the search finds what is there: {radcheck:?}");
    assert!(others.iter().any(|(place, text)| place == "radpostauth" && text.contains("bob")), "{others:?}");
    let spellings = |canary: &str| {
        let hex: String = canary.bytes().map(|octet| format!("{octet:02x}")).collect();
        [canary.to_owned(), hex.clone(), hex.to_uppercase(), format!("{:?}", canary.as_bytes())]
    };
    for (place, text) in &others {
        for spelling in [RIGHT, WRONG].into_iter().flat_map(spellings) {
            assert!(!text.contains(&spelling), "{place}: {spelling}");
        }
        assert!(!text.contains("testing123"), "{place}: the shared secret");
    }
    server.stop();
}

/// Every row of every table, as text.
fn tables(database: &mut Database) -> Vec<(String, String)> {
    let names =
        database.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    names
        .into_iter()
        .flatten()
        .map(|table| {
            let columns = database.rows(&format!("SELECT name FROM pragma_table_info('{table}')"));
            let cells: Vec<_> =
                columns.into_iter().flatten().map(|column| format!("quote(\"{column}\")")).collect();
            let rows = database.rows(&format!("SELECT {} FROM \"{table}\"", cells.join(" || ' ' || ")));
            let mut text = String::new();
            for row in rows.iter().flatten() {
                writeln!(text, "{row}").unwrap();
            }
            (table, text)
        })
        .collect()
}

#[test]
fn pc_21_a_thousand_discards_are_counted_and_hardly_logged() {
    const ROUNDS: u32 = 20;
    const EACH: u32 = 50;
    for level in ["info", "debug"] {
        let database = Database::sqlite();
        let server = Setup::on(database.url()).variable("TOLLKEEPER_LOG__LEVEL", level).start();
        let (stranger, nas) = (NasSocket::bind(66), NasSocket::bind(1));
        let before = server.process.log().len();
        let unknown = "tollkeeper_discards_total{reason=\"unknown_nas\",nas=\"\"}";
        let forged = "tollkeeper_discards_total{reason=\"authenticator\",nas=\"127.0.0.1\"}";
        for round in 1..=ROUNDS {
            for number in 0..EACH {
                let identifier = u8::try_from(number).unwrap();
                stranger.send(server.auth, &login(identifier, "bob", "hello", &[]));
                let mut record = Record::start("bob", "1").encode(identifier);
                record[4] ^= 1;
                nas.send(server.accounting, &record);
            }
            // No faster than the system keeps them for the server, so that none is lost.
            eventually("a round of discards", || {
                let wanted = f64::from(round * EACH);
                (server.metric(unknown) >= wanted && server.metric(forged) >= wanted).then_some(())
            });
        }
        assert_eq!((server.metric(unknown), server.metric(forged)), (1000.0, 1000.0), "{level}");
        let log = server.process.log()[before..].to_owned();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("discarded")).collect();
        if level == "info" {
            assert!(log.is_empty(), "nothing that a stranger sends is told above debug: {log}");
        } else {
            assert!(!lines.is_empty() && lines.len() < 500, "{} lines of 2000 datagrams", lines.len());
            assert!(log.len() < 100_000, "{} octets", log.len());
        }
        server.stop();
    }
}
