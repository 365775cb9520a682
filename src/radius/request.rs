//! What a verified packet asks, and its attributes by name.
//!
//! An accessor gives the first *valid* attribute of its number: an empty value is no value, and one of
//! the wrong size is an invalid attribute, which is ignored (RFC 2865 §5, RFC 6929 §2.8).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

use ipnet::Ipv6Net;

use super::attribute::{
    ACCT_AUTHENTIC, ACCT_DELAY_TIME, ACCT_INPUT_GIGAWORDS, ACCT_INPUT_OCTETS, ACCT_INPUT_PACKETS,
    ACCT_MULTI_SESSION_ID, ACCT_OUTPUT_GIGAWORDS, ACCT_OUTPUT_OCTETS, ACCT_OUTPUT_PACKETS, ACCT_SESSION_ID,
    ACCT_SESSION_TIME, ACCT_STATUS_TYPE, ACCT_TERMINATE_CAUSE, CALLED_STATION_ID, CALLING_STATION_ID,
    CHARGEABLE_USER_IDENTITY, CLASS, CONNECT_INFO, DELEGATED_IPV6_PREFIX, EVENT_TIMESTAMP,
    FRAMED_INTERFACE_ID, FRAMED_IP_ADDRESS, FRAMED_IPV6_ADDRESS, FRAMED_IPV6_PREFIX, FRAMED_PROTOCOL,
    NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_IPV6_ADDRESS, NAS_PORT, NAS_PORT_ID, NAS_PORT_TYPE, SERVICE_TYPE,
    STATE, USER_NAME,
};
use super::authenticator::Verified;
use super::credentials::{self, Credentials};
use super::error::Malformed;
use super::packet::{Code, Values};
use super::secret::Secret;
use crate::time::UnixTime;

/// A request that this server answers.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// Access-Request.
    Access(AccessRequest<'a>),
    /// Accounting-Request.
    Accounting(AccountingRequest<'a>),
    /// Status-Server.
    Status(StatusRequest<'a>),
}

impl<'a> Verified<'a> {
    /// What it asks. The secret is kept by reference, to reveal a User-Password with.
    ///
    /// # Errors
    /// The code is not one that is answered here (CoA- and Disconnect-Requests are for a NAS).
    pub fn into_request(self, secret: &'a Secret) -> Result<Request<'a>, Malformed> {
        match self.header().code {
            Code::AccessRequest => Ok(Request::Access(AccessRequest { verified: self, secret })),
            Code::AccountingRequest => Ok(Request::Accounting(AccountingRequest(self))),
            Code::StatusServer => Ok(Request::Status(StatusRequest(self))),
            code => Err(Malformed::Code(code)),
        }
    }

    /// Text or opaque octets, never empty.
    #[must_use]
    pub fn octets(&self, number: u8) -> Option<&'a [u8]> {
        self.values(number).find(|value| !value.is_empty())
    }

    /// A number of 32 bits.
    #[must_use]
    pub fn integer(&self, number: u8) -> Option<u32> {
        self.fixed(number).map(u32::from_be_bytes)
    }

    /// An IPv4 address.
    #[must_use]
    pub fn ipv4(&self, number: u8) -> Option<Ipv4Addr> {
        self.fixed::<4>(number).map(Ipv4Addr::from)
    }

    /// An IPv6 address.
    #[must_use]
    pub fn ipv6(&self, number: u8) -> Option<Ipv6Addr> {
        self.fixed::<16>(number).map(Ipv6Addr::from)
    }

    /// An IPv6 prefix, bits beyond its length cleared (RFC 3162 §2.3).
    #[must_use]
    pub fn ipv6_prefix(&self, number: u8) -> Option<Ipv6Net> {
        self.values(number).find_map(|value| {
            let [_reserved, length, prefix @ ..] = value else { return None };
            let mut octets = [0; 16];
            octets.get_mut(..prefix.len())?.copy_from_slice(prefix);
            Some(Ipv6Net::new(Ipv6Addr::from(octets), *length).ok()?.trunc())
        })
    }

    /// A value of exactly `N` octets.
    fn fixed<const N: usize>(&self, number: u8) -> Option<[u8; N]> {
        self.values(number).find_map(|value| value.try_into().ok())
    }

    /// User-Name: opaque octets, NULs included (RFC 2865 §5.1).
    #[must_use]
    pub fn user_name(&self) -> Option<&'a [u8]> {
        self.octets(USER_NAME)
    }

    /// NAS-IP-Address; says nothing about who sent the packet.
    #[must_use]
    pub fn nas_ip_address(&self) -> Option<Ipv4Addr> {
        self.ipv4(NAS_IP_ADDRESS)
    }

    /// NAS-IPv6-Address.
    #[must_use]
    pub fn nas_ipv6_address(&self) -> Option<Ipv6Addr> {
        self.ipv6(NAS_IPV6_ADDRESS)
    }

    /// NAS-Identifier.
    #[must_use]
    pub fn nas_identifier(&self) -> Option<&'a [u8]> {
        self.octets(NAS_IDENTIFIER)
    }

    /// NAS-Port.
    #[must_use]
    pub fn nas_port(&self) -> Option<u32> {
        self.integer(NAS_PORT)
    }

    /// NAS-Port-Id.
    #[must_use]
    pub fn nas_port_id(&self) -> Option<&'a [u8]> {
        self.octets(NAS_PORT_ID)
    }

    /// NAS-Port-Type.
    #[must_use]
    pub fn nas_port_type(&self) -> Option<u32> {
        self.integer(NAS_PORT_TYPE)
    }

    /// Service-Type.
    #[must_use]
    pub fn service_type(&self) -> Option<u32> {
        self.integer(SERVICE_TYPE)
    }

    /// Framed-Protocol.
    #[must_use]
    pub fn framed_protocol(&self) -> Option<u32> {
        self.integer(FRAMED_PROTOCOL)
    }

    /// Framed-IP-Address as sent: 255.255.255.254 and .255 are no address of anybody.
    #[must_use]
    pub fn framed_ip_address(&self) -> Option<Ipv4Addr> {
        self.ipv4(FRAMED_IP_ADDRESS)
    }

    /// Framed-IPv6-Address (RFC 6911).
    #[must_use]
    pub fn framed_ipv6_address(&self) -> Option<Ipv6Addr> {
        self.ipv6(FRAMED_IPV6_ADDRESS)
    }

    /// Framed-IPv6-Prefix (RFC 3162).
    #[must_use]
    pub fn framed_ipv6_prefix(&self) -> Option<Ipv6Net> {
        self.ipv6_prefix(FRAMED_IPV6_PREFIX)
    }

    /// Framed-Interface-Id (RFC 3162).
    #[must_use]
    pub fn framed_interface_id(&self) -> Option<[u8; 8]> {
        self.fixed(FRAMED_INTERFACE_ID)
    }

    /// Delegated-IPv6-Prefix (RFC 4818).
    #[must_use]
    pub fn delegated_ipv6_prefix(&self) -> Option<Ipv6Net> {
        self.ipv6_prefix(DELEGATED_IPV6_PREFIX)
    }

    /// Calling-Station-Id.
    #[must_use]
    pub fn calling_station_id(&self) -> Option<&'a [u8]> {
        self.octets(CALLING_STATION_ID)
    }

    /// Called-Station-Id.
    #[must_use]
    pub fn called_station_id(&self) -> Option<&'a [u8]> {
        self.octets(CALLED_STATION_ID)
    }

    /// Connect-Info.
    #[must_use]
    pub fn connect_info(&self) -> Option<&'a [u8]> {
        self.octets(CONNECT_INFO)
    }

    /// Acct-Session-Id.
    #[must_use]
    pub fn acct_session_id(&self) -> Option<&'a [u8]> {
        self.octets(ACCT_SESSION_ID)
    }

    /// Acct-Multi-Session-Id.
    #[must_use]
    pub fn acct_multi_session_id(&self) -> Option<&'a [u8]> {
        self.octets(ACCT_MULTI_SESSION_ID)
    }

    /// Chargeable-User-Identity; one NUL asks for it (RFC 4372 §2.2).
    #[must_use]
    pub fn chargeable_user_identity(&self) -> Option<&'a [u8]> {
        self.octets(CHARGEABLE_USER_IDENTITY)
    }

    /// Event-Timestamp (RFC 2869 §5.3), whatever it says.
    #[must_use]
    pub fn event_timestamp(&self) -> Option<UnixTime> {
        self.integer(EVENT_TIMESTAMP).map(|seconds| UnixTime(i64::from(seconds)))
    }

    /// State.
    #[must_use]
    pub fn state(&self) -> Option<&'a [u8]> {
        self.octets(STATE)
    }

    /// The Classes in order.
    #[must_use]
    pub fn classes(&self) -> Values<'a> {
        self.values(CLASS)
    }
}

/// An Access-Request.
#[derive(Clone, Debug)]
pub struct AccessRequest<'a> {
    verified: Verified<'a>,
    secret: &'a Secret,
}

impl<'a> AccessRequest<'a> {
    /// The packet; a reply is encoded to it.
    #[must_use]
    pub const fn packet(&self) -> &Verified<'a> {
        &self.verified
    }

    /// The secret that it was verified with.
    #[must_use]
    pub const fn secret(&self) -> &'a Secret {
        self.secret
    }

    /// How the user proves who it is. Reveals the User-Password each time it is asked.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'a> {
        credentials::of(&self.verified, self.secret)
    }
}

impl<'a> Deref for AccessRequest<'a> {
    type Target = Verified<'a>;

    fn deref(&self) -> &Verified<'a> {
        &self.verified
    }
}

/// Acct-Status-Type (RFC 2866 §5.1, RFC 2869 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcctStatus {
    /// 1
    Start,
    /// 2
    Stop,
    /// 3
    InterimUpdate,
    /// 7
    AccountingOn,
    /// 8
    AccountingOff,
    /// Tunnels and links (RFC 2867), Failed, and whatever nobody knows.
    Other(u32),
}

impl From<u32> for AcctStatus {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Start,
            2 => Self::Stop,
            3 => Self::InterimUpdate,
            7 => Self::AccountingOn,
            8 => Self::AccountingOff,
            other => Self::Other(other),
        }
    }
}

/// An Accounting-Request; its Request Authenticator is right.
#[derive(Clone, Debug)]
pub struct AccountingRequest<'a>(Verified<'a>);

impl<'a> AccountingRequest<'a> {
    /// The packet; a reply is encoded to it.
    #[must_use]
    pub const fn packet(&self) -> &Verified<'a> {
        &self.0
    }

    /// Acct-Status-Type; a request without one says nothing.
    #[must_use]
    pub fn status(&self) -> Option<AcctStatus> {
        self.integer(ACCT_STATUS_TYPE).map(AcctStatus::from)
    }

    /// Acct-Delay-Time, seconds.
    #[must_use]
    pub fn delay_time(&self) -> Option<u32> {
        self.integer(ACCT_DELAY_TIME)
    }

    /// Acct-Session-Time, seconds.
    #[must_use]
    pub fn session_time(&self) -> Option<u32> {
        self.integer(ACCT_SESSION_TIME)
    }

    /// Acct-Input-Octets: the lower 32 bits.
    #[must_use]
    pub fn input_octets(&self) -> Option<u32> {
        self.integer(ACCT_INPUT_OCTETS)
    }

    /// Acct-Output-Octets: the lower 32 bits.
    #[must_use]
    pub fn output_octets(&self) -> Option<u32> {
        self.integer(ACCT_OUTPUT_OCTETS)
    }

    /// Acct-Input-Gigawords: the upper 32 bits (RFC 2869 §5.1).
    #[must_use]
    pub fn input_gigawords(&self) -> Option<u32> {
        self.integer(ACCT_INPUT_GIGAWORDS)
    }

    /// Acct-Output-Gigawords: the upper 32 bits (RFC 2869 §5.2).
    #[must_use]
    pub fn output_gigawords(&self) -> Option<u32> {
        self.integer(ACCT_OUTPUT_GIGAWORDS)
    }

    /// Acct-Input-Packets.
    #[must_use]
    pub fn input_packets(&self) -> Option<u32> {
        self.integer(ACCT_INPUT_PACKETS)
    }

    /// Acct-Output-Packets.
    #[must_use]
    pub fn output_packets(&self) -> Option<u32> {
        self.integer(ACCT_OUTPUT_PACKETS)
    }

    /// Acct-Terminate-Cause.
    #[must_use]
    pub fn terminate_cause(&self) -> Option<u32> {
        self.integer(ACCT_TERMINATE_CAUSE)
    }

    /// Acct-Authentic.
    #[must_use]
    pub fn authentic(&self) -> Option<u32> {
        self.integer(ACCT_AUTHENTIC)
    }
}

impl<'a> Deref for AccountingRequest<'a> {
    type Target = Verified<'a>;

    fn deref(&self) -> &Verified<'a> {
        &self.0
    }
}

/// Status-Server; its Message-Authenticator is right. What else it carries is ignored (RFC 5997 §3).
#[derive(Clone, Debug)]
pub struct StatusRequest<'a>(Verified<'a>);

impl<'a> StatusRequest<'a> {
    /// The packet; a reply is encoded to it.
    #[must_use]
    pub const fn packet(&self) -> &Verified<'a> {
        &self.0
    }
}

impl<'a> Deref for StatusRequest<'a> {
    type Target = Verified<'a>;

    fn deref(&self) -> &Verified<'a> {
        &self.0
    }
}
