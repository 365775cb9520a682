//! NASes: they log devices in, count, and end a session when they are asked to.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tollkeeper::coa::{Kind, Responder, Verdict};
use tollkeeper::radius::attribute::{
    ACCT_INPUT_OCTETS, ACCT_OUTPUT_OCTETS, ACCT_SESSION_ID, ACCT_SESSION_TIME, ACCT_STATUS_TYPE,
    ACCT_TERMINATE_CAUSE, CALLING_STATION_ID, CLASS, EVENT_TIMESTAMP, FRAMED_IP_ADDRESS, IDLE_TIMEOUT,
    NAS_IP_ADDRESS, SESSION_TIMEOUT, USER_NAME,
};
use tollkeeper::radius::{Code, Packet, verify_response};
use tollkeeper::time::Clock;

use super::model::{Record, Session};
use crate::support::eventually;
use crate::support::requests::{NasSocket, START, STOP, accounting, chap_login_of_nas, login_of_nas, secret};

/// What an Access-Accept says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accept {
    pub(super) session_timeout: Option<u32>,
    pub(super) idle_timeout: Option<u32>,
    pub(super) class: Option<Vec<u8>>,
}

pub(super) struct Nas {
    pub(super) address: Ipv4Addr,
    pub(super) coa_port: u16,
    socket: NasSocket,
    identifier: u8,
    /// Acct-Session-Ids of Disconnect-Requests.
    told: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Nas {
    /// Begins to listen for Disconnect- and CoA-Requests, all of which it acknowledges.
    pub(super) fn start(address: Ipv4Addr, clock: Arc<dyn Clock>) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let coa_port = socket.local_addr().unwrap().port();
        let (told, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, over) = (Arc::clone(&told), Arc::clone(&ends));
        let task = std::thread::spawn(move || {
            let (mut responder, mut buffer) = (Responder::default(), [0; 4096]);
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let reply =
                    responder.answer(from, &buffer[..length], &secret(), clock.now(), |kind, request| {
                        if kind == Kind::Disconnect {
                            let id = request.first(ACCT_SESSION_ID).unwrap_or_default();
                            list.lock().push(String::from_utf8_lossy(id).into_owned());
                        }
                        Verdict::Ack
                    });
                if let Some(reply) = reply {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        let socket = NasSocket::bind_at(address);
        Self { address, coa_port, socket, identifier: 0, told, ends, task: Some(task) }
    }

    /// Has the end of this session been asked for?
    pub(super) fn was_told(&self, session: &str) -> bool {
        self.told.lock().iter().any(|told| told == session)
    }

    /// Takes the ends that were asked for.
    pub(super) fn take_told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock())
    }

    fn next(&mut self) -> u8 {
        self.identifier = self.identifier.wrapping_add(1);
        self.identifier
    }

    /// `None` is Access-Reject.
    pub(super) fn login(
        &mut self,
        auth: SocketAddr,
        user: &str,
        password: &str,
        station: &str,
        chap: bool,
    ) -> Option<Accept> {
        let identifier = self.next();
        let address = self.address.octets();
        let attributes = [(NAS_IP_ADDRESS, &address[..]), (CALLING_STATION_ID, station.as_bytes())];
        let encode = if chap { chap_login_of_nas } else { login_of_nas };
        let request = encode(identifier, user, password, &attributes);
        let reply = self.answer(auth, &request);
        let packet = Packet::decode(&reply).unwrap();
        let number = |name| packet.first(name).map(|value| u32::from_be_bytes(value.try_into().unwrap()));
        match packet.header().code {
            Code::AccessAccept => Some(Accept {
                session_timeout: number(SESSION_TIMEOUT),
                idle_timeout: number(IDLE_TIMEOUT),
                class: packet.first(CLASS).map(<[u8]>::to_vec),
            }),
            Code::AccessReject => None,
            other => panic!("{user}: {other:?}"),
        }
    }

    /// Sends a record of a session until it is acknowledged; gives its datagram.
    pub(super) fn record(
        &mut self,
        to: SocketAddr,
        session: &Session,
        Record { status, seconds, input, output, at }: Record,
    ) -> Vec<u8> {
        let address = self.address.octets();
        let framed = session.address.octets();
        let numbers = [
            (ACCT_STATUS_TYPE, status),
            (EVENT_TIMESTAMP, at),
            (ACCT_SESSION_TIME, seconds),
            (ACCT_INPUT_OCTETS, input << 20),
            (ACCT_OUTPUT_OCTETS, output << 20),
            // User-Request
            (ACCT_TERMINATE_CAUSE, 1),
        ];
        let numbers = match status {
            START => &numbers[..2],
            STOP => &numbers[..],
            _ => &numbers[..5],
        };
        let numbers: Vec<_> = numbers.iter().map(|(name, value)| (*name, value.to_be_bytes())).collect();
        let mut attributes: Vec<(u8, &[u8])> = vec![
            (USER_NAME, session.user.as_bytes()),
            (ACCT_SESSION_ID, session.id.as_bytes()),
            (NAS_IP_ADDRESS, &address),
            (CALLING_STATION_ID, session.station.as_bytes()),
            (FRAMED_IP_ADDRESS, &framed),
        ];
        attributes.extend(session.class.iter().map(|class| (CLASS, &class[..])));
        attributes.extend(numbers.iter().map(|(name, value)| (*name, &value[..])));
        let request = accounting(self.next(), &attributes);
        self.again(to, &request);
        request
    }

    /// Sends a datagram, which may have been sent before, until it is acknowledged.
    pub(super) fn again(&self, to: SocketAddr, request: &[u8]) {
        self.answer(to, request);
    }

    fn answer(&self, to: SocketAddr, request: &[u8]) -> Vec<u8> {
        eventually("an answer", || {
            self.socket.send(to, request);
            while let Some(reply) = self.socket.receive(Duration::from_secs(2)) {
                if verify_response(request, &reply, &secret()).is_ok() {
                    return Some(reply);
                }
            }
            None
        })
    }
}

impl Drop for Nas {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.take() {
            let _ = task.join();
        }
    }
}
