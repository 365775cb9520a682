//! Replies kept for retransmissions, and requests that are still being worked on
//! (RFC 5080 §2.2.2). One cache per listening socket; pure.
//!
//! A NAS that hears nothing sends the same octets again from the same port, and
//! `SO_REUSEPORT` brings them to the same socket, so that no other socket has to be asked.
//! Entries live for a constant time, therefore the list by age is also the list by expiry and
//! nothing is ever scanned.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::time::Now;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a reply is kept, and a request counted as in flight: 5 to 30 s (RFC 5080 §2.2.2).
    pub lifetime: Duration,
    /// Most entries of one socket.
    pub entries: usize,
    /// Most octets of replies of one socket.
    pub octets: usize,
    /// One source address may hold one `client_share`-th of entries and octets.
    pub client_share: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(10), entries: 131_072, octets: 32 << 20, client_share: 2 }
    }
}

/// What makes two datagrams one request, apart from the Request Authenticator: both addresses, the
/// source port, the Code and the Identifier. IPv4 addresses are held as IPv4-mapped IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    client: [u8; 16],
    local: [u8; 16],
    port: u16,
    code: u8,
    identifier: u8,
}

impl Key {
    /// The key of a datagram from `peer` to `local` (`None`: the socket has only one address).
    #[must_use]
    pub fn new(peer: SocketAddr, local: Option<IpAddr>, code: u8, identifier: u8) -> Self {
        Self {
            client: mapped(peer.ip()),
            local: local.map_or([0; 16], mapped),
            port: peer.port(),
            code,
            identifier,
        }
    }
}

fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// What the cache knows about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing, or another request with the same Identifier.
    New,
    /// It is being worked on: discard.
    InFlight,
    /// It was answered: send these octets again.
    Answered(&'a [u8]),
}

/// The cache. `T` is what the shell wants back when a request in flight is answered.
#[derive(Debug)]
pub struct Duplicates<T> {
    settings: Settings,
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    by_key: HashMap<Key, u32, foldhash::fast::RandomState>,
    clients: HashMap<[u8; 16], Client, foldhash::fast::RandomState>,
    by_age: List,
    octets: usize,
    in_flight: usize,
}

#[derive(Debug)]
struct Slot<T> {
    key: Key,
    authenticator: [u8; 16],
    state: State<T>,
    expires: Instant,
    links: [Links; 2],
}

#[derive(Debug)]
enum State<T> {
    InFlight(T),
    Answered(Box<[u8]>),
}

impl<T> Slot<T> {
    fn in_flight(&self) -> bool {
        matches!(self.state, State::InFlight(_))
    }

    fn octets(&self) -> usize {
        match &self.state {
            State::InFlight(_) => 0,
            State::Answered(reply) => reply.len(),
        }
    }
}

/// One source address: its entries by age, and how much it holds.
#[derive(Debug, Default)]
struct Client {
    list: List,
    entries: usize,
    octets: usize,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    older: u32,
    newer: u32,
}

/// A list through the slots, oldest to newest.
#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    newest: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE }
    }
}

/// The two lists that every slot is in; the number is the index into [`Slot::links`].
#[derive(Clone, Copy)]
enum By {
    Age = 0,
    Client = 1,
}

/// No slot.
const NONE: u32 = u32::MAX;

impl<T> Duplicates<T> {
    /// An empty cache. It allocates as it fills.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::default(),
            clients: HashMap::default(),
            by_age: List::default(),
            octets: 0,
            in_flight: 0,
        }
    }

    /// What is known about a datagram. Changes nothing but what has expired, so it may be asked
    /// before the datagram is verified.
    pub fn look(&mut self, key: &Key, authenticator: &[u8; 16], now: Now) -> Seen<'_> {
        self.expire(now);
        let Some(index) = self.by_key.get(key).copied() else { return Seen::New };
        let slot = self.slot(index);
        if slot.authenticator != *authenticator {
            return Seen::New;
        }
        match &slot.state {
            State::InFlight(_) => Seen::InFlight,
            State::Answered(reply) => Seen::Answered(reply),
        }
    }

    /// A verified request is being worked on. An older request with the same key is forgotten.
    pub fn begin(&mut self, key: Key, authenticator: [u8; 16], tag: T, now: Now) {
        self.insert(key, authenticator, State::InFlight(tag), now);
    }

    /// A verified request was answered at once.
    pub fn keep(&mut self, key: Key, authenticator: [u8; 16], reply: &[u8], now: Now) {
        self.insert(key, authenticator, State::Answered(reply.into()), now);
    }

    /// A request in flight was answered: keeps the reply and gives back the tag. `None`, and the
    /// reply is not kept, if the request has been forgotten or another has taken its Identifier.
    pub fn answered(&mut self, key: &Key, authenticator: &[u8; 16], reply: &[u8], now: Now) -> Option<T> {
        self.expire(now);
        let tag = self.forget(key, authenticator)?;
        self.keep(*key, *authenticator, reply, now);
        Some(tag)
    }

    /// A request in flight ended in silence: a retransmission must be served anew.
    pub fn forget(&mut self, key: &Key, authenticator: &[u8; 16]) -> Option<T> {
        let index = self.by_key.get(key).copied()?;
        let slot = self.slot(index);
        if slot.authenticator != *authenticator || !slot.in_flight() {
            return None;
        }
        match self.remove(index).state {
            State::InFlight(tag) => Some(tag),
            State::Answered(_) => None,
        }
    }

    /// Drops what has expired.
    pub fn expire(&mut self, now: Now) {
        while self.by_age.oldest != NONE && self.slot(self.by_age.oldest).expires <= now.instant {
            self.remove(self.by_age.oldest);
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many requests are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Octets of all replies that are kept.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }

    fn insert(&mut self, key: Key, authenticator: [u8; 16], state: State<T>, now: Now) {
        self.expire(now);
        if let Some(index) = self.by_key.get(&key).copied() {
            self.remove(index);
        }
        let slot = Slot {
            key,
            authenticator,
            state,
            expires: now.instant + self.settings.lifetime,
            links: [Links { older: NONE, newer: NONE }; 2],
        };
        let octets = slot.octets();
        self.make_room(&key.client, octets);
        self.in_flight += usize::from(slot.in_flight());
        let index = match self.free.pop() {
            Some(index) => {
                *self.slots.get_mut(index as usize).expect("a free slot exists") = Some(slot);
                index
            }
            None => {
                let index = u32::try_from(self.slots.len()).expect("entries are bounded below 2^32");
                self.slots.push(Some(slot));
                index
            }
        };
        self.by_key.insert(key, index);
        self.by_age.append(&mut self.slots, By::Age, index);
        let client = self.clients.entry(key.client).or_default();
        client.list.append(&mut self.slots, By::Client, index);
        client.entries += 1;
        client.octets += octets;
        self.octets += octets;
    }

    /// Makes room for one entry: first the oldest of the same client once it has used up its share,
    /// then the oldest of all. A duplicate of what is dropped here is decided again, which costs
    /// time, not truth.
    fn make_room(&mut self, client: &[u8; 16], octets: usize) {
        let share = self.settings.client_share.max(1);
        while let Some(held) = self.clients.get(client)
            && (held.entries >= (self.settings.entries / share).max(1)
                || held.octets + octets > self.settings.octets / share)
        {
            self.remove(held.list.oldest);
        }
        while self.by_age.oldest != NONE
            && (self.len() >= self.settings.entries || self.octets + octets > self.settings.octets)
        {
            self.remove(self.by_age.oldest);
        }
    }

    fn remove(&mut self, index: u32) -> Slot<T> {
        self.by_age.unlink(&mut self.slots, By::Age, index);
        let key = self.slot(index).key;
        let client = self.clients.get_mut(&key.client).expect("a slot's client holds at least this slot");
        client.list.unlink(&mut self.slots, By::Client, index);
        let slot = self.slots.get_mut(index as usize).and_then(Option::take).expect(LISTED);
        let octets = slot.octets();
        client.entries -= 1;
        client.octets -= octets;
        if client.entries == 0 {
            self.clients.remove(&key.client);
        }
        self.octets -= octets;
        self.in_flight -= usize::from(slot.in_flight());
        self.by_key.remove(&key);
        self.free.push(index);
        slot
    }

    fn slot(&self, index: u32) -> &Slot<T> {
        self.slots.get(index as usize).and_then(Option::as_ref).expect(LISTED)
    }
}

impl List {
    fn append<T>(&mut self, slots: &mut [Option<Slot<T>>], by: By, index: u32) {
        *links(slots, by, index) = Links { older: self.newest, newer: NONE };
        match self.newest {
            NONE => self.oldest = index,
            newest => links(slots, by, newest).newer = index,
        }
        self.newest = index;
    }

    fn unlink<T>(&mut self, slots: &mut [Option<Slot<T>>], by: By, index: u32) {
        let Links { older, newer } = *links(slots, by, index);
        match older {
            NONE => self.oldest = newer,
            older => links(slots, by, older).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => links(slots, by, newer).older = older,
        }
    }
}

fn links<T>(slots: &mut [Option<Slot<T>>], by: By, index: u32) -> &mut Links {
    let slot = slots.get_mut(index as usize).and_then(Option::as_mut).expect(LISTED);
    let [age, client] = &mut slot.links;
    match by {
        By::Age => age,
        By::Client => client,
    }
}

const LISTED: &str = "a listed slot is occupied";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Clock as _, SystemClock};

    const ONE: [u8; 16] = [1; 16];
    const TWO: [u8; 16] = [2; 16];

    fn cache(entries: usize, octets: usize, client_share: usize) -> Duplicates<&'static str> {
        Duplicates::new(Settings { lifetime: Duration::from_secs(10), entries, octets, client_share })
    }

    fn key(peer: &str, code: u8, identifier: u8) -> Key {
        Key::new(peer.parse().unwrap(), None, code, identifier)
    }

    fn bob(identifier: u8) -> Key {
        key("10.0.0.1:4000", 1, identifier)
    }

    /// The lists, the map and the sums agree.
    fn check<T>(cache: &Duplicates<T>) {
        let walk = |list: List, by: By| {
            let (mut found, mut at, mut before) = (Vec::new(), list.oldest, NONE);
            while at != NONE {
                let slot = cache.slot(at);
                let links = slot.links[by as usize];
                assert_eq!(links.older, before);
                found.push(at);
                (before, at) = (at, links.newer);
            }
            assert_eq!(list.newest, before);
            found
        };
        let all = walk(cache.by_age, By::Age);
        assert_eq!(all.len(), cache.by_key.len());
        assert_eq!(all.len() + cache.free.len(), cache.slots.len());
        assert_eq!(all.iter().map(|index| cache.slot(*index).octets()).sum::<usize>(), cache.octets);
        assert_eq!(all.iter().filter(|index| cache.slot(**index).in_flight()).count(), cache.in_flight);
        assert!(all.iter().all(|index| cache.by_key[&cache.slot(*index).key] == *index));
        assert!(all.windows(2).all(|two| cache.slot(two[0]).expires <= cache.slot(two[1]).expires));
        let mut of_clients = 0;
        for (address, client) in &cache.clients {
            let mine = walk(client.list, By::Client);
            assert!(mine.iter().all(|index| cache.slot(*index).key.client == *address));
            assert_eq!(mine.len(), client.entries);
            assert_eq!(mine.iter().map(|index| cache.slot(*index).octets()).sum::<usize>(), client.octets);
            of_clients += mine.len();
        }
        assert_eq!(of_clients, all.len());
    }

    #[test]
    fn du_01_an_answered_request_gets_the_stored_octets_again() {
        let (mut cache, now) = (cache(8, 800, 1), SystemClock.now());
        cache.keep(bob(7), ONE, b"accept", now);
        for _ in 0..3 {
            assert_eq!(cache.look(&bob(7), &ONE, now), Seen::Answered(b"accept"));
        }
        check(&cache);
    }

    #[test]
    fn du_02_a_request_in_flight_is_known_as_such_until_it_is_answered() {
        let (mut cache, now) = (cache(8, 800, 1), SystemClock.now());
        assert_eq!(cache.look(&bob(7), &ONE, now), Seen::New);
        cache.begin(bob(7), ONE, "tag", now);
        assert_eq!(cache.look(&bob(7), &ONE, now), Seen::InFlight);
        assert_eq!(cache.answered(&bob(7), &ONE, b"reject", now), Some("tag"));
        assert_eq!(cache.look(&bob(7), &ONE, now), Seen::Answered(b"reject"));
        assert_eq!(cache.answered(&bob(7), &ONE, b"again", now), None, "one answer is enough");
        assert_eq!(cache.look(&bob(7), &ONE, now), Seen::Answered(b"reject"));
        check(&cache);
    }

    #[test]
    fn du_03_a_new_authenticator_is_a_new_request_and_evicts_the_old_one() {
        let (mut cache, now) = (cache(8, 800, 1), SystemClock.now());
        cache.keep(bob(200), ONE, b"right", now);
        assert_eq!(cache.look(&bob(200), &TWO, now), Seen::New);
        assert_eq!(cache.look(&bob(200), &ONE, now), Seen::Answered(b"right"), "looking evicts nothing");
        cache.begin(bob(200), TWO, "two", now);
        assert_eq!(cache.look(&bob(200), &ONE, now), Seen::New);
        assert_eq!(cache.look(&bob(200), &TWO, now), Seen::InFlight);
        check(&cache);
    }

    #[test]
    fn a_late_answer_to_an_evicted_request_is_not_taken_for_the_new_ones() {
        let (mut cache, now) = (cache(8, 800, 1), SystemClock.now());
        cache.begin(bob(1), ONE, "one", now);
        cache.begin(bob(1), TWO, "two", now);
        assert_eq!(cache.answered(&bob(1), &ONE, b"late", now), None);
        assert_eq!(cache.forget(&bob(1), &ONE), None);
        assert_eq!(cache.look(&bob(1), &TWO, now), Seen::InFlight);
        assert_eq!(cache.answered(&bob(1), &TWO, b"right", now), Some("two"));
    }

    #[test]
    fn du_04_port_address_code_and_local_address_each_make_another_request() {
        let (mut cache, now) = (cache(8, 800, 1), SystemClock.now());
        cache.keep(bob(7), ONE, b"accept", now);
        let peer: SocketAddr = "10.0.0.1:4000".parse().unwrap();
        for other in [
            key("10.0.0.1:4001", 1, 7),
            key("10.0.0.2:4000", 1, 7),
            key("10.0.0.1:4000", 4, 7),
            bob(8),
            Key::new(peer, Some("192.0.2.1".parse().unwrap()), 1, 7),
        ] {
            assert_eq!(cache.look(&other, &ONE, now), Seen::New);
        }
        assert_eq!(cache.look(&key("[::ffff:10.0.0.1]:4000", 1, 7), &ONE, now), Seen::Answered(b"accept"));
    }

    #[test]
    fn du_05_a_reply_is_kept_for_its_lifetime_counted_from_the_answer() {
        let (mut cache, start) = (cache(8, 800, 1), SystemClock.now());
        cache.begin(bob(1), ONE, "tag", start);
        let answered = start.plus(Duration::from_secs(9));
        assert_eq!(cache.answered(&bob(1), &ONE, b"accept", answered), Some("tag"));
        let late = answered.plus(Duration::from_millis(9_999));
        assert_eq!(cache.look(&bob(1), &ONE, late), Seen::Answered(b"accept"));
        assert_eq!(cache.look(&bob(1), &ONE, answered.plus(Duration::from_secs(10))), Seen::New);
        assert!(cache.is_empty());
        assert_eq!(cache.octets(), 0);
        check(&cache);
    }

    #[test]
    fn a_request_that_nobody_answers_does_not_stay_in_flight_for_ever() {
        let (mut cache, start) = (cache(8, 800, 1), SystemClock.now());
        cache.begin(bob(1), ONE, "tag", start);
        assert_eq!(cache.look(&bob(1), &ONE, start.plus(Duration::from_secs(10))), Seen::New);
    }

    #[test]
    fn silence_leaves_the_cache_so_that_the_retransmission_is_served() {
        let (mut cache, now) = (cache(8, 800, 1), SystemClock.now());
        cache.begin(bob(1), ONE, "tag", now);
        assert_eq!(cache.forget(&bob(1), &ONE), Some("tag"));
        assert_eq!(cache.look(&bob(1), &ONE, now), Seen::New);
        cache.keep(bob(1), ONE, b"accept", now);
        assert_eq!(cache.forget(&bob(1), &ONE), None, "an answer is never forgotten early");
        assert_eq!(cache.look(&bob(1), &ONE, now), Seen::Answered(b"accept"));
    }

    #[test]
    fn du_07_all_256_identifiers_of_a_port_can_be_in_use() {
        let (mut cache, now) = (cache(1024, 1 << 20, 2), SystemClock.now());
        for identifier in 0..=255 {
            cache.begin(bob(identifier), [identifier; 16], "tag", now);
        }
        for identifier in 0..=255 {
            assert_eq!(cache.answered(&bob(identifier), &[identifier; 16], &[identifier], now), Some("tag"));
        }
        for identifier in 0..=255 {
            assert_eq!(
                cache.look(&bob(identifier), &[identifier; 16], now),
                Seen::Answered(&[identifier]),
                "Identifier {identifier}"
            );
        }
        check(&cache);
    }

    #[test]
    fn du_11_entries_and_octets_are_bounded_and_the_oldest_go_first() {
        let (mut cache, now) = (cache(100, 1000, 1), SystemClock.now());
        for port in 1..=10_000 {
            let peer = SocketAddr::new("10.0.0.1".parse().unwrap(), port);
            cache.keep(Key::new(peer, None, 1, 1), ONE, &[0; 7], now);
            assert!(cache.len() <= 100 && cache.octets() <= 1000);
        }
        assert_eq!(cache.len(), 100);
        assert!(cache.slots.len() <= 101, "slots are used again");
        for (port, kept) in [(9_900, false), (9_901, true), (10_000, true)] {
            let peer = SocketAddr::new("10.0.0.1".parse().unwrap(), port);
            let seen = cache.look(&Key::new(peer, None, 1, 1), &ONE, now);
            assert_eq!(seen != Seen::New, kept, "port {port}");
        }
        cache.keep(bob(1), ONE, &[0; 500], now);
        assert!(cache.octets() <= 1000);
        check(&cache);
    }

    #[test]
    fn du_11_one_client_cannot_push_out_the_others() {
        let (mut cache, now) = (cache(100, 10_000, 2), SystemClock.now());
        cache.keep(bob(1), ONE, b"accept", now);
        for port in 1..=1000 {
            let noisy = SocketAddr::new("10.0.0.66".parse().unwrap(), port);
            cache.keep(Key::new(noisy, None, 1, 1), ONE, &[0; 100], now);
        }
        assert_eq!(cache.len(), 51);
        assert_eq!(cache.look(&bob(1), &ONE, now), Seen::Answered(b"accept"));
        check(&cache);
    }

    #[test]
    fn lists_maps_and_sums_agree_after_any_history() {
        use crate::entropy::{Entropy as _, SeededEntropy};
        let seed = 5080;
        let mut entropy = SeededEntropy::new(seed);
        let (mut cache, mut now) = (cache(40, 2_000, 3), SystemClock.now());
        for step in 0..5_000 {
            let dice = entropy.number();
            let octet = |shift: u32| dice.to_le_bytes()[shift as usize];
            let peer = SocketAddr::new([10, 0, 0, octet(0) % 5].into(), 1000 + u16::from(octet(1) % 8));
            let (key, authenticator) = (Key::new(peer, None, 1, octet(2) % 4), [octet(3) % 2; 16]);
            let reply = vec![octet(4); usize::from(octet(4))];
            match octet(5) % 5 {
                0 => cache.begin(key, authenticator, "tag", now),
                1 => cache.keep(key, authenticator, &reply, now),
                2 => drop(cache.answered(&key, &authenticator, &reply, now)),
                3 => drop(cache.forget(&key, &authenticator)),
                _ => now = now.plus(Duration::from_millis(u64::from(octet(6)) * 20)),
            }
            if step % 16 == 0 {
                check(&cache);
            }
            assert!(cache.len() <= 40 && cache.octets() <= 2_000, "seed {seed}, step {step}");
        }
    }
}
