//! Lists and reports over tables that are large enough for every way of finding rows, against what a look
//! at each row says.

use std::collections::BTreeSet;

use tollkeeper::domain::report::{
    AttemptFilter, Pattern, PurchaseFilter, SessionFilter, SessionRow, Span, station,
};
use tollkeeper::domain::{Page, Paging};
use tollkeeper::store::Store;
use tollkeeper::time::UnixTime;

use crate::support::databases::{Kind, Raw, TestDatabase, battery};

battery! {
    every_filter_finds_what_is_there,
    attempts_are_found_like_sessions,
    totals_are_sums,
    times_that_others_wrote_as_text_count,
}

/// More rows than are looked through from the end.
const ROWS: i64 = 75_000;
const BEGAN: i64 = 1_700_000_000;

/// What row `number` is; the texts of [`fill`] say the same in SQL.
fn row(number: i64) -> SessionRow {
    let name = if number % 1_000 < 500 { "User" } else { "user" };
    let device = 100 + number % 300;
    let place = if number % 1_000 == 7 { number * 7_919 % ROWS } else { number };
    let nas = if number < 2_000 && number % 50 == 0 { 9 } else { number % 7 };
    let open = number > ROWS - 300 || number % 5_000 == 1;
    let started = UnixTime(BEGAN + place * 60);
    SessionRow {
        id: number,
        login: if number == 40_000 { "Rare".into() } else { format!("{name}{}", number % 500).into() },
        device: if number % 3 == 0 {
            format!("02-00-00-00-0{}-{:02}", device / 100, device % 100).into()
        } else {
            format!("020000000{device}").into()
        },
        called: format!("AP-{}", number % 11).into(),
        framed: format!("10.1.0.{}", number % 250).into(),
        nas: format!("10.0.0.{nas}").into(),
        hotspot: match (number % 2, nas) {
            (0, 3) => "gw3".into(),
            (0, 5) => "Shared".into(),
            (_, 1) => "One".into(),
            (_, 5) => "shared".into(),
            (_, 9) => "Nine".into(),
            _ => "".into(),
        },
        started: Some(started),
        stopped: (!open).then_some(started.plus(30)),
        seconds: 30,
        input: 10,
        output: u64::try_from(number).unwrap(),
        cause: if open { "".into() } else { "User-Request".into() },
        ..SessionRow::default()
    }
}

/// MySQL with `||` as the others have it, and recursion as deep; MariaDB has another name for that.
async fn prepare(raw: &mut Raw) {
    raw.run("SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')").await;
    for name in ["max_recursive_iterations", "cte_max_recursion_depth"] {
        drop(raw.try_run(&format!("SET SESSION {name} = 1000000")).await);
    }
}

/// `ROWS` rows by one statement.
async fn fill(database: &TestDatabase, raw: &mut Raw) {
    let (numbers, text, time, address) = match database.kind {
        Kind::Sqlite => ("n", "TEXT", ["", ""], ["", ""]),
        Kind::Postgres => ("n", "text", ["to_timestamp(", ")"], ["CAST(", " AS inet)"]),
        Kind::MySql => ("n", "CHAR", ["FROM_UNIXTIME(", ")"], ["", ""]),
    };
    if database.kind == Kind::MySql {
        prepare(raw).await;
    }
    let t = |number: &str| format!("CAST({number} AS {text})");
    let series = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}),
         m AS (SELECT i, CASE WHEN i < 2000 AND i % 50 = 0 THEN 9 ELSE i % 7 END AS nas,
                      {BEGAN} + 60 * CASE WHEN i % 1000 = 7 THEN i * 7919 % {ROWS} ELSE i END AS began FROM {numbers})"
    );
    let unique = format!("substr('00000000000000000000000000000000' || {}, -32, 32)", t("i"));
    let select = format!(
        "SELECT i, 's' || {i}, {unique},
                CASE WHEN i = 40000 THEN 'Rare' ELSE (CASE WHEN i % 1000 < 500 THEN 'User' ELSE 'user' END) || {user} END,
                {}'10.0.0.' || {nas}{}, {}began{},
                CASE WHEN i > {ROWS} - 300 OR i % 5000 = 1 THEN NULL ELSE {}began + 30{} END, 30, 10, i, 'AP-' || {ap},
                CASE WHEN i % 3 = 0 THEN '02-00-00-00-0' || substr({device}, 1, 1) || '-' || substr({device}, 2, 2)
                     ELSE '020000000' || {device} END,
                CASE WHEN i > {ROWS} - 300 OR i % 5000 = 1 THEN '' ELSE 'User-Request' END,
                {}'10.1.0.' || {framed}{} FROM m",
        address[0], address[1], time[0], time[1], time[0], time[1], address[0], address[1],
        i = t("i"),
        unique = unique,
        user = t("i % 500"),
        nas = t("nas"),
        ap = t("i % 11"),
        device = t("100 + i % 300"),
        framed = t("i % 250"),
    );
    let select = if database.kind == Kind::Postgres {
        select.replace(
            ", -32, 32)",
            ", length('00000000000000000000000000000000' || CAST(i AS text)) - 31, 32)",
        )
    } else {
        select
    };
    let columns = "radacctid, acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctstoptime,
        acctsessiontime, acctinputoctets, acctoutputoctets, calledstationid, callingstationid, acctterminatecause, framedipaddress";
    let insert = format!("INSERT INTO radacct ({columns})");
    raw.run(&if database.kind == Kind::MySql {
        format!("{insert} {series} {select}")
    } else {
        format!("{series} {insert} {select}")
    })
    .await;
    raw.run(
        "INSERT INTO tk_session (unique_id, session_key, nas_source, nas_identifier, started, updated)
         SELECT acctuniqueid, acctuniqueid, '10.0.0.3', 'gw3', 0, 0 FROM radacct WHERE radacctid % 2 = 0 AND radacctid % 7 = 3
                AND NOT (radacctid < 2000 AND radacctid % 50 = 0)
         UNION ALL
         SELECT acctuniqueid, acctuniqueid, '10.0.0.5', 'Shared', 0, 0 FROM radacct WHERE radacctid % 2 = 0 AND radacctid % 7 = 5
                AND NOT (radacctid < 2000 AND radacctid % 50 = 0)",
    )
    .await;
    raw.run(
        "INSERT INTO nas (nasname, shortname, type, secret) VALUES ('10.0.0.1', 'One', 'other', 'x'),
         ('10.0.0.5', 'shared', 'other', 'x'), ('10.0.0.9', 'Nine', 'other', 'x')",
    )
    .await;
    if database.kind == Kind::Postgres {
        raw.run("VACUUM ANALYZE radacct").await;
    }
}

/// Is the text as it should be?
fn fits(text: &str, pattern: &Option<Pattern>) -> bool {
    let Some(pattern) = pattern else { return true };
    let (text, wanted) = (text.to_lowercase(), pattern.text().to_lowercase());
    match pattern {
        Pattern::Exact(_) => text == wanted,
        Pattern::Prefix(_) => text.starts_with(&wanted),
        Pattern::Suffix(_) => text.ends_with(&wanted),
        Pattern::Within(_) => text.contains(&wanted),
    }
}

fn within(at: Option<UnixTime>, span: Span) -> bool {
    span.from.is_none_or(|from| at >= Some(from)) && span.until.is_none_or(|until| at < Some(until))
}

fn expected(rows: &[SessionRow], filter: &SessionFilter) -> Vec<i64> {
    let station_fits = |text: &str, pattern: &Option<Pattern>| {
        fits(&station(text), &pattern.as_ref().map(|pattern| pattern.with(station)))
    };
    let mut all: Vec<i64> = rows
        .iter()
        .filter(|row| {
            filter.subscriber.as_ref().is_none_or(|login| *login == row.login)
                && fits(&row.login, &filter.login)
                && fits(&row.hotspot, &filter.hotspot)
                && fits(&row.nas, &filter.nas)
                && fits(&row.framed, &filter.framed)
                && station_fits(&row.device, &filter.device)
                && station_fits(&row.called, &filter.called)
                && within(row.started, filter.began)
                && !(filter.open && row.stopped.is_some())
        })
        .map(|row| row.id)
        .collect();
    if !filter.ascending {
        all.reverse();
    }
    all
}

fn some(text: &str) -> Option<Pattern> {
    Pattern::parse(text)
}

fn span(from: i64, until: i64) -> Span {
    Span { from: Some(UnixTime(BEGAN + from * 60)), until: Some(UnixTime(BEGAN + until * 60)) }
}

fn filters() -> Vec<SessionFilter> {
    let none = SessionFilter::default;
    let mut all = vec![
        none(),
        SessionFilter { subscriber: Some("User123".into()), ..none() },
        SessionFilter { subscriber: Some("user499".into()), ascending: true, ..none() },
        SessionFilter { login: some("uSeR77"), ..none() },
        SessionFilter { login: some("rare"), ..none() },
        SessionFilter { login: some("nobody"), ..none() },
        SessionFilter { login: some("USER49*"), ..none() },
        SessionFilter { login: some("%are"), ..none() },
        SessionFilter { login: some("*b_d*"), ..none() },
        SessionFilter { login: some("us'er\";--"), ..none() },
        SessionFilter { hotspot: some("GW3"), ..none() },
        SessionFilter { hotspot: some("one"), ..none() },
        SessionFilter { hotspot: some("nine"), ..none() },
        SessionFilter { hotspot: some("shared"), ..none() },
        SessionFilter { hotspot: some("nowhere"), ..none() },
        SessionFilter { hotspot: some("nin*"), ..none() },
        SessionFilter { nas: some("10.0.0.4"), ..none() },
        SessionFilter { nas: some("10.0.0.9"), ..none() },
        SessionFilter { nas: some("10.0.0.77"), ..none() },
        SessionFilter { nas: some("2001:db8::1"), ..none() },
        SessionFilter { nas: some("not an address"), ..none() },
        SessionFilter { nas: some("10.0.0.9*"), ..none() },
        SessionFilter { device: some("02:00:00:00:03:42"), ..none() },
        SessionFilter { device: some("020000000342"), ..none() },
        SessionFilter { device: some("02-00-00-00-09-99"), ..none() },
        SessionFilter { device: some("*399"), ..none() },
        SessionFilter { called: some("ap-7"), ..none() },
        SessionFilter { called: some("ap-99"), ..none() },
        SessionFilter { framed: some("10.1.0.99"), ..none() },
        SessionFilter { framed: some("10.2.0.99"), ..none() },
        SessionFilter { framed: some("10.1.0.24*"), ..none() },
        SessionFilter { nas: some("10.0.0.4"), called: some("AP-3"), login: some("user11"), ..none() },
        SessionFilter { open: true, ..none() },
        SessionFilter { open: true, nas: some("10.0.0.1"), ..none() },
        SessionFilter { open: true, login: some("user1"), hotspot: some("One"), ..none() },
        SessionFilter { open: true, began: span(0, 60_000), ..none() },
    ];
    let spans = [
        span(100, 200),
        span(0, 10_000),
        span(500, 4_000),
        span(10_000, 60_000),
        span(0, 2_000_000),
        span(ROWS - 50, ROWS + 50),
        span(200_000, 300_000),
        Span { from: None, until: Some(UnixTime(BEGAN + 60 * 20_000)) },
        Span { from: Some(UnixTime(BEGAN + 60 * 40_000)), until: None },
        span(300, 200),
    ];
    for began in spans {
        all.push(SessionFilter { began, ..none() });
        all.push(SessionFilter { began, login: some("USER7"), ..none() });
        all.push(SessionFilter { began, nas: some("10.0.0.9"), ..none() });
        all.push(SessionFilter { began, login: some("user30*"), ..none() });
        all.push(SessionFilter { began, hotspot: some("nine"), ..none() });
    }
    all.push(SessionFilter {
        subscriber: Some("user499".into()),
        began: span(0, 60_000),
        ascending: true,
        ..none()
    });
    all
}

async fn every_filter_finds_what_is_there(database: &TestDatabase) {
    let store = database.store().await;
    fill(database, &mut database.raw().await).await;
    let mut slow = Vec::new();
    let rows: Vec<SessionRow> = (1..=ROWS).map(row).collect();
    for (number, filter) in filters().into_iter().enumerate() {
        let wanted = expected(&rows, &filter);
        let pages = [Paging::first(100), Paging::new(30, 40), Paging::new(4_000, 100)];
        for paging in pages.into_iter().take(if number % 4 == 0 { 3 } else { 2 }) {
            #[expect(clippy::disallowed_methods, reason = "a test that shows what takes long")]
            let began = std::time::Instant::now();
            let found = store.session_rows(&filter, None, paging).await.unwrap();
            slow.push((began.elapsed(), format!("{filter:?} {paging:?}")));
            let wanted = Page::cut(wanted.iter().copied(), paging);
            let ids = found.rows.iter().map(|row| row.id).collect::<Vec<_>>();
            assert_eq!((ids, found.more), (wanted.rows, wanted.more), "{filter:?} {paging:?}");
            for found in &found.rows {
                let known = SessionRow { unique_id: found.unique_id.clone(), ..row(found.id) };
                assert_eq!(*found, known);
            }
        }
    }
    slow.sort_unstable();
    for (took, what) in slow.iter().rev().take(5) {
        println!("{took:?} {what}");
    }
    only_accounts(&store, &mut database.raw().await).await;
    store.close().await;
}

async fn only_accounts(store: &Store, raw: &mut Raw) {
    raw.run(
        "INSERT INTO tk_subscriber (username, account_id) VALUES ('user499', 5), ('Rare', 6), ('User1', 7)",
    )
    .await;
    let found =
        store.session_rows(&SessionFilter::default(), Some(&[5, 6]), Paging::first(100)).await.unwrap();
    let logins: BTreeSet<_> = found.rows.iter().map(|row| row.login.as_str()).collect();
    assert_eq!((logins, found.rows.len()), (BTreeSet::from(["Rare", "user499"]), 76));
    let of = |login: &str| SessionFilter { login: some(login), ..SessionFilter::default() };
    let found = store.session_rows(&of("user1"), Some(&[5, 6]), Paging::first(100)).await.unwrap();
    assert_eq!(found, Page { rows: vec![], more: false });
    let found = store.session_rows(&of("user1"), Some(&[7]), Paging::first(100)).await.unwrap();
    assert_eq!(found.rows.len(), 75);
}

async fn attempts_are_found_like_sessions(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    let (time, text) = match database.kind {
        Kind::Sqlite => (["datetime(", ", 'unixepoch', 'localtime')"], "TEXT"),
        Kind::Postgres => (["to_timestamp(", ")"], "text"),
        Kind::MySql => {
            prepare(&mut raw).await;
            (["FROM_UNIXTIME(", ")"], "CHAR")
        }
    };
    let series = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})");
    let insert = "INSERT INTO radpostauth (id, username, pass, reply, authdate)";
    let select = format!(
        "SELECT i, (CASE WHEN i % 2 = 0 THEN 'User' ELSE 'user' END) || CAST(i % 300 AS {text}), 'secret',
                CASE WHEN i % 30000 = 5 THEN 'Access-Reject' ELSE 'Access-Accept' END, {}{BEGAN} + i * 60{} FROM n",
        time[0], time[1]
    );
    raw.run(&if database.kind == Kind::MySql {
        format!("{insert} {series} {select}")
    } else {
        format!("{series} {insert} {select}")
    })
    .await;
    let at = |number: i64| UnixTime(BEGAN + number * 60);
    let login = |number: i64| format!("{}{}", if number % 2 == 0 { "User" } else { "user" }, number % 300);
    let reply = |number: i64| if number % 30_000 == 5 { "Access-Reject" } else { "Access-Accept" };
    for (login_wanted, reply_wanted, span) in [
        ("", "", Span::default()),
        ("USER7", "", Span::default()),
        ("user299", "access-accept", Span::default()),
        ("nobody", "", Span::default()),
        ("", "Access-Reject", Span::default()),
        ("user5", "Access-Reject", Span::default()),
        ("", "Access-Challenge", Span::default()),
        ("user29*", "", Span::default()),
        ("", "", span(100, 200)),
        ("", "", span(0, 50_000)),
        ("", "Access-Reject", span(0, 10_000)),
        ("user7", "", span(0, 50_000)),
        ("", "", span(200_000, 300_000)),
    ] {
        let filter = AttemptFilter {
            login: some(login_wanted),
            reply: Some(reply_wanted.to_owned()).filter(|reply| !reply.is_empty()),
            at: span,
        };
        for paging in [Paging::first(100), Paging::new(2, 40), Paging::new(9_000, 100)] {
            let matching = (1..=ROWS).rev().filter(|number| {
                fits(&login(*number), &filter.login)
                    && (reply_wanted.is_empty() || reply(*number).eq_ignore_ascii_case(reply_wanted))
                    && within(Some(at(*number)), span)
            });
            let wanted = Page::cut(matching, paging);
            let found = store.attempt_rows(&filter, None, paging).await.unwrap();
            let ids = found.rows.iter().map(|row| row.id).collect::<Vec<_>>();
            assert_eq!((ids, found.more), (wanted.rows, wanted.more), "{filter:?} {paging:?}");
            for row in &found.rows {
                let known = (login(row.id), reply(row.id), Some(at(row.id)));
                assert_eq!((row.login.to_string(), row.reply.as_str(), row.at), known);
            }
        }
    }
    store.close().await;
}

async fn totals_are_sums(database: &TestDatabase) {
    let store = database.store().await;
    let mut raw = database.raw().await;
    fill(database, &mut raw).await;
    for (login, span) in
        [("User123", Span::default()), ("user499", span(0, 20_000)), ("nobody", Span::default())]
    {
        let rows: Vec<SessionRow> =
            (1..=ROWS).map(row).filter(|row| row.login == login && within(row.started, span)).collect();
        let totals = store.session_totals(login, span).await.unwrap();
        assert_eq!(totals.sessions, u64::try_from(rows.len()).unwrap());
        assert_eq!(totals.output, rows.iter().map(|row| row.output).sum::<u64>());
        assert_eq!(totals.first, rows.iter().filter_map(|row| row.started).min());
    }
    raw.run("INSERT INTO tk_subscriber (username, created_at, sold) VALUES ('a', 1699999999, 1), ('b', 1700000060, 1), ('c', 1700000120, 0)").await;
    raw.run(
        "INSERT INTO tk_ledger (subscriber_id, wallet, action, before_balance, delta, after_balance, price, at) VALUES
         (1, 'purchase', 'TOPUP', '0', '0', '0', '8.5', 1700000100), (1, 'purchase', 'TOPUP', '0', '0', '0', '8.5', 1700000200),
         (1, 'purchase', 'TOPUP', '0', '0', '0', '1', 1600000000), (1, 'credit', 'USAGE', '0', '0', '0', '3', 1700000100)"
            .replace("'0'", "0").replace("'8.5'", if database.kind == Kind::Sqlite { "'8.5'" } else { "8.5" }).as_str(),
    )
    .await;
    let began = span(0, 1_000);
    let rows: Vec<SessionRow> = (1..=ROWS).map(row).filter(|row| within(row.started, began)).collect();
    // MySQL takes User1 for user1.
    let name = |row: &SessionRow| match database.kind {
        Kind::MySql => row.login.to_lowercase(),
        Kind::Sqlite | Kind::Postgres => row.login.to_string(),
    };
    let logins: BTreeSet<_> = rows.iter().map(name).collect();
    let statistics = store.statistics(began, None).await.unwrap();
    assert_eq!((statistics.made, statistics.sold), (2, 1));
    assert_eq!(statistics.income.to_string(), "17");
    assert_eq!(statistics.sessions.sessions, u64::try_from(rows.len()).unwrap());
    assert_eq!(statistics.sessions.seconds, 30 * u64::try_from(rows.len()).unwrap());
    assert_eq!(statistics.sessions.output, rows.iter().map(|row| row.output).sum::<u64>());
    assert_eq!(statistics.sessions.logins, u64::try_from(logins.len()).unwrap());
    let nothing = store.statistics(span(900_000, 900_001), Some(&[1, 2])).await.unwrap();
    assert_eq!(nothing, Default::default());
    let purchases = store.purchases(&PurchaseFilter::default(), None, Paging::first(10)).await.unwrap();
    assert_eq!(purchases, Page { rows: vec![], more: false });
    store.close().await;
}

/// SQLite takes any value in any column.
async fn times_that_others_wrote_as_text_count(database: &TestDatabase) {
    if database.kind != Kind::Sqlite {
        return;
    }
    let store = database.store().await;
    let mut raw = database.raw().await;
    raw.run(
        "INSERT INTO radacct (acctsessionid, acctuniqueid, username, acctstarttime) VALUES
         ('1', '1', 'text', '2025-11-03 10:00:00'), ('2', '2', 'number', 1762164001), ('3', '3', 'none', NULL)",
    )
    .await;
    let noon = UnixTime(1_762_164_000);
    let of = |from: i64, until: i64| SessionFilter {
        began: Span { from: Some(UnixTime(noon.0 + from)), until: Some(UnixTime(noon.0 + until)) },
        ..SessionFilter::default()
    };
    for (filter, wanted) in
        [(of(0, 1), vec![1]), (of(0, 2), vec![2, 1]), (of(1, 2), vec![2]), (of(2, 9), vec![])]
    {
        let found = store.session_rows(&filter, None, Paging::first(10)).await.unwrap();
        assert_eq!(found.rows.iter().map(|row| row.id).collect::<Vec<_>>(), wanted);
    }
    store.close().await;
}
