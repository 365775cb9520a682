//! Which attributes tell a NAS which session is meant: data, one row per NAS type.
//!
//! RFC 5176 §3 lets a Dynamic Authorization Client pick from a list, and wants a NAK unless *all* that
//! it sends match one session. So more is not better: each row holds what that NAS is known to look at
//! and to accept, and the last word is the NAS's own spelling from its accounting, octet for octet.

use std::net::IpAddr;

use super::request::Attribute;
use crate::domain::Session;
use crate::domain::text::octets_from_text;
use crate::radius::attribute;

/// An attribute that identifies a NAS or a session (RFC 5176 §3, first two tables).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifies {
    /// NAS-IP-Address or NAS-IPv6-Address as the NAS gave it; where the NAS names itself in no way, the
    /// address that it sends from.
    NasAddress,
    /// NAS-Identifier.
    NasIdentifier,
    /// User-Name.
    UserName,
    /// Chargeable-User-Identity (RFC 4372).
    ChargeableUserIdentity,
    /// Acct-Session-Id.
    AcctSessionId,
    /// Framed-IP-Address.
    FramedIpAddress,
    /// Calling-Station-Id.
    CallingStationId,
    /// NAS-Port, where the accounting had the number and no NAS-Port-Id.
    NasPort,
}

use Identifies::{
    AcctSessionId, CallingStationId, ChargeableUserIdentity, FramedIpAddress, NasAddress, NasIdentifier,
    NasPort, UserName,
};

/// What every NAS that keeps to RFC 5176 can be told.
const STANDARD: &[Identifies] = &[NasAddress, NasIdentifier, UserName, ChargeableUserIdentity, AcctSessionId];

/// NAS types that want something else, and why.
const BY_NAS_TYPE: &[(&str, &[Identifies])] = &[
    // Looks a session up by User-Name and Acct-Session-Id; some releases also want the address.
    ("mikrotik", &[NasAddress, NasIdentifier, UserName, AcctSessionId, FramedIpAddress]),
    // The wireless controllers find nothing without Calling-Station-Id and NAS-IP-Address.
    ("cisco", &[NasAddress, UserName, AcctSessionId, CallingStationId]),
    // Refuses every attribute it does not know (401); Framed-IP-Address is one of those.
    (
        "hostapd",
        &[NasAddress, NasIdentifier, UserName, ChargeableUserIdentity, AcctSessionId, CallingStationId],
    ),
    // Exactly one key per request, else 404: Acct-Session-Id alone, no User-Name, no port.
    ("alcatel.sr", &[NasAddress, NasIdentifier, AcctSessionId]),
    // Looks at User-Name and Acct-Session-Id and knows no NAS identification.
    ("chillispot", &[UserName, AcctSessionId]),
    // Switches want the port as a number and NAK NAS-Port-Id.
    ("aruba", &[NasAddress, NasIdentifier, UserName, AcctSessionId, CallingStationId, NasPort]),
];

/// What identifies a session at a NAS of that type.
#[must_use]
pub fn identifying_attributes(nas_type: &str) -> &'static [Identifies] {
    BY_NAS_TYPE.iter().find(|(known, _)| *known == nas_type).map_or(STANDARD, |(_, attributes)| attributes)
}

/// The attributes that identify `session`, in the order of the table. What the NAS never told is left
/// out, so that it cannot fail to match.
pub(super) fn identification(session: &Session, nas_type: &str) -> Vec<Attribute> {
    identifying_attributes(nas_type).iter().filter_map(|identifies| value_of(*identifies, session)).collect()
}

fn value_of(identifies: Identifies, session: &Session) -> Option<Attribute> {
    match identifies {
        NasAddress => {
            let unnamed = session.nas.address.is_none() && session.nas.identifier.is_empty();
            let address = session.nas.address.or_else(|| unnamed.then_some(session.nas.source))?;
            Some(match address {
                IpAddr::V4(address) => Attribute::new(attribute::NAS_IP_ADDRESS, &address.octets()),
                IpAddr::V6(address) => Attribute::new(attribute::NAS_IPV6_ADDRESS, &address.octets()),
            })
        }
        NasIdentifier => text(attribute::NAS_IDENTIFIER, &session.nas.identifier),
        UserName => text(attribute::USER_NAME, session.name_at_nas()),
        ChargeableUserIdentity => {
            text(attribute::CHARGEABLE_USER_IDENTITY, &session.details.chargeable_user_identity)
        }
        AcctSessionId => text(attribute::ACCT_SESSION_ID, &session.acct_session_id),
        FramedIpAddress => {
            session.framed_ip.map(|address| Attribute::new(attribute::FRAMED_IP_ADDRESS, &address.octets()))
        }
        CallingStationId => text(attribute::CALLING_STATION_ID, &session.calling_station_id),
        NasPort => {
            let port: u32 = session.nas_port_id.parse().ok()?;
            Some(Attribute::new(attribute::NAS_PORT, &port.to_be_bytes()))
        }
    }
}

fn text(number: u8, value: &str) -> Option<Attribute> {
    (!value.is_empty()).then(|| Attribute::new(number, &octets_from_text(value)))
}
