//! Reads whatever octets as requests of this dialect.

use jiff::tz::TimeZone;
use roxmltree::Document;

use super::attrs::Wanted;
use super::conds::{self, Conds};
use super::dates::{self, Calendar, DateType};
use super::fault::Fault;
use super::params::{self, Params};
use super::value::Value;
use super::{Call, json, methods, multi_str, xmlrpc};
use crate::domain::customer::Customer;
use crate::time::UnixTime;

/// A JSON or an XML-RPC envelope, a list of values or a date, by the first octet.
///
/// # Panics
/// Where a rule of this dialect is broken: that is a finding.
pub fn read(input: &[u8]) {
    let Some((how, input)) = input.split_first() else { return };
    match how % 4 {
        0 => match json::read(input) {
            Ok(read) => call(&read),
            Err((id, fault)) => written(&id, &Err(fault)),
        },
        1 => xmlrpc::read(input).iter().for_each(call),
        2 => {
            if let Ok(values) = multi_str::values(&String::from_utf8_lossy(input)) {
                assert!(values.len() <= multi_str::VALUES_MAX, "{}", values.len());
            }
        }
        _ => date(&String::from_utf8_lossy(input)),
    }
}

fn date(text: &str) {
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    let (unit, text) = text.split_once(':').unwrap_or(("", text));
    for kind in [DateType::Gregorian, DateType::Jalali, DateType::Relative] {
        let calendar = Calendar { kind, zone: &zone, now: UnixTime(1_764_072_000) };
        let Ok(at) = calendar.read(text, unit) else { continue };
        let shown = calendar.show(at);
        if kind != DateType::Relative
            && let Ok(again) = calendar.absolute(&shown, kind)
        {
            // An hour that the clocks went through twice has one name.
            assert!(again.0.abs_diff(at.0) <= 3_600, "{text} {at:?} shown as {shown}");
        }
    }
    let _ = dates::duration(text, unit).map(dates::shown_duration);
}

/// Asks a call everything that some method would.
fn call(call: &Call) {
    let _ = methods::known(&call.method);
    written(&call.id, &Ok(call.params.clone()));
    let zone = TimeZone::get("Asia/Tehran").unwrap_or(TimeZone::UTC);
    let calendar = Calendar { kind: DateType::Jalali, zone: &zone, now: UnixTime(1_764_072_000) };
    let all = Params::new(&call.params);
    let _ = (conds::window(all, 100_000), conds::user_order(all), conds::connection_order(all));
    let _ = (all.multi("user_id"), all.boolean("desc"), all.amount("credit"), all.int("count"));
    if let Ok(conds) = Conds::new(all, &calendar) {
        let _ = (conds.users(), conds.expired(), conds.connections(), conds.credit_changes(), conds.online());
        let _ = (conds.totals(), conds.follows());
    }
    for (_, value) in all.members() {
        let _ = (params::list(value), params::amount(value), params::boolean(value));
    }
    let users = 2;
    if let Ok(mut wanted) = Wanted::read(all, users) {
        for place in 0..users {
            let _ = wanted.edit(place, &Customer::default(), &calendar);
        }
    }
}

/// What is written can be read, and says the same.
fn written(id: &Value, answer: &Result<Value, Fault>) {
    let text = json::write(id, answer);
    let again: Value = serde_json::from_str(&text).expect("what is written is JSON");
    if let Ok(result) = answer {
        assert_eq!(again.get("result"), Some(result), "{text}");
    }
    let text = xmlrpc::write(answer);
    Document::parse(&text).expect("what is written is XML");
}
