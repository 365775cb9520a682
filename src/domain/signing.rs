//! Who signs its Access-Requests with Message-Authenticator (CVE-2024-3596), and since when.

use std::net::IpAddr;

use ipnet::IpNet;

use super::nas::{Nas, TriState};
use crate::time::UnixTime;

/// How one source address of a NAS entry signs its Access-Requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// First valid Message-Authenticator.
    pub signed_since: Option<UnixTime>,
    /// Last valid Message-Authenticator.
    pub signed_last: Option<UnixTime>,
    /// First Access-Request without one, admitted or not.
    pub unsigned_since: Option<UnixTime>,
    /// Last Access-Request without one, admitted or not.
    pub unsigned_last: Option<UnixTime>,
    /// Did the first unsigned Access-Request carry Proxy-State? Such a source is a proxy.
    pub proxies: Option<bool>,
}

impl Signing {
    /// Is an unsigned Access-Request of this source refused?
    #[must_use]
    pub fn must_sign(&self, nas: TriState) -> bool {
        match nas {
            TriState::No => false,
            TriState::Auto => self.signed_since.is_some(),
            TriState::Yes => true,
        }
    }

    /// What it does: `signed`, `unsigned`, or `mixed` where something unsigned came after it began to sign:
    /// a device that does both, or somebody else who sends in its name.
    #[must_use]
    pub fn habit(&self) -> &'static str {
        match (self.signed_since, self.unsigned_last) {
            (None, _) => "unsigned",
            (Some(since), Some(last)) if last > since => "mixed",
            (Some(_), _) => "signed",
        }
    }

    /// Both were seen of the same source, here and by another server, or before a restart.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let first = |one: Option<UnixTime>, other: Option<UnixTime>| [one, other].into_iter().flatten().min();
        let proxies = match (self.unsigned_since, other.unsigned_since) {
            (Some(own), Some(others)) if others < own => other.proxies,
            (None, _) => other.proxies,
            _ => self.proxies,
        };
        Self {
            signed_since: first(self.signed_since, other.signed_since),
            signed_last: self.signed_last.max(other.signed_last),
            unsigned_since: first(self.unsigned_since, other.unsigned_since),
            unsigned_last: self.unsigned_last.max(other.unsigned_last),
            proxies: proxies.or(self.proxies).or(other.proxies),
        }
    }
}

/// One line of the report on who is ready for `require_message_authenticator = "yes"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Network of the NAS entry.
    pub network: IpNet,
    /// Source address.
    pub source: IpAddr,
    /// What it has been seen to do.
    pub signing: Signing,
}

/// A NAS entry, and what its sources have been seen to do.
#[derive(Clone, Debug)]
pub struct NasReadiness {
    /// The entry.
    pub nas: Nas,
    /// By address; none where nothing was heard.
    pub sources: Vec<Readiness>,
}

impl NasReadiness {
    /// May it be required to sign? `None` where nothing was heard.
    #[must_use]
    pub fn ready(&self) -> Option<bool> {
        let signs = |source: &Readiness| source.signing.habit() == "signed";
        (!self.sources.is_empty()).then(|| self.sources.iter().all(signs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signing(signed: Option<(i64, i64)>, unsigned: Option<(i64, i64)>, proxies: Option<bool>) -> Signing {
        Signing {
            signed_since: signed.map(|(since, _)| UnixTime(since)),
            signed_last: signed.map(|(_, last)| UnixTime(last)),
            unsigned_since: unsigned.map(|(since, _)| UnixTime(since)),
            unsigned_last: unsigned.map(|(_, last)| UnixTime(last)),
            proxies,
        }
    }

    #[test]
    fn a_habit_is_what_came_since_the_first_signature() {
        for (signed, unsigned, habit) in [
            (None, None, "unsigned"),
            (None, Some((1, 9)), "unsigned"),
            (Some((5, 9)), None, "signed"),
            (Some((5, 9)), Some((1, 5)), "signed"),
            (Some((5, 9)), Some((1, 6)), "mixed"),
        ] {
            assert_eq!(signing(signed, unsigned, None).habit(), habit);
        }
    }

    #[test]
    fn what_two_servers_saw_is_one_story_whoever_tells_it_first() {
        let one = signing(Some((5, 9)), Some((2, 3)), Some(true));
        let other = signing(Some((4, 20)), Some((3, 30)), Some(false));
        let both = signing(Some((4, 20)), Some((2, 30)), Some(true));
        assert_eq!((one.merged(other), other.merged(one)), (both, both));
        assert_eq!((one.merged(Signing::default()), Signing::default().merged(one)), (one, one));
        assert_eq!(one.merged(one), one);
    }
}
