//! The command line: forms, tables, JSON, exit codes.
//!
//! Owns how a command is written and how its answer is shown. Refuses to know SQL, RADIUS and the
//! rules of subscribers and plans: those are asked of the service. Each file holds one noun.

mod check;
mod load;
mod output;
mod progress;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::output::Output;
use crate::config::ConfigError;
use crate::server::StartError;

/// RADIUS authentication, accounting and dynamic authorization.
#[derive(Debug, Parser)]
#[command(name = "tollkeeper", version, about, max_term_width = 100)]
struct Arguments {
    /// The configuration; without it ./tollkeeper.toml, then /etc/tollkeeper/tollkeeper.toml, then defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON value on standard output instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Say what would run, or every mistake with file, key and reason.
    Check,
    /// Send load to any RADIUS server and measure what comes back.
    Load(Box<load::Arguments>),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Done,
    /// Understood and refused: it conflicts, does not exist, is not valid, or was answered with no.
    Refused,
    /// The command line is wrong.
    Usage,
    /// The configuration is wrong (EX_CONFIG of sysexits).
    Configuration,
    /// Something outside failed: the database, a socket.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            // EX_UNAVAILABLE
            Exit::Failed => 69,
            Exit::Configuration => 78,
        })
    }
}

/// Why a command did not do what was asked, as it is said on standard error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Configuration(#[from] ConfigError),
    #[error("error: {0}")]
    Usage(String),
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    #[error("{0}")]
    Start(#[from] StartError),
}

impl Failure {
    const fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Configuration,
            Self::Usage(_) => Exit::Usage,
            Self::Io(..) | Self::Start(_) => Exit::Failed,
        }
    }
}

/// Reads the command line of the process, does what it says, and tells how that ended.
#[must_use]
pub fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output, mistakes to standard error.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _closed_pipe = error.print();
            return exit;
        }
    };
    let output = Output::new(arguments.json);
    match dispatch(&arguments, &output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.complain(&failure.to_string());
            failure.exit()
        }
    }
}

fn dispatch(arguments: &Arguments, output: &Output) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Serve => serve::serve(arguments.config.as_deref(), output),
        Command::Check => check::check(arguments.config.as_deref(), output),
        Command::Load(load) => load::load(load, output),
    }
}
