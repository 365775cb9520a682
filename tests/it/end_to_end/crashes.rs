//! `kill -9` under load: what was acknowledged is in SQL, once, and every sum is exact; so it is where SQL
//! was locked and the spool had to take its place.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tollkeeper::domain::{Amount, Price};
use tollkeeper::entropy::{Entropy as _, SystemEntropy};
use tollkeeper::radius::verify_response;

use crate::support::databases::Kind;
use crate::support::eventually;
use crate::support::requests::{INTERIM, NasSocket, Record, STOP, secret};
use crate::support::server::{Database, Server, Setup, text};

#[test]
fn sqlite_keeps_what_was_acknowledged_before_a_kill() {
    survive_kills(Kind::Sqlite);
}

#[test]
fn postgresql_keeps_what_was_acknowledged_before_a_kill() {
    survive_kills(Kind::Postgres);
}

#[test]
fn mysql_keeps_what_was_acknowledged_before_a_kill() {
    survive_kills(Kind::MySql);
}

#[test]
fn fm_01_sqlite_gets_what_was_acknowledged_from_the_spool_before_a_kill() {
    survive_kills_with_the_spool(Kind::Sqlite);
}

#[test]
fn fm_01_postgresql_gets_what_was_acknowledged_from_the_spool_before_a_kill() {
    survive_kills_with_the_spool(Kind::Postgres);
}

#[test]
fn fm_01_mysql_gets_what_was_acknowledged_from_the_spool_before_a_kill() {
    survive_kills_with_the_spool(Kind::MySql);
}

/// What the sessions cost.
const PER_MINUTE: &str = "0.5";
const PER_KIB: &str = "0.0009765625";
const ROUNDS: u64 = 3;
const SENDERS: usize = 6;
/// Sessions that a sender has open at a time: so many of its records are on the way together.
const OPEN: usize = 5;
/// Interim updates between the Start and the Stop of a session.
const INTERIMS: u32 = 3;
/// Acknowledged records that are sent once more after the restart.
const REPEATED: usize = 20;

fn survive_kills(kind: Kind) {
    let Some(mut database) = Database::create(kind) else { return };
    let setup = Setup::on(database.url());
    let mut server = setup.start();
    let mut senders = metered(&mut database);
    for round in 0..ROUNDS {
        let dead = AtomicBool::new(false);
        let acknowledged = AtomicUsize::new(0);
        let delay = Duration::from_micros(SystemEntropy.number() % 400_000);
        std::thread::scope(|scope| {
            for sender in &mut senders {
                let (dead, acknowledged, to) = (&dead, &acknowledged, server.accounting);
                scope.spawn(move || while sender.step(to, dead, acknowledged) {});
            }
            eventually("the first acknowledgements", || {
                (acknowledged.load(Ordering::Relaxed) > SENDERS * OPEN).then_some(())
            });
            // Any instant will do; it is not waited for anything.
            std::thread::park_timeout(delay);
            server.process.kill();
            dead.store(true, Ordering::Relaxed);
        });
        let context = format!("{kind:?}, round {round}, killed after {delay:?}");
        check(&mut database, &senders, &format!("{context}, before the restart"));
        server = setup.start();
        recover(&mut senders, server.accounting);
        check(&mut database, &senders, &format!("{context}, after the retransmissions"));
    }
    end(kind, database, senders, server);
}

/// What locks the tables that accounting writes, as a maintenance does that is stuck, and what unlocks them.
const fn locks(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Sqlite => ["BEGIN IMMEDIATE", "ROLLBACK"],
        Kind::Postgres => ["BEGIN; LOCK TABLE radacct, tk_session IN ACCESS EXCLUSIVE MODE", "ROLLBACK"],
        Kind::MySql => ["LOCK TABLES radacct WRITE, tk_session WRITE", "UNLOCK TABLES"],
    }
}

/// Killed while the spool fills, and while it is drained; each time twice.
fn survive_kills_with_the_spool(kind: Kind) {
    let Some(mut database) = Database::create(kind) else { return };
    let setup = Setup::on(database.url()).database("commit_deadline = 0.05\n");
    let mut server = setup.start();
    let mut senders = metered(&mut database);
    let [lock, unlock] = locks(kind);
    for round in 0..4 {
        let draining = round % 2 == 1;
        let (dead, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
        let delay = Duration::from_micros(SystemEntropy.number() % if draining { 60_000 } else { 200_000 });
        std::thread::scope(|scope| {
            for sender in &mut senders {
                let (dead, acknowledged, to) = (&dead, &acknowledged, server.accounting);
                scope.spawn(move || while sender.step(to, dead, acknowledged) {});
            }
            let more = |wanted: usize| {
                let so_far = acknowledged.load(Ordering::Relaxed);
                eventually("acknowledgements", || {
                    (acknowledged.load(Ordering::Relaxed) > so_far + wanted).then_some(())
                });
            };
            more(SENDERS * OPEN);
            database.run(lock);
            more(2 * SENDERS * OPEN);
            if draining {
                database.run(unlock);
            }
            std::thread::park_timeout(delay);
            server.process.kill();
            dead.store(true, Ordering::Relaxed);
        });
        if !draining {
            database.run(unlock);
        }
        let context = format!("{kind:?}, round {round}, killed after {delay:?}");
        server = setup.start();
        settle(&server);
        // A transaction that nobody was answered for may end in the database after its server is dead: its
        // records are in the sums of the next server once they are sent again.
        check_rows(&mut database, &senders, &format!("{context}, after the restart"));
        recover(&mut senders, server.accounting);
        settle(&server);
        check(&mut database, &senders, &format!("{context}, after the retransmissions"));
    }
    end(kind, database, senders, server);
}

/// Waits until the spool is empty. What it says of itself may be two seconds old.
fn settle(server: &Server) {
    let mut empty = 0;
    eventually("the end of the spool", || {
        let in_it = |state: &str| server.metric(&format!("tollkeeper_spool_entries{{state=\"{state}\"}}"));
        assert_eq!(in_it("poison"), 0.0);
        empty = if in_it("rows") + in_it("records") > 0.0 { 0 } else { empty + 1 };
        std::thread::park_timeout(Duration::from_millis(500));
        (empty > 5).then_some(())
    });
}

/// Subscribers whose sessions cost something, and who sends their records.
fn metered(database: &mut Database) -> Vec<Sender> {
    let senders: Vec<Sender> = (0..SENDERS).map(Sender::new).collect();
    database.run("INSERT INTO tk_plan (name, groupname) VALUES ('metered', 'metered')");
    database.run(&format!(
        "INSERT INTO tk_charge_rule (plan_id, per_minute, per_kib) SELECT id, '{PER_MINUTE}', '{PER_KIB}' FROM tk_plan"
    ));
    for sender in &senders {
        let user = &sender.user;
        database
            .run(&format!("INSERT INTO tk_subscriber (username, plan_id) SELECT '{user}', id FROM tk_plan"));
        database.run(&format!(
            "INSERT INTO tk_wallet (subscriber_id, credit_limit) SELECT id, '100000' FROM tk_subscriber
             WHERE username = '{user}'"
        ));
        database.subscriber(&sender.user, &[("Cleartext-Password", "hello")]);
    }
    senders
}

fn recover(senders: &mut [Sender], to: SocketAddr) {
    std::thread::scope(|scope| {
        for sender in senders {
            scope.spawn(move || sender.recover(to));
        }
    });
}

/// Every session ends, and then the server.
fn end(kind: Kind, mut database: Database, mut senders: Vec<Sender>, server: Server) {
    let never = AtomicBool::new(false);
    for sender in &mut senders {
        sender.close_all(server.accounting, &never);
    }
    settle(&server);
    server.stop();
    check(&mut database, &senders, &format!("{kind:?}, at the end"));
    for sender in &senders {
        assert!(sender.lives.iter().all(|life| life.acknowledged.as_ref().unwrap().status == STOP));
    }
}

/// A session as its NAS knows it.
struct Life {
    /// The record that is on the way, if there is one.
    pending: Option<Record>,
    /// The last record that was acknowledged.
    acknowledged: Option<Record>,
}

impl Life {
    /// Puts the next record on the way; the last one is a Stop.
    fn advance(&mut self, number: usize, user: &str, stop: bool) {
        let next = match &self.acknowledged {
            None => Record::start(user, &format!("{user}-{number:05}")),
            Some(last) => Record {
                status: if stop || last.seconds >= 60 * INTERIMS { STOP } else { INTERIM },
                seconds: last.seconds + 60,
                input: last.input + 1_000 + u32::try_from(number).unwrap(),
                output: last.output + 7_919,
                ..last.clone()
            },
        };
        self.pending = Some(next);
    }

    fn stopped(&self) -> bool {
        self.acknowledged.as_ref().is_some_and(|record| record.status == STOP)
    }
}

/// A NAS that sends the records of its own subscriber.
struct Sender {
    user: String,
    socket: NasSocket,
    identifier: u8,
    lives: Vec<Life>,
}

impl Sender {
    fn new(number: usize) -> Self {
        Self { user: format!("sender{number}"), socket: NasSocket::bind(1), identifier: 0, lives: Vec::new() }
    }

    /// One more record for each open session. False once the server is dead.
    fn step(&mut self, to: SocketAddr, dead: &AtomicBool, acknowledged: &AtomicUsize) -> bool {
        let open = self.lives.iter().filter(|life| !life.stopped()).count();
        self.lives.extend((open..OPEN).map(|_| Life { pending: None, acknowledged: None }));
        for (number, life) in self.lives.iter_mut().enumerate().filter(|(_, life)| !life.stopped()) {
            life.advance(number, &self.user, false);
        }
        let answered = self.deliver(to, dead);
        acknowledged.fetch_add(answered, Ordering::Relaxed);
        !dead.load(Ordering::Relaxed)
    }

    /// Sends what is pending until it is acknowledged or the server is dead. How many were.
    fn deliver(&mut self, to: SocketAddr, dead: &AtomicBool) -> usize {
        let mut waiting = HashMap::new();
        for (number, life) in self.lives.iter().enumerate() {
            if let Some(record) = &life.pending {
                self.identifier = self.identifier.wrapping_add(1);
                waiting.insert(self.identifier, (number, record.encode(self.identifier)));
            }
        }
        let wanted = waiting.len();
        eventually("acknowledgements", || {
            for (_, request) in waiting.values() {
                self.socket.send(to, request);
            }
            while !waiting.is_empty()
                && let Some(reply) = self.socket.receive(Duration::from_millis(300))
            {
                // Answers of the server that was killed may still come: they are acknowledgements too,
                // but of requests that nobody waits for any more.
                if let Some((number, request)) = reply.get(1).and_then(|id| waiting.get(id))
                    && verify_response(request, &reply, &secret()).is_ok()
                {
                    let life = &mut self.lives[*number];
                    life.acknowledged = life.pending.take();
                    waiting.remove(&reply[1]);
                }
            }
            (waiting.is_empty() || dead.load(Ordering::Relaxed)).then_some(())
        });
        wanted - waiting.len()
    }

    /// After the restart: some records that were acknowledged come again, as retransmissions whose
    /// answer the NAS had missed; then what was not acknowledged, under new Identifiers.
    fn recover(&mut self, to: SocketAddr) {
        let repeated = self.lives.iter().rev().filter_map(|life| life.acknowledged.clone());
        for record in repeated.take(REPEATED).collect::<Vec<_>>() {
            self.identifier = self.identifier.wrapping_add(1);
            self.socket.ask(to, &record.encode(self.identifier));
        }
        self.deliver(to, &AtomicBool::new(false));
    }

    fn close_all(&mut self, to: SocketAddr, dead: &AtomicBool) {
        for (number, life) in self.lives.iter_mut().enumerate() {
            if !life.stopped() {
                life.advance(number, &self.user, true);
            }
        }
        self.deliver(to, dead);
        // A Start that was never acknowledged is one now, and has its Stop to come.
        if self.lives.iter().any(|life| !life.stopped()) {
            self.close_all(to, dead);
        }
    }
}

/// What sessions of a subscriber add up to: seconds, octets and cost, and the costs of those that are over.
struct Sums {
    used: [u64; 3],
    charged: Amount,
    posted: Vec<Amount>,
}

/// Every acknowledged record is in `radacct`, in one row; a record that was on the way may be there too.
/// What was counted for each subscriber is the sum of his rows.
fn check(database: &mut Database, senders: &[Sender], context: &str) {
    let sums = check_rows(database, senders, context);
    for (sender, Sums { used, charged, posted }) in senders.iter().zip(sums) {
        paid(database, &sender.user, charged, posted, context);
        let used = used.map(|sum| sum.to_string());
        // The daily buckets, and the lifetime's.
        for days in [">= 0", "= -1"] {
            let counted = format!(
                "SELECT {}, {}, {} FROM tk_usage u JOIN tk_subscriber s ON s.id = u.subscriber_id
             WHERE s.username = '{}' AND u.day {days}",
                text("coalesce(sum(u.seconds), 0)"),
                text("coalesce(sum(u.input), 0)"),
                text("coalesce(sum(u.output), 0)"),
                sender.user
            );
            assert_eq!(
                database.rows(&counted),
                std::slice::from_ref(&used),
                "{context}: usage of {} on days {days}",
                sender.user
            );
        }
    }
}

/// The rows alone; what they add up to by sender.
fn check_rows(database: &mut Database, senders: &[Sender], context: &str) -> Vec<Sums> {
    let sql = format!(
        "SELECT acctsessionid, CASE WHEN acctstoptime IS NULL THEN 'open' ELSE 'closed' END, {}, {}, {} FROM radacct",
        text("coalesce(acctsessiontime, 0)"),
        text("coalesce(acctinputoctets, 0)"),
        text("coalesce(acctoutputoctets, 0)"),
    );
    let mut rows: HashMap<String, Vec<[u32; 3]>> = HashMap::new();
    let mut closed: HashMap<String, bool> = HashMap::new();
    for row in database.rows(&sql) {
        let [session, state, counters @ ..] = row.as_slice() else { panic!("{row:?}") };
        closed.insert(session.clone(), state == "closed");
        let counters: Vec<u32> = counters.iter().map(|counter| counter.parse().unwrap()).collect();
        rows.entry(session.clone()).or_default().push(counters.try_into().unwrap());
    }
    let price =
        Price { per_minute: Amount::parse(PER_MINUTE).unwrap(), per_kib: Amount::parse(PER_KIB).unwrap() };
    let mut by_sender = Vec::new();
    for sender in senders {
        let mut sums = [0_u64; 3];
        let (mut charged, mut posted) = (Amount::ZERO, Vec::new());
        for (number, life) in sender.lives.iter().enumerate() {
            let session = format!("{}-{number:05}", sender.user);
            let found = rows.remove(&session).unwrap_or_default();
            let may_be: Vec<_> = [&life.acknowledged, &life.pending].into_iter().flatten().collect();
            match (&found[..], &life.acknowledged) {
                ([], None) => {}
                ([counters], _) => {
                    let is = |record: &&&Record| {
                        [record.seconds, record.input, record.output] == *counters
                            && (record.status == STOP) == closed[&session]
                    };
                    assert!(
                        may_be.iter().any(|record| is(&record)),
                        "{context}: {session} is {counters:?}, closed {}, and should be of {may_be:?}",
                        closed[&session]
                    );
                    for (sum, counter) in sums.iter_mut().zip(counters) {
                        *sum += u64::from(*counter);
                    }
                    let [seconds, input, output] = counters.map(u64::from);
                    let cost = price.of(seconds, input + output);
                    charged = charged.plus(cost).unwrap();
                    posted.extend(closed[&session].then_some(cost));
                }
                (rows, record) => panic!("{context}: {session}: {record:?} is in {} rows", rows.len()),
            }
        }
        by_sender.push(Sums { used: sums, charged, posted });
    }
    assert_eq!(rows, HashMap::new(), "{context}: rows of nobody");
    by_sender
}

/// Every session that is closed was posted, once; what the others have cost so far is known.
fn paid(database: &mut Database, user: &str, charged: Amount, mut posted: Vec<Amount>, context: &str) {
    let amount = |text: &String| Amount::parse(text).unwrap_or_else(|| panic!("{context}: {text}"));
    let whose = format!("subscriber_id = (SELECT id FROM tk_subscriber WHERE username = '{user}')");
    let deltas = format!("SELECT {} FROM tk_ledger WHERE {whose}", text("delta"));
    let mut deltas: Vec<Amount> =
        database.rows(&deltas).iter().map(|row| amount(&row[0]).negated()).collect();
    deltas.sort();
    posted.sort();
    assert_eq!(deltas, posted, "{context}: the ledger of {user}");
    let spent = posted.into_iter().fold(Amount::ZERO, |sum, cost| sum.plus(cost).unwrap());
    let [balance, taken, cost] = ["balance", "spent", "charged"].map(text);
    let wallet = database.rows(&format!("SELECT {balance}, {taken}, {cost} FROM tk_wallet WHERE {whose}"));
    let wallet: Vec<Amount> = wallet[0].iter().map(amount).collect();
    assert_eq!(wallet, [spent.negated(), spent, charged], "{context}: the wallet of {user}");
}
