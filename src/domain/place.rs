//! Where subscribers live: areas have streets, streets have blocks (buildings).

use smol_str::SmolStr;

use super::subscriber::SubscriberId;

/// What kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceKind {
    /// A part of a town. It belongs to an account.
    Area,
    /// It belongs to an area.
    Street,
    /// A building of a street.
    Block,
}

impl PlaceKind {
    /// The word for people and in `tk_audit`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Street => "street",
            Self::Block => "block",
        }
    }

    /// What it belongs to.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Area => None,
            Self::Street => Some(Self::Area),
            Self::Block => Some(Self::Street),
        }
    }
}

/// An area, a street or a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number among those of its kind.
    pub id: i64,
    /// Name of the account it belongs to.
    pub account: SmolStr,
    /// The number of what it belongs to; of an area `None`.
    pub parent: Option<i64>,
    /// Its name.
    pub name: SmolStr,
    /// A mark of the operator's own.
    pub internal: Option<SmolStr>,
}

/// Where a subscriber lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Degrees as the operator wrote them.
    pub latitude: Option<SmolStr>,
    /// Degrees as the operator wrote them.
    pub longitude: Option<SmolStr>,
    /// Number and name.
    pub area: Option<(i64, SmolStr)>,
    /// Number and name.
    pub street: Option<(i64, SmolStr)>,
    /// Number and name.
    pub block: Option<(i64, SmolStr)>,
}

/// Somebody to be visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Who.
    pub subscriber: SubscriberId,
    /// Name of its account.
    pub account: SmolStr,
    /// Where.
    pub location: Location,
    /// What it owes; `None` where nothing was ever due.
    pub due: Option<super::Amount>,
    /// Mr, Mrs …
    pub title: SmolStr,
    /// First name.
    pub first: SmolStr,
    /// Last name.
    pub last: SmolStr,
    /// Telephone.
    pub phone: SmolStr,
    /// E-mail.
    pub email: SmolStr,
    /// Address.
    pub address1: SmolStr,
    /// Address.
    pub address2: SmolStr,
}
