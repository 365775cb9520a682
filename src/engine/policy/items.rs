//! Rows as items: what a check row compares or sets, what a reply row sends.

use std::sync::Arc;

use jiff::tz::TimeZone;
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use super::condition::{Condition, Expected, Subject, ordered};
use super::merge::{Id, Item};
use super::operator::Operator;
use super::window::Window;
use crate::domain::AttributeRow;
use crate::domain::text::mac_digits;
use crate::engine::password::{StoredPassword, row_octets};
use crate::engine::quota;
use crate::radius::attribute::CALLING_STATION_ID;
use crate::radius::dictionary::{AttributeDef, DataType, Dictionary};
use crate::radius::value::{self, Encoded};
use crate::time::UnixTime;

/// What a check row means.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) condition: Option<Condition>,
    pub(crate) control: Control,
}

/// What a check row sets.
#[derive(Debug)]
pub(crate) enum Control {
    /// Nothing that is read here.
    Nothing,
    /// A password.
    Password(StoredPassword),
    /// Auth-Type.
    AuthType(AuthType, SmolStr),
    /// Simultaneous-Use.
    SimultaneousUse(u32, SmolStr),
    /// Expiration.
    Expiration(UnixTime, SmolStr),
    /// Access-Period: seconds from the first use.
    AccessPeriod(u64, SmolStr),
    /// Expire-After: seconds from the first use.
    ExpireAfter(u64, SmolStr),
    /// Login-Time.
    LoginTime(Arc<Window>, SmolStr),
    /// A limit on time or volume: seconds or octets, or the unit of the item.
    Quota(quota::Item, i64, SmolStr),
    /// A limit whose value cannot be read: nobody gets in, rather than everybody.
    Unreadable(SmolStr),
}

/// Values of Auth-Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthType {
    /// No password is asked: MAC and PIN logins.
    Accept,
    /// Never.
    Reject,
    /// PAP alone.
    Pap,
    /// CHAP alone.
    Chap,
    /// MS-CHAP alone, either version.
    MsChap,
    /// A module that does not exist here: LDAP, Kerberos, System …
    Other,
}

/// Does the reply go on to the next group?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FallThrough {
    /// No row says.
    #[default]
    Unsaid,
    No,
    Yes,
}

/// The rows of one subscriber or one group, compiled.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// There are check rows at all, readable or not: without any, FreeRADIUS does not look at the reply
    /// rows of a subscriber.
    pub(crate) checked: bool,
    pub(crate) check: Box<[Item<Check>]>,
    pub(crate) reply: Box<[Item<Encoded>]>,
    pub(crate) fall_through: FallThrough,
}

impl Rows {
    /// Does what they give depend on the request?
    pub(crate) fn conditional(&self) -> bool {
        self.check.iter().any(|item| item.meaning.condition.is_some())
    }
}

/// A row that has no effect, or not the one it seems to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The row's `id`; 0 where the warning is about all of them.
    pub row: i64,
    /// The row in words (`radcheck Simultaneous-Use := x`), secrets masked.
    pub rule: SmolStr,
    /// What is wrong with it.
    pub why: SmolStr,
}

/// Reads rows; collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) dictionary: &'a Dictionary,
    pub(super) zone: &'a TimeZone,
    /// `radcheck`, or `radgroupcheck NAME`.
    pub(super) check_table: SmolStr,
    /// The rows are a group's.
    pub(super) of_group: bool,
    pub(super) reply_table: SmolStr,
    pub(super) warnings: Vec<Warning>,
}

impl Reader<'_> {
    pub(super) fn rows(&mut self, check: &[AttributeRow], reply: &[AttributeRow]) -> Rows {
        let mut sorted: Vec<&AttributeRow> = check.iter().collect();
        sorted.sort_by_key(|row| row.id);
        let items = sorted.into_iter().filter_map(|row| self.check_row(row)).collect();
        let mut sorted: Vec<&AttributeRow> = reply.iter().collect();
        sorted.sort_by_key(|row| row.id);
        let fall_through = sorted.iter().find_map(|row| self.fall_through(row)).unwrap_or_default();
        let replies = sorted.into_iter().filter_map(|row| self.reply_row(row)).collect();
        Rows { checked: !check.is_empty(), check: items, reply: replies, fall_through }
    }

    fn check_row(&mut self, row: &AttributeRow) -> Option<Item<Check>> {
        let rule = rule(&self.check_table, row, StoredPassword::is_password(&row.attribute));
        let Some(op) = Operator::parse(&row.op) else {
            self.warn(row, &rule, "unknown operator: the row never matches");
            return Some(never(rule));
        };
        if let Some(password) = StoredPassword::read(&row.attribute, &row.value) {
            return self.password(row, &rule, op, password);
        }
        if row.attribute.eq_ignore_ascii_case("SQL-Group") && op.compares() {
            return Some(member_of(row, rule, op));
        }
        let found = self.dictionary.attribute(&row.attribute).cloned();
        let found = found
            .or_else(|| self.dictionary.attribute_with_tag(&row.attribute).map(|(def, _)| def.into_owned()));
        let Some(def) = found else {
            if op.compares() {
                self.warn(row, &rule, "no dictionary has this attribute: the row never matches");
                return Some(never(rule));
            }
            self.warn(row, &rule, "no dictionary has this attribute: the row has no effect");
            return None;
        };
        let id = id_of(&def);
        match def.name.as_str() {
            "Auth-Type" => self.auth_type(row, rule, op, &def, id),
            "Expiration" => Some(self.expiration(row, rule, op, id)),
            "Current-Time" if op.compares() => Some(self.current_time(row, rule, op, id)),
            "Simultaneous-Use" | "Login-Time" | "Access-Period" | "Expire-After" if !op.compares() => {
                Some(self.limit(row, rule, op, &def, id))
            }
            "Client-IP-Address" | "Packet-Src-IP-Address" | "Packet-Src-IPv6-Address" if op.compares() => {
                Some(self.condition(row, rule, op, &def, id))
            }
            _ if def.internal || !op.compares() => self.without_request(row, rule, op, &def, id),
            _ => Some(self.condition(row, rule, op, &def, id)),
        }
    }

    /// A password is stored by any row that names it: comparing it with the request would say nothing.
    fn password(
        &mut self,
        row: &AttributeRow,
        rule: &SmolStr,
        op: Operator,
        password: StoredPassword,
    ) -> Option<Item<Check>> {
        let op = match op {
            Operator::Set | Operator::Default | Operator::Add => op,
            Operator::Equal => {
                self.warn(row, rule, "read as `:=`; FreeRADIUS would compare it and refuse the login");
                Operator::Set
            }
            _ => {
                self.warn(row, rule, "a password is never compared: the row never matches");
                return Some(never(rule.clone()));
            }
        };
        if row.attribute.eq_ignore_ascii_case("User-Password") {
            self.warn(row, rule, "read as Cleartext-Password; FreeRADIUS takes no password from it");
        }
        if let Some(why) = password.unservable() {
            self.warn(row, rule, &why.to_string());
        }
        let id = match self.dictionary.attribute(&row.attribute) {
            Some(def) => id_of(def),
            None => Id::from_slice(&[
                u32::MAX,
                row.attribute.bytes().fold(0, |sum: u32, octet| {
                    sum.wrapping_mul(31).wrapping_add(octet.to_ascii_lowercase().into())
                }),
            ]),
        };
        let meaning = Check { condition: None, control: Control::Password(password) };
        Some(Item { id, tag: 0, op, octets: SmallVec::new(), meaning })
    }

    fn auth_type(
        &mut self,
        row: &AttributeRow,
        rule: SmolStr,
        op: Operator,
        def: &AttributeDef,
        id: Id,
    ) -> Option<Item<Check>> {
        if !matches!(op, Operator::Set | Operator::Default | Operator::Add) {
            self.warn(
                row,
                &rule,
                "Auth-Type is never compared, and this operator does not set it: write `:=`",
            );
        }
        let octets = value::octets(def, &row.value, self.dictionary);
        let number = octets.as_deref().ok().and_then(|octets| octets.try_into().ok()).map(u32::from_be_bytes);
        let name = number.and_then(|number| self.dictionary.value_name(def, number));
        let auth_type = match name {
            Some("Accept") => AuthType::Accept,
            Some("Reject") => AuthType::Reject,
            Some("PAP") => AuthType::Pap,
            Some("CHAP") => AuthType::Chap,
            Some("MS-CHAP") => AuthType::MsChap,
            _ => {
                self.warn(row, &rule, "this Auth-Type is not served: the subscriber cannot log in");
                AuthType::Other
            }
        };
        let octets = octets.unwrap_or_default();
        let meaning = Check { condition: None, control: Control::AuthType(auth_type, rule) };
        Some(Item { id, tag: 0, op, octets, meaning })
    }

    /// Compared, it holds until the date; set, it is a limit of the login.
    fn expiration(&mut self, row: &AttributeRow, rule: SmolStr, op: Operator, id: Id) -> Item<Check> {
        let text = row_octets(&row.value);
        let date = std::str::from_utf8(&text).ok().and_then(|text| value::parse_date(text, self.zone));
        let Some(date) = date else {
            self.warn(row, &rule, "not a date: the subscriber cannot log in");
            return Item { id, tag: 0, op, octets: SmallVec::new(), meaning: unreadable(rule, op) };
        };
        let condition = op.compares().then(|| Condition {
            subject: if op == Operator::Absent { Subject::Absent } else { Subject::Expiration },
            op,
            expected: Expected::Date(date),
            rule: rule.clone(),
        });
        let octets = ordered(&date.0.to_be_bytes(), true);
        Item {
            id,
            tag: 0,
            op,
            octets,
            meaning: Check { condition, control: Control::Expiration(date, rule) },
        }
    }

    fn current_time(&mut self, row: &AttributeRow, rule: SmolStr, op: Operator, id: Id) -> Item<Check> {
        let (window, senseless) = window(&row.value);
        if senseless {
            self.warn(row, &rule, "a part of it is no time of the week, and matches nobody");
        }
        let expected = Expected::Window(window);
        let condition = Some(Condition { subject: Subject::CurrentTime, op, expected, rule });
        Item {
            id,
            tag: 0,
            op,
            octets: SmallVec::new(),
            meaning: Check { condition, control: Control::Nothing },
        }
    }

    /// Simultaneous-Use, Login-Time, and periods from the first use.
    fn limit(
        &mut self,
        row: &AttributeRow,
        rule: SmolStr,
        op: Operator,
        def: &AttributeDef,
        id: Id,
    ) -> Item<Check> {
        let octets = value::octets(def, &row.value, self.dictionary).unwrap_or_default();
        let control = if def.name == "Login-Time" {
            let (window, senseless) = window(&row.value);
            if senseless {
                self.warn(row, &rule, "a part of it is no time of the week, and lets nobody in");
            }
            Control::LoginTime(Arc::new(window), rule)
        } else if let Ok(number) = <[u8; 4]>::try_from(octets.as_slice()) {
            let number = u32::from_be_bytes(number);
            match def.name.as_str() {
                // Minutes (mFusion's) and seconds (FreeRADIUS's).
                "Access-Period" => Control::AccessPeriod(u64::from(number) * 60, rule),
                "Expire-After" => Control::ExpireAfter(number.into(), rule),
                _ => Control::SimultaneousUse(number, rule),
            }
        } else {
            self.warn(row, &rule, "not a number: the subscriber cannot log in");
            Control::Unreadable(rule)
        };
        Item { id, tag: 0, op, octets, meaning: Check { condition: None, control } }
    }

    /// Compares with an attribute of the request.
    fn condition(
        &mut self,
        row: &AttributeRow,
        rule: SmolStr,
        op: Operator,
        def: &AttributeDef,
        id: Id,
    ) -> Item<Check> {
        let condition = match (self.subject(def), self.expected(row, op, def)) {
            (Some(subject), Ok(expected)) => Condition { subject, op, expected, rule },
            (subject, expected) => {
                let why = match (subject, expected) {
                    (Some(_), Err(why)) => format_smolstr!("{why}: the row never matches"),
                    _ => SmolStr::new_static("this attribute is not compared: the row never matches"),
                };
                self.warn(row, &rule, &why);
                return never(rule);
            }
        };
        // What a comparison leaves among the control items is read by nothing here.
        Item {
            id,
            tag: 0,
            op,
            octets: SmallVec::new(),
            meaning: Check { condition: Some(condition), control: Control::Nothing },
        }
    }

    fn subject(&self, def: &AttributeDef) -> Option<Subject> {
        match def.name.as_str() {
            "Client-IP-Address" | "Packet-Src-IP-Address" | "Packet-Src-IPv6-Address" => {
                return Some(Subject::Source);
            }
            _ => {}
        }
        if let Some(number) = def.standard_number() {
            return Some(Subject::Standard(number));
        }
        match (def.specific_vendor(), def.numbers.as_slice()) {
            (Some(vendor), [number]) => Some(Subject::Vendor(vendor.number, vendor.format, *number)),
            _ => None,
        }
    }

    fn expected(&self, row: &AttributeRow, op: Operator, def: &AttributeDef) -> Result<Expected, SmolStr> {
        if matches!(op, Operator::Present | Operator::Absent) {
            return Ok(Expected::Nothing);
        }
        let text = matches!(def.data_type, DataType::Text);
        if matches!(op, Operator::Matches | Operator::MatchesNot) {
            if !text {
                return Err(SmolStr::new_static("a regular expression is tried on text alone"));
            }
            let pattern = row_octets(&row.value);
            let pattern = std::str::from_utf8(&pattern).map_err(|_| SmolStr::new_static("not UTF-8"))?;
            let built = regex_lite::RegexBuilder::new(pattern).size_limit(PATTERN_OCTETS_MAX).build();
            return match built {
                Ok(pattern) => Ok(Expected::Pattern(Box::new(pattern))),
                Err(why) => Err(format_smolstr!("not a regular expression ({why})")),
            };
        }
        if text {
            let octets = row_octets(&row.value);
            if def.standard_number() == Some(CALLING_STATION_ID)
                && matches!(op, Operator::Equal | Operator::Default | Operator::NotEqual)
                && let Some(digits) = mac_digits(&octets)
            {
                return Ok(Expected::Mac(digits));
            }
            return Ok(Expected::Octets(octets.into()));
        }
        let octets =
            value::octets(def, &row.value, self.dictionary).map_err(|why| format_smolstr!("{why}"))?;
        let signed = matches!(def.data_type, DataType::Signed);
        Ok(match def.data_type {
            DataType::Octets
            | DataType::Abinary
            | DataType::Ipv4Prefix
            | DataType::Ipv6Prefix
            | DataType::ComboIp => Expected::Octets(octets.as_slice().into()),
            _ => Expected::Number(ordered(&octets, signed).as_slice().into(), signed),
        })
    }

    /// A row about something that no request carries.
    fn without_request(
        &mut self,
        row: &AttributeRow,
        rule: SmolStr,
        op: Operator,
        def: &AttributeDef,
        id: Id,
    ) -> Option<Item<Check>> {
        if op == Operator::Absent {
            let condition = Condition { subject: Subject::Absent, op, expected: Expected::Nothing, rule };
            let meaning = Check { condition: Some(condition), control: Control::Nothing };
            return Some(Item { id, tag: 0, op, octets: SmallVec::new(), meaning });
        }
        if op.compares() {
            self.warn(row, &rule, "compared with the request, which never has it: write `:=`");
            return Some(never(rule));
        }
        match quota::item_of(&def.name) {
            Some(Ok(item)) => {
                let item = if self.of_group { item.of_group() } else { item };
                Some(self.quota(row, rule, op, def, id, item))
            }
            Some(Err(why)) => {
                self.warn(row, &rule, why);
                None
            }
            None => {
                self.warn(row, &rule, "sets nothing that is used here");
                None
            }
        }
    }

    /// A limit on time or volume. Other products write what is left, which may be less than nothing.
    fn quota(
        &mut self,
        row: &AttributeRow,
        rule: SmolStr,
        op: Operator,
        def: &AttributeDef,
        id: Id,
        item: quota::Item,
    ) -> Item<Check> {
        let text = row_octets(&row.value);
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<i128>().ok());
        let number = number.or_else(|| {
            let octets = value::octets(def, &row.value, self.dictionary).ok()?;
            (octets.len() <= 8).then(|| octets.iter().fold(0, |sum, octet| sum << 8 | i128::from(*octet)))
        });
        let Some(number) = number else {
            self.warn(row, &rule, "not a number: the subscriber cannot log in");
            return Item { id, tag: 0, op, octets: SmallVec::new(), meaning: unreadable(rule, op) };
        };
        let number = i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
        let octets = ordered(&number.to_be_bytes(), true);
        Item {
            id,
            tag: 0,
            op,
            octets,
            meaning: Check { condition: None, control: Control::Quota(item, number, rule) },
        }
    }

    fn fall_through(&mut self, row: &AttributeRow) -> Option<FallThrough> {
        let def = self.dictionary.attribute(&row.attribute).filter(|def| def.name == "Fall-Through")?;
        match value::octets(def, &row.value, self.dictionary) {
            Ok(octets) if octets.iter().all(|octet| *octet == 0) => Some(FallThrough::No),
            Ok(_) => Some(FallThrough::Yes),
            Err(_) => {
                let rule = rule(&self.reply_table, row, false);
                self.warn(row, &rule, "neither Yes nor No");
                None
            }
        }
    }

    fn reply_row(&mut self, row: &AttributeRow) -> Option<Item<Encoded>> {
        let found = self.dictionary.attribute_with_tag(&row.attribute);
        let found = found.map(|(def, tag)| (def.into_owned(), tag));
        let secret = found.as_ref().is_none_or(|(def, _)| def.hiding.is_some());
        let rule = rule(&self.reply_table, row, secret);
        let Some((def, tag)) = found else {
            self.warn(row, &rule, "no dictionary has this attribute: it is not sent");
            return None;
        };
        if def.name == "Fall-Through" {
            return None;
        }
        if def.internal || def.standard_number().is_some_and(|number| NEVER_SENT.contains(&number)) {
            self.warn(row, &rule, "this attribute is never sent in an Access-Accept");
            return None;
        }
        let Some(op) = Operator::parse(&row.op) else {
            self.warn(row, &rule, "unknown operator: the row has no effect");
            return None;
        };
        if row.value.len() > 1 && row.value.starts_with('`') && row.value.ends_with('`') {
            self.warn(row, &rule, "expansions are not supported: it is not sent");
            return None;
        }
        if matches!(
            op,
            Operator::NotEqual
                | Operator::Greater
                | Operator::Less
                | Operator::Matches
                | Operator::MatchesNot
                | Operator::Present
        ) {
            self.warn(row, &rule, "this operator does nothing in a reply");
            return None;
        }
        let encoded = match value::encode(&def, tag, &row.value, self.dictionary) {
            Ok(encoded) => encoded,
            Err(why) => {
                self.warn(row, &rule, &format!("{why}: it is not sent"));
                return None;
            }
        };
        let octets = value::octets(&def, &row.value, self.dictionary).unwrap_or_default();
        let octets = ordered(&octets, matches!(def.data_type, DataType::Signed));
        Some(Item { id: id_of(&def), tag: tag.unwrap_or(0), op, octets, meaning: encoded })
    }

    fn warn(&mut self, row: &AttributeRow, rule: &SmolStr, why: &str) {
        self.warnings.push(Warning { row: row.id, rule: rule.clone(), why: why.into() });
    }
}

/// The row in words; a secret value is masked.
fn rule(table: &str, row: &AttributeRow, secret: bool) -> SmolStr {
    let AttributeRow { attribute, op, value, .. } = row;
    if secret {
        return format_smolstr!("{table} {attribute} {op} ***");
    }
    let shown = value
        .char_indices()
        .nth(RULE_VALUE_MAX)
        .map_or(value.as_str(), |(end, _)| value.get(..end).unwrap_or_default());
    format_smolstr!("{table} {attribute} {op} {shown}")
}

/// A row about membership in a group; the attribute is `rlm_sql`'s own, and in no dictionary.
fn member_of(row: &AttributeRow, rule: SmolStr, op: Operator) -> Item<Check> {
    let expected = Expected::Octets(row_octets(&row.value).into());
    let meaning = Check {
        condition: Some(Condition { subject: Subject::Group, op, expected, rule }),
        control: Control::Nothing,
    };
    Item { id: Id::new(), tag: 0, op, octets: SmallVec::new(), meaning }
}

/// A row that no request meets.
fn never(rule: SmolStr) -> Item<Check> {
    let condition =
        Condition { subject: Subject::Unreadable, op: Operator::Equal, expected: Expected::Nothing, rule };
    let meaning = Check { condition: Some(condition), control: Control::Nothing };
    Item { id: Id::new(), tag: 0, op: Operator::Equal, octets: SmallVec::new(), meaning }
}

fn unreadable(rule: SmolStr, op: Operator) -> Check {
    if op.compares() {
        never(rule).meaning
    } else {
        Check { condition: None, control: Control::Unreadable(rule) }
    }
}

fn window(value: &str) -> (Window, bool) {
    Window::read(&String::from_utf8_lossy(&row_octets(value)))
}

pub(super) fn id_of(def: &AttributeDef) -> Id {
    let vendor = def.vendor.as_ref().map_or(0, |vendor| vendor.number);
    std::iter::once(vendor).chain(def.numbers.iter().copied()).collect()
}

/// Standard attributes that belong in requests, or that the encoder alone adds: User-Password,
/// CHAP-Password, NAS-IP-Address, NAS-Port, NAS-Identifier, Proxy-State, CHAP-Challenge, NAS-Port-Type,
/// EAP-Message, Message-Authenticator (RFC 2865 §5.44).
const NEVER_SENT: [u8; 10] = [2, 3, 4, 5, 32, 33, 60, 61, 79, 80];

/// Characters of a value that a rule shows.
const RULE_VALUE_MAX: usize = 120;

/// Octets that one regular expression may take when compiled.
const PATTERN_OCTETS_MAX: usize = 64 * 1024;
