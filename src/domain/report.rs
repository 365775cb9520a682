//! What lists and reports are asked for, and what their rows are.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::money::Amount;
use super::subscriber::SubscriberId;
use crate::time::UnixTime;

/// How a text has to be; upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This text.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It has this in it.
    Within(String),
}

impl Pattern {
    /// A text with `*` or `%` at its end, its beginning or both is a prefix, a suffix or a part; any other
    /// is the text itself. `None` asks for nothing: it is empty, or nothing but such a sign.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let any = ['*', '%'];
        let ends = text.strip_suffix(any);
        let rest = ends.unwrap_or(text);
        let begins = rest.strip_prefix(any);
        let rest = begins.unwrap_or(rest).to_owned();
        if rest.is_empty() {
            return None;
        }
        Some(match (begins.is_some(), ends.is_some()) {
            (false, false) => Self::Exact(rest),
            (false, true) => Self::Prefix(rest),
            (true, false) => Self::Suffix(rest),
            (true, true) => Self::Within(rest),
        })
    }

    /// The text without the signs.
    #[must_use]
    pub fn text(&self) -> &str {
        let (Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) | Self::Within(text)) = self;
        text
    }

    /// The same with another text.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Exact(text) => Self::Exact(change(text)),
            Self::Prefix(text) => Self::Prefix(change(text)),
            Self::Suffix(text) => Self::Suffix(change(text)),
            Self::Within(text) => Self::Within(change(text)),
        }
    }
}

/// A Calling- or Called-Station-Id as it is compared: without separators, in upper case.
#[must_use]
pub fn station(text: &str) -> String {
    let kept = text.chars().filter(|character| !matches!(character, '-' | ':' | '.' | ' '));
    kept.collect::<String>().to_ascii_uppercase()
}

/// A span of time; an open end is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first second.
    pub from: Option<UnixTime>,
    /// The first second after it.
    pub until: Option<UnixTime>,
}

impl Span {
    /// Both ends are open.
    #[must_use]
    pub const fn is_everything(self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

/// Which sessions; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of this login, octet for octet.
    pub subscriber: Option<SmolStr>,
    /// User-Name.
    pub login: Option<Pattern>,
    /// What [`SessionRow::hotspot`] is.
    pub hotspot: Option<Pattern>,
    /// Address of the NAS.
    pub nas: Option<Pattern>,
    /// Calling-Station-Id, see [`station`].
    pub device: Option<Pattern>,
    /// Called-Station-Id, see [`station`].
    pub called: Option<Pattern>,
    /// Framed-IP-Address.
    pub framed: Option<Pattern>,
    /// When they began.
    pub began: Span,
    /// Open ones only.
    pub open: bool,
    /// Oldest first; newest first otherwise, by `radacctid`.
    pub ascending: bool,
}

/// A session as lists show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRow {
    /// `radacct.radacctid`.
    pub id: i64,
    /// `radacct.acctuniqueid`.
    pub unique_id: SmolStr,
    /// NAS-Identifier, else the name of the NAS, else empty.
    pub hotspot: SmolStr,
    /// User-Name.
    pub login: SmolStr,
    /// Calling-Station-Id.
    pub device: SmolStr,
    /// Called-Station-Id.
    pub called: SmolStr,
    /// Framed-IP-Address; empty where there is none.
    pub framed: SmolStr,
    /// Address of the NAS.
    pub nas: SmolStr,
    /// When it began.
    pub started: Option<UnixTime>,
    /// When it ended; `None` while open.
    pub stopped: Option<UnixTime>,
    /// Acct-Session-Time, seconds.
    pub seconds: u64,
    /// Octets from the subscriber.
    pub input: u64,
    /// Octets to the subscriber.
    pub output: u64,
    /// Acct-Terminate-Cause; empty while open.
    pub cause: SmolStr,
    /// First and last name of the subscriber, as far as known.
    pub name: SmolStr,
}

/// Which login attempts; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptFilter {
    /// User-Name.
    pub login: Option<Pattern>,
    /// `Access-Accept` or `Access-Reject`.
    pub reply: Option<String>,
    /// When.
    pub at: Span,
}

/// A login attempt as lists show it: a row of `radpostauth` without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// `radpostauth.id`.
    pub id: i64,
    /// User-Name.
    pub login: SmolStr,
    /// `Access-Accept` or `Access-Reject`.
    pub reply: SmolStr,
    /// When.
    pub at: Option<UnixTime>,
}

/// Which purchases; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurchaseFilter {
    /// Login of the buyer.
    pub login: Option<Pattern>,
    /// What was bought.
    pub plan_name: Option<Pattern>,
    /// The buyer's plans.
    pub profiles: Option<Pattern>,
    /// Remarks.
    pub remarks: Option<Pattern>,
    /// When; both spans have to hold.
    pub at: [Span; 2],
}

/// A top-up that was sold: a row of `tk_topup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub subscriber: SubscriberId,
    /// The login it was sold to.
    pub login: SmolStr,
    /// What was bought.
    pub plan_name: SmolStr,
    /// The plans of the buyer at that time, joined by `, `.
    pub profiles: SmolStr,
    /// What it cost.
    pub amount: Option<Amount>,
    /// ISO 4217.
    pub currency: SmolStr,
    /// For people.
    pub remarks: SmolStr,
    /// Who sold it.
    pub created_by: SmolStr,
    /// When.
    pub at: UnixTime,
}

/// What a number of sessions add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionTotals {
    /// How many.
    pub sessions: u64,
    /// Different logins among them.
    pub logins: u64,
    /// Seconds.
    pub seconds: u64,
    /// Octets from subscribers.
    pub input: u64,
    /// Octets to subscribers.
    pub output: u64,
    /// When the first began.
    pub first: Option<UnixTime>,
    /// When one of them was last heard of.
    pub last: Option<UnixTime>,
}

/// What happened in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Subscribers made.
    pub made: u64,
    /// Those of them that are sold.
    pub sold: u64,
    /// Sessions that began.
    pub sessions: SessionTotals,
    /// What was sold for how much, all currencies added up.
    pub income: Amount,
}

/// An address as a pattern asks for it: `None` where it is no whole address.
#[must_use]
pub fn address(pattern: &Pattern) -> Option<IpAddr> {
    match pattern {
        Pattern::Exact(text) => text.trim().parse().ok(),
        Pattern::Prefix(_) | Pattern::Suffix(_) | Pattern::Within(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_either_end_matches_anything() {
        let parse = Pattern::parse;
        assert_eq!(parse("bob"), Some(Pattern::Exact("bob".into())));
        assert_eq!(parse("bob*"), Some(Pattern::Prefix("bob".into())));
        assert_eq!(parse("%bob"), Some(Pattern::Suffix("bob".into())));
        assert_eq!(parse("*bob%"), Some(Pattern::Within("bob".into())));
        assert_eq!(parse("b*b"), Some(Pattern::Exact("b*b".into())));
        assert_eq!((parse(""), parse("*"), parse("%%")), (None, None, None));
    }

    #[test]
    fn stations_are_compared_without_separators_and_case() {
        assert_eq!(station("02-aa-00-bb-0c-01:Lobby"), station("02:AA:00:BB:0C:01:lobby"));
        assert_eq!(station("02aa.00bb.0c01"), "02AA00BB0C01");
    }
}
