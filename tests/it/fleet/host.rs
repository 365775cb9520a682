//! The server that the fleet talks to: in this process on the fleet's own time, or the binary.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tollkeeper::config::Settings;
use tollkeeper::server::Server;
use tollkeeper::time::{Clock, Now, SystemClock, UnixTime};

use super::nas::{Habits, Nas};
use crate::support::embedded;
use crate::support::server::{self, Setup};

/// Clocks that stand still until they are set.
pub(super) struct StillClock {
    begin: Now,
    passed: AtomicU64,
}

impl Clock for StillClock {
    fn now(&self) -> Now {
        self.begin.plus(Duration::from_secs(self.passed.load(Ordering::SeqCst)))
    }
}

pub(super) enum Host {
    Embedded {
        runtime: Runtime,
        clock: Arc<StillClock>,
        settings: Box<Settings>,
        server: Option<Box<Server>>,
        _data_dir: tempfile::TempDir,
    },
    Binary {
        setup: Box<Setup>,
        server: Option<Box<server::Server>>,
    },
}

impl Host {
    /// A server in this process whose clocks stand at `begin`, unix seconds.
    pub(super) fn embedded(url: &str, zone: &str, fleet: &[Habits], begin: i64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let data_dir = tempfile::tempdir().unwrap();
        let config = [("timezone".to_owned(), format!("{zone:?}"))];
        let entries: String =
            sources(fleet).iter().map(|habits| format!("[[nas]]\n{}", Nas::entry(habits))).collect();
        let settings = Box::new(embedded::settings(url, data_dir.path(), &config, &entries));
        let begin = Now { instant: SystemClock.now().instant, unix: UnixTime(begin) };
        let clock = Arc::new(StillClock { begin, passed: AtomicU64::new(0) });
        let mut host = Self::Embedded { runtime, clock, settings, server: None, _data_dir: data_dir };
        host.start();
        host
    }

    /// The binary, on the machine's time.
    pub(super) fn binary(url: &str, zone: &str, fleet: &[Habits]) -> Self {
        let mut setup = Setup::on(url).variable("TOLLKEEPER_TIMEZONE", zone);
        for habits in sources(fleet) {
            setup.add_nas(&Nas::entry(habits));
        }
        let mut host = Self::Binary { setup: Box::new(setup), server: None };
        host.start();
        host
    }

    fn start(&mut self) {
        match self {
            Self::Embedded { runtime, clock, settings, server, .. } => {
                let clock = Arc::clone(clock);
                let started = runtime.block_on(Server::start(settings, clock, embedded::metrics()));
                *server = Some(Box::new(started.unwrap()));
            }
            Self::Binary { setup, server } => *server = Some(Box::new(setup.start())),
        }
    }

    /// Ends it in order.
    pub(super) fn stop(&mut self) {
        match self {
            Self::Embedded { runtime, server, .. } => runtime.block_on(server.take().unwrap().stop()),
            Self::Binary { server, .. } => server.take().unwrap().stop(),
        }
    }

    pub(super) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// `kill -9`, and a new start, where it is a process of its own.
    pub(super) fn kill(&mut self) {
        let Self::Binary { server, .. } = self else { panic!("it would take the test with it") };
        server.take().unwrap().process.kill();
        self.start();
    }

    pub(super) const fn can_be_killed(&self) -> bool {
        matches!(self, Self::Binary { .. })
    }

    /// So many seconds have passed since the beginning.
    pub(super) fn set_clock(&self, passed: u64) {
        if let Self::Embedded { clock, .. } = self {
            clock.passed.store(passed, Ordering::SeqCst);
        }
    }

    /// Where logins and accounting go.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        match self {
            Self::Embedded { server, .. } => {
                let ready = server.as_ref().unwrap().ready();
                [ready.auth[0], ready.accounting[0]]
            }
            Self::Binary { server, .. } => {
                let server = server.as_ref().unwrap();
                [server.auth, server.accounting]
            }
        }
    }
}

/// One of each source address.
fn sources(fleet: &[Habits]) -> Vec<&Habits> {
    let mut sources: Vec<&Habits> = fleet.iter().collect();
    sources.dedup_by_key(|habits| habits.source);
    sources
}
