//! What a CoA-Request changes, from the text that operators and policies write.

use smol_str::SmolStr;

use super::request::{ATTRIBUTES_MAX, Attribute, Kind, Request, secret};
use crate::domain::dynamic_auth::NotSent;
use crate::domain::{Nas, Session};
use crate::entropy::Entropy;
use crate::packs::Pack;
use crate::radius::dictionary::Dictionary;
use crate::radius::hiding::{Hiding, Salts};
use crate::radius::value::{self, Encoded};
use crate::radius::{Attributes, Secret, attribute};

impl Request {
    /// Changes `session`: what identifies it, then what shall change, as `Name = value`. An attribute that
    /// is given replaces the one that would identify.
    ///
    /// # Errors
    /// [`NotSent::BadAttribute`] for text that is not `Name = value`, an attribute that the dictionary does
    /// not know or that has no place in a CoA-Request, a value that it cannot have, or more of them than a
    /// packet holds.
    pub fn change(
        session: &Session,
        nas: &Nas,
        pack: &Pack,
        lines: &[SmolStr],
        dictionary: &Dictionary,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, NotSent> {
        let changes = changes(lines, secret(nas), dictionary, entropy).ok_or(NotSent::BadAttribute)?;
        Self::new(Kind::ChangeOfAuthorization, session, nas, pack, changes)
    }
}

/// The attributes of a CoA-Request; `None` if one of them cannot be.
fn changes(
    lines: &[SmolStr],
    secret: &Secret,
    dictionary: &Dictionary,
    entropy: &mut dyn Entropy,
) -> Option<Vec<Attribute>> {
    let mut octets = Vec::new();
    let mut salts = Salts::new(entropy);
    for line in lines {
        match encode(line, dictionary)? {
            Encoded::Wire(wire) => octets.extend_from_slice(&wire),
            // User-Password is a question, not a change.
            Encoded::Hidden(hidden) if hidden.method == Hiding::UserPassword => return None,
            Encoded::Hidden(hidden) => {
                hidden.encode(salts.next_salt(), secret, &NO_AUTHENTICATOR, &mut octets).ok()?;
            }
        }
        if octets.len() > ATTRIBUTES_MAX {
            return None;
        }
    }
    let changes: Vec<_> =
        Attributes::new(&octets).map(|attribute| Attribute::new(attribute.number, attribute.value)).collect();
    let has = |number| changes.iter().any(|change| change.number == number);
    let authorize_only = changes.iter().any(|change| {
        change.number == attribute::SERVICE_TYPE && *change.value == AUTHORIZE_ONLY.to_be_bytes()
    });
    let possible = !changes.is_empty()
        && !changes.iter().any(|change| is_ours(change.number))
        // RFC 5176 §3.2: "Authorize Only" needs a State.
        && (!authorize_only || has(attribute::STATE));
    possible.then_some(changes)
}

/// Reads `Name = value`; `:=`, `+=` and quotes are taken as operators write them. `None` if it cannot be.
fn encode(line: &str, dictionary: &Dictionary) -> Option<Encoded> {
    let (name, text) = line.split_once('=')?;
    let name = name.trim_end_matches([':', '+']).trim();
    let (definition, tag) = dictionary.attribute_with_tag(name)?;
    if definition.internal {
        return None;
    }
    value::encode(&definition, tag, value::unquote(text.trim()), dictionary).ok()
}

/// Attributes that we set, and those that a proxy sets.
const fn is_ours(number: u8) -> bool {
    matches!(
        number,
        attribute::MESSAGE_AUTHENTICATOR
            | attribute::EVENT_TIMESTAMP
            | attribute::PROXY_STATE
            | attribute::ERROR_CAUSE
    )
}

const AUTHORIZE_ONLY: u32 = 17;
/// A CoA-Request has no Request Authenticator before it is whole; sixteen zero octets stand for it, as they
/// do where it is computed (RFC 5176 §2.3).
const NO_AUTHENTICATOR: [u8; 16] = [0; 16];

#[cfg(test)]
mod tests {
    use super::super::tests::{SECRET, attributes, nas, numbers, session, value};
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::packs::Packs;
    use crate::radius::hiding::reveal_salted;
    use crate::time::UnixTime;

    fn change(lines: &[&str]) -> Result<Request, NotSent> {
        let lines: Vec<_> = lines.iter().map(SmolStr::new).collect();
        let packs = Packs::embedded();
        Request::change(
            &session(),
            &nas(),
            packs.other(),
            &lines,
            &Dictionary::embedded(),
            &mut SeededEntropy::new(7),
        )
    }

    #[test]
    fn a_coa_request_carries_what_shall_change_after_what_identifies() {
        let packet = change(&[
            "Session-Timeout = 3600",
            "Filter-Id := \"gold \\\"plus\\\"\"",
            "Reply-Message += 'it''s'",
            "Mikrotik-Rate-Limit = 10M/20M",
            "Tunnel-Private-Group-Id:1 = 42",
        ])
        .unwrap()
        .packet(9, UnixTime(0));
        assert_eq!(packet[1], 9);
        assert_eq!(numbers(&packet), [80, 55, 4, 32, 1, 44, 27, 11, 18, 26, 81]);
        assert_eq!(value(&packet, 27).unwrap(), 3600_u32.to_be_bytes());
        assert_eq!(value(&packet, 11).unwrap(), b"gold \"plus\"");
        assert_eq!(value(&packet, 18).unwrap(), b"it''s");
        assert_eq!(value(&packet, 81).unwrap(), b"\x0142");
        let specific = value(&packet, 26).unwrap();
        assert_eq!(specific[..4], 14988_u32.to_be_bytes());
        assert_eq!(specific[4..], *b"\x08\x0910M/20M");
    }

    #[test]
    fn a_given_attribute_replaces_the_one_that_would_identify() {
        let packet = change(&["User-Name = alice", "Session-Timeout = 1"]).unwrap().packet(0, UnixTime(0));
        assert_eq!(numbers(&packet), [80, 55, 4, 32, 44, 1, 27]);
        assert_eq!(value(&packet, 1).unwrap(), b"alice");
    }

    #[test]
    fn rfc5176_2_3_hidden_values_use_a_zero_authenticator() {
        let packet = change(&["Tunnel-Password:3 = s3cret", "Tunnel-Password:4 = other"])
            .unwrap()
            .packet(0, UnixTime(0));
        let hidden: Vec<_> = attributes(&packet).into_iter().filter(|(number, _)| *number == 69).collect();
        let secret = Secret::new(SECRET).unwrap();
        let clear: Vec<_> =
            hidden.iter().map(|(_, value)| reveal_salted(&value[1..], &secret, &[0; 16]).unwrap()).collect();
        assert_eq!((clear[0].as_slice(), clear[1].as_slice()), (&b"s3cret"[..], &b"other"[..]));
        assert_eq!((hidden[0].1[0], hidden[1].1[0]), (3, 4));
        // RFC 2868 §3.5: the first bit of a salt is set, and no two of a packet are equal.
        assert!(hidden.iter().all(|(_, value)| value[1] & 0x80 != 0));
        assert_ne!(hidden[0].1[1..3], hidden[1].1[1..3]);
    }

    #[test]
    fn an_attribute_that_cannot_be_is_never_sent() {
        let long = format!("Filter-Id = {}", "x".repeat(254));
        let many: Vec<String> = (0..20).map(|_| format!("Reply-Message = {}", "x".repeat(240))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let most: Vec<&str> = many[..16].to_vec();
        for lines in [
            &["No-Such-Attribute = 1"][..],
            &["Session-Timeout"],
            &["Session-Timeout = soon"],
            &["Framed-IP-Address = 10.0.0.300"],
            &["Session-Timeout = 1", "= 2"],
            // Control items are not for the wire.
            &["Simultaneous-Use = 1"],
            // A question, not a change (RFC 5176 §3.6).
            &["User-Password = hello"],
            // Ours to set.
            &["Message-Authenticator = 0x00000000000000000000000000000000"],
            &["Event-Timestamp = 1"],
            &["Proxy-State = 0x01"],
            // Longer than an attribute; more than a packet; nothing at all.
            &[&long],
            &many,
            &[],
        ] {
            assert_eq!(change(lines).unwrap_err(), NotSent::BadAttribute, "{lines:?}");
        }
        assert!(change(&most).unwrap().packet(0, UnixTime(0)).len() <= 4096);
    }

    #[test]
    fn rfc5176_3_2_authorize_only_needs_a_state() {
        assert_eq!(change(&["Service-Type = Authorize-Only"]).unwrap_err(), NotSent::BadAttribute);
        let packet =
            change(&["Service-Type = Authorize-Only", "State = 0x0102"]).unwrap().packet(0, UnixTime(0));
        assert_eq!(value(&packet, attribute::STATE).unwrap(), [1, 2]);
    }
}
