//! Nanoseconds per packet of the wire, with the `radius` crate's decoder in the same run: compare the
//! two, not runs with each other. `cargo bench --bench codec`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]

use divan::{Bencher, black_box};
use tollkeeper::entropy::SystemEntropy;
use tollkeeper::radius::attribute::{
    ACCT_DELAY_TIME, ACCT_INPUT_GIGAWORDS, ACCT_INPUT_OCTETS, ACCT_OUTPUT_GIGAWORDS, ACCT_OUTPUT_OCTETS,
    ACCT_SESSION_ID, ACCT_SESSION_TIME, ACCT_STATUS_TYPE, ACCT_TERMINATE_CAUSE, CALLED_STATION_ID,
    CALLING_STATION_ID, CLASS, EVENT_TIMESTAMP, FRAMED_IP_ADDRESS, FRAMED_PROTOCOL, IDLE_TIMEOUT,
    NAS_IDENTIFIER, NAS_IP_ADDRESS, NAS_PORT, NAS_PORT_ID, NAS_PORT_TYPE, SERVICE_TYPE, SESSION_TIMEOUT,
    USER_NAME, USER_PASSWORD, vendor,
};
use tollkeeper::radius::hiding::{hide_user_password, reveal_user_password};
use tollkeeper::radius::{
    AccessReply, AccountingResponse, Credentials, Packet, ReplyAttributes, Request, Secret,
    authenticate_request, seal_request,
};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const SECRET: &[u8] = b"testing123";
const AUTHENTICATOR: [u8; 16] = [0x5b; 16];
const PASSWORD: &[u8] = b"correct horse battery staple";

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn packet(code: u8, attributes: &[(u8, &[u8])]) -> Vec<u8> {
    let mut octets = vec![code, 7, 0, 0];
    octets.extend(AUTHENTICATOR);
    for (number, value) in attributes {
        octets.extend([*number, u8::try_from(value.len() + 2).unwrap()]);
        octets.extend(*value);
    }
    let length = u16::try_from(octets.len()).unwrap();
    octets.splice(2..4, length.to_be_bytes());
    octets
}

/// What a hotspot asks: 12 attributes and a password of two blocks.
fn access_request() -> Vec<u8> {
    let hidden = hide_user_password(PASSWORD, &secret(), &AUTHENTICATOR).unwrap();
    packet(
        1,
        &[
            (USER_NAME, b"subscriber-0042"),
            (USER_PASSWORD, &hidden),
            (NAS_IP_ADDRESS, &[192, 168, 88, 1]),
            (NAS_PORT, &[0, 0, 0, 17]),
            (NAS_PORT_TYPE, &[0, 0, 0, 15]),
            (NAS_PORT_ID, b"ether1"),
            (SERVICE_TYPE, &[0, 0, 0, 2]),
            (FRAMED_PROTOCOL, &[0, 0, 0, 1]),
            (CALLING_STATION_ID, b"AA:BB:CC:DD:EE:FF"),
            (CALLED_STATION_ID, b"hotspot-1"),
            (NAS_IDENTIFIER, b"pop-1.example"),
            (ACCT_SESSION_ID, b"80000042"),
        ],
    )
}

fn signed_access_request() -> Vec<u8> {
    let mut octets = access_request();
    seal_request(&mut octets, &secret()).unwrap();
    octets
}

/// An Interim-Update with 18 attributes.
fn accounting_request() -> Vec<u8> {
    let mut octets = packet(
        4,
        &[
            (ACCT_STATUS_TYPE, &[0, 0, 0, 3]),
            (ACCT_SESSION_ID, b"80000042"),
            (USER_NAME, b"subscriber-0042"),
            (NAS_IP_ADDRESS, &[192, 168, 88, 1]),
            (NAS_PORT, &[0, 0, 0, 17]),
            (NAS_PORT_TYPE, &[0, 0, 0, 15]),
            (CALLING_STATION_ID, b"AA:BB:CC:DD:EE:FF"),
            (CALLED_STATION_ID, b"hotspot-1"),
            (NAS_IDENTIFIER, b"pop-1.example"),
            (FRAMED_IP_ADDRESS, &[10, 0, 0, 42]),
            (ACCT_SESSION_TIME, &[0, 0, 14, 16]),
            (ACCT_INPUT_OCTETS, &[1, 2, 3, 4]),
            (ACCT_INPUT_GIGAWORDS, &[0, 0, 0, 1]),
            (ACCT_OUTPUT_OCTETS, &[5, 6, 7, 8]),
            (ACCT_OUTPUT_GIGAWORDS, &[0, 0, 0, 2]),
            (ACCT_DELAY_TIME, &[0, 0, 0, 0]),
            (EVENT_TIMESTAMP, &[0x65, 0, 0, 0]),
            (CLASS, b"ai:00019aaf0405060708090a0b0c0dfeff"),
        ],
    );
    authenticate_request(&mut octets, &secret());
    octets
}

/// What an Accept carries: six attributes and one of a vendor.
fn accept() -> AccessReply {
    let mut attributes = ReplyAttributes::new();
    attributes.push_u32(SERVICE_TYPE, 2);
    attributes.push_u32(FRAMED_PROTOCOL, 1);
    attributes.push(FRAMED_IP_ADDRESS, &[10, 0, 0, 42]);
    attributes.push_u32(SESSION_TIMEOUT, 86_400);
    attributes.push_u32(IDLE_TIMEOUT, 600);
    attributes.push(CLASS, b"ai:00019aaf0405060708090a0b0c0dfeff");
    attributes.push_vendor(vendor::MIKROTIK, 8, b"2M/8M");
    AccessReply::Accept(attributes)
}

#[divan::bench]
fn decode_access_request(bencher: Bencher<'_, '_>) {
    let octets = access_request();
    bencher.bench_local(|| Packet::decode(black_box(&octets)).unwrap().first(USER_NAME).map(<[u8]>::len));
}

#[divan::bench]
fn decode_access_request_baseline(bencher: Bencher<'_, '_>) {
    let octets = access_request();
    bencher.bench_local(|| {
        let packet = radius::core::packet::Packet::decode(black_box(&octets), SECRET).unwrap();
        packet.lookup(USER_NAME).map(|avp| avp.encode_bytes().len())
    });
}

#[divan::bench]
fn reveal_pap(bencher: Bencher<'_, '_>) {
    let secret = secret();
    let hidden = hide_user_password(PASSWORD, &secret, &AUTHENTICATOR).unwrap();
    bencher.bench_local(|| reveal_user_password(black_box(&hidden), &secret, &AUTHENTICATOR));
}

#[divan::bench]
fn reveal_pap_baseline(bencher: Bencher<'_, '_>) {
    let octets = access_request();
    let packet = radius::core::packet::Packet::decode(&octets, SECRET).unwrap();
    let hidden = packet.lookup(USER_PASSWORD).unwrap();
    bencher.bench_local(|| black_box(hidden).encode_user_password(SECRET, &AUTHENTICATOR).unwrap());
}

#[divan::bench]
fn verify_message_authenticator(bencher: Bencher<'_, '_>) {
    let secret = secret();
    let octets = signed_access_request();
    bencher.bench_local(|| Packet::decode(black_box(&octets)).unwrap().verify(&secret).unwrap().signed());
}

/// Decode, verify, reveal and compare, encode an Accept with its Message-Authenticator.
fn pap_round(octets: &[u8], secret: &Secret, reply: &AccessReply, out: &mut Vec<u8>) {
    let verified = Packet::decode(octets).unwrap().verify(secret).unwrap();
    let Ok(Request::Access(request)) = verified.into_request(secret) else { unreachable!() };
    let Credentials::Pap(password) = request.credentials() else { unreachable!() };
    assert!(password.octets() == PASSWORD && request.user_name().is_some());
    reply.encode(&request, secret, &mut SystemEntropy, out).unwrap();
}

#[divan::bench]
fn pap_round_signed(bencher: Bencher<'_, '_>) {
    let (secret, octets, reply, mut out) =
        (secret(), signed_access_request(), accept(), Vec::with_capacity(4096));
    bencher.bench_local(|| pap_round(black_box(&octets), &secret, &reply, &mut out));
}

#[divan::bench]
fn pap_round_unsigned(bencher: Bencher<'_, '_>) {
    let (secret, octets, reply, mut out) = (secret(), access_request(), accept(), Vec::with_capacity(4096));
    bencher.bench_local(|| pap_round(black_box(&octets), &secret, &reply, &mut out));
}

/// The same round with the other implementation, which signs neither way.
#[divan::bench]
fn pap_round_baseline(bencher: Bencher<'_, '_>) {
    use radius::core::avp::AVP;
    use radius::core::code::Code;
    let octets = access_request();
    let AccessReply::Accept(attributes) = accept() else { unreachable!() };
    bencher.bench_local(|| {
        let packet = radius::core::packet::Packet::decode(black_box(&octets), SECRET).unwrap();
        let hidden = packet.lookup(USER_PASSWORD).unwrap();
        let password = hidden.encode_user_password(SECRET, packet.get_authenticator()).unwrap();
        assert!(password == PASSWORD && packet.lookup(USER_NAME).is_some());
        let mut reply = packet.make_response_packet(Code::AccessAccept);
        for attribute in attributes.attributes() {
            reply.add(AVP::from_bytes(attribute.number, attribute.value));
        }
        reply.encode().unwrap()
    });
}

#[divan::bench]
fn accounting_round(bencher: Bencher<'_, '_>) {
    let (secret, octets, mut out) = (secret(), accounting_request(), Vec::with_capacity(4096));
    bencher.bench_local(|| {
        let verified = Packet::decode(black_box(&octets)).unwrap().verify(&secret).unwrap();
        let Ok(Request::Accounting(request)) = verified.into_request(&secret) else { unreachable!() };
        black_box((
            (request.status(), request.acct_session_id(), request.user_name(), request.nas_ip_address()),
            (request.session_time(), request.input_octets(), request.input_gigawords()),
            (request.output_octets(), request.output_gigawords(), request.terminate_cause()),
            (request.event_timestamp(), request.delay_time(), request.framed_ip_address()),
            (request.classes().next(), request.calling_station_id()),
        ));
        AccountingResponse.encode(&request, &secret, &mut out).unwrap();
    });
}

#[divan::bench]
fn accounting_round_baseline(bencher: Bencher<'_, '_>) {
    use radius::core::code::Code;
    const NUMBERS: [u8; 15] = [
        ACCT_STATUS_TYPE,
        ACCT_SESSION_ID,
        USER_NAME,
        NAS_IP_ADDRESS,
        ACCT_SESSION_TIME,
        ACCT_INPUT_OCTETS,
        ACCT_INPUT_GIGAWORDS,
        ACCT_OUTPUT_OCTETS,
        ACCT_OUTPUT_GIGAWORDS,
        ACCT_TERMINATE_CAUSE,
        EVENT_TIMESTAMP,
        ACCT_DELAY_TIME,
        FRAMED_IP_ADDRESS,
        CLASS,
        CALLING_STATION_ID,
    ];
    let octets = accounting_request();
    bencher.bench_local(|| {
        #[expect(clippy::disallowed_methods, reason = "its speed is what is measured")]
        let authentic = radius::core::packet::Packet::is_authentic_request(black_box(&octets), SECRET);
        assert!(authentic);
        let packet = radius::core::packet::Packet::decode(&octets, SECRET).unwrap();
        for number in NUMBERS {
            black_box(packet.lookup(number).map(|avp| avp.encode_bytes().len()));
        }
        packet.make_response_packet(Code::AccountingResponse).encode().unwrap()
    });
}
