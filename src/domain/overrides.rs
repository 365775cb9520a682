//! What an account, or one login of it, has in the place of what its plan and its rows say: rows of
//! `tk_override`.

use smol_str::SmolStr;

use super::profile::Rate;
use crate::time::UnixTime;

/// What holds for an account for as long as its row is there; `None` leaves it to the rows and the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// How fast its sessions are, whatever the rows say. An exhausted quota may slow them down further.
    pub rate: Rate,
    /// Idle-Timeout, seconds; 0 is none.
    pub idle_timeout: Option<u32>,
    /// Simultaneous-Use.
    pub places: Option<u32>,
}

impl AccountOverride {
    /// Nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a later row says in the place of this.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            rate: Rate { down: later.rate.down.or(self.rate.down), up: later.rate.up.or(self.rate.up) },
            idle_timeout: later.idle_timeout.or(self.idle_timeout),
            places: later.places.or(self.places),
        }
    }
}

/// A row of `tk_override` for one login: what the next login of a device has, and its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginOverride {
    /// Primary key.
    pub id: i64,
    /// The device, however its address is written.
    pub mac: SmolStr,
    /// How long the session may last, seconds.
    pub seconds: Option<u64>,
    /// The session ends then.
    pub expires: Option<UnixTime>,
    /// How much it may move in each direction, octets.
    pub octets: Option<u64>,
    /// How fast it is, in the place of the account's rate.
    pub rate: Rate,
    /// Idle-Timeout, seconds; 0 is none.
    pub idle_timeout: Option<u32>,
}

/// What one login has, once it is there: kept with its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginTerms {
    /// The session ends then.
    pub ends: Option<UnixTime>,
    /// How much it may move in each direction, octets.
    pub octets: Option<u64>,
    /// How fast it is.
    pub rate: Rate,
    /// Idle-Timeout, seconds; 0 is none.
    pub idle_timeout: Option<u32>,
}

impl LoginOverride {
    /// What a login at this moment has.
    #[must_use]
    pub fn at(&self, now: UnixTime) -> LoginTerms {
        let ends = [self.seconds.map(|seconds| now.plus(seconds)), self.expires].into_iter().flatten().min();
        LoginTerms { ends, octets: self.octets, rate: self.rate, idle_timeout: self.idle_timeout }
    }
}
