//! The devices that ask us: who they are and how they are treated.

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;

use crate::radius::Secret;

/// A configured NAS, or a network of them that share one entry (FreeRADIUS: a client).
#[derive(Clone, Debug)]
pub struct Nas {
    /// Short name for people and metric labels; the address where none was given.
    pub name: SmolStr,
    /// The source addresses this entry answers for.
    pub network: IpNet,
    /// `mikrotik`, `chillispot`, `cisco` …, `other`: names the vendor pack (DESIGN §4).
    pub nas_type: SmolStr,
    /// Shared secret.
    pub secret: Secret,
    /// The secret that is also valid while secrets are being rotated.
    pub secret_next: Option<Secret>,
    /// NAS-Identifier that a packet from this entry must carry; `None` accepts any.
    pub identifier: Option<SmolStr>,
    /// The vendor pack of that type, looked up when the entry is put in force.
    pub pack: PackId,
    /// UDP port that listens for Disconnect- and CoA-Requests; `None` is that of the pack, mostly 3799
    /// (RFC 5176 §3).
    pub coa_port: Option<u16>,
    /// Secret of dynamic authorization, where it differs.
    pub coa_secret: Option<Secret>,
    /// This NAS counts input and output the other way round than RFC 2866 says.
    pub swap_octets: bool,
    /// Is Message-Authenticator required in Access-Requests (CVE-2024-3596)?
    pub require_message_authenticator: TriState,
    /// Is Proxy-State without Message-Authenticator refused (CVE-2024-3596)?
    pub limit_proxy_state: TriState,
    /// Where the entry was read from.
    pub source: NasSource,
}

#[cfg(test)]
impl Nas {
    /// An entry that says no more than it must: its name, its network and `testing123`.
    pub(crate) fn sample(name: &str, network: &str) -> Self {
        Self {
            name: name.into(),
            network: network.parse().unwrap(),
            nas_type: "other".into(),
            secret: Secret::new(b"testing123").unwrap(),
            secret_next: None,
            identifier: None,
            pack: PackId::OTHER,
            coa_port: None,
            coa_secret: None,
            swap_octets: false,
            require_message_authenticator: TriState::Auto,
            limit_proxy_state: TriState::Auto,
            source: NasSource::Config,
        }
    }
}

/// Which vendor pack speaks for a NAS: its place among the packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PackId(pub u16);

impl PackId {
    /// The pack of a NAS of which nothing is known.
    pub const OTHER: Self = Self(0);
}

/// `no`, `auto` (from the first signed request on) or `yes`, as in FreeRADIUS 3.2.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TriState {
    /// Never.
    No,
    /// From the moment the NAS has been seen to sign.
    #[default]
    Auto,
    /// Always.
    Yes,
}

impl TriState {
    /// Reads `no`, `auto`, `yes` and FreeRADIUS's other spellings of yes and no.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "no" | "false" | "0" => Some(Self::No),
            "auto" | "" => Some(Self::Auto),
            "yes" | "true" | "1" => Some(Self::Yes),
            _ => None,
        }
    }

    /// The word that [`TriState::parse`] reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Auto => "auto",
            Self::Yes => "yes",
        }
    }
}

/// Where a [`Nas`] entry was read from. On equal networks the table wins, since it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NasSource {
    /// The configuration file.
    Config,
    /// A row of the `nas` table, by id.
    Table(i64),
}

/// Which physical NAS an accounting packet speaks of: where it came from and what it calls itself.
/// Two NASes behind one address differ in what they call themselves; two with equal NAS-IP-Address
/// behind address translation differ in where they come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NasIdentity {
    /// Source address of the datagram, IPv4-mapped IPv6 written as IPv4.
    pub source: IpAddr,
    /// NAS-IP-Address or NAS-IPv6-Address.
    pub address: Option<IpAddr>,
    /// NAS-Identifier; empty if absent.
    pub identifier: SmolStr,
}

impl NasIdentity {
    /// What `radacct.nasipaddress` says: the address the NAS gives itself, else where it sent from.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.unwrap_or(self.source)
    }

    /// Is `other` a session's NAS that an Accounting-On/Off from `self` speaks for? An attribute
    /// that the Accounting-On leaves out narrows nothing.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.source == other.source
            && (self.address.is_none() || self.address == other.address)
            && (self.identifier.is_empty() || self.identifier == other.identifier)
    }
}
