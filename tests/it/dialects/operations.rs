//! What chance does: changes by callers, and what NASes have to tell.

use serde_json::{Value, json};
use tollkeeper::time::Clock as _;

use super::callers::Dialect::{self, Antamedia, Ibsng, Jaze, Mfusion};
use super::model::{ENDS, LOUNGE, NEVER, PLANS, Record, Session, Subscriber};
use super::world::{SUBSCRIBERS, World};
use crate::support::requests::{INTERIM, START, STOP};

/// The kinds of changes; what is named more often is drawn more often.
const CHANGES: [Change; 22] = [
    Change::Password,
    Change::Password,
    Change::Plan,
    Change::Plan,
    Change::Lounge,
    Change::Status,
    Change::Status,
    Change::Status,
    Change::End,
    Change::End,
    Change::Places,
    Change::SessionTimeout,
    Change::OctetsEver,
    Change::Contact,
    Change::Rename,
    Change::Delete,
    Change::Credit,
    Change::Credit,
    Change::Money,
    Change::Payment,
    Change::Renewal,
    Change::Kick,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Password,
    Plan,
    Lounge,
    Status,
    End,
    Places,
    SessionTimeout,
    OctetsEver,
    Contact,
    Rename,
    Delete,
    Credit,
    Money,
    Payment,
    Renewal,
    Kick,
}

impl World {
    /// Makes a subscriber, or changes one that was not `touched`; gives it and the dialect.
    pub(super) fn change_by_chance(&mut self, touched: &[usize]) -> (usize, Dialect) {
        self.operations += 1;
        let living = self.people.iter().filter(|person| !person.deleted).count();
        if living < SUBSCRIBERS / 2 || (living < SUBSCRIBERS && self.one_in(8)) {
            return self.make();
        }
        loop {
            let who = self.somebody(touched);
            let change = self.one_of(&CHANGES);
            let login = self.people[who].login.clone();
            if let Some(dialect) = self.change(who, change) {
                self.callers.note(format!("-- {}: {change:?} of {login} in {dialect:?}", self.operations));
                return (who, dialect);
            }
        }
    }

    /// A subscriber that lives and was not touched.
    fn somebody(&mut self, touched: &[usize]) -> usize {
        loop {
            let who = self.below(self.people.len());
            let person = &self.people[who];
            if !person.deleted && !person.fixed && !touched.contains(&who) {
                return who;
            }
        }
    }

    /// `None`: that cannot be with this subscriber now.
    fn change(&mut self, who: usize, change: Change) -> Option<Dialect> {
        match change {
            Change::Password => Some(self.change_password(who)),
            Change::Plan => self.change_plan(who),
            Change::Lounge => Some(self.change_lounge(who)),
            Change::Status => Some(self.change_status(who)),
            Change::End => Some(self.change_end(who)),
            Change::Places => Some(self.change_places(who)),
            Change::SessionTimeout => Some(self.change_session_timeout(who)),
            Change::OctetsEver => Some(self.change_octets_ever(who)),
            Change::Contact => Some(self.change_contact(who)),
            Change::Rename => Some(self.rename(who)),
            Change::Delete => self.delete(who),
            Change::Credit => self.change_credit(who),
            Change::Money => Some(self.change_money(who)),
            Change::Payment => Some(self.pay(who)),
            Change::Renewal => self.renew(who),
            Change::Kick => self.kick(who),
        }
    }

    /// A login that nobody has, now and then one that somebody had.
    fn new_login(&mut self) -> String {
        if !self.free_logins.is_empty() && self.one_in(2) {
            let place = self.below(self.free_logins.len());
            return self.free_logins.swap_remove(place);
        }
        self.names += 1;
        format!("user{}", self.names)
    }

    fn id_of(&mut self, login: &str) -> i64 {
        let info = self.callers.ibsng_does("user.getUserInfo", json!({"normal_username": login}));
        let (id, _) = info.as_object().unwrap().iter().next().unwrap();
        id.parse().unwrap()
    }

    fn plan_id(&self, plan: usize) -> String {
        let (id, _) = self.plans.iter().find(|(_, name)| name == PLANS[plan].name).unwrap();
        id.to_string()
    }

    fn make(&mut self) -> (usize, Dialect) {
        let dialect = self.one_of(&Dialect::ALL);
        let (login, password) = (self.new_login(), self.new_password());
        let plan = self.below(PLANS.len());
        let mut new =
            Subscriber { plan: Some(plan), password: Some(password.clone()), ..Subscriber::new(0, &login) };
        let name = PLANS[plan].name;
        // IBSng's clients say how much it begins with; with the others that comes with the plan.
        new.credit = PLANS[plan].credit;
        match dialect {
            Mfusion => {
                let (pin, disabled, lounge) = (self.one_in(4), self.one_in(5), self.one_in(3));
                let kind = if pin { "pin" } else { "user" };
                let profiles = if lounge { format!("{name}, {LOUNGE}") } else { name.to_owned() };
                let body = json!({"username": login, "password": password, "usertype": kind, "disabled": disabled, "profiles": profiles});
                let made = self.callers.mfusion_does("POST", "/users", Some(body));
                new.id = made["result"]["id"].as_str().unwrap().parse().unwrap();
                new.lounge = lounge;
                if pin {
                    new.password = None;
                }
                if disabled {
                    new.status = "suspended";
                }
            }
            Antamedia => {
                let id = self.plan_id(plan);
                let given = [("account", login.as_str()), ("password", &password), ("priceplan", &id)];
                self.callers.antamedia("generateaccounts", &given);
                new.id = self.id_of(&login);
            }
            Jaze => {
                let id = self.plan_id(plan);
                let status = self.one_of(&["active", "active", "suspended", "blacklisted"]);
                let given = [
                    ("userGroupId", id.as_str()),
                    ("userName", &login),
                    ("password", &password),
                    ("userState", status),
                ];
                let made = self.callers.jaze_does("add_user", Some(&given));
                new.id = made["data"]["userId"].as_str().unwrap().parse().unwrap();
                new.status = status;
            }
            Ibsng => {
                let credit = i64::try_from(self.below(40)).unwrap();
                let made = self.callers.ibsng_does("user.addNewUsers", json!({"count": 1, "credit": credit, "isp_name": "Main", "group_name": name, "credit_comment": ""}));
                new.id = made[0].as_i64().unwrap();
                new.credit = credit;
                let spec = json!({"normal_username": login, "normal_password": password});
                self.callers.ibsng_sets(new.id, json!({"normal_user_spec": spec}), json!([]));
            }
        }
        self.callers.note(format!("-- {}: made {login} ({}) in {dialect:?}", self.operations, new.id));
        self.people.push(new);
        (self.people.len() - 1, dialect)
    }

    fn of(&self, who: usize) -> (i64, String, String) {
        let person = &self.people[who];
        (person.id, person.id.to_string(), person.login.clone())
    }

    fn change_password(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&Dialect::ALL);
        let (id, number, login) = self.of(who);
        let password = self.new_password();
        match dialect {
            Mfusion => drop(self.mfusion_sets(id, json!({"password": password}))),
            Antamedia => self.antamedia_sets(&login, &[("password", &password)]),
            Jaze => drop(
                self.callers.jaze_does("edit_user", Some(&[("userId", &number), ("password", &password)])),
            ),
            Ibsng => {
                let spec = json!({"normal_username": login, "normal_password": password});
                self.callers.ibsng_sets(id, json!({"normal_user_spec": spec}), json!([]));
            }
        }
        self.people[who].password = Some(password);
        dialect
    }

    fn mfusion_sets(&mut self, id: i64, body: Value) -> Value {
        self.callers.mfusion_does("POST", &format!("/users/{id}"), Some(body))
    }

    fn mfusion_attaches(&mut self, id: i64, attribute: &str, value: impl Into<Value>) {
        let body = json!({"attribute": attribute, "value": value.into()});
        self.callers.mfusion_does("POST", &format!("/user-access/{id}/actions/attach-access"), Some(body));
    }

    fn mfusion_detaches(&mut self, id: i64, attribute: &str) {
        let body = json!({"attribute": attribute});
        self.callers.mfusion_does("POST", &format!("/user-access/{id}/actions/detach-access"), Some(body));
    }

    fn antamedia_sets(&mut self, login: &str, parameters: &[(&str, &str)]) {
        let all = [&[("account", login)], parameters].concat();
        self.callers.antamedia_does("updateaccount", &all);
    }

    fn change_plan(&mut self, who: usize) -> Option<Dialect> {
        let plan = self.below(PLANS.len());
        let person = &self.people[who];
        // What a session costs that began under another plan is another battery's.
        if person.open().next().is_some() && (PLANS[plan].metered || person.is_metered()) {
            return None;
        }
        let dialect = self.one_of(&Dialect::ALL);
        let (id, number, login) = self.of(who);
        let (name, plan_id) = (PLANS[plan].name, self.plan_id(plan));
        match dialect {
            Mfusion => {
                let lounge = self.one_in(3);
                let profiles = if lounge { format!("{name},{LOUNGE}") } else { name.to_owned() };
                self.mfusion_sets(id, json!({"profiles": profiles}));
                self.people[who].lounge = lounge;
            }
            Antamedia => self.antamedia_sets(&login, &[("groupplan", &plan_id)]),
            Jaze if self.one_in(2) => {
                let given = [("userId", number.as_str()), ("userGroupId", &plan_id)];
                self.callers.jaze_does("edit_user", Some(&given));
            }
            Jaze => {
                let given = [
                    ("userId", number.as_str()),
                    ("groupId", &plan_id),
                    ("type", "moveImmediately"),
                    ("clearUserDataUsage", "no"),
                    ("clearUserPolicies", "no"),
                    ("moveBilling", "no"),
                ];
                self.callers.jaze_does("move_group", Some(&given));
            }
            Ibsng => self.callers.ibsng_sets(id, json!({"group_name": name}), json!([])),
        }
        self.people[who].plan = Some(plan);
        Some(dialect)
    }

    fn change_lounge(&mut self, who: usize) -> Dialect {
        let (id, ..) = self.of(who);
        let lounge = !self.people[who].lounge;
        let verb = if lounge { "attach-profile" } else { "detach-profile" };
        let body = json!({"profileName": LOUNGE});
        self.callers.mfusion_does("POST", &format!("/users/{id}/actions/{verb}"), Some(body));
        self.people[who].lounge = lounge;
        Mfusion
    }

    /// Invariant 3: Jaze says `suspended` and IBSng has a lock, whoever disables; sessions end.
    fn change_status(&mut self, who: usize) -> Dialect {
        let (id, number, _) = self.of(who);
        let dialect = self.one_of(&[Mfusion, Jaze, Jaze, Ibsng]);
        let before = self.people[who].status;
        let (status, reason) = match dialect {
            Mfusion => {
                let disabled = before == "active" || self.one_in(4);
                self.mfusion_sets(id, json!({"disabled": disabled}));
                match (disabled, before) {
                    (true, "active") => ("suspended", String::new()),
                    // Who is kept out for another reason stays out.
                    (false, "suspended") => ("active", String::new()),
                    _ => (before, self.people[who].reason.clone()),
                }
            }
            Jaze if self.one_in(2) => {
                let state = if before == "blocked" { "unblock" } else { "block" };
                let given = [("userId", number.as_str()), ("state", state), ("notes", "by chance")];
                self.callers.jaze_does("block_unblock_user", Some(&given));
                (if state == "block" { "blocked" } else { "active" }, String::new())
            }
            Jaze => {
                let status = self.one_of(&["active", "active", "suspended", "blacklisted"]);
                self.callers.jaze_does("edit_user", Some(&[("userId", &number), ("userState", status)]));
                let same = status == before;
                (status, if same { self.people[who].reason.clone() } else { String::new() })
            }
            _ if before == "active" => {
                let reason = format!("unpaid {}", self.operations);
                self.callers.ibsng_sets(id, json!({"lock": reason}), json!([]));
                ("suspended", reason)
            }
            _ => {
                self.callers.ibsng_sets(id, json!({}), json!(["lock"]));
                ("active", String::new())
            }
        };
        let person = &mut self.people[who];
        (person.status, person.reason) = (status, reason);
        dialect
    }

    fn change_end(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&Dialect::ALL);
        let (id, number, login) = self.of(who);
        let mut ends = self.below(ENDS.len());
        if dialect == Mfusion && ends == NEVER && self.people[who].ends == NEVER {
            // What is not there cannot be detached.
            ends = 2;
        }
        let end = &ENDS[ends];
        match (dialect, ends) {
            (Mfusion, NEVER) => self.mfusion_detaches(id, "Expiration"),
            (Mfusion, _) => self.mfusion_attaches(id, "Expiration", end.shown),
            (Antamedia, NEVER) => self.antamedia_sets(&login, &[("enableexpire", "0")]),
            (Antamedia, _) => self.antamedia_sets(&login, &[("expiredatetime", end.antamedia)]),
            (Jaze, NEVER) => {
                let given = [("userId", number.as_str()), ("expirationDate", "never")];
                self.callers.jaze_does("edit_user", Some(&given));
            }
            (Jaze, _) => {
                let given = [
                    ("userId", number.as_str()),
                    ("expirationDate", "custom"),
                    ("customExpirationDate", end.jaze),
                ];
                self.callers.jaze_does("edit_user", Some(&given));
            }
            (Ibsng, NEVER) => self.callers.ibsng_sets(id, json!({}), json!(["abs_exp_date"])),
            (Ibsng, _) => self.callers.ibsng_sets(id, json!({"abs_exp_date": end.shown}), json!([])),
        }
        self.people[who].ends = ends;
        dialect
    }

    fn change_places(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&[Mfusion, Antamedia, Ibsng]);
        let (id, _, login) = self.of(who);
        let had = self.people[who].places;
        let places = Some(u32::try_from(self.below(4)).unwrap()).filter(|places| *places > 0);
        let places = if dialect == Antamedia { places.or(Some(1)) } else { places };
        let text = places.unwrap_or_default().to_string();
        match (dialect, places) {
            (Mfusion, None) if had.is_none() => return self.change_places(who),
            (Mfusion, None) => self.mfusion_detaches(id, "Simultaneous-Use"),
            (Mfusion, Some(places)) => self.mfusion_attaches(id, "Simultaneous-Use", places),
            (Antamedia, Some(1)) => self.antamedia_sets(&login, &[("multilogin", "0")]),
            (Antamedia, _) => self.antamedia_sets(&login, &[("multilogin", "1"), ("multilogins", &text)]),
            (_, None) => self.callers.ibsng_sets(id, json!({}), json!(["multi_login"])),
            (_, Some(places)) => self.callers.ibsng_sets(id, json!({"multi_login": places}), json!([])),
        }
        self.people[who].places = places;
        dialect
    }

    fn change_session_timeout(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&[Mfusion, Ibsng]);
        let (id, ..) = self.of(who);
        let had = self.people[who].session_timeout;
        let seconds = if had.is_some() && self.one_in(3) {
            None
        } else {
            Some(1_000 + u32::try_from(self.below(9_000)).unwrap())
        };
        match (dialect, seconds) {
            (Mfusion, None) => self.mfusion_detaches(id, "Session-Timeout"),
            (Mfusion, Some(seconds)) => self.mfusion_attaches(id, "Session-Timeout", seconds),
            (_, None) => self.callers.ibsng_sets(id, json!({}), json!(["session_timeout"])),
            (_, Some(seconds)) => self.callers.ibsng_sets(id, json!({"session_timeout": seconds}), json!([])),
        }
        self.people[who].session_timeout = seconds;
        dialect
    }

    /// Mostly more than was used, now and then less.
    fn change_octets_ever(&mut self, who: usize) -> Dialect {
        let (id, ..) = self.of(who);
        let limit = if self.people[who].octets_ever.is_some() && self.one_in(2) {
            self.mfusion_detaches(id, "CS-Total-MB-All");
            None
        } else {
            let used: u32 = self.people[who].used().iter().sum();
            let limit = if self.one_in(4) { used / 2 } else { used + 3 };
            self.mfusion_attaches(id, "CS-Total-MB-All", limit);
            Some(limit)
        };
        self.people[who].octets_ever = limit;
        Mfusion
    }

    fn change_contact(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&Dialect::ALL);
        let (id, number, login) = self.of(who);
        let names: &[(&'static str, &str)] = match dialect {
            Mfusion => {
                &[("first", "firstname"), ("last", "lastname"), ("email", "email"), ("mobile", "mobile")]
            }
            Antamedia => &[
                ("first", "firstname"),
                ("last", "lastname"),
                ("email", "email"),
                ("phone", "phone"),
                ("mobile", "mobile"),
            ],
            Jaze => &[
                ("first", "firstName"),
                ("last", "lastName"),
                ("email", "emailId"),
                ("phone", "phoneNumber"),
            ],
            Ibsng => &[("first", "name"), ("email", "email"), ("phone", "phone"), ("mobile", "cell_phone")],
        };
        let (field, name) = names[self.below(names.len())];
        let digits = 1_000_000 + self.below(9_000_000);
        let value = match field {
            _ if self.one_in(4) => String::new(),
            "email" => format!("m{digits}@example.net"),
            "phone" | "mobile" => format!("09{digits}"),
            _ => format!("N{digits}"),
        };
        match dialect {
            Mfusion => drop(self.mfusion_sets(id, json!({name: value}))),
            Antamedia => self.antamedia_sets(&login, &[(name, &value)]),
            Jaze => drop(self.callers.jaze_does("edit_user", Some(&[("userId", &number), (name, &value)]))),
            Ibsng => self.callers.ibsng_sets(id, json!({name: value}), json!([])),
        }
        let contact = &mut self.people[who].contact;
        if (dialect, field) == (Ibsng, "first") {
            // Its name is the whole name.
            contact.remove("last");
        }
        contact.insert(field, value);
        dialect
    }

    fn rename(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&[Mfusion, Jaze, Ibsng]);
        let (id, number, old) = self.of(who);
        let login = self.new_login();
        match dialect {
            Mfusion => drop(self.mfusion_sets(id, json!({"username": login}))),
            Jaze => {
                drop(self.callers.jaze_does("edit_user", Some(&[("userId", &number), ("userName", &login)])))
            }
            _ => {
                let password = self.new_password();
                let spec = json!({"normal_username": login, "normal_password": password});
                self.callers.ibsng_sets(id, json!({"normal_user_spec": spec}), json!([]));
                self.people[who].password = Some(password);
            }
        }
        let person = &mut self.people[who];
        for session in person.sessions.iter_mut().filter(|session| session.open) {
            session.login.clone_from(&login);
        }
        person.login = login;
        self.free_logins.push(old);
        dialect
    }

    /// Invariant 8: who is deleted in any is not found in the others, and `deleted` in Jaze.
    fn delete(&mut self, who: usize) -> Option<Dialect> {
        let dialect = self.one_of(&Dialect::ALL);
        let (id, number, login) = self.of(who);
        match dialect {
            Mfusion => drop(self.callers.mfusion_does("DELETE", &format!("/users/{id}"), None)),
            Antamedia => self.callers.antamedia_does("deleteaccount", &[("account", &login)]),
            Jaze => drop(self.callers.jaze_does(&format!("delete_user/{number}"), None)),
            Ibsng => {
                let params = json!({"user_id": number, "delete_comment": "", "del_connection_logs": false, "del_audit_logs": false});
                if self.people[who].open().next().is_some() {
                    let error = self.callers.ibsng("user.delUser", params).unwrap_err();
                    assert!(error.starts_with("DELETE_USER_IS_ONLINE|"), "{login}: {error}");
                    return None;
                }
                self.callers.ibsng_does("user.delUser", params);
            }
        }
        self.people[who].deleted = true;
        self.free_logins.push(login);
        Some(dialect)
    }

    fn change_credit(&mut self, who: usize) -> Option<Dialect> {
        let person = &self.people[who];
        if person.credit_left() != person.credit {
            return None;
        }
        let (id, ..) = self.of(who);
        let amount = i64::try_from(self.below(20)).unwrap();
        let (word, after) = self.one_of(&[("ADD", self.people[who].credit + amount), ("SET", amount)]);
        let params =
            json!({"user_id": id, "credit": amount, "change_type": word, "credit_comment": "by chance"});
        self.callers.ibsng_does("user.changeCreditExtended", params);
        self.people[who].credit = after;
        Some(Ibsng)
    }

    /// Antamedia's money and IBSng's deposit are one wallet.
    fn change_money(&mut self, who: usize) -> Dialect {
        let dialect = self.one_of(&[Antamedia, Ibsng]);
        let (id, _, login) = self.of(who);
        let amount = i64::try_from(self.below(30)).unwrap();
        let text = amount.to_string();
        let money = self.people[who].money;
        let sets = self.one_in(2);
        match (dialect, sets) {
            (Antamedia, true) => self.antamedia_sets(&login, &[("money", &text)]),
            (Antamedia, false) => self.antamedia_sets(&login, &[("moneyinc", &text)]),
            (_, absolute) => {
                let params = json!({"user_id": id, "deposit": amount, "is_absolute_change": absolute, "deposit_comment": ""});
                self.callers.ibsng_does("user.changeDeposit", params);
            }
        }
        self.people[who].money = if sets { amount } else { money + amount };
        dialect
    }

    fn pay(&mut self, who: usize) -> Dialect {
        let (_, number, _) = self.of(who);
        let amount = 1 + i64::try_from(self.below(50)).unwrap();
        let given = [("userId", number.as_str()), ("amount", &amount.to_string()), ("method", "cash")];
        self.callers.jaze_does("make_payment", Some(&given));
        self.people[who].due -= amount;
        Jaze
    }

    fn renew(&mut self, who: usize) -> Option<Dialect> {
        let person = &self.people[who];
        if person.credit_left() != person.credit || person.ends != NEVER {
            return None;
        }
        let plan = person.plan?;
        let (plan, plan_id) = (&PLANS[plan], self.plan_id(plan));
        let dialect = self.one_of(&[Antamedia, Jaze, Ibsng, Ibsng]);
        let (_, number, login) = self.of(who);
        match dialect {
            // The plan's time and volume are added: it has no limits.
            Antamedia => {
                let given = [("account", login.as_str()), ("priceplan", &plan_id)];
                self.callers.antamedia_does("refillaccount", &given);
                let person = &mut self.people[who];
                (person.status, person.reason) = ("active", String::new());
            }
            Jaze => {
                self.callers.jaze_does("renew", Some(&[("userId", &number)]));
                self.people[who].due += plan.due;
                self.people[who].credit = plan.credit;
            }
            _ if self.one_in(2) => {
                self.callers.ibsng_does("user.renewUsers", json!({"user_id": number, "comment": ""}));
                self.people[who].credit = plan.credit;
            }
            _ => {
                self.callers.ibsng_does("user.rechargeUsers", json!({"user_id": number, "comment": ""}));
                self.people[who].credit += plan.recharge;
            }
        }
        Some(dialect)
    }

    /// The NAS is asked to end the sessions; it does so later.
    fn kick(&mut self, who: usize) -> Option<Dialect> {
        self.people[who].open().next()?;
        let dialect = self.one_of(&[Antamedia, Jaze, Ibsng]);
        let (_, number, login) = self.of(who);
        match dialect {
            Antamedia => self.callers.antamedia_does("logoutaccount", &[("account", &login)]),
            Jaze => drop(self.callers.jaze_does("disconnect_user_sessions", Some(&[("userId", &number)]))),
            _ => drop(self.callers.ibsng_does("user.killUserByID", json!({"user_id": number}))),
        }
        for session in self.people[who].sessions.iter_mut().filter(|session| session.open) {
            session.kicked = true;
        }
        Some(dialect)
    }

    /// A NAS tells something about a subscriber that no caller has touched since all was in force.
    pub(super) fn count_by_chance(&mut self, touched: &[usize]) {
        self.operations += 1;
        let settled = |(who, person): &(usize, &Subscriber)| !person.fixed && !touched.contains(who);
        let all: Vec<usize> = self.people.iter().enumerate().filter(settled).map(|(who, _)| who).collect();
        if all.is_empty() {
            return;
        }
        let who = all[self.below(all.len())];
        let open: Vec<usize> = (0..self.people[who].sessions.len())
            .filter(|place| self.people[who].sessions[*place].open)
            .collect();
        match self.below(6) {
            0 if !self.people[who].sessions.is_empty() => self.replay(who),
            1 | 2 if !open.is_empty() => {
                let place = open[self.below(open.len())];
                self.interim(who, place);
            }
            3 if !open.is_empty() => {
                let place = open[self.below(open.len())];
                self.stop(who, place);
            }
            _ if !self.people[who].deleted => self.log_in(who),
            _ => return,
        }
        let dialect = self.one_of(&Dialect::ALL);
        self.look(who, dialect);
    }

    /// A login, and a session if it is accepted and nothing else bars one.
    pub(super) fn log_in(&mut self, who: usize) {
        let nas = self.below(self.nases.len());
        let (station, class) = {
            let person = &self.people[who];
            let station = person.next_station();
            let Some(accept) = self.try_login(who, nas, &station) else { return };
            (station, accept.class)
        };
        self.names += 1;
        let number = self.names;
        let [_, high, middle, low] = number.to_be_bytes();
        let mut session = Session {
            id: format!("s{number}"),
            address: std::net::Ipv4Addr::new(10, high, middle, low),
            nas,
            login: self.people[who].login.clone(),
            user: self.people[who].login.clone(),
            station,
            class: class.filter(|_| self.one_in(2)),
            seconds: 0,
            input: 0,
            output: 0,
            priced: 0,
            open: true,
            kicked: false,
            records: Vec::new(),
        };
        self.tell(&mut session, START);
        self.callers.note(format!(
            "-- {}: {} opens {} of {}",
            self.operations, session.user, session.id, self.people[who].id
        ));
        self.people[who].sessions.push(session);
    }

    fn tell(&mut self, session: &mut Session, status: u32) {
        let at = u32::try_from(self.clock.now().unix.0).unwrap();
        let Session { seconds, input, output, .. } = *session;
        let record = Record { status, seconds, input, output, at };
        self.nases[session.nas].record(self.accounting, session, record);
        session.records.push(record);
    }

    /// Time and octets pass.
    fn use_up(&mut self, who: usize, place: usize) -> Session {
        let [seconds, input, output] = [3, 3, 4].map(|limit| u32::try_from(self.below(limit)).unwrap());
        let metered = self.people[who].is_metered() && !self.people[who].deleted;
        let session = &mut self.people[who].sessions[place];
        session.seconds += seconds;
        session.input += input;
        session.output += output;
        if metered {
            session.priced += input + output;
        }
        session.clone()
    }

    fn interim(&mut self, who: usize, place: usize) {
        let mut session = self.use_up(who, place);
        self.tell(&mut session, INTERIM);
        self.callers.note(format!("-- {}: interim of {}", self.operations, session.id));
        self.people[who].sessions[place] = session;
    }

    pub(super) fn stop(&mut self, who: usize, place: usize) {
        let mut session = self.use_up(who, place);
        self.tell(&mut session, STOP);
        self.callers.note(format!("-- {}: stop of {}", self.operations, session.id));
        session.open = false;
        self.people[who].credit -= i64::from(session.priced);
        self.people[who].sessions[place] = session;
        self.invariant_4_one_row_for_a_stop(who, place);
    }

    /// Invariant 10: what was told before changes nothing when it is told again, late or twice.
    fn replay(&mut self, who: usize) {
        let place = self.below(self.people[who].sessions.len());
        let session = self.people[who].sessions[place].clone();
        let record = session.records[self.below(session.records.len())];
        let datagram = self.nases[session.nas].record(self.accounting, &session, record);
        if self.one_in(2) {
            self.nases[session.nas].again(self.accounting, &datagram);
        }
        self.callers
            .note(format!("-- {}: {} of {} again: {record:?}", self.operations, session.id, session.user));
        if !session.open {
            self.invariant_4_one_row_for_a_stop(who, place);
        }
    }
}
