//! The database under torture: a server of its own that was installed here, thrown away afterwards, or one
//! that was given.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use super::proxy::Proxy;
use crate::cli::Failure;
use crate::store::{HeldFile, Settings, Store};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
    /// MariaDB.
    Mysql,
}

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program that serves the database, and how it is begun again.
struct Daemon {
    child: Child,
    program: PathBuf,
    arguments: Vec<String>,
    user: Option<User>,
    log: PathBuf,
    /// What ends it as a crash does: PostgreSQL's own children have to go with it.
    crash: Signal,
}

/// The database, and what can be done to it.
pub(super) struct Database {
    /// What the server is told.
    pub(super) url: String,
    /// The same without the proxy.
    direct: String,
    daemon: Option<Daemon>,
    proxy: Option<Proxy>,
    held: Option<HeldFile>,
}

impl Database {
    /// Uses what is there: it can neither be stopped nor frozen.
    pub(super) fn given(url: &str) -> Self {
        Self { url: url.to_owned(), direct: url.to_owned(), daemon: None, proxy: None, held: None }
    }

    /// Makes one in `folder`.
    pub(super) async fn make(kind: Kind, folder: &Path) -> Result<Self, Failure> {
        let database = match kind {
            Kind::Sqlite => Self::given(&format!("sqlite:{}", folder.join("tollkeeper.db").display())),
            Kind::Postgres => postgres(folder).await?,
            Kind::Mysql => mariadb(folder).await?,
        };
        database.answers().await?;
        Ok(database)
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// Is it a server of our own?
    pub(super) const fn is_ours(&self) -> bool {
        self.daemon.is_some()
    }

    /// Connected, without the proxy.
    pub(super) async fn store(&self) -> Result<Store, Failure> {
        Ok(Store::connect(&Settings { connections: 2, ..Settings::new(&self.direct) }).await?)
    }

    /// Waits until it answers.
    async fn answers(&self) -> Result<(), Failure> {
        let answered = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.store().await {
                    Ok(store) => return store.close().await,
                    Err(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        });
        answered.await.map_err(|_| {
            let log = self.daemon.as_ref().map(|daemon| daemon.log.display().to_string());
            Failure::Outside(format!("the database does not answer; see {}", log.unwrap_or_default()))
        })
    }

    /// It stops answering, with every connection open: SIGSTOP, or on SQLite a lock on the file.
    pub(super) async fn freeze(&mut self) -> Result<(), Failure> {
        match &self.daemon {
            Some(daemon) => daemon.signal_all(Signal::SIGSTOP),
            None if self.is_sqlite() => {
                self.held = Some(HeldFile::lock(&self.direct).await?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// It goes on where it was.
    pub(super) async fn thaw(&mut self) -> Result<(), Failure> {
        if let Some(held) = self.held.take() {
            held.unlock().await?;
        }
        self.daemon.as_ref().map_or(Ok(()), |daemon| daemon.signal_all(Signal::SIGCONT))
    }

    /// It dies, and is begun again after `pause`.
    pub(super) async fn restart(&mut self, pause: Duration) -> Result<(), Failure> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        daemon.crash()?;
        tokio::time::sleep(pause).await;
        daemon.start()?;
        self.answers().await
    }

    /// Every connection breaks, wherever its transaction is.
    pub(super) fn cut(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.cut();
        }
    }
}

impl Daemon {
    fn spawn(
        program: PathBuf,
        arguments: Vec<String>,
        user: Option<User>,
        log: PathBuf,
        crash: Signal,
    ) -> Result<Self, Failure> {
        let child = started(&program, &arguments, user.as_ref(), &log)?;
        Ok(Self { child, program, arguments, user, log, crash })
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.child = started(&self.program, &self.arguments, self.user.as_ref(), &self.log)?;
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn crash(&mut self) -> Result<(), Failure> {
        while self.child.try_wait().map_err(|error| failed(&self.program, error))?.is_none() {
            // One that has only just begun may ignore it still, as whoever began us in the background does SIGQUIT.
            kill(self.pid(), self.crash).map_err(|error| failed(&self.program, error.into()))?;
            std::thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// To the program and its children: first to the one that makes them.
    fn signal_all(&self, signal: Signal) -> Result<(), Failure> {
        kill(self.pid(), signal).map_err(|error| failed(&self.program, error.into()))?;
        for child in children(self.child.id()) {
            // It may have ended a moment ago.
            let _gone = kill(Pid::from_raw(child), signal);
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // While it is begun again its number is nobody's, or somebody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _thawed = self.signal_all(Signal::SIGCONT);
            let _crashed = self.crash();
        }
    }
}

/// The processes that a process has begun.
fn children(parent: u32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        // The name in brackets may hold anything; the parent is the second word behind it.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let words = stat.rsplit(')').next().unwrap_or_default();
        words.split_whitespace().nth(1).and_then(|word| word.parse().ok()) == Some(parent)
    };
    pids.filter(is_child).collect()
}

async fn postgres(folder: &Path) -> Result<Database, Failure> {
    let data = folder.join("pg");
    let user = other_user("postgres")?;
    own(&data, user.as_ref())?;
    let at = data.display().to_string();
    let (log, initdb) = (folder.join("postgres.log"), program("initdb", "PostgreSQL")?);
    let arguments = ["-D", &at, "-U", "tollkeeper", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
    run(&initdb, &texts(&arguments), user.as_ref(), &log)?;
    let options =
        ["-D", &at, "-c", "listen_addresses=", "-c", &format!("unix_socket_directories={at}"), "-p", "5432"];
    let daemon =
        Daemon::spawn(program("postgres", "PostgreSQL")?, texts(&options), user, log, Signal::SIGQUIT)?;
    let proxy = Proxy::to(data.join(".s.PGSQL.5432")).await.map_err(|error| failed(&data, error))?;
    Ok(Database {
        url: format!("postgres://tollkeeper@{}/postgres", proxy.address()),
        direct: format!("postgres:///postgres?host={at}&user=tollkeeper"),
        daemon: Some(daemon),
        proxy: Some(proxy),
        held: None,
    })
}

async fn mariadb(folder: &Path) -> Result<Database, Failure> {
    let data = folder.join("my");
    let user = other_user("mysql")?;
    own(&data, user.as_ref())?;
    let (at, log) = (data.display().to_string(), folder.join("mariadb.log"));
    let install = program("mariadb-install-db", "MariaDB")?;
    let datadir = format!("--datadir={at}");
    let arguments = ["--no-defaults", &datadir, "--auth-root-authentication-method=normal", "--skip-test-db"];
    run(&install, &texts(&arguments), user.as_ref(), &log)?;
    let (first, socket) = (folder.join("init.sql"), data.join("socket"));
    std::fs::write(&first, "CREATE DATABASE IF NOT EXISTS tollkeeper;\n")
        .map_err(|error| failed(&first, error))?;
    let options = [
        "--no-defaults",
        &datadir,
        "--skip-networking",
        &format!("--socket={}", socket.display()),
        &format!("--init-file={}", first.display()),
    ];
    let daemon = Daemon::spawn(program("mariadbd", "MariaDB")?, texts(&options), user, log, Signal::SIGKILL)?;
    let proxy = Proxy::to(socket.clone()).await.map_err(|error| failed(&socket, error))?;
    Ok(Database {
        url: format!("mysql://root@{}/tollkeeper", proxy.address()),
        direct: format!("mysql://root@localhost/tollkeeper?socket={}", socket.display()),
        daemon: Some(daemon),
        proxy: Some(proxy),
        held: None,
    })
}

/// Whom a database server runs as where we are root, which such servers refuse to be.
fn other_user(name: &str) -> Result<Option<User>, Failure> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Some(user)),
        _ => Err(Failure::Outside(format!("there is no user {name}: run this as somebody who is not root"))),
    }
}

/// A folder of that user.
fn own(folder: &Path, user: Option<&User>) -> Result<(), Failure> {
    let owner = user.map(|user| (user.uid.as_raw(), user.gid.as_raw()));
    let made = std::fs::create_dir(folder).and_then(|()| match owner {
        Some((user, group)) => std::os::unix::fs::chown(folder, Some(user), Some(group)),
        None => Ok(()),
    });
    made.map_err(|error| failed(folder, error))
}

/// Where an installed program lies.
pub(super) fn program(name: &str, of: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps the programs of PostgreSQL by version.
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(usual).chain(versions.into_iter().rev());
    folders
        .find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
        .ok_or_else(|| Failure::Outside(format!("{name} of {of} is not installed")))
}

fn command(
    program: &Path,
    arguments: &[String],
    user: Option<&User>,
    log: &Path,
) -> Result<Command, Failure> {
    let log_failed = |error| failed(log, error);
    let out = File::options().create(true).append(true).open(log).map_err(log_failed)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("LC_ALL", "C");
    command.current_dir(log.parent().unwrap_or_else(|| Path::new("/")));
    command.stderr(out.try_clone().map_err(log_failed)?).stdout(out);
    // Whoever they run as may not write to the folder that is ours for such files.
    command.env_remove("TMPDIR");
    // Ctrl-C is ours: they end when we have done with them.
    command.process_group(0);
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok(command)
}

fn started(program: &Path, arguments: &[String], user: Option<&User>, log: &Path) -> Result<Child, Failure> {
    command(program, arguments, user, log)?.spawn().map_err(|error| failed(program, error))
}

fn run(program: &Path, arguments: &[String], user: Option<&User>, log: &Path) -> Result<(), Failure> {
    let status = command(program, arguments, user, log)?.status().map_err(|error| failed(program, error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Outside(format!("{} failed; see {}", program.display(), log.display())))
    }
}

fn texts(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|text| (*text).to_owned()).collect()
}

fn failed(what: &Path, error: io::Error) -> Failure {
    Failure::Io(what.display().to_string(), error)
}
