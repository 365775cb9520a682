//! From values to what the service understands, and from what it answers to texts of elements.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::Settings;
use super::parameters::{Arguments, Fault};
use crate::domain::account::{
    AccountChange, AccountView, BatchOrder, DeviceLogin, GivenLimits, Password, PeriodChange, PeriodLimit,
    PricePlan,
};
use crate::domain::contact::ContactField;
use crate::domain::money::Amount;
use crate::domain::person::Kind;
use crate::domain::plan::PlanId;
use crate::time::UnixTime;

/// The elements of an account, as a real server orders them.
pub(super) const ACCOUNT: [&str; 31] = [
    "Username",
    "Password",
    "TimeUsed",
    "TimeLeft",
    "UnlimitedTime",
    "Quota",
    "UnlimitedQuota",
    "GroupPlanID",
    "AccessFromTo",
    "AccessID",
    "EnableExpire",
    "Expire",
    "ExpireIn",
    "ExpireAfter",
    "EnableDailyTime",
    "DailyTime",
    "EnableDailyQuota",
    "DailyQuota",
    "EnableDailyLogins",
    "DailyLogins",
    "Download",
    "Upload",
    "GenerateID",
    "Loggedin",
    "DailyQuotaLeft",
    "FirstUsed",
    "LastUsed",
    "EnableMonthlyTime",
    "MonthlyTime",
    "EnableMonthlyQuota",
    "MonthlyQuota",
];

/// What `antamedia.extended` adds.
const EXTENDED: [&str; 12] = [
    "Type",
    "Sold",
    "Money",
    "Autologin",
    "Inactivity",
    "MultiLogin",
    "MultiLogins",
    "FirstName",
    "LastName",
    "Email",
    "Phone",
    "Mobile",
];

/// The elements of a price plan.
pub(super) const PRICE_PLAN: [&str; 11] = [
    "ID",
    "Description",
    "Price",
    "Time",
    "TimeHHMM",
    "UnlimitedTime",
    "Quota",
    "UnlimitedQuota",
    "Download",
    "Upload",
    "Enabled",
];

/// The elements of an account's document.
pub(super) fn account_elements(settings: &Settings) -> Vec<&'static str> {
    let more = if settings.extended { EXTENDED.as_slice() } else { &[] };
    ACCOUNT.iter().chain(more).copied().collect()
}

/// Texts of an account. The password is what the caller may see of it.
pub(super) fn account_texts(
    view: &AccountView,
    password: &str,
    zone: &TimeZone,
    settings: &Settings,
) -> Vec<Cow<'static, str>> {
    let mut texts = vec![
        owned(&view.login),
        owned(password),
        number(view.time_used),
        number(view.time_left),
        truth(view.unlimited_time),
        number(view.quota_left),
        truth(view.unlimited_quota),
        signed(view.plan.map_or(0, |plan| plan.0)),
        truth(view.has_hours),
        // The schedules of the product are not modelled: 1 is its default one.
        number(1),
        truth(view.expires.is_some()),
        minute(view.expires, zone),
        number(view.days_from_first_use),
        number(view.days_from_last_use),
    ];
    for limit in [view.daily_time, view.daily_quota] {
        texts.extend(period(limit));
    }
    // Logins of a day are not counted.
    texts.extend([truth(false), number(0)]);
    texts.extend([number(view.rate_down / 8), number(view.rate_up / 8), signed(view.batch)]);
    texts.push(bit(view.online));
    texts.push(number(if view.daily_quota.enabled { view.daily_quota.left } else { 0 }));
    texts.extend([minute(view.first_used, zone), minute(view.last_used, zone)]);
    for limit in [view.monthly_time, view.monthly_quota] {
        texts.extend(period(limit));
    }
    if settings.extended {
        let kind = match view.kind {
            Kind::Prepaid | Kind::User | Kind::Mac | Kind::Pin => 0,
            Kind::Postpaid => 1,
            Kind::Ticket => 2,
        };
        texts.extend([number(kind), truth(view.sold), owned(&money(view.money))]);
        texts.extend([truth(view.autologin), truth(view.inactivity)]);
        texts.extend([truth(view.logins > 1), number(view.logins)]);
        let fields = [
            ContactField::First,
            ContactField::Last,
            ContactField::Email,
            ContactField::Phone,
            ContactField::Mobile,
        ];
        texts.extend(fields.map(|field| owned(view.contact.get(field).unwrap_or_default())));
    }
    texts
}

/// Texts of a price plan.
pub(super) fn plan_texts(plan: &PricePlan) -> Vec<Cow<'static, str>> {
    let time = plan.time.unwrap_or(0);
    vec![
        signed(plan.id.0),
        owned(&plan.name),
        owned(&plan.price.to_string()),
        number(time),
        Cow::Owned(format!("{:02}:{:02}", time / 3_600, time / 60 % 60)),
        truth(plan.time.is_none()),
        number(plan.quota.unwrap_or(0)),
        truth(plan.quota.is_none()),
        number(plan.rate_down / 8),
        number(plan.rate_up / 8),
        truth(plan.enabled),
    ]
}

/// What `generateaccounts` asks for.
pub(super) fn batch_order(
    arguments: &Arguments,
    now: UnixTime,
    zone: &TimeZone,
) -> Result<BatchOrder, Fault> {
    let remarks = ["print", "preview"].into_iter().filter(|name| arguments.flag(name) == Some(true));
    let length = |name| arguments.count(name).and_then(|length| usize::try_from(length).ok());
    Ok(BatchOrder {
        name: arguments.text("account").unwrap_or_default().to_owned(),
        count: arguments.count("number").and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
        plan: arguments.plan().map(|(_, plan)| PlanId(plan)),
        kind: kind(arguments).unwrap_or(Kind::Prepaid),
        autologin: arguments.flag("autologin"),
        inactivity: arguments.flag("inactivity"),
        sold: arguments.flag("sell").unwrap_or(false),
        expires: expiry_date(arguments, zone)?.or_else(|| in_days(arguments, now)),
        limits: limits(arguments),
        length: length("length"),
        password_length: length("passlength"),
        password: arguments.text("password").map(|password| Password(password.to_owned())),
        first_number: arguments.count("startnumber"),
        remarks: remarks.collect::<Vec<_>>().join(" "),
    })
}

/// What `updateaccount` asks for. Card data are not among it: they were read and left behind.
pub(super) fn account_change(arguments: &Arguments, zone: &TimeZone) -> Result<AccountChange, Fault> {
    let expires = match (arguments.flag("enableexpire"), expiry_date(arguments, zone)?) {
        (Some(false), _) => Some(None),
        (_, Some(date)) => Some(Some(date)),
        (_, None) => None,
    };
    let logins = match (arguments.flag("multilogin"), arguments.count("multilogins")) {
        (Some(false), _) => Some(1),
        (_, Some(logins)) => Some(logins.max(1)),
        // As many as were allowed before.
        (Some(true) | None, None) => None,
    };
    let daily = |enabled, limit, left| PeriodChange {
        enabled: arguments.flag(enabled),
        limit: arguments.count(limit),
        left: arguments.count(left),
    };
    let contact = CONTACT.iter().filter_map(|(name, field)| Some((*field, arguments.text(name)?.to_owned())));
    let document = arguments.count("doctype").map(|kind| (ContactField::DocumentType, kind.to_string()));
    let mut facts = Vec::new();
    facts.extend(arguments.text("software").map(|software| ("software", software.to_owned())));
    for pages in ["printedcolor", "printedbw"] {
        facts.extend(arguments.count(pages).map(|count| (pages, count.to_string())));
    }
    Ok(AccountChange {
        password: arguments.text("password").map(|password| Password(password.to_owned())),
        plan: arguments.plan().map(|(_, plan)| PlanId(plan)),
        kind: kind(arguments),
        money: arguments.money("money"),
        money_added: arguments.money("moneyinc"),
        money_taken: arguments.money("moneydec"),
        limits: limits(arguments),
        time_used: arguments.count("timeused"),
        daily_time: daily("enabledailytime", "dailytime", "dailytimeleft"),
        daily_quota: daily("enabledailyquota", "dailyquota", "dailyquotaleft"),
        autologin: arguments.flag("autologin"),
        inactivity: arguments.flag("inactivity"),
        sold: arguments.flag("sell"),
        expires,
        logins,
        contact: contact.chain(document).collect(),
        facts,
    })
}

/// What `loginaccount` asks for.
pub(super) fn device_login(arguments: &Arguments, now: UnixTime) -> DeviceLogin {
    DeviceLogin {
        mac: arguments.text("mac").map(str::to_owned),
        ip: arguments.text("ip").map(str::to_owned),
        limits: limits(arguments),
        inactivity: arguments.flag("inactivity"),
        until: in_days(arguments, now),
    }
}

/// The first second of `from` and the first one after `to`, today where they are not given.
pub(super) fn days(
    arguments: &Arguments,
    now: UnixTime,
    zone: &TimeZone,
) -> Result<(UnixTime, UnixTime), Fault> {
    let today = civil(now, zone).date();
    let from = arguments.day("from").unwrap_or(today);
    let to = arguments.day("to").unwrap_or_else(|| today.max(from));
    let begin = unix(from.at(0, 0, 0, 0), zone).ok_or(Fault::Invalid("from"))?;
    let after = to.tomorrow().ok().and_then(|day| unix(day.at(0, 0, 0, 0), zone));
    Ok((begin, after.ok_or(Fault::Invalid("to"))?))
}

/// The same where nothing given means everything.
pub(super) fn span(
    arguments: &Arguments,
    zone: &TimeZone,
) -> Result<(Option<UnixTime>, Option<UnixTime>), Fault> {
    let at = |day: Date, name| unix(day.at(0, 0, 0, 0), zone).ok_or(Fault::Invalid(name));
    let from = arguments.day("from").map(|day| at(day, "from")).transpose()?;
    let to = arguments
        .day("to")
        .map(|day| at(day.tomorrow().map_err(|_| Fault::Invalid("to"))?, "to"))
        .transpose()?;
    Ok((from, to))
}

const CONTACT: [(&str, ContactField); 14] = [
    ("firstname", ContactField::First),
    ("lastname", ContactField::Last),
    ("address", ContactField::Address1),
    ("city", ContactField::City),
    ("postalcode", ContactField::Zip),
    ("state", ContactField::State),
    ("sex", ContactField::Gender),
    ("phone", ContactField::Phone),
    ("mobile", ContactField::Mobile),
    ("email", ContactField::Email),
    ("email2", ContactField::AltEmail),
    ("docid", ContactField::DocumentId),
    ("companyname", ContactField::Company),
    ("businessname", ContactField::Business),
];

/// The parameter that a field came in, for its faults.
pub(super) fn parameter_of(field: &str) -> Option<&'static str> {
    let contact = CONTACT.iter().find(|(_, contact)| contact.column() == field).map(|(name, _)| *name);
    contact.or_else(|| {
        [
            ("login", "account"),
            ("account", "account"),
            ("password", "password"),
            ("mac", "mac"),
            ("ip", "ip"),
            ("expires", "expire"),
            ("length", "length"),
            ("number", "number"),
            ("startnumber", "startnumber"),
            ("money", "money"),
            ("moneyinc", "moneyinc"),
            ("moneydec", "moneydec"),
            ("document_type", "doctype"),
            ("software", "software"),
        ]
        .into_iter()
        .find(|(known, _)| *known == field)
        .map(|(_, name)| name)
    })
}

fn kind(arguments: &Arguments) -> Option<Kind> {
    arguments.number("type").map(|kind| match kind {
        1 => Kind::Postpaid,
        2 => Kind::Ticket,
        _ => Kind::Prepaid,
    })
}

fn limits(arguments: &Arguments) -> GivenLimits {
    let rate = |name| arguments.count(name).map(|octets| octets.saturating_mul(8));
    GivenLimits {
        time_left: arguments.count("time").or_else(|| arguments.count("timeleft")),
        unlimited_time: arguments.flag("unltime"),
        quota_left: arguments.count("quota"),
        unlimited_quota: arguments.flag("unlquota"),
        rate_down: rate("download"),
        rate_up: rate("upload"),
    }
}

/// The date that an account ends on: the one with a time wins; a day ends with its last minute.
fn expiry_date(arguments: &Arguments, zone: &TimeZone) -> Result<Option<UnixTime>, Fault> {
    let (name, at) = match (arguments.minute("expiredatetime"), arguments.day("expiredate")) {
        (Some(minute), _) => ("expiredatetime", minute),
        (None, Some(day)) => ("expiredate", day.at(23, 59, 0, 0)),
        (None, None) => return Ok(None),
    };
    unix(at, zone).map(Some).ok_or(Fault::Invalid(name))
}

fn in_days(arguments: &Arguments, now: UnixTime) -> Option<UnixTime> {
    arguments.count("expire").map(|days| now.plus(days * 86_400))
}

fn unix(at: DateTime, zone: &TimeZone) -> Option<UnixTime> {
    let instant = zone.to_ambiguous_timestamp(at).compatible().ok()?;
    Some(UnixTime(instant.as_second()))
}

fn civil(at: UnixTime, zone: &TimeZone) -> DateTime {
    let instant = Timestamp::from_second(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(instant)
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

pub(super) fn number(number: u64) -> Cow<'static, str> {
    Cow::Owned(number.to_string())
}

fn signed(number: i64) -> Cow<'static, str> {
    Cow::Owned(number.to_string())
}

const fn truth(is: bool) -> Cow<'static, str> {
    Cow::Borrowed(if is { "True" } else { "False" })
}

const fn bit(is: bool) -> Cow<'static, str> {
    Cow::Borrowed(if is { "1" } else { "0" })
}

fn period(limit: PeriodLimit) -> [Cow<'static, str>; 2] {
    [truth(limit.enabled), number(if limit.enabled { limit.limit } else { 0 })]
}

/// `YYYYMMDDHHMM`, or nothing.
pub(super) fn minute(at: Option<UnixTime>, zone: &TimeZone) -> Cow<'static, str> {
    at.map_or(Cow::Borrowed(""), |at| Cow::Owned(civil(at, zone).strftime("%Y%m%d%H%M").to_string()))
}

/// `YYYYMMDDHHMMSS`, or nothing.
pub(super) fn second(at: Option<UnixTime>, zone: &TimeZone) -> Cow<'static, str> {
    at.map_or(Cow::Borrowed(""), |at| Cow::Owned(civil(at, zone).strftime("%Y%m%d%H%M%S").to_string()))
}

/// Money with two decimals, half away from nothing.
pub(super) fn money(amount: Amount) -> String {
    let units = amount.units();
    let cents = units.unsigned_abs().saturating_add(CENT / 2) / CENT;
    let sign = if units < 0 && cents > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Units of 10⁻¹⁸ in a hundredth.
const CENT: u128 = 10_u128.pow(16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::antamedia::parameters::{Command, Raw};

    const NOON: UnixTime = UnixTime(1_700_049_600);

    fn arguments(command: Command, query: &str) -> Arguments {
        let mut raw = Raw::default();
        raw.read(query.as_bytes());
        raw.arguments(command).unwrap()
    }

    #[test]
    fn rates_are_octets_a_second_outside_and_bits_inside() {
        let limits = limits(&arguments(Command::UpdateAccount, "account=a&download=131072&upload=0"));
        assert_eq!((limits.rate_down, limits.rate_up), (Some(1_048_576), Some(0)));
    }

    #[test]
    fn a_day_ends_with_its_last_minute_and_a_time_wins() {
        let change = |query: &str| {
            let query = format!("account=a&{query}");
            account_change(&arguments(Command::UpdateAccount, &query), &TimeZone::UTC).unwrap().expires
        };
        let at = |text: &str| Some(Some(UnixTime(text.parse::<Timestamp>().unwrap().as_second())));
        assert_eq!(change("expiredate=20240229"), at("2024-02-29T23:59:00Z"));
        assert_eq!(change("expiredate=20240229&expiredatetime=202403011200"), at("2024-03-01T12:00:00Z"));
        assert_eq!(change("expiredate=20240229&enableexpire=0"), Some(None));
        assert_eq!(change("enableexpire=1"), None);
        assert_eq!(change("sell=1"), None);
    }

    #[test]
    fn several_logins_are_as_many_as_are_said() {
        let logins = |query: &str| {
            let query = format!("account=a&{query}");
            account_change(&arguments(Command::UpdateAccount, &query), &TimeZone::UTC).unwrap().logins
        };
        assert_eq!(logins("multilogin=1&multilogins=3"), Some(3));
        assert_eq!(logins("multilogin=0&multilogins=3"), Some(1));
        assert_eq!(logins("multilogins=0"), Some(1));
        assert_eq!(logins("multilogin=1"), None);
    }

    #[test]
    fn expire_counts_days_from_now() {
        let order = batch_order(
            &arguments(Command::GenerateAccounts, "expire=2&sell=1&print=1"),
            NOON,
            &TimeZone::UTC,
        )
        .unwrap();
        assert_eq!(order.expires, Some(NOON.plus(2 * 86_400)));
        assert_eq!((order.count, order.sold, order.remarks.as_str()), (1, true, "print"));
    }

    #[test]
    fn card_data_go_nowhere() {
        let query = "account=a&ccnumber=4111111111111111&cccvv2=123&ccpassword=pin&ccname=Jane&cctype=1&ccexpmonth=12&ccexpyear=2030";
        let change = account_change(&arguments(Command::UpdateAccount, query), &TimeZone::UTC).unwrap();
        let said = format!("{change:?}");
        for secret in ["4111", "123", "pin", "Jane", "2030"] {
            assert!(!said.contains(secret), "{said}");
        }
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight_of_the_zone() {
        let zone = TimeZone::get("Asia/Tehran").unwrap();
        let query = arguments(Command::GetStatistics, "from=20231115&to=20231115");
        let (from, to) = days(&query, NOON, &zone).unwrap();
        assert_eq!((from, to.since(from)), (UnixTime(1_699_993_800), 86_400));
        assert_eq!(days(&arguments(Command::GetStatistics, ""), NOON, &zone).unwrap(), (from, to));
        assert_eq!(
            days(&arguments(Command::GetStatistics, "to=99991231"), NOON, &zone),
            Err(Fault::Invalid("to"))
        );
    }

    #[test]
    fn money_has_two_decimals_and_prices_none_that_say_nothing() {
        let amount = |text| Amount::parse(text).unwrap();
        for (text, two) in
            [("0", "0.00"), ("8", "8.00"), ("12.345", "12.35"), ("-0.001", "0.00"), ("-3.5", "-3.50")]
        {
            assert_eq!(money(amount(text)), two);
        }
        assert_eq!(amount("200.00").to_string(), "200");
        assert_eq!(amount("5.50").to_string(), "5.5");
    }

    #[test]
    fn hours_may_exceed_99() {
        let plan = PricePlan {
            id: PlanId(3),
            name: "month".into(),
            price: Amount::whole(5),
            time: Some(30 * 86_400 + 60),
            quota: None,
            rate_down: 1_048_576,
            rate_up: 0,
            enabled: true,
        };
        let texts = plan_texts(&plan);
        assert_eq!(
            texts,
            ["3", "month", "5", "2592060", "720:01", "False", "0", "True", "131072", "0", "True"]
        );
    }
}
