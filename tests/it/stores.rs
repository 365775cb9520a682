//! One battery of truths for the three databases.

use tollkeeper::domain::session::SessionDetails;
use tollkeeper::domain::{
    ClassToken, Counter, NasIdentity, Session, SessionFlags, SessionKey, SubscriberId, UniqueId, Usage, Write,
};
use tollkeeper::store::{CommitWrites as _, Store, StoreError};
use tollkeeper::time::UnixTime;

use crate::support::databases::{Kind, TestDatabase};

/// Each truth as a test per database.
macro_rules! battery {
    ($($name:ident),* $(,)?) => {
        battery!(@ sqlite, Kind::Sqlite, $($name),*);
        battery!(@ postgres, Kind::Postgres, $($name),*);
        battery!(@ mysql, Kind::MySql, $($name),*);
    };
    (@ $module:ident, $kind:expr, $($name:ident),*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(database) = TestDatabase::create($kind).await {
                        super::$name(&database).await;
                        database.drop().await;
                    }
                }
            )*
        }
    };
}

battery! {
    migrations_run_once,
    migrations_take_an_installed_freeradius_schema_as_it_is,
    a_schema_of_a_later_release_is_refused,
    a_session_is_read_back_as_it_was_written,
}

async fn migrations_run_once(database: &TestDatabase) {
    let store = Store::connect(&database.settings()).await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap().len(), 3);
    assert_eq!(store.migrate().await.unwrap().len(), 3);
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
        flags: SessionFlags { wrapped: true, ..SessionFlags::default() },
        framed_ip: Some("100.64.0.9".parse().unwrap()),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        called_station_id: "00-11-22-33-44-55:wifi".into(),
        nas_port_id: "ether1".into(),
        details: Box::new(SessionDetails {
            framed_ipv6_prefix: "2001:db8:1::/64".into(),
            multi_session_id: "m1".into(),
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
