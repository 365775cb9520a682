//! One battery of truths for the three databases.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use smol_str::SmolStr;
use tollkeeper::domain::dynamic_auth::{NotSent, Order, Outcome};
use tollkeeper::domain::session::SessionDetails;
use tollkeeper::domain::{
    ClassToken, CloseGuess, Closed, Counter, Day, Exhaustion, Metric, NasIdentity, NasReload, Period,
    PostAuth, Rate, RejectReason, Session, SessionFlags, SessionKey, SubscriberId, SubscriberStatus,
    TriState, UniqueId, Usage, Write,
};
use tollkeeper::store::{ChangeCursor, CommitWrites as _, Settings, Store, StoreError};
use tollkeeper::time::UnixTime;

use crate::support::databases::{Kind, TestDatabase, battery};

battery! {
    migrations_run_once,
    two_servers_may_migrate_at_once,
    migrations_take_an_installed_freeradius_schema_as_it_is,
    migrations_take_older_schemas_as_they_are,
    rows_that_share_a_unique_id_stop_the_migration,
    a_schema_of_a_later_release_is_refused,
    a_database_that_loses_nothing_is_safe,
    a_session_is_read_back_as_it_was_written,
    whatever_sessions_hold_is_read_back,
    a_late_row_lowers_nothing,
    a_replay_changes_nothing,
    never_reported_is_null,
    a_stop_is_never_undone,
    of_two_stops_the_longer_holds,
    a_stop_after_its_start_holds_like_any_other,
    a_commit_may_hold_everything_at_once,
    a_guess_is_undone_by_a_later_record,
    a_stop_replaces_a_guess,
    a_row_that_somebody_deleted_is_written_anew,
    freeradius_rows_are_adopted,
    sessions_are_found_by_key_and_by_unique_id,
    open_sessions_come_in_pages,
    closed_sessions_are_remembered_for_a_while,
    odd_names_are_stored_whole,
    a_row_that_cannot_be_stored_keeps_no_other_out,
    a_thousand_rows_are_one_commit,
    a_commit_that_is_given_up_holds_up_no_other,
    usage_only_rises,
    first_use_is_kept_and_last_use_moves,
    quotas_are_read_and_what_is_used_of_a_top_up_only_rises,
    a_quota_is_its_owners_in_the_feed,
    reloads_wait_until_they_are_swept,
    a_login_is_a_subscriber_on_first_sight,
    logins_differ_in_every_octet,
    subscribers_come_in_pages,
    groups_have_rows_and_members,
    nas_rows_are_read_or_said_to_be_unusable,
    every_write_of_others_is_in_the_feed,
    our_own_writes_are_not_in_the_feed,
    a_change_that_commits_late_is_seen,
    a_waiting_reader_is_woken,
    pruning_is_noticed_by_who_is_behind,
    attempts_are_kept_with_their_reason,
    an_order_is_taken_once_and_its_outcome_is_kept,
}

async fn migrations_run_once(database: &TestDatabase) {
    let store = Store::connect(&database.settings()).await.unwrap();
    let all = store.known_migrations();
    assert!(matches!(store.subscribers(&["bob".into()], Day(0), NOW).await, Err(StoreError::Schema { .. })));
    assert_eq!(store.pending_migrations().await.unwrap().len(), all);
    assert_eq!(store.migrate().await.unwrap().len(), all);
    assert_eq!(store.migrate().await.unwrap(), Vec::<&str>::new());
    let again = Store::connect(&database.settings()).await.unwrap();
    assert_eq!(again.pending_migrations().await.unwrap(), Vec::<&str>::new());
    assert_eq!(again.migrate().await.unwrap(), Vec::<&str>::new());
    again.close().await;
    store.close().await;
}

async fn migrations_take_an_installed_freeradius_schema_as_it_is(database: &TestDatabase) {
    let folder = match database.kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgresql",
        Kind::MySql => "mysql",
    };
    let file = format!("/etc/freeradius/3.0/mods-config/sql/main/{folder}/schema.sql");
    let Ok(schema) = std::fs::read_to_string(&file) else {
        println!("skipped: no {file}");
        return;
    };
    let mut raw = database.raw().await;
    raw.run(&schema).await;
    raw.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('bob', 'Cleartext-Password', ':=', 'hello')")
        .await;
    let store = database.store().await;
    let mut written = session(1);
    written.nas.address = Some("10.0.0.1".parse().unwrap());
    store.commit(&[Write::Session(Box::new(written.clone()))]).await.unwrap();
    assert_eq!(store.open_sessions(None, 10).await.unwrap().sessions, [written]);
    assert_eq!(raw.rows("SELECT username, value FROM radcheck").await, [["bob", "hello"]]);
    store.close().await;
}

async fn two_servers_may_migrate_at_once(database: &TestDatabase) {
    let one = Store::connect(&database.settings()).await.unwrap();
    let two = Store::connect(&database.settings()).await.unwrap();
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    assert_eq!(first.unwrap().len() + second.unwrap().len(), one.known_migrations());
    one.close().await;
    two.close().await;
}

fn schema_file(database: &TestDatabase, name: &str) -> String {
    let kind = match database.kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
        Kind::MySql => "mysql",
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/schemas");
    std::fs::read_to_string(format!("{folder}/{name}.{kind}.sql")).unwrap()
}

async fn migrations_take_older_schemas_as_they_are(database: &TestDatabase) {
    for name in ["older", "daloradius"] {
        let database = TestDatabase::create(database.kind).await.unwrap();
        let mut raw = database.raw().await;
        raw.run(&schema_file(&database, name)).await;
        raw.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('bob', 'Cleartext-Password', ':=', 'x')")
            .await;
        raw.run("INSERT INTO radusergroup (username, groupname, priority) VALUES ('bob', 'gold', 1)").await;
        raw.run("INSERT INTO nas (nasname, shortname, secret) VALUES ('10.0.0.1', 'one', 's')").await;
        let store = database.store().await;
        let mut written = session(1);
        written.user_name = "bob\u{1f600}".into();
        written.details.class = "0x00ff".into();
        written.details.framed_ipv6_address = Some("2001:db8::7".parse().unwrap());
        store.commit(&[Write::Session(Box::new(written.clone()))]).await.unwrap();
        assert_eq!(store.open_sessions(None, 10).await.unwrap().sessions, [written.clone()], "{name}");
        // The second record is the small update, where there is a column for its time.
        written.updated = UnixTime(1_700_001_000);
        written.interval = 400;
        written.session_time.reported = Some(1_000);
        written.counted.seconds = 1_000;
        store.commit(&[Write::Session(Box::new(written.clone()))]).await.unwrap();
        assert_eq!(store.open_sessions(None, 10).await.unwrap().sessions, [written], "{name}");
        let rows = store.subscribers(&["bob".into()], Day(0), NOW).await.unwrap();
        assert_eq!(rows[0].groups, ["gold"]);
        assert_eq!(rows[0].check[0].op, ":=");
        assert_eq!(store.nas_rows().await.unwrap().usable.len(), 1);
        store.post_auth(&[attempt("bob", None)]).await.unwrap();
        store.close().await;
        database.drop().await;
    }
}

async fn rows_that_share_a_unique_id_stop_the_migration(database: &TestDatabase) {
    let mut raw = database.raw().await;
    raw.run(&schema_file(database, "older")).await;
    raw.run(
        "INSERT INTO radacct (acctuniqueid, nasipaddress) VALUES ('same', '10.0.0.1'), ('same', '10.0.0.2')",
    )
    .await;
    let store = Store::connect(&database.settings()).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(&error, StoreError::Schema { reason } if reason.contains("'same'")), "{error}");
    raw.run("DELETE FROM radacct").await;
    assert_eq!(store.migrate().await.unwrap().len(), store.known_migrations());
    store.close().await;
}

async fn a_schema_of_a_later_release_is_refused(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run("INSERT INTO tk_schema (version, name, applied_at) VALUES (9999, 'later', 0)").await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 9999, .. }), "{error}");
    assert!(matches!(store.pending_migrations().await, Err(StoreError::NewerSchema { .. })));
    store.close().await;
}

fn session(number: u8) -> Session {
    Session {
        key: SessionKey([number; 16]),
        epoch: 0,
        unique_id: UniqueId([number; 16]),
        nas: NasIdentity {
            source: "192.0.2.1".parse().unwrap(),
            address: Some("10.0.0.1".parse().unwrap()),
            identifier: "bras-1".into(),
        },
        subscriber: Some(SubscriberId(7)),
        user_name: "bob".into(),
        group: "gold".into(),
        acct_session_id: "8000001a".into(),
        token: Some(ClassToken([9; 16])),
        started: UnixTime(1_700_000_000),
        updated: UnixTime(1_700_000_600),
        closed: None,
        interval: 300,
        session_time: Counter { base: 0, reported: Some(600) },
        input: Counter { base: 1 << 32, reported: Some(5_000) },
        output: Counter { base: 0, reported: None },
        counted: Usage { seconds: 600, input: 4_294_972_296, output: 0 },
        charge: None,
        flags: SessionFlags { wrapped: true, ..SessionFlags::default() },
        framed_ip: Some("100.64.0.9".parse().unwrap()),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        called_station_id: "00-11-22-33-44-55:wifi".into(),
        nas_port_id: "ether1".into(),
        details: Box::new(SessionDetails {
            framed_ipv6_prefix: "2001:db8:1::/64".into(),
            multi_session_id: "m1".into(),
            nas_user_name: "bob@realm".into(),
            ..SessionDetails::default()
        }),
    }
}

async fn a_session_is_read_back_as_it_was_written(database: &TestDatabase) {
    let store = database.store().await;
    let written = session(1);
    store.commit(&[Write::Session(Box::new(written.clone()))]).await.unwrap();
    let page = store.open_sessions(None, 100).await.unwrap();
    assert_eq!(page.sessions, [written]);
    assert_eq!(page.next, None);
    store.close().await;
}

const NOW: UnixTime = UnixTime(1_700_000_000);

async fn a_database_that_loses_nothing_is_safe(database: &TestDatabase) {
    let store = database.store().await;
    store.durability().await.unwrap();
    assert!(!store.durability_settings().await.unwrap().is_empty());
    store.close().await;
    // What can be made unsafe for one connection alone, is; the rest is judged in the unit tests.
    let (url, setting, value) = match database.kind {
        Kind::Sqlite => ("sqlite::memory:".to_owned(), "journal_mode", "memory"),
        Kind::Postgres => {
            (format!("{}?options=-c%20synchronous_commit%3Doff", database.url), "synchronous_commit", "off")
        }
        Kind::MySql => return,
    };
    let error = Store::connect(&Settings::new(&url)).await.unwrap_err();
    assert_eq!(error, StoreError::Unsafe { setting: setting.to_owned(), value: value.to_owned() });
    let allowed = Settings { allow_unsafe_durability: true, ..Settings::new(&url) };
    Store::connect(&allowed).await.unwrap().close().await;
}

/// Everything that a session can hold, as far as NASes and the engine make it.
fn any_session() -> impl Strategy<Value = Session> {
    let text = || {
        prop_oneof![
            Just(SmolStr::default()),
            "[ -~]{0,80}".prop_map(SmolStr::new),
            "\\PC{1,40}".prop_map(SmolStr::new)
        ]
    };
    let counter =
        (prop_oneof![Just(0_u64), 1..u64::from(u32::MAX) * 7], proptest::option::of(0..1_u64 << 40));
    let counter = counter.prop_map(|(base, reported)| Counter { base, reported });
    let closed = prop_oneof![
        Just(None),
        (0_u64..5_000, "[A-Z][a-z]{2,20}-[A-Z][a-z]{2,8}")
            .prop_map(|(after, cause)| Some((after, cause, None))),
        (0_u64..5_000, 0_usize..5).prop_map(|(after, guess)| Some((
            after,
            String::new(),
            Some(CloseGuess::ALL[guess].0)
        ))),
    ];
    let address =
        || prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    let head =
        (any::<[u8; 16]>(), any::<[u8; 16]>(), 0_u32..5, address(), proptest::option::of(address()), text());
    // The narrowest column for seconds has 31 bits.
    let seconds = (0_u64..1_000, proptest::option::of(0..1_u64 << 30));
    let seconds = seconds.prop_map(|(base, reported)| Counter { base, reported });
    let counters = (seconds, counter.clone(), counter, any::<bool>(), 0_u32..100_000);
    let times = (1_000_000_000_i64..2_000_000_000, 0_u64..1_000_000, closed);
    let texts = proptest::collection::vec(text(), 20);
    let rest = (
        proptest::option::of(1_i64..1 << 50),
        proptest::option::of(any::<[u8; 16]>()),
        proptest::option::of(any::<[u8; 4]>()),
        proptest::option::of(any::<[u8; 16]>()),
        any::<[bool; 8]>(),
        proptest::option::of((any::<[u8; 16]>(), 0_u8..=128)),
    );
    (head, counters, times, texts, rest).prop_map(|(head, counters, times, texts, rest)| {
        let (key, id, epoch, source, address, identifier) = head;
        let (session_time, input, output, all_counted, interval) = counters;
        let (started, lasted, closed) = times;
        let (subscriber, token, framed_ip, framed_ipv6, flags, prefix) = rest;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        let started = UnixTime(started);
        let prefix = prefix.map(|(octets, length)| {
            let network = ipnet::Ipv6Net::new(octets.into(), length).unwrap().trunc();
            SmolStr::new(network.to_string())
        });
        let mut session = Session {
            key: SessionKey(key),
            epoch,
            unique_id: UniqueId(id),
            nas: NasIdentity { source, address, identifier },
            subscriber: subscriber.map(SubscriberId),
            user_name: text(),
            group: text(),
            acct_session_id: text(),
            token: token.map(ClassToken),
            started,
            updated: started.plus(lasted),
            closed: closed.map(|(after, cause, guess)| Closed {
                at: started.plus(after),
                cause: guess.map_or_else(|| SmolStr::new(cause), |guess| guess.as_str().into()),
                guess,
            }),
            interval,
            session_time,
            input,
            output,
            counted: Usage { seconds: 1, input: 2, output: 3 },
            charge: None,
            flags: SessionFlags {
                start_inferred: flags[0],
                gigawords: flags[1],
                wrapped: flags[2],
                reset: flags[3],
                clock_suspect: flags[4],
                reopened: flags[5],
                salted: flags[6],
                unenforced: flags[7],
            },
            framed_ip: framed_ip.map(Into::into),
            calling_station_id: text(),
            called_station_id: text(),
            nas_port_id: text(),
            details: Box::new(SessionDetails {
                nas_port_type: text(),
                authentic: text(),
                connect_info_start: text(),
                connect_info_stop: text(),
                service_type: text(),
                framed_protocol: text(),
                framed_ipv6_address: framed_ipv6.map(Into::into),
                framed_ipv6_prefix: prefix.clone().unwrap_or_default(),
                framed_interface_id: text(),
                delegated_ipv6_prefix: prefix.unwrap_or_default(),
                class: text(),
                multi_session_id: text(),
                chargeable_user_identity: text(),
                earlier_addresses: text(),
                other_attributes: text(),
                nas_user_name: text(),
                granted: text(),
            }),
        };
        if all_counted {
            session.counted = session.total();
        }
        session
    })
}

async fn whatever_sessions_hold_is_read_back(database: &TestDatabase) {
    let store = database.store().await;
    let mut runner = proptest::test_runner::TestRunner::default();
    let mut written: Vec<Session> =
        (0..300).map(|_| any_session().new_tree(&mut runner).unwrap().current()).collect();
    for session in &mut written {
        // Nobody counts beyond 32 bits without Gigawords.
        let counters = [session.input, session.output];
        session.flags.gigawords |= counters.iter().any(|counter| {
            counter.base == 0 && counter.reported.is_some_and(|count| count > u64::from(u32::MAX))
        });
    }
    let writes: Vec<Write> =
        written.iter().map(|session| Write::Session(Box::new(session.clone()))).collect();
    store.commit(&writes).await.unwrap();
    let wanted: Vec<_> = written.iter().map(|session| (session.key, session.unique_id)).collect();
    let mut read = store.sessions_by(&wanted).await.unwrap();
    read.sort_by_key(|session| session.unique_id);
    written.sort_by_key(|session| session.unique_id);
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(read, written);
    }
    assert_eq!(read.len(), written.len());
    let mut open = Vec::new();
    let mut after = None;
    loop {
        let page = store.open_sessions(after.as_ref(), 50).await.unwrap();
        open.extend(page.sessions);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    open.sort_by_key(|session| session.unique_id);
    written.retain(Session::is_open);
    assert_eq!(open, written);
    store.close().await;
}

/// The only session of the database.
async fn only(store: &Store) -> Session {
    let id = UniqueId([1; 16]);
    let mut found = store.sessions_by(&[(SessionKey([1; 16]), id)]).await.unwrap();
    assert_eq!(found.len(), 1);
    found.pop().unwrap()
}

async fn put(store: &Store, session: &Session) {
    store.commit(&[Write::Session(Box::new(session.clone()))]).await.unwrap();
}

/// A server that was started anew: it remembers nothing of what was committed.
async fn restarted(database: &TestDatabase) -> Store {
    Store::connect(&database.settings()).await.unwrap()
}

/// The session `seconds` after its start.
fn ran(seconds: u64) -> Session {
    let mut session = session(1);
    session.updated = session.started.plus(seconds);
    session.session_time.reported = Some(seconds);
    session.input = Counter { base: 0, reported: Some(seconds * 10) };
    session.output = Counter { base: 0, reported: Some(seconds * 100) };
    session.counted = session.total();
    session
}

fn stopped(seconds: u64, cause: &str) -> Session {
    let mut session = ran(seconds);
    session.closed = Some(Closed { at: session.updated, cause: cause.into(), guess: None });
    session
}

fn guessed(seconds: u64, guess: CloseGuess) -> Session {
    let mut session = ran(seconds);
    session.closed = Some(Closed { at: session.updated, cause: guess.as_str().into(), guess: Some(guess) });
    session
}

async fn a_late_row_lowers_nothing(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &ran(600)).await;
    put(&store, &ran(900)).await;
    let mut late = ran(300);
    late.started = late.started.plus(20);
    late.framed_ip = Some("100.64.0.77".parse().unwrap());
    put(&store, &late).await;
    assert_eq!(only(&store).await, ran(900));
    let forgetful = restarted(database).await;
    put(&forgetful, &late).await;
    assert_eq!(only(&forgetful).await, ran(900));
    forgetful.close().await;
    store.close().await;
}

async fn a_replay_changes_nothing(database: &TestDatabase) {
    let store = database.store().await;
    let rows = [ran(0), ran(300), stopped(400, "User-Request")];
    for row in &rows {
        put(&store, row).await;
    }
    for row in &rows {
        put(&store, row).await;
        assert_eq!(only(&store).await, stopped(400, "User-Request"));
    }
    let forgetful = restarted(database).await;
    for row in &rows {
        put(&forgetful, row).await;
    }
    assert_eq!(only(&forgetful).await, stopped(400, "User-Request"));
    assert_eq!(database.raw().await.rows("SELECT acctuniqueid FROM radacct").await.len(), 1);
    forgetful.close().await;
    store.close().await;
}

async fn never_reported_is_null(database: &TestDatabase) {
    let store = database.store().await;
    let mut row = ran(0);
    row.session_time.reported = None;
    row.input.reported = None;
    row.output.reported = Some(0);
    row.counted = Usage::default();
    put(&store, &row).await;
    let mut raw = database.raw().await;
    let sql = "SELECT CAST(acctsessiontime AS CHAR(20)), CAST(acctinputoctets AS CHAR(20)),
               TRIM(CAST(acctoutputoctets AS CHAR(20))) FROM radacct";
    assert_eq!(raw.rows(sql).await, [["-", "-", "0"]]);
    assert_eq!(only(&store).await, row);
    store.close().await;
}

async fn a_stop_is_never_undone(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &ran(600)).await;
    put(&store, &stopped(900, "User-Request")).await;
    let mut reopened = ran(1200);
    reopened.flags.reopened = true;
    for late in
        [ran(700), ran(1200), guessed(950, CloseGuess::Stale), guessed(900, CloseGuess::NasReboot), reopened]
    {
        let forgetful = restarted(database).await;
        put(&forgetful, &late).await;
        let closed = only(&forgetful).await.closed;
        assert_eq!(closed, stopped(900, "User-Request").closed, "{late:?}");
        forgetful.close().await;
    }
    assert_eq!(only(&store).await.session_time.reported, Some(1200));
    store.close().await;
}

async fn of_two_stops_the_longer_holds(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &stopped(900, "User-Request")).await;
    put(&store, &stopped(800, "Lost-Carrier")).await;
    assert_eq!(only(&store).await.closed, stopped(900, "User-Request").closed);
    put(&store, &stopped(1000, "Lost-Service")).await;
    assert_eq!(only(&store).await.closed, stopped(1000, "Lost-Service").closed);
    let mut retransmitted = stopped(1000, "Lost-Service");
    retransmitted.closed.as_mut().unwrap().at = retransmitted.updated.plus(7);
    put(&store, &retransmitted).await;
    assert_eq!(only(&store).await.closed, stopped(1000, "Lost-Service").closed);
    store.close().await;
}

async fn a_stop_after_its_start_holds_like_any_other(database: &TestDatabase) {
    // The Stop of a session that is remembered as open is a small update, which leaves tk_session alone.
    let store = database.store().await;
    put(&store, &ran(600)).await;
    put(&store, &stopped(900, "User-Request")).await;
    assert_eq!(only(&store).await, stopped(900, "User-Request"));
    let mut reopened = ran(1000);
    reopened.flags.reopened = true;
    for late in [stopped(800, "Lost-Carrier"), ran(700), guessed(900, CloseGuess::Stale), reopened] {
        let forgetful = restarted(database).await;
        put(&forgetful, &late).await;
        assert_eq!(only(&forgetful).await.closed, stopped(900, "User-Request").closed, "{late:?}");
        forgetful.close().await;
    }
    let forgetful = restarted(database).await;
    put(&forgetful, &stopped(1200, "Lost-Service")).await;
    assert_eq!(only(&forgetful).await.closed, stopped(1200, "Lost-Service").closed);
    forgetful.close().await;
    store.close().await;
}

async fn a_commit_may_hold_everything_at_once(database: &TestDatabase) {
    let store = database.store().await;
    database.raw().await.run("INSERT INTO tk_subscriber (id, username) VALUES (7, 'bob')").await;
    let write = |session: &Session| Write::Session(Box::new(session.clone()));
    let numbered = |number: u8, mut session: Session| {
        session.key = SessionKey([number; 16]);
        session.unique_id = UniqueId([number; 16]);
        session
    };
    let known: Vec<Session> = (1..=4).map(|number| numbered(number, ran(300))).collect();
    store.commit(&known.iter().map(write).collect::<Vec<_>>()).await.unwrap();
    database
        .raw()
        .await
        .run("DELETE FROM radacct WHERE acctuniqueid = '04040404040404040404040404040404'")
        .await;
    // Of another server's session this one knows nothing.
    let other = restarted(database).await;
    other.commit(&[write(&numbered(6, ran(300)))]).await.unwrap();
    other.close().await;
    let mut renamed = numbered(3, ran(600));
    renamed.framed_ip = Some("100.64.0.99".parse().unwrap());
    let expected = [
        numbered(1, ran(600)),
        numbered(2, stopped(600, "User-Request")),
        renamed,
        numbered(4, ran(600)),
        numbered(5, ran(0)),
        numbered(6, ran(600)),
    ];
    let total = Usage { seconds: 600, input: 1, output: 2 };
    let mut writes: Vec<Write> = expected.iter().map(write).collect();
    writes.push(Write::Usage { subscriber: SubscriberId(7), day: Day(1), total });
    writes.push(Write::Used { subscriber: SubscriberId(7), at: NOW });
    writes.push(Write::NasReload(NasReload { nas: session(1).nas, at: NOW }));
    store.commit(&writes).await.unwrap();
    let wanted: Vec<_> = expected.iter().map(|session| (session.key, session.unique_id)).collect();
    let mut read = store.sessions_by(&wanted).await.unwrap();
    read.sort_by_key(|session| session.unique_id);
    assert_eq!(read, expected);
    assert_eq!(store.usage(SubscriberId(7), Day(0)).await.unwrap(), [(Day(1), total)]);
    assert_eq!(store.pending_reloads().await.unwrap().len(), 1);
    let used =
        database.raw().await.rows("SELECT TRIM(CAST(first_use_at AS CHAR(20))) FROM tk_subscriber").await;
    assert_eq!(used, [[NOW.0.to_string()]]);
    store.close().await;
}

async fn a_guess_is_undone_by_a_later_record(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &ran(600)).await;
    put(&store, &guessed(600, CloseGuess::Stale)).await;
    assert_eq!(only(&store).await, guessed(600, CloseGuess::Stale));
    put(&store, &ran(600)).await;
    assert_eq!(only(&store).await, guessed(600, CloseGuess::Stale), "a row from before the guess");
    let mut reopened = ran(900);
    reopened.flags.reopened = true;
    put(&store, &reopened).await;
    assert_eq!(only(&store).await, reopened);
    assert_eq!(store.open_sessions(None, 10).await.unwrap().sessions, [reopened]);
    // And again, by another guess.
    let mut again = guessed(900, CloseGuess::NasReboot);
    again.flags.reopened = true;
    put(&store, &again).await;
    assert_eq!(only(&store).await, again);
    assert_eq!(database.raw().await.rows("SELECT acctterminatecause FROM radacct").await, [["NAS-Reboot"]]);
    store.close().await;
}

async fn a_stop_replaces_a_guess(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &guessed(600, CloseGuess::NasReboot)).await;
    put(&store, &stopped(700, "NAS-Reboot")).await;
    assert_eq!(
        only(&store).await,
        stopped(700, "NAS-Reboot"),
        "the cause of a guess may also be that of a Stop"
    );
    put(&store, &guessed(600, CloseGuess::NasReboot)).await;
    assert_eq!(only(&store).await, stopped(700, "NAS-Reboot"));
    store.close().await;
}

async fn a_row_that_somebody_deleted_is_written_anew(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &ran(600)).await;
    database.raw().await.run("DELETE FROM radacct").await;
    put(&store, &ran(900)).await;
    assert_eq!(only(&store).await, ran(900));
    database.raw().await.run("DELETE FROM radacct; DELETE FROM tk_session").await;
    let forgetful = restarted(database).await;
    put(&forgetful, &ran(950)).await;
    assert_eq!(only(&forgetful).await, ran(950));
    forgetful.close().await;
    store.close().await;
}

async fn freeradius_rows_are_adopted(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    let time = match database.kind {
        Kind::Sqlite => "1700000000, 1700000300",
        Kind::Postgres => "to_timestamp(1700000000), to_timestamp(1700000300)",
        Kind::MySql => "FROM_UNIXTIME(1700000000), FROM_UNIXTIME(1700000300)",
    };
    raw.run(&format!(
        "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime,
             acctsessiontime, acctinputoctets, acctoutputoctets, calledstationid, callingstationid, framedipaddress)
         VALUES ('8000001a', '01010101010101010101010101010101', 'bob', '10.0.0.1', {time}, 300, 1000, 2000, '', 'aa',
             '100.64.0.9'),
             ('8000001b', 'not a digest', 'bob', '10.0.0.1', {time}, 300, 1000, 2000, '', 'aa', '100.64.0.9')"
    ))
    .await;
    let page = store.open_sessions(None, 10).await.unwrap();
    assert_eq!((page.sessions.len(), page.unreadable), (1, 1));
    assert_eq!(page.sessions[0].key, SessionKey([1; 16]), "its unique id, for want of another");
    let key = SessionKey([42; 16]);
    let mut found = store.sessions_by(&[(key, UniqueId([1; 16]))]).await.unwrap().pop().unwrap();
    assert_eq!((found.key, found.counted), (key, Usage::default()));
    assert_eq!((found.started, found.updated), (UnixTime(1_700_000_000), UnixTime(1_700_000_300)));
    assert_eq!(found.nas.ip().to_string(), "10.0.0.1");
    assert_eq!(found.total(), Usage { seconds: 300, input: 1000, output: 2000 });
    assert_eq!((found.user_name.as_str(), found.framed_ip), ("bob", Some("100.64.0.9".parse().unwrap())));
    // From its next record on it is ours, in the same row.
    found.nas.source = "192.0.2.1".parse().unwrap();
    found.updated = UnixTime(1_700_000_600);
    found.session_time.reported = Some(600);
    put(&store, &found).await;
    let again = store.sessions_by(&[(key, UniqueId([1; 16]))]).await.unwrap();
    assert_eq!(again, [found]);
    assert_eq!(raw.rows("SELECT acctuniqueid FROM radacct").await.len(), 2);
    // What FreeRADIUS closed is closed, and only a NAS that rebooted is a guess.
    let stop = match database.kind {
        Kind::Sqlite => "1700000700",
        Kind::Postgres => "to_timestamp(1700000700)",
        Kind::MySql => "FROM_UNIXTIME(1700000700)",
    };
    raw.run(&format!(
        "UPDATE radacct SET acctstoptime = {stop}, acctterminatecause = 'User-Request' WHERE acctsessionid = '8000001a'"
    ))
    .await;
    let closed = store.sessions_by(&[(key, UniqueId([1; 16]))]).await.unwrap().pop().unwrap().closed;
    assert_eq!(
        closed,
        Some(Closed { at: UnixTime(1_700_000_700), cause: "User-Request".into(), guess: None })
    );
    store.close().await;
}

async fn sessions_are_found_by_key_and_by_unique_id(database: &TestDatabase) {
    let store = database.store().await;
    let old = stopped(600, "User-Request");
    let mut new = session(2);
    new.key = old.key;
    new.epoch = 1;
    let other = session(3);
    store
        .commit(&[&old, &new, &other].map(|session| Write::Session(Box::new(session.clone()))))
        .await
        .unwrap();
    let nobody = UniqueId([99; 16]);
    let found = store.sessions_by(&[(old.key, nobody)]).await.unwrap();
    assert_eq!(found, [new.clone()], "the latest use of the key");
    let found = store.sessions_by(&[(SessionKey([98; 16]), old.unique_id)]).await.unwrap();
    assert_eq!(found.first(), Some(&old));
    let mut found = store.sessions_by(&[(old.key, old.unique_id), (other.key, nobody)]).await.unwrap();
    found.sort_by_key(|session| session.unique_id);
    assert_eq!(found, [old, new, other]);
    assert_eq!(store.sessions_by(&[(SessionKey([98; 16]), nobody)]).await.unwrap(), []);
    assert_eq!(store.sessions_by(&[]).await.unwrap(), []);
    store.close().await;
}

async fn open_sessions_come_in_pages(database: &TestDatabase) {
    let store = database.store().await;
    let written: Vec<Session> = (1..=25).map(session).collect();
    let mut writes: Vec<Write> =
        written.iter().map(|session| Write::Session(Box::new(session.clone()))).collect();
    let mut closed = session(26);
    closed.closed = stopped(1, "User-Request").closed;
    writes.push(Write::Session(Box::new(closed)));
    store.commit(&writes).await.unwrap();
    let mut read = Vec::new();
    let mut after = None;
    let mut pages = 0;
    loop {
        let page = store.open_sessions(after.as_ref(), 10).await.unwrap();
        assert!(page.sessions.len() <= 10);
        read.extend(page.sessions);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    read.sort_by_key(|session| session.unique_id);
    assert_eq!(read, written);
    assert_eq!(pages, 3);
    store.close().await;
}

async fn closed_sessions_are_remembered_for_a_while(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &stopped(600, "User-Request")).await;
    let since = |seconds| session(1).started.plus(seconds);
    assert_eq!(store.closed_since(since(600), 10).await.unwrap(), [stopped(600, "User-Request")]);
    assert_eq!(store.closed_since(since(601), 10).await.unwrap(), []);
    store.close().await;
}

async fn odd_names_are_stored_whole(database: &TestDatabase) {
    let store = database.store().await;
    let names = [
        "o'brien; DROP TABLE radacct; --".to_owned(),
        "\u{1f600}\u{e9}\u{4e2d}".to_owned(),
        "tab\tnew\nline\u{1}\u{7f}".to_owned(),
        "back\\slash\\xff % _ \"quoted\"".to_owned(),
        "n".repeat(253),
        "\\x00".repeat(253),
        " spaces ".to_owned(),
    ];
    let written: Vec<Session> = (1..)
        .zip(&names)
        .map(|(number, name)| {
            let mut session = session(number);
            session.user_name = name.into();
            session.acct_session_id = name.into();
            session.calling_station_id = name.into();
            session.nas.identifier = name.into();
            session.details.class = name.into();
            session.details.other_attributes = name.into();
            session
        })
        .collect();
    let writes: Vec<Write> =
        written.iter().map(|session| Write::Session(Box::new(session.clone()))).collect();
    store.commit(&writes).await.unwrap();
    let mut read = store.open_sessions(None, 100).await.unwrap().sessions;
    read.sort_by_key(|session| session.unique_id);
    assert_eq!(read, written);
    for name in &names {
        let mut attempt = attempt(name, Some(RejectReason::UnknownLogin));
        attempt.calling_station_id = name.into();
        store.post_auth(&[attempt]).await.unwrap();
        let kept = store.last_attempts(name, 5).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].user_name, *name);
        assert_eq!(store.subscribers(&[name.into()], Day(0), NOW).await.unwrap(), []);
    }
    store.close().await;
}

async fn a_row_that_cannot_be_stored_keeps_no_other_out(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run(match database.kind {
        Kind::Sqlite => {
            "CREATE TRIGGER no_poison BEFORE INSERT ON radacct WHEN NEW.username = 'poison'
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        }
        _ => "ALTER TABLE radacct ADD CONSTRAINT no_poison CHECK (username <> 'poison')",
    })
    .await;
    let writes: Vec<Write> = (0..20)
        .map(|number| {
            let mut session = session(number);
            if number == 3 || number == 17 {
                session.user_name = "poison".into();
            }
            Write::Session(Box::new(session))
        })
        .collect();
    let error = store.commit(&writes).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused { writes, .. } if *writes == [3, 17]), "{error:?}");
    assert_eq!(store.open_sessions(None, 100).await.unwrap().sessions.len(), 18);
    store.close().await;
}

async fn a_thousand_rows_are_one_commit(database: &TestDatabase) {
    let store = database.store().await;
    let writes: Vec<Write> = (0_u32..1000)
        .map(|number| {
            let mut session = session(1);
            session.unique_id.0[..4].copy_from_slice(&number.to_be_bytes());
            session.key.0[..4].copy_from_slice(&number.to_be_bytes());
            Write::Session(Box::new(session))
        })
        .collect();
    store.commit(&writes).await.unwrap();
    // Again, and every one of them twice: of two rows for one key the later counts.
    let mut twice = writes.clone();
    twice.extend(writes.iter().map(|write| {
        let Write::Session(session) = write else { unreachable!() };
        let mut session = session.clone();
        session.updated = session.updated.plus(60);
        session.session_time.reported = Some(660);
        session.counted.seconds = 660;
        Write::Session(session)
    }));
    store.commit(&twice).await.unwrap();
    let read = store.open_sessions(None, 5000).await.unwrap().sessions;
    assert_eq!(read.len(), 1000);
    assert!(read.iter().all(|session| session.total().seconds == 660 && session.counted == session.total()));
    store.close().await;
}

async fn a_commit_that_is_given_up_holds_up_no_other(database: &TestDatabase) {
    let store = database.store().await;
    put(&store, &ran(300)).await;
    let mut raw = database.raw().await;
    raw.run(match database.kind {
        Kind::Sqlite => "BEGIN IMMEDIATE",
        Kind::Postgres => "BEGIN; LOCK TABLE radacct",
        Kind::MySql => "LOCK TABLES radacct WRITE",
    })
    .await;
    for _ in 0..4 {
        let writes = [Write::Session(Box::new(ran(600)))];
        let commit = store.commit(&writes);
        tokio::time::timeout(std::time::Duration::from_millis(100), commit)
            .await
            .expect_err("the table is locked");
    }
    raw.run(if database.kind == Kind::MySql { "UNLOCK TABLES" } else { "ROLLBACK" }).await;
    put(&store, &ran(900)).await;
    assert_eq!(only(&store).await, ran(900));
    store.close().await;
}

async fn usage_only_rises(database: &TestDatabase) {
    let store = database.store().await;
    let bucket = |day, seconds, input, output| Write::Usage {
        subscriber: SubscriberId(7),
        day: Day(day),
        total: Usage { seconds, input, output },
    };
    let lifetime = Day::LIFETIME.0;
    store.commit(&[bucket(19_000, 10, 20, 1 << 40), bucket(lifetime, 10, 20, 1 << 40)]).await.unwrap();
    store
        .commit(&[bucket(19_000, 5, 30, 7), bucket(lifetime, 15, 30, 1 << 41), bucket(18_000, 1, 1, 1)])
        .await
        .unwrap();
    let read = store.usage(SubscriberId(7), Day(18_500)).await.unwrap();
    let usage = |seconds, input, output| Usage { seconds, input, output };
    assert_eq!(read, [(Day::LIFETIME, usage(15, 30, 1 << 41)), (Day(19_000), usage(10, 30, 1 << 40))]);
    assert_eq!(store.usage(SubscriberId(8), Day(0)).await.unwrap(), []);
    store.close().await;
}

async fn first_use_is_kept_and_last_use_moves(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run("INSERT INTO tk_subscriber (username) VALUES ('bob')").await;
    let id = store.subscribers(&["bob".into()], Day(0), NOW).await.unwrap()[0].id;
    let used = |at| Write::Used { subscriber: id, at: UnixTime(at) };
    store.commit(&[used(200), used(100)]).await.unwrap();
    store.commit(&[used(300)]).await.unwrap();
    store.commit(&[used(250)]).await.unwrap();
    let rows = store.subscribers(&["bob".into()], Day(0), NOW).await.unwrap();
    assert_eq!(rows[0].first_use, Some(UnixTime(100)));
    let last = raw.rows("SELECT TRIM(CAST(last_use_at AS CHAR(20))) FROM tk_subscriber").await;
    assert_eq!(last, [["300"]]);
    store.close().await;
}

async fn quotas_are_read_and_what_is_used_of_a_top_up_only_rises(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run("INSERT INTO tk_account (name, time_zone) VALUES ('tehran', 'Asia/Tehran')").await;
    raw.run(
        "INSERT INTO tk_plan (name, groupname, rate_down, quota_octets, daily_seconds, reset_day)
         VALUES ('gold', 'gold-group', 8000, -5, 60, 31)",
    )
    .await;
    raw.run(
        "INSERT INTO tk_subscriber (username, account_id, plan_id, reset_day, activation_at, created_at)
         SELECT 'bob', a.id, p.id, 28, 70, 60 FROM tk_account a, tk_plan p
         WHERE a.name = 'tehran' AND p.name = 'gold'",
    )
    .await;
    raw.run(
        "INSERT INTO tk_quota (plan_id, metric, period, quota_limit, on_exhaust, rate_up, priority, reset_anchor)
         SELECT id, 'data_down', 'weekly', 100, 'throttle', 64, 3, 6 FROM tk_plan",
    )
    .await;
    raw.run(
        "INSERT INTO tk_quota (subscriber_id, metric, period, quota_limit, on_exhaust, redirect, carry_over, starts_at)
         SELECT id, 'data_each_direction', 'none', 7, 'redirect', 'http://portal/', 1, 80 FROM tk_subscriber",
    )
    .await;
    raw.run(
        "INSERT INTO tk_quota (subscriber_id, metric, period, quota_limit) SELECT id, 'pigeons', 'daily', 7 FROM tk_subscriber",
    )
    .await;
    raw.run(
        "INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit, starts_at, expires_at)
         SELECT id, 'time', 'lifetime', 'topup', 600, 90, 5000 FROM tk_subscriber",
    )
    .await;
    raw.run("INSERT INTO tk_term (subscriber_id, began_at, seconds, input, output) SELECT id, 1, 2, 3, 4 FROM tk_subscriber")
        .await;
    let terms = async || store.subscribers(&["bob".into()], Day(0), NOW).await.unwrap().remove(0).terms;
    let found = terms().await;
    assert_eq!((found.zone.as_str(), found.reset_day), ("Asia/Tehran", Some(28)));
    assert_eq!((found.activated, found.created), (Some(UnixTime(70)), UnixTime(60)));
    assert_eq!(found.before_term, Usage { seconds: 2, input: 3, output: 4 });
    let [quota] = found.quotas.as_slice() else { panic!("{:?}", found.quotas) };
    assert_eq!((quota.metric, quota.period, quota.limit), (Metric::EachDirection, Period::Lifetime, 7));
    assert_eq!((quota.carry_over, quota.created), (true, UnixTime(80)));
    assert_eq!(quota.exhausted, Exhaustion::Redirect("http://portal/".into()));
    let [bought] = found.top_ups.as_slice() else { panic!("{:?}", found.top_ups) };
    assert_eq!((bought.is_time, bought.amount, bought.used), (true, 600, 0));
    assert_eq!((bought.expires, bought.created), (Some(UnixTime(5000)), UnixTime(90)));

    let plans = store.plan_limits().await.unwrap();
    let [plan] = plans.as_slice() else { panic!("{plans:?}") };
    assert_eq!((Some(plan.id), plan.name.as_str(), plan.group.as_str()), (found.plan, "gold", "gold-group"));
    assert_eq!(plan.rate, Rate { down: Some(8000), up: None });
    assert_eq!(
        (plan.time, plan.volume, plan.daily_time, plan.reset_day),
        (None, Some(-5), Some(60), Some(31))
    );
    let [quota] = plan.quotas.as_slice() else { panic!("{:?}", plan.quotas) };
    assert_eq!(quota.exhausted, Exhaustion::Throttle(Rate { down: None, up: Some(64) }));
    assert_eq!((quota.metric, quota.begins, quota.priority), (Metric::Down, Some(6), 3));

    let used = |used| Write::TopUp { quota: bought.id, used };
    let reload = NasReload { nas: session(1).nas, at: UnixTime(500) };
    store.commit(&[used(200), used(100), Write::Session(Box::new(session(1)))]).await.unwrap();
    assert_eq!(terms().await.top_ups[0].used, 200);
    store.commit(&[used(150), Write::NasReload(reload)]).await.unwrap();
    assert_eq!(terms().await.top_ups[0].used, 200, "a replay changes nothing");
    store.commit(&[used(600)]).await.unwrap();
    assert_eq!(terms().await.top_ups[0].used, 600);
    store.close().await;
}

async fn a_quota_is_its_owners_in_the_feed(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run("INSERT INTO tk_subscriber (username) VALUES ('bob'), ('carol')").await;
    raw.run("INSERT INTO tk_plan (name, groupname) VALUES ('gold', 'gold-group')").await;
    let mut cursor = store.change_cursor(NOW).await.unwrap();
    let expect = |entries: &[(&str, &str)]| -> Vec<(String, String)> {
        entries.iter().map(|(table, key)| ((*table).to_owned(), (*key).to_owned())).collect()
    };
    let bob = "(SELECT id FROM tk_subscriber WHERE username = 'bob')";
    let carol = "(SELECT id FROM tk_subscriber WHERE username = 'carol')";
    raw.run(&format!(
        "INSERT INTO tk_quota (subscriber_id, metric, period, quota_limit) VALUES ({bob}, 'time', 'daily', 1)"
    ))
    .await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("UPDATE tk_quota SET quota_limit = 2").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("UPDATE tk_quota SET used = 2").await;
    assert_eq!(changed(&store, &mut cursor).await, [], "our own figure");
    raw.run(&format!("UPDATE tk_quota SET subscriber_id = {carol}")).await;
    let both = expect(&[("tk_subscriber", "bob"), ("tk_subscriber", "carol")]);
    assert_eq!(changed(&store, &mut cursor).await, both);
    raw.run("DELETE FROM tk_quota").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "carol")]));
    raw.run("INSERT INTO tk_quota (plan_id, metric, period, quota_limit) SELECT id, 'time', 'daily', 1 FROM tk_plan")
        .await;
    raw.run("UPDATE tk_quota SET on_exhaust = 'throttle'").await;
    raw.run("DELETE FROM tk_quota").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_plan", "gold-group")]));
    raw.run(&format!("INSERT INTO tk_term (subscriber_id, began_at) VALUES ({bob}, 1)")).await;
    raw.run("UPDATE tk_term SET seconds = 5").await;
    raw.run("DELETE FROM tk_term").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("UPDATE tk_account SET title = 'other'").await;
    assert_eq!(changed(&store, &mut cursor).await, []);
    raw.run("UPDATE tk_account SET time_zone = 'Asia/Tokyo'").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_account", "")]));
    store.close().await;
}

async fn reloads_wait_until_they_are_swept(database: &TestDatabase) {
    let store = database.store().await;
    let reload = |at, address: Option<&str>| NasReload {
        nas: NasIdentity {
            source: "192.0.2.1".parse().unwrap(),
            address: address.map(|address| address.parse().unwrap()),
            identifier: "bras-1".into(),
        },
        at: UnixTime(at),
    };
    let six = reload(500, Some("2001:db8:ffff:ffff:ffff:ffff:ffff:1"));
    store
        .commit(&[
            Write::NasReload(reload(500, None)),
            Write::NasReload(reload(400, None)),
            Write::NasReload(six.clone()),
        ])
        .await
        .unwrap();
    let mut pending = store.pending_reloads().await.unwrap();
    pending.sort_by(|one, two| one.nas.cmp(&two.nas));
    assert_eq!(pending, [reload(500, None), six.clone()]);
    store.reload_swept(&six, NOW).await.unwrap();
    store.reload_swept(&reload(499, None), NOW).await.unwrap();
    assert_eq!(store.pending_reloads().await.unwrap(), [reload(500, None)]);
    store.reload_swept(&reload(500, None), NOW).await.unwrap();
    assert_eq!(store.pending_reloads().await.unwrap(), []);
    store.commit(&[Write::NasReload(reload(500, None))]).await.unwrap();
    assert_eq!(store.pending_reloads().await.unwrap(), [], "a retransmission");
    store.commit(&[Write::NasReload(reload(600, None))]).await.unwrap();
    assert_eq!(store.pending_reloads().await.unwrap(), [reload(600, None)]);
    let mut all = store.reloads().await.unwrap();
    all.sort_by(|one, two| one.nas.cmp(&two.nas));
    assert_eq!(all, [reload(600, None), six]);
    assert!(!database.raw().await.rows("SELECT 'x' FROM nasreload").await.is_empty());
    store.close().await;
}

async fn a_login_is_a_subscriber_on_first_sight(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES
             ('bob', 'Cleartext-Password', ':=', 'hello'), ('bob', 'Simultaneous-Use', ':=', '3');
         INSERT INTO radreply (username, attribute, op, value) VALUES ('bob', 'Session-Timeout', ':=', '3600');
         INSERT INTO radusergroup (username, groupname, priority) VALUES
             ('bob', 'third', 5), ('bob', 'first', 1), ('bob', 'second', 5), ('carol', 'gold', 1);
         UPDATE radusergroup SET priority = 4 WHERE groupname = 'second'",
    )
    .await;
    let logins: Vec<SmolStr> = ["bob", "nobody", "carol", "bob"].map(SmolStr::new).to_vec();
    let mut rows = store.subscribers(&logins, Day(0), NOW).await.unwrap();
    rows.sort_by(|one, two| one.login.cmp(&two.login));
    assert_eq!(rows.iter().map(|row| row.login.as_str()).collect::<Vec<_>>(), ["bob", "carol"]);
    let bob = &rows[0];
    assert_eq!(bob.groups, ["first", "second", "third"]);
    assert_eq!(
        (bob.check[0].attribute.as_str(), bob.check[0].value.as_str()),
        ("Cleartext-Password", "hello")
    );
    assert_eq!((bob.check[1].op.as_str(), bob.reply[0].attribute.as_str()), (":=", "Session-Timeout"));
    assert_eq!((bob.status, bob.kind.as_str()), (SubscriberStatus::Active, "user"));
    // The second look finds the same numbers.
    let mut again = store.subscribers(&logins, Day(0), NOW).await.unwrap();
    again.sort_by(|one, two| one.login.cmp(&two.login));
    assert_eq!(again, rows);
    raw.run("UPDATE tk_subscriber SET status = 'suspended', expires_at = 5 WHERE username = 'bob'").await;
    let bob = store.subscribers(&["bob".into()], Day(0), NOW).await.unwrap().pop().unwrap();
    assert_eq!((bob.status, bob.expires), (SubscriberStatus::Suspended, Some(UnixTime(5))));
    store.close().await;
}

async fn logins_differ_in_every_octet(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    for (login, password) in [("bob", "one"), ("Bob", "two"), ("bob ", "three"), ("b\u{f6}b", "four")] {
        raw.run(&format!(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES ('{login}', 'Cleartext-Password', ':=', '{password}')"
        ))
        .await;
    }
    for (login, password) in [("bob", "one"), ("Bob", "two"), ("bob ", "three"), ("b\u{f6}b", "four")] {
        let rows = store.subscribers(&[login.into()], Day(0), NOW).await.unwrap();
        assert_eq!(rows.len(), 1, "{login:?}");
        assert_eq!(rows[0].login, login);
        assert_eq!(rows[0].check.len(), 1);
        assert_eq!(rows[0].check[0].value, password);
    }
    let all: Vec<SmolStr> = ["bob", "Bob", "bob ", "b\u{f6}b", "BOB"].map(SmolStr::new).to_vec();
    assert_eq!(store.subscribers(&all, Day(0), NOW).await.unwrap().len(), 4);
    store.close().await;
}

async fn subscribers_come_in_pages(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    for number in 0..40 {
        raw.run(&format!(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES ('user{number}', 'Cleartext-Password', ':=', 'x');
             INSERT INTO radusergroup (username, groupname) VALUES ('user{number}', 'gold')"
        ))
        .await;
    }
    raw.run(
        "INSERT INTO radreply (username, attribute, op, value) VALUES ('only-reply', 'Filter-Id', '=', 'x')",
    )
    .await;
    assert_eq!(store.sight_all(NOW).await.unwrap(), 41);
    assert_eq!(store.sight_all(NOW).await.unwrap(), 0);
    let mut logins = Vec::new();
    let mut after = None;
    loop {
        let page = store.subscriber_page(after, 17, Day(0)).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let nobody = SubscriberId(1 << 39);
        assert_eq!(store.logins(&[nobody, last.id]).await.unwrap(), std::slice::from_ref(&last.login));
        assert!(
            page.iter().all(|row| row.login == "only-reply" || (row.check.len(), row.groups.len()) == (1, 1))
        );
        logins.extend(page.into_iter().map(|row| row.login));
    }
    let mut expected: Vec<SmolStr> = (0..40).map(|number| format!("user{number}").into()).collect();
    expected.push("only-reply".into());
    assert_eq!(logins, expected, "in the order of their oldest row");
    store.close().await;
}

async fn groups_have_rows_and_members(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run(
        "INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES ('gold', 'Simultaneous-Use', ':=', '2'),
             ('Gold', 'Simultaneous-Use', ':=', '9');
         INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('gold', 'Filter-Id', '=', 'x');
         INSERT INTO radusergroup (username, groupname) VALUES ('bob', 'gold'), ('Bob', 'gold'), ('carol', 'gold'),
             ('dave', 'Gold'), ('carol', 'silver')",
    )
    .await;
    let groups = store.groups(&["gold".into(), "none".into()]).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["gold", "none"]);
    assert_eq!((groups[0].check.len(), groups[0].reply.len()), (1, 1));
    assert_eq!(groups[0].check[0].value, "2");
    assert_eq!(groups[1].check, []);
    assert_eq!(store.group_members("gold", None, 2).await.unwrap(), ["Bob", "bob"]);
    assert_eq!(store.group_members("gold", Some("bob"), 2).await.unwrap(), ["carol"]);
    assert_eq!(store.group_names().await.unwrap(), ["Gold", "gold", "silver"]);
    store.close().await;
}

async fn nas_rows_are_read_or_said_to_be_unusable(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run(
        "INSERT INTO nas (id, nasname, shortname, type, secret, require_ma) VALUES
             (1, '10.0.0.1', 'bras', 'mikrotik', 'testing123', 'yes'), (2, '10.1.0.0/16', '', 'other', 's', 'auto'),
             (3, 'bras.example.net', 'host', 'other', 's', 'auto'), (4, '10.0.0.4', 'empty', 'other', '', 'auto'),
             (5, '2001:db8::5', 'off', 'other', 's', 'auto');
         INSERT INTO tk_nas (nas_id, identifier, coa_port, coa_secret, secret_next, swap_octets) VALUES
             (1, 'bras-1', 1700, 'coa', 'next', 1);
         INSERT INTO tk_nas (nas_id, disabled) VALUES (5, 1)",
    )
    .await;
    let rows = store.nas_rows().await.unwrap();
    assert_eq!(rows.usable.len(), 2);
    let bras = &rows.usable[0];
    assert_eq!((bras.name.as_str(), bras.nas_type.as_str(), bras.coa_port), ("bras", "mikrotik", Some(1700)));
    assert_eq!(bras.network.to_string(), "10.0.0.1/32");
    assert_eq!(bras.secret.octets(), b"testing123");
    assert_eq!(bras.secret_next.as_ref().unwrap().octets(), b"next");
    assert_eq!(bras.coa_secret.as_ref().unwrap().octets(), b"coa");
    assert_eq!((bras.identifier.as_deref(), bras.swap_octets), (Some("bras-1"), true));
    assert_eq!(bras.require_message_authenticator, TriState::Yes);
    let network = &rows.usable[1];
    assert_eq!((network.name.as_str(), network.coa_port), ("10.1.0.0/16", None));
    assert_eq!(network.limit_proxy_state, TriState::Auto);
    assert_eq!(rows.unusable.iter().map(|nas| nas.id).collect::<Vec<_>>(), [3, 4]);
    store.close().await;
}

/// Table and key of what is new since the last call.
async fn changed(store: &Store, cursor: &mut ChangeCursor) -> Vec<(String, String)> {
    let changes = store.changes_since(cursor, 1000, NOW).await.unwrap();
    assert!(!changes.lost && !changes.more);
    let mut found: Vec<_> = changes
        .changes
        .into_iter()
        .map(|change| (change.table.to_string(), change.key.to_string()))
        .collect();
    found.dedup();
    found
}

async fn every_write_of_others_is_in_the_feed(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    let mut cursor = store.change_cursor(NOW).await.unwrap();
    let expect = |entries: &[(&str, &str)]| -> Vec<(String, String)> {
        entries.iter().map(|(table, key)| ((*table).to_owned(), (*key).to_owned())).collect()
    };
    for table in ["radcheck", "radreply"] {
        raw.run(&format!(
            "INSERT INTO {table} (username, attribute, op, value) VALUES ('bob', 'a', ':=', 'x'), ('carol', 'a', ':=', 'x')"
        ))
        .await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[(table, "bob"), (table, "carol")]));
        raw.run(&format!("UPDATE {table} SET value = 'y' WHERE username = 'bob'")).await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[(table, "bob")]));
        raw.run(&format!("UPDATE {table} SET username = 'dave' WHERE username = 'bob'")).await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[(table, "bob"), (table, "dave")]));
        raw.run(&format!("DELETE FROM {table} WHERE username = 'dave'")).await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[(table, "dave")]));
    }
    raw.run("INSERT INTO radusergroup (username, groupname) VALUES ('bob', 'gold')").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("radusergroup", "bob")]));
    raw.run("DELETE FROM radusergroup").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("radusergroup", "bob")]));
    for table in ["radgroupcheck", "radgroupreply"] {
        raw.run(&format!(
            "INSERT INTO {table} (groupname, attribute, op, value) VALUES ('gold', 'a', ':=', 'x')"
        ))
        .await;
        raw.run(&format!("UPDATE {table} SET groupname = 'silver'")).await;
        raw.run(&format!("DELETE FROM {table}")).await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[(table, "gold"), (table, "silver")]));
    }
    raw.run("INSERT INTO nas (id, nasname, shortname, secret) VALUES (3, '10.0.0.3', 'x', 's')").await;
    raw.run("INSERT INTO tk_nas (nas_id, coa_port) VALUES (3, 1700)").await;
    raw.run("UPDATE tk_nas SET coa_port = 1701").await;
    raw.run("DELETE FROM nas").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("nas", "3"), ("tk_nas", "3"), ("nas", "3")]));
    raw.run("INSERT INTO tk_subscriber (id, username) VALUES (11, 'bob')").await;
    raw.run("UPDATE tk_subscriber SET status = 'blocked'").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    for column in ["renewed_at", "first_use_at"] {
        raw.run(&format!("UPDATE tk_subscriber SET {column} = 5")).await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]), "{column}");
    }
    raw.run("INSERT INTO tk_expiry_rule (subscriber_id, kind) VALUES (11, 'fixed')").await;
    raw.run("UPDATE tk_expiry_rule SET value = 7").await;
    raw.run("DELETE FROM tk_expiry_rule").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("INSERT INTO tk_device (subscriber_id, mac) VALUES (11, '02-00-00-00-00-01')").await;
    raw.run("UPDATE tk_device SET valid_until = 7").await;
    raw.run("DELETE FROM tk_device").await;
    let device = [("tk_device", "02-00-00-00-00-01"), ("tk_subscriber", "bob")];
    assert_eq!(changed(&store, &mut cursor).await, expect(&[device, device, device].concat()));
    raw.run("INSERT INTO tk_override (subscriber_id, kind) VALUES (11, 'account')").await;
    raw.run("UPDATE tk_override SET rate_up = 7").await;
    raw.run("DELETE FROM tk_override").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("UPDATE tk_subscriber SET autologin = 1").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("UPDATE tk_account SET enabled = 0").await;
    raw.run("UPDATE tk_account SET title = 'x', enabled = 0").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_account", "")]));
    raw.run("UPDATE tk_subscriber SET username = NULL").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_subscriber", "bob")]));
    raw.run("INSERT INTO tk_plan (id, name, groupname) VALUES (12, 'gold', 'gold')").await;
    raw.run("UPDATE tk_plan SET concurrency = 'reject-new'").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_plan", "gold")]));
    raw.run("INSERT INTO tk_expiry_rule (plan_id, kind) VALUES (12, 'fixed')").await;
    raw.run("DELETE FROM tk_expiry_rule").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_plan", "gold")]));
    raw.run("INSERT INTO tk_api_key (dialect, key_id, secret_hash) VALUES ('jaze', 'k1', 'h')").await;
    raw.run("DELETE FROM tk_api_key").await;
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_api_key", "k1")]));
    let id = store.queue_order(UniqueId([1; 16]), &Order::Disconnect, "test", NOW).await.unwrap();
    assert_eq!(changed(&store, &mut cursor).await, expect(&[("tk_coa", &id.to_string())]));
    assert_eq!(changed(&store, &mut cursor).await, []);
    if database.kind == Kind::Postgres {
        raw.run("TRUNCATE radcheck").await;
        assert_eq!(changed(&store, &mut cursor).await, expect(&[("radcheck", "")]));
    }
    store.close().await;
}

async fn our_own_writes_are_not_in_the_feed(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('bob', 'a', ':=', 'x')").await;
    let mut cursor = store.change_cursor(NOW).await.unwrap();
    let id = store.subscribers(&["bob".into()], Day(0), NOW).await.unwrap()[0].id;
    // The first use is news to other servers: a clock may have started with it.
    store.commit(&[Write::Used { subscriber: id, at: NOW }]).await.unwrap();
    assert_eq!(changed(&store, &mut cursor).await, [("tk_subscriber".to_owned(), "bob".to_owned())]);
    store
        .commit(&[
            Write::Session(Box::new(ran(600))),
            Write::Usage { subscriber: id, day: Day(1), total: Usage { seconds: 1, input: 1, output: 1 } },
            Write::Used { subscriber: id, at: NOW.plus(60) },
        ])
        .await
        .unwrap();
    store.post_auth(&[attempt("bob", None)]).await.unwrap();
    store.record_order(UniqueId([1; 16]), &Order::Disconnect, "engine", NOW).await.unwrap();
    assert_eq!(changed(&store, &mut cursor).await, []);
    store.close().await;
}

async fn a_change_that_commits_late_is_seen(database: &TestDatabase) {
    if database.kind == Kind::Sqlite {
        // One writer at a time: numbers are in the order of commits.
        return;
    }
    let store = database.store().await;
    let (mut slow, mut quick) = (database.raw().await, database.raw().await);
    slow.run("BEGIN").await;
    slow.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('slow', 'a', ':=', 'x')").await;
    let mut cursor = store.change_cursor(NOW).await.unwrap();
    quick.run("INSERT INTO radreply (username, attribute, op, value) VALUES ('quick', 'a', ':=', 'x')").await;
    assert_eq!(changed(&store, &mut cursor).await, [("radreply".to_owned(), "quick".to_owned())]);
    slow.run("COMMIT").await;
    assert_eq!(changed(&store, &mut cursor).await, [("radcheck".to_owned(), "slow".to_owned())]);
    assert_eq!(changed(&store, &mut cursor).await, []);
    store.close().await;
}

async fn a_waiting_reader_is_woken(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    let mut cursor = store.change_cursor(NOW).await.unwrap();
    let long = std::time::Duration::from_secs(60);
    for name in ["one", "two"] {
        // The write begins when the reader waits; the bound is generous, the wait is not.
        let write = async {
            tokio::task::yield_now().await;
            raw.run(&format!(
                "INSERT INTO radcheck (username, attribute, op, value) VALUES ('{name}', 'a', ':=', 'x')"
            ))
            .await;
        };
        let wait = store.wait_for_change(&cursor, long);
        let (woken, ()) = tokio::join!(tokio::time::timeout(long / 2, wait), write);
        woken.expect("woken before its own timeout").unwrap();
        assert_eq!(changed(&store, &mut cursor).await, [("radcheck".to_owned(), name.to_owned())]);
    }
    store.wait_for_change(&cursor, std::time::Duration::from_millis(1)).await.unwrap();
    store.close().await;
}

async fn pruning_is_noticed_by_who_is_behind(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    let mut behind = store.change_cursor(NOW).await.unwrap();
    let insert = "INSERT INTO radcheck (username, attribute, op, value) VALUES ('bob', 'a', ':=', 'x')";
    raw.run(insert).await;
    assert_eq!(changed(&store, &mut behind).await.len(), 1);
    let mut current = behind.clone();
    for _ in 0..5 {
        raw.run(insert).await;
    }
    assert_eq!(changed(&store, &mut current).await.len(), 1);
    let last = store.last_change().await.unwrap();
    assert!(store.prune_changes(UnixTime(i64::from(i32::MAX))).await.unwrap() >= 5);
    assert_eq!(store.last_change().await.unwrap(), last, "numbers go on");
    raw.run(insert).await;
    assert_eq!(changed(&store, &mut current).await.len(), 1);
    assert!(store.changes_since(&mut behind, 100, NOW).await.unwrap().lost);
    store.close().await;
}

fn attempt(login: &str, reject: Option<RejectReason>) -> PostAuth {
    PostAuth {
        at: NOW,
        user_name: login.into(),
        subscriber: None,
        reject,
        rule: "radcheck Cleartext-Password".into(),
        method: "PAP",
        nas: "10.0.0.1".parse().unwrap(),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        called_station_id: "00-11-22-33-44-55:wifi".into(),
        class: "ai:00".into(),
    }
}

async fn attempts_are_kept_with_their_reason(database: &TestDatabase) {
    let store = database.store().await;
    let mut attempts: Vec<PostAuth> = (0..150).map(|_| attempt("bob", None)).collect();
    attempts.push(attempt("bob", Some(RejectReason::WrongPassword)));
    attempts.push(attempt("Bob", Some(RejectReason::UnknownLogin)));
    store.post_auth(&attempts).await.unwrap();
    let last = store.last_attempts("bob", 2).await.unwrap();
    assert_eq!(last.len(), 2);
    assert_eq!((last[0].reject, last[1].reject), (Some(RejectReason::WrongPassword), None));
    assert_eq!((last[0].method.as_str(), last[0].at), ("PAP", NOW));
    assert_eq!(last[0].nas, Some("10.0.0.1".parse().unwrap()));
    let mut raw = database.raw().await;
    let rows = raw
        .rows("SELECT reply FROM radpostauth WHERE pass = '' AND username = 'bob' AND class = 'ai:00'")
        .await;
    assert!(rows.len() >= 151);
    assert_eq!(rows.iter().filter(|row| row[0] == "Access-Accept").count(), 150);
    assert_eq!(store.prune_attempts(UnixTime(NOW.0 + 1), 100).await.unwrap(), 100);
    assert_eq!(store.prune_attempts(NOW, 100).await.unwrap(), 0);
    store.close().await;
}

async fn an_order_is_taken_once_and_its_outcome_is_kept(database: &TestDatabase) {
    let store = database.store().await;
    let id = UniqueId([1; 16]);
    let change =
        Order::ChangeOfAuthorization(vec!["Session-Timeout = 60".into(), "Filter-Id = \"x\"".into()]);
    let first = store.queue_order(id, &Order::Disconnect, "cli", NOW).await.unwrap();
    let second = store.queue_order(id, &change, "cli", NOW).await.unwrap();
    let own = store.record_order(id, &Order::Disconnect, "engine", NOW).await.unwrap();
    let other = restarted(database).await;
    let (here, there) = tokio::join!(store.take_jobs(10, NOW), other.take_jobs(10, NOW));
    let mut taken = here.unwrap();
    taken.extend(there.unwrap());
    taken.sort_by_key(|job| job.id);
    assert_eq!(taken.iter().map(|job| job.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!((&taken[0].order, &taken[1].order), (&Order::Disconnect, &change));
    assert_eq!(store.take_jobs(10, NOW).await.unwrap(), []);
    let nak = Outcome::Nak { error_cause: Some(503) };
    store.record_outcome(first, nak, Some(NOW), NOW.plus(1)).await.unwrap();
    store.record_outcome(second, Outcome::NotSent(NotSent::NoNas), None, NOW).await.unwrap();
    let row = store.outcome(first).await.unwrap().unwrap();
    assert_eq!((row.outcome, row.sent, row.done), (Some(nak), Some(NOW), Some(NOW.plus(1))));
    assert_eq!((row.queued_by.as_str(), row.job.session), ("cli", id));
    assert_eq!(store.outcome(second).await.unwrap().unwrap().outcome, Some(Outcome::NotSent(NotSent::NoNas)));
    assert_eq!(store.outcome(own).await.unwrap().unwrap().outcome, None);
    assert_eq!(store.outcome(own + 1000).await.unwrap(), None);
    assert_eq!(store.give_up_jobs(NOW.plus(60), NOW.plus(60)).await.unwrap(), 1);
    assert_eq!(store.outcome(own).await.unwrap().unwrap().outcome, Some(Outcome::TimedOut));
    let all = store.orders_of(id, 10).await.unwrap();
    assert_eq!(all.iter().map(|row| row.job.id).collect::<Vec<_>>(), [own, second, first]);
    other.close().await;
    store.close().await;
}
