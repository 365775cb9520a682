//! The attributes that tell a NAS which session is meant.

/// An attribute that identifies a NAS or a session (RFC 5176 §3, first two tables).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl Identifies {
    /// Every one with its name in a pack's file.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::NasAddress, "NAS-IP-Address"),
        (Self::NasIdentifier, "NAS-Identifier"),
        (Self::UserName, "User-Name"),
        (Self::ChargeableUserIdentity, "Chargeable-User-Identity"),
        (Self::AcctSessionId, "Acct-Session-Id"),
        (Self::FramedIpAddress, "Framed-IP-Address"),
        (Self::CallingStationId, "Calling-Station-Id"),
        (Self::NasPort, "NAS-Port"),
    ];

    /// Reads the name in a pack's file.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(identifies, _)| *identifies)
    }
}
