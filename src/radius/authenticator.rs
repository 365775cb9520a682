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
