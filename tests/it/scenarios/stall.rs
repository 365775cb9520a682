//! A database that stops answering and goes on later, as under SIGSTOP: a proxy that passes nothing on,
//! or on SQLite a lock that somebody else holds.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::databases::{Kind, Raw, TestDatabase};

/// The way from the server to its database.
pub(super) enum Stall {
    /// A connection of somebody else, who locks the file.
    Lock(Raw),
    Proxy {
        frozen: Arc<watch::Sender<bool>>,
        _task: JoinSet<()>,
    },
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
        let port = if database.kind == Kind::Postgres { ":5432" } else { ":3306" };
        let upstream = if host.contains(':') { host.to_owned() } else { format!("{host}{port}") };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let frozen = Arc::new(watch::Sender::new(false));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, upstream, Arc::clone(&frozen)));
        (Self::Proxy { frozen, _task: task }, format!("{scheme}://{user}{here}/{name}"))
    }

    pub(super) async fn freeze(&mut self) {
        match self {
            Self::Lock(raw) => raw.run("BEGIN IMMEDIATE").await,
            Self::Proxy { frozen, .. } => drop(frozen.send_replace(true)),
        }
    }

    pub(super) async fn thaw(&mut self) {
        match self {
            Self::Lock(raw) => raw.run("ROLLBACK").await,
            Self::Proxy { frozen, .. } => drop(frozen.send_replace(false)),
        }
    }
}

async fn accept(listener: TcpListener, upstream: String, frozen: Arc<watch::Sender<bool>>) {
    let mut connections = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let Ok(far) = TcpStream::connect(&upstream).await else { continue };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        connections.spawn(pass(near_in, far_out, frozen.subscribe()));
        connections.spawn(pass(far_in, near_out, frozen.subscribe()));
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut frozen: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16_384];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        if frozen.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}
