//! The four reports (mfusion.md §6): sessions past and present, login attempts, purchases.
#![expect(unused_qualifications, reason = "utoipa writes the paths of parameters out")]

use axum::Json;
use axum::extract::State;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::wire::{List, date_time};
use super::{Caller, Failure, Query, Refusals, Settings};
use crate::domain::report::{
    AttemptFilter, AttemptRow, Pattern, Purchase, PurchaseFilter, SessionFilter, SessionRow, Span,
};
use crate::domain::text::mac_digits;
use crate::http::Shared;
use crate::time::UnixTime;

/// Filters of sessions. A text is compared whatever its case; `*` at its end or beginning stands for
/// anything. MAC addresses are compared without their separators.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct SessionParams {
    /// User name.
    username: Option<String>,
    /// NAS ID.
    hotspot: Option<String>,
    /// Address of the NAS.
    nas: Option<String>,
    /// MAC address of the user.
    macaddress: Option<String>,
    /// MAC address of the hotspot.
    calledstationid: Option<String>,
    /// Address of the user.
    ipaddress: Option<String>,
    /// Started at or after: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM[:SS]`, RFC 3339, Unix seconds or milliseconds.
    #[param(rename = "startTime")]
    start_time: Option<String>,
    /// Started at or before; a date alone is all of that day.
    #[param(rename = "endTime")]
    end_time: Option<String>,
    /// From 1.
    page: Option<String>,
    /// 1 to 2000; 100 without.
    #[param(rename = "perPage")]
    per_page: Option<String>,
}

/// A session. The octets are seen from the user: input is what it received.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Historical {
    radacctid: i64,
    hotspot: String,
    username: String,
    macaddress: String,
    ipaddress: String,
    acctstarttime: String,
    acctstoptime: Option<String>,
    acctsessiontime: u64,
    calledstationid: String,
    acctinputoctets: u64,
    acctoutputoctets: u64,
    acctterminatecause: String,
    nas: String,
    /// With `mfusion.session_aliases`.
    #[serde(skip_serializing_if = "Option::is_none")]
    nasipaddress: Option<String>,
    /// With `mfusion.session_aliases`.
    #[serde(skip_serializing_if = "Option::is_none")]
    framedipaddress: Option<String>,
}

/// Sessions, open ones too.
#[utoipa::path(
    get,
    path = "/historical-sessions",
    operation_id = "historicalSessions",
    tag = "mFusion",
    params(SessionParams),
    responses((status = 200, description = "A page of sessions, the newest first", body = List<Historical>), Refusals),
    security(("token" = []))
)]
pub(super) async fn historical(
    Caller(operator): Caller,
    State(shared): State<Shared>,
    query: Query,
) -> Result<Json<List<Historical>>, Failure> {
    let (zone, paging) = (operator.zone(), query.paging());
    let page = operator.sessions(&sessions(&query, zone, false)?, paging).await?;
    let settings = &shared.dialects.mfusion;
    Ok(Json(List::new(paging, page.map(|row| Historical::of(row, zone, settings)))))
}

impl Historical {
    fn of(row: SessionRow, zone: &TimeZone, settings: &Settings) -> Self {
        let (received, sent) = directions(&row, settings);
        let alias = |text: &str| settings.session_aliases.then(|| text.to_owned());
        Self {
            radacctid: row.id,
            hotspot: row.hotspot.into(),
            username: row.login.into(),
            macaddress: mac(&row.device),
            acctstarttime: row.started.map(|at| date_time(at, zone)).unwrap_or_default(),
            acctstoptime: row.stopped.map(|at| date_time(at, zone)),
            acctsessiontime: row.seconds,
            calledstationid: mac(&row.called),
            acctinputoctets: received,
            acctoutputoctets: sent,
            acctterminatecause: row.cause.into(),
            nasipaddress: alias(&row.nas),
            framedipaddress: alias(&row.framed),
            ipaddress: row.framed.into(),
            nas: row.nas.into(),
        }
    }
}

/// What the user received and sent (mfusion.md §5).
const fn directions(row: &SessionRow, settings: &Settings) -> (u64, u64) {
    if settings.octets_as_stored { (row.input, row.output) } else { (row.output, row.input) }
}

/// An open session.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Online {
    username: String,
    ipaddress: String,
    macaddress: String,
    starttime: String,
    /// `45sec`, `3min 5sec`, `2hr 3min 5sec`, `1day 2hr 3min`.
    totaltime: String,
    nas: String,
    /// `0.25 MB`, from 1024 MB on `1.5 GB`.
    traffic: String,
    calledstationid: String,
    radacctid: i64,
    hotspot: String,
    name: String,
}

/// Open sessions.
#[utoipa::path(
    get,
    path = "/online-sessions",
    operation_id = "onlineSessions",
    tag = "mFusion",
    params(SessionParams),
    responses((status = 200, description = "A page of open sessions, the newest first", body = List<Online>), Refusals),
    security(("token" = []))
)]
pub(super) async fn online(Caller(operator): Caller, query: Query) -> Result<Json<List<Online>>, Failure> {
    let (zone, paging) = (operator.zone(), query.paging());
    let page = operator.sessions(&sessions(&query, zone, true)?, paging).await?;
    Ok(Json(List::new(paging, page.map(|row| Online::of(row, zone)))))
}

impl Online {
    fn of(row: SessionRow, zone: &TimeZone) -> Self {
        Self {
            traffic: traffic(row.input.saturating_add(row.output)),
            totaltime: total_time(row.seconds),
            starttime: row.started.map(|at| date_time(at, zone)).unwrap_or_default(),
            username: row.login.into(),
            ipaddress: row.framed.into(),
            macaddress: mac(&row.device),
            nas: row.nas.into(),
            calledstationid: mac(&row.called),
            radacctid: row.id,
            hotspot: row.hotspot.into(),
            name: row.name.into(),
        }
    }
}

pub(super) fn sessions(query: &Query, zone: &TimeZone, open: bool) -> Result<SessionFilter, Failure> {
    Ok(SessionFilter {
        login: pattern(query, "username"),
        hotspot: pattern(query, "hotspot"),
        nas: pattern(query, "nas"),
        device: pattern(query, "macaddress"),
        called: pattern(query, "calledstationid"),
        framed: pattern(query, "ipaddress"),
        began: span(query, zone)?,
        open,
        ..SessionFilter::default()
    })
}

/// Filters of login attempts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct AttemptParams {
    /// User name.
    username: Option<String>,
    /// `Access-Accept` or `Access-Reject`.
    reply: Option<String>,
    /// At or after.
    #[param(rename = "startTime")]
    start_time: Option<String>,
    /// At or before; a date alone is all of that day.
    #[param(rename = "endTime")]
    end_time: Option<String>,
    /// From 1.
    page: Option<String>,
    /// 1 to 2000; 100 without.
    #[param(rename = "perPage")]
    per_page: Option<String>,
}

/// A login attempt.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Attempt {
    id: i64,
    username: String,
    /// Eight asterisks, whatever was tried.
    pass: &'static str,
    reply: String,
    authdate: String,
}

/// Login attempts.
#[utoipa::path(
    get,
    path = "/login-attempts",
    operation_id = "loginAttempts",
    tag = "mFusion",
    params(AttemptParams),
    responses((status = 200, description = "A page of login attempts, the newest first", body = List<Attempt>), Refusals),
    security(("token" = []))
)]
pub(super) async fn attempts(Caller(operator): Caller, query: Query) -> Result<Json<List<Attempt>>, Failure> {
    let (zone, paging) = (operator.zone(), query.paging());
    let filter = AttemptFilter {
        login: pattern(&query, "username"),
        reply: query.text("reply").map(str::to_owned),
        at: span(&query, zone)?,
    };
    let page = operator.login_attempts(&filter, paging).await?;
    Ok(Json(List::new(paging, page.map(|row| Attempt::of(row, zone)))))
}

impl Attempt {
    fn of(row: AttemptRow, zone: &TimeZone) -> Self {
        Self {
            id: row.id,
            username: row.login.into(),
            pass: "********",
            reply: row.reply.into(),
            authdate: row.at.map(|at| date_time(at, zone)).unwrap_or_default(),
        }
    }
}

/// Filters of purchases.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct PurchaseParams {
    /// Date or date and time of the purchase.
    transaction_time: Option<String>,
    /// User name.
    username: Option<String>,
    /// What was bought.
    plan_name: Option<String>,
    /// A part of the user's profiles.
    user_profiles: Option<String>,
    /// A part of the remarks.
    remarks: Option<String>,
    /// At or after.
    #[param(rename = "startTime")]
    start_time: Option<String>,
    /// At or before; a date alone is all of that day.
    #[param(rename = "endTime")]
    end_time: Option<String>,
    /// From 1.
    page: Option<String>,
    /// 1 to 2000; 100 without.
    #[param(rename = "perPage")]
    per_page: Option<String>,
}

/// A purchase.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Bought {
    id: i64,
    transaction_time: String,
    username: String,
    plan_name: String,
    currency: String,
    /// With two decimals.
    amount: String,
    user_profiles: String,
    remarks: String,
    create_by: String,
    create_at: String,
}

/// Purchases of quota.
#[utoipa::path(
    get,
    path = "/quota-purchase-report",
    operation_id = "quotaPurchaseReport",
    tag = "mFusion",
    params(PurchaseParams),
    responses((status = 200, description = "A page of purchases, the newest first", body = List<Bought>), Refusals),
    security(("token" = []))
)]
pub(super) async fn purchases(Caller(operator): Caller, query: Query) -> Result<Json<List<Bought>>, Failure> {
    let (zone, paging) = (operator.zone(), query.paging());
    let part = |name: &str| pattern(&query, name).map(|pattern| Pattern::Within(pattern.text().to_owned()));
    let exactly = match query.text("transaction_time") {
        None => Span::default(),
        Some(text) => moment(text, zone).ok_or_else(|| Failure::invalid("Invalid transaction_time."))?,
    };
    let filter = PurchaseFilter {
        login: pattern(&query, "username"),
        plan_name: pattern(&query, "plan_name"),
        profiles: part("user_profiles"),
        remarks: part("remarks"),
        at: [span(&query, zone)?, exactly],
    };
    let page = operator.purchases(&filter, paging).await?;
    Ok(Json(List::new(paging, page.map(|row| Bought::of(row, zone)))))
}

impl Bought {
    fn of(row: Purchase, zone: &TimeZone) -> Self {
        let at = date_time(row.at, zone);
        Self {
            id: row.id,
            transaction_time: at.clone(),
            username: row.login.into(),
            plan_name: row.plan_name.into(),
            currency: row.currency.into(),
            amount: row.amount.unwrap_or_default().with_decimals(2),
            user_profiles: row.profiles.into(),
            remarks: row.remarks.into(),
            create_by: row.created_by.into(),
            create_at: at,
        }
    }
}

fn pattern(query: &Query, name: &str) -> Option<Pattern> {
    query.text(name).and_then(Pattern::parse)
}

/// `startTime` and `endTime`, both included.
fn span(query: &Query, zone: &TimeZone) -> Result<Span, Failure> {
    let end = |name: &str| match query.text(name) {
        None => Ok(Span::default()),
        Some(text) => moment(text, zone).ok_or_else(|| Failure::invalid(format!("Invalid {name}."))),
    };
    Ok(Span { from: end("startTime")?.from, until: end("endTime")?.until })
}

/// What a date stands for: a day, a minute, or a second.
fn moment(text: &str, zone: &TimeZone) -> Option<Span> {
    let text = text.trim();
    let seconds = |from: Timestamp, until: Timestamp| {
        let [from, until] = [from, until].map(|end| Some(UnixTime(end.as_second())));
        let is_in = |end: Option<UnixTime>| end.is_some_and(|end| (FIRST..=LAST).contains(&end.0));
        (is_in(from) && is_in(until)).then_some(Span { from, until })
    };
    let local = |from: DateTime, until: DateTime| {
        seconds(zone.to_timestamp(from).ok()?, zone.to_timestamp(until).ok()?)
    };
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        let at = Timestamp::from_second(if number >= MILLISECONDS { number / 1_000 } else { number }).ok()?;
        return seconds(at, at.checked_add(1.second()).ok()?);
    }
    if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
        let from = date.to_datetime(jiff::civil::Time::midnight());
        return local(from, from.checked_add(1.day()).ok()?);
    }
    for separator in [' ', 'T'] {
        if let Ok(at) = DateTime::strptime(format!("%Y-%m-%d{separator}%H:%M:%S"), text) {
            return local(at, at.checked_add(1.second()).ok()?);
        }
        if let Ok(at) = DateTime::strptime(format!("%Y-%m-%d{separator}%H:%M"), text) {
            return local(at, at.checked_add(1.minute()).ok()?);
        }
    }
    // A `+` that was not written as `%2B` has become a blank.
    let at = text.parse::<Timestamp>().or_else(|error| match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains('T') => format!("{time}+{offset}").parse(),
        _ => Err(error),
    });
    let at = at.ok()?;
    seconds(at, at.checked_add(1.second()).ok()?)
}

/// Numbers from here on are milliseconds since 1970.
const MILLISECONDS: i64 = 100_000_000_000;
/// 0001-01-02 and 9999-12-30: times that every database knows, in every zone.
const FIRST: i64 = -62_135_510_400;
const LAST: i64 = 253_402_128_000;

/// A MAC address in upper case with hyphens; anything else as it is.
fn mac(text: &str) -> String {
    let Some(digits) = mac_digits(text.as_bytes()) else { return text.to_owned() };
    let mut address = String::with_capacity(17);
    for (place, digit) in digits.iter().enumerate() {
        if place > 0 && place % 2 == 0 {
            address.push('-');
        }
        address.push(char::from(digit.to_ascii_uppercase()));
    }
    address
}

/// `45sec`, `3min 5sec`, `2hr 3min 5sec`, `1day 2hr 3min`.
fn total_time(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let seconds = seconds % 60;
    if days > 0 {
        format!("{days}day {hours}hr {minutes}min")
    } else if hours > 0 {
        format!("{hours}hr {minutes}min {seconds}sec")
    } else if minutes > 0 {
        format!("{minutes}min {seconds}sec")
    } else {
        format!("{seconds}sec")
    }
}

/// Mebibytes, from 1024 on gibibytes, with at most two decimals.
fn traffic(octets: u64) -> String {
    const MIB: u128 = 1 << 20;
    const GIB: u128 = 1 << 30;
    let (unit, name) = if u128::from(octets) >= GIB { (GIB, "GB") } else { (MIB, "MB") };
    let hundredths = (u128::from(octets) * 100 + unit / 2) / unit;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let part = format!("{part:02}");
    match part.trim_end_matches('0') {
        "" => format!("{whole} {name}"),
        part => format!("{whole}.{part} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_largest_units() {
        let cases = [
            (0, "0sec"),
            (45, "45sec"),
            (185, "3min 5sec"),
            (7_385, "2hr 3min 5sec"),
            (93_780, "1day 2hr 3min"),
            (86_400, "1day 0hr 0min"),
        ];
        for (seconds, text) in cases {
            assert_eq!(total_time(seconds), text);
        }
    }

    #[test]
    fn traffic_has_at_most_two_decimals() {
        let mib = 1_u64 << 20;
        let cases = [
            (0, "0 MB"),
            (mib, "1 MB"),
            (mib / 4, "0.25 MB"),
            (mib * 3 / 2, "1.5 MB"),
            (1_000, "0 MB"),
            (mib * 1023, "1023 MB"),
            (mib * 1024, "1 GB"),
            (mib * 1536, "1.5 GB"),
            (u64::MAX, "17179869184 GB"),
        ];
        for (octets, text) in cases {
            assert_eq!(traffic(octets), text);
        }
    }

    #[test]
    fn macs_are_upper_case_with_hyphens_and_nothing_else_is_touched() {
        assert_eq!(mac("02aa.00bb.0c01"), "02-AA-00-BB-0C-01");
        assert_eq!(mac("02:aa:00:bb:0c:01"), "02-AA-00-BB-0C-01");
        assert_eq!(mac("02-AA-00-BB-0C-01:Lobby"), "02-AA-00-BB-0C-01:Lobby");
        assert_eq!(mac(""), "");
    }

    #[test]
    fn dates_are_days_minutes_or_seconds() {
        let zone = TimeZone::get("Europe/Rome").unwrap();
        let of = |text: &str| moment(text, &zone).map(|span| (span.from.unwrap().0, span.until.unwrap().0));
        // Rome is an hour ahead in November, and the day on which summer ends has 25 hours.
        assert_eq!(of("2025-11-03"), Some((1_762_124_400, 1_762_210_800)));
        assert_eq!(of("2025-10-26"), Some((1_761_429_600, 1_761_519_600)));
        assert_eq!(of("2025-11-03 10:59"), Some((1_762_163_940, 1_762_164_000)));
        assert_eq!(of("2025-11-03 10:59:11"), Some((1_762_163_951, 1_762_163_952)));
        assert_eq!(of("2025-11-03T10:59:11"), of("2025-11-03 10:59:11"));
        assert_eq!(of("2025-11-03T09:59:11Z"), of("2025-11-03 10:59:11"));
        assert_eq!(of("2025-11-03T10:59:11 01:00"), of("2025-11-03 10:59:11"));
        assert_eq!(of("1762163951"), of("2025-11-03 10:59:11"));
        assert_eq!(of("1762163951123"), of("2025-11-03 10:59:11"));
        for wrong in [
            "2025-02-30",
            "2025-13-01",
            "yesterday",
            "2025-11-03 25:00",
            "99999999999999999999",
            "-1",
            "2025-11-03; DROP TABLE radacct",
            "9999-12-31",
            "0000-01-01",
            "20251103T",
            " ",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
