//! What is asked of a NAS, as attributes: everything of a Disconnect- or CoA-Request but its header.

use std::sync::Arc;

use radius::core::avp::AVP;
use radius::core::packet::Packet;
use smallvec::SmallVec;

use super::identify::identification;
use crate::domain::dynamic_auth::{NotSent, Order};
use crate::domain::{Nas, Session};
use crate::packs::Pack;
use crate::radius::{Code, Secret, attribute, seal_request};
use crate::time::UnixTime;

/// Disconnect or CoA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Disconnect-Request, which a Disconnect-ACK or -NAK answers.
    Disconnect,
    /// CoA-Request, which a CoA-ACK or -NAK answers.
    ChangeOfAuthorization,
}

impl Kind {
    /// Of which kind the order is.
    #[must_use]
    pub const fn of(order: &Order) -> Self {
        match order {
            Order::Disconnect => Self::Disconnect,
            Order::ChangeOfAuthorization(_) => Self::ChangeOfAuthorization,
        }
    }

    /// The code of the request (RFC 5176 §3).
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Disconnect => Code::DisconnectRequest,
            Self::ChangeOfAuthorization => Code::CoaRequest,
        }
    }
}

/// A request that can be sent: every attribute means something, and all fit in one packet.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) kind: Kind,
    pub(super) secret: Secret,
    pub(super) attributes: Box<[Attribute]>,
}

/// One attribute with its value as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) number: u8,
    pub(super) value: SmallVec<[u8; 24]>,
}

impl Attribute {
    pub(super) fn new(number: u8, value: &[u8]) -> Self {
        Self { number, value: SmallVec::from_slice(value) }
    }
}

impl Request {
    /// Ends `session`: what identifies it and nothing else (RFC 5176 §3).
    ///
    /// # Errors
    /// [`NotSent::BadAttribute`] if it cannot be named in a packet.
    pub fn disconnect(session: &Session, nas: &Nas, pack: &Pack) -> Result<Self, NotSent> {
        Self::new(Kind::Disconnect, session, nas, pack, Vec::new())
    }

    pub(super) fn new(
        kind: Kind,
        session: &Session,
        nas: &Nas,
        pack: &Pack,
        changes: Vec<Attribute>,
    ) -> Result<Self, NotSent> {
        let mut attributes = identification(session, pack);
        attributes.retain(|identifies| !changes.iter().any(|change| change.number == identifies.number));
        attributes.extend(changes);
        let fits = attributes.iter().all(|attribute| attribute.value.len() <= VALUE_LENGTH_MAX)
            && attributes.iter().map(|attribute| 2 + attribute.value.len()).sum::<usize>() <= ATTRIBUTES_MAX;
        if !fits {
            return Err(NotSent::BadAttribute);
        }
        Ok(Self { kind, secret: secret(nas).clone(), attributes: attributes.into() })
    }

    /// The whole packet: Message-Authenticator, when it was sent, then what is asked. Event-Timestamp is the
    /// first transmission's and stays (RFC 5176 §6.3).
    pub(super) fn packet(&self, identifier: u8, sent: UnixTime) -> Arc<[u8]> {
        let code = radius::core::code::Code::from(self.kind.code().number());
        let mut packet = Packet::new_with_identifier(code, self.secret.octets(), identifier);
        packet.add(AVP::from_u32(attribute::EVENT_TIMESTAMP, u32::try_from(sent.0).unwrap_or(u32::MAX)));
        for attribute in &self.attributes {
            packet.add(AVP::from_bytes(attribute.number, &attribute.value));
        }
        let mut octets = packet.encode().expect("Request::new measured every attribute");
        seal_request(&mut octets, &self.secret).expect("Request::new measured the whole");
        octets.into()
    }
}

pub(super) fn secret(nas: &Nas) -> &Secret {
    nas.coa_secret.as_ref().unwrap_or(&nas.secret)
}

/// Octets of the longest value.
const VALUE_LENGTH_MAX: usize = 253;
/// What a packet has room for beside its header, Message-Authenticator and Event-Timestamp.
pub(super) const ATTRIBUTES_MAX: usize = 4096 - 20 - 18 - 6;
