//! The server inside the test's own process, whose clock is the test's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollkeeper::config::Settings;
use tollkeeper::telemetry::{Metrics, install_metrics};
use tollkeeper::time::{Clock, Now, SystemClock, UnixTime};

/// The machine's clocks, moved ahead.
#[derive(Default)]
pub(crate) struct MovedClock {
    /// Seconds.
    pub(crate) ahead: AtomicU64,
}

impl Clock for MovedClock {
    fn now(&self) -> Now {
        SystemClock.now().plus(Duration::from_secs(self.ahead.load(Ordering::SeqCst)))
    }
}

/// Seconds from `now` to the next `28 12:00` (a day of the month) or `01-31 12:00`, UTC.
pub(crate) fn seconds_until(now: UnixTime, text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time such as 28 12:00 or 01-31 12:00");
    let (day, clock) = text.split_once(' ').ok_or_else(wrong)?;
    let (hour, minute) = clock.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<i8>().map_err(|_| wrong());
    let (month, day) = match day.split_once('-') {
        Some((month, day)) => (Some(number(month)?), number(day)?),
        None => (None, number(day)?),
    };
    let midnight = now.0 - now.0.rem_euclid(86_400);
    let clock = i64::from(number(hour)?) * 3_600 + i64::from(number(minute)?) * 60;
    // Every date comes again within eight years.
    let next = (0..3_000).map(|later| midnight + later * 86_400 + clock).find(|at| {
        let date = TimeZone::UTC.to_datetime(Timestamp::from_second(*at).unwrap()).date();
        *at > now.0 && date.day() == day && month.is_none_or(|month| date.month() == month)
    });
    next.map(|at| UnixTime(at).since(now)).ok_or_else(wrong)
}

/// Free ports, no HTTP, rejects that are not held back, days of UTC; `config` says what is otherwise, as
/// keys and values of TOML. `nases` has the `[[nas]]` entries.
pub(crate) fn settings(url: &str, data_dir: &Path, config: &[(String, String)], nases: &str) -> Settings {
    let mut keys = BTreeMap::from([
        ("data_dir", format!("{:?}", data_dir.display().to_string())),
        ("timezone", "\"UTC\"".to_owned()),
        ("database.url", format!("{url:?}")),
        ("database.connections", "4".to_owned()),
        // What is asked of SQL right after an answer must be there, however busy the machine is.
        ("database.commit_deadline", "5".to_owned()),
        // Servers by the hundred, of which none begins without its database.
        ("database.snapshot_interval", "0".to_owned()),
        ("radius.auth", "[\"127.0.0.1:0\"]".to_owned()),
        ("radius.accounting", "[\"127.0.0.1:0\"]".to_owned()),
        ("radius.sockets_per_port", "1".to_owned()),
        ("radius.reject_delay", "0".to_owned()),
        ("http.listen", "\"\"".to_owned()),
        ("ibsng.listen", "\"\"".to_owned()),
        ("antamedia.listen", "\"\"".to_owned()),
    ]);
    keys.extend(config.iter().map(|(key, value)| (key.as_str(), value.clone())));
    let mut text: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    text.push_str(nases);
    Settings::read(None, &text, std::iter::empty()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The recorder is the process's, whatever number of servers run in it.
pub(crate) fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| install_metrics(SystemClock.now().unix).unwrap()).clone()
}
