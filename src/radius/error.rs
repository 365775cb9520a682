//! Why a datagram is silently discarded, and why a reply cannot be sent.

use thiserror::Error;

use super::packet::Code;

/// The octets are not a RADIUS packet, or not one that this server takes. The sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Shorter than a header (RFC 2865 §3).
    #[error("datagram of {actual} octets is shorter than a header")]
    Short {
        /// Octets received.
        actual: usize,
    },
    /// The Length field is not within 20..=4096 (RFC 2865 §3).
    #[error("Length field says {stated}, which is not within 20 to 4096")]
    Length {
        /// What the field says.
        stated: u16,
    },
    /// The datagram is shorter than its Length field (RFC 2865 §3).
    #[error("Length field says {stated}, but the datagram has {actual} octets")]
    Truncated {
        /// What the field says.
        stated: u16,
        /// Octets received.
        actual: usize,
    },
    /// An attribute's length is 0 or 1, or runs past the packet (RFC 2865 §5).
    #[error("attribute {number} says length {length} where {remaining} octets are left")]
    Attribute {
        /// Its type.
        number: u8,
        /// What its length octet says.
        length: u8,
        /// Octets left in the packet, its own two included.
        remaining: usize,
    },
    /// One octet is left over after the last attribute.
    #[error("one octet is left over after the last attribute")]
    Remainder,
    /// A code that is no question to this server.
    #[error("code {0} is no request that is answered here")]
    Code(Code),
}

/// The packet does not prove that its sender knows the shared secret. It is silently discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unauthentic {
    /// A reply, or a code that nobody knows, where a request is expected.
    #[error("code {0} is not a request")]
    NotARequest(Code),
    /// The Request Authenticator of an Accounting-, CoA- or Disconnect-Request is wrong.
    #[error("Request Authenticator is wrong")]
    RequestAuthenticator,
    /// The Response Authenticator of a reply is wrong.
    #[error("Response Authenticator is wrong")]
    ResponseAuthenticator,
    /// The Message-Authenticator is wrong.
    #[error("Message-Authenticator is wrong")]
    MessageAuthenticator,
    /// The Message-Authenticator is not 16 octets long.
    #[error("Message-Authenticator has {length} octets instead of 16")]
    MessageAuthenticatorLength {
        /// Octets of its value.
        length: usize,
    },
    /// There is more than one Message-Authenticator (RFC 3579 §3.3).
    #[error("more than one Message-Authenticator")]
    MessageAuthenticatorRepeated,
    /// Status-Server without a Message-Authenticator (RFC 5997 §3).
    #[error("Status-Server without Message-Authenticator")]
    MessageAuthenticatorMissing,
    /// EAP-Message without a Message-Authenticator (RFC 3579 §3.1).
    #[error("EAP-Message without Message-Authenticator")]
    EapUnsigned,
    /// A reply to some other request: wrong Identifier, or a code that does not answer it.
    #[error("{code} with Identifier {identifier} does not answer this request")]
    Unrelated {
        /// Code of the reply.
        code: Code,
        /// Its Identifier.
        identifier: u8,
    },
    /// It is not even a packet.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What should be sent does not fit: a packet over 4096 octets, or a value too long for its
/// attribute. Whoever configured it is at fault; nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{length} octets do not fit into {limit}")]
pub struct Oversize {
    /// Octets that it would take.
    pub length: usize,
    /// Octets that there are.
    pub limit: usize,
}
