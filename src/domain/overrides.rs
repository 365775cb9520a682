//! What an account, or one login of it, has in the place of what its plan and its rows say: rows of
//! `tk_override`.

use super::profile::Rate;

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
