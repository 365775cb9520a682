//! Pure decisions: what an Access-Request or Accounting-Request is answered, and why.

pub mod access;
pub mod accounting;
pub mod charge;
pub mod codes;
pub mod password;
pub mod policy;
pub mod quota;
pub mod token;
pub mod trace;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use self::token::TokenKey;

pub use access::{AccessFacts, Decided, Denial, Grant, Offer, Standing, Verdict, access, authorize, explain};
pub use policy::{CompiledGroup, Compiler, Subscriber};
pub(crate) use policy::{Dates, Validity};
pub use trace::{Said, Seen, Step};

/// How decisions are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The zone of Login-Time, and of dates that do not name one.
    pub zone: TimeZone,
    /// Acct-Interim-Interval where no row sets one, seconds; 0 sends none. The default, 600, is the
    /// least that RFC 2869 §5.16 recommends: without interim records nobody could tell a long session
    /// from one whose NAS has gone.
    pub interim_interval: u32,
    /// The first day of the weeks of quotas that do not name one.
    pub week_start: Weekday,
    /// Signs the tokens in Class.
    pub token_key: TokenKey,
}

impl Settings {
    /// The defaults, with the service's key and zone.
    #[must_use]
    pub const fn new(token_key: TokenKey, zone: TimeZone) -> Self {
        Self { zone, interim_interval: 600, week_start: Weekday::Sunday, token_key }
    }
}
