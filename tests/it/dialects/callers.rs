//! The four dialects as their clients speak them, and what each tells of a subscriber, in one vocabulary.
//!
//! Everything is asked with keys that may not see secrets, and every answer is searched for them; what
//! needs the right to see them has a function of its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use super::http::Connection;
use super::model::{ENDS, Facts, SECRET_MARK};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Mfusion,
    Antamedia,
    Jaze,
    Ibsng,
}

impl Dialect {
    pub(super) const ALL: [Self; 4] = [Self::Mfusion, Self::Antamedia, Self::Jaze, Self::Ibsng];
}

/// A key, or an operator with a password.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) id: String,
    pub(super) secret: String,
}

/// With what the dialects are spoken.
pub(super) struct Credentials {
    pub(super) mfusion: Credential,
    pub(super) jaze: Credential,
    pub(super) ibsng: Credential,
    pub(super) passphrase: String,
    /// The same of somebody who may see secrets.
    pub(super) jaze_secrets: Credential,
    pub(super) ibsng_secrets: Credential,
}

/// Answers and requests that are kept for the report of a failure.
const KEPT: usize = 60;

pub(super) struct Callers {
    main: Connection,
    antamedia: Connection,
    ibsng: Connection,
    mfusion_token: String,
    jaze_key: String,
    jaze_secrets_key: String,
    ibsng_session: String,
    ibsng_secrets_session: String,
    passphrase: String,
    /// Secrets without a mark: of keys, operators, NASes.
    secrets: Vec<String>,
    trace: VecDeque<String>,
}

impl Callers {
    pub(super) fn new(
        main: SocketAddr,
        antamedia: SocketAddr,
        ibsng: SocketAddr,
        credentials: &Credentials,
        more_secrets: &[String],
    ) -> Self {
        let keys = [&credentials.mfusion, &credentials.jaze, &credentials.ibsng];
        let keys = keys.into_iter().chain([&credentials.jaze_secrets, &credentials.ibsng_secrets]);
        let secrets = keys.map(|key| &key.secret).chain([&credentials.passphrase]).chain(more_secrets);
        let basic = |key: &Credential| STANDARD.encode(format!("{}:{}", key.id, key.secret));
        let mut callers = Self {
            main: Connection::new(main),
            antamedia: Connection::new(antamedia),
            ibsng: Connection::new(ibsng),
            mfusion_token: String::new(),
            jaze_key: basic(&credentials.jaze),
            jaze_secrets_key: basic(&credentials.jaze_secrets),
            ibsng_session: String::new(),
            ibsng_secrets_session: String::new(),
            passphrase: credentials.passphrase.clone(),
            secrets: secrets.cloned().collect(),
            trace: VecDeque::new(),
        };
        let Credential { id, secret } = &credentials.mfusion;
        let token = callers.mfusion("POST", "/auth", Some(json!({"api_id": id, "secret": secret})));
        callers.mfusion_token = token["token"].as_str().unwrap().to_owned();
        callers.ibsng_session = callers.ibsng_login(&credentials.ibsng);
        callers.ibsng_secrets_session = callers.ibsng_login(&credentials.ibsng_secrets);
        callers
    }

    /// What was said lately, the oldest first.
    pub(super) fn trace(&self) -> impl Iterator<Item = &str> {
        self.trace.iter().map(String::as_str)
    }

    pub(super) fn note(&mut self, line: String) {
        if self.trace.len() >= KEPT {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    /// Invariant 12: no dialect ever returns a secret to a key without the `secrets` right.
    pub(super) fn invariant_12_no_secret_is_told(&self, who: &str, text: &str) {
        assert!(!text.contains(SECRET_MARK), "invariant 12: {who} was told a password: {text}");
        if let Some(secret) = self.secrets.iter().find(|secret| text.contains(secret.as_str())) {
            panic!("invariant 12: {who} was told {secret}: {text}");
        }
    }

    fn heard(&mut self, dialect: Dialect, asked: &str, (status, text): (u16, String)) -> String {
        let shown: String = text.rsplit("]>").next().unwrap_or_default().trim().chars().take(1_500).collect();
        self.note(format!("{dialect:?} {asked} => {status} {shown}"));
        assert!(status < 500, "{dialect:?} {asked}: {status} {text}");
        text
    }

    pub(super) fn mfusion(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let headers =
            format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.mfusion_token);
        let body = body.map_or_else(String::new, |body| body.to_string());
        let answer = self.main.send(method, &format!("/mbox/api/hotspot{path}"), &headers, &body);
        let text = self.heard(Dialect::Mfusion, &format!("{method} {path} {body}"), answer);
        self.invariant_12_no_secret_is_told("mFusion", &text);
        serde_json::from_str(&text).unwrap()
    }

    /// `/metrics`, which nobody needs a key for.
    pub(super) fn metrics(&mut self) -> String {
        self.main.send("GET", "/metrics", "", "").1
    }

    /// Asks mFusion for what must be done.
    pub(super) fn mfusion_does(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.mfusion(method, path, body);
        assert_eq!(answer["status"], true, "{method} {path}: {answer}");
        answer
    }

    /// A command of Antamedia's; the answer is XML.
    pub(super) fn antamedia(&mut self, command: &str, parameters: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(parameters).append_pair("pass", &self.passphrase);
        let path = format!("/{command}?{}", query.finish());
        let answer = self.antamedia.send("GET", &path, "", "");
        let text = self.heard(Dialect::Antamedia, &format!("{command} {parameters:?}"), answer);
        // What was just made up is shown once; here the password is always given.
        if command != "generateaccounts" {
            self.invariant_12_no_secret_is_told("Antamedia", &text);
        }
        text
    }

    pub(super) fn antamedia_does(&mut self, command: &str, parameters: &[(&str, &str)]) {
        let text = self.antamedia(command, parameters);
        assert_eq!(element(&text, "Description"), Some("SUCCESS"), "{command} {parameters:?}: {text}");
    }

    pub(super) fn jaze(&mut self, path: &str, parameters: Option<&[(&str, &str)]>) -> Value {
        let key = self.jaze_key.clone();
        let text = self.jaze_with(&key, path, parameters);
        self.invariant_12_no_secret_is_told("Jaze", &text);
        serde_json::from_str(&text).unwrap()
    }

    fn jaze_with(&mut self, key: &str, path: &str, parameters: Option<&[(&str, &str)]>) -> String {
        let (method, form) = match parameters {
            Some(parameters) => ("POST", Serializer::new(String::new()).extend_pairs(parameters).finish()),
            None => ("GET", String::new()),
        };
        let headers =
            format!("Authorization: Basic {key}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let answer = self.main.send(method, &format!("/api/v1/{path}"), &headers, &form);
        self.heard(Dialect::Jaze, &format!("{path} {form}"), answer)
    }

    pub(super) fn jaze_does(&mut self, path: &str, parameters: Option<&[(&str, &str)]>) -> Value {
        let answer = self.jaze(path, parameters);
        assert_eq!(answer["errorCode"], 200, "{path} {parameters:?}: {answer}");
        answer
    }

    fn ibsng_login(&mut self, operator: &Credential) -> String {
        let params = json!({"login_auth_type": "ADMIN", "login_auth_name": operator.id, "login_auth_pass": operator.secret, "create_session": true});
        let session = self.ibsng_with("", "login.login", params).unwrap();
        session.as_str().unwrap().to_owned()
    }

    fn ibsng_with(&mut self, session: &str, method: &str, mut params: Value) -> Result<Value, String> {
        let asked = format!("{method} {params}");
        if !session.is_empty() {
            params["auth_session"] = session.into();
        }
        let mut body = json!({"method": method});
        body["params"] = params;
        let answer = self.ibsng.send("POST", "/", "", &body.to_string());
        let text = self.heard(Dialect::Ibsng, &asked, answer);
        let answer: Value = serde_json::from_str(&text).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["result"].clone()),
        }
    }

    pub(super) fn ibsng(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let session = self.ibsng_session.clone();
        let answer = self.ibsng_with(&session, method, params);
        self.invariant_12_no_secret_is_told("IBSng", &format!("{answer:?}"));
        answer
    }

    pub(super) fn ibsng_does(&mut self, method: &str, params: Value) -> Value {
        let asked = format!("{method} {params}");
        self.ibsng(method, params).unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// `user.updateUserAttrs` of one user.
    pub(super) fn ibsng_sets(&mut self, id: i64, attrs: Value, delete: Value) {
        let mut params = json!({"user_id": id.to_string()});
        (params["attrs"], params["to_del_attrs"]) = (attrs, delete);
        self.ibsng_does("user.updateUserAttrs", params);
    }

    /// The password as those may see it who have the right to; `None` where there is none.
    pub(super) fn passwords(&mut self, id: i64) -> [Option<String>; 2] {
        let (key, session) = (self.jaze_secrets_key.clone(), self.ibsng_secrets_session.clone());
        let jaze: Value =
            serde_json::from_str(&self.jaze_with(&key, &format!("get_user_password/{id}"), None)).unwrap();
        let ibsng = self.ibsng_with(&session, "user.getUserInfo", json!({"user_id": id})).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        [text(&jaze["message"]["password"]), text(&ibsng[id.to_string()]["attrs"]["normal_password"])]
    }

    /// What a dialect tells of a subscriber; `None` where it knows none.
    pub(super) fn facts(
        &mut self,
        dialect: Dialect,
        id: i64,
        login: &str,
        plans: &[(i64, String)],
    ) -> Option<Facts> {
        match dialect {
            Dialect::Mfusion => self.mfusion_facts(id, login),
            Dialect::Antamedia => self.antamedia_facts(login, plans),
            Dialect::Jaze => self.jaze_facts(id),
            Dialect::Ibsng => self.ibsng_facts(id),
        }
    }

    fn mfusion_facts(&mut self, id: i64, login: &str) -> Option<Facts> {
        let user = self.mfusion("GET", &format!("/users/{id}"), None);
        let access = self.mfusion("GET", &format!("/user-access/{id}"), None);
        if user["status"] == false {
            assert_eq!(user["errorMessage"], format!("User with ID: {id} not found."));
            assert_eq!(access["errorMessage"], "No user found.");
            return None;
        }
        let user = &user["result"][0];
        let mut groups: Vec<&str> = user["profile"].as_str().unwrap_or_default().split(", ").collect();
        groups.sort_unstable();
        let mut facts =
            Facts::from([("groups", groups.join(", ")), ("barred", user["disabled"].to_string())]);
        for (fact, member) in [
            ("login", "username"),
            ("first", "firstname"),
            ("last", "lastname"),
            ("email", "email"),
            ("mobile", "mobile"),
        ] {
            facts.insert(fact, user[member].as_str().unwrap_or_default().to_owned());
        }
        let attributes: BTreeMap<&str, &Value> = access["result"]["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|item| item.as_object().unwrap())
            .map(|(name, item)| (name.as_str(), &item["value"]))
            .collect();
        for (fact, attribute) in [
            ("expires", "Expiration"),
            ("places", "Simultaneous-Use"),
            ("session timeout", "Session-Timeout"),
            ("octets ever", "CS-Total-MB-All"),
        ] {
            let value = attributes.get(attribute).map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            facts.insert(fact, value);
        }
        let online = self.mfusion_does("GET", &format!("/online-sessions?username={login}"), None);
        facts.insert("open sessions", online["result"].as_array().unwrap().len().to_string());
        Some(facts)
    }

    fn antamedia_facts(&mut self, login: &str, plans: &[(i64, String)]) -> Option<Facts> {
        let text = self.antamedia("viewaccount", &[("account", login)]);
        if let Some(description) = element(&text, "Description") {
            assert_eq!(description, "ERROR: Account does not exist", "{login}");
            return None;
        }
        let get = |name: &str| element(&text, name).unwrap_or_else(|| panic!("no {name}: {text}")).to_owned();
        let plan: i64 = get("GroupPlanID").parse().unwrap();
        let plan =
            plans.iter().find(|(id, _)| *id == plan).map_or_else(String::new, |(_, name)| name.clone());
        let ends = ENDS.iter().find(|end| end.antamedia == get("Expire"));
        let ends = ends.unwrap_or_else(|| panic!("an end that nobody has set: {text}"));
        assert_eq!(get("EnableExpire") == "True", !ends.shown.is_empty(), "{text}");
        let places = get("MultiLogins");
        let facts = [
            ("login", "Username"),
            ("first", "FirstName"),
            ("last", "LastName"),
            ("email", "Email"),
            ("phone", "Phone"),
            ("mobile", "Mobile"),
            ("money", "Money"),
        ];
        let mut facts: Facts = facts.into_iter().map(|(fact, element)| (fact, get(element))).collect();
        facts.insert("money", facts["money"].trim_end_matches(".00").to_owned());
        facts.insert("plan", plan);
        facts.insert("expires", ends.shown.to_owned());
        facts.insert("online", (get("Loggedin") == "1").to_string());
        facts.insert("places", if places == "0" { String::new() } else { places });
        Some(facts)
    }

    fn jaze_facts(&mut self, id: i64) -> Option<Facts> {
        let details = self.jaze_does(&format!("get_details/{id}"), None);
        let user = &details["data"][0]["User"];
        let get = |name: &str| user[name].as_str().unwrap_or_else(|| panic!("no {name}: {user}")).to_owned();
        if user["status"] == "deleted" {
            let answer = self.jaze(&format!("get_logofftime_onlinestatus/{id}"), None);
            assert_eq!(answer["errorCode"], 404, "{answer}");
            return None;
        }
        let ends = get("expirationTime");
        let facts = [
            ("login", "username"),
            ("plan", "group_name"),
            ("status", "status"),
            ("first", "name"),
            ("last", "last_name"),
            ("email", "email"),
            ("any phone", "phone"),
        ];
        let mut facts: Facts = facts.into_iter().map(|(fact, member)| (fact, get(member))).collect();
        facts.insert("expires", if ends == "2999-12-31 23:59:59" { String::new() } else { ends });
        let online = self.jaze_does(&format!("get_logofftime_onlinestatus/{id}"), None);
        facts.insert("online", (online["data"]["online"] == "yes").to_string());
        let balance = self.jaze_does(&format!("get_balance/{id}"), None);
        facts.insert("due", balance["balance"].as_str().unwrap().to_owned());
        let usage = &details["data"][1]["currentBillingCycleUsage"];
        facts.insert("upload", usage["uploadDataUsage"].as_str().unwrap().to_owned());
        facts.insert("download", usage["downloadDataUsage"].as_str().unwrap().to_owned());
        Some(facts)
    }

    fn ibsng_facts(&mut self, id: i64) -> Option<Facts> {
        let info = match self.ibsng("user.getUserInfo", json!({"user_id": id})) {
            Ok(info) => info,
            Err(error) => {
                assert_eq!(error, format!("USERID_DOESNT_EXISTS|User with user id {id} does not exists"));
                return None;
            }
        };
        let user = &info[id.to_string()];
        let attrs = &user["attrs"];
        let get = |name: &str| attrs[name].as_str().unwrap_or_default().to_owned();
        let facts = [
            ("login", "normal_username"),
            ("lock", "lock"),
            ("expires", "nearest_exp_date"),
            ("places", "multi_login"),
            ("session timeout", "session_timeout"),
            ("name", "name"),
            ("email", "email"),
            ("phone", "phone"),
            ("mobile", "cell_phone"),
        ];
        let mut facts: Facts = facts.into_iter().map(|(fact, attr)| (fact, get(attr))).collect();
        let basic = &user["basic_info"];
        assert_eq!(basic["nearest_exp_date"], facts["expires"]);
        facts.insert("plan", basic["group_name"].as_str().unwrap().to_owned());
        facts.insert("credit", basic["credit"].to_string());
        facts.insert("money", basic["deposit"].to_string());
        facts.insert("online", user["online_status"].to_string());
        facts.insert("open sessions", user["internet_onlines"].as_array().unwrap().len().to_string());
        Some(facts)
    }
}

/// The text of the first element of this name.
pub(super) fn element<'t>(xml: &'t str, name: &str) -> Option<&'t str> {
    elements(xml, name).next()
}

/// The contents of all elements of this name.
pub(super) fn elements<'t>(xml: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let (opening, closing) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(opening.as_str())?;
        let (text, after) = after.split_once(closing.as_str())?;
        rest = after;
        Some(text)
    })
}
