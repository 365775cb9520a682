//! `tollkeeper torture`: runs this program under simulated NASes on a database that is thrown away, kills it,
//! takes its database away, and compares SQL with what was acknowledged.
//!
//! Each round begins with load, does one thing that must not matter, and ends with a comparison in which
//! every acknowledged record is one row and every sum is exact. After a kill it is compared twice: before
//! anything is sent again, and after what was not acknowledged was.

mod database;
mod fleet;
mod proxy;
mod server;
mod verdict;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use self::database::{Database, Kind};
use self::fleet::{Fleet, Order, Tally};
use self::server::{Place, SECRET, Server};
use super::context::{self, user};
use super::output::{Output, table};
use super::{Exit, Failure, progress};
use crate::config::Settings;
use crate::domain::{Amount, Price};
use crate::entropy::{Entropy as _, SeededEntropy, SystemEntropy};
use crate::radius::Secret;
use crate::service::{PlanChange, Proof, SubscriberOrder};
use crate::time::{Clock as _, SystemClock};

/// What is tortured, how, and for how long.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A throw-away server of that kind, from the programs that are installed.
    #[arg(long, default_value = "sqlite")]
    database: Kind,
    /// A scratch database in its place; it is filled, and neither stopped nor frozen.
    #[arg(long, conflicts_with = "database")]
    url: Option<String>,
    /// Begin no round after this time [default: 1, unless --kills or --freeze says how much]
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// End after so many kills.
    #[arg(long, value_name = "N")]
    kills: Option<u32>,
    /// Freeze the database once, for so long, under load.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["minutes", "kills", "faults"])]
    freeze: Option<u64>,
    /// What is done, joined by commas [default: everything that the database allows]
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Requests per second [default: as fast as answers come; with --freeze 200]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Subscribers; each has four devices.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    subscribers: u32,
    /// Repeats the order of what is done, and what is sent.
    #[arg(long)]
    seed: Option<u64>,
}

/// What is done in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Fault {
    /// SIGKILL to the server.
    Kill,
    /// The same while the database is frozen and the spool fills.
    KillFrozen,
    /// The same while the spool is drained.
    KillDraining,
    /// The database crashes and is begun again.
    Restart,
    /// The database stops answering and goes on later: SIGSTOP, or on SQLite a lock on the file.
    Freeze,
    /// Connections to the database break.
    Cut,
    /// No file that the server writes may grow: nothing is acknowledged until it may.
    Disk,
}

impl Fault {
    const ALL: [Self; 7] = [
        Self::Kill,
        Self::KillFrozen,
        Self::KillDraining,
        Self::Restart,
        Self::Freeze,
        Self::Cut,
        Self::Disk,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillFrozen => "kill-frozen",
            Self::KillDraining => "kill-draining",
            Self::Restart => "restart",
            Self::Freeze => "freeze",
            Self::Cut => "cut",
            Self::Disk => "disk",
        }
    }

    const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::KillFrozen | Self::KillDraining)
    }

    /// Can it be done to this database?
    fn is_possible(self, database: &Database) -> bool {
        match self {
            Self::Kill => true,
            Self::KillFrozen | Self::KillDraining | Self::Freeze => {
                database.is_ours() || database.is_sqlite()
            }
            Self::Restart | Self::Cut => database.is_ours(),
            // The files of another server are not in our hands, and the spool alone is not the whole.
            Self::Disk => {
                (database.is_ours() || database.is_sqlite())
                    && database::program("prlimit", "util-linux").is_ok()
            }
        }
    }
}

/// What sessions cost.
const PER_MINUTE: &str = "0.5";
const PER_KIB: &str = "0.0009765625";
/// How far below nothing a credit may go: further than any run comes.
const CREDIT: u32 = 1_000_000_000;
/// Requests per second while the database is frozen for long.
const FROZEN_RATE: u32 = 200;
/// How long the database is frozen, or away, in rounds that do not say.
const AWAY: Duration = Duration::from_secs(1);
/// How long the first answers of a round may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Tortures, and tells what came of it.
pub(super) fn torture(arguments: &Arguments, output: &Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Io("runtime".to_owned(), error))?;
    let failed = |error| Failure::Io("signals".to_owned(), error);
    runtime.block_on(async {
        // From here on they end what was begun, and not this program alone.
        let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
        let mut folder = Folder::make(SystemEntropy.number())?;
        let stopped = async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        };
        tokio::select! {
            outcome = run(arguments, output, &mut folder) => outcome,
            () = stopped => {
                // Whatever `run` had begun went with it.
                folder.stays = false;
                Err(Failure::Outside("interrupted".to_owned()))
            }
        }
    })
}

/// A folder that goes with the run, unless something was found or failed.
struct Folder {
    /// The number of the run.
    run: u64,
    path: PathBuf,
    stays: bool,
}

impl Folder {
    fn make(run: u64) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("tollkeeper-torture-{run:016x}"));
        std::fs::create_dir(&path).map_err(|error| Failure::Io(path.display().to_string(), error))?;
        Ok(Self { run, path, stays: true })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.stays {
            // What was killed a moment ago may have left a file behind what is gone already. If one stays, the
            // system clears its folder of temporary files.
            let _stays = (0..10).any(|_| std::fs::remove_dir_all(&self.path).is_ok() || !self.path.exists());
        }
    }
}

async fn run(arguments: &Arguments, output: &Output, folder: &mut Folder) -> Result<Exit, Failure> {
    let seed = arguments.seed.unwrap_or_else(|| SystemEntropy.number());
    let database = match &arguments.url {
        Some(url) => Database::given(url),
        None => Database::make(arguments.database, &folder.path).await?,
    };
    let prefix = format!("torture-{:016x}-", folder.run);
    let place = Place::new(&folder.path, &database.url)?;
    let secret = Secret::new(SECRET.as_bytes()).ok_or_else(|| Failure::Outside("no secret".to_owned()))?;
    let fleet = Fleet::bind(&prefix, arguments.subscribers, &Arc::new(secret), seed).await;
    let fleet = fleet.map_err(|error| Failure::Io("socket".to_owned(), error))?;
    fill(&place.file(), &database, &prefix, arguments.subscribers).await?;
    let price = Price { per_minute: money(PER_MINUTE), per_kib: money(PER_KIB) };
    let mut torture = Torture {
        database,
        place,
        fleet,
        entropy: SeededEntropy::new(seed),
        price,
        prefix,
        frozen: arguments.freeze.map_or(AWAY, Duration::from_secs),
        kills: 0,
        rounds: BTreeMap::new(),
    };
    let began = SystemClock.now().instant;
    let broken = match torture.rounds(arguments).await {
        Ok(()) => None,
        Err(Failure::Outside(promise)) => Some(promise),
        Err(other) => return Err(other),
    };
    let took = SystemClock.now().instant.saturating_duration_since(began);
    folder.stays = broken.is_some();
    let what = Found { seed, took, broken: broken.as_deref(), folder: &folder.path };
    let value = torture.report(arguments, &what);
    output.answer(&value, || torture.people(&what));
    Ok(if broken.is_none() { Exit::Done } else { Exit::Refused })
}

/// How it ended.
struct Found<'a> {
    seed: u64,
    took: Duration,
    broken: Option<&'a str>,
    folder: &'a Path,
}

fn money(text: &str) -> Amount {
    Amount::parse(text).unwrap_or_default()
}

/// A plan whose sessions cost something, and subscribers who have it.
async fn fill(config: &Path, database: &Database, prefix: &str, subscribers: u32) -> Result<(), Failure> {
    let settings = Settings::load(Some(config))?;
    let store = database.store().await?;
    store.migrate().await?;
    let gate = context::gate(&settings, &store)?;
    let console = gate.console(&user());
    let plan = format!("{prefix}plan");
    let terms = PlanChange {
        charge_per_minute: Some(Some(money(PER_MINUTE))),
        charge_per_kib: Some(Some(money(PER_KIB))),
        ..PlanChange::default()
    };
    console.add_plan(&plan, &terms).await?;
    for number in 0..subscribers {
        let login = format!("{prefix}{number}");
        let order = SubscriberOrder {
            proof: Proof::Password(login.clone()),
            login: login.clone(),
            plan: Some(plan.clone()),
            ..SubscriberOrder::default()
        };
        console.add_subscriber(&order).await?;
        console.set_credit_limit(&login, Amount::whole(CREDIT)).await?;
    }
    store.close().await;
    Ok(())
}

struct Torture {
    database: Database,
    place: Place,
    fleet: Fleet,
    entropy: SeededEntropy,
    price: Price,
    prefix: String,
    frozen: Duration,
    kills: u32,
    /// How many there were of each kind, and what was sent in them.
    rounds: BTreeMap<Fault, (u32, Tally)>,
}

impl Torture {
    /// All rounds, and then everybody leaves. A promise that was broken is a [`Failure::Outside`].
    async fn rounds(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        let wanted = match &arguments.faults[..] {
            _ if arguments.freeze.is_some() => vec![Fault::Freeze],
            [] => Fault::ALL.to_vec(),
            some => some.to_vec(),
        };
        let mut faults: Vec<Fault> =
            wanted.into_iter().filter(|fault| fault.is_possible(&self.database)).collect();
        if faults.is_empty() || (arguments.kills.is_some() && !faults.iter().any(|fault| fault.kills())) {
            return Err(Failure::Usage("nothing of that can be done to this database".to_owned()));
        }
        let rate = arguments.rate.or_else(|| arguments.freeze.map(|_| FROZEN_RATE));
        self.fleet.pace(rate.map(f64::from));
        let minutes = arguments.minutes.or_else(|| arguments.kills.is_none().then_some(1));
        let limit = minutes.map(|minutes| Duration::from_secs(60 * minutes));
        let began = SystemClock.now().instant;
        let bar = progress::spinner("rounds");
        let mut server = self.place.start().await?;
        let is_over = |kills: u32| {
            let passed = SystemClock.now().instant.saturating_duration_since(began);
            arguments.kills.is_some_and(|wanted| kills >= wanted)
                || limit.is_some_and(|limit| passed >= limit)
        };
        'all: loop {
            shuffle(&mut faults, &mut self.entropy);
            for fault in faults.iter().copied() {
                let context = format!("round {} ({})", bar.position() + 1, fault.name());
                server = self.round(fault, server).await.map_err(|failure| match failure {
                    Failure::Outside(promise) => Failure::Outside(format!("{context}: {promise}")),
                    other => other,
                })?;
                bar.inc(1);
                if arguments.freeze.is_some() || is_over(self.kills) {
                    break 'all;
                }
            }
        }
        bar.finish_and_clear();
        self.fleet.start(server.addresses, Order::Leave);
        self.fleet.gather().await.map_err(Failure::Outside)?;
        self.compare("at the end").await?;
        server.stop().await?;
        self.compare("after the server").await
    }

    /// Load, what happens in its middle, and the comparison.
    async fn round(&mut self, fault: Fault, server: Server) -> Result<Server, Failure> {
        self.fleet.start(server.addresses, Order::Run);
        let each = u64::try_from(self.fleet.ports.len()).unwrap_or(u64::MAX).max(16);
        self.answered(each).await?;
        self.pause(400).await;
        let mut server = Some(server);
        let killed = |server: &mut Option<Server>| server.take().map_or(Ok(()), Server::kill);
        match fault {
            Fault::Kill => killed(&mut server)?,
            Fault::KillFrozen => {
                self.database.freeze().await?;
                self.answered(each).await?;
                self.pause(300).await;
                killed(&mut server)?;
                self.fleet.tell(Order::Halt);
                self.database.thaw().await?;
            }
            Fault::KillDraining => {
                self.database.freeze().await?;
                self.answered(each).await?;
                self.database.thaw().await?;
                self.pause(100).await;
                killed(&mut server)?;
            }
            Fault::Restart => {
                let pause = Duration::from_millis(self.entropy.number() % 1_000);
                self.database.restart(pause).await?;
                self.answered(each).await?;
            }
            Fault::Freeze => {
                self.database.freeze().await?;
                tokio::time::sleep(self.frozen).await;
                self.database.thaw().await?;
            }
            Fault::Cut => {
                for _ in 0..4 {
                    self.database.cut();
                    self.pause(200).await;
                }
                self.answered(each).await?;
            }
            Fault::Disk => {
                if let Some(server) = &server {
                    // A database of its own goes on writing: so it must not answer.
                    let frozen = !self.database.is_sqlite();
                    if frozen {
                        self.database.freeze().await?;
                    }
                    server.limit_files(true)?;
                    self.pause(1_000).await;
                    server.limit_files(false)?;
                    if frozen {
                        self.database.thaw().await?;
                    }
                    self.answered(each).await?;
                }
            }
        }
        let server = if let Some(server) = server {
            self.fleet.tell(Order::Finish);
            self.gather(fault).await?;
            server
        } else {
            self.kills += 1;
            self.fleet.tell(Order::Halt);
            self.gather(fault).await?;
            let server = self.place.start().await?;
            self.compare("before anything was sent again").await?;
            self.fleet.start(server.addresses, Order::Recover);
            self.gather(fault).await?;
            server
        };
        self.rounds.entry(fault).or_default().0 += 1;
        self.compare("after it").await?;
        Ok(server)
    }

    /// Waits for so many more answers.
    async fn answered(&self, more: u64) -> Result<(), Failure> {
        let wanted = self.fleet.answers() + more;
        let answered = async {
            while self.fleet.answers() < wanted {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.map_err(|_| Failure::Outside(format!("nobody was answered for {PATIENCE:?}")))
    }

    /// Any instant up to so many milliseconds from now.
    async fn pause(&mut self, most: u64) {
        tokio::time::sleep(Duration::from_micros(self.entropy.number() % (most * 1_000))).await;
    }

    async fn gather(&mut self, fault: Fault) -> Result<(), Failure> {
        let tally = self.fleet.gather().await.map_err(Failure::Outside)?;
        self.rounds.entry(fault).or_default().1.merge(&tally);
        Ok(())
    }

    async fn compare(&self, when: &str) -> Result<(), Failure> {
        self.place.settled().await?;
        let store = self.database.store().await?;
        let audit = store.audit(&self.prefix).await;
        store.close().await;
        verdict::compare(&self.fleet.ports, &audit?, self.price)
            .map_err(|promise| Failure::Outside(format!("{when}: {promise}")))
    }

    fn report(&self, arguments: &Arguments, found: &Found<'_>) -> Value {
        let rounds: serde_json::Map<String, Value> = self
            .rounds
            .iter()
            .map(|(fault, (count, tally))| {
                let value = json!({
                    "rounds": count,
                    "sessions": tally.sessions,
                    "sent_again": tally.sent_again,
                    "sent_anew": tally.sent_anew,
                    "logins": tally.logins.to_json(),
                    "records": tally.records.to_json(),
                });
                (fault.name().to_owned(), value)
            })
            .collect();
        let database = match arguments.database {
            _ if arguments.url.is_some() => "given",
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::Mysql => "mysql",
        };
        json!({
            "database": database,
            "seed": found.seed,
            "seconds": found.took.as_secs(),
            "kills": self.kills,
            "faults": rounds,
            "broken": found.broken,
            "folder": found.broken.map(|_| found.folder.display().to_string()),
        })
    }

    fn people(&self, found: &Found<'_>) -> String {
        let cell = |tally: &crate::cli::histogram::Histogram, permille| {
            format!("{:.1}", crate::cli::histogram::milliseconds(tally.quantile(permille)))
        };
        let rows: Vec<Vec<String>> = self
            .rounds
            .iter()
            .map(|(fault, (count, tally))| {
                vec![
                    fault.name().to_owned(),
                    count.to_string(),
                    tally.sessions.to_string(),
                    tally.logins.count().to_string(),
                    cell(&tally.logins, 990),
                    tally.records.count().to_string(),
                    cell(&tally.records, 500),
                    cell(&tally.records, 990),
                ]
            })
            .collect();
        let headings = ["FAULT", "ROUNDS", "SESSIONS", "LOGINS", "P99 MS", "RECORDS", "P50 MS", "P99 MS"];
        let mut text = table(&headings, &rows);
        let ended = match found.broken {
            None => "Every acknowledged record is in SQL once, and every sum is exact.".to_owned(),
            Some(promise) => format!("BROKEN: {promise}\nEverything is left in {}", found.folder.display()),
        };
        let (kills, seconds) = (self.kills, found.took.as_secs());
        text.push_str(&format!("\n{kills} kills in {seconds} s, seed {}. {ended}\n", found.seed));
        text
    }
}

fn shuffle<T>(list: &mut [T], entropy: &mut SeededEntropy) {
    for place in (1..list.len()).rev() {
        let most = u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1);
        let other = usize::try_from(entropy.number() % most).unwrap_or(0);
        list.swap(place, other);
    }
}
