//! The run: sessions come and go, records are lost, doubled, held back and sent again, NASes and the
//! server start anew; in the end SQL is held against the account.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use smol_str::{SmolStr, format_smolstr};
use tollkeeper::entropy::{Entropy as _, SeededEntropy};
use tollkeeper::radius::attribute::CLASS;
use tollkeeper::radius::{Code, Packet};

use super::host::Host;
use super::model::{Account, Heard};
use super::nas::{
    ACCOUNTING_OFF, ACCOUNTING_ON, Echo, FLEET, Habits, Nas, Reboot, Retry, Said, Stop, Timing,
};
use crate::support::databases::Kind;
use crate::support::eventually;
use crate::support::requests::{INTERIM, START, STOP};
use crate::support::server::Database;

const SUBSCRIBERS: usize = 16;
const DEVICES: usize = 3;
const PASSWORD: &str = "hello";

/// How long people come and go, seconds; midnight is a third of the way through.
const LENGTH: u64 = 3 * 3600;
/// Datagrams arrive in beats, seconds: what is on its way meets the server together.
const BEAT: u64 = 5;
/// A NAS asks again after so many seconds; the network lets the last of so many transmissions through.
const RETRY_EVERY: u64 = 5;
const TRANSMISSIONS: u32 = 12;
/// Seconds that the network may hold a datagram back.
const DELAY_MAX: u64 = 20;
/// … and a copy of one that says when it was made.
const LATE_COPY_MAX: u64 = 900;
/// In order, each of these may happen to a transmission, percent.
const LOST: u64 = 20;
const REPLY_LOST: u64 = 20;
const DOUBLED: u64 = 5;
const HELD_BACK: u64 = 10;
const COPIED_LATE: u64 = 2;
/// Restarts of the server; where it is a process about half of them are preceded by a kill.
const RESTARTS: u64 = 4;
/// How long an answer may take, in real time, before the kernel is believed to have dropped something.
const ANSWER: Duration = Duration::from_secs(2);

/// A zone and a day whose beginning is in the middle of things.
pub(super) const DAYS: [(&str, i16, i8, i8); 4] = [
    ("UTC", 2026, 3, 1),
    ("Asia/Tehran", 2026, 3, 21),
    // The clocks go from midnight to one o'clock, and from one o'clock to midnight.
    ("America/Havana", 2025, 3, 9),
    ("America/Havana", 2025, 11, 2),
];

/// A session as its NAS knows it.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) nas: usize,
    pub(super) boot: u32,
    pub(super) subscriber: usize,
    device: usize,
    pub(super) id: SmolStr,
    class: Option<SmolStr>,
    began: u64,
    /// Octets per second, in and out.
    rates: [u64; 2],
    over: bool,
    pub(super) heard: Heard,
}

/// Something that a NAS has to say until it is acknowledged.
struct Record {
    nas: usize,
    life: Option<usize>,
    said: Said,
    /// The counters as they were, where the record tells them.
    truth: Option<[u64; 2]>,
    made: u64,
    acknowledged: bool,
    forgotten: bool,
    /// What is sent again as it is.
    octets: Option<Vec<u8>>,
    transmissions: u32,
}

/// A datagram on its way.
#[derive(Clone)]
struct Flight {
    record: usize,
    octets: Vec<u8>,
    /// Acct-Delay-Time, where it is said.
    delay: u64,
    copies: usize,
    reply_arrives: bool,
}

enum Event {
    Login(usize, usize),
    Interim(usize),
    Logout(usize),
    Reboot(usize),
    Up(usize),
    Send(usize),
    Arrive(Box<Flight>),
    Restart,
}

pub(super) struct World<'a> {
    pub(super) context: String,
    entropy: SeededEntropy,
    pub(super) database: &'a mut Database,
    host: Host,
    zone: TimeZone,
    /// Unix seconds.
    begin: i64,
    pub(super) clock: u64,
    pub(super) nases: Vec<Nas>,
    pub(super) lives: Vec<Life>,
    records: Vec<Record>,
    pub(super) accounts: Vec<Account>,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    datagrams: usize,
}

impl<'a> World<'a> {
    /// On clocks of its own.
    pub(super) fn embedded(seed: u64, kind: Kind, database: &'a mut Database) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let (zone, year, month, day) = DAYS[usize::try_from(entropy.number() % 4).unwrap()];
        let midnight = jiff::civil::date(year, month, day).at(0, 0, 0, 0);
        let begin = TimeZone::get(zone).unwrap().to_timestamp(midnight).unwrap().as_second()
            - i64::try_from(LENGTH / 3).unwrap();
        let host = Host::embedded(database.url(), zone, &FLEET, begin);
        let world = Self { entropy, ..Self::new(seed, kind, database, host, zone, begin) };
        world.populated(&FLEET)
    }

    /// With the binary, whose clock goes on by itself: every NAS says when its records were made, in the
    /// hours before `now`, unix seconds.
    pub(super) fn binary(seed: u64, kind: Kind, database: &'a mut Database, now: i64) -> Self {
        let begin = now - i64::try_from(LENGTH + 6 * 3600).unwrap();
        // Where it is midnight in the course of it.
        let hour = (begin + i64::try_from(LENGTH / 2).unwrap()).rem_euclid(86_400) / 3600;
        let zone = if hour <= 12 { format!("Etc/GMT+{hour}") } else { format!("Etc/GMT-{}", 24 - hour) };
        let fleet = FLEET.map(|habits| {
            // What carries Class only now and then is found by it no more once the server has forgotten it,
            // and a server that was started hours later has forgotten all that is over.
            let echo = if habits.echo == Echo::Sometimes { Echo::Always } else { habits.echo };
            Habits { timing: Timing::EventTimestamp, echo, ..habits }
        });
        let host = Host::binary(database.url(), &zone, &fleet);
        Self::new(seed, kind, database, host, &zone, begin).populated(&fleet)
    }

    fn new(seed: u64, kind: Kind, database: &'a mut Database, host: Host, zone: &str, begin: i64) -> Self {
        for subscriber in 0..SUBSCRIBERS {
            // As many places as devices: a ghost locks nobody out.
            let places = DEVICES.to_string();
            let checks = [("Cleartext-Password", PASSWORD), ("Simultaneous-Use", &places)];
            database.subscriber(&login_of(subscriber), &checks[..1 + subscriber % 2]);
        }
        Self {
            context: format!("{kind:?} in {zone}, TOLLKEEPER_SEED={seed}"),
            entropy: SeededEntropy::new(seed),
            database,
            host,
            zone: TimeZone::get(zone).unwrap(),
            begin,
            clock: 0,
            nases: Vec::new(),
            lives: Vec::new(),
            records: Vec::new(),
            accounts: (0..SUBSCRIBERS).map(|_| Account::default()).collect(),
            events: BTreeMap::new(),
            sequence: 0,
            datagrams: 0,
        }
    }

    fn populated(mut self, fleet: &[Habits]) -> Self {
        self.nases = fleet.iter().cloned().map(Nas::new).collect();
        for subscriber in 0..SUBSCRIBERS {
            for device in 0..DEVICES {
                let at = self.random(600);
                self.at(at, Event::Login(subscriber, device));
            }
        }
        for nas in 0..self.nases.len() {
            let at = 600 + self.random(LENGTH - 600);
            self.at(at, Event::Reboot(nas));
        }
        for number in 0..RESTARTS {
            let at = (LENGTH * number + self.random(LENGTH)) / RESTARTS;
            self.at(at, Event::Restart);
        }
        self
    }

    fn random(&mut self, below: u64) -> u64 {
        self.entropy.number() % below
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random(100) < percent
    }

    fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    fn unix(&self, clock: u64) -> i64 {
        self.begin + i64::try_from(clock).unwrap()
    }

    /// Runs to the end. How many datagrams were answered.
    pub(super) fn run(mut self) -> usize {
        while let Some(((at, _), _)) = self.events.first_key_value() {
            self.clock = self.clock.max(at.next_multiple_of(BEAT));
            self.host.set_clock(self.clock);
            self.beat();
        }
        self.compare();
        self.rebooted_are_closed();
        // Whatever was not closed falls silent.
        self.clock += 3 * 86_400;
        self.host.set_clock(self.clock);
        if !self.host.can_be_killed() {
            eventually("the end of what is stale", || self.open_rows().is_empty().then_some(()));
        }
        self.compare();
        self.host.stop();
        self.compare();
        self.datagrams
    }

    /// Everything up to now happens; then what has arrived by now meets the server.
    fn beat(&mut self) {
        let (mut arrivals, mut logins, mut restart) = (Vec::new(), Vec::new(), false);
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.clock) {
            let ((at, _), event) = entry.remove_entry();
            match event {
                Event::Login(subscriber, device) => logins.extend(self.dial(at, subscriber, device)),
                Event::Interim(life) => self.interim(at, life),
                Event::Logout(life) => self.logout(at, life),
                Event::Reboot(nas) => self.reboot(at, nas),
                Event::Up(nas) => self.up(at, nas),
                Event::Send(record) => self.send(at, record),
                Event::Arrive(flight) => arrivals.push(*flight),
                Event::Restart => restart = true,
            }
        }
        for life in logins {
            self.login(life);
        }
        let mut is_killed = restart && self.host.can_be_killed() && self.chance(50);
        while !arrivals.is_empty() {
            let wave = self.wave(&mut arrivals);
            self.exchange(&wave, std::mem::take(&mut is_killed));
        }
        if restart {
            self.compare();
            self.host.restart();
            self.compare();
        }
    }

    /// A device dials a NAS that is up. The session that comes of it.
    fn dial(&mut self, at: u64, subscriber: usize, device: usize) -> Option<usize> {
        if at > LENGTH {
            return None;
        }
        let nas = usize::try_from(self.random(self.nases.len() as u64)).unwrap();
        if self.nases[nas].up_at > at {
            self.at(at + 60, Event::Login(subscriber, device));
            return None;
        }
        self.nases[nas].sessions += 1;
        let habits = &self.nases[nas].habits;
        // A 32-bit counter does not turn twice before somebody hears of it.
        let fastest = if habits.wide { 500_000_000 } else { (1 << 32) / (habits.interim + 100) };
        let (boot, number) = (self.nases[nas].boots, self.nases[nas].sessions);
        let rates = [self.random(fastest), self.random(fastest)];
        let heard = Heard::default();
        let (id, began) = (format_smolstr!("{number:08x}"), self.clock);
        let life = Life { nas, boot, subscriber, device, id, class: None, began, rates, over: false, heard };
        self.lives.push(life);
        Some(self.lives.len() - 1)
    }

    /// The device is let in, always at the first try, and its session begins.
    fn login(&mut self, index: usize) {
        let life = &self.lives[index];
        let (nas, login, station) =
            (life.nas, login_of(life.subscriber), station(life.subscriber, life.device));
        let request = self.nases[nas].login(&login, PASSWORD, &station);
        let reply = self.ask(nas, 0, &request);
        let packet = Packet::decode(&reply).unwrap();
        let code = packet.header().code;
        if code != Code::AccessAccept {
            let open: Vec<_> = self.open_rows().into_iter().filter(|row| row.0 == login).collect();
            panic!("{}: {login}, {station} dialled {nas} and got {code:?}; open: {open:?}", self.context);
        }
        let class = packet.first(CLASS).map(|class| SmolStr::from(str::from_utf8(class).unwrap()));
        assert!(class.is_some(), "every Accept names its session");
        if self.chance(REPLY_LOST) {
            assert_eq!(self.ask(nas, 0, &request), reply, "{}: the same reply again", self.context);
        }
        let echo = self.nases[nas].habits.echo;
        self.lives[index].class = class.filter(|_| echo != Echo::Never);
        let (now, interim) = (self.clock, self.nases[nas].habits.interim);
        self.say(now, index, START);
        self.at(now + interim, Event::Interim(index));
        let lasts = 100 + self.random(3600);
        self.at((now + lasts).min(LENGTH + 100), Event::Logout(index));
    }

    fn interim(&mut self, at: u64, index: usize) {
        if !self.lives[index].over {
            self.say(at, index, INTERIM);
            let interim = self.nases[self.lives[index].nas].habits.interim;
            self.at(at + interim, Event::Interim(index));
        }
    }

    fn logout(&mut self, at: u64, index: usize) {
        if !self.lives[index].over {
            self.say(at, index, STOP);
            self.end(at, index, 90);
        }
    }

    /// The device dials again after a while.
    fn end(&mut self, at: u64, index: usize, pause: u64) {
        self.lives[index].over = true;
        let (subscriber, device) = (self.lives[index].subscriber, self.lives[index].device);
        let again = at + pause + self.random(900);
        self.at(again, Event::Login(subscriber, device));
    }

    /// A NAS loses its power, or is told to start anew: it forgets everything, what it had still to say too.
    fn reboot(&mut self, at: u64, nas: usize) {
        let down = 100 + self.random(300);
        self.nases[nas].up_at = at + down;
        for record in self.records.iter_mut().filter(|record| record.nas == nas) {
            record.forgotten = true;
        }
        for index in 0..self.lives.len() {
            if self.lives[index].nas == nas && !self.lives[index].over {
                self.end(at, index, down);
            }
        }
        self.nases[nas].boots += 1;
        self.nases[nas].sessions = 0;
        if self.nases[nas].habits.reboot == Reboot::OffAndOn {
            self.announce(at, nas, ACCOUNTING_OFF);
        }
        self.at(at + down, Event::Up(nas));
    }

    fn up(&mut self, at: u64, nas: usize) {
        if self.nases[nas].habits.reboot != Reboot::Silent {
            self.announce(at, nas, ACCOUNTING_ON);
        }
        let again = at + 1800 + self.random(LENGTH);
        if again < LENGTH {
            self.at(again, Event::Reboot(nas));
        }
    }

    fn announce(&mut self, at: u64, nas: usize, status: u32) {
        let said = Said {
            status,
            user: SmolStr::default(),
            session: SmolStr::default(),
            station: SmolStr::default(),
            class: None,
            seconds: None,
            octets: None,
            made: self.unix(at),
        };
        self.record(at, nas, None, said, None);
    }

    /// A record of a session, by the habits of its NAS.
    fn say(&mut self, at: u64, index: usize, status: u32) {
        let echo_now = self.chance(50);
        let life = &self.lives[index];
        let habits = &self.nases[life.nas].habits;
        let ran = at - life.began;
        let counters = life.rates.map(|rate| rate * ran);
        let (seconds, truth, octets) = match (status, habits.stop) {
            (START, _) | (STOP, Stop::Nothing) => (None, None, None),
            (STOP, Stop::TimeAlone) => (Some(ran), None, None),
            (STOP, Stop::Noughts) => (Some(ran), None, Some([0, 0])),
            _ => (Some(ran), Some(counters), Some(counters)),
        };
        let said = Said {
            status,
            user: login_of(life.subscriber).into(),
            session: life.id.clone(),
            station: station(life.subscriber, life.device).into(),
            class: life.class.clone().filter(|_| habits.echo == Echo::Always || echo_now),
            seconds,
            octets,
            made: self.unix(at),
        };
        self.record(at, self.lives[index].nas, Some(index), said, truth);
    }

    fn record(&mut self, made: u64, nas: usize, life: Option<usize>, said: Said, truth: Option<[u64; 2]>) {
        let record = Record {
            nas,
            life,
            said,
            truth,
            made,
            acknowledged: false,
            forgotten: false,
            octets: None,
            transmissions: 0,
        };
        self.records.push(record);
        self.at(made, Event::Send(self.records.len() - 1));
    }

    /// One more transmission of what is not acknowledged. The network does what it likes.
    fn send(&mut self, at: u64, index: usize) {
        let record = &self.records[index];
        if record.acknowledged || record.forgotten {
            return;
        }
        let habits = &self.nases[record.nas].habits;
        let waits = habits.in_order
            && self.records[..index].iter().rev().any(|earlier| {
                earlier.life.is_some() && earlier.life == record.life && !earlier.acknowledged
            });
        if waits {
            return self.at(at + RETRY_EVERY, Event::Send(index));
        }
        let (nas, retry, timing) = (record.nas, habits.retry, habits.timing);
        let late = at - record.made;
        let record = &mut self.records[index];
        record.transmissions += 1;
        let is_last = record.transmissions == TRANSMISSIONS;
        let octets = match &record.octets {
            Some(octets) => octets.clone(),
            None => self.nases[nas].tell(&record.said, late),
        };
        if retry == Retry::SameOctets && timing != Timing::DelayTime {
            record.octets = Some(octets.clone());
        }
        let flight = Flight { record: index, octets, delay: late, copies: 1, reply_arrives: true };
        if is_last {
            return self.at(at, Event::Arrive(Box::new(flight)));
        }
        self.at(at + RETRY_EVERY, Event::Send(index));
        if self.chance(LOST) {
            return;
        }
        let copies = if self.chance(DOUBLED) { 2 } else { 1 };
        let held = if self.chance(HELD_BACK) { self.random(DELAY_MAX) } else { self.random(2) };
        let reply_arrives = !self.chance(REPLY_LOST);
        if timing == Timing::EventTimestamp && self.chance(COPIED_LATE) {
            let later = at + self.random(LATE_COPY_MAX);
            let copy = Flight { reply_arrives: false, ..flight.clone() };
            self.at(later, Event::Arrive(Box::new(copy)));
        }
        self.at(at + held, Event::Arrive(Box::new(Flight { copies, reply_arrives, ..flight })));
    }

    /// Takes what may meet the server in any order: of each device and each Acct-Session-Id one datagram,
    /// and none beside the reboot of its NAS. The rest stays.
    fn wave(&self, arrivals: &mut Vec<Flight>) -> Vec<Flight> {
        let (mut devices, mut ids) = (BTreeSet::new(), BTreeSet::new());
        // Does a datagram of the NAS speak of the NAS itself?
        let mut nases: BTreeMap<usize, bool> = BTreeMap::new();
        let is_free = |flight: &mut Flight| {
            let record = &self.records[flight.record];
            let speaks_of_nas = record.life.is_none();
            let mut is_free = match nases.get(&record.nas) {
                Some(other) => !*other && !speaks_of_nas,
                None => true,
            };
            *nases.entry(record.nas).or_default() |= speaks_of_nas;
            if let Some(life) = record.life {
                let life = &self.lives[life];
                is_free &= devices.insert((life.subscriber, life.device));
                is_free &= ids.insert((life.nas, life.id.clone()));
            }
            is_free
        };
        arrivals.extract_if(.., is_free).collect()
    }

    /// Sends them together and waits for every answer. `killed`: the server dies in the middle of it, and
    /// whoever has no answer asks the next one.
    fn exchange(&mut self, wave: &[Flight], killed: bool) {
        let [_, to] = self.host.addresses();
        for flight in wave {
            self.nases[self.records[flight.record].nas].clear();
            for _ in 0..flight.copies {
                self.nases[self.records[flight.record].nas].send(to, &flight.octets);
            }
        }
        if killed {
            self.host.kill();
        }
        for flight in wave {
            self.datagrams += 1;
            self.answer(self.records[flight.record].nas, 1, &flight.octets, killed);
            self.records[flight.record].acknowledged |= flight.reply_arrives;
            self.hear(flight);
        }
    }

    /// Asks the server and waits for its answer, however often.
    fn ask(&mut self, nas: usize, port: usize, request: &[u8]) -> Vec<u8> {
        self.answer(nas, port, request, true)
    }

    /// The answer to what was sent, or (`again`) is to be sent first. The kernel may drop something.
    fn answer(&mut self, nas: usize, port: usize, request: &[u8], mut again: bool) -> Vec<u8> {
        let (nas, to) = (&mut self.nases[nas], self.host.addresses()[port]);
        eventually("an answer", || {
            if std::mem::replace(&mut again, true) {
                nas.send(to, request);
            }
            nas.answer(request, ANSWER)
        })
    }

    /// The account's side of an acknowledged record.
    fn hear(&mut self, flight: &Flight) {
        let now = self.unix(self.clock);
        let record = &self.records[flight.record];
        let Some(index) = record.life else { return };
        let event = match self.nases[record.nas].habits.timing {
            Timing::EventTimestamp => record.said.made,
            Timing::DelayTime => now - i64::try_from(flight.delay).unwrap(),
            Timing::None => now,
        };
        let life = &mut self.lives[index];
        let (used, from, until) = life.heard.hear(&record.said, record.truth, event);
        if used != [0; 3] {
            self.accounts[life.subscriber].add(used, from, until, &self.zone);
        }
    }
}

pub(super) fn login_of(subscriber: usize) -> String {
    format!("subscriber{subscriber:02}")
}

fn station(subscriber: usize, device: usize) -> String {
    format!("AA-BB-CC-00-{subscriber:02}-{device:02}")
}
