//! Octets that nobody would send: nothing panics, and another decoder sees the same.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use radius::core::packet::Packet as Oracle;
use tollkeeper::entropy::{Entropy, SeededEntropy};
use tollkeeper::radius::attribute::{
    self, VENDOR_SPECIFIC, extended_attributes, push_extended, tagged_integer, tagged_integer_octets,
};
use tollkeeper::radius::hiding::{
    hide_ascend_secret, hide_salted, hide_user_password, reveal_ascend_secret, reveal_salted,
    reveal_user_password,
};
use tollkeeper::radius::{
    AccessReply, Code, Credentials, Packet, Reply, ReplyAttributes, Request, authenticate_request,
    seal_request, verify_response,
};

use crate::fuzz::targets::{agree, exercise, secret, structures};
use crate::vectors;

/// A number below `limit`.
pub(crate) fn below(entropy: &mut SeededEntropy, limit: usize) -> usize {
    usize::try_from(entropy.number() % u64::try_from(limit.max(1)).unwrap()).unwrap()
}

/// Changes some octets.
pub(crate) fn change(octets: &mut Vec<u8>, entropy: &mut SeededEntropy) {
    for _ in 0..=below(entropy, 4) {
        let at = below(entropy, octets.len());
        let any = entropy.number().to_le_bytes()[0];
        let edge = [0, 1, 2, 3, 16, 18, 127, 253, 255][below(entropy, 9)];
        match below(entropy, 7) {
            0 if !octets.is_empty() => octets[at] = any,
            1 if !octets.is_empty() => octets[at] = edge,
            2 if !octets.is_empty() => octets[at] ^= 1 << (any % 8),
            3 => octets.insert(at, any),
            4 if !octets.is_empty() => drop(octets.remove(at)),
            5 => octets.truncate(at),
            _ => {
                let copy = octets[at..].to_vec();
                octets.extend(copy);
            }
        }
    }
}

/// Breaks some octets of a packet.
fn mutate(octets: &mut Vec<u8>, entropy: &mut SeededEntropy) {
    change(octets, entropy);
    // Most of them with a Length that fits, or nothing behind it would be reached.
    if octets.len() >= 20 && below(entropy, 4) != 0 {
        let length = u16::try_from(octets.len()).unwrap();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

#[test]
fn broken_vectors_never_panic_and_another_decoder_sees_the_same() {
    let vectors = vectors::load();
    let (mut decoded, mut all) = (0, 0);
    for seed in 0..25 {
        let mut entropy = SeededEntropy::new(seed);
        for vector in &vectors {
            let mut octets = vector.octets.clone();
            mutate(&mut octets, &mut entropy);
            // The panic message of a failing one is its seed and name.
            let text = format!("seed {seed}, {}, {}: {}", vector.file, vector.name, hex::encode(&octets));
            let outcome = std::panic::catch_unwind(|| {
                agree(&octets);
                exercise(&octets)
            });
            decoded += usize::from(outcome.unwrap_or_else(|_| panic!("{text}")));
            all += 1;
        }
    }
    assert!(decoded > all / 10, "only {decoded} of {all} still decode: the mutations test nothing");
}

#[test]
fn every_prefix_of_every_vector_is_safe() {
    for vector in vectors::load() {
        for length in 0..vector.octets.len().min(64) {
            let mut octets = vector.octets[..length].to_vec();
            agree(&octets);
            if length >= 20 {
                octets[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
                agree(&octets);
                exercise(&octets);
            }
        }
    }
}

#[test]
fn as_many_attributes_as_fit_are_read_in_one_pass() {
    for attribute in [&[33, 2][..], &[26, 2], &[80, 2], &[245, 4, 1, 0x80], &[2, 2], &[25, 3, 0]] {
        let mut octets = vec![1, 1, 0, 0];
        octets.extend([7; 16]);
        while octets.len() + attribute.len() <= 4096 {
            octets.extend(attribute);
        }
        let length = u16::try_from(octets.len()).unwrap();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        agree(&octets);
        assert!(exercise(&octets));
    }
}

#[test]
fn requests_of_another_implementation_are_understood() {
    use radius::core::code::Code as TheirCode;
    use radius::core::{rfc2865, rfc2866};

    let mut login = Oracle::new(TheirCode::AccessRequest, b"xyzzy5461");
    rfc2865::add_user_name(&mut login, "nemo");
    rfc2865::add_user_password(&mut login, b"a password of more than sixteen octets").unwrap();
    rfc2865::add_nas_ip_address(&mut login, &Ipv4Addr::new(192, 168, 1, 16));
    let mut octets = login.encode().unwrap();
    seal_request(&mut octets, &secret()).unwrap();
    let secret = secret();
    let verified = Packet::decode(&octets).unwrap().verify(&secret).unwrap();
    assert!(verified.signed());
    let Ok(Request::Access(request)) = verified.into_request(&secret) else { panic!("no Access-Request") };
    assert_eq!(request.user_name(), Some(&b"nemo"[..]));
    assert_eq!(request.nas_ip_address(), Some(Ipv4Addr::new(192, 168, 1, 16)));
    let Credentials::Pap(password) = request.credentials() else { panic!("no User-Password") };
    assert_eq!(password.octets(), b"a password of more than sixteen octets");

    let mut start = Oracle::new(TheirCode::AccountingRequest, b"xyzzy5461");
    rfc2866::add_acct_session_id(&mut start, "0000C0DE");
    let mut octets = start.encode().unwrap();
    assert!(!Packet::decode(&octets).unwrap().verify(&secret).unwrap().signed());
    authenticate_request(&mut octets, &secret);
    assert!(Packet::decode(&octets).unwrap().verify(&secret).is_ok());
}

proptest! {
    #[test]
    fn any_octets_are_safe(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        agree(&octets);
        exercise(&octets);
        structures(&octets);
    }

    #[test]
    fn a_user_password_survives(clear in proptest::collection::vec(any::<u8>(), 0..=128), authenticator: [u8; 16]) {
        let hidden = hide_user_password(&clear, &secret(), &authenticator).unwrap();
        let password = reveal_user_password(&hidden, &secret(), &authenticator).unwrap();
        let padding = clear.iter().rev().take_while(|octet| **octet == 0).count();
        prop_assert_eq!(password.octets(), &clear[..clear.len() - padding]);
    }

    #[test]
    fn a_salted_value_survives(clear in proptest::collection::vec(any::<u8>(), 0..=239), salt: [u8; 2], authenticator: [u8; 16]) {
        let hidden = hide_salted(&clear, salt, &secret(), &authenticator).unwrap();
        prop_assert_eq!(reveal_salted(&hidden, &secret(), &authenticator).unwrap().to_vec(), clear);
    }

    #[test]
    fn an_ascend_secret_survives(clear in proptest::collection::vec(1..=255_u8, 1..=16), authenticator: [u8; 16]) {
        let hidden = hide_ascend_secret(&clear, &secret(), &authenticator).unwrap();
        prop_assert_eq!(reveal_ascend_secret(&hidden, &secret(), &authenticator).unwrap().to_vec(), clear);
    }

    #[test]
    fn a_tagged_integer_survives(tag in 0..=0x1f_u8, number in 0..0x0100_0000_u32) {
        let octets = tagged_integer_octets(tag, number).unwrap();
        prop_assert_eq!(tagged_integer(&octets), Some((tag, number)));
    }

    #[test]
    fn an_extended_value_survives(space in 241..=246_u8, number: u8, value in proptest::collection::vec(any::<u8>(), 1..2000)) {
        let mut octets = Vec::new();
        let written = push_extended(space, number, &value, &mut octets);
        prop_assert_eq!(written, space > 244 || value.len() <= 252);
        if written {
            let read: Vec<_> = extended_attributes(attribute::Attributes::new(&octets)).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!((read[0].space, read[0].number, &*read[0].value), (space, number, value.as_slice()));
        }
    }

    #[test]
    fn a_reply_of_any_attributes_is_well_formed_and_believed(
        attributes in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..400)), 0..8),
        states in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=253), 0..5),
        kind in 0..3,
    ) {
        let mut asked = vec![1, 99, 0, 0];
        asked.extend([0x17; 16]);
        for state in &states {
            asked.extend([attribute::PROXY_STATE, u8::try_from(state.len() + 2).unwrap()]);
            asked.extend(state);
        }
        seal_request(&mut asked, &secret()).unwrap();
        let to = Packet::decode(&asked).unwrap().verify(&secret()).unwrap();
        let mut pushed = ReplyAttributes::new();
        for (number, value) in &attributes {
            pushed.push(*number, value);
        }
        let reply = match kind {
            0 => AccessReply::Accept(pushed),
            1 => AccessReply::Reject(pushed),
            _ => AccessReply::Challenge(pushed),
        };
        let mut out = Vec::new();
        match Reply::from(reply).encode(&to, &secret(), &mut SeededEntropy::new(1), &mut out) {
            Err(oversize) => prop_assert!(oversize.length > 4096),
            Ok(()) => {
                verify_response(&asked, &out, &secret()).unwrap();
                agree(&out);
                let packet = Packet::decode(&out).unwrap();
                prop_assert_eq!(packet.octets().len(), out.len());
                prop_assert_eq!(packet.attributes().next().map(|it| it.number), Some(attribute::MESSAGE_AUTHENTICATOR));
                prop_assert!(packet.values(attribute::PROXY_STATE).eq(states.iter().map(Vec::as_slice)));
                prop_assert!(packet.values(attribute::STATE).count() <= 1);
                prop_assert!(packet.attributes().all(|it| !it.value.is_empty() || it.number == attribute::PROXY_STATE));
                let provisions = packet.attributes().any(|it| ![18, 26, 33, 79, 80, 101].contains(&it.number));
                prop_assert!(packet.header().code != Code::AccessReject || !provisions);
                prop_assert!(packet.header().code != Code::AccessReject || packet.first(VENDOR_SPECIFIC).is_none());
            }
        }
    }
}
