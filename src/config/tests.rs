use std::path::Path;
use std::time::Duration;

use super::{Place, Settings, Unverifiable};
use crate::domain::{NasSource, TriState};
use crate::telemetry::Format;

fn read(text: &str) -> Result<Settings, Vec<String>> {
    read_with(text, &[])
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(Some(Path::new("t.toml")), text, variables)
        .map_err(|error| error.0.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_written_is_a_working_server_on_loopback() {
    let settings = read("").unwrap();
    assert_eq!(settings.database.url, "sqlite:data/tollkeeper.db");
    assert_eq!(settings.radius.auth, ["127.0.0.1:1812".parse().unwrap()]);
    assert_eq!(settings.radius.accounting, ["127.0.0.1:1813".parse().unwrap()]);
    assert_eq!(settings.radius.reject_delay, Duration::from_secs(1));
    assert_eq!(settings.http.listen, Some("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(settings.http.ibsng, Some("127.0.0.1:1237".parse().unwrap()));
    assert_eq!(settings.http.antamedia, Some("127.0.0.1:8082".parse().unwrap()));
    assert_eq!(settings.sessions.unverifiable, Unverifiable::Accept);
    assert_eq!((settings.nas.len(), settings.warnings.len()), (0, 0));
}

#[test]
fn the_default_database_lies_in_the_data_directory() {
    assert_eq!(read("data_dir = '/var/lib/t'").unwrap().database.url, "sqlite:/var/lib/t/tollkeeper.db");
}

#[test]
fn every_key_of_the_documentation_is_taken() {
    let settings = read(
        r#"
        data_dir = "d"
        timezone = "Europe/Rome"
        [database]
        url = "postgres://u:p@db/x"
        unsafe_durability = true
        connections = 4
        batch_rows = 10
        commit_deadline = 0.5
        [radius]
        auth = ["0.0.0.0:1812", "[::]:1812"]
        accounting = "0.0.0.0:1813"
        reject_delay = 0
        sockets_per_port = 4
        duplicate_lifetime = 20.5
        login_records_per_second = 0
        dictionaries = ["site.dictionary"]
        [sessions]
        unverifiable = "reject"
        interim_interval = 0
        stale_intervals = 4
        stale_min = 60
        stale_max = 3600
        reservation = 30
        [http]
        listen = "0.0.0.0:80"
        body_limit = 2048
        timeout = 5
        failures_per_minute = 3
        [ibsng]
        listen = ""
        report_rows = 500
        [antamedia]
        listen = "127.0.0.1:82"
        passphrase = "x"
        reveal_passwords = true
        extended = true
        http_errors = "rest"
        pad_first_username_to = 1476
        [mfusion]
        http_errors = "rest"
        octets = "as-stored"
        session_aliases = true
        [jaze]
        http_errors = "rest"
        [log]
        level = "warn"
        format = "json"
        [[nas]]
        address = "10.0.0.0/8"
        secret = "0123456789abcdef"
        type = "mikrotik"
        name = "core"
        identifier = "bras"
        coa_port = 1700
        coa_secret = "fedcba9876543210"
        secret_next = "abcdef0123456789"
        swap_octets = true
        require_message_authenticator = "yes"
        limit_proxy_state = "no"
        "#,
    )
    .unwrap();
    assert_eq!(settings.radius.auth.len(), 2);
    assert_eq!(settings.radius.accounting.len(), 1);
    assert_eq!(settings.http.ibsng, None);
    assert_eq!(settings.log.format, Format::Json);
    assert!(settings.dialects.mfusion.octets_as_stored && settings.dialects.jaze.rest_errors);
    assert_eq!(settings.dialects.ibsng.report_rows, 500);
    assert_eq!(settings.warnings, []);
    let nas = settings.nas.first().unwrap();
    assert_eq!((nas.name.as_str(), nas.coa_port, nas.source), ("core", Some(1700), NasSource::Config));
    assert_eq!((nas.require_message_authenticator, nas.limit_proxy_state), (TriState::Yes, TriState::No));
    assert!(nas.swap_octets && nas.secret_next.is_some() && nas.coa_secret.is_some());
    assert!(!format!("{settings:?}").contains("0123456789abcdef"));
    assert!(!format!("{settings:?}").contains("u:p@"));
}

#[test]
fn a_nas_needs_an_address_and_a_secret_and_the_rest_has_defaults() {
    let text = "[[nas]]\naddress = '10.0.0.1'\nsecret = '0123456789abcdef'\n[[nas]]\naddress = '10.1.0.0/16'\nsecret = '0123456789abcdef'";
    let settings = read(text).unwrap();
    let [one, network] = settings.nas.as_slice() else { panic!("two entries") };
    assert_eq!((one.name.as_str(), network.name.as_str()), ("10.0.0.1", "10.1.0.0/16"));
    assert_eq!((one.nas_type.as_str(), one.coa_port), ("other", None));
    assert_eq!((one.require_message_authenticator, one.limit_proxy_state), (TriState::Auto, TriState::Auto));
    assert!(!one.swap_octets && one.identifier.is_none());
    assert!(one.secret_next.is_none() && one.coa_secret.is_none());
}

#[test]
fn all_mistakes_are_named_with_line_key_and_reason() {
    let mistakes = read(
        r#"
timezone = "Mars/Olympus"
[databse]
url = "x"
[database]
url = "oracle:x"
commit_deadline = "soon"
[radius]
acounting = ["127.0.0.1:1813"]
auth = ["nowhere"]
reject_delay = 99
[[nas]]
address = "10.0.0.1/8"
secret = ""
[[nas]]
secret = "x"
coa_port = 70000
require_message_authenticator = "maybe"
"#,
    )
    .unwrap_err();
    assert_eq!(
        mistakes,
        [
            "t.toml:2: timezone: \"Mars/Olympus\" is no zone of the IANA database (Europe/Rome, UTC …)",
            "t.toml:4: databse.url: no such key; did you mean database.url?",
            "t.toml:6: database.url: expects sqlite:PATH, postgres://… or mysql://…",
            "t.toml:7: database.commit_deadline: expects seconds from 0.01 to 60",
            "t.toml:9: radius.acounting: no such key; did you mean radius.accounting?",
            "t.toml:10: radius.auth: \"nowhere\" is not ADDRESS:PORT ([ADDRESS]:PORT for IPv6)",
            "t.toml:11: radius.reject_delay: expects seconds from 0 to 10",
            "t.toml:13: nas[1].address: 10.0.0.1/8 has host bits; did you mean 10.0.0.0/8?",
            "t.toml:14: nas[1].secret: must not be empty (RFC 2865 §3)",
            "t.toml:15: nas[2].address: is missing",
            "t.toml:17: nas[2].coa_port: expects a whole number from 1 to 65535",
            "t.toml:18: nas[2].require_message_authenticator: expects \"no\" or \"auto\" or \"yes\"",
        ]
    );
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    let mistakes = read("[radius]\nauth = \n").unwrap_err();
    assert!(mistakes.iter().any(|mistake| mistake.starts_with("t.toml:2: ")), "{mistakes:?}");
}

#[test]
fn tables_and_values_are_not_confused() {
    let mistakes = read("radius = 3\nnas = 'x'\n[log.level]\nx = 1\n[[http]]\nlisten = ''").unwrap_err();
    assert!(mistakes.contains(&"t.toml:1: radius: expects a table: [radius]".to_owned()), "{mistakes:?}");
    assert!(mistakes.contains(&"t.toml:2: nas: expects tables: [[nas]]".to_owned()), "{mistakes:?}");
    assert!(
        mistakes.contains(&"t.toml:4: log.level.x: no such key; did you mean log.level?".to_owned()),
        "{mistakes:?}"
    );
    assert!(mistakes.contains(&"t.toml:5: http: expects a table: [http]".to_owned()), "{mistakes:?}");
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
}

#[test]
fn one_socket_cannot_take_both_kinds_of_request() {
    let text = "[radius]\nauth = ['127.0.0.1:1812']\naccounting = ['127.0.0.1:1812']";
    assert_eq!(
        read(text).unwrap_err(),
        ["t.toml:3: radius.accounting: 127.0.0.1:1812 is also in radius.auth"]
    );
    assert!(read(&text.replace("1812", "0")).is_ok(), "port 0 is a free one each time");
}

#[test]
fn the_environment_overrides_the_file() {
    let settings = read_with(
        "[radius]\nauth = ['127.0.0.1:1812']\n[database]\nurl = 'sqlite:a'",
        &[
            ("TOLLKEEPER_DATABASE__URL", "mysql://u:p@h/d"),
            ("TOLLKEEPER_RADIUS__AUTH", "127.0.0.1:0, [::1]:0"),
            ("TOLLKEEPER_RADIUS__REJECT_DELAY", "0.5"),
            ("TOLLKEEPER_RADIUS__SOCKETS_PER_PORT", "3"),
            ("TOLLKEEPER_DATABASE__UNSAFE_DURABILITY", "true"),
            ("TOLLKEEPER_DATA_DIR", "/x"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(settings.database.url, "mysql://u:p@h/d");
    assert_eq!(settings.radius.auth.len(), 2);
    assert_eq!(settings.radius.reject_delay, Duration::from_millis(500));
    assert_eq!(settings.radius.sockets_per_port, 3);
    assert!(settings.database.unsafe_durability);
    assert_eq!(settings.data_dir, Path::new("/x"));
    assert_eq!(settings.warnings, []);
}

#[test]
fn an_unknown_variable_is_a_doubt_and_a_wrong_one_a_mistake() {
    let settings = read_with("", &[("TOLLKEEPER_RADIUS__AUHT", "x")]).unwrap();
    let warning = settings.warnings.first().unwrap();
    assert_eq!(warning.place, Place::Environment("TOLLKEEPER_RADIUS__AUHT".to_owned()));
    assert_eq!(
        read_with("", &[("TOLLKEEPER_RADIUS__REJECT_DELAY", "x")]).unwrap_err(),
        ["environment TOLLKEEPER_RADIUS__REJECT_DELAY: radius.reject_delay: expects seconds from 0 to 10"]
    );
}

#[test]
fn a_short_secret_is_a_doubt_and_is_not_shown() {
    let settings = read("[[nas]]\naddress = '127.0.0.1/32'\nsecret = 'testing123'").unwrap();
    let warning = settings.warnings.first().unwrap().to_string();
    assert!(warning.starts_with("t.toml:3: nas[1].secret: 10 octets"), "{warning}");
    assert!(!warning.contains("testing123"));
}

#[test]
fn a_network_is_configured_once() {
    let nas = "[[nas]]\naddress = '10.0.0.1'\nsecret = '0123456789abcdef'\n";
    assert_eq!(
        read(&nas.repeat(2)).unwrap_err(),
        ["t.toml:5: nas[2].address: 10.0.0.1/32 is configured twice"]
    );
}
