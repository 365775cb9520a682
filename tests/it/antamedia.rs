//! The Antamedia dialect over real sockets, as its clients speak: raw requests, fixed places in the answer.
//! What each command does is told in `tests/data/scenarios/antamedia_*.txt`.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollkeeper::server::Server;
use tollkeeper::time::SystemClock;

use crate::support::databases::{Kind, Raw, TestDatabase, battery};
use crate::support::server::{Database, Setup, get};
use crate::support::{embedded, eventually};

battery! {
    a_vending_machine_finds_its_code_at_a_fixed_place,
    answers_say_how_long_they_are_and_close_when_asked,
    a_form_is_as_good_as_a_query,
    who_does_not_know_the_passphrase_learns_nothing,
    ten_thousand_accounts_are_made_in_seconds,
    card_data_are_nowhere_afterwards,
    hostile_requests_change_nothing,
    options_show_more_and_say_errors_as_a_status,
}

const PASS: &str = "open-sesame";

struct World {
    server: Server,
    raw: Raw,
    _data_dir: tempfile::TempDir,
}

impl World {
    async fn start(database: &TestDatabase, options: &[(&str, &str)]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let mut config = vec![
            ("antamedia.listen".to_owned(), "\"127.0.0.1:0\"".to_owned()),
            ("antamedia.passphrase".to_owned(), format!("\"{PASS}\"")),
        ];
        config.extend(options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let settings = embedded::settings(&database.url, data_dir.path(), &config, "");
        let clock = Arc::new(SystemClock);
        let server = Box::pin(Server::start(&settings, clock, embedded::metrics())).await.unwrap();
        let mut raw = database.raw().await;
        raw.run(
            "INSERT INTO tk_plan (id, name, groupname, price, currency, time_seconds, rate_down, rate_up) VALUES (2, 'Gold', 'Gold', '8.00', 'USD', 3600, 1048576, 524288)",
        )
        .await;
        raw.run("INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('Gold', 'Fall-Through', ':=', 'Yes')")
            .await;
        Self { server, raw, _data_dir: data_dir }
    }

    /// Sends these octets and reads until the server closes.
    async fn send(&self, request: &str) -> String {
        let address = self.server.ready().http.antamedia.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, target: &str) -> String {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    /// The same with the passphrase; gives the body.
    async fn ask(&self, target: &str) -> String {
        let sign = if target.contains('?') { '&' } else { '?' };
        let answer = self.get(&format!("{target}{sign}pass={PASS}")).await;
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    async fn stop(self) {
        drop(self.raw);
        self.server.stop().await;
    }
}

/// The text of the first element of that name.
fn element<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, rest) = body.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {body}"));
    rest.split_once(&format!("</{name}>")).unwrap().0
}

fn description(body: &str) -> &str {
    element(body, "Description")
}

/// Sketches of coin machines read five characters at 1476 of all that comes, whatever stands around them.
async fn a_vending_machine_finds_its_code_at_a_fixed_place(database: &TestDatabase) {
    let world = World::start(database, &[("antamedia.pad_first_username_to", "1476")]).await;
    for (version, connection) in
        [("1.1", "Connection: close\r\n"), ("1.0", ""), ("1.0", "Connection: close\r\n")]
    {
        let answer = world
            .send(&format!(
                "GET /generateaccounts?number=1&priceplan=2&type=2&sell=1&passlength=5&inactivity=0&timeleft=600&pass={PASS} HTTP/{version}\r\nHost: x\r\n{connection}\r\n"
            ))
            .await;
        let code = &answer[1_476..1_481];
        assert_eq!(element(&answer, "Username"), code, "{answer}");
        assert!(code.bytes().all(|letter| letter.is_ascii_alphanumeric()), "{answer}");
        assert!(answer.starts_with(&format!("HTTP/{version} 200 OK\r\n")), "{answer}");
    }
    world.stop().await;
    // A DTD fits where there is room for it.
    let world = World::start_again(database, "1900").await;
    let answer = world.get(&format!("/generateaccounts?type=2&passlength=5&pass={PASS}")).await;
    assert_eq!(&answer[1_900..1_905], element(&answer, "Username"));
    assert!(answer.contains("<!DOCTYPE Accounts ["), "{answer}");
    world.stop().await;
}

impl World {
    async fn start_again(database: &TestDatabase, at: &str) -> Self {
        let mut raw = database.raw().await;
        raw.run("DELETE FROM tk_plan").await;
        raw.run("DELETE FROM radgroupreply").await;
        Self::start(database, &[("antamedia.pad_first_username_to", at)]).await
    }
}

async fn answers_say_how_long_they_are_and_close_when_asked(database: &TestDatabase) {
    let world = World::start(database, &[]).await;
    let answer = world.get(&format!("/GetPricePlans/?PASS={PASS}")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/xml; charset=UTF-8"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(head.contains("Connection: close"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("content-encoding"), "{head}");
    assert!(
        body.ends_with(
            "]>\r\n<PricePlans><PricePlan><ID>2</ID><Description>Gold</Description><Price>8</Price><Time>3600</Time><TimeHHMM>01:00</TimeHHMM><UnlimitedTime>False</UnlimitedTime><Quota>0</Quota><UnlimitedQuota>True</UnlimitedQuota><Download>131072</Download><Upload>65536</Upload><Enabled>True</Enabled></PricePlan></PricePlans>\r\n"
        ),
        "{body}"
    );
    // A connection that nobody asks to close serves the next request too.
    let twice = format!(
        "GET /getaccountlist?pass={PASS} HTTP/1.1\r\nHost: x\r\n\r\nGET /getaccountlist?pass={PASS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let both = world.send(&twice).await;
    assert_eq!(both.matches("<Accounts></Accounts>").count(), 2, "{both}");
    let head = world
        .send(&format!("HEAD /getaccountlist?pass={PASS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        .await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    world.stop().await;
}

async fn a_form_is_as_good_as_a_query(database: &TestDatabase) {
    let mut world = World::start(database, &[]).await;
    let body = format!("pass={PASS}&ACCOUNT=jane&password=s3cret&Number=1&&x=");
    let answer = world
        .send(&format!(
            "POST /generateaccounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert_eq!(element(&answer, "Username"), "jane", "{answer}");
    assert_eq!(element(&answer, "Password"), "s3cret", "{answer}");
    // The query counts before the body.
    let body = "account=nobody";
    let answer = world
        .send(&format!(
            "POST /viewaccount?account=jane&pass={PASS} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert_eq!(element(&answer, "Username"), "jane", "{answer}");
    assert_eq!(element(&answer, "Password"), "", "{answer}");
    let rows = world.raw.rows("SELECT value FROM radcheck WHERE username = 'jane'").await;
    assert_eq!(rows, [["s3cret"]]);
    world.stop().await;
}

async fn who_does_not_know_the_passphrase_learns_nothing(database: &TestDatabase) {
    let world = World::start(database, &[("http.failures_per_minute", "4")]).await;
    for target in
        ["/viewaccount?account=x", "/viewaccount?account=x&pass=", "/viewaccount?quota=x&pass=wrong"]
    {
        let answer = world.get(target).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(description(&answer), "ERROR: Invalid password");
    }
    let answer = world.get("/nothing?pass=wrong").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(description(&answer), "ERROR: Invalid password");
    // From now on nothing is looked at.
    let answer = world.get(&format!("/getaccountlist?pass={PASS}")).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert_eq!(description(&answer), "ERROR: Invalid password");
    world.stop().await;
    let world = World::start_again(database, "1900").await;
    let answer = world.get(&format!("/?pass={PASS}")).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(description(&answer), "ERROR: Unknown command");
    world.stop().await;
}

async fn ten_thousand_accounts_are_made_in_seconds(database: &TestDatabase) {
    let mut world = World::start(database, &[]).await;
    let body =
        world.ask("/generateaccounts?number=10000&priceplan=2&type=2&account=3H&sell=1&quota=1000000").await;
    assert_eq!(body.matches("<Username>3H").count(), 10_000);
    let rows = world.raw.rows("SELECT CONCAT('', COUNT(*)), CONCAT('', COUNT(DISTINCT username)) FROM tk_subscriber WHERE sold = 1").await;
    assert_eq!(rows, [["10000", "10000"]]);
    let rows = world.raw.rows("SELECT CONCAT('', COUNT(*)) FROM tk_quota WHERE origin = 'override'").await;
    assert_eq!(rows, [["20000"]]);
    let rows = world.raw.rows("SELECT CONCAT('', COUNT(*)) FROM tk_ledger WHERE action = 'SALE'").await;
    assert_eq!(rows, [["10000"]]);
    let list = world.ask("/getaccountlist").await;
    assert_eq!(list.matches("<Username>").count(), 10_000);
    // All or none.
    let body = world.ask("/generateaccounts?number=10001&priceplan=2").await;
    assert_eq!(description(&body), "ERROR: Invalid parameter number");
    world.stop().await;
}

async fn card_data_are_nowhere_afterwards(database: &TestDatabase) {
    let mut world = World::start(database, &[]).await;
    world.ask("/generateaccounts?account=jane").await;
    let body = world
        .ask("/updateaccount?account=jane&firstname=Jane&ccname=CARDHOLDER&cctype=1&ccnumber=4111111111111111&ccpassword=CARDPASS&ccexpmonth=11&ccexpyear=2031999&cccvv2=98765432")
        .await;
    assert_eq!(description(&body), "SUCCESS");
    let tables = match database.kind {
        Kind::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Kind::Postgres => "SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = 'public'",
        Kind::MySql => "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
    };
    let mut found = 0;
    for table in world.raw.rows(tables).await.concat() {
        let text = format!("{:?}", world.raw.rows(&format!("SELECT * FROM {table}")).await);
        found += usize::from(text.contains("Jane"));
        for secret in ["4111111111111111", "CARDPASS", "98765432", "CARDHOLDER", "2031999"] {
            assert!(!text.contains(secret), "{table}: {secret}: {text}");
        }
    }
    assert_eq!(found, 1, "the first name is in the table of contacts alone");
    world.stop().await;
}

async fn hostile_requests_change_nothing(database: &TestDatabase) {
    let mut world = World::start(database, &[("http.body_limit", "1024")]).await;
    world.ask("/generateaccounts?account=jane&timeleft=60").await;
    let before = world.raw.rows("SELECT CONCAT('', COUNT(*)) FROM tk_audit").await;
    let long = "x".repeat(300);
    for (target, said) in [
        ("/updateaccount?account=jane&quota=-1".to_owned(), "ERROR: Invalid parameter quota"),
        ("/updateaccount?account=jane&timeleft=1e9".to_owned(), "ERROR: Invalid parameter timeleft"),
        ("/updateaccount?account=jane&expiredate=20250230".to_owned(), "ERROR: Invalid parameter expiredate"),
        ("/updateaccount?account=jane&groupplan=99".to_owned(), "ERROR: Price plan does not exist"),
        ("/updateaccount?account=jane&moneydec=1".to_owned(), "ERROR: Invalid parameter moneydec"),
        ("/updateaccount?account=jane&email=nobody".to_owned(), "ERROR: Invalid parameter email"),
        (format!("/updateaccount?account=jane&firstname={long}"), "ERROR: Invalid parameter firstname"),
        (format!("/updateaccount?account=jane&password={long}"), "ERROR: Invalid parameter password"),
        (
            "/updateaccount?account=jane%27%20OR%201=1--&timeleft=0".to_owned(),
            "ERROR: Account does not exist",
        ),
        ("/updateaccount?account=%00&timeleft=0".to_owned(), "ERROR: Invalid parameter account"),
        ("/updateaccount?account=%ff%fe&timeleft=0".to_owned(), "ERROR: Account does not exist"),
        ("/updateaccount?account=%3CAccount%3E&timeleft=0".to_owned(), "ERROR: Account does not exist"),
        ("/deleteaccount?account=%25".to_owned(), "ERROR: Account does not exist"),
        ("/deleteaccount?account=JANE".to_owned(), "ERROR: Account does not exist"),
        ("/generateaccounts?account=jane".to_owned(), "ERROR: Account already exists"),
        (format!("/generateaccounts?account={long}"), "ERROR: Invalid parameter account"),
        ("/generateaccounts?account=a%0Ab".to_owned(), "ERROR: Invalid parameter account"),
        ("/generateaccounts?priceplan=99".to_owned(), "ERROR: Price plan does not exist"),
        ("/generateaccounts?number=40&length=1&type=2".to_owned(), "ERROR: Invalid parameter length"),
        ("/refillaccount?account=jane&priceplan=99".to_owned(), "ERROR: Price plan does not exist"),
        ("/getaccountlog?account=nobody".to_owned(), "ERROR: Account does not exist"),
        ("/getaccountlog?account=jane&from=2025-01-01".to_owned(), "ERROR: Invalid parameter from"),
        ("/getstatistics?to=20251301".to_owned(), "ERROR: Invalid parameter to"),
        ("/getaccountsummary?account=nobody".to_owned(), "ERROR: Account does not exist"),
        ("/loginaccount?account=jane".to_owned(), "ERROR: Missing parameter mac"),
        ("/loginaccount?account=jane&ip=10.0.0.9".to_owned(), "ERROR: Invalid parameter ip"),
        ("/loginaccount?account=nobody&mac=02-00-00-00-00-01".to_owned(), "ERROR: Account does not exist"),
        ("/logoutaccount?account=jane".to_owned(), "ERROR: Account is not logged in"),
        ("/logoutaccount?account=nobody".to_owned(), "ERROR: Account does not exist"),
        ("/logoutaccount".to_owned(), "ERROR: Missing parameter account"),
    ] {
        assert_eq!(description(&world.ask(&target).await), said, "{target}");
    }
    for (request, status) in [
        (format!("PUT /getaccountlist?pass={PASS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "405"),
        (
            format!(
                "HEAD /deleteaccount?account=jane&pass={PASS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ),
            "405",
        ),
        (
            format!(
                "POST /viewaccount HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n{}",
                "x".repeat(2_000)
            ),
            "413",
        ),
    ] {
        let answer = world.send(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(world.raw.rows("SELECT CONCAT('', COUNT(*)) FROM tk_audit").await, before);
    assert_eq!(element(&world.ask("/viewaccount?account=jane").await, "TimeLeft"), "60");
    world.stop().await;
}

/// What options change, and nothing else.
async fn options_show_more_and_say_errors_as_a_status(database: &TestDatabase) {
    let options = [
        ("antamedia.reveal_passwords", "true"),
        ("antamedia.extended", "true"),
        ("antamedia.http_errors", "\"rest\""),
    ];
    let world = World::start(database, &options).await;
    let made = world
        .ask("/generateaccounts?account=jane&password=s3cret&priceplan=2&sell=1&autologin=1&inactivity=1")
        .await;
    assert!(made.contains("MonthlyQuota,Type,Sold,Money,Autologin,Inactivity,MultiLogin,MultiLogins,FirstName,LastName,Email,Phone,Mobile ))>"), "{made}");
    let body = world.ask("/updateaccount?account=jane&type=1&money=2.5&multilogin=1&multilogins=3&firstname=%3CJane%3E&lastname=Doe&email=j%40d.example&phone=1&mobile=2").await;
    assert_eq!(description(&body), "SUCCESS");
    let view = world.ask("/viewaccount?account=jane").await;
    assert_eq!(element(&view, "Password"), "s3cret");
    let (_, more) = view.split_once("</MonthlyQuota>").unwrap();
    assert_eq!(
        more,
        "<Type>1</Type><Sold>True</Sold><Money>2.50</Money><Autologin>True</Autologin><Inactivity>True</Inactivity><MultiLogin>True</MultiLogin><MultiLogins>3</MultiLogins><FirstName>&lt;Jane&gt;</FirstName><LastName>Doe</LastName><Email>j@d.example</Email><Phone>1</Phone><Mobile>2</Mobile></Account></Accounts>\r\n"
    );
    // A ticket has no password to show.
    let ticket = world.ask("/generateaccounts?type=2").await;
    let view = world.ask(&format!("/viewaccount?account={}", element(&ticket, "Username"))).await;
    assert_eq!((element(&view, "Password"), element(&view, "Type")), ("", "2"));
    for (target, status, said) in [
        ("/viewaccount?account=jane&pass=wrong", "403", "ERROR: Invalid password"),
        ("/viewaccount?account=nobody", "404", "ERROR: Account does not exist"),
        ("/refillaccount?account=jane&priceplan=9", "404", "ERROR: Price plan does not exist"),
        ("/generateaccounts?account=jane", "409", "ERROR: Account already exists"),
        ("/logoutaccount?account=jane", "409", "ERROR: Account is not logged in"),
        ("/viewaccount", "400", "ERROR: Missing parameter account"),
        ("/generateaccounts?number=x", "400", "ERROR: Invalid parameter number"),
    ] {
        let sign = if target.contains('?') { '&' } else { '?' };
        let answer = world.get(&format!("{target}{sign}pass={PASS}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        assert_eq!(description(&answer), said);
    }
    world.stop().await;
}

/// Neither the passphrase nor passwords nor card data, whatever is logged.
#[test]
fn nothing_secret_is_logged() {
    let database = Database::sqlite();
    let process = Setup::on(database.url())
        .variable("TOLLKEEPER_ANTAMEDIA__PASSPHRASE", PASS)
        .variable("TOLLKEEPER_LOG__LEVEL", "trace")
        .start();
    for target in [
        "/generateaccounts?account=jane&password=PASSWORD",
        "/updateaccount?account=jane&ccnumber=4111111111111111&cccvv2=98765432&ccpassword=CARDPASS&ccname=CARDHOLDER&ccexpyear=2031999",
        "/UpdateAccount?account=jane&password=OTHERWORD&quota=x",
        "/nothing?password=PASSWORD",
    ] {
        let (_, body) = get(process.antamedia, &format!("{target}&pass={PASS}"));
        assert!(!body.is_empty());
    }
    let log = eventually("the requests are in the log", || {
        let log = process.process.log();
        (log.matches("HTTP request").count() >= 4).then_some(log)
    });
    for secret in
        [PASS, "PASSWORD", "OTHERWORD", "4111111111111111", "98765432", "CARDPASS", "CARDHOLDER", "2031999"]
    {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    process.stop();
}
