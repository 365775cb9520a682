//! Single attributes of users, which override those of their profiles (mfusion.md §9).

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::extract::text;
use super::failure::RestStatus;
use super::users::number;
use super::wire::Done;
use super::{Caller, Failure, Fields, Refusals, Segment};
use crate::domain::{AttributeRow, Who};
use crate::service::{AttributeOrder, ServiceError};

/// How the value of an attribute is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
enum Format {
    /// 1,000 bit/s; the table has bit/s.
    Kbps,
    /// Address of a page.
    #[serde(rename = "URL")]
    Url,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// A count.
    Number,
    /// 2^20 octets; what is not above zero is nothing left.
    #[serde(rename = "MB")]
    Megabytes,
    /// A date, with or without a time.
    DateTime,
}

/// An attribute that users may have.
struct Known {
    name: &'static str,
    text: &'static str,
    format: Format,
}

const fn known(name: &'static str, text: &'static str, format: Format) -> Known {
    Known { name, text, format }
}

/// All of them, in the order in which they are listed.
const CATALOGUE: [Known; 16] = [
    known("WISPr-Bandwidth-Max-Up", "Maximum Upload", Format::Kbps),
    known("WISPr-Bandwidth-Max-Down", "Maximum Download", Format::Kbps),
    known("WISPr-Redirection-URL", "Redirection URL", Format::Url),
    known("Session-Timeout", "Session Timeout", Format::Seconds),
    known("Idle-Timeout", "Idle Timeout", Format::Seconds),
    known("Simultaneous-Use", "No. of Concurrent Device", Format::Number),
    known("CS-Total-MB", "Total Data", Format::Megabytes),
    known("CS-Total-MB-Daily", "Daily Data", Format::Megabytes),
    known("CS-Total-MB-Weekly", "Weekly Data", Format::Megabytes),
    known("CS-Total-MB-Monthly", "Monthly Data", Format::Megabytes),
    known("CS-Total-MB-All", "Total Lifetime Data", Format::Megabytes),
    known("Max-Daily-Session", "Daily Time", Format::Seconds),
    known("Max-Monthly-Session", "Monthly Time", Format::Seconds),
    known("Max-All-Session", "Total Lifetime Time", Format::Seconds),
    known("Expiration", "Expiry Date", Format::DateTime),
    known("Access-Period", "Expire Upon First Use", Format::Minutes),
];

fn find(name: &str) -> Option<&'static Known> {
    CATALOGUE.iter().find(|known| known.name == name)
}

/// What there is to know of an attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Definition {
    text: &'static str,
    format: Format,
    /// A user may have it more than once: none.
    multiple: bool,
}

/// The attributes by name, in the order of the catalogue.
#[derive(Debug)]
pub(super) struct Catalogue;

impl Serialize for Catalogue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(CATALOGUE.len()))?;
        for Known { name, text, format } in &CATALOGUE {
            map.serialize_entry(name, &Definition { text, format: *format, multiple: false })?;
        }
        map.end()
    }
}

/// The attributes that users may have.
#[utoipa::path(
    get,
    path = "/user-access",
    operation_id = "userAttributes",
    tag = "mFusion",
    responses((status = 200, description = "The attributes by name", body = Done<BTreeMap<String, Definition>>), Refusals),
    security(("token" = []))
)]
pub(super) async fn catalogue(Caller(operator): Caller) -> Result<Json<Done<Catalogue>>, Failure> {
    if !operator.rights().read {
        return Err(crate::service::Denial::Read.into());
    }
    Ok(Json(Done::new("User Attributes retrieved successfully.", Catalogue)))
}

/// The attributes of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserAccess {
    id: i64,
    username: String,
    /// Each an object with the attribute's name as its one member.
    attributes: Vec<BTreeMap<&'static str, Held>>,
}

/// An attribute as a user has it.
#[derive(Debug, Serialize, ToSchema)]
struct Held {
    /// Number of its row; those of what is checked and of what is sent are counted apart.
    id: String,
    format: Format,
    /// A number where the format is one, else a text.
    #[schema(value_type = HeldValue)]
    value: Value,
}

/// A number or a text.
#[derive(ToSchema)]
#[schema(as = AttributeValue)]
#[expect(dead_code, reason = "read by utoipa alone")]
#[serde(untagged)]
enum HeldValue {
    Number(f64),
    Text(String),
}

/// The attributes of a user.
#[utoipa::path(
    get,
    path = "/user-access/{userId}",
    operation_id = "userAccess",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    responses((status = 200, description = "The user's attributes, or why not", body = Done<UserAccess>), Refusals),
    security(("token" = []))
)]
pub(super) async fn show(
    Caller(operator): Caller,
    Segment(id): Segment,
) -> Result<Json<Done<UserAccess>>, Failure> {
    let person = operator.person(who(&id)?, false).await.map_err(no_user)?;
    let rows = person.check.iter().chain(&person.reply);
    let attributes = rows.filter_map(|row| held(row, operator.zone())).collect();
    let access = UserAccess { id: person.id.0, attributes, username: person.login.into() };
    Ok(Json(Done::new("Access attributes for user retrieved successfully.", access)))
}

fn held(row: &AttributeRow, zone: &TimeZone) -> Option<BTreeMap<&'static str, Held>> {
    let known = CATALOGUE.iter().find(|known| known.name.eq_ignore_ascii_case(&row.attribute))?;
    let value = match known.format {
        Format::Url => Value::from(row.value.as_str()),
        Format::DateTime => Value::from(iso(&row.value, zone).unwrap_or_else(|| row.value.to_string())),
        Format::Kbps => row.value.trim().parse::<i64>().map_or_else(
            |_| Value::from(row.value.as_str()),
            |bits| if bits % KBPS == 0 { Value::from(bits / KBPS) } else { fraction(bits) },
        ),
        Format::Seconds | Format::Minutes | Format::Number | Format::Megabytes => {
            row.value.trim().parse::<i64>().map_or_else(|_| Value::from(row.value.as_str()), Value::from)
        }
    };
    Some(BTreeMap::from([(known.name, Held { id: row.id.to_string(), format: known.format, value })]))
}

/// Bit/s of a Kbps.
const KBPS: i64 = 1_000;

/// A rate that other tools wrote, which is no whole number of Kbps.
#[expect(clippy::cast_precision_loss, reason = "three places of a rate")]
fn fraction(bits: i64) -> Value {
    Value::from(bits as f64 / KBPS as f64)
}

/// One attribute, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by utoipa alone: `Fields` is more tolerant")]
pub(super) enum Attach {
    One(Assigned),
    Several { attributes: Vec<Assigned> },
}

/// An attribute and its value.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone: a number will do as well")]
pub(super) struct Assigned {
    attribute: String,
    value: String,
}

/// What became of attributes. Where nothing could be done `result` is missing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Processed<D, R> {
    status: bool,
    message: String,
    details: Details<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<R>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Details<D> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    success: Vec<D>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

/// An attribute that was attached.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attached {
    attribute: String,
    /// A number where the format is one, else a text.
    #[schema(value_type = HeldValue)]
    value: Value,
    action: String,
}

/// The user and what was attached to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttachedTo {
    id: i64,
    username: String,
    #[schema(value_type = BTreeMap<String, Set>)]
    user_access: Ordered,
}

/// An attribute as it was attached. Its value is text.
#[derive(Debug, Serialize, ToSchema)]
struct Set {
    id: String,
    format: Format,
    value: String,
}

/// Members in the order in which they came.
#[derive(Debug, Default)]
struct Ordered(Vec<(&'static str, Set)>);

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, set)| (name, set)))
    }
}

/// Attaches attributes to a user, or gives them other values.
#[utoipa::path(
    post,
    path = "/user-access/{userId}/actions/attach-access",
    operation_id = "attachAccess",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    request_body = Attach,
    responses(
        (status = 200, description = "What became of each, or why not", body = Processed<Attached, AttachedTo>),
        Refusals
    ),
    security(("token" = []))
)]
pub(super) async fn attach(
    Caller(operator): Caller,
    Segment(id): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let asked = assigned(&fields)?;
    let who = who(&id)?;
    let read: Vec<_> = asked.iter().map(|(name, value)| Reading::of(name, value, operator.zone())).collect();
    let orders: Vec<AttributeOrder> = read.iter().filter_map(|read| read.as_ref().ok()?.order()).collect();
    let (person, outcomes) = operator.put_attributes(who, &orders).await.map_err(no_user)?;
    let mut outcomes = outcomes.into_iter();
    let mut details = Details { success: Vec::new(), errors: Vec::new() };
    let mut access = Ordered::default();
    for ((name, _), read) in asked.iter().zip(read) {
        let reading = match read {
            Ok(reading) => reading,
            Err(error) => {
                details.errors.push(error);
                continue;
            }
        };
        match outcomes.next() {
            Some(Ok(outcome)) => {
                let word = if outcome.replaced { "updated" } else { "attached" };
                details.success.push(Attached {
                    attribute: name.clone(),
                    value: reading.value,
                    action: format!("User acess '{name}' successfully {word}."),
                });
                access.0.retain(|(known, _)| *known != reading.known.name);
                let set =
                    Set { id: outcome.row.to_string(), format: reading.known.format, value: reading.text };
                access.0.push((reading.known.name, set));
            }
            Some(Err(_)) | None => details.errors.push(invalid(name)),
        }
    }
    let (done, failed) = (details.success.len(), details.errors.len());
    let message = format!("Processed user access {done} success. {failed} failed.");
    let to = AttachedTo { id: person.id.0, username: person.login.into(), user_access: access };
    Ok(processed(message, details, to))
}

/// An attribute to be taken away, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by utoipa alone: `Fields` is more tolerant")]
pub(super) enum Detach {
    One(Named),
    Several { attributes: Vec<Named> },
}

/// An attribute.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct Named {
    attribute: String,
}

/// An attribute that was detached.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detached {
    attribute: String,
    /// Always `detached`.
    action: &'static str,
    message: String,
}

/// The user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DetachedFrom {
    id: i64,
    username: String,
}

/// Takes attributes away from a user.
#[utoipa::path(
    post,
    path = "/user-access/{userId}/actions/detach-access",
    operation_id = "detachAccess",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    request_body = Detach,
    responses(
        (status = 200, description = "What became of each, or why not", body = Processed<Detached, DetachedFrom>),
        Refusals
    ),
    security(("token" = []))
)]
pub(super) async fn detach(
    Caller(operator): Caller,
    Segment(id): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let asked = named(&fields)?;
    // A password is not taken away here, whatever it is called.
    let names: Vec<&str> = asked.iter().filter_map(|name| find(name)).map(|known| known.name).collect();
    let (person, gone) = operator.drop_attributes(who(&id)?, &names).await.map_err(no_user)?;
    let mut gone = gone.into_iter();
    let mut details = Details { success: Vec::new(), errors: Vec::new() };
    for attribute in asked {
        if find(&attribute).is_some() && gone.next() == Some(true) {
            let message = format!("User access '{attribute}' successfully detached.");
            details.success.push(Detached { attribute, action: "detached", message });
        } else {
            let text = format!("User access '{attribute}' was already detached or never existed.");
            details.errors.push(text);
        }
    }
    let (done, failed) = (details.success.len(), details.errors.len());
    let message = format!("Processed user access {done} success. (and skipped 0 existing). {failed} failed.");
    Ok(processed(message, details, DetachedFrom { id: person.id.0, username: person.login.into() }))
}

/// Some success is success; without any there is no result.
fn processed<D: Serialize, R: Serialize>(message: String, details: Details<D>, result: R) -> Response {
    let status = !details.success.is_empty();
    let mut response =
        Json(Processed { status, message, details, result: status.then_some(result) }).into_response();
    if !status {
        response.extensions_mut().insert(RestStatus(StatusCode::UNPROCESSABLE_ENTITY));
    }
    response
}

fn who(id: &str) -> Result<Who<'static>, Failure> {
    number(id).map(Who::Number).ok_or_else(|| Failure::not_found(NO_USER))
}

const NO_USER: &str = "No user found.";

fn no_user(error: ServiceError) -> Failure {
    match error {
        ServiceError::NotFound { what: "subscriber", .. } => Failure::not_found(NO_USER),
        other => other.into(),
    }
}

fn invalid(name: &str) -> String {
    format!("User access '{name}' has an invalid value.")
}

/// The attributes and values of a body: several win over one.
pub(super) fn assigned(fields: &Fields) -> Result<Vec<(String, Value)>, Failure> {
    let value = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Err(Failure::required("value")),
        Some(value) => Ok(value.clone()),
    };
    match fields.get("attributes") {
        None | Some(Value::Null) => {
            let name = fields.required("attribute")?;
            Ok(vec![(name, value(fields.get("value"))?)])
        }
        Some(list) => {
            items(list)?.iter().map(|item| Ok((name_of(item)?, value(item.get("value"))?))).collect()
        }
    }
}

/// The attributes of a body: several win over one.
pub(super) fn named(fields: &Fields) -> Result<Vec<String>, Failure> {
    match fields.get("attributes") {
        None | Some(Value::Null) => Ok(vec![fields.required("attribute")?]),
        Some(list) => items(list)?.iter().map(name_of).collect(),
    }
}

fn items(list: &Value) -> Result<&[Value], Failure> {
    match list {
        Value::Array(items) if items.is_empty() => Err(Failure::required("attributes")),
        Value::Array(items) if items.len() > ITEMS_MAX => {
            Err(Failure::invalid(format!("The attributes field has at most {ITEMS_MAX} items.")))
        }
        Value::Array(items) => Ok(items),
        _ => Err(Failure::invalid("The attributes field must be an array.")),
    }
}

/// Attributes in one request: more than there are, few enough for one transaction.
const ITEMS_MAX: usize = 1_000;

/// `{"attribute": "Name"}`, or the name alone.
fn name_of(item: &Value) -> Result<String, Failure> {
    let name = match item {
        Value::Object(members) => match members.get("attribute") {
            None | Some(Value::Null) => return Err(Failure::required("attribute")),
            Some(name) => text("attribute", name)?,
        },
        other => text("attributes", other)?,
    };
    if name.is_empty() { Err(Failure::required("attribute")) } else { Ok(name) }
}

/// An attribute whose value could be read.
#[derive(Debug)]
pub(super) struct Reading {
    known: &'static Known,
    /// As it is given back: a number where the format is one.
    value: Value,
    /// The same as text.
    text: String,
    /// As the table has it.
    stored: String,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Reading {
    /// # Errors
    /// What `details.errors` says of it.
    pub(super) fn of(name: &str, value: &Value, zone: &TimeZone) -> Result<Self, String> {
        let known = find(name).ok_or_else(|| format!("User access '{name}' is not recognized."))?;
        Self::read(known, value, zone).ok_or_else(|| invalid(name))
    }

    fn read(known: &'static Known, value: &Value, zone: &TimeZone) -> Option<Self> {
        let given = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let whole = || given.parse::<i64>().ok();
        let (number, stored) = match known.format {
            Format::Url => (None, is_url(&given).then(|| given.clone())?),
            Format::DateTime => (None, freeradius_date(&given, zone)?),
            Format::Kbps => {
                let rate = whole().filter(|rate| *rate >= 0)?;
                let bits = rate.checked_mul(KBPS).filter(|bits| *bits <= i64::from(u32::MAX))?;
                (Some(rate), bits.to_string())
            }
            Format::Seconds | Format::Minutes | Format::Number | Format::Megabytes => {
                let number = whole()?;
                (Some(number), number.to_string())
            }
        };
        let value = number.map_or_else(|| Value::from(given.as_str()), Value::from);
        let text = number.map_or(given, |number| number.to_string());
        Some(Self { known, value, text, stored })
    }

    pub(super) fn order(&self) -> Option<AttributeOrder> {
        Some(AttributeOrder { name: self.known.name.to_owned(), value: self.stored.clone() })
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    })
}

/// A date as FreeRADIUS writes it, `03 Nov 2025 10:59:11`, of any that this API takes.
fn freeradius_date(text: &str, zone: &TimeZone) -> Option<String> {
    const WHOLE: &str = "%d %b %Y %H:%M:%S";
    let at = if let Ok(date) = text.parse::<Date>()
        && text.len() == "2025-11-03".len()
    {
        return Some(date.strftime("%d %b %Y").to_string());
    } else if let Ok(at) = text.parse::<Timestamp>() {
        zone.to_datetime(at)
    } else if let Ok(at) = text.parse::<DateTime>() {
        at
    } else if let Ok(at) = strtime::parse("%Y-%m-%d %H:%M", text).and_then(|parsed| parsed.to_datetime()) {
        at
    } else if let Ok(seconds) = text.parse::<i64>() {
        // What has more digits than seconds need is milliseconds.
        let seconds = if seconds.abs() >= 100_000_000_000 { seconds / 1_000 } else { seconds };
        zone.to_datetime(Timestamp::from_second(seconds).ok()?)
    } else {
        return civil(text).map(|_| text.to_owned());
    };
    Some(at.strftime(WHOLE).to_string())
}

/// A date as FreeRADIUS writes it, and whether it has a time.
fn civil(text: &str) -> Option<(DateTime, bool)> {
    for format in ["%d %b %Y %H:%M:%S", "%d %b %Y %H:%M"] {
        if let Ok(at) = strtime::parse(format, text).and_then(|parsed| parsed.to_datetime()) {
            return Some((at, true));
        }
    }
    let date = strtime::parse("%d %b %Y", text).and_then(|parsed| parsed.to_date()).ok()?;
    Some((date.at(0, 0, 0, 0), false))
}

/// A date as this API writes it.
pub(super) fn iso(text: &str, zone: &TimeZone) -> Option<String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(super::wire::date_time(crate::time::UnixTime(seconds), zone));
    }
    let (at, has_time) = civil(text)?;
    Some(at.strftime(if has_time { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d" }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: impl Into<Value>) -> Result<(Value, String, String), String> {
        let reading = Reading::of(name, &value.into(), &TimeZone::UTC)?;
        Ok((reading.value, reading.text, reading.stored))
    }

    #[test]
    fn values_have_the_format_of_their_attribute() {
        let done = |value: Value, text: &str, stored: &str| Ok((value, text.to_owned(), stored.to_owned()));
        assert_eq!(read("CS-Total-MB-Daily", "40"), done(40.into(), "40", "40"));
        assert_eq!(read("CS-Total-MB-All", -5), done((-5).into(), "-5", "-5"));
        assert_eq!(read("WISPr-Bandwidth-Max-Up", "5000"), done(5000.into(), "5000", "5000000"));
        let url = "https://google.com";
        assert_eq!(read("WISPr-Redirection-URL", url), done(url.into(), url, url));
        let date = "2025-11-03 10:59:11";
        assert_eq!(read("Expiration", date), done(date.into(), date, "03 Nov 2025 10:59:11"));
        assert_eq!(read("Expiration", "2025-11-03").unwrap().2, "03 Nov 2025");
        assert_eq!(read("Expiration", "2025-11-03T10:59:11+01:00").unwrap().2, "03 Nov 2025 09:59:11");
        assert_eq!(read("Expiration", 1_762_167_551).unwrap().2, "03 Nov 2025 10:59:11");
        assert_eq!(read("Expiration", "3 Nov 2025").unwrap().2, "3 Nov 2025");
    }

    #[test]
    fn what_cannot_be_a_value_is_none() {
        assert_eq!(
            read("CS-Total-MB-Daily22222", "1").unwrap_err(),
            "User access 'CS-Total-MB-Daily22222' is not recognized."
        );
        for (name, wrong) in [
            ("CS-Total-MB", Value::from("4.5")),
            ("CS-Total-MB", Value::from(true)),
            ("CS-Total-MB", Value::from("9223372036854775808")),
            ("WISPr-Bandwidth-Max-Up", Value::from(-1)),
            ("WISPr-Bandwidth-Max-Down", Value::from(4_294_968)),
            ("WISPr-Redirection-URL", Value::from("javascript:alert(1)")),
            ("WISPr-Redirection-URL", Value::from("https://a b")),
            ("Expiration", Value::from("2025-02-30")),
            ("Expiration", Value::from("soon")),
            ("Session-Timeout", Value::from("")),
        ] {
            assert_eq!(read(name, wrong).unwrap_err(), format!("User access '{name}' has an invalid value."));
        }
    }

    #[test]
    fn dates_are_shown_as_this_api_writes_them() {
        assert_eq!(iso("03 Nov 2025 10:59:11", &TimeZone::UTC).unwrap(), "2025-11-03 10:59:11");
        assert_eq!(iso("3 Nov 2025", &TimeZone::UTC).unwrap(), "2025-11-03");
        assert_eq!(iso("whenever", &TimeZone::UTC), None);
    }
}
