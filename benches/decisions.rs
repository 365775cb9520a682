//! What a decision costs: `cargo bench --bench decisions`. The allocation columns matter as much as the
//! times: a login by PAP or CHAP of a subscriber without conditions must show none.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::{AllocProfiler, Bencher, black_box};
use jiff::tz::TimeZone;
use tollkeeper::domain::{
    AttributeRow, GroupRows, SubscriberId, SubscriberRows, SubscriberStatus, SubscriberTerms, Tenure,
};
use tollkeeper::engine::token::TokenKey;
use tollkeeper::engine::{AccessFacts, CompiledGroup, Compiler, Settings, Standing, Subscriber, access};
use tollkeeper::entropy::SeededEntropy;
use tollkeeper::packs::Packs;
use tollkeeper::radius::attribute::{
    CALLING_STATION_ID, CHAP_PASSWORD, NAS_IP_ADDRESS, NAS_PORT, USER_NAME, USER_PASSWORD,
};
use tollkeeper::radius::credentials::chap_response;
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::radius::hiding::hide_user_password;
use tollkeeper::radius::{Packet, ReplyAttributes, Request, Secret, seal_request};
use tollkeeper::time::{Clock as _, SystemClock};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const AUTHENTICATOR: [u8; 16] = *b"0123456789abcdef";

/// A login of `bob` whose own password row is followed by `check`, in a group of six rows.
#[divan::bench]
fn pap_without_conditions(bencher: Bencher<'_, '_>) {
    decide(bencher, &[], false);
}

#[divan::bench]
fn chap_without_conditions(bencher: Bencher<'_, '_>) {
    decide(bencher, &[], true);
}

#[divan::bench]
fn pap_with_a_bound_device(bencher: Bencher<'_, '_>) {
    decide(bencher, &["Calling-Station-Id == aa:bb:cc:00:11:22"], false);
}

/// The allocation columns say what one subscriber takes: its "max alloc" stays.
#[divan::bench]
fn compile_a_subscriber(bencher: Bencher<'_, '_>) {
    let (compiler, group) = tables();
    bencher.bench(|| subscriber(&compiler, &group, &[]));
}

fn decide(bencher: Bencher<'_, '_>, check: &[&str], chap: bool) {
    let secret = Secret::new(b"testing123").expect("not empty");
    let mut attributes = ReplyAttributes::new();
    attributes.push(USER_NAME, b"bob");
    if chap {
        let mut value = vec![5];
        value.extend(chap_response(5, b"hello", &AUTHENTICATOR));
        attributes.push(CHAP_PASSWORD, &value);
    } else {
        attributes
            .push(USER_PASSWORD, &hide_user_password(b"hello", &secret, &AUTHENTICATOR).expect("short"));
    }
    attributes.push(CALLING_STATION_ID, b"AA-BB-CC-00-11-22");
    attributes.push(NAS_IP_ADDRESS, &[10, 1, 2, 3]);
    attributes.push_u32(NAS_PORT, 10);
    let wire = attributes.attributes().rest();
    let length = u16::try_from(20 + wire.len()).expect("short").to_be_bytes();
    let mut packet = [&[1, 42][..], &length, &AUTHENTICATOR, wire].concat();
    seal_request(&mut packet, &secret).expect("short");
    let verified = Packet::decode(&packet).map(|packet| packet.verify(&secret)).expect("well-formed");
    let request = verified.expect("authentic").into_request(&secret).expect("an Access-Request");
    let Request::Access(request) = request else { return };

    let (compiler, group) = tables();
    let subscriber = subscriber(&compiler, &group, check);
    let settings = Settings::new(TokenKey::new(&[1; 32]), TimeZone::UTC);
    let packs = Packs::embedded();
    let facts = AccessFacts {
        pack: packs.other(),
        subscriber: Some(&subscriber),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        standing: Standing::default(),
        password: None,
        held: None,
        device: None,
        settings: &settings,
    };
    let (now, mut entropy) = (SystemClock.now(), SeededEntropy::new(1));
    bencher.bench_local(|| access(black_box(&request), &facts, now, &mut entropy));
}

fn tables() -> (Compiler, Arc<CompiledGroup>) {
    let compiler = Compiler { dictionary: Dictionary::embedded(), zone: TimeZone::UTC };
    let group = Arc::new(compiler.group(&GroupRows {
        name: "gold".into(),
        check: rows(&["Simultaneous-Use := 3"]),
        reply: rows(&[
            "Mikrotik-Rate-Limit := 10M/10M",
            "Framed-Pool := gold",
            "Idle-Timeout := 600",
            "Service-Type := Framed-User",
            "Session-Timeout := 86400",
        ]),
    }));
    (compiler, group)
}

fn subscriber(compiler: &Compiler, group: &Arc<CompiledGroup>, check: &[&str]) -> Subscriber {
    let rows = SubscriberRows {
        concurrency: None,
        id: SubscriberId(1),
        login: "bob".into(),
        status: SubscriberStatus::Active,
        kind: "user".into(),
        first_use: None,
        expires: None,
        tenure: Tenure::default(),
        check: rows(&[&["Cleartext-Password := hello"], check].concat()),
        reply: Vec::new(),
        groups: vec!["gold".into()],
        usage: Vec::new(),
        terms: SubscriberTerms::default(),
    };
    compiler.subscriber(&rows, &|_| Some(Arc::clone(group)), None)
}

fn rows(lines: &[&str]) -> Vec<AttributeRow> {
    let row = |(id, line): (i64, &&str)| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().into();
        AttributeRow { id, attribute: word(), op: word(), value: word() }
    };
    (1..).zip(lines).map(row).collect()
}
