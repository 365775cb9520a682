//! The twelve invariants of the domain model (§10), each under its number. The twelfth is in
//! [`super::callers`], where every answer passes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::json;
use tollkeeper::domain::Amount;

use super::callers::{Dialect, element, elements};
use super::model::{LOUNGE, LOUNGE_IDLE, SECRET_MARK, Subscriber};
use super::nas::{Accept, Nas};
use super::world::{World, others};
use crate::support::databases::Kind;
use crate::support::eventually;
use crate::support::freeradius::FreeRadius;
use crate::support::server::text;

impl World {
    /// Looks at a subscriber in another dialect than that in which it was changed.
    pub(super) fn look_elsewhere(&mut self, who: usize, changed_in: Dialect) {
        let dialect = self.one_of(&others(changed_in));
        self.look(who, dialect);
    }

    /// Invariants 1, 2, 3, 6 and 8 of one subscriber in one dialect: it is there as the others know it, with
    /// plan, status, credit and whether it is online; or it is not, once it is deleted.
    pub(super) fn look(&mut self, who: usize, dialect: Dialect) {
        let person = &self.people[who];
        let (id, login, mut expected) = (person.id, person.login.clone(), person.facts());
        if let (Dialect::Mfusion, Some(facts)) = (dialect, &mut expected) {
            // Its list is asked by name: somebody who is gone may have left a session under it.
            let named =
                self.people.iter().flat_map(Subscriber::open).filter(|session| session.login == login);
            facts.insert("open sessions", named.count().to_string());
        }
        // Somebody else may have the login of who was deleted.
        if person.deleted
            && dialect == Dialect::Antamedia
            && self.people.iter().any(|other| !other.deleted && other.login == login)
        {
            return;
        }
        let told = self.callers.facts(dialect, id, &login, &self.plans);
        match (told, expected) {
            (None, None) => {}
            (Some(told), Some(expected)) => {
                let differs = |(fact, value): &(&&str, &String)| expected[**fact] != **value;
                let wrong: Vec<String> = told
                    .iter()
                    .filter(differs)
                    .map(|(fact, value)| format!("{fact} is {value:?}, not {:?}", expected[fact]))
                    .collect();
                assert!(wrong.is_empty(), "{dialect:?} of {login} ({id}): {wrong:?}");
            }
            (told, expected) => panic!("{dialect:?} of {login} ({id}): told {told:?}, expected {expected:?}"),
        }
    }

    /// Everything that the dialects can be asked about all subscribers, and each of them in each dialect.
    pub(super) fn look_at_all(&mut self) {
        self.invariant_1_everybody_is_in_every_list();
        for who in 0..self.people.len() {
            for dialect in Dialect::ALL {
                self.look(who, dialect);
            }
            self.passwords_are_told_to_those_who_may_see_them(who);
        }
        self.invariant_4_no_other_rows();
        self.invariant_5_ledgers_add_up();
        self.invariant_6_the_same_are_online();
        self.invariant_7_counts_add_up();
        self.invariant_11_the_same_plans();
        let metrics = self.callers.metrics();
        self.callers.invariant_12_no_secret_is_told("whoever reads the metrics", &metrics);
    }

    fn living(&self) -> impl Iterator<Item = &Subscriber> {
        self.people.iter().filter(|person| !person.deleted)
    }

    /// 1. A user created in any dialect is visible in the other three.
    fn invariant_1_everybody_is_in_every_list(&mut self) {
        let ids: BTreeSet<i64> = self.living().map(|person| person.id).collect();
        let logins: BTreeSet<String> = self.living().map(|person| person.login.clone()).collect();
        let users = self.callers.mfusion_does("GET", "/users?perPage=2000", None);
        let told: BTreeSet<i64> =
            users["result"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect();
        assert_eq!(told, ids, "invariant 1: mFusion");
        let accounts = self.callers.antamedia("getaccountlist", &[]);
        let told: BTreeSet<String> = elements(&accounts, "Username").map(str::to_owned).collect();
        assert_eq!(told, logins, "invariant 1: Antamedia");
        let numbers = self.callers.jaze("get_all_user_ids", None);
        let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<i64>().unwrap();
        let told: BTreeSet<i64> = numbers.as_array().unwrap().iter().map(number).collect();
        assert_eq!(told, ids, "invariant 1: Jaze");
        let params = json!({"conds": {}, "from": 0, "to": 100_000, "order_by": "user_id", "desc": false});
        let found = self.callers.ibsng_does("user.searchUser", params);
        let told: BTreeSet<i64> =
            found[2].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
        assert_eq!(told, ids, "invariant 1: IBSng");
    }

    /// 2. What was changed in one dialect is what the next Access-Request sees: credit, quota, status, end, password, places.
    fn invariant_2_the_next_login_sees_it(&mut self, who: usize, accept: Option<&Accept>) {
        let person = &self.people[who];
        let admitted = person.is_admitted() && person.has_place();
        let login = &person.login;
        if accept.is_some() != admitted {
            // What was decided is noted in order: when this one is there, all before it are.
            let other = "02-99-99-99-99-99";
            self.nases[0].login(self.auth, login, "wrong", other, false);
            let sql = format!(
                "SELECT reason, rule, calling_station_id FROM tk_auth_log WHERE username = '{login}' ORDER BY id DESC LIMIT 3"
            );
            let database = &mut self.database;
            let last = eventually("what was decided is noted", || {
                let last = database.rows(&sql);
                last.first().is_some_and(|row| row[2] == other).then_some(last)
            });
            panic!("invariant 2: login of {login} should be {admitted}, {last:?}: {person:?}");
        }
        let Some(accept) = accept else { return };
        assert_eq!(
            accept.idle_timeout,
            person.lounge.then_some(LOUNGE_IDLE),
            "invariant 2: idle timeout of {login}"
        );
        if person.session_timeout.is_some() {
            assert_eq!(
                accept.session_timeout, person.session_timeout,
                "invariant 2: session timeout of {login}"
            );
        }
    }

    /// A login as the model knows it, checked.
    pub(super) fn try_login(&mut self, who: usize, nas: usize, station: &str) -> Option<Accept> {
        let person = &self.people[who];
        let (login, password) = (person.login.clone(), person.password.clone());
        let chap = password.is_some() && self.one_in(2);
        let password = password.unwrap_or_else(|| login.clone());
        let accept = self.nases[nas].login(self.auth, &login, &password, station, chap);
        self.invariant_2_the_next_login_sees_it(who, accept.as_ref());
        accept
    }

    /// Who was changed logs in, and does not with another password. Somebody else may have the login of who
    /// was deleted.
    pub(super) fn look_by_radius(&mut self, who: usize) {
        let person = &self.people[who];
        let has_heir = self.people.iter().any(|other| !other.deleted && other.login == person.login);
        if person.deleted && has_heir {
            return;
        }
        let (station, login, is_pin) =
            (person.next_station(), person.login.clone(), person.password.is_none());
        let nas = self.below(self.nases.len());
        self.try_login(who, nas, &station);
        if !is_pin {
            let wrong = self.nases[nas].login(self.auth, &login, "wrong", &station, false);
            assert_eq!(wrong, None, "invariant 2: {login} with a wrong password");
        }
    }

    /// Invariant 3: disabling ends open sessions, as does whatever else bars; nothing else does. The NAS has been
    /// asked, and now sends the Stop.
    pub(super) fn end_sessions(&mut self) {
        self.invariant_3_whoever_is_barred_is_disconnected();
        for nas in 0..self.nases.len() {
            for told in self.nases[nas].take_told() {
                let of_it = |(who, person): (usize, &Subscriber)| {
                    let place = person.sessions.iter().position(|session| session.id == told)?;
                    Some((who, place))
                };
                let (who, place) = self.people.iter().enumerate().find_map(of_it).unwrap();
                let (person, session) = (&self.people[who], &self.people[who].sessions[place]);
                let wanted = session.kicked || !person.is_admitted();
                assert!(
                    !session.open || wanted,
                    "invariant 3: {told} of {} was ended: {person:?}",
                    person.login
                );
                if session.open {
                    self.stop(who, place);
                }
            }
        }
    }

    fn invariant_3_whoever_is_barred_is_disconnected(&self) {
        for person in &self.people {
            for session in person.open().filter(|session| session.kicked || !person.is_admitted()) {
                let what = format!("invariant 3: Disconnect-Request for {} of {person:?}", session.id);
                eventually(&what, || self.nases[session.nas].was_told(&session.id).then_some(()));
            }
        }
    }

    /// 4. One accounting Stop is exactly one row in mFusion, Antamedia, Jaze and IBSng, each with its directions.
    pub(super) fn invariant_4_one_row_for_a_stop(&mut self, who: usize, place: usize) {
        let person = &self.people[who];
        let (id, login, deleted) = (person.id, person.login.clone(), person.deleted);
        let session = person.sessions[place].clone();
        let address = session.address.to_string();
        let [upload, download] = [session.input, session.output].map(|octets| u64::from(octets) << 20);
        let seconds = u64::from(session.seconds);
        let rows =
            self.callers.mfusion_does("GET", &format!("/historical-sessions?ipaddress={address}"), None);
        let rows = rows["result"].as_array().unwrap();
        let what = format!("invariant 4: {} of {login} ({id})", session.id);
        assert_eq!(rows.len(), 1, "{what}: {rows:?}");
        let told =
            ["acctinputoctets", "acctoutputoctets", "acctsessiontime"].map(|name| rows[0][name].as_u64());
        assert_eq!(told, [Some(download), Some(upload), Some(seconds)], "{what}: mFusion");
        assert_eq!(rows[0]["acctterminatecause"], "User-Request", "{what}: mFusion");
        let params = json!({"conds": {"remote_ip": address, "successful": "yes"}, "from": 0, "to": 10, "sort_by": "login_time", "desc": false});
        let rows = self.callers.ibsng_does("report.getConnections", params);
        let rows = rows["report"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{what}: {rows:?}");
        assert_eq!(rows[0]["user_id"], id, "{what}: IBSng");
        let told = ["bytes_in", "bytes_out"].map(|name| rows[0][name].as_str().unwrap().to_owned());
        assert_eq!(told, [download, upload].map(|octets| octets.to_string()), "{what}: IBSng");
        assert_eq!(rows[0]["duration_seconds"], seconds, "{what}: IBSng");
        assert_eq!(rows[0]["credit_used"], session.priced, "{what}: IBSng");
        // Reports by name know what ended under it: a closed session keeps the name that it had.
        if deleted || session.login != login {
            return;
        }
        let log = self.callers.antamedia("getaccountlog", &[("account", &login)]);
        let rows: Vec<&str> =
            elements(&log, "Session").filter(|row| element(row, "IP") == Some(&address)).collect();
        assert_eq!(rows.len(), 1, "{what}: Antamedia: {log}");
        let told = ["Download", "Upload", "Duration"]
            .map(|name| element(rows[0], name).unwrap().parse::<u64>().unwrap());
        assert_eq!(told, [download, upload, seconds], "{what}: Antamedia");
        let rows = self.callers.jaze_does(&format!("get_usersession_details/{id}"), None);
        let rows = rows["data"].as_array().unwrap();
        let rows: Vec<_> = rows.iter().filter(|row| row["ip_addr"] == address).collect();
        assert_eq!(rows.len(), 1, "{what}: Jaze: {rows:?}");
        let told = ["download_bytes", "upload_bytes", "session_time"]
            .map(|name| rows[0][name].as_str().unwrap().to_owned());
        assert_eq!(told, [download, upload, seconds].map(|number| number.to_string()), "{what}: Jaze");
    }

    /// 4. … and there are no rows that no Start has made.
    fn invariant_4_no_other_rows(&mut self) {
        let sessions = || self.people.iter().flat_map(|person| &person.sessions);
        let (all, closed) = (sessions().count(), sessions().filter(|session| !session.open).count());
        let params = json!({"conds": {"successful": "yes"}, "from": 0, "to": 1, "sort_by": "login_time", "desc": false});
        let rows = self.callers.ibsng_does("report.getConnections", params);
        assert_eq!(rows["total_rows"], closed, "invariant 4: IBSng");
        let mut told = 0;
        for page in 1.. {
            let rows = self.callers.mfusion_does(
                "GET",
                &format!("/historical-sessions?perPage=2000&page={page}"),
                None,
            );
            told += rows["result"].as_array().unwrap().len();
            if rows["isLastPage"] == true {
                break;
            }
        }
        assert_eq!(told, all, "invariant 4: mFusion");
        let rows = self.database.rows(&format!("SELECT {} FROM radacct", text("COUNT(*)")));
        assert_eq!(rows[0][0], all.to_string(), "invariant 4: radacct");
    }

    /// 5. The sum of a wallet's movements is its balance.
    fn invariant_5_ledgers_add_up(&mut self) {
        let mut sums: BTreeMap<(String, String), Amount> = BTreeMap::new();
        let sql = format!("SELECT {}, wallet, {} FROM tk_ledger", text("subscriber_id"), text("delta"));
        for row in self.database.rows(&sql) {
            let sum = sums.entry((row[0].clone(), row[1].clone())).or_default();
            *sum = sum.plus(Amount::parse(&row[2]).unwrap()).unwrap();
        }
        let sql = format!("SELECT {}, kind, {} FROM tk_wallet", text("subscriber_id"), text("balance"));
        for row in self.database.rows(&sql) {
            let sum = sums.remove(&(row[0].clone(), row[1].clone())).unwrap_or_default();
            assert_eq!(Some(sum), Amount::parse(&row[2]), "invariant 5: {row:?}");
        }
        sums.retain(|_, sum| !sum.is_zero());
        assert!(sums.is_empty(), "invariant 5: movements without a wallet: {sums:?}");
    }

    /// 6. The same users are online in all dialects at the same instant.
    fn invariant_6_the_same_are_online(&mut self) {
        let online: BTreeSet<(String, i64)> = self
            .living()
            .flat_map(|person| person.open().map(|_| (person.login.clone(), person.id)))
            .collect();
        let sessions: usize = self.living().map(|person| person.open().count()).sum();
        let rows = self.callers.mfusion_does("GET", "/online-sessions?perPage=2000", None);
        let rows = rows["result"].as_array().unwrap();
        let told: BTreeSet<&str> = rows.iter().map(|row| row["username"].as_str().unwrap()).collect();
        assert_eq!(told, online.iter().map(|(login, _)| login.as_str()).collect(), "invariant 6: mFusion");
        assert_eq!(rows.len(), sessions, "invariant 6: mFusion");
        let rows = self.callers.jaze_does("get_active_user_session_details", None);
        let rows = rows["data"].as_array().unwrap();
        let told: BTreeSet<&str> = rows.iter().map(|row| row["username"].as_str().unwrap()).collect();
        assert_eq!(told, online.iter().map(|(login, _)| login.as_str()).collect(), "invariant 6: Jaze");
        assert_eq!(rows.len(), sessions, "invariant 6: Jaze");
        let params = json!({"conds": {}, "normal_sort_by": "user_id", "normal_desc": false, "voip_sort_by": "user_id", "voip_desc": false});
        let rows = self.callers.ibsng_does("report.getOnlineUsers", params);
        let rows = rows[0].as_array().unwrap();
        let told: BTreeSet<i64> = rows.iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
        assert_eq!(told, online.iter().map(|(_, id)| *id).collect(), "invariant 6: IBSng");
        assert_eq!(rows.len(), sessions, "invariant 6: IBSng");
        let count = self.callers.ibsng_does("report.getOnlineUsersCount", json!({}));
        assert_eq!(count["internet_onlines"], sessions, "invariant 6: IBSng's count");
    }

    /// 7. Jaze's total is the sum of its counts, and each is what the users say.
    fn invariant_7_counts_add_up(&mut self) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let statuses: Vec<String> =
            self.living().map(|person| person.facts().unwrap()["status"].clone()).collect();
        let online = self.living().filter(|person| person.open().next().is_some()).count();
        let deleted = self.people.len() - statuses.len();
        for word in ["active", "expired", "suspended", "blocked", "blacklisted", "pending", "others"] {
            counts.insert(word, statuses.iter().filter(|status| *status == word).count());
        }
        let told = self.callers.jaze_does("get_users_count", None);
        let told = told["message"].as_object().unwrap();
        let get = |name: &str| usize::try_from(told[name].as_u64().unwrap()).unwrap();
        for (word, count) in &counts {
            assert_eq!(get(word), *count, "invariant 7: {word}: {told:?}");
        }
        assert_eq!(get("total"), counts.values().sum::<usize>(), "invariant 7: {told:?}");
        assert_eq!(get("total"), statuses.len(), "invariant 7: {told:?}");
        assert_eq!(get("churned"), deleted, "invariant 7: {told:?}");
        assert_eq!(get("online"), online, "invariant 7: {told:?}");
        let groups = self.callers.jaze_does("get_group_details", None);
        for group in groups["data"].as_array().unwrap() {
            let name = group["Group_name"].as_str().unwrap();
            let of_it: Vec<_> =
                self.living().filter_map(Subscriber::facts).filter(|facts| facts["plan"] == name).collect();
            let active = of_it.iter().filter(|facts| facts["status"] == "active").count();
            let told = [&group["Total_Users"], &group["Active_Users"]];
            assert_eq!(told, [&json!(of_it.len()), &json!(active)], "invariant 7: {name}");
        }
    }

    /// 9. A stock FreeRADIUS on the same database accepts and rejects the same users, as far as rows decide.
    pub(super) fn invariant_9_freeradius_admits_the_same(&mut self) {
        if self.database.kind() != Kind::Postgres {
            return;
        }
        let Some(theirs) = FreeRadius::start(Kind::Postgres, &self.database) else { return };
        let mut nas = Nas::start(Ipv4Addr::LOCALHOST, self.clock.clone());
        for person in &self.people {
            let has_heir = self.people.iter().any(|other| !other.deleted && other.login == person.login);
            if person.deleted && has_heir {
                continue;
            }
            let (login, station) = (&person.login, person.next_station());
            let password = person.password.as_deref().unwrap_or("any");
            let accept = nas.login(theirs.auth, login, password, &station, false);
            assert_eq!(accept.is_some(), person.is_admitted_by_rows(), "invariant 9: {person:?}");
            if person.password.is_some() {
                let accept = nas.login(theirs.auth, login, "wrong", &station, false);
                assert_eq!(accept, None, "invariant 9: {person:?} with a wrong password");
            }
        }
    }

    /// 11. The same plan list appears as mFusion's profiles, Antamedia's price plans, Jaze's and IBSng's groups.
    fn invariant_11_the_same_plans(&mut self) {
        let expected: Vec<String> = self.plans.iter().map(|(_, name)| name.clone()).collect();
        assert!(expected.contains(&LOUNGE.to_owned()));
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        let profiles = self.callers.mfusion_does("GET", "/profiles", None);
        let name = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let told = profiles["result"].as_array().unwrap().iter().map(|profile| name(&profile["groupname"]));
        assert_eq!(sorted(told.collect()), expected, "invariant 11: mFusion");
        let plans = self.callers.antamedia("getpriceplans", &[]);
        let told = elements(&plans, "Description").map(str::to_owned);
        assert_eq!(sorted(told.collect()), expected, "invariant 11: Antamedia");
        let groups = self.callers.jaze_does("get_group_details", None);
        let told = groups["data"].as_array().unwrap().iter().map(|group| name(&group["Group_name"]));
        assert_eq!(sorted(told.collect()), expected, "invariant 11: Jaze");
        let groups = self.callers.ibsng_does("group.listGroups", json!({}));
        assert_eq!(
            sorted(groups.as_array().unwrap().iter().map(name).collect()),
            expected,
            "invariant 11: IBSng"
        );
        for (id, plan) in self.plans.clone() {
            let group = self.callers.ibsng_does("group.getGroupInfo", json!({"group_name": plan}));
            assert_eq!(group["group_id"], id, "invariant 11: IBSng");
        }
    }

    /// 12. … and those who have the right to see passwords see the one that opens.
    fn passwords_are_told_to_those_who_may_see_them(&mut self, who: usize) {
        let person = &self.people[who];
        if person.deleted {
            return;
        }
        let (id, password) = (person.id, person.password.clone());
        assert!(password.iter().all(|password| password.contains(SECRET_MARK)));
        let told = self.callers.passwords(id);
        assert_eq!(
            told,
            [password.clone(), password],
            "invariant 12: passwords of {}",
            self.people[who].login
        );
    }
}
