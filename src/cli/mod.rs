//! The command line: forms, tables, JSON, exit codes.
//!
//! Owns how a command is written and how its answer is shown. Refuses to know SQL, RADIUS and the
//! rules of subscribers and plans: those are asked of the service. Each file holds one noun.

mod adopt;
mod check;
mod context;
mod demo;
mod device;
mod explain;
mod histogram;
mod key;
mod load;
mod migrate;
mod nas;
mod output;
mod passwords;
mod plan;
mod progress;
mod quota;
mod serve;
mod session;
mod spool;
mod subscriber;
mod tenure;
mod torture;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::context::Context;
use self::output::Output;
use crate::config::{ConfigError, Settings};
use crate::packs::PackError;
use crate::radius::dictionary::DictionaryError;
use crate::server::StartError;
use crate::service::ServiceError;
use crate::store::{Recode, StoreError};

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
    /// Run the server; it creates and migrates its database.
    Serve {
        /// A playground: a throw-away database, a few subscribers, simulated NASes that use it.
        #[arg(long)]
        demo: bool,
    },
    /// Say what would run, or every mistake with file, key and reason.
    Check,
    /// Bring the tables of the database up to this release.
    Migrate {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take over an existing FreeRADIUS or daloRADIUS database: numbers for its logins, plans for its groups.
    Adopt {
        /// Only report what is there and what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// The devices that may ask.
    #[command(subcommand)]
    Nas(nas::NasCommand),
    /// What is sold.
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Who may log in.
    #[command(subcommand)]
    Subscriber(subscriber::SubscriberCommand),
    /// Who is online.
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// What was acknowledged and is not in the database yet, and what the database has refused.
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// Keys of the management APIs.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Passwords of subscribers at rest.
    #[command(subcommand)]
    Passwords(passwords::PasswordsCommand),
    /// Operators: IBSng and console logins.
    #[command(subcommand)]
    Admin(key::AdminCommand),
    /// What would happen to a login now, and why; and what happened to the last ones.
    Explain(explain::Arguments),
    /// Send load to any RADIUS server and measure what comes back.
    Load(Box<load::Arguments>),
    /// Kill servers, and stop, freeze and cut off their database, under load, and compare SQL with what was
    /// acknowledged. On databases of its own.
    Torture(Box<torture::Arguments>),
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
    #[error("error: {0}")]
    Outside(String),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("error: {0}")]
    Service(#[from] ServiceError),
    #[error("database.url: {0}")]
    Store(#[from] StoreError),
    #[error("spool: {0}")]
    Spool(StoreError),
    #[error("radius.dictionaries: {0}")]
    Dictionary(#[from] DictionaryError),
    #[error("radius.packs: {0}")]
    Packs(#[from] PackError),
}

impl Failure {
    /// With the file and line of the key, where something is wrong with what a key says.
    fn placed(self, settings: &Settings) -> Self {
        let (key, reason) = match &self {
            Self::Dictionary(error) | Self::Start(StartError::Dictionary(error)) => {
                ("radius.dictionaries", error.to_string())
            }
            Self::Packs(error) | Self::Start(StartError::Packs(error)) => ("radius.packs", error.to_string()),
            Self::Store(error) | Self::Start(StartError::Store(error)) => match error {
                StoreError::Address { .. } => ("database.url", error.to_string()),
                StoreError::Unsafe { .. } => ("database.unsafe_durability", error.to_string()),
                _ => return self,
            },
            _ => return self,
        };
        ConfigError(vec![settings.remark(key, reason)]).into()
    }

    const fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_)
            | Self::Dictionary(_)
            | Self::Packs(_)
            | Self::Store(StoreError::Address { .. } | StoreError::Unsafe { .. })
            | Self::Start(
                StartError::Dictionary(_)
                | StartError::Packs(_)
                | StartError::Store(StoreError::Address { .. } | StoreError::Unsafe { .. }),
            ) => Exit::Configuration,
            Self::Usage(_) => Exit::Usage,
            Self::Io(..)
            | Self::Outside(_)
            | Self::Start(_)
            | Self::Store(_)
            | Self::Spool(_)
            | Self::Service(ServiceError::Unavailable { .. }) => Exit::Failed,
            Self::Service(_) => Exit::Refused,
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
    let file = arguments.config.as_deref();
    match &arguments.command {
        Command::Serve { demo } => serve::serve(file, *demo, output),
        Command::Check => wait_for(check::check(file, output)),
        Command::Load(load) => load::load(load, output),
        Command::Torture(arguments) => torture::torture(arguments, output),
        Command::Spool(command) => wait_for(spool::spool(command, file, *output)),
        Command::Passwords(passwords::PasswordsCommand::NewKey) => Ok(passwords::new_key(*output)),
        Command::Migrate { dry_run } => {
            wait_for(async { migrate::migrate(*dry_run, &Context::connect(file, *output).await?).await })
        }
        Command::Adopt { dry_run } => {
            wait_for(async { adopt::adopt(*dry_run, &Context::connect(file, *output).await?).await })
        }
        other => wait_for(async {
            let context = Context::open(file, *output).await?;
            let done = administer(other, &context).await;
            context.store.close().await;
            done
        }),
    }
}

/// The commands that need nothing but the database.
async fn administer(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Nas(command) => nas::nas(command, context).await,
        Command::Plan(command) => plan::plan(command, context).await,
        Command::Subscriber(command) => subscriber::subscriber(command, context).await,
        Command::Session(command) => session::session(command, context).await,
        Command::Key(command) => key::key(command, context).await,
        Command::Admin(command) => key::admin(command, context).await,
        Command::Passwords(passwords::PasswordsCommand::Encrypt) => {
            passwords::passwords(Recode::Hide, context).await
        }
        Command::Passwords(passwords::PasswordsCommand::Decrypt) => {
            passwords::passwords(Recode::Show, context).await
        }
        Command::Explain(arguments) => explain::explain(arguments, context).await,
        Command::Serve { .. }
        | Command::Check
        | Command::Load(_)
        | Command::Torture(_)
        | Command::Spool(_)
        | Command::Passwords(passwords::PasswordsCommand::NewKey)
        | Command::Migrate { .. }
        | Command::Adopt { .. } => Ok(Exit::Done),
    }
}

/// Runs a command to its end.
fn wait_for(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Io("runtime".to_owned(), error))?.block_on(command)
}
