//! What a session is given, said without any vendor's words: rate, volume, redirect. A vendor pack
//! renders it in the attributes of a NAS type (DESIGN §4).

/// How fast a session may be. Bit/s; `None` is not limited by us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rate {
    /// To the subscriber.
    pub down: Option<u64>,
    /// From the subscriber.
    pub up: Option<u64>,
}

impl Rate {
    /// Neither direction is limited.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.down.is_none() && self.up.is_none()
    }
}

/// How much a session may move from its beginning on, octets; `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Volume {
    /// Both directions together.
    pub total: Option<u64>,
    /// To the subscriber (RFC 2866 Acct-Output-Octets).
    pub down: Option<u64>,
    /// From the subscriber (RFC 2866 Acct-Input-Octets).
    pub up: Option<u64>,
}

impl Volume {
    /// Nothing is limited.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.total.is_none() && self.down.is_none() && self.up.is_none()
    }
}
