//! The sockets of dynamic authorization: what `service::coa` wants sent goes out, what comes in goes there,
//! and its deadlines are kept.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::coa::Transmit;
use crate::service::coa::Coa;
use crate::telemetry::names;

/// One socket per slot and address family, each on a port of its own.
#[derive(Debug)]
pub struct CoaSockets {
    v4: Vec<Arc<UdpSocket>>,
    /// None on a machine without IPv6.
    v6: Vec<Arc<UdpSocket>>,
}

impl CoaSockets {
    /// Opens the sockets of `slots` slots, on a tokio runtime. They send from `address` where it is given, for NASes that
    /// accept requests from one address alone, and to addresses of its family then.
    ///
    /// # Errors
    /// The system's, if it has neither family or too few ports.
    pub fn bind(slots: u8, address: Option<IpAddr>) -> io::Result<Self> {
        let v4 = match address {
            None => bind_slots(slots, Ipv4Addr::UNSPECIFIED.into()),
            Some(address @ IpAddr::V4(_)) => bind_slots(slots, address),
            Some(IpAddr::V6(_)) => Ok(Vec::new()),
        };
        let v6 = match address {
            None => bind_slots(slots, Ipv6Addr::UNSPECIFIED.into()),
            Some(address @ IpAddr::V6(_)) => bind_slots(slots, address),
            Some(IpAddr::V4(_)) => Ok(Vec::new()),
        };
        match (v4, v6) {
            (Ok(v4), Ok(v6)) => Ok(Self { v4, v6 }),
            (Ok(v4), Err(error)) if address.is_none() => {
                tracing::info!(%error, "no IPv6 for dynamic authorization");
                Ok(Self { v4, v6: Vec::new() })
            }
            (Err(error), Ok(v6)) if address.is_none() => {
                tracing::info!(%error, "no IPv4 for dynamic authorization");
                Ok(Self { v4: Vec::new(), v6 })
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Serves `coa` until the task is dropped or aborted.
    pub async fn run(self, coa: Coa) {
        let mut receivers = JoinSet::new();
        for sockets in [&self.v4, &self.v6] {
            for (slot, socket) in (0..).zip(sockets) {
                receivers.spawn(receive(slot, Arc::clone(socket), coa.clone()));
            }
        }
        loop {
            while let Some(transmit) = coa.next_transmit() {
                self.send(&transmit).await;
            }
            tokio::select! {
                () = coa.changed() => {}
                () = pause(coa.next_pause()) => coa.handle_timeout(),
            }
        }
    }

    /// A datagram that cannot be sent counts as lost on the way: its retransmission follows.
    async fn send(&self, transmit: &Transmit) {
        let family = if transmit.destination.is_ipv4() { &self.v4 } else { &self.v6 };
        let sent = match family.get(usize::from(transmit.slot)) {
            Some(socket) => socket.send_to(&transmit.payload, transmit.destination).await.map(drop),
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        if let Err(error) = sent {
            metrics::counter!(names::COA_SEND_FAILURES).increment(1);
            tracing::debug!(%error, destination = %transmit.destination, "dynamic authorization not sent");
        }
    }
}

fn bind_slots(slots: u8, address: IpAddr) -> io::Result<Vec<Arc<UdpSocket>>> {
    let mut sockets = Vec::with_capacity(usize::from(slots));
    for _ in 0..slots.max(1) {
        sockets.push(Arc::new(bind_one(SocketAddr::new(address, 0))?));
    }
    Ok(sockets)
}

/// An IPv6 socket is for IPv6 alone, so that no peer ever has an IPv4-mapped address.
fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

async fn receive(slot: u8, socket: Arc<UdpSocket>, coa: Coa) {
    let mut buffer = [0; DATAGRAM_LENGTH];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => coa.handle_datagram(slot, from, buffer.get(..length).unwrap_or_default()),
            // An error of the network that some system reports for an earlier datagram.
            Err(error) => {
                tracing::debug!(%error, "dynamic authorization: receive");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn pause(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause.min(PAUSE_MAX)).await,
        None => pending().await,
    }
}

/// While something is under way the clock of the exchanges, which may be another one than that of the
/// timers, is looked at so often.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The longest packet, and one octet to see that a datagram is longer.
const DATAGRAM_LENGTH: usize = 4097;
