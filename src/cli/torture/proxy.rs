//! A way to the database that can be cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// Hands octets on between connections to it and a socket.
pub(super) struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn to(socket: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let connections: Arc<Mutex<JoinSet<()>>> = Arc::default();
        let held = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let socket = socket.clone();
                let mut held = held.lock();
                while held.try_join_next().is_some() {}
                held.spawn(async move {
                    let Ok(mut far) = UnixStream::connect(socket).await else { return };
                    // However it ends, both sides are closed.
                    let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Ok(Self { address, connections, listening })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, whatever is on its way in it.
    pub(super) fn cut(&self) {
        self.connections.lock().abort_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
