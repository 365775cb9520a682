//! Which device logs in, and the places it and others take.

use std::time::Instant;

use smol_str::SmolStr;

use super::packed::Slot;
use crate::domain::text::mac_digits;
use crate::domain::{ClassToken, NasIdentity, Session, UniqueId};

/// Which device a login or a session belongs to. NAS-Port is never an identity: it is the place on
/// the NAS, and many NASes give it out anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// Calling-Station-Id, where it is a MAC address: twelve lower-case hexadecimal digits.
    Mac([u8; 12]),
    /// Calling-Station-Id, where it is anything else.
    Station(SmolStr),
    /// No Calling-Station-Id: the session that the NAS already names in its Access-Request.
    Login {
        /// Which NAS.
        nas: Box<NasIdentity>,
        /// Acct-Session-Id.
        acct_session_id: SmolStr,
    },
    /// Nothing is known: every such login is another device.
    Unknown,
}

impl Device {
    /// The device that a packet names. Empty text is an absent attribute.
    #[must_use]
    pub fn of(calling_station_id: &str, nas: &NasIdentity, acct_session_id: &str) -> Self {
        Self::of_station(calling_station_id).unwrap_or_else(|| {
            if acct_session_id.is_empty() {
                Self::Unknown
            } else {
                Self::Login { nas: Box::new(nas.clone()), acct_session_id: acct_session_id.into() }
            }
        })
    }

    /// The device that a Calling-Station-Id names.
    pub(super) fn of_station(calling_station_id: &str) -> Option<Self> {
        if calling_station_id.is_empty() {
            return None;
        }
        Some(
            mac_digits(calling_station_id.as_bytes())
                .map_or_else(|| Self::Station(calling_station_id.into()), Self::Mac),
        )
    }

    /// Is the session this device's?
    #[must_use]
    pub fn serves(&self, session: &Session) -> bool {
        match self {
            Self::Mac(digits) => mac_digits(session.calling_station_id.as_bytes()).as_ref() == Some(digits),
            Self::Station(station) => session.calling_station_id == *station,
            Self::Login { nas, acct_session_id } => {
                session.nas == **nas && session.acct_session_id == *acct_session_id
            }
            Self::Unknown => false,
        }
    }

    /// [`Device::serves`] for a session that is at rest.
    pub(super) fn serves_slot(&self, slot: &Slot) -> bool {
        match self {
            Self::Mac(digits) => mac_digits(slot.calling_station_id().as_bytes()).as_ref() == Some(digits),
            Self::Station(station) => slot.calling_station_id() == station.as_str(),
            Self::Login { acct_session_id, .. } => {
                slot.acct_session_id() == acct_session_id.as_str() && self.serves(&slot.session())
            }
            Self::Unknown => false,
        }
    }

    /// Are both known to be one device?
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        *self != Self::Unknown && self == other
    }
}

/// A place that an Access-Accept holds until its Start comes or it lapses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The token in the Accept's Class: names the reservation, and its Start where Class is echoed.
    pub token: ClassToken,
    /// Who logged in.
    pub device: Device,
    /// Through which NAS.
    pub nas: NasIdentity,
    /// When it lapses.
    pub until: Instant,
    /// Acct-Interim-Interval in the Accept, seconds: how soon to expect signs of life. 0: none sent.
    pub interim_interval: u32,
    /// What the Accept gives, as [`crate::domain::Granted::to_text`].
    pub granted: SmolStr,
}

/// The places of Simultaneous-Use as one device sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Places that other devices take, by an open session or by a reservation.
    pub taken: u32,
    /// The device has a session or a reservation already: logging in again takes no other place.
    pub own_place: bool,
    /// One of the sessions that take a place could be asked to give way: see
    /// [`super::SubscriberSessions::ask_to_give_way`].
    pub may_give_way: bool,
}

/// A session that is asked to give its place to a newer login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivesWay {
    pub(super) session: UniqueId,
    pub(super) answer: Answer,
}

/// What its NAS has said to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing yet: it keeps its place until then.
    Awaited(Instant),
    /// It ends, or nobody is there who could say no: the place is another's. It has until then to end.
    Passed(Instant),
    /// No. It is not asked again before then.
    Refused(Instant),
}
