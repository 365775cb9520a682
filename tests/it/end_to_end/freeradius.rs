//! A stock FreeRADIUS 3.2 on our database: the same subscribers, and sessions that meet in one row.

use std::net::SocketAddr;

use crate::support::databases::Kind;
use crate::support::freeradius::FreeRadius;
use crate::support::programs::Radclient;
use crate::support::server::{Database, Server, Setup, text};

#[test]
fn freeradius_on_the_same_sqlite_file_shares_subscribers_and_sessions() {
    share(Kind::Sqlite);
}

#[test]
fn freeradius_on_the_same_postgresql_shares_subscribers_and_sessions() {
    share(Kind::Postgres);
}

fn share(kind: Kind) {
    let Some(client) = Radclient::find() else { return };
    let Some(mut database) = Database::create(kind) else { return };
    let setup = Setup::on(database.url());
    let server = setup.start();
    setup.done(&["subscriber", "add", "alice", "--password-stdin"], "open sesame\n");
    database.subscriber("bob", &[("Cleartext-Password", "hello")]);
    database.subscriber("sha", &[("Crypt-Password", super::SHA_CRYPT)]);
    database.subscriber("gold", &[("Cleartext-Password", "hello")]);
    database.run("INSERT INTO radusergroup (username, groupname, priority) VALUES ('gold', 'fast', 1)");
    database.run(
        "INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('fast', 'Session-Timeout', ':=', '3600')",
    );
    let Some(theirs) = FreeRadius::start(kind, &database) else { return };

    for (user, password, accepted) in [
        ("alice", "open sesame", true),
        ("bob", "hello", true),
        ("bob", "wrong", false),
        ("sha", "hello", true),
        ("gold", "hello", true),
    ] {
        for (name, auth) in [("we", server.auth), ("FreeRADIUS", theirs.auth)] {
            let said = client.radtest(auth, user, password);
            assert_eq!(said.content, accepted, "{name}, {user}: {}", said.text);
            let timeout = said.line("Session-Timeout = 3600").is_some();
            assert_eq!(timeout, user == "gold", "{name}: {}", said.text);
        }
    }
    let ports = ["NAS-Port = 7", "NAS-Port-Id = \"ether1\"\nNAS-Identifier = \"bras\"", "NAS-Port = 0"];
    for (number, port) in ports.into_iter().enumerate() {
        let ours = |server: &Server| server.accounting;
        for (first, opens, closes) in
            [("theirs", theirs.accounting, ours(&server)), ("ours", ours(&server), theirs.accounting)]
        {
            let session = format!("{first}-{number}");
            let record = |to: SocketAddr, status: &str, counters: &str| {
                let request = format!(
                    "User-Name = bob\nAcct-Session-Id = \"{session}\"\nAcct-Status-Type = {status}\n\
                     NAS-IP-Address = 127.0.0.1\n{port}\n{counters}"
                );
                let said = client.send(to, "acct", &request);
                assert!(said.line("Received Accounting-Response").is_some(), "{session}: {}", said.text);
            };
            record(opens, "Start", "");
            record(
                closes,
                "Stop",
                "Acct-Session-Time = 90\nAcct-Input-Octets = 1500\nAcct-Output-Octets = 9000\nAcct-Terminate-Cause = User-Request",
            );
            let sql = format!(
                "SELECT {}, {}, {}, acctterminatecause, CASE WHEN acctstoptime IS NULL THEN 'open' ELSE 'closed' END
                 FROM radacct WHERE acctsessionid = '{session}'",
                text("acctsessiontime"),
                text("acctinputoctets"),
                text("acctoutputoctets"),
            );
            let rows = database.rows(&sql);
            assert_eq!(rows, [["90", "1500", "9000", "User-Request", "closed"]], "{session}");
        }
    }
    drop(theirs);
    server.stop();
}
