//! Random NASes against a ledger of what really happened.
//!
//! Each NAS serves sessions, counts in 32 or 64 bits, loses, repeats, delays and reorders its records,
//! says when things happened or does not, reboots with and without a word and then begins its
//! Acct-Session-Ids anew. The server restarts now and then from its rows. After each step the
//! invariants hold; in the end every session that was heard of has exactly the totals of the newest
//! record that arrived. A failure prints its seed; `TOLLKEEPER_SEED=n` plays that one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use smol_str::{SmolStr, format_smolstr};
use tollkeeper::domain::session::SessionDetails;
use tollkeeper::domain::{
    AccountingRecord, ClassToken, CloseGuess, Day, NasIdentity, NasReload, RecordStatus, ReportedOctets,
    Session, SessionKey, SubscriberId, UniqueId, Usage,
};
use tollkeeper::entropy::{Entropy as _, SeededEntropy};
use tollkeeper::sessions::{Change, Device, RecordFacts, Reservation, Settings, SubscriberSessions};
use tollkeeper::time::{Now, UnixTime};

/// Seeds of one run, unless `TOLLKEEPER_SEEDS` says how many.
const SEEDS: u64 = 100;

const NASES: usize = 3;
const SUBSCRIBERS: usize = 2;
const DEVICES: usize = 2;

/// How long NASes go on, seconds. Twelve hours that contain a midnight.
const LENGTH: u64 = 12 * 3600;

/// An hour before midnight in Tehran.
const BEGIN: i64 = 1_750_275_000;

/// A record is sent at most so often, and so many seconds apart.
const TRANSMISSIONS: u64 = 6;
const RETRANSMIT_EVERY: u64 = 5;

/// Seconds that a datagram, or the queue of a NAS, may hold a record back.
const DELAY_MAX: u64 = 20;

#[test]
fn totals_are_true_whatever_nases_do() {
    if let Ok(seed) = std::env::var("TOLLKEEPER_SEED") {
        return World::new(seed.parse().expect("TOLLKEEPER_SEED is a number")).run();
    }
    let seeds =
        std::env::var("TOLLKEEPER_SEEDS").map_or(SEEDS, |n| n.parse().expect("TOLLKEEPER_SEEDS is a number"));
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(outcome.is_ok(), "play it again with TOLLKEEPER_SEED={seed}");
    }
}

/// How a NAS tells when a record was made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Timing {
    EventTimestamp,
    DelayTime,
    /// Not at all: whatever is late seems to have just happened.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Echo {
    Always,
    Never,
    Sometimes,
}

struct Nas {
    identity: NasIdentity,
    timing: Timing,
    echo: Echo,
    wide: bool,
    says_on: bool,
    interval: u64,
    /// Sessions since the boot: the next Acct-Session-Id.
    sessions: u32,
    boots: u32,
    up_at: u64,
    wide_seen: bool,
    reloaded: Option<UnixTime>,
}

/// What really happened.
struct Truth {
    nas: usize,
    subscriber: usize,
    device: usize,
    boot: u32,
    id: SmolStr,
    token: ClassToken,
    began: u64,
    octets: [u64; 2],
    /// Octets per second.
    rate: [u64; 2],
    counted_at: u64,
    over: bool,
    /// What the newest record that arrived says.
    heard: Option<Usage>,
    stop_heard: bool,
}

/// A copy of a record on its way.
struct Flight {
    truth: Option<usize>,
    nas: usize,
    made: u64,
    record: Option<AccountingRecord>,
    usage: Usage,
}

enum Event {
    Tick(usize),
    Login(usize, usize),
    Logout(usize),
    Arrive(Box<Flight>),
    Reboot(usize),
    Restart,
}

struct World {
    seed: u64,
    entropy: SeededEntropy,
    settings: Settings,
    base: Now,
    clock: u64,
    nases: Vec<Nas>,
    truths: Vec<Truth>,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    online: BTreeSet<(usize, usize)>,
    tables: Vec<SubscriberSessions>,
    rows: Vec<BTreeMap<UniqueId, Session>>,
    buckets: Vec<BTreeMap<Day, Usage>>,
    /// Sum of the rows, kept as they are written.
    counted: Vec<Usage>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a base to count from; nothing waits for it")]
    fn new(seed: u64) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let nases = (0..NASES)
            .map(|n| {
                let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(n).unwrap()));
                Nas {
                    identity: NasIdentity { source: address, address: Some(address), identifier: "".into() },
                    timing: [Timing::EventTimestamp, Timing::DelayTime, Timing::None][below(&mut entropy, 3)],
                    echo: [Echo::Always, Echo::Never, Echo::Sometimes][below(&mut entropy, 3)],
                    wide: below(&mut entropy, 2) == 0,
                    says_on: below(&mut entropy, 2) == 0,
                    interval: [60, 120, 300][below(&mut entropy, 3)],
                    sessions: 0,
                    boots: 0,
                    up_at: 0,
                    wide_seen: false,
                    reloaded: None,
                }
            })
            .collect();
        let zone = TimeZone::get(["UTC", "Asia/Tehran"][below(&mut entropy, 2)]).unwrap();
        let mut world = Self {
            seed,
            entropy,
            settings: Settings { zone, ..Settings::default() },
            base: Now { instant: Instant::now(), unix: UnixTime(BEGIN) },
            clock: 0,
            nases,
            truths: Vec::new(),
            events: BTreeMap::new(),
            sequence: 0,
            online: BTreeSet::new(),
            tables: (0..SUBSCRIBERS).map(table).collect(),
            rows: vec![BTreeMap::new(); SUBSCRIBERS],
            buckets: vec![BTreeMap::new(); SUBSCRIBERS],
            counted: vec![Usage::default(); SUBSCRIBERS],
        };
        for subscriber in 0..SUBSCRIBERS {
            for device in 0..DEVICES {
                let at = world.random(600);
                world.at(at, Event::Login(subscriber, device));
            }
        }
        for nas in 0..NASES {
            let at = 1800 + world.random(LENGTH);
            world.at(at, Event::Reboot(nas));
        }
        let at = world.random(LENGTH);
        world.at(at, Event::Restart);
        world
    }

    fn random(&mut self, below_: u64) -> u64 {
        self.entropy.number() % below_
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random(100) < percent
    }

    fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    fn now(&self) -> Now {
        self.base.plus(Duration::from_secs(self.clock))
    }

    fn run(mut self) {
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.advance(at);
            match event {
                Event::Login(subscriber, device) => self.login(subscriber, device),
                Event::Tick(truth) => self.tick(truth),
                Event::Logout(truth) => self.logout(truth),
                Event::Arrive(flight) => self.arrive(*flight),
                Event::Reboot(nas) => self.reboot(nas),
                Event::Restart => self.restart(),
            }
        }
        // Everybody is gone; what was not closed falls silent.
        self.advance(self.clock + 3 * 86_400);
        self.compare();
    }

    /// Moves the clock, with every deadline on the way.
    fn advance(&mut self, to: u64) {
        for subscriber in 0..SUBSCRIBERS {
            while let Some(due) = self.tables[subscriber].poll_timeout() {
                let due = due.duration_since(self.base.instant).as_secs();
                if due > to {
                    break;
                }
                self.clock = self.clock.max(due);
                let now = self.now();
                let change = self.tables[subscriber].handle_timeout(&self.settings, now);
                self.write(subscriber, change);
            }
        }
        self.clock = to;
    }

    fn login(&mut self, subscriber: usize, device: usize) {
        if self.clock > LENGTH || !self.online.insert((subscriber, device)) {
            return;
        }
        let nas = usize::try_from(self.random(NASES as u64)).unwrap();
        if self.nases[nas].up_at > self.clock {
            self.online.remove(&(subscriber, device));
            let at = self.clock + 60;
            return self.at(at, Event::Login(subscriber, device));
        }
        self.nases[nas].sessions += 1;
        let mut token = [0; 16];
        self.entropy.fill(&mut token);
        let narrow = !self.nases[nas].wide;
        // Several gaps without a record stay below one turn of a 32-bit counter.
        let fastest = if narrow { (1 << 32) / (self.nases[nas].interval * 3) } else { 500_000_000 };
        let truth = Truth {
            nas,
            subscriber,
            device,
            boot: self.nases[nas].boots,
            id: format_smolstr!("{:08x}", self.nases[nas].sessions),
            token: ClassToken(token),
            began: self.clock,
            octets: [0, 0],
            rate: [self.random(fastest), self.random(fastest)],
            counted_at: self.clock,
            over: false,
            heard: None,
            stop_heard: false,
        };
        let station = station(subscriber, device);
        let now = self.now();
        let reservation = Reservation {
            granted: SmolStr::default(),
            token: truth.token,
            device: Device::of(&station, &self.nases[nas].identity, ""),
            nas: self.nases[nas].identity.clone(),
            until: now.instant + Duration::from_mins(2),
            interim_interval: 0,
        };
        // As many places as devices: nobody is ever locked out, whatever ghosts there are.
        let seen = self.tables[subscriber].occupancy(&reservation.device, now);
        assert!(
            usize::try_from(seen.taken).unwrap() < DEVICES,
            "seed {}: {station} sees {seen:?} of {DEVICES} places; open: {:#?}",
            self.seed,
            self.tables[subscriber].sessions().filter(Session::is_open).collect::<Vec<_>>()
        );
        self.tables[subscriber].reserve(reservation);
        self.truths.push(truth);
        let index = self.truths.len() - 1;
        self.send(index, RecordStatus::Start);
        let interval = self.nases[nas].interval;
        self.at(self.clock + interval, Event::Tick(index));
        let lasts = 100 + self.random(2 * 3600);
        self.at(self.clock + lasts, Event::Logout(index));
    }

    fn tick(&mut self, index: usize) {
        if self.truths[index].over {
            return;
        }
        self.send(index, RecordStatus::InterimUpdate);
        let interval = self.nases[self.truths[index].nas].interval;
        self.at(self.clock + interval, Event::Tick(index));
    }

    fn logout(&mut self, index: usize) {
        if self.truths[index].over {
            return;
        }
        self.truths[index].over = true;
        self.send(index, RecordStatus::Stop);
        self.end(index, 90);
    }

    /// The device of a session that is over dials again after a while.
    fn end(&mut self, index: usize, pause: u64) {
        let (subscriber, device) = (self.truths[index].subscriber, self.truths[index].device);
        self.online.remove(&(subscriber, device));
        let again = self.clock + pause + self.random(900);
        self.at(again, Event::Login(subscriber, device));
    }

    fn reboot(&mut self, nas: usize) {
        if self.clock > LENGTH {
            return;
        }
        let down = 100 + self.random(300);
        self.nases[nas].boots += 1;
        self.nases[nas].sessions = 0;
        self.nases[nas].up_at = self.clock + down;
        for index in 0..self.truths.len() {
            if self.truths[index].nas == nas && !self.truths[index].over {
                self.truths[index].over = true;
                self.end(index, down);
            }
        }
        // The NAS has forgotten what was not acknowledged; what is in flight arrives.
        let made_before = self.clock;
        self.events.retain(|_, event| {
            !matches!(event, Event::Arrive(flight) if flight.nas == nas && flight.made > made_before)
        });
        if self.nases[nas].says_on {
            let (identity, made) = (nas, self.clock + down);
            self.transmit(made, |_| Flight {
                truth: None,
                nas: identity,
                made,
                record: None,
                usage: Usage::default(),
            });
        }
        let next = self.clock + down + 1800 + self.random(LENGTH);
        self.at(next, Event::Reboot(nas));
    }

    /// The NAS makes a record and sends it until it is acknowledged.
    fn send(&mut self, index: usize, status: RecordStatus) {
        let clock = self.clock;
        let truth = &mut self.truths[index];
        let passed = clock - truth.counted_at;
        truth.counted_at = clock;
        for (octets, rate) in truth.octets.iter_mut().zip(truth.rate) {
            *octets += rate * passed;
        }
        let (nas, octets, ran) = (truth.nas, truth.octets, clock - truth.began);
        let has_octets = status != RecordStatus::Start;
        let usage = Usage { seconds: ran, input: octets[0], output: octets[1] };
        let identity = self.nases[nas].identity.clone();
        let wide = self.nases[nas].wide;
        let counter = |octets: u64| ReportedOctets {
            octets: has_octets.then(|| u32::try_from(octets & 0xffff_ffff).unwrap()),
            gigawords: (has_octets && wide).then(|| u32::try_from(octets >> 32).unwrap()),
        };
        let truth = &self.truths[index];
        let nas_key = SessionKey::of_nas(&identity, &truth.id);
        // As FreeRADIUS's: of the user, the NAS and the session id.
        let by_user = format!("{},{}", truth.subscriber, truth.id);
        let record = AccountingRecord {
            status,
            key: nas_key,
            nas_key,
            unique_id: UniqueId(SessionKey::of_nas(&identity, &by_user).0),
            nas: identity,
            acct_session_id: truth.id.clone(),
            user_name: format_smolstr!("user{}", truth.subscriber),
            token: None,
            event_time: UnixTime(0),
            received: UnixTime(0),
            clock_suspect: false,
            session_time: has_octets.then(|| u32::try_from(ran).unwrap()),
            input: counter(octets[0]),
            output: counter(octets[1]),
            terminate_cause: if status == RecordStatus::Stop { "User-Request".into() } else { "".into() },
            framed_ip: None,
            calling_station_id: station(truth.subscriber, truth.device).into(),
            called_station_id: "".into(),
            nas_port_id: "".into(),
            details: SessionDetails::default(),
        };
        let token = truth.token;
        let echo = self.nases[nas].echo;
        let echoes = match echo {
            Echo::Always => true,
            Echo::Never => false,
            Echo::Sometimes => self.chance(50),
        };
        let record = if echoes {
            let key = SessionKey::of_token(token, &record.acct_session_id);
            AccountingRecord { token: Some(token), key, unique_id: UniqueId(key.0), ..record }
        } else {
            record
        };
        let made = clock;
        self.transmit(made, |_| Flight {
            truth: Some(index),
            nas,
            made,
            record: Some(record.clone()),
            usage,
        });
    }

    /// Transmissions until one is acknowledged; each may be lost, held back or doubled.
    fn transmit(&mut self, made: u64, flight: impl Fn(u64) -> Flight) {
        for n in 0..TRANSMISSIONS {
            let sent = made + n * RETRANSMIT_EVERY;
            if !self.chance(20) {
                let copies = if self.chance(5) { 2 } else { 1 };
                for _ in 0..copies {
                    let late = if self.chance(10) { self.random(DELAY_MAX) } else { self.random(2) };
                    self.at(sent + late, Event::Arrive(Box::new(flight(sent))));
                }
                if !self.chance(20) {
                    return;
                }
            }
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let now = self.now();
        let timing = self.nases[flight.nas].timing;
        let event_time = match timing {
            Timing::EventTimestamp | Timing::DelayTime => self.base.unix.plus(flight.made),
            Timing::None => now.unix,
        };
        let Some(mut record) = flight.record else {
            let reload = NasReload { nas: self.nases[flight.nas].identity.clone(), at: event_time };
            let known = &mut self.nases[flight.nas].reloaded;
            *known = (*known).max(Some(reload.at));
            for subscriber in 0..SUBSCRIBERS {
                let change = self.tables[subscriber].nas_rebooted(&reload, &self.settings, now);
                self.write(subscriber, change);
            }
            return;
        };
        let truth = &mut self.truths[flight.truth.unwrap()];
        // The time of the making, which a retransmission repeats or counts from.
        record.event_time = event_time;
        if timing != Timing::None {
            record.event_time = self.base.unix.plus(truth.began + flight.usage.seconds);
        }
        record.received = now.unix;
        let subscriber = truth.subscriber;
        let heard = truth.heard.unwrap_or_default();
        if truth.heard.is_none() || flight.usage.seconds >= heard.seconds {
            truth.heard = Some(flight.usage);
        }
        truth.stop_heard |= record.status == RecordStatus::Stop;
        if record.input.gigawords.is_some() {
            self.nases[flight.nas].wide_seen = true;
        }
        let nas = &self.nases[flight.nas];
        let facts = RecordFacts {
            group: "gold",
            nas_sends_gigawords: nas.wide_seen,
            nas_reloaded: nas.reloaded,
            ..RecordFacts::default()
        };
        let table = &mut self.tables[subscriber];
        if table.find(&record).is_none() {
            // What is not in memory is read back.
            for row in self.rows[subscriber].values() {
                if row.key == record.key || row.nas_key() == record.nas_key {
                    table.restore(row.clone(), &self.settings, now);
                }
            }
        }
        let change = table.apply(&record, &facts, &self.settings, now);
        assert!(change.session().is_some_and(|row| row.acct_session_id == record.acct_session_id));
        self.write(subscriber, change);
    }

    /// `kill -9`, and a start from the rows: the open sessions alone.
    fn restart(&mut self) {
        let now = self.now();
        for subscriber in 0..SUBSCRIBERS {
            let mut fresh = table(subscriber);
            fresh
                .continue_usage(self.buckets[subscriber].iter().map(|(day, usage)| (*day, *usage)).collect());
            for row in self.rows[subscriber].values().filter(|row| row.is_open()) {
                fresh.restore(row.clone(), &self.settings, now);
            }
            self.tables[subscriber] = fresh;
        }
        let next = self.clock + 1800 + self.random(LENGTH);
        if next < LENGTH {
            self.at(next, Event::Restart);
        }
    }

    /// What SQL would do, with the invariants of every row.
    fn write(&mut self, subscriber: usize, change: Change) {
        for row in change.rows {
            assert_eq!(row.counted, row.total(), "everything is counted");
            let before = self.rows[subscriber].get(&row.unique_id);
            let grown = row.counted.beyond(before.map(|before| before.counted).unwrap_or_default());
            self.counted[subscriber] = self.counted[subscriber].plus(grown);
            if let Some(before) = before {
                assert!(before.total().beyond(row.total()).is_zero(), "{before:?} fell to {row:?}");
                let is_stopped =
                    |row: &Session| row.closed.as_ref().is_some_and(|closed| closed.guess.is_none());
                assert!(!is_stopped(before) || is_stopped(&row), "{before:?} was re-opened: {row:?}");
            }
            self.rows[subscriber].insert(row.unique_id, *row);
        }
        for (day, usage) in change.usage {
            let before = self.buckets[subscriber].insert(day, usage).unwrap_or_default();
            assert!(before.beyond(usage).is_zero(), "{day:?} fell from {before:?} to {usage:?}");
        }
        for session in &change.forgotten {
            assert!(!session.is_open());
            assert_eq!(self.rows[subscriber].get(&session.unique_id), Some(session), "it was written");
        }
        assert_eq!(
            self.counted[subscriber],
            self.tables[subscriber].lifetime(),
            "seed {}: rows and usage agree",
            self.seed
        );
    }

    /// The ledger of what happened against the rows.
    fn compare(&self) {
        for subscriber in 0..SUBSCRIBERS {
            let heard: Vec<_> =
                self.truths.iter().filter(|t| t.subscriber == subscriber && t.heard.is_some()).collect();
            let total = heard.iter().fold(Usage::default(), |sum, t| sum.plus(t.heard.unwrap_or_default()));
            let (mut expected, mut found) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
            for truth in heard {
                let (nas, id) = (self.nases[truth.nas].identity.clone(), truth.id.clone());
                let what = (truth.began, truth.heard.unwrap_or_default(), truth.stop_heard, truth.boot);
                expected.entry((nas, id)).or_default().push(what);
            }
            for row in self.rows[subscriber].values() {
                let what = (row.started, row.total(), row.closed.clone(), row.epoch, row.flags);
                found.entry((row.nas.clone(), row.acct_session_id.clone())).or_default().push(what);
            }
            for (key, expected) in &mut expected {
                let found = found.entry(key.clone()).or_default();
                expected.sort_by_key(|(began, ..)| *began);
                found.sort_by_key(|(started, ..)| *started);
                let nas = self.nases.iter().find(|nas| nas.identity == key.0).unwrap();
                let context = || {
                    format!(
                        "seed {} subscriber {subscriber} {key:?}\n{:?} {:?} wide {} on {} reloaded {:?}\n\
                         expected {expected:#?}\nfound {found:#?}",
                        self.seed, nas.timing, nas.echo, nas.wide, nas.says_on, nas.reloaded
                    )
                };
                assert_eq!(expected.len(), found.len(), "{}", context());
                for (truth, row) in expected.iter().zip(found.iter()) {
                    assert_eq!(truth.1, row.1, "{}", context());
                    let guess = row.2.as_ref().map(|closed| closed.guess);
                    let is_right = if truth.2 {
                        guess == Some(None)
                    } else {
                        matches!(guess, Some(Some(guess)) if guess != CloseGuess::UnknownToNas)
                    };
                    assert!(is_right, "{}", context());
                }
            }
            assert_eq!(total, self.tables[subscriber].lifetime(), "seed {}", self.seed);
            let days = self.buckets[subscriber].iter().filter(|(day, _)| **day != Day::LIFETIME);
            let days = days.fold(Usage::default(), |sum, (_, usage)| sum.plus(*usage));
            assert_eq!(days, total, "seed {}", self.seed);
        }
    }
}

fn table(subscriber: usize) -> SubscriberSessions {
    SubscriberSessions::new(Some(SubscriberId(i64::try_from(subscriber).unwrap())))
}

fn station(subscriber: usize, device: usize) -> String {
    format!("AA-BB-CC-00-{subscriber:02}-{device:02}")
}

fn below(entropy: &mut SeededEntropy, limit: u64) -> usize {
    usize::try_from(entropy.number() % limit).unwrap()
}
