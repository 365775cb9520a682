//! What can be set about HTTP.

use std::net::SocketAddr;
use std::time::Duration;

/// `[http]`, and the listeners of the dialects that clients expect on a port of their own. Equal
/// addresses share one listener; `None` is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// mFusion, Jaze, native API, console, `/metrics`, `/health`.
    pub listen: Option<SocketAddr>,
    /// IBSng.
    pub ibsng: Option<SocketAddr>,
    /// Antamedia.
    pub antamedia: Option<SocketAddr>,
    /// Most octets of a request body.
    pub body_limit: u32,
    /// Longest time from a request's first octet to its answer.
    pub timeout: Duration,
    /// Failed credentials per minute and source address before it is throttled.
    pub failures_per_minute: u32,
}
