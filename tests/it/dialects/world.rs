//! The server with its four listeners, its NASes, its callers, and the subscribers as they should be.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use tollkeeper::domain::Amount;
use tollkeeper::domain::operator::{Dialect as KeyDialect, Rights};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::entropy::{Entropy as _, SeededEntropy, SystemEntropy};
use tollkeeper::radius::Dictionary;
use tollkeeper::server::Server;
use tollkeeper::service::{ManagementGate, PlanChange};
use tollkeeper::store::Store;
use tollkeeper::time::Clock as _;

use super::callers::{Callers, Credential, Credentials, Dialect};
use super::model::{LOUNGE, LOUNGE_IDLE, PLANS, SECRET_MARK, Subscriber};
use super::nas::Nas;
use crate::support::databases::Kind;
use crate::support::embedded::{self, MovedClock};
use crate::support::eventually;
use crate::support::programs::SECRET;
use crate::support::server::Database;

/// Operations of a round; each is on a subscriber of its own, and all are in force before the next round.
const ROUND: usize = 12;
/// Rounds after which every subscriber is looked at in every dialect.
const ROUNDS_BETWEEN_LOOKS: u64 = 8;
/// Seconds that pass with a round: places that were kept for logins are free again then.
const ROUND_SECONDS: u64 = 2;
/// Subscribers, about.
pub(super) const SUBSCRIBERS: usize = 40;
/// Who is changed to see whether all that was changed before is in force.
pub(super) const SENTINEL: usize = 0;
/// Who logs in all the time.
const STEADY: usize = 1;

pub(super) struct World {
    seed: u64,
    dice: SeededEntropy,
    pub(super) operations: u64,
    rounds: u64,
    pub(super) callers: Callers,
    pub(super) people: Vec<Subscriber>,
    /// Number and name of each plan as the dialects show them, by name; those of [`PLANS`] and the lounge.
    pub(super) plans: Vec<(i64, String)>,
    pub(super) nases: Vec<Nas>,
    pub(super) auth: SocketAddr,
    pub(super) accounting: SocketAddr,
    pub(super) clock: Arc<MovedClock>,
    /// Logins that were somebody's and are free.
    pub(super) free_logins: Vec<String>,
    pub(super) names: u32,
    steady: Option<(Arc<AtomicBool>, JoinHandle<u64>)>,
    server: Option<Server>,
    pub(super) database: Database,
    runtime: tokio::runtime::Runtime,
    _data_dir: tempfile::TempDir,
}

impl World {
    pub(super) fn start(kind: Kind, seed: u64) -> Option<Self> {
        let database = Database::create(kind)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock = Arc::new(MovedClock::default());
        // Far from the ends of days and months.
        let ahead = embedded::seconds_until(clock.now().unix, "10 12:00").unwrap();
        clock.ahead.store(ahead, Ordering::SeqCst);
        let nases: Vec<Nas> =
            [2, 3, 11].map(|last| Nas::start(Ipv4Addr::new(127, 0, 0, last), clock.clone())).into();
        let entries: String = ["other", "chillispot", "mikrotik"]
            .into_iter()
            .zip(&nases)
            .map(|(kind, Nas { address, coa_port, .. })| {
                format!("[[nas]]\naddress = \"{address}\"\nsecret = \"{SECRET}\"\ntype = \"{kind}\"\ncoa_port = {coa_port}\n")
            })
            .collect();
        let passphrase = "antamedia-passphrase".to_owned();
        let config = [
            ("http.listen", "\"127.0.0.1:0\"".to_owned()),
            ("ibsng.listen", "\"127.0.0.1:0\"".to_owned()),
            ("antamedia.listen", "\"127.0.0.1:0\"".to_owned()),
            ("antamedia.passphrase", format!("\"{passphrase}\"")),
            ("antamedia.extended", "true".to_owned()),
            ("mfusion.token_lifetime", "86400".to_owned()),
            ("sessions.reservation", "1".to_owned()),
            ("sessions.stale_min", "86400".to_owned()),
            ("sessions.stale_max", "86400".to_owned()),
            // What waits in the spool is in no report yet, and a machine may be busy.
            ("database.commit_deadline", "30".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let data_dir = tempfile::tempdir().unwrap();
        let settings = embedded::settings(database.url(), data_dir.path(), &config, &entries);
        let (server, credentials, plans) = runtime.block_on(async {
            let server =
                Box::pin(Server::start(&settings, clock.clone(), embedded::metrics())).await.unwrap();
            let store = Store::connect(&settings.store()).await.unwrap();
            let rules = engine::Settings::new(TokenKey::new(&[0; 32]), settings.timezone.clone());
            let gate = ManagementGate::new(store.clone(), Dictionary::embedded(), rules, clock.clone());
            let plans = make_plans(&gate).await;
            let credentials = make_credentials(&gate, passphrase).await;
            store.close().await;
            (server, credentials, plans)
        });
        let ready = server.ready();
        let (auth, accounting) = (ready.auth[0], ready.accounting[0]);
        let [main, antamedia, ibsng] =
            [ready.http.http, ready.http.antamedia, ready.http.ibsng].map(Option::unwrap);
        let callers = Callers::new(main, antamedia, ibsng, &credentials, &[SECRET.to_owned()]);
        let mut world = Self {
            seed,
            dice: SeededEntropy::new(seed),
            operations: 0,
            rounds: 0,
            callers,
            people: Vec::new(),
            plans,
            nases,
            auth,
            accounting,
            clock,
            free_logins: Vec::new(),
            names: 0,
            steady: None,
            server: Some(server),
            database,
            runtime,
            _data_dir: data_dir,
        };
        world.make_fixed();
        Some(world)
    }

    /// The subscribers that chance leaves alone, and the traffic of one of them.
    fn make_fixed(&mut self) {
        for login in ["sentinel", "steady"] {
            let password = self.new_password();
            let body = json!({"username": login, "usertype": "user", "password": password});
            let made = self.callers.mfusion_does("POST", "/users", Some(body));
            let id = made["result"]["id"].as_str().unwrap().parse().unwrap();
            let fixed = Subscriber { fixed: true, password: Some(password), ..Subscriber::new(id, login) };
            self.people.push(fixed);
        }
        let (auth, password) = (self.auth, self.people[STEADY].password.clone().unwrap());
        let mut nas = Nas::start(Ipv4Addr::new(127, 0, 0, 2), self.clock.clone());
        let ends = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ends);
        let task = std::thread::spawn(move || {
            let mut logins = 0;
            while !over.load(Ordering::Relaxed) {
                let chap = logins % 2 == 0;
                let right = nas.login(auth, "steady", &password, "02-00-00-FF-FF-FF", chap);
                assert!(right.is_some(), "login {logins} of steady was refused");
                let wrong = nas.login(auth, "steady", "wrong", "02-00-00-FF-FF-FF", chap);
                assert!(wrong.is_none(), "login {logins} of steady was accepted with a wrong password");
                logins += 2;
                std::thread::park_timeout(Duration::from_millis(20));
            }
            logins
        });
        self.steady = Some((ends, task));
    }

    pub(super) const fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap();
        usize::try_from(self.dice.number() % limit).unwrap()
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of so many is true.
    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(super) fn new_password(&mut self) -> String {
        format!("{SECRET_MARK}-{:016x}", self.dice.number())
    }

    /// Changes by the callers with RADIUS between them, until all is in force; then logins, and what
    /// becomes of the sessions.
    pub(super) fn round(&mut self) {
        self.rounds += 1;
        self.clock.ahead.fetch_add(ROUND_SECONDS, Ordering::SeqCst);
        let mut touched = Vec::new();
        for _ in 0..ROUND {
            if self.one_in(3) {
                self.count_by_chance(&touched);
                continue;
            }
            let (who, dialect) = self.change_by_chance(&touched);
            touched.push(who);
            self.look_elsewhere(who, dialect);
        }
        self.wait_until_in_force();
        self.end_sessions();
        for who in touched {
            self.look_by_radius(who);
        }
        if self.rounds.is_multiple_of(ROUNDS_BETWEEN_LOOKS) {
            self.look_at_all();
        }
    }

    /// The feed is read in order, and what is read together comes into force one after the other: once a
    /// change that was made after another was seen in force is so itself, all are that were made before.
    fn wait_until_in_force(&mut self) {
        let round = 10_000 + 2 * u32::try_from(self.rounds).unwrap();
        self.sentinel_is_seen(round);
        self.sentinel_is_seen(round + 1);
    }

    /// Changes the sentinel's Session-Timeout, and waits until a login is told it.
    fn sentinel_is_seen(&mut self, timeout: u32) {
        let sentinel = &mut self.people[SENTINEL];
        sentinel.session_timeout = Some(timeout);
        let (login, password) = (sentinel.login.clone(), sentinel.password.clone().unwrap());
        let path = format!("/user-access/{}/actions/attach-access", sentinel.id);
        let body = json!({"attribute": "Session-Timeout", "value": timeout});
        self.callers.mfusion_does("POST", &path, Some(body));
        eventually("the changes in force", || {
            let accept = self.nases[0].login(self.auth, &login, &password, "02-00-00-FF-FF-FE", false);
            (accept.unwrap().session_timeout == Some(timeout)).then_some(())
        });
    }

    /// The last look at everything, and the end.
    pub(super) fn end(mut self) {
        self.look_at_all();
        self.invariant_9_freeradius_admits_the_same();
        let (ends, task) = self.steady.take().unwrap();
        ends.store(true, Ordering::Relaxed);
        // It fails where a login was not what it should be.
        let logins = task.join().unwrap();
        println!(
            "{} operations, {} rounds, {logins} logins beside, seed {}",
            self.operations, self.rounds, self.seed
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((ends, task)) = self.steady.take() {
            ends.store(true, Ordering::Relaxed);
            let _ = task.join();
        }
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
        if std::thread::panicking() {
            for line in self.callers.trace() {
                println!("{line}");
            }
            println!("operation {}; repeat with TOLLKEEPER_DIALECTS_SEED={}", self.operations, self.seed);
        }
    }
}

async fn make_plans(gate: &ManagementGate) -> Vec<(i64, String)> {
    let console = gate.console("tester");
    let amount = |number: i64| Some(Amount::parse(&number.to_string()));
    let mut made = Vec::new();
    for plan in &PLANS {
        let per_kib = plan.metered.then(|| Amount::parse("0.0009765625"));
        let change = PlanChange {
            price: Some(Amount::parse(plan.price)),
            credit: amount(plan.credit),
            recharge_credit: amount(plan.recharge),
            charge_per_kib: per_kib,
            ..PlanChange::default()
        };
        let id = console.add_plan(plan.name, &change).await.unwrap();
        made.push((id.0, plan.name.to_owned()));
    }
    let attributes = vec![format!("Idle-Timeout := {LOUNGE_IDLE}")];
    let change = PlanChange { attributes, ..PlanChange::default() };
    let id = console.add_plan(LOUNGE, &change).await.unwrap();
    made.push((id.0, LOUNGE.to_owned()));
    made.sort_by(|one, other| one.1.cmp(&other.1));
    made
}

async fn make_credentials(gate: &ManagementGate, passphrase: String) -> Credentials {
    let console = gate.console("tester");
    let key = async |dialect, rights| {
        let rights = Rights::parse(rights).unwrap();
        let made = console.create_key(dialect, rights, "", &mut SystemEntropy).await.unwrap();
        Credential { id: made.key_id, secret: made.secret }
    };
    let operator = async |login: &str, rights| {
        let password = format!("password-of-{login}");
        let rights = Rights::parse(rights).unwrap();
        console.add_operator(login, &password, rights, "", &mut SystemEntropy).await.unwrap();
        Credential { id: login.to_owned(), secret: password }
    };
    Credentials {
        mfusion: key(KeyDialect::Mfusion, "read,write").await,
        jaze: key(KeyDialect::Jaze, "read,write").await,
        ibsng: operator("clerk", "read,write").await,
        passphrase,
        jaze_secrets: key(KeyDialect::Jaze, "read,write,secrets").await,
        ibsng_secrets: operator("system", "read,write,secrets").await,
    }
}

/// The dialects but one.
pub(super) fn others(dialect: Dialect) -> Vec<Dialect> {
    Dialect::ALL.into_iter().filter(|other| *other != dialect).collect()
}
