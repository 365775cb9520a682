use std::os::unix::fs::PermissionsExt as _;

use smol_str::SmolStr;

use super::*;
use crate::domain::{Day, SubscriberId, SubscriberRows, UniqueId, Usage};
use crate::store::db::Db;
use crate::store::spool::form::tests::session;
use crate::store::{SigningKey, SpoolSettings};

const NOW: UnixTime = UnixTime(1_700_000_000);

struct Place {
    folder: tempfile::TempDir,
    source: Store,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Store::connect(&Settings::new(&url(&folder.path().join("source.db")))).await.unwrap();
        source.migrate().await.unwrap();
        Self { folder, source }
    }

    fn settings(&self) -> SnapshotSettings {
        let file = self.folder.path().join("snap?shot%20.db");
        SnapshotSettings { file, database: "sqlite:source.db".to_owned(), every: Duration::from_secs(1) }
    }

    async fn run(&self, sql: &str) {
        let Db::Sqlite(pools) = self.source.db() else { panic!("a file") };
        sqlx::raw_sql(sql).execute(&pools.write).await.unwrap();
    }

    /// A snapshot of all there is.
    async fn taken(&self) -> Snapshot {
        let snapshot = Snapshot::make(&self.settings()).await.unwrap();
        self.source.sight_all(NOW).await.unwrap();
        let mut after = i64::MIN;
        while let Some(next) = snapshot.copy_page(&self.source, after, 2, Day(0)).await.unwrap() {
            after = next;
        }
        snapshot.copy_common(&self.source).await.unwrap();
        snapshot.is_taken(NOW).await.unwrap();
        snapshot
    }

    /// What the next start finds.
    async fn left(&self) -> Store {
        let (snapshot, taken) = Snapshot::open(&self.settings()).await.unwrap().expect("one was left");
        assert_eq!(taken, NOW);
        let store = snapshot.store(&Arc::default()).await.unwrap();
        snapshot.close().await;
        store
    }
}

async fn all_rows(store: &Store, logins: &[&str]) -> Vec<SubscriberRows> {
    let logins: Vec<SmolStr> = logins.iter().map(SmolStr::new).collect();
    let mut rows = store.subscribers(&logins, Day(0), NOW).await.unwrap();
    rows.sort_by_key(|row| row.id);
    rows
}

const HIDDEN: &str = "$tk1$0badc0de$AAAA";

#[tokio::test]
async fn the_directory_is_in_it_as_it_lies_in_the_database() {
    let place = Place::new().await;
    place
        .run(&format!(
            "INSERT INTO tk_plan (name, groupname, price) VALUES ('gold', 'gold', '8.000000000000000001');
             INSERT INTO tk_quota (plan_id, metric, period, quota_limit) VALUES (1, 'data_total', 'monthly', 100);
             INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('gold', 'Session-Timeout', ':=', '60');
             INSERT INTO tk_subscriber (username, plan_id, created_at) VALUES ('bob', 1, 5), ('ann', NULL, 6);
             INSERT INTO tk_wallet (subscriber_id, balance, charged) VALUES (1, '-3.25', '0.000000000000000001');
             INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit) VALUES (1, 'data_total', 'lifetime', 'topup', 7);
             INSERT INTO tk_device (subscriber_id, mac) VALUES (1, '02:00:00:00:00:0a');
             INSERT INTO tk_usage VALUES (1, 19000, 60, 1, 2), (1, -1, 90, 3, 4);
             INSERT INTO radcheck (username, attribute, op, value) VALUES ('bob', 'Crypt-Password', ':=', '{HIDDEN}'),
                 ('ann', 'Cleartext-Password', ':=', 'hello'), ('never seen', 'Cleartext-Password', ':=', 'hello');
             INSERT INTO radusergroup (username, groupname, priority) VALUES ('bob', 'gold', 1);
             INSERT INTO nas (nasname, shortname, type, secret) VALUES ('192.0.2.1', 'one', 'other', 'its secret');
             INSERT INTO tk_nas_signing (network, source, signed_since) VALUES ('192.0.2.1/32', '192.0.2.1', 9)"
        ))
        .await;
    let keys = place.source.signing_keys(SigningKey::Class, &[7; 32]).await.unwrap();
    place.source.signing_keys(SigningKey::Api, &[8; 32]).await.unwrap();
    place.taken().await.close().await;
    let mode = std::fs::metadata(place.settings().file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let store = place.left().await;
    let names = ["bob", "ann", "never seen"];
    let rows = all_rows(&store, &names).await;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows, all_rows(&place.source, &names).await);
    assert_eq!(rows[0].check[0].value, HIDDEN, "what is hidden stays so");
    assert_eq!(rows[0].usage.len(), 2);
    assert_eq!(store.plan_limits().await.unwrap(), place.source.plan_limits().await.unwrap());
    let gold = ["gold".into()];
    assert_eq!(store.groups(&gold).await.unwrap(), place.source.groups(&gold).await.unwrap());
    let nas = store.nas_rows().await.unwrap().usable.pop().unwrap();
    assert_eq!((nas.name.as_str(), nas.secret.octets()), ("one", &b"its secret"[..]));
    assert_eq!(store.signings().await.unwrap(), place.source.signings().await.unwrap());
    let kept = store.signing_keys(SigningKey::Class, &[1; 32]).await.unwrap();
    assert_eq!((kept.current, kept.identity), (keys.current, keys.identity));
    let others = store.signing_keys(SigningKey::Api, &[1; 32]).await.unwrap();
    assert_eq!(others.current, [1; 32], "what nobody needs is not there");
}

#[tokio::test]
async fn what_changes_is_copied_and_who_is_gone_is_gone() {
    let place = Place::new().await;
    let check = "INSERT INTO radcheck (username, attribute, op, value) VALUES";
    place.run(&format!("{check} ('a', 'X', ':=', '1'), ('b', 'X', ':=', '1'), ('c', 'X', ':=', '1')")).await;
    let snapshot = place.taken().await;
    place
        .run(&format!(
            "UPDATE radcheck SET value = '2' WHERE username = 'a';
             UPDATE tk_subscriber SET username = 'bb' WHERE username = 'b';
             UPDATE radcheck SET username = 'bb' WHERE username = 'b';
             UPDATE tk_subscriber SET username = NULL, status = 'deleted' WHERE username = 'c';
             DELETE FROM radcheck WHERE username = 'c';
             {check} ('new', 'X', ':=', '1')"
        ))
        .await;
    let logins: Vec<SmolStr> = ["a", "b", "c", "new"].iter().map(SmolStr::new).collect();
    snapshot.copy_logins(&place.source, &logins, Day(0), NOW).await.unwrap();
    snapshot.copy_logins(&place.source, &["bb".into()], Day(0), NOW).await.unwrap();
    let names = ["a", "b", "bb", "c", "new"];
    let now = all_rows(&place.source, &names).await;
    assert_eq!(now.iter().map(|row| row.login.as_str()).collect::<Vec<_>>(), ["a", "bb", "new"]);
    let store = place.left().await;
    assert_eq!(all_rows(&store, &names).await, now);
    store.close().await;
    // The same by reading everybody, and a table that is empty now.
    place.run("DELETE FROM tk_subscriber WHERE username = 'a'; DELETE FROM radcheck").await;
    snapshot.close().await;
    place.taken().await.close().await;
    assert!(all_rows(&place.left().await, &names).await.iter().all(|row| row.check.is_empty()));
}

/// A login gets its number in the database, not in a file that is thrown away.
#[tokio::test]
async fn who_has_no_number_is_unknown_in_it() {
    let place = Place::new().await;
    let snapshot = place.taken().await;
    let stray = "INSERT INTO radcheck (username, attribute, op, value) VALUES ('stray', 'X', ':=', '1')";
    sqlx::raw_sql(stray).execute(&snapshot.pool).await.unwrap();
    let store = snapshot.store(&Arc::default()).await.unwrap();
    assert!(all_rows(&store, &["stray"]).await.is_empty());
}

fn open_session(number: u8, subscriber: i64) -> Session {
    Session { closed: None, subscriber: Some(SubscriberId(subscriber)), ..session(number) }
}

fn kept(owner: &str, sessions: &[Session], seconds: u64) -> Kept {
    let total = Usage { seconds, ..Usage::default() };
    let rows = vec![Write::Usage { subscriber: SubscriberId(1), day: Day(7), total }];
    Kept { owner: owner.to_owned(), sessions: sessions.to_vec(), rows, cost: None }
}

async fn ids(snapshot: &Snapshot) -> Vec<u8> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let (sessions, next) = snapshot.sessions(&after, 2).await.unwrap();
        found.extend(sessions.iter().map(|session| session.unique_id.0[0]));
        match next {
            Some(next) => after = next,
            None => return found,
        }
    }
}

#[tokio::test]
async fn sessions_are_those_that_are_open_and_usage_never_falls() {
    let place = Place::new().await;
    place.run("INSERT INTO tk_subscriber (username) VALUES ('bob')").await;
    let snapshot = place.taken().await;
    let [one, two, three] = [1, 2, 3].map(|number| open_session(number, 1));
    snapshot.keep(&[kept("s1", &[one.clone(), two.clone()], 60)], 10).await.unwrap();
    snapshot.keep(&[kept("s2", std::slice::from_ref(&three), 50)], 10).await.unwrap();
    assert_eq!(ids(&snapshot).await, [1, 2, 3]);
    assert_eq!(snapshot.sessions("", 1).await.unwrap().0, std::slice::from_ref(&one), "all of it comes back");
    // One ends; another run knows nothing of the third.
    snapshot.keep(&[kept("s1", std::slice::from_ref(&two), 70)], 11).await.unwrap();
    snapshot.forget_others(11).await.unwrap();
    assert_eq!(ids(&snapshot).await, [2]);
    // What the spool holds is newer.
    let spool = SpoolSettings { file: place.folder.path().join("spool.db"), max_bytes: 1 << 20 };
    let spool = Spool::open(&spool).await.unwrap();
    let usage = |seconds| Write::Usage {
        subscriber: SubscriberId(1),
        day: Day(7),
        total: Usage { seconds, ..Usage::default() },
    };
    let ended = Session { unique_id: UniqueId([2; 16]), ..session(2) };
    let rows = [Write::Session(Box::new(ended)), Write::Session(Box::new(open_session(4, 1))), usage(90)];
    spool.keep(&rows, NOW).await.unwrap();
    spool.keep(&[Write::Used { subscriber: SubscriberId(1), at: NOW }], NOW).await.unwrap();
    snapshot.take_in(&spool).await.unwrap();
    assert_eq!(ids(&snapshot).await, [4]);
    assert_eq!(spool.measure().await.unwrap().rows, 5, "it stays in the spool");
    snapshot.keep(&[kept("s1", &[], 80)], 11).await.unwrap();
    let store = snapshot.store(&Arc::default()).await.unwrap();
    let [bob] = &all_rows(&store, &["bob"]).await[..] else { panic!("bob") };
    assert_eq!(bob.usage, [(Day(7), Usage { seconds: 90, ..Usage::default() })]);
    assert_eq!(bob.first_use, Some(NOW));
}

/// What may be left: nothing, too little, something else.
#[tokio::test]
async fn a_snapshot_that_is_broken_unfinished_or_another_is_not_used_and_made_anew() {
    let place = Place::new().await;
    let settings = place.settings();
    assert!(Snapshot::open(&settings).await.unwrap().is_none(), "none was ever made");
    let unfinished = Snapshot::make(&settings).await.unwrap();
    unfinished.close().await;
    assert!(Snapshot::open(&settings).await.unwrap().is_none(), "nothing is in it yet");
    place.run("INSERT INTO tk_subscriber (username) VALUES ('bob')").await;
    place.taken().await.close().await;
    let whole = std::fs::read(&settings.file).unwrap();
    let other = SnapshotSettings { database: "sqlite:other.db".to_owned(), ..settings.clone() };
    let refused =
        async |settings: &SnapshotSettings| Snapshot::open(settings).await.err().unwrap().to_string();
    assert!(refused(&other).await.contains("another database"));
    for (octets, what) in [
        (whole[..whole.len() / 2].to_vec(), "cut off"),
        (b"not a database, though long enough to be taken for one".repeat(100), "something else"),
        (
            whole.iter().enumerate().map(|(at, octet)| if at > 4_096 { !octet } else { *octet }).collect(),
            "spoilt",
        ),
    ] {
        Snapshot::remove(&settings.file).unwrap();
        std::fs::write(&settings.file, octets).unwrap();
        assert!(!refused(&settings).await.is_empty(), "{what}");
        Snapshot::make(&settings).await.unwrap().close().await;
        place.taken().await.close().await;
        assert_eq!(all_rows(&place.left().await, &["bob"]).await.len(), 1, "{what}: made anew");
    }
    let snapshot = Snapshot::on(&settings.file).await.unwrap();
    let later = "UPDATE tk_snapshot SET version = '2 99 1'";
    sqlx::raw_sql(later).execute(&snapshot.pool).await.unwrap();
    snapshot.close().await;
    assert!(refused(&settings).await.contains("another release"));
}
