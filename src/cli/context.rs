//! What an administrative command works with: the settings, the database, the gate.

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;

use super::Failure;
use super::output::Output;
use crate::config::Settings;
use crate::engine;
use crate::engine::token::TokenKey;
use crate::packs::Packs;
use crate::radius::dictionary::Dictionary;
use crate::service::ManagementGate;
use crate::store::Store;
use crate::time::SystemClock;

/// A connected database and the face in front of it.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) gate: ManagementGate,
    pub(super) output: Output,
}

impl Context {
    /// Reads the settings, connects, and creates the tables where they are missing, as a server does
    /// when it starts.
    pub(super) async fn open(file: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let context = Self::connect(file, output).await?;
        if !context.store.pending_migrations().await?.is_empty() {
            context.store.migrate().await?;
        }
        Ok(context)
    }

    /// The same, leaving the tables as they are.
    pub(super) async fn connect(file: Option<&Path>, output: Output) -> Result<Self, Failure> {
        let settings = Settings::load(file)?;
        for warning in &settings.warnings {
            output.complain(&format!("warning: {warning}"));
        }
        let opened = async {
            let dictionary = dictionary(&settings)?;
            let store = Store::connect(&settings.store()).await?;
            let gate = gate_with(&settings, &store, dictionary)?;
            Ok::<_, Failure>((store, gate))
        };
        let (store, gate) = opened.await.map_err(|failure| failure.placed(&settings))?;
        Ok(Self { settings, store, gate, output })
    }
}

/// The gate in front of a store.
pub(super) fn gate(settings: &Settings, store: &Store) -> Result<ManagementGate, Failure> {
    gate_with(settings, store, dictionary(settings)?)
}

fn gate_with(
    settings: &Settings,
    store: &Store,
    dictionary: Arc<Dictionary>,
) -> Result<ManagementGate, Failure> {
    let engine = engine::Settings {
        interim_interval: settings.sessions.interim_interval,
        week_start: settings.week_start,
        // It signs tokens of Accepts; nothing is accepted here.
        ..engine::Settings::new(TokenKey::new(&[0; 32]), settings.timezone.clone())
    };
    let packs = Arc::new(Packs::with_files(&settings.radius.packs, &dictionary)?);
    let gate = ManagementGate::new(store.clone(), dictionary, engine, Arc::new(SystemClock));
    Ok(gate.with_nases(packs, settings.nas.clone()))
}

/// The built-in dictionary, and the site's files after it.
pub(super) fn dictionary(settings: &Settings) -> Result<Arc<Dictionary>, Failure> {
    if settings.radius.dictionaries.is_empty() {
        return Ok(Dictionary::embedded());
    }
    Ok(Arc::new(Dictionary::with_files(&settings.radius.dictionaries)?))
}

/// Who runs the command, for the audit.
pub(super) fn user() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "console".to_owned())
}

/// The first line of standard input, without its end.
pub(super) fn password_from_stdin() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::Io("standard input".to_owned(), error))?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::Usage("--password-stdin: standard input has no password".to_owned()));
    }
    Ok(line.to_owned())
}
