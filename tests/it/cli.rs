//! The command line, run as a process: what each form says, and how it ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::programs::program;

/// A folder of its own, with a configuration and a SQLite database in it.
struct Place {
    folder: tempfile::TempDir,
}

/// How a command ended and what it said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tollkeeper.toml"), config).unwrap();
        Self { folder }
    }

    /// The binary in the folder, with nothing in its environment that it would read.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOLLKEEPER_") {
                command.env_remove(name);
            }
        }
        command.env("USER", "tester").env_remove("SUDO_USER");
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON value of a command that succeeds.
    fn json(&self, arguments: &[&str]) -> Value {
        self.json_with(arguments, "")
    }

    fn json_with(&self, arguments: &[&str], input: &str) -> Value {
        let said = self.run_with(&[arguments, &["--json"]].concat(), input);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error} in {}", said.out))
    }

    /// A command that is refused: exit code 1, nothing on standard output, the reason on standard error.
    fn refused(&self, arguments: &[&str], reason: &str) {
        let said = self.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(reason), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_mistaken_command_line_says_so_on_standard_error() {
    let place = Place::new("");
    for arguments in [
        &["frobnicate"][..],
        &["nas", "add"],
        &["nas", "add", "10.0.0.1/8"],
        &["nas", "add", "10.0.0.0/8", "--coa-port", "0"],
        &["plan", "add", "gold", "--price", "1,5"],
        &["plan", "add", "gold", "--concurrency", "sometimes"],
        &["subscriber", "add", "bob", "--mac", "--pin"],
        &["subscriber", "set", "bob", "--status", "deleted"],
        &["key", "create", "--dialect", "klingon", "--rights", "read"],
        &["key", "create", "--dialect", "native", "--rights", "root"],
        &["admin", "add", "root", "--rights", "read"],
        &["session", "coa", "x"],
        &["explain", "bob", "--nas", "nowhere"],
        &["load", "auth", "--rate", "-1"],
        &["load", "auth", "--secret", ""],
    ] {
        let said = place.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.starts_with("error: "), "{arguments:?}: {said:?}");
    }
    let empty = place.run_with(&["subscriber", "add", "bob", "--password-stdin"], "");
    assert_eq!(empty.code, 2, "{empty:?}");
    assert_eq!(place.run(&["--help"]).code, 0);
    assert!(place.run(&["--version"]).out.starts_with("tollkeeper "));
}

#[test]
fn check_names_every_mistake_with_file_line_key_and_reason() {
    let place = Place::new(
        "timezone = 'Nowhere'\n[radius]\nauth = ['x']\nreject_delays = 1\n[[nas]]\naddress = '10.0.0.0/8'\nsecret = ''\n",
    );
    let said = place.run(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (78, ""), "{said:?}");
    let lines: Vec<&str> = said.err.lines().collect();
    let begins = [
        "tollkeeper.toml:1: timezone: ",
        "tollkeeper.toml:3: radius.auth: ",
        "tollkeeper.toml:4: radius.reject_delays: no such key; did you mean radius.reject_delay?",
        "tollkeeper.toml:7: nas[1].secret: must not be empty",
    ];
    assert_eq!(lines.len(), begins.len(), "{said:?}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line} does not begin with {begin}");
    }
    let said = place.run(&["check", "--json"]);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &value["ok"]), (78, &json!(false)));
    assert_eq!(value["mistakes"][1]["key"], "radius.auth");
    assert_eq!(place.run(&["subscriber", "list"]).code, 78, "every command refuses to work with it");
    assert_eq!(place.run(&["check", "--config", "absent.toml"]).code, 78);
}

#[test]
fn check_looks_at_the_dictionaries_and_the_database_and_changes_nothing() {
    let place = Place::new(
        "[radius]\ndictionaries = ['site.dictionary']\n[[nas]]\naddress='10.0.0.1'\nsecret='short'\n",
    );
    let said = place.run(&["check"]);
    assert_eq!(said.code, 78, "{said:?}");
    assert!(said.err.contains("tollkeeper.toml:2: radius.dictionaries: "), "{said:?}");
    for command in [&["serve"][..], &["subscriber", "list"]] {
        let refused = place.run(command);
        assert_eq!(refused.code, 78, "{command:?}: {refused:?}");
        assert!(refused.err.contains("tollkeeper.toml:2: radius.dictionaries: "), "{command:?}: {refused:?}");
    }
    std::fs::remove_dir_all(place.folder.path().join("data")).unwrap();
    std::fs::write(place.folder.path().join("site.dictionary"), "ATTRIBUTE Site-Thing 3999 string\n")
        .unwrap();
    let fresh = place.json(&["check"]);
    assert_eq!(fresh["database_state"], "data/tollkeeper.db will be created");
    assert_eq!(fresh["warnings"][0]["key"], "nas[1].secret");
    assert!(!place.folder.path().join("data").exists(), "check creates nothing");
    place.json(&["migrate"]);
    assert_eq!(place.json(&["check"])["database_state"], "up to date");
    place.json(&["subscriber", "add", "bob", "--pin", "--attribute", "Site-Thing := here"]);
    std::fs::write(place.folder.path().join("tollkeeper.toml"), "").unwrap();
    let warnings = place.json(&["check"])["warnings"].to_string();
    assert!(warnings.contains("1 rows name Site-Thing, which no dictionary knows"), "{warnings}");
}

#[test]
fn check_names_nas_types_and_parts_of_packs_that_mean_nothing() {
    let place = Place::new(
        "[radius]\npacks = ['packs']\n[[nas]]\naddress = '10.0.0.1'\nsecret = '0123456789abcdef'\ntype = 'livingston'\n\
         [[nas]]\naddress = '10.0.0.2'\nsecret = '0123456789abcdef'\ntype = 'own'\n",
    );
    let said = place.run(&["check"]);
    assert_eq!(said.code, 78, "{said:?}");
    assert!(said.err.contains("tollkeeper.toml:2: radius.packs: packs: "), "{said:?}");
    let folder = place.folder.path().join("packs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("own.toml"), "rate_also = ['Site-Rate']\n").unwrap();
    let warnings: Vec<_> = place.json(&["check"])["warnings"].as_array().unwrap().clone();
    let told: Vec<_> = warnings.iter().map(|it| (it["key"].clone(), it["reason"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!("radius.packs"), json!("pack own: no dictionary has Site-Rate: it is left out")),
            (
                json!("nas[1].type"),
                json!("NAS 10.0.0.1: there is no pack for the type livingston: it is served as `other`")
            ),
        ]
    );
    std::fs::write(folder.join("own.toml"), "rates = 1\n").unwrap();
    assert!(place.run(&["check"]).err.contains("own.toml: line 1: unknown field `rates`"));
}

#[test]
fn a_database_that_cannot_be_one_is_a_mistake_of_the_configuration() {
    let place = Place::new("[database]\nurl = 'postgres://127.0.0.1:1/nothing'\n");
    let said = place.run(&["check"]);
    assert_eq!(said.code, 78, "{said:?}");
    assert!(said.err.starts_with("tollkeeper.toml:2: database.url: "), "{said:?}");
    assert_eq!(said.err.matches("cannot be used now").count(), 1, "{said:?}");
    assert_eq!(place.run(&["nas", "list"]).code, 69, "it may be there later");
}

#[test]
fn migrate_says_what_it_would_do_and_what_it_did() {
    let place = Place::new("");
    let would = place.json(&["migrate", "--dry-run"]);
    assert_eq!(would["applied"], json!([]));
    let steps = would["pending"].as_array().unwrap().clone();
    assert!(steps.len() >= 3, "{would}");
    assert_eq!(place.json(&["migrate"])["applied"], Value::Array(steps));
    let again = place.json(&["migrate"]);
    assert_eq!((&again["applied"], &again["pending"]), (&json!([]), &json!([])));
}

#[test]
fn nases_are_added_listed_and_deleted() {
    let place = Place::new("");
    let added = place.json(&[
        "nas",
        "add",
        "10.0.0.0/8",
        "--secret",
        "0123456789abcdef",
        "--type",
        "mikrotik",
        "--identifier",
        "core",
        "--coa-port",
        "1700",
    ]);
    assert_eq!(added, json!({ "id": 1, "address": "10.0.0.0/8" }));
    let made = place.json(&["nas", "add", "192.0.2.1"]);
    assert!(made["secret"].as_str().unwrap().len() >= 32, "{made}");
    assert_eq!(made["address"], "192.0.2.1");
    place.refused(&["nas", "add", "10.0.0.0/8"], "NAS 10.0.0.0/8 exists already");
    place.refused(&["nas", "add", "192.0.2.2", "--secret", ""], "secret: must not be empty");
    let short = place.run(&["nas", "add", "192.0.2.3", "--secret", "twelve octet"]);
    assert!(short.code == 0 && short.err.contains("12 octets are too few"), "{short:?}");

    let list = place.json(&["nas", "list"]);
    assert_eq!(list[0]["type"], "mikrotik");
    assert_eq!((&list[0]["coa_port"], &list[1]["coa_port"]), (&json!(1700), &json!(3799)));
    assert!(!list.to_string().contains("0123456789abcdef"), "secrets are not listed: {list}");
    assert_eq!(place.json(&["nas", "show", "10.0.0.0/8"]), list[0]);
    let shown = place.run(&["nas", "show", "192.0.2.1"]).out;
    assert!(shown.contains("coa_port") && !shown.contains("0123456789"), "{shown}");
    place.refused(&["nas", "show", "10.9.9.9"], "there is no NAS 10.9.9.9");
    let table = place.run(&["nas", "list"]).out;
    assert!(table.starts_with("ID  ADDRESS") && table.contains("10.0.0.0/8"), "{table}");
    assert_eq!(place.json(&["nas", "delete", "10.0.0.0/8"]), json!({ "deleted": "10.0.0.0/8" }));
    place.refused(&["nas", "delete", "10.0.0.0/8"], "there is no NAS 10.0.0.0/8");
}

#[test]
fn a_nas_is_changed_and_the_rest_of_it_stays() {
    let place = Place::new("");
    place.json(&["nas", "add", "10.0.0.1", "--secret", "0123456789abcdef", "--identifier", "core"]);
    let set = |what: &[&str]| place.json(&[&["nas", "set", "10.0.0.1"], what].concat());
    let rotating = set(&["--secret-next", "fedcba9876543210", "--type", "cisco", "--swap-octets", "true"]);
    assert_eq!(rotating["rotating"], true);
    assert_eq!((&rotating["coa_port"], &rotating["identifier"]), (&json!(1700), &json!("core")));
    assert_eq!((&rotating["type"], &rotating["swap_octets"]), (&json!("cisco"), &json!(true)));
    let rotated = set(&[
        "--secret",
        "fedcba9876543210",
        "--secret-next",
        "none",
        "--coa-port",
        "3799",
        "--identifier",
        "none",
        "--name",
        "edge",
        "--require-message-authenticator",
        "yes",
        "--limit-proxy-state",
        "no",
    ]);
    assert_eq!((&rotated["rotating"], &rotated["identifier"]), (&json!(false), &Value::Null));
    assert_eq!((&rotated["coa_port"], &rotated["name"]), (&json!(3799), &json!("edge")));
    assert_eq!(rotated["require_message_authenticator"], "yes");
    assert_eq!((&rotated["limit_proxy_state"], &rotated["type"]), (&json!("no"), &json!("cisco")));
    assert_eq!(place.json(&["nas", "set", "edge", "--coa-port", "none"])["coa_port"], 1700);
    assert!(place.run(&["nas", "set", "edge", "--secret", "short"]).err.contains("5 octets are too few"));
    place.refused(&["nas", "set", "edge", "--secret", ""], "secret: must not be empty");
    place.refused(&["nas", "set", "10.0.0.2", "--name", "x"], "there is no NAS 10.0.0.2");
    assert_eq!(place.run(&["nas", "set", "edge", "--coa-port", "0"]).code, 2);
}

#[test]
fn plans_are_made_changed_and_deleted() {
    let place = Place::new("");
    let added = place.json(&[
        "plan",
        "add",
        "gold",
        "--price",
        "8.00",
        "--currency",
        "USD",
        "--time",
        "3600",
        "--quota",
        "1000000000",
        "--rate-down",
        "10000000000",
        "--rate-up",
        "1000000",
        "--validity",
        "30",
        "--credit",
        "1000",
        "--recharge-credit",
        "500",
        "--charge-per-minute",
        "0.5",
        "--charge-per-kib",
        "0.0009765625",
        "--attribute",
        "Simultaneous-Use := 2",
        "Session-Timeout := 3600",
    ]);
    assert_eq!(added, json!({ "id": 1, "name": "gold" }));
    let plan = place.json(&["plan", "show", "gold"]);
    for (key, value) in [
        ("price", json!("8")),
        ("currency", json!("USD")),
        ("time", json!(3600)),
        ("quota", json!(1_000_000_000)),
        ("rate_down", json!(10_000_000_000_u64)),
        ("validity", json!(30)),
        ("credit", json!("1000")),
        ("recharge_credit", json!("500")),
        ("charge_per_minute", json!("0.5")),
        ("charge_per_kib", json!("0.0009765625")),
        ("check", json!(["Simultaneous-Use := 2"])),
    ] {
        assert_eq!(plan[key], value, "{key} of {plan}");
    }
    let reply = plan["reply"].to_string();
    assert!(reply.contains("WISPr-Bandwidth-Max-Down = 4294967295"), "as much as 32 bits hold: {reply}");
    assert!(reply.contains("Fall-Through := Yes") && reply.contains("Session-Timeout := 3600"), "{reply}");

    place.refused(&["plan", "add", "gold"], "plan or group gold exists already");
    place.refused(&["plan", "add", "x", "--reset-day", "32"], "reset_day: expects a day of the month");
    place.refused(&["plan", "add", "x", "--price=-1"], "price: must not be negative");
    place.refused(&["plan", "add", "x", "--currency", "dollars"], "currency: ");
    place.refused(
        &["plan", "add", "x", "--attribute", "Nonsense := 1"],
        "no dictionary has an attribute Nonsense",
    );
    place.refused(&["plan", "set", "silver", "--time", "1"], "there is no plan silver");

    let set = place.json(&[
        "plan",
        "set",
        "gold",
        "--reset-day",
        "31",
        "--concurrency",
        "same-device",
        "--time",
        "none",
        "--rate-down",
        "none",
        "--attribute",
        "Session-Timeout := 60",
        "--remove-attribute",
        "Simultaneous-Use",
    ]);
    assert_eq!((&set["reset_day"], &set["concurrency"]), (&json!(31), &json!("same-device")));
    assert_eq!((&set["time"], &set["quota"]), (&Value::Null, &json!(1_000_000_000)));
    assert_eq!(set["check"], json!([]));
    let reply = set["reply"].to_string();
    assert!(reply.contains("Session-Timeout := 60") && !reply.contains("3600"), "{reply}");
    assert!(!reply.contains("Max-Down") && reply.contains("WISPr-Bandwidth-Max-Up = 1000000"), "{reply}");

    assert_eq!(place.json(&["plan", "list"])[0]["name"], "gold");
    place.json_with(&["subscriber", "add", "bob", "--password-stdin", "--plan", "gold"], "hello\n");
    assert_eq!(place.json(&["plan", "list"])[0]["subscribers"], 1);
    place.refused(&["plan", "delete", "gold"], "plan gold has subscribers: 1");
    place.json(&["subscriber", "delete", "bob"]);
    assert_eq!(place.json(&["plan", "delete", "gold"]), json!({ "deleted": "gold" }));
    assert_eq!(place.json(&["plan", "list"]), json!([]));
}

#[test]
fn quotas_are_made_listed_and_deleted_and_top_ups_sold() {
    let place = Place::new("timezone = \"UTC\"");
    place.json(&["plan", "add", "gold", "--quota", "1000"]);
    place.json_with(&["subscriber", "add", "bob", "--password-stdin", "--plan", "gold"], "hello\n");
    let step = [
        "--metric",
        "down",
        "--period",
        "weekly",
        "--limit",
        "5000",
        "--carry-over",
        "--week-start",
        "saturday",
    ];
    let slow = ["--exhausted", "throttle", "--rate-down", "64000", "--priority", "2"];
    let id = place.json(&[&["plan", "quota", "add", "gold"][..], &step, &slow].concat())["id"].clone();
    let listed = place.json(&["plan", "quota", "list", "gold"]);
    assert_eq!(
        listed["quotas"],
        json!([{
            "id": id, "metric": "down", "period": "weekly", "limit": 5000, "carry_over": true,
            "exhausted": "throttle", "rate_down": 64000, "rate_up": null, "redirect": null, "begins": 6,
            "priority": 2,
        }])
    );
    let own =
        ["subscriber", "quota", "add", "bob", "--metric", "time", "--period", "daily", "--limit", "-60"];
    let own = place.json(&own)["id"].clone();
    let bought =
        place.json(&["subscriber", "top-up", "bob", "--seconds", "600", "--days", "30"])["id"].clone();
    let report = place.json(&["subscriber", "usage", "bob"]);
    assert_eq!(report["lifetime"], json!({ "seconds": 0, "input": 0, "output": 0 }));
    let rules: Vec<_> =
        report["quotas"].as_array().unwrap().iter().map(|quota| quota["rule"].clone()).collect();
    let expected = [
        "plan gold: quota 1000".to_owned(),
        format!("tk_quota {own} of subscriber: daily time -60 s"),
        format!("tk_quota {id} of plan gold: weekly data_down 5000 octets"),
    ];
    assert_eq!(rules, expected);
    assert_eq!(report["quotas"][1]["left"], -60);
    assert_eq!((&report["top_ups"][0]["id"], &report["top_ups"][0]["left"]), (&bought, &json!(600)));
    let explained = place.json(&["explain", "bob"]);
    assert_eq!(explained["decision"], "accept", "the top-up lifts it: {explained}");
    place.json(&["subscriber", "quota", "delete", "bob", &bought.to_string()]);
    let explained = place.json(&["explain", "bob"]);
    assert_eq!(explained["reason"], "TIMELY_QUOTA_EXCEEDED", "{explained}");
    let rule = format!("tk_quota {own} of subscriber: daily time -60 s: 0 of -60 s used");
    assert_eq!(explained["rule"], rule);

    place.refused(&["plan", "quota", "list", "lead"], "there is no plan lead");
    place.refused(&["subscriber", "top-up", "nobody", "--octets", "5"], "there is no subscriber nobody");
    place.refused(&["subscriber", "top-up", "bob", "--octets", "0"], "octets: expects a number above 0");
    place.refused(
        &["subscriber", "top-up", "bob", "--octets", "5", "--expires", "2020-01-01"],
        "expires: lies in the past",
    );
    place.refused(
        &["plan", "quota", "delete", "gold", &own.to_string()],
        &format!("there is no quota {own} of gold"),
    );
    let add = ["plan", "quota", "add", "gold", "--metric", "total", "--limit", "5", "--period"];
    for (more, reason) in [
        (&["daily", "--exhausted", "throttle"][..], "rate_down: is needed to throttle"),
        (&["daily", "--exhausted", "redirect"], "redirect: expects a URL"),
        (&["daily", "--day", "3"], "period: begins on a day of its own if weekly or monthly"),
        (&["monthly", "--day", "32"], "day: expects a day of the month"),
        (&["session", "--carry-over"], "carry_over: needs a period that begins anew"),
    ] {
        place.refused(&[&add, more].concat(), reason);
    }
}

#[test]
fn subscribers_are_made_changed_and_deleted() {
    let place = Place::new("");
    place.json(&["plan", "add", "gold"]);
    let bob = place.json_with(
        &[
            "subscriber",
            "add",
            "bob",
            "--password-stdin",
            "--plan",
            "gold",
            "--attribute",
            "Simultaneous-Use := 3",
            "--attribute",
            "Calling-Station-Id == 02-00-00-00-00-01",
            "--attribute",
            "Mikrotik-Rate-Limit = 1M/2M",
        ],
        "hello\n",
    );
    assert_eq!(bob, json!({ "id": 1, "login": "bob" }));
    assert_eq!(place.json(&["subscriber", "add", "AA-BB-CC-00-11-22", "--mac"])["id"], 2);
    assert_eq!(place.json(&["subscriber", "add", "314159", "--pin"])["id"], 3);
    let crypt = "Crypt-Password := $1$abc$BXBqpb9BZcZhXLgbee.0s/";
    assert_eq!(place.json(&["subscriber", "add", "hashed", "--attribute", crypt])["id"], 4);

    let shown = place.json(&["subscriber", "show", "bob"]);
    let masked = [
        "Cleartext-Password := ********",
        "Simultaneous-Use := 3",
        "Calling-Station-Id == 02-00-00-00-00-01",
    ];
    assert_eq!(shown["check"], json!(masked));
    assert_eq!(shown["reply"], json!(["Mikrotik-Rate-Limit = 1M/2M"]));
    assert_eq!(
        (&shown["groups"], &shown["plan"], &shown["kind"]),
        (&json!(["gold"]), &json!("gold"), &json!("user"))
    );
    let revealed = place.json(&["subscriber", "show", "bob", "--secrets"]);
    assert_eq!(revealed["check"][0], "Cleartext-Password := hello");
    assert_eq!(
        place.json(&["subscriber", "show", "AA-BB-CC-00-11-22"])["check"],
        json!(["Auth-Type := Accept"])
    );

    place.refused(&["subscriber", "add", "314159", "--pin"], "subscriber 314159 exists already");
    place.refused(
        &["subscriber", "add", "not-a-mac", "--mac"],
        "login: must be a MAC address, which not-a-mac is not",
    );
    place.refused(&["subscriber", "add", "x", "--pin", "--plan", "lead"], "there is no plan lead");
    place.refused(&["subscriber", "add", "x"], "password: is missing");
    place.refused(&["subscriber", "add", " x", "--pin"], "login: must not begin or end with a blank");
    place.refused(
        &["subscriber", "add", "x", "--pin", "--account", "Elsewhere"],
        "there is no account Elsewhere",
    );
    place.refused(
        &["subscriber", "add", "x", "--pin", "--attribute", "Session-Timeout := soon"],
        "attribute: Session-Timeout: \"soon\" is ",
    );
    place.refused(&["subscriber", "show", "nobody"], "there is no subscriber nobody");

    let list = place.json(&["subscriber", "list", "--search", "1", "--after", "1"]);
    let logins: Vec<&str> =
        list.as_array().unwrap().iter().map(|row| row["login"].as_str().unwrap()).collect();
    assert_eq!(logins, ["AA-BB-CC-00-11-22", "314159"]);
    assert_eq!(place.json(&["subscriber", "list", "--limit", "1"]).as_array().unwrap().len(), 1);

    let suspended =
        place.json(&["subscriber", "set", "bob", "--status", "suspended", "--reason", "no payment"]);
    assert_eq!(
        (&suspended["status"], &suspended["status_reason"]),
        (&json!("suspended"), &json!("no payment"))
    );
    assert_eq!(
        suspended["groups"],
        json!(["daloRADIUS-Disabled-Users", "gold"]),
        "a stock FreeRADIUS refuses too"
    );
    let active = place.json_with(
        &[
            "subscriber",
            "set",
            "bob",
            "--status",
            "active",
            "--plan",
            "none",
            "--password-stdin",
            "--remove-attribute",
            "Calling-Station-Id",
        ],
        "new\n",
    );
    assert_eq!((&active["status"], &active["groups"]), (&json!("active"), &json!([])));
    let check = place.json(&["subscriber", "show", "bob", "--secrets"])["check"].clone();
    assert_eq!(check, json!(["Simultaneous-Use := 3", "Cleartext-Password := new"]));

    assert_eq!(place.json(&["subscriber", "delete", "bob"]), json!({ "deleted": "bob" }));
    place.refused(&["subscriber", "delete", "bob"], "there is no subscriber bob");
    assert_eq!(
        place.json(&["subscriber", "add", "bob", "--pin"])["id"],
        5,
        "the login is free, the number is not"
    );
}

#[test]
fn a_secret_of_a_key_is_shown_once() {
    let place = Place::new("");
    let made = place.json(&["key", "create", "--dialect", "mfusion", "--rights", "read,write"]);
    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["key_id", "secret"]);
    assert!(made["secret"].as_str().unwrap().len() >= 22, "128 bits: {made}");
    let list = place.json(&["key", "list"]);
    assert_eq!(place.json(&["key", "show", list[0]["key_id"].as_str().unwrap()]), list[0]);
    place.refused(&["key", "show", "nobody"], "there is no key nobody");
    assert_eq!((&list[0]["key_id"], &list[0]["rights"]), (&made["key_id"], &json!(["read", "write"])));
    let key_id = made["key_id"].as_str().unwrap();
    let database = std::fs::read(place.folder.path().join("data/tollkeeper.db")).unwrap();
    let wal = std::fs::read(place.folder.path().join("data/tollkeeper.db-wal")).unwrap_or_default();
    let secret = made["secret"].as_str().unwrap().as_bytes();
    let holds = |octets: &[u8]| octets.windows(secret.len()).any(|window| window == secret);
    assert!(!holds(&database) && !holds(&wal), "only a digest is stored");
    let rotated = place.json(&["key", "rotate", key_id]);
    assert_eq!(rotated["key_id"], made["key_id"]);
    assert_ne!(rotated["secret"], made["secret"]);
    for (verb, enabled) in [("disable", false), ("enable", true)] {
        assert_eq!(place.json(&["key", verb, key_id]), json!({ "key_id": key_id, "enabled": enabled }));
        assert_eq!(place.json(&["key", "list"])[0]["enabled"], json!(enabled));
    }
    for verb in ["rotate", "disable", "enable"] {
        place.refused(&["key", verb, "none"], "there is no key");
    }
    assert_eq!(place.json(&["key", "delete", key_id]), json!({ "deleted": key_id }));
    place.refused(&["key", "delete", key_id], "there is no key");
    place.refused(
        &["key", "create", "--dialect", "jaze", "--rights", "read", "--account", "Elsewhere"],
        "there is no account Elsewhere",
    );
}

#[test]
fn operators_have_a_login_and_a_password() {
    let place = Place::new("");
    let arguments =
        ["admin", "add", "root", "--rights", "read,write,secrets", "--account", "Main", "--password-stdin"];
    assert_eq!(place.json_with(&arguments, "correct horse\n"), json!({ "id": 1, "login": "root" }));
    let taken = place.run_with(&arguments, "correct horse\n");
    assert!(taken.code == 1 && taken.err.contains("operator root exists already"), "{taken:?}");
    let empty = place.run_with(&["admin", "add", "other", "--rights", "read", "--password-stdin"], "\n");
    assert!(empty.code == 2 && empty.err.contains("standard input has no password"), "{empty:?}");
    let list = place.json(&["admin", "list"]);
    assert_eq!(
        (&list[0]["login"], &list[0]["rights"]),
        (&json!("root"), &json!(["read", "write", "secrets"]))
    );
    assert_eq!(place.json(&["admin", "delete", "root"]), json!({ "deleted": "root" }));
    place.refused(&["admin", "delete", "root"], "there is no operator root");
}

#[test]
fn terms_and_devices_are_set_listed_and_removed() {
    let place = Place::new("");
    place.json(&["nas", "add", "10.0.0.1", "--secret", "0123456789abcdef"]);
    place.json(&["plan", "add", "gold"]);
    place.json_with(&["subscriber", "add", "bob", "--password-stdin", "--plan", "gold"], "hello\n");
    let rule = place.json(&["plan", "expiry", "add", "gold", "after_first_use", "1", "month"]);
    let own = place.json(&["subscriber", "expiry", "add", "bob", "fixed", "2049-12-31"]);
    let (rule, own) = (rule["id"].to_string(), own["id"].to_string());
    assert_eq!(
        place.json(&["plan", "expiry", "list", "gold"]),
        json!([{ "id": rule.parse::<i64>().unwrap(), "kind": "after_first_use", "value": 1, "unit": "months" }])
    );
    assert_eq!(place.json(&["subscriber", "expiry", "list", "bob"])[0]["value"], "2049-12-31T00:00:00Z");
    let explained = place.json(&["explain", "bob", "--nas", "10.0.0.1"]);
    assert_eq!(explained["rule"], "tk_expiry_rule of plan gold: after_first_use 1 months");
    let deciding: Vec<_> =
        explained["steps"].as_array().unwrap().iter().filter(|step| step["decides"] == true).collect();
    assert_eq!(deciding.len(), 1);
    assert_eq!((&deciding[0]["step"], &deciding[0]["said"]), (&json!("validity"), &json!("limits")));
    for (arguments, reason) in [
        (["after_lunch", "1", "days"], "kind: expects one of fixed, after_creation"),
        (["after_renew", "1", "weeks"], "unit: \"weeks\": expects one of minutes"),
        (["day_of_month", "1", "days"], "unit: day_of_month has none, not days"),
        (["after_renew", "many", "days"], "value: expects a number of units"),
    ] {
        place.refused(&[&["plan", "expiry", "add", "gold"][..], &arguments].concat(), reason);
    }
    place.refused(
        &["plan", "expiry", "add", "gold", "day_of_month", "32"],
        "value: expects a day of the month",
    );
    place.refused(&["plan", "expiry", "add", "gold", "after_renew", "1"], "unit: expects one of minutes");
    place.refused(&["plan", "expiry", "add", "tin", "day_of_month", "1"], "there is no plan tin");
    place.refused(&["subscriber", "expiry", "delete", "bob", &rule], "there is no expiry rule");
    place.json(&["plan", "expiry", "delete", "gold", &rule]);
    place.json(&["subscriber", "expiry", "delete", "bob", &own]);
    assert_eq!(place.json(&["explain", "bob"])["rule"], "accepted");

    let device =
        place.json(&["subscriber", "device", "add", "bob", "--mac", "02:00:00:00:00:01"])["id"].to_string();
    let denied = place.json(&["explain", "bob", "--device", "02-00-00-00-00-02"]);
    assert_eq!(
        (&denied["reason"], &denied["rule"]),
        (&json!("LOGIN_FROM_THIS_MAC_DENIED"), &json!("tk_device mac 02:00:00:00:00:01"))
    );
    assert_eq!(place.json(&["explain", "bob", "--device", "020000000001"])["decision"], "accept");
    place.refused(
        &["subscriber", "device", "add", "bob", "--mac", "modem"],
        "mac: modem is not a MAC address",
    );
    place.refused(&["subscriber", "device", "add", "bob"], "a MAC address or an address is needed");
    place.json(&["subscriber", "device", "delete", "bob", &device]);
    assert_eq!(place.json(&["subscriber", "device", "list", "bob"]), json!([]));

    let set = place.json(&["subscriber", "set", "bob", "--activation", "2049-01-01", "--expires", "none"]);
    assert_eq!((&set["activation"], &set["expires"]), (&json!("2049-01-01T00:00:00Z"), &Value::Null));
    assert_eq!(place.json(&["explain", "bob"])["reason"], "USER_LOCKED");
    place.json(&["subscriber", "set", "bob", "--activation", "none"]);
    place.refused(&["subscriber", "set", "bob", "--expires", "soon"], "expires: \"soon\" is no date");
    let wrong = ["explain", "bob", "--password-stdin"];
    assert_eq!(place.json_with(&wrong, "hullo\n")["reason"], "WRONG_PASSWORD");
    assert_eq!(place.json_with(&wrong, "hello\n")["decision"], "accept");
}

#[test]
fn check_tells_of_rows_without_effect() {
    let place = Place::new("");
    place.json(&["plan", "add", "gold", "--attribute", "Session-Timeout := 3600"]);
    place.json_with(&["subscriber", "add", "bob", "--password-stdin", "--plan", "gold"], "hello\n");
    let warnings = |place: &Place| place.json(&["check"])["warnings"].to_string();
    assert!(!warnings(&place).contains("bob"), "{}", warnings(&place));
    place.json(&["subscriber", "set", "bob", "--attribute", "Huntgroup-Name := east"]);
    assert!(warnings(&place).contains("bob: radcheck Huntgroup-Name := east: "), "{}", warnings(&place));
}

#[test]
fn explain_says_what_would_be_decided_and_why() {
    let place = Place::new("");
    place.json(&["nas", "add", "10.0.0.1", "--secret", "0123456789abcdef"]);
    place.json(&["plan", "add", "gold", "--attribute", "Session-Timeout := 3600", "Simultaneous-Use := 1"]);
    place.json_with(&["subscriber", "add", "bob", "--password-stdin", "--plan", "gold"], "hello\n");
    let accept = place.json(&["explain", "bob", "--nas", "10.0.0.1"]);
    assert_eq!(
        (&accept["decision"], &accept["reason"], &accept["last"]),
        (&json!("accept"), &Value::Null, &json!([]))
    );
    let timeout = json!({ "name": "Session-Timeout", "value": "3600" });
    assert!(accept["attributes"].as_array().unwrap().contains(&timeout), "{accept}");
    assert_eq!(accept["warnings"], json!([]));
    assert!(!accept.to_string().contains("hello"), "no secret is shown: {accept}");

    place.json(&["nas", "add", "10.0.0.2", "--secret", "0123456789abcdef", "--type", "mikrotik"]);
    place.json(&["plan", "set", "gold", "--rate-down", "10000000", "--rate-up", "2000000"]);
    let attributes = place.json(&["explain", "bob", "--nas", "10.0.0.2"])["attributes"].to_string();
    assert!(
        attributes.contains(r#"{"name":"Mikrotik-Rate-Limit","value":"2000000/10000000"}"#),
        "in the words of that NAS: {attributes}"
    );

    let elsewhere = place.json(&["explain", "bob", "--nas", "10.9.9.9"])["warnings"].to_string();
    assert!(elsewhere.contains("no NAS is configured for 10.9.9.9"), "{elsewhere}");
    place.json(&["subscriber", "set", "bob", "--attribute", "Expiration := 01 Jan 2020"]);
    let expired = place.json(&["explain", "bob"]);
    assert_eq!(
        (&expired["decision"], &expired["reason"]),
        (&json!("reject"), &json!("ABS_EXP_DATE_REACHED"))
    );
    assert_eq!(expired["rule"], "radcheck Expiration := 01 Jan 2020");
    assert_eq!(expired["attributes"], json!([]));
    place.json(&["subscriber", "set", "bob", "--status", "blocked"]);
    assert_eq!(place.json(&["explain", "bob"])["reason"], "USER_LOCKED");
    let table = place.run(&["explain", "bob"]);
    assert!(table.code == 0 && table.out.starts_with("bob: reject USER_LOCKED\nrule: "), "{table:?}");
    place.refused(&["explain", "nobody"], "there is no subscriber nobody");
}

#[test]
fn adopt_reports_first_and_then_takes_over() {
    let place = Place::new("");
    place.json(&["migrate"]);
    let other = place.json(&["adopt", "--dry-run"]);
    assert_eq!((&other["logins"], &other["dry_run"]), (&json!(0), &json!(true)));
    place.json(&["subscriber", "add", "bob", "--pin"]);
    let report = place.json(&["adopt"]);
    assert_eq!((&report["logins"], &report["new_subscribers"]), (&json!(1), &json!(0)));
}

#[test]
fn an_order_waits_where_no_server_takes_it() {
    let place = Place::new("");
    assert_eq!(place.json(&["session", "list"]), json!([]));
    place.refused(&["session", "disconnect", "00112233445566778899aabbccddeeff"], "there is no open session");
    place.refused(&["session", "show", "00112233445566778899aabbccddeeff"], "there is no open session");
}

#[test]
fn load_says_when_nobody_answers() {
    let place = Place::new("");
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let said = place.run(&[
        "load",
        "auth",
        "--target",
        &target,
        "--count",
        "2",
        "--timeout",
        "0.01",
        "--retries",
        "1",
        "--json",
    ]);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(
        (&value["requests"], &value["lost"], &value["retransmissions"]),
        (&json!(2), &json!(2), &json!(2))
    );
}

/// A playground that is ended with the test.
struct Playground {
    place: Place,
    child: Child,
    out: BufReader<ChildStdout>,
    config: String,
    ready: String,
    /// What can be tried, as it was printed.
    hints: Vec<String>,
}

impl Playground {
    fn start() -> Self {
        let free = "127.0.0.1:0";
        let place = Place::new(&format!(
            "[radius]\nauth = ['{free}']\naccounting = ['{free}']\n[http]\nlisten = '{free}'\n[ibsng]\nlisten = '{free}'\n[antamedia]\nlisten = '{free}'\n[log]\nlevel = 'error'\n"
        ));
        let mut child = place
            .command(&["serve", "--demo"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        out.read_line(&mut ready).unwrap();
        // The hints name the configuration of the playground.
        let (mut config, mut hints) = (None, Vec::new());
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, path)) = line.split_once("session list --config ") {
                config = Some(path.to_owned());
            }
            hints.push(line.trim().to_owned());
            if line.contains(" load auth ") {
                break;
            }
        }
        Self { place, child, out, config: config.unwrap(), ready, hints }
    }

    fn address(&self, name: &str) -> String {
        let found = self.ready.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.ready)).to_owned()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.place.json(&[arguments, &["--config", &self.config]].concat())
    }

    /// The id of the session of `login`, as soon as there is one.
    fn session(&self, login: &str) -> String {
        for _ in 0..600 {
            let list = self.json(&["session", "list", "--login", login]);
            if let Some(id) = list[0]["id"].as_str() {
                return id.to_owned();
            }
        }
        panic!("{login} does not come online");
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_playground_is_alive_and_leaves_nothing_behind() {
    let mut playground = Playground::start();
    for name in ["auth", "accounting", "http", "ibsng", "antamedia"] {
        assert!(!playground.address(name).ends_with(":0"), "{}", playground.ready);
    }
    assert!(playground.ready.starts_with("ready auth="), "{}", playground.ready);

    let of_the_apis = |line: &&String| {
        ["TOKEN=", "/users", "getaccountlist", "openapi"].iter().any(|word| line.contains(word))
    };
    let lines: Vec<&str> = playground.hints.iter().filter(of_the_apis).map(String::as_str).collect();
    assert!(lines.len() >= 4, "{:?}", playground.hints);
    if program("curl", "curl").is_some() {
        let said = Command::new("sh").args(["-c", &lines.join("\n")]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("\"openapi\""), "{lines:?}: {said}");
    }

    let load = playground.place.json(&[
        "load",
        "auth",
        "--target",
        &playground.address("auth"),
        "--user-prefix",
        "guest",
        "--password",
        "guest",
        "--users",
        "10",
        "--method",
        "chap",
        "--count",
        "200",
    ]);
    assert_eq!(
        (&load["replies"], &load["bad"], &load["lost"]),
        (&json!(200), &json!(0), &json!(0)),
        "{load}"
    );

    let carol = playground.session("carol");
    let shown = playground.json(&["session", "show", &carol]);
    assert_eq!((&shown["id"], &shown["login"]), (&json!(carol), &json!("carol")));
    let coa =
        playground.json(&["session", "coa", &carol, "Mikrotik-Rate-Limit = 1M/1M", "Session-Timeout = 600"]);
    assert_eq!((&coa["outcome"], &coa["session"]), (&json!("ack"), &json!(carol)));
    let unsendable = playground.place.run(&[
        "session",
        "coa",
        &carol,
        "Simultaneous-Use := 1",
        "--config",
        &playground.config,
    ]);
    assert!(unsendable.code == 1 && unsendable.err.contains("cannot be sent to a NAS"), "{unsendable:?}");
    let explained = playground.json(&["explain", "carol", "--device", "02-00-00-00-0C-02"]);
    assert_eq!(explained["reason"], "MAX_CONCURRENT");
    let own = playground.json(&["explain", "carol", "--device", "020000000c01"]);
    assert_eq!(own["decision"], "accept", "a device takes its own place again");
    assert_eq!(playground.json(&["session", "disconnect", &carol])["outcome"], "ack");

    let folder = PathBuf::from(&playground.config).parent().unwrap().to_owned();
    assert!(folder.join("tollkeeper.db").exists());
    let pid = playground.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(playground.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut playground.out, &mut rest).unwrap();
    assert_eq!(rest, "", "the ready line is all there is on standard output");
    assert!(!folder.exists());
}

#[test]
fn credit_is_granted_changed_renewed_and_told() {
    let place = Place::new("");
    place.json(&["plan", "add", "metered", "--credit", "10", "--recharge-credit", "2.5"]);
    let night =
        ["plan", "charge", "add", "metered", "night", "--per-minute", "0.1", "--window", "Al0000-0559"];
    let rule = place.json(&night);
    assert_eq!(rule["name"], "night");
    place.refused(&night, "exists already");
    place.refused(&["plan", "charge", "add", "metered", "x", "--window", "soon"], "no time of the week");
    let rules = place.json(&["plan", "charge", "list", "metered"]);
    assert_eq!(rules[0]["per_minute"], "0.1");
    place.json(&["subscriber", "add", "bob", "--pin", "--plan", "metered"]);
    let credit = place.json(&["subscriber", "credit", "bob"]);
    assert_eq!(
        (&credit["credit"], &credit["available"], &credit["limit"]),
        (&json!("10"), &json!("10"), &json!("0"))
    );
    let added = place.json(&["subscriber", "credit", "bob", "add", "-2.5", "--comment", "a gift taken back"]);
    assert_eq!(added["credit"], "7.5");
    place.refused(&["subscriber", "credit", "bob", "add", "-8"], "may not be less than 0");
    place.json(&["subscriber", "credit", "bob", "limit", "1"]);
    assert_eq!(place.json(&["subscriber", "credit", "bob", "add", "-8"])["credit"], "-0.5");
    assert_eq!(place.json(&["subscriber", "credit", "bob", "set", "3"])["credit"], "3");
    assert_eq!(place.json(&["subscriber", "credit", "bob", "multiply", "0.5"])["credit"], "1.5");
    assert_eq!(place.json(&["subscriber", "recharge", "bob"])["credit"], "4");
    assert_eq!(place.json(&["subscriber", "renew", "bob", "--comment", "May"])["credit"], "10");
    let ledger = place.json(&["subscriber", "ledger", "bob", "--limit", "2"]);
    let rows: Vec<_> = ledger
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["action"].as_str().unwrap(), &row["delta"]))
        .collect();
    assert_eq!(rows, [("RENEW", &json!("10")), ("RENEW_TRASH", &json!("-4"))]);
    assert_eq!((&ledger[0]["comment"], &ledger[0]["actor"]), (&json!("May"), &json!("tester")));
    let people = place.run(&["subscriber", "ledger", "bob"]);
    assert!(people.out.contains("ADD_USER"), "{people:?}");
    place.refused(&["subscriber", "credit", "nobody"], "nobody");
    let said = place.run(&["subscriber", "credit", "bob", "add"]);
    assert_eq!(said.code, 2, "{said:?}");
    place.json(&["plan", "charge", "delete", "metered", "night"]);
    place.refused(&["plan", "charge", "delete", "metered", "night"], "night");
}

#[tokio::test]
async fn what_the_database_has_refused_is_shown_tried_again_and_given_up() {
    use tollkeeper::domain::{Day, SubscriberId, Usage, Write};
    use tollkeeper::store::{Spool, SpoolSettings, SpooledRecord};
    use tollkeeper::time::UnixTime;

    let place = Place::new("");
    assert_eq!(
        place.json(&["spool", "list"]),
        json!({ "rows": 0, "records": 0, "oldest": null, "refused": [] })
    );
    std::fs::create_dir(place.folder.path().join("data")).unwrap();
    let file = place.folder.path().join("data/spool.db");
    let spool = Spool::open(&SpoolSettings { file, max_bytes: 1 << 20 }).await.unwrap();
    let bob = place.json_with(&["subscriber", "add", "bob", "--password-stdin"], "hello");
    let usage = |subscriber: i64| Write::Usage {
        subscriber: SubscriberId(subscriber),
        day: Day::LIFETIME,
        total: Usage { seconds: 60, input: 1, output: 2 },
    };
    let rows = [usage(bob["id"].as_i64().unwrap())];
    spool.keep(&[usage(7)], UnixTime(1_700_000_000)).await.unwrap();
    spool.refuse(rows.iter(), "too wide", UnixTime(1_700_000_000)).await.unwrap();
    let octets = vec![4, 1].into();
    let record = SpooledRecord { number: 0, source: [127, 0, 0, 1].into(), received: UnixTime(5), octets };
    spool.keep_records(&[record]).await.unwrap();
    spool.refuse_record(1, "no NAS").await.unwrap();

    let listed = place.json(&["spool", "list"]);
    assert_eq!((&listed["rows"], &listed["oldest"]), (&json!(1), &json!("2023-11-14T22:13:20Z")));
    let reasons: Vec<_> = listed["refused"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["too wide", "no NAS"]);
    let table = place.run(&["spool", "list"]).out;
    assert!(table.contains("1 rows and 0 records wait") && table.contains("a record as it was"), "{table}");
    assert_eq!(place.json(&["spool", "retry", "1"]), json!({ "stored": [1], "refused": [] }));
    place.refused(&["spool", "retry", "1"], "number 1");
    assert_eq!(place.json(&["spool", "retry", "--all"]), json!({ "stored": [2], "refused": [] }));
    assert_eq!(place.json(&["spool", "list"])["records"], 1);
    assert_eq!(spool.records(0, 10).await.unwrap().len(), 1);
    spool.refuse(rows.iter(), "again", UnixTime(1_700_000_000)).await.unwrap();
    assert_eq!(place.json(&["spool", "delete", "3"]), json!({ "deleted": 3 }));
    place.refused(&["spool", "delete", "3"], "number 3");
}
