//! `tollkeeper serve`: runs the server until it is told to stop.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::demo::Playground;
use super::output::Output;
use super::{Exit, Failure};
use crate::config::Settings;
use crate::server::Server;
use crate::telemetry::{self, LogHandle};
use crate::time::{Clock, SystemClock};

/// How often the recorder of metrics tidies up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT, then drains. SIGHUP reads the configuration again.
pub(super) fn serve(file: Option<&Path>, demo: bool, output: &Output) -> Result<Exit, Failure> {
    let kept = keep_from_core_dumps();
    let settings = Settings::load(file)?;
    let log = telemetry::install_log(&settings.log).map_err(|error| Failure::Usage(error.to_string()))?;
    // From here on all of standard error is log: with `log.format = "json"` somebody reads every line as JSON.
    if let Err(error) = kept {
        tracing::warn!(%error, "a core dump of this process would hold secrets");
    }
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Io("runtime".to_owned(), error))?;
    runtime.block_on(run(file, demo, settings, log, output))
}

/// Passwords and shared secrets are in this memory: no core dump is written of it, to a file or to a program, and
/// no other process of the same user reads it.
fn keep_from_core_dumps() -> nix::Result<()> {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

async fn run(
    file: Option<&Path>,
    demo: bool,
    mut settings: Settings,
    log: LogHandle,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::Io("signals".to_owned(), error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics =
        telemetry::install_metrics(clock.now().unix).map_err(|error| Failure::Usage(error.to_string()))?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.upkeep();
        }
    });
    let playground = if demo { Some(Playground::build(&mut settings).await?) } else { None };
    let server = {
        let start = Server::start(&settings, clock, metrics);
        tokio::pin!(start);
        loop {
            tokio::select! {
                server = &mut start => break server.map_err(|error| Failure::from(error).placed(&settings))?,
                told = signals.next() => if told == Told::Stop { return Ok(Exit::Done) },
            }
        }
    };
    let mut out = std::io::stdout().lock();
    // Nobody may be reading; the server serves all the same.
    let _ = writeln!(out, "{}", server.ready()).and_then(|()| out.flush());
    drop(out);
    let fleet = playground.as_ref().map(|playground| playground.open(server.ready(), output));
    while signals.next().await == Told::Reload {
        reload(file, &server, &log).await;
    }
    tracing::info!("stopping: no new requests are taken");
    drop(fleet);
    server.stop().await;
    Ok(Exit::Done)
}

/// A mistake in the new configuration leaves the old one in force.
async fn reload(file: Option<&Path>, server: &Server, log: &LogHandle) {
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(error) => {
            for mistake in &error.0 {
                tracing::error!("{mistake}");
            }
            tracing::error!("the configuration has mistakes; the old one stays in force");
            return;
        }
    };
    if let Err(error) = log.reload(&settings.log) {
        tracing::error!(%error, "the log level stays as it was");
    }
    match server.reload(&settings).await {
        Ok(()) => tracing::info!("configuration read again"),
        Err(error) => tracing::error!(%error, "the NAS entries stay as they were"),
    }
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}
