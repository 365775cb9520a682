//! Datagrams: octets that nobody would send never panic, and another decoder sees the same.

use radius::core::packet::Packet as Oracle;
use tollkeeper::domain::NasIdentity;
use tollkeeper::engine::accounting;
use tollkeeper::entropy::SeededEntropy;
use tollkeeper::radius::attribute::{
    SubAttributes, VendorFormat, extended_attributes, extended_vendor, tagged_integer, tagged_string, tlvs,
    vendor_attributes, vendor_specific,
};
use tollkeeper::radius::hiding::{reveal_ascend_secret, reveal_salted, reveal_user_password};
use tollkeeper::radius::value::values;
use tollkeeper::radius::{
    AccessReply, AccountingResponse, Credentials, Dictionary, Malformed, Packet, ReplyAttributes, Request,
    Secret, StatusReply, credentials, seal_request, verify_response,
};

use super::{nas, now};

/// Decodes, verifies, asks, answers; the same once more past the authenticators, as one who knows the
/// secret could get; and compares with another decoder.
pub fn packet(datagram: &[u8]) {
    agree(datagram);
    exercise(datagram);
}

/// What the packets here are signed with.
pub fn secret() -> Secret {
    Secret::new(b"xyzzy5461").unwrap()
}

/// Does with a datagram what a server could do, and more. Says whether it decoded.
pub fn exercise(datagram: &[u8]) -> bool {
    let _ = verify_response(datagram, datagram, &secret());
    let mut sealed = datagram.to_vec();
    let _ = seal_request(&mut sealed, &secret());
    let Ok(packet) = Packet::decode(datagram) else { return false };
    assert_eq!(usize::from(packet.header().length), packet.octets().len());
    for attribute in packet.attributes() {
        assert!(packet.first(attribute.number).is_some());
        structures(attribute.value);
    }
    let whole: usize = extended_attributes(packet.attributes())
        .map(|it| {
            let _ = extended_vendor(&it.value);
            structures(&it.value);
            it.value.len()
        })
        .sum();
    assert!(whole <= packet.octets().len());
    let _ = packet.clone().verify(&secret());
    let dictionary = Dictionary::embedded();
    for value in values(packet.attributes(), &dictionary) {
        let _ = (value.name(&dictionary), value.print(&dictionary));
    }

    // Past the authenticators, as one who knows the secret could get.
    for code in [1, 4, 12, 40] {
        let mut known = packet.octets().to_vec();
        known[0] = code;
        if seal_request(&mut known, &secret()).is_err() {
            continue;
        }
        if let Ok(verified) = Packet::decode(&known).unwrap().verify(&secret()) {
            assert!(verified.signed());
            request(verified.into_request(&secret()));
        }
    }
    true
}

/// Reads a value as everything it could be.
pub fn structures(value: &[u8]) {
    let inside: usize = vendor_attributes(value).map(|it| it.value.len() + 2).sum();
    assert!(inside == 0 || inside + 4 == value.len());
    for (types, lengths, more) in [
        (1, 0, false),
        (1, 1, false),
        (1, 2, false),
        (2, 0, false),
        (2, 1, false),
        (2, 2, false),
        (4, 0, false),
        (1, 1, true),
    ] {
        let format = VendorFormat::new(types, lengths, more).unwrap();
        if let Some(read) = SubAttributes::new(value, format) {
            assert_eq!(read.map(|it| it.value.len() + format.overhead()).sum::<usize>(), value.len());
        }
    }
    let _ = (vendor_specific(value), tagged_integer(value), tagged_string(value));
    // As deep as it goes: one level at a time, so the depth is ours to bound.
    let mut level = value;
    while let Some(first) = tlvs(level).and_then(|mut read| read.next()) {
        level = first.value;
    }
    let authenticator = [3; 16];
    let _ = reveal_user_password(value, &secret(), &authenticator);
    let _ = reveal_salted(value, &secret(), &authenticator);
    let _ = reveal_ascend_secret(value, &secret(), &authenticator);
}

/// Asks a request everything.
fn request(request: Result<Request<'_>, Malformed>) {
    let hash = credentials::nt_hash("hello");
    let mut out = Vec::new();
    match request {
        Ok(Request::Access(request)) => {
            match request.credentials() {
                Credentials::Pap(password) => assert!(password.octets().len() <= 128),
                Credentials::Chap(chap) => {
                    assert!(!credentials::chap_matches(&chap, b"hello") && !chap.challenge.is_empty())
                }
                Credentials::MsChap1(response) => assert!(!credentials::mschap1_matches(&response, &hash)),
                Credentials::MsChap2(response) => {
                    let name = request.user_name().unwrap_or_default();
                    assert!(credentials::mschap2_matches(&response, name, &hash).is_none());
                }
                Credentials::Eap | Credentials::None | Credentials::Conflicting | Credentials::Invalid => {}
            }
            let _ =
                (request.nas_ip_address(), request.nas_ipv6_address(), request.state(), request.nas_port());
            let reply = AccessReply::Reject(ReplyAttributes::new());
            let _ = reply.encode(&request, &secret(), &mut SeededEntropy::new(1), &mut out);
        }
        Ok(Request::Accounting(request)) => {
            let _ = (
                request.status(),
                request.event_timestamp(),
                request.framed_ipv6_prefix(),
                request.session_time(),
            );
            let _ =
                (request.delegated_ipv6_prefix(), request.framed_interface_id(), request.classes().count());
            let (nas, dictionary) = (nas(), Dictionary::embedded());
            let address = nas.network.addr();
            let identity = NasIdentity { source: address, address: Some(address), identifier: "".into() };
            if let Ok(record) = accounting::record(&request, nas, identity, None, &dictionary, now()) {
                assert!(!record.user_name.contains('\0') && !record.calling_station_id.contains('\0'));
            }
            let _ = AccountingResponse.encode(&request, &secret(), &mut out);
        }
        Ok(Request::Status(request)) => {
            let _ = StatusReply::Authentication.encode(&request, &secret(), &mut out);
        }
        Err(_) => {}
    }
}

/// Compares with the other decoder: the same packets, the same attributes.
pub fn agree(datagram: &[u8]) {
    let ours = Packet::decode(datagram);
    let theirs = Oracle::decode(datagram, b"xyzzy5461");
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", hex::encode(datagram));
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return };
    assert_eq!(ours.header().identifier, theirs.get_identifier());
    assert_eq!(ours.header().authenticator.as_slice(), theirs.get_authenticator().as_slice());
    for number in 0..=255 {
        let theirs = theirs.lookup_all(number);
        assert!(
            ours.values(number).eq(theirs.iter().map(|avp| avp.encode_bytes())),
            "{number} in {}",
            hex::encode(datagram)
        );
    }
}
