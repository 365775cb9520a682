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
pub struct TokenKey {
    current: Hmac<Sha256>,
    /// Tokens of this one are good too: sessions outlive a change of the key.
    previous: Option<Hmac<Sha256>>,
    /// What makes identities, which never change.
    identity: Hmac<Sha256>,
}

impl TokenKey {
    /// The key made of 32 octets of entropy.
    #[must_use]
    pub fn new(octets: &[u8; 32]) -> Self {
        Self { current: hmac(octets), previous: None, identity: hmac(octets) }
    }

    /// The same, with tokens of the key before it being good too, and identities made with another key.
    #[must_use]
    pub fn after(self, previous: Option<&[u8; 32]>, identity: &[u8; 32]) -> Self {
        Self { previous: previous.map(hmac), identity: hmac(identity), ..self }
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
            mac.copy_from_slice(&mac_of::<8>(&self.current, &[random, &subscriber.0.to_be_bytes()]));
            return ClassToken(token);
        };
        let (said, mac) = token.split_at_mut(SAID_OCTETS);
        let (id, random) = said.split_at_mut(number.len());
        id.copy_from_slice(&number);
        entropy.fill(random);
        mac.copy_from_slice(&mac_of::<MAC_OCTETS>(&self.current, &[said]));
        ClassToken(token)
    }

    /// Whom we issued the token to, by its own word; `None` where it is not ours, or says nothing.
    /// Class comes from the network, and names the session that a record is added to.
    #[must_use]
    pub fn subscriber(&self, token: ClassToken) -> Option<SubscriberId> {
        let (said, mac) = token.0.split_at(SAID_OCTETS);
        let genuine = self.keys().any(|key| mac_of::<MAC_OCTETS>(key, &[said]).as_slice().ct_eq(mac).into());
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
        let said = [random, &subscriber.0.to_be_bytes()];
        self.keys().any(|key| mac_of::<8>(key, &said).as_slice().ct_eq(mac).into())
    }

    /// Who pays, in 32 digits that tell no other operator who it is, and never change (RFC 4372 §2.1).
    #[must_use]
    pub fn chargeable_identity(&self, subscriber: SubscriberId) -> String {
        let said: [&[u8]; 2] = [b"Chargeable-User-Identity", &subscriber.0.to_be_bytes()];
        let mac: [u8; 16] = mac_of(&self.identity, &said);
        hex::encode(mac)
    }

    /// Those whose tokens are good.
    fn keys(&self) -> impl Iterator<Item = &Hmac<Sha256>> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

fn hmac(octets: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(octets).expect("HMAC takes a key of any length")
}

/// The first octets of the MAC. What is signed has 9, 16 or 32 octets: no MAC is good for anything else.
fn mac_of<const N: usize>(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; N] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut part = [0; N];
    part.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    part
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

    #[test]
    fn tokens_of_the_key_before_are_good_and_identities_stay() {
        let (first, mut entropy) = (TokenKey::new(&[1; 32]), SeededEntropy::new(1));
        let second = TokenKey::new(&[2; 32]).after(Some(&[1; 32]), &[1; 32]);
        let third = TokenKey::new(&[3; 32]).after(Some(&[2; 32]), &[1; 32]);
        for id in [7, 0x100_0000_0000].map(SubscriberId) {
            let (old, new) = (first.issue(id, &mut entropy), second.issue(id, &mut entropy));
            assert!(second.issued(old, id) && second.issued(new, id));
            assert!(!first.issued(new, id) && !third.issued(old, id) && third.issued(new, id));
            assert_eq!(first.chargeable_identity(id), third.chargeable_identity(id));
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
