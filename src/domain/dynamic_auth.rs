//! Dynamic authorization (RFC 5176): what is asked of a NAS about an open session, and what came of it.

use smol_str::SmolStr;

use super::session::UniqueId;
use crate::time::UnixTime;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the session (Disconnect-Request).
    Disconnect,
    /// Change it (CoA-Request): attributes as `Name = value` text.
    ChangeOfAuthorization(Vec<SmolStr>),
}

/// A queued row of `tk_coa`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// `tk_coa.id`.
    pub id: i64,
    /// The session meant.
    pub session: UniqueId,
    /// What is asked.
    pub order: Order,
    /// When it was queued.
    pub queued: UnixTime,
}

/// An order that has been seen to, as a row of `tk_coa` holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The queued row that asked for it; `None` where no row did and one is to be made.
    pub job: Option<i64>,
    /// The session meant.
    pub session: UniqueId,
    /// What was asked.
    pub order: Order,
    /// When it was ordered.
    pub queued: UnixTime,
    /// By whom, where no row did: `server`, `policy: …`.
    pub by: SmolStr,
    /// First transmission; `None` if it was never sent.
    pub sent: Option<UnixTime>,
    /// When the outcome was known.
    pub ended: UnixTime,
    /// What came of it.
    pub outcome: Outcome,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Disconnect-ACK or CoA-ACK. The session ends with its Stop, not with this.
    Ack,
    /// Disconnect-NAK or CoA-NAK, with Error-Cause where the NAS gave one (RFC 5176 §3.5).
    Nak {
        /// 401, 402, 403, 404, 501, 503 …
        error_cause: Option<u32>,
    },
    /// No valid answer to any of the transmissions.
    TimedOut,
    /// Never sent: the session is not open, its NAS is not known, or it cannot be said in one packet.
    NotSent(NotSent),
}

/// Why an order could not even be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// No open session has that id.
    NoSession,
    /// The NAS of the session is no longer configured.
    NoNas,
    /// An attribute is unknown or its value does not fit.
    BadAttribute,
    /// The queue of exchanges is full.
    Full,
}

impl Outcome {
    /// Does the NAS do what was asked? A NAK "Request Initiated" says so to a CoA-Request with
    /// Service-Type "Authorize Only" (RFC 5176 §3.2).
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ack | Self::Nak { error_cause: Some(507) })
    }

    /// The word in `tk_coa.outcome`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Nak { .. } => "nak",
            Self::TimedOut => "timeout",
            Self::NotSent(NotSent::NoSession) => "no-session",
            Self::NotSent(NotSent::NoNas) => "no-nas",
            Self::NotSent(NotSent::BadAttribute) => "bad-attribute",
            Self::NotSent(NotSent::Full) => "queue-full",
        }
    }
}

/// The name of an Error-Cause value (RFC 5176 §3.5), for people.
#[must_use]
pub const fn error_cause_name(value: u32) -> &'static str {
    match value {
        201 => "Residual-Session-Context-Removed",
        202 => "Invalid-EAP-Packet",
        401 => "Unsupported-Attribute",
        402 => "Missing-Attribute",
        403 => "NAS-Identification-Mismatch",
        404 => "Invalid-Request",
        405 => "Unsupported-Service",
        406 => "Unsupported-Extension",
        407 => "Invalid-Attribute-Value",
        501 => "Administratively-Prohibited",
        502 => "Proxy-Request-Not-Routable",
        503 => "Session-Context-Not-Found",
        504 => "Session-Context-Not-Removable",
        505 => "Proxy-Processing-Error",
        506 => "Resources-Unavailable",
        507 => "Request-Initiated",
        508 => "Multiple-Session-Selection-Unsupported",
        509 => "Location-Based-Authorization-Unsupported",
        _ => "Unknown",
    }
}
