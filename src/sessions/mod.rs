//! One subscriber's online sessions, reservations and usage: pure state, no locks, no clocks.
//!
//! Owns how records become sessions: what is late, what is sent again, what is a wrapped counter and
//! what another use of an old Acct-Session-Id. Refuses to know packets, SQL and who else is online.
//! Read [`SubscriberSessions`] next, then `belonging` (whose a record is), `online` (how it is
//! merged), `counters` and `ledger`; `packed` is how a session is kept.

mod belonging;
mod counters;
mod device;
mod ledger;
mod online;
mod packed;
mod settings;
mod subscriber;

pub use device::{Device, Occupancy, Reservation};
pub use ledger::{date_of, day_of, day_of_date, day_start};
pub use settings::Settings;
pub use subscriber::{Change, Days, RecordFacts, SessionChange, SubscriberSessions};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
