//! The Antamedia HotSpot API: twelve commands at the root of a listener of its own, answered in XML.
//!
//! Refuses to know SQL, sessions and RADIUS, and the other dialects.

use axum::Router;

use super::Shared;

/// `[antamedia]`, but for the passphrase, which the gate keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `viewaccount` shows passwords.
    pub reveal_passwords: bool,
    /// Elements of ours after the documented ones.
    pub extended: bool,
    /// `http_errors = "rest"`: errors also as HTTP status.
    pub rest_errors: bool,
    /// Octet of the answer at which the first user name begins, for clients that cut there.
    pub pad_first_username_to: Option<u32>,
}

/// The routes, on the listener of `antamedia.listen`.
pub(super) fn router(_shared: &Shared) -> Router {
    Router::new()
}
