//! Limits of an account in the place of its plan's, through the management service, on each database.

use std::sync::Arc;

use tollkeeper::domain::{Day, Metric, SubscriberId, Usage, Write};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::service::{
    Idle, Left, LimitChange, ManagementGate, PlanChange, Proof, ServiceError, SubscriberOrder, Turn,
};
use tollkeeper::store::{CommitWrites as _, Store};
use tollkeeper::time::{Clock as _, SystemClock};

use crate::support::databases::{Kind, TestDatabase, battery};

battery! {
    an_account_has_its_plans_figures_until_it_has_its_own,
    what_is_left_of_a_term_follows_what_is_used,
    rates_places_and_idle_times_are_the_accounts_own,
    a_change_is_one_row_of_the_audit_and_a_wrong_one_none,
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
    management.set_limits("bob", &change).await.unwrap();
    let mut raw = database.raw().await;
    let said = raw.rows("SELECT new_value FROM tk_audit WHERE attribute = 'limits'").await;
    assert_eq!(said, [["bob time_left=60 monthly_quota=9 places=2"]]);
    management.delete_subscriber("bob").await.unwrap();
    assert!(raw.rows("SELECT origin FROM tk_quota").await.is_empty());
    store.close().await;
}
