//! What strangers and guessers send, and what must not be seen of it: logs, metrics, tables.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::{ROOT, get, post, raw};
use tollkeeper::radius::Code;
use tollkeeper::radius::attribute::{
    CALLED_STATION_ID, CALLING_STATION_ID, CONNECT_INFO, FILTER_ID, NAS_IDENTIFIER, NAS_PORT_ID,
};

use crate::support::eventually;
use crate::support::programs::Radclient;
use crate::support::requests::{NasSocket, Record, STOP, login, unsigned_login};
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
        for line in log.lines() {
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

/// Every kind of secret that an API is given, right and wrong, in every place that the dialects have for it.
#[test]
fn v17_no_secret_of_an_api_is_told() {
    const OPERATOR: &str = "canary-operator-5Kd";
    const PASSPHRASE: &str = "canary-passphrase-8Wf";
    const SUBSCRIBER: &str = "canary-subscriber-2Hs";
    const WRONG: &str = "canary-wrong-9Vb";
    let mut database = Database::sqlite();
    let setup = Setup::on(database.url())
        .variable("TOLLKEEPER_LOG__LEVEL", EVERYTHING)
        .variable("TOLLKEEPER_ANTAMEDIA__PASSPHRASE", PASSPHRASE)
        .variable("TOLLKEEPER_HTTP__FAILURES_PER_MINUTE", "1000");
    setup.write();
    setup.done(&["admin", "add", "system", "--rights", "read,write,secrets", "--password-stdin"], OPERATOR);
    setup.done(&["plan", "add", "gold"], "");
    let key = |dialect: &str, rights: &str| {
        let made = setup.run(&["key", "create", "--dialect", dialect, "--rights", rights, "--json"]);
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        ["key_id", "secret"].map(|part| made[part].as_str().unwrap().to_owned())
    };
    // None of these may see a password.
    let ([mfusion, mfusion_secret], [jaze, jaze_secret]) =
        (key("mfusion", "read,write"), key("jaze", "read,write"));
    let server = setup.start();
    let mut answers = Vec::new();
    let mut said = |what: &str, answer: String| {
        assert!(answer.starts_with("HTTP/1.1 "), "{what}: {answer}");
        answers.push((what.to_owned(), answer));
    };

    let sign_in = |secret: &str| {
        let body = format!(r#"{{"api_id":"{mfusion}","secret":"{secret}"}}"#);
        raw(server.http, &post(&format!("{ROOT}/auth"), "", "application/json", body.as_bytes()))
    };
    let signed_in = sign_in(&mfusion_secret);
    let token = signed_in.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    said("a wrong secret", sign_in(WRONG));
    let json = |path: &str, token: &str, body: &str| {
        raw(server.http, &post(&format!("{ROOT}{path}"), token, "application/json", body.as_bytes()))
    };
    let user = format!(r#"{{"usertype":"user","username":"bob","password":"{SUBSCRIBER}"}}"#);
    said("a user", json("/users", &token, &user));
    said("no user", json("/users", WRONG, &user));
    said("half a body", json("/users", &token, &user[..user.len() - 1]));
    said("an unknown user", json("/users/99999", &token, &format!(r#"{{"password":"{WRONG}"}}"#)));
    for path in ["/users", "/users/1", "/login-attempts", "/user-access/1"] {
        said(path, raw(server.http, &get(&format!("{ROOT}{path}"), &token)));
        said(path, raw(server.http, &get(&format!("{ROOT}{path}?secret={WRONG}"), WRONG)));
    }

    let basic = |secret: &str| STANDARD.encode(format!("{jaze}:{secret}"));
    for secret in [jaze_secret.as_str(), WRONG] {
        let head = format!("Host: x\r\nConnection: close\r\nAuthorization: Basic {}", basic(secret));
        let body = format!("username=bob&password={WRONG}&key={WRONG}");
        for request in [
            format!("GET /api/v1/get_user_details/1?key={WRONG} HTTP/1.1\r\n{head}\r\n\r\n"),
            format!(
                "POST /api/v1/authenticate_user HTTP/1.1\r\n{head}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        ] {
            said("Jaze", raw(server.http, request.as_bytes()));
        }
    }

    for pass in [PASSPHRASE, WRONG] {
        for command in
            ["viewaccount?username=bob", "getaccountlist?x=1", "generateaccounts?username=x&password=y"]
        {
            let request = format!(
                "GET /{command}&pass={pass}&password={WRONG} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            );
            said("Antamedia", raw(server.antamedia, request.as_bytes()));
        }
    }

    for password in [OPERATOR, WRONG] {
        for (method, params) in [
            ("user.getUserInfo", format!(r#""normal_username":"{WRONG}""#)),
            (
                "login.login",
                r#""login_auth_type":"ADMIN","login_auth_name":"system","login_auth_pass":""#.to_owned()
                    + password
                    + "\"",
            ),
            (
                "user.updateUserAttrs",
                format!(r#""user_id":"99","attrs":{{"normal_password":"{WRONG}"}},"to_del_attrs":[]"#),
            ),
            ("no.method", format!(r#""x":"{WRONG}""#)),
        ] {
            let body = format!(
                r#"{{"method":"{method}","id":1,"params":{{"auth_type":"ADMIN","auth_name":"system","auth_pass":"{password}",{params}}}}}"#
            );
            said(method, raw(server.ibsng, &post("/", "", "application/json", body.as_bytes())));
        }
    }

    let nas = NasSocket::bind(1);
    assert_eq!(nas.ask(server.auth, &login(1, "bob", SUBSCRIBER, &[])), Code::AccessAccept, "{answers:?}");
    for path in ["/metrics", "/health", "/openapi.json"] {
        answers.push((path.to_owned(), server.get(path).1));
    }
    answers.push(("the log".to_owned(), server.process.log()));
    answers.extend(tables(&mut database).into_iter().filter(|(table, _)| table != "radcheck"));
    let audited = answers.iter().find(|(place, _)| place == "tk_audit").map(|(_, text)| text.contains("bob"));
    assert_eq!(audited, Some(true), "what was done is on record");
    for secret in [
        OPERATOR,
        PASSPHRASE,
        SUBSCRIBER,
        &mfusion_secret,
        &jaze_secret,
        &token,
        &basic(&jaze_secret),
        "testing123",
    ] {
        for (place, text) in &answers {
            assert!(!text.contains(secret), "{place} tells {secret}: {text}");
        }
    }
    // What was typed wrong may be told to whoever typed it, where it is a name; to nobody else.
    for (place, text) in answers.iter().filter(|(_, text)| !text.starts_with("HTTP/1.1 ")) {
        assert!(!text.contains(WRONG), "{place} tells what was wrong");
    }
    server.stop();
}

#[test]
fn v17_the_key_of_passwords_is_changed_while_logins_go_on() {
    let mut database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password.keys");
    let setup =
        Setup::on(database.url()).database(&format!("commit_deadline = 5\npassword_key_file = {file:?}\n"));
    setup.write();
    let new_key = || String::from_utf8(setup.run(&["passwords", "new-key"]).stdout).unwrap();
    let write = |lines: &[&str]| {
        std::fs::write(&file, lines.concat()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    std::fs::write(&file, "# none yet").unwrap();
    assert_eq!(setup.run(&["check"]).status.code(), Some(78), "a file without a key, for all to read");
    let (old, new) = (new_key(), new_key());
    write(&[&old]);
    let server = setup.start();
    database.subscriber("bob", &[("Cleartext-Password", "canary-hello")]);
    setup.done(&["passwords", "encrypt"], "");
    let hidden = |database: &mut Database| database.rows("SELECT value FROM radcheck")[0][0].clone();
    let first = hidden(&mut database);
    assert!(first.starts_with("$tk1$") && !first.contains("canary"), "{first}");
    let (nas, mut identifier) = (NasSocket::bind(1), 0_u8);
    let mut logs_in = |what: &str| {
        identifier += 1;
        eventually(what, || {
            let asked = login(identifier, "bob", "canary-hello", &[]);
            (nas.ask(server.auth, &asked) == Code::AccessAccept).then_some(())
        });
    };
    logs_in("with the password encrypted");
    // Whoever has the table alone does not get in with what is there.
    assert_eq!(nas.ask(server.auth, &login(99, "bob", &first, &[])), Code::AccessReject);
    let told = |count: usize| {
        server.process.signal("HUP");
        eventually("the configuration to be read", || {
            (server.process.log().matches("configuration read again").count() == count).then_some(())
        });
    };
    write(&[&new, &old]);
    told(1);
    logs_in("with both keys in force");
    setup.done(&["passwords", "encrypt"], "");
    assert_ne!(hidden(&mut database)[..13], first[..13], "another key");
    logs_in("encrypted with the new key");
    write(&[&new]);
    told(2);
    database.subscriber("ann", &[("Cleartext-Password", "x")]);
    database.run("UPDATE radcheck SET op = '==' WHERE username = 'bob'");
    database.run("UPDATE radcheck SET op = ':=' WHERE username = 'bob'");
    logs_in("with the new key alone");
    server.stop();
    write(&[&old]);
    let mut refused = setup.spawn();
    assert!(!refused.ended().0.success(), "without the key that is needed no server starts");
    assert!(refused.log().contains("database.password_key_file"), "{}", refused.log());
}

#[test]
fn v17_no_core_dump_is_written() {
    let database = Database::sqlite();
    let mut server = Setup::on(database.url()).prepared_by("ulimit -S -c \"$(ulimit -H -c)\"").start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{line}");
    server.process.signal("ABRT");
    let (status, _) = server.process.ended();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

/// Octets of memory that the process holds.
fn resident(process: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// An access network of forged addresses, none of which has the secret, and one NAS in it that has.
#[test]
fn v13_a_flood_from_many_addresses_is_not_answered_larger_and_leaves_memory_flat() {
    const ADDRESSES: u32 = 6_000;
    let mut database = Database::sqlite();
    let mut setup = Setup::on(database.url());
    setup.add_nas("address = \"127.0.0.0/8\"\nsecret = \"testing123\"\n");
    let server = setup.start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let nas = NasSocket::bind(1);
    let mut at = Vec::new();
    for number in 0..ADDRESSES {
        if number % 1_000 == 0 {
            assert_eq!(nas.ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
            at.push(resident(server.process.id()));
        }
        let address = Ipv4Addr::from_bits(0x7f40_0000 + number);
        let forger = NasSocket::bind_at(address);
        let name = format!("forged-{number}");
        let mut request = unsigned_login(1, &name, "guessed", &[]);
        let mut record = Record::start("bob", &number.to_string()).encode(2);
        // What a forger can do without the secret: sign wrongly, or not at all.
        record[10] ^= 1;
        if number % 2 == 0 {
            request = login(1, &name, "guessed", &[]);
            request[4] ^= 1;
        }
        forger.send(server.auth, &request);
        forger.send(server.accounting, &record);
        if let Some(reply) = (number % 50 == 49).then(|| forger.receive(Duration::from_secs(2))).flatten() {
            assert_eq!(reply[0], Code::AccessReject.number());
            assert!(reply.len() <= request.len(), "{} octets for {}", reply.len(), request.len());
        }
    }
    assert_eq!(nas.ask(server.auth, &login(2, "bob", "hello", &[])), Code::AccessAccept);
    let (early, last) = (at[2], resident(server.process.id()));
    assert!(
        last < early + (16 << 20),
        "{early} octets after 2000 addresses, {last} after {ADDRESSES}: {at:?}"
    );
    assert!(
        server.metric("tollkeeper_discards_total{reason=\"authenticator\",nas=\"127.0.0.0/8\"}") > 5_000.0
    );
    server.stop();
}

#[test]
fn br_10_who_signs_is_reported_and_held_to_it_over_a_restart() {
    let mut database = Database::sqlite();
    let mut setup = Setup::on(database.url());
    setup.add_nas("address = \"127.0.0.8/29\"\nsecret = \"testing123\"\nname = \"towers\"\n");
    let server = setup.start();
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    let (signs, does_not) = (NasSocket::bind(9), NasSocket::bind(10));
    assert_eq!(signs.ask(server.auth, &login(1, "bob", "hello", &[])), Code::AccessAccept);
    assert_eq!(does_not.ask(server.auth, &unsigned_login(2, "bob", "hello", &[])), Code::AccessAccept);
    assert_eq!(server.metric("tollkeeper_unsigned_logins_total{nas=\"towers\"}"), 1.0);
    eventually("the metric of who signs", || {
        let sources = |habit| format!("tollkeeper_nas_sources{{nas=\"towers\",signing=\"{habit}\"}}");
        (["signed", "unsigned"].map(|habit| server.metric(&sources(habit))) == [1.0, 1.0]).then_some(())
    });
    let habits = |setup: &Setup| {
        let said = setup.run(&["nas", "readiness", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let towers = report.as_array().unwrap().iter().find(|nas| nas["name"] == "towers").unwrap().clone();
        let line = |seen: &serde_json::Value| {
            let words =
                ["source", "signing", "would_discard"].map(|key| seen[key].as_str().unwrap().to_owned());
            words.join(" ")
        };
        let sources: Vec<_> = towers["sources"].as_array().unwrap().iter().map(line).collect();
        (towers["ready"].as_bool(), sources)
    };
    let unsigned = "127.0.0.10 unsigned every login".to_owned();
    eventually("the report", || {
        (habits(&setup) == (Some(false), vec![unsigned.clone(), "127.0.0.9 signed nothing".to_owned()]))
            .then_some(())
    });
    server.stop();
    assert_eq!(habits(&setup).1.len(), 2, "it is there without a server too");
    let server = setup.start();
    let discards = "tollkeeper_discards_total{reason=\"unsigned\",nas=\"towers\"}";
    signs.send(server.auth, &unsigned_login(3, "bob", "hello", &[]));
    assert_eq!(does_not.ask(server.auth, &unsigned_login(4, "bob", "hello", &[])), Code::AccessAccept);
    eventually("what is not signed any more is discarded", || (server.metric(discards) == 1.0).then_some(()));
    assert!(setup.run(&["nas", "forget", "127.0.0.9"]).status.success());
    eventually("another device in its place is served", || {
        signs.try_ask(server.auth, &unsigned_login(5, "bob", "hello", &[]), Duration::from_millis(200))
    });
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
