//! The server inside the test's own process, whose clock is the test's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use tollkeeper::config::Settings;
use tollkeeper::telemetry::{Metrics, install_metrics};
use tollkeeper::time::{Clock as _, SystemClock};

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
