//! The management service: one battery of truths for the three databases.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tollkeeper::domain::Amount;
use tollkeeper::domain::operator::{Dialect, Rights, Scope};
use tollkeeper::domain::{Day, SubscriberId, SubscriberStatus};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::entropy::SeededEntropy;
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::service::{
    Denial, Imagined, MadeKey, Management, ManagementGate, OperatorCredential, PlanChange, Proof,
    ServiceError, SubscriberChange, SubscriberOrder,
};
use tollkeeper::store::{Recode, Recoded, SigningKey, Store, StoreError};
use tollkeeper::time::{SystemClock, UnixTime};
use tollkeeper::vault::Vault;

use crate::support::databases::{Kind, TestDatabase, battery};

battery! {
    plans_keep_their_figures_to_the_last_digit,
    logins_are_told_apart_octet_for_octet,
    passwords_are_hidden_from_who_has_the_tables_alone,
    keys_that_sign_are_changed_one_behind_the_other,
    a_change_reaches_the_change_feed,
    what_other_tools_write_is_listed_and_changed,
    the_audit_knows_who_did_what_and_no_secret,
    credentials_open_what_they_allow,
    a_token_lives_as_long_as_its_key,
    an_adopted_database_keeps_its_rows,
}

fn gate(store: &Store) -> ManagementGate {
    let settings = engine::Settings::new(TokenKey::new(&[0; 32]), jiff::tz::TimeZone::UTC);
    ManagementGate::new(store.clone(), Dictionary::embedded(), settings, Arc::new(SystemClock))
}

fn pin(login: &str) -> SubscriberOrder {
    SubscriberOrder { login: login.to_owned(), proof: Proof::Pin, ..SubscriberOrder::default() }
}

async fn plans_keep_their_figures_to_the_last_digit(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let amount = |text| Some(Amount::parse(text));
    let change = PlanChange {
        price: amount("123456789012.123456789012345678"),
        currency: Some("EUR".to_owned()),
        charge_per_kib: amount("0.000976562500000001"),
        quota: Some(Some(1 << 50)),
        rate_down: Some(Some(1_000_000_000_000)),
        validity_days: Some(Some(30)),
        reset_day: Some(Some(31)),
        ..PlanChange::default()
    };
    management.add_plan("gold", &change).await.unwrap();
    let plan = management.plan("gold").await.unwrap();
    let terms = &plan.terms;
    assert_eq!(terms.price.unwrap().to_string(), "123456789012.123456789012345678");
    assert_eq!(terms.charge_per_kib.unwrap().to_string(), "0.000976562500000001");
    assert_eq!(terms.charge_per_minute.unwrap().to_string(), "0");
    assert_eq!((terms.quota, terms.rate_down), (Some(1 << 50), Some(1_000_000_000_000)));
    assert_eq!((terms.validity_days, terms.reset_day), (Some(30), Some(31)));
    assert_eq!(
        management.plans().await.unwrap(),
        [tollkeeper::domain::plan::Plan { reply: vec![], ..plan.clone() }]
    );

    let less = PlanChange { price: Some(None), charge_per_kib: Some(None), ..PlanChange::default() };
    management.set_plan("gold", &less).await.unwrap();
    let changed = management.plan("gold").await.unwrap();
    assert_eq!((&changed.terms.price, changed.terms.quota), (&None, Some(1 << 50)));
    management.delete_plan("gold").await.unwrap();
    assert_eq!(management.plans().await.unwrap(), []);
    store.close().await;
}

async fn logins_are_told_apart_octet_for_octet(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    management.add_plan("gold", &PlanChange::default()).await.unwrap();
    let strange = "o'brien \u{e9} %_!";
    for login in ["bob", "Bob", strange] {
        let order = SubscriberOrder { plan: Some("gold".to_owned()), ..pin(login) };
        management.add_subscriber(&order).await.unwrap();
    }
    let taken = management.add_subscriber(&pin("bob")).await.unwrap_err();
    assert_eq!(taken, ServiceError::Exists { what: "subscriber", name: "bob".to_owned() });
    let change = SubscriberChange {
        attributes: vec!["Session-Timeout := 60".to_owned()],
        plan: Some(None),
        ..SubscriberChange::default()
    };
    management.set_subscriber("Bob", &change).await.unwrap();
    let lower = management.subscriber("bob", false).await.unwrap();
    assert_eq!((lower.reply.len(), lower.groups.len()), (0, 1), "only Bob was changed");
    management.delete_subscriber("bob").await.unwrap();
    let upper = management.subscriber("Bob", false).await.unwrap();
    assert_eq!((upper.login.as_str(), upper.check.len(), upper.reply.len()), ("Bob", 1, 1));
    let found = management.subscribers("%_!", SubscriberId(0), 10).await.unwrap();
    assert_eq!(found.iter().map(|row| row.login.as_str()).collect::<Vec<_>>(), [strange]);
    management.delete_subscriber(strange).await.unwrap();
    let rows = database.raw().await.rows("SELECT username FROM radcheck").await;
    assert_eq!(rows, [["Bob"]]);
    store.close().await;
}

async fn passwords_are_hidden_from_who_has_the_tables_alone(database: &TestDatabase) {
    const KEYS: [&str; 2] = [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff",
    ];
    let vault = |lines: &[&str]| Arc::new(Vault::parse(&lines.join("\n")).unwrap());
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let mut raw = database.raw().await;
    let with_password =
        |login: &str| SubscriberOrder { proof: Proof::Password("canary o'clock".to_owned()), ..pin(login) };
    management.add_subscriber(&with_password("clear")).await.unwrap();
    raw.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('other', 'NT-Password', ':=', '0x0123456789abcdef0123456789abcdef')")
        .await;
    let refused = management.recode_passwords(Recode::Hide).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Invalid { .. }), "{refused:?}");

    store.replace_keys(vault(&KEYS[..1]));
    store.settle_keys().await.unwrap();
    management.add_subscriber(&with_password("hidden")).await.unwrap();
    let forms =
        "SELECT username, attribute, CASE WHEN value LIKE '$tk1$%' THEN 'hidden' ELSE value END FROM radcheck
         ORDER BY username";
    let both = [
        ["clear", "Cleartext-Password", "canary o'clock"],
        ["hidden", "Crypt-Password", "hidden"],
        ["other", "NT-Password", "0x0123456789abcdef0123456789abcdef"],
    ];
    assert_eq!(raw.rows(forms).await, both, "what is written from now on is hidden");
    let done = management.recode_passwords(Recode::Hide).await.unwrap();
    assert_eq!(done, Recoded { changed: 2, unchanged: 1, ..Recoded::default() });
    let rows = raw.rows(forms).await;
    assert!(rows.iter().all(|row| row[1..] == ["Crypt-Password", "hidden"]), "{rows:?}");
    let logins = ["clear", "hidden", "other"].map(SmolStr::new);
    let password = async |login: &str| {
        let shown = management.subscriber(login, true).await.unwrap();
        (shown.check[0].attribute.to_string(), shown.check[0].value.to_string())
    };
    assert_eq!(password("clear").await, ("Cleartext-Password".to_owned(), "canary o'clock".to_owned()));
    assert_eq!(password("other").await.0, "NT-Password");

    // A change takes the place of the hidden row.
    let change = SubscriberChange {
        password: Some(Proof::Password("another".to_owned())),
        ..SubscriberChange::default()
    };
    management.set_subscriber("hidden", &change).await.unwrap();
    assert_eq!(raw.rows("SELECT attribute FROM radcheck WHERE username = 'hidden'").await.len(), 1);
    assert_eq!(password("hidden").await.1, "another");
    assert!(raw.rows("SELECT value FROM radcheck WHERE value LIKE '%another%'").await.is_empty());

    // Without its key nobody reads it, and no server starts; with another one it is not overwritten either.
    store.replace_keys(vault(&KEYS[1..]));
    assert!(matches!(store.settle_keys().await, Err(StoreError::Schema { .. })));
    assert_eq!(password("clear").await.0, "Crypt-Password");
    assert!(management.recode_passwords(Recode::Hide).await.is_err());
    store.replace_keys(Arc::default());
    assert!(matches!(store.settle_keys().await, Err(StoreError::Schema { .. })));

    // Rotation: the new key first, the old one behind it.
    store.replace_keys(vault(&[KEYS[1], KEYS[0]]));
    let done = management.recode_passwords(Recode::Hide).await.unwrap();
    assert_eq!(done, Recoded { changed: 3, ..Recoded::default() });
    store.replace_keys(vault(&KEYS[1..]));
    store.settle_keys().await.unwrap();
    assert_eq!(password("clear").await.1, "canary o'clock");
    let rows = store.subscribers(&logins, Day(0), UnixTime(0)).await.unwrap();
    assert!(rows.iter().all(|row| !row.check[0].value.starts_with("$tk1$")), "as logins read them");

    let done = management.recode_passwords(Recode::Show).await.unwrap();
    assert_eq!(done, Recoded { changed: 3, ..Recoded::default() });
    store.replace_keys(Arc::default());
    store.settle_keys().await.unwrap();
    assert_eq!(raw.rows(forms).await[0], both[0]);
    assert_eq!(raw.rows("SELECT attribute FROM tk_audit WHERE object = 'passwords'").await.len(), 3);
    store.close().await;
}

async fn keys_that_sign_are_changed_one_behind_the_other(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let keys = async |which| store.signing_keys(which, &[1; 32]).await.unwrap();
    let first = keys(SigningKey::Class).await;
    assert_eq!((first.current, first.previous, first.identity), ([1; 32], None, [1; 32]));
    let mut entropy = SeededEntropy::new(1);
    management.renew_signing_key(SigningKey::Class, &mut entropy).await.unwrap();
    let second = keys(SigningKey::Class).await;
    assert_eq!((second.previous, second.identity), (Some([1; 32]), [1; 32]));
    assert_ne!(second.current, first.current);
    management.renew_signing_key(SigningKey::Class, &mut entropy).await.unwrap();
    let third = keys(SigningKey::Class).await;
    assert_eq!((third.previous, third.identity), (Some(second.current), [1; 32]));
    assert_eq!(keys(SigningKey::Api).await.previous, None, "the other one is another");
    let raw = database.raw().await.rows("SELECT new_value FROM tk_audit WHERE object = 'signing key'").await;
    assert_eq!(raw, [["token_key"], ["token_key"]], "what was done, without the key");
    store.close().await;
}

async fn a_change_reaches_the_change_feed(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let mut raw = database.raw().await;
    management.add_subscriber(&pin("bob")).await.unwrap();
    let change = SubscriberChange {
        status: Some((SubscriberStatus::Suspended, "no payment".to_owned())),
        ..SubscriberChange::default()
    };
    raw.run("DELETE FROM tk_changes").await;
    management.set_subscriber("bob", &change).await.unwrap();
    let keys = raw.rows("SELECT DISTINCT k FROM tk_changes WHERE k = 'bob'").await;
    assert_eq!(keys, [["bob"]], "a running server hears of it");
    let groups = raw.rows("SELECT groupname FROM radusergroup").await;
    assert_eq!(groups, [["daloRADIUS-Disabled-Users"]], "and so does a stock FreeRADIUS");
    let rows = raw.rows("SELECT attribute, op, value FROM radgroupcheck").await;
    assert_eq!(rows, [["Auth-Type", ":=", "Reject"]]);
    let explained = management.explain(Imagined { login: "bob", ..Imagined::default() }).await.unwrap();
    assert_eq!(explained.reject.unwrap().key(), "USER_LOCKED");
    store.close().await;
}

async fn what_other_tools_write_is_listed_and_changed(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let mut raw = database.raw().await;
    for login in ["listed", "shown", "changed"] {
        raw.run(&format!(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES ('{login}', 'Cleartext-Password', ':=', 'x')"
        ))
        .await;
    }
    let taken = management.add_subscriber(&pin("changed")).await;
    assert!(matches!(taken, Err(ServiceError::Exists { .. })), "{taken:?}");
    let change = SubscriberChange {
        attributes: vec!["Simultaneous-Use := 2".to_owned()],
        ..SubscriberChange::default()
    };
    management.set_subscriber("changed", &change).await.unwrap();
    assert_eq!(management.subscriber("shown", false).await.unwrap().check.len(), 1);
    let listed = management.subscribers("", SubscriberId(0), 10).await.unwrap();
    assert_eq!(
        listed.iter().map(|row| row.login.as_str()).collect::<Vec<_>>(),
        ["changed", "shown", "listed"],
        "in the order in which they were first seen"
    );
    let rows = raw.rows("SELECT attribute FROM radcheck WHERE username = 'changed' ORDER BY id").await;
    assert_eq!(rows, [["Cleartext-Password"], ["Simultaneous-Use"]]);
    store.close().await;
}

async fn the_audit_knows_who_did_what_and_no_secret(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    let order = SubscriberOrder { proof: Proof::Password("hunter2".to_owned()), ..pin("bob") };
    management.add_subscriber(&order).await.unwrap();
    let change = SubscriberChange {
        password: Some(Proof::Password("hunter3".to_owned())),
        attributes: vec!["Session-Timeout := 60".to_owned()],
        ..SubscriberChange::default()
    };
    management.set_subscriber("bob", &change).await.unwrap();
    management.delete_subscriber("bob").await.unwrap();
    let mut entropy = SeededEntropy::new(7);
    management.add_operator("root", "correct horse", Rights::ALL, "", &mut entropy).await.unwrap();
    let made = management.create_key(Dialect::Native, Rights::ALL, "", &mut entropy).await.unwrap();
    let rows = database
        .raw()
        .await
        .rows("SELECT actor, dialect, object, attribute, COALESCE(old_value, ''), COALESCE(new_value, '') FROM tk_audit ORDER BY id")
        .await;
    let verbs: Vec<(&str, &str)> = rows.iter().map(|row| (row[2].as_str(), row[3].as_str())).collect();
    assert_eq!(
        verbs,
        [
            ("subscriber", "add"),
            ("subscriber", "set"),
            ("subscriber", "delete"),
            ("operator", "add"),
            ("key", "add")
        ]
    );
    assert!(rows.iter().all(|row| row[0] == "tester" && row[1] == "cli"), "{rows:?}");
    assert!(rows[1][5].contains("Session-Timeout := 60"), "{rows:?}");
    let all = format!("{rows:?}");
    for secret in ["hunter2", "hunter3", "correct horse", made.secret.as_str()] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    store.close().await;
}

async fn a_token_lives_as_long_as_its_key(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store).with_tokens(&[7; 32], None);
    let mut raw = database.raw().await;
    raw.run(
        "INSERT INTO tk_account (id, name, parent_id, time_zone) VALUES (5, 'North', 0, 'Asia/Singapore')",
    )
    .await;
    raw.run("INSERT INTO tk_account (id, name, parent_id, time_zone) VALUES (6, 'Pier', 5, '')").await;
    let mut entropy = SeededEntropy::new(11);
    let management = gate.console("tester");
    let mut made = management.create_key(Dialect::Mfusion, Rights::ALL, "North", &mut entropy).await.unwrap();
    let hour = Duration::from_hours(1);
    let enter = async |token: &str, dialect| {
        let credential = OperatorCredential::Token { dialect, token };
        gate.enter(credential, "192.0.2.1").await.map(Management::into_owned)
    };
    let issue = async |made: &MadeKey| gate.issue(Dialect::Mfusion, &made.key_id, &made.secret, hour).await;
    let (wrong, off) = (ServiceError::Denied(Denial::Credential), ServiceError::Denied(Denial::Disabled));

    let token = issue(&made).await.unwrap().token;
    let operator = enter(&token, Dialect::Mfusion).await.unwrap();
    assert_eq!(*operator.scope(), Scope::Accounts([5, 6].into()), "its account and those below");
    assert_eq!(operator.zone().iana_name(), Some("Asia/Singapore"));
    assert_eq!(enter(&token, Dialect::Jaze).await.map(drop), Err(wrong.clone()));
    assert!(store.keys().await.unwrap()[0].last_used.is_some());

    management.enable_key(&made.key_id, false).await.unwrap();
    assert_eq!(enter(&token, Dialect::Mfusion).await.map(drop), Err(off.clone()));
    assert_eq!(issue(&made).await.map(drop), Err(off.clone()));
    let guess = MadeKey { secret: "guess".to_owned(), ..made.clone() };
    assert_eq!(issue(&guess).await.map(drop), Err(wrong.clone()), "only its owner learns that it is off");
    management.enable_key(&made.key_id, true).await.unwrap();
    raw.run("UPDATE tk_account SET enabled = 0 WHERE id = 5").await;
    assert_eq!(enter(&token, Dialect::Mfusion).await.map(drop), Err(off));
    raw.run("UPDATE tk_account SET enabled = 1 WHERE id = 5").await;
    enter(&token, Dialect::Mfusion).await.unwrap();

    let old = made.clone();
    made = management.rotate_key(&made.key_id, &mut entropy).await.unwrap();
    assert_eq!(enter(&token, Dialect::Mfusion).await.map(drop), Err(wrong.clone()));
    assert_eq!(issue(&old).await.map(drop), Err(wrong.clone()));
    let token = issue(&made).await.unwrap().token;
    enter(&token, Dialect::Mfusion).await.unwrap();
    management.delete_key(&made.key_id).await.unwrap();
    assert_eq!(enter(&token, Dialect::Mfusion).await.map(drop), Err(wrong));
}

async fn credentials_open_what_they_allow(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let mut entropy = SeededEntropy::new(7);
    let management = gate.console("tester");
    let read = Rights { read: true, ..Rights::default() };
    let made = management.create_key(Dialect::Mfusion, read, "Main", &mut entropy).await.unwrap();
    let write = Rights { write: true, ..Rights::default() };
    management.add_operator("writer", "correct horse", write, "Main", &mut entropy).await.unwrap();
    management.add_subscriber(&pin("bob")).await.unwrap();

    let key = |dialect, secret| OperatorCredential::Key { dialect, key_id: &made.key_id, secret };
    let denied = ServiceError::Denied(Denial::Credential);
    let wrong = gate.enter(key(Dialect::Mfusion, "wrong"), "192.0.2.1").await.map(drop);
    assert_eq!(wrong, Err(denied.clone()));
    let elsewhere = gate.enter(key(Dialect::Jaze, &made.secret), "192.0.2.1").await.map(drop);
    assert_eq!(elsewhere, Err(denied.clone()), "a key opens one dialect");
    let reader = gate.enter(key(Dialect::Mfusion, &made.secret), "192.0.2.1").await.unwrap();
    assert_eq!(reader.subscribers("", SubscriberId(0), 10).await.unwrap().len(), 1);
    assert_eq!(reader.add_subscriber(&pin("x")).await, Err(ServiceError::Denied(Denial::Write)));
    assert_eq!(reader.subscriber("bob", true).await, Err(ServiceError::Denied(Denial::Secrets)));

    let login = |login, password| OperatorCredential::Login { dialect: Dialect::Ibsng, login, password };
    for (name, password) in [("writer", "wrong horse"), ("nobody", "correct horse"), ("", "")] {
        assert_eq!(gate.enter(login(name, password), "192.0.2.1").await.map(drop), Err(denied.clone()));
    }
    let writer = gate.enter(login("writer", "correct horse"), "192.0.2.1").await.unwrap();
    writer.add_subscriber(&pin("x")).await.unwrap();
    assert_eq!(writer.subscriber("bob", false).await, Err(ServiceError::Denied(Denial::Read)));
    let sql = "SELECT actor, dialect, remote_addr FROM tk_audit WHERE dialect <> 'cli'";
    assert_eq!(database.raw().await.rows(sql).await, [["writer", "ibsng", "192.0.2.1"]]);

    management.delete_key(&made.key_id).await.unwrap();
    let gone = gate.enter(key(Dialect::Mfusion, &made.secret), "192.0.2.1").await.map(drop);
    assert_eq!(gone, Err(denied));
    store.close().await;
}

async fn an_adopted_database_keeps_its_rows(database: &TestDatabase) {
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
    for row in [
        "('bob', 'Cleartext-Password', ':=', 'hello')",
        "('02-00-00-00-00-01', 'Auth-Type', ':=', 'Accept')",
        "('314159', 'Auth-Type', ':=', 'Accept')",
        "('gone', 'Auth-Type', ':=', 'Reject')",
        "('odd', 'Site-Thing', ':=', 'x')",
    ] {
        raw.run(&format!("INSERT INTO radcheck (username, attribute, op, value) VALUES {row}")).await;
    }
    raw.run("INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('gold', 'Session-Timeout', '=', '60')")
        .await;
    for row in ["('bob', 'silver', 2)", "('bob', 'gold', 1)", "('odd', 'daloRADIUS-Disabled-Users', 0)"] {
        raw.run(&format!("INSERT INTO radusergroup (username, groupname, priority) VALUES {row}")).await;
    }
    let every_row = "SELECT username, attribute, op, value FROM radcheck ORDER BY username";
    let before = raw.rows(every_row).await;

    let store = Store::connect(&database.settings()).await.unwrap();
    let gate = gate(&store);
    let management = gate.console("tester");
    let (survey, unknown) = management.survey().await.unwrap();
    assert_eq!((survey.logins, survey.unseen, survey.disabled), (5, 5, 1));
    assert_eq!(survey.new_plans, ["gold", "silver"]);
    assert_eq!(survey.stopping, ["gold"], "without Fall-Through silver is never reached");
    assert_eq!(unknown, ["Site-Thing (1 rows)"]);
    assert_eq!(
        store.pending_migrations().await.unwrap().len(),
        store.known_migrations(),
        "nothing was changed"
    );

    let steps = std::sync::Mutex::new(Vec::new());
    let adopted = management.adopt(&|done, total| steps.lock().unwrap().push((done, total))).await.unwrap();
    assert_eq!((adopted.subscribers, adopted.plans, adopted.with_plan, adopted.disabled), (5, 2, 1, 2));
    assert_eq!(steps.into_inner().unwrap(), [(5, 5)]);
    assert_eq!(raw.rows(every_row).await, before, "FreeRADIUS's rows are as they were");
    let bob = management.subscriber("bob", false).await.unwrap();
    assert_eq!((bob.plan.as_deref(), bob.kind.as_str()), (Some("gold"), "user"));
    assert_eq!(bob.groups, ["gold", "silver"]);
    for (login, kind) in [("02-00-00-00-00-01", "mac"), ("314159", "pin")] {
        assert_eq!(management.subscriber(login, false).await.unwrap().kind, kind, "{login}");
    }
    for login in ["gone", "odd"] {
        assert_eq!(
            management.subscriber(login, false).await.unwrap().status,
            SubscriberStatus::Suspended,
            "{login}"
        );
    }
    let back = SubscriberChange {
        status: Some((SubscriberStatus::Active, String::new())),
        ..SubscriberChange::default()
    };
    management.set_subscriber("gone", &back).await.unwrap();
    assert_eq!(management.subscriber("gone", false).await.unwrap().check, [], "what locked it is taken away");
    let again = management.adopt(&|_, _| {}).await.unwrap();
    assert_eq!((again.subscribers, again.plans, again.with_plan, again.disabled), (0, 0, 0, 0));
    store.close().await;
}
