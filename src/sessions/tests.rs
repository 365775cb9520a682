//! The rules of `scenarios.md` (T2 to T7) and of the failure model (FM-06 to FM-18), one by one.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::*;
use crate::domain::session::SessionDetails;
use crate::domain::{
    AccountingRecord, ClassToken, CloseGuess, Day, NasIdentity, NasReload, RecordStatus, ReportedOctets,
    Session, SessionKey, SubscriberId, UniqueId, Usage,
};
use crate::time::{Now, UnixTime};

/// A Thursday, 12:00 UTC.
pub(super) const NOON: i64 = 1_750_248_000;

#[expect(clippy::disallowed_methods, reason = "a base to count from; nothing waits for it")]
pub(super) fn noon() -> Now {
    Now { instant: Instant::now(), unix: UnixTime(NOON) }
}

pub(super) fn nas(last: u8) -> NasIdentity {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    NasIdentity { source: address, address: Some(address), identifier: "".into() }
}

/// A record of session 1 of NAS 1, `at` seconds after noon, received at once.
pub(super) fn record(status: RecordStatus, at: i64) -> AccountingRecord {
    let nas = nas(1);
    let key = SessionKey::of_nas(&nas, "00000001");
    AccountingRecord {
        status,
        key,
        nas_key: key,
        unique_id: UniqueId([1; 16]),
        nas,
        acct_session_id: "00000001".into(),
        user_name: "bob".into(),
        token: None,
        event_time: UnixTime(NOON + at),
        received: UnixTime(NOON + at),
        clock_suspect: false,
        session_time: None,
        input: ReportedOctets::default(),
        output: ReportedOctets::default(),
        terminate_cause: "".into(),
        framed_ip: None,
        calling_station_id: "".into(),
        called_station_id: "".into(),
        nas_port_id: "".into(),
        details: SessionDetails::default(),
    }
}

fn start(at: i64) -> AccountingRecord {
    record(RecordStatus::Start, at)
}

fn interim(at: i64, ran: u32, octets: u32) -> AccountingRecord {
    AccountingRecord {
        session_time: Some(ran),
        output: ReportedOctets { octets: Some(octets), gigawords: None },
        ..record(RecordStatus::InterimUpdate, at)
    }
}

fn stop(at: i64, ran: u32, octets: u32) -> AccountingRecord {
    AccountingRecord {
        status: RecordStatus::Stop,
        terminate_cause: "User-Request".into(),
        ..interim(at, ran, octets)
    }
}

trait With: Sized {
    fn device(self, mac: &str) -> Self;
    fn id(self, acct_session_id: &str) -> Self;
    fn nas(self, nas: NasIdentity) -> Self;
    fn token(self, token: u8) -> Self;
}

impl With for AccountingRecord {
    fn device(mut self, mac: &str) -> Self {
        self.calling_station_id = mac.into();
        self
    }

    fn id(mut self, acct_session_id: &str) -> Self {
        self.acct_session_id = acct_session_id.into();
        self.rekey()
    }

    fn nas(mut self, nas: NasIdentity) -> Self {
        self.nas = nas;
        self.rekey()
    }

    fn token(mut self, token: u8) -> Self {
        self.token = Some(ClassToken([token; 16]));
        self.rekey()
    }
}

trait Rekey {
    fn rekey(self) -> Self;
}

impl Rekey for AccountingRecord {
    fn rekey(mut self) -> Self {
        self.nas_key = SessionKey::of_nas(&self.nas, &self.acct_session_id);
        self.key =
            self.token.map_or(self.nas_key, |token| SessionKey::of_token(token, &self.acct_session_id));
        self.unique_id = UniqueId(self.key.0);
        self
    }
}

/// A subscriber, a clock and what SQL would hold.
struct World {
    sessions: SubscriberSessions,
    settings: Settings,
    noon: Now,
    now: Now,
    facts: RecordFacts<'static>,
}

impl World {
    fn new() -> Self {
        Self::of(Some(SubscriberId(7)))
    }

    fn of(subscriber: Option<SubscriberId>) -> Self {
        let noon = noon();
        Self {
            sessions: SubscriberSessions::new(subscriber),
            settings: Settings::default(),
            noon,
            now: noon,
            facts: RecordFacts::default(),
        }
    }

    /// `at` seconds after noon.
    fn at(&mut self, at: u64) -> &mut Self {
        self.now = self.noon.plus(Duration::from_secs(at));
        self
    }

    fn apply(&mut self, record: &AccountingRecord) -> Change {
        let change = self.sessions.apply(record, &self.facts, &self.settings, self.now);
        self.check();
        change
    }

    /// Applies at the time the record was received.
    fn receive(&mut self, record: &AccountingRecord) -> Change {
        self.at(u64::try_from(record.received.0 - NOON).unwrap()).apply(record)
    }

    fn timeout(&mut self) -> Change {
        self.sessions.handle_timeout(&self.settings, self.now)
    }

    fn reboot(&mut self, reload: &NasReload) -> Change {
        self.sessions.nas_rebooted(reload, &self.settings, self.now)
    }

    /// What must hold at any time.
    fn check(&self) {
        let counted = self.sessions.sessions().fold(Usage::default(), |sum, s| sum.plus(s.counted));
        let days = self.sessions.days().iter().fold(Usage::default(), |sum, (_, part)| sum.plus(*part));
        assert_eq!(days, self.sessions.lifetime(), "days add up");
        for session in self.sessions.sessions() {
            if session.subscriber.is_some() && session.subscriber == self.sessions.subscriber() {
                assert_eq!(session.counted, session.total(), "everything is counted");
            }
        }
        assert!(self.sessions.lifetime().beyond(counted).is_zero() || self.sessions.sessions().count() < 50);
    }

    fn all(&self) -> Vec<Session> {
        self.sessions.sessions().collect()
    }

    fn only(&self) -> Session {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "one session: {all:#?}");
        all.remove(0)
    }

    fn output(&self) -> Option<u64> {
        self.only().output.total()
    }
}

fn guess(session: &Session) -> Option<CloseGuess> {
    session.closed.as_ref().and_then(|closed| closed.guess)
}

// Order and repetition.

#[test]
fn start_interim_and_stop_make_one_record() {
    let mut world = World::new();
    assert_eq!(world.receive(&start(0)).what, SessionChange::Opened);
    assert_eq!(world.receive(&interim(300, 300, 4000)).what, SessionChange::Updated);
    let change = world.receive(&stop(600, 600, 9000));
    assert_eq!(change.what, SessionChange::Closed);
    let session = world.only();
    assert_eq!(session.started, UnixTime(NOON));
    assert_eq!(session.total(), Usage { seconds: 600, input: 0, output: 9000 });
    let closed = session.closed.as_ref().unwrap();
    assert_eq!(
        (closed.at, closed.cause.as_str(), closed.guess),
        (UnixTime(NOON + 600), "User-Request", None)
    );
    assert_eq!(change.session(), Some(&session));
    assert_eq!(session.input.total(), None, "missing is not zero");
}

#[test]
fn t2_a_late_interim_lowers_nothing() {
    let mut world = World::new();
    world.receive(&interim(600, 600, 9_000_000));
    let late = AccountingRecord { received: UnixTime(NOON + 601), ..interim(300, 300, 4_000_000) };
    let change = world.receive(&late);
    assert_eq!(change.what, SessionChange::Unchanged);
    assert_eq!(world.only().total(), Usage { seconds: 600, input: 0, output: 9_000_000 });
}

#[test]
fn t2_holds_for_a_session_whose_start_was_seen_and_whose_times_are_made_up() {
    let mut world = World::new();
    world.apply(&start(0));
    world.apply(&interim(0, 600, 9_000_000));
    world.apply(&interim(-300, 300, 4_000_000));
    assert_eq!(world.only().total(), Usage { seconds: 600, input: 0, output: 9_000_000 });
}

#[test]
fn t3_a_stop_without_octets_keeps_the_last_known() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(300, 300, 9000));
    let bare = AccountingRecord { output: ReportedOctets::default(), ..stop(400, 400, 0) };
    world.receive(&bare);
    assert_eq!(world.only().total(), Usage { seconds: 400, input: 0, output: 9000 });
    assert!(!world.only().flags.reset);
}

#[test]
fn t3_an_interim_that_a_stop_without_counters_overtook_is_counted() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(60, 60, 1000));
    world.receive(&record(RecordStatus::Stop, 125));
    world.receive(&interim(120, 120, 2500));
    let session = world.only();
    assert_eq!((session.session_time.total(), world.output()), (Some(120), Some(2500)));
    assert_eq!(session.closed.map(|closed| closed.at), Some(UnixTime(NOON + 125)));
    // What would have happened after the Stop did not.
    world.receive(&interim(180, 180, 4000));
    assert_eq!((world.only().session_time.total(), world.output()), (Some(120), Some(2500)));
}

#[test]
fn t4_a_32_bit_counter_that_wraps_is_continued() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(60, 60, 4_294_967_000));
    world.receive(&interim(120, 120, 5000));
    assert_eq!(world.output(), Some(4_294_972_296));
    let flags = world.only().flags;
    assert!(flags.wrapped && !flags.reset && !flags.gigawords);
    // What comes again, or late, adds nothing.
    world.receive(&AccountingRecord { received: UnixTime(NOON + 121), ..interim(60, 60, 4_294_967_000) });
    world.receive(&interim(120, 120, 5000));
    assert_eq!(world.output(), Some(4_294_972_296));
}

#[test]
fn fm13_a_counter_that_falls_on_a_nas_with_gigawords_was_reset() {
    let mut world = World::new();
    world.facts.nas_sends_gigawords = true;
    world.receive(&start(0));
    world.receive(&interim(60, 60, 4_294_967_000));
    world.receive(&interim(120, 120, 5000));
    assert_eq!(world.output(), Some(4_294_972_000));
    assert!(world.only().flags.reset && !world.only().flags.wrapped);
}

#[test]
fn gigawords_make_64_bits_even_when_they_are_zero() {
    let mut world = World::new();
    world.receive(&start(0));
    let mut wide = interim(60, 60, 0xffff_ffff);
    wide.output.gigawords = Some(3);
    world.receive(&wide);
    assert_eq!(world.output(), Some((3 << 32) + 0xffff_ffff));
    assert!(world.only().flags.gigawords);

    let mut world = World::new();
    let mut zero = interim(60, 60, 4_294_967_000);
    zero.output.gigawords = Some(0);
    world.receive(&zero);
    world.receive(&interim(120, 120, 5000));
    assert_eq!(world.output(), Some(4_294_972_000));
}

#[test]
fn a_wrap_without_session_time_is_seen_by_event_time() {
    let without = |at, octets| AccountingRecord { session_time: None, ..interim(at, 0, octets) };
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&without(60, 4_294_967_000));
    world.receive(&without(120, 5000));
    assert_eq!(world.output(), Some(4_294_972_296));
    world.receive(&without(61, 4_294_967_000));
    assert_eq!(world.output(), Some(4_294_972_296));
    // Within the slack a lower value is late.
    world.receive(&without(125, 4900));
    assert_eq!(world.output(), Some(4_294_972_296));
}

#[test]
fn t5_an_interim_after_the_stop_changes_nothing() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&stop(600, 600, 9000));
    let before = world.only();
    for late in [interim(600, 600, 9000), interim(300, 300, 8000), interim(601, 900, 99_000)] {
        let change = world.at(700).apply(&late);
        assert_eq!(change.what, SessionChange::Unchanged);
        assert_eq!(change.session(), Some(&before), "the whole row is written again");
    }
    assert_eq!(world.only(), before);
}

#[test]
fn t6_a_ghost_is_closed_once_and_keeps_its_usage() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(600, 600, 9_000_000));
    let id = world.only().unique_id;
    world.at(700);
    let change = world.sessions.close_guess(id, CloseGuess::UnknownToNas, &world.settings, world.now);
    assert_eq!((change.what, change.rows.len()), (SessionChange::Closed, 1));
    let again = world.sessions.close_guess(id, CloseGuess::Stale, &world.settings, world.now);
    assert!(again.is_empty());
    let session = world.only();
    assert_eq!(session.total().output, 9_000_000);
    let closed = session.closed.as_ref().unwrap();
    assert_eq!((closed.at, closed.guess), (UnixTime(NOON + 600), Some(CloseGuess::UnknownToNas)));
    world.receive(&interim(1200, 1200, 10_000_000));
    assert!(world.only().is_open() && world.only().flags.reopened);
}

#[test]
fn t7_fm06_a_retransmitted_start_does_not_move_the_start() {
    for again in [
        start(0),
        start(2),
        AccountingRecord { received: UnixTime(NOON + 2), ..start(0) },
        AccountingRecord { received: UnixTime(NOON + 2), ..start(-1) },
        start(9),
        start(45),
    ] {
        let mut world = World::new();
        world.receive(&start(0));
        let change = world.at(50).apply(&again);
        assert_eq!(change.what, SessionChange::Unchanged, "{:?}", again.event_time);
        assert_eq!(world.only().started, UnixTime(NOON));
        assert_eq!(change.rows.len(), 1);
    }
}

#[test]
fn fm06_sixteen_copies_of_one_stop_are_one_record() {
    let mut world = World::new();
    world.receive(&start(0));
    let mut usage = Vec::new();
    for copy in 0..16 {
        let change = world.at(600 + copy).apply(&stop(600, 600, 9000));
        usage.push(change.usage.iter().map(|(_, usage)| usage.output).max());
    }
    assert_eq!(world.only().total().output, 9000);
    assert_eq!(usage, [Some(9000); 16], "each copy writes the buckets again");
}

#[test]
fn many_sessions_read_back_for_their_repeated_stops_are_counted_once() {
    let mut world = World::new();
    let id = |number: u32| format!("s{number}");
    for number in 0..40 {
        world.at(0).apply(&start(0).id(&id(number)));
        world.at(60).apply(&stop(60, 60, 900).id(&id(number)));
    }
    let kept = world.all();
    assert_eq!(kept.len(), 40, "none may go before its row is committed");
    let usage = world.sessions.lifetime();
    // After the server forgot them, the repetitions come all at once: each is looked up first.
    let mut later = World::new();
    later.sessions.continue_usage(vec![(Day::LIFETIME, usage), (world.sessions.days()[0].0, usage)]);
    for session in kept {
        later.sessions.restore(session, &later.settings, later.noon);
    }
    for number in 0..40 {
        later.at(1).apply(&stop(60, 60, 900).id(&id(number)));
    }
    assert_eq!(later.sessions.lifetime(), usage);
    // Memory is given back once it is safe.
    later.at(120).apply(&start(120).id("next"));
    assert!(later.all().len() <= later.settings.tombstones_max + 1);
}

#[test]
fn fm07_a_retransmission_with_a_new_delay_time_is_the_same_record() {
    let mut world = World::new();
    for delay in [0, 5, 10, 60] {
        world.at(100 + delay);
        world.apply(&AccountingRecord { received: world.now.unix, ..start(100) });
    }
    for delay in [0, 5, 10, 60] {
        world.at(700 + delay);
        world.apply(&AccountingRecord { received: world.now.unix, ..stop(700, 600, 900) });
    }
    assert_eq!(world.only().total(), Usage { seconds: 600, input: 0, output: 900 });
}

#[test]
fn a_stop_sent_again_without_delay_time_does_not_move_the_end() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&stop(603, 600, 9000));
    world.receive(&stop(600, 600, 9000));
    world.receive(&stop(660, 600, 9000));
    assert_eq!(world.only().closed.as_ref().unwrap().at, UnixTime(NOON + 600));
}

#[test]
fn fm09_a_start_after_the_stop_completes_the_record_and_does_not_reopen() {
    let mut world = World::new();
    world.receive(&stop(600, 600, 9000));
    assert!(world.only().flags.start_inferred);
    let mut late = start(-3);
    late.details.connect_info_start = "CONNECT 1000".into();
    late.framed_ip = Some(Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(world.at(601).apply(&late).what, SessionChange::Updated);
    let session = world.only();
    assert_eq!(session.started, UnixTime(NOON - 3));
    assert!(!session.is_open() && !session.flags.start_inferred);
    assert_eq!(session.details.connect_info_start, "CONNECT 1000");
    assert_eq!(session.framed_ip, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(session.total().output, 9000);
}

#[test]
fn fm11_an_interim_without_a_start_opens_a_session_with_an_inferred_start() {
    let mut world = World::new();
    assert_eq!(world.receive(&interim(600, 600, 9000)).what, SessionChange::Opened);
    assert_eq!(world.only().started, UnixTime(NOON));
    assert!(world.only().flags.start_inferred);
    // The real Start moves it earlier, never later.
    world.apply(&start(-5));
    assert_eq!(world.only().started, UnixTime(NOON - 5));
    assert!(!world.only().flags.start_inferred);
    world.apply(&start(-9));
    assert_eq!(world.only().started, UnixTime(NOON - 5));
}

#[test]
fn fm12_a_stop_without_a_start_is_a_complete_record() {
    let mut world = World::new();
    let change = world.receive(&stop(600, 600, 9000));
    assert_eq!(change.what, SessionChange::Closed);
    let session = world.only();
    assert_eq!(session.started, UnixTime(NOON));
    assert_eq!(session.total(), Usage { seconds: 600, input: 0, output: 9000 });
    assert_eq!(world.sessions.lifetime(), session.total());
}

#[test]
fn ac30_a_new_address_is_taken_and_the_old_one_kept() {
    let address = |last| Some(Ipv4Addr::new(10, 0, 0, last));
    let mut world = World::new();
    world.receive(&AccountingRecord { framed_ip: address(1), ..start(0) });
    world.receive(&AccountingRecord { framed_ip: address(2), ..interim(60, 60, 1) });
    world.receive(&AccountingRecord { framed_ip: address(3), ..interim(120, 120, 2) });
    let late =
        AccountingRecord { received: UnixTime(NOON + 121), framed_ip: address(2), ..interim(60, 60, 1) };
    world.receive(&late);
    assert_eq!(world.only().framed_ip, address(3));
    assert_eq!(world.only().details.earlier_addresses, "10.0.0.1,10.0.0.2");
}

#[test]
fn fm18_a_prefix_that_changes_is_kept_beside_the_new_one() {
    let with = |prefix: &str, mut record: AccountingRecord| {
        record.details.delegated_ipv6_prefix = prefix.into();
        record
    };
    let mut world = World::new();
    world.receive(&with("2001:db8:1::/48", start(0)));
    world.receive(&with("2001:db8:2::/48", interim(60, 60, 1)));
    let details = world.only().details;
    assert_eq!(details.delegated_ipv6_prefix, "2001:db8:2::/48");
    assert_eq!(details.earlier_addresses, "2001:db8:1::/48");
}

#[test]
fn ac31_links_of_one_bundle_are_sessions_of_their_own() {
    let link = |id: &str, at| {
        let mut link = start(at).id(id).device("aa:bb:cc:dd:ee:ff");
        link.details.multi_session_id = "bundle".into();
        link
    };
    let mut world = World::new();
    world.receive(&link("1", 0));
    world.receive(&link("2", 1));
    assert_eq!(world.all().iter().filter(|s| s.is_open()).count(), 2);
}

// Uses of one Acct-Session-Id.

#[test]
fn fm16_a_session_id_used_again_after_a_silent_reboot_is_a_new_session() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(600, 600, 9000));
    let change = world.receive(&start(700));
    assert_eq!((change.what, change.rows.len()), (SessionChange::Opened, 2));
    world.receive(&interim(1000, 300, 50));
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((guess(old), old.total().output), (Some(CloseGuess::SessionIdReused), 9000));
    assert_eq!((old.epoch, new.epoch), (0, 1));
    assert_eq!((new.started, new.total().output), (UnixTime(NOON + 700), 50));
    assert_ne!(old.unique_id, new.unique_id);
    assert_eq!(new.unique_id, old.unique_id.salted(1));
    assert!(new.flags.salted && !old.flags.salted);
    assert_eq!(world.sessions.lifetime(), Usage { seconds: 900, input: 0, output: 9050 });
}

#[test]
fn fm16_within_one_second_an_accounting_on_tells_the_uses_apart() {
    let mut world = World::new();
    world.apply(&start(0));
    world.apply(&interim(0, 600, 5000));
    world.reboot(&NasReload { nas: nas(1), at: UnixTime(NOON) });
    assert_eq!(guess(&world.only()), Some(CloseGuess::NasReboot));
    assert_eq!(world.apply(&start(0)).what, SessionChange::Opened);
    world.apply(&interim(0, 60, 100));
    world.apply(&stop(0, 70, 120));
    let [old, new] = &world.all()[..] else { panic!("two sessions: {:#?}", world.all()) };
    assert_eq!((old.total().output, new.total().output), (5000, 120));
    assert_eq!((guess(old), guess(new)), (Some(CloseGuess::NasReboot), None));
}

#[test]
fn a_late_stop_of_the_earlier_use_closes_the_earlier_use() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(600, 600, 9000));
    world.receive(&start(700));
    let late = AccountingRecord { received: UnixTime(NOON + 705), ..stop(650, 650, 9500) };
    assert_eq!(world.receive(&late).what, SessionChange::Updated);
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((guess(old), old.total().output), (None, 9500));
    assert!(new.is_open());
    // The same without a word about its delay: its session time leads back to the first start.
    world.receive(&stop(720, 670, 9600));
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!(old.total().output, 9600);
    assert!(new.is_open());
}

#[test]
fn a_start_long_after_the_stop_is_a_new_session() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&stop(100, 100, 900));
    world.receive(&start(105));
    assert_eq!(world.all().len(), 1, "within the slack it may be the old one");
    world.receive(&start(120));
    assert_eq!(world.all().len(), 2);
    assert!(world.all()[1].is_open());
}

#[test]
fn a_start_with_another_user_name_is_a_new_session() {
    let mut world = World::new();
    world.receive(&start(0));
    let other = AccountingRecord { user_name: "Bob".into(), ..start(1) };
    assert!(world.sessions.find(&other).is_none());
    assert_eq!(world.receive(&other).what, SessionChange::Opened);
    assert_eq!(guess(&world.all()[0]), Some(CloseGuess::SessionIdReused));
    // An Interim-Update may rewrite the name.
    let renamed = AccountingRecord { user_name: "bob@isp".into(), ..interim(60, 60, 5) };
    assert_eq!(world.receive(&renamed).what, SessionChange::Updated);
    assert_eq!(world.all()[1].user_name, "Bob");
}

#[test]
fn an_interim_that_begins_anew_is_a_new_session() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(600, 600, 9000));
    world.receive(&interim(900, 100, 500));
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((guess(old), old.total().output), (Some(CloseGuess::SessionIdReused), 9000));
    assert_eq!((new.started, new.total().output), (UnixTime(NOON + 800), 500));
    assert!(new.flags.start_inferred);
}

#[test]
fn a_stop_that_begins_anew_is_a_complete_record_of_a_new_session() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(600, 600, 9000));
    world.receive(&stop(900, 100, 500));
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((old.total().output, new.total().output), (9000, 500));
    assert_eq!((guess(old), guess(new)), (Some(CloseGuess::SessionIdReused), None));
    assert!(!new.is_open());
}

#[test]
fn an_interim_with_less_but_no_later_start_is_late() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(600, 600, 9000));
    // Sent again half a minute later without Acct-Delay-Time.
    world.receive(&interim(630, 300, 4000));
    assert_eq!(world.output(), Some(9000));
}

#[test]
fn a_session_time_that_stands_still_is_not_a_new_session() {
    // The clock of the NAS is set an hour ahead after the Start.
    let mut world = World::new();
    world.receive(&start(0));
    let ahead = |at: i64, ran, octets| AccountingRecord {
        received: UnixTime(NOON + at),
        ..interim(at + 3600, ran, octets)
    };
    world.receive(&ahead(60, 60, 100));
    world.receive(&ahead(120, 120, 200));
    assert_eq!(world.only().total(), Usage { seconds: 120, input: 0, output: 200 });
}

#[test]
fn a_start_from_long_before_is_an_earlier_use_of_the_id() {
    let mut world = World::new();
    world.receive(&start(3600));
    let late = AccountingRecord { received: UnixTime(NOON + 3601), ..start(0) };
    assert_eq!(world.receive(&late).what, SessionChange::Closed);
    world.receive(&AccountingRecord { received: UnixTime(NOON + 3602), ..stop(1000, 1000, 77) });
    let [new, old] = &world.all()[..] else { panic!("two sessions") };
    assert!(new.is_open() && new.total().is_zero());
    assert_eq!((guess(old), old.total().output), (None, 77));
}

#[test]
fn fm17_one_session_id_on_two_nases_is_two_sessions() {
    let mut world = World::new();
    let behind =
        |source: u8| NasIdentity { source: IpAddr::V4(Ipv4Addr::new(198, 51, 100, source)), ..nas(1) };
    for source in [1, 2] {
        world.receive(&AccountingRecord { unique_id: UniqueId([9; 16]), ..start(0).nas(behind(source)) });
    }
    world.receive(&interim(60, 60, 5).nas(behind(2)));
    let [one, two] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((one.total().output, two.total().output), (0, 5));
    assert_ne!(one.unique_id, two.unique_id, "FreeRADIUS gives both the same id");
    assert!(two.flags.salted);
}

#[test]
fn a_row_of_another_server_goes_on_although_it_does_not_name_the_nas_identifier() {
    let named = NasIdentity { identifier: "bras".into(), ..nas(1) };
    let mut before = World::new();
    let opened = AccountingRecord { unique_id: UniqueId([9; 16]), ..start(0).nas(named.clone()) };
    before.receive(&opened);
    for key in [opened.nas_key, SessionKey([9; 16])] {
        let mut world = World::new();
        let row = Session { key, nas: nas(1), ..before.only().clone() };
        world.sessions.restore(row, &world.settings, world.now);
        let closing = AccountingRecord { unique_id: UniqueId([9; 16]), ..stop(90, 90, 7).nas(named.clone()) };
        assert_eq!(world.receive(&closing).what, SessionChange::Closed);
        let only = world.only();
        assert_eq!((only.unique_id, only.total().output, &only.nas), (UniqueId([9; 16]), 7, &named));
    }
}

// Our token in Class.

#[test]
fn another_token_is_another_session() {
    let mut world = World::new();
    world.receive(&start(0).token(1));
    world.receive(&interim(60, 60, 700).token(1));
    world.receive(&start(61).token(2));
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!(guess(old), Some(CloseGuess::SessionIdReused));
    assert!(new.is_open() && !new.flags.salted, "the token makes the unique id another already");
    world.receive(&AccountingRecord { received: UnixTime(NOON + 70), ..stop(62, 62, 800).token(1) });
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((old.total().output, new.total().output), (800, 0));
}

#[test]
fn one_token_on_two_session_ids_is_two_linked_sessions() {
    let mut world = World::new();
    world.receive(&start(0).id("v4").token(1).device("aa:bb:cc:dd:ee:ff"));
    world.receive(&start(1).id("v6").token(1).device("aa:bb:cc:dd:ee:ff"));
    assert_eq!(world.all().iter().filter(|s| s.is_open()).count(), 2);
}

#[test]
fn a_token_keeps_a_session_together_while_it_roams() {
    let mut world = World::new();
    world.receive(&start(0).token(1));
    let moved = world.receive(&interim(60, 60, 700).nas(nas(2)).token(1));
    assert_eq!(world.output(), Some(700));
    assert_eq!((&world.only().nas, moved.moved_from), (&nas(2), Some(nas(1))));
    assert_eq!(world.receive(&interim(120, 120, 900).nas(nas(2)).token(1)).moved_from, None);
}

#[test]
fn a_token_that_only_some_records_carry_still_finds_the_session() {
    let (with, without) = (|r: AccountingRecord| r.token(1), |r: AccountingRecord| r);
    for order in [[true, false, true], [false, true, false], [false, false, true], [true, true, false]] {
        let records = [start(0), interim(60, 60, 700), stop(90, 90, 800)];
        let mut world = World::new();
        for (record, has) in records.into_iter().zip(order) {
            world.receive(&if has { with(record) } else { without(record) });
        }
        assert_eq!(world.output(), Some(800));
        assert!(!world.only().is_open());
        assert_eq!(world.only().token, Some(ClassToken([1; 16])));
        assert_eq!(world.only().key, SessionKey::of_token(ClassToken([1; 16]), "00000001"));
    }
}

// Reboots.

#[test]
fn fm14_an_accounting_on_closes_the_sessions_of_its_nas_at_their_last_sign_of_life() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(300, 300, 9000));
    world.receive(&start(0).nas(nas(2)).id("x"));
    let reload = NasReload { nas: nas(1), at: UnixTime(NOON + 500) };
    world.at(500);
    let change = world.reboot(&reload);
    assert_eq!(change.rows.len(), 1);
    let closed = world.all()[0].closed.clone().unwrap();
    assert_eq!((closed.at, closed.guess), (UnixTime(NOON + 300), Some(CloseGuess::NasReboot)));
    assert_eq!(closed.cause, "NAS-Reboot");
    assert_eq!(world.all()[0].total().output, 9000);
    assert!(world.all()[1].is_open());
    assert!(world.reboot(&reload).is_empty(), "a duplicate finds nothing to do");
}

#[test]
fn fm14_a_start_that_overtook_the_accounting_on_stays_open() {
    let mut world = World::new();
    world.receive(&start(10));
    world.reboot(&NasReload { nas: nas(1), at: UnixTime(NOON + 5) });
    assert!(world.only().is_open());
    world.facts.nas_reloaded = Some(UnixTime(NOON + 5));
    world.receive(&interim(70, 60, 1));
    assert!(world.only().is_open());
    assert_eq!(world.all().len(), 1);
}

#[test]
fn fm14_what_is_late_from_before_the_reboot_counts_but_does_not_undo_it() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(300, 300, 9000));
    world.reboot(&NasReload { nas: nas(1), at: UnixTime(NOON + 500) });
    world.receive(&AccountingRecord { received: UnixTime(NOON + 510), ..interim(450, 450, 9900) });
    assert_eq!(world.output(), Some(9900));
    let closed = world.only().closed.clone().unwrap();
    assert_eq!((closed.at, closed.guess), (UnixTime(NOON + 450), Some(CloseGuess::NasReboot)));
    // Its real Stop replaces the guess.
    world.receive(&AccountingRecord { received: UnixTime(NOON + 520), ..stop(480, 480, 9950) });
    assert_eq!((world.output(), guess(&world.only())), (Some(9950), None));
}

#[test]
fn a_record_from_after_the_reboot_is_of_a_new_session() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(300, 300, 9000));
    world.facts.nas_reloaded = Some(UnixTime(NOON + 500));
    let change = world.receive(&interim(700, 100, 10_000));
    assert_eq!((change.what, change.rows.len()), (SessionChange::Opened, 2));
    let [old, new] = &world.all()[..] else { panic!("two sessions") };
    assert_eq!((guess(old), old.total().output), (Some(CloseGuess::NasReboot), 9000));
    assert_eq!((new.started, new.total().output), (UnixTime(NOON + 600), 10_000));
}

#[test]
fn an_accounting_on_that_was_no_reboot_is_undone_by_the_session_itself() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(300, 300, 9000));
    world.reboot(&NasReload { nas: nas(1), at: UnixTime(NOON + 500) });
    assert_eq!(world.receive(&interim(600, 600, 9900)).what, SessionChange::Reopened);
    assert_eq!(world.output(), Some(9900), "counted once, as one session");
    // The NAS reboots and says so twice; between the two a session begins.
    let mut world = World::new();
    world.receive(&start(3));
    world.reboot(&NasReload { nas: nas(1), at: UnixTime(NOON + 6) });
    assert_eq!(world.receive(&interim(63, 60, 700)).what, SessionChange::Reopened);
    assert_eq!(world.output(), Some(700));
}

#[test]
fn a_session_that_has_our_token_outlives_clocks_that_were_a_day_behind() {
    let mut world = World::new();
    world.receive(&start(0).token(1));
    world.receive(&interim(300, 300, 9000).token(1));
    world.reboot(&NasReload { nas: nas(1), at: UnixTime(NOON + 50_000) });
    let day = 86_400;
    assert_eq!(world.receive(&interim(day + 600, 600, 9900).token(1)).what, SessionChange::Reopened);
    assert_eq!(world.only().total(), Usage { seconds: 600, input: 0, output: 9900 }, "counted once");
    // Its Start, once more, from before the clock was set back.
    let mut world = World::new();
    world.receive(&start(day).token(1));
    let again = AccountingRecord { received: UnixTime(NOON + day + 5), ..start(0).token(1) };
    world.receive(&again);
    let interim =
        AccountingRecord { received: UnixTime(NOON + day + 300), ..interim(300, 300, 9000).token(1) };
    world.receive(&interim);
    assert_eq!(world.only().total(), Usage { seconds: 300, input: 0, output: 9000 }, "one session");
}

#[test]
fn a_start_and_an_accounting_on_that_are_both_sent_again_are_one_session() {
    let mut world = World::new();
    world.receive(&start(0));
    world.at(5).reboot(&NasReload { nas: nas(1), at: UnixTime(NOON + 5) });
    assert_eq!(guess(&world.only()), Some(CloseGuess::NasReboot));
    assert_eq!(world.receive(&start(11)).what, SessionChange::Reopened);
    assert_eq!(world.only().started, UnixTime(NOON));
    for n in 1..4_u32 {
        world.receive(&interim(i64::from(n) * 60, n * 60, n * 1000));
    }
    assert_eq!(world.only().total(), Usage { seconds: 180, input: 0, output: 3000 });
}

#[test]
fn a_session_whose_first_record_is_from_before_the_reboot_is_closed_at_once() {
    let mut world = World::new();
    world.facts.nas_reloaded = Some(UnixTime(NOON + 500));
    let late = AccountingRecord { received: UnixTime(NOON + 510), ..interim(300, 300, 9000) };
    assert_eq!(world.receive(&late).what, SessionChange::Closed);
    assert_eq!(guess(&world.only()), Some(CloseGuess::NasReboot));
}

// Silence.

#[test]
fn fm14b_a_session_that_falls_silent_is_closed_as_a_guess_and_undone_by_life() {
    let mut world = World::new();
    world.receive(&start(0));
    for n in 1..=5_u32 {
        world.receive(&interim(i64::from(n) * 120, n * 120, n * 1000));
    }
    assert_eq!(world.only().interval, 120);
    let stale_at = world.sessions.poll_timeout().unwrap();
    assert_eq!(stale_at, world.noon.instant + Duration::from_secs(600 + 360));
    assert_eq!(world.at(959).timeout().rows.len(), 0);
    assert_eq!(world.at(960).timeout().rows.len(), 1);
    let closed = world.only().closed.clone().unwrap();
    assert_eq!((closed.at, closed.guess), (UnixTime(NOON + 600), Some(CloseGuess::Stale)));
    assert_eq!(closed.cause, "Stale-Session");
    assert_eq!(world.receive(&interim(1000, 1000, 9000)).what, SessionChange::Reopened);
    assert!(world.only().is_open() && world.only().flags.reopened);
    assert_eq!(world.output(), Some(9000));
    // Silent again; this time its Stop comes late and replaces the guess.
    world.at(5000).timeout();
    assert!(!world.only().is_open());
    assert_eq!(world.receive(&stop(5100, 1100, 9900)).what, SessionChange::Updated);
    assert_eq!((guess(&world.only()), world.output()), (None, Some(9900)));
    assert_eq!(world.only().closed.as_ref().unwrap().cause, "User-Request");
}

#[test]
fn a_repeated_record_is_no_sign_of_life() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(120, 120, 1000));
    world.at(400).apply(&interim(120, 120, 1000));
    world.at(401).apply(&interim(401, 120, 1000));
    assert_eq!(world.at(480).timeout().rows.len(), 1);
}

#[test]
fn the_interval_grows_at_once_and_shrinks_by_halves() {
    let mut world = World::new();
    world.receive(&start(0));
    let mut intervals = Vec::new();
    for at in [60, 120, 120, 420, 480, 540, 600_u32] {
        world.receive(&interim(at.into(), at, at));
        intervals.push(world.only().interval);
    }
    assert_eq!(intervals, [60, 60, 60, 300, 180, 120, 90]);
}

#[test]
fn without_a_cadence_the_settings_decide() {
    let mut world = World::new();
    world.receive(&start(0));
    assert_eq!(world.sessions.poll_timeout(), Some(world.noon.instant + Duration::from_hours(24)));
    let mut world = World::new();
    world.settings.expected_interval = Some(Duration::from_mins(10));
    world.receive(&start(0));
    assert_eq!(world.sessions.poll_timeout(), Some(world.noon.instant + Duration::from_mins(30)));
    let mut world = World::new();
    world.settings.expected_interval = Some(Duration::from_secs(60));
    world.receive(&start(0));
    assert_eq!(world.sessions.poll_timeout(), Some(world.noon.instant + Duration::from_mins(5)));
}

#[test]
fn a_closed_session_is_kept_for_a_while_and_then_forgotten() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&stop(60, 60, 5));
    assert_eq!(world.sessions.poll_timeout(), Some(world.noon.instant + Duration::from_secs(660)));
    assert!(world.at(659).timeout().is_empty());
    let change = world.at(660).timeout();
    assert_eq!((change.forgotten.len(), change.rows.len()), (1, 0));
    assert!(world.sessions.is_empty());
    assert_eq!(world.sessions.poll_timeout(), None);
    assert_eq!(world.sessions.lifetime().output, 5, "its usage stays");
}

#[test]
fn closed_sessions_are_bounded_in_number() {
    let mut world = World::new();
    let mut forgotten = 0;
    // A minute apart: what was closed within the last one stays in any case.
    for n in 0..20 {
        forgotten += world.receive(&stop(n * 60, 1, 1).id(&n.to_string())).forgotten.len();
    }
    assert_eq!((world.all().len(), forgotten), (8, 12));
    assert_eq!(world.all()[0].acct_session_id, "12");
}

#[test]
fn a_session_that_was_read_back_goes_on() {
    let mut before = World::new();
    before.receive(&start(0));
    before.receive(&interim(60, 60, 4_294_967_000));
    before.receive(&interim(120, 120, 5000));
    let mut world = World::new();
    world.at(1000);
    world
        .sessions
        .continue_usage(vec![(Day::LIFETIME, before.sessions.lifetime()), before.sessions.days()[0]]);
    world.sessions.restore(before.only().clone(), &world.settings, world.now);
    world.sessions.restore(before.only().clone(), &world.settings, world.now);
    assert_eq!(world.timeout().rows.len(), 0, "what was silent while we were away has a new chance");
    // What was counted before the restart is not counted again.
    world.apply(&interim(60, 60, 4_294_967_000));
    world.apply(&interim(120, 120, 5000));
    assert_eq!(world.output(), Some(4_294_972_296));
    world.apply(&interim(1000, 1000, 6000));
    assert_eq!(world.output(), Some(4_294_973_296));
    assert_eq!(world.sessions.lifetime(), world.only().total());
}

// Places.

fn reservation(world: &World, token: u8, device: Device) -> Reservation {
    let until = world.now.instant + Duration::from_secs(30);
    Reservation {
        token: ClassToken([token; 16]),
        device,
        nas: nas(1),
        until,
        interim_interval: 0,
        granted: "".into(),
    }
}

fn mac(text: &str) -> Device {
    Device::of(text, &nas(1), "")
}

#[test]
fn t1_a_place_is_taken_when_it_is_promised() {
    let mut world = World::new();
    let mut accepted = 0;
    for token in 0..3 {
        if world.sessions.occupancy(&Device::Unknown, world.now).taken < 1 {
            let held = reservation(&world, token, Device::Unknown);
            world.sessions.reserve(held);
            accepted += 1;
        }
    }
    assert_eq!(accepted, 1);
}

#[test]
fn a_thousand_logins_at_once_get_exactly_three_places() {
    let mut world = World::new();
    let accepted = (0..1000_u32).filter(|n| {
        if world.sessions.occupancy(&Device::Unknown, world.now).taken >= 3 {
            return false;
        }
        let mut held = reservation(&world, 0, Device::Unknown);
        held.token.0[..4].copy_from_slice(&n.to_be_bytes());
        world.sessions.reserve(held);
        true
    });
    assert_eq!(accepted.count(), 3);
}

#[test]
fn a_reservation_lapses_or_is_given_back() {
    let mut world = World::new();
    for token in [1, 2] {
        let held = reservation(&world, token, Device::Unknown);
        world.sessions.reserve(held);
    }
    world.sessions.release(ClassToken([2; 16]));
    assert_eq!(world.sessions.reservations(), 1);
    assert_eq!(world.sessions.poll_timeout(), Some(world.noon.instant + Duration::from_secs(30)));
    world.at(30);
    assert_eq!(world.sessions.occupancy(&Device::Unknown, world.now).taken, 0);
    world.timeout();
    assert!(world.sessions.is_empty());
}

#[test]
fn the_start_makes_the_reservation_good() {
    for (opening, device) in [
        (start(1).token(1).device("other"), mac("aa:bb:cc:dd:ee:ff")),
        (start(1).device("AA-BB-CC-DD-EE-FF"), mac("aa:bb:cc:dd:ee:ff")),
        (start(1), Device::of("", &nas(1), "00000001")),
        (start(1), Device::Unknown),
        (start(1), mac("aa:bb:cc:dd:ee:ff")),
        (interim(1, 1, 1), Device::Unknown),
    ] {
        let mut world = World::new();
        let held = Reservation { interim_interval: 400, ..reservation(&world, 1, device) };
        world.sessions.reserve(held);
        world.receive(&opening);
        assert_eq!(world.sessions.reservations(), 0, "{opening:?}");
        assert_eq!(world.only().interval, 400);
    }
    for (opening, device) in [
        (start(1).device("11:22:33:44:55:66"), mac("aa:bb:cc:dd:ee:ff")),
        (start(1).token(2), Device::Unknown),
        (start(1).nas(nas(2)), Device::Unknown),
        (start(1), Device::of("", &nas(1), "00000002")),
    ] {
        let mut world = World::new();
        let held = reservation(&world, 1, device);
        world.sessions.reserve(held);
        world.receive(&opening);
        assert_eq!(world.sessions.reservations(), 1, "{opening:?}");
    }
}

#[test]
fn a_repeated_start_does_not_use_up_another_reservation() {
    let mut world = World::new();
    for token in [1, 2] {
        let held = reservation(&world, token, Device::Unknown);
        world.sessions.reserve(held);
    }
    world.receive(&start(0));
    world.receive(&start(1));
    assert_eq!(world.sessions.reservations(), 1);
    assert_eq!(world.sessions.occupancy(&Device::Unknown, world.now).taken, 2);
}

#[test]
fn a_device_that_logs_in_again_takes_its_own_place() {
    let mut world = World::new();
    world.receive(&start(0).device("AA-BB-CC-DD-EE-FF"));
    let (own, other) = (mac("aabb.ccdd.eeff"), mac("11:22:33:44:55:66"));
    assert_eq!(
        world.sessions.occupancy(&own, world.now),
        Occupancy { taken: 0, own_place: true, may_give_way: false }
    );
    assert_eq!(
        world.sessions.occupancy(&other, world.now),
        Occupancy { taken: 1, own_place: false, may_give_way: true }
    );
    let held = reservation(&world, 1, own.clone());
    world.sessions.reserve(held.clone());
    world.sessions.reserve(Reservation { token: ClassToken([2; 16]), ..held });
    assert_eq!(world.sessions.occupancy(&other, world.now).taken, 1, "one device, one place");
    // Its new session ends the ghost.
    let change = world.receive(&start(60).id("2").device("aa:bb:cc:dd:ee:ff").token(2));
    assert_eq!((change.what, change.rows.len()), (SessionChange::Opened, 2));
    assert_eq!(guess(&world.all()[0]), Some(CloseGuess::Replaced));
    assert_eq!(world.sessions.occupancy(&other, world.now).taken, 1);
    assert_eq!(world.sessions.reservations(), 0);
}

#[test]
fn a_replaced_session_that_shows_life_later_goes_on() {
    let device = |r: AccountingRecord| r.device("aa:bb:cc:dd:ee:ff");
    let mut world = World::new();
    world.receive(&device(start(0).id("1")));
    world.receive(&device(start(60).id("2")));
    // On its way before the other began: counts, but proves nothing.
    let late = AccountingRecord { received: UnixTime(NOON + 61), ..device(interim(58, 58, 500).id("1")) };
    world.receive(&late);
    assert_eq!((guess(&world.all()[0]), world.all()[0].total().output), (Some(CloseGuess::Replaced), 500));
    assert_eq!(world.receive(&device(interim(120, 120, 900).id("1"))).what, SessionChange::Reopened);
    assert_eq!(world.all().iter().filter(|s| s.is_open()).count(), 2);
}

#[test]
fn a_start_that_comes_after_that_of_its_successor_opens_nothing() {
    let device = |r: AccountingRecord| r.device("aa:bb:cc:dd:ee:ff");
    let mut world = World::new();
    world.receive(&device(start(60).id("2")));
    let late = AccountingRecord { received: UnixTime(NOON + 61), ..device(start(0).id("1")) };
    world.receive(&late);
    let [new, old] = &world.all()[..] else { panic!("two sessions") };
    assert!(new.is_open());
    assert_eq!(guess(old), Some(CloseGuess::Replaced));
}

#[test]
fn a_session_whose_login_was_just_accepted_is_the_newest_whatever_its_clock_says() {
    let device = |r: AccountingRecord| r.device("aa:bb:cc:dd:ee:ff");
    let mut world = World::new();
    // A ghost at a NAS whose clock is an hour ahead.
    let ahead = AccountingRecord { received: UnixTime(NOON), ..device(start(3_600).id("1")) };
    world.receive(&ahead);
    let own = Device::of("AA-BB-CC-DD-EE-FF", &nas(1), "");
    let held = reservation(&world, 2, own);
    world.sessions.reserve(held);
    world.receive(&device(start(60).id("2")).token(2));
    assert!(world.all().iter().any(|session| session.acct_session_id == "2" && session.is_open()));
    let other = Device::of("11-22-33-44-55-66", &nas(1), "");
    assert_eq!(world.sessions.occupancy(&other, world.now).taken, 1, "one device, one place");
    // If it is none, its next record tells.
    let alive = AccountingRecord { received: UnixTime(NOON + 61), ..device(interim(3_660, 60, 5).id("1")) };
    assert_eq!(world.receive(&alive).what, SessionChange::Reopened);
}

#[test]
fn a_start_that_waited_in_the_spool_replaces_no_later_session_of_its_device() {
    let device = |r: AccountingRecord| r.device("aa:bb:cc:dd:ee:ff");
    let mut world = World::new();
    world.receive(&device(start(60).id("2")));
    // The device has logged in once more since then, and that is what the place is held for.
    let own = Device::of("AA-BB-CC-DD-EE-FF", &nas(1), "");
    let held = reservation(&world, 3, own);
    world.sessions.reserve(held);
    let facts = RecordFacts { spooled: true, ..RecordFacts::default() };
    let (settings, now) = (Settings::default(), world.now);
    world.sessions.apply(&device(start(0).id("0")), &facts, &settings, now);
    let open = |world: &World| {
        let open = world.all().into_iter().filter(Session::is_open);
        open.map(|session| session.acct_session_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(open(&world), ["2"]);
    // In one second with the later one: its own Stop is on its way.
    world.sessions.apply(&device(start(60).id("1")), &facts, &settings, now);
    assert_eq!(open(&world), ["2", "1"]);
}

#[test]
fn nas_port_is_never_a_device() {
    let mut world = World::new();
    world.receive(&AccountingRecord { nas_port_id: "7".into(), ..start(0).id("1") });
    world.receive(&AccountingRecord { nas_port_id: "7".into(), ..start(60).id("2") });
    assert_eq!(world.all().iter().filter(|s| s.is_open()).count(), 2);
    assert_eq!(world.sessions.occupancy(&Device::of("", &nas(1), "2"), world.now).taken, 1);
}

#[test]
fn a_stale_session_takes_no_place_even_before_it_is_closed() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(60, 60, 1));
    world.at(360);
    assert_eq!(world.sessions.occupancy(&Device::Unknown, world.now).taken, 0);
    assert!(world.only().is_open());
}

/// Every NAS reboots without a word, everybody dials again from the same devices.
#[test]
fn a_power_cut_locks_nobody_out() {
    for limit in 1..4_u32 {
        let mut world = World::new();
        let device = |n: u32| format!("aa:bb:cc:00:00:{n:02x}");
        for n in 0..limit {
            let at = i64::from(n);
            world.receive(&start(at).id(&n.to_string()).nas(nas(1)).device(&device(n)));
            world.receive(&interim(600 + at, 600, 1000 * (n + 1)).id(&n.to_string()).device(&device(n)));
        }
        world.at(700);
        for n in 0..limit {
            let own = mac(&device(n));
            let seen = world.sessions.occupancy(&own, world.now);
            assert!(seen.own_place && seen.taken < limit, "{n} of {limit} is accepted at the first try");
            let held = reservation(&world, 100 + u8::try_from(n).unwrap(), own);
            world.sessions.reserve(held);
        }
        let stranger = world.sessions.occupancy(&mac("de:ad:00:00:00:01"), world.now);
        assert_eq!(stranger.taken, limit, "nobody else gets in meanwhile");
        for n in 0..limit {
            // The ids begin anew, in another order.
            let id = (limit - 1 - n).to_string();
            world.receive(&start(710 + i64::from(n)).id(&id).device(&device(n)));
        }
        let open: Vec<_> = world.all().into_iter().filter(|s| s.is_open()).collect();
        assert_eq!(open.len(), usize::try_from(limit).unwrap());
        let used: u64 = (1..=u64::from(limit)).map(|n| n * 1000).sum();
        assert_eq!(world.sessions.lifetime().output, used);
        assert_eq!(world.sessions.reservations(), 0);
    }
}

// Usage.

#[test]
fn usage_over_midnight_is_split_by_time() {
    let mut world = World::new();
    world.receive(&start(0));
    let half_day = 12 * 3600;
    world.receive(&interim(half_day - 600, 42_600, 600_000));
    let change = world.receive(&interim(half_day + 300, 43_500, 690_000));
    let today = Day(20_257);
    assert_eq!(change.usage[0], (Day::LIFETIME, Usage { seconds: 43_500, input: 0, output: 690_000 }));
    assert_eq!(change.usage[1], (today, Usage { seconds: 43_200, input: 0, output: 660_000 }));
    assert_eq!(change.usage[2], (Day(today.0 + 1), Usage { seconds: 300, input: 0, output: 30_000 }));
    let change = world.receive(&interim(half_day + 600, 43_800, 700_000));
    assert_eq!(change.usage.len(), 2, "only what changed: {:?}", change.usage);
}

#[test]
fn an_unknown_login_is_counted_when_it_is_claimed() {
    let mut world = World::of(None);
    world.receive(&start(0));
    let change = world.receive(&interim(600, 600, 9000));
    assert_eq!((change.usage.len(), change.subscriber), (0, None));
    assert_eq!(world.only().counted, Usage::default());
    let before = vec![(Day::LIFETIME, Usage { seconds: 1, input: 2, output: 3 })];
    let change = world.sessions.claim(SubscriberId(8), before, Days::default(), &world.settings, world.now);
    assert_eq!((change.rows.len(), change.usage.len()), (1, 2));
    assert_eq!(change.usage[0], (Day::LIFETIME, Usage { seconds: 601, input: 2, output: 9003 }));
    assert_eq!(world.only().subscriber, Some(SubscriberId(8)));
    assert_eq!(world.only().counted, world.only().total());
    assert!(
        world
            .sessions
            .claim(SubscriberId(8), Vec::new(), Days::default(), &world.settings, world.now)
            .is_empty()
    );
}

#[test]
fn what_nobody_had_is_taken_in_and_counted_once() {
    let mut before = World::of(None);
    before.receive(&interim(600, 600, 9000));
    let mut world = World::new();
    world.receive(&interim(600, 60, 500).id("2"));
    let adopt = |world: &mut World| {
        world.sessions.adopt(before.sessions.clone(), Days::default(), &world.settings, world.now)
    };
    let change = adopt(&mut world);
    assert_eq!((change.rows.len(), change.subscriber), (1, Some(SubscriberId(7))));
    assert_eq!(change.usage[0], (Day::LIFETIME, Usage { seconds: 660, input: 0, output: 9500 }));
    assert!(adopt(&mut world).is_empty(), "it has them");
    world.receive(&interim(700, 700, 9900));
    assert_eq!(world.sessions.lifetime(), Usage { seconds: 760, input: 0, output: 10_400 });
}

#[test]
fn a_session_goes_by_its_subscribers_name_and_its_nas_by_the_one_it_knows() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&start(0).id("2"));
    world.receive(&stop(60, 60, 5).id("2"));
    let bob = world.all()[0].user_name.clone();
    let change = world.sessions.rename(&"robert".into());
    let names = |session: &Session| (session.user_name.clone(), session.name_at_nas().clone());
    assert_eq!(
        change.rows.iter().map(|row| names(row)).collect::<Vec<_>>(),
        [("robert".into(), bob.clone())]
    );
    assert_eq!(names(&world.all()[1]), (bob.clone(), bob.clone()), "what is closed keeps its name");
    assert!(world.sessions.rename(&"robert".into()).is_empty());
    // Its Start again, with our token and without.
    let mut bound = start(5);
    bound.belongs_to(&"robert".into());
    for again in [start(5), bound] {
        world.at(300).apply(&again);
        assert_eq!(world.all().len(), 2);
    }
    world.sessions.rename(&"rob".into());
    assert_eq!(names(&world.all()[0]), ("rob".into(), bob.clone()));
    world.sessions.rename(&bob);
    assert_eq!((names(&world.all()[0]).1, &*world.all()[0].details.nas_user_name), (bob, ""));
}

#[test]
fn the_unique_id_of_another_subscribers_session_is_left_to_it() {
    let mut world = World::new();
    let facts = RecordFacts { id_is_taken: true, ..RecordFacts::default() };
    let record = start(0);
    let change = world.sessions.apply(&record, &facts, &world.settings, world.now);
    let session = change.session().unwrap();
    assert_eq!(session.unique_id, record.unique_id.of(Some(SubscriberId(7))));
    assert!(session.flags.salted && session.unique_id != record.unique_id);
    let change = world.sessions.apply(&interim(60, 60, 5), &facts, &world.settings, world.now);
    assert_eq!((change.what, world.all().len()), (SessionChange::Updated, 1));
}

#[test]
fn a_session_that_was_read_back_without_an_owner_gets_one() {
    let mut before = World::of(None);
    before.receive(&interim(600, 600, 9000));
    let mut world = World::new();
    world.sessions.restore(before.only(), &world.settings, world.now);
    let change = world.receive(&interim(700, 700, 9900));
    assert_eq!(change.session().unwrap().subscriber, Some(SubscriberId(7)));
    assert_eq!(world.sessions.lifetime(), Usage { seconds: 700, input: 0, output: 9900 });
}

#[test]
fn the_id_of_a_session_may_be_taken_over_by_another_subscriber() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(60, 60, 5));
    let id = world.only().unique_id;
    let alice = AccountingRecord { user_name: "alice".into(), ..start(61) };
    assert_eq!(world.sessions.reused_by(&alice), Some(id));
    assert_eq!(world.sessions.reused_by(&interim(120, 120, 9)), None);
    let change = world.sessions.close_guess(id, CloseGuess::SessionIdReused, &world.settings, world.now);
    assert_eq!(change.what, SessionChange::Closed);
    world.receive(&interim(120, 120, 9));
    assert!(!world.only().is_open(), "two sessions cannot have one id");
    assert_eq!(world.output(), Some(9), "but what it used counts");
}

#[test]
fn a_name_may_be_rewritten_but_not_the_device_nor_the_time() {
    let mut world = World::new();
    world.receive(&start(600).device("02-00-00-00-00-01"));
    let named = |record: AccountingRecord| AccountingRecord { user_name: "bob@home".into(), ..record };
    let is_it = |record| world.sessions.find_renamed(&named(record)).is_some();
    assert!(is_it(interim(660, 60, 9).device("0200.0000.0001")));
    assert!(is_it(interim(660, 60, 9)), "it names no device");
    assert!(!is_it(interim(660, 60, 9).device("02-00-00-00-00-02")));
    assert!(!is_it(interim(500, 300, 9).device("02-00-00-00-00-01")), "it was sent before this one began");
}

#[test]
fn a_new_session_without_its_start_ends_the_ghost_of_its_device_too() {
    let device = |r: AccountingRecord| r.device("aa:bb:cc:dd:ee:ff");
    let mut world = World::new();
    world.receive(&device(start(0).id("1")));
    world.receive(&device(interim(60, 60, 5).id("1")));
    world.receive(&device(interim(400, 60, 5).id("2")));
    let seen = world.sessions.occupancy(&mac("11:22:33:44:55:66"), world.now);
    assert_eq!(seen.taken, 1);
    assert_eq!(guess(&world.all()[0]), Some(CloseGuess::Replaced));
}

#[test]
fn a_start_sent_again_after_the_first_interim_is_known_by_its_likeness() {
    let mut world = World::new();
    world.receive(&start(0));
    world.receive(&interim(30, 30, 500));
    assert_eq!(world.receive(&start(55)).what, SessionChange::Unchanged);
    // Another port is another session, and so is what is too late to be a repetition.
    let mut other = World::new();
    other.receive(&start(0));
    other.receive(&interim(30, 30, 500));
    other.receive(&AccountingRecord { nas_port_id: "9".into(), ..start(55) });
    assert_eq!(other.all().len(), 2);
    world.receive(&start(61));
    assert_eq!(world.all().len(), 2);
}

#[test]
fn a_record_held_back_in_silence_stays_with_its_session() {
    // The Start was lost; the first Interim-Update came 40 s late without a word about it, so that the
    // session seems to have begun 40 s later than the next one says.
    let mut world = World::new();
    world.receive(&interim(100, 60, 500));
    world.receive(&interim(120, 120, 900));
    world.receive(&start(0));
    assert_eq!(world.only().total(), Usage { seconds: 120, input: 0, output: 900 });
    assert_eq!(world.only().started, UnixTime(NOON));
}

#[test]
fn an_absurd_clock_is_flagged_and_no_time_is_negative() {
    let mut world = World::new();
    world.receive(&AccountingRecord { clock_suspect: true, ..start(0) });
    world.receive(&AccountingRecord { received: UnixTime(NOON + 5), ..stop(-4000, 5, 1) });
    let session = world.only();
    assert!(session.flags.clock_suspect);
    assert_eq!(session.closed.as_ref().unwrap().at, session.started, "it does not end before it began");
}

#[test]
fn a_change_writes_sessions_before_usage() {
    use crate::domain::Write;
    let mut world = World::new();
    let writes = world.receive(&stop(60, 60, 5)).into_writes();
    assert!(matches!(writes[0], Write::Session(_)));
    assert!(matches!(writes[1], Write::Usage { subscriber: SubscriberId(7), day: Day::LIFETIME, .. }));
    assert_eq!(writes.len(), 3);
}
