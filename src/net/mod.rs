//! Sockets of RADIUS: receiving, admission, duplicates, replies, dynamic authorization.
//!
//! Owns everything between the wire and the service: who may ask, what was asked before, when a reply
//! leaves. Refuses to know what is decided: it hands typed requests to [`Serve`] and sends what comes
//! back. A datagram's way is `receive.rs` from top to bottom; [`duplicates`] is RFC 5080's cache,
//! [`admission`] the rules, `replies.rs` what does not leave at once, `udp.rs` the system calls, [`coa`]
//! our own requests to NASes.

pub mod admission;
pub mod coa;
pub mod duplicates;
mod flow;
mod metrics;
mod receive;
mod replies;
#[cfg(test)]
mod tests;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::admission::{Port, Sources};
use self::flow::Flows;
use self::receive::{Shared, Worker};
use self::replies::{Listener, Outlets};
use self::udp::Socket;
use crate::service::{Deliver, Serve};
use crate::time::Clock;

pub use self::udp::BindError;

/// `[radius]`, as far as the sockets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses that take Access-Requests.
    pub auth: Vec<SocketAddr>,
    /// Addresses that take Accounting-Requests.
    pub accounting: Vec<SocketAddr>,
    /// Sockets, and threads, per address; 0 is one per processor.
    pub sockets_per_port: u16,
    /// Octets of a socket's receive buffer: what arrives while a thread is busy waits there.
    pub receive_buffer: usize,
    /// Octets of a socket's send buffer.
    pub send_buffer: usize,
    /// How long an Access-Reject is held back, and up to a quarter more; zero sends it at once.
    pub reject_delay: Duration,
    /// Most Access-Rejects that are held back; then the one that is due next leaves early.
    pub rejects_max: usize,
    /// Replies kept for retransmissions.
    pub duplicates: duplicates::Settings,
    /// Most logins that wait for a subscriber to be loaded or a slow password to be checked.
    pub logins_waiting_max: usize,
    /// Most accounting records that wait for something to be loaded.
    pub records_waiting_max: usize,
    /// Most records of one source address that wait for their commit.
    pub records_in_flight_per_nas: usize,
    /// Access-Requests per second that one source address may send; 0 is any number.
    pub logins_per_second_per_nas: u32,
    /// Accounting-Requests per second that one source address may send; 0 is any number.
    pub records_per_second_per_nas: u32,
    /// Status-Servers per second that one source address may send to one socket.
    pub status_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: vec![SocketAddr::from(([127, 0, 0, 1], 1812))],
            accounting: vec![SocketAddr::from(([127, 0, 0, 1], 1813))],
            sockets_per_port: 0,
            receive_buffer: 8 << 20,
            send_buffer: 4 << 20,
            reject_delay: Duration::from_secs(1),
            rejects_max: 65_536,
            duplicates: duplicates::Settings::default(),
            logins_waiting_max: 4_096,
            records_waiting_max: 4_096,
            records_in_flight_per_nas: 32_768,
            logins_per_second_per_nas: 0,
            records_per_second_per_nas: 0,
            status_per_second: 20,
        }
    }
}

/// Open sockets that nobody reads from yet.
pub struct Sockets {
    settings: Settings,
    auth: Vec<SocketAddr>,
    accounting: Vec<SocketAddr>,
    outlets: Arc<Outlets>,
    sources: Arc<Sources>,
}

impl Sockets {
    /// Opens all sockets. The recorder of metrics must be installed before.
    ///
    /// # Errors
    /// The first address that cannot be opened.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        let auth = listen(&settings, Port::Auth, &settings.auth, &mut listeners)?;
        let accounting = listen(&settings, Port::Accounting, &settings.accounting, &mut listeners)?;
        let outlets = Arc::new(Outlets::new(listeners, settings.rejects_max, clock));
        Ok(Self { settings, auth, accounting, outlets, sources: Arc::default() })
    }

    /// Where Access-Requests are taken, with real ports.
    #[must_use]
    pub fn auth(&self) -> &[SocketAddr] {
        &self.auth
    }

    /// Where Accounting-Requests are taken, with real ports.
    #[must_use]
    pub fn accounting(&self) -> &[SocketAddr] {
        &self.accounting
    }

    /// What is remembered of who asks.
    #[must_use]
    pub fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.sources)
    }

    /// What the writer hands its waiters to.
    #[must_use]
    pub fn deliver(&self) -> Arc<dyn Deliver> {
        Arc::<Outlets>::clone(&self.outlets)
    }

    /// Begins to receive. What has to wait runs on `runtime`.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn serve<S: Serve>(self, service: Arc<S>, runtime: Handle) -> io::Result<Receivers> {
        let Self { settings, outlets, sources, .. } = self;
        let shared = Arc::new(Shared {
            service,
            outlets: Arc::clone(&outlets),
            sources,
            flows: Flows::new(&settings),
            runtime,
            reject_delay: settings.reject_delay,
            status_per_second: settings.status_per_second,
            logins: Arc::new(Semaphore::new(settings.logins_waiting_max)),
            records: Arc::new(Semaphore::new(settings.records_waiting_max)),
            stop: Arc::new(AtomicBool::new(false)),
        });
        let mut receivers = Receivers {
            outlets: Arc::clone(&outlets),
            stop: Arc::clone(&shared.stop),
            workers: Vec::new(),
            rejects: None,
        };
        let measured = (Arc::clone(&shared.logins), Arc::clone(&shared.records));
        let measure = {
            let (outlets, settings) = (Arc::clone(&outlets), settings.clone());
            move || {
                let waiting = |all: usize, left: &Semaphore| all.saturating_sub(left.available_permits());
                outlets.measure(Port::Auth, waiting(settings.logins_waiting_max, &measured.0));
                outlets.measure(Port::Accounting, waiting(settings.records_waiting_max, &measured.1));
            }
        };
        let rejects = thread::Builder::new().name("radius-rejects".to_owned());
        receivers.rejects = Some(rejects.spawn(move || outlets.send_rejects(measure))?);
        for (number, listener) in (0..).zip(&receivers.outlets.listeners) {
            let worker = Worker::new(Arc::clone(&shared), number);
            let name = format!("radius-{}-{number}", listener.port.as_str());
            receivers.workers.push(thread::Builder::new().name(name).spawn(move || worker.run())?);
        }
        Ok(receivers)
    }
}

/// Opens the sockets of one kind of port and says which addresses they got.
fn listen(
    settings: &Settings,
    port: Port,
    addresses: &[SocketAddr],
    listeners: &mut Vec<Listener>,
) -> Result<Vec<SocketAddr>, BindError> {
    let count = match usize::from(settings.sockets_per_port) {
        0 => thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let mut opened = Vec::new();
    for address in addresses {
        // `[::]` takes IPv4 too, unless the same port is also asked for on IPv4.
        let v6_only = addresses.iter().any(|other| other.is_ipv4() && other.port() == address.port());
        let sockets = Socket::open(*address, count, v6_only, settings.receive_buffer, settings.send_buffer)?;
        for socket in sockets {
            let real = socket.local_addr().map_err(|source| BindError { address: *address, source })?;
            if opened.last() != Some(&real) {
                opened.push(real);
            }
            listeners.push(Listener::new(port, socket, real, settings.duplicates));
        }
    }
    Ok(opened)
}

/// The receiving threads.
pub struct Receivers {
    outlets: Arc<Outlets>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    rejects: Option<JoinHandle<()>>,
}

impl Receivers {
    /// Receives no more, sends held-back rejects, and waits until every request that was received is
    /// answered, at most `within`. The writer must still be running. True if all were answered.
    pub async fn stop(&mut self, within: Duration) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        join(std::mem::take(&mut self.workers)).await;
        self.outlets.drain();
        let all_answered = self.outlets.idle(within).await;
        self.outlets.close();
        join(self.rejects.take().into_iter().collect()).await;
        all_answered
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.outlets.close();
    }
}

/// Waits for threads without holding up the runtime.
async fn join(threads: Vec<JoinHandle<()>>) {
    let waited = tokio::task::spawn_blocking(move || {
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a receiving thread has panicked");
            }
        }
    });
    if waited.await.is_err() {
        tracing::error!("the runtime ended before the receiving threads");
    }
}
