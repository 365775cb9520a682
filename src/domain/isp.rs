//! A session as an ISP lists it.

use smol_str::SmolStr;

use crate::time::UnixTime;

/// A row of radacct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IspSession {
    /// Acct-Session-Id.
    pub acct_session_id: SmolStr,
    /// User-Name.
    pub login: SmolStr,
    /// When it began.
    pub started: Option<UnixTime>,
    /// When it ended; `None` while open.
    pub stopped: Option<UnixTime>,
    /// Framed-IP-Address.
    pub framed: SmolStr,
    /// Calling-Station-Id.
    pub device: SmolStr,
    /// Acct-Session-Time.
    pub seconds: u64,
    /// Octets from the subscriber.
    pub input: u64,
    /// Octets to the subscriber.
    pub output: u64,
    /// Address of the NAS.
    pub nas: SmolStr,
    /// Called-Station-Id.
    pub called: SmolStr,
    /// Acct-Terminate-Cause.
    pub cause: SmolStr,
    /// NAS-Port-Type.
    pub port_type: SmolStr,
}
