//! A subscriber with all that the management APIs tell of one, and the words to ask for some.

use std::fmt;

use smol_str::SmolStr;

use super::contact::Contact;
use super::report::Pattern;
use super::subscriber::{AttributeRow, SubscriberId, SubscriberStatus};
use crate::time::UnixTime;

/// By what a caller names a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// By its number.
    Number(SubscriberId),
    /// By its login, octet for octet.
    Login(&'a str),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{}", number.0),
            Self::Login(login) => f.write_str(login),
        }
    }
}

/// What kind of login somebody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A name and a password.
    #[default]
    User,
    /// The MAC address of a device; it is login enough.
    Mac,
    /// A number that is login and secret in one.
    Pin,
    /// A code on paper that is login and secret in one.
    Ticket,
    /// Paid before it is used.
    Prepaid,
    /// Paid after it was used.
    Postpaid,
}

impl Kind {
    /// Every kind with the word that `tk_subscriber.kind` holds.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::User, "user"),
        (Self::Mac, "mac"),
        (Self::Pin, "pin"),
        (Self::Ticket, "ticket"),
        (Self::Prepaid, "prepaid"),
        (Self::Postpaid, "postpaid"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("user", |(_, word)| word)
    }

    /// Reads the word in the table.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }

    /// Has it no password, so that its login is enough?
    #[must_use]
    pub const fn is_login_enough(self) -> bool {
        matches!(self, Self::Mac | Self::Pin)
    }
}

/// A subscriber as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The one number.
    pub id: SubscriberId,
    /// User-Name.
    pub login: SmolStr,
    /// `user`, `mac`, `pin`, `ticket`, `prepaid`, `postpaid`.
    pub kind: SmolStr,
    /// Administrative status.
    pub status: SubscriberStatus,
    /// Why it is that.
    pub status_reason: SmolStr,
    /// Name of the account it belongs to.
    pub account: SmolStr,
    /// Name of the primary plan.
    pub plan: Option<SmolStr>,
    /// The end, if there is one.
    pub expires: Option<UnixTime>,
    /// Not to be used before, if there is such a date.
    pub activation: Option<UnixTime>,
    /// First login.
    pub first_use: Option<UnixTime>,
    /// Last login.
    pub last_use: Option<UnixTime>,
    /// When it was made.
    pub created: UnixTime,
    /// By whom.
    pub created_by: SmolStr,
    /// When an operator last changed it.
    pub updated: UnixTime,
    /// Which.
    pub updated_by: SmolStr,
    /// It counts as sold.
    pub sold: bool,
    /// The batch it was made in.
    pub batch: Option<i64>,
    /// For people.
    pub comments: SmolStr,
    /// radcheck. Secrets are masked unless they were asked for and are allowed.
    pub check: Vec<AttributeRow>,
    /// radreply.
    pub reply: Vec<AttributeRow>,
    /// Its groups by priority, then in the order in which they came; not the one of those who are disabled.
    pub groups: Vec<SmolStr>,
    /// It is in the group by which other tools disable.
    pub disabled_by_group: bool,
    /// Who it is to people.
    pub contact: Contact,
    /// How it proves who it is.
    pub proof: StoredProof,
}

/// What a subscriber's check rows ask it for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoredProof {
    /// A password.
    Password {
        /// Its first character, where it is kept readable.
        initial: Option<char>,
    },
    /// Nothing but its login.
    #[default]
    Login,
}

impl StoredProof {
    /// What check rows ask for.
    #[must_use]
    pub fn of(check: &[AttributeRow]) -> Self {
        let is = |row: &AttributeRow, name: &str| row.attribute.eq_ignore_ascii_case(name);
        let readable =
            check.iter().rev().find(|row| is(row, "Cleartext-Password") || is(row, "User-Password"));
        if let Some(row) = readable {
            return Self::Password { initial: row.value.chars().next() };
        }
        if check.iter().any(|row| row.attribute.to_ascii_lowercase().contains("password")) {
            return Self::Password { initial: None };
        }
        let accepts = |row: &AttributeRow| is(row, "Auth-Type") && row.value.eq_ignore_ascii_case("Accept");
        if check.iter().any(accepts) { Self::Login } else { Self::Password { initial: None } }
    }
}

impl Person {
    /// Is it refused because somebody said so? By its status, or as other tools do it: by a group, or by a
    /// check row `Auth-Type := Reject`.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        let rejected = |row: &AttributeRow| {
            row.attribute.eq_ignore_ascii_case("Auth-Type") && row.value.eq_ignore_ascii_case("Reject")
        };
        self.status != SubscriberStatus::Active || self.disabled_by_group || self.check.iter().any(rejected)
    }
}

/// Which subscribers are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleFilter {
    /// This one.
    pub id: Option<i64>,
    /// Whose login is so.
    pub login: Option<Pattern>,
    /// Whose primary plan has this name.
    pub plan: Option<String>,
    /// In this batch.
    pub batch: Option<i64>,
}

/// A group that subscribers can have: a plan, or what other tools made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: SmolStr,
    /// For people; empty where nobody has said anything.
    pub description: SmolStr,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: SubscriberId,
    /// User-Name.
    pub login: SmolStr,
    /// First name, if known.
    pub first: Option<SmolStr>,
    /// Last name, if known.
    pub last: Option<SmolStr>,
    /// Priority of the group for it; lower ones come first.
    pub priority: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Vec<AttributeRow> {
        let row = |(attribute, value): &(&str, &str)| AttributeRow {
            id: 1,
            attribute: (*attribute).into(),
            op: ":=".into(),
            value: (*value).into(),
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn a_password_is_told_from_a_login_that_is_enough() {
        let of = |check: &[(&str, &str)]| StoredProof::of(&rows(check));
        assert_eq!(of(&[("Cleartext-Password", "Secret")]), StoredProof::Password { initial: Some('S') });
        assert_eq!(of(&[("Crypt-Password", "$6$x$y")]), StoredProof::Password { initial: None });
        assert_eq!(of(&[("Auth-Type", "Accept"), ("Simultaneous-Use", "1")]), StoredProof::Login);
        assert_eq!(of(&[]), StoredProof::Password { initial: None });
    }
}
