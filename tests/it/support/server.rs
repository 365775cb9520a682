//! The server as operators run it: the binary, a configuration file, signals, its two streams.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use super::databases::{Kind, Raw, TestDatabase};
use super::{PATIENCE, eventually};

/// A database of a test, spoken to without a runtime around it. Dropped with the test.
pub(crate) struct Database {
    runtime: tokio::runtime::Runtime,
    test: Option<TestDatabase>,
    raw: Option<Raw>,
}

impl Database {
    /// An empty one; `None`, with the reason printed, where no such server answers.
    pub(crate) fn create(kind: Kind) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let test = runtime.block_on(TestDatabase::create(kind))?;
        Some(Self { runtime, test: Some(test), raw: None })
    }

    pub(crate) fn sqlite() -> Self {
        Self::create(Kind::Sqlite).unwrap()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.test.as_ref().unwrap().kind
    }

    pub(crate) fn url(&self) -> &str {
        &self.test.as_ref().unwrap().url
    }

    /// The file of a database on SQLite.
    pub(crate) fn file(&self) -> &str {
        self.url().strip_prefix("sqlite:").unwrap()
    }

    fn raw(&mut self) -> (&tokio::runtime::Runtime, &mut Raw) {
        let (runtime, test) = (&self.runtime, self.test.as_ref().unwrap());
        (runtime, self.raw.get_or_insert_with(|| runtime.block_on(test.raw())))
    }

    pub(crate) fn run(&mut self, sql: &str) {
        let (runtime, raw) = self.raw();
        runtime.block_on(raw.run(sql));
    }

    /// Every row as the texts of its columns; null is `-`. Whatever is no text is made one by [`text`].
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let (runtime, raw) = self.raw();
        let mut rows = runtime.block_on(raw.rows(sql));
        for cell in rows.iter_mut().flatten() {
            cell.truncate(cell.trim_end().len());
        }
        rows
    }

    /// A subscriber with check rows: attribute and value.
    pub(crate) fn subscriber(&mut self, login: &str, checks: &[(&str, &str)]) {
        for (attribute, value) in checks {
            self.run(&format!(
                "INSERT INTO radcheck (username, attribute, op, value) VALUES ('{login}', '{attribute}', ':=', '{value}')"
            ));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.raw = None;
        // After a failure it stays, to be looked at.
        if let Some(test) = self.test.take().filter(|_| !std::thread::panicking()) {
            self.runtime.block_on(test.drop());
        }
    }
}

/// An expression as text, on every database.
pub(crate) fn text(expression: &str) -> String {
    format!("CAST({expression} AS CHAR(40))")
}

/// A configuration and a data directory of its own.
pub(crate) struct Setup {
    folder: Arc<tempfile::TempDir>,
    url: String,
    database: String,
    radius: String,
    nases: Vec<String>,
    shell: Option<&'static str>,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// With ports that are free, one NAS at 127.0.0.1, and rejects that are not held back.
    pub(crate) fn on(url: &str) -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            url: url.to_owned(),
            // What is asked of SQL right after an answer must be there, however busy the machine is.
            database: "commit_deadline = 5\n".to_owned(),
            radius: "reject_delay = 0\n".to_owned(),
            nases: vec!["address = \"127.0.0.1/32\"\nsecret = \"testing123\"\n".to_owned()],
            shell: None,
            variables: Vec::new(),
        }
    }

    /// Other lines of `[database]` than `commit_deadline = 5`.
    pub(crate) fn database(self, lines: &str) -> Self {
        Self { database: lines.to_owned(), ..self }
    }

    /// Other lines of `[radius]` than `reject_delay = 0`.
    pub(crate) fn radius(self, lines: &str) -> Self {
        Self { radius: lines.to_owned(), ..self }
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a shell does before it becomes the program.
    pub(crate) fn prepared_by(self, commands: &'static str) -> Self {
        Self { shell: Some(commands), ..self }
    }

    /// One more `[[nas]]`.
    pub(crate) fn add_nas(&mut self, lines: &str) {
        self.nases.push(lines.to_owned());
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("tollkeeper.toml")
    }

    /// Writes the configuration as it stands now.
    pub(crate) fn write(&self) {
        let mut text = format!(
            "data_dir = \"{}\"\n[database]\nurl = \"{}\"\n{}[radius]\nauth = [\"127.0.0.1:0\"]\naccounting = [\"127.0.0.1:0\"]\n{}",
            self.folder.path().join("data").display(),
            self.url,
            self.database,
            self.radius
        );
        for listener in ["http", "ibsng", "antamedia"] {
            write!(text, "[{listener}]\nlisten = \"127.0.0.1:0\"\n").unwrap();
        }
        for nas in &self.nases {
            write!(text, "[[nas]]\n{nas}\n").unwrap();
        }
        self.write_text(&text);
    }

    /// Writes this in the place of the configuration.
    pub(crate) fn write_text(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // A long run may be one of a release build.
        let ours = || env!("CARGO_BIN_EXE_tollkeeper").to_owned();
        let program = std::env::var("TOLLKEEPER_TEST_PROGRAM").unwrap_or_else(|_| ours());
        let mut command = match self.shell {
            Some(commands) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{commands}; exec \"$0\" \"$@\""), &program]);
                shell
            }
            None => Command::new(program),
        };
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("TOLLKEEPER_")) {
            command.env_remove(name);
        }
        command.args(arguments).arg("--config").arg(self.file()).current_dir(self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command of ours to its end, on the file as it is.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, with this on its standard input.
    pub(crate) fn done(&self, arguments: &[&str], input: &str) {
        let mut command = self.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the server on the configuration as it stands now; it may take its time to be ready.
    pub(crate) fn spawn(&self) -> Process {
        self.write();
        let mut command = self.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines() {
                writeln!(written.lock(), "{}", line.unwrap()).unwrap();
            }
        });
        Process { child, lines, log, _folder: Arc::clone(&self.folder) }
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.spawn().ready()
    }
}

/// A server that was started. Ended with the test, whatever comes of it.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: Arc<Mutex<String>>,
    _folder: Arc<tempfile::TempDir>,
}

impl Process {
    /// Waits for the ready line.
    pub(crate) fn ready(self) -> Server {
        let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no ready line: {error}"));
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("ready"), "{line}");
        let [auth, accounting, http, ibsng, antamedia] = ["auth", "accounting", "http", "ibsng", "antamedia"]
            .map(|name| {
                let address =
                    words.next().and_then(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
                address.unwrap_or_else(|| panic!("{name} is not in its place: {line}"))
            });
        let xmlrpc = words.next().and_then(|word| word.strip_prefix("xmlrpc=")?.parse().ok());
        assert_eq!(words.next(), None, "{line}");
        Server { auth, accounting, http, ibsng, antamedia, xmlrpc, process: self }
    }

    /// What it has written on standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// The line on standard output, if there is one already.
    pub(crate) fn said(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }

    /// Waits for its end, and gives how it ended and what else it said on standard output.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let status = eventually("the server's end", || self.child.try_wait().unwrap());
        (status, self.lines.iter().collect())
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("the server's log:\n{}", self.log());
        }
    }
}

/// A server that is ready.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) auth: SocketAddr,
    pub(crate) accounting: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) ibsng: SocketAddr,
    pub(crate) antamedia: SocketAddr,
    /// Only where `ibsng.xmlrpc` is set.
    pub(crate) xmlrpc: Option<SocketAddr>,
}

impl Server {
    /// Asks for the end and waits for it: exit code 0, and nothing on standard output but the ready line.
    pub(crate) fn stop(mut self) {
        self.process.signal("TERM");
        let (status, said) = self.process.ended();
        assert_eq!((status.code(), said), (Some(0), Vec::new()));
    }

    /// The status and the body that the main HTTP listener gives for this path.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.http, path)
    }

    /// A metric with these labels; 0 where nothing was counted.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// One GET, without anybody's HTTP client.
pub(crate) fn get(from: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(from).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: tollkeeper\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{head}")), body.to_owned())
}
