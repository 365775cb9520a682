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
        let named = match subscriber.0.to_be_bytes() {
            [0, 0, 0, number @ ..] => Some(number),
            // More than a million million subscribers: such a token is good for whom the name says.
            _ => None,
        };
        let Some(number) = named else {
            let (random, mac) = token.split_at_mut(UNNAMED_OCTETS);
            entropy.fill(random);
            mac.copy_from_slice(&self.mac::<8>(&[random, &subscriber.0.to_be_bytes()]));
            return ClassToken(token);
        };
        let (said, mac) = token.split_at_mut(SAID_OCTETS);
        let (id, random) = said.split_at_mut(number.len());
        id.copy_from_slice(&number);
        entropy.fill(random);
        mac.copy_from_slice(&self.mac::<MAC_OCTETS>(&[said]));
        ClassToken(token)
    }

    /// Whom we issued the token to, by its own word; `None` where it is not ours, or says nothing.
    /// Class comes from the network, and names the session that a record is added to.
    #[must_use]
    pub fn subscriber(&self, token: ClassToken) -> Option<SubscriberId> {
        let (said, mac) = token.0.split_at(SAID_OCTETS);
        let genuine: bool = self.mac::<MAC_OCTETS>(&[said]).as_slice().ct_eq(mac).into();
        let mut number = [0; 8];
        let (_, low) = number.split_at_mut(3);
        low.copy_from_slice(said.get(..5)?);
        genuine.then_some(SubscriberId(i64::from_be_bytes(number)))
    }

    /// Did we issue the token to that subscriber? Holds for tokens of earlier releases too, which do not
    /// say whose they are: sessions outlive an upgrade.
    #[must_use]
    pub fn issued(&self, token: ClassToken, subscriber: SubscriberId) -> bool {
        if let Some(named) = self.subscriber(token) {
            return named == subscriber;
        }
        let (random, mac) = token.0.split_at(UNNAMED_OCTETS);
        self.mac::<8>(&[random, &subscriber.0.to_be_bytes()]).as_slice().ct_eq(mac).into()
    }

    /// Who pays, in 32 digits that tell no other operator who it is, and never change (RFC 4372 §2.1).
    #[must_use]
    pub fn chargeable_identity(&self, subscriber: SubscriberId) -> String {
        let mac: [u8; 16] = self.mac(&[b"Chargeable-User-Identity", &subscriber.0.to_be_bytes()]);
        hex::encode(mac)
    }

    /// The first octets of the MAC. What is signed has 9, 16 or 32 octets: no MAC is
    /// good for anything else.
    fn mac<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut part = [0; N];
        part.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        part
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(***)")
    }
}

/// Octets of a token before its MAC: five of the subscriber's number, four that are random.
const SAID_OCTETS: usize = 9;

/// Octets of its MAC. Nobody can try it but a NAS, one packet at a time.
const MAC_OCTETS: usize = 7;

/// Random octets of a token that does not say whose it is; the rest is the MAC.
const UNNAMED_OCTETS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn ac_29_a_token_says_whose_it_is_and_no_bit_of_it_may_change() {
        let (key, other) = (TokenKey::new(&[1; 32]), TokenKey::new(&[2; 32]));
        let mut entropy = SeededEntropy::new(1);
        for id in [0, 1, 7, 0xff_ffff_ffff].map(SubscriberId) {
            let token = key.issue(id, &mut entropy);
            assert_eq!((key.subscriber(token), other.subscriber(token)), (Some(id), None));
            assert!(key.issued(token, id) && !key.issued(token, SubscriberId(8)) && !other.issued(token, id));
            assert_ne!(token, key.issue(id, &mut entropy));
            for bit in 0..128 {
                let mut forged = token.0;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.subscriber(ClassToken(forged)), None, "bit {bit}");
                assert!(!key.issued(ClassToken(forged), id), "bit {bit}");
            }
        }
    }

    /// The form of earlier releases, and of numbers that do not fit.
    #[test]
    fn a_token_that_says_nothing_is_good_for_its_subscriber_and_key_alone() {
        let (key, other) = (TokenKey::new(&[1; 32]), TokenKey::new(&[2; 32]));
        let mut entropy = SeededEntropy::new(1);
        // What was issued to subscriber 7 with this key; by Python's hmac.
        let earlier = ClassToken(EARLIER);
        let large = SubscriberId(0x100_0000_0000);
        for (token, id) in [(earlier, SubscriberId(7)), (key.issue(large, &mut entropy), large)] {
            assert_eq!(key.subscriber(token), None);
            assert!(key.issued(token, id) && !other.issued(token, id));
            assert!(!key.issued(token, SubscriberId(8)));
            for bit in 0..128 {
                let mut forged = token.0;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(!key.issued(ClassToken(forged), id), "bit {bit}");
            }
        }
    }

    const EARLIER: [u8; 16] =
        [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0xba, 0x63, 0x83, 0x41, 0x48, 0xd7, 0x6e, 0x1c];
}
