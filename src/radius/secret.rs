//! Shared secrets.

use std::fmt;
use std::sync::Arc;

/// A shared secret of any octets, never empty (RFC 2865 §3). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The secret, or `None` if it is empty.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        (!octets.is_empty()).then(|| Self(octets.into()))
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
