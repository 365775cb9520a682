//! One service to one subscriber: what a session is and what is known of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use md5::{Digest as _, Md5};
use sha2::Sha256;
use smol_str::SmolStr;

use super::charge::Charge;
use super::nas::NasIdentity;
use super::subscriber::SubscriberId;
use super::usage::Usage;
use crate::time::UnixTime;

/// Finds a session among all: a digest of the NAS identity and the Acct-Session-Id (or of our token
/// in Class where it was echoed). User-Name and ports are not in it: a NAS may change them. Uses of
/// one key over time are told apart by [`Session::epoch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 16]);

/// `radacct.acctuniqueid`: FreeRADIUS's MD5, written as 32 hexadecimal digits, so that both servers
/// meet in the same row. A re-used session id is salted with its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UniqueId(pub [u8; 16]);

/// Our token in Class: `ai:` and the 32 hexadecimal digits of these octets, which is the form that
/// FreeRADIUS's `acct_unique` recognises. Five octets say whose session it is, four are random, seven are
/// a MAC over them (`engine::token`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassToken(pub [u8; 16]);

/// A counter that the NAS reports as 32 bits, or 64 with Gigawords. Missing is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Sum of what earlier counter epochs (wraps and resets) ended with.
    pub base: u64,
    /// Highest value reported in this counter epoch; `None` until one was.
    pub reported: Option<u64>,
}

impl Counter {
    /// The whole count, or `None` if nothing was ever reported.
    #[must_use]
    pub const fn total(self) -> Option<u64> {
        match self.reported {
            Some(reported) => Some(self.base.saturating_add(reported)),
            None if self.base > 0 => Some(self.base),
            None => None,
        }
    }
}

/// How and when a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When it ended: the Stop's event time, or the last sign of life where it is a guess.
    pub at: UnixTime,
    /// Acct-Terminate-Cause by name (`User-Request`), or the reason of the guess.
    pub cause: SmolStr,
    /// Set where no Stop said so: a later record of the session undoes it (DESIGN §1, promise 6).
    pub guess: Option<CloseGuess>,
}

/// Why we closed a session that its NAS had not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseGuess {
    /// No sign of life for several of its own intervals.
    Stale,
    /// Accounting-On or -Off of its NAS. Not undone by a late record from before the reboot.
    NasReboot,
    /// The same device opened another session.
    Replaced,
    /// Its Acct-Session-Id was used for another session.
    SessionIdReused,
    /// The NAS answered that it does not know the session (RFC 5176 Error-Cause 503).
    UnknownToNas,
    /// An operator cleared it without asking the NAS.
    Cleared,
}

impl CloseGuess {
    /// Every guess with the word that `tk_session.guess` and `acctterminatecause` hold.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Stale, "Stale-Session"),
        (Self::NasReboot, "NAS-Reboot"),
        (Self::Replaced, "Session-Replaced"),
        (Self::SessionIdReused, "Session-Id-Reused"),
        (Self::UnknownToNas, "Unknown-To-NAS"),
        (Self::Cleared, "Cleared-By-Admin"),
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(guess, _)| *guess == self).map_or("Stale-Session", |(_, word)| word)
    }

    /// Reads the word in the table.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(guess, _)| *guess)
    }
}

/// What was noticed about a session; kept as `tk_session.flags`, names joined by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionFlags {
    /// No Start was seen; the start is the event time less Acct-Session-Time.
    pub start_inferred: bool,
    /// The NAS has sent Gigawords for this session: its counters have 64 bits.
    pub gigawords: bool,
    /// A 32-bit counter wrapped and was continued.
    pub wrapped: bool,
    /// A counter was reset by the NAS; both parts count.
    pub reset: bool,
    /// An Event-Timestamp was absurd and was not used.
    pub clock_suspect: bool,
    /// It was closed on a guess and a later record re-opened it.
    pub reopened: bool,
    /// Another session already had the FreeRADIUS unique id; ours is salted.
    pub salted: bool,
    /// It has not what its subscriber's policy gives now, and its NAS does nothing about it.
    pub unenforced: bool,
}

impl SessionFlags {
    /// The names of the flags that are set, joined by commas; empty if none is.
    #[must_use]
    pub fn to_text(self) -> String {
        let mut names = Vec::new();
        for (set, name) in self.named() {
            if set {
                names.push(name);
            }
        }
        names.join(",")
    }

    /// Reads [`SessionFlags::to_text`]; unknown names are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        for name in text.split(',') {
            match name {
                "start_inferred" => flags.start_inferred = true,
                "gigawords" => flags.gigawords = true,
                "wrapped" => flags.wrapped = true,
                "reset" => flags.reset = true,
                "clock_suspect" => flags.clock_suspect = true,
                "reopened" => flags.reopened = true,
                "salted" => flags.salted = true,
                "unenforced" => flags.unenforced = true,
                _ => {}
            }
        }
        flags
    }

    const fn named(self) -> [(bool, &'static str); 8] {
        [
            (self.start_inferred, "start_inferred"),
            (self.gigawords, "gigawords"),
            (self.wrapped, "wrapped"),
            (self.reset, "reset"),
            (self.clock_suspect, "clock_suspect"),
            (self.reopened, "reopened"),
            (self.salted, "salted"),
            (self.unenforced, "unenforced"),
        ]
    }
}

/// Everything known of one session: one row of `radacct` and one of `tk_session`. State merges
/// monotonically: counters and times only rise, closed by a Stop stays closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Finds it in memory.
    pub key: SessionKey,
    /// Which use of the key it is, from 0.
    pub epoch: u32,
    /// Finds it in SQL.
    pub unique_id: UniqueId,
    /// The NAS that serves it.
    pub nas: NasIdentity,
    /// Whose it is, where the directory knows.
    pub subscriber: Option<SubscriberId>,
    /// Whose session it is by name: User-Name as first seen, or the login that our token names, and while it
    /// is open the login that the subscriber has now.
    pub user_name: SmolStr,
    /// Primary group at the start.
    pub group: SmolStr,
    /// Acct-Session-Id.
    pub acct_session_id: SmolStr,
    /// Our token, where the NAS echoes Class.
    pub token: Option<ClassToken>,
    /// When it began.
    pub started: UnixTime,
    /// Event time of the newest record.
    pub updated: UnixTime,
    /// How it ended; `None` while open.
    pub closed: Option<Closed>,
    /// Seconds between the last two signs of life, as learned; 0 until two were seen.
    pub interval: u32,
    /// Acct-Session-Time, seconds.
    pub session_time: Counter,
    /// Octets from the subscriber, RFC direction whatever the NAS does.
    pub input: Counter,
    /// Octets to the subscriber.
    pub output: Counter,
    /// What of [`Session::total`] has been added to the subscriber's usage.
    pub counted: Usage,
    /// What it costs, where its plan charges.
    pub charge: Option<Box<Charge>>,
    /// What was noticed.
    pub flags: SessionFlags,
    /// Framed-IP-Address.
    pub framed_ip: Option<Ipv4Addr>,
    /// Calling-Station-Id: the device.
    pub calling_station_id: SmolStr,
    /// Called-Station-Id.
    pub called_station_id: SmolStr,
    /// NAS-Port-Id, else NAS-Port as digits.
    pub nas_port_id: SmolStr,
    /// What few sessions have or few readers want.
    pub details: Box<SessionDetails>,
}

/// The rarely read part of a [`Session`]: text columns of `radacct`, empty where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDetails {
    /// NAS-Port-Type by name.
    pub nas_port_type: SmolStr,
    /// Acct-Authentic by name.
    pub authentic: SmolStr,
    /// Connect-Info of the Start.
    pub connect_info_start: SmolStr,
    /// Connect-Info of the Stop.
    pub connect_info_stop: SmolStr,
    /// Service-Type by name.
    pub service_type: SmolStr,
    /// Framed-Protocol by name.
    pub framed_protocol: SmolStr,
    /// Framed-IPv6-Address.
    pub framed_ipv6_address: Option<Ipv6Addr>,
    /// Framed-IPv6-Prefix, canonical `address/length`.
    pub framed_ipv6_prefix: SmolStr,
    /// Framed-Interface-Id, `xxxx:xxxx:xxxx:xxxx`.
    pub framed_interface_id: SmolStr,
    /// Delegated-IPv6-Prefix, canonical `address/length`.
    pub delegated_ipv6_prefix: SmolStr,
    /// Class as it came: text, or `0x…` where it is not.
    pub class: SmolStr,
    /// User-Name as the NAS writes it, where [`Session::user_name`] is another. The NAS knows the session by
    /// this one.
    pub nas_user_name: SmolStr,
    /// Acct-Multi-Session-Id; groups, never merges.
    pub multi_session_id: SmolStr,
    /// Chargeable-User-Identity (RFC 4372).
    pub chargeable_user_identity: SmolStr,
    /// Addresses the session had before, oldest first, joined by commas.
    pub earlier_addresses: SmolStr,
    /// Attributes with no column of their own, as `Name = value` lines (RFC 5080 §2.5).
    pub other_attributes: SmolStr,
    /// What it has been given, as [`super::Granted::to_text`]; empty where nobody knows.
    pub granted: SmolStr,
}

impl Session {
    /// A session of which only its NAS and its beginning are known: open, in its first epoch, nobody's, and
    /// nothing of it was reported.
    #[must_use]
    pub fn begun(
        key: SessionKey,
        unique_id: UniqueId,
        nas: NasIdentity,
        acct_session_id: SmolStr,
        at: UnixTime,
    ) -> Self {
        Self {
            key,
            epoch: 0,
            unique_id,
            nas,
            subscriber: None,
            user_name: SmolStr::default(),
            group: SmolStr::default(),
            acct_session_id,
            token: None,
            started: at,
            updated: at,
            closed: None,
            interval: 0,
            session_time: Counter::default(),
            input: Counter::default(),
            output: Counter::default(),
            counted: Usage::default(),
            charge: None,
            flags: SessionFlags::default(),
            framed_ip: None,
            calling_station_id: SmolStr::default(),
            called_station_id: SmolStr::default(),
            nas_port_id: SmolStr::default(),
            details: Box::default(),
        }
    }

    /// What the session has used so far; what was never reported counts as nothing.
    #[must_use]
    pub fn total(&self) -> Usage {
        Usage {
            seconds: self.session_time.total().unwrap_or(0),
            input: self.input.total().unwrap_or(0),
            output: self.output.total().unwrap_or(0),
        }
    }

    /// Where a record of it without our token would look for it; [`Session::key`] otherwise.
    #[must_use]
    pub fn nas_key(&self) -> SessionKey {
        SessionKey::of_nas(&self.nas, &self.acct_session_id)
    }

    /// What its NAS calls the user.
    #[must_use]
    pub fn name_at_nas(&self) -> &SmolStr {
        if self.details.nas_user_name.is_empty() { &self.user_name } else { &self.details.nas_user_name }
    }

    /// Does it take a place of Simultaneous-Use?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// The address a portal finds it by.
    #[must_use]
    pub fn framed_address(&self) -> Option<IpAddr> {
        self.framed_ip.map(IpAddr::V4).or_else(|| self.details.framed_ipv6_address.map(IpAddr::V6))
    }
}

impl SessionKey {
    /// The key of a session whose records carry our token. One token is echoed in every session that
    /// one login opened, so the Acct-Session-Id is part of it.
    #[must_use]
    pub fn of_token(token: ClassToken, acct_session_id: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"token");
        digest.update(token.0);
        digest.update(acct_session_id.as_bytes());
        Self(first_half(digest))
    }

    /// The key of a session by the NAS that serves it.
    #[must_use]
    pub fn of_nas(nas: &NasIdentity, acct_session_id: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"nas");
        for address in [Some(nas.source), nas.address] {
            match address {
                Some(IpAddr::V4(v4)) => {
                    digest.update([4]);
                    digest.update(v4.octets());
                }
                Some(IpAddr::V6(v6)) => {
                    digest.update([6]);
                    digest.update(v6.octets());
                }
                None => digest.update([0]),
            }
        }
        // The length keeps "a" + "bc" apart from "ab" + "c".
        digest.update(nas.identifier.len().to_be_bytes());
        digest.update(nas.identifier.as_bytes());
        digest.update(acct_session_id.as_bytes());
        Self(first_half(digest))
    }
}

fn first_half(digest: Sha256) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    half
}

impl UniqueId {
    /// The id of another use of an Acct-Session-Id whose own unique id is taken.
    #[must_use]
    pub fn salted(self, epoch: u32) -> Self {
        Self(Md5::digest(format!("{},{epoch}", self.to_text())).into())
    }

    /// The id of a session of this subscriber where another's has that one already.
    #[must_use]
    pub fn of(self, subscriber: Option<SubscriberId>) -> Self {
        let owner = subscriber.map_or(0, |subscriber| subscriber.0);
        Self(Md5::digest(format!("{} of {owner}", self.to_text())).into())
    }

    /// The 32 hexadecimal digits of the column.
    #[must_use]
    pub fn to_text(self) -> SmolStr {
        SmolStr::from(hex::encode(self.0))
    }

    /// Reads the column; `None` where it is not one of ours or FreeRADIUS's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 16];
        hex::decode_to_slice(text.trim(), &mut octets).ok()?;
        Some(Self(octets))
    }
}

impl ClassToken {
    /// How the token begins in Class.
    pub const PREFIX: &'static str = "ai:";

    /// The value of Class that carries the token.
    #[must_use]
    pub fn to_class(self) -> [u8; 35] {
        let mut class = [0; 35];
        let (prefix, digits) = class.split_at_mut(Self::PREFIX.len());
        prefix.copy_from_slice(Self::PREFIX.as_bytes());
        for (pair, octet) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[hex_digit(octet >> 4), hex_digit(octet & 0x0f)]);
        }
        class
    }

    /// The token in a Class, if it has our form. The MAC is not yet checked.
    #[must_use]
    pub fn from_class(class: &[u8]) -> Option<Self> {
        let digits = class.strip_prefix(Self::PREFIX.as_bytes())?;
        let mut octets = [0; 16];
        hex::decode_to_slice(digits, &mut octets).ok()?;
        Some(Self(octets))
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_class() {
        let token = ClassToken([0, 1, 0x9a, 0xaf, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
        assert_eq!(&token.to_class(), b"ai:00019aaf0405060708090a0b0c0dfeff");
        assert_eq!(ClassToken::from_class(&token.to_class()), Some(token));
        assert_eq!(ClassToken::from_class(b"ai:00"), None);
    }

    #[test]
    fn flags_survive_the_table() {
        let flags = SessionFlags { gigawords: true, salted: true, ..SessionFlags::default() };
        assert_eq!(SessionFlags::parse(&flags.to_text()), flags);
        assert_eq!(SessionFlags::parse("something newer"), SessionFlags::default());
    }
}
