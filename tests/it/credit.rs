//! Credit in SQL: what charged sessions cost is posted once, and the ledger adds up, on each database.

use std::sync::Arc;

use tollkeeper::domain::plan::PlanId;
use tollkeeper::domain::{
    Amount, Charge, ChargePart, CloseGuess, Closed, Counter, LedgerAction, NasIdentity, Price, Session,
    SessionKey, SubscriberId, UniqueId, Usage, WalletKind, Write,
};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::service::{
    ChargeRuleOrder, ManagementGate, PlanChange, Proof, ServiceError, SubscriberOrder,
};
use tollkeeper::store::{CommitWrites as _, CreditChange, Store, StoreError};
use tollkeeper::time::{SystemClock, UnixTime};

use crate::support::databases::{Kind, TestDatabase, battery};

battery! {
    a_session_is_posted_once_whatever_is_written_again,
    stops_and_operators_at_once_add_up,
    a_session_that_is_read_back_goes_on_from_its_account,
    operators_change_credit_within_its_limit,
    a_renewal_begins_the_plan_anew,
    a_credit_and_a_rule_are_news_and_a_posting_is_none,
    money_is_a_wallet_of_its_own,
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn gate(store: &Store) -> ManagementGate {
    let settings = engine::Settings::new(TokenKey::new(&[0; 32]), jiff::tz::TimeZone::UTC);
    ManagementGate::new(store.clone(), Dictionary::embedded(), settings, Arc::new(SystemClock))
}

/// A plan of so much credit, and a subscriber who has it.
async fn subscriber(store: &Store, login: &str, credit: &str) -> SubscriberId {
    let gate = gate(store);
    let management = gate.console("tester");
    let plan = format!("plan of {login}");
    let terms = PlanChange {
        price: Some(Some(amount("8"))),
        currency: Some("EUR".to_owned()),
        credit: Some(Some(amount(credit))),
        recharge_credit: Some(Some(amount("2.5"))),
        charge_per_minute: Some(Some(amount("1"))),
        ..PlanChange::default()
    };
    management.add_plan(&plan, &terms).await.unwrap();
    let order = SubscriberOrder {
        login: login.to_owned(),
        proof: Proof::Pin,
        plan: Some(plan),
        ..SubscriberOrder::default()
    };
    management.add_subscriber(&order).await.unwrap()
}

/// An open session of so many seconds at 1 a minute.
fn session(number: u8, subscriber: SubscriberId, seconds: u64) -> Session {
    let used = Usage { seconds, input: 1_000, output: 24 };
    let started = UnixTime(1_700_000_000);
    let part = ChargePart {
        rule: 5,
        name: "always".into(),
        price: Price { per_minute: amount("1"), per_kib: amount("0") },
        start: started,
        end: started.plus(seconds),
        before: Usage::default(),
        used,
    };
    let source = "10.0.0.1".parse().unwrap();
    let nas = NasIdentity { source, address: None, identifier: String::new().into() };
    let (key, id) = (SessionKey([number; 16]), UniqueId([number; 16]));
    Session {
        subscriber: Some(subscriber),
        user_name: "bob".into(),
        group: "metered".into(),
        updated: started.plus(seconds),
        interval: 60,
        session_time: Counter { base: 0, reported: Some(seconds) },
        input: Counter { base: 0, reported: Some(1_000) },
        output: Counter { base: 0, reported: Some(24) },
        counted: used,
        charge: Some(Box::new(Charge {
            plan: PlanId(3),
            plan_name: "metered".into(),
            wallet: WalletKind::Credit,
            before: amount("1000"),
            rated: used,
            until: started.plus(seconds),
            parts: vec![part],
        })),
        calling_station_id: "AA-BB-CC-00-11-22".into(),
        ..Session::begun(key, id, nas, format!("{number}").into(), started)
    }
}

fn closed(mut session: Session, guess: Option<CloseGuess>) -> Session {
    session.closed = Some(Closed { at: session.updated, cause: "User-Request".into(), guess });
    session
}

async fn commit(store: &Store, sessions: &[Session]) {
    let writes: Vec<Write> = sessions.iter().map(|row| Write::Session(Box::new(row.clone()))).collect();
    // As the writer does it: where nothing is known to be durable, the same again.
    while let Err(error) = store.commit(&writes).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}

/// The ledger's deltas, oldest first, and the balance, which has to be their sum.
async fn ledger(store: &Store, login: &str) -> (Vec<String>, Amount) {
    let gate = gate(store);
    let management = gate.console("tester");
    let entries = management.ledger(login, None, 1_000).await.unwrap();
    let credit = management.credit(login).await.unwrap();
    let mut sum = Amount::ZERO;
    for entry in entries.iter().rev() {
        assert_eq!(entry.before, sum, "{entry:?}");
        sum = sum.plus(entry.delta).unwrap();
        assert_eq!(entry.after, sum, "{entry:?}");
    }
    assert_eq!(credit.balance, sum, "the balance is what the ledger adds up to");
    let deltas = entries.iter().rev().map(|entry| format!("{} {}", entry.action, entry.delta)).collect();
    (deltas, sum)
}

async fn a_session_is_posted_once_whatever_is_written_again(database: &TestDatabase) {
    let store = database.store().await;
    let bob = subscriber(&store, "bob", "10").await;
    let gate = gate(&store);
    let running = async || gate.console("tester").credit("bob").await.unwrap().running;
    commit(&store, &[session(1, bob, 120)]).await;
    assert_eq!(
        (running().await, ledger(&store, "bob").await.0),
        (amount("2"), vec!["ADD_USER 10".to_owned()])
    );
    let stale = closed(session(1, bob, 180), Some(CloseGuess::Stale));
    for _ in 0..3 {
        commit(&store, std::slice::from_ref(&stale)).await;
    }
    assert_eq!(ledger(&store, "bob").await.0, ["ADD_USER 10", "USAGE -3"]);
    assert_eq!(running().await, Amount::ZERO);
    // It goes on, and what is written of it before its end is not posted.
    commit(&store, &[session(1, bob, 240)]).await;
    assert_eq!((running().await, ledger(&store, "bob").await.1), (amount("1"), amount("7")));
    let stopped = closed(session(1, bob, 300), None);
    commit(&store, std::slice::from_ref(&stopped)).await;
    // A row from before comes late, and the last one again.
    commit(&store, &[stale]).await;
    commit(&store, &[stopped]).await;
    assert_eq!(ledger(&store, "bob").await.0, ["ADD_USER 10", "USAGE -3", "USAGE -2"]);
    let mut raw = database.raw().await;
    let rows = raw.rows("SELECT unique_id, plan_name FROM tk_cdr WHERE postings = 2").await;
    assert_eq!(rows, [["01".repeat(16), "metered".to_owned()]]);
    let usage = gate.console("tester").credit("bob").await.unwrap().usage;
    let usage: Vec<_> =
        usage.iter().map(|usage| (usage.rule, usage.credit, usage.seconds, usage.bytes)).collect();
    assert_eq!(usage, [(5, amount("5"), 300, 1024)]);
    store.close().await;
}

async fn stops_and_operators_at_once_add_up(database: &TestDatabase) {
    let stores = [database.store().await, database.store().await];
    let bob = subscriber(&stores[0], "bob", "1000").await;
    let ann = subscriber(&stores[0], "ann", "1000").await;
    let mut tasks = Vec::new();
    // Two servers with two commits each: every session ends four times, ann's and bob's in both orders.
    for worker in 0..4_usize {
        let store = stores[worker % 2].clone();
        tasks.push(tokio::spawn(async move {
            for number in 0..20_u8 {
                let mut stops =
                    [closed(session(number, bob, 60), None), closed(session(100 + number, ann, 90), None)];
                if worker < 2 {
                    stops.reverse();
                }
                commit(&store, &stops).await;
            }
        }));
        let store = stores[worker % 2].clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..5 {
                let change = CreditChange::Add(amount("0.25"));
                let gate = gate(&store);
                gate.console("tester").change_credit("bob", change, "a present").await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (entries, balance) = ledger(&stores[0], "bob").await;
    assert_eq!((entries.len(), balance), (1 + 20 + 20, amount("985")));
    let (entries, balance) = ledger(&stores[1], "ann").await;
    assert_eq!((entries.len(), balance), (1 + 20, amount("970")));
    for store in stores {
        store.close().await;
    }
}

async fn a_session_that_is_read_back_goes_on_from_its_account(database: &TestDatabase) {
    let store = database.store().await;
    let bob = subscriber(&store, "bob", "10").await;
    let written = session(1, bob, 120);
    commit(&store, std::slice::from_ref(&written)).await;
    let page = store.open_sessions(None, 100).await.unwrap();
    assert_eq!(page.sessions, [written]);
    store.close().await;
}

async fn operators_change_credit_within_its_limit(database: &TestDatabase) {
    let store = database.store().await;
    subscriber(&store, "bob", "0").await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let change = async |change, amount_text: &str| {
        let change: fn(Amount) -> CreditChange = change;
        management.change_credit("bob", change(amount(amount_text)), "why").await
    };
    let added = change(CreditChange::Add, "1000").await.unwrap();
    assert_eq!((added.before, added.after), (Amount::ZERO, amount("1000")));
    change(CreditChange::Multiply, "0.5").await.unwrap();
    change(CreditChange::Set, "0.000000000000000001").await.unwrap();
    let below = change(CreditChange::Add, "-1").await.unwrap_err();
    assert!(matches!(&below, ServiceError::Conflict { reason } if reason.contains("-0.999")), "{below:?}");
    management.set_credit_limit("bob", amount("1")).await.unwrap();
    change(CreditChange::Add, "-1").await.unwrap();
    assert!(matches!(change(CreditChange::Multiply, "-1").await, Err(ServiceError::Invalid { .. })));
    assert!(matches!(change(CreditChange::Set, "-2").await, Err(ServiceError::Conflict { .. })));
    change(CreditChange::Set, "999999999999").await.unwrap();
    assert!(matches!(change(CreditChange::Multiply, "2").await, Err(ServiceError::Invalid { .. })));
    assert!(matches!(management.credit("nobody").await, Err(ServiceError::NotFound { .. })));
    let (entries, _) = ledger(&store, "bob").await;
    assert_eq!(entries.len(), 5, "what was refused left nothing: {entries:?}");
    let mut raw = database.raw().await;
    let rows =
        raw.rows("SELECT actor, dialect, comment FROM tk_ledger WHERE action <> 'CHANGE_CREDIT'").await;
    assert!(rows.is_empty(), "a plan of no credit books nothing: {rows:?}");
    let audited =
        raw.rows("SELECT attribute, old_value, new_value FROM tk_audit WHERE attribute LIKE 'credit%'").await;
    assert_eq!(audited.len(), 6);
    assert_eq!(audited[0], ["credit", "0", "bob add 1000: 1000 why"]);
    store.close().await;
}

async fn a_renewal_begins_the_plan_anew(database: &TestDatabase) {
    let store = database.store().await;
    let bob = subscriber(&store, "bob", "10").await;
    commit(&store, &[closed(session(1, bob, 60), None)]).await;
    let mut raw = database.raw().await;
    raw.run("UPDATE tk_subscriber SET first_use_at = 5, real_first_use_at = 5").await;
    let gate = gate(&store);
    let management = gate.console("tester");
    assert_eq!(management.renew("bob", "new month").await, Ok(amount("10")));
    let entries = ["ADD_USER 10", "USAGE -1", "RENEW_TRASH -9", "RENEW 10"];
    assert_eq!(ledger(&store, "bob").await.0, entries);
    assert!(management.credit("bob").await.unwrap().usage.is_empty());
    let anew = "SELECT service_state FROM tk_subscriber WHERE first_use_at IS NULL AND real_first_use_at = 5";
    assert_eq!(raw.rows(anew).await, [["package"]], "the first login is still to come");
    assert_eq!(management.recharge("bob", "").await, Ok(amount("12.5")));
    assert_eq!(raw.rows("SELECT service_state FROM tk_subscriber").await, [["recharged"]]);
    let priced = raw.rows("SELECT action, currency FROM tk_ledger WHERE price IS NOT NULL ORDER BY id").await;
    assert_eq!(priced, [["ADD_USER", "EUR"], ["RENEW", "EUR"]]);
    // A plan that nobody has is nobody's to renew.
    let alone = SubscriberOrder { login: "ann".to_owned(), proof: Proof::Pin, ..SubscriberOrder::default() };
    management.add_subscriber(&alone).await.unwrap();
    assert!(matches!(management.renew("ann", "").await, Err(ServiceError::Conflict { .. })));
    store.close().await;
}

async fn a_credit_and_a_rule_are_news_and_a_posting_is_none(database: &TestDatabase) {
    let store = database.store().await;
    let bob = subscriber(&store, "bob", "10").await;
    let now = UnixTime(1_700_000_000);
    let mut cursor = store.change_cursor(now).await.unwrap();
    let mut news = async || {
        let page = store.changes_since(&mut cursor, 100, now).await.unwrap();
        let mut keys: Vec<String> =
            page.changes.iter().map(|change| format!("{} {}", change.table, change.key)).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    commit(&store, &[session(1, bob, 60)]).await;
    commit(&store, &[closed(session(1, bob, 120), None)]).await;
    assert_eq!(news().await, Vec::<String>::new());
    let gate = gate(&store);
    let management = gate.console("tester");
    management.change_credit("bob", CreditChange::Add(amount("-1")), "").await.unwrap();
    assert_eq!(news().await, ["tk_wallet bob"]);
    management.set_credit_limit("bob", amount("3")).await.unwrap();
    assert_eq!(news().await, ["tk_wallet bob"]);
    let night =
        ChargeRuleOrder { name: "night".to_owned(), window: "Al0000-0559".to_owned(), ..Default::default() };
    management.add_charge_rule("plan of bob", &night).await.unwrap();
    assert_eq!(news().await, ["tk_charge_rule plan of bob"]);
    let again = management.add_charge_rule("plan of bob", &night).await;
    assert!(matches!(again, Err(ServiceError::Exists { .. })));
    let senseless = ChargeRuleOrder { name: "never".to_owned(), window: "soon".to_owned(), ..night };
    assert!(matches!(
        management.add_charge_rule("plan of bob", &senseless).await,
        Err(ServiceError::Invalid { .. })
    ));
    let rules = management.charge_rules("plan of bob").await.unwrap();
    assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["", "night"]);
    // The plan's own rule keeps its number when the plan is changed.
    let dearer = PlanChange { charge_per_minute: Some(Some(amount("2"))), ..PlanChange::default() };
    management.set_plan("plan of bob", &dearer).await.unwrap();
    assert_eq!(management.charge_rules("plan of bob").await.unwrap()[0].id, rules[0].id);
    news().await;
    management.delete_charge_rule("plan of bob", "night").await.unwrap();
    assert_eq!(news().await, ["tk_charge_rule plan of bob"]);
    store.close().await;
}

async fn money_is_a_wallet_of_its_own(database: &TestDatabase) {
    let store = database.store().await;
    subscriber(&store, "bob", "10").await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let change = async |change, action| {
        let changed = management.change_wallet("bob", WalletKind::Money, change, action, "cash").await;
        changed.map(|entry| (entry.before, entry.delta, entry.after))
    };
    let entry = |before, delta, after| (amount(before), amount(delta), amount(after));
    let set = change(CreditChange::Set(amount("5.50")), LedgerAction::MoneySet).await;
    assert_eq!(set.unwrap(), entry("0", "5.5", "5.5"));
    let more = change(CreditChange::Add(amount("2")), LedgerAction::MoneyInc).await;
    assert_eq!(more.unwrap(), entry("5.5", "2", "7.5"));
    let less = change(CreditChange::Add(amount("-7.5")), LedgerAction::MoneyDec).await;
    assert_eq!(less.unwrap(), entry("7.5", "-7.5", "0"));
    let below = change(CreditChange::Add(amount("-0.01")), LedgerAction::MoneyDec).await;
    assert!(matches!(below, Err(ServiceError::Conflict { .. })), "{below:?}");
    let sold = management.record_sale("bob", LedgerAction::Sale, "").await.unwrap();
    assert_eq!((sold.delta, sold.after, sold.action.as_str()), (amount("0"), amount("0"), "SALE"));
    // Its credit is what it was.
    assert_eq!(management.credit("bob").await.unwrap().balance, amount("10"));
    let actions: Vec<_> = management
        .ledger_of("bob", WalletKind::Money, None, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.action)
        .collect();
    assert_eq!(actions, ["SALE", "MONEY_DEC", "MONEY_INC", "MONEY_SET"]);
    assert_eq!(management.ledger("bob", None, 9).await.unwrap().len(), 1);
    let mut raw = database.raw().await;
    let price = raw.rows("SELECT currency FROM tk_ledger WHERE action = 'SALE' AND price = 8").await;
    assert_eq!(price, [["EUR"]]);
    raw.run("UPDATE tk_subscriber SET kind = 'postpaid'").await;
    let owes = change(CreditChange::Add(amount("-3")), LedgerAction::MoneyDec).await;
    assert_eq!(owes.unwrap(), entry("0", "-3", "-3"));
    store.close().await;
}
