//! Settings: one TOML file with every key optional, and `TOLLKEEPER_*` variables over it.
//!
//! Owns the names of the keys, their defaults and limits. Every mistake is collected, so that one
//! run of `tollkeeper check` shows them all. `file` reads what is written, `error` says what is
//! wrong with it. Nothing names this module but the command line and the composition root: each
//! module has its own `Settings`, and this one fills it.

mod error;
mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use smol_str::SmolStr;

pub use self::error::{ConfigError, Place, Remark};
use self::file::Reader;
use crate::coa::agenda;
use crate::domain::{Nas, NasSource, PackId, TriState};
use crate::radius::Secret;
use crate::service::LoginLimits;
use crate::vault::Vault;
use crate::{gateway, http, store, telemetry};

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file it was read from, if there was one.
    pub file: Option<PathBuf>,
    /// Where the server keeps files of its own: the SQLite database, the spool.
    pub data_dir: PathBuf,
    /// The zone whose midnight ends a day of usage, and in which Login-Time windows are read.
    pub timezone: TimeZone,
    /// The first day of the weeks of quotas that do not name one.
    pub week_start: Weekday,
    /// `[database]`
    pub database: Database,
    /// Most octets of the spool.
    pub spool_max_bytes: u64,
    /// `[radius]`
    pub radius: Radius,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[enforcement]`
    pub enforcement: agenda::Settings,
    /// `[[nas]]`, in the order of the file.
    pub nas: Vec<Nas>,
    /// `[http]`, and the listeners of `[ibsng]` and `[antamedia]`.
    pub http: http::Settings,
    /// Options of the API dialects.
    pub dialects: Dialects,
    /// `[messages]`
    pub messages: gateway::Settings,
    /// `[log]`
    pub log: telemetry::Settings,
    /// What is doubtful, but no reason to refuse.
    pub warnings: Vec<Remark>,
    places: BTreeMap<String, Place>,
}

/// `[database]`
#[derive(Clone)]
pub struct Database {
    /// `sqlite:PATH`, `postgres://…` or `mysql://…`. May hold a password.
    pub url: String,
    /// Start although the database may lose what it has acknowledged.
    pub unsafe_durability: bool,
    /// Connections of the pool.
    pub connections: u32,
    /// Most rows of one commit of the writer.
    pub batch_rows: u32,
    /// How long replies wait for a commit before they are sent from the spool.
    pub commit_deadline: Duration,
    /// How long a change may wait until it is in the snapshot; 0: there is none.
    pub snapshot_interval: Duration,
    /// The keys of `password_key_file`; none where it is not set.
    pub vault: Arc<Vault>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url", &self.shown())
            .field("unsafe_durability", &self.unsafe_durability)
            .field("connections", &self.connections)
            .field("batch_rows", &self.batch_rows)
            .field("commit_deadline", &self.commit_deadline)
            .field("snapshot_interval", &self.snapshot_interval)
            .field("vault", &self.vault)
            .finish()
    }
}

impl Database {
    /// The address without user and password, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme, rest)) => match rest.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://{host}"),
                None => self.url.clone(),
            },
            None => self.url.clone(),
        }
    }
}

/// `[radius]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Radius {
    /// Addresses that take Access-Requests.
    pub auth: Vec<SocketAddr>,
    /// Addresses that take Accounting-Requests.
    pub accounting: Vec<SocketAddr>,
    /// How long an Access-Reject is held back.
    pub reject_delay: Duration,
    /// Sockets, and threads, per address; 0 is one per processor.
    pub sockets_per_port: u16,
    /// How long a reply is kept for retransmissions (RFC 5080 §2.2.2).
    pub duplicate_lifetime: Duration,
    /// Most login attempts per second that are recorded in radpostauth; the rest are counted only.
    pub login_records_per_second: u32,
    /// How often somebody may try to log in.
    pub login_limits: LoginLimits,
    /// Most Access-Requests per second of one source address; 0 is without limit.
    pub logins_per_second_per_nas: u32,
    /// Most Accounting-Requests per second of one source address; 0 is without limit.
    pub records_per_second_per_nas: u32,
    /// Dictionary files of the site, in FreeRADIUS's format, after the built-in ones.
    pub dictionaries: Vec<PathBuf>,
    /// Vendor packs of the site: `NAME.toml` files or folders of them, in place of the built-in ones of
    /// that name.
    pub packs: Vec<PathBuf>,
}

/// `[sessions]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// What happens at a login when it cannot be verified whether an older session is still there.
    pub unverifiable: Unverifiable,
    /// Acct-Interim-Interval of Accepts that have none of their own, seconds; 0 sends none.
    pub interim_interval: u32,
    /// A session is stale after so many of its own intervals without a sign of life,
    pub stale_intervals: u32,
    /// but never before this,
    pub stale_min: Duration,
    /// and always after this.
    pub stale_max: Duration,
    /// How long the place of an accepted login is kept for its Start.
    pub reservation: Duration,
}

/// The choice where a session cannot be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unverifiable {
    /// The login is let in.
    #[default]
    Accept,
    /// The old session keeps its place.
    Reject,
}

/// Options of the API dialects, all off by default.
#[derive(Clone, Debug, Default)]
pub struct Dialects {
    /// `[mfusion]`
    pub mfusion: http::mfusion::Settings,
    /// `[jaze]`
    pub jaze: http::jaze::Settings,
    /// `[ibsng]`
    pub ibsng: http::ibsng::Settings,
    /// `[antamedia]`
    pub antamedia: http::antamedia::Settings,
    /// `antamedia.passphrase`: what callers must send as `pass`; without it that dialect refuses everybody.
    pub antamedia_passphrase: Option<Secret>,
}

/// Names the file where `--config` does not.
const CONFIG_VARIABLE: &str = "TOLLKEEPER_CONFIG";

/// Where a file is looked for when none is named.
const DEFAULT_FILES: [&str; 2] = ["tollkeeper.toml", "/etc/tollkeeper/tollkeeper.toml"];

/// How mistakes name the file where there is none.
const NO_FILE: &str = "(defaults)";

/// A shared secret of this many octets or fewer can be found by trying (RFC 2865 §3 asks for 16).
const SHORT_SECRET_OCTETS: usize = 12;

impl Settings {
    /// Reads `file`, or `TOLLKEEPER_CONFIG`, or the first default file that exists, or none; then
    /// the environment.
    ///
    /// # Errors
    /// Every mistake in them. The operator's fault.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let named = file.map(Path::to_owned).or_else(|| std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
        let found = named.or_else(|| DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists()));
        let text = match &found {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                let reason = match error.kind() {
                    io::ErrorKind::NotFound => "no such file".to_owned(),
                    io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
                    _ => error.to_string(),
                };
                let place = Place::File { path: path.clone(), line: 0 };
                ConfigError(vec![Remark { place, key: String::new(), reason }])
            })?,
        };
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name != CONFIG_VARIABLE);
        Self::read(found.as_deref(), &text, variables)
    }

    /// A mistake or doubt about the value of a key, with the place where that is written.
    #[must_use]
    pub fn remark(&self, key: &str, reason: impl Into<String>) -> Remark {
        let whole = || {
            let path = self.file.clone().unwrap_or_else(|| PathBuf::from(NO_FILE));
            Place::File { path, line: 0 }
        };
        let place = self.places.get(key).cloned().unwrap_or_else(whole);
        Remark { place, key: key.to_owned(), reason: reason.into() }
    }

    /// How the store connects.
    #[must_use]
    pub fn store(&self) -> store::Settings {
        store::Settings {
            connections: self.database.connections,
            allow_unsafe_durability: self.database.unsafe_durability,
            vault: Arc::clone(&self.database.vault),
            ..store::Settings::new(&self.database.url)
        }
    }

    /// What the spool is opened with.
    #[must_use]
    pub fn spool(&self) -> store::SpoolSettings {
        store::SpoolSettings { file: self.data_dir.join("spool.db"), max_bytes: self.spool_max_bytes }
    }

    /// Where the snapshot is that a server starts from while its database is away, and of what.
    #[must_use]
    pub fn snapshot(&self) -> store::SnapshotSettings {
        store::SnapshotSettings {
            file: self.data_dir.join("snapshot.db"),
            database: self.database.shown(),
            every: self.database.snapshot_interval,
        }
    }

    /// Reads the text of a file and variables; `file` is named in mistakes.
    ///
    /// # Errors
    /// Every mistake in them. The operator's fault.
    pub fn read(
        file: Option<&Path>,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let reader = Reader::new(file.unwrap_or_else(|| Path::new(NO_FILE)), text, variables);
        let data_dir = reader.text("data_dir", path).unwrap_or_else(|| PathBuf::from("data"));
        let mut settings = Self {
            file: file.map(Path::to_owned),
            timezone: reader.text("timezone", timezone).unwrap_or_else(TimeZone::system),
            week_start: reader.word("week_start", &WEEK).unwrap_or(Weekday::Sunday),
            database: database(&reader, &data_dir),
            spool_max_bytes: reader
                .integer("spool.max_bytes", SPOOL_MIN..=i64::MAX)
                .unwrap_or(SPOOL_MAX)
                .unsigned_abs(),
            radius: radius(&reader),
            sessions: sessions(&reader),
            enforcement: enforcement(&reader),
            nas: nas(&reader),
            http: http(&reader),
            dialects: dialects(&reader),
            messages: messages(&reader),
            log: log(&reader),
            data_dir,
            warnings: Vec::new(),
            places: reader.places(),
        };
        let (mistakes, warnings) = reader.finish();
        settings.warnings = warnings;
        if mistakes.is_empty() { Ok(settings) } else { Err(ConfigError(mistakes)) }
    }
}

/// DESIGN §3.
const COMMIT_DEADLINE: Duration = Duration::from_millis(250);
/// Of the snapshot.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);
/// Octets of the spool: the least that makes sense, and what is enough for a million sessions.
const SPOOL_MIN: i64 = 1 << 20;
const SPOOL_MAX: i64 = 4 << 30;

fn database(reader: &Reader, data_dir: &Path) -> Database {
    Database {
        url: reader
            .text("database.url", database_url)
            .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("tollkeeper.db").display())),
        unsafe_durability: reader.flag("database.unsafe_durability").unwrap_or(false),
        connections: reader.integer("database.connections", 1..=1_000).unwrap_or(8),
        batch_rows: reader.integer("database.batch_rows", 1..=10_000).unwrap_or(256),
        commit_deadline: reader.seconds("database.commit_deadline", 0.01..=60.0).unwrap_or(COMMIT_DEADLINE),
        snapshot_interval: reader
            .seconds("database.snapshot_interval", 0.0..=3_600.0)
            .unwrap_or(SNAPSHOT_INTERVAL),
        vault: reader
            .text("database.password_key_file", |file| {
                Vault::read(&path(file)?).map(Arc::new).map_err(|error| error.to_string())
            })
            .unwrap_or_default(),
    }
}

fn radius(reader: &Reader) -> Radius {
    let place = reader.place("radius.accounting");
    let radius = Radius {
        auth: addresses(reader, "radius.auth", "127.0.0.1:1812"),
        accounting: addresses(reader, "radius.accounting", "127.0.0.1:1813"),
        reject_delay: reader.seconds("radius.reject_delay", 0.0..=10.0).unwrap_or(Duration::from_secs(1)),
        sockets_per_port: reader.integer("radius.sockets_per_port", 0..=256).unwrap_or(0),
        duplicate_lifetime: reader
            .seconds("radius.duplicate_lifetime", 5.0..=30.0)
            .unwrap_or(Duration::from_secs(10)),
        login_records_per_second: reader
            .integer("radius.login_records_per_second", 0..=1_000_000)
            .unwrap_or(1_000),
        login_limits: LoginLimits {
            failures_per_minute: reader.integer("radius.failures_per_minute", 0..=100_000).unwrap_or(10),
            logins_per_minute: reader.integer("radius.logins_per_minute", 0..=100_000).unwrap_or(0),
        },
        logins_per_second_per_nas: reader
            .integer("radius.logins_per_second_per_nas", 0..=1_000_000)
            .unwrap_or(0),
        records_per_second_per_nas: reader
            .integer("radius.records_per_second_per_nas", 0..=1_000_000)
            .unwrap_or(0),
        dictionaries: reader.list("radius.dictionaries", path).unwrap_or_default(),
        packs: reader.list("radius.packs", path).unwrap_or_default(),
    };
    for address in &radius.accounting {
        if address.port() != 0 && radius.auth.contains(address) {
            reader.mistake(place.clone(), "radius.accounting", format!("{address} is also in radius.auth"));
        }
    }
    radius
}

fn sessions(reader: &Reader) -> Sessions {
    let choices = [("accept", Unverifiable::Accept), ("reject", Unverifiable::Reject)];
    let place = reader.place("sessions.stale_max");
    let settings = Sessions {
        unverifiable: reader.word("sessions.unverifiable", &choices).unwrap_or_default(),
        interim_interval: reader.integer("sessions.interim_interval", 0..=86_400).unwrap_or(600),
        stale_intervals: reader.integer("sessions.stale_intervals", 2..=100).unwrap_or(3),
        stale_min: reader.seconds("sessions.stale_min", 30.0..=86_400.0).unwrap_or(Duration::from_mins(5)),
        stale_max: reader
            .seconds("sessions.stale_max", 60.0..=31_536_000.0)
            .unwrap_or(Duration::from_hours(24)),
        reservation: reader.seconds("sessions.reservation", 1.0..=3_600.0).unwrap_or(Duration::from_mins(1)),
    };
    if settings.stale_max < settings.stale_min {
        reader.mistake(place, "sessions.stale_max", "is shorter than sessions.stale_min");
    }
    settings
}

fn enforcement(reader: &Reader) -> agenda::Settings {
    let default = agenda::Settings::default();
    let place = reader.place("enforcement.retry_max");
    let count = |key: &str, most: u32| reader.integer(key, 1..=most).map(|count| count as usize);
    let settings = agenda::Settings {
        per_second: reader.integer("enforcement.per_second", 1..=100_000).unwrap_or(default.per_second),
        per_nas_per_second: reader
            .integer("enforcement.per_nas_per_second", 1..=10_000)
            .unwrap_or(default.per_nas_per_second),
        outstanding: count("enforcement.outstanding", 65_536).unwrap_or(default.outstanding),
        outstanding_per_nas: count("enforcement.outstanding_per_nas", 1_024)
            .unwrap_or(default.outstanding_per_nas),
        attempts: reader.integer("enforcement.attempts", 1..=100).unwrap_or(default.attempts),
        retry_first: reader.seconds("enforcement.retry_first", 1.0..=3_600.0).unwrap_or(default.retry_first),
        retry_max: reader.seconds("enforcement.retry_max", 1.0..=86_400.0).unwrap_or(default.retry_max),
        flagged_retry: reader
            .seconds("enforcement.flagged_retry", 10.0..=86_400.0)
            .unwrap_or(default.flagged_retry),
        stop_patience: reader
            .seconds("enforcement.stop_patience", 1.0..=3_600.0)
            .unwrap_or(default.stop_patience),
    };
    if settings.retry_max < settings.retry_first {
        reader.mistake(place, "enforcement.retry_max", "is shorter than enforcement.retry_first");
    }
    settings
}

fn addresses(reader: &Reader, key: &str, default: &str) -> Vec<SocketAddr> {
    let place = reader.place(key);
    let Some(addresses) = reader.list(key, address) else {
        return default.parse().map_or_else(|_| Vec::new(), |address| vec![address]);
    };
    if addresses.is_empty() {
        reader.mistake(place.clone(), key, "needs at least one address");
    }
    for (index, address) in addresses.iter().enumerate() {
        if address.port() != 0 && addresses.iter().skip(index + 1).any(|other| other == address) {
            reader.mistake(place.clone(), key, format!("{address} is there twice"));
        }
    }
    addresses
}

fn nas(reader: &Reader) -> Vec<Nas> {
    let mut entries: Vec<Nas> = Vec::new();
    for (index, place) in reader.tables("nas").into_iter().enumerate() {
        let key = |name: &str| format!("nas[{}].{name}", index + 1);
        let address_written = reader.place(&key("address"));
        let secret_written = reader.place(&key("secret"));
        let missing = |name: &str, written: &Place| {
            // A key that was there but wrong has its own remark already.
            if matches!(written, Place::File { line: 0, .. }) {
                reader.mistake(place.clone(), &key(name), "is missing");
            }
        };
        let network = reader.text(&key("address"), nas_network);
        let secret = nas_secret(reader, &key("secret"));
        let secret_next = nas_secret(reader, &key("secret_next"));
        let coa_secret = nas_secret(reader, &key("coa_secret"));
        let identifier = reader.text(&key("identifier"), not_empty);
        let name = reader.text(&key("name"), not_empty);
        let nas_type = reader.text(&key("type"), nas_type);
        let coa_port = reader.integer(&key("coa_port"), 1..=u16::MAX);
        let swap_octets = reader.flag(&key("swap_octets"));
        let require_message_authenticator = tri_state(reader, &key("require_message_authenticator"));
        let limit_proxy_state = tri_state(reader, &key("limit_proxy_state"));
        let Some(network) = network else {
            missing("address", &address_written);
            if secret.is_none() {
                missing("secret", &secret_written);
            }
            continue;
        };
        let Some(secret) = secret else {
            missing("secret", &secret_written);
            continue;
        };
        if entries.iter().any(|other| other.network == network && other.identifier == identifier) {
            reader.mistake(address_written, &key("address"), format!("{network} is configured twice"));
        }
        entries.push(Nas {
            name: name.unwrap_or_else(|| nas_name(network).into()),
            network,
            nas_type: nas_type.map_or_else(|| SmolStr::new_static("other"), SmolStr::from),
            secret,
            secret_next,
            identifier,
            pack: PackId::OTHER,
            coa_port,
            coa_secret,
            swap_octets: swap_octets.unwrap_or(false),
            require_message_authenticator,
            limit_proxy_state,
            source: NasSource::Config,
        });
    }
    entries
}

fn nas_secret(reader: &Reader, key: &str) -> Option<Secret> {
    let place = reader.place(key);
    let secret = reader.text(key, |text| {
        Secret::new(text.as_bytes()).ok_or_else(|| "must not be empty (RFC 2865 §3)".to_owned())
    })?;
    if let Some(reason) = std::str::from_utf8(secret.octets()).ok().and_then(secret_doubt) {
        reader.warning(place, key, reason);
    }
    Some(secret)
}

fn tri_state(reader: &Reader, key: &str) -> TriState {
    reader
        .word(key, &[("no", TriState::No), ("auto", TriState::Auto), ("yes", TriState::Yes)])
        .unwrap_or_default()
}

fn http(reader: &Reader) -> http::Settings {
    let place = reader.place("http.listen");
    let listener = |key: &str, default: &str| match reader.text(key, optional_address) {
        Some(address) => address,
        None => default.parse().ok(),
    };
    let settings = http::Settings {
        listen: listener("http.listen", "127.0.0.1:8080"),
        ibsng: listener("ibsng.listen", "127.0.0.1:1237"),
        antamedia: listener("antamedia.listen", "127.0.0.1:8082"),
        xmlrpc: reader.text("ibsng.xmlrpc", optional_address).flatten(),
        tls: http::Tls {
            http: tls(reader, ["http.tls_certificate", "http.tls_key"]),
            ibsng: tls(reader, ["ibsng.tls_certificate", "ibsng.tls_key"]),
            antamedia: tls(reader, ["antamedia.tls_certificate", "antamedia.tls_key"]),
        },
        body_limit: reader.integer("http.body_limit", 1_024..=1_073_741_824).unwrap_or(1_048_576),
        timeout: reader.seconds("http.timeout", 1.0..=600.0).unwrap_or(Duration::from_secs(30)),
        failures_per_minute: reader.integer("http.failures_per_minute", 1..=100_000).unwrap_or(10),
    };
    if settings.listen.is_none() {
        let reason = "off: nothing serves /metrics and /health";
        reader.warning(place, "http.listen", reason);
    }
    settings
}

/// Both files of a certificate, or neither.
fn tls(reader: &Reader, keys: [&str; 2]) -> Option<http::TlsFiles> {
    let [first, second] = keys;
    let [here, there] = keys.map(|key| reader.place(key));
    match keys.map(|key| reader.text(key, path)) {
        [Some(certificate), Some(key)] => return Some(http::TlsFiles { certificate, key }),
        [None, None] => {}
        [Some(_), None] => reader.mistake(here, first, format!("needs {second} beside it")),
        [None, Some(_)] => reader.mistake(there, second, format!("needs {first} beside it")),
    }
    None
}

fn messages(reader: &Reader) -> gateway::Settings {
    let text = |key| reader.text(key, |text| Ok(text.to_owned())).filter(|text| !text.is_empty());
    let secret = |key| {
        reader.text(key, |text| Secret::new(text.as_bytes()).ok_or_else(|| "must not be empty".to_owned()))
    };
    gateway::Settings {
        smtp: text("messages.smtp"),
        smtp_user: text("messages.smtp_user"),
        smtp_password: secret("messages.smtp_password"),
        from: text("messages.from"),
        sms_url: text("messages.sms_url"),
        sms_token: secret("messages.sms_token"),
        sms_ca: reader.text("messages.sms_ca", path),
    }
}

fn dialects(reader: &Reader) -> Dialects {
    let rest = |key: &str| reader.word(key, &[("rest", true), ("", false)]).unwrap_or(false);
    let octets = [("as-stored", true), ("", false)];
    Dialects {
        mfusion: http::mfusion::Settings {
            rest_errors: rest("mfusion.http_errors"),
            octets_as_stored: reader.word("mfusion.octets", &octets).unwrap_or(false),
            session_aliases: reader.flag("mfusion.session_aliases").unwrap_or(false),
            token_lifetime: reader
                .seconds("mfusion.token_lifetime", 60.0..=86_400.0)
                .unwrap_or(Duration::from_hours(1)),
        },
        jaze: http::jaze::Settings { rest_errors: rest("jaze.http_errors") },
        ibsng: http::ibsng::Settings {
            report_rows: reader.integer("ibsng.report_rows", 100..=1_000_000).unwrap_or(100_000),
        },
        antamedia_passphrase: reader.text("antamedia.passphrase", |text| {
            Secret::new(text.as_bytes()).ok_or_else(|| "must not be empty".to_owned())
        }),
        antamedia: http::antamedia::Settings {
            reveal_passwords: reader.flag("antamedia.reveal_passwords").unwrap_or(false),
            extended: reader.flag("antamedia.extended").unwrap_or(false),
            rest_errors: rest("antamedia.http_errors"),
            pad_first_username_to: reader.integer("antamedia.pad_first_username_to", 1..=65_535),
        },
    }
}

fn log(reader: &Reader) -> telemetry::Settings {
    let formats = [("text", telemetry::Format::Text), ("json", telemetry::Format::Json)];
    telemetry::Settings {
        level: reader
            .text("log.level", |text| telemetry::check_level(text).map(|()| text.to_owned()))
            .unwrap_or_else(|| "info".to_owned()),
        format: reader.word("log.format", &formats).unwrap_or_default(),
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn not_empty(text: &str) -> Result<SmolStr, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(SmolStr::new(text)) }
}

/// Days as `week_start` names them.
const WEEK: [(&str, Weekday); 7] = [
    ("sunday", Weekday::Sunday),
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
];

fn timezone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| format!("{text:?} is no zone of the IANA database (Europe/Rome, UTC …)"))
}

fn database_url(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "sqlite" | "postgres" | "postgresql" | "mysql" | "mariadb" => Ok(text.to_owned()),
        _ => Err("expects sqlite:PATH, postgres://… or mysql://…".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not ADDRESS:PORT ([ADDRESS]:PORT for IPv6)"))
}

/// An address, or nothing where the text is empty: the listener is off.
fn optional_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() { Ok(None) } else { address(text).map(Some) }
}

/// ADDRESS or ADDRESS/PREFIX. Host bits must be zero, or a typing error would go unnoticed.
///
/// # Errors
/// The reason, for people.
pub fn nas_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<std::net::IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| format!("{text:?} is not ADDRESS or ADDRESS/PREFIX"))?,
    };
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("{text} has host bits; did you mean {}?", network.trunc()))
    }
}

/// A NAS type is the NAME of a `dictionary.NAME` (DESIGN §4).
///
/// # Errors
/// The reason, for people.
pub fn nas_type(text: &str) -> Result<String, String> {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-".contains(letter);
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("expects a name such as mikrotik, cisco, ericsson.ab or other".to_owned())
    }
}

/// The name of a NAS that was given none: its address, or its network.
#[must_use]
pub fn nas_name(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// Why a shared secret is doubtful, if it is.
#[must_use]
pub fn secret_doubt(secret: &str) -> Option<String> {
    let octets = secret.len();
    (octets <= SHORT_SECRET_OCTETS)
        .then(|| format!("{octets} octets are too few to resist guessing; use 32 random ones"))
}
