//! What a subscriber used, by day.

/// A calendar day in the server's time zone, as days since 1970-01-01; [`Day::LIFETIME`] is the
/// bucket of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The bucket that is never reset.
    pub const LIFETIME: Self = Self(-1);
}

/// Totals of one bucket. They never fall; rows in SQL carry the same absolute figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Seconds online, parallel sessions added up.
    pub seconds: u64,
    /// Octets from the subscriber (upload, RFC 2866 Acct-Input-Octets).
    pub input: u64,
    /// Octets to the subscriber (download, RFC 2866 Acct-Output-Octets).
    pub output: u64,
}

impl Usage {
    /// Both added up, never wrapping.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.saturating_add(other.seconds),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
        }
    }

    /// What `self` has beyond `earlier`, 0 where it has less.
    #[must_use]
    pub const fn beyond(self, earlier: Self) -> Self {
        Self {
            seconds: self.seconds.saturating_sub(earlier.seconds),
            input: self.input.saturating_sub(earlier.input),
            output: self.output.saturating_sub(earlier.output),
        }
    }

    /// Nothing was used.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}
