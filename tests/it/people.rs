//! Subscribers as the management APIs have them: one battery of truths for the three databases.

use std::sync::Arc;

use tollkeeper::domain::report::Pattern;
use tollkeeper::domain::{
    Contact, ContactField, Kind as Login, Paging, PeopleFilter, StoredProof, SubscriberId, SubscriberStatus,
    Who,
};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::service::{
    AttributeOrder, ManagementGate, PlanChange, Proof, ServiceError, SubscriberChange, SubscriberOrder,
};
use tollkeeper::store::Store;
use tollkeeper::time::{Clock as _, SystemClock};

use crate::support::databases::{Kind, TestDatabase, battery};

battery! {
    people_are_made_all_or_none,
    a_change_is_one_transaction_and_one_audit_row,
    another_login_takes_every_row_along,
    disabled_is_lifted_only_where_an_operator_disabled,
    groups_are_what_other_tools_made_too,
    lists_are_filtered_and_paged,
    single_attributes_are_put_and_dropped,
    contacts_are_adopted,
    ten_thousand_are_made_in_seconds,
}

fn gate(store: &Store) -> ManagementGate {
    let settings = engine::Settings::new(TokenKey::new(&[0; 32]), jiff::tz::TimeZone::UTC);
    ManagementGate::new(store.clone(), Dictionary::embedded(), settings, Arc::new(SystemClock))
}

fn user(login: &str) -> SubscriberOrder {
    SubscriberOrder {
        login: login.to_owned(),
        proof: Proof::Password("Secret".to_owned()),
        ..SubscriberOrder::default()
    }
}

fn texts(rows: &[&str]) -> Vec<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

async fn people_are_made_all_or_none(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    let plan = PlanChange { credit: Some(tollkeeper::domain::Amount::parse("10")), ..PlanChange::default() };
    management.add_plan("gold", &plan).await.unwrap();
    raw.run("INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES ('extra', 'Simultaneous-Use', ':=', '1')")
        .await;
    let contact: Contact =
        [(ContactField::First, "John".into()), (ContactField::Email, "j@d.example".into())]
            .into_iter()
            .collect();
    let john = SubscriberOrder {
        plan: Some("gold".to_owned()),
        groups: texts(&["extra"]),
        contact: contact.clone(),
        disabled: true,
        sold: true,
        ..user("john")
    };
    let mac = SubscriberOrder { kind: Some(Login::Mac), ..user("00-8b-1a-2b-3c-4d-6e") };
    let made = management.create_people(&[john.clone(), mac]).await.unwrap();
    let person = &made[0];
    assert_eq!(person.groups, ["gold", "extra"]);
    assert_eq!((person.plan.as_deref(), person.sold, person.is_disabled()), (Some("gold"), true, true));
    assert_eq!((&person.contact, person.created_by.as_str()), (&contact, "tester"));
    assert_eq!(person.proof, StoredProof::Password { initial: Some('S') });
    assert_eq!(person.check[0].value, "********");
    assert_eq!((made[1].kind.as_str(), made[1].proof), ("mac", StoredProof::Login));
    assert!(made[0].id < made[1].id);
    assert_eq!(raw.rows("SELECT action FROM tk_ledger").await, [["ADD_USER"]]);
    assert_eq!(
        raw.rows("SELECT CAST(COUNT(*) AS CHAR) FROM tk_audit WHERE object = 'subscriber'").await,
        [["2"]]
    );

    let count = "SELECT (SELECT COUNT(*) FROM tk_subscriber), (SELECT COUNT(*) FROM radcheck)";
    let before = raw.rows(count).await;
    let unknown = SubscriberOrder { groups: texts(&["none"]), ..user("b") };
    let reserved = SubscriberOrder { groups: texts(&["daloRADIUS-Disabled-Users"]), ..user("b") };
    raw.run("INSERT INTO radreply (username, attribute, op, value) VALUES ('theirs', 'Class', ':=', 'x')")
        .await;
    for (orders, error) in [
        (vec![user("a"), user("john")], "subscriber john exists already"),
        (vec![user("a"), user("theirs")], "subscriber theirs exists already"),
        (vec![user("a"), user("a")], "subscriber a exists already"),
        (vec![user("a"), unknown], "there is no plan none"),
        (vec![user("a"), reserved], "there is no plan daloRADIUS-Disabled-Users"),
        (vec![user("a"), SubscriberOrder { account: "x".to_owned(), ..user("b") }], "there is no account x"),
        (
            vec![user("a"), SubscriberOrder { kind: Some(Login::Mac), ..user("b") }],
            "login: must be a MAC address, which b is not",
        ),
    ] {
        assert_eq!(management.create_people(&orders).await.unwrap_err().to_string(), error);
        assert_eq!(raw.rows(count).await, before, "{error}");
    }
    store.close().await;
}

async fn a_change_is_one_transaction_and_one_audit_row(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    for plan in ["gold", "silver"] {
        management.add_plan(plan, &PlanChange::default()).await.unwrap();
    }
    let id = management
        .add_subscriber(&SubscriberOrder { plan: Some("gold".to_owned()), ..user("john") })
        .await
        .unwrap();
    raw.run("DELETE FROM tk_audit").await;
    let change = SubscriberChange {
        login: Some("johnny".to_owned()),
        password: Some(Proof::Password("Other".to_owned())),
        groups: Some(texts(&["silver", "gold"])),
        contact: vec![(ContactField::First, "J".to_owned()), (ContactField::City, "Berlin".to_owned())],
        comments: Some("a remark".to_owned()),
        ..SubscriberChange::default()
    };
    let person = management.update_person(Who::Number(id), &change).await.unwrap();
    assert_eq!((person.id, person.login.as_str(), person.comments.as_str()), (id, "johnny", "a remark"));
    assert_eq!(
        (person.plan.as_deref(), &person.groups[..]),
        (Some("silver"), &["silver".into(), "gold".into()][..])
    );
    assert_eq!(person.proof, StoredProof::Password { initial: Some('O') });
    let audit = raw.rows("SELECT attribute, old_value, new_value FROM tk_audit").await;
    let said = "johnny password=********; groups=silver, gold; comments; contact: first_name, city";
    assert_eq!(audit, [["set", "john", said]]);

    let before = management.person(Who::Number(id), false).await.unwrap();
    let half = SubscriberChange {
        contact: vec![(ContactField::First, "nobody".to_owned())],
        groups: Some(texts(&["gold", "none"])),
        ..SubscriberChange::default()
    };
    let error = management.update_person(Who::Number(id), &half).await.unwrap_err();
    assert_eq!(error, ServiceError::NotFound { what: "plan", name: "none".to_owned() });
    assert_eq!(management.person(Who::Number(id), false).await.unwrap(), before);

    let clear = SubscriberChange {
        contact: vec![(ContactField::First, String::new())],
        groups: Some(Vec::new()),
        kind: Some(Login::Pin),
        ..SubscriberChange::default()
    };
    let person = management.update_person(Who::Login("johnny"), &clear).await.unwrap();
    assert_eq!((person.plan, person.groups.len(), person.proof), (None, 0, StoredProof::Login));
    assert_eq!(person.contact.fields().collect::<Vec<_>>(), [(ContactField::City, "Berlin")]);
    let back = SubscriberChange { kind: Some(Login::User), ..SubscriberChange::default() };
    let error = management.update_person(Who::Number(id), &back).await.unwrap_err();
    assert_eq!(error.to_string(), "password: is required");
    let nobody = management.update_person(Who::Number(SubscriberId(i64::MAX)), &back).await.unwrap_err();
    assert_eq!(nobody, ServiceError::NotFound { what: "subscriber", name: i64::MAX.to_string() });

    assert_eq!(management.delete_person(Who::Number(id)).await.unwrap(), (id, "johnny".to_owned()));
    assert!(management.person(Who::Number(id), false).await.is_err());
    // Who it was stays known: the Jaze API finds also those who are deleted by their telephone.
    for table in ["radcheck", "radreply", "radusergroup", "tk_attr_source"] {
        assert_eq!(
            raw.rows(&format!("SELECT CAST(COUNT(*) AS CHAR) FROM {table}")).await,
            [["0"]],
            "{table}"
        );
    }
    management.add_subscriber(&user("johnny")).await.unwrap();
    store.close().await;
}

async fn another_login_takes_every_row_along(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    management.add_plan("gold", &PlanChange::default()).await.unwrap();
    for login in ["bob", "Bob"] {
        let attributes = texts(&["Session-Timeout := 60"]);
        let order = SubscriberOrder { plan: Some("gold".to_owned()), attributes, ..user(login) };
        management.add_subscriber(&order).await.unwrap();
    }
    let id = management.person(Who::Login("bob"), false).await.unwrap().id;
    let now = if database.kind == Kind::Sqlite { "1700000000" } else { "'2023-11-14 22:13:20'" };
    for (unique, login, stop) in [("open", "bob", "NULL"), ("closed", "bob", now), ("other", "Bob", "NULL")] {
        raw.run(&format!(
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctstoptime)
             VALUES ('{unique}', '{unique}', '{login}', '10.0.0.1', {now}, {stop})"
        ))
        .await;
    }
    let rename =
        |login: &str| SubscriberChange { login: Some(login.to_owned()), ..SubscriberChange::default() };
    let taken = management.update_person(Who::Number(id), &rename("Bob")).await.unwrap_err();
    assert_eq!(taken, ServiceError::Exists { what: "subscriber", name: "Bob".to_owned() });
    management.update_person(Who::Number(id), &rename("robert")).await.unwrap();
    for table in ["radcheck", "radreply", "radusergroup"] {
        let rows = raw.rows(&format!("SELECT username FROM {table} ORDER BY username")).await;
        assert_eq!(rows, [["Bob"], ["robert"]], "{table}");
    }
    let sessions = raw.rows("SELECT acctsessionid, username FROM radacct ORDER BY radacctid").await;
    assert_eq!(sessions, [["open", "robert"], ["closed", "bob"], ["other", "Bob"]]);
    let keys = raw.rows("SELECT DISTINCT k FROM tk_changes WHERE tbl = 'tk_subscriber' AND k <> 'Bob'").await;
    assert_eq!(keys.len(), 2, "both logins are news: {keys:?}");
    // To the same letters in another case.
    management.update_person(Who::Number(id), &rename("ROBERT")).await.unwrap();
    assert_eq!(management.person(Who::Login("ROBERT"), false).await.unwrap().groups, ["gold"]);
    management.add_subscriber(&user("bob")).await.unwrap();
    store.close().await;
}

async fn disabled_is_lifted_only_where_an_operator_disabled(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    let id = management.add_subscriber(&user("john")).await.unwrap();
    let set = |disabled| SubscriberChange { disabled: Some(disabled), ..SubscriberChange::default() };
    let status =
        |status| SubscriberChange { status: Some((status, "why".to_owned())), ..SubscriberChange::default() };
    let person = management.update_person(Who::Number(id), &set(true)).await.unwrap();
    assert_eq!((person.status, person.groups.len()), (SubscriberStatus::Suspended, 0));
    let person = management.update_person(Who::Number(id), &set(false)).await.unwrap();
    assert!(!person.is_disabled());
    let person = management.update_person(Who::Number(id), &status(SubscriberStatus::Blocked)).await.unwrap();
    assert!(person.is_disabled());
    for disabled in [false, true] {
        let person = management.update_person(Who::Number(id), &set(disabled)).await.unwrap();
        assert_eq!((person.status, person.status_reason.as_str()), (SubscriberStatus::Blocked, "why"));
    }
    raw.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('theirs', 'Cleartext-Password', ':=', 'x')")
        .await;
    raw.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('theirs', 'Auth-Type', ':=', 'Reject')")
        .await;
    let theirs = management.person(Who::Login("theirs"), false).await.unwrap();
    assert_eq!((theirs.status, theirs.is_disabled()), (SubscriberStatus::Active, true));
    assert!(!management.update_person(Who::Login("theirs"), &set(false)).await.unwrap().is_disabled());
    store.close().await;
}

async fn groups_are_what_other_tools_made_too(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    let plan = PlanChange { description: Some("The best".to_owned()), ..PlanChange::default() };
    management.add_plan("gold", &plan).await.unwrap();
    raw.run("INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('Extra', 'Session-Timeout', ':=', '60')")
        .await;
    let id = management.add_subscriber(&SubscriberOrder { disabled: true, ..user("john") }).await.unwrap();
    let named = |name: &str, description: &str| tollkeeper::domain::Profile {
        name: name.into(),
        description: description.into(),
    };
    let page = management.groups(Paging::first(100)).await.unwrap();
    assert_eq!((page.rows, page.more), (vec![named("Extra", ""), named("gold", "The best")], false));
    let page = management.groups(Paging::new(2, 1)).await.unwrap();
    assert_eq!((page.rows, page.more), (vec![named("gold", "The best")], false));

    for (group, news) in [("Extra", true), ("gold", true), ("Extra", false)] {
        let (person, new) = management.attach_group(Who::Number(id), group).await.unwrap();
        assert_eq!(
            (new, person.groups.last().map(|last| last.as_str())),
            (news, Some(if news { group } else { "gold" }))
        );
    }
    for group in ["extra", "none", "daloRADIUS-Disabled-Users"] {
        let error = management.attach_group(Who::Number(id), group).await.unwrap_err();
        assert_eq!(error, ServiceError::NotFound { what: "plan", name: group.to_owned() });
    }
    let members = management.group_members("Extra", Paging::first(10)).await.unwrap().rows;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].id, members[0].login.as_str(), members[0].priority), (id, "john", 1));
    assert!(management.group_members("extra", Paging::first(10)).await.is_err());
    let (person, news) = management.detach_group(Who::Number(id), "Extra").await.unwrap();
    assert_eq!((person.groups, news), (vec!["gold".into()], true));
    assert!(!management.detach_group(Who::Number(id), "none").await.unwrap().1);

    // Its first group becomes its plan, which other tools did not make one.
    let first = SubscriberOrder { plan: Some("Extra".to_owned()), ..user("jane") };
    let jane = management.create_people(&[first]).await.unwrap().remove(0);
    assert_eq!(jane.plan.as_deref(), Some("Extra"));
    let (jane, _) = management.detach_group(Who::Number(jane.id), "Extra").await.unwrap();
    assert_eq!((jane.plan, jane.groups.len()), (None, 0));
    store.close().await;
}

async fn lists_are_filtered_and_paged(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    for login in ["anna", "Bert", "bert%x", "cleo"] {
        management.add_subscriber(&user(login)).await.unwrap();
    }
    let found = async |pattern: &str, paging| {
        let filter = PeopleFilter { login: Pattern::parse(pattern), ..PeopleFilter::default() };
        let page = management.people(&filter, paging).await.unwrap();
        (page.rows.iter().map(|row| row.login.to_string()).collect::<Vec<_>>().join(" "), page.more)
    };
    for (pattern, logins) in [
        ("", "cleo bert%x Bert anna"),
        ("BERT", "Bert"),
        ("ber*", "bert%x Bert"),
        ("*%x", "bert%x"),
        ("*n*", "anna"),
        ("bert_x", ""),
        ("' OR 1=1 --", ""),
    ] {
        assert_eq!(found(pattern, Paging::first(100)).await, (logins.to_owned(), false), "{pattern}");
    }
    assert_eq!(found("", Paging::first(3)).await, ("cleo bert%x Bert".to_owned(), true));
    assert_eq!(found("", Paging::new(2, 3)).await, ("anna".to_owned(), false));
    assert_eq!(found("", Paging::new(u32::MAX, 2_000)).await, (String::new(), false));
    // What other tools write is there with the next first page, be it one row or all at once.
    let row = |login: &str| {
        format!(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES ('{login}', 'Auth-Type', ':=', 'Accept')"
        )
    };
    raw.run(&row("theirs")).await;
    assert_eq!(found("theirs", Paging::first(9)).await.0, "theirs");
    raw.run("DELETE FROM tk_changes").await;
    raw.run(&row("later")).await;
    assert_eq!(found("later", Paging::first(9)).await.0, "later");
    store.close().await;
}

async fn single_attributes_are_put_and_dropped(database: &TestDatabase) {
    let (store, mut raw) = (database.store().await, database.raw().await);
    let gate = gate(&store);
    let management = gate.console("tester");
    let id = management.add_subscriber(&user("john")).await.unwrap();
    raw.run("DELETE FROM tk_audit").await;
    let order = |name: &str, value: &str| AttributeOrder { name: name.to_owned(), value: value.to_owned() };
    let orders = [
        order("CS-Total-MB-Daily", "40"),
        order("WISPr-Redirection-URL", "https://example.com/?a=\"b\""),
        order("Sesion-Timeout", "1"),
        order("Session-Timeout", "soon"),
        order("cs-total-mb-daily", "-5"),
    ];
    let (person, outcomes) = management.put_attributes(Who::Number(id), &orders).await.unwrap();
    let kinds: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|done| done.replaced)).collect();
    assert_eq!(kinds, [Some(false), Some(false), None, None, Some(true)]);
    assert_eq!(outcomes[0].as_ref().unwrap().row, outcomes[4].as_ref().unwrap().row);
    assert_eq!((person.check.len(), person.reply.len()), (2, 1));
    let rows = raw.rows("SELECT attribute, op, value FROM radcheck ORDER BY id").await;
    assert_eq!(rows[1], ["CS-Total-MB-Daily", ":=", "-5"]);
    let rows = raw.rows("SELECT attribute, op, value FROM radreply").await;
    assert_eq!(rows, [["WISPr-Redirection-URL", ":=", "https://example.com/?a=\"b\""]]);
    let sources = raw.rows("SELECT tbl, dialect, admin FROM tk_attr_source ORDER BY tbl").await;
    assert_eq!(sources, [["radcheck", "cli", "tester"], ["radreply", "cli", "tester"]]);
    assert_eq!(raw.rows("SELECT CAST(COUNT(*) AS CHAR) FROM tk_audit").await, [["1"]]);

    let none = management.put_attributes(Who::Number(id), &orders[2..3]).await.unwrap();
    assert!(none.1[0].is_err());
    let nobody = management.put_attributes(Who::Number(SubscriberId(-1)), &orders[2..3]).await;
    assert_eq!(nobody.unwrap_err(), ServiceError::NotFound { what: "subscriber", name: "-1".to_owned() });
    assert_eq!(raw.rows("SELECT CAST(COUNT(*) AS CHAR) FROM tk_audit").await, [["1"]], "nothing was changed");

    let names = ["CS-Total-MB-Daily", "Idle-Timeout", "wispr-redirection-url"];
    let (person, gone) = management.drop_attributes(Who::Number(id), &names).await.unwrap();
    assert_eq!((gone, person.check.len(), person.reply.len()), (vec![true, false, true], 1, 0));
    assert_eq!(raw.rows("SELECT CAST(COUNT(*) AS CHAR) FROM tk_attr_source").await, [["0"]]);
    let (_, gone) = management.drop_attributes(Who::Number(id), &names).await.unwrap();
    assert_eq!(gone, [false; 3]);
    assert_eq!(raw.rows("SELECT CAST(COUNT(*) AS CHAR) FROM tk_audit").await, [["2"]]);
    store.close().await;
}

async fn contacts_are_adopted(database: &TestDatabase) {
    let kind = match database.kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
        Kind::MySql => "mysql",
    };
    let file = format!("{}/tests/data/schemas/daloradius.{kind}.sql", env!("CARGO_MANIFEST_DIR"));
    let mut raw = database.raw().await;
    raw.run(&std::fs::read_to_string(file).unwrap()).await;
    raw.run(
        "INSERT INTO userinfo (username, firstname, lastname, creationdate, creationby)
             VALUES ('alice', 'Alice', 'Liddell', '2020-05-04 03:02:01', 'operator')",
    )
    .await;
    let store = Store::connect(&database.settings()).await.unwrap();
    let gate = gate(&store);
    let management = gate.console("tester");
    management.adopt(&|_, _| {}).await.unwrap();
    let alice = management.person(Who::Login("alice"), false).await.unwrap();
    assert_eq!(alice.contact.full_name(), "Alice Liddell");
    assert_eq!((alice.created_by.as_str(), alice.created.0), ("operator", 1_588_561_321));
    store.close().await;
}

async fn ten_thousand_are_made_in_seconds(database: &TestDatabase) {
    let store = database.store().await;
    let gate = gate(&store);
    let management = gate.console("tester");
    management.add_plan("gold", &PlanChange::default()).await.unwrap();
    let orders: Vec<SubscriberOrder> = (0..10_000)
        .map(|number| SubscriberOrder {
            plan: Some("gold".to_owned()),
            kind: Some(Login::Prepaid),
            ..user(&format!("BATCH{number}"))
        })
        .collect();
    let begun = SystemClock.now().instant;
    let made = management.create_people(&orders).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(made.len(), 10_000);
    assert!(made.iter().zip(&orders).all(|(made, order)| made.login == order.login));
    println!("10,000 subscribers on {}: {took:?}", store.database());
    assert!(took.as_secs() < 60, "{took:?}");
    let mut slowest = std::time::Duration::ZERO;
    for page in [1, 1, 1, 100] {
        let begun = SystemClock.now().instant;
        let found = management.people(&PeopleFilter::default(), Paging::new(page, 100)).await.unwrap();
        slowest = begun.elapsed();
        assert_eq!(found.rows.len(), 100);
    }
    println!("a page of them: {slowest:?}");
    store.close().await;
}
