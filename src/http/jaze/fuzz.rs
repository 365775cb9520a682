//! Reads whatever octets as requests of this dialect.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use jiff::tz::TimeZone;

use super::answer::{self, Fail};
use super::dates::{self, Moment};
use super::path::Path;
use super::{credentials, overrides, tier2};

/// A JSON body, a form, a multipart body (its parts are divided by `--x`), a path, a date or an
/// `Authorization`, by the first octet.
///
/// # Panics
/// Where a rule of this dialect is broken: that is a finding.
pub fn read(input: &[u8]) {
    let Some((how, input)) = input.split_first() else { return };
    match how % 6 {
        0 => body("application/json", input),
        1 => body("application/x-www-form-urlencoded", input),
        2 => body("multipart/form-data; boundary=x", input),
        3 => {
            let text = String::from_utf8_lossy(input);
            if let Some(path) = Path::parse(&text) {
                assert!((0..path.len()).all(|place| path.segment(place) != Some("")));
            }
        }
        4 => date(&String::from_utf8_lossy(input)),
        _ => {
            let Ok(value) = HeaderValue::from_bytes(input) else { return };
            let _ = credentials(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]));
        }
    }
}

fn date(text: &str) {
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    let Ok(moment) = Moment::parse("date", text) else { return };
    assert!(moment.begin(&zone) <= moment.end(&zone), "{text}");
    let shown = dates::show(moment.begin(&zone), &zone);
    let _ = (moment.is_never(), dates::show_end(Some(moment.end(&zone)), &zone));
    if let Ok(again) = Moment::parse("date", &shown) {
        assert_eq!(again.begin(&zone), moment.begin(&zone), "{text} shown as {shown}");
    }
}

fn body(kind: &'static str, input: &[u8]) {
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    let mut request = Request::new(Body::from(input.to_vec()));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // The body is here: there is nothing to wait for.
    let reading = pin!(super::read(request));
    let Poll::Ready(read) = reading.poll(&mut Context::from_waker(Waker::noop())) else {
        unreachable!("a body in memory is read at once");
    };
    let Some(params) = told(read.map_err(|(_, fail)| fail)) else { return };
    for new in [false, true] {
        told(tier2::order(&params, &zone, new));
    }
    told(overrides::bandwidth(&params));
    told(overrides::vendor(&params));
    told(params.numbers("userIds"));
    told(params.records("vendorData"));
    let _ = params.says_more_than(&["userId"]);
    if let Some(Some(text)) = told(params.text("date")) {
        date(text);
    }
}

/// A refusal is written, too: it quotes what was sent.
fn told<T>(outcome: Result<T, Fail>) -> Option<T> {
    outcome.map_err(|fail| answer::failure(&fail)).ok()
}
