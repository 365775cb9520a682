//! One Accounting-Request as the session table reads it: values, no octets.

use std::net::{IpAddr, Ipv4Addr};

use smol_str::SmolStr;

use super::nas::NasIdentity;
use super::session::{ClassToken, SessionDetails, SessionKey, UniqueId};
use crate::time::UnixTime;

/// Acct-Status-Type, as far as it concerns one session (RFC 2866 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordStatus {
    /// The session began.
    Start,
    /// It goes on.
    InterimUpdate,
    /// It ended.
    Stop,
}

/// A counter as the packet has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedOctets {
    /// Acct-Input-Octets or Acct-Output-Octets; `None` where the packet has none.
    pub octets: Option<u32>,
    /// The Gigawords beside it (RFC 2869 §5.1, §5.2). Present and 0 still says "64 bits".
    pub gigawords: Option<u32>,
}

/// One Start, Interim-Update or Stop. `engine::accounting` makes it from the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountingRecord {
    /// Start, Interim-Update or Stop.
    pub status: RecordStatus,
    /// Finds the session in memory: of the token where there is one, else [`Self::nas_key`].
    pub key: SessionKey,
    /// Finds the session where only some of its records carry the token.
    pub nas_key: SessionKey,
    /// What FreeRADIUS's `acct_unique` makes of the packet.
    pub unique_id: UniqueId,
    /// Which NAS speaks.
    pub nas: NasIdentity,
    /// Acct-Session-Id.
    pub acct_session_id: SmolStr,
    /// User-Name, or the login of whose it is.
    pub user_name: SmolStr,
    /// Our token in Class, its MAC checked.
    pub token: Option<ClassToken>,
    /// When it happened: a believable Event-Timestamp, else receive time less Acct-Delay-Time.
    pub event_time: UnixTime,
    /// When it arrived.
    pub received: UnixTime,
    /// The Event-Timestamp was absurd (more than 30 days old or a day ahead) and was not used.
    pub clock_suspect: bool,
    /// Acct-Session-Time, seconds.
    pub session_time: Option<u32>,
    /// From the subscriber, after `swap_octets`.
    pub input: ReportedOctets,
    /// To the subscriber, after `swap_octets`.
    pub output: ReportedOctets,
    /// Acct-Terminate-Cause by name, of a Stop.
    pub terminate_cause: SmolStr,
    /// Framed-IP-Address, unless it is one of the two that mean "not yet" (RFC 2865 §5.8).
    pub framed_ip: Option<Ipv4Addr>,
    /// Calling-Station-Id.
    pub calling_station_id: SmolStr,
    /// Called-Station-Id.
    pub called_station_id: SmolStr,
    /// NAS-Port-Id, else NAS-Port as digits.
    pub nas_port_id: SmolStr,
    /// The rest. Connect-Info is in `connect_info_start` whatever the status.
    pub details: SessionDetails,
}

impl AccountingRecord {
    /// It belongs to this login, whatever the NAS calls the user.
    pub fn belongs_to(&mut self, login: &SmolStr) {
        if self.user_name != *login {
            self.details.nas_user_name = std::mem::replace(&mut self.user_name, login.clone());
        }
    }

    /// What the NAS calls the user.
    #[must_use]
    pub fn name_at_nas(&self) -> &SmolStr {
        if self.details.nas_user_name.is_empty() { &self.user_name } else { &self.details.nas_user_name }
    }

    /// The address the session has now, if the record names one.
    #[must_use]
    pub fn framed_address(&self) -> Option<IpAddr> {
        self.framed_ip.map(IpAddr::V4).or_else(|| self.details.framed_ipv6_address.map(IpAddr::V6))
    }
}
