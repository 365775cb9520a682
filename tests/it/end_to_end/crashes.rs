//! `tollkeeper torture`, bounded: servers that are killed, databases that crash, freeze and are cut off, files
//! that cannot grow; after each round SQL is what was acknowledged, and every sum is exact.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::eventually;
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

#[test]
fn nothing_is_left_of_a_torture_that_is_interrupted() {
    is_gone_after(Signal::SIGINT, "sqlite", "serve --config");
    if program("initdb", "postgresql").is_some() {
        is_gone_after(Signal::SIGTERM, "postgres", " -D ");
    }
    if program("mariadb-install-db", "mariadb-server").is_some() {
        is_gone_after(Signal::SIGINT, "mysql", "--datadir=");
    }
}

/// Begins one, and interrupts it as soon as a process of it is called so.
fn is_gone_after(signal: Signal, database: &str, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    // The database server may be somebody else.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
    command.args(["torture", "--database", database, "--minutes", "10"]).env("TMPDIR", folder.path());
    let mut torture = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let found = |words: &str| processes(folder.path()).into_iter().find(|line| line.contains(words));
    eventually(words, || found(words));
    kill(Pid::from_raw(i32::try_from(torture.id()).unwrap()), signal).unwrap();
    let status = eventually("its end", || torture.try_wait().unwrap());
    assert!(status.code().is_some_and(|code| code != 0), "{database}: {status}");
    assert_eq!(processes(folder.path()), Vec::<String>::new(), "{database}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{database}");
}

/// The command lines of the processes that were told of a folder.
fn processes(of: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let lines = entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&*of.to_string_lossy())).collect()
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
