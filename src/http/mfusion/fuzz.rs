//! Reads whatever octets as requests of this dialect.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse as _;
use jiff::tz::TimeZone;

use super::extract::{Fields, Query, authorization};
use super::{Failure, access, auth, reports, users};

/// A JSON body, a form, a query or an `Authorization`, by the first octet.
///
/// # Panics
/// Where a rule of this dialect is broken: that is a finding.
pub fn read(input: &[u8]) {
    let Some((how, input)) = input.split_first() else { return };
    match how % 4 {
        0 => told(Fields::read(Some("application/json"), input)).iter().for_each(body),
        1 => told(Fields::read(Some("application/x-www-form-urlencoded"), input)).iter().for_each(body),
        2 => query(&String::from_utf8_lossy(input)),
        _ => {
            let Ok(value) = HeaderValue::from_bytes(input) else { return };
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
            let _ = (authorization(&headers, "bearer"), auth::key(&headers, &Fields::default()));
        }
    }
}

/// A refusal is written, too: it quotes what was sent.
fn told<T>(outcome: Result<T, Failure>) -> Option<T> {
    outcome.map_err(|failure| failure.into_response()).ok()
}

fn body(fields: &Fields) {
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    told(users::order(fields));
    told(users::change(fields));
    told(access::named(fields));
    let _ = auth::key(&HeaderMap::new(), fields);
    for (name, value) in told(access::assigned(fields)).unwrap_or_default() {
        let Ok(reading) = access::Reading::of(&name, &value, &zone) else { continue };
        if let Some(order) = reading.order() {
            let _ = access::iso(&order.value, &zone);
        }
    }
}

fn query(text: &str) {
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    let query = Query::read(text);
    let paging = query.paging();
    assert!(paging.offset() >= 0 && paging.limit() <= 2_001, "{paging:?}");
    for open in [false, true] {
        if let Some(filter) = told(reports::sessions(&query, &zone, open))
            && let (Some(from), Some(until)) = (filter.began.from, filter.began.until)
        {
            // Whatever was said, it is a time that every database knows.
            assert!(from.0.abs() < 1 << 40 && until.0.abs() < 1 << 40, "{filter:?}");
        }
    }
    let _ = (users::number(text), query.text("username"));
}
