//! Overrides of rates and attributes with their schedules (E28, E30), and changes at once (E31).

use super::answer::{Fail, Outcome, message};
use super::call::Call;
use super::params::Params;
use crate::domain::dynamic_auth::Outcome as NasOutcome;
use crate::domain::{FupAttribute, FupKind, FupLimit, Metric, NewFup, Period};
use crate::service::ServiceError;

/// The names of one of the two families of parameters.
struct Names {
    restriction: &'static str,
    reset: &'static str,
    limit: &'static str,
    unit: &'static str,
    every: &'static str,
    day_of_month: &'static str,
    day_of_week: &'static str,
    reset2: &'static str,
    exclude_upload: Option<&'static str>,
    carry_forward: Option<&'static str>,
}

const BANDWIDTH: Names = Names {
    restriction: "bandwidthRestriction",
    reset: "bandwidthReset",
    limit: "bandwidthResetLimit",
    unit: "bandwidthResetUnitData",
    every: "bandwidthResetEvery",
    day_of_month: "bandwidthResetEveryValue",
    day_of_week: "bandwidthResetEveryValueDay",
    reset2: "bandwidthReset2",
    exclude_upload: Some("excludeUpload"),
    carry_forward: Some("carryForwardPreviousData"),
};

const VENDOR: Names = Names {
    restriction: "vendorRestriction",
    reset: "vendorReset",
    limit: "vendorResetLimit",
    unit: "vendorResetUnitData",
    every: "vendorResetEvery",
    day_of_month: "vendorResetEveryValue",
    day_of_week: "vendorResetEveryValueDay",
    reset2: "vendorReset2",
    exclude_upload: None,
    carry_forward: None,
};

/// E28: other rates for a user; its number alone takes them away.
pub(super) async fn override_user_bandwidth(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    match bandwidth(call.params)? {
        None => call.operator.clear_override(id, FupKind::Bandwidth).await?,
        Some(new) => call.operator.override_plan(id, &new).await?,
    }
    message("Profile values overriden for user")
}

/// E30: other attributes for a user; its number alone takes them away.
pub(super) async fn override_user_vendor_attributes(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    match vendor(call.params)? {
        None => call.operator.clear_override(id, FupKind::Attributes).await?,
        Some(new) => call.operator.override_plan(id, &new).await?,
    }
    message("Profile vendor attributes values overriden for user")
}

/// E31: a change that the NAS of each open session is asked for at once.
pub(super) async fn coa_request(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    let mut lines = Vec::new();
    for item in call.params.records("vendorData")? {
        lines.push(format!("{} = {}", item.needed("attribute")?, item.needed("value")?));
    }
    if lines.is_empty() {
        return Err(Fail::missing("vendorData"));
    }
    let outcomes = match call.operator.change_now(id, &lines).await {
        Err(ServiceError::NotFound { what: "session", .. }) => {
            return Err(Fail::new(404, "User is not online"));
        }
        other => other?,
    };
    told(&outcomes)
}

/// One word for each session; that none of them answered is a failure.
pub(super) fn told(outcomes: &[NasOutcome]) -> Outcome {
    let acknowledged = |outcome: &NasOutcome| matches!(outcome, NasOutcome::Ack);
    if !outcomes.iter().any(acknowledged) {
        return Err(Fail::new(502, "The NAS did not accept the request"));
    }
    let words: Vec<&str> =
        outcomes.iter().map(|outcome| if acknowledged(outcome) { "TRUE" } else { "FALSE" }).collect();
    message(&words)
}

/// What E28 asks for; `None` takes an override away.
pub(super) fn bandwidth(params: &Params) -> Result<Option<NewFup>, Fail> {
    if !is_on(params, &BANDWIDTH)? {
        return Ok(None);
    }
    let below = params.needed_number("bandwidthTemplate")?;
    let above = match limit(params, &BANDWIDTH)? {
        None => None,
        Some(limit) => Some((limit, params.needed_number("bandwidthTemplate2")?)),
    };
    Ok(Some(NewFup::Bandwidth { below, above }))
}

/// What E30 asks for.
pub(super) fn vendor(params: &Params) -> Result<Option<NewFup>, Fail> {
    if !is_on(params, &VENDOR)? {
        return Ok(None);
    }
    let below = attributes(params, "vendorData")?;
    let above = match limit(params, &VENDOR)? {
        None => None,
        Some(limit) => Some((limit, attributes(params, "vendorData1")?)),
    };
    Ok(Some(NewFup::Attributes { below, above }))
}

/// Is there to be an override? The number of the user alone says no; anything else has to be switched on.
fn is_on(params: &Params, names: &Names) -> Result<bool, Fail> {
    match params.keyword(names.restriction, &["on", "off"])? {
        Some("on") => Ok(true),
        Some(_) => Ok(false),
        None if params.says_more_than(&["userId", "accountId"]) => Err(Fail::missing(names.restriction)),
        None => Ok(false),
    }
}

/// What has a limit.
pub(super) const RESETS: [&str; 3] = ["always", "data", "uploadDownload"];
/// Of 1,048,576 octets, and 1,073,741,824.
pub(super) const UNITS: [&str; 2] = ["mb", "gb"];
/// When counting begins anew.
pub(super) const EVERY: [&str; 5] = ["daily", "weekly", "monthly", "never", "billing"];

/// The limit of a schedule; `None` is always.
fn limit(params: &Params, names: &Names) -> Result<Option<FupLimit>, Fail> {
    let reset = params.keyword(names.reset, &RESETS)?;
    let flag = |name: Option<&str>| name.map_or(Ok(None), |name| params.yes(name));
    let (exclude, carry) = (flag(names.exclude_upload)?, flag(names.carry_forward)?);
    let metric = match reset {
        None | Some("always") => return Ok(None),
        Some("uploadDownload") => Metric::EachDirection,
        Some(_) if exclude == Some(true) => Metric::Down,
        Some(_) => Metric::Total,
    };
    let amount = params.needed_number(names.limit)?;
    let unit = if params.needed_keyword(names.unit, &UNITS)? == "mb" { 1 << 20 } else { 1 << 30 };
    let octets = amount.checked_mul(unit).filter(|octets| *octets > 0);
    let octets = octets.ok_or_else(|| Fail::wrong(names.limit, "is out of range"))?;
    let day = |name: &str, range: std::ops::RangeInclusive<i64>| {
        let day = params.needed_number(name)?;
        let fits = u8::try_from(day).ok().filter(|_| range.contains(&day));
        fits.ok_or_else(|| {
            Fail::new(422, format!("The field {name} must be {} to {}", range.start(), range.end()))
        })
    };
    let every = params.needed_keyword(names.every, &EVERY)?;
    let (period, begins) = match every {
        "daily" => (Period::Daily, None),
        "weekly" => (Period::Weekly, Some(day(names.day_of_week, 0..=6)?)),
        "monthly" => (Period::Monthly, Some(day(names.day_of_month, 1..=31)?)),
        "billing" => (Period::Billing, None),
        _ => (Period::Lifetime, None),
    };
    params.needed_keyword(names.reset2, &["always"])?;
    // Where counting never begins anew there is nothing to carry.
    let carry_over = carry == Some(true) && period != Period::Lifetime;
    Ok(Some(FupLimit { metric, octets, period, begins, carry_over }))
}

/// The operators of the document; `!` alone is FreeRADIUS's `!*`.
const OPERATORS: [&str; 12] = ["=", ":=", "==", "+=", "!=", ">", ">=", "<", "<=", "=~", "!~", "!"];

fn attributes(params: &Params, name: &str) -> Result<Vec<FupAttribute>, Fail> {
    let records = params.records(name)?;
    if records.is_empty() {
        return Err(Fail::missing(name));
    }
    let read = |item: &&Params| {
        let op = item.needed_keyword("equals", &OPERATORS)?;
        Ok(FupAttribute {
            is_check: item.needed_keyword("type", &["reply", "check"])? == "check",
            attribute: item.needed("attribute")?.to_owned(),
            op: if op == "!" { "!*" } else { op }.to_owned(),
            value: item.needed("value")?.to_owned(),
        })
    };
    records.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Params {
        Params::form(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_fair_usage_policy_is_read() {
        let body = "userId=7&bandwidthRestriction=on&bandwidthReset=data&bandwidthResetLimit=10&bandwidthResetUnitData=GB&bandwidthResetEvery=monthly&bandwidthResetEveryValue=31&bandwidthTemplate=3&bandwidthReset2=always&bandwidthTemplate2=4&carryForwardPreviousData=yes";
        let limit = FupLimit {
            metric: Metric::Total,
            octets: 10 << 30,
            period: Period::Monthly,
            begins: Some(31),
            carry_over: true,
        };
        assert_eq!(bandwidth(&form(body)), Ok(Some(NewFup::Bandwidth { below: 3, above: Some((limit, 4)) })));
        let down = format!("{body}&excludeUpload=yes");
        let Ok(Some(NewFup::Bandwidth { above: Some((limit, _)), .. })) = bandwidth(&form(&down)) else {
            panic!("it is one")
        };
        assert_eq!(limit.metric, Metric::Down);
        for (part, code) in [
            ("&bandwidthResetLimit=10", 400),
            ("&bandwidthResetUnitData=GB", 400),
            ("&bandwidthResetEvery=monthly", 400),
            ("&bandwidthResetEveryValue=31", 400),
            ("&bandwidthTemplate=3", 400),
            ("&bandwidthReset2=always", 400),
            ("&bandwidthTemplate2=4", 400),
            ("&bandwidthRestriction=on", 400),
        ] {
            let fail = bandwidth(&form(&body.replace(part, ""))).unwrap_err();
            assert_eq!(fail.code, code, "{part}");
        }
        for (part, other, code) in [
            ("EveryValue=31", "EveryValue=32", 422),
            ("EveryValue=31", "EveryValue=0", 422),
            ("Data=GB", "Data=kb", 422),
            ("Reset=data", "Reset=time", 422),
            ("Limit=10", "Limit=0", 400),
            ("Limit=10", "Limit=9999999999999", 400),
            ("Limit=10", "Limit=ten", 400),
            ("Reset2=always", "Reset2=data", 422),
        ] {
            let fail = bandwidth(&form(&body.replace(part, other))).unwrap_err();
            assert_eq!(fail.code, code, "{other}");
        }
    }

    #[test]
    fn a_number_alone_takes_an_override_away() {
        assert_eq!(bandwidth(&form("userId=7")), Ok(None));
        assert_eq!(bandwidth(&form("userId=7&bandwidthRestriction=&bandwidthTemplate=")), Ok(None));
        assert_eq!(vendor(&form("userId=7&vendorRestriction=off")), Ok(None));
        let always = form("userId=7&bandwidthRestriction=ON&bandwidthTemplate=3");
        assert_eq!(bandwidth(&always), Ok(Some(NewFup::Bandwidth { below: 3, above: None })));
    }

    #[test]
    fn weeks_and_days_begin_where_they_are_said_to() {
        let body = "bandwidthRestriction=on&bandwidthReset=uploadDownload&bandwidthResetLimit=1&bandwidthResetUnitData=mb&bandwidthTemplate=3&bandwidthReset2=always&bandwidthTemplate2=4&bandwidthResetEvery=";
        for (rest, period, begins) in [
            ("daily", Period::Daily, None),
            ("weekly&bandwidthResetEveryValueDay=0", Period::Weekly, Some(0)),
            ("never", Period::Lifetime, None),
            ("billing", Period::Billing, None),
        ] {
            let read = bandwidth(&form(&format!("{body}{rest}")));
            let Ok(Some(NewFup::Bandwidth { above: Some((limit, _)), .. })) = read else { panic!("{rest}") };
            assert_eq!((limit.metric, limit.octets), (Metric::EachDirection, 1 << 20));
            assert_eq!((limit.period, limit.begins), (period, begins), "{rest}");
        }
    }

    #[test]
    fn vendor_attributes_are_read() {
        let body = "userId=7&vendorRestriction=on&vendorData[0][type]=reply&vendorData[0][vendor]=Mikrotik&vendorData[0][attribute]=Mikrotik-Group&vendorData[0][equals]=%3A%3D&vendorData[0][value]=gold&vendorData[1][type]=check&vendorData[1][attribute]=NAS-Port&vendorData[1][equals]=!&vendorData[1][value]=ANY";
        let Ok(Some(NewFup::Attributes { below, above: None })) = vendor(&form(body)) else {
            panic!("it is one")
        };
        assert_eq!((below[0].is_check, below[0].op.as_str()), (false, ":="));
        assert_eq!((below[1].is_check, below[1].op.as_str()), (true, "!*"));
        let wrong = body.replace("%3A%3D", "~");
        assert_eq!(vendor(&form(&wrong)).map_err(|fail| fail.code), Err(422));
        let nothing = "userId=7&vendorRestriction=on";
        assert_eq!(vendor(&form(nothing)).map_err(|fail| fail.code), Err(400));
    }
}
