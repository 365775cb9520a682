//! The NAS's side of the sockets: requests by name and value, the replies to them, and a NAS that
//! answers Disconnect- and CoA-Requests as it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use md5::{Digest as _, Md5};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollkeeper::coa::{Kind, Responder, Verdict};
use tollkeeper::entropy::{Entropy as _, SystemEntropy};
use tollkeeper::radius::value::{self, Encoded};
use tollkeeper::radius::{
    Code, Dictionary, Packet, Secret, attribute, authenticate_request, seal_request, verify_response,
};
use tollkeeper::time::Clock;

/// How long the answer to Status-Server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A NAS sends again what the kernel dropped.
const RETRANSMIT_EVERY: Duration = Duration::from_secs(2);
/// Requests on one port, where many are sent.
const PER_PORT: usize = 128;
/// As many requests have a port each, and are sent once.
const FEW: usize = 16;
/// Silence is the absence of a reply after the answer to a later request, and so much longer.
const SILENCE: Duration = Duration::from_millis(200);

/// One NAS.
pub(super) struct TestNas {
    pub(super) address: Ipv4Addr,
    pub(super) coa_port: u16,
    /// To CoA-Requests, and to Disconnect-Requests.
    verdicts: Arc<Mutex<[Verdict; 2]>>,
    asked: Arc<AtomicUsize>,
    told: Arc<Mutex<Vec<u8>>>,
    _task: JoinSet<()>,
}

impl TestNas {
    pub(super) async fn start(address: Ipv4Addr, secret: Secret, clock: Arc<dyn Clock>) -> Self {
        let socket = UdpSocket::bind((address, 0)).await.unwrap();
        let coa_port = socket.local_addr().unwrap().port();
        let verdicts = Arc::new(Mutex::new([Verdict::Ack; 2]));
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let (verdict, counted, last) = (Arc::clone(&verdicts), Arc::clone(&asked), Arc::clone(&told));
        task.spawn(async move {
            let (mut responder, mut buffer) = (Responder::default(), vec![0; 4096]);
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
                counted.fetch_add(1, Ordering::SeqCst);
                *last.lock() = buffer[..length].to_vec();
                let [change, disconnect] = *verdict.lock();
                let by_kind = |kind| match kind {
                    Kind::ChangeOfAuthorization => change,
                    Kind::Disconnect => disconnect,
                };
                let reply =
                    responder.answer(from, &buffer[..length], &secret, clock.now(), |kind, _| by_kind(kind));
                if let Some(reply) = reply {
                    socket.send_to(&reply, from).await.unwrap();
                }
            }
        });
        Self { address, coa_port, verdicts, asked, told, _task: task }
    }

    /// How many datagrams have come, retransmissions too.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// What it does from now on about requests of a kind, or of both.
    pub(super) fn answers(&self, kind: Option<Kind>, verdict: Verdict) {
        let [change, disconnect] = &mut *self.verdicts.lock();
        if kind != Some(Kind::Disconnect) {
            *change = verdict;
        }
        if kind != Some(Kind::ChangeOfAuthorization) {
            *disconnect = verdict;
        }
    }

    /// The last request that came to its port of dynamic authorization: `coa` or `disconnect`, and the
    /// names and values of its attributes.
    pub(super) fn told(&self, dictionary: &Dictionary) -> Option<(&'static str, Vec<(String, String)>)> {
        let told = self.told.lock();
        let packet = Packet::decode(&told).ok()?;
        let word = if packet.header().code == Code::CoaRequest { "coa" } else { "disconnect" };
        let values = value::values(packet.attributes(), dictionary);
        let print = |value: &value::Value<'_, '_>| (value.name(dictionary), value.print(dictionary));
        Some((word, values.iter().map(print).collect()))
    }
}

/// One request, or many copies of it, and what came back.
pub(super) struct Exchange {
    secret: Secret,
    /// Is it sent again until it is answered?
    persistent: bool,
    links: Vec<Link>,
}

struct Link {
    socket: UdpSocket,
    copies: Vec<Copy>,
}

struct Copy {
    request: Vec<u8>,
    reply: Option<Vec<u8>>,
    earlier: Option<Vec<u8>>,
}

/// A request to be sent.
pub(super) struct Letter {
    pub(super) code: Code,
    pub(super) signed: bool,
    /// `Name`, `value`.
    pub(super) attributes: Vec<(String, String)>,
}

impl Exchange {
    /// Sends every letter once.
    pub(super) async fn send(
        nas: Ipv4Addr,
        to: SocketAddr,
        secret: &Secret,
        dictionary: &Dictionary,
        letters: &[Letter],
    ) -> Result<Self, String> {
        let mut links = Vec::new();
        let per_port = if letters.len() <= FEW { 1 } else { PER_PORT };
        for letters in letters.chunks(per_port) {
            let socket = UdpSocket::bind((nas, 0)).await.unwrap();
            socket.connect(to).await.unwrap();
            let mut copies = Vec::new();
            for (identifier, letter) in (7..).zip(letters) {
                let request = encode(letter, identifier, secret, dictionary)?;
                socket.send(&request).await.unwrap();
                copies.push(Copy { request, reply: None, earlier: None });
            }
            links.push(Link { socket, copies });
        }
        Ok(Self { secret: secret.clone(), persistent: letters.len() > FEW, links })
    }

    /// Sends the same octets once more from the same ports.
    pub(super) async fn again(&mut self) {
        self.persistent = true;
        for link in &mut self.links {
            for copy in &mut link.copies {
                copy.earlier = copy.reply.take().or_else(|| copy.earlier.take());
                link.socket.send(&copy.request).await.unwrap();
            }
        }
    }

    /// Sends the same request from the same ports, but with a Message-Authenticator that is wrong and
    /// another authenticator: what somebody sends who does not know the secret.
    pub(super) async fn forge(&mut self) {
        for link in &mut self.links {
            for copy in &mut link.copies {
                copy.earlier = copy.reply.take().or_else(|| copy.earlier.take());
                let mut forged = copy.request.clone();
                forged[4] ^= 0xff;
                link.socket.send(&forged).await.unwrap();
            }
        }
    }

    /// Waits for every reply; those that have come, and how many have not.
    pub(super) async fn replies(&mut self, patience: Duration) -> Result<(Vec<Reply<'_>>, usize), String> {
        for link in &mut self.links {
            link.receive(&self.secret, patience, self.persistent).await?;
        }
        Ok(self.received())
    }

    /// What has come by now.
    pub(super) async fn replies_so_far(&mut self) -> Result<usize, String> {
        for link in &mut self.links {
            link.receive(&self.secret, Duration::ZERO, false).await?;
        }
        Ok(self.received().0.len())
    }

    /// Nothing comes: the server has answered a later request from the same port, and a moment has passed.
    pub(super) async fn is_silent(&mut self) -> Result<(), String> {
        for link in &mut self.links {
            let probe = probe(&self.secret);
            link.socket.send(&probe).await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = timeout(PATIENCE, link.socket.recv(&mut buffer))
                .await
                .map_err(|_| "the server does not answer Status-Server")?
                .unwrap();
            if verify_response(&probe, &buffer[..length], &self.secret).is_err() {
                return Err(format!("expected silence, got {:02x?}", &buffer[..length]));
            }
            if let Ok(length) = timeout(SILENCE, link.socket.recv(&mut buffer)).await {
                return Err(format!("expected silence, got {:02x?}", &buffer[..length.unwrap()]));
            }
        }
        Ok(())
    }

    fn received(&self) -> (Vec<Reply<'_>>, usize) {
        let copies: Vec<&Copy> = self.links.iter().flat_map(|link| &link.copies).collect();
        let replies: Vec<_> = copies
            .iter()
            .filter_map(|copy| {
                Some(Reply { octets: copy.reply.as_deref()?, earlier: copy.earlier.as_deref() })
            })
            .collect();
        let missing = copies.len() - replies.len();
        (replies, missing)
    }
}

impl Link {
    async fn receive(
        &mut self,
        secret: &Secret,
        patience: Duration,
        retransmits: bool,
    ) -> Result<(), String> {
        let mut buffer = vec![0; 4096];
        let mut left = patience;
        while self.copies.iter().any(|copy| copy.reply.is_none()) {
            let wait = if retransmits { left.min(RETRANSMIT_EVERY) } else { left };
            match timeout(wait, self.socket.recv(&mut buffer)).await {
                Ok(received) => self.take(&buffer[..received.unwrap()], secret)?,
                Err(_) => {
                    left -= wait;
                    if left.is_zero() {
                        return Ok(());
                    }
                    for copy in self.copies.iter().filter(|copy| copy.reply.is_none()) {
                        self.socket.send(&copy.request).await.unwrap();
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, octets: &[u8], secret: &Secret) -> Result<(), String> {
        let answers = |copy: &&mut Copy| verify_response(&copy.request, octets, secret).is_ok();
        let Some(copy) = self.copies.iter_mut().find(answers) else {
            return Err(format!("a reply that answers nothing: {octets:02x?}"));
        };
        copy.reply = Some(octets.to_vec());
        Ok(())
    }
}

/// A reply that is authentic.
pub(super) struct Reply<'a> {
    octets: &'a [u8],
    /// The one that came to the same octets before.
    earlier: Option<&'a [u8]>,
}

impl Reply<'_> {
    /// `accept`, `reject`, `challenge` or `response`; what every such reply must be is checked.
    pub(super) fn word(&self) -> Result<&'static str, String> {
        let packet = self.packet();
        let first = packet.attributes().next().map(|first| first.number);
        match packet.header().code {
            Code::AccountingResponse if packet.attributes().next().is_none() => Ok("response"),
            Code::AccountingResponse => Err("an Accounting-Response with attributes".to_owned()),
            _ if first != Some(attribute::MESSAGE_AUTHENTICATOR) => {
                Err("Message-Authenticator is not the first attribute".to_owned())
            }
            Code::AccessAccept => Ok("accept"),
            Code::AccessReject => Ok("reject"),
            Code::AccessChallenge => Ok("challenge"),
            other => Err(format!("a reply with code {}", other.name())),
        }
    }

    /// Is it octet for octet the reply that came before?
    pub(super) fn is_same(&self) -> bool {
        self.earlier == Some(self.octets)
    }

    /// The values of an attribute as text.
    pub(super) fn values(&self, name: &str, dictionary: &Dictionary) -> Vec<String> {
        value::values(self.packet().attributes(), dictionary)
            .iter()
            .filter(|value| value.name(dictionary).eq_ignore_ascii_case(name))
            .map(|value| value.print(dictionary))
            .collect()
    }

    fn packet(&self) -> Packet<'_> {
        Packet::decode(self.octets).expect("it is authentic")
    }
}

fn probe(secret: &Secret) -> Vec<u8> {
    let mut octets = vec![Code::StatusServer.number(), 255, 0, 0];
    octets.extend(authenticator());
    seal_request(&mut octets, secret).unwrap();
    octets
}

fn authenticator() -> [u8; 16] {
    let mut octets = [0; 16];
    SystemEntropy.fill(&mut octets);
    octets
}

/// The datagram of a letter. `CHAP` is a password that is proved by CHAP, with the Request Authenticator
/// as the challenge.
fn encode(
    letter: &Letter,
    identifier: u8,
    secret: &Secret,
    dictionary: &Dictionary,
) -> Result<Vec<u8>, String> {
    let authenticator = authenticator();
    let mut octets = vec![letter.code.number(), identifier, 0, 0];
    octets.extend(authenticator);
    for (name, text) in &letter.attributes {
        if name == "CHAP" {
            let mut digest = Md5::new_with_prefix([1]);
            digest.update(text);
            digest.update(authenticator);
            octets.extend([attribute::CHAP_PASSWORD, 19, 1]);
            octets.extend(digest.finalize());
            continue;
        }
        let (def, tag) =
            dictionary.attribute_with_tag(name).ok_or_else(|| format!("{name} is no attribute"))?;
        match value::encode(&def, tag, text, dictionary)
            .map_err(|error| format!("{name} = {text}: {error}"))?
        {
            Encoded::Wire(wire) => octets.extend_from_slice(&wire),
            Encoded::Hidden(hidden) => {
                hidden
                    .encode([0x80, 1], secret, &authenticator, &mut octets)
                    .map_err(|error| error.to_string())?;
            }
        }
    }
    if letter.signed {
        seal_request(&mut octets, secret).map_err(|error| error.to_string())?;
    } else {
        let length = u16::try_from(octets.len()).map_err(|error| error.to_string())?;
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        authenticate_request(&mut octets, secret);
    }
    Ok(octets)
}
