//! Who may ask, what, and how well signed: everything that ends in silence before a request is
//! looked at for what it wants.
//!
//! The checks come cheapest first. What a NAS has been seen to do is remembered per source address
//! in [`Sources`], because the default policy against CVE-2024-3596, `auto`, depends on it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use ipnet::IpNet;
use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::domain::{Nas, NasTable, Readiness, Signing, TriState};
use crate::radius::Unauthentic;
use crate::service::NoReply;
use crate::telemetry::names;
use crate::time::{Now, UnixTime};

/// Which kind of port received a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// 1812: Access-Request and Status-Server.
    Auth,
    /// 1813: Accounting-Request and Status-Server.
    Accounting,
}

impl Port {
    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Accounting => "accounting",
        }
    }

    /// What a packet with this Code asks of this port; `None` is no question here. Replies and
    /// unknown codes never are (RFC 2865 §3).
    pub(super) const fn asked(self, code: u8) -> Option<Asked> {
        match (self, code) {
            (Self::Auth, ACCESS_REQUEST) => Some(Asked::Access),
            (Self::Accounting, ACCOUNTING_REQUEST) => Some(Asked::Accounting),
            (_, STATUS_SERVER) => Some(Asked::Status),
            _ => None,
        }
    }
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Access,
    Accounting,
    Status,
}

impl Asked {
    /// Each with its code and its kind as labels of metrics.
    pub(super) const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Access, "access_request", "access"),
        (Self::Accounting, "accounting_request", "accounting"),
        (Self::Status, "status_server", "status"),
    ];
}

/// Access-Request (RFC 2865 §4.1).
pub(super) const ACCESS_REQUEST: u8 = 1;
/// Accounting-Request (RFC 2866 §4.1).
pub(super) const ACCOUNTING_REQUEST: u8 = 4;
/// Status-Server (RFC 5997 §3).
const STATUS_SERVER: u8 = 12;

/// Why a datagram gets no answer. Each reason has its own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Not 20 to 4096 octets, or shorter than its Length (RFC 2865 §3).
    Size,
    /// No NAS entry has the source address.
    UnknownNas,
    /// This port does not take this Code.
    Code,
    /// The attributes do not fill the packet exactly, or an essential one is malformed.
    Malformed,
    /// A wrong Request Authenticator: the secrets differ.
    Authenticator,
    /// A wrong Message-Authenticator, or none where the RFC demands it.
    MessageAuthenticator,
    /// No Message-Authenticator, and the NAS is required to sign (CVE-2024-3596).
    Unsigned,
    /// Proxy-State without Message-Authenticator (CVE-2024-3596).
    ProxyState,
    /// Neither credentials nor Message-Authenticator: anybody could have sent it (RFC 3579 §3.3).
    Credentials,
    /// NAS-Identifier is not the configured one.
    Identifier,
    /// A retransmission of a request that is being worked on (RFC 5080 §2.2.2).
    InFlight,
    /// More Status-Servers than one source may send.
    StatusRate,
    /// More logins or records than one source may send.
    Rate,
    /// A bounded queue is full.
    Overloaded,
    /// SQL cannot give or take what is needed.
    StoreUnavailable,
    /// An accounting record that says nothing.
    NothingToRecord,
    /// The reply would not fit into 4096 octets.
    Oversize,
}

impl Discard {
    /// Every reason with its label in the metrics.
    pub const ALL: [(Self, &'static str); 17] = [
        (Self::Size, "size"),
        (Self::UnknownNas, "unknown_nas"),
        (Self::Code, "code"),
        (Self::Malformed, "malformed"),
        (Self::Authenticator, "authenticator"),
        (Self::MessageAuthenticator, "message_authenticator"),
        (Self::Unsigned, "unsigned"),
        (Self::ProxyState, "proxy_state"),
        (Self::Credentials, "no_credentials"),
        (Self::Identifier, "identifier"),
        (Self::InFlight, "in_flight"),
        (Self::StatusRate, "status_rate"),
        (Self::Rate, "rate"),
        (Self::Overloaded, "overloaded"),
        (Self::StoreUnavailable, "store_unavailable"),
        (Self::NothingToRecord, "nothing_to_record"),
        (Self::Oversize, "oversize"),
    ];

    /// The label in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("", |(_, label)| label)
    }
}

impl From<NoReply> for Discard {
    fn from(reason: NoReply) -> Self {
        match reason {
            NoReply::StoreUnavailable => Self::StoreUnavailable,
            NoReply::Overloaded => Self::Overloaded,
            NoReply::NothingToRecord => Self::NothingToRecord,
        }
    }
}

impl From<Unauthentic> for Discard {
    fn from(error: Unauthentic) -> Self {
        match error {
            Unauthentic::RequestAuthenticator | Unauthentic::ResponseAuthenticator => Self::Authenticator,
            Unauthentic::NotARequest(_) | Unauthentic::Unrelated { .. } => Self::Code,
            Unauthentic::Malformed(_) => Self::Malformed,
            Unauthentic::MessageAuthenticator
            | Unauthentic::MessageAuthenticatorLength { .. }
            | Unauthentic::MessageAuthenticatorRepeated
            | Unauthentic::MessageAuthenticatorMissing
            | Unauthentic::EapUnsigned => Self::MessageAuthenticator,
        }
    }
}

/// The 20 octets that every packet begins with, read before anything is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) code: u8,
    pub(super) identifier: u8,
    pub(super) authenticator: [u8; 16],
}

impl Head {
    /// Reads them, if datagram and Length have a possible size (RFC 2865 §3).
    pub(super) fn read(datagram: &[u8]) -> Result<Self, Discard> {
        let (&[code, identifier, high, low], rest) = datagram.split_first_chunk().ok_or(Discard::Size)?;
        let authenticator = *rest.first_chunk().ok_or(Discard::Size)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if datagram.len() > LENGTH_MAX || length < LENGTH_MIN || length > datagram.len() {
            return Err(Discard::Size);
        }
        Ok(Self { code, identifier, authenticator })
    }
}

/// Smallest packet (RFC 2865 §3).
const LENGTH_MIN: usize = 20;
/// Largest packet (RFC 2865 §3).
pub(super) const LENGTH_MAX: usize = 4096;

/// Takes note of an Access-Request that is otherwise valid, and decides whether it is admitted.
/// `signed`: it has a valid Message-Authenticator; `proxied`: it has Proxy-State.
///
/// The two rules are those of "Deprecating Insecure Practices in RADIUS" for CVE-2024-3596, and
/// hold for Access-Requests alone. `auto` requires Message-Authenticator from the moment the
/// source has been seen to sign. It limits Proxy-State from then on too, and before that unless
/// the first request carried some: whoever injects Proxy-State forges for a NAS that has none.
///
/// # Errors
/// [`Discard::Unsigned`] or [`Discard::ProxyState`].
fn judge(seen: &mut Signing, nas: &Nas, signed: bool, proxied: bool, at: UnixTime) -> Result<(), Discard> {
    if signed {
        seen.signed_since.get_or_insert(at);
        seen.signed_last = Some(at);
        return Ok(());
    }
    seen.unsigned_since.get_or_insert(at);
    seen.unsigned_last = Some(at);
    if seen.must_sign(nas.require_message_authenticator) {
        return Err(Discard::Unsigned);
    }
    let proxies = *seen.proxies.get_or_insert(proxied);
    let limited = match nas.limit_proxy_state {
        TriState::No => false,
        TriState::Auto => seen.signed_since.is_some() || !proxies,
        TriState::Yes => true,
    };
    if proxied && limited { Err(Discard::ProxyState) } else { Ok(()) }
}

/// One source address of one NAS entry.
#[derive(Debug, Default)]
pub(super) struct Source {
    signing: Mutex<Signing>,
    /// Was it the entry's `secret_next` that last verified something from here?
    next_secret: AtomicBool,
    /// What of it is in SQL.
    noted: Mutex<Option<Signing>>,
    /// Is it in [`Sources`], where every socket sees it?
    shared: bool,
}

impl Source {
    /// Which secret an unsigned Access-Request is read with while secrets are rotated: nothing in it
    /// tells, so it is the one that the source last proved to use.
    pub(super) fn next_secret(&self) -> bool {
        self.next_secret.load(Ordering::Relaxed)
    }
}

/// What is remembered of the source addresses of all NASes. [`Sources::meet`] keeps it beyond the process.
#[derive(Debug, Default)]
pub struct Sources {
    by_address: DashMap<(IpNet, IpAddr), Arc<Source>>,
    unsigned: AtomicUsize,
}

/// Most sources that are remembered although they have never signed. Anybody who can forge a source
/// address can make such a one; what has signed has the secret and is always remembered.
const UNSIGNED_SOURCES_MAX: usize = 16_384;

impl Sources {
    /// Judges a valid Access-Request from `source`, which belongs to the entry `nas`; see
    /// [`judge`].
    ///
    /// # Errors
    /// Why it is discarded.
    pub(super) fn admit(
        &self,
        nas: &Nas,
        source: IpAddr,
        held: &mut Arc<Source>,
        signed: bool,
        proxied: bool,
        now: Now,
    ) -> Result<(), Discard> {
        if !held.shared {
            *held = self.source(nas, source, signed);
        }
        let mut signing = held.signing.lock();
        let first = signed && signing.signed_since.is_none();
        if first && signing.unsigned_since.is_some() {
            self.unsigned.fetch_sub(1, Ordering::Relaxed);
        }
        let verdict = judge(&mut signing, nas, signed, proxied, now.unix);
        drop(signing);
        if first {
            tracing::info!(nas = %nas.name, %source, "signs its Access-Requests with Message-Authenticator");
        }
        verdict
    }

    /// Takes note of which secret verified a packet from `source`.
    pub(super) fn verified(&self, nas: &Nas, source: IpAddr, held: &mut Arc<Source>, next_secret: bool) {
        if held.next_secret() != next_secret || (next_secret && !held.shared) {
            if !held.shared {
                *held = self.source(nas, source, true);
            }
            held.next_secret.store(next_secret, Ordering::Relaxed);
        }
    }

    fn source(&self, nas: &Nas, source: IpAddr, signed: bool) -> Arc<Source> {
        self.held((nas.network, source), signed)
    }

    fn held(&self, key: (IpNet, IpAddr), signed: bool) -> Arc<Source> {
        if let Some(known) = self.by_address.get(&key) {
            return Arc::clone(&known);
        }
        if !signed && self.unsigned.fetch_add(1, Ordering::Relaxed) >= UNSIGNED_SOURCES_MAX {
            self.unsigned.fetch_sub(1, Ordering::Relaxed);
            return Arc::default();
        }
        let shared = || Arc::new(Source { shared: true, ..Source::default() });
        Arc::clone(&self.by_address.entry(key).or_insert_with(shared))
    }

    /// Takes in what SQL knows of the sources, from another server or from before a restart, and gives what SQL is
    /// to know, and whether it has a row of it already: [`Sources::noted`] has to be said of each. A source that was noted and is not in SQL
    /// any more was forgotten by an operator: it begins anew.
    #[must_use]
    pub fn meet(&self, known: Vec<Readiness>) -> Vec<(Readiness, bool)> {
        let mut in_sql: HashMap<(IpNet, IpAddr), Signing> = HashMap::new();
        for Readiness { network, source, signing } in known {
            in_sql.insert((network, source), signing);
            let held = self.held((network, source), signing.signed_since.is_some());
            let mut seen = held.signing.lock();
            if seen.signed_since.is_none() && signing.signed_since.is_some() && seen.unsigned_since.is_some()
            {
                self.unsigned.fetch_sub(1, Ordering::Relaxed);
            }
            *seen = seen.merged(signing);
            *held.noted.lock() = Some(signing);
        }
        let mut news = Vec::new();
        for entry in &self.by_address {
            let (network, source) = *entry.key();
            let (mut seen, mut noted) = (entry.signing.lock(), entry.noted.lock());
            if !in_sql.contains_key(entry.key()) && noted.take().is_some() {
                if seen.signed_since.is_some() {
                    // It may be one that never signs, and counts as such.
                    self.unsigned.fetch_add(1, Ordering::Relaxed);
                }
                *seen = Signing::default();
            }
            let old = noted.is_none_or(|noted| is_news(noted, *seen));
            if *seen != Signing::default() && old {
                news.push((Readiness { network, source, signing: *seen }, noted.is_some()));
            }
        }
        news
    }

    /// SQL knows this.
    pub fn noted(&self, seen: &Readiness) {
        if let Some(source) = self.by_address.get(&(seen.network, seen.source)) {
            *source.noted.lock() = Some(seen.signing);
        }
    }

    /// Tells how many sources of each NAS sign, and how many do not. Gives those that do not, and are served.
    pub fn measure(&self, table: &NasTable) -> Vec<IpAddr> {
        let mut counts: HashMap<SmolStr, [u32; HABITS.len()]> = HashMap::new();
        let mut served = Vec::new();
        for seen in self.readiness() {
            let Some(nas) = table.find(seen.source).filter(|nas| nas.network == seen.network) else {
                continue;
            };
            let counts = counts.entry(nas.name.clone()).or_default();
            for (count, _) in
                counts.iter_mut().zip(HABITS).filter(|(_, habit)| *habit == seen.signing.habit())
            {
                *count += 1;
            }
            if seen.signing.habit() != "signed" && !seen.signing.must_sign(nas.require_message_authenticator)
            {
                served.push(seen.source);
            }
        }
        for (nas, counts) in counts {
            for (count, habit) in counts.into_iter().zip(HABITS) {
                metrics::gauge!(names::NAS_SOURCES, "nas" => nas.to_string(), "signing" => habit)
                    .set(f64::from(count));
            }
        }
        served
    }

    /// Which sources sign and which do not, since when, by network and address.
    #[must_use]
    pub fn readiness(&self) -> Vec<Readiness> {
        let mut report: Vec<_> = self
            .by_address
            .iter()
            .map(|entry| {
                let (network, source) = *entry.key();
                Readiness { network, source, signing: *entry.signing.lock() }
            })
            .collect();
        report.sort_by_key(|line| (line.network, line.source));
        report
    }
}

/// What [`Signing::habit`] says.
const HABITS: [&str; 3] = ["signed", "mixed", "unsigned"];

/// Seconds between two notes of when a source was last seen.
const SEEN_NOTED_EVERY: u64 = 60;

/// Is it worth a row that `seen` is known and not `noted`?
fn is_news(noted: Signing, seen: Signing) -> bool {
    let later = |noted: Option<UnixTime>, seen: Option<UnixTime>| match (noted, seen) {
        (Some(noted), Some(seen)) => seen.since(noted) >= SEEN_NOTED_EVERY,
        (noted, seen) => noted != seen,
    };
    (noted.signed_since, noted.unsigned_since, noted.habit())
        != (seen.signed_since, seen.unsigned_since, seen.habit())
        || later(noted.signed_last, seen.signed_last)
        || later(noted.unsigned_last, seen.unsigned_last)
}

/// Does the packet carry the NAS-Identifier that the entry demands?
pub(super) fn identifies(nas: &Nas, nas_identifier: Option<&[u8]>) -> bool {
    nas.identifier.as_ref().is_none_or(|wanted| nas_identifier == Some(wanted.as_bytes()))
}

/// How often something may happen: `burst` times at once, and once every `every` in the long run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    every: Duration,
    burst: u32,
    /// When everything that was let through so far would have been due.
    due: Option<Instant>,
}

impl Rate {
    pub(super) const fn new(per_second: u32, burst: u32) -> Self {
        let every = match Duration::from_secs(1).checked_div(per_second) {
            Some(every) => every,
            None => Duration::MAX,
        };
        Self { every, burst, due: None }
    }

    /// May it happen now? If so, it has.
    pub(super) fn admit(&mut self, now: Now) -> bool {
        let due = self.due.map_or(now.instant, |due| due.max(now.instant));
        if due.duration_since(now.instant) > self.every.saturating_mul(self.burst.saturating_sub(1)) {
            return false;
        }
        self.due = due.checked_add(self.every).or(self.due);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Clock as _, SystemClock};

    fn nas(require: TriState, limit: TriState) -> Nas {
        Nas {
            require_message_authenticator: require,
            limit_proxy_state: limit,
            ..Nas::sample("one", "10.0.0.0/8")
        }
    }

    const AT: UnixTime = UnixTime(1_700_000_000);

    #[test]
    fn br_01_a_nas_that_must_sign_is_not_admitted_without() {
        let (strict, mut signing) = (nas(TriState::Yes, TriState::No), Signing::default());
        assert_eq!(judge(&mut signing, &strict, false, false, AT), Err(Discard::Unsigned));
        assert_eq!(judge(&mut signing, &strict, true, false, AT), Ok(()));
    }

    #[test]
    fn br_03_a_limited_nas_may_send_proxy_state_only_signed() {
        let (limited, mut signing) = (nas(TriState::No, TriState::Yes), Signing::default());
        assert_eq!(judge(&mut signing, &limited, false, true, AT), Err(Discard::ProxyState));
        assert_eq!(judge(&mut signing, &limited, true, true, AT), Ok(()));
        assert_eq!(judge(&mut signing, &limited, false, false, AT), Ok(()));
    }

    #[test]
    fn br_10_auto_requires_a_signature_once_there_was_a_valid_one() {
        let (auto, mut signing) = (nas(TriState::Auto, TriState::Auto), Signing::default());
        assert_eq!(judge(&mut signing, &auto, false, false, AT), Ok(()));
        assert_eq!(judge(&mut signing, &auto, true, false, AT.plus(5)), Ok(()));
        assert_eq!(judge(&mut signing, &auto, false, false, AT.plus(9)), Err(Discard::Unsigned));
        assert_eq!(signing.signed_since, Some(AT.plus(5)));
        assert_eq!((signing.unsigned_since, signing.unsigned_last), (Some(AT), Some(AT.plus(9))));
    }

    #[test]
    fn auto_limits_proxy_state_unless_the_source_began_as_a_proxy() {
        let auto = nas(TriState::Auto, TriState::Auto);
        let mut plain = Signing::default();
        assert_eq!(judge(&mut plain, &auto, false, false, AT), Ok(()));
        assert_eq!(judge(&mut plain, &auto, false, true, AT), Err(Discard::ProxyState));
        let mut proxy = Signing::default();
        assert_eq!(judge(&mut proxy, &auto, false, true, AT), Ok(()));
        assert_eq!(judge(&mut proxy, &auto, false, false, AT), Ok(()));
        assert_eq!(judge(&mut proxy, &auto, false, true, AT), Ok(()));
        let lax = nas(TriState::No, TriState::Auto);
        assert_eq!(judge(&mut proxy, &lax, true, true, AT), Ok(()));
        assert_eq!(judge(&mut proxy, &lax, false, true, AT), Err(Discard::ProxyState), "it has signed since");
    }

    #[test]
    fn no_means_never() {
        let (lax, mut signing) = (nas(TriState::No, TriState::No), Signing::default());
        for (signed, proxied) in [(true, true), (false, true), (false, false)] {
            assert_eq!(judge(&mut signing, &lax, signed, proxied, AT), Ok(()));
        }
    }

    #[test]
    fn what_one_socket_learns_of_a_source_every_socket_knows_and_reports() {
        let (auto, sources, now) =
            (nas(TriState::Auto, TriState::Auto), Sources::default(), SystemClock.now());
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let (mut here, mut there, mut other) = (Arc::default(), Arc::default(), Arc::default());
        assert_eq!(sources.admit(&auto, address, &mut there, false, false, now), Ok(()));
        assert_eq!(sources.admit(&auto, address, &mut here, true, false, now), Ok(()));
        assert_eq!(
            sources.admit(&auto, address, &mut there, false, false, now),
            Err(Discard::Unsigned),
            "the other socket knows"
        );
        let neighbour = "10.0.0.2".parse().unwrap();
        assert_eq!(
            sources.admit(&auto, neighbour, &mut other, false, false, now),
            Ok(()),
            "a neighbour in the same network is another NAS"
        );
        let report = sources.readiness();
        let [first, second] = report.as_slice() else { panic!("two sources: {report:?}") };
        assert_eq!((first.source, first.signing.must_sign(TriState::Auto)), (address, true));
        assert_eq!((second.source, second.signing.must_sign(TriState::Auto)), (neighbour, false));
    }

    #[test]
    fn sources_that_never_sign_are_bounded_and_do_not_crowd_out_those_that_do() {
        let (auto, sources, now) =
            (nas(TriState::Auto, TriState::Auto), Sources::default(), SystemClock.now());
        for forged in 0..20_000_u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + forged).into();
            assert_eq!(sources.admit(&auto, address, &mut Arc::default(), false, false, now), Ok(()));
        }
        assert_eq!(sources.by_address.len(), UNSIGNED_SOURCES_MAX);
        let address = "10.200.0.1".parse().unwrap();
        assert_eq!(sources.admit(&auto, address, &mut Arc::default(), true, false, now), Ok(()));
        assert_eq!(
            sources.admit(&auto, address, &mut Arc::default(), false, false, now),
            Err(Discard::Unsigned)
        );
    }

    #[test]
    fn the_secret_that_a_source_proved_to_use_is_known_to_every_socket() {
        let (auto, sources) = (nas(TriState::Auto, TriState::Auto), Sources::default());
        let address = "10.0.0.1".parse().unwrap();
        let (mut here, mut there) = (Arc::default(), Arc::default());
        sources.verified(&auto, address, &mut here, true);
        assert_eq!(sources.admit(&auto, address, &mut there, false, false, SystemClock.now()), Ok(()));
        assert!(there.next_secret());
        sources.verified(&auto, address, &mut there, false);
        assert!(!here.next_secret());
    }

    #[test]
    fn what_was_learned_outlives_the_process_and_is_shared_and_can_be_forgotten() {
        let (auto, now) = (nas(TriState::Auto, TriState::Auto), SystemClock.now());
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let unsigned =
            |sources: &Sources, now| sources.admit(&auto, address, &mut Arc::default(), false, false, now);
        let before = Sources::default();
        assert_eq!(before.admit(&auto, address, &mut Arc::default(), true, false, now), Ok(()));
        let news = before.meet(Vec::new());
        assert_eq!(news.len(), 1);
        assert_eq!(before.meet(Vec::new()), news, "until it is noted");
        let [(signed, false)] = news.as_slice() else { panic!("{news:?}") };
        before.noted(signed);
        let in_sql = vec![signed.clone()];
        assert_eq!(before.meet(in_sql.clone()), []);

        let after = Sources::default();
        assert_eq!(after.meet(in_sql.clone()), []);
        let second = now.plus(Duration::from_secs(1));
        assert_eq!(unsigned(&after, second), Err(Discard::Unsigned), "a restart forgets nothing");
        let news = after.meet(in_sql);
        let [(told, true)] = news.as_slice() else { panic!("it is in SQL: {news:?}") };
        assert_eq!((told.signing.habit(), told.signing.signed_since), ("mixed", Some(now.unix)));
        after.noted(told);
        let later = now.plus(Duration::from_secs(59));
        let _ = unsigned(&after, later);
        assert_eq!(after.meet(vec![told.clone()]), [], "when it was last seen is told once a minute");
        let _ = unsigned(&after, now.plus(Duration::from_secs(120)));
        assert_eq!(after.meet(vec![told.clone()]).len(), 1);

        assert_eq!(after.meet(Vec::new()), [], "an operator has deleted the row");
        assert_eq!(unsigned(&after, now.plus(Duration::from_secs(121))), Ok(()));
        assert_eq!(after.meet(Vec::new())[0].0.signing.habit(), "unsigned");
    }

    #[test]
    fn sizes_outside_20_to_4096_are_discarded_and_padding_is_not_counted() {
        let mut datagram = vec![0_u8; 5000];
        datagram[..4].copy_from_slice(&[1, 7, 0, 20]);
        datagram[4..20].fill(9);
        for (size, length, good) in [
            (20, 20, true),
            (4096, 20, true),
            (4096, 4096, true),
            (19, 20, false),
            (0, 20, false),
            (20, 21, false),
            (21, 19, false),
            (4097, 20, false),
            (4097, 4097, false),
        ] {
            datagram[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            let wanted = Head { code: 1, identifier: 7, authenticator: [9; 16] };
            let wanted = if good { Ok(wanted) } else { Err(Discard::Size) };
            assert_eq!(Head::read(&datagram[..size]), wanted, "{size} octets, Length {length}");
        }
    }

    #[test]
    fn pc_05_a_port_takes_its_own_requests_and_status_server_only() {
        let taken = |port: Port| (0..=255).filter(|code| port.asked(*code).is_some()).collect::<Vec<_>>();
        assert_eq!(taken(Port::Auth), [1, 12]);
        assert_eq!(taken(Port::Accounting), [4, 12]);
    }

    #[test]
    fn a_rate_lets_a_burst_through_and_then_one_at_a_time() {
        let (mut rate, start) = (Rate::new(10, 3), SystemClock.now());
        let admitted = (0..10).filter(|_| rate.admit(start)).count();
        assert_eq!(admitted, 3);
        assert!(!rate.admit(start.plus(Duration::from_millis(99))));
        assert!(rate.admit(start.plus(Duration::from_millis(100))));
        assert!(!rate.admit(start.plus(Duration::from_millis(101))));
        let later = start.plus(Duration::from_secs(60));
        assert_eq!((0..10).filter(|_| rate.admit(later)).count(), 3);
    }

    #[test]
    fn the_configured_nas_identifier_must_be_sent() {
        let mut named = nas(TriState::Auto, TriState::Auto);
        assert!(identifies(&named, None) && identifies(&named, Some(b"any")));
        named.identifier = Some("tower-1".into());
        assert!(identifies(&named, Some(b"tower-1")));
        assert!(!identifies(&named, Some(b"tower-2")) && !identifies(&named, None));
    }

    #[test]
    fn every_discard_has_its_own_label() {
        let labels: std::collections::BTreeSet<_> = Discard::ALL.iter().map(|(_, label)| *label).collect();
        assert_eq!(labels.len(), Discard::ALL.len());
        assert!(Discard::ALL.iter().all(|(reason, label)| reason.as_str() == *label));
    }
}
