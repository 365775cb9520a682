//! UDP sockets: binding, and moving datagrams in batches.
//!
//! Every configured address gets several sockets that share its port (`SO_REUSEPORT`); the kernel
//! spreads NASes over them by address and port. `recvmmsg` and `sendmmsg` move up to [`BATCH`]
//! datagrams per call. A reply leaves from the address that the request was sent to: a socket on a
//! wildcard address asks the kernel for it (`IP_PKTINFO`, `IPV6_PKTINFO`).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

use super::admission::LENGTH_MAX;

/// Most datagrams per system call.
pub(super) const BATCH: usize = 32;

/// How long a receiving thread sleeps before it looks whether it should stop.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(200);

/// Sending waits for room in the socket's buffer, but never so long that a dead interface could hold
/// up the server.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);

/// A listening address could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (UDP): {source}")]
pub struct BindError {
    /// The configured address.
    pub address: SocketAddr,
    /// What the operating system says.
    pub source: io::Error,
}

/// One listening socket.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UdpSocket,
    /// The kernel says which of our addresses a datagram was sent to.
    wildcard: bool,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound<'a> {
    pub(super) peer: SocketAddr,
    /// Which of our addresses it was sent to; `None` where the socket has only one.
    pub(super) local: Option<IpAddr>,
    pub(super) octets: &'a [u8],
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbound<'a> {
    pub(super) peer: SocketAddr,
    /// As in [`Inbound::local`].
    pub(super) local: Option<IpAddr>,
    pub(super) octets: &'a [u8],
}

impl Socket {
    /// Opens `count` sockets that share `address`; port 0 is the same free port for all of them.
    /// `v6_only` keeps an IPv6 wildcard from taking IPv4 datagrams too.
    pub(super) fn open(
        address: SocketAddr,
        count: usize,
        v6_only: bool,
        receive_buffer: usize,
        send_buffer: usize,
    ) -> Result<Vec<Self>, BindError> {
        let failed = |source| BindError { address, source };
        let (mut sockets, mut address_of_all) = (Vec::with_capacity(count), address);
        for number in 0..count.max(1) {
            let socket = new_socket(address, v6_only).map_err(failed)?;
            let first = number == 0;
            if !first {
                share_port(&socket).map_err(failed)?;
            }
            set_buffers(&socket, receive_buffer, send_buffer);
            socket.bind(&address_of_all.into()).map_err(failed)?;
            if first {
                // Bound before it shares: else it would share with another server of this user, be it one
                // on the same port or one whose port the system found fit to be given twice, and half of
                // the datagrams would go there.
                share_port(&socket).map_err(failed)?;
            }
            socket.set_read_timeout(Some(RECEIVE_TIMEOUT)).map_err(failed)?;
            socket.set_write_timeout(Some(SEND_TIMEOUT)).map_err(failed)?;
            let socket = UdpSocket::from(socket);
            address_of_all = socket.local_addr().map_err(failed)?;
            let wildcard = address.ip().is_unspecified();
            if wildcard {
                platform::report_local_address(&socket, address.is_ipv6()).map_err(failed)?;
            }
            sockets.push(Self { socket, wildcard });
        }
        Ok(sockets)
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Datagrams that the kernel dropped because this socket's buffer was full; `None` where it does
    /// not say.
    pub(super) fn kernel_drops(&self) -> Option<u64> {
        platform::kernel_drops(&self.socket)
    }
}

/// Lets further sockets of this process have the port too.
fn share_port(socket: &socket2::Socket) -> io::Result<()> {
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    #[cfg(not(unix))]
    let _ = socket;
    Ok(())
}

fn new_socket(address: SocketAddr, v6_only: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only)?;
    }
    Ok(socket)
}

/// Asks for large buffers: beyond the system's limit where we may, else as much as it grants.
fn set_buffers(socket: &socket2::Socket, receive: usize, send: usize) {
    if !platform::force_buffers(socket, receive, send) {
        for (set, octets) in [
            (socket2::Socket::set_recv_buffer_size as fn(&_, usize) -> _, receive),
            (socket2::Socket::set_send_buffer_size, send),
        ] {
            if let Err(error) = set(socket, octets) {
                tracing::debug!(%error, octets, "the system keeps its own socket buffer size");
            }
        }
    }
}

pub(super) use platform::{Receiver, Sender};

/// Linux: batches, and the address a datagram was sent to.
#[cfg(target_os = "linux")]
mod platform {
    use std::fs;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
    use std::os::fd::{AsFd, AsRawFd as _};
    use std::os::unix::fs::MetadataExt as _;

    use nix::cmsg_space;
    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg,
        sendmmsg, sendmsg, setsockopt, sockopt,
    };
    use smallvec::SmallVec;

    use super::{BATCH, Inbound, LENGTH_MAX, Outbound, Socket};

    /// One octet more than a packet may have shows which datagrams are too long.
    type Buffers = [[u8; LENGTH_MAX + 1]; BATCH];

    pub(super) fn report_local_address(socket: &UdpSocket, v6: bool) -> io::Result<()> {
        if v6 {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        Ok(())
    }

    pub(super) fn force_buffers(socket: &impl AsFd, receive: usize, send: usize) -> bool {
        setsockopt(socket, sockopt::RcvBufForce, &receive).is_ok()
            && setsockopt(socket, sockopt::SndBufForce, &send).is_ok()
    }

    /// `/proc/net/udp` has a line per socket: the tenth column is the inode, the last the drops.
    pub(super) fn kernel_drops(socket: &UdpSocket) -> Option<u64> {
        let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?.ino().to_string();
        let table = if socket.local_addr().ok()?.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            (columns.nth(9)? == inode).then(|| columns.last()?.parse().ok())?
        })
    }

    /// Buffers of one receiving thread.
    pub(in crate::net) struct Receiver {
        headers: MultiHeaders<SockaddrStorage>,
        buffers: Box<Buffers>,
    }

    impl Receiver {
        pub(in crate::net) fn new(socket: &Socket) -> Self {
            let control = socket.wildcard.then(|| cmsg_space!(libc::in6_pktinfo));
            let buffers = vec![[0; LENGTH_MAX + 1]; BATCH].into_boxed_slice();
            let buffers = buffers.try_into().expect("as many as it was made of");
            Self { headers: MultiHeaders::preallocate(BATCH, control), buffers }
        }

        /// Waits for datagrams, takes those that are there, and shows them to `each`. Returns after
        /// a while without any, so that the caller can stop.
        pub(in crate::net) fn receive(
            &mut self,
            socket: &Socket,
            mut each: impl FnMut(Inbound<'_>),
        ) -> io::Result<usize> {
            let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let fd = socket.socket.as_raw_fd();
            let received =
                match recvmmsg(fd, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
                    Ok(received) => received,
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
                    Err(error) => return Err(error.into()),
                };
            let mut count = 0;
            for message in received {
                count += 1;
                let Some(peer) = message.address.as_ref().and_then(peer) else { continue };
                let local = if socket.wildcard { local(&message) } else { None };
                let octets = message.iovs().next().unwrap_or_default();
                each(Inbound { peer, local, octets });
            }
            Ok(count)
        }
    }

    fn peer(address: &SockaddrStorage) -> Option<SocketAddr> {
        if let Some(v4) = address.as_sockaddr_in() {
            return Some(SocketAddrV4::from(*v4).into());
        }
        address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
    }

    fn local(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
        message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into()),
            _ => None,
        })
    }

    /// Sends batches; one per thread that does.
    pub(in crate::net) struct Sender {
        headers: MultiHeaders<SockaddrStorage>,
    }

    impl Sender {
        pub(in crate::net) fn new(socket: &Socket) -> Self {
            let control = socket.wildcard.then(|| match socket.socket.local_addr() {
                Ok(SocketAddr::V4(_)) => cmsg_space!(libc::in_pktinfo),
                _ => cmsg_space!(libc::in6_pktinfo),
            });
            Self { headers: MultiHeaders::preallocate(BATCH, control) }
        }

        /// Sends the datagrams in order and returns how many could not be sent.
        pub(in crate::net) fn send(&mut self, socket: &Socket, datagrams: &[Outbound<'_>]) -> usize {
            // A call has one source address for all of its datagrams.
            let runs = datagrams.chunk_by(|one, other| one.local == other.local);
            runs.flat_map(|run| run.chunks(BATCH)).map(|chunk| self.send_chunk(socket, chunk)).sum()
        }

        fn send_chunk(&mut self, socket: &Socket, mut datagrams: &[Outbound<'_>]) -> usize {
            let (v4, v6);
            let control = match datagrams.first().and_then(|datagram| datagram.local) {
                Some(IpAddr::V4(address)) => {
                    let source = libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
                    v4 = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: source };
                    Some(ControlMessage::Ipv4PacketInfo(&v4))
                }
                Some(IpAddr::V6(address)) => {
                    let source = libc::in6_addr { s6_addr: address.octets() };
                    v6 = libc::in6_pktinfo { ipi6_addr: source, ipi6_ifindex: 0 };
                    Some(ControlMessage::Ipv6PacketInfo(&v6))
                }
                None => None,
            };
            let mut failed = 0;
            while let [first, after @ ..] = datagrams {
                let sent = match &control {
                    // Headers with room for a source address would send what is in there.
                    None if socket.wildcard => send_one(socket, first).map(|_| 1),
                    _ => self.send_many(socket, datagrams, control.as_slice()),
                };
                datagrams = match sent {
                    Ok(sent) => datagrams.get(sent.max(1)..).unwrap_or_default(),
                    Err(Errno::EINTR) => datagrams,
                    // It is the first one that could not be sent.
                    Err(error) => {
                        tracing::debug!(%error, "reply not sent");
                        failed += 1;
                        after
                    }
                };
            }
            failed
        }

        fn send_many(
            &mut self,
            socket: &Socket,
            datagrams: &[Outbound<'_>],
            control: &[ControlMessage<'_>],
        ) -> nix::Result<usize> {
            let slices: SmallVec<[_; BATCH]> =
                datagrams.iter().map(|datagram| [IoSlice::new(datagram.octets)]).collect();
            let peers: SmallVec<[_; BATCH]> =
                datagrams.iter().map(|datagram| Some(SockaddrStorage::from(datagram.peer))).collect();
            let fd = socket.socket.as_raw_fd();
            let sent = sendmmsg(fd, &mut self.headers, slices.iter(), &peers, control, MsgFlags::empty());
            sent.map(Iterator::count)
        }
    }

    fn send_one(socket: &Socket, datagram: &Outbound<'_>) -> nix::Result<usize> {
        let slices = [IoSlice::new(datagram.octets)];
        let peer = SockaddrStorage::from(datagram.peer);
        sendmsg(socket.socket.as_raw_fd(), &slices, &[], MsgFlags::empty(), Some(&peer))
    }
}

/// Elsewhere: one datagram at a time, and replies of a wildcard address leave from the address that
/// routing chooses, so bind explicit addresses there.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;
    use std::net::UdpSocket;

    use super::{Inbound, LENGTH_MAX, Outbound, Socket};

    pub(super) fn report_local_address(_: &UdpSocket, _: bool) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn force_buffers(_: &socket2::Socket, _: usize, _: usize) -> bool {
        false
    }

    pub(super) fn kernel_drops(_: &UdpSocket) -> Option<u64> {
        None
    }

    /// Buffer of one receiving thread.
    pub(in crate::net) struct Receiver(Box<[u8; LENGTH_MAX + 1]>);

    impl Receiver {
        pub(in crate::net) fn new(_: &Socket) -> Self {
            Self(Box::new([0; LENGTH_MAX + 1]))
        }

        pub(in crate::net) fn receive(
            &mut self,
            socket: &Socket,
            mut each: impl FnMut(Inbound<'_>),
        ) -> io::Result<usize> {
            match socket.socket.recv_from(self.0.as_mut_slice()) {
                Ok((length, peer)) => {
                    let octets = self.0.get(..length).unwrap_or_default();
                    each(Inbound { peer, local: None, octets });
                    Ok(1)
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) =>
                {
                    Ok(0)
                }
                Err(error) => Err(error),
            }
        }
    }

    /// Sends datagrams.
    pub(in crate::net) struct Sender;

    impl Sender {
        pub(in crate::net) fn new(_: &Socket) -> Self {
            Self
        }

        pub(in crate::net) fn send(&mut self, socket: &Socket, datagrams: &[Outbound<'_>]) -> usize {
            let send =
                |datagram: &&Outbound<'_>| socket.socket.send_to(datagram.octets, datagram.peer).is_err();
            datagrams.iter().filter(send).count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_0_is_one_free_port_for_all_sockets_of_an_address() {
        let sockets = Socket::open("127.0.0.1:0".parse().unwrap(), 3, true, 1 << 18, 1 << 18).unwrap();
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_ne!(addresses[0].port(), 0);
        assert_eq!(addresses, [addresses[0]; 3]);
    }

    #[test]
    fn all_sockets_of_an_address_get_datagrams_and_nobody_else_gets_the_port() {
        let open = |address| Socket::open(address, 2, true, 1 << 18, 1 << 18);
        let sockets = open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(open(address).is_err_and(|error| error.source.kind() == io::ErrorKind::AddrInUse));
        for _ in 0..64 {
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"?", address).unwrap();
        }
        for socket in &sockets {
            socket.socket.set_nonblocking(true).unwrap();
            let mut datagrams = 0;
            while socket.socket.recv(&mut [0; 8]).is_ok() {
                datagrams += 1;
            }
            assert!((1..64).contains(&datagrams), "{datagrams} of 64");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_kernel_drops_is_counted() {
        let socket = Socket::open("127.0.0.1:0".parse().unwrap(), 1, true, 4096, 4096).unwrap().remove(0);
        assert_eq!(socket.kernel_drops(), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        let drops = socket.kernel_drops().unwrap();
        assert!((50..100).contains(&drops), "{drops}");
    }
}
