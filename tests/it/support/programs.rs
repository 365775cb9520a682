//! Other people's programs: a test that needs one is skipped, with the reason printed, where it is absent.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The secret of the NASes in these tests.
pub(crate) const SECRET: &str = "testing123";

/// Where a program lies; `None`, with the reason printed, where it is not installed. With
/// `TOLLKEEPER_REQUIRE_CLIENTS=1` that is a failure.
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed ({package})"));
    }
    found
}

/// Says why a test is skipped, or fails where no client may be absent.
pub(crate) fn skip(reason: &str) {
    let required = std::env::var("TOLLKEEPER_REQUIRE_CLIENTS").as_deref() == Ok("1");
    assert!(!required, "required: {reason}");
    println!("skipped: {reason}");
}

/// What a program said, on both streams, and whether it was content.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) content: bool,
    pub(crate) text: String,
}

impl Said {
    /// The line that begins so, if there is one.
    pub(crate) fn line(&self, beginning: &str) -> Option<&str> {
        self.text.lines().map(str::trim).find(|line| line.starts_with(beginning))
    }
}

/// Runs a program to its end with this on its standard input.
pub(crate) fn run(program: &Path, arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = child.stdin.take().unwrap();
    // It may end without having read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap());
    Said { content: output.status.success(), text: stdout + &stderr }
}

/// FreeRADIUS's client: `radclient` and the script `radtest` that calls it.
pub(crate) struct Radclient {
    radclient: PathBuf,
    radtest: PathBuf,
}

impl Radclient {
    pub(crate) fn find() -> Option<Self> {
        let radclient = program("radclient", "freeradius-utils")?;
        Some(Self { radclient, radtest: program("radtest", "freeradius-utils")? })
    }

    /// Sends requests, written as lines of attributes and parted by empty lines, one after the other.
    pub(crate) fn send(&self, to: SocketAddr, kind: &str, requests: &str) -> Said {
        let to = to.to_string();
        run(&self.radclient, &["-x", "-r", "4", "-t", "5", &to, kind, SECRET], requests)
    }

    /// Sends one request once and waits a second for an answer that must not come.
    pub(crate) fn send_once(&self, to: SocketAddr, kind: &str, request: &str) -> Said {
        let to = to.to_string();
        run(&self.radclient, &["-x", "-r", "1", "-t", "1", &to, kind, SECRET], request)
    }

    /// The login that everybody tries first.
    pub(crate) fn radtest(&self, to: SocketAddr, user: &str, password: &str) -> Said {
        run(&self.radtest, &[user, password, &to.to_string(), "0", SECRET], "")
    }

    /// The same with another method (`chap`, `mschap`).
    pub(crate) fn radtest_by(&self, method: &str, to: SocketAddr, user: &str, password: &str) -> Said {
        run(&self.radtest, &["-t", method, user, password, &to.to_string(), "0", SECRET], "")
    }
}
