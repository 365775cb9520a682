//! Request and Response Authenticators (RFC 2865 §3, RFC 2866 §3, RFC 5176 §2.3) and
//! Message-Authenticator (RFC 3579 §3.2, RFC 5997 §3): what shows that a peer knows the secret.

use hmac::Mac as _;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use super::attribute::{Attributes, EAP_MESSAGE, MESSAGE_AUTHENTICATOR, PROXY_STATE};
use super::error::Unauthentic;
use super::packet::{AUTHENTICATOR, Code, HEADER_LENGTH, Header, Packet, Values};
use super::secret::Secret;

/// A request whose sender has shown that it knows the secret, as far as its code allows: an
/// Access-Request without Message-Authenticator shows nothing, and [`Verified::signed`] says so.
#[derive(Clone, Debug)]
pub struct Verified<'a> {
    packet: Packet<'a>,
    signed: bool,
}

impl<'a> Verified<'a> {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.packet.header()
    }

    /// It carried a Message-Authenticator, and that was right.
    #[must_use]
    pub const fn signed(&self) -> bool {
        self.signed
    }

    /// Every attribute in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.packet.attributes()
    }

    /// As [`Packet::first`].
    #[must_use]
    pub fn first(&self, number: u8) -> Option<&'a [u8]> {
        self.packet.first(number)
    }

    /// As [`Packet::values`].
    #[must_use]
    pub fn values(&self, number: u8) -> Values<'a> {
        self.packet.values(number)
    }

    /// The Proxy-States in order, to be echoed (RFC 2865 §5.33).
    #[must_use]
    pub fn proxy_states(&self) -> Values<'a> {
        self.packet.values(PROXY_STATE)
    }

    /// The packet that was verified.
    #[must_use]
    pub const fn packet(&self) -> &Packet<'a> {
        &self.packet
    }
}

impl<'a> Packet<'a> {
    /// A request of our own keeping, which was verified when it was received. The secret may be another by
    /// now.
    #[must_use]
    pub const fn verified_before(self) -> Verified<'a> {
        Verified { packet: self, signed: false }
    }

    /// Checks all that proves the sender. A Message-Authenticator is checked wherever it is present:
    /// exactly one, exactly 16 octets. Accounting-, CoA- and Disconnect-Requests must have a right
    /// Request Authenticator, Status-Server and EAP must have a Message-Authenticator.
    ///
    /// # Errors
    /// The sender's: the packet is silently discarded.
    pub fn verify(self, secret: &Secret) -> Result<Verified<'a>, Unauthentic> {
        let code = self.header().code;
        // What the authenticator field holds while the Message-Authenticator is computed.
        let authenticator = match code {
            Code::AccessRequest | Code::StatusServer => self.header().authenticator,
            Code::AccountingRequest | Code::CoaRequest | Code::DisconnectRequest => {
                let expected = authenticator(self.octets(), &ZEROS, secret);
                if !equal(&expected, &self.header().authenticator) {
                    return Err(Unauthentic::RequestAuthenticator);
                }
                ZEROS
            }
            _ => return Err(Unauthentic::NotARequest(code)),
        };
        let signed = check_message_authenticator(&self, &authenticator, secret)?;
        if !signed && code == Code::StatusServer {
            return Err(Unauthentic::MessageAuthenticatorMissing);
        }
        Ok(Verified { packet: self, signed })
    }
}

/// Checks the Message-Authenticator if there is one, and says whether there was.
pub(super) fn check_message_authenticator(
    packet: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &Secret,
) -> Result<bool, Unauthentic> {
    let Some(offset) = packet.offset(MESSAGE_AUTHENTICATOR) else {
        let eap = packet.first(EAP_MESSAGE).is_some();
        return if eap { Err(Unauthentic::EapUnsigned) } else { Ok(false) };
    };
    let mut values = packet.values(MESSAGE_AUTHENTICATOR);
    let value = values.next().unwrap_or_default();
    if values.next().is_some() {
        return Err(Unauthentic::MessageAuthenticatorRepeated);
    }
    let Ok(received) = <[u8; 16]>::try_from(value) else {
        return Err(Unauthentic::MessageAuthenticatorLength { length: value.len() });
    };
    let expected = message_authenticator(packet.octets(), authenticator, offset + 2, secret);
    if equal(&expected, &received) { Ok(true) } else { Err(Unauthentic::MessageAuthenticator) }
}

/// HMAC-MD5 over the packet with `authenticator` in its authenticator field and the 16 octets at
/// `offset` taken as zeros. Hashes around both instead of copying the packet.
pub(super) fn message_authenticator(
    octets: &[u8],
    authenticator: &[u8; 16],
    offset: usize,
    secret: &Secret,
) -> [u8; 16] {
    let mut hmac = secret.hmac();
    hmac.update(octets.get(..AUTHENTICATOR.start).unwrap_or_default());
    hmac.update(authenticator);
    hmac.update(octets.get(HEADER_LENGTH..offset).unwrap_or_default());
    hmac.update(&ZEROS);
    hmac.update(octets.get(offset + ZEROS.len()..).unwrap_or_default());
    hmac.finalize().into_bytes().into()
}

/// MD5 over the packet with `field` in its authenticator field, and the secret: the Request
/// Authenticator where `field` is zeros, the Response Authenticator where it is the request's.
pub(super) fn authenticator(octets: &[u8], field: &[u8; 16], secret: &Secret) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(octets.get(..AUTHENTICATOR.start).unwrap_or_default());
    md5.update(field);
    md5.update(octets.get(HEADER_LENGTH..).unwrap_or_default());
    md5.update(secret.octets());
    md5.finalize().into()
}

/// Compares in constant time.
pub(super) fn equal(expected: &[u8; 16], received: &[u8; 16]) -> bool {
    expected.ct_eq(received).into()
}

/// The authenticator field of an Accounting-, CoA- or Disconnect-Request while it is hashed, and any
/// Message-Authenticator.
pub(super) const ZEROS: [u8; 16] = [0; 16];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::seal::{authenticate_request, seal_request};

    fn secret() -> Secret {
        Secret::new(b"testing123").unwrap()
    }

    fn packet(code: u8, attributes: &[u8]) -> Vec<u8> {
        let mut octets = vec![code, 1, 0, 0];
        octets.extend([0x77; 16]);
        octets.extend(attributes);
        octets[3] = u8::try_from(octets.len()).unwrap();
        octets
    }

    fn verify(octets: &[u8]) -> Result<bool, Unauthentic> {
        Packet::decode(octets).unwrap().verify(&secret()).map(|verified| verified.signed())
    }

    #[test]
    fn an_access_request_without_message_authenticator_passes_unsigned() {
        assert_eq!(verify(&packet(1, &[1, 3, b'u'])), Ok(false));
    }

    #[test]
    fn a_sealed_request_of_every_code_is_signed_and_no_bit_of_it_may_change() {
        for code in [1, 4, 12, 40, 43] {
            let mut octets = packet(code, &[1, 3, b'u', 33, 3, 1]);
            seal_request(&mut octets, &secret()).unwrap();
            assert_eq!(verify(&octets), Ok(true));
            for at in (0..octets.len()).filter(|at| ![0, 2, 3].contains(at)) {
                for bit in 0..8 {
                    octets[at] ^= 1 << bit;
                    if let Ok(packet) = Packet::decode(&octets) {
                        let passed = packet.verify(&secret()).is_ok_and(|verified| verified.signed());
                        assert!(!passed, "code {code}, octet {at}, bit {bit}");
                    }
                    octets[at] ^= 1 << bit;
                }
            }
            assert_eq!(
                Packet::decode(&octets).unwrap().verify(&Secret::new(b"testing124").unwrap()).err(),
                Some(match code {
                    1 | 12 => Unauthentic::MessageAuthenticator,
                    _ => Unauthentic::RequestAuthenticator,
                })
            );
        }
    }

    #[test]
    fn an_authenticator_of_zeros_or_chance_is_refused_for_accounting() {
        for field in [[0; 16], [0x77; 16]] {
            let mut octets = packet(4, &[40, 6, 0, 0, 0, 1]);
            octets[4..20].copy_from_slice(&field);
            assert_eq!(verify(&octets), Err(Unauthentic::RequestAuthenticator));
        }
        let mut octets = packet(4, &[40, 6, 0, 0, 0, 1]);
        authenticate_request(&mut octets, &secret());
        assert_eq!(verify(&octets), Ok(false));
        octets.extend([0; 37]);
        assert_eq!(verify(&octets), Ok(false), "padding does not count");
    }

    #[test]
    fn a_wrong_message_authenticator_under_a_right_request_authenticator_is_refused() {
        let mut octets =
            packet(4, &[40, 6, 0, 0, 0, 1, 80, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        authenticate_request(&mut octets, &secret());
        assert_eq!(verify(&octets), Err(Unauthentic::MessageAuthenticator));
    }

    #[test]
    fn a_message_authenticator_counts_wherever_it_is() {
        for before in [&[][..], &[1, 3, b'u'], &[1, 3, b'u', 33, 2]] {
            for after in [&[][..], &[32, 3, b'n']] {
                let mut octets = packet(1, &[before, &[80, 18], &ZEROS, after].concat());
                let at = HEADER_LENGTH + before.len() + 2;
                let value = message_authenticator(&octets, &[0x77; 16], at, &secret());
                octets[at..at + 16].copy_from_slice(&value);
                assert_eq!(verify(&octets), Ok(true));
            }
        }
    }

    #[test]
    fn one_message_authenticator_of_16_octets_or_none() {
        for length in (0..=32_u8).filter(|length| *length != 16) {
            let mut attributes = vec![80, length + 2];
            attributes.resize(usize::from(length) + 2, 0);
            assert_eq!(
                verify(&packet(1, &attributes)),
                Err(Unauthentic::MessageAuthenticatorLength { length: usize::from(length) })
            );
        }
        let mut octets = packet(1, &[]);
        seal_request(&mut octets, &secret()).unwrap();
        octets.extend([80, 18]);
        octets.extend(ZEROS);
        octets[3] = u8::try_from(octets.len()).unwrap();
        assert_eq!(verify(&octets), Err(Unauthentic::MessageAuthenticatorRepeated));
    }

    #[test]
    fn status_server_and_eap_must_be_signed() {
        assert_eq!(verify(&packet(12, &[])), Err(Unauthentic::MessageAuthenticatorMissing));
        assert_eq!(verify(&packet(1, &[79, 2])), Err(Unauthentic::EapUnsigned));
        assert_eq!(verify(&packet(1, &[79, 7, 2, 1, 0, 5, 1])), Err(Unauthentic::EapUnsigned));
    }

    #[test]
    fn replies_and_unknown_codes_are_no_requests() {
        for code in [0, 2, 3, 5, 6, 9, 11, 13, 14, 41, 42, 44, 45, 52, 99, 255] {
            assert_eq!(verify(&packet(code, &[])), Err(Unauthentic::NotARequest(code.into())));
        }
    }
}
