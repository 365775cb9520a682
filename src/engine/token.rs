//! Our token in Class: made with each Access-Accept, checked on each accounting record that echoes it.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::domain::{ClassToken, SubscriberId};
use crate::entropy::Entropy;

/// The key that tokens are signed with; of the service, so that they survive a restart. `Debug` does not
/// show it.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// The key made of 32 octets of entropy.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn new(octets: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(octets).expect("HMAC takes a key of any length"))
    }

    /// A new token for a session of that subscriber.
    #[must_use]
    pub fn issue(&self, subscriber: SubscriberId, entropy: &mut dyn Entropy) -> ClassToken {
        let mut token = [0; 16];
        let (random, mac) = token.split_at_mut(RANDOM_OCTETS);
        entropy.fill(random);
        mac.copy_from_slice(&self.mac(random, subscriber));
        ClassToken(token)
    }

    /// Did we issue the token to that subscriber? Class comes from the network, and names the session
    /// that a record is added to.
    #[must_use]
    pub fn issued(&self, token: ClassToken, subscriber: SubscriberId) -> bool {
        let (random, mac) = token.0.split_at(RANDOM_OCTETS);
        self.mac(random, subscriber).as_slice().ct_eq(mac).into()
    }

    fn mac(&self, random: &[u8], subscriber: SubscriberId) -> [u8; 8] {
        let mut mac = self.0.clone();
        mac.update(random);
        mac.update(&subscriber.0.to_be_bytes());
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut part = [0; 8];
        part.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        part
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(***)")
    }
}

/// Octets of a token that are random; the rest is the MAC.
const RANDOM_OCTETS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_token_is_good_for_its_subscriber_and_key_alone() {
        let (key, other) = (TokenKey::new(&[1; 32]), TokenKey::new(&[2; 32]));
        let mut entropy = SeededEntropy::new(1);
        let token = key.issue(SubscriberId(7), &mut entropy);
        assert!(key.issued(token, SubscriberId(7)));
        assert!(!key.issued(token, SubscriberId(8)));
        assert!(!other.issued(token, SubscriberId(7)));
        assert_ne!(token, key.issue(SubscriberId(7), &mut entropy));
        for bit in 0..128 {
            let mut forged = token.0;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.issued(ClassToken(forged), SubscriberId(7)), "bit {bit}");
        }
    }
}
