//! What callers send: the twelve commands, their 99 parameters, and how each is read.
//!
//! Real clients send parameters in any order, some without a value, some twice, some that nobody knows.
//! So: names are compared without case; what has no value was not given, except for the customer's
//! fields, where an empty value clears; of several the first with a value counts, the query before the
//! body; an unknown one is passed over.

use std::net::IpAddr;

use jiff::civil::{Date, DateTime};

use crate::domain::Amount;
use crate::domain::text::mac_digits;

/// A command by its name, which is its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    GenerateAccounts,
    UpdateAccount,
    RefillAccount,
    ViewAccount,
    DeleteAccount,
    GetPricePlans,
    GetStatistics,
    GetAccountLog,
    GetAccountList,
    LoginAccount,
    LogoutAccount,
    GetAccountSummary,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text that a database can hold.
    Text,
    /// Text that an empty value clears.
    Clearable,
    /// A whole number between two, both included.
    Number(i64, i64),
    /// `0` or `1`, also `true` or `false`.
    Flag,
    /// A decimal number that is not negative.
    Money,
    /// `YYYYMMDD`.
    Day,
    /// `YYYYMMDDHHMM`.
    Minute,
    /// `M` or `F`.
    Sex,
    /// A MAC address in any of the usual ways.
    Mac,
    /// An IPv4 or IPv6 address.
    Address,
    /// Text that is never kept: it may be a card number.
    Discarded,
    /// A whole number that is never kept.
    DiscardedNumber,
}

/// A parameter of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    kind: Kind,
    required: bool,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    Money(Amount),
    Day(Date),
    Minute(DateTime),
    Discarded,
}

/// What is wrong with what a caller sent, in the order in which it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// One that has to be there is not.
    Missing(&'static str),
    /// One cannot be read, or is out of bounds.
    Invalid(&'static str),
}

/// Names and values as they came.
#[derive(Default)]
pub(super) struct Raw(Vec<(String, String)>);

/// The values of a command's parameters, all of them read.
pub(super) struct Arguments(Vec<(&'static str, Value)>);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Command {
    /// Every command with its path.
    pub(super) const ALL: [(Self, &'static str); 12] = [
        (Self::GenerateAccounts, "/generateaccounts"),
        (Self::UpdateAccount, "/updateaccount"),
        (Self::RefillAccount, "/refillaccount"),
        (Self::ViewAccount, "/viewaccount"),
        (Self::DeleteAccount, "/deleteaccount"),
        (Self::GetPricePlans, "/getpriceplans"),
        (Self::GetStatistics, "/getstatistics"),
        (Self::GetAccountLog, "/getaccountlog"),
        (Self::GetAccountList, "/getaccountlist"),
        (Self::LoginAccount, "/loginaccount"),
        (Self::LogoutAccount, "/logoutaccount"),
        (Self::GetAccountSummary, "/getaccountsummary"),
    ];

    /// The command of a path such as `/ViewAccount` or `/viewaccount/`.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(path)).map(|(command, _)| *command)
    }

    /// Its path.
    pub(super) fn route(self) -> &'static str {
        Self::ALL.iter().find(|(command, _)| *command == self).map_or("", |(_, route)| route)
    }

    /// What the source document lists for it, in its order.
    pub(super) const fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::GenerateAccounts => GENERATE,
            Self::UpdateAccount => UPDATE,
            Self::RefillAccount => REFILL,
            Self::ViewAccount | Self::DeleteAccount => ONE_ACCOUNT,
            Self::GetPricePlans | Self::GetAccountList => &[],
            Self::GetStatistics => STATISTICS,
            Self::GetAccountLog | Self::GetAccountSummary => ONE_ACCOUNT_BETWEEN,
            Self::LoginAccount => LOGIN,
            Self::LogoutAccount => LOGOUT,
        }
    }

    /// Is anything different afterwards?
    pub(super) const fn changes(self) -> bool {
        matches!(
            self,
            Self::GenerateAccounts
                | Self::UpdateAccount
                | Self::RefillAccount
                | Self::DeleteAccount
                | Self::LoginAccount
                | Self::LogoutAccount
        )
    }

    /// What it takes besides: other names for the same, and what another command has for it.
    const fn also(self) -> &'static [Parameter] {
        match self {
            Self::GenerateAccounts => GENERATE_ALSO,
            Self::UpdateAccount => UPDATE_ALSO,
            Self::RefillAccount => REFILL_ALSO,
            Self::LoginAccount => LOGIN_ALSO,
            _ => &[],
        }
    }
}

impl Raw {
    /// Reads a query string, or a form's body.
    pub(super) fn read(&mut self, text: &[u8]) {
        let pairs = form_urlencoded::parse(text);
        self.0.extend(pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())));
    }

    /// The value of a parameter; empty where it was named without one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = found.next();
        if first == Some("") { found.find(|value| !value.is_empty()).or(first) } else { first }
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The values of a command: first what is missing, then what is wrong, each in the document's order.
    pub(super) fn arguments(&self, command: Command) -> Result<Arguments, Fault> {
        let (listed, also) = (command.parameters(), command.also());
        if let Some(missing) = listed.iter().find(|one| one.required && !self.has(command, one.name)) {
            return Err(Fault::Missing(missing.name));
        }
        if command == Command::LoginAccount && self.given("ip").is_none() && self.given("mac").is_none() {
            return Err(Fault::Missing("mac"));
        }
        let any = ["account", "ip", "mac"];
        if command == Command::LogoutAccount && any.iter().all(|name| self.given(name).is_none()) {
            return Err(Fault::Missing("account"));
        }
        let mut values = Vec::new();
        for Parameter { name, kind, .. } in listed.iter().chain(also) {
            let given = if *kind == Kind::Clearable { self.get(name) } else { self.given(name) };
            let Some(text) = given else { continue };
            values.push((*name, kind.read(text).ok_or(Fault::Invalid(name))?));
        }
        Ok(Arguments(values))
    }

    /// Is it given, by one of its names?
    fn has(&self, command: Command, name: &str) -> bool {
        let other = match (command, name) {
            (Command::RefillAccount, "priceplan") => "groupplan",
            _ => name,
        };
        self.given(name).is_some() || self.given(other).is_some()
    }
}

impl Arguments {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.number(name).and_then(|number| u64::try_from(number).ok())
    }

    /// A flag.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// An amount of money.
    pub(super) fn money(&self, name: &str) -> Option<Amount> {
        match self.value(name) {
            Some(Value::Money(amount)) => Some(*amount),
            _ => None,
        }
    }

    /// A day.
    pub(super) fn day(&self, name: &str) -> Option<Date> {
        match self.value(name) {
            Some(Value::Day(day)) => Some(*day),
            _ => None,
        }
    }

    /// A minute of a day.
    pub(super) fn minute(&self, name: &str) -> Option<DateTime> {
        match self.value(name) {
            Some(Value::Minute(minute)) => Some(*minute),
            _ => None,
        }
    }

    /// The number of the price plan, whichever of its two names was used, and that name.
    pub(super) fn plan(&self) -> Option<(&'static str, i64)> {
        ["groupplan", "priceplan"].into_iter().find_map(|name| Some((name, self.number(name)?)))
    }
}

impl Kind {
    fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Text | Self::Clearable => {
                // No database of the three holds NUL in a text.
                (!text.contains('\0')).then(|| Value::Text(text.to_owned()))
            }
            Self::Number(least, most) => {
                let number = whole(text)?;
                (least..=most).contains(&number).then_some(Value::Number(number))
            }
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "0" | "false" => Some(Value::Flag(false)),
                "1" | "true" => Some(Value::Flag(true)),
                _ => None,
            },
            Self::Money => Amount::parse(text).filter(|amount| !amount.is_negative()).map(Value::Money),
            Self::Day => day(text).map(Value::Day),
            Self::Minute => {
                let (date, clock) = text.split_at_checked(8)?;
                let (hour, minute) = clock.split_at_checked(2)?;
                let time = jiff::civil::Time::new(two(hour)?, two(minute)?, 0, 0).ok()?;
                Some(Value::Minute(day(date)?.to_datetime(time)))
            }
            Self::Sex => match text {
                "M" | "m" => Some(Value::Text("M".to_owned())),
                "F" | "f" => Some(Value::Text("F".to_owned())),
                _ => None,
            },
            Self::Mac => mac_digits(text.as_bytes()).map(|_| Value::Text(text.to_owned())),
            Self::Address => text.parse::<IpAddr>().ok().map(|ip| Value::Text(ip.to_string())),
            Self::Discarded => Some(Value::Discarded),
            Self::DiscardedNumber => whole(text).map(|_| Value::Discarded),
        }
    }
}

/// Digits alone, or with a sign in front.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(())?;
    text.parse().ok()
}

fn two(text: &str) -> Option<i8> {
    (text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit())).then_some(())?;
    text.parse().ok()
}

fn day(text: &str) -> Option<Date> {
    (text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_digit())).then_some(())?;
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Date::new(year.parse().ok()?, two(month)?, two(day)?).ok()
}

const fn of(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

const fn required(name: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Text, required: true }
}

const fn text(name: &'static str) -> Parameter {
    of(name, Kind::Text)
}

/// A field of the customer, which an empty value clears.
const fn field(name: &'static str) -> Parameter {
    of(name, Kind::Clearable)
}

const fn flag(name: &'static str) -> Parameter {
    of(name, Kind::Flag)
}

const fn plan(name: &'static str) -> Parameter {
    of(name, Kind::Number(0, i64::MAX))
}

const fn secret(name: &'static str) -> Parameter {
    of(name, Kind::Discarded)
}

/// A century: what is longer is a mistake, and sums of times stay far from the end of 64 bits.
const SECONDS_MAX: i64 = 100 * 366 * 86_400;
const SECONDS: Kind = Kind::Number(0, SECONDS_MAX);
/// 2⁵³ octets, for the same reason.
const OCTETS: Kind = Kind::Number(0, 1 << 53);
/// Octets a second: 8 × 10¹² bit/s are beyond any link.
const RATE: Kind = Kind::Number(0, 1_000_000_000_000);
/// Days, a century of them.
const DAYS: Kind = Kind::Number(0, 36_600);
/// Pages that a café printed.
const PAGES: Kind = Kind::Number(0, i64::MAX);
/// Columns of FreeRADIUS's tables hold names of so many characters.
const LENGTH: Kind = Kind::Number(1, 64);

const IP: Parameter = of("ip", Kind::Address);
const MAC: Parameter = of("mac", Kind::Mac);

const GENERATE: &[Parameter] = &[
    text("account"),
    of("number", Kind::Number(1, 10_000)),
    plan("groupplan"),
    of("type", Kind::Number(0, 2)),
    flag("autologin"),
    flag("inactivity"),
    flag("sell"),
    of("expire", DAYS),
    of("timeleft", SECONDS),
    flag("unltime"),
    of("quota", OCTETS),
    flag("unlquota"),
    of("download", RATE),
    of("upload", RATE),
    flag("print"),
    flag("preview"),
    of("length", LENGTH),
    of("passlength", LENGTH),
    text("password"),
    of("startnumber", Kind::Number(0, 999_999_999_999)),
];

const UPDATE: &[Parameter] = &[
    required("account"),
    text("password"),
    plan("groupplan"),
    of("type", Kind::Number(0, 2)),
    of("printedcolor", PAGES),
    of("printedbw", PAGES),
    field("software"),
    of("money", Kind::Money),
    of("moneyinc", Kind::Money),
    of("moneydec", Kind::Money),
    of("timeleft", SECONDS),
    of("timeused", SECONDS),
    flag("unltime"),
    flag("unlquota"),
    of("quota", OCTETS),
    of("download", RATE),
    of("upload", RATE),
    flag("autologin"),
    flag("inactivity"),
    flag("sell"),
    flag("enableexpire"),
    of("expiredate", Kind::Day),
    of("expiredatetime", Kind::Minute),
    of("multilogins", Kind::Number(0, i32::MAX as i64)),
    flag("multilogin"),
    flag("enabledailytime"),
    of("dailytime", SECONDS),
    of("dailytimeleft", SECONDS),
    flag("enabledailyquota"),
    of("dailyquota", OCTETS),
    of("dailyquotaleft", OCTETS),
    field("firstname"),
    field("lastname"),
    field("address"),
    field("city"),
    field("postalcode"),
    field("state"),
    of("sex", Kind::Sex),
    field("phone"),
    field("mobile"),
    field("email"),
    field("email2"),
    field("docid"),
    of("doctype", Kind::Number(0, 2)),
    field("companyname"),
    field("businessname"),
    secret("ccname"),
    of("cctype", Kind::DiscardedNumber),
    secret("ccnumber"),
    secret("ccpassword"),
    secret("ccexpmonth"),
    secret("ccexpyear"),
    secret("cccvv2"),
];

const REFILL: &[Parameter] =
    &[required("account"), Parameter { name: "priceplan", kind: Kind::Number(0, i64::MAX), required: true }];

const ONE_ACCOUNT: &[Parameter] = &[required("account")];

const STATISTICS: &[Parameter] = &[of("from", Kind::Day), of("to", Kind::Day)];

const ONE_ACCOUNT_BETWEEN: &[Parameter] = &[required("account"), of("from", Kind::Day), of("to", Kind::Day)];

const LOGIN: &[Parameter] = &[
    required("account"),
    IP,
    MAC,
    of("time", SECONDS),
    flag("unltime"),
    of("quota", OCTETS),
    flag("unlquota"),
    of("download", RATE),
    of("upload", RATE),
    flag("inactivity"),
    of("expire", DAYS),
];

const GENERATE_ALSO: &[Parameter] =
    &[plan("priceplan"), of("expiredate", Kind::Day), of("expiredatetime", Kind::Minute)];
const UPDATE_ALSO: &[Parameter] = &[plan("priceplan")];
const REFILL_ALSO: &[Parameter] = &[plan("groupplan")];
const LOGIN_ALSO: &[Parameter] = &[of("timeleft", SECONDS)];

const LOGOUT: &[Parameter] = &[text("account"), IP, MAC];

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn raw(query: &str) -> Raw {
        let mut raw = Raw::default();
        raw.read(query.as_bytes());
        raw
    }

    fn fault(command: Command, query: &str) -> Option<Fault> {
        raw(query).arguments(command).err()
    }

    #[test]
    fn the_document_lists_99_parameters_of_12_commands() {
        let counts: Vec<usize> = Command::ALL.iter().map(|(command, _)| command.parameters().len()).collect();
        assert_eq!(counts, [20, 53, 2, 1, 1, 0, 2, 3, 0, 11, 3, 3]);
        assert_eq!(counts.iter().sum::<usize>(), 99);
    }

    #[test]
    fn a_command_is_known_in_any_case() {
        assert_eq!(Command::of_path("/ViewAccount"), Some(Command::ViewAccount));
        assert_eq!(Command::of_path("/getpriceplans/"), Some(Command::GetPricePlans));
        assert_eq!(Command::of_path("/"), None);
        assert_eq!(Command::of_path("/viewaccounts"), None);
        assert_eq!(Command::of_path("//viewaccount"), None);
    }

    #[test]
    fn the_badge_clients_query_is_read() {
        let query = "number=1&priceplan=2&autologin=1&type=2&expire=1&unlquota=1&inactivity=0&account=BADGE-&sell=0&&length=15&pass=x";
        let arguments = raw(query).arguments(Command::GenerateAccounts).unwrap();
        assert_eq!(arguments.plan(), Some(("priceplan", 2)));
        assert_eq!(arguments.text("account"), Some("BADGE-"));
        assert_eq!(arguments.number("length"), Some(15));
        assert_eq!(arguments.flag("inactivity"), Some(false));
        assert_eq!(arguments.flag("unlquota"), Some(true));
        assert_eq!(arguments.number("quota"), None);
    }

    #[test]
    fn names_have_no_case_and_the_first_value_counts() {
        let read = raw("&&ACCOUNT=&Account=one&account=two&x&=&&");
        assert_eq!(read.get("account"), Some("one"));
        assert_eq!(read.get("x"), Some(""));
        assert_eq!(read.get("pass"), None);
        assert_eq!(raw("account=%41%20b+c").get("account"), Some("A b c"));
    }

    #[test]
    fn what_has_no_value_was_not_given() {
        assert_eq!(fault(Command::ViewAccount, "account="), Some(Fault::Missing("account")));
        assert_eq!(fault(Command::ViewAccount, "account"), Some(Fault::Missing("account")));
        assert_eq!(fault(Command::GenerateAccounts, "number=&type=&quota="), None);
        let cleared = raw("account=a&phone=&password=").arguments(Command::UpdateAccount).unwrap();
        assert_eq!((cleared.text("phone"), cleared.text("password")), (Some(""), None));
    }

    #[test]
    fn what_is_missing_is_said_before_what_is_wrong() {
        assert_eq!(fault(Command::RefillAccount, "priceplan=x"), Some(Fault::Missing("account")));
        assert_eq!(fault(Command::RefillAccount, "account=a"), Some(Fault::Missing("priceplan")));
        assert_eq!(fault(Command::RefillAccount, "account=a&groupplan=1"), None);
        assert_eq!(fault(Command::RefillAccount, "account=a&priceplan=x"), Some(Fault::Invalid("priceplan")));
        assert_eq!(fault(Command::LoginAccount, "account=a&time=x"), Some(Fault::Missing("mac")));
        assert_eq!(fault(Command::LoginAccount, "mac=x"), Some(Fault::Missing("account")));
        assert_eq!(fault(Command::LogoutAccount, "mac="), Some(Fault::Missing("account")));
        assert_eq!(fault(Command::LogoutAccount, "mac=02-00-00-00-00-01"), None);
    }

    #[test]
    fn every_typed_parameter_refuses_what_is_not_of_its_type() {
        for (command, _) in Command::ALL {
            for Parameter { name, kind, .. } in command.parameters().iter().chain(command.also()) {
                let wrong: &[&str] = match kind {
                    Kind::Text | Kind::Clearable => &["a%00b"],
                    Kind::Discarded => continue,
                    Kind::Number(..) => &["x", "1.5", "-1", "1e3", "0x10", "99999999999999999999", "1 2"],
                    Kind::DiscardedNumber => &["VISA", "1.5"],
                    Kind::Flag => &["2", "yes", "-1", "01"],
                    Kind::Money => &["-1", "1,50", "x", "1.", "1e3", "1.0000000000000000001"],
                    Kind::Day => &["20250230", "2025-02-03", "2025011", "202501011", "20251301", "x"],
                    Kind::Minute => &["20250101", "202501012400", "202501011260", "202502301200", "x"],
                    Kind::Sex => &["X", "male", "MF"],
                    Kind::Mac => &["x", "02-00-00-00-00", "02-00-00-00-00-0G"],
                    Kind::Address => &["x", "1.2.3", "1.2.3.256", "host.example"],
                };
                for value in wrong {
                    let mut query = format!("{name}={value}");
                    for needed in ["account=a", "mac=02-00-00-00-00-01"] {
                        if !needed.starts_with(&format!("{name}=")) {
                            query.push_str(&format!("&{needed}"));
                        }
                    }
                    if command == Command::RefillAccount && *name == "account" {
                        query.push_str("&priceplan=1");
                    }
                    assert_eq!(fault(command, &query), Some(Fault::Invalid(name)), "{query}");
                }
            }
        }
    }

    #[test]
    fn a_quote_is_only_text() {
        let query = "account='%20OR%201=1;--&quota=1";
        let arguments = raw(query).arguments(Command::UpdateAccount).unwrap();
        assert_eq!(arguments.text("account"), Some("' OR 1=1;--"));
    }

    #[test]
    fn values_are_read_by_their_type() {
        let query = "account=a&money=12.50&expiredate=20240229&expiredatetime=202402292359&sex=f&multilogin=True&ccnumber=4111111111111111&cctype=1";
        let arguments = raw(query).arguments(Command::UpdateAccount).unwrap();
        assert_eq!(arguments.money("money"), Amount::parse("12.5"));
        assert_eq!(arguments.day("expiredate"), Some(date(2024, 2, 29)));
        assert_eq!(arguments.minute("expiredatetime"), Some(date(2024, 2, 29).at(23, 59, 0, 0)));
        assert_eq!(arguments.text("sex"), Some("F"));
        assert_eq!(arguments.flag("multilogin"), Some(true));
        assert_eq!(arguments.text("ccnumber"), None);
        let debug = format!("{:?} {:?}", raw("ccnumber=4111111111111111"), arguments.0);
        assert!(!debug.contains("4111"), "{debug}");
    }
}
