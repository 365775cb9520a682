//! What `docs/` says against what there is: a document that is wrong is worse than none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use tollkeeper::config::Settings;

use crate::support::programs::program;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Markdown file of the repository's top and of `docs/`.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let mut wrong = Vec::new();
    let mut files: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut named = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for name in quoted(&text) {
            let Some((path, title)) = name.split_once("::") else { continue };
            if !path.starts_with("src/") && !path.starts_with("tests/") {
                continue;
            }
            named += 1;
            let content = files
                .entry(path.to_owned())
                .or_insert_with(|| std::fs::read_to_string(root().join(path)).ok());
            let there = content.as_ref().is_some_and(|content| match path.ends_with(".rs") {
                true => content.contains(&format!("fn {title}(")),
                false => content.lines().any(|line| {
                    line.strip_prefix("name: ").or_else(|| line.strip_prefix("scenario ")) == Some(title)
                }),
            });
            if !there {
                wrong.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such test:\n{}", wrong.join("\n"));
    assert!(named > 300, "only {named} tests are named");
}

#[test]
fn a_requirement_is_answered_once() {
    let text = read("docs/rfc-coverage.md");
    let (mut seen, mut counted, mut told) = (BTreeSet::new(), [0; 4], [0; 4]);
    for line in text.lines() {
        let Some(cells) = line.strip_prefix("| ") else { continue };
        let cells: Vec<&str> = cells.trim_end_matches(" |").split(" | ").collect();
        let (Some(id), Some(answer)) = (cells.first(), cells.last()) else { continue };
        let numbers: Vec<usize> = cells.iter().skip(1).filter_map(|cell| cell.parse().ok()).collect();
        if let [items, shown, not_yet, gaps] = numbers.as_slice() {
            for (sum, number) in told.iter_mut().zip([items, shown, not_yet, gaps]) {
                *sum += number;
            }
            continue;
        }
        if !id.starts_with(|letter: char| letter.is_ascii_uppercase())
            || !id.contains(|letter: char| letter.is_ascii_digit())
        {
            continue;
        }
        assert!(seen.insert(id.to_owned()), "{id} twice");
        counted[0] += 1;
        if answer.contains("**gap**: ") {
            counted[3] += 1;
        } else if answer.starts_with("not yet: ") {
            counted[2] += 1;
        } else {
            assert!(answer.contains("::"), "{id}: {answer}");
            counted[1] += 1;
        }
    }
    assert!(counted[0] > 300, "only {} requirements", counted[0]);
    assert_eq!(counted, told, "items, shown, not yet, gaps");
}

/// Names of metrics in a text: `tollkeeper_…`, and the one that every process has.
fn metrics(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("tollkeeper_") || *word == "process_start_time_seconds")
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}

#[test]
fn every_metric_is_told_and_none_is_made_up() {
    let source = read("src/telemetry/names.rs");
    let ours = metrics(source.split("enum Kind").next().unwrap());
    assert!(ours.len() > 30, "{ours:?}");
    assert_eq!(metrics(&read("docs/metrics.md")), ours);
    for file in ["docs/alerts.yml", "docs/grafana-dashboard.json"] {
        let unknown: Vec<_> = metrics(&read(file)).into_iter().filter(|name| !ours.contains(name)).collect();
        assert_eq!(unknown, [""; 0], "{file}");
    }
}

#[test]
fn every_reason_of_a_discard_is_told() {
    let text = read("docs/metrics.md");
    for (_, reason) in tollkeeper::net::admission::Discard::ALL {
        assert!(text.contains(&format!("| `{reason}` |")), "{reason}");
    }
}

#[test]
fn every_reason_of_a_refusal_is_told() {
    let text = read("docs/policy.md");
    for (_, key) in tollkeeper::domain::RejectReason::ALL {
        assert!(text.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn promtool_takes_the_alert_rules() {
    let Some(promtool) = program("promtool", "prometheus") else { return };
    let rules = root().join("docs/alerts.yml");
    let output = Command::new(promtool).args(["check", "rules"]).arg(rules).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_dashboard_asks_for_something_in_every_panel() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let asks = panel["targets"].as_array().is_some_and(|targets| !targets.is_empty());
        assert!(asks || panel["type"] == "row", "{panel}");
    }
    assert!(panels.len() > 20);
}

fn settings(text: &str) -> Settings {
    Settings::read(Some(Path::new("example.toml")), text, std::iter::empty())
        .unwrap_or_else(|error| panic!("{error}"))
}

const EXAMPLE: &str = "docs/tollkeeper.example.toml";

#[test]
fn the_example_says_the_defaults() {
    let example = settings(&read(EXAMPLE));
    assert_eq!(example.warnings, []);
    let defaults = settings("[[nas]]\naddress = '192.0.2.0/24'\nsecret = 'replace this by 32 random octets'");
    assert_eq!(format!("{:?}", example.database), format!("{:?}", defaults.database));
    assert_eq!(format!("{:?}", example.radius), format!("{:?}", defaults.radius));
    assert_eq!(format!("{:?}", example.sessions), format!("{:?}", defaults.sessions));
    assert_eq!(example.enforcement, defaults.enforcement);
    assert_eq!(format!("{:?}", example.http), format!("{:?}", defaults.http));
    assert_eq!(format!("{:?}", example.dialects), format!("{:?}", defaults.dialects));
    assert_eq!(format!("{:?}", example.log), format!("{:?}", defaults.log));
    assert_eq!(format!("{:?}", example.nas), format!("{:?}", defaults.nas));
    assert_eq!(example.data_dir, defaults.data_dir);
}

/// `table.key` of every line of the example, those that are commented out too.
fn keys_of_the_example() -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in read(EXAMPLE).lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_matches(['[', ']']));
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.insert(format!("{table}{key}"));
        }
    }
    keys
}

#[test]
fn every_key_is_in_the_example_and_in_the_documentation() {
    let example = keys_of_the_example();
    let source = read("src/config/mod.rs");
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    let asked: BTreeSet<String> = source
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| text.split_once('.').is_some_and(|(table, key)| is_word(table) && is_word(key)))
        .filter(|text| !text.ends_with(".toml") && !text.ends_with(".db"))
        .map(str::to_owned)
        .collect();
    assert!(asked.len() > 30, "{asked:?}");
    let missing: Vec<_> = asked.difference(&example).collect();
    assert!(missing.is_empty(), "{EXAMPLE} lacks {missing:?}");

    let text = read("docs/configuration.md");
    for key in &example {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        let in_a_table_of_its_own =
            ["", "database", "spool", "radius", "sessions", "enforcement", "log", "nas"].contains(&table);
        let row = if in_a_table_of_its_own { format!("| `{name}` |") } else { format!("| `{key}` |") };
        assert!(text.contains(&row), "docs/configuration.md lacks {key}");
    }
}

/// The page of NAS types has every type, and says of it what the tests of the packs see being sent.
#[test]
fn the_page_of_nas_types_says_what_is_sent() {
    let page = read("docs/nas-types.md");
    let mut told = BTreeSet::new();
    for part in page.split("\n### `").skip(1) {
        let (name, text) = part.split_once('`').unwrap();
        let text = text.split("\n## ").next().unwrap();
        let seen = read(&format!("tests/data/packs/{name}.txt"));
        for line in text.lines().filter_map(|line| line.strip_prefix("    ")) {
            let line = line.split("   # ").next().unwrap();
            assert!(seen.contains(&format!("\n    {line}\n")), "{name}: {line}");
        }
        told.insert(name);
    }
    let packs: BTreeSet<_> = tollkeeper::packs::FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(told, packs);
}
