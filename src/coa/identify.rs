//! The values that tell a NAS which session is meant. Which attributes those are is the pack's to say;
//! the values are the NAS's own from its accounting, octet for octet.

use std::net::IpAddr;

use super::request::Attribute;
use crate::domain::Session;
use crate::domain::text::octets_from_text;
use crate::packs::Identifies::{
    AcctSessionId, CallingStationId, ChargeableUserIdentity, FramedIpAddress, NasAddress, NasIdentifier,
    NasPort, UserName,
};
use crate::packs::{Identifies, Pack};
use crate::radius::attribute;

/// The attributes that identify `session`, in the order of the pack. What the NAS never told is left
/// out, so that it cannot fail to match.
pub(super) fn identification(session: &Session, pack: &Pack) -> Vec<Attribute> {
    pack.identify().iter().filter_map(|identifies| value_of(*identifies, session)).collect()
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
