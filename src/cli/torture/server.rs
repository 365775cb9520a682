//! The server under torture: this program once more, as operators run it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::database;
use crate::cli::Failure;
use crate::store::{Spool, SpoolSettings};

/// The shared secret of the simulated NASes.
pub(super) const SECRET: &str = "testing123";
/// How long a server may take to be ready, to drain its spool, or to end.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a server runs.
pub(super) struct Place {
    folder: PathBuf,
}

/// One that runs.
pub(super) struct Server {
    process: Process,
    /// Where logins and accounting go.
    pub(super) addresses: [SocketAddr; 2],
}

/// Killed when it is dropped.
struct Process(Child);

impl Place {
    /// Writes a configuration.
    pub(super) fn new(folder: &Path, url: &str) -> Result<Self, Failure> {
        let place = Self { folder: folder.to_owned() };
        let listeners =
            ["http", "ibsng", "antamedia"].map(|name| format!("[{name}]\nlisten = \"127.0.0.1:0\"\n"));
        let text = format!(
            "data_dir = {:?}\n[database]\nurl = {url:?}\n[radius]\nauth = [\"127.0.0.1:0\"]\naccounting = [\"127.0.0.1:0\"]\n\
             {}[[nas]]\naddress = \"127.0.0.1/32\"\nsecret = \"{SECRET}\"\n",
            place.data(),
            listeners.concat()
        );
        std::fs::write(place.file(), text).map_err(|error| failed(&place.file(), error))?;
        Ok(place)
    }

    /// The configuration.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("tollkeeper.toml")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Starts a server and waits until it is ready.
    pub(super) async fn start(&self) -> Result<Server, Failure> {
        let program = std::env::current_exe().map_err(|error| failed(Path::new("this program"), error))?;
        let log = File::options().create(true).append(true).open(self.log());
        // Whoever writes beyond a limit of the system gets an error instead of a signal.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&program);
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("TOLLKEEPER_")) {
            command.env_remove(name);
        }
        command.args(["serve", "--config"]).arg(self.file()).current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(log.map_err(|error| failed(&self.log(), error))?);
        let mut process = Process(command.spawn().map_err(|error| failed(&program, error))?);
        let (say, said) = oneshot::channel();
        if let Some(stdout) = process.0.stdout.take() {
            std::thread::spawn(move || {
                let line = BufReader::new(stdout).lines().next().and_then(Result::ok);
                // Nobody waits any more once it has taken too long.
                let _late = say.send(line.unwrap_or_default());
            });
        }
        let line = tokio::time::timeout(PATIENCE, said).await;
        let line = line.ok().and_then(Result::ok).unwrap_or_default();
        let address = |name: &str| {
            line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        match (address("auth"), address("accounting")) {
            (Some(auth), Some(accounting)) => Ok(Server { process, addresses: [auth, accounting] }),
            _ => Err(Failure::Outside(format!("the server is not ready; see {}", self.log().display()))),
        }
    }

    /// Waits until nothing is in the spool; what was set aside there is a failure.
    pub(super) async fn settled(&self) -> Result<(), Failure> {
        let settings = SpoolSettings { file: self.data().join("spool.db"), max_bytes: u64::MAX };
        let spool = Spool::open(&settings).await.map_err(Failure::Spool)?;
        let empty = async {
            loop {
                let measure = spool.measure().await.map_err(Failure::Spool)?;
                if measure.poisoned > 0 {
                    return Err(Failure::Outside(format!("{} rows were set aside", measure.poisoned)));
                }
                if measure.rows + measure.records == 0 {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, empty).await;
        spool.close().await;
        outcome.unwrap_or_else(|_| Err(Failure::Outside("the spool is not drained".to_owned())))
    }
}

impl Server {
    /// SIGKILL.
    pub(super) fn kill(mut self) -> Result<(), Failure> {
        self.process.end().map_err(gone)
    }

    /// No file that it writes may grow, or any may again: what a full disk does to it.
    pub(super) fn limit_files(&self, limited: bool) -> Result<(), Failure> {
        let size = if limited { "--fsize=1:" } else { "--fsize=unlimited:" };
        let mut command = Command::new(database::program("prlimit", "util-linux")?);
        let status =
            command.args(["--pid", &self.process.0.id().to_string(), size]).status().map_err(gone)?;
        if status.success() { Ok(()) } else { Err(Failure::Outside("prlimit failed".to_owned())) }
    }

    /// Asks for its end and waits for it.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        kill(Pid::from_raw(self.process.0.id().cast_signed()), Signal::SIGTERM)
            .map_err(|error| gone(error.into()))?;
        let ended = async {
            loop {
                match self.process.0.try_wait() {
                    Ok(Some(status)) if status.success() => return Ok(()),
                    Ok(Some(status)) => {
                        return Err(Failure::Outside(format!("the server ended with {status}")));
                    }
                    Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error) => return Err(gone(error)),
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        ended.unwrap_or_else(|_| Err(Failure::Outside("the server does not end".to_owned())))
    }
}

impl Process {
    fn end(&mut self) -> std::io::Result<()> {
        self.0.kill().and_then(|()| self.0.wait()).map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.end();
    }
}

fn gone(error: std::io::Error) -> Failure {
    Failure::Io("the server".to_owned(), error)
}

fn failed(what: &Path, error: std::io::Error) -> Failure {
    Failure::Io(what.display().to_string(), error)
}
