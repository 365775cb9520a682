//! Rows of the tables as policy, and what a login gets by it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use jiff::tz::TimeZone;
use smol_str::SmolStr;
use tollkeeper::domain::{
    AttributeRow, DeviceRow, ExpiryRow, GroupRows, SubscriberId, SubscriberRows, SubscriberStatus,
    SubscriberTerms, Tenure,
};
use tollkeeper::engine::access::Verdict;
use tollkeeper::engine::token::TokenKey;
use tollkeeper::engine::{AccessFacts, Compiler, Settings, Standing, access};
use tollkeeper::entropy::SeededEntropy;
use tollkeeper::packs::Packs;
use tollkeeper::radius::attribute::{CALLING_STATION_ID, NAS_IP_ADDRESS, USER_NAME, USER_PASSWORD};
use tollkeeper::radius::hiding::hide_user_password;
use tollkeeper::radius::{Dictionary, Packet, ReplyAttributes, Request, seal_request};
use tollkeeper::time::UnixTime;

use super::packet::secret;
use super::{now, sum};

/// A table in each line: `check Name := value`, `reply …`, `group-check …`, `group-reply …`,
/// `expiry KIND VALUE UNIT`, `device MAC IP`.
pub fn policy(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut rows = SubscriberRows {
        id: SubscriberId(1),
        login: "nemo".into(),
        status: SubscriberStatus::Active,
        kind: "user".into(),
        first_use: None,
        expires: None,
        tenure: Tenure { created: UnixTime(1_763_000_000), ..Tenure::default() },
        check: Vec::new(),
        reply: Vec::new(),
        groups: vec!["gold".into()],
        concurrency: None,
        usage: Vec::new(),
        terms: SubscriberTerms::default(),
    };
    let mut group = GroupRows { name: "gold".into(), check: Vec::new(), reply: Vec::new() };
    for (id, line) in (1..).zip(text.lines().take(200)) {
        let mut words = line.splitn(4, ' ').map(SmolStr::new);
        let mut word = || words.next().unwrap_or_default();
        let (table, one, two, three) = (word(), word(), word(), word());
        let row = || AttributeRow { id, attribute: one.clone(), op: two.clone(), value: three.clone() };
        match table.as_str() {
            "check" => rows.check.push(row()),
            "reply" => rows.reply.push(row()),
            "group-check" => group.check.push(row()),
            "group-reply" => group.reply.push(row()),
            "expiry" => {
                let value = two.parse().unwrap_or_default();
                rows.tenure.expiry.push(ExpiryRow { id, plan: None, kind: one, value, unit: three });
            }
            "device" => rows.tenure.devices.push(DeviceRow {
                id,
                mac: one,
                ip: two,
                source: "operator".into(),
                valid_until: None,
            }),
            _ => {}
        }
    }
    let compiler = Compiler { dictionary: Dictionary::embedded(), zone: TimeZone::UTC };
    let group = Arc::new(compiler.group(&group));
    let subscriber = compiler.subscriber(&rows, &|_| Some(Arc::clone(&group)), None);
    for warning in subscriber.warnings().iter().chain(group.warnings()) {
        assert!(!warning.why.is_empty());
    }
    let _ = (subscriber.usage_days(), subscriber.concurrency(), subscriber.own_rate());

    let secret = secret();
    let packet = Packet::decode(login()).expect("ours").verify(&secret).expect("ours");
    let Ok(Request::Access(request)) = packet.into_request(&secret) else {
        unreachable!("an Access-Request")
    };
    let settings = Settings::new(TokenKey::new(&[1; 32]), TimeZone::UTC);
    // One of the types, by what the input is: all of them for each input would be a tenth of the inputs.
    let packs = Packs::embedded();
    let facts = AccessFacts {
        pack: packs.iter().nth(sum(input) % packs.iter().count()).expect("there are some"),
        subscriber: Some(&subscriber),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        standing: Standing::default(),
        password: None,
        device: None,
        held: None,
        settings: &settings,
    };
    let verdict = access(&request, &facts, now(), &mut SeededEntropy::new(1));
    if let Verdict::Decided(decided) = verdict {
        let mut out = Vec::new();
        let _ = decided.reply.encode(&request, &secret, &mut SeededEntropy::new(2), &mut out);
    }
}

/// A login of `nemo` with the password `hello`.
fn login() -> &'static [u8] {
    static LOGIN: OnceLock<Vec<u8>> = OnceLock::new();
    LOGIN.get_or_init(|| {
        let authenticator = *b"0123456789abcdef";
        let mut attributes = ReplyAttributes::new();
        attributes.push(USER_NAME, b"nemo");
        attributes
            .push(USER_PASSWORD, &hide_user_password(b"hello", &secret(), &authenticator).expect("short"));
        attributes.push(CALLING_STATION_ID, b"AA-BB-CC-00-11-22");
        attributes.push(NAS_IP_ADDRESS, &[192, 0, 2, 1]);
        let wire = attributes.attributes().rest();
        let length = u16::try_from(20 + wire.len()).expect("short").to_be_bytes();
        let mut packet = [&[1, 42][..], &length, &authenticator, wire].concat();
        seal_request(&mut packet, &secret()).expect("short");
        packet
    })
}
