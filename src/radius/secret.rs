//! Shared secrets.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _};
use md5::{Digest as _, Md5};

/// A shared secret of any octets, never empty (RFC 2865 §3). `Debug` does not show it.
///
/// The hashes that begin with the secret are kept ready: a clone of them costs less than hashing it
/// anew for every packet.
#[derive(Clone)]
pub struct Secret(Arc<Keyed>);

struct Keyed {
    octets: Box<[u8]>,
    md5: Md5,
    hmac: Hmac<Md5>,
}

impl Secret {
    /// The secret, or `None` if it is empty.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        if octets.is_empty() {
            return None;
        }
        // HMAC takes keys of any length.
        let hmac = Hmac::new_from_slice(octets).ok()?;
        Some(Self(Arc::new(Keyed { octets: octets.into(), md5: Md5::new_with_prefix(octets), hmac })))
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0.octets
    }

    /// MD5 that has taken in the secret.
    pub(super) fn md5(&self) -> Md5 {
        self.0.md5.clone()
    }

    /// HMAC-MD5 keyed with the secret.
    pub(super) fn hmac(&self) -> Hmac<Md5> {
        self.0.hmac.clone()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.octets() == other.octets()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
