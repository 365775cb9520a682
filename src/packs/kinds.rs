//! What an attribute says about a session, in neutral words, and sets of that.

use crate::radius::attribute::{
    Attribute, FILTER_ID, IDLE_TIMEOUT, NAS_FILTER_RULE, TUNNEL_MEDIUM_TYPE, TUNNEL_PRIVATE_GROUP_ID,
    TUNNEL_TYPE, VENDOR_SPECIFIC, vendor, vendor_specific,
};

/// What an attribute says about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// How fast.
    Rate,
    /// How much.
    Volume,
    /// Where to instead.
    Redirect,
    /// How long.
    SessionTimeout,
    /// How long without traffic.
    IdleTimeout,
    /// How often it is reported.
    InterimInterval,
    /// Anything else that may change while it runs: filters, routes, profiles of the NAS.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Rate,
        Self::Volume,
        Self::Redirect,
        Self::SessionTimeout,
        Self::IdleTimeout,
        Self::InterimInterval,
        Self::Other,
    ];

    /// The word in a pack's file, and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Volume => "volume",
            Self::Redirect => "redirect",
            Self::SessionTimeout => "session-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::InterimInterval => "interim-interval",
            Self::Other => "other",
        }
    }

    /// Reads the word in a pack's file.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Can a running session be given another? Filters, VLAN, Idle-Timeout and what vendors made up can.
/// Addresses, routes, pools and the like are settled at the login, and so are the keys of Microsoft's.
#[must_use]
pub fn is_changeable(attribute: Attribute<'_>) -> bool {
    match attribute.number {
        VENDOR_SPECIFIC => {
            vendor_specific(attribute.value).is_some_and(|(number, _)| number != vendor::MICROSOFT)
        }
        number => CHANGEABLE.contains(&number),
    }
}

/// Standard attributes that can be changed in mid-session (RFC 5176 §3.6), beside the two timers that are
/// computed.
const CHANGEABLE: [u8; 6] =
    [FILTER_ID, IDLE_TIMEOUT, TUNNEL_TYPE, TUNNEL_MEDIUM_TYPE, TUNNEL_PRIVATE_GROUP_ID, NAS_FILTER_RULE];

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u8);

impl Kinds {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(0x7f);

    /// Is it in the set?
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The set with `kind`.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | (1 << kind as u8))
    }

    /// None is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds in the set, in the order of [`Kind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Kinds = [Kind::Other, Kind::Rate].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Kind::Rate, Kind::Other]);
        assert!(set.contains(Kind::Rate) && !set.contains(Kind::Volume));
        assert_eq!(Kind::ALL.into_iter().collect::<Kinds>(), Kinds::ALL);
        assert!(Kinds::NONE.is_empty() && !set.is_empty());
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("speed"), None);
    }
}
