//! The sockets over loopback, with a small responder in the place of the service.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::admission::Sources;
use super::{Receivers, Settings, Sockets, duplicates};
use crate::domain::{Nas, NasTable, TriState};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::radius::attribute::{
    ACCT_SESSION_ID, ACCT_STATUS_TYPE, MESSAGE_AUTHENTICATOR, NAS_IDENTIFIER, NAS_IP_ADDRESS, PROXY_STATE,
    REPLY_MESSAGE, STATE, USER_NAME, USER_PASSWORD,
};
use crate::radius::hiding::hide_user_password;
use crate::radius::{
    AccessReply, AccessRequest, AccountingRequest, Code, Credentials, Packet, ReplyAttributes, Secret,
    authenticate_request, seal_request, verify_response,
};
use crate::service::{Acknowledgement, Answer, Deliver, NoReply, Resolved, Serve, Waiter, Wanted, Work};
use crate::time::{Clock as _, Now, SystemClock};

/// Knows who may log in by the name alone, and counts what it was asked.
struct Responder {
    table: ArcSwap<NasTable>,
    asked: Mutex<BTreeMap<String, usize>>,
    records: Mutex<Vec<Waiter>>,
    deliver: Arc<dyn Deliver>,
    /// What waits goes on when there is a permit.
    gate: Semaphore,
}

impl Responder {
    fn asked(&self, name: &str) -> usize {
        self.asked.lock().get(name).copied().unwrap_or_default()
    }

    /// The name of who asks, counted.
    fn hear(&self, name: Option<&[u8]>) -> String {
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        *self.asked.lock().entry(name.clone()).or_default() += 1;
        name
    }

    fn commit(&self) {
        self.deliver.committed(&mut self.records.lock());
    }
}

impl Serve for Responder {
    fn nas_table(&self) -> arc_swap::Guard<Arc<NasTable>> {
        self.table.load()
    }

    fn access(
        &self,
        nas: &Arc<Nas>,
        _: IpAddr,
        request: &AccessRequest<'_>,
        resolved: Resolved,
        _: Now,
    ) -> Answer<AccessReply> {
        let name = self.hear(request.user_name());
        let mut attributes = ReplyAttributes::default();
        attributes.push(REPLY_MESSAGE, nas.name.as_bytes());
        let mut salt = [0; 16];
        SystemEntropy.fill(&mut salt);
        match name.as_str() {
            "late" if !resolved.looked_up => return Answer::Later(load("late")),
            "for ever" => return Answer::Later(load("for ever")),
            "gone" => return Answer::Later(load("gone")),
            "stuck" => return Answer::Silence(NoReply::StoreUnavailable),
            "challenged" => {
                attributes.push(STATE, &salt);
                return Answer::Now(AccessReply::Challenge(attributes));
            }
            "large" => {
                for _ in 0..20 {
                    attributes.push(REPLY_MESSAGE, &[b'x'; 253]);
                }
            }
            _ => {}
        }
        let Credentials::Pap(password) = request.credentials() else {
            return Answer::Now(AccessReply::Reject(attributes));
        };
        Answer::Now(match password.octets() == b"hello" {
            true => AccessReply::Accept(attributes),
            false => AccessReply::Reject(attributes),
        })
    }

    fn accounting(
        &self,
        _: &Arc<Nas>,
        _: IpAddr,
        request: &AccountingRequest<'_>,
        resolved: Resolved,
        waiter: Waiter,
        _: Now,
    ) -> Acknowledgement {
        match self.hear(request.acct_session_id()).as_str() {
            "late" if !resolved.looked_up => Acknowledgement::Later(load("late"), waiter),
            "stuck" => Acknowledgement::Silence(NoReply::StoreUnavailable),
            "held" => {
                self.records.lock().push(waiter);
                Acknowledgement::Pending
            }
            _ => {
                self.deliver.committed(&mut vec![waiter]);
                Acknowledgement::Pending
            }
        }
    }

    async fn resolve(&self, work: Work) -> Result<Resolved, NoReply> {
        self.gate.acquire().await.expect("it is never closed").forget();
        match work {
            Work::Load { who: Some(Wanted::Login(name)), .. } if name == "gone" => {
                Err(NoReply::StoreUnavailable)
            }
            _ => Ok(Resolved { looked_up: true, ..Resolved::default() }),
        }
    }
}

fn load(name: &str) -> Work {
    Work::Load { who: Some(Wanted::Login(name.into())), sessions: smallvec::SmallVec::new(), record: false }
}

/// A running server with the responder behind it.
struct Server {
    runtime: tokio::runtime::Runtime,
    responder: Arc<Responder>,
    receivers: Receivers,
    sources: Arc<Sources>,
    auth: SocketAddr,
    accounting: SocketAddr,
}

const SECRET: &[u8] = b"testing123";

fn secret(octets: &[u8]) -> Secret {
    Secret::new(octets).unwrap()
}

fn nas(network: &str, name: &str) -> Nas {
    Nas {
        require_message_authenticator: TriState::No,
        limit_proxy_state: TriState::No,
        ..Nas::sample(name, network)
    }
}

fn loopback() -> Settings {
    let any_port = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    Settings {
        auth: any_port.clone(),
        accounting: any_port,
        sockets_per_port: 1,
        receive_buffer: 1 << 20,
        send_buffer: 1 << 20,
        reject_delay: Duration::ZERO,
        ..Settings::default()
    }
}

impl Server {
    fn start(settings: Settings, entries: Vec<Nas>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sockets = Sockets::open(settings, Arc::new(SystemClock)).unwrap();
        let (auth, accounting) = (sockets.auth()[0], sockets.accounting()[0]);
        let responder = Arc::new(Responder {
            table: ArcSwap::from_pointee(NasTable::new(entries)),
            asked: Mutex::default(),
            records: Mutex::default(),
            deliver: sockets.deliver(),
            gate: Semaphore::new(0),
        });
        let sources = sockets.sources();
        let receivers = sockets.serve(Arc::clone(&responder), runtime.handle().clone()).unwrap();
        Self { runtime, responder, receivers, sources, auth, accounting }
    }

    fn plain() -> Self {
        Self::start(loopback(), vec![nas("127.0.0.1/32", "one")])
    }

    fn stop(&mut self) -> bool {
        self.runtime.block_on(self.receivers.stop(Duration::from_secs(5)))
    }
}

/// A NAS: one source address and port.
struct Device {
    socket: UdpSocket,
    secret: Secret,
}

impl Device {
    fn at(address: &str) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 20).unwrap();
        Self { socket, secret: secret(SECRET) }
    }

    fn here() -> Self {
        Self::at("127.0.0.1")
    }

    fn with(mut self, octets: &[u8]) -> Self {
        self.secret = secret(octets);
        self
    }

    /// A login, signed or not, with attributes of the caller's after it.
    fn login(
        &self,
        identifier: u8,
        name: &str,
        password: &str,
        signed: bool,
        more: &[(u8, &[u8])],
    ) -> Vec<u8> {
        let mut authenticator = [0; 16];
        SystemEntropy.fill(&mut authenticator);
        let hidden = hide_user_password(password.as_bytes(), &self.secret, &authenticator).unwrap();
        let mut octets = packet(Code::AccessRequest, identifier, authenticator);
        attribute(&mut octets, USER_NAME, name.as_bytes());
        attribute(&mut octets, USER_PASSWORD, &hidden);
        for (number, value) in more {
            attribute(&mut octets, *number, value);
        }
        if signed {
            seal_request(&mut octets, &self.secret).unwrap();
        }
        octets
    }

    fn record(&self, identifier: u8, session: &str) -> Vec<u8> {
        let mut octets = packet(Code::AccountingRequest, identifier, [0; 16]);
        attribute(&mut octets, ACCT_STATUS_TYPE, &[0, 0, 0, 1]);
        attribute(&mut octets, ACCT_SESSION_ID, session.as_bytes());
        authenticate_request(&mut octets, &self.secret);
        octets
    }

    fn status(&self, identifier: u8) -> Vec<u8> {
        let mut authenticator = [0; 16];
        SystemEntropy.fill(&mut authenticator);
        let mut octets = packet(Code::StatusServer, identifier, authenticator);
        seal_request(&mut octets, &self.secret).unwrap();
        octets
    }

    fn send(&self, to: SocketAddr, octets: &[u8]) {
        self.socket.send_to(octets, to).unwrap();
    }

    /// The next datagram and where it came from.
    fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut octets = vec![0; 5000];
        let (length, from) = self.socket.recv_from(&mut octets).expect("a reply in time");
        octets.truncate(length);
        (octets, from)
    }

    /// Sends a request and takes the next datagram for its reply.
    fn ask(&self, to: SocketAddr, request: &[u8]) -> Vec<u8> {
        self.send(to, request);
        let (reply, from) = self.receive();
        assert_eq!(from, to, "a reply leaves from where the request was sent to");
        self.check(request, &reply);
        reply
    }

    fn check(&self, request: &[u8], reply: &[u8]) -> Code {
        verify_response(request, reply, &self.secret).expect("it answers the request").code
    }

    /// Nothing that was sent before is answered, and the server is alive: the next reply to this
    /// socket answers another request. One socket is served in order.
    fn hears_nothing_at(&self, server: &Server) {
        let alive = self.login(255, "alive", "hello", true, &[]);
        self.ask(server.auth, &alive);
    }
}

fn packet(code: Code, identifier: u8, authenticator: [u8; 16]) -> Vec<u8> {
    let mut octets = vec![code.number(), identifier, 0, 20];
    octets.extend(authenticator);
    octets
}

/// Appends an attribute and corrects the Length.
fn attribute(octets: &mut Vec<u8>, number: u8, value: &[u8]) {
    octets.extend([number, u8::try_from(value.len() + 2).unwrap()]);
    octets.extend(value);
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
}

fn first_attribute(reply: &[u8]) -> Option<u8> {
    Packet::decode(reply).unwrap().attributes().next().map(|attribute| attribute.number)
}

#[test]
fn pc_07_all_256_identifiers_of_one_socket_are_answered() {
    let (server, device) = (Server::plain(), Device::here());
    let requests: Vec<_> =
        (0..=255).map(|identifier| device.login(identifier, "bob", "hello", true, &[])).collect();
    for request in &requests {
        device.send(server.auth, request);
    }
    let mut answered = [false; 256];
    for _ in 0..256 {
        let (reply, from) = device.receive();
        assert_eq!(from, server.auth);
        let request = &requests[usize::from(reply[1])];
        assert_eq!(device.check(request, &reply), Code::AccessAccept);
        assert_eq!(first_attribute(&reply), Some(MESSAGE_AUTHENTICATOR));
        assert!(!std::mem::replace(&mut answered[usize::from(reply[1])], true), "one reply each");
    }
    assert_eq!(server.responder.asked("bob"), 256);
}

#[test]
fn du_01_and_du_12_a_duplicate_gets_the_stored_reply_octet_for_octet() {
    let (server, device) = (Server::plain(), Device::here());
    let request = device.login(17, "challenged", "hello", true, &[]);
    let first = device.ask(server.auth, &request);
    assert_eq!(device.ask(server.auth, &request), first, "the same State");
    let padded = [request.as_slice(), &[7; 40]].concat();
    assert_eq!(device.ask(server.auth, &padded), first, "padding is no part of a request");
    assert_eq!(server.responder.asked("challenged"), 1);
    let other = Device::here();
    assert_ne!(other.ask(server.auth, &request), first, "another port is another request");
    assert_eq!(server.responder.asked("challenged"), 2);
}

#[test]
fn du_02_duplicates_of_a_held_back_reject_are_dropped() {
    let settings = Settings { reject_delay: Duration::from_millis(300), ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    let wrong = device.login(1, "bob", "wrong", true, &[]);
    for _ in 0..3 {
        device.send(server.auth, &wrong);
    }
    let right = device.login(2, "bob", "hello", true, &[]);
    let accept = device.ask(server.auth, &right);
    assert_eq!(accept[0], Code::AccessAccept.number(), "an Accept is not held up by a Reject");
    let (reject, _) = device.receive();
    assert_eq!(device.check(&wrong, &reject), Code::AccessReject);
    assert_eq!(device.ask(server.auth, &wrong), reject, "answered, it is kept as any other");
    device.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("bob"), 2);
}

#[test]
fn pa_11_a_reject_waits_its_time() {
    let delay = Duration::from_millis(200);
    let settings = Settings { reject_delay: delay, ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    let begun = SystemClock.now().instant;
    let wrong = device.login(1, "bob", "wrong", true, &[]);
    let reply = device.ask(server.auth, &wrong);
    assert_eq!(device.check(&wrong, &reply), Code::AccessReject);
    assert!(begun.elapsed() >= delay);
}

#[test]
fn sa_10_a_record_with_a_wrong_authenticator_is_not_recorded() {
    let (server, device) = (Server::plain(), Device::here());
    let mut zeros = device.record(1, "forged");
    zeros[4..20].fill(0);
    let mut changed = device.record(2, "forged");
    changed[25] ^= 2;
    let stranger = Device::here().with(b"guess").record(3, "forged");
    for forged in [&zeros, &changed, &stranger] {
        device.send(server.accounting, forged);
    }
    device.ask(server.accounting, &device.record(4, "other"));
    assert_eq!(server.responder.asked("forged"), 0);
}

#[test]
fn du_03_a_new_authenticator_is_a_new_request() {
    let (server, device) = (Server::plain(), Device::here());
    for (password, code) in
        [("hello", Code::AccessAccept), ("wrong", Code::AccessReject), ("hello", Code::AccessAccept)]
    {
        let request = device.login(200, "bob", password, true, &[]);
        let reply = device.ask(server.auth, &request);
        assert_eq!(device.check(&request, &reply), code);
    }
    assert_eq!(server.responder.asked("bob"), 3);
}

#[test]
fn du_06_a_wrong_signature_does_not_touch_the_stored_reply() {
    let (server, device) = (Server::plain(), Device::here());
    let good = device.login(9, "challenged", "hello", true, &[]);
    let first = device.ask(server.auth, &good);
    let mut bad = device.login(9, "challenged", "hello", true, &[]);
    bad[22] ^= 1;
    device.send(server.auth, &bad);
    device.hears_nothing_at(&server);
    assert_eq!(device.ask(server.auth, &good), first);
    assert_eq!(server.responder.asked("challenged"), 1);
}

#[test]
fn du_08_a_duplicate_record_is_applied_once_and_acknowledged_alike() {
    let (server, device) = (Server::plain(), Device::here());
    let request = device.record(3, "one");
    let first = device.ask(server.accounting, &request);
    assert_eq!(device.check(&request, &first), Code::AccountingResponse);
    assert_eq!(device.ask(server.accounting, &request), first);
    assert_eq!(server.responder.asked("one"), 1);
}

#[test]
fn a_record_is_acknowledged_when_it_is_committed_and_not_before() {
    let (server, device) = (Server::plain(), Device::here());
    let held = device.record(3, "held");
    device.send(server.accounting, &held);
    device.send(server.accounting, &held);
    let other = device.record(4, "other");
    device.ask(server.accounting, &other);
    assert_eq!(server.responder.asked("held"), 1, "the duplicate in flight was dropped");
    server.responder.commit();
    let (reply, from) = device.receive();
    assert_eq!((device.check(&held, &reply), from), (Code::AccountingResponse, server.accounting));
    assert_eq!(device.ask(server.accounting, &held), reply);
}

#[test]
fn a_batch_of_commits_is_answered_on_each_ones_own_socket() {
    let settings = Settings { sockets_per_port: 3, ..loopback() };
    let server = Server::start(settings, vec![nas("127.0.0.1/32", "one")]);
    let devices: Vec<_> = (0..20).map(|_| Device::here()).collect();
    for device in &devices {
        for identifier in 0..10 {
            device.send(server.accounting, &device.record(identifier, "held"));
        }
    }
    while server.responder.records.lock().len() < 200 {
        std::thread::yield_now();
    }
    server.responder.commit();
    for device in &devices {
        for identifier in 0..10 {
            let (reply, from) = device.receive();
            assert_eq!(from, server.accounting);
            assert_eq!(device.check(&device.record(identifier, "held"), &reply), Code::AccountingResponse);
        }
    }
}

#[test]
fn an_abandoned_record_is_served_anew() {
    let (server, device) = (Server::plain(), Device::here());
    let held = device.record(3, "held");
    device.send(server.accounting, &held);
    device.ask(server.accounting, &device.record(4, "other"));
    server.responder.deliver.abandoned(&mut server.responder.records.lock());
    device.send(server.accounting, &held);
    device.ask(server.accounting, &device.record(5, "other"));
    assert_eq!(server.responder.asked("held"), 2);
}

#[test]
fn silence_is_not_remembered() {
    let (server, device) = (Server::plain(), Device::here());
    let login = device.login(3, "stuck", "hello", true, &[]);
    let record = device.record(3, "stuck");
    for _ in 0..2 {
        device.send(server.auth, &login);
        device.hears_nothing_at(&server);
        device.send(server.accounting, &record);
        device.ask(server.accounting, &device.record(4, "other"));
    }
    assert_eq!(server.responder.asked("stuck"), 4);
}

#[test]
fn what_has_to_be_fetched_is_answered_later_and_holds_nobody_up() {
    let (server, device) = (Server::plain(), Device::here());
    let late = device.login(3, "late", "hello", true, &[]);
    device.send(server.auth, &late);
    device.send(server.auth, &late);
    device.hears_nothing_at(&server);
    server.responder.gate.add_permits(1);
    let (reply, from) = device.receive();
    assert_eq!((device.check(&late, &reply), from), (Code::AccessAccept, server.auth));
    assert_eq!(device.ask(server.auth, &late), reply, "and kept");
    assert_eq!(server.responder.asked("late"), 2, "asked again once");
    let record = device.record(5, "late");
    device.send(server.accounting, &record);
    server.responder.gate.add_permits(1);
    let (reply, _) = device.receive();
    assert_eq!(device.check(&record, &reply), Code::AccountingResponse);
}

#[test]
fn a_late_reject_is_a_reject() {
    let settings = Settings { reject_delay: Duration::from_millis(50), ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    let late = device.login(3, "late", "wrong", true, &[]);
    device.send(server.auth, &late);
    server.responder.gate.add_permits(1);
    let (reply, _) = device.receive();
    assert_eq!(device.check(&late, &reply), Code::AccessReject);
}

#[test]
fn work_that_fails_or_never_ends_leads_to_silence_and_a_new_try() {
    let (mut server, device) = (Server::plain(), Device::here());
    server.responder.gate.add_permits(1000);
    for name in ["gone", "for ever"] {
        device.send(server.auth, &device.login(3, name, "hello", true, &[]));
    }
    device.hears_nothing_at(&server);
    assert!(server.stop(), "nothing stays in flight");
    assert_eq!(server.responder.asked("gone"), 1);
    assert_eq!(server.responder.asked("for ever"), 5, "the rounds are bounded");
}

#[test]
fn what_waits_is_bounded() {
    let limits = duplicates::Settings { client_share: 1, ..duplicates::Settings::default() };
    let settings = Settings { logins_waiting_max: 2, duplicates: limits, ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    let requests: Vec<_> =
        (0..5).map(|identifier| device.login(identifier, "late", "hello", true, &[])).collect();
    for request in &requests {
        device.send(server.auth, request);
    }
    device.hears_nothing_at(&server);
    server.responder.gate.add_permits(5);
    let mut answered: Vec<_> = (0..2).map(|_| device.receive().0[1]).collect();
    answered.sort_unstable();
    assert_eq!(answered, [0, 1], "the third to fifth found no room");
    device.hears_nothing_at(&server);
    let again = device.ask(server.auth, &device.login(9, "late2", "hello", true, &[]));
    assert_eq!(again[0], Code::AccessAccept.number());
}

/// Two NASes with one secret.
fn neighbours() -> Vec<Nas> {
    vec![nas("127.0.0.1/32", "one"), nas("127.0.0.4/32", "noisy")]
}

#[test]
fn ds_09_what_waits_for_one_nas_leaves_room_for_the_others() {
    let settings = Settings { logins_waiting_max: 4, records_waiting_max: 4, ..loopback() };
    let (server, device, noisy) =
        (Server::start(settings, neighbours()), Device::here(), Device::at("127.0.0.4"));
    for identifier in 0..100 {
        noisy.send(server.auth, &noisy.login(identifier, "late", "hello", true, &[]));
        noisy.send(server.accounting, &noisy.record(identifier, "late"));
    }
    noisy.hears_nothing_at(&server);
    noisy.ask(server.accounting, &noisy.record(200, "quick"));
    let requests = [1, 2].map(|identifier| device.login(identifier, "late", "hello", true, &[]));
    let records = [1, 2].map(|identifier| device.record(identifier, "late"));
    for (request, record) in requests.iter().zip(&records) {
        device.send(server.auth, request);
        device.send(server.accounting, record);
    }
    device.hears_nothing_at(&server);
    device.ask(server.accounting, &device.record(200, "quick"));
    server.responder.gate.add_permits(8);
    let mut answered: Vec<_> = (0..4).map(|_| device.receive().0[1]).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 1, 2, 2], "what the noisy one sends takes half of the room");
    let noisily = (0..4).map(|_| noisy.receive().0[1]).filter(|identifier| *identifier < 2).count();
    assert_eq!(noisily, 4, "and the first of each are answered");
}

#[test]
fn ds_09_records_of_one_nas_that_wait_for_a_commit_are_bounded() {
    let settings = Settings { records_in_flight_per_nas: 3, ..loopback() };
    let (server, device, noisy) =
        (Server::start(settings, neighbours()), Device::here(), Device::at("127.0.0.4"));
    for identifier in 0..10 {
        noisy.send(server.accounting, &noisy.record(identifier, "held"));
    }
    device.ask(server.accounting, &device.record(1, "quick"));
    assert_eq!(server.responder.records.lock().len(), 3);
    server.responder.commit();
    let answered: Vec<_> = (0..3).map(|_| noisy.receive().0[1]).collect();
    assert_eq!(answered, [0, 1, 2]);
    noisy.ask(server.accounting, &noisy.record(9, "quick"));
}

#[test]
fn ds_09_and_ds_13_a_flood_of_forged_logins_mutes_neither_its_victim_nor_others() {
    let settings = Settings { logins_per_second_per_nas: 5, records_per_second_per_nas: 5, ..loopback() };
    let (server, device) = (Server::start(settings, neighbours()), Device::at("127.0.0.4"));
    // A forger has the address and not the secret: what it sends unsigned is read as a wrong password.
    let forger = Device::at("127.0.0.4").with(b"guessed");
    let began = SystemClock.now().instant;
    for number in 0..200 {
        forger.send(server.auth, &forger.login(number, "victim", "hello", false, &[]));
    }
    assert_eq!(device.ask(server.auth, &device.login(1, "bob", "hello", true, &[]))[0], 2);
    device.ask(server.accounting, &device.record(1, "quick"));
    let seconds = usize::try_from((SystemClock.now().instant - began).as_secs()).unwrap() + 1;
    let looked_at = server.responder.asked("victim");
    assert!((5..=5 + 5 * seconds).contains(&looked_at), "{looked_at} in {seconds} s");
    assert_eq!(Device::here().ask(server.auth, &Device::here().login(2, "bob", "hello", false, &[]))[0], 2);
}

#[test]
fn a_record_beyond_the_rate_is_neither_taken_nor_acknowledged() {
    let settings = Settings { records_per_second_per_nas: 2, ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    for identifier in 0..20 {
        device.send(server.accounting, &device.record(identifier, "quick"));
    }
    let record = device.record(100, "last");
    device.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut acknowledged = 0;
    // The same octets again, as a NAS sends them, until they are acknowledged.
    let last = (0..200).any(|_| {
        device.send(server.accounting, &record);
        let mut reply = [0; 64];
        std::iter::from_fn(|| device.socket.recv(&mut reply).ok().map(|_| reply[1])).any(|identifier| {
            acknowledged += 1;
            identifier == 100
        })
    });
    assert!(last, "there is room for it within a second");
    assert_eq!(server.responder.asked("last"), 1);
    assert_eq!(server.responder.asked("quick"), acknowledged - 1, "acknowledged is what was taken");
    assert!(acknowledged < 20, "{acknowledged} of 20 at two a second");
}

#[test]
fn sa_01_and_ss_05_an_unknown_source_hears_nothing_and_is_not_served() {
    let (server, stranger, device) = (Server::plain(), Device::at("127.0.0.66"), Device::here());
    stranger.send(server.auth, &stranger.login(1, "stranger", "hello", true, &[]));
    stranger.send(server.auth, &stranger.status(2));
    device.hears_nothing_at(&server);
    stranger.send(server.accounting, &stranger.record(3, "stranger"));
    device.ask(server.accounting, &device.record(4, "other"));
    stranger.socket.set_nonblocking(true).unwrap();
    assert!(stranger.socket.recv_from(&mut [0; 64]).is_err());
    assert_eq!(server.responder.asked("stranger"), 0);
}

#[test]
fn sa_02_the_secret_follows_from_the_source_address_alone() {
    let mut other = nas("127.0.0.4/32", "other");
    other.secret = secret(b"another");
    let server = Server::start(loopback(), vec![nas("127.0.0.1/32", "one"), other]);
    let device = Device::here();
    let more: [(u8, &[u8]); 2] = [(NAS_IP_ADDRESS, &[127, 0, 0, 4]), (NAS_IDENTIFIER, b"other")];
    device.ask(server.auth, &device.login(1, "bob", "hello", true, &more));
    let device = Device::at("127.0.0.4").with(b"another");
    device.ask(server.auth, &device.login(1, "bob", "hello", true, &[]));
}

#[test]
fn sa_16_the_longest_prefix_wins() {
    let mut one = nas("127.0.0.4/32", "one");
    one.secret = secret(b"longest");
    let server = Server::start(loopback(), vec![nas("127.0.0.0/8", "all"), one]);
    let device = Device::at("127.0.0.4").with(b"longest");
    let reply = device.ask(server.auth, &device.login(1, "bob", "hello", true, &[]));
    assert_eq!(Packet::decode(&reply).unwrap().first(REPLY_MESSAGE), Some(&b"one"[..]));
    let device = Device::at("127.0.0.5");
    let reply = device.ask(server.auth, &device.login(1, "bob", "hello", true, &[]));
    assert_eq!(Packet::decode(&reply).unwrap().first(REPLY_MESSAGE), Some(&b"all"[..]));
}

#[test]
fn a_changed_nas_table_is_in_force_for_the_next_datagram() {
    let (server, device) = (Server::plain(), Device::here());
    device.hears_nothing_at(&server);
    let mut changed = nas("127.0.0.1/32", "changed");
    changed.secret = secret(b"changed");
    server.responder.table.store(Arc::new(NasTable::new([changed])));
    device.send(server.auth, &device.login(1, "bob", "hello", true, &[]));
    let device = device.with(b"changed");
    device.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("bob"), 0);
}

#[test]
fn both_secrets_are_valid_while_they_are_rotated() {
    let mut rotating = nas("127.0.0.1/32", "one");
    rotating.secret_next = Some(secret(b"next"));
    let server = Server::start(loopback(), vec![rotating]);
    for octets in [SECRET, b"next", SECRET] {
        let device = Device::here().with(octets);
        device.ask(server.auth, &device.login(1, "bob", "hello", true, &[]));
        device.ask(server.accounting, &device.record(2, "other"));
        // Nothing in an unsigned login tells its secret; the source has just shown which it uses.
        let reply = device.ask(server.auth, &device.login(3, "bob", "hello", false, &[]));
        assert_eq!(reply[0], Code::AccessAccept.number());
    }
}

#[test]
fn br_01_and_br_07_a_strict_nas_logs_in_signed_and_accounts_without() {
    let mut strict = nas("127.0.0.1/32", "one");
    strict.require_message_authenticator = TriState::Yes;
    let (server, device) = (Server::start(loopback(), vec![strict]), Device::here());
    device.send(server.auth, &device.login(1, "bob", "hello", false, &[]));
    device.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("bob"), 0);
    device.ask(server.auth, &device.login(2, "bob", "hello", true, &[]));
    device.ask(server.accounting, &device.record(3, "other"));
}

#[test]
fn br_03_a_limited_nas_sends_proxy_state_only_signed() {
    let mut limited = nas("127.0.0.1/32", "one");
    limited.limit_proxy_state = TriState::Yes;
    let (server, device) = (Server::start(loopback(), vec![limited]), Device::here());
    let proxied: [(u8, &[u8]); 2] = [(PROXY_STATE, b"one"), (PROXY_STATE, b"two")];
    device.send(server.auth, &device.login(1, "bob", "hello", false, &proxied));
    device.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("bob"), 0);
    let reply = device.ask(server.auth, &device.login(2, "bob", "hello", true, &proxied));
    let packet = Packet::decode(&reply).unwrap();
    assert_eq!(packet.values(PROXY_STATE).collect::<Vec<_>>(), [b"one", b"two"]);
    device.ask(server.auth, &device.login(3, "bob", "hello", false, &[]));
}

#[test]
fn br_10_auto_holds_a_nas_to_its_signature_and_reports_who_is_ready() {
    let mut auto = nas("127.0.0.0/24", "tower");
    auto.require_message_authenticator = TriState::Auto;
    let server = Server::start(loopback(), vec![auto]);
    let (signs, does_not) = (Device::here(), Device::at("127.0.0.9"));
    signs.ask(server.auth, &signs.login(1, "bob", "hello", false, &[]));
    signs.ask(server.auth, &signs.login(2, "bob", "hello", true, &[]));
    signs.send(server.auth, &signs.login(3, "forged", "hello", false, &[]));
    signs.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("forged"), 0);
    does_not.ask(server.auth, &does_not.login(4, "bob", "hello", false, &[]));
    let report = server.sources.readiness();
    let signing: Vec<_> =
        report.iter().map(|line| (line.source.to_string(), line.signing.signed_since.is_some())).collect();
    assert_eq!(signing, [("127.0.0.1".to_owned(), true), ("127.0.0.9".to_owned(), false)]);
}

#[test]
fn a_configured_nas_identifier_must_match() {
    let mut named = nas("127.0.0.1/32", "one");
    named.identifier = Some("tower-1".into());
    let (server, device) = (Server::start(loopback(), vec![named]), Device::here());
    device.send(server.auth, &device.login(1, "bob", "hello", true, &[]));
    device.send(server.auth, &device.login(2, "bob", "hello", true, &[(NAS_IDENTIFIER, b"tower-2")]));
    let right = device.login(3, "right", "hello", true, &[(NAS_IDENTIFIER, b"tower-1")]);
    assert_eq!(device.ask(server.auth, &right)[1], 3);
    assert_eq!(server.responder.asked("bob"), 0);
}

#[test]
fn pc_05_other_codes_and_the_other_ports_requests_hear_nothing() {
    let (server, device) = (Server::plain(), Device::here());
    for code in [0, 2, 3, 4, 5, 6, 9, 11, 14, 40, 41, 43, 45, 99, 255] {
        let mut octets = packet(Code::Other(code), 7, [0; 16]);
        seal_request(&mut octets, &device.secret).unwrap();
        device.send(server.auth, &octets);
    }
    device.hears_nothing_at(&server);
    device.send(server.accounting, &device.login(1, "bob", "hello", true, &[]));
    device.ask(server.accounting, &device.record(2, "other"));
    assert_eq!(server.responder.asked("bob"), 0);
}

#[test]
fn sizes_are_held_and_4096_octets_are_a_packet() {
    let (server, device) = (Server::plain(), Device::here());
    let mut request = device.login(1, "bob", "hello", false, &[]);
    for length in 0..20 {
        device.send(server.auth, &request[..length]);
    }
    let padded = [request.clone(), vec![0; 4097 - request.len()]].concat();
    device.send(server.auth, &padded);
    device.send(server.auth, &[0; 8000]);
    device.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("bob"), 0);
    while request.len() < 4096 {
        let size = (4096 - request.len()).min(255);
        let size = if (4096 - request.len() - size) == 1 { size - 1 } else { size };
        attribute(&mut request, 26, &vec![1; size - 2]);
    }
    assert_eq!(device.ask(server.auth, &request)[0], Code::AccessAccept.number());
    assert_eq!(device.ask(server.auth, &request)[0], Code::AccessAccept.number());
}

#[test]
fn pc_19_a_reply_that_does_not_fit_is_not_sent() {
    let (server, device) = (Server::plain(), Device::here());
    device.send(server.auth, &device.login(1, "large", "hello", true, &[]));
    device.hears_nothing_at(&server);
    assert_eq!(server.responder.asked("large"), 1);
}

#[test]
fn ss_01_to_ss_08_status_server_is_answered_bare_each_time() {
    let (server, device) = (Server::plain(), Device::here());
    for (port, code) in [(server.auth, Code::AccessAccept), (server.accounting, Code::AccountingResponse)] {
        for _ in 0..3 {
            let mut request = device.status(17);
            let reply = device.ask(port, &request);
            assert_eq!(device.check(&request, &reply), code);
            let packet = Packet::decode(&reply).unwrap();
            let numbers: Vec<_> = packet.attributes().map(|attribute| attribute.number).collect();
            assert_eq!(numbers, [MESSAGE_AUTHENTICATOR]);
            request[25] ^= 1;
            device.send(port, &request);
        }
        device.send(port, &packet(Code::StatusServer, 18, [1; 16]));
    }
    let named = {
        let mut octets = packet(Code::StatusServer, 19, [3; 16]);
        attribute(&mut octets, USER_NAME, b"bob");
        seal_request(&mut octets, &device.secret).unwrap();
        octets
    };
    device.ask(server.auth, &named);
    assert_eq!(server.responder.asked("bob"), 0, "it is no login");
}

#[test]
fn du_09_status_server_is_answered_beside_a_login_in_flight() {
    let (server, device) = (Server::plain(), Device::here());
    let late = device.login(17, "late", "hello", true, &[]);
    device.send(server.auth, &late);
    device.ask(server.auth, &device.status(17));
    server.responder.gate.add_permits(1);
    let (reply, _) = device.receive();
    assert_eq!(device.check(&late, &reply), Code::AccessAccept);
}

#[test]
fn ss_12_status_server_has_a_rate() {
    let settings = Settings { status_per_second: 1, ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    device.ask(server.auth, &device.status(1));
    device.send(server.auth, &device.status(2));
    device.hears_nothing_at(&server);
}

#[test]
fn held_back_rejects_are_bounded_and_the_next_due_leaves_early() {
    let settings = Settings { reject_delay: Duration::from_secs(3600), rejects_max: 2, ..loopback() };
    let (mut server, device) = (Server::start(settings, vec![nas("127.0.0.1/32", "one")]), Device::here());
    let requests: Vec<_> =
        (0..5).map(|identifier| device.login(identifier, "bob", "wrong", true, &[])).collect();
    for request in &requests {
        device.send(server.auth, request);
    }
    let early: Vec<_> = (0..3).map(|_| device.receive().0).collect();
    for reply in &early {
        assert_eq!(device.check(&requests[usize::from(reply[1])], reply), Code::AccessReject);
    }
    device.hears_nothing_at(&server);
    assert!(server.stop(), "the others leave when the server stops");
    let rest: Vec<_> = (0..2).map(|_| device.receive().0[1]).collect();
    let mut all: Vec<_> = early.iter().map(|reply| reply[1]).chain(rest).collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4]);
}

#[test]
fn stopping_waits_for_what_is_in_flight() {
    let (mut server, device) = (Server::plain(), Device::here());
    let (late, held) = (device.login(1, "late", "hello", true, &[]), device.record(2, "held"));
    device.send(server.auth, &late);
    device.send(server.accounting, &held);
    device.hears_nothing_at(&server);
    device.ask(server.accounting, &device.record(3, "other"));
    let responder = Arc::clone(&server.responder);
    let stopped = server.runtime.block_on(async {
        let (stopped, ()) = tokio::join!(server.receivers.stop(Duration::from_secs(10)), async {
            responder.gate.add_permits(1);
            responder.commit();
        });
        stopped
    });
    assert!(stopped);
    let mut codes = [device.receive().0[0], device.receive().0[0]];
    codes.sort_unstable();
    assert_eq!(codes, [2, 5]);
}

#[test]
fn stopping_has_a_deadline() {
    let (mut server, device) = (Server::plain(), Device::here());
    device.send(server.auth, &device.login(1, "late", "hello", true, &[]));
    device.hears_nothing_at(&server);
    assert!(!server.runtime.block_on(server.receivers.stop(Duration::from_millis(1))));
}

#[test]
fn du_13_a_burst_over_two_ports_and_several_sockets_is_answered_in_full() {
    let settings = Settings { sockets_per_port: 4, ..loopback() };
    let server = Server::start(settings, vec![nas("127.0.0.1/32", "one")]);
    let devices: Vec<_> = (0..8).map(|_| Device::here()).collect();
    for identifier in 0..150 {
        for device in &devices {
            device.send(server.auth, &device.login(identifier, "bob", "hello", true, &[]));
        }
    }
    for device in &devices {
        let mut answered: Vec<_> = (0..150).map(|_| device.receive().0[1]).collect();
        answered.sort_unstable();
        assert_eq!(answered, (0..150).collect::<Vec<_>>());
    }
}

#[test]
fn pc_22_ipv6_behaves_as_ipv4_does() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let any_port = vec!["[::1]:0".parse().unwrap()];
    let settings = Settings { auth: any_port.clone(), accounting: any_port, ..loopback() };
    let (server, device) = (Server::start(settings, vec![nas("::1/128", "six")]), Device::at("::1"));
    let request = device.login(1, "challenged", "hello", true, &[]);
    let reply = device.ask(server.auth, &request);
    assert_eq!(device.ask(server.auth, &request), reply);
    device.ask(server.accounting, &device.record(2, "other"));
    device.ask(server.auth, &device.status(3));
}

/// Settings for a wildcard address, and the port it got, at `address`.
fn wildcard(wildcard: &str, entries: Vec<Nas>) -> Server {
    let any_port = vec![wildcard.parse().unwrap()];
    Server::start(Settings { auth: any_port.clone(), accounting: any_port, ..loopback() }, entries)
}

#[test]
fn pc_06_a_wildcard_socket_answers_from_the_address_that_was_asked() {
    let server = wildcard("0.0.0.0:0", vec![nas("127.0.0.0/8", "one")]);
    let device = Device::here();
    for address in ["127.0.0.1", "127.0.0.2", "127.7.7.7"] {
        let to = SocketAddr::new(address.parse().unwrap(), server.auth.port());
        let request = device.login(1, "challenged", "hello", true, &[]);
        let reply = device.ask(to, &request);
        assert_eq!(device.ask(to, &request), reply);
        let to = SocketAddr::new(address.parse().unwrap(), server.accounting.port());
        device.ask(to, &device.record(2, "other"));
    }
    assert_eq!(server.responder.asked("challenged"), 3);
    // Many at once, to two addresses in turn.
    let requests: Vec<_> =
        (0..100).map(|identifier| device.login(identifier, "bob", "hello", true, &[])).collect();
    let to = |identifier: u8| SocketAddr::from(([127, 0, 0, 1 + identifier / 3 % 2], server.auth.port()));
    for request in &requests {
        device.send(to(request[1]), request);
    }
    for _ in &requests {
        let (reply, from) = device.receive();
        assert_eq!(from, to(reply[1]));
        assert_eq!(device.check(&requests[usize::from(reply[1])], &reply), Code::AccessAccept);
    }
}

#[test]
fn sa_15_ipv4_reaches_a_dual_stack_socket_as_the_same_nas() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let server = wildcard("[::]:0", vec![nas("127.0.0.1/32", "four"), nas("::1/128", "six")]);
    for (here, there, name) in [("127.0.0.1", "127.0.0.2", "four"), ("::1", "::1", "six")] {
        let device = Device::at(here);
        let to = SocketAddr::new(there.parse().unwrap(), server.auth.port());
        let reply = device.ask(to, &device.login(1, "bob", "hello", true, &[]));
        assert_eq!(Packet::decode(&reply).unwrap().first(REPLY_MESSAGE), Some(name.as_bytes()));
        let to = SocketAddr::new(there.parse().unwrap(), server.accounting.port());
        device.ask(to, &device.record(2, "other"));
    }
}

#[test]
fn an_address_that_is_taken_is_named_even_if_its_owner_shares_ports() {
    let server = Server::plain();
    let settings = Settings { auth: vec![server.auth], ..loopback() };
    let error = Sockets::open(settings, Arc::new(SystemClock)).err().expect("it is taken");
    assert_eq!(error.address, server.auth);
    assert!(error.to_string().contains(&server.auth.to_string()), "{error}");
}

#[test]
fn ds_01_garbage_from_a_known_address_does_not_stop_logins() {
    // A bare header is a login of nobody, and would be rejected if it need not be signed.
    let mut strict = nas("127.0.0.1/32", "one");
    strict.require_message_authenticator = TriState::Yes;
    let server = Server::start(loopback(), vec![strict]);
    let (device, noisy) = (Device::here(), Device::here());
    let seed = 4096;
    let mut entropy = crate::entropy::SeededEntropy::new(seed);
    for round in 0..3000 {
        let mut octets = vec![0; usize::from(entropy.number().to_le_bytes()[0]) * 2];
        entropy.fill(&mut octets);
        if octets.len() > 4 {
            let length = u16::try_from(octets.len()).unwrap();
            octets[0] = [1, 4, 12, 2][usize::from(octets[0] % 4)];
            octets[2..4].copy_from_slice(&length.to_be_bytes());
        }
        noisy.send(server.auth, &octets);
        if round % 100 == 0 {
            device.hears_nothing_at(&server);
        }
    }
    device.hears_nothing_at(&server);
    noisy.socket.set_nonblocking(true).unwrap();
    assert!(noisy.socket.recv_from(&mut [0; 64]).is_err(), "seed {seed}");
}

#[test]
fn ds_02_garbage_from_an_unknown_address_does_not_stop_logins() {
    let (server, device, noisy) = (Server::plain(), Device::here(), Device::at("127.0.0.66"));
    let login = noisy.login(1, "stranger", "hello", true, &[]);
    for round in 0..3000 {
        noisy.send(server.auth, &login);
        if round % 100 == 0 {
            device.hears_nothing_at(&server);
        }
    }
    device.hears_nothing_at(&server);
    noisy.socket.set_nonblocking(true).unwrap();
    assert!(noisy.socket.recv_from(&mut [0; 64]).is_err());
    assert_eq!(server.responder.asked("stranger"), 0);
}
