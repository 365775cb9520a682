//! `tollkeeper torture`, bounded: servers that are killed, databases that crash, freeze and are cut off, files
//! that cannot grow; after each round SQL is what was acknowledged, and every sum is exact.

use std::process::Command;

use serde_json::Value;

use crate::support::programs::program;

/// Every kind of fault once; the more kinds of kills.
#[test]
fn fm_01_sqlite_has_what_was_acknowledged_whatever_is_killed_or_frozen() {
    let found = torture(&["--database", "sqlite", "--kills", "3"]);
    assert_eq!(found["kills"], 3, "{found}");
}

#[test]
fn fm_01_postgresql_has_what_was_acknowledged_whatever_is_killed_frozen_or_cut_off() {
    if program("initdb", "postgresql").is_some() {
        let found = torture(&["--database", "postgres", "--kills", "3"]);
        assert_eq!(found["kills"], 3, "{found}");
    }
}

#[test]
fn fm_01_mariadb_has_what_was_acknowledged_whatever_is_killed_frozen_or_cut_off() {
    if program("mariadb-install-db", "mariadb-server").is_some() {
        let found = torture(&["--database", "mysql", "--kills", "3"]);
        assert_eq!(found["kills"], 3, "{found}");
    }
}

/// Runs it to its end; nothing may have been broken.
fn torture(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
    let output =
        command.arg("torture").args(arguments).args(["--json", "--subscribers", "4"]).output().unwrap();
    let [said, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{arguments:?}: {said}{complained}");
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["broken"], Value::Null, "{found}");
    found
}
