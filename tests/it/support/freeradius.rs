//! A stock FreeRADIUS 3.2 on a database of ours.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::databases::Kind;
use super::eventually;
use super::programs::{program, skip};
use super::server::Database;

/// A stock FreeRADIUS: its shipped configuration with the `sql` module enabled and pointed at a database.
pub(crate) struct FreeRadius {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) auth: SocketAddr,
    pub(crate) accounting: SocketAddr,
}

impl FreeRadius {
    /// Starts it; `None`, with the reason printed, where it is not installed.
    pub(crate) fn start(kind: Kind, database: &Database) -> Option<Self> {
        let binary = program("freeradius", "freeradius")?;
        let stock = Path::new("/etc/freeradius/3.0");
        let folder = tempfile::tempdir().unwrap();
        let raddb = folder.path().join("raddb");
        if let Err(error) = copy(stock, &raddb) {
            skip(&format!("the shipped configuration of FreeRADIUS: {error}"));
            return None;
        }
        let driver = match kind {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgresql",
            Kind::MySql => "mysql",
        };
        let library = format!("/usr/lib/freeradius/rlm_sql_{driver}.so");
        if !Path::new(&library).is_file() {
            skip(&format!("{library} is absent (freeradius-{driver})"));
            return None;
        }
        configure(&raddb, folder.path(), driver, database);
        // Another process may take the two free ports before FreeRADIUS does.
        (0..5)
            .find_map(|_| Self::try_start(&binary, &raddb))
            .map(|(child, auth, accounting)| Self { child, folder, auth, accounting })
            .or_else(|| panic!("FreeRADIUS does not start"))
    }

    fn try_start(binary: &Path, raddb: &Path) -> Option<(Child, SocketAddr, SocketAddr)> {
        let free = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [at, next] = free.map(|socket| socket.local_addr().unwrap());
        let sites = raddb.join("sites-enabled");
        let shipped = |name: &str| std::fs::read_to_string(raddb.join("sites-available").join(name)).unwrap();
        std::fs::write(sites.join("inner-tunnel"), listening(&shipped("inner-tunnel"), "")).unwrap();
        let listen = |kind: &str, port: u16| {
            format!("listen {{\n  type = {kind}\n  ipaddr = 127.0.0.1\n  port = {port}\n}}\n")
        };
        let listeners = listen("auth", at.port()) + &listen("acct", next.port());
        std::fs::write(sites.join("default"), listening(&shipped("default"), &listeners)).unwrap();
        let log = raddb.with_file_name("log");
        let _ = std::fs::remove_file(&log);
        let mut child = Command::new(binary)
            .args(["-f", "-d"])
            .arg(raddb)
            .arg("-l")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let ready = eventually("FreeRADIUS's start", || {
            let ended = child.try_wait().unwrap().is_some();
            let ready = said().contains("Ready to process requests");
            (ready || ended).then_some(ready && !ended)
        });
        if ready {
            Some((child, at, next))
        } else {
            println!("FreeRADIUS did not start:\n{}", said());
            None
        }
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            println!("FreeRADIUS's log:\n{}", log.unwrap_or_default());
        }
    }
}

/// Copies a tree; what its links point to becomes files.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (source, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let target = to.join(name);
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// The few lines that any operator edits: where it lies, as whom it runs, the database, and what limits of
/// other products are called.
fn configure(raddb: &Path, folder: &Path, driver: &str, database: &Database) {
    let folder = folder.display();
    let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries/dictionary.tollkeeper");
    std::fs::write(raddb.join("dictionary"), format!("$INCLUDE {}\n", names.display())).unwrap();
    edit(
        &raddb.join("radiusd.conf"),
        &raddb.join("radiusd.conf"),
        &[
            ("raddbdir", format!("raddbdir = {}", raddb.display())),
            ("logdir", format!("logdir = {folder}")),
            ("run_dir", format!("run_dir = {folder}")),
            ("proxy_requests", "proxy_requests = no".to_owned()),
            ("reject_delay", "reject_delay = 0".to_owned()),
            ("user", String::new()),
            ("group", String::new()),
        ],
    );
    let address = match driver {
        "sqlite" => ("filename", format!("filename = \"{}\"", database.file())),
        // A parameter makes FreeRADIUS take it as a whole address, not as a name.
        _ => ("radius_db", format!("radius_db = \"{}?connect_timeout=5\"", database.url())),
    };
    edit(
        &raddb.join("mods-available/sql"),
        &raddb.join("mods-enabled/sql"),
        &[
            ("dialect", format!("dialect = \"{driver}\"")),
            ("driver", format!("driver = \"rlm_sql_{driver}\"")),
            ("send_application_name", "send_application_name = no".to_owned()),
            ("busy_timeout", "busy_timeout = 5000".to_owned()),
            address,
        ],
    );
}

/// A virtual server with other listeners than it was shipped with.
fn listening(site: &str, listeners: &str) -> String {
    let mut text = String::new();
    // How many braces are open inside a listener that is left out.
    let mut depth = 0;
    for line in site.lines() {
        let code = line.split('#').next().unwrap();
        if depth > 0 || code.trim_start().starts_with("listen {") {
            depth += code.matches('{').count();
            depth -= code.matches('}').count();
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if code.starts_with("server ") {
            text.push_str(listeners);
        }
    }
    text
}

/// Writes `from` to `to` with the lines that set these keys replaced. Each key must be there.
fn edit(from: &Path, to: &PathBuf, keys: &[(&str, String)]) {
    let text = std::fs::read_to_string(from).unwrap();
    let mut found = vec![false; keys.len()];
    let mut edited = String::new();
    for line in text.lines() {
        let key = line.split_once('=').map(|(key, _)| key.trim());
        let place = keys.iter().position(|(wanted, _)| key == Some(wanted));
        if let Some(place) = place {
            found[place] = true;
        }
        edited.push_str(place.map_or(line, |place| &keys[place].1));
        edited.push('\n');
    }
    assert!(found.iter().all(|found| *found), "{}: {keys:?}: {found:?}", from.display());
    std::fs::write(to, edited).unwrap();
}
