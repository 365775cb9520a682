//! Limits of an account in the place of its plan's, through the management service, on each database.

use std::sync::Arc;

use tollkeeper::domain::operator::{Dialect, Rights};
use tollkeeper::domain::{Amount, Day, LedgerAction, Metric, SubscriberId, Usage, WalletKind, Write};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::entropy::SystemEntropy;
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::service::{
    Idle, Left, LimitChange, ManagementGate, OperatorCredential, PlanChange, Proof, ServiceError,
    SubscriberOrder, Turn,
};
use tollkeeper::store::{CommitWrites as _, CreditChange, Store};
use tollkeeper::time::{Clock as _, SystemClock};

use crate::support::databases::{Kind, TestDatabase, battery};

battery! {
    an_account_has_its_plans_figures_until_it_has_its_own,
    what_is_left_of_a_term_follows_what_is_used,
    rates_places_and_idle_times_are_the_accounts_own,
    a_change_is_one_row_of_the_audit_and_a_wrong_one_none,
    a_device_is_remembered_for_one_account_and_so_many_of_one,
    an_account_of_another_zone_is_not_found,
}

fn gate(store: &Store) -> ManagementGate {
    let settings = engine::Settings::new(TokenKey::new(&[0; 32]), jiff::tz::TimeZone::UTC);
    ManagementGate::new(store.clone(), Dictionary::embedded(), settings, Arc::new(SystemClock))
}

/// `bob`, who has a plan of an hour and a megabyte, 2 Mbit/s down, and three logins.
async fn bob(gate: &ManagementGate) -> SubscriberId {
    let management = gate.console("tester");
    let terms = PlanChange {
        time: Some(Some(3_600)),
        quota: Some(Some(1_000_000)),
        rate_down: Some(Some(2_000_000)),
        attributes: vec!["Simultaneous-Use := 3".into(), "Idle-Timeout := 300".into()],
        ..PlanChange::default()
    };
    management.add_plan("hour", &terms).await.unwrap();
    let order = SubscriberOrder {
        login: "bob".to_owned(),
        proof: Proof::Pin,
        plan: Some("hour".to_owned()),
        ..SubscriberOrder::default()
    };
    management.add_subscriber(&order).await.unwrap()
}

async fn uses(store: &Store, subscriber: SubscriberId, seconds: u64, input: u64, output: u64) {
    let total = Usage { seconds, input, output };
    let today = tollkeeper::sessions::day_of(SystemClock.now().unix, &jiff::tz::TimeZone::UTC);
    let writes = [Day::LIFETIME, today].map(|day| Write::Usage { subscriber, day, total });
    store.commit(&writes).await.unwrap();
}

fn left(left: Left) -> Turn {
    Turn { left: Some(left), ..Turn::default() }
}

async fn an_account_has_its_plans_figures_until_it_has_its_own(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let id = bob(&gate).await;
    let management = gate.console("tester");
    uses(&store, id, 600, 100, 400).await;
    let limits = management.limits("bob").await.unwrap();
    assert_eq!((limits.term.time.limit, limits.term.time.left), (Some(3_600), Some(3_000)));
    assert_eq!((limits.term.data.limit, limits.term.data.left), (Some(1_000_000), Some(999_500)));
    assert!(limits.daily.time.is_unlimited() && limits.monthly.data.is_unlimited());
    assert_eq!((limits.used.seconds, limits.daily.time.used.seconds), (600, 600));
    let change = LimitChange {
        term_data: Turn { limit: Some(1_000), ..Turn::default() },
        data_metric: Some(Metric::EachDirection),
        daily_time: Turn {
            unlimited: Some(false),
            limit: Some(7_200),
            left: Some(Left::Set(60)),
            as_plan: false,
        },
        term_time: Turn { unlimited: Some(true), ..Turn::default() },
        ..LimitChange::default()
    };
    management.set_limits("bob", &change).await.unwrap();
    let limits = management.limits("bob").await.unwrap();
    assert!(limits.term.time.is_unlimited());
    assert_eq!(limits.term.time.figure, Some(3_600), "it is kept");
    assert_eq!((limits.term.data.metric, limits.term.data.left), (Metric::EachDirection, Some(600)));
    let day = &limits.daily.time;
    assert_eq!((day.limit, day.left, day.figure, day.is_own), (Some(660), Some(60), Some(7_200), true));
    let as_plan = Turn { as_plan: true, ..Turn::default() };
    let change = LimitChange {
        term_time: Turn { unlimited: Some(false), ..Turn::default() },
        term_data: as_plan,
        daily_time: as_plan,
        ..LimitChange::default()
    };
    management.set_limits("bob", &change).await.unwrap();
    let limits = management.limits("bob").await.unwrap();
    assert_eq!((limits.term.time.left, limits.term.data.left), (Some(3_000), Some(999_500)));
    assert!(limits.daily.time.is_unlimited());
    store.close().await;
}

async fn what_is_left_of_a_term_follows_what_is_used(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let id = bob(&gate).await;
    let management = gate.console("tester");
    uses(&store, id, 600, 0, 0).await;
    let set = async |change: LimitChange| {
        management.set_limits("bob", &change).await.unwrap();
        let limits = management.limits("bob").await.unwrap();
        (limits.term.time.left, limits.used.seconds)
    };
    let time = |term_time| LimitChange { term_time, ..LimitChange::default() };
    assert_eq!(set(time(left(Left::Set(1_000)))).await, (Some(1_000), 600));
    assert_eq!(set(time(left(Left::Add(50)))).await, (Some(1_050), 600));
    let used = |time_used| LimitChange { time_used: Some(time_used), ..LimitChange::default() };
    assert_eq!(set(used(0)).await, (Some(1_050), 0));
    // More than ever was used, too.
    assert_eq!(set(used(5_000)).await, (Some(1_050), 5_000));
    uses(&store, id, 700, 0, 0).await;
    let limits = management.limits("bob").await.unwrap();
    assert_eq!((limits.term.time.left, limits.used.seconds), (Some(950), 5_100));
    let both = LimitChange { time_used: Some(10), ..time(left(Left::Set(20))) };
    assert_eq!(set(both).await, (Some(20), 10));
    assert_eq!(set(time(left(Left::Set(0)))).await, (Some(0), 10));
    store.close().await;
}

async fn rates_places_and_idle_times_are_the_accounts_own(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    bob(&gate).await;
    let management = gate.console("tester");
    let limits = management.limits("bob").await.unwrap();
    assert_eq!((limits.rate.down, limits.places, limits.idle_timeout), (Some(2_000_000), Some(3), Some(300)));
    let change = LimitChange {
        rate_down: Some(Some(512_000)),
        rate_up: Some(Some(128_000)),
        places: Some(Some(1)),
        idle: Some(Idle::Never),
        ..LimitChange::default()
    };
    management.set_limits("bob", &change).await.unwrap();
    let limits = management.limits("bob").await.unwrap();
    assert_eq!((limits.rate.down, limits.rate.up), (Some(512_000), Some(128_000)));
    assert_eq!((limits.places, limits.idle_timeout), (Some(1), None));
    let change = LimitChange {
        rate_down: Some(None),
        rate_up: Some(None),
        places: Some(None),
        idle: Some(Idle::AsPlan),
        ..LimitChange::default()
    };
    management.set_limits("bob", &change).await.unwrap();
    let limits = management.limits("bob").await.unwrap();
    assert_eq!((limits.rate.down, limits.places, limits.idle_timeout), (Some(2_000_000), Some(3), Some(300)));
    let mut raw = database.raw().await;
    assert!(raw.rows("SELECT CAST(id AS CHAR(9)) FROM tk_override").await.is_empty());
    store.close().await;
}

async fn a_change_is_one_row_of_the_audit_and_a_wrong_one_none(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    bob(&gate).await;
    let management = gate.console("tester");
    let change = LimitChange { places: Some(Some(0)), ..LimitChange::default() };
    assert!(matches!(management.set_limits("bob", &change).await, Err(ServiceError::Invalid { .. })));
    let change = LimitChange {
        term_time: left(Left::Set(60)),
        monthly_data: Turn { limit: Some(9), ..Turn::default() },
        places: Some(Some(2)),
        ..LimitChange::default()
    };
    assert!(matches!(management.set_limits("carol", &change).await, Err(ServiceError::NotFound { .. })));
    let mut raw = database.raw().await;
    management.set_limits("bob", &change).await.unwrap();
    let said = raw.rows("SELECT new_value FROM tk_audit WHERE attribute = 'limits'").await;
    assert_eq!(said, [["bob time_left=60 monthly_quota=9 places=2"]]);
    management.delete_subscriber("bob").await.unwrap();
    assert!(raw.rows("SELECT origin FROM tk_quota").await.is_empty());
    store.close().await;
}

async fn a_device_is_remembered_for_one_account_and_so_many_of_one(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let bob = bob(&gate).await;
    let management = gate.console("tester");
    let order = |login: &str| SubscriberOrder {
        login: login.to_owned(),
        proof: Proof::Pin,
        ..SubscriberOrder::default()
    };
    let anna = management.add_subscriber(&order("anna")).await.unwrap();
    let mut raw = database.raw().await;
    // Remembered once, for the last account, and so many of one account.
    let mac = |number: u8| *format!("0200000000{number:02x}").as_bytes().first_chunk().unwrap();
    for number in [1, 2, 3, 1, 2] {
        store.remember_device(bob, &mac(number), 2).await.unwrap();
    }
    let kept = |rows: Vec<Vec<String>>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let of_bob = "SELECT mac FROM tk_device ORDER BY id";
    assert_eq!(kept(raw.rows(of_bob).await), ["02-00-00-00-00-01", "02-00-00-00-00-02"]);
    raw.run("UPDATE tk_device SET mac = '02:00:00:00:00:02' WHERE mac = '02-00-00-00-00-02'").await;
    store.remember_device(bob, &mac(2), 2).await.unwrap();
    assert_eq!(kept(raw.rows(of_bob).await), ["02-00-00-00-00-01", "02:00:00:00:00:02"]);
    store.remember_device(anna, &mac(2), 2).await.unwrap();
    assert_eq!(store.device_logins(&[mac(2)]).await.unwrap(), [(mac(2), "anna".into())]);
    // One that an operator lets in is nobody's to forget.
    raw.run(&format!(
        "INSERT INTO tk_device (subscriber_id, mac, source) VALUES ({}, '020000000002', 'loginaccount')",
        bob.0
    ))
    .await;
    store.remember_device(anna, &mac(2), 2).await.unwrap();
    let owners = store.device_logins(&[mac(2)]).await.unwrap();
    assert_eq!(owners, [(mac(2), "bob".into()), (mac(2), "anna".into())], "the newest row first");
    store.close().await;
}

async fn an_account_of_another_zone_is_not_found(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    bob(&gate).await;
    let mut raw = database.raw().await;
    raw.run("INSERT INTO tk_account (name, parent_id) VALUES ('north', 0)").await;
    let console = gate.console("tester");
    let key = console.create_key(Dialect::Native, Rights::ALL, "north", &mut SystemEntropy).await.unwrap();
    let credential =
        OperatorCredential::Key { dialect: Dialect::Native, key_id: &key.key_id, secret: &key.secret };
    let management = gate.enter(credential, "127.0.0.1").await.unwrap();
    let change = LimitChange { places: Some(Some(1)), ..LimitChange::default() };
    let more = CreditChange::Add(Amount::parse("1").unwrap());
    let unknown = |error: ServiceError| matches!(error, ServiceError::NotFound { .. });
    assert!(unknown(management.limits("bob").await.unwrap_err()));
    assert!(unknown(management.set_limits("bob", &change).await.unwrap_err()));
    let moved = management.change_wallet("bob", WalletKind::Money, more, LedgerAction::MoneyInc, "").await;
    assert!(unknown(moved.unwrap_err()));
    assert!(unknown(management.wallet("bob", WalletKind::Money).await.unwrap_err()));
    raw.run("UPDATE tk_subscriber SET account_id = (SELECT id FROM tk_account WHERE name = 'north')").await;
    management.set_limits("bob", &change).await.unwrap();
    assert_eq!(management.limits("bob").await.unwrap().places, Some(1));
    management.change_wallet("bob", WalletKind::Money, more, LedgerAction::MoneyInc, "").await.unwrap();
    assert!(raw.rows("SELECT kind FROM tk_wallet WHERE kind = 'credit'").await.is_empty());
    store.close().await;
}
