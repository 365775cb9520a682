//! The HTTP side of the real binary: TLS, callers who mean harm or make mistakes, and what the log says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::databases::Kind;
use crate::support::eventually;
use crate::support::server::{Database, Server, Setup};

fn of_tests(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// The status line of `/health` over TLS, and the certificate that was shown.
fn over_tls(at: SocketAddr) -> Result<(String, CertificateDer<'static>), String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(of_tests("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(config, name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(at).unwrap());
    let ask = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    // A server may close without saying so.
    let _end = stream.read_to_string(&mut answer);
    let shown = stream.conn.peer_certificates().unwrap()[0].clone();
    Ok((answer.lines().next().unwrap_or_default().to_owned(), shown.into_owned()))
}

#[test]
fn a_listener_speaks_tls_and_takes_another_certificate_while_it_serves() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let put = |name: &str| {
        std::fs::copy(of_tests(&format!("{name}.key.pem")), &key).unwrap();
        std::fs::copy(of_tests(&format!("{name}.pem")), &certificate).unwrap();
    };
    put("one");
    let setup = Setup::on(database.url())
        .variable("TOLLKEEPER_HTTP__TLS_CERTIFICATE", &certificate.display().to_string())
        .variable("TOLLKEEPER_HTTP__TLS_KEY", &key.display().to_string());
    let server = setup.start();
    let of = |name: &str| CertificateDer::from_pem_file(of_tests(&format!("{name}.pem"))).unwrap();
    assert_eq!(over_tls(server.http), Ok(("HTTP/1.1 200 OK".to_owned(), of("one"))));
    // The other listeners have no certificate, and plain HTTP on this one is no request.
    assert!(
        raw(server.antamedia, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .contains("200 OK")
    );
    assert!(!raw(server.http, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").contains("HTTP/"));

    put("two");
    server.process.signal("HUP");
    eventually("the other certificate", || (over_tls(server.http).ok()?.1 == of("two")).then_some(()));
    std::fs::write(&key, "no key").unwrap();
    server.process.signal("HUP");
    eventually("the mistake", || server.process.log().contains("the certificate stays").then_some(()));
    assert_eq!(over_tls(server.http).unwrap().1, of("two"));
    server.stop();

    let checked = setup.run(&["check"]);
    let said = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(78), "{said}");
    assert!(said.contains("http.tls_certificate") && said.contains("key.pem"), "{said}");
}

/// Whatever comes back for these octets until the server has no more to say.
pub(super) fn raw(to: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may have seen enough before it has seen all.
    let _sent = stream.write_all(octets).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let _end = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let heads = answer.match_indices("HTTP/1.1 ").map(|(at, word)| &answer[at + word.len()..]);
    heads.filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

pub(super) fn post(path: &str, token: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

pub(super) const ROOT: &str = "/mbox/api/hotspot";

/// A key made by the command line, and a token for it.
pub(super) fn key_and_token(setup: &Setup, server: &Server) -> (String, String) {
    let made =
        setup.run(&["key", "create", "--dialect", "mfusion", "--rights", "read,write,secrets", "--json"]);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let [id, secret] = ["key_id", "secret"].map(|part| made[part].as_str().unwrap().to_owned());
    let body = format!(r#"{{"api_id":"{id}","secret":"{secret}"}}"#);
    let answer = raw(server.http, &post(&format!("{ROOT}/auth"), "", "application/json", body.as_bytes()));
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    (secret, body["token"].as_str().unwrap().to_owned())
}

const POSTS: [&str; 8] = [
    "/auth",
    "/users",
    "/users/1",
    "/users/1/actions/attach-profile",
    "/users/1/actions/detach-profile",
    "/user-access/1/actions/attach-access",
    "/user-access/1/actions/detach-access",
    "/no/such/endpoint",
];
const GETS: [&str; 10] = [
    "/historical-sessions",
    "/online-sessions",
    "/login-attempts",
    "/quota-purchase-report",
    "/users",
    "/users/1",
    "/profiles",
    "/profiles/P/users",
    "/user-access",
    "/user-access/1",
];
const ANTAMEDIA: [&str; 12] = [
    "generateaccounts",
    "updateaccount",
    "refillaccount",
    "viewaccount",
    "deleteaccount",
    "getpriceplans",
    "getstatistics",
    "getaccountlog",
    "getaccountlist",
    "loginaccount",
    "logoutaccount",
    "getaccountsummary",
];

#[test]
fn callers_who_mean_harm_are_refused_and_change_nothing() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let Some(mut database) = Database::create(kind) else { continue };
        let setup =
            Setup::on(database.url()).variable("TOLLKEEPER_ANTAMEDIA__PASSPHRASE", "open-sesame-of-a-test");
        let server = setup.start();
        let (secret, token) = key_and_token(&setup, &server);
        let state = |database: &mut Database| {
            ["tk_subscriber", "radcheck", "radreply", "radusergroup", "tk_audit", "tk_plan"]
                .map(|table| database.rows(&format!("SELECT CAST(COUNT(*) AS CHAR(9)) FROM {table}")))
        };
        let before = state(&mut database);
        let mut broken = Vec::new();
        let mut ask = |what: &str, to: SocketAddr, octets: &[u8], allowed: &[u16]| {
            let answer = raw(to, octets);
            let got = statuses(&answer);
            if got.iter().any(|status| !allowed.contains(status)) || got.is_empty() && !allowed.contains(&0) {
                broken.push(format!("{what}: {answer:.300}"));
            }
        };

        // Antamedia first: from here on its passphrase is refused, after all the wrong keys below.
        let odd = [
            "%00",
            "%27%20OR%201=1--",
            "%ff%fe",
            "..%2f..%2fetc",
            "%0d%0aX:%20y",
            "99999999999999999999",
            "-1",
            "%3Cscript%3E",
            "%25",
            "a%0a",
        ];
        for text in odd {
            for command in ANTAMEDIA.into_iter().filter(|command| *command != "generateaccounts") {
                let path = format!(
                    "/{command}?account={text}&priceplan={text}&from={text}&to={text}&ip={text}&mac={text}&timeleft={text}&pass=open-sesame-of-a-test"
                );
                ask(&path, server.antamedia, &get(&path, ""), &[200, 404]);
            }
        }

        // Octets that are no request.
        let long = |length: usize| "x".repeat(length);
        let head = |line: &str, more: &str| {
            format!("{line}\r\nHost: x\r\nConnection: close\r\n{more}\r\n").into_bytes()
        };
        let many: String = (0..500).map(|number| format!("X-{number}: y\r\n")).collect();
        let auth = format!("POST {ROOT}/auth HTTP/1.1");
        for (what, octets) in [
            ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
            ("no method", head(" / HTTP/1.1", "")),
            ("HTTP/9", head("GET / HTTP/9.9", "")),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
            ("long path", head(&format!("GET /{} HTTP/1.1", long(70_000)), "")),
            ("long header", head("GET /health HTTP/1.1", &format!("X: {}\r\n", long(70_000)))),
            ("many headers", head("GET /health HTTP/1.1", &many)),
            ("NUL in a header", head("GET /health HTTP/1.1", "X: a\0b\r\n")),
            ("negative length", head(&auth, "Content-Length: -1\r\n")),
            ("two lengths", [&head(&auth, "Content-Length: 1\r\nContent-Length: 2\r\n")[..], b"{}"].concat()),
            ("wrong chunk", [&head(&auth, "Transfer-Encoding: chunked\r\n")[..], b"zz\r\n{}\r\n"].concat()),
            ("cut body", [&head(&auth, "Content-Length: 100\r\n")[..], b"{}"].concat()),
        ] {
            ask(what, server.http, &octets, &[0, 400, 404, 413, 414, 431, 505]);
        }

        // Bodies.
        let deep = format!("{{\"username\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        let large = format!("{{\"username\":\"{}\"}}", long(2_000_000));
        let texts = [
            "{",
            "null",
            "[]",
            "42",
            "\u{feff}{}",
            "{\"username\":",
            "{\"username\":\"a\",}",
            "{'username':'a'}",
            &deep,
            &large,
        ];
        for path in POSTS.map(|path| format!("{ROOT}{path}")) {
            for body in texts {
                let octets = post(&path, &token, "application/json", body.as_bytes());
                ask(&format!("{path} {body:.40}"), server.http, &octets, &[0, 400, 404, 413]);
            }
            let octets = post(&path, &token, "application/json", b"{\"username\":\"\xff\xfe\"}");
            ask(&format!("{path} no UTF-8"), server.http, &octets, &[400, 404]);
            let size = format!("{:x}\r\n", 2_000_000);
            let chunked = head(
                &format!("POST {path} HTTP/1.1"),
                &format!("Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n"),
            );
            let chunked =
                [&chunked[..], size.as_bytes(), long(2_000_000).as_bytes(), b"\r\n0\r\n\r\n"].concat();
            ask(&format!("{path} large and chunked"), server.http, &chunked, &[0, 400, 404, 413]);
        }
        // What parses and is still wrong: every field of the wrong type, or with text that no name can have.
        let fields = [
            "api_id",
            "secret",
            "username",
            "password",
            "usertype",
            "profiles",
            "profileName",
            "disabled",
            "attribute",
            "attributes",
            "value",
            "email",
        ];
        let values = [
            "{\"a\":1}",
            "[[1]]",
            "true",
            "1e400",
            "\"\\u0000\"",
            "\"';DROP TABLE radcheck;--\"",
            "\"\\u202e\\u0007\"",
            "\"<&>\"",
            "-99999999999999999999999",
        ];
        for path in POSTS.iter().map(|path| format!("{ROOT}{path}")) {
            for value in values {
                let members: Vec<_> = fields.map(|field| format!("\"{field}\":{value}")).into();
                let body = format!("{{{},{}}}", members.join(","), members.join(","));
                let octets = post(&path, &token, "application/json", body.as_bytes());
                ask(&format!("{path} {value}"), server.http, &octets, &[200, 400, 401, 404, 429]);
            }
        }

        // Paths and queries.
        for text in odd {
            for path in [
                format!("/users/{text}"),
                format!("/user-access/{text}"),
                format!("/profiles/{text}/users"),
                format!("/{text}"),
            ] {
                ask(&path, server.http, &get(&format!("{ROOT}{path}"), &token), &[200, 400, 404]);
            }
            let octets =
                post(&format!("{ROOT}/users/{text}"), &token, "application/json", b"{\"firstname\":\"x\"}");
            ask(&format!("POST /users/{text}"), server.http, &octets, &[200, 400, 404]);
            for path in GETS {
                let names = [
                    "page",
                    "perPage",
                    "username",
                    "id",
                    "hotspot",
                    "nas",
                    "macaddress",
                    "calledstationid",
                    "ipaddress",
                    "startTime",
                    "endTime",
                    "reply",
                    "transaction_time",
                    "plan_name",
                    "user_profiles",
                    "remarks",
                ];
                let query: Vec<_> = names.map(|name| format!("{name}={text}")).into();
                let each = query
                    .iter()
                    .map(String::as_str)
                    .chain([query.join("&")].iter().map(String::as_str))
                    .map(str::to_owned)
                    .collect::<Vec<_>>();
                for query in each {
                    ask(
                        &format!("{path}?{query}"),
                        server.http,
                        &get(&format!("{ROOT}{path}?{query}"), &token),
                        &[200, 400, 404],
                    );
                }
            }
        }

        // Two requests at once on one connection, and a connection that says nothing beside others that do.
        let silent = TcpStream::connect(server.http).unwrap();
        let one = get("/health", "");
        let two = String::from_utf8(one.clone()).unwrap().replace("Connection: close\r\n", "");
        let answer = raw(server.http, &[two.as_bytes(), two.as_bytes(), &one].concat());
        assert_eq!(statuses(&answer), [200, 200, 200], "{answer}");
        drop(silent);

        assert!(broken.is_empty(), "on {kind:?}:\n{}", broken.join("\n"));
        assert_eq!(before, state(&mut database), "on {kind:?}");
        let (_, metrics) = server.get("/metrics");
        let faults: Vec<_> = metrics
            .lines()
            .filter(|line| line.contains("http_requests") && line.contains("status=\"5"))
            .collect();
        assert!(faults.is_empty(), "{faults:?}");
        let log = server.process.log();
        for word in [secret.as_str(), token.as_str(), "open-sesame", "DROP TABLE"] {
            assert!(!log.contains(word), "the log has {word}");
        }
        assert!(!log.contains("ERROR"), "{log:.2000}");
        server.stop();
    }
}
