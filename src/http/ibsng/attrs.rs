//! Attributes of users: what a client sets becomes a change of a customer, and a customer is shown by them.
//!
//! What has a meaning here goes where every dialect finds it; anything else is kept as it is and given back.

use std::collections::HashSet;

use super::dates::{Calendar, DateType, duration, shown_duration};
use super::fault::{Fault, texts};
use super::json;
use super::multi_str;
use super::numbers;
use super::params::{self, Params};
use super::value::Value;
use crate::domain::customer::{Customer, CustomerEdit, EndsAfter, RuleUsage};
use crate::domain::{AttributeRow, ContactField, ExpiryKind, ExpiryUnit, Metric, Period, SubscriberStatus};
use crate::service::{Letters, MadeUp, RandomWords};
use crate::time::UnixTime;

/// Attributes that are a reply attribute of FreeRADIUS's.
const REPLY: [(&str, &str); 6] = [
    ("session_timeout", "Session-Timeout"),
    ("idle_timeout", "Idle-Timeout"),
    ("assign_ip", "Framed-IP-Address"),
    ("assign_netmask", "Framed-IP-Netmask"),
    ("assign_route_ip", "Framed-Route"),
    ("ippool", "Framed-Pool"),
];
const MULTI_LOGIN: &str = "Simultaneous-Use";
const RATE_LIMIT: &str = "Mikrotik-Rate-Limit";
const CALLER: &str = "Calling-Station-Id";
const NAS_ADDRESS: &str = "NAS-IP-Address";

/// Attributes that are part of a contact.
const CONTACT: [(&str, ContactField); 7] = [
    ("name", ContactField::First),
    ("email", ContactField::Email),
    ("phone", ContactField::Phone),
    ("cell_phone", ContactField::Mobile),
    ("address", ContactField::Address1),
    ("postal_code", ContactField::Zip),
    ("birthdate", ContactField::Birthdate),
];

/// Attributes that end a package so long after an event; the unit has `_unit` behind the name.
const ENDS_AFTER: [(&str, ExpiryKind); 4] = [
    ("rel_exp_date", ExpiryKind::AfterFirstUse),
    ("exp_from_first_login", ExpiryKind::AfterFirstUse),
    ("exp_from_creation_date", ExpiryKind::AfterCreation),
    ("exp_from_renew", ExpiryKind::AfterRenew),
];

/// The parts of a rate of MikroTik: of the subscriber's sending ("recv" from the router's side) and receiving.
const RATE: [[&str; 2]; 4] = [
    ["mikrotik_bw_recv_rate", "mikrotik_bw_send_rate"],
    ["mikrotik_bw_recv_burst", "mikrotik_bw_send_burst"],
    ["mikrotik_bw_recv_burst_threshold", "mikrotik_bw_send_burst_threshold"],
    ["mikrotik_bw_recv_burst_time", "mikrotik_bw_send_burst_time"],
];
const RATE_PRIORITY: &str = "mikrotik_bw_priority";
const RATE_LEAST: [&str; 2] = ["mikrotik_bw_min_recv_rate", "mikrotik_bw_min_send_rate"];

/// Limits over a period: `traffic_periodic_accounting_daily_limit`.
const LIMITS: [(&str, Metric, Period); 6] = [
    ("time_periodic_accounting_daily", Metric::Time, Period::Daily),
    ("time_periodic_accounting_weekly", Metric::Time, Period::Weekly),
    ("time_periodic_accounting_monthly", Metric::Time, Period::Monthly),
    ("traffic_periodic_accounting_daily", Metric::Total, Period::Daily),
    ("traffic_periodic_accounting_weekly", Metric::Total, Period::Weekly),
    ("traffic_periodic_accounting_monthly", Metric::Total, Period::Monthly),
];

/// What custom fields are called among the attributes.
const CUSTOM: &str = "custom_field_";

/// Values that one call sets or deletes, counted for each of its users: twenty attributes of ten thousand.
const VALUES_MAX: usize = 200_000;
/// Devices or callers that a user is bound to.
const BOUND_MAX: usize = 100;

/// How many values there are in a value, the lines of a text each for themselves.
fn size(value: &Value) -> usize {
    match value {
        Value::List(values) => values.iter().map(size).sum(),
        Value::Map(members) => members.iter().map(|(_, value)| size(value)).sum(),
        Value::Text(text) => 1 + text.matches('\n').count(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Rows(_) => 1,
    }
}

/// What a client asks to be different: attributes to set and names of those to delete.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    set: Vec<(&'a str, &'a Value)>,
    delete: Vec<String>,
    custom: Vec<(String, String)>,
    logins: Option<Vec<String>>,
    passwords: Option<Vec<String>>,
    /// What the server is to make up.
    pub(super) made_up: MadeUp,
    /// Names of attributes of RADIUS that are set.
    pub(super) radius: Vec<String>,
}

impl<'a> Wanted<'a> {
    /// Reads `attrs` and `to_del_attrs` for so many users.
    pub(super) fn read(params: Params<'a>, users: usize) -> Result<Self, Fault> {
        let attrs = params.map("attrs")?;
        // Each is a value that every user is given.
        let many = |name: &str| params.find(name).map_or(0, size);
        if many("attrs").saturating_add(many("to_del_attrs")).saturating_mul(users) > VALUES_MAX {
            return Err(texts::RANGE_ERROR.plain());
        }
        let mut delete = Vec::new();
        for name in params.list("to_del_attrs")? {
            delete.push(params::text("to_del_attrs", name)?);
        }
        let mut wanted = Self {
            set: Vec::new(),
            delete,
            custom: Vec::new(),
            logins: None,
            passwords: None,
            made_up: MadeUp::default(),
            radius: Vec::new(),
        };
        let mut flat = false;
        // The document's prose has these two among the parameters, its request among the attributes.
        let loose = ["normal_username", "normal_password"];
        let outer = loose.iter().filter_map(|name| Some((*name, params.find(name)?)));
        for (name, value) in outer.filter(|(name, _)| attrs.find(name).is_none()).chain(attrs.members()) {
            match name {
                "normal_user_spec" => {
                    let spec = params::members(value).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&[name]))?;
                    wanted.spec(Params::of(spec), users, false)?;
                }
                "normal_username"
                | "normal_password"
                | "normal_generate_password"
                | "normal_generate_password_len"
                | "normal_save_usernames" => flat = true,
                "custom_fields" => wanted.custom(value)?,
                "voip_user_spec" => {
                    let spec = params::members(value).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&[name]))?;
                    wanted.set.extend(spec.iter().map(|(name, value)| (name.as_str(), value)));
                }
                name => wanted.set.push((name, value)),
            }
        }
        if flat {
            let spec = if attrs.find("normal_username").or_else(|| attrs.find("normal_password")).is_some() {
                attrs
            } else {
                params
            };
            wanted.spec(spec, users, true)?;
        }
        Ok(wanted)
    }

    /// Logins and passwords; where they are missing they are made up.
    fn spec(&mut self, spec: Params<'a>, users: usize, flat: bool) -> Result<(), Fault> {
        let given = |name: &str| Ok::<_, Fault>(spec.maybe_text(name)?.filter(|text| !text.is_empty()));
        match given("normal_username")? {
            Some(text) => {
                let logins = multi_str::values(&text)?;
                if logins.len() != users {
                    let (users, logins) = (users.to_string(), logins.len().to_string());
                    return Err(texts::NORMAL_USER_COUNT_NOT_MATCH.of(&[&users, &logins]));
                }
                let mut once = HashSet::new();
                for login in &logins {
                    check_login(login)?;
                    if !once.insert(login) {
                        return Err(texts::DUPLICATE_USERNAME.of(&[login]));
                    }
                }
                self.logins = Some(logins);
            }
            None if flat => {}
            None => {
                let prefix = spec.maybe_text("normal_username_random_prefix")?.unwrap_or_default();
                if !prefix.is_empty() {
                    check_login(&prefix)?;
                }
                self.made_up.logins = Some(words(spec, "normal_username_random", prefix)?);
            }
        }
        let generated = if flat {
            let kind = spec.find("normal_generate_password").map_or(Some(0), params::int);
            kind.ok_or_else(|| texts::INVALID_INT_VALUE.of(&["normal_generate_password"]))?
        } else {
            0
        };
        match given("normal_password")? {
            Some(text) if generated == 0 => {
                // One password is meant as it stands, whatever commas it has.
                let passwords = if users == 1 { vec![text] } else { multi_str::values(&text)? };
                if passwords.iter().any(|password| !is_password(password)) {
                    return Err(texts::BAD_PASSWORD.plain());
                }
                self.passwords = Some(passwords);
            }
            _ if flat && generated != 0 => {
                let length = spec.find("normal_generate_password_len").map_or(Some(8), params::int);
                let letters = if generated == 1 {
                    Letters::Letters
                } else if generated == 2 {
                    Letters::Digits
                } else {
                    Letters::Mixed
                };
                let length = word_length(
                    length.ok_or_else(|| texts::INVALID_INT_VALUE.of(&["normal_generate_password_len"]))?,
                )?;
                self.made_up.passwords = Some(RandomWords { prefix: String::new(), length, letters });
            }
            _ if flat => {}
            _ => self.made_up.passwords = Some(words(spec, "normal_password_random", String::new())?),
        }
        Ok(())
    }

    /// `[{set}, [delete]]`, or an object of those to set.
    fn custom(&mut self, value: &'a Value) -> Result<(), Fault> {
        let wrong = || texts::INVALID_LIST_VALUE.of(&["custom_fields"]);
        let (set, delete) = match value {
            Value::List(parts) => (parts.first(), parts.get(1)),
            Value::Map(members) if members.iter().all(|(name, _)| name == "0" || name == "1") => {
                (value.get("0"), value.get("1"))
            }
            Value::Map(_) => (Some(value), None),
            _ => return Err(wrong()),
        };
        if let Some(set) = set {
            for (name, value) in Params::of(params::members(set).ok_or_else(wrong)?).members() {
                self.custom.push((custom_name(name), stored(value)?));
            }
        }
        for name in
            delete.map(|delete| params::list(delete).ok_or_else(wrong)).transpose()?.unwrap_or_default()
        {
            self.delete.push(custom_name(&params::text("custom_fields", name)?));
        }
        Ok(())
    }

    /// The change of the user at a place in the call.
    pub(super) fn edit(
        &mut self,
        place: usize,
        user: &Customer,
        calendar: &Calendar<'_>,
    ) -> Result<CustomerEdit, Fault> {
        let nth = |all: &Option<Vec<String>>| all.as_ref().map(|all| multi_str::nth(all, place).to_owned());
        let mut edit = CustomerEdit {
            login: nth(&self.logins),
            password: nth(&self.passwords),
            ..CustomerEdit::default()
        };
        let set = Members(&self.set);
        let mut rates: Vec<(String, Option<String>)> = Vec::new();
        for (name, value) in &self.set {
            let said = || stored(value);
            match *name {
                "group_name" => edit.plan = Some(params::text(name, value)?),
                "isp_name" | "owner_name" => edit.account = Some(params::text(name, value)?),
                "lock" => edit.lock = Some(Some(params::text(name, value)?)),
                "comment" => edit.comments = Some(params::text(name, value)?),
                "multi_login" => {
                    let many = params::int(value).filter(|many| (0..=255).contains(many));
                    let many = many.ok_or_else(|| texts::INVALID_MULTI_LOGIN.plain())?;
                    edit.attributes.push(format!("{MULTI_LOGIN} := {many}"));
                }
                "session_timeout" | "idle_timeout" => {
                    let wrong = if *name == "session_timeout" {
                        texts::INVALID_SESSION_TIMEOUT
                    } else {
                        texts::INVALID_IDLE_TIMEOUT
                    };
                    let seconds =
                        params::int(value).filter(|seconds| (0..=i64::from(i32::MAX)).contains(seconds));
                    edit.attributes.push(format!(
                        "{} := {}",
                        reply(name),
                        seconds.ok_or_else(|| wrong.plain())?
                    ));
                }
                "assign_ip" | "assign_netmask" => {
                    let all = multi_str::values(&params::text(name, value)?)?;
                    let text = multi_str::nth(&all, place).trim().to_owned();
                    let address: std::net::Ipv4Addr =
                        text.parse().map_err(|_| texts::INVALID_IP_ADDRESS.of(&[&text]))?;
                    edit.attributes.push(format!("{} := {address}", reply(name)));
                }
                "assign_route_ip" | "ippool" => {
                    edit.attributes.push(format!("{} := {}", reply(name), line(name, value)?));
                }
                "abs_exp_date" => {
                    let text = params::text(name, value)?;
                    let unit = set.text("abs_exp_date_unit")?.unwrap_or_default();
                    let kind = if unit.eq_ignore_ascii_case("jalali") {
                        DateType::Jalali
                    } else {
                        DateType::Gregorian
                    };
                    let at = calendar
                        .absolute(&text, kind)
                        .map_err(|_| texts::INVALID_ABS_EXP_DATE.of(&[&text]))?;
                    edit.expires = Some(Some(at));
                }
                "rel_exp_date" | "exp_from_first_login" | "exp_from_creation_date" | "exp_from_renew" => {
                    let unit = set.text(&format!("{name}_unit"))?.unwrap_or_else(|| "Days".to_owned());
                    let text = params::text(name, value)?;
                    let rule = ends_after(kind_of(name), duration(&text, &unit)?);
                    edit.ends_after.push((rule.kind, Some(rule)));
                    edit.fields.push((format!("{name}_unit"), Some(unit)));
                }
                "abs_exp_date_unit"
                | "birthdate_unit"
                | "rel_exp_date_unit"
                | "exp_from_first_login_unit"
                | "exp_from_creation_date_unit"
                | "exp_from_renew_unit" => {}
                "first_login" => {
                    let epoch = params::int(value).ok_or_else(|| texts::INVALID_INT_VALUE.of(&[name]))?;
                    edit.first_use = Some((epoch > 0).then_some(UnixTime(epoch)));
                }
                "credit_limit" => {
                    let limit = params::amount(value).filter(|limit| !limit.is_negative());
                    edit.credit_limit = Some(limit.ok_or_else(|| texts::INVALID_FLOAT_VALUE.of(&[name]))?);
                }
                "serial" => edit.serial = Some(Some(line(name, value)?).filter(|text| !text.is_empty())),
                "voip_username" => edit.voip = Some(Some(line(name, value)?).filter(|text| !text.is_empty())),
                // A telephone service has no place to keep a password in, and none that would ask for it.
                "voip_password" => {}
                "limit_mac" => {
                    let all = list_of(name, value)?;
                    for mac in &all {
                        if !is_mac(mac) {
                            return Err(texts::INVALID_MAC_ADDRESS.of(&[mac]));
                        }
                    }
                    edit.macs = Some(all);
                }
                "limit_station_ip" => {
                    let all = list_of(name, value)?;
                    let read =
                        |text: &String| text.parse().map_err(|_| texts::INVALID_IP_ADDRESS.of(&[text]));
                    edit.addresses = Some(all.iter().map(read).collect::<Result<_, _>>()?);
                }
                "limit_caller_id" => {
                    let all = list_of(name, value)?;
                    edit.attributes.extend(bound(CALLER, &all));
                }
                "limit_ras" => {
                    let all = list_of(name, value)?;
                    // Several addresses cannot be said in one row.
                    let [ras] = all.as_slice() else { return Err(texts::INVALID_LIST_VALUE.of(&[name])) };
                    let ras: std::net::IpAddr =
                        ras.parse().map_err(|_| texts::INVALID_IP_ADDRESS.of(&[ras]))?;
                    edit.attributes.push(format!("{NAS_ADDRESS} == {ras}"));
                }
                "radius_attrs" => {
                    let text = params::text(name, value)?;
                    edit.remove.extend(others(user).map(|row| row.attribute.to_string()));
                    for (name, value) in radius_attrs(&text)? {
                        self.radius.push(name.clone());
                        edit.attributes.push(format!("{name} := {value}"));
                        edit.remove.retain(|removed| *removed != name);
                    }
                }
                "mikrotik_bw" => edit.attributes.push(format!("{RATE_LIMIT} := {}", line(name, value)?)),
                name if name.starts_with("mikrotik_bw_") => {
                    rates.push((name.to_owned(), Some(line(name, value)?)))
                }
                name => {
                    if let Some((_, field)) = CONTACT.iter().find(|(known, _)| *known == name) {
                        let text = params::text(name, value)?;
                        edit.contact.push((*field, text));
                        if name == "name" {
                            edit.contact.push((ContactField::Last, String::new()));
                        }
                    } else if let Some((metric, period, limit)) = limit_of(name, value)? {
                        edit.limits.push((metric, period, Some(limit)));
                    } else if !is_derived(name) {
                        edit.fields.push((name.to_owned(), Some(said()?)));
                    }
                }
            }
        }
        edit.fields.extend(self.custom.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        for name in &self.delete {
            self.forget(name, user, &mut edit, &mut rates);
        }
        if !rates.is_empty() {
            let rate = rate_limit(user, &rates);
            if rate.is_empty() {
                edit.remove.push(RATE_LIMIT.to_owned())
            } else {
                edit.attributes.push(format!("{RATE_LIMIT} := {rate}"))
            }
            edit.fields.extend(rates);
        }
        Ok(edit)
    }

    fn forget(
        &self,
        name: &str,
        user: &Customer,
        edit: &mut CustomerEdit,
        rates: &mut Vec<(String, Option<String>)>,
    ) {
        match name {
            "normal_username" | "normal_user_spec" => edit.no_login = edit.login.is_none(),
            "lock" => edit.lock = Some(None),
            "comment" => edit.comments = Some(String::new()),
            "multi_login" => edit.remove.push(MULTI_LOGIN.to_owned()),
            "abs_exp_date" => edit.expires = Some(None),
            "abs_exp_date_unit" => {}
            "first_login" => edit.first_use = Some(None),
            "credit_limit" => edit.credit_limit = Some(crate::domain::Amount::ZERO),
            "serial" => edit.serial = Some(None),
            "voip_username" => edit.voip = Some(None),
            "limit_mac" => edit.macs = Some(Vec::new()),
            "limit_station_ip" => edit.addresses = Some(Vec::new()),
            "limit_caller_id" => edit.remove.push(CALLER.to_owned()),
            "limit_ras" => edit.remove.push(NAS_ADDRESS.to_owned()),
            "radius_attrs" => edit.remove.extend(others(user).map(|row| row.attribute.to_string())),
            "mikrotik_bw" => {
                edit.remove.push(RATE_LIMIT.to_owned());
                rates.extend(
                    RATE.iter()
                        .flatten()
                        .chain(&RATE_LEAST)
                        .chain(&[RATE_PRIORITY])
                        .map(|part| ((*part).to_owned(), None)),
                );
            }
            name if name.starts_with("mikrotik_bw_") => rates.push((name.to_owned(), None)),
            name => {
                if let Some((_, attribute)) = REPLY.iter().find(|(known, _)| *known == name) {
                    edit.remove.push((*attribute).to_owned());
                } else if let Some((_, field)) = CONTACT.iter().find(|(known, _)| *known == name) {
                    edit.contact.push((*field, String::new()));
                    if name == "name" {
                        edit.contact.push((ContactField::Last, String::new()));
                    }
                } else if let Some((_, kind)) = ENDS_AFTER.iter().find(|(known, _)| *known == name) {
                    edit.ends_after.push((*kind, None));
                    edit.fields.push((format!("{name}_unit"), None));
                } else if let Some((_, metric, period)) = LIMITS
                    .iter()
                    .find(|(known, ..)| name == *known || name.strip_suffix("_limit") == Some(known))
                {
                    edit.limits.push((*metric, *period, None));
                    edit.fields.push((name.to_owned(), None));
                } else {
                    edit.fields.push((name.to_owned(), None));
                }
            }
        }
    }
}

struct Members<'a>(&'a [(&'a str, &'a Value)]);

impl Members<'_> {
    fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let found = self.0.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| params::text(name, value)).transpose()
    }
}

fn words(spec: Params<'_>, what: &str, prefix: String) -> Result<RandomWords, Fault> {
    let number = |name: String, otherwise: i64| {
        spec.find(&name).map_or(Ok(otherwise), |value| {
            params::int(value).ok_or_else(|| texts::INVALID_INT_VALUE.of(&[&name]))
        })
    };
    let length = word_length(number(format!("{what}_length"), 8)?)?;
    let letters = match number(format!("{what}_type"), 2)? {
        0 => Letters::Mixed,
        1 => Letters::Letters,
        _ => Letters::Digits,
    };
    Ok(RandomWords { prefix, length, letters })
}

fn word_length(length: i64) -> Result<u8, Fault> {
    let fits = u8::try_from(length).ok().filter(|length| (1..=30).contains(length));
    fits.ok_or_else(|| texts::INVALID_PASSWORD_LENGTH.of(&[&length.to_string()]))
}

/// Names may have letters, digits and `_ . - @ :`.
fn check_login(login: &str) -> Result<(), Fault> {
    let allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-@:".contains(&letter);
    if login.is_empty() || login.len() > 64 || !login.bytes().all(allowed) {
        return Err(texts::BAD_NORMAL_USERNAME.of(&[login]));
    }
    Ok(())
}

fn is_password(password: &str) -> bool {
    !password.is_empty() && password.len() <= 128 && !password.chars().any(char::is_control)
}

/// A text that fits into a row of a table of attributes.
fn line(name: &str, value: &Value) -> Result<String, Fault> {
    let text = params::text(name, value)?;
    if text.chars().any(char::is_control) || text.chars().count() > 253 {
        Err(texts::INVALID_STRING_VALUE.of(&[name]))
    } else {
        Ok(text)
    }
}

/// A custom field as it is called among the attributes.
pub(super) fn custom_name(name: &str) -> String {
    if name.starts_with(CUSTOM) { name.to_owned() } else { format!("{CUSTOM}{name}") }
}

/// A value as it is kept: text as it is, anything else as JSON.
pub(super) fn stored(value: &Value) -> Result<String, Fault> {
    match value {
        Value::List(_) | Value::Map(_) => Ok(json::text_of(value)),
        other => params::text("attrs", other),
    }
}

fn list_of(name: &str, value: &Value) -> Result<Vec<String>, Fault> {
    let all = match value {
        Value::List(_) | Value::Map(_) => {
            let values = params::list(value).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&[name]))?;
            values.into_iter().map(|value| params::text(name, value)).collect::<Result<Vec<_>, _>>()?
        }
        single => multi_str::values(&params::text(name, single)?)?,
    };
    let all: Vec<String> =
        all.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    if all.len() > BOUND_MAX { Err(texts::RANGE_ERROR.plain()) } else { Ok(all) }
}

fn is_mac(text: &str) -> bool {
    let digits: Vec<u8> = text.bytes().filter(|letter| !b":-. ".contains(letter)).collect();
    digits.len() == 12 && digits.iter().all(u8::is_ascii_hexdigit)
}

/// A check row that asks for one of these texts.
fn bound(attribute: &str, texts: &[String]) -> Option<String> {
    match texts {
        [] => None,
        [single] => Some(format!("{attribute} == {single}")),
        several => {
            let escape = |text: &String| {
                text.chars()
                    .flat_map(|letter| {
                        (!letter.is_alphanumeric()).then_some('\\').into_iter().chain([letter])
                    })
                    .collect::<String>()
            };
            let all: Vec<String> = several.iter().map(escape).collect();
            Some(format!("{attribute} =~ ^({})$", all.join("|")))
        }
    }
}

fn reply(name: &str) -> &'static str {
    REPLY.iter().find(|(known, _)| *known == name).map_or("", |(_, attribute)| attribute)
}

fn kind_of(name: &str) -> ExpiryKind {
    ENDS_AFTER.iter().find(|(known, _)| *known == name).map_or(ExpiryKind::AfterFirstUse, |(_, kind)| *kind)
}

fn ends_after(kind: ExpiryKind, seconds: u64) -> EndsAfter {
    let count = |each: u64| i64::try_from(seconds / each).unwrap_or(i64::MAX);
    // Months and years of this dialect are 30 and 365 days.
    if seconds.is_multiple_of(86_400) {
        EndsAfter { kind, value: count(86_400), unit: ExpiryUnit::Days }
    } else {
        EndsAfter { kind, value: count(60), unit: ExpiryUnit::Minutes }
    }
}

fn limit_of(name: &str, value: &Value) -> Result<Option<(Metric, Period, i64)>, Fault> {
    let Some(known) = name.strip_suffix("_limit") else { return Ok(None) };
    let Some((_, metric, period)) = LIMITS.iter().find(|(limit, ..)| *limit == known) else {
        return Ok(None);
    };
    let limit = params::int(value).filter(|limit| *limit >= 0);
    limit.map(|limit| Some((*metric, *period, limit))).ok_or_else(|| texts::INVALID_INT_VALUE.of(&[name]))
}

/// What is told of a user and cannot be set.
fn is_derived(name: &str) -> bool {
    matches!(
        name,
        "user_id"
            | "real_first_login"
            | "charge_rule_usage"
            | "nearest_exp_date"
            | "nearest_exp_date_epoch"
            | "time_to_nearest_exp_date"
            | "last_renew"
    ) || LIMITS
        .iter()
        .any(|(known, ..)| name.strip_prefix(known).is_some_and(|rest| rest == "_usage" || rest == "_reset"))
}

/// `Name="value"` on each line.
fn radius_attrs(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut all = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let wrong = || texts::INVALID_RADIUS_ATTRIBUTE.of(&[line]);
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let name = name.trim().trim_end_matches(':').trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}

/// Reply rows that no attribute of their own stands for.
fn others(user: &Customer) -> impl Iterator<Item = &AttributeRow> {
    user.reply.iter().filter(|row| {
        let known = REPLY.iter().any(|(_, attribute)| row.attribute.eq_ignore_ascii_case(attribute));
        !known && !row.attribute.eq_ignore_ascii_case(RATE_LIMIT) && row.attribute != "Fall-Through"
    })
}

/// The text of a rate as MikroTik reads it: `rx/tx rx/tx rx/tx rx/tx priority rx/tx`, as far as it is known.
fn rate_limit(user: &Customer, changed: &[(String, Option<String>)]) -> String {
    let part = |name: &str| -> Option<String> {
        if let Some((_, value)) = changed.iter().rev().find(|(known, _)| known == name) {
            return value.clone().filter(|value| !value.is_empty());
        }
        user.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string())
    };
    let pair = |[one, other]: [&str; 2], otherwise: &str| {
        let (one, other) = (part(one), part(other));
        let known = one.is_some() || other.is_some();
        (known, format!("{}/{}", one.as_deref().unwrap_or(otherwise), other.as_deref().unwrap_or(otherwise)))
    };
    let mut parts: Vec<(bool, String)> = RATE.iter().map(|names| pair(*names, "0")).collect();
    parts.push((part(RATE_PRIORITY).is_some(), part(RATE_PRIORITY).unwrap_or_else(|| "8".to_owned())));
    parts.push(pair(RATE_LEAST, "0"));
    let last = parts.iter().rposition(|(known, _)| *known);
    let words = parts.into_iter().map(|(_, text)| text);
    last.map_or_else(String::new, |last| words.take(last + 1).collect::<Vec<_>>().join(" "))
}

/// The attributes that are set on a user, those of the document first.
pub(super) fn show(user: &Customer, calendar: &Calendar<'_>) -> Vec<(String, Value)> {
    let mut attrs: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: Value| attrs.push((name.to_owned(), value));
    let check = |name: &str| user.check.iter().find(|row| row.attribute.eq_ignore_ascii_case(name));
    if let Some(row) = check("Cleartext-Password").or_else(|| check("User-Password")) {
        put("normal_password", row.value.as_str().into());
    }
    if let Some(at) = user.real_first_use {
        put("real_first_login", calendar.show(at).into());
    }
    if let Some(login) = &user.login {
        put("normal_username", login.as_str().into());
    }
    if !user.usage.is_empty() {
        put(
            "charge_rule_usage",
            Value::List(user.usage.iter().map(|usage| rule_usage(usage, user)).collect()),
        );
    }
    if let Some(at) = user.first_use {
        put("first_login", calendar.show(at).into());
    }
    if let Some(at) = user.ends {
        put("nearest_exp_date", calendar.show(at).into());
        put("nearest_exp_date_epoch", Value::Int(at.0));
        put("time_to_nearest_exp_date", Value::Int(at.0.saturating_sub(calendar.now.0)));
    }
    if let Some(at) = user.expires {
        put("abs_exp_date", calendar.show(at).into());
        put(
            "abs_exp_date_unit",
            if calendar.kind == DateType::Jalali { "jalali" } else { "gregorian" }.into(),
        );
    }
    for (name, kind) in ENDS_AFTER {
        let own = user.rules.iter().find(|rule| rule.plan.is_none() && rule.kind == kind.as_str());
        let unit = user.fields.iter().find(|(known, _)| known.strip_suffix("_unit") == Some(name));
        let Some((rule, (_, unit))) = own.zip(unit) else { continue };
        let seconds = seconds_of(rule.value, &rule.unit);
        let (count, unit) = match duration("1", unit) {
            Ok(each) if each > 0 && seconds.is_multiple_of(each) => (seconds / each, unit.as_str()),
            _ => shown_duration(seconds),
        };
        put(name, Value::count(count));
        put(&format!("{name}_unit"), unit.into());
    }
    if let Some(at) = user.renewed {
        put("last_renew", at.0.to_string().into());
    }
    if user.status != SubscriberStatus::Active {
        let reason = if user.status == SubscriberStatus::Suspended {
            user.status_reason.as_str()
        } else {
            user.status.as_str()
        };
        put("lock", reason.into());
    }
    if let Some(row) = check(MULTI_LOGIN) {
        put("multi_login", row.value.as_str().into());
    }
    for (name, attribute) in REPLY {
        if let Some(row) = user.reply.iter().rev().find(|row| row.attribute.eq_ignore_ascii_case(attribute)) {
            put(name, row.value.as_str().into());
        }
    }
    if let Some(row) = user.reply.iter().rev().find(|row| row.attribute.eq_ignore_ascii_case(RATE_LIMIT)) {
        put("mikrotik_bw", row.value.as_str().into());
    }
    let other: Vec<String> = others(user).map(|row| format!("{}=\"{}\"", row.attribute, row.value)).collect();
    if !other.is_empty() {
        put("radius_attrs", other.join("\n").into());
    }
    let devices = |part: fn(&crate::domain::DeviceRow) -> &str| {
        let all: Vec<&str> = user
            .devices
            .iter()
            .filter(|device| device.source == "static")
            .map(part)
            .filter(|text| !text.is_empty())
            .collect();
        (!all.is_empty()).then(|| all.join(","))
    };
    if let Some(macs) = devices(|device| &device.mac) {
        put("limit_mac", macs.into());
    }
    if let Some(addresses) = devices(|device| &device.ip) {
        put("limit_station_ip", addresses.into());
    }
    if let Some(row) = check(CALLER) {
        put("limit_caller_id", row.value.as_str().into());
    }
    if let Some(row) = check(NAS_ADDRESS) {
        put("limit_ras", row.value.as_str().into());
    }
    if !user.credit_limit.is_zero() {
        put("credit_limit", numbers::credit_text(user.credit_limit).into());
    }
    let name = user.contact.full_name();
    if !name.is_empty() {
        put("name", name.into());
    }
    for (name, field) in CONTACT.iter().skip(1) {
        if let Some(text) = user.contact.get(*field) {
            put(name, text.into());
        }
    }
    if !user.comments.is_empty() {
        put("comment", user.comments.as_str().into());
    }
    if let Some(serial) = &user.serial {
        put("serial", serial.as_str().into());
    }
    if let Some(voip) = &user.voip {
        put("voip_username", voip.as_str().into());
    }
    for limit in &user.limits {
        let known =
            LIMITS.iter().find(|(_, metric, period)| *metric == limit.metric && *period == limit.period);
        if let Some((name, ..)) = known {
            put(&format!("{name}_limit"), limit.limit.to_string().into());
            if let Some((used, anew)) = limit.used {
                put(&format!("{name}_usage"), Value::count_text(used));
                put(&format!("{name}_reset"), calendar.show(anew).into());
            }
        }
    }
    for (name, value) in &user.fields {
        if !ENDS_AFTER.iter().any(|(known, _)| name.strip_suffix("_unit") == Some(known)) {
            put(name, value.as_str().into());
        }
    }
    attrs
}

fn seconds_of(value: i64, unit: &str) -> u64 {
    let each = match ExpiryUnit::parse(unit) {
        Some(ExpiryUnit::Minutes) | None => 60,
        Some(ExpiryUnit::Hours) => 3_600,
        Some(ExpiryUnit::Days) => 86_400,
        Some(ExpiryUnit::Months) => 30 * 86_400,
        Some(ExpiryUnit::Years) => 365 * 86_400,
    };
    u64::try_from(value).unwrap_or(0).saturating_mul(each)
}

/// `[rule id, name, credit, seconds, octets]`.
fn rule_usage(usage: &RuleUsage, user: &Customer) -> Value {
    // The rule of the plan's own figures has no name but the plan's.
    let plan = user.plan.as_ref().map_or("", |(_, name)| name.as_str());
    let name = if usage.name.is_empty() { plan } else { usage.name.as_str() };
    Value::List(vec![
        Value::Int(usage.rule),
        name.into(),
        numbers::credit_text(usage.credit).into(),
        Value::count_text(usage.seconds),
        Value::count_text(usage.octets),
    ])
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::{Amount, ExpiryRow};

    static UTC: TimeZone = TimeZone::UTC;

    fn calendar() -> Calendar<'static> {
        Calendar { kind: DateType::Gregorian, zone: &UTC, now: UnixTime(1_539_511_474) }
    }

    fn edits(params: &str, users: usize) -> Result<Vec<CustomerEdit>, String> {
        let value: Value = serde_json::from_str(params).unwrap();
        let mut wanted = Wanted::read(Params::new(&value), users).map_err(|fault| fault.to_string())?;
        (0..users)
            .map(|place| {
                wanted.edit(place, &Customer::default(), &calendar()).map_err(|fault| fault.to_string())
            })
            .collect()
    }

    fn attrs(attrs: &str) -> Result<CustomerEdit, String> {
        edits(&format!(r#"{{"attrs": {attrs}, "to_del_attrs": []}}"#), 1).map(|mut edits| edits.remove(0))
    }

    #[test]
    fn the_request_of_the_document_sets_a_login_and_a_password() {
        let edit = attrs(
            r#"{"normal_user_spec": {"normal_username": "sample-user", "normal_password": "passw00rd"}}"#,
        )
        .unwrap();
        assert_eq!(
            (edit.login.as_deref(), edit.password.as_deref()),
            (Some("sample-user"), Some("passw00rd"))
        );
        // The prose has them beside the attributes.
        let flat =
            edits(r#"{"normal_username": "a", "normal_password": "b", "attrs": {}, "to_del_attrs": []}"#, 1)
                .unwrap();
        assert_eq!(flat[0].login.as_deref(), Some("a"));
        assert_eq!(flat[0].password.as_deref(), Some("b"));
        let old = attrs(r#"{"normal_username": "a", "normal_password": "b", "normal_save_usernames": true}"#)
            .unwrap();
        assert_eq!((old.login.as_deref(), old.password.as_deref()), (Some("a"), Some("b")));
    }

    #[test]
    fn several_users_get_a_name_each() {
        let edits = edits(
            r#"{"attrs": {"normal_user_spec": {"normal_username": "u{1-3}", "normal_password": "x,y"}}, "to_del_attrs": {}}"#,
            3,
        );
        let edits = edits.unwrap();
        let names: Vec<_> = edits
            .iter()
            .map(|edit| (edit.login.as_deref().unwrap(), edit.password.as_deref().unwrap()))
            .collect();
        assert_eq!(names, [("u1", "x"), ("u2", "y"), ("u3", "y")]);
    }

    #[test]
    fn what_cannot_be_has_its_error() {
        let told = |text: &str| attrs(text).unwrap_err();
        let spec = |login: &str| {
            format!(r#"{{"normal_user_spec": {{"normal_username": "{login}", "normal_password": "x"}}}}"#)
        };
        assert_eq!(told(&spec("a b")), "BAD_NORMAL_USERNAME|Bad characters in username a b");
        assert!(told(&spec("a,b")).starts_with("NORMAL_USER_COUNT_NOT_MATCH|"));
        assert_eq!(told(r#"{"multi_login": 256}"#), "INVALID_MULTI_LOGIN|Invalid Multi Login Value");
        assert_eq!(
            told(r#"{"session_timeout": "x"}"#),
            "INVALID_SESSION_TIMEOUT|Session Timeout Value is invalid"
        );
        assert_eq!(told(r#"{"idle_timeout": -1}"#), "INVALID_IDLE_TIMEOUT|Idle Timeout Value is invalid");
        assert_eq!(told(r#"{"assign_ip": "1.2.3"}"#), "INVALID_IP_ADDRESS|Invalid IP Address 1.2.3");
        assert_eq!(told(r#"{"limit_mac": "xx"}"#), "INVALID_MAC_ADDRESS|Mac Address xx is invalid");
        assert_eq!(
            told(r#"{"abs_exp_date": "2018-02-30"}"#),
            "INVALID_ABS_EXP_DATE|Absolute Expiration Date is Invalid: 2018-02-30"
        );
        assert_eq!(
            told(r#"{"rel_exp_date": "21", "rel_exp_date_unit": "Years"}"#),
            "INVALID_REL_EXP_DATE|Relative Expiration Date is Invalid"
        );
        assert_eq!(
            told(r#"{"radius_attrs": "nothing"}"#),
            "INVALID_RADIUS_ATTRIBUTE|Radius Attributes nothing is not in radius dictionary"
        );
        assert!(edits(r#"{"to_del_attrs": []}"#, 1).unwrap_err().contains("argument attrs not found"));
    }

    #[test]
    fn what_is_missing_is_made_up() {
        let value: Value = serde_json::from_str(
            r#"{"attrs": {"normal_user_spec": {"normal_username_random_prefix": "net", "normal_username_random_length": "6", "normal_username_random_type": 1}}, "to_del_attrs": []}"#,
        )
        .unwrap();
        let wanted = Wanted::read(Params::new(&value), 1).unwrap();
        let logins = wanted.made_up.logins.unwrap();
        assert_eq!((logins.prefix.as_str(), logins.length, logins.letters), ("net", 6, Letters::Letters));
        let passwords = wanted.made_up.passwords.unwrap();
        assert_eq!((passwords.length, passwords.letters), (8, Letters::Digits));
    }

    #[test]
    fn attributes_go_where_every_dialect_finds_them() {
        let edit = attrs(
            r#"{"multi_login": "2", "session_timeout": 3600, "assign_ip": "10.0.0.9", "lock": "unpaid", "name": "Ali", "phone": "021", "comment": "c",
                "rel_exp_date": 1, "rel_exp_date_unit": "Months", "traffic_periodic_accounting_daily_limit": "1000", "mikrotik_bw_send_rate": "2M",
                "mikrotik_bw_recv_rate": "512k", "auto_renew": true, "custom_fields": [{"custom_field_father": "x"}, ["custom_field_old"]], "radius_attrs": "Framed-MTU=\"1400\"",
                "abs_exp_date": "1397-07-22", "abs_exp_date_unit": "jalali", "limit_caller_id": "a.b,c"}"#,
        )
        .unwrap();
        assert_eq!(
            edit.attributes,
            [
                "Simultaneous-Use := 2",
                "Session-Timeout := 3600",
                "Framed-IP-Address := 10.0.0.9",
                "Framed-MTU := 1400",
                "Calling-Station-Id =~ ^(a\\.b|c)$",
                "Mikrotik-Rate-Limit := 512k/2M"
            ]
        );
        assert_eq!(edit.lock, Some(Some("unpaid".into())));
        assert_eq!(
            edit.ends_after[0].1,
            Some(EndsAfter { kind: ExpiryKind::AfterFirstUse, value: 30, unit: ExpiryUnit::Days })
        );
        assert_eq!(edit.limits, [(Metric::Total, Period::Daily, Some(1000))]);
        assert_eq!(edit.expires, Some(Some(UnixTime(1_539_475_200))));
        assert!(edit.fields.contains(&("auto_renew".into(), Some("True".into()))));
        assert!(edit.fields.contains(&("custom_field_father".into(), Some("x".into()))));
        assert!(edit.fields.contains(&("custom_field_old".into(), None)));
    }

    #[test]
    fn a_user_is_shown_as_in_the_document() {
        let row = |attribute: &str, value: &str| AttributeRow {
            id: 1,
            attribute: attribute.into(),
            op: ":=".into(),
            value: value.into(),
        };
        let user = Customer {
            login: Some("sample-user".into()),
            real_first_use: Some(UnixTime(1_539_515_962)),
            first_use: Some(UnixTime(1_539_516_572)),
            check: vec![row("Cleartext-Password", "passw00rd")],
            usage: vec![RuleUsage {
                rule: 6,
                name: "charge2".into(),
                credit: Amount::parse("0.008222579956054688").unwrap(),
                seconds: 248,
                octets: 10_962,
            }],
            ..Customer::default()
        };
        let shown = json::text_of(&Value::Map(show(&user, &calendar())));
        assert_eq!(
            shown,
            r#"{"normal_password": "passw00rd", "real_first_login": "2018-10-14 11:19:22", "normal_username": "sample-user", "charge_rule_usage": [[6, "charge2", "0.00822257995605", "248", "10962"]], "first_login": "2018-10-14 11:29:32"}"#
        );
        let rule =
            ExpiryRow { id: 1, plan: None, kind: "after_first_use".into(), value: 60, unit: "days".into() };
        let user = Customer {
            rules: vec![rule],
            fields: vec![("rel_exp_date_unit".into(), "Months".into())],
            ..Customer::default()
        };
        assert_eq!(
            json::text_of(&Value::Map(show(&user, &calendar()))),
            r#"{"rel_exp_date": 2, "rel_exp_date_unit": "Months"}"#
        );
    }
}
