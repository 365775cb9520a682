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

#[cfg(test)]
mod tests {
    use hmac::Mac as _;

    use super::*;
    use crate::radius::packet::Packet;
    use crate::radius::seal::seal_request;

    #[test]
    fn sa_04_an_empty_secret_is_none() {
        assert!(Secret::new(b"").is_none());
        assert!(!format!("{:?}", Secret::new(b"testing123")).contains("testing"));
    }

    #[test]
    fn sa_05_secrets_of_any_length_and_octets_sign() {
        for length in [1, 16, 32, 63, 64, 65, 128, 500] {
            let octets: Vec<u8> =
                (0..length).map(|at| u8::try_from(255 - at % 256).unwrap_or_default()).collect();
            let secret = Secret::new(&octets).unwrap();
            for code in [1, 4, 12, 40, 43] {
                let mut packet = vec![code, 1, 0, 20];
                packet.extend([7; 16]);
                seal_request(&mut packet, &secret).unwrap();
                assert!(Packet::decode(&packet).unwrap().verify(&secret).unwrap().signed());
                let other = Secret::new(&[&octets[..], &[1]].concat()).unwrap();
                assert!(Packet::decode(&packet).unwrap().verify(&other).is_err(), "{length} octets");
            }
        }
    }

    #[test]
    fn rfc2202_2_a_key_longer_than_a_block_is_hashed_first() {
        let mut hmac = Secret::new(&[0xaa; 80]).unwrap().hmac();
        hmac.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex::encode(hmac.finalize().into_bytes()), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }
}
