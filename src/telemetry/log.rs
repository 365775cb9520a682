//! Logs: to standard error, as text or JSON, filtered by level and module.

use std::fmt::{Debug, Write as _};
use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
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
    // The filter counts octets from the first letter and cuts from the first octet.
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    for directive in &directives {
        let word = directive.rsplit('=').next().unwrap_or(directive).trim();
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&word) {
            return Err(format!("{word:?} is not off, error, warn, info, debug or trace"));
        }
    }
    // sqlx says every statement at debug; whoever wants that asks for it by name.
    let quiet = if level.contains("sqlx") { "" } else { ",sqlx=warn" };
    EnvFilter::try_new(format!("{}{quiet}", directives.join(","))).map_err(|error| error.to_string())
}

/// Sends logs of the whole process to standard error.
///
/// # Errors
/// [`LogError::Level`] is the operator's fault, [`LogError::Twice`] ours.
pub fn install_log(settings: &Settings) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level).map_err(LogError::Level)?);
    let layer = layer(settings.format, io::stderr, io::stderr().is_terminal());
    Registry::default().with(filter).with(layer).try_init().map_err(|_| LogError::Twice)?;
    Ok(LogHandle(handle))
}

/// One line an event, whatever its values hold.
fn layer<S>(
    format: Format,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    colours: bool,
) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(writer);
    match format {
        Format::Text => layer.with_ansi(colours).fmt_fields(debug_fn(write_field).delimited(" ")).boxed(),
        // JSON has escapes of its own.
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let mut plain = Plain(writer);
    if field.name() == "message" { write!(plain, "{value:?}") } else { write!(plain, "{field}={value:?}") }
}

/// Writes what would begin a line, move the cursor or turn the text round as an escape: names come from
/// the network and from tables.
struct Plain<'a, 'w>(&'a mut Writer<'w>);

impl std::fmt::Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for part in text.split_inclusive(is_active) {
            match part.chars().next_back().filter(|last| is_active(*last)) {
                Some(last) => {
                    self.0.write_str(part.strip_suffix(last).unwrap_or(part))?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                None => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// A control character, a separator of lines or paragraphs, or one that changes the direction of writing.
fn is_active(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// What was written, in one piece.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn v6_a_hostile_value_stays_in_its_line() {
        let name = "bob\r\n2026-01-01 INFO root: logged in\u{1b}[2J\u{7}%n%s\u{9b}31m\u{202e}\u{2028}\0 \"quoted\" é";
        for format in [Format::Text, Format::Json] {
            let written = Written::default();
            let writer = written.clone();
            let subscriber = Registry::default().with(layer(format, move || writer.clone(), false));
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(%name, ?name, name, "a login of {name}");
                tracing::info!(%name, "{name}");
            });
            let text = String::from_utf8(written.0.lock().clone()).unwrap();
            assert_eq!(text.lines().count(), 2, "{text}");
            for line in text.lines() {
                if format == Format::Json {
                    let value: serde_json::Value = serde_json::from_str(line).unwrap();
                    assert_eq!(value["name"], name, "{line}");
                } else {
                    assert!(!line.contains(is_active), "{line:?}");
                    let escaped = r"bob\r\n2026-01-01 INFO root: logged in\u{1b}[2J\u{7}%n%s\u{9b}31m\u{202e}\u{2028}\u{0}";
                    assert!(line.contains(escaped) && line.contains('é'), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_level_is_a_word_or_directives() {
        assert_eq!(check_level("info"), Ok(()));
        assert_eq!(check_level("warn,tollkeeper::net=trace"), Ok(()));
        assert!(check_level("loud").is_err());
        let shown = |level| filter(level).unwrap().to_string();
        assert_eq!(shown("info, tollkeeper::net=debug"), shown("info,tollkeeper::net=debug"));
        assert_eq!(check_level(" l\u{fffd}\u{fffd}el\u{fffd}=info"), Ok(()));
        assert!(check_level("").is_err());
    }
}
