//! What a NAS sees of us, and what we make of its answers. Time is moved by hand.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use smol_str::SmolStr;

use super::request::Attribute;
use super::{Discard, ExchangeId, Exchanges, Full, Kind, Request, Responder, Settings, Transmit, Verdict};
use crate::domain::dynamic_auth::{NotSent, Outcome, error_cause_name};
use crate::domain::session::SessionDetails;
use crate::domain::{Nas, NasIdentity, Session, SessionKey, UniqueId};
use crate::entropy::{Entropy as _, SeededEntropy};
use crate::packs::Packs;
use crate::radius::{Packet, Secret, attribute};
use crate::time::{Clock as _, Now, SystemClock, UnixTime};

pub(crate) const SECRET: &[u8] = b"testing123";

pub(crate) fn nas() -> Nas {
    Nas::sample("core", "10.0.0.0/24")
}

pub(crate) fn session() -> Session {
    let nas = NasIdentity {
        source: "10.0.0.7".parse().unwrap(),
        address: Some("192.0.2.1".parse().unwrap()),
        identifier: "edge-1".into(),
    };
    let (key, id, at) = (SessionKey([1; 16]), UniqueId([2; 16]), UnixTime(1_700_000_000));
    Session {
        user_name: "bob".into(),
        framed_ip: Some("100.64.0.9".parse().unwrap()),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        nas_port_id: "17".into(),
        details: Box::new(SessionDetails { service_type: "Framed-User".into(), ..SessionDetails::default() }),
        ..Session::begun(key, id, nas, "81a00001".into(), at)
    }
}

fn target() -> SocketAddr {
    "10.0.0.7:3799".parse().unwrap()
}

fn start() -> Now {
    Now { instant: SystemClock.now().instant, unix: UnixTime(1_750_000_000) }
}

fn disconnect() -> Request {
    Request::disconnect(&session(), &nas(), Packs::embedded().other()).unwrap()
}

fn coa() -> Request {
    let timeout = Attribute::new(attribute::SESSION_TIMEOUT, &60_u32.to_be_bytes());
    Request::new(Kind::ChangeOfAuthorization, &session(), &nas(), Packs::embedded().other(), vec![timeout])
        .unwrap()
}

/// The exchanges with a clock and a seed: what a shell would hold.
struct Bench {
    exchanges: Exchanges,
    entropy: SeededEntropy,
    now: Now,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { exchanges: Exchanges::new(settings), entropy: SeededEntropy::new(1), now: start() }
    }

    fn begin(&mut self, request: Request) -> Result<ExchangeId, Full> {
        self.exchanges.begin(request, target(), self.now, &mut self.entropy)
    }

    /// Begins and gives the first transmission.
    fn send(&mut self, request: Request) -> (ExchangeId, Transmit) {
        let id = self.begin(request).unwrap();
        (id, self.exchanges.poll_transmit().unwrap())
    }

    fn reply(&mut self, to: &Transmit, reply: &[u8]) -> Result<(), Discard> {
        self.exchanges.handle_datagram(to.slot, to.destination, reply, self.now)
    }

    /// Moves to the next deadline and gives how long that took.
    fn next_deadline(&mut self) -> Option<Duration> {
        let deadline = self.exchanges.poll_timeout()?;
        let step = deadline - self.now.instant;
        self.now = self.now.plus(step);
        self.exchanges.handle_timeout(self.now);
        Some(step)
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.exchanges.handle_timeout(self.now);
    }

    fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.exchanges.poll_transmit()).collect()
    }

    fn outcomes(&mut self) -> Vec<(ExchangeId, Outcome)> {
        std::iter::from_fn(|| self.exchanges.poll_outcome()).collect()
    }
}

/// A reply made with nothing but the RFC at hand: Message-Authenticator over the reply with the Request
/// Authenticator in place (RFC 5176 §3.4), then the Response Authenticator (§2.3).
fn reply(to: &[u8], code: u8, error_cause: Option<u32>, secret: &[u8]) -> Vec<u8> {
    let mut octets = vec![code, to[1], 0, 0];
    octets.extend(&to[4..20]);
    octets.extend([80, 18]);
    octets.extend([0; 16]);
    if let Some(cause) = error_cause {
        octets.extend([101, 6]);
        octets.extend(cause.to_be_bytes());
    }
    seal(octets, secret)
}

fn seal(mut octets: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    let signature =
        Hmac::<Md5>::new_from_slice(secret).unwrap().chain_update(&octets).finalize().into_bytes();
    octets[22..38].copy_from_slice(&signature);
    let authenticator = Md5::new().chain_update(&octets).chain_update(secret).finalize();
    octets[4..20].copy_from_slice(&authenticator);
    octets
}

pub(super) fn attributes(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
    Packet::decode(packet).unwrap().attributes().map(|found| (found.number, found.value.to_vec())).collect()
}

pub(super) fn numbers(packet: &[u8]) -> Vec<u8> {
    attributes(packet).into_iter().map(|(number, _)| number).collect()
}

pub(super) fn value(packet: &[u8], number: u8) -> Option<Vec<u8>> {
    attributes(packet).into_iter().find(|(found, _)| *found == number).map(|(_, value)| value)
}

// What is sent.

#[test]
fn rfc5176_2_3_the_request_authenticator_is_that_of_accounting() {
    let (_, sent) = Bench::new(Settings::default()).send(disconnect());
    let mut zeroed = sent.payload.to_vec();
    zeroed[4..20].fill(0);
    let expected = Md5::new().chain_update(&zeroed).chain_update(SECRET).finalize();
    assert_eq!(sent.payload[0], 40);
    assert_eq!(sent.payload[4..20], expected[..]);
}

#[test]
fn rfc5176_3_4_message_authenticator_comes_first_over_a_zero_authenticator() {
    let (_, sent) = Bench::new(Settings::default()).send(coa());
    assert_eq!((sent.payload[0], &sent.payload[20..22]), (43, &[80_u8, 18][..]));
    let mut zeroed = sent.payload.to_vec();
    zeroed[4..20].fill(0);
    zeroed[22..38].fill(0);
    let expected = Hmac::<Md5>::new_from_slice(SECRET).unwrap().chain_update(&zeroed).finalize().into_bytes();
    assert_eq!(sent.payload[22..38], expected[..]);
}

#[test]
fn a_disconnect_request_identifies_the_session_and_says_nothing_else() {
    let (_, sent) = Bench::new(Settings::default()).send(disconnect());
    assert_eq!(
        attributes(&sent.payload)[1..],
        [
            (55, 1_750_000_000_u32.to_be_bytes().to_vec()),
            (4, vec![192, 0, 2, 1]),
            (32, b"edge-1".to_vec()),
            (1, b"bob".to_vec()),
            (44, b"81a00001".to_vec()),
        ]
    );
}

#[test]
fn each_nas_type_is_told_what_it_looks_at() {
    let packs = Packs::embedded();
    for (nas_type, expected) in [
        ("other", &[80_u8, 55, 4, 32, 1, 44][..]),
        ("mikrotik", &[80, 55, 4, 32, 1, 44, 8]),
        ("chillispot", &[80, 55, 1, 44]),
        ("cisco", &[80, 55, 4, 1, 44, 31]),
        ("hostapd", &[80, 55, 4, 32, 1, 44, 31]),
        ("alcatel.sr", &[80, 55, 4, 32, 44]),
        ("aruba", &[80, 55, 4, 32, 1, 44, 31, 5]),
        ("a type that nobody knows", &[80, 55, 4, 32, 1, 44]),
    ] {
        let pack = packs.get(packs.find(nas_type).unwrap_or_default());
        let request = Request::disconnect(&session(), &nas(), pack).unwrap();
        assert_eq!(numbers(&request.packet(0, UnixTime(0))), expected, "{nas_type}");
    }
}

#[test]
fn what_a_nas_never_told_is_not_told_to_it() {
    let mut session = session();
    session.nas =
        NasIdentity { source: "2001:db8::7".parse().unwrap(), address: None, identifier: "".into() };
    session.user_name = SmolStr::default();
    session.framed_ip = None;
    session.details.chargeable_user_identity = "cui-9".into();
    let packs = Packs::embedded();
    let mikrotik = packs.get(packs.find("mikrotik").unwrap());
    let packet = Request::disconnect(&session, &nas(), mikrotik).unwrap().packet(0, UnixTime(0));
    // It names itself in no way, so it is called by where it sends from.
    assert_eq!(numbers(&packet), [80, 55, 95, 44]);
    let packet =
        Request::disconnect(&session, &nas(), Packs::embedded().other()).unwrap().packet(0, UnixTime(0));
    assert_eq!(value(&packet, 89).unwrap(), b"cui-9");
    session.nas.identifier = "edge-2".into();
    let packet =
        Request::disconnect(&session, &nas(), Packs::embedded().other()).unwrap().packet(0, UnixTime(0));
    assert_eq!(numbers(&packet), [80, 55, 32, 89, 44]);
}

#[test]
fn a_nas_hears_the_user_name_that_it_wrote_itself() {
    let mut session = session();
    session.details.nas_user_name = "bob@realm".into();
    let packs = Packs::embedded();
    let mikrotik = packs.get(packs.find("mikrotik").unwrap());
    let packet = Request::disconnect(&session, &nas(), mikrotik).unwrap().packet(0, UnixTime(0));
    assert_eq!(value(&packet, attribute::USER_NAME).unwrap(), b"bob@realm");
}

#[test]
fn the_session_is_named_with_the_octets_of_its_accounting() {
    let mut session = session();
    session.user_name = crate::domain::text::text_from_octets(b"jos\xe9");
    session.acct_session_id = crate::domain::text::text_from_octets(b"\x00\xff\x01");
    let packet =
        Request::disconnect(&session, &nas(), Packs::embedded().other()).unwrap().packet(0, UnixTime(0));
    assert_eq!(value(&packet, attribute::USER_NAME).unwrap(), b"jos\xe9");
    assert_eq!(value(&packet, attribute::ACCT_SESSION_ID).unwrap(), b"\x00\xff\x01");
}

#[test]
fn the_secret_of_dynamic_authorization_wins_over_the_common_one() {
    let nas = Nas { coa_secret: Secret::new(b"another"), ..nas() };
    let request = Request::disconnect(&session(), &nas, Packs::embedded().other()).unwrap();
    let packet = request.packet(0, UnixTime(0));
    assert!(Packet::decode(&packet).unwrap().verify(&Secret::new(b"another").unwrap()).unwrap().signed());
}

// Retransmission.

#[test]
fn rfc5176_2_3_a_retransmission_is_the_same_octets_from_the_same_port() {
    let mut bench = Bench::new(Settings::default());
    let (id, first) = bench.send(disconnect());
    let mut seen = 1;
    while bench.next_deadline().is_some() {
        for again in bench.transmits() {
            seen += 1;
            assert_eq!(again, Transmit { transmission: seen, ..first.clone() });
        }
    }
    assert!((4..=5).contains(&seen), "{seen} transmissions");
    assert_eq!(bench.outcomes(), [(id, Outcome::TimedOut)]);
}

#[test]
fn rfc5080_2_2_1_waits_double_with_jitter_and_end() {
    let mut first_waits = HashSet::new();
    for seed in 0..200 {
        let mut bench = Bench::new(Settings::default());
        bench.entropy = SeededEntropy::new(seed);
        bench.send(disconnect());
        let begun = bench.now.instant;
        let mut sent_at = vec![Duration::ZERO];
        while bench.outcomes().is_empty() {
            bench.next_deadline().unwrap();
            for _ in bench.transmits() {
                sent_at.push(bench.now.instant - begun);
            }
        }
        let whole = bench.now.instant - begun;
        assert!(sent_at.len() <= 5 && whole <= Duration::from_secs(30), "seed {seed}: {sent_at:?} {whole:?}");
        let waits: Vec<_> = sent_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        first_waits.insert(waits[0]);
        assert!((1.8..=2.2).contains(&waits[0].as_secs_f64()), "seed {seed}: {waits:?}");
        for pair in waits.windows(2) {
            let (wait, before) = (pair[1].as_secs_f64(), pair[0].as_secs_f64());
            let doubled = (1.9..=2.1).contains(&(wait / before));
            let longest = 2.1 * before > 16.0 && (14.4..=17.6).contains(&wait);
            assert!(doubled || longest, "seed {seed}: {waits:?}");
        }
    }
    assert!(first_waits.len() > 100, "only {} different first waits", first_waits.len());
}

#[test]
fn no_wait_is_longer_than_the_longest() {
    let settings =
        Settings { transmissions_max: 12, duration_max: Duration::from_secs(300), ..Settings::default() };
    let mut bench = Bench::new(settings);
    bench.send(disconnect());
    let mut waits = Vec::new();
    while bench.outcomes().is_empty() {
        waits.push(bench.next_deadline().unwrap());
    }
    assert_eq!(waits.len(), 12);
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(17_600)), "{waits:?}");
    assert!(waits[4..].iter().all(|wait| *wait >= Duration::from_millis(14_400)), "{waits:?}");
}

#[test]
fn a_clock_that_jumps_does_not_make_a_storm() {
    let mut bench = Bench::new(Settings::default());
    let (id, _) = bench.send(disconnect());
    bench.advance(Duration::from_secs(3600));
    assert_eq!(bench.transmits(), []);
    assert_eq!(bench.outcomes(), [(id, Outcome::TimedOut)]);
}

#[test]
fn a_retransmission_that_was_not_fetched_is_not_sent_twice() {
    let mut bench = Bench::new(Settings::default());
    bench.begin(disconnect()).unwrap();
    bench.next_deadline().unwrap();
    bench.next_deadline().unwrap();
    assert_eq!(bench.transmits().len(), 1);
}

// Answers.

#[test]
fn an_ack_ends_the_exchange_once() {
    let mut bench = Bench::new(Settings::default());
    let (id, sent) = bench.send(disconnect());
    let ack = reply(&sent.payload, 41, None, SECRET);
    assert_eq!(bench.reply(&sent, &ack), Ok(()));
    assert_eq!(bench.outcomes(), [(id, Outcome::Ack)]);
    assert_eq!(bench.reply(&sent, &ack), Err(Discard::NoExchange));
    while bench.next_deadline().is_some() {}
    assert_eq!((bench.transmits(), bench.outcomes()), (vec![], vec![]));
}

#[test]
fn an_ack_is_good_without_message_authenticator() {
    let mut bench = Bench::new(Settings::default());
    let (id, sent) = bench.send(coa());
    let mut octets = vec![44, sent.payload[1], 0, 20];
    octets.extend(&sent.payload[4..20]);
    let authenticator = Md5::new().chain_update(&octets).chain_update(SECRET).finalize();
    octets[4..20].copy_from_slice(&authenticator);
    // Padding after the packet is not part of it (RFC 2865 §3).
    octets.extend([0; 7]);
    assert_eq!(bench.reply(&sent, &octets), Ok(()));
    assert_eq!(bench.outcomes(), [(id, Outcome::Ack)]);
}

#[test]
fn every_error_cause_reaches_the_caller() {
    for kind in [40, 43] {
        for cause in [201, 202].into_iter().chain(401..=407).chain(501..=509).chain([9999]) {
            let mut bench = Bench::new(Settings::default());
            let request = if kind == 40 { disconnect() } else { coa() };
            let (id, sent) = bench.send(request);
            let nak = reply(&sent.payload, kind + 2, Some(cause), SECRET);
            assert_eq!(bench.reply(&sent, &nak), Ok(()));
            let outcome = Outcome::Nak { error_cause: Some(cause) };
            assert_eq!(bench.outcomes(), [(id, outcome)]);
            assert_eq!(error_cause_name(cause) == "Unknown", cause == 9999);
            assert_eq!(outcome.is_success(), cause == 507);
        }
    }
    let mut bench = Bench::new(Settings::default());
    let (id, sent) = bench.send(disconnect());
    assert_eq!(bench.reply(&sent, &reply(&sent.payload, 42, None, SECRET)), Ok(()));
    assert_eq!(bench.outcomes(), [(id, Outcome::Nak { error_cause: None })]);
}

#[test]
fn a_forged_reply_does_not_end_the_wait() {
    let mut bench = Bench::new(Settings::default());
    let (id, sent) = bench.send(disconnect());
    let good = reply(&sent.payload, 41, None, SECRET);

    assert_eq!(bench.reply(&sent, &reply(&sent.payload, 41, None, b"guess")), Err(Discard::Unauthentic));
    let mut other_request = sent.payload.to_vec();
    other_request[4] ^= 1;
    assert_eq!(bench.reply(&sent, &reply(&other_request, 41, None, SECRET)), Err(Discard::Unauthentic));
    // The Message-Authenticator is wrong, the Response Authenticator over it is right.
    let mut bad_signature = good.clone();
    bad_signature[25] ^= 1;
    bad_signature[4..20].copy_from_slice(&sent.payload[4..20]);
    let authenticator = Md5::new().chain_update(&bad_signature).chain_update(SECRET).finalize();
    bad_signature[4..20].copy_from_slice(&authenticator);
    assert_eq!(bench.reply(&sent, &bad_signature), Err(Discard::Unauthentic));
    // Not a packet, or cut off.
    for length in 0..good.len() {
        assert_eq!(bench.reply(&sent, &good[..length]), Err(Discard::Malformed), "{length} octets");
    }
    for octet in 0..good.len() {
        let mut changed = good.clone();
        changed[octet] ^= 0x40;
        assert!(bench.reply(&sent, &changed).is_err(), "octet {octet}");
    }
    // Right, but from somebody else, or to another of our ports.
    for from in ["10.0.0.8:3799", "10.0.0.7:3798", "[::ffff:10.0.0.7]:3799"] {
        let taken = bench.exchanges.handle_datagram(sent.slot, from.parse().unwrap(), &good, bench.now);
        assert_eq!(taken, Err(Discard::NoExchange), "{from}");
    }
    let taken = bench.exchanges.handle_datagram(sent.slot + 1, sent.destination, &good, bench.now);
    assert_eq!(taken, Err(Discard::NoExchange));

    assert_eq!(bench.outcomes(), []);
    bench.next_deadline().unwrap();
    assert_eq!(bench.transmits().len(), 1, "the retransmission goes on");
    assert_eq!(bench.reply(&sent, &good), Ok(()));
    assert_eq!(bench.outcomes(), [(id, Outcome::Ack)]);
}

#[test]
fn only_the_codes_that_answer_the_request_count() {
    for (disconnects, right) in [(true, [41, 42]), (false, [44, 45])] {
        for code in 0..=255 {
            let mut bench = Bench::new(Settings::default());
            let request = if disconnects { disconnect() } else { coa() };
            let (_, sent) = bench.send(request);
            let taken = bench.reply(&sent, &reply(&sent.payload, code, None, SECRET));
            assert_eq!(
                taken,
                if right.contains(&code) { Ok(()) } else { Err(Discard::WrongCode) },
                "code {code}"
            );
        }
    }
}

// Identifiers and bounds.

#[test]
fn another_request_has_another_identifier() {
    let mut bench = Bench::new(Settings::default());
    let (_, first) = bench.send(disconnect());
    bench.reply(&first, &reply(&first.payload, 41, None, SECRET)).unwrap();
    let (_, second) = bench.send(disconnect());
    assert_ne!((first.slot, first.payload[1]), (second.slot, second.payload[1]));
    assert_ne!(first.payload[4..20], second.payload[4..20]);
}

/// A thousand orders for a NAS that answers each only after a while: every one is sent, none shares its
/// port and Identifier with another that is under way, or follows directly on it.
#[test]
fn a_thousand_requests_to_a_slow_nas_share_no_identifier() {
    let settings = Settings { outstanding_per_nas: 1024, pace: Duration::ZERO, ..Settings::default() };
    let rest = settings.identifier_rest;
    let mut bench = Bench::new(settings);
    let mut waiting: BTreeSet<ExchangeId> = (0..1500).map(|_| bench.begin(disconnect()).unwrap()).collect();
    let mut under_way = BTreeMap::new();
    let mut freed: BTreeMap<(u8, u8), Instant> = BTreeMap::new();
    let mut most = 0;
    while !waiting.is_empty() {
        for sent in bench.transmits() {
            let wire = (sent.slot, sent.payload[1]);
            if sent.transmission == 1 {
                assert!(under_way.insert(wire, sent).is_none(), "{wire:?} is under way twice");
                assert!(
                    freed.get(&wire).is_none_or(|at| bench.now.instant - *at >= rest),
                    "{wire:?} did not rest"
                );
            }
        }
        most = most.max(under_way.len());
        assert_eq!(bench.exchanges.outstanding(), under_way.len());
        assert_eq!(bench.exchanges.queued(), waiting.len() - under_way.len());
        // It answers the oldest hundred, then time passes.
        for wire in under_way.keys().take(100).copied().collect::<Vec<_>>() {
            let sent = under_way.remove(&wire).unwrap();
            bench.reply(&sent, &reply(&sent.payload, 41, None, SECRET)).unwrap();
            freed.insert(wire, bench.now.instant);
        }
        for (id, outcome) in bench.outcomes() {
            assert_eq!(outcome, Outcome::Ack);
            assert!(waiting.remove(&id));
        }
        bench.advance(Duration::from_millis(900));
    }
    assert_eq!(most, 1024);
}

#[test]
fn with_one_port_the_queue_waits_for_identifiers() {
    let settings =
        Settings { slots: 1, outstanding_per_nas: 1000, pace: Duration::ZERO, ..Settings::default() };
    let rest = settings.identifier_rest;
    let mut bench = Bench::new(settings);
    for _ in 0..300 {
        bench.begin(disconnect()).unwrap();
    }
    let sent = bench.transmits();
    let identifiers: HashSet<u8> = sent.iter().map(|transmit| transmit.payload[1]).collect();
    assert_eq!((sent.len(), identifiers.len(), bench.exchanges.queued()), (256, 256, 44));
    bench.reply(&sent[0], &reply(&sent[0].payload, 41, None, SECRET)).unwrap();
    assert_eq!(bench.transmits(), [], "the one free Identifier rests");
    bench.advance(rest);
    let next: Vec<_> = bench.transmits().into_iter().filter(|transmit| transmit.transmission == 1).collect();
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].payload[1], sent[0].payload[1]);
}

#[test]
fn requests_to_one_nas_leave_at_a_pace() {
    let settings = Settings { pace: Duration::from_millis(10), burst: 8, ..Settings::default() };
    let mut bench = Bench::new(settings);
    for _ in 0..20 {
        bench.begin(disconnect()).unwrap();
    }
    assert_eq!(bench.transmits().len(), 8);
    let begun = bench.now.instant;
    for _ in 0..12 {
        bench.next_deadline().unwrap();
        assert_eq!(bench.transmits().len(), 1);
    }
    assert_eq!(bench.now.instant - begun, Duration::from_millis(120));
    // Another NAS is not held up.
    let other = "10.0.0.9:3799".parse().unwrap();
    bench.exchanges.begin(disconnect(), other, bench.now, &mut bench.entropy).unwrap();
    assert_eq!(bench.transmits()[0].destination, other);
}

#[test]
fn a_nas_has_a_window_and_the_rest_waits_its_turn() {
    let settings = Settings { outstanding_per_nas: 2, ..Settings::default() };
    let mut bench = Bench::new(settings);
    let ids: Vec<_> = (0..3).map(|_| bench.begin(disconnect()).unwrap()).collect();
    let sent = bench.transmits();
    assert_eq!(sent.iter().map(|transmit| transmit.exchange).collect::<Vec<_>>(), ids[..2]);
    bench.now = bench.now.plus(Duration::from_secs(1));
    bench.reply(&sent[1], &reply(&sent[1].payload, 41, None, SECRET)).unwrap();
    let next = bench.transmits();
    assert_eq!(next[0].exchange, ids[2]);
    // Event-Timestamp is that of the transmission, not of the order.
    assert_eq!(value(&next[0].payload, 55).unwrap(), 1_750_000_001_u32.to_be_bytes());
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let settings =
        Settings { outstanding_per_nas: 1, queued_per_nas: 2, exchanges_max: 4, ..Settings::default() };
    let mut bench = Bench::new(settings);
    for _ in 0..3 {
        bench.begin(disconnect()).unwrap();
    }
    assert_eq!(bench.begin(disconnect()), Err(Full), "the queue of this NAS is full");
    let others: Vec<SocketAddr> =
        (1..=2).map(|n| SocketAddr::new(Ipv4Addr::new(10, 1, 0, n).into(), 3799)).collect();
    bench.exchanges.begin(disconnect(), others[0], bench.now, &mut bench.entropy).unwrap();
    let refused = bench.exchanges.begin(disconnect(), others[1], bench.now, &mut bench.entropy);
    assert_eq!(refused, Err(Full), "there is no room for any");
    assert_eq!((bench.exchanges.outstanding(), bench.exchanges.queued()), (2, 2));
}

#[test]
fn an_order_that_waits_too_long_is_given_up() {
    let settings =
        Settings { outstanding_per_nas: 1, queue_limit: Duration::from_secs(10), ..Settings::default() };
    let mut bench = Bench::new(settings);
    let first = bench.begin(disconnect()).unwrap();
    let second = bench.begin(disconnect()).unwrap();
    while bench.next_deadline().is_some() {}
    assert_eq!(bench.outcomes(), [(second, Outcome::NotSent(NotSent::Full)), (first, Outcome::TimedOut)]);
}

/// Random orders, answers, losses and times. After each step: the next deadline lies ahead; each exchange has
/// at most one outcome; no wire is under way twice. In the end: all have one, and nothing is remembered.
#[test]
fn nothing_is_lost_and_nothing_is_left_behind() {
    for seed in 0..60 {
        let settings = Settings {
            slots: 1 + u8::try_from(seed % 3).unwrap(),
            outstanding_per_nas: [3, 40, 700][usize::try_from(seed % 3).unwrap()],
            queued_per_nas: 50,
            pace: Duration::from_millis(seed % 7),
            burst: 5,
            queue_limit: Duration::from_secs(8),
            ..Settings::default()
        };
        let mut bench = Bench::new(settings);
        let mut dice = SeededEntropy::new(seed);
        let mut open = BTreeSet::new();
        let mut network: Vec<Transmit> = Vec::new();
        for step in 0..2000 {
            match dice.number() % 10 {
                0..4 if step < 1500 => {
                    let address =
                        IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(dice.number() % 3).unwrap()));
                    let target = SocketAddr::new(address, 3799);
                    if let Ok(id) = bench.exchanges.begin(disconnect(), target, bench.now, &mut bench.entropy)
                    {
                        assert!(open.insert(id), "seed {seed}: an id is used twice");
                    }
                }
                0..7 if !network.is_empty() => {
                    let which = usize::try_from(dice.number()).unwrap() % network.len();
                    let sent = network.swap_remove(which);
                    let code = u8::try_from(41 + dice.number() % 2).unwrap();
                    // Late and repeated answers are discarded by the exchange, which we need not know.
                    let _ = bench.reply(&sent, &reply(&sent.payload, code, None, SECRET));
                }
                7..9 => bench.advance(Duration::from_millis(dice.number() % 300)),
                _ => {
                    bench.next_deadline();
                }
            }
            for sent in bench.transmits() {
                if !dice.number().is_multiple_of(3) {
                    network.push(sent);
                }
            }
            for (id, _) in bench.outcomes() {
                assert!(open.remove(&id), "seed {seed}: a second outcome");
            }
            assert_eq!(open.len(), bench.exchanges.outstanding() + bench.exchanges.queued(), "seed {seed}");
            assert!(
                bench.exchanges.poll_timeout().is_none_or(|next| next > bench.now.instant),
                "seed {seed}"
            );
        }
        while bench.next_deadline().is_some() {
            bench.transmits();
        }
        for (id, _) in bench.outcomes() {
            assert!(open.remove(&id), "seed {seed}: a second outcome");
        }
        assert!(open.is_empty(), "seed {seed}: {} exchanges without outcome", open.len());
        assert!(bench.exchanges.is_idle(), "seed {seed}: {:?}", bench.exchanges);
    }
}

// The other end.

#[test]
fn a_simulated_nas_answers_us() {
    let secret = Secret::new(SECRET).unwrap();
    for (verdict, outcome) in
        [(Verdict::Ack, Outcome::Ack), (Verdict::Nak(503), Outcome::Nak { error_cause: Some(503) })]
    {
        for request in [disconnect(), coa()] {
            let mut bench = Bench::new(Settings::default());
            let (id, sent) = bench.send(request.clone());
            let reply = Responder::default()
                .answer(target(), &sent.payload, &secret, bench.now, |kind, verified| {
                    assert_eq!(kind, request.kind);
                    assert_eq!(verified.first(attribute::USER_NAME), Some(&b"bob"[..]));
                    verdict
                })
                .unwrap();
            assert_eq!(bench.reply(&sent, &reply), Ok(()));
            assert_eq!(bench.outcomes(), [(id, outcome)]);
        }
    }
}

#[test]
fn a_simulated_nas_gives_a_retransmission_the_same_answer() {
    let secret = Secret::new(SECRET).unwrap();
    let mut bench = Bench::new(Settings::default());
    let (_, sent) = bench.send(disconnect());
    let mut nas = Responder::default();
    let first = nas.answer(target(), &sent.payload, &secret, bench.now, |_, _| Verdict::Ack).unwrap();
    let later = bench.now.plus(Duration::from_secs(20));
    let again = nas.answer(target(), &sent.payload, &secret, later, |_, _| Verdict::Nak(503)).unwrap();
    assert_eq!(first, again);
    // From another port it is another request.
    let other =
        nas.answer("10.0.0.7:1".parse().unwrap(), &sent.payload, &secret, later, |_, _| Verdict::Nak(503));
    assert_ne!(other.unwrap(), first);
}

#[test]
fn rfc5176_6_a_simulated_nas_is_silent_to_what_it_must_not_believe() {
    let secret = Secret::new(SECRET).unwrap();
    let now = start();
    let mut nas = Responder::default();
    let mut answer = |packet: &[u8], at: Now| nas.answer(target(), packet, &secret, at, |_, _| Verdict::Ack);
    let fresh = disconnect().packet(1, now.unix);
    assert!(answer(&fresh, now).is_some());
    for seconds in [-301, 301] {
        let stale = disconnect().packet(2, UnixTime(now.unix.0 + seconds));
        assert_eq!(answer(&stale, now), None, "{seconds} s");
    }
    assert!(answer(&disconnect().packet(3, UnixTime(now.unix.0 - 300)), now).is_some());
    let mut forged = fresh.to_vec();
    forged[21] ^= 1;
    assert_eq!(answer(&forged, now), None);
    let other = Nas { secret: Secret::new(b"other").unwrap(), ..self::nas() };
    let unknown =
        Request::disconnect(&session(), &other, Packs::embedded().other()).unwrap().packet(4, now.unix);
    assert_eq!(answer(&unknown, now), None);
    assert_eq!(answer(&reply(&fresh, 41, None, SECRET), now), None);
    assert_eq!(answer(b"", now), None);
    assert_eq!(
        nas.answer(target(), &fresh[..], &secret, now.plus(Duration::from_secs(301)), |_, _| Verdict::Ack),
        None
    );
}
