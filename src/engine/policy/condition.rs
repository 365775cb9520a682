//! Check rows that compare with the request.

use std::cell::Cell;
use std::net::IpAddr;

use smol_str::SmolStr;

use super::operator::Operator;
use super::window::Window;
use crate::domain::text::{mac_digits, text_from_octets};
use crate::domain::{NasIdentity, RejectReason};
use crate::engine::Settings;
use crate::radius::AccessRequest;
use crate::radius::attribute::{
    Attributes, NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_IPV6_ADDRESS, SubAttributes, VENDOR_SPECIFIC,
    VendorFormat, vendor_specific,
};
use crate::time::{Now, UnixTime};

/// What conditions look at: the attributes of an Access-Request, or of one that `explain` imagines.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Encoded attributes, as in a packet.
    pub attributes: &'a [u8],
    /// Where the request came from.
    pub source: IpAddr,
    /// It is an open session that is looked at again: the attributes are what its accounting told, and
    /// what its login said besides is not known any more.
    pub recalled: bool,
}

impl<'a> Attempt<'a> {
    /// What a real request says.
    #[must_use]
    pub fn of(request: &AccessRequest<'a>, source: IpAddr) -> Self {
        Self { attributes: request.packet().attributes().rest(), source, recalled: false }
    }

    /// Which NAS it is that asks.
    pub(super) fn nas(&self) -> NasIdentity {
        let mut nas = NasIdentity { source: self.source, address: None, identifier: SmolStr::default() };
        for attribute in Attributes::new(self.attributes) {
            match attribute.number {
                NAS_IP_ADDRESS => {
                    nas.address = <[u8; 4]>::try_from(attribute.value).ok().map(IpAddr::from).or(nas.address);
                }
                NAS_IPV6_ADDRESS if nas.address.is_none() => {
                    nas.address = <[u8; 16]>::try_from(attribute.value).ok().map(IpAddr::from);
                }
                NAS_IDENTIFIER => nas.identifier = text_from_octets(attribute.value),
                _ => {}
            }
        }
        nas
    }
}

/// A check row that must hold.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) subject: Subject,
    pub(crate) op: Operator,
    pub(crate) expected: Expected,
    /// The row, for people.
    pub(crate) rule: SmolStr,
}

/// What a condition looks at.
#[derive(Debug)]
pub(crate) enum Subject {
    /// A standard attribute.
    Standard(u8),
    /// A vendor's attribute in Vendor-Specific: vendor, layout, number.
    Vendor(u32, VendorFormat, u32),
    /// The source address of the packet.
    Source,
    /// Membership in a group.
    Group,
    /// The time of the week.
    CurrentTime,
    /// Whether a date is still to come.
    Expiration,
    /// Something no request has.
    Absent,
    /// The row cannot be read; nobody matches it.
    Unreadable,
}

/// What a condition compares with.
#[derive(Debug)]
pub(crate) enum Expected {
    /// Octets of the value, in whose order the values are in order.
    Octets(Box<[u8]>),
    /// A device, however it is written.
    Mac([u8; 12]),
    /// A number or address of exactly that many octets; the first bit is turned round where it is a sign.
    Number(Box<[u8]>, bool),
    /// A regular expression.
    Pattern(Box<regex_lite::Regex>),
    /// Times of the week.
    Window(Window),
    /// A date.
    Date(UnixTime),
    /// Nothing: presence alone counts.
    Nothing,
}

/// What conditions are tried on besides the request.
pub(crate) struct Circumstances<'a> {
    pub(crate) attempt: Attempt<'a>,
    pub(crate) groups: &'a [std::sync::Arc<super::CompiledGroup>],
    pub(crate) settings: &'a Settings,
    pub(crate) now: Now,
    /// A condition was taken for met because nobody knows.
    pub(crate) doubt: Cell<bool>,
}

impl Condition {
    /// Does it hold? Of several attributes of the name one that matches is enough, for `!=` as well, as
    /// in FreeRADIUS; an absent one matches nothing but `!*`.
    pub(crate) fn holds(&self, on: &Circumstances<'_>) -> bool {
        let mut present = false;
        let mut matched = false;
        let mut see = |octets: &[u8]| {
            present = true;
            matched |= self.compare(octets);
        };
        match &self.subject {
            Subject::Unreadable => return false,
            Subject::Absent => {}
            Subject::Standard(number) => {
                for attribute in Attributes::new(on.attempt.attributes) {
                    if attribute.number == *number {
                        see(attribute.value);
                    }
                }
            }
            Subject::Vendor(vendor, format, number) => {
                for attribute in Attributes::new(on.attempt.attributes) {
                    if attribute.number == VENDOR_SPECIFIC
                        && let Some((found, octets)) = vendor_specific(attribute.value)
                        && found == *vendor
                    {
                        for part in SubAttributes::new(octets, *format).into_iter().flatten() {
                            if part.number == *number {
                                see(part.value);
                            }
                        }
                    }
                }
            }
            Subject::Source => match on.attempt.source {
                IpAddr::V4(address) => see(&address.octets()),
                IpAddr::V6(address) => see(&address.octets()),
            },
            Subject::Group => return self.member(on),
            Subject::CurrentTime => {
                let Expected::Window(window) = &self.expected else { return false };
                let open = window.at(on.now.unix, &on.settings.zone).is_some();
                return open != (self.op == Operator::NotEqual);
            }
            Subject::Expiration => {
                let Expected::Date(date) = self.expected else { return false };
                return by_order(self.op, (on.now.unix > date).cmp(&false));
            }
        }
        if on.attempt.recalled
            && !present
            && matches!(self.subject, Subject::Standard(_) | Subject::Vendor(..))
        {
            on.doubt.set(true);
            return true;
        }
        match self.op {
            Operator::Present => present,
            Operator::Absent => !present,
            _ => matched,
        }
    }

    fn member(&self, on: &Circumstances<'_>) -> bool {
        let Expected::Octets(name) = &self.expected else { return false };
        let member = on.groups.iter().any(|group| group.name.as_bytes() == &**name);
        member != (self.op == Operator::NotEqual)
    }

    fn compare(&self, octets: &[u8]) -> bool {
        match &self.expected {
            Expected::Nothing | Expected::Window(_) | Expected::Date(_) => false,
            Expected::Octets(expected) => by_order(self.op, octets.cmp(expected)),
            Expected::Mac(expected) => {
                let same = mac_digits(octets).is_some_and(|digits| digits == *expected);
                same != (self.op == Operator::NotEqual)
            }
            Expected::Number(expected, signed) => {
                octets.len() == expected.len()
                    && by_order(self.op, ordered(octets, *signed).as_slice().cmp(expected))
            }
            Expected::Pattern(pattern) => {
                let found = std::str::from_utf8(octets).is_ok_and(|text| pattern.is_match(text));
                found != (self.op == Operator::MatchesNot)
            }
        }
    }

    /// Why a login is refused that does not meet it.
    pub(crate) fn reason(&self) -> RejectReason {
        use crate::radius::attribute::{
            CALLING_STATION_ID, FRAMED_IP_ADDRESS, NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_IPV6_ADDRESS,
        };
        match (&self.subject, &self.expected) {
            (Subject::Standard(CALLING_STATION_ID), Expected::Mac(_)) => RejectReason::MacDenied,
            (Subject::Standard(CALLING_STATION_ID), _) => RejectReason::CallerIdDenied,
            (Subject::Standard(NAS_IP_ADDRESS | NAS_IPV6_ADDRESS | NAS_IDENTIFIER) | Subject::Source, _) => {
                RejectReason::NasDenied
            }
            (Subject::Standard(FRAMED_IP_ADDRESS), _) => RejectReason::IpDenied,
            (Subject::CurrentTime, _) => RejectReason::LoginTimeDenied,
            (Subject::Expiration, _) => RejectReason::AbsExpDateReached,
            _ => RejectReason::ConditionFailed,
        }
    }
}

/// The octets in whose order signed numbers are in order too.
pub(crate) fn ordered(octets: &[u8], signed: bool) -> smallvec::SmallVec<[u8; 32]> {
    let mut octets = smallvec::SmallVec::from_slice(octets);
    if let (true, Some(first)) = (signed, octets.first_mut()) {
        *first ^= 0x80;
    }
    octets
}

fn by_order(op: Operator, order: std::cmp::Ordering) -> bool {
    match op {
        Operator::Default | Operator::Subtract | Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::Set
        | Operator::Add
        | Operator::Matches
        | Operator::MatchesNot
        | Operator::Present
        | Operator::Absent => false,
    }
}
