//! Logs: to standard error, as text or JSON, filtered by level and module.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives `target=level,…`.
    pub level: String,
    /// Text or JSON.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Text }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes the level of a running server.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

/// Logs could not be set up or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The operator's level cannot be read.
    #[error("log.level: {0}")]
    Level(String),
    /// Somebody has set up logs in this process before.
    #[error("logs are set up already")]
    Twice,
}

/// Says why `level` cannot be read, if it cannot.
///
/// # Errors
/// The reason, for people.
pub fn check_level(level: &str) -> Result<(), String> {
    filter(level).map(drop)
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    let words = level.split(',').map(|directive| directive.rsplit('=').next().unwrap_or(directive).trim());
    for word in words {
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&word) {
            return Err(format!("{word:?} is not off, error, warn, info, debug or trace"));
        }
    }
    // sqlx says every statement at debug; whoever wants that asks for it by name.
    let quiet = if level.contains("sqlx") { "" } else { ",sqlx=warn" };
    EnvFilter::try_new(format!("{level}{quiet}")).map_err(|error| error.to_string())
}

/// Sends logs of the whole process to standard error.
///
/// # Errors
/// [`LogError::Level`] is the operator's fault, [`LogError::Twice`] ours.
pub fn install_log(settings: &Settings) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level).map_err(LogError::Level)?);
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match settings.format {
        Format::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    Registry::default().with(filter).with(layer).try_init().map_err(|_| LogError::Twice)?;
    Ok(LogHandle(handle))
}

impl LogHandle {
    /// Takes over a changed level; the format stays until the next start.
    ///
    /// # Errors
    /// [`LogError::Level`] is the operator's fault.
    pub fn reload(&self, settings: &Settings) -> Result<(), LogError> {
        let filter = filter(&settings.level).map_err(LogError::Level)?;
        self.0.reload(filter).map_err(|_| LogError::Twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_word_or_directives() {
        assert_eq!(check_level("info"), Ok(()));
        assert_eq!(check_level("warn,tollkeeper::net=trace"), Ok(()));
        assert!(check_level("loud").is_err());
        assert!(check_level("").is_err());
    }
}
