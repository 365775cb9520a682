//! The server, its database and its NASes, and what each step of a scenario does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use tollkeeper::coa::{Kind as CoaKind, Verdict};
use tollkeeper::config::Settings;
use tollkeeper::domain::Amount;
use tollkeeper::radius::{Code, Dictionary, Secret};
use tollkeeper::server::Server;
use tollkeeper::time::{Clock, Now, SystemClock, UnixTime};

use super::client::{Exchange, Letter, TestNas};
use super::http::{Key, PASSPHRASE};
use super::script::{
    Scenario, Script, assignment, numbered, pieces, plain, seconds, since_start, times, word,
};
use super::stall::{Flow, Stall};
use crate::support::databases::{Kind, Raw, TestDatabase};
use crate::support::embedded::{self, MovedClock, seconds_until};

const SECRET: &str = "testing123-testing123-testing123";
/// NASes by name, with what their entries in the configuration say beside address and secret.
const NASES: [(&str, Ipv4Addr, &str); 12] = [
    ("north", Ipv4Addr::new(127, 0, 0, 2), ""),
    ("south", Ipv4Addr::new(127, 0, 0, 3), ""),
    ("strict", Ipv4Addr::new(127, 0, 0, 4), "require_message_authenticator = \"yes\""),
    ("limited", Ipv4Addr::new(127, 0, 0, 5), "limit_proxy_state = \"yes\""),
    ("swapped", Ipv4Addr::new(127, 0, 0, 6), "swap_octets = true"),
    ("mikrotik", Ipv4Addr::new(127, 0, 0, 11), "type = \"mikrotik\""),
    ("chillispot", Ipv4Addr::new(127, 0, 0, 12), "type = \"chillispot\""),
    ("cisco", Ipv4Addr::new(127, 0, 0, 13), "type = \"cisco\""),
    ("huawei", Ipv4Addr::new(127, 0, 0, 14), "type = \"huawei\""),
    ("accel-ppp", Ipv4Addr::new(127, 0, 0, 15), "type = \"accel-ppp\""),
    ("hostapd", Ipv4Addr::new(127, 0, 0, 16), "type = \"hostapd\""),
    ("stranger", Ipv4Addr::new(127, 0, 0, 9), UNKNOWN),
];
/// In place of settings: it has no entry.
const UNKNOWN: &str = "unknown";
/// How long `soon` waits for what follows an answer.
const SOON: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
/// How long a reply may take; nothing waits so long unless a test fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// … where another attempt follows, or no reply is expected.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// Everything that a scenario can touch.
pub(super) struct World {
    database: TestDatabase,
    raw: Raw,
    stall: Stall,
    frozen: bool,
    clock: Arc<MovedClock>,
    settings: Settings,
    server: Option<Server>,
    dictionary: Arc<Dictionary>,
    secret: Secret,
    nases: BTreeMap<&'static str, TestNas>,
    /// By the name that a step gave them; the last one is "".
    exchanges: HashMap<String, Exchange>,
    /// Attributes that are used often, by a word.
    lists: HashMap<String, String>,
    /// What answers over HTTP were found to have, by name; and keys of mFusion, by name.
    pub(super) captured: HashMap<String, String>,
    pub(super) keys: BTreeMap<String, Key>,
    /// Class of the last Accept.
    class: String,
    start: Now,
    ahead_at_start: u64,
    /// How long a reply may take.
    patience: Duration,
    _data_dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn start(database: TestDatabase, script: &Script) -> Self {
        let clock = Arc::new(MovedClock::default());
        let secret = Secret::new(SECRET.as_bytes()).unwrap();
        let mut nases = BTreeMap::new();
        for (name, address, _) in NASES {
            nases.insert(name, TestNas::start(address, secret.clone(), clock.clone()).await);
        }
        let (stall, url) = Stall::before(&database).await;
        let url = if script.has("freeze") { url } else { database.url.clone() };
        let data_dir = tempfile::tempdir().unwrap();
        let calls = script.has("http") || script.has("ibsng");
        let config = if calls { with_listeners(&script.config) } else { script.config.clone() };
        let settings = settings(&url, data_dir.path(), &nases, &config);
        let server = Box::pin(Server::start(&settings, clock.clone(), embedded::metrics())).await.unwrap();
        let mut world = Self {
            raw: database.raw().await,
            database,
            stall,
            frozen: false,
            start: clock.now(),
            ahead_at_start: 0,
            patience: PATIENCE,
            clock,
            settings,
            server: Some(server),
            dictionary: Dictionary::embedded(),
            secret,
            nases,
            exchanges: HashMap::new(),
            lists: HashMap::new(),
            captured: HashMap::new(),
            keys: BTreeMap::new(),
            class: String::new(),
            _data_dir: data_dir,
        };
        if calls {
            world.make_keys().await;
        }
        if script.has("ibsng") {
            world.make_operators().await;
        }
        world
    }

    /// Takes every step, then looks whether usage adds up. `Err` has the line that failed.
    pub(super) async fn tell(&mut self, scenario: &Scenario) -> Result<(), (usize, String)> {
        self.start = self.clock.now();
        self.ahead_at_start = self.clock.ahead.load(Ordering::SeqCst);
        self.exchanges.clear();
        self.lists.clear();
        for step in &scenario.steps {
            if let Err(reason) = Box::pin(self.step(&step.text)).await {
                self.thaw().await;
                return Err((step.line, format!("{}\n    {reason}", step.text)));
            }
        }
        let last = scenario.steps.last().map_or(0, |step| step.line);
        self.usage_adds_up().await.map_err(|reason| (last, reason))?;
        self.ledger_adds_up().await.map_err(|reason| (last, reason))
    }

    pub(super) async fn end(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        drop((self.raw, self.stall));
        self.database.drop().await;
    }

    async fn step(&mut self, text: &str) -> Result<(), String> {
        let text = &self.captures_put_in(text);
        let (verb, rest) = word(text);
        match verb {
            "http" => self.http(rest).await?,
            "ibsng" => self.ibsng(rest).await?,
            "xmlrpc" => self.xmlrpc(rest).await?,
            "key" => self.key(rest).await?,
            "top-up" => self.top_up(rest).await?,
            "soon" if rest.starts_with("http ") => self.http_soon(rest.trim_start_matches("http ")).await?,
            "access" | "accounting" | "start" | "interim" | "stop" => self.request(verb, rest).await?,
            "expect" => self.expect(rest).await?,
            "again" => self.exchange(rest)?.again().await,
            "forge" => self.exchange(rest)?.forge().await,
            "unanswered" => match self.exchange(rest)?.replies_so_far().await? {
                0 => {}
                some => return Err(format!("{some} replies have come")),
            },
            "within" => self.within(rest).await?,
            "sql" => self.sql(rest).await?,
            "session" | "row" | "count" | "usage" | "asked" | "told" => self.look(text).await?,
            "soon" => self.look_soon(rest).await?,
            "explain" => self.explain(rest).await?,
            "let" => {
                let (name, attributes) = rest.split_once(": ").ok_or("let NAME: attributes")?;
                self.lists.insert(name.to_owned(), attributes.to_owned());
            }
            "advance" if rest.starts_with("to ") => {
                let ahead = seconds_until(self.clock.now().unix, rest.trim_start_matches("to "))?;
                self.clock.ahead.fetch_add(ahead, Ordering::SeqCst);
            }
            "advance" => drop(self.clock.ahead.fetch_add(seconds(rest)?, Ordering::SeqCst)),
            "nas" => self.nas_answers(rest)?,
            "freeze" => {
                self.frozen = true;
                let passes = if rest == "after commit" { Flow::UntilCommit } else { Flow::Nothing };
                self.stall.freeze(passes).await;
            }
            "cut" => {
                self.frozen = false;
                self.stall.cut().await;
            }
            "thaw" => self.thaw().await,
            "restart" => {
                self.shut_down().await;
                self.boot().await?;
            }
            "server" if rest == "stops" => self.shut_down().await,
            "server" if rest == "starts" => self.boot().await?,
            _ => return Err(format!("no step begins with {verb:?}")),
        }
        Ok(())
    }

    /// `{name}` is what an answer had at `<…:name>`.
    fn captures_put_in(&self, text: &str) -> String {
        self.captured
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    async fn http_soon(&mut self, text: &str) -> Result<(), String> {
        let mut waited = Duration::ZERO;
        loop {
            match self.http(text).await {
                Err(_) if waited < SOON => {
                    sleep(POLL).await;
                    waited += POLL;
                }
                outcome => return outcome,
            }
        }
    }

    async fn shut_down(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    async fn boot(&mut self) -> Result<(), String> {
        let started = Box::pin(Server::start(&self.settings, self.clock.clone(), embedded::metrics())).await;
        self.server = Some(started.map_err(|error| error.to_string())?);
        Ok(())
    }

    async fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen) {
            self.stall.thaw().await;
        }
    }

    /// `access|accounting|start|interim|stop [unsigned] [xN] NAS [as NAME]: attributes [=> outcome]`
    async fn request(&mut self, verb: &str, text: &str) -> Result<(), String> {
        let (text, outcome) = match text.split_once(" => ") {
            Some((text, outcome)) => (text, Some(outcome)),
            None => (text, None),
        };
        let (head, attributes) = text.split_once(':').ok_or("no colon after the NAS")?;
        let (mut signed, mut copies, mut name, mut nas) = (verb == "access", 1, "", None);
        let mut words = head.split_whitespace();
        while let Some(word) = words.next() {
            match (word, times(word)) {
                ("unsigned", _) => signed = false,
                ("as", _) => name = words.next().ok_or("as whom?")?,
                (_, Some(count)) => copies = count,
                (known, _) => nas = Some(self.nases.get(known).ok_or_else(|| format!("no NAS {known:?}"))?),
            }
        }
        let status = match verb {
            "start" => "Acct-Status-Type = Start,",
            "interim" => "Acct-Status-Type = Interim-Update,",
            "stop" => "Acct-Status-Type = Stop,",
            _ => "",
        };
        let code = if verb == "access" { Code::AccessRequest } else { Code::AccountingRequest };
        let mut letters = Vec::new();
        for copy in 1..=copies {
            let attributes = self.attributes(&numbered(&format!("{status} {attributes}"), copy))?;
            letters.push(Letter { code, signed, attributes });
        }
        let ready = self.server.as_ref().ok_or("no server runs")?.ready();
        let to = if verb == "access" { &ready.auth } else { &ready.accounting };
        let nas = nas.ok_or("from which NAS?")?;
        let exchange = Exchange::send(nas.address, to[0], &self.secret, &self.dictionary, &letters).await?;
        self.exchanges.insert(name.to_owned(), exchange);
        match outcome {
            Some(outcome) if name.is_empty() => self.expect(outcome).await,
            Some(outcome) => self.expect(&format!("{name}: {outcome}")).await,
            None => Ok(()),
        }
    }

    /// `Name = value, list …`, where a list stands for the attributes that `let` gave it.
    fn attributes(&self, text: &str) -> Result<Vec<(String, String)>, String> {
        let mut attributes = Vec::new();
        for piece in pieces(text, ',') {
            if let Some(list) = self.lists.get(piece) {
                attributes.extend(self.attributes(list)?);
                continue;
            }
            let (name, value) = assignment(piece)?;
            let value = match since_start(value) {
                Some(offset) => (self.start.unix.0 + offset).to_string(),
                None => value.replace("{class}", &self.class),
            };
            attributes.push((name.to_owned(), value));
        }
        Ok(attributes)
    }

    fn exchange(&mut self, name: &str) -> Result<&mut Exchange, String> {
        self.exchanges.get_mut(name).ok_or_else(|| format!("no request {name:?} was sent"))
    }

    /// `[NAME:] silence`, `[NAME:] nothing` (where the source is not served at all), or `[NAME:] [N] outcome, [N] outcome … [; Name = value | no Name | Name] …`
    async fn expect(&mut self, text: &str) -> Result<(), String> {
        let (name, text) = match text.split_once(": ") {
            Some((name, text)) if self.exchanges.contains_key(name) => (name, text),
            _ => ("", text),
        };
        let exchange = self.exchanges.get_mut(name).ok_or("nothing was sent")?;
        if text == "silence" {
            return exchange.is_silent().await;
        }
        let patience = if text == "nothing" { IMPATIENCE } else { self.patience };
        let mut conditions = pieces(text, ';').into_iter();
        let outcomes = conditions.next().unwrap_or_default();
        let (replies, missing) = exchange.replies(patience).await?;
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        if missing > 0 {
            seen.insert("nothing", missing);
        }
        let same = outcomes == "same";
        for reply in &replies {
            let word = reply.word()?;
            *seen.entry(if same && reply.is_same() { "same" } else { word }).or_default() += 1;
        }
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for outcome in pieces(outcomes, ',') {
            let (count, outcome) = match outcome.split_once(' ') {
                Some((count, outcome)) => {
                    (count.parse().map_err(|_| format!("{count:?} of what?"))?, outcome)
                }
                None => (replies.len() + missing, outcome),
            };
            if count > 0 {
                wanted.insert(outcome, count);
            }
        }
        if wanted != seen {
            return Err(format!("expected {wanted:?}, got {seen:?}"));
        }
        for condition in conditions {
            for reply in &replies {
                holds(condition, |name| reply.values(name, &self.dictionary))?;
            }
        }
        if let Some(class) = replies.last().and_then(|reply| reply.values("Class", &self.dictionary).pop()) {
            self.class = class;
        }
        Ok(())
    }

    /// `DURATION access …: … => outcome`: asks again and again until it is so. What a busy machine takes
    /// away from the pauses does not count, and it may take five times as long: what is slow is no failure
    /// here, what never comes is.
    async fn within(&mut self, text: &str) -> Result<(), String> {
        let (limit, step) = word(text);
        let limit = 5 * Duration::from_secs(seconds(limit)?);
        let begun = SystemClock.now().instant;
        let mut stolen = Duration::ZERO;
        loop {
            let (verb, rest) = word(step);
            let asked = SystemClock.now().instant;
            self.patience = IMPATIENCE;
            let outcome = Box::pin(self.request(verb, rest)).await;
            self.patience = PATIENCE;
            let passed = asked.duration_since(begun).saturating_sub(stolen);
            match outcome {
                Ok(()) => return Ok(()),
                Err(reason) if passed > limit => return Err(reason),
                Err(_) => {
                    let before = SystemClock.now().instant;
                    sleep(POLL).await;
                    stolen += SystemClock.now().instant.duration_since(before).saturating_sub(POLL);
                }
            }
        }
    }

    /// `[xN] statement`, where `{newline}` is one.
    async fn sql(&mut self, text: &str) -> Result<(), String> {
        let (copies, statement) = match word(text) {
            (first, rest) if times(first).is_some() => (times(first).unwrap_or(1), rest),
            _ => (1, text),
        };
        for copy in 1..=copies {
            let statement = self.times_put_in(&numbered(statement, copy).replace("{newline}", "\n"));
            self.raw.try_run(&statement).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// `{start+5m}` as seconds since 1970.
    fn times_put_in(&self, text: &str) -> String {
        let mut pieces = text.split("{start");
        let mut done = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (offset, rest) = piece.split_once('}').unwrap_or((piece, ""));
            let offset = since_start(&format!("start{offset}")).unwrap_or_default();
            done.push_str(&format!("{}{rest}", self.start.unix.0 + offset));
        }
        done
    }

    /// `NAS answers [coa | disconnect] ack | nak CAUSE | silence`
    fn nas_answers(&self, text: &str) -> Result<(), String> {
        let (name, text) = text.split_once(" answers ").ok_or("nas NAME answers …")?;
        let (kind, text) = match word(text) {
            ("coa", rest) => (Some(CoaKind::ChangeOfAuthorization), rest),
            ("disconnect", rest) => (Some(CoaKind::Disconnect), rest),
            _ => (None, text),
        };
        let verdict = match word(text) {
            ("ack", "") => Verdict::Ack,
            ("silence", "") => Verdict::Silence,
            ("nak", cause) => Verdict::Nak(cause.parse().map_err(|_| "nak with a number")?),
            _ => return Err("nas NAME answers [coa | disconnect] ack | nak CAUSE | silence".to_owned()),
        };
        self.nases.get(name).ok_or("no such NAS")?.answers(kind, verdict);
        Ok(())
    }

    /// `NAS coa | disconnect [; Name = value | no Name | Name] …`: what it was asked for last
    fn told(&self, text: &str) -> Result<(), String> {
        let mut conditions = pieces(text, ';').into_iter();
        let (name, wanted) = word(conditions.next().unwrap_or_default());
        let told = self.nases.get(name).ok_or("no such NAS")?.told(&self.dictionary);
        let (kind, attributes) = told.ok_or("it was told nothing")?;
        if kind != wanted {
            return Err(format!("it was told {kind}"));
        }
        let values = |name: &str| {
            let of_name = attributes.iter().filter(|(known, _)| known == name);
            of_name.map(|(_, value)| value.clone()).collect()
        };
        conditions.try_for_each(|condition| {
            holds(condition, values).map_err(|reason| format!("{reason}; it was told {attributes:?}"))
        })
    }

    /// What a step of another file needs to know.
    pub(super) const fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When the scenario began.
    pub(super) const fn start_time(&self) -> UnixTime {
        self.start.unix
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(super) fn address_of(&self, nas: &str) -> Option<IpAddr> {
        self.nases.get(nas).map(|nas| IpAddr::V4(nas.address))
    }

    /// Tries until it is so.
    pub(super) async fn soon(&self, attempt: impl AsyncFn() -> Result<(), String>) -> Result<(), String> {
        let mut waited = Duration::ZERO;
        loop {
            match attempt().await {
                Err(_) if waited < SOON => {
                    sleep(POLL).await;
                    waited += POLL;
                }
                outcome => return outcome,
            }
        }
    }

    async fn look_soon(&mut self, text: &str) -> Result<(), String> {
        let mut waited = Duration::ZERO;
        loop {
            match self.look(text).await {
                Err(_) if waited < SOON => {
                    sleep(POLL).await;
                    waited += POLL;
                }
                outcome => return outcome,
            }
        }
    }

    /// `session ID: column = value, …` (the one row of radacct), `row TABLE where …: column = value, …`,
    /// `usage LOGIN: …` (the bucket of everything), `count N TABLE where …`, `asked NAS N` (datagrams to
    /// its port of dynamic authorization), `told NAS coa; Name = value; no Name` (what the last of them said)
    async fn look(&mut self, text: &str) -> Result<(), String> {
        let (verb, rest) = word(text);
        if verb == "count" {
            let (count, from) = word(rest);
            let sql = format!("SELECT {} FROM {from}", self.text_of("COUNT(*)"));
            let found = self.raw.rows(&sql).await;
            return if found[0][0] == count { Ok(()) } else { Err(format!("there are {}", found[0][0])) };
        }
        if verb == "asked" {
            let (name, count) = word(rest);
            let asked = self.nases.get(name).ok_or("no such NAS")?.asked().to_string();
            return if asked == count { Ok(()) } else { Err(format!("it was asked {asked} times")) };
        }
        if verb == "told" {
            return self.told(rest);
        }
        let (of, columns) = rest.split_once(": ").ok_or("no `: ` before the columns")?;
        let from = match verb {
            "session" => format!("radacct WHERE acctsessionid = '{of}'"),
            "usage" => format!(
                "tk_usage WHERE day = -1 AND subscriber_id = (SELECT id FROM tk_subscriber WHERE username = '{of}')"
            ),
            _ => of.to_owned(),
        };
        let expected: Vec<_> = pieces(columns, ',').into_iter().map(assignment).collect::<Result<_, _>>()?;
        let selected: Vec<_> = expected.iter().map(|(column, _)| self.text_of(column)).collect();
        let rows = self.raw.rows(&format!("SELECT {} FROM {from}", selected.join(", "))).await;
        let [row] = rows.as_slice() else { return Err(format!("there are {} rows: {rows:?}", rows.len())) };
        for ((column, value), found) in expected.into_iter().zip(row) {
            if !self.is(value, found) {
                return Err(format!("{column} is {found:?} ({})", self.relative(found)));
            }
        }
        Ok(())
    }

    /// Is this what a column should hold? A time counts from the start of the scenario, and has passed
    /// by itself since then.
    fn is(&self, expected: &str, found: &str) -> bool {
        let Some(offset) = since_start(expected) else {
            // Where one database has no text another may have none that is set.
            // Decimals come with as many places as their column has.
            let amounts = (Amount::parse(expected), Amount::parse(found));
            return plain(expected) == found
                || expected == "\"\"" && found == "-"
                || amounts.0.is_some() && amounts.0 == amounts.1;
        };
        let moved = self.clock.ahead.load(Ordering::SeqCst) - self.ahead_at_start;
        let passed = self.clock.now().unix.minus(moved).since(self.start.unix);
        let earliest = self.start.unix.0 + offset;
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        found.parse().is_ok_and(|found: i64| (earliest..=earliest + passed + 1).contains(&found))
    }

    /// Seconds from the start of the scenario, for people.
    fn relative(&self, found: &str) -> String {
        found
            .parse::<i64>()
            .map_or_else(|_| "no time".to_owned(), |at| format!("start{:+}s", at - self.start.unix.0))
    }

    /// What makes text of a column; times become seconds since 1970.
    fn text_of(&self, column: &str) -> String {
        let is_time = ["acctstarttime", "acctupdatetime", "acctstoptime", "authdate"].contains(&column);
        match (self.database.kind, is_time) {
            (Kind::Postgres, true) => format!("CAST(CAST(extract(epoch FROM {column}) AS bigint) AS TEXT)"),
            (Kind::Postgres, false) if column.ends_with("ipaddress") => format!("host({column})"),
            (Kind::Sqlite | Kind::Postgres, _) => format!("CAST({column} AS TEXT)"),
            (Kind::MySql, false) => format!("CAST({column} AS CHAR)"),
            (Kind::MySql, true) => format!("CAST(CAST(UNIX_TIMESTAMP({column}) AS SIGNED) AS CHAR)"),
        }
    }

    /// For every wallet the ledger adds up to its balance, row by row, and sessions took what it says.
    async fn ledger_adds_up(&mut self) -> Result<(), String> {
        let [before, delta, after, balance, spent] =
            ["before_balance", "delta", "after_balance", "balance", "spent"].map(|name| self.text_of(name));
        let owner = self.text_of("subscriber_id");
        let entries =
            format!("SELECT {owner}, {before}, {delta}, {after}, action, wallet FROM tk_ledger ORDER BY id");
        let wallets = format!("SELECT {owner}, {balance}, {spent}, kind FROM tk_wallet");
        let amount = |text: &str| Amount::parse(text).ok_or_else(|| format!("{text:?} is no amount"));
        let mut sums: BTreeMap<(String, String), (Amount, Amount)> = BTreeMap::new();
        // The wallets first: what is posted between the two questions is in the ledger alone.
        let wallets = self.raw.rows(&wallets).await;
        for row in self.raw.rows(&entries).await {
            let (sum, used) = sums.entry((row[0].clone(), row[5].clone())).or_default();
            let (before, delta) = (amount(&row[1])?, amount(&row[2])?);
            if before.plus(delta) != Some(amount(&row[3])?) {
                return Err(format!("a row of the ledger does not add up: {row:?}"));
            }
            *sum = sum.plus(delta).ok_or("beyond the bounds")?;
            if row[4] == "USAGE" {
                *used = used.minus(delta).ok_or("beyond the bounds")?;
            }
        }
        for row in wallets {
            let sum = sums.get(&(row[0].clone(), row[3].clone())).copied().unwrap_or_default();
            if (amount(&row[1])?, amount(&row[2])?) != sum {
                return Err(format!("wallet {row:?} is not what its ledger adds up to: {sum:?}"));
            }
        }
        Ok(())
    }

    /// For every subscriber the sessions, the days and the bucket of everything have one sum.
    async fn usage_adds_up(&mut self) -> Result<(), String> {
        let number = |column: &str| self.text_of(&format!("COALESCE({column}, 0)"));
        let owner = self.text_of("COALESCE(t.subscriber_id, s.id)");
        let sessions = format!(
            "SELECT {owner}, {}, {}, {} FROM radacct r LEFT JOIN tk_session t ON t.unique_id = r.acctuniqueid
             LEFT JOIN tk_subscriber s ON s.username = r.username WHERE COALESCE(t.subscriber_id, s.id) IS NOT NULL",
            number("acctsessiontime"),
            number("acctinputoctets"),
            number("acctoutputoctets")
        );
        let owner = self.text_of("u.subscriber_id");
        let usage = |days: &str| {
            format!(
                "SELECT {owner}, {}, {}, {} FROM tk_usage u WHERE {days}",
                number("u.seconds"),
                number("u.input"),
                number("u.output")
            )
        };
        let (lifetime, days) = (usage("u.day = -1"), usage("u.day >= 0"));
        let mut waited = Duration::ZERO;
        loop {
            let sums = [
                sum(self.raw.rows(&sessions).await),
                sum(self.raw.rows(&lifetime).await),
                sum(self.raw.rows(&days).await),
            ];
            let [sessions, ..] = &sums;
            let logins: BTreeSet<_> = sums.iter().flat_map(BTreeMap::keys).collect();
            let wrong = logins
                .into_iter()
                .find(|login| sums.iter().any(|sum| sum.get(*login) != sessions.get(*login)));
            let Some(wrong) = wrong else { return Ok(()) };
            if waited >= SOON {
                let sums = sums.each_ref().map(|sum| sum.get(wrong));
                return Err(format!("usage of {wrong} does not add up: sessions, lifetime, days: {sums:?}"));
            }
            sleep(POLL).await;
            waited += POLL;
        }
    }
}

/// `Name = value`, `Name`, `no Name`: is it so of these values?
fn holds(condition: &str, values: impl Fn(&str) -> Vec<String>) -> Result<(), String> {
    let (name, value) = match condition.split_once(" = ") {
        Some((name, value)) => (name, Some(plain(value))),
        None => (condition.trim_start_matches("no "), None),
    };
    let values = values(name);
    let holds = match &value {
        Some(value) => values.contains(value),
        None => values.is_empty() == condition.starts_with("no "),
    };
    if holds { Ok(()) } else { Err(format!("expected {condition:?}, there is {name} {values:?}")) }
}

/// Seconds, input, output by login; logins that have used nothing are left out.
fn sum(rows: Vec<Vec<String>>) -> BTreeMap<String, [u64; 3]> {
    let mut sums: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row[0].clone()).or_default();
        for (sum, value) in sum.iter_mut().zip(&row[1..]) {
            *sum += value.parse::<u64>().unwrap();
        }
    }
    sums.retain(|_, sum| *sum != [0; 3]);
    sums
}

/// What callers over HTTP need, unless the file says otherwise.
fn with_listeners(config: &[(String, String)]) -> Vec<(String, String)> {
    let free = "\"127.0.0.1:0\"".to_owned();
    let mut all = vec![
        ("http.listen".to_owned(), free.clone()),
        ("antamedia.listen".to_owned(), free.clone()),
        ("ibsng.listen".to_owned(), free.clone()),
        ("ibsng.xmlrpc".to_owned(), free),
        ("antamedia.passphrase".to_owned(), format!("\"{PASSPHRASE}\"")),
    ];
    all.retain(|(key, _)| !config.iter().any(|(written, _)| written == key));
    all.extend_from_slice(config);
    all
}

fn settings(
    url: &str,
    data_dir: &std::path::Path,
    nases: &BTreeMap<&str, TestNas>,
    config: &[(String, String)],
) -> Settings {
    let mut entries = String::new();
    for (name, address, more) in NASES.into_iter().filter(|(_, _, more)| *more != UNKNOWN) {
        let coa_port = nases[name].coa_port;
        entries.push_str(&format!(
            "[[nas]]\nname = \"{name}\"\naddress = \"{address}\"\nsecret = \"{SECRET}\"\ncoa_port = {coa_port}\n{more}\n"
        ));
    }
    embedded::settings(url, data_dir, config, &entries)
}
