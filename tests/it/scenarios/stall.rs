//! A database that stops answering and goes on later, as under SIGSTOP, or that goes away with a reply on
//! its lips: a proxy that passes nothing on, or on SQLite a lock that somebody else holds.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::support::databases::{Kind, Raw, TestDatabase};

/// The way from the server to its database.
pub(super) enum Stall {
    /// A connection of somebody else, who locks the file.
    Lock(Raw),
    Proxy {
        flow: Arc<watch::Sender<Flow>>,
        cut: Arc<Notify>,
        _task: JoinSet<()>,
    },
}

/// What the proxy passes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    All,
    /// Everything up to the next COMMIT, and that, but not its answer nor anything after it.
    UntilCommit,
    Nothing,
}

impl Stall {
    /// The stall, and the address at which the server finds the database.
    pub(super) async fn before(database: &TestDatabase) -> (Self, String) {
        if database.kind == Kind::Sqlite {
            return (Self::Lock(database.raw().await), database.url.clone());
        }
        let (scheme, rest) = database.url.split_once("://").unwrap();
        let (authority, name) = rest.split_once('/').unwrap();
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        // In the clear, so that the proxy can read it.
        let (port, clear) = match database.kind {
            Kind::Postgres => (":5432", "sslmode=disable"),
            _ => (":3306", "ssl-mode=disabled"),
        };
        let upstream = if host.contains(':') { host.to_owned() } else { format!("{host}{port}") };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let flow = Arc::new(watch::Sender::new(Flow::All));
        let mut task = JoinSet::new();
        let cut = Arc::new(Notify::new());
        task.spawn(accept(listener, upstream, Arc::clone(&flow), Arc::clone(&cut)));
        (Self::Proxy { flow, cut, _task: task }, format!("{scheme}://{user}{here}/{name}?{clear}"))
    }

    /// From now on only this passes.
    pub(super) async fn freeze(&mut self, passes: Flow) {
        match self {
            Self::Lock(raw) => raw.run("BEGIN IMMEDIATE").await,
            Self::Proxy { flow, .. } => drop(flow.send_replace(passes)),
        }
    }

    /// What was held back arrives.
    pub(super) async fn thaw(&mut self) {
        match self {
            Self::Lock(raw) => raw.run("ROLLBACK").await,
            Self::Proxy { flow, .. } => drop(flow.send_replace(Flow::All)),
        }
    }

    /// What was held back is lost: every connection breaks. New ones work.
    pub(super) async fn cut(&mut self) {
        match self {
            Self::Lock(raw) => raw.run("ROLLBACK").await,
            Self::Proxy { cut, .. } => cut.notify_one(),
        }
    }
}

async fn accept(listener: TcpListener, upstream: String, flow: Arc<watch::Sender<Flow>>, cut: Arc<Notify>) {
    let mut connections = JoinSet::new();
    loop {
        let near = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            () = cut.notified() => {
                connections.shutdown().await;
                flow.send_replace(Flow::All);
                continue;
            }
        };
        let Ok(far) = TcpStream::connect(&upstream).await else { continue };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        connections.spawn(pass(near_in, far_out, Arc::clone(&flow)));
        connections.spawn(pass(far_in, near_out, Arc::clone(&flow)));
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, flow: Arc<watch::Sender<Flow>>) {
    let mut watched = flow.subscribe();
    let mut buffer = vec![0; 16_384];
    let mut commits = Commits::default();
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let octets = &buffer[..length];
        let Ok(now) = watched.wait_for(|flow| *flow != Flow::Nothing).await.map(|flow| *flow) else { return };
        if commits.are_in(octets) && now == Flow::UntilCommit {
            flow.send_replace(Flow::Nothing);
        }
        if to.write_all(octets).await.is_err() {
            return;
        }
    }
}

/// Knows a commit when it sees one on one connection: the word, or the execution of a statement that is a
/// transaction of its own (PostgreSQL; its text goes by only once, then it has a name).
#[derive(Default)]
struct Commits {
    /// The names, each between the two zero octets that it has in a Bind message.
    statements: Vec<Vec<u8>>,
}

impl Commits {
    fn are_in(&mut self, octets: &[u8]) -> bool {
        const TEXT: &[u8] = b"\0/* group commit */";
        if let Some(end) = position(octets, TEXT) {
            let start = octets[..end].windows(4).rposition(|window| window == b"sqlx").unwrap_or(end);
            self.statements.push([b"\0", &octets[start..end], b"\0"].concat());
        }
        let bound = self.statements.iter().any(|name| position(octets, name).is_some());
        bound || position(octets, b"COMMIT").is_some()
    }
}

fn position(octets: &[u8], word: &[u8]) -> Option<usize> {
    octets.windows(word.len()).position(|window| window == word)
}
