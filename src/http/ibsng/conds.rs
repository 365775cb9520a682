//! Conditions of searches and reports. A condition that nobody knows is passed over, as is an empty one.

use super::dates::Calendar;
use super::fault::{Fault, Text, texts};
use super::multi_str;
use super::params::{self, Params};
use super::shapes;
use super::value::Value;
use crate::domain::customer::{
    Comparison, ConnectionFilter, ConnectionOrder, CreditMoveFilter, CustomerFilter, CustomerOrder,
    TextMatch, Window,
};
use crate::domain::report::Span;
use crate::domain::{Amount, ContactField};
use crate::time::UnixTime;

/// Names of one condition: each is a value of a query.
const NAMES_MAX: usize = 1_000;
/// Patterns of logins, and conditions about custom fields: each is looked for by itself.
const PATTERNS_MAX: usize = 100;

/// Conditions of one call.
#[derive(Clone, Copy)]
pub(super) struct Conds<'a> {
    conds: Params<'a>,
    calendar: &'a Calendar<'a>,
}

/// The rows that are wanted: `from`, `to` and `desc`; no more than `most`.
pub(super) fn window(params: Params<'_>, most: u32) -> Result<Window, Fault> {
    let number = |name: &str, wrong: Text| {
        let value = params.get(name)?;
        let number = params::int(value).and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| wrong.of(&[&params::text(name, value).unwrap_or_default()]))
    };
    let from = number("from", texts::FROM_VALUE_INVALID)?;
    let to = number("to", texts::TO_VALUE_INVALID)?;
    if from > to {
        return Err(texts::TO_VALUE_INVALID.of(&[&to.to_string()]));
    }
    let descending = params.boolean("desc")?;
    Ok(Window { from, to: to.min(from.saturating_add(most)), descending })
}

impl<'a> Conds<'a> {
    /// The conditions of a call.
    pub(super) fn new(params: Params<'a>, calendar: &'a Calendar<'a>) -> Result<Self, Fault> {
        Ok(Self { conds: params.map("conds")?, calendar })
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        let empty = |value: &Value| matches!(value, Value::Text(text) if text.is_empty());
        self.conds.find(name).filter(|value| !empty(value))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        self.find(name).map(|value| params::text(name, value)).transpose()
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        if self.find(name).is_none() {
            return Ok(Vec::new());
        }
        let texts = self.conds.texts(name)?.unwrap_or_default();
        if texts.len() > NAMES_MAX { Err(texts::RANGE_ERROR.plain()) } else { Ok(texts) }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.find(name).map(params::boolean).transpose()
    }

    fn ids(&self, names: &[&str]) -> Result<Option<Vec<i64>>, Fault> {
        let Some((name, value)) = names.iter().find_map(|name| Some((*name, self.find(name)?))) else {
            return Ok(None);
        };
        let texts = match value {
            Value::List(_) | Value::Map(_) => self.conds.texts(name)?.unwrap_or_default(),
            single => multi_str::values(&params::text(name, single)?)?,
        };
        if texts.len() > multi_str::VALUES_MAX {
            return Err(texts::RANGE_ERROR.plain());
        }
        let read = |text: &String| text.trim().parse().map_err(|_| texts::INVALID_USER_ID.of(&[text]));
        texts.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    fn time(&self, name: &str) -> Result<Option<UnixTime>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let unit = self.text(&format!("{name}_unit"))?.unwrap_or_default();
        self.calendar.read(&text, &unit).map(Some)
    }

    fn span(&self, name: &str) -> Result<Span, Fault> {
        Ok(Span { from: self.time(&format!("{name}_from"))?, until: self.time(&format!("{name}_to"))? })
    }

    fn comparison(&self, name: &str) -> Result<Comparison, Fault> {
        let sign = self.text(&format!("{name}_op"))?.unwrap_or_else(|| "=".to_owned());
        Comparison::parse(&sign).ok_or_else(|| texts::INVALID_OPERATOR.of(&[&sign]))
    }

    fn amount(&self, name: &str) -> Result<Option<(Comparison, Amount)>, Fault> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let amount = params::amount(value).ok_or_else(|| texts::INVALID_FLOAT_VALUE.of(&[name]))?;
        Ok(Some((self.comparison(name)?, amount)))
    }

    fn number(&self, name: &str) -> Result<Option<(Comparison, i64)>, Fault> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let number = params::int(value).ok_or_else(|| texts::INVALID_INT_VALUE.of(&[name]))?;
        Ok(Some((self.comparison(name)?, number)))
    }

    fn matching(&self, name: &str) -> Result<TextMatch, Fault> {
        let word = self.text(&format!("{name}_op"))?.unwrap_or_else(|| "equals".to_owned());
        Ok(match word.as_str() {
            "equals" | "=" => TextMatch::Equal,
            "like" => TextMatch::Within,
            "ilike" => TextMatch::WithinAnyCase,
            "starts_with" => TextMatch::Prefix,
            "ends_with" => TextMatch::Suffix,
            _ => return Err(texts::INVALID_OPERATOR.of(&[&word])),
        })
    }

    /// Whether totals of credit and of octets are asked for.
    pub(super) fn totals(&self) -> Result<[bool; 2], Fault> {
        let on = |name: &str| Ok::<_, Fault>(self.flag(name)?.unwrap_or(false));
        Ok([on("show_total_credit_used")?, on("show_total_inouts")?])
    }

    /// The login whose connections are wanted, whatever it was called then.
    pub(super) fn follows(&self) -> Result<Option<String>, Fault> {
        Ok(match self.text("username")? {
            Some(name) => Some(name),
            None => self.text("normal_username")?,
        })
    }

    /// The conditions of a report about connections. `None`: no connection of this server can be so.
    pub(super) fn connections(&self) -> Result<Option<ConnectionFilter>, Fault> {
        let word = |name: &str| Ok::<_, Fault>(self.text(name)?.map(|text| text.to_ascii_lowercase()));
        let successful = match word("successful")?.as_deref() {
            None => None,
            Some("yes" | "t" | "true" | "1") => Some(true),
            Some("no" | "f" | "false" | "0") => Some(false),
            Some(other) => return Err(texts::INVALID_BOOL_VALUE.of(&[other])),
        };
        let voip = word("service")?.is_some_and(|service| service == "voip")
            || self.find("voip_username").is_some()
            || self.find("connection_voip_username").is_some();
        let sub_service = word("sub_service_name")?.is_some_and(|name| name != "master");
        let mac = self.text("mac")?.map(|text| {
            text.chars().filter(|letter| !":-.".contains(*letter)).collect::<String>().to_ascii_uppercase()
        });
        let mut callers = Vec::new();
        for name in ["station_ip", "caller_id"] {
            if let Some(text) = self.text(name)? {
                callers.push((self.matching(name)?, text));
            }
        }
        let address = match self.text("remote_ip")? {
            Some(address) => Some(address),
            None => self.text("assigned_ip")?,
        };
        let [credit, octets] = self.totals()?;
        if voip || sub_service {
            return Ok(None);
        }
        Ok(Some(ConnectionFilter {
            customers: self.ids(&["user_ids", "user_id"])?,
            login: self.text("connection_username")?,
            not_login: self.text("not_username")?,
            accounts: [self.texts("isp_names")?, self.texts("isp_name")?].concat(),
            plans: self.texts("group_name")?,
            began: self.span("login_time")?,
            ended: self.span("logout_time")?,
            successful,
            nas: self.text("ras_ip")?,
            nas_name: self.text("ras_desc")?,
            mac,
            callers,
            port: self.text("port")?,
            address,
            cost: self.amount("credit_used")?,
            seconds: self.number("duration")?,
            totals: credit || octets,
        }))
    }

    /// The conditions of a report about changes of credit.
    pub(super) fn credit_changes(&self) -> Result<CreditMoveFilter, Fault> {
        let mut actions = None;
        if self.find("action").is_some() {
            let mut words = Vec::new();
            for name in self.texts("action")? {
                let by_number = name.parse::<usize>().ok().and_then(|number| shapes::ACTIONS.get(number));
                let known = by_number.or_else(|| shapes::ACTIONS.iter().find(|(known, _)| *known == name));
                words.push(
                    known.map(|(_, word)| *word).ok_or_else(|| texts::INVALID_CREDIT_ACTION.of(&[&name]))?,
                );
            }
            actions = Some(words);
        }
        Ok(CreditMoveFilter {
            customers: self.ids(&["user_ids", "user_id"])?,
            actor: self.text("admin")?,
            actions,
            delta: self.amount("per_user_credit")?,
            at: self.span("change_time")?,
            remote: self.text("remote_addr")?,
            comment: self.text("comment")?,
            by_delta: false,
        })
    }

    /// The conditions of a search for users. `None`: no user of this server can be so.
    pub(super) fn users(&self) -> Result<Option<CustomerFilter>, Fault> {
        let mut contact = Vec::new();
        for (name, field) in [
            ("name", ContactField::First),
            ("email", ContactField::Email),
            ("phone", ContactField::Phone),
            ("cell_phone", ContactField::Mobile),
            ("address", ContactField::Address1),
            ("postal_code", ContactField::Zip),
            ("birthdate", ContactField::Birthdate),
        ] {
            if let Some(text) = self.text(name)? {
                contact.push((field, self.matching(name)?, text));
            }
        }
        let mut fields = Vec::new();
        for (name, value) in self.conds.members() {
            if name.starts_with("custom_field_")
                && !name.ends_with("_op")
                && !name.contains('\0')
                && self.find(name).is_some()
            {
                fields.push((name.to_owned(), self.matching(name)?, params::text(name, value)?));
            }
        }
        let logins = match self.text("normal_username")? {
            Some(text) => Some((self.matching("normal_username")?, multi_str::values(&text)?)),
            None => None,
        };
        let patterns = logins.as_ref().filter(|(how, _)| *how != TextMatch::Equal);
        if patterns.is_some_and(|(_, logins)| logins.len() > PATTERNS_MAX) || fields.len() > PATTERNS_MAX {
            return Err(texts::RANGE_ERROR.plain());
        }
        let comments = match self.text("comment")? {
            Some(text) => Some((self.matching("comment")?, text)),
            None => None,
        };
        let online = match self.text("online_status")?.as_deref() {
            Some("online") => Some(true),
            Some("idle" | "failed") => return Ok(None),
            _ => self.flag("is_online")?,
        };
        if self.find("voip_username").is_some() {
            return Ok(None);
        }
        Ok(Some(CustomerFilter {
            customers: self.ids(&["user_id", "user_ids"])?,
            logins,
            without_login: self.flag("no_normal_username")?.unwrap_or(false),
            plans: self.texts("group_name")?,
            not_plans: self.texts("not_in_group_name")?,
            accounts: [self.texts("isp_names")?, self.texts("isp_name")?, self.texts("owner_name")?].concat(),
            created: self.span("creation_date")?,
            expires: self.span("abs_exp_date")?,
            first_use: self.span("first_login")?,
            real_first_use: self.span("real_first_login")?,
            never_used: self.flag("never_logged_in_users")?.unwrap_or(false),
            // An empty text asks for whoever is locked.
            locked: self.conds.find("lock").map(|_| true),
            credit: self.amount("credit")?,
            deposit: self.amount("deposit")?,
            contact,
            comments,
            online,
            serial: self.text("serial")?,
            fields,
        }))
    }

    /// The same with when packages end instead of their own date.
    pub(super) fn expired(&self) -> Result<Option<CustomerFilter>, Fault> {
        let ends = self.span("exp_date")?;
        Ok(self.users()?.map(|filter| CustomerFilter { expires: ends, ..filter }))
    }

    /// Which online users are wanted.
    pub(super) fn online(&self) -> Result<OnlineFilter, Fault> {
        let mut accounts = Vec::new();
        for id in self.texts("isp_ids")? {
            accounts.push(id.trim().parse().map_err(|_| texts::INVALID_INT_VALUE.of(&["isp_ids"]))?);
        }
        let begins = self.texts("username_starts_with")?;
        // A text of several letters is one of them.
        let begins = match begins.as_slice() {
            [single] => single.chars().map(String::from).collect(),
            several => several.to_vec(),
        };
        let addresses = match self.text("remote_ip")? {
            Some(text) => multi_str::values(&text)?,
            None => Vec::new(),
        };
        Ok(OnlineFilter {
            accounts,
            account_names: self.texts("isp_names")?,
            nases: self.texts("ras_ips")?,
            addresses,
            begins,
        })
    }
}

/// Which online users; what is empty does not matter.
#[derive(Clone, Debug, Default)]
pub(super) struct OnlineFilter {
    pub(super) accounts: Vec<i64>,
    pub(super) account_names: Vec<String>,
    pub(super) nases: Vec<String>,
    pub(super) addresses: Vec<String>,
    pub(super) begins: Vec<String>,
}

/// By what connections are ordered.
pub(super) fn connection_order(params: Params<'_>) -> Result<ConnectionOrder, Fault> {
    let word = params.text("sort_by")?;
    Ok(match word.as_str() {
        "user_id" => ConnectionOrder::Customer,
        "credit_used" => ConnectionOrder::Cost,
        "login_time" => ConnectionOrder::Began,
        "logout_time" => ConnectionOrder::Ended,
        "successful" => ConnectionOrder::Success,
        // All connections of this server are of one service.
        "service" | "connection_log_id" => ConnectionOrder::Number,
        "ras_id" => ConnectionOrder::Nas,
        _ => return Err(texts::INVALID_ORDER_BY.of(&[&word])),
    })
}

/// By what users are ordered.
pub(super) fn user_order(params: Params<'_>) -> Result<CustomerOrder, Fault> {
    let word = params.text("order_by")?;
    Ok(match word.to_ascii_lowercase().as_str() {
        "user_id" | "serial" | "serial_numeric" => CustomerOrder::Number,
        "normal_username" | "voip_username" => CustomerOrder::Login,
        "group_id" => CustomerOrder::Plan,
        "creation_date" => CustomerOrder::Created,
        "owner_id" | "isp_id" => CustomerOrder::Account,
        "credit" => CustomerOrder::Credit,
        "deposit" => CustomerOrder::Deposit,
        "first_login" => CustomerOrder::FirstUse,
        _ => return Err(texts::INVALID_ORDER_BY.of(&[&word])),
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::dates::DateType;
    use super::*;

    static UTC: TimeZone = TimeZone::UTC;
    const CALENDAR: Calendar<'static> =
        Calendar { kind: DateType::Gregorian, zone: &UTC, now: UnixTime(1_539_511_474) };

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_report_of_the_document_is_read() {
        let value = parse(
            r#"{"conds": {"username": "sample-user", "login_time_from": "2018-10-14 09:00:00", "login_time_from_unit": "gregorian"}, "from": 0, "to": 5, "sort_by": "login_time", "desc": false}"#,
        );
        let params = Params::new(&value);
        let conds = Conds::new(params, &CALENDAR).unwrap();
        assert_eq!(conds.follows(), Ok(Some("sample-user".into())));
        let filter = conds.connections().unwrap().unwrap();
        assert_eq!(filter.began, Span { from: Some(UnixTime(1_539_507_600)), until: None });
        assert_eq!(window(params, 100_000), Ok(Window { from: 0, to: 5, descending: false }));
        assert_eq!(connection_order(params), Ok(ConnectionOrder::Began));
    }

    #[test]
    fn windows_are_bounded_and_told_when_wrong() {
        let told = |text: &str| window(Params::new(&parse(text)), 100_000).map_err(|fault| fault.to_string());
        assert_eq!(
            told(r#"{"from": -1, "to": 5, "desc": false}"#),
            Err("FROM_VALUE_INVALID|Invalid From value -1".into())
        );
        assert_eq!(
            told(r#"{"from": 0, "to": "x", "desc": false}"#),
            Err("TO_VALUE_INVALID|Invalid To value x".into())
        );
        assert_eq!(
            told(r#"{"from": 5, "to": 4, "desc": false}"#),
            Err("TO_VALUE_INVALID|Invalid To value 4".into())
        );
        let wide = told(r#"{"from": 1, "to": 4000000000, "desc": "t"}"#).unwrap();
        assert_eq!(wide, Window { from: 1, to: 100_001, descending: true });
    }

    #[test]
    fn searches_know_operators_and_lists() {
        let value = parse(
            r#"{"conds": {"phone": "021", "phone_op": "like", "group_name": {"0": "a", "1": "b"}, "lock": "", "credit": "5", "credit_op": ">=", "custom_field_x": "y", "is_online": false, "user_id": "{1-2},7"}}"#,
        );
        let filter = Conds::new(Params::new(&value), &CALENDAR).unwrap().users().unwrap().unwrap();
        assert_eq!(filter.contact, [(ContactField::Phone, TextMatch::Within, "021".into())]);
        assert_eq!(filter.plans, ["a", "b"]);
        assert_eq!((filter.locked, filter.online), (Some(true), Some(false)));
        assert_eq!(filter.credit, Some((Comparison::AtLeast, Amount::whole(5))));
        assert_eq!(filter.customers, Some(vec![1, 2, 7]));
        assert_eq!(filter.fields, [("custom_field_x".into(), TextMatch::Equal, "y".into())]);
        let wrong = parse(r#"{"conds": {"credit": 5, "credit_op": "~"}}"#);
        let fault = Conds::new(Params::new(&wrong), &CALENDAR).unwrap().users().unwrap_err();
        assert_eq!(fault.to_string(), "INVALID_OPERATOR|Invalid operator ~");
    }
}
