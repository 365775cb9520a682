//! Random NASes, clocks and databases against a ledger of what really happened.
//!
//! Each NAS serves sessions, counts in 32 or 64 bits, loses, repeats, delays and reorders its records until
//! one is acknowledged, under the old Identifier or a new one, says when things happened or does not,
//! reboots with and without a word and then begins its Acct-Session-Ids anew. SQL is away, late, or takes
//! a transaction without saying so; the spool has what it did not take, or has no room either. The
//! server is killed now and then, with all that is not durable, and goes on from its rows. In every other
//! world the clocks of the NASes and of the server are set forwards and back.
//!
//! After each step the invariants hold (see [`World::check`], [`World::write`] and [`World::answer`]); in the end every
//! session that was heard of has exactly the totals of the newest record that became durable. A failure
//! prints its seed; `TOLLKEEPER_SEED=n` plays that one alone, `TOLLKEEPER_SEEDS=n` so many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
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
const SEEDS: u64 = 30;

const NASES: usize = 3;
const SUBSCRIBERS: usize = 2;
/// Places of each subscriber. The first has as many devices, the second one more.
const PLACES: usize = 2;

/// How long NASes go on, seconds. Twelve hours that contain a midnight.
const LENGTH: u64 = 12 * 3600;

/// An hour before midnight in Tehran.
const BEGIN: i64 = 1_750_275_000;

/// A record is sent at most so often, and so many seconds apart.
const TRANSMISSIONS: u64 = 6;
const RETRANSMIT_EVERY: u64 = 5;

/// Seconds that a datagram, or the queue of a NAS, may hold a record back.
const DELAY_MAX: u64 = 20;

/// Seconds that the server keeps a reply for the same packet (RFC 5080 §2.2.2).
const REPLY_KEPT: u64 = 10;

#[test]
fn totals_are_true_whatever_nases_do() {
    if let Ok(seed) = std::env::var("TOLLKEEPER_SEED") {
        World::new(seed.parse().expect("TOLLKEEPER_SEED is a number")).run();
        return;
    }
    let seeds =
        std::env::var("TOLLKEEPER_SEEDS").map_or(SEEDS, |n| n.parse().expect("TOLLKEEPER_SEEDS is a number"));
    let mut steps = 0;
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        steps += outcome.unwrap_or_else(|_| panic!("play it again with TOLLKEEPER_SEED={seed}"));
    }
    println!("{steps} steps of {seeds} worlds");
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
    /// The same, as SQL has it.
    reloaded_durably: Option<UnixTime>,
    /// How far its clock is ahead, seconds.
    ahead: i64,
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
    /// Its Start was acknowledged, so that no kill makes the server forget it.
    known: bool,
    /// What the newest record that arrived says, and whether there was a Stop.
    heard: (Option<Usage>, bool),
    /// The same of those that are durable.
    durable: (Option<Usage>, bool),
}

/// A record on its way, with all its transmissions.
struct Message {
    /// `None` is an Accounting-On.
    truth: Option<usize>,
    nas: usize,
    made: u64,
    record: Option<AccountingRecord>,
    usage: Usage,
    transmissions: u64,
    acknowledged: bool,
    /// Each transmission is a new packet with a new Identifier, as Acct-Delay-Time makes it (RFC 2866 §5.2).
    renumbered: bool,
    /// When the server answered it: for a while the same packet gets the same answer, and nothing is done.
    answered: Option<u64>,
    /// The row that it went to.
    row: Option<UniqueId>,
    boot: u32,
}

enum Event {
    Tick(usize),
    Login(usize, usize),
    Logout(usize),
    Transmit(usize),
    Arrive(usize),
    Acknowledge(usize),
    Commit,
    Outage,
    Drain,
    Reboot(usize),
    Clocks,
    Restart,
}

/// What the writer makes durable in one transaction: of each row the last.
#[derive(Default)]
struct Batch {
    rows: BTreeMap<(usize, UniqueId), Session>,
    usage: BTreeMap<(usize, Day), Usage>,
    reloads: Vec<(usize, UnixTime)>,
    /// Messages whose rows these are, and those that wait for it.
    messages: Vec<usize>,
    waiters: Vec<usize>,
}

/// SQL and the spool.
#[derive(Default)]
struct Database {
    rows: Vec<BTreeMap<UniqueId, Session>>,
    buckets: Vec<BTreeMap<Day, Usage>>,
    spool: VecDeque<Rc<Batch>>,
    away_until: u64,
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
    messages: Vec<Message>,
    tables: Vec<SubscriberSessions>,
    /// Rows as the server last meant to write them.
    rows: Vec<BTreeMap<UniqueId, Session>>,
    /// Sum of the rows, kept as they are written.
    counted: Vec<Usage>,
    /// The writer is to get up.
    awake: bool,
    /// What waits for the writer.
    queue: Batch,
    database: Database,
    /// The most that was acknowledged of a row.
    acknowledged: BTreeMap<(usize, UniqueId), Usage>,
    /// The most that is durable of a row.
    durable: BTreeMap<(usize, UniqueId), Usage>,
    /// What is online.
    live: BTreeSet<usize>,
    restarted: u64,
    /// Clocks are set in this world.
    jumps: bool,
    /// How far the server's clock on the wall is ahead, seconds.
    ahead: i64,
    steps: u64,
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
                    reloaded_durably: None,
                    ahead: 0,
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
            messages: Vec::new(),
            tables: (0..SUBSCRIBERS).map(table).collect(),
            rows: vec![BTreeMap::new(); SUBSCRIBERS],
            counted: vec![Usage::default(); SUBSCRIBERS],
            awake: false,
            queue: Batch::default(),
            database: Database {
                rows: vec![BTreeMap::new(); SUBSCRIBERS],
                buckets: vec![BTreeMap::new(); SUBSCRIBERS],
                ..Database::default()
            },
            acknowledged: BTreeMap::new(),
            durable: BTreeMap::new(),
            live: BTreeSet::new(),
            restarted: 0,
            jumps: !seed.is_multiple_of(2),
            ahead: 0,
            steps: 0,
        };
        for subscriber in 0..SUBSCRIBERS {
            for device in 0..PLACES + subscriber {
                let at = world.random(600);
                world.at(at, Event::Login(subscriber, device));
            }
        }
        for nas in 0..NASES {
            let at = 1800 + world.random(LENGTH);
            world.at(at, Event::Reboot(nas));
        }
        for (event, within) in
            [(Event::Restart, LENGTH), (Event::Outage, LENGTH / 4), (Event::Clocks, LENGTH / 4)]
        {
            let at = world.random(within);
            world.at(at, event);
        }
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
        let now = self.base.plus(Duration::from_secs(self.clock));
        Now { unix: UnixTime(now.unix.0 + self.ahead), ..now }
    }

    /// Plays to the end; gives how many steps that took.
    fn run(mut self) -> u64 {
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.advance(at);
            match event {
                Event::Login(subscriber, device) => self.login(subscriber, device),
                Event::Tick(truth) => self.tick(truth),
                Event::Logout(truth) => self.logout(truth),
                Event::Transmit(message) => self.transmit(message),
                Event::Arrive(message) => self.arrive(message),
                Event::Acknowledge(message) => self.messages[message].acknowledged = true,
                Event::Commit => self.commit(),
                Event::Drain => self.drain(),
                Event::Outage => self.outage(),
                Event::Clocks => self.set_clocks(),
                Event::Reboot(nas) => self.reboot(nas),
                Event::Restart => self.restart(),
            }
            self.check();
            self.steps += 1;
        }
        // Everybody is gone; what was not closed falls silent.
        self.advance(self.clock + 3 * 86_400);
        let (left, spool) = (std::mem::take(&mut self.queue), std::mem::take(&mut self.database.spool));
        for batch in spool.into_iter().chain([Rc::new(left)]) {
            self.keep_in_sql(&batch);
        }
        self.is_all_there();
        self.compare();
        self.steps
    }

    /// What holds after each step.
    fn check(&self) {
        for (table, counted) in self.tables.iter().zip(&self.counted) {
            assert_eq!(*counted, table.lifetime(), "seed {}: rows and usage agree", self.seed);
        }
        for subscriber in 0..SUBSCRIBERS {
            let online = self.live.iter().map(|truth| &self.truths[*truth]);
            // A kill forgets a place that is reserved until its Start is durable.
            let held = online.filter(|truth| truth.subscriber == subscriber);
            let held = held.filter(|truth| truth.known || truth.began > self.restarted).count();
            // A NAS whose clock goes back behind its own reboot seems to tell of sessions from before that:
            // they are closed as a guess, and hold no place until its clock is past it.
            assert!(held <= PLACES || self.jumps, "seed {}: {held} of {PLACES} places are taken", self.seed);
        }
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
        let station = station(subscriber, device);
        let asking = Device::of(&station, &self.nases[nas].identity, "");
        let seen = self.tables[subscriber].occupancy(&asking, self.now());
        // With as many places as devices nobody is ever locked out, whatever ghosts there are. Of two sessions
        // of one device without our token the clocks alone say which is the ghost.
        let is_certain = self.nases.iter().all(|nas| self.is_certain(nas));
        let full = usize::try_from(seen.taken).unwrap() >= PLACES;
        assert!(
            subscriber > 0 || !full || !is_certain,
            "seed {}: {station} sees {seen:?} of {PLACES} places; open: {:#?}",
            self.seed,
            self.tables[subscriber].sessions().filter(Session::is_open).collect::<Vec<_>>()
        );
        if full || self.nases[nas].up_at > self.clock {
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
            known: false,
            heard: (None, false),
            durable: (None, false),
        };
        let now = self.now();
        let reservation = Reservation {
            granted: SmolStr::default(),
            token: truth.token,
            device: asking,
            nas: self.nases[nas].identity.clone(),
            until: now.instant + Duration::from_mins(2),
            interim_interval: 0,
        };
        self.tables[subscriber].reserve(reservation);
        self.truths.push(truth);
        let index = self.truths.len() - 1;
        self.live.insert(index);
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
        self.live.remove(&index);
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
        // It has forgotten what was not acknowledged; what is in flight arrives.
        if self.nases[nas].says_on {
            let made = self.clock + down;
            self.say(None, nas, made, None, Usage::default());
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
        self.say(Some(index), nas, clock, Some(record), usage);
    }

    /// The NAS has something to say, and says it until it is acknowledged.
    fn say(
        &mut self,
        truth: Option<usize>,
        nas: usize,
        made: u64,
        record: Option<AccountingRecord>,
        usage: Usage,
    ) {
        let renumbered = self.nases[nas].timing == Timing::DelayTime || self.chance(20);
        let boot = self.nases[nas].boots;
        self.messages.push(Message {
            truth,
            nas,
            made,
            record,
            usage,
            transmissions: 0,
            acknowledged: false,
            renumbered,
            answered: None,
            row: None,
            boot,
        });
        self.at(made, Event::Transmit(self.messages.len() - 1));
    }

    /// One transmission: it may be lost, held back or doubled.
    fn transmit(&mut self, index: usize) {
        let message = &mut self.messages[index];
        message.transmissions += 1;
        let forgotten = message.boot != self.nases[message.nas].boots;
        if message.acknowledged || forgotten || message.transmissions > TRANSMISSIONS {
            return;
        }
        let sent = self.clock;
        self.at(sent + RETRANSMIT_EVERY, Event::Transmit(index));
        if self.chance(20) {
            return;
        }
        let copies = if self.chance(5) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.chance(10) { self.random(DELAY_MAX) } else { self.random(2) };
            self.at(sent + late, Event::Arrive(index));
        }
    }

    fn arrive(&mut self, index: usize) {
        let now = self.now();
        let message = &self.messages[index];
        if !message.renumbered && message.answered.is_some_and(|at| self.clock - at < REPLY_KEPT) {
            return self.answer(index);
        }
        let (nas, usage) = (&self.nases[message.nas], message.usage);
        // A retransmission repeats when it was made, or counts from then.
        let made = match (nas.timing, message.truth) {
            (Timing::None, _) => now.unix,
            (_, Some(truth)) => self.told(message.nas, self.truths[truth].began + usage.seconds),
            (_, None) => self.told(message.nas, message.made),
        };
        let Some(mut record) = message.record.clone() else {
            let reload = NasReload { nas: nas.identity.clone(), at: made };
            let nas = message.nas;
            let known = &mut self.nases[nas].reloaded;
            *known = (*known).max(Some(reload.at));
            for subscriber in 0..SUBSCRIBERS {
                let change = self.tables[subscriber].nas_rebooted(&reload, &self.settings, now);
                self.write(subscriber, change);
            }
            self.queue.reloads.push((nas, reload.at));
            self.wait(index);
            return;
        };
        let nas = message.nas;
        record.event_time = made;
        record.received = now.unix;
        let truth = &mut self.truths[message.truth.unwrap()];
        let subscriber = truth.subscriber;
        truth.heard = newer(truth.heard, usage, record.status);
        if record.input.gigawords.is_some() {
            self.nases[nas].wide_seen = true;
        }
        let nas = &self.nases[nas];
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
        if self.steps.is_multiple_of(7) {
            // Once more, at once: it changes nothing.
            let (lifetime, row) = (table.lifetime(), change.session().cloned());
            let again = table.apply(&record, &facts, &self.settings, now);
            assert_eq!((table.lifetime(), again.session().cloned()), (lifetime, row), "seed {}", self.seed);
        }
        self.messages[index].row = change.session().map(|row| row.unique_id);
        self.write(subscriber, change);
        self.wait(index);
    }

    /// When that was by the clock of a NAS that tells it, or counts back from the server's.
    fn told(&self, nas: usize, at: u64) -> UnixTime {
        let ahead = match self.nases[nas].timing {
            Timing::EventTimestamp => self.nases[nas].ahead,
            Timing::DelayTime | Timing::None => self.ahead,
        };
        UnixTime(self.base.unix.plus(at).0 + ahead)
    }

    /// `kill -9`, and a start from what is durable: the open sessions alone.
    fn restart(&mut self) {
        self.queue = Batch::default();
        // A server that starts takes what the one before has left to SQL before it reads the sessions.
        for batch in std::mem::take(&mut self.database.spool) {
            self.keep_in_sql(&batch);
        }
        self.is_all_there();
        self.restarted = self.clock;
        for truth in &mut self.truths {
            truth.heard = truth.durable;
        }
        for nas in &mut self.nases {
            nas.reloaded = nas.reloaded_durably;
        }
        for message in &mut self.messages {
            message.answered = None;
        }
        let now = self.now();
        for subscriber in 0..SUBSCRIBERS {
            let mut fresh = table(subscriber);
            let buckets = self.database.buckets[subscriber].iter();
            fresh.continue_usage(buckets.map(|(day, usage)| (*day, *usage)).collect());
            for row in self.database.rows[subscriber].values().filter(|row| row.is_open()) {
                fresh.restore(row.clone(), &self.settings, now);
            }
            self.tables[subscriber] = fresh;
            self.rows[subscriber].clone_from(&self.database.rows[subscriber]);
            let rows = self.rows[subscriber].values();
            self.counted[subscriber] = rows.fold(Usage::default(), |sum, row| sum.plus(row.counted));
        }
        let next = self.clock + 1800 + self.random(LENGTH);
        if next < LENGTH {
            self.at(next, Event::Restart);
        }
    }

    /// SQL is away for a while.
    fn outage(&mut self) {
        self.database.away_until = self.clock + self.random(1800);
        self.at(self.database.away_until, Event::Drain);
        let next = self.clock + 1800 + self.random(LENGTH / 2);
        if next < LENGTH {
            self.at(next, Event::Outage);
        }
    }

    /// Some clocks are set; in half of the worlds none ever is.
    fn set_clocks(&mut self) {
        if !self.jumps {
            return;
        }
        let by = [0, 5, -5, 90, -90, 3_600, -3_600, 86_400, -86_400][below(&mut self.entropy, 9)];
        match below(&mut self.entropy, NASES as u64 + 1) {
            NASES => self.ahead = by,
            nas => self.nases[nas].ahead = by,
        }
        let next = self.clock + 600 + self.random(LENGTH / 4);
        if next < LENGTH {
            self.at(next, Event::Clocks);
        }
    }

    /// Puts what a change writes before the writer, with the invariants of every row.
    fn write(&mut self, subscriber: usize, change: Change) {
        for row in change.rows {
            assert_eq!(row.counted, row.total(), "everything is counted");
            let before = self.rows[subscriber].get(&row.unique_id);
            let grown = row.counted.beyond(before.map(|before| before.counted).unwrap_or_default());
            self.counted[subscriber] = self.counted[subscriber].plus(grown);
            never_falls(before, &row);
            self.rows[subscriber].insert(row.unique_id, (*row).clone());
            self.queue.rows.insert((subscriber, row.unique_id), *row);
        }
        self.queue.usage.extend(change.usage.into_iter().map(|(day, usage)| ((subscriber, day), usage)));
        for session in &change.forgotten {
            assert!(!session.is_open());
            assert_eq!(self.rows[subscriber].get(&session.unique_id), Some(session), "it was written");
        }
        self.wake();
    }

    /// A message waits for what was just put before the writer.
    fn wait(&mut self, message: usize) {
        self.queue.messages.push(message);
        self.queue.waiters.push(message);
        self.wake();
    }

    /// The writer gets up soon, and late now and then.
    fn wake(&mut self) {
        if !std::mem::replace(&mut self.awake, true) {
            let wait = if self.chance(10) { self.random(8) } else { self.random(2) };
            self.at(self.clock + wait, Event::Commit);
        }
    }

    /// The writer's turn. SQL takes the batch, or takes it and does not say so, or the spool does, or nobody.
    fn commit(&mut self) {
        self.awake = false;
        let mut batch = std::mem::take(&mut self.queue);
        let waiters = std::mem::take(&mut batch.waiters);
        let luck = self.random(100);
        if luck < 3 {
            // It is tried again; its waiters are let go, and nothing is acknowledged.
            self.queue = batch;
            return self.wake();
        }
        let (is_unsaid, has_failed) = (luck < 10, (10..15).contains(&luck));
        let batch = Rc::new(batch);
        let behind = !self.database.spool.is_empty() || self.clock < self.database.away_until;
        if !behind && !has_failed {
            self.keep_in_sql(&batch);
        }
        if behind || has_failed || is_unsaid {
            self.is_durable(&batch);
            self.database.spool.push_back(batch);
            self.at(self.clock + 1, Event::Drain);
        }
        for message in waiters {
            self.messages[message].answered = Some(self.clock);
            self.answer(message);
        }
    }

    /// The oldest of the spool goes to SQL; now and then SQL has taken it and does not say so.
    fn drain(&mut self) {
        if self.clock < self.database.away_until {
            return;
        }
        let Some(batch) = self.database.spool.front().map(Rc::clone) else { return };
        self.keep_in_sql(&batch);
        if !self.chance(10) {
            self.database.spool.pop_front();
        }
        self.at(self.clock + 1, Event::Drain);
    }

    /// A transaction that SQL takes.
    fn keep_in_sql(&mut self, batch: &Batch) {
        for ((subscriber, id), row) in &batch.rows {
            let before = self.database.rows[*subscriber].insert(*id, row.clone());
            never_falls(before.as_ref(), row);
        }
        for ((subscriber, day), usage) in &batch.usage {
            let before = self.database.buckets[*subscriber].insert(*day, *usage).unwrap_or_default();
            assert!(before.beyond(*usage).is_zero(), "{day:?} fell from {before:?} to {usage:?}");
        }
        self.is_durable(batch);
    }

    /// SQL or the spool has it.
    fn is_durable(&mut self, batch: &Batch) {
        for (id, row) in &batch.rows {
            // What comes from the spool may be older than what is behind it there.
            let most = self.durable.entry(*id).or_default();
            if most.beyond(row.total()).is_zero() {
                *most = row.total();
            }
        }
        for (nas, at) in &batch.reloads {
            let nas = &mut self.nases[*nas];
            nas.reloaded_durably = nas.reloaded_durably.max(Some(*at));
        }
        for message in &batch.messages {
            let message = &self.messages[*message];
            if let (Some(truth), Some(record)) = (message.truth, &message.record) {
                let truth = &mut self.truths[truth];
                truth.durable = newer(truth.durable, message.usage, record.status);
            }
        }
    }

    /// A reply leaves: what it says is durable. It may be lost like anything else.
    fn answer(&mut self, index: usize) {
        let message = &self.messages[index];
        if let (Some(truth), Some(row)) = (message.truth, message.row) {
            let is_certain = self.is_certain(&self.nases[message.nas]);
            let truth = &mut self.truths[truth];
            truth.known = true;
            let durable = self.durable.get(&(truth.subscriber, row)).copied().unwrap_or_default();
            assert!(
                message.usage.beyond(durable).is_zero() || !is_certain,
                "seed {}: {:?} is acknowledged, and {durable:?} is durable",
                self.seed,
                message.usage
            );
            let most = self.acknowledged.entry((truth.subscriber, row)).or_default();
            if most.seconds < message.usage.seconds && is_certain {
                *most = message.usage;
            }
        }
        if !self.chance(20) {
            let late = self.random(2);
            self.at(self.clock + late, Event::Acknowledge(index));
        }
    }

    /// Whatever was acknowledged is in SQL.
    fn is_all_there(&self) {
        for ((subscriber, id), usage) in &self.acknowledged {
            let total = self.database.rows[*subscriber].get(id).map(Session::total).unwrap_or_default();
            assert!(
                usage.beyond(total).is_zero(),
                "seed {}: {usage:?} acknowledged, {total:?} in SQL",
                self.seed
            );
        }
    }

    /// The ledger of what happened against the rows.
    fn compare(&self) {
        for subscriber in 0..SUBSCRIBERS {
            let heard: Vec<_> =
                self.truths.iter().filter(|t| t.subscriber == subscriber && t.heard.0.is_some()).collect();
            let total = heard.iter().fold(Usage::default(), |sum, t| sum.plus(t.heard.0.unwrap_or_default()));
            let (mut expected, mut found) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
            for truth in heard {
                let (nas, id) = (self.nases[truth.nas].identity.clone(), truth.id.clone());
                let what = (truth.began, truth.heard.0.unwrap_or_default(), truth.heard.1, truth.boot);
                expected.entry((nas, id)).or_default().push(what);
            }
            for row in self.database.rows[subscriber].values() {
                let what = (row.started, row.total(), row.closed.clone(), row.epoch, row.flags);
                found.entry((row.nas.clone(), row.acct_session_id.clone())).or_default().push(what);
            }
            for (key, expected) in &mut expected {
                let found = found.entry(key.clone()).or_default();
                // Not by their beginnings: clocks may have been set between them.
                let totals = |usage: Usage| (usage.seconds, usage.input, usage.output);
                expected.sort_by_key(|(_, usage, ..)| totals(*usage));
                found.sort_by_key(|(_, usage, ..)| totals(*usage));
                let nas = self.nases.iter().find(|nas| nas.identity == key.0).unwrap();
                if !self.is_certain(nas) {
                    continue;
                }
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
            let counted = self.counted[subscriber];
            let is_certain = self.nases.iter().all(|nas| self.is_certain(nas));
            assert!(!is_certain || total == counted, "seed {}: {total:?}, {counted:?}", self.seed);
            assert_eq!(counted, self.tables[subscriber].lifetime(), "seed {}", self.seed);
            let days = self.database.buckets[subscriber].iter().filter(|(day, _)| **day != Day::LIFETIME);
            let days = days.fold(Usage::default(), |sum, (_, usage)| sum.plus(*usage));
            assert_eq!(days, counted, "seed {}", self.seed);
        }
    }

    /// Where clocks are set, only our token tells sessions apart whose Acct-Session-Ids a reboot repeats.
    fn is_certain(&self, nas: &Nas) -> bool {
        !self.jumps || nas.echo == Echo::Always
    }
}

/// What is known of a session with one more record.
fn newer(known: (Option<Usage>, bool), usage: Usage, status: RecordStatus) -> (Option<Usage>, bool) {
    let (before, stopped) = known;
    let usage = before.filter(|before| before.seconds > usage.seconds).unwrap_or(usage);
    (Some(usage), stopped || status == RecordStatus::Stop)
}

/// Totals never fall, and what its NAS closed stays closed.
fn never_falls(before: Option<&Session>, row: &Session) {
    let Some(before) = before else { return };
    assert!(before.total().beyond(row.total()).is_zero(), "{before:?} fell to {row:?}");
    let is_stopped = |row: &Session| row.closed.as_ref().is_some_and(|closed| closed.guess.is_none());
    assert!(!is_stopped(before) || is_stopped(row), "{before:?} was re-opened: {row:?}");
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
