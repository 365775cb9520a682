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
