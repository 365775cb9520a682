//! Answers in the shapes of IBSng: objects in the order of the samples, arrays by position.

use std::net::IpAddr;

use super::attrs;
use super::dates::Calendar;
use super::numbers;
use super::value::Value;
use crate::domain::customer::{Connection, CreditMove, Customer, OnlineSession, ServiceState};
use crate::domain::{Amount, ChargePart};

/// The words of packages' states.
pub(super) const STATES: [(ServiceState, &str); 3] = [
    (ServiceState::Package, "Package"),
    (ServiceState::Recharged, "Recharged"),
    (ServiceState::TemporaryExtended, "Temporary Extended"),
];

fn state(state: ServiceState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("Package", |(_, word)| word)
}

/// What is known of a user.
pub(super) fn user_info(user: &Customer, calendar: &Calendar<'_>) -> Value {
    let (group_id, group_name) = user.plan.as_ref().map_or((0, ""), |(id, name)| (*id, name.as_str()));
    let name = user.login.as_ref().map_or_else(|| format!("User ID {}", user.id), ToString::to_string);
    Value::map([
        ("online_status", (!user.online.is_empty()).into()),
        (
            "basic_info",
            Value::map([
                ("status", state(user.state).into()),
                ("group_name", group_name.into()),
                ("isp_name", user.account.1.as_str().into()),
                ("creation_date", calendar.show(user.created).into()),
                ("recharge_deposit", numbers::credit(user.recharge_deposit)),
                ("user_id", user.id.into()),
                ("nearest_exp_date", calendar.show_maybe(user.ends).into()),
                ("credit", numbers::credit(user.credit)),
                ("deposit", numbers::credit(user.deposit)),
                ("isp_id", user.account.0.into()),
                ("group_id", group_id.into()),
            ]),
        ),
        ("user_repr", name.into()),
        ("attrs", Value::Map(attrs::show(user, calendar))),
        ("voip_onlines", Value::List(Vec::new())),
        (
            "internet_onlines",
            Value::List(user.online.iter().map(|session| online(session, calendar)).collect()),
        ),
    ])
}

/// Accounting has not failed and the user is not idle.
const FINE: i64 = 0;

/// An open session by position: nineteen, as in the document.
fn online(session: &OnlineSession, calendar: &Calendar<'_>) -> Value {
    let (_, unique) = unique(&session.port, &session.session_id);
    let [rate_in, rate_out] = rates(session);
    Value::List(vec![
        session.nas.as_str().into(),
        session.nas_name.as_str().into(),
        unique.into(),
        calendar.show(session.started).into(),
        session.address.as_str().into(),
        Value::Int(FINE),
        "0".into(),
        mac(&session.station).unwrap_or_default().into(),
        session.port.as_str().into(),
        Value::count_text(session.output),
        Value::count_text(session.input),
        Value::count_text(rate_in),
        Value::count_text(rate_out),
        SUB_SERVICE.into(),
        "".into(),
        "".into(),
        "".into(),
        "".into(),
        true.into(),
    ])
}

/// The one kind of service that is told apart here.
const SUB_SERVICE: &str = "Master";

/// Octets a second to the user and from it, since the session began.
fn rates(session: &OnlineSession) -> [u64; 2] {
    let seconds = session.updated.since(session.started).max(1);
    [session.output / seconds, session.input / seconds]
}

/// The attribute that tells sessions of a NAS apart, and its value.
pub(super) fn unique<'a>(port: &'a str, session_id: &'a str) -> (&'static str, &'a str) {
    if port.is_empty() { ("acct_session_id", session_id) } else { ("nas_port", port) }
}

/// A Calling-Station-Id that is a MAC address, as `AA:BB:CC:DD:EE:FF`.
pub(super) fn mac(station: &str) -> Option<String> {
    let digits: Vec<char> = station.chars().filter(|letter| !":-.".contains(*letter)).collect();
    if digits.len() != 12 || !digits.iter().all(char::is_ascii_hexdigit) {
        return None;
    }
    let pairs: Vec<String> =
        digits.chunks(2).map(|pair| pair.iter().collect::<String>().to_uppercase()).collect();
    Some(pairs.join(":"))
}

fn is_address(station: &str) -> bool {
    station.parse::<IpAddr>().is_ok()
}

/// A Calling-Station-Id that is neither a MAC address nor an address.
fn caller(station: &str) -> &str {
    if mac(station).is_some() || is_address(station) { "" } else { station }
}

/// An online user of `report.getOnlineUsers`.
pub(super) fn online_user(
    session: &OnlineSession,
    user: Option<&Customer>,
    calendar: &Calendar<'_>,
) -> Value {
    let (unique_id, unique_value) = unique(&session.port, &session.session_id);
    let [rate_in, rate_out] = rates(session);
    let nobody = Customer::default();
    let user = user.unwrap_or(&nobody);
    let group = user.plan.as_ref().map_or("", |(_, name)| name.as_str());
    let station_ip = if is_address(&session.station) { session.station.as_str() } else { "" };
    let mut members = vec![
        ("user_id", Value::Int(session.subscriber)),
        ("service", "Internet".into()),
        ("ras_ip", session.nas.as_str().into()),
        ("ras_description", session.nas_name.as_str().into()),
        ("unique_id", unique_id.into()),
        ("unique_id_val", unique_value.into()),
        ("login_time", calendar.show(session.started).into()),
        ("login_time_epoch", Value::Int(session.started.0)),
        ("duration_secs", Value::count(calendar.now.since(session.started))),
        (
            "attrs",
            Value::map([
                ("remote_ip", session.address.as_str().into()),
                ("mac", mac(&session.station).unwrap_or_default().into()),
                ("station_ip", station_ip.into()),
                ("caller_id", caller(&session.station).into()),
                ("in_bytes", Value::count_text(session.output)),
                ("out_bytes", Value::count_text(session.input)),
                ("in_rate", Value::count_text(rate_in)),
                ("out_rate", Value::count_text(rate_out)),
                ("normal_username", session.login.as_str().into()),
            ]),
        ),
        ("isp_id", Value::Int(user.account.0)),
        ("isp_name", user.account.1.as_str().into()),
        ("current_credit", numbers::credit(user.credit)),
        ("group_name", group.into()),
        ("normal_username", session.login.as_str().into()),
    ];
    let name = user.contact.full_name();
    if !name.is_empty() {
        members.push(("name", name.into()));
    }
    if !group.is_empty() {
        members.push(("charge_name", group.into()));
    }
    Value::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A row of `report.getConnections`; a user sees less of its own.
pub(super) fn connection(row: &Connection, calendar: &Calendar<'_>, own: bool) -> Value {
    let (unique_id, unique_value) = unique(&row.port, &row.session_id);
    let (group_id, group_name) = row.plan.as_ref().map_or((0, ""), |(id, name)| (*id, name.as_str()));
    let mac = mac(&row.station).unwrap_or_default();
    let station_ip = if is_address(&row.station) { row.station.as_str() } else { "" };
    let pair = |name: &str, value: &str| Value::List(vec![name.into(), value.into()]);
    let mut details = Vec::new();
    if !own {
        details.push(pair("terminate_cause", if row.refused { "" } else { &row.cause }));
    }
    details.push(pair("station_ip", station_ip));
    if !own {
        details.push(pair("pppoe_service", &row.called));
        details.push(pair("nas_port_type", &row.port_type));
        details.push(pair("ippool_assigned_ip", &row.address));
        details.push(pair("nas_port", &row.port));
    }
    if !mac.is_empty() {
        details.push(pair("mac", &mac));
    }
    if row.refused {
        details.push(pair("kill_reason", &row.cause));
    }
    let plan = group_name;
    let rules = row.parts.iter().map(|part| rule_details(part, plan, calendar)).collect();
    let mut members = vec![
        ("sub_service_name", SUB_SERVICE.into()),
        ("logout_time_formatted", calendar.show(row.ended).into()),
        ("caller_id", caller(&row.station).into()),
        ("group_name", group_name.into()),
        ("remote_ip", row.address.as_str().into()),
        ("user_id", Value::Int(row.customer)),
        ("bytes_in", Value::count_text(row.output)),
        ("sub_service_charging", "".into()),
        ("login_time_formatted", calendar.show(row.began).into()),
        ("charge_rule_details", Value::List(rules)),
        ("details", Value::List(details)),
        ("ras_description", row.nas_name.as_str().into()),
        ("service_type", "Internet".into()),
        ("username", row.login.as_str().into()),
        ("successful", if row.refused { "f" } else { "t" }.into()),
        ("bytes_out", Value::count_text(row.input)),
        ("before_credit", numbers::credit(row.before)),
        ("sub_service_qos", "".into()),
        ("connection_log_id", Value::Int(row.id)),
        ("credit_used", numbers::credit_places(row.cost, COST_PLACES)),
        ("retry_count", Value::count(row.tries)),
        ("duration_seconds", Value::count(row.seconds)),
        ("unique_id_value", unique_value.into()),
        ("group_id", Value::Int(group_id)),
        ("unique_id", unique_id.into()),
        ("mac", mac.into()),
        ("ras_ip", row.nas.as_str().into()),
    ];
    if row.refused {
        members.push(("kill_reason", row.cause.as_str().into()));
    }
    Value::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Places after the point of what a connection cost.
const COST_PLACES: usize = 4;

/// `[rule, start, end, in before, in, out before, out]`.
fn rule_details(part: &ChargePart, plan: &str, calendar: &Calendar<'_>) -> Value {
    let name = if part.name.is_empty() { plan } else { part.name.as_str() };
    Value::List(vec![
        name.into(),
        calendar.show(part.start).into(),
        calendar.show(part.end).into(),
        Value::count_text(part.before.output),
        Value::count_text(part.used.output),
        Value::count_text(part.before.input),
        Value::count_text(part.used.input),
    ])
}

/// Actions of credit changes: number and name of IBSng, and the word of the ledger.
pub(super) const ACTIONS: [(&str, &str); 17] = [
    ("ADD_USER", "ADD_USER"),
    ("CHANGE_CREDIT", "CHANGE_CREDIT"),
    ("DEL_USER", "DEL_USER"),
    ("RELATIVE_PERIODIC_CHANGE_CREDIT", "RELATIVE_PERIODIC"),
    ("ABSOLUTE_PERIODIC_CHANGE_CREDIT", "ABSOLUTE_PERIODIC"),
    ("RENEW_TRASH_REMAINING", "RENEW_TRASH"),
    ("RENEW", "RENEW"),
    ("CREDIT_TRANSFER", "TRANSFER"),
    ("RECEIVE_CREDIT_TRANSFER", "RECEIVE"),
    ("ONLINE_PAYMENT", "ONLINE_PAYMENT"),
    ("AUTO_RENEW", "AUTO_RENEW"),
    ("RECHARGE", "RECHARGE"),
    ("AUTO_RECHARGE", "AUTO_RECHARGE"),
    ("TEMPORARY_EXTEND", "TEMP_EXTEND"),
    ("TEMPORARY_EXTEND_TRASH_REMAINING", "TEMP_EXTEND_TRASH"),
    ("EXTRA_CHARGE", "EXTRA_CHARGE"),
    ("VOUCHER", "VOUCHER"),
];
/// What a movement is called that IBSng does not know.
const OTHER_ACTION: usize = 1;

/// A row of `report.getCreditChanges`; a user sees less of its own.
pub(super) fn credit_change(row: &CreditMove, calendar: &Calendar<'_>, own: bool) -> Value {
    let number = ACTIONS.iter().position(|(_, word)| *word == row.action).unwrap_or(OTHER_ACTION);
    let name = ACTIONS.get(number).map_or("", |(name, _)| *name);
    let gregorian = Calendar { kind: super::dates::DateType::Gregorian, ..*calendar };
    let delta = numbers::credit(row.delta);
    let mut members = vec![
        ("action", Value::count(u64::try_from(number).unwrap_or(0))),
        ("action_text", name.into()),
        ("change_time", gregorian.show(row.at).into()),
        ("change_time_formatted", calendar.show(row.at).into()),
        ("credit_change_id", Value::Int(row.id)),
        ("isp_id", Value::Int(row.account.0)),
        ("isp_name", row.account.1.as_str().into()),
        ("per_user_credit", delta.clone()),
        ("transaction_id", Value::Int(row.id)),
    ];
    if !own {
        members.extend([
            ("admin_id", Value::Int(row.actor_id)),
            ("admin_name", row.actor.as_str().into()),
            ("comment", row.comment.as_str().into()),
            ("isp_credit", numbers::credit(Amount::ZERO)),
            ("remote_addr", row.remote.as_str().into()),
            ("user_ids", Value::List(vec![Value::List(vec![Value::Int(row.customer), delta])])),
        ]);
    }
    members.sort_by_key(|(name, _)| *name);
    Value::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::dates::DateType;
    use super::super::json::text_of;
    use super::*;
    use crate::domain::{Price, Usage};
    use crate::time::UnixTime;

    static UTC: TimeZone = TimeZone::UTC;

    fn calendar() -> Calendar<'static> {
        Calendar { kind: DateType::Gregorian, zone: &UTC, now: UnixTime(1_539_516_026) }
    }

    #[test]
    fn a_new_user_is_that_of_the_document() {
        let user = Customer {
            id: 12,
            login: Some("sample-user".into()),
            account: (0, "Main".into()),
            plan: Some((2, "sample-group".into())),
            created: UnixTime(1_539_512_340),
            ..Customer::default()
        };
        assert_eq!(
            text_of(&user_info(&user, &calendar())),
            r#"{"online_status": false, "basic_info": {"status": "Package", "group_name": "sample-group", "isp_name": "Main", "creation_date": "2018-10-14 10:19:00", "recharge_deposit": 0, "user_id": 12, "nearest_exp_date": "", "credit": 0, "deposit": 0, "isp_id": 0, "group_id": 2}, "user_repr": "sample-user", "attrs": {"normal_username": "sample-user"}, "voip_onlines": [], "internet_onlines": []}"#
        );
        let nameless = Customer { id: 13, ..Customer::default() };
        assert_eq!(user_info(&nameless, &calendar()).get("user_repr"), Some(&"User ID 13".into()));
    }

    #[test]
    fn an_open_session_has_the_nineteen_places_of_the_document() {
        let session = OnlineSession {
            nas: "172.17.109.146".into(),
            nas_name: "ras1".into(),
            port: "15728641".into(),
            started: UnixTime(1_539_515_966),
            updated: UnixTime(1_539_516_026),
            address: "192.168.1.20".into(),
            output: 1_468,
            input: 7_154,
            ..OnlineSession::default()
        };
        assert_eq!(
            text_of(&online(&session, &calendar())),
            r#"["172.17.109.146", "ras1", "15728641", "2018-10-14 11:19:26", "192.168.1.20", 0, "0", "", "15728641", "1468", "7154", "24", "119", "Master", "", "", "", "", true]"#
        );
    }

    #[test]
    fn a_connection_is_that_of_the_document() {
        let part = ChargePart {
            rule: 6,
            name: "charge2".into(),
            price: Price::default(),
            start: UnixTime(1_539_515_966),
            end: UnixTime(1_539_516_214),
            before: Usage::default(),
            used: Usage { seconds: 248, input: 9_080, output: 1_882 },
        };
        let row = Connection {
            id: 126,
            customer: 12,
            login: "sample-user".into(),
            plan: Some((2, "sample-group".into())),
            began: UnixTime(1_539_515_963),
            ended: UnixTime(1_539_516_214),
            seconds: 251,
            input: 9_080,
            output: 1_882,
            nas: "172.17.109.146".into(),
            nas_name: "ras1".into(),
            port: "15728641".into(),
            port_type: "Virtual".into(),
            called: "172.17.109.146".into(),
            station: "172.17.109.41".into(),
            address: "192.168.1.20".into(),
            cause: "NAS-Request".into(),
            before: Amount::whole(1_000),
            cost: Amount::parse("0.0097").unwrap(),
            parts: vec![part],
            tries: 1,
            ..Connection::default()
        };
        assert_eq!(
            text_of(&connection(&row, &calendar(), false)),
            r#"{"sub_service_name": "Master", "logout_time_formatted": "2018-10-14 11:23:34", "caller_id": "", "group_name": "sample-group", "remote_ip": "192.168.1.20", "user_id": 12, "bytes_in": "1882", "sub_service_charging": "", "login_time_formatted": "2018-10-14 11:19:23", "charge_rule_details": [["charge2", "2018-10-14 11:19:26", "2018-10-14 11:23:34", "0", "1882", "0", "9080"]], "details": [["terminate_cause", "NAS-Request"], ["station_ip", "172.17.109.41"], ["pppoe_service", "172.17.109.146"], ["nas_port_type", "Virtual"], ["ippool_assigned_ip", "192.168.1.20"], ["nas_port", "15728641"]], "ras_description": "ras1", "service_type": "Internet", "username": "sample-user", "successful": "t", "bytes_out": "9080", "before_credit": 1000, "sub_service_qos": "", "connection_log_id": 126, "credit_used": 0.0097, "retry_count": 1, "duration_seconds": 251, "unique_id_value": "15728641", "group_id": 2, "unique_id": "nas_port", "mac": "", "ras_ip": "172.17.109.146"}"#
        );
    }

    #[test]
    fn stations_are_told_apart() {
        assert_eq!(mac("02-00-5e-00-00-01").as_deref(), Some("02:00:5E:00:00:01"));
        assert_eq!((mac("10.0.0.1"), caller("10.0.0.1"), caller("0215551234")), (None, "", "0215551234"));
    }
}
