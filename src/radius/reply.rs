//! Replies and their encoding. What may go into which reply is held here (RFC 2865 §5.44), so that
//! no caller can make a Reject that provisions something.

use smallvec::SmallVec;

use super::attribute::{
    Attribute, Attributes, CHAP_CHALLENGE, CHAP_PASSWORD, EAP_MESSAGE, ERROR_CAUSE, IDLE_TIMEOUT,
    MESSAGE_AUTHENTICATOR, PROMPT, PROXY_STATE, REPLY_MESSAGE, SESSION_TIMEOUT, STATE, USER_PASSWORD,
    VENDOR_SPECIFIC, microsoft, vendor, vendor_attributes,
};
use super::authenticator::{Verified, ZEROS, authenticator, message_authenticator};
use super::error::Oversize;
use super::hiding::{Hidden, Salts};
use super::packet::{AUTHENTICATOR, Code, HEADER_LENGTH, PACKET_LENGTH_MAX};
use super::secret::Secret;
use crate::entropy::Entropy;

/// The attributes of a reply in their order. Plain ones are kept as they go on the wire; those that
/// are hidden with the secret wait for it, and follow after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyAttributes {
    wire: SmallVec<[u8; 512]>,
    hidden: SmallVec<[Hidden; 2]>,
}

impl ReplyAttributes {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a value. An empty one is not sent (RFC 2865 §5); one over 253 octets goes into as many
    /// consecutive attributes as it takes (RFC 8044 §3.6).
    pub fn push(&mut self, number: u8, value: &[u8]) {
        for part in value.chunks(VALUE_MAX) {
            self.wire.extend([number, length_octet(part.len() + 2)]);
            self.wire.extend_from_slice(part);
        }
    }

    /// Appends a number of 32 bits.
    pub fn push_u32(&mut self, number: u8, value: u32) {
        self.push(number, &value.to_be_bytes());
    }

    /// Appends a Vendor-Specific with one attribute in the standard format. An empty value is not
    /// sent; one over 247 octets goes into several.
    pub fn push_vendor(&mut self, vendor: u32, number: u8, value: &[u8]) {
        for part in value.chunks(VENDOR_VALUE_MAX) {
            self.wire.extend([VENDOR_SPECIFIC, length_octet(part.len() + 8)]);
            self.wire.extend(vendor.to_be_bytes());
            self.wire.extend([number, length_octet(part.len() + 2)]);
            self.wire.extend_from_slice(part);
        }
    }

    /// Appends attributes that are already encoded, type and length included. Only whole attributes
    /// with a value are taken, so that the reply stays well-formed whatever is passed.
    pub fn push_wire(&mut self, octets: &[u8]) {
        let mut attributes = Attributes::new(octets);
        for attribute in attributes.by_ref() {
            self.push(attribute.number, attribute.value);
        }
        debug_assert!(attributes.rest().is_empty(), "not whole attributes: {octets:02x?}");
    }

    /// Appends an attribute whose value is hidden when the reply is encoded. An empty value is not
    /// sent.
    pub fn push_hidden(&mut self, hidden: &Hidden) {
        if !hidden.value.is_empty() {
            self.hidden.push(hidden.clone());
        }
    }

    /// Appends all of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.wire.extend_from_slice(&other.wire);
        self.hidden.extend(other.hidden.iter().cloned());
    }

    /// Removes every plain attribute with that number.
    pub fn remove(&mut self, number: u8) {
        if self.first(number).is_none() {
            return;
        }
        let before = std::mem::take(&mut self.wire);
        for attribute in Attributes::new(&before).filter(|attribute| attribute.number != number) {
            self.push(attribute.number, attribute.value);
        }
    }

    /// Puts one value in the place of all that have that number.
    pub fn set(&mut self, number: u8, value: &[u8]) {
        self.remove(number);
        self.push(number, value);
    }

    /// The plain attributes in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes::new(&self.wire)
    }

    /// The value of the first plain attribute with that number.
    #[must_use]
    pub fn first(&self, number: u8) -> Option<&[u8]> {
        self.attributes().find(|attribute| attribute.number == number).map(|attribute| attribute.value)
    }

    /// The attributes that will be hidden.
    #[must_use]
    pub fn hidden(&self) -> &[Hidden] {
        &self.hidden
    }

    /// There is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty() && self.hidden.is_empty()
    }
}

/// The answer to an Access-Request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessReply {
    /// Access-Accept.
    Accept(ReplyAttributes),
    /// Access-Reject. It provisions nothing: of the attributes only Reply-Message, EAP-Message,
    /// Error-Cause and MS-CHAP-Error are sent (RFC 2865 §2, RFC 5080 §2.6.1).
    Reject(ReplyAttributes),
    /// Access-Challenge. Only Reply-Message, State, Vendor-Specific, Session-Timeout, Idle-Timeout,
    /// EAP-Message and Prompt are sent (RFC 2865 §4.4).
    Challenge(ReplyAttributes),
}

impl AccessReply {
    /// The attributes, before those that may not be sent are left out.
    #[must_use]
    pub const fn attributes(&self) -> &ReplyAttributes {
        match self {
            Self::Accept(attributes) | Self::Reject(attributes) | Self::Challenge(attributes) => attributes,
        }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Accept(_) => Code::AccessAccept,
            Self::Reject(_) => Code::AccessReject,
            Self::Challenge(_) => Code::AccessChallenge,
        }
    }

    /// May this attribute be in this reply? Message-Authenticator and Proxy-State are the encoder's;
    /// credentials and challenges are never echoed.
    fn admits(&self, attribute: Attribute<'_>) -> bool {
        match (self, attribute.number) {
            (_, MESSAGE_AUTHENTICATOR | PROXY_STATE | USER_PASSWORD | CHAP_PASSWORD | CHAP_CHALLENGE) => {
                false
            }
            (Self::Accept(_), _) => true,
            (_, REPLY_MESSAGE | EAP_MESSAGE) => true,
            (Self::Reject(_), ERROR_CAUSE) => true,
            (Self::Reject(_), VENDOR_SPECIFIC) => is_ms_chap_error(attribute.value),
            (Self::Reject(_), _) => false,
            (Self::Challenge(_), STATE | VENDOR_SPECIFIC | SESSION_TIMEOUT | IDLE_TIMEOUT | PROMPT) => true,
            (Self::Challenge(_), _) => false,
        }
    }

    /// Writes the reply to `to` into `out`, in place of what is there: Message-Authenticator first,
    /// the attributes, the Proxy-States of the request in order (RFC 2865 §5.33). State is sent once.
    ///
    /// # Errors
    /// It does not fit; then nothing may be sent. The policy or the Proxy-States are at fault.
    pub fn encode(
        &self,
        to: &Verified<'_>,
        secret: &Secret,
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), Oversize> {
        begin(self.code(), to, Signature::Message, out);
        let attributes = self.attributes();
        let mut state_sent = false;
        for attribute in attributes.attributes().filter(|attribute| self.admits(*attribute)) {
            if attribute.number == STATE && std::mem::replace(&mut state_sent, true) {
                continue;
            }
            out.extend([attribute.number, length_octet(attribute.value.len() + 2)]);
            out.extend_from_slice(attribute.value);
        }
        if let Self::Accept(_) = self
            && !attributes.hidden.is_empty()
        {
            let mut salts = Salts::new(entropy);
            for hidden in &attributes.hidden {
                hidden.encode(salts.next_salt(), secret, &to.header().authenticator, out)?;
            }
        }
        finish(to, secret, Signature::Message, out)
    }
}

/// The answer to an Accounting-Request. It carries nothing but Proxy-State (RFC 2866 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountingResponse;

impl AccountingResponse {
    /// Writes the reply to `to` into `out`, in place of what is there.
    ///
    /// # Errors
    /// The Proxy-States of the request leave no room; nothing may be sent.
    pub fn encode(self, to: &Verified<'_>, secret: &Secret, out: &mut Vec<u8>) -> Result<(), Oversize> {
        begin(Code::AccountingResponse, to, Signature::Authenticator, out);
        finish(to, secret, Signature::Authenticator, out)
    }
}

/// The answer to Status-Server; it is bare and signed (RFC 5997 §2, §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusReply {
    /// From the authentication port: Access-Accept.
    Authentication,
    /// From the accounting port: Accounting-Response.
    Accounting,
}

impl StatusReply {
    /// Writes the reply to `to` into `out`, in place of what is there.
    ///
    /// # Errors
    /// The Proxy-States of the request leave no room; nothing may be sent.
    pub fn encode(self, to: &Verified<'_>, secret: &Secret, out: &mut Vec<u8>) -> Result<(), Oversize> {
        let code = match self {
            Self::Authentication => Code::AccessAccept,
            Self::Accounting => Code::AccountingResponse,
        };
        begin(code, to, Signature::Message, out);
        finish(to, secret, Signature::Message, out)
    }
}

/// The answer to a Disconnect- or CoA-Request (RFC 5176 §3), as simulated NASes give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicAuthReply {
    /// Disconnect-ACK or -NAK, CoA-ACK or -NAK.
    pub code: Code,
    /// Error-Cause, of a NAK.
    pub error_cause: Option<u32>,
}

impl DynamicAuthReply {
    /// Writes the reply to `to` into `out`, in place of what is there.
    ///
    /// # Errors
    /// The Proxy-States of the request leave no room; nothing may be sent.
    pub fn encode(self, to: &Verified<'_>, secret: &Secret, out: &mut Vec<u8>) -> Result<(), Oversize> {
        begin(self.code, to, Signature::Message, out);
        if let Some(cause) = self.error_cause {
            out.extend([ERROR_CAUSE, 6]);
            out.extend(cause.to_be_bytes());
        }
        finish(to, secret, Signature::Message, out)
    }
}

/// Any reply that this server sends.
#[expect(clippy::large_enum_variant, reason = "lives for one call; a box would allocate for every login")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To an Access-Request.
    Access(AccessReply),
    /// To an Accounting-Request.
    Accounting(AccountingResponse),
    /// To Status-Server.
    Status(StatusReply),
}

impl Reply {
    /// Writes the reply to `to` into `out`, in place of what is there.
    ///
    /// # Errors
    /// It does not fit; nothing may be sent.
    pub fn encode(
        &self,
        to: &Verified<'_>,
        secret: &Secret,
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), Oversize> {
        match self {
            Self::Access(reply) => reply.encode(to, secret, entropy, out),
            Self::Accounting(reply) => reply.encode(to, secret, out),
            Self::Status(reply) => reply.encode(to, secret, out),
        }
    }
}

impl From<AccessReply> for Reply {
    fn from(reply: AccessReply) -> Self {
        Self::Access(reply)
    }
}

impl From<AccountingResponse> for Reply {
    fn from(reply: AccountingResponse) -> Self {
        Self::Accounting(reply)
    }
}

impl From<StatusReply> for Reply {
    fn from(reply: StatusReply) -> Self {
        Self::Status(reply)
    }
}

/// How a reply is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signature {
    /// Message-Authenticator first, and Response Authenticator.
    Message,
    /// Response Authenticator alone.
    Authenticator,
}

/// Header with the Request Authenticator in it, and room for a Message-Authenticator.
fn begin(code: Code, to: &Verified<'_>, signature: Signature, out: &mut Vec<u8>) {
    out.clear();
    out.extend([code.number(), to.header().identifier, 0, 0]);
    out.extend(to.header().authenticator);
    if signature == Signature::Message {
        out.extend([MESSAGE_AUTHENTICATOR, 18]);
        out.extend(ZEROS);
    }
}

/// Proxy-States, Length and what is computed over them.
fn finish(
    to: &Verified<'_>,
    secret: &Secret,
    signature: Signature,
    out: &mut Vec<u8>,
) -> Result<(), Oversize> {
    for state in to.proxy_states() {
        out.extend([PROXY_STATE, length_octet(state.len() + 2)]);
        out.extend_from_slice(state);
    }
    let oversize = Oversize { length: out.len(), limit: PACKET_LENGTH_MAX };
    let length = u16::try_from(out.len()).ok().filter(|_| out.len() <= PACKET_LENGTH_MAX).ok_or(oversize)?;
    overwrite(out, 2, &length.to_be_bytes());
    let request = to.header().authenticator;
    if signature == Signature::Message {
        let value = message_authenticator(out, &request, FIRST_VALUE, secret);
        overwrite(out, FIRST_VALUE, &value);
    }
    let value = authenticator(out, &request, secret);
    overwrite(out, AUTHENTICATOR.start, &value);
    Ok(())
}

/// Puts octets in the place of as many; nothing happens where there are not as many.
pub(super) fn overwrite(octets: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(place) = octets.get_mut(offset..).and_then(|rest| rest.get_mut(..value.len())) {
        place.copy_from_slice(value);
    }
}

/// The length octet of an attribute. Values are at most 253 octets wherever this is called.
fn length_octet(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

/// Does a Vendor-Specific hold MS-CHAP-Error and nothing else (RFC 2548 §2.1.5)?
fn is_ms_chap_error(value: &[u8]) -> bool {
    let mut any = false;
    vendor_attributes(value).all(|it| {
        any = true;
        it.vendor == vendor::MICROSOFT && it.number == microsoft::CHAP_ERROR
    }) && any
}

/// Where the value of the first attribute begins.
pub(super) const FIRST_VALUE: usize = HEADER_LENGTH + 2;

/// Octets of the longest value (RFC 2865 §5).
const VALUE_MAX: usize = 253;

/// Octets of the longest value in a Vendor-Specific of the standard format.
const VENDOR_VALUE_MAX: usize = 247;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::radius::hiding::{Hiding, reveal_salted};
    use crate::radius::packet::Packet;
    use crate::radius::seal::{seal_request, verify_response};

    fn secret() -> Secret {
        Secret::new(b"testing123").unwrap()
    }

    /// A signed request with these attributes.
    fn request(code: Code, attributes: &[u8]) -> Vec<u8> {
        let mut octets = vec![code.number(), 200, 0, 0];
        octets.extend([0x3c; 16]);
        octets.extend(attributes);
        seal_request(&mut octets, &secret()).unwrap();
        octets
    }

    /// Encodes, checks what the client checks, and gives the reply's attributes.
    fn answer(request: &[u8], reply: &Reply) -> Vec<(u8, Vec<u8>)> {
        let to = Packet::decode(request).unwrap().verify(&secret()).unwrap();
        let mut out = b"what was there before".to_vec();
        reply.encode(&to, &secret(), &mut SeededEntropy::new(7), &mut out).unwrap();
        let header = verify_response(request, &out, &secret()).unwrap();
        assert_eq!(header.identifier, 200);
        let packet = Packet::decode(&out).unwrap();
        packet.attributes().map(|it| (it.number, it.value.to_vec())).collect()
    }

    fn numbers(attributes: &[(u8, Vec<u8>)]) -> Vec<u8> {
        attributes.iter().map(|(number, _)| *number).collect()
    }

    /// One attribute of every number, and MS-CHAP-Error.
    fn everything() -> ReplyAttributes {
        let mut attributes = ReplyAttributes::new();
        for number in 1..=255 {
            if number != VENDOR_SPECIFIC {
                attributes.push(number, &[number]);
            }
        }
        attributes.push_vendor(vendor::MICROSOFT, microsoft::CHAP_ERROR, b"\x01E=691");
        attributes.push_vendor(vendor::CISCO, 1, b"x=y");
        attributes.push_hidden(&Hidden {
            vendor: None,
            number: 69,
            tlvs: SmallVec::new(),
            tag: Some(0),
            method: Hiding::TunnelPassword,
            value: b"pw"[..].into(),
        });
        attributes
    }

    #[test]
    fn message_authenticator_is_first_and_proxy_states_are_echoed_in_order() {
        let asked = request(Code::AccessRequest, &[33, 4, 1, 0, 1, 3, b'u', 33, 4, 2, 0, 33, 4, 1, 0, 33, 2]);
        let mut attributes = ReplyAttributes::new();
        attributes.push(REPLY_MESSAGE, b"hello");
        for reply in [
            AccessReply::Accept(attributes.clone()),
            AccessReply::Reject(attributes.clone()),
            AccessReply::Challenge(attributes),
        ] {
            let sent = answer(&asked, &reply.into());
            assert_eq!(numbers(&sent), [80, 18, 33, 33, 33, 33]);
            let states: Vec<_> = sent[2..].iter().map(|(_, value)| value.as_slice()).collect();
            assert_eq!(states, [&[1, 0][..], &[2, 0], &[1, 0], &[]]);
        }
    }

    #[test]
    fn br_04_an_unsigned_request_gets_a_signed_reply() {
        let mut asked = vec![1, 200, 0, 29];
        asked.extend([0x3c; 16]);
        asked.extend([33, 4, 1, 0, 1, 5, b'b', b'o', b'b']);
        assert!(!Packet::decode(&asked).unwrap().verify(&secret()).unwrap().signed());
        let mut attributes = ReplyAttributes::new();
        attributes.push(REPLY_MESSAGE, b"hello");
        for reply in [
            AccessReply::Accept(attributes.clone()),
            AccessReply::Reject(attributes.clone()),
            AccessReply::Challenge(attributes),
        ] {
            assert_eq!(numbers(&answer(&asked, &reply.into())), [80, 18, 33]);
        }
    }

    #[test]
    fn a_reject_provisions_nothing() {
        let asked = request(Code::AccessRequest, &[]);
        let sent = answer(&asked, &AccessReply::Reject(everything()).into());
        assert_eq!(numbers(&sent), [80, 18, 79, 101, 26]);
        assert_eq!(sent[4].1, b"\x00\x00\x01\x37\x02\x08\x01E=691");
    }

    #[test]
    fn a_challenge_carries_only_what_helps_to_go_on() {
        let asked = request(Code::AccessRequest, &[]);
        let sent = answer(&asked, &AccessReply::Challenge(everything()).into());
        assert_eq!(numbers(&sent), [80, 18, 24, 27, 28, 76, 79, 26, 26]);
    }

    #[test]
    fn an_accept_never_echoes_credentials() {
        let asked = request(Code::AccessRequest, &[]);
        let sent = answer(&asked, &AccessReply::Accept(everything()).into());
        let numbers = numbers(&sent);
        for number in [2, 3, 33, 60] {
            assert!(!numbers.contains(&number), "{number}");
        }
        assert_eq!(numbers.iter().filter(|number| **number == 80).count(), 1);
        assert_eq!(numbers.last(), Some(&69));
    }

    #[test]
    fn state_is_sent_once() {
        let asked = request(Code::AccessRequest, &[]);
        let mut attributes = ReplyAttributes::new();
        attributes.push(STATE, b"one");
        attributes.push(STATE, b"two");
        let sent = answer(&asked, &AccessReply::Challenge(attributes).into());
        assert_eq!(sent[1..], [(STATE, b"one".to_vec())]);
    }

    #[test]
    fn hidden_attributes_have_salts_of_their_own() {
        let asked = request(Code::AccessRequest, &[]);
        let mut attributes = ReplyAttributes::new();
        for number in [16, 17] {
            attributes.push_hidden(&Hidden {
                vendor: Some(vendor::MICROSOFT),
                number,
                tlvs: SmallVec::new(),
                tag: None,
                method: Hiding::TunnelPassword,
                value: [number; 16].into(),
            });
        }
        let sent = answer(&asked, &AccessReply::Accept(attributes).into());
        let authenticator: [u8; 16] = asked[4..20].try_into().unwrap();
        let mut salts = Vec::new();
        for (number, (_, value)) in [16_u8, 17].into_iter().zip(&sent[1..]) {
            assert_eq!(value[..6], [0, 0, 1, 55, number, 36]);
            assert_eq!(
                reveal_salted(&value[6..], &secret(), &authenticator).unwrap().as_slice(),
                [number; 16]
            );
            salts.push(value[6..8].to_vec());
        }
        assert_ne!(salts[0], salts[1]);
    }

    #[test]
    fn an_accounting_response_carries_proxy_states_alone() {
        let asked = request(Code::AccountingRequest, &[40, 6, 0, 0, 0, 1, 33, 5, 9, 0, 9]);
        assert_eq!(answer(&asked, &AccountingResponse.into()), [(33, vec![9, 0, 9])]);
    }

    #[test]
    fn the_answer_to_status_server_is_bare_and_signed() {
        let asked = request(Code::StatusServer, &[1, 3, b'u']);
        for reply in [StatusReply::Authentication, StatusReply::Accounting] {
            assert_eq!(numbers(&answer(&asked, &reply.into())), [80]);
        }
    }

    #[test]
    fn empty_values_are_not_sent_and_long_ones_are_split() {
        let mut attributes = ReplyAttributes::new();
        attributes.push(REPLY_MESSAGE, b"");
        attributes.push_vendor(vendor::CISCO, 1, b"");
        attributes.push_wire(&[18, 2]);
        attributes.push_hidden(&Hidden {
            vendor: None,
            number: 69,
            tlvs: SmallVec::new(),
            tag: None,
            method: Hiding::TunnelPassword,
            value: [].into(),
        });
        assert!(attributes.is_empty());
        let long: Vec<u8> = (0..600_u16).map(|i| u8::try_from(i % 256).unwrap()).collect();
        attributes.push(EAP_MESSAGE, &long);
        let lengths: Vec<_> = attributes.attributes().map(|it| it.value.len()).collect();
        assert_eq!(lengths, [253, 253, 94]);
        assert_eq!(attributes.attributes().flat_map(|it| it.value.to_vec()).collect::<Vec<_>>(), long);
        let mut attributes = ReplyAttributes::new();
        attributes.push_vendor(vendor::CISCO, 1, &long);
        let joined: Vec<_> = attributes
            .attributes()
            .flat_map(|it| vendor_attributes(it.value).map(|it| it.value.to_vec()).collect::<Vec<_>>())
            .flatten()
            .collect();
        assert_eq!(joined, long);
    }

    #[test]
    fn set_replaces_all_of_a_number_and_keeps_the_rest_in_order() {
        let mut attributes = ReplyAttributes::new();
        for (number, value) in [(27, b"a"), (18, b"b"), (27, b"c"), (18, b"d")] {
            attributes.push(number, value);
        }
        attributes.set(27, b"e");
        let kept: Vec<_> = attributes.attributes().map(|it| (it.number, it.value)).collect();
        assert_eq!(kept, [(18, &b"b"[..]), (18, b"d"), (27, b"e")]);
        assert_eq!(attributes.first(27), Some(&b"e"[..]));
        attributes.remove(99);
        assert_eq!(attributes.first(18), Some(&b"b"[..]));
    }

    #[test]
    fn a_reply_never_exceeds_4096_octets() {
        let proxy_states: Vec<u8> =
            std::iter::repeat_n([&[33, 253][..], &[5; 251]].concat(), 15).flatten().collect();
        let asked = request(Code::AccessRequest, &proxy_states);
        let sent = answer(&asked, &AccessReply::Accept(ReplyAttributes::new()).into());
        assert_eq!(sent.len(), 16);

        let to = Packet::decode(&asked).unwrap().verify(&secret()).unwrap();
        let mut out = Vec::new();
        let mut attributes = ReplyAttributes::new();
        // 20 + 18 + 15 * 253 = 3833: there is room for 263 octets more.
        attributes.push(REPLY_MESSAGE, &[b'x'; 253]);
        attributes.push(REPLY_MESSAGE, &[b'x'; 6]);
        let mut encode = |attributes: &ReplyAttributes| {
            AccessReply::Accept(attributes.clone()).encode(
                &to,
                &secret(),
                &mut SeededEntropy::new(1),
                &mut out,
            )
        };
        assert_eq!(encode(&attributes), Ok(()));
        attributes.push(REPLY_MESSAGE, b"x");
        assert_eq!(encode(&attributes), Err(Oversize { length: 4099, limit: 4096 }));
    }

    #[test]
    fn what_is_too_long_to_hide_is_not_sent() {
        let asked = request(Code::AccessRequest, &[]);
        let to = Packet::decode(&asked).unwrap().verify(&secret()).unwrap();
        let mut attributes = ReplyAttributes::new();
        attributes.push_hidden(&Hidden {
            vendor: None,
            number: 69,
            tlvs: SmallVec::new(),
            tag: Some(1),
            method: Hiding::TunnelPassword,
            value: vec![1; 240].into(),
        });
        let reply = AccessReply::Accept(attributes);
        let result = reply.encode(&to, &secret(), &mut SeededEntropy::new(1), &mut Vec::new());
        assert_eq!(result, Err(Oversize { length: 240, limit: 239 }));
    }
}
